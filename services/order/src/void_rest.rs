//! The saga of one step that ends the money of an order of which pieces were called off: once all the others have
//! left and are paid for, payment gives up what is still promised, rather than let it run out.
use crate::domain::order::{OrderEvent, RestVoided};
use souk_kernel::Money;
use souk_saga::{Definition, Outcome};
use std::sync::LazyLock;

/// What a person is told that it is about; an order has one.
pub const REST: &str = "rest";
/// Gives up what is promised and not taken.
pub const VOID_REST: &str = "void_rest";

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("void_rest", 1).pivot(VOID_REST));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// A promise does not go away because the provider says no: it is asked again, visibly.
pub fn never_back(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } => Outcome::unknown(format!("the void was refused: {reason}")),
        Outcome::Done(_) | Outcome::Waiting { .. } | Outcome::Unknown { .. } => outcome.clone(),
    }
}

/// What the order hears at the end.
pub fn ended(amount: Money) -> OrderEvent {
    OrderEvent::RestVoided(RestVoided { amount })
}
