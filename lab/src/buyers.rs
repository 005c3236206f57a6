//! Customers who do what they came for, whatever happens to the shop meanwhile: each remembers how far they
//! got, says the same again under the same key, and notes what they know.
use crate::journal::{Act, Entry, Journal};
use crate::scripts::{Script, Task};
use crate::shop::{COUPON, delivery, pounds};
use crate::staff;
use serde_json::{Value, json};
use souk::rest::{Answer, Rest, RestError};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The wait before a call without an answer is sent again.
const PAUSE: Duration = Duration::from_millis(15);
/// So many calls of one step without an answer from a living shop, and the shop is broken.
const TRIES_MAX: u32 = 2_000;
/// How long a placed order is waited for in one request.
const WAIT_S: u32 = 10;

/// Why a customer stopped.
#[derive(Debug)]
pub enum Stopped {
    /// The shop is gone; they come back.
    Gone,
    /// The shop lives and does not do what it should.
    Wrong(String),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Wrong(format!("the journal: {error}"))
    }
}

/// Where customers go, and whether it is there.
#[derive(Clone)]
pub struct Desk {
    pub nobody: Rest,
    /// Staff that sells, packs and takes back.
    pub sales: Rest,
    /// Staff that may hold an order.
    pub admin: Rest,
    pub journal: Arc<Journal>,
    pub is_gone: watch::Receiver<bool>,
}

/// One customer and how far they got.
pub struct Buyer {
    script: Script,
    /// How many of the script's tasks are done.
    done: usize,
    /// Unlike any other customer's.
    name: String,
    /// What they want.
    sku: String,
    token: Option<String>,
    quote: Option<Value>,
    order: Option<Value>,
}

impl Buyer {
    /// A customer who wants some of `sku`.
    pub fn new(script: Script, name: String, sku: &str) -> Buyer {
        Buyer { script, done: 0, name, sku: sku.to_owned(), token: None, quote: None, order: None }
    }

    /// Goes on from where they got to.
    pub async fn go_on(&mut self, desk: &Desk) -> Result<(), Stopped> {
        while let Some(task) = self.script.tasks().get(self.done) {
            self.act_on(*task, desk).await?;
            self.done += 1;
        }
        Ok(())
    }

    async fn act_on(&mut self, task: Task, desk: &Desk) -> Result<(), Stopped> {
        if task == Task::Stock {
            return self.stock(desk).await;
        }
        let caller = self.caller(desk).await?;
        match task {
            Task::Stock => {}
            Task::LeaveAddress => self.leave_address(desk, &caller).await?,
            Task::Quote => self.quote = Some(self.ask_for_a_quote(desk, &caller).await?),
            Task::QuoteShipped => self.quote = Some(self.ask_for_a_shipped_quote(desk, &caller).await?),
            Task::Place => self.order = Some(self.place(desk, &caller, true).await?),
            Task::PlaceQuickly => self.order = Some(self.place(desk, &caller, false).await?),
            Task::Confirm => self.confirm(desk, &caller).await?,
            Task::AwaitPaid => self.watch(desk, &caller, is_paid_or_over).await?,
            Task::AwaitProcessing => self.watch(desk, &caller, is_processing).await?,
            Task::AwaitDelivered => self.watch(desk, &caller, is_delivered).await?,
            Task::AwaitOver => self.watch(desk, &caller, is_over).await?,
            Task::Cancel => self.cancel(desk, &caller).await?,
            Task::CancelPiece => self.cancel_piece(desk, &caller).await?,
            Task::Hold => staff::hold(desk, &self.order_id()).await?,
            Task::SendOff => staff::send_off(desk, &self.order_id()).await?,
            Task::AskReturn => self.ask_to_return(desk, &caller).await?,
            Task::TakeBack => {
                let order_id = self.order_id();
                let refund_minor = staff::take_back(desk, &order_id).await?;
                desk.journal.note(&Entry::Refunded { order_id, minor: refund_minor })?;
            }
            Task::AskAgain => self.ask_again(desk, &caller).await?,
        }
        Ok(())
    }

    async fn caller(&mut self, desk: &Desk) -> Result<Rest, Stopped> {
        if self.token.is_none() {
            let nothing = json!({});
            let session = insist(desk, || desk.nobody.post("/api/v1/sessions", &nothing)).await?;
            self.token = session["token"].as_str().map(str::to_owned);
        }
        Ok(desk.nobody.with_token(self.token.as_deref().unwrap_or_default()))
    }

    async fn leave_address(&self, desk: &Desk, caller: &Rest) -> Result<(), Stopped> {
        let email = format!("{}@customers.example", self.name);
        let body = json!({"email": email});
        insist(desk, || caller.patch("/api/v1/notification-preferences", &body)).await?;
        Ok(desk.journal.note(&Entry::Reachable { key: self.key(), email })?)
    }

    async fn ask_for_a_quote(&self, desk: &Desk, caller: &Rest) -> Result<Value, Stopped> {
        insist(desk, || caller.get("/api/v1/products?pageSize=2")).await?;
        let cart_id = self.fill_the_cart(desk, caller).await?;
        let body = json!({"cartId": cart_id});
        Ok(insist(desk, || caller.post("/api/v1/quotes", &body)).await?["quote"].clone())
    }

    async fn ask_for_a_shipped_quote(&self, desk: &Desk, caller: &Rest) -> Result<Value, Stopped> {
        let cart_id = self.fill_the_cart(desk, caller).await?;
        let ask = json!({
            "market": "GB", "items": [{"sku": self.sku, "quantity": self.script.pieces()}],
            "address": {
                "recipient": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
                "postalCode": "SW1Y 4JH", "country": "GB",
            },
        });
        let rates = insist(desk, || caller.post("/api/v1/shipping/rates", &ask)).await?;
        let body = json!({
            "cartId": cart_id, "rateId": rates["options"][0]["rateId"], "couponCodes": [COUPON],
        });
        Ok(insist(desk, || caller.post("/api/v1/quotes", &body)).await?["quote"].clone())
    }

    /// Puts what they want into the cart; the cart's id.
    async fn fill_the_cart(&self, desk: &Desk, caller: &Rest) -> Result<Value, Stopped> {
        let op_id = format!("add-{}", self.name);
        let item = json!({"sku": self.sku, "quantity": self.script.pieces(), "opId": op_id});
        insist(desk, || caller.post("/api/v1/cart/items", &item)).await?;
        Ok(insist(desk, || caller.get("/api/v1/cart")).await?["cart"]["cartId"].clone())
    }

    /// Says yes at the bank, once the bank asks.
    async fn confirm(&self, desk: &Desk, caller: &Rest) -> Result<(), Stopped> {
        let path = format!("/api/v1/payments/{}:completeAction", self.order_id().replace("ord_", "pay_"));
        let nothing = json!({});
        for _ in 0..TRIES_MAX {
            let payment = until_agreed(desk, || caller.post(&path, &nothing)).await?["payment"].clone();
            // Before the bank has asked, an answer means nothing.
            if payment["status"] == "PAYMENT_STATUS_AUTHORIZED"
                || payment["status"] == "PAYMENT_STATUS_CAPTURED"
            {
                return Ok(());
            }
            pause_or_leave(desk).await?;
        }
        Err(Stopped::Wrong(format!("the bank never asks {}", self.name)))
    }

    /// Calls one piece off; the cancel's id makes it once.
    async fn cancel_piece(&self, desk: &Desk, caller: &Rest) -> Result<(), Stopped> {
        let order_id = self.order_id();
        let path = format!("/api/v1/orders/{order_id}:cancelLines");
        let key = format!("cancel-one-{}", self.name);
        desk.journal.note(&Entry::Sent { key, act: Act::CancelPieces { order_id } })?;
        let body = json!({"cancelId": "one-is-enough", "lines": [{"line": 1, "quantity": 1}]});
        until_agreed(desk, || caller.post(&path, &body)).await.map(drop)
    }

    async fn ask_to_return(&self, desk: &Desk, caller: &Rest) -> Result<(), Stopped> {
        let caller = caller.with_key(&format!("return-{}", self.name));
        let path = format!("/api/v1/orders/{}/returns", self.order_id());
        let line = json!({"line": 1, "quantity": 1, "reason": "RETURN_REASON_DAMAGED"});
        let body = json!({"lines": [line], "wish": "RETURN_WISH_REFUND"});
        // What has arrived is known to the order a moment after it is known to the customer.
        until_agreed(desk, || caller.post(&path, &body)).await.map(drop)
    }

    /// Accepts the quote until somebody says what became of that.
    async fn place(&self, desk: &Desk, caller: &Rest, waits: bool) -> Result<Value, Stopped> {
        let caller = caller.with_key(&self.key());
        let caller = if waits { caller.prefer_wait(WAIT_S) } else { caller };
        let body = self.acceptance(self.script.method());
        self.keyed(desk, &self.key(), self.act(), || caller.post("/api/v1/orders", &body)).await
    }

    async fn cancel(&self, desk: &Desk, caller: &Rest) -> Result<(), Stopped> {
        let order_id = self.order_id();
        let key = format!("cancel-{}", self.name);
        let caller = caller.with_key(&key);
        let (path, body) =
            (format!("/api/v1/orders/{order_id}:cancel"), json!({"reason": "changed my mind"}));
        let cancelled = self.keyed(desk, &key, Act::Cancel { order_id }, || caller.post(&path, &body)).await;
        match cancelled {
            // An order that was rejected in the meantime cannot be called off any more.
            Ok(_) => Ok(()),
            Err(Stopped::Wrong(_)) => Ok(()),
            Err(Stopped::Gone) => Err(Stopped::Gone),
        }
    }

    /// A keyed call, noted before and after each time that it is sent.
    async fn keyed<F>(&self, desk: &Desk, key: &str, act: Act, call: impl Fn() -> F) -> Result<Value, Stopped>
    where
        F: Future<Output = Result<Answer, RestError>>,
    {
        for _ in 0..TRIES_MAX {
            let key = key.to_owned();
            desk.journal.note(&Entry::Sent { key: key.clone(), act: act.clone() })?;
            match call().await {
                Ok(answer) => {
                    let order = answer.body["order"].clone();
                    desk.journal.note(&done(key, &order))?;
                    return Ok(order);
                }
                Err(error) if error.is_worth_repeating() => {
                    desk.journal.note(&Entry::Unknown { key, why: error.to_string() })?;
                    pause_or_leave(desk).await?;
                }
                Err(RestError::Problem { status, reason, .. }) => {
                    desk.journal.note(&Entry::Failed { key, status, reason: reason.clone() })?;
                    return Err(Stopped::Wrong(format!("{} was refused: {status} {reason}", self.name)));
                }
                Err(RestError::Unreachable { .. }) => {}
            }
        }
        Err(Stopped::Wrong(format!("{} has no answer from a living shop", self.name)))
    }

    async fn watch(&mut self, desk: &Desk, caller: &Rest, is_so: fn(&Value) -> bool) -> Result<(), Stopped> {
        let path = format!("/api/v1/orders/{}", self.order_id());
        for _ in 0..TRIES_MAX {
            let order = insist(desk, || caller.get(&path)).await?["order"].clone();
            if is_so(&order) {
                self.order = Some(order);
                return Ok(());
            }
            pause_or_leave(desk).await?;
        }
        Err(Stopped::Wrong(format!("the order of {} does not move on", self.name)))
    }

    /// The same key once more, and the same key with another body.
    async fn ask_again(&self, desk: &Desk, caller: &Rest) -> Result<(), Stopped> {
        let _ = self.place(desk, caller, false).await?;
        let keyed = caller.with_key(&self.key());
        let other = self.acceptance("another_method");
        for _ in 0..TRIES_MAX {
            let status = match keyed.post("/api/v1/orders", &other).await {
                Ok(answer) => answer.status,
                Err(error) if error.is_worth_repeating() => {
                    pause_or_leave(desk).await?;
                    continue;
                }
                Err(RestError::Problem { status, .. }) => status,
                Err(RestError::Unreachable { .. }) => continue,
            };
            desk.journal.note(&Entry::OtherBody { key: self.key(), status })?;
            return Ok(());
        }
        Err(Stopped::Wrong(format!("{} has no answer from a living shop", self.name)))
    }

    async fn stock(&mut self, desk: &Desk) -> Result<(), Stopped> {
        let sku = format!("NEW-{}", self.name.to_uppercase());
        let handle = sku.to_lowercase();
        let product = json!({
            "title": format!("The {sku}"), "published": true,
            "variants": [{"sku": sku, "prices": [{"market": "GB", "amount": pounds(700)}]}],
        });
        let path = format!("/api/v1/products/{handle}");
        insist(desk, || desk.sales.put(&path, &product)).await?;
        desk.journal.note(&Entry::Supplied { sku: sku.clone(), quantity: 5 })?;
        let receipt = delivery(&sku, 5);
        insist(desk, || desk.sales.post("/api/v1/stock:receive", &receipt)).await?;
        Ok(())
    }

    fn key(&self) -> String {
        format!("place-{}", self.name)
    }

    fn order_id(&self) -> String {
        let order = self.order.as_ref().and_then(|order| order["orderId"].as_str());
        order.unwrap_or_default().to_owned()
    }

    fn acceptance(&self, method: &str) -> Value {
        let quote = self.quote.as_ref().unwrap_or(&Value::Null);
        json!({
            "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": method,
        })
    }

    fn act(&self) -> Act {
        accepting(self.quote.as_ref().unwrap_or(&Value::Null), &self.sku, self.script.pieces())
    }
}

/// The act of accepting a quote for so many pieces.
pub fn accepting(quote: &Value, sku: &str, quantity: u64) -> Act {
    let total_minor = minor(&quote["total"]);
    Act::Place { quote_id: text(&quote["quoteId"]), sku: sku.to_owned(), quantity, total_minor }
}

/// The note of an answer.
pub fn done(key: String, order: &Value) -> Entry {
    Entry::Done {
        key,
        order_id: text(&order["orderId"]),
        quote_id: text(&order["quoteId"]),
        total_minor: minor(&order["total"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An amount as the API writes it, in minor units.
pub fn minor(money: &Value) -> i64 {
    money["minorUnits"].as_str().and_then(|units| units.parse().ok()).unwrap_or_default()
}

fn is_paid(order: &Value) -> bool {
    order["payment"] == "ORDER_PAYMENT_CAPTURED"
}

fn is_over(order: &Value) -> bool {
    order["status"] == "ORDER_STATUS_REJECTED" || order["status"] == "ORDER_STATUS_CANCELLED"
}

fn is_processing(order: &Value) -> bool {
    order["status"] == "ORDER_STATUS_PROCESSING"
}

fn is_delivered(order: &Value) -> bool {
    order["status"] == "ORDER_STATUS_DELIVERED"
}

fn is_paid_or_over(order: &Value) -> bool {
    is_paid(order) || is_over(order)
}

/// Repeats a call that is safe to repeat until the shop answers, or is gone.
pub async fn insist<F>(desk: &Desk, call: impl Fn() -> F) -> Result<Value, Stopped>
where
    F: Future<Output = Result<Answer, RestError>>,
{
    for _ in 0..TRIES_MAX {
        match call().await {
            Ok(answer) => return Ok(answer.body),
            Err(error) if error.is_worth_repeating() => pause_or_leave(desk).await?,
            Err(error) => return Err(Stopped::Wrong(error.to_string())),
        }
    }
    Err(Stopped::Wrong("no answer from a living shop".to_owned()))
}

/// Repeats a call until the shop agrees to it: what it is about may not be there yet, or not be so far.
pub async fn until_agreed<F>(desk: &Desk, call: impl Fn() -> F) -> Result<Value, Stopped>
where
    F: Future<Output = Result<Answer, RestError>>,
{
    let mut last = String::new();
    for _ in 0..TRIES_MAX {
        match call().await {
            Ok(answer) => return Ok(answer.body),
            Err(error @ RestError::Problem { status: 404 | 409 | 412, .. }) => last = error.to_string(),
            Err(error) if error.is_worth_repeating() => last = error.to_string(),
            Err(error) => return Err(Stopped::Wrong(error.to_string())),
        }
        pause_or_leave(desk).await?;
    }
    Err(Stopped::Wrong(format!("the shop never agreed: {last}")))
}

/// Waits a moment; an error when the shop is gone.
pub async fn pause_or_leave(desk: &Desk) -> Result<(), Stopped> {
    tokio::time::sleep(PAUSE).await;
    if *desk.is_gone.borrow() { Err(Stopped::Gone) } else { Ok(()) }
}
