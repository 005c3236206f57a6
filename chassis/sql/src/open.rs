//! Opening a store file: what may be wrong with it, told so that the reader knows what to do.
use crate::{Connection, Error, Kind, Names, Statement};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the opener wants of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFor {
    /// To write; the file is made when it is not there.
    Write,
    /// To move the write-ahead log of a file that this process writes on another connection.
    Maintain,
    /// To read a file that this process writes as well.
    Read,
    /// To look at a file that may belong to another, live or dead, process.
    Audit,
}

/// Which kind of file is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// The mark in the file's header that makes it ours.
    pub application: i32,
    /// The newest schema that this program knows.
    pub schema: i32,
}

/// Files up to this size are checked page by page when they are opened; larger ones by the audit only, so
/// that a start stays fast.
pub const QUICK_CHECK_BYTES_MAX: u64 = 16 << 20;

/// Why a store file cannot be opened. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is a sentence in Display; path is the file's")]
pub enum OpenError {
    NoDirectory {
        path: PathBuf,
    },
    NoSuchFile {
        path: PathBuf,
    },
    NotPermitted {
        path: PathBuf,
    },
    LockHeld {
        path: PathBuf,
    },
    NotADatabase {
        path: PathBuf,
    },
    Corrupt {
        path: PathBuf,
        what: String,
    },
    Foreign {
        path: PathBuf,
    },
    OtherService {
        path: PathBuf,
        found: String,
        wanted: String,
    },
    Newer {
        path: PathBuf,
        found: i32,
        known: i32,
    },
    StorageFull {
        path: PathBuf,
    },
    Io {
        path: PathBuf,
        what: String,
    },
    /// A registered view cannot be built.
    View {
        view: String,
        what: String,
    },
    /// What the log holds cannot be read.
    Log {
        what: String,
    },
    /// The options contradict themselves.
    Options {
        what: String,
    },
}

impl OpenError {
    pub(crate) fn from_io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        #[allow(clippy::wildcard_enum_match_arm, reason = "the enum is std's and grows")]
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::NotPermitted { path }
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                OpenError::StorageFull { path }
            }
            std::io::ErrorKind::NotFound => OpenError::NoSuchFile { path },
            _ => OpenError::Io { path, what: error.to_string() },
        }
    }

    /// A statement that failed while the file at `path` was being opened.
    pub fn from_sql(path: &Path, error: &Error) -> Self {
        let (path, what) = (path.to_owned(), error.to_string());
        match error.kind() {
            Kind::Corrupt => OpenError::Corrupt { path, what },
            Kind::ReadOnly => OpenError::NotPermitted { path },
            Kind::StorageFull => OpenError::StorageFull { path },
            Kind::Constraint | Kind::Io | Kind::Sync | Kind::Busy | Kind::TooLong | Kind::Statement => {
                OpenError::Io { path, what }
            }
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NoDirectory { path } => {
                write!(
                    f,
                    "{}: its folder is not there; create the folder or correct the path",
                    path.display()
                )
            }
            OpenError::NoSuchFile { path } => {
                write!(f, "{}: there is no such file; check the path", path.display())
            }
            OpenError::NotPermitted { path } => {
                write!(
                    f,
                    "{}: not permitted; give this user read and write access to the file and its folder",
                    path.display()
                )
            }
            OpenError::LockHeld { path } => {
                write!(
                    f,
                    "{}: another process has this store open; stop it first (one process per store)",
                    path.display()
                )
            }
            OpenError::NotADatabase { path } => {
                write!(f, "{}: this is not a store file; move it away or correct the path", path.display())
            }
            OpenError::Corrupt { path, what } => {
                write!(
                    f,
                    "{}: the file is damaged ({what}); keep a copy of it and restore the last backup",
                    path.display()
                )
            }
            OpenError::Foreign { path } => {
                write!(f, "{}: this database belongs to another program; correct the path", path.display())
            }
            OpenError::OtherService { path, found, wanted } => {
                write!(
                    f,
                    "{}: this store belongs to the service {found}, not to {wanted}; correct the path",
                    path.display()
                )
            }
            OpenError::Newer { path, found, known } => {
                write!(
                    f,
                    "{}: written by a newer release (schema {found}, this one knows {known}); start the newer release",
                    path.display()
                )
            }
            OpenError::StorageFull { path } => {
                write!(f, "{}: no space left; free some and start again", path.display())
            }
            OpenError::Io { path, what } => write!(f, "{}: cannot be used: {what}", path.display()),
            OpenError::View { view, what } => write!(f, "the view {view} cannot be built: {what}"),
            OpenError::Log { what } => write!(f, "the log cannot be read: {what}"),
            OpenError::Options { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for OpenError {}

impl Connection {
    /// Opens the store file at `path`, checks that it is one of `store`'s kind, and sets the connection up.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(path: &Path, store: Store, purpose: OpenFor, names: Names) -> Result<Self, OpenError> {
        let existing = check_file(path, purpose)?;
        let mut connection =
            Self::open_raw(path, purpose, names).map_err(|e| OpenError::from_sql(path, &e))?;
        let result = connection.prepare_store(path, store, purpose, existing);
        result.map(|()| connection)
    }

    fn prepare_store(
        &mut self,
        path: &Path,
        store: Store,
        purpose: OpenFor,
        existing: u64,
    ) -> Result<(), OpenError> {
        let sql = |e: Error| OpenError::from_sql(path, &e);
        self.check_identity(path, store)?;
        self.set_up(purpose).map_err(sql)?;
        if purpose == OpenFor::Write {
            self.check_pages(path, existing)?;
            if self.number("PRAGMA application_id").map_err(sql)? != i64::from(store.application) {
                self.batch(&format!("PRAGMA application_id = {}", store.application)).map_err(sql)?;
            }
        }
        Ok(())
    }

    /// Refuses another program's database and one that a newer release has written.
    fn check_identity(&mut self, path: &Path, store: Store) -> Result<(), OpenError> {
        let sql = |e: Error| OpenError::from_sql(path, &e);
        let tables = self.query(&Statement::new(crate::dialect::TABLES)).map_err(sql)?;
        if tables.is_empty() {
            return Ok(());
        }
        let application: i64 = self.number("PRAGMA application_id").map_err(sql)?;
        if application != i64::from(store.application) {
            return Err(OpenError::Foreign { path: path.to_owned() });
        }
        let found = self.number("PRAGMA user_version").map_err(sql)?;
        if found > i64::from(store.schema) {
            let found = i32::try_from(found).unwrap_or(i32::MAX);
            return Err(OpenError::Newer { path: path.to_owned(), found, known: store.schema });
        }
        Ok(())
    }

    fn check_pages(&mut self, path: &Path, existing: u64) -> Result<(), OpenError> {
        if existing == 0 || existing > QUICK_CHECK_BYTES_MAX {
            return Ok(());
        }
        let rows = self
            .query(&Statement::new("PRAGMA quick_check(1)"))
            .map_err(|e| OpenError::from_sql(path, &e))?;
        match rows.first().map(|row| row.get::<String>(0)) {
            Some(answer) if answer != "ok" => Err(OpenError::Corrupt { path: path.to_owned(), what: answer }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Looks at the file before the database does, whose own messages would not help. Returns its size.
fn check_file(path: &Path, purpose: OpenFor) -> Result<u64, OpenError> {
    const HEADER: &[u8; 16] = b"SQLite format 3\0";
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(OpenError::NoDirectory { path: path.to_owned() });
    }
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && purpose == OpenFor::Write => return Ok(0),
        Err(e) => return Err(OpenError::from_io(path, &e)),
    };
    let size = file.metadata().map_err(|e| OpenError::from_io(path, &e))?.len();
    let mut start = [0u8; 16];
    let read = file.read(&mut start);
    let ours = size == 0 || (matches!(read, Ok(16)) && &start == HEADER);
    match read {
        Err(e) => Err(OpenError::from_io(path, &e)),
        Ok(_) if !ours => Err(OpenError::NotADatabase { path: path.to_owned() }),
        Ok(_) => Ok(size),
    }
}
