//! The shop: a list of services. Everything else follows from it.
use crate::failure::{Failure, exit};
use souk_carrier::Carrier;
use souk_contracts::payment::v1::{HandleWebhookRequest, PaymentServiceClient};
use souk_contracts::shipping::v1::{HandleCarrierWebhookRequest, ShippingServiceClient};
use souk_eventstore::{Publish, View};
use souk_host::{Config, Process, Resources, Service};
use souk_kernel::Error;
use souk_order::OrderHouse;
use souk_order::domain::order::Windows;
use souk_payment::effects::intents::{self, Account, NotUsable};
use souk_provider::{Face, Format, Merchant};
use souk_rpc::{Bound, BoxFuture, Cx};
use souk_shipping::ShippingHouse;
use souk_telemetry::Stop;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// How long shipping or payment may take to keep a notice.
const NOTICE_PATIENCE: Duration = Duration::from_secs(5);

/// What the configuration says about single services.
#[derive(Clone)]
pub struct Choices {
    /// How long quotes hold, sales can be undone and goods can come back.
    pub order: souk_order::OrderHouse,
    /// What shipping does without staff.
    pub shipping: souk_shipping::ShippingHouse,
    /// The time between two scans of a parcel by the simulated carrier.
    pub carrier_pace: Duration,
    /// How people and partners are told things.
    pub notification: souk_notification::Options,
    /// Where the simulated payment provider sends what it has to tell; `None`: nowhere.
    pub payment_webhook: Option<PaymentWebhook>,
    /// Which payment provider is called.
    pub payment: souk_payment::Options,
    /// Where the simulated payment provider answers over HTTP, and for whom; `None`: nowhere.
    pub provider_http: Option<HttpFace>,
}

/// How the simulated payment provider's notifications reach the shop.
#[derive(Clone, PartialEq, Eq)]
pub enum PaymentWebhook {
    /// Over HTTP, to the gateway at this address.
    Post(souk_provider::Address),
    /// To the payment service itself, where there is no gateway.
    Direct,
}

/// The simulated payment provider's HTTP API.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpFace {
    listen: SocketAddr,
    key: String,
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
        let (payment, provider_http) = (payment(config)?, provider_http(config)?);
        Ok(Self {
            order: order(config),
            shipping: ShippingHouse {
                auto: config.text("shipping.auto") == "true",
                ..souk_shipping::service()
            },
            carrier_pace: config.duration("carrier.pace"),
            notification,
            payment_webhook: None,
            payment,
            provider_http,
        })
    }
}

impl Default for Choices {
    fn default() -> Self {
        let config = Config::load(crate::settings::KEYS, None, [], &[]).expect("the defaults are valid");
        Self::of(&config).expect("the defaults are complete")
    }
}

fn order(config: &Config) -> OrderHouse {
    let windows = Windows {
        undo: config.duration("order.undo_window"),
        returns: config.duration("order.return_window"),
        restocking_percent: u8::try_from(config.integer("order.restocking_percent")).unwrap_or(u8::MAX),
    };
    OrderHouse { quote_ttl: config.duration("order.quote_ttl"), windows, ..souk_order::service() }
}

fn payment(config: &Config) -> Result<souk_payment::Options, Failure> {
    if config.text("payment.provider") != intents::NAME {
        return Ok(souk_payment::Options::Sim);
    }
    let account = Account::new(config.text("payment.intents_url"), config.text("payment.intents_key"));
    let webhook_secret = config.text("payment.intents_webhook_secret").to_owned();
    account.map(|account| souk_payment::Options::Intents { account, webhook_secret }).map_err(|mistake| {
        let option = match mistake {
            NotUsable::Address => "payment.intents_url",
            NotUsable::Key => "payment.intents_key",
        };
        Failure::new(exit::CONFIGURATION, format!("{option} {mistake}"))
    })
}

fn provider_http(config: &Config) -> Result<Option<HttpFace>, Failure> {
    let Some(listen) = config.optional_address("provider.http_listen") else { return Ok(None) };
    let key = config.text("payment.intents_key").to_owned();
    if key.is_empty() {
        let message =
            "provider.http_listen needs payment.intents_key: whoever calls must prove to be the shop";
        return Err(Failure::new(exit::CONFIGURATION, message));
    }
    Ok(Some(HttpFace { listen, key }))
}

/// Every service of the shop, in the order of [`ROLES`].
pub fn services(choices: &Choices) -> Vec<Box<dyn Service>> {
    vec![
        Box::new(souk_user::service()),
        Box::new(souk_catalog::service()),
        Box::new(souk_cart::service()),
        Box::new(choices.order.clone()),
        Box::new(souk_payment::service_with(choices.payment.clone())),
        Box::new(souk_inventory::service()),
        Box::new(Provider {
            merchant: choices.payment_webhook.clone(),
            payment: choices.payment.clone(),
            http: choices.provider_http.clone(),
        }),
        Box::new(choices.shipping.clone()),
        Box::new(CarrierRole { pace: choices.carrier_pace }),
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
struct Provider {
    /// Where it sends what it has to tell.
    merchant: Option<PaymentWebhook>,
    /// How the shop calls it: what it tells has the same shape.
    payment: souk_payment::Options,
    /// Where it answers over HTTP.
    http: Option<HttpFace>,
}

impl Provider {
    /// Provider and shop run under one configuration on a laptop, so they share the secret.
    fn merchant(&self, own: &Resources) -> Option<Merchant> {
        let secret = self.payment.webhook_secret(&own.signer);
        let format = match self.payment {
            souk_payment::Options::Sim => Format::Protobuf,
            souk_payment::Options::Intents { .. } => Format::Events,
        };
        let messenger: Arc<dyn souk_provider::Messenger> = match self.merchant.clone()? {
            PaymentWebhook::Post(address) => Arc::new(address),
            PaymentWebhook::Direct => {
                Arc::new(ToPayment { payment: own.peers.get(), provider: self.payment.name() })
            }
        };
        Some(Merchant { messenger, format, secret })
    }
}

/// Brings the provider's notices to payment without the way round the gateway: the signature is checked all the same.
struct ToPayment {
    payment: PaymentServiceClient,
    provider: &'static str,
}

impl souk_provider::Messenger for ToPayment {
    fn deliver(&self, notice: souk_provider::Notice) -> BoxFuture<'_, Result<(), Error>> {
        let cx = Cx::new(Instant::now() + NOTICE_PATIENCE);
        let headers = [("webhook-signature".to_owned(), notice.signature)].into();
        let provider = self.provider.to_owned();
        let request = HandleWebhookRequest { provider, headers, body: notice.body };
        Box::pin(async move { self.payment.handle_webhook(cx, request).await.map(drop) })
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
        let mut processes: Vec<_> =
            timers.into_iter().map(|timers| Box::new(timers) as Box<dyn Process>).collect();
        if let Some(HttpFace { listen, key }) = &self.http {
            let face =
                souk_provider::face(own.store.clone(), own.clock.clone(), self.merchant(own), key.as_str());
            processes.push(Box::new(HttpCounter { face, listen: *listen }));
        }
        processes
    }
}

/// Answers over HTTP as long as the process lives.
struct HttpCounter {
    face: Face,
    listen: SocketAddr,
}

impl Process for HttpCounter {
    fn name(&self) -> &'static str {
        "provider.http"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let listener = TcpListener::bind(self.listen).await.map_err(|why| {
                Error::unavailable(format!("provider.http_listen: {} cannot be listened at", self.listen))
                    .with_source(why)
            })?;
            self.face.serve(listener, stop).await;
            Ok(())
        })
    }

    fn again(&self) -> Option<Box<dyn Process>> {
        Some(Box::new(Self { face: self.face.clone(), listen: self.listen }))
    }
}

/// The simulated carrier, for the same reason.
struct CarrierRole {
    /// The time between two scans.
    pace: Duration,
}

impl CarrierRole {
    fn carrier(&self, own: &Resources) -> Carrier {
        let messenger: Arc<dyn souk_carrier::Messenger> = Arc::new(ToShipping(own.peers.get()));
        let secret = souk_carrier::secret(&own.signer);
        let options = souk_carrier::Options { pace: self.pace, secret, messenger: Some(messenger) };
        Carrier::new(own.store.clone(), own.clock.clone(), options)
    }
}

impl Service for CarrierRole {
    fn name(&self) -> &'static str {
        souk_carrier::NAME
    }

    fn views(&self) -> Vec<View> {
        souk_carrier::views()
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        self.carrier(own).bind(own.guard.clone())
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        vec![Box::new(self.carrier(own).timers())]
    }
}

/// Brings the carrier's notices to shipping without the way round the gateway: the signature is checked all the same.
struct ToShipping(ShippingServiceClient);

impl souk_carrier::Messenger for ToShipping {
    fn deliver(&self, notice: souk_carrier::Notice) -> BoxFuture<'_, Result<(), Error>> {
        let cx = Cx::new(Instant::now() + NOTICE_PATIENCE);
        let headers = [("webhook-signature".to_owned(), notice.signature)].into();
        let carrier = souk_carrier::CALLED.to_owned();
        let request = HandleCarrierWebhookRequest { carrier, body: notice.body.into(), headers };
        Box::pin(async move { self.0.handle_carrier_webhook(cx, request).await.map(drop) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{KEYS, ROLES};

    fn choices(set: &[(&str, &str)]) -> Result<Choices, String> {
        let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = Config::load(KEYS, None, [], &set).expect("it can be read");
        Choices::of(&config).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_provider_is_chosen_with_all_that_it_needs_or_not_at_all() {
        let by_default = choices(&[]).expect("the defaults are complete");
        assert!(by_default.payment == souk_payment::Options::Sim);
        assert!(by_default.provider_http.is_none(), "off unless it is asked for");
        let intents = ("payment.provider", "intents");
        let (url, key) = (("payment.intents_url", "http://127.0.0.1:1"), ("payment.intents_key", "sk_1"));
        let listen = ("provider.http_listen", "127.0.0.1:1");
        let chosen = choices(&[intents, url, key, listen]).expect("complete");
        assert_eq!(chosen.payment.name(), "intents");
        assert!(chosen.provider_http.is_some());
        for (set, option) in [
            (&[intents, key][..], "payment.intents_url"),
            (&[intents, url], "payment.intents_key"),
            (&[listen], "provider.http_listen"),
        ] {
            let mistake = choices(set).err().expect("incomplete");
            assert!(mistake.contains(option) && !mistake.contains("sk_1"), "{mistake}");
        }
    }

    #[test]
    fn what_is_chosen_about_the_order_of_things_reaches_the_services() {
        let by_default = choices(&[]).expect("the defaults are complete");
        assert_eq!(by_default.order.windows, Windows::default(), "the table says what the service has");
        assert_eq!(by_default.order.quote_ttl, souk_order::service().quote_ttl);
        assert!(!by_default.shipping.auto);
        let quick = [
            ("order.quote_ttl", "1m"),
            ("order.undo_window", "2s"),
            ("order.return_window", "1h"),
            ("order.restocking_percent", "15"),
            ("shipping.auto", "true"),
            ("carrier.pace", "250ms"),
        ];
        let quick = choices(&quick).expect("it can be");
        assert_eq!(quick.order.quote_ttl, Duration::from_secs(60));
        let windows = Windows {
            undo: Duration::from_secs(2),
            returns: Duration::from_secs(3_600),
            restocking_percent: 15,
        };
        assert_eq!(quick.order.windows, windows);
        assert!(quick.shipping.auto);
        assert_eq!(quick.carrier_pace, Duration::from_millis(250));
    }

    #[test]
    fn every_role_is_a_service_and_answers_its_contract() {
        let names: Vec<_> = services(&Choices::default()).iter().map(|service| service.name()).collect();
        let roles: Vec<_> = ROLES.iter().map(|(role, _)| *role).collect();
        assert_eq!(names, roles);
        assert_eq!(contracts_of("order"), ["souk.order.v1.OrderService"]);
    }
}
