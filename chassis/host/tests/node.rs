//! Nodes: what they refuse to start on, what they start, and how they end.
mod services;

use futures_util::future::join_all;
use services::*;
use souk_eventstore::{CommitError, CommitId, Fault, OpenError};
use souk_host::{KeyError, Settings, StartError, SystemEntropy, signing_keys};
use souk_rpc::Target;
use souk_rpc::feed::FeedServiceClient;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[tokio::test]
async fn services_of_one_process_hear_of_each_other_by_name() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    for settings in [Settings::in_memory(), Settings { round_trip: true, ..Settings::at(folder.path()) }] {
        let listens_to = vec![("c.of_a", "a"), ("c.of_b", "b")];
        let listener = TestService { listens_to, publishes: false, ..service("c") };
        let node = start(vec![service("a"), service("b"), listener], &settings).await.expect("it starts");
        assert_eq!(node.wires().len(), 2, "one feed and one desk for all");
        let [(_, a), (_, b), (_, c)] = node.stores() else { panic!("three stores") };
        for (store, text) in [(a, "one"), (b, "two"), (a, "three")] {
            store.commit(noting(CommitId::derived(&[text]), text.to_owned(), None)).await.expect("noted");
        }
        until(c, || async { texts(c).await.len() == 3 }).await;
        let mut all = texts(c).await;
        all.sort();
        assert_eq!(all, ["one of a", "three of a", "two of b"]);
        assert!(node.peers().bytes(&souk_bus::feed_name("c")).is_none(), "it publishes nothing");
        node.shut_down().await;
    }
}

#[tokio::test]
async fn a_shop_in_memory_needs_no_folder() {
    let node = start(vec![service("a")], &Settings::in_memory()).await.expect("it starts");
    node.shut_down().await;
    assert!(!std::path::Path::new("a.db").exists() && !std::path::Path::new("keys").exists());
}

#[tokio::test]
async fn local_calls_go_through_bytes_when_asked_to() {
    for round_trip in [false, true] {
        let serving = TestService { serves: true, ..service("a") };
        let settings = Settings { round_trip, ..Settings::in_memory() };
        let node = start(vec![serving], &settings).await.expect("it starts");
        let target = node.peers().target::<FeedServiceClient>().expect("it is there");
        assert_eq!(matches!(target, Target::Wire(_)), round_trip);
        node.shut_down().await;
    }
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_its_user_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    let first = start(vec![service("a")], &Settings::at(folder.path())).await.expect("it starts");
    let error = refused(vec![service("b"), service("a")], folder.path()).await;
    assert!(error.is_locked(), "{error}");
    let (_, store) = &first.stores()[0];
    store.commit(noting(CommitId::derived(&["1"]), "still here".into(), None)).await.expect("noted");
    first.shut_down().await;
    let second = start(vec![service("a")], &Settings::at(folder.path())).await.expect("it is free now");
    assert_eq!(texts(&second.stores()[0].1).await, ["still here"]);
    second.shut_down().await;
}

#[tokio::test]
async fn a_store_that_is_gone_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    use_once(&["a", "b"], folder.path(), "before").await;
    let (file, kept) = (folder.path().join("b.db"), folder.path().join("kept"));
    std::fs::rename(&file, &kept).expect("moved away");
    for make_empty in [false, true] {
        if make_empty {
            std::fs::write(&file, "").expect("an empty file");
        }
        let error = refused(vec![service("a"), service("b")], folder.path()).await;
        assert!(matches!(&error, StartError::StoreMissing(path) if *path == file), "{error}");
        assert!(!error.is_locked() && error.to_string().contains("restore it from a backup"));
    }
    use_once(&["a"], folder.path(), "without b").await;
    std::fs::rename(&kept, &file).expect("restored");
    use_once(&["a", "b"], folder.path(), "after").await;
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_the_others_are_let_go() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    use_once(&["a", "b"], folder.path(), "before").await;
    let file = folder.path().join("b.db");
    let whole = std::fs::read(&file).expect("readable");
    std::fs::write(&file, vec![b'x'; whole.len()]).expect("overwritten");
    let error = refused(vec![service("a"), service("b")], folder.path()).await;
    assert!(
        matches!(&error, StartError::Store(OpenError::NotADatabase { path }) if *path == file),
        "{error}"
    );
    std::fs::write(&file, whole).expect("restored");
    use_once(&["a", "b"], folder.path(), "after").await;
}

#[tokio::test]
async fn a_store_under_another_name_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    use_once(&["a"], folder.path(), "before").await;
    std::fs::copy(folder.path().join("a.db"), folder.path().join("b.db")).expect("copied");
    let error = refused(vec![service("b")], folder.path()).await;
    assert!(matches!(&error, StartError::Store(OpenError::OtherService { .. })), "{error}");
}

#[tokio::test]
async fn the_list_of_stores_survives_a_torn_line_and_is_never_taken_for_empty() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    let list = folder.path().join("stores.txt");
    use_once(&["a"], folder.path(), "one").await;
    std::fs::write(&list, "a\nb").expect("cut short");
    use_once(&["a", "cc"], folder.path(), "two").await;
    assert_eq!(std::fs::read_to_string(&list).expect("readable"), "a\nb\ncc\n");
    std::fs::remove_file(&list).expect("removed");
    std::fs::create_dir(&list).expect("something else in its place");
    let error = refused(vec![service("a")], folder.path()).await;
    assert!(matches!(&error, StartError::Data(path, _) if *path == list), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").expect("written");
    let error = refused(vec![service("a")], &file).await;
    assert!(matches!(&error, StartError::Key(KeyError::Io(..))), "{error}");
}

#[tokio::test]
async fn a_key_that_others_can_read_or_nobody_can_use_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    use_once(&["a"], folder.path(), "before").await;
    let key = folder.path().join("keys/signing.json");
    let allow = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("ours");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        allow(mode);
        let error = refused(vec![service("a")], folder.path()).await;
        assert!(matches!(&error, StartError::Key(KeyError::Exposed(path)) if *path == key), "{error}");
        assert!(error.to_string().contains("chmod 600"));
    }
    allow(0o600);
    use_once(&["a"], folder.path(), "again").await;
    std::fs::write(&key, "{}").expect("overwritten");
    let error = refused(vec![service("a")], folder.path()).await;
    assert!(matches!(&error, StartError::Key(KeyError::Damaged(_))), "{error}");
}

#[test]
fn of_many_that_start_at_once_one_makes_the_key() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder for tests");
        let entropy = SystemEntropy::new();
        let at_once = std::sync::Barrier::new(8);
        let key = || {
            at_once.wait();
            let (signer, _) = signing_keys(folder.path(), entropy.as_ref()).expect("a key");
            signer.public().kid().to_owned()
        };
        let keys: Vec<_> = std::thread::scope(|scope| {
            let making: Vec<_> = (0..8).map(|_| scope.spawn(key)).collect();
            making.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        let keys = folder.path().join("keys");
        let files: Vec<_> =
            std::fs::read_dir(&keys).expect("there").map(|file| file.expect("a file").path()).collect();
        assert_eq!(files, [keys.join("signing.json")], "nothing is left lying about");
        let mode = std::fs::metadata(&files[0]).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn shutting_down_ends_what_runs_and_closes_the_stores() {
    let folder = tempfile::tempdir().expect("a folder for tests");
    let ended = Arc::new(AtomicU32::new(0));
    let waiting = |name| TestService { ended: Some(ended.clone()), ..service(name) };
    let node =
        start(vec![waiting("a"), waiting("b")], &Settings::at(folder.path())).await.expect("it starts");
    let stores: Vec<_> = node.stores().iter().map(|(_, store)| store.clone()).collect();
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    node.shut_down().await;
    assert_eq!(ended.load(Ordering::SeqCst), 2);
    let late =
        stores.iter().map(|store| store.commit(noting(CommitId::derived(&["x"]), "late".into(), None)));
    for outcome in join_all(late).await {
        assert!(matches!(outcome, Err(CommitError::Fault(Fault::Closed))), "{outcome:?}");
    }
    // The old handles are still here, and in nobody's way.
    use_once(&["a", "b"], folder.path(), "after").await;
}

/// The process ends, so the test runs itself in a second process.
#[test]
fn what_cannot_be_kept_running_ends_the_process() {
    const MARK: &str = "SOUK_TEST_BROKEN_PROCESS";
    if std::env::var_os(MARK).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let broken = TestService { is_broken: true, ..service("a") };
            let _node = start(vec![broken], &Settings::in_memory()).await.expect("it starts");
            std::future::pending::<()>().await;
        });
    }
    let child = std::process::Command::new(std::env::current_exe().expect("the test knows its own path"))
        .args(["--exact", "what_cannot_be_kept_running_ends_the_process", "--nocapture"])
        .env(MARK, "1")
        .output()
        .expect("the second process starts");
    assert_eq!(child.status.code(), Some(70));
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(said.contains("the broken of a cannot go on"), "{said}");
}
