//! One piece of work: what a decision needs to know, and the decision.
use crate::fold::{self, Fold, Folded, StreamFacts};
use crate::{CommitId, Decision, OnceRecord, Origin, Position, StreamId};
use souk_decider::Aggregate;
use souk_kernel::{Rejection, Timestamp};
use souk_sql::{Row, Statement};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

type Decide = dyn Fn(&Facts, Timestamp) -> Result<Decision, Rejection> + Send + Sync;

/// A piece of work for the sequencer. Without a decision it only reads, all at one moment.
#[must_use = "work does nothing until it is committed"]
pub struct Work {
    pub(crate) id: CommitId,
    pub(crate) origin: Origin,
    pub(crate) reads: Vec<Read>,
    pub(crate) decide: Option<Arc<Decide>>,
}

pub(crate) enum Read {
    Stream(StreamId, &'static Fold),
    Rows(Cow<'static, str>, Statement),
    Claim(Pair),
    Once(Triple),
    Inbox(Triple),
}

pub(crate) type Pair = (Arc<str>, Arc<str>);
pub(crate) type Triple = (Arc<str>, Arc<str>, Arc<str>);

impl Work {
    /// Work under this id, wanted by `origin`.
    pub fn new(id: CommitId, origin: Origin) -> Self {
        Self { id, origin, reads: Vec::new(), decide: None }
    }

    /// The decision needs the state of this stream. A state is copied once per commit that changes it, so keep
    /// states small, or what grows in them behind an `Arc`.
    pub fn read<A: Aggregate>(mut self, stream: impl Into<StreamId>) -> Self {
        self.reads.push(Read::Stream(stream.into(), Fold::of::<A>()));
        self
    }

    /// The decision needs the rows of this statement on view tables, as they are after all earlier commits,
    /// those of the same batch included.
    pub fn rows(mut self, label: impl Into<Cow<'static, str>>, statement: Statement) -> Self {
        self.reads.push(Read::Rows(label.into(), statement));
        self
    }

    /// The decision needs to know who holds this claim.
    pub fn claim(mut self, scope: impl Into<Arc<str>>, key: impl Into<Arc<str>>) -> Self {
        self.reads.push(Read::Claim((scope.into(), key.into())));
        self
    }

    /// The decision needs to know what was answered under this idempotency key.
    pub fn once(
        mut self,
        principal: impl Into<Arc<str>>,
        method: impl Into<Arc<str>>,
        key: impl Into<Arc<str>>,
    ) -> Self {
        self.reads.push(Read::Once((principal.into(), method.into(), key.into())));
        self
    }

    /// The decision needs to know how far the reaction has got with this stream.
    pub fn inbox(
        mut self,
        reaction: impl Into<Arc<str>>,
        source: impl Into<Arc<str>>,
        stream: impl Into<Arc<str>>,
    ) -> Self {
        self.reads.push(Read::Inbox((reaction.into(), source.into(), stream.into())));
        self
    }

    /// The decision. It must be pure, since it may run more than once. A panic in it ends this piece only.
    pub fn decide<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Facts, Timestamp) -> Result<Decision, Rejection> + Send + Sync + 'static,
    {
        self.decide = Some(Arc::new(decide));
        self
    }

    /// Adds something to whatever is decided. A refusal stays one.
    pub fn and<F>(mut self, more: F) -> Self
    where
        F: Fn(Decision) -> Decision + Send + Sync + 'static,
    {
        let before = self.decide.take();
        self.decide(move |facts, now| {
            let decided = before.as_ref().map_or_else(|| Ok(Decision::new()), |decide| decide(facts, now));
            decided.map(&more)
        })
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work {} ({} reads)", self.id, self.reads.len())
    }
}

/// What a decision may know: exactly what its work asked for, as of the moment of the commit.
#[derive(Default)]
pub struct Facts {
    pub(crate) streams: Vec<(StreamId, StreamFacts)>,
    pub(crate) rows: Vec<(Cow<'static, str>, Vec<Row>)>,
    pub(crate) claims: Vec<(Pair, Option<Arc<str>>)>,
    pub(crate) once: Vec<(Triple, Option<OnceRecord>)>,
    pub(crate) inbox: Vec<(Triple, u64)>,
}

const NOT_READ: &str = "a decision may only use what its work has read";

impl Facts {
    /// The state of a stream.
    ///
    /// # Panics
    /// When the work did not read it; so do the others.
    pub fn state<A: Aggregate>(&self, stream: &StreamId) -> Folded<A> {
        match fold::find(&self.streams, stream) {
            Some(folded) => folded,
            None => panic!("{NOT_READ}: {stream}"),
        }
    }

    /// The rows that were read under this label.
    pub fn rows(&self, label: &str) -> &[Row] {
        match self.rows.iter().find(|(known, _)| known == label) {
            Some((_, rows)) => rows,
            None => panic!("{NOT_READ}: rows {label}"),
        }
    }

    /// Who holds this claim.
    pub fn claim(&self, scope: &str, key: &str) -> Option<&str> {
        match self.claims.iter().find(|((s, k), _)| **s == *scope && **k == *key) {
            Some((_, owner)) => owner.as_deref(),
            None => panic!("{NOT_READ}: claim {scope}/{key}"),
        }
    }

    /// What was answered under this idempotency key, unless it has expired.
    pub fn once(&self, principal: &str, method: &str, key: &str) -> Option<&OnceRecord> {
        match self.once.iter().find(|(known, _)| is(known, principal, method, key)) {
            Some((_, record)) => record.as_ref(),
            None => panic!("{NOT_READ}: once {method}"),
        }
    }

    /// How far the reaction has got with this stream; 0 when it has not begun.
    pub fn inbox(&self, reaction: &str, source: &str, stream: &str) -> u64 {
        match self.inbox.iter().find(|(known, _)| is(known, reaction, source, stream)) {
            Some((_, mark)) => *mark,
            None => panic!("{NOT_READ}: inbox {reaction} {source} {stream}"),
        }
    }
}

fn is(known: &Triple, first: &str, second: &str, third: &str) -> bool {
    *known.0 == *first && *known.1 == *second && *known.2 == *third
}

/// A commit that was made.
#[derive(Clone)]
pub struct Committed {
    /// Its first event; `None` when it has none.
    pub first: Option<Position>,
    /// Its last event; `None` when it has none.
    pub last: Option<Position>,
    /// When it was made.
    pub time: Timestamp,
    /// Whether this is the answer to an earlier commit with the same id. Nothing was decided then, and the
    /// states are the current ones.
    pub replayed: bool,
    pub(crate) streams: Vec<(StreamId, StreamFacts)>,
}

impl Committed {
    /// The state after the commit of a stream that was read, or appended to while its state was known.
    pub fn state<A: Aggregate>(&self, stream: &StreamId) -> Option<Folded<A>> {
        fold::find(&self.streams, stream)
    }

    /// The version after the commit of a stream that was read or appended to.
    pub fn version(&self, stream: &StreamId) -> Option<u64> {
        self.streams.iter().find(|(known, _)| known == stream).map(|(_, facts)| facts.version)
    }
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first.map(Position::get), self.last.map(Position::get));
        write!(f, "Committed {first:?}..={last:?} at {} (replayed: {})", self.time, self.replayed)
    }
}
