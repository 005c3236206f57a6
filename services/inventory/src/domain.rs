//! The rules of stock, one file per thing that has a history: a [`Reservation`], a [`Receipt`], an
//! [`Adjustment`], a [`Carriage`], a [`Count`], a [`Place`] and the [`SkuTerms`], each with its own stream.
//! [`Stock`] is what a decision is told about the shelves: it is read from the view in the same transaction, so
//! that two decisions never see the same free piece. [`settle`] adds what follows in the same commit.
//!
//! Nothing here knows a database, a clock or a wire.
mod adjustment;
mod allocation;
mod count;
mod dispatch;
mod happened;
mod place;
mod receipt;
mod reservation;
mod settle;
mod sku;
mod stock;
mod transfer;

pub use adjustment::{Adjust, Adjustment, AdjustmentEvent, StockAdjusted};
pub use allocation::{Allocation, Policy, allocate};
pub use count::{Count, CountEvent, Counted, ShortfallResolved, StockCounted, StockShortfall, Verdict};
pub use happened::{
    BackorderFilled, CommitRefused, Grade, LinesReleased, ReleaseRefused, ReservationCommitted,
    ReservationEvent, ReservationExpired, ReservationExtended, ReservationReReserved, ReservationRefused,
    ReservationReleased, RestockLine, RestockRefused, ShipRefused, StockReserved, StockRestocked,
    StockShipped,
};
pub use place::{Country, LocationPut, PLACES_MAX, Place, PlaceEvent};
pub use receipt::{Receipt, ReceiptEvent, Receive, ReceivedLine, StockReceived};
pub use reservation::{Answer, Grant, Phase, Reservation, STOCK_NOT_READ, Status, stock_not_read};
pub use settle::{Aftermath, MovesStock, settle};
pub use sku::{LowStock, SkuEvent, SkuTerms, TermsPut};
pub use stock::{
    AllocatedLine, Change, LOCATIONS_MAX, Level, Levels, ON_HAND_MAX, Portion, Rank, Refusal, RefusalReason,
    Shelf, ShelfChange, Shortage, Stock, StockLevel, Terms, Waiting, WantedLine, portions,
};
pub use transfer::{Carriage, StockTransferred, Transfer, TransferEvent};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest name that a caller may choose for a receipt, a count and their like, in characters.
pub const REFERENCE_CHARS_MAX: usize = 64;

/// The name that a caller chose for a receipt, an adjustment, a shipment and their like. It makes the booking
/// once.
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

/// For optional lists of stored events: an event of an earlier release has none.
fn is_empty<T>(list: &Arc<[T]>) -> bool {
    list.is_empty()
}

#[cfg(test)]
mod tests;
