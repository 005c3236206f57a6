//! A shop with nothing but its inventory, and what its callers want of it.
use souk_contracts::inventory::v1::{self as pb, InventoryServiceClient, ReservationStatus};
use souk_contracts::terms::OrderId;
use souk_decider::Aggregate;
use souk_eventstore::{CommitError, EventStore, Faults, Location, Options, Position, StreamId};
use souk_host::{Resources, Service};
use souk_identity::{Claims, KeySet, Kind, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_inventory::domain::{Reservation, ReservationEvent};
use souk_inventory::{effects, invariants, views};
use souk_kernel::{Error, Ids, ManualClock, SeededEntropy, Timestamp, TypeId, Uuid};
use souk_rpc::{Cx, Guard, Peers};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Sat, 21 November 2026.
pub const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);

pub struct Shop {
    pub clock: Arc<ManualClock>,
    pub own: Resources,
    pub client: InventoryServiceClient,
    order: ServiceIdentity,
    signer: Arc<Signer>,
}

/// The `n`th order.
pub fn order(n: u8) -> OrderId {
    OrderId::from_uuid(Uuid::from_bytes([n; 16]))
}

pub fn line(line: u32, sku: &str, quantity: u32) -> pb::StockLine {
    pb::StockLine { line, sku: sku.into(), quantity }
}

impl Shop {
    pub fn in_memory() -> Self {
        Self::at(Location::Memory(Faults::none()), ManualClock::at(START))
    }

    pub fn at(location: Location, clock: Arc<ManualClock>) -> Self {
        Self::with(Options::new("inventory", location, clock.clone()), clock)
    }

    pub fn with(options: Options, clock: Arc<ManualClock>) -> Self {
        let service = souk_inventory::service();
        let store = EventStore::open(options.views(service.views())).expect("the store opens");
        let signer = Arc::new(Signer::new(SigningKey::from_seed([7; 32])));
        let keys = KeySet::new();
        keys.add(signer.public());
        let ids = Ids::new(clock.clone(), SeededEntropy::new(store.head().borrow().get() + 1));
        let identity = |name| ServiceIdentity::new(name, signer.clone(), clock.clone(), ids.clone());
        let order = identity("order");
        let own = Resources {
            store,
            clock: clock.clone(),
            ids: ids.clone(),
            peers: Peers::new(),
            identity: Arc::new(identity("inventory")),
            signer: signer.clone(),
            guard: Arc::new(Guard::new(Arc::new(Verifier::new(keys, "inventory", clock.clone())))),
        };
        own.peers.round_trip(true);
        service.serve(&own).iter().for_each(|bound| own.peers.add_bound(bound));
        Self { client: own.peers.get(), clock, own, order, signer }
    }

    pub fn cx(&self) -> Cx {
        Cx::new(tokio::time::Instant::now() + Duration::from_secs(60)).with_request_id("test")
    }

    pub fn as_order(&self) -> Cx {
        self.cx().with_token(self.order.token_for("inventory", Some("gst_someone")))
    }

    pub fn as_person(&self, kind: Kind, roles: &[&str]) -> Cx {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let claims = Claims::new("stf_someone", kind, "souk", START, 86_400).with_roles(roles);
        self.cx().with_token(Arc::from(self.signer.sign(&claims)))
    }

    pub fn as_admin(&self) -> Cx {
        self.as_person(Kind::Staff, &["admin"])
    }

    pub async fn receive(&self, receipt: &str, at: &str, lines: &[(&str, i64)]) -> Result<bool, Error> {
        let line =
            |(sku, quantity): &(&str, i64)| pb::ReceiptLine { sku: (*sku).into(), quantity: *quantity };
        let request = pb::ReceiveStockRequest {
            receipt_id: receipt.into(),
            location: at.into(),
            lines: lines.iter().map(line).collect(),
        };
        Ok(self.client.receive_stock(self.as_admin(), request).await?.repeated_receipt)
    }

    pub async fn adjust(&self, id: &str, sku: &str, at: &str, delta: i64) -> Result<pb::Level, Error> {
        let request = pb::AdjustStockRequest {
            adjustment_id: id.into(),
            sku: sku.into(),
            location: at.into(),
            delta,
            reason: "count".into(),
        };
        Ok(self.client.adjust_stock(self.as_admin(), request).await?.level.expect("a level"))
    }

    pub async fn reserve(&self, order: OrderId, lines: &[pb::StockLine]) -> Result<pb::Reservation, Error> {
        let request = pb::ReserveRequest {
            reservation_id: order.to_string(),
            lines: lines.to_vec(),
            ttl_s: 60,
            ..Default::default()
        };
        Ok(self.client.reserve(self.as_order(), request).await?.reservation.expect("a reservation"))
    }

    pub async fn commit(&self, order: OrderId) -> pb::Reservation {
        let request = pb::CommitRequest { reservation_id: order.to_string() };
        let answer = self.client.commit(self.as_order(), request).await.expect("a commit is always answered");
        answer.reservation.expect("a reservation")
    }

    pub async fn release(&self, order: OrderId) -> pb::Reservation {
        let request = pb::ReleaseRequest {
            reservation_id: order.to_string(),
            reason: "test".into(),
            ..Default::default()
        };
        let answer =
            self.client.release(self.as_order(), request).await.expect("a release is always answered");
        answer.reservation.expect("a reservation")
    }

    pub async fn look(&self, order: OrderId) -> Result<pb::Reservation, Error> {
        let request = pb::GetReservationRequest { reservation_id: order.to_string() };
        let answer = self.client.get_reservation(self.as_order(), request).await?;
        Ok(answer.reservation.expect("a reservation"))
    }

    /// On hand and reserved.
    pub async fn level(&self, sku: &str) -> (i64, i64) {
        let request = pb::GetAvailabilityRequest { skus: vec![sku.into()] };
        let answer = self.client.get_availability(self.cx(), request).await.expect("levels");
        (answer.levels[0].on_hand, answer.levels[0].reserved)
    }

    /// Lets the time pass and fires what has come due.
    pub async fn pass(&self, seconds: i64) {
        self.clock.advance_ms(seconds * 1_000);
        for timer in self.own.store.due_timers(1_000).await.expect("timers") {
            match effects::expire(self.own.store.clone(), timer).await {
                Ok(()) | Err(CommitError::TimerGone) => {}
                Err(error) => panic!("a timer was not fired: {error}"),
            }
        }
    }

    /// The shelves, read page by page.
    pub async fn rows(&self) -> Vec<invariants::StockRow> {
        let mut rows: Vec<invariants::StockRow> = Vec::new();
        loop {
            let page = self.own.store.query(views::stock_behind(rows.last())).await.expect("shelves");
            if page.is_empty() {
                return rows;
            }
            rows.extend(page.iter().map(views::stock_row));
        }
    }

    /// Everything that must hold, found by reading the whole log.
    pub async fn violations(&self) -> Vec<invariants::Violation> {
        let mut movements = Vec::new();
        let mut histories: BTreeMap<StreamId, Vec<Arc<ReservationEvent>>> = BTreeMap::new();
        let mut after = Position::START;
        loop {
            let page = self.own.store.read_log(after, 1_000).await.expect("the log");
            let Some(last) = page.last() else { break };
            after = last.position;
            for recorded in &page {
                movements.extend(views::movements_of(recorded));
                if let Some(event) = recorded.of::<Reservation>() {
                    histories.entry(recorded.stream.clone()).or_default().push(event);
                }
            }
        }
        let rows = self.rows().await;
        let folded: Vec<Reservation> = histories.values().map(|events| fold(events)).collect();
        let mut violations = invariants::within_bounds(&rows);
        violations.extend(invariants::on_hand_is_moved(&rows, &movements));
        violations.extend(invariants::reserved_is_held(&rows, &folded));
        for (stream, events) in &histories {
            violations.extend(invariants::is_legal(stream.as_str(), events.iter().map(Arc::as_ref)));
        }
        violations
    }
}

fn fold(events: &[Arc<ReservationEvent>]) -> Reservation {
    let mut reservation = Reservation::default();
    events.iter().for_each(|event| reservation.evolve(event));
    reservation
}

/// What an answer says in short: its status, and why not.
pub fn said(reservation: &pb::Reservation) -> (ReservationStatus, &str) {
    (reservation.status(), &reservation.refusal_reason)
}

/// The stable reason of an error.
#[track_caller]
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    answer.expect_err("this should be refused").reason().to_owned()
}
