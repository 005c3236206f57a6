//! A transfer: free pieces of a SKU that were carried from one location to another, booked once.
use super::settle::MovesStock;
use super::stock::{Change, Level, ShelfChange, Stock};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Rejection;
use std::sync::Arc;

/// The wish to carry pieces.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Transfer {
    pub sku: Sku,
    pub from: Location,
    pub to: Location,
    pub quantity: i64,
    pub reason: Arc<str>,
}

/// Pieces were carried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockTransferred {
    /// What.
    pub sku: Sku,
    /// Where it lay.
    pub from: Location,
    /// Where it lies now.
    pub to: Location,
    /// How many.
    pub quantity: i64,
    /// Why, in a person's words.
    pub reason: Arc<str>,
    /// The SKU over all locations right after it: the answer to this transfer, for ever.
    pub level: Level,
}

/// What happens to a transfer: it is booked.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variant is documented at its struct")]
pub enum TransferEvent {
    StockTransferred(StockTransferred),
}
stored_events!(TransferEvent { StockTransferred: 1 });

impl MovesStock for TransferEvent {
    fn changes(&self) -> Vec<Change> {
        let TransferEvent::StockTransferred(e) = self;
        let moved = |at, pieces| Change::Shelf(ShelfChange::moved(&e.sku, at, pieces));
        vec![moved(&e.from, -e.quantity), moved(&e.to, e.quantity)]
    }

    fn stamp(&mut self, stock: &Stock) {
        let TransferEvent::StockTransferred(e) = self;
        e.level = stock.level_now(&e.sku);
    }
}

/// A transfer, booked or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Carriage {
    booked: Option<StockTransferred>,
}

impl Aggregate for Carriage {
    type Event = TransferEvent;
    const CATEGORY: &'static str = "transfer";

    fn evolve(&mut self, event: &TransferEvent) {
        let TransferEvent::StockTransferred(booked) = event;
        self.booked = Some(booked.clone());
    }
}

impl Carriage {
    /// What was booked.
    pub fn booked(&self) -> Option<&StockTransferred> {
        self.booked.as_ref()
    }

    /// `TransferStock`: only what is neither promised, missing nor in quarantine can be carried away. A closed
    /// location can be emptied so. The same transfer again changes nothing.
    pub fn transfer(&self, wish: &Transfer, stock: &Stock) -> Result<Vec<TransferEvent>, Rejection> {
        if let Some(booked) = &self.booked {
            let same = *booked == StockTransferred::of(wish, booked.level);
            return if same { Ok(Vec::new()) } else { Err(conflict()) };
        }
        let level = stock.level(&wish.sku).ok_or_else(|| unknown(&wish.sku))?;
        let spare = stock.shelf(&wish.sku, &wish.from).map_or(0, |shelf| shelf.spare().max(0));
        if wish.quantity > spare {
            return Err(Rejection::new("INSUFFICIENT_STOCK", "there are not so many free pieces there")
                .with("sku", &wish.sku)
                .with("available", spare));
        }
        stock.refuse_to_put(&wish.sku, &wish.to, wish.quantity)?;
        Ok(vec![TransferEvent::StockTransferred(StockTransferred::of(wish, level))])
    }
}

impl StockTransferred {
    fn of(wish: &Transfer, level: Level) -> Self {
        let Transfer { sku, from, to, quantity, reason } = wish.clone();
        Self { sku, from, to, quantity, reason, level }
    }
}

fn conflict() -> Rejection {
    Rejection::new("TRANSFER_CONFLICT", "a transfer with this id and other content was booked before")
}

pub(super) fn unknown(sku: &Sku) -> Rejection {
    Rejection::new("UNKNOWN_SKU", "this SKU was never in stock here: receive it first").with("sku", sku)
}
