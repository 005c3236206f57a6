//! Inventory: what is in stock and what is promised to whom. It owns the shelves (SKU by location), the
//! reservations and the ledger of movements. It never promises more than is there, and never clamps.
//!
//! It knows orders only by their ids and calls no other service.
pub mod domain;
pub mod effects;
pub mod invariants;
pub mod proto;
pub mod published;
pub mod views;

mod grpc;

use souk_contracts::inventory::v1::inventory_service;
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_rpc::Bound;
use souk_saga::timers::Timers;
use std::sync::Arc;

/// The inventory service, for the host's list.
pub fn service() -> impl Service {
    Inventory
}

struct Inventory;

impl Service for Inventory {
    fn name(&self) -> &'static str {
        "inventory"
    }

    fn views(&self) -> Vec<View> {
        views::views()
    }

    fn publish(&self) -> Option<Publish> {
        Some(published::publish())
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        let inventory = Arc::new(grpc::Inventory::new(own.clone()));
        vec![inventory_service::bind(inventory, own.guard.clone())]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let store = own.store.clone();
        let on_due = Arc::new(move |timer| -> souk_rpc::BoxFuture<'static, _> {
            Box::pin(effects::expire(store.clone(), timer))
        });
        vec![Box::new(Timers::new(own.store.clone(), on_due))]
    }
}
