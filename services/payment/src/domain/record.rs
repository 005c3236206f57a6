//! What the provider's word makes of a payment, whoever brings it: the answer to a call, a question by key, or a
//! notification.
use super::events::*;
use super::time::expire_but_for;
use super::{ACTION_EXPIRED, Answer, Payment, Promise, Step, Void, Waiting, owner_of, voided_event};
use souk_kernel::{Money, Timestamp};
use std::time::Duration;

/// How long the customer has to act.
pub const ACTION_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long a promise is good for when the provider does not say.
pub const PROMISE_LENGTH: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The provider's code for a capture that came after the promise's end.
const EXPIRED: &str = "authorization_expired";

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
    let said = Said { payment, request, answer, source, at: now };
    match step {
        Step::Authorize => said.of_authorization(),
        Step::Void => said.of_void(),
        Step::Capture(id) => said.of_capture(id, step),
        Step::Refund(id) => said.of_refund(id, step, waiting),
        Step::Reauthorize(id) => said.of_renewal(id, step),
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
        Step::Reauthorize(_) => PaymentEvent::ReauthorizationUnknown(doubt),
    }]
}

/// One answer about one operation that is open.
struct Said<'a> {
    payment: &'a Payment,
    request: &'a AuthorizationRequested,
    answer: &'a Answer,
    source: Source,
    at: Timestamp,
}

impl Said<'_> {
    fn owner(&self) -> Option<String> {
        owner_of(self.payment)
    }

    fn amount(&self, step: &Step) -> Money {
        self.payment.amount_of(step).unwrap_or_else(|| Money::zero(self.request.amount.currency()))
    }

    fn of_authorization(&self) -> Vec<PaymentEvent> {
        let until = match self.answer {
            Answer::Pending => return Vec::new(),
            Answer::ActionRequired { url, until } => return self.action_required(url, *until),
            Answer::Declined(code) => return self.authorization_declined(code),
            Answer::Promised(until) => *until,
            Answer::Succeeded => self.at.plus(PROMISE_LENGTH),
        };
        let AuthorizationRequested { payment_id, order_id, amount, key, .. } = self.request.clone();
        vec![PaymentEvent::AuthorizationSucceeded(AuthorizationSucceeded {
            payment_id,
            order_id,
            amount,
            key,
            source: self.source,
            owner: self.owner(),
            expires_at: Some(until),
            at: self.at,
        })]
    }

    fn action_required(&self, url: &str, until: Option<Timestamp>) -> Vec<PaymentEvent> {
        if self.payment.waiting(&Step::Authorize) == Some(Waiting::Pending) {
            return Vec::new();
        }
        let AuthorizationRequested { payment_id, order_id, owner, amount, key, .. } = self.request.clone();
        let ours = self.at.plus(ACTION_WITHIN);
        vec![PaymentEvent::ActionRequired(ActionRequired {
            payment_id,
            order_id,
            owner,
            amount,
            key,
            action_url: url.to_owned(),
            expires_at: until.map_or(ours, |until| until.min(ours)),
            source: self.source,
            at: self.at,
        })]
    }

    fn authorization_declined(&self, code: &str) -> Vec<PaymentEvent> {
        let AuthorizationRequested { payment_id, order_id, amount, key, .. } = self.request.clone();
        let mut events = vec![PaymentEvent::AuthorizationDeclined(AuthorizationDeclined {
            payment_id,
            order_id,
            amount,
            key,
            code: code.to_owned(),
            source: self.source,
            owner: self.owner(),
            at: self.at,
        })];
        // There is nothing left that the provider could give up.
        if matches!(self.payment.void(), Void::Requested(_)) {
            events.push(PaymentEvent::Voided(voided_event(self.request, self.source, self.at)));
        }
        events
    }

    /// Captures that are still open stay so: one of them may have come just before the void, so each is asked for.
    fn of_void(&self) -> Vec<PaymentEvent> {
        let (payment_id, at) = (self.request.payment_id, self.at);
        match self.answer {
            Answer::Pending | Answer::ActionRequired { .. } => Vec::new(),
            Answer::Succeeded | Answer::Promised(_) => {
                let mut events = self.action_over();
                events.push(PaymentEvent::Voided(voided_event(self.request, self.source, at)));
                events
            }
            Answer::Declined(code) => {
                let (key, code) = (Step::Void.key(payment_id), code.clone());
                vec![PaymentEvent::VoidRefused(VoidRefused { payment_id, key, code, at })]
            }
        }
    }

    /// A customer who did not act in time has nothing promised.
    fn action_over(&self) -> Vec<PaymentEvent> {
        let waits = matches!(self.payment.promise(), Promise::ActionRequired { .. });
        if !waits || !self.payment.is_action_over() {
            return Vec::new();
        }
        let AuthorizationRequested { payment_id, order_id, amount, key, .. } = self.request.clone();
        vec![PaymentEvent::AuthorizationDeclined(AuthorizationDeclined {
            payment_id,
            order_id,
            amount,
            key,
            code: ACTION_EXPIRED.to_owned(),
            source: Source::Time,
            owner: self.owner(),
            at: self.at,
        })]
    }

    fn of_capture(&self, id: &super::OperationId, step: &Step) -> Vec<PaymentEvent> {
        let (payment_id, capture_id, at) = (self.request.payment_id, id.clone(), self.at);
        let (amount, key) = (self.amount(step), step.key(payment_id));
        match self.answer {
            Answer::Pending | Answer::ActionRequired { .. } => Vec::new(),
            Answer::Succeeded | Answer::Promised(_) => {
                let (source, owner) = (self.source, self.owner());
                let done = CaptureSucceeded { payment_id, capture_id, amount, key, source, owner, at };
                vec![PaymentEvent::CaptureSucceeded(done)]
            }
            Answer::Declined(code) => {
                let refusal = capture_refusal(code);
                let refused = CaptureRefused { payment_id, capture_id, amount, refusal, at };
                let mut events = vec![PaymentEvent::CaptureRefused(refused)];
                if code == EXPIRED {
                    events.extend(expire_but_for(self.payment, amount.minor_units(), at));
                }
                events
            }
        }
    }

    fn of_refund(&self, id: &super::OperationId, step: &Step, waiting: Waiting) -> Vec<PaymentEvent> {
        let (payment_id, refund_id, at) = (self.request.payment_id, id.clone(), self.at);
        let (amount, key, owner) = (self.amount(step), step.key(payment_id), self.owner());
        match self.answer {
            Answer::ActionRequired { .. } => Vec::new(),
            Answer::Pending if waiting == Waiting::Pending => Vec::new(),
            Answer::Pending => vec![PaymentEvent::RefundPending(Doubt { payment_id, key, at })],
            Answer::Succeeded | Answer::Promised(_) => {
                let source = self.source;
                let done = RefundSucceeded { payment_id, refund_id, amount, key, source, owner, at };
                vec![PaymentEvent::RefundSucceeded(done)]
            }
            Answer::Declined(code) => {
                let refusal = Refusal::ByProvider(code.clone());
                let refused = RefundRefused { payment_id, refund_id, amount, refusal, owner, at };
                vec![PaymentEvent::RefundRefused(refused)]
            }
        }
    }

    fn of_renewal(&self, id: &super::OperationId, step: &Step) -> Vec<PaymentEvent> {
        let (payment_id, authorization_id, at) = (self.request.payment_id, id.clone(), self.at);
        let (amount, key) = (self.amount(step), step.key(payment_id));
        let refused = |code: &str| {
            let (authorization_id, refusal) =
                (authorization_id.clone(), Refusal::ByProvider(code.to_owned()));
            let refused = ReauthorizationRefused { payment_id, authorization_id, amount, refusal, at };
            vec![PaymentEvent::ReauthorizationRefused(refused)]
        };
        let expires_at = match self.answer {
            Answer::Pending => return Vec::new(),
            // Nobody is there who could act.
            Answer::ActionRequired { .. } => return refused("requires_action"),
            Answer::Declined(code) => return refused(code),
            Answer::Promised(until) => *until,
            Answer::Succeeded => at.plus(PROMISE_LENGTH),
        };
        let AuthorizationRequested { order_id, owner, .. } = self.request.clone();
        vec![PaymentEvent::ReauthorizationSucceeded(ReauthorizationSucceeded {
            payment_id,
            order_id,
            owner,
            authorization_id,
            amount,
            key,
            source: self.source,
            expires_at,
            at,
        })]
    }
}

/// A capture that the provider declined because it had given the promise up lost against our own void.
fn capture_refusal(code: &str) -> Refusal {
    if code == "voided" { Refusal::PaymentVoided } else { Refusal::ByProvider(code.to_owned()) }
}
