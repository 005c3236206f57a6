//! What one batch has done so far. Dropping it undoes it, together with the transaction's rollback.
use crate::cache::Cache;
use crate::fold::{self, Fold, StreamFacts};
use crate::schema::{self, Head};
use crate::{Fault, Publish, Published, StreamId, View};
use souk_kernel::Timestamp;
use souk_sql::Connection;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the store was opened with and every piece needs.
pub(crate) struct Rules {
    pub(crate) views: Vec<View>,
    pub(crate) publish: Option<Publish>,
}

/// A stream as the batch sees it.
struct Seen {
    facts: StreamFacts,
    changed: bool,
}

/// A lease that was taken in this batch.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) name: Arc<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) epoch: u64,
    pub(crate) expires: Timestamp,
}

pub(crate) struct Batch {
    pub(crate) now: Timestamp,
    /// How far the log will have got.
    pub(crate) head: Head,
    streams: HashMap<StreamId, Seen>,
    pub(crate) published: Vec<Published>,
    pub(crate) leases: Vec<Taken>,
    /// The earliest timer that was set.
    pub(crate) timer_set: Option<Timestamp>,
    pub(crate) commits: u64,
    pub(crate) wrote: bool,
    /// What each piece writes, by the kind of its first event; kept only for crash points.
    pub(crate) pieces: Vec<Cow<'static, str>>,
}

impl Batch {
    pub(crate) fn new(head: Head, now: Timestamp) -> Self {
        Self {
            now,
            head,
            streams: HashMap::new(),
            published: Vec::new(),
            leases: Vec::new(),
            timer_set: None,
            commits: 0,
            wrote: false,
            pieces: Vec::new(),
        }
    }

    /// What is known of `stream`, with its folded state when one is wanted: from this batch, from the cache,
    /// or from the log.
    pub(crate) fn stream(
        &mut self,
        db: &mut Connection,
        cache: &Mutex<Cache>,
        stream: &StreamId,
        fold: Option<&'static Fold>,
    ) -> Result<StreamFacts, Fault> {
        let (mut facts, changed) = match self.streams.get(stream) {
            Some(seen) => (seen.facts.clone(), seen.changed),
            None => (committed(db, cache, stream)?, false),
        };
        match fold {
            Some(fold) if !facts.has(fold) => add_state(db, stream, fold, &mut facts)?,
            Some(_) | None if self.streams.contains_key(stream) => return Ok(facts),
            Some(_) | None => {}
        }
        self.streams.insert(stream.clone(), Seen { facts: facts.clone(), changed });
        Ok(facts)
    }

    /// Takes in what a piece has made of a stream.
    pub(crate) fn change(&mut self, stream: StreamId, facts: StreamFacts) {
        self.streams.insert(stream, Seen { facts, changed: true });
    }

    /// The streams that were appended to, each once, with where they are now.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&StreamId, &StreamFacts)> {
        self.streams.iter().filter(|(_, seen)| seen.changed).map(|(stream, seen)| (stream, &seen.facts))
    }

    /// Everything that the batch knows, for the cache.
    pub(crate) fn into_streams(self) -> impl Iterator<Item = (StreamId, StreamFacts, bool)> {
        self.streams.into_iter().map(|(stream, seen)| (stream, seen.facts, seen.changed))
    }
}

fn committed(db: &mut Connection, cache: &Mutex<Cache>, stream: &StreamId) -> Result<StreamFacts, Fault> {
    let cached = cache.lock().unwrap_or_else(PoisonError::into_inner).get(stream);
    cached.map_or_else(|| stored(db, stream), Ok)
}

/// Where a stream is according to the database.
pub(crate) fn stored(db: &mut Connection, stream: &StreamId) -> Result<StreamFacts, Fault> {
    let rows = db.rows_of(schema::FIND_STREAM, &[stream.text().into()])?;
    Ok(rows.first().map_or_else(StreamFacts::default, |row| StreamFacts::at(row.get(0), row.get(1))))
}

/// Folds the state of `stream` up to the version in `facts` and adds it.
pub(crate) fn add_state(
    db: &mut Connection,
    stream: &StreamId,
    fold: &'static Fold,
    facts: &mut StreamFacts,
) -> Result<(), Fault> {
    let (mut state, mut bytes) = (Some(fold.start()), 0);
    if facts.version > 0 {
        let counted = schema::fold_stream(db, stream, facts.version, |kind, schema, json| {
            bytes += json.len();
            let before = state.take().expect("it is put back below, and after an error nobody comes again");
            state = Some(fold.read(before, kind, schema, json)?);
            Ok(())
        })?;
        if counted != facts.version {
            return Err(fold::miscounted(stream, counted, facts.version));
        }
    }
    facts.add(fold, state.expect("no error, so it was put back"), bytes);
    Ok(())
}
