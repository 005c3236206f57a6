//! What the order does when it hears of parcels and payments. A parcel that left is recorded with the errand
//! that books it out and takes its money, in one commit; the last one that arrives delivers the order. A payment
//! that the customer had to act for goes on at once, instead of when it is looked at again.
use crate::domain::errand::{self, Errand, Task};
use crate::domain::order::{
    self, Again, Dispute, HandedOver, Order, OrderEvent, ShippedLine, Status, Whereabouts, Windows, timers,
};
use crate::domain::returns::{self, Return};
use crate::effects::{Waiting, declined};
use crate::place;
use prost::Message;
use souk_bus::{Poison, Reactor};
use souk_contracts::payment::v1 as payments;
use souk_contracts::shipping::v1 as shipping;
use souk_contracts::terms::{Location, OrderId, Quantity, ReturnId, Sku};
use souk_eventstore::{CommitId, Decision, Expected, InboxMark, Origin, StreamId, Work};
use souk_kernel::Timestamp;
use souk_rpc::feed::FeedEvent;
use souk_saga::{Direction, Intent, Outcome};
use std::sync::Arc;
use std::time::Duration;

const RETURN_ARRIVED: &str = "souk.shipping.v1.ReturnParcelArrived";
const HANDED_OVER: &str = "souk.shipping.v1.ShipmentHandedOver";
/// Where a parcel is after which event of shipping.
const MOVES: [(&str, Whereabouts); 5] = [
    ("souk.shipping.v1.ShipmentInTransit", Whereabouts::InTransit),
    ("souk.shipping.v1.ShipmentDelivered", Whereabouts::Delivered),
    ("souk.shipping.v1.ShipmentDeliveryFailed", Whereabouts::DeliveryFailed),
    ("souk.shipping.v1.ShipmentLost", Whereabouts::Lost),
    ("souk.shipping.v1.ShipmentReturnedToSender", Whereabouts::ReturnedToSender),
];
const AUTHORIZED: &str = "souk.payment.v1.PaymentAuthorized";
const DECLINED: &str = "souk.payment.v1.PaymentDeclined";
/// What a dispute comes to by which event of payment.
const DISPUTES: [(&str, Dispute); 3] = [
    ("souk.payment.v1.DisputeOpened", Dispute::Opened),
    ("souk.payment.v1.DisputeWon", Dispute::Won),
    ("souk.payment.v1.DisputeLost", Dispute::Lost),
];

/// Follows parcels.
pub struct Parcels {
    pub windows: Windows,
}

impl Reactor for Parcels {
    fn name(&self) -> &'static str {
        "order.parcels"
    }

    fn source(&self) -> &'static str {
        "shipping"
    }

    fn wants(&self, kind: &str) -> bool {
        kind == HANDED_OVER || MOVES.iter().any(|(moves, _)| *moves == kind)
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        let work = work_of(self.name(), event);
        if event.kind == HANDED_OVER {
            let message = decode::<shipping::ShipmentHandedOver>(event)?;
            let order_id = read_id(&message.order_id)?;
            return Ok(recording(work, order_id, handed_over(message)?, mark));
        }
        // All of these begin with the same fields.
        let message = decode::<shipping::ShipmentInTransit>(event)?;
        let moved = MOVES.iter().find(|(kind, _)| *kind == event.kind).map(|(_, to)| *to);
        let to = moved.ok_or_else(|| Poison { reason: format!("nobody moves by {}", event.kind) })?;
        Ok(moving(work, read_id(&message.order_id)?, message.shipment_id, to, self.windows, mark))
    }
}

/// How long payments' events gather. Most are of sales that wait for nobody, and are marked together.
const PAYMENTS_GATHER: Duration = Duration::from_millis(500);

/// Follows the payments of orders that wait for their customers, and disputes.
pub struct Payments {
    pub windows: Windows,
    pub waiting: Waiting,
}

impl Reactor for Payments {
    fn name(&self) -> &'static str {
        "order.payments"
    }

    fn source(&self) -> &'static str {
        "payment"
    }

    fn wants(&self, kind: &str) -> bool {
        kind == AUTHORIZED || kind == DECLINED || dispute_of(kind).is_some()
    }

    /// A sale that goes through at once has its answer already, and gains no commit here. Both messages begin
    /// with the same fields.
    fn cares(&self, event: &FeedEvent) -> bool {
        if dispute_of(&event.kind).is_some() {
            return true;
        }
        let message = payments::PaymentAuthorized::decode(&event.data[..]).ok();
        let order_id = message.and_then(|message| message.order_id.parse().ok());
        order_id.is_none_or(|order_id| self.waiting.has(order_id))
    }

    fn gathers(&self) -> Duration {
        PAYMENTS_GATHER
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        let work = work_of(self.name(), event);
        if let Some(dispute) = dispute_of(&event.kind) {
            // All three begin with the same fields.
            let message = decode::<payments::DisputeWon>(event)?;
            let (order_id, dispute_id) = (read_id(&message.order_id)?, message.dispute_id.into());
            return Ok(disputing(work, order_id, dispute_id, dispute, self.windows, mark));
        }
        let (order_id, outcome) = if event.kind == AUTHORIZED {
            (decode::<payments::PaymentAuthorized>(event)?.order_id, Outcome::done())
        } else {
            let message = decode::<payments::PaymentDeclined>(event)?;
            let outcome = declined(&message.code);
            (message.order_id, outcome)
        };
        Ok(deciding(work, read_id(&order_id)?, outcome, self.windows, mark))
    }
}

/// Follows the parcels that customers send back.
pub struct ReturnParcels;

impl Reactor for ReturnParcels {
    fn name(&self) -> &'static str {
        "order.return_parcels"
    }

    fn source(&self) -> &'static str {
        "shipping"
    }

    fn wants(&self, kind: &str) -> bool {
        kind == RETURN_ARRIVED
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        let message = decode::<shipping::ReturnParcelArrived>(event)?;
        let faulty = || Poison { reason: format!("{} is no return's id", message.return_id) };
        let return_id: ReturnId = message.return_id.parse().map_err(|_| faulty())?;
        let stream = StreamId::of::<Return>(return_id);
        let by: Arc<str> = self.name().into();
        Ok(work_of(self.name(), event).read::<Return>(&stream).decide(move |facts, _| {
            let back = facts.state::<Return>(&stream);
            let decision = Decision::new().inbox(mark.clone());
            let decided = returns::arrived(&back, &by);
            if decided.events.is_empty() {
                return Ok(decision);
            }
            let decision = decision.cancel_timer(returns::expiry_key(return_id));
            let decision = decision.append(&stream, Expected::Exists, decided.events);
            Ok(match back.whose().filter(|_| !decided.to_order.is_empty()) {
                Some(whose) => {
                    let order = StreamId::of::<Order>(whose.order_id);
                    decision.append(&order, Expected::Exists, decided.to_order)
                }
                None => decision,
            })
        }))
    }
}

fn dispute_of(kind: &str) -> Option<Dispute> {
    DISPUTES.iter().find(|(known, _)| *known == kind).map(|(_, dispute)| *dispute)
}

fn disputing(
    work: Work,
    order_id: OrderId,
    dispute_id: Arc<str>,
    dispute: Dispute,
    windows: Windows,
    mark: InboxMark,
) -> Work {
    let stream = StreamId::of::<Order>(order_id);
    work.read::<Order>(&stream).decide(move |facts, now| {
        let order = facts.state::<Order>(&stream);
        let events = order::disputed(&order, &dispute_id, dispute);
        Ok(recorded(&stream, &order, events, now, &windows, &mark))
    })
}

fn work_of(reaction: &'static str, event: &FeedEvent) -> Work {
    let origin = Origin::by(reaction)
        .correlation(event.correlation_id.as_str())
        .causation(event.id.as_str())
        .trace(event.traceparent.as_str());
    Work::new(CommitId::derived(&[reaction, &event.id]), origin)
}

/// The parcel, and the errand that it gives.
fn recording(work: Work, order_id: OrderId, parcel: HandedOver, mark: InboxMark) -> Work {
    let stream = StreamId::of::<Order>(order_id);
    work.read::<Order>(&stream).decide(move |facts, _| {
        let decision = Decision::new().inbox(mark.clone());
        let order = facts.state::<Order>(&stream);
        let Some(shipped) = order::handed_over(&order, &parcel) else { return Ok(decision) };
        let task = Task::Dispatch {
            shipment_id: shipped.shipment_id.clone(),
            lines: shipped.lines.clone(),
            amount: shipped.amount,
            total: order.total().unwrap_or(shipped.amount),
            may_leave_rest: order.may_leave_rest(),
            resend_id: shipped.again.as_ref().map(|again| again.resend_id),
        };
        let errand = StreamId::of::<Errand>(task.id(order_id));
        let opened = errand::open(order_id, &shipped.subject, task);
        Ok(decision.append(&stream, Expected::Exists, vec![OrderEvent::ParcelShipped(shipped)]).append(
            errand,
            Expected::NoStream,
            opened,
        ))
    })
}

fn moving(
    work: Work,
    order_id: OrderId,
    shipment_id: String,
    to: Whereabouts,
    windows: Windows,
    mark: InboxMark,
) -> Work {
    let stream = StreamId::of::<Order>(order_id);
    work.read::<Order>(&stream).decide(move |facts, now| {
        let order = facts.state::<Order>(&stream);
        let events = order::moved(&order, &shipment_id, to);
        Ok(recorded(&stream, &order, events, now, &windows, &mark))
    })
}

/// What the payment came to is the answer to the step that waits for it. Who waits for nobody has heard it, or
/// hears it, as the answer to a call.
fn deciding(work: Work, order_id: OrderId, outcome: Outcome, windows: Windows, mark: InboxMark) -> Work {
    let stream = StreamId::of::<Order>(order_id);
    work.read::<Order>(&stream).decide(move |facts, now| {
        let order = facts.state::<Order>(&stream);
        let waits = order.awaits().is_some() && *order.status() == Status::Pending;
        let intent = Intent { saga: place::NAME, step: place::AUTHORIZE, direction: Direction::Do };
        let is_outstanding = waits && order::outstanding(&order).contains(&intent);
        let events =
            if is_outstanding { order::record(&order, &intent, &outcome, 1, now) } else { Vec::new() };
        Ok(recorded(&stream, &order, events, now, &windows, &mark))
    })
}

fn recorded(
    stream: &StreamId,
    order: &Order,
    events: Vec<OrderEvent>,
    now: Timestamp,
    windows: &Windows,
    mark: &InboxMark,
) -> Decision {
    let decision = Decision::new().inbox(mark.clone());
    if events.is_empty() {
        return decision;
    }
    timers(order, &events, now, windows).add_to(decision.append(stream, Expected::Exists, events))
}

fn decode<M: Message + Default>(event: &FeedEvent) -> Result<M, Poison> {
    M::decode(&event.data[..]).map_err(|error| Poison { reason: error.to_string() })
}

fn read_id(text: &str) -> Result<OrderId, Poison> {
    text.parse().map_err(|_| Poison { reason: format!("{text} is no order's id") })
}

fn handed_over(message: shipping::ShipmentHandedOver) -> Result<HandedOver, Poison> {
    let faulty = |error: &dyn std::fmt::Display| Poison { reason: error.to_string() };
    let line = |line: &shipping::ShipmentLine| {
        Ok(ShippedLine {
            line: line.line,
            sku: line.sku.parse::<Sku>().map_err(|error| faulty(&error))?,
            quantity: Quantity::try_new(line.quantity).map_err(|error| faulty(&error))?,
            location: line.location.parse::<Location>().map_err(|error| faulty(&error))?,
        })
    };
    let again = match (message.instead_of.as_str(), message.resend_id.as_str()) {
        ("", _) => None,
        (instead_of, resend_id) => {
            Some(Again { instead_of: instead_of.into(), resend_id: read_id(resend_id)? })
        }
    };
    Ok(HandedOver {
        again,
        lines: message.lines.iter().map(line).collect::<Result<Arc<[_]>, Poison>>()?,
        shipment_id: message.shipment_id.into(),
        carrier: message.carrier.into(),
        tracking_code: message.tracking_code.into(),
    })
}
