//! What others hear of: what is promised, taken, given back and disputed. Each public event is made of one private
//! event alone, so it is the same whenever it is asked for.
use crate::domain::events::*;
use crate::domain::{Payment, PaymentEvent};
use prost::Message;
use souk_contracts::payment::v1 as pb;
use souk_contracts::terms::{OrderId, PaymentId, money_to_proto};
use souk_eventstore::{PublicEvent, Publish, Recorded};
use souk_kernel::{Money, TypeId};

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| public(recorded.of::<Payment>()?.as_ref()))
}

/// Whose payment it is, and of which order: a payment has its order's number.
struct Names {
    payment_id: String,
    order_id: String,
    subject: String,
}

fn names(payment_id: PaymentId, owner: Option<&String>) -> Names {
    Names {
        payment_id: payment_id.to_string(),
        order_id: OrderId::from_uuid(payment_id.uuid()).to_string(),
        subject: owner.cloned().unwrap_or_default(),
    }
}

/// A message with the fields that all of them have, and its own.
macro_rules! event {
    ($kind:ident, $names:expr $(, $field:ident: $value:expr)* $(,)?) => {{
        let Names { payment_id, order_id, subject } = $names;
        let message = pb::$kind { payment_id, order_id, subject $(, $field: $value)* };
        let kind = concat!("souk.payment.v1.", stringify!($kind));
        Some(PublicEvent { kind, data: message.encode_to_vec() })
    }};
}

fn public(event: &PaymentEvent) -> Option<PublicEvent> {
    match event {
        PaymentEvent::AuthorizationSucceeded(e) => {
            event!(PaymentAuthorized, names(e.payment_id, e.owner.as_ref()), amount: money(e.amount))
        }
        PaymentEvent::ReauthorizationSucceeded(e) => {
            event!(PaymentAuthorized, names(e.payment_id, Some(&e.owner)), amount: money(e.amount))
        }
        PaymentEvent::AuthorizationDeclined(e) => {
            let (names, amount) = (names(e.payment_id, e.owner.as_ref()), money(e.amount));
            event!(PaymentDeclined, names, amount: amount, code: e.code.clone())
        }
        PaymentEvent::ActionRequired(e) => event!(
            PaymentRequiresAction,
            names(e.payment_id, Some(&e.owner)),
            amount: money(e.amount),
            action_url: e.action_url.clone(),
            action_expires_at: Some(souk_rpc::time::to_proto(e.expires_at)),
        ),
        PaymentEvent::CaptureSucceeded(e) => {
            let (names, amount) = (names(e.payment_id, e.owner.as_ref()), money(e.amount));
            event!(PaymentCaptured, names, amount: amount, capture_id: e.capture_id.to_string())
        }
        PaymentEvent::Voided(e) => event!(PaymentVoided, names(e.payment_id, e.owner.as_ref())),
        PaymentEvent::AuthorizationExpired(e) => {
            event!(AuthorizationExpired, names(e.payment_id, Some(&e.owner)), amount: money(e.amount))
        }
        PaymentEvent::RefundSucceeded(e) => {
            let (names, amount) = (names(e.payment_id, e.owner.as_ref()), money(e.amount));
            event!(RefundSucceeded, names, amount: amount, refund_id: e.refund_id.to_string())
        }
        PaymentEvent::RefundRefused(e) => refund_failed(e),
        PaymentEvent::DisputeOpened(e) => event!(
            DisputeOpened,
            names(e.payment_id, Some(&e.owner)),
            amount: money(e.amount),
            dispute_id: e.dispute_id.clone(),
            reason: e.reason.clone(),
        ),
        PaymentEvent::DisputeWon(e) => {
            let (names, amount) = (names(e.payment_id, Some(&e.owner)), money(e.amount));
            event!(DisputeWon, names, amount: amount, dispute_id: e.dispute_id.clone())
        }
        PaymentEvent::DisputeLost(e) => {
            let (names, amount) = (names(e.payment_id, Some(&e.owner)), money(e.amount));
            event!(DisputeLost, names, amount: amount, dispute_id: e.dispute_id.clone())
        }
        PaymentEvent::AuthorizationRequested(_)
        | PaymentEvent::AuthorizationUnknown(_)
        | PaymentEvent::CaptureRequested(_)
        | PaymentEvent::CaptureRefused(_)
        | PaymentEvent::CaptureUnknown(_)
        | PaymentEvent::VoidRequested(_)
        | PaymentEvent::VoidRefused(_)
        | PaymentEvent::VoidUnknown(_)
        | PaymentEvent::RefundRequested(_)
        | PaymentEvent::RefundPending(_)
        | PaymentEvent::RefundUnknown(_)
        | PaymentEvent::PaymentTombstoned(_)
        | PaymentEvent::ReauthorizationRequested(_)
        | PaymentEvent::ReauthorizationRefused(_)
        | PaymentEvent::ReauthorizationUnknown(_) => None,
    }
}

/// Only what the provider could not do has failed; what we refuse ourselves was never meant.
fn refund_failed(e: &RefundRefused) -> Option<PublicEvent> {
    match &e.refusal {
        Refusal::ByProvider(code) => {
            let (names, amount) = (names(e.payment_id, e.owner.as_ref()), money(e.amount));
            let refund_id = e.refund_id.to_string();
            event!(RefundFailed, names, amount: amount, refund_id: refund_id, code: code.clone())
        }
        Refusal::ExceedsAuthorized
        | Refusal::ExceedsCaptured
        | Refusal::PaymentVoided
        | Refusal::NotExpired => None,
    }
}

fn money(amount: Money) -> Option<souk_contracts::types::v1::Money> {
    Some(money_to_proto(amount))
}
