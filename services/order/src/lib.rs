//! Quotes and orders. The service owns what was promised to whom, at which price, and how far the sale is;
//! stock and money belong to inventory and payment, which the sagas ask.
//!
//! Deliberately absent: prices from clients, addresses (shipping has them, sealed) and promotions' rules (the
//! catalog's).
pub mod cancel;
pub mod cancel_lines;
pub mod dispatch;
pub mod domain;
pub mod effects;
pub mod fulfil;
pub mod grpc;
pub mod hold;
pub mod invariants;
pub mod place;
pub mod proto;
pub mod published;
pub mod reactions;
pub mod refund_parcel;
pub mod resend_parcel;
pub mod returns;
pub mod views;
pub mod void_rest;

use domain::order::Windows;
use effects::{Effects, ErrandEffects, ReturnEffects};
use grpc::{Orders, QUOTE_TTL};
use souk_bus::{Reaction, Reactor};
use souk_contracts::order::v1::bind;
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_rpc::Bound;
use souk_saga::timers::Timers;
use souk_saga::{Options, Runner};
use std::sync::Arc;
use std::time::Duration;

/// The service's name: its role, store and feed.
pub const NAME: &str = "order";

/// The order service with its usual options.
pub fn service() -> OrderHouse {
    OrderHouse { quote_ttl: QUOTE_TTL, windows: Windows::default(), sagas: Options::default() }
}

/// The order service, with what can be chosen about it.
#[derive(Debug, Clone)]
pub struct OrderHouse {
    /// How long a quote holds.
    pub quote_ttl: Duration,
    /// How long a sale can be undone at once, and how long what was delivered can be sent back.
    pub windows: Windows,
    /// The limits of the sagas' runner.
    pub sagas: Options,
}

impl Service for OrderHouse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> Vec<View> {
        views::views()
    }

    fn publish(&self) -> Option<Publish> {
        Some(published::publish())
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        vec![bind(Arc::new(Orders::new(own, self.quote_ttl, self.windows)), own.guard.clone())]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let effects = Effects::new(own, self.windows);
        let sagas = Runner::new(own.store.clone(), effects.clone(), own.ids.clone(), self.sagas.clone());
        // Errands are few, and nobody waits for them at a counter.
        let errands = Options { look_at_most_every: self.sagas.backoff_first, ..self.sagas.clone() };
        let waiting = effects.waiting();
        let returns =
            ReturnEffects { effects: effects.clone(), store: own.store.clone(), ids: own.ids.clone() };
        let returns = sagas.beside(returns, errands.clone());
        let errands = sagas.beside(ErrandEffects { effects, store: own.store.clone() }, errands);
        let orders = Orders::new(own, self.quote_ttl, self.windows);
        let on_due = move |timer| {
            let orders = orders.clone();
            Box::pin(async move { orders.timer_due(timer).await }) as souk_rpc::BoxFuture<'static, _>
        };
        let windows = self.windows;
        vec![
            Box::new(sagas),
            Box::new(errands),
            Box::new(returns),
            Box::new(Timers::new(own.store.clone(), Arc::new(on_due))),
            Box::new(reaction(own, Arc::new(reactions::Parcels { windows }))),
            Box::new(reaction(own, Arc::new(reactions::ReturnParcels))),
            Box::new(reaction(own, Arc::new(reactions::Payments { windows, waiting }))),
        ]
    }
}

fn reaction(own: &Resources, reactor: Arc<dyn Reactor>) -> Reaction {
    Reaction::new(own.store.clone(), own.peers.clone(), own.identity.clone(), reactor)
}
