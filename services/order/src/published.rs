//! What others hear of: confirmed, rejected and cancelled orders. Each public event is made of one private
//! event alone, so it is the same whenever it is asked for.
use crate::domain::order::{OrderConfirmed, OrderEvent};
use prost::Message;
use souk_contracts::order::v1 as pb;
use souk_eventstore::{PublicEvent, Publish, Recorded};

/// The full names of the published messages.
pub const ORDER_CONFIRMED: &str = "souk.order.v1.OrderConfirmed";
pub const ORDER_REJECTED: &str = "souk.order.v1.OrderRejected";
pub const ORDER_CANCELLED: &str = "souk.order.v1.OrderCancelled";

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| {
        // Most events are neither, and a kind is cheaper to look at than an event.
        let published = matches!(&*recorded.kind, "OrderConfirmed" | "OrderRejected" | "OrderCancelled");
        let event = published.then(|| recorded.of::<crate::domain::Order>()).flatten()?;
        public(&event)
    })
}

fn public(event: &OrderEvent) -> Option<PublicEvent> {
    match event {
        OrderEvent::OrderConfirmed(event) => {
            Some(PublicEvent { kind: ORDER_CONFIRMED, data: confirmed(event).encode_to_vec() })
        }
        OrderEvent::OrderRejected(event) => {
            let message = pb::OrderRejected {
                order_id: event.order_id.to_string(),
                subject: event.subject.to_string(),
                reason: event.reason.clone(),
            };
            Some(PublicEvent { kind: ORDER_REJECTED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderCancelled(event) => {
            let message = pb::OrderCancelled {
                order_id: event.order_id.to_string(),
                subject: event.subject.to_string(),
                reason: event.reason.clone(),
            };
            Some(PublicEvent { kind: ORDER_CANCELLED, data: message.encode_to_vec() })
        }
        OrderEvent::OrderPlaced(_) | OrderEvent::SagaMoved(_) | OrderEvent::CancelRequested(_) => None,
    }
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
