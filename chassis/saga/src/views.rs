//! The table of sagas: which are open, which wait for a person, and when each last moved. The runner finds
//! its work here after a start and while running, so there is one path for both.
use crate::Event;
use souk_eventstore::{Recorded, Row, Statement, StreamId, Table, View};
use souk_kernel::Timestamp;

const OPEN: &str = "open";
const ENDED: &str = "ended";

const TABLES: &[Table] = &[Table {
    name: "sagas",
    ddl: "CREATE TABLE {name} (stream TEXT NOT NULL, saga TEXT NOT NULL, status TEXT NOT NULL, \
          step TEXT NOT NULL, reason TEXT NOT NULL, changed BIGINT NOT NULL, since BIGINT NOT NULL, \
          category TEXT NOT NULL, PRIMARY KEY (stream, saga))",
    indexes: &["CREATE INDEX {name}_changed ON {name} (status, category, changed)"],
}];

const INSERT: &str = "INSERT INTO {sagas} (stream, saga, status, step, reason, changed, since, category) \
     VALUES ($1, $2, $3, '', '', $4, $5, $6)";
const UPDATE: &str = "UPDATE {sagas} SET status = $3, step = $4, reason = $5, changed = $6, since = $7 \
     WHERE stream = $1 AND saga = $2";
const WAKE: &str = "UPDATE {sagas} SET changed = $3 WHERE stream = $1 AND saga = $2";
const OPEN_SINCE: &str = "SELECT stream, changed FROM {sagas} WHERE status = $1 AND category = $2 \
     AND changed > $3 ORDER BY changed LIMIT $4";
const LIST: &str = "SELECT stream, saga, step, reason, since FROM {sagas} WHERE status = $1 \
     AND category = $2 AND step >= $3 ORDER BY changed LIMIT $4";
const COUNT_OPEN: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN step <> '' THEN 1 ELSE 0 END), 0) \
     FROM {sagas} WHERE status = $1";

const COUNT_OPEN_OF: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN step <> '' THEN 1 ELSE 0 END), 0) \
     FROM {sagas} WHERE status = $1 AND category = $2";

/// An open saga as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The stream that it is about.
    pub stream: String,
    /// The saga's name.
    pub saga: String,
    /// The step at which it waits for a person; empty while it goes on by itself.
    pub step: String,
    /// Why it waits.
    pub reason: String,
    /// When it last moved.
    pub since: Timestamp,
}

/// The view that a service with sagas registers. `project` decodes the service's own event and hands a
/// saga's event to [`project`].
pub fn view(project: fn(&Recorded, &mut Vec<Statement>)) -> View {
    View { name: "sagas", version: 3, tables: TABLES, project }
}

/// The statements that keep the table when `event` was recorded as `recorded`.
pub fn project(recorded: &Recorded, event: &Event, out: &mut Vec<Statement>) {
    let statement = match event {
        Event::Started { .. } => Statement::new(INSERT)
            .arg(recorded.stream.as_str())
            .arg(event.saga())
            .arg(OPEN)
            .arg(recorded.position.get())
            .arg(recorded.time)
            .arg(recorded.stream.category()),
        Event::Completed { .. } | Event::Undone { .. } | Event::Abandoned { .. } => {
            update(recorded, event, ENDED, "", "")
        }
        Event::NeedsOperator { step, reason, .. } => update(recorded, event, OPEN, step, reason),
        Event::StepDelayed { .. } => return,
        Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. }
        | Event::Intervened { .. } => update(recorded, event, OPEN, "", ""),
    };
    out.push(statement);
}

/// The statement that wakes an open saga for which something else than its own event has changed what is
/// outstanding.
pub fn wake(recorded: &Recorded, saga: &'static str) -> Statement {
    wake_other(recorded, &recorded.stream, saga)
}

/// As [`wake`], for a saga in another stream, which waits for what this event is about. Nothing where there is none.
pub fn wake_other(recorded: &Recorded, stream: &StreamId, saga: &'static str) -> Statement {
    Statement::new(WAKE).arg(stream.as_str()).arg(saga).arg(recorded.position.get())
}

fn update(recorded: &Recorded, event: &Event, status: &'static str, step: &str, reason: &str) -> Statement {
    Statement::new(UPDATE)
        .arg(recorded.stream.as_str())
        .arg(event.saga())
        .arg(status)
        .arg(step)
        .arg(reason)
        .arg(recorded.position.get())
        .arg(recorded.time)
}

/// The open sagas of a category's streams that moved after a position, oldest first: their stream and the
/// position.
pub(crate) fn open_since(category: &'static str, changed: u64, limit: i64) -> Statement {
    Statement::new(OPEN_SINCE).arg(OPEN).arg(category).arg(changed).arg(limit)
}

/// Reads a row of [`open_since`].
pub(crate) fn open_row(row: &Row) -> (String, u64) {
    (row.get(0), row.get::<i64>(1).unsigned_abs())
}

/// The open sagas, or those of them that wait for a person, the longest unmoved first.
pub fn list(category: &'static str, only_stuck: bool, limit: u32) -> Statement {
    // Every name of a step is greater than a space, and the empty one of a saga that goes on is not.
    Statement::new(LIST).arg(OPEN).arg(category).arg(if only_stuck { " " } else { "" }).arg(limit)
}

/// Reads a row of [`list`].
pub fn listed(row: &Row) -> Listed {
    Listed { stream: row.get(0), saga: row.get(1), step: row.get(2), reason: row.get(3), since: row.get(4) }
}

/// As [`count_open`], of one category's streams.
pub(crate) fn count_open_of(category: &'static str) -> Statement {
    Statement::new(COUNT_OPEN_OF).arg(OPEN).arg(category)
}

/// How many sagas are open, and how many of them wait for a person.
pub fn count_open() -> Statement {
    Statement::new(COUNT_OPEN).arg(OPEN)
}
