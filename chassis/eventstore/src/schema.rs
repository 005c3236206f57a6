//! The store's own tables and statements, and how rows become values.
use crate::{CommitId, Fault, Parked, ParkedKey, Position, Recorded, StreamId};
use souk_decider::DecodeError;
use souk_kernel::Timestamp;
use souk_sql::{Connection, Error, OpenError, Row, Statement, Store, Value, dialect};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// What marks a file as a store of ours, and the newest schema that this release knows.
pub(crate) const STORE: Store = Store { application: 0x534F_554B, schema: 1 };

const COUNTED: &[&str] = &[
    "CREATE TABLE log_head (id BIGINT PRIMARY KEY, position BIGINT NOT NULL, feed_seq BIGINT NOT NULL,
       commit_seq BIGINT NOT NULL, time BIGINT NOT NULL)",
    "CREATE TABLE commits (seq BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, first_position BIGINT,
       last_position BIGINT, time BIGINT NOT NULL, actor TEXT NOT NULL, correlation TEXT NOT NULL,
       causation TEXT NOT NULL, trace TEXT NOT NULL)",
    "CREATE TABLE events (position BIGINT PRIMARY KEY, stream TEXT NOT NULL, version BIGINT NOT NULL,
       kind TEXT NOT NULL, schema BIGINT NOT NULL, data TEXT NOT NULL, commit_seq BIGINT NOT NULL,
       public_seq BIGINT, feed_seq BIGINT, UNIQUE (stream, version))",
    "CREATE UNIQUE INDEX events_by_feed ON events (feed_seq) WHERE feed_seq IS NOT NULL",
];

const KEYED: &[&str] = &[
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE streams (stream TEXT PRIMARY KEY, version BIGINT NOT NULL, public_seq BIGINT NOT NULL)",
    "CREATE TABLE claims (scope TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (scope, key))",
    "CREATE TABLE once (principal TEXT NOT NULL, method TEXT NOT NULL, key TEXT NOT NULL,
       request_hash TEXT NOT NULL, response TEXT NOT NULL, expires BIGINT NOT NULL,
       PRIMARY KEY (principal, method, key))",
    "CREATE TABLE inbox (reaction TEXT NOT NULL, source TEXT NOT NULL, stream TEXT NOT NULL,
       sequence BIGINT NOT NULL, PRIMARY KEY (reaction, source, stream))",
    "CREATE TABLE timers (key TEXT PRIMARY KEY, kind TEXT NOT NULL, due BIGINT NOT NULL,
       generation BIGINT NOT NULL, payload TEXT NOT NULL)",
    "CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, epoch BIGINT NOT NULL,
       expires BIGINT NOT NULL)",
    "CREATE TABLE checkpoints (name TEXT PRIMARY KEY, position BIGINT NOT NULL)",
    "CREATE TABLE parked (reaction TEXT NOT NULL, source TEXT NOT NULL, stream TEXT NOT NULL,
       sequence BIGINT NOT NULL, payload TEXT NOT NULL, reason TEXT NOT NULL, time BIGINT NOT NULL,
       PRIMARY KEY (reaction, source, stream, sequence))",
    "CREATE TABLE views (name TEXT PRIMARY KEY, version BIGINT NOT NULL, generation BIGINT NOT NULL,
       definition TEXT NOT NULL, tables TEXT NOT NULL)",
];

const INDEXES: &[&str] =
    &["CREATE INDEX once_by_expiry ON once (expires)", "CREATE INDEX timers_by_due ON timers (due)"];

pub(crate) const READ_HEAD: &str = "SELECT position, feed_seq, commit_seq, time FROM log_head WHERE id = 1";
pub(crate) const SET_HEAD: &str =
    "UPDATE log_head SET position = $1, feed_seq = $2, commit_seq = $3, time = $4 WHERE id = 1";

pub(crate) const ADD_COMMIT: &str =
    "INSERT INTO commits (seq, id, first_position, last_position, time, actor, correlation, causation, trace)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(crate) const FIND_COMMIT: &str = "SELECT first_position, last_position, time FROM commits WHERE id = $1";

pub(crate) const ADD_EVENT: &str =
    "INSERT INTO events (position, stream, version, kind, schema, data, commit_seq, public_seq, feed_seq)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(crate) const FOLD_EVENTS: &str =
    "SELECT kind, schema, data FROM events WHERE stream = $1 AND version <= $2 ORDER BY version";

pub(crate) const FIND_STREAM: &str = "SELECT version, public_seq FROM streams WHERE stream = $1";
pub(crate) const SET_STREAM: &str = "INSERT INTO streams (stream, version, public_seq) VALUES ($1, $2, $3)
     ON CONFLICT (stream) DO UPDATE SET version = excluded.version, public_seq = excluded.public_seq";

pub(crate) const FIND_CLAIM: &str = "SELECT owner FROM claims WHERE scope = $1 AND key = $2";
pub(crate) const HOLD_CLAIM: &str = "INSERT INTO claims (scope, key, owner) VALUES ($1, $2, $3)
     ON CONFLICT (scope, key) DO UPDATE SET owner = excluded.owner";
pub(crate) const RELEASE_CLAIM: &str = "DELETE FROM claims WHERE scope = $1 AND key = $2";

pub(crate) const FIND_ONCE: &str = "SELECT request_hash, response FROM once
     WHERE principal = $1 AND method = $2 AND key = $3 AND expires > $4";
pub(crate) const RECORD_ONCE: &str =
    "INSERT INTO once (principal, method, key, request_hash, response, expires) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (principal, method, key) DO UPDATE SET request_hash = excluded.request_hash,
       response = excluded.response, expires = excluded.expires";
pub(crate) const SWEEP_ONCE: &str = "DELETE FROM once WHERE (principal, method, key) IN
     (SELECT principal, method, key FROM once WHERE expires <= $1 ORDER BY expires LIMIT $2)";

pub(crate) const FIND_MARK: &str =
    "SELECT sequence FROM inbox WHERE reaction = $1 AND source = $2 AND stream = $3";
pub(crate) const SET_MARK: &str =
    "INSERT INTO inbox (reaction, source, stream, sequence) VALUES ($1, $2, $3, $4)
     ON CONFLICT (reaction, source, stream) DO UPDATE SET sequence = excluded.sequence";

pub(crate) const FIND_TIMER: &str = "SELECT generation FROM timers WHERE key = $1";
pub(crate) const SET_TIMER: &str =
    "INSERT INTO timers (key, kind, due, generation, payload) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, due = excluded.due,
       generation = excluded.generation, payload = excluded.payload";
pub(crate) const DROP_TIMER: &str = "DELETE FROM timers WHERE key = $1";
pub(crate) const DUE_TIMERS: &str =
    "SELECT key, kind, due, generation, payload FROM timers WHERE due <= $1 ORDER BY due, key LIMIT $2";
pub(crate) const DUE_TIMERS_OF: &str = "SELECT key, kind, due, generation, payload FROM timers
     WHERE due <= $1 AND kind = $3 ORDER BY due, key LIMIT $2";
pub(crate) const NEXT_DUE: &str = "SELECT min(due) FROM timers";
pub(crate) const COUNT_TIMERS: &str = "SELECT count(*) FROM timers";

pub(crate) const FIND_LEASE: &str = "SELECT epoch FROM leases WHERE name = $1";
pub(crate) const TAKE_LEASE: &str = "INSERT INTO leases (name, owner, epoch, expires) VALUES ($1, $2, 1, $3)
     ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = leases.epoch + 1,
       expires = excluded.expires RETURNING epoch";

pub(crate) const FIND_CHECKPOINT: &str = "SELECT position FROM checkpoints WHERE name = $1";
pub(crate) const SET_CHECKPOINT: &str = "INSERT INTO checkpoints (name, position) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET position = excluded.position";

pub(crate) const PARK: &str =
    "INSERT INTO parked (reaction, source, stream, sequence, payload, reason, time) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (reaction, source, stream, sequence) DO UPDATE SET payload = excluded.payload,
       reason = excluded.reason";
pub(crate) const UNPARK: &str =
    "DELETE FROM parked WHERE reaction = $1 AND source = $2 AND stream = $3 AND sequence = $4";
pub(crate) const PARKED_OF: &str = "SELECT reaction, source, stream, sequence, payload, reason FROM parked
     WHERE reaction = $1 ORDER BY source, stream, sequence LIMIT $2";
/// The keys that a reaction has parked, each with its first event.
pub(crate) const PARKED_KEYS: &str =
    "SELECT p.source, p.stream, p.sequence, p.reason, p.time, k.events FROM parked p
     JOIN (SELECT source, stream, min(sequence) AS lowest, count(*) AS events FROM parked
       WHERE reaction = $1 GROUP BY source, stream) k
     ON k.source = p.source AND k.stream = p.stream AND k.lowest = p.sequence
     WHERE p.reaction = $1 ORDER BY p.time, p.source, p.stream LIMIT $2";

pub(crate) const ALL_TIMERS: &str =
    "SELECT key, kind, due, generation, payload FROM timers ORDER BY due, key";
pub(crate) const ALL_MARKS: &str =
    "SELECT reaction, source, stream, sequence FROM inbox ORDER BY reaction, source, stream";
pub(crate) const ALL_CHECKPOINTS: &str = "SELECT name, position FROM checkpoints ORDER BY name";
pub(crate) const ALL_CLAIMS: &str = "SELECT scope, key, owner FROM claims ORDER BY scope, key";
pub(crate) const ALL_PARKED: &str = "SELECT reaction, source, stream, sequence, payload, reason FROM parked
     ORDER BY reaction, source, stream, sequence";
pub(crate) const ALL_STREAMS: &str = "SELECT stream, version, public_seq FROM streams ORDER BY stream";
pub(crate) const COUNT_COMMITS: &str = "SELECT count(*) FROM commits";
/// Commits whose first or last position is not that of their events. Several findings are as good as all.
pub(crate) const STRAY_COMMITS: &str = "SELECT c.id FROM commits c
     LEFT JOIN (SELECT commit_seq, min(position) AS low, max(position) AS high FROM events GROUP BY commit_seq) e
       ON e.commit_seq = c.seq
     WHERE coalesce(c.first_position, 0) <> coalesce(e.low, 0) OR coalesce(c.last_position, 0) <> coalesce(e.high, 0)
     ORDER BY c.seq LIMIT 30";

pub(crate) const VIEWS: &str = "SELECT name, version, generation, definition, tables FROM views";
pub(crate) const SET_VIEW: &str =
    "INSERT INTO views (name, version, generation, definition, tables) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (name) DO UPDATE SET version = excluded.version, generation = excluded.generation,
       definition = excluded.definition, tables = excluded.tables";
pub(crate) const FORGET_VIEW: &str = "DELETE FROM views WHERE name = $1";

/// The columns of an event with its envelope, and what follows.
macro_rules! recorded_sql {
    ($rest:literal) => {
        concat!(
            "SELECT e.position, e.stream, e.version, e.kind, e.schema, e.data, e.public_seq, e.feed_seq,
               c.id, c.time, c.actor, c.correlation, c.causation, c.trace
             FROM events e JOIN commits c ON c.seq = e.commit_seq ",
            $rest
        )
    };
}

const LOG: &str = recorded_sql!("WHERE e.position > $1 ORDER BY e.position LIMIT $2");
const STREAM: &str = recorded_sql!("WHERE e.stream = $1 AND e.version > $2 ORDER BY e.version LIMIT $3");
const FEED: &str =
    recorded_sql!("WHERE e.feed_seq IS NOT NULL AND e.feed_seq > $1 ORDER BY e.feed_seq LIMIT $2");

/// Makes the tables of a new file, or checks that an existing one is this service's.
pub(crate) fn ensure(db: &mut Connection, path: &Path, service: &str) -> Result<(), OpenError> {
    let sql = |e: Error| OpenError::from_sql(path, &e);
    let version = db.rows_of("PRAGMA user_version", &[]).map_err(sql)?[0].get::<i64>(0);
    if version == 0 {
        return create(db, service).map_err(sql);
    }
    match service_of_meta(db).map_err(sql)? {
        Some(found) if found == service => Ok(()),
        found => Err(OpenError::OtherService {
            path: path.to_owned(),
            found: found.unwrap_or_else(|| "(unnamed)".to_owned()),
            wanted: service.to_owned(),
        }),
    }
}

/// Whose store it is; `None` when the file is empty.
pub(crate) fn service(db: &mut Connection) -> Result<Option<String>, Error> {
    let version = db.rows_of("PRAGMA user_version", &[])?[0].get::<i64>(0);
    if version == 0 { Ok(None) } else { service_of_meta(db) }
}

fn service_of_meta(db: &mut Connection) -> Result<Option<String>, Error> {
    let rows = db.rows_of("SELECT value FROM meta WHERE key = 'service'", &[])?;
    Ok(rows.first().map(|row| row.get(0)))
}

fn create(db: &mut Connection, service: &str) -> Result<(), Error> {
    db.begin_write()?;
    for ddl in COUNTED {
        db.batch(&dialect::table(ddl))?;
    }
    for ddl in KEYED {
        db.batch(&format!("{ddl}{}", dialect::KEYED))?;
    }
    for ddl in INDEXES {
        db.batch(ddl)?;
    }
    db.run_constant("INSERT INTO meta (key, value) VALUES ('service', $1)", &[service.into()])?;
    db.run_constant(
        "INSERT INTO log_head (id, position, feed_seq, commit_seq, time) VALUES (1, 0, 0, 0, 0)",
        &[],
    )?;
    db.batch(&format!("PRAGMA user_version = {}", STORE.schema))?;
    db.commit()
}

/// How far the log has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) position: u64,
    pub(crate) feed_seq: u64,
    pub(crate) commit_seq: u64,
    pub(crate) time: Timestamp,
}

pub(crate) fn read_head(db: &mut Connection) -> Result<Head, Error> {
    let rows = db.rows_of(READ_HEAD, &[])?;
    let row =
        rows.first().ok_or_else(|| Error::new(souk_sql::Kind::Corrupt, "the row of log_head is missing"))?;
    Ok(Head { position: row.get(0), feed_seq: row.get(1), commit_seq: row.get(2), time: row.get(3) })
}

/// Events after a position, without gaps.
pub(crate) fn read_log(db: &mut Connection, after: u64, limit: usize) -> Result<Vec<Recorded>, Fault> {
    let found = read_log_with_gaps(db, after, limit)?;
    for (recorded, expected) in found.iter().zip(after + 1..) {
        if recorded.position.0 != expected {
            return Err(Fault::Broken(format!("position {} follows {}", recorded.position, expected - 1)));
        }
    }
    Ok(found)
}

/// Events after a position, whatever is there: for the audit, which reports gaps and goes on.
pub(crate) fn read_log_with_gaps(
    db: &mut Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<Recorded>, Fault> {
    recorded(db, LOG, &[after.into(), limit.into()])
}

/// Events of a stream after a version.
pub(crate) fn read_stream(
    db: &mut Connection,
    stream: &StreamId,
    after: u64,
    limit: usize,
) -> Result<Vec<Recorded>, Fault> {
    recorded(db, STREAM, &[stream.text().into(), after.into(), limit.into()])
}

/// Published events after a place in the feed.
pub(crate) fn read_feed(db: &mut Connection, after: u64, limit: usize) -> Result<Vec<Recorded>, Fault> {
    recorded(db, FEED, &[after.into(), limit.into()])
}

fn recorded(db: &mut Connection, sql: &'static str, args: &[Value]) -> Result<Vec<Recorded>, Fault> {
    let mut found = Vec::new();
    db.for_each(&Statement::new(sql).args(args.iter().cloned()), |row| {
        found.push(recorded_of(&row));
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn parked_of(row: &Row) -> Parked {
    Parked {
        reaction: row.get(0),
        source: row.get(1),
        stream: row.get(2),
        sequence: row.get(3),
        payload: row.get(4),
        reason: row.get(5),
    }
}

pub(crate) fn parked_key_of(row: &Row) -> ParkedKey {
    ParkedKey {
        source: row.get(0),
        stream: row.get(1),
        first: row.get(2),
        reason: row.get(3),
        since: row.get(4),
        events: row.get(5),
    }
}

fn recorded_of(row: &Row) -> Recorded {
    Recorded {
        position: Position(row.get(0)),
        stream: StreamId::from_stored(row.get(1)),
        version: row.get(2),
        kind: Cow::Owned(row.get(3)),
        schema: row.get(4),
        data: row.get(5),
        public_seq: row.get(6),
        feed_seq: row.get(7),
        commit: CommitId::from_stored(row.get(8)),
        time: row.get(9),
        actor: row.get(10),
        correlation: row.get(11),
        causation: row.get(12),
        trace: row.get(13),
        typed: None,
    }
}

/// Folds a stream up to `version` with `step`; gives how many events there were.
pub(crate) fn fold_stream(
    db: &mut Connection,
    stream: &StreamId,
    version: u64,
    mut step: impl FnMut(&str, u16, &Arc<str>) -> Result<(), DecodeError>,
) -> Result<u64, Fault> {
    let (mut count, mut unreadable) = (0, None);
    db.for_each(&Statement::new(FOLD_EVENTS).arg(stream.text()).arg(version), |row| {
        count += 1;
        if unreadable.is_none() {
            unreadable = step(row.text(0), row.get(1), &row.get(2)).err();
        }
        Ok(())
    })?;
    unreadable.map_or(Ok(count), |error| Err(Fault::Decode(error)))
}
