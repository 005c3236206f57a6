//! What may come back, what it is worth, and what may be done to a return; and every stored shape.
use super::*;
use crate::domain::order::{
    GoodsReturned, Lines, Order, OrderEvent, ParcelMoved, ParcelPaid, ParcelShipped, Pieces, ReturnClosed,
    ReturnOpened, ReturnRefunded, ShippedLine, Whereabouts,
};
use crate::domain::quote::QuoteCreated;
use crate::domain::samples::{at, customer, gbp, of_cart, offer, order_id};
use crate::domain::{Delivery, Line, Terms, order, sum};
use crate::invariants::returns_fit;
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_decider::fold;
use souk_kernel::{Money, TypeId, Uuid};
use souk_saga::{Outcome, Standing};
use std::collections::BTreeMap;

mod exchange;
pub(crate) use exchange::offer as exchange_offer;

fn rtn(number: u8) -> ReturnId {
    ReturnId::from_uuid(Uuid::v7(9, [number; 10]))
}

fn pieces_of(quantity: u32) -> Quantity {
    Quantity::try_new(quantity).expect("valid")
}

/// Three pieces for 10.00 less 0.01, and one for 0.99; shipping 2.40 with its tax; all of it delivered and paid.
fn delivered() -> Order {
    let terms = Terms {
        shipping_minor: 200,
        shipping_tax_minor: 40,
        delivery: Some(Delivery { rate_id: "rte_1".into(), country: "GB".into(), region: "".into() }),
        ..Terms::default()
    };
    let plain = offer(of_cart());
    let lines = [(3, 334, 3), (1, 99, 0)].into_iter().zip(plain.lines.iter());
    let lines: Vec<Line> = lines
        .map(|((quantity, unit_minor, discount_minor), line)| Line {
            quantity: pieces_of(quantity),
            unit_minor,
            discount_minor,
            ..line.clone()
        })
        .collect();
    let total = sum(&lines, Some(&terms), gbp()).expect("small");
    assert_eq!(total.minor_units(), 999 + 99 + 240);
    let offer = QuoteCreated { lines: lines.into(), total, terms: Some(Arc::new(terms)), ..(*plain).clone() };
    let place = order::Place {
        order_id: order_id(),
        placed_by: "gst_1".into(),
        payment_method_token: "ok".into(),
        partial_policy: order::PartialPolicy::AllOrNothing,
    };
    let shipped = |line: &Line| ShippedLine {
        line: line.line,
        sku: line.sku.clone(),
        quantity: line.quantity,
        location: Location::try_new("main").expect("valid"),
    };
    let shipment_id: Arc<str> = "shp_1".into();
    let parcel = ParcelShipped {
        order_id: order_id(),
        subject: "gst_1".into(),
        shipment_id: shipment_id.clone(),
        carrier: "swift".into(),
        tracking_code: "T-1".into(),
        lines: offer.lines.iter().map(shipped).collect(),
        amount: total,
        is_last: true,
        again: None,
    };
    let mut events = order::place(&Order::default(), &offer, &place, at(1));
    events.push(OrderEvent::ParcelShipped(Arc::new(parcel)));
    events.push(OrderEvent::ParcelPaid(ParcelPaid { shipment_id: shipment_id.clone(), amount: total }));
    events.push(OrderEvent::ParcelMoved(ParcelMoved { shipment_id, to: Whereabouts::Delivered }));
    fold::<Order>(&events)
}

fn with(order: &Order, events: &[OrderEvent]) -> Order {
    let mut order = order.clone();
    events.iter().for_each(|event| order.evolve(event));
    assert!(returns_fit(&order), "{order:?}");
    order
}

fn told(number: u8, lines: &[(u32, u32, Grade)], reason: Reason) -> Record {
    Record {
        return_id: rtn(number),
        by: "stf_1".into(),
        external_ref: format!("R-{number}").into(),
        hash: "abc".into(),
        lines: lines.iter().map(|(line, quantity, grade)| (*line, pieces_of(*quantity), *grade)).collect(),
        reason,
    }
}

fn wish(number: u8, lines: &[(u32, u32, Reason)]) -> Request {
    Request {
        return_id: rtn(number),
        caller: customer("gst_1"),
        by: "gst_1".into(),
        lines: lines.iter().map(|(line, quantity, reason)| (*line, pieces_of(*quantity), *reason)).collect(),
        wish: Wish::Refund,
        replacement: None,
        arrivals: BTreeMap::from([(1, at(0)), (2, at(0))]),
        window: Duration::from_secs(100),
        key: "gst_1/k".into(),
        hash: "abc".into(),
    }
}

fn refund_of(decided: &Decided) -> i64 {
    let settlement = fold::<Return>(&decided.events).settlement().cloned();
    settlement.expect("settled").refund.minor_units()
}

#[test]
fn all_pieces_of_a_line_together_give_exactly_what_was_paid() {
    // Every order in which they may come back, one at a time.
    let orders = [[1, 1, 1, 2], [1, 1, 2, 1], [1, 2, 1, 1], [2, 1, 1, 1]];
    for lines in orders {
        let (mut order, mut refunds) = (delivered(), Vec::new());
        for (number, line) in (1..).zip(lines) {
            let decided = record(&order, &told(number, &[(line, 1, Grade::A)], Reason::Unwanted), at(2));
            let decided = decided.expect("it came back");
            refunds.push(refund_of(&decided));
            order = with(&order, &decided.to_order);
        }
        assert_eq!(refunds.iter().sum::<i64>(), 999 + 99 + 240, "{refunds:?}");
        assert!(
            refunds[..3].iter().all(|refund| *refund <= 333),
            "shipping comes with the last: {refunds:?}"
        );
        assert!(order.returns().expect("some").is_all_back);
    }
}

#[test]
fn shipping_goes_back_once_when_the_shop_is_at_fault() {
    let order = delivered();
    let first = record(&order, &told(1, &[(1, 1, Grade::Damaged)], Reason::Damaged), at(2)).expect("told");
    assert_eq!(refund_of(&first), 333 + 240);
    let order = with(&order, &first.to_order);
    let second = record(&order, &told(2, &[(1, 1, Grade::A)], Reason::WrongItem), at(2)).expect("told");
    assert_eq!(refund_of(&second), 333);
    let order = with(&order, &second.to_order);
    let rest = [(1, 1, Grade::B), (2, 1, Grade::A)];
    let last = record(&order, &told(3, &rest, Reason::Unwanted), at(2)).expect("told");
    assert_eq!(refund_of(&last), 333 + 99);
    with(&order, &last.to_order);
}

#[test]
fn no_more_comes_back_than_arrived() {
    let order = delivered();
    let asked = request(&order, &wish(1, &[(1, 2, Reason::Unwanted)]), at(2)).expect("in time");
    let order = with(&order, &asked.to_order);
    let reason = |order: &Order, lines: &[(u32, u32, Reason)]| {
        request(order, &wish(2, lines), at(2)).map(|_| ()).map_err(|no| no.reason.to_string())
    };
    assert_eq!(reason(&order, &[(1, 1, Reason::Unwanted)]), Ok(()));
    assert_eq!(reason(&order, &[(1, 2, Reason::Unwanted)]), Err("RETURN_EXCEEDS_DELIVERED".into()));
    assert_eq!(reason(&order, &[(1, 4, Reason::Unwanted)]), Err("NOT_DELIVERED".into()));
    assert_eq!(reason(&order, &[(7, 1, Reason::Unwanted)]), Err("NOT_DELIVERED".into()));
    let back = fold::<Return>(&asked.events);
    let closed = cancel(&back, &"gst_1".into()).expect("not sent yet");
    let order = with(&order, &closed.to_order);
    assert_eq!(reason(&order, &[(1, 3, Reason::Unwanted)]), Ok(()));
}

#[test]
fn the_time_for_returns_is_longer_when_the_shop_is_at_fault() {
    let order = delivered();
    let reason = |why: Reason, now: i64| {
        request(&order, &wish(1, &[(1, 1, why)]), at(now)).map(|_| ()).map_err(|no| no.reason.to_string())
    };
    let over = Err("RETURN_WINDOW_OVER".to_owned());
    assert_eq!((reason(Reason::Unwanted, 99), reason(Reason::Unwanted, 100)), (Ok(()), over.clone()));
    let ninety_days = 90 * 24 * 3_600;
    assert_eq!(reason(Reason::Damaged, ninety_days - 1), Ok(()));
    assert_eq!(reason(Reason::Damaged, ninety_days), over);
    let asked = Request { wish: Wish::Credit, ..wish(1, &[(1, 1, Reason::Damaged)]) };
    assert_eq!(request(&order, &asked, at(2)).expect_err("not offered").reason, "NOT_OFFERED");
    let foreign = Request { caller: customer("gst_2"), ..wish(1, &[(1, 1, Reason::Damaged)]) };
    assert_eq!(request(&order, &foreign, at(2)).expect_err("not theirs").reason, "NOT_FOUND");
}

#[test]
fn what_is_not_paid_for_is_not_refunded() {
    let mut order = delivered();
    let opened = OrderEvent::GoodsReturned(Arc::new(GoodsReturned {
        return_id: rtn(9),
        pieces: Vec::new().into(),
        released: Vec::new().into(),
        worth: Money::new(999 + 99 + 240 - 300, gbp()),
        with_shipping: false,
        is_all: false,
    }));
    order.evolve(&opened);
    let no = record(&order, &told(1, &[(1, 1, Grade::A)], Reason::Unwanted), at(2)).expect_err("33 short");
    assert_eq!(no.reason, "RETURN_NOT_PAID");
}

/// Asked for, approved, and perhaps arrived.
fn approved(order: &Order) -> (Order, Return) {
    let asked = request(order, &wish(1, &[(1, 2, Reason::Damaged)]), at(2)).expect("in time");
    let order = with(order, &asked.to_order);
    let mut back = fold::<Return>(&asked.events);
    let approved = approve(&order, &back, &"stf_1".into(), false, at(3)).expect("asked for");
    approved.events.iter().for_each(|event| back.evolve(event));
    assert_eq!(approve(&order, &back, &"stf_1".into(), true, at(4)), Ok(Decided::default()), "said twice");
    (order, back)
}

fn seen(lines: &[(u32, u32, Grade)], fees: Option<Money>) -> Inspection {
    let lines = lines.iter().map(|(line, quantity, grade)| (*line, pieces_of(*quantity), *grade)).collect();
    Inspection { by: "stf_1".into(), lines, fees, restocking_percent: 0 }
}

#[test]
fn a_return_is_inspected_within_what_was_asked_for() {
    let (order, back) = approved(&delivered());
    let reason = |lines: &[(u32, u32, Grade)]| {
        inspect(&order, &back, &seen(lines, None)).map(|_| ()).map_err(|no| no.reason.to_string())
    };
    assert_eq!(reason(&[(1, 2, Grade::A)]), Ok(()));
    assert_eq!(reason(&[(1, 2, Grade::A), (1, 1, Grade::Missing)]), Err("NOT_IN_RETURN".into()));
    assert_eq!(reason(&[(2, 1, Grade::A)]), Err("NOT_IN_RETURN".into()));
    let fees = Some(Money::new(50, gbp()));
    let settled = inspect(&order, &back, &seen(&[(1, 1, Grade::B)], fees)).expect("looked at");
    let mut after = back.clone();
    settled.events.iter().for_each(|event| after.evolve(event));
    let settlement = after.settlement().expect("settled");
    assert_eq!((settlement.refund.minor_units(), settlement.fees_minor), (333 + 240 - 50, 50));
    with(&order, &settled.to_order);
    let greedy = Some(Money::new(5_000, gbp()));
    let settled = inspect(&order, &back, &seen(&[(1, 1, Grade::B)], greedy)).expect("looked at");
    assert!(settled.events.iter().any(|event| matches!(
        event,
        ReturnEvent::ReturnInspected(seen) if seen.settlement.refund.minor_units() == 0
    )));
    let dear = Some(Money::new(5, souk_kernel::Currency::parse("EUR").expect("known")));
    assert!(inspect(&order, &back, &seen(&[(1, 1, Grade::B)], dear)).is_err());
}

#[test]
fn nothing_found_is_declined_and_frees_the_pieces() {
    let (order, mut back) = approved(&delivered());
    let settled = inspect(&order, &back, &seen(&[(1, 2, Grade::Missing)], None)).expect("looked at");
    settled.events.iter().for_each(|event| back.evolve(event));
    assert_eq!(back.status(), Some(Status::Declined));
    assert!(saga::outstanding(&back).iter().all(|intent| intent.saga == saga::LABEL));
    let order = with(&order, &settled.to_order);
    assert!(!order.has_open_return());
    assert_eq!(
        inspect(&order, &back, &seen(&[(1, 1, Grade::A)], None)).expect_err("over").reason,
        "RETURN_NOT_OPEN"
    );
}

#[test]
fn what_is_not_sent_in_time_expires_with_its_label() {
    let (order, back) = approved(&delivered());
    let until = at(3).plus(RETURN_TTL);
    assert_eq!(expire(&back, at(4)), Decided::default(), "in time");
    let expired = expire(&back, until);
    let mut over = back.clone();
    expired.events.iter().for_each(|event| over.evolve(event));
    assert_eq!(over.status(), Some(Status::Expired));
    assert!(saga::outstanding(&over).iter().any(|intent| intent.step == saga::VOID_LABEL));
    assert!(!with(&order, &expired.to_order).has_open_return());
    assert_eq!(expire(&over, until), Decided::default(), "said twice");
    assert_eq!(cancel(&over, &"gst_1".into()).expect_err("over").reason, "RETURN_NOT_OPEN");
    let received = arrived(&back, &"svc".into());
    let mut there = back.clone();
    received.events.iter().for_each(|event| there.evolve(event));
    assert_eq!((there.status(), expire(&there, until)), (Some(Status::Received), Decided::default()));
}

/// The settling saga after these answers.
fn settling(outcomes: &[Outcome]) -> (Return, saga::Recorded) {
    let decided = record(&delivered(), &told(1, &[(1, 1, Grade::A)], Reason::Unwanted), at(2)).expect("told");
    let (mut back, mut last) = (fold::<Return>(&decided.events), saga::Recorded::default());
    for outcome in outcomes {
        let intent = saga::outstanding(&back).remove(0);
        last = saga::record(&back, &intent, outcome, 1);
        last.events.iter().for_each(|event| back.evolve(event));
    }
    (back, last)
}

#[test]
fn stock_first_then_money_and_the_order_hears_of_both() {
    let (back, last) = settling(&[Outcome::done(), Outcome::done()]);
    assert_eq!(back.status(), Some(Status::Refunded));
    let refund = Money::new(333, gbp());
    let refunded = ReturnRefunded { return_id: rtn(1), refund };
    assert_eq!(last.to_order, [OrderEvent::ReturnRefunded(refunded)]);
    let (back, _) = settling(&[Outcome::done()]);
    assert_eq!(back.status(), Some(Status::Refunding));
}

#[test]
fn stock_is_never_refused_and_a_refused_refund_calls_a_person() {
    let (back, _) = settling(&[Outcome::refused("EXCEEDS_SHIPPED", "")]);
    assert_eq!(
        (back.status(), back.settle().standing(saga::RESTOCK)),
        (Some(Status::Inspected), Standing::Open)
    );
    let (back, last) = settling(&[Outcome::done(), Outcome::refused("REFUND_FAILED", "closed")]);
    assert!(back.needs_attention());
    assert!(
        matches!(&last.to_order[..], [OrderEvent::OrderNeedsAttention(needs)] if needs.order_id == order_id())
    );
    // A person who settles it otherwise claims no money.
    let skip = souk_saga::Intervention {
        operation: souk_saga::Operation::Skip,
        step: None,
        by: "stf_2".into(),
        reason: "paid in cash".into(),
    };
    let [(definition, progress), ..] = saga::sagas(&back);
    let moves = progress.intervene(definition, &skip).expect("it waits");
    let recorded = saga::with_consequences(&back, moves);
    let nothing = ReturnRefunded { return_id: rtn(1), refund: Money::new(0, gbp()) };
    assert_eq!(recorded.to_order, [OrderEvent::ReturnRefunded(nothing)]);
}

#[test]
fn golden_files_hold_every_shape_of_returns() {
    let order = delivered();
    let (after, back) = approved(&order);
    let asked = request(&order, &wish(1, &[(1, 2, Reason::Damaged)]), at(2)).expect("in time");
    let mut examples = asked.events.clone();
    examples.extend(
        approve(&order, &fold::<Return>(&asked.events), &"stf_1".into(), false, at(3)).expect("may").events,
    );
    examples.extend(reject(&fold::<Return>(&asked.events), &"stf_1".into(), "worn").expect("may").events);
    examples.extend(cancel(&back, &"gst_1".into()).expect("may").events);
    examples.extend(expire(&back, at(3).plus(RETURN_TTL)).events);
    examples.extend(receive(&order, &back, &"stf_1".into(), &[(1, pieces_of(1))]).expect("may").events);
    let found = seen(&[(1, 1, Grade::B), (1, 1, Grade::Missing)], Some(Money::new(5, gbp())));
    examples.extend(inspect(&after, &back, &found).expect("may").events);
    examples.extend(inspect(&after, &back, &seen(&[(1, 2, Grade::Missing)], None)).expect("may").events);
    examples
        .extend(record(&order, &told(1, &[(1, 1, Grade::A)], Reason::Unwanted), at(2)).expect("may").events);
    examples.extend(settling(&[Outcome::done(), Outcome::done()]).1.events);
    examples.extend(exchange::examples());
    examples.push(ReturnEvent::ReturnLabelIssued(ReturnLabelIssued {
        carrier: "swift".into(),
        tracking_code: "BACK-1".into(),
    }));
    let is_move = |event: &ReturnEvent| matches!(event, ReturnEvent::ReturnMoved(_));
    let first_move = examples.iter().position(is_move).expect("some");
    let kept = examples[first_move].clone();
    examples.retain(|event| !is_move(event));
    examples.push(kept);
    souk_decider::golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}

/// What an order stores about its returns.
pub(crate) fn order_examples() -> Vec<OrderEvent> {
    let piece = || Pieces { line: 1, sku: Sku::try_new("A").expect("valid"), quantity: pieces_of(1) };
    let goods = |released: Vec<Pieces>, with_shipping, is_all| {
        OrderEvent::GoodsReturned(Arc::new(GoodsReturned {
            return_id: rtn(1),
            pieces: vec![piece()].into(),
            released: released.into(),
            worth: Money::new(7, gbp()),
            with_shipping,
            is_all,
        }))
    };
    vec![
        OrderEvent::ReturnOpened(ReturnOpened { return_id: rtn(1), pieces: vec![piece()].into() }),
        goods(Vec::new(), false, false),
        goods(vec![piece()], true, true),
        OrderEvent::ReturnRefunded(ReturnRefunded { return_id: rtn(1), refund: Money::new(7, gbp()) }),
        OrderEvent::ReturnClosed(ReturnClosed { return_id: rtn(1) }),
        exchange::placed(),
    ]
}

#[test]
fn the_last_arrival_of_a_line_counts() {
    let order = delivered();
    let parcel = order.parcels()[0].shipped.clone();
    let shipment_id = parcel.shipment_id.clone();
    let events = [
        OrderEvent::ParcelShipped(parcel),
        OrderEvent::ParcelMoved(ParcelMoved { shipment_id, to: Whereabouts::Delivered }),
    ];
    let arrived = order::arrivals(events.iter().zip([at(4), at(9)]));
    assert_eq!(arrived, BTreeMap::from([(1, at(9)), (2, at(9))]));
    assert_eq!(order.arrived(), Lines::from([(1, 3), (2, 1)]));
}
