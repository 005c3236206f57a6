//! The cancel saga of a confirmed order: stop the parcels where shipping has them, give the stock back (the
//! pivot, which inventory never refuses), then the money: a void, or a refund where it was captured; then the
//! coupons. It takes over from the place saga, whose capture may still be in flight; payment decides which of
//! the two came first. When shipping can no longer stop the parcels, the cancel ends and the order goes on.
use crate::domain::order::{CancelRefused, Order, OrderCancelled, OrderEvent, Status};
use crate::{fulfil, place};
use souk_saga::{Definition, Direction, Event, Intent, Outcome, Progress};
use std::sync::LazyLock;

/// The saga's name.
pub const NAME: &str = "cancel";
/// Asks shipping to stop; refused when a parcel has left.
pub const STOP_SHIPPING: &str = "stop_shipping";
/// The pivot: gives the stock back.
pub const RELEASE: &str = "release";
/// Voids the authorisation, or refunds what was captured.
pub const RETURN_MONEY: &str = "return_money";
/// Gives the coupons back.
pub const RETURN_COUPONS: &str = "return_coupons";

/// The output of [`RETURN_MONEY`] when money had been captured.
pub const REFUNDED: &str = "refunded";
/// The output of [`RETURN_MONEY`] when it had not.
pub const VOIDED: &str = "voided";

/// The saga by version: plain; of an order that shipping has; and both with coupons.
static DEFINITIONS: LazyLock<[Definition; 4]> = LazyLock::new(|| {
    let start = |version| Definition::start(NAME, version);
    [
        start(1).pivot(RELEASE).then(RETURN_MONEY),
        start(2).step(STOP_SHIPPING).pivot(RELEASE).then(RETURN_MONEY),
        start(3).pivot(RELEASE).then(RETURN_MONEY).then(RETURN_COUPONS),
        start(4).step(STOP_SHIPPING).pivot(RELEASE).then(RETURN_MONEY).then(RETURN_COUPONS),
    ]
});

/// The steps of a saga that began on this version.
pub fn definition(version: u16) -> &'static Definition {
    DEFINITIONS.iter().find(|known| known.version() == version).unwrap_or(&DEFINITIONS[0])
}

fn definition_of(order: &Order) -> &'static Definition {
    let shipping_has_it = *order.status() == Status::Processing;
    let redeemed = order.placed().is_some_and(|placed| !placed.coupons().is_empty());
    definition(match (shipping_has_it, redeemed) {
        (false, false) => 1,
        (true, false) => 2,
        (false, true) => 3,
        (true, true) => 4,
    })
}

/// Gives up what the other sagas have left and begins this one. `place` is the place saga as it is then.
pub fn take_over(order: &Order, place: &Progress) -> Vec<OrderEvent> {
    let reason = order.cancel_reason();
    let of_place = place.abandon(place::definition(place.version()), reason);
    let of_fulfil = order.fulfil().abandon(fulfil::definition(), reason);
    let started = Progress::default().start(definition_of(order));
    of_place.into_iter().chain(of_fulfil).chain(started).map(OrderEvent::SagaMoved).collect()
}

/// What to record about an attempt. Its end is the order's end, unless it turned back.
pub fn record(order: &Order, intent: &Intent, outcome: &Outcome, attempt: u32) -> Vec<OrderEvent> {
    let definition = definition(order.cancel().version());
    with_consequences(order, order.cancel().record(definition, intent, &never_back(intent, outcome), attempt))
}

/// The saga's moves with what they mean for the order, for one commit. A person may end it, too.
pub fn with_consequences(order: &Order, moves: Vec<Event>) -> Vec<OrderEvent> {
    let Some(placed) = order.placed() else { return Vec::new() };
    let end = moves.iter().find_map(|moved| match moved {
        // A person may end it, too; then where stock and money are is for their books.
        Event::Completed { .. } | Event::Abandoned { .. } => {
            Some(OrderEvent::OrderCancelled(OrderCancelled {
                order_id: placed.order_id,
                subject: placed.subject.clone(),
                reason: order.cancel_reason().to_owned(),
            }))
        }
        Event::Undone { reason, .. } => {
            Some(OrderEvent::CancelRefused(CancelRefused { reason: reason.clone() }))
        }
        Event::Started { .. }
        | Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::StepDelayed { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. }
        | Event::NeedsOperator { .. }
        | Event::Intervened { .. } => None,
    });
    moves.into_iter().map(OrderEvent::SagaMoved).chain(end).collect()
}

/// Once shipping has stopped, a cancel cannot turn back. A refused release is asked again, visibly, until a
/// person has seen to it.
fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } if intent.step == RELEASE && intent.direction == Direction::Do => {
            Outcome::unknown(format!("the release was refused: {reason}"))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. } => {
            outcome.clone()
        }
    }
}
