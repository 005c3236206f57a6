//! The rules of shipping, one file per thing that has a history: a [`Rate`], a [`Fulfilment`], a [`Shipment`]
//! and a [`Notice`] of a carrier. `address.rs` and `tariff.rs` are tables with a question each. Pure: times,
//! ids and sealed values arrive inside the commands.
//!
//! An address is carried closed. Nothing in here opens it.
pub mod address;
pub mod fulfilment;
pub mod notice;
pub mod rate;
pub mod scan;
pub mod shipment;
pub mod tariff;
#[cfg(test)]
pub(crate) mod tests;

pub use address::Address;
pub use fulfilment::{Fulfilment, FulfilmentEvent};
pub use notice::{Notice, NoticeEvent};
pub use rate::{Rate, RateEvent};
pub use scan::{Scan, Seen};
pub use shipment::{Shipment, ShipmentEvent, Status};

use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_kernel::{Code, Rejection};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most lines that a fulfilment or a question for rates may have.
pub const LINES_MAX: usize = 2_000;
/// The most locations that one order is shipped from.
pub const SHIPMENTS_MAX: usize = 50;
/// The most cancels and holds of one order, each.
pub const OPERATIONS_MAX: usize = 200;
/// The longest name that a caller gives to a cancel, a hold or a return.
pub const NAME_BYTES_MAX: usize = 64;

/// So many pieces of an order's line, at one location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The order's line number.
    pub line: u32,
    pub sku: Sku,
    pub title: Arc<str>,
    pub quantity: Quantity,
    pub location: Location,
}

/// A part of an order's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The order's line number.
    pub line: u32,
    /// How many pieces of it; 0 means all that is left.
    pub quantity: u32,
}

/// The name that a caller chose for a cancel, a hold or a return. It makes it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAName;

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be 1 to {NAME_BYTES_MAX} letters, digits, hyphens or underscores")
    }
}

impl FromStr for Name {
    type Err = NotAName;
    /// No colon may be in it: the carrier's keys are made of it with colons.
    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.into())) } else { Err(NotAName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asks, as far as the rules care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose things the call is about.
    pub subject: String,
    /// May look after the parcels of others.
    pub looks_after: bool,
}

impl Caller {
    /// Whether a thing of `owner` may be seen.
    pub fn may_see(&self, owner: &str) -> bool {
        self.looks_after || self.subject == owner
    }
}

/// Not there, or not yours: the two are never told apart.
pub fn not_found(what: &str) -> Rejection {
    Rejection::new("NOT_FOUND", format!("{what} was not found")).code(Code::NotFound)
}

pub(crate) fn too_many(what: &str) -> Rejection {
    Rejection::new("TOO_MANY_OPERATIONS", format!("an order has at most {OPERATIONS_MAX} {what}"))
}
