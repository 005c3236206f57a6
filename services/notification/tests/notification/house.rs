//! A shop with nothing but its notifications, and what its callers want of it.
use futures_util::StreamExt;
use prost::Message;
use souk_bus::feed_name;
use souk_contracts::notification::v1::{self as pb, NotificationServiceClient};
use souk_contracts::order::v1::{OrderCancelled, OrderConfirmed};
use souk_contracts::types::v1::Money;
use souk_eventstore::{EventStore, Position};
use souk_host::{Environment, Node, Service, Settings};
use souk_identity::{Claims, Kind, ServiceIdentity};
use souk_kernel::{Clock, Entropy, Error, Ids, ManualClock, SeededEntropy, Timestamp};
use souk_notification::domain::{Delivery, DeliveryEvent, Inbox, InboxEvent};
use souk_notification::{Options, invariants};
use souk_rpc::feed::{FeedEvent, FeedService, FeedServiceBytes, ReadRequest};
use souk_rpc::{BoxFuture, BoxStream, Cx, Peers, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Sat, 21 November 2026.
pub const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct House {
    pub node: Node,
    pub client: NotificationServiceClient,
    pub orders: Arc<TestOrders>,
    pub clock: Arc<ManualClock>,
    order: ServiceIdentity,
    user: ServiceIdentity,
}

impl House {
    pub async fn in_memory(options: Options) -> Self {
        let settings = Settings { round_trip: true, ..Settings::in_memory() };
        Self::with(&settings, 1, Arc::default(), options).await
    }

    /// One whose store is in this folder; another `seed` for each start.
    pub async fn at(folder: &Path, seed: u64, orders: Arc<TestOrders>, options: Options) -> Self {
        Self::with(&Settings::at(folder), seed, orders, options).await
    }

    async fn with(settings: &Settings, seed: u64, orders: Arc<TestOrders>, options: Options) -> Self {
        let clock = ManualClock::at(START);
        let injected: Arc<dyn Clock> = clock.clone();
        let entropy: Arc<dyn Entropy> = SeededEntropy::new(seed);
        let environment = Environment { clock: injected.clone(), entropy: entropy.clone() };
        let peers = Peers::new();
        peers.add_remote(&feed_name("order"), Arc::new(FeedServiceBytes(orders.clone())));
        let services: Vec<Box<dyn Service>> = vec![Box::new(souk_notification::service(options))];
        let node = Node::start(&services, &environment, settings, peers).await.expect("it starts");
        let ids = Ids::new(injected.clone(), entropy);
        let order = ServiceIdentity::new("order", node.signer().clone(), injected.clone(), ids.clone());
        let user = ServiceIdentity::new("user", node.signer().clone(), injected, ids);
        Self { client: node.peers().get(), node, orders, clock, order, user }
    }

    pub fn store(&self) -> &EventStore {
        &self.node.stores()[0].1
    }

    fn cx(&self) -> Cx {
        Cx::new(tokio::time::Instant::now() + PATIENCE).with_request_id("test")
    }

    pub fn guest(&self, name: &str) -> Cx {
        let claims = Claims::new(name, Kind::Guest, "souk", START, 30 * 86_400);
        self.cx().with_token(Arc::from(self.node.signer().sign(&claims)))
    }

    pub fn staff(&self, role: &str) -> Cx {
        let claims = Claims::new("stf_1", Kind::Staff, "souk", START, 30 * 86_400);
        self.cx().with_token(Arc::from(self.node.signer().sign(&claims.with_roles(vec![role.into()]))))
    }

    pub fn as_order(&self) -> Cx {
        self.cx().with_token(self.order.token_for("notification", None))
    }

    pub fn as_user(&self) -> Cx {
        self.cx().with_token(self.user.token_for("notification", None))
    }

    /// The `n`th order of this person is confirmed.
    pub fn confirms(&self, n: u32, subject: &str) {
        self.orders.confirm(n, subject, self.clock.now());
    }

    pub async fn list(&self, subject: &str) -> Vec<pb::Notification> {
        let request = pb::ListNotificationsRequest { page_size: 200, ..Default::default() };
        self.client.list_notifications(self.guest(subject), request).await.expect("an answer").notifications
    }

    /// Waits until this person has so many notifications; newest first.
    pub async fn told(&self, subject: &str, count: usize) -> Vec<pb::Notification> {
        self.until(async || self.list(subject).await.len() >= count).await;
        let told = self.list(subject).await;
        assert_eq!(told.len(), count, "{told:?}");
        told
    }

    pub async fn prefer(
        &self,
        subject: &str,
        change: pb::UpdatePreferencesRequest,
    ) -> Result<pb::Preferences> {
        let answer = self.client.update_preferences(self.guest(subject), change).await?;
        Ok(answer.preferences.expect("preferences"))
    }

    pub async fn has_email(&self, subject: &str, email: &str) {
        let change = pb::UpdatePreferencesRequest { email: Some(email.into()), ..Default::default() };
        self.prefer(subject, change).await.expect("it is taken");
    }

    pub async fn send(
        &self,
        subject: &str,
        template: &str,
        fact: (&str, &str),
        key: &str,
    ) -> Result<bool, Error> {
        let request = pb::SendNotificationRequest {
            subject: subject.into(),
            template: template.into(),
            facts: [(fact.0.to_owned(), fact.1.to_owned())].into(),
            dedup_key: key.into(),
        };
        Ok(self.client.send_notification(self.as_order(), request).await?.told)
    }

    pub async fn subscribe(
        &self,
        subject: &str,
        after: u64,
        types: &[&str],
    ) -> Result<BoxStream<'static, Result<pb::SubscribeResponse>>> {
        let types = types.iter().map(|text| (*text).to_owned()).collect();
        self.client.subscribe(self.guest(subject), pb::SubscribeRequest { after_cursor: after, types }).await
    }

    pub async fn endpoint(&self, name: &str, url: &str, types: &[&str]) -> pb::CreateWebhookEndpointResponse {
        let types = types.iter().map(|text| (*text).to_owned()).collect();
        let request = pb::CreateWebhookEndpointRequest { name: name.into(), url: url.into(), types };
        self.client.create_webhook_endpoint(self.staff("admin"), request).await.expect("it is registered")
    }

    pub async fn log(&self, endpoint_id: &str) -> Vec<pb::Delivery> {
        let request = pb::ListDeliveriesRequest { endpoint_id: endpoint_id.into(), ..Default::default() };
        self.client.list_deliveries(self.staff("support"), request).await.expect("an answer").deliveries
    }

    /// Every delivery's events.
    pub async fn deliveries(&self) -> BTreeMap<String, Vec<DeliveryEvent>> {
        let mut all: BTreeMap<String, Vec<DeliveryEvent>> = BTreeMap::new();
        for recorded in self.store().read_log(Position::START, 100_000).await.expect("readable") {
            if let Some(event) = recorded.of::<Delivery>() {
                all.entry(recorded.stream.to_string()).or_default().push(event.as_ref().clone());
            }
        }
        all
    }

    /// Looks again after every commit.
    pub async fn until(&self, holds: impl AsyncFn() -> bool) {
        let mut head = self.store().head();
        let waiting = async {
            while !holds().await {
                head.changed().await.expect("the store is open");
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to pass in time");
    }

    /// The invariants over the whole log, and that nothing in it is anybody's address or secret.
    pub async fn check(&self, canaries: &[&str]) {
        let mut inboxes: BTreeMap<String, Vec<InboxEvent>> = BTreeMap::new();
        for recorded in self.store().read_log(Position::START, 100_000).await.expect("readable") {
            for canary in canaries {
                assert!(!recorded.data.contains(canary), "{canary} stands in a {}", recorded.kind);
            }
            if let Some(event) = recorded.of::<Inbox>() {
                inboxes.entry(recorded.stream.to_string()).or_default().push(event.as_ref().clone());
            }
        }
        for events in inboxes.values() {
            assert_eq!(invariants::gap_free(events), Ok(()));
            assert_eq!(invariants::told_once(events), Ok(()));
        }
        for events in self.deliveries().await.values() {
            assert_eq!(invariants::attempts_in_order(events), Ok(()));
        }
    }
}

/// The next thing that a subscriber hears.
pub async fn next(stream: &mut BoxStream<'static, Result<pb::SubscribeResponse>>) -> pb::SubscribeResponse {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time");
    next.expect("the stream goes on").expect("and brings something")
}

/// What order has published so far.
pub struct TestOrders {
    events: watch::Sender<Vec<FeedEvent>>,
}

impl Default for TestOrders {
    fn default() -> Self {
        Self { events: watch::Sender::new(Vec::new()) }
    }
}

impl TestOrders {
    pub fn confirm(&self, n: u32, subject: &str, at: Timestamp) {
        let message = OrderConfirmed {
            order_id: order(n),
            subject: subject.into(),
            total: Some(Money { minor_units: 1250, currency: "GBP".into() }),
            ..Default::default()
        };
        self.publish(n, "OrderConfirmed", message.encode_to_vec(), at);
    }

    pub fn cancel(&self, n: u32, subject: &str, reason: &str, at: Timestamp) {
        let message = OrderCancelled { order_id: order(n), subject: subject.into(), reason: reason.into() };
        self.publish(n, "OrderCancelled", message.encode_to_vec(), at);
    }

    pub fn publish(&self, n: u32, kind: &str, data: Vec<u8>, at: Timestamp) {
        let stream = format!("order/{}", order(n));
        self.events.send_modify(|events| {
            let public_seq = events.iter().filter(|event| event.stream == stream).count() as u64 + 1;
            let feed_seq = events.len() as u64 + 1;
            events.push(FeedEvent {
                feed_seq,
                source: "order".into(),
                stream,
                public_seq,
                kind: format!("souk.order.v1.{kind}"),
                id: format!("order/{feed_seq}"),
                time: Some(souk_rpc::time::to_proto(at)),
                data: data.into(),
                ..Default::default()
            });
        });
    }
}

fn order(n: u32) -> String {
    format!("ord_{n:026}")
}

impl FeedService for TestOrders {
    fn read(
        &self,
        _cx: Cx,
        request: ReadRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<FeedEvent>>>> {
        let events = self.events.subscribe();
        let read = futures_util::stream::unfold((events, request.after), |(mut events, after)| async move {
            let index = usize::try_from(after).expect("small");
            let event = events.wait_for(|all| all.len() > index).await.ok()?[index].clone();
            Some((Ok(event), (events, after + 1)))
        });
        Box::pin(async { Ok(Box::pin(read) as BoxStream<'static, _>) })
    }
}
