//! A payment provider, played: a company of its own with its own books, that knows nothing of the shop.
//! What it does with a payment is decided by the payment method's [token](tokens::Token), so that every way
//! in which a provider can answer, be slow or be silent can be asked for by name.
//!
//! [`bind`] makes it ready to answer; [`truth`] reads its books, for whoever compares them with a shop's.
//! Notifications (webhooks) are noted in the books as due and not sent yet.
pub mod domain;
mod proto;
mod simulator;
pub mod tokens;
pub mod truth;
mod views;

pub use simulator::Simulator;
pub use views::views;

use souk_contracts::provider::v1::provider_service;
use souk_eventstore::EventStore;
use souk_kernel::Clock;
use souk_rpc::{Bound, Guard};
use std::sync::Arc;

/// The name of the provider's role and store.
pub const NAME: &str = "provider";

/// Makes the provider ready to answer behind `guard`. `store` must have been opened with [`views`].
pub fn bind(store: EventStore, clock: Arc<dyn Clock>, guard: Arc<Guard>) -> Vec<Bound> {
    vec![provider_service::bind(Arc::new(Simulator::new(store, clock)), guard)]
}
