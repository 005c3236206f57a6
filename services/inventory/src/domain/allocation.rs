//! How an order's lines are laid on the shelves: from one location if it has all, else line by line.
use super::stock::{
    AllocatedLine, Refusal, RefusalReason, Shelf, Shortage, Stock, Waiting, WantedLine, pieces,
};
use souk_contracts::terms::{Location, OrderId, Quantity, Sku};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What to do when there is less than wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// All lines or none.
    #[default]
    AllOrNothing,
    /// As much as is there, in the order of the lines.
    Partial,
    /// What is not there is sold too, within the SKUs' limits; else all or nothing.
    Backorder,
}

/// What an order gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocation {
    /// What it gets, and from where.
    pub lines: Arc<[AllocatedLine]>,
    /// The SKUs of which it gets less than it wants, and nothing later.
    pub shortages: Arc<[Shortage]>,
    /// What it gets when it comes.
    pub backordered: Arc<[WantedLine]>,
}

/// Decides what the lines get, and lays it on the shelves. One location that has it all is preferred to
/// several; among several a line goes whole to the first that has all of it; only when none has, it is split.
/// *First* is by the locations' priority, then by name; so the same shelves always give the same answer.
pub fn allocate(stock: &Stock, wanted: &[WantedLine], policy: Policy) -> Result<Allocation, Refusal> {
    let sums = sums(wanted);
    let short = Short::of(&sums, |sku| stock.level(sku).map(|level| level.available()));
    if short.is_empty() {
        return Ok(laid(stock, wanted, Vec::new(), Arc::default()));
    }
    match policy {
        Policy::AllOrNothing => Err(short.refusal()),
        Policy::Partial => {
            let (granted, _) = within_available(stock, wanted);
            if granted.is_empty() {
                return Err(short.refusal());
            }
            Ok(laid(stock, &granted, Vec::new(), short.all()))
        }
        Policy::Backorder => {
            // One that was never here and may not be sold in advance is unknown.
            let room = |sku: &Sku| {
                let available = stock.level(sku).map_or(0, |level| level.available());
                stock.knows(sku).then(|| available + stock.backorder_room(sku))
            };
            let over = Short::of(&sums, room);
            if !over.is_empty() {
                return Err(over.refusal());
            }
            let (granted, backordered) = within_available(stock, wanted);
            Ok(laid(stock, &granted, backordered, Arc::default()))
        }
    }
}

/// The SKUs of which there is not enough.
#[derive(Default)]
struct Short {
    unknown: Vec<Shortage>,
    short: Vec<Shortage>,
}

impl Short {
    fn of(sums: &BTreeMap<&Sku, i64>, available: impl Fn(&Sku) -> Option<i64>) -> Self {
        let mut found = Self::default();
        for (&sku, &wanted) in sums {
            let shortage = |available| Shortage { sku: sku.clone(), wanted, available };
            match available(sku) {
                None => found.unknown.push(shortage(0)),
                Some(available) if wanted > available => found.short.push(shortage(available)),
                Some(_) => {}
            }
        }
        found
    }

    fn is_empty(&self) -> bool {
        self.unknown.is_empty() && self.short.is_empty()
    }

    /// An unknown SKU is the worse news, and the only news then.
    fn refusal(self) -> Refusal {
        if self.unknown.is_empty() {
            return Refusal { reason: RefusalReason::InsufficientStock, shortages: self.short.into() };
        }
        Refusal { reason: RefusalReason::UnknownSku, shortages: self.unknown.into() }
    }

    fn all(self) -> Arc<[Shortage]> {
        let mut all: Vec<Shortage> = self.unknown.into_iter().chain(self.short).collect();
        all.sort_by(|one, other| one.sku.cmp(&other.sku));
        all.into()
    }
}

fn laid(
    stock: &Stock,
    granted: &[WantedLine],
    backordered: Vec<WantedLine>,
    shortages: Arc<[Shortage]>,
) -> Allocation {
    let lines = match one_location(stock, &sums(granted)) {
        Some(location) => granted.iter().map(|line| part_of(line, pieces(line.quantity), location)).collect(),
        None => {
            let mut free = Free { stock, taken: HashMap::new() };
            let mut lines = Vec::with_capacity(granted.len());
            granted.iter().for_each(|line| free.lay(line, &mut lines));
            lines.into()
        }
    };
    Allocation { lines, shortages, backordered: backordered.into() }
}

/// The same SKU may stand in many lines: only its sum tells whether there is enough.
fn sums(wanted: &[WantedLine]) -> BTreeMap<&Sku, i64> {
    let mut sums: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in wanted {
        *sums.entry(&line.sku).or_default() += pieces(line.quantity);
    }
    sums
}

/// What can be promised of the lines, in their order, and what cannot.
fn within_available(stock: &Stock, wanted: &[WantedLine]) -> (Vec<WantedLine>, Vec<WantedLine>) {
    let mut left: HashMap<&Sku, i64> = HashMap::new();
    let (mut granted, mut rest) = (Vec::new(), Vec::new());
    for line in wanted {
        let available = || stock.level(&line.sku).map_or(0, |level| level.available());
        let left = left.entry(&line.sku).or_insert_with(available);
        let part = pieces(line.quantity).min(*left);
        *left -= part;
        granted.extend(line.some(part));
        rest.extend(line.some(pieces(line.quantity) - part));
    }
    (granted, rest)
}

/// The first location that has all of every SKU.
fn one_location<'a>(stock: &'a Stock, sums: &BTreeMap<&Sku, i64>) -> Option<&'a Location> {
    let (first, wanted) = sums.first_key_value()?;
    let candidates = stock.shelves(first).iter().filter(|shelf| shelf.free() >= *wanted);
    let has = |location: &Location, sku: &Sku, wanted: i64| {
        stock.shelf(sku, location).is_some_and(|shelf| shelf.free() >= wanted)
    };
    let has_all =
        |shelf: &&Shelf| sums.iter().skip(1).all(|(sku, wanted)| has(&shelf.location, sku, *wanted));
    candidates.into_iter().find(has_all).map(|shelf| &shelf.location)
}

/// What is left on the shelves while lines are laid on them.
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
        let has_all = |at: &usize| shelves[*at].free() - taken[*at] >= wanted;
        let places = match (0..shelves.len()).find(has_all) {
            Some(whole) => whole..whole + 1,
            None => 0..shelves.len(),
        };
        let mut left = wanted;
        for at in places {
            let part = left.min(shelves[at].free() - taken[at]);
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

/// What those who wait for this SKU get of what is there now: the oldest first, in part if need be.
pub fn served(stock: &Stock, sku: &Sku) -> Vec<(OrderId, Vec<AllocatedLine>)> {
    let (waiting, mut left) = stock.queue(sku);
    let mut due: Vec<Waiting> = Vec::new();
    for one in waiting {
        let Some(line) = one.line.some(pieces(one.line.quantity).min(left)) else { break };
        left -= pieces(line.quantity);
        due.push(Waiting { order: one.order, line });
    }
    let mut free = Free { stock, taken: HashMap::new() };
    let laid = due.iter().map(|one| {
        let mut lines = Vec::new();
        free.lay(&one.line, &mut lines);
        (one.order, lines)
    });
    laid.collect()
}
