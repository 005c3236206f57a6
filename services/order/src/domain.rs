//! The rules of quotes and orders, and the words that both share. Pure: times, ids and prices arrive inside
//! the commands.
//!
//! Deliberately absent: free text of customers and anything else personal. A subject is an opaque id.
pub mod errand;
pub mod exchange;
pub mod order;
pub mod quote;
pub mod returns;
#[cfg(test)]
pub(crate) mod samples;

use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Quantity, Sku};
use souk_kernel::{Code, Currency, Money, MoneyError, Rejection, Timestamp};
use std::sync::Arc;

pub use errand::{Errand, ErrandEvent};
pub use order::{Order, OrderEvent};
pub use quote::{Quote, QuoteEvent};
pub use returns::{Return, ReturnEvent};

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
    /// What promotions take off the line.
    #[serde(default, skip_serializing_if = "is_free")]
    pub discount_minor: i64,
    /// The line's tax; whether it is in the price stands in the terms.
    #[serde(default, skip_serializing_if = "is_free")]
    pub tax_minor: i64,
}

/// What a sale has besides its lines. A plain one has none of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// The prices contain the tax; otherwise it is added.
    pub tax_inclusive: bool,
    /// Shipping before its discount, in minor units of the total's currency, like what follows.
    pub shipping_minor: i64,
    pub shipping_discount_minor: i64,
    pub shipping_tax_minor: i64,
    /// How it is shipped; `None` when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The codes that are redeemed when the order is placed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<Promotion>,
    /// When the catalog said all this.
    pub priced_at: Timestamp,
    /// What stands in for the money of a sale that replaces pieces which came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<exchange::Exchange>,
}

/// The rate that shipping promised, and where it goes as far as tax cares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub rate_id: Arc<str>,
    pub country: Arc<str>,
    pub region: Arc<str>,
}

/// What was taken off, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    pub promotion_id: Arc<str>,
    /// Empty when it needs no coupon.
    pub code: Arc<str>,
    pub name: Arc<str>,
    pub amount_minor: i64,
}

impl Terms {
    /// What shipping costs the customer.
    pub fn shipping_total_minor(&self) -> i64 {
        let added_tax = if self.tax_inclusive { 0 } else { self.shipping_tax_minor };
        self.shipping_minor.saturating_sub(self.shipping_discount_minor).saturating_add(added_tax)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_free(minor: &i64) -> bool {
    *minor == 0
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
    pub fn subtotal(&self, currency: Currency) -> Result<Money, MoneyError> {
        Money::new(self.unit_minor, currency).times(i64::from(self.quantity.get()))
    }

    /// What the customer pays for the line: less the discount, and with the tax that is not in the price.
    pub fn total(&self, currency: Currency, tax_inclusive: bool) -> Result<Money, MoneyError> {
        let discounted = self.subtotal(currency)?.minus(Money::new(self.discount_minor, currency))?;
        if tax_inclusive { Ok(discounted) } else { discounted.plus(Money::new(self.tax_minor, currency)) }
    }
}

/// What is to be paid for a sale: its lines and its shipping, less what pieces are worth that it is exchanged for.
pub fn sum(lines: &[Line], terms: Option<&Terms>, currency: Currency) -> Result<Money, MoneyError> {
    let tax_inclusive = terms.is_some_and(|terms| terms.tax_inclusive);
    let shipping = Money::new(terms.map_or(0, Terms::shipping_total_minor), currency);
    let whole =
        lines.iter().try_fold(shipping, |sum, line| sum.plus(line.total(currency, tax_inclusive)?))?;
    let exchange = terms.and_then(|terms| terms.exchange.as_ref());
    whole.minus(Money::new(exchange.map_or(0, |exchange| exchange.value_minor), currency))
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
