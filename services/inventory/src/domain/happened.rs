//! What happens to a reservation, as it is stored, and what that does to the shelves.
use super::settle::MovesStock;
use super::stock::{
    AllocatedLine, Change, Levels, Portion, RefusalReason, ShelfChange, Shortage, Stock, WantedLine, pieces,
    portions,
};
use super::{Reference, is_empty};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_decider::stored_events;
use souk_kernel::Timestamp;
use std::sync::Arc;

/// Stock was promised: all lines of the order, or what its policy allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockReserved {
    /// The lines with their places.
    pub lines: Arc<[AllocatedLine]>,
    /// When the promise ends.
    pub expires_at: Timestamp,
    /// What was asked for, when that is more than the lines.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub wanted: Arc<[WantedLine]>,
    /// The SKUs of which less was granted than wanted.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub shortages: Arc<[Shortage]>,
    /// What was sold although it is not there yet.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub backordered: Arc<[WantedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// Stock was not promised, and never will be under this key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationRefused {
    /// Why.
    pub reason: RefusalReason,
    /// The SKUs that are the reason.
    pub shortages: Arc<[Shortage]>,
    /// What was asked for; empty when a commit came without a request.
    pub wanted: Arc<[WantedLine]>,
}

/// The promise was made final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationCommitted {}

/// The reservation was given back, or must never be granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationReleased {
    /// Why, in the caller's words.
    pub reason: Arc<str>,
    /// What became free by it; empty when nothing was held.
    pub freed: Arc<[Portion]>,
    /// What no longer waits by it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub unqueued: Arc<[WantedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// The promise ran out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationExpired {
    /// What became free by it.
    pub freed: Arc<[Portion]>,
    /// What no longer waits by it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub unqueued: Arc<[WantedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// A promise that had run out was given again, because its commit came and the stock was still there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationReReserved {
    /// The lines with their places, which may be others than before.
    pub lines: Arc<[AllocatedLine]>,
    /// What was sold although it is not there yet.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub backordered: Arc<[WantedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// The commit of a promise that had run out was refused, because the stock was gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRefused {
    /// What was short.
    pub shortages: Arc<[Shortage]>,
}

/// A held promise was made to last longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationExtended {
    /// When it ends now.
    pub expires_at: Timestamp,
}

/// Stock came for lines that waited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackorderFilled {
    /// What is promised by it, and where it lies.
    pub lines: Arc<[AllocatedLine]>,
}

/// Promised pieces left the house.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockShipped {
    /// The shipment that they are in.
    pub shipment_id: Reference,
    /// Which pieces.
    pub lines: Arc<[AllocatedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// A shipment was not booked, and never will be under this id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipRefused {
    /// The shipment.
    pub shipment_id: Reference,
    /// Why.
    pub reason: RefusalReason,
    /// What it was to hold.
    pub lines: Arc<[AllocatedLine]>,
}

/// Some lines were given back, or parts of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinesReleased {
    /// The caller's id of this release.
    pub release_id: Reference,
    /// Why, in the caller's words.
    pub reason: Arc<str>,
    /// What was asked to be given back.
    pub lines: Arc<[WantedLine]>,
    /// What became free by it.
    pub freed: Arc<[AllocatedLine]>,
    /// What no longer waits by it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub unqueued: Arc<[WantedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// Lines were not given back, and never will be under this id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseRefused {
    /// The caller's id of this release.
    pub release_id: Reference,
    /// Why.
    pub reason: RefusalReason,
    /// What was asked to be given back.
    pub lines: Arc<[WantedLine]>,
}

/// In what state something came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Grade {
    /// As new: sold again.
    A,
    /// Used: to quarantine.
    B,
    /// Broken: to quarantine.
    Damaged,
}

/// Pieces of a line that came back in one state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RestockLine {
    /// The order's line number.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// Where they lie from now on.
    pub location: Location,
    /// In what state.
    pub grade: Grade,
}

/// Pieces that were shipped came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockRestocked {
    /// The return that they came with.
    pub restock_id: Reference,
    /// Which pieces.
    pub lines: Arc<[RestockLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// Lines of a return were not booked, and never will be under this id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestockRefused {
    /// The return.
    pub restock_id: Reference,
    /// Why.
    pub reason: RefusalReason,
    /// What was to come back.
    pub lines: Arc<[RestockLine]>,
}

/// What happens to a reservation.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum ReservationEvent {
    StockReserved(StockReserved),
    ReservationRefused(ReservationRefused),
    ReservationCommitted(ReservationCommitted),
    ReservationReleased(ReservationReleased),
    ReservationExpired(ReservationExpired),
    ReservationReReserved(ReservationReReserved),
    CommitRefused(CommitRefused),
    ReservationExtended(ReservationExtended),
    BackorderFilled(BackorderFilled),
    StockShipped(StockShipped),
    ShipRefused(ShipRefused),
    LinesReleased(LinesReleased),
    ReleaseRefused(ReleaseRefused),
    StockRestocked(StockRestocked),
    RestockRefused(RestockRefused),
}
stored_events!(ReservationEvent {
    StockReserved: 1,
    ReservationRefused: 1,
    ReservationCommitted: 1,
    ReservationReleased: 1,
    ReservationExpired: 1,
    ReservationReReserved: 1,
    CommitRefused: 1,
    ReservationExtended: 1,
    BackorderFilled: 1,
    StockShipped: 1,
    ShipRefused: 1,
    LinesReleased: 1,
    ReleaseRefused: 1,
    StockRestocked: 1,
    RestockRefused: 1,
});

impl ReservationEvent {
    /// Whether it promises stock that nobody has made final yet.
    pub fn is_grant(&self) -> bool {
        matches!(self, ReservationEvent::StockReserved(_))
    }

    /// Whether it gives the whole reservation up.
    pub fn is_release(&self) -> bool {
        matches!(self, ReservationEvent::ReservationReleased(_))
    }
}

impl MovesStock for ReservationEvent {
    fn changes(&self) -> Vec<Change> {
        match self {
            ReservationEvent::StockReserved(e) => both(Change::promises(&e.lines, 1), &e.backordered, 1),
            ReservationEvent::ReservationReReserved(e) => {
                both(Change::promises(&e.lines, 1), &e.backordered, 1)
            }
            ReservationEvent::ReservationReleased(e) => both(Change::promised(&e.freed, -1), &e.unqueued, -1),
            ReservationEvent::ReservationExpired(e) => both(Change::promised(&e.freed, -1), &e.unqueued, -1),
            ReservationEvent::LinesReleased(e) => both(Change::promises(&e.freed, -1), &e.unqueued, -1),
            ReservationEvent::BackorderFilled(e) => filled(&e.lines),
            ReservationEvent::StockShipped(e) => portions(&e.lines).iter().map(shipped).collect(),
            ReservationEvent::StockRestocked(e) => e.lines.iter().map(RestockLine::change).collect(),
            ReservationEvent::ReservationRefused(_)
            | ReservationEvent::ReservationCommitted(_)
            | ReservationEvent::ReservationExtended(_)
            | ReservationEvent::CommitRefused(_)
            | ReservationEvent::ShipRefused(_)
            | ReservationEvent::ReleaseRefused(_)
            | ReservationEvent::RestockRefused(_) => Vec::new(),
        }
    }

    fn stamp(&mut self, stock: &Stock) {
        let changes = self.changes();
        let after = || stock.levels(changes.iter().map(Change::sku));
        match self {
            ReservationEvent::StockReserved(e) => e.levels = after(),
            ReservationEvent::ReservationReReserved(e) => e.levels = after(),
            ReservationEvent::ReservationReleased(e) => e.levels = after(),
            ReservationEvent::ReservationExpired(e) => e.levels = after(),
            ReservationEvent::LinesReleased(e) => e.levels = after(),
            ReservationEvent::StockShipped(e) => e.levels = after(),
            ReservationEvent::StockRestocked(e) => e.levels = after(),
            // What it fills is told by the event that brought the stock.
            ReservationEvent::BackorderFilled(_)
            | ReservationEvent::ReservationRefused(_)
            | ReservationEvent::ReservationCommitted(_)
            | ReservationEvent::ReservationExtended(_)
            | ReservationEvent::CommitRefused(_)
            | ReservationEvent::ShipRefused(_)
            | ReservationEvent::ReleaseRefused(_)
            | ReservationEvent::RestockRefused(_) => {}
        }
    }
}

fn both(mut shelves: Vec<Change>, queued: &[WantedLine], sign: i64) -> Vec<Change> {
    shelves.extend(Change::queues(queued, sign));
    shelves
}

fn filled(lines: &[AllocatedLine]) -> Vec<Change> {
    let mut changes = Change::promises(lines, 1);
    changes.extend(lines.iter().map(|line| Change::Queue {
        line: line.line,
        sku: line.sku.clone(),
        pieces: -pieces(line.quantity),
    }));
    changes
}

fn shipped(portion: &Portion) -> Change {
    let on = ShelfChange::moved(&portion.sku, &portion.location, -portion.quantity);
    Change::Shelf(ShelfChange { reserved: -portion.quantity, ..on })
}

impl RestockLine {
    fn change(&self) -> Change {
        let came = pieces(self.quantity);
        let quarantined = match self.grade {
            Grade::A => 0,
            Grade::B | Grade::Damaged => came,
        };
        let on = ShelfChange::moved(&self.sku, &self.location, came);
        Change::Shelf(ShelfChange { quarantined, ..on })
    }
}
