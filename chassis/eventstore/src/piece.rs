//! One piece of work inside a batch: gather the facts, decide, check everything, and only then say what is to
//! be written. A piece that is refused here has left nothing behind.
use crate::batch::{Batch, Rules};
use crate::cache::Cache;
use crate::decision::{Append, ClaimOp, InboxOp, TimerOp};
use crate::error::panic_text;
use crate::fold::StreamFacts;
use crate::schema::{self, Head};
use crate::view::published;
use crate::work::{Pair, Read, Triple};
use crate::{
    CommitError, Committed, Decision, Facts, Fault, OnceRecord, Position, Published, Recorded, StreamId, Work,
};
use souk_sql::{Connection, Row, Statement, Value};
use souk_telemetry::{crash, sometimes};
use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Rows that one read of a decision may answer.
const FACT_ROWS_MAX: usize = 10_000;
/// How long one read of a decision may take.
const FACT_TIME_MAX: Duration = Duration::from_secs(1);
/// A stream with so many events should have closed its books.
const STREAM_EVENTS_WARN: u64 = 1_000;

/// What is to be written for a piece.
pub(crate) struct Plan {
    pub(crate) decision: Decision,
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) statements: Vec<(&'static str, Statement)>,
    published: Vec<Published>,
    streams: Vec<(StreamId, StreamFacts)>,
    head: Head,
}

/// How a piece ends when nobody objects.
pub(crate) enum Planned {
    /// Answered without writing.
    Quiet(Committed),
    /// Answered so once this is written.
    Write(Box<Plan>, Committed),
}

pub(crate) struct Planner<'a> {
    pub(crate) db: &'a mut Connection,
    pub(crate) cache: &'a Mutex<Cache>,
    pub(crate) rules: &'a Rules,
    pub(crate) batch: &'a mut Batch,
}

impl Planner<'_> {
    /// Decides and checks. A panic in anybody's rules is this piece's fault alone.
    pub(crate) fn plan(&mut self, work: &Work) -> Result<Planned, CommitError> {
        let planned = catch_unwind(AssertUnwindSafe(|| self.plan_unguarded(work)));
        match planned {
            Ok(planned) => planned,
            Err(panic) => Err(CommitError::Fault(Fault::Panicked(panic_text(&*panic)))),
        }
    }

    fn plan_unguarded(&mut self, work: &Work) -> Result<Planned, CommitError> {
        if let Some(earlier) = self.earlier(work)? {
            sometimes!("a commit was answered from an earlier one");
            return Ok(Planned::Quiet(earlier));
        }
        let facts = self.gather(work)?;
        let decision = match &work.decide {
            Some(decide) => decide(&facts, self.batch.now).map_err(CommitError::Rejected)?,
            None => Decision::new(),
        };
        // Let go of the states, so that appending need not copy them once more.
        let read: Vec<StreamId> = facts.streams.iter().map(|(stream, _)| stream.clone()).collect();
        drop(facts);
        self.check(&decision)?;
        let writes = decision.writes();
        let plan = self.append(work, decision)?;
        let committed = self.answer(&plan, read)?;
        Ok(if writes { Planned::Write(Box::new(plan), committed) } else { Planned::Quiet(committed) })
    }

    /// The answer of an earlier commit with the same id. The states are the current ones.
    fn earlier(&mut self, work: &Work) -> Result<Option<Committed>, CommitError> {
        let rows = self.db.rows_of(schema::FIND_COMMIT, &[work.id.text().into()])?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut streams = Vec::new();
        for read in &work.reads {
            if let Read::Stream(stream, fold) = read {
                streams.push((stream.clone(), self.batch.stream(self.db, self.cache, stream, Some(fold))?));
            }
        }
        let place = |i| row.get::<Option<u64>>(i).map(Position);
        Ok(Some(Committed { first: place(0), last: place(1), time: row.get(2), replayed: true, streams }))
    }

    fn gather(&mut self, work: &Work) -> Result<Facts, CommitError> {
        let mut facts = Facts::default();
        for read in &work.reads {
            match read {
                Read::Stream(stream, fold) => {
                    let known = self.batch.stream(self.db, self.cache, stream, Some(fold))?;
                    facts.streams.retain(|(other, _)| other != stream);
                    facts.streams.push((stream.clone(), known));
                }
                Read::Rows(label, statement) => {
                    facts.rows.push((label.clone(), self.rows(statement)?));
                }
                Read::Claim(claim) => facts.claims.push((claim.clone(), self.owner(claim)?)),
                Read::Once(key) => facts.once.push((key.clone(), self.once(key)?)),
                Read::Inbox(key) => facts.inbox.push((key.clone(), self.mark(key)?)),
            }
        }
        Ok(facts)
    }

    /// Everybody waits for the sequencer, so a slow statement is refused rather than waited for.
    fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, CommitError> {
        self.db.set_deadline(Some(Instant::now() + FACT_TIME_MAX));
        let rows = self.db.query_limited(statement, FACT_ROWS_MAX);
        self.db.set_deadline(None);
        Ok(rows?)
    }

    fn owner(&mut self, (scope, key): &Pair) -> Result<Option<Arc<str>>, CommitError> {
        let rows = self.db.rows_of(schema::FIND_CLAIM, &[scope.into(), key.into()])?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    fn once(&mut self, (principal, method, key): &Triple) -> Result<Option<OnceRecord>, CommitError> {
        let args = [principal.into(), method.into(), key.into(), self.batch.now.into()];
        let rows = self.db.rows_of(schema::FIND_ONCE, &args)?;
        Ok(rows.first().map(|row| OnceRecord { request_hash: row.get(0), response: row.get(1) }))
    }

    fn mark(&mut self, (reaction, source, stream): &Triple) -> Result<u64, CommitError> {
        let rows = self.db.rows_of(schema::FIND_MARK, &[reaction.into(), source.into(), stream.into()])?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// Everything that a decision expects of the world, except of the streams that it appends to.
    fn check(&mut self, decision: &Decision) -> Result<(), CommitError> {
        for fence in &decision.fences {
            let rows = self.db.rows_of(schema::FIND_LEASE, &[(&fence.lease).into()])?;
            if rows.first().map(|row| row.get::<u64>(0)) != Some(fence.epoch) {
                return Err(CommitError::Fenced);
            }
        }
        for (stream, expected) in &decision.guards {
            let actual = self.batch.stream(self.db, self.cache, stream, None)?.version;
            if !expected.holds(actual) {
                return Err(CommitError::Conflict { stream: stream.clone(), expected: *expected, actual });
            }
        }
        self.check_claims(&decision.claims)?;
        self.check_inbox(&decision.inbox)?;
        self.check_timers(&decision.timers)
    }

    fn check_claims(&mut self, ops: &[ClaimOp]) -> Result<(), CommitError> {
        let mut planned: HashMap<Pair, Option<Arc<str>>> = HashMap::new();
        for op in ops {
            match op {
                ClaimOp::Hold { scope, key, owner } => {
                    let claim = (Arc::clone(scope), Arc::clone(key));
                    let holder = match planned.get(&claim) {
                        Some(holder) => holder.clone(),
                        None => self.owner(&claim)?,
                    };
                    if let Some(holder) = holder.filter(|holder| holder != owner) {
                        return Err(CommitError::ClaimTaken { scope: claim.0, key: claim.1, owner: holder });
                    }
                    planned.insert(claim, Some(Arc::clone(owner)));
                }
                ClaimOp::Release { scope, key } => {
                    planned.insert((Arc::clone(scope), Arc::clone(key)), None);
                }
                ClaimOp::Once(once) => {
                    let key = (Arc::clone(&once.principal), Arc::clone(&once.method), Arc::clone(&once.key));
                    if self.once(&key)?.is_some() {
                        return Err(CommitError::ClaimTaken { scope: key.1, key: key.2, owner: key.0 });
                    }
                }
            }
        }
        Ok(())
    }

    fn check_inbox(&mut self, ops: &[InboxOp]) -> Result<(), CommitError> {
        let mut planned: HashMap<Triple, u64> = HashMap::new();
        for InboxOp { mark, first } in ops {
            let key = (Arc::clone(&mark.reaction), Arc::clone(&mark.source), Arc::clone(&mark.stream));
            let current = match planned.get(&key) {
                Some(current) => *current,
                None => self.mark(&key)?,
            };
            if let Some(error) = CommitError::inbox(mark, first.unwrap_or(0), current) {
                return Err(error);
            }
            planned.insert(key, mark.sequence);
        }
        Ok(())
    }

    fn check_timers(&mut self, ops: &[TimerOp]) -> Result<(), CommitError> {
        let mut planned: HashMap<&Arc<str>, Option<u64>> = HashMap::new();
        for op in ops {
            match op {
                TimerOp::Set(timer) => {
                    planned.insert(&timer.key, Some(timer.generation));
                }
                TimerOp::Cancel(key) => {
                    planned.insert(key, None);
                }
                TimerOp::Fired { key, generation } => {
                    let current = match planned.get(key) {
                        Some(current) => *current,
                        None => self.timer(key)?,
                    };
                    if current != Some(*generation) {
                        return Err(CommitError::TimerGone);
                    }
                    planned.insert(key, None);
                }
            }
        }
        Ok(())
    }

    fn timer(&mut self, key: &Arc<str>) -> Result<Option<u64>, CommitError> {
        let rows = self.db.rows_of(schema::FIND_TIMER, &[Value::from(key)])?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Checks and carries out the appends, on copies: positions, versions, states, what is published and what
    /// the views make of it.
    fn append(&mut self, work: &Work, decision: Decision) -> Result<Plan, CommitError> {
        let mut plan = Plan {
            decision: Decision::new(),
            recorded: Vec::new(),
            statements: Vec::new(),
            published: Vec::new(),
            streams: Vec::new(),
            head: self.batch.head,
        };
        for append in &decision.appends {
            let mut facts = match plan.streams.iter().position(|(stream, _)| *stream == append.stream) {
                Some(at) => plan.streams.swap_remove(at).1,
                None => self.batch.stream(self.db, self.cache, &append.stream, None)?,
            };
            if !append.expected.holds(facts.version) {
                let (stream, expected) = (append.stream.clone(), append.expected);
                return Err(CommitError::Conflict { stream, expected, actual: facts.version });
            }
            if append.events.is_empty() {
                continue;
            }
            self.record(work, append, &mut facts, &mut plan);
            facts.append(&append.events);
            plan.streams.push((append.stream.clone(), facts));
        }
        if decision.writes() {
            plan.head.commit_seq += 1;
        }
        plan.head.time = self.batch.now;
        plan.decision = decision;
        Ok(plan)
    }

    fn record(&self, work: &Work, append: &Append, facts: &mut StreamFacts, plan: &mut Plan) {
        for (event, version) in append.events.iter().zip(facts.version + 1..) {
            plan.head.position += 1;
            let mut recorded = Recorded {
                position: Position(plan.head.position),
                stream: append.stream.clone(),
                version,
                commit: work.id.clone(),
                time: self.batch.now,
                kind: Cow::Borrowed(event.kind),
                schema: event.schema,
                data: Arc::clone(&event.data),
                actor: Arc::clone(&work.origin.actor),
                correlation: Arc::clone(&work.origin.correlation),
                causation: Arc::clone(&work.origin.causation),
                trace: Arc::clone(&work.origin.trace),
                public_seq: None,
                feed_seq: None,
                typed: Some(Arc::clone(&event.typed)),
            };
            if let Some(public) = published(self.rules.publish, &recorded) {
                facts.public_seq += 1;
                plan.head.feed_seq += 1;
                recorded.public_seq = Some(facts.public_seq);
                recorded.feed_seq = Some(plan.head.feed_seq);
                plan.published.extend(Published::of(&recorded, Some(public)));
            }
            self.project(&recorded, &mut plan.statements);
            if version == STREAM_EVENTS_WARN {
                tracing::warn!(
                    category = recorded.stream.category(),
                    events = version,
                    "stream should close its books"
                );
            }
            plan.recorded.push(recorded);
        }
    }

    fn project(&self, recorded: &Recorded, statements: &mut Vec<(&'static str, Statement)>) {
        let mut of_view = Vec::new();
        for view in &self.rules.views {
            (view.project)(recorded, &mut of_view);
            statements.extend(of_view.drain(..).map(|statement| (view.name, statement)));
        }
    }

    /// The answer: places, and the states after the commit of all streams that were read or appended to.
    fn answer(&mut self, plan: &Plan, read: Vec<StreamId>) -> Result<Committed, CommitError> {
        let mut streams = plan.streams.clone();
        for stream in read {
            if !streams.iter().any(|(known, _)| *known == stream) {
                let facts = self.batch.stream(self.db, self.cache, &stream, None)?;
                streams.push((stream, facts));
            }
        }
        let place = |recorded: Option<&Recorded>| recorded.map(|recorded| recorded.position);
        Ok(Committed {
            first: place(plan.recorded.first()),
            last: place(plan.recorded.last()),
            time: self.batch.now,
            replayed: false,
            streams,
        })
    }
}

impl Plan {
    /// Tells the batch what the piece has done, once it is written.
    pub(crate) fn note_in(self, batch: &mut Batch) {
        batch.head = self.head;
        batch.commits += 1;
        batch.wrote = true;
        if crash::is_armed() {
            let first = self.recorded.first();
            batch.pieces.push(first.map_or(Cow::Borrowed("no event"), |recorded| recorded.kind.clone()));
        }
        batch.published.extend(self.published);
        for (stream, facts) in self.streams {
            batch.change(stream, facts);
        }
        for op in &self.decision.timers {
            if let TimerOp::Set(timer) = op {
                batch.timer_set = Some(batch.timer_set.map_or(timer.due, |due| due.min(timer.due)));
            }
        }
    }

    /// The number of this commit.
    pub(crate) fn commit_seq(&self) -> u64 {
        self.head.commit_seq
    }
}
