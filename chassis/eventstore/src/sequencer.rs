//! The one thread that writes. It takes what has queued up, decides each piece in turn on current facts,
//! writes all of it in one transaction, makes that durable with one sync, and only then answers.
use crate::batch::{Batch, Rules, Taken};
use crate::checkpoint::Gate;
use crate::faults::Injected;
use crate::lease::Wish;
use crate::piece::{Planned, Planner};
use crate::schema::{self, Head};
use crate::shared::{Shared, lock};
use crate::write::{self, WriteError};
use crate::{CommitError, Committed, Fault, Faults, Lease, Position, Work};
use souk_kernel::Timestamp;
use souk_sql::{Connection, Kind, StoreLock};
use souk_telemetry::{crash_point, sometimes};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The exit code of a process whose disk can no longer be trusted.
pub(crate) const EXIT_IO: i32 = 74;
/// The exit code of a process whose sequencer has a defect.
const EXIT_INTERNAL: i32 = 70;
/// Expired idempotency keys are deleted so many at a time …
const SWEEP_MAX: usize = 200;
/// … and so often, unless there are more.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const PAGE_BYTES: u64 = 4_096;

/// What the sequencer is asked for.
pub(crate) enum Job {
    Commit {
        work: Work,
        reply: oneshot::Sender<Result<Committed, CommitError>>,
        injected: Option<Injected>,
    },
    Lease {
        name: Arc<str>,
        owner: Arc<str>,
        ttl: Duration,
        reply: oneshot::Sender<Result<Option<Lease>, Fault>>,
    },
    Stop,
}

/// How a job ended; told to whoever asked once the batch is durable.
enum Outcome {
    Commit(Result<Committed, CommitError>),
    Lease(Result<Option<Lease>, Fault>),
}

/// Why a batch was undone.
enum Undone {
    /// Everybody gets this fault.
    All(Fault),
    /// One piece's statements failed; each piece shall run alone. When it was alone, this is its fault.
    Piece(Fault),
    /// What was written may not be on the disk.
    Lost(String),
}

pub(crate) struct Sequencer {
    pub(crate) db: Arc<Mutex<Connection>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) rules: Rules,
    pub(crate) faults: Faults,
    pub(crate) gate: Gate,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) head: Head,
    pub(crate) batch_max: usize,
    pub(crate) log_bytes_max: u64,
    pub(crate) progress: Progress,
    /// Held as long as the thread lives.
    pub(crate) _lock: Option<StoreLock>,
}

/// What changes from batch to batch.
#[derive(Default)]
pub(crate) struct Progress {
    taken: u64,
    next_sweep: Timestamp,
    log_trigger: u64,
    broken: bool,
}

impl Sequencer {
    /// Works until it is told to stop or every handle is gone; what has queued up by then is still done.
    pub(crate) fn run(mut self) {
        let mut jobs = Vec::with_capacity(self.batch_max);
        while self.jobs.blocking_recv_many(&mut jobs, self.batch_max) > 0 {
            self.guarded(|own| own.turn(&mut jobs));
        }
        self.guarded(Self::end);
    }

    /// The same as a task. Whoever drops it halfway does what a crash does.
    pub(crate) async fn run_inline(mut self) {
        let mut jobs = Vec::with_capacity(self.batch_max);
        while self.jobs.recv_many(&mut jobs, self.batch_max).await > 0 {
            self.guarded(|own| own.turn(&mut jobs));
        }
        self.guarded(Self::end);
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            let what = crate::error::panic_text(&*panic);
            self.progress.broken = true;
            self.jobs.close();
            // Nothing that a half-dead sequencer answers can be trusted.
            let _ = writeln!(std::io::stderr(), "the sequencer has a defect and ends the process: {what}");
            (self.shared.exit)(EXIT_INTERNAL);
        }
    }

    /// One batch of what has queued up.
    fn turn(&mut self, jobs: &mut Vec<Job>) {
        if jobs.iter().any(|job| matches!(job, Job::Stop)) {
            self.jobs.close();
        }
        jobs.retain(|job| !matches!(job, Job::Stop));
        self.inject(jobs);
        self.gate.enter();
        if !jobs.is_empty() && !self.progress.broken {
            let batch = std::mem::take(jobs);
            self.batch(batch);
        }
        // After a failed sync nobody is answered: whoever waits learns that the store is closed.
        jobs.clear();
        let grown = self.log_has_grown();
        self.gate.leave(grown);
    }

    fn end(&mut self) {
        if self.progress.broken {
            return;
        }
        if let Err(error) = lock(&self.db).checkpoint_all() {
            tracing::warn!(error = %error, "log could not be emptied at the end");
        }
    }

    fn inject(&mut self, jobs: &mut [Job]) {
        for job in jobs {
            if let Job::Commit { injected, .. } = job {
                self.progress.taken += 1;
                *injected = self.faults.of(self.progress.taken);
            }
        }
    }

    fn log_has_grown(&mut self) -> bool {
        let bytes = lock(&self.db).log_pages() * PAGE_BYTES;
        self.shared.counters.log_bytes.store(bytes, Ordering::Relaxed);
        let trigger = &mut self.progress.log_trigger;
        if bytes < self.log_bytes_max || *trigger == 0 {
            *trigger = self.log_bytes_max;
        }
        let grown = bytes >= *trigger;
        if grown {
            // While a reader keeps the log from starting over, do not try again after every batch.
            *trigger = bytes + self.log_bytes_max / 4;
        }
        grown
    }

    /// All jobs together; if one of them cannot be written, each alone.
    fn batch(&mut self, jobs: Vec<Job>) {
        let now = self.shared.now();
        match self.together(&jobs, now) {
            Ok(outcomes) => answer(jobs, outcomes),
            Err(Undone::Piece(_)) if jobs.len() > 1 => {
                for job in jobs {
                    if !self.progress.broken {
                        self.alone(job, now);
                    }
                }
            }
            Err(undone) => self.refuse(jobs, undone),
        }
    }

    fn alone(&mut self, job: Job, now: Timestamp) {
        match self.together(std::slice::from_ref(&job), now) {
            Ok(outcomes) => answer(vec![job], outcomes),
            Err(undone) => self.refuse(vec![job], undone),
        }
    }

    fn refuse(&mut self, jobs: Vec<Job>, undone: Undone) {
        let fault = match undone {
            Undone::All(fault) | Undone::Piece(fault) => fault,
            Undone::Lost(what) => return self.break_down(&what),
        };
        tracing::error!(fault = %fault, pieces = jobs.len(), "batch was undone");
        let outcomes = jobs.iter().map(|job| faulty(job, &fault)).collect();
        answer(jobs, outcomes);
    }

    /// Ends the process. What was synced is certain, what was not is not; after a failed sync, nobody can tell
    /// which is which except a process that starts anew and reads what is there.
    fn break_down(&mut self, what: &str) {
        self.progress.broken = true;
        self.jobs.close();
        let _ = writeln!(
            std::io::stderr(),
            "writing the store failed and the process ends, so that it cannot go on from what may not be on \
             the disk: {what}. Check the disk, then start again."
        );
        (self.shared.exit)(EXIT_IO);
    }

    /// One transaction for all jobs.
    fn together(&mut self, jobs: &[Job], now: Timestamp) -> Result<Vec<Outcome>, Undone> {
        let db = Arc::clone(&self.db);
        let mut db = lock(&db);
        let mut batch = Batch::new(self.head, now);
        db.begin_write().map_err(|e| undone(&e))?;
        match self.decide_and_write(&mut db, &mut batch, jobs) {
            Ok(outcomes) => {
                self.adopt(batch);
                Ok(outcomes)
            }
            Err(undone) => match db.rollback() {
                Ok(()) => Err(undone),
                Err(error) => Err(Undone::Lost(format!("a transaction could not be undone: {error}"))),
            },
        }
    }

    fn decide_and_write(
        &mut self,
        db: &mut Connection,
        batch: &mut Batch,
        jobs: &[Job],
    ) -> Result<Vec<Outcome>, Undone> {
        let outcomes: Vec<Outcome> =
            jobs.iter().map(|job| self.job(db, batch, job)).collect::<Result<_, _>>()?;
        if !batch.wrote {
            db.rollback().map_err(|e| undone(&e))?;
            return Ok(outcomes);
        }
        let sweep = (batch.now >= self.progress.next_sweep).then_some(SWEEP_MAX);
        let swept = write::ending(db, batch, sweep).map_err(|e| undone(&e))?;
        injected_before(jobs)?;
        let store = &self.shared.name;
        batch.pieces.iter().for_each(|piece| crash_point!("store.commit.before", "{store}/{piece}"));
        db.commit().map_err(|e| undone_at_commit(&e))?;
        batch.pieces.iter().for_each(|piece| crash_point!("store.commit.after", "{store}/{piece}"));
        if batch.commits > 1 {
            sometimes!("a batch held more than one piece of work");
        }
        if sweep.is_some() && swept < SWEEP_MAX {
            self.progress.next_sweep = batch.now.plus(SWEEP_EVERY);
        }
        Ok(outcomes)
    }

    fn job(&self, db: &mut Connection, batch: &mut Batch, job: &Job) -> Result<Outcome, Undone> {
        match job {
            Job::Commit { work, injected, .. } => {
                self.commit(db, batch, work, *injected).map(Outcome::Commit)
            }
            Job::Lease { name, owner, ttl, .. } => {
                self.lease(db, batch, name, owner, *ttl).map(Outcome::Lease)
            }
            Job::Stop => Ok(Outcome::Lease(Ok(None))),
        }
    }

    fn commit(
        &self,
        db: &mut Connection,
        batch: &mut Batch,
        work: &Work,
        injected: Option<Injected>,
    ) -> Result<Result<Committed, CommitError>, Undone> {
        let mut planner = Planner { db, cache: &self.shared.cache, rules: &self.rules, batch };
        let (plan, committed) = match planner.plan(work) {
            Ok(Planned::Write(plan, committed)) => (plan, committed),
            Ok(Planned::Quiet(committed)) => return Ok(Ok(committed)),
            Err(error) => return Ok(Err(error)),
        };
        if injected == Some(Injected::ViewStatement) {
            return Err(Undone::Piece(Fault::View { view: "(injected)", what: "injected".to_owned() }));
        }
        write::piece(db, work, &plan, batch.now).map_err(|error| match error {
            WriteError::View { view, error } => Undone::Piece(Fault::View { view, what: error.to_string() }),
            WriteError::Own(error) => undone(&error),
        })?;
        plan.note_in(batch);
        Ok(if injected == Some(Injected::AfterCommit) {
            Err(CommitError::Fault(Fault::AnswerLost))
        } else {
            Ok(committed)
        })
    }

    fn lease(
        &self,
        db: &mut Connection,
        batch: &mut Batch,
        name: &Arc<str>,
        owner: &Arc<str>,
        ttl: Duration,
    ) -> Result<Result<Option<Lease>, Fault>, Undone> {
        if let Some(taken) = batch.leases.iter().find(|taken| taken.name == *name) {
            let own = taken.owner == *owner;
            return Ok(Ok(own.then(|| Lease { name: Arc::clone(name), epoch: taken.epoch })));
        }
        match lock(&self.shared.leases).wish(name, owner, batch.now, ttl) {
            Wish::Renewed(lease) => return Ok(Ok(Some(lease))),
            Wish::Held => return Ok(Ok(None)),
            Wish::Free => {}
        }
        let expires = batch.now.plus(ttl);
        let epoch = write::lease(db, name, owner, expires).map_err(|e| undone(&e))?;
        batch.leases.push(Taken { name: Arc::clone(name), owner: Arc::clone(owner), epoch, expires });
        batch.wrote = true;
        Ok(Ok(Some(Lease { name: Arc::clone(name), epoch })))
    }

    /// Takes in what a batch has done, now that it is durable.
    fn adopt(&mut self, mut batch: Batch) {
        if !batch.wrote {
            lock(&self.shared.cache).merge(self.head.position, batch.into_streams());
            return;
        }
        let events = batch.head.position - self.head.position;
        self.head = batch.head;
        let counters = &self.shared.counters;
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.commits.fetch_add(batch.commits, Ordering::Relaxed);
        counters.events.fetch_add(events, Ordering::Relaxed);
        for taken in batch.leases.drain(..) {
            lock(&self.shared.leases).taken(taken);
        }
        lock(&self.shared.tail).extend(std::mem::take(&mut batch.published));
        if let Some(due) = batch.timer_set {
            self.shared.timer_set(due);
        }
        lock(&self.shared.cache).merge(self.head.position, batch.into_streams());
        self.shared.head.send_replace(Position(self.head.position));
    }
}

/// How the head was read; the sequencer begins there.
pub(crate) fn head(db: &mut Connection) -> Result<Head, souk_sql::Error> {
    schema::read_head(db)
}

fn undone(error: &souk_sql::Error) -> Undone {
    match error.kind() {
        Kind::StorageFull => Undone::All(Fault::StorageFull),
        Kind::Sync => Undone::Lost(error.to_string()),
        // One of our own statements disagrees with the tables: find out whose piece it was.
        Kind::Constraint | Kind::Statement => Undone::Piece(Fault::Storage(error.to_string())),
        Kind::Io | Kind::Busy | Kind::TooLong | Kind::Corrupt | Kind::ReadOnly => {
            Undone::All(Fault::Storage(error.to_string()))
        }
    }
}

/// At the commit itself, every failure of the disk leaves open what is on it.
fn undone_at_commit(error: &souk_sql::Error) -> Undone {
    match error.kind() {
        Kind::Io | Kind::Sync | Kind::Corrupt => Undone::Lost(error.to_string()),
        Kind::StorageFull
        | Kind::Constraint
        | Kind::Statement
        | Kind::Busy
        | Kind::TooLong
        | Kind::ReadOnly => undone(error),
    }
}

fn injected_before(jobs: &[Job]) -> Result<(), Undone> {
    for job in jobs {
        let Job::Commit { injected: Some(injected), .. } = job else { continue };
        match injected {
            Injected::BeforeCommit => {
                return Err(Undone::All(Fault::Storage("injected before the commit".to_owned())));
            }
            Injected::StorageFull => return Err(Undone::All(Fault::StorageFull)),
            Injected::Sync => return Err(Undone::Lost("injected".to_owned())),
            Injected::AfterCommit | Injected::ViewStatement => {}
        }
    }
    Ok(())
}

fn faulty(job: &Job, fault: &Fault) -> Outcome {
    match job {
        Job::Commit { .. } => Outcome::Commit(Err(CommitError::Fault(fault.clone()))),
        Job::Lease { .. } | Job::Stop => Outcome::Lease(Err(fault.clone())),
    }
}

/// Tells everybody. Who has gone away in the meantime is not missed: the work is done all the same.
fn answer(jobs: Vec<Job>, outcomes: Vec<Outcome>) {
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        match (job, outcome) {
            (Job::Commit { reply, .. }, Outcome::Commit(outcome)) => drop(reply.send(outcome)),
            (Job::Lease { reply, .. }, Outcome::Lease(outcome)) => drop(reply.send(outcome)),
            (Job::Commit { .. } | Job::Lease { .. } | Job::Stop, _) => {}
        }
    }
}
