//! Notifications as events of the HTTP API: `type`, `data.object`, and the key of the request behind it.
use super::form::name_of;
use super::shape::{note_of, refund};
use crate::domain::{Kind, Operation, Status};
use serde_json::{Value, json};
use souk_contracts::provider::v1 as pb;
use souk_contracts::provider::v1::notification::About;
use souk_contracts::terms::money_from_proto;
use souk_contracts::types::v1::Money;
use souk_kernel::Timestamp;

/// The body of the event for `notification`; `None` when the API has no event for it.
pub fn event(notification: &pb::Notification, now: Timestamp) -> Option<Vec<u8>> {
    let (kind, object, key) = match notification.about.as_ref()? {
        About::Operation(operation) => {
            let (kind, object) = of_operation(operation)?;
            (kind, object, Some(operation.key.as_str()))
        }
        About::Dispute(dispute) => {
            let (kind, object) = of_dispute(dispute)?;
            (kind, object, None)
        }
    };
    let event = json!({
        "id": notification.event_id,
        "object": "event",
        "type": kind,
        "created": now.unix_s(),
        "data": { "object": object },
        "request": { "idempotency_key": key },
    });
    Some(event.to_string().into_bytes())
}

fn of_operation(operation: &pb::Operation) -> Option<(&'static str, Value)> {
    match operation.kind() {
        pb::OperationKind::Authorize | pb::OperationKind::Reauthorize => of_promise(operation),
        pb::OperationKind::Capture => of_capture(operation),
        pb::OperationKind::Void => {
            let is_void = operation.status() == pb::OperationStatus::Succeeded;
            is_void.then(|| ("payment_intent.canceled", intent(operation, "canceled", json!({}))))
        }
        pb::OperationKind::Refund => of_refund(operation),
        pb::OperationKind::Unspecified => None,
    }
}

fn of_promise(operation: &pb::Operation) -> Option<(&'static str, Value)> {
    match operation.status() {
        pb::OperationStatus::Succeeded => {
            let until = operation.expires_at.as_ref().map(|until| until.seconds);
            let details = json!({ "card": { "capture_before": until } });
            let charge = json!({ "object": "charge", "payment_method_details": details });
            let object = intent(operation, "requires_capture", json!({ "latest_charge": charge }));
            Some(("payment_intent.amount_capturable_updated", object))
        }
        pb::OperationStatus::Declined => {
            let error = json!({ "type": "card_error", "decline_code": operation.decline_code });
            let more = json!({ "last_payment_error": error });
            Some(("payment_intent.payment_failed", intent(operation, "requires_payment_method", more)))
        }
        pb::OperationStatus::RequiresAction => {
            Some(("payment_intent.requires_action", intent(operation, "requires_action", json!({}))))
        }
        pb::OperationStatus::Pending | pb::OperationStatus::Unspecified => None,
    }
}

fn of_capture(operation: &pb::Operation) -> Option<(&'static str, Value)> {
    match operation.status() {
        pb::OperationStatus::Succeeded => {
            Some(("payment_intent.succeeded", intent(operation, "succeeded", json!({}))))
        }
        pb::OperationStatus::Declined
        | pb::OperationStatus::Pending
        | pb::OperationStatus::RequiresAction
        | pb::OperationStatus::Unspecified => None,
    }
}

fn of_refund(operation: &pb::Operation) -> Option<(&'static str, Value)> {
    let status = match operation.status() {
        pb::OperationStatus::Succeeded => Status::Succeeded,
        pb::OperationStatus::Declined => Status::Declined(operation.decline_code.clone()),
        pb::OperationStatus::Pending => Status::Pending,
        pb::OperationStatus::RequiresAction | pb::OperationStatus::Unspecified => return None,
    };
    let amount = operation.amount.as_ref().and_then(|amount| money_from_proto(amount).ok());
    let (kind, key) = (Kind::Refund, &operation.key);
    let refund = refund(&operation.authorization_key, key, &Operation { kind, status, amount })?;
    match operation.status() {
        pb::OperationStatus::Succeeded => {
            let charge = name_of("ch", &operation.authorization_key);
            let refunds = json!({ "object": "list", "data": [refund] });
            Some(("charge.refunded", json!({ "id": charge, "object": "charge", "refunds": refunds })))
        }
        pb::OperationStatus::Declined => Some(("refund.failed", refund)),
        pb::OperationStatus::Pending => Some(("refund.created", refund)),
        pb::OperationStatus::RequiresAction | pb::OperationStatus::Unspecified => None,
    }
}

/// As much of the intent as the event is about.
fn intent(operation: &pb::Operation, status: &str, more: Value) -> Value {
    let key = &operation.authorization_key;
    let amount = operation.amount.as_ref().map(|amount| amount.minor_units);
    let mut metadata = json!({ "key": key });
    if let (true, Some(amount)) = (operation.key != *key, amount) {
        metadata[note_of(&operation.key)] = json!(amount.to_string());
    }
    let mut intent = json!({
        "id": name_of("pi", key),
        "object": "payment_intent",
        "amount": amount,
        "currency": lower(operation.amount.as_ref()),
        "status": status,
        "metadata": metadata,
    });
    if let (Value::Object(intent), Value::Object(more)) = (&mut intent, more) {
        intent.extend(more);
    }
    intent
}

fn lower(amount: Option<&Money>) -> Option<String> {
    amount.map(|amount| amount.currency.to_ascii_lowercase())
}

fn of_dispute(dispute: &pb::Dispute) -> Option<(&'static str, Value)> {
    let (kind, status) = match dispute.status() {
        pb::DisputeStatus::Open => ("charge.dispute.created", "needs_response"),
        pb::DisputeStatus::Won => ("charge.dispute.closed", "won"),
        pb::DisputeStatus::Lost => ("charge.dispute.closed", "lost"),
        pb::DisputeStatus::Unspecified => return None,
    };
    let key = &dispute.authorization_key;
    let object = json!({
        "id": dispute.dispute_id,
        "object": "dispute",
        "amount": dispute.amount.as_ref().map(|amount| amount.minor_units),
        "currency": lower(dispute.amount.as_ref()),
        "status": status,
        "reason": dispute.reason,
        "payment_intent": { "id": name_of("pi", key), "metadata": { "key": key } },
    });
    Some((kind, object))
}
