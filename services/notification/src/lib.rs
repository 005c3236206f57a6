//! Notifications: what people and partners are told. A durable inbox per person with a resumable stream,
//! e-mail, and signed calls to partners' webhooks.
//!
//! Deliberately not here: who somebody is, what an order is (its news say enough), and broadcasts.
pub mod domain;
pub mod effects;
mod grpc;
pub mod invariants;
pub mod proto;
pub mod reactions;
pub mod views;

use domain::reach::Reach;
use effects::{ATTEMPT_MAX, Courier, Mail};
use grpc::{Desk, SIGN_OF_LIFE_EVERY};
use souk_contracts::notification::v1 as pb;
use souk_eventstore::View;
use souk_host::{Process, Resources, Service};
use souk_rpc::Bound;
use std::sync::Arc;
use std::time::Duration;

/// The service's name: its role and store.
pub const NAME: &str = "notification";

/// What can be chosen about the service.
#[derive(Clone)]
pub struct Options {
    /// Who takes e-mail; nobody: none is sent.
    pub mail: Option<Arc<Mail>>,
    /// Which addresses partners' endpoints may have.
    pub reach: Arc<Reach>,
    /// How long one attempt to deliver may take.
    pub attempt_max: Duration,
    /// How long a subscriber hears nothing before a sign of life.
    pub sign_of_life_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mail: None,
            reach: Arc::default(),
            attempt_max: ATTEMPT_MAX,
            sign_of_life_every: SIGN_OF_LIFE_EVERY,
        }
    }
}

impl Options {
    /// Reads the configuration: the relay's url (empty: no e-mail), whom mail comes from, and the ranges of
    /// addresses that endpoints may have besides public ones.
    ///
    /// # Errors
    /// Every mistake, with the option's last word.
    pub fn read(
        smtp: &str,
        smtp_from: &str,
        webhook_allow: &str,
    ) -> Result<Self, Vec<(&'static str, String)>> {
        let mut mistakes = Vec::new();
        let mail = match smtp {
            "" => None,
            url => Mail::new(url, smtp_from).map_err(|sentence| mistakes.push(("smtp", sentence))).ok(),
        };
        let reach = Reach::parse(webhook_allow);
        let reach = reach.map_err(|e| mistakes.push(("webhook_allow", e.to_string()))).unwrap_or_default();
        let options = Self { mail: mail.map(Arc::new), reach: Arc::new(reach), ..Self::default() };
        if mistakes.is_empty() { Ok(options) } else { Err(mistakes) }
    }
}

/// The service, for the host's list.
pub fn service(options: Options) -> impl Service {
    Notifications { options }
}

struct Notifications {
    options: Options,
}

impl Service for Notifications {
    fn name(&self) -> &'static str {
        NAME
    }

    fn views(&self) -> Vec<View> {
        views::views()
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        let desk = Desk::new(own, &self.options);
        vec![pb::bind(Arc::new(desk), Arc::clone(&own.guard))]
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let orders = Arc::new(reactions::Orders { mail: self.options.mail.is_some() });
        let (store, peers, identity) = (own.store.clone(), own.peers.clone(), Arc::clone(&own.identity));
        let courier = Courier::new(own.clone(), &self.options);
        vec![Box::new(souk_bus::Reaction::new(store, peers, identity, orders)), Box::new(courier)]
    }
}
