//! The checks that every story ends with find something when there is something: stores of another shop, and
//! a log that somebody has edited.
use souk_tests::{House, Shape, findings, status_of};
use std::path::Path;
use tempfile::TempDir;

/// A shop that sold one, sold and took back one, and failed to sell one; closed.
async fn traded() -> TempDir {
    let house = House::start(Shape::One).await;
    house.sells("LAMP", 1_000, 10).await;
    let [happy, sorry, poor] = [house.guest().await, house.guest().await, house.guest().await];
    let sold = happy.buys("LAMP", 1, "ok").await;
    happy.order_paid(&sold, "CAPTURED").await;
    let returned = sorry.buys("LAMP", 2, "ok").await;
    sorry.order_paid(&returned, "CAPTURED").await;
    assert_eq!(sorry.cancels(&returned, "cancel").await.status, 202);
    assert_eq!(status_of(&poor.buys("LAMP", 1, "decline_funds").await), "REJECTED");
    house.shut_down().await
}

/// The numbers of the checks that find something.
fn broken(data: &Path) -> Vec<&'static str> {
    findings(data).into_iter().filter(|finding| finding.count > 0).map(|finding| finding.check).collect()
}

fn copy(from: &Path, to: &Path, store: &str) {
    let name = format!("{store}.db");
    std::fs::copy(from.join(&name), to.join(&name)).expect("copied");
    for rest in ["-wal", "-shm"] {
        let rest = to.join(format!("{name}{rest}"));
        if rest.exists() {
            std::fs::remove_file(rest).expect("removed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_shop_does_not_fit() {
    let (ours, theirs) = (traded().await, traded().await);
    assert_eq!(broken(ours.path()), Vec::<&str>::new());
    let kept = tempfile::tempdir().expect("a temporary folder");
    for (store, checks) in [
        ("provider", &["V1"][..]),
        ("payment", &["V1", "V2", "V4"]),
        ("inventory", &["V2", "V4"]),
        ("order", &["V2", "V4"]),
    ] {
        copy(ours.path(), kept.path(), store);
        copy(theirs.path(), ours.path(), store);
        let found = broken(ours.path());
        assert!(
            checks.iter().all(|check| found.contains(check)),
            "{store}: {found:?} lacks some of {checks:?}"
        );
        copy(kept.path(), ours.path(), store);
    }
    assert_eq!(broken(ours.path()), Vec::<&str>::new(), "and everything fits again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_edited_is_found_out() {
    for (store, written, forged, check) in [
        ("order", "\"unit_minor\":1000", "\"unit_minor\":1001", "V7"),
        ("inventory", "\"quantity\":10}", "\"quantity\":11}", "V5"),
    ] {
        let data = traded().await;
        let path = data.path().join(format!("{store}.db"));
        let mut bytes = std::fs::read(&path).expect("the store");
        let edits = replace(&mut bytes, written.as_bytes(), forged.as_bytes());
        assert!(edits > 0, "{written} stands in {store}.db");
        std::fs::write(&path, bytes).expect("written");
        let found = broken(data.path());
        assert!(found.contains(&check), "{store}: {found:?} lacks {check}");
    }
}

/// Overwrites every occurrence; how many there were.
fn replace(bytes: &mut [u8], written: &[u8], forged: &[u8]) -> usize {
    assert_eq!(written.len(), forged.len());
    let mut edits = 0;
    for at in 0..=bytes.len() - written.len() {
        if bytes[at..].starts_with(written) {
            bytes[at..at + forged.len()].copy_from_slice(forged);
            edits += 1;
        }
    }
    edits
}
