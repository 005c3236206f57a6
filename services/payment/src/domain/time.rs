//! What time does to a payment: promises expire, customers do not act, refunds are asked for again. Each has a timer
//! that is set and cancelled in the commit of the event that makes it needed or not.
use super::events::*;
use super::{OperationId, Payment, Promise, Void, Waiting};
use souk_contracts::terms::PaymentId;
use souk_decider::Aggregate;
use souk_kernel::{Money, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When the provider is asked for the first time about a refund that is on its way.
pub const FIRST_QUESTION: Duration = Duration::from_secs(60);

/// How long to wait when a promise cannot expire yet, since a capture of it is on its way.
pub const EXPIRY_AGAIN: Duration = Duration::from_secs(60);

/// The kind of all these timers.
pub const TIMER: &str = "payment";

/// What a timer is there for. Its text is the timer's key and payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// The promise expires.
    Expiry(PaymentId),
    /// The customer's time is over.
    Action(PaymentId),
    /// A refund is asked for.
    Refund(PaymentId, OperationId),
}

impl Alarm {
    /// Of which payment.
    pub fn payment_id(&self) -> PaymentId {
        match self {
            Alarm::Expiry(id) | Alarm::Action(id) | Alarm::Refund(id, _) => *id,
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::Expiry(id) => write!(f, "expiry:{id}"),
            Alarm::Action(id) => write!(f, "action:{id}"),
            Alarm::Refund(id, refund_id) => write!(f, "refund:{id}:{refund_id}"),
        }
    }
}

impl FromStr for Alarm {
    type Err = NotAnAlarm;

    fn from_str(text: &str) -> Result<Self, NotAnAlarm> {
        let (kind, rest) = text.split_once(':').ok_or(NotAnAlarm)?;
        let (id, refund_id) = rest.split_once(':').unwrap_or((rest, ""));
        let id = id.parse().map_err(|_| NotAnAlarm)?;
        match kind {
            "expiry" => Ok(Alarm::Expiry(id)),
            "action" => Ok(Alarm::Action(id)),
            "refund" => Ok(Alarm::Refund(id, refund_id.parse().map_err(|_| NotAnAlarm)?)),
            _ => Err(NotAnAlarm),
        }
    }
}

/// Why a text is not an [`Alarm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAlarm;

/// What is to be done about a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    /// Set it, in place of one that there may be.
    Set(Alarm, Timestamp),
    /// It is needed no more.
    Cancel(Alarm),
}

/// The promise's end. Nothing when there is no promise, all of it was taken, it is given up, or a capture is on its
/// way that may have come in time.
pub fn expire(payment: &Payment, now: Timestamp) -> Vec<PaymentEvent> {
    expire_but_for(payment, 0, now)
}

/// The same when captures of `open_minor` are known to have come to nothing.
pub(super) fn expire_but_for(payment: &Payment, open_minor: i64, now: Timestamp) -> Vec<PaymentEvent> {
    let Some(request) = payment.request() else { return Vec::new() };
    let is_kept = match payment.void() {
        Void::None | Void::Refused { .. } => true,
        Void::Requested(_) | Void::Done => false,
    };
    let is_promised = matches!(payment.promise(), Promise::Held { .. });
    let left = payment.left_minor();
    if !is_kept || !is_promised || left <= 0 || payment.capturing_minor() != open_minor {
        return Vec::new();
    }
    let AuthorizationRequested { payment_id, order_id, owner, amount, .. } = request.clone();
    let amount = Money::new(left, amount.currency());
    vec![PaymentEvent::AuthorizationExpired(AuthorizationExpired {
        payment_id,
        order_id,
        owner,
        amount,
        at: now,
    })]
}

/// What `events`, which happen to `payment`, mean for its timers.
pub fn timers(payment: &Payment, events: &[PaymentEvent]) -> Vec<TimerChange> {
    let mut payment = payment.clone();
    let mut changes = Vec::new();
    for event in events {
        let acts = matches!(payment.promise(), Promise::ActionRequired { .. });
        let pending =
            |id: &OperationId| payment.waiting(&super::Step::Refund(id.clone())) == Some(Waiting::Pending);
        match event {
            PaymentEvent::AuthorizationSucceeded(e) => {
                changes.extend(acts.then_some(TimerChange::Cancel(Alarm::Action(e.payment_id))));
                let until = e.expires_at.filter(|_| e.amount.minor_units() != 0);
                changes.extend(until.map(|until| TimerChange::Set(Alarm::Expiry(e.payment_id), until)));
            }
            PaymentEvent::ReauthorizationSucceeded(e) => {
                changes.push(TimerChange::Set(Alarm::Expiry(e.payment_id), e.expires_at));
            }
            PaymentEvent::ActionRequired(e) => {
                changes.push(TimerChange::Set(Alarm::Action(e.payment_id), e.expires_at));
            }
            PaymentEvent::AuthorizationDeclined(e) => {
                changes.extend(acts.then_some(TimerChange::Cancel(Alarm::Action(e.payment_id))));
            }
            PaymentEvent::Voided(e) => {
                changes.push(TimerChange::Cancel(Alarm::Expiry(e.payment_id)));
                changes.extend(acts.then_some(TimerChange::Cancel(Alarm::Action(e.payment_id))));
            }
            PaymentEvent::AuthorizationExpired(e) => {
                changes.push(TimerChange::Cancel(Alarm::Expiry(e.payment_id)));
            }
            PaymentEvent::CaptureSucceeded(e) if payment.left_minor() == e.amount.minor_units() => {
                changes.push(TimerChange::Cancel(Alarm::Expiry(e.payment_id)));
            }
            PaymentEvent::RefundPending(e) => {
                if let Some(super::Step::Refund(id)) = payment.step_of(&e.key) {
                    let alarm = Alarm::Refund(e.payment_id, id);
                    changes.push(TimerChange::Set(alarm, e.at.plus(FIRST_QUESTION)));
                }
            }
            PaymentEvent::RefundSucceeded(e) if pending(&e.refund_id) => {
                changes.push(TimerChange::Cancel(Alarm::Refund(e.payment_id, e.refund_id.clone())));
            }
            PaymentEvent::RefundRefused(e) if pending(&e.refund_id) => {
                changes.push(TimerChange::Cancel(Alarm::Refund(e.payment_id, e.refund_id.clone())));
            }
            PaymentEvent::AuthorizationRequested(_)
            | PaymentEvent::AuthorizationUnknown(_)
            | PaymentEvent::CaptureRequested(_)
            | PaymentEvent::CaptureSucceeded(_)
            | PaymentEvent::CaptureRefused(_)
            | PaymentEvent::CaptureUnknown(_)
            | PaymentEvent::VoidRequested(_)
            | PaymentEvent::VoidRefused(_)
            | PaymentEvent::VoidUnknown(_)
            | PaymentEvent::RefundRequested(_)
            | PaymentEvent::RefundSucceeded(_)
            | PaymentEvent::RefundRefused(_)
            | PaymentEvent::RefundUnknown(_)
            | PaymentEvent::PaymentTombstoned(_)
            | PaymentEvent::ReauthorizationRequested(_)
            | PaymentEvent::ReauthorizationRefused(_)
            | PaymentEvent::ReauthorizationUnknown(_)
            | PaymentEvent::DisputeOpened(_)
            | PaymentEvent::DisputeWon(_)
            | PaymentEvent::DisputeLost(_) => {}
        }
        payment.evolve(event);
    }
    changes
}
