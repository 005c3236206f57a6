//! Quotes and orders. The service owns what was promised to whom, at which price, and how far the sale is;
//! stock and money belong to inventory and payment, which the sagas ask.
//!
//! Deliberately absent: prices from clients, shipping, partial cancels and discounts.
pub mod cancel;
pub mod domain;
pub mod effects;
pub mod grpc;
pub mod invariants;
pub mod place;
pub mod proto;
pub mod published;
pub mod views;

use effects::Effects;
use grpc::{Orders, QUOTE_TTL};
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
    OrderHouse { quote_ttl: QUOTE_TTL, sagas: Options::default() }
}

/// The order service, with what can be chosen about it.
#[derive(Debug, Clone)]
pub struct OrderHouse {
    /// How long a quote holds.
    pub quote_ttl: Duration,
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
        vec![bind(Arc::new(Orders::new(own, self.quote_ttl)), own.guard.clone())]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let sagas = Runner::new(own.store.clone(), Effects::new(own), own.ids.clone(), self.sagas.clone());
        let orders = Orders::new(own, self.quote_ttl);
        let on_due = move |timer| {
            let orders = orders.clone();
            Box::pin(async move { orders.deadline_passed(timer).await }) as souk_rpc::BoxFuture<'static, _>
        };
        vec![Box::new(sagas), Box::new(Timers::new(own.store.clone(), Arc::new(on_due)))]
    }
}
