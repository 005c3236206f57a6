//! What a decision can contain. Everything in it happens in one commit, or nothing does.
use crate::{Position, StreamId};
use souk_decider::StoredEvent;
use souk_kernel::Timestamp;
use std::any::Any;
use std::sync::Arc;

/// What a decision expects of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It has no events yet.
    NoStream,
    /// It has exactly so many events. For a version that a *caller* saw (an ETag): the decision itself always
    /// sees the current state.
    Exactly(u64),
    /// It has events.
    Exists,
    /// Nothing.
    Any,
}

impl Expected {
    pub(crate) fn holds(self, version: u64) -> bool {
        match self {
            Expected::NoStream => version == 0,
            Expected::Exactly(wanted) => version == wanted,
            Expected::Exists => version > 0,
            Expected::Any => true,
        }
    }
}

/// The answer to a request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Once {
    pub principal: Arc<str>,
    pub method: Arc<str>,
    pub key: Arc<str>,
    /// So that the same key with another request can be refused.
    pub request_hash: String,
    pub response: String,
    /// From then on the key counts as never used.
    pub expires: Timestamp,
}

/// What was recorded under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct OnceRecord {
    pub request_hash: String,
    pub response: String,
}

/// How far a reaction has got with one stream of another service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct InboxMark {
    pub reaction: Arc<str>,
    /// The other service.
    pub source: Arc<str>,
    pub stream: Arc<str>,
    /// The `public_seq` that this commit applies.
    pub sequence: u64,
}

/// A durable timer: one to set, which replaces the open one with the same key, or one that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Timer {
    pub key: Arc<str>,
    /// Who looks after it.
    pub kind: Arc<str>,
    pub due: Timestamp,
    /// Told apart from earlier timers of the same key: firing consumes only its own generation.
    pub generation: u64,
    pub payload: String,
}

/// The right to write for a lease: it must still be at this epoch when the commit is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Fence {
    pub lease: Arc<str>,
    pub epoch: u64,
}

/// An event of another service that a reaction could not apply. It and later ones of its stream wait here
/// for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Parked {
    pub reaction: Arc<str>,
    pub source: Arc<str>,
    pub stream: Arc<str>,
    pub sequence: u64,
    /// Whatever the reaction needs to fetch or apply it again.
    pub payload: String,
    /// Why, for the operator.
    pub reason: String,
}

/// A stream of another service whose events wait for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct ParkedKey {
    pub source: Arc<str>,
    pub stream: Arc<str>,
    /// The event that could not be applied; the others wait behind it.
    pub first: u64,
    /// Why that one could not.
    pub reason: String,
    pub since: Timestamp,
    /// How many wait.
    pub events: u64,
}

pub(crate) struct NewEvent {
    pub(crate) kind: &'static str,
    pub(crate) schema: u16,
    pub(crate) data: Arc<str>,
    pub(crate) typed: Arc<dyn Any + Send + Sync>,
}

pub(crate) struct Append {
    pub(crate) stream: StreamId,
    pub(crate) expected: Expected,
    pub(crate) events: Vec<NewEvent>,
}

pub(crate) enum ClaimOp {
    Hold { scope: Arc<str>, key: Arc<str>, owner: Arc<str> },
    Release { scope: Arc<str>, key: Arc<str> },
    Once(Once),
}

pub(crate) struct InboxOp {
    pub(crate) mark: InboxMark,
    /// The first one that is applied, `mark.sequence` being the last; `None` starts in the middle.
    pub(crate) first: Option<u64>,
}

pub(crate) enum TimerOp {
    Set(Timer),
    Cancel(Arc<str>),
    Fired { key: Arc<str>, generation: u64 },
}

pub(crate) enum ParkOp {
    Park(Parked),
    Unpark { reaction: Arc<str>, source: Arc<str>, stream: Arc<str>, sequence: u64 },
}

/// What shall happen. An empty decision writes nothing.
#[derive(Default)]
#[must_use = "a decision does nothing until it is returned"]
pub struct Decision {
    pub(crate) appends: Vec<Append>,
    pub(crate) guards: Vec<(StreamId, Expected)>,
    pub(crate) claims: Vec<ClaimOp>,
    pub(crate) inbox: Vec<InboxOp>,
    pub(crate) timers: Vec<TimerOp>,
    pub(crate) checkpoints: Vec<(Arc<str>, u64)>,
    pub(crate) parked: Vec<ParkOp>,
    pub(crate) fences: Vec<Fence>,
}

impl Decision {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends events to a stream. Without events it only checks what is expected.
    pub fn append<E: StoredEvent>(
        mut self,
        stream: impl Into<StreamId>,
        expected: Expected,
        events: Vec<E>,
    ) -> Self {
        let events = events
            .into_iter()
            .map(|event| NewEvent {
                kind: event.kind(),
                schema: event.schema(),
                data: event.to_json().into(),
                typed: Arc::new(event),
            })
            .collect();
        self.appends.push(Append { stream: stream.into(), expected, events });
        self
    }

    /// Demands something of a stream that it does not append to.
    pub fn guard(mut self, stream: impl Into<StreamId>, expected: Expected) -> Self {
        self.guards.push((stream.into(), expected));
        self
    }

    /// Takes the claim `key` in `scope` for `owner`, for ever. Fine when `owner` has it already.
    pub fn hold(
        mut self,
        scope: impl Into<Arc<str>>,
        key: impl Into<Arc<str>>,
        owner: impl Into<Arc<str>>,
    ) -> Self {
        self.claims.push(ClaimOp::Hold { scope: scope.into(), key: key.into(), owner: owner.into() });
        self
    }

    /// Gives a claim up. Fine when nobody has it.
    pub fn release(mut self, scope: impl Into<Arc<str>>, key: impl Into<Arc<str>>) -> Self {
        self.claims.push(ClaimOp::Release { scope: scope.into(), key: key.into() });
        self
    }

    /// Records the answer under an idempotency key.
    pub fn record_once(mut self, once: Once) -> Self {
        self.claims.push(ClaimOp::Once(once));
        self
    }

    /// Notes that a reaction has applied one event: the next one, or the commit is refused.
    pub fn inbox(mut self, mark: InboxMark) -> Self {
        let first = Some(mark.sequence);
        self.inbox.push(InboxOp { mark, first });
        self
    }

    /// Notes that a reaction has applied (or does not want) all events from `first` to the mark's.
    pub fn inbox_range(mut self, first: u64, mark: InboxMark) -> Self {
        self.inbox.push(InboxOp { mark, first: Some(first) });
        self
    }

    /// Notes where a reaction begins that does not begin at the beginning: no gap is checked.
    pub fn inbox_from(mut self, mark: InboxMark) -> Self {
        self.inbox.push(InboxOp { mark, first: None });
        self
    }

    /// Sets a timer.
    pub fn set_timer(mut self, timer: Timer) -> Self {
        self.timers.push(TimerOp::Set(timer));
        self
    }

    /// Cancels a timer. Fine when there is none.
    pub fn cancel_timer(mut self, key: impl Into<Arc<str>>) -> Self {
        self.timers.push(TimerOp::Cancel(key.into()));
        self
    }

    /// Consumes a timer that has come due; refused when it was cancelled, fired or set anew.
    pub fn timer_fired(mut self, key: impl Into<Arc<str>>, generation: u64) -> Self {
        self.timers.push(TimerOp::Fired { key: key.into(), generation });
        self
    }

    /// Notes how far a process has got.
    pub fn checkpoint(mut self, name: impl Into<Arc<str>>, position: impl Into<Position>) -> Self {
        self.checkpoints.push((name.into(), position.into().get()));
        self
    }

    /// Parks an event that could not be applied.
    pub fn park(mut self, parked: Parked) -> Self {
        self.parked.push(ParkOp::Park(parked));
        self
    }

    /// Takes an event out of the parked ones, because it was applied or an operator gave it up.
    pub fn unpark(
        mut self,
        reaction: impl Into<Arc<str>>,
        source: impl Into<Arc<str>>,
        stream: impl Into<Arc<str>>,
        sequence: u64,
    ) -> Self {
        let (reaction, source, stream) = (reaction.into(), source.into(), stream.into());
        self.parked.push(ParkOp::Unpark { reaction, source, stream, sequence });
        self
    }

    /// Demands that a lease is still at this epoch.
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fences.push(fence);
        self
    }

    /// Whether it would write something.
    pub fn writes(&self) -> bool {
        self.appends.iter().any(|append| !append.events.is_empty())
            || !self.claims.is_empty()
            || !self.inbox.is_empty()
            || !self.timers.is_empty()
            || !self.checkpoints.is_empty()
            || !self.parked.is_empty()
    }
}
