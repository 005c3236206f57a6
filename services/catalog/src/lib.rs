//! The catalog: what the shop sells, and what customers pay for it. Owns products, their variants by SKU,
//! categories, media and prices, the index by which customers find them, promotions, coupons and tax zones.
//!
//! Deliberately not here: stock (inventory), promises about price (order's quotes), carts.

pub mod domain;
mod grpc;
pub mod invariants;
mod proto;
pub mod published;
pub mod views;

use souk_contracts::catalog::v1 as pb;
use souk_eventstore::{EventStore, Publish, View};
use souk_host::{Process, Resources, Service};
use souk_kernel::Error;
use souk_rpc::{Bound, BoxFuture};
use souk_telemetry::Stop;
use std::sync::Arc;
use views::SearchView;

/// The service, for the host's list.
pub fn service() -> impl Service {
    Catalog { search: Arc::default() }
}

struct Catalog {
    search: Arc<SearchView>,
}

impl Service for Catalog {
    fn name(&self) -> &'static str {
        "catalog"
    }

    fn views(&self) -> Vec<View> {
        vec![views::PRODUCTS, views::PRICES, views::PROMOTIONS, views::TAX_ZONES]
    }

    fn publish(&self) -> Option<Publish> {
        Some(published::publish())
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        let answers = grpc::Catalog { own: own.clone(), search: Arc::clone(&self.search) };
        vec![pb::bind(Arc::new(answers), Arc::clone(&own.guard))]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        vec![Box::new(Indexing { search: Arc::clone(&self.search), store: own.store.clone() })]
    }
}

/// Keeps the search index up with the log.
#[derive(Clone)]
struct Indexing {
    search: Arc<SearchView>,
    store: EventStore,
}

impl Process for Indexing {
    fn name(&self) -> &'static str {
        "search index"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move { self.search.follow(&self.store, &stop).await })
    }

    fn again(&self) -> Option<Box<dyn Process>> {
        Some(Box::new(self.clone()))
    }
}
