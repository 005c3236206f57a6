//! What inventory does by itself: it ends promises whose time is up. It calls nobody.
use crate::domain::Reservation;
use souk_contracts::terms::OrderId;
use souk_eventstore::{CommitError, CommitId, Decision, EventStore, Expected, Origin, StreamId, Timer, Work};
use souk_kernel::Timestamp;

/// The kind of the timers that end promises.
pub const EXPIRY: &str = "reservation_expiry";
/// A promise has one end: what is reserved again is committed at once.
const GENERATION: u64 = 1;

/// The key of the timer that ends a reservation's promise.
pub fn expiry_key(order: OrderId) -> String {
    format!("{EXPIRY}/{order}")
}

/// The timer that ends the promise at `due`.
pub fn expiry(order: OrderId, due: Timestamp) -> Timer {
    Timer {
        key: expiry_key(order).into(),
        kind: EXPIRY.into(),
        due,
        generation: GENERATION,
        payload: order.to_string(),
    }
}

/// A timer is due: ends the promise unless it was committed or released before. The commit that is first in
/// the sequencer wins; the other finds the timer gone, or the promise ended.
pub async fn expire(store: EventStore, timer: Timer) -> Result<(), CommitError> {
    let stream = StreamId::of::<Reservation>(&timer.payload);
    let id = CommitId::derived(&["expire", &timer.key, &timer.generation.to_string()]);
    let work = Work::new(id, Origin::by("svc:inventory").causation(timer.key.clone()))
        .read::<Reservation>(&stream)
        .decide(move |facts, _| {
            let events = facts.state::<Reservation>(&stream).expire();
            let fired = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            Ok(fired.append(&stream, Expected::Any, events))
        });
    store.commit(work).await.map(|_| ())
}
