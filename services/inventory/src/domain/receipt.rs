//! A receipt: goods that came in at one location, booked once.
use super::is_empty;
use super::settle::MovesStock;
use super::stock::{Change, Levels, ShelfChange, Stock};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Rejection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A line of a delivery note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedLine {
    /// What came.
    pub sku: Sku,
    /// How many.
    pub quantity: i64,
}

/// The wish to book a delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Receive {
    /// Where it came in.
    pub location: Location,
    /// What came. A SKU may stand in several lines.
    pub lines: Arc<[ReceivedLine]>,
}

/// A delivery came in: all its lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockReceived {
    /// Where it came in.
    pub location: Location,
    /// What came.
    pub lines: Arc<[ReceivedLine]>,
    /// The levels right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// What happens to a receipt: it is booked.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variant is documented at its struct")]
pub enum ReceiptEvent {
    StockReceived(StockReceived),
}
stored_events!(ReceiptEvent { StockReceived: 1 });

impl MovesStock for ReceiptEvent {
    fn changes(&self) -> Vec<Change> {
        let ReceiptEvent::StockReceived(e) = self;
        let came =
            |line: &ReceivedLine| Change::Shelf(ShelfChange::moved(&line.sku, &e.location, line.quantity));
        e.lines.iter().map(came).collect()
    }

    fn stamp(&mut self, stock: &Stock) {
        let ReceiptEvent::StockReceived(e) = self;
        e.levels = stock.levels(e.lines.iter().map(|line| &line.sku));
    }
}

/// A receipt, booked or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Receipt {
    booked: Option<StockReceived>,
}

impl Aggregate for Receipt {
    type Event = ReceiptEvent;
    const CATEGORY: &'static str = "receipt";

    fn evolve(&mut self, event: &ReceiptEvent) {
        let ReceiptEvent::StockReceived(booked) = event;
        self.booked = Some(booked.clone());
    }
}

impl Receipt {
    /// What was booked.
    pub fn booked(&self) -> Option<&StockReceived> {
        self.booked.as_ref()
    }

    /// `ReceiveStock`: all lines or none. The same receipt again changes nothing.
    pub fn receive(&self, wish: &Receive, stock: &Stock) -> Result<Vec<ReceiptEvent>, Rejection> {
        match &self.booked {
            Some(booked) if booked.location == wish.location && booked.lines == wish.lines => Ok(Vec::new()),
            Some(_) => Err(Rejection::new(
                "RECEIPT_CONFLICT",
                "a receipt with this id and other content was booked before",
            )),
            None => {
                refuse_overfill(wish, stock)?;
                let Receive { location, lines } = wish.clone();
                let levels = Levels::default();
                Ok(vec![ReceiptEvent::StockReceived(StockReceived { location, lines, levels })])
            }
        }
    }
}

fn refuse_overfill(wish: &Receive, stock: &Stock) -> Result<(), Rejection> {
    let mut sums: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in wish.lines.iter() {
        let sum = sums.entry(&line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    sums.into_iter().try_for_each(|(sku, sum)| stock.refuse_to_put(sku, &wish.location, sum))
}
