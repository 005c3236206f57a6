//! Money and parcels that do not go the usual way, on a real store: promises that expired or are more than is owed,
//! parcels that do not arrive, and goods that are waited for; with silence, doubles and crashes.
use crate::doubles::Fate;
use crate::life::{ALL, SHIPPED_TOTAL, cancel_lines, crash_when_held, payment_id};
use crate::shop::{Shop, acceptance, shipped_wish};
use souk_contracts::order::v1::{self as pb, OrderFulfilment, OrderStatus, ParcelDecision};
use souk_kernel::Error;
use souk_order::domain::Order;
use souk_order::domain::order::{Label, Payment, Rest, Status};
use std::sync::Arc;

// ---- What is promised ----

/// A sale that ships nothing, and whose promise of money has expired before it is taken; answers how many calls that
/// took.
async fn sell_after_expiry(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    shop.world.books(|books| {
        books.expired = true;
        books.fates.extend(fate);
    });
    let order_id = shop.place_new().await.order_id;
    if crash {
        crash_when_held(&mut shop, &order_id, Order::is_over).await;
    }
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Confirmed, Payment::Captured), "{fate:?}");
    assert!(shop.world.sold(849));
    shop.world.books(|books| books.calls.len())
}

#[tokio::test]
async fn a_sale_that_ships_nothing_asks_anew_for_an_expired_promise_by_the_same_way() {
    let calls = sell_after_expiry(None, false).await;
    assert_eq!(calls, 7, "reserve, authorize, commit, capture, get_payment, reauthorize, capture");
    for number in 4..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            sell_after_expiry(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            sell_after_expiry(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn a_sale_that_ships_nothing_is_held_for_staff_when_its_money_is_refused() {
    let shop = Shop::open().await;
    shop.world.books(|books| {
        books.expired = true;
        books.unwilling.insert("reauthorize");
    });
    let order_id = shop.place_new().await.order_id;
    let order = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &order).await;
    assert_eq!((order.label(), order.payment()), (Label::OnHold, Payment::Failed));
    assert_eq!(shop.get(&order_id).await.attention_reasons, ["CAPTURE_REFUSED"]);
    let request = pb::ReleaseHoldRequest { order_id: order_id.clone(), reason: "a bill was sent".into() };
    let released = shop.client().release_hold(shop.cx("stf_2", &["support"]), request).await;
    assert_eq!(released.expect("allowed").order.expect("set").status(), OrderStatus::Confirmed);
    let order = shop.until(&order_id, |order| order.holds().is_empty()).await;
    shop.check(&order_id, &order).await;
    shop.cancel(&order_id, "cancel-1").await.expect("nobody pays for it: it can be cancelled");
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Voided));
    assert!(shop.world.keeps_nothing());
    let told = shop.world.books(|books| books.calls.contains(&"release_hold"));
    assert!(!told, "shipping does not know of it");
}

/// Two parcels leave at once after a line was called off, and what is promised beyond them is given up; answers how
/// many calls that took.
async fn void_the_rest(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    cancel_lines(&shop, &order_id, 2, 1).await.expect("prepared");
    shop.until(&order_id, |order| order.line_cancels("c-1") == (false, true)).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    shop.hand_over(&order_id, "shp_2", &ALL[2..], 2).await;
    let is_void = |order: &Order| order.rest() == Rest::Voided;
    if crash {
        crash_when_held(&mut shop, &order_id, is_void).await;
    }
    let order = shop.until(&order_id, is_void).await;
    shop.check(&order_id, &order).await;
    assert_eq!((order.label(), order.payment()), (Label::Shipped, Payment::Captured), "{fate:?}");
    let (taken, is_void) = shop.world.books(|books| {
        let funds = &books.payments[&payment_id(&order_id)];
        (funds.taken, funds.rest_void)
    });
    assert_eq!((taken, is_void), (SHIPPED_TOTAL - 99, true), "{fate:?}");
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn what_was_promised_for_lines_called_off_is_given_up_after_the_last_capture() {
    let calls = void_the_rest(None, false).await;
    assert_eq!(calls, 5, "ship and capture, twice; void");
    for number in 1..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            void_the_rest(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            void_the_rest(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn a_rest_that_the_provider_keeps_calls_a_person_until_it_is_given_up() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    cancel_lines(&shop, &order_id, 2, 1).await.expect("prepared");
    shop.until(&order_id, |order| order.line_cancels("c-1") == (false, true)).await;
    shop.world.books(|books| books.unwilling.insert("void"));
    shop.hand_over(&order_id, "shp_1", &[ALL[0], ALL[2]], 1).await;
    let order = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &order).await;
    assert_eq!((order.rest(), order.attention()[0].0.as_ref()), (Rest::Asked, "rest"));
    shop.world.books(|books| books.unwilling.clear());
    let order = shop.until(&order_id, |order| order.rest() == Rest::Voided).await;
    shop.check(&order_id, &order).await;
    assert!(!order.needs_attention());
}

// ---- Parcels that do not arrive ----

async fn resolve(shop: &Shop, order_id: &str, shipment_id: &str) -> Result<pb::Order, Error> {
    decide(shop, order_id, shipment_id, ParcelDecision::Refund).await
}

async fn decide(
    shop: &Shop,
    order_id: &str,
    shipment_id: &str,
    decision: ParcelDecision,
) -> Result<pb::Order, Error> {
    let request = pb::ResolveParcelRequest {
        order_id: order_id.to_owned(),
        shipment_id: shipment_id.to_owned(),
        decision: decision.into(),
        reason: "nothing was found".to_owned(),
    };
    let answer = shop.client().resolve_parcel(shop.cx("stf_2", &["support"]), request).await?;
    Ok(answer.order.expect("set"))
}

/// One of two parcels does not arrive and is refunded; the other arrives. Answers how many calls the refund took.
async fn refund_a_parcel(what: &str, fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    shop.hand_over(&order_id, "shp_2", &ALL[1..], 2).await;
    shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    shop.parcel_is(what, &order_id, "shp_1", 3).await;
    shop.parcel_is("Delivered", &order_id, "shp_2", 4).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    for _ in 0..2 {
        let decided = resolve(&shop, &order_id, "shp_1").await.expect("it can be decided");
        let parcel = &decided.shipments[0];
        assert_eq!(parcel.decision(), ParcelDecision::Refund);
        assert!(!decided.needs_attention && !decided.attention_reasons.contains(&"SHIPMENT_LOST".to_owned()));
    }
    let is_delivered = |order: &Order| *order.status() == Status::Delivered;
    if crash {
        crash_when_held(&mut shop, &order_id, is_delivered).await;
    }
    let order = shop.until(&order_id, is_delivered).await;
    shop.check(&order_id, &order).await;
    // Line 1 costs 500; shipping 300. What comes back is worth a tenth less, and without the shipping.
    let expected = if what == "Lost" { 800 } else { 450 };
    let (given_back, restocked) = shop.world.books(|books| {
        let restocked: u32 = books.restocked.values().flatten().map(|line| line.quantity).sum();
        (books.payments[&payment_id(&order_id)].given_back, restocked)
    });
    assert_eq!((given_back, restocked), (expected, if what == "Lost" { 0 } else { 2 }), "{fate:?}");
    assert_eq!(order.payment(), Payment::PartiallyRefunded);
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn a_parcel_that_does_not_arrive_is_refunded_once_whatever_befalls_the_calls() {
    for (what, calls) in [("Lost", 1), ("ReturnedToSender", 2)] {
        assert_eq!(refund_a_parcel(what, None, false).await, calls, "[restock,] refund");
        for number in 1..=calls {
            for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
                refund_a_parcel(what, Some((number, fate)), false).await;
            }
            for fate in [Fate::HeldBefore, Fate::HeldAfter] {
                refund_a_parcel(what, Some((number, fate)), true).await;
            }
        }
    }
}

/// The only parcel of an order that is paid for is lost.
async fn with_a_lost_parcel(shop: &Shop) -> String {
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    shop.parcel_is("Lost", &order_id, "shp_1", 2).await;
    order_id
}

#[tokio::test]
async fn an_order_that_is_lost_as_a_whole_is_completed_and_a_late_arrival_calls_a_person() {
    let shop = Shop::open().await;
    let order_id = with_a_lost_parcel(&shop).await;
    resolve(&shop, &order_id, "shp_1").await.expect("it can be decided");
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Completed, Payment::Refunded));
    assert_eq!(shop.get(&order_id).await.fulfilment(), OrderFulfilment::Unfulfilled);
    shop.parcel_is("Delivered", &order_id, "shp_1", 3).await;
    let late = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &late).await;
    let shown = shop.get(&order_id).await;
    assert_eq!(shown.attention_reasons, ["LOST_PARCEL_ARRIVED"]);
    assert_eq!((shown.status(), shown.shipments[0].status.as_str()), (OrderStatus::Completed, "DELIVERED"));
    resolve(&shop, &order_id, "shp_1").await.expect("said again");
    assert_eq!(shop.world.books(|books| books.payments[&payment_id(&order_id)].given_back), SHIPPED_TOTAL);
}

#[tokio::test]
async fn a_refund_of_a_parcel_that_is_refused_calls_a_person() {
    let shop = Shop::open().await;
    let order_id = with_a_lost_parcel(&shop).await;
    shop.world.books(|books| books.unwilling.insert("refund"));
    resolve(&shop, &order_id, "shp_1").await.expect("it can be decided");
    let order = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &order).await;
    assert_eq!(shop.get(&order_id).await.attention_reasons, ["ERRAND_STUCK"]);
    assert_eq!((order.label(), order.has_open_return()), (Label::Shipped, true));
}

#[tokio::test]
async fn what_cannot_be_decided_about_a_parcel_is_refused_with_its_reason() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    let reason = |answer: Result<pb::Order, Error>| answer.expect_err("refused").reason().to_owned();
    assert_eq!(reason(resolve(&shop, &order_id, "shp_1").await), "PARCEL_NOT_LOST");
    assert_eq!(reason(resolve(&shop, &order_id, "shp_9").await), "NOT_FOUND");
    let other = order_id.replace("ord_0", "ord_1");
    assert_eq!(reason(resolve(&shop, &other, "shp_1").await), "NOT_FOUND");
    let request = || pb::ResolveParcelRequest {
        order_id: order_id.clone(),
        shipment_id: "shp_1".to_owned(),
        decision: ParcelDecision::Refund.into(),
        reason: "nothing was found".to_owned(),
    };
    for (cx, code) in [
        (shop.guest(), souk_kernel::Code::PermissionDenied),
        (shop.sales(), souk_kernel::Code::PermissionDenied),
    ] {
        assert_eq!(shop.client().resolve_parcel(cx, request()).await.expect_err("not theirs").code(), code);
    }
}

/// A lost parcel is sent again and arrives; answers how many calls its sending took.
async fn send_again(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = with_a_lost_parcel(&shop).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    let is_sent = |order: &Order| order.parcels()[0].is_settled;
    if crash {
        let asked = decide(&shop, &order_id, "shp_1", ParcelDecision::Resend);
        tokio::select! {
            () = shop.world.call_held() => {}
            answer = asked => panic!("nothing was held: {answer:?}"),
        }
        shop.crash_and_restart().await;
    }
    let answer = decide(&shop, &order_id, "shp_1", ParcelDecision::Resend).await.expect("it is lost");
    assert_eq!(answer.shipments[0].decision(), ParcelDecision::Resend);
    let order = shop.until(&order_id, is_sent).await;
    shop.check(&order_id, &order).await;
    let calls = shop.world.books(|books| books.calls.len()) - before;
    let resend_id = order.parcels()[0].resolved.as_ref().and_then(|resolved| resolved.resend_id);
    let resend_id = resend_id.expect("it has a name").to_string();
    let again = souk_contracts::shipping::v1::ShipmentHandedOver {
        order_id: order_id.clone(),
        shipment_id: "shp_2".to_owned(),
        subject: crate::shop::GUEST.to_owned(),
        lines: shop.world.books(|books| {
            let line = |line: &souk_contracts::shipping::v1::FulfilmentLine| {
                souk_contracts::shipping::v1::ShipmentLine {
                    line: line.line,
                    sku: line.sku.clone(),
                    quantity: line.quantity,
                    location: line.location.clone(),
                    title: String::new(),
                }
            };
            books.fulfilments[&resend_id].lines.iter().map(line).collect()
        }),
        carrier: "swift".to_owned(),
        tracking_code: "T-2".to_owned(),
        instead_of: "shp_1".to_owned(),
        resend_id: resend_id.clone(),
    };
    shop.hear("souk.shipping.v1.ShipmentHandedOver", again, 3).await;
    let order = shop.until(&order_id, |order| order.parcels().iter().all(|parcel| parcel.is_paid)).await;
    shop.check(&order_id, &order).await;
    shop.parcel_is("Delivered", &order_id, "shp_2", 4).await;
    let order = shop.until(&order_id, |order| *order.status() == Status::Delivered).await;
    shop.check(&order_id, &order).await;
    assert_eq!(shop.get(&order_id).await.shipments[1].instead_of, "shp_1");
    let (taken, left) = shop.world.books(|books| {
        let left: u32 = books.left[&resend_id].values().flatten().map(|line| line.quantity).sum();
        (books.payments[&payment_id(&order_id)].taken, left)
    });
    assert_eq!((taken, left), (SHIPPED_TOTAL, 4), "for nothing, and out of the stock: {fate:?}");
    calls
}

#[tokio::test]
async fn a_lost_parcel_is_sent_again_for_nothing_whatever_befalls_the_calls() {
    let calls = send_again(None, false).await;
    assert_eq!(calls, 4, "reserve, commit, get_reservation, create_fulfilment");
    for number in 1..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            send_again(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            send_again(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn a_parcel_that_is_not_in_stock_is_not_sent_again_and_can_be_refunded() {
    let shop = Shop::open().await;
    let order_id = with_a_lost_parcel(&shop).await;
    for step in ["reserve", "commit"] {
        shop.world.books(|books| books.unwilling = [step].into());
        let refused = decide(&shop, &order_id, "shp_1", ParcelDecision::Resend).await.expect_err("no stock");
        assert!(["INSUFFICIENT_STOCK", "RESERVATION_EXPIRED"].contains(&refused.reason()), "{refused:?}");
        assert!(!refused.metadata()["skus"].is_empty());
        let order = shop.until(&order_id, Order::needs_attention).await;
        shop.check(&order_id, &order).await;
        assert_eq!(shop.get(&order_id).await.attention_reasons, ["SHIPMENT_LOST"]);
    }
    resolve(&shop, &order_id, "shp_1").await.expect("it is still lost");
    assert_eq!(shop.until_over(&order_id).await.payment(), Payment::Refunded);
}

// ---- Goods that are waited for ----

/// An order of which line 2 is sold before it is there, once shipping would have it.
async fn with_a_backorder(fate: Option<(usize, Fate)>) -> (Shop, String) {
    let shop = Shop::open().await;
    shop.world.books(|books| {
        books.scarce.insert("B".to_owned(), 0);
        books.fates.extend(fate);
    });
    let quote = shop.quote_with(shipped_wish()).await.expect("a quote");
    let request =
        pb::PlaceOrderRequest { partial_policy: pb::PartialPolicy::Backorder.into(), ..acceptance(&quote) };
    let cx = shop.guest().with_key(Arc::from("key-1"));
    let placed = shop.client().place_order(cx, request).await.expect("placed").order.expect("set");
    shop.until(&placed.order_id, |order| *order.status() == Status::Confirmed).await;
    shop.clock.advance_ms(60_000);
    let order = shop.until(&placed.order_id, |order| *order.status() == Status::Processing).await;
    shop.check(&placed.order_id, &order).await;
    (shop, placed.order_id)
}

/// How often inventory was asked whether it is all there.
fn looks(shop: &Shop) -> usize {
    shop.world.books(|books| books.calls.iter().filter(|call| **call == "get_reservation").count())
}

/// A backorder waits for its stock, ships and is paid for.
async fn ship_a_backorder(fate: Option<(usize, Fate)>) {
    let (shop, order_id) = with_a_backorder(fate).await;
    while looks(&shop) < 40 {
        tokio::task::yield_now().await;
    }
    let waiting = shop.until(&order_id, |_| true).await;
    assert!(!waiting.needs_attention() && waiting.fulfil().is_open(), "it waits, and nobody is called");
    let is_told = |shop: &Shop| shop.world.books(|books| books.calls.contains(&"create_fulfilment"));
    assert!(!is_told(&shop), "nothing leaves before all of it is there");
    shop.world.books(|books| books.arrives(&order_id));
    shop.until(&order_id, |order| !order.has_open_saga()).await;
    let lines = shop.world.books(|books| books.fulfilments[&order_id].lines.clone());
    let mut lines: Vec<_> = lines.iter().map(|l| (l.line, l.quantity, l.location.as_str())).collect();
    lines.sort_unstable();
    assert_eq!(lines, [(1, 2, "main"), (2, 1, "main"), (3, 1, "main")]);
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    let order = shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    shop.check(&order_id, &order).await;
    assert!(shop.world.sold(SHIPPED_TOTAL));
}

#[tokio::test]
async fn a_backorder_is_confirmed_waits_for_its_stock_and_then_ships_and_is_paid_for() {
    ship_a_backorder(None).await;
    for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
        for number in 1..=4 {
            ship_a_backorder(Some((number, fate))).await;
        }
    }
}

#[tokio::test]
async fn a_backorder_is_called_off_while_it_waits() {
    let (shop, order_id) = with_a_backorder(None).await;
    shop.cancel(&order_id, "cancel-1").await.expect("nothing of it has left");
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Voided));
    assert!(shop.world.keeps_nothing());
    shop.world.books(|books| books.arrives(&order_id));
    assert!(shop.world.books(|books| !books.held.contains_key(&order_id)), "nobody waits for it any more");
}

#[tokio::test]
async fn a_backorder_that_may_not_be_sold_is_rejected() {
    let shop = Shop::open().await;
    shop.world.books(|books| books.unwilling.insert("reserve"));
    let quote = shop.quote_with(shipped_wish()).await.expect("a quote");
    let request =
        pb::PlaceOrderRequest { partial_policy: pb::PartialPolicy::Backorder.into(), ..acceptance(&quote) };
    let cx = shop.guest().with_key(Arc::from("key-1"));
    let placed = shop.client().place_order(cx, request).await.expect("placed").order.expect("set");
    let over = shop.until_over(&placed.order_id).await;
    assert_eq!((over.label(), over.reason().0), (Label::Rejected, "INSUFFICIENT_STOCK"));
}
