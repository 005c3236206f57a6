//! Requests to commands, operations to messages. Every faulty field of a request is named.
use crate::domain::{Authorization, Command, Kind, Operation, Status};
use souk_contracts::provider::v1 as pb;
use souk_contracts::terms::{money_from_proto, money_to_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Invalid, Money, Timestamp};
use std::time::Duration;

const KEY_BYTES_MAX: usize = 200;
const TOKEN_BYTES_MAX: usize = 128;
const REFERENCE_BYTES_MAX: usize = 200;

pub(crate) fn authorize(request: pb::AuthorizeRequest) -> Result<Command, Invalid> {
    let mut invalid = Invalid::new();
    visible(&mut invalid, "key", &request.key, KEY_BYTES_MAX);
    visible(&mut invalid, "methodToken", &request.method_token, TOKEN_BYTES_MAX);
    if request.reference.len() > REFERENCE_BYTES_MAX || request.reference.chars().any(char::is_control) {
        let what = format!("must be at most {REFERENCE_BYTES_MAX} bytes without control characters");
        invalid.add("reference", what);
    }
    let amount = amount(&mut invalid, request.amount.as_ref());
    let pb::AuthorizeRequest { key, method_token, reference, .. } = request;
    invalid.finish(amount.map(|amount| Command::Authorize { key, amount, method_token, reference }))
}

pub(crate) fn capture(request: pb::CaptureRequest) -> Result<Command, Invalid> {
    let pb::CaptureRequest { key, authorization_key, amount: wanted } = request;
    let mut invalid = keys(&key, &authorization_key);
    let amount = amount(&mut invalid, wanted.as_ref());
    invalid.finish(amount.map(|amount| Command::Capture { key, authorization_key, amount }))
}

pub(crate) fn void(request: pb::VoidRequest) -> Result<Command, Invalid> {
    let pb::VoidRequest { key, authorization_key } = request;
    keys(&key, &authorization_key).finish(Some(Command::Void { key, authorization_key }))
}

pub(crate) fn refund(request: pb::RefundRequest) -> Result<Command, Invalid> {
    let pb::RefundRequest { key, authorization_key, amount: wanted } = request;
    let mut invalid = keys(&key, &authorization_key);
    let amount = amount(&mut invalid, wanted.as_ref());
    invalid.finish(amount.map(|amount| Command::Refund { key, authorization_key, amount }))
}

pub(crate) fn reauthorize(request: pb::ReauthorizeRequest) -> Result<Command, Invalid> {
    let pb::ReauthorizeRequest { key, authorization_key, amount: wanted } = request;
    let mut invalid = keys(&key, &authorization_key);
    let amount = amount(&mut invalid, wanted.as_ref());
    invalid.finish(amount.map(|amount| Command::Reauthorize { key, authorization_key, amount }))
}

pub(crate) fn complete_action(request: pb::CompleteActionRequest) -> Result<String, Invalid> {
    let mut invalid = Invalid::new();
    visible(&mut invalid, "authorizationKey", &request.authorization_key, KEY_BYTES_MAX);
    invalid.finish(Some(request.authorization_key))
}

/// A page of the report of a day.
pub(crate) struct Page {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The last operation that was seen.
    pub(crate) after: (Timestamp, String),
}

pub(crate) fn list_operations(request: &pb::ListOperationsRequest) -> Result<Page, Invalid> {
    let mut invalid = Invalid::new();
    let from = Timestamp::parse(&format!("{}T00:00:00Z", request.date)).ok();
    if from.is_none() {
        invalid.add("date", "must be a day such as 2026-03-01");
    }
    let after = after(&request.page_token);
    if after.is_none() {
        invalid.add("pageToken", "must be as the page before gave it");
    }
    let page = || {
        let from = from?;
        Some(Page { from, to: from.plus(DAY), after: after? })
    };
    invalid.finish(page())
}

/// The last operation that a page token names.
pub(crate) fn after(page_token: &str) -> Option<(Timestamp, String)> {
    match page_token.split_once(' ') {
        None if page_token.is_empty() => Some((Timestamp::EPOCH, String::new())),
        None => None,
        Some((us, key)) => us.parse().ok().map(|us| (Timestamp::from_unix_us(us), key.to_owned())),
    }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) fn find(request: pb::FindByKeyRequest) -> Result<String, Invalid> {
    let mut invalid = Invalid::new();
    visible(&mut invalid, "key", &request.key, KEY_BYTES_MAX);
    invalid.finish(Some(request.key))
}

/// What stands in the books under `key`, as a message.
pub(crate) fn operation(
    state: &Authorization,
    key: &str,
    authorization_key: &str,
    operation: &Operation,
) -> pb::Operation {
    let (status, decline_code) = match &operation.status {
        Status::Succeeded => (pb::OperationStatus::Succeeded, ""),
        Status::Declined(code) => (pb::OperationStatus::Declined, code.as_str()),
        Status::Pending => (pb::OperationStatus::Pending, ""),
        Status::ActionRequired => (pb::OperationStatus::RequiresAction, ""),
    };
    let kind = match operation.kind {
        Kind::Authorize => pb::OperationKind::Authorize,
        Kind::Capture => pb::OperationKind::Capture,
        Kind::Void => pb::OperationKind::Void,
        Kind::Refund => pb::OperationKind::Refund,
        Kind::Reauthorize => pb::OperationKind::Reauthorize,
    };
    let is_promise = matches!(operation.kind, Kind::Authorize | Kind::Reauthorize);
    let expires_at = state.expires_at().filter(|_| is_promise && operation.status == Status::Succeeded);
    let action_url = match operation.status {
        Status::ActionRequired => action_url(key),
        Status::Succeeded | Status::Declined(_) | Status::Pending => String::new(),
    };
    pb::Operation {
        key: key.to_owned(),
        kind: kind.into(),
        status: status.into(),
        decline_code: decline_code.to_owned(),
        amount: operation.amount.map(money_to_proto),
        authorization_key: authorization_key.to_owned(),
        expires_at: expires_at.map(souk_rpc::time::to_proto),
        action_url,
    }
}

/// Where the customer acts.
pub(crate) fn action_url(key: &str) -> String {
    format!("https://acs.provider.example/challenge/{key}")
}

fn keys(key: &str, authorization_key: &str) -> Invalid {
    let mut invalid = Invalid::new();
    visible(&mut invalid, "key", key, KEY_BYTES_MAX);
    visible(&mut invalid, "authorizationKey", authorization_key, KEY_BYTES_MAX);
    invalid
}

fn visible(invalid: &mut Invalid, field: &str, text: &str, bytes_max: usize) {
    let fits = (1..=bytes_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        invalid.add(field, format!("must be 1 to {bytes_max} visible ASCII characters"));
    }
}

fn amount(invalid: &mut Invalid, message: Option<&MoneyMessage>) -> Option<Money> {
    let Some(message) = message else {
        invalid.add("amount", "is missing");
        return None;
    };
    let amount = invalid.take("amount", money_from_proto(message))?;
    if amount.minor_units() <= 0 {
        invalid.add("amount", "must be more than nothing");
    }
    Some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor_units: i64, currency: &str) -> Option<MoneyMessage> {
        Some(MoneyMessage { minor_units, currency: currency.to_owned() })
    }

    fn fields<T: std::fmt::Debug>(read: Result<T, Invalid>) -> Vec<String> {
        let invalid = read.expect_err("it must not be readable");
        invalid.fields().iter().map(|field| field.field.clone()).collect()
    }

    #[test]
    fn every_faulty_field_is_named() {
        let nothing = pb::AuthorizeRequest::default();
        assert_eq!(fields(authorize(nothing)), ["key", "methodToken", "amount"]);
        let bad = pb::AuthorizeRequest {
            key: "a b".to_owned(),
            amount: money(0, "GBP"),
            method_token: "x".repeat(TOKEN_BYTES_MAX + 1),
            reference: "a\nb".to_owned(),
        };
        assert_eq!(fields(authorize(bad)), ["key", "methodToken", "reference", "amount"]);
        let foreign = pb::CaptureRequest { amount: money(1, "gbp"), ..Default::default() };
        assert_eq!(fields(capture(foreign)), ["key", "authorizationKey", "amount"]);
        assert_eq!(fields(void(pb::VoidRequest::default())), ["key", "authorizationKey"]);
        assert_eq!(fields(refund(pb::RefundRequest::default())), ["key", "authorizationKey", "amount"]);
        let foreign = pb::ReauthorizeRequest { amount: money(0, "GBP"), ..Default::default() };
        assert_eq!(fields(reauthorize(foreign)), ["key", "authorizationKey", "amount"]);
        assert_eq!(fields(complete_action(pb::CompleteActionRequest::default())), ["authorizationKey"]);
        let report = |date: &str, page_token: &str| {
            let (date, page_token) = (date.to_owned(), page_token.to_owned());
            list_operations(&pb::ListOperationsRequest { date, page_token }).map(|page| page.after.1)
        };
        assert_eq!(fields(report("yesterday", "x")), ["date", "pageToken"]);
        assert_eq!(report("2026-03-01", "12 a:b"), Ok("a:b".to_owned()));
        let long = pb::FindByKeyRequest { key: "k".repeat(KEY_BYTES_MAX + 1) };
        assert_eq!(fields(find(long)), ["key"]);
    }
}
