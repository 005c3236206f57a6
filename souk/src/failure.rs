//! How a command can fail, and the exit code that says so to scripts.
use std::fmt;

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    /// The process's exit code.
    pub code: i32,
    /// What happened, what it means, what to do.
    pub message: String,
}

/// Exit codes (see the documentation of the command line).
pub mod exit {
    /// Anything without a code of its own.
    pub const GENERIC: i32 = 1;
    /// The command was not used as it must be.
    pub const USAGE: i32 = 2;
    /// `verify` or `replay` found a difference.
    pub const DIFFERENCES: i32 = 3;
    /// The input data is bad.
    pub const DATA: i32 = 65;
    /// Something that is needed cannot be reached.
    pub const UNAVAILABLE: i32 = 69;
    /// A file cannot be read or written.
    pub const IO: i32 = 74;
    /// Try again: something is locked.
    pub const TRY_AGAIN: i32 = 75;
    /// Not allowed.
    pub const PERMISSION: i32 = 77;
    /// The configuration is bad.
    pub const CONFIGURATION: i32 = 78;
}

impl Failure {
    /// A failure with a code and a message.
    pub fn new(code: i32, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// A file that cannot be read or written.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        Self::new(exit::IO, format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<souk_host::Mistakes> for Failure {
    fn from(mistakes: souk_host::Mistakes) -> Self {
        Self::new(exit::CONFIGURATION, mistakes)
    }
}

impl From<souk_host::StartError> for Failure {
    fn from(error: souk_host::StartError) -> Self {
        use souk_host::StartError;
        let code = match &error {
            StartError::Store(souk_eventstore::OpenError::LockHeld { .. }) => exit::TRY_AGAIN,
            StartError::Store(_) | StartError::Data(..) | StartError::StoreMissing(_) => exit::IO,
            StartError::Key(souk_host::KeyError::Exposed(_)) => exit::PERMISSION,
            StartError::Key(_) => exit::IO,
        };
        Self::new(code, error)
    }
}

impl From<souk_kernel::Error> for Failure {
    fn from(error: souk_kernel::Error) -> Self {
        Self::new(exit::GENERIC, error.story())
    }
}
