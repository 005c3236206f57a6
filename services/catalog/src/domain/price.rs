//! What a SKU costs, per market: a history that is only added to. Its stream is `price/<sku>`, so that
//! changing a price never contends with changing the product.
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Market, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Money, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest price, in minor units: a full cart of the dearest things still fits in 64 bits.
pub const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;

/// A SKU costs this much in a market from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceSet {
    /// The SKU.
    pub sku: Sku,
    /// The market.
    pub market: Market,
    /// The price of one.
    pub amount: Money,
    /// 1 for the first price of this SKU in this market, one more for each further one.
    pub price_version: u64,
    /// From when on.
    pub valid_from: Timestamp,
}

/// What happens to prices.
#[derive(Debug, Clone, PartialEq)]
pub enum PriceEvent {
    /// A price was set.
    PriceSet(PriceSet),
}
stored_events!(PriceEvent { PriceSet: 1 });

/// The price that holds now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurrentPrice {
    /// The price of one.
    pub amount: Money,
    /// Which price of this SKU in this market it is.
    pub price_version: u64,
    /// From when on it holds.
    pub valid_from: Timestamp,
}

/// The current prices of one SKU. The earlier ones stand in the log and in the view of all prices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PriceList {
    by_market: BTreeMap<Market, CurrentPrice>,
}

impl PriceList {
    /// The current price in a market, if the SKU is sold there.
    pub fn current(&self, market: &Market) -> Option<&CurrentPrice> {
        self.by_market.get(market)
    }
}

impl Aggregate for PriceList {
    type Event = PriceEvent;
    const CATEGORY: &'static str = "price";

    fn evolve(&mut self, event: &PriceEvent) {
        let PriceEvent::PriceSet(set) = event;
        let current =
            CurrentPrice { amount: set.amount, price_version: set.price_version, valid_from: set.valid_from };
        self.by_market.insert(set.market.clone(), current);
    }
}

/// Adds a price, unless it is the current one already. Two prices never hold at one instant: a second one in
/// the same microsecond holds from the next on.
pub fn set_price(
    prices: &PriceList,
    sku: &Sku,
    market: &Market,
    amount: Money,
    now: Timestamp,
) -> Vec<PriceEvent> {
    let current = prices.current(market);
    if current.is_some_and(|current| current.amount == amount) {
        return Vec::new();
    }
    let after = current.map_or(now, |current| now.max(current.valid_from.plus(Duration::from_micros(1))));
    vec![PriceEvent::PriceSet(PriceSet {
        sku: sku.clone(),
        market: market.clone(),
        amount,
        price_version: current.map_or(1, |current| current.price_version + 1),
        valid_from: after,
    })]
}
