//! Shipping, returns, partial releases, backorders, counts, transfers, locations and terms.
use super::*;

fn id(text: &str) -> Reference {
    Reference::try_new(text).expect("a reference")
}

fn order(n: u8) -> souk_contracts::terms::OrderId {
    use souk_kernel::{TypeId, Uuid};
    souk_contracts::terms::OrderId::from_uuid(Uuid::from_bytes([n; 16]))
}

fn shipped(shipment: &str, lines: &[(u32, &str, u32, &str)]) -> ReservationEvent {
    ReservationEvent::StockShipped(StockShipped {
        shipment_id: id(shipment),
        lines: allocated(lines),
        levels: Arc::default(),
    })
}

fn ship_refused(shipment: &str, reason: RefusalReason, lines: &[(u32, &str, u32, &str)]) -> ReservationEvent {
    let lines = allocated(lines);
    ReservationEvent::ShipRefused(ShipRefused { shipment_id: id(shipment), reason, lines })
}

type Outcome = souk_decider::testing::Outcome<Reservation, souk_kernel::Rejection>;

fn ship(events: &[ReservationEvent], shipment: &str, lines: &[(u32, &str, u32, &str)]) -> Outcome {
    let (shipment, lines) = (id(shipment), allocated(lines));
    Given::<Reservation>::events(events.to_vec()).when(|state| state.ship(&shipment, &lines))
}

/// Three pieces of `a` and one of `b`, committed; one line is split.
fn three() -> Vec<ReservationEvent> {
    vec![reserved(&[(1, "a", 2, "main"), (1, "a", 1, "north"), (2, "b", 1, "main")]), committed()]
}

#[test]
fn what_is_committed_ships_in_parts_and_repeats_quietly() {
    let first = [(1, "a", 2, "main")];
    let after = ship(&three(), "s1", &first).then(vec![shipped("s1", &first)]);
    let answer = after.current().expect("there");
    assert_eq!((answer.status, &*answer.shipped), (Status::PartiallyShipped, &*allocated(&first)));
    assert_eq!(answer.lines.len(), 3, "what was shipped is still its own");
    assert_eq!(after.open_lines(), &*allocated(&[(1, "a", 1, "north"), (2, "b", 1, "main")]));

    let mut events = [three(), vec![shipped("s1", &first)]].concat();
    ship(&events, "s1", &first).then_nothing();
    ship(&events, "s1", &[(1, "a", 1, "main")]).then_rejects("SHIPMENT_CONFLICT");
    let rest = [(2, "b", 1, "main"), (1, "a", 1, "north")];
    let after = ship(&events, "s2", &rest).then(vec![shipped("s2", &rest)]);
    assert_eq!(after.current().map(|answer| answer.status), Some(Status::Shipped));
    events.push(shipped("s2", &rest));
    release(events.clone()).then_nothing();
    commit(events, None).then_nothing();
}

#[test]
fn a_shipment_that_cannot_be_is_refused_for_ever() {
    let held = three()[..1].to_vec();
    let too_much = [(1, "a", 3, "main")];
    let elsewhere = [(2, "b", 1, "north")];
    let fine = [(2, "b", 1, "main")];
    for (events, lines, reason) in [
        (three(), &too_much, RefusalReason::ExceedsReserved),
        (three(), &elsewhere, RefusalReason::ExceedsReserved),
        (held.clone(), &fine, RefusalReason::ReservationNotCommitted),
        (vec![], &fine, RefusalReason::ReservationUnknown),
        (vec![released(&[])], &fine, RefusalReason::ReservationReleased),
    ] {
        let refused = ship_refused("s1", reason, lines);
        let after = ship(&events, "s1", lines).then(vec![refused.clone()]);
        assert_eq!(after.ship_refusal(&id("s1")), Some(reason));
        let late = [events, vec![refused]].concat();
        ship(&late, "s1", lines).then_nothing();
    }
    let late = [held, vec![ship_refused("s1", RefusalReason::ReservationNotCommitted, &fine)]].concat();
    let committed_since = [late, vec![committed()]].concat();
    ship(&committed_since, "s1", &fine).then_nothing();
    ship(&committed_since, "s2", &fine).then(vec![shipped("s2", &fine)]);
}

fn release_lines(events: &[ReservationEvent], release: &str, lines: &[(u32, &str, u32)]) -> Outcome {
    let (release, lines) = (id(release), wanted(lines));
    Given::<Reservation>::events(events.to_vec()).when(|state| state.release_lines(&release, &lines, "test"))
}

fn lines_released(
    release: &str,
    lines: &[(u32, &str, u32)],
    freed: &[(u32, &str, u32, &str)],
    unqueued: &[(u32, &str, u32)],
) -> ReservationEvent {
    ReservationEvent::LinesReleased(LinesReleased {
        release_id: id(release),
        reason: "test".into(),
        lines: wanted(lines),
        freed: allocated(freed),
        unqueued: wanted(unqueued),
        levels: Arc::default(),
    })
}

#[test]
fn lines_are_given_back_from_the_last_place_and_only_once() {
    let two = [(1, "a", 2)];
    let freed = [(1, "a", 1, "north"), (1, "a", 1, "main")];
    let given = lines_released("r1", &two, &freed, &[]);
    let after = release_lines(&three(), "r1", &two).then(vec![given.clone()]);
    assert_eq!(after.open_lines(), &*allocated(&[(1, "a", 1, "main"), (2, "b", 1, "main")]));
    let events = [three(), vec![given]].concat();
    release_lines(&events, "r1", &two).then_nothing();
    release_lines(&events, "r1", &[(1, "a", 1)]).then_rejects("RELEASE_CONFLICT");
    let rest = [(1, "a", 1), (2, "b", 1)];
    let last = [(1, "a", 1, "main"), (2, "b", 1, "main")];
    let after = release_lines(&events, "r2", &rest).then(vec![lines_released("r2", &rest, &last, &[])]);
    assert_eq!(after.current().map(|answer| answer.status), Some(Status::Released), "nothing is left");
}

#[test]
fn what_is_given_back_after_some_shipped_leaves_it_shipped() {
    let events = [three(), vec![shipped("s1", &[(1, "a", 2, "main"), (1, "a", 1, "north")])]].concat();
    let line = [(2, "b", 1)];
    let given = lines_released("r1", &line, &[(2, "b", 1, "main")], &[]);
    let after = release_lines(&events, "r1", &line).then(vec![given]);
    assert_eq!(after.current().map(|answer| answer.status), Some(Status::Shipped));
    let all = release(events).then(vec![released(&[portion("b", "main", 1)])]);
    let answer = all.current().expect("there");
    assert_eq!((answer.status, answer.shipped.len()), (Status::Released, 2));
}

#[test]
fn more_than_is_left_is_not_given_back_and_that_stands() {
    let too_many = [(2, "b", 2)];
    let no = |reason| {
        ReservationEvent::ReleaseRefused(ReleaseRefused {
            release_id: id("r1"),
            reason,
            lines: wanted(&too_many),
        })
    };
    let refused = no(RefusalReason::ExceedsReserved);
    let after = release_lines(&three(), "r1", &too_many).then(vec![refused.clone()]);
    assert_eq!(after.release_refusal(&id("r1")), Some(RefusalReason::ExceedsReserved));
    assert_eq!(after.open_lines().len(), 3);
    release_lines(&[three(), vec![refused]].concat(), "r1", &too_many).then_nothing();
    release_lines(&[], "r1", &too_many).then(vec![no(RefusalReason::ReservationUnknown)]);
    let gone = vec![held(), released(&freed())];
    release_lines(&gone, "r1", &too_many).then(vec![no(RefusalReason::ReservationReleased)]);
}

fn back(line: u32, what: &str, pieces: u32, grade: Grade) -> RestockLine {
    RestockLine { line, sku: sku(what), quantity: quantity(pieces), location: place("main"), grade }
}

fn restocked(restock: &str, lines: &[RestockLine]) -> ReservationEvent {
    ReservationEvent::StockRestocked(StockRestocked {
        restock_id: id(restock),
        lines: lines.into(),
        levels: Arc::default(),
    })
}

fn restock(events: &[ReservationEvent], restock: &str, lines: &[RestockLine]) -> Outcome {
    let shelves = stock(&[("a", "main", 5, 0), ("b", "main", 5, 0)]);
    Given::<Reservation>::events(events.to_vec()).when(|state| state.restock(&id(restock), lines, &shelves))
}

#[test]
fn what_was_shipped_comes_back_once_per_return_and_line() {
    let events = [three(), vec![shipped("s1", &[(1, "a", 2, "main"), (1, "a", 1, "north")])]].concat();
    let mixed = [back(1, "a", 1, Grade::A), back(1, "a", 1, Grade::Damaged)];
    restock(&events, "t1", &mixed).then(vec![restocked("t1", &mixed)]);
    let events = [events, vec![restocked("t1", &mixed)]].concat();
    let reversed = [back(1, "a", 1, Grade::Damaged), back(1, "a", 1, Grade::A)];
    restock(&events, "t1", &reversed).then_nothing();
    restock(&events, "t1", &mixed[..1]).then_rejects("RESTOCK_CONFLICT");
    let one = [back(1, "a", 1, Grade::B)];
    restock(&events, "t2", &one).then(vec![restocked("t2", &one)]);

    let two = [back(1, "a", 2, Grade::A)];
    let no = ReservationEvent::RestockRefused(RestockRefused {
        restock_id: id("t3"),
        reason: RefusalReason::ExceedsShipped,
        lines: two.clone().into(),
    });
    let after = restock(&events, "t3", &two).then(vec![no.clone()]);
    assert_eq!(after.restock_refusal(&id("t3"), &two), Some(RefusalReason::ExceedsShipped));
    restock(&[events.clone(), vec![no]].concat(), "t3", &two).then_nothing();
    let not_shipped = [back(2, "b", 1, Grade::A)];
    let after = restock(&events, "t4", &not_shipped).then_events(|events| assert_eq!(events.len(), 1));
    assert_eq!(after.restock_refusal(&id("t4"), &not_shipped), Some(RefusalReason::ExceedsShipped));
}

#[test]
fn a_held_promise_lasts_longer_and_never_shorter() {
    let extend = |events: Vec<ReservationEvent>, until: i64| {
        Given::<Reservation>::events(events).when(|state| state.extend(Timestamp::from_unix_s(until)))
    };
    let extended = |until| {
        let expires_at = Timestamp::from_unix_s(until);
        ReservationEvent::ReservationExtended(ReservationExtended { expires_at })
    };
    let after = extend(vec![held()], 2_000).then(vec![extended(2_000)]);
    assert_eq!(after.current().and_then(|answer| answer.expires_at), Some(Timestamp::from_unix_s(2_000)));
    assert_eq!(after.reserve_answer().and_then(|answer| answer.expires_at), Some(EXPIRES), "as granted");
    extend(vec![held(), extended(2_000)], 1_999).then_nothing();
    extend(vec![held()], 999).then_nothing();
    for events in after_grant().into_iter().skip(1) {
        extend(events, 2_000).then_nothing();
    }
    extend(vec![], 2_000).then_rejects("RESERVATION_UNKNOWN");
}

/// Reserves by a policy and returns what was granted, short and backordered.
fn by_policy(policy: Policy, lines: &[(u32, &str, u32)], stock: &Stock) -> Result<Allocation, Refusal> {
    allocate(stock, &wanted(lines), policy)
}

fn terms(safety: i64, low_below: i64, backorder_limit: i64) -> Terms {
    Terms { safety, low_below, backorder_limit }
}

#[test]
fn partial_grants_what_is_there_in_the_order_of_the_lines() {
    let shelves = stock(&[("a", "main", 3, 0), ("b", "main", 1, 1)]);
    let lines = [(1, "a", 2), (2, "b", 1), (3, "a", 2), (4, "ghost", 1)];
    let got = by_policy(Policy::Partial, &lines, &shelves).expect("some of it");
    assert_eq!(got.lines, allocated(&[(1, "a", 2, "main"), (3, "a", 1, "main")]));
    assert_eq!(*got.shortages, [short("a", 4, 3), short("b", 1, 0), short("ghost", 1, 0)]);
    let nothing = by_policy(Policy::Partial, &[(1, "b", 1)], &shelves).expect_err("nothing");
    assert_eq!(nothing.reason, RefusalReason::InsufficientStock);
    let all = by_policy(Policy::Partial, &[(1, "a", 3)], &shelves).expect("all of it");
    assert!(all.shortages.is_empty());

    let lines = wanted(&lines);
    let reserve = |events| {
        Given::<Reservation>::events(events)
            .when(|state| state.reserve(&lines, Policy::Partial, &shelves, EXPIRES))
    };
    let mut granted = Vec::new();
    let after = reserve(vec![]).then_events(|events| granted = events.to_vec());
    let answer = after.reserve_answer().expect("answered");
    assert_eq!((answer.status, answer.lines.len(), answer.shortages.len()), (Status::Held, 2, 3));
    reserve(granted.clone()).then_nothing();
    Given::<Reservation>::events(granted)
        .when(|state| state.reserve(&wanted(&[(1, "a", 2)]), Policy::Partial, &shelves, EXPIRES))
        .then_rejects("RESERVATION_CONFLICT");
}

#[test]
fn safety_stock_is_not_sold() {
    let mut shelves = stock(&[("a", "main", 3, 0), ("a", "north", 3, 1)]);
    shelves.put_terms(sku("a"), terms(2, 0, 0), 0);
    let no = by_policy(Policy::AllOrNothing, &[(1, "a", 4)], &shelves).expect_err("kept back");
    assert_eq!(*no.shortages, [short("a", 4, 3)]);
    assert!(by_policy(Policy::AllOrNothing, &[(1, "a", 3)], &shelves).is_ok());
}

#[test]
fn backorders_keep_within_the_limit_and_go_before_newer_orders() {
    let mut shelves = stock(&[("a", "main", 2, 0)]);
    shelves.put_terms(sku("a"), terms(0, 0, 3), 1);
    shelves.put_terms(sku("soon"), terms(0, 0, 2), 0);
    let got = by_policy(Policy::Backorder, &[(1, "a", 3), (2, "soon", 2)], &shelves).expect("sold");
    assert_eq!(got.lines, allocated(&[(1, "a", 1, "main")]), "one of the two is for who waits already");
    assert_eq!(got.backordered, wanted(&[(1, "a", 2), (2, "soon", 2)]));
    let no = by_policy(Policy::Backorder, &[(1, "a", 4)], &shelves).expect_err("over the limit");
    assert_eq!(*no.shortages, [short("a", 4, 3)]);
    let no = by_policy(Policy::Backorder, &[(1, "ghost", 1)], &shelves).expect_err("unknown");
    assert_eq!(no.reason, RefusalReason::UnknownSku);
}

#[test]
fn one_location_that_has_it_all_is_preferred_then_priority_and_a_closed_one_is_left_out() {
    let mut shelves = stock(&[("a", "east", 2, 0), ("b", "main", 5, 0), ("a", "main", 5, 0)]);
    let got = by_policy(Policy::AllOrNothing, &[(1, "a", 2), (2, "b", 1)], &shelves).expect("there");
    assert_eq!(got.lines, allocated(&[(1, "a", 2, "main"), (2, "b", 1, "main")]), "not from the east");
    let rank = |priority, open| Rank { priority, open };
    let ranked = |at: &str, rank| Shelf { rank, ..Shelf::new(place(at), 5, 0) };
    shelves.put(sku("c"), ranked("aaa", rank(0, false)));
    shelves.put(sku("c"), ranked("bbb", rank(7, true)));
    shelves.put(sku("c"), ranked("ccc", rank(3, true)));
    let got = by_policy(Policy::AllOrNothing, &[(1, "c", 5)], &shelves).expect("there");
    assert_eq!(got.lines, allocated(&[(1, "c", 5, "ccc")]));
    let got = by_policy(Policy::AllOrNothing, &[(1, "c", 7)], &shelves).expect("there");
    assert_eq!(got.lines, allocated(&[(1, "c", 5, "ccc"), (1, "c", 2, "bbb")]));
    assert!(by_policy(Policy::AllOrNothing, &[(1, "c", 11)], &shelves).is_err(), "one is closed");
}

#[test]
fn what_comes_goes_to_the_oldest_who_wait_in_the_same_commit() {
    let mut shelves = stock(&[("a", "main", 1, 1)]);
    shelves.put_terms(sku("a"), terms(0, 2, 9), 5);
    for (n, pieces) in [(1, 2), (2, 3)] {
        let line = WantedLine { line: 7, sku: sku("a"), quantity: quantity(pieces) };
        shelves.put_waiting(Waiting { order: order(n), line });
    }
    let mut events = vec![received(&[line("a", 4)])];
    let after = settle(&mut shelves, None, &mut events);
    let filled = |pieces| {
        let lines = allocated(&[(7, "a", pieces, "main")]);
        ReservationEvent::BackorderFilled(BackorderFilled { lines })
    };
    assert_eq!(after.served, [(order(1), filled(2)), (order(2), filled(2))]);
    let ReceiptEvent::StockReceived(stamped) = &events[0];
    let level = StockLevel { sku: sku("a"), on_hand: 5, reserved: 5, available: 0 };
    assert_eq!(*stamped.levels, [level], "the level after everybody was served");
    assert!(after.low.is_empty(), "it was low before");
    let mut more = vec![received(&[line("a", 2)])];
    let after = settle(&mut shelves, None, &mut more);
    assert_eq!(after.served, [(order(2), filled(1))]);
    assert_eq!(shelves.level_now(&sku("a")).available(), 1);
}

#[test]
fn who_gives_up_is_not_served_with_what_it_gave_up() {
    let mut shelves = stock(&[("a", "main", 2, 2)]);
    shelves.put_terms(sku("a"), terms(0, 0, 9), 1);
    let waits = WantedLine { line: 2, sku: sku("a"), quantity: quantity(1) };
    shelves.put_waiting(Waiting { order: order(1), line: waits });
    let mut given_up = vec![ReservationEvent::ReservationReleased(ReservationReleased {
        reason: "test".into(),
        freed: freed().into(),
        unqueued: wanted(&[(2, "a", 1)]),
        levels: Arc::default(),
    })];
    let after = settle(&mut shelves, Some(order(1)), &mut given_up);
    assert_eq!(after, Aftermath::default());
    assert_eq!(shelves.level_now(&sku("a")).available(), 2);
}

#[test]
fn low_stock_is_said_when_it_is_crossed_and_not_again() {
    let mut shelves = stock(&[("a", "main", 5, 0)]);
    shelves.put_terms(sku("a"), terms(1, 3, 0), 0);
    let mut said = Vec::new();
    for _ in 0..4 {
        let after = settle(&mut shelves, None, &mut [reserved(&[(1, "a", 1, "main")])]);
        said.extend(after.low);
    }
    let low = LowStock { sku: sku("a"), available: 2, low_below: 3 };
    assert_eq!(said, [(sku("a"), SkuEvent::LowStock(low))]);
}

fn counting(pieces: i64, force: bool) -> Counted {
    Counted { sku: sku("a"), location: place("main"), pieces, force }
}

fn level(on_hand: i64, reserved: i64) -> Level {
    Level { on_hand, reserved, ..Level::default() }
}

fn counted(counted: i64, delta: i64) -> CountEvent {
    let (sku, location) = (sku("a"), place("main"));
    CountEvent::StockCounted(StockCounted { sku, location, counted, delta, level: level(10, 4) })
}

fn shortfall(missing: i64) -> CountEvent {
    let reservations = [order(2), order(1)].into();
    CountEvent::StockShortfall(StockShortfall {
        sku: sku("a"),
        location: place("main"),
        missing,
        reservations,
    })
}

fn count(
    events: &[CountEvent],
    wish: Counted,
) -> souk_decider::testing::Outcome<Count, souk_kernel::Rejection> {
    let shelves = stock(&[("a", "main", 10, 4)]);
    Given::<Count>::events(events.to_vec()).when(|state| state.count(&wish, &shelves, &[order(2), order(1)]))
}

#[test]
fn a_count_is_booked_once_and_never_below_what_is_promised() {
    count(&[], counting(12, false)).then(vec![counted(12, 2)]);
    count(&[], counting(4, false)).then(vec![counted(4, -6)]);
    count(&[], counting(10, false)).then(vec![counted(10, 0)]);
    count(&[], counting(3, false)).then_rejects("BELOW_RESERVED");
    let forced = [counted(1, -6), shortfall(3)];
    let after = count(&[], counting(1, true)).then(forced.to_vec());
    assert_eq!(after.open_shortfall().map(|short| short.missing), Some(3));
    count(&forced, counting(1, false)).then_nothing();
    count(&forced, counting(2, true)).then_rejects("COUNT_CONFLICT");
    count(&[], Counted { sku: sku("ghost"), ..counting(1, true) }).then_rejects("UNKNOWN_SKU");

    let mut shelves = stock(&[]);
    shelves.put(sku("a"), Shelf { missing: 1, ..Shelf::new(place("main"), 4, 4) });
    Given::<Count>::nothing()
        .when(|state| state.count(&counting(9, true), &shelves, &[]))
        .then_rejects("SHORTFALL_OPEN");
}

#[test]
fn a_shortfall_is_found_or_written_off_once_enough_is_free() {
    let events = vec![counted(1, -6), shortfall(3)];
    let resolve = |events: Vec<CountEvent>, verdict, on_hand, reserved| {
        let mut shelves = stock(&[]);
        shelves.put(sku("a"), Shelf { missing: 3, ..Shelf::new(place("main"), on_hand, reserved) });
        let reason: Arc<str> = "test".into();
        Given::<Count>::events(events).when(|state| state.resolve(verdict, &reason, &shelves))
    };
    let resolved = |decision, on_hand: i64, reserved: i64| {
        CountEvent::ShortfallResolved(ShortfallResolved {
            sku: sku("a"),
            location: place("main"),
            missing: 3,
            decision,
            reason: "test".into(),
            level: Level {
                missing: 3,
                elsewhere: (on_hand - reserved - 3).min(0),
                ..level(on_hand, reserved)
            },
        })
    };
    let found = resolved(Verdict::Found, 4, 4);
    resolve(events.clone(), Verdict::Found, 4, 4).then(vec![found.clone()]);
    resolve(events.clone(), Verdict::WrittenOff, 4, 2).then_rejects("BELOW_RESERVED");
    resolve(events.clone(), Verdict::WrittenOff, 4, 1).then(vec![resolved(Verdict::WrittenOff, 4, 1)]);
    let over = [events, vec![found]].concat();
    resolve(over.clone(), Verdict::Found, 4, 4).then_nothing();
    resolve(over, Verdict::WrittenOff, 4, 1).then_rejects("SHORTFALL_RESOLVED");
    resolve(vec![counted(1, 1)], Verdict::Found, 4, 4).then_rejects("NOT_FOUND");
}

#[test]
fn only_free_pieces_are_carried_and_only_once() {
    let mut shelves = stock(&[("a", "main", 10, 4)]);
    shelves
        .put(sku("a"), Shelf { rank: Rank { priority: 0, open: false }, ..Shelf::new(place("old"), 3, 0) });
    let wish = |from: &str, quantity| Transfer {
        sku: sku("a"),
        from: place(from),
        to: place("east"),
        quantity,
        reason: "van".into(),
    };
    let transfer = |events: Vec<TransferEvent>, wish: Transfer| {
        Given::<Carriage>::events(events).when(|state| state.transfer(&wish, &shelves))
    };
    let carried = |from, quantity| {
        let Transfer { sku, from, to, quantity, reason } = wish(from, quantity);
        let level = Level { elsewhere: 3, ..level(13, 4) };
        TransferEvent::StockTransferred(StockTransferred { sku, from, to, quantity, reason, level })
    };
    transfer(vec![], wish("main", 6)).then(vec![carried("main", 6)]);
    transfer(vec![], wish("old", 3)).then(vec![carried("old", 3)]);
    transfer(vec![], wish("main", 7)).then_rejects("INSUFFICIENT_STOCK");
    transfer(vec![], wish("nowhere", 1)).then_rejects("INSUFFICIENT_STOCK");
    transfer(vec![carried("main", 6)], wish("main", 6)).then_nothing();
    transfer(vec![carried("main", 6)], wish("main", 5)).then_rejects("TRANSFER_CONFLICT");
    transfer(vec![], Transfer { sku: sku("ghost"), ..wish("main", 1) }).then_rejects("UNKNOWN_SKU");
}

fn location_put() -> LocationPut {
    let country = Country::try_new("GB").expect("a country");
    LocationPut { location: place("main"), priority: 2, open: false, country }
}

#[test]
fn locations_and_terms_are_set_and_setting_them_again_is_quiet() {
    let put = |events: Vec<PlaceEvent>, others| {
        Given::<Place>::events(events).when(|state| state.put(&location_put(), others))
    };
    let event = PlaceEvent::LocationPut(location_put());
    put(vec![], 999).then(vec![event.clone()]);
    put(vec![], PLACES_MAX).then_rejects("TOO_MANY_LOCATIONS");
    put(vec![event], PLACES_MAX).then_nothing();
    assert!(Country::try_new("gb").is_err() && Country::try_new("").is_ok());

    let set = |events: Vec<SkuEvent>, terms| {
        Given::<SkuTerms>::events(events)
            .when(|state| Ok::<_, souk_kernel::Rejection>(state.put(&sku("a"), terms)))
    };
    let event = terms_put();
    set(vec![], terms(1, 2, 3)).then(vec![event.clone()]);
    set(vec![event], terms(1, 2, 3)).then_nothing();
    set(vec![], terms(0, 0, 0)).then_nothing();
}

fn terms_put() -> SkuEvent {
    SkuEvent::TermsPut(TermsPut { sku: sku("a"), terms: terms(1, 2, 3), levels: Arc::default() })
}

fn levels() -> Levels {
    [StockLevel { sku: sku("a"), on_hand: 5, reserved: 2, available: 3 }].into()
}

#[test]
fn golden_files_hold_what_moves() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let level = Level { missing: 1, quarantined: 1, elsewhere: 1, safety: 1, backordered: 1, ..level(9, 4) };
    let (wanted_two, two) = (wanted(&[(1, "a", 2)]), [(1, "a", 2, "main")]);
    golden::check(
        folder,
        &[TransferEvent::StockTransferred(StockTransferred {
            sku: sku("a"),
            from: place("main"),
            to: place("east"),
            quantity: 3,
            reason: "van".into(),
            level,
        })],
    );
    golden::check(
        folder,
        &[
            CountEvent::StockCounted(StockCounted {
                sku: sku("a"),
                location: place("main"),
                counted: 1,
                delta: -6,
                level,
            }),
            shortfall(3),
            CountEvent::ShortfallResolved(ShortfallResolved {
                sku: sku("a"),
                location: place("main"),
                missing: 3,
                decision: Verdict::WrittenOff,
                reason: "stolen".into(),
                level,
            }),
        ],
    );
    let low = LowStock { sku: sku("a"), available: 2, low_below: 3 };
    golden::check(folder, &[terms_put(), SkuEvent::LowStock(low)]);
    golden::check(folder, &[PlaceEvent::LocationPut(location_put())]);
    let received_now = ReceiptEvent::StockReceived(StockReceived {
        location: place("main"),
        lines: [line("a", 5)].into(),
        levels: levels(),
    });
    golden::check(folder, &[received(&[line("a", 5), line("b", 1)]), received_now]);
    let partial = ReservationEvent::StockReserved(StockReserved {
        lines: allocated(&two),
        expires_at: EXPIRES,
        wanted: wanted(&[(1, "a", 4)]),
        shortages: [short("a", 4, 2)].into(),
        backordered: wanted(&[(1, "a", 1)]),
        levels: levels(),
    });
    golden::check(folder, &reservation_examples(partial, wanted_two, &two));
}

/// Every event of a reservation; those of earlier releases come first.
fn reservation_examples(
    partial: ReservationEvent,
    two_wanted: Arc<[WantedLine]>,
    two: &[(u32, &str, u32, &str)],
) -> Vec<ReservationEvent> {
    let waits = wanted(&[(2, "a", 1)]);
    let back = [back(1, "a", 1, Grade::A), back(1, "a", 1, Grade::Damaged)];
    vec![
        reserved(&[(1, "a", 2, "main"), (1, "a", 1, "north")]),
        partial,
        refused(RefusalReason::InsufficientStock, &[short("a", 2, 1)], ask()),
        committed(),
        released(&freed()),
        ReservationEvent::ReservationReleased(ReservationReleased {
            reason: "test".into(),
            freed: freed().into(),
            unqueued: waits.clone(),
            levels: levels(),
        }),
        expired(&freed()),
        ReservationEvent::ReservationExpired(ReservationExpired {
            freed: freed().into(),
            unqueued: waits.clone(),
            levels: levels(),
        }),
        re_reserved(&[(1, "a", 2, "north")]),
        ReservationEvent::ReservationReReserved(ReservationReReserved {
            lines: allocated(two),
            backordered: waits.clone(),
            levels: levels(),
        }),
        ReservationEvent::CommitRefused(CommitRefused { shortages: [short("a", 2, 1)].into() }),
        ReservationEvent::ReservationExtended(ReservationExtended { expires_at: EXPIRES }),
        ReservationEvent::BackorderFilled(BackorderFilled { lines: allocated(two) }),
        ReservationEvent::StockShipped(StockShipped {
            shipment_id: id("s1"),
            lines: allocated(two),
            levels: levels(),
        }),
        ship_refused("s1", RefusalReason::ReservationNotCommitted, two),
        ReservationEvent::LinesReleased(LinesReleased {
            release_id: id("r1"),
            reason: "test".into(),
            lines: two_wanted.clone(),
            freed: allocated(two),
            unqueued: waits,
            levels: levels(),
        }),
        ReservationEvent::ReleaseRefused(ReleaseRefused {
            release_id: id("r1"),
            reason: RefusalReason::ExceedsReserved,
            lines: two_wanted,
        }),
        ReservationEvent::StockRestocked(StockRestocked {
            restock_id: id("t1"),
            lines: back.clone().into(),
            levels: levels(),
        }),
        ReservationEvent::RestockRefused(RestockRefused {
            restock_id: id("t1"),
            reason: RefusalReason::ExceedsShipped,
            lines: back.into(),
        }),
    ]
}
