//! The shop as a library of its commands: a list of services, a command line, and the checks across all of
//! them. The rules of the shop are in the services; nothing here decides anything about an order.

pub mod child;
pub mod commands;
pub mod failure;
pub mod health;
pub mod output;
pub mod rest;
pub mod retail;
pub mod settings;
pub mod shop;
pub mod shopify;
pub mod verify;
