//! The place saga: redeem coupons, reserve stock, authorise payment, commit the reservation (the pivot),
//! capture. This file holds its steps and what its moves mean for the order; the calls stand in `effects.rs`.
//!
//! The order is confirmed by the commit that records the pivot: a customer does not wait for the capture. What
//! is shipped is captured parcel by parcel (`dispatch.rs`). Either way a promise that expired is asked for anew;
//! when the money is refused, the order is held and a person is called.
use crate::cancel;
use crate::domain::order::{
    Awaits, BY_ITSELF, ConfirmedLine, Order, OrderAwaitingCustomer, OrderCancelled, OrderConfirmed,
    OrderEvent, OrderPlaced, OrderRejected, OrderReleased, Remainder, capture_refused,
};
use souk_contracts::terms::OrderId;
use souk_decider::Aggregate;
use souk_eventstore::Timer;
use souk_kernel::Timestamp;
use souk_saga::{Definition, Event, Intent, Outcome, Phase};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The saga's name.
pub const NAME: &str = "place";
/// Counts the coupons; undone by giving them back.
pub const REDEEM: &str = "redeem";
/// Promises the stock; undone by a release.
pub const RESERVE: &str = "reserve";
/// Promises the money; undone by a void.
pub const AUTHORIZE: &str = "authorize";
/// The pivot: makes the reservation final.
pub const COMMIT: &str = "commit";
/// Takes the money.
pub const CAPTURE: &str = "capture";

/// Names the hold of an order that ships nothing and whose money was refused.
const UNPAID_HOLD: &str = "unpaid";

/// How long the saga may take to its pivot, and how long the reservation holds.
pub const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long the customer may take to act.
pub const CUSTOMER_WITHIN: Duration = Duration::from_secs(15 * 60);
/// The kind of the timer that ends at the deadline.
pub const DEADLINE_TIMER: &str = "place_deadline";

/// The saga by version. The first is a plain sale's; the others have a step more for coupons, or one less where
/// what is shipped is captured later, or nothing is to be paid.
static DEFINITIONS: LazyLock<[Definition; 6]> = LazyLock::new(|| {
    let start = |version| Definition::start(NAME, version);
    [
        start(1).step(RESERVE).step(AUTHORIZE).pivot(COMMIT).then(CAPTURE),
        start(2).step(REDEEM).step(RESERVE).step(AUTHORIZE).pivot(COMMIT).then(CAPTURE),
        start(3).step(RESERVE).step(AUTHORIZE).pivot(COMMIT),
        start(4).step(REDEEM).step(RESERVE).step(AUTHORIZE).pivot(COMMIT),
        start(5).step(RESERVE).pivot(COMMIT),
        start(6).step(REDEEM).step(RESERVE).pivot(COMMIT),
    ]
});

/// The steps of a saga that began on this version; before it begins, those of the plain sale.
pub fn definition(version: u16) -> &'static Definition {
    DEFINITIONS.iter().find(|known| known.version() == version).unwrap_or(&DEFINITIONS[0])
}

/// The version that a new order begins on: chosen by what it has.
pub fn definition_of(placed: &OrderPlaced) -> &'static Definition {
    let redeems = !placed.coupons().is_empty();
    let is_free = placed.total.minor_units() == 0;
    let plain = match (is_free, placed.delivery().is_some()) {
        (true, _) => 5,
        (false, true) => 3,
        (false, false) => 1,
    };
    definition(if redeems { plain + 1 } else { plain })
}

/// The key of an order's deadline timer.
pub fn deadline_key(order_id: OrderId) -> String {
    format!("{DEADLINE_TIMER}/{order_id}")
}

/// The timer that ends the time of an order that is placed at `now`.
pub fn deadline_timer(order_id: OrderId, now: Timestamp) -> Timer {
    Timer {
        key: deadline_key(order_id).into(),
        kind: DEADLINE_TIMER.into(),
        due: deadline(now),
        generation: 1,
        payload: order_id.to_string(),
    }
}

/// When the deadline of an order placed at `now` is.
pub fn deadline(now: Timestamp) -> Timestamp {
    now.plus(DEADLINE)
}

/// What to record about an attempt.
pub fn record(
    order: &Order,
    intent: &Intent,
    outcome: &Outcome,
    attempt: u32,
    now: Timestamp,
) -> Vec<OrderEvent> {
    let definition = definition(order.place().version());
    let moves = order.place().record(definition, intent, outcome, attempt);
    let asked = match outcome {
        Outcome::Waiting { on } if order.awaits().is_none() => {
            let is_outstanding = order.place().outstanding(definition).contains(intent);
            let awaits = serde_json::from_value::<Awaits>(on.clone()).ok().filter(|_| is_outstanding);
            awaits.and_then(|awaits| ask_customer(order, awaits, now))
        }
        Outcome::Done(output) if intent.step == RESERVE && !moves.is_empty() => {
            let remainder = serde_json::from_value::<Arc<Remainder>>(output.clone()).ok();
            remainder.and_then(|remainder| ask_customer(order, Awaits::Consent { remainder }, now))
        }
        Outcome::Waiting { .. } | Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Unknown { .. } => {
            None
        }
    };
    with_consequences(order, moves).into_iter().chain(asked).collect()
}

/// The customer has their own time, within that of the sale.
fn ask_customer(order: &Order, awaits: Awaits, now: Timestamp) -> Option<OrderEvent> {
    let placed = order.placed()?;
    let until = now.plus(CUSTOMER_WITHIN).min(deadline(placed.placed_at));
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    Some(OrderEvent::OrderAwaitingCustomer(OrderAwaitingCustomer { order_id, subject, awaits, until }))
}

/// The saga's moves with what they mean for the order, for one commit.
pub fn with_consequences(order: &Order, moves: Vec<Event>) -> Vec<OrderEvent> {
    let Some(placed) = order.placed() else { return Vec::new() };
    let mut progress = order.place().clone();
    let mut detail = order.refusal_detail().to_owned();
    let mut events = Vec::with_capacity(moves.len() + 1);
    let freed = moves.iter().any(settles).then(|| freed(order, placed)).flatten();
    for moved in moves {
        progress.evolve(&moved);
        if let Event::StepRefused { detail: refusal, .. } = &moved {
            detail.clone_from(refusal);
        }
        let consequence = consequence(order, placed, &moved, &detail);
        let confirmed = matches!(consequence, Some(OrderEvent::OrderConfirmed(_)));
        let unpaid = unpaid(order, placed, &moved);
        events.push(OrderEvent::SagaMoved(moved));
        events.extend(consequence);
        events.extend(unpaid);
        if confirmed && order.cancel_asked() {
            // The cancel that came while the pivot was in doubt: there is no moment without an open saga.
            let mut after = order.clone();
            events.iter().for_each(|event| after.evolve(event));
            events.extend(cancel::take_over(&after, &progress));
        }
    }
    events.extend(freed);
    events
}

fn settles(moved: &Event) -> bool {
    matches!(moved, Event::Completed { .. } | Event::Abandoned { .. })
}

/// The money that an order which ships nothing was held for is settled: nothing keeps it any more.
fn freed(order: &Order, placed: &OrderPlaced) -> Option<OrderEvent> {
    let is_held = order.delivery().is_none() && !order.holds().is_empty();
    is_held.then(|| {
        OrderEvent::OrderReleased(OrderReleased {
            order_id: placed.order_id,
            subject: placed.subject.clone(),
            by: BY_ITSELF.into(),
            note: "the capture is settled".to_owned(),
        })
    })
}

/// What was sold and cannot be paid for is kept: the order is held once, and a person is called.
fn unpaid(order: &Order, placed: &OrderPlaced, moved: &Event) -> Vec<OrderEvent> {
    match moved {
        Event::NeedsOperator { step, reason, refused: true, .. }
            if step == CAPTURE && !order.capture_was_refused() =>
        {
            let (order_id, subject) = (placed.order_id, placed.subject.clone());
            capture_refused(order_id, &subject, &Arc::from(UNPAID_HOLD), &Arc::from(CAPTURE), reason).into()
        }
        Event::Started { .. }
        | Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::StepDelayed { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. }
        | Event::NeedsOperator { .. }
        | Event::Completed { .. }
        | Event::Undone { .. }
        | Event::Abandoned { .. }
        | Event::Intervened { .. } => Vec::new(),
    }
}

fn consequence(order: &Order, placed: &OrderPlaced, moved: &Event, detail: &str) -> Option<OrderEvent> {
    match moved {
        Event::StepDone { step, .. } if step == COMMIT => {
            Some(OrderEvent::OrderConfirmed(confirmed(order, placed)))
        }
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

fn confirmed(order: &Order, placed: &OrderPlaced) -> OrderConfirmed {
    let lines: Arc<[ConfirmedLine]> = order
        .lines()
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
        total: order.total().unwrap_or(placed.total),
        lines,
    }
}

/// Who asked for the end decides its name: a customer who cancelled sees CANCELLED whatever came first.
fn turned_back(order: &Order, placed: &OrderPlaced, reason: &str, detail: &str) -> OrderEvent {
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    if order.cancel_asked() {
        let reason = order.cancel_reason().to_owned();
        return OrderEvent::OrderCancelled(OrderCancelled { order_id, subject, reason });
    }
    let (reason, detail) = (reason.to_owned(), detail.to_owned());
    OrderEvent::OrderRejected(OrderRejected { order_id, subject, reason, detail })
}
