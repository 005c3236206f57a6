//! What must hold at every moment, as predicates over plain iterators: tests, the simulator and the live
//! audit use the same ones.
//!
//! - **I-IN-1** `0 <= reserved <= on_hand` on every shelf, and what is in quarantine is not promised.
//! - **I-IN-2** `on_hand` is the sum of the shelf's movements.
//! - **I-IN-3** `reserved` is the sum of the open reservations' lines on the shelf.
//! - **I-IN-4** A reservation is granted at most once, gives its stock back at most once, and nothing follows
//!   a refusal or a release. One that expired is committed only after it was reserved again. What ships is
//!   committed, and never more than is held.
//! - **I-IN-7** `missing` is the sum of the open shortfalls on the shelf.
//! - **I-IN-8** `quarantined` is the sum of what the movements put there and took from there.
//! - **I-IN-9** The queue holds exactly what open reservations wait for.
//! - **I-IN-10** Never more of a line comes back than was shipped.
use crate::domain::{
    AllocatedLine, Count, CountEvent, Grade, Phase, Portion, ReceivedLine, Reservation, ReservationEvent,
    RestockLine, StockAdjusted, StockTransferred, Verdict, Waiting, portions,
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
    /// Pieces of these that a count did not find.
    pub missing: i64,
    /// Pieces of these that came back and cannot be sold.
    pub quarantined: i64,
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
    /// How many more of these are in quarantine by it.
    pub quarantined: i64,
    /// `RECEIVED`, `ADJUSTED`, `SHIPPED`, `RESTOCKED`, `TRANSFERRED`, `COUNTED` or `WRITTEN_OFF`.
    pub kind: &'static str,
    /// Why, when a person moved them; with which shipment or return, when an order did.
    pub reason: Arc<str>,
}

impl Movement {
    /// A line of a receipt at `location`.
    pub fn received(line: &ReceivedLine, location: &Location) -> Self {
        Self {
            sku: line.sku.clone(),
            location: location.clone(),
            delta: line.quantity,
            quarantined: 0,
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
            quarantined: if event.quarantine { event.delta } else { 0 },
            kind: "ADJUSTED",
            reason: event.reason.clone(),
        }
    }

    /// A transfer: it goes here and comes there.
    pub fn transferred(event: &StockTransferred) -> [Self; 2] {
        let movement = |location: &Location, delta| Self {
            sku: event.sku.clone(),
            location: location.clone(),
            delta,
            quarantined: 0,
            kind: "TRANSFERRED",
            reason: event.reason.clone(),
        };
        [movement(&event.from, -event.quantity), movement(&event.to, event.quantity)]
    }

    /// What a count found too much or too little, or what a person wrote off.
    pub fn of_count(event: &CountEvent) -> Option<Self> {
        let (sku, location, delta, kind, reason) = match event {
            CountEvent::StockCounted(e) => (&e.sku, &e.location, e.delta, "COUNTED", Arc::from("")),
            CountEvent::ShortfallResolved(e) => match e.decision {
                Verdict::Found => return None,
                Verdict::WrittenOff => (&e.sku, &e.location, -e.missing, "WRITTEN_OFF", e.reason.clone()),
            },
            CountEvent::StockShortfall(_) => return None,
        };
        let (sku, location) = (sku.clone(), location.clone());
        (delta != 0).then_some(Self { sku, location, delta, quarantined: 0, kind, reason })
    }

    /// What left the house with an order, or came back.
    pub fn of_reservation(event: &ReservationEvent) -> Vec<Self> {
        match event {
            ReservationEvent::StockShipped(e) => {
                let reason: Arc<str> = e.shipment_id.as_str().into();
                let shipped = |portion: &Portion| Self {
                    sku: portion.sku.clone(),
                    location: portion.location.clone(),
                    delta: -portion.quantity,
                    quarantined: 0,
                    kind: "SHIPPED",
                    reason: reason.clone(),
                };
                portions(&e.lines).iter().map(shipped).collect()
            }
            ReservationEvent::StockRestocked(e) => {
                let reason: Arc<str> = e.restock_id.as_str().into();
                let restocked = |line: &RestockLine| Self {
                    sku: line.sku.clone(),
                    location: line.location.clone(),
                    delta: line.quantity.get().into(),
                    quarantined: if line.grade == Grade::A { 0 } else { line.quantity.get().into() },
                    kind: "RESTOCKED",
                    reason: reason.clone(),
                };
                e.lines.iter().map(restocked).collect()
            }
            ReservationEvent::StockReserved(_)
            | ReservationEvent::ReservationRefused(_)
            | ReservationEvent::ReservationCommitted(_)
            | ReservationEvent::ReservationReleased(_)
            | ReservationEvent::ReservationExpired(_)
            | ReservationEvent::ReservationReReserved(_)
            | ReservationEvent::ReservationExtended(_)
            | ReservationEvent::BackorderFilled(_)
            | ReservationEvent::LinesReleased(_)
            | ReservationEvent::CommitRefused(_)
            | ReservationEvent::ShipRefused(_)
            | ReservationEvent::ReleaseRefused(_)
            | ReservationEvent::RestockRefused(_) => Vec::new(),
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
    let is_within = |row: &StockRow| {
        let counts = [row.reserved, row.quarantined, row.missing];
        counts.iter().all(|count| *count >= 0) && row.reserved + row.quarantined <= row.on_hand
    };
    let broken = rows.into_iter().filter(|row| !is_within(row));
    let violation = |row: &StockRow| Violation {
        invariant: "I-IN-1",
        subject: shelf(&row.sku, &row.location),
        what: format!(
            "{} are there, {} are promised, {} in quarantine and {} missing",
            row.on_hand, row.reserved, row.quarantined, row.missing
        ),
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

/// **I-IN-7**: every shelf misses what the open shortfalls miss on it.
pub fn missing_is_open<'a>(
    rows: impl IntoIterator<Item = &'a StockRow>,
    counts: impl IntoIterator<Item = &'a Count>,
) -> Vec<Violation> {
    let shown = rows.into_iter().map(|row| ((row.sku.clone(), row.location.clone()), row.missing));
    let open = counts.into_iter().filter_map(Count::open_shortfall);
    let told = open.map(|short| ((short.sku.clone(), short.location.clone()), short.missing));
    differences("I-IN-7", "missing", sums(shown), sums(told))
}

/// **I-IN-8**: every shelf has in quarantine what came into it less what was thrown away.
pub fn quarantined_is_moved<'a>(
    rows: impl IntoIterator<Item = &'a StockRow>,
    movements: impl IntoIterator<Item = &'a Movement>,
) -> Vec<Violation> {
    let moved = movements.into_iter().map(|m| ((m.sku.clone(), m.location.clone()), m.quarantined));
    let shown = rows.into_iter().map(|row| ((row.sku.clone(), row.location.clone()), row.quarantined));
    differences("I-IN-8", "in quarantine", sums(shown), sums(moved))
}

/// **I-IN-9**: the queue holds exactly the lines that open reservations wait for.
pub fn queue_is_waiting<'a>(
    queue: impl IntoIterator<Item = &'a Waiting>,
    reservations: impl IntoIterator<Item = (&'a str, &'a Reservation)>,
) -> Vec<Violation> {
    let mut both: BTreeMap<(String, u32), (i64, i64)> = BTreeMap::new();
    for waiting in queue {
        let key = (waiting.order.to_string(), waiting.line.line);
        both.entry(key).or_default().0 += i64::from(waiting.line.quantity.get());
    }
    for (id, reservation) in reservations {
        for line in reservation.waiting_lines() {
            both.entry((id.to_owned(), line.line)).or_default().1 += i64::from(line.quantity.get());
        }
    }
    let different = both.into_iter().filter(|(_, (shown, told))| shown != told);
    let violation = |((id, line), (shown, told)): ((String, u32), (i64, i64))| Violation {
        invariant: "I-IN-9",
        subject: format!("line {line} of {id}"),
        what: format!("the queue shows {shown}, the log tells {told}"),
    };
    different.map(violation).collect()
}

/// **I-IN-10**: never more left the house than was promised, and never more came back than left.
pub fn back_is_shipped<'a>(
    reservations: impl IntoIterator<Item = (&'a str, &'a Reservation)>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (id, reservation) in reservations {
        let mut left: BTreeMap<(u32, &Sku), i64> = BTreeMap::new();
        for line in reservation.shipped().iter() {
            *left.entry((line.line, &line.sku)).or_default() += i64::from(line.quantity.get());
        }
        for line in reservation.restocked() {
            *left.entry((line.line, &line.sku)).or_default() -= i64::from(line.quantity.get());
        }
        let over = left.into_iter().filter(|(_, left)| *left < 0);
        violations.extend(over.map(|((line, sku), left)| Violation {
            invariant: "I-IN-10",
            subject: id.to_owned(),
            what: format!("{} pieces more of {sku} came back of line {line} than left", -left),
        }));
    }
    violations
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
    let is_committed = matches!(so_far.phase(), Phase::Committed(_));
    let is_expired = matches!(so_far.phase(), Phase::Expired(_));
    let is_closed =
        matches!(so_far.phase(), Phase::Refused { .. } | Phase::Released(_) | Phase::Lapsed { .. });
    let open = || portions(so_far.open_lines());
    match event {
        ReservationEvent::StockReserved(_) | ReservationEvent::ReservationRefused(_) => is_new,
        ReservationEvent::ReservationExpired(e) => is_held && e.freed == open(),
        ReservationEvent::ReservationReReserved(_) | ReservationEvent::CommitRefused(_) => is_expired,
        ReservationEvent::ReservationCommitted(_) => is_held || re_reserved,
        ReservationEvent::ReservationReleased(e) => !is_closed && e.freed == open(),
        ReservationEvent::ReservationExtended(_) => is_held,
        ReservationEvent::StockShipped(e) => is_committed && holds(so_far, &e.lines),
        ReservationEvent::LinesReleased(e) => (is_held || is_committed) && holds(so_far, &e.freed),
        ReservationEvent::BackorderFilled(e) => {
            (is_held || is_committed) && e.lines.iter().all(|line| waits_for(so_far, line))
        }
        // What came back is judged by I-IN-10. A refusal may follow anything.
        ReservationEvent::StockRestocked(_) => !so_far.shipped().is_empty(),
        ReservationEvent::ShipRefused(_)
        | ReservationEvent::ReleaseRefused(_)
        | ReservationEvent::RestockRefused(_) => true,
    }
}

fn holds(reservation: &Reservation, lines: &[AllocatedLine]) -> bool {
    let has = sums(held_by(reservation.open_lines()).into_iter());
    sums(held_by(lines).into_iter()).iter().all(|(shelf, n)| has.get(shelf).is_some_and(|has| n <= has))
}

fn waits_for(reservation: &Reservation, line: &AllocatedLine) -> bool {
    let same = |waiting: &crate::domain::WantedLine| {
        (waiting.line, &waiting.sku) == (line.line, &line.sku) && waiting.quantity >= line.quantity
    };
    reservation.waiting_lines().iter().any(same)
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
