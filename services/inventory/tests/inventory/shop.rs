//! A shop with nothing but its inventory, and what its callers want of it.
use souk_contracts::inventory::v1::{self as pb, InventoryServiceClient, ReservationStatus};
use souk_contracts::terms::OrderId;
use souk_decider::Aggregate;
use souk_eventstore::{CommitError, EventStore, Faults, Location, Options, Position, StreamId};
use souk_host::{Resources, Service};
use souk_identity::{Claims, KeySet, Kind, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_inventory::domain::{Count, Reservation, ReservationEvent, Waiting};
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
        let publish = service.publish().expect("levels are published");
        let store =
            EventStore::open(options.views(service.views()).publish(publish)).expect("the store opens");
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
            quarantine: false,
        };
        Ok(self.client.adjust_stock(self.as_admin(), request).await?.level.expect("a level"))
    }

    /// Books many corrections (id, SKU, location, difference) in one call; the pieces that are there after each.
    pub async fn adjust_all(&self, adjustments: &[(&str, &str, &str, i64)]) -> Result<Vec<i64>, Error> {
        let one = |(id, sku, at, delta): &(&str, &str, &str, i64)| pb::AdjustStockRequest {
            adjustment_id: (*id).into(),
            sku: (*sku).into(),
            location: (*at).into(),
            delta: *delta,
            reason: "count".into(),
            quarantine: false,
        };
        let request = pb::BulkAdjustRequest { adjustments: adjustments.iter().map(one).collect() };
        let answer = self.client.bulk_adjust(self.as_admin(), request).await?;
        Ok(answer.levels.iter().map(|level| level.on_hand).collect())
    }

    /// Throws pieces away that are in quarantine at `main`.
    pub async fn scrap(&self, id: &str, sku: &str, pieces: i64) -> Result<pb::Level, Error> {
        let request = pb::AdjustStockRequest {
            adjustment_id: id.into(),
            sku: sku.into(),
            location: "main".into(),
            delta: -pieces,
            reason: "broken".into(),
            quarantine: true,
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

    pub async fn reserve_by(
        &self,
        policy: pb::ReservePolicy,
        order: OrderId,
        lines: &[pb::StockLine],
    ) -> Result<pb::Reservation, Error> {
        let request = pb::ReserveRequest {
            reservation_id: order.to_string(),
            lines: lines.to_vec(),
            ttl_s: 60,
            policy: policy.into(),
        };
        Ok(self.client.reserve(self.as_order(), request).await?.reservation.expect("a reservation"))
    }

    pub async fn ship(
        &self,
        order: OrderId,
        shipment: &str,
        lines: &[pb::AllocatedLine],
    ) -> Result<pb::Reservation, Error> {
        let request = pb::ShipRequest {
            reservation_id: order.to_string(),
            shipment_id: shipment.into(),
            lines: lines.to_vec(),
        };
        Ok(self.client.ship(self.as_order(), request).await?.reservation.expect("a reservation"))
    }

    pub async fn restock(
        &self,
        order: OrderId,
        restock: &str,
        lines: &[pb::RestockLine],
    ) -> Result<pb::Reservation, Error> {
        let request = pb::RestockRequest {
            restock_id: restock.into(),
            reservation_id: order.to_string(),
            lines: lines.to_vec(),
        };
        Ok(self.client.restock(self.as_order(), request).await?.reservation.expect("a reservation"))
    }

    pub async fn release_lines(
        &self,
        order: OrderId,
        release: &str,
        lines: &[pb::StockLine],
    ) -> Result<pb::Reservation, Error> {
        let request = pb::ReleaseRequest {
            reservation_id: order.to_string(),
            reason: "test".into(),
            lines: lines.to_vec(),
            release_id: release.into(),
        };
        Ok(self.client.release(self.as_order(), request).await?.reservation.expect("a reservation"))
    }

    pub async fn extend(&self, order: OrderId, ttl_s: u32) -> Result<pb::Reservation, Error> {
        let request = pb::ExtendReservationRequest { reservation_id: order.to_string(), ttl_s };
        let answer = self.client.extend_reservation(self.as_order(), request).await?;
        Ok(answer.reservation.expect("a reservation"))
    }

    pub async fn transfer(
        &self,
        id: &str,
        sku: &str,
        from: &str,
        to: &str,
        quantity: i64,
    ) -> Result<pb::Level, Error> {
        let request = pb::TransferStockRequest {
            transfer_id: id.into(),
            sku: sku.into(),
            from: from.into(),
            to: to.into(),
            quantity,
            reason: "van".into(),
        };
        Ok(self.client.transfer_stock(self.as_admin(), request).await?.level.expect("a level"))
    }

    /// Counts at `main`.
    pub async fn count(
        &self,
        id: &str,
        sku: &str,
        counted: i64,
        force: bool,
    ) -> Result<pb::CountStockResponse, Error> {
        let (count_id, location) = (id.into(), "main".into());
        let request = pb::CountStockRequest { count_id, sku: sku.into(), location, counted, force };
        self.client.count_stock(self.as_admin(), request).await
    }

    pub async fn resolve(&self, id: &str, decision: pb::ShortfallDecision) -> Result<pb::Level, Error> {
        let request = pb::ResolveShortfallRequest {
            shortfall_id: id.into(),
            decision: decision.into(),
            reason: "test".into(),
        };
        Ok(self.client.resolve_shortfall(self.as_admin(), request).await?.level.expect("a level"))
    }

    /// The open shortfalls, read page by page.
    pub async fn shortfalls(&self) -> Vec<pb::Shortfall> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListShortfallsRequest { page_size: 1, page_token };
            let page = self.client.list_shortfalls(self.as_admin(), request).await.expect("a page");
            all.extend(page.shortfalls);
            if page.next_page_token.is_empty() {
                return all;
            }
            page_token = page.next_page_token;
        }
    }

    pub async fn put_location(&self, location: &str, priority: u32, open: bool) {
        let (location, country) = (location.into(), "GB".into());
        let request = pb::PutLocationRequest { location, priority, open, country };
        self.client.put_location(self.as_admin(), request).await.expect("put");
    }

    pub async fn put_terms(&self, sku: &str, safety: i64, low_below: i64, backorder_limit: i64) {
        let terms = Some(pb::StockTerms { safety, low_below, backorder_limit });
        let request = pb::PutStockTermsRequest { sku: sku.into(), terms };
        self.client.put_stock_terms(self.as_admin(), request).await.expect("put");
    }

    pub async fn ledger(&self, sku: &str) -> Vec<pb::Movement> {
        let request = pb::ListMovementsRequest { sku: sku.into(), ..Default::default() };
        self.client.list_movements(self.as_admin(), request).await.expect("a page").movements
    }

    pub async fn whole_level(&self, sku: &str) -> pb::Level {
        let request = pb::GetAvailabilityRequest { skus: vec![sku.into()] };
        let answer = self.client.get_availability(self.cx(), request).await.expect("levels");
        answer.levels.into_iter().next().expect("one")
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

    /// Who waits, read page by page.
    pub async fn queue(&self) -> Vec<Waiting> {
        let mut queue: Vec<Waiting> = Vec::new();
        loop {
            let page = self.own.store.query(views::queue_behind(queue.last())).await.expect("the queue");
            if page.is_empty() {
                return queue;
            }
            queue.extend(page.iter().map(views::waiting_row));
        }
    }

    /// Everything that must hold, found by reading the whole log.
    pub async fn violations(&self) -> Vec<invariants::Violation> {
        let mut movements = Vec::new();
        let mut histories: BTreeMap<StreamId, Vec<Arc<ReservationEvent>>> = BTreeMap::new();
        let mut counts: BTreeMap<StreamId, Count> = BTreeMap::new();
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
                if let Some(event) = recorded.of::<Count>() {
                    counts.entry(recorded.stream.clone()).or_default().evolve(&event);
                }
            }
        }
        let rows = self.rows().await;
        let folded: Vec<Reservation> = histories.values().map(|events| fold(events)).collect();
        let mut violations = invariants::within_bounds(&rows);
        violations.extend(invariants::on_hand_is_moved(&rows, &movements));
        violations.extend(invariants::reserved_is_held(&rows, &folded));
        violations.extend(invariants::missing_is_open(&rows, counts.values()));
        violations.extend(invariants::quarantined_is_moved(&rows, &movements));
        let named = || histories.keys().map(StreamId::id).zip(&folded);
        violations.extend(invariants::queue_is_waiting(&self.queue().await, named()));
        violations.extend(invariants::back_is_shipped(named()));
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
