//! Requests to commands, operations to messages. Every faulty field of a request is named.
use crate::domain::{Command, Kind, Operation, Status};
use souk_contracts::provider::v1 as pb;
use souk_contracts::terms::{money_from_proto, money_to_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Invalid, Money};

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

pub(crate) fn find(request: pb::FindByKeyRequest) -> Result<String, Invalid> {
    let mut invalid = Invalid::new();
    visible(&mut invalid, "key", &request.key, KEY_BYTES_MAX);
    invalid.finish(Some(request.key))
}

/// What stands in the books under `key`, as a message.
pub(crate) fn operation(key: &str, authorization_key: &str, operation: &Operation) -> pb::Operation {
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
    };
    pb::Operation {
        key: key.to_owned(),
        kind: kind.into(),
        status: status.into(),
        decline_code: decline_code.to_owned(),
        amount: operation.amount.map(money_to_proto),
        authorization_key: authorization_key.to_owned(),
    }
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
        let long = pb::FindByKeyRequest { key: "k".repeat(KEY_BYTES_MAX + 1) };
        assert_eq!(fields(find(long)), ["key"]);
    }
}
