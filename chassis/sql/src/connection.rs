//! One connection to a database.
use crate::{Error, Names, OpenFor, Row, Statement, Value};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Prepared statements kept per connection.
const PREPARED_MAX: usize = 256;
/// Resolved texts that were not constants, kept per connection; beyond it the whole cache starts anew.
const OWNED_TEXTS_MAX: usize = 512;
/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of a connection, in KiB.
const CACHE_KIB: u32 = 4 * 1024;
/// How much of the file is read through memory mapping.
const MMAP_BYTES: u64 = 256 << 20;
/// The database looks at the deadline once in so many of its own steps.
const STEPS_PER_LOOK: i32 = 20_000;

/// A connection. Statements are resolved and prepared once per text.
pub struct Connection {
    inner: rusqlite::Connection,
    names: Names,
    /// By address and length: a constant text stays where it is.
    constants: HashMap<(usize, usize), Arc<str>>,
    owned: HashMap<String, Arc<str>>,
    /// Pages in the write-ahead log after the last commit of this connection.
    log_pages: Arc<AtomicU64>,
    deadline: Arc<Mutex<Option<Instant>>>,
}

/// What a checkpoint of the write-ahead log achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointOutcome {
    /// Pages in the log.
    pub log_pages: u64,
    /// Of these, pages that are now in the database file too.
    pub moved_pages: u64,
}

impl Connection {
    /// A database in memory that ends with the connection.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn memory(names: Names) -> Result<Self, Error> {
        let inner = rusqlite::Connection::open_in_memory()?;
        let mut connection = Self::around(inner, names);
        connection.batch("PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF")?;
        Ok(connection)
    }

    pub(crate) fn open_raw(path: &Path, purpose: OpenFor, names: Names) -> Result<Self, Error> {
        use rusqlite::OpenFlags;
        let access = match purpose {
            OpenFor::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            // A reader of our own may have to rebuild the index of the log, which is a write.
            OpenFor::Read | OpenFor::Maintain => OpenFlags::SQLITE_OPEN_READ_WRITE,
            OpenFor::Audit => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let inner = rusqlite::Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        inner.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self::around(inner, names))
    }

    fn around(inner: rusqlite::Connection, names: Names) -> Self {
        inner.set_prepared_statement_cache_capacity(PREPARED_MAX);
        Self {
            inner,
            names,
            constants: HashMap::new(),
            owned: HashMap::new(),
            log_pages: Arc::default(),
            deadline: Arc::default(),
        }
    }

    /// The settings of every connection to a store file.
    pub(crate) fn set_up(&mut self, purpose: OpenFor) -> Result<(), Error> {
        self.batch(&format!(
            "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -{CACHE_KIB}; \
             PRAGMA mmap_size = {MMAP_BYTES}; PRAGMA temp_store = MEMORY"
        ))?;
        match purpose {
            OpenFor::Write | OpenFor::Maintain => {
                self.batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0",
                )?;
                let pages = Arc::clone(&self.log_pages);
                let note = move |_: &mut rusqlite::hooks::Wal, n: i32| {
                    pages.store(u64::try_from(n).unwrap_or(0), Ordering::Relaxed);
                    Ok(())
                };
                self.inner.wal_hook(Some(note))?;
                self.refuse_lax_sync()
            }
            OpenFor::Read | OpenFor::Audit => self.batch("PRAGMA query_only = ON"),
        }
    }

    /// A store that may lose what it has confirmed is not a store.
    fn refuse_lax_sync(&mut self) -> Result<(), Error> {
        const FULL: i64 = 2;
        let mode = self.query(&Statement::new("PRAGMA journal_mode"))?;
        let wal = mode.first().is_some_and(|row| row.text(0) == "wal");
        if wal && self.number("PRAGMA synchronous")? >= FULL {
            return Ok(());
        }
        Err(Error::new(crate::Kind::Io, "the file cannot be written with a write-ahead log and full syncs"))
    }

    /// Which tables stand behind the `{name}`s.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Lets `{name}`s stand for other tables from now on.
    pub fn set_names(&mut self, names: Names) {
        self.names = names;
        self.constants.clear();
        self.owned.clear();
    }

    /// Runs a statement that returns no rows; gives the number of rows that it changed.
    ///
    /// # Errors
    /// Whatever the database says, sorted by [`crate::Kind`].
    pub fn execute(&mut self, statement: &Statement) -> Result<usize, Error> {
        self.run(Text::of(statement), &statement.args)
    }

    /// Like [`Connection::execute`], with a constant text and values on the caller's stack.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn run_constant(&mut self, sql: &'static str, args: &[Value]) -> Result<usize, Error> {
        self.run(Text::Constant(sql), args)
    }

    fn run(&mut self, sql: Text<'_>, args: &[Value]) -> Result<usize, Error> {
        let text = self.text(sql)?;
        let wrong = |e: rusqlite::Error| Error::from(e).in_statement(sql.portable());
        let mut prepared = self.inner.prepare_cached(&text).map_err(wrong)?;
        prepared.execute(rusqlite::params_from_iter(args.iter().map(Bound))).map_err(wrong)
    }

    /// Runs a statement and gives its rows.
    ///
    /// # Errors
    /// Whatever the database says, sorted by [`crate::Kind`].
    pub fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, Error> {
        self.query_limited(statement, usize::MAX)
    }

    /// Like [`Connection::query`], but an answer of more than `rows_max` rows is an error.
    ///
    /// # Errors
    /// Whatever the database says, or that there are too many rows.
    pub fn query_limited(&mut self, statement: &Statement, rows_max: usize) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.for_each(statement, |row| {
            if rows.len() == rows_max {
                return Err(Error::statement(format!(
                    "the answer has more than {rows_max} rows; add a LIMIT"
                )));
            }
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Like [`Connection::query`], with a constant text and values on the caller's stack.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn rows_of(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.rows(Text::Constant(sql), args, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs a statement and passes on its rows one by one.
    ///
    /// # Errors
    /// Whatever the database or `each` says.
    pub fn for_each(
        &mut self,
        statement: &Statement,
        each: impl FnMut(Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.rows(Text::of(statement), &statement.args, each)
    }

    fn rows(
        &mut self,
        sql: Text<'_>,
        args: &[Value],
        mut each: impl FnMut(Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let text = self.text(sql)?;
        let wrong = |e: rusqlite::Error| Error::from(e).in_statement(sql.portable());
        let mut prepared = self.inner.prepare_cached(&text).map_err(wrong)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(rusqlite::params_from_iter(args.iter().map(Bound))).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let values = (0..columns).map(|i| row.get_ref(i).map_err(wrong).and_then(own));
            each(Row::new(values.collect::<Result<_, _>>()?))?;
        }
        Ok(())
    }

    /// Runs several statements without values: definitions and settings.
    ///
    /// # Errors
    /// Whatever the database says about the first that fails.
    pub fn batch(&mut self, sql: &str) -> Result<(), Error> {
        let text = self.names.resolve(sql)?;
        self.inner.execute_batch(&text).map_err(|e| Error::from(e).in_statement(sql))
    }

    pub(crate) fn number(&mut self, sql: &'static str) -> Result<i64, Error> {
        let rows = self.rows_of(sql, &[])?;
        Ok(rows.first().and_then(|row| row.try_get(0)).unwrap_or(0))
    }

    /// Begins a transaction that writes: from here on no other connection can.
    ///
    /// # Errors
    /// When another connection writes for too long.
    pub fn begin_write(&mut self) -> Result<(), Error> {
        self.run_constant("BEGIN IMMEDIATE", &[]).map(drop)
    }

    /// Begins a transaction in which every read sees the same state.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn begin_read(&mut self) -> Result<(), Error> {
        self.run_constant("BEGIN", &[]).map(drop)
    }

    /// Makes the transaction durable.
    ///
    /// # Errors
    /// The transaction may then still be open: call [`Connection::rollback`].
    pub fn commit(&mut self) -> Result<(), Error> {
        self.run_constant("COMMIT", &[]).map(drop)
    }

    /// Undoes the transaction. Does nothing when the database has already undone it.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn rollback(&mut self) -> Result<(), Error> {
        if self.inner.is_autocommit() {
            return Ok(());
        }
        self.run_constant("ROLLBACK", &[]).map(drop)
    }

    /// Pages in the write-ahead log after the last commit of this connection.
    pub fn log_pages(&self) -> u64 {
        self.log_pages.load(Ordering::Relaxed)
    }

    /// Moves what it can of the write-ahead log into the database file, without waiting for anyone.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn checkpoint(&mut self) -> Result<CheckpointOutcome, Error> {
        self.checkpoint_with("PRAGMA wal_checkpoint(PASSIVE)")
    }

    /// Moves all of the write-ahead log and empties it; for an orderly end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn checkpoint_all(&mut self) -> Result<CheckpointOutcome, Error> {
        self.checkpoint_with("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    fn checkpoint_with(&mut self, sql: &'static str) -> Result<CheckpointOutcome, Error> {
        let rows = self.rows_of(sql, &[])?;
        let pages = |i| rows.first().and_then(|row| row.try_get::<u64>(i)).unwrap_or(0);
        Ok(CheckpointOutcome { log_pages: pages(1), moved_pages: pages(2) })
    }

    /// Ends statements that run past a deadline; see [`Connection::set_deadline`]. Costs a little, so it is
    /// for readers.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn watch_deadline(&mut self) -> Result<(), Error> {
        let deadline = Arc::clone(&self.deadline);
        let late = move || {
            let deadline = *deadline.lock().unwrap_or_else(PoisonError::into_inner);
            deadline.is_some_and(|at| Instant::now() >= at)
        };
        Ok(self.inner.progress_handler(STEPS_PER_LOOK, Some(late))?)
    }

    /// Until when statements may run, from now on.
    pub fn set_deadline(&mut self, at: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// The database's own text for `sql`, from the cache when it was seen before.
    fn text(&mut self, sql: Text<'_>) -> Result<Arc<str>, Error> {
        match sql {
            Text::Constant(constant) => {
                let key = (constant.as_ptr() as usize, constant.len());
                if let Some(text) = self.constants.get(&key) {
                    return Ok(Arc::clone(text));
                }
                let text: Arc<str> = self.names.resolve(constant)?.into();
                self.constants.insert(key, Arc::clone(&text));
                Ok(text)
            }
            Text::Given(owned) => {
                if let Some(text) = self.owned.get(owned) {
                    return Ok(Arc::clone(text));
                }
                let text: Arc<str> = self.names.resolve(owned)?.into();
                if self.owned.len() >= OWNED_TEXTS_MAX {
                    self.owned.clear();
                }
                self.owned.insert(owned.to_owned(), Arc::clone(&text));
                Ok(text)
            }
        }
    }
}

/// A portable text. A constant one is found again by its address.
#[derive(Clone, Copy)]
enum Text<'a> {
    Constant(&'static str),
    Given(&'a str),
}

impl<'a> Text<'a> {
    fn of(statement: &'a Statement) -> Self {
        match &statement.sql {
            Cow::Borrowed(constant) => Text::Constant(constant),
            Cow::Owned(given) => Text::Given(given),
        }
    }

    fn portable(&self) -> &'a str {
        match self {
            Text::Constant(text) | Text::Given(text) => text,
        }
    }
}

struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn own(value: ValueRef<'_>) -> Result<Value, Error> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Int(number)),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text.into())),
            Err(_) => Err(Error::new(crate::Kind::Corrupt, "a text in the database is not UTF-8")),
        },
        ValueRef::Real(_) | ValueRef::Blob(_) => Err(Error::statement(
            "a column holds neither BIGINT nor TEXT (no division, no AVG: both give floats)",
        )),
    }
}
