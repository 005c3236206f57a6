//! What can go wrong with a statement, sorted by what it means for the caller.
use std::fmt;

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A CHECK, UNIQUE or NOT NULL said no.
    Constraint,
    /// There is no space left. Nothing was written; it works again once there is space.
    StorageFull,
    /// Reading or writing the file failed.
    Io,
    /// What was written may not be on the disk. Nothing that the process believes is certain any more.
    Sync,
    /// Another connection holds a lock for too long.
    Busy,
    /// The statement ran longer than it may.
    TooLong,
    /// The file is damaged.
    Corrupt,
    /// The file or its folder may not be written.
    ReadOnly,
    /// The statement itself is wrong: its text, its values or the table's shape.
    Statement,
}

/// A statement failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn statement(message: impl Into<String>) -> Self {
        Self::new(Kind::Statement, message)
    }

    /// What it means.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which statement it was; for the log.
    #[must_use]
    pub(crate) fn in_statement(mut self, sql: &str) -> Self {
        self.message.push_str(" in: ");
        self.message.push_str(sql);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let kind = error.sqlite_error().map_or(Kind::Statement, kind_of);
        Self::new(kind, error.to_string())
    }
}

fn kind_of(error: &rusqlite::ffi::Error) -> Kind {
    use rusqlite::ErrorCode;
    use rusqlite::ffi;
    const SYNCS: [i32; 3] = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC, ffi::SQLITE_IOERR_CLOSE];
    if SYNCS.contains(&error.extended_code) {
        return Kind::Sync;
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "the enum is SQLite's and grows with it")]
    match error.code {
        ErrorCode::ConstraintViolation => Kind::Constraint,
        ErrorCode::DiskFull => Kind::StorageFull,
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Kind::Io,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            Kind::Busy
        }
        ErrorCode::OperationInterrupted => Kind::TooLong,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Kind::Corrupt,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Kind::ReadOnly,
        _ => Kind::Statement,
    }
}
