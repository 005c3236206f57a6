//! Customers who insist: whatever answer does not come is asked for again under the same ids, and each of them
//! writes down what was said.
use crate::chance::Chance;
use crate::faults::Marks;
use souk_contracts::cart::v1::{AddItemRequest, CartServiceClient};
use souk_contracts::catalog::v1::{
    CatalogServiceClient, PriceInput, ProductInput, PutProductRequest, VariantInput,
};
use souk_contracts::inventory::v1::{InventoryServiceClient, ReceiptLine, ReceiveStockRequest};
use souk_contracts::order::v1::{
    CancelOrderRequest, CreateQuoteRequest, GetOrderRequest, Order, OrderServiceClient, OrderStatus,
    PlaceOrderRequest, Quote,
};
use souk_contracts::types::v1::Money;
use souk_contracts::user::v1::{StartGuestSessionRequest, UserServiceClient};
use souk_rpc::{Code, Cx, Error, Peers};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one attempt at a call may take.
const ATTEMPT: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(300);
/// One product is scarce, so that buyers compete for it.
pub const SCARCE: &str = "SCARCE-1";
pub const PLENTY: &str = "PLENTY-1";
const PENCE: i64 = 250;
/// Payment methods, as the provider's simulator knows them.
const METHODS: &[&str] =
    &["ok", "ok", "ok", "decline_funds", "timeout_after_effect", "timeout_before", "error_500_then_ok"];

/// What a customer was told about one order.
#[derive(Debug, Clone)]
pub struct Told {
    pub order_id: String,
    pub status: OrderStatus,
    pub total: i64,
}

/// What all customers wrote down.
#[derive(Clone, Default)]
pub struct Journal {
    told: Arc<Mutex<Vec<Told>>>,
    under_way: Arc<AtomicU64>,
}

impl Journal {
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn orders_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }
}

/// Everything that a customer calls.
#[derive(Clone)]
pub struct Shop {
    pub peers: Peers,
    pub journal: Journal,
    pub marks: Marks,
}

fn gbp(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "GBP".to_owned() })
}

/// Whether asking again may help.
fn passes(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::ResourceExhausted | Code::Aborted
    )
}

/// Asks until there is an answer, or a refusal.
async fn insist<T, F>(token: &str, key: Option<&str>, call: impl Fn(Cx) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        let token: Option<Arc<str>> = Some(token).filter(|token| !token.is_empty()).map(Arc::from);
        let cx = Cx::new(Instant::now() + ATTEMPT).with_token(token).with_key(key.map(Arc::from));
        match call(cx).await {
            Err(error) if passes(&error) => sleep(PAUSE).await,
            settled => return settled,
        }
    }
}

impl Shop {
    /// Puts two products on the shelves: one scarce, one not.
    pub async fn open(&self, staff: &str) -> Result<(), Error> {
        let catalog: CatalogServiceClient = self.peers.get();
        let inventory: InventoryServiceClient = self.peers.get();
        for (sku, stock) in [(SCARCE, 3), (PLENTY, 1_000)] {
            let handle = sku.to_ascii_lowercase();
            let variant = VariantInput {
                sku: sku.to_owned(),
                prices: vec![PriceInput { market: "GB".to_owned(), amount: gbp(PENCE) }],
                ..VariantInput::default()
            };
            let product = ProductInput {
                title: format!("The {sku}"),
                variants: vec![variant],
                published: true,
                ..ProductInput::default()
            };
            let put = PutProductRequest { handle, product: Some(product), ..PutProductRequest::default() };
            insist(staff, None, |cx| catalog.put_product(cx, put.clone())).await?;
            let receipt = ReceiveStockRequest {
                receipt_id: format!("opening-{sku}"),
                location: "main".to_owned(),
                lines: vec![ReceiptLine { sku: sku.to_owned(), quantity: stock }],
            };
            insist(staff, None, |cx| inventory.receive_stock(cx, receipt.clone())).await?;
        }
        Ok(())
    }

    /// One customer's visit: some orders, one after the other.
    pub async fn visit(&self, buyer: u64, orders: u64, chance: Chance) -> Result<(), Error> {
        let users: UserServiceClient = self.peers.get();
        let session =
            insist("", None, |cx| users.start_guest_session(cx, StartGuestSessionRequest::default()));
        let token = session.await?.token;
        for number in 0..orders {
            sleep(Duration::from_millis(chance.below(1_500))).await;
            self.buy(buyer, number, &token, &chance).await?;
        }
        Ok(())
    }

    async fn buy(&self, buyer: u64, number: u64, token: &str, chance: &Chance) -> Result<(), Error> {
        let Some(quote) = self.quote(number, token, chance).await? else { return Ok(()) };
        let orders: OrderServiceClient = self.peers.get();
        let place = PlaceOrderRequest {
            quote_id: quote.quote_id.clone(),
            expected_total: quote.total.clone(),
            payment_method_token: (*chance.one_of(METHODS)).to_owned(),
            ..PlaceOrderRequest::default()
        };
        let key = format!("buyer-{buyer}-order-{number}");
        self.journal.under_way.fetch_add(1, Ordering::Relaxed);
        let placed = insist(token, Some(&key), |cx| orders.place_order(cx, place.clone())).await?;
        let order_id = placed.order.map(|order| order.order_id).unwrap_or_default();
        if chance.percent(25) {
            sleep(Duration::from_millis(chance.below(800))).await;
            let cancel = CancelOrderRequest { order_id: order_id.clone(), ..CancelOrderRequest::default() };
            let key = format!("{key}-cancel");
            // Too late is an answer too.
            let _ = insist(token, Some(&key), |cx| orders.cancel_order(cx, cancel.clone())).await;
        }
        let order = self.settled(token, &order_id).await?;
        self.journal.under_way.fetch_sub(1, Ordering::Relaxed);
        self.note(&order);
        Ok(())
    }

    async fn quote(&self, number: u64, token: &str, chance: &Chance) -> Result<Option<Quote>, Error> {
        let (carts, orders): (CartServiceClient, OrderServiceClient) = (self.peers.get(), self.peers.get());
        let sku = if chance.percent(40) { SCARCE } else { PLENTY };
        let add = AddItemRequest {
            sku: sku.to_owned(),
            quantity: u32::try_from(chance.between(1, 2)).expect("small"),
            op_id: format!("add-{number}"),
            market: "GB".to_owned(),
        };
        let cart = insist(token, None, |cx| carts.add_item(cx, add.clone())).await?;
        let cart_id = cart.cart.map(|cart| cart.cart_id).unwrap_or_default();
        let wanted = CreateQuoteRequest { cart_id, ..CreateQuoteRequest::default() };
        match insist(token, None, |cx| orders.create_quote(cx, wanted.clone())).await {
            Ok(quoted) => Ok(quoted.quote),
            // The cart was converted by the order before, between two looks.
            Err(error) if matches!(error.code(), Code::NotFound | Code::FailedPrecondition) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The order, once nothing will happen to its status by itself.
    async fn settled(&self, token: &str, order_id: &str) -> Result<Order, Error> {
        let orders: OrderServiceClient = self.peers.get();
        loop {
            let wanted = GetOrderRequest { order_id: order_id.to_owned() };
            let order = insist(token, None, |cx| orders.get_order(cx, wanted.clone())).await?.order;
            match order {
                Some(order) if !is_open(order.status()) => return Ok(order),
                Some(_) | None => sleep(PAUSE).await,
            }
        }
    }

    fn note(&self, order: &Order) {
        let status = order.status();
        let marks = [
            (OrderStatus::Confirmed, "an order was confirmed"),
            (OrderStatus::Rejected, "an order was rejected"),
            (OrderStatus::Cancelled, "an order was cancelled"),
        ];
        for (_, mark) in marks.iter().filter(|(reached, _)| *reached == status) {
            self.marks.reached(mark);
        }
        if order.reason == "INSUFFICIENT_STOCK" {
            self.marks.reached("the shelf was empty");
        }
        let total = order.total.as_ref().map_or(0, |total| total.minor_units);
        let told = Told { order_id: order.order_id.clone(), status, total };
        self.journal.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}

fn is_open(status: OrderStatus) -> bool {
    matches!(status, OrderStatus::Pending | OrderStatus::Cancelling | OrderStatus::Unspecified)
}
