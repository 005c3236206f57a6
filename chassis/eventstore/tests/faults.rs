//! Faults on purpose, in memory: what is answered, what has happened, and that the same id settles it.
mod suite;
use souk_eventstore::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use suite::*;

fn faulty(place: &Place, faults: Faults) -> EventStore {
    EventStore::open(place.options_at(Location::Memory(faults))).expect("opens")
}

fn keyed(key: &str, n: i64) -> Work {
    let to = stream("k");
    work(CommitId::derived(&["keyed", key]))
        .read::<Counter>(&to)
        .decide(move |_, _| Ok(Decision::new().append(stream("k"), Expected::Any, vec![added(n)])))
}

#[tokio::test]
async fn before_the_commit_nothing_has_happened() {
    let place = Place::memory();
    let store = faulty(&place, Faults::none().at(2, Injected::BeforeCommit));
    store.commit(keyed("1", 1)).await.expect("committed");
    let error = store.commit(keyed("2", 2)).await.expect_err("injected");
    assert!(matches!(error, CommitError::Fault(Fault::Storage(_))));
    assert!(souk_kernel::Error::from(error).is_unknown_outcome());
    assert_eq!((sum(&store, "k").await, total(&store, "k").await), (1, Some(1)));
    assert!(!store.commit(keyed("2", 2)).await.expect("works again").replayed);
    assert_eq!(sum(&store, "k").await, 3);
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_the_same_id() {
    let place = Place::memory();
    let store = faulty(&place, Faults::none().at(1, Injected::AfterCommit));
    let error = store.commit(keyed("1", 1)).await.expect_err("injected");
    assert_eq!(error, CommitError::Fault(Fault::AnswerLost));
    let answer = store.commit(keyed("1", 1)).await.expect("the first answer");
    assert_eq!((answer.replayed, answer.first), (true, Some(Position::new(1))));
    assert_eq!(sum(&store, "k").await, 1, "it happened once");
}

#[tokio::test]
async fn a_full_disk_fails_the_batch_and_passes() {
    let place = Place::memory();
    let store = faulty(&place, Faults::none().at(3, Injected::StorageFull));
    let outcomes = in_one_batch(&store, vec![keyed("1", 1), keyed("2", 2), keyed("3", 3)]).await;
    for outcome in outcomes {
        let error = outcome.expect_err("the whole batch");
        assert_eq!(error, CommitError::Fault(Fault::StorageFull));
        let outside = souk_kernel::Error::from(error);
        assert_eq!((outside.reason(), outside.code()), ("STORAGE_FULL", souk_kernel::Code::Unavailable));
    }
    assert_eq!(*store.head().borrow(), Position::START);
    store.commit(keyed("3", 3)).await.expect("works again");
    assert_eq!((sum(&store, "k").await, total(&store, "k").await), (3, Some(3)));
    assert_eq!(log(&store).await.len(), 1);
}

#[tokio::test]
async fn a_rejection_that_rested_on_an_undone_piece_is_not_told() {
    let place = Place::memory();
    // The gate is number 1. Number 2 uses everything up, number 3 is refused because of it, number 4 fails
    // the batch: alone, number 3 is refused again, but now because number 2 has really happened.
    let store = faulty(&place, Faults::none().at(4, Injected::ViewStatement));
    let to = stream("r");
    let outcomes = in_one_batch(
        &store,
        vec![add_up_to(&to, 5, 5), add_up_to(&to, 1, 5), append(&stream("x"), Expected::Any, vec![added(1)])],
    )
    .await;
    assert!(outcomes[0].is_ok());
    assert!(matches!(&outcomes[1], Err(CommitError::Rejected(_))));
    assert!(matches!(&outcomes[2], Err(CommitError::Fault(Fault::View { .. }))));
    // And when the whole batch fails, the refused one learns of the fault, not of a refusal that is not true.
    let store = faulty(&place, Faults::none().at(2, Injected::BeforeCommit));
    let outcomes = in_one_batch(&store, vec![add_up_to(&to, 5, 5), add_up_to(&to, 1, 5)]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(CommitError::Fault(Fault::Storage(_))))));
    store.commit(add_up_to(&to, 1, 5)).await.expect("there was room all the time");
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_and_answers_nobody() {
    let place = Place::memory();
    let code = Arc::new(AtomicI32::new(0));
    let seen = code.clone();
    let options = place.options_at(Location::Memory(Faults::none().at(3, Injected::Sync)));
    let store =
        EventStore::open(options.on_exit(move |code| seen.store(code, Ordering::SeqCst))).expect("opens");
    store.commit(keyed("1", 1)).await.expect("committed");
    let outcomes = in_one_batch(&store, vec![keyed("2", 2), keyed("3", 3)]).await;
    for outcome in outcomes {
        assert_eq!(outcome.expect_err("no answer"), CommitError::Fault(Fault::Closed));
    }
    assert_eq!(code.load(Ordering::SeqCst), 74);
    assert_eq!(store.commit(keyed("4", 4)).await.expect_err("it is over"), CommitError::Fault(Fault::Closed));
}

#[tokio::test]
async fn whatever_happens_by_chance_asking_again_settles_it() {
    for seed in 0..20 {
        let place = Place::memory();
        let store = faulty(&place, Faults::none().by_chance(250, seed));
        let mut faults = 0;
        for n in 1..=40 {
            let key = n.to_string();
            let mut tries = 0;
            while store.commit(keyed(&key, n)).await.is_err() {
                tries += 1;
                assert!(tries < 50, "seed {seed}: commit {n} never gets through");
            }
            faults += tries;
        }
        assert!(faults > 0, "seed {seed} reached no fault");
        assert_eq!(sum(&store, "k").await, (1..=40).sum::<i64>(), "seed {seed}: each exactly once");
        assert_eq!(total(&store, "k").await, Some((1..=40).sum::<i64>()), "seed {seed}");
        assert_eq!(log(&store).await.len(), 40, "seed {seed}");
    }
}
