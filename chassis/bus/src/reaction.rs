//! The incoming side: follows another service's feed and applies each event in one commit.
use crate::{AUDIENCE, feed_name};
use futures_util::{FutureExt, StreamExt, future::join_all};
use prost::Message;
use souk_eventstore::{CommitError, CommitId, Decision, EventStore, Fault, InboxMark, Origin, Parked, Work};
use souk_identity::ServiceIdentity;
use souk_kernel::Error;
use souk_rpc::feed::{FeedEvent, ReadRequest};
use souk_rpc::{BoxStream, Bytes, Cx, Peers};
use souk_telemetry::Stop;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many events that are there already are applied side by side.
const CHUNK_MAX: usize = 128;
/// The wait before the feed is opened again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the same event is tried before its key is parked.
const ATTEMPTS_MAX: u32 = 5;
/// How many parked events are read at the start; their keys are remembered.
const PARKED_MAX: usize = 10_000;
/// Feeds are opened anew after this long, so that no stream lives for ever.
const STREAM_AGE_MAX: Duration = Duration::from_secs(300);

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
    /// Whether it does something about events of this kind; others only move the mark.
    fn wants(&self, kind: &str) -> bool;
    /// Where it begins when it is new.
    fn start(&self) -> Start {
        Start::Beginning
    }
    /// All effects of the event as one piece of work, whose decision carries `mark`. Pure. A refusal is an
    /// outcome: then the decision carries only the mark.
    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison>;
}

/// Follows one feed for one [`Reactor`].
pub struct Reaction {
    store: EventStore,
    peers: Peers,
    identity: Arc<ServiceIdentity>,
    reactor: Arc<dyn Reactor>,
    parked: HashSet<String>,
    last: u64,
}

impl Reaction {
    /// A reaction whose effects and marks are kept in `store`.
    pub fn new(
        store: EventStore,
        peers: Peers,
        identity: Arc<ServiceIdentity>,
        reactor: Arc<dyn Reactor>,
    ) -> Self {
        Self { store, peers, identity, reactor, parked: HashSet::new(), last: 0 }
    }

    fn checkpoint_name(&self) -> String {
        format!("reaction/{}", self.reactor.name())
    }

    /// Runs until `stop` is requested. A feed that cannot be reached is tried again and again.
    pub async fn run(mut self, stop: Stop) -> Result<(), Error> {
        let parked = self.store.parked(self.reactor.name(), PARKED_MAX).await?;
        self.parked = parked.into_iter().map(|parked| parked.stream.to_string()).collect();
        self.last =
            self.store.checkpoint_of(&self.checkpoint_name()).await?.map_or(0, |position| position.get());
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                ended = self.follow() => if let Err(error) = ended {
                    tracing::warn!(reaction = self.reactor.name(), error = %error.story(), "feed interrupted");
                }
            }
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Opens the feed after the last applied event and applies what comes until it ends.
    async fn follow(&mut self) -> Result<(), Error> {
        let mut feed = self.open().await?;
        while let Some(first) = feed.next().await {
            let mut chunk = vec![decode(first?)?];
            while chunk.len() < CHUNK_MAX
                && let Some(Some(next)) = feed.next().now_or_never()
            {
                chunk.push(decode(next?)?);
            }
            self.apply(chunk).await?;
        }
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

    /// Applies a chunk of consecutive events: the unwanted ones in one commit, the wanted ones side by side
    /// (the store keeps the order in which they are handed in, so each stream stays in order).
    async fn apply(&mut self, chunk: Vec<FeedEvent>) -> Result<(), Error> {
        for event in &chunk {
            if event.feed_seq != self.last + 1 {
                return Err(Error::unavailable(format!(
                    "the feed went from {} to {}",
                    self.last, event.feed_seq
                )));
            }
            self.last = event.feed_seq;
        }
        let before = self.last - chunk.len() as u64;
        let outcome = self.apply_all(&chunk).await;
        if outcome.is_err() {
            self.last = before;
        }
        outcome
    }

    async fn apply_all(&mut self, chunk: &[FeedEvent]) -> Result<(), Error> {
        let works: Vec<_> = chunk.iter().map(|event| self.attempt(event)).collect();
        let outcomes = join_all(works.into_iter().map(|work| self.commit_once(work))).await;
        for (event, outcome) in chunk.iter().zip(outcomes) {
            self.settle(event, outcome).await?;
        }
        let (name, last) = (self.checkpoint_name(), self.last);
        let id = CommitId::derived(&[&name, &last.to_string()]);
        let moved = Work::new(id, self.origin())
            .decide(move |_, _| Ok(Decision::new().checkpoint(name.clone(), last)));
        self.store.commit(moved).await?;
        Ok(())
    }

    /// What to commit for an event; `Err` when it must be parked.
    fn attempt(&self, event: &FeedEvent) -> Result<Work, Poison> {
        if self.parked.contains(&event.stream) {
            return Err(Poison { reason: "an earlier event of this key is parked".to_owned() });
        }
        let mark = self.mark(event);
        if self.reactor.wants(&event.kind) {
            return self.reactor.work(event, mark);
        }
        let id = CommitId::derived(&[self.reactor.name(), &event.id]);
        Ok(Work::new(id, self.origin()).decide(move |_, _| Ok(Decision::new().inbox(mark.clone()))))
    }

    fn mark(&self, event: &FeedEvent) -> InboxMark {
        InboxMark {
            reaction: self.reactor.name().into(),
            source: event.source.as_str().into(),
            stream: event.stream.as_str().into(),
            sequence: event.public_seq,
        }
    }

    fn origin(&self) -> Origin {
        Origin::by(self.reactor.name())
    }

    async fn commit_once(&self, work: Result<Work, Poison>) -> Result<(), Refusal> {
        match self.store.commit(work.map_err(Refusal::Poison)?).await {
            Ok(_) | Err(CommitError::InboxSeen { .. }) => Ok(()),
            Err(error) => Err(Refusal::of(error)),
        }
    }

    /// Sees an event to its end: applied, or parked with its reason.
    async fn settle(&mut self, event: &FeedEvent, mut outcome: Result<(), Refusal>) -> Result<(), Error> {
        for attempt in 1.. {
            let poison = match outcome {
                Ok(()) => return Ok(()),
                Err(Refusal::Poison(poison)) => poison,
                Err(Refusal::Machinery(error)) => return Err(error),
                Err(Refusal::Perhaps(reason)) if attempt >= ATTEMPTS_MAX => Poison { reason },
                Err(Refusal::Perhaps(_)) => {
                    outcome = self.commit_once(self.attempt(event)).await;
                    continue;
                }
            };
            return self.park(event, poison).await;
        }
        Ok(())
    }

    async fn park(&mut self, event: &FeedEvent, poison: Poison) -> Result<(), Error> {
        tracing::error!(
            reaction = self.reactor.name(),
            stream = event.stream,
            reason = poison.reason,
            "event parked"
        );
        let mark = self.mark(event);
        let parked = Parked {
            reaction: mark.reaction,
            source: mark.source,
            stream: mark.stream,
            sequence: mark.sequence,
            payload: String::from_utf8(hex(&event.encode_to_vec())).expect("hex is ASCII"),
            reason: poison.reason,
        };
        self.parked.insert(event.stream.clone());
        let id = CommitId::derived(&["park", self.reactor.name(), &event.id]);
        let work = Work::new(id, self.origin()).decide(move |_, _| Ok(Decision::new().park(parked.clone())));
        self.store.commit(work).await?;
        Ok(())
    }
}

/// Why an event was not applied.
enum Refusal {
    /// It never will be.
    Poison(Poison),
    /// The store cannot take anything now; the event is not to blame.
    Machinery(Error),
    /// It may be the event's fault; tried a few times.
    Perhaps(String),
}

impl Refusal {
    fn of(error: CommitError) -> Self {
        match error {
            CommitError::Rejected(rejection) => Refusal::Poison(Poison { reason: rejection.message }),
            CommitError::InboxGap { .. } | CommitError::Overloaded => Refusal::Machinery(error.into()),
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
}

fn decode(bytes: Bytes) -> Result<FeedEvent, Error> {
    FeedEvent::decode(bytes).map_err(Error::internal)
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}
