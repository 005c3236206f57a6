//! The whole suite with the provider that is called over HTTP, over real connections on this machine.
mod shop;
mod suite;

const REACH: shop::Reach = shop::Reach::Http;
