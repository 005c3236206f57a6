//! Carries out what sagas say is outstanding, and records each answer as one append.
use crate::{Definition, Direction, Event, Intent, Intervention, Outcome, Progress, views};
use futures_util::FutureExt;
use souk_decider::{Aggregate, StoredEvent};
use souk_eventstore::{
    CommitError, CommitId, Decision, EventStore, Expected, Fence, Folded, Lease, Origin, StreamId, Timer,
    Work,
};
use souk_kernel::{Error, Ids, Rejection, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use souk_telemetry::{Stop, crash_point, sometimes, task};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

/// Sagas are spread over so many leases, so that several replicas of a service can share the work.
pub const SHARDS: u64 = 64;
/// How many open sagas are fetched at once.
const PAGE: i64 = 512;

/// A durable process of a service.
pub trait Saga: Send + Sync + 'static {
    /// What the saga is about, and where its events stand.
    type State: Aggregate;

    /// The to-do list: a function of the state alone.
    fn outstanding(&self, state: &Self::State) -> Vec<Intent>;

    /// Attempts one intent. May be called any number of times for the same intent, with the same key.
    fn perform(&self, call: Call<Self::State>) -> BoxFuture<'_, Outcome>;

    /// What to record about an attempt: pure, decided on the state at the time of the record. Empty when the
    /// intent is no longer outstanding.
    fn record(
        &self,
        state: &Self::State,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        now: Timestamp,
    ) -> Recording<<Self::State as Aggregate>::Event>;

    /// Every saga of the state, with how far it is: what an operator is shown and may do something about.
    fn sagas<'a>(&'a self, state: &'a Self::State) -> Vec<(&'a Definition, &'a Progress)>;

    /// What a person's act records: the saga's moves and what follows from them for the thing that the saga is
    /// about. Pure, like [`Saga::record`]; an end by hand ([`Event::Abandoned`]) must leave nothing that waits for
    /// the saga.
    fn moved(
        &self,
        state: &Self::State,
        moves: Vec<Event>,
        now: Timestamp,
    ) -> Recording<<Self::State as Aggregate>::Event>;

    /// What to record when a person acts.
    ///
    /// # Errors
    /// When the rules of [`Progress::intervene`] do not allow it.
    fn intervene(
        &self,
        state: &Self::State,
        intervention: &Intervention,
        now: Timestamp,
    ) -> Result<Recording<<Self::State as Aggregate>::Event>, Rejection> {
        let moves = crate::progress::intervene(&self.sagas(state), intervention)?;
        Ok(self.moved(state, moves, now))
    }
}

/// One attempt at an intent.
#[derive(Clone)]
pub struct Call<S: Aggregate> {
    /// The stream of the saga.
    pub stream: StreamId,
    /// What to do.
    pub intent: Intent,
    /// The idempotency key: the same for every attempt.
    pub key: String,
    /// From 1; counted since this process took the saga over.
    pub attempt: u32,
    /// The state that the intent follows from.
    pub state: Folded<S>,
    /// Deadline and trace of the call; without a token.
    pub cx: Cx,
}

/// What one answer adds to the log.
#[derive(Debug, Clone)]
pub struct Recording<E> {
    /// The saga's own event and what follows from it.
    pub events: Vec<E>,
    /// Timers to set in the same commit.
    pub set_timers: Vec<Timer>,
    /// Timers to cancel in the same commit, by key.
    pub cancel_timers: Vec<String>,
    /// What the answer means for other streams: facts that need no decision there.
    pub beside: Vec<Beside>,
}

impl<E: StoredEvent> Recording<E> {
    /// All of it in one decision; without events there is nothing to record.
    pub(crate) fn decision(self, stream: &StreamId) -> Decision {
        if self.events.is_empty() {
            return Decision::new();
        }
        let decision = Decision::new().append(stream, Expected::Exists, self.events);
        let decision = self.set_timers.into_iter().fold(decision, Decision::set_timer);
        let decision =
            self.cancel_timers.into_iter().fold(decision, |decision, key| decision.cancel_timer(key));
        self.beside.iter().fold(decision, |decision, beside| beside.add_to(decision))
    }
}

impl<E> Default for Recording<E> {
    fn default() -> Self {
        Self { events: Vec::new(), set_timers: Vec::new(), cancel_timers: Vec::new(), beside: Vec::new() }
    }
}

/// Events for another stream of the same store, in the commit of an answer.
#[derive(Clone)]
pub struct Beside {
    stream: StreamId,
    append: Arc<dyn Fn(Decision) -> Decision + Send + Sync>,
}

impl Beside {
    /// Appends `events` to `stream`.
    pub fn append<E: StoredEvent>(stream: StreamId, expected: Expected, events: Vec<E>) -> Self {
        let target = stream.clone();
        let append = move |decision: Decision| decision.append(target.clone(), expected, events.clone());
        Self { stream, append: Arc::new(append) }
    }

    fn add_to(&self, decision: Decision) -> Decision {
        (self.append)(decision)
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Beside").field(&self.stream).finish()
    }
}

/// Limits of a [`Runner`].
#[derive(Debug, Clone)]
pub struct Options {
    /// How many sagas are worked on at once.
    pub running_max: usize,
    /// How long one attempt at a step may take.
    pub attempt_timeout: Duration,
    /// The wait after the first attempt without an answer; doubled each time.
    pub backoff_first: Duration,
    /// The longest wait between attempts.
    pub backoff_max: Duration,
    /// How long a lease holds without renewal.
    pub lease_ttl: Duration,
    /// The wait before a step that waits for something outside is looked at again; less when the saga moves.
    pub waiting_recheck: Duration,
    /// The shortest time between two looks at the table of sagas; zero looks at every commit.
    pub look_at_most_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            running_max: 256,
            attempt_timeout: Duration::from_secs(10),
            backoff_first: Duration::from_millis(50),
            backoff_max: Duration::from_secs(30),
            lease_ttl: Duration::from_secs(15),
            waiting_recheck: Duration::from_secs(5),
            look_at_most_every: Duration::ZERO,
        }
    }
}

/// Runs the sagas of one service. Cheap to clone.
pub struct Runner<S: Saga>(pub(crate) Arc<Inner<S>>);

impl<S: Saga> Clone for Runner<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(crate) struct Inner<S> {
    pub(crate) store: EventStore,
    pub(crate) saga: S,
    ids: Ids,
    options: Options,
    places: Semaphore,
    running: Mutex<HashMap<StreamId, Arc<Notify>>>,
    leases: Arc<Leases>,
    /// Whether another runner renews the leases.
    is_beside: bool,
}

/// The leases of one process, which all its runners on one store share.
struct Leases {
    /// Names their owner.
    owner: String,
    held: Mutex<HashMap<u64, Lease>>,
}

impl<S: Saga> Runner<S> {
    /// A runner for the sagas in `store`, whose views must include [`crate::views::view`].
    pub fn new(store: EventStore, saga: S, ids: Ids, options: Options) -> Self {
        let leases = Leases { owner: ids.uuid().to_base32(), held: Mutex::default() };
        Self::build(store, saga, ids, options, Arc::new(leases), false)
    }

    /// A runner for other sagas in the same store, which stand in streams of another category. It shares this
    /// one's leases, and works only while this one runs.
    pub fn beside<T: Saga>(&self, saga: T, options: Options) -> Runner<T> {
        let inner = &self.0;
        Runner::build(inner.store.clone(), saga, inner.ids.clone(), options, inner.leases.clone(), true)
    }

    fn build(
        store: EventStore,
        saga: S,
        ids: Ids,
        options: Options,
        leases: Arc<Leases>,
        is_beside: bool,
    ) -> Self {
        let places = Semaphore::new(options.running_max);
        let running = Mutex::default();
        Self(Arc::new(Inner { store, saga, ids, options, places, running, leases, is_beside }))
    }

    /// Runs until `stop` is requested. What is in flight then is left where it is: the next start goes on.
    pub async fn run(self, stop: Stop) -> Result<(), Error> {
        let mut head = self.0.store.head();
        let mut seen = 0;
        let mut renewal = tokio::time::interval(self.0.options.lease_ttl / 3);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = renewal.tick() => if !self.0.is_beside { self.0.renew_leases().await? },
                moved = head.changed() => if moved.is_err() { return Ok(()) },
            }
            head.borrow_and_update();
            seen = self.wake_moved_since(seen, &stop).await?;
            if self.0.options.look_at_most_every > Duration::ZERO {
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    () = tokio::time::sleep(self.0.options.look_at_most_every) => {}
                }
            }
        }
    }

    /// Wakes every open saga that moved after the position `seen`, and answers the last such position.
    async fn wake_moved_since(&self, mut seen: u64, stop: &Stop) -> Result<u64, Error> {
        loop {
            let category = <S::State as Aggregate>::CATEGORY;
            let rows = self.0.store.query(views::open_since(category, seen, PAGE)).await?;
            if seen == 0 && !rows.is_empty() {
                sometimes!("a saga was taken up by a new process");
            }
            for row in &rows {
                let (stream, changed) = views::open_row(row);
                seen = changed;
                let stream = StreamId::parse(&stream).expect("the table holds streams' names");
                self.wake(stream, stop);
            }
            if (rows.len() as i64) < PAGE {
                return Ok(seen);
            }
        }
    }

    /// Starts a driver for the stream, or tells the one at work to look again.
    fn wake(&self, stream: StreamId, stop: &Stop) {
        let mut running = self.0.running.lock().expect("no holder panics");
        if let Some(look_again) = running.get(&stream) {
            look_again.notify_one();
            return;
        }
        let look_again = Arc::new(Notify::new());
        running.insert(stream.clone(), look_again.clone());
        let (inner, stop) = (self.0.clone(), stop.clone());
        task::spawn(task::Kind::Background, "saga", async move {
            let _leave =
                Leave { inner: inner.clone(), stream: stream.clone(), look_again: look_again.clone() };
            let driver = Driver { inner, stream, look_again, attempts: HashMap::new() };
            tokio::select! {
                () = stop.requested() => {}
                () = driver.drive() => {}
            }
        })
        .detach();
    }
}

/// Frees a driver's place in the list, also when it panics.
struct Leave<S: Saga> {
    inner: Arc<Inner<S>>,
    stream: StreamId,
    look_again: Arc<Notify>,
}

impl<S: Saga> Drop for Leave<S> {
    fn drop(&mut self) {
        let mut running = self.inner.running.lock().expect("no holder panics");
        if running.get(&self.stream).is_some_and(|listed| Arc::ptr_eq(listed, &self.look_again)) {
            running.remove(&self.stream);
        }
    }
}

impl<S: Saga> Inner<S> {
    async fn renew_leases(&self) -> Result<(), Error> {
        for shard in 0..SHARDS {
            let name = format!("saga/{shard}");
            let lease = self.store.acquire_lease(&name, &self.leases.owner, self.options.lease_ttl).await?;
            let mut leases = self.leases.held.lock().expect("no holder panics");
            match lease {
                Some(lease) => leases.insert(shard, lease),
                None => leases.remove(&shard),
            };
        }
        Ok(())
    }

    fn fence(&self, stream: &StreamId) -> Option<Fence> {
        let leases = self.leases.held.lock().expect("no holder panics");
        leases.get(&shard_of(stream.as_str())).map(Lease::fence)
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.options.backoff_first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let most = doubled.min(self.options.backoff_max);
        let spread = self.ids.uuid().as_bytes()[15];
        most / 2 + most / 512 * u32::from(spread)
    }
}

/// FNV-1a over the stream's name (Fowler, Noll, Vo), modulo the number of shards.
fn shard_of(stream: &str) -> u64 {
    let hash = stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % SHARDS
}

/// Works on one saga until nothing is outstanding.
struct Driver<S: Saga> {
    inner: Arc<Inner<S>>,
    stream: StreamId,
    look_again: Arc<Notify>,
    attempts: HashMap<Intent, u32>,
}

/// Whether a round moved the saga.
enum Round {
    Moved,
    NothingToDo,
    /// Some attempt had no answer; wait before the next, which is this one.
    Silent(u32),
    /// What is outstanding waits for something outside.
    Waiting,
}

impl<S: Saga> Driver<S> {
    async fn drive(mut self) {
        loop {
            let inner = self.inner.clone();
            let Ok(place) = inner.places.acquire().await else { return };
            let round = self.round().await;
            drop(place);
            match round {
                Ok(Round::Moved) => {}
                Ok(Round::NothingToDo) if self.leaves() => return,
                Ok(Round::NothingToDo) => {}
                Ok(Round::Silent(attempt)) => self.rest(inner.backoff(attempt)).await,
                Ok(Round::Waiting) => self.rest(inner.options.waiting_recheck).await,
                Err(error) => {
                    tracing::error!(stream = %self.stream, error = %error.story(), "saga round failed");
                    self.rest(inner.backoff(4)).await;
                }
            }
        }
    }

    /// Leaves the list, unless somebody asked to look again since: a wake-up is never lost in between.
    fn leaves(&self) -> bool {
        let mut running = self.inner.running.lock().expect("no holder panics");
        let woken = self.look_again.notified().now_or_never().is_some();
        if !woken {
            running.remove(&self.stream);
        }
        !woken
    }

    /// Waits, but no longer than until the saga moves.
    async fn rest(&self, wait: Duration) {
        let _ = tokio::time::timeout(wait, self.look_again.notified()).await;
    }

    /// Attempts everything outstanding, side by side, and records the answers one by one.
    async fn round(&mut self) -> Result<Round, Error> {
        let state = self.inner.store.state::<S::State>(&self.stream).await?;
        let intents = self.inner.saga.outstanding(&state);
        if intents.is_empty() {
            return Ok(Round::NothingToDo);
        }
        if self.inner.fence(&self.stream).is_none() {
            return Ok(Round::Silent(1));
        }
        let calls = intents.into_iter().map(|intent| self.call(intent, state.clone())).collect::<Vec<_>>();
        let attempts = calls.into_iter().map(|call| attempt(&self.inner, call));
        let (mut silent, mut waits, mut moved) = (0, false, false);
        for (intent, attempt, outcome) in futures_util::future::join_all(attempts).await {
            match outcome {
                Outcome::Unknown { .. } => silent = silent.max(attempt),
                Outcome::Waiting { .. } => {
                    waits = true;
                    self.attempts.remove(&intent);
                }
                Outcome::Done(_) | Outcome::Refused { .. } => moved = true,
            }
            self.record(intent, attempt, outcome).await?;
        }
        Ok(match (silent, waits && !moved) {
            (0, true) => Round::Waiting,
            (0, false) => Round::Moved,
            (attempt, _) => Round::Silent(attempt),
        })
    }

    fn call(&mut self, intent: Intent, state: Folded<S::State>) -> Call<S::State> {
        let attempt = self.attempts.entry(intent.clone()).and_modify(|n| *n += 1).or_insert(1);
        let cx = Cx::new(Instant::now() + self.inner.options.attempt_timeout);
        Call {
            stream: self.stream.clone(),
            key: intent.key(self.stream.id()),
            intent,
            attempt: *attempt,
            state,
            cx,
        }
    }

    async fn record(&self, intent: Intent, attempt: u32, outcome: Outcome) -> Result<(), Error> {
        let origin = Origin {
            actor: "saga".into(),
            causation: intent.key(self.stream.id()).into(),
            ..Origin::default()
        };
        let recorded = intent.clone();
        let fence = self.inner.fence(&self.stream);
        let (inner, stream) = (self.inner.clone(), self.stream.clone());
        let work = Work::new(CommitId::new(self.inner.ids.uuid()), origin)
            .read::<S::State>(&self.stream)
            .decide(move |facts, now| {
                let state = facts.state::<S::State>(&stream);
                let recording = inner.saga.record(&state, &intent, &outcome, attempt, now);
                let decision = recording.decision(&stream);
                Ok(match fence.as_ref().filter(|_| decision.writes()) {
                    Some(fence) => decision.fence(fence.clone()),
                    None => decision,
                })
            });
        match self.inner.store.commit(work).await {
            Ok(_) => {
                crash_point!("saga.record.after", "{}", point(&recorded));
                Ok(())
            }
            Err(CommitError::Fenced) => Ok(()), // somebody else took the saga over
            Err(error) => Err(error.into()),
        }
    }
}

/// An intent as the detail of a crash point.
fn point(intent: &Intent) -> String {
    format!("{}/{}/{}", intent.saga, intent.step, intent.direction)
}

async fn attempt<S: Saga>(inner: &Inner<S>, call: Call<S::State>) -> (Intent, u32, Outcome) {
    let (intent, attempt) = (call.intent.clone(), call.attempt);
    crash_point!("saga.call.before", "{}", point(&intent));
    let answer = tokio::time::timeout(inner.options.attempt_timeout, inner.saga.perform(call)).await;
    let outcome = answer.unwrap_or_else(|_| Outcome::unknown("no answer in time"));
    crash_point!("saga.call.after", "{}/{}", point(&intent), outcome.word());
    match (&outcome, intent.direction) {
        (Outcome::Unknown { .. }, _) => sometimes!("a saga step had no answer"),
        (Outcome::Refused { .. }, _) => sometimes!("a saga's participant refused"),
        (Outcome::Done(_), Direction::Undo) => sometimes!("a saga step was undone"),
        (Outcome::Waiting { .. }, _) | (Outcome::Done(_), Direction::Do) => {}
    }
    if let Outcome::Unknown { reason } = &outcome {
        tracing::warn!(saga = intent.saga, step = intent.step, direction = %intent.direction, attempt, reason, "saga step has no answer");
    }
    (intent, attempt, outcome)
}
