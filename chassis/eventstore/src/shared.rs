//! What the handle, the sequencer and the readers have in common.
use crate::cache::Cache;
use crate::feed::FeedTail;
use crate::lease::Leases;
use crate::options::Exit;
use crate::{Position, Statistics};
use souk_kernel::{Clock, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

pub(crate) struct Shared {
    /// The service whose store it is.
    pub(crate) name: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The latest time that was told, so that none is ever earlier.
    time_us: AtomicI64,
    pub(crate) cache: Mutex<Cache>,
    pub(crate) tail: Mutex<FeedTail>,
    pub(crate) leases: Mutex<Leases>,
    pub(crate) next_due: Mutex<NextDue>,
    pub(crate) head: watch::Sender<Position>,
    pub(crate) counters: Counters,
    pub(crate) exit: Exit,
}

/// What is known of the next timer: when it comes due at the earliest. One that was cancelled may still count,
/// until its time has come and the file is asked again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NextDue {
    /// `None` when it must be looked up.
    pub(crate) known: Option<Option<Timestamp>>,
    /// Counts changes, so that a slow look-up does not overwrite a newer one.
    pub(crate) changes: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) replays: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        name: &str,
        clock: Arc<dyn Clock>,
        exit: Exit,
        head: crate::schema::Head,
        cache_bytes_max: usize,
    ) -> Self {
        Self {
            name: name.into(),
            clock,
            time_us: AtomicI64::new(head.time.unix_us()),
            cache: Mutex::new(Cache::new(cache_bytes_max, head.position)),
            tail: Mutex::new(FeedTail::new(head.feed_seq)),
            leases: Mutex::default(),
            next_due: Mutex::default(),
            head: watch::Sender::new(Position(head.position)),
            counters: Counters::default(),
            exit,
        }
    }

    /// The clock's time, never earlier than one that was told before.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.clock.now().unix_us();
        Timestamp::from_unix_us(self.time_us.fetch_max(now, Ordering::SeqCst).max(now))
    }

    /// Notes the earliest timer that a durable batch has set.
    pub(crate) fn timer_set(&self, due: Timestamp) {
        let mut next = lock(&self.next_due);
        next.changes += 1;
        next.known = next.known.map(|known| Some(known.map_or(due, |known| known.min(due))));
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let batches = count(&self.counters.batches);
        Statistics {
            batches,
            commits: count(&self.counters.commits),
            events: count(&self.counters.events),
            replays: count(&self.counters.replays),
            refusals: count(&self.counters.refusals),
            log_syncs_expected: batches,
            log_bytes: count(&self.counters.log_bytes),
            cache_bytes: lock(&self.cache).bytes() as u64,
            position: self.head.borrow().0,
            ..Statistics::default()
        }
    }
}

/// A panic elsewhere does not make what a lock guards wrong: every change under one is complete in itself.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
