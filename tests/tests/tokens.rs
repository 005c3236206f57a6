//! Every way in which the payment provider can behave, and what becomes of the sale: kept, and called off. What the
//! provider says that it took must be what the order says, which the house checks when it closes.
use serde_json::{Value, json};
use souk_provider::tokens::TOKENS;
use souk_tests::{Caller, House, eventually, in_every_shape, minor, payment_of, status_of, try_for_a_while};
use souk_user::Role;
use std::time::Duration;

in_every_shape!(a_sale_by_every_method_comes_to_its_end, a_sale_by_every_method_can_be_called_off);

/// What becomes of a sale: the order and its money as they are at the end.
type End = (&'static str, &'static str);

const SOLD: End = ("CONFIRMED", "CAPTURED");
const DISPUTED: End = ("CONFIRMED", "DISPUTED");
const DECLINED: End = ("REJECTED", "NONE");
/// Called off, and for ever under way, since nobody decides.
const WAITS: End = ("CANCELLING", "DISPUTED");
const REFUNDED: End = ("CANCELLED", "REFUNDED");

/// A method, what becomes of a sale by it, and what when it is called off after that.
const ENDS: &[(&str, End, End)] = &[
    ("ok", SOLD, REFUNDED),
    ("decline_funds", DECLINED, DECLINED),
    ("decline_fraud", DECLINED, DECLINED),
    ("requires_action", SOLD, REFUNDED),
    ("requires_action_fails", DECLINED, DECLINED),
    ("timeout_before", SOLD, REFUNDED),
    ("timeout_after_effect", SOLD, REFUNDED),
    ("capture_timeout_after_effect", SOLD, REFUNDED),
    ("void_timeout_after_effect", SOLD, REFUNDED),
    ("refund_timeout_after_effect", SOLD, REFUNDED),
    ("slow_30s", SOLD, REFUNDED),
    ("error_500_then_ok", SOLD, REFUNDED),
    ("auth_expires_1m", SOLD, REFUNDED),
    // Only a person can say what becomes of goods that are promised and not paid.
    ("capture_fails", ("ON_HOLD", "FAILED"), ("CANCELLED", "VOIDED")),
    // The provider cannot give the money back: a person finds another way.
    ("refund_pending_then_fails", SOLD, ("CANCELLED", "CAPTURED")),
    ("refund_pending_then_succeeds", SOLD, REFUNDED),
    // While the customer's bank wants the money, it is waited for.
    ("dispute_after_capture", DISPUTED, WAITS),
    ("dispute_won", SOLD, REFUNDED),
    // What it has taken for good is not given back a second time: a person decides.
    ("dispute_lost", DISPUTED, ("CANCELLED", "CAPTURED")),
    ("webhook_duplicate", SOLD, REFUNDED),
    ("webhook_reordered", SOLD, REFUNDED),
    ("webhook_before_reply", SOLD, REFUNDED),
    ("webhook_missing", SOLD, REFUNDED),
];

#[test]
fn every_method_that_the_provider_knows_is_here() {
    let here: Vec<_> = ENDS.iter().map(|(name, ..)| *name).collect();
    let known: Vec<_> = TOKENS.iter().map(|(name, _)| *name).collect();
    assert_eq!(here, known);
}

fn end_of(order: &Value) -> (String, String) {
    (status_of(order).to_owned(), payment_of(order).to_owned())
}

/// Lets time pass until all of these have come to their end: what the provider tells late is told meanwhile.
async fn meanwhile<T>(house: &House, sales: impl Iterator<Item: Future<Output = T>>) -> Vec<T> {
    let mut all = std::pin::pin!(futures_util::future::join_all(sales));
    loop {
        tokio::select! {
            done = &mut all => return done,
            () = tokio::time::sleep(Duration::from_millis(50)) => house.advance(Duration::from_secs(3)),
        }
    }
}

/// Lets time pass until nothing more happens by itself.
async fn comes_to_rest(house: &House) {
    let quiet = async || {
        house.advance(Duration::from_secs(1));
        house.rest().is_quiet().then_some(())
    };
    eventually("the house comes to rest", quiet).await;
}

/// Buys by a method, and says yes at the bank if it asks.
async fn buys(house: &House, method: &str) -> (Caller, Value) {
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 1).await;
    let order = guest.accepts(&quote, method).await;
    if method.starts_with("requires_action") {
        let payment = order["orderId"].as_str().expect("an id").replace("ord_", "pay_");
        let path = format!("/api/v1/payments/{payment}:completeAction");
        let acts = async || {
            let answer = guest.post(&path, &json!({})).send().await;
            let status = answer.json()["payment"]["status"].as_str().unwrap_or_default().to_owned();
            let asks = ["", "PAYMENT_STATUS_AUTHORIZING", "PAYMENT_STATUS_REQUIRES_ACTION"];
            (!asks.contains(&status.as_str())).then_some(())
        };
        eventually("the bank has asked and was answered", acts).await;
    }
    if method == "dispute_won" {
        let id = order["orderId"].as_str().expect("an id").replace("ord_", "pay_");
        let path = format!("/api/v1/payments/{id}");
        let is_won = async || {
            let payment = house.staff(Role::Support).get(&path).send().await.json()["payment"].clone();
            (payment["disputes"][0]["status"] == "DISPUTE_STATUS_WON").then_some(())
        };
        eventually("the dispute is won", is_won).await;
    }
    (guest, order)
}

/// Disputes, silence and second attempts take the provider and the sagas some real seconds each.
async fn patiently<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    for _ in 0..4 {
        if let Some(found) = try_for_a_while(&mut look).await {
            return Some(found);
        }
    }
    None
}

async fn comes_to(guest: &Caller, order: &Value, end: End, method: &str) -> Value {
    let mut last = Value::Null;
    let look = async || {
        last = guest.order(order).await;
        (end_of(&last) == (end.0.to_owned(), end.1.to_owned())).then(|| last.clone())
    };
    match patiently(look).await {
        Some(order) => order,
        None => panic!("{method} does not come to {end:?}: {last}"),
    }
}

/// Ends what waits for a person, once one is called.
async fn is_settled_by_hand(house: &House, guest: &Caller, order: &Value) {
    let mut last = Value::Null;
    let look = async || {
        last = guest.order(order).await;
        (last["needsAttention"] == true).then_some(())
    };
    assert!(patiently(look).await.is_some(), "nobody is called to {last}");
    let id = order["orderId"].as_str().expect("an id");
    let path = format!("/api/v1/ops/order/sagas/{id}:resolve");
    let act = json!({"reason": "settled outside", "operationId": "by-hand"});
    house.staff(Role::Admin).post(&path, &act).expect(200).await;
}

async fn a_sale_by_every_method_comes_to_its_end(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let sales = ENDS.iter().map(|(method, end, _)| async move {
        let (guest, order) = buys(house, method).await;
        comes_to(&guest, &order, *end, method).await;
        if *method == "capture_fails" {
            is_settled_by_hand(house, &guest, &order).await;
        }
        *end == DECLINED
    });
    let declined = meanwhile(house, sales).await.into_iter().filter(|declined| *declined).count();
    let sold = i64::try_from(ENDS.len() - declined).expect("a few");
    comes_to_rest(house).await;
    assert_eq!(house.stock("LAMP").await, (100, sold), "what was declined is for sale again");
}

async fn a_sale_by_every_method_can_be_called_off(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let sales = ENDS.iter().filter(|(_, sold, called_off)| *sold != DECLINED && *called_off != WAITS).map(
        |(method, sold, called_off)| async move {
            let (guest, order) = buys(house, method).await;
            comes_to(&guest, &order, *sold, method).await;
            let cancelled = guest.cancels(&order, "cancel").await;
            assert_eq!(cancelled.status, 202, "{method}: {}", cancelled.text());
            if *method == "refund_pending_then_fails" || *method == "dispute_lost" {
                is_settled_by_hand(house, &guest, &order).await;
            } else {
                let order = comes_to(&guest, &order, *called_off, method).await;
                assert_eq!(minor(&order["total"]), 1_000);
            }
        },
    );
    meanwhile(house, sales).await;
    comes_to_rest(house).await;
    assert_eq!(house.stock("LAMP").await, (100, 0), "all of it is for sale again");
}
