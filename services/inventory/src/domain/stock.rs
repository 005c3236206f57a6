//! What stands where, and how an order's lines are laid on it.
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_kernel::Rejection;
use std::collections::{BTreeMap, HashMap};
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
    /// Pieces that are there.
    pub on_hand: i64,
    /// Pieces of these that are promised.
    pub reserved: i64,
}

impl Shelf {
    /// Pieces that may still be promised.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// A SKU over all its locations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Pieces that are there.
    pub on_hand: i64,
    /// Pieces of these that are promised.
    pub reserved: i64,
}

impl Level {
    /// Pieces that may still be promised.
    pub fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// The shelves of the SKUs that a decision asked for. A SKU without a shelf was never in stock.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// Each list is in the order of the locations' names.
    shelves: HashMap<Sku, Vec<Shelf>>,
}

impl Stock {
    /// Takes in one shelf, in any order.
    pub fn put(&mut self, sku: Sku, shelf: Shelf) {
        let shelves = self.shelves.entry(sku).or_default();
        let place = shelves.partition_point(|other| other.location < shelf.location);
        shelves.insert(place, shelf);
    }

    /// The SKU's shelves by the names of their locations.
    pub fn shelves(&self, sku: &Sku) -> &[Shelf] {
        self.shelves.get(sku).map_or(&[], Vec::as_slice)
    }

    /// The SKU at this location.
    pub fn shelf(&self, sku: &Sku, location: &Location) -> Option<&Shelf> {
        self.shelves(sku).iter().find(|shelf| shelf.location == *location)
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
        let shelves = self.shelves.get(sku)?;
        let on_hand = shelves.iter().map(|shelf| shelf.on_hand).sum();
        let reserved = shelves.iter().map(|shelf| shelf.reserved).sum();
        Some(Level { on_hand, reserved })
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

/// Lays all the lines on the shelves, or none. A line goes whole to the first location, by name, that has
/// all of it; only when none has, it is split over locations in that order.
pub fn allocate(stock: &Stock, wanted: &[WantedLine]) -> Result<Arc<[AllocatedLine]>, Refusal> {
    refuse_shortages(stock, wanted)?;
    let mut free = Free { stock, taken: HashMap::new() };
    let mut allocated = Vec::with_capacity(wanted.len());
    for line in wanted {
        free.lay(line, &mut allocated);
    }
    Ok(allocated.into())
}

/// The same SKU may stand in many lines: only its sum tells whether there is enough.
fn refuse_shortages(stock: &Stock, wanted: &[WantedLine]) -> Result<(), Refusal> {
    let mut sums: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in wanted {
        *sums.entry(&line.sku).or_default() += pieces(line.quantity);
    }
    let (mut unknown, mut short) = (Vec::new(), Vec::new());
    for (sku, wanted) in sums {
        let level = stock.level(sku);
        let available = level.map_or(0, |level| level.available());
        let shortage = || Shortage { sku: sku.clone(), wanted, available };
        if level.is_none() {
            unknown.push(shortage());
        } else if wanted > available {
            short.push(shortage());
        }
    }
    if !unknown.is_empty() {
        return Err(Refusal { reason: RefusalReason::UnknownSku, shortages: unknown.into() });
    }
    if !short.is_empty() {
        return Err(Refusal { reason: RefusalReason::InsufficientStock, shortages: short.into() });
    }
    Ok(())
}

/// What is left on the shelves while an order's lines are laid on them.
struct Free<'a> {
    stock: &'a Stock,
    /// By SKU, how much of each shelf the earlier lines took.
    taken: HashMap<&'a Sku, Vec<i64>>,
}

impl<'a> Free<'a> {
    fn lay(&mut self, line: &'a WantedLine, allocated: &mut Vec<AllocatedLine>) {
        let shelves = self.stock.shelves(&line.sku);
        let taken = self.taken.entry(&line.sku).or_insert_with(|| vec![0; shelves.len()]);
        let wanted = pieces(line.quantity);
        let has_all = |at: &usize| shelves[*at].available() - taken[*at] >= wanted;
        let places = match (0..shelves.len()).find(has_all) {
            Some(whole) => whole..whole + 1,
            None => 0..shelves.len(),
        };
        let mut left = wanted;
        for at in places {
            let part = left.min(shelves[at].available() - taken[at]);
            if part > 0 {
                taken[at] += part;
                left -= part;
                allocated.push(part_of(line, part, &shelves[at].location));
            }
        }
        debug_assert_eq!(left, 0, "the sums were checked before");
    }
}

fn part_of(line: &WantedLine, part: i64, location: &Location) -> AllocatedLine {
    let part = u32::try_from(part).expect("a part is not larger than its line");
    AllocatedLine {
        line: line.line,
        sku: line.sku.clone(),
        quantity: Quantity::try_new(part).expect("a part is at least one and not larger than its line"),
        location: location.clone(),
    }
}

pub(super) fn pieces(quantity: Quantity) -> i64 {
    i64::from(quantity.get())
}
