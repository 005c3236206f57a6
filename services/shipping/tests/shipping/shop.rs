//! A shipping service and a carrier, each with its own store behind its own guard. Time passes when a test says so.
use souk_carrier::truth::Books;
use souk_carrier::{Carrier, Messenger, Notice};
use souk_contracts::shipping::v1::{self as pb, ShipmentStatus, ShippingServiceClient};
use souk_contracts::terms::{OrderId, ShipmentId};
use souk_decider::Aggregate;
use souk_eventstore::{CommitError, EventStore, Location, Options, Position, StreamId};
use souk_host::{Process, Resources, Service};
use souk_identity::{Claims, KeySet, Kind, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_kernel::{Clock, Error, Ids, ManualClock, SeededEntropy, Timestamp, TypeId, Uuid};
use souk_rpc::{BoxFuture, Cx, Guard, Peers};
use souk_shipping::domain::{Fulfilment, Rate, Shipment, ShipmentEvent};
use souk_shipping::invariants::{self, Side};
use souk_shipping::{ShippingHouse, effects};
use souk_telemetry::{Stop, StopSource, task};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any test may take; only a defect waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two scans.
pub const PACE: Duration = Duration::from_secs(3_600);
pub const GUEST: &str = "gst_1";

pub struct Shop {
    pub clock: Arc<ManualClock>,
    pub signer: Arc<Signer>,
    folder: tempfile::TempDir,
    ids: Ids,
    keys: KeySet,
    auto: bool,
    running: Option<Running>,
}

struct Running {
    own: Resources,
    books: EventStore,
    carrier: Carrier,
    sent: Arc<Mutex<Vec<Notice>>>,
    _stop: StopSource,
    processes: Vec<task::Running<Result<(), Error>>>,
}

/// Notices go to shipping at once, and are remembered.
struct Bell {
    shipping: ShippingServiceClient,
    sent: Arc<Mutex<Vec<Notice>>>,
}

impl Messenger for Bell {
    fn deliver(&self, notice: Notice) -> BoxFuture<'_, Result<(), Error>> {
        self.sent.lock().expect("no holder panics").push(notice.clone());
        let cx = Cx::new(Instant::now() + PATIENCE);
        Box::pin(async move { self.shipping.handle_carrier_webhook(cx, webhook(&notice)).await.map(drop) })
    }
}

pub fn webhook(notice: &Notice) -> pb::HandleCarrierWebhookRequest {
    pb::HandleCarrierWebhookRequest {
        carrier: "sim".to_owned(),
        body: notice.body.clone().into(),
        headers: [("webhook-signature".to_owned(), notice.signature.clone())].into(),
    }
}

impl Shop {
    pub async fn open(auto: bool) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_s(1_800_000_000));
        let entropy = SeededEntropy::new(7);
        let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
        let keys = KeySet::new();
        keys.add(signer.public());
        let ids = Ids::new(clock.clone(), entropy);
        let folder = tempfile::tempdir().expect("a folder");
        let mut shop = Self { clock, signer, folder, ids, keys, auto, running: None };
        shop.start();
        shop
    }

    fn start(&mut self) {
        let house = house(self.auto);
        let options = self.options("shipping").views(house.views());
        let store = EventStore::open(options.publish(house.publish().expect("it publishes"))).expect("opens");
        let books = EventStore::open(self.options("carrier").views(souk_carrier::views())).expect("opens");
        let peers = Peers::new();
        peers.round_trip(true);
        let own = Resources {
            store,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            peers: peers.clone(),
            identity: Arc::new(self.identity("shipping")),
            signer: self.signer.clone(),
            guard: self.guard("shipping"),
        };
        house.serve(&own).iter().for_each(|bound| peers.add_bound(bound));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let bell = Bell { shipping: peers.get(), sent: sent.clone() };
        let secret = souk_carrier::secret(&self.signer);
        let options = souk_carrier::Options { pace: PACE, secret, messenger: Some(Arc::new(bell)) };
        let carrier = Carrier::new(books.clone(), self.clock.clone(), options);
        carrier.bind(self.guard("carrier")).iter().for_each(|bound| peers.add_bound(bound));
        let (source, stop) = Stop::new();
        let start = |process: Box<dyn Process>| {
            task::spawn(task::Kind::Background, process.name(), process.run(stop.clone()))
        };
        // Timers are fired by `pass`, so that no test waits for a clock.
        let sagas = house.processes(&own).into_iter().filter(|process| process.name() == "sagas");
        let processes = sagas.map(start).collect();
        self.running = Some(Running { own, books, carrier, sent, _stop: source, processes });
    }

    fn options(&self, name: &str) -> Options {
        let path = self.folder().join(name).with_extension("db");
        Options::new(name, Location::Sqlite(path), self.clock.clone())
    }

    fn identity(&self, name: &str) -> ServiceIdentity {
        ServiceIdentity::new(name, self.signer.clone(), self.clock.clone(), self.ids.clone())
    }

    fn guard(&self, name: &str) -> Arc<Guard> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Arc::new(Guard::new(Arc::new(Verifier::new(self.keys.clone(), name, clock))))
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("running")
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn store(&self) -> &EventStore {
        &self.running().own.store
    }

    pub fn client(&self) -> ShippingServiceClient {
        self.running().own.peers.get()
    }

    /// What the carrier sent so far.
    pub fn sent(&self) -> Vec<Notice> {
        self.running().sent.lock().expect("no holder panics").clone()
    }

    /// Ends both wherever they are, and starts them again on what their stores hold.
    pub async fn crash_and_restart(&mut self) {
        let running = self.running.take().expect("running");
        drop(running._stop);
        for process in running.processes {
            process.abort();
            let _ = process.join().await;
        }
        running.own.store.shutdown().await;
        running.books.shutdown().await;
        drop((running.own, running.books, running.carrier));
        self.start();
    }

    pub fn cx(&self) -> Cx {
        Cx::new(Instant::now() + PATIENCE).with_request_id(self.ids.uuid().to_base32())
    }

    /// A call by a guest, or by staff when the subject says so.
    pub fn by(&self, subject: &str, roles: &[&str]) -> Cx {
        let kind = if subject.starts_with("stf_") { Kind::Staff } else { Kind::Guest };
        let roles = roles.iter().map(ToString::to_string).collect();
        let claims = Claims::new(subject, kind, "souk", self.clock.now(), 600).with_roles(roles);
        self.cx().with_token(Arc::<str>::from(self.signer.sign(&claims)))
    }

    pub fn guest(&self) -> Cx {
        self.by(GUEST, &[])
    }

    pub fn staff(&self) -> Cx {
        self.by("stf_1", &["sales"])
    }

    pub fn as_order(&self) -> Cx {
        self.cx().with_token(self.identity("order").token_for("shipping", Some(GUEST)))
    }

    /// The order service, which does not say whose order it is.
    pub fn as_order_for_nobody(&self) -> Cx {
        self.cx().with_token(self.identity("order").token_for("shipping", None))
    }

    pub async fn rates(&self, address: pb::Address, scenario: &str) -> Vec<pb::Rate> {
        let request = pb::QuoteRatesRequest {
            address: Some(address),
            items: vec![pb::Item { sku: "A".to_owned(), quantity: 2 }],
            market: "GB".to_owned(),
            carrier_scenario: scenario.to_owned(),
        };
        self.client().quote_rates(self.guest(), request).await.expect("rates").options
    }

    /// An order of two lines at two locations, taken on with a rate for this scenario.
    pub async fn create(&self, order_id: OrderId, scenario: &str) -> pb::Fulfilment {
        let rate = self.rates(ada(), scenario).await.remove(0);
        let request = creation(order_id, &rate.rate_id);
        let answer = self.client().create_fulfilment(self.as_order(), request).await.expect("taken on");
        answer.fulfilment.expect("set")
    }

    pub async fn cancel(
        &self,
        order_id: OrderId,
        cancel_id: &str,
        lines: &[(u32, u32)],
    ) -> pb::CancelOutcome {
        let part = |(line, quantity): &(u32, u32)| pb::LinePart { line: *line, quantity: *quantity };
        let request = pb::CancelFulfilmentRequest {
            order_id: order_id.to_string(),
            cancel_id: cancel_id.to_owned(),
            reason: "TEST".to_owned(),
            lines: lines.iter().map(part).collect(),
        };
        let answer = self.client().cancel_fulfilment(self.as_order(), request).await;
        answer.expect("a cancel is always answered").outcome()
    }

    pub async fn fulfilment(&self, order_id: OrderId) -> pb::Fulfilment {
        let request = pb::GetFulfilmentRequest { order_id: order_id.to_string() };
        let answer = self.client().get_fulfilment(self.guest(), request).await.expect("there");
        answer.fulfilment.expect("set")
    }

    pub async fn statuses(&self, order_id: OrderId) -> Vec<ShipmentStatus> {
        self.fulfilment(order_id).await.shipments.iter().map(pb::Shipment::status).collect()
    }

    /// Packs, labels and hands over as staff does.
    pub async fn send_off(&self, shipment_id: &str) -> Result<pb::Shipment, Error> {
        let shipment_id = shipment_id.to_owned();
        let client = self.client();
        let pack = pb::MarkPackedRequest { shipment_id: shipment_id.clone() };
        client.mark_packed(self.staff(), pack).await?;
        let label = pb::BuyLabelRequest { shipment_id: shipment_id.clone() };
        client.buy_label(self.staff(), label).await?;
        let answer = client.hand_over(self.staff(), pb::HandOverRequest { shipment_id }).await?;
        Ok(answer.shipment.expect("set"))
    }

    /// The parcel's state once `done` says so.
    pub async fn until(&self, shipment_id: &str, done: impl Fn(&Shipment) -> bool) -> Shipment {
        let stream = StreamId::of::<Shipment>(shipment_id);
        let mut head = self.store().head();
        let wait = async {
            loop {
                head.borrow_and_update();
                let parcel = self.store().state::<Shipment>(&stream).await.expect("readable");
                if done(&parcel) {
                    return Shipment::clone(&parcel);
                }
                head.changed().await.expect("the store is open");
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(parcel) => parcel,
            Err(_) => panic!("still {:?}", self.store().state::<Shipment>(&stream).await),
        }
    }

    /// Every shipment of the order, once the carrier knows that it has them.
    pub async fn until_collected(&self, order_id: OrderId) {
        for shipment in self.fulfilment(order_id).await.shipments {
            self.until(&shipment.shipment_id, Shipment::is_collected).await;
        }
    }

    /// Lets the time pass and fires what has come due on both sides, until nothing more is due.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance_ms(i64::try_from(time.as_millis()).expect("it fits"));
        let settle = |fired: Result<(), CommitError>| match fired {
            Ok(()) | Err(CommitError::TimerGone) => {}
            Err(error) => panic!("a timer was not fired: {error}"),
        };
        loop {
            let theirs = self.running().books.due_timers(100).await.expect("timers");
            let ours = self.store().due_timers(100).await.expect("timers");
            if theirs.is_empty() && ours.is_empty() {
                return;
            }
            for timer in theirs {
                settle(self.running().carrier.on_due(timer).await);
            }
            for timer in ours {
                settle(effects::on_due(self.store().clone(), timer).await);
            }
        }
    }

    /// Lets so many scans happen.
    pub async fn paces(&self, scans: u32) {
        for _ in 0..scans {
            self.pass(PACE).await;
        }
    }

    /// The kinds of what others heard, without the package.
    pub async fn heard(&self) -> Vec<String> {
        let feed = self.store().read_feed(0, 1_000).await.expect("readable");
        feed.iter().map(|event| event.kind.rsplit('.').next().unwrap_or_default().to_owned()).collect()
    }

    /// What must hold at any time, and of both sides' books once nothing is on its way.
    pub async fn check(&self) {
        let log = self.store().read_log(Position::START, 10_000).await.expect("readable");
        let mut histories: BTreeMap<String, Vec<Arc<ShipmentEvent>>> = BTreeMap::new();
        let mut fulfilments: BTreeMap<String, Fulfilment> = BTreeMap::new();
        let mut rates: BTreeMap<String, Rate> = BTreeMap::new();
        for recorded in &log {
            let id = recorded.stream.id().to_owned();
            if let Some(event) = recorded.of::<Shipment>() {
                histories.entry(id).or_default().push(event);
            } else if let Some(event) = recorded.of::<Fulfilment>() {
                fulfilments.entry(id).or_default().evolve(&event);
            } else if let Some(event) = recorded.of::<Rate>() {
                rates.entry(id).or_default().evolve(&event);
            }
        }
        let mut broken = Vec::new();
        let mut parcels = Vec::new();
        for (name, events) in &histories {
            broken.extend(invariants::is_legal(name, events.iter().map(Arc::as_ref)));
            let mut parcel = Shipment::default();
            events.iter().for_each(|event| parcel.evolve(event));
            if let Some(created) = parcel.created() {
                let rate = &rates[&created.rate_id.to_string()];
                broken.extend(invariants::goes_where_it_was_quoted(&parcel, rate));
            }
            parcels.push(parcel);
        }
        for fulfilment in fulfilments.values() {
            let own = |parcel: &&Shipment| {
                parcel.id().is_some_and(|id: ShipmentId| fulfilment.shipment_ids().contains(&id))
            };
            let own: Vec<Shipment> = parcels.iter().filter(own).cloned().collect();
            broken.extend(invariants::shipped_within_ordered(fulfilment, &own));
        }
        let books = self.running().books.read_log(Position::START, 10_000).await.expect("readable");
        let theirs = Books::of(&books).expect("readable");
        let outbound = |(key, _): &(String, Side)| !key.starts_with("return:");
        let ours: BTreeMap<_, _> = parcels.iter().filter_map(invariants::ours).filter(outbound).collect();
        let theirs = theirs.truths().map(|truth| {
            // Its answer to the hand-over may still be on its way to us.
            let is_told = ours.get(&truth.key).is_none_or(|side| side.is_collected);
            let (is_void, is_collected) = (truth.is_void, truth.is_collected && is_told);
            (truth.key, Side { tracking_code: truth.tracking_code, is_void, is_collected })
        });
        broken.extend(invariants::differences(&ours, &theirs.filter(outbound).collect()));
        assert_eq!(broken, []);
    }
}

/// The service with retries that a test does not have to wait for.
fn house(auto: bool) -> ShippingHouse {
    let mut house = ShippingHouse { auto, ..souk_shipping::service() };
    house.sagas.backoff_first = Duration::from_millis(1);
    house.sagas.backoff_max = Duration::from_millis(2);
    house.sagas.attempt_timeout = Duration::from_millis(100);
    house
}

/// The `n`th order.
pub fn order(n: u8) -> OrderId {
    OrderId::from_uuid(Uuid::v7(1, [n; 10]))
}

pub fn ada() -> pb::Address {
    pb::Address {
        recipient: "Ada Lovelace".to_owned(),
        line1: "12 St James's Square".to_owned(),
        city: "London".to_owned(),
        postal_code: "SW1Y 4JH".to_owned(),
        country: "GB".to_owned(),
        ..pb::Address::default()
    }
}

pub fn creation(order_id: OrderId, rate_id: &str) -> pb::CreateFulfilmentRequest {
    let line = |line, sku: &str, quantity, location: &str| pb::FulfilmentLine {
        line,
        sku: sku.to_owned(),
        title: format!("The {sku}"),
        quantity,
        location: location.to_owned(),
    };
    pb::CreateFulfilmentRequest {
        order_id: order_id.to_string(),
        rate_id: rate_id.to_owned(),
        lines: vec![line(1, "A", 3, "north"), line(2, "B", 1, "south")],
        ..pb::CreateFulfilmentRequest::default()
    }
}

/// The stable reason of an error.
#[track_caller]
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    answer.expect_err("this should be refused").reason().to_owned()
}
