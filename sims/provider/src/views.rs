//! Which authorisation an operation's key belongs to, and when it had its outcome: how
//! [`FindByKey`](crate::Simulator) finds it and the report of a day lists it.
use crate::domain::{Authorization, Event, Kind};
use souk_eventstore::{Recorded, Statement, Table, View};
use souk_kernel::Timestamp;

const OPERATIONS: Table = Table {
    name: "provider_operations",
    ddl: "CREATE TABLE {name} (key TEXT PRIMARY KEY, authorization_key TEXT NOT NULL, kind TEXT NOT NULL, \
          settled_us BIGINT NOT NULL)",
    indexes: &["CREATE INDEX {name}_settled ON {name} (settled_us, key)"],
};

/// A refund that was on its way is of the day on which it came to its end.
const ADD: &str = "INSERT INTO {provider_operations} (key, authorization_key, kind, settled_us) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO UPDATE SET settled_us = excluded.settled_us";

const FIND: &str = "SELECT authorization_key FROM {provider_operations} WHERE key = $1";

const OF_TIME: &str = "SELECT key, authorization_key, settled_us FROM {provider_operations} \
                       WHERE settled_us >= $1 AND settled_us < $2 AND (settled_us > $3 OR key > $4) \
                       ORDER BY settled_us, key LIMIT $5";

/// How many operations a page of the report has.
pub(crate) const PAGE: usize = 500;

/// The provider's read models.
pub fn views() -> Vec<View> {
    vec![View { name: "operations", version: 2, tables: &[OPERATIONS], project }]
}

/// The key of the authorisation to which the operation with this key belongs.
pub(crate) fn find(key: &str) -> Statement {
    Statement::new(FIND).arg(key)
}

/// The next page of operations with an outcome from `from` on and before `to`; those up to `after` were seen.
pub(crate) fn of_time(from: Timestamp, to: Timestamp, after: (Timestamp, &str)) -> Statement {
    let (settled, key) = after;
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
    // What is of the same moment as the last one seen comes again unless its key is greater.
    let from = from.max(settled);
    Statement::new(OF_TIME).arg(from).arg(to).arg(settled).arg(key).arg(limit)
}

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Authorization>() else { return };
    let operation = match event.as_ref() {
        Event::Authorized(e) => (&e.key, Kind::Authorize),
        Event::AuthorizationDeclined(e) => (&e.key, Kind::Authorize),
        Event::ActionRequired(e) => (&e.key, Kind::Authorize),
        Event::Captured(e) => (&e.key, Kind::Capture),
        Event::CaptureDeclined(e) => (&e.key, Kind::Capture),
        Event::Voided(e) => (&e.key, Kind::Void),
        Event::VoidDeclined(e) => (&e.key, Kind::Void),
        Event::Refunded(e) | Event::RefundPending(e) => (&e.key, Kind::Refund),
        Event::RefundDeclined(e) => (&e.key, Kind::Refund),
        Event::Reauthorized(e) => (&e.key, Kind::Reauthorize),
        Event::ReauthorizationDeclined(e) => (&e.key, Kind::Reauthorize),
        Event::AttemptFailed(_) | Event::NotificationDue(_) | Event::NotificationSent(_) => return,
    };
    let (key, kind) = operation;
    let statement = Statement::new(ADD).arg(key).arg(recorded.stream.id()).arg(kind.name());
    out.push(statement.arg(recorded.time));
}
