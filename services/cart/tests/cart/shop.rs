//! A shop with nothing but its carts, and what its callers want of it.
use crate::others::{TestCatalog, TestInventory, TestOrders};
use prost::Message;
use souk_bus::feed_name;
use souk_cart::domain::{Cart, CartEvent};
use souk_cart::invariants;
use souk_contracts::cart::v1::{self as pb, CartServiceClient};
use souk_contracts::catalog::v1::CatalogServiceClient;
use souk_contracts::inventory::v1::InventoryServiceClient;
use souk_contracts::order::v1::{ConfirmedLine, OrderConfirmed};
use souk_contracts::terms::OrderId;
use souk_decider::fold;
use souk_eventstore::{EventStore, Position};
use souk_host::{Environment, Node, Service, Settings};
use souk_identity::{Claims, Kind, ServiceIdentity, Signer, SigningKey};
use souk_kernel::{Clock, Entropy, Error, Ids, ManualClock, SeededEntropy, Timestamp, TypeId, Uuid};
use souk_rpc::feed::FeedServiceBytes;
use souk_rpc::{Cx, Peers};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Sat, 21 November 2026.
const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const ORDER_CONFIRMED: &str = "souk.order.v1.OrderConfirmed";

pub struct Shop {
    pub node: Node,
    pub client: CartServiceClient,
    pub others: Others,
    order: ServiceIdentity,
}

#[derive(Clone, Default)]
pub struct Others {
    pub catalog: Arc<TestCatalog>,
    pub inventory: Arc<TestInventory>,
    pub orders: Arc<TestOrders>,
}

impl Shop {
    /// One that sells A at 1.00, B at 2.50 and, in Germany only, D.
    pub async fn in_memory() -> Self {
        let others = Others::default();
        for (sku, market, minor) in [("A", "GB", 100), ("A", "DE", 120), ("B", "GB", 250), ("D", "DE", 900)] {
            others.catalog.sell(sku, market, minor);
        }
        others.inventory.levels.lock().expect("fresh").extend([("A".to_owned(), 1_000), ("B".to_owned(), 3)]);
        Self::with(&Settings { round_trip: true, ..Settings::in_memory() }, 1, others).await
    }

    /// One whose store is in this folder; another `seed` for each start.
    pub async fn at(folder: &Path, seed: u64, others: Others) -> Self {
        Self::with(&Settings::at(folder), seed, others).await
    }

    async fn with(settings: &Settings, seed: u64, others: Others) -> Self {
        let clock: Arc<dyn Clock> = ManualClock::at(START);
        let entropy: Arc<dyn Entropy> = SeededEntropy::new(seed);
        let environment = Environment { clock: clock.clone(), entropy: entropy.clone() };
        let peers = Peers::new();
        peers.add_local::<CatalogServiceClient>(others.catalog.clone());
        peers.add_local::<InventoryServiceClient>(others.inventory.clone());
        peers.add_remote(&feed_name("order"), Arc::new(FeedServiceBytes(others.orders.clone())));
        let services: Vec<Box<dyn Service>> = vec![Box::new(souk_cart::service())];
        let node = Node::start(&services, &environment, settings, peers).await.expect("it starts");
        let ids = Ids::new(clock.clone(), entropy);
        let order = ServiceIdentity::new("order", node.signer().clone(), clock, ids);
        Self { client: node.peers().get(), node, others, order }
    }

    pub fn store(&self) -> &EventStore {
        &self.node.stores()[0].1
    }

    pub fn anybody(&self) -> Cx {
        Cx::new(tokio::time::Instant::now() + PATIENCE).with_request_id("test")
    }

    pub fn guest(&self, name: &str) -> Cx {
        self.caller(name, Kind::Guest)
    }

    pub fn caller(&self, name: &str, kind: Kind) -> Cx {
        self.anybody().with_token(Arc::from(self.token(name, kind)))
    }

    pub fn token(&self, name: &str, kind: Kind) -> String {
        self.node.signer().sign(&Claims::new(name, kind, "souk", START, 86_400))
    }

    /// A guest's token that somebody else has signed.
    pub fn forged(&self, name: &str) -> String {
        let signer = Signer::new(SigningKey::from_seed([9; 32]));
        signer.sign(&Claims::new(name, Kind::Guest, "souk", START, 86_400))
    }

    pub async fn customer_adds(&self, customer: &str, sku: &str, quantity: u32, op_id: &str) {
        let (sku, op_id) = (sku.into(), op_id.into());
        let request = pb::AddItemRequest { sku, quantity, op_id, market: String::new() };
        self.client.add_item(self.caller(customer, Kind::Customer), request).await.expect("added");
    }

    pub async fn merge(&self, guest: &str, customer: &str) -> Result<pb::Cart, Error> {
        let request = pb::MergeGuestCartRequest { guest_token: self.token(guest, Kind::Guest) };
        let cx = self.caller(customer, Kind::Customer);
        Ok(self.client.merge_guest_cart(cx, request).await?.cart.expect("a cart"))
    }

    pub fn order_for(&self, owner: &str) -> Cx {
        self.anybody().with_token(self.order.token_for("cart", Some(owner)))
    }

    pub async fn get(&self, guest: &str) -> pb::Cart {
        self.get_in(guest, "").await.expect("an answer")
    }

    pub async fn get_in(&self, guest: &str, market: &str) -> Result<pb::Cart, Error> {
        let request = pb::GetCartRequest { market: market.into() };
        Ok(self.client.get_cart(self.guest(guest), request).await?.cart.expect("a cart"))
    }

    pub async fn add(&self, guest: &str, sku: &str, quantity: u32, op_id: &str) -> Result<pb::Cart, Error> {
        self.add_in(guest, sku, quantity, op_id, "").await
    }

    pub async fn add_in(
        &self,
        guest: &str,
        sku: &str,
        quantity: u32,
        op_id: &str,
        market: &str,
    ) -> Result<pb::Cart, Error> {
        let request =
            pb::AddItemRequest { sku: sku.into(), quantity, op_id: op_id.into(), market: market.into() };
        Ok(self.client.add_item(self.guest(guest), request).await?.cart.expect("a cart"))
    }

    pub async fn set(
        &self,
        guest: &str,
        line: u32,
        quantity: u32,
        version: Option<u64>,
    ) -> Result<pb::Cart, Error> {
        let request = pb::SetQuantityRequest { line, quantity, expected_version: version };
        Ok(self.client.set_quantity(self.guest(guest), request).await?.cart.expect("a cart"))
    }

    pub async fn remove(&self, guest: &str, line: u32) -> Result<pb::Cart, Error> {
        Ok(self
            .client
            .remove_item(self.guest(guest), pb::RemoveItemRequest { line })
            .await?
            .cart
            .expect("a cart"))
    }

    pub async fn clear(&self, guest: &str) -> Result<pb::Cart, Error> {
        Ok(self.client.clear_cart(self.guest(guest), pb::ClearCartRequest {}).await?.cart.expect("a cart"))
    }

    pub async fn read_lines(&self, owner: &str, cart_id: &str) -> Result<pb::ReadLinesResponse, Error> {
        self.client.read_lines(self.order_for(owner), pb::ReadLinesRequest { cart_id: cart_id.into() }).await
    }

    /// The order service says that the `n`th order took these (line, quantity) of a cart. Returns its mark.
    pub fn confirm(&self, n: u8, cart_id: &str, owner: &str, lines: &[(u32, u32)]) -> (String, u64) {
        let line = |(i, (cart_line, quantity)): (usize, &(u32, u32))| ConfirmedLine {
            line: u32::try_from(i).expect("small") + 1,
            sku: "A".into(),
            quantity: *quantity,
            cart_line: *cart_line,
        };
        let event = OrderConfirmed {
            order_id: order(n).to_string(),
            cart_id: cart_id.into(),
            subject: owner.into(),
            lines: lines.iter().enumerate().map(line).collect(),
            ..Default::default()
        };
        let stream = format!("order/{}", order(n));
        let sequence = self.others.orders.publish(&stream, ORDER_CONFIRMED, event.encode_to_vec());
        (stream, sequence)
    }

    /// Waits until the cart has reacted to this.
    pub async fn reacted(&self, (stream, sequence): (String, u64)) {
        let marked = || self.store().inbox_mark("cart.orders", "order", &stream);
        self.until(async || marked().await.expect("readable") >= sequence).await;
    }

    /// Waits until so many events are parked, and gives the reasons.
    pub async fn parked(&self, count: usize) -> Vec<String> {
        let parked = async || self.store().parked("cart.orders", count + 1).await.expect("readable");
        self.until(async || parked().await.len() >= count).await;
        parked().await.into_iter().map(|parked| parked.reason).collect()
    }

    /// Looks again after every commit.
    async fn until(&self, holds: impl AsyncFn() -> bool) {
        let mut head = self.store().head();
        let waiting = async {
            while !holds().await {
                head.changed().await.expect("the store is open");
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the cart reacts in time");
    }

    /// Every cart's events.
    pub async fn histories(&self) -> BTreeMap<String, Vec<CartEvent>> {
        let log = self.store().read_log(Position::START, 100_000).await.expect("readable");
        let mut histories: BTreeMap<String, Vec<CartEvent>> = BTreeMap::new();
        for recorded in &log {
            if let Some(event) = recorded.of::<Cart>() {
                histories.entry(recorded.stream.to_string()).or_default().push(event.as_ref().clone());
            }
        }
        histories
    }

    /// The invariants over the whole log.
    pub async fn check(&self) {
        let histories = self.histories().await;
        for events in histories.values() {
            let cart: Cart = fold(events);
            assert_eq!(invariants::quantities_are_sums(events, &cart), Ok(()));
            assert_eq!(invariants::no_addition_twice(events), Ok(()));
            assert_eq!(cart.active().map_or(Ok(()), invariants::within_bounds), Ok(()));
        }
        assert_eq!(invariants::merged_once(histories.values().map(Vec::as_slice)), Ok(()));
        assert_eq!(invariants::converted_once(histories.values().map(Vec::as_slice)), Ok(()));
    }
}

/// The `n`th order.
pub fn order(n: u8) -> OrderId {
    OrderId::from_uuid(Uuid::v7(1_800_000_000_000, [n; 10]))
}

/// The lines as (number, SKU, quantity).
pub fn lines(cart: &pb::Cart) -> Vec<(u32, &str, u32)> {
    cart.lines.iter().map(|line| (line.line, line.sku.as_str(), line.quantity)).collect()
}
