//! Inventory, payment, catalog and cart as far as an order needs them. They outlive the order service, as
//! the real ones do, and remember every answer they gave. What happens to a call can be scripted.
use souk_contracts::cart::v1 as cart;
use souk_contracts::catalog::v1 as catalog;
use souk_contracts::inventory::v1 as inventory;
use souk_contracts::payment::v1 as payment;
use souk_contracts::types::v1::Money;
use souk_kernel::{Code, Error};
use souk_rpc::{BoxFuture, Cx};
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
}

#[derive(Debug, Clone, PartialEq)]
pub struct Funds {
    pub status: payment::PaymentStatus,
    pub promised: i64,
    pub taken: i64,
    pub given_back: i64,
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
            stock && money
        })
    }

    /// Whether stock is committed and all the money taken, once.
    pub fn sold(&self, total: i64) -> bool {
        self.books(|books| {
            let committed =
                books.reservations.values().all(|s| *s == inventory::ReservationStatus::Committed);
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
        let refused = status == inventory::ReservationStatus::Refused;
        let shortage = inventory::Shortage { sku: "A".to_owned(), wanted: 3, available: 1 };
        inventory::Reservation {
            reservation_id: id.to_owned(),
            status: status.into(),
            refusal_reason: if refused { reason.to_owned() } else { String::new() },
            shortages: if refused { vec![shortage] } else { Vec::new() },
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
            ..payment::Payment::default()
        }
    }

    fn funds(&mut self, id: &str) -> &mut Funds {
        let status = payment::PaymentStatus::Unspecified;
        let none = Funds { status, promised: 0, taken: 0, given_back: 0 };
        self.payments.entry(id.to_owned()).or_insert(none)
    }
}

fn refused(reason: &'static str) -> Error {
    Error::new(Code::FailedPrecondition, reason, "no")
}

fn not_here<T: Send + 'static>() -> Answer<T> {
    Box::pin(async { Err(Error::new(Code::Unimplemented, "UNIMPLEMENTED", "not in this double")) })
}

impl inventory::InventoryService for World {
    fn reserve(&self, _: Cx, request: inventory::ReserveRequest) -> Answer<inventory::ReserveResponse> {
        self.carry("reserve", move |books| {
            use inventory::ReservationStatus as Status;
            let id = &request.reservation_id;
            let first = if books.willing("reserve") { Status::Held } else { Status::Refused };
            books.reservations.entry(id.clone()).or_insert(first);
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
            if books.reservations.get(id) != Some(&Status::Refused) {
                books.reservations.insert(id.clone(), Status::Released);
            }
            let reservation = Some(books.reservation(id, "INSUFFICIENT_STOCK"));
            Ok(inventory::ReleaseResponse { reservation })
        })
    }

    fn get_availability(
        &self,
        _: Cx,
        _: inventory::GetAvailabilityRequest,
    ) -> Answer<inventory::GetAvailabilityResponse> {
        not_here()
    }

    fn get_reservation(
        &self,
        _: Cx,
        _: inventory::GetReservationRequest,
    ) -> Answer<inventory::GetReservationResponse> {
        not_here()
    }

    fn receive_stock(
        &self,
        _: Cx,
        _: inventory::ReceiveStockRequest,
    ) -> Answer<inventory::ReceiveStockResponse> {
        not_here()
    }

    fn adjust_stock(
        &self,
        _: Cx,
        _: inventory::AdjustStockRequest,
    ) -> Answer<inventory::AdjustStockResponse> {
        not_here()
    }

    fn list_movements(
        &self,
        _: Cx,
        _: inventory::ListMovementsRequest,
    ) -> Answer<inventory::ListMovementsResponse> {
        not_here()
    }
}

impl payment::PaymentService for World {
    fn authorize(&self, _: Cx, request: payment::AuthorizeRequest) -> Answer<payment::AuthorizeResponse> {
        self.carry("authorize", move |books| {
            use payment::PaymentStatus as Status;
            let willing = books.willing("authorize");
            let funds = books.funds(&request.payment_id);
            if funds.status == Status::Unspecified {
                funds.status = if willing { Status::Authorized } else { Status::Declined };
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
            let funds = books.funds(&request.payment_id);
            match funds.status {
                Status::Authorized => {
                    funds.status = Status::Captured;
                    funds.taken += request.amount.as_ref().map_or(0, |money| money.minor_units);
                }
                Status::Captured | Status::Refunded => {}
                Status::Unspecified
                | Status::Authorizing
                | Status::Unknown
                | Status::PartiallyCaptured
                | Status::Declined
                | Status::Voided
                | Status::RequiresAction
                | Status::AuthExpired
                | Status::PartiallyRefunded => return Err(refused("PAYMENT_VOIDED")),
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
            if funds.status != Status::Declined {
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
            let funds = books.funds(&request.payment_id);
            if funds.status == Status::Captured {
                funds.status = Status::Refunded;
                funds.given_back += request.amount.as_ref().map_or(0, |money| money.minor_units);
            }
            Ok(payment::RefundResponse { payment: Some(books.payment(&request.payment_id)) })
        })
    }

    fn reauthorize(&self, _: Cx, _: payment::ReauthorizeRequest) -> Answer<payment::ReauthorizeResponse> {
        not_here()
    }

    fn complete_action(
        &self,
        _: Cx,
        _: payment::CompleteActionRequest,
    ) -> Answer<payment::CompleteActionResponse> {
        not_here()
    }

    fn handle_webhook(
        &self,
        _: Cx,
        _: payment::HandleWebhookRequest,
    ) -> Answer<payment::HandleWebhookResponse> {
        not_here()
    }

    fn reconcile(&self, _: Cx, _: payment::ReconcileRequest) -> Answer<payment::ReconcileResponse> {
        not_here()
    }

    fn list_payment_issues(
        &self,
        _: Cx,
        _: payment::ListPaymentIssuesRequest,
    ) -> Answer<payment::ListPaymentIssuesResponse> {
        not_here()
    }

    fn get_payment(&self, _: Cx, _: payment::GetPaymentRequest) -> Answer<payment::GetPaymentResponse> {
        not_here()
    }

    fn get_ledger(&self, _: Cx, _: payment::GetLedgerRequest) -> Answer<payment::GetLedgerResponse> {
        not_here()
    }
}

impl cart::CartService for World {
    fn read_lines(&self, cx: Cx, request: cart::ReadLinesRequest) -> Answer<cart::ReadLinesResponse> {
        // The token says on whose behalf; the guard of the real cart reads it.
        let token = cx.token().cloned();
        let found = self.books(|books| books.carts.get(&request.cart_id).cloned());
        Box::pin(async move {
            token.ok_or_else(|| Error::new(Code::Unauthenticated, "UNAUTHENTICATED", "no token"))?;
            let (_, lines) = found.ok_or_else(|| Error::not_found("the cart"))?;
            let market = "GB".to_owned();
            Ok(cart::ReadLinesResponse { cart_id: request.cart_id, market, lines, version: 3 })
        })
    }

    fn get_cart(&self, _: Cx, _: cart::GetCartRequest) -> Answer<cart::GetCartResponse> {
        not_here()
    }

    fn add_item(&self, _: Cx, _: cart::AddItemRequest) -> Answer<cart::AddItemResponse> {
        not_here()
    }

    fn set_quantity(&self, _: Cx, _: cart::SetQuantityRequest) -> Answer<cart::SetQuantityResponse> {
        not_here()
    }

    fn remove_item(&self, _: Cx, _: cart::RemoveItemRequest) -> Answer<cart::RemoveItemResponse> {
        not_here()
    }

    fn clear_cart(&self, _: Cx, _: cart::ClearCartRequest) -> Answer<cart::ClearCartResponse> {
        not_here()
    }
}

impl catalog::CatalogService for World {
    fn batch_get_variants(
        &self,
        _: Cx,
        request: catalog::BatchGetVariantsRequest,
    ) -> Answer<catalog::BatchGetVariantsResponse> {
        assert!((1..=500).contains(&request.skus.len()), "asked in chunks");
        let results = self.books(|books| {
            let result = |sku: &String| catalog::VariantResult {
                sku: sku.clone(),
                variant: books.products.get(sku).map(|(title, price)| catalog::SoldVariant {
                    sku: sku.clone(),
                    title: title.clone(),
                    handle: "thing".to_owned(),
                    price: price.clone().map(|amount| catalog::Price {
                        market: request.market.clone(),
                        amount: Some(amount),
                        valid_from: None,
                        price_version: 2,
                    }),
                }),
            };
            request.skus.iter().map(result).collect()
        });
        Box::pin(async move { Ok(catalog::BatchGetVariantsResponse { results }) })
    }

    fn put_product(&self, _: Cx, _: catalog::PutProductRequest) -> Answer<catalog::PutProductResponse> {
        not_here()
    }

    fn publish_product(
        &self,
        _: Cx,
        _: catalog::PublishProductRequest,
    ) -> Answer<catalog::PublishProductResponse> {
        not_here()
    }

    fn unpublish_product(
        &self,
        _: Cx,
        _: catalog::UnpublishProductRequest,
    ) -> Answer<catalog::UnpublishProductResponse> {
        not_here()
    }

    fn archive_product(
        &self,
        _: Cx,
        _: catalog::ArchiveProductRequest,
    ) -> Answer<catalog::ArchiveProductResponse> {
        not_here()
    }

    fn set_price(&self, _: Cx, _: catalog::SetPriceRequest) -> Answer<catalog::SetPriceResponse> {
        not_here()
    }

    fn get_product(&self, _: Cx, _: catalog::GetProductRequest) -> Answer<catalog::GetProductResponse> {
        not_here()
    }

    fn list_products(&self, _: Cx, _: catalog::ListProductsRequest) -> Answer<catalog::ListProductsResponse> {
        not_here()
    }

    fn search_products(
        &self,
        _: Cx,
        _: catalog::SearchProductsRequest,
    ) -> Answer<catalog::SearchProductsResponse> {
        not_here()
    }

    fn list_categories(
        &self,
        _: Cx,
        _: catalog::ListCategoriesRequest,
    ) -> Answer<catalog::ListCategoriesResponse> {
        not_here()
    }

    fn list_prices(&self, _: Cx, _: catalog::ListPricesRequest) -> Answer<catalog::ListPricesResponse> {
        not_here()
    }
}
