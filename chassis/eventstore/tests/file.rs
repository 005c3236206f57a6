//! What only a store in a file can do: outlive its process, be rebuilt, be audited, and be refused.
mod suite;
use souk_eventstore::audit::Audit;
use souk_eventstore::*;
use std::path::Path;
use std::time::Duration;
use suite::*;

/// Some of everything.
async fn fill(store: &EventStore) {
    for n in 0..40 {
        let piece = append(&stream(n % 5), Expected::Any, vec![opened("x"), added(n)]);
        store.commit(piece).await.expect("committed");
    }
    let piece = decide(|| {
        Decision::new()
            .hold("names", "x", "y")
            .inbox(InboxMark { reaction: "r".into(), source: "s".into(), stream: "t".into(), sequence: 1 })
            .set_timer(Timer {
                key: "k".into(),
                kind: "z".into(),
                due: START,
                generation: 1,
                payload: String::new(),
            })
            .checkpoint("c", 3)
    });
    store.commit(piece).await.expect("committed");
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    let (log_before, feed_before) = (log(&store).await, store.read_feed(0, 100).await.expect("readable"));
    let lease =
        store.acquire_lease("l", "one", Duration::from_secs(600)).await.expect("works").expect("free");
    drop(store);
    place.clock.advance_ms(-1_000);

    let store = place.open();
    assert_eq!(format!("{:?}", log(&store).await), format!("{log_before:?}"));
    assert_eq!(
        store.read_feed(0, 100).await.expect("readable"),
        feed_before,
        "made from the log, not remembered"
    );
    for n in 0..5 {
        assert_eq!(Some(sum(&store, &n.to_string()).await), total(&store, &n.to_string()).await);
    }
    assert_eq!(*store.head().borrow(), Position::new(80));
    assert_eq!(store.now(), START, "not earlier than before");
    assert_eq!(store.checkpoint_of("c").await.expect("readable"), Some(Position::new(3)));
    assert_eq!(store.next_timer_due().await.expect("readable"), Some(START));
    let taken = store.commit(decide(|| Decision::new().hold("names", "x", "z"))).await;
    assert!(matches!(taken, Err(CommitError::ClaimTaken { .. })));
    // The former process is dead, so its lease is free at once, one epoch further.
    let next = store.acquire_lease("l", "two", Duration::from_secs(600)).await.expect("works").expect("free");
    assert_eq!((lease.epoch, next.epoch), (1, 2));
    let committed =
        store.commit(append(&stream(0), Expected::Exactly(16), vec![added(1)])).await.expect("goes on");
    assert_eq!(committed.first, Some(Position::new(81)));
}

fn project_doubled(recorded: &Recorded, out: &mut Vec<Statement>) {
    (TOTALS.project)(recorded, out);
    (TOTALS.project)(recorded, out);
}

fn project_wrongly(_: &Recorded, out: &mut Vec<Statement>) {
    out.push(Statement::new("INSERT INTO {nowhere} (x) VALUES (1)"));
}

fn project_with_a_panic(_: &Recorded, _: &mut Vec<Statement>) {
    panic!("this projection has a defect");
}

#[tokio::test]
async fn a_view_of_another_version_is_built_anew_and_one_that_is_gone_is_dropped() {
    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    let before = total(&store, "1").await.expect("there");
    drop(store);

    let doubled = View { version: 2, project: project_doubled, ..TOTALS };
    let store = EventStore::open(place.options().views(vec![doubled])).expect("opens");
    assert_eq!(total(&store, "1").await, Some(2 * before));
    store.commit(append(&stream(1), Expected::Any, vec![added(5)])).await.expect("goes on");
    assert_eq!(total(&store, "1").await, Some(2 * before + 10));
    drop(store);
    let tables = |audit: &Audit| {
        let rows = audit.query(&Statement::new(
            "SELECT name FROM sqlite_master WHERE name LIKE 'totals%' AND type = 'table'",
        ));
        rows.expect("readable").iter().map(|row| row.get::<String>(0)).collect::<Vec<_>>()
    };
    assert_eq!(tables(&Audit::open(place.path()).expect("opens")), ["totals__2"], "the old table is gone");

    let store = EventStore::open(place.options().views(vec![])).expect("opens");
    store.commit(append(&stream(1), Expected::Any, vec![added(5)])).await.expect("goes on");
    drop(store);
    assert_eq!(tables(&Audit::open(place.path()).expect("opens")), Vec::<String>::new());
    let store = place.open();
    assert_eq!(total(&store, "1").await, Some(before + 10), "built from the whole log");
}

#[tokio::test]
async fn more_events_than_a_chunk_are_rebuilt_completely() {
    let place = Place::sqlite();
    let store = place.open();
    for n in 0..5 {
        let events = (0..1_000).map(|_| added(1)).collect::<Vec<_>>();
        store.commit(append(&stream(n), Expected::Any, events)).await.expect("committed");
    }
    drop(store);
    let store = EventStore::open(place.options().rebuild(vec!["totals".into()])).expect("opens");
    for n in 0..5 {
        assert_eq!(total(&store, &n.to_string()).await, Some(1_000));
        assert_eq!(sum(&store, &n.to_string()).await, 1_000);
    }
}

#[tokio::test]
async fn a_view_that_cannot_be_built_is_named_and_the_old_one_stays() {
    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    drop(store);
    for (project, why) in
        [(project_wrongly as fn(&_, &mut _), "{nowhere}"), (project_with_a_panic, "has a defect")]
    {
        let broken = View { version: 9, project, ..TOTALS };
        let error = EventStore::open(place.options().views(vec![broken])).err().expect("refused");
        assert!(error.to_string().contains("totals") && error.to_string().contains(why), "{error}");
    }
    let twice = EventStore::open(place.options().views(vec![TOTALS, TOTALS])).err().expect("refused");
    assert!(twice.to_string().contains("registered twice"), "{twice}");
    let store = place.open();
    assert!(total(&store, "1").await.is_some());
    drop(store);
    assert_eq!(Audit::open(place.path()).expect("opens").findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]));
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_first_lets_go_when_it_ends() {
    let place = Place::sqlite();
    let store = place.open();
    let error = EventStore::open(place.options()).err().expect("refused");
    assert!(matches!(&error, OpenError::LockHeld { path } if path.ends_with("test.db.lock")), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    store.shutdown().await;
    let other = EventStore::open(place.options()).expect("free after the shutdown");
    drop((store, other));
    place.open();
}

#[tokio::test]
async fn another_services_store_is_refused() {
    let place = Place::sqlite();
    drop(place.open());
    let clock = place.clock.clone();
    let error = EventStore::open(Options::new("other", Location::Sqlite(place.path()), clock)).err();
    let error = error.expect("refused").to_string();
    assert!(error.contains("belongs to the service test, not to other"), "{error}");
}

/// Runs statements on the file behind the store's back.
fn tamper(path: &Path, sql: &str) {
    let mut db = souk_sql::Connection::open(
        path,
        souk_sql::Store { application: 0x534F_554B, schema: 99 },
        souk_sql::OpenFor::Maintain,
        souk_sql::Names::none(),
    )
    .expect("opens");
    db.batch(sql).expect("done");
}

#[tokio::test]
async fn the_audit_finds_nothing_in_a_sound_store_live_or_stopped() {
    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    let audit = Audit::open(place.path()).expect("opens beside the living store");
    assert_eq!(audit.findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]));
    // It sees one moment: what comes later is not in it.
    store.commit(append(&stream(1), Expected::Any, vec![added(5)])).await.expect("committed");
    let mut seen = 0;
    audit.for_each(|_| seen += 1).expect("readable");
    assert_eq!((seen, audit.head(), audit.service()), (80, Position::new(80), "test"));
    assert_eq!(audit.findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]));
    assert_eq!(audit.state::<Counter>(&stream(1)).expect("readable").version(), 16);
    let lists = (audit.timers(), audit.inbox(), audit.checkpoints(), audit.claims(), audit.parked());
    let lengths = (
        lists.0.expect("readable").len(),
        lists.1.expect("readable").len(),
        lists.2.expect("readable").len(),
        lists.3.expect("readable").len(),
        lists.4.expect("readable").len(),
    );
    assert_eq!(lengths, (1, 1, 1, 1, 0));
    let mut published = 0;
    audit.for_each_published(PUBLISH, |_| published += 1).expect("readable");
    assert_eq!(published, 29);
    drop((audit, store));
    let audit = Audit::open(place.path()).expect("opens when stopped");
    assert_eq!(audit.findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]));
    assert_eq!(audit.head(), Position::new(81));
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_audited_and_opened() {
    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    // A copy of the files of a living store is what a kill leaves: the log is not yet in the file.
    let left = tempfile::tempdir().expect("a folder");
    for suffix in ["", "-wal"] {
        let name = format!("test.db{suffix}");
        std::fs::copy(place.path().with_file_name(&name), left.path().join(&name)).expect("copied");
    }
    let path = left.path().join("test.db");
    let audit = Audit::open(&path).expect("opens");
    assert_eq!(audit.findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]));
    assert_eq!(audit.head(), Position::new(80));
    drop(audit);
    let again = EventStore::open(place.options_at(Location::Sqlite(path))).expect("opens");
    assert_eq!(sum(&again, "3").await, sum(&store, "3").await);
}

#[tokio::test]
async fn the_audit_finds_what_was_tampered_with() {
    for (sql, check, what) in [
        ("DELETE FROM events WHERE position = 40", "positions", "position 41 follows 39"),
        ("DELETE FROM events WHERE position = 80", "head", "position is 80, the log says 79"),
        ("UPDATE events SET version = 99 WHERE position = 80", "versions", "version 99 follows 15"),
        ("UPDATE events SET public_seq = 9 WHERE position = 80", "public_seq", "public number 9 follows 5"),
        ("UPDATE events SET feed_seq = 99 WHERE position = 80", "feed_seq", "feed number 99 follows 28"),
        ("UPDATE streams SET version = 17 WHERE stream = 'counter/0'", "streams", "listed at 17"),
        ("DELETE FROM streams WHERE stream = 'counter/0'", "streams", "4 streams are listed, the log has 5"),
        ("UPDATE commits SET last_position = 5 WHERE seq = 3", "commits", "positions are not those"),
        (
            "UPDATE totals__1 SET total = total + 1 WHERE counter = '2'",
            "view",
            "a row that the log does not make: \"2\"",
        ),
        ("DELETE FROM totals__1 WHERE counter = '2'", "view", "lacks a row that the log makes: \"2\""),
        ("UPDATE events SET data = '{}' WHERE position = 80", "view", "cannot take in position 80"),
        ("UPDATE events SET data = '{}' WHERE position = 80", "publish", "missing field"),
        ("UPDATE views SET version = 7", "view", "built by another release"),
    ] {
        let place = Place::sqlite();
        let store = place.open();
        fill(&store).await;
        drop(store);
        tamper(&place.path(), sql);
        let found =
            Audit::open(place.path()).expect("opens").findings(&[TOTALS], Some(PUBLISH)).expect("readable");
        let hit = found.iter().any(|finding| finding.check == check && finding.what.contains(what));
        assert!(hit, "{sql}: wanted {check} {what:?}, found {found:#?}");
    }
}

#[tokio::test]
async fn a_gap_in_the_log_stops_readers() {
    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    drop(store);
    tamper(&place.path(), "DELETE FROM events WHERE position = 40");
    let store = place.open();
    assert_eq!(store.read_log(Position::START, 39).await.expect("sound so far").len(), 39);
    let gap = store.read_log(Position::START, 100).await;
    assert_eq!(gap.map(|events| events.len()), Err(Fault::Broken("position 41 follows 39".into())));
    let state = store.state::<Counter>(&stream(4)).await;
    assert!(matches!(state, Err(Fault::Broken(what)) if what.contains("has 15 events but is at version 16")));
}

#[tokio::test]
async fn an_event_of_a_newer_release_is_a_fault_and_not_skipped() {
    let place = Place::sqlite();
    let store = place.open();
    store.commit(append(&stream("a"), Expected::Any, vec![added(1), added(2)])).await.expect("committed");
    drop(store);
    tamper(&place.path(), "UPDATE events SET kind = 'Multiplied' WHERE position = 2");
    let store = place.open();
    assert!(matches!(store.state::<Counter>(&stream("a")).await, Err(Fault::Decode(_))));
    let decided = store.commit(add_up_to(&stream("a"), 1, 9)).await;
    assert!(matches!(decided, Err(CommitError::Fault(Fault::Decode(_)))), "{decided:?}");
    store.commit(add_up_to(&stream("b"), 1, 9)).await.expect("others are not concerned");
}

#[tokio::test]
async fn damaged_foreign_and_newer_files_are_told_apart() {
    let place = Place::sqlite();
    let open = || EventStore::open(place.options()).err().map(|e| e.to_string()).unwrap_or_default();
    std::fs::write(place.path(), "this is a letter to my aunt, and it is longer than a header")
        .expect("written");
    assert!(open().contains("not a store file"), "{}", open());
    assert!(matches!(Audit::open(place.path()), Err(OpenError::NotADatabase { .. })));

    let place = Place::sqlite();
    drop(place.open());
    tamper(&place.path(), "PRAGMA user_version = 2");
    let error = EventStore::open(place.options()).err().expect("refused").to_string();
    assert!(error.contains("newer release") && error.contains("schema 2"), "{error}");

    let place = Place::sqlite();
    drop(place.open());
    tamper(&place.path(), "PRAGMA application_id = 7");
    let error = EventStore::open(place.options()).err().expect("refused").to_string();
    assert!(error.contains("belongs to another program"), "{error}");

    let place = Place::sqlite();
    let store = place.open();
    fill(&store).await;
    drop(store);
    let mut bytes = std::fs::read(place.path()).expect("readable");
    bytes[4_096..].fill(0x5a);
    std::fs::write(place.path(), bytes).expect("written");
    let error = EventStore::open(place.options()).err().expect("refused");
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");

    let gone = EventStore::open(place.options_at(Location::Sqlite("/nowhere/at/all.db".into()))).err();
    let gone = gone.expect("refused").to_string();
    assert!(gone.contains("/nowhere/at/all.db: its folder is not there; create the folder"), "{gone}");
    assert!(matches!(Audit::open("/tmp/souk-no-such-file.db"), Err(OpenError::NoSuchFile { .. })));
}

#[tokio::test]
async fn the_log_is_moved_into_the_file_when_it_has_grown() {
    let place = Place::sqlite();
    let store = EventStore::open(place.options().log_bytes_max(256 << 10)).expect("opens");
    let wal = place.path().with_file_name("test.db-wal");
    let name = "x".repeat(1_000);
    let (mut rounds, mut before) = (0, 0);
    // The log has started over when it is shorter than before. When that is, is up to the checkpointer.
    while store.statistics().log_bytes >= before {
        before = store.statistics().log_bytes;
        rounds += 1;
        assert!(rounds < 2_000, "the log only grows: {:?}", store.statistics());
        let events = (0..40).map(|_| opened(&name)).collect::<Vec<_>>();
        store.commit(append(&stream(rounds), Expected::Any, events)).await.expect("committed");
    }
    let statistics = store.statistics();
    assert!(statistics.checkpoints > 0 && before >= 256 << 10, "{statistics:?}");
    drop(store);
    assert!(std::fs::metadata(&wal).map_or(0, |m| m.len()) == 0, "emptied at the end");
    assert_eq!(Audit::open(place.path()).expect("opens").findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]));
}

#[tokio::test]
async fn expired_idempotency_keys_are_swept_in_passing() {
    let place = Place::sqlite();
    let store = place.open();
    let once = |n: u64| {
        decide(move || {
            Decision::new().record_once(Once {
                principal: "p".into(),
                method: "m".into(),
                key: n.to_string().into(),
                request_hash: String::new(),
                response: "r".into(),
                expires: START.plus(Duration::from_secs(if n < 30 { 60 } else { 600 })),
            })
        })
    };
    for n in 0..40 {
        store.commit(once(n)).await.expect("recorded");
    }
    let count = async || {
        let rows = store.query(Statement::new("SELECT count(*) FROM once")).await.expect("readable");
        rows[0].get::<i64>(0)
    };
    assert_eq!(count().await, 40);
    place.clock.advance_ms(61_000);
    store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    assert_eq!(count().await, 10);
}

#[tokio::test]
async fn a_slow_read_of_a_decision_is_refused_and_nobody_else_suffers() {
    let place = Place::sqlite();
    let store = place.open();
    let endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
    let outcomes = in_one_batch(
        &store,
        vec![
            append(&stream("a"), Expected::Any, vec![added(1)]),
            work(fresh()).rows("endless", Statement::new(endless)),
            append(&stream("a"), Expected::Any, vec![added(1)]),
        ],
    )
    .await;
    assert!(matches!(&outcomes[1], Err(CommitError::Fault(Fault::Storage(_)))), "{outcomes:?}");
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
}

#[tokio::test]
async fn a_small_cache_changes_nothing_but_the_speed() {
    let place = Place::sqlite();
    let store = EventStore::open(place.options().cache_bytes_max(600)).expect("opens");
    for round in 0..10 {
        for outcome in all((0..20).map(|n| store.commit(add_up_to(&stream(n), 1, 9)))).await {
            assert_eq!(outcome.is_ok(), round < 9);
        }
    }
    for n in 0..20 {
        assert_eq!(sum(&store, &n.to_string()).await, 9);
    }
    assert!(store.statistics().cache_bytes <= 600);
}
