//! The file is repeatable and has each kind of dirt, however small it is.
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

fn sample(invoices: u32, seed: u64) -> (String, Tally) {
    let mut bytes = Vec::new();
    let tally = write(&Order { invoices, seed }, &mut bytes).expect("writes to memory");
    (String::from_utf8(bytes).expect("is text"), tally)
}

/// Fields of a line without its description, which alone may hold commas.
fn fields(line: &str) -> (&str, &str, [&str; 5]) {
    let (number, rest) = line.split_once(',').expect("a number");
    let (sku, rest) = rest.split_once(',').expect("a stock code");
    let mut tail: Vec<&str> = rest.rsplitn(6, ',').take(5).collect();
    tail.reverse();
    (number, sku, tail.try_into().expect("five fields"))
}

#[test]
fn the_same_order_makes_the_same_bytes() {
    assert_eq!(sample(30, 7), sample(30, 7));
    assert_ne!(sample(30, 7).0, sample(30, 8).0);
    let compressed = |seed| {
        let mut bytes = Vec::new();
        write_compressed(&Order { invoices: 30, seed }, &mut bytes).expect("writes to memory");
        bytes
    };
    assert_eq!(compressed(7), compressed(7));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&compressed(7)[..]).read_to_string(&mut text).expect("unpacks");
    assert_eq!(text, sample(30, 7).0);
}

#[test]
fn even_the_smallest_file_has_every_kind_of_dirt() {
    for (invoices, seed) in [(1, 1), (2, 2), (25, 3)] {
        let (text, tally) = sample(invoices, seed);
        assert_eq!(tally.orders, u64::from(invoices));
        assert_eq!(text.lines().count() as u64, tally.lines + 1);
        let dropped = [tally.cancellations, tally.adjustments, tally.price_zero, tally.fraction_of_a_penny];
        assert!(dropped.iter().all(|count| *count >= 1), "{tally}");
        assert!(tally.quantity_not_positive >= 2, "one below zero and one of zero: {tally}");
        assert_eq!(tally.sold + dropped.iter().sum::<u64>() + tally.quantity_not_positive, tally.lines);

        let back = &tally.back;
        assert_eq!(back.matched + back.partly + back.unmatched, tally.cancellations);
        let fates = [back.matched, back.partly, back.unmatched, back.price_differs];
        assert!(fates.iter().all(|count| *count >= 1), "{back:?}");

        let lines: Vec<_> = text.lines().skip(1).map(fields).collect();
        let numbers: Vec<&str> = lines.iter().map(|(number, ..)| *number).collect();
        let scattered = numbers
            .iter()
            .enumerate()
            .any(|(at, number)| at > 0 && numbers[at - 1] != *number && numbers[..at].contains(number));
        assert!(scattered, "some invoice is in two places");
        assert!(text.contains("\"\""), "a quote within quotes");
        assert!(lines.iter().any(|(_, _, tail)| tail[3].is_empty()), "a line without a customer");
    }
}

#[test]
fn awkward_articles_and_invoices_are_there() {
    let (text, _) = sample(200, 5);
    let lines: Vec<_> = text.lines().skip(1).map(fields).collect();
    let skus: BTreeSet<&str> = lines.iter().map(|(_, sku, _)| *sku).collect();
    for sku in ["85123A", "85123a", "POST", "M", "m", "DOT", "PADS"] {
        assert!(skus.contains(sku), "{sku}");
    }
    let mut invoices: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    lines.iter().for_each(|(number, sku, tail)| {
        invoices.entry(number).or_default().entry(sku).or_default().insert(tail[2]);
    });
    let two_prices = invoices
        .values()
        .any(|skus| skus.values().any(|prices| prices.iter().filter(|p| **p != "0.0").count() > 1));
    assert!(two_prices, "one article at two prices in one invoice");
    assert!(text.lines().any(|line| line.split(',').nth(2) == Some("")), "a line without a description");
    let longest = lines.iter().fold(BTreeMap::<&str, usize>::new(), |mut counts, (number, ..)| {
        *counts.entry(number).or_default() += 1;
        counts
    });
    assert!(longest.values().any(|count| *count >= LONG_INVOICE_LINES));
}

#[test]
fn what_comes_back_is_spread_over_sales_and_is_never_more_than_was_sold() {
    let (_, tally) = sample(300, 1);
    let back = &tally.back;
    assert!(back.returns > back.matched / 2, "{back:?}");
    assert!(back.refunds_minor > 0 && back.refunds_minor < tally.revenue_minor / 2, "{tally}");
    assert!(back.price_differs > 1 && back.pieces_unmatched > back.unmatched, "{back:?}");
}

#[test]
fn prices_are_written_as_the_real_file_writes_them() {
    for (pennies, text) in [(255, "2.55"), (210, "2.1"), (200, "2.0"), (1, "0.01"), (10, "0.1")] {
        assert_eq!(pounds(pennies), text);
    }
    assert_eq!(quoted("PLAIN"), "PLAIN");
    assert_eq!(quoted("A, \"B\""), "\"A, \"\"B\"\"\"");
}
