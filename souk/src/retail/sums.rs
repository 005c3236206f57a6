//! Counts a retail file a second time, for the reconciliation.
//!
//! This is deliberately a stranger to the reader beside it: its own splitting of rows, its own arithmetic, its
//! own reading of the rules. If both were one piece of code, a mistake in it would agree with itself. The only
//! thing they share is the opened file.
mod back;

pub use back::Back;

use super::open::{Unreadable, open};
use back::{Fields, Ledger};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

/// What the file says that the shop must have done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Rows below the header.
    pub lines: u64,
    /// Rows that the shop sells.
    pub sold: u64,
    /// Rows of invoices that begin with `C`.
    pub cancellations: u64,
    /// Rows of invoices that begin with another letter.
    pub adjustments: u64,
    /// Rows with nothing or less than nothing.
    pub quantity_not_positive: u64,
    /// Rows without a price.
    pub price_zero: u64,
    /// Rows whose price has a part of a penny.
    pub fraction_of_a_penny: u64,
    /// Invoice numbers with at least one sold row.
    pub orders: u64,
    /// Quantity times price over the sold rows, in pennies.
    pub revenue_minor: i64,
    /// Pieces sold, by stock code.
    pub quantity_by_sku: BTreeMap<String, u64>,
    /// What the cancelled rows take back of it.
    pub back: Back,
}

/// Why there are no sums.
#[derive(Debug)]
pub enum NotSummed {
    /// The bytes could not be had.
    Unreadable(Unreadable),
    /// A row makes no sense; the header is row 1.
    Row(u64, &'static str),
}

impl fmt::Display for NotSummed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSummed::Unreadable(unreadable) => unreadable.fmt(f),
            NotSummed::Row(row, why) => write!(f, "row {row}: {why}"),
        }
    }
}

impl std::error::Error for NotSummed {}

/// Sums up the file at `path`, plain or gzip.
pub fn sum(path: &Path) -> Result<Sums, NotSummed> {
    let bytes = open(path).map_err(NotSummed::Unreadable)?;
    sum_from(bytes, path)
}

/// Sums up decompressed bytes; `path` is only for messages.
pub fn sum_from(bytes: impl Read, path: &Path) -> Result<Sums, NotSummed> {
    let mut tally = Tally::default();
    let split = split_rows(bytes, &mut |row, fields| tally.add(row, fields));
    match split {
        Ok(()) => tally.finish(),
        Err(Stop::Row(row, why)) => Err(NotSummed::Row(row, why)),
        Err(Stop::Read(source)) => Err(NotSummed::Unreadable(Unreadable { path: path.into(), source })),
    }
}

#[derive(Default)]
struct Tally {
    sums: Sums,
    orders: HashSet<Vec<u8>>,
    pieces: BTreeMap<Vec<u8>, u64>,
    ledger: Ledger,
}

impl Tally {
    fn add(&mut self, row: u64, fields: &[Vec<u8>]) -> Result<(), &'static str> {
        let [invoice, sku, _, quantity, date, price, customer, _] = fields else {
            return Err("it does not have eight fields");
        };
        if row == 1 {
            return Ok(());
        }
        self.sums.lines += 1;
        let fields = Fields { row, invoice, sku, quantity, date, price, customer };
        let initial = *invoice.first().ok_or("it has no invoice number")?;
        if initial == b'C' {
            self.sums.cancellations += 1;
            self.ledger.add_cancelled(&fields)?;
        } else if initial.is_ascii_alphabetic() {
            self.sums.adjustments += 1;
        } else {
            self.add_trade(&fields)?;
        }
        Ok(())
    }

    fn add_trade(&mut self, fields: &Fields<'_>) -> Result<(), &'static str> {
        let (quantity, decimals) = decimal(fields.quantity).ok_or("its quantity is no number")?;
        if decimals > 0 {
            return Err("its quantity is not whole");
        }
        if quantity <= 0 {
            self.sums.quantity_not_positive += 1;
            return Ok(());
        }
        let (units, decimals) = decimal(fields.price).ok_or("its price is no number")?;
        if units == 0 {
            self.sums.price_zero += 1;
            return Ok(());
        }
        if units < 0 {
            return Err("its price is below zero");
        }
        // 10^decimals units are a pound, so units * 100 / 10^decimals are the pennies.
        let scale = 10_i128.pow(decimals);
        if units * 100 % scale != 0 {
            self.sums.fraction_of_a_penny += 1;
            return Ok(());
        }
        self.add_sale(fields, quantity, units * 100 / scale)
    }

    fn add_sale(&mut self, fields: &Fields<'_>, quantity: i128, pennies: i128) -> Result<(), &'static str> {
        let Fields { invoice, sku, .. } = *fields;
        let revenue = i128::from(self.sums.revenue_minor) + quantity * pennies;
        self.sums.revenue_minor = i64::try_from(revenue).map_err(|_| "the revenue does not fit any more")?;
        self.sums.sold += 1;
        let pieces = u64::try_from(quantity).map_err(|_| "its quantity does not fit")?;
        match self.pieces.get_mut(sku) {
            Some(sum) => *sum = sum.checked_add(pieces).ok_or("the pieces do not fit any more")?,
            None => drop(self.pieces.insert(sku.to_vec(), pieces)),
        }
        if !self.orders.contains(invoice) {
            self.orders.insert(invoice.to_vec());
        }
        self.ledger.add_sale(fields, quantity, pennies);
        Ok(())
    }

    fn finish(self) -> Result<Sums, NotSummed> {
        let mut sums = self.sums;
        sums.orders = self.orders.len() as u64;
        sums.back = self.ledger.finish().map_err(|why| NotSummed::Row(0, why))?;
        for (sku, pieces) in self.pieces {
            let sku = String::from_utf8(sku).map_err(|_| NotSummed::Row(0, "a stock code is not UTF-8"))?;
            sums.quantity_by_sku.insert(sku, pieces);
        }
        Ok(sums)
    }
}

/// More digits than any quantity or price has; with two more they still fit an `i128`.
const DIGITS_MAX: u32 = 18;

/// Reads `-12.50` as (-1250, 2): the digits as one whole number, and how many stand behind the point.
fn decimal(text: &[u8]) -> Option<(i128, u32)> {
    let (sign, rest) = if text.first() == Some(&b'-') { (-1, &text[1..]) } else { (1, text) };
    let (mut units, mut digits, mut point) = (0_i128, 0_u32, None);
    for byte in rest {
        match byte {
            b'0'..=b'9' if digits < DIGITS_MAX => {
                units = units * 10 + i128::from(byte - b'0');
                digits += 1;
            }
            b'.' if point.is_none() && digits > 0 => point = Some(digits),
            _ => return None,
        }
    }
    let decimals = digits - point.unwrap_or(digits);
    let ends_in_point = point.is_some() && decimals == 0;
    (digits > 0 && !ends_in_point).then_some((sign * units, decimals))
}

enum Stop {
    Row(u64, &'static str),
    Read(io::Error),
}

/// Where in a row the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: its end, or the first half of a doubled one.
    AfterQuote,
}

/// What is done with a row, given its number and its fields.
type EachRow<'a> = dyn FnMut(u64, &[Vec<u8>]) -> Result<(), &'static str> + 'a;

/// Splits comma-separated rows and hands each to `each` with its number, the first being 1. Empty lines are no
/// rows.
fn split_rows(mut bytes: impl Read, each: &mut EachRow<'_>) -> Result<(), Stop> {
    let mut rows = Rows { fields: Vec::new(), used: 0, at: At::FieldStart, number: 0, each };
    let mut buffer = vec![0; 1 << 16];
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => buffer[..count].iter().try_for_each(|byte| rows.take(*byte))?,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(Stop::Read(fault)),
        }
    }
    rows.end_row()
}

/// The row being read. Fields are emptied and used again, so that half a million rows allocate nearly nothing.
struct Rows<'a> {
    fields: Vec<Vec<u8>>,
    used: usize,
    at: At,
    number: u64,
    each: &'a mut EachRow<'a>,
}

impl Rows<'_> {
    fn take(&mut self, byte: u8) -> Result<(), Stop> {
        if self.at == At::Quoted {
            match byte {
                b'"' => self.at = At::AfterQuote,
                _ => self.keep(byte),
            }
            return Ok(());
        }
        match byte {
            b'\n' | b'\r' => return self.end_row(),
            b',' => self.end_field(),
            b'"' if self.at == At::FieldStart => {
                self.begin_field();
                self.at = At::Quoted;
            }
            b'"' if self.at == At::AfterQuote => {
                self.keep(byte);
                self.at = At::Quoted;
            }
            _ => {
                if self.at == At::FieldStart {
                    self.begin_field();
                }
                self.keep(byte);
                self.at = At::Plain;
            }
        }
        Ok(())
    }

    fn begin_field(&mut self) {
        if self.used == self.fields.len() {
            self.fields.push(Vec::new());
        }
        self.fields[self.used].clear();
        self.used += 1;
    }

    fn keep(&mut self, byte: u8) {
        self.fields[self.used - 1].push(byte);
    }

    fn end_field(&mut self) {
        if self.at == At::FieldStart {
            self.begin_field();
        }
        self.at = At::FieldStart;
    }

    fn end_row(&mut self) -> Result<(), Stop> {
        let empty = self.used == 0 && self.at == At::FieldStart;
        if empty {
            return Ok(());
        }
        self.end_field();
        self.number += 1;
        let used = std::mem::take(&mut self.used);
        (self.each)(self.number, &self.fields[..used]).map_err(|why| Stop::Row(self.number, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let split = split_rows(text.as_bytes(), &mut |_, fields| {
            rows.push(fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect());
            Ok(())
        });
        assert!(split.is_ok());
        rows
    }

    #[test]
    fn rows_are_split_as_the_csv_crate_splits_them() {
        for text in [
            "a,b\nc,d\n",
            "a,b\r\nc,d",
            "a,,\n,,b\n,\n",
            "\"a,b\",c\n",
            "\"he said \"\"no\"\"\",x\n",
            "\"two\nlines\",x\n",
            "a \"quoted\" word,\"\"\n\n\nb\n",
            "\"ab\"c,d\n",
            "last,\n",
            "last,",
        ] {
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> =
                reader.records().map(|row| row.expect("reads").iter().map(str::to_owned).collect()).collect();
            assert_eq!(rows(text), theirs, "{text:?}");
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        assert_eq!(decimal(b"-12.50"), Some((-1250, 2)));
        assert_eq!(decimal(b"7"), Some((7, 0)));
        for bad in ["", "-", ".5", "5.", "1e3", "1.2.3", "1 ", "9999999999999999999"] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
    }
}
