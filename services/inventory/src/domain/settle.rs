//! What follows from a movement of stock in the same commit: whoever waits is served, and what became low
//! is said. Decisions only say what happens; here it is done to the shelves that they were told of, as the
//! view will do it to its rows.
use super::allocation::served;
use super::happened::{BackorderFilled, ReservationEvent};
use super::sku::{LowStock, SkuEvent};
use super::stock::{Change, Stock};
use souk_contracts::terms::{OrderId, Sku};
use souk_decider::StoredEvent;
use std::collections::BTreeMap;

/// An event that may move stock.
pub trait MovesStock: StoredEvent {
    /// What it does to the shelves, queues and terms.
    fn changes(&self) -> Vec<Change>;

    /// Writes into it how the stock stands right after its commit.
    fn stamp(&mut self, stock: &Stock);
}

/// What a decision brings with it, besides its own events.
#[derive(Debug, Default, PartialEq)]
pub struct Aftermath {
    /// The orders that were served, each with what it got.
    pub served: Vec<(OrderId, ReservationEvent)>,
    /// The SKUs that became low.
    pub low: Vec<(Sku, SkuEvent)>,
}

/// Does `events` to `stock`, serves those who wait for it, and stamps the events with what is left. `own` is
/// the order whose events they are, if they are one's.
pub fn settle<E: MovesStock>(stock: &mut Stock, own: Option<OrderId>, events: &mut [E]) -> Aftermath {
    let changes: Vec<Change> = events.iter().flat_map(MovesStock::changes).collect();
    if changes.is_empty() {
        return Aftermath::default();
    }
    let mut before: BTreeMap<Sku, i64> = BTreeMap::new();
    for change in &changes {
        let sku = change.sku();
        if !before.contains_key(sku) {
            before.insert(sku.clone(), stock.level_now(sku).available());
        }
    }
    changes.iter().for_each(|change| stock.apply(change, own));
    let served = before.keys().flat_map(|sku| serve(stock, sku)).collect();
    events.iter_mut().for_each(|event| event.stamp(stock));
    let low = before.into_iter().filter_map(|(sku, before)| became_low(stock, sku, before)).collect();
    Aftermath { served, low }
}

fn serve(stock: &mut Stock, sku: &Sku) -> Vec<(OrderId, ReservationEvent)> {
    let mut events = Vec::new();
    for (order, lines) in served(stock, sku) {
        let event = ReservationEvent::BackorderFilled(BackorderFilled { lines: lines.into() });
        event.changes().iter().for_each(|change| stock.apply(change, Some(order)));
        events.push((order, event));
    }
    events
}

/// Said when it falls below its threshold, not again while it stays there.
fn became_low(stock: &Stock, sku: Sku, before: i64) -> Option<(Sku, SkuEvent)> {
    let low_below = stock.terms(&sku).low_below;
    let available = stock.level_now(&sku).available();
    let became_low = available < low_below && low_below <= before;
    became_low.then(|| (sku.clone(), SkuEvent::LowStock(LowStock { sku, available, low_below })))
}
