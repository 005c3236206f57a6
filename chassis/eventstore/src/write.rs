//! Writes what was planned. Nothing is decided here.
use crate::batch::Batch;
use crate::decision::{ClaimOp, ParkOp, TimerOp};
use crate::piece::Plan;
use crate::{Recorded, Work, schema};
use souk_kernel::Timestamp;
use souk_sql::{Connection, Error, Kind, Value};
use std::sync::Arc;

/// Why a piece could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// A view's statement failed: this piece's fault.
    View { view: &'static str, error: Error },
    /// One of the store's own statements failed.
    Own(Error),
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        WriteError::Own(error)
    }
}

/// Writes one piece: the log first, then what belongs to it, then the views.
pub(crate) fn piece(db: &mut Connection, work: &Work, plan: &Plan, now: Timestamp) -> Result<(), WriteError> {
    commit_row(db, work, plan, now)?;
    let seq = plan.commit_seq();
    plan.recorded.iter().try_for_each(|recorded| event(db, recorded, seq))?;
    plan.decision.claims.iter().try_for_each(|op| claim(db, op))?;
    for op in &plan.decision.inbox {
        let mark = &op.mark;
        let args =
            [(&mark.reaction).into(), (&mark.source).into(), (&mark.stream).into(), mark.sequence.into()];
        db.run_constant(schema::SET_MARK, &args)?;
    }
    plan.decision.timers.iter().try_for_each(|op| timer(db, op))?;
    for (name, position) in &plan.decision.checkpoints {
        db.run_constant(schema::SET_CHECKPOINT, &[name.into(), (*position).into()])?;
    }
    plan.decision.parked.iter().try_for_each(|op| park(db, op, now))?;
    for (view, statement) in &plan.statements {
        db.execute(statement).map_err(|error| of_view(view, error))?;
    }
    Ok(())
}

/// A full disk is nobody's fault in particular; anything else that a view's statement meets is the view's.
fn of_view(view: &'static str, error: Error) -> WriteError {
    match error.kind() {
        Kind::Constraint | Kind::Statement => WriteError::View { view, error },
        Kind::StorageFull
        | Kind::Io
        | Kind::Sync
        | Kind::Busy
        | Kind::TooLong
        | Kind::Corrupt
        | Kind::ReadOnly => WriteError::Own(error),
    }
}

fn commit_row(db: &mut Connection, work: &Work, plan: &Plan, now: Timestamp) -> Result<(), Error> {
    let place = |recorded: Option<&Recorded>| Value::from(recorded.map(|recorded| recorded.position.get()));
    let args = [
        plan.commit_seq().into(),
        work.id.text().into(),
        place(plan.recorded.first()),
        place(plan.recorded.last()),
        now.into(),
        (&work.origin.actor).into(),
        (&work.origin.correlation).into(),
        (&work.origin.causation).into(),
        (&work.origin.trace).into(),
    ];
    db.run_constant(schema::ADD_COMMIT, &args).map(drop)
}

fn event(db: &mut Connection, recorded: &Recorded, commit_seq: u64) -> Result<(), Error> {
    let args = [
        recorded.position.get().into(),
        recorded.stream.text().into(),
        recorded.version.into(),
        recorded.kind.as_ref().into(),
        recorded.schema.into(),
        (&recorded.data).into(),
        commit_seq.into(),
        recorded.public_seq.into(),
        recorded.feed_seq.into(),
    ];
    db.run_constant(schema::ADD_EVENT, &args).map(drop)
}

fn claim(db: &mut Connection, op: &ClaimOp) -> Result<(), Error> {
    match op {
        ClaimOp::Hold { scope, key, owner } => {
            db.run_constant(schema::HOLD_CLAIM, &[scope.into(), key.into(), owner.into()])
        }
        ClaimOp::Release { scope, key } => {
            db.run_constant(schema::RELEASE_CLAIM, &[scope.into(), key.into()])
        }
        ClaimOp::Once(once) => {
            let args = [
                (&once.principal).into(),
                (&once.method).into(),
                (&once.key).into(),
                (&once.request_hash).into(),
                (&once.response).into(),
                once.expires.into(),
            ];
            db.run_constant(schema::RECORD_ONCE, &args)
        }
    }
    .map(drop)
}

fn timer(db: &mut Connection, op: &TimerOp) -> Result<(), Error> {
    match op {
        TimerOp::Set(timer) => {
            let args = [
                (&timer.key).into(),
                (&timer.kind).into(),
                timer.due.into(),
                timer.generation.into(),
                (&timer.payload).into(),
            ];
            db.run_constant(schema::SET_TIMER, &args)
        }
        TimerOp::Cancel(key) | TimerOp::Fired { key, .. } => {
            db.run_constant(schema::DROP_TIMER, &[key.into()])
        }
    }
    .map(drop)
}

fn park(db: &mut Connection, op: &ParkOp, now: Timestamp) -> Result<(), Error> {
    match op {
        ParkOp::Park(parked) => {
            let args = [
                (&parked.reaction).into(),
                (&parked.source).into(),
                (&parked.stream).into(),
                parked.sequence.into(),
                (&parked.payload).into(),
                (&parked.reason).into(),
                now.into(),
            ];
            db.run_constant(schema::PARK, &args)
        }
        ParkOp::Unpark { reaction, source, stream, sequence } => {
            let args = [reaction.into(), source.into(), stream.into(), (*sequence).into()];
            db.run_constant(schema::UNPARK, &args)
        }
    }
    .map(drop)
}

/// Takes a lease over: one epoch further.
pub(crate) fn lease(
    db: &mut Connection,
    name: &Arc<str>,
    owner: &Arc<str>,
    expires: Timestamp,
) -> Result<u64, Error> {
    let rows = db.rows_of(schema::TAKE_LEASE, &[name.into(), owner.into(), expires.into()])?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

/// What a batch writes once: where its streams and the log are now, and a little tidying.
pub(crate) fn ending(db: &mut Connection, batch: &Batch, sweep_max: Option<usize>) -> Result<usize, Error> {
    for (stream, facts) in batch.changed() {
        let args = [stream.text().into(), facts.version.into(), facts.public_seq.into()];
        db.run_constant(schema::SET_STREAM, &args)?;
    }
    let head = &batch.head;
    let args = [head.position.into(), head.feed_seq.into(), head.commit_seq.into(), batch.now.into()];
    db.run_constant(schema::SET_HEAD, &args)?;
    match sweep_max {
        Some(rows) => db.run_constant(schema::SWEEP_ONCE, &[batch.now.into(), rows.into()]),
        None => Ok(0),
    }
}
