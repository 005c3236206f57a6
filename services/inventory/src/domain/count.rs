//! A count: how many pieces a person found on a shelf, booked once; and, when that was too little for what is
//! promised, the shortfall that waits for a person. The books never go below what is promised: what is missing
//! has its own count on the shelf until somebody says what became of it.
use super::settle::MovesStock;
use super::stock::{Change, Level, ShelfChange, Stock};
use super::transfer::unknown;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, OrderId, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Code, Rejection};
use std::sync::Arc;

/// The wish to book a count.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// All pieces that were found there, those in quarantine too.
    pub pieces: i64,
    /// Whether to book it although more is promised.
    pub force: bool,
}

/// A shelf was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockCounted {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many pieces were found.
    pub counted: i64,
    /// The difference in pieces that are there by the books.
    pub delta: i64,
    /// The SKU over all locations right after it: the answer to this count, for ever.
    pub level: Level,
}

/// Fewer pieces were found than are promised or in quarantine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockShortfall {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many are missing.
    pub missing: i64,
    /// The orders that will not get theirs unless somebody acts, the youngest first.
    pub reservations: Arc<[OrderId]>,
}

/// What became of a shortfall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// The pieces turned up.
    Found,
    /// The pieces are gone.
    WrittenOff,
}

/// A person said what became of a shortfall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShortfallResolved {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// How many were missing.
    pub missing: i64,
    /// What became of them.
    pub decision: Verdict,
    /// Why, in the person's words.
    pub reason: Arc<str>,
    /// The SKU over all locations right after it: the answer to it, for ever.
    pub level: Level,
}

/// What happens to a count.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum CountEvent {
    StockCounted(StockCounted),
    StockShortfall(StockShortfall),
    ShortfallResolved(ShortfallResolved),
}
stored_events!(CountEvent { StockCounted: 1, StockShortfall: 1, ShortfallResolved: 1 });

impl MovesStock for CountEvent {
    fn changes(&self) -> Vec<Change> {
        match self {
            CountEvent::StockCounted(e) => {
                vec![Change::Shelf(ShelfChange::moved(&e.sku, &e.location, e.delta))]
            }
            CountEvent::StockShortfall(e) => {
                let on = ShelfChange::on(&e.sku, &e.location);
                vec![Change::Shelf(ShelfChange { missing: e.missing, ..on })]
            }
            CountEvent::ShortfallResolved(e) => {
                let gone = match e.decision {
                    Verdict::Found => 0,
                    Verdict::WrittenOff => e.missing,
                };
                let on = ShelfChange::moved(&e.sku, &e.location, -gone);
                vec![Change::Shelf(ShelfChange { missing: -e.missing, ..on })]
            }
        }
    }

    fn stamp(&mut self, stock: &Stock) {
        match self {
            CountEvent::StockCounted(e) => e.level = stock.level_now(&e.sku),
            CountEvent::ShortfallResolved(e) => e.level = stock.level_now(&e.sku),
            CountEvent::StockShortfall(_) => {}
        }
    }
}

/// A count, booked or not, and what it led to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Count {
    booked: Option<StockCounted>,
    shortfall: Option<StockShortfall>,
    resolved: Option<ShortfallResolved>,
}

impl Aggregate for Count {
    type Event = CountEvent;
    const CATEGORY: &'static str = "count";

    fn evolve(&mut self, event: &CountEvent) {
        match event {
            CountEvent::StockCounted(e) => self.booked = Some(e.clone()),
            CountEvent::StockShortfall(e) => self.shortfall = Some(e.clone()),
            CountEvent::ShortfallResolved(e) => self.resolved = Some(e.clone()),
        }
    }
}

impl Count {
    /// What was booked.
    pub fn booked(&self) -> Option<&StockCounted> {
        self.booked.as_ref()
    }

    /// What was missing.
    pub fn shortfall(&self) -> Option<&StockShortfall> {
        self.shortfall.as_ref()
    }

    /// The shortfall, while nobody has said what became of it.
    pub fn open_shortfall(&self) -> Option<&StockShortfall> {
        self.shortfall.as_ref().filter(|_| self.resolved.is_none())
    }

    /// What became of the shortfall.
    pub fn resolved(&self) -> Option<&ShortfallResolved> {
        self.resolved.as_ref()
    }

    /// `CountStock`: the shelf has what was found. Less than is promised there is refused; forced, the books
    /// stay at what is promised, and the rest is missing. `youngest` are those who hold pieces of that shelf,
    /// the youngest first, as many as it takes. The same count again changes nothing.
    pub fn count(
        &self,
        wish: &Counted,
        stock: &Stock,
        youngest: &[OrderId],
    ) -> Result<Vec<CountEvent>, Rejection> {
        if let Some(booked) = &self.booked {
            let counted = (&wish.sku, &wish.location, wish.pieces);
            let same = (&booked.sku, &booked.location, booked.counted) == counted;
            return if same { Ok(Vec::new()) } else { Err(conflict()) };
        }
        let level = stock.level(&wish.sku).ok_or_else(|| unknown(&wish.sku))?;
        let shelf = stock.shelf(&wish.sku, &wish.location);
        if shelf.is_some_and(|shelf| shelf.missing > 0) {
            return Err(shortfall_open(&wish.sku));
        }
        let (on_hand, bound) =
            shelf.map_or((0, 0), |shelf| (shelf.on_hand, shelf.reserved + shelf.quarantined));
        let missing = (bound - wish.pieces).max(0);
        if missing > 0 && !wish.force {
            return Err(below_reserved(&wish.sku, wish.pieces, bound));
        }
        let delta = wish.pieces + missing - on_hand;
        stock.refuse_to_put(&wish.sku, &wish.location, delta)?;
        let (sku, location) = (wish.sku.clone(), wish.location.clone());
        let counted = wish.pieces;
        let booked = StockCounted { sku: sku.clone(), location: location.clone(), counted, delta, level };
        let mut events = vec![CountEvent::StockCounted(booked)];
        if missing > 0 {
            let reservations = youngest.into();
            events.push(CountEvent::StockShortfall(StockShortfall { sku, location, missing, reservations }));
        }
        Ok(events)
    }

    /// `ResolveShortfall`: pieces can be written off only when what is left is enough for what is promised.
    pub fn resolve(
        &self,
        decision: Verdict,
        reason: &Arc<str>,
        stock: &Stock,
    ) -> Result<Vec<CountEvent>, Rejection> {
        let Some(shortfall) = &self.shortfall else { return Err(no_shortfall()) };
        if let Some(resolved) = &self.resolved {
            return if resolved.decision == decision { Ok(Vec::new()) } else { Err(resolved_before()) };
        }
        let StockShortfall { sku, location, missing, .. } = shortfall.clone();
        let spare = stock.shelf(&sku, &location).map_or(0, super::Shelf::spare);
        if decision == Verdict::WrittenOff && spare < 0 {
            return Err(Rejection::new("BELOW_RESERVED", "more is promised than would be left")
                .with("sku", &sku)
                .with("missing", -spare));
        }
        let (level, reason) = (stock.level_now(&sku), reason.clone());
        let resolved = ShortfallResolved { sku, location, missing, decision, reason, level };
        Ok(vec![CountEvent::ShortfallResolved(resolved)])
    }
}

fn conflict() -> Rejection {
    Rejection::new("COUNT_CONFLICT", "a count with this id and other content was booked before")
}

fn shortfall_open(sku: &Sku) -> Rejection {
    let message = "pieces are missing there: say first what became of them";
    Rejection::new("SHORTFALL_OPEN", message).with("sku", sku)
}

fn below_reserved(sku: &Sku, counted: i64, bound: i64) -> Rejection {
    Rejection::new("BELOW_RESERVED", "more is promised than was found; force books it as a shortfall")
        .with("sku", sku)
        .with("counted", counted)
        .with("reserved", bound)
}

fn no_shortfall() -> Rejection {
    Rejection::new("NOT_FOUND", "there is no such shortfall").code(Code::NotFound)
}

fn resolved_before() -> Rejection {
    Rejection::new("SHORTFALL_RESOLVED", "it was said before that something else became of it")
}
