//! Who comes at the same moment, over real connections: for the last hundred pieces, twice for the same order,
//! with a change of mind, and as time runs out. The whole house is checked at the end of each.
use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream;
use serde_json::{Value, json};
use souk_tests::{Answer, Caller, House, Shape, eventually, in_every_shape, status_of};
use std::time::Duration;

/// How many pieces there are of what everybody wants …
const PIECES: usize = 100;
/// … and how many want one, unless `SOUK_RACE_BUYERS` says more. A long run takes 5,000.
const BUYERS: usize = 400;
/// How many get ready side by side.
const READYING: usize = 32;
/// How many do the same in the smaller races.
const FEW: usize = 12;
/// Later than any deadline of an order that is placed now.
const PAST_EVERY_DEADLINE: Duration = Duration::from_secs(31 * 60);

in_every_shape!(
    a_double_click_is_one_order,
    two_keys_for_one_quote_are_one_order,
    who_changes_their_mind_at_once_gets_everything_back_or_hears_why_not,
    a_deadline_that_passes_meanwhile_takes_all_or_nothing,
);

/// Somebody with a quote.
async fn with_quote(house: &House, sku: &str) -> (Caller, Value) {
    let guest = house.guest().await;
    let quote = guest.wants(sku, 1).await;
    (guest, quote)
}

/// Accepts a quote under a key, again while the shop is too busy to answer.
async fn insists(guest: &Caller, quote: &Value, key: &str) -> Answer {
    let body = acceptance(quote);
    let busy = async || {
        let answer = guest.post("/api/v1/orders", &body).key(key).send().await;
        Some(answer).filter(|answer| answer.status != 503 && answer.status != 429)
    };
    eventually("an answer", busy).await
}

fn acceptance(quote: &Value) -> Value {
    json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
    })
}

/// The order once nothing more will happen to it by itself.
async fn ended(guest: &Caller, order: &Value) -> Value {
    let is_settled = |order: &Value| matches!(status_of(order), "CONFIRMED" | "REJECTED" | "CANCELLED");
    let look = async || Some(guest.order(order).await).filter(is_settled);
    eventually("the order comes to an end", look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_pieces_exactly_a_hundred_are_sold() {
    let buyers = std::env::var("SOUK_RACE_BUYERS").ok().and_then(|n| n.parse().ok()).unwrap_or(BUYERS);
    let house = House::start(Shape::One).await;
    house.sells("FEW", 1_000, u32::try_from(PIECES).expect("a small number")).await;
    let ready: Vec<_> =
        stream::iter(0..buyers).map(|_| with_quote(&house, "FEW")).buffer_unordered(READYING).collect().await;
    let placed = join_all(ready.iter().map(|(guest, quote)| insists(guest, quote, "place"))).await;
    let mut counts = std::collections::BTreeMap::new();
    let orders = ready.iter().zip(&placed).map(|((guest, _), answer)| {
        assert_eq!(answer.status, 202, "{}", answer.text());
        let order = answer.json()["order"].clone();
        async move { ended(guest, &order).await }
    });
    let orders: Vec<_> = stream::iter(orders).buffer_unordered(READYING).collect().await;
    for order in &orders {
        *counts.entry((status_of(order).to_owned(), order["reason"].clone().to_string())).or_insert(0) += 1;
    }
    let sold = orders.iter().filter(|order| status_of(order) == "CONFIRMED").count();
    let refused = orders.iter().filter(|order| order["reason"] == "INSUFFICIENT_STOCK").count();
    assert_eq!((sold, refused), (PIECES, buyers - PIECES), "{counts:?}");
    let pieces = i64::try_from(PIECES).expect("a small number");
    assert_eq!(house.stock("FEW").await, (pieces, pieces));
    house.close().await;
}

async fn a_double_click_is_one_order(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    for _ in 0..FEW {
        let (guest, quote) = with_quote(house, "LAMP").await;
        // A connection of its own each: `nobody` shares none with another caller.
        let twin = Caller::nobody(&format!("http://{}", house.address())).with_token(guest.token());
        let (one, two) = join(insists(&guest, &quote, "place"), insists(&twin, &quote, "place")).await;
        assert_eq!((one.status, two.status), (202, 202), "{} {}", one.text(), two.text());
        assert_eq!(one.json()["order"]["orderId"], two.json()["order"]["orderId"]);
        let mine = guest.get("/api/v1/orders").expect(200).await;
        assert_eq!(mine["orders"].as_array().map(Vec::len), Some(1), "{mine}");
    }
}

async fn two_keys_for_one_quote_are_one_order(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    for _ in 0..FEW {
        let (guest, quote) = with_quote(house, "LAMP").await;
        let twin = Caller::nobody(&format!("http://{}", house.address())).with_token(guest.token());
        let (one, two) = join(insists(&guest, &quote, "one"), insists(&twin, &quote, "two")).await;
        let accepted = [&one, &two].into_iter().filter(|answer| answer.status == 202).count();
        assert_eq!(accepted, 1, "{} {}", one.text(), two.text());
        let mine = guest.get("/api/v1/orders").expect(200).await;
        assert_eq!(mine["orders"].as_array().map(Vec::len), Some(1), "{mine}");
    }
}

async fn who_changes_their_mind_at_once_gets_everything_back_or_hears_why_not(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let ready = join_all((0..FEW).map(|_| with_quote(house, "LAMP"))).await;
    let orders = join_all(ready.iter().map(|(guest, quote)| async move {
        let order = insists(guest, quote, "place").await.json()["order"].clone();
        let cancelled = guest.cancels(&order, "cancel").await;
        let order = ended(guest, &order).await;
        match cancelled.status {
            202 => assert_eq!(status_of(&order), "CANCELLED", "{}", cancelled.text()),
            _ => assert_ne!(status_of(&order), "CANCELLED", "{}", cancelled.text()),
        }
        order
    }));
    let kept = orders.await.iter().filter(|order| status_of(order) == "CONFIRMED").count();
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (100, i64::try_from(kept).expect("a small number")));
}

async fn a_deadline_that_passes_meanwhile_takes_all_or_nothing(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let ready = join_all((0..FEW).map(|_| with_quote(house, "LAMP"))).await;
    let placing = join_all(ready.iter().map(|(guest, quote)| insists(guest, quote, "place")));
    let passing = async {
        // As soon as the first order is there, its deadline has passed.
        let (guest, _) = &ready[0];
        let first = async || {
            let mine = guest.get("/api/v1/orders").send().await.json();
            mine["orders"].as_array().is_some_and(|orders| !orders.is_empty()).then_some(())
        };
        eventually("the first order", first).await;
        house.advance(PAST_EVERY_DEADLINE);
    };
    let (placed, ()) = join(placing, passing).await;
    let mut kept = 0;
    for ((guest, _), answer) in ready.iter().zip(&placed) {
        if answer.status != 202 {
            assert_eq!(answer.reason(), "QUOTE_EXPIRED", "{}", answer.text());
            continue;
        }
        let order = ended(guest, &answer.json()["order"]).await;
        kept += i64::from(status_of(&order) == "CONFIRMED");
    }
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (100, kept));
}
