//! An adjustment: what a count or a breakage told about a SKU at one location, booked once.
use super::settle::MovesStock;
use super::stock::{Change, Level, Shelf, ShelfChange, Stock};
use super::transfer::unknown;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Rejection;
use std::sync::Arc;

/// The wish to correct the stock by a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjust {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// The difference in pieces that are there; not zero.
    pub delta: i64,
    /// Why, in a person's words.
    pub reason: Arc<str>,
    /// Whether the pieces are those in quarantine.
    pub quarantine: bool,
}

/// The stock was corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockAdjusted {
    /// What.
    pub sku: Sku,
    /// Where.
    pub location: Location,
    /// The difference in pieces that are there.
    pub delta: i64,
    /// Why, in a person's words.
    pub reason: Arc<str>,
    /// The SKU over all locations right after it: the answer to this adjustment, for ever.
    pub level: Level,
    /// Whether the pieces are those in quarantine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub quarantine: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(yes: &bool) -> bool {
    !yes
}

/// What happens to an adjustment: it is booked.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variant is documented at its struct")]
pub enum AdjustmentEvent {
    StockAdjusted(StockAdjusted),
}
stored_events!(AdjustmentEvent { StockAdjusted: 1 });

impl MovesStock for AdjustmentEvent {
    fn changes(&self) -> Vec<Change> {
        let AdjustmentEvent::StockAdjusted(e) = self;
        let quarantined = if e.quarantine { e.delta } else { 0 };
        let on = ShelfChange::moved(&e.sku, &e.location, e.delta);
        vec![Change::Shelf(ShelfChange { quarantined, ..on })]
    }

    fn stamp(&mut self, stock: &Stock) {
        let AdjustmentEvent::StockAdjusted(e) = self;
        e.level = stock.level_now(&e.sku);
    }
}

/// An adjustment, booked or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adjustment {
    booked: Option<StockAdjusted>,
}

impl Aggregate for Adjustment {
    type Event = AdjustmentEvent;
    const CATEGORY: &'static str = "adjustment";

    fn evolve(&mut self, event: &AdjustmentEvent) {
        let AdjustmentEvent::StockAdjusted(booked) = event;
        self.booked = Some(booked.clone());
    }
}

impl Adjustment {
    /// What was booked.
    pub fn booked(&self) -> Option<&StockAdjusted> {
        self.booked.as_ref()
    }

    /// `AdjustStock`: never below what is promised, never clamped. The same adjustment again changes
    /// nothing. A SKU that was never received is a typing error and not a find.
    pub fn adjust(&self, wish: &Adjust, stock: &Stock) -> Result<Vec<AdjustmentEvent>, Rejection> {
        if let Some(booked) = &self.booked {
            return if booked.is(wish) { Ok(Vec::new()) } else { Err(conflict()) };
        }
        let level = stock.level(&wish.sku).ok_or_else(|| unknown(&wish.sku))?;
        let shelf = stock.shelf(&wish.sku, &wish.location);
        let quarantined = shelf.map_or(0, |shelf| shelf.quarantined);
        if wish.quarantine && quarantined.saturating_add(wish.delta) < 0 {
            return Err(not_in_quarantine(&wish.sku, quarantined));
        }
        let spare = shelf.map_or(0, Shelf::spare);
        if !wish.quarantine && wish.delta < 0 && spare.saturating_add(wish.delta) < 0 {
            let (on_hand, reserved) = shelf.map_or((0, 0), |shelf| (shelf.on_hand, shelf.reserved));
            return Err(below_reserved(&wish.sku, on_hand, reserved));
        }
        stock.refuse_to_put(&wish.sku, &wish.location, wish.delta)?;
        let level = Level { on_hand: level.on_hand + wish.delta, ..level };
        Ok(vec![AdjustmentEvent::StockAdjusted(StockAdjusted::of(wish, level))])
    }
}

impl StockAdjusted {
    fn of(wish: &Adjust, level: Level) -> Self {
        let Adjust { sku, location, delta, reason, quarantine } = wish.clone();
        Self { sku, location, delta, reason, level, quarantine }
    }

    fn is(&self, wish: &Adjust) -> bool {
        *self == Self::of(wish, self.level)
    }
}

fn conflict() -> Rejection {
    Rejection::new("ADJUSTMENT_CONFLICT", "an adjustment with this id and other content was booked before")
}

fn not_in_quarantine(sku: &Sku, quarantined: i64) -> Rejection {
    Rejection::new("INSUFFICIENT_STOCK", "there are not so many pieces in quarantine")
        .with("sku", sku)
        .with("available", quarantined)
}

fn below_reserved(sku: &Sku, on_hand: i64, reserved: i64) -> Rejection {
    Rejection::new("BELOW_RESERVED", "the stock cannot become less than what is promised")
        .with("sku", sku)
        .with("on_hand", on_hand)
        .with("reserved", reserved)
}
