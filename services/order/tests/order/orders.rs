//! Quotes and orders through the service's own contract.
use crate::doubles::{Fate, gbp};
use crate::shop::{GUEST, Shop, TOTAL, acceptance, cart_id, wish};
use futures_util::StreamExt;
use prost::Message;
use souk_contracts::order::v1::{self as pb, OrderPayment, OrderStatus};
use souk_kernel::Code;
use souk_order::domain::Order;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_cart_becomes_a_quote_with_the_shops_prices() {
    let shop = Shop::open().await;
    let quote = shop.quote().await;
    assert_eq!(quote.total, Some(gbp(TOTAL)));
    let lines: Vec<_> =
        quote.lines.iter().map(|l| (l.line, l.sku.as_str(), l.quantity, l.price_version)).collect();
    assert_eq!(lines, [(1, "A", 2, 2), (2, "B", 1, 2), (3, "A", 1, 2)]);
    assert_eq!((quote.market.as_str(), quote.subject.as_str(), quote.hash.len()), ("GB", GUEST, 64));
    assert_eq!(quote.expires_at.expect("set").seconds, 1_000 + 900);
    let seen = |cx| {
        let client = shop.client();
        let request = pb::GetQuoteRequest { quote_id: quote.quote_id.clone() };
        async move { client.get_quote(cx, request).await.map(|answer| answer.quote.expect("set")) }
    };
    assert_eq!(seen(shop.guest()).await.expect("mine"), quote);
    assert_eq!(seen(shop.cx("stf_2", &["support"])).await.expect("support looks after it"), quote);
    assert_eq!(seen(shop.sales()).await.expect_err("no deal of sales").code(), Code::NotFound);
    assert_eq!(seen(shop.cx("gst_2", &[])).await.expect_err("a stranger's").code(), Code::NotFound);
}

#[tokio::test]
async fn a_cart_with_faults_names_them() {
    let shop = Shop::open().await;
    let faulty = |skus: &[&str]| {
        let lines = (1..).zip(skus).map(|(line, sku)| souk_contracts::cart::v1::PlainLine {
            line,
            sku: (*sku).to_owned(),
            quantity: 1,
        });
        shop.world.books(|books| books.carts.insert(cart_id(), (GUEST.to_owned(), lines.collect())));
        let (client, cx) = (shop.client(), shop.guest());
        async move { client.create_quote(cx, wish()).await.expect_err("faulty") }
    };
    assert_eq!(faulty(&[]).await.reason(), "CART_EMPTY");
    let unknown = faulty(&["A", "NOPE", "OLD"]).await;
    assert_eq!((unknown.reason(), unknown.metadata()["skus"].as_str()), ("UNKNOWN_SKU", r#"["NOPE"]"#));
    let unsold = faulty(&["OLD", "A"]).await;
    assert_eq!((unsold.reason(), unsold.metadata()["skus"].as_str()), ("NOT_SOLD_IN_MARKET", r#"["OLD"]"#));
    shop.world.books(|books| books.carts.clear());
    let request = wish();
    let missing = shop.client().create_quote(shop.guest(), request).await.expect_err("gone");
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn placing_answers_pending_at_once_and_settled_to_who_waits() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.fates.insert(1, Fate::HeldBefore));
    let quote = shop.quote().await;
    let pending = shop.place(&quote, "key-1").await.expect("placed");
    assert_eq!((pending.status(), pending.payment()), (OrderStatus::Pending, OrderPayment::None));
    assert_eq!((pending.sequence, pending.total.clone()), (1, Some(gbp(TOTAL))));
    shop.world.call_held().await;
    shop.world.let_go();
    let patient = shop.guest().with_key(Arc::from("key-1")).with_wait(Duration::from_secs(30));
    let settled =
        shop.client().place_order(patient, acceptance(&quote)).await.expect("placed").order.expect("set");
    assert_eq!((settled.order_id, OrderStatus::Confirmed as i32), (pending.order_id.clone(), settled.status));
    shop.until_over(&pending.order_id).await;
    let order = shop.get(&pending.order_id).await;
    assert_eq!((order.status(), order.payment()), (OrderStatus::Confirmed, OrderPayment::Captured));
}

#[tokio::test]
async fn patience_has_an_end() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.always.insert("reserve", Fate::RequestLost));
    let quote = shop.quote().await;
    let cx = shop.guest().with_key(Arc::from("key-1")).with_wait(Duration::from_millis(5));
    let order = shop.client().place_order(cx, acceptance(&quote)).await.expect("placed").order.expect("set");
    assert_eq!(order.status(), OrderStatus::Pending);
}

#[tokio::test]
async fn a_key_is_one_order_however_often_and_at_once_it_is_sent() {
    let shop = Arc::new(Shop::open().await);
    let quote = shop.quote().await;
    let calls = (0..16).map(|_| shop.place(&quote, "key-1"));
    let orders = futures_util::future::join_all(calls).await;
    let first = orders[0].as_ref().expect("placed").order_id.clone();
    assert!(orders.iter().all(|order| order.as_ref().is_ok_and(|order| order.order_id == first)));
    assert_eq!(shop.place(&quote, "key-2").await.expect_err("used").metadata()["order_id"], first);
    let other = shop.quote().await;
    assert_eq!(shop.place(&other, "key-1").await.expect_err("reused").reason(), "IDEMPOTENCY_KEY_REUSED");
    let keyless = shop.client().place_order(shop.guest(), acceptance(&other)).await.expect_err("no key");
    assert_eq!(keyless.reason(), "IDEMPOTENCY_KEY_REQUIRED");
    shop.until_over(&first).await;
    assert!(shop.world.sold(TOTAL));
}

#[tokio::test]
async fn a_quote_is_kept_to_the_letter() {
    let shop = Shop::open().await;
    let quote = shop.quote().await;
    let refused = |cx: souk_rpc::Cx, request: pb::PlaceOrderRequest| {
        let client = shop.client();
        async move {
            client
                .place_order(cx.with_key(Arc::from("k")), request)
                .await
                .expect_err("refused")
                .reason()
                .to_owned()
        }
    };
    let cheaper = pb::PlaceOrderRequest { expected_total: Some(gbp(1)), ..acceptance(&quote) };
    assert_eq!(refused(shop.guest(), cheaper).await, "TOTAL_CHANGED");
    assert_eq!(refused(shop.cx("gst_2", &[]), acceptance(&quote)).await, "NOT_FOUND");
    assert_eq!(refused(shop.sales(), acceptance(&quote)).await, "NOT_FOUND");
    let empty = refused(shop.guest(), pb::PlaceOrderRequest::default()).await;
    assert_eq!(empty, "INVALID_ARGUMENT");
    shop.clock.advance_ms(900_000);
    assert_eq!(refused(shop.guest(), acceptance(&quote)).await, "QUOTE_EXPIRED");
    assert_eq!(shop.store().open_timers().await.expect("readable"), 0, "nothing was left behind");
}

#[tokio::test]
async fn only_the_owner_and_staff_see_an_order() {
    let shop = Shop::open().await;
    let order_id = shop.place_new().await.order_id;
    let seen = |cx| {
        let client = shop.client();
        let request = pb::GetOrderRequest { order_id: order_id.clone() };
        async move { client.get_order(cx, request).await.map(|_| ()).map_err(|error| error.code()) }
    };
    assert_eq!(seen(shop.guest()).await, Ok(()));
    assert_eq!(seen(shop.cx("stf_2", &["support"])).await, Ok(()));
    assert_eq!(seen(shop.cx("gst_2", &[])).await, Err(Code::NotFound));
    assert_eq!(seen(shop.cx("stf_3", &["cook"])).await, Err(Code::NotFound));
}

#[tokio::test]
async fn the_list_is_the_callers_own_newest_first_by_pages() {
    let shop = Shop::open().await;
    let mut placed = Vec::new();
    for number in 0..5 {
        shop.clock.advance_ms(10);
        let quote = shop.quote().await;
        placed.push(shop.place(&quote, &format!("key-{number}")).await.expect("placed").order_id);
    }
    placed.reverse();
    let list = |cx, page_token: String, page_size| {
        let client = shop.client();
        async move { client.list_orders(cx, pb::ListOrdersRequest { page_size, page_token }).await }
    };
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(shop.guest(), token, 2).await.expect("a page");
        listed.extend(page.orders.into_iter().map(|order| order.order_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        let foreign = list(shop.cx("gst_2", &[]), token.clone(), 2).await.expect_err("not theirs");
        assert_eq!(foreign.reason(), "INVALID_PAGE_TOKEN");
        let damaged = list(shop.guest(), format!("{token}x"), 2).await.expect_err("damaged");
        assert_eq!(damaged.reason(), "INVALID_PAGE_TOKEN");
    }
    assert_eq!(listed, placed);
    assert_eq!(list(shop.cx("gst_2", &[]), String::new(), 0).await.expect("a page").orders, vec![]);
    let too_large = list(shop.guest(), String::new(), 201).await.expect_err("too large");
    assert_eq!(too_large.fields()[0].field, "pageSize");
}

#[tokio::test]
async fn a_watcher_hears_every_transition_once_and_can_come_back() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.fates.insert(1, Fate::HeldBefore));
    let order_id = shop.place_new().await.order_id;
    let watch = |cx, after_sequence| {
        let client = shop.client();
        let request = pb::WatchOrderRequest { order_id: order_id.clone(), after_sequence };
        async move { client.watch_order(cx, request).await }
    };
    let mut live = watch(shop.guest(), 0).await.expect("allowed");
    let first = live.next().await.expect("open").expect("readable");
    assert_eq!((first.what.as_str(), first.status()), ("OrderPlaced", OrderStatus::Pending));
    shop.world.call_held().await;
    shop.world.let_go();
    let mut all = vec![first];
    while let Some(transition) = live.next().await {
        all.push(transition.expect("readable"));
    }
    let what: Vec<_> = all.iter().map(|transition| transition.what.as_str()).collect();
    assert_eq!(what, ["OrderPlaced", "PaymentAuthorized", "OrderConfirmed", "PaymentCaptured"]);
    assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence));
    let order = shop.get(&order_id).await;
    assert_eq!(order.sequence, all[3].sequence, "the order's number is that of its last transition");
    let rest: Vec<_> = watch(shop.guest(), all[1].sequence).await.expect("allowed").collect().await;
    let rest: Vec<_> = rest.into_iter().map(|transition| transition.expect("readable")).collect();
    assert_eq!(rest, all[2..]);
    let stranger = watch(shop.cx("gst_2", &[]), 0).await.err().expect("not theirs");
    assert_eq!(stranger.code(), Code::NotFound);
}

#[tokio::test]
async fn others_hear_of_the_ends_with_the_carts_line_numbers() {
    let shop = Shop::open().await;
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
    shop.until_over(&order_id).await;
    let feed = shop.store().read_feed(0, 10).await.expect("readable");
    let kinds: Vec<_> = feed.iter().map(|event| (event.kind, event.public_seq)).collect();
    assert_eq!(kinds, [("souk.order.v1.OrderConfirmed", 1), ("souk.order.v1.OrderCancelled", 2)]);
    let confirmed = pb::OrderConfirmed::decode(&*feed[0].data).expect("a message");
    assert_eq!(
        (confirmed.cart_id, confirmed.subject, confirmed.total),
        (cart_id(), GUEST.into(), Some(gbp(TOTAL)))
    );
    let lines: Vec<_> =
        confirmed.lines.iter().map(|line| (line.line, line.cart_line, line.quantity)).collect();
    assert_eq!(lines, [(1, 4, 2), (2, 5, 1), (3, 9, 1)]);
}

#[tokio::test]
async fn a_cancel_said_twice_answers_the_same_and_its_key_is_its_own() {
    let shop = Shop::open().await;
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    for key in ["cancel-1", "cancel-1", "cancel-2"] {
        shop.cancel(&order_id, key).await.expect("said again");
    }
    let over = shop.until_over(&order_id).await;
    assert!(over.cancel_asked());
    let other = shop.place(&shop.quote().await, "key-9").await.expect("placed").order_id;
    assert_eq!(shop.cancel(&other, "cancel-1").await.expect_err("reused").reason(), "IDEMPOTENCY_KEY_REUSED");
    shop.until(&other, Order::is_over).await;
}
