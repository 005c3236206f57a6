//! The rules of stock, one file per thing that has a history: a [`Reservation`], a [`Receipt`] and an
//! [`Adjustment`], each with its own stream. [`Stock`] is what a decision is told about the shelves: it is
//! read from the view in the same transaction, so that two decisions never see the same free piece.
//!
//! Nothing here knows a database, a clock or a wire.
mod adjustment;
mod receipt;
mod reservation;
mod stock;

pub use adjustment::{Adjust, Adjustment, AdjustmentEvent, StockAdjusted};
pub use receipt::{Receipt, ReceiptEvent, Receive, ReceivedLine, StockReceived};
pub use reservation::{
    Answer, CommitRefused, Grant, Phase, Reservation, ReservationCommitted, ReservationEvent,
    ReservationExpired, ReservationReReserved, ReservationRefused, ReservationReleased, STOCK_NOT_READ,
    Status, StockReserved,
};
pub use stock::{
    AllocatedLine, LOCATIONS_MAX, Level, ON_HAND_MAX, Portion, Refusal, RefusalReason, Shelf, Shortage,
    Stock, WantedLine, allocate, portions,
};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest name that a caller may choose for a receipt or an adjustment, in characters.
pub const REFERENCE_CHARS_MAX: usize = 64;

/// The name that a caller chose for a receipt or an adjustment. It makes the booking once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(Arc<str>);

impl Reference {
    /// A name of 1 to 64 characters, none of them a control character.
    pub fn try_new(text: &str) -> Result<Self, BadReference> {
        let short_enough = (1..=REFERENCE_CHARS_MAX).contains(&text.chars().count());
        let clean = !text.chars().any(char::is_control);
        if short_enough && clean { Ok(Self(text.into())) } else { Err(BadReference) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Reference {
    type Error = BadReference;
    fn try_from(text: String) -> Result<Self, BadReference> {
        Self::try_new(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.0.as_ref().to_owned()
    }
}

/// Why a text is not a [`Reference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadReference;

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be 1 to {REFERENCE_CHARS_MAX} characters, without control characters")
    }
}

impl std::error::Error for BadReference {}

#[cfg(test)]
mod tests;
