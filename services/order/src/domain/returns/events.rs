//! What happens to a return, as it is stored. What others hear is made of one event alone, so those that are
//! published say whose return it is.
use crate::domain::exchange::Replacement;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, OrderId, Quantity, ReturnId, Sku};
use souk_kernel::{Money, Timestamp};
use std::sync::Arc;

/// Whose return it is, and of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whose {
    pub return_id: ReturnId,
    pub order_id: OrderId,
    pub subject: Arc<str>,
}

/// Why a piece comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Unwanted,
    Damaged,
    WrongItem,
    NotAsDescribed,
}

impl Reason {
    /// Whether the shop has to answer for it.
    pub fn is_shops_fault(self) -> bool {
        match self {
            Reason::Unwanted => false,
            Reason::Damaged | Reason::WrongItem | Reason::NotAsDescribed => true,
        }
    }
}

/// What the customer wants for it. Credit is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Refund,
    Exchange,
    Credit,
}

/// In what state a piece came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As new: sold again.
    A,
    B,
    Damaged,
    /// Not in the box.
    Missing,
    /// Something else was in the box; it is kept for the customer.
    WrongItem,
}

impl Grade {
    /// Whether the piece is there, and is paid for.
    pub fn is_accepted(self) -> bool {
        match self {
            Grade::A | Grade::B | Grade::Damaged => true,
            Grade::Missing | Grade::WrongItem => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnRequested {
    #[serde(flatten)]
    pub whose: Whose,
    /// Who asked: the customer, or a member of staff.
    pub by: Arc<str>,
    pub lines: Arc<[WantedBack]>,
    pub wish: Wish,
    /// What the customer wants instead, for an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Arc<Replacement>>,
    /// Of what was asked, so that a repeat can be told from something else.
    pub hash: Arc<str>,
    pub at: Timestamp,
}

/// So many pieces of a line, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WantedBack {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
    pub reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnRecorded {
    #[serde(flatten)]
    pub whose: Whose,
    pub by: Arc<str>,
    /// The return's number in the seller's books.
    pub external_ref: Arc<str>,
    /// Of what was said, so that the same can be told from something else.
    pub hash: Arc<str>,
    pub reason: Reason,
    pub settlement: Settlement,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnApproved {
    #[serde(flatten)]
    pub whose: Whose,
    pub by: Arc<str>,
    /// When it must have arrived.
    pub until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnRejected {
    #[serde(flatten)]
    pub whose: Whose,
    pub by: Arc<str>,
    /// Why, in the words of staff.
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnCancelled {
    pub by: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnLabelIssued {
    pub carrier: Arc<str>,
    pub tracking_code: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnReceived {
    #[serde(flatten)]
    pub whose: Whose,
    /// Who took it in.
    pub by: Arc<str>,
    /// What arrived, by line; empty when nobody has counted.
    pub pieces: Arc<[crate::domain::order::Pieces]>,
}

/// The parcel arrived after the return had ended: staff decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnArrivedLate {
    #[serde(flatten)]
    pub whose: Whose,
    /// Who heard of it.
    pub by: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnInspected {
    pub by: Arc<str>,
    pub settlement: Settlement,
}

/// What was found, and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    pub found: Arc<[Found]>,
    /// What is given back, after fees and with shipping's part; for an exchange, before what replaces it is taken
    /// off.
    pub refund: Money,
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub fees_minor: i64,
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub shipping_minor: i64,
    /// Whether it is exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Swap>,
    /// The order whose payment pays it back, where that is another: these pieces were an exchange themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by: Option<OrderId>,
}

/// What becomes of the wish for an exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Swap {
    /// What replaces it costs so much of what it is worth.
    Wanted { costs_minor: i64 },
    /// What was accepted is worth less than what was to replace it; the money goes back.
    TooDear,
}

/// So many pieces of a line in a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
    pub grade: Grade,
    /// Where it lies from now on; absent for what never left the stock's books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnResolved {
    #[serde(flatten)]
    pub whose: Whose,
    pub end: End,
    /// Why the money went back and not what the customer wanted instead; a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_exchanged: Option<Arc<str>>,
}

/// How a return ended that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum End {
    /// What went back; nothing where a person settled it in another way.
    Refunded { refund: Money },
    /// Nothing of it was accepted.
    Declined,
    /// Another order stands in its place, and what that cost less went back.
    Exchanged { order_id: OrderId, refund: Money },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnExpired {
    #[serde(flatten)]
    pub whose: Whose,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_nothing(minor: &i64) -> bool {
    *minor == 0
}
