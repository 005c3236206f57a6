//! The read models: inboxes and what is in them, preferences without addresses, endpoints without secrets, and
//! deliveries with the moment at which each is due. What is to be sent is a question to the last one.
use crate::domain::delivery::{DeliveryQueued, Target};
use crate::domain::endpoint::EndpointCreated;
use crate::domain::inbox::{Inbox, Notified};
use crate::domain::preferences::Wishes;
use crate::domain::{
    Category, Delivery, DeliveryEvent, DeliveryId, Endpoint, EndpointEvent, EndpointId, Facts, InboxEvent,
    NotificationId, Preferences, PreferencesEvent,
};
use souk_eventstore::{Recorded, Row, Statement, Table, View};
use souk_kernel::Timestamp;
use std::sync::Arc;

const INBOXES: Table = Table {
    name: "inboxes",
    ddl: "CREATE TABLE {name} (subject TEXT PRIMARY KEY, last BIGINT NOT NULL, read_up_to BIGINT NOT NULL)",
    indexes: &[],
};

const NOTIFICATIONS: Table = Table {
    name: "notifications",
    ddl: "CREATE TABLE {name} (subject TEXT NOT NULL, sequence BIGINT NOT NULL, notification_id TEXT NOT NULL, \
          template TEXT NOT NULL, version BIGINT NOT NULL, facts TEXT NOT NULL, told_at BIGINT NOT NULL, \
          unread BIGINT NOT NULL, PRIMARY KEY (subject, sequence))",
    indexes: &[
        "CREATE UNIQUE INDEX {name}_id ON {name} (notification_id)",
        "CREATE INDEX {name}_unread ON {name} (subject, unread, sequence)",
    ],
};

const PREFERENCES: Table = Table {
    name: "preferences",
    ddl: "CREATE TABLE {name} (subject TEXT PRIMARY KEY, has_address BIGINT NOT NULL, \
          email_off BIGINT NOT NULL, muted TEXT NOT NULL, forgotten BIGINT NOT NULL)",
    indexes: &[],
};

const ENDPOINTS: Table = Table {
    name: "endpoints",
    ddl: "CREATE TABLE {name} (endpoint_id TEXT PRIMARY KEY, types TEXT NOT NULL, enabled BIGINT NOT NULL)",
    indexes: &[],
};

const DELIVERIES: Table = Table {
    name: "deliveries",
    ddl: "CREATE TABLE {name} (delivery_id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, what TEXT NOT NULL, \
          status TEXT NOT NULL, attempts BIGINT NOT NULL, result TEXT NOT NULL, queued_at BIGINT NOT NULL, \
          due_at BIGINT NOT NULL)",
    indexes: &[
        "CREATE INDEX {name}_due ON {name} (due_at)",
        "CREATE INDEX {name}_endpoint ON {name} (endpoint_id, queued_at, delivery_id)",
    ],
};

const TELL: &str = "INSERT INTO {notifications} \
    (subject, sequence, notification_id, template, version, facts, told_at, unread) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, 1)";
const ADVANCE: &str = "INSERT INTO {inboxes} (subject, last, read_up_to) VALUES ($1, $2, 0) \
    ON CONFLICT (subject) DO UPDATE SET last = excluded.last";
const READ_UP_TO: &str = "UPDATE {inboxes} SET read_up_to = $2 WHERE subject = $1";
const READ_RANGE: &str =
    "UPDATE {notifications} SET unread = 0 WHERE subject = $1 AND unread = 1 AND sequence <= $2";
const READ_ONE: &str = "UPDATE {notifications} SET unread = 0 WHERE subject = $1 AND sequence = $2";
const CHOOSE: &str = "INSERT INTO {preferences} (subject, has_address, email_off, muted, forgotten) VALUES ($1, 0, $2, $3, 0) \
    ON CONFLICT (subject) DO UPDATE SET email_off = excluded.email_off, muted = excluded.muted";
const ADDRESS: &str = "INSERT INTO {preferences} (subject, has_address, email_off, muted, forgotten) VALUES ($1, $2, 0, '', 0) \
    ON CONFLICT (subject) DO UPDATE SET has_address = excluded.has_address";
const FORGET: &str = "INSERT INTO {preferences} (subject, has_address, email_off, muted, forgotten) \
    VALUES ($1, 0, 0, '', 1) ON CONFLICT (subject) DO UPDATE SET has_address = 0, forgotten = 1";
const REGISTER: &str = "INSERT INTO {endpoints} (endpoint_id, types, enabled) VALUES ($1, $2, 1)";
const ENABLE: &str = "UPDATE {endpoints} SET enabled = $2 WHERE endpoint_id = $1";
const QUEUE: &str = "INSERT INTO {deliveries} \
    (delivery_id, endpoint_id, what, status, attempts, result, queued_at, due_at) \
    VALUES ($1, $2, $3, 'QUEUED', 0, '', $4, $4)";
const QUEUE_AGAIN: &str = "UPDATE {deliveries} SET status = 'QUEUED', due_at = $2 WHERE delivery_id = $1";
const TRY: &str =
    "UPDATE {deliveries} SET status = 'SENDING', attempts = $2, due_at = 0 WHERE delivery_id = $1";
const END_TRY: &str = "UPDATE {deliveries} SET status = $2, result = $3, due_at = $4 WHERE delivery_id = $1";

const INBOX: &str = "SELECT last, read_up_to FROM {inboxes} WHERE subject = $1";
const UNREAD: &str = "SELECT COUNT(*) FROM {notifications} WHERE subject = $1 AND unread = 1";
const AFTER: &str = "SELECT sequence, notification_id, template, version, facts, told_at, unread \
    FROM {notifications} WHERE subject = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
const BEFORE: &str = "SELECT sequence, notification_id, template, version, facts, told_at, unread \
    FROM {notifications} WHERE subject = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";
const UNREAD_BEFORE: &str = "SELECT sequence, notification_id, template, version, facts, told_at, unread \
    FROM {notifications} WHERE subject = $1 AND unread = 1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";
const UNREAD_ONE: &str =
    "SELECT sequence FROM {notifications} WHERE notification_id = $1 AND subject = $2 AND unread = 1";
const TOLD: &str = "SELECT COUNT(*) FROM {notifications} WHERE notification_id = $1";
const WISHES: &str = "SELECT has_address, email_off, muted, forgotten FROM {preferences} WHERE subject = $1";
const LISTENING: &str =
    "SELECT endpoint_id, types FROM {endpoints} WHERE enabled = 1 ORDER BY endpoint_id LIMIT $1";
const ALL_ENDPOINTS: &str = "SELECT endpoint_id FROM {endpoints} ORDER BY endpoint_id LIMIT $1";
const DUE: &str =
    "SELECT delivery_id FROM {deliveries} WHERE due_at <= $1 ORDER BY due_at, delivery_id LIMIT $2";
const NEXT_DUE: &str = "SELECT MIN(due_at) FROM {deliveries} WHERE due_at > $1";
const LOG: &str = "SELECT delivery_id, endpoint_id, what, status, attempts, result, queued_at, due_at \
    FROM {deliveries} WHERE endpoint_id = $1 AND (queued_at < $2 OR (queued_at = $2 AND delivery_id < $3)) \
    ORDER BY queued_at DESC, delivery_id DESC LIMIT $4";
const ONE: &str = "SELECT delivery_id, endpoint_id, what, status, attempts, result, queued_at, due_at \
    FROM {deliveries} WHERE delivery_id = $1";

/// When nothing is due any more.
const NEVER: i64 = i64::MAX;
/// What separates the words of a list in a column.
const COMMA: char = ',';

/// All read models of the service.
pub fn views() -> Vec<View> {
    vec![
        View { name: "inboxes", version: 1, tables: &[INBOXES, NOTIFICATIONS], project: project_inboxes },
        View { name: "preferences", version: 1, tables: &[PREFERENCES], project: project_preferences },
        View { name: "endpoints", version: 1, tables: &[ENDPOINTS], project: project_endpoints },
        View { name: "deliveries", version: 1, tables: &[DELIVERIES], project: project_deliveries },
    ]
}

fn project_inboxes(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Inbox>() else { return };
    let subject = recorded.stream.id();
    match event.as_ref() {
        InboxEvent::Notified(notified) => {
            out.push(told(recorded, notified));
            out.push(Statement::new(ADVANCE).arg(subject).arg(notified.sequence));
        }
        InboxEvent::ReadUpTo(read) => {
            out.push(Statement::new(READ_RANGE).arg(subject).arg(read.sequence));
            out.push(Statement::new(READ_UP_TO).arg(subject).arg(read.sequence));
        }
        InboxEvent::ReadSome(read) => {
            out.extend(read.sequences.iter().map(|n| Statement::new(READ_ONE).arg(subject).arg(*n)));
        }
    }
}

fn told(recorded: &Recorded, notified: &Notified) -> Statement {
    let facts = serde_json::to_string(&notified.facts).expect("a map of texts can always be written");
    Statement::new(TELL)
        .arg(recorded.stream.id())
        .arg(notified.sequence)
        .arg(notified.notification_id.to_string())
        .arg(&notified.template)
        .arg(notified.version)
        .arg(facts)
        .arg(recorded.time)
}

fn project_preferences(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Preferences>() else { return };
    let subject = recorded.stream.id();
    let address = |known: bool| Statement::new(ADDRESS).arg(subject).arg(known);
    out.push(match event.as_ref() {
        PreferencesEvent::PreferencesChanged(changed) => {
            let muted: Vec<&str> = changed.muted.iter().map(|category| category.name()).collect();
            Statement::new(CHOOSE).arg(subject).arg(!changed.email_enabled).arg(muted.join(","))
        }
        PreferencesEvent::AddressSet(_) => address(true),
        PreferencesEvent::AddressForgotten(_) => address(false),
        PreferencesEvent::PersonForgotten(_) => Statement::new(FORGET).arg(subject),
    });
}

fn project_endpoints(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Endpoint>() else { return };
    let enable = |on: bool| Statement::new(ENABLE).arg(recorded.stream.id()).arg(on);
    match event.as_ref() {
        EndpointEvent::EndpointCreated(created) => out.push(registered(created)),
        EndpointEvent::EndpointDisabled(_) => out.push(enable(false)),
        EndpointEvent::EndpointEnabled(_) => out.push(enable(true)),
        EndpointEvent::SecretRotated(_)
        | EndpointEvent::DeliveryGivenUp(_)
        | EndpointEvent::EndpointRecovered(_) => {}
    }
}

fn registered(created: &EndpointCreated) -> Statement {
    let types: Vec<&str> = created.types.iter().map(AsRef::as_ref).collect();
    Statement::new(REGISTER).arg(created.endpoint_id.to_string()).arg(types.join(","))
}

fn project_deliveries(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Delivery>() else { return };
    let id = recorded.stream.id();
    let end = |status: &str, result: &str, due_us: i64| {
        Statement::new(END_TRY).arg(id).arg(status).arg(result).arg(due_us)
    };
    out.push(match event.as_ref() {
        DeliveryEvent::DeliveryQueued(queued) => queued_row(queued),
        DeliveryEvent::AttemptStarted(started) => Statement::new(TRY).arg(id).arg(started.attempt),
        DeliveryEvent::AttemptFailed(failed) => end("FAILED", &failed.result, failed.next_at.unix_us()),
        DeliveryEvent::DeliveryDone(done) => end("DELIVERED", &done.result, NEVER),
        DeliveryEvent::DeliveryDead(dead) => end("DEAD", &dead.result, NEVER),
        DeliveryEvent::DeliverySuppressed(suppressed) => end("SUPPRESSED", &suppressed.reason, NEVER),
        DeliveryEvent::RedeliveryRequested(asked) => Statement::new(QUEUE_AGAIN).arg(id).arg(asked.at),
    });
}

fn queued_row(queued: &DeliveryQueued) -> Statement {
    let endpoint = match &queued.target {
        Target::Email { .. } => String::new(),
        Target::Webhook { endpoint_id, .. } => endpoint_id.to_string(),
    };
    Statement::new(QUEUE).arg(queued.delivery_id.to_string()).arg(endpoint).arg(&queued.what).arg(queued.at)
}

/// How far a person's inbox is.
pub fn inbox(subject: &str) -> Statement {
    Statement::new(INBOX).arg(subject)
}

/// Reads the rows of [`inbox`].
pub fn inbox_of(rows: &[Row]) -> Inbox {
    let number = |row: &Row, i| row.get::<i64>(i).unsigned_abs();
    rows.first().map_or_else(Inbox::default, |row| Inbox { last: number(row, 0), read_up_to: number(row, 1) })
}

/// How many notifications of a person are unread.
pub fn unread(subject: &str) -> Statement {
    Statement::new(UNREAD).arg(subject)
}

/// Reads the row of a count.
pub fn count_of(rows: &[Row]) -> u64 {
    rows.first().map_or(0, |row| row.get::<i64>(0).unsigned_abs())
}

/// A person's notifications after a number, oldest first.
pub fn after(subject: &str, sequence: u64, limit: usize) -> Statement {
    Statement::new(AFTER).arg(subject).arg(sequence).arg(limit)
}

/// A person's notifications before a number, newest first.
pub fn before(subject: &str, sequence: Option<u64>, unread_only: bool, limit: usize) -> Statement {
    let sequence = sequence.map_or(NEVER, |n| i64::try_from(n).unwrap_or(NEVER));
    Statement::new(if unread_only { UNREAD_BEFORE } else { BEFORE }).arg(subject).arg(sequence).arg(limit)
}

/// A notification as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub sequence: u64,
    pub notification_id: String,
    pub template: String,
    pub version: u16,
    pub facts: Facts,
    pub told_at: Timestamp,
    pub unread: bool,
}

/// Reads a row of [`after`] or [`before`].
pub fn kept(row: &Row) -> Kept {
    Kept {
        sequence: row.get::<i64>(0).unsigned_abs(),
        notification_id: row.text(1).to_owned(),
        template: row.text(2).to_owned(),
        version: u16::try_from(row.get::<i64>(3)).unwrap_or_default(),
        facts: serde_json::from_str(row.text(4)).unwrap_or_default(),
        told_at: Timestamp::from_unix_us(row.get(5)),
        unread: row.get::<i64>(6) != 0,
    }
}

/// The number of a person's notification, if it is unread.
pub fn unread_one(id: NotificationId, subject: &str) -> Statement {
    Statement::new(UNREAD_ONE).arg(id.to_string()).arg(subject)
}

/// How often this notification was told: once or never.
pub fn is_told(id: &str) -> Statement {
    Statement::new(TOLD).arg(id)
}

/// What a decision knows of a person's preferences.
pub fn wishes(subject: &str) -> Statement {
    Statement::new(WISHES).arg(subject)
}

/// Reads the rows of [`wishes`].
pub fn wishes_of(rows: &[Row]) -> Wishes {
    let Some(row) = rows.first() else { return Wishes::default() };
    let muted = |category: &Category| row.text(2).split(COMMA).any(|name| name == category.name());
    Wishes {
        has_address: row.get::<i64>(0) != 0,
        email_off: row.get::<i64>(1) != 0,
        muted: Category::ALL.into_iter().filter(muted).collect(),
        forgotten: row.get::<i64>(3) != 0,
    }
}

/// The endpoints that are called.
pub fn listening() -> Statement {
    Statement::new(LISTENING).arg(crate::domain::endpoint::ENDPOINTS_MAX)
}

/// Those rows of [`listening`] that want to hear of `what`.
pub fn listeners(rows: &[Row], what: &str) -> Vec<EndpointId> {
    let wants = |types: &str| types.is_empty() || types.split(COMMA).any(|wanted| wanted == what);
    rows.iter().filter(|row| wants(row.text(1))).filter_map(|row| row.text(0).parse().ok()).collect()
}

/// The ids of all endpoints.
pub fn endpoints() -> Statement {
    Statement::new(ALL_ENDPOINTS).arg(crate::domain::endpoint::ENDPOINTS_MAX)
}

/// Reads a row of [`endpoints`].
pub fn endpoint_of(row: &Row) -> Option<EndpointId> {
    row.text(0).parse().ok()
}

/// What is due by now, attempts without a recorded end first.
pub fn due(now: Timestamp, limit: usize) -> Statement {
    Statement::new(DUE).arg(now).arg(limit)
}

/// Reads a row of [`due`].
pub fn due_of(row: &Row) -> Option<DeliveryId> {
    row.text(0).parse().ok()
}

/// When something is due next, after now.
pub fn next_due(now: Timestamp) -> Statement {
    Statement::new(NEXT_DUE).arg(now)
}

/// Reads the row of [`next_due`].
pub fn next_due_of(rows: &[Row]) -> Option<Timestamp> {
    let due_us = rows.first()?.try_get::<i64>(0)?;
    (due_us < NEVER).then(|| Timestamp::from_unix_us(due_us))
}

/// A line of the delivery log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    pub delivery_id: String,
    pub endpoint_id: String,
    pub what: String,
    pub status: Arc<str>,
    pub attempts: u32,
    pub result: String,
    pub queued_at: Timestamp,
    pub due_at: Option<Timestamp>,
}

/// What was sent to an endpoint before this, newest first.
pub fn log(endpoint: EndpointId, before: Option<(Timestamp, DeliveryId)>, limit: usize) -> Statement {
    let (time, id) = match before {
        Some((time, id)) => (time.unix_us(), id.to_string()),
        None => (NEVER, String::new()),
    };
    Statement::new(LOG).arg(endpoint.to_string()).arg(time).arg(id).arg(limit)
}

/// One line of the log.
pub fn logged_one(id: DeliveryId) -> Statement {
    Statement::new(ONE).arg(id.to_string())
}

/// Reads a row of [`log`].
pub fn logged(row: &Row) -> Logged {
    let due_us: i64 = row.get(7);
    Logged {
        delivery_id: row.text(0).to_owned(),
        endpoint_id: row.text(1).to_owned(),
        what: row.text(2).to_owned(),
        status: row.text(3).into(),
        attempts: u32::try_from(row.get::<i64>(4)).unwrap_or(u32::MAX),
        result: row.text(5).to_owned(),
        queued_at: Timestamp::from_unix_us(row.get(6)),
        due_at: (due_us > 0 && due_us < NEVER).then(|| Timestamp::from_unix_us(due_us)),
    }
}
