//! The saga that calls off pieces of an order which shipping has: stop them there (refused when they are
//! packed off), then give their stock back (the pivot, which is never refused for good). No money moves: what is
//! not shipped is never captured.
use crate::domain::errand::ErrandOpened;
use crate::domain::order::{LinesCancelRefused, OrderEvent, OrderLineCancelled, Pieces};
use souk_kernel::Money;
use souk_saga::{Definition, Direction, Event, Intent, Outcome};
use std::sync::{Arc, LazyLock};

/// Takes the pieces out of their parcels.
pub const STOP_PIECES: &str = "stop_pieces";
/// The pivot: gives their stock back.
pub const RELEASE_PIECES: &str = "release_pieces";

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("cancel_lines", 1).step(STOP_PIECES).pivot(RELEASE_PIECES));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// Once shipping has taken them out, their stock must come back.
pub fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. }
            if intent.step == RELEASE_PIECES && intent.direction == Direction::Do =>
        {
            Outcome::unknown(format!("the release of pieces was refused: {reason}"))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. } => {
            outcome.clone()
        }
    }
}

/// What the order hears at the end.
pub fn ended(
    opened: &ErrandOpened,
    end: &Event,
    cancel_id: &Arc<str>,
    pieces: &Arc<[Pieces]>,
    total: Money,
) -> OrderEvent {
    let cancel_id = cancel_id.clone();
    // A person can end it only on its way back.
    if let Event::Undone { reason, .. } | Event::Abandoned { reason, .. } = end {
        return OrderEvent::LinesCancelRefused(LinesCancelRefused { cancel_id, reason: reason.clone() });
    }
    OrderEvent::OrderLineCancelled(OrderLineCancelled {
        order_id: opened.order_id,
        subject: opened.subject.clone(),
        cancel_id,
        pieces: pieces.clone(),
        total,
    })
}
