//! Reactions on real stores: each event has its effect once, in its key's order, whatever the feed, the store
//! and the process do.
mod shop;

use shop::*;
use souk_bus::{PARKED_KEYS_MAX, Reactor, Redrive, Redriven, feed_name};
use souk_eventstore::{CommitId, Decision, Faults, InboxMark, Injected, Origin, Parked, Work};
use souk_rpc::grpc::{GrpcChannel, GrpcServer};
use souk_telemetry::{Stop, StopSource, task};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const KEYS: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];

/// Each key says so many more numbers, every third of which nobody wants.
async fn chatter(speaker: &souk_eventstore::EventStore, rounds: std::ops::Range<i64>) {
    for n in rounds {
        for key in KEYS {
            say(speaker, key, n % 3 != 0, [n]).await;
        }
    }
}

fn wanted(rounds: std::ops::Range<i64>) -> Vec<i64> {
    rounds.filter(|n| n % 3 != 0).collect()
}

async fn check_all_heard(listener: &souk_eventstore::EventStore, rounds: std::ops::Range<i64>) {
    for key in KEYS {
        assert_eq!(heard(listener, key).await, wanted(rounds.clone()), "{key}");
        assert_eq!(mark(listener, key).await, u64::try_from(rounds.end - rounds.start).expect("positive"));
    }
    assert_eq!(parked(listener).await, []);
}

#[tokio::test]
async fn an_unruly_feed_has_every_effect_once_and_in_order() {
    for seed in 1..=4 {
        let shop = Shop::new();
        let (speaker, listener) = (shop.speaker(), shop.listener());
        let unruly = Unruly::new(shop.feed(&speaker), seed);
        shop.connect(unruly.clone());
        chatter(&speaker, 1..21).await;
        let running = shop.react(&listener, hearing());
        chatter(&speaker, 21..31).await;
        caught_up(&listener, &speaker, "test.hearing").await;
        running.stop().await;
        check_all_heard(&listener, 1..31).await;
        assert!(*unruly.opened.borrow() > 3, "seed {seed} broke off often");
    }
}

#[tokio::test]
async fn a_reaction_that_is_killed_goes_on_where_its_store_says() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    shop.connect(shop.feed(&speaker));
    chatter(&speaker, 1..61).await;
    let mut listener = shop.listener();
    for commits in 1..6 {
        let running = shop.react(&listener, hearing());
        let mut head = listener.head();
        for _ in 0..commits {
            // The feed may be at its end already.
            let whole = checkpoint(&listener, "test.hearing").await == speaker.feed_head();
            if !whole {
                head.changed().await.expect("the store is open");
            }
        }
        running.kill().await;
        listener.shutdown().await;
        drop(listener);
        listener = shop.listener();
    }
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    check_all_heard(&listener, 1..61).await;
}

#[tokio::test]
async fn a_crash_between_an_effect_and_the_checkpoint_repeats_nothing() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    shop.connect(shop.feed(&speaker));
    say(&speaker, "ada", true, [1, 2, 3]).await;
    let listener = shop.listener();
    for (feed_seq, n) in [(1, 1), (2, 2)] {
        let event =
            souk_rpc::feed::FeedEvent { id: format!("speaker/{n}"), ..event(feed_seq, "ada", feed_seq, n) };
        let (source, stream) = ("speaker".into(), "speaker/ada".into());
        let mark = InboxMark { reaction: "test.hearing".into(), source, stream, sequence: feed_seq };
        listener.commit(hearing().work(&event, mark).expect("no poison")).await.expect("applied");
    }
    listener.shutdown().await;
    drop(listener);
    let listener = shop.listener();
    assert_eq!((checkpoint(&listener, "test.hearing").await, mark(&listener, "ada").await), (0, 2));
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    assert_eq!(heard(&listener, "ada").await, [1, 2, 3]);
}

/// Serves the feed on a free port of this machine.
async fn serve(shop: &Shop, speaker: &souk_eventstore::EventStore) -> (StopSource, task::Running) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound").to_string();
    let (source, stop) = Stop::new();
    let server = GrpcServer::new([shop.feed(speaker)]);
    let serving = task::spawn(task::Kind::Background, "test.server", async move {
        server.serve(socket, stop).await;
    });
    let channel = GrpcChannel::tcp("souk.feed.v1.FeedService", &address);
    shop.peers.add_remote(&feed_name("speaker"), Arc::new(channel));
    (source, serving)
}

#[tokio::test]
async fn a_feed_over_the_network_survives_its_server() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    chatter(&speaker, 1..41).await;
    let running = shop.react(&listener, hearing());
    for rounds in [41..61, 61..81, 81..101] {
        let (source, serving) = serve(&shop, &speaker).await;
        chatter(&speaker, rounds).await;
        caught_up(&listener, &speaker, "test.hearing").await;
        source.stop();
        serving.join().await.expect("the server ends although somebody reads");
    }
    running.stop().await;
    check_all_heard(&listener, 1..101).await;
}

#[tokio::test]
async fn events_that_are_there_are_applied_side_by_side_and_in_order() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    shop.connect(shop.feed(&speaker));
    for n in 0..200 {
        say(&speaker, "ada", true, [n * 2, n * 2 + 1]).await;
        say(&speaker, "bob", true, [n]).await;
    }
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    assert_eq!(heard(&listener, "ada").await, (0..400).collect::<Vec<_>>());
    assert_eq!(heard(&listener, "bob").await, (0..200).collect::<Vec<_>>());
    let done = listener.statistics();
    assert_eq!(done.events, 600);
    assert!(done.batches < 100, "600 events took {} syncs", done.batches);
}

#[tokio::test]
async fn unwanted_events_cost_one_commit_a_chunk() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    shop.connect(shop.feed(&speaker));
    for key in KEYS {
        say(&speaker, key, false, 0..100).await;
    }
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    for key in KEYS {
        assert_eq!(mark(&listener, key).await, 100);
        assert!(heard(&listener, key).await.is_empty());
    }
    let commits = listener.statistics().commits;
    assert!(commits <= 8, "500 unwanted events took {commits} commits");
}

#[tokio::test]
async fn a_new_reaction_begins_at_the_beginning() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    shop.connect(shop.feed(&speaker));
    chatter(&speaker, 1..6).await;
    let first = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    let second = shop.react(&listener, hearing_as("test.second"));
    caught_up(&listener, &speaker, "test.second").await;
    first.stop().await;
    second.stop().await;
    check_all_heard(&listener, 1..6).await;
    assert_eq!(heard_by(&listener, "test.second", "eve").await, wanted(1..6));
}

#[tokio::test]
async fn poison_parks_its_key_and_nothing_else() {
    for (poison, why) in POISONS {
        let shop = Shop::new();
        let (speaker, listener) = (shop.speaker(), shop.listener());
        shop.connect(shop.feed(&speaker));
        say(&speaker, "ada", true, [1]).await;
        say(&speaker, "bob", true, [1]).await;
        say(&speaker, "ada", true, [poison, 3]).await;
        say(&speaker, "ada", false, [4]).await;
        say(&speaker, "bob", true, [2]).await;
        let running = shop.react(&listener, hearing());
        caught_up(&listener, &speaker, "test.hearing").await;
        running.stop().await;
        assert_eq!(heard(&listener, "ada").await, [1], "{poison}");
        assert_eq!(heard(&listener, "bob").await, [1, 2], "{poison}");
        assert_eq!((mark(&listener, "ada").await, mark(&listener, "bob").await), (1, 2));
        let waiting = parked(&listener).await;
        let waiting: Vec<_> = waiting.iter().map(|(key, seq, why)| (&**key, *seq, &**why)).collect();
        let [("ada", 2, reason), ("ada", 3, behind), ("ada", 4, also)] = waiting[..] else {
            panic!("{poison}: {waiting:?}")
        };
        assert!(reason.contains(why), "{poison}: {reason}");
        assert!(behind.contains("earlier") && also.contains("earlier"), "{behind}, {also}");
    }
}

#[tokio::test]
async fn a_parked_key_stays_parked_after_a_restart_and_flows_again_once_it_is_freed() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    shop.connect(shop.feed(&speaker));
    say(&speaker, "ada", true, [1, -2]).await;
    let listener = shop.listener();
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    listener.shutdown().await;
    drop(listener);

    let listener = shop.listener();
    let running = shop.react(&listener, hearing());
    say(&speaker, "ada", true, [3]).await;
    say(&speaker, "bob", true, [1]).await;
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    assert_eq!(heard(&listener, "ada").await, [1]);
    assert_eq!(heard(&listener, "bob").await, [1]);
    let keys: Vec<_> = parked(&listener).await.into_iter().map(|(key, number, _)| (key, number)).collect();
    assert_eq!(keys, [("ada".to_owned(), 2), ("ada".to_owned(), 3)]);

    // An operator gives both up: the mark moves past them.
    let id = CommitId::derived(&["operator"]);
    let given_up = Work::new(id, Origin::by("operator")).decide(|_, _| {
        let (reaction, source, stream) = ("test.hearing", "speaker", "speaker/ada");
        let mark = InboxMark {
            reaction: reaction.into(),
            source: source.into(),
            stream: stream.into(),
            sequence: 3,
        };
        Ok(Decision::new()
            .inbox_range(2, mark)
            .unpark(reaction, source, stream, 2)
            .unpark(reaction, source, stream, 3))
    });
    listener.commit(given_up).await.expect("given up");
    let running = shop.react(&listener, hearing());
    say(&speaker, "ada", true, [4]).await;
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    assert_eq!(heard(&listener, "ada").await, [1, 4]);
    assert_eq!(parked(&listener).await, []);
}

/// The checkpoint was lost after the key was parked: what was applied before must not be parked as well.
#[tokio::test]
async fn an_applied_event_of_a_parked_key_is_not_parked_when_it_comes_again() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    let poisoned = Parked {
        reaction: "test.hearing".into(),
        source: "speaker".into(),
        stream: "speaker/ada".into(),
        sequence: 2,
        payload: String::new(),
        reason: "it is poison".into(),
    };
    let mark = InboxMark {
        reaction: "test.hearing".into(),
        source: "speaker".into(),
        stream: "speaker/ada".into(),
        sequence: 1,
    };
    let before = Work::new(CommitId::derived(&["before"]), Origin::by("test"))
        .decide(move |_, _| Ok(Decision::new().inbox(mark.clone()).park(poisoned.clone())));
    listener.commit(before).await.expect("as it was");
    say(&speaker, "ada", true, [1, 2, 3]).await;
    shop.connect(shop.feed(&speaker));
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    let numbers: Vec<_> = parked(&listener).await.into_iter().map(|(_, number, _)| number).collect();
    assert_eq!(numbers, [2, 3]);
    assert!(heard(&listener, "ada").await.is_empty());
}

#[tokio::test]
async fn a_store_in_trouble_parks_nothing_and_loses_nothing() {
    let scripted = [Injected::StorageFull, Injected::BeforeCommit, Injected::AfterCommit];
    let mut all: Vec<Faults> = scripted
        .iter()
        .map(|fault| (1..200).fold(Faults::none(), |faults, n| faults.at(n, *fault)))
        .collect();
    all.extend((1..4).map(|seed| Faults::none().by_chance(20, seed)));
    for faults in all {
        let shop = Shop::new();
        let (speaker, listener) = (shop.speaker(), shop.listener_with(faults));
        shop.connect(shop.feed(&speaker));
        chatter(&speaker, 1..21).await;
        let running = shop.react(&listener, hearing());
        caught_up(&listener, &speaker, "test.hearing").await;
        running.stop().await;
        check_all_heard(&listener, 1..21).await;
    }
}

#[tokio::test]
async fn a_store_that_takes_little_at_once_is_given_little() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let options = shop.options("narrow").views(shop::views()).queue_max(2);
    let listener = souk_eventstore::EventStore::open(options).expect("opens");
    shop.connect(shop.feed(&speaker));
    chatter(&speaker, 1..41).await;
    let running = shop.react(&listener, hearing());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    check_all_heard(&listener, 1..41).await;
}

#[tokio::test]
async fn a_missing_event_is_waited_for() {
    let shop = Shop::new();
    let listener = shop.listener();
    let whole = vec![event(1, "ada", 1, 1), event(2, "ada", 2, 2), event(3, "ada", 3, 3)];
    let holed = vec![event(1, "ada", 1, 1), event(2, "ada", 3, 3), event(3, "bob", 1, 1)];
    shop.connect(shop.wire(Scripted::new(vec![holed, whole])));
    let running = shop.react(&listener, hearing());
    until(&listener, || async { checkpoint(&listener, "test.hearing").await == 3 }).await;
    running.stop().await;
    assert_eq!(heard(&listener, "ada").await, [1, 2, 3]);
    assert_eq!(parked(&listener).await, []);
}

#[tokio::test]
async fn a_key_whose_event_never_comes_is_parked_and_the_others_flow() {
    let shop = Shop::new();
    let listener = shop.listener();
    let other = |event: souk_rpc::feed::FeedEvent| souk_rpc::feed::FeedEvent { kind: OTHER.into(), ..event };
    let holed = vec![
        event(1, "ada", 1, 1),
        event(2, "ada", 3, 3),
        other(event(3, "cyd", 2, 2)),
        event(4, "bob", 1, 1),
        event(5, "ada", 4, 4),
    ];
    shop.connect(shop.wire(Scripted::new(vec![holed])));
    let running = shop.react(&listener, hearing());
    until(&listener, || async { checkpoint(&listener, "test.hearing").await == 5 }).await;
    running.stop().await;
    assert_eq!((heard(&listener, "ada").await, heard(&listener, "bob").await), (vec![1], vec![1]));
    let parked = parked(&listener).await;
    let keys: Vec<_> = parked.iter().map(|(key, number, _)| (key.as_str(), *number)).collect();
    assert_eq!(keys, [("ada", 3), ("ada", 4), ("cyd", 2)]);
    assert!(parked[0].2.contains("number 3 came before number 2"), "{}", parked[0].2);
}

#[tokio::test]
async fn an_endless_flood_of_poison_stands_still_until_it_is_repaired() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    shop.connect(shop.feed(&speaker));
    let keys: Vec<_> = (0..=PARKED_KEYS_MAX).map(|n| format!("key{n}")).collect();
    for key in &keys {
        say(&speaker, key, true, [1]).await;
    }
    let hearing = hearing();
    hearing.broken.store(true, Ordering::SeqCst);
    let running = shop.react(&listener, hearing.clone());
    let mut asked = hearing.asked.subscribe();
    let often = 5 * keys.len() as u64;
    tokio::time::timeout(PATIENCE, asked.wait_for(|asked| *asked > often))
        .await
        .expect("in time")
        .expect("lives");
    assert!(parked(&listener).await.len() <= PARKED_KEYS_MAX);
    assert!(checkpoint(&listener, "test.hearing").await < speaker.feed_head());
    hearing.broken.store(false, Ordering::SeqCst);
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    let parked = parked(&listener).await.len();
    let mut applied = 0;
    for key in &keys {
        applied += heard(&listener, key).await.len();
    }
    assert_eq!((applied, parked), (keys.len(), 0));
}

#[tokio::test]
async fn withdrawn_events_only_move_the_mark() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    say(&speaker, "ada", true, [1, 2]).await;
    speaker.shutdown().await;
    drop(speaker);
    // This release publishes nothing; what was numbered stays numbered.
    let speaker = shop.speaker_that(|_| None);
    let listener = shop.listener();
    shop.connect(shop.feed(&speaker));
    let mut curious = Arc::into_inner(hearing()).expect("nobody else has it");
    curious.wants_all = true;
    let running = shop.react(&listener, Arc::new(curious));
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    assert_eq!((mark(&listener, "ada").await, parked(&listener).await), (2, vec![]));
    assert!(heard(&listener, "ada").await.is_empty());
}

fn wish(key: &str, operation_id: &str) -> Redrive {
    let (by, reason) = ("stf_1".to_owned(), "the release that reads it runs".to_owned());
    Redrive { key: format!("speaker/{key}"), by, reason, operation_id: operation_id.to_owned() }
}

#[tokio::test]
async fn a_redriven_key_is_applied_in_order_while_the_reaction_runs_on() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    shop.connect(shop.feed(&speaker));
    let hearing = hearing();
    hearing.broken.store(true, Ordering::SeqCst);
    say(&speaker, "ada", true, [1, 2]).await;
    say(&speaker, "ada", false, [3]).await;
    say(&speaker, "ada", true, [4]).await;
    let running = shop.react(&listener, hearing.clone());
    caught_up(&listener, &speaker, "test.hearing").await;
    let operator = shop.reaction(&listener, hearing.clone());
    let keys = operator.parked_keys().await.expect("readable");
    let key = keys.first().map(|key| (&*key.stream, key.first, key.events, key.reason.as_str()));
    assert_eq!(key, Some(("speaker/ada", 1, 4, "all is broken")));

    // Nothing is repaired yet.
    let outcome = operator.redrive(&wish("ada", "op1")).await.expect("it is parked");
    let poison = Some("all is broken".to_owned());
    assert_eq!(outcome, Redriven { applied: 0, left: 4, poison });

    hearing.broken.store(false, Ordering::SeqCst);
    let outcome = operator.redrive(&wish("ada", "op2")).await.expect("it is parked");
    assert_eq!(outcome, Redriven { applied: 4, left: 0, poison: None });
    assert_eq!((heard(&listener, "ada").await, mark(&listener, "ada").await), (vec![1, 2, 4], 4));

    // The reaction has not looked since, and yet parks nothing behind nothing.
    say(&speaker, "ada", true, [5]).await;
    caught_up(&listener, &speaker, "test.hearing").await;
    assert_eq!((heard(&listener, "ada").await, parked(&listener).await), (vec![1, 2, 4, 5], vec![]));
    let nothing = operator.redrive(&wish("ada", "op3")).await.expect_err("nothing is parked");
    assert_eq!(nothing.reason(), "KEY_NOT_PARKED");
    running.stop().await;
    let audit = souk_eventstore::StreamId::new("redrive", "test.hearing");
    let noted = listener.read_stream(&audit, 0, 10).await.expect("readable");
    let noted: Vec<_> = noted.iter().map(|event| (&*event.kind, &*event.actor)).collect();
    let pair = [("RedriveAsked", "stf_1"), ("RedriveEnded", "stf_1")];
    assert_eq!(noted, [pair, pair].concat());
}

#[tokio::test]
async fn a_redrive_stops_at_what_is_poison_still_and_says_so() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    shop.connect(shop.feed(&speaker));
    let hearing = hearing();
    hearing.broken.store(true, Ordering::SeqCst);
    say(&speaker, "ada", true, [1, -2, 3]).await;
    say(&speaker, "bob", true, [1]).await;
    let running = shop.react(&listener, hearing.clone());
    caught_up(&listener, &speaker, "test.hearing").await;
    running.stop().await;
    hearing.broken.store(false, Ordering::SeqCst);
    let operator = shop.reaction(&listener, hearing);
    let outcome = operator.redrive(&wish("ada", "op1")).await.expect("it is parked");
    assert_eq!((outcome.applied, outcome.left), (1, 2));
    assert!(outcome.poison.is_some_and(|why| why.contains("TOO_LOUD")));
    let waiting = parked(&listener).await;
    let waiting: Vec<_> = waiting.iter().map(|(key, number, why)| (&**key, *number, &**why)).collect();
    let [("ada", 2, why), ("ada", 3, _), ("bob", 1, _)] = waiting[..] else { panic!("{waiting:?}") };
    assert!(why.contains("TOO_LOUD"), "the reason is that of now: {why}");
    assert_eq!(heard(&listener, "ada").await, [1]);
}

/// The mark moved and the row stayed, as after a checkpoint that was lost.
#[tokio::test]
async fn what_was_applied_already_is_only_taken_out() {
    let shop = Shop::new();
    let (speaker, listener) = (shop.speaker(), shop.listener());
    say(&speaker, "ada", true, [1]).await;
    let parked_one = Parked {
        reaction: "test.hearing".into(),
        source: "speaker".into(),
        stream: "speaker/ada".into(),
        sequence: 1,
        payload: "00".into(),
        reason: "it was".into(),
    };
    let damaged = parked_one.clone();
    let id = CommitId::derived(&["setup"]);
    let work = Work::new(id, Origin::by("test"));
    listener
        .commit(work.decide(move |_, _| Ok(Decision::new().park(damaged.clone()))))
        .await
        .expect("parked");
    let operator = shop.reaction(&listener, hearing());
    let outcome = operator.redrive(&wish("ada", "op1")).await.expect("it is parked");
    assert!(outcome.poison.is_some_and(|why| why.contains("cannot be read")));

    let mark = InboxMark {
        reaction: parked_one.reaction.clone(),
        source: parked_one.source.clone(),
        stream: parked_one.stream.clone(),
        sequence: 1,
    };
    let event = event(1, "ada", 1, 1);
    listener.commit(hearing().work(&event, mark).expect("no poison")).await.expect("applied");
    let outcome = operator.redrive(&wish("ada", "op2")).await.expect("it is parked");
    assert_eq!(outcome, Redriven { applied: 1, left: 0, poison: None });
    assert_eq!(heard(&listener, "ada").await, [1]);
}
