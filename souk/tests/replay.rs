//! `souk replay` sells a made-up file and takes back what it cancels, killed on the way and started again: its
//! report says what the maker of the file says.
mod process;

use process::{on, said};
use serde_json::Value;
use std::path::Path;
use xtask::sample::{self, Tally};

/// Small enough for a test; the first invoice alone has every kind of cancelled line.
const INVOICES: u32 = 10;

fn made(folder: &Path, seed: u64) -> (String, Tally) {
    let path = folder.join("sample.csv");
    let mut file = std::fs::File::create(&path).expect("created");
    let tally = sample::write(&sample::Order { invoices: INVOICES, seed }, &mut file).expect("written");
    (path.to_str().expect("UTF-8").to_owned(), tally)
}

/// Replays to the end and gives back what it printed.
fn replay(data: &Path, arguments: &[&str]) -> Value {
    let mut all = vec!["replay", "--output", "json"];
    all.extend(arguments);
    let told = said(on(data, &all), 0);
    let document = told.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    serde_json::from_str(document).expect("JSON")
}

/// Both figures of a row.
fn row(document: &Value, what: &str) -> [String; 2] {
    let sections = document["report"]["sections"].as_array().expect("sections").iter();
    let mut rows = sections.flat_map(|section| section["rows"].as_array().expect("rows"));
    let row = rows.find(|row| row["what"] == what).unwrap_or_else(|| panic!("{what} is not in {document}"));
    ["from_file", "from_shop"].map(|side| row[side].as_str().expect("text").replace(',', ""))
}

/// The report agrees with itself, and with whoever made the file.
fn check(document: &Value, tally: &Tally) {
    assert_eq!(document["report"]["differences"], 0, "{document}");
    let back = &tally.back;
    for (what, count) in [
        ("cancellations", tally.cancellations),
        ("orders confirmed", tally.orders),
        ("lines matched", back.matched),
        ("lines partly matched", back.partly),
        ("lines unmatched", back.unmatched),
        ("lines at another price than paid", back.price_differs),
        ("pieces unmatched", back.pieces_unmatched),
        ("pieces returned", back.pieces),
        ("returns refunded", back.returns),
    ] {
        assert_eq!(row(document, what), [count.to_string(), count.to_string()], "{what}");
    }
    for (what, minor) in [
        ("revenue of the orders", tally.revenue_minor),
        ("ledger: refunds", back.refunds_minor),
        ("provider: refunded", back.refunds_minor),
        ("net revenue", tally.revenue_minor - back.refunds_minor),
        ("ledger: owed by the provider", tally.revenue_minor - back.refunds_minor),
    ] {
        let pounds = format!("{}.{:02} GBP", minor / 100, minor % 100);
        assert_eq!(row(document, what), [pounds.clone(), pounds], "{what}");
    }
}

#[test]
fn a_file_is_sold_taken_back_and_reconciled_and_a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, tally) = made(folder.path(), 1);
    let data = folder.path().join("shop");
    let first = replay(&data, &[&file]);
    check(&first, &tally);
    let again = replay(&data, &[&file]);
    assert_eq!(first["report"], again["report"]);
}

#[test]
fn kills_on_the_way_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, tally) = made(folder.path(), 2);
    let document = replay(&folder.path().join("shop"), &[&file, "--kill-every", "400ms", "--seed", "3"]);
    check(&document, &tally);
    assert_eq!(document["returns"], tally.back.returns);
}
