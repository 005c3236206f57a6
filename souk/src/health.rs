//! How the stores of this process are, for the operators' port. Other services are deliberately not looked at:
//! their troubles are no reason to take this process out of rotation.
use futures_util::future::join_all;
use souk_eventstore::EventStore;
use souk_gateway::admin::Dependency;
use souk_kernel::{Clock, Timestamp};
use souk_telemetry::Stop;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What passes between two looks at the stores.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a store may take to answer a look.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A process is not ready when one of its stores has not answered for longer. One slow answer is no reason.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// What was seen of the stores. Cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    stores: Vec<Watched>,
}

struct Watched {
    name: &'static str,
    store: EventStore,
    seen: Mutex<Seen>,
}

/// What the looks at one store have shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    healthy: bool,
    /// How long the last answer took, or how long it was waited for.
    latency: Duration,
    /// Since when it has been healthy, or has not.
    since: Timestamp,
    answered: Instant,
}

impl Health {
    /// The health of these stores, which were opened just now and so have answered.
    pub fn of(stores: &[(&'static str, EventStore)], clock: Arc<dyn Clock>) -> Self {
        let opened = Seen::opened(clock.now(), Instant::now());
        let watched = |(name, store): &(&'static str, EventStore)| Watched {
            name,
            store: store.clone(),
            seen: Mutex::new(opened),
        };
        Self(Arc::new(Inner { stores: stores.iter().map(watched).collect(), clock }))
    }

    /// Looks again and again until the stop is requested. Whoever asks is told of the last look, so that asking
    /// often costs the stores nothing.
    pub async fn watch(self, stop: Stop) {
        loop {
            join_all(self.0.stores.iter().map(|watched| watched.look(self.0.clock.as_ref()))).await;
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Whether every store has answered lately; which has not.
    pub fn stores_answer(&self) -> Result<(), String> {
        let now = Instant::now();
        match self.0.stores.iter().find(|watched| watched.seen().is_silent(now)) {
            None => Ok(()),
            Some(silent) => {
                let silence = now.duration_since(silent.seen().answered).as_secs();
                Err(format!("the store of {} has not answered for {silence} s", silent.name))
            }
        }
    }

    /// Each store as it was seen last.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let one = |watched: &Watched| {
            let Seen { healthy, latency, since, answered: _ } = *watched.seen();
            Dependency { name: format!("store.{}", watched.name), healthy, latency, since }
        };
        self.0.stores.iter().map(one).collect()
    }
}

impl Watched {
    async fn look(&self, clock: &dyn Clock) {
        let asked = Instant::now();
        // Any read will do; there is no such checkpoint.
        let answer = timeout(ANSWER_WITHIN, self.store.checkpoint_of("health")).await;
        let healthy = matches!(answer, Ok(Ok(_)));
        let now = Instant::now();
        let mut seen = self.seen();
        *seen = seen.after(healthy, now.duration_since(asked), clock.now(), now);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }
}

impl Seen {
    fn opened(at: Timestamp, now: Instant) -> Self {
        Self { healthy: true, latency: Duration::ZERO, since: at, answered: now }
    }

    /// What is known after one more look.
    fn after(self, healthy: bool, latency: Duration, at: Timestamp, now: Instant) -> Self {
        let since = if healthy == self.healthy { self.since } else { at };
        let answered = if healthy { now } else { self.answered };
        Self { healthy, latency, since, answered }
    }

    fn is_silent(self, now: Instant) -> bool {
        now.duration_since(self.answered) > SILENT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_eventstore::{Faults, Location, Options};
    use souk_kernel::ManualClock;

    #[test]
    fn one_slow_answer_is_no_reason_and_a_long_silence_is() {
        let (at, now) = (Timestamp::from_unix_s, Instant::now());
        let later = |s| now + Duration::from_secs(s);
        let opened = Seen::opened(at(0), now);
        let slow = opened.after(false, ANSWER_WITHIN, at(2), later(2));
        assert_eq!((slow.healthy, slow.since, slow.is_silent(later(2))), (false, at(2), false));
        let silent = slow.after(false, ANSWER_WITHIN, at(11), later(11));
        assert_eq!(
            (silent.since, silent.is_silent(later(10)), silent.is_silent(later(11))),
            (at(2), false, true)
        );
        let back = silent.after(true, Duration::ZERO, at(12), later(12));
        assert_eq!((back.healthy, back.since, back.is_silent(later(12))), (true, at(12), false));
        assert_eq!(back.after(true, Duration::ZERO, at(14), later(14)).since, at(12));
    }

    #[tokio::test]
    async fn a_store_that_is_closed_is_seen() {
        let clock = ManualClock::at(Timestamp::from_unix_s(1));
        let options = Options::new("order", Location::Memory(Faults::default()), clock.clone());
        let store = EventStore::open(options).expect("it opens");
        let health = Health::of(&[("order", store.clone())], clock.clone());
        health.0.stores[0].look(clock.as_ref()).await;
        assert!(health.dependencies()[0].healthy && health.stores_answer().is_ok());
        store.shutdown().await;
        clock.advance_ms(1_000);
        health.0.stores[0].look(clock.as_ref()).await;
        let seen = &health.dependencies()[0];
        assert_eq!((seen.name.as_str(), seen.healthy, seen.since), ("store.order", false, clock.now()));
        assert!(health.stores_answer().is_ok(), "it answered a moment ago");
    }
}
