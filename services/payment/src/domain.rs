//! The rules of payments. A payment is asked for once, captured in parts, voided or refunded; every
//! operation is recorded as an intent before the provider hears of it and as an outcome afterwards.
//!
//! Three pure questions drive everything: [`decide`] (may it be, and what is meant), [`next`] (what is there
//! to do about it now) and [`record`] (what does the provider's answer make of it). First call, retry and
//! recovery after a crash are the same path through them. Who calls the provider stands in `effects.rs`.
pub mod events;
pub mod ledger;
mod next;
mod payment;
#[cfg(test)]
pub(crate) mod tests;

pub use events::{PaymentEvent, Refusal, Source};
pub use next::{Next, next};
pub use payment::{Movement, Outcome, Payment, Promise, Status, Void, Waiting};

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
}

impl Want {
    /// The operation at the provider that this is about.
    pub fn step(&self) -> Step {
        match self {
            Want::Authorize { .. } => Step::Authorize,
            Want::Capture { id, .. } => Step::Capture(id.clone()),
            Want::Void { .. } => Step::Void,
            Want::Refund { id, .. } => Step::Refund(id.clone()),
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
}

/// What the provider has recorded about an operation. A call without an answer is none of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It had its effect.
    Succeeded,
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
        Promise::Held => Ok(()),
        Promise::Requested(_) => Err(unsettled("the authorisation's outcome is not known yet")),
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
        Promise::None | Promise::Requested(_) | Promise::Held => {}
    }
    if payment.has_captures() {
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
    let left = payment.captured_minor() - payment.refunded_minor() - payment.refunding_minor();
    let amount = wanted.amount.minor_units();
    if amount > left && amount <= left + payment.capturing_minor() {
        return Err(unsettled("whether it fits depends on a capture whose outcome is not known yet"));
    }
    if amount > left {
        return Ok(vec![PaymentEvent::RefundRefused(RefundRefused {
            payment_id: wanted.payment_id,
            refund_id: wanted.refund_id,
            amount: wanted.amount,
            refusal: Refusal::ExceedsCaptured,
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
        at: wanted.at,
    });
    let mut events = vec![PaymentEvent::RefundRequested(wanted)];
    if !needs_provider {
        events.push(succeeded);
    }
    Ok(events)
}

/// What the provider's answer about `step` makes of the payment. Nothing when the outcome is known already:
/// a late or repeated answer never moves a payment back (I-PA-5).
pub fn record(
    payment: &Payment,
    step: &Step,
    answer: &Answer,
    source: Source,
    now: Timestamp,
) -> Vec<PaymentEvent> {
    let (Some(request), Some(waiting)) = (payment.request(), payment.waiting(step)) else {
        return Vec::new();
    };
    let key = step.key(request.payment_id);
    match step {
        Step::Authorize => record_authorization(payment, request, answer, source, now),
        Step::Void => record_void(payment, request, answer, source, now),
        Step::Capture(id) => {
            let amount = amount_of(payment.captures().get(id), request);
            record_capture(
                CaptureSucceeded {
                    payment_id: request.payment_id,
                    capture_id: id.clone(),
                    amount,
                    key,
                    source,
                    at: now,
                },
                answer,
            )
        }
        Step::Refund(_) if *answer == Answer::Pending => {
            let pending = Doubt { payment_id: request.payment_id, key, at: now };
            let is_new = waiting != Waiting::Pending;
            is_new.then_some(PaymentEvent::RefundPending(pending)).into_iter().collect()
        }
        Step::Refund(id) => {
            let amount = amount_of(payment.refunds().get(id), request);
            record_refund(
                RefundSucceeded {
                    payment_id: request.payment_id,
                    refund_id: id.clone(),
                    amount,
                    key,
                    source,
                    at: now,
                },
                answer,
            )
        }
    }
}

/// Records, once per operation, that a call had no answer.
pub fn doubt(payment: &Payment, step: &Step, now: Timestamp) -> Vec<PaymentEvent> {
    let (Some(request), Some(Waiting::Called)) = (payment.request(), payment.waiting(step)) else {
        return Vec::new();
    };
    let doubt = Doubt { payment_id: request.payment_id, key: step.key(request.payment_id), at: now };
    vec![match step {
        Step::Authorize => PaymentEvent::AuthorizationUnknown(doubt),
        Step::Capture(_) => PaymentEvent::CaptureUnknown(doubt),
        Step::Void => PaymentEvent::VoidUnknown(doubt),
        Step::Refund(_) => PaymentEvent::RefundUnknown(doubt),
    }]
}

fn record_authorization(
    payment: &Payment,
    request: &AuthorizationRequested,
    answer: &Answer,
    source: Source,
    now: Timestamp,
) -> Vec<PaymentEvent> {
    let AuthorizationRequested { payment_id, order_id, amount, key, .. } = request.clone();
    match (answer, payment.void()) {
        (Answer::Pending, _) | (_, Void::Done) => Vec::new(),
        (Answer::Succeeded, Void::None | Void::Requested(_) | Void::Refused { .. }) => {
            let succeeded = AuthorizationSucceeded { payment_id, order_id, amount, key, source, at: now };
            vec![PaymentEvent::AuthorizationSucceeded(succeeded)]
        }
        (Answer::Declined(code), void) => {
            let code = code.clone();
            let declined = AuthorizationDeclined { payment_id, order_id, amount, key, code, source, at: now };
            let mut events = vec![PaymentEvent::AuthorizationDeclined(declined)];
            // There is nothing left that the provider could give up.
            if matches!(void, Void::Requested(_)) {
                events.push(PaymentEvent::Voided(voided_event(request, source, now)));
            }
            events
        }
    }
}

fn record_void(
    payment: &Payment,
    request: &AuthorizationRequested,
    answer: &Answer,
    source: Source,
    now: Timestamp,
) -> Vec<PaymentEvent> {
    match answer {
        Answer::Pending => Vec::new(),
        Answer::Succeeded => {
            let mut events = vec![PaymentEvent::Voided(voided_event(request, source, now))];
            // The provider gives nothing up once money was taken, so these will never have an effect.
            let open = payment.captures().iter().filter(|(_, capture)| capture.outcome.is_open());
            events.extend(open.map(|(id, capture)| {
                PaymentEvent::CaptureRefused(CaptureRefused {
                    payment_id: request.payment_id,
                    capture_id: id.clone(),
                    amount: capture.amount,
                    refusal: Refusal::PaymentVoided,
                    at: now,
                })
            }));
            events
        }
        Answer::Declined(code) => {
            let (payment_id, key) = (request.payment_id, Step::Void.key(request.payment_id));
            vec![PaymentEvent::VoidRefused(VoidRefused { payment_id, key, code: code.clone(), at: now })]
        }
    }
}

fn record_capture(done: CaptureSucceeded, answer: &Answer) -> Vec<PaymentEvent> {
    match answer {
        Answer::Pending => Vec::new(),
        Answer::Succeeded => vec![PaymentEvent::CaptureSucceeded(done)],
        Answer::Declined(code) => vec![PaymentEvent::CaptureRefused(CaptureRefused {
            payment_id: done.payment_id,
            capture_id: done.capture_id,
            amount: done.amount,
            refusal: capture_refusal(code),
            at: done.at,
        })],
    }
}

/// A capture that the provider declined because it had given the promise up lost against our own void.
fn capture_refusal(code: &str) -> Refusal {
    if code == "voided" { Refusal::PaymentVoided } else { Refusal::ByProvider(code.to_owned()) }
}

fn record_refund(done: RefundSucceeded, answer: &Answer) -> Vec<PaymentEvent> {
    match answer {
        Answer::Pending => Vec::new(),
        Answer::Succeeded => vec![PaymentEvent::RefundSucceeded(done)],
        Answer::Declined(code) => vec![PaymentEvent::RefundRefused(RefundRefused {
            payment_id: done.payment_id,
            refund_id: done.refund_id,
            amount: done.amount,
            refusal: Refusal::ByProvider(code.clone()),
            at: done.at,
        })],
    }
}

fn voided_event(request: &AuthorizationRequested, source: Source, at: Timestamp) -> Voided {
    let AuthorizationRequested { payment_id, order_id, amount, .. } = request.clone();
    Voided { payment_id, order_id, amount, key: Step::Void.key(payment_id), source, at }
}

fn amount_of(movement: Option<&Movement>, request: &AuthorizationRequested) -> Money {
    movement.map_or_else(|| Money::zero(request.amount.currency()), |movement| movement.amount)
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
