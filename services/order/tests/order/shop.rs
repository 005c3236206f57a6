//! An order service that can be started, crashed and started again on the same store.
use crate::doubles::{World, gbp};
use prost::Message;
use souk_bus::Reactor;
use souk_contracts::cart::v1::{CartService, CartServiceClient, PlainLine};
use souk_contracts::catalog::v1::{CatalogService, CatalogServiceClient};
use souk_contracts::inventory::v1::{InventoryService, InventoryServiceClient};
use souk_contracts::order::v1::{self as pb, OrderServiceClient};
use souk_contracts::payment::v1::{PaymentService, PaymentServiceClient};
use souk_contracts::shipping::v1::{self as shipping, ShippingService, ShippingServiceClient};
use souk_contracts::terms::{CartId, OrderId};
use souk_eventstore::{EventStore, InboxMark, Location, Options, StreamId};
use souk_host::{Resources, Service};
use souk_identity::{Claims, KeySet, Kind, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_kernel::{Clock, Error, Ids, ManualClock, SeededEntropy, Timestamp, TypeId, Uuid};
use souk_order::domain::Order;
use souk_order::domain::order::Status;
use souk_order::effects::Waiting;
use souk_order::reactions::{Parcels, Payments};
use souk_order::{OrderHouse, invariants, views};
use souk_rpc::feed::FeedEvent;
use souk_rpc::{Cx, Guard, Peers};
use souk_telemetry::{Stop, StopSource, task};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any test may take; only a defect waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

pub const GUEST: &str = "gst_1";
pub const TOTAL: i64 = 849;

pub struct Shop {
    pub world: World,
    pub clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    ids: Ids,
    signer: Arc<Signer>,
    keys: KeySet,
    running: Option<Running>,
}

struct Running {
    own: Resources,
    _stop: StopSource,
    processes: Vec<task::Running<Result<(), Error>>>,
}

impl Shop {
    /// A shop with three products, a cart of the guest's, and the order service running.
    pub async fn open() -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
        let entropy = SeededEntropy::new(7);
        let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
        let keys = KeySet::new();
        keys.add(signer.public());
        let ids = Ids::new(clock.clone(), entropy);
        let folder = tempfile::tempdir().expect("a folder");
        let mut shop = Self { world: World::new(), clock, folder, ids, signer, keys, running: None };
        shop.stock_up();
        shop.start().await;
        shop
    }

    fn stock_up(&self) {
        self.world.books(|books| {
            for (sku, price) in [("A", Some(gbp(250))), ("B", Some(gbp(99))), ("OLD", None)] {
                books.products.insert(sku.to_owned(), (format!("The {sku}"), price));
            }
            let line = |line, sku: &str, quantity| PlainLine { line, sku: sku.to_owned(), quantity };
            let lines = vec![line(4, "A", 2), line(5, "B", 1), line(9, "A", 1)];
            books.carts.insert(cart_id(), (GUEST.to_owned(), lines));
        });
    }

    /// Opens the store and starts the service with its processes.
    pub async fn start(&mut self) {
        let house = house();
        let location = Location::Sqlite(self.folder.path().join("order.db"));
        let options = Options::new(house.name(), location, self.clock.clone()).views(house.views());
        let publish = house.publish().expect("orders are published");
        let store = EventStore::open(options.publish(publish)).expect("the store opens");
        let clock: Arc<dyn Clock> = self.clock.clone();
        let verifier = Verifier::new(self.keys.clone(), house.name(), clock.clone());
        let identity =
            ServiceIdentity::new(house.name(), self.signer.clone(), clock.clone(), self.ids.clone());
        let own = Resources {
            store,
            clock,
            ids: self.ids.clone(),
            peers: self.peers(),
            identity: Arc::new(identity),
            signer: self.signer.clone(),
            guard: Arc::new(Guard::new(Arc::new(verifier))),
        };
        house.serve(&own).iter().for_each(|bound| own.peers.add_bound(bound));
        let (source, stop) = Stop::new();
        let start = |process: Box<dyn souk_host::Process>| {
            task::spawn(task::Kind::Background, process.name(), process.run(stop.clone()))
        };
        let processes = house.processes(&own).into_iter().map(start).collect();
        self.running = Some(Running { own, _stop: source, processes });
    }

    fn peers(&self) -> Peers {
        let peers = Peers::new();
        peers.add_local::<InventoryServiceClient>(Arc::new(self.world.clone()) as Arc<dyn InventoryService>);
        peers.add_local::<PaymentServiceClient>(Arc::new(self.world.clone()) as Arc<dyn PaymentService>);
        peers.add_local::<CartServiceClient>(Arc::new(self.world.clone()) as Arc<dyn CartService>);
        peers.add_local::<ShippingServiceClient>(Arc::new(self.world.clone()) as Arc<dyn ShippingService>);
        peers.add_local::<CatalogServiceClient>(Arc::new(self.world.clone()) as Arc<dyn CatalogService>);
        peers.round_trip(true);
        peers
    }

    /// Ends the service wherever it is, and starts it again on what its store holds.
    pub async fn crash_and_restart(&mut self) {
        let running = self.running.take().expect("running");
        drop(running._stop);
        for process in running.processes {
            process.abort();
            let _ = process.join().await;
        }
        running.own.store.shutdown().await;
        drop(running.own);
        self.start().await;
    }

    pub fn own(&self) -> &Resources {
        &self.running.as_ref().expect("running").own
    }

    pub fn store(&self) -> &EventStore {
        &self.own().store
    }

    pub fn client(&self) -> OrderServiceClient {
        self.own().peers.get()
    }

    /// A call by a guest, or by staff when the subject says so.
    pub fn cx(&self, subject: &str, roles: &[&str]) -> Cx {
        let kind = if subject.starts_with("stf_") { Kind::Staff } else { Kind::Guest };
        let claims = Claims::new(subject, kind, "souk", self.clock.now(), 600)
            .with_roles(roles.iter().map(ToString::to_string).collect());
        let token: Arc<str> = self.signer.sign(&claims).into();
        Cx::new(Instant::now() + PATIENCE).with_token(token).with_request_id("req_1")
    }

    pub fn guest(&self) -> Cx {
        self.cx(GUEST, &[])
    }

    pub fn sales(&self) -> Cx {
        self.cx("stf_1", &["sales"])
    }

    /// A quote of the guest's cart.
    pub async fn quote(&self) -> pb::Quote {
        self.quote_with(wish()).await.expect("a quote")
    }

    pub async fn quote_with(&self, request: pb::CreateQuoteRequest) -> Result<pb::Quote, Error> {
        Ok(self.client().create_quote(self.guest(), request).await?.quote.expect("set"))
    }

    /// A quote that is shipped, as an order.
    pub async fn place_shipped(&self) -> pb::Order {
        let quote = self.quote_with(shipped_wish()).await.expect("a quote");
        self.place(&quote, "key-1").await.expect("placed")
    }

    /// Tells the order what shipping publishes, as often as it is said.
    pub async fn hear(&self, kind: &str, message: impl Message, sequence: u64) {
        let reactor = Parcels { windows: house().windows };
        self.apply(&reactor, kind, message, sequence).await;
    }

    /// Tells the order what payment publishes.
    pub async fn hear_payment(&self, kind: &str, message: impl Message, sequence: u64) {
        let reactor = Payments { windows: house().windows, waiting: Waiting::default() };
        self.apply(&reactor, kind, message, sequence).await;
    }

    async fn apply(&self, reactor: &impl Reactor, kind: &str, message: impl Message, sequence: u64) {
        assert!(reactor.wants(kind));
        let event = FeedEvent {
            source: reactor.source().to_owned(),
            stream: "their-stream".to_owned(),
            public_seq: sequence,
            kind: kind.to_owned(),
            id: format!("event-{sequence}"),
            data: message.encode_to_vec().into(),
            ..FeedEvent::default()
        };
        let mark = InboxMark {
            reaction: reactor.name().into(),
            source: reactor.source().into(),
            stream: "their-stream".into(),
            sequence,
        };
        let work = reactor.work(&event, mark).expect("no poison");
        self.store().commit(work).await.expect("applied");
    }

    /// A parcel with these lines (number, SKU, pieces) leaves.
    pub async fn hand_over(
        &self,
        order_id: &str,
        shipment_id: &str,
        lines: &[(u32, &str, u32)],
        sequence: u64,
    ) {
        let line = |(line, sku, quantity): &(u32, &str, u32)| shipping::ShipmentLine {
            line: *line,
            sku: (*sku).to_owned(),
            quantity: *quantity,
            location: if *sku == "B" { "east" } else { "main" }.to_owned(),
            title: String::new(),
        };
        self.world.books(|books| books.fulfilments.entry(order_id.to_owned()).or_default().has_left = true);
        let message = shipping::ShipmentHandedOver {
            order_id: order_id.to_owned(),
            shipment_id: shipment_id.to_owned(),
            subject: GUEST.to_owned(),
            lines: lines.iter().map(line).collect(),
            carrier: "swift".to_owned(),
            tracking_code: format!("T-{shipment_id}"),
            ..shipping::ShipmentHandedOver::default()
        };
        self.hear("souk.shipping.v1.ShipmentHandedOver", message, sequence).await;
    }

    pub async fn parcel_is(&self, what: &str, order_id: &str, shipment_id: &str, sequence: u64) {
        let message = shipping::ShipmentInTransit {
            order_id: order_id.to_owned(),
            shipment_id: shipment_id.to_owned(),
            subject: GUEST.to_owned(),
        };
        self.hear(&format!("souk.shipping.v1.Shipment{what}"), message, sequence).await;
    }

    /// The time to undo is over, and shipping has the order.
    pub async fn until_processing(&self, order_id: &str) -> Order {
        self.until(order_id, |order| *order.status() == Status::Confirmed).await;
        self.clock.advance_ms(60_000);
        self.until(order_id, |order| *order.status() == Status::Processing && !order.has_open_saga()).await
    }

    pub async fn place(&self, quote: &pb::Quote, key: &str) -> Result<pb::Order, Error> {
        let answer =
            self.client().place_order(self.guest().with_key(Arc::from(key)), acceptance(quote)).await?;
        Ok(answer.order.expect("set"))
    }

    /// Quote and order in one go.
    pub async fn place_new(&self) -> pb::Order {
        let quote = self.quote().await;
        self.place(&quote, "key-1").await.expect("placed")
    }

    pub async fn cancel(&self, order_id: &str, key: &str) -> Result<pb::Order, Error> {
        let request = pb::CancelOrderRequest { order_id: order_id.to_owned(), reason: String::new() };
        let answer = self.client().cancel_order(self.guest().with_key(Arc::from(key)), request).await?;
        Ok(answer.order.expect("set"))
    }

    pub async fn get(&self, order_id: &str) -> pb::Order {
        let request = pb::GetOrderRequest { order_id: order_id.to_owned() };
        self.client().get_order(self.guest(), request).await.expect("there").order.expect("set")
    }

    /// The order's state once `done` says so.
    pub async fn until(&self, order_id: &str, done: impl Fn(&Order) -> bool) -> Order {
        let stream = StreamId::of::<Order>(order_id);
        let store = self.store().clone();
        let mut head = store.head();
        let wait = async {
            loop {
                head.borrow_and_update();
                let order = store.state::<Order>(&stream).await.expect("readable");
                if done(&order) {
                    return order.state().clone();
                }
                head.changed().await.expect("the store is open");
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(order) => order,
            Err(_) => panic!("still {:?}", store.state::<Order>(&stream).await),
        }
    }

    /// The order once nothing is left to happen, with everything checked that must hold then.
    pub async fn until_over(&self, order_id: &str) -> Order {
        let order = self.until(order_id, Order::is_over).await;
        self.check(order_id, &order).await;
        assert_eq!(self.store().open_timers().await.expect("readable"), 0, "the deadline is cancelled");
        order
    }

    /// What must hold of an order at any time.
    pub async fn check(&self, order_id: &str, order: &Order) {
        let facts = invariants::facts(order).expect("placed");
        assert!(invariants::saga_fits_status(&facts) && invariants::nothing_kept(&facts), "{order:?}");
        assert!(invariants::total_is_sum_of_lines(order));
        assert!(invariants::captured_is_what_left(order), "{order:?}");
        assert!(invariants::returns_fit(order), "{order:?}");
        let id: OrderId = order_id.parse().expect("an id");
        let rows = self.store().query(views::page(&facts.subject, None, 100)).await.expect("readable");
        let rows: Vec<_> = rows.iter().filter_map(views::listed).filter(|row| row.order_id == id).collect();
        assert!(invariants::row_is_fold(&rows[0], order), "{:?} is not {order:?}", rows[0]);
    }
}

/// The service with retries that a test does not have to wait for.
pub fn house() -> OrderHouse {
    let mut house = souk_order::service();
    house.sagas.backoff_first = Duration::from_millis(1);
    house.sagas.backoff_max = Duration::from_millis(2);
    house.sagas.waiting_recheck = Duration::from_millis(5);
    house
}

pub fn cart_id() -> String {
    CartId::from_uuid(Uuid::v7(1, [9; 10])).to_string()
}

pub fn acceptance(quote: &pb::Quote) -> pb::PlaceOrderRequest {
    pb::PlaceOrderRequest {
        quote_id: quote.quote_id.clone(),
        expected_total: quote.total.clone(),
        payment_method_token: "ok".to_owned(),
        partial_policy: 0,
    }
}

/// The guest's cart, with nothing besides.
pub fn wish() -> pb::CreateQuoteRequest {
    pb::CreateQuoteRequest { cart_id: cart_id(), ..pb::CreateQuoteRequest::default() }
}

/// The guest's cart, shipped.
pub fn shipped_wish() -> pb::CreateQuoteRequest {
    pb::CreateQuoteRequest { rate_id: "rte_1".to_owned(), ..wish() }
}
