//! Products as a product file in Shopify's format says them.
//!
//! [`read`] checks a whole file and either understands all of it or refuses it with every problem by row and
//! column: half a catalogue is worse than none. [`write`] is its inverse. Both are pure; who sends products to
//! the shop, and how, is in `commands`.

mod body;
mod columns;
mod draft;
mod json;
mod markets;
mod price;
mod problem;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use json::{NoProduct, from_json, integer, is_already, to_json};
pub use problem::{Problem, Refused};
pub use reader::{Catalogue, read};
pub use writer::write;

use souk_contracts::terms::{Market, Sku};
use souk_kernel::{Currency, Money};
use std::collections::BTreeMap;

/// The catalogue that `souk up --demo` begins with. Ours; the goods and their makers are invented.
pub const DEMO: &str = include_str!("../../demo/catalog.csv");

/// What a price column means that names neither market nor currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeMarket {
    /// Where the price holds.
    pub market: Market,
    /// What it is in.
    pub currency: Currency,
}

/// A product with all that a file says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name in URLs.
    pub handle: String,
    /// What customers call it.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// Who makes it.
    pub vendor: String,
    /// From the widest to the narrowest, then the tags; none stands twice.
    pub categories: Vec<String>,
    /// The names of the options that tell its variants apart.
    pub options: Vec<String>,
    /// What can be bought; never empty.
    pub variants: Vec<Variant>,
    /// Pictures in order.
    pub media: Vec<Media>,
    /// Whether customers see it.
    pub status: Status,
}

/// One thing that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Byte for byte as in the file.
    pub sku: Sku,
    /// Empty: the option values say it all.
    pub title: String,
    /// One per option of the product.
    pub option_values: Vec<String>,
    /// What it costs, by market.
    pub prices: BTreeMap<Market, Money>,
    /// How many pieces there are; `None` when nothing is known.
    pub stock: Option<i64>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it is: a web address, or a path on this site.
    pub url: String,
    /// What it shows.
    pub alt: String,
}

/// Whether customers see a product. Archived ones are neither read nor written: they never come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// They do.
    Published,
    /// They do not any more.
    Unpublished,
    /// They never did.
    Draft,
}
