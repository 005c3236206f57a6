//! Goods that come back, from the customer's wish to the money or to what replaces them, as everybody sees it through
//! the gateway. Each story ends with every check of `souk verify`.
use serde_json::{Value, json};
use souk_tests::{Caller, House, eventually, in_every_shape, minor, status_of};
use souk_user::Role;

in_every_shape!(
    what_comes_back_is_exchanged_and_that_comes_back_for_money,
    what_is_sold_out_by_then_is_refunded_and_the_customer_is_told,
);

/// The word of a return's status, without its prefix.
fn word(back: &Value) -> &str {
    back["status"].as_str().unwrap_or_default().trim_start_matches("RETURN_STATUS_")
}

fn id<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().expect("it has an id")
}

/// So many of a SKU, shipped and delivered.
async fn delivered(house: &House, buyer: &Caller, sku: &str, quantity: u32) -> Value {
    buyer.adds(sku, quantity).await;
    let order = buyer.orders(&buyer.quotes_shipped(&[]).await, "ok").await;
    arrives(house, buyer, &order).await;
    order
}

async fn arrives(house: &House, buyer: &Caller, order: &Value) {
    for parcel in house.parcels(order).await {
        house.hands_over(&parcel).await;
    }
    house.comes_to(buyer, order, "DELIVERED").await;
}

/// Asks for something else for one piece of the first line.
async fn wants(buyer: &Caller, order: &Value, wish: Value, key: &str) -> Value {
    let mut request = json!({"lines": [{"line": 1, "quantity": 1, "reason": "RETURN_REASON_UNWANTED"}]});
    request.as_object_mut().expect("an object").extend(wish.as_object().cloned().unwrap_or_default());
    let path = format!("/api/v1/orders/{}/returns", id(order, "orderId"));
    buyer.post(&path, &request).key(key).expect(201).await["return"].clone()
}

/// Staff approves it, takes it in and looks at it; it is at its end.
async fn comes_back(house: &House, buyer: &Caller, back: &Value) -> Value {
    let (support, path) = (house.staff(Role::Support), format!("/api/v1/returns/{}", id(back, "returnId")));
    support.post(&format!("{path}:approve"), &json!({})).expect(200).await;
    support.post(&format!("{path}:receive"), &json!({})).expect(200).await;
    let found = json!({"lines": [{"line": 1, "quantity": 1, "grade": "RETURN_GRADE_A"}]});
    support.post(&format!("{path}:inspect"), &found).expect(200).await;
    let look = async || {
        let back = buyer.get(&path).expect(200).await["return"].clone();
        matches!(word(&back), "REFUNDED" | "EXCHANGED").then_some(back)
    };
    eventually("the return is settled", look).await
}

/// Waits until the caller was told of it.
async fn told(caller: &Caller, what: &str) {
    let look = async || {
        let page = caller.get("/api/v1/notifications").expect(200).await;
        let all = page["notifications"].as_array().cloned().unwrap_or_default();
        all.iter().any(|one| one["type"] == *what).then_some(())
    };
    eventually(&format!("the customer hears of {what}"), look).await;
}

async fn what_comes_back_is_exchanged_and_that_comes_back_for_money(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    house.sells("VASE", 400, 5).await;
    let buyer = house.guest().await;
    let order = delivered(house, &buyer, "LAMP", 2).await;
    let options =
        buyer.get(&format!("/api/v1/orders/{}:returnOptions", id(&order, "orderId"))).expect(200).await;
    assert_eq!(
        (&options["options"][0]["quantity"], minor(&options["options"][0]["worth"])),
        (&json!(2), 2_000)
    );
    let dear = json!({
        "lines": [{"line": 1, "quantity": 1, "reason": "RETURN_REASON_UNWANTED"}],
        "wish": "RETURN_WISH_EXCHANGE", "replacements": [{"sku": "VASE", "quantity": 3}],
    });
    let path = format!("/api/v1/orders/{}/returns", id(&order, "orderId"));
    assert_eq!(buyer.post(&path, &dear).key("dear").refused(409).await, "EXCHANGE_TOO_DEAR");
    let wish = json!({"wish": "RETURN_WISH_EXCHANGE", "replacements": [{"sku": "VASE", "quantity": 1}]});
    let back = wants(&buyer, &order, wish, "swap").await;
    assert_eq!((word(&back), minor(&back["replacementValue"])), ("REQUESTED", 400));
    let queue =
        house.staff(Role::Support).get("/api/v1/returns?status=RETURN_STATUS_REQUESTED").expect(200).await;
    assert_eq!(queue["returns"][0]["returnId"], back["returnId"]);
    let back = comes_back(house, &buyer, &back).await;
    assert_eq!((word(&back), minor(&back["refund"])), ("EXCHANGED", 600));
    told(&buyer, "return.exchanged").await;
    let instead = buyer.order(&json!({"orderId": back["exchangeOrderId"]})).await;
    assert_eq!((minor(&instead["total"]), minor(&instead["exchangeValue"])), (0, 400));
    let cancel = format!("/api/v1/orders/{}:cancel", id(&instead, "orderId"));
    assert_eq!(buyer.post(&cancel, &json!({})).key("no").refused(409).await, "EXCHANGE_STANDS");
    arrives(house, &buyer, &instead).await;
    assert_eq!((house.stock("LAMP").await, house.stock("VASE").await), ((9, 0), (4, 0)));
    let back = wants(&buyer, &instead, json!({}), "money").await;
    let back = comes_back(house, &buyer, &back).await;
    assert_eq!((word(&back), minor(&back["refund"])), ("REFUNDED", 400));
    house.at_rest().await;
    assert_eq!(house.stock("VASE").await, (5, 0));
    assert_eq!(status_of(&buyer.order(&order).await), "DELIVERED");
}

async fn what_is_sold_out_by_then_is_refunded_and_the_customer_is_told(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    house.sells("VASE", 400, 1).await;
    let (buyer, other) = (house.guest().await, house.guest().await);
    let order = delivered(house, &buyer, "LAMP", 1).await;
    let wish = json!({"wish": "RETURN_WISH_EXCHANGE", "replacements": [{"sku": "VASE", "quantity": 1}]});
    let back = wants(&buyer, &order, wish, "swap").await;
    let last = other.buys("VASE", 1, "ok").await;
    other.order_paid(&last, "CAPTURED").await;
    let back = comes_back(house, &buyer, &back).await;
    assert_eq!((word(&back), &back["notExchanged"]), ("REFUNDED", &json!("INSUFFICIENT_STOCK")));
    let shipping = minor(&buyer.order(&order).await["shipping"]);
    assert!(minor(&back["refund"]) >= 1_000 + shipping, "all of it came back, so shipping does");
    told(&buyer, "return.not_exchanged").await;
}
