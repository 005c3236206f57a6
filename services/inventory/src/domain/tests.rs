//! Given what happened, when a command comes, then that happens: it does, it refuses, it stays quiet.
mod moving;

use super::*;
use crate::invariants;
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_decider::testing::{Given, golden};
use souk_decider::{Aggregate, fold};
use souk_kernel::Timestamp;

fn sku(text: &str) -> Sku {
    Sku::try_new(text).expect("a SKU")
}

fn place(text: &str) -> Location {
    Location::try_new(text).expect("a location")
}

fn quantity(pieces: u32) -> Quantity {
    Quantity::try_new(pieces).expect("a quantity")
}

fn wanted(lines: &[(u32, &str, u32)]) -> Arc<[WantedLine]> {
    let line = |&(line, what, pieces): &(u32, &str, u32)| WantedLine {
        line,
        sku: sku(what),
        quantity: quantity(pieces),
    };
    lines.iter().map(line).collect()
}

fn allocated(lines: &[(u32, &str, u32, &str)]) -> Arc<[AllocatedLine]> {
    let line = |&(line, what, pieces, at): &(u32, &str, u32, &str)| AllocatedLine {
        line,
        sku: sku(what),
        quantity: quantity(pieces),
        location: place(at),
    };
    lines.iter().map(line).collect()
}

fn portion(what: &str, at: &str, quantity: i64) -> Portion {
    Portion { sku: sku(what), location: place(at), quantity }
}

fn short(what: &str, wanted: i64, available: i64) -> Shortage {
    Shortage { sku: sku(what), wanted, available }
}

/// Shelves of (SKU, location, on hand, reserved).
fn stock(shelves: &[(&str, &str, i64, i64)]) -> Stock {
    let mut stock = Stock::default();
    for &(what, at, on_hand, reserved) in shelves {
        stock.put(sku(what), Shelf::new(place(at), on_hand, reserved));
    }
    stock
}

const EXPIRES: Timestamp = Timestamp::from_unix_s(1_000);

fn reserved(lines: &[(u32, &str, u32, &str)]) -> ReservationEvent {
    ReservationEvent::StockReserved(StockReserved {
        lines: allocated(lines),
        expires_at: EXPIRES,
        wanted: Arc::default(),
        shortages: Arc::default(),
        backordered: Arc::default(),
        levels: Arc::default(),
    })
}

fn committed() -> ReservationEvent {
    ReservationEvent::ReservationCommitted(ReservationCommitted {})
}

fn released(freed: &[Portion]) -> ReservationEvent {
    ReservationEvent::ReservationReleased(ReservationReleased {
        reason: "test".into(),
        freed: freed.into(),
        unqueued: Arc::default(),
        levels: Arc::default(),
    })
}

fn expired(freed: &[Portion]) -> ReservationEvent {
    ReservationEvent::ReservationExpired(ReservationExpired {
        freed: freed.into(),
        unqueued: Arc::default(),
        levels: Arc::default(),
    })
}

fn re_reserved(lines: &[(u32, &str, u32, &str)]) -> ReservationEvent {
    ReservationEvent::ReservationReReserved(ReservationReReserved {
        lines: allocated(lines),
        backordered: Arc::default(),
        levels: Arc::default(),
    })
}

fn refused(reason: RefusalReason, shortages: &[Shortage], wanted: Arc<[WantedLine]>) -> ReservationEvent {
    let shortages = shortages.into();
    ReservationEvent::ReservationRefused(ReservationRefused { reason, shortages, wanted })
}

/// One piece of `a`, held at `main`; what it frees; and what asked for it.
fn held() -> ReservationEvent {
    reserved(&[(1, "a", 2, "main")])
}

fn freed() -> [Portion; 1] {
    [portion("a", "main", 2)]
}

fn ask() -> Arc<[WantedLine]> {
    wanted(&[(1, "a", 2)])
}

/// Everything that a reservation can be after it was granted.
fn after_grant() -> Vec<Vec<ReservationEvent>> {
    let lapsed = ReservationEvent::CommitRefused(CommitRefused { shortages: [short("a", 2, 0)].into() });
    let again = re_reserved(&[(1, "a", 2, "north")]);
    vec![
        vec![held()],
        vec![held(), committed()],
        vec![held(), expired(&freed())],
        vec![held(), expired(&freed()), lapsed],
        vec![held(), expired(&freed()), again, committed()],
    ]
}

fn reserve(
    events: Vec<ReservationEvent>,
    lines: Arc<[WantedLine]>,
    shelves: &[(&str, &str, i64, i64)],
) -> souk_decider::testing::Outcome<Reservation, souk_kernel::Rejection> {
    Given::<Reservation>::events(events)
        .when(|state| state.reserve(&lines, Policy::AllOrNothing, &stock(shelves), EXPIRES))
}

#[test]
fn reserve_promises_all_lines_and_keeps_their_numbers() {
    let lines = wanted(&[(9, "a", 2), (3, "b", 1), (4, "a", 1)]);
    let shelves = [("a", "main", 5, 2), ("b", "main", 1, 0)];
    let granted = [(9, "a", 2, "main"), (3, "b", 1, "main"), (4, "a", 1, "main")];
    let after = reserve(vec![], lines, &shelves).then(vec![reserved(&granted)]);
    let answer = after.reserve_answer().expect("answered");
    assert_eq!((answer.status, answer.expires_at, answer.refusal), (Status::Held, Some(EXPIRES), None));
}

#[test]
fn reserve_sums_the_lines_of_a_sku_and_refuses_all_or_nothing() {
    let lines = wanted(&[(1, "b", 1), (2, "a", 2), (3, "a", 2)]);
    let shelves = [("a", "main", 5, 2), ("b", "main", 1, 0)];
    let no = refused(RefusalReason::InsufficientStock, &[short("a", 4, 3)], lines.clone());
    let after = reserve(vec![], lines, &shelves).then(vec![no]);
    let answer = after.reserve_answer().expect("answered");
    assert_eq!(answer.status, Status::Refused);
    assert_eq!(answer.refusal.map(|refusal| refusal.reason.as_str()), Some("INSUFFICIENT_STOCK"));
    assert!(after.open_lines().is_empty());
}

#[test]
fn an_unknown_sku_is_never_available() {
    let lines = wanted(&[(1, "a", 9), (2, "ghost", 1)]);
    let no = refused(RefusalReason::UnknownSku, &[short("ghost", 1, 0)], lines.clone());
    reserve(vec![], lines, &[("a", "main", 1, 0)]).then(vec![no]);
}

#[test]
fn a_known_sku_that_is_sold_out_is_short_and_not_unknown() {
    let no = refused(RefusalReason::InsufficientStock, &[short("a", 2, 0)], ask());
    reserve(vec![], ask(), &[("a", "main", 0, 0)]).then(vec![no]);
}

#[test]
fn a_line_goes_whole_to_the_first_location_by_name_that_has_all_of_it() {
    let shelves = [("a", "south", 7, 0), ("a", "north", 3, 0), ("a", "east", 2, 0)];
    let lines = wanted(&[(1, "a", 3), (2, "a", 1), (3, "a", 4)]);
    let granted = [(1, "a", 3, "north"), (2, "a", 1, "east"), (3, "a", 4, "south")];
    reserve(vec![], lines, &shelves).then(vec![reserved(&granted)]);
}

#[test]
fn a_line_is_split_only_when_no_location_has_all_of_it() {
    let shelves = [("a", "south", 2, 0), ("a", "north", 4, 1), ("a", "east", 1, 1)];
    let granted = [(7, "a", 3, "north"), (7, "a", 1, "south")];
    let after = reserve(vec![], wanted(&[(7, "a", 4)]), &shelves).then(vec![reserved(&granted)]);
    assert_eq!(
        after.grant().map(Grant::wanted),
        Some(wanted(&[(7, "a", 4)])),
        "the parts are one line again"
    );
}

#[test]
fn a_repeated_reserve_gets_its_grant_whatever_became_of_it() {
    for events in after_grant() {
        let state: Reservation = fold(&events);
        let answer = state.reserve_answer().expect("answered");
        assert_eq!((answer.status, answer.expires_at), (Status::Held, Some(EXPIRES)), "{events:?}");
        assert_eq!(answer.lines, allocated(&[(1, "a", 2, "main")]), "{events:?}");
        reserve(events, ask(), &[]).then_nothing();
    }
}

#[test]
fn a_refusal_stands_even_when_stock_comes_back() {
    let no = refused(RefusalReason::InsufficientStock, &[short("a", 2, 0)], ask());
    reserve(vec![no.clone()], ask(), &[("a", "main", 100, 0)]).then_nothing();
    reserve(vec![no], wanted(&[(1, "a", 1)]), &[]).then_rejects("RESERVATION_CONFLICT");
}

#[test]
fn other_lines_under_the_same_key_are_a_conflict() {
    for events in after_grant() {
        for other in [wanted(&[(1, "a", 1)]), wanted(&[(2, "a", 2)]), wanted(&[(1, "b", 2)])] {
            reserve(events.clone(), other, &[("a", "main", 9, 0)]).then_rejects("RESERVATION_CONFLICT");
        }
    }
}

#[test]
fn a_release_before_the_request_wins() {
    reserve(vec![released(&[])], ask(), &[("a", "main", 9, 0)]).then_nothing();
    for events in [vec![released(&[])], vec![held(), released(&freed())]] {
        let answer = fold::<Reservation>(&events).reserve_answer().expect("answered");
        assert_eq!(answer.status, Status::Refused);
        assert_eq!(answer.refusal.map(|refusal| refusal.reason), Some(RefusalReason::ReservationReleased));
    }
}

fn commit(
    events: Vec<ReservationEvent>,
    shelves: Option<&[(&str, &str, i64, i64)]>,
) -> souk_decider::testing::Outcome<Reservation, souk_kernel::Rejection> {
    Given::<Reservation>::events(events).when(|state| state.commit(shelves.map(stock).as_ref()))
}

#[test]
fn commit_makes_a_held_reservation_final_and_repeats_quietly() {
    let after = commit(vec![held()], None).then(vec![committed()]);
    let answer = after.commit_answer().expect("answered");
    assert_eq!((answer.status, answer.expires_at), (Status::Committed, None));
    assert_eq!(after.open_lines().len(), 1);
    commit(vec![held(), committed()], None).then_nothing();
}

#[test]
fn commit_of_an_expired_reservation_must_see_the_shelves() {
    commit(vec![held(), expired(&freed())], None).then_rejects(STOCK_NOT_READ);
}

#[test]
fn commit_of_an_expired_reservation_reserves_again_if_the_stock_is_there() {
    let again = re_reserved(&[(1, "a", 2, "north")]);
    let after = commit(vec![held(), expired(&freed())], Some(&[("a", "main", 2, 1), ("a", "north", 2, 0)]))
        .then(vec![again, committed()]);
    let answer = after.commit_answer().expect("answered");
    assert_eq!(answer.status, Status::Committed);
    assert_eq!(answer.lines, allocated(&[(1, "a", 2, "north")]), "the places are the new ones");
}

#[test]
fn commit_of_an_expired_reservation_whose_stock_is_gone_is_refused_for_ever() {
    let no = ReservationEvent::CommitRefused(CommitRefused { shortages: [short("a", 2, 1)].into() });
    let events = vec![held(), expired(&freed())];
    let after = commit(events.clone(), Some(&[("a", "main", 3, 2)])).then(vec![no.clone()]);
    let answer = after.commit_answer().expect("answered");
    assert_eq!(answer.status, Status::Expired);
    assert_eq!(answer.refusal.map(|refusal| refusal.reason.as_str()), Some("RESERVATION_EXPIRED"));
    let late: Vec<_> = events.into_iter().chain([no]).collect();
    commit(late, Some(&[("a", "main", 9, 0)])).then_nothing();
}

#[test]
fn commit_of_what_is_released_refused_or_unknown_is_refused() {
    let unknown = refused(RefusalReason::ReservationUnknown, &[], [].into());
    let after = commit(vec![], None).then(vec![unknown.clone()]);
    assert_eq!(after.commit_answer().map(|answer| answer.status), Some(Status::Refused));
    reserve(vec![unknown], ask(), &[("a", "main", 9, 0)]).then_nothing();

    let no = refused(RefusalReason::UnknownSku, &[short("a", 2, 0)], ask());
    for (events, reason) in [
        (vec![held(), released(&freed())], "RESERVATION_RELEASED"),
        (vec![released(&[])], "RESERVATION_RELEASED"),
        (vec![no], "UNKNOWN_SKU"),
    ] {
        let answer = fold::<Reservation>(&events).commit_answer().expect("answered");
        assert_eq!(answer.status, Status::Refused);
        assert_eq!(answer.refusal.map(|refusal| refusal.reason.as_str()), Some(reason));
        commit(events, Some(&[("a", "main", 9, 0)])).then_nothing();
    }
}

fn release(
    events: Vec<ReservationEvent>,
) -> souk_decider::testing::Outcome<Reservation, souk_kernel::Rejection> {
    Given::<Reservation>::events(events).when(|state| Ok(state.release("test")))
}

#[test]
fn release_gives_back_what_is_held() {
    let after = release(vec![held()]).then(vec![released(&freed())]);
    assert_eq!(after.current().map(|answer| answer.status), Some(Status::Released));
    release(vec![held(), committed()]).then(vec![released(&freed())]);
    release(vec![held(), expired(&freed())]).then(vec![released(&[])]);
    let lines = [(1, "b", 1, "main"), (2, "a", 2, "main"), (3, "a", 3, "main"), (4, "a", 1, "east")];
    let sums = [portion("a", "east", 1), portion("a", "main", 5), portion("b", "main", 1)];
    release(vec![reserved(&lines)]).then(vec![released(&sums)]);
}

#[test]
fn release_gives_back_the_places_that_were_reserved_again() {
    let re_reserved = after_grant().pop().expect("the last one was reserved again");
    release(re_reserved).then(vec![released(&[portion("a", "north", 2)])]);
}

#[test]
fn release_of_an_unknown_reservation_leaves_a_tombstone() {
    let after = release(vec![]).then(vec![released(&[])]);
    assert_eq!(after.current().map(|answer| answer.status), Some(Status::Released));
}

#[test]
fn release_repeats_quietly_and_leaves_refusals_as_they_are() {
    release(vec![held(), released(&freed())]).then_nothing();
    release(vec![released(&[])]).then_nothing();
    release(vec![refused(RefusalReason::InsufficientStock, &[], ask())]).then_nothing();
    let lapsed = ReservationEvent::CommitRefused(CommitRefused { shortages: [].into() });
    release(vec![held(), expired(&freed()), lapsed]).then_nothing();
}

#[test]
fn expiry_ends_only_what_is_still_held() {
    let expire = |events| {
        Given::<Reservation>::events(events).when(|state| Ok::<_, souk_kernel::Rejection>(state.expire()))
    };
    let after = expire(vec![held()]).then(vec![expired(&freed())]);
    assert_eq!(after.current().map(|answer| answer.status), Some(Status::Expired));
    assert!(after.open_lines().is_empty());
    expire(vec![]).then_nothing();
    expire(vec![held(), released(&freed())]).then_nothing();
    for events in after_grant().into_iter().skip(1) {
        expire(events).then_nothing();
    }
}

fn line(what: &str, quantity: i64) -> ReceivedLine {
    ReceivedLine { sku: sku(what), quantity }
}

fn receive(
    before: Vec<ReceiptEvent>,
    lines: &[ReceivedLine],
    shelves: &[(&str, &str, i64, i64)],
) -> souk_decider::testing::Outcome<Receipt, souk_kernel::Rejection> {
    let wish = Receive { location: place("main"), lines: lines.into() };
    Given::<Receipt>::events(before).when(|state| state.receive(&wish, &stock(shelves)))
}

fn received(lines: &[ReceivedLine]) -> ReceiptEvent {
    let levels = Arc::default();
    ReceiptEvent::StockReceived(StockReceived { location: place("main"), lines: lines.into(), levels })
}

#[test]
fn a_receipt_is_booked_once() {
    let lines = [line("a", 5), line("b", 1), line("a", 2)];
    receive(vec![], &lines, &[]).then(vec![received(&lines)]);
    receive(vec![received(&lines)], &lines, &[]).then_nothing();
    receive(vec![received(&lines)], &lines[..2], &[]).then_rejects("RECEIPT_CONFLICT");
    let elsewhere = Receive { location: place("east"), lines: lines.clone().into() };
    Given::<Receipt>::events(vec![received(&lines)])
        .when(|state| state.receive(&elsewhere, &Stock::default()))
        .then_rejects("RECEIPT_CONFLICT");
}

#[test]
fn a_receipt_that_overfills_a_location_is_refused_whole() {
    let lines = [line("b", 1), line("a", 6), line("a", 5)];
    let room_for = |pieces| [("a", "main", ON_HAND_MAX - pieces, 0), ("a", "east", 7, 0)];
    receive(vec![], &lines, &room_for(11)).then(vec![received(&lines)]);
    let refusal = receive(vec![], &lines, &room_for(10)).then_rejects("STOCK_OVERFLOW");
    assert_eq!(refusal.metadata["sku"], "a");
    receive(vec![], &[line("a", i64::MAX), line("a", i64::MAX)], &[]).then_rejects("STOCK_OVERFLOW");
}

#[test]
fn a_sku_lies_at_a_limited_number_of_locations() {
    let mut full = Stock::default();
    for n in 0..LOCATIONS_MAX {
        full.put(sku("a"), Shelf::new(place(&format!("shop-{n}")), 1, 0));
    }
    let receive = |at: &str| {
        let wish = Receive { location: place(at), lines: [line("a", 1)].into() };
        Given::<Receipt>::nothing().when(|state| state.receive(&wish, &full))
    };
    receive("one-more").then_rejects("TOO_MANY_LOCATIONS");
    receive("shop-7").then_events(|events| assert_eq!(events.len(), 1));
    Given::<Adjustment>::nothing()
        .when(|state| state.adjust(&wish("one-more", 1), &full))
        .then_rejects("TOO_MANY_LOCATIONS");
}

fn wish(at: &str, delta: i64) -> Adjust {
    Adjust { sku: sku("a"), location: place(at), delta, reason: "count".into(), quarantine: false }
}

fn adjusted(at: &str, delta: i64, on_hand: i64, reserved: i64) -> AdjustmentEvent {
    let Adjust { sku, location, delta, reason, quarantine } = wish(at, delta);
    let level = Level { on_hand, reserved, ..Level::default() };
    AdjustmentEvent::StockAdjusted(StockAdjusted { sku, location, delta, reason, level, quarantine })
}

fn adjust(
    before: Vec<AdjustmentEvent>,
    wish: Adjust,
) -> souk_decider::testing::Outcome<Adjustment, souk_kernel::Rejection> {
    let shelves = stock(&[("a", "main", 10, 4), ("a", "east", 3, 0)]);
    Given::<Adjustment>::events(before).when(|state| state.adjust(&wish, &shelves))
}

#[test]
fn an_adjustment_is_booked_once_and_remembers_its_level() {
    adjust(vec![], wish("main", 5)).then(vec![adjusted("main", 5, 18, 4)]);
    adjust(vec![], wish("main", -6)).then(vec![adjusted("main", -6, 7, 4)]);
    adjust(vec![], wish("north", 1)).then(vec![adjusted("north", 1, 14, 4)]);
    adjust(vec![adjusted("main", 5, 18, 4)], wish("main", 5)).then_nothing();
    adjust(vec![adjusted("main", 5, 18, 4)], wish("main", 6)).then_rejects("ADJUSTMENT_CONFLICT");
}

#[test]
fn an_adjustment_never_goes_below_what_is_promised_nor_over_the_limit() {
    let refusal = adjust(vec![], wish("main", -7)).then_rejects("BELOW_RESERVED");
    assert_eq!((&*refusal.metadata["on_hand"], &*refusal.metadata["reserved"]), ("10", "4"));
    adjust(vec![], wish("north", -1)).then_rejects("BELOW_RESERVED");
    adjust(vec![], wish("main", i64::MIN)).then_rejects("BELOW_RESERVED");
    adjust(vec![], wish("main", i64::MAX)).then_rejects("STOCK_OVERFLOW");
    adjust(vec![], wish("main", ON_HAND_MAX - 9)).then_rejects("STOCK_OVERFLOW");
    adjust(vec![], Adjust { sku: sku("ghost"), ..wish("main", 1) }).then_rejects("UNKNOWN_SKU");
}

#[test]
fn i_in_4_tells_legal_histories_from_others() {
    for events in after_grant() {
        assert_eq!(invariants::is_legal("x", &events), []);
    }
    let twice = [held(), released(&freed()), held()];
    let freed_twice = [held(), expired(&freed()), released(&freed())];
    let too_much = [held(), released(&[portion("a", "main", 3)])];
    let resurrected = [held(), expired(&freed()), committed()];
    let after_tombstone = [released(&[]), held()];
    for history in [&twice[..], &freed_twice, &too_much, &resurrected, &after_tombstone] {
        assert_eq!(invariants::is_legal("x", history).len(), 1, "{history:?}");
    }
}

#[test]
fn i_in_1_2_and_3_name_the_shelf_that_is_wrong() {
    let row = |on_hand, reserved| invariants::StockRow {
        sku: sku("a"),
        location: place("main"),
        on_hand,
        reserved,
        missing: 0,
        quarantined: 0,
    };
    let came = invariants::Movement::received(&line("a", 5), &place("main"));
    let open: Reservation = fold(&[held()]);
    assert_eq!(invariants::within_bounds(&[row(5, 2)]), []);
    assert_eq!(invariants::on_hand_is_moved(&[row(5, 2)], [&came]), []);
    assert_eq!(invariants::reserved_is_held(&[row(5, 2)], [&open]), []);

    for bad in [row(5, 6), row(-1, 0), row(1, -1)] {
        assert_eq!(invariants::within_bounds(&[bad])[0].invariant, "I-IN-1");
    }
    let wrong = invariants::on_hand_is_moved(&[row(6, 2)], [&came]);
    assert_eq!(wrong[0].to_string(), "I-IN-2 a at main: the shelf shows 6 on hand, the log tells 5");
    assert_eq!(invariants::on_hand_is_moved(&[], [&came]).len(), 1, "a missing shelf is wrong too");
    let wrong = invariants::reserved_is_held(&[row(5, 3)], [&open]);
    assert_eq!(wrong[0].to_string(), "I-IN-3 a at main: the shelf shows 3 reserved, the log tells 2");
}

#[test]
fn golden_files_hold_every_correction() {
    let AdjustmentEvent::StockAdjusted(plain) = adjusted("main", -6, 7, 4);
    let scrapped = StockAdjusted { quarantine: true, ..plain.clone() };
    let examples = [plain, scrapped].map(AdjustmentEvent::StockAdjusted);
    golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}

#[test]
fn a_reference_is_short_and_clean() {
    for good in ["a", "delivery 7/b", &"é".repeat(64)] {
        assert!(Reference::try_new(good).is_ok(), "{good}");
    }
    for bad in ["", "a\u{0}", "a\nb", &"x".repeat(65)] {
        assert!(Reference::try_new(bad).is_err(), "{bad}");
    }
    assert_eq!(Receipt::CATEGORY, "receipt");
}
