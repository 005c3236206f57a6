//! Services that are away for a while: what can be answered is answered, what was accepted is carried out when
//! they are back, and everything once.
use serde_json::{Value, json};
use souk_tests::{Caller, House, Shape, eventually, payment_of, status_of};
use souk_user::Role;
use std::time::Duration;

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
    let order = guest.accepts(&quote, "ok").await;
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
    let order = guest.accepts(&quote, "ok").await;
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
    let orders =
        [guest.buys("LAMP", 1, "ok").await, other.accepts(&other.wants("LAMP", 2).await, "ok").await];
    house.sends_away("order").await;
    house.calls_back("order").await;
    let shown = guest.order(&orders[0]).await;
    assert_eq!((status_of(&shown), &shown["lines"]), ("CONFIRMED", &orders[0]["lines"]));
    house.at_rest().await;
    assert_eq!(status_of(&other.order(&orders[1]).await), "CONFIRMED");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_an_order_is_sent_elsewhere_by_a_gateway_that_stops() {
    let mut house = House::start(Shape::Scattered).await;
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("provider").await;
    let order = guest.accepts(&quote, "ok").await;
    let path = format!("/api/v1/orders/{}:watch", order["orderId"].as_str().expect("an id"));
    let mut lines = guest.get(&path).lines().await;
    let first = lines.next().await.expect("what happened so far");
    assert_eq!(first["what"], "OrderPlaced");
    // The order will not settle meanwhile.
    house.sends_away("gateway").await;
    let last = lines.next().await.expect("a last word");
    assert_eq!((&last["error"]["reason"], &last["error"]["status"]), (&json!("UNAVAILABLE"), &json!(503)));
    assert_eq!(lines.next().await, None, "the stream ends in order");
    house.calls_back("gateway").await;
    house.calls_back("provider").await;
    let sequence = first["sequence"].as_str().and_then(|n| n.parse().ok()).expect("a sequence");
    let rest: Vec<_> = guest.watches(&order, sequence).await.into_iter().map(|(_, what)| what).collect();
    assert_eq!(rest, ["PaymentAuthorized", "OrderConfirmed", "PaymentCaptured"], "it goes on where it was");
    house.close().await;
}

/// More than a reservation and the time to confirm last.
const TOO_LONG: Duration = Duration::from_secs(31 * 60);

/// Waits until the shelf is like this: `(on_hand, reserved)`.
async fn stock_is(house: &House, stock: (i64, i64)) {
    let look = async || Some(house.stock("LAMP").await).filter(|now| *now == stock);
    eventually(&format!("the stock is {stock:?}"), look).await;
}

/// Waits until so many timers are left.
async fn timers_are(house: &House, timers: u64) {
    let look = async || Some(house.rest().timers).filter(|now| *now == timers);
    eventually(&format!("{timers} timers are left"), look).await;
}

/// The order once it has come to this.
async fn ended(guest: &Caller, order: &Value, status: &str) -> Value {
    let look = async || Some(guest.order(order).await).filter(|order| status_of(order) == status);
    eventually(&format!("the order is {status}"), look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_confirm_ends_while_the_provider_is_away() {
    let mut house = House::start(Shape::Scattered).await;
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("provider").await;
    let order = guest.accepts(&quote, "ok").await;
    stock_is(&house, (10, 2)).await;
    house.advance(TOO_LONG);
    timers_are(&house, 0).await;
    stock_is(&house, (10, 0)).await;
    assert_eq!(status_of(&guest.order(&order).await), "PENDING", "nobody knows yet what the provider did");
    house.calls_back("provider").await;
    let over = ended(&guest, &order, "REJECTED").await;
    assert_eq!((over["reason"].as_str(), payment_of(&over)), (Some("DEADLINE_PASSED"), "NONE"));
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (10, 0));
    house.close().await;
}

/// An order whose money is promised and whose stock was, until that ran out: inventory was away when the
/// promise was to be made final. Inventory is back now, and the order service is away.
async fn with_an_expired_reservation(house: &mut House) -> (Caller, Value) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("provider").await;
    let order = guest.accepts(&quote, "ok").await;
    stock_is(house, (10, 2)).await;
    house.sends_away("inventory").await;
    house.calls_back("provider").await;
    guest.order_paid(&order, "AUTHORIZED").await;
    house.advance(TOO_LONG);
    // The reservation's own is left, because inventory is away.
    timers_are(house, 1).await;
    let order = guest.order(&order).await;
    assert_eq!(status_of(&order), "PENDING", "whether it is sold may be decided already: {order}");
    house.sends_away("order").await;
    house.calls_back("inventory").await;
    stock_is(house, (10, 0)).await;
    (guest, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_ran_out_is_made_again_while_there_is_stock() {
    let mut house = House::start(Shape::Scattered).await;
    let (guest, order) = with_an_expired_reservation(&mut house).await;
    house.calls_back("order").await;
    confirmed(&guest, &order).await;
    assert_eq!(house.stock("LAMP").await, (10, 2));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_ran_out_is_refused_when_the_stock_is_gone() {
    let mut house = House::start(Shape::Scattered).await;
    let (guest, order) = with_an_expired_reservation(&mut house).await;
    let lost = json!({
        "adjustmentId": "a1", "sku": "LAMP", "location": "main", "delta": "-9", "reason": "a fire",
    });
    house.staff(Role::Admin).post("/api/v1/stock:adjust", &lost).expect(200).await;
    house.calls_back("order").await;
    let over = ended(&guest, &order, "REJECTED").await;
    assert_eq!(
        (over["reason"].as_str(), payment_of(&over)),
        (Some("RESERVATION_EXPIRED"), "VOIDED"),
        "{over}"
    );
    assert_eq!(over["detail"], "LAMP: 1 of 2");
    assert_eq!(house.stock("LAMP").await, (1, 0));
    house.close().await;
}
