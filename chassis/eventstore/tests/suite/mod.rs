//! A small domain and a store on each location, for the tests of the event store.
#![allow(dead_code, reason = "each test binary uses a part of it")]
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::*;
use souk_kernel::{Clock, ManualClock, Rejection, Timestamp};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub name: String,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Added {
    pub n: i64,
}
#[derive(Debug, Clone, PartialEq)]
pub enum CounterEvent {
    Opened(Opened),
    Added(Added),
}
stored_events!(CounterEvent { Opened: 1, Added: 1 });

pub fn added(n: i64) -> CounterEvent {
    CounterEvent::Added(Added { n })
}

pub fn opened(name: &str) -> CounterEvent {
    CounterEvent::Opened(Opened { name: name.into() })
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counter {
    pub name: String,
    pub sum: i64,
}
impl Aggregate for Counter {
    type Event = CounterEvent;
    const CATEGORY: &'static str = "counter";
    fn evolve(&mut self, event: &CounterEvent) {
        match event {
            CounterEvent::Opened(opened) => self.name.clone_from(&opened.name),
            CounterEvent::Added(added) if added.n == UNFOLDABLE => panic!("evolve does not like this"),
            CounterEvent::Added(added) => self.sum += added.n,
        }
    }
}

/// An amount that no view accepts, one that makes the projection panic, and one that makes `evolve` panic.
pub const POISON: i64 = -666;
pub const PANICKING: i64 = -777;
pub const UNFOLDABLE: i64 = -888;

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Counter>() else { return };
    match &*event {
        CounterEvent::Opened(_) => {}
        CounterEvent::Added(added) => {
            assert_ne!(added.n, PANICKING, "the projection does not like this");
            let statement = Statement::new(
                "INSERT INTO {totals} (counter, total, version) VALUES ($1, $2, $3)
                 ON CONFLICT (counter) DO UPDATE SET total = total + excluded.total, version = excluded.version",
            );
            out.push(statement.arg(recorded.stream.id()).arg(added.n).arg(recorded.version));
        }
    }
}

pub const TOTALS: View = View {
    name: "totals",
    version: 1,
    tables: &[Table {
        name: "totals",
        ddl: "CREATE TABLE {name} (counter TEXT PRIMARY KEY, total BIGINT NOT NULL CHECK (total > -600),
              version BIGINT NOT NULL)",
        indexes: &["CREATE INDEX {name}_by_total ON {name} (total)"],
    }],
    project,
};

/// Only amounts above 10 are for others; the bytes are the amount's text.
fn publish(recorded: &Recorded) -> Option<PublicEvent> {
    match &*recorded.of::<Counter>()? {
        CounterEvent::Added(added) if added.n > 10 => {
            Some(PublicEvent { kind: "test.v1.Added", data: added.n.to_string().into_bytes() })
        }
        CounterEvent::Added(_) | CounterEvent::Opened(_) => None,
    }
}
pub const PUBLISH: Publish = Publish(publish);

pub const START: Timestamp = Timestamp::from_unix_s(1_800_000_000);

/// A store with everything that a test may want to move.
pub struct Place {
    pub clock: Arc<ManualClock>,
    folder: Option<tempfile::TempDir>,
    inline: bool,
}

impl Place {
    /// In memory.
    pub fn memory() -> Self {
        Self { clock: ManualClock::at(START), folder: None, inline: false }
    }

    /// In a file that goes away with this value.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for tests");
        Self { clock: ManualClock::at(START), folder: Some(folder), inline: false }
    }

    /// The same without threads.
    pub fn inline() -> Self {
        Self { inline: true, ..Self::sqlite() }
    }

    /// Whether it outlives its store.
    pub fn is_file(&self) -> bool {
        self.folder.is_some()
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.as_ref().expect("a store in a file").path().join("test.db")
    }

    pub fn options(&self) -> Options {
        let location = match &self.folder {
            Some(_) => Location::Sqlite(self.path()),
            None => Location::Memory(Faults::none()),
        };
        self.options_at(location)
    }

    pub fn options_at(&self, location: Location) -> Options {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Options::new("test", location, clock).views(vec![TOTALS]).publish(PUBLISH).inline(self.inline)
    }

    pub fn open(&self) -> EventStore {
        EventStore::open(self.options()).expect("opens")
    }
}

pub fn stream(id: impl std::fmt::Display) -> StreamId {
    StreamId::of::<Counter>(id)
}

/// A commit id that no other call in this process gives.
pub fn fresh() -> CommitId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    CommitId::derived(&["test", &NEXT.fetch_add(1, Ordering::Relaxed).to_string()])
}

pub fn work(id: CommitId) -> Work {
    Work::new(id, Origin::by("tester").correlation("story"))
}

/// Appends without looking.
pub fn append(to: &StreamId, expected: Expected, events: Vec<CounterEvent>) -> Work {
    let to = to.clone();
    work(fresh()).decide(move |_, _| Ok(Decision::new().append(&to, expected, events.clone())))
}

/// A decision that needs no facts.
pub fn decide(decision: impl Fn() -> Decision + Send + Sync + 'static) -> Work {
    work(fresh()).decide(move |_, _| Ok(decision()))
}

/// Adds `n` unless the sum would exceed `max`.
pub fn add_up_to(to: &StreamId, n: i64, max: i64) -> Work {
    let to = to.clone();
    work(fresh()).read::<Counter>(&to).decide(move |facts, _| {
        if facts.state::<Counter>(&to).sum + n > max {
            return Err(Rejection::new("TOO_MUCH", "the sum would be too large"));
        }
        Ok(Decision::new().append(&to, Expected::Any, vec![added(n)]))
    })
}

pub async fn total(store: &EventStore, id: &str) -> Option<i64> {
    let rows = store.query(Statement::new("SELECT total FROM {totals} WHERE counter = $1").arg(id)).await;
    rows.expect("a valid statement").first().map(|row| row.get(0))
}

pub async fn sum(store: &EventStore, id: &str) -> i64 {
    store.state::<Counter>(&stream(id)).await.expect("readable").sum
}

/// Everything in the log, checked for gaps.
pub async fn log(store: &EventStore) -> Vec<Recorded> {
    store.read_log(Position::START, PAGE_MAX).await.expect("readable, without gaps")
}

/// The outcomes of all of them, started together.
pub async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        poll_each(&mut waiting, cx);
        if waiting.iter().all(|(_, outcome)| outcome.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

type Waiting<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);

fn poll_each<F: Future>(waiting: &mut [Waiting<F>], cx: &mut Context<'_>) {
    for (future, outcome) in waiting.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
        if let Poll::Ready(ready) = future.as_mut().poll(cx) {
            *outcome = Some(ready);
        }
    }
}

/// Keeps the sequencer inside a decision until it is opened.
pub struct Gate {
    reached: Arc<tokio::sync::Notify>,
    open: std::sync::mpsc::Sender<()>,
}

impl Gate {
    pub fn new() -> (Gate, Work) {
        let reached = Arc::new(tokio::sync::Notify::new());
        let (open, opened) = std::sync::mpsc::channel();
        let (notify, opened) = (reached.clone(), Mutex::new(opened));
        let piece = work(fresh()).decide(move |_, _| {
            notify.notify_one();
            let _ = opened.lock().expect("not poisoned").recv();
            Ok(Decision::new())
        });
        (Gate { reached, open }, piece)
    }

    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    pub fn open(self) {
        let _ = self.open.send(());
    }
}

/// Commits all of them in one batch: they queue up while the sequencer is kept busy.
pub async fn in_one_batch(
    store: &EventStore,
    works: impl IntoIterator<Item = Work>,
) -> Vec<Result<Committed, CommitError>> {
    let (gate, piece) = Gate::new();
    let mut first = Box::pin(store.commit(piece));
    poll_once(&mut first).await;
    gate.reached().await;
    let mut rest: Vec<_> = works.into_iter().map(|work| Box::pin(store.commit(work))).collect();
    for commit in &mut rest {
        poll_once(commit).await;
    }
    gate.open();
    first.await.expect("the gate's own piece is quiet");
    all(rest).await
}

/// Starts a future without waiting for it.
pub async fn poll_once<F: Future>(future: &mut Pin<Box<F>>) {
    std::future::poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending(), "it should have to wait");
        Poll::Ready(())
    })
    .await;
}
