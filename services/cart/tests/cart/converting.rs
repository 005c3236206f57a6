//! A confirmed order converts the cart that it was made of, once.
use crate::shop::{Others, Shop, lines, order};
use futures_util::future::join_all;
use souk_cart::domain::CartEvent;
use souk_kernel::Code;

#[tokio::test]
async fn an_order_of_everything_leaves_no_cart() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 2, "op1").await.expect("added");
    let cart = shop.add("gst_1", "B", 1, "op2").await.expect("added");
    shop.reacted(shop.confirm(1, &cart.cart_id, "gst_1", &[(1, 2), (2, 1)])).await;
    assert_eq!(shop.get("gst_1").await.cart_id, "");
    let gone = shop.read_lines("gst_1", &cart.cart_id).await.expect_err("converted");
    assert_eq!(gone.code(), Code::NotFound);
    let next = shop.add("gst_1", "A", 1, "op1").await.expect("a new cart");
    assert_ne!(next.cart_id, cart.cart_id);
    assert_eq!(lines(&next), [(1, "A", 1)]);
    shop.check().await;
}

#[tokio::test]
async fn what_was_added_while_paying_stays_in_a_fresh_cart() {
    let shop = Shop::in_memory().await;
    let quoted = shop.add("gst_1", "A", 2, "op1").await.expect("added");
    shop.add("gst_1", "A", 3, "op2").await.expect("added in another tab");
    shop.add("gst_1", "B", 1, "op3").await.expect("added in another tab");
    shop.reacted(shop.confirm(1, &quoted.cart_id, "gst_1", &[(1, 2)])).await;
    let fresh = shop.get("gst_1").await;
    assert_ne!(fresh.cart_id, quoted.cart_id);
    assert_eq!(lines(&fresh), [(1, "A", 3), (2, "B", 1)]);
    assert_eq!(
        lines(&shop.set("gst_1", 2, 4, None).await.expect("the other tab's numbers hold")),
        [(1, "A", 3), (2, "B", 4)]
    );
    shop.check().await;
}

#[tokio::test]
async fn an_order_counts_once_however_often_it_is_told() {
    let shop = Shop::in_memory().await;
    let quoted = shop.add("gst_1", "A", 5, "op1").await.expect("added");
    shop.reacted(shop.confirm(1, &quoted.cart_id, "gst_1", &[(1, 2)])).await;
    let fresh = shop.get("gst_1").await;
    for _ in 0..3 {
        shop.reacted(shop.confirm(1, &quoted.cart_id, "gst_1", &[(1, 2)])).await;
    }
    shop.reacted(shop.confirm(2, &quoted.cart_id, "gst_1", &[(1, 2)])).await;
    assert_eq!(shop.get("gst_1").await, fresh, "the cart was converted by the first order already");
    shop.check().await;
}

#[tokio::test]
async fn other_news_move_the_mark_and_nothing_else() {
    let shop = Shop::in_memory().await;
    let cart = shop.add("gst_1", "A", 5, "op1").await.expect("added");
    let mut marks = vec![
        shop.confirm(1, "", "gst_1", &[(0, 5)]),
        shop.confirm(2, &cart.cart_id, "gst_2", &[(1, 5)]),
        shop.confirm(3, &cart.cart_id.replace(char::is_numeric, "0"), "gst_1", &[(1, 5)]),
    ];
    let stream = format!("order/{}", order(4));
    marks.push((stream.clone(), shop.others.orders.publish(&stream, "souk.order.v1.OrderRejected", vec![])));
    for mark in marks {
        shop.reacted(mark).await;
    }
    assert_eq!(shop.get("gst_1").await, cart);
}

#[tokio::test]
async fn news_that_cannot_be_read_are_parked_and_the_others_flow() {
    let shop = Shop::in_memory().await;
    let cart = shop.add("gst_1", "A", 5, "op1").await.expect("added");
    for (n, data) in [(8, vec![0xff, 0xff]), (9, b"\x0a\x01x".to_vec())] {
        shop.others.orders.publish(&format!("order/{}", order(n)), "souk.order.v1.OrderConfirmed", data);
    }
    shop.reacted(shop.confirm(1, &cart.cart_id, "gst_1", &[(1, 5)])).await;
    assert_eq!(shop.get("gst_1").await.cart_id, "");
    let reasons = shop.parked(2).await;
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("orderId")), "{reasons:?}");
}

#[tokio::test]
async fn additions_and_the_order_at_once_lose_nothing() {
    let shop = Shop::in_memory().await;
    let ops: Vec<String> = (0..100).map(|i| format!("op{i}")).collect();
    for answer in join_all(ops[..50].iter().map(|op| shop.add("gst_1", "A", 1, op))).await {
        answer.expect("added");
    }
    let cart = shop.get("gst_1").await;
    let adding = join_all(ops[50..].iter().map(|op| shop.add("gst_1", "A", 1, op)));
    let mark = shop.confirm(1, &cart.cart_id, "gst_1", &[(1, 50)]);
    let (answers, ()) = tokio::join!(adding, shop.reacted(mark));
    for answer in answers {
        answer.expect("added to whichever cart is the active one");
    }
    let left: u32 = shop.get("gst_1").await.lines.iter().map(|line| line.quantity).sum();
    assert_eq!(left, 50, "what the order did not take");
    shop.check().await;
}

#[tokio::test]
async fn a_restart_neither_forgets_nor_repeats_an_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let others = Others::default();
    others.catalog.sell("A", "GB", 100);
    let shop = Shop::at(folder.path(), 1, others.clone()).await;
    let quoted = shop.add("gst_1", "A", 5, "op1").await.expect("added");
    shop.reacted(shop.confirm(1, &quoted.cart_id, "gst_1", &[(1, 2)])).await;
    let fresh = shop.get("gst_1").await;
    shop.node.shut_down().await;

    let shop = Shop::at(folder.path(), 2, others).await;
    shop.reacted(shop.confirm(2, "", "gst_1", &[])).await;
    assert_eq!(shop.get("gst_1").await, fresh);
    let histories = shop.histories().await;
    let converted =
        histories.values().flatten().filter(|event| matches!(event, CartEvent::CartConverted(_))).count();
    assert_eq!(converted, 1);
    shop.check().await;
    shop.node.shut_down().await;
}
