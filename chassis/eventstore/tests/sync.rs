//! The disk, seen from below: this binary's own `fsync` and `fdatasync` stand between SQLite and the kernel.
//! They count, and in a child process they fail or kill at a chosen moment.
#![allow(unsafe_code, reason = "replacing a function of the C library has no safe form")]
mod suite;
use souk_eventstore::audit::Audit;
use souk_eventstore::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use suite::*;

/// Syncs by the name of the thread that made them.
static SYNCS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// What the child process shall meet, as `what:n`: at the sequencer's nth sync.
static PLAN: OnceLock<(String, u64)> = OnceLock::new();

fn synced_by(thread: &str) -> u64 {
    SYNCS.lock().expect("not poisoned").get(thread).copied().unwrap_or(0)
}

fn sync(call: libc::c_long, fd: libc::c_int) -> libc::c_int {
    let name = std::thread::current().name().unwrap_or("").to_owned();
    let count = {
        let mut syncs = SYNCS.lock().expect("not poisoned");
        let count = syncs.entry(name.clone()).or_default();
        *count += 1;
        *count
    };
    let plan = PLAN.get().filter(|(_, at)| name.starts_with("sequencer-") && count == *at);
    let plan = plan.map_or("", |(what, _)| what.as_str());
    if plan == "kill-before" {
        die();
    }
    if plan == "fail" {
        // SAFETY: the address of this thread's errno, valid as long as the thread lives.
        unsafe { *libc::__errno_location() = libc::EIO };
        return -1;
    }
    // SAFETY: what the C library's own function does with the same argument.
    let done = unsafe { libc::syscall(call, fd) };
    if plan == "kill-after" {
        die();
    }
    libc::c_int::try_from(done).unwrap_or(-1)
}

fn die() -> ! {
    // SAFETY: ends this very process.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("the process was killed")
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: libc::c_int) -> libc::c_int {
    sync(libc::SYS_fsync, fd)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: libc::c_int) -> libc::c_int {
    sync(libc::SYS_fdatasync, fd)
}

/// Whether the disk of the store named `full` is full.
static FULL: AtomicBool = AtomicBool::new(false);

fn write_at(
    fd: libc::c_int,
    bytes: *const libc::c_void,
    count: libc::size_t,
    at: libc::off_t,
) -> libc::ssize_t {
    if FULL.load(Ordering::SeqCst) && std::thread::current().name() == Some("sequencer-full") {
        // SAFETY: the address of this thread's errno, valid as long as the thread lives.
        unsafe { *libc::__errno_location() = libc::ENOSPC };
        return -1;
    }
    // SAFETY: what the C library's own function does with the same arguments.
    let written = unsafe { libc::syscall(libc::SYS_pwrite64, fd, bytes, count, at) };
    libc::ssize_t::try_from(written).unwrap_or(-1)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    fd: libc::c_int,
    bytes: *const libc::c_void,
    count: libc::size_t,
    at: libc::off_t,
) -> libc::ssize_t {
    write_at(fd, bytes, count, at)
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    fd: libc::c_int,
    bytes: *const libc::c_void,
    count: libc::size_t,
    at: libc::off_t,
) -> libc::ssize_t {
    write_at(fd, bytes, count, at)
}

#[tokio::test]
async fn a_full_disk_is_answered_so_and_passes_without_a_restart() {
    let place = Place::sqlite();
    let ended = Arc::new(AtomicBool::new(false));
    let note = ended.clone();
    let options = Options::new("full", Location::Sqlite(place.path()), place.clock.clone());
    let options = options.views(vec![TOTALS]).on_exit(move |_| note.store(true, Ordering::SeqCst));
    let store = EventStore::open(options).expect("opens");
    store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    FULL.store(true, Ordering::SeqCst);
    for outcome in in_one_batch(&store, (0..5).map(|_| add_up_to(&stream("a"), 1, 9))).await {
        assert_eq!(outcome.expect_err("full"), CommitError::Fault(Fault::StorageFull));
    }
    assert_eq!((sum(&store, "a").await, total(&store, "a").await), (1, Some(1)), "reading goes on");
    FULL.store(false, Ordering::SeqCst);
    store.commit(add_up_to(&stream("a"), 1, 9)).await.expect("there is space again");
    assert_eq!((sum(&store, "a").await, total(&store, "a").await), (2, Some(2)));
    assert!(!ended.load(Ordering::SeqCst), "the process went on");
    drop(store);
    assert_eq!(Audit::open(place.path()).expect("opens").findings(&[TOTALS], None), Ok(vec![]));
}

fn open(place: &Place, name: &str) -> EventStore {
    let options = Options::new(name, Location::Sqlite(place.path()), place.clock.clone());
    EventStore::open(options.views(vec![TOTALS]).publish(PUBLISH)).expect("opens")
}

#[tokio::test]
async fn a_batch_is_exactly_one_sync_of_the_log() {
    let place = Place::sqlite();
    let store = open(&place, "count");
    // The first batch of a fresh log also syncs the log's header.
    store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    let before = (synced_by("sequencer-count"), store.statistics().log_syncs_expected);
    for round in 0..20 {
        let works: Vec<_> =
            (0..round + 1).map(|n| append(&stream(n), Expected::Any, vec![added(n), added(1)])).collect();
        for outcome in in_one_batch(&store, works).await {
            outcome.expect("committed");
        }
    }
    let after = (synced_by("sequencer-count"), store.statistics().log_syncs_expected);
    assert_eq!(after.1 - before.1, 20, "twenty batches");
    assert_eq!(after.0 - before.0, 20, "and one sync for each, whatever their size");
    assert_eq!(synced_by("checkpoint-count"), 0, "the log is small");
}

#[tokio::test]
async fn what_writes_nothing_syncs_nothing() {
    let place = Place::sqlite();
    let store = open(&place, "quiet");
    store.commit(append(&stream("a"), Expected::Any, vec![added(1)])).await.expect("committed");
    let lease =
        store.acquire_lease("l", "o", std::time::Duration::from_secs(9)).await.expect("works").expect("free");
    let before = synced_by("sequencer-quiet");
    for _ in 0..10 {
        store.commit(work(fresh()).read::<Counter>(stream("a"))).await.expect("read");
        store.commit(append(&stream("a"), Expected::NoStream, vec![added(1)])).await.expect_err("refused");
        let again = store.acquire_lease("l", "o", std::time::Duration::from_secs(9)).await.expect("works");
        assert_eq!(again, Some(lease.clone()));
    }
    assert_eq!(synced_by("sequencer-quiet"), before);
}

#[tokio::test]
async fn checkpoints_are_synced_by_their_own_thread() {
    let place = Place::sqlite();
    let options = Options::new("moved", Location::Sqlite(place.path()), place.clock.clone());
    let store = EventStore::open(options.log_bytes_max(64 << 10)).expect("opens");
    let name = "x".repeat(2_000);
    let mut commits = 0;
    while store.statistics().checkpoints == 0 {
        commits += 1;
        assert!(commits < 10_000, "never moved: {:?}", store.statistics());
        store.commit(append(&stream(commits), Expected::Any, vec![opened(&name)])).await.expect("committed");
    }
    assert!(synced_by("checkpoint-moved") > 0);
}

/// Not a test of its own: what the tests below run in a child process. It commits one after the other, says
/// which were confirmed, and meets what is planned for it.
#[test]
fn child() {
    let (Ok(plan), Ok(path)) = (std::env::var("SOUK_TEST_PLAN"), std::env::var("SOUK_TEST_STORE")) else {
        return;
    };
    let (what, at) = plan.split_once(':').expect("what:n");
    PLAN.set((what.to_owned(), at.parse().expect("a number"))).expect("set once");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let clock = souk_kernel::ManualClock::at(START);
        let options = Options::new("child", Location::Sqlite(path.into()), clock);
        let store = EventStore::open(options.views(vec![TOTALS]).publish(PUBLISH)).expect("opens");
        for n in 0..1_000 {
            let works = (0..3).map(|i| keyed(n * 3 + i));
            for (i, outcome) in all(works.map(|work| store.commit(work))).await.into_iter().enumerate() {
                outcome.expect("committed");
                let mut out = std::io::stdout().lock();
                writeln!(out, "confirmed {}", n * 3 + i as i64).expect("the parent listens");
            }
        }
    });
}

fn keyed(n: i64) -> Work {
    let to = stream(n % 4);
    work(CommitId::derived(&["child", &n.to_string()])).read::<Counter>(&to).decide(move |_, _| {
        Ok(Decision::new().append(stream(n % 4), Expected::Any, vec![added(n), added(20)]))
    })
}

/// Runs the child and gives what it confirmed, how it ended and what it said.
fn run_child(plan: &str, path: &Path) -> (Vec<i64>, std::process::ExitStatus, String) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("SOUK_TEST_PLAN", plan)
        .env("SOUK_TEST_STORE", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let confirmed = out.lines().map_while(Result::ok).filter_map(|line| {
        // The test harness may have written before it on the same line.
        line.split_once("confirmed ").and_then(|(_, n)| n.parse().ok())
    });
    let confirmed = confirmed.collect();
    let output = child.wait_with_output().expect("ended");
    (confirmed, output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whatever was confirmed is there, each piece wholly or not at all, and asking again settles the rest.
async fn check_survivors(path: &Path, confirmed: &[i64], plan: &str) {
    let audit = Audit::open(path).expect("opens");
    assert_eq!(audit.findings(&[TOTALS], Some(PUBLISH)), Ok(vec![]), "{plan}");
    drop(audit);
    let clock: Arc<dyn souk_kernel::Clock> = souk_kernel::ManualClock::at(START);
    let options = Options::new("child", Location::Sqlite(path.into()), clock);
    let store = EventStore::open(options.views(vec![TOTALS]).publish(PUBLISH)).expect("opens");
    for n in confirmed {
        assert!(
            store.commit(keyed(*n)).await.expect("answered").replayed,
            "{plan}: {n} was confirmed and is lost"
        );
    }
    let last = confirmed.iter().max().copied().unwrap_or(-1);
    for n in 0..last + 10 {
        store.commit(keyed(n)).await.expect("committed now or before");
    }
    let total: i64 = (0..last + 10).map(|n| n + 20).sum();
    let mut sums = 0;
    for n in 0..4 {
        sums += sum(&store, &n.to_string()).await;
    }
    assert_eq!(sums, total, "{plan}: each exactly once");
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_with_74_and_loses_nothing_that_was_confirmed() {
    for at in [1, 2, 7] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("child.db");
        let plan = format!("fail:{at}");
        let (confirmed, status, said) = run_child(&plan, &path);
        assert_eq!(status.code(), Some(74), "{plan}: {said}");
        assert!(said.contains("Check the disk, then start again"), "{plan}: {said}");
        check_survivors(&path, &confirmed, &plan).await;
    }
}

#[tokio::test]
async fn a_process_killed_at_any_sync_loses_nothing_that_was_confirmed() {
    use std::os::unix::process::ExitStatusExt;
    let mut confirmed_before_a_kill = 0;
    for at in 1..=8 {
        for kind in ["kill-before", "kill-after"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("child.db");
            let plan = format!("{kind}:{at}");
            let (confirmed, status, said) = run_child(&plan, &path);
            assert_eq!(status.signal(), Some(libc::SIGKILL), "{plan}: {said}");
            confirmed_before_a_kill += confirmed.len();
            check_survivors(&path, &confirmed, &plan).await;
        }
    }
    assert!(confirmed_before_a_kill > 50, "the kills came in the middle of work: {confirmed_before_a_kill}");
}
