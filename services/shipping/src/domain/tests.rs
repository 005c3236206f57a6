//! Given what happened, when a command comes, then that happens.
use super::fulfilment::*;
use super::notice::*;
use super::rate::{RateEvent, RateQuoted};
use super::shipment::*;
use super::*;
use crate::carry;
use souk_contracts::terms::{Market, OrderId, RateId, ShipmentId};
use souk_decider::testing::{Given, golden};
use souk_decider::{Aggregate, fold};
use souk_kernel::{Currency, Money, Sealed, Timestamp, TypeId, Uuid};
use souk_saga::{Direction, Outcome};

fn order_id() -> OrderId {
    OrderId::from_uuid(Uuid::v7(1, [1; 10]))
}

fn rate_id() -> RateId {
    RateId::from_uuid(Uuid::v7(2, [2; 10]))
}

fn shipment_id(n: u8) -> ShipmentId {
    ShipmentId::from_uuid(Uuid::v7(3, [n; 10]))
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn line(line: u32, sku: &str, pieces: u32, location: &str) -> Line {
    Line {
        line,
        sku: sku.parse().expect("a SKU"),
        title: format!("The {sku}").into(),
        quantity: Quantity::try_new(pieces).expect("a quantity"),
        location: location.parse().expect("a location"),
    }
}

/// Line 1 at two locations, line 2 at one of them.
fn lines() -> Arc<[Line]> {
    [line(1, "A", 3, "north"), line(2, "B", 1, "north"), line(1, "A", 2, "south")].into()
}

fn wish() -> Create {
    Create {
        order_id: order_id(),
        subject: "gst_1".into(),
        rate_id: rate_id(),
        lines: lines(),
        fresh: vec![shipment_id(1), shipment_id(2)],
    }
}

fn quoted() -> RateQuoted {
    RateQuoted {
        rate_id: rate_id(),
        subject: "gst_1".into(),
        market: Market::try_new("GB").expect("a market"),
        service: "standard".into(),
        carrier: "sim".into(),
        price: Money::new(399, Currency::parse("GBP").expect("known")),
        days_min: 2,
        days_max: 4,
        country: "GB".into(),
        region: "".into(),
        address: sealed(),
        scenario: "lost".into(),
        expires_at: at(900),
    }
}

fn sealed() -> Sealed<Address> {
    Sealed::from_parts("gst_1", [7; 12], vec![1, 2, 3])
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_s(second)
}

fn of(n: u8) -> Of {
    Of { order_id: order_id(), shipment_id: shipment_id(n), subject: "gst_1".into() }
}

fn made(n: u8, lines: Arc<[Line]>) -> ShipmentEvent {
    let quoted = quoted();
    ShipmentEvent::ShipmentCreated(Arc::new(ShipmentCreated {
        of: of(n),
        number: u32::from(n),
        rate_id: rate_id(),
        location: lines[0].location.clone(),
        lines,
        service: quoted.service,
        carrier: quoted.carrier,
        scenario: quoted.scenario,
        country: quoted.country,
        region: quoted.region,
        address: quoted.address,
    }))
}

fn packed() -> ShipmentEvent {
    ShipmentEvent::ShipmentPacked(ShipmentPacked { of: of(1) })
}

fn key(number: u32) -> Arc<str> {
    format!("{}:label:{number}", shipment_id(1)).into()
}

fn asked() -> ShipmentEvent {
    ShipmentEvent::LabelAsked(LabelAsked { key: key(1) })
}

fn bought() -> ShipmentEvent {
    ShipmentEvent::LabelBought(LabelBought { key: key(1), tracking_code: "T1".into() })
}

fn handed_over() -> ShipmentEvent {
    ShipmentEvent::ShipmentHandedOver(ShipmentHandedOver {
        of: of(1),
        lines: lines()[..2].into(),
        carrier: "sim".into(),
        tracking_code: "T1".into(),
    })
}

/// The first shipment, so many steps on its way.
fn way(steps: usize) -> Vec<ShipmentEvent> {
    let all = [made(1, lines()[..2].into()), packed(), asked(), bought(), handed_over()];
    all.into_iter().take(steps).collect()
}

fn scan(id: &str, seen: Seen, second: i64) -> Scan {
    Scan { event_id: id.into(), seen, at: at(second) }
}

fn taken() -> Vec<FulfilmentEvent> {
    Fulfilment::default().create(&wish(), true).expect("it is taken on").events
}

fn cancel(id: &str, parts: &[(u32, u32)]) -> CancelDecided {
    let part = |(line, quantity): &(u32, u32)| Part { line: *line, quantity: *quantity };
    let parts = parts.iter().map(part).collect();
    CancelDecided { cancel_id: name(id), reason: "TEST".into(), parts, outcome: CancelOutcome::Cancelled }
}

/// What a cancel comes to, and how many pieces each changed shipment is left with.
fn cancelled(
    before: &[FulfilmentEvent],
    shipments: &[Vec<ShipmentEvent>],
    cancel: &CancelDecided,
) -> (CancelOutcome, Vec<u32>) {
    let known: Fulfilment = fold(before);
    let shipments: Vec<Arc<Shipment>> = shipments.iter().map(|events| Arc::new(fold(events))).collect();
    let (events, left) = known.cancel_parts(cancel, &shipments).expect("it is decided");
    let [FulfilmentEvent::CancelDecided(decided)] = events.as_slice() else { panic!("{events:?}") };
    let pieces = |(_, lines): &(ShipmentId, Vec<Line>)| lines.iter().map(|line| line.quantity.get()).sum();
    (decided.outcome, left.iter().map(pieces).collect())
}

fn both(first: usize) -> Vec<Vec<ShipmentEvent>> {
    vec![way(first), vec![made(2, lines()[2..].into())]]
}

#[test]
fn an_order_is_split_by_location_and_taken_on_once() {
    let first = Fulfilment::default().create(&wish(), true).expect("it is taken on");
    let shape = |packet: &Packet| (packet.number, packet.location.to_string(), packet.lines.len());
    let packets: Vec<_> = first.packets.iter().map(shape).collect();
    assert_eq!(packets, [(1, "north".to_owned(), 2), (2, "south".to_owned(), 1)]);
    let known: Fulfilment = fold(&first.events);
    assert_eq!(known.create(&wish(), true), Ok(Taken::default()), "said before");
    assert_eq!(known.create(&wish(), false), Ok(Taken::default()), "the first answer stands");
    let other = Create { lines: lines()[..1].into(), ..wish() };
    assert_eq!(known.create(&other, true).expect_err("another").reason, "FULFILMENT_CONFLICT");
}

#[test]
fn a_refusal_of_a_creation_stands_for_ever() {
    let refused = Fulfilment::default().create(&wish(), false).expect("recorded").events;
    let [FulfilmentEvent::FulfilmentRefused(refusal)] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!(&*refusal.reason, UNKNOWN_RATE);
    let known: Fulfilment = fold(&refused);
    assert_eq!(known.create(&wish(), true), Ok(Taken::default()));
}

#[test]
fn a_cancel_before_the_creation_leaves_a_tombstone() {
    let decided = |cancel: &CancelDecided| vec![FulfilmentEvent::CancelDecided(cancel.clone())];
    let all = cancel("c", &[]);
    assert_eq!(cancelled(&[], &[], &all), (CancelOutcome::Cancelled, vec![]));
    let known: Fulfilment = fold(&decided(&all));
    let late = known.create(&wish(), true).expect("recorded").events;
    assert!(
        matches!(&late[..], [FulfilmentEvent::FulfilmentRefused(r)] if &*r.reason == FULFILMENT_CANCELLED)
    );
    let known: Fulfilment = fold(&decided(&cancel("c", &[(1, 4)])));
    let left = known.create(&wish(), true).expect("recorded").packets;
    let pieces: Vec<u32> =
        left.iter().flat_map(|packet| packet.lines.iter()).map(|l| l.quantity.get()).collect();
    assert_eq!(pieces, [1, 1], "line 2 in the north, one piece of line 1 in the south");
}

#[test]
fn what_is_in_the_house_is_called_off_whole_or_in_part() {
    use CancelOutcome::Cancelled;
    for steps in 1..=4 {
        assert_eq!(cancelled(&taken(), &both(steps), &cancel("c", &[])), (Cancelled, vec![0, 0]));
        assert_eq!(cancelled(&taken(), &both(steps), &cancel("c", &[(1, 4)])), (Cancelled, vec![1, 1]));
        assert_eq!(cancelled(&taken(), &both(steps), &cancel("c", &[(2, 1)])), (Cancelled, vec![3]));
        assert_eq!(cancelled(&taken(), &both(steps), &cancel("c", &[(1, 0)])), (Cancelled, vec![1, 0]));
    }
}

#[test]
fn what_was_handed_over_is_too_late_and_nothing_of_it_is_cancelled() {
    use CancelOutcome::{Cancelled, TooLate};
    for parts in [&[][..], &[(1, 3)], &[(2, 1)], &[(1, 0)], &[(9, 1)], &[(1, 1), (2, 1)]] {
        assert_eq!(cancelled(&taken(), &both(5), &cancel("c", parts)), (TooLate, vec![]), "{parts:?}");
    }
    assert_eq!(cancelled(&taken(), &both(5), &cancel("c", &[(1, 2)])), (Cancelled, vec![0]), "the south's");
}

#[test]
fn a_cancel_is_decided_once_for_its_id() {
    let known: Fulfilment = fold(&[taken(), vec![FulfilmentEvent::CancelDecided(cancel("c", &[]))]].concat());
    assert_eq!(known.cancel_parts(&cancel("c", &[]), &[]), Ok((vec![], vec![])));
    let other = known.cancel_parts(&cancel("c", &[(1, 1)]), &[]).expect_err("another");
    assert_eq!(other.reason, "FULFILMENT_CONFLICT");
    let unread = known.cancel_parts(&cancel("d", &[]), &[]).expect_err("its shipments were not read");
    assert_eq!(unread.reason, SHIPMENTS_NOT_READ);
}

#[test]
fn a_hold_keeps_a_parcel_in_the_house_until_it_is_released() {
    let hold = |holds: &[&str]| holds.iter().map(|id| Hold { hold_id: name(id) }).collect::<Vec<_>>();
    let held = |ids: &[&str]| hold(ids).into_iter().map(ShipmentEvent::ShipmentHeld).collect::<Vec<_>>();
    Given::<Shipment>::events(way(4))
        .and(held(&["a"]))
        .when(Shipment::hand_over)
        .then_rejects("FULFILMENT_HELD");
    let freed = vec![ShipmentEvent::ShipmentFreed(Hold { hold_id: name("a") })];
    Given::<Shipment>::events(way(4))
        .and(held(&["a"]))
        .and(freed)
        .when(Shipment::hand_over)
        .then(vec![handed_over()]);
    let away: Shipment = fold(&way(5));
    assert_eq!(away.held(&name("a"), true), [], "it is gone");
    let early: Fulfilment = fold(&[FulfilmentEvent::HoldReleased(HoldReleased { hold_id: name("a") })]);
    assert_eq!(early.hold(&name("a")), Ok(vec![]), "released before it came");
    assert_eq!(early.release(&name("a")), Ok(vec![]));
}

#[test]
fn a_parcel_is_packed_labelled_and_handed_over_in_this_order() {
    Given::<Shipment>::events(way(1)).when(Shipment::pack).then(vec![packed()]);
    Given::<Shipment>::events(way(1)).when(Shipment::ask_label).then_rejects("SHIPMENT_NOT_READY");
    Given::<Shipment>::events(way(1)).when(Shipment::hand_over).then_rejects("SHIPMENT_NOT_READY");
    Given::<Shipment>::events(way(2)).when(Shipment::ask_label).then(vec![asked()]);
    Given::<Shipment>::events(way(2)).when(Shipment::hand_over).then_rejects("SHIPMENT_NOT_READY");
    Given::<Shipment>::events(way(4)).when(Shipment::hand_over).then(vec![handed_over()]);
    for steps in 2..=5 {
        Given::<Shipment>::events(way(steps)).when(Shipment::pack).then(vec![]);
    }
    for steps in 3..=5 {
        Given::<Shipment>::events(way(steps)).when(Shipment::ask_label).then(vec![]);
    }
    Given::<Shipment>::events(way(5)).when(Shipment::hand_over).then(vec![]);
    let refused = ShipmentEvent::LabelRefused(LabelRefused { key: key(1), code: "no".into() });
    Given::<Shipment>::events(way(3))
        .and(vec![refused])
        .when(Shipment::ask_label)
        .then(vec![ShipmentEvent::LabelAsked(LabelAsked { key: key(2) })]);
}

#[test]
fn a_cancelled_parcel_stays_and_its_label_is_given_back() {
    for steps in 1..=4 {
        let before: Shipment = fold(&way(steps));
        let end = before.reduce(&name("c"), &"TEST".into(), Vec::new());
        let after: Shipment = fold(&[way(steps), end].concat());
        for decided in [after.pack(), after.ask_label(), after.hand_over()] {
            assert_eq!(decided.expect_err("it is cancelled").reason, "SHIPMENT_CANCELLED");
        }
        let outstanding = carry::outstanding(&after, true);
        let undo = outstanding.iter().map(|intent| (intent.step, intent.direction)).collect::<Vec<_>>();
        let expected = if steps >= 3 { vec![(carry::LABEL, Direction::Undo)] } else { vec![] };
        assert_eq!(undo, expected, "{steps}");
        assert_eq!(after.hear(&scan("e", Seen::Delivered, 9)).len(), 1, "it is only noted");
    }
}

#[test]
fn with_auto_a_parcel_goes_out_by_itself_and_without_it_waits_for_people() {
    let mut parcel: Shipment = fold(&way(1));
    let mut steps = Vec::new();
    while let Some(intent) = carry::outstanding(&parcel, true).pop() {
        steps.push(intent.step);
        let events = carry::record(&parcel, true, &intent, &Outcome::Done("T1".into()), 1);
        assert_eq!(events.len(), 1, "{intent:?}");
        events.iter().for_each(|event| parcel.evolve(event));
    }
    assert_eq!(steps, [carry::PACK, carry::ASK_LABEL, carry::LABEL, carry::HAND_OVER, carry::COLLECT]);
    assert_eq!((parcel.status(), parcel.is_collected()), (Status::HandedOver, true));
    for (steps, expected) in
        [(1, None), (2, None), (3, Some(carry::LABEL)), (4, None), (5, Some(carry::COLLECT))]
    {
        let parcel: Shipment = fold(&way(steps));
        let outstanding = carry::outstanding(&parcel, false).pop();
        assert_eq!(outstanding.map(|intent| intent.step), expected, "{steps}");
    }
}

#[test]
fn an_answer_that_comes_too_late_is_not_recorded_and_a_silence_is_told_now_and_then() {
    let asked: Shipment = fold(&way(3));
    let intent = carry::outstanding(&asked, false).remove(0);
    let cancelled = asked.reduce(&name("c"), &"TEST".into(), Vec::new());
    let after: Shipment = fold(&[way(3), cancelled].concat());
    assert_eq!(carry::record(&after, false, &intent, &Outcome::Done("T1".into()), 1), []);
    let told = |attempt| carry::record(&asked, false, &intent, &Outcome::unknown("silence"), attempt).len();
    assert_eq!([1, 2, 9, 10, 11].map(told), [1, 0, 0, 1, 0]);
    let refused = carry::record(&asked, false, &intent, &Outcome::refused("full", ""), 1);
    assert_eq!(refused, [ShipmentEvent::LabelRefused(LabelRefused { key: key(1), code: "full".into() })]);
}

#[test]
fn scans_move_a_parcel_forward_and_late_ones_are_noted() {
    let mut parcel: Shipment = fold(&way(5));
    let mut hear = |id: &str, seen, second| {
        let events = parcel.hear(&scan(id, seen, second));
        events.iter().for_each(|event| parcel.evolve(event));
        (souk_decider::StoredEvent::kind(&events[0]), parcel.status())
    };
    assert_eq!(hear("1", Seen::Collected, 1), ("ScanNoted", Status::HandedOver));
    assert_eq!(hear("4", Seen::Delivered, 4), ("ShipmentDelivered", Status::Delivered));
    assert_eq!(hear("2", Seen::InTransit, 2), ("ScanNoted", Status::Delivered));
}

#[test]
fn e6_two_weeks_of_silence_are_a_loss_and_what_is_found_is_found() {
    let away: Shipment = fold(&way(5));
    let lost = away.silent();
    assert!(matches!(&lost[..], [ShipmentEvent::ShipmentLost(lost)] if lost.by == LostBy::Silence));
    let parcel: Shipment = fold(&[way(5), lost].concat());
    assert_eq!(parcel.silent(), [], "it is lost already");
    let found = parcel.hear(&scan("9", Seen::Delivered, 9));
    assert!(matches!(&found[..], [ShipmentEvent::ShipmentDelivered(_)]));
    for steps in 0..=4 {
        assert_eq!(fold::<Shipment>(&way(steps)).silent(), [], "{steps}");
    }
}

fn back() -> ReturnAsked {
    ReturnAsked {
        return_id: name("ret-1"),
        order_id: order_id(),
        subject: "gst_1".into(),
        carrier: "sim".into(),
        scenario: "".into(),
        country: "GB".into(),
    }
}

#[test]
fn a_return_has_one_label_and_arrives_once() {
    let asked = Shipment::default().ask_return(&back(), true).expect("decided");
    let parcel: Shipment = fold(&asked);
    assert_eq!(parcel.ask_return(&back(), true), Ok(vec![]), "said before");
    let other = ReturnAsked { order_id: OrderId::from_uuid(Uuid::v7(9, [9; 10])), ..back() };
    assert_eq!(parcel.ask_return(&other, true).expect_err("another").reason, "RETURN_LABEL_CONFLICT");
    let label = ShipmentEvent::LabelBought(LabelBought { key: "k".into(), tracking_code: "R1".into() });
    let on_its_way = [asked, vec![label]].concat();
    let parcel: Shipment = fold(&on_its_way);
    let noted = parcel.hear(&scan("1", Seen::InTransit, 1));
    assert!(matches!(&noted[..], [ShipmentEvent::ScanNoted(_)]));
    let arrived = parcel.hear(&scan("2", Seen::Delivered, 2));
    assert!(matches!(&arrived[..], [ShipmentEvent::ReturnArrived(_)]));
    let parcel: Shipment = fold(&[on_its_way, arrived].concat());
    assert!(matches!(&parcel.hear(&scan("3", Seen::Delivered, 3))[..], [ShipmentEvent::ScanNoted(_)]));
    assert_eq!(parcel.void_return(&name("ret-1")), [], "what has arrived has arrived");
}

#[test]
fn a_return_is_refused_for_ever_when_nothing_was_shipped_or_a_void_came_first() {
    let refusal = |events: &[ShipmentEvent]| match events {
        [ShipmentEvent::ReturnRefused(refused)] => refused.reason.to_string(),
        other => panic!("{other:?}"),
    };
    let refused = Shipment::default().ask_return(&back(), false).expect("recorded");
    assert_eq!(refusal(&refused), "UNKNOWN_FULFILMENT");
    assert_eq!(fold::<Shipment>(&refused).ask_return(&back(), true), Ok(vec![]));
    let void = Shipment::default().void_return(&name("ret-1"));
    let late = fold::<Shipment>(&void).ask_return(&back(), true).expect("recorded");
    assert_eq!(refusal(&late), "RETURN_LABEL_VOIDED");
}

#[test]
fn a_return_label_that_was_used_before_it_could_be_void_stays_good() {
    let asked = Shipment::default().ask_return(&back(), true).expect("decided");
    let void = ShipmentEvent::ReturnVoided(ReturnVoided { return_id: name("ret-1"), has_label: true });
    let bought = ShipmentEvent::LabelBought(LabelBought { key: "k".into(), tracking_code: "R1".into() });
    let known = [asked.clone(), vec![bought, void.clone()]].concat();
    // The answer about the second label was lost: the carrier tells its code now.
    for (events, recorded) in [(known, 1), ([asked, vec![void]].concat(), 2)] {
        let parcel: Shipment = fold(&events);
        let intents = carry::outstanding(&parcel, false);
        let no = Outcome::refused(carry::COLLECTED, "R1");
        let used = carry::record(&parcel, false, &intents[0], &no, 1);
        assert_eq!(used.len(), recorded, "{used:?}");
        let parcel: Shipment = fold(&[events, used].concat());
        assert_eq!(carry::outstanding(&parcel, false), [], "nobody asks the carrier again");
        assert_eq!((parcel.tracking_code(), parcel.hears()), ("R1", true));
        let arrived = parcel.hear(&scan("2", Seen::Delivered, 2));
        assert!(matches!(&arrived[..], [ShipmentEvent::ReturnArrived(_)]));
    }
}

fn told() -> Arc<NoticeReceived> {
    let (carrier, tracking_code) = ("sim".into(), "T1".into());
    Arc::new(NoticeReceived { carrier, tracking_code, scan: scan("e1", Seen::Delivered, 4) })
}

#[test]
fn a_notice_is_applied_once_and_kept_while_nobody_knows_its_parcel() {
    let first = Notice::default().handle(&told(), Some("shipment/1"));
    assert!(first.applies && first.again.is_none() && first.events.len() == 2, "{first:?}");
    let settled: Notice = fold(&first.events);
    let again = settled.handle(&told(), Some("shipment/1"));
    assert_eq!(again, Handling { events: vec![], applies: false, again: None });

    let mut waiting = Notice::default();
    let mut waits = Vec::new();
    loop {
        let handling = waiting.handle(&told(), None);
        assert!(!handling.applies);
        handling.events.iter().for_each(|event| waiting.evolve(event));
        let Some(wait) = handling.again else { break };
        waits.push(wait.as_secs());
    }
    assert_eq!((waits.len(), waits[0], waits[1]), (TRIES_MAX as usize, 30, 60));
    assert!(waiting.is_settled(), "a person has to look");
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let folder = env!("CARGO_MANIFEST_DIR");
    golden::check(folder, &[RateEvent::RateQuoted(Arc::new(quoted()))]);
    let refused = FulfilmentRefused {
        order_id: order_id(),
        subject: "gst_1".into(),
        rate_id: rate_id(),
        lines: lines(),
        reason: UNKNOWN_RATE.into(),
    };
    golden::check(
        folder,
        &[
            taken().remove(0),
            FulfilmentEvent::FulfilmentRefused(Arc::new(refused)),
            FulfilmentEvent::CancelDecided(cancel("c", &[(1, 2)])),
            FulfilmentEvent::HoldPlaced(HoldPlaced { hold_id: name("h") }),
            FulfilmentEvent::HoldReleased(HoldReleased { hold_id: name("h") }),
        ],
    );
    golden::check(
        folder,
        &[
            NoticeEvent::NoticeReceived(told()),
            NoticeEvent::NoticeApplied(NoticeApplied { parcel: "shipment/1".into() }),
            NoticeEvent::NoticeDelayed(NoticeDelayed { tries: 2 }),
            NoticeEvent::NoticeGivenUp(NoticeGivenUp { carrier: "sim".into(), tracking_code: "T1".into() }),
        ],
    );
    golden::check(folder, &every_shipment_event());
}

fn every_shipment_event() -> Vec<ShipmentEvent> {
    let moved = || Moved { of: of(1), scan: scan("e1", Seen::Delivered, 4) };
    let hold = || Hold { hold_id: name("h") };
    let (order_id, subject, return_id) = (order_id(), Arc::<str>::from("gst_1"), name("ret-1"));
    let mut events = way(5);
    events.extend([
        ShipmentEvent::ReturnAsked(Arc::new(back())),
        ShipmentEvent::ReturnRefused(ReturnRefused {
            return_id: return_id.clone(),
            order_id,
            subject: subject.clone(),
            reason: "UNKNOWN_FULFILMENT".into(),
        }),
        ShipmentEvent::ReturnVoided(ReturnVoided { return_id: return_id.clone(), has_label: true }),
        ShipmentEvent::ReturnArrived(ReturnArrived { return_id, order_id, subject, scan: moved().scan }),
        ShipmentEvent::ShipmentHeld(hold()),
        ShipmentEvent::ShipmentFreed(hold()),
        ShipmentEvent::LabelRefused(LabelRefused { key: key(1), code: "no".into() }),
        ShipmentEvent::LabelVoided(LabelVoided { key: key(1) }),
        ShipmentEvent::ShipmentReduced(ShipmentReduced { cancel_id: name("c"), lines: lines() }),
        ShipmentEvent::ShipmentCancelled(ShipmentCancelled {
            of: of(1),
            cancel_id: name("c"),
            reason: "TEST".into(),
            has_label: false,
        }),
        ShipmentEvent::ParcelCollected(ParcelCollected { key: key(1) }),
        ShipmentEvent::ShipmentInTransit(moved()),
        ShipmentEvent::ShipmentOutForDelivery(moved()),
        ShipmentEvent::ShipmentDelivered(moved()),
        ShipmentEvent::ShipmentDeliveryFailed(moved()),
        ShipmentEvent::ShipmentReturning(moved()),
        ShipmentEvent::ShipmentReturnedToSender(ShipmentReturnedToSender {
            of: of(1),
            lines: lines(),
            scan: moved().scan,
        }),
        ShipmentEvent::ShipmentLost(ShipmentLost { of: of(1), by: LostBy::Scan(moved().scan) }),
        ShipmentEvent::ShipmentLost(ShipmentLost { of: of(1), by: LostBy::Silence }),
        ShipmentEvent::ShipmentDamaged(moved()),
        ShipmentEvent::ScanNoted(ScanNoted { scan: moved().scan }),
        ShipmentEvent::StepDelayed(StepDelayed {
            step: "do label".into(),
            attempts: 1,
            reason: "silence".into(),
        }),
    ]);
    events
}

#[test]
fn invariants_see_what_must_not_be() {
    use crate::invariants::*;
    let known: Fulfilment = fold(&taken());
    let good: Shipment = fold(&way(5));
    assert_eq!(shipped_within_ordered(&known, std::slice::from_ref(&good)), []);
    assert_eq!(shipped_within_ordered(&known, &[good.clone(), good.clone(), good.clone()]).len(), 2);
    assert_eq!(is_legal("p", &way(5)), []);
    let twice = [way(4), vec![asked()]].concat();
    assert_eq!(is_legal("p", &twice)[0].invariant, "I-SH-2");
    let back_again = [way(5), vec![packed()]].concat();
    assert_eq!(is_legal("p", &back_again)[0].invariant, "I-SH-3");
    assert_eq!(only_confirmed_ships(std::slice::from_ref(&good), &[order_id()].into()), []);
    assert_eq!(only_confirmed_ships(std::slice::from_ref(&good), &[].into())[0].invariant, "I-SH-4");
    let rate: Rate = fold(&[RateEvent::RateQuoted(Arc::new(quoted()))]);
    assert_eq!(goes_where_it_was_quoted(&good, &rate), []);
    let elsewhere = RateQuoted { address: Sealed::from_parts("gst_1", [8; 12], vec![9]), ..quoted() };
    let rate: Rate = fold(&[RateEvent::RateQuoted(Arc::new(elsewhere))]);
    assert_eq!(goes_where_it_was_quoted(&good, &rate)[0].invariant, "I-SH-5");
    let own = ours(&good).expect("a label");
    let (own, none) = ([own].into(), std::collections::BTreeMap::new());
    assert_eq!(differences(&own, &own), []);
    assert_eq!(differences(&own, &none)[0].invariant, "V1");
}
