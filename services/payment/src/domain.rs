//! The rules of payments. A payment is asked for once, captured in parts, voided or refunded; every
//! operation is recorded as an intent before the provider hears of it and as an outcome afterwards.
//!
//! Three pure questions drive everything: [`decide`] (may it be, and what is meant), [`next`] (what is there
//! to do about it now) and [`record`] (what does the provider's answer make of it). First call, retry and
//! recovery after a crash are the same path through them. Who calls the provider stands in `effects.rs`.
pub mod events;
pub mod ledger;
mod next;
pub mod notice;
mod payment;
pub mod reconciliation;
mod record;
#[cfg(test)]
pub(crate) mod tests;
pub mod time;

pub use events::{PaymentEvent, Refusal, Source};
pub use next::{Next, next};
pub use payment::{
    ACTION_EXPIRED, Dispute, DisputeStage, Movement, Outcome, Payment, Promise, Status, Void, Waiting,
};
pub use record::{ACTION_WITHIN, PROMISE_LENGTH, doubt, record};
pub use time::{Alarm, TimerChange, expire, timers};

use events::*;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_kernel::{Code, Money, Rejection, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How many captures and refunds one payment has at most, refused ones included.
pub const OPERATIONS_MAX: usize = 500;

/// The longest id of a capture or refund.
pub const OPERATION_ID_BYTES_MAX: usize = 64;

/// The caller's id of a capture or refund, unique within its payment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(Arc<str>);

/// Why a text is not an [`OperationId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnOperationId;

impl fmt::Display for NotAnOperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be 1 to {OPERATION_ID_BYTES_MAX} letters, digits, hyphens or underscores")
    }
}

impl FromStr for OperationId {
    type Err = NotAnOperationId;
    /// No colon may be in it: the provider's keys are made of it with colons.
    fn from_str(text: &str) -> Result<Self, NotAnOperationId> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = (1..=OPERATION_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.into())) } else { Err(NotAnOperationId) }
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wanted of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Of which one.
    pub payment_id: PaymentId,
    /// What.
    pub want: Want,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Ask the provider to promise the amount. Nothing to pay needs no provider.
    Authorize { order_id: OrderId, owner: String, amount: Money, method_token: String },
    /// Take (a part of) what is promised.
    Capture { id: OperationId, amount: Money },
    /// Give up what is promised. Of an unknown payment it leaves a tombstone.
    Void { reason: String },
    /// Give back (a part of) what was taken.
    Refund { id: OperationId, amount: Money, reason: String },
    /// Ask for a new promise after the old one expired.
    Reauthorize { id: OperationId, amount: Money },
}

impl Want {
    /// The operation at the provider that this is about.
    pub fn step(&self) -> Step {
        match self {
            Want::Authorize { .. } => Step::Authorize,
            Want::Capture { id, .. } => Step::Capture(id.clone()),
            Want::Void { .. } => Step::Void,
            Want::Refund { id, .. } => Step::Refund(id.clone()),
            Want::Reauthorize { id, .. } => Step::Reauthorize(id.clone()),
        }
    }
}

/// One operation at the provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The promise.
    Authorize,
    /// The capture of this id.
    Capture(OperationId),
    /// The end of the promise.
    Void,
    /// The refund of this id.
    Refund(OperationId),
    /// The new promise of this id.
    Reauthorize(OperationId),
}

/// What the provider has recorded about an operation. A call without an answer is none of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It had its effect.
    Succeeded,
    /// The amount is promised, until then.
    Promised(Timestamp),
    /// Nothing is promised until the customer has acted there, which the provider may not wait for beyond this time.
    ActionRequired { url: String, until: Option<Timestamp> },
    /// It will never have one; the code says why.
    Declined(String),
    /// The provider is still at it.
    Pending,
}

/// What `command` means, decided on the payment as it is. Nothing when it was said before.
///
/// # Errors
/// A rule that says no, or `UNAVAILABLE` when the answer depends on an operation whose outcome is not known
/// yet. What is refused under an id of its own for good is not an error here but an event, so that the id
/// hears the same for ever; [`next`] turns it into the refusal.
pub fn decide(payment: &Payment, command: &Command, now: Timestamp) -> Result<Vec<PaymentEvent>, Rejection> {
    let id = command.payment_id;
    match &command.want {
        Want::Authorize { order_id, owner, amount, method_token } => {
            let request = AuthorizationRequested {
                payment_id: id,
                order_id: *order_id,
                owner: owner.clone(),
                amount: *amount,
                method_token: method_token.clone(),
                key: Step::Authorize.key(id),
                at: now,
            };
            authorize(payment, request)
        }
        Want::Capture { id: capture_id, amount } => {
            let key = command.want.step().key(id);
            let capture_id = capture_id.clone();
            capture(payment, CaptureRequested { payment_id: id, capture_id, amount: *amount, key, at: now })
        }
        Want::Void { reason } => {
            let reason = reason.clone();
            void(payment, VoidRequested { payment_id: id, key: Step::Void.key(id), reason, at: now })
        }
        Want::Refund { id: refund_id, amount, reason } => {
            let key = command.want.step().key(id);
            let (refund_id, reason) = (refund_id.clone(), reason.clone());
            let request =
                RefundRequested { payment_id: id, refund_id, amount: *amount, reason, key, at: now };
            refund(payment, request)
        }
        Want::Reauthorize { id: authorization_id, amount } => {
            let key = command.want.step().key(id);
            let (authorization_id, amount) = (authorization_id.clone(), *amount);
            reauthorize(
                payment,
                ReauthorizationRequested { payment_id: id, authorization_id, amount, key, at: now },
            )
        }
    }
}

fn authorize(payment: &Payment, wanted: AuthorizationRequested) -> Result<Vec<PaymentEvent>, Rejection> {
    if let Some(known) = payment.request() {
        let is_same = known.order_id == wanted.order_id
            && known.amount == wanted.amount
            && known.method_token == wanted.method_token;
        return if is_same {
            Ok(Vec::new())
        } else {
            Err(conflict("this payment was asked for with other content"))
        };
    }
    match payment.void() {
        Void::Done => return Ok(Vec::new()),
        Void::None | Void::Requested(_) | Void::Refused { .. } => {}
    }
    let needs_provider = wanted.amount.minor_units() != 0;
    let succeeded = PaymentEvent::AuthorizationSucceeded(AuthorizationSucceeded {
        payment_id: wanted.payment_id,
        order_id: wanted.order_id,
        amount: wanted.amount,
        key: wanted.key.clone(),
        source: Source::Ourselves,
        owner: Some(wanted.owner.clone()),
        expires_at: None,
        at: wanted.at,
    });
    let mut events = vec![PaymentEvent::AuthorizationRequested(wanted)];
    if !needs_provider {
        events.push(succeeded);
    }
    Ok(events)
}

fn capture(payment: &Payment, wanted: CaptureRequested) -> Result<Vec<PaymentEvent>, Rejection> {
    if let Some(known) = payment.captures().get(&wanted.capture_id) {
        return said_before(known, wanted.amount);
    }
    capturable(payment)?;
    within_limits(payment, wanted.amount)?;
    let left = payment.authorized_minor() - payment.captured_minor();
    let amount = wanted.amount.minor_units();
    if amount > left {
        return Ok(vec![PaymentEvent::CaptureRefused(CaptureRefused {
            payment_id: wanted.payment_id,
            capture_id: wanted.capture_id,
            amount: wanted.amount,
            refusal: Refusal::ExceedsAuthorized,
            at: wanted.at,
        })]);
    }
    if amount > left - payment.capturing_minor() {
        return Err(unsettled("whether it fits depends on a capture whose outcome is not known yet"));
    }
    let needs_provider = amount != 0;
    let succeeded = PaymentEvent::CaptureSucceeded(CaptureSucceeded {
        payment_id: wanted.payment_id,
        capture_id: wanted.capture_id.clone(),
        amount: wanted.amount,
        key: wanted.key.clone(),
        source: Source::Ourselves,
        owner: owner_of(payment),
        at: wanted.at,
    });
    let mut events = vec![PaymentEvent::CaptureRequested(wanted)];
    if !needs_provider {
        events.push(succeeded);
    }
    Ok(events)
}

/// Whether the payment is in a state from which anything may be captured.
fn capturable(payment: &Payment) -> Result<(), Rejection> {
    match payment.void() {
        Void::Done => return Err(voided()),
        Void::Requested(_) => return Err(unsettled("a void is on its way")),
        Void::None | Void::Refused { .. } => {}
    }
    match payment.promise() {
        Promise::Held { .. } => Ok(()),
        Promise::Requested(_) => Err(unsettled("the authorisation's outcome is not known yet")),
        Promise::ActionRequired { .. } => Err(not_authorized("the customer has not acted yet")),
        Promise::Expired => {
            Err(Rejection::new("AUTHORIZATION_EXPIRED", "the promise expired: ask for a new one"))
        }
        Promise::None => Err(not_authorized("nothing was authorised under this payment")),
        Promise::Declined { .. } => Err(not_authorized("the authorisation was declined")),
    }
}

fn void(payment: &Payment, wanted: VoidRequested) -> Result<Vec<PaymentEvent>, Rejection> {
    let Some(request) = payment.request() else {
        let VoidRequested { payment_id, reason, at, .. } = wanted;
        let is_unknown = *payment.void() == Void::None;
        let tombstone = PaymentEvent::PaymentTombstoned(PaymentTombstoned { payment_id, reason, at });
        return Ok(is_unknown.then_some(tombstone).into_iter().collect());
    };
    match payment.void() {
        Void::Done | Void::Requested(_) | Void::Refused { .. } => return Ok(Vec::new()),
        Void::None => {}
    }
    match payment.promise() {
        Promise::Declined { .. } => return Ok(Vec::new()),
        Promise::None
        | Promise::Requested(_)
        | Promise::ActionRequired { .. }
        | Promise::Held { .. }
        | Promise::Expired => {}
    }
    if is_all_taken(payment) {
        return Err(already_captured());
    }
    let needs_provider = request.amount.minor_units() != 0;
    let done = PaymentEvent::Voided(voided_event(request, Source::Ourselves, wanted.at));
    let mut events = vec![PaymentEvent::VoidRequested(wanted)];
    if !needs_provider {
        events.push(done);
    }
    Ok(events)
}

fn refund(payment: &Payment, wanted: RefundRequested) -> Result<Vec<PaymentEvent>, Rejection> {
    if let Some(known) = payment.refunds().get(&wanted.refund_id) {
        return said_before(known, wanted.amount);
    }
    if payment.request().is_none() {
        return Err(not_authorized("nothing was paid under this payment"));
    }
    within_limits(payment, wanted.amount)?;
    // What a dispute keeps away is not given back a second time.
    let left = payment.captured_minor()
        - payment.refunded_minor()
        - payment.refunding_minor()
        - payment.disputed_minor();
    let amount = wanted.amount.minor_units();
    if amount > left && amount <= left + payment.capturing_minor() {
        return Err(unsettled("whether it fits depends on a capture whose outcome is not known yet"));
    }
    // A refusal is for ever, and a dispute is not.
    if amount > left && amount <= left + payment.capturing_minor() + payment.contested_minor() {
        return Err(unsettled("whether it fits depends on a dispute that is not decided yet"));
    }
    if amount > left {
        return Ok(vec![PaymentEvent::RefundRefused(RefundRefused {
            payment_id: wanted.payment_id,
            refund_id: wanted.refund_id,
            amount: wanted.amount,
            refusal: Refusal::ExceedsCaptured,
            owner: owner_of(payment),
            at: wanted.at,
        })]);
    }
    let needs_provider = amount != 0;
    let succeeded = PaymentEvent::RefundSucceeded(RefundSucceeded {
        payment_id: wanted.payment_id,
        refund_id: wanted.refund_id.clone(),
        amount: wanted.amount,
        key: wanted.key.clone(),
        source: Source::Ourselves,
        owner: owner_of(payment),
        at: wanted.at,
    });
    let mut events = vec![PaymentEvent::RefundRequested(wanted)];
    if !needs_provider {
        events.push(succeeded);
    }
    Ok(events)
}

fn reauthorize(payment: &Payment, wanted: ReauthorizationRequested) -> Result<Vec<PaymentEvent>, Rejection> {
    if let Some(known) = payment.renewals().get(&wanted.authorization_id) {
        return said_before(known, wanted.amount);
    }
    match payment.void() {
        Void::Done => return Err(voided()),
        Void::Requested(_) => return Err(unsettled("a void is on its way")),
        Void::None | Void::Refused { .. } => {}
    }
    within_limits(payment, wanted.amount)?;
    let ReauthorizationRequested { payment_id, authorization_id, amount, at, .. } = wanted.clone();
    let refused = |refusal| {
        let refused = ReauthorizationRefused { payment_id, authorization_id, amount, refusal, at };
        Ok(vec![PaymentEvent::ReauthorizationRefused(refused)])
    };
    match payment.promise() {
        Promise::Requested(_) => return Err(unsettled("the authorisation's outcome is not known yet")),
        Promise::None | Promise::ActionRequired { .. } | Promise::Declined { .. } => {
            return Err(not_authorized("nothing was promised that could be promised anew"));
        }
        Promise::Held { until } if until.is_none_or(|until| at < until) => {
            return refused(Refusal::NotExpired);
        }
        Promise::Held { .. } | Promise::Expired => {}
    }
    let asked_for = payment.request().map_or(0, |request| request.amount.minor_units());
    if amount.minor_units() == 0 || amount.minor_units() > asked_for - payment.captured_minor() {
        return refused(Refusal::ExceedsAuthorized);
    }
    if payment.renewals().values().any(|renewal| renewal.outcome.is_open()) {
        return Err(unsettled("another new promise is on its way"));
    }
    let mut events = Vec::new();
    if *payment.promise() != Promise::Expired {
        events = expire(payment, at);
        if events.is_empty() {
            return Err(unsettled("a capture of the old promise is on its way"));
        }
    }
    events.push(PaymentEvent::ReauthorizationRequested(wanted));
    Ok(events)
}

fn voided_event(request: &AuthorizationRequested, source: Source, at: Timestamp) -> Voided {
    let AuthorizationRequested { payment_id, order_id, amount, .. } = request.clone();
    let owner = Some(request.owner.clone());
    Voided { payment_id, order_id, amount, key: Step::Void.key(payment_id), source, owner, at }
}

fn owner_of(payment: &Payment) -> Option<String> {
    payment.request().map(|request| request.owner.clone())
}

/// Whether there was something to take and all of it was taken. Of nothing to pay the whole is nothing.
fn is_all_taken(payment: &Payment) -> bool {
    payment.has_captures()
        && payment.captured_minor() == payment.authorized_minor()
        && *payment.promise() != Promise::Expired
}

fn said_before(known: &Movement, amount: Money) -> Result<Vec<PaymentEvent>, Rejection> {
    if known.amount == amount { Ok(Vec::new()) } else { Err(conflict("this id stands for another amount")) }
}

/// One currency per payment (I-PA-6), and a bounded number of operations.
fn within_limits(payment: &Payment, amount: Money) -> Result<(), Rejection> {
    let own = payment.request().map(|request| request.amount.currency());
    if own.is_some_and(|own| own != amount.currency()) {
        return Err(conflict("the payment is in another currency"));
    }
    if payment.captures().len() + payment.refunds().len() >= OPERATIONS_MAX {
        let message = format!("a payment has at most {OPERATIONS_MAX} captures and refunds");
        return Err(Rejection::new("TOO_MANY_OPERATIONS", message));
    }
    Ok(())
}

fn conflict(message: &str) -> Rejection {
    Rejection::new("PAYMENT_CONFLICT", message)
}

fn not_authorized(message: &str) -> Rejection {
    Rejection::new("NOT_AUTHORIZED", message)
}

fn voided() -> Rejection {
    Rejection::new("PAYMENT_VOIDED", "the payment was voided")
}

fn already_captured() -> Rejection {
    Rejection::new("ALREADY_CAPTURED", "money was taken already: refund it instead")
}

/// The answer depends on something that is not known yet; trying again later gives it.
fn unsettled(message: &str) -> Rejection {
    Rejection::new("OUTCOME_UNKNOWN", message).code(Code::Unavailable)
}
