//! Panics that ended a piece of work but not the process: counted, so that an alert can watch them.
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// How many panics this process survived.
pub fn caught() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}

/// Counts and logs one caught panic. `place` is the constant name of the work that it ended.
pub fn note(place: &str, payload: &(dyn Any + Send)) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
    tracing::error!(
        event.name = "panic.caught",
        place,
        reason = text(payload),
        "a panic ended a piece of work"
    );
}

/// What the panic said, if it said it in words.
pub fn text(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words were given")
}
