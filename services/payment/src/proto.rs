//! Messages to commands and payments to messages. Every faulty field of a request is named.
use crate::domain::reconciliation::Mismatch;
use crate::domain::{
    Command, Dispute, DisputeStage, Movement, OperationId, Outcome, Payment, Promise, Refusal, Status, Want,
};
use crate::effects::reconcile::Compared;
use crate::views::Issue;
use souk_contracts::payment::v1 as pb;
use souk_contracts::terms::{OrderId, PaymentId, money_from_proto, money_to_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Invalid, Money, Timestamp, TypeId};
use std::time::Duration;

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

/// Reads what is to be promised anew.
pub fn reauthorize(request: pb::ReauthorizeRequest) -> Result<Command, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    let id = invalid.take("authorizationId", request.authorization_id.parse());
    let amount = amount(&mut invalid, request.amount.as_ref());
    let command =
        || Some(Command { payment_id: payment_id?, want: Want::Reauthorize { id: id?, amount: amount? } });
    invalid.finish(command())
}

/// Reads whose customer has acted.
pub fn complete_action(request: &pb::CompleteActionRequest) -> Result<PaymentId, Invalid> {
    let mut invalid = Invalid::new();
    let payment_id = invalid.take("paymentId", request.payment_id.parse::<PaymentId>());
    invalid.finish(payment_id)
}

/// A day in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Its name: `2026-03-01`.
    pub date: String,
    /// When it begins.
    pub from: Timestamp,
    /// When the next one does.
    pub to: Timestamp,
}

/// Reads which day is to be compared.
pub fn reconcile(request: pb::ReconcileRequest) -> Result<Day, Invalid> {
    let mut invalid = Invalid::new();
    let date = request.date;
    let begins = (date.len() == 10).then(|| Timestamp::parse(&format!("{date}T00:00:00Z")).ok()).flatten();
    let Some(from) = begins else {
        invalid.add("date", "must be a day such as 2026-03-01");
        return invalid.finish(None);
    };
    Ok(Day { date, from, to: from.plus(Duration::from_secs(24 * 3_600)) })
}

/// How many issues are listed when nothing is said, and at most.
const ISSUES: u32 = 100;
const ISSUES_MAX: u32 = 500;

/// Reads how many issues are wanted.
pub fn list_issues(request: &pb::ListPaymentIssuesRequest) -> Result<u32, Invalid> {
    let mut invalid = Invalid::new();
    if request.limit > ISSUES_MAX {
        invalid.add("limit", format!("must be at most {ISSUES_MAX}"));
    }
    invalid.finish(Some(if request.limit == 0 { ISSUES } else { request.limit }))
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
        Promise::None
        | Promise::Requested(_)
        | Promise::ActionRequired { .. }
        | Promise::Held { .. }
        | Promise::Expired => String::new(),
    };
    let (action, until) = match payment.promise() {
        Promise::ActionRequired { url, until } => (Some((url.clone(), *until)), None),
        Promise::Held { until } => (None, *until),
        Promise::None | Promise::Requested(_) | Promise::Expired | Promise::Declined { .. } => (None, None),
    };
    let (action_url, action_expires_at) = action.unzip();
    let refunds = payment.refunds().iter().map(|(id, movement)| refund_state(id, movement));
    let disputes = payment.disputes().iter().map(|(id, dispute)| dispute_message(id, dispute));
    pb::Payment {
        payment_id: payment_id.to_string(),
        order_id: OrderId::from_uuid(payment_id.uuid()).to_string(),
        status: status(payment.status()).into(),
        authorized: money(payment.authorized_minor()),
        captured: money(payment.captured_minor()),
        refunded: money(payment.refunded_minor()),
        decline_code,
        updated_at: Some(souk_rpc::time::to_proto(payment.updated_at())),
        action_url: action_url.unwrap_or_default(),
        action_expires_at: action_expires_at.map(souk_rpc::time::to_proto),
        authorization_expires_at: until.map(souk_rpc::time::to_proto),
        voided: money(payment.voided_minor()),
        pending_refunds: money(payment.refunding_minor()),
        refunds: refunds.collect(),
        disputes: disputes.collect(),
    }
}

fn refund_state(id: &OperationId, movement: &Movement) -> pb::RefundState {
    let (status, code) = match &movement.outcome {
        Outcome::Requested(_) => (pb::RefundStatus::Pending, ""),
        Outcome::Succeeded => (pb::RefundStatus::Succeeded, ""),
        Outcome::Refused(Refusal::ByProvider(code)) => (pb::RefundStatus::Failed, code.as_str()),
        Outcome::Refused(
            Refusal::ExceedsAuthorized
            | Refusal::ExceedsCaptured
            | Refusal::PaymentVoided
            | Refusal::NotExpired,
        ) => (pb::RefundStatus::Failed, "refused"),
    };
    let (refund_id, amount) = (id.to_string(), Some(money_to_proto(movement.amount)));
    pb::RefundState { refund_id, amount, status: status.into(), code: code.to_owned() }
}

fn dispute_message(id: &str, dispute: &Dispute) -> pb::Dispute {
    let status = match dispute.stage {
        DisputeStage::Open => pb::DisputeStatus::Open,
        DisputeStage::Won => pb::DisputeStatus::Won,
        DisputeStage::Lost => pb::DisputeStatus::Lost,
    };
    let (dispute_id, amount) = (id.to_owned(), Some(money_to_proto(dispute.amount)));
    pb::Dispute { dispute_id, amount, status: status.into(), reason: dispute.reason.clone() }
}

/// What a comparison found, as a message.
pub fn compared(date: String, found: Compared) -> pb::ReconcileResponse {
    let mismatches =
        found.mismatches.into_iter().map(|Mismatch { key, what }| pb::LedgerMismatch { key, what });
    pb::ReconcileResponse { date, compared: found.compared, mismatches: mismatches.collect() }
}

/// What a person has to look at, as a message.
pub fn issue(issue: Issue) -> pb::PaymentIssue {
    let Issue { id: issue_id, kind, payment_id, what, noticed } = issue;
    let noticed_at = Some(souk_rpc::time::to_proto(noticed));
    pb::PaymentIssue { issue_id, kind, payment_id, what, noticed_at }
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
        Status::RequiresAction => pb::PaymentStatus::RequiresAction,
        Status::Authorized => pb::PaymentStatus::Authorized,
        Status::AuthExpired => pb::PaymentStatus::AuthExpired,
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
        let renewal = pb::ReauthorizeRequest::default();
        assert_eq!(fields(reauthorize(renewal)), ["paymentId", "authorizationId", "amount"]);
        assert_eq!(fields(complete_action(&pb::CompleteActionRequest::default())), ["paymentId"]);
        for date in ["", "2026-02-30", "2026-2-1", "2026-02-01T00:00:00Z", "today"] {
            assert_eq!(fields(reconcile(pb::ReconcileRequest { date: date.to_owned() })), ["date"], "{date}");
        }
        assert_eq!(fields(list_issues(&pb::ListPaymentIssuesRequest { limit: 501 })), ["limit"]);
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
