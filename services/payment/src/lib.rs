//! Money: what a payment provider promised, took and gave back, and the double-entry ledger of it.
//!
//! The service owns one stream per payment. Every operation at the provider is recorded as an intent before
//! it is called and as an outcome afterwards; what has no answer is asked for by key, never called with a
//! new one. Card numbers never enter, only tokens of payment methods.
pub mod domain;
pub mod effects;
pub mod grpc;
pub mod invariants;
pub mod proto;
pub mod published;
pub mod views;

use effects::Cashier;
use effects::adapter::{RpcProvider, WEBHOOK_PURPOSE};
use grpc::Counter;
use souk_contracts::payment::v1::payment_service;
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_identity::WebhookSecret;
use souk_rpc::Bound;
use souk_saga::timers::Timers;
use std::sync::Arc;

/// The name of the service's role and store.
pub const NAME: &str = "payment";

/// The service as the host knows it.
pub fn service() -> impl Service {
    PaymentRole
}

struct PaymentRole;

impl Service for PaymentRole {
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
        let counter = Counter::new(own.store.clone(), cashier(own));
        vec![payment_service::bind(Arc::new(counter), Arc::clone(&own.guard))]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let cashier = cashier(own);
        let on_due = move |timer| {
            let cashier = cashier.clone();
            Box::pin(async move { cashier.on_due(timer).await }) as souk_rpc::BoxFuture<'static, _>
        };
        vec![Box::new(Timers::new(own.store.clone(), Arc::new(on_due)))]
    }
}

fn cashier(own: &Resources) -> Cashier {
    let secret = WebhookSecret::derived(&own.signer, WEBHOOK_PURPOSE);
    let provider = RpcProvider::new(&own.peers, Arc::clone(&own.identity), secret);
    Cashier::new(own.store.clone(), own.ids.clone(), Arc::new(provider))
}
