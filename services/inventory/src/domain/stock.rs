//! What stands where and how it is sold: what a decision is told, and what events do to it.
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, OrderId, Quantity, Sku};
use souk_kernel::Rejection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The most pieces of a SKU that one location may hold. Sums over locations and orders stay far inside i64.
pub const ON_HAND_MAX: i64 = 1_000_000_000_000;

/// The most locations that one SKU may lie at. A decision reads all shelves of its SKUs.
pub const LOCATIONS_MAX: usize = 100;

/// One SKU at one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    /// Where.
    pub location: Location,
    /// Pieces that are there by the books.
    pub on_hand: i64,
    /// Pieces of these that are promised.
    pub reserved: i64,
    /// Pieces of these that a count did not find; a person has yet to say what became of them.
    pub missing: i64,
    /// Pieces of these that came back and cannot be sold.
    pub quarantined: i64,
    /// How the location ranks.
    pub rank: Rank,
}

/// How a location ranks: stock is taken from open ones only, from the smallest priority first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// The smallest first; among equals by name.
    pub priority: u32,
    /// Whether stock is taken from it.
    pub open: bool,
}

impl Default for Rank {
    /// A location of which nobody has said anything.
    fn default() -> Self {
        Self { priority: 0, open: true }
    }
}

impl Shelf {
    /// A shelf at a location of which nobody has said anything.
    pub fn new(location: Location, on_hand: i64, reserved: i64) -> Self {
        Self { location, on_hand, reserved, missing: 0, quarantined: 0, rank: Rank::default() }
    }

    /// Pieces that are neither promised, nor missing, nor in quarantine. Below 0 only while some are missing.
    pub fn spare(&self) -> i64 {
        self.on_hand - self.reserved - self.missing - self.quarantined
    }

    /// Pieces that may still be promised from here.
    pub fn free(&self) -> i64 {
        if self.rank.open { self.spare().max(0) } else { 0 }
    }

    fn comes_before(&self, other: &Shelf) -> bool {
        (self.rank.priority, &self.location) < (other.rank.priority, &other.location)
    }
}

/// How a SKU is sold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Pieces over all locations that are kept back.
    pub safety: i64,
    /// Low is what has fewer than this to promise; 0 for never.
    pub low_below: i64,
    /// Pieces that may be sold before they are there.
    pub backorder_limit: i64,
}

/// A SKU over all its locations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Pieces that are there.
    pub on_hand: i64,
    /// Pieces of these that are promised.
    pub reserved: i64,
    /// Pieces of these that a count did not find.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: i64,
    /// Pieces of these that came back and cannot be sold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quarantined: i64,
    /// Spare pieces of these that are not sold from where they lie, less what other shelves miss too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub elsewhere: i64,
    /// Pieces that are kept back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub safety: i64,
    /// Pieces that were sold and are not there yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub backordered: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(pieces: &i64) -> bool {
    *pieces == 0
}

impl Level {
    /// Pieces that may still be promised to a new order.
    pub fn available(&self) -> i64 {
        (self.spare() - self.safety - self.backordered).max(0)
    }

    /// Pieces at open locations that nobody has a claim on.
    fn spare(&self) -> i64 {
        self.on_hand - self.reserved - self.missing - self.quarantined - self.elsewhere
    }
}

/// A SKU's level as an event tells it: what others hear of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// What.
    pub sku: Sku,
    /// Pieces that are there.
    pub on_hand: i64,
    /// Pieces of these that are promised.
    pub reserved: i64,
    /// Pieces that may still be promised to a new order.
    pub available: i64,
}

/// The levels of the SKUs that an event moved, right after its commit. Empty in events of earlier releases.
pub type Levels = Arc<[StockLevel]>;

/// A line of an order that waits for stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose.
    pub order: OrderId,
    /// Which line, and how many pieces.
    pub line: WantedLine,
}

/// All that a decision knows of one SKU.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// In the order in which stock is taken from them.
    shelves: Vec<Shelf>,
    terms: Terms,
    backordered: i64,
    /// Those who wait, the oldest first; only for decisions that may bring something to them.
    waiting: Vec<Waiting>,
}

/// The shelves and terms of the SKUs that a decision asked for. A SKU without a shelf was never in stock.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    entries: HashMap<Sku, Entry>,
}

impl Stock {
    /// Takes in one shelf, in any order.
    pub fn put(&mut self, sku: Sku, shelf: Shelf) {
        let shelves = &mut self.entries.entry(sku).or_default().shelves;
        let place = shelves.partition_point(|other| other.comes_before(&shelf));
        shelves.insert(place, shelf);
    }

    /// Takes in how a SKU is sold, and how many pieces of it are sold that are not there yet.
    pub fn put_terms(&mut self, sku: Sku, terms: Terms, backordered: i64) {
        let entry = self.entries.entry(sku).or_default();
        (entry.terms, entry.backordered) = (terms, backordered);
    }

    /// Takes in one who waits, the oldest first.
    pub fn put_waiting(&mut self, waiting: Waiting) {
        let entry = self.entries.entry(waiting.line.sku.clone()).or_default();
        entry.waiting.push(waiting);
    }

    /// The SKU's shelves in the order in which stock is taken from them.
    pub fn shelves(&self, sku: &Sku) -> &[Shelf] {
        self.entries.get(sku).map_or(&[], |entry| entry.shelves.as_slice())
    }

    /// The SKU at this location.
    pub fn shelf(&self, sku: &Sku, location: &Location) -> Option<&Shelf> {
        self.shelves(sku).iter().find(|shelf| shelf.location == *location)
    }

    /// How the SKU is sold.
    pub fn terms(&self, sku: &Sku) -> Terms {
        self.entries.get(sku).map_or_else(Terms::default, |entry| entry.terms)
    }

    /// Whether anything was read of this SKU. What was ever promised was in stock, or has terms.
    pub fn knows(&self, sku: &Sku) -> bool {
        self.entries.contains_key(sku)
    }

    /// Pieces that may be sold although they are not there.
    pub fn backorder_room(&self, sku: &Sku) -> i64 {
        let room = |entry: &Entry| (entry.terms.backorder_limit - entry.backordered).max(0);
        self.entries.get(sku).map_or(0, room)
    }

    /// Refuses to put more of a SKU on a shelf than a location holds, or to open one shelf too many.
    pub(super) fn refuse_to_put(&self, sku: &Sku, location: &Location, pieces: i64) -> Result<(), Rejection> {
        let on_hand = self.shelf(sku, location).map(|shelf| shelf.on_hand);
        if on_hand.is_none() && self.shelves(sku).len() >= LOCATIONS_MAX {
            return Err(too_many_locations(sku));
        }
        let on_hand = on_hand.unwrap_or(0);
        if on_hand.saturating_add(pieces) > ON_HAND_MAX { Err(overflow(sku, on_hand)) } else { Ok(()) }
    }

    /// The SKU over all locations; `None` when it was never in stock.
    pub fn level(&self, sku: &Sku) -> Option<Level> {
        let entry = self.entries.get(sku).filter(|entry| !entry.shelves.is_empty())?;
        Some(entry.level())
    }

    /// The SKU over all locations, also when it was never in stock.
    pub fn level_now(&self, sku: &Sku) -> Level {
        self.entries.get(sku).map(Entry::level).unwrap_or_default()
    }

    /// The levels of these SKUs, each once, in their order.
    pub fn levels<'a>(&self, skus: impl IntoIterator<Item = &'a Sku>) -> Levels {
        let skus: BTreeSet<&Sku> = skus.into_iter().collect();
        let level = |sku: &Sku| {
            let level = self.level_now(sku);
            let (on_hand, reserved, available) = (level.on_hand, level.reserved, level.available());
            StockLevel { sku: sku.clone(), on_hand, reserved, available }
        };
        skus.into_iter().map(level).collect()
    }

    /// The SKU's oldest waiting lines, and the pieces that they may have: what is kept back is not for them.
    pub(super) fn queue(&self, sku: &Sku) -> (&[Waiting], i64) {
        let Some(entry) = self.entries.get(sku) else { return (&[], 0) };
        (&entry.waiting, entry.level().spare() - entry.terms.safety)
    }

    /// Does to the shelves what the view does to its rows. `own` is the order whose event it is, if it is one's.
    pub fn apply(&mut self, change: &Change, own: Option<OrderId>) {
        match change {
            Change::Shelf(change) => self.move_shelf(change),
            Change::Queue { line, sku, pieces } => self.move_queue(own, *line, sku, *pieces),
            Change::Terms { sku, terms } => self.entries.entry(sku.clone()).or_default().terms = *terms,
        }
    }

    fn move_shelf(&mut self, change: &ShelfChange) {
        let ShelfChange { sku, location, on_hand, reserved, missing, quarantined } = change;
        if self.shelf(sku, location).is_none() {
            self.put(sku.clone(), Shelf::new(location.clone(), 0, 0));
        }
        let shelves = self.entries.get_mut(sku).into_iter().flat_map(|entry| entry.shelves.iter_mut());
        for shelf in shelves.filter(|shelf| shelf.location == *location) {
            shelf.on_hand += on_hand;
            shelf.reserved += reserved;
            shelf.missing += missing;
            shelf.quarantined += quarantined;
        }
    }

    /// Whoever joins a queue now gets nothing by the same decision, so only the count needs to know.
    fn move_queue(&mut self, own: Option<OrderId>, line: u32, sku: &Sku, pieces: i64) {
        let Some(entry) = self.entries.get_mut(sku) else { return };
        entry.backordered += pieces;
        let is_own = |waiting: &Waiting| Some(waiting.order) == own && waiting.line.line == line;
        if pieces < 0
            && let Some(at) = entry.waiting.iter().position(is_own)
        {
            let left = self::pieces(entry.waiting[at].line.quantity) + pieces;
            match Quantity::try_new(left) {
                Ok(left) => entry.waiting[at].line.quantity = left,
                Err(_) => drop(entry.waiting.remove(at)),
            }
        }
    }
}

impl Entry {
    fn level(&self) -> Level {
        let sum = |count: fn(&Shelf) -> i64| self.shelves.iter().map(count).sum::<i64>();
        Level {
            on_hand: sum(|shelf| shelf.on_hand),
            reserved: sum(|shelf| shelf.reserved),
            missing: sum(|shelf| shelf.missing),
            quarantined: sum(|shelf| shelf.quarantined),
            elsewhere: sum(|shelf| shelf.spare() - shelf.free()),
            safety: self.terms.safety,
            backordered: self.backordered,
        }
    }
}

/// What an event does to stock: the view writes it to its rows, and a decision to what it has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A shelf's counts move.
    Shelf(ShelfChange),
    /// An order's line waits for so many pieces more, or fewer.
    Queue {
        /// The order's line.
        line: u32,
        /// What.
        sku: Sku,
        /// How many more.
        pieces: i64,
    },
    /// A SKU is sold on other terms.
    Terms {
        /// What.
        sku: Sku,
        /// How from now on.
        terms: Terms,
    },
}

/// The differences that an event makes to one shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct ShelfChange {
    pub sku: Sku,
    pub location: Location,
    pub on_hand: i64,
    pub reserved: i64,
    pub missing: i64,
    pub quarantined: i64,
}

impl ShelfChange {
    /// Nothing yet, on this shelf.
    pub fn on(sku: &Sku, location: &Location) -> Self {
        let (sku, location) = (sku.clone(), location.clone());
        Self { sku, location, on_hand: 0, reserved: 0, missing: 0, quarantined: 0 }
    }

    /// Pieces come, or go.
    pub fn moved(sku: &Sku, location: &Location, pieces: i64) -> Self {
        Self { on_hand: pieces, ..Self::on(sku, location) }
    }
}

impl Change {
    /// Which SKU it is about.
    pub fn sku(&self) -> &Sku {
        match self {
            Change::Shelf(change) => &change.sku,
            Change::Queue { sku, .. } | Change::Terms { sku, .. } => sku,
        }
    }

    /// Promises these lines, or with −1 gives them back.
    pub(super) fn promises(lines: &[AllocatedLine], sign: i64) -> Vec<Change> {
        Self::promised(&portions(lines), sign)
    }

    /// Promises these pieces, or with −1 gives them back.
    pub(super) fn promised(portions: &[Portion], sign: i64) -> Vec<Change> {
        let change = |portion: &Portion| {
            let on = ShelfChange::on(&portion.sku, &portion.location);
            Change::Shelf(ShelfChange { reserved: sign * portion.quantity, ..on })
        };
        portions.iter().map(change).collect()
    }

    /// Lets these lines wait, or with −1 no longer.
    pub(super) fn queues(lines: &[WantedLine], sign: i64) -> Vec<Change> {
        let change = |line: &WantedLine| Change::Queue {
            line: line.line,
            sku: line.sku.clone(),
            pieces: sign * pieces(line.quantity),
        };
        lines.iter().map(change).collect()
    }
}

fn overflow(sku: &Sku, on_hand: i64) -> Rejection {
    Rejection::new("STOCK_OVERFLOW", format!("a location holds at most {ON_HAND_MAX} pieces of a SKU"))
        .with("sku", sku)
        .with("on_hand", on_hand)
}

fn too_many_locations(sku: &Sku) -> Rejection {
    Rejection::new("TOO_MANY_LOCATIONS", format!("a SKU lies at {LOCATIONS_MAX} locations at most"))
        .with("sku", sku)
}

/// A line of an order, as it asks for stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedLine {
    /// The order's line number. Lines keep it and are never merged.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// A line, or a part of one, with the place that it is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatedLine {
    /// The order's line number. A line that no location has whole has several parts, one after another.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many from this place.
    pub quantity: Quantity,
    /// Where from.
    pub location: Location,
}

/// Pieces of one SKU at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many.
    pub quantity: i64,
}

/// The lines summed by SKU and place, in that order: what a shelf's count moves by.
pub fn portions(lines: &[AllocatedLine]) -> Arc<[Portion]> {
    let mut sums: BTreeMap<(&Sku, &Location), i64> = BTreeMap::new();
    for line in lines {
        *sums.entry((&line.sku, &line.location)).or_default() += pieces(line.quantity);
    }
    let portion = |((sku, location), quantity): ((&Sku, &Location), i64)| Portion {
        sku: sku.clone(),
        location: location.clone(),
        quantity,
    };
    sums.into_iter().map(portion).collect()
}

/// A SKU of which there is not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// What.
    pub sku: Sku,
    /// How many the order wants, all its lines together.
    pub wanted: i64,
    /// How many could be promised.
    pub available: i64,
}

/// Why stock is not promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalReason {
    /// There is less than wanted.
    InsufficientStock,
    /// A SKU was never in stock here. It is never treated as available.
    UnknownSku,
    /// The promise ran out, and the stock is no longer there to promise it again.
    ReservationExpired,
    /// The reservation was given back; that is for ever.
    ReservationReleased,
    /// There was nothing to commit: no such reservation had been granted.
    ReservationUnknown,
    /// It is not committed, so nothing of it ships.
    ReservationNotCommitted,
    /// It holds less than that.
    ExceedsReserved,
    /// Less than that was shipped and is not back yet.
    ExceedsShipped,
    /// The location holds no more pieces of the SKU.
    StockOverflow,
    /// The SKU lies at too many locations already.
    TooManyLocations,
}

impl RefusalReason {
    /// The stable name, as in the contract's `Reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::InsufficientStock => "INSUFFICIENT_STOCK",
            RefusalReason::UnknownSku => "UNKNOWN_SKU",
            RefusalReason::ReservationExpired => "RESERVATION_EXPIRED",
            RefusalReason::ReservationReleased => "RESERVATION_RELEASED",
            RefusalReason::ReservationUnknown => "RESERVATION_UNKNOWN",
            RefusalReason::ReservationNotCommitted => "RESERVATION_NOT_COMMITTED",
            RefusalReason::ExceedsReserved => "EXCEEDS_RESERVED",
            RefusalReason::ExceedsShipped => "EXCEEDS_SHIPPED",
            RefusalReason::StockOverflow => "STOCK_OVERFLOW",
            RefusalReason::TooManyLocations => "TOO_MANY_LOCATIONS",
        }
    }
}

/// A promise that is not given, and what is short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The SKUs that are the reason, in their order.
    pub shortages: Arc<[Shortage]>,
}

pub(super) fn pieces(quantity: Quantity) -> i64 {
    i64::from(quantity.get())
}
