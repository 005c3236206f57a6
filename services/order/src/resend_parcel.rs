//! The saga that sends the pieces of a lost parcel again, for nothing: they are reserved anew, under a name of their
//! own, the promise is made final (the pivot), and shipping gets them. Where the stock is lacking, nothing happens, and
//! what becomes of the parcel is open once more.
use crate::domain::order::{OrderEvent, ParcelResent, ResendRefused};
use souk_contracts::terms::OrderId;
use souk_saga::{Definition, Direction, Event, Intent, Outcome};
use std::sync::{Arc, LazyLock};

/// Promises the pieces; undone by a release.
pub const RESERVE_AGAIN: &str = "reserve_again";
/// The pivot: makes the promise final.
pub const COMMIT_AGAIN: &str = "commit_again";
/// Gives them to shipping.
pub const SEND_AGAIN: &str = "send_again";

static DEFINITION: LazyLock<Definition> = LazyLock::new(|| {
    Definition::start("resend_parcel", 1).step(RESERVE_AGAIN).pivot(COMMIT_AGAIN).then(SEND_AGAIN)
});

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// Once the stock is sold again, shipping must have it; a release is never refused for good.
pub fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. }
            if intent.step == SEND_AGAIN || intent.direction == Direction::Undo =>
        {
            Outcome::unknown(format!("{} was refused: {reason}", intent.step))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. } => {
            outcome.clone()
        }
    }
}

/// What the order hears at the end. `detail` is that of the refusal, where there was one.
pub fn ended(end: &Event, shipment_id: &Arc<str>, resend_id: OrderId, detail: &str) -> OrderEvent {
    let shipment_id = shipment_id.clone();
    if let Event::Undone { reason, .. } | Event::Abandoned { reason, .. } = end {
        let (reason, detail) = (reason.clone(), detail.to_owned());
        return OrderEvent::ResendRefused(ResendRefused { shipment_id, resend_id, reason, detail });
    }
    OrderEvent::ParcelResent(ParcelResent { shipment_id, resend_id })
}
