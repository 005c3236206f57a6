//! Customers who insist: whatever answer does not come is asked for again under the same ids, and each of them
//! writes down what was said.
use crate::calls::{PAUSE, gbp, insist, unless};
use crate::chance::Chance;
use crate::faults::Marks;
use crate::journal::Journal;
use crate::time;
use souk_contracts::cart::v1::{AddItemRequest, Cart, CartServiceClient};
use souk_contracts::order::v1::{
    CancelLinesRequest, CancelOrderRequest, ConfirmPartialRequest, CreateQuoteRequest, GetOrderRequest,
    Order, OrderPayment, OrderPieces, OrderServiceClient, OrderStatus, PartialPolicy, PlaceOrderRequest,
    Quote,
};
use souk_contracts::payment::v1::{CompleteActionRequest, PaymentServiceClient};
use souk_contracts::shipping::v1::{Address, Item, QuoteRatesRequest, Rate, ShippingServiceClient};
use souk_contracts::types::v1::Money;
use souk_contracts::user::v1::{StartGuestSessionRequest, UserServiceClient};
use souk_rpc::{BoxFuture, Error, Peers};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// One product is scarce, so that buyers compete for it.
pub const SCARCE: &str = "SCARCE-1";
pub const PLENTY: &str = "PLENTY-1";
/// A coupon that fewer customers may use than want to.
pub const COUPON: &str = "FEW";
/// How many orders may use it.
pub const COUPON_USES: u32 = 2;
/// Longer than a quote, a rate and a bank wait for a customer.
const TOO_LONG: Duration = Duration::from_secs(16 * 60);
/// How often a customer may be told that the shop waits for them when it should not any more. It must notice soon, as
/// long as it answers at all.
const LATE_LOOKS_MAX: u32 = 20;
/// Payment methods, as the provider's simulator knows them.
const METHODS: &[&str] = &[
    "ok",
    "ok",
    "ok",
    "decline_funds",
    "timeout_after_effect",
    "timeout_before",
    "error_500_then_ok",
    "requires_action",
    "requires_action",
    "requires_action_fails",
    "capture_timeout_after_effect",
    "refund_timeout_after_effect",
    "void_timeout_after_effect",
    "refund_pending_then_succeeds",
    "webhook_duplicate",
    "webhook_reordered",
    "webhook_before_reply",
    "webhook_missing",
    "dispute_won",
];
/// Ways in which parcels travel, as the carrier's simulator knows them.
const SCENARIOS: &[&str] = &[
    "delivered",
    "delivered",
    "delivered",
    "delivered_first",
    "notices_twice",
    "said_lost",
    "failed_then_delivered",
    "failed_then_returned",
    "timeout_after_effect",
    "timeout_before",
];

/// Everything that a customer calls.
#[derive(Clone)]
pub struct Shop {
    pub peers: Peers,
    pub journal: Journal,
    pub marks: Marks,
    /// The token of whoever works in the warehouse.
    pub staff: String,
}

/// An order under way, and whose it is.
pub struct Placed {
    pub order_id: String,
    pub token: String,
    pub key: String,
    pub is_shipped: bool,
    /// Whether its customer does nothing that is asked of them, and goes away for longer than is waited for them.
    pub idles: bool,
    pub chance: Chance,
}

impl Shop {
    /// One customer's visit: some orders, each while the ones before live on.
    pub async fn visit(&self, buyer: u64, orders: u64, chance: Chance) -> Result<(), Error> {
        sleep(Duration::from_millis(chance.below(6_000))).await;
        let users: UserServiceClient = self.peers.get();
        let session =
            insist("", None, |cx| users.start_guest_session(cx, StartGuestSessionRequest::default()));
        let token = session.await?.token;
        self.orders(buyer, 0..orders, token, chance).await
    }

    fn orders(
        &self,
        buyer: u64,
        mut numbers: std::ops::Range<u64>,
        token: String,
        chance: Chance,
    ) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let Some(number) = numbers.next() else { return Ok(()) };
            sleep(Duration::from_millis(chance.below(1_500))).await;
            let placed = self.buy(buyer, number, &token, &chance).await?;
            let life = async {
                match placed {
                    Some(placed) => self.live(&placed).await,
                    None => Ok(()),
                }
            };
            let (lived, others) =
                futures_util::future::join(life, self.orders(buyer, numbers, token, chance)).await;
            lived.and(others)
        })
    }

    /// Places an order and waits for what becomes of the sale.
    async fn buy(
        &self,
        buyer: u64,
        number: u64,
        token: &str,
        chance: &Chance,
    ) -> Result<Option<Placed>, Error> {
        let Some(quote) = self.quote(number, token, chance).await? else { return Ok(None) };
        if chance.percent(3) {
            time::leap(TOO_LONG);
        }
        let orders: OrderServiceClient = self.peers.get();
        let policy = match chance.below(10) {
            0..3 => PartialPolicy::ShipAvailable,
            3..5 => PartialPolicy::Backorder,
            _ => PartialPolicy::AllOrNothing,
        };
        let place = PlaceOrderRequest {
            quote_id: quote.quote_id.clone(),
            expected_total: quote.total.clone(),
            payment_method_token: (*chance.one_of(METHODS)).to_owned(),
            partial_policy: policy.into(),
        };
        let key = format!("buyer-{buyer}-order-{number}");
        let placed = insist(token, Some(&key), |cx| orders.place_order(cx, place.clone())).await;
        let Some(placed) = unless(placed, &["QUOTE_EXPIRED"])? else {
            self.marks.reached("a quote was accepted too late");
            return Ok(None);
        };
        let order_id = placed.order.map(|order| order.order_id).unwrap_or_default();
        self.journal.placed_by(&order_id, token);
        self.journal.begins();
        let is_shipped = !quote.rate_id.is_empty();
        let (token, idles, chance) = (token.to_owned(), chance.percent(20), chance.clone());
        let placed = Placed { order_id, token, key, is_shipped, idles, chance };
        if placed.chance.percent(15) {
            sleep(Duration::from_millis(placed.chance.below(800))).await;
            self.cancel(&placed, "cancel-early").await?;
        }
        if placed.idles {
            self.until(&placed, |order| order.status() == OrderStatus::AwaitingCustomer || is_settled(order))
                .await?;
            time::leap(TOO_LONG);
        }
        self.until(&placed, is_settled).await?;
        self.journal.ends();
        Ok(Some(placed))
    }

    async fn quote(&self, number: u64, token: &str, chance: &Chance) -> Result<Option<Quote>, Error> {
        let Some(cart) = self.fill(number, token, chance).await? else { return Ok(None) };
        let rate_id = match chance.percent(65) {
            true => self.rate(token, &cart, chance).await?.map(|rate| rate.rate_id).unwrap_or_default(),
            false => String::new(),
        };
        let coupon_codes = if chance.percent(50) { vec![COUPON.to_owned()] } else { Vec::new() };
        let orders: OrderServiceClient = self.peers.get();
        let with = |coupon_codes| CreateQuoteRequest {
            cart_id: cart.cart_id.clone(),
            rate_id: rate_id.clone(),
            coupon_codes,
            ..CreateQuoteRequest::default()
        };
        let ask = async |wanted: CreateQuoteRequest| {
            insist(token, None, |cx| orders.create_quote(cx, wanted.clone())).await
        };
        // The cart was converted by the order before, between two looks; or another customer dawdled.
        let gone = &["NOT_FOUND", "CART_EMPTY", "RATE_EXPIRED"];
        let quoted = match ask(with(coupon_codes)).await {
            Err(error) if error.reason() == "COUPON_EXHAUSTED" => {
                self.marks.reached("a coupon was used up");
                ask(with(Vec::new())).await
            }
            quoted => quoted,
        };
        Ok(unless(quoted, gone)?.and_then(|quoted| quoted.quote))
    }

    async fn fill(&self, number: u64, token: &str, chance: &Chance) -> Result<Option<Cart>, Error> {
        let carts: CartServiceClient = self.peers.get();
        let mut cart = None;
        for line in 0..chance.between(1, 2) {
            let sku = if chance.percent(40) { SCARCE } else { PLENTY };
            let add = AddItemRequest {
                sku: sku.to_owned(),
                quantity: u32::try_from(chance.between(1, 2)).expect("small"),
                op_id: format!("add-{number}-{line}"),
                market: "GB".to_owned(),
            };
            cart = insist(token, None, |cx| carts.add_item(cx, add.clone())).await?.cart;
        }
        Ok(cart)
    }

    /// The cheapest way to the customer.
    async fn rate(&self, token: &str, cart: &Cart, chance: &Chance) -> Result<Option<Rate>, Error> {
        let shipping: ShippingServiceClient = self.peers.get();
        let address = Address {
            recipient: "Ada Lovelace".to_owned(),
            line1: "17 Canary Wharf Steps".to_owned(),
            city: "London".to_owned(),
            postal_code: "SW1Y 4JH".to_owned(),
            country: "GB".to_owned(),
            ..Address::default()
        };
        let items = cart.lines.iter().map(|line| Item { sku: line.sku.clone(), quantity: line.quantity });
        let ask = QuoteRatesRequest {
            address: Some(address),
            items: items.collect(),
            market: "GB".to_owned(),
            carrier_scenario: (*chance.one_of(SCENARIOS)).to_owned(),
        };
        let rates = insist(token, None, |cx| shipping.quote_rates(cx, ask.clone())).await?;
        Ok(rates.options.into_iter().next())
    }

    /// What a customer does with an order whose sale is settled, while staff sees to its parcels.
    async fn live(&self, placed: &Placed) -> Result<(), Error> {
        let is_over = AtomicBool::new(false);
        let customer = async {
            let lived = self.changes_of_mind(placed).await;
            is_over.store(true, Ordering::Relaxed);
            lived
        };
        let (lived, shipped) = futures_util::future::join(customer, self.see_to(placed, &is_over)).await;
        lived.and(shipped)
    }

    async fn changes_of_mind(&self, placed: &Placed) -> Result<(), Error> {
        let chance = &placed.chance;
        if chance.percent(25) {
            // Within the undo window, at its end, while it is packed, or after it left.
            time::wait(Duration::from_millis(chance.below(130_000))).await;
            self.cancel(placed, "cancel-late").await?;
        } else if placed.is_shipped && chance.percent(25) {
            self.cancel_lines(placed).await?;
        }
        let order = self.until(placed, rests).await?;
        if is_here(&order) && chance.percent(60) {
            self.send_back(placed, &order).await?;
        }
        Ok(())
    }

    pub async fn cancel(&self, placed: &Placed, what: &str) -> Result<(), Error> {
        let orders: OrderServiceClient = self.peers.get();
        let cancel =
            CancelOrderRequest { order_id: placed.order_id.clone(), ..CancelOrderRequest::default() };
        let key = format!("{}-{what}", placed.key);
        let asked = insist(&placed.token, Some(&key), |cx| orders.cancel_order(cx, cancel.clone())).await;
        // Too late is an answer too.
        if unless(asked, &["CANCEL_TOO_LATE"])?.is_none() {
            self.marks.reached("a cancel came too late");
        }
        Ok(())
    }

    /// Calls one piece off while it is being prepared, if that is still possible.
    async fn cancel_lines(&self, placed: &Placed) -> Result<(), Error> {
        let order = self.until(placed, |order| rests(order) || is_in_preparation(order)).await?;
        let orders: OrderServiceClient = self.peers.get();
        let line = order.lines.first().map_or(1, |line| line.line);
        let cancel = CancelLinesRequest {
            order_id: placed.order_id.clone(),
            cancel_id: "changed-mind".to_owned(),
            lines: vec![OrderPieces { line, quantity: 1 }],
        };
        let asked = insist(&placed.token, None, |cx| orders.cancel_lines(cx, cancel.clone())).await;
        if unless(asked, &["LINES_NOT_CANCELLABLE"])?.is_some() {
            self.marks.reached("a piece was called off");
        }
        Ok(())
    }

    /// Asks for the order until it is as wanted. What it needs of the customer meanwhile is done, or not in time.
    pub async fn until(&self, placed: &Placed, is_wanted: impl Fn(&Order) -> bool) -> Result<Order, Error> {
        let mut late = 0;
        loop {
            let order = self.look(&placed.order_id, &placed.token).await?;
            if is_wanted(&order) {
                return Ok(order);
            }
            if order.status() == OrderStatus::AwaitingCustomer {
                late = if is_late(&order) { late + 1 } else { 0 };
                if late > LATE_LOOKS_MAX {
                    return Err(Error::internal(format!("{} still asks its customer", order.order_id)));
                }
                self.decide(placed, &order).await?;
            }
            sleep(PAUSE).await;
        }
    }

    /// The order as it is now; the answer is noted.
    pub async fn look(&self, order_id: &str, token: &str) -> Result<Order, Error> {
        let orders: OrderServiceClient = self.peers.get();
        let wanted = GetOrderRequest { order_id: order_id.to_owned() };
        let order = insist(token, None, |cx| orders.get_order(cx, wanted.clone())).await?.order;
        let order = order.ok_or_else(|| Error::not_found("the order"))?;
        self.journal.told(&order);
        Ok(order)
    }

    /// The bank, or the shop, waits for the customer.
    async fn decide(&self, placed: &Placed, order: &Order) -> Result<(), Error> {
        if placed.idles {
            return Ok(());
        }
        match placed.chance.below(20) {
            0 => time::leap(TOO_LONG),
            1..6 => {}
            _ if order.remainder.is_some() => {
                let orders: OrderServiceClient = self.peers.get();
                let accept = placed.chance.percent(70);
                let answer = ConfirmPartialRequest { order_id: placed.order_id.clone(), accept };
                let said = insist(&placed.token, None, |cx| orders.confirm_partial(cx, answer.clone())).await;
                unless(said, &["NOTHING_TO_CONFIRM"])?;
            }
            _ => {
                let payments: PaymentServiceClient = self.peers.get();
                let payment_id = placed.order_id.replace("ord_", "pay_");
                let act = CompleteActionRequest { payment_id };
                let acted = insist(&placed.token, None, |cx| payments.complete_action(cx, act.clone())).await;
                unless(acted, &["PAYMENT_DECLINED"])?;
            }
        }
        Ok(())
    }
}

/// Whether the sale has its answer.
fn is_settled(order: &Order) -> bool {
    use OrderStatus::{AwaitingCustomer, Cancelling, Pending, Unspecified};
    !matches!(order.status(), Pending | Cancelling | AwaitingCustomer | Unspecified)
}

/// Whether it asks for what it no longer waits for.
fn is_late(order: &Order) -> bool {
    order.decide_by.as_ref().is_some_and(|until| until.seconds < time::now().unix_us() / 1_000_000)
}

fn is_in_preparation(order: &Order) -> bool {
    matches!(order.status(), OrderStatus::Processing | OrderStatus::PartiallyShipped)
}

/// Whether the customer has it.
fn is_here(order: &Order) -> bool {
    let is_at_home = order.status() == OrderStatus::Delivered;
    is_at_home || (order.rate_id.is_empty() && order.status() == OrderStatus::Confirmed)
}

/// Whether nothing more happens to it by itself.
fn rests(order: &Order) -> bool {
    let is_paid = order.payment() != OrderPayment::Authorized;
    let has_ended = |status: &str| matches!(status, "DELIVERED" | "LOST" | "RETURNED_TO_SENDER");
    let status = order.status();
    let is_over = matches!(
        status,
        OrderStatus::Rejected | OrderStatus::Cancelled | OrderStatus::Delivered | OrderStatus::Completed
    );
    let is_taken_along = status == OrderStatus::Confirmed && order.rate_id.is_empty() && is_paid;
    let all_ended = order.shipments.iter().all(|shipment| has_ended(&shipment.status));
    is_over || is_taken_along || (status == OrderStatus::Shipped && all_ended)
}

/// What everything costs.
pub fn pence() -> Option<Money> {
    gbp(250)
}
