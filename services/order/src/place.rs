//! The place saga: reserve stock, authorise payment, commit the reservation (the pivot), capture. This file
//! holds its steps and what its moves mean for the order; the calls stand in `effects.rs`.
//!
//! The order is confirmed by the commit that records the pivot: a customer does not wait for the capture.
use crate::cancel;
use crate::domain::order::{
    CANCELLED_BY_CUSTOMER, ConfirmedLine, Order, OrderCancelled, OrderConfirmed, OrderEvent, OrderPlaced,
    OrderRejected,
};
use souk_contracts::terms::OrderId;
use souk_kernel::Timestamp;
use souk_saga::{Definition, Event, Intent, Outcome, Phase};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Promises the stock; undone by a release.
pub const RESERVE: &str = "reserve";
/// Promises the money; undone by a void.
pub const AUTHORIZE: &str = "authorize";
/// The pivot: makes the reservation final.
pub const COMMIT: &str = "commit";
/// Takes the money.
pub const CAPTURE: &str = "capture";

/// How long the saga may take to its pivot, and how long the reservation holds.
pub const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// The kind of the timer that ends at the deadline.
pub const DEADLINE_TIMER: &str = "place_deadline";

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("place", 1).step(RESERVE).step(AUTHORIZE).pivot(COMMIT).then(CAPTURE));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// The key of an order's deadline timer.
pub fn deadline_key(order_id: OrderId) -> String {
    format!("{DEADLINE_TIMER}/{order_id}")
}

/// When the deadline of an order placed at `now` is.
pub fn deadline(now: Timestamp) -> Timestamp {
    now.plus(DEADLINE)
}

/// What to record about an attempt.
pub fn record(order: &Order, intent: &Intent, outcome: &Outcome, attempt: u32) -> Vec<OrderEvent> {
    with_consequences(order, order.place().record(definition(), intent, outcome, attempt))
}

/// The saga's moves with what they mean for the order, for one commit.
pub fn with_consequences(order: &Order, moves: Vec<Event>) -> Vec<OrderEvent> {
    let Some(placed) = order.placed() else { return Vec::new() };
    let mut progress = order.place().clone();
    let mut detail = order.refusal_detail().to_owned();
    let mut events = Vec::with_capacity(moves.len() + 1);
    for moved in moves {
        progress.evolve(&moved);
        if let Event::StepRefused { detail: refusal, .. } = &moved {
            detail.clone_from(refusal);
        }
        let consequence = consequence(order, placed, &moved, &detail);
        let confirmed = matches!(consequence, Some(OrderEvent::OrderConfirmed(_)));
        events.push(OrderEvent::SagaMoved(moved));
        events.extend(consequence);
        if confirmed && order.cancel_asked() {
            // The cancel that came while the pivot was in doubt: there is no moment without an open saga.
            events.extend(cancel::take_over(&progress));
        }
    }
    events
}

/// Whether the events leave the deadline without a meaning.
pub fn ends_deadline(events: &[OrderEvent]) -> bool {
    events.iter().any(|event| match event {
        OrderEvent::OrderConfirmed(_) | OrderEvent::OrderRejected(_) | OrderEvent::OrderCancelled(_) => true,
        OrderEvent::OrderPlaced(_) | OrderEvent::SagaMoved(_) | OrderEvent::CancelRequested(_) => false,
    })
}

fn consequence(order: &Order, placed: &OrderPlaced, moved: &Event, detail: &str) -> Option<OrderEvent> {
    match moved {
        Event::StepDone { step, .. } if step == COMMIT => Some(OrderEvent::OrderConfirmed(confirmed(placed))),
        Event::Undone { reason, .. } => Some(turned_back(order, placed, reason, detail)),
        // A person ended it on the way back; after the pivot the order stays what it is.
        Event::Abandoned { .. } => match order.place().phase() {
            Phase::Undoing(reason) => Some(turned_back(order, placed, reason, detail)),
            Phase::NotStarted
            | Phase::Forward
            | Phase::Completed
            | Phase::Undone(_)
            | Phase::Abandoned(_) => None,
        },
        Event::Started { .. }
        | Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::StepDelayed { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. }
        | Event::NeedsOperator { .. }
        | Event::Completed { .. }
        | Event::Intervened { .. } => None,
    }
}

fn confirmed(placed: &OrderPlaced) -> OrderConfirmed {
    let lines: Arc<[ConfirmedLine]> = placed
        .lines
        .iter()
        .map(|line| ConfirmedLine {
            line: line.line,
            sku: line.sku.clone(),
            quantity: line.quantity,
            cart_line: line.cart_line,
        })
        .collect();
    OrderConfirmed {
        order_id: placed.order_id,
        quote_id: placed.quote_id,
        cart_id: placed.cart_id,
        subject: placed.subject.clone(),
        total: placed.total,
        lines,
    }
}

/// Who asked for the end decides its name: a customer who cancelled sees CANCELLED whatever came first.
fn turned_back(order: &Order, placed: &OrderPlaced, reason: &str, detail: &str) -> OrderEvent {
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    if order.cancel_asked() {
        let reason = CANCELLED_BY_CUSTOMER.to_owned();
        return OrderEvent::OrderCancelled(OrderCancelled { order_id, subject, reason });
    }
    let (reason, detail) = (reason.to_owned(), detail.to_owned());
    OrderEvent::OrderRejected(OrderRejected { order_id, subject, reason, detail })
}
