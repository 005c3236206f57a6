//! Filling a cart, changing it, and what it shows.
use crate::shop::{Shop, lines};
use futures_util::future::join_all;
use souk_contracts::cart::v1::{self as pb, IssueKind};
use souk_contracts::types::v1::Money;
use souk_kernel::{Code, Error};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn is<T>(answer: Result<T, Error>, code: Code, reason: &str) {
    let error = answer.err().expect("a refusal");
    assert_eq!((error.code(), error.reason()), (code, reason), "{error:?}");
}

fn pounds(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "GBP".into() })
}

fn issues(line: &pb::CartLine) -> Vec<IssueKind> {
    line.issues.iter().map(pb::Issue::kind).collect()
}

#[tokio::test]
async fn a_cart_begins_with_its_first_item() {
    let shop = Shop::in_memory().await;
    let empty = shop.get("gst_1").await;
    assert_eq!(
        (empty.cart_id.as_str(), empty.market.as_str(), empty.version, empty.subtotal),
        ("", "GB", 0, None)
    );
    let cart = shop.add("gst_1", "A", 2, "op1").await.expect("added");
    assert!(cart.cart_id.starts_with("crt_"));
    assert_eq!(cart.subtotal, pounds(200));
    let cart = shop.add("gst_1", "B", 1, "op2").await.expect("added");
    assert_eq!(lines(&cart), [(1, "A", 2), (2, "B", 1)]);
    assert_eq!(cart.subtotal, pounds(450));
    assert_eq!((cart.lines[1].title.as_str(), cart.lines[1].available), ("Thing B", 3));
    assert_eq!(shop.get("gst_1").await, cart);
    assert_eq!(shop.get("gst_2").await.cart_id, "", "another guest has another cart");
    shop.check().await;
}

#[tokio::test]
async fn every_parallel_addition_counts_exactly_once() {
    let shop = Shop::in_memory().await;
    let ops: Vec<String> = (0..200).map(|i| format!("op{i}")).collect();
    // Each op twice, all at once, beginning with no cart at all.
    let adds = ops.iter().chain(&ops).map(|op| shop.add("gst_1", "A", 3, op));
    for answer in join_all(adds).await {
        answer.expect("every addition succeeds");
    }
    let cart = shop.get("gst_1").await;
    assert_eq!(lines(&cart), [(1, "A", 600)]);
    assert_eq!(shop.histories().await.len(), 1, "one cart");
    shop.check().await;
}

#[tokio::test]
async fn an_op_id_is_for_one_addition() {
    let shop = Shop::in_memory().await;
    let first = shop.add("gst_1", "A", 2, "op1").await.expect("added");
    assert_eq!(shop.add("gst_1", "A", 2, "op1").await.expect("again"), first);
    is(shop.add("gst_1", "A", 3, "op1").await, Code::FailedPrecondition, "OP_ID_REUSED");
    is(shop.add("gst_1", "B", 2, "op1").await, Code::FailedPrecondition, "OP_ID_REUSED");
    shop.add("gst_2", "B", 2, "op1").await.expect("another's op_ids are their own");
    shop.others.catalog.stop_selling("A");
    let repeated = shop.add("gst_1", "A", 2, "op1").await.expect("it was added before");
    assert_eq!(lines(&repeated), [(1, "A", 2)]);
    shop.check().await;
}

#[tokio::test]
async fn only_what_is_sold_can_be_added() {
    let shop = Shop::in_memory().await;
    is(shop.add("gst_1", "X", 1, "op1").await, Code::FailedPrecondition, "UNKNOWN_SKU");
    is(shop.add("gst_1", "D", 1, "op1").await, Code::FailedPrecondition, "NOT_SOLD_IN_MARKET");
    is(shop.add("gst_1", "A", 0, "op1").await, Code::InvalidArgument, "INVALID_ARGUMENT");
    is(shop.add("gst_1", "A", 10_001, "op1").await, Code::FailedPrecondition, "QUANTITY_TOO_HIGH");
    assert!(shop.histories().await.is_empty(), "no cart was opened");
    shop.add("gst_1", "A", 10_000, "op1").await.expect("the most");
    is(shop.add("gst_1", "A", 1, "op2").await, Code::FailedPrecondition, "QUANTITY_TOO_HIGH");
    shop.others.catalog.down.store(true, Ordering::Relaxed);
    is(shop.add("gst_1", "B", 1, "op3").await, Code::Unavailable, "UNAVAILABLE");
    shop.check().await;
}

#[tokio::test]
async fn a_cart_has_a_hundred_lines_at_most() {
    let shop = Shop::in_memory().await;
    for i in 0..101 {
        shop.others.catalog.sell(&format!("S{i}"), "GB", 1);
    }
    for i in 0..100 {
        shop.add("gst_1", &format!("S{i}"), 1, &format!("op{i}")).await.expect("added");
    }
    is(shop.add("gst_1", "S100", 1, "op100").await, Code::FailedPrecondition, "CART_FULL");
    assert_eq!(shop.add("gst_1", "S7", 1, "op101").await.expect("a known line").lines.len(), 100);
    shop.check().await;
}

#[tokio::test]
async fn lines_are_changed_by_number_and_version() {
    let shop = Shop::in_memory().await;
    is(shop.set("gst_1", 1, 1, None).await, Code::NotFound, "NOT_FOUND");
    is(shop.remove("gst_1", 1).await, Code::NotFound, "NOT_FOUND");
    assert_eq!(shop.clear("gst_1").await.expect("nothing to clear").cart_id, "");
    shop.add("gst_1", "A", 2, "op1").await.expect("added");
    let cart = shop.add("gst_1", "B", 1, "op2").await.expect("added");
    let changed = shop.set("gst_1", 1, 5, Some(cart.version)).await.expect("current");
    assert_eq!(lines(&changed), [(1, "A", 5), (2, "B", 1)]);
    is(shop.set("gst_1", 1, 6, Some(cart.version)).await, Code::Aborted, "VERSION_MISMATCH");
    is(shop.set("gst_1", 1, 10_001, None).await, Code::FailedPrecondition, "QUANTITY_TOO_HIGH");
    is(shop.set("gst_1", 9, 1, None).await, Code::NotFound, "NOT_FOUND");
    is(shop.set("gst_2", 1, 1, None).await, Code::NotFound, "NOT_FOUND");
    assert_eq!(lines(&shop.set("gst_1", 1, 0, None).await.expect("0 removes")), [(2, "B", 1)]);
    let added = shop.add("gst_1", "A", 1, "op3").await.expect("added");
    assert_eq!(lines(&added), [(2, "B", 1), (3, "A", 1)], "a number is never given again");
    assert_eq!(lines(&shop.remove("gst_1", 2).await.expect("removed")), [(3, "A", 1)]);
    assert_eq!(lines(&shop.remove("gst_1", 2).await.expect("twice is fine")), [(3, "A", 1)]);
    let cleared = shop.clear("gst_1").await.expect("cleared");
    assert_eq!((lines(&cleared), &cleared.subtotal), (vec![], &None));
    assert_eq!(shop.clear("gst_1").await.expect("twice is fine").version, cleared.version);
    shop.check().await;
}

#[tokio::test]
async fn what_changed_since_is_shown() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 2, "op1").await.expect("added");
    let cart = shop.add("gst_1", "B", 4, "op2").await.expect("added");
    assert_eq!(issues(&cart.lines[1]), [IssueKind::InsufficientStock]);
    shop.others.catalog.sell("A", "GB", 130);
    shop.others.catalog.stop_selling("B");
    let cart = shop.get("gst_1").await;
    assert_eq!(issues(&cart.lines[0]), [IssueKind::PriceChanged]);
    assert_eq!(cart.lines[0].issues[0].detail, "it was 1.00 GBP and is 1.30 GBP now");
    assert_eq!(issues(&cart.lines[1]), [IssueKind::Unavailable, IssueKind::InsufficientStock]);
    assert_eq!((cart.lines[1].unit_price_now.clone(), cart.subtotal.clone()), (None, pounds(260)));
    let cart = shop.add("gst_1", "A", 1, "op3").await.expect("added at the new price");
    assert_eq!(issues(&cart.lines[0]), [], "whoever adds at the new price has seen it");
}

#[tokio::test]
async fn another_market_is_shown_or_moved_to() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 1, "op1").await.expect("added");
    shop.add("gst_1", "B", 1, "op2").await.expect("added");
    let looked = shop.get_in("gst_1", "DE").await.expect("an answer");
    assert_eq!(looked.market, "DE");
    assert_eq!(looked.subtotal, Some(Money { minor_units: 120, currency: "EUR".into() }));
    assert_eq!(issues(&looked.lines[1]), [IssueKind::Unavailable], "B is not sold there");
    assert_eq!(shop.get("gst_1").await.market, "GB", "looking moves nothing");
    let moved = shop.add_in("gst_1", "D", 1, "op3", "DE").await.expect("added there");
    assert_eq!((moved.market.as_str(), lines(&moved).len()), ("DE", 3));
    assert_eq!(shop.get("gst_1").await.market, "DE");
    is(shop.get_in("gst_1", "x").await, Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_eq!(shop.get_in("gst_2", "FR").await.expect("an answer").market, "FR");
}

#[tokio::test]
async fn without_inventory_there_is_a_cart_without_stock() {
    let shop = Shop::in_memory().await;
    shop.others.inventory.down.store(true, Ordering::Relaxed);
    let cart = shop.add("gst_1", "B", 9, "op1").await.expect("stock is only advice");
    assert_eq!((cart.lines[0].available, issues(&cart.lines[0])), (-1, vec![]));
    let given = shop.others.inventory.given.lock().expect("no test panics with it").expect("it was asked");
    assert!(given <= Duration::from_millis(500), "a cart does not wait long for advice");
    shop.others.catalog.down.store(true, Ordering::Relaxed);
    is(shop.get_in("gst_1", "").await, Code::Unavailable, "UNAVAILABLE");
}

#[tokio::test]
async fn an_addition_asks_the_catalog_once() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 1, "op1").await.expect("added");
    shop.add("gst_1", "B", 1, "op2").await.expect("added");
    assert_eq!(shop.others.catalog.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn order_reads_the_lines_of_an_owners_active_cart_only() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 2, "op1").await.expect("added");
    let cart = shop.add("gst_1", "B", 1, "op2").await.expect("added");
    let read = shop.read_lines("gst_1", &cart.cart_id).await.expect("theirs");
    let plain: Vec<_> = read.lines.iter().map(|l| (l.line, l.sku.as_str(), l.quantity)).collect();
    assert_eq!(plain, lines(&cart));
    assert_eq!(
        (read.cart_id, read.market.as_str(), read.version),
        (cart.cart_id.clone(), "GB", cart.version)
    );
    is(shop.read_lines("gst_2", &cart.cart_id).await, Code::NotFound, "NOT_FOUND");
    let nobodys = cart.cart_id.replace(char::is_numeric, "0");
    is(shop.read_lines("gst_1", &nobodys).await, Code::NotFound, "NOT_FOUND");
    is(shop.read_lines("gst_1", "crt_x").await, Code::InvalidArgument, "INVALID_ARGUMENT");
    let request = pb::ReadLinesRequest { cart_id: cart.cart_id };
    let guest =
        shop.client.read_lines(shop.guest("gst_1"), request.clone()).await.expect_err("not for people");
    assert_eq!(guest.code(), Code::PermissionDenied);
    is(shop.client.read_lines(shop.anybody(), request).await, Code::Unauthenticated, "UNAUTHENTICATED");
}
