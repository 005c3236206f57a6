//! When the store fails, loses an answer, or is told something wrong: asking again is always right.
use crate::shop::{START, Shop, line, order, said};
use souk_contracts::inventory::v1::{self as pb, ReservationStatus::*};
use souk_eventstore::{
    CommitError, CommitId, Decision, Expected, Fault, Faults, Location, Origin, StreamId, Work,
};
use souk_inventory::domain::{AllocatedLine, Reservation, ReservationEvent, StockReserved};
use souk_inventory::effects;
use souk_kernel::{Error, ManualClock};
use std::sync::Arc;

const TRIES_MAX: usize = 50;

/// Asks until there is an answer. Every failure must be one that may be asked again.
async fn insist<T>(mut ask: impl AsyncFnMut() -> Result<T, Error>) -> T {
    for _ in 0..TRIES_MAX {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_unknown_outcome(), "{error:?}"),
        }
    }
    panic!("no answer after {TRIES_MAX} tries");
}

async fn expire_all(shop: &Shop) {
    shop.clock.advance_ms(60_000);
    loop {
        let due = shop.own.store.due_timers(100).await.expect("timers");
        if due.is_empty() {
            return;
        }
        for timer in due {
            let fired = effects::expire(shop.own.store.clone(), timer).await;
            assert!(
                matches!(fired, Ok(()) | Err(CommitError::TimerGone | CommitError::Fault(_))),
                "{fired:?}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_fails_on_the_way_each_thing_happens_once() {
    for seed in 0..20 {
        let clock = ManualClock::at(START);
        let shop = Shop::at(Location::Memory(Faults::none().by_chance(300, seed)), clock);
        insist(async || shop.receive("r1", "main", &[("a", 10)]).await).await;
        insist(async || shop.adjust("j1", "a", "main", -1).await).await;
        for n in 1..=4 {
            let held = insist(async || shop.reserve(order(n), &[line(1, "a", 2)]).await).await;
            assert_eq!(said(&held), (Held, ""), "seed {seed}");
        }
        let refused = insist(async || shop.reserve(order(5), &[line(1, "a", 2)]).await).await;
        assert_eq!(said(&refused), (Refused, "INSUFFICIENT_STOCK"), "seed {seed}");
        let id = |n| order(n).to_string();
        let commit = async || {
            let request = pb::CommitRequest { reservation_id: id(1) };
            shop.client.commit(shop.as_order(), request).await
        };
        insist(commit).await;
        let release = async || {
            let request =
                pb::ReleaseRequest { reservation_id: id(2), reason: "test".into(), ..Default::default() };
            shop.client.release(shop.as_order(), request).await
        };
        insist(release).await;
        expire_all(&shop).await;
        assert_eq!(shop.level("a").await, (9, 2), "seed {seed}");
        assert_eq!(shop.own.store.open_timers().await, Ok(0), "seed {seed}");
        assert_eq!(shop.violations().await, [], "seed {seed}");
    }
}

#[tokio::test]
async fn whatever_fails_on_the_way_each_movement_happens_once() {
    for seed in 0..12 {
        let clock = ManualClock::at(START);
        let shop = Shop::at(Location::Memory(Faults::none().by_chance(200, seed)), clock);
        insist(async || shop.receive("r1", "main", &[("a", 3)]).await).await;
        let terms = Some(pb::StockTerms { safety: 0, low_below: 0, backorder_limit: 5 });
        let terms = pb::PutStockTermsRequest { sku: "a".into(), terms };
        insist(async || shop.client.put_stock_terms(shop.as_admin(), terms.clone()).await).await;
        let policy = pb::ReservePolicy::Backorder;
        for n in 1..=2 {
            insist(async || shop.reserve_by(policy, order(n), &[line(1, "a", 3)]).await).await;
            let request = pb::CommitRequest { reservation_id: order(n).to_string() };
            insist(async || shop.client.commit(shop.as_order(), request.clone()).await).await;
        }
        let parts = [pb::AllocatedLine { line: 1, sku: "a".into(), quantity: 2, location: "main".into() }];
        insist(async || shop.ship(order(1), "s1", &parts).await).await;
        let back = [pb::RestockLine {
            line: 1,
            sku: "a".into(),
            quantity: 1,
            location: "main".into(),
            grade: pb::Grade::A.into(),
        }];
        insist(async || shop.restock(order(1), "t1", &back).await).await;
        insist(async || shop.release_lines(order(1), "x1", &[line(1, "a", 1)]).await).await;
        assert_eq!(shop.level("a").await, (2, 2), "seed {seed}: both went to the order that waits");
        insist(async || shop.receive("r2", "main", &[("a", 4)]).await).await;
        insist(async || shop.transfer("v1", "a", "main", "east", 3).await).await;
        let counted = insist(async || shop.count("c1", "a", 1, true).await).await;
        assert_eq!(counted.shortfall.map(|short| short.missing), Some(2), "seed {seed}");
        insist(async || shop.resolve("c1", pb::ShortfallDecision::Found).await).await;
        assert_eq!(shop.level("a").await, (6, 3), "seed {seed}");
        assert_eq!(shop.own.store.open_timers().await, Ok(0), "seed {seed}");
        assert_eq!(shop.violations().await, [], "seed {seed}");
    }
}

#[tokio::test]
async fn i_in_1_a_shelf_that_would_promise_too_much_sounds_the_alarm() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    let too_much = AllocatedLine {
        line: 1,
        sku: "a".parse().expect("a SKU"),
        quantity: "2".parse().expect("a quantity"),
        location: "main".parse().expect("a location"),
    };
    let stream = StreamId::of::<Reservation>(order(1));
    let wrong = stream.clone();
    let work = Work::new(CommitId::derived(&["wrong"]), Origin::by("test")).decide(move |_, now| {
        let event = StockReserved {
            lines: [too_much.clone()].into(),
            expires_at: now,
            wanted: Arc::default(),
            shortages: Arc::default(),
            backordered: Arc::default(),
            levels: Arc::default(),
        };
        let events = vec![ReservationEvent::StockReserved(event)];
        Ok(Decision::new().append(&wrong, Expected::Any, events))
    });
    let error = shop.own.store.commit(work).await.expect_err("the check is an alarm");
    assert!(matches!(error, CommitError::Fault(Fault::View { view: "stock", .. })), "{error:?}");
    assert_eq!(shop.level("a").await, (1, 0), "nothing of it was kept");
    let held = shop.reserve(order(1), &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(said(&held), (Held, ""));
}
