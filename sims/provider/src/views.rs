//! Which authorisation an operation's key belongs to: how [`FindByKey`](crate::Simulator) finds it.
use crate::domain::{Authorization, Event, Kind};
use souk_eventstore::{Recorded, Statement, Table, View};

const OPERATIONS: Table = Table {
    name: "provider_operations",
    ddl: "CREATE TABLE {name} (key TEXT PRIMARY KEY, authorization_key TEXT NOT NULL, kind TEXT NOT NULL)",
    indexes: &[],
};

const ADD: &str = "INSERT INTO {provider_operations} (key, authorization_key, kind) VALUES ($1, $2, $3) \
                   ON CONFLICT (key) DO NOTHING";

const FIND: &str = "SELECT authorization_key FROM {provider_operations} WHERE key = $1";

/// The provider's read models.
pub fn views() -> Vec<View> {
    vec![View { name: "operations", version: 1, tables: &[OPERATIONS], project }]
}

/// The key of the authorisation to which the operation with this key belongs.
pub(crate) fn find(key: &str) -> Statement {
    Statement::new(FIND).arg(key)
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
        Event::AttemptFailed(_) | Event::NotificationDue(_) => return,
    };
    let (key, kind) = operation;
    out.push(Statement::new(ADD).arg(key).arg(recorded.stream.id()).arg(kind.name()));
}
