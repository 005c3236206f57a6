//! An event store to be measured, and the smallest thing that can be kept in one.
use crate::process;
use crate::report::{NoResult, Outcome};
use crate::syncs::Syncs;
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::{
    CommitId, Decision, EventStore, Expected, Location, Options, Origin, Statistics, StreamId, Work,
};
use souk_host::Environment;
use souk_kernel::Ids;
use std::path::Path;
use std::sync::Arc;

/// The store's name is part of its threads' names, by which they are found.
const NAME: &str = "bench";
const SEQUENCER: &str = "sequencer-bench";

/// What is appended: about as much as a small real event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    amount: i64,
    remark: Arc<str>,
}

/// The events of a [`Counter`].
#[derive(Debug, Clone, PartialEq)]
pub enum CounterEvent {
    Counted(Counted),
}
stored_events!(CounterEvent { Counted: 1 });

/// Adds up what was counted.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    total: i64,
}

impl Aggregate for Counter {
    type Event = CounterEvent;
    const CATEGORY: &'static str = "counter";
    fn evolve(&mut self, event: &CounterEvent) {
        let CounterEvent::Counted(counted) = event;
        self.total = self.total.wrapping_add(counted.amount);
    }
}

/// The options of a store in this folder, as the shop has them.
pub fn options(folder: &Path) -> Options {
    Options::new(NAME, Location::Sqlite(folder.join("bench.db")), Environment::system().clock)
}

/// Opens a store.
pub fn open(options: Options) -> Outcome<EventStore> {
    EventStore::open(options).map_err(|e| NoResult::failed("the store does not open", e))
}

/// A client that appends one event after the other to a stream of its own, deciding each on the stream's state.
pub struct Appender {
    store: EventStore,
    stream: StreamId,
    remark: Arc<str>,
    ids: Ids,
}

/// So many clients of one store.
pub fn appenders(store: &EventStore, clients: u32) -> Vec<Appender> {
    let ids = Environment::system().ids();
    let client = |number| Appender {
        store: store.clone(),
        stream: StreamId::of::<Counter>(number),
        remark: Arc::from("one small event, as a cart or a payment appends it"),
        ids: ids.clone(),
    };
    (0..clients).map(client).collect()
}

impl crate::load::Client for Appender {
    async fn once(&mut self, _: u64) -> Outcome<()> {
        let (stream, remark) = (self.stream.clone(), Arc::clone(&self.remark));
        let work = Work::new(CommitId::new(self.ids.uuid()), Origin::by("bench"))
            .read::<Counter>(&self.stream)
            .decide(move |facts, _now| {
                let amount = facts.state::<Counter>(&stream).total % 1_000 + 1;
                let event = CounterEvent::Counted(Counted { amount, remark: Arc::clone(&remark) });
                Ok(Decision::new().append(stream.clone(), Expected::Any, vec![event]))
            });
        self.store.commit(work).await.map(drop).map_err(|e| NoResult::Failed(format!("an append: {e:?}")))
    }
}

/// Notes what a store has done at some moment.
pub struct Meter {
    store: EventStore,
    statistics: Statistics,
    syncs: Syncs,
    written: u64,
}

/// What a store has done since.
#[derive(Debug)]
pub struct Done {
    pub batches: u64,
    pub commits: u64,
    /// Times the log was moved into the file.
    pub checkpoints: u64,
    pub syncs: Syncs,
    written: u64,
}

impl Meter {
    /// From now on.
    pub fn start(store: &EventStore) -> Self {
        Self {
            store: store.clone(),
            statistics: store.statistics(),
            syncs: Syncs::so_far(),
            written: process::written_by_threads(SEQUENCER),
        }
    }

    /// Until now.
    pub fn stop(&self) -> Done {
        let now = self.store.statistics();
        Done {
            batches: now.batches - self.statistics.batches,
            commits: now.commits - self.statistics.commits,
            checkpoints: now.checkpoints - self.statistics.checkpoints,
            syncs: self.syncs.since(),
            written: process::written_by_threads(SEQUENCER) - self.written,
        }
    }
}

impl Done {
    /// What a batch writes on average; a page where the kernel does not count.
    pub fn bytes_per_batch(&self) -> u64 {
        self.written.checked_div(self.batches).filter(|bytes| *bytes > 0).unwrap_or(4_096)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Client;

    #[tokio::test]
    async fn one_client_gets_a_batch_and_a_sync_for_each_append() {
        let _turn = crate::syncs::TURN.lock().await;
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(options(folder.path())).expect("opens");
        let mut client = appenders(&store, 1).remove(0);
        client.once(0).await.expect("the log begins with a sync of its header");
        let meter = Meter::start(&store);
        for n in 1..=20 {
            client.once(n).await.expect("appended");
        }
        let done = meter.stop();
        assert_eq!((done.batches, done.commits, done.syncs.sequencers), (20, 20, 20));
        assert!(done.bytes_per_batch() >= 4_096, "a batch is at least a page: {done:?}");
        let total = store.state::<Counter>(&client.stream).await.expect("readable").total;
        assert!(total > 0, "every append was decided on the state before it");
        store.shutdown().await;
    }
}
