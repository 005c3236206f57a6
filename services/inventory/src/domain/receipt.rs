//! A receipt: goods that came in at one location, booked once.
use super::stock::Stock;
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
}

/// What happens to a receipt: it is booked.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variant is documented at its struct")]
pub enum ReceiptEvent {
    StockReceived(StockReceived),
}
stored_events!(ReceiptEvent { StockReceived: 1 });

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
                Ok(vec![ReceiptEvent::StockReceived(StockReceived { location, lines })])
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
