//! The three ways to say no: [`Invalid`] (cannot be read, with every faulty field), [`Rejection`] (a rule,
//! with a stable reason) and a fault (the machinery failed). All three become one [`Error`] at the seam of
//! a service, and one function per face turns that into a status.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The canonical status codes of gRPC (google.rpc.Code), with their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are gRPC's and documented there")]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Code; 16] = [
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code with this number; [`Code::Unknown`] for a number that gRPC does not define.
    pub fn from_number(number: i32) -> Code {
        Self::ALL.into_iter().find(|code| *code as i32 == number).unwrap_or(Code::Unknown)
    }

    /// The upper-case name, for example `NOT_FOUND`.
    pub fn name(self) -> &'static str {
        match self {
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// One faulty field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path in the request's JSON form, for example `lines[2].quantity`.
    pub field: String,
    /// What is wrong and what is allowed, as a sentence part: `must be between 1 and 1000000`.
    pub description: String,
}

/// Collects every faulty field of a request, so that the caller hears of all of them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid {
    fields: Vec<FieldViolation>,
}

impl Invalid {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `field` is wrong and why.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.fields.push(FieldViolation { field: field.into(), description: description.into() });
    }

    /// One faulty field.
    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut invalid = Self::new();
        invalid.add(field, description);
        invalid
    }

    /// The value, or `None` after noting why `field` could not be read.
    pub fn take<T, E: fmt::Display>(&mut self, field: impl Into<String>, read: Result<T, E>) -> Option<T> {
        read.map_err(|e| self.add(field, e.to_string())).ok()
    }

    /// The faulty fields so far.
    pub fn fields(&self) -> &[FieldViolation] {
        &self.fields
    }

    /// `value` if nothing was noted and it is there, else all that was noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.fields.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

/// A rule said no. An ordinary value: not logged as an error, not retried, shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The canonical code, usually `FailedPrecondition`, `NotFound` or `AlreadyExists`.
    pub code: Code,
    /// The stable, documented reason, for example `INSUFFICIENT_STOCK`.
    pub reason: &'static str,
    /// A sentence for the caller.
    pub message: String,
    /// Facts that a program can use, for example `sku` and `available`.
    pub metadata: BTreeMap<String, String>,
}

impl Rejection {
    /// A rejection with `FailedPrecondition`.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { code: Code::FailedPrecondition, reason, message: message.into(), metadata: BTreeMap::new() }
    }

    /// The same with another code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The same with one more fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }
}

/// What a call answers when it does not answer its response. The outside part (code, reason, message,
/// fields, metadata) may leave the process; the source never does.
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    code: Code,
    reason: Cow<'static, str>,
    message: String,
    fields: Vec<FieldViolation>,
    metadata: BTreeMap<String, String>,
    retry_after: Option<Duration>,
    told: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a stable upper-case reason and a sentence for the caller.
    pub fn new(code: Code, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            reason: reason.into(),
            message: message.into(),
            fields: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
            told: false,
            source: None,
        }))
    }

    /// The thing is not there, or not yours: the two are never told apart.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, "NOT_FOUND", format!("{what} was not found"))
    }

    /// Something broke inside; `source` is for the log only.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut error = Self::new(Code::Internal, "INTERNAL", "something went wrong on our side");
        error.0.source = Some(Arc::from(source.into()));
        error
    }

    /// The service cannot answer now; trying again later may work.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, "UNAVAILABLE", message)
    }

    /// The same with a source for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same with one more fact for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.0.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same with faulty fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldViolation>) -> Self {
        self.0.fields = fields;
        self
    }

    /// The same with a hint when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// The same with a note that its story is in the log, so that nobody on its way out tells it again. The note
    /// stays in the process, as the log does.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.0.told = true;
        self
    }

    /// The canonical code.
    pub fn code(&self) -> Code {
        self.0.code
    }
    /// The stable reason, upper case.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
    /// The outside sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The faulty fields, if the request could not be read.
    pub fn fields(&self) -> &[FieldViolation] {
        &self.0.fields
    }
    /// Facts for programs.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }
    /// When to try again, if known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether its story is in the log already.
    pub fn is_told(&self) -> bool {
        self.0.told
    }

    /// Whether the call may have had an effect although it failed: the answer is not known.
    pub fn is_unknown_outcome(&self) -> bool {
        match self.0.code {
            Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted => true,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => false,
        }
    }

    /// The whole chain of sources, for the log.
    pub fn story(&self) -> String {
        let mut story = format!("{}: {}", self.0.reason, self.0.message);
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            story.push_str(": ");
            story.push_str(&source.to_string());
            next = source.source();
        }
        story
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.reason, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.story())?;
        if self.0.fields.is_empty() { Ok(()) } else { write!(f, " {:?}", self.0.fields) }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        let first = invalid.fields.first().map(|f| format!("{} {}", f.field, f.description));
        let message = first.unwrap_or_else(|| "the request could not be read".to_owned());
        Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message).with_fields(invalid.fields)
    }
}

impl From<Rejection> for Error {
    fn from(r: Rejection) -> Self {
        let mut error = Self::new(r.code, r.reason, r.message);
        error.0.metadata = r.metadata;
        error
    }
}
