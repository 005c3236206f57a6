//! The rules of orders, and both sagas walked exhaustively against a model of their participants: every
//! answer given, lost or never asked for, with a cancel and a deadline at every point.
use super::*;
use crate::domain::Caller;
use crate::domain::samples::{agreed, at, customer, of_cart, offer, order_id, seller, support};
use crate::invariants::{facts, nothing_kept, saga_fits_status, total_is_sum_of_lines};
use crate::{cancel as cancelling, fulfil, place as placing_saga};
use souk_saga::{Direction, Phase};

mod life;
mod undelivered;

fn apply(order: &Order, events: &[OrderEvent]) -> Order {
    let mut after = order.clone();
    events.iter().for_each(|event| after.evolve(event));
    after
}

fn placing() -> Place {
    Place {
        order_id: order_id(),
        placed_by: "gst_1".into(),
        payment_method_token: "ok".into(),
        partial_policy: PartialPolicy::AllOrNothing,
    }
}

fn placed_events() -> Vec<OrderEvent> {
    place(&Order::default(), &offer(of_cart()), &placing(), at(7))
}

fn placed() -> Order {
    apply(&Order::default(), &placed_events())
}

/// What the runner would record, at some time.
fn record(order: &Order, intent: &Intent, outcome: &Outcome, attempt: u32) -> Vec<OrderEvent> {
    super::record(order, intent, outcome, attempt, at(8))
}

fn next(order: &Order) -> Intent {
    outstanding(order).first().cloned().expect("something is outstanding")
}

/// The order after these outcomes of whatever was outstanding.
fn after(order: &Order, outcomes: &[Outcome]) -> Order {
    outcomes
        .iter()
        .fold(order.clone(), |order, outcome| apply(&order, &record(&order, &next(&order), outcome, 1)))
}

fn asked_by(caller: Caller) -> Cancel {
    Cancel { caller, by: "somebody".into(), note: "too late".into() }
}

fn cancelled(order: &Order) -> Order {
    apply(order, &cancel(order, &asked_by(customer("gst_1"))).expect("it can be cancelled"))
}

fn kinds(events: &[OrderEvent]) -> Vec<&'static str> {
    events.iter().map(souk_decider::StoredEvent::kind).collect()
}

#[test]
fn an_order_is_placed_with_its_saga_in_one_go() {
    let order = placed();
    assert_eq!(order.label(), Label::Pending);
    assert_eq!(next(&order).key(&order_id().to_string()), format!("{}:place:reserve:do", order_id()));
    let placed = order.placed().expect("placed");
    assert_eq!((placed.placed_at, placed.external_ref.as_ref(), order.sequence()), (at(7), "", 1));
    let deal = place(&Order::default(), &offer(agreed()), &placing(), at(7));
    assert_eq!(apply(&Order::default(), &deal).placed().expect("placed").external_ref.as_ref(), "DEAL-1");
}

#[test]
fn the_pivot_confirms_and_the_capture_comes_after() {
    let committed = after(&placed(), &[Outcome::done(), Outcome::done()]);
    assert_eq!((committed.label(), committed.payment()), (Label::Pending, Payment::Authorized));
    let events = record(&committed, &next(&committed), &Outcome::done(), 1);
    assert_eq!(kinds(&events), ["SagaMoved", "OrderConfirmed"]);
    let ended = timers(&committed, &events, at(9), &Windows::default()).cancel;
    assert_eq!(ended, [placing_saga::deadline_key(order_id())]);
    let confirmed = apply(&committed, &events);
    assert_eq!((confirmed.label(), next(&confirmed).step), (Label::Confirmed, placing_saga::CAPTURE));
    assert!(!confirmed.is_over());
    let over = after(&confirmed, &[Outcome::done()]);
    assert_eq!((over.label(), over.payment(), over.is_over()), (Label::Confirmed, Payment::Captured, true));
}

#[test]
fn a_refusal_gives_back_what_was_ever_asked_for_and_names_its_reason() {
    let declined = Outcome::refused("PAYMENT_DECLINED", "insufficient_funds");
    let order = after(&placed(), &[Outcome::done(), declined, Outcome::done(), Outcome::done()]);
    assert_eq!(order.label(), Label::Rejected);
    assert_eq!(order.reason(), ("PAYMENT_DECLINED", "insufficient_funds"));
    assert_eq!(order.payment(), Payment::None, "nothing was ever authorised");
    assert!(order.is_over());
}

#[test]
fn a_refused_capture_waits_for_a_person() {
    let done = Outcome::done();
    let refused = Outcome::refused("CAPTURE_REFUSED", "");
    let order = after(&placed(), &[done.clone(), done.clone(), done, refused]);
    assert!(order.needs_attention() && outstanding(&order).is_empty());
    assert_eq!(order.label(), Label::OnHold);
    assert!(!cancelled(&order).needs_attention(), "the cancel takes over");
}

#[test]
fn a_cancel_before_the_pivot_turns_the_sale_back() {
    for done in 0..2 {
        let order = cancelled(&after(&placed(), &vec![Outcome::done(); done]));
        assert_eq!((order.label(), next(&order).direction), (Label::Cancelling, Direction::Undo));
        let over = after(&order, &vec![Outcome::done(); done + 1]);
        assert_eq!((over.label(), over.reason().0), (Label::Cancelled, CANCELLED_BY_CUSTOMER));
    }
}

fn pivot_in_doubt() -> Order {
    cancelled(&after(&placed(), &[Outcome::done(), Outcome::done()]))
}

#[test]
fn a_cancel_while_the_pivot_is_in_doubt_waits_for_its_answer() {
    let order = pivot_in_doubt();
    assert_eq!((order.label(), next(&order).step), (Label::Cancelling, placing_saga::COMMIT));
    let events = record(&order, &next(&order), &Outcome::done(), 1);
    assert_eq!(kinds(&events), ["SagaMoved", "OrderConfirmed", "SagaMoved", "SagaMoved"]);
    let turning = apply(&order, &events);
    assert_eq!((turning.label(), next(&turning).step), (Label::Cancelling, cancelling::RELEASE));
    let refunded = Outcome::Done(cancelling::REFUNDED.into());
    let over = after(&turning, &[Outcome::done(), refunded]);
    assert_eq!((over.label(), over.payment()), (Label::Cancelled, Payment::Refunded));
}

#[test]
fn a_pivot_refused_after_a_cancel_ends_cancelled() {
    let refused = Outcome::refused("RESERVATION_EXPIRED", "");
    let over = after(&pivot_in_doubt(), &[refused, Outcome::done(), Outcome::done()]);
    assert_eq!((over.label(), over.reason().0), (Label::Cancelled, CANCELLED_BY_CUSTOMER));
    assert_eq!(over.payment(), Payment::Voided);
}

#[test]
fn a_second_cancel_changes_nothing_and_a_rejected_order_cannot_be_cancelled() {
    let again = |order: &Order| cancel(order, &asked_by(customer("gst_1")));
    let cancelling = cancelled(&placed());
    assert_eq!(again(&cancelling), Ok(vec![]));
    assert_eq!(again(&after(&cancelling, &[Outcome::done()])), Ok(vec![]));
    let refused = after(&placed(), &[Outcome::refused("INSUFFICIENT_STOCK", "")]);
    let too_late = |order: &Order| again(order).expect_err("too late").reason;
    assert_eq!(too_late(&refused), "CANCEL_TOO_LATE", "while it is undone");
    assert_eq!(too_late(&after(&refused, &[Outcome::done()])), "CANCEL_TOO_LATE", "and after");
}

#[test]
fn a_stranger_cannot_cancel_and_only_staffs_words_are_kept() {
    let by = |caller: Caller| cancel(&placed(), &asked_by(caller));
    assert_eq!(by(customer("gst_2")).expect_err("not theirs").reason, "NOT_FOUND");
    let note = |caller: Caller| {
        let events = by(caller).expect("allowed");
        let OrderEvent::CancelRequested(asked) = &events[0] else { panic!("{events:?}") };
        asked.note.clone()
    };
    assert_eq!((note(customer("gst_1")), note(support())), (String::new(), "too late".to_owned()));
    assert_eq!(by(seller()).expect_err("no deal of sales").reason, "NOT_FOUND");
}

#[test]
fn the_deadline_turns_back_only_what_can_be_turned_back() {
    let early = after(&placed(), &[Outcome::done()]);
    let over = after(&apply(&early, &deadline_passed(&early)), &[Outcome::done(), Outcome::done()]);
    assert_eq!((over.label(), over.reason().0), (Label::Rejected, DEADLINE_PASSED));
    let in_doubt = after(&early, &[Outcome::done()]);
    assert_eq!(deadline_passed(&in_doubt), vec![]);
    assert_eq!(deadline_passed(&over), vec![]);
    assert_eq!(deadline_passed(&Order::default()), vec![]);
}

#[test]
fn a_refused_release_is_asked_again_and_never_turns_a_cancel_back() {
    let confirmed = after(&placed(), &vec![Outcome::done(); 3]);
    let order = after(&cancelled(&confirmed), &[Outcome::refused("NO", "")]);
    assert_eq!((order.label(), next(&order).step), (Label::Cancelling, cancelling::RELEASE));
}

// ---- The exhaustive walk ----

#[derive(Clone, Copy, Debug, PartialEq, Default)]
enum Stock {
    #[default]
    Unasked,
    Held,
    Committed,
    Refused,
    Released,
}

#[derive(Clone, Copy, Debug, PartialEq, Default)]
enum Funds {
    #[default]
    Unasked,
    Promised,
    Taken,
    Declined,
    GivenUp,
    GivenBack,
    /// Promised, and the provider will not let it be taken.
    Blocked,
}

/// What catalog and shipping know.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
enum Side {
    #[default]
    Unasked,
    Taken,
    Refused,
    GivenBack,
}

/// The participants: each remembers its answer, and a late request gets it.
#[derive(Clone, Copy, Debug, Default)]
struct World {
    stock: Stock,
    funds: Funds,
    coupons: Side,
    floor: Side,
    /// A parcel has left, and the order may not have heard of it yet.
    has_left: bool,
}

impl World {
    /// Carries an intent out. `willing` decides what is not decided yet.
    fn carry_out(&mut self, intent: &Intent, willing: bool) -> Outcome {
        match (intent.step, intent.direction) {
            (placing_saga::RESERVE, Direction::Do) => self.reserve(willing),
            (placing_saga::COMMIT, Direction::Do) => self.commit(willing),
            (placing_saga::RESERVE, Direction::Undo) | (cancelling::RELEASE, Direction::Do) => {
                if self.stock != Stock::Refused {
                    self.stock = Stock::Released;
                }
                Outcome::done()
            }
            (placing_saga::AUTHORIZE, Direction::Do) => self.authorize(willing),
            (placing_saga::CAPTURE, Direction::Do) => self.capture(willing),
            (placing_saga::REDEEM, Direction::Do) => {
                if self.coupons == Side::Unasked {
                    self.coupons = if willing { Side::Taken } else { Side::Refused };
                }
                match self.coupons {
                    Side::Taken => Outcome::done(),
                    Side::Unasked | Side::Refused | Side::GivenBack => {
                        Outcome::refused("COUPON_EXHAUSTED", "TEN")
                    }
                }
            }
            (placing_saga::REDEEM, Direction::Undo) | (cancelling::RETURN_COUPONS, Direction::Do) => {
                if self.coupons != Side::Refused {
                    self.coupons = Side::GivenBack;
                }
                Outcome::done()
            }
            (fulfil::CREATE, Direction::Do) => {
                if self.floor == Side::Unasked {
                    self.floor = Side::Taken;
                }
                match self.floor {
                    Side::Taken => Outcome::done(),
                    Side::Unasked | Side::Refused | Side::GivenBack => {
                        Outcome::refused("FULFILMENT_CANCELLED", "")
                    }
                }
            }
            (cancelling::STOP_SHIPPING, Direction::Do) if self.has_left => {
                Outcome::refused("CANCEL_TOO_LATE", "")
            }
            (cancelling::STOP_SHIPPING, Direction::Do) => {
                self.floor = Side::GivenBack;
                Outcome::done()
            }
            (cancelling::STOP_SHIPPING, Direction::Undo) => Outcome::done(),
            (placing_saga::AUTHORIZE, Direction::Undo) | (cancelling::RETURN_MONEY, Direction::Do) => {
                self.give_back()
            }
            (step, direction) => panic!("nobody knows {direction} {step}"),
        }
    }

    fn reserve(&mut self, willing: bool) -> Outcome {
        if self.stock == Stock::Unasked {
            self.stock = if willing { Stock::Held } else { Stock::Refused };
        }
        match self.stock {
            Stock::Held | Stock::Committed => Outcome::done(),
            Stock::Refused => Outcome::refused("INSUFFICIENT_STOCK", "A"),
            Stock::Released | Stock::Unasked => Outcome::refused("RESERVATION_EXPIRED", ""),
        }
    }

    fn commit(&mut self, willing: bool) -> Outcome {
        if self.stock == Stock::Held {
            self.stock = if willing { Stock::Committed } else { Stock::Refused };
        }
        match self.stock {
            Stock::Committed => Outcome::done(),
            Stock::Unasked | Stock::Held | Stock::Refused | Stock::Released => {
                Outcome::refused("RESERVATION_EXPIRED", "")
            }
        }
    }

    fn authorize(&mut self, willing: bool) -> Outcome {
        if self.funds == Funds::Unasked {
            self.funds = if willing { Funds::Promised } else { Funds::Declined };
        }
        match self.funds {
            Funds::Promised | Funds::Taken | Funds::Blocked => Outcome::done(),
            Funds::Unasked | Funds::Declined | Funds::GivenUp | Funds::GivenBack => {
                Outcome::refused("PAYMENT_DECLINED", "no_funds")
            }
        }
    }

    fn capture(&mut self, willing: bool) -> Outcome {
        if self.funds == Funds::Promised {
            self.funds = if willing { Funds::Taken } else { Funds::Blocked };
        }
        match self.funds {
            Funds::Taken => Outcome::done(),
            Funds::Unasked
            | Funds::Promised
            | Funds::Declined
            | Funds::GivenUp
            | Funds::GivenBack
            | Funds::Blocked => Outcome::refused("CAPTURE_REFUSED", ""),
        }
    }

    fn give_back(&mut self) -> Outcome {
        self.funds = match self.funds {
            Funds::Taken | Funds::GivenBack => Funds::GivenBack,
            Funds::Unasked | Funds::Promised | Funds::Blocked | Funds::GivenUp => Funds::GivenUp,
            Funds::Declined => Funds::Declined,
        };
        let word = if self.funds == Funds::GivenBack { cancelling::REFUNDED } else { cancelling::VOIDED };
        Outcome::Done(word.into())
    }

    fn holds_nothing(&self) -> bool {
        let stock = matches!(self.stock, Stock::Unasked | Stock::Refused | Stock::Released);
        let funds =
            matches!(self.funds, Funds::Unasked | Funds::Declined | Funds::GivenUp | Funds::GivenBack);
        let coupons = self.coupons != Side::Taken;
        stock && funds && coupons && self.floor != Side::Taken && !self.has_left
    }
}

/// How much may still go wrong on a path.
#[derive(Clone, Copy)]
struct Luck {
    lost: u8,
    cancels: u8,
    deadlines: u8,
    /// Calls that were sent and are carried out late, after their answer was given up.
    zombies: u8,
    /// The time to undo may end, and a parcel may leave; the order hears of it later.
    parcels: u8,
}

#[derive(Default)]
struct Ends {
    confirmed: u32,
    rejected: u32,
    cancelled: u32,
    stuck: u32,
    shipped: u32,
    too_late: u32,
}

fn walk(order: &Order, world: World, luck: Luck, ends: &mut Ends) {
    check(order, world, ends);
    for intent in outstanding(order) {
        for willing in [true, false] {
            let mut world = world;
            let outcome = world.carry_out(&intent, willing);
            walk(&apply(order, &record(order, &intent, &outcome, 1)), world, luck, ends);
            if luck.lost > 0 {
                let lost = Luck { lost: luck.lost - 1, ..luck };
                walk(&apply(order, &record(order, &intent, &Outcome::unknown("lost"), 1)), world, lost, ends);
            }
            if luck.zombies > 0 {
                walk_with_late_answer(order, world, &intent, &outcome, luck, ends);
            }
        }
        if luck.lost > 0 {
            let lost = Luck { lost: luck.lost - 1, ..luck };
            walk(&apply(order, &record(order, &intent, &Outcome::unknown("no"), 1)), world, lost, ends);
        }
    }
    walk_parcels(order, world, luck, ends);
    if luck.cancels > 0
        && let Ok(events) = cancel(order, &asked_by(customer("gst_1")))
    {
        walk(&apply(order, &events), world, Luck { cancels: luck.cancels - 1, ..luck }, ends);
    }
    if luck.deadlines > 0 {
        let events = deadline_passed(order);
        walk(&apply(order, &events), world, Luck { deadlines: luck.deadlines - 1, ..luck }, ends);
    }
}

/// What the world does by itself with an order that is shipped.
fn walk_parcels(order: &Order, world: World, luck: Luck, ends: &mut Ends) {
    let processing = undo_window_over(order);
    if !processing.is_empty() {
        walk(&apply(order, &processing), world, luck, ends);
    }
    if world.floor == Side::Taken && !world.has_left && luck.parcels > 0 {
        let luck = Luck { parcels: luck.parcels - 1, ..luck };
        walk(order, World { has_left: true, ..world }, luck, ends);
    }
    if let Some(shipped) = handed_over(order, &life::everything()).filter(|_| world.has_left) {
        walk(&apply(order, &[OrderEvent::ParcelShipped(shipped)]), world, luck, ends);
    }
}

/// The customer cancels, or the time is over, between a call's effect and the record of its answer.
fn walk_with_late_answer(
    order: &Order,
    world: World,
    intent: &Intent,
    outcome: &Outcome,
    luck: Luck,
    ends: &mut Ends,
) {
    let luck = Luck { zombies: luck.zombies - 1, ..luck };
    let between = [cancel(order, &asked_by(customer("gst_1"))).unwrap_or_default(), deadline_passed(order)];
    for events in between.iter().filter(|events| !events.is_empty()) {
        let moved = apply(order, events);
        walk(&apply(&moved, &record(&moved, intent, outcome, 1)), world, luck, ends);
    }
}

fn check(order: &Order, world: World, ends: &mut Ends) {
    let facts = facts(order).expect("placed");
    assert!(saga_fits_status(&facts), "{order:?}");
    assert!(nothing_kept(&facts), "{order:?}");
    assert!(total_is_sum_of_lines(order));
    let waits = order.delivery().is_some()
        && matches!(order.label(), Label::Confirmed | Label::Processing | Label::Shipped);
    let settled_or_busy =
        order.is_over() || order.needs_attention() || !outstanding(order).is_empty() || waits;
    assert!(settled_or_busy, "an open order has something to do: {order:?}");
    if *order.status() == Status::Shipped && !order.has_open_saga() {
        ends.shipped += 1;
        ends.too_late += u32::from(order.cancel_refused().is_some());
        assert_eq!((world.stock, world.funds, world.floor), (Stock::Committed, Funds::Promised, Side::Taken));
    }
    if order.needs_attention() && outstanding(order).is_empty() {
        ends.stuck += 1;
    }
    if !order.is_over() {
        return;
    }
    match order.label() {
        Label::Confirmed => {
            ends.confirmed += 1;
            assert_eq!((world.stock, world.funds), (Stock::Committed, Funds::Taken), "{order:?}");
        }
        Label::Rejected => {
            ends.rejected += 1;
            assert!(!order.cancel_asked() && world.holds_nothing(), "{world:?} {order:?}");
        }
        Label::Cancelled => {
            ends.cancelled += 1;
            assert!(order.cancel_asked() && world.holds_nothing(), "{world:?} {order:?}");
            let abandoned = matches!(order.place().phase(), Phase::Abandoned(_) | Phase::Completed);
            assert_eq!(abandoned, *order.cancel().phase() == Phase::Completed);
        }
        Label::Pending
        | Label::AwaitingCustomer
        | Label::Processing
        | Label::PartiallyShipped
        | Label::Shipped
        | Label::Delivered
        | Label::Completed
        | Label::OnHold
        | Label::Cancelling => panic!("a plain sale does not end so: {order:?}"),
    }
}

#[test]
fn whatever_happens_an_order_ends_wholly_sold_or_wholly_given_back() {
    let mut ends = Ends::default();
    let luck = Luck { lost: 2, cancels: 1, deadlines: 1, zombies: 1, parcels: 0 };
    walk(&placed(), World::default(), luck, &mut ends);
    assert!(ends.confirmed > 10 && ends.rejected > 100, "the walk reached these ends");
    assert!(ends.cancelled > 100 && ends.stuck > 10, "and these");
}

#[test]
fn every_answer_may_come_twice() {
    let mut order = placed();
    for _ in 0..4 {
        let intent = next(&order);
        order = apply(&order, &record(&order, &intent, &Outcome::done(), 1));
        for late in [Outcome::done(), Outcome::refused("NO", ""), Outcome::unknown("lost")] {
            assert_eq!(record(&order, &intent, &late, 2), vec![], "{intent:?}");
        }
    }
    assert!(order.is_over());
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let confirmed = after(&placed(), &[Outcome::done(), Outcome::done()]);
    let mut examples = placed_events();
    examples.extend(record(&confirmed, &next(&confirmed), &Outcome::Done("x".into()), 1));
    examples.push(OrderEvent::OrderRejected(OrderRejected {
        order_id: order_id(),
        subject: "gst_1".into(),
        reason: "INSUFFICIENT_STOCK".into(),
        detail: "A: 1 of 3".into(),
    }));
    examples.push(OrderEvent::CancelRequested(CancelRequested {
        by: "stf_1".into(),
        by_staff: false,
        note: "a note".into(),
    }));
    examples.push(OrderEvent::OrderCancelled(OrderCancelled {
        order_id: order_id(),
        subject: "gst_1".into(),
        reason: CANCELLED_BY_CUSTOMER.into(),
    }));
    examples.extend(saga_moves().into_iter().map(OrderEvent::SagaMoved));
    examples.extend(life::examples());
    examples.extend(crate::domain::returns::tests::order_examples());
    souk_decider::golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}

/// Every other move of a saga: they are stored in this service's streams, so their shapes are kept here.
fn saga_moves() -> Vec<souk_saga::Event> {
    use souk_saga::Event;
    let (saga, step) = (|| "place".to_owned(), || "reserve".to_owned());
    let reason = || "INSUFFICIENT_STOCK".to_owned();
    vec![
        Event::StepRefused { saga: saga(), step: step(), reason: reason(), detail: "A: 1 of 3".into() },
        Event::StepDelayed {
            saga: saga(),
            step: step(),
            direction: Direction::Do,
            attempts: 10,
            reason: "timeout".into(),
        },
        Event::UndoStarted { saga: saga(), reason: reason(), steps: vec![step()] },
        Event::StepUndone { saga: saga(), step: step() },
        Event::NeedsOperator {
            saga: saga(),
            step: step(),
            direction: Direction::Undo,
            reason: "timeout".into(),
            refused: false,
        },
        Event::Completed { saga: saga() },
        Event::Undone { saga: saga(), reason: reason() },
        Event::Abandoned { saga: saga(), reason: CANCELLED_BY_CUSTOMER.into() },
        Event::Intervened {
            saga: saga(),
            step: step(),
            direction: Direction::Undo,
            operation: souk_saga::Operation::Skip,
            by: "stf_1".into(),
            reason: "seen to it".into(),
        },
    ]
}
