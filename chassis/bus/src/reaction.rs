//! The incoming side: follows another service's feed and applies each event in one commit.
use crate::chunk::{self, Moves, Plan, Step};
use crate::{AUDIENCE, feed_name};
use futures_util::{FutureExt, StreamExt, future::join_all};
use prost::Message;
use souk_eventstore::{CommitError, CommitId, EventStore, Fault, InboxMark, Parked, Published, Work};
use souk_identity::ServiceIdentity;
use souk_kernel::{Code, Error};
use souk_rpc::feed::{FeedEvent, ReadRequest};
use souk_rpc::{BoxStream, Bytes, Cx, Peers};
use souk_telemetry::{Stop, crash_point, panics, sometimes};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

mod redrive;

pub use redrive::{Redrive, RedriveAsked, RedriveEnded, RedriveEvent, Redriven, Redrives};

/// How many events that are there already are applied side by side …
const CHUNK_MAX: usize = 128;
/// … unless they are large.
const CHUNK_BYTES_MAX: usize = 4 << 20;
/// The wait before the feed is opened again after it ended; doubled while nothing is applied …
const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often the same event is tried before its key is parked.
const ATTEMPTS_MAX: u32 = 5;
/// How often the feed is read again because of an event whose predecessor is missing, before its key is parked.
const GAPS_MAX: u32 = 3;
/// How many keys may be parked. So many are not so many poison events but something that is broken here: the
/// reaction stands still rather than park the world.
pub const PARKED_KEYS_MAX: usize = 100;
/// How many events may be parked before the reaction stands still.
pub const PARKED_EVENTS_MAX: usize = 10_000;
/// How long the opening of a feed may take.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// Feeds are opened anew after this long, so that no stream lives for ever.
const STREAM_AGE_MAX: Duration = Duration::from_secs(300);

pub(crate) const FOLLOWS: &str = "an earlier event of this key is parked";

/// Where a new reaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first event ever published.
    Beginning,
}

/// Why an event can never be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// What is wrong with it, for the operator.
    pub reason: String,
}

/// What a service does when it hears of something.
pub trait Reactor: Send + Sync + 'static {
    /// Names the reaction in inbox marks for ever, for example `cart.orders`.
    fn name(&self) -> &'static str;
    /// The service it listens to.
    fn source(&self) -> &'static str;
    /// Whether it does something about events of this kind; others only move the mark. It is not asked about
    /// events that were withdrawn: there is nothing to apply.
    fn wants(&self, kind: &str) -> bool;
    /// Whether this event of a wanted kind matters at all; one that does not only moves the mark. For feeds that
    /// tell much more than a reaction needs: saying no must lose nothing that is not found in another way.
    fn cares(&self, _event: &FeedEvent) -> bool {
        true
    }
    /// How long it lets events gather before it looks at them: one commit marks all that do not matter.
    fn gathers(&self) -> Duration {
        Duration::ZERO
    }
    /// Where it begins when it is new.
    fn start(&self) -> Start {
        Start::Beginning
    }
    /// All effects of the event as one piece of work, whose decision carries `mark`. Pure, and with a commit
    /// id derived from the event's. A refusal is an outcome: then the decision carries only the mark. Poison,
    /// a rejection and a panic park the event's key.
    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison>;
}

/// Follows one feed for one [`Reactor`].
///
/// The feed is applied in chunks. Each wanted event is a commit of its own, handed to the store side by side;
/// what is left of a chunk (marks of unwanted events, events to park, how far the reaction has got) is one
/// commit at its end. A crash in between repeats the chunk, and the marks drop what was applied.
///
/// The checkpoint moves past parked events, because they are kept here with their content; their key's mark
/// does not move, so that they can be applied later, in order.
#[derive(Clone)]
pub struct Reaction {
    store: EventStore,
    peers: Peers,
    identity: Arc<ServiceIdentity>,
    reactor: Arc<dyn Reactor>,
    /// The last event of the feed that is done with, as the store has it.
    last: u64,
    /// The keys that are parked, as the store has them, and each of their events.
    parked: HashSet<String>,
    waiting: HashSet<(String, u64)>,
    /// How often the feed was read again because something before this event was missing.
    gaps: HashMap<u64, u32>,
    /// How often in a row the feed was opened without anything being applied.
    fruitless: u32,
}

impl Reaction {
    /// A reaction whose effects and marks are kept in `store`.
    pub fn new(
        store: EventStore,
        peers: Peers,
        identity: Arc<ServiceIdentity>,
        reactor: Arc<dyn Reactor>,
    ) -> Self {
        Self {
            store,
            peers,
            identity,
            reactor,
            last: 0,
            parked: HashSet::new(),
            waiting: HashSet::new(),
            gaps: HashMap::new(),
            fruitless: 0,
        }
    }

    fn checkpoint_name(&self) -> String {
        format!("reaction/{}", self.reactor.name())
    }

    /// Runs until `stop` is requested. A feed that cannot be reached and a store that cannot be written are
    /// tried again and again; neither is an event's fault.
    pub async fn run(mut self, stop: Stop) -> Result<(), Error> {
        loop {
            let ended = tokio::select! {
                () = stop.requested() => return Ok(()),
                ended = self.follow() => ended,
            };
            self.note(ended);
            let pause = PAUSE_FIRST.saturating_mul(1 << self.fruitless.min(16)).min(PAUSE_MAX);
            self.fruitless = self.fruitless.saturating_add(1);
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn note(&self, ended: Result<(), Error>) {
        let (reaction, after) = (self.reactor.name(), self.last);
        match ended {
            Ok(()) => tracing::debug!(reaction, after, "feed ended"),
            // Streams are not meant to live for ever.
            Err(error) if error.code() == Code::DeadlineExceeded => {
                tracing::debug!(reaction, after, "feed grew old");
            }
            Err(error) => {
                tracing::warn!(reaction, after, error = %error.story(), "feed interrupted, it is read again");
            }
        }
    }

    /// Opens the feed after the last event that is done with and applies what comes until it ends.
    async fn follow(&mut self) -> Result<(), Error> {
        self.recall().await?;
        let mut feed = timeout(OPEN_WITHIN, self.open()).await.unwrap_or_else(|_| Err(unopened()))?;
        let gathers = self.reactor.gathers();
        loop {
            let Received { events, end } = receive(&mut feed).await;
            // What came before the end is applied first: a feed that always breaks off must not stop us.
            self.apply(events).await?;
            if let Some(end) = end {
                return end;
            }
            if gathers > Duration::ZERO {
                tokio::time::sleep(gathers).await;
            }
        }
    }

    /// Reads how far the reaction has got. The store is asked each time, so that a lost answer, or an operator
    /// who has freed a key, leaves no difference between it and us.
    async fn recall(&mut self) -> Result<(), Error> {
        let parked = self.store.parked(self.reactor.name(), PARKED_EVENTS_MAX).await?;
        self.waiting = parked.iter().map(|parked| (parked.stream.to_string(), parked.sequence)).collect();
        self.parked = parked.into_iter().map(|parked| parked.stream.to_string()).collect();
        let checkpoint = self.store.checkpoint_of(&self.checkpoint_name()).await?;
        let Start::Beginning = self.reactor.start();
        self.last = checkpoint.map_or(0, |position| position.get());
        Ok(())
    }

    async fn open(&self) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let name = feed_name(self.reactor.source());
        let feed =
            self.peers.bytes(&name).ok_or_else(|| Error::unavailable(format!("nobody answers {name}")))?;
        let token = self.identity.token_for(AUDIENCE, None);
        let cx = Cx::new(Instant::now() + STREAM_AGE_MAX).with_token(token);
        let request = ReadRequest { source: self.reactor.source().to_owned(), after: self.last, limit: 0 };
        Ok(feed.call("Read", cx, request.encode_to_vec().into()).await?.many())
    }

    async fn apply(&mut self, events: Vec<FeedEvent>) -> Result<(), Error> {
        let (events, whole) = chunk::consecutive(self.reactor.source(), self.last, events);
        if !events.is_empty() {
            self.carry_out(&events).await?;
        }
        whole
    }

    /// Applies consecutive events. The store keeps the order in which work is handed in; if it came in another,
    /// the marks would refuse it and it would be tried again below.
    async fn carry_out(&mut self, events: &[FeedEvent]) -> Result<(), Error> {
        let mut parking = Parking::default();
        let (parked, free): (Vec<_>, Vec<_>) =
            events.iter().partition(|event| self.parked.contains(&event.stream));
        // One that waits already keeps the reason that it waits for.
        let is_new = |event: &&FeedEvent| !self.waiting.contains(&(event.stream.clone(), event.public_seq));
        for event in parked.into_iter().filter(is_new) {
            parking.add(event, FOLLOWS.to_owned());
        }
        let plan = Plan::of(free.into_iter(), |event| self.is_wanted(event));
        let outcomes = join_all(plan.steps.iter().map(|step| self.commit_step(step))).await;
        for (step, outcome) in plan.steps.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {}
                Err(Refusal::Machinery(error)) => return Err(error),
                Err(Refusal::Busy(_) | Refusal::Poison(_) | Refusal::Gap(_) | Refusal::Perhaps(_)) => {
                    self.one_by_one(step.events(), &mut parking).await?;
                }
            }
        }
        self.end(events, plan.rest, parking).await
    }

    fn is_wanted(&self, event: &FeedEvent) -> bool {
        event.kind != Published::WITHDRAWN && self.reactor.wants(&event.kind) && self.reactor.cares(event)
    }

    async fn commit_step(&self, step: &Step<'_>) -> Result<(), Refusal> {
        match step {
            Step::Skip(events) => {
                let numbers: Vec<_> = events.iter().map(|event| event.feed_seq.to_string()).collect();
                self.commit(self.skip(events).work(self.id("skip", &numbers.join(",")))).await
            }
            Step::Apply(event) => {
                crash_point!("reaction.apply.before", "{}/{}", self.reactor.name(), event.kind);
                let work = self.effects(event).map_err(Refusal::Poison)?;
                let applied = self.commit_seen(work).await;
                crash_point!("reaction.apply.after", "{}/{}", self.reactor.name(), event.kind);
                applied
            }
        }
    }

    fn skip(&self, events: &[&FeedEvent]) -> Moves {
        Moves::of(self.reactor.name()).skip(events)
    }

    /// A reaction's own commits are told apart by what they cover.
    fn id(&self, what: &str, covers: &str) -> CommitId {
        CommitId::derived(&[self.reactor.name(), what, covers])
    }

    /// What the reactor makes of an event. A panic in it is the event's fault, not the process's.
    fn effects(&self, event: &FeedEvent) -> Result<Work, Poison> {
        let mark = chunk::mark(self.reactor.name(), event);
        catch_unwind(AssertUnwindSafe(|| self.reactor.work(event, mark))).unwrap_or_else(|payload| {
            panics::note(self.reactor.name(), payload.as_ref());
            Err(Poison { reason: format!("the reaction panicked: {}", panics::text(payload.as_ref())) })
        })
    }

    async fn commit(&self, work: Work) -> Result<(), Refusal> {
        self.store.commit(work).await.map(drop).map_err(Refusal::of)
    }

    /// As [`Self::commit`], for one event alone: one that was seen before is done with.
    async fn commit_seen(&self, work: Work) -> Result<(), Refusal> {
        match self.store.commit(work).await {
            Ok(committed) if !committed.replayed => Ok(()),
            Ok(_) | Err(CommitError::InboxSeen { .. }) => {
                sometimes!("an event was applied that had been applied before");
                Ok(())
            }
            Err(error) => Err(Refusal::of(error)),
        }
    }

    /// Sees events to their end that did not go through at first: applied, or parked with the reason.
    async fn one_by_one(&mut self, events: &[&FeedEvent], parking: &mut Parking) -> Result<(), Error> {
        for event in events {
            if parking.keys.contains(&event.stream) {
                parking.add(event, FOLLOWS.to_owned());
            } else if let Some(reason) = self.insist(event).await? {
                parking.add(event, reason);
            }
        }
        Ok(())
    }

    /// Tries an event until it is applied; answers why it never will be.
    async fn insist(&mut self, event: &FeedEvent) -> Result<Option<String>, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let outcome = match self.is_wanted(event) {
                true => self.commit_step(&Step::Apply(event)).await,
                false => {
                    self.commit_seen(self.skip(&[event]).work(self.id("one", &event.feed_seq.to_string())))
                        .await
                }
            };
            match outcome {
                Ok(()) => return Ok(None),
                Err(Refusal::Poison(Poison { reason })) => return Ok(Some(reason)),
                Err(Refusal::Machinery(error) | Refusal::Busy(error)) => return Err(error),
                Err(Refusal::Gap(error)) => return self.missing(event, error).map(Some),
                Err(Refusal::Perhaps(reason)) if attempt >= ATTEMPTS_MAX => return Ok(Some(reason)),
                Err(Refusal::Perhaps(_)) => {}
            }
        }
    }

    /// An earlier event of the key is missing: the feed is read again, and again, and then it is poison.
    fn missing(&mut self, event: &FeedEvent, error: CommitError) -> Result<String, Error> {
        let gaps = self.gaps.entry(event.feed_seq).or_default();
        *gaps += 1;
        if *gaps > GAPS_MAX { Ok(error.to_string()) } else { Err(error.into()) }
    }

    /// The chunk's last commit.
    async fn end(
        &mut self,
        events: &[FeedEvent],
        rest: Vec<&FeedEvent>,
        mut parking: Parking,
    ) -> Result<(), Error> {
        let Some(last) = events.last().map(|event| event.feed_seq) else { return Ok(()) };
        let (behind, free): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|event| parking.keys.contains(&event.stream));
        for event in behind {
            parking.add(event, FOLLOWS.to_owned());
        }
        match self.commit_end(&free, &parking, last).await {
            Ok(()) => {}
            Err(Refusal::Machinery(error) | Refusal::Busy(error)) => return Err(error),
            // A mark does not fit, because some were moved before: then each on its own.
            Err(Refusal::Poison(_) | Refusal::Gap(_) | Refusal::Perhaps(_)) => {
                self.one_by_one(&free, &mut parking).await?;
                self.commit_end(&[], &parking, last).await.map_err(Refusal::into_error)?;
            }
        }
        crash_point!("reaction.end.after", "{}", self.reactor.name());
        self.log_parked(&parking);
        self.last = last;
        self.waiting.extend(parking.events.iter().map(|(event, _)| (event.stream.clone(), event.public_seq)));
        self.parked.extend(parking.keys);
        self.gaps.clear();
        self.fruitless = 0;
        Ok(())
    }

    /// One line for each key that needs somebody, none for what waits behind.
    fn log_parked(&self, parking: &Parking) {
        for (event, reason) in parking.events.iter().filter(|(_, reason)| reason != FOLLOWS) {
            tracing::error!(
                reaction = self.reactor.name(),
                stream = event.stream,
                sequence = event.public_seq,
                reason,
                "event cannot be applied, its key is parked"
            );
        }
    }

    async fn commit_end(&self, skipped: &[&FeedEvent], parking: &Parking, last: u64) -> Result<(), Refusal> {
        self.refuse_to_park_the_world(parking).map_err(Refusal::Machinery)?;
        let moves = self.skip(skipped).checkpoint(self.checkpoint_name(), last);
        let parked = parking.events.iter().map(|(event, reason)| self.parked(event, reason)).collect();
        self.commit(moves.park(parked).work(self.id("end", &format!("{}-{last}", self.last)))).await
    }

    fn refuse_to_park_the_world(&self, parking: &Parking) -> Result<(), Error> {
        let keys = parking.keys.union(&self.parked).count();
        let events = self.waiting.len() + parking.events.len();
        if parking.events.is_empty() || (keys <= PARKED_KEYS_MAX && events <= PARKED_EVENTS_MAX) {
            return Ok(());
        }
        let reason = parking.events.first().map_or("", |(_, reason)| reason);
        Err(Error::unavailable(format!(
            "{} stands still: {events} events of {keys} keys would be parked, so it is not the events that are \
             at fault; the latest reason: {reason}",
            self.reactor.name()
        )))
    }

    fn parked(&self, event: &FeedEvent, reason: &str) -> Parked {
        let InboxMark { reaction, source, stream, sequence } = chunk::mark(self.reactor.name(), event);
        let payload = hex(&event.encode_to_vec());
        Parked { reaction, source, stream, sequence, payload, reason: reason.to_owned() }
    }
}

/// What a chunk's end parks.
#[derive(Default)]
struct Parking {
    events: Vec<(FeedEvent, String)>,
    keys: HashSet<String>,
}

impl Parking {
    fn add(&mut self, event: &FeedEvent, reason: String) {
        self.keys.insert(event.stream.clone());
        self.events.push((event.clone(), reason));
    }
}

/// Why an event was not applied.
enum Refusal {
    /// It never will be.
    Poison(Poison),
    /// An earlier one of its key has not been applied.
    Gap(CommitError),
    /// The store cannot take anything now; the event is not to blame.
    Machinery(Error),
    /// Too much was handed in side by side; one after the other it may go.
    Busy(Error),
    /// It may be the event's fault; tried a few times.
    Perhaps(String),
}

impl Refusal {
    fn of(error: CommitError) -> Self {
        match error {
            CommitError::Rejected(rejection) => {
                Refusal::Poison(Poison { reason: format!("{}: {}", rejection.reason, rejection.message) })
            }
            CommitError::InboxGap { .. } => Refusal::Gap(error),
            CommitError::Overloaded => Refusal::Busy(error.into()),
            CommitError::Fault(Fault::View { .. } | Fault::Panicked(_) | Fault::Decode(_)) => {
                Refusal::Perhaps(error.to_string())
            }
            CommitError::Fault(_) => Refusal::Machinery(error.into()),
            CommitError::Conflict { .. }
            | CommitError::ClaimTaken { .. }
            | CommitError::InboxSeen { .. }
            | CommitError::TimerGone
            | CommitError::Fenced => Refusal::Perhaps(error.to_string()),
        }
    }

    fn into_error(self) -> Error {
        match self {
            Refusal::Machinery(error) | Refusal::Busy(error) => error,
            Refusal::Gap(error) => error.into(),
            Refusal::Poison(Poison { reason }) | Refusal::Perhaps(reason) => Error::internal(reason),
        }
    }
}

/// What has come of a feed, and how it ended if it has.
struct Received {
    events: Vec<FeedEvent>,
    end: Option<Result<(), Error>>,
}

/// Waits for an event and takes what has come with it.
async fn receive(feed: &mut BoxStream<'static, Result<Bytes, Error>>) -> Received {
    let mut received = Received { events: Vec::new(), end: None };
    let mut bytes = 0;
    let mut next = feed.next().await;
    loop {
        match next {
            None => received.end = Some(Ok(())),
            Some(Err(error)) => received.end = Some(Err(error)),
            Some(Ok(message)) => {
                bytes += message.len();
                match FeedEvent::decode(message) {
                    Ok(event) => received.events.push(event),
                    Err(error) => received.end = Some(Err(Error::internal(error))),
                }
            }
        }
        if received.end.is_some() || received.events.len() >= CHUNK_MAX || bytes >= CHUNK_BYTES_MAX {
            return received;
        }
        match feed.next().now_or_never() {
            Some(there) => next = there,
            None => return received,
        }
    }
}

fn unopened() -> Error {
    Error::unavailable("the feed was not opened in time")
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
