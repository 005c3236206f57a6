//! The rules of quotes and orders, and the words that both share. Pure: times, ids and prices arrive inside
//! the commands.
//!
//! Deliberately absent: free text of customers and anything else personal. A subject is an opaque id.
pub mod order;
pub mod quote;
#[cfg(test)]
pub(crate) mod samples;

use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Quantity, Sku};
use souk_kernel::{Code, Currency, Money, MoneyError, Rejection};
use std::sync::Arc;

pub use order::{Order, OrderEvent};
pub use quote::{Quote, QuoteEvent};

/// The most lines that a quote may have.
pub const LINES_MAX: usize = 2_000;
/// The most SKUs that a refusal names; the rest is only counted.
pub const SKUS_NAMED_MAX: usize = 20;

/// One line of a quote and of the order that accepts it. Its currency is that of the total beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// From 1; lines keep their number and are never merged.
    pub line: u32,
    pub sku: Sku,
    pub title: Arc<str>,
    pub quantity: Quantity,
    /// What one piece costs, in minor units.
    pub unit_minor: i64,
    /// Which version of the catalog's price this is; 0 for an agreed price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub price_version: u64,
    /// The cart's line it was made of; 0 for an agreed line.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cart_line: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(line: &u32) -> bool {
    *line == 0
}

impl Line {
    /// Quantity times price.
    pub fn total(&self, currency: Currency) -> Result<Money, MoneyError> {
        Money::new(self.unit_minor, currency).times(i64::from(self.quantity.get()))
    }
}

/// The sum of the lines.
pub fn sum(lines: &[Line], currency: Currency) -> Result<Money, MoneyError> {
    lines.iter().try_fold(Money::zero(currency), |sum, line| sum.plus(line.total(currency)?))
}

/// The sum does not fit in 64 bits of minor units.
pub fn total_overflow() -> Rejection {
    Rejection::new("TOTAL_OVERFLOW", "the total of the lines is too large").code(Code::OutOfRange)
}

/// Who asks, as far as the rules care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose things the call is about.
    pub subject: String,
    /// May sell: make agreed quotes and accept them for others.
    pub sells: bool,
    /// May look after the orders of others.
    pub looks_after: bool,
}

impl Caller {
    /// Whether a thing of `owner` may be seen. Sales sees what was agreed with sales, not what customers buy
    /// by themselves.
    pub fn may_see(&self, owner: &str, is_agreed: bool) -> bool {
        self.subject == owner || self.looks_after || (self.sells && is_agreed)
    }
}

/// Not there, or not yours: the two are never told apart.
pub fn not_found(what: &str) -> Rejection {
    Rejection::new("NOT_FOUND", format!("{what} was not found")).code(Code::NotFound)
}

/// Adds the names of faulty SKUs to a refusal: the first few as a JSON list, and how many there are.
pub fn naming(rejection: Rejection, skus: &[&str]) -> Rejection {
    let named: Vec<&str> = skus.iter().copied().take(SKUS_NAMED_MAX).collect();
    let list = serde_json::to_string(&named).expect("a list of texts has a JSON form");
    rejection.with("skus", list).with("count", skus.len())
}
