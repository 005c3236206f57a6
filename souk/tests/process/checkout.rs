//! Customers of a shop that runs as a process, who say the same thing under the same key until there is an
//! answer.
use super::{on, said};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use souk::rest::Rest;
use souk::verify::Rest as OnItsWay;
use std::path::Path;
use std::time::Duration;

/// The payment methods of the buyers, one after the other: every third is declined.
const METHODS: [&str; 3] = ["ok", "decline_funds", "error_500_then_ok"];

/// Somebody with a quote that they accept.
pub struct Buyer {
    token: String,
    order: Value,
    key: String,
}

/// A product in stock, and so many buyers with quotes for it.
pub async fn ready_to_buy(url: &str, data: &Path, count: usize) -> Vec<Buyer> {
    sells_lamps(url, data).await;
    let mut buyers = Vec::new();
    for n in 0..count {
        buyers.push(with_quote(url, n).await);
    }
    buyers
}

/// Puts a product and a lot of stock of it into the shop.
pub async fn sells_lamps(url: &str, data: &Path) {
    let token = said(on(data, &["token", "--role", "sales"]), 0);
    let sales = Rest::new(url, Some(token.trim().to_owned()));
    let price = json!({"market": "GB", "amount": {"minorUnits": "999", "currency": "GBP"}});
    let product =
        json!({"title": "Lamp", "published": true, "variants": [{"sku": "LAMP", "prices": [price]}]});
    sales.put("/api/v1/products/lamp", &product).await.expect("a product");
    let receipt =
        json!({"receiptId": "r1", "location": "main", "lines": [{"sku": "LAMP", "quantity": "100000"}]});
    sales.post("/api/v1/stock:receive", &receipt).await.expect("stock");
}

/// A new guest with a quote for a lamp.
pub async fn with_quote(url: &str, n: usize) -> Buyer {
    let session = Rest::new(url, None).post("/api/v1/sessions", &json!({})).await.expect("a session").body;
    let token = session["token"].as_str().expect("a token").to_owned();
    let rest = Rest::new(url, Some(token.clone()));
    let item = json!({"sku": "LAMP", "quantity": 1, "opId": "1"});
    let cart = rest.post("/api/v1/cart/items", &item).await.expect("a cart").body;
    let quote =
        rest.post("/api/v1/quotes", &json!({"cartId": cart["cart"]["cartId"]})).await.expect("a quote").body;
    let order = json!({
        "quoteId": quote["quote"]["quoteId"], "expectedTotal": quote["quote"]["total"],
        "paymentMethodToken": METHODS[n % METHODS.len()],
    });
    Buyer { token, order, key: format!("key-{n}") }
}

impl Buyer {
    /// The same with another payment method.
    pub fn paying_with(mut self, method: &str) -> Buyer {
        self.order["paymentMethodToken"] = method.into();
        self
    }

    /// This customer before the shop.
    pub fn rest(&self, url: &str) -> Rest {
        Rest::new(url, Some(self.token.clone()))
    }
}

/// The order's id, if there is an answer. Refusals are none of these stories'.
pub async fn place(url: &str, buyer: Buyer) -> (Buyer, Option<String>) {
    let rest = buyer.rest(url).with_key(&buyer.key);
    let answer = match rest.post("/api/v1/orders", &buyer.order).await {
        Ok(answer) => Some(answer.body["order"]["orderId"].as_str().expect("an id").to_owned()),
        Err(error) if error.is_worth_repeating() => None,
        Err(error) => panic!("{} is refused: {error}", buyer.key),
    };
    (buyer, answer)
}

/// What came of it when everybody placed at once.
#[derive(Default)]
pub struct Placed {
    pub accepted: Vec<(Buyer, String)>,
    pub unanswered: Vec<Buyer>,
}

/// Everybody places at once; after so many answers, of whatever kind, `strike` strikes.
pub async fn everybody_places(
    url: &str,
    buyers: Vec<Buyer>,
    strike_after: usize,
    mut strike: impl FnMut(),
) -> Placed {
    let mut calls: FuturesUnordered<_> = buyers.into_iter().map(|buyer| place(url, buyer)).collect();
    let (mut placed, mut answers) = (Placed::default(), 0);
    while let Some((buyer, answer)) = calls.next().await {
        match answer {
            Some(order_id) => placed.accepted.push((buyer, order_id)),
            None => placed.unanswered.push(buyer),
        }
        answers += 1;
        if answers == strike_after {
            strike();
        }
    }
    placed
}

/// Every order has come to one of its ends, and every customer has just the one; how many were confirmed.
pub async fn all_ended_well(url: &str, accepted: &[(Buyer, String)]) -> usize {
    let mut confirmed = 0;
    for (buyer, order_id) in accepted {
        let rest = buyer.rest(url);
        let order = rest.get(&format!("/api/v1/orders/{order_id}")).await.expect("the order is there").body;
        let ended = (order["order"]["status"].as_str(), order["order"]["payment"].as_str());
        match ended {
            (Some("ORDER_STATUS_CONFIRMED"), Some("ORDER_PAYMENT_CAPTURED")) => confirmed += 1,
            (Some("ORDER_STATUS_REJECTED"), Some("ORDER_PAYMENT_NONE" | "ORDER_PAYMENT_VOIDED")) => {}
            _ => panic!("{order_id} hangs: {order}"),
        }
        let mine = rest.get("/api/v1/orders").await.expect("the list").body;
        assert_eq!(mine["orders"].as_array().map(Vec::len), Some(1), "one order a key: {mine}");
    }
    confirmed
}

/// How many of so many buyers have a card that is not declined.
pub fn able_to_pay(buyers: usize) -> usize {
    (0..buyers).filter(|n| METHODS[n % METHODS.len()] != "decline_funds").count()
}

/// How often it is looked whether something is still on its way, and what passes in between: a minute in all.
const LOOKS_MAX: u32 = 1_200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Waits until nothing more happens by itself.
pub async fn at_rest(data: &Path) {
    for _ in 0..LOOKS_MAX {
        if OnItsWay::look(data).expect("the stores can be read").is_quiet() {
            return;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    panic!("the shop does not come to rest: {}", OnItsWay::look(data).expect("the stores can be read"));
}
