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
use effects::{IntentsProvider, Provider, RpcProvider, adapter, intents};
use grpc::Counter;
use souk_contracts::payment::v1::payment_service;
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_identity::{Signer, WebhookSecret};
use souk_rpc::Bound;
use souk_saga::timers::Timers;
use std::sync::Arc;

/// The name of the service's role and store.
pub const NAME: &str = "payment";

/// Which payment provider is called, and how.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Options {
    /// The one that answers `souk.provider.v1`.
    #[default]
    Sim,
    /// One that answers an HTTP API of payment intents.
    Intents {
        /// The shop's account there.
        account: intents::Account,
        /// What both sides sign notices with, as the provider gave it out; empty: it follows from the shop's own
        /// key, for a provider that runs under the same.
        webhook_secret: String,
    },
}

impl Options {
    /// Its name in addresses and books.
    pub fn name(&self) -> &'static str {
        match self {
            Options::Sim => adapter::NAME,
            Options::Intents { .. } => intents::NAME,
        }
    }

    /// What the signatures of its notices are made with, in a house that signs with `signer`.
    pub fn webhook_secret(&self, signer: &Signer) -> WebhookSecret {
        match self {
            Options::Sim => WebhookSecret::derived(signer, adapter::WEBHOOK_PURPOSE),
            Options::Intents { webhook_secret, .. } if webhook_secret.is_empty() => {
                WebhookSecret::derived(signer, intents::WEBHOOK_PURPOSE)
            }
            Options::Intents { webhook_secret, .. } => WebhookSecret::new(webhook_secret.as_bytes()),
        }
    }

    fn provider(&self, own: &Resources) -> Arc<dyn Provider> {
        let secret = self.webhook_secret(&own.signer);
        match self {
            Options::Sim => Arc::new(RpcProvider::new(&own.peers, Arc::clone(&own.identity), secret)),
            Options::Intents { account, .. } => Arc::new(IntentsProvider::new(account.clone(), secret)),
        }
    }
}

/// The service as the host knows it, with the simulated provider.
pub fn service() -> impl Service {
    service_with(Options::default())
}

/// The same with the provider of `options`.
pub fn service_with(options: Options) -> impl Service {
    PaymentRole { options }
}

struct PaymentRole {
    options: Options,
}

impl PaymentRole {
    fn cashier(&self, own: &Resources) -> Cashier {
        Cashier::new(own.store.clone(), own.ids.clone(), self.options.provider(own))
    }
}

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
        let counter = Counter::new(own.store.clone(), self.cashier(own));
        vec![payment_service::bind(Arc::new(counter), Arc::clone(&own.guard))]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let cashier = self.cashier(own);
        let on_due = move |timer| {
            let cashier = cashier.clone();
            Box::pin(async move { cashier.on_due(timer).await }) as souk_rpc::BoxFuture<'static, _>
        };
        vec![Box::new(Timers::new(own.store.clone(), Arc::new(on_due)))]
    }
}
