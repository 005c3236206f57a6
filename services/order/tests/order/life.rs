//! An order's life after the sale, on a real store: coupons and rates, parcels and their money, payments that need
//! the customer, parts, holds, lines, and cancels in every phase; with silence, doubles and crashes.
use crate::doubles::{Fate, gbp};
use crate::shop::{GUEST, Shop, acceptance, shipped_wish, wish};
use souk_contracts::order::v1::{self as pb, OrderFulfilment, OrderLabel, OrderPayment, OrderStatus};
use souk_contracts::payment::v1 as payment;
use souk_contracts::terms::{OrderId, PaymentId};
use souk_kernel::{Code, Error, TypeId};
use souk_order::domain::Order;
use souk_order::domain::order::{Label, Payment, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lines of the guest's cart: 500 for line 1, 99 for line 2, 250 for line 3; and 300 for shipping.
pub(crate) const SHIPPED_TOTAL: i64 = 849 + 300;
pub(crate) const ALL: [(u32, &str, u32); 3] = [(1, "A", 2), (2, "B", 1), (3, "A", 1)];

fn key(key: &str) -> Arc<str> {
    Arc::from(key)
}

async fn rich_shop() -> Shop {
    let shop = Shop::open().await;
    shop.world.books(|books| {
        books.tax_percent = 10;
        books.coupons = BTreeMap::from([("TEN".to_owned(), 10)]);
    });
    shop
}

fn rich_wish() -> pb::CreateQuoteRequest {
    pb::CreateQuoteRequest { coupon_codes: vec!["ten".to_owned()], ..shipped_wish() }
}

#[tokio::test]
async fn a_quote_says_what_makes_its_total() {
    let shop = rich_shop().await;
    let quote = shop.quote_with(rich_wish()).await.expect("a quote");
    let minor = |money: &Option<souk_contracts::types::v1::Money>| money.as_ref().expect("set").minor_units;
    assert_eq!((minor(&quote.subtotal), minor(&quote.discount), minor(&quote.shipping)), (849, 10, 300));
    // 10 % of 490, 99, 250 and 300, each rounded down by the double.
    assert_eq!(minor(&quote.tax), 49 + 9 + 25 + 30);
    assert_eq!(minor(&quote.total), 849 - 10 + 49 + 9 + 25 + 300 + 30);
    let of_lines: i64 = quote.lines.iter().map(|line| minor(&line.total)).sum();
    assert_eq!(of_lines + 330, minor(&quote.total), "I-OR-1");
    assert_eq!(
        (quote.rate_id.as_str(), quote.coupon_codes.as_slice()),
        ("rte_1", ["TEN".to_owned()].as_slice())
    );
    let order = shop.place(&quote, "key-1").await.expect("placed");
    assert_eq!((order.total, order.tax, order.rate_id), (quote.total, quote.tax, quote.rate_id));
}

#[tokio::test]
async fn a_quote_is_refused_for_a_coupon_that_does_not_count_and_for_a_rate_that_is_no_longer_there() {
    let shop = Shop::open().await;
    let refused = |request: pb::CreateQuoteRequest| {
        let shop = &shop;
        async move { shop.quote_with(request).await.expect_err("refused") }
    };
    let coupon = refused(pb::CreateQuoteRequest { coupon_codes: vec!["NOPE".into()], ..wish() }).await;
    assert_eq!((coupon.reason(), coupon.metadata()["code"].as_str()), ("COUPON_UNKNOWN", "NOPE"));
    let missing = refused(pb::CreateQuoteRequest { rate_id: "rte_9".into(), ..wish() }).await;
    assert_eq!(missing.code(), Code::NotFound);
    let foreign = refused(pb::CreateQuoteRequest { rate_id: "rte_fr".into(), ..wish() }).await;
    assert_eq!(foreign.fields()[0].field, "rateId");
    shop.clock.advance_ms(1_000_000);
    assert_eq!(refused(shipped_wish()).await.reason(), "RATE_EXPIRED");
}

#[tokio::test]
async fn a_coupon_that_is_used_up_rejects_and_a_free_order_pays_nothing() {
    let shop = rich_shop().await;
    shop.world.books(|books| books.unwilling.insert("redeem"));
    let quote = shop.quote_with(rich_wish()).await.expect("a quote");
    let order_id = shop.place(&quote, "key-1").await.expect("placed").order_id;
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.reason()), (Label::Rejected, ("COUPON_EXHAUSTED", "TEN")));
    assert_eq!(shop.world.books(|books| books.calls.clone()), ["redeem", "release_coupons"]);
    let shop = Shop::open().await;
    shop.world.books(|books| books.coupons = BTreeMap::from([("ALL".to_owned(), 849)]));
    let request = pb::CreateQuoteRequest { coupon_codes: vec!["ALL".into()], ..wish() };
    let quote = shop.quote_with(request).await;
    let order_id = shop.place(&quote.expect("a quote"), "key-1").await.expect("placed").order_id;
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Confirmed, Payment::None));
    assert_eq!(shop.world.books(|books| books.calls.clone()), ["redeem", "reserve", "commit"]);
}

#[tokio::test]
async fn a_plain_sale_makes_the_calls_that_it_always_made() {
    let shop = Shop::open().await;
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    assert_eq!(shop.world.books(|books| books.calls.clone()), ["reserve", "authorize", "commit", "capture"]);
    let stream = souk_eventstore::StreamId::of::<Order>(&order_id);
    let events = shop.store().read_stream(&stream, 0, 100).await.expect("readable");
    assert_eq!(events.len(), 8, "placed, started, four steps, confirmed, completed: {events:?}");
}

/// Two parcels leave one after the other and arrive; every call of the errands has this fate at its turn.
async fn ship_in_two(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    if crash {
        crash_when_held(&mut shop, &order_id, |order| order.parcels()[0].is_paid).await;
    }
    let order = shop.until(&order_id, |order| order.parcels()[0].is_paid).await;
    shop.check(&order_id, &order).await;
    assert_eq!((order.label(), order.payment()), (Label::PartiallyShipped, Payment::PartiallyCaptured));
    shop.hand_over(&order_id, "shp_2", &ALL[1..], 2).await;
    let order = shop.until(&order_id, |order| order.parcels().iter().all(|parcel| parcel.is_paid)).await;
    shop.check(&order_id, &order).await;
    assert_eq!((order.label(), order.payment()), (Label::Shipped, Payment::Captured));
    assert!(shop.world.sold(SHIPPED_TOTAL));
    shop.parcel_is("Delivered", &order_id, "shp_1", 3).await;
    let order = shop.get(&order_id).await;
    assert_eq!((order.status(), order.fulfilment()), (OrderStatus::Shipped, OrderFulfilment::Fulfilled));
    shop.parcel_is("Delivered", &order_id, "shp_2", 4).await;
    let order = shop.until(&order_id, |order| *order.status() == Status::Delivered).await;
    shop.check(&order_id, &order).await;
    shop.clock.advance_ms(30 * 24 * 3_600 * 1_000);
    let over = shop.until_over(&order_id).await;
    assert_eq!(over.label(), Label::Completed);
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn two_parcels_are_booked_out_and_paid_for_one_by_one_whatever_befalls_the_calls() {
    let calls = ship_in_two(None, false).await;
    assert_eq!(calls, 4, "ship and capture, twice");
    for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
        for number in 1..=calls {
            ship_in_two(Some((number, fate)), false).await;
        }
    }
    for fate in [Fate::HeldBefore, Fate::HeldAfter] {
        for number in 1..=2 {
            ship_in_two(Some((number, fate)), true).await;
        }
    }
}

/// Crashes while a call is held, if one is before `done`.
pub(crate) async fn crash_when_held(shop: &mut Shop, order_id: &str, done: impl Fn(&Order) -> bool) {
    let held = tokio::select! {
        () = shop.world.call_held() => true,
        _ = shop.until(order_id, done) => false,
    };
    if held {
        shop.crash_and_restart().await;
    }
}

/// A sale with a coupon, tax and shipping, until shipping has it; answers how many calls that took.
async fn sell_rich(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = rich_shop().await;
    shop.world.books(|books| books.fates.extend(fate));
    let quote = shop.quote_with(rich_wish()).await.expect("a quote");
    let order_id = shop.place(&quote, "key-1").await.expect("placed").order_id;
    let is_confirmed = |order: &Order| *order.status() == Status::Confirmed && !order.has_open_saga();
    if crash {
        crash_when_held(&mut shop, &order_id, is_confirmed).await;
    }
    shop.until(&order_id, is_confirmed).await;
    shop.clock.advance_ms(60_000);
    let has_it = |order: &Order| *order.status() == Status::Processing && !order.has_open_saga();
    if crash {
        crash_when_held(&mut shop, &order_id, has_it).await;
    }
    let order = shop.until(&order_id, has_it).await;
    shop.check(&order_id, &order).await;
    let lines = shop.world.books(|books| books.fulfilments[&order_id].lines.clone());
    let lines: Vec<_> = lines.iter().map(|l| (l.line, l.title.as_str(), l.location.as_str())).collect();
    assert_eq!(lines, [(1, "The A", "main"), (2, "The B", "east"), (3, "The A", "main")]);
    shop.world.books(|books| books.calls.len())
}

#[tokio::test]
async fn a_shipped_sale_survives_every_fate_of_every_call_until_shipping_has_it() {
    let calls = sell_rich(None, false).await;
    assert_eq!(calls, 6, "redeem, reserve, authorize, commit, get_reservation, create_fulfilment");
    for number in 1..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            sell_rich(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            sell_rich(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn others_hear_of_a_parcels_way() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    shop.hand_over(&order_id, "shp_2", &ALL[1..], 2).await;
    for (sequence, shipment) in [(3, "shp_1"), (5, "shp_2")] {
        shop.parcel_is("InTransit", &order_id, shipment, sequence).await;
        shop.parcel_is("Delivered", &order_id, shipment, sequence + 1).await;
    }
    shop.until(&order_id, |order| *order.status() == Status::Delivered).await;
    let feed = shop.store().read_feed(0, 20).await.expect("readable");
    let kinds: Vec<_> = feed.iter().map(|event| event.kind.trim_start_matches("souk.order.v1.")).collect();
    assert_eq!(
        kinds,
        [
            "OrderConfirmed",
            "OrderProcessingStarted",
            "OrderPartiallyShipped",
            "OrderShipped",
            "OrderDelivered"
        ]
    );
    let partly: pb::OrderPartiallyShipped = prost::Message::decode(&*feed[2].data).expect("readable");
    assert_eq!((partly.subject.as_str(), partly.tracking_code.as_str()), (GUEST, "T-shp_1"));
    assert_eq!(partly.amount, Some(gbp(800)), "line 1 and all the shipping");
}

#[tokio::test]
async fn the_same_parcel_heard_twice_is_one() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 2).await;
    shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    assert_eq!(shop.get(&order_id).await.shipments.len(), 1);
    assert!(shop.world.sold(SHIPPED_TOTAL));
}

/// Two parcels leave after the promise of money has expired; answers how many calls that took.
async fn ship_after_expiry(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| {
        books.expired = true;
        books.fates.extend(fate.map(|(number, fate)| (before + number, fate)));
    });
    let all_paid = |order: &Order| order.parcels().iter().all(|parcel| parcel.is_paid);
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    if crash {
        crash_when_held(&mut shop, &order_id, all_paid).await;
    }
    shop.until(&order_id, all_paid).await;
    shop.hand_over(&order_id, "shp_2", &ALL[1..], 2).await;
    let order = shop.until(&order_id, all_paid).await;
    shop.check(&order_id, &order).await;
    assert!(shop.world.sold(SHIPPED_TOTAL));
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn an_expired_promise_of_money_is_asked_for_anew_whatever_befalls_the_calls() {
    let calls = ship_after_expiry(None, false).await;
    assert_eq!(calls, 5 + 2, "ship, capture, get_payment, reauthorize, capture; ship, capture");
    for number in 1..=5 {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            ship_after_expiry(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            ship_after_expiry(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn a_promise_of_money_that_is_refused_holds_the_order() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.world.books(|books| {
        books.expired = true;
        books.unwilling.insert("reauthorize");
    });
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    let order = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &order).await;
    assert_eq!((order.label(), order.payment()), (Label::OnHold, Payment::Failed));
    while shop.world.books(|books| books.fulfilments[&order_id].holds.is_empty()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(shop.get(&order_id).await.attention_reasons, ["CAPTURE_REFUSED"]);
}

#[tokio::test]
async fn a_lost_parcel_calls_a_person_and_support_sees_to_it() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    shop.parcel_is("Lost", &order_id, "shp_1", 2).await;
    let order = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &order).await;
    let request = pb::ReleaseHoldRequest { order_id: order_id.clone(), reason: "sent again".into() };
    let seen_to = shop.client().release_hold(shop.cx("stf_2", &["support"]), request).await;
    assert!(!seen_to.expect("allowed").order.expect("set").needs_attention);
    shop.check(&order_id, &shop.until(&order_id, |order| !order.needs_attention()).await).await;
}

#[tokio::test]
async fn a_dispute_is_heard_of_and_shows() {
    let shop = Shop::open().await;
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    for (sequence, what, payment) in [(1, "Opened", Payment::Disputed), (2, "Won", Payment::Captured)] {
        let message = payment::DisputeWon {
            payment_id: payment_id(&order_id),
            order_id: order_id.clone(),
            subject: GUEST.into(),
            amount: Some(gbp(849)),
            dispute_id: "dsp_1".into(),
        };
        shop.hear_payment(&format!("souk.payment.v1.Dispute{what}"), message, sequence).await;
        let order = shop.until(&order_id, |_| true).await;
        shop.check(&order_id, &order).await;
        assert_eq!(order.payment(), payment);
    }
}

// ---- Cancels ----

/// Cancels in the time to undo; answers how many calls that took.
async fn undo(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = rich_shop().await;
    let quote = shop.quote_with(rich_wish()).await.expect("a quote");
    let order_id = shop.place(&quote, "key-1").await.expect("placed").order_id;
    shop.until(&order_id, |order| *order.status() == Status::Confirmed && !order.has_open_saga()).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
    if crash {
        crash_when_held(&mut shop, &order_id, Order::is_over).await;
    }
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Voided));
    assert!(shop.world.keeps_nothing());
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn a_cancel_in_the_time_to_undo_gives_everything_back_whatever_befalls_the_calls() {
    let calls = undo(None, false).await;
    assert_eq!(calls, 3, "release, void, release_coupons");
    for number in 1..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            undo(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            undo(Some((number, fate)), true).await;
        }
    }
}

/// Cancels an order that shipping has, perhaps after a parcel left; answers how many calls that took.
async fn cancel_processing(has_left: bool, fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| {
        books.fulfilments.entry(order_id.clone()).or_default().has_left = has_left;
        books.fates.extend(fate.map(|(number, fate)| (before + number, fate)));
    });
    shop.cancel(&order_id, "cancel-1").await.expect("shipping is asked");
    let decided = |order: &Order| order.is_over() || order.cancel_refused().is_some();
    if crash {
        crash_when_held(&mut shop, &order_id, decided).await;
    }
    let order = shop.until(&order_id, decided).await;
    shop.check(&order_id, &order).await;
    if has_left {
        assert_eq!((order.label(), order.payment()), (Label::Processing, Payment::Authorized));
        assert_eq!(shop.get(&order_id).await.cancel_refused, "CANCEL_TOO_LATE");
        let again = shop.cancel(&order_id, "cancel-2").await.expect_err("too late");
        assert_eq!((again.reason(), again.metadata()["instead"].as_str()), ("CANCEL_TOO_LATE", "returns"));
        shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
        shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
        assert!(shop.world.sold(SHIPPED_TOTAL), "the order goes on");
    } else {
        assert_eq!((order.label(), order.payment()), (Label::Cancelled, Payment::Voided));
        assert!(shop.world.keeps_nothing());
    }
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn shipping_decides_about_a_cancel_whatever_befalls_the_calls() {
    assert_eq!(cancel_processing(false, None, false).await, 3, "cancel_fulfilment, release, void");
    cancel_processing(true, None, false).await;
    for (has_left, calls) in [(false, 3), (true, 1)] {
        for number in 1..=calls {
            for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
                cancel_processing(has_left, Some((number, fate)), false).await;
            }
            for fate in [Fate::HeldBefore, Fate::HeldAfter] {
                cancel_processing(has_left, Some((number, fate)), true).await;
            }
        }
    }
}

#[tokio::test]
async fn a_cancel_while_shipping_is_being_told_wins_or_loses_as_a_whole() {
    for fate in [Fate::HeldBefore, Fate::HeldAfter] {
        let shop = Shop::open().await;
        let order_id = shop.place_shipped().await.order_id;
        shop.until(&order_id, |order| *order.status() == Status::Confirmed && !order.has_open_saga()).await;
        shop.world.books(|books| books.always.insert("create_fulfilment", fate));
        shop.clock.advance_ms(60_000);
        shop.world.call_held().await;
        shop.cancel(&order_id, "cancel-1").await.expect("it can be cancelled");
        shop.world.books(|books| books.always.clear());
        shop.world.let_go();
        let over = shop.until_over(&order_id).await;
        assert_eq!(over.label(), Label::Cancelled, "{fate:?}");
        assert!(shop.world.keeps_nothing(), "{fate:?}");
    }
}

// ---- The customer's turn ----

pub(crate) fn payment_id(order_id: &str) -> String {
    PaymentId::from_uuid(order_id.parse::<OrderId>().expect("an id").uuid()).to_string()
}

async fn awaiting_payment(shop: &Shop) -> String {
    shop.world.books(|books| books.wants_action = true);
    let order_id = shop.place_shipped().await.order_id;
    let order = shop.until(&order_id, |order| order.label() == Label::AwaitingCustomer).await;
    shop.check(&order_id, &order).await;
    order_id
}

#[tokio::test]
async fn a_payment_that_needs_the_customer_says_where_and_goes_on_when_it_is_heard_of() {
    for authorized in [true, false] {
        let shop = Shop::open().await;
        let order_id = awaiting_payment(&shop).await;
        let seen = shop.get(&order_id).await;
        assert_eq!((seen.status(), seen.payment()), (OrderStatus::AwaitingCustomer, OrderPayment::Pending));
        assert_eq!(
            (seen.label(), seen.action_url.as_str()),
            (OrderLabel::PaymentNeeded, "https://provider.example/act")
        );
        assert_eq!(seen.decide_by.expect("set").seconds, 1_000 + 900);
        assert_eq!(shop.world.books(|books| books.prolonged), 1);
        let (order, payment_id) = (order_id.clone(), payment_id(&order_id));
        if authorized {
            shop.world.books(|books| {
                books.payments.get_mut(&payment_id).expect("asked for").status =
                    payment::PaymentStatus::Authorized;
            });
            let message = payment::PaymentAuthorized {
                payment_id,
                order_id: order,
                subject: GUEST.into(),
                amount: Some(gbp(SHIPPED_TOTAL)),
            };
            shop.hear_payment("souk.payment.v1.PaymentAuthorized", message, 1).await;
            let order = shop.until_processing(&order_id).await;
            shop.check(&order_id, &order).await;
        } else {
            shop.world.books(|books| {
                books.payments.get_mut(&payment_id).expect("asked for").status =
                    payment::PaymentStatus::Declined;
            });
            let code = "action_expired".to_owned();
            let message = payment::PaymentDeclined {
                payment_id,
                order_id: order,
                subject: GUEST.into(),
                code,
                ..payment::PaymentDeclined::default()
            };
            shop.hear_payment("souk.payment.v1.PaymentDeclined", message, 1).await;
            let over = shop.until_over(&order_id).await;
            assert_eq!(
                over.reason(),
                ("CUSTOMER_TOO_LATE", ""),
                "as when the order's own clock strikes first"
            );
            assert!(shop.world.keeps_nothing());
        }
    }
}

#[tokio::test]
async fn a_payment_that_is_never_heard_of_is_found_by_looking_again_and_no_person_is_called() {
    let shop = Shop::open().await;
    let order_id = awaiting_payment(&shop).await;
    let looked = |shop: &Shop| {
        shop.world.books(|books| books.calls.iter().filter(|call| **call == "authorize").count())
    };
    while looked(&shop) < 40 {
        tokio::task::yield_now().await;
    }
    let order = shop.until(&order_id, |_| true).await;
    assert!(!order.needs_attention() && order.label() == Label::AwaitingCustomer);
    shop.world.books(|books| {
        let funds = books.payments.get_mut(&payment_id(&order_id)).expect("asked for");
        funds.status = payment::PaymentStatus::Authorized;
    });
    shop.until_processing(&order_id).await;
}

#[tokio::test]
async fn a_customer_who_does_not_act_in_time_gets_nothing_and_keeps_everything() {
    let shop = Shop::open().await;
    let order_id = awaiting_payment(&shop).await;
    shop.clock.advance_ms(900_000);
    let over = shop.until_over(&order_id).await;
    assert_eq!((over.label(), over.reason().0), (Label::Rejected, "CUSTOMER_TOO_LATE"));
    assert!(shop.world.keeps_nothing());
    // The customer acts after all: payment has a tombstone, and the order stays what it is.
    let message = payment::PaymentAuthorized {
        payment_id: payment_id(&order_id),
        order_id: order_id.clone(),
        ..payment::PaymentAuthorized::default()
    };
    shop.hear_payment("souk.payment.v1.PaymentAuthorized", message, 1).await;
    assert_eq!(shop.get(&order_id).await.status(), OrderStatus::Rejected);
}

async fn placed_in_part(shop: &Shop) -> pb::Order {
    shop.world.books(|books| {
        books.scarce = BTreeMap::from([("A".to_owned(), 1), ("B".to_owned(), 0)]);
    });
    let quote = shop.quote_with(shipped_wish()).await.expect("a quote");
    let request = pb::PlaceOrderRequest {
        partial_policy: pb::PartialPolicy::ShipAvailable.into(),
        ..acceptance(&quote)
    };
    let cx = shop.guest().with_key(key("key-1"));
    shop.client().place_order(cx, request).await.expect("placed").order.expect("set")
}

async fn confirm(shop: &Shop, order_id: &str, accept: bool) -> Result<pb::Order, Error> {
    let request = pb::ConfirmPartialRequest { order_id: order_id.to_owned(), accept };
    Ok(shop.client().confirm_partial(shop.guest(), request).await?.order.expect("set"))
}

#[tokio::test]
async fn what_there_is_of_an_order_is_offered_at_its_own_price_and_sold_when_accepted() {
    let shop = Shop::open().await;
    let order_id = placed_in_part(&shop).await.order_id;
    shop.until(&order_id, |order| order.label() == Label::AwaitingCustomer).await;
    let asked = shop.get(&order_id).await;
    let offered = asked.remainder.expect("offered");
    let lines: Vec<_> = offered.lines.iter().map(|line| (line.line, line.quantity)).collect();
    assert_eq!((lines, offered.total.clone()), (vec![(1, 1), (3, 1)], Some(gbp(500 + 300))));
    assert_eq!((asked.total, asked.label), (Some(gbp(SHIPPED_TOTAL)), OrderLabel::AnswerNeeded as i32));
    confirm(&shop, &order_id, true).await.expect("in time");
    confirm(&shop, &order_id, true).await.expect("said twice");
    let order = shop.until_processing(&order_id).await;
    shop.check(&order_id, &order).await;
    assert_eq!(shop.get(&order_id).await.total, offered.total);
    shop.hand_over(&order_id, "shp_1", &[(1, "A", 1), (3, "A", 1)], 1).await;
    let order = shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    shop.check(&order_id, &order).await;
    assert!(shop.world.sold(800));
}

#[tokio::test]
async fn a_part_that_is_refused_or_not_answered_is_given_back() {
    for answers in [true, false] {
        let shop = Shop::open().await;
        let order_id = placed_in_part(&shop).await.order_id;
        shop.until(&order_id, |order| order.label() == Label::AwaitingCustomer).await;
        if answers {
            confirm(&shop, &order_id, false).await.expect("in time");
        } else {
            shop.clock.advance_ms(900_000);
        }
        let over = shop.until_over(&order_id).await;
        let reason = if answers { "PARTIAL_REFUSED" } else { "CUSTOMER_TOO_LATE" };
        assert_eq!((over.label(), over.reason().0), (Label::Rejected, reason));
        assert!(shop.world.keeps_nothing());
        assert_eq!(confirm(&shop, &order_id, true).await.expect_err("over").reason(), "NOTHING_TO_CONFIRM");
    }
}

// ---- Staff ----

#[tokio::test]
async fn a_hold_reaches_shipping_and_ends_when_it_is_released() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.world.books(|books| books.always.insert("hold_fulfilment", Fate::RequestLost));
    let request = pb::HoldOrderRequest { order_id: order_id.clone(), reason: "looks odd".into() };
    let guest = shop.client().hold_order(shop.guest(), request.clone()).await.expect_err("not for customers");
    assert_eq!(guest.code(), Code::PermissionDenied);
    let held = shop.client().hold_order(shop.cx("stf_2", &["support"]), request).await.expect("allowed");
    assert_eq!(held.order.expect("set").status(), OrderStatus::OnHold);
    let request = pb::ReleaseHoldRequest { order_id: order_id.clone(), reason: "it is fine".into() };
    shop.client().release_hold(shop.cx("stf_2", &["support"]), request).await.expect("allowed");
    shop.world.books(|books| books.always.clear());
    let settled = |shop: &Shop| {
        shop.world.books(|books| {
            let floor = &books.fulfilments[&order_id];
            floor.holds.len() == 1 && floor.holds == floor.released_holds
        })
    };
    while !settled(&shop) {
        tokio::task::yield_now().await;
    }
    assert_eq!(shop.get(&order_id).await.status(), OrderStatus::Processing);
}

#[tokio::test]
async fn staff_sees_an_order_as_it_was() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    let as_of = |cx, seconds| {
        let client = shop.client();
        let time = Some(souk_rpc::time::to_proto(souk_kernel::Timestamp::from_unix_s(seconds)));
        let request = pb::GetOrderAsOfRequest { order_id: order_id.clone(), time };
        async move { client.get_order_as_of(cx, request).await.map(|answer| answer.order.expect("set")) }
    };
    let support = || shop.cx("stf_2", &["support"]);
    assert_eq!(as_of(support(), 1_000).await.expect("there").status(), OrderStatus::Confirmed);
    assert_eq!(as_of(support(), 1_060).await.expect("there").status(), OrderStatus::Processing);
    assert_eq!(as_of(support(), 999).await.expect_err("not yet").code(), Code::NotFound);
    assert_eq!(as_of(shop.guest(), 1_060).await.expect_err("staff only").code(), Code::PermissionDenied);
}

// ---- Lines ----

pub(crate) async fn cancel_lines(
    shop: &Shop,
    order_id: &str,
    line: u32,
    quantity: u32,
) -> Result<pb::Order, Error> {
    let request = pb::CancelLinesRequest {
        order_id: order_id.to_owned(),
        cancel_id: "c-1".to_owned(),
        lines: vec![pb::OrderPieces { line, quantity }],
    };
    Ok(shop.client().cancel_lines(shop.guest(), request).await?.order.expect("set"))
}

/// Calls a line off, and ships the rest; answers how many calls that took.
async fn call_a_line_off(has_left: bool, fate: Option<(usize, Fate)>) -> usize {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| {
        books.fulfilments.entry(order_id.clone()).or_default().has_left = has_left;
        books.fates.extend(fate.map(|(number, fate)| (before + number, fate)));
    });
    for _ in 0..2 {
        cancel_lines(&shop, &order_id, 2, 1).await.expect("prepared");
    }
    let order = shop.until(&order_id, |order| order.line_cancels("c-1") == (false, true)).await;
    shop.check(&order_id, &order).await;
    let calls = shop.world.books(|books| books.calls.len()) - before;
    let total = if has_left { SHIPPED_TOTAL } else { SHIPPED_TOTAL - 99 };
    assert_eq!(shop.get(&order_id).await.total, Some(gbp(total)));
    let rest = if has_left { ALL.to_vec() } else { vec![ALL[0], ALL[2]] };
    shop.hand_over(&order_id, "shp_1", &rest, 1).await;
    let order = shop.until(&order_id, |order| order.payment() == Payment::Captured).await;
    shop.check(&order_id, &order).await;
    assert_eq!(order.label(), Label::Shipped);
    assert_eq!(shop.world.books(|books| books.payments[&payment_id(&order_id)].taken), total);
    calls
}

#[tokio::test]
async fn lines_are_called_off_or_not_whatever_befalls_the_calls() {
    assert_eq!(call_a_line_off(false, None).await, 2, "cancel_fulfilment, release");
    assert_eq!(call_a_line_off(true, None).await, 1, "cancel_fulfilment");
    for (has_left, calls) in [(false, 2), (true, 1)] {
        for number in 1..=calls {
            for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
                call_a_line_off(has_left, Some((number, fate))).await;
            }
        }
    }
}
