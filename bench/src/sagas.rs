//! Sagas per second: five steps that do nothing, each recorded durably before the next begins. What is left is
//! the price of being able to crash anywhere.
use crate::amount::Amount;
use crate::disk::Around;
use crate::load::{self, Client};
use crate::parts::Setting;
use crate::report::{Figure, NoResult, Outcome};
use crate::store::{self, Meter};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::{
    CommitId, Decision, EventStore, Expected, Origin, PublicEvent, Publish, Recorded, Statement, StreamId,
    Work,
};
use souk_host::Environment;
use souk_kernel::{Ids, Timestamp};
use souk_rpc::BoxFuture;
use souk_saga::{
    Call, Definition, Event, Intent, Outcome as Answer, Progress, Recording, Runner, Saga, views,
};
use souk_telemetry::{Stop, StopSource, task};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

const WARM_UP: Duration = Duration::from_millis(300);
const CLIENTS: &[u32] = &[1, 16, 64, 256];
/// The start and five steps.
const COMMITS_PER_SAGA: u64 = 6;
/// A saga that takes longer than this has stopped.
const SAGA_MAX: Duration = Duration::from_secs(20);
const FEED_PAGE: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Moved(Event);

#[derive(Debug, Clone, PartialEq)]
enum ErrandEvent {
    Moved(Moved),
}
stored_events!(ErrandEvent { Moved: 1 });

/// Something that consists of nothing but its saga.
#[derive(Debug, Clone, Default)]
struct Errand(Progress);

impl Aggregate for Errand {
    type Event = ErrandEvent;
    const CATEGORY: &'static str = "errand";
    fn evolve(&mut self, event: &ErrandEvent) {
        let ErrandEvent::Moved(Moved(event)) = event;
        self.0.evolve(event);
    }
}

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    if let Some(event) = recorded.of::<Errand>() {
        let ErrandEvent::Moved(Moved(event)) = event.as_ref();
        views::project(recorded, event, out);
    }
}

/// Others learn of the end, and so does the client that waits for it.
fn publish(recorded: &Recorded) -> Option<PublicEvent> {
    let event = recorded.of::<Errand>()?;
    let ErrandEvent::Moved(Moved(event)) = event.as_ref();
    matches!(event, Event::Completed { .. })
        .then(|| PublicEvent { kind: "souk.bench.v1.ErrandDone", data: Vec::new() })
}

/// Nobody is called: every step is done at once.
struct Errands(Definition);

impl Saga for Errands {
    type State = Errand;

    fn outstanding(&self, state: &Errand) -> Vec<Intent> {
        state.0.outstanding(&self.0)
    }

    fn perform(&self, _: Call<Errand>) -> BoxFuture<'_, Answer> {
        Box::pin(std::future::ready(Answer::done()))
    }

    fn record(
        &self,
        state: &Errand,
        intent: &Intent,
        outcome: &Answer,
        attempt: u32,
        _: Timestamp,
    ) -> Recording<ErrandEvent> {
        recording(state.0.record(&self.0, intent, outcome, attempt))
    }

    fn sagas<'a>(&'a self, state: &'a Errand) -> Vec<(&'a Definition, &'a Progress)> {
        vec![(&self.0, &state.0)]
    }

    fn moved(&self, _: &Errand, moves: Vec<Event>, _: Timestamp) -> Recording<ErrandEvent> {
        recording(moves)
    }
}

fn recording(moves: Vec<Event>) -> Recording<ErrandEvent> {
    let events = moves.into_iter().map(|event| ErrandEvent::Moved(Moved(event))).collect();
    Recording { events, ..Recording::default() }
}

fn definition() -> Definition {
    Definition::start("errand", 1).step("one").step("two").step("three").pivot("four").then("five")
}

/// Who waits for which saga.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<HashMap<StreamId, oneshot::Sender<()>>>>);

impl Waiting {
    fn add(&self, stream: StreamId) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, sender);
        receiver
    }

    fn ended(&self, stream: &StreamId) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(stream);
        waiting.map(|sender| sender.send(()));
    }
}

/// Follows the feed, as another service would.
async fn follow(store: EventStore, waiting: Waiting, stop: Stop) {
    let mut head = store.head();
    let mut after = store.feed_head();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            moved = head.changed() => if moved.is_err() { return },
        }
        head.borrow_and_update();
        while let Ok(page) = store.read_feed(after, FEED_PAGE).await {
            page.iter().for_each(|published| waiting.ended(&published.stream));
            let Some(last) = page.last() else { break };
            after = last.feed_seq;
        }
    }
}

/// Starts one saga after the other and waits for the end of each.
struct Starter {
    store: EventStore,
    waiting: Waiting,
    ids: Ids,
}

impl Client for Starter {
    async fn once(&mut self, _: u64) -> Outcome<()> {
        let id = self.ids.uuid();
        let stream = StreamId::of::<Errand>(id.to_base32());
        let ended = self.waiting.add(stream.clone());
        let work = Work::new(CommitId::new(id), Origin::by("bench")).decide(move |_, _| {
            let events = Progress::default().start(&definition());
            let events: Vec<_> = events.into_iter().map(|event| ErrandEvent::Moved(Moved(event))).collect();
            Ok(Decision::new().append(stream.clone(), Expected::NoStream, events))
        });
        self.store.commit(work).await.map_err(|e| NoResult::Failed(format!("a saga's start: {e:?}")))?;
        match tokio::time::timeout(SAGA_MAX, ended).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NoResult::Failed("a saga did not end".to_owned())),
        }
    }
}

/// Measures each number of clients on a store of its own.
pub async fn measure(setting: &Setting) -> Outcome {
    let mut figures = Vec::new();
    for clients in CLIENTS {
        figures.push(at(setting, *clients).await?);
    }
    Ok(figures)
}

async fn at(setting: &Setting, clients: u32) -> Outcome<Figure> {
    let folder = setting.folder(&format!("sagas-{clients}"))?;
    let office = Office::open(&folder)?;
    // The first moments pass with leases.
    let warm = Meter::start(&office.store);
    load::run(office.starters(clients), WARM_UP).await?;
    let around = Around::begin(&folder, warm.stop().bytes_per_batch(), setting.lasting / 6).await?;
    let meter = Meter::start(&office.store);
    let load = load::run(office.starters(clients), setting.lasting).await?;
    let done = meter.stop();
    let raw = around.end(done.bytes_per_batch()).await?;
    office.close().await?;
    let commits = Amount::quotient(done.commits, done.batches);
    Ok(Figure::new(format!("{clients} at once"), load.rate(), "sagas/s")
        .detail(format!("{commits} commits/batch, p99 {} ms", load.latency(990)))
        .beside("raw syncs, six a saga", raw.divided_by(COMMITS_PER_SAGA)))
}

/// A store with whoever works on its sagas.
struct Office {
    store: EventStore,
    ids: Ids,
    waiting: Waiting,
    source: StopSource,
    runner: task::Running<Result<(), souk_kernel::Error>>,
    follower: task::Running,
}

impl Office {
    fn open(folder: &Path) -> Outcome<Self> {
        let options = store::options(folder).views(vec![views::view(project)]).publish(Publish(publish));
        let store = store::open(options)?;
        let (source, stop) = Stop::new();
        let (ids, waiting) = (Environment::system().ids(), Waiting::default());
        let limits = souk_saga::Options::default();
        let runner = Runner::new(store.clone(), Errands(definition()), ids.clone(), limits);
        let runner = task::spawn(task::Kind::Background, "bench.sagas", runner.run(stop.clone()));
        let following = follow(store.clone(), waiting.clone(), stop);
        let follower = task::spawn(task::Kind::Background, "bench.feed", following);
        Ok(Self { store, ids, waiting, source, runner, follower })
    }

    fn starters(&self, clients: u32) -> Vec<Starter> {
        let starter =
            |_| Starter { store: self.store.clone(), waiting: self.waiting.clone(), ids: self.ids.clone() };
        (0..clients).map(starter).collect()
    }

    async fn close(self) -> Outcome<()> {
        self.source.stop();
        let ended = self.runner.join().await.map_err(|e| NoResult::failed("the runner", e))?;
        ended.map_err(|e| NoResult::failed("the runner", e.story()))?;
        self.follower.join().await.map_err(|e| NoResult::failed("the follower", e))?;
        self.store.shutdown().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_eventstore::Position;

    #[tokio::test]
    async fn a_client_waits_until_the_whole_saga_is_recorded() {
        let _turn = crate::syncs::TURN.lock().await;
        let folder = tempfile::tempdir().expect("a folder");
        let office = Office::open(folder.path()).expect("opens");
        office.starters(1).remove(0).once(0).await.expect("it ended");
        let log = office.store.read_log(Position::default(), 100).await.expect("readable");
        let commits: std::collections::BTreeSet<_> =
            log.iter().map(|event| event.commit.to_string()).collect();
        assert_eq!(log.len(), 7, "started, five steps, completed: {log:?}");
        assert_eq!(commits.len() as u64, COMMITS_PER_SAGA, "the last step and the end are one commit");
        office.close().await.expect("no fault");
    }
}
