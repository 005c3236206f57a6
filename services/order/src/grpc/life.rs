//! What is asked of an order after it was placed, and what its timers do.
use super::{Orders, caller, gone, origin, watch};
use crate::domain::Errand;
use crate::domain::errand::{self, Task};
use crate::domain::order::{
    self, ARRIVAL_TIMER, CUSTOMER_TIMER, Decision as Resolution, Order, OrderEvent, ParcelResolved,
    RETURNS_TIMER, Resolve, UNDO_TIMER, Windows,
};
use crate::domain::returns::EXPIRY_TIMER;
use crate::{place, proto};
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::OrderId;
use souk_decider::Aggregate;
use souk_eventstore::{CommitError, CommitId, Committed, Decision, Expected, Origin, StreamId, Timer, Work};
use souk_kernel::{Error, Rejection, Timestamp};
use souk_rpc::Cx;
use std::sync::Arc;
use std::time::Duration;

/// How many events are read at once.
const EVENTS_PER_READ: usize = 200;
/// How long after the time for returns an order is looked at again of which something is on its way back.
const RETURNS_RECHECK: Duration = Duration::from_secs(24 * 3_600);

/// What is left of a caller's time when it is answered.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

type Decided = Result<Vec<OrderEvent>, Rejection>;

impl Orders {
    /// One commit on one order: its events, their timers, and the errands that they give.
    async fn decide(
        &self,
        origin: Origin,
        order_id: OrderId,
        decide: impl Fn(&Order, Timestamp) -> Decided + Send + Sync + 'static,
    ) -> Result<Committed, CommitError> {
        let (stream, windows) = (StreamId::of::<Order>(order_id), self.windows);
        let work = Work::new(CommitId::new(self.ids.uuid()), origin).read::<Order>(&stream).decide(
            move |facts, now| {
                let order = facts.state::<Order>(&stream);
                let events = decide(&order, now)?;
                Ok(recorded(Decision::new(), &stream, &order, events, now, &windows))
            },
        );
        self.store.commit(work).await
    }

    pub(super) async fn confirm_partial(
        &self,
        cx: Cx,
        request: pb::ConfirmPartialRequest,
    ) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let order_id: OrderId = proto::id("orderId", &request.order_id)?;
        let caller = caller(principal);
        let decide = move |order: &Order, now| order::confirm_partial(order, &caller, request.accept, now);
        let committed = self.decide(origin(&cx, principal), order_id, decide).await?;
        let stream = StreamId::of::<Order>(order_id);
        let order = committed.state::<Order>(&stream).ok_or_else(gone)?;
        let order = watch::settled(&self.store, &stream, order, &cx).await?;
        proto::order(&order).ok_or_else(gone)
    }

    pub(super) async fn cancel_lines(
        &self,
        cx: Cx,
        request: pb::CancelLinesRequest,
    ) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let asked = proto::cancel_lines(&request)?;
        let order_id = asked.order_id;
        let (caller, by): (_, Arc<str>) = (caller(principal), principal.subject.as_str().into());
        let decide =
            move |order: &Order, _| order.cancel_lines(&caller, &by, &asked.cancel_id, &asked.pieces);
        self.answer(self.decide(origin(&cx, principal), order_id, decide).await?, order_id)
    }

    pub(super) async fn hold_order(&self, cx: Cx, request: pb::HoldOrderRequest) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let (order_id, note) = proto::noted(&request.order_id, &request.reason)?;
        let by: Arc<str> = principal.subject.as_str().into();
        let decide = move |order: &Order, _| order::hold(order, &by, &note);
        self.answer(self.decide(origin(&cx, principal), order_id, decide).await?, order_id)
    }

    pub(super) async fn release_hold(
        &self,
        cx: Cx,
        request: pb::ReleaseHoldRequest,
    ) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let (order_id, note) = proto::noted(&request.order_id, &request.reason)?;
        let by: Arc<str> = principal.subject.as_str().into();
        let decide = move |order: &Order, _| order::release(order, &by, &note);
        self.answer(self.decide(origin(&cx, principal), order_id, decide).await?, order_id)
    }

    /// Staff decides what becomes of a parcel that did not arrive.
    pub(super) async fn resolve_parcel(
        &self,
        cx: Cx,
        request: pb::ResolveParcelRequest,
    ) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let asked = proto::resolve_parcel(&request)?;
        let resolve = Resolve {
            shipment_id: asked.shipment_id,
            decision: asked.decision,
            by: principal.subject.as_str().into(),
            note: asked.note,
            resend_id: self.ids.new_id(),
        };
        let shipment_id = resolve.shipment_id.clone();
        let decide = move |order: &Order, _| order::resolve(order, &resolve);
        let committed = self.decide(origin(&cx, principal), asked.order_id, decide).await?;
        match asked.decision {
            Resolution::Refund => self.answer(committed, asked.order_id),
            Resolution::Resend => self.resent(&cx, asked.order_id, &shipment_id).await,
        }
    }

    /// Waits for whether the stock is there; the errand goes on when the caller has gone.
    async fn resent(&self, cx: &Cx, order_id: OrderId, shipment_id: &str) -> Result<pb::Order, Error> {
        let until = cx.deadline().checked_sub(ANSWER_MARGIN).unwrap_or_else(|| cx.deadline());
        let stream = StreamId::of::<Order>(order_id);
        let mut head = self.store.head();
        loop {
            head.borrow_and_update();
            let order = self.store.state::<Order>(&stream).await?;
            let parcel = order.parcel(shipment_id).ok_or_else(gone)?;
            if let (None, Some((reason, skus))) = (&parcel.resolved, &parcel.resend_refused) {
                let sentence = "the pieces cannot be sent again: they are not in stock";
                return Err(order::not_resent(reason, sentence).with("skus", skus).into());
            }
            let is_late = !parcel.is_settled && tokio::time::timeout_at(until, head.changed()).await.is_err();
            if parcel.is_settled || is_late {
                return proto::order(&order).ok_or_else(gone);
            }
        }
    }

    fn answer(&self, committed: Committed, order_id: OrderId) -> Result<pb::Order, Error> {
        let order = committed.state::<Order>(&StreamId::of::<Order>(order_id)).ok_or_else(gone)?;
        proto::order(&order).ok_or_else(gone)
    }

    /// The fold of what had happened by then.
    pub(super) async fn get_order_as_of(&self, request: pb::GetOrderAsOfRequest) -> Result<pb::Order, Error> {
        let (order_id, until) = proto::as_of(&request)?;
        let stream = StreamId::of::<Order>(order_id);
        let (mut order, mut after) = (Order::default(), 0);
        loop {
            let events = self.store.read_stream(&stream, after, EVENTS_PER_READ).await?;
            for recorded in &events {
                if recorded.time > until {
                    break;
                }
                order.evolve(recorded.event::<OrderEvent>()?.as_ref());
                after = recorded.version;
            }
            let all_folded = events.last().is_none_or(|last| last.version != after);
            if all_folded || events.len() < EVENTS_PER_READ {
                return proto::order(&order).ok_or_else(|| Error::not_found("the order"));
            }
        }
    }

    /// One of an order's durable timers is due.
    pub async fn timer_due(&self, timer: Timer) -> Result<(), CommitError> {
        if *timer.kind == *EXPIRY_TIMER {
            return self.return_due(timer).await;
        }
        let stream = StreamId::new(<Order as Aggregate>::CATEGORY, &timer.payload);
        let generation = timer.generation.to_string();
        let id = CommitId::derived(&["timer", &timer.key, &generation]);
        let origin = Origin::by("svc:order").causation(timer.key.clone());
        let windows = self.windows;
        let work = Work::new(id, origin).read::<Order>(&stream).decide(move |facts, now| {
            let order = facts.state::<Order>(&stream);
            let events = due(&order, &timer.kind, now);
            let decision = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            // What is on its way back keeps the order open; it is looked at again.
            if *timer.kind == *RETURNS_TIMER && order.has_open_return() {
                let again = Timer {
                    due: now.plus(RETURNS_RECHECK),
                    generation: timer.generation.saturating_add(1),
                    ..timer.clone()
                };
                return Ok(decision.set_timer(again));
            }
            Ok(recorded(decision, &stream, &order, events, now, &windows))
        });
        self.store.commit(work).await.map(|_: Committed| ())
    }
}

/// What a timer of this kind does to the order.
fn due(order: &Order, kind: &str, now: Timestamp) -> Vec<OrderEvent> {
    match kind {
        place::DEADLINE_TIMER => order::deadline_passed(order),
        CUSTOMER_TIMER => order::customer_late(order, now),
        UNDO_TIMER => order::undo_window_over(order),
        RETURNS_TIMER => order::return_window_over(order),
        ARRIVAL_TIMER => order::looked_at(order),
        _ => Vec::new(),
    }
}

/// Adds an order's events to a decision, with their timers and errands.
fn recorded(
    decision: Decision,
    stream: &StreamId,
    order: &Order,
    events: Vec<OrderEvent>,
    now: Timestamp,
    windows: &Windows,
) -> Decision {
    let mut decision = order::timers(order, &events, now, windows).add_to(decision);
    for task in errands(order, &events) {
        let Some(placed) = order.placed() else { continue };
        let errand = StreamId::of::<Errand>(task.id(placed.order_id));
        let opened = errand::open(placed.order_id, &placed.subject, task);
        decision = decision.append(errand, Expected::NoStream, opened);
    }
    decision.append(stream, Expected::Exists, events)
}

/// What other services must hear of these events.
fn errands(order: &Order, events: &[OrderEvent]) -> Vec<Task> {
    let mut tasks = Vec::new();
    for event in events {
        match event {
            OrderEvent::OrderHeld(held) => tasks.push(Task::Hold { hold_id: held.hold_id.clone() }),
            OrderEvent::ParcelResolved(resolved) => tasks.extend(task_of(order, resolved)),
            OrderEvent::RestVoidRequested(asked) => tasks.push(Task::VoidRest { amount: asked.amount }),
            // What ships nothing is not at shipping.
            OrderEvent::OrderReleased(_) if order.delivery().is_some() => {
                tasks.extend(order.holds().iter().map(|hold_id| Task::Release { hold_id: hold_id.clone() }));
            }
            OrderEvent::LinesCancelRequested(asked) => {
                let total = order.total_without(&asked.pieces);
                let (cancel_id, pieces) = (asked.cancel_id.clone(), asked.pieces.clone());
                tasks.extend(total.map(|total| Task::CancelLines { cancel_id, pieces, total }));
            }
            OrderEvent::OrderReleased(_)
            | OrderEvent::OrderPlaced(_)
            | OrderEvent::SagaMoved(_)
            | OrderEvent::OrderAwaitingCustomer(_)
            | OrderEvent::RemainderAccepted(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::CancelRequested(_)
            | OrderEvent::CancelRefused(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderProcessingStarted(_)
            | OrderEvent::ParcelShipped(_)
            | OrderEvent::ParcelMoved(_)
            | OrderEvent::ParcelPaid(_)
            | OrderEvent::PaymentDisputed(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::OrderLineCancelled(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::ParcelResent(_)
            | OrderEvent::ResendRefused(_)
            | OrderEvent::ParcelRefunded(_)
            | OrderEvent::RestVoided(_)
            | OrderEvent::OrderNeedsAttention(_)
            | OrderEvent::ReturnOpened(_)
            | OrderEvent::GoodsReturned(_)
            | OrderEvent::ReturnRefunded(_)
            | OrderEvent::ReturnClosed(_) => {}
        }
    }
    tasks
}

/// What follows from staff's decision about a parcel.
fn task_of(order: &Order, resolved: &ParcelResolved) -> Option<Task> {
    let lines = &order.parcel(&resolved.shipment_id)?.shipped.lines;
    let restock = if resolved.came_back { lines.clone() } else { Arc::from([]) };
    let (shipment_id, refund) = (resolved.shipment_id.clone(), resolved.refund);
    let pieces = resolved.pieces.clone();
    Some(match resolved.decision {
        Resolution::Refund => Task::RefundParcel { shipment_id, restock, refund },
        Resolution::Resend => Task::ResendParcel { shipment_id, resend_id: resolved.resend_id?, pieces },
    })
}
