//! What the provider of the HTTP API tells by itself: events, read into the same notices as everybody else's.
use super::NAME;
use super::read::{Fault, Intent, Refund, money};
use crate::domain::Answer;
use crate::domain::notice::{About, Notice, Stage, Told};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use souk_kernel::{Invalid, Money};
use std::collections::BTreeMap;

/// The longest id of an event or a dispute, and the longest reason of one.
const ID_BYTES_MAX: usize = 300;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Content,
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Content {
    object: Value,
}

/// The request that the event came of.
#[derive(Deserialize)]
struct Request {
    idempotency_key: Option<String>,
}

#[derive(Deserialize)]
struct Charge {
    refunds: Refunds,
}

#[derive(Deserialize)]
struct Refunds {
    data: Vec<Refund>,
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    reason: String,
    payment_intent: Disputed,
}

/// The intent that a dispute is about, which must be told with what we noted on it.
#[derive(Deserialize)]
struct Disputed {
    metadata: BTreeMap<String, String>,
}

/// Reads an event whose signature is good.
pub(crate) fn read(body: &[u8]) -> Result<Notice, Invalid> {
    let event: Event = serde_json::from_slice(body).map_err(|_| Invalid::field("body", "is no event"))?;
    if !is_short(&event.id) {
        return Err(Invalid::field("body.id", format!("must be 1 to {ID_BYTES_MAX} bytes")));
    }
    let key = event.request.and_then(|request| request.idempotency_key);
    let object = event.data.object;
    let (about, amount) = match event.kind.as_str() {
        "payment_intent.amount_capturable_updated" => promised(key, object)?,
        "payment_intent.payment_failed" => failed(key, object)?,
        "payment_intent.requires_action" => of_promise(key, parsed(object)?, Told::Pending)?,
        "payment_intent.succeeded" => captured(key, object)?,
        "payment_intent.canceled" => {
            let key = key.ok_or_else(|| Invalid::field("body.request.idempotency_key", "is missing"))?;
            (About::Operation { key, told: Told::Succeeded }, None)
        }
        "charge.refunded" => {
            let charge: Charge = parsed(object)?;
            let refund = charge.refunds.data.into_iter().next();
            refunded(refund.ok_or_else(|| Invalid::field("body.data.object.refunds", "is empty"))?)?
        }
        "refund.created" | "refund.updated" | "refund.failed" => refunded(parsed(object)?)?,
        "charge.dispute.created" | "charge.dispute.closed" => disputed(parsed(object)?)?,
        _ => return Err(Invalid::field("body.type", "is none that is listened to")),
    };
    Ok(Notice { provider: NAME.to_owned(), event_id: event.id, about, amount })
}

type Read = Result<(About, Option<Money>), Invalid>;

fn parsed<T: DeserializeOwned>(object: Value) -> Result<T, Invalid> {
    serde_json::from_value(object)
        .map_err(|why| Invalid::field("body.data.object", format!("cannot be read: {why}")))
}

fn is_short(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn amount_of(minor_units: Option<i64>, currency: Option<&str>) -> Result<Money, Invalid> {
    let amount = minor_units.zip(currency).and_then(|(amount, currency)| money(amount, currency));
    amount.ok_or_else(|| Invalid::field("body.data.object.amount", "is missing or in no known currency"))
}

/// The key of the operation: that of the request, or the intent's own.
fn key_of(request: Option<String>, metadata: &BTreeMap<String, String>) -> Result<String, Invalid> {
    let key = request.or_else(|| metadata.get("key").cloned());
    key.ok_or_else(|| Invalid::field("body.data.object.metadata.key", "is missing"))
}

fn of_promise(key: Option<String>, intent: Intent, told: Told) -> Read {
    let amount = amount_of(intent.amount, intent.currency.as_deref())?;
    Ok((About::Operation { key: key_of(key, &intent.metadata)?, told }, Some(amount)))
}

fn promised(key: Option<String>, object: Value) -> Read {
    let intent: Intent = parsed(object)?;
    let told = told(intent.promised());
    of_promise(key, intent, told)
}

fn failed(key: Option<String>, object: Value) -> Read {
    let intent: Intent = parsed(object)?;
    let code = intent.last_payment_error.as_ref().and_then(Fault::declined);
    let field = "body.data.object.last_payment_error";
    let code = code.ok_or_else(|| Invalid::field(field, "says nothing"))?;
    of_promise(key, intent, Told::Declined(code))
}

/// An intent may be taken in parts: which one it was is said by the request, and how much by what we noted.
fn captured(key: Option<String>, object: Value) -> Read {
    let intent: Intent = parsed(object)?;
    let key = key.ok_or_else(|| Invalid::field("body.request.idempotency_key", "is missing"))?;
    let note = super::note_of(&key);
    let minor_units = intent.metadata.get(note).and_then(|amount| amount.parse().ok());
    let amount = amount_of(minor_units, intent.currency.as_deref())?;
    Ok((About::Operation { key, told: Told::Succeeded }, Some(amount)))
}

fn refunded(refund: Refund) -> Read {
    let amount = amount_of(Some(refund.amount), Some(&refund.currency))?;
    let told = told(refund.answer());
    Ok((About::Operation { key: key_of(None, &refund.metadata)?, told }, Some(amount)))
}

fn told(answer: Answer) -> Told {
    match answer {
        Answer::Succeeded => Told::Succeeded,
        Answer::Promised(until) => Told::Promised(until),
        Answer::Declined(code) => Told::Declined(code),
        Answer::Pending | Answer::ActionRequired { .. } => Told::Pending,
    }
}

fn disputed(dispute: Dispute) -> Read {
    let stage = match dispute.status.as_str() {
        "needs_response" | "under_review" => Stage::Open,
        "won" => Stage::Won,
        "lost" => Stage::Lost,
        _ => return Err(Invalid::field("body.data.object.status", "is not known")),
    };
    for (field, text) in [("id", &dispute.id), ("reason", &dispute.reason)] {
        if !is_short(text) {
            let what = format!("must be 1 to {ID_BYTES_MAX} bytes");
            return Err(Invalid::field(format!("body.data.object.{field}"), what));
        }
    }
    let amount = amount_of(Some(dispute.amount), Some(&dispute.currency))?;
    let authorization_key = key_of(None, &dispute.payment_intent.metadata)?;
    let Dispute { id: dispute_id, reason, .. } = dispute;
    Ok((About::Dispute { authorization_key, dispute_id, stage, reason }, Some(amount)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_read_names_its_field() {
        let event =
            |kind: &str, object: Value| json!({ "id": "evt_1", "type": kind, "data": { "object": object } });
        let intent =
            json!({ "id": "pi_1", "status": "succeeded", "currency": "gbp", "metadata": { "key": "a" } });
        let refund = json!({ "id": "re_1", "status": "failed", "amount": 1, "currency": "GBP" });
        let dispute = json!({
            "id": "d", "amount": 1, "currency": "gbp", "status": "odd", "reason": "r",
            "payment_intent": { "metadata": {} },
        });
        for (body, field) in [
            (json!("?"), "body"),
            (json!({ "id": "", "type": "x", "data": { "object": {} } }), "body.id"),
            (event("payment_intent.partying", json!({})), "body.type"),
            (event("payment_intent.succeeded", json!({ "id": "pi_1" })), "body.data.object"),
            (event("payment_intent.succeeded", intent.clone()), "body.request.idempotency_key"),
            (event("payment_intent.canceled", intent.clone()), "body.request.idempotency_key"),
            (event("payment_intent.amount_capturable_updated", intent.clone()), "body.data.object.amount"),
            (event("payment_intent.payment_failed", intent), "body.data.object.last_payment_error"),
            (event("charge.refunded", json!({ "refunds": { "data": [] } })), "body.data.object.refunds"),
            (event("refund.failed", refund), "body.data.object.amount"),
            (event("charge.dispute.closed", dispute), "body.data.object.status"),
        ] {
            let invalid = read(body.to_string().as_bytes()).expect_err("it must not be readable");
            assert_eq!(invalid.fields()[0].field, field, "{body}");
        }
    }
}
