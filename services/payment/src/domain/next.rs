//! What there is to do now about something wanted, once the intent is stored.
use super::{Outcome, Payment, Promise, Refusal, Step, Void, Want};
use souk_kernel::Rejection;
use std::collections::BTreeSet;

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the payment as it is holds the answer.
    Answer,
    /// Nothing: it was refused for good.
    Refuse(Rejection),
    /// Ask the provider by key what became of the operation.
    Find(Step),
    /// Call the provider with the operation's key.
    Perform(Step),
    /// Nothing at the moment: the outcome depends on an operation that somebody else carries out.
    Wait(&'static str),
}

/// What to do about `want`. `unheard` are the operations of which the provider is known to have no record:
/// those whose intent was stored just now, and those about which it said so.
pub fn next(payment: &Payment, want: &Want, unheard: &BTreeSet<Step>) -> Next {
    match want {
        Want::Authorize { .. } => authorize(payment, unheard),
        Want::Capture { id, .. } => {
            let step = Step::Capture(id.clone());
            match payment.captures().get(id).map(|capture| &capture.outcome) {
                None => Next::Wait("the capture is not recorded yet"),
                Some(Outcome::Succeeded) => Next::Answer,
                Some(Outcome::Refused(refusal)) => Next::Refuse(refused("CAPTURE_REFUSED", refusal)),
                Some(Outcome::Requested(_)) => unless_voiding(payment, step, unheard),
            }
        }
        Want::Void { .. } => void(payment, unheard),
        Want::Refund { id, .. } => match payment.refunds().get(id).map(|refund| &refund.outcome) {
            None => Next::Wait("the refund is not recorded yet"),
            Some(Outcome::Succeeded) => Next::Answer,
            Some(Outcome::Refused(refusal)) => Next::Refuse(refused("REFUND_REFUSED", refusal)),
            Some(Outcome::Requested(_)) => find_then_perform(Step::Refund(id.clone()), unheard),
        },
        Want::Reauthorize { id, .. } => match payment.renewals().get(id).map(|renewal| &renewal.outcome) {
            None => Next::Wait("the new promise is not recorded yet"),
            Some(Outcome::Succeeded) => Next::Answer,
            Some(Outcome::Refused(refusal)) => Next::Refuse(refused("REAUTHORIZATION_REFUSED", refusal)),
            Some(Outcome::Requested(_)) => unless_voiding(payment, Step::Reauthorize(id.clone()), unheard),
        },
    }
}

fn authorize(payment: &Payment, unheard: &BTreeSet<Step>) -> Next {
    match payment.void() {
        Void::Done => return Next::Answer,
        Void::None | Void::Requested(_) | Void::Refused { .. } => {}
    }
    match payment.promise() {
        Promise::Held { .. }
        | Promise::ActionRequired { .. }
        | Promise::Expired
        | Promise::Declined { .. } => Next::Answer,
        Promise::Requested(_) => unless_voiding(payment, Step::Authorize, unheard),
        Promise::None => Next::Wait("the request is not recorded yet"),
    }
}

/// Before the promise is given up, everything is settled that could have had an effect; what the provider
/// has not heard of by then is refused by its tombstone.
fn void(payment: &Payment, unheard: &BTreeSet<Step>) -> Next {
    if super::is_all_taken(payment) {
        return Next::Refuse(super::already_captured());
    }
    match payment.void() {
        // A capture may have come just before the void: the same key tells, and has no other effect.
        Void::Done => {
            let open = payment.open_steps().into_iter().find(|step| matches!(step, Step::Capture(_)));
            return open.map_or(Next::Answer, Next::Perform);
        }
        Void::Refused { code } => return Next::Refuse(void_refused(code)),
        Void::None | Void::Requested(_) => {}
    }
    match payment.promise() {
        Promise::Declined { .. } => return Next::Answer,
        Promise::ActionRequired { .. } => return find_then_perform(Step::Void, unheard),
        Promise::None | Promise::Requested(_) | Promise::Held { .. } | Promise::Expired => {}
    }
    let is_promise_or_capture =
        |step: &Step| matches!(step, Step::Authorize | Step::Capture(_) | Step::Reauthorize(_));
    let blocks = |step: &Step| is_promise_or_capture(step) && !unheard.contains(step);
    match payment.open_steps().into_iter().find(blocks) {
        Some(step) => Next::Find(step),
        None => find_then_perform(Step::Void, unheard),
    }
}

/// Nothing is promised or taken any more once a void is meant.
fn unless_voiding(payment: &Payment, step: Step, unheard: &BTreeSet<Step>) -> Next {
    match payment.void() {
        Void::Requested(_) if unheard.contains(&step) => Next::Wait("a void is on its way"),
        Void::Requested(_) => Next::Find(step),
        Void::None | Void::Refused { .. } | Void::Done => find_then_perform(step, unheard),
    }
}

fn find_then_perform(step: Step, unheard: &BTreeSet<Step>) -> Next {
    if unheard.contains(&step) { Next::Perform(step) } else { Next::Find(step) }
}

fn refused(by_provider: &'static str, refusal: &Refusal) -> Rejection {
    match refusal {
        Refusal::ExceedsAuthorized => {
            Rejection::new("CAPTURE_EXCEEDS_AUTHORIZED", "more than is authorised and not captured yet")
        }
        Refusal::ExceedsCaptured => {
            Rejection::new("REFUND_EXCEEDS_CAPTURED", "more than was captured and not refunded yet")
        }
        Refusal::PaymentVoided => super::voided(),
        Refusal::NotExpired => {
            Rejection::new(by_provider, "the old promise still holds").with("decline_code", "not_expired")
        }
        Refusal::ByProvider(code) => {
            Rejection::new(by_provider, "the payment provider refused").with("decline_code", code)
        }
    }
}

fn void_refused(code: &str) -> Rejection {
    if code == "already_captured" {
        return super::already_captured();
    }
    Rejection::new("VOID_REFUSED", "the payment provider refused").with("decline_code", code)
}
