//! Customers who do what they came for, whatever happens to the shop meanwhile: each remembers how far they
//! got, says the same again under the same key, and notes what they know.
use crate::journal::{Act, Entry, Journal};
use crate::shop::{delivery, pounds};
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

/// What a customer came for. The quick ones stand first: a point is tried with the first that reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Sales puts a product into the shop and its stock on the shelf.
    Stocking,
    /// A purchase.
    Sold,
    /// The payment is declined.
    Declined,
    /// Another has the last piece.
    SoldOut,
    /// Called off as soon as it was placed.
    CancelledEarly,
    /// Called off after it was paid.
    CancelledLate,
    /// The provider has an error of its own at each first call.
    ProviderError,
    /// The provider promises the money and does not say so.
    Unsure,
    /// The same, and called off meanwhile.
    UnsureCancelled,
    /// The provider takes the money and does not say so.
    CaptureUnsure,
    /// The provider gives the money back and does not say so.
    RefundUnsure,
    /// The provider does not react to any first call.
    Silent,
}

/// All of them.
pub const SCRIPTS: [Script; 12] = [
    Script::Stocking,
    Script::Sold,
    Script::Declined,
    Script::SoldOut,
    Script::CancelledEarly,
    Script::CancelledLate,
    Script::ProviderError,
    Script::Unsure,
    Script::UnsureCancelled,
    Script::CaptureUnsure,
    Script::RefundUnsure,
    Script::Silent,
];

impl Script {
    fn method(self) -> &'static str {
        match self {
            Script::Stocking
            | Script::Sold
            | Script::SoldOut
            | Script::CancelledEarly
            | Script::CancelledLate => "ok",
            Script::Declined => "decline_funds",
            Script::ProviderError => "error_500_then_ok",
            Script::Unsure | Script::UnsureCancelled => "timeout_after_effect",
            Script::CaptureUnsure => "capture_timeout_after_effect",
            Script::RefundUnsure => "refund_timeout_after_effect",
            Script::Silent => "timeout_before",
        }
    }

    fn cancels(self) -> Option<When> {
        match self {
            Script::CancelledEarly | Script::UnsureCancelled => Some(When::AtOnce),
            Script::CancelledLate | Script::RefundUnsure => Some(When::Paid),
            Script::Stocking
            | Script::Sold
            | Script::Declined
            | Script::SoldOut
            | Script::ProviderError
            | Script::Unsure
            | Script::CaptureUnsure
            | Script::Silent => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    AtOnce,
    Paid,
}

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
    pub sales: Rest,
    pub journal: Arc<Journal>,
    pub is_gone: watch::Receiver<bool>,
}

/// One customer and how far they got.
pub struct Buyer {
    script: Script,
    /// Unlike any other customer's.
    name: String,
    /// What they want.
    sku: String,
    token: Option<String>,
    quote: Option<Value>,
    order: Option<Value>,
    /// Whether it is known what became of the order.
    settled: bool,
    cancelled: bool,
    stocked: bool,
    asked_again: bool,
}

impl Buyer {
    /// A customer who wants one of `sku`.
    pub fn new(script: Script, name: String, sku: &str) -> Buyer {
        Buyer {
            script,
            name,
            sku: sku.to_owned(),
            token: None,
            quote: None,
            order: None,
            settled: false,
            cancelled: false,
            stocked: false,
            asked_again: false,
        }
    }

    /// Goes on from where they got to.
    pub async fn go_on(&mut self, desk: &Desk) -> Result<(), Stopped> {
        if self.script == Script::Stocking {
            return self.stock(desk).await;
        }
        let caller = self.caller(desk).await?;
        if self.quote.is_none() {
            self.quote = Some(self.ask_for_a_quote(desk, &caller).await?);
        }
        if self.order.is_none() {
            let waits = self.script.cancels() != Some(When::AtOnce);
            self.order = Some(self.place(desk, &caller, waits).await?);
        }
        if let Some(when) = self.script.cancels().filter(|_| !self.cancelled) {
            if when == When::Paid {
                self.watch(desk, &caller, is_paid_or_over).await?;
            }
            self.cancel(desk, &caller).await?;
            self.cancelled = true;
        }
        if !self.settled {
            let is_settled = if self.cancelled { is_over } else { is_paid_or_over };
            self.watch(desk, &caller, is_settled).await?;
            self.settled = true;
        }
        if !self.asked_again {
            self.ask_again(desk, &caller).await?;
            self.asked_again = true;
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

    async fn ask_for_a_quote(&self, desk: &Desk, caller: &Rest) -> Result<Value, Stopped> {
        insist(desk, || caller.get("/api/v1/products?pageSize=2")).await?;
        let item = json!({"sku": self.sku, "quantity": 1, "opId": format!("add-{}", self.name)});
        insist(desk, || caller.post("/api/v1/cart/items", &item)).await?;
        let cart = insist(desk, || caller.get("/api/v1/cart")).await?;
        let body = json!({"cartId": cart["cart"]["cartId"]});
        Ok(insist(desk, || caller.post("/api/v1/quotes", &body)).await?["quote"].clone())
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
        if self.stocked {
            return Ok(());
        }
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
        self.stocked = true;
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
        accepting(self.quote.as_ref().unwrap_or(&Value::Null), &self.sku)
    }
}

/// The act of accepting a quote for one piece.
pub fn accepting(quote: &Value, sku: &str) -> Act {
    let total_minor = minor(&quote["total"]);
    Act::Place { quote_id: text(&quote["quoteId"]), sku: sku.to_owned(), quantity: 1, total_minor }
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

fn minor(money: &Value) -> i64 {
    money["minorUnits"].as_str().and_then(|units| units.parse().ok()).unwrap_or_default()
}

fn is_paid(order: &Value) -> bool {
    order["payment"] == "ORDER_PAYMENT_CAPTURED"
}

fn is_over(order: &Value) -> bool {
    order["status"] == "ORDER_STATUS_REJECTED" || order["status"] == "ORDER_STATUS_CANCELLED"
}

fn is_paid_or_over(order: &Value) -> bool {
    is_paid(order) || is_over(order)
}

/// Repeats a call that is safe to repeat until the shop answers, or is gone.
async fn insist<F>(desk: &Desk, call: impl Fn() -> F) -> Result<Value, Stopped>
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

async fn pause_or_leave(desk: &Desk) -> Result<(), Stopped> {
    tokio::time::sleep(PAUSE).await;
    if *desk.is_gone.borrow() { Err(Stopped::Gone) } else { Ok(()) }
}
