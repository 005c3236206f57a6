//! The shop: a list of services. Everything else follows from it.
use souk_eventstore::{Publish, View};
use souk_host::{Process, Resources, Service};
use souk_identity::WebhookSecret;
use souk_provider::Merchant;
use souk_rpc::Bound;

/// What services are told of where they run.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Where the simulated payment provider sends what it has to tell; `None`: nowhere.
    pub payment_webhook: Option<souk_provider::Address>,
}

/// Every service of the shop, in the order of [`ROLES`].
pub fn services() -> Vec<Box<dyn Service>> {
    services_in(Surroundings::default())
}

fn services_in(surroundings: Surroundings) -> Vec<Box<dyn Service>> {
    vec![
        Box::new(souk_user::service()),
        Box::new(souk_catalog::service()),
        Box::new(souk_cart::service()),
        Box::new(souk_order::service()),
        Box::new(souk_payment::service()),
        Box::new(souk_inventory::service()),
        Box::new(Provider { merchant: surroundings.payment_webhook }),
    ]
}

/// The services with these roles.
pub fn services_named(roles: &[String], surroundings: Surroundings) -> Vec<Box<dyn Service>> {
    services_in(surroundings)
        .into_iter()
        .filter(|service| roles.iter().any(|role| role == service.name()))
        .collect()
}

/// The full contract names that a role answers.
pub fn contracts_of(role: &str) -> Vec<String> {
    let mut package = role.to_owned();
    if let Some(first) = package.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    vec![format!("souk.{role}.v1.{package}Service")]
}

/// The simulated payment provider, run beside the shop because nobody has a real one on a laptop.
struct Provider {
    /// Where it sends what it has to tell.
    merchant: Option<souk_provider::Address>,
}

impl Provider {
    /// Provider and shop run under one key on a laptop, so the secret that they share follows from it.
    fn merchant(&self, own: &Resources) -> Option<Merchant> {
        let secret = WebhookSecret::derived(&own.signer, souk_payment::effects::adapter::WEBHOOK_PURPOSE);
        self.merchant.clone().map(|address| Merchant { address, secret })
    }
}

impl Service for Provider {
    fn name(&self) -> &'static str {
        souk_provider::NAME
    }

    fn views(&self) -> Vec<View> {
        souk_provider::views()
    }

    fn publish(&self) -> Option<Publish> {
        None
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        let merchant = self.merchant(own);
        souk_provider::bind(own.store.clone(), own.clock.clone(), own.guard.clone(), merchant)
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let timers = souk_provider::timers(own.store.clone(), own.clock.clone(), self.merchant(own));
        timers.into_iter().map(|timers| Box::new(timers) as Box<dyn Process>).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ROLES;

    #[test]
    fn every_role_is_a_service_and_answers_its_contract() {
        let names: Vec<_> = services().iter().map(|service| service.name()).collect();
        let roles: Vec<_> = ROLES.iter().map(|(role, _)| *role).collect();
        assert_eq!(names, roles);
        assert_eq!(contracts_of("order"), ["souk.order.v1.OrderService"]);
    }
}
