//! The whole shop on a disk that is full, and on one whose syncs fail.
mod process;

use process::{Shop, checkout, on, said};
use serde_json::{Value, json};
use souk::rest::{Rest, RestError};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The size of the disk.
const DISK: &str = "size=24m";
/// How many writes a full disk may still take: what is there already is written over first.
const WRITES_MAX: usize = 2_000;

/// A small disk of its own, mounted until the test ends.
struct Disk(PathBuf);

impl Disk {
    /// `None` where mounting is not allowed.
    fn mount(at: &Path) -> Option<Disk> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(at).output();
        mount.is_ok_and(|done| done.status.success()).then(|| Disk(at.to_owned()))
    }

    /// Leaves no room at all.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut ballast = File::create(&path).expect("room for a name");
        for size in [1 << 20, 4_096, 1] {
            let piece = vec![0; size];
            while ballast.write_all(&piece).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn receipt(number: usize) -> Value {
    json!({
        "receiptId": format!("more-{number}"), "location": "main",
        "lines": [{"sku": "LAMP", "quantity": "1"}],
    })
}

/// The status of a refusal; 200 of an answer.
fn status(answer: &Result<souk::rest::Answer, RestError>) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(RestError::Problem { status, .. }) => *status,
        Err(RestError::Unreachable { .. }) => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_reads_are_answered_writes_wait_and_room_is_all_it_takes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let Some(disk) = Disk::mount(&data) else {
        println!("SKIPPED: the whole shop on a full disk: nothing may be mounted here");
        return;
    };
    let mut shop = Shop::open(&data);
    let buyers = checkout::ready_to_buy(shop.url(), &data, 3).await;
    let token = said(on(&data, &["token", "--role", "sales"]), 0);
    let sales = Rest::new(shop.url(), Some(token.trim().to_owned()));

    let ballast = disk.fill();
    let mut booked = 0;
    let refused = loop {
        let answer = sales.post("/api/v1/stock:receive", &receipt(booked)).await;
        match status(&answer) {
            200 if booked < WRITES_MAX => booked += 1,
            status => break status,
        }
    };
    assert_eq!(refused, 503, "after {booked} more writes");
    assert_eq!(status(&sales.get("/api/v1/products?pageSize=1").await), 200, "reads go on");
    assert_eq!(status(&sales.get("/api/v1/stock?skus=LAMP").await), 200);

    std::fs::remove_file(ballast).expect("removed");
    let refused = receipt(booked);
    souk::rest::patiently(|| sales.post("/api/v1/stock:receive", &refused))
        .await
        .expect("the same process writes again");
    let placed = checkout::everybody_places(shop.url(), buyers, 0, || {}).await;
    assert!(placed.unanswered.is_empty(), "nobody is turned away any more");
    checkout::at_rest(&data).await;
    checkout::all_ended_well(shop.url(), &placed.accepted).await;
    said(on(&data, &["verify"]), 0);
    shop.kill();
}

/// From now on every sync of the process fails, from the second of each thread on. `None` where that may not
/// be done.
fn let_syncs_fail(id: u32) -> Option<Child> {
    let rule = "inject=fsync,fdatasync:error=EIO:when=2+";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", rule, "-p", &id.to_string()]);
    let mut strace = strace.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().ok()?;
    let mut told = BufReader::new(strace.stderr.take()?);
    let mut line = String::new();
    let is_attached = told.read_line(&mut line).is_ok() && line.contains("attached");
    if !is_attached {
        let _ = strace.kill();
        let _ = strace.wait();
        return None;
    }
    // It goes on to say things; nobody has to listen.
    strace.stderr = Some(told.into_inner());
    Some(strace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_process_and_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(folder.path());
    let buyers = checkout::ready_to_buy(shop.url(), folder.path(), 12).await;
    let Some(mut strace) = let_syncs_fail(shop.id()) else {
        println!("SKIPPED: the whole shop on failing syncs: strace is not there, or may not trace");
        return;
    };
    let placed = checkout::everybody_places(shop.url(), buyers, 0, || {}).await;
    let code = shop.ended();
    let _ = strace.kill();
    let _ = strace.wait();
    assert_eq!(code, Some(74), "an I/O error ends the process");

    let shop = Shop::open(folder.path());
    let again = checkout::everybody_places(shop.url(), placed.unanswered, 0, || {}).await;
    assert!(again.unanswered.is_empty());
    checkout::at_rest(folder.path()).await;
    checkout::all_ended_well(shop.url(), &placed.accepted).await;
    checkout::all_ended_well(shop.url(), &again.accepted).await;
    said(on(folder.path(), &["verify"]), 0);
}
