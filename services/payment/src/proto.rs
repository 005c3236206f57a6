//! Messages to commands and payments to messages. Every faulty field of a request is named.
use crate::domain::{Command, Payment, Promise, Status, Want};
use souk_contracts::payment::v1 as pb;
use souk_contracts::terms::{OrderId, PaymentId, money_from_proto, money_to_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Invalid, Money, TypeId};

/// The longest token of a payment method.
pub const TOKEN_BYTES_MAX: usize = 128;

/// The longest reason.
pub const REASON_BYTES_MAX: usize = 200;

/// How many digits a card number has.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// Reads what is to be authorised on behalf of `owner`.
pub fn authorize(request: pb::AuthorizeRequest, owner: &str) -> Result<Command, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    if let (Some(payment_id), Some(order_id)) = (payment_id, order_id)
        && payment_id.uuid() != order_id.uuid()
    {
        invalid.add("paymentId", "must be made of the order's id");
    }
    let amount = amount(&mut invalid, request.amount.as_ref());
    let method_token = request.payment_method_token;
    if let Err(what) = check_token(&method_token) {
        invalid.add("paymentMethodToken", what);
    }
    let command = || {
        let want =
            Want::Authorize { order_id: order_id?, owner: owner.to_owned(), amount: amount?, method_token };
        Some(Command { payment_id: payment_id?, want })
    };
    invalid.finish(command())
}

/// Reads what is to be captured.
pub fn capture(request: pb::CaptureRequest) -> Result<Command, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    let id = invalid.take("captureId", request.capture_id.parse());
    let amount = amount(&mut invalid, request.amount.as_ref());
    let command =
        || Some(Command { payment_id: payment_id?, want: Want::Capture { id: id?, amount: amount? } });
    invalid.finish(command())
}

/// Reads what is to be voided.
pub fn void(request: pb::VoidRequest) -> Result<Command, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    let reason = reason(&mut invalid, request.reason);
    invalid.finish(payment_id.map(|payment_id| Command { payment_id, want: Want::Void { reason } }))
}

/// Reads what is to be refunded.
pub fn refund(request: pb::RefundRequest) -> Result<Command, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    let id = invalid.take("refundId", request.refund_id.parse());
    let amount = amount(&mut invalid, request.amount.as_ref());
    let reason = reason(&mut invalid, request.reason);
    let command =
        || Some(Command { payment_id: payment_id?, want: Want::Refund { id: id?, amount: amount?, reason } });
    invalid.finish(command())
}

/// Reads which payment is wanted.
pub fn get(request: &pb::GetPaymentRequest) -> Result<PaymentId, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    invalid.finish(payment_id)
}

/// A payment as a message. Of a tombstone there are no amounts.
pub fn payment(payment_id: PaymentId, payment: &Payment) -> pb::Payment {
    let currency = payment.request().map(|request| request.amount.currency());
    let money = |minor_units| currency.map(|currency| money_to_proto(Money::new(minor_units, currency)));
    let decline_code = match payment.promise() {
        Promise::Declined { code } => code.clone(),
        Promise::None | Promise::Requested(_) | Promise::Held => String::new(),
    };
    pb::Payment {
        payment_id: payment_id.to_string(),
        order_id: OrderId::from_uuid(payment_id.uuid()).to_string(),
        status: status(payment.status()).into(),
        authorized: money(payment.authorized_minor()),
        captured: money(payment.captured_minor()),
        refunded: money(payment.refunded_minor()),
        decline_code,
        updated_at: Some(souk_rpc::time::to_proto(payment.updated_at())),
        ..pb::Payment::default()
    }
}

/// One account's balance as a message.
pub fn balance(account: &str, amount: MoneyMessage) -> pb::Balance {
    pb::Balance { account: account.to_owned(), balance: Some(amount) }
}

fn status(status: Status) -> pb::PaymentStatus {
    match status {
        Status::Unheard => pb::PaymentStatus::Unspecified,
        Status::Authorizing => pb::PaymentStatus::Authorizing,
        Status::Unknown => pb::PaymentStatus::Unknown,
        Status::Authorized => pb::PaymentStatus::Authorized,
        Status::Declined => pb::PaymentStatus::Declined,
        Status::Voided => pb::PaymentStatus::Voided,
        Status::PartiallyCaptured => pb::PaymentStatus::PartiallyCaptured,
        Status::Captured => pb::PaymentStatus::Captured,
        Status::PartiallyRefunded => pb::PaymentStatus::PartiallyRefunded,
        Status::Refunded => pb::PaymentStatus::Refunded,
    }
}

fn amount(invalid: &mut Invalid, message: Option<&MoneyMessage>) -> Option<Money> {
    let Some(message) = message else {
        invalid.add("amount", "is missing");
        return None;
    };
    let amount = invalid.take("amount", money_from_proto(message))?;
    if amount.minor_units() < 0 {
        invalid.add("amount", "must not be negative");
    }
    Some(amount)
}

fn check_token(token: &str) -> Result<(), String> {
    let is_visible = token.bytes().all(|b| b.is_ascii_graphic());
    if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) || !is_visible {
        return Err(format!("must be 1 to {TOKEN_BYTES_MAX} visible ASCII characters"));
    }
    if looks_like_a_card(token) {
        return Err("must be a token, never a card number".to_owned());
    }
    Ok(())
}

/// Only digits and separators, and as many digits as a card has: nothing that may be stored.
fn looks_like_a_card(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let separators = token.bytes().filter(|b| matches!(b, b'-' | b'.' | b'_')).count();
    CARD_DIGITS.contains(&digits) && digits + separators == token.len()
}

fn reason(invalid: &mut Invalid, reason: String) -> String {
    if reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        invalid.add("reason", format!("must be at most {REASON_BYTES_MAX} bytes without control characters"));
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{gbp, order_id, payment_id};
    use souk_kernel::Timestamp;

    fn fields<T: std::fmt::Debug>(read: Result<T, Invalid>) -> Vec<String> {
        let invalid = read.expect_err("it must not be readable");
        invalid.fields().iter().map(|field| field.field.clone()).collect()
    }

    fn good() -> pb::AuthorizeRequest {
        pb::AuthorizeRequest {
            payment_id: payment_id().to_string(),
            order_id: order_id().to_string(),
            amount: Some(gbp(100).into()),
            payment_method_token: "ok".to_owned(),
        }
    }

    #[test]
    fn every_faulty_field_is_named() {
        let nothing = authorize(pb::AuthorizeRequest::default(), "gst_1");
        assert_eq!(fields(nothing), ["paymentId", "orderId", "amount", "paymentMethodToken"]);
        assert_eq!(fields(capture(pb::CaptureRequest::default())), ["paymentId", "captureId", "amount"]);
        assert_eq!(fields(void(pb::VoidRequest::default())), ["paymentId"]);
        assert_eq!(fields(refund(pb::RefundRequest::default())), ["paymentId", "refundId", "amount"]);
        assert_eq!(fields(get(&pb::GetPaymentRequest::default())), ["paymentId"]);
        let long = pb::VoidRequest { payment_id: payment_id().to_string(), reason: "x".repeat(201) };
        assert_eq!(fields(void(long)), ["reason"]);
    }

    #[test]
    fn each_field_has_its_bounds() {
        let check = |change: &dyn Fn(&mut pb::AuthorizeRequest), field: &str| {
            let mut request = good();
            change(&mut request);
            assert_eq!(fields(authorize(request, "gst_1")), [field]);
        };
        authorize(good(), "gst_1").expect("the unchanged request is readable");
        check(&|r| r.amount = Some(gbp(-1).into()), "amount");
        check(&|r| r.amount = Some(MoneyMessage { minor_units: 1, currency: "gbp".into() }), "amount");
        check(&|r| r.payment_method_token = "x".repeat(129), "paymentMethodToken");
        check(&|r| r.payment_method_token = "a b".into(), "paymentMethodToken");
        check(&|r| r.order_id = order_id().to_string().replace("ord_", "qte_"), "orderId");
        let other = OrderId::from_uuid(souk_kernel::Uuid::v7(2, [2; 10]));
        check(&|r| r.order_id = other.to_string(), "paymentId");
        for id in ["a:b", "", "é", &"x".repeat(65)] {
            let capture_id = id.to_owned();
            let request = pb::CaptureRequest {
                payment_id: payment_id().to_string(),
                capture_id,
                amount: good().amount,
            };
            assert_eq!(fields(capture(request)), ["captureId"], "{id}");
        }
    }

    #[test]
    fn a_card_number_never_enters() {
        for card in ["4111111111111111", "4111-1111-1111-1111", "4111.1111.1111.1111", "378282246310005"] {
            let request = pb::AuthorizeRequest { payment_method_token: card.into(), ..good() };
            let invalid = authorize(request, "gst_1").expect_err("it must not be readable");
            assert!(!format!("{invalid:?}").contains("1111"), "the number itself is not repeated");
        }
        for token in ["ok", "tok_4111111111111111x", "12345"] {
            assert_eq!(check_token(token), Ok(()), "{token}");
        }
    }

    #[test]
    fn a_tombstone_has_no_amounts_and_updated_at_is_told() {
        let message = payment(payment_id(), &Payment::default());
        assert_eq!((message.authorized, message.captured), (None, None));
        assert_eq!(message.order_id, order_id().to_string());
        assert_eq!(message.updated_at, Some(souk_rpc::time::to_proto(Timestamp::EPOCH)));
    }
}
