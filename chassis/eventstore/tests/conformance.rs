//! What every location must do alike: each test runs on a file, with threads and without, and in memory.
mod suite;
use souk_eventstore::*;
use souk_kernel::Rejection;
use std::time::Duration;
use suite::*;

macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
               async fn $name() { super::$name(&super::suite::Place::sqlite()).await } )+
        }
        mod inline {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
               async fn $name() { super::$name(&super::suite::Place::inline()).await } )+
        }
        mod memory {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
               async fn $name() { super::$name(&super::suite::Place::memory()).await } )+
        }
    };
}

conformance!(
    the_same_id_gives_the_same_answer_and_decides_once,
    expectations_hold_or_conflict,
    a_rejected_piece_leaves_nothing_behind,
    positions_have_no_gaps_under_concurrent_refusals,
    a_hot_stream_does_not_conflict,
    a_decision_sees_the_earlier_pieces_of_its_batch,
    one_poisoned_view_spares_the_nine_others,
    panics_hit_their_own_piece_only,
    states_are_right_after_a_batch_was_undone,
    claims_are_held_released_and_refused,
    idempotency_keys_answer_until_they_expire,
    an_inbox_mark_moves_by_one_and_never_twice,
    a_timer_fires_only_its_own_generation,
    a_lease_has_one_owner_and_fences_the_former_one,
    checkpoints_and_parked_events_are_kept,
    published_events_are_numbered_without_gaps,
    a_caller_that_goes_away_does_not_take_the_work_with_it,
    an_empty_decision_writes_nothing_and_reads_at_one_moment,
    an_event_keeps_its_envelope,
    time_never_goes_back,
    too_much_waiting_is_refused,
    a_closed_store_says_so,
    two_streams_and_a_claim_are_one_commit,
    a_repeated_append_in_one_decision_counts_on,
    a_wrong_read_is_the_faulty_piece_alone,
);

async fn the_same_id_gives_the_same_answer_and_decides_once(place: &Place) {
    let store = place.open();
    let to = stream("a");
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let piece = || {
        let (to, calls) = (to.clone(), calls.clone());
        work(CommitId::derived(&["order", "1"])).read::<Counter>(&to).decide(move |_, _| {
            calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(Decision::new().append(&to, Expected::Any, vec![added(3), added(4)]))
        })
    };
    let first = store.commit(piece()).await.expect("committed");
    place.clock.advance_ms(5_000);
    store.commit(append(&to, Expected::Any, vec![added(10)])).await.expect("committed");
    let again = store.commit(piece()).await.expect("answered");
    assert!(!first.replayed && again.replayed);
    assert_eq!((first.first, first.last, first.time), (again.first, again.last, again.time));
    assert_eq!((first.first, first.last), (Some(Position::new(1)), Some(Position::new(2))));
    assert_eq!(first.state::<Counter>(&to).expect("read").sum, 7);
    assert_eq!(again.state::<Counter>(&to).expect("read").sum, 17, "states are the current ones");
    // Doubled within one batch too.
    let (x, y) = tokio::join!(
        store.commit(work(CommitId::derived(&["x"])).decide(|_, _| Ok(Decision::new().hold("s", "k", "o")))),
        store.commit(work(CommitId::derived(&["x"])).decide(|_, _| Ok(Decision::new().hold("s", "k", "o")))),
    );
    assert_ne!(x.expect("committed").replayed, y.expect("committed").replayed);
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(store.statistics().replays, 2);
}

async fn expectations_hold_or_conflict(place: &Place) {
    let store = place.open();
    let to = stream("a");
    let try_with = async |expected| store.commit(append(&to, expected, vec![added(1)])).await;
    let conflict = |expected, actual| CommitError::Conflict { stream: stream("a"), expected, actual };
    assert_eq!(try_with(Expected::Exists).await.expect_err("no stream"), conflict(Expected::Exists, 0));
    assert_eq!(
        try_with(Expected::Exactly(1)).await.expect_err("no stream"),
        conflict(Expected::Exactly(1), 0)
    );
    let committed = try_with(Expected::NoStream).await.expect("new");
    assert_eq!(committed.version(&to), Some(1));
    assert_eq!(try_with(Expected::NoStream).await.expect_err("exists"), conflict(Expected::NoStream, 1));
    assert_eq!(try_with(Expected::Exactly(0)).await.expect_err("exists"), conflict(Expected::Exactly(0), 1));
    try_with(Expected::Exactly(1)).await.expect("as it is");
    try_with(Expected::Exists).await.expect("exists");
    try_with(Expected::Any).await.expect("whatever");
    let (to, other) = (to.clone(), stream("b"));
    let guarded = move |expected| {
        let (to, other) = (to.clone(), other.clone());
        decide(move || Decision::new().append(&other, Expected::Any, vec![added(1)]).guard(&to, expected))
    };
    assert_eq!(
        store.commit(guarded(Expected::Exactly(3))).await.expect_err("it moved on"),
        conflict(Expected::Exactly(3), 4)
    );
    store.commit(guarded(Expected::Exactly(4))).await.expect("as it is");
    assert_eq!(log(&store).await.len(), 5);
}

async fn a_rejected_piece_leaves_nothing_behind(place: &Place) {
    let store = place.open();
    store.commit(append(&stream("a"), Expected::NoStream, vec![added(1)])).await.expect("committed");
    // The first append, the claim, the timer and the mark are fine; the last append is not.
    let piece = decide(|| {
        Decision::new()
            .append(stream("b"), Expected::NoStream, vec![added(1)])
            .hold("names", "x", "b")
            .set_timer(Timer {
                key: "t".into(),
                kind: "k".into(),
                due: START,
                generation: 1,
                payload: String::new(),
            })
            .inbox(InboxMark { reaction: "r".into(), source: "s".into(), stream: "x".into(), sequence: 1 })
            .checkpoint("c", 7)
            .append(stream("a"), Expected::NoStream, vec![added(1)])
    });
    assert!(matches!(store.commit(piece).await, Err(CommitError::Conflict { actual: 1, .. })));
    assert_eq!(store.state::<Counter>(&stream("b")).await.expect("readable").version(), 0);
    assert_eq!(total(&store, "b").await, None);
    assert_eq!(store.open_timers().await.expect("readable"), 0);
    assert_eq!(store.inbox_mark("r", "s", "x").await.expect("readable"), 0);
    assert_eq!(store.checkpoint_of("c").await.expect("readable"), None);
    store.commit(decide(|| Decision::new().hold("names", "x", "somebody else"))).await.expect("still free");
    assert_eq!(log(&store).await.len(), 1);
}

async fn positions_have_no_gaps_under_concurrent_refusals(place: &Place) {
    let store = place.open();
    let outcomes = all((0..120).map(|n: i64| {
        let to = stream(n % 7);
        store.commit(match n % 4 {
            0 => append(&to, Expected::Any, vec![added(1), added(2)]),
            1 => append(&to, Expected::Exactly(1_000), vec![added(1)]),
            2 => work(fresh()).decide(|_, _| Err(Rejection::new("NO", "no"))),
            _ => append(&to, Expected::Any, vec![added(POISON)]),
        })
    }))
    .await;
    let committed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(committed, 30);
    let log = log(&store).await;
    assert_eq!(log.len(), 60);
    assert_eq!(*store.head().borrow(), Position::new(60));
    for n in 0..7 {
        let versions: Vec<u64> = log.iter().filter(|e| e.stream == stream(n)).map(|e| e.version).collect();
        assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>());
    }
}

async fn a_hot_stream_does_not_conflict(place: &Place) {
    let store = place.open();
    let to = stream("hot");
    let outcomes = all((0..200).map(|_| store.commit(add_up_to(&to, 1, 150)))).await;
    let (sold, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(sold.len(), 150, "exactly as many as there are");
    let too_much = |e: &CommitError| matches!(e, CommitError::Rejected(r) if r.reason == "TOO_MUCH");
    assert!(refused.iter().all(|outcome| outcome.as_ref().is_err_and(too_much)), "{refused:?}");
    assert_eq!(sum(&store, "hot").await, 150);
    assert_eq!(total(&store, "hot").await, Some(150));
    assert!(store.statistics().batches < 150, "they were grouped");
}

async fn a_decision_sees_the_earlier_pieces_of_its_batch(place: &Place) {
    let store = place.open();
    let piece = |n: i64| {
        let to = stream("seen");
        work(fresh())
            .read::<Counter>(&to)
            .claim("last", "seen")
            .rows("total", Statement::new("SELECT total FROM {totals} WHERE counter = 'seen'"))
            .decide(move |facts, _| {
                let state = facts.state::<Counter>(&to);
                let total = facts.rows("total").first().map_or(0, |row| row.get::<i64>(0));
                assert_eq!(state.sum, total, "the view is as fresh as the state");
                let owner = facts.claim("last", "seen").map(str::to_owned);
                assert_eq!(owner, (state.version() > 0).then(|| state.version().to_string()));
                let next = (state.version() + 1).to_string();
                let decision =
                    Decision::new().append(&to, Expected::Exactly(state.version()), vec![added(n)]);
                Ok(decision.release("last", "seen").hold("last", "seen", next))
            })
    };
    for outcome in all((0..64).map(|n| store.commit(piece(n)))).await {
        outcome.expect("committed");
    }
    assert_eq!(sum(&store, "seen").await, (0..64).sum::<i64>());
    let statistics = store.statistics();
    assert!(statistics.batches < 64, "several shared a batch: {statistics:?}");
}

async fn one_poisoned_view_spares_the_nine_others(place: &Place) {
    let store = place.open();
    let outcomes = in_one_batch(
        &store,
        (0..10).map(|n| {
            append(&stream(format!("p{n}")), Expected::Any, vec![added(if n == 4 { POISON } else { 1 })])
        }),
    )
    .await;
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Err(CommitError::Fault(Fault::View { view: "totals", .. })) => assert_eq!(n, 4),
            Ok(_) => assert_ne!(n, 4),
            Err(error) => panic!("{n}: {error}"),
        }
    }
    assert_eq!(log(&store).await.len(), 9);
    assert_eq!(total(&store, "p3").await, Some(1));
    assert_eq!(total(&store, "p4").await, None);
    assert_eq!(store.state::<Counter>(&stream("p4")).await.expect("readable").version(), 0);
}

async fn panics_hit_their_own_piece_only(place: &Place) {
    let store = place.open();
    let outcomes = in_one_batch(
        &store,
        vec![
            append(&stream("a"), Expected::Any, vec![added(1)]),
            work(fresh()).decide(|_, _| panic!("a defect in a rule")),
            append(&stream("a"), Expected::Any, vec![added(PANICKING)]),
            work(fresh()).decide(|facts, _| {
                facts.state::<Counter>(&stream("never read"));
                Ok(Decision::new())
            }),
            work(fresh()).read::<Counter>(stream("a")).decide(|_, _| {
                Ok(Decision::new().append(stream("a"), Expected::Any, vec![added(UNFOLDABLE)]))
            }),
            append(&stream("a"), Expected::Exactly(1), vec![added(5)]),
        ],
    )
    .await;
    let panicked = |i: usize| match &outcomes[i] {
        Err(CommitError::Fault(Fault::Panicked(what))) => what.clone(),
        other => panic!("{i}: {other:?}"),
    };
    assert_eq!(panicked(1), "a defect in a rule");
    assert!(panicked(2).contains("the projection does not like this"));
    assert!(panicked(3).contains("never read"));
    assert!(panicked(4).contains("evolve does not like this"));
    outcomes[0].as_ref().expect("not concerned");
    outcomes[5].as_ref().expect("not concerned");
    assert_eq!(sum(&store, "a").await, 6);
}

async fn states_are_right_after_a_batch_was_undone(place: &Place) {
    let store = place.open();
    store.commit(add_up_to(&stream("u"), 5, 100)).await.expect("committed");
    let outcomes = in_one_batch(
        &store,
        vec![
            add_up_to(&stream("u"), 10, 100),
            append(&stream("v"), Expected::Any, vec![added(POISON)]),
            add_up_to(&stream("u"), 20, 100),
        ],
    )
    .await;
    assert!(outcomes[0].is_ok() && outcomes[1].is_err() && outcomes[2].is_ok(), "{outcomes:?}");
    assert_eq!(
        outcomes[2].as_ref().expect("committed").state::<Counter>(&stream("u")).expect("read").sum,
        35
    );
    assert_eq!(sum(&store, "u").await, 35);
    assert_eq!(total(&store, "u").await, Some(35));
    let versions: Vec<u64> = log(&store).await.iter().map(|e| e.version).collect();
    assert_eq!(versions, [1, 2, 3]);
}

async fn claims_are_held_released_and_refused(place: &Place) {
    let store = place.open();
    let hold = |owner: &'static str| decide(move || Decision::new().hold("email", "a@b", owner));
    store.commit(hold("one")).await.expect("free");
    store.commit(hold("one")).await.expect("its own");
    let taken = store.commit(hold("two")).await.expect_err("taken");
    assert_eq!(
        taken,
        CommitError::ClaimTaken { scope: "email".into(), key: "a@b".into(), owner: "one".into() }
    );
    let swap = decide(|| Decision::new().release("email", "a@b").hold("email", "a@b", "two"));
    store.commit(swap).await.expect("released before it is held");
    let seen = work(fresh()).claim("email", "a@b").claim("email", "other").decide(|facts, _| {
        assert_eq!(facts.claim("email", "a@b"), Some("two"));
        assert_eq!(facts.claim("email", "other"), None);
        Ok(Decision::new())
    });
    store.commit(seen).await.expect("as expected");
    let twice = decide(|| Decision::new().hold("email", "z", "one").hold("email", "z", "two"));
    assert!(matches!(store.commit(twice).await, Err(CommitError::ClaimTaken { .. })));
    store
        .commit(decide(|| Decision::new().hold("email", "z", "three")))
        .await
        .expect("nothing was left behind");
}

async fn idempotency_keys_answer_until_they_expire(place: &Place) {
    let store = place.open();
    let once = |response: &'static str, seconds: u64| {
        decide(move || {
            Decision::new().record_once(Once {
                principal: "gst_1".into(),
                method: "Place".into(),
                key: "k1".into(),
                request_hash: "h".into(),
                response: response.into(),
                expires: START.plus(Duration::from_secs(seconds)),
            })
        })
    };
    let read = async |wanted: Option<&'static str>| {
        let piece = work(fresh()).once("gst_1", "Place", "k1").decide(move |facts, _| {
            assert_eq!(facts.once("gst_1", "Place", "k1").map(|record| record.response.as_str()), wanted);
            Ok(Decision::new())
        });
        store.commit(piece).await.expect("as expected");
    };
    read(None).await;
    store.commit(once("first", 60)).await.expect("recorded");
    read(Some("first")).await;
    let taken = store.commit(once("second", 60)).await.expect_err("it is there");
    assert!(matches!(taken, CommitError::ClaimTaken { .. }));
    place.clock.advance_ms(60_000);
    read(None).await;
    store.commit(once("third", 120)).await.expect("the first has expired");
    read(Some("third")).await;
}

async fn an_inbox_mark_moves_by_one_and_never_twice(place: &Place) {
    let store = place.open();
    let mark =
        |sequence| InboxMark { reaction: "r".into(), source: "order".into(), stream: "o/1".into(), sequence };
    let apply = |sequence| decide(move || Decision::new().inbox(mark(sequence)));
    store.commit(apply(1)).await.expect("the first");
    assert_eq!(store.commit(apply(1)).await.expect_err("again"), CommitError::InboxSeen { mark: 1 });
    assert_eq!(
        store.commit(apply(3)).await.expect_err("too early"),
        CommitError::InboxGap { expected: 2, got: 3 }
    );
    store.commit(apply(2)).await.expect("the next");
    store
        .commit(decide(move || Decision::new().inbox_range(3, mark(6))))
        .await
        .expect("a row of unwanted ones");
    let gap =
        store.commit(decide(move || Decision::new().inbox_range(9, mark(10)))).await.expect_err("a gap");
    assert_eq!(gap, CommitError::InboxGap { expected: 7, got: 9 });
    assert_eq!(store.inbox_mark("r", "order", "o/1").await.expect("readable"), 6);
    let late = move |sequence| InboxMark { stream: "o/2".into(), ..mark(sequence) };
    store.commit(decide(move || Decision::new().inbox_from(late(41)))).await.expect("begins in the middle");
    store.commit(decide(move || Decision::new().inbox(late(42)))).await.expect("and goes on");
    let piece = work(fresh()).inbox("r", "order", "o/2").decide(|facts, _| {
        assert_eq!(facts.inbox("r", "order", "o/2"), 42);
        Ok(Decision::new())
    });
    store.commit(piece).await.expect("as expected");
    // Ten deliveries of the same event at once: one is applied.
    let outcomes = all((0..10).map(|_| store.commit(apply(7)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

async fn a_timer_fires_only_its_own_generation(place: &Place) {
    let store = place.open();
    let set = |generation, seconds| {
        decide(move || {
            let due = START.plus(Duration::from_secs(seconds));
            Decision::new().set_timer(Timer {
                key: "t".into(),
                kind: "expiry".into(),
                due,
                generation,
                payload: "p".into(),
            })
        })
    };
    let fire = |generation| decide(move || Decision::new().timer_fired("t", generation));
    assert_eq!(store.next_timer_due().await.expect("readable"), None);
    store.commit(set(1, 10)).await.expect("set");
    assert_eq!(store.next_timer_due().await.expect("readable"), Some(START.plus(Duration::from_secs(10))));
    store.commit(set(2, 20)).await.expect("set anew");
    assert_eq!(store.open_timers().await.expect("readable"), 1);
    place.clock.advance_ms(10_000);
    assert_eq!(store.due_timers(10).await.expect("readable"), []);
    assert_eq!(store.next_timer_due().await.expect("readable"), Some(START.plus(Duration::from_secs(20))));
    place.clock.advance_ms(10_000);
    let due = store.due_timers(10).await.expect("readable");
    assert_eq!(due.iter().map(|t| (&*t.key, t.generation, &*t.payload)).collect::<Vec<_>>(), [("t", 2, "p")]);
    assert_eq!(store.due_timers_of("expiry", 10).await.expect("readable"), due);
    assert_eq!(store.due_timers_of("other", 10).await.expect("readable"), []);
    assert_eq!(store.commit(fire(1)).await.expect_err("replaced"), CommitError::TimerGone);
    store.commit(fire(2)).await.expect("its own");
    assert_eq!(store.commit(fire(2)).await.expect_err("consumed"), CommitError::TimerGone);
    store.commit(set(3, 30)).await.expect("set");
    store
        .commit(decide(|| Decision::new().cancel_timer("t").cancel_timer("t")))
        .await
        .expect("cancelled twice");
    assert_eq!(store.commit(fire(3)).await.expect_err("cancelled"), CommitError::TimerGone);
    let again = decide(|| {
        let timer =
            Timer { key: "t".into(), kind: "k".into(), due: START, generation: 5, payload: String::new() };
        Decision::new().set_timer(timer).timer_fired("t", 5)
    });
    store.commit(again).await.expect("set and fired in one");
    assert_eq!(store.open_timers().await.expect("readable"), 0);
}

async fn a_lease_has_one_owner_and_fences_the_former_one(place: &Place) {
    let store = place.open();
    let ttl = Duration::from_secs(10);
    let acquire = async |owner| store.acquire_lease("shard-1", owner, ttl).await.expect("works");
    let first = acquire("a").await.expect("free");
    assert_eq!(first.epoch, 1);
    assert_eq!(acquire("b").await, None);
    place.clock.advance_ms(9_000);
    assert_eq!(acquire("a").await, Some(first.clone()), "renewed");
    place.clock.advance_ms(9_000);
    assert_eq!(acquire("b").await, None, "the renewal counts");
    let fenced = |lease: Lease| decide(move || Decision::new().checkpoint("p", 1).fence(lease.fence()));
    store.commit(fenced(first.clone())).await.expect("the owner may");
    place.clock.advance_ms(1_000);
    let second = acquire("b").await.expect("expired");
    assert_eq!(second.epoch, 2);
    assert_eq!(
        store.commit(fenced(first.clone())).await.expect_err("the former may not"),
        CommitError::Fenced
    );
    store.commit(fenced(second.clone())).await.expect("the new one may");
    store.release_lease(&first);
    assert_eq!(acquire("a").await, None, "only the owner can release");
    store.release_lease(&second);
    assert_eq!(acquire("a").await.expect("released").epoch, 3);
    // Many at once: one gets it.
    let got = all((0..20).map(|n| {
        let store = store.clone();
        async move { store.acquire_lease("shard-2", &format!("o{n}"), ttl).await.expect("works") }
    }))
    .await;
    assert_eq!(got.iter().flatten().count(), 1);
}

async fn checkpoints_and_parked_events_are_kept(place: &Place) {
    let store = place.open();
    let parked = |sequence| Parked {
        reaction: "r".into(),
        source: "order".into(),
        stream: "o/1".into(),
        sequence,
        payload: "feed 7".into(),
        reason: "cannot be read".into(),
    };
    let piece =
        decide(move || Decision::new().checkpoint("r", Position::new(7)).park(parked(4)).park(parked(3)));
    store.commit(piece).await.expect("noted");
    assert_eq!(store.checkpoint_of("r").await.expect("readable"), Some(Position::new(7)));
    assert_eq!(store.parked("r", 10).await.expect("readable"), [parked(3), parked(4)]);
    let keys = store.parked_keys("r", 10).await.expect("readable");
    let key = keys.first().map(|key| (&*key.source, &*key.stream, key.first, key.events));
    assert_eq!((key, keys.len()), (Some(("order", "o/1", 3, 2)), 1));
    assert_eq!(keys[0].since, store.now());
    assert_eq!(store.parked_keys("another", 10).await.expect("readable"), []);
    store.commit(decide(|| Decision::new().unpark("r", "order", "o/1", 3))).await.expect("taken out");
    assert_eq!(store.parked("r", 10).await.expect("readable"), [parked(4)]);
}

async fn published_events_are_numbered_without_gaps(place: &Place) {
    let store = place.open();
    for n in 0..30 {
        let piece = append(&stream(n % 3), Expected::Any, vec![added(n), added(100 + n)]);
        store.commit(piece).await.expect("committed");
        if n % 5 == 0 {
            let poisoned = append(&stream(0), Expected::Any, vec![added(50), added(POISON)]);
            store.commit(poisoned).await.expect_err("poisoned");
        }
    }
    let feed = store.read_feed(0, PAGE_MAX).await.expect("readable");
    assert_eq!(feed.iter().map(|p| p.feed_seq).collect::<Vec<_>>(), (1..=49).collect::<Vec<_>>());
    for n in 0..3 {
        let numbers: Vec<u64> = feed.iter().filter(|p| p.stream == stream(n)).map(|p| p.public_seq).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    }
    assert!(feed.iter().all(|p| p.kind == "test.v1.Added" && &*p.correlation == "story"));
    let page = store.read_feed(40, 3).await.expect("readable");
    assert_eq!(page.iter().map(|p| p.feed_seq).collect::<Vec<_>>(), [41, 42, 43]);
    assert_eq!(store.read_feed(49, 10).await.expect("readable"), []);
    assert_eq!(store.feed_head(), 49);
    let from_log: Vec<u64> = log(&store).await.iter().filter_map(|e| e.feed_seq).collect();
    assert_eq!(from_log, (1..=49).collect::<Vec<_>>());
}

async fn a_caller_that_goes_away_does_not_take_the_work_with_it(place: &Place) {
    let store = place.open();
    let mut head = store.head();
    let (gate, piece) = Gate::new();
    let mut blocked = Box::pin(store.commit(piece));
    poll_once(&mut blocked).await;
    gate.reached().await;
    let mut commit = Box::pin(store.commit(append(&stream("gone"), Expected::Any, vec![added(9)])));
    poll_once(&mut commit).await;
    drop(commit);
    gate.open();
    blocked.await.expect("quiet");
    head.wait_for(|position| *position == Position::new(1)).await.expect("the store lives");
    assert_eq!(sum(&store, "gone").await, 9);
}

async fn an_empty_decision_writes_nothing_and_reads_at_one_moment(place: &Place) {
    let store = place.open();
    store.commit(append(&stream("a"), Expected::Any, vec![added(9)])).await.expect("committed");
    let before = store.statistics();
    let id = fresh();
    let read = store.commit(work(id.clone()).read::<Counter>(stream("a")).read::<Counter>(stream("b"))).await;
    let read = read.expect("read");
    assert_eq!((read.first, read.last, read.replayed), (None, None, false));
    assert_eq!(read.state::<Counter>(&stream("a")).expect("read").sum, 9);
    assert!(!read.state::<Counter>(&stream("b")).expect("read").exists());
    let quiet = work(id)
        .decide(|_, _| Ok(Decision::new().append(stream("a"), Expected::Exists, Vec::<CounterEvent>::new())));
    assert!(!store.commit(quiet).await.expect("nothing to do").replayed);
    assert_eq!(store.statistics().batches, before.batches);
    assert_eq!(store.statistics().commits, before.commits);
}

async fn an_event_keeps_its_envelope(place: &Place) {
    let store = place.open();
    let origin = Origin::by("gst_1").correlation("req-1").causation("evt-1").trace("00-abc-def-01");
    let id = CommitId::derived(&["a", "b"]);
    let piece = Work::new(id.clone(), origin).decide(|_, _| {
        Ok(Decision::new().append(stream("e"), Expected::Any, vec![opened("été"), added(50)]))
    });
    let committed = store.commit(piece).await.expect("committed");
    let events = store.read_stream(&stream("e"), 1, 10).await.expect("readable");
    let [event] = &events[..] else { panic!("one event after version 1: {events:?}") };
    assert_eq!((event.position, event.version, &event.commit), (Position::new(2), 2, &id));
    assert_eq!((event.time, &*event.kind, event.schema), (committed.time, "Added", 1));
    assert_eq!((&*event.actor, &*event.correlation), ("gst_1", "req-1"));
    assert_eq!((&*event.causation, &*event.trace), ("evt-1", "00-abc-def-01"));
    assert_eq!((event.public_seq, event.feed_seq), (Some(1), Some(1)));
    assert_eq!(*event.event::<CounterEvent>().expect("readable"), added(50));
    let all = log(&store).await;
    assert_eq!(*all[0].event::<CounterEvent>().expect("readable"), opened("été"));
    assert_eq!(all[0].public_seq, None);
}

async fn time_never_goes_back(place: &Place) {
    let store = place.open();
    let first = store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    place.clock.advance_ms(-60_000);
    let second = store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    assert_eq!(first.time, START);
    assert_eq!(second.time, START);
    assert_eq!(store.now(), START);
    place.clock.advance_ms(61_000);
    assert_eq!(store.now(), START.plus(Duration::from_secs(1)));
}

async fn too_much_waiting_is_refused(place: &Place) {
    let store = EventStore::open(place.options().queue_max(4)).expect("opens");
    let (gate, piece) = Gate::new();
    let mut blocked = Box::pin(store.commit(piece));
    poll_once(&mut blocked).await;
    gate.reached().await;
    let append_one = || append(&stream("w"), Expected::Any, vec![added(1)]);
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(store.commit(append_one()))).collect();
    for commit in &mut waiting {
        poll_once(commit).await;
    }
    assert_eq!(store.statistics().queued, 4);
    assert_eq!(store.commit(append_one()).await.expect_err("full"), CommitError::Overloaded);
    gate.open();
    blocked.await.expect("quiet");
    for outcome in all(waiting).await {
        outcome.expect("committed");
    }
    assert_eq!(sum(&store, "w").await, 4);
}

async fn a_closed_store_says_so(place: &Place) {
    let store = place.open();
    store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    store.shutdown().await;
    store.shutdown().await;
    let closed = store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await;
    assert_eq!(closed.expect_err("closed"), CommitError::Fault(Fault::Closed));
    assert_eq!(store.query(Statement::new("SELECT 1")).await, Err(Fault::Closed));
    assert_eq!(store.acquire_lease("l", "o", Duration::from_secs(1)).await, Err(Fault::Closed));
}

async fn two_streams_and_a_claim_are_one_commit(place: &Place) {
    let store = place.open();
    let piece = work(fresh()).read::<Counter>(stream("x")).decide(|_, _| {
        Ok(Decision::new()
            .append(stream("x"), Expected::NoStream, vec![added(1)])
            .append(stream("y"), Expected::NoStream, vec![added(2), added(3)])
            .hold("pair", "xy", "z"))
    });
    let committed = store.commit(piece).await.expect("committed");
    assert_eq!((committed.first, committed.last), (Some(Position::new(1)), Some(Position::new(3))));
    assert_eq!(committed.state::<Counter>(&stream("x")).expect("read").sum, 1);
    assert_eq!(committed.version(&stream("y")), Some(2));
    let log = log(&store).await;
    assert!(log.iter().all(|event| event.commit == log[0].commit));
    assert_eq!(sum(&store, "y").await, 5);
}

async fn a_repeated_append_in_one_decision_counts_on(place: &Place) {
    let store = place.open();
    let piece = work(fresh()).read::<Counter>(stream("x")).decide(|_, _| {
        Ok(Decision::new().append(stream("x"), Expected::NoStream, vec![added(1)]).append(
            stream("x"),
            Expected::Exactly(1),
            vec![added(2)],
        ))
    });
    let committed = store.commit(piece).await.expect("committed");
    assert_eq!(committed.state::<Counter>(&stream("x")).expect("read").sum, 3);
    assert_eq!(committed.version(&stream("x")), Some(2));
}

async fn a_wrong_read_is_the_faulty_piece_alone(place: &Place) {
    let store = place.open();
    let outcomes = in_one_batch(
        &store,
        vec![
            append(&stream("a"), Expected::Any, vec![added(1)]),
            work(fresh()).rows("x", Statement::new("SELECT nothing FROM {totals}")),
            work(fresh()).rows("x", Statement::new("SELECT 1 FROM {unheard_of}")),
            append(&stream("a"), Expected::Any, vec![added(1)]),
        ],
    )
    .await;
    assert!(outcomes[0].is_ok() && outcomes[3].is_ok());
    for outcome in &outcomes[1..3] {
        assert!(matches!(outcome, Err(CommitError::Fault(Fault::Storage(_)))), "{outcome:?}");
    }
    assert!(matches!(store.query(Statement::new("SELEKT 1")).await, Err(Fault::Storage(_))));
    let error: souk_kernel::Error = outcomes[1].clone().expect_err("faulty").into();
    assert_eq!(error.reason(), "INTERNAL");
    assert!(!error.message().contains("nothing"), "the outside sentence tells nothing of the inside");
}
