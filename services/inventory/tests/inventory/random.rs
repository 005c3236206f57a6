//! Random histories: whatever is asked in whatever order, the invariants hold after every step, and the
//! first answer to a reservation stands.
use crate::shop::{Shop, line, order, said};
use proptest::prelude::*;
use proptest::test_runner::Config;
use souk_contracts::inventory::v1::{
    AllocatedLine, Grade, Reservation, ReservationStatus, ReservePolicy, RestockLine, ShortfallDecision,
    StockLine,
};
use souk_kernel::Error;
use std::collections::HashMap;

const SKUS: [&str; 3] = ["a", "b", "ghost"];
const PLACES: [&str; 2] = ["main", "east"];

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8, ReservePolicy, Vec<StockLine>),
    ReserveAgain(u8),
    Commit(u8),
    Release(u8),
    Pass(i64),
    Receive(u8, usize, usize, i64),
    Adjust(u8, usize, usize, i64),
    /// Of what the order has: its `n`th line, so many pieces less.
    Ship(u8, u8, usize, u32),
    Restock(u8, u8, usize, u32, Grade),
    ReleaseLines(u8, u8, usize, u32),
    Extend(u8, u32),
    Scrap(u8, usize, i64),
    Transfer(u8, usize, i64),
    Count(u8, usize, i64, bool),
    Resolve(u8, ShortfallDecision),
    Put(usize, u32, bool),
    Terms(usize, i64, i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop::collection::vec((0..SKUS.len(), 1..5u32), 1..4).prop_map(|lines| {
        // Ghosts are rare, or every order would be refused.
        let sku = |sku: usize, quantity| if sku == 2 && quantity > 1 { SKUS[0] } else { SKUS[sku] };
        let numbered = lines.into_iter().zip(1..);
        numbered.map(|((what, quantity), n)| line(n, sku(what, quantity), quantity)).collect()
    });
    let orders = 0..6u8;
    let policy = prop_oneof![
        3 => Just(ReservePolicy::AllOrNothing),
        1 => Just(ReservePolicy::Partial),
        2 => Just(ReservePolicy::Backorder),
    ];
    let moves = prop_oneof![
        4 => (orders.clone(), 0..4u8, 0..4usize, 0..3u32).prop_map(|(n, id, at, q)| Step::Ship(n, id, at, q)),
        2 => (orders.clone(), 0..4u8, 0..4usize, 0..3u32, grades()).prop_map(|(n, id, at, q, grade)| {
            Step::Restock(n, id, at, q, grade)
        }),
        3 => (orders.clone(), 0..4u8, 0..4usize, 0..3u32).prop_map(|(n, id, at, q)| {
            Step::ReleaseLines(n, id, at, q)
        }),
        1 => (orders.clone(), 1..200u32).prop_map(|(n, ttl_s)| Step::Extend(n, ttl_s)),
        1 => (0..9u8, 0..2usize, -2..3i64).prop_map(|(n, sku, q)| Step::Scrap(n, sku, q)),
        1 => (0..9u8, 0..2usize, 1..4i64).prop_map(|(n, sku, q)| Step::Transfer(n, sku, q)),
        2 => (0..9u8, 0..2usize, 0..9i64, any::<bool>()).prop_map(|(n, sku, q, f)| Step::Count(n, sku, q, f)),
        1 => (0..9u8, decisions()).prop_map(|(n, decision)| Step::Resolve(n, decision)),
        1 => (0..2usize, 0..3u32, any::<bool>()).prop_map(|(at, p, open)| Step::Put(at, p, open)),
        2 => (0..2usize, 0..3i64, 0..4i64, 0..9i64).prop_map(|(sku, s, l, b)| Step::Terms(sku, s, l, b)),
    ];
    prop_oneof![
        14 => moves,
        4 => (orders.clone(), policy, lines).prop_map(|(n, policy, lines)| Step::Reserve(n, policy, lines)),
        2 => orders.clone().prop_map(Step::ReserveAgain),
        3 => orders.clone().prop_map(Step::Commit),
        2 => orders.prop_map(Step::Release),
        2 => (1..90i64).prop_map(Step::Pass),
        3 => (0..9u8, 0..2usize, 0..2usize, 1..6i64).prop_map(|(n, sku, at, q)| Step::Receive(n, sku, at, q)),
        2 => (0..9u8, 0..2usize, 0..2usize, -5..6i64).prop_map(|(n, sku, at, d)| Step::Adjust(n, sku, at, d)),
    ]
}

fn grades() -> impl Strategy<Value = Grade> {
    prop_oneof![Just(Grade::A), Just(Grade::B), Just(Grade::Damaged)]
}

fn decisions() -> impl Strategy<Value = ShortfallDecision> {
    prop_oneof![Just(ShortfallDecision::Found), Just(ShortfallDecision::WrittenOff)]
}

/// What the orders have been told so far.
#[derive(Default)]
struct Told {
    lines: HashMap<u8, (ReservePolicy, Vec<StockLine>)>,
    answers: HashMap<u8, Reservation>,
    released: HashMap<u8, bool>,
}

async fn take(shop: &Shop, told: &mut Told, step: &Step) {
    match step {
        Step::Reserve(n, policy, lines) => reserve(shop, told, *n, *policy, lines).await,
        Step::ReserveAgain(n) => {
            if let Some((policy, lines)) = told.lines.get(n).cloned() {
                reserve(shop, told, *n, policy, &lines).await;
            }
        }
        Step::Commit(n) => {
            let answer = shop.commit(order(*n)).await;
            assert_ne!(answer.status(), ReservationStatus::Held, "a commit is decided");
            let is_final = matches!(
                answer.status(),
                ReservationStatus::Committed
                    | ReservationStatus::PartiallyShipped
                    | ReservationStatus::Shipped
            );
            assert_eq!(is_final, answer.refusal_reason.is_empty());
        }
        Step::Release(n) => {
            let answer = shop.release(order(*n)).await;
            assert!(!matches!(
                answer.status(),
                ReservationStatus::Held | ReservationStatus::Committed | ReservationStatus::PartiallyShipped
            ));
            told.released.insert(*n, answer.status() == ReservationStatus::Released);
        }
        Step::Pass(seconds) => shop.pass(*seconds).await,
        Step::Receive(n, sku, at, quantity) => {
            // The same id with other content is refused; that must not leave anything behind either.
            let _ = shop.receive(&format!("r{n}"), PLACES[*at], &[(SKUS[*sku], *quantity)]).await;
        }
        Step::Adjust(n, sku, at, delta) => {
            let _ = shop.adjust(&format!("j{n}"), SKUS[*sku], PLACES[*at], *delta).await;
        }
        Step::Ship(n, id, at, less) => ship(shop, *n, *id, *at, *less).await,
        Step::Restock(n, id, at, less, grade) => restock(shop, *n, *id, *at, *less, *grade).await,
        Step::ReleaseLines(n, id, at, less) => release_lines(shop, told, *n, *id, *at, *less).await,
        Step::Extend(n, ttl_s) => {
            let _ = shop.extend(order(*n), *ttl_s).await;
        }
        // Staff's mistakes are refused; that must not leave anything behind either.
        Step::Scrap(n, sku, pieces) => {
            let _ = shop.scrap(&format!("q{n}"), SKUS[*sku], *pieces).await;
        }
        Step::Transfer(n, sku, quantity) => {
            let _ = shop.transfer(&format!("v{n}"), SKUS[*sku], "main", "east", *quantity).await;
        }
        Step::Count(n, sku, counted, force) => {
            let _ = shop.count(&format!("c{n}"), SKUS[*sku], *counted, *force).await;
        }
        Step::Resolve(n, decision) => {
            let _ = shop.resolve(&format!("c{n}"), *decision).await;
        }
        Step::Put(at, priority, open) => shop.put_location(PLACES[*at], *priority, *open).await,
        Step::Terms(sku, safety, low, limit) => shop.put_terms(SKUS[*sku], *safety, *low, *limit).await,
    }
}

/// A line that the order has, or one that nobody has.
async fn line_of(shop: &Shop, n: u8, at: usize, less: u32) -> AllocatedLine {
    let lines = shop.look(order(n)).await.map(|reservation| reservation.lines).unwrap_or_default();
    let count = lines.len().max(1);
    let nobodys = AllocatedLine { line: 9, sku: "a".into(), quantity: 1, location: "main".into() };
    let line = lines.into_iter().nth(at % count).unwrap_or(nobodys);
    AllocatedLine { quantity: line.quantity.saturating_sub(less).max(1), ..line }
}

/// Every step is asked for twice at once: the same answer, or the same refusal.
fn same<T: PartialEq + std::fmt::Debug>(one: Result<T, Error>, other: Result<T, Error>) -> Option<T> {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other, "asked twice, told twice");
            Some(one)
        }
        (one, other) => {
            let reason = |answer: Result<T, Error>| answer.expect_err("both").reason().to_owned();
            assert_eq!(reason(one), reason(other));
            None
        }
    }
}

async fn ship(shop: &Shop, n: u8, id: u8, at: usize, less: u32) {
    let lines = [line_of(shop, n, at, less).await];
    let (before, id) = (shop.look(order(n)).await.ok(), format!("s{id}"));
    let first = shop.ship(order(n), &id, &lines).await;
    let answer = same(first, shop.ship(order(n), &id, &lines).await);
    let refused = answer.is_some_and(|answer| !answer.refusal_reason.is_empty());
    if refused && let Some(before) = before {
        assert_eq!(shop.look(order(n)).await.ok(), Some(before), "a refusal changes nothing");
    }
}

async fn restock(shop: &Shop, n: u8, id: u8, at: usize, less: u32, grade: Grade) {
    let AllocatedLine { line, sku, quantity, location } = line_of(shop, n, at, less).await;
    let lines = [RestockLine { line, sku, quantity, location, grade: grade.into() }];
    let id = format!("t{id}");
    let first = shop.restock(order(n), &id, &lines).await;
    same(first, shop.restock(order(n), &id, &lines).await);
}

async fn release_lines(shop: &Shop, told: &mut Told, n: u8, id: u8, at: usize, less: u32) {
    let AllocatedLine { line: number, sku, quantity, .. } = line_of(shop, n, at, less).await;
    let (lines, id) = ([line(number, &sku, quantity)], format!("x{id}"));
    let first = shop.release_lines(order(n), &id, &lines).await;
    let answer = same(first, shop.release_lines(order(n), &id, &lines).await);
    if answer.is_some_and(|answer| answer.status() == ReservationStatus::Released) {
        told.released.insert(n, true);
    }
}

async fn reserve(shop: &Shop, told: &mut Told, n: u8, policy: ReservePolicy, lines: &[StockLine]) {
    let answer = match shop.reserve_by(policy, order(n), lines).await {
        Ok(answer) => answer,
        Err(error) => {
            assert_eq!(error.reason(), "RESERVATION_CONFLICT");
            return;
        }
    };
    if told.released.get(&n) == Some(&true) {
        assert_eq!(said(&answer), (ReservationStatus::Refused, "RESERVATION_RELEASED"));
        return;
    }
    let first = told.answers.entry(n).or_insert_with(|| answer.clone());
    assert_eq!(*first, answer, "the first answer stands");
    told.lines.insert(n, (policy, lines.to_vec()));
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_invariants_hold_after_every_step(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let shop = Shop::in_memory();
            let mut told = Told::default();
            for step in &steps {
                take(&shop, &mut told, step).await;
                let violations = shop.violations().await;
                assert_eq!(violations, [], "after {step:?}");
            }
        });
    }
}
