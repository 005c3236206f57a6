//! A payment provider, played: a company of its own with its own books, that knows nothing of the shop.
//! What it does with a payment is decided by the payment method's [token](tokens::Token), so that every way
//! in which a provider can answer, be slow or be silent can be asked for by name.
//!
//! [`bind`] makes it ready to answer; [`truth`] reads its books, for whoever compares them with a shop's. What it
//! has to tell by itself is noted in its books and sent by [`timers`].
pub mod domain;
pub mod intents;
mod outbox;
mod post;
mod proto;
mod simulator;
pub mod tokens;
pub mod truth;
mod views;

pub use intents::Face;
pub use outbox::{Format, Merchant, Outbox};
pub use post::{Address, Messenger, NotAnAddress, Notice};
pub use simulator::Simulator;
pub use views::views;

use souk_contracts::provider::v1::provider_service;
use souk_eventstore::EventStore;
use souk_kernel::Clock;
use souk_rpc::{Bound, Guard};
use souk_saga::timers::Timers;
use std::sync::Arc;

/// The name of the provider's role and store.
pub const NAME: &str = "provider";

/// Makes the provider ready to answer behind `guard`, and to note what `merchant` is told. `store` must have been
/// opened with [`views`].
pub fn bind(
    store: EventStore,
    clock: Arc<dyn Clock>,
    guard: Arc<Guard>,
    merchant: Option<Merchant>,
) -> Vec<Bound> {
    vec![provider_service::bind(Arc::new(simulator(store, clock, merchant)), guard)]
}

/// What tells the merchant, as long as it runs.
pub fn timers(store: EventStore, clock: Arc<dyn Clock>, merchant: Option<Merchant>) -> Option<Timers> {
    let outbox = simulator(store.clone(), clock, merchant).outbox()?;
    let on_due = move |timer| {
        let outbox = outbox.clone();
        Box::pin(async move { outbox.on_due(timer).await }) as souk_rpc::BoxFuture<'static, _>
    };
    Some(Timers::new(store, Arc::new(on_due)))
}

/// The same books over HTTP, for merchants who hold `key`; see [`intents`].
pub fn face(store: EventStore, clock: Arc<dyn Clock>, merchant: Option<Merchant>, key: &str) -> Face {
    Face::new(simulator(store, clock, merchant), key)
}

fn simulator(store: EventStore, clock: Arc<dyn Clock>, merchant: Option<Merchant>) -> Simulator {
    let simulator = Simulator::new(store, clock);
    match merchant {
        Some(merchant) => simulator.telling(merchant),
        None => simulator,
    }
}
