//! What stands in the books, as the objects of the HTTP API: intents, charges, refunds, and what is wrong.
//!
//! The books know every operation by its key. What a merchant notes in `metadata` is not stored beside it: an
//! intent's `metadata` is made of the keys, and requests that would note anything else are refused.
use super::form::name_of;
use crate::domain::{Authorization, Kind, Operation, Promise, Status};
use crate::proto;
use serde_json::{Map, Value, json};
use souk_kernel::Money;

/// An answer with its status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// An error object; `more` is what it holds besides.
    pub(crate) fn error(status: u16, kind: &str, code: &str, more: Value) -> Self {
        let mut error = json!({ "type": kind, "code": code });
        if let (Value::Object(error), Value::Object(more)) = (&mut error, more) {
            error.extend(more);
        }
        Self { status, body: json!({ "error": error }) }
    }

    pub(crate) fn invalid(parameter: &str) -> Self {
        Self::error(400, "invalid_request_error", "parameter_invalid", json!({ "param": parameter }))
    }

    pub(crate) fn missing() -> Self {
        Self::error(404, "invalid_request_error", "resource_missing", json!({}))
    }
}

/// What an operation is called in the metadata of its intent: its key without what all keys of one payment have
/// in common.
pub(crate) fn note_of(key: &str) -> &str {
    key.split_once(':').map_or(key, |(_, note)| note)
}

pub(crate) fn currency(money: Money) -> String {
    money.currency().code().to_ascii_lowercase()
}

/// The intent of this authorisation; `None` when nobody ever heard of it.
pub(crate) fn intent(key: &str, state: &Authorization) -> Option<Value> {
    let operation = state.operation(key);
    if operation.is_none() && state.promise() == Promise::Unheard {
        return None;
    }
    let amount = operation.and_then(|operation| operation.amount);
    let capturable = match state.promise() {
        Promise::Held { amount, .. } => amount.minor_units() - state.captured_minor(),
        Promise::Unheard | Promise::Refused | Promise::Voided { .. } => 0,
    };
    let is_voided = matches!(state.promise(), Promise::Voided { .. });
    let status = status(state, operation);
    let action = json!({
        "type": "redirect_to_url", "redirect_to_url": { "url": proto::action_url(key) },
    });
    Some(json!({
        "id": name_of("pi", key),
        "object": "payment_intent",
        "amount": amount.map(|amount| amount.minor_units()),
        "amount_capturable": capturable,
        "amount_received": state.captured_minor(),
        "currency": amount.map(currency),
        "capture_method": "manual",
        "status": status,
        "metadata": metadata(key, state),
        "next_action": (status == "requires_action").then_some(action),
        "last_payment_error": operation.and_then(last_error),
        "latest_charge": charge(key, state),
        "cancellation_reason": is_voided.then_some("requested_by_customer"),
    }))
}

/// An intent that was created and not confirmed: nothing stands in the books yet.
pub(crate) fn unconfirmed(key: &str, amount: i64, currency: &str) -> Value {
    json!({
        "id": name_of("pi", key),
        "object": "payment_intent",
        "amount": amount,
        "currency": currency,
        "status": "requires_confirmation",
        "metadata": { "key": key },
    })
}

fn status(state: &Authorization, operation: Option<&Operation>) -> &'static str {
    let has_captures = state.captured_minor() > 0;
    match state.promise() {
        Promise::Held { amount, .. } if state.captured_minor() == amount.minor_units() => "succeeded",
        Promise::Held { .. } => "requires_capture",
        Promise::Voided { .. } if has_captures => "succeeded",
        Promise::Voided { .. } => "canceled",
        Promise::Refused | Promise::Unheard => {
            let waits = operation.is_some_and(|operation| operation.status == Status::ActionRequired);
            if waits { "requires_action" } else { "requires_payment_method" }
        }
    }
}

fn last_error(operation: &Operation) -> Option<Value> {
    match &operation.status {
        Status::Declined(code) => {
            Some(json!({ "type": "card_error", "code": "card_declined", "decline_code": code }))
        }
        Status::Succeeded | Status::Pending | Status::ActionRequired => None,
    }
}

/// What was promised once has a charge, whatever became of it.
fn charge(key: &str, state: &Authorization) -> Option<Value> {
    let promised = match state.promise() {
        Promise::Held { amount, .. } => Some(amount),
        Promise::Voided { amount } => amount,
        Promise::Unheard | Promise::Refused => None,
    }?;
    let until = state.expires_at().map(|until| until.unix_s());
    Some(json!({
        "id": name_of("ch", key),
        "object": "charge",
        "amount": promised.minor_units(),
        "amount_captured": state.captured_minor(),
        "amount_refunded": state.refunded_minor(),
        "payment_method": state.method_token(),
        "payment_method_details": { "card": { "capture_before": until } },
    }))
}

fn metadata(key: &str, state: &Authorization) -> Value {
    let mut notes = Map::new();
    notes.insert("key".to_owned(), json!(key));
    if !state.reference().is_empty() {
        notes.insert("reference".to_owned(), json!(state.reference()));
    }
    for (key, operation) in state.operations() {
        let is_noted = matches!(operation.kind, Kind::Capture | Kind::Reauthorize);
        if let Some(amount) = operation.amount.filter(|_| is_noted && operation.status == Status::Succeeded) {
            notes.insert(note_of(key).to_owned(), json!(amount.minor_units().to_string()));
        }
    }
    Value::Object(notes)
}

/// Why a refund that was on its way did not arrive.
pub(crate) const REFUND_FAILED: &str = "refund_failed";

/// A refund; `None` when it was refused before there was one.
pub(crate) fn refund(authorization_key: &str, key: &str, operation: &Operation) -> Option<Value> {
    let (status, reason) = match &operation.status {
        Status::Succeeded => ("succeeded", None),
        Status::Pending => ("pending", None),
        Status::Declined(code) if code == REFUND_FAILED => ("failed", Some(REFUND_FAILED)),
        Status::Declined(_) | Status::ActionRequired => return None,
    };
    let amount = operation.amount.filter(|_| operation.kind == Kind::Refund)?;
    Some(json!({
        "id": name_of("re", key),
        "object": "refund",
        "amount": amount.minor_units(),
        "currency": currency(amount),
        "payment_intent": name_of("pi", authorization_key),
        "status": status,
        "failure_reason": reason,
        "metadata": { "key": key },
    }))
}

/// Why an operation is refused. `intent` is how things stand.
pub(crate) fn refusal(code: &str, intent: Option<Value>) -> Reply {
    let more = json!({ "payment_intent": intent });
    let invalid = |code: &str| Reply::error(400, "invalid_request_error", code, more.clone());
    match code {
        "voided" | "not_authorized" | "already_captured" => invalid("payment_intent_unexpected_state"),
        "authorization_expired" => invalid("charge_expired_for_capture"),
        "exceeds_authorized" | "exceeds_captured" => invalid("amount_too_large"),
        "not_expired" => invalid("authorization_not_expired"),
        declined => {
            let more = json!({ "decline_code": declined, "payment_intent": more["payment_intent"] });
            Reply::error(402, "card_error", "card_declined", more)
        }
    }
}
