//! One piece in stock and 64 buyers at once, over real connections: everybody is taken seriously, one gets it,
//! and nothing is left hanging.
use futures_util::future::join_all;
use serde_json::{Value, json};
use souk_tests::{Caller, House, Shape, status_of};
use std::time::Duration;

/// How many want it.
const BUYERS: usize = 64;
/// A guest's whole purchase must not take longer, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_64_gets_the_last_one() {
    the_last_unit(Shape::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_64_gets_the_last_one_when_services_are_apart() {
    the_last_unit(Shape::Apart).await;
}

async fn the_last_unit(shape: Shape) {
    let house = House::start(shape).await;
    house.sells("LAST", 1_000, 1).await;
    let ready = join_all((0..BUYERS).map(|_| async {
        let guest = house.guest().await;
        let quote = guest.wants("LAST", 1).await;
        (guest, quote)
    }));
    let ready = ready.await;
    assert!(ready.iter().all(|(_, quote)| quote["total"] == ready[0].1["total"]), "everybody has a promise");

    let accepted = join_all(ready.iter().map(|(guest, quote)| place(guest, quote))).await;
    let watched = ready.iter().zip(&accepted).map(|((guest, _), order)| async {
        let seen = guest.watches(order, 0).await;
        (guest.order(order).await, seen)
    });
    let settled = tokio::time::timeout(PATIENCE, join_all(watched)).await.expect("all are settled");

    let (sold, refused): (Vec<_>, Vec<_>) =
        settled.iter().partition(|(order, _)| status_of(order) == "CONFIRMED");
    assert_eq!((sold.len(), refused.len()), (1, BUYERS - 1));
    assert_eq!(sold[0].1.last().map(|(_, what)| what.as_str()), Some("PaymentCaptured"));
    for (order, seen) in refused {
        assert_eq!((status_of(order), order["reason"].as_str()), ("REJECTED", Some("INSUFFICIENT_STOCK")));
        let whats: Vec<_> = seen.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(whats, ["OrderPlaced", "OrderRejected"], "no money was asked for");
    }
    assert_eq!(house.stock("LAST").await, (1, 1));
    house.close().await;
}

/// Accepted at once, PENDING, without waiting for what becomes of it.
async fn place(guest: &Caller, quote: &Value) -> Value {
    let body = json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
    });
    guest.post("/api/v1/orders", &body).key("place").expect(202).await["order"].clone()
}
