//! The sagas of a hold and of its end: shipping is told, until it has heard. Each is one step that shipping
//! cannot refuse; a release before its hold leaves a tombstone there, so their order does not matter.
use souk_saga::{Definition, Outcome};
use std::sync::LazyLock;

/// Keeps the fulfilment in the house.
pub const HOLD: &str = "hold_fulfilment";
/// Lets it go.
pub const RELEASE: &str = "release_fulfilment";

static HOLDING: LazyLock<Definition> = LazyLock::new(|| Definition::start("hold", 1).pivot(HOLD));
static RELEASING: LazyLock<Definition> = LazyLock::new(|| Definition::start("release", 1).pivot(RELEASE));

/// The steps of a hold.
pub fn hold() -> &'static Definition {
    &HOLDING
}

/// The steps of its end.
pub fn release() -> &'static Definition {
    &RELEASING
}

/// Nothing can be undone here: a no is asked again, visibly.
pub fn never_back(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } => Outcome::unknown(format!("shipping refused: {reason}")),
        Outcome::Done(_) | Outcome::Waiting { .. } | Outcome::Unknown { .. } => outcome.clone(),
    }
}
