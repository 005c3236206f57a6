//! How a commit can end otherwise than well, and how the machinery can fail.
use crate::{Expected, InboxMark, StreamId};
use souk_decider::DecodeError;
use souk_kernel::{Code, Rejection};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// When to try again after [`CommitError::Overloaded`].
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// When to try again after [`Fault::StorageFull`].
const RETRY_AFTER_FULL: Duration = Duration::from_secs(5);

/// The machinery failed. Nothing of the piece was written, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A view's statement failed. Only the piece that caused it is affected.
    View {
        /// The view.
        view: &'static str,
        /// What the database said.
        what: String,
    },
    /// There is no space left. It works again once there is.
    StorageFull,
    /// The database failed.
    Storage(String),
    /// Our own code panicked while deciding or projecting.
    Panicked(String),
    /// Something stored cannot be read.
    Decode(DecodeError),
    /// The log contradicts itself. `souk verify` tells more.
    Broken(String),
    /// The answer was lost after the commit became durable: asking again with the same id gives it.
    AnswerLost,
    /// The store is shutting down or has shut down.
    Closed,
    /// Too much is being read at the moment.
    ReadersBusy,
}

/// What the store's reading functions return.
pub type Error = Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::View { view, what } => write!(f, "the view {view} refused its statement: {what}"),
            Fault::StorageFull => f.write_str("no space is left on the store's disk"),
            Fault::Storage(what) => write!(f, "the database failed: {what}"),
            Fault::Panicked(what) => write!(f, "a decision or projection panicked: {what}"),
            Fault::Decode(error) => write!(f, "{error}"),
            Fault::Broken(what) => write!(f, "the log contradicts itself: {what}"),
            Fault::AnswerLost => f.write_str("the answer was lost; the commit is durable"),
            Fault::Closed => f.write_str("the store is shut down"),
            Fault::ReadersBusy => f.write_str("too many reads are waiting"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<souk_sql::Error> for Fault {
    fn from(error: souk_sql::Error) -> Self {
        match error.kind() {
            souk_sql::Kind::StorageFull => Fault::StorageFull,
            souk_sql::Kind::Constraint
            | souk_sql::Kind::Io
            | souk_sql::Kind::Sync
            | souk_sql::Kind::Busy
            | souk_sql::Kind::TooLong
            | souk_sql::Kind::Corrupt
            | souk_sql::Kind::ReadOnly
            | souk_sql::Kind::Statement => Fault::Storage(error.to_string()),
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Fault::Decode(error)
    }
}

impl From<Fault> for souk_kernel::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            // Nobody asked for too much: it is the shop that cannot, until somebody makes room.
            Fault::StorageFull => souk_kernel::Error::new(
                Code::Unavailable,
                "STORAGE_FULL",
                "there is no space left to record this; it works again once there is",
            )
            .with_retry_after(RETRY_AFTER_FULL),
            Fault::Closed => souk_kernel::Error::unavailable("the service is shutting down"),
            Fault::AnswerLost => {
                souk_kernel::Error::unavailable("the answer was lost; ask again with the same key")
            }
            Fault::ReadersBusy => souk_kernel::Error::new(
                Code::ResourceExhausted,
                "OVERLOADED",
                "too much is being read at the moment",
            )
            .with_retry_after(RETRY_AFTER),
            Fault::View { .. }
            | Fault::Storage(_)
            | Fault::Panicked(_)
            | Fault::Decode(_)
            | Fault::Broken(_) => souk_kernel::Error::internal(fault),
        }
    }
}

/// Why a commit was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// A rule said no.
    Rejected(Rejection),
    /// A stream is not at the version that the decision expected.
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the decision expected.
        expected: Expected,
        /// Its version; 0 when there is no such stream.
        actual: u64,
    },
    /// Somebody else holds the claim.
    ClaimTaken {
        /// The claim's scope.
        scope: Arc<str>,
        /// The claim's key.
        key: Arc<str>,
        /// Who holds it.
        owner: Arc<str>,
    },
    /// The reaction has applied this event already.
    InboxSeen {
        /// How far it has got.
        mark: u64,
    },
    /// An earlier event of the stream has not been applied yet.
    InboxGap {
        /// The next one that is due.
        expected: u64,
        /// The one that came.
        got: u64,
    },
    /// The timer was cancelled, fired or set anew in the meantime.
    TimerGone,
    /// Somebody else has taken the lease over.
    Fenced,
    /// Too much is waiting to be committed.
    Overloaded,
    /// The machinery failed.
    Fault(Fault),
}

impl CommitError {
    /// The error of an inbox mark that does not fit, given how far the reaction has got.
    pub(crate) fn inbox(mark: &InboxMark, first: u64, current: u64) -> Option<Self> {
        if mark.sequence <= current {
            Some(CommitError::InboxSeen { mark: current })
        } else if first > current + 1 {
            Some(CommitError::InboxGap { expected: current + 1, got: first })
        } else {
            None
        }
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommitError::Rejected(rejection) => write!(f, "{}: {}", rejection.reason, rejection.message),
            CommitError::Conflict { stream, expected, actual } => {
                write!(f, "{stream} is at version {actual}, expected was {expected:?}")
            }
            CommitError::ClaimTaken { scope, key, owner } => write!(f, "{scope}/{key} is held by {owner}"),
            CommitError::InboxSeen { mark } => write!(f, "applied already; the mark is at {mark}"),
            CommitError::InboxGap { expected, got } => {
                write!(f, "number {got} came before number {expected}")
            }
            CommitError::TimerGone => f.write_str("the timer is gone or was set anew"),
            CommitError::Fenced => f.write_str("the lease was taken over by somebody else"),
            CommitError::Overloaded => f.write_str("too many commits are waiting"),
            CommitError::Fault(fault) => write!(f, "{fault}"),
        }
    }
}

impl std::error::Error for CommitError {}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        CommitError::Fault(fault)
    }
}

impl From<souk_sql::Error> for CommitError {
    fn from(error: souk_sql::Error) -> Self {
        CommitError::Fault(error.into())
    }
}

impl From<CommitError> for souk_kernel::Error {
    fn from(error: CommitError) -> Self {
        use souk_kernel::Error as Outer;
        match error {
            CommitError::Rejected(rejection) => rejection.into(),
            CommitError::Conflict { actual, .. } => Outer::new(
                Code::Aborted,
                "VERSION_CONFLICT",
                "it has changed since you read it; read it again",
            )
            .with("version", actual),
            CommitError::ClaimTaken { .. } => {
                Outer::new(Code::AlreadyExists, "ALREADY_TAKEN", "it is taken already")
            }
            CommitError::InboxSeen { .. } => {
                Outer::new(Code::AlreadyExists, "ALREADY_APPLIED", "this event was applied already")
            }
            CommitError::InboxGap { expected, .. } => {
                Outer::new(Code::FailedPrecondition, "EVENT_MISSING", "an earlier event has not arrived yet")
                    .with("expected", expected)
            }
            CommitError::TimerGone => {
                Outer::new(Code::Aborted, "TIMER_GONE", "the timer was cancelled or set anew")
            }
            CommitError::Fenced => {
                Outer::new(Code::Aborted, "FENCED", "another process has taken this work over")
            }
            CommitError::Overloaded => Outer::new(
                Code::ResourceExhausted,
                "OVERLOADED",
                "too many changes are waiting to be recorded",
            )
            .with_retry_after(RETRY_AFTER),
            CommitError::Fault(fault) => fault.into(),
        }
    }
}

/// What a caught panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
