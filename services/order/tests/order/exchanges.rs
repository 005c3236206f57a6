//! Pieces that come back for something else, on a real store: the order that replaces them, what it leaves of the
//! money, and what becomes of both when the calls, the stock or the bank do not go along.
use crate::doubles::{Fate, gbp};
use crate::returns::{
    approve, checked, delivered, get, given_back, graded, inspect, request, sold, until, wanted,
};
use crate::shop::{GUEST, Shop};
use souk_contracts::order::v1::{
    self as pb, GradedLine, OrderFulfilment, OrderPayment, OrderStatus, Replacement, ReturnGrade, ReturnLine,
    ReturnReason, ReturnStatus, ReturnWish,
};
use souk_contracts::payment::v1 as payment;
use souk_contracts::terms::{OrderId, PaymentId};
use souk_kernel::{Error, TypeId};
use souk_order::domain::Order;
use souk_order::domain::order::Status;
use std::sync::Arc;

fn instead(sku: &str, quantity: u32) -> Replacement {
    Replacement { sku: sku.to_owned(), quantity }
}

async fn exchange(
    shop: &Shop,
    order_id: &str,
    key: &str,
    lines: &[ReturnLine],
    replacements: &[Replacement],
) -> Result<pb::Return, Error> {
    let request = pb::RequestReturnRequest {
        order_id: order_id.to_owned(),
        lines: lines.to_vec(),
        wish: ReturnWish::Exchange.into(),
        replacements: replacements.to_vec(),
    };
    let cx = shop.guest().with_key(Arc::from(key));
    Ok(shop.client().request_return(cx, request).await?.r#return.expect("set"))
}

/// Two pieces of the first line, worth 5.00, for one B at 0.99; approved.
async fn asked(shop: &Shop, order_id: &str) -> String {
    let lines = [wanted(1, 2, ReturnReason::Unwanted)];
    let back = exchange(shop, order_id, "k-1", &lines, &[instead("B", 1)]).await.expect("asked for");
    assert_eq!((back.wish(), back.replacement_value.clone()), (ReturnWish::Exchange, Some(gbp(99))));
    approve(shop, &back.return_id, false).await;
    back.return_id
}

/// Looked at; everybody has their answer.
async fn settled(shop: &Shop, return_id: &str, lines: &[GradedLine]) -> pb::Return {
    inspect(shop, return_id, lines).await.expect("looked at");
    until(shop, return_id, |back| back.status().is_some_and(|status| status.is_settled())).await;
    get(shop, return_id).await
}

async fn arrive(shop: &Shop, order_id: &str, shipment_id: &str, lines: &[(u32, &str, u32)], sequence: u64) {
    shop.until_processing(order_id).await;
    shop.hand_over(order_id, shipment_id, lines, sequence).await;
    shop.until(order_id, |order| order.parcels().iter().all(|parcel| parcel.is_paid)).await;
    shop.parcel_is("Delivered", order_id, shipment_id, sequence + 1).await;
    let order = shop.until(order_id, |order| *order.status() == Status::Delivered).await;
    shop.check(order_id, &order).await;
}

fn dispute(order_id: &str) -> payment::DisputeOpened {
    payment::DisputeOpened {
        payment_id: PaymentId::from_uuid(order_id.parse::<OrderId>().expect("an id").uuid()).to_string(),
        order_id: order_id.to_owned(),
        subject: GUEST.to_owned(),
        amount: Some(gbp(100)),
        dispute_id: "dsp_1".to_owned(),
        reason: String::new(),
    }
}

#[tokio::test]
async fn what_comes_back_is_exchanged_and_the_difference_goes_back() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    let back = settled(&shop, &return_id, &[graded(1, 2, ReturnGrade::A)]).await;
    assert_eq!((back.status(), back.refund.clone()), (ReturnStatus::Exchanged, Some(gbp(500 - 99))));
    assert_eq!(given_back(&shop), 401);
    let old = checked(&shop, &order_id).await;
    assert_eq!(old.payment(), OrderPayment::PartiallyRefunded);
    let new_id = back.exchange_order_id;
    let new = shop.get(&new_id).await;
    assert_eq!((new.status(), new.payment()), (OrderStatus::Confirmed, OrderPayment::None));
    assert_eq!((new.total.clone(), new.exchange_value.clone()), (Some(gbp(0)), Some(gbp(99))));
    assert_eq!((new.exchange_of_return_id, new.rate_id), (return_id.clone(), old.rate_id));
    assert_eq!(shop.world.books(|books| books.payments.len()), 1, "nothing is promised for it");
    let refused = shop.cancel(&new_id, "c-1").await.expect_err("it stands");
    assert_eq!(refused.reason(), "EXCHANGE_STANDS");
    arrive(&shop, &new_id, "shp_2", &[(1, "B", 1)], 3).await;
    let order = shop.get(&new_id).await;
    assert_eq!((order.status(), order.fulfilment()), (OrderStatus::Delivered, OrderFulfilment::Fulfilled));
    assert_eq!(order.captured, Some(gbp(0)));
}

#[tokio::test]
async fn an_exchange_comes_back_in_turn_and_the_first_payment_pays() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    let first = settled(&shop, &return_id, &[graded(1, 2, ReturnGrade::A)]).await.exchange_order_id;
    arrive(&shop, &first, "shp_2", &[(1, "B", 1)], 3).await;
    // For the same again.
    let lines = [wanted(1, 1, ReturnReason::Damaged)];
    let again = exchange(&shop, &first, "k-2", &lines, &[instead("B", 1)]).await.expect("asked for");
    approve(&shop, &again.return_id, false).await;
    let back = settled(&shop, &again.return_id, &[graded(1, 1, ReturnGrade::Damaged)]).await;
    assert_eq!((back.status(), back.refund.clone()), (ReturnStatus::Exchanged, Some(gbp(0))));
    let second = back.exchange_order_id;
    arrive(&shop, &second, "shp_3", &[(1, "B", 1)], 5).await;
    // And for its money.
    let lines = [wanted(1, 1, ReturnReason::Unwanted)];
    let last = request(&shop, &second, "k-3", &lines).await.expect("asked for");
    approve(&shop, &last.return_id, false).await;
    let back = settled(&shop, &last.return_id, &[graded(1, 1, ReturnGrade::A)]).await;
    assert_eq!((back.status(), back.refund.clone()), (ReturnStatus::Refunded, Some(gbp(99))));
    assert_eq!(given_back(&shop), 500, "what two pieces cost");
    for id in [&order_id, &first, &second] {
        checked(&shop, id).await;
    }
    let (_, paid) = shop.world.books(|books| books.payments.clone().pop_first()).expect("one");
    let mut refunds: Vec<_> = paid.refunds.values().map(|(amount, _)| *amount).collect();
    refunds.sort_unstable();
    assert_eq!(refunds, [99, 401]);
    assert_eq!(shop.get(&second).await.fulfilment(), OrderFulfilment::Returned);
}

#[tokio::test]
async fn what_is_not_there_any_more_is_refunded() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    shop.world.books(|books| books.scarce.insert("B".to_owned(), 0));
    let back = settled(&shop, &return_id, &[graded(1, 2, ReturnGrade::B)]).await;
    assert_eq!((back.status(), back.refund), (ReturnStatus::Refunded, Some(gbp(500))));
    assert_eq!(
        (back.not_exchanged.as_str(), back.exchange_order_id.as_str()),
        ("INSUFFICIENT_STOCK", ""),
        "and the customer is told why"
    );
    assert_eq!(given_back(&shop), 500);
    checked(&shop, &order_id).await;
}

#[tokio::test]
async fn nothing_dearer_than_what_comes_back_is_given_for_it() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let (lines, dear) = ([wanted(2, 1, ReturnReason::Unwanted)], [instead("A", 1)]);
    let refused = exchange(&shop, &order_id, "k-1", &lines, &dear).await.expect_err("2.50 for 0.99");
    assert_eq!(refused.reason(), "EXCHANGE_TOO_DEAR");
    let amounts = [refused.metadata()["costs"].as_str(), refused.metadata()["worth"].as_str()];
    assert_eq!(amounts, ["2.50 GBP", "0.99 GBP"]);
    for (sku, reason) in [("NONE", "UNKNOWN_SKU"), ("OLD", "NOT_SOLD_IN_MARKET")] {
        let refused = exchange(&shop, &order_id, "k-2", &lines, &[instead(sku, 1)]).await;
        assert_eq!(refused.expect_err("not sold").reason(), reason);
    }
    // Worth it as asked for, and not as it came.
    let lines = [wanted(1, 2, ReturnReason::Unwanted)];
    let two = exchange(&shop, &order_id, "k-3", &lines, &[instead("A", 2)]).await.expect("5.00 for 5.00");
    approve(&shop, &two.return_id, false).await;
    let found = [graded(1, 1, ReturnGrade::A), graded(1, 1, ReturnGrade::WrongItem)];
    let back = settled(&shop, &two.return_id, &found).await;
    assert_eq!((back.status(), back.refund), (ReturnStatus::Refunded, Some(gbp(250))));
    assert_eq!((back.not_exchanged.as_str(), given_back(&shop)), ("EXCHANGE_TOO_DEAR", 250));
    checked(&shop, &order_id).await;
}

#[tokio::test]
async fn the_same_request_for_an_exchange_is_the_same_return_whatever_is_sold_by_then() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let (lines, wish) = ([wanted(1, 1, ReturnReason::Unwanted)], [instead("B", 1)]);
    let first = exchange(&shop, &order_id, "k-1", &lines, &wish).await.expect("asked for");
    shop.world.books(|books| books.products.remove("B"));
    assert_eq!(exchange(&shop, &order_id, "k-1", &lines, &wish).await.expect("said twice"), first);
}

#[tokio::test]
async fn nothing_is_sent_instead_while_the_bank_wants_the_money() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    shop.hear_payment("souk.payment.v1.DisputeOpened", dispute(&order_id), 1).await;
    inspect(&shop, &return_id, &[graded(1, 2, ReturnGrade::A)]).await.expect("looked at");
    let reservations = || shop.world.books(|books| books.reservations.len());
    assert_eq!((reservations(), given_back(&shop)), (1, 0));
    shop.hear_payment("souk.payment.v1.DisputeWon", dispute(&order_id), 2).await;
    until(&shop, &return_id, |back| back.status().is_some_and(|status| status.is_settled())).await;
    assert_eq!((reservations(), given_back(&shop)), (2, 401));
    checked(&shop, &order_id).await;
}

#[tokio::test]
async fn a_lost_dispute_leaves_exchange_and_money_to_a_person() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    shop.hear_payment("souk.payment.v1.DisputeOpened", dispute(&order_id), 1).await;
    shop.hear_payment("souk.payment.v1.DisputeLost", dispute(&order_id), 2).await;
    let back = inspect(&shop, &return_id, &[graded(1, 2, ReturnGrade::A)]).await.expect("looked at");
    assert!(back.needs_attention);
    assert_eq!((back.status(), given_back(&shop)), (ReturnStatus::Refunding, 0));
    assert_eq!(shop.world.books(|books| books.reservations.len()), 1);
}

/// An exchange with this fate of one of the calls.
async fn with(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    let request = pb::InspectReturnRequest {
        return_id: return_id.clone(),
        lines: vec![graded(1, 2, ReturnGrade::A)],
        fees: None,
    };
    shop.client().inspect_return(shop.sales(), request).await.expect("looked at");
    if crash {
        shop.world.call_held().await;
        shop.crash_and_restart().await;
    }
    let end = until(&shop, &return_id, |back| back.status().is_some_and(|s| s.is_settled())).await;
    assert!(!end.needs_attention());
    let back = get(&shop, &return_id).await;
    assert_eq!((back.status(), back.refund), (ReturnStatus::Exchanged, Some(gbp(401))), "{fate:?}");
    checked(&shop, &order_id).await;
    assert_eq!(given_back(&shop), 401, "{fate:?}");
    let held = shop.world.books(|books| books.held[&back.exchange_order_id].clone());
    assert_eq!(held.iter().map(|line| (line.sku.as_str(), line.quantity)).collect::<Vec<_>>(), [("B", 1)]);
    assert_eq!(shop.world.books(|books| (books.reservations.len(), books.payments.len())), (2, 1));
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn stock_money_and_what_replaces_it_move_once_whatever_befalls_the_calls() {
    let calls = with(None, false).await;
    assert_eq!(calls, 4, "restock, reserve, commit, refund");
    for number in 1..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            with(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            with(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn whatever_the_replacement_is_refused_for_the_money_goes_back() {
    for step in ["reserve", "commit"] {
        let shop = Shop::open().await;
        let order_id = delivered(&shop).await;
        let return_id = asked(&shop, &order_id).await;
        shop.world.books(|books| books.unwilling.insert(step));
        let back = settled(&shop, &return_id, &[graded(1, 2, ReturnGrade::A)]).await;
        assert_eq!((back.status(), back.refund), (ReturnStatus::Refunded, Some(gbp(500))), "{step}");
        assert!(!back.not_exchanged.is_empty());
        assert_eq!(given_back(&shop), 500);
        checked(&shop, &order_id).await;
    }
}

#[tokio::test]
async fn what_ships_nothing_is_exchanged_for_what_ships_nothing() {
    let shop = Shop::open().await;
    let order_id = sold(&shop).await;
    let return_id = asked(&shop, &order_id).await;
    let back = settled(&shop, &return_id, &[graded(1, 2, ReturnGrade::A)]).await;
    assert_eq!((back.status(), given_back(&shop)), (ReturnStatus::Exchanged, 401));
    let new = shop.until(&back.exchange_order_id, Order::is_over).await;
    shop.check(&back.exchange_order_id, &new).await;
    assert_eq!(new.delivery(), None);
    checked(&shop, &order_id).await;
}
