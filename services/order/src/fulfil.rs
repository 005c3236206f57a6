//! The fulfil saga: once the time to undo is over, shipping is given the order, with the stock where inventory
//! put it. One step; what follows from it comes back as shipping's published events (`reactions.rs`).
use crate::domain::order::{Order, OrderEvent};
use souk_saga::{Definition, Intent, Outcome};
use std::sync::LazyLock;

/// The saga's name.
pub const NAME: &str = "fulfil";
/// The pivot and only step: creates the fulfilment.
pub const CREATE: &str = "create";

static DEFINITION: LazyLock<Definition> = LazyLock::new(|| Definition::start(NAME, 1).pivot(CREATE));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// What to record about an attempt. Shipping's no cannot turn a sale back that the customer was told of: it is
/// asked again, visibly, until a person has seen to it.
pub fn record(order: &Order, intent: &Intent, outcome: &Outcome, attempt: u32) -> Vec<OrderEvent> {
    let outcome = match outcome {
        Outcome::Refused { reason, .. } => Outcome::unknown(format!("the fulfilment was refused: {reason}")),
        Outcome::Done(_) | Outcome::Waiting { .. } | Outcome::Unknown { .. } => outcome.clone(),
    };
    let moves = order.fulfil().record(definition(), intent, &outcome, attempt);
    moves.into_iter().map(OrderEvent::SagaMoved).collect()
}
