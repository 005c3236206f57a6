//! The shop: a list of services. Everything else follows from it.
use crate::failure::{Failure, exit};
use souk_eventstore::{Publish, View};
use souk_host::{Config, Resources, Service};
use souk_rpc::Bound;

/// What the configuration says about single services.
#[derive(Clone, Default)]
pub struct Choices {
    /// How people and partners are told things.
    pub notification: souk_notification::Options,
}

impl Choices {
    /// Reads them; every mistake is told at once.
    pub fn of(config: &Config) -> Result<Self, Failure> {
        let smtp = config.text("notification.smtp");
        let (from, allow) =
            (config.text("notification.smtp_from"), config.text("notification.webhook_allow"));
        let notification = souk_notification::Options::read(smtp, from, allow).map_err(|mistakes| {
            let sentences =
                mistakes.iter().map(|(option, sentence)| format!("notification.{option} {sentence}"));
            Failure::new(exit::CONFIGURATION, sentences.collect::<Vec<_>>().join("\n"))
        })?;
        Ok(Self { notification })
    }
}

/// Every service of the shop, in the order of [`ROLES`].
pub fn services(choices: &Choices) -> Vec<Box<dyn Service>> {
    vec![
        Box::new(souk_user::service()),
        Box::new(souk_catalog::service()),
        Box::new(souk_cart::service()),
        Box::new(souk_order::service()),
        Box::new(souk_payment::service()),
        Box::new(souk_inventory::service()),
        Box::new(Provider),
        Box::new(souk_notification::service(choices.notification.clone())),
    ]
}

/// The services with these roles.
pub fn services_named(roles: &[String], choices: &Choices) -> Vec<Box<dyn Service>> {
    services(choices).into_iter().filter(|service| roles.iter().any(|role| role == service.name())).collect()
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
struct Provider;

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
        souk_provider::bind(own.store.clone(), own.clock.clone(), own.guard.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ROLES;

    #[test]
    fn every_role_is_a_service_and_answers_its_contract() {
        let names: Vec<_> = services(&Choices::default()).iter().map(|service| service.name()).collect();
        let roles: Vec<_> = ROLES.iter().map(|(role, _)| *role).collect();
        assert_eq!(names, roles);
        assert_eq!(contracts_of("order"), ["souk.order.v1.OrderService"]);
    }
}
