//! The cancel saga of a confirmed order: give the stock back (the pivot, which inventory never refuses),
//! then the money: a void, or a refund where it was captured. It takes over from the place saga, whose
//! capture may still be in flight; payment decides which of the two came first.
use crate::domain::order::{CANCELLED_BY_CUSTOMER, Order, OrderCancelled, OrderEvent};
use souk_saga::{Definition, Event, Intent, Outcome, Progress};
use std::sync::LazyLock;

/// The pivot: gives the stock back.
pub const RELEASE: &str = "release";
/// Voids the authorisation, or refunds what was captured.
pub const RETURN_MONEY: &str = "return_money";

/// The output of [`RETURN_MONEY`] when money had been captured.
pub const REFUNDED: &str = "refunded";
/// The output of [`RETURN_MONEY`] when it had not.
pub const VOIDED: &str = "voided";

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("cancel", 1).pivot(RELEASE).then(RETURN_MONEY));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// Gives up what the place saga has left and begins this one.
pub fn take_over(place: &Progress) -> Vec<OrderEvent> {
    let given_up = place.abandon(crate::place::definition(), CANCELLED_BY_CUSTOMER);
    let started = Progress::default().start(definition());
    given_up.into_iter().chain(started).map(OrderEvent::SagaMoved).collect()
}

/// What to record about an attempt. Its end is the order's end.
pub fn record(order: &Order, intent: &Intent, outcome: &Outcome, attempt: u32) -> Vec<OrderEvent> {
    with_consequences(
        order,
        order.cancel().record(definition(), intent, &never_back(intent, outcome), attempt),
    )
}

/// The saga's moves with what they mean for the order, for one commit. A person may end it, too.
pub fn with_consequences(order: &Order, moves: Vec<Event>) -> Vec<OrderEvent> {
    let Some(placed) = order.placed() else { return Vec::new() };
    let ended = moves.iter().any(|moved| matches!(moved, Event::Completed { .. } | Event::Abandoned { .. }));
    let cancelled = ended.then(|| {
        OrderEvent::OrderCancelled(OrderCancelled {
            order_id: placed.order_id,
            subject: placed.subject.clone(),
            reason: CANCELLED_BY_CUSTOMER.to_owned(),
        })
    });
    moves.into_iter().map(OrderEvent::SagaMoved).chain(cancelled).collect()
}

/// A cancel cannot turn back: the customer was told that it goes ahead. A refused release is asked again,
/// visibly, until a person has seen to it.
fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } if intent.step == RELEASE => {
            Outcome::unknown(format!("the release was refused: {reason}"))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Unknown { .. } => outcome.clone(),
    }
}
