//! Inventory, payment, catalog, cart and shipping as far as an order needs them. They outlive the order service, as
//! the real ones do, and remember every answer they gave. What happens to a call can be scripted.
#[path = "doubles/counter.rs"]
mod counter;

use souk_contracts::cart::v1 as cart;
use souk_contracts::catalog::v1 as catalog;
use souk_contracts::inventory::v1 as inventory;
use souk_contracts::payment::v1 as payment;
use souk_contracts::types::v1::Money;
use souk_kernel::{Code, Error};
use souk_rpc::{BoxFuture, BoxStream, Cx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

type Answer<T> = BoxFuture<'static, Result<T, Error>>;

/// What happens to one call of a saga.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// It never arrives.
    RequestLost,
    /// It has its effect, and its answer is lost.
    AnswerLost,
    /// It arrives twice.
    Doubled,
    /// It waits on the way there until it is let go.
    HeldBefore,
    /// It has its effect, and its answer waits until it is let go.
    HeldAfter,
}

/// The world around the order service.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    books: Mutex<Books>,
    /// Permits appear when a call is held, and are taken by the test.
    held: Semaphore,
    /// Permits that let held calls go.
    released: Semaphore,
}

#[derive(Default)]
pub struct Books {
    /// Steps that are refused when they are asked for, for example `commit`.
    pub unwilling: BTreeSet<&'static str>,
    /// Which call of the sagas, counted from 1, has which fate.
    pub fates: BTreeMap<usize, Fate>,
    /// What happens to every call of a method while it stands here.
    pub always: BTreeMap<&'static str, Fate>,
    /// Every call of the sagas that was sent.
    pub calls: Vec<&'static str>,
    pub reservations: BTreeMap<String, inventory::ReservationStatus>,
    pub payments: BTreeMap<String, Funds>,
    /// Title and price by SKU; all are sold in GB.
    pub products: BTreeMap<String, (String, Option<Money>)>,
    /// Owner, lines and version by cart.
    pub carts: BTreeMap<String, (String, Vec<cart::PlainLine>)>,
    /// What is held by reservation, and where; what was given back is gone.
    pub held: BTreeMap<String, Vec<inventory::AllocatedLine>>,
    /// What left, by reservation and shipment.
    pub left: BTreeMap<String, BTreeMap<String, Vec<inventory::AllocatedLine>>>,
    /// How many pieces of a SKU there are; as many as wanted where it is not named.
    pub scarce: BTreeMap<String, u32>,
    /// What reservations wait for, because it was sold before it was there.
    pub backordered: BTreeMap<String, Vec<inventory::StockLine>>,
    /// Releases of lines, by id.
    pub line_releases: BTreeSet<String>,
    /// How often promises were prolonged.
    pub prolonged: usize,
    /// The provider wants the customer to act.
    pub wants_action: bool,
    /// Promises of money have expired.
    pub expired: bool,
    /// Percent of tax that is added to prices; 0 for none.
    pub tax_percent: i64,
    /// Minor units that a coupon takes off the first line.
    pub coupons: BTreeMap<String, i64>,
    /// Coupons by order, and whether they are given back.
    pub redeemed: BTreeMap<String, catalog::RedemptionStatus>,
    pub fulfilments: BTreeMap<String, Floor>,
    /// What the provider says of refunds; that they succeeded where nothing stands here.
    pub refund_outcome: Option<payment::RefundStatus>,
    /// What came back into the stock, by the restock's id.
    pub restocked: BTreeMap<String, Vec<inventory::RestockLine>>,
    /// Which reservation it was of.
    pub restocked_of: BTreeMap<String, String>,
    /// Labels to send something back with, by return; `false` when voided.
    pub labels: BTreeMap<String, bool>,
}

/// What shipping knows of an order.
#[derive(Debug, Clone, Default)]
pub struct Floor {
    pub lines: Vec<souk_contracts::shipping::v1::FulfilmentLine>,
    pub is_created: bool,
    pub is_cancelled: bool,
    /// Parcels that left.
    pub has_left: bool,
    /// The answers to cancels, by id.
    pub cancels: BTreeMap<String, bool>,
    pub holds: BTreeSet<String>,
    pub released_holds: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Funds {
    pub status: payment::PaymentStatus,
    pub promised: i64,
    pub taken: i64,
    pub given_back: i64,
    pub captures: BTreeSet<String>,
    /// What is promised and not taken is given up, after something was taken.
    pub rest_void: bool,
    pub again: bool,
    pub renewal: String,
    /// What was given back, by the refund's id, and what the provider said of it.
    pub refunds: BTreeMap<String, (i64, payment::RefundStatus)>,
}

pub fn gbp(minor_units: i64) -> Money {
    Money { minor_units, currency: "GBP".to_owned() }
}

impl World {
    pub fn new() -> Self {
        let shared = Shared { books: Mutex::default(), held: Semaphore::new(0), released: Semaphore::new(0) };
        Self(Arc::new(shared))
    }

    pub fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.0.books.lock().expect("no holder panics"))
    }

    /// Returns once a call is held.
    pub async fn call_held(&self) {
        self.0.held.acquire().await.expect("never closed").forget();
    }

    /// Lets one held call go.
    pub fn let_go(&self) {
        self.0.released.add_permits(1);
    }

    /// Whether neither stock nor money is kept for anybody.
    pub fn keeps_nothing(&self) -> bool {
        use inventory::ReservationStatus as Stock;
        use payment::PaymentStatus as Status;
        self.books(|books| {
            let stock =
                books.reservations.values().all(|status| matches!(status, Stock::Refused | Stock::Released));
            let money = books.payments.values().all(|funds| {
                matches!(funds.status, Status::Declined | Status::Voided | Status::Refunded)
                    && funds.taken == funds.given_back
            });
            let coupons = books.redeemed.values().all(|s| *s != catalog::RedemptionStatus::Redeemed);
            let floor = books.fulfilments.values().all(|floor| !floor.is_created || floor.is_cancelled);
            stock && money && coupons && floor
        })
    }

    /// Whether stock is committed and all the money taken, once.
    pub fn sold(&self, total: i64) -> bool {
        self.books(|books| {
            use inventory::ReservationStatus as Stock;
            let committed =
                books.reservations.values().all(|s| matches!(s, Stock::Committed | Stock::Shipped));
            let paid = books.payments.values().all(|f| (f.taken, f.given_back) == (total, 0));
            committed && paid && books.reservations.len() == 1 && books.payments.len() == 1
        })
    }

    /// One call of a saga, with whatever befalls it.
    fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        work: impl Fn(&mut Books) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Answer<T> {
        let world = self.clone();
        Box::pin(async move {
            let fate = world.books(|books| {
                books.calls.push(method);
                let always = books.always.get(method).copied();
                always.or_else(|| books.fates.get(&books.calls.len()).copied())
            });
            match fate {
                None => world.books(&work),
                Some(Fate::RequestLost) => Err(Error::unavailable("the request was lost")),
                Some(Fate::AnswerLost) => {
                    let _ = world.books(&work);
                    Err(Error::unavailable("the answer was lost"))
                }
                Some(Fate::Doubled) => {
                    let _ = world.books(&work);
                    world.books(&work)
                }
                Some(Fate::HeldBefore) => {
                    world.hold().await;
                    world.books(&work)
                }
                Some(Fate::HeldAfter) => {
                    let answer = world.books(&work);
                    world.hold().await;
                    answer
                }
            }
        })
    }

    async fn hold(&self) {
        self.0.held.add_permits(1);
        self.0.released.acquire().await.expect("never closed").forget();
    }
}

impl Books {
    fn willing(&self, step: &str) -> bool {
        !self.unwilling.contains(step)
    }

    fn reservation(&self, id: &str, reason: &str) -> inventory::Reservation {
        let status = self.reservations[id];
        let left = self.left.get(id).map(|left| left.values().flatten().cloned().collect::<Vec<_>>());
        let refused = status == inventory::ReservationStatus::Refused;
        let shortage = inventory::Shortage { sku: "A".to_owned(), wanted: 3, available: 1 };
        inventory::Reservation {
            reservation_id: id.to_owned(),
            status: status.into(),
            refusal_reason: if refused { reason.to_owned() } else { String::new() },
            shortages: if refused { vec![shortage] } else { Vec::new() },
            lines: self.held.get(id).cloned().unwrap_or_default(),
            backordered: self.backordered.get(id).cloned().unwrap_or_default(),
            shipped: left.unwrap_or_default(),
            ..inventory::Reservation::default()
        }
    }

    fn payment(&self, id: &str) -> payment::Payment {
        let funds = &self.payments[id];
        payment::Payment {
            payment_id: id.to_owned(),
            status: funds.status.into(),
            authorized: Some(gbp(funds.promised)),
            captured: Some(gbp(funds.taken)),
            refunded: Some(gbp(funds.given_back)),
            decline_code: "insufficient_funds".to_owned(),
            action_url: "https://provider.example/act".to_owned(),
            refunds: funds
                .refunds
                .iter()
                .map(|(refund_id, (minor, status))| payment::RefundState {
                    refund_id: refund_id.clone(),
                    amount: Some(gbp(*minor)),
                    status: (*status).into(),
                    code: String::new(),
                })
                .collect(),
            ..payment::Payment::default()
        }
    }

    fn funds(&mut self, id: &str) -> &mut Funds {
        let status = payment::PaymentStatus::Unspecified;
        let (captures, again, renewal) = (BTreeSet::new(), false, String::new());
        let refunds = BTreeMap::new();
        let (promised, taken, given_back, rest_void) = (0, 0, 0, false);
        let none =
            Funds { status, promised, taken, given_back, captures, rest_void, again, renewal, refunds };
        self.payments.entry(id.to_owned()).or_insert(none)
    }
}

fn refused(reason: &'static str) -> Error {
    Error::new(Code::FailedPrecondition, reason, "no")
}

fn not_here<T: Send + 'static>() -> Answer<T> {
    Box::pin(async { Err(Error::new(Code::Unimplemented, "UNIMPLEMENTED", "not in this double")) })
}

/// Methods that an order never calls.
macro_rules! never_called {
    ($($name:ident($request:ty) -> $response:ty;)*) => {
        $(fn $name(&self, _: Cx, _: $request) -> Answer<$response> { crate::doubles::not_here() })*
    };
}
use never_called;

type Stream<T> = BoxStream<'static, Result<T, Error>>;

impl inventory::InventoryService for World {
    fn reserve(&self, _: Cx, request: inventory::ReserveRequest) -> Answer<inventory::ReserveResponse> {
        self.carry("reserve", move |books| {
            use inventory::ReservationStatus as Status;
            let id = &request.reservation_id;
            let first = if books.willing("reserve") { Status::Held } else { Status::Refused };
            if !books.reservations.contains_key(id) {
                let first = books.hold(id, &request, first);
                books.reservations.insert(id.clone(), first);
            }
            let reservation = Some(books.reservation(id, "INSUFFICIENT_STOCK"));
            Ok(inventory::ReserveResponse { reservation })
        })
    }

    fn commit(&self, _: Cx, request: inventory::CommitRequest) -> Answer<inventory::CommitResponse> {
        self.carry("commit", move |books| {
            use inventory::ReservationStatus as Status;
            let id = &request.reservation_id;
            if books.reservations.get(id) == Some(&Status::Held) {
                let status = if books.willing("commit") { Status::Committed } else { Status::Refused };
                books.reservations.insert(id.clone(), status);
            }
            let reservation = Some(books.reservation(id, "RESERVATION_EXPIRED"));
            Ok(inventory::CommitResponse { reservation })
        })
    }

    fn release(&self, _: Cx, request: inventory::ReleaseRequest) -> Answer<inventory::ReleaseResponse> {
        self.carry("release", move |books| {
            use inventory::ReservationStatus as Status;
            let id = &request.reservation_id;
            if !request.lines.is_empty() {
                books.give_back(id, &request);
            } else if books.reservations.get(id) != Some(&Status::Refused) {
                books.reservations.insert(id.clone(), Status::Released);
                books.backordered.remove(id);
                books.held.remove(id);
            }
            let reservation = Some(books.reservation(id, "INSUFFICIENT_STOCK"));
            Ok(inventory::ReleaseResponse { reservation })
        })
    }

    fn ship(&self, _: Cx, request: inventory::ShipRequest) -> Answer<inventory::ShipResponse> {
        self.carry("ship", move |books| {
            use inventory::ReservationStatus as Status;
            let id = &request.reservation_id;
            let left = books.left.entry(id.clone()).or_default();
            left.insert(request.shipment_id.clone(), request.lines.clone());
            let shipped: u32 = left.values().flatten().map(|line| line.quantity).sum();
            let held: u32 = books.held.get(id).into_iter().flatten().map(|line| line.quantity).sum();
            assert!(shipped <= held, "more left than was held");
            let status = if shipped == held { Status::Shipped } else { Status::PartiallyShipped };
            books.reservations.insert(id.clone(), status);
            Ok(inventory::ShipResponse { reservation: Some(books.reservation(id, "")) })
        })
    }

    fn restock(&self, _: Cx, request: inventory::RestockRequest) -> Answer<inventory::RestockResponse> {
        self.carry("restock", move |books| {
            books.restocked.entry(request.restock_id.clone()).or_insert_with(|| request.lines.clone());
            let left = books.left.get(&request.reservation_id).into_iter().flat_map(BTreeMap::values);
            let left: u32 = left.flatten().map(|line| line.quantity).sum();
            books.restocked_of.insert(request.restock_id.clone(), request.reservation_id.clone());
            let of = |id: &String| books.restocked_of.get(id) == Some(&request.reservation_id);
            let back = books.restocked.iter().filter(|(id, _)| of(id)).flat_map(|(_, lines)| lines);
            let back: u32 = back.map(|line| line.quantity).sum();
            assert!(back <= left, "more came back than had left");
            Ok(inventory::RestockResponse {
                reservation: Some(books.reservation(&request.reservation_id, "")),
            })
        })
    }

    fn extend_reservation(
        &self,
        _: Cx,
        request: inventory::ExtendReservationRequest,
    ) -> Answer<inventory::ExtendReservationResponse> {
        self.carry("extend", move |books| {
            books.prolonged += 1;
            let reservation = Some(books.reservation(&request.reservation_id, ""));
            Ok(inventory::ExtendReservationResponse { reservation })
        })
    }

    fn get_reservation(
        &self,
        _: Cx,
        request: inventory::GetReservationRequest,
    ) -> Answer<inventory::GetReservationResponse> {
        self.carry("get_reservation", move |books| {
            let reservation = Some(books.reservation(&request.reservation_id, ""));
            Ok(inventory::GetReservationResponse { reservation })
        })
    }

    never_called! {
        get_availability(inventory::GetAvailabilityRequest) -> inventory::GetAvailabilityResponse;
        receive_stock(inventory::ReceiveStockRequest) -> inventory::ReceiveStockResponse;
        adjust_stock(inventory::AdjustStockRequest) -> inventory::AdjustStockResponse;
        bulk_adjust(inventory::BulkAdjustRequest) -> inventory::BulkAdjustResponse;
        transfer_stock(inventory::TransferStockRequest) -> inventory::TransferStockResponse;
        count_stock(inventory::CountStockRequest) -> inventory::CountStockResponse;
        list_shortfalls(inventory::ListShortfallsRequest) -> inventory::ListShortfallsResponse;
        resolve_shortfall(inventory::ResolveShortfallRequest) -> inventory::ResolveShortfallResponse;
        put_location(inventory::PutLocationRequest) -> inventory::PutLocationResponse;
        list_locations(inventory::ListLocationsRequest) -> inventory::ListLocationsResponse;
        put_stock_terms(inventory::PutStockTermsRequest) -> inventory::PutStockTermsResponse;
        watch_stock(inventory::WatchStockRequest) -> Stream<inventory::WatchStockResponse>;
        list_movements(inventory::ListMovementsRequest) -> inventory::ListMovementsResponse;
    }
}

impl Books {
    /// Allots what is asked for, SKU `B` in the east and everything else in the main house.
    fn hold(
        &mut self,
        id: &str,
        request: &inventory::ReserveRequest,
        status: inventory::ReservationStatus,
    ) -> inventory::ReservationStatus {
        let is_short = |line: &inventory::StockLine| {
            self.scarce.get(&line.sku).is_some_and(|there| *there < line.quantity)
        };
        let wants_all = request.policy() == inventory::ReservePolicy::AllOrNothing;
        if wants_all && request.lines.iter().any(is_short) {
            return inventory::ReservationStatus::Refused;
        }
        let mut held = Vec::new();
        for line in &request.lines {
            let there = self.scarce.get(&line.sku).copied().unwrap_or(line.quantity);
            let waits = request.policy() == inventory::ReservePolicy::Backorder;
            let is_partial = waits || request.policy() == inventory::ReservePolicy::Partial;
            let quantity = if is_partial { line.quantity.min(there) } else { line.quantity };
            if waits && quantity < line.quantity {
                let missing = inventory::StockLine { quantity: line.quantity - quantity, ..line.clone() };
                self.backordered.entry(id.to_owned()).or_default().push(missing);
            }
            let location = if line.sku == "B" { "east" } else { "main" }.to_owned();
            if quantity > 0 {
                held.push(inventory::AllocatedLine {
                    line: line.line,
                    sku: line.sku.clone(),
                    quantity,
                    location,
                });
            }
        }
        self.held.insert(id.to_owned(), held);
        status
    }

    /// What a reservation waits for has come, to the main house.
    pub fn arrives(&mut self, id: &str) {
        for line in self.backordered.remove(id).unwrap_or_default() {
            let location = "main".to_owned();
            let inventory::StockLine { line, sku, quantity } = line;
            let held = self.held.entry(id.to_owned()).or_default();
            held.push(inventory::AllocatedLine { line, sku, quantity, location });
        }
    }

    fn give_back(&mut self, id: &str, request: &inventory::ReleaseRequest) {
        if !self.line_releases.insert(request.release_id.clone()) {
            return;
        }
        for line in self.held.get_mut(id).into_iter().flatten() {
            let given = request.lines.iter().find(|given| given.line == line.line);
            line.quantity -= given.map_or(0, |given| given.quantity);
        }
        self.held.entry(id.to_owned()).and_modify(|held| held.retain(|line| line.quantity > 0));
    }
}

impl payment::PaymentService for World {
    fn authorize(&self, _: Cx, request: payment::AuthorizeRequest) -> Answer<payment::AuthorizeResponse> {
        self.carry("authorize", move |books| {
            use payment::PaymentStatus as Status;
            let (willing, wants_action) = (books.willing("authorize"), books.wants_action);
            let funds = books.funds(&request.payment_id);
            if funds.status == Status::Unspecified {
                funds.status = match (wants_action, willing) {
                    (true, _) => Status::RequiresAction,
                    (false, true) => Status::Authorized,
                    (false, false) => Status::Declined,
                };
                let amount = request.amount.as_ref().map_or(0, |money| money.minor_units);
                funds.promised = if willing { amount } else { 0 };
            }
            Ok(payment::AuthorizeResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    fn capture(&self, _: Cx, request: payment::CaptureRequest) -> Answer<payment::CaptureResponse> {
        self.carry("capture", move |books| {
            use payment::PaymentStatus as Status;
            if !books.willing("capture") {
                return Err(refused("CAPTURE_REFUSED"));
            }
            let expired = books.expired;
            let funds = books.funds(&request.payment_id);
            if expired && !funds.again {
                return Err(refused("AUTHORIZATION_EXPIRED"));
            }
            if !matches!(
                funds.status,
                Status::Authorized | Status::PartiallyCaptured | Status::Captured | Status::Refunded
            ) {
                return Err(refused("PAYMENT_VOIDED"));
            }
            if funds.rest_void && !funds.captures.contains(&request.capture_id) {
                return Err(refused("PAYMENT_VOIDED"));
            }
            let is_open = matches!(funds.status, Status::Authorized | Status::PartiallyCaptured);
            if is_open && funds.captures.insert(request.capture_id.clone()) {
                funds.taken += request.amount.as_ref().map_or(0, |money| money.minor_units);
                assert!(funds.taken <= funds.promised, "more taken than was promised");
                let all = funds.taken == funds.promised;
                funds.status = if all { Status::Captured } else { Status::PartiallyCaptured };
            }
            Ok(payment::CaptureResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    fn void(&self, _: Cx, request: payment::VoidRequest) -> Answer<payment::VoidResponse> {
        self.carry("void", move |books| {
            use payment::PaymentStatus as Status;
            let funds = books.funds(&request.payment_id);
            if matches!(funds.status, Status::Captured | Status::Refunded) {
                return Err(refused("ALREADY_CAPTURED"));
            }
            if !books.willing("void") {
                return Err(refused("VOID_REFUSED"));
            }
            let funds = books.funds(&request.payment_id);
            if funds.taken > 0 {
                funds.rest_void = true;
            } else if funds.status != Status::Declined {
                funds.status = Status::Voided;
            }
            Ok(payment::VoidResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    fn refund(&self, _: Cx, request: payment::RefundRequest) -> Answer<payment::RefundResponse> {
        self.carry("refund", move |books| {
            use payment::PaymentStatus as Status;
            if !books.willing("refund") {
                return Err(refused("REFUND_REFUSED"));
            }
            let outcome = books.refund_outcome.unwrap_or(payment::RefundStatus::Succeeded);
            let minor = request.amount.as_ref().map_or(0, |money| money.minor_units);
            let funds = books.funds(&request.payment_id);
            let is_settled = |funds: &Funds| {
                let known = funds.refunds.get(&request.refund_id);
                known.is_some_and(|(_, status)| *status != payment::RefundStatus::Pending)
            };
            if funds.taken > 0 && !is_settled(funds) {
                funds.refunds.insert(request.refund_id.clone(), (minor, outcome));
                if outcome == payment::RefundStatus::Succeeded {
                    funds.given_back += minor;
                    assert!(funds.given_back <= funds.taken, "more given back than was taken");
                    let is_all = funds.given_back == funds.taken && funds.status == Status::Captured;
                    funds.status = if is_all { Status::Refunded } else { funds.status };
                }
            }
            Ok(payment::RefundResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    fn get_payment(&self, _: Cx, request: payment::GetPaymentRequest) -> Answer<payment::GetPaymentResponse> {
        self.carry("get_payment", move |books| {
            Ok(payment::GetPaymentResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    fn reauthorize(
        &self,
        _: Cx,
        request: payment::ReauthorizeRequest,
    ) -> Answer<payment::ReauthorizeResponse> {
        self.carry("reauthorize", move |books| {
            if !books.willing("reauthorize") {
                return Err(refused("REAUTHORIZATION_REFUSED"));
            }
            let wanted = request.amount.as_ref().map_or(0, |money| money.minor_units);
            let funds = books.funds(&request.payment_id);
            if funds.again && funds.renewal != request.authorization_id {
                let held = refused("REAUTHORIZATION_REFUSED").with("decline_code", "not_expired");
                return Err(held);
            }
            assert_eq!(wanted, funds.promised - funds.taken, "all that is left is promised anew");
            (funds.again, funds.renewal) = (true, request.authorization_id.clone());
            Ok(payment::ReauthorizeResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    never_called! {
        complete_action(payment::CompleteActionRequest) -> payment::CompleteActionResponse;
        handle_webhook(payment::HandleWebhookRequest) -> payment::HandleWebhookResponse;
        reconcile(payment::ReconcileRequest) -> payment::ReconcileResponse;
        list_payment_issues(payment::ListPaymentIssuesRequest) -> payment::ListPaymentIssuesResponse;
        get_ledger(payment::GetLedgerRequest) -> payment::GetLedgerResponse;
    }
}
