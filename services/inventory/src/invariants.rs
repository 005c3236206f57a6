//! What must hold at every moment, as predicates over plain iterators: tests, the simulator and the live
//! audit use the same ones.
//!
//! - **I-IN-1** `0 <= reserved <= on_hand` on every shelf.
//! - **I-IN-2** `on_hand` is the sum of the shelf's movements.
//! - **I-IN-3** `reserved` is the sum of the open reservations' lines on the shelf.
//! - **I-IN-4** A reservation is granted at most once, gives its stock back at most once, and nothing follows
//!   a refusal or a release. One that expired is committed only after it was reserved again.
use crate::domain::{
    AllocatedLine, Phase, ReceivedLine, Reservation, ReservationEvent, StockAdjusted, portions,
};
use souk_contracts::terms::{Location, Sku};
use souk_decider::Aggregate;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One shelf as the view has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// Pieces that are there.
    pub on_hand: i64,
    /// Pieces of these that are promised.
    pub reserved: i64,
}

/// Pieces that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many more there are by it.
    pub delta: i64,
    /// `RECEIVED` or `ADJUSTED`.
    pub kind: &'static str,
    /// Why, when it is an adjustment.
    pub reason: Arc<str>,
}

impl Movement {
    /// A line of a receipt at `location`.
    pub fn received(line: &ReceivedLine, location: &Location) -> Self {
        Self {
            sku: line.sku.clone(),
            location: location.clone(),
            delta: line.quantity,
            kind: "RECEIVED",
            reason: Arc::from(""),
        }
    }

    /// An adjustment.
    pub fn adjusted(event: &StockAdjusted) -> Self {
        Self {
            sku: event.sku.clone(),
            location: event.location.clone(),
            delta: event.delta,
            kind: "ADJUSTED",
            reason: event.reason.clone(),
        }
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which, for example `I-IN-2`.
    pub invariant: &'static str,
    /// The shelf (`sku` at `location`) or the reservation.
    pub subject: String,
    /// What was found and what should have been.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.invariant, self.subject, self.what)
    }
}

/// **I-IN-1**: no shelf promises more than it has, or has less than nothing.
pub fn within_bounds<'a>(rows: impl IntoIterator<Item = &'a StockRow>) -> Vec<Violation> {
    let broken = rows.into_iter().filter(|row| !(0 <= row.reserved && row.reserved <= row.on_hand));
    let violation = |row: &StockRow| Violation {
        invariant: "I-IN-1",
        subject: shelf(&row.sku, &row.location),
        what: format!("{} are there and {} are promised", row.on_hand, row.reserved),
    };
    broken.map(violation).collect()
}

/// **I-IN-2**: every shelf has what came less what went.
pub fn on_hand_is_moved<'a>(
    rows: impl IntoIterator<Item = &'a StockRow>,
    movements: impl IntoIterator<Item = &'a Movement>,
) -> Vec<Violation> {
    let moved = movements.into_iter().map(|m| ((m.sku.clone(), m.location.clone()), m.delta));
    let shown = rows.into_iter().map(|row| ((row.sku.clone(), row.location.clone()), row.on_hand));
    differences("I-IN-2", "on hand", sums(shown), sums(moved))
}

/// **I-IN-3**: every shelf promises what the open reservations hold on it.
pub fn reserved_is_held<'a>(
    rows: impl IntoIterator<Item = &'a StockRow>,
    reservations: impl IntoIterator<Item = &'a Reservation>,
) -> Vec<Violation> {
    let shown = rows.into_iter().map(|row| ((row.sku.clone(), row.location.clone()), row.reserved));
    let held = reservations.into_iter().flat_map(|reservation| held_by(reservation.open_lines()));
    differences("I-IN-3", "reserved", sums(shown), sums(held))
}

/// **I-IN-4**: the events of one reservation, from its first, are a legal history.
pub fn is_legal<'a>(id: &str, events: impl IntoIterator<Item = &'a ReservationEvent>) -> Vec<Violation> {
    let mut reservation = Reservation::default();
    let mut violations = Vec::new();
    let mut re_reserved = false;
    for event in events {
        if !may_follow(&reservation, event, re_reserved) {
            violations.push(Violation {
                invariant: "I-IN-4",
                subject: id.to_owned(),
                what: format!(
                    "{} followed {:?}",
                    souk_decider::StoredEvent::kind(event),
                    reservation.phase()
                ),
            });
        }
        re_reserved = matches!(event, ReservationEvent::ReservationReReserved(_));
        reservation.evolve(event);
    }
    violations
}

/// Whether this may happen to a reservation that is so far; and what is given back is what is held.
fn may_follow(so_far: &Reservation, event: &ReservationEvent, re_reserved: bool) -> bool {
    let is_new = matches!(so_far.phase(), Phase::Unknown);
    let is_held = matches!(so_far.phase(), Phase::Held(_));
    let is_expired = matches!(so_far.phase(), Phase::Expired(_));
    let is_closed =
        matches!(so_far.phase(), Phase::Refused { .. } | Phase::Released(_) | Phase::Lapsed { .. });
    match event {
        ReservationEvent::StockReserved(_) | ReservationEvent::ReservationRefused(_) => is_new,
        ReservationEvent::ReservationExpired(e) => is_held && e.freed == portions(so_far.open_lines()),
        ReservationEvent::ReservationReReserved(_) | ReservationEvent::CommitRefused(_) => is_expired,
        ReservationEvent::ReservationCommitted(_) => is_held || re_reserved,
        ReservationEvent::ReservationReleased(e) => !is_closed && e.freed == portions(so_far.open_lines()),
    }
}

type Sums = BTreeMap<(Sku, Location), i64>;

fn sums(parts: impl Iterator<Item = ((Sku, Location), i64)>) -> Sums {
    let mut sums = Sums::new();
    for (shelf, pieces) in parts {
        *sums.entry(shelf).or_default() += pieces;
    }
    sums.retain(|_, pieces| *pieces != 0);
    sums
}

fn held_by(lines: &[AllocatedLine]) -> Vec<((Sku, Location), i64)> {
    let portions = portions(lines);
    portions.iter().map(|p| ((p.sku.clone(), p.location.clone()), p.quantity)).collect()
}

fn differences(invariant: &'static str, what: &str, shown: Sums, told: Sums) -> Vec<Violation> {
    let mut both: BTreeMap<(Sku, Location), (i64, i64)> = BTreeMap::new();
    for (shelf, pieces) in shown {
        both.entry(shelf).or_default().0 = pieces;
    }
    for (shelf, pieces) in told {
        both.entry(shelf).or_default().1 = pieces;
    }
    let different = both.into_iter().filter(|(_, (shown, told))| shown != told);
    let violation = |((sku, location), (shown, told)): ((Sku, Location), (i64, i64))| Violation {
        invariant,
        subject: shelf(&sku, &location),
        what: format!("the shelf shows {shown} {what}, the log tells {told}"),
    };
    different.map(violation).collect()
}

fn shelf(sku: &Sku, location: &Location) -> String {
    format!("{sku} at {location}")
}
