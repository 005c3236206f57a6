//! Durable sagas: work over several services that ends done or undone, whatever dies on the way.
//!
//! A saga is a [`Definition`] (steps, one pivot), a [`Progress`] (a fold over its [`Event`]s, from which the
//! to-do list follows) and a [`Runner`] that carries out what is outstanding and records each answer as one
//! append. There is no second path for recovery: after a crash the same list is looked at again. What cannot go on
//! by itself waits for a person, who retries, skips or resolves at the runner's [`Desk`]; that is an event, too.
//!
//! ```
//! use souk_saga::{Definition, Outcome, Progress};
//! let trip = Definition::start("trip", 1).step("flight").step("hotel").pivot("pay").then("tickets");
//! let mut progress = Progress::default();
//! progress.start(&trip).iter().for_each(|event| progress.evolve(event));
//!
//! let flight = progress.outstanding(&trip).remove(0);
//! assert_eq!((flight.step, flight.key("t1").as_str()), ("flight", "t1:trip:flight:do"));
//!
//! // Refused: the saga turns back, and undoes even the refused step, because an earlier attempt may have worked.
//! progress.record(&trip, &flight, &Outcome::refused("FULL", ""), 1).iter().for_each(|e| progress.evolve(e));
//! assert_eq!(progress.outstanding(&trip)[0].key("t1"), "t1:trip:flight:undo");
//! ```
#![warn(missing_docs)]

mod definition;
mod desk;
mod progress;
mod runner;
pub mod timers;
pub mod views;

pub use definition::{Definition, Direction, Draft, Intent, Side, Step};
pub use desk::{Desk, OpenSagas, SagaShown, StepShown};
pub use progress::{
    ATTEMPTS_UNTIL_OPERATOR, DELAY_RECORDED_EVERY, Event, Intervention, Operation, Outcome, Phase, Progress,
    RESOLVED_BY_OPERATOR, Standing, Stuck, TurnBack,
};
pub use runner::{Beside, Call, Options, Recording, Runner, SHARDS, Saga};
