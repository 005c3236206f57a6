//! The objects of the HTTP API, and what they say about our operations. What is not understood is no answer.
use super::client::Answered;
use crate::domain::Answer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use souk_kernel::{Currency, Error, Money, Timestamp};
use std::collections::BTreeMap;

/// How an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

/// An intent, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    next_action: Option<NextAction>,
    pub(crate) last_payment_error: Option<Fault>,
    latest_charge: Option<Charge>,
    cancellation_reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct NextAction {
    redirect_to_url: Option<Redirect>,
}

#[derive(Debug, Clone, Deserialize)]
struct Redirect {
    url: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Charge {
    payment_method_details: Option<Details>,
}

#[derive(Debug, Clone, Deserialize)]
struct Details {
    card: Option<Card>,
}

#[derive(Debug, Clone, Deserialize)]
struct Card {
    capture_before: Option<i64>,
}

/// What is wrong, in the provider's words.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Fault {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    payment_intent: Option<Box<Intent>>,
}

#[derive(Debug, Deserialize)]
struct Failed {
    error: Fault,
}

/// A list of objects.
#[derive(Debug, Deserialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) has_more: bool,
    pub(crate) next_page: Option<String>,
}

/// How a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
}

/// A refund.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) status: RefundStatus,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) failure_reason: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A movement of money in the provider's report.
#[derive(Debug, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) source: Source,
}

/// What a movement came from.
#[derive(Debug, Deserialize)]
pub(crate) struct Source {
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}

pub(crate) fn unreadable() -> Error {
    Error::unavailable("the payment provider's answer cannot be read")
}

/// Reads an object.
pub(crate) fn object<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|why| unreadable().with_source(why))
}

/// Reads the answer to a question.
pub(crate) fn asked<T: DeserializeOwned>(answered: Answered) -> Result<T, Error> {
    if answered.status == 200 { object(answered.body) } else { Err(unclear(&answered)) }
}

/// What a request to do something came to.
pub(crate) enum Done<T> {
    /// This object.
    As(T),
    /// The provider said no for good, with this code.
    Refused(String),
}

/// Reads the answer to a request to do something. Only what the provider can never take back is a refusal.
pub(crate) fn done<T: DeserializeOwned>(answered: Answered) -> Result<Done<T>, Error> {
    if answered.status == 200 {
        return object(answered.body).map(Done::As);
    }
    let is_refusal = matches!(answered.status, 400 | 402);
    let failed = is_refusal.then(|| serde_json::from_value::<Failed>(answered.body.clone()).ok()).flatten();
    let code = failed.and_then(|failed| refusal(&failed.error));
    code.map(Done::Refused).ok_or_else(|| unclear(&answered))
}

fn unclear(answered: &Answered) -> Error {
    let code = answered.body.pointer("/error/code").and_then(Value::as_str).unwrap_or("none");
    tracing::warn!(http.status = answered.status, code = %code.escape_debug(), "payment provider's answer is unclear");
    Error::unavailable("the payment provider's answer says neither yes nor no")
}

/// Why it is a no for good, in our words; `None` when it is not.
fn refusal(fault: &Fault) -> Option<String> {
    match (fault.kind.as_str(), fault.code.as_deref()) {
        ("card_error", _) => fault.declined(),
        ("invalid_request_error", Some("charge_expired_for_capture")) => {
            Some("authorization_expired".to_owned())
        }
        ("invalid_request_error", Some("authorization_not_expired")) => Some("not_expired".to_owned()),
        ("invalid_request_error", Some("amount_too_large")) => Some("amount_too_large".to_owned()),
        ("invalid_request_error", Some("payment_intent_unexpected_state")) => {
            fault.payment_intent.as_deref().and_then(unexpected).map(str::to_owned)
        }
        _ => None,
    }
}

impl Fault {
    /// Why a payment method was declined.
    pub(crate) fn declined(&self) -> Option<String> {
        self.decline_code.clone().or_else(|| self.code.clone())
    }
}

/// Why an intent that stands like this is not what it should be for a capture or a cancellation.
fn unexpected(intent: &Intent) -> Option<&'static str> {
    if intent.is_given_up() {
        return Some("voided");
    }
    match intent.status {
        Status::Succeeded => Some("already_captured"),
        Status::RequiresPaymentMethod | Status::RequiresAction | Status::RequiresConfirmation => {
            Some("not_authorized")
        }
        Status::Processing | Status::RequiresCapture | Status::Canceled => None,
    }
}

impl Intent {
    /// Whether what was not taken is given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.cancellation_reason.is_some()
    }

    /// Whether it was made to keep a key from being used and has nothing behind it.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.status == Status::RequiresConfirmation
    }

    /// The promise, with its end where it has one.
    pub(crate) fn promised(&self) -> Answer {
        let details = self.latest_charge.as_ref().and_then(|charge| charge.payment_method_details.as_ref());
        let until = details.and_then(|details| details.card.as_ref()).and_then(|card| card.capture_before);
        until.map_or(Answer::Succeeded, |until| Answer::Promised(Timestamp::from_unix_s(until)))
    }

    /// What became of the authorisation.
    pub(crate) fn authorization(&self) -> Result<Answer, Error> {
        let declined = || self.last_payment_error.as_ref().and_then(Fault::declined);
        match self.status {
            Status::RequiresCapture | Status::Succeeded => Ok(self.promised()),
            Status::RequiresPaymentMethod => declined().map(Answer::Declined).ok_or_else(unreadable),
            Status::RequiresAction => {
                let redirect = self.next_action.as_ref().and_then(|next| next.redirect_to_url.as_ref());
                let url = redirect.map(|redirect| redirect.url.clone()).ok_or_else(unreadable)?;
                Ok(Answer::ActionRequired { url, until: None })
            }
            Status::Processing => Ok(Answer::Pending),
            // What was promised before it was given up has a charge.
            Status::Canceled if self.latest_charge.is_some() => Ok(Answer::Succeeded),
            Status::Canceled => Ok(Answer::Declined(declined().unwrap_or_else(|| "voided".to_owned()))),
            Status::RequiresConfirmation => Err(unreadable()),
        }
    }

    /// Whether an operation that leaves a note has had its effect.
    pub(crate) fn has(&self, note: &str) -> bool {
        self.metadata.contains_key(note)
    }
}

impl Refund {
    /// What became of it.
    pub(crate) fn answer(&self) -> Answer {
        match self.status {
            RefundStatus::Succeeded => Answer::Succeeded,
            RefundStatus::Pending | RefundStatus::RequiresAction => Answer::Pending,
            RefundStatus::Failed | RefundStatus::Canceled => {
                Answer::Declined(self.failure_reason.clone().unwrap_or_else(|| "refund_failed".to_owned()))
            }
        }
    }
}

/// Minor units and a currency in small letters.
pub(crate) fn money(minor_units: i64, currency: &str) -> Option<Money> {
    let is_lower = currency.bytes().all(|byte| byte.is_ascii_lowercase());
    let currency = Currency::parse(&currency.to_ascii_uppercase()).filter(|_| is_lower)?;
    Some(Money::new(minor_units, currency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(status: u16, body: Value) -> Result<Option<String>, ()> {
        match done::<Intent>(Answered { status, body }) {
            Ok(Done::As(_)) => Ok(None),
            Ok(Done::Refused(code)) => Ok(Some(code)),
            Err(_) => Err(()),
        }
    }

    fn error(kind: &str, code: &str, more: &[(&str, Value)]) -> Value {
        let mut error = json!({ "type": kind, "code": code });
        more.iter().for_each(|(name, value)| error[*name] = value.clone());
        json!({ "error": error })
    }

    #[test]
    fn only_a_clear_no_is_a_refusal() {
        let intent = |status: &str| ("payment_intent", json!({ "id": "pi_1", "status": status }));
        let invalid = "invalid_request_error";
        let unexpected = "payment_intent_unexpected_state";
        let funds = [("decline_code", json!("insufficient_funds"))];
        let is = |code: &str| Ok(Some(code.to_owned()));
        for (status, body, expected) in [
            (200, json!({ "id": "pi_1", "status": "requires_capture" }), Ok(None)),
            (200, json!({ "id": "pi_1", "status": "requires_prayer" }), Err(())),
            (200, json!("?"), Err(())),
            (402, error("card_error", "card_declined", &funds), is("insufficient_funds")),
            (402, error("card_error", "expired_card", &[]), is("expired_card")),
            (500, error("card_error", "card_declined", &funds), Err(())),
            (400, error(invalid, "charge_expired_for_capture", &[]), is("authorization_expired")),
            (400, error(invalid, unexpected, &[intent("succeeded")]), is("already_captured")),
            (400, error(invalid, unexpected, &[intent("requires_action")]), is("not_authorized")),
            (400, error(invalid, unexpected, &[intent("processing")]), Err(())),
            (400, error(invalid, unexpected, &[]), Err(())),
            (400, error(invalid, "parameter_invalid", &[]), Err(())),
            (400, error("idempotency_error", "idempotency_key_in_use", &[]), Err(())),
            (401, error("authentication_error", "api_key_invalid", &[]), Err(())),
            (404, error(invalid, "resource_missing", &[]), Err(())),
            (429, error("rate_limit_error", "rate_limit", &[]), Err(())),
            (500, error("api_error", "provider_error", &[]), Err(())),
            (502, json!(null), Err(())),
        ] {
            assert_eq!(outcome(status, body.clone()), expected, "{status} {body}");
        }
    }

    #[test]
    fn money_is_written_in_small_letters() {
        assert_eq!(money(5, "jpy").map(|money| money.currency().code().to_owned()).as_deref(), Some("JPY"));
        for bad in ["", "GBP", "gb", "xyz"] {
            assert_eq!(money(5, bad), None, "{bad}");
        }
    }
}
