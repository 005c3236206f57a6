//! What others hear of: parcels on their way, and returns that arrived. Each public event is made of one private
//! event alone, so it is the same whenever it is asked for. None holds an address.
use crate::domain::fulfilment::FulfilmentEvent;
use crate::domain::shipment::{
    Of, ReturnArrived, ShipmentCancelled, ShipmentEvent, ShipmentHandedOver, ShipmentReturnedToSender,
};
use crate::domain::{Fulfilment, Line, Shipment};
use prost::Message;
use souk_contracts::shipping::v1 as pb;
use souk_eventstore::{PublicEvent, Publish, Recorded};

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| {
        // Most events are none of these, and a kind is cheaper to look at than an event.
        match &*recorded.kind {
            "FulfilmentCreated" => recorded.of::<Fulfilment>().and_then(|event| created(&event)),
            "ShipmentPacked"
            | "ShipmentHandedOver"
            | "ShipmentInTransit"
            | "ShipmentDelivered"
            | "ShipmentDeliveryFailed"
            | "ShipmentLost"
            | "ShipmentReturnedToSender"
            | "ShipmentCancelled"
            | "ReturnArrived" => recorded.of::<Shipment>().and_then(|event| moved(&event)),
            _ => None,
        }
    })
}

fn event(kind: &'static str, message: &impl Message) -> Option<PublicEvent> {
    Some(PublicEvent { kind, data: message.encode_to_vec() })
}

fn created(recorded: &FulfilmentEvent) -> Option<PublicEvent> {
    match recorded {
        FulfilmentEvent::FulfilmentCreated(created) => {
            let shipment_ids = created.shipment_ids.iter().map(ToString::to_string).collect();
            let (order_id, subject) = (created.order_id.to_string(), created.subject.to_string());
            let message = pb::FulfilmentCreated { order_id, subject, shipment_ids };
            event("souk.shipping.v1.FulfilmentCreated", &message)
        }
        FulfilmentEvent::FulfilmentRefused(_)
        | FulfilmentEvent::CancelDecided(_)
        | FulfilmentEvent::HoldPlaced(_)
        | FulfilmentEvent::HoldReleased(_)
        | FulfilmentEvent::SentAgain(_) => None,
    }
}

/// The three names with which every message begins.
fn names(of: &Of) -> (String, String, String) {
    (of.order_id.to_string(), of.shipment_id.to_string(), of.subject.to_string())
}

/// Lines as messages.
pub fn lines(lines: &[Line]) -> Vec<pb::ShipmentLine> {
    let line = |line: &Line| pb::ShipmentLine {
        line: line.line,
        sku: line.sku.to_string(),
        quantity: line.quantity.get(),
        location: line.location.to_string(),
        title: line.title.to_string(),
    };
    lines.iter().map(line).collect()
}

fn moved(recorded: &ShipmentEvent) -> Option<PublicEvent> {
    match recorded {
        ShipmentEvent::ShipmentPacked(packed) => {
            let (order_id, shipment_id, subject) = names(&packed.of);
            event("souk.shipping.v1.ShipmentPacked", &pb::ShipmentPacked { order_id, shipment_id, subject })
        }
        ShipmentEvent::ShipmentHandedOver(handed) => handed_over(handed),
        ShipmentEvent::ShipmentInTransit(moved) => {
            let (order_id, shipment_id, subject) = names(&moved.of);
            event(
                "souk.shipping.v1.ShipmentInTransit",
                &pb::ShipmentInTransit { order_id, shipment_id, subject },
            )
        }
        ShipmentEvent::ShipmentDelivered(moved) => {
            let (order_id, shipment_id, subject) = names(&moved.of);
            event(
                "souk.shipping.v1.ShipmentDelivered",
                &pb::ShipmentDelivered { order_id, shipment_id, subject },
            )
        }
        ShipmentEvent::ShipmentDeliveryFailed(moved) => {
            let (order_id, shipment_id, subject) = names(&moved.of);
            let message = pb::ShipmentDeliveryFailed { order_id, shipment_id, subject };
            event("souk.shipping.v1.ShipmentDeliveryFailed", &message)
        }
        ShipmentEvent::ShipmentLost(lost) => {
            let (order_id, shipment_id, subject) = names(&lost.of);
            event("souk.shipping.v1.ShipmentLost", &pb::ShipmentLost { order_id, shipment_id, subject })
        }
        // To whoever waits for it, what the carrier destroyed is lost.
        ShipmentEvent::ShipmentDamaged(moved) => {
            let (order_id, shipment_id, subject) = names(&moved.of);
            event("souk.shipping.v1.ShipmentLost", &pb::ShipmentLost { order_id, shipment_id, subject })
        }
        ShipmentEvent::ShipmentReturnedToSender(back) => returned(back),
        ShipmentEvent::ShipmentCancelled(end) => cancelled(end),
        ShipmentEvent::ReturnArrived(back) => arrived(back),
        ShipmentEvent::ShipmentCreated(_)
        | ShipmentEvent::ReturnAsked(_)
        | ShipmentEvent::ReturnRefused(_)
        | ShipmentEvent::ReturnVoided(_)
        | ShipmentEvent::ShipmentHeld(_)
        | ShipmentEvent::ShipmentFreed(_)
        | ShipmentEvent::LabelAsked(_)
        | ShipmentEvent::LabelBought(_)
        | ShipmentEvent::LabelRefused(_)
        | ShipmentEvent::LabelVoided(_)
        | ShipmentEvent::ShipmentReduced(_)
        | ShipmentEvent::ParcelCollected(_)
        | ShipmentEvent::ShipmentOutForDelivery(_)
        | ShipmentEvent::ShipmentReturning(_)
        | ShipmentEvent::ScanNoted(_)
        | ShipmentEvent::StepDelayed(_) => None,
    }
}

fn handed_over(handed: &ShipmentHandedOver) -> Option<PublicEvent> {
    let (order_id, shipment_id, subject) = names(&handed.of);
    let (carrier, tracking_code) = (handed.carrier.to_string(), handed.tracking_code.to_string());
    let lines = lines(&handed.lines);
    let again = handed.again.as_ref();
    let message = pb::ShipmentHandedOver {
        order_id,
        shipment_id,
        subject,
        lines,
        carrier,
        tracking_code,
        instead_of: again.map(|again| again.instead_of.to_string()).unwrap_or_default(),
        resend_id: again.map(|again| again.resend_id.to_string()).unwrap_or_default(),
    };
    event("souk.shipping.v1.ShipmentHandedOver", &message)
}

fn returned(back: &ShipmentReturnedToSender) -> Option<PublicEvent> {
    let (order_id, shipment_id, subject) = names(&back.of);
    let lines = lines(&back.lines);
    let message = pb::ShipmentReturnedToSender { order_id, shipment_id, subject, lines };
    event("souk.shipping.v1.ShipmentReturnedToSender", &message)
}

fn cancelled(end: &ShipmentCancelled) -> Option<PublicEvent> {
    let (order_id, shipment_id, subject) = names(&end.of);
    let message = pb::ShipmentCancelled { order_id, shipment_id, subject, reason: end.reason.to_string() };
    event("souk.shipping.v1.ShipmentCancelled", &message)
}

fn arrived(back: &ReturnArrived) -> Option<PublicEvent> {
    let (return_id, order_id) = (back.return_id.to_string(), back.order_id.to_string());
    let message = pb::ReturnParcelArrived { return_id, order_id, subject: back.subject.to_string() };
    event("souk.shipping.v1.ReturnParcelArrived", &message)
}
