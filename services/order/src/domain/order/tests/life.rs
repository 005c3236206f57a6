//! The rules of an order's life after the sale: coupons, parcels, holds, parts, and cancels in every phase.
use super::*;
use crate::domain::errand::{self, Errand, ErrandEvent, Task};
use crate::domain::quote::QuoteCreated;
use crate::domain::samples::{gbp, line};
use crate::domain::{Delivery, Line, Promotion, Terms, sum};
use crate::{cancel_lines, dispatch, hold as holding};
use souk_contracts::terms::{Location, Quantity};
use souk_kernel::Money;
use std::time::Duration;

pub(super) fn terms() -> Terms {
    Terms {
        tax_inclusive: false,
        shipping_minor: 300,
        shipping_discount_minor: 100,
        shipping_tax_minor: 40,
        delivery: Some(Delivery { rate_id: "rte_1".into(), country: "GB".into(), region: "".into() }),
        coupons: vec!["TEN".into()],
        promotions: vec![Promotion {
            promotion_id: "ten".into(),
            code: "TEN".into(),
            name: "Ten off".into(),
            amount_minor: 10,
        }],
        priced_at: at(1),
        exchange: None,
    }
}

/// The usual lines with a discount and tax on each, coupons and shipping.
pub(super) fn rich() -> QuoteCreated {
    let plain = offer(of_cart());
    let lines: Vec<Line> =
        plain.lines.iter().map(|line| Line { discount_minor: 10, tax_minor: 7, ..line.clone() }).collect();
    let total = sum(&lines, Some(&terms()), gbp()).expect("small");
    QuoteCreated { lines: lines.into(), total, terms: Some(Arc::new(terms())), ..(*plain).clone() }
}

pub(super) fn placed_rich(offer: &QuoteCreated) -> Order {
    apply(&Order::default(), &place(&Order::default(), offer, &placing(), at(7)))
}

/// Confirmed: redeemed, reserved, authorised, committed.
pub(super) fn confirmed() -> Order {
    after(&placed_rich(&rich()), &vec![Outcome::done(); 4])
}

pub(super) fn processing() -> Order {
    let order = confirmed();
    let order = apply(&order, &undo_window_over(&order));
    after(&order, &[Outcome::done()])
}

pub(super) fn part(line: u32, sku: &str, quantity: u32) -> ShippedLine {
    ShippedLine {
        line,
        sku: souk_contracts::terms::Sku::try_new(sku).expect("valid"),
        quantity: Quantity::try_new(quantity).expect("valid"),
        location: Location::try_new("main").expect("valid"),
    }
}

pub(super) fn parcel(shipment_id: &str, lines: Vec<ShippedLine>) -> HandedOver {
    HandedOver {
        shipment_id: shipment_id.into(),
        carrier: "swift".into(),
        tracking_code: "T-1".into(),
        lines: lines.into(),
        again: None,
    }
}

pub(super) fn everything() -> HandedOver {
    parcel("shp_1", vec![part(1, "A", 2), part(2, "B", 1), part(3, "A", 1)])
}

pub(super) fn ship(order: &Order, handed: &HandedOver) -> (Order, Arc<ParcelShipped>) {
    let shipped = handed_over(order, handed).expect("it leaves");
    (apply(order, &[OrderEvent::ParcelShipped(shipped.clone())]), shipped)
}

#[test]
fn a_sale_has_the_steps_that_it_needs() {
    let version = |change: fn(&mut QuoteCreated)| {
        let mut offer = rich();
        change(&mut offer);
        placed_rich(&offer).place().version()
    };
    let without = |offer: &mut QuoteCreated, change: fn(&mut Terms)| {
        let mut terms = terms();
        change(&mut terms);
        offer.terms = Some(Arc::new(terms));
    };
    assert_eq!(placed().place().version(), 1, "a plain sale is what it was");
    assert_eq!(version(|_| {}), 4);
    assert_eq!(version(|offer| offer.terms = None), 1);
    assert_eq!(version(|offer| offer.total = Money::new(0, gbp())), 6);
    let _ = without;
    let steps = |version: u16| {
        let steps: Vec<_> = placing_saga::definition(version).steps().iter().map(|step| step.name).collect();
        steps.join(" ")
    };
    assert_eq!(steps(1), "reserve authorize commit capture");
    assert_eq!(steps(2), "redeem reserve authorize commit capture");
    assert_eq!(steps(3), "reserve authorize commit");
    assert_eq!(steps(4), "redeem reserve authorize commit");
    assert_eq!(steps(5), "reserve commit");
    assert_eq!(steps(6), "redeem reserve commit");
}

#[test]
fn a_total_is_its_lines_less_discounts_with_shipping_and_added_tax() {
    let order = placed_rich(&rich());
    assert_eq!(order.total(), Some(Money::new(849 - 30 + 21 + 240, gbp())));
    assert!(total_is_sum_of_lines(&order));
    let inclusive = Terms { tax_inclusive: true, ..terms() };
    assert_eq!(sum(order.lines(), Some(&inclusive), gbp()), Ok(Money::new(849 - 30 + 200, gbp())));
}

#[test]
fn a_shipped_order_is_confirmed_without_a_capture_and_has_a_while_to_be_undone() {
    let ready = after(&placed_rich(&rich()), &vec![Outcome::done(); 3]);
    let events = record(&ready, &next(&ready), &Outcome::done(), 1);
    let windows = Windows { undo: Duration::from_secs(60), ..Windows::default() };
    let timers = timers(&ready, &events, at(100), &windows);
    assert_eq!(timers.set[0].due, at(160));
    let order = confirmed();
    assert!(!order.has_open_saga() && !order.is_over());
    assert_eq!((order.label(), order.payment()), (Label::Confirmed, Payment::Authorized));
    let events = undo_window_over(&order);
    assert_eq!(kinds(&events), ["OrderProcessingStarted", "SagaMoved"]);
    let order = apply(&order, &events);
    assert_eq!((order.label(), next(&order).step), (Label::Processing, fulfil::CREATE));
    assert_eq!(undo_window_over(&order), vec![], "once");
    assert_eq!(undo_window_over(&placed()), vec![]);
}

#[test]
fn parcels_owe_exactly_the_total_however_they_are_packed() {
    let order = processing();
    let (order, first) = ship(&order, &parcel("shp_1", vec![part(1, "A", 1)]));
    assert_eq!(first.amount, Money::new((500 - 10 + 7) / 2 + 240, gbp()), "its share and the shipping");
    assert_eq!((first.is_last, order.label()), (false, Label::PartiallyShipped));
    let rest = vec![part(1, "A", 1), part(2, "B", 1), part(3, "A", 1)];
    let (order, second) = ship(&order, &parcel("shp_2", rest));
    assert!(second.is_last);
    assert_eq!(first.amount.plus(second.amount).ok(), order.total());
    assert_eq!(handed_over(&order, &everything()), None, "a parcel is recorded once");
    assert_eq!(handed_over(&confirmed(), &everything()), None, "and only of an order that ships");
    for (parcel, payment) in [(&first, Payment::PartiallyCaptured), (&second, Payment::Captured)] {
        let paid = dispatch::paid(&parcel.shipment_id, parcel.amount);
        let order = if payment == Payment::Captured {
            let first = dispatch::paid(&first.shipment_id, first.amount);
            apply(&order, &[first, paid])
        } else {
            apply(&order, &[paid])
        };
        assert_eq!(order.payment(), payment);
        assert!(crate::invariants::captured_is_what_left(&order));
    }
}

/// A small generator of numbers: the same for the same seed (Knuth's constants).
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |bound| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    }
}

#[test]
fn whatever_is_cancelled_and_however_it_is_packed_the_parcels_owe_the_total() {
    for seed in 0..300 {
        let mut number = numbers(seed);
        let lines: Vec<Line> = (1..=1 + number(4) as u32)
            .map(|n| {
                let line = line(n, "A", 1 + number(9) as u32, 1 + number(500) as i64);
                Line { tax_minor: number(50) as i64, discount_minor: number(2) as i64, ..line }
            })
            .collect();
        let total = sum(&lines, Some(&terms()), gbp()).expect("small");
        let offer = QuoteCreated { lines: lines.clone().into(), total, ..rich() };
        let mut order = after(&placed_rich(&offer), &vec![Outcome::done(); 4]);
        order = apply(&order, &undo_window_over(&order));
        order = after(&order, &[Outcome::done()]);
        let called_off = 1 + number(u64::from(lines[0].quantity.get())) as u32;
        let cut = Quantity::try_new(called_off).expect("valid");
        if let Ok(events) = order.cancel_lines(&customer("gst_1"), &"gst_1".into(), &"c".into(), &[(1, cut)])
        {
            order = apply(&order, &events);
            let OrderEvent::LinesCancelRequested(asked) = &events[0] else { panic!("{events:?}") };
            let total = order.total_without(&asked.pieces).expect("placed");
            let opened = errand::ErrandOpened {
                order_id: order_id(),
                subject: "gst_1".into(),
                task: Task::Hold { hold_id: "h".into() },
            };
            let end = souk_saga::Event::Completed { saga: "cancel_lines".into() };
            let cancelled = cancel_lines::ended(&opened, &end, &"c".into(), &asked.pieces, total);
            order = apply(&order, &[cancelled]);
            assert_eq!(order.total(), Some(total), "seed {seed}");
        }
        let mut left: Vec<(u32, u32)> =
            order.sold().0.iter().map(|(line, sold)| (line.line, *sold)).filter(|(_, n)| *n > 0).collect();
        let (mut taken, mut parcels) = (0, 0);
        while !left.is_empty() {
            let at = number(left.len() as u64) as usize;
            let quantity = 1 + number(u64::from(left[at].1)) as u32;
            parcels += 1;
            let handed = parcel(&format!("shp_{parcels}"), vec![part(left[at].0, "A", quantity)]);
            let (shipped_order, shipped) = ship(&order, &handed);
            taken += shipped.amount.minor_units();
            left[at].1 -= quantity;
            left.retain(|(_, n)| *n > 0);
            assert_eq!(shipped.is_last, left.is_empty(), "seed {seed}");
            order = shipped_order;
        }
        assert_eq!(Some(Money::new(taken, gbp())), order.total(), "seed {seed}");
    }
}

#[test]
fn the_last_parcel_to_arrive_delivers_and_the_time_for_returns_completes() {
    let (order, _) = ship(&processing(), &parcel("shp_1", vec![part(1, "A", 2)]));
    let early = moved(&order, "shp_1", Whereabouts::Delivered);
    assert_eq!(kinds(&early), ["ParcelMoved"], "more is to come");
    let order = apply(&order, &early);
    assert_eq!(order.fulfilment(), Fulfilment::Partial);
    let (order, _) = ship(&order, &parcel("shp_2", vec![part(2, "B", 1), part(3, "A", 1)]));
    assert_eq!(order.fulfilment(), Fulfilment::Fulfilled, "handed over is fulfilled");
    let order = apply(&order, &moved(&order, "shp_2", Whereabouts::InTransit));
    let events = moved(&order, "shp_2", Whereabouts::Delivered);
    assert_eq!(kinds(&events), ["ParcelMoved", "OrderDelivered"]);
    let set = timers(&order, &events, at(50), &Windows::default()).set;
    assert_eq!(set[0].due, at(50 + 30 * 24 * 3_600));
    let order = apply(&order, &events);
    assert_eq!((order.label(), order.fulfilment()), (Label::Delivered, Fulfilment::Fulfilled));
    assert_eq!(moved(&order, "shp_2", Whereabouts::InTransit), vec![], "an arrived parcel does not move");
    assert_eq!(moved(&order, "shp_9", Whereabouts::Delivered), vec![]);
    let order = apply(&order, &return_window_over(&order));
    assert!(order.label() == Label::Completed && order.is_over());
    assert_eq!(return_window_over(&order), vec![]);
}

#[test]
fn a_dispute_shows_until_it_is_won() {
    let dispute = |order: &Order, state| disputed(order, &"dsp_1".into(), state);
    let order = apply(&processing(), &dispute(&processing(), Dispute::Opened));
    assert_eq!(order.payment(), Payment::Disputed);
    assert_eq!(dispute(&order, Dispute::Opened), vec![], "said twice");
    let won = apply(&order, &dispute(&order, Dispute::Won));
    assert_eq!(won.payment(), Payment::Authorized);
    assert_eq!(dispute(&won, Dispute::Lost), vec![], "it is decided");
    assert_eq!(apply(&order, &dispute(&order, Dispute::Lost)).payment(), Payment::Disputed);
    assert_eq!(dispute(&processing(), Dispute::Won), vec![], "it never began");
}

#[test]
fn others_hear_when_a_person_is_called_to_a_saga() {
    let order = placed();
    let silent = Outcome::unknown("silence");
    let events = record(&order, &next(&order), &silent, souk_saga::ATTEMPTS_UNTIL_OPERATOR);
    assert_eq!(kinds(&events), ["SagaMoved", "SagaMoved", "OrderNeedsAttention"]);
    let called = apply(&order, &events);
    assert!(called.needs_attention());
    assert!(!after(&called, &[Outcome::done()]).needs_attention(), "it shows as long as the saga stands");
}

#[test]
fn in_the_time_to_undo_a_cancel_gives_everything_back_at_once() {
    let order = cancelled(&confirmed());
    let steps: Vec<_> = std::iter::successors(Some(order), |order| {
        (!order.is_over()).then(|| after(order, &[Outcome::Done(cancelling::VOIDED.into())]))
    })
    .filter_map(|order| outstanding(&order).first().map(|intent| intent.step))
    .collect();
    assert_eq!(steps, [cancelling::RELEASE, cancelling::RETURN_MONEY, cancelling::RETURN_COUPONS]);
}

#[test]
fn shipping_decides_whether_an_order_it_has_can_still_be_cancelled() {
    let order = cancelled(&processing());
    assert_eq!((order.label(), next(&order).step), (Label::Cancelling, cancelling::STOP_SHIPPING));
    let too_late = after(&order, &[Outcome::refused("CANCEL_TOO_LATE", ""), Outcome::done()]);
    assert_eq!((too_late.label(), too_late.cancel_refused()), (Label::Processing, Some("CANCEL_TOO_LATE")));
    let again = cancel(&too_late, &asked_by(customer("gst_1"))).expect_err("once and for all");
    assert_eq!((again.reason, again.metadata["instead"].as_str()), ("CANCEL_TOO_LATE", "returns"));
    let stopped =
        after(&order, &[Outcome::done(), Outcome::done(), Outcome::Done(cancelling::VOIDED.into())]);
    let over = after(&stopped, &[Outcome::done()]);
    assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Voided));
    let (shipped, _) = ship(&processing(), &everything());
    assert!(cancel(&shipped, &asked_by(customer("gst_1"))).is_err(), "it is on its way");
}

#[test]
fn staff_cancels_in_its_own_name() {
    let order = confirmed();
    let order = apply(&order, &cancel(&order, &asked_by(support())).expect("staff may"));
    let over = after(&order, &vec![Outcome::Done(cancelling::VOIDED.into()); 3]);
    assert_eq!(over.reason().0, CANCELLED_BY_STAFF);
}

fn needs_action() -> Outcome {
    let awaits = Awaits::Payment { action_url: "https://act".into(), total: Money::new(5, gbp()) };
    Outcome::Waiting { on: serde_json::to_value(awaits).expect("plain") }
}

#[test]
fn a_payment_that_needs_the_customer_waits_for_them_and_not_for_ever() {
    let order = after(&placed_rich(&rich()), &vec![Outcome::done(); 2]);
    let events = record(&order, &next(&order), &needs_action(), 1);
    assert_eq!(kinds(&events), ["OrderAwaitingCustomer"]);
    let set = timers(&order, &events, at(8), &Windows::default()).set;
    assert_eq!(set[0].due, at(8 + 900));
    let waiting = apply(&order, &events);
    assert_eq!((waiting.label(), waiting.payment()), (Label::AwaitingCustomer, Payment::Pending));
    assert_eq!(next(&waiting).step, placing_saga::AUTHORIZE, "it is looked at again");
    assert_eq!(record(&waiting, &next(&waiting), &needs_action(), 9), vec![], "and asks once");
    let paid = after(&waiting, &[Outcome::done()]);
    assert_eq!((paid.label(), paid.payment()), (Label::Pending, Payment::Authorized));
    let declined = after(&waiting, &[Outcome::refused("PAYMENT_DECLINED", "action_expired")]);
    assert!(declined.awaits().is_none());
    assert_eq!(customer_late(&waiting, at(907)), vec![]);
    let late = apply(&waiting, &customer_late(&waiting, at(908)));
    let over = after(&late, &vec![Outcome::done(); 3]);
    assert_eq!((over.label(), over.reason().0), (Label::Rejected, CUSTOMER_TOO_LATE));
}

fn remainder() -> Arc<Remainder> {
    let lines: Arc<[Line]> = vec![line(2, "B", 1, 99)].into();
    let terms = Terms { coupons: vec!["TEN".into()], ..terms() };
    let total = sum(&lines, Some(&terms), gbp()).expect("small");
    Arc::new(Remainder { lines, total, terms: Some(Arc::new(terms)) })
}

fn asked_for_consent() -> Order {
    let order = after(&placed_rich(&rich()), &[Outcome::done()]);
    let partial = Outcome::Done(serde_json::to_value(remainder()).expect("plain"));
    let events = record(&order, &next(&order), &partial, 1);
    assert_eq!(kinds(&events), ["SagaMoved", "OrderAwaitingCustomer"]);
    apply(&order, &events)
}

#[test]
fn a_part_of_an_order_needs_the_customers_word() {
    let asked = asked_for_consent();
    assert!(outstanding(&asked).is_empty() && asked.label() == Label::AwaitingCustomer);
    let stranger = confirm_partial(&asked, &customer("gst_2"), true, at(9)).expect_err("not theirs");
    assert_eq!(stranger.reason, "NOT_FOUND");
    let confirm = |order: &Order, accepts, now| confirm_partial(order, &customer("gst_1"), accepts, at(now));
    assert_eq!(confirm(&asked, true, 908).expect_err("late").reason, "NOTHING_TO_CONFIRM");
    assert_eq!(confirm(&placed(), true, 9).expect_err("not asked").reason, "NOTHING_TO_CONFIRM");
    let accepted = apply(&asked, &confirm(&asked, true, 9).expect("in time"));
    assert_eq!(accepted.total(), Some(remainder().total));
    assert_eq!((accepted.lines().len(), next(&accepted).step), (1, placing_saga::AUTHORIZE));
    assert_eq!(confirm(&accepted, true, 10), Ok(vec![]), "said twice");
    assert!(total_is_sum_of_lines(&accepted));
    let refused = apply(&asked, &confirm(&asked, false, 9).expect("in time"));
    let over = after(&refused, &vec![Outcome::done(); 3]);
    assert_eq!((over.label(), over.reason().0), (Label::Rejected, PARTIAL_REFUSED));
    let late = apply(&asked, &customer_late(&asked, at(908)));
    assert_eq!(after(&late, &vec![Outcome::done(); 3]).reason().0, CUSTOMER_TOO_LATE);
    assert!(!cancelled(&asked).is_over() && !outstanding(&cancelled(&asked)).is_empty(), "or a cancel");
}

#[test]
fn a_hold_is_staffs_and_shown_until_it_is_released() {
    let by: Arc<str> = "stf_1".into();
    let held = hold(&processing(), &by, "looks odd").expect("staff may");
    let order = apply(&processing(), &held);
    assert_eq!(order.label(), Label::OnHold);
    assert_eq!(hold(&order, &by, "again"), Ok(vec![]));
    let free = apply(&order, &release(&order, &by, "it is fine").expect("staff may"));
    assert_eq!((free.label(), free.holds_ever()), (Label::Processing, 1));
    assert_eq!(release(&free, &by, "again"), Ok(vec![]));
    let (shipped, _) = ship(&processing(), &everything());
    for cannot in [&placed(), &shipped] {
        assert_eq!(hold(cannot, &by, "").expect_err("nothing to hold").reason, "NOTHING_TO_HOLD");
    }
}

#[test]
fn pieces_are_called_off_by_one_at_a_time_and_only_while_they_are_prepared() {
    let ask = |order: &Order, id: &str, pieces: &[(u32, u32)]| {
        let pieces: Vec<_> =
            pieces.iter().map(|(line, n)| (*line, Quantity::try_new(*n).expect("valid"))).collect();
        order.cancel_lines(&customer("gst_1"), &"gst_1".into(), &id.into(), &pieces)
    };
    let refused = |order: &Order, pieces: &[(u32, u32)]| ask(order, "x", pieces).expect_err("refused").reason;
    let order = processing();
    assert_eq!(refused(&confirmed(), &[(1, 1)]), "LINES_NOT_CANCELLABLE");
    assert_eq!(refused(&order, &[(1, 3)]), "LINES_NOT_CANCELLABLE");
    assert_eq!(refused(&order, &[(9, 1)]), "LINES_NOT_CANCELLABLE");
    assert_eq!(refused(&order, &[(1, 1), (1, 2)]), "LINES_NOT_CANCELLABLE", "summed over the request");
    assert_eq!(refused(&order, &[(1, 2), (2, 1), (3, 1)]), "LINES_NOT_CANCELLABLE", "that is CancelOrder");
    let asked = apply(&order, &ask(&order, "c-1", &[(1, 1)]).expect("prepared"));
    assert_eq!(ask(&asked, "c-1", &[(1, 1)]), Ok(vec![]), "said twice");
    assert_eq!(refused(&asked, &[(2, 1)]), "LINES_NOT_CANCELLABLE", "one at a time");
}

/// Line 2 is called off.
fn with_a_line_less(order: &Order) -> Order {
    let cut = [(2, Quantity::try_new(1).expect("valid"))];
    let asked = order.cancel_lines(&customer("gst_1"), &"gst_1".into(), &"c".into(), &cut).expect("prepared");
    let OrderEvent::LinesCancelRequested(request) = &asked[0] else { panic!("{asked:?}") };
    let total = order.total_without(&request.pieces).expect("placed");
    let cancelled = OrderEvent::OrderLineCancelled(OrderLineCancelled {
        order_id: order_id(),
        subject: "gst_1".into(),
        cancel_id: "c".into(),
        pieces: request.pieces.clone(),
        total,
    });
    let asked = apply(order, &asked);
    assert!(asked.may_leave_rest() && !order.may_leave_rest(), "from when it is asked for");
    apply(&asked, &[cancelled])
}

pub(super) fn paid(order: &Order, shipped: &ParcelShipped) -> Order {
    apply(order, &[dispatch::paid(&shipped.shipment_id, shipped.amount)])
}

#[test]
fn what_is_promised_for_pieces_called_off_is_given_up_once_all_the_others_are_paid_for() {
    let order = with_a_line_less(&processing());
    let rest = order.agreed_total().expect("placed").minus(order.total().expect("placed")).expect("small");
    assert_eq!(looked_at(&order), vec![], "nothing has left");
    let (order, first) = ship(&order, &parcel("shp_1", vec![part(1, "A", 2)]));
    let (order, second) = ship(&order, &parcel("shp_2", vec![part(3, "A", 1)]));
    assert_eq!(order.fulfilment(), Fulfilment::Fulfilled, "what was called off does not count");
    let order = paid(&order, &second);
    assert_eq!(looked_at(&order), vec![], "the first may still be taken");
    let order = paid(&order, &first);
    let asked = looked_at(&order);
    assert_eq!(asked, vec![OrderEvent::RestVoidRequested(RestVoidRequested { amount: rest })]);
    let order = apply(&order, &asked);
    assert_eq!((order.rest(), looked_at(&order)), (Rest::Asked, vec![]), "once");
    let task = Task::VoidRest { amount: rest };
    let (errand, recorded) = step(&open_errand(task), &Outcome::refused("VOID_REFUSED", ""), 1);
    assert!(recorded.to_order.is_empty() && errand.saga().is_open(), "asked again");
    let (errand, recorded) = step(&errand, &Outcome::unknown("silence"), souk_saga::ATTEMPTS_UNTIL_OPERATOR);
    assert!(apply(&order, &recorded.to_order).needs_attention());
    let called = apply(&order, &recorded.to_order);
    let (_, recorded) = step(&errand, &Outcome::done(), 31);
    let over = apply(&called, &recorded.to_order);
    assert_eq!(
        (over.rest(), over.payment(), over.needs_attention()),
        (Rest::Voided, Payment::Captured, false)
    );
    let (whole, shipped) = ship(&processing(), &everything());
    assert_eq!(looked_at(&paid(&whole, &shipped)), vec![], "all of it was taken");
}

// ---- Errands ----

pub(super) fn open_errand(task: Task) -> Errand {
    souk_decider::fold::<Errand>(&errand::open(order_id(), &"gst_1".into(), task))
}

pub(super) fn step(errand: &Errand, outcome: &Outcome, attempt: u32) -> (Errand, errand::Recorded) {
    let intent = errand::outstanding(errand).remove(0);
    let recorded = errand::record(errand, &intent, outcome, attempt);
    let mut after = errand.clone();
    recorded.events.iter().for_each(|event| after.evolve(event));
    (after, recorded)
}

fn dispatch_task() -> Task {
    let lines = vec![part(1, "A", 2)].into();
    Task::Dispatch {
        shipment_id: "shp_1".into(),
        lines,
        amount: Money::new(500, gbp()),
        total: Money::new(849, gbp()),
        may_leave_rest: false,
        resend_id: None,
    }
}

#[test]
fn a_parcel_is_booked_out_and_then_paid_for() {
    let errand = open_errand(dispatch_task());
    let (errand, recorded) = step(&errand, &Outcome::refused("NO", ""), 1);
    assert!(recorded.to_order.is_empty(), "it is gone, whatever the books say");
    let (errand, _) = step(&errand, &Outcome::done(), 2);
    assert_eq!(errand::outstanding(&errand)[0].step, dispatch::CAPTURE);
    let (errand, recorded) = step(&errand, &Outcome::done(), 1);
    assert_eq!(kinds(&recorded.to_order), ["ParcelPaid"]);
    assert!(!errand.saga().is_open());
}

#[test]
fn money_that_cannot_be_taken_holds_the_order_and_calls_a_person() {
    let (errand, _) = step(&open_errand(dispatch_task()), &Outcome::done(), 1);
    let (errand, recorded) = step(&errand, &Outcome::refused("REAUTHORIZATION_REFUSED", ""), 1);
    assert_eq!(kinds(&recorded.to_order), ["OrderHeld", "OrderNeedsAttention"]);
    let next = recorded.next.expect("shipping is told");
    assert_eq!(next.task, Task::Hold { hold_id: "unpaid-shp_1".into() });
    assert!(errand::outstanding(&errand).is_empty());
    let (shipped, _) = ship(&processing(), &parcel("shp_1", vec![part(1, "A", 2)]));
    let order = apply(&shipped, &recorded.to_order);
    assert_eq!((order.label(), order.payment()), (Label::OnHold, Payment::Failed));
}

#[test]
fn a_capture_that_a_person_skips_claims_no_money_and_one_that_is_refused_again_holds_nothing_twice() {
    let (errand, _) = step(&open_errand(dispatch_task()), &Outcome::done(), 1);
    let (errand, _) = step(&errand, &Outcome::refused("CAPTURE_REFUSED", ""), 1);
    let act = |operation| {
        let (by, reason) = ("stf_1".to_owned(), "paid by transfer".to_owned());
        let intervention = souk_saga::Intervention { operation, step: None, by, reason };
        let moves = errand.saga().intervene(dispatch::definition(), &intervention).expect("it is stuck");
        let recorded = errand::with_consequences(&errand, moves);
        let mut after = errand.clone();
        recorded.events.iter().for_each(|event| after.evolve(event));
        (after, recorded)
    };
    for operation in [souk_saga::Operation::Skip, souk_saga::Operation::Resolve] {
        let (after, recorded) = act(operation);
        assert!(recorded.to_order.is_empty() && !after.saga().is_open(), "{operation}");
    }
    let (retried, _) = act(souk_saga::Operation::Retry);
    let (_, again) = step(&retried, &Outcome::refused("CAPTURE_REFUSED", ""), 1);
    assert_eq!((kinds(&again.to_order), again.next), (vec!["OrderNeedsAttention"], None));
    let (_, paid) = step(&retried, &Outcome::done(), 1);
    assert_eq!(kinds(&paid.to_order), ["ParcelPaid"]);
}

#[test]
fn a_silent_errand_calls_a_person_until_it_is_done() {
    let (errand, _) = step(&open_errand(dispatch_task()), &Outcome::done(), 1);
    let (errand, recorded) = step(&errand, &Outcome::unknown("silence"), souk_saga::ATTEMPTS_UNTIL_OPERATOR);
    assert_eq!(kinds(&recorded.to_order), ["OrderNeedsAttention"]);
    let (shipped, _) = ship(&processing(), &everything());
    let called = apply(&shipped, &recorded.to_order);
    let (_, recorded) = step(&errand, &Outcome::done(), 31);
    assert!(called.needs_attention() && !apply(&called, &recorded.to_order).needs_attention());
}

#[test]
fn lines_are_stopped_and_then_given_back_or_stay() {
    let task = || Task::CancelLines {
        cancel_id: "c-1".into(),
        pieces: vec![pieces()].into(),
        total: Money::new(7, gbp()),
    };
    let (errand, recorded) = step(&open_errand(task()), &Outcome::refused("CANCEL_TOO_LATE", ""), 1);
    assert!(recorded.to_order.is_empty());
    let (_, recorded) = step(&errand, &Outcome::done(), 1);
    assert_eq!(kinds(&recorded.to_order), ["LinesCancelRefused"]);
    let (errand, _) = step(&open_errand(task()), &Outcome::done(), 1);
    let (errand, recorded) = step(&errand, &Outcome::refused("NO", ""), 1);
    assert!(recorded.to_order.is_empty(), "asked again");
    let (_, recorded) = step(&errand, &Outcome::done(), 2);
    assert_eq!(kinds(&recorded.to_order), ["OrderLineCancelled"]);
}

#[test]
fn a_hold_is_told_until_it_is_heard() {
    for (task, name) in [
        (Task::Hold { hold_id: "hold-1".into() }, holding::HOLD),
        (Task::Release { hold_id: "hold-1".into() }, holding::RELEASE),
    ] {
        let errand = open_errand(task);
        assert_eq!(errand::outstanding(&errand)[0].step, name);
        let (errand, _) = step(&errand, &Outcome::refused("NO", ""), 1);
        let (errand, _) = step(&errand, &Outcome::done(), 2);
        assert!(!errand.saga().is_open());
    }
}

fn pieces() -> Pieces {
    let part = part(1, "A", 1);
    Pieces { line: 1, sku: part.sku, quantity: part.quantity }
}

#[test]
fn whatever_happens_a_shipped_order_ends_wholly_shipped_or_wholly_given_back() {
    let mut ends = Ends::default();
    let luck = Luck { lost: 1, cancels: 1, deadlines: 0, zombies: 1, parcels: 1 };
    walk(&placed_rich(&rich()), World::default(), luck, &mut ends);
    assert!(ends.shipped > 10 && ends.cancelled > 100 && ends.rejected > 10, "the walk reached these ends");
    assert!(ends.too_late > 0, "and a cancel that came too late");
}

/// One example of every stored event that a plain sale does not have.
pub(super) fn examples() -> Vec<OrderEvent> {
    let by: Arc<str> = "stf_1".into();
    let order = processing();
    let (shipped_order, shipped) = ship(&order, &everything());
    let mut examples = place(&Order::default(), &rich(), &placing(), at(7));
    let partial = Place { partial_policy: PartialPolicy::ShipAvailable, ..placing() };
    examples.extend(place(&Order::default(), &offer(of_cart()), &partial, at(7)));
    let authorizing = after(&placed_rich(&rich()), &vec![Outcome::done(); 2]);
    examples.extend(record(&authorizing, &next(&authorizing), &needs_action(), 1));
    let asked = asked_for_consent();
    examples.push(OrderEvent::OrderAwaitingCustomer(asked.awaits().expect("asked").as_ref().clone()));
    examples.extend(confirm_partial(&asked, &customer("gst_1"), true, at(9)).expect("in time"));
    examples.extend(undo_window_over(&confirmed()));
    examples.push(OrderEvent::CancelRefused(CancelRefused { reason: "CANCEL_TOO_LATE".into() }));
    examples.push(OrderEvent::CancelRequested(CancelRequested {
        by: by.clone(),
        by_staff: true,
        note: "a note".into(),
    }));
    examples.push(OrderEvent::ParcelShipped(shipped));
    examples.extend(moved(&shipped_order, "shp_1", Whereabouts::Delivered));
    examples.extend(moved(&shipped_order, "shp_1", Whereabouts::Lost));
    for dispute in [Dispute::Opened, Dispute::Won] {
        let dispute_id = "dsp_1".into();
        examples.push(OrderEvent::PaymentDisputed(PaymentDisputed { dispute_id, dispute }));
    }
    examples.push(dispatch::paid(&"shp_1".into(), Money::new(5, gbp())));
    examples
        .push(OrderEvent::OrderCompleted(OrderCompleted { order_id: order_id(), subject: "gst_1".into() }));
    examples.push(OrderEvent::LinesCancelRequested(LinesCancelRequested {
        cancel_id: "c-1".into(),
        by: "gst_1".into(),
        pieces: vec![pieces()].into(),
    }));
    examples.push(OrderEvent::OrderLineCancelled(OrderLineCancelled {
        order_id: order_id(),
        subject: "gst_1".into(),
        cancel_id: "c-1".into(),
        pieces: vec![pieces()].into(),
        total: Money::new(7, gbp()),
    }));
    examples.push(OrderEvent::LinesCancelRefused(LinesCancelRefused {
        cancel_id: "c-1".into(),
        reason: "CANCEL_TOO_LATE".into(),
    }));
    let lost = super::undelivered::with_two_parcels(Whereabouts::Lost);
    examples.extend(resolve(&lost, &super::undelivered::refund("shp_1")).expect("it is lost"));
    examples.push(OrderEvent::ParcelRefunded(ParcelRefunded {
        order_id: order_id(),
        subject: "gst_1".into(),
        shipment_id: "shp_1".into(),
        refund: Money::new(5, gbp()),
    }));
    examples.extend(super::undelivered::examples());
    let amount = Money::new(99, gbp());
    examples.push(OrderEvent::RestVoidRequested(RestVoidRequested { amount }));
    examples.push(crate::void_rest::ended(amount));
    examples.extend(hold(&order, &by, "a note").expect("staff may"));
    let held = apply(&order, &hold(&order, &by, "a note").expect("staff may"));
    examples.extend(release(&held, &by, "a note").expect("staff may"));
    examples.retain(|event| !matches!(event, OrderEvent::SagaMoved(_)));
    examples
}

#[test]
fn golden_files_hold_every_shape_of_errands() {
    let tasks = [
        dispatch_task(),
        Task::Hold { hold_id: "hold-1".into() },
        Task::Release { hold_id: "hold-1".into() },
        Task::CancelLines {
            cancel_id: "c-1".into(),
            pieces: vec![pieces()].into(),
            total: Money::new(7, gbp()),
        },
        Task::VoidRest { amount: Money::new(99, gbp()) },
        Task::Dispatch {
            shipment_id: "shp_2".into(),
            lines: vec![part(1, "A", 2)].into(),
            amount: Money::new(500, gbp()),
            total: Money::new(750, gbp()),
            may_leave_rest: true,
            resend_id: None,
        },
        Task::RefundParcel {
            shipment_id: "shp_1".into(),
            restock: vec![part(1, "A", 2)].into(),
            refund: Money::new(5, gbp()),
        },
        Task::ResendParcel {
            shipment_id: "shp_1".into(),
            resend_id: order_id(),
            pieces: vec![pieces()].into(),
        },
        Task::Dispatch {
            shipment_id: "shp_3".into(),
            lines: vec![part(1, "A", 2)].into(),
            amount: Money::zero(gbp()),
            total: Money::new(849, gbp()),
            may_leave_rest: false,
            resend_id: Some(order_id()),
        },
    ];
    let opened = tasks.into_iter().map(|task| errand::open(order_id(), &"gst_1".into(), task).remove(0));
    let mut examples: Vec<ErrandEvent> = opened.collect();
    examples
        .push(ErrandEvent::ErrandMoved(souk_saga::Event::Started { saga: "dispatch".into(), version: 1 }));
    souk_decider::golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}
