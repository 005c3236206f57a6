//! Carts: what visitors mean to buy. One active cart per owner. It promises neither price nor stock; a quote
//! does, and the order made of it converts the cart.
//!
//! Deliberately not here: prices (catalog), stock (inventory), promises (order).

pub mod domain;
mod effects;
mod grpc;
pub mod invariants;
mod proto;
pub mod published;
mod reactions;
mod views;

use souk_contracts::cart::v1 as pb;
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_rpc::Bound;
use std::sync::Arc;

/// The service, for the host's list.
pub fn service() -> impl Service {
    Carts
}

struct Carts;

impl Service for Carts {
    fn name(&self) -> &'static str {
        "cart"
    }

    fn views(&self) -> Vec<View> {
        vec![views::CARTS]
    }

    fn publish(&self) -> Option<Publish> {
        Some(published::publish())
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        vec![pb::bind(Arc::new(grpc::Carts { own: own.clone() }), Arc::clone(&own.guard))]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let orders = Arc::new(reactions::Orders);
        let (store, peers, identity) = (own.store.clone(), own.peers.clone(), Arc::clone(&own.identity));
        vec![Box::new(souk_bus::Reaction::new(store, peers, identity, orders))]
    }
}
