//! The rules of parcels that do not arrive: staff's decision, what is given back, and where the order ends.
use super::life::{everything, open_errand, paid, parcel, part, placed_rich, processing, rich, ship, step};
use super::*;
use crate::domain::errand::{self, Task};
use crate::domain::exchange::Exchange;
use crate::domain::quote::QuoteCreated;
use crate::domain::samples::gbp;
use crate::invariants::{facts, returns_fit, saga_fits_status};
use crate::refund_parcel;
use souk_contracts::terms::ReturnId;
use souk_kernel::{Money, TypeId};

/// Two paid parcels, the first of which came to this.
pub(super) fn with_two_parcels(first_is: Whereabouts) -> Order {
    let (order, first) = ship(&processing(), &parcel("shp_1", vec![part(1, "A", 2)]));
    let (order, second) = ship(&order, &parcel("shp_2", vec![part(2, "B", 1), part(3, "A", 1)]));
    let order = paid(&paid(&order, &first), &second);
    apply(&order, &moved(&order, "shp_1", first_is))
}

pub(super) fn refund(shipment_id: &str) -> Resolve {
    let (by, note) = ("stf_1".into(), "nothing was found".to_owned());
    let resend_id = order_id();
    Resolve { shipment_id: shipment_id.into(), decision: Decision::Refund, by, note, resend_id }
}

fn resolved(order: &Order, shipment_id: &str) -> (Order, Arc<ParcelResolved>) {
    let events = resolve(order, &refund(shipment_id)).expect("it can be decided");
    let OrderEvent::ParcelResolved(resolved) = &events[0] else { panic!("{events:?}") };
    let after = apply(order, &events);
    assert!(returns_fit(&after), "{after:?}");
    (after, resolved.clone())
}

fn given_back(order: &Order, resolved: &ParcelResolved) -> Order {
    let refunded = ParcelRefunded {
        order_id: order_id(),
        subject: "gst_1".into(),
        shipment_id: resolved.shipment_id.clone(),
        refund: resolved.refund,
    };
    let order = apply(order, &[OrderEvent::ParcelRefunded(refunded)]);
    let order = apply(&order, &looked_at(&order));
    assert!(returns_fit(&order) && saga_fits_status(&facts(&order).expect("placed")), "{order:?}");
    order
}

#[test]
fn a_lost_parcel_calls_a_person() {
    let (order, _) = ship(&processing(), &everything());
    let events = moved(&order, "shp_1", Whereabouts::Lost);
    assert_eq!(kinds(&events), ["ParcelMoved", "OrderNeedsAttention"]);
    let order = apply(&order, &events);
    assert!(order.needs_attention() && order.label() == Label::Shipped);
    let seen_to = release(&order, &"stf_1".into(), "sent again").expect("staff may");
    assert!(!apply(&order, &seen_to).needs_attention());
}

/// Of line 1: two pieces less the discount, with tax.
const LINE_1: i64 = 500 - 10 + 7;
/// Of the terms: 300 less 100, with 40 tax.
const SHIPPING: i64 = 240;

#[test]
fn a_lost_parcel_is_worth_its_pieces_and_the_shipping_and_ends_the_order_with_the_others() {
    let order = with_two_parcels(Whereabouts::Lost);
    assert_eq!(order.attention()[0].1, "SHIPMENT_LOST");
    let (order, decided) = resolved(&order, "shp_1");
    assert_eq!(decided.refund, Money::new(LINE_1 + SHIPPING, gbp()));
    assert_eq!((decided.came_back, decided.is_all, decided.with_shipping), (false, false, true));
    assert!(!order.needs_attention() && order.has_open_return());
    assert_eq!(order.fulfilment(), Fulfilment::Partial, "what is lost was not delivered");
    assert_eq!(resolve(&order, &refund("shp_1")), Ok(vec![]), "said twice");
    let order = apply(&order, &moved(&order, "shp_2", Whereabouts::Delivered));
    assert_eq!(order.label(), Label::Shipped, "the money is on its way");
    let order = given_back(&order, &decided);
    assert_eq!((order.label(), order.payment()), (Label::Delivered, Payment::PartiallyRefunded));
    assert!(!order.has_open_return());
    assert_eq!(order.arrived().get(&1), None, "its lines did not arrive");
}

#[test]
fn an_order_of_which_nothing_arrives_is_completed_with_all_its_money_back() {
    let order = apply(&with_two_parcels(Whereabouts::Lost), &[]);
    let order = apply(&order, &moved(&order, "shp_2", Whereabouts::Lost));
    let (order, first) = resolved(&order, "shp_1");
    let (order, second) = resolved(&order, "shp_2");
    let all = first.refund.plus(second.refund).expect("small");
    assert_eq!((Some(all), second.is_all, second.with_shipping), (order.total(), true, false));
    let order = given_back(&given_back(&order, &first), &second);
    assert_eq!((order.label(), order.payment()), (Label::Completed, Payment::Refunded));
    assert_eq!(order.fulfilment(), Fulfilment::Unfulfilled);
    assert!(order.is_over() && !order.needs_attention());
}

#[test]
fn what_the_carrier_brings_back_is_worth_a_tenth_less() {
    let order = with_two_parcels(Whereabouts::ReturnedToSender);
    assert_eq!(order.attention()[0].1, "SHIPMENT_RETURNED_TO_SENDER");
    let (order, decided) = resolved(&order, "shp_1");
    assert_eq!((decided.worth, decided.came_back), (Money::new(LINE_1, gbp()), true));
    assert_eq!(decided.refund, Money::new(LINE_1 - LINE_1 / 10, gbp()));
    assert_eq!(order.fulfilment(), Fulfilment::PartiallyReturned);
    let (whole, shipped) = ship(&processing(), &everything());
    let whole = paid(&whole, &shipped);
    let whole = apply(&whole, &moved(&whole, "shp_1", Whereabouts::ReturnedToSender));
    let (whole, decided) = resolved(&whole, "shp_1");
    assert_eq!(
        (Some(decided.worth), decided.is_all),
        (whole.total(), true),
        "shipping goes back with the last"
    );
    let whole = given_back(&whole, &decided);
    assert_eq!((whole.label(), whole.fulfilment()), (Label::Completed, Fulfilment::Returned));
}

#[test]
fn a_parcel_that_turns_up_after_it_was_given_up_calls_a_person_and_is_not_refunded_twice() {
    let (order, decided) = resolved(&with_two_parcels(Whereabouts::Lost), "shp_1");
    let order = given_back(&order, &decided);
    let events = moved(&order, "shp_1", Whereabouts::Delivered);
    assert_eq!(kinds(&events), ["ParcelMoved", "OrderNeedsAttention"]);
    let order = apply(&order, &events);
    assert_eq!(order.attention()[0].1, LOST_PARCEL_ARRIVED);
    assert_eq!(resolve(&order, &refund("shp_1")), Ok(vec![]), "it stays decided");
    let again = order.may_come_back(&[(1, 1)].into(), None).expect_err("its money went back");
    assert_eq!(again.reason, "RETURN_EXCEEDS_DELIVERED");
    let order = apply(&order, &moved(&order, "shp_2", Whereabouts::Delivered));
    assert!(order.may_come_back(&[(2, 1)].into(), None).is_ok(), "the others come back as ever");
    assert!(returns_fit(&order) && order.label() == Label::Delivered);
}

#[test]
fn a_parcel_that_turns_up_before_anybody_decided_just_arrives() {
    let order = with_two_parcels(Whereabouts::Lost);
    let order = apply(&order, &moved(&order, "shp_1", Whereabouts::Delivered));
    assert!(!order.needs_attention());
    assert_eq!(resolve(&order, &refund("shp_1")).expect_err("it arrived").reason, "PARCEL_NOT_LOST");
    let back = with_two_parcels(Whereabouts::Lost);
    let back = apply(&back, &moved(&back, "shp_1", Whereabouts::ReturnedToSender));
    let reasons: Vec<_> = back.attention().iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["SHIPMENT_RETURNED_TO_SENDER"], "it is found, and somebody must see to it");
}

#[test]
fn only_what_is_lost_and_paid_for_is_refunded() {
    let refused = |order: &Order, shipment| resolve(order, &refund(shipment)).expect_err("refused").reason;
    let order = with_two_parcels(Whereabouts::InTransit);
    assert_eq!(refused(&order, "shp_1"), "PARCEL_NOT_LOST");
    assert_eq!(refused(&order, "shp_9"), "NOT_FOUND");
    assert_eq!(refused(&Order::default(), "shp_1"), "NOT_FOUND");
    let (unpaid, _) = ship(&processing(), &everything());
    let unpaid = apply(&unpaid, &moved(&unpaid, "shp_1", Whereabouts::Lost));
    assert_eq!(refused(&unpaid, "shp_1"), "RETURN_NOT_PAID");
}

#[test]
fn stock_comes_in_before_money_goes_and_a_refused_refund_calls_a_person() {
    let task = || Task::RefundParcel {
        shipment_id: "shp_1".into(),
        restock: vec![part(1, "A", 2)].into(),
        refund: Money::new(447, gbp()),
    };
    let (errand, recorded) = step(&open_errand(task()), &Outcome::refused("NO", ""), 1);
    assert!(recorded.to_order.is_empty(), "it is here, whatever the books say");
    let (errand, _) = step(&errand, &Outcome::done(), 2);
    assert_eq!(errand::outstanding(&errand)[0].step, refund_parcel::REFUND_PARCEL);
    let (errand, recorded) = step(&errand, &Outcome::refused("REFUND_FAILED", "card_expired"), 1);
    assert_eq!(kinds(&recorded.to_order), ["OrderNeedsAttention"]);
    let (by, reason) = ("stf_1".to_owned(), "paid in cash".to_owned());
    let operation = souk_saga::Operation::Skip;
    let act = souk_saga::Intervention { operation, step: None, by, reason };
    let moves = errand.saga().intervene(refund_parcel::definition(), &act).expect("it is stuck");
    let told = errand::with_consequences(&errand, moves).to_order;
    let OrderEvent::ParcelRefunded(refunded) = &told[0] else { panic!("{told:?}") };
    assert_eq!(refunded.refund, Money::zero(gbp()), "nobody claims that money went");
}

fn resend(shipment_id: &str) -> Resolve {
    Resolve { decision: Decision::Resend, ..refund(shipment_id) }
}

/// Pieces of the first parcel leave again.
fn leave_again(order: &Order, shipment_id: &str, lines: Vec<ShippedLine>) -> Order {
    let again = Some(Again { instead_of: "shp_1".into(), resend_id: order_id() });
    let handed = HandedOver { again, ..parcel(shipment_id, lines) };
    let (order, shipped) = ship(order, &handed);
    assert_eq!((shipped.amount, shipped.is_last), (Money::zero(gbp()), false), "nothing more is taken");
    assert_eq!(handed_over(&order, &handed), None, "once");
    paid(&order, &shipped)
}

fn resent() -> OrderEvent {
    OrderEvent::ParcelResent(ParcelResent { shipment_id: "shp_1".into(), resend_id: order_id() })
}

#[test]
fn a_lost_parcel_is_sent_again_and_the_order_waits_for_it() {
    let order = with_two_parcels(Whereabouts::Lost);
    let order = apply(&order, &resolve(&order, &resend("shp_1")).expect("it is lost"));
    assert!(!order.needs_attention() && order.has_open_return());
    assert_eq!(resolve(&order, &resend("shp_1")), Ok(vec![]), "said twice");
    assert_eq!(resolve(&order, &refund("shp_1")).expect_err("decided").reason, "PARCEL_RESOLVED");
    let order = apply(&order, &[resent()]);
    assert!(!order.has_open_return());
    let order = apply(&order, &moved(&order, "shp_2", Whereabouts::Delivered));
    let order = leave_again(&order, "shp_3", vec![part(1, "A", 1)]);
    let order = apply(&order, &moved(&order, "shp_3", Whereabouts::Delivered));
    assert_eq!(order.label(), Label::Shipped, "a piece is missing");
    let order = leave_again(&order, "shp_4", vec![part(1, "A", 1)]);
    assert_eq!(order.fulfilment(), Fulfilment::Fulfilled);
    let order = apply(&order, &moved(&order, "shp_4", Whereabouts::Delivered));
    assert_eq!((order.label(), order.payment()), (Label::Delivered, Payment::Captured));
    assert_eq!(order.arrived()[&1], 2);
    let late = apply(&order, &moved(&order, "shp_1", Whereabouts::Delivered));
    assert_eq!(late.attention()[0].1, LOST_PARCEL_ARRIVED);
    assert_eq!(late.arrived()[&1], 2, "no more comes back than was sold");
    assert!(returns_fit(&late) && crate::invariants::captured_is_what_left(&late));
}

#[test]
fn what_is_lost_twice_is_refunded_once() {
    let order = with_two_parcels(Whereabouts::Lost);
    let order = apply(&order, &resolve(&order, &resend("shp_1")).expect("it is lost"));
    let order = leave_again(&apply(&order, &[resent()]), "shp_3", vec![part(1, "A", 2)]);
    let order = apply(&order, &moved(&order, "shp_3", Whereabouts::Lost));
    let (order, decided) = resolved(&order, "shp_3");
    assert_eq!(decided.refund, Money::new(LINE_1 + SHIPPING, gbp()));
    let order = apply(&order, &moved(&order, "shp_2", Whereabouts::Delivered));
    assert_eq!(given_back(&order, &decided).label(), Label::Delivered);
}

#[test]
fn stock_that_is_lacking_leaves_the_decision_open() {
    let task = || Task::ResendParcel {
        shipment_id: "shp_1".into(),
        resend_id: order_id(),
        pieces: with_two_parcels(Whereabouts::Lost).parcels()[0].pieces(),
    };
    let lost = with_two_parcels(Whereabouts::Lost);
    let order = apply(&lost, &resolve(&lost, &resend("shp_1")).expect("it is lost"));
    let (errand, recorded) =
        step(&open_errand(task()), &Outcome::refused("INSUFFICIENT_STOCK", "A: 0 of 2"), 1);
    assert!(recorded.to_order.is_empty());
    let (_, recorded) = step(&errand, &Outcome::done(), 1);
    let OrderEvent::ResendRefused(refused) = &recorded.to_order[0] else { panic!("{recorded:?}") };
    assert_eq!((refused.reason.as_str(), refused.detail.as_str()), ("INSUFFICIENT_STOCK", "A: 0 of 2"));
    let order = apply(&order, &recorded.to_order);
    assert_eq!(order.attention()[0].1, "SHIPMENT_LOST");
    assert!(resolve(&order, &refund("shp_1")).is_ok() && resolve(&order, &resend("shp_1")).is_ok());
    let (errand, _) = step(&open_errand(task()), &Outcome::done(), 1);
    let (errand, _) = step(&errand, &Outcome::done(), 1);
    let (errand, recorded) = step(&errand, &Outcome::refused("UNKNOWN_RATE", ""), 1);
    assert!(recorded.to_order.is_empty() && errand.saga().is_open(), "shipping is asked again");
    let (_, recorded) = step(&errand, &Outcome::done(), 2);
    assert_eq!(kinds(&recorded.to_order), ["ParcelResent"]);
}

#[test]
fn what_came_back_is_not_sent_again() {
    let back = with_two_parcels(Whereabouts::ReturnedToSender);
    assert_eq!(resolve(&back, &resend("shp_1")).expect_err("the same address").reason, "NOT_OFFERED");
}

#[test]
fn the_parcel_of_an_exchange_is_sent_again_and_never_refunded() {
    let plain = rich();
    let mut terms = (**plain.terms.as_ref().expect("it has them")).clone();
    terms.coupons.clear();
    let (return_id, order_id) = (ReturnId::from_uuid(order_id().uuid()), order_id());
    let value_minor = plain.total.minor_units();
    terms.exchange = Some(Exchange { return_id, order_id, paid_by: order_id, value_minor });
    let nothing = Money::zero(plain.total.currency());
    let offer = QuoteCreated { total: nothing, terms: Some(Arc::new(terms)), ..plain };
    // Reserved and committed; nothing is authorised.
    let order = after(&placed_rich(&offer), &vec![Outcome::done(); 2]);
    let order = apply(&order, &undo_window_over(&order));
    let order = after(&order, &[Outcome::done()]);
    let (order, shipped) = ship(&order, &parcel("shp_1", vec![part(1, "A", 2)]));
    let order = paid(&order, &shipped);
    for at in [Whereabouts::Lost, Whereabouts::ReturnedToSender] {
        let order = apply(&order, &moved(&order, "shp_1", at));
        assert_eq!(resolve(&order, &refund("shp_1")).expect_err("nothing was paid").reason, "NOT_OFFERED");
        assert_eq!(kinds(&resolve(&order, &resend("shp_1")).expect("it can")), ["ParcelResolved"]);
    }
}

/// Examples of what is stored of parcels that are sent again.
pub(super) fn examples() -> Vec<OrderEvent> {
    let lost = with_two_parcels(Whereabouts::Lost);
    let mut examples = resolve(&lost, &resend("shp_1")).expect("it is lost");
    let order = apply(&lost, &examples);
    let again = Some(Again { instead_of: "shp_1".into(), resend_id: order_id() });
    let handed = HandedOver { again, ..parcel("shp_3", vec![part(1, "A", 2)]) };
    examples.push(OrderEvent::ParcelShipped(handed_over(&order, &handed).expect("it leaves")));
    examples.push(resent());
    examples.push(OrderEvent::ResendRefused(ResendRefused {
        shipment_id: "shp_1".into(),
        resend_id: order_id(),
        reason: "INSUFFICIENT_STOCK".into(),
        detail: "A: 0 of 2".into(),
    }));
    examples
}
