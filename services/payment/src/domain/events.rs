//! What happens to a payment, as it is stored. Each event is complete without its neighbours.
use super::OperationId;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_decider::stored_events;
use souk_kernel::{Money, Timestamp};

/// How we know what an operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The provider answered the call itself.
    Answer,
    /// The provider was asked by key after a call had no answer.
    Query,
    /// Nothing was to be paid, so no provider was needed.
    Ourselves,
    /// The provider told it by itself.
    Notice,
    /// Time told it: the customer did not act in time.
    Time,
}

/// Why an operation will never have an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// More than is promised and not yet taken.
    ExceedsAuthorized,
    /// More than was taken and not yet given back.
    ExceedsCaptured,
    /// The payment was voided before the provider heard of it.
    PaymentVoided,
    /// The provider said no, with this code.
    ByProvider(String),
    /// The old promise still holds, so there is no need of a new one.
    NotExpired,
}

/// We mean to ask for a promise. Stored before the provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequested {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    /// Whose payment it is: an opaque subject.
    pub owner: String,
    pub amount: Money,
    pub method_token: String,
    /// The provider's key of this operation.
    pub key: String,
    pub at: Timestamp,
}

/// The amount is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationSucceeded {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub amount: Money,
    pub key: String,
    pub source: Source,
    /// Whose payment it is; absent in what was stored before others were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when it can be captured; absent in what was stored before the end was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    pub at: Timestamp,
}

/// The provider declined; nothing is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationDeclined {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub amount: Money,
    pub key: String,
    pub code: String,
    pub source: Source,
    /// Whose payment it is; absent in what was stored before others were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub at: Timestamp,
}

/// The provider has not said what became of an operation. Recorded once per operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    pub payment_id: PaymentId,
    pub key: String,
    pub at: Timestamp,
}

/// We mean to take (a part of) the promised amount. Stored before the provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRequested {
    pub payment_id: PaymentId,
    pub capture_id: OperationId,
    pub amount: Money,
    pub key: String,
    pub at: Timestamp,
}

/// The money was taken. The ledger is posted in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureSucceeded {
    pub payment_id: PaymentId,
    pub capture_id: OperationId,
    pub amount: Money,
    pub key: String,
    pub source: Source,
    /// Whose payment it is; absent in what was stored before others were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub at: Timestamp,
}

/// The money was not taken and will not be under this id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureRefused {
    pub payment_id: PaymentId,
    pub capture_id: OperationId,
    pub amount: Money,
    pub refusal: Refusal,
    pub at: Timestamp,
}

/// We mean to give up the promise. Stored before the provider is called; from here on nothing is captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidRequested {
    pub payment_id: PaymentId,
    pub key: String,
    pub reason: String,
    pub at: Timestamp,
}

/// The promise is given up, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub amount: Money,
    pub key: String,
    pub source: Source,
    /// Whose payment it is; absent in what was stored before others were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub at: Timestamp,
}

/// The provider keeps the promise, usually because money was taken already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidRefused {
    pub payment_id: PaymentId,
    pub key: String,
    pub code: String,
    pub at: Timestamp,
}

/// We mean to give back (a part of) what was taken. Stored before the provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequested {
    pub payment_id: PaymentId,
    pub refund_id: OperationId,
    pub amount: Money,
    pub reason: String,
    pub key: String,
    pub at: Timestamp,
}

/// The money was given back. The ledger is posted in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundSucceeded {
    pub payment_id: PaymentId,
    pub refund_id: OperationId,
    pub amount: Money,
    pub key: String,
    pub source: Source,
    /// Whose payment it is; absent in what was stored before others were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub at: Timestamp,
}

/// The money was not given back and will not be under this id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRefused {
    pub payment_id: PaymentId,
    pub refund_id: OperationId,
    pub amount: Money,
    pub refusal: Refusal,
    /// Whose payment it is; absent in what was stored before others were told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub at: Timestamp,
}

/// A payment that was never heard of was voided: whatever comes later under this id is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentTombstoned {
    pub payment_id: PaymentId,
    pub reason: String,
    pub at: Timestamp,
}

/// The customer must act at the provider before anything is promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRequired {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub owner: String,
    pub amount: Money,
    pub key: String,
    /// Where the customer acts.
    pub action_url: String,
    /// Until when.
    pub expires_at: Timestamp,
    pub source: Source,
    pub at: Timestamp,
}

/// The promise was not used in time. What was taken stays taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationExpired {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub owner: String,
    /// What can no longer be taken.
    pub amount: Money,
    pub at: Timestamp,
}

/// We mean to ask for a new promise. Stored before the provider is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReauthorizationRequested {
    pub payment_id: PaymentId,
    pub authorization_id: OperationId,
    pub amount: Money,
    pub key: String,
    pub at: Timestamp,
}

/// There is a promise again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReauthorizationSucceeded {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub owner: String,
    pub authorization_id: OperationId,
    /// What can be taken besides what was taken before.
    pub amount: Money,
    pub key: String,
    pub source: Source,
    pub expires_at: Timestamp,
    pub at: Timestamp,
}

/// There is no new promise and will be none under this id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReauthorizationRefused {
    pub payment_id: PaymentId,
    pub authorization_id: OperationId,
    pub amount: Money,
    pub refusal: Refusal,
    pub at: Timestamp,
}

/// The customer's bank took money back for now. The ledger is posted in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeOpened {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub owner: String,
    /// The provider's name for it.
    pub dispute_id: String,
    pub amount: Money,
    /// The provider's word.
    pub reason: String,
    pub at: Timestamp,
}

/// A dispute came to its end. If it was won, the ledger is posted in the same commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeClosed {
    pub payment_id: PaymentId,
    pub order_id: OrderId,
    pub owner: String,
    pub dispute_id: String,
    pub amount: Money,
    pub at: Timestamp,
}

/// Everything that can happen to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEvent {
    AuthorizationRequested(AuthorizationRequested),
    AuthorizationSucceeded(AuthorizationSucceeded),
    AuthorizationDeclined(AuthorizationDeclined),
    AuthorizationUnknown(Doubt),
    CaptureRequested(CaptureRequested),
    CaptureSucceeded(CaptureSucceeded),
    CaptureRefused(CaptureRefused),
    CaptureUnknown(Doubt),
    VoidRequested(VoidRequested),
    Voided(Voided),
    VoidRefused(VoidRefused),
    VoidUnknown(Doubt),
    RefundRequested(RefundRequested),
    RefundSucceeded(RefundSucceeded),
    RefundRefused(RefundRefused),
    RefundPending(Doubt),
    RefundUnknown(Doubt),
    PaymentTombstoned(PaymentTombstoned),
    ActionRequired(ActionRequired),
    AuthorizationExpired(AuthorizationExpired),
    ReauthorizationRequested(ReauthorizationRequested),
    ReauthorizationSucceeded(ReauthorizationSucceeded),
    ReauthorizationRefused(ReauthorizationRefused),
    ReauthorizationUnknown(Doubt),
    DisputeOpened(DisputeOpened),
    DisputeWon(DisputeClosed),
    DisputeLost(DisputeClosed),
}

stored_events!(PaymentEvent {
    AuthorizationRequested: 1,
    AuthorizationSucceeded: 1,
    AuthorizationDeclined: 1,
    AuthorizationUnknown: 1,
    CaptureRequested: 1,
    CaptureSucceeded: 1,
    CaptureRefused: 1,
    CaptureUnknown: 1,
    VoidRequested: 1,
    Voided: 1,
    VoidRefused: 1,
    VoidUnknown: 1,
    RefundRequested: 1,
    RefundSucceeded: 1,
    RefundRefused: 1,
    RefundPending: 1,
    RefundUnknown: 1,
    PaymentTombstoned: 1,
    ActionRequired: 1,
    AuthorizationExpired: 1,
    ReauthorizationRequested: 1,
    ReauthorizationSucceeded: 1,
    ReauthorizationRefused: 1,
    ReauthorizationUnknown: 1,
    DisputeOpened: 1,
    DisputeWon: 1,
    DisputeLost: 1,
});
