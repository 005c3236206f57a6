//! What stands in the log, and what of it others may see.
use crate::{CommitId, Fault, Position, StreamId};
use bytes::Bytes;
use souk_decider::StoredEvent;
use souk_kernel::Timestamp;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Who wanted a commit and why. Opaque ids only: nothing personal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Who: the subject of the verified token.
    pub actor: Arc<str>,
    /// The request or process that started it all.
    pub correlation: Arc<str>,
    /// What directly led to this: a request's or an event's id.
    pub causation: Arc<str>,
    /// The W3C trace context.
    pub trace: Arc<str>,
}

impl Origin {
    /// Wanted by `actor`, nothing else known.
    pub fn by(actor: impl Into<Arc<str>>) -> Self {
        Self { actor: actor.into(), ..Self::default() }
    }

    /// The same with what started it all.
    #[must_use]
    pub fn correlation(mut self, id: impl Into<Arc<str>>) -> Self {
        self.correlation = id.into();
        self
    }

    /// The same with what directly led to it.
    #[must_use]
    pub fn causation(mut self, id: impl Into<Arc<str>>) -> Self {
        self.causation = id.into();
        self
    }

    /// The same with a trace context.
    #[must_use]
    pub fn trace(mut self, context: impl Into<Arc<str>>) -> Self {
        self.trace = context.into();
        self
    }
}

/// An event with its whole envelope.
#[derive(Clone)]
#[allow(missing_docs, reason = "each field is what its name says; the ones that need words have them")]
pub struct Recorded {
    pub position: Position,
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub version: u64,
    pub commit: CommitId,
    pub time: Timestamp,
    pub kind: Cow<'static, str>,
    pub schema: u16,
    /// The event's fields as JSON.
    pub data: Arc<str>,
    pub actor: Arc<str>,
    pub correlation: Arc<str>,
    pub causation: Arc<str>,
    pub trace: Arc<str>,
    /// Its place among the published events of the stream, if it is one.
    pub public_seq: Option<u64>,
    /// Its place among the published events of the service, if it is one.
    pub feed_seq: Option<u64>,
    pub(crate) typed: Option<Arc<dyn Any + Send + Sync>>,
}

impl Recorded {
    /// The event itself. It is not parsed again while the value that was appended is still attached.
    ///
    /// # Errors
    /// When it is no `E` that this release can read.
    pub fn event<E: StoredEvent>(&self) -> Result<Arc<E>, Fault> {
        if let Some(event) = self.typed.clone().and_then(|typed| typed.downcast::<E>().ok()) {
            return Ok(event);
        }
        E::from_json(&self.kind, self.schema, &self.data).map(Arc::new).map_err(Fault::Decode)
    }

    /// The event itself when its stream is of the aggregate `A`, else `None`. For projections, which see
    /// every stream of the service.
    ///
    /// # Panics
    /// When the stream is `A`'s and the event cannot be read: a projection must never skip it.
    pub fn of<A: souk_decider::Aggregate>(&self) -> Option<Arc<A::Event>> {
        if self.stream.category() != A::CATEGORY {
            return None;
        }
        match self.event::<A::Event>() {
            Ok(event) => Some(event),
            Err(fault) => panic!("event {} of {}: {fault}", self.version, self.stream),
        }
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}@{} {}.v{} {}",
            self.position, self.stream, self.version, self.kind, self.schema, self.data
        )
    }
}

/// What others learn of an event: a protobuf message and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicEvent {
    /// The message's full name.
    pub kind: &'static str,
    /// The encoded message.
    pub data: Vec<u8>,
}

/// Decides which events others learn of: at most one public event per private one. Pure.
#[derive(Clone, Copy)]
pub struct Publish(pub fn(&Recorded) -> Option<PublicEvent>);

/// A public event with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in Recorded")]
pub struct Published {
    /// Its place among the published events of the service, from 1, without gaps.
    pub feed_seq: u64,
    /// Its place among the published events of the stream, from 1, without gaps.
    pub public_seq: u64,
    pub position: Position,
    pub stream: StreamId,
    pub commit: CommitId,
    /// The message's full name; [`Published::WITHDRAWN`] when this release no longer publishes the event.
    pub kind: &'static str,
    /// The encoded message.
    pub data: Bytes,
    pub time: Timestamp,
    pub actor: Arc<str>,
    pub correlation: Arc<str>,
    pub causation: Arc<str>,
    pub trace: Arc<str>,
}

impl Published {
    /// The kind of an event that was published once and no longer is. Its numbers stay taken, so that
    /// readers' sequences have no gap; there is nothing to apply.
    pub const WITHDRAWN: &'static str = "";

    pub(crate) fn of(recorded: &Recorded, public: Option<PublicEvent>) -> Option<Self> {
        let public = public.unwrap_or(PublicEvent { kind: Self::WITHDRAWN, data: Vec::new() });
        Some(Self {
            feed_seq: recorded.feed_seq?,
            public_seq: recorded.public_seq?,
            position: recorded.position,
            stream: recorded.stream.clone(),
            commit: recorded.commit.clone(),
            kind: public.kind,
            data: public.data.into(),
            time: recorded.time,
            actor: Arc::clone(&recorded.actor),
            correlation: Arc::clone(&recorded.correlation),
            causation: Arc::clone(&recorded.causation),
            trace: Arc::clone(&recorded.trace),
        })
    }
}
