//! Looks at a store from outside, live or stopped, and changes nothing: does the log agree with itself, and
//! are the views what the log makes of them?
//!
//! An [`Audit`] sees one moment of the store. It takes no lock, so it works beside the process that writes,
//! and after one that was killed. As long as it lives, the store's write-ahead log cannot start over.
use crate::fold::{Fold, Folded, StreamFacts};
use crate::schema::{self, Head};
use crate::shared::lock;
use crate::{
    Fault, InboxMark, OpenError, Parked, Position, Publish, Published, Recorded, Row, Statement, StreamId,
    Timer, View, batch, view,
};
use souk_decider::Aggregate;
use souk_sql::{Connection, Names, OpenFor, Value, dialect};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Findings per check; where there is one more, the last of them says that there are.
pub const FINDINGS_MAX: usize = 20;
/// Events that are read at a time.
const CHUNK: usize = 2_000;

/// A store as it was at one moment.
pub struct Audit {
    db: Mutex<Connection>,
    head: Head,
    service: String,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: &'static str,
    /// Where: a position, a stream or a table.
    pub id: String,
    /// What is wrong, as a sentence.
    pub what: String,
}

/// A claim that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Claim {
    pub scope: String,
    pub key: String,
    pub owner: String,
}

impl Audit {
    /// Looks at the store at `path`.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let sql = |e: souk_sql::Error| OpenError::from_sql(path, &e);
        let mut db = Connection::open(path, schema::STORE, OpenFor::Audit, Names::none())?;
        let service = schema::service(&mut db).map_err(sql)?;
        let service = service.ok_or_else(|| OpenError::NotADatabase { path: path.to_owned() })?;
        // The moment is the first read in the transaction.
        db.begin_read().map_err(sql)?;
        let head = schema::read_head(&mut db).map_err(sql)?;
        let names = view::stored_names(&mut db).map_err(sql)?;
        db.set_names(names);
        Ok(Self { db: Mutex::new(db), head, service })
    }

    /// Whose store it is.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The last position.
    pub fn head(&self) -> Position {
        Position(self.head.position)
    }

    /// The number of the last published event; 0 when nothing was published.
    pub fn feed_head(&self) -> u64 {
        self.head.feed_seq
    }

    /// The events of a stream after a version, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_stream(&self, stream: &StreamId, after: u64, limit: usize) -> Result<Vec<Recorded>, Fault> {
        schema::read_stream(&mut lock(&self.db), stream, after, limit)
    }

    /// Passes on every event in order.
    ///
    /// # Errors
    /// When the file cannot be read. A gap is a finding, not an error.
    pub fn for_each(&self, mut each: impl FnMut(&Recorded)) -> Result<(), Fault> {
        let mut after = 0;
        loop {
            let chunk = schema::read_log_with_gaps(&mut lock(&self.db), after, CHUNK)?;
            chunk.iter().for_each(&mut each);
            match chunk.last() {
                Some(last) if chunk.len() == CHUNK => after = last.position.get(),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Passes on every published event in order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn for_each_published(
        &self,
        publish: Publish,
        mut each: impl FnMut(&Published),
    ) -> Result<(), Fault> {
        self.for_each(|recorded| {
            let public = || view::published(Some(publish), recorded);
            if let Some(published) = recorded.feed_seq.and_then(|_| Published::of(recorded, public())) {
                each(&published);
            }
        })
    }

    /// The state of a stream.
    ///
    /// # Errors
    /// When its events cannot be read.
    pub fn state<A: Aggregate>(&self, stream: &StreamId) -> Result<Folded<A>, Fault> {
        let db = &mut *lock(&self.db);
        let mut facts: StreamFacts = batch::stored(db, stream)?;
        batch::add_state(db, stream, Fold::of::<A>(), &mut facts)?;
        Ok(facts.folded::<A>().expect("it was just added"))
    }

    /// The rows of a statement on the store's and the views' tables.
    ///
    /// # Errors
    /// When the statement is wrong or the file cannot be read.
    pub fn query(&self, statement: &Statement) -> Result<Vec<Row>, Fault> {
        Ok(lock(&self.db).query(statement)?)
    }

    /// Every open timer, the next one first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn timers(&self) -> Result<Vec<Timer>, Fault> {
        let rows = self.query(&Statement::new(schema::ALL_TIMERS))?;
        let timer = |row: &Row| Timer {
            key: row.get(0),
            kind: row.get(1),
            due: row.get(2),
            generation: row.get(3),
            payload: row.get(4),
        };
        Ok(rows.iter().map(timer).collect())
    }

    /// How far each reaction has got with each stream.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn inbox(&self) -> Result<Vec<InboxMark>, Fault> {
        let rows = self.query(&Statement::new(schema::ALL_MARKS))?;
        let mark = |row: &Row| InboxMark {
            reaction: row.get(0),
            source: row.get(1),
            stream: row.get(2),
            sequence: row.get(3),
        };
        Ok(rows.iter().map(mark).collect())
    }

    /// How far each process has got.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<(String, Position)>, Fault> {
        let rows = self.query(&Statement::new(schema::ALL_CHECKPOINTS))?;
        Ok(rows.iter().map(|row| (row.get(0), Position(row.get(1)))).collect())
    }

    /// Every claim.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn claims(&self) -> Result<Vec<Claim>, Fault> {
        let rows = self.query(&Statement::new(schema::ALL_CLAIMS))?;
        Ok(rows.iter().map(|row| Claim { scope: row.get(0), key: row.get(1), owner: row.get(2) }).collect())
    }

    /// Every parked event.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn parked(&self) -> Result<Vec<Parked>, Fault> {
        let rows = self.query(&Statement::new(schema::ALL_PARKED))?;
        Ok(rows.iter().map(schema::parked_of).collect())
    }

    /// Everything that is wrong with the store: the file itself, the numbering of the log, the tables that must
    /// agree with it, and every view against a copy that is built anew in memory.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn findings(&self, views: &[View], publish: Option<Publish>) -> Result<Vec<Finding>, Fault> {
        let mut found = Findings::default();
        for row in self.query(&Statement::new(dialect::INTEGRITY))? {
            if row.text(0) != "ok" {
                found.add("file", "(file)", row.text(0));
            }
        }
        let mut rebuilt = Rebuilt::new(views, &mut found)?;
        let mut numbering = Numbering::default();
        self.for_each(|recorded| {
            numbering.check(recorded, &mut found);
            check_publish(publish, recorded, &mut found);
            rebuilt.project(recorded, &mut found);
        })?;
        self.check_head(&numbering, &mut found)?;
        self.check_streams(&numbering, &mut found)?;
        self.check_commits(&mut found)?;
        for view in views {
            self.compare(view, &mut rebuilt, &mut found)?;
        }
        Ok(found.into_list())
    }

    fn check_head(&self, numbering: &Numbering, found: &mut Findings) -> Result<(), Fault> {
        let commits: u64 = self.query(&Statement::new(schema::COUNT_COMMITS))?[0].get(0);
        for (what, head, log) in [
            ("position", self.head.position, numbering.position),
            ("feed_seq", self.head.feed_seq, numbering.feed_seq),
            ("commit_seq", self.head.commit_seq, commits),
        ] {
            if head != log {
                found.add("head", "log_head", format!("{what} is {head}, the log says {log}"));
            }
        }
        Ok(())
    }

    fn check_streams(&self, numbering: &Numbering, found: &mut Findings) -> Result<(), Fault> {
        let mut listed = 0;
        for row in self.query(&Statement::new(schema::ALL_STREAMS))? {
            let (stream, version, public_seq): (Arc<str>, u64, u64) = (row.get(0), row.get(1), row.get(2));
            let log = numbering.streams.get(&stream).copied().unwrap_or_default();
            listed += 1;
            if (version, public_seq) != log {
                let what =
                    format!("listed at {version} (public {public_seq}), the log says {} ({})", log.0, log.1);
                found.add("streams", &stream, what);
            }
        }
        if listed != numbering.streams.len() {
            let what = format!("{listed} streams are listed, the log has {}", numbering.streams.len());
            found.add("streams", "(all)", what);
        }
        Ok(())
    }

    fn check_commits(&self, found: &mut Findings) -> Result<(), Fault> {
        for row in self.query(&Statement::new(schema::STRAY_COMMITS))? {
            found.add("commits", row.text(0), "its positions are not those of its events");
        }
        Ok(())
    }

    /// Compares a view's tables row by row with those that were built anew.
    fn compare(&self, view: &View, rebuilt: &mut Rebuilt, found: &mut Findings) -> Result<(), Fault> {
        let db = &mut *lock(&self.db);
        if view::outdated(db, view)? {
            found.add("view", view.name, "was built by another release; the next start builds it anew");
            return Ok(());
        }
        if rebuilt.failed.contains(&view.name) {
            return Ok(());
        }
        for table in view.tables {
            let own = db.names().table(table.name).unwrap_or_default().to_owned();
            let columns = db.rows_of(dialect::COLUMNS, &[Value::from(own)])?;
            let columns: Vec<String> = columns.iter().map(|row| format!("\"{}\"", row.text(0))).collect();
            let columns = columns.join(", ");
            let sql = format!("SELECT {columns} FROM {{{}}} ORDER BY {columns}", table.name);
            let statement = Statement::new(sql);
            let expected = rebuilt.db.query(&statement)?;
            let mut differences =
                Differences { table: table.name, expected: expected.iter().peekable(), found };
            db.for_each(&statement, |row| {
                differences.stored(&row);
                Ok(())
            })?;
            differences.rest();
        }
        Ok(())
    }
}

/// A merge of two sorted lists of rows.
struct Differences<'a, I: Iterator<Item = &'a Row>> {
    table: &'static str,
    expected: std::iter::Peekable<I>,
    found: &'a mut Findings,
}

impl<'a, I: Iterator<Item = &'a Row>> Differences<'a, I> {
    fn stored(&mut self, row: &Row) {
        while let Some(expected) = self.expected.peek() {
            match (*expected).cmp(row) {
                Ordering::Less => self.missing(),
                Ordering::Equal => {
                    self.expected.next();
                    return;
                }
                Ordering::Greater => break,
            }
        }
        self.found.add("view", self.table, format!("has a row that the log does not make: {}", text(row)));
    }

    fn missing(&mut self) {
        if let Some(row) = self.expected.next() {
            self.found.add("view", self.table, format!("lacks a row that the log makes: {}", text(row)));
        }
    }

    fn rest(&mut self) {
        while self.expected.peek().is_some() {
            self.missing();
        }
    }
}

fn text(row: &Row) -> String {
    let value = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
    };
    row.values().iter().map(value).collect::<Vec<_>>().join(", ")
}

/// The numbers that the log should have, counted along.
#[derive(Default)]
struct Numbering {
    position: u64,
    feed_seq: u64,
    /// Version and public number of each stream.
    streams: BTreeMap<Arc<str>, (u64, u64)>,
}

impl Numbering {
    fn check(&mut self, recorded: &Recorded, found: &mut Findings) {
        let stream = self.streams.entry(recorded.stream.text()).or_default();
        let mut number = |check: &'static str, id: &str, what: &str, counted: &mut u64, actual: u64| {
            if actual != *counted + 1 {
                found.add(check, id, format!("{what} {actual} follows {counted}"));
            }
            *counted = actual;
        };
        let position = recorded.position.to_string();
        number("positions", &position, "position", &mut self.position, recorded.position.get());
        number("versions", recorded.stream.as_str(), "version", &mut stream.0, recorded.version);
        if let Some(public_seq) = recorded.public_seq {
            number("public_seq", recorded.stream.as_str(), "public number", &mut stream.1, public_seq);
        }
        if let Some(feed_seq) = recorded.feed_seq {
            number("feed_seq", &position, "feed number", &mut self.feed_seq, feed_seq);
        }
        if recorded.public_seq.is_some() != recorded.feed_seq.is_some() {
            found.add("feed_seq", &position, "has only one of its two public numbers");
        }
    }
}

fn check_publish(publish: Option<Publish>, recorded: &Recorded, found: &mut Findings) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| view::published(publish, recorded))) {
        found.add("publish", &recorded.position.to_string(), crate::error::panic_text(&*panic));
    }
}

/// The views, built anew in memory.
struct Rebuilt<'a> {
    db: Connection,
    views: &'a [View],
    /// Views that could not be built; there is nothing to compare them with.
    failed: Vec<&'static str>,
}

impl<'a> Rebuilt<'a> {
    fn new(views: &'a [View], found: &mut Findings) -> Result<Self, Fault> {
        let mut db = Connection::memory(view::names(views.iter().map(|view| (view, 1))))?;
        let mut failed = Vec::new();
        for view in views {
            if let Err(error) = view::create_tables(&mut db, view, 1) {
                found.add("view", view.name, format!("cannot be built: {error}"));
                failed.push(view.name);
            }
        }
        Ok(Self { db, views, failed })
    }

    fn project(&mut self, recorded: &Recorded, found: &mut Findings) {
        for view in self.views.iter().filter(|view| !self.failed.contains(&view.name)) {
            if let Err(error) = view::project_onto(&mut self.db, view, recorded) {
                found.add(
                    "view",
                    view.name,
                    format!("cannot take in position {}: {error}", recorded.position),
                );
                self.failed.push(view.name);
                return;
            }
        }
    }
}

#[derive(Default)]
struct Findings(BTreeMap<&'static str, Vec<Finding>>);

impl Findings {
    fn add(&mut self, check: &'static str, id: &str, what: impl Into<String>) {
        let list = self.0.entry(check).or_default();
        match list.len().cmp(&FINDINGS_MAX) {
            Ordering::Less => list.push(Finding { check, id: id.to_owned(), what: what.into() }),
            Ordering::Equal => {
                list.push(Finding {
                    check,
                    id: "(more)".to_owned(),
                    what: "there are more of these".to_owned(),
                });
            }
            Ordering::Greater => {}
        }
    }

    fn into_list(self) -> Vec<Finding> {
        self.0.into_values().flatten().collect()
    }
}
