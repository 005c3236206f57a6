use super::*;
use crate::invariants;
use souk_decider::testing::{Given, Outcome};
use souk_decider::{fold, golden};
use souk_kernel::{Currency, TypeId, Uuid};

fn uuid(n: u8) -> Uuid {
    Uuid::v7(1_800_000_000_000, [n; 10])
}

fn cart_id(n: u8) -> CartId {
    CartId::from_uuid(uuid(n))
}

fn order_id(n: u8) -> OrderId {
    OrderId::from_uuid(uuid(n))
}

fn sku(text: &str) -> Sku {
    Sku::try_new(text).expect("valid")
}

fn market(text: &str) -> Market {
    Market::try_new(text).expect("valid")
}

fn pence(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").expect("known"))
}

fn opened() -> CartEvent {
    let market = market("GB");
    CartEvent::CartOpened(CartOpened {
        cart_id: cart_id(1),
        owner: "gst_1".into(),
        market,
        lines: vec![],
        next_line: 1,
        continues: None,
    })
}

fn added(line: u32, text: &str, quantity: u32, op: &str) -> CartEvent {
    CartEvent::ItemAdded(ItemAdded {
        line,
        sku: sku(text),
        quantity,
        unit_price: pence(255),
        op_id: op.into(),
    })
}

fn command(text: &str, quantity: u32, op: &str) -> Add {
    Add {
        cart_id: cart_id(1),
        owner: "gst_1".into(),
        sku: sku(text),
        quantity,
        op_id: op.into(),
        market: market("GB"),
        switch: false,
        unit_price: pence(255),
    }
}

fn adding(events: Vec<CartEvent>, wanted: Add) -> Outcome<Cart, Rejection> {
    Given::events(events).when(move |cart| add(cart, &wanted))
}

#[test]
fn the_first_addition_opens_the_cart() {
    let after = adding(vec![], command("A", 2, "op1")).then(vec![opened(), added(1, "A", 2, "op1")]);
    assert_eq!(after.active().map(|active| active.lines[0].quantity), Some(2));
}

#[test]
fn additions_of_one_sku_share_a_line_and_others_get_the_next_number() {
    let before = || vec![opened(), added(1, "A", 2, "op1")];
    adding(before(), command("A", 3, "op2")).then(vec![added(1, "A", 3, "op2")]);
    adding(before(), command("B", 1, "op2")).then(vec![added(2, "B", 1, "op2")]);
    let removed = CartEvent::ItemRemoved(ItemRemoved { line: 1 });
    adding([before(), vec![removed]].concat(), command("A", 1, "op2")).then(vec![added(2, "A", 1, "op2")]);
}

#[test]
fn an_op_id_counts_once_and_is_not_for_two_things() {
    let before = || vec![opened(), added(1, "A", 2, "op1")];
    adding(before(), command("A", 2, "op1")).then_nothing();
    let reused = adding(before(), command("A", 3, "op1")).then_rejects(OP_ID_REUSED);
    assert_eq!(reused.metadata["opId"], "op1", "as the request names it");
    assert!(reused.message.contains("opId"), "{}", reused.message);
    adding(before(), command("B", 2, "op1")).then_rejects(OP_ID_REUSED);
    let removed = CartEvent::ItemRemoved(ItemRemoved { line: 1 });
    adding([before(), vec![removed]].concat(), command("A", 2, "op1")).then_nothing();
}

#[test]
fn only_the_last_op_ids_are_remembered() {
    let mut events = vec![opened()];
    events.extend((0..=OPS_MAX).map(|i| added(1, "A", 1, &format!("op{i}"))));
    adding(events.clone(), command("A", 1, "op1")).then_nothing();
    adding(events, command("A", 1, "op0")).then(vec![added(1, "A", 1, "op0")]);
}

#[test]
fn a_line_and_a_cart_have_bounds() {
    let before = || vec![opened(), added(1, "A", QUANTITY_MAX - 1, "op1")];
    adding(before(), command("A", 1, "op2")).then(vec![added(1, "A", 1, "op2")]);
    let more = adding(before(), command("A", 2, "op2")).then_rejects(QUANTITY_TOO_HIGH);
    assert_eq!([&more.metadata["quantity"], &more.metadata["quantity_max"]], ["2", "10000"]);
    assert!(more.message.ends_with("this one has 9999 already"), "{}", more.message);
    let new = adding(before(), command("B", QUANTITY_MAX + 1, "op2")).then_rejects(QUANTITY_TOO_HIGH);
    assert_eq!(new.metadata["quantity"], "10001", "what was asked for");
    assert!(!new.message.contains("already"), "{}", new.message);
    adding(before(), command("A", u32::MAX, "op2")).then_rejects(QUANTITY_TOO_HIGH);
    adding(vec![], command("A", QUANTITY_MAX + 1, "op1")).then_rejects(QUANTITY_TOO_HIGH);
    let mut full = vec![opened()];
    full.extend((1..=100).map(|i| added(i, &format!("S{i}"), 1, &format!("op{i}"))));
    adding(full.clone(), command("A", 1, "x")).then_rejects(CART_FULL);
    adding(full, command("S7", 1, "x")).then(vec![added(7, "S7", 1, "x")]);
}

#[test]
fn another_market_is_switched_to_only_when_asked() {
    let before = || vec![opened(), added(1, "A", 2, "op1")];
    let elsewhere = Add { market: market("DE"), ..command("A", 1, "op2") };
    adding(before(), elsewhere.clone()).then_rejects(CART_MOVED);
    let changed = CartEvent::MarketChanged(MarketChanged { market: market("DE") });
    adding(before(), Add { switch: true, ..elsewhere }).then(vec![changed, added(1, "A", 1, "op2")]);
}

#[test]
fn a_converted_or_foreign_cart_is_not_added_to() {
    let converted = CartConverted { owner: "gst_1".into(), order_id: order_id(1), successor: None };
    adding(vec![opened(), CartEvent::CartConverted(converted)], command("A", 1, "x"))
        .then_rejects(CART_MOVED);
    adding(vec![opened()], Add { owner: "gst_2".into(), ..command("A", 1, "x") }).then_rejects(CART_MOVED);
}

#[test]
fn quantities_are_set_and_lines_removed_by_number() {
    let given = || Given::<Cart>::events(vec![opened(), added(1, "A", 2, "op1"), added(2, "B", 1, "op2")]);
    let set = |line, quantity| CartEvent::QuantitySet(QuantitySet { line, quantity });
    let removed = |line| CartEvent::ItemRemoved(ItemRemoved { line });
    given().when(|c| set_quantity(c, 1, 5)).then(vec![set(1, 5)]);
    given().when(|c| set_quantity(c, 1, 2)).then_nothing();
    given().when(|c| set_quantity(c, 1, 0)).then(vec![removed(1)]);
    given().when(|c| set_quantity(c, 1, QUANTITY_MAX + 1)).then_rejects(QUANTITY_TOO_HIGH);
    given().when(|c| set_quantity(c, 3, 1)).then_rejects("NOT_FOUND");
    given().when(|c| set_quantity(c, 0, 0)).then_rejects("NOT_FOUND");
    given().when(|c| remove(c, 2)).then(vec![removed(2)]);
    given().and(vec![removed(2)]).when(|c| remove(c, 2)).then_nothing();
    given().and(vec![removed(2)]).when(|c| set_quantity(c, 2, 0)).then_nothing();
    given().and(vec![removed(2)]).when(|c| set_quantity(c, 2, 1)).then_rejects("NOT_FOUND");
    given().when(|c| remove(c, 3)).then_rejects("NOT_FOUND");
    given().when(clear).then(vec![CartEvent::CartCleared(CartCleared {})]);
    given().and(vec![CartEvent::CartCleared(CartCleared {})]).when(clear).then_nothing();
    Given::<Cart>::nothing().when(clear).then_rejects(CART_MOVED);
}

#[test]
fn a_caller_who_saw_another_version_is_told() {
    assert_eq!(check_version(3, None), Ok(()));
    assert_eq!(check_version(3, Some(3)), Ok(()));
    let refused = check_version(3, Some(2)).expect_err("older");
    assert_eq!((refused.code, refused.metadata["version"].as_str()), (Code::Aborted, "3"));
}

fn ordered(lines: &[(u32, u32)]) -> Vec<Ordered> {
    lines.iter().map(|(line, quantity)| Ordered { line: *line, quantity: *quantity }).collect()
}

#[test]
fn an_order_of_everything_closes_the_cart() {
    let cart: Cart = fold(&[opened(), added(1, "A", 2, "op1"), added(2, "B", 1, "op2")]);
    let conversion =
        convert(&cart, order_id(9), "gst_1", &ordered(&[(1, 2), (2, 1)]), cart_id(9)).expect("active");
    assert_eq!(conversion.converted.successor, None);
    assert_eq!(conversion.successor, None);
}

#[test]
fn what_was_added_while_paying_stays_in_a_fresh_cart_with_its_numbers() {
    let cart: Cart =
        fold(&[opened(), added(1, "A", 5, "op1"), added(2, "B", 1, "op2"), added(3, "C", 4, "op3")]);
    // One line is split over two of the order's.
    let lines = ordered(&[(1, 1), (1, 2), (2, 1)]);
    let conversion = convert(&cart, order_id(9), "gst_1", &lines, cart_id(9)).expect("active");
    assert_eq!(conversion.converted.successor, Some(cart_id(9)));
    let successor = conversion.successor.expect("A and C are left");
    let left: Vec<_> = successor.lines.iter().map(|l| (l.line, l.sku.as_str(), l.quantity)).collect();
    assert_eq!(left, [(1, "A", 2), (3, "C", 4)]);
    assert_eq!((successor.next_line, successor.continues), (4, Some(cart_id(1))));
    let fresh: Cart = fold(&[CartEvent::CartOpened(successor)]);
    let next = add(&fresh, &Add { cart_id: cart_id(9), ..command("D", 1, "op9") }).expect("it goes on");
    assert_eq!(next, [added(4, "D", 1, "op9")]);
}

#[test]
fn an_order_that_took_more_than_is_left_is_no_debt() {
    let cart: Cart = fold(&[opened(), added(1, "A", 2, "op1")]);
    let conversion =
        convert(&cart, order_id(9), "gst_1", &ordered(&[(1, 5), (7, 1)]), cart_id(9)).expect("active");
    assert_eq!(conversion.successor, None);
}

#[test]
fn a_cart_is_converted_once_and_only_by_its_owners_order() {
    let mut cart: Cart = fold(&[opened(), added(1, "A", 2, "op1")]);
    assert_eq!(convert(&cart, order_id(9), "gst_2", &[], cart_id(9)), None);
    assert_eq!(convert(&Cart::Absent, order_id(9), "gst_1", &[], cart_id(9)), None);
    let conversion = convert(&cart, order_id(9), "gst_1", &ordered(&[(1, 2)]), cart_id(9)).expect("active");
    cart.evolve(&CartEvent::CartConverted(conversion.converted));
    assert_eq!(convert(&cart, order_id(9), "gst_1", &[], cart_id(9)), None);
    assert_eq!(convert(&cart, order_id(8), "gst_1", &[], cart_id(8)), None);
}

#[test]
fn invariants_notice_what_they_are_for() {
    let good = [opened(), added(1, "A", 2, "op1"), added(1, "A", 3, "op2")];
    let state: Cart = fold(&good);
    assert_eq!(invariants::quantities_are_sums(&good, &state), Ok(()));
    assert!(invariants::quantities_are_sums(&good[..2], &state).is_err());
    assert_eq!(invariants::no_addition_twice(&good), Ok(()));
    assert!(invariants::no_addition_twice(&[good[1].clone(), good[1].clone()]).is_err());
    assert_eq!(state.active().map(invariants::within_bounds), Some(Ok(())));
    let huge: Cart = fold(&[opened(), added(1, "A", QUANTITY_MAX + 1, "op1")]);
    assert!(huge.active().is_some_and(|active| invariants::within_bounds(active).is_err()));
    let converted = CartEvent::CartConverted(CartConverted {
        owner: "gst_1".into(),
        order_id: order_id(1),
        successor: None,
    });
    let once = [opened(), converted.clone()];
    assert_eq!(invariants::converted_once([&once[..]]), Ok(()));
    assert!(invariants::converted_once([&once[..], &once[..]]).is_err());
    assert!(invariants::converted_once([&[converted, opened()][..]]).is_err());
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let line = Line { line: 3, sku: sku("A"), quantity: 2, unit_price: pence(255) };
    let left = CartOpened {
        cart_id: cart_id(2),
        owner: "gst_1".into(),
        market: market("GB"),
        lines: vec![line],
        next_line: 4,
        continues: Some(cart_id(1)),
    };
    let converted =
        CartConverted { owner: "gst_1".into(), order_id: order_id(1), successor: Some(cart_id(2)) };
    let (a, b) = (sku("A"), sku("B"));
    let whole = MergedLine { line: 1, sku: a, quantity: 2, left_out: 0, unit_price: pence(255) };
    let short = MergedLine { line: 2, sku: b, quantity: 0, left_out: 7, unit_price: pence(99) };
    let merged = CartMerged { owner: "gst_1".into(), customer: "usr_1".into(), into: cart_id(2) };
    let events = [
        opened(),
        CartEvent::CartOpened(left),
        added(1, "A", 2, "op1"),
        CartEvent::QuantitySet(QuantitySet { line: 1, quantity: 3 }),
        CartEvent::ItemRemoved(ItemRemoved { line: 1 }),
        CartEvent::CartCleared(CartCleared {}),
        CartEvent::MarketChanged(MarketChanged { market: market("DE") }),
        CartEvent::LinesMerged(LinesMerged { from: cart_id(3), lines: vec![whole, short] }),
        CartEvent::CartMerged(merged),
        CartEvent::CartConverted(converted),
    ];
    golden::check(env!("CARGO_MANIFEST_DIR"), &events);
}
