//! What stands in the books, as it is stored. Each event is complete without its neighbours.
use super::Kind;
use serde::{Deserialize, Serialize};
use souk_decider::stored_events;
use souk_kernel::{Money, Timestamp};

/// The amount is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorized {
    pub key: String,
    pub amount: Money,
    pub method_token: String,
    pub reference: String,
    /// From when on it can no longer be captured.
    pub expires_at: Option<Timestamp>,
}

/// Nothing is promised, and never will be under this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationDeclined {
    pub key: String,
    pub amount: Money,
    pub method_token: String,
    pub reference: String,
    pub code: String,
}

/// The customer would have to act; nothing is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRequired {
    pub key: String,
    pub amount: Money,
    pub method_token: String,
    pub reference: String,
}

/// Money moved, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub key: String,
    pub authorization_key: String,
    pub amount: Money,
}

/// Money did not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMoved {
    pub key: String,
    pub authorization_key: String,
    pub amount: Money,
    pub code: String,
}

/// There is a promise again: what was taken already and this amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reauthorized {
    pub key: String,
    pub authorization_key: String,
    pub amount: Money,
    pub expires_at: Option<Timestamp>,
}

/// The promise is given up. For a key that was never heard of this is the tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    pub key: String,
    pub authorization_key: String,
}

/// The promise stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidDeclined {
    pub key: String,
    pub authorization_key: String,
    pub code: String,
}

/// A call came and had no effect; remembered so that the next one works, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailed {
    pub key: String,
    pub authorization_key: String,
    pub kind: Kind,
}

/// A notification to the merchant is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationDue {
    /// The key of the operation that it is about.
    pub key: String,
    pub authorization_key: String,
    pub kind: Kind,
    /// How it arrives: `plain`, `duplicate`, `reordered`, `before_reply`, `missing`; or what it is about if not the
    /// operation: `dispute`, `dispute_won`, `dispute_lost`.
    pub manner: String,
}

/// The merchant has taken a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationSent {
    pub key: String,
    pub authorization_key: String,
    pub manner: String,
}

/// What stands in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Authorized(Authorized),
    AuthorizationDeclined(AuthorizationDeclined),
    ActionRequired(ActionRequired),
    Captured(Moved),
    CaptureDeclined(NotMoved),
    Voided(Voided),
    VoidDeclined(VoidDeclined),
    Refunded(Moved),
    RefundPending(Moved),
    RefundDeclined(NotMoved),
    AttemptFailed(AttemptFailed),
    NotificationDue(NotificationDue),
    NotificationSent(NotificationSent),
    Reauthorized(Reauthorized),
    ReauthorizationDeclined(NotMoved),
}

stored_events!(Event {
    Authorized: 1,
    AuthorizationDeclined: 1,
    ActionRequired: 1,
    Captured: 1,
    CaptureDeclined: 1,
    Voided: 1,
    VoidDeclined: 1,
    Refunded: 1,
    RefundPending: 1,
    RefundDeclined: 1,
    AttemptFailed: 1,
    NotificationDue: 1,
    NotificationSent: 1,
    Reauthorized: 1,
    ReauthorizationDeclined: 1,
});
