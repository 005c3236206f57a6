//! Whether the shop is at rest: nothing that will still happen by itself.
use crate::failure::{Failure, exit};
use crate::shop;
use souk_decider::Aggregate;
use souk_eventstore::audit::Audit;
use souk_eventstore::{StreamId, Timer, View};
use souk_kernel::Timestamp;
use souk_payment::domain::Alarm;
use souk_shipping::{carry, domain::Shipment};
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
    /// Timers that will fire, but for those that only end something, such as a promise.
    pub timers: u64,
    /// Published events that a reaction has not applied.
    pub feed_behind: u64,
    /// Events that a reaction could not apply.
    pub parked: u64,
}

/// One service follows what another publishes.
pub struct Follows {
    /// Who follows.
    pub role: &'static str,
    /// Whom.
    pub source: &'static str,
    /// The reaction's name in inbox marks.
    pub reaction: &'static str,
}

/// Every reaction of the shop. A mark in a store that is none of these breaks V8, so that none is forgotten here.
pub const REACTIONS: &[Follows] = &[
    Follows { role: "cart", source: "order", reaction: "cart.orders" },
    Follows { role: "notification", source: "order", reaction: souk_notification::reactions::NAME },
    Follows { role: "order", source: "shipping", reaction: "order.parcels" },
    Follows { role: "order", source: "shipping", reaction: "order.return_parcels" },
    Follows { role: "order", source: "payment", reaction: "order.payments" },
];

/// The name of the table of sagas: who has it runs sagas.
const SAGAS: &str = "sagas";
/// How many parcels are looked at.
const PARCELS_MAX: u32 = 1_000_000;

impl Rest {
    /// Looks at the stores under `data`.
    pub fn look(data: &Path) -> Result<Rest, Failure> {
        let mut rest = Rest::default();
        for service in shop::services(&shop::Choices::default()) {
            let role = service.name();
            if !path(data, role).exists() {
                continue;
            }
            let audit = open(data, role)?;
            let timers = audit.timers().map_err(unreadable)?;
            rest.timers += timers.iter().filter(|timer| !only_ends(role, timer)).count() as u64;
            rest.parked += count(audit.parked())?;
            let (open, stuck) = sagas(&audit, role, &service.views())?;
            rest.sagas_open += open;
            rest.sagas_stuck += stuck;
        }
        for follows in REACTIONS {
            rest.feed_behind += behind(data, follows)?;
        }
        Ok(rest)
    }

    /// When the next timer is due that will do something.
    pub fn next_timer(data: &Path) -> Result<Option<Timestamp>, Failure> {
        let mut next: Option<Timestamp> = None;
        for service in shop::services(&shop::Choices::default()) {
            let role = service.name();
            if !path(data, role).exists() {
                continue;
            }
            let timers = open(data, role)?.timers().map_err(unreadable)?;
            let due = timers.iter().filter(|timer| !only_ends(role, timer)).map(|timer| timer.due);
            next = next.into_iter().chain(due).min();
        }
        Ok(next)
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

/// How many of a service's sagas go on or are stuck, and how many are stuck.
fn sagas(audit: &Audit, role: &str, views: &[View]) -> Result<(u64, u64), Failure> {
    if !views.iter().any(|view| view.name == SAGAS) {
        return Ok((0, 0));
    }
    if role == souk_shipping::NAME {
        return parcels(audit);
    }
    let rows = audit.query(&souk_saga::views::count_open()).map_err(unreadable)?;
    let (open, stuck) = rows.first().map_or((0, 0), |row| (row.get::<i64>(0), row.get::<i64>(1)));
    Ok((open.unsigned_abs(), stuck.unsigned_abs()))
}

/// A parcel that waits in the warehouse for somebody to pack it is an open saga, and nothing on its way: people do
/// not do things by themselves.
fn parcels(audit: &Audit) -> Result<(u64, u64), Failure> {
    let rows = audit.query(&souk_saga::views::list(Shipment::CATEGORY, false, PARCELS_MAX));
    let (mut open, mut stuck) = (0, 0);
    for parcel in rows.map_err(unreadable)?.iter().map(souk_saga::views::listed) {
        let is_stuck = !parcel.step.is_empty();
        let goes_on = match StreamId::parse(&parcel.stream) {
            Some(stream) => {
                let parcel = audit.state::<Shipment>(&stream).map_err(unreadable)?;
                !carry::outstanding(&parcel, false).is_empty()
            }
            None => false,
        };
        open += u64::from(is_stuck || goes_on);
        stuck += u64::from(is_stuck);
    }
    Ok((open, stuck))
}

/// Whether the timer only ends what nobody used or heard of meanwhile: a promise of money in a week, the time for
/// returns in a month, a carrier's silence in a fortnight. That is no work on its way.
fn only_ends(role: &str, timer: &Timer) -> bool {
    match role {
        souk_payment::NAME => matches!(timer.key.parse::<Alarm>(), Ok(Alarm::Expiry(_))),
        souk_order::NAME => &*timer.kind == souk_order::domain::order::RETURNS_TIMER,
        souk_shipping::NAME => &*timer.kind == souk_shipping::effects::SILENCE,
        _ => false,
    }
}

/// How many published events the follower has not applied.
fn behind(data: &Path, follows: &Follows) -> Result<u64, Failure> {
    let Follows { role, source, reaction } = follows;
    if !path(data, role).exists() || !path(data, source).exists() {
        return Ok(0);
    }
    let applied = open(data, role)?.checkpoints().map_err(unreadable)?;
    let applied = applied.iter().find(|(name, _)| name.strip_prefix("reaction/") == Some(reaction));
    let applied = applied.map_or(0, |(_, position)| position.get());
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

fn count<T>(items: Result<Vec<T>, souk_eventstore::Fault>) -> Result<u64, Failure> {
    Ok(items.map_err(unreadable)?.len() as u64)
}

/// A store that cannot be read.
pub fn unreadable(fault: souk_eventstore::Fault) -> Failure {
    Failure::new(exit::UNAVAILABLE, fault)
}
