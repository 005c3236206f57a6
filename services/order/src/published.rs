//! What others hear of an order's life. Each public event is made of one private event alone, so it is the same
//! whenever it is asked for.
use crate::domain::order::{
    Awaits, OrderAwaitingCustomer, OrderConfirmed, OrderEvent, OrderLineCancelled, ParcelShipped,
};
use crate::domain::returns::{End, Return, ReturnEvent, ReturnResolved, Whose};
use prost::Message;
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::OrderId;
use souk_eventstore::{PublicEvent, Publish, Recorded};
use souk_kernel::Money;
use souk_rpc::time;

/// The full names of the published messages.
pub const ORDER_CONFIRMED: &str = "souk.order.v1.OrderConfirmed";
pub const ORDER_REJECTED: &str = "souk.order.v1.OrderRejected";
pub const ORDER_CANCELLED: &str = "souk.order.v1.OrderCancelled";
pub const ORDER_AWAITING_CUSTOMER: &str = "souk.order.v1.OrderAwaitingCustomer";
pub const ORDER_PROCESSING_STARTED: &str = "souk.order.v1.OrderProcessingStarted";
pub const ORDER_PARTIALLY_SHIPPED: &str = "souk.order.v1.OrderPartiallyShipped";
pub const ORDER_SHIPPED: &str = "souk.order.v1.OrderShipped";
pub const ORDER_DELIVERED: &str = "souk.order.v1.OrderDelivered";
pub const ORDER_COMPLETED: &str = "souk.order.v1.OrderCompleted";
pub const ORDER_LINE_CANCELLED: &str = "souk.order.v1.OrderLineCancelled";
pub const ORDER_HELD: &str = "souk.order.v1.OrderHeld";
pub const ORDER_RELEASED: &str = "souk.order.v1.OrderReleased";
pub const ORDER_NEEDS_ATTENTION: &str = "souk.order.v1.OrderNeedsAttention";
pub const RETURN_REQUESTED: &str = "souk.order.v1.ReturnRequested";
pub const RETURN_APPROVED: &str = "souk.order.v1.ReturnApproved";
pub const RETURN_REJECTED: &str = "souk.order.v1.ReturnRejected";
pub const RETURN_RECEIVED: &str = "souk.order.v1.ReturnReceived";
pub const RETURN_RESOLVED: &str = "souk.order.v1.ReturnResolved";
pub const RETURN_EXPIRED: &str = "souk.order.v1.ReturnExpired";
pub const RETURN_ARRIVED_LATE: &str = "souk.order.v1.ReturnArrivedLate";

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| {
        // Most events are not published, and a kind is cheaper to look at than an event.
        let private =
            matches!(&*recorded.kind, "OrderPlaced" | "SagaMoved" | "CancelRequested" | "ReturnMoved");
        if private {
            return None;
        }
        match recorded.of::<crate::domain::Order>() {
            Some(event) => public(&event),
            None => of_return(&*recorded.of::<Return>()?),
        }
    })
}

fn public(event: &OrderEvent) -> Option<PublicEvent> {
    match event {
        OrderEvent::OrderConfirmed(event) => {
            Some(PublicEvent { kind: ORDER_CONFIRMED, data: confirmed(event).encode_to_vec() })
        }
        OrderEvent::OrderRejected(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderRejected { order_id, subject, reason: event.reason.clone() };
            Some(PublicEvent { kind: ORDER_REJECTED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderCancelled(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderCancelled { order_id, subject, reason: event.reason.clone() };
            Some(PublicEvent { kind: ORDER_CANCELLED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderAwaitingCustomer(event) => Some(awaiting(event)),
        OrderEvent::OrderProcessingStarted(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderProcessingStarted { order_id, subject };
            Some(PublicEvent { kind: ORDER_PROCESSING_STARTED, data: message.encode_to_vec() })
        }
        OrderEvent::ParcelShipped(event) => Some(shipped(event)),
        OrderEvent::OrderDelivered(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderDelivered { order_id, subject };
            Some(PublicEvent { kind: ORDER_DELIVERED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderCompleted(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderCompleted { order_id, subject };
            Some(PublicEvent { kind: ORDER_COMPLETED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderLineCancelled(event) => Some(line_cancelled(event)),
        OrderEvent::OrderHeld(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderHeld { order_id, subject, reason: event.reason.clone() };
            Some(PublicEvent { kind: ORDER_HELD, data: message.encode_to_vec() })
        }
        OrderEvent::OrderReleased(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderReleased { order_id, subject };
            Some(PublicEvent { kind: ORDER_RELEASED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderNeedsAttention(event) => {
            let (order_id, subject) = whose(event.order_id, &event.subject);
            let message = pb::OrderNeedsAttention { order_id, subject, reason: event.reason.clone() };
            Some(PublicEvent { kind: ORDER_NEEDS_ATTENTION, data: message.encode_to_vec() })
        }
        OrderEvent::OrderPlaced(_)
        | OrderEvent::SagaMoved(_)
        | OrderEvent::RemainderAccepted(_)
        | OrderEvent::CancelRequested(_)
        | OrderEvent::CancelRefused(_)
        | OrderEvent::ParcelMoved(_)
        | OrderEvent::ParcelPaid(_)
        | OrderEvent::PaymentDisputed(_)
        | OrderEvent::LinesCancelRequested(_)
        | OrderEvent::LinesCancelRefused(_)
        | OrderEvent::ParcelResent(_)
        | OrderEvent::ResendRefused(_)
        | OrderEvent::ParcelResolved(_)
        | OrderEvent::ParcelRefunded(_)
        | OrderEvent::RestVoidRequested(_)
        | OrderEvent::RestVoided(_)
        | OrderEvent::ReturnOpened(_)
        | OrderEvent::GoodsReturned(_)
        | OrderEvent::ReturnRefunded(_)
        | OrderEvent::ReturnClosed(_) => None,
    }
}

/// Goods over the counter are told as received: nobody asked before.
fn of_return(event: &ReturnEvent) -> Option<PublicEvent> {
    let (kind, data) = match event {
        ReturnEvent::ReturnRequested(event) => {
            let (return_id, order_id, subject) = of_whom(&event.whose);
            (RETURN_REQUESTED, pb::ReturnRequested { return_id, order_id, subject }.encode_to_vec())
        }
        ReturnEvent::ReturnApproved(event) => {
            let (return_id, order_id, subject) = of_whom(&event.whose);
            let expires_at = Some(time::to_proto(event.until));
            let message = pb::ReturnApproved { return_id, order_id, subject, expires_at };
            (RETURN_APPROVED, message.encode_to_vec())
        }
        ReturnEvent::ReturnRejected(event) => {
            let (return_id, order_id, subject) = of_whom(&event.whose);
            let message = pb::ReturnRejected { return_id, order_id, subject, reason: event.note.clone() };
            (RETURN_REJECTED, message.encode_to_vec())
        }
        ReturnEvent::ReturnReceived(event) => (RETURN_RECEIVED, received(&event.whose)),
        ReturnEvent::ReturnRecorded(event) => (RETURN_RECEIVED, received(&event.whose)),
        ReturnEvent::ReturnResolved(event) => (RETURN_RESOLVED, resolved(event).encode_to_vec()),
        ReturnEvent::ReturnExpired(event) => {
            let (return_id, order_id, subject) = of_whom(&event.whose);
            (RETURN_EXPIRED, pb::ReturnExpired { return_id, order_id, subject }.encode_to_vec())
        }
        ReturnEvent::ReturnArrivedLate(event) => {
            let (return_id, order_id, subject) = of_whom(&event.whose);
            (RETURN_ARRIVED_LATE, pb::ReturnArrivedLate { return_id, order_id, subject }.encode_to_vec())
        }
        ReturnEvent::ReturnCancelled(_)
        | ReturnEvent::ReturnLabelIssued(_)
        | ReturnEvent::ReturnInspected(_)
        | ReturnEvent::ReturnMoved(_) => return None,
    };
    Some(PublicEvent { kind, data })
}

fn resolved(event: &ReturnResolved) -> pb::ReturnResolved {
    let (return_id, order_id, subject) = of_whom(&event.whose);
    let (refund, outcome, instead) = match event.end {
        End::Refunded { refund } => (Some(refund.into()), "REFUNDED", String::new()),
        End::Exchanged { order_id, refund } => (Some(refund.into()), "EXCHANGED", order_id.to_string()),
        End::Declined => (None, "DECLINED", String::new()),
    };
    pb::ReturnResolved {
        return_id,
        order_id,
        subject,
        refund,
        outcome: outcome.to_owned(),
        exchange_order_id: instead,
        not_exchanged: event.not_exchanged.as_deref().unwrap_or_default().to_owned(),
    }
}

fn of_whom(whose: &Whose) -> (String, String, String) {
    (whose.return_id.to_string(), whose.order_id.to_string(), whose.subject.to_string())
}

fn received(whose: &Whose) -> Vec<u8> {
    let (return_id, order_id, subject) = of_whom(whose);
    pb::ReturnReceived { return_id, order_id, subject }.encode_to_vec()
}

fn whose(order_id: OrderId, subject: &str) -> (String, String) {
    (order_id.to_string(), subject.to_owned())
}

fn awaiting(event: &OrderAwaitingCustomer) -> PublicEvent {
    let (reason, action_url, total): (_, _, Money) = match &event.awaits {
        Awaits::Payment { action_url, total } => ("PAYMENT_ACTION", action_url.to_string(), *total),
        Awaits::Consent { remainder } => ("PARTIAL_STOCK", String::new(), remainder.total),
    };
    let (order_id, subject) = whose(event.order_id, &event.subject);
    let message = pb::OrderAwaitingCustomer {
        order_id,
        subject,
        reason: reason.to_owned(),
        action_url,
        total: Some(total.into()),
        decide_by: Some(time::to_proto(event.until)),
    };
    PublicEvent { kind: ORDER_AWAITING_CUSTOMER, data: message.encode_to_vec() }
}

fn shipped(event: &ParcelShipped) -> PublicEvent {
    let (order_id, subject) = whose(event.order_id, &event.subject);
    let message = pb::OrderShipped {
        order_id,
        subject,
        shipment_id: event.shipment_id.to_string(),
        tracking_code: event.tracking_code.to_string(),
        carrier: event.carrier.to_string(),
        amount: Some(event.amount.into()),
    };
    // The two messages have the same fields, so one is written for both.
    let kind = if event.is_last { ORDER_SHIPPED } else { ORDER_PARTIALLY_SHIPPED };
    PublicEvent { kind, data: message.encode_to_vec() }
}

fn line_cancelled(event: &OrderLineCancelled) -> PublicEvent {
    let (order_id, subject) = whose(event.order_id, &event.subject);
    let pieces = event.pieces.iter();
    let message = pb::OrderLineCancelled {
        order_id,
        subject,
        lines: pieces
            .map(|part| pb::OrderPieces { line: part.line, quantity: part.quantity.get() })
            .collect(),
        total: Some(event.total.into()),
    };
    PublicEvent { kind: ORDER_LINE_CANCELLED, data: message.encode_to_vec() }
}

fn confirmed(event: &OrderConfirmed) -> pb::OrderConfirmed {
    let lines = event.lines.iter().map(|line| pb::ConfirmedLine {
        line: line.line,
        sku: line.sku.to_string(),
        quantity: line.quantity.get(),
        cart_line: line.cart_line,
    });
    pb::OrderConfirmed {
        order_id: event.order_id.to_string(),
        quote_id: event.quote_id.to_string(),
        cart_id: event.cart_id.map(|cart_id| cart_id.to_string()).unwrap_or_default(),
        subject: event.subject.to_string(),
        total: Some(event.total.into()),
        lines: lines.collect(),
    }
}
