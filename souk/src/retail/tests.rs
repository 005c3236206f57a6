//! Both readings of one file, side by side.
use super::*;
use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn file(rows: &[&str]) -> String {
    format!("{HEADER}{}\n", rows.join("\n"))
}

fn retail(text: &str) -> Result<RetailFile, Refused> {
    read_from(text.as_bytes(), Path::new("inline.csv"))
}

fn sums(text: &str) -> Sums {
    sum_from(text.as_bytes(), Path::new("inline.csv")).expect("sums up")
}

/// What the reader would have the shop do, in the terms of the other reading.
fn done(file: &RetailFile) -> Sums {
    let lines = || file.invoices.iter().flat_map(|invoice| &invoice.lines);
    let mut quantity_by_sku = BTreeMap::new();
    lines().for_each(|line| {
        *quantity_by_sku.entry(line.sku.to_string()).or_default() += u64::from(line.quantity)
    });
    let stock: BTreeMap<String, u64> =
        file.opening_stock.iter().map(|(sku, n)| (sku.to_string(), *n)).collect();
    assert_eq!(stock, quantity_by_sku, "the shelf holds what is sold");
    Sums {
        lines: file.lines_read,
        sold: file.outcomes.of(Outcome::Sold),
        cancellations: file.outcomes.of(Outcome::Cancellation),
        adjustments: file.outcomes.of(Outcome::Adjustment),
        quantity_not_positive: file.outcomes.of(Outcome::QuantityNotPositive),
        price_zero: file.outcomes.of(Outcome::PriceZero),
        fraction_of_a_penny: file.outcomes.of(Outcome::FractionOfAPenny),
        orders: file.invoices.len() as u64,
        revenue_minor: lines().map(|line| i64::from(line.quantity) * line.unit_price_minor).sum(),
        quantity_by_sku,
        back: back(file),
    }
}

/// What the plan would have the shop take back, in the terms of the sums.
fn back(file: &RetailFile) -> Back {
    let plan = Plan::of(file);
    let invoices: BTreeMap<&str, &Invoice> =
        file.invoices.iter().map(|invoice| (invoice.number.as_str(), invoice)).collect();
    let mut left: BTreeMap<(&str, u32), u32> = BTreeMap::new();
    let mut back = Back {
        matched: plan.matched,
        partly: plan.partly,
        unmatched: plan.unmatched,
        price_differs: plan.price_differs,
        pieces_unmatched: plan.pieces_unmatched,
        ..Back::default()
    };
    for one in &plan.returns {
        let mut refund = 0;
        for line in &one.lines {
            let sold = &invoices[one.invoice.as_str()].lines[line.line as usize - 1];
            let left = left.entry((&one.invoice, line.line)).or_insert(sold.quantity);
            *left = left.checked_sub(line.quantity).expect("no piece comes back twice");
            *back.pieces_by_sku.entry(sold.sku.to_string()).or_default() += u64::from(line.quantity);
            refund += i64::from(line.quantity) * sold.unit_price_minor;
        }
        let name = format!("{}/{}", one.cancellation, one.invoice);
        assert_eq!(back.refund_by_return.insert(name, refund), None, "one return for each pair");
    }
    back
}

fn problems(text: &str) -> (Vec<String>, u64) {
    match retail(text) {
        Err(Refused::Malformed { problems, total }) => {
            (problems.iter().map(Problem::to_string).collect(), total)
        }
        other => panic!("must be refused as malformed: {other:?}"),
    }
}

#[test]
fn a_line_has_the_first_outcome_that_fits() {
    for (row, outcome) in [
        ("536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France", Outcome::Sold),
        ("C536365,71053,LANTERN,0,2010-12-01 08:26:00,0,17850.0,France", Outcome::Cancellation),
        ("C536365,71053,LANTERN,-6,never,-1.x,,France", Outcome::Cancellation),
        ("C536365,71053,LANTERN,6,never,-1.x,17850.0,France", Outcome::Cancellation),
        ("A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,France", Outcome::Adjustment),
        ("c536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France", Outcome::Adjustment),
        ("536365,71053,LANTERN,-6,2010-12-01 08:26:00,0.0,,France", Outcome::QuantityNotPositive),
        ("536365,71053,LANTERN,0,2010-12-01 08:26:00,0.001,,France", Outcome::QuantityNotPositive),
        ("536365,71053,LANTERN,6,2010-12-01 08:26:00,0.0,,France", Outcome::PriceZero),
        ("536365,PADS,PADS,1,2010-12-01 08:26:00,0.001,13952.0,France", Outcome::FractionOfAPenny),
    ] {
        let file = retail(&file(&[row])).unwrap_or_else(|refused| panic!("{row}: {refused}"));
        assert_eq!(file.outcomes.of(outcome), 1, "{row}");
        assert_eq!(file.outcomes.total(), 1, "{row}");
        assert_eq!(file.invoices.len(), usize::from(outcome == Outcome::Sold), "{row}");
    }
}

#[test]
fn the_rest_of_an_invoice_sells_wherever_its_lines_stand() {
    let text = file(&[
        "1,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
        "2,POST,POSTAGE,1,2010-12-01 09:00:00,18.00,,France",
        "1,85123a,holder,1,2010-12-01 08:27:00,2.55,17850.0,United Kingdom",
        "1,71053,LANTERN,-1,2010-12-01 08:26:00,3.39,17850.0,United Kingdom",
        "1,85123A,HOLDER,1,2010-12-01 08:26:00,2.10,17850.0,United Kingdom",
        "3,71053,LANTERN,1,2010-12-01 08:26:00,0,17850.0,United Kingdom",
    ]);
    let file = retail(&text).expect("is fine");
    let lines = |invoice: &Invoice| -> Vec<(String, u32, i64)> {
        invoice
            .lines
            .iter()
            .map(|line| (line.sku.to_string(), line.quantity, line.unit_price_minor))
            .collect()
    };
    assert_eq!(file.invoices.len(), 2, "an invoice of which nothing sells is no order");
    let first = &file.invoices[0];
    assert_eq!((first.number.as_str(), &*first.subject, &*first.country), ("1", "17850", "United Kingdom"));
    assert_eq!(first.date.to_string(), "2010-12-01T08:26:00Z");
    assert_eq!(
        lines(first),
        [("85123A".into(), 6, 255), ("85123a".into(), 1, 255), ("85123A".into(), 1, 210)]
    );
    assert_eq!((&*file.invoices[1].subject, &*file.invoices[1].country), (WALK_IN, "France"));
    assert_eq!(done(&file), sums(&text));
    assert_eq!(file.opening_stock.get("85123A"), Some(&7));
    assert_eq!(file.opening_stock.get("71053"), None, "nothing of it sells");
}

#[test]
fn a_title_is_the_first_description_of_a_sold_line_that_says_anything() {
    let file = retail(&file(&[
        "1,10002,damaged,-5,2010-12-01 08:26:00,0,,EIRE",
        "1,10002,,1,2010-12-01 08:26:00,0.85,,EIRE",
        "2,10002,\"  INFLATABLE GLOBE, \"\"POLITICAL\"\" \",1,2010-12-01 08:26:00,0.85,,EIRE",
        "3,10002,ANOTHER,1,2010-12-01 08:26:00,0.85,,EIRE",
        "4,DOT,,1,2010-12-01 08:26:00,0.85,,EIRE",
    ]))
    .expect("is fine");
    assert_eq!(file.titles.get("10002").map(String::as_str), Some("INFLATABLE GLOBE, \"POLITICAL\""));
    assert_eq!(file.titles.get("DOT").map(String::as_str), Some("DOT"), "something must stand on the shelf");
}

/// The returns of a file in short, `cancellation/invoice line:pieces …`, checked against the other reading.
fn returns(rows: &[&str]) -> (Vec<String>, Plan) {
    let text = file(rows);
    let file = retail(&text).expect("is fine");
    assert_eq!(done(&file), sums(&text));
    let plan = Plan::of(&file);
    let short = plan.returns.iter().map(|one| {
        let lines = one.lines.iter().map(|line| format!(" {}:{}", line.line, line.quantity));
        format!("{}/{}{}", one.cancellation, one.invoice, lines.collect::<String>())
    });
    (short.collect(), plan)
}

#[test]
fn a_cancellation_takes_the_latest_earlier_sales_of_its_customer_and_code() {
    let (returns, plan) = returns(&[
        "1,A,A,5,2010-12-01 08:00:00,1.00,7.0,X",
        "2,A,A,4,2010-12-02 08:00:00,1.20,7.0,X",
        "2,B,B,4,2010-12-02 08:00:00,9.00,7.0,X",
        "2,A,A,1,2010-12-02 08:00:00,1.10,7,X",
        "3,A,A,9,2010-12-02 09:00:00,1.00,8.0,X",
        "4,a,A,9,2010-12-02 09:00:00,1.00,7.0,X",
        "C5,A,A,-7,2010-12-03 08:00:00,1.00,7.0,X",
        "6,A,A,9,2010-12-04 08:00:00,1.00,7.0,X",
        "C7,A,A,-1,2010-12-03 09:00:00,1.0,7.0,X",
    ]);
    assert_eq!(returns, ["C5/1 1:2", "C5/2 1:4 3:1", "C7/1 1:1"], "also where the file is not sorted");
    assert_eq!((plan.matched, plan.partly, plan.unmatched, plan.price_differs), (2, 0, 0, 1));
}

#[test]
fn what_was_not_sold_before_is_not_taken_back() {
    let (returns, plan) = returns(&[
        "C1,A,A,-1,2010-12-01 07:00:00,1.00,7.0,X",
        "2,A,A,3,2010-12-01 08:00:00,1.00,7.0,X",
        "2,B,B,3,2010-12-01 08:00:00,1.00,,X",
        "C3,A,A,-2,2010-12-01 09:00:00,1.00,7.0,X",
        "C3,A,A,-4,2010-12-01 09:00:00,0.001,7.0,X",
        "C3,A,A,-1,2010-12-01 09:00:00,1.00,7.0,X",
        "C4,A,A,-2,2010-12-01 09:00:00,1.00,8.0,X",
        "C5,B,B,-3,2010-12-01 09:00:00,1.00,,X",
        "C6,A,A,2,2010-12-01 09:00:00,1.00,7.0,X",
        "C7,,A,-2,2010-12-01 09:00:00,1.00,7.0,X",
    ]);
    assert_eq!(returns, ["C3/2 1:3"], "two lines of one cancellation are one return");
    assert_eq!((plan.matched, plan.partly, plan.unmatched), (1, 1, 6));
    assert_eq!((plan.price_differs, plan.pieces_unmatched), (1, 1 + 3 + 1 + 2 + 3 + 2));
}

#[test]
fn a_line_of_the_same_minute_is_earlier_when_it_stands_before() {
    let (returns, plan) = returns(&[
        "1,A,A,1,2010-12-01 08:00:00,1.00,7.0,X",
        "C2,A,A,-3,2010-12-01 08:00:00,1.00,7.0,X",
        "1,A,A,1,2010-12-01 08:00:00,1.00,7.0,X",
    ]);
    assert_eq!(returns, ["C2/1 1:1"]);
    assert_eq!((plan.partly, plan.pieces_unmatched), (1, 2));
}

/// Dense little files in any order: both matchings must find the same.
#[test]
fn two_matchings_of_any_file_agree() {
    let dice = souk_kernel::SeededEntropy::new(23);
    let below = |bound: u64| dice.next_u64() % bound;
    let mut took_back = 0;
    for seed in 0..400 {
        let rows: Vec<String> = (0..1 + below(60))
            .map(|_| {
                let (number, minute, code) = (below(9), below(5), ["A", "a", "B"][below(3) as usize]);
                let (price, customer) = (
                    ["1.0", "1.00", "1.1", "0.001"][below(4) as usize],
                    ["", "7", "7.0", "8.0"][below(4) as usize],
                );
                let (mark, sign) = if below(3) == 0 { ("C", "-") } else { ("", "") };
                let pieces = below(6);
                format!(
                    "{mark}{number},{code},X,{sign}{pieces},2010-12-01 08:0{minute}:00,{price},{customer},X"
                )
            })
            .collect();
        let text = file(&rows.iter().map(String::as_str).collect::<Vec<_>>());
        let read = retail(&text).expect("is fine");
        assert_eq!(done(&read), sums(&text), "seed {seed}:\n{text}");
        took_back += Plan::of(&read).returns.len();
    }
    assert!(took_back > 1_000, "{took_back}");
}

#[test]
fn each_unreadable_field_is_named_with_its_row() {
    let (problems, total) = problems(&file(&[
        "1,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France",
        "2,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0",
        "3,71053,LANTERN,six,2010-12-01 08:26:00,3.39,17850.0,France",
        "4,71053,LANTERN,6,2010-12-32 08:26:00,3.39,17850.0,France",
        "5,71053,LANTERN,6,2010-12-01 08:26:00,1e-3,17850.0,France",
        "6,71053,LANTERN,6,2010-12-01 08:26:00,-1.00,17850.0,France",
        "7,71053,LANTERN,6,2010-12-01 08:26:00,3.39,cus-17850,France",
        "8,,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France",
        "?9,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France",
        "10,71053,LANTERN,4294967296,2010-12-01 08:26:00,3.39,17850.0,France",
        "C11,71053,LANTERN,many,2010-12-01 08:26:00,3.39,17850.0,France",
        "C12,71053,LANTERN,-1,never,3.39,17850.0,France",
        "C13,71053,LANTERN,-1,2010-12-01 08:26:00,3.39,?,France",
        "C14,71053,LANTERN,-1,2010-12-01 08:26:00,free,17850.0,France",
        "C15,71053,LANTERN,-4294967296,2010-12-01 08:26:00,3.39,,France",
    ]));
    assert_eq!(total, 14);
    assert_eq!(
        problems,
        [
            "row 3, row: it has 7 columns, not 8",
            "row 4, Quantity: \"six\" is not a whole number",
            "row 5, InvoiceDate: \"2010-12-32 08:26:00\" is not a date and time such as 2010-12-01 08:26:00",
            "row 6, UnitPrice: \"1e-3\" is not a price: it must be a decimal number such as 2.55",
            "row 7, UnitPrice: \"-1.00\" is not a price: it is below zero, and the line is not an adjustment",
            "row 8, CustomerID: \"cus-17850\" is not a customer's number such as 17850.0",
            "row 9, StockCode: a sold line must name what was sold",
            "row 10, InvoiceNo: \"?9\" is not an invoice number: it must begin with a digit or a letter",
            "row 11, Quantity: \"4294967296\" is not a quantity: it is over 4,294,967,295",
            "row 12, Quantity: \"many\" is not a whole number",
            "row 13, InvoiceDate: \"never\" is not a date and time such as 2010-12-01 08:26:00",
            "row 14, CustomerID: \"?\" is not a customer's number such as 17850.0",
            "row 15, UnitPrice: \"free\" is not a price: it must be a decimal number such as 2.55",
            "row 16, Quantity: \"-4294967296\" is not a quantity: it is over 4,294,967,295",
        ]
    );
}

#[test]
fn many_problems_are_counted_and_the_first_twenty_listed() {
    let rows: Vec<String> =
        (0..25).map(|n| format!("{n},71053,X,x,2010-12-01 08:26:00,3.39,,France")).collect();
    let text = file(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let (problems, total) = problems(&text);
    assert_eq!((problems.len(), total), (20, 25));
    let message = retail(&text).expect_err("is refused").to_string();
    assert!(
        message.starts_with("the file is refused: 25 rows cannot be read\n  row 2, Quantity"),
        "{message}"
    );
    assert!(message.ends_with("\n  and 5 more"), "{message}");
}

#[test]
fn a_file_without_the_header_is_refused() {
    assert_eq!(problems("").1, 1);
    assert_eq!(problems("a,b,c\n").1, 1);
    let marked = format!("\u{feff}{HEADER}");
    assert!(retail(&marked).expect("a byte order mark is no fault").invoices.is_empty());
}

#[test]
fn the_hash_names_the_content_however_it_is_packed() {
    let text = file(&["1,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,France"]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("writes to memory");
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, packed) = (folder.path().join("year.csv"), folder.path().join("year.csv.gz"));
    std::fs::write(&plain, &text).expect("writes");
    let packed_bytes = encoder.finish().expect("writes to memory");
    std::fs::write(&packed, &packed_bytes).expect("writes");
    let (from_plain, from_packed) = (read(&plain).expect("reads"), read(&packed).expect("reads"));
    assert_eq!(from_plain.hash, from_packed.hash);
    assert_eq!(from_plain.hash.len(), 64);
    assert_ne!(from_plain.hash, retail(&text.replace("3.39", "3.40")).expect("reads").hash);
    assert_eq!(sum(&packed).expect("sums up"), sums(&text));

    std::fs::write(&packed, &packed_bytes[..packed_bytes.len() - 9]).expect("writes");
    for (path, why) in [(packed.as_path(), ""), (Path::new("no/such/file.csv"), "No such file")] {
        let Err(refused @ Refused::Unreadable(_)) = read(path) else {
            panic!("{}: half a file is not a shorter file", path.display())
        };
        let message = refused.to_string();
        let reason =
            message.strip_prefix(&format!("cannot read {}: ", path.display())).expect("the file's name");
        assert!(!reason.is_empty() && reason.starts_with(why), "{message}");
    }
}

/// The generator counts what it writes; the reader and the sums count what they read. Three must agree.
#[test]
fn three_counts_of_a_made_file_agree() {
    for seed in 0..8 {
        let order = xtask::sample::Order { invoices: 40, seed };
        let mut bytes = Vec::new();
        let tally = xtask::sample::write(&order, &mut bytes).expect("writes to memory");
        let text = String::from_utf8(bytes).expect("is text");
        let file = retail(&text).unwrap_or_else(|refused| panic!("seed {seed}: {refused}"));
        let sums = sums(&text);
        assert_eq!(done(&file), sums, "seed {seed}");
        let counted =
            (sums.lines, sums.sold, sums.cancellations, sums.adjustments, sums.quantity_not_positive);
        let written =
            (tally.lines, tally.sold, tally.cancellations, tally.adjustments, tally.quantity_not_positive);
        assert_eq!(counted, written, "seed {seed}");
        let counted = (sums.price_zero, sums.fraction_of_a_penny, sums.orders, sums.revenue_minor);
        let written = (tally.price_zero, tally.fraction_of_a_penny, tally.orders, tally.revenue_minor);
        assert_eq!(counted, written, "seed {seed}");
        let (counted, written) = (&sums.back, &tally.back);
        assert_eq!(
            (counted.matched, counted.partly, counted.unmatched, counted.price_differs),
            (written.matched, written.partly, written.unmatched, written.price_differs),
            "seed {seed}"
        );
        assert_eq!(
            (counted.pieces(), counted.pieces_unmatched, counted.refunds_minor()),
            (written.pieces, written.pieces_unmatched, written.refunds_minor),
            "seed {seed}"
        );
        assert_eq!(counted.refund_by_return.len() as u64, written.returns, "seed {seed}");
        assert!(
            file.invoices.iter().any(|invoice| invoice.lines.len() == 600),
            "seed {seed}: the long invoice"
        );
    }
}

/// Files damaged in a few bytes: whatever the reader still accepts, the sums must read the same way.
#[test]
fn a_damaged_file_is_refused_or_read_alike() {
    const DAMAGE: &[u8] = b"\",\n\r.-C0a9 ";
    let text = file(&[
        "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
        "536366,22086,\"PAPER CHAIN, \"\"50S\"\"\",80,2010-12-01 08:28:00,2.1,,France",
        "C536379,85123A,HOLDER,-1,2010-12-01 09:41:00,2.55,17850.0,United Kingdom",
        "536365,85123a,holder,1,2010-12-01 08:26:00,0.001,17850.0,United Kingdom",
        "536367,71053,LANTERN,10,2010-12-01 08:34:00,3.39,13047.0,United Kingdom",
    ]);
    let dice = souk_kernel::SeededEntropy::new(11);
    let below = |bound: usize| usize::try_from(dice.next_u64() % bound as u64).expect("below a usize");
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..4_000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=below(3) {
            let at = HEADER.len() + below(bytes.len() - HEADER.len());
            bytes[at] = DAMAGE[below(DAMAGE.len())];
        }
        match read_from(&bytes[..], Path::new("damaged.csv")) {
            Ok(file) => {
                accepted += 1;
                let sums = sum_from(&bytes[..], Path::new("damaged.csv"));
                let sums = sums.unwrap_or_else(|why| panic!("round {round}: {why}"));
                assert_eq!(done(&file), sums, "round {round}: {}", String::from_utf8_lossy(&bytes));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 100 && refused > 100, "both happen: {accepted} accepted, {refused} refused");
}

/// The published figures of the real year, from both readings.
#[test]
fn the_real_year_adds_up() {
    let Some(path) = std::env::var_os("SOUK_ONLINE_RETAIL").map(PathBuf::from) else {
        eprintln!(
            "NOT RUN: set SOUK_ONLINE_RETAIL to the path of online-retail.csv.gz to check the real year"
        );
        return;
    };
    let file = read(&path).unwrap_or_else(|refused| panic!("{refused}"));
    let sums = sum(&path).expect("sums up");
    assert_eq!(done(&file), sums);
    assert_eq!(sums.lines, 541_909);
    assert_eq!(sums.sold, 530_099);
    assert_eq!(sums.cancellations, 9_288);
    assert_eq!(sums.adjustments, 3);
    assert_eq!(sums.quantity_not_positive, 1_336);
    assert_eq!(sums.price_zero, 1_179);
    assert_eq!(sums.fraction_of_a_penny, 4);
    assert_eq!(sums.orders, 19_959);
    assert_eq!(sums.revenue_minor, 1_065_562_248);
    let back = &sums.back;
    assert_eq!((back.matched, back.partly, back.unmatched), (7_516, 54, 1_718));
    assert_eq!((back.pieces(), back.pieces_unmatched, back.price_differs), (250_838, 26_736, 438));
    assert_eq!((back.refund_by_return.len(), back.refunds_minor()), (3_848, 51_617_035));
}
