//! Folded states whose type only their readers know. The store keeps them by stream and carries them
//! forward when events are appended, whoever appends.
use crate::decision::NewEvent;
use crate::{Fault, StreamId};
use souk_decider::{Aggregate, DecodeError, StoredEvent};
use std::any::{Any, TypeId};
use std::ops::Deref;
use std::sync::Arc;

/// A state as of one version of its stream.
#[derive(Debug, Clone)]
pub struct Folded<A> {
    state: Arc<A>,
    version: u64,
}

impl<A> Folded<A> {
    /// This state as of this version; for tests of code that takes one.
    pub fn new(state: A, version: u64) -> Self {
        Self { state: Arc::new(state), version }
    }

    /// The stream's version; 0 when there is no such stream.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is such a stream.
    pub fn exists(&self) -> bool {
        self.version > 0
    }

    /// The state.
    pub fn state(&self) -> &A {
        &self.state
    }
}

impl<A> Deref for Folded<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.state
    }
}

pub(crate) type State = Arc<dyn Any + Send + Sync>;

/// How to fold one type of state, without the type.
pub(crate) struct Fold {
    type_id: fn() -> TypeId,
    start: fn() -> State,
    /// `None` when the events are not of the state's type: then the state must be folded anew.
    append: fn(State, &[NewEvent]) -> Option<State>,
    read: fn(State, &str, u16, &str) -> Result<State, DecodeError>,
}

impl Fold {
    pub(crate) const fn of<A: Aggregate>() -> &'static Fold {
        const { &Fold { type_id: TypeId::of::<A>, start: start::<A>, append: append::<A>, read: read::<A> } }
    }

    pub(crate) fn start(&self) -> State {
        (self.start)()
    }

    pub(crate) fn read(
        &self,
        state: State,
        kind: &str,
        schema: u16,
        json: &str,
    ) -> Result<State, DecodeError> {
        (self.read)(state, kind, schema, json)
    }

    fn is(&self, other: &Fold) -> bool {
        (self.type_id)() == (other.type_id)()
    }
}

fn start<A: Aggregate>() -> State {
    Arc::new(A::default())
}

fn append<A: Aggregate>(state: State, events: &[NewEvent]) -> Option<State> {
    let mut state: Arc<A> = state.downcast().ok()?;
    let owned = Arc::make_mut(&mut state);
    for event in events {
        owned.evolve(event.typed.downcast_ref::<A::Event>()?);
    }
    Some(state)
}

fn read<A: Aggregate>(state: State, kind: &str, schema: u16, json: &str) -> Result<State, DecodeError> {
    let mut state: Arc<A> = state.downcast().expect("a fold is only ever given states that it has made");
    Arc::make_mut(&mut state).evolve(&A::Event::from_json(kind, schema, json)?);
    Ok(state)
}

/// An entry counts at most so much against the cache's limit: a long stream's state is smaller than the sum
/// of its events.
const ENTRY_BYTES_MAX: usize = 256 << 10;
const ENTRY_BYTES_MIN: usize = 256;

/// What is known of a stream: how far it has got, and the states that were folded from it.
#[derive(Clone, Default)]
pub(crate) struct StreamFacts {
    pub(crate) version: u64,
    pub(crate) public_seq: u64,
    event_bytes: usize,
    folds: Vec<(&'static Fold, State)>,
}

impl StreamFacts {
    pub(crate) fn at(version: u64, public_seq: u64) -> Self {
        Self { version, public_seq, event_bytes: 0, folds: Vec::new() }
    }

    /// Roughly what it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.event_bytes.min(ENTRY_BYTES_MAX) + ENTRY_BYTES_MIN
    }

    pub(crate) fn has(&self, fold: &Fold) -> bool {
        self.folds.iter().any(|(known, _)| known.is(fold))
    }

    /// Adds a state that was folded from `event_bytes` of events up to this very version.
    pub(crate) fn add(&mut self, fold: &'static Fold, state: State, event_bytes: usize) {
        self.folds.retain(|(known, _)| !known.is(fold));
        self.folds.push((fold, state));
        self.event_bytes = self.event_bytes.max(event_bytes);
    }

    /// Carries every state over the appended events.
    pub(crate) fn append(&mut self, events: &[NewEvent]) {
        self.version += events.len() as u64;
        self.event_bytes += events.iter().map(|event| event.data.len()).sum::<usize>();
        let folds = std::mem::take(&mut self.folds);
        self.folds = folds
            .into_iter()
            .filter_map(|(fold, state)| Some((fold, (fold.append)(state, events)?)))
            .collect();
    }

    pub(crate) fn folded<A: Aggregate>(&self) -> Option<Folded<A>> {
        let (_, state) = self.folds.iter().find(|(known, _)| known.is(Fold::of::<A>()))?;
        let state = Arc::clone(state).downcast().ok()?;
        Some(Folded { state, version: self.version })
    }
}

/// The folded state of `stream` among `streams`.
pub(crate) fn find<A: Aggregate>(
    streams: &[(StreamId, StreamFacts)],
    stream: &StreamId,
) -> Option<Folded<A>> {
    streams.iter().find(|(known, _)| known == stream).and_then(|(_, facts)| facts.folded::<A>())
}

/// An error for a stream whose events do not count up to its version.
pub(crate) fn miscounted(stream: &StreamId, counted: u64, version: u64) -> Fault {
    Fault::Broken(format!("{stream} has {counted} events but is at version {version}"))
}
