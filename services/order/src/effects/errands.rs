//! The calls of errands: what becomes of a parcel's stock and money, of holds, and of lines called off.
use super::answers::{holds, released_pieces, shipped};
use super::resend::Resend;
use super::{Effects, LINES_CANCELLED};
use crate::domain::Order;
use crate::domain::errand::{self, Errand, ErrandEvent, ErrandOpened, Task};
use crate::domain::order::{OrderEvent, Pieces, ShippedLine, arrival_timer};
use crate::{cancel_lines, dispatch, hold, refund_parcel, void_rest};
use souk_contracts::inventory::v1::{
    AllocatedLine, Grade, ReleaseRequest, RestockLine, RestockRequest, ShipRequest, StockLine,
};
use souk_contracts::shipping::v1::{HoldFulfilmentRequest, LinePart, ReleaseHoldRequest};
use souk_contracts::terms::OrderId;
use souk_eventstore::{EventStore, Expected, StreamId};
use souk_kernel::{Money, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use souk_saga::{Beside, Call, Definition, Direction, Event, Intent, Outcome, Progress, Recording, Saga};
use std::sync::Arc;

/// Why payment is asked for the refund of a parcel, for its books.
const UNDELIVERED: &str = "UNDELIVERED";

/// Carries out errands.
pub struct ErrandEffects {
    pub effects: Effects,
    /// Says whether the money is in dispute.
    pub store: EventStore,
}

impl ErrandEffects {
    async fn attempt(&self, call: &Call<Errand>) -> Outcome {
        let Some(opened) = call.state.opened() else { return Outcome::unknown("there is no such errand") };
        let cx = &call.cx;
        match (&opened.task, call.intent.step, call.intent.direction) {
            (Task::Dispatch { shipment_id, lines, resend_id, .. }, dispatch::SHIP_STOCK, Direction::Do) => {
                let reservation = resend_id.unwrap_or(opened.order_id);
                self.ship_stock(cx, opened, reservation, shipment_id, lines).await
            }
            (Task::Dispatch { shipment_id, amount, total, .. }, dispatch::CAPTURE, Direction::Do) => {
                self.capture(cx, opened, shipment_id, *amount, *total).await
            }
            (Task::Hold { hold_id }, hold::HOLD, Direction::Do) => self.hold(cx, opened, hold_id).await,
            (Task::Release { hold_id }, hold::RELEASE, Direction::Do) => {
                self.release(cx, opened, hold_id).await
            }
            (Task::CancelLines { cancel_id, pieces, .. }, cancel_lines::STOP_PIECES, Direction::Do) => {
                let part = |part: &Pieces| LinePart { line: part.line, quantity: part.quantity.get() };
                let parts = pieces.iter().map(part).collect();
                let name = format!("lines-{cancel_id}");
                self.effects.stop(cx, opened.order_id, &opened.subject, &name, parts).await
            }
            // Shipping stops all of it or nothing; where it said no, there is nothing to take back.
            (Task::CancelLines { .. }, cancel_lines::STOP_PIECES, Direction::Undo) => Outcome::done(),
            (Task::CancelLines { cancel_id, pieces, .. }, cancel_lines::RELEASE_PIECES, Direction::Do) => {
                self.release_pieces(cx, opened, cancel_id, pieces).await
            }
            (
                Task::RefundParcel { shipment_id, restock, .. },
                refund_parcel::RESTOCK_PARCEL,
                Direction::Do,
            ) => self.restock(cx, opened, shipment_id, restock).await,
            (Task::RefundParcel { shipment_id, refund, .. }, refund_parcel::REFUND_PARCEL, Direction::Do) => {
                let (effects, name) = (&self.effects, refund_parcel::name(shipment_id));
                effects
                    .give_back(cx, &self.store, opened.order_id, &opened.subject, name, *refund, UNDELIVERED)
                    .await
            }
            (Task::ResendParcel { shipment_id, resend_id, pieces }, step, direction) => {
                let resend = Resend { of: opened, shipment_id, resend_id: *resend_id, pieces };
                self.resend(cx, &resend, step, direction).await
            }
            (Task::VoidRest { .. }, void_rest::VOID_REST, Direction::Do) => {
                self.effects.void_rest(cx, opened.order_id, &opened.subject).await
            }
            (_, step, direction) => Outcome::unknown(format!("nothing is known of {direction} {step}")),
        }
    }

    async fn ship_stock(
        &self,
        cx: &Cx,
        opened: &ErrandOpened,
        reservation: OrderId,
        shipment_id: &Arc<str>,
        lines: &[ShippedLine],
    ) -> Outcome {
        let line = |line: &ShippedLine| AllocatedLine {
            line: line.line,
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
            location: line.location.to_string(),
        };
        let request = ShipRequest {
            reservation_id: reservation.to_string(),
            shipment_id: shipment_id.to_string(),
            lines: lines.iter().map(line).collect(),
        };
        let answer =
            self.effects.inventory.ship(self.effects.to(cx, "inventory", &opened.subject), request).await;
        shipped(answer.map(|answer| answer.reservation))
    }

    async fn capture(
        &self,
        cx: &Cx,
        opened: &ErrandOpened,
        shipment_id: &Arc<str>,
        amount: Money,
        total: Money,
    ) -> Outcome {
        if amount.minor_units() == 0 {
            return Outcome::done();
        }
        self.effects.capture(cx, opened.order_id, &opened.subject, shipment_id, amount, total).await
    }

    async fn hold(&self, cx: &Cx, opened: &ErrandOpened, hold_id: &Arc<str>) -> Outcome {
        let (order_id, hold_id) = (opened.order_id.to_string(), hold_id.to_string());
        let request = HoldFulfilmentRequest { order_id, hold_id };
        let cx = self.effects.to(cx, "shipping", &opened.subject);
        holds(self.effects.shipping.hold_fulfilment(cx, request).await.map(|_| ()))
    }

    async fn release(&self, cx: &Cx, opened: &ErrandOpened, hold_id: &Arc<str>) -> Outcome {
        let (order_id, hold_id) = (opened.order_id.to_string(), hold_id.to_string());
        let request = ReleaseHoldRequest { order_id, hold_id };
        let cx = self.effects.to(cx, "shipping", &opened.subject);
        holds(self.effects.shipping.release_hold(cx, request).await.map(|_| ()))
    }

    /// What the carrier brought back is booked in as new.
    async fn restock(
        &self,
        cx: &Cx,
        opened: &ErrandOpened,
        shipment_id: &Arc<str>,
        lines: &[ShippedLine],
    ) -> Outcome {
        if lines.is_empty() {
            return Outcome::done();
        }
        let line = |line: &ShippedLine| RestockLine {
            line: line.line,
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
            location: line.location.to_string(),
            grade: Grade::A.into(),
        };
        let request = RestockRequest {
            restock_id: refund_parcel::name(shipment_id),
            reservation_id: opened.order_id.to_string(),
            lines: lines.iter().map(line).collect(),
        };
        let cx = self.effects.to(cx, "inventory", &opened.subject);
        let answer = self.effects.inventory.restock(cx, request).await;
        released_pieces(answer.map(|answer| answer.reservation))
    }

    async fn release_pieces(
        &self,
        cx: &Cx,
        opened: &ErrandOpened,
        cancel_id: &Arc<str>,
        pieces: &[Pieces],
    ) -> Outcome {
        let line = |part: &Pieces| StockLine {
            line: part.line,
            sku: part.sku.to_string(),
            quantity: part.quantity.get(),
        };
        let request = ReleaseRequest {
            reservation_id: opened.order_id.to_string(),
            reason: LINES_CANCELLED.to_owned(),
            lines: pieces.iter().map(line).collect(),
            release_id: format!("lines-{cancel_id}"),
        };
        let answer =
            self.effects.inventory.release(self.effects.to(cx, "inventory", &opened.subject), request).await;
        released_pieces(answer.map(|answer| answer.reservation))
    }
}

impl Saga for ErrandEffects {
    type State = Errand;

    fn outstanding(&self, errand: &Errand) -> Vec<Intent> {
        errand::outstanding(errand)
    }

    fn perform(&self, call: Call<Errand>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.attempt(&call).await })
    }

    fn record(
        &self,
        errand: &Errand,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        now: Timestamp,
    ) -> Recording<ErrandEvent> {
        recording(errand, errand::record(errand, intent, outcome, attempt), now)
    }

    fn sagas<'a>(&'a self, errand: &'a Errand) -> Vec<(&'a Definition, &'a Progress)> {
        let definition = errand.opened().map(|opened| opened.task.definition());
        definition.map(|definition| (definition, errand.saga())).into_iter().collect()
    }

    fn moved(&self, errand: &Errand, moves: Vec<Event>, now: Timestamp) -> Recording<ErrandEvent> {
        recording(errand, errand::with_consequences(errand, moves), now)
    }
}

/// The errand's own moves, and what they mean beside it.
fn recording(errand: &Errand, recorded: errand::Recorded, now: Timestamp) -> Recording<ErrandEvent> {
    let Some(opened) = errand.opened() else { return Recording::default() };
    let settles = recorded.to_order.iter().any(|event| match (event, &opened.task) {
        (OrderEvent::OrderLineCancelled(_) | OrderEvent::ParcelRefunded(_), _) => true,
        (OrderEvent::ParcelPaid(_), Task::Dispatch { may_leave_rest, .. }) => *may_leave_rest,
        _ => false,
    });
    let set_timers =
        settles.then(|| arrival_timer(opened.order_id, &opened.task.about(), now)).into_iter().collect();
    let mut beside = Vec::new();
    if !recorded.to_order.is_empty() {
        let order = StreamId::of::<Order>(opened.order_id);
        beside.push(Beside::append(order, Expected::Exists, recorded.to_order));
    }
    if let Some(next) = recorded.next {
        let stream = StreamId::of::<Errand>(next.task.id(next.order_id));
        let events = errand::open(next.order_id, &next.subject, next.task);
        beside.push(Beside::append(stream, Expected::NoStream, events));
    }
    Recording { events: recorded.events, beside, set_timers, ..Recording::default() }
}
