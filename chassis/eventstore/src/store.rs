//! The handle: everything that a service can ask of its store.
use crate::batch::{self, Rules};
use crate::checkpoint::{Checkpointer, Gate};
use crate::fold::Fold;
use crate::keys::Keys;
use crate::lease::Wish;
use crate::readers::{Readers, Source};
use crate::sequencer::{self, Job, Progress, Sequencer};
use crate::shared::{Shared, lock};
use crate::{
    CommitError, Committed, Fault, Faults, Folded, Lease, Location, OpenError, Options, Parked, ParkedKey,
    Position, Publish, Published, Recorded, Row, Statement, Statistics, StreamId, Timer, Work, schema, view,
};
use souk_decider::Aggregate;
use souk_kernel::Timestamp;
use souk_sql::{Connection, Names, OpenFor, StoreLock};
use souk_telemetry::task;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Rows, events or timers that one read answers at most, whatever limit was asked for.
pub const PAGE_MAX: usize = 10_000;

/// A service's event store. Cheap to clone; the store closes when the last handle is gone.
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    shared: Arc<Shared>,
    readers: Readers,
    checkpointer: Option<Checkpointer>,
    gate: Gate,
    publish: Option<Publish>,
    keys: Keys,
    jobs: Option<mpsc::Sender<Job>>,
    queue_max: usize,
    /// The sequencer, as a thread or as a task.
    sequencer: Mutex<Option<JoinHandle<()>>>,
    inline: Mutex<Option<task::Running>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without senders the sequencer finishes what has queued up and ends.
        self.jobs = None;
        self.close();
    }
}

impl Inner {
    /// Waits until every thread has ended, so that the store can be opened again at once.
    fn close(&self) {
        self.readers.stop();
        self.keys.close();
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.stop();
        }
        let thread = lock(&self.sequencer).take();
        // The last handle may live inside a decision, and then this is the sequencer itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }

    fn jobs(&self) -> &mpsc::Sender<Job> {
        self.jobs.as_ref().expect("only drop takes it away")
    }
}

impl EventStore {
    /// Opens the store; builds views that are new or changed.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(options: Options) -> Result<EventStore, OpenError> {
        view::check(&options.views)?;
        match options.location.clone() {
            Location::Sqlite(path) => Self::open_file(options, &path),
            Location::Memory(faults) => Self::open_memory(options, faults),
        }
    }

    fn open_file(options: Options, path: &Path) -> Result<EventStore, OpenError> {
        if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(OpenError::NoDirectory { path: path.to_owned() });
        }
        let lock = StoreLock::take(path)?;
        let mut writer = Connection::open(path, schema::STORE, OpenFor::Write, Names::none())?;
        let (names, head) = prepare(&mut writer, path, &options)?;
        let own = |purpose| Connection::open(path, schema::STORE, purpose, names.clone());
        let mut sources = Vec::new();
        let readers = if options.inline { 1 } else { options.readers };
        for _ in 0..readers {
            let mut reader = own(OpenFor::Read)?;
            reader.watch_deadline().map_err(|e| OpenError::from_sql(path, &e))?;
            sources.push(Source::Own(Box::new(reader)));
        }
        // Without threads the log is emptied at the end only.
        let checkpoints = if options.inline { None } else { Some(own(OpenFor::Maintain)?) };
        let parts = Parts { db: Arc::new(Mutex::new(writer)), sources, checkpoints, head };
        Self::start(options, parts, Faults::none(), Some(lock))
    }

    fn open_memory(options: Options, faults: Faults) -> Result<EventStore, OpenError> {
        let place = PathBuf::from("(memory)");
        let sql = |e: souk_sql::Error| OpenError::from_sql(&place, &e);
        let mut writer = Connection::memory(Names::none()).map_err(sql)?;
        let (_, head) = prepare(&mut writer, &place, &options)?;
        let db = Arc::new(Mutex::new(writer));
        let sources = vec![Source::Shared(Arc::clone(&db))];
        Self::start(options, Parts { db, sources, checkpoints: None, head }, faults, None)
    }

    fn start(
        options: Options,
        parts: Parts,
        faults: Faults,
        store_lock: Option<StoreLock>,
    ) -> Result<EventStore, OpenError> {
        let io =
            |e: std::io::Error| OpenError::Io { path: PathBuf::from(&options.name), what: e.to_string() };
        let (sender, receiver) = mpsc::channel(options.queue_max);
        let exit = Arc::clone(&options.exit);
        let keys = Keys::new(&options);
        let (name, clock, cache_bytes_max) = (&options.name, options.clock, options.cache_bytes_max);
        let shared = Arc::new(Shared::new(name, clock, Arc::clone(&exit), parts.head, cache_bytes_max));
        let gate = Gate::default();
        let mut sources = parts.sources;
        let readers = match sources.pop() {
            Some(source) if options.inline => Readers::inline(source),
            last => {
                sources.extend(last);
                Readers::start(&options.name, sources).map_err(io)?
            }
        };
        let failed = move |error: &souk_sql::Error| checkpoint_failed(error, &exit);
        let checkpointer = parts
            .checkpoints
            .map(|db| Checkpointer::start(&options.name, gate.clone(), db, failed))
            .transpose()
            .map_err(io)?;
        let sequencer = Sequencer {
            db: parts.db,
            shared: Arc::clone(&shared),
            rules: Rules { views: options.views, publish: options.publish },
            faults,
            gate: gate.clone(),
            jobs: receiver,
            head: parts.head,
            batch_max: options.batch_max,
            log_bytes_max: options.log_bytes_max,
            progress: Progress::default(),
            _lock: store_lock,
        };
        let (thread, inline) = match options.inline {
            true => (None, Some(task::spawn(task::Kind::Vital, "sequencer", sequencer.run_inline()))),
            false => {
                let thread = std::thread::Builder::new().name(format!("sequencer-{}", options.name));
                (Some(thread.spawn(move || sequencer.run()).map_err(io)?), None)
            }
        };
        Ok(EventStore {
            inner: Arc::new(Inner {
                name: options.name,
                shared,
                readers,
                checkpointer,
                gate,
                publish: options.publish,
                keys,
                jobs: Some(sender),
                queue_max: options.queue_max,
                sequencer: Mutex::new(thread),
                inline: Mutex::new(inline),
            }),
        })
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Closes and opens the personal values that the log carries.
    pub fn keys(&self) -> Keys {
        self.inner.keys.clone()
    }

    /// Decides and records one piece of work; the answer comes when it is durable. A caller that goes away
    /// does not take the work with it.
    ///
    /// # Errors
    /// See [`CommitError`]. After [`Fault::AnswerLost`] or [`Fault::Closed`] the outcome is open: the same id
    /// gives the answer.
    pub async fn commit(&self, work: Work) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Commit { work, reply, injected: None };
        self.inner.jobs().try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommitError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CommitError::Fault(Fault::Closed),
        })?;
        let outcome = answer.await.unwrap_or(Err(CommitError::Fault(Fault::Closed)));
        let counters = &self.inner.shared.counters;
        match &outcome {
            Ok(committed) if committed.replayed => counters.replays.fetch_add(1, Ordering::Relaxed),
            Ok(_) => 0,
            Err(_) => counters.refusals.fetch_add(1, Ordering::Relaxed),
        };
        outcome
    }

    /// The committed state of a stream. Without the disk when it is cached.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn state<A: Aggregate>(&self, stream: &StreamId) -> Result<Folded<A>, Fault> {
        let cached = lock(&self.inner.shared.cache).get(stream);
        if let Some(folded) = cached.and_then(|facts| facts.folded::<A>()) {
            return Ok(folded);
        }
        let (shared, stream) = (Arc::clone(&self.inner.shared), stream.clone());
        self.inner
            .readers
            .read(move |db| {
                db.begin_read()?;
                let position = schema::read_head(db)?.position;
                let mut facts = batch::stored(db, &stream)?;
                batch::add_state(db, &stream, Fold::of::<A>(), &mut facts)?;
                let folded = facts.folded::<A>().expect("it was just added");
                lock(&shared.cache).offer(position, stream, facts);
                Ok(folded)
            })
            .await
    }

    /// Events of a stream after a version, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, Fault> {
        let stream = stream.clone();
        let limit = limit.min(PAGE_MAX);
        self.inner.readers.read(move |db| schema::read_stream(db, &stream, after_version, limit)).await
    }

    /// Events of the log after a position, at most [`PAGE_MAX`], without gaps.
    ///
    /// # Errors
    /// When the log cannot be read or has a gap.
    pub async fn read_log(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, Fault> {
        if after >= *self.inner.shared.head.borrow() {
            return Ok(Vec::new());
        }
        let limit = limit.min(PAGE_MAX);
        self.inner.readers.read(move |db| schema::read_log(db, after.get(), limit)).await
    }

    /// Published events after a place in the feed, at most [`PAGE_MAX`], without gaps. Who keeps up is served
    /// from memory.
    ///
    /// # Errors
    /// When the log cannot be read or the feed has a gap.
    pub async fn read_feed(&self, after_feed_seq: u64, limit: usize) -> Result<Vec<Published>, Fault> {
        let limit = limit.min(PAGE_MAX);
        if let Some(published) = lock(&self.inner.shared.tail).after(after_feed_seq, limit) {
            return Ok(published);
        }
        let publish = self.inner.publish;
        let read = move |db: &mut Connection| published_after(db, publish, after_feed_seq, limit);
        self.inner.readers.read(read).await
    }

    /// The last number of the feed. It moves before [`EventStore::head`] does.
    pub fn feed_head(&self) -> u64 {
        lock(&self.inner.shared.tail).head()
    }

    /// The last position; it moves after each durable batch.
    pub fn head(&self) -> watch::Receiver<Position> {
        self.inner.shared.head.subscribe()
    }

    /// The rows of a statement on view tables, at most [`PAGE_MAX`] of them.
    ///
    /// # Errors
    /// When the statement is wrong, takes too long or answers too much.
    pub async fn query(&self, statement: Statement) -> Result<Vec<Row>, Fault> {
        self.inner.readers.read(move |db| Ok(db.query_limited(&statement, PAGE_MAX)?)).await
    }

    /// The time by the store's clock, never earlier than before.
    pub fn now(&self) -> Timestamp {
        self.inner.shared.now()
    }

    /// Timers that are due, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_timers(&self, limit: usize) -> Result<Vec<Timer>, Fault> {
        let statement = Statement::new(schema::DUE_TIMERS).arg(self.now()).arg(limit.min(PAGE_MAX));
        Ok(self.query(statement).await?.iter().map(timer_of).collect())
    }

    /// Timers of one kind that are due, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_timers_of(&self, kind: &str, limit: usize) -> Result<Vec<Timer>, Fault> {
        let statement =
            Statement::new(schema::DUE_TIMERS_OF).arg(self.now()).arg(limit.min(PAGE_MAX)).arg(kind);
        Ok(self.query(statement).await?.iter().map(timer_of).collect())
    }

    /// When the next timer comes due at the earliest, if there is any: wait until then and ask for those that are
    /// due. Cheap; after a cancelled one it may be too early, never too late.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_timer_due(&self) -> Result<Option<Timestamp>, Fault> {
        let before = *lock(&self.inner.shared.next_due);
        match before.known {
            Some(Some(due)) if due > self.now() => return Ok(Some(due)),
            Some(None) => return Ok(None),
            Some(Some(_)) | None => {}
        }
        let rows = self.query(Statement::new(schema::NEXT_DUE)).await?;
        let next = rows.first().and_then(|row| row.get::<Option<Timestamp>>(0));
        let mut due = lock(&self.inner.shared.next_due);
        if due.changes == before.changes {
            due.known = Some(next);
        }
        Ok(next)
    }

    /// How many timers are open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_timers(&self) -> Result<u64, Fault> {
        let rows = self.query(Statement::new(schema::COUNT_TIMERS)).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// Acquires or renews a lease for `ttl`. `None` when somebody else in this process has it. What an earlier
    /// process held is taken over at once, since the store's lock proves that it is gone. Renewing costs no
    /// sync.
    ///
    /// # Errors
    /// When the database fails or the store is closed.
    pub async fn acquire_lease(
        &self,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, Fault> {
        let (name, owner): (Arc<str>, Arc<str>) = (name.into(), owner.into());
        match lock(&self.inner.shared.leases).wish(&name, &owner, self.now(), ttl) {
            Wish::Renewed(lease) => return Ok(Some(lease)),
            Wish::Held => return Ok(None),
            Wish::Free => {}
        }
        let (reply, answer) = oneshot::channel();
        let job = Job::Lease { name, owner, ttl, reply };
        self.inner.jobs().send(job).await.map_err(|_| Fault::Closed)?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }

    /// Gives a lease up, so that others in this process need not wait until it expires.
    pub fn release_lease(&self, lease: &Lease) {
        lock(&self.inner.shared.leases).release(lease);
    }

    /// How far a process has got, if it has noted it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn checkpoint_of(&self, name: &str) -> Result<Option<Position>, Fault> {
        let rows = self.query(Statement::new(schema::FIND_CHECKPOINT).arg(name)).await?;
        Ok(rows.first().map(|row| Position(row.get(0))))
    }

    /// How far a reaction has got with a stream of another service; 0 when it has not begun.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inbox_mark(&self, reaction: &str, source: &str, stream: &str) -> Result<u64, Fault> {
        let statement = Statement::new(schema::FIND_MARK).arg(reaction).arg(source).arg(stream);
        Ok(self.query(statement).await?.first().map_or(0, |row| row.get(0)))
    }

    /// Events that a reaction has parked, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn parked(&self, reaction: &str, limit: usize) -> Result<Vec<Parked>, Fault> {
        let statement = Statement::new(schema::PARKED_OF).arg(reaction).arg(limit.min(PAGE_MAX));
        Ok(self.query(statement).await?.iter().map(schema::parked_of).collect())
    }

    /// The keys that a reaction has parked, the longest waiting first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn parked_keys(&self, reaction: &str, limit: usize) -> Result<Vec<ParkedKey>, Fault> {
        let statement = Statement::new(schema::PARKED_KEYS).arg(reaction).arg(limit.min(PAGE_MAX));
        Ok(self.query(statement).await?.iter().map(schema::parked_key_of).collect())
    }

    /// Takes no more work, finishes what waits, empties the write-ahead log and lets go of the file.
    pub async fn shutdown(&self) {
        // A full queue only means that the stop waits its turn; a closed one that it was asked for before.
        let _ = self.inner.jobs().send(Job::Stop).await;
        let inline = lock(&self.inner.inline).take();
        if let Some(sequencer) = inline {
            let _ = sequencer.join().await;
            return self.inner.readers.stop();
        }
        let inner = Arc::clone(&self.inner);
        let (done, ended) = oneshot::channel();
        let closer =
            std::thread::Builder::new().name(format!("close-{}", self.inner.name)).spawn(move || {
                inner.close();
                drop(inner);
                let _ = done.send(());
            });
        if closer.is_ok() {
            let _ = ended.await;
        }
    }

    /// Waits until the store takes no more work. For whoever waits for something new: there will be nothing.
    pub async fn closed(&self) {
        self.inner.jobs().closed().await;
    }

    /// What the store has done so far.
    pub fn statistics(&self) -> Statistics {
        let inner = &self.inner;
        let free = inner.jobs().capacity();
        Statistics {
            checkpoints: inner.gate.done(),
            queued: inner.queue_max.saturating_sub(free) as u64,
            ..inner.shared.statistics()
        }
    }
}

/// What differs between a store in a file and one in memory.
struct Parts {
    db: Arc<Mutex<Connection>>,
    sources: Vec<Source>,
    checkpoints: Option<Connection>,
    head: schema::Head,
}

fn prepare(
    writer: &mut Connection,
    path: &Path,
    options: &Options,
) -> Result<(Names, schema::Head), OpenError> {
    schema::ensure(writer, path, &options.name)?;
    let names = view::prepare(writer, &options.views, &options.rebuild)?;
    writer.set_names(names.clone());
    writer.watch_deadline().map_err(|e| OpenError::from_sql(path, &e))?;
    let head = sequencer::head(writer).map_err(|e| OpenError::from_sql(path, &e))?;
    Ok((names, head))
}

/// A checkpoint that fails leaves the log as it is, so nothing is lost yet; but a disk that fails to sync is not
/// to be trusted with the next commit either.
fn checkpoint_failed(error: &souk_sql::Error, exit: &crate::options::Exit) {
    match error.kind() {
        souk_sql::Kind::Sync | souk_sql::Kind::Io => exit(sequencer::EXIT_IO),
        souk_sql::Kind::Constraint
        | souk_sql::Kind::StorageFull
        | souk_sql::Kind::Busy
        | souk_sql::Kind::TooLong
        | souk_sql::Kind::Corrupt
        | souk_sql::Kind::ReadOnly
        | souk_sql::Kind::Statement => tracing::warn!(error = %error, "checkpoint failed"),
    }
}

fn published_after(
    db: &mut Connection,
    publish: Option<Publish>,
    after: u64,
    limit: usize,
) -> Result<Vec<Published>, Fault> {
    let recorded = schema::read_feed(db, after, limit)?;
    for (event, expected) in recorded.iter().zip(after + 1..) {
        if event.feed_seq != Some(expected) {
            return Err(Fault::Broken(format!("the feed has no number {expected}")));
        }
    }
    Ok(recorded.iter().filter_map(|event| Published::of(event, view::published(publish, event))).collect())
}

fn timer_of(row: &Row) -> Timer {
    Timer { key: row.get(0), kind: row.get(1), due: row.get(2), generation: row.get(3), payload: row.get(4) }
}
