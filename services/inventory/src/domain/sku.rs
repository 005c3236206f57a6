//! A SKU: the terms on which it is sold, and when it became low. What stands where is not here: that follows
//! from everybody's events.
use super::is_empty;
use super::settle::MovesStock;
use super::stock::{Change, Levels, Stock, Terms};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::Sku;
use souk_decider::{Aggregate, stored_events};

/// The terms were set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TermsPut {
    /// Of which SKU.
    pub sku: Sku,
    /// How it is sold from now on.
    pub terms: Terms,
    /// The level right after it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub levels: Levels,
}

/// Less may be promised than its threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LowStock {
    /// What.
    pub sku: Sku,
    /// Pieces that may still be promised.
    pub available: i64,
    /// The threshold.
    pub low_below: i64,
}

/// What happens to a SKU as a whole.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum SkuEvent {
    TermsPut(TermsPut),
    LowStock(LowStock),
}
stored_events!(SkuEvent { TermsPut: 1, LowStock: 1 });

impl MovesStock for SkuEvent {
    fn changes(&self) -> Vec<Change> {
        match self {
            SkuEvent::TermsPut(e) => vec![Change::Terms { sku: e.sku.clone(), terms: e.terms }],
            SkuEvent::LowStock(_) => Vec::new(),
        }
    }

    fn stamp(&mut self, stock: &Stock) {
        match self {
            SkuEvent::TermsPut(e) => e.levels = stock.levels([&e.sku]),
            SkuEvent::LowStock(_) => {}
        }
    }
}

/// How a SKU is sold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SkuTerms {
    terms: Terms,
}

impl Aggregate for SkuTerms {
    type Event = SkuEvent;
    const CATEGORY: &'static str = "sku";

    fn evolve(&mut self, event: &SkuEvent) {
        match event {
            SkuEvent::TermsPut(e) => self.terms = e.terms,
            SkuEvent::LowStock(_) => {}
        }
    }
}

impl SkuTerms {
    /// `PutStockTerms`: the same terms again change nothing. A limit below what is sold already stops further
    /// sales; it takes nothing back.
    pub fn put(&self, sku: &Sku, terms: Terms) -> Vec<SkuEvent> {
        if self.terms == terms {
            return Vec::new();
        }
        vec![SkuEvent::TermsPut(TermsPut { sku: sku.clone(), terms, levels: Levels::default() })]
    }
}
