//! What an order becomes when a person retries, skips or resolves at one of its sagas.
use super::*;
use crate::domain::samples::{at, customer, of_cart, offer, order_id};
use crate::invariants::{facts, nothing_kept, saga_fits_status};
use souk_saga::{ATTEMPTS_UNTIL_OPERATOR, Definition, Intervention, Operation};

fn apply(order: &Order, events: &[OrderEvent]) -> Order {
    let mut after = order.clone();
    events.iter().for_each(|event| after.evolve(event));
    after
}

/// The order after these outcomes of whatever was outstanding; silence lasts until a person is called.
fn after(order: &Order, outcomes: &[Outcome]) -> Order {
    outcomes.iter().fold(order.clone(), |order, outcome| {
        let intent = outstanding(&order).remove(0);
        apply(&order, &record(&order, &intent, outcome, ATTEMPTS_UNTIL_OPERATOR, at(8)))
    })
}

fn placed() -> Order {
    let placing = Place {
        order_id: order_id(),
        placed_by: "gst_1".into(),
        payment_method_token: "ok".into(),
        partial_policy: PartialPolicy::AllOrNothing,
    };
    apply(&Order::default(), &place(&Order::default(), &offer(of_cart()), &placing, at(7)))
}

fn refused_capture() -> Order {
    let done = Outcome::done;
    after(&placed(), &[done(), done(), done(), Outcome::refused("CAPTURE_REFUSED", "")])
}

fn acted(order: &Order, definition: &Definition, progress: &Progress, operation: Operation) -> Order {
    let (by, reason) = ("stf_1".to_owned(), "seen to it".to_owned());
    let intervention = Intervention { operation, step: None, by, reason };
    let moves = progress.intervene(definition, &intervention).expect("it waits for a person");
    let acted = apply(order, &moved_by_hand(order, moves));
    let facts = facts(&acted).expect("it was placed");
    assert!(saga_fits_status(&facts) && nothing_kept(&facts), "{facts:?}");
    assert!(![&acted.place, &acted.cancel].into_iter().any(|saga| saga.stuck().is_some()));
    acted
}

fn at_place(order: &Order, operation: Operation) -> Order {
    acted(order, placing::definition(order.place().version()), order.place(), operation)
}

#[test]
fn a_refused_capture_holds_the_order_once_and_calls_a_person() {
    let held = refused_capture();
    assert_eq!((held.label(), held.payment()), (Label::OnHold, Payment::Failed));
    assert_eq!(held.attention(), [(Arc::from(placing::CAPTURE), CAPTURE_REFUSED.to_owned())]);
    let again = after(&at_place(&held, Operation::Retry), &[Outcome::refused("CAPTURE_REFUSED", "")]);
    assert_eq!((again.holds().len(), again.attention().len()), (1, 1), "once");
    let silent = after(&placed(), &vec![Outcome::done(); 3]);
    let silent = after(&silent, &[Outcome::unknown("silence")]);
    assert_eq!(
        (silent.label(), silent.payment()),
        (Label::Confirmed, Payment::Authorized),
        "no answer, no no"
    );
}

#[test]
fn a_refused_capture_is_asked_for_again() {
    let retried = at_place(&refused_capture(), Operation::Retry);
    assert_eq!(outstanding(&retried)[0].step, placing::CAPTURE);
    let captured = after(&retried, &[Outcome::done()]);
    assert_eq!((captured.payment(), captured.is_over()), (Payment::Captured, true));
    assert_eq!((captured.label(), captured.needs_attention()), (Label::Confirmed, false), "the hold ends");
    assert!(!facts(&captured).expect("placed").by_hand);
}

#[test]
fn a_skipped_capture_ends_the_sale_without_claiming_that_money_came() {
    for operation in [Operation::Skip, Operation::Resolve] {
        let over = at_place(&refused_capture(), operation);
        let state = (over.label(), over.payment(), over.is_over());
        assert_eq!(state, (Label::Confirmed, Payment::Authorized, true), "{operation}");
        assert!(!over.needs_attention(), "{operation}");
    }
}

#[test]
fn a_way_back_that_is_ended_by_hand_keeps_the_reason_of_the_sale_and_the_word_of_the_customer() {
    let short = Outcome::refused("INSUFFICIENT_STOCK", "A: 1 of 3");
    let stuck = after(&placed(), &[short, Outcome::unknown("silence")]);
    for operation in [Operation::Skip, Operation::Resolve] {
        let over = at_place(&stuck, operation);
        assert_eq!((over.label(), over.reason()), (Label::Rejected, ("INSUFFICIENT_STOCK", "A: 1 of 3")));
        assert!(over.is_over());
    }
    let asked = Cancel { caller: customer("gst_1"), by: "gst_1".into(), note: String::new() };
    let called_off = apply(&placed(), &cancel(&placed(), &asked).expect("it can be cancelled"));
    let stuck = after(&called_off, &[Outcome::unknown("silence")]);
    assert_eq!(at_place(&stuck, Operation::Resolve).label(), Label::Cancelled);
}

#[test]
fn a_cancel_that_is_ended_by_hand_is_a_cancelled_order() {
    let asked = Cancel { caller: customer("gst_1"), by: "gst_1".into(), note: String::new() };
    let paid = after(&placed(), &[Outcome::done(), Outcome::done(), Outcome::done(), Outcome::done()]);
    let called_off = apply(&paid, &cancel(&paid, &asked).expect("it can be cancelled"));
    let stuck = after(&called_off, &[Outcome::done(), Outcome::refused("REFUND_REFUSED", "")]);
    for operation in [Operation::Skip, Operation::Resolve] {
        let over = acted(&stuck, cancelling::definition(1), stuck.cancel(), operation);
        assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Captured));
        assert!(over.is_over() && facts(&over).expect("placed").by_hand);
    }
}
