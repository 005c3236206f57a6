//! Many at once: one winner, nothing sold twice, nothing lost.
use crate::shop::{Shop, line, said};
use futures_util::future::{join, join_all};
use souk_contracts::inventory::v1::ReservationStatus::*;
use souk_contracts::inventory::v1::{AllocatedLine, ReservePolicy};
use souk_contracts::terms::OrderId;
use souk_eventstore::{CommitError, Timer};
use souk_inventory::effects;
use souk_kernel::{SeededEntropy, TypeId};

fn orders(shop: &Shop, count: usize) -> Vec<OrderId> {
    (0..count).map(|_| OrderId::from_uuid(shop.own.ids.uuid())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_piece_is_promised_to_exactly_one_of_64() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    let lines = [line(1, "a", 1)];
    let answers = join_all(orders(&shop, 64).into_iter().map(|order| shop.reserve(order, &lines))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("answered")).collect();
    let count = |wanted| answers.iter().filter(|answer| said(answer) == wanted).count();
    assert_eq!((count((Held, "")), count((Refused, "INSUFFICIENT_STOCK"))), (1, 63));
    assert_eq!(shop.level("a").await, (1, 1));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_pieces_and_five_hundred_buyers() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 60)]).await.expect("booked");
    shop.receive("r2", "east", &[("a", 40)]).await.expect("booked");
    let dice = SeededEntropy::new(500);
    let throw = || u32::try_from(dice.next_u64() % 3 + 1).expect("small");
    let buyers: Vec<_> =
        orders(&shop, 500).into_iter().map(|order| (order, [line(1, "a", throw())])).collect();
    let answers = join_all(buyers.iter().map(|(order, lines)| shop.reserve(*order, lines))).await;
    let granted = |answer: &souk_contracts::inventory::v1::Reservation| -> u32 {
        answer.lines.iter().map(|line| line.quantity).sum()
    };
    let granted: u32 = answers.iter().map(|answer| granted(answer.as_ref().expect("answered"))).sum();
    assert_eq!(granted, 100, "somebody always wants the last piece, and nobody gets more");
    assert_eq!(shop.level("a").await, (100, 100));
    assert_eq!(shop.violations().await, []);

    let buyer_comes_back = |(order, _): &(OrderId, _)| {
        let (shop, order) = (&shop, *order);
        async move { join(shop.commit(order), shop.release(order)).await }
    };
    join_all(buyers.iter().map(buyer_comes_back)).await;
    assert_eq!(shop.level("a").await, (100, 0));
    assert_eq!(shop.violations().await, []);
}

/// A shop with one piece that is held and whose promise is over; the timer has not fired yet.
async fn shop_with_a_due_promise(n: OrderId) -> (Shop, Timer) {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    shop.reserve(n, &[line(1, "a", 1)]).await.expect("answered");
    shop.clock.advance_ms(60_000);
    let due = shop.own.store.due_timers(10).await.expect("timers").pop().expect("one is due");
    (shop, due)
}

#[tokio::test]
async fn a_commit_before_the_expiry_wins() {
    let order = crate::shop::order(1);
    let (shop, due) = shop_with_a_due_promise(order).await;
    assert_eq!(said(&shop.commit(order).await), (Committed, ""));
    let fired = effects::expire(shop.own.store.clone(), due).await;
    assert_eq!(fired, Err(CommitError::TimerGone));
    assert_eq!(shop.look(order).await.expect("there").status(), Committed);
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn an_expiry_before_the_commit_wins_and_another_may_buy() {
    let order = crate::shop::order(1);
    let (shop, due) = shop_with_a_due_promise(order).await;
    effects::expire(shop.own.store.clone(), due.clone()).await.expect("fired");
    let again = effects::expire(shop.own.store.clone(), due).await;
    assert!(again.is_ok(), "firing the same timer twice is one commit: {again:?}");
    let other = shop.reserve(crate::shop::order(2), &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(said(&other), (Held, ""));
    assert_eq!(said(&shop.commit(order).await), (Expired, "RESERVATION_EXPIRED"));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commit_and_expiry_at_once_have_one_winner() {
    for round in 0..20 {
        let order = crate::shop::order(round);
        let (shop, due) = shop_with_a_due_promise(order).await;
        let expire = effects::expire(shop.own.store.clone(), due);
        let (answer, fired) = if round % 2 == 0 {
            join(shop.commit(order), expire).await
        } else {
            let (fired, answer) = join(expire, shop.commit(order)).await;
            (answer, fired)
        };
        assert!(matches!(fired, Ok(()) | Err(CommitError::TimerGone)), "{fired:?}");
        assert_eq!(said(&answer), (Committed, ""), "the stock is there either way");
        assert_eq!(shop.level("a").await, (1, 1));
        assert_eq!(shop.violations().await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_doubled_request_is_one_reservation_and_a_release_at_once_leaves_nothing() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1_000)]).await.expect("booked");
    let lines = [line(1, "a", 1)];
    for order in orders(&shop, 32) {
        let answers = join_all((0..8).map(|_| shop.reserve(order, &lines))).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("answered")).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    assert_eq!(shop.level("a").await, (1_000, 32));
    let races = orders(&shop, 64);
    join_all(races.iter().map(|order| join(shop.reserve(*order, &lines), shop.release(*order)))).await;
    assert_eq!(shop.level("a").await, (1_000, 32), "whichever came first, the release wins");
    assert_eq!(shop.violations().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shipment_and_a_release_at_once_have_one_winner() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 64)]).await.expect("booked");
    let orders = orders(&shop, 64);
    for order in &orders {
        shop.reserve(*order, &[line(1, "a", 1)]).await.expect("answered");
        shop.commit(*order).await;
    }
    let parts = [AllocatedLine { line: 1, sku: "a".into(), quantity: 1, location: "main".into() }];
    let race = |order: &OrderId| {
        let (shop, order, parts) = (&shop, *order, &parts);
        async move { join(shop.ship(order, "s1", parts), shop.release(order)).await }
    };
    let answers = join_all(orders.iter().map(race)).await;
    let mut gone = 0;
    for (ship, release) in &answers {
        let shipped = said(ship.as_ref().expect("answered")) == (Shipped, "");
        assert_eq!(shipped, release.status() == Shipped, "{ship:?} {release:?}");
        gone += i64::from(shipped);
    }
    assert_eq!(shop.level("a").await, (64 - gone, 0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_and_is_given_back_at_once_serves_everybody_once() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 20)]).await.expect("booked");
    shop.put_terms("a", 0, 0, 20).await;
    let orders = orders(&shop, 40);
    for order in &orders {
        shop.reserve_by(ReservePolicy::Backorder, *order, &[line(1, "a", 1)]).await.expect("answered");
        shop.commit(*order).await;
    }
    let names: Vec<String> = (0..10).map(|n| format!("more-{n}")).collect();
    let receipts = join_all(names.iter().map(|name| shop.receive(name, "east", &[("a", 1)])));
    let releases = join_all(orders[..10].iter().map(|order| shop.release(*order)));
    join(receipts, releases).await;
    let level = shop.whole_level("a").await;
    assert_eq!((level.on_hand, level.reserved, level.backordered), (30, 30, 0));
    assert_eq!(shop.violations().await, []);
}
