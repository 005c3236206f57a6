//! Whether the shop is at rest: nothing that will still happen by itself.
use crate::failure::{Failure, exit};
use souk_eventstore::audit::Audit;
use souk_payment::domain::Alarm;
use std::fmt;
use std::path::Path;

/// What is still on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rest {
    /// Sagas that have not ended.
    pub sagas_open: u64,
    /// Of these, sagas that wait for a person.
    pub sagas_stuck: u64,
    /// Timers that will fire, but for the ends of promises.
    pub timers: u64,
    /// Published events that a reaction has not applied.
    pub feed_behind: u64,
    /// Events that a reaction could not apply.
    pub parked: u64,
}

/// The one reaction of the shop so far: who follows whom.
const REACTIONS: &[(&str, &str, &str)] = &[("cart", "order", "reaction/cart.orders")];
/// The services that run sagas.
const WITH_SAGAS: &[&str] = &["order"];

impl Rest {
    /// Looks at the stores under `data`.
    pub fn look(data: &Path) -> Result<Rest, Failure> {
        let mut rest = Rest::default();
        for (role, _) in crate::settings::ROLES.iter().filter(|(role, _)| path(data, role).exists()) {
            let audit = open(data, role)?;
            // A promise that is not used ends in a week: that is no work on its way.
            let timers = audit.timers().map_err(unreadable)?;
            rest.timers += timers.iter().filter(|timer| !is_end_of_promise(&timer.key)).count() as u64;
            rest.parked += count(audit.parked())?;
            if WITH_SAGAS.contains(role) {
                let rows = audit.query(&souk_saga::views::count_open()).map_err(unreadable)?;
                let (open, stuck) = rows.first().map_or((0, 0), |row| (row.get::<i64>(0), row.get::<i64>(1)));
                rest.sagas_open += open.unsigned_abs();
                rest.sagas_stuck += stuck.unsigned_abs();
            }
        }
        for (follower, source, checkpoint) in REACTIONS {
            rest.feed_behind += behind(data, follower, source, checkpoint)?;
        }
        Ok(rest)
    }

    /// Whether what is left will not happen by itself: it waits for a person.
    pub fn is_for_a_person(&self) -> bool {
        let waits = self.sagas_stuck > 0 || self.parked > 0;
        waits && self.sagas_open == self.sagas_stuck && self.timers == 0 && self.feed_behind == 0
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        *self == Rest::default()
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rest { sagas_open, sagas_stuck, timers, feed_behind, parked } = self;
        if self.is_quiet() {
            return f.write_str("nothing");
        }
        write!(f, "sagas: {sagas_open} (waiting for a person: {sagas_stuck}), timers: {timers}, ")?;
        write!(f, "events not applied: {feed_behind}, events parked: {parked}")
    }
}

/// How many published events of `source` the follower has not applied.
fn behind(data: &Path, follower: &str, source: &str, checkpoint: &str) -> Result<u64, Failure> {
    if !path(data, follower).exists() || !path(data, source).exists() {
        return Ok(0);
    }
    let applied = open(data, follower)?.checkpoints().map_err(unreadable)?;
    let applied =
        applied.iter().find(|(name, _)| name == checkpoint).map_or(0, |(_, position)| position.get());
    Ok(open(data, source)?.feed_head().saturating_sub(applied))
}

/// The store file of a role.
pub fn path(data: &Path, role: &str) -> std::path::PathBuf {
    data.join(role).with_extension("db")
}

/// Opens a role's store for reading.
pub fn open(data: &Path, role: &str) -> Result<Audit, Failure> {
    Audit::open(path(data, role)).map_err(|e| Failure::new(exit::UNAVAILABLE, e))
}

fn is_end_of_promise(key: &str) -> bool {
    matches!(key.parse::<Alarm>(), Ok(Alarm::Expiry(_)))
}

fn count<T>(items: Result<Vec<T>, souk_eventstore::Fault>) -> Result<u64, Failure> {
    Ok(items.map_err(unreadable)?.len() as u64)
}

/// A store that cannot be read.
pub fn unreadable(fault: souk_eventstore::Fault) -> Failure {
    Failure::new(exit::UNAVAILABLE, fault)
}
