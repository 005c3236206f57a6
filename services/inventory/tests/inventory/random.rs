//! Random histories: whatever is asked in whatever order, the invariants hold after every step, and the
//! first answer to a reservation stands.
use crate::shop::{Shop, line, order, said};
use proptest::prelude::*;
use proptest::test_runner::Config;
use souk_contracts::inventory::v1::{Reservation, ReservationStatus, StockLine};
use std::collections::HashMap;

const SKUS: [&str; 3] = ["a", "b", "ghost"];
const PLACES: [&str; 2] = ["main", "east"];

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8, Vec<StockLine>),
    ReserveAgain(u8),
    Commit(u8),
    Release(u8),
    Pass(i64),
    Receive(u8, usize, usize, i64),
    Adjust(u8, usize, usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop::collection::vec((0..SKUS.len(), 1..5u32), 1..4).prop_map(|lines| {
        // Ghosts are rare, or every order would be refused.
        let sku = |sku: usize, quantity| if sku == 2 && quantity > 1 { SKUS[0] } else { SKUS[sku] };
        let numbered = lines.into_iter().zip(1..);
        numbered.map(|((what, quantity), n)| line(n, sku(what, quantity), quantity)).collect()
    });
    let orders = 0..6u8;
    prop_oneof![
        4 => (orders.clone(), lines).prop_map(|(n, lines)| Step::Reserve(n, lines)),
        2 => orders.clone().prop_map(Step::ReserveAgain),
        3 => orders.clone().prop_map(Step::Commit),
        2 => orders.prop_map(Step::Release),
        2 => (1..90i64).prop_map(Step::Pass),
        3 => (0..9u8, 0..2usize, 0..2usize, 1..6i64).prop_map(|(n, sku, at, q)| Step::Receive(n, sku, at, q)),
        2 => (0..9u8, 0..2usize, 0..2usize, -5..6i64).prop_map(|(n, sku, at, d)| Step::Adjust(n, sku, at, d)),
    ]
}

/// What the orders have been told so far.
#[derive(Default)]
struct Told {
    lines: HashMap<u8, Vec<StockLine>>,
    answers: HashMap<u8, Reservation>,
    released: HashMap<u8, bool>,
}

async fn take(shop: &Shop, told: &mut Told, step: &Step) {
    match step {
        Step::Reserve(n, lines) => reserve(shop, told, *n, lines).await,
        Step::ReserveAgain(n) => {
            if let Some(lines) = told.lines.get(n).cloned() {
                reserve(shop, told, *n, &lines).await;
            }
        }
        Step::Commit(n) => {
            let answer = shop.commit(order(*n)).await;
            assert_ne!(answer.status(), ReservationStatus::Held, "a commit is decided");
            assert_eq!(answer.status() == ReservationStatus::Committed, answer.refusal_reason.is_empty());
        }
        Step::Release(n) => {
            let answer = shop.release(order(*n)).await;
            assert!(!matches!(answer.status(), ReservationStatus::Held | ReservationStatus::Committed));
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
    }
}

async fn reserve(shop: &Shop, told: &mut Told, n: u8, lines: &[StockLine]) {
    let answer = match shop.reserve(order(n), lines).await {
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
    told.lines.insert(n, lines.to_vec());
}

proptest! {
    #![proptest_config(Config { cases: 48, failure_persistence: None, ..Config::default() })]

    #[test]
    fn i_in_1_to_4_hold_after_every_step(steps in prop::collection::vec(step(), 1..40)) {
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
