//! The whole suite with the provider that is called over its contract.
mod shop;
mod suite;

const REACH: shop::Reach = shop::Reach::Contract;
