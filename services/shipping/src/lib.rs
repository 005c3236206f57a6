//! Getting goods to people: what it costs, whether an address can be served, and where each parcel is. The service
//! owns addresses (sealed), rates, fulfilments, parcels and their labels; what an order means and what it costs
//! belongs to others, who see a country and a region at most.
//!
//! Deliberately absent: stock (inventory counts it), refunds for what was lost (the order decides), and a second
//! carrier.
pub mod carry;
pub mod domain;
pub mod effects;
pub mod grpc;
pub mod invariants;
pub mod proto;
pub mod published;
pub mod views;

use effects::Effects;
use grpc::Desk;
use souk_contracts::shipping::v1::shipping_service;
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_rpc::Bound;
use souk_saga::timers::Timers;
use souk_saga::{Options, Runner};
use std::sync::Arc;

/// The service's name: its role, store and feed.
pub const NAME: &str = "shipping";

/// The shipping service with its usual options.
pub fn service() -> ShippingHouse {
    ShippingHouse { auto: false, sagas: Options::default() }
}

/// The shipping service, with what can be chosen about it.
#[derive(Debug, Clone)]
pub struct ShippingHouse {
    /// Packs, labels and hands over by itself, for demonstrations and load tests. Otherwise staff does it.
    pub auto: bool,
    /// The limits of the sagas' runner.
    pub sagas: Options,
}

impl Service for ShippingHouse {
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
        vec![shipping_service::bind(Arc::new(Desk::new(own)), own.guard.clone())]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let effects = Effects::new(own, self.auto);
        let sagas = Runner::new(own.store.clone(), effects, own.ids.clone(), self.sagas.clone());
        let store = own.store.clone();
        let on_due = Arc::new(move |timer| -> souk_rpc::BoxFuture<'static, _> {
            Box::pin(effects::on_due(store.clone(), timer))
        });
        vec![Box::new(sagas), Box::new(Timers::new(own.store.clone(), on_due))]
    }
}
