//! The table of sagas: which are open, which wait for a person, and when each last moved. The runner finds
//! its work here after a start and while running, so there is one path for both.
use crate::Event;
use souk_eventstore::{Recorded, Row, Statement, Table, View};

const OPEN: &str = "open";
const ENDED: &str = "ended";

const TABLES: &[Table] = &[Table {
    name: "sagas",
    ddl: "CREATE TABLE {name} (stream TEXT NOT NULL, saga TEXT NOT NULL, status TEXT NOT NULL, \
          stuck TEXT NOT NULL, changed BIGINT NOT NULL, category TEXT NOT NULL, PRIMARY KEY (stream, saga))",
    indexes: &["CREATE INDEX {name}_changed ON {name} (status, category, changed)"],
}];

/// The view that a service with sagas registers. `project` decodes the service's own event and hands a
/// saga's event to [`project`].
pub fn view(project: fn(&Recorded, &mut Vec<Statement>)) -> View {
    View { name: "sagas", version: 2, tables: TABLES, project }
}

/// The statements that keep the table when `event` was recorded as `recorded`.
pub fn project(recorded: &Recorded, event: &Event, out: &mut Vec<Statement>) {
    let stream = recorded.stream.as_str();
    let position = recorded.position.get();
    let statement = match event {
        Event::Started { .. } => Statement::new(
            "INSERT INTO {sagas} (stream, saga, status, stuck, changed, category) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .arg(stream)
        .arg(event.saga())
        .arg(OPEN)
        .arg("")
        .arg(position)
        .arg(recorded.stream.category()),
        Event::Completed { .. } | Event::Undone { .. } | Event::Abandoned { .. } => {
            update(stream, event.saga(), ENDED, "", position)
        }
        Event::NeedsOperator { step, reason, .. } => {
            update(stream, event.saga(), OPEN, &format!("{step}: {reason}"), position)
        }
        Event::StepDelayed { .. } => return,
        Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. } => update(stream, event.saga(), OPEN, "", position),
    };
    out.push(statement);
}

/// The statement that wakes an open saga for which something else than its own event has changed what is
/// outstanding.
pub fn wake(recorded: &Recorded, saga: &'static str) -> Statement {
    Statement::new("UPDATE {sagas} SET changed = $3 WHERE stream = $1 AND saga = $2")
        .arg(recorded.stream.as_str())
        .arg(saga)
        .arg(recorded.position.get())
}

fn update(stream: &str, saga: &str, status: &'static str, stuck: &str, position: u64) -> Statement {
    Statement::new("UPDATE {sagas} SET status = $3, stuck = $4, changed = $5 WHERE stream = $1 AND saga = $2")
        .arg(stream)
        .arg(saga)
        .arg(status)
        .arg(stuck)
        .arg(position)
}

/// The open sagas of a category's streams that moved after a position, oldest first: their stream and the
/// position.
pub(crate) fn open_since(category: &'static str, changed: u64, limit: i64) -> Statement {
    Statement::new(
        "SELECT stream, changed FROM {sagas} WHERE status = $1 AND category = $2 AND changed > $3 \
         ORDER BY changed LIMIT $4",
    )
    .arg(OPEN)
    .arg(category)
    .arg(changed)
    .arg(limit)
}

/// Reads a row of [`open_since`].
pub(crate) fn open_row(row: &Row) -> (String, u64) {
    (row.get(0), row.get::<i64>(1).unsigned_abs())
}

/// How many sagas are open, and how many of them wait for a person.
pub fn count_open() -> Statement {
    Statement::new("SELECT COUNT(*), COALESCE(SUM(CASE WHEN stuck <> '' THEN 1 ELSE 0 END), 0) FROM {sagas} WHERE status = $1").arg(OPEN)
}
