//! The runner against a real store: every step silent first, every answer doubled, and a crash before every
//! step. The participant is a double that remembers keys, as every real one does.
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::{
    CommitId, Decision, EventStore, Expected, Location, Options, Origin, Recorded, Statement, StreamId, View,
    Work,
};
use souk_kernel::{Clock, Ids, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::BoxFuture;
use souk_saga::{
    Beside, Call, Definition, Desk, Direction, Event, Intent, Intervention, Operation,
    Options as RunnerOptions, Outcome, Phase, Progress, Recording, Runner, Saga, Standing, views,
};
use souk_telemetry::{Stop, task};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Moved(Event);

#[derive(Debug, Clone, PartialEq)]
enum TripEvent {
    Moved(Moved),
}
stored_events!(TripEvent { Moved: 1 });

#[derive(Debug, Clone, Default)]
struct Trip(Progress);

impl Aggregate for Trip {
    type Event = TripEvent;
    const CATEGORY: &'static str = "trip";
    fn evolve(&mut self, event: &TripEvent) {
        let TripEvent::Moved(Moved(event)) = event;
        self.0.evolve(event);
    }
}

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("trip", 1).step("flight").step("hotel").pivot("pay").then("tickets"));

fn definition() -> &'static Definition {
    &DEFINITION
}

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    if let Some(event) = recorded.of::<Trip>() {
        let TripEvent::Moved(Moved(event)) = event.as_ref();
        views::project(recorded, event, out);
    }
}

fn view() -> View {
    views::view(project)
}

/// Everybody whom the saga calls: remembers what is in effect by step and every key it ever saw.
#[derive(Default)]
struct World {
    effects: BTreeMap<String, bool>,
    attempts: BTreeMap<String, u32>,
}

/// How the world answers.
#[derive(Clone, Copy)]
struct Weather {
    /// How many attempts of every key stay without an answer; every other one of them has its effect.
    silent: u32,
    /// The step that is refused.
    refused: Option<&'static str>,
}

struct Trips {
    world: Arc<Mutex<World>>,
    weather: Weather,
}

impl Saga for Trips {
    type State = Trip;

    fn outstanding(&self, state: &Trip) -> Vec<Intent> {
        state.0.outstanding(definition())
    }

    fn perform(&self, call: Call<Trip>) -> BoxFuture<'_, Outcome> {
        let mut world = self.world.lock().expect("no holder panics");
        let attempt = world.attempts.entry(call.key.clone()).and_modify(|n| *n += 1).or_insert(1);
        let (silent, works) = (*attempt <= self.weather.silent, attempt.is_multiple_of(2));
        let refused =
            self.weather.refused == Some(call.intent.step) && call.intent.direction == Direction::Do;
        if (!silent || works) && !refused {
            world.effects.insert(call.intent.step.to_owned(), call.intent.direction == Direction::Do);
        }
        let outcome = match (silent, refused) {
            (true, _) => Outcome::unknown("silence"),
            (false, true) => Outcome::refused("NO", ""),
            (false, false) => Outcome::done(),
        };
        std::future::ready(outcome).boxed()
    }

    fn record(
        &self,
        state: &Trip,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        _now: Timestamp,
    ) -> Recording<TripEvent> {
        recording(state.0.record(definition(), intent, outcome, attempt))
    }

    fn sagas<'a>(&'a self, state: &'a Trip) -> Vec<(&'a Definition, &'a Progress)> {
        vec![(definition(), &state.0)]
    }

    fn moved(&self, _state: &Trip, moves: Vec<Event>, _now: Timestamp) -> Recording<TripEvent> {
        recording(moves)
    }
}

fn recording(moves: Vec<Event>) -> Recording<TripEvent> {
    let events = moves.into_iter().map(|event| TripEvent::Moved(Moved(event))).collect();
    Recording { events, ..Recording::default() }
}

fn open(folder: &Path) -> EventStore {
    let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_unix_s(1_000));
    let options = Options::new("trips", Location::Sqlite(folder.join("trips.db")), clock).views(vec![view()]);
    EventStore::open(options).expect("the store opens")
}

fn ids(seed: u64) -> Ids {
    Ids::new(ManualClock::at(Timestamp::from_unix_s(1_000)), SeededEntropy::new(seed))
}

fn stream() -> StreamId {
    StreamId::of::<Trip>("t1")
}

async fn book(store: &EventStore) {
    let events = Progress::default()
        .start(definition())
        .into_iter()
        .map(|event| TripEvent::Moved(Moved(event)))
        .collect::<Vec<_>>();
    let work = Work::new(CommitId::derived(&["book"]), Origin::by("test"))
        .decide(move |_, _| Ok(Decision::new().append(stream(), Expected::NoStream, events.clone())));
    store.commit(work).await.expect("booked");
}

async fn phase(store: &EventStore) -> Phase {
    store.state::<Trip>(&stream()).await.expect("readable").0.phase().clone()
}

/// Runs the sagas until the trip's stream reached `version` or ended, then stops them.
async fn run_until(store: &EventStore, trips: Trips, seed: u64, version: u64) -> Phase {
    let (source, stop) = Stop::new();
    let options = RunnerOptions {
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        ..RunnerOptions::default()
    };
    let runner = Runner::new(store.clone(), trips, ids(seed), options);
    let running = task::spawn(task::Kind::Background, "sagas", runner.run(stop));
    let mut head = store.head();
    loop {
        head.borrow_and_update();
        let folded = store.state::<Trip>(&stream()).await.expect("readable");
        if folded.version() >= version || !folded.0.is_open() {
            break;
        }
        head.changed().await.expect("the store is open");
    }
    source.stop();
    running.await.expect("no panic").expect("no fault");
    phase(store).await
}

fn all_or_nothing(phase: &Phase, world: &World) {
    match phase {
        Phase::Completed => assert!(
            definition().steps().iter().all(|step| world.effects.get(step.name) == Some(&true)),
            "{:?}",
            world.effects
        ),
        Phase::Undone(_) => assert!(world.effects.values().all(|on| !on), "{:?}", world.effects),
        Phase::NotStarted | Phase::Forward | Phase::Undoing(_) | Phase::Abandoned(_) => {
            panic!("the saga did not end: {phase:?}")
        }
    }
}

const WEATHERS: &[Weather] = &[
    Weather { silent: 0, refused: None },
    Weather { silent: 3, refused: None },
    Weather { silent: 0, refused: Some("flight") },
    Weather { silent: 2, refused: Some("hotel") },
    Weather { silent: 3, refused: Some("pay") },
];

#[tokio::test]
async fn whatever_the_weather_a_saga_ends_done_or_undone() {
    for weather in WEATHERS {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, world) = (open(folder.path()), Arc::new(Mutex::new(World::default())));
        book(&store).await;
        let phase = run_until(&store, Trips { world: world.clone(), weather: *weather }, 1, u64::MAX).await;
        all_or_nothing(&phase, &world.lock().expect("no holder panics"));
        store.shutdown().await;
    }
}

#[tokio::test]
async fn a_saga_goes_on_after_a_crash_before_every_step() {
    for weather in WEATHERS {
        let folder = tempfile::tempdir().expect("a folder");
        let world = Arc::new(Mutex::new(World::default()));
        let store = open(folder.path());
        book(&store).await;
        store.shutdown().await;
        drop(store);
        for life in 1.. {
            let store = open(folder.path());
            let version = store.state::<Trip>(&stream()).await.expect("readable").version();
            let phase =
                run_until(&store, Trips { world: world.clone(), weather: *weather }, life, version + 1).await;
            let ended = !store.state::<Trip>(&stream()).await.expect("readable").0.is_open();
            store.shutdown().await;
            drop(store);
            if ended {
                assert!(life > 1, "the test crashed it on the way");
                all_or_nothing(&phase, &world.lock().expect("no holder panics"));
                break;
            }
        }
    }
}

#[tokio::test]
async fn two_runners_on_one_store_record_every_step_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, world) = (open(folder.path()), Arc::new(Mutex::new(World::default())));
    book(&store).await;
    let trips = || Trips { world: world.clone(), weather: WEATHERS[0] };
    let (a, b) =
        tokio::join!(run_until(&store, trips(), 1, u64::MAX), run_until(&store, trips(), 2, u64::MAX));
    assert_eq!((a, b), (Phase::Completed, Phase::Completed));
    let events = store.read_stream(&stream(), 0, 100).await.expect("readable");
    assert_eq!(events.len(), 6, "started, four steps, completed: {events:?}");
}

/// A runner at work, and the trip's state whenever the log moves.
struct AtWork {
    store: EventStore,
    desk: Runner<Trips>,
    source: souk_telemetry::StopSource,
    running: task::Running<Result<(), souk_kernel::Error>>,
}

impl AtWork {
    async fn begin(store: &EventStore, world: &Arc<Mutex<World>>, refused: &'static str) -> Self {
        let (source, stop) = Stop::new();
        let trips = Trips { world: world.clone(), weather: Weather { silent: 0, refused: Some(refused) } };
        let desk = Runner::new(store.clone(), trips, ids(1), RunnerOptions::default());
        let running = task::spawn(task::Kind::Background, "sagas", desk.clone().run(stop));
        Self { store: store.clone(), desk, source, running }
    }

    /// Waits until the trip is so.
    async fn until(&self, is_so: impl Fn(&Progress) -> bool) {
        let mut head = self.store.head();
        loop {
            head.borrow_and_update();
            let trip = self.store.state::<Trip>(&stream()).await.expect("readable");
            if is_so(&trip.0) {
                return;
            }
            head.changed().await.expect("the store is open");
        }
    }

    async fn act(&self, operation: Operation, operation_id: &str) -> Result<(), souk_kernel::Error> {
        let (by, reason) = ("stf_1".to_owned(), "the airline called".to_owned());
        let intervention = Intervention { operation, step: None, by, reason };
        self.desk.intervene("t1", intervention, operation_id).await
    }

    async fn end(self) {
        self.source.stop();
        self.running.await.expect("no panic").expect("no fault");
        self.store.shutdown().await;
    }
}

#[tokio::test]
async fn a_person_retries_and_then_skips_what_is_refused_after_the_pivot() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, world) = (open(folder.path()), Arc::new(Mutex::new(World::default())));
    book(&store).await;
    let at_work = AtWork::begin(&store, &world, "tickets").await;
    at_work.until(|trip| trip.stuck().is_some()).await;
    let listed = at_work.desk.open(true, 10).await.expect("readable");
    assert_eq!((listed.open, listed.stuck), (1, 1));
    let row = &listed.listed[0];
    assert_eq!((row.stream.as_str(), row.step.as_str(), row.reason.as_str()), ("trip/t1", "tickets", "NO"));

    at_work.act(Operation::Retry, "op1").await.expect("it waits");
    let asked_again =
        || world.lock().expect("no holder panics").attempts.get("t1:trip:tickets:do").copied() == Some(2);
    at_work.until(|trip| asked_again() && trip.stuck().is_some()).await;
    at_work.act(Operation::Retry, "op1").await.expect("the same act is answered as at first");
    assert_eq!(at_work.desk.open(true, 10).await.expect("readable").stuck, 1, "and done once");

    at_work.act(Operation::Skip, "op2").await.expect("it is after the pivot");
    at_work.until(|trip| !trip.is_open()).await;
    let shown = at_work.desk.show("trip/t1").await.expect("it is there").remove(0);
    assert_eq!((shown.phase, shown.steps[3].standing), (Phase::Completed, Standing::Skipped));
    assert_eq!(at_work.desk.open(false, 10).await.expect("readable").open, 0);
    let late = at_work.act(Operation::Resolve, "op3").await.expect_err("it has ended");
    assert_eq!(late.reason(), "SAGA_NOT_STUCK");
    for unknown in ["t2", "house/t1", "/"] {
        let missing = at_work.desk.show(unknown).await.expect_err("no such trip");
        assert_eq!(missing.reason(), "NOT_FOUND");
    }
    let events = store.read_stream(&stream(), 0, 100).await.expect("readable");
    let by_hand = events.iter().filter(|event| event.data.contains("intervened"));
    assert_eq!(by_hand.map(|event| event.actor.to_string()).collect::<Vec<_>>(), ["stf_1", "stf_1"]);
    at_work.end().await;
}

/// A second kind of saga in the same store: it tells the trip's diary when it is done.
#[derive(Debug, Clone, Default)]
struct Errand(Progress);

impl Aggregate for Errand {
    type Event = TripEvent;
    const CATEGORY: &'static str = "errand";
    fn evolve(&mut self, event: &TripEvent) {
        let TripEvent::Moved(Moved(event)) = event;
        self.0.evolve(event);
    }
}

struct Errands(Arc<Mutex<u32>>);

impl Saga for Errands {
    type State = Errand;

    fn outstanding(&self, state: &Errand) -> Vec<Intent> {
        state.0.outstanding(errand_definition())
    }

    /// Waits twice for somebody, which is no failure.
    fn perform(&self, call: Call<Errand>) -> BoxFuture<'_, Outcome> {
        let mut looks = self.0.lock().expect("no holder panics");
        *looks += 1;
        assert_eq!(call.attempt, 1, "waiting is no attempt");
        let outcome = if *looks < 3 { Outcome::Waiting { on: "somebody".into() } } else { Outcome::done() };
        std::future::ready(outcome).boxed()
    }

    fn record(
        &self,
        state: &Errand,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        _now: Timestamp,
    ) -> Recording<TripEvent> {
        let events = state.0.record(errand_definition(), intent, outcome, attempt);
        let events: Vec<_> = events.into_iter().map(|event| TripEvent::Moved(Moved(event))).collect();
        let diary = StreamId::new("diary", "d1");
        let beside = Beside::append(diary, Expected::NoStream, events.clone());
        let beside = if events.is_empty() { Vec::new() } else { vec![beside] };
        Recording { events, beside, ..Recording::default() }
    }

    fn sagas<'a>(&'a self, state: &'a Errand) -> Vec<(&'a Definition, &'a Progress)> {
        vec![(errand_definition(), &state.0)]
    }

    fn moved(&self, _state: &Errand, moves: Vec<Event>, _now: Timestamp) -> Recording<TripEvent> {
        recording(moves)
    }
}

fn errand_definition() -> &'static Definition {
    static DEFINITION: std::sync::LazyLock<Definition> =
        std::sync::LazyLock::new(|| Definition::start("errand", 1).pivot("go"));
    &DEFINITION
}

fn project_both(recorded: &Recorded, out: &mut Vec<Statement>) {
    project(recorded, out);
    if let Some(event) = recorded.of::<Errand>() {
        let TripEvent::Moved(Moved(event)) = event.as_ref();
        views::project(recorded, event, out);
    }
}

#[tokio::test]
async fn sagas_of_two_kinds_share_a_store_and_an_answer_may_be_told_beside() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_unix_s(1_000));
    let options = Options::new("trips", Location::Sqlite(folder.path().join("trips.db")), clock)
        .views(vec![views::view(project_both)]);
    let store = EventStore::open(options).expect("the store opens");
    book(&store).await;
    let start = Progress::default().start(errand_definition());
    let start: Vec<_> = start.into_iter().map(|event| TripEvent::Moved(Moved(event))).collect();
    let errand = StreamId::of::<Errand>("e1");
    let target = errand.clone();
    let work = Work::new(CommitId::derived(&["errand"]), Origin::by("test"))
        .decide(move |_, _| Ok(Decision::new().append(target.clone(), Expected::NoStream, start.clone())));
    store.commit(work).await.expect("opened");
    let (source, stop) = Stop::new();
    let options = RunnerOptions { waiting_recheck: Duration::from_millis(1), ..RunnerOptions::default() };
    let world = Arc::new(Mutex::new(World::default()));
    let trips = Runner::new(store.clone(), Trips { world, weather: WEATHERS[0] }, ids(1), options.clone());
    let errands = trips.beside(Errands(Arc::default()), options);
    let running = [
        task::spawn(task::Kind::Background, "trips", trips.run(stop.clone())),
        task::spawn(task::Kind::Background, "errands", errands.run(stop)),
    ];
    let mut head = store.head();
    loop {
        head.borrow_and_update();
        let done = store.state::<Errand>(&errand).await.expect("readable");
        if !done.0.is_open() && phase(&store).await == Phase::Completed {
            break;
        }
        head.changed().await.expect("the store is open");
    }
    source.stop();
    for running in running {
        running.await.expect("no panic").expect("no fault");
    }
    let diary = store.read_stream(&StreamId::new("diary", "d1"), 0, 10).await.expect("readable");
    assert_eq!(diary.len(), 2, "the step and the end, in the errand's own commit");
}
