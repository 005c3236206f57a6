//! The service as the host runs it, with a guarded provider beside it, called as others call it: through
//! its client, with tokens, over bytes.
use souk_contracts::payment::v1 as pb;
use souk_contracts::payment::v1::{PaymentServiceClient, PaymentStatus};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_contracts::types::v1::Money;
use souk_eventstore::{EventStore, Faults, Location, Options};
use souk_host::{Resources, Service};
use souk_identity::{KeySet, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_kernel::{Clock, Code, Ids, ManualClock, SeededEntropy, Timestamp, TypeId, Uuid};
use souk_rpc::{Cx, Guard, Peers};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

struct House {
    clock: Arc<dyn Clock>,
    ids: Ids,
    signer: Arc<Signer>,
    keys: KeySet,
    peers: Peers,
}

impl House {
    /// Payment and provider, each behind its own guard.
    fn open() -> Self {
        let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_unix_s(1_000));
        let entropy = SeededEntropy::new(5);
        let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
        let keys = KeySet::new();
        keys.add(signer.public());
        let ids = Ids::new(Arc::clone(&clock), entropy);
        let house = House { clock, ids, signer, keys, peers: Peers::new() };
        let service = souk_payment::service();
        let own = house.resources(service.name(), house.store(service.name(), service.views()));
        let provider = house.store(souk_provider::NAME, souk_provider::views());
        let guard = house.guard(souk_provider::NAME);
        let theirs = souk_provider::bind(provider, Arc::clone(&house.clock), guard, None);
        service.serve(&own).iter().chain(&theirs).for_each(|bound| house.peers.add_bound(bound));
        house.peers.round_trip(true);
        house
    }

    fn store(&self, name: &str, views: Vec<souk_eventstore::View>) -> EventStore {
        let location = Location::Memory(Faults::none());
        EventStore::open(Options::new(name, location, Arc::clone(&self.clock)).views(views)).expect("opens")
    }

    fn guard(&self, name: &str) -> Arc<Guard> {
        Arc::new(Guard::new(Arc::new(Verifier::new(self.keys.clone(), name, Arc::clone(&self.clock)))))
    }

    fn identity(&self, name: &str) -> Arc<ServiceIdentity> {
        let (signer, clock) = (Arc::clone(&self.signer), Arc::clone(&self.clock));
        Arc::new(ServiceIdentity::new(name, signer, clock, self.ids.clone()))
    }

    fn resources(&self, name: &str, store: EventStore) -> Resources {
        Resources {
            store,
            clock: Arc::clone(&self.clock),
            ids: self.ids.clone(),
            peers: self.peers.clone(),
            identity: self.identity(name),
            signer: Arc::clone(&self.signer),
            guard: self.guard(name),
        }
    }

    fn cx(&self, caller: &str) -> Cx {
        let token = self.identity(caller).token_for("payment", Some("gst_1"));
        Cx::new(Instant::now() + Duration::from_secs(60)).with_token(token)
    }
}

fn request(token: &str) -> pb::AuthorizeRequest {
    let order_id = OrderId::from_uuid(Uuid::v7(1, [1; 10]));
    pb::AuthorizeRequest {
        payment_id: PaymentId::from_uuid(order_id.uuid()).to_string(),
        order_id: order_id.to_string(),
        amount: Some(Money { minor_units: 1000, currency: "GBP".to_owned() }),
        payment_method_token: token.to_owned(),
    }
}

#[tokio::test]
async fn order_pays_through_the_guards_of_both_sides() {
    let house = House::open();
    let payments: PaymentServiceClient = house.peers.get();
    let payment = payments.authorize(house.cx("order"), request("ok")).await.expect("it is promised");
    let payment = payment.payment.expect("an answer holds a payment");
    assert_eq!(payment.status(), PaymentStatus::Authorized);
    let asked = pb::GetPaymentRequest { payment_id: payment.payment_id.clone() };
    let seen = payments.get_payment(house.cx("order"), asked).await.expect("it is there");
    assert_eq!(seen.payment, Some(payment));
}

#[tokio::test]
async fn nobody_but_order_moves_money() {
    let house = House::open();
    let payments: PaymentServiceClient = house.peers.get();
    for caller in ["cart", "payment", "provider"] {
        let error = payments.authorize(house.cx(caller), request("ok")).await.expect_err("it may not");
        assert_eq!(error.code(), Code::PermissionDenied, "{caller}");
    }
    let nobody = Cx::new(Instant::now() + Duration::from_secs(60));
    let error = payments.authorize(nobody, request("ok")).await.expect_err("it may not");
    assert_eq!(error.code(), Code::Unauthenticated);
}
