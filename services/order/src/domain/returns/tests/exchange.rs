//! Something else instead of money, and parcels that come when nobody waits for them any more.
use super::*;
use crate::domain::exchange::{self, Replacement};
use crate::domain::order::{OrderPlaced, RETURN_ARRIVED_LATE};
use crate::domain::quote::QuoteEvent;
use crate::domain::samples::line;
use crate::invariants::{facts, saga_fits_status, total_is_sum_of_lines};
use serde_json::json;
use souk_kernel::Rejection;

fn money(minor_units: i64) -> Money {
    Money::new(minor_units, gbp())
}

/// One piece at this price.
fn costing(unit_minor: i64) -> Arc<Replacement> {
    let wanted = Replacement::new(&delivered(), vec![line(1, "C", 1, unit_minor)].into(), None);
    Arc::new(wanted.expect("small"))
}

fn wants(unit_minor: i64) -> Request {
    let replacement = Some(Ok(costing(unit_minor)));
    Request { wish: Wish::Exchange, replacement, ..wish(1, &[(1, 2, Reason::Unwanted)]) }
}

/// Two pieces for one that costs so much, approved.
fn underway(unit_minor: i64) -> (Order, Return) {
    let asked = request(&delivered(), &wants(unit_minor), at(2)).expect("in time");
    let order = with(&delivered(), &asked.to_order);
    let mut back = fold::<Return>(&asked.events);
    let approved = approve(&order, &back, &"stf_1".into(), false, at(3)).expect("asked for");
    approved.events.iter().for_each(|event| back.evolve(event));
    (order, back)
}

fn inspected(unit_minor: i64, lines: &[(u32, u32, Grade)], fees: Option<Money>) -> (Order, Return) {
    let (order, mut back) = underway(unit_minor);
    let decided = inspect(&order, &back, &seen(lines, fees)).expect("looked at");
    decided.events.iter().for_each(|event| back.evolve(event));
    (with(&order, &decided.to_order), back)
}

/// Answers the step that is outstanding.
fn answer(back: &mut Return, outcome: &Outcome) -> saga::Recorded {
    let intent = saga::outstanding(back).remove(0);
    let recorded = saga::record(back, &intent, outcome, 1);
    recorded.events.iter().for_each(|event| back.evolve(event));
    recorded
}

fn confirmed() -> Outcome {
    Outcome::Done(json!({"swapped": "for", "order_id": exchange::order_of(rtn(1))}))
}

fn came_to_nothing() -> Outcome {
    Outcome::Done(json!({"swapped": "not", "reason": "INSUFFICIENT_STOCK"}))
}

fn begun() -> exchange::Begun {
    let (order, mut back) = inspected(600, &[(1, 2, Grade::A)], None);
    answer(&mut back, &Outcome::done());
    saga::ordered_instead(&order, &back, "abc", at(5)).expect("small").expect("outstanding")
}

pub(crate) fn offer() -> Arc<QuoteCreated> {
    let Some(QuoteEvent::QuoteCreated(offer)) = begun().quote.first().cloned() else { panic!("no quote") };
    offer
}

pub(super) fn placed() -> OrderEvent {
    begun().order.remove(0)
}

/// What is stored of exchanges and of late parcels.
pub(super) fn examples() -> Vec<ReturnEvent> {
    let mut examples = request(&delivered(), &wants(600), at(2)).expect("in time").events;
    let (order, back) = underway(600);
    examples.extend(inspect(&order, &back, &seen(&[(1, 2, Grade::A)], None)).expect("may").events);
    let found = [(1, 1, Grade::A), (1, 1, Grade::WrongItem)];
    examples.extend(inspect(&order, &back, &seen(&found, None)).expect("may").events);
    for became in [confirmed(), came_to_nothing()] {
        let (_, mut back) = inspected(600, &[(1, 2, Grade::A)], None);
        for outcome in [Outcome::done(), became] {
            answer(&mut back, &outcome);
        }
        examples.extend(answer(&mut back, &Outcome::done()).events);
    }
    let (_, late) = expired();
    examples.extend(arrived(&late, &"svc".into()).events);
    examples
}

#[test]
fn an_exchange_is_worth_no_more_than_what_comes_back() {
    let asked = |unit_minor| request(&delivered(), &wants(unit_minor), at(2));
    assert!(asked(666).is_ok(), "two thirds of 9.99");
    let dear = asked(667).expect_err("a penny more");
    assert_eq!(dear.reason, "EXCHANGE_TOO_DEAR");
    assert_eq!([&dear.metadata["costs"], &dear.metadata["worth"]], ["6.67 GBP", "6.66 GBP"]);
    let unsold = Rejection::new("UNKNOWN_SKU", "no");
    let asked = Request { replacement: Some(Err(unsold)), ..wants(1) };
    assert_eq!(request(&delivered(), &asked, at(2)).expect_err("not sold").reason, "UNKNOWN_SKU");
}

#[test]
fn what_was_accepted_decides_whether_it_is_exchanged() {
    let swap = |unit_minor, lines: &[(u32, u32, Grade)], fees: Option<i64>| {
        let (_, back) = inspected(unit_minor, lines, fees.map(money));
        let settlement = back.settlement().expect("settled").clone();
        (settlement.exchange.clone(), back.refund().expect("known").minor_units())
    };
    let wanted = |costs_minor| Some(Swap::Wanted { costs_minor });
    assert_eq!(swap(600, &[(1, 2, Grade::A)], None), (wanted(600), 66));
    assert_eq!(swap(600, &[(1, 2, Grade::Damaged)], Some(66)), (wanted(600), 0));
    assert_eq!(swap(600, &[(1, 2, Grade::A)], Some(67)), (Some(Swap::TooDear), 599));
    assert_eq!(swap(600, &[(1, 1, Grade::A), (1, 1, Grade::WrongItem)], None), (Some(Swap::TooDear), 333));
    assert_eq!(swap(333, &[(1, 1, Grade::A), (1, 1, Grade::Missing)], None), (wanted(333), 0));
    let (_, declined) = inspected(333, &[(1, 2, Grade::WrongItem)], None);
    assert_eq!(declined.status(), Some(Status::Declined));
    assert_eq!(declined.settlement().expect("seen").exchange, None);
}

#[test]
fn the_order_that_replaces_it_costs_nothing_and_goes_where_the_first_went() {
    let Begun { quote, order } = Begun::of(begun());
    let placed: &OrderPlaced = order.placed().expect("placed");
    assert_eq!(quote.order_id(), Some(placed.order_id));
    assert_eq!((placed.total, order.value_minor()), (money(0), 600));
    assert_eq!(order.delivery(), delivered().delivery());
    assert_eq!(order.exchange().map(|of| (of.return_id, of.paid_by)), Some((rtn(1), order_id())));
    assert!(total_is_sum_of_lines(&order) && saga_fits_status(&facts(&order).expect("placed")));
    let steps: Vec<_> = order::outstanding(&order).iter().map(|intent| intent.step).collect();
    assert_eq!(steps, ["reserve"], "nothing is authorised");
    let cancel = order::Cancel { caller: customer("gst_1"), by: "gst_1".into(), note: String::new() };
    assert_eq!(order::cancel(&order, &cancel).expect_err("it stands").reason, "EXCHANGE_STANDS");
    let pieces = [(1, pieces_of(1))];
    let lines = order.cancel_lines(&customer("gst_1"), &"gst_1".into(), &"c".into(), &pieces);
    assert_eq!(lines.expect_err("it stands").reason, "EXCHANGE_STANDS");
}

/// A quote and an order, folded.
struct Begun {
    quote: crate::domain::Quote,
    order: Order,
}

impl Begun {
    fn of(begun: exchange::Begun) -> Self {
        Self { quote: fold(&begun.quote), order: fold(&begun.order) }
    }
}

#[test]
fn stock_then_the_order_then_what_is_left_of_the_money() {
    let (order, mut back) = inspected(600, &[(1, 2, Grade::A)], None);
    assert_eq!(
        saga::ordered_instead(&order, &back, "abc", at(5)),
        Ok(None),
        "not before the stock is booked"
    );
    answer(&mut back, &Outcome::done());
    assert_eq!(answer(&mut back, &Outcome::Waiting { on: "exchange".into() }), saga::Recorded::default());
    answer(&mut back, &confirmed());
    assert_eq!(saga::ordered_instead(&order, &back, "abc", at(5)), Ok(None), "once");
    assert_eq!((back.status(), back.refund()), (Some(Status::Refunding), Some(money(66))));
    let last = answer(&mut back, &Outcome::done());
    assert_eq!(back.status(), Some(Status::Exchanged));
    let refunded = ReturnRefunded { return_id: rtn(1), refund: money(66) };
    assert_eq!(last.to_order, [OrderEvent::ReturnRefunded(refunded)]);
    assert_eq!(last.to_payer, None);
}

#[test]
fn an_order_that_comes_to_nothing_gives_all_the_money() {
    let (_, mut back) = inspected(600, &[(1, 2, Grade::A)], None);
    answer(&mut back, &Outcome::done());
    answer(&mut back, &came_to_nothing());
    assert_eq!(back.refund(), Some(money(666)));
    answer(&mut back, &Outcome::done());
    assert_eq!(back.status(), Some(Status::Refunded));
    assert_eq!(back.not_exchanged().map(AsRef::as_ref), Some("INSUFFICIENT_STOCK"));
}

#[test]
fn a_refused_exchange_calls_a_person_who_claims_none() {
    let (_, mut back) = inspected(600, &[(1, 2, Grade::A)], None);
    answer(&mut back, &Outcome::done());
    let called = answer(&mut back, &Outcome::refused("DISPUTE_LOST", ""));
    assert!(back.needs_attention());
    assert!(matches!(&called.to_order[..], [OrderEvent::OrderNeedsAttention(_)]));
    let skip = souk_saga::Intervention {
        operation: souk_saga::Operation::Skip,
        step: None,
        by: "stf_2".into(),
        reason: "the bank has the money".into(),
    };
    let [(definition, progress), ..] = saga::sagas(&back);
    let moves = progress.intervene(definition, &skip).expect("it waits");
    saga::with_consequences(&back, moves).events.iter().for_each(|event| back.evolve(event));
    assert_eq!(back.settle().standing(saga::EXCHANGE), Standing::Skipped);
    assert_eq!(back.refund(), Some(money(666)), "the money, if any of it can go");
    answer(&mut back, &Outcome::done());
    assert_eq!(back.not_exchanged().map(AsRef::as_ref), Some("SETTLED_BY_HAND"));
}

/// Approved, and not sent in time.
fn expired() -> (Order, Return) {
    let (order, mut back) = approved(&delivered());
    let over = expire(&back, at(3).plus(RETURN_TTL));
    over.events.iter().for_each(|event| back.evolve(event));
    (with(&order, &over.to_order), back)
}

#[test]
fn a_parcel_that_comes_too_late_is_put_before_staff() {
    let (order, mut back) = expired();
    let came = arrived(&back, &"svc".into());
    came.events.iter().for_each(|event| back.evolve(event));
    let order = with(&order, &came.to_order);
    assert_eq!(back.status(), Some(Status::ArrivedLate));
    assert_eq!(order.attention().len(), 1);
    assert_eq!(order.attention()[0].1, RETURN_ARRIVED_LATE);
    assert_eq!(arrived(&back, &"svc".into()), Decided::default(), "said twice");
    let refused = inspect(&order, &back, &seen(&[(1, 1, Grade::A)], None)).expect_err("not taken back yet");
    assert_eq!(refused.reason, "RETURN_NOT_OPEN");
    // Staff takes it back.
    let taken = receive(&order, &back, &"stf_1".into(), &[]).expect("staff may");
    let mut again = back.clone();
    taken.events.iter().for_each(|event| again.evolve(event));
    let open = with(&order, &taken.to_order);
    assert!(open.has_open_return() && open.attention().is_empty());
    let settled = inspect(&open, &again, &seen(&[(1, 2, Grade::A)], None)).expect("looked at");
    settled.events.iter().for_each(|event| again.evolve(event));
    assert_eq!(again.refund(), Some(money(666 + 240)));
    assert!(with(&open, &settled.to_order).has_open_return());
    // Or does not.
    let declined = reject(&back, &"stf_1".into(), "worn").expect("staff may");
    declined.events.iter().for_each(|event| back.evolve(event));
    assert_eq!(back.status(), Some(Status::Rejected));
    assert!(with(&order, &declined.to_order).attention().is_empty());
}

#[test]
fn what_is_in_another_return_meanwhile_is_not_taken_back_late() {
    let (order, back) = expired();
    let other = request(&order, &wish(2, &[(1, 2, Reason::Unwanted)]), at(2)).expect("free again");
    let order = with(&order, &other.to_order);
    let no = receive(&order, &back, &"stf_1".into(), &[]).expect_err("two of three are in the other");
    assert_eq!(no.reason, "RETURN_EXCEEDS_DELIVERED");
    let mut called_off = approved(&delivered()).1;
    let cancelled = cancel(&called_off, &"gst_1".into()).expect("not sent");
    cancelled.events.iter().for_each(|event| called_off.evolve(event));
    assert!(receive(&delivered(), &called_off, &"stf_1".into(), &[(1, pieces_of(1))]).is_ok());
}

#[test]
fn the_shop_keeps_its_fee_of_what_is_only_unwanted() {
    let kept = |why: Reason, said: Option<i64>| {
        let asked = request(&delivered(), &wish(1, &[(1, 2, why)]), at(2)).expect("in time");
        let order = with(&delivered(), &asked.to_order);
        let mut back = fold::<Return>(&asked.events);
        let approved = approve(&order, &back, &"stf_1".into(), false, at(3)).expect("asked for");
        approved.events.iter().for_each(|event| back.evolve(event));
        let seen = Inspection { restocking_percent: 10, ..seen(&[(1, 2, Grade::A)], said.map(money)) };
        let decided = inspect(&order, &back, &seen).expect("looked at");
        decided.events.iter().for_each(|event| back.evolve(event));
        let settlement = back.settlement().expect("settled").clone();
        (settlement.fees_minor, settlement.refund.minor_units())
    };
    assert_eq!(kept(Reason::Unwanted, None), (66, 600), "a tenth of 6.66, rounded down");
    assert_eq!(kept(Reason::Damaged, None), (0, 666 + 240), "not where the shop is at fault");
    assert_eq!(kept(Reason::Unwanted, Some(5)), (5, 661), "staff may say another");
    assert_eq!(kept(Reason::Unwanted, Some(0)), (0, 666));
    for (worth, percent, fee) in [(999, 100, 999), (999, 255, 999), (-5, 10, 0), (9, 10, 0), (0, 50, 0)] {
        assert_eq!(restocking_fee(worth, percent), fee);
    }
}

#[test]
fn what_may_come_back_is_told_as_a_request_would_decide_it() {
    let (order, arrivals) = (delivered(), BTreeMap::from([(1, at(0)), (2, at(10))]));
    let window = Duration::from_secs(100);
    let told = |order: &Order, now: i64| options(order, &arrivals, window, 10, at(now));
    let pieces =
        |order: &Order, now| told(order, now).iter().map(|o| (o.quantity, o.refusal)).collect::<Vec<_>>();
    assert_eq!(pieces(&order, 2), [(3, ""), (1, "")]);
    let first = &told(&order, 2)[0];
    assert_eq!((first.worth, first.fee), (money(999), money(99)));
    assert_eq!(first.until, Some((at(100), at(0).plus(FAULT_WINDOW))));
    let asked = request(&order, &wish(1, &[(1, 1, Reason::Unwanted), (2, 1, Reason::Unwanted)]), at(2));
    let order = with(&order, &asked.expect("in time").to_order);
    assert_eq!(pieces(&order, 2), [(2, ""), (0, "RETURN_EXCEEDS_DELIVERED")]);
    let ninety_days = 90 * 24 * 3_600;
    assert_eq!(pieces(&order, ninety_days)[0], (0, "RETURN_WINDOW_OVER"));
    assert_eq!(options(&Order::default(), &arrivals, window, 10, at(2)), Vec::new());
}

#[test]
fn a_promotion_that_needed_more_is_not_claimed_back() {
    // A line that a promotion gave away, beside one that was paid for.
    let plain = offer_of_cart();
    let lines = vec![line(1, "A", 2, 250), Line { discount_minor: 99, ..line(2, "B", 1, 99) }];
    let total = sum(&lines, None, gbp()).expect("small");
    let offer = QuoteCreated { lines: lines.into(), total, ..(*plain).clone() };
    let place = order::Place {
        order_id: order_id(),
        placed_by: "gst_1".into(),
        payment_method_token: "ok".into(),
        partial_policy: order::PartialPolicy::AllOrNothing,
    };
    let mut sold = fold::<Order>(&order::place(&Order::default(), &offer, &place, at(1)));
    for _ in 0..4 {
        let intent = order::outstanding(&sold).remove(0);
        let events = order::record(&sold, &intent, &Outcome::done(), 1, at(1));
        events.iter().for_each(|event| sold.evolve(event));
    }
    let back = |lines: &[(u32, u32, Grade)]| {
        refund_of(&record(&sold, &told(1, lines, Reason::Unwanted), at(2)).expect("it came back"))
    };
    assert_eq!(back(&[(2, 1, Grade::A)]), 0, "nothing was paid for it, and nothing less goes back");
    assert_eq!(back(&[(1, 1, Grade::A)]), 250, "the price that was paid, whatever it was a part of");
    assert_eq!(back(&[(1, 2, Grade::A), (2, 1, Grade::A)]), 500);
}

fn offer_of_cart() -> Arc<QuoteCreated> {
    crate::domain::samples::offer(of_cart())
}
