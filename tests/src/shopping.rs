//! What customers and staff do, as one line of a story each.
use crate::house::A_WHILE;
use crate::{Answer, Caller, House, eventually};
use serde_json::{Value, json};
use souk_user::Role;

/// Where customers of tests live. It stands in clear in no store.
pub const STREET: &str = "17 Canary Wharf Steps";

/// An amount of pounds as the API writes it.
pub fn money(minor: i64) -> Value {
    json!({"minorUnits": minor.to_string(), "currency": "GBP"})
}

/// The minor units of an amount.
pub fn minor(money: &Value) -> i64 {
    let units = money["minorUnits"].as_str().and_then(|units| units.parse().ok());
    units.unwrap_or_else(|| panic!("no amount: {money}"))
}

/// The status of an order, without its prefix.
pub fn status_of(order: &Value) -> &str {
    order["status"].as_str().unwrap_or_default().trim_start_matches("ORDER_STATUS_")
}

/// Where an order's money is, without the prefix.
pub fn payment_of(order: &Value) -> &str {
    order["payment"].as_str().unwrap_or_default().trim_start_matches("ORDER_PAYMENT_")
}

impl House {
    /// Puts a product with one SKU into the shop, at so many pence, with so many in stock.
    pub async fn sells(&self, sku: &str, pence: i64, stock: u32) {
        let sales = self.staff(Role::Sales);
        let price = json!({"market": "GB", "amount": money(pence)});
        let product = json!({
            "title": format!("The {sku}"), "published": true,
            "variants": [{"sku": sku, "prices": [price]}],
        });
        sales.put(&format!("/api/v1/products/{}", handle_of(sku)), &product).expect(200).await;
        if stock > 0 {
            let receipt = json!({
                "receiptId": format!("opening-{sku}"), "location": "main",
                "lines": [{"sku": sku, "quantity": stock.to_string()}],
            });
            sales.post("/api/v1/stock:receive", &receipt).expect(200).await;
        }
    }

    /// Offers something off for a code, so often.
    pub async fn promotes(&self, code: &str, basis_points: u32, limit: u32) {
        let promotion = json!({
            "promotionId": code.to_lowercase(), "name": format!("The {code}"), "code": code,
            "benefit": {"percentageBp": basis_points}, "limitTotal": limit,
        });
        self.staff(Role::Sales).post("/api/v1/promotions", &promotion).expect(200).await;
    }

    /// The parcels of an order, once shipping has it. Time passes until then.
    pub async fn parcels(&self, order: &Value) -> Vec<Value> {
        let id = order["orderId"].as_str().expect("an order has an id");
        let (sales, path) = (self.staff(Role::Sales), format!("/api/v1/shipments?orderId={id}"));
        self.advance(A_WHILE);
        let look = async || {
            let answer = sales.get(&path).send().await;
            let parcels = answer.json()["shipments"].as_array().cloned().unwrap_or_default();
            (!parcels.is_empty()).then_some(parcels)
        };
        eventually("shipping has the order", look).await
    }

    /// Packs a parcel, labels it and gives it to the carrier.
    pub async fn hands_over(&self, parcel: &Value) {
        let id = parcel["shipmentId"].as_str().expect("a parcel has an id");
        let sales = self.staff(Role::Sales);
        let step = async |step: &str| {
            sales.post(&format!("/api/v1/shipments/{id}:{step}"), &json!({})).expect(200).await
        };
        step("pack").await;
        step("buyLabel").await;
        let labelled = async || {
            let parcel = sales.get(&format!("/api/v1/shipments/{id}")).expect(200).await;
            (parcel["shipment"]["trackingCode"] != json!("")).then_some(())
        };
        eventually("the label is bought", labelled).await;
        step("handOver").await;
    }

    /// Lets time pass until the order has this status.
    pub async fn comes_to(&self, buyer: &Caller, order: &Value, status: &str) {
        let look = async || {
            self.advance(A_WHILE);
            (status_of(&buyer.order(order).await) == status).then_some(())
        };
        eventually(&format!("the order is {status}"), look).await;
    }

    /// `(on_hand, reserved)` of a SKU.
    pub async fn stock(&self, sku: &str) -> (i64, i64) {
        let path = format!("/api/v1/stock?skus={}", souk::rest::encode(sku));
        let levels = self.nobody().get(&path).expect(200).await;
        let number = |name: &str| levels["levels"][0][name].as_str().and_then(|n| n.parse().ok());
        (number("onHand").expect("a number"), number("reserved").expect("a number"))
    }
}

/// Of all the characters of a SKU, those that may stand in a handle.
fn handle_of(sku: &str) -> String {
    sku.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}

impl Caller {
    /// Puts so many of a SKU into the cart; the cart.
    pub async fn adds(&self, sku: &str, quantity: u32) -> Value {
        let op_id = format!("add-{sku}-{quantity}");
        let item = json!({"sku": sku, "quantity": quantity, "opId": op_id});
        self.post("/api/v1/cart/items", &item).expect(200).await["cart"].clone()
    }

    /// The caller's cart.
    pub async fn cart(&self) -> Value {
        self.get("/api/v1/cart").expect(200).await["cart"].clone()
    }

    /// A quote for the caller's cart.
    pub async fn quotes(&self) -> Value {
        let cart = self.cart().await;
        let asked = self.post("/api/v1/quotes", &json!({"cartId": cart["cartId"]}));
        asked.expect(201).await["quote"].clone()
    }

    /// A quote for the caller's cart with these coupons, shipped at the cheapest rate there is.
    pub async fn quotes_shipped(&self, coupons: &[&str]) -> Value {
        self.quotes_carried(coupons, "").await
    }

    /// The same, by a carrier that does something in particular with the parcels.
    pub async fn quotes_carried(&self, coupons: &[&str], scenario: &str) -> Value {
        let cart = self.cart().await;
        let lines = cart["lines"].as_array().cloned().unwrap_or_default();
        let items: Vec<Value> =
            lines.iter().map(|line| json!({"sku": line["sku"], "quantity": line["quantity"]})).collect();
        let address = json!({
            "recipient": "Ada Lovelace", "line1": STREET, "city": "London", "postalCode": "SW1Y 4JH", "country": "GB",
        });
        let ask = json!({"address": address, "items": items, "market": "GB", "carrierScenario": scenario});
        let rates = self.post("/api/v1/shipping/rates", &ask).expect(201).await;
        let wish = json!({
            "cartId": cart["cartId"], "rateId": rates["options"][0]["rateId"], "couponCodes": coupons,
        });
        self.post("/api/v1/quotes", &wish).expect(201).await["quote"].clone()
    }

    /// Adds a SKU and asks for a quote.
    pub async fn wants(&self, sku: &str, quantity: u32) -> Value {
        self.adds(sku, quantity).await;
        self.quotes().await
    }

    /// Accepts a quote under a key and waits until the order is settled.
    pub async fn places(&self, quote: &Value, method: &str, key: &str) -> Answer {
        self.post("/api/v1/orders", &placing(quote, method)).key(key).wait(25).send().await
    }

    /// Adds, asks, accepts, and waits; the settled order.
    pub async fn buys(&self, sku: &str, quantity: u32, method: &str) -> Value {
        let quote = self.wants(sku, quantity).await;
        self.orders(&quote, method).await
    }

    /// Accepts a quote that must be accepted, and waits; the settled order.
    pub async fn orders(&self, quote: &Value, method: &str) -> Value {
        let placed = self.post("/api/v1/orders", &placing(quote, method)).key("place").wait(25);
        placed.expect(202).await["order"].clone()
    }

    /// Accepts a quote, which is answered at once, whatever becomes of it.
    pub async fn accepts(&self, quote: &Value, method: &str) -> Value {
        let placed = self.post("/api/v1/orders", &placing(quote, method)).key("place");
        placed.expect(202).await["order"].clone()
    }

    /// The order as it is now.
    pub async fn order(&self, order: &Value) -> Value {
        let id = order["orderId"].as_str().expect("an order has an id");
        self.get(&format!("/api/v1/orders/{id}")).expect(200).await["order"].clone()
    }

    /// The order once its money is there.
    pub async fn order_paid(&self, order: &Value, payment: &str) -> Value {
        let what = format!("payment {payment}");
        let look = async || Some(self.order(order).await).filter(|order| payment_of(order) == payment);
        eventually(&what, look).await
    }

    /// Calls an order off under a key and waits until that is done; the order.
    pub async fn cancels(&self, order: &Value, key: &str) -> Answer {
        let id = order["orderId"].as_str().expect("an order has an id");
        let asked = self.post(&format!("/api/v1/orders/{id}:cancel"), &json!({"reason": ""}));
        asked.key(key).wait(25).send().await
    }

    /// What happened to an order, from after a sequence to the end: `(sequence, what)`.
    pub async fn watches(&self, order: &Value, after: u64) -> Vec<(u64, String)> {
        let id = order["orderId"].as_str().expect("an order has an id");
        let mut lines = self.get(&format!("/api/v1/orders/{id}:watch?afterSequence={after}")).lines().await;
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await {
            assert!(line.get("error").is_none(), "{line}");
            let sequence = line["sequence"].as_str().and_then(|n| n.parse().ok()).expect("a sequence");
            seen.push((sequence, line["what"].as_str().expect("what happened").to_owned()));
        }
        seen
    }
}

fn placing(quote: &Value, method: &str) -> Value {
    json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": method,
    })
}
