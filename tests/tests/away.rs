//! Services that are away for a while: what can be answered is answered, what was accepted is carried out when
//! they are back, and everything once.
use serde_json::{Value, json};
use souk_tests::{Caller, House, Shape, eventually, status_of};

/// Accepted at once, whatever becomes of it.
async fn placed(guest: &Caller, quote: &Value) -> Value {
    let body = json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
    });
    guest.post("/api/v1/orders", &body).key("place").expect(202).await["order"].clone()
}

async fn confirmed(guest: &Caller, order: &Value) {
    let look = async || Some(guest.order(order).await).filter(|order| status_of(order) == "CONFIRMED");
    eventually("the order is confirmed", look).await;
    guest.order_paid(order, "CAPTURED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_for_stock_and_payment_to_come_back() {
    let mut house = House::start(Shape::Apart).await;
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("inventory").await;
    let refused = guest.get("/api/v1/stock?skus=LAMP").send().await;
    assert_eq!((refused.status, refused.reason().as_str()), (503, "UNAVAILABLE"), "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty(), "it says when to come back");
    assert_eq!(guest.get("/api/v1/products/lamp").send().await.status, 200, "looking around goes on");
    assert_eq!(guest.cart().await["lines"][0]["available"], "-1", "a cart is shown without stock");
    let order = placed(&guest, &quote).await;
    assert_eq!(status_of(&guest.order(&order).await), "PENDING");
    house.calls_back("inventory").await;
    confirmed(&guest, &order).await;
    assert_eq!(house.stock("LAMP").await, (10, 2));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_learns_of_its_order_when_it_is_back() {
    let mut house = House::start(Shape::Apart).await;
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("cart").await;
    let order = guest.orders(&quote, "ok").await;
    assert_eq!(status_of(&order), "CONFIRMED", "nobody waits for a cart");
    guest.order_paid(&order, "CAPTURED").await;
    assert_eq!(guest.get("/api/v1/cart").send().await.status, 503);
    house.calls_back("cart").await;
    let emptied = async || {
        let answer = guest.get("/api/v1/cart").send().await;
        Some(answer).filter(|answer| answer.status == 200 && answer.json()["cart"]["lines"] == json!([]))
    };
    eventually("the cart is converted", emptied).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_go_on_where_they_were_after_a_restart() {
    let mut house = House::start(Shape::Apart).await;
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("payment").await;
    let order = placed(&guest, &quote).await;
    house.sends_away("order").await;
    house.calls_back("payment").await;
    house.calls_back("order").await;
    confirmed(&guest, &order).await;
    let again = guest.places(&quote, "ok", "place").await;
    assert_eq!(
        again.json()["order"]["orderId"],
        order["orderId"],
        "keys are remembered, too: {}",
        again.text()
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_house_that_is_closed_and_opened_again_is_the_same() {
    let mut house = House::start(Shape::One).await;
    house.sells("LAMP", 1_000, 10).await;
    let (guest, other) = (house.guest().await, house.guest().await);
    let orders = [guest.buys("LAMP", 1, "ok").await, placed(&other, &other.wants("LAMP", 2).await).await];
    house.sends_away("order").await;
    house.calls_back("order").await;
    let shown = guest.order(&orders[0]).await;
    assert_eq!((status_of(&shown), &shown["lines"]), ("CONFIRMED", &orders[0]["lines"]));
    house.at_rest().await;
    assert_eq!(status_of(&other.order(&orders[1]).await), "CONFIRMED");
    house.close().await;
}
