//! Pieces that come back, on a real store: over the counter and by parcel, with everything that may befall the
//! calls, and with everybody who is not in time.
use crate::doubles::{Fate, gbp};
use crate::shop::{GUEST, Shop, TOTAL};
use prost::Message;
use souk_bus::Reactor;
use souk_contracts::order::v1::{
    self as pb, GradedLine, OrderFulfilment, OrderPayment, ReturnGrade, ReturnLine, ReturnReason,
    ReturnStatus, ReturnWish,
};
use souk_contracts::payment::v1 as payment;
use souk_contracts::shipping::v1 as shipping;
use souk_contracts::terms::{OrderId, PaymentId};
use souk_eventstore::{InboxMark, StreamId};
use souk_kernel::{Code, Error, TypeId};
use souk_order::domain::Order;
use souk_order::domain::order::Status;
use souk_order::domain::returns::Return;
use souk_order::reactions::ReturnParcels;
use souk_rpc::feed::FeedEvent;
use std::sync::Arc;
use std::time::Duration;

pub const DAY_MS: i64 = 24 * 3_600 * 1_000;
pub const ALL: [(u32, &str, u32); 3] = [(1, "A", 2), (2, "B", 1), (3, "A", 1)];

pub fn graded(line: u32, quantity: u32, grade: ReturnGrade) -> GradedLine {
    GradedLine { line, quantity, grade: grade.into() }
}

pub fn wanted(line: u32, quantity: u32, reason: ReturnReason) -> ReturnLine {
    ReturnLine { line, quantity, reason: reason.into() }
}

/// Goods of an order over the counter.
pub fn told(order_id: &str, external_ref: &str, lines: &[GradedLine]) -> pb::RecordReturnRequest {
    pb::RecordReturnRequest {
        external_ref: external_ref.to_owned(),
        order_id: order_id.to_owned(),
        lines: lines.to_vec(),
        reason: ReturnReason::Unwanted.into(),
    }
}

pub async fn record(shop: &Shop, request: pb::RecordReturnRequest) -> Result<pb::Return, Error> {
    let cx = shop.sales().with_wait(Some(Duration::from_secs(20)));
    Ok(shop.client().record_return(cx, request).await?.r#return.expect("set"))
}

pub async fn request(
    shop: &Shop,
    order_id: &str,
    key: &str,
    lines: &[ReturnLine],
) -> Result<pb::Return, Error> {
    let request = pb::RequestReturnRequest {
        order_id: order_id.to_owned(),
        lines: lines.to_vec(),
        wish: ReturnWish::Unspecified.into(),
        replacements: Vec::new(),
    };
    let cx = shop.guest().with_key(Arc::from(key));
    Ok(shop.client().request_return(cx, request).await?.r#return.expect("set"))
}

pub async fn get(shop: &Shop, return_id: &str) -> pb::Return {
    let request = pb::GetReturnRequest { return_id: return_id.to_owned() };
    shop.client().get_return(shop.guest(), request).await.expect("there").r#return.expect("set")
}

pub async fn approve(shop: &Shop, return_id: &str, free_label: bool) -> pb::Return {
    let request = pb::ApproveReturnRequest { return_id: return_id.to_owned(), free_label };
    shop.client().approve_return(shop.sales(), request).await.expect("approved").r#return.expect("set")
}

pub async fn inspect(shop: &Shop, return_id: &str, lines: &[GradedLine]) -> Result<pb::Return, Error> {
    let request =
        pb::InspectReturnRequest { return_id: return_id.to_owned(), lines: lines.to_vec(), fees: None };
    let cx = shop.sales().with_wait(Some(Duration::from_secs(20)));
    Ok(shop.client().inspect_return(cx, request).await?.r#return.expect("set"))
}

/// The return's state once `done` says so.
pub async fn until(shop: &Shop, return_id: &str, done: impl Fn(&Return) -> bool) -> Return {
    let stream = StreamId::parse(&format!("return/{return_id}")).expect("a stream");
    let store = shop.store().clone();
    let mut head = store.head();
    let wait = async {
        loop {
            head.borrow_and_update();
            let back = store.state::<Return>(&stream).await.expect("readable");
            if done(&back) {
                return back.state().clone();
            }
            head.changed().await.expect("the store is open");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it moves")
}

/// A sale that ships nothing, paid.
pub async fn sold(shop: &Shop) -> String {
    let order_id = shop.place_new().await.order_id;
    shop.until_over(&order_id).await;
    order_id
}

/// A sale that was shipped in one parcel, paid and delivered.
pub async fn delivered(shop: &Shop) -> String {
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.until(&order_id, |order| order.parcels().iter().all(|parcel| parcel.is_paid)).await;
    shop.parcel_is("Delivered", &order_id, "shp_1", 2).await;
    let order = shop.until(&order_id, |order| *order.status() == Status::Delivered).await;
    shop.check(&order_id, &order).await;
    order_id
}

pub async fn checked(shop: &Shop, order_id: &str) -> pb::Order {
    let order = shop.until(order_id, |order| !order.has_open_return()).await;
    shop.check(order_id, &order).await;
    shop.get(order_id).await
}

pub fn given_back(shop: &Shop) -> i64 {
    shop.world.books(|books| books.payments.values().map(|funds| funds.given_back).sum())
}

#[tokio::test]
async fn goods_over_the_counter_are_booked_and_refunded_by_two_calls() {
    let shop = Shop::open().await;
    let order_id = sold(&shop).await;
    let before = shop.world.books(|books| books.calls.len());
    let request = told(&order_id, "R-1", &[graded(1, 1, ReturnGrade::A), graded(2, 1, ReturnGrade::B)]);
    let back = record(&shop, request.clone()).await.expect("recorded");
    assert_eq!((back.status(), back.refund.clone()), (ReturnStatus::Refunded, Some(gbp(250 + 99))));
    assert_eq!((back.external_ref.as_str(), back.subject.as_str()), ("R-1", GUEST));
    assert_eq!(shop.world.books(|books| books.calls[before..].to_vec()), ["release", "refund"]);
    assert_eq!(given_back(&shop), 349);
    let held = shop.world.books(|books| books.held[&order_id].clone());
    let held: Vec<_> = held.iter().map(|line| (line.line, line.quantity)).collect();
    assert_eq!(held, [(1, 1), (2, 1), (3, 1)], "what cannot be sold again stays where nobody is sold it");
    let order = checked(&shop, &order_id).await;
    assert_eq!(
        (order.payment(), order.fulfilment()),
        (OrderPayment::PartiallyRefunded, OrderFulfilment::PartiallyReturned)
    );
    assert_eq!(record(&shop, request).await.expect("said twice"), back);
    let other = told(&order_id, "R-1", &[graded(1, 1, ReturnGrade::A)]);
    assert_eq!(record(&shop, other).await.expect_err("something else").reason(), "EXTERNAL_REF_TAKEN");
    let rest = [graded(1, 1, ReturnGrade::A), graded(3, 1, ReturnGrade::Damaged)];
    record(&shop, told(&order_id, "R-2", &rest)).await.expect("the rest");
    let order = checked(&shop, &order_id).await;
    assert_eq!((order.payment(), order.fulfilment()), (OrderPayment::Refunded, OrderFulfilment::Returned));
    assert_eq!(given_back(&shop), TOTAL);
    let more = told(&order_id, "R-3", &[graded(1, 1, ReturnGrade::A)]);
    assert_eq!(record(&shop, more).await.expect_err("all back").reason(), "RETURN_EXCEEDS_DELIVERED");
    let refused = shop.cancel(&order_id, "cancel-1").await.expect_err("it came back");
    assert_eq!(refused.reason(), "CANCEL_TOO_LATE");
    let list = pb::ListReturnsRequest { order_id: order_id.clone() };
    let list = shop.client().list_returns(shop.guest(), list).await.expect("listed").returns;
    assert_eq!(list.iter().map(|back| back.external_ref.as_str()).collect::<Vec<_>>(), ["R-1", "R-2"]);
}

#[tokio::test]
async fn the_same_goods_told_at_once_come_back_once() {
    let shop = Shop::open().await;
    let order_id = sold(&shop).await;
    let lines = [graded(1, 2, ReturnGrade::A)];
    let (one, two) = (told(&order_id, "R-1", &lines), told(&order_id, "R-2", &lines));
    let (one, again, two) = tokio::join!(record(&shop, one.clone()), record(&shop, one), record(&shop, two));
    assert_eq!(one.is_ok(), again.is_ok());
    assert_ne!(one.is_ok(), two.is_ok(), "one winner");
    let lost = [one, two].into_iter().find_map(Result::err).expect("a loser");
    assert_eq!(lost.reason(), "RETURN_EXCEEDS_DELIVERED");
    checked(&shop, &order_id).await;
    assert_eq!(given_back(&shop), 500);
}

/// Goods over the counter of a shipped order, with this fate of one of the calls.
async fn counter_with(fate: Option<(usize, Fate)>, crash: bool) -> usize {
    let mut shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let before = shop.world.books(|books| books.calls.len());
    shop.world.books(|books| books.fates.extend(fate.map(|(number, fate)| (before + number, fate))));
    let lines =
        [graded(1, 1, ReturnGrade::A), graded(1, 1, ReturnGrade::Damaged), graded(2, 1, ReturnGrade::B)];
    let request = told(&order_id, "R-1", &lines);
    let cx = shop.sales();
    let back = shop.client().record_return(cx, request.clone()).await.expect("recorded").r#return;
    if crash {
        shop.world.call_held().await;
        shop.crash_and_restart().await;
    }
    let back = back.expect("set");
    let end = until(&shop, &back.return_id, |back| back.status().is_some_and(|s| s.is_settled())).await;
    assert!(!end.needs_attention());
    let again = record(&shop, request).await.expect("said twice");
    assert_eq!((again.return_id, again.refund), (back.return_id.clone(), Some(gbp(599))));
    checked(&shop, &order_id).await;
    assert_eq!(given_back(&shop), 599);
    let restocked = shop.world.books(|books| books.restocked[&back.return_id].clone());
    let restocked: Vec<_> =
        restocked.iter().map(|l| (l.line, l.quantity, l.location.as_str(), l.grade)).collect();
    assert_eq!(restocked, [(1, 1, "main", 1), (1, 1, "main", 3), (2, 1, "east", 2)]);
    shop.world.books(|books| books.calls.len()) - before
}

#[tokio::test]
async fn stock_and_money_of_a_return_move_once_whatever_befalls_the_calls() {
    let calls = counter_with(None, false).await;
    assert_eq!(calls, 2);
    for number in 1..=calls {
        for fate in [Fate::RequestLost, Fate::AnswerLost, Fate::Doubled] {
            counter_with(Some((number, fate)), false).await;
        }
        for fate in [Fate::HeldBefore, Fate::HeldAfter] {
            counter_with(Some((number, fate)), true).await;
        }
    }
}

#[tokio::test]
async fn a_refund_that_takes_its_time_is_waited_for_and_one_that_fails_calls_a_person() {
    let shop = Shop::open().await;
    let order_id = sold(&shop).await;
    shop.world.books(|books| books.refund_outcome = Some(payment::RefundStatus::Pending));
    let request = told(&order_id, "R-1", &[graded(2, 1, ReturnGrade::A)]);
    let back = shop.client().record_return(shop.sales(), request).await.expect("recorded");
    let return_id = back.r#return.expect("set").return_id;
    until(&shop, &return_id, |back| back.settle().is_done("restock")).await;
    assert_eq!(get(&shop, &return_id).await.status(), ReturnStatus::Refunding);
    shop.world.books(|books| books.refund_outcome = None);
    until(&shop, &return_id, |back| back.status().is_some_and(|s| s.is_settled())).await;
    shop.world.books(|books| books.refund_outcome = Some(payment::RefundStatus::Failed));
    let failed = record(&shop, told(&order_id, "R-2", &[graded(3, 1, ReturnGrade::A)])).await.expect("told");
    assert!(failed.needs_attention);
    assert_eq!(failed.status(), ReturnStatus::Refunding);
    let order = shop.until(&order_id, Order::needs_attention).await;
    shop.check(&order_id, &order).await;
    assert_eq!(given_back(&shop), 99);
}

#[tokio::test]
async fn what_the_bank_wants_back_is_not_refunded_until_it_is_settled() {
    let shop = Shop::open().await;
    let order_id = sold(&shop).await;
    let dispute = |order_id: &str| payment::DisputeOpened {
        payment_id: PaymentId::from_uuid(order_id.parse::<OrderId>().expect("an id").uuid()).to_string(),
        order_id: order_id.to_owned(),
        subject: GUEST.to_owned(),
        amount: Some(gbp(TOTAL)),
        dispute_id: "dsp_1".to_owned(),
        reason: String::new(),
    };
    shop.hear_payment("souk.payment.v1.DisputeOpened", dispute(&order_id), 1).await;
    let request = told(&order_id, "R-1", &[graded(2, 1, ReturnGrade::A)]);
    let back = shop.client().record_return(shop.sales(), request).await.expect("recorded");
    let return_id = back.r#return.expect("set").return_id;
    let back = until(&shop, &return_id, |back| back.settle().is_done("restock")).await;
    assert!(!back.needs_attention());
    assert_eq!(given_back(&shop), 0);
    shop.hear_payment("souk.payment.v1.DisputeWon", dispute(&order_id), 2).await;
    until(&shop, &return_id, |back| back.status().is_some_and(|s| s.is_settled())).await;
    assert_eq!(given_back(&shop), 99);
}

pub async fn hear_arrival(shop: &Shop, back: &pb::Return) {
    let message = shipping::ReturnParcelArrived {
        return_id: back.return_id.clone(),
        order_id: back.order_id.clone(),
        subject: GUEST.to_owned(),
    };
    let event = FeedEvent {
        source: "shipping".to_owned(),
        stream: "returns".to_owned(),
        public_seq: 1,
        kind: "souk.shipping.v1.ReturnParcelArrived".to_owned(),
        id: "arrival".to_owned(),
        data: message.encode_to_vec().into(),
        ..FeedEvent::default()
    };
    let mark = InboxMark {
        reaction: ReturnParcels.name().into(),
        source: "shipping".into(),
        stream: "returns".into(),
        sequence: 1,
    };
    let work = ReturnParcels.work(&event, mark).expect("no poison");
    shop.store().commit(work).await.expect("applied");
}

#[tokio::test]
async fn a_customer_sends_a_broken_piece_back_with_a_label_and_gets_shipping_too() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let lines = [wanted(1, 2, ReturnReason::Damaged)];
    let back = request(&shop, &order_id, "k-1", &lines).await.expect("asked for");
    assert_eq!(back.status(), ReturnStatus::Requested);
    assert_eq!(request(&shop, &order_id, "k-1", &lines).await.expect("said twice"), back);
    let other = request(&shop, &order_id, "k-1", &[wanted(2, 1, ReturnReason::Unwanted)]).await;
    assert_eq!(other.expect_err("another request").reason(), "IDEMPOTENCY_KEY_REUSED");
    let twice = request(&shop, &order_id, "k-2", &[wanted(1, 1, ReturnReason::Unwanted)]).await;
    assert_eq!(twice.expect_err("the same piece").reason(), "RETURN_EXCEEDS_DELIVERED");
    approve(&shop, &back.return_id, false).await;
    until(&shop, &back.return_id, |back| back.label().is_some()).await;
    let labelled = get(&shop, &back.return_id).await;
    assert_eq!((labelled.status(), labelled.tracking_code.as_str()), (ReturnStatus::LabelIssued, "BACK-1"));
    hear_arrival(&shop, &back).await;
    assert_eq!(get(&shop, &back.return_id).await.status(), ReturnStatus::Received);
    let too_much = inspect(&shop, &back.return_id, &[graded(1, 3, ReturnGrade::A)]).await;
    assert_eq!(too_much.expect_err("more than asked").reason(), "NOT_IN_RETURN");
    // One of the two is something else: that one is not paid for, and may still come.
    let found = [graded(1, 1, ReturnGrade::Damaged), graded(1, 1, ReturnGrade::Missing)];
    let seen = inspect(&shop, &back.return_id, &found).await.expect("looked at");
    assert_eq!((seen.status(), seen.refund), (ReturnStatus::Refunded, Some(gbp(250 + 300))));
    assert_eq!(seen.shipping_refund, Some(gbp(300)));
    let order = checked(&shop, &order_id).await;
    assert_eq!(order.fulfilment(), OrderFulfilment::PartiallyReturned);
    assert_eq!(given_back(&shop), 550);
    let rest = [graded(1, 1, ReturnGrade::A), graded(2, 1, ReturnGrade::A), graded(3, 1, ReturnGrade::A)];
    let rest = record(&shop, told(&order_id, "R-1", &rest)).await.expect("the rest");
    assert_eq!(rest.refund, Some(gbp(599)), "shipping is refunded once");
    let order = checked(&shop, &order_id).await;
    assert_eq!((order.payment(), order.fulfilment()), (OrderPayment::Refunded, OrderFulfilment::Returned));
}

#[tokio::test]
async fn two_requests_for_the_same_piece_have_one_winner() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let lines = [wanted(2, 1, ReturnReason::Unwanted)];
    let (one, two) =
        tokio::join!(request(&shop, &order_id, "k-1", &lines), request(&shop, &order_id, "k-2", &lines));
    assert_ne!(one.is_ok(), two.is_ok());
    let lost = [one.as_ref(), two.as_ref()].into_iter().find_map(Result::err).expect("a loser");
    assert_eq!(lost.reason(), "RETURN_EXCEEDS_DELIVERED");
    // Once it is given up, the piece is free again.
    let won = one.or(two).expect("a winner");
    let cancel = pb::CancelReturnRequest { return_id: won.return_id.clone() };
    let foreign = shop.client().cancel_return(shop.cx("gst_2", &[]), cancel.clone()).await;
    assert_eq!(foreign.expect_err("not theirs").code(), Code::NotFound);
    let cancelled = shop.client().cancel_return(shop.guest(), cancel).await.expect("cancelled");
    assert_eq!(cancelled.r#return.expect("set").status(), ReturnStatus::Cancelled);
    request(&shop, &order_id, "k-3", &lines).await.expect("asked anew");
}

#[tokio::test]
async fn what_never_arrives_expires_and_its_label_is_voided() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let back =
        request(&shop, &order_id, "k-1", &[wanted(3, 1, ReturnReason::Unwanted)]).await.expect("asked");
    approve(&shop, &back.return_id, true).await;
    until(&shop, &back.return_id, |back| back.label().is_some()).await;
    shop.clock.advance_ms(21 * DAY_MS);
    until(&shop, &back.return_id, |back| {
        back.status() == Some(souk_order::domain::returns::Status::Expired) && back.voiding().is_done("void")
    })
    .await;
    assert!(!shop.world.books(|books| books.labels[&back.return_id]));
    let late = inspect(&shop, &back.return_id, &[graded(3, 1, ReturnGrade::A)]).await.expect_err("too late");
    assert_eq!((late.reason(), late.metadata()["status"].as_str()), ("RETURN_NOT_OPEN", "EXPIRED"));
    checked(&shop, &order_id).await;
    // The time for returns ends nine days later, and nothing is open any more.
    shop.clock.advance_ms(9 * DAY_MS);
    shop.until(&order_id, |order| *order.status() == Status::Completed).await;
    let late = request(&shop, &order_id, "k-2", &[wanted(3, 1, ReturnReason::Unwanted)]).await;
    assert_eq!(late.expect_err("over").reason(), "RETURN_WINDOW_OVER");
    request(&shop, &order_id, "k-3", &[wanted(3, 1, ReturnReason::WrongItem)]).await.expect("ninety days");
}

#[tokio::test]
async fn an_order_with_a_return_under_way_is_completed_later() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    shop.clock.advance_ms(29 * DAY_MS);
    let back =
        request(&shop, &order_id, "k-1", &[wanted(2, 1, ReturnReason::Unwanted)]).await.expect("asked");
    approve(&shop, &back.return_id, false).await;
    shop.clock.advance_ms(2 * DAY_MS);
    let store = shop.store().clone();
    let due = shop.store().now().plus(Duration::from_secs(3_600));
    while store.next_timer_due().await.expect("readable").is_none_or(|next| next <= due) {
        tokio::task::yield_now().await;
    }
    let order = shop.get(&order_id).await;
    assert_eq!(order.status(), pb::OrderStatus::Delivered, "not while something is on its way back");
    inspect(&shop, &back.return_id, &[graded(2, 1, ReturnGrade::A)]).await.expect("looked at");
    shop.clock.advance_ms(DAY_MS);
    shop.until(&order_id, |order| *order.status() == Status::Completed).await;
    checked(&shop, &order_id).await;
}

#[tokio::test]
async fn what_has_not_arrived_or_is_not_offered_is_refused() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL[..1], 1).await;
    let lines = [wanted(1, 1, ReturnReason::Unwanted)];
    let early = request(&shop, &order_id, "k-1", &lines).await.expect_err("on its way");
    assert_eq!((early.reason(), early.metadata()["line"].as_str()), ("NOT_DELIVERED", "1"));
    let early = record(&shop, told(&order_id, "R-1", &[graded(1, 1, ReturnGrade::A)])).await;
    assert_eq!(early.expect_err("on its way").reason(), "NOT_DELIVERED");
    let credit = pb::RequestReturnRequest {
        order_id: order_id.clone(),
        lines: lines.to_vec(),
        wish: ReturnWish::Credit.into(),
        replacements: Vec::new(),
    };
    let cx = shop.guest().with_key(Arc::from("k-2"));
    let refused = shop.client().request_return(cx, credit).await.expect_err("not offered");
    assert_eq!(refused.reason(), "NOT_OFFERED");
    let foreign = pb::ListReturnsRequest { order_id: order_id.clone() };
    let foreign = shop.client().list_returns(shop.cx("gst_2", &[]), foreign).await;
    assert_eq!(foreign.expect_err("not theirs").code(), Code::NotFound);
}

#[tokio::test]
async fn nothing_in_the_box_is_nothing_paid() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let back = request(&shop, &order_id, "k-1", &[wanted(2, 1, ReturnReason::Damaged)]).await.expect("asked");
    approve(&shop, &back.return_id, false).await;
    let seen = inspect(&shop, &back.return_id, &[graded(2, 1, ReturnGrade::Missing)]).await.expect("seen");
    assert_eq!((seen.status(), seen.refund), (ReturnStatus::Declined, Some(gbp(0))));
    let order = checked(&shop, &order_id).await;
    assert_eq!(order.fulfilment(), OrderFulfilment::Fulfilled);
    let back =
        request(&shop, &order_id, "k-2", &[wanted(2, 1, ReturnReason::Unwanted)]).await.expect("again");
    let no = pb::RejectReturnRequest { return_id: back.return_id.clone(), reason: "worn".to_owned() };
    let rejected = shop.client().reject_return(shop.sales(), no).await.expect("rejected").r#return;
    let rejected = rejected.expect("set");
    assert_eq!((rejected.status(), rejected.reason.as_str()), (ReturnStatus::Rejected, "worn"));
    assert_eq!(given_back(&shop), 0);
}
