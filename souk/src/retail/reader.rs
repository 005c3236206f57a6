//! Reads a retail file into invoices that the shop can sell and cancellations that it can take back.
//!
//! A field is read only when something depends on it: the price of an adjustment may be anything.
//! Whatever cannot be read is collected, and one such row refuses the whole file: a year with holes would
//! still add up to something, and nobody would know to what.
use super::open::{Unreadable, open};
use super::price::{self, Price};
use super::{COLUMNS, Outcome, Outcomes};
use csv::ByteRecord;
use souk_kernel::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The subject of an invoice without a customer.
pub const WALK_IN: &str = "walk-in";

/// How many problems a refusal lists; the rest are only counted.
pub const PROBLEMS_LISTED_MAX: usize = 20;

/// How much of a faulty value a problem shows.
const SHOWN_CHARS_MAX: usize = 40;

/// A retail file that can be sold from its first line to its last.
#[derive(Debug)]
pub struct RetailFile {
    /// SHA-256 of the decompressed bytes, in hex: which file this is, whatever it is called.
    pub hash: String,
    /// Lines below the header.
    pub lines_read: u64,
    /// What became of them.
    pub outcomes: Outcomes,
    /// Invoices with at least one sold line, in order of their first sold line.
    pub invoices: Vec<Invoice>,
    /// Cancelled lines that say whose pieces came back, in the order of the file.
    pub cancellations: Vec<Cancellation>,
    /// The other cancelled lines: no sale can be found for them.
    pub unclaimed: Unclaimed,
    /// What each sold SKU is called: the first description of a sold line that says anything, else the SKU.
    pub titles: BTreeMap<Arc<str>, String>,
    /// How many pieces of each SKU the file sells: what must be on the shelf at the start.
    pub opening_stock: BTreeMap<Arc<str>, u64>,
}

/// All sold lines of one invoice number, wherever in the file they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// As in the file.
    pub number: String,
    /// When the first sold line says that it was written; the file names no time zone, UTC is assumed.
    pub date: Timestamp,
    /// The customer's number, or [`WALK_IN`].
    pub subject: Arc<str>,
    /// As in the file.
    pub country: Arc<str>,
    /// In the order of the file; never empty.
    pub lines: Vec<Line>,
}

/// One sold line. A SKU may stand on several lines of one invoice, also at different prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The stock code, byte for byte: `85123A` and `85123a` are two articles.
    pub sku: Arc<str>,
    /// At least 1.
    pub quantity: u32,
    /// In pennies, at least 1.
    pub unit_price_minor: i64,
    /// Where in the file it stands; the header is row 1.
    pub row: u64,
    /// When the line itself says that it was written: now and then a minute after its invoice.
    pub date: Timestamp,
    /// The customer whom the line itself names, or [`WALK_IN`].
    pub subject: Arc<str>,
}

/// One cancelled line that names a customer and takes pieces back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// The invoice number, with its `C`.
    pub number: Arc<str>,
    /// Where in the file it stands; the header is row 1.
    pub row: u64,
    /// When it was written.
    pub date: Timestamp,
    /// The customer's number, never [`WALK_IN`].
    pub subject: Arc<str>,
    /// The stock code.
    pub sku: Arc<str>,
    /// How many pieces came back, at least 1.
    pub pieces: u32,
    /// The price that it states, in pennies; `None` when no coins make it.
    pub stated_minor: Option<i64>,
}

/// Cancelled lines without a customer, or without pieces: nobody can say whose sale they take back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unclaimed {
    /// How many lines.
    pub lines: u64,
    /// The pieces on them.
    pub pieces: u64,
}

/// One field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The header is row 1; empty lines are not counted.
    pub row: u64,
    /// The column's name, or `row` when the row as a whole is at fault.
    pub column: &'static str,
    /// What is wrong, for the person who has to mend the file.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, {}: {}", self.row, self.column, self.sentence)
    }
}

/// Why a file is not sold.
#[derive(Debug)]
pub enum Refused {
    /// The bytes could not be had.
    Unreadable(Unreadable),
    /// Some rows make no sense.
    Malformed {
        /// The first ones, at most [`PROBLEMS_LISTED_MAX`].
        problems: Vec<Problem>,
        /// How many rows have a problem.
        total: u64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (problems, total) = match self {
            Refused::Unreadable(unreadable) => return unreadable.fmt(f),
            Refused::Malformed { problems, total } => (problems, *total),
        };
        let noun = if total == 1 { "row" } else { "rows" };
        write!(f, "the file is refused: {total} {noun} cannot be read")?;
        problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
        let unlisted = total - problems.len() as u64;
        if unlisted > 0 {
            write!(f, "\n  and {unlisted} more")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Reads the file at `path`, plain or gzip.
pub fn read(path: &Path) -> Result<RetailFile, Refused> {
    let bytes = open(path).map_err(Refused::Unreadable)?;
    read_from(bytes, path)
}

/// Reads decompressed bytes; `path` is only for messages.
pub fn read_from(bytes: impl Read, path: &Path) -> Result<RetailFile, Refused> {
    let hashed = Hashed { inner: bytes, context: ring::digest::Context::new(&ring::digest::SHA256) };
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 16)
        .from_reader(hashed);
    let mut book = Book::default();
    let mut row = ByteRecord::new();
    let mut number = 0;
    let unreadable = |fault: csv::Error| {
        let source = io::Error::other(fault);
        Refused::Unreadable(Unreadable { path: path.into(), source })
    };
    while rows.read_byte_record(&mut row).map_err(unreadable)? {
        number += 1;
        let entered = if number == 1 { check_header(&row) } else { book.enter(&row) };
        if let Err(fault) = entered {
            book.refuse(number, fault);
        }
    }
    if number == 0 {
        book.refuse(
            1,
            Fault { column: "row", sentence: "the file is empty; it must begin with a header".into() },
        );
    }
    book.close(rows.into_inner().hex())
}

/// One faulty field, before its row is known.
struct Fault {
    column: &'static str,
    sentence: String,
}

fn check_header(row: &ByteRecord) -> Result<(), Fault> {
    let without_mark = |(index, field): (usize, &[u8])| {
        let marked = index == 0 && field.starts_with("\u{feff}".as_bytes());
        if marked { field[3..].to_vec() } else { field.to_vec() }
    };
    let found: Vec<Vec<u8>> = row.iter().enumerate().map(without_mark).collect();
    if found.iter().map(Vec::as_slice).eq(COLUMNS.iter().map(|name| name.as_bytes())) {
        return Ok(());
    }
    Err(Fault { column: "row", sentence: format!("the header must be {}", COLUMNS.join(",")) })
}

/// The file as far as it has been read.
#[derive(Default)]
struct Book {
    lines_read: u64,
    outcomes: Outcomes,
    invoices: Vec<Invoice>,
    places: HashMap<String, usize>,
    cancellations: Vec<Cancellation>,
    unclaimed: Unclaimed,
    products: HashMap<Arc<str>, Product>,
    words: HashSet<Arc<str>>,
    problems: Vec<Problem>,
    problems_total: u64,
}

/// What the sold lines say about one SKU.
#[derive(Default)]
struct Product {
    title: Option<String>,
    sold: u64,
}

/// A line that sells, before it is in its invoice.
struct Sale<'a> {
    invoice: &'a str,
    sku: &'a str,
    description: Cow<'a, str>,
    quantity: u32,
    unit_price_minor: i64,
    date: Timestamp,
    subject: &'a str,
    country: &'a str,
}

/// A cancelled line, before it shares its words with others.
enum TakenBack<'a> {
    /// It names nobody, or nothing.
    Unclaimed {
        pieces: u32,
    },
    Claimed {
        number: &'a str,
        date: Timestamp,
        subject: &'a str,
        sku: &'a str,
        pieces: u32,
        stated: Price,
    },
}

impl Book {
    fn enter(&mut self, row: &ByteRecord) -> Result<(), Fault> {
        self.lines_read += 1;
        match judge(row)? {
            Judged::Dropped(outcome) => self.outcomes.count(outcome),
            Judged::TakenBack(line) => {
                self.outcomes.count(Outcome::Cancellation);
                self.take_back(&line);
            }
            Judged::Sale(sale) => {
                self.outcomes.count(Outcome::Sold);
                self.sell(&sale);
            }
        }
        Ok(())
    }

    fn sell(&mut self, sale: &Sale<'_>) {
        let line = Line {
            sku: self.product(sale),
            quantity: sale.quantity,
            unit_price_minor: sale.unit_price_minor,
            row: self.row(),
            date: sale.date,
            subject: self.word(sale.subject),
        };
        let place = self.place(sale);
        self.invoices[place].lines.push(line);
    }

    fn take_back(&mut self, line: &TakenBack<'_>) {
        match *line {
            TakenBack::Unclaimed { pieces } => {
                self.unclaimed.lines += 1;
                self.unclaimed.pieces += u64::from(pieces);
            }
            TakenBack::Claimed { number, date, subject, sku, pieces, stated } => {
                let cancellation = Cancellation {
                    number: self.word(number),
                    row: self.row(),
                    date,
                    subject: self.word(subject),
                    sku: self.word(sku),
                    pieces,
                    stated_minor: stated.pennies(),
                };
                self.cancellations.push(cancellation);
            }
        }
    }

    /// The row of the line that was read last; the header is row 1.
    fn row(&self) -> u64 {
        self.lines_read + 1
    }

    /// Counts the pieces and returns the one shared copy of the SKU.
    fn product(&mut self, sale: &Sale<'_>) -> Arc<str> {
        let sku = match self.products.get_key_value(sale.sku) {
            Some((sku, _)) => sku.clone(),
            None => Arc::from(sale.sku),
        };
        let product = self.products.entry(sku.clone()).or_default();
        product.sold += u64::from(sale.quantity);
        let title = sale.description.trim();
        if product.title.is_none() && !title.is_empty() {
            product.title = Some(title.to_owned());
        }
        sku
    }

    /// The index of the sale's invoice, which is begun when this is its first sold line.
    fn place(&mut self, sale: &Sale<'_>) -> usize {
        // Nearly every line follows another of its invoice.
        if self.invoices.last().is_some_and(|last| last.number == sale.invoice) {
            return self.invoices.len() - 1;
        }
        if let Some(place) = self.places.get(sale.invoice) {
            return *place;
        }
        let place = self.invoices.len();
        let (subject, country) = (self.word(sale.subject), self.word(sale.country));
        let number = sale.invoice.to_owned();
        self.places.insert(number.clone(), place);
        self.invoices.push(Invoice { number, date: sale.date, subject, country, lines: Vec::new() });
        place
    }

    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return word.clone();
        }
        let word: Arc<str> = Arc::from(text);
        self.words.insert(word.clone());
        word
    }

    fn refuse(&mut self, row: u64, fault: Fault) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_LISTED_MAX {
            self.problems.push(Problem { row, column: fault.column, sentence: fault.sentence });
        }
    }

    fn close(self, hash: String) -> Result<RetailFile, Refused> {
        if self.problems_total > 0 {
            return Err(Refused::Malformed { problems: self.problems, total: self.problems_total });
        }
        assert_eq!(self.outcomes.total(), self.lines_read, "every line has one outcome");
        let mut titles = BTreeMap::new();
        let mut opening_stock = BTreeMap::new();
        for (sku, product) in self.products {
            titles.insert(sku.clone(), product.title.unwrap_or_else(|| sku.to_string()));
            opening_stock.insert(sku, product.sold);
        }
        let mut invoices = self.invoices;
        invoices.iter_mut().for_each(|invoice| invoice.lines.shrink_to_fit());
        Ok(RetailFile {
            hash,
            lines_read: self.lines_read,
            outcomes: self.outcomes,
            invoices,
            cancellations: self.cancellations,
            unclaimed: self.unclaimed,
            titles,
            opening_stock,
        })
    }
}

/// A line with its outcome.
enum Judged<'a> {
    Dropped(Outcome),
    TakenBack(TakenBack<'a>),
    Sale(Sale<'a>),
}

/// Gives a line the first outcome that fits. The order of the questions is the rule.
fn judge(row: &ByteRecord) -> Result<Judged<'_>, Fault> {
    if row.len() != COLUMNS.len() {
        let sentence = format!("it has {} columns, not {}", row.len(), COLUMNS.len());
        return Err(Fault { column: "row", sentence });
    }
    let invoice = text(row, 0)?;
    match invoice.bytes().next() {
        Some(b'C') => return taken_back(row, invoice).map(Judged::TakenBack),
        Some(letter) if letter.is_ascii_alphabetic() => return Ok(Judged::Dropped(Outcome::Adjustment)),
        Some(digit) if digit.is_ascii_digit() => {}
        _ => return Err(fault(0, invoice, "an invoice number: it must begin with a digit or a letter")),
    }
    let quantity = quantity(text(row, 3)?)?;
    if quantity <= 0 {
        return Ok(Judged::Dropped(Outcome::QuantityNotPositive));
    }
    let price = text(row, 5)?;
    let unit_price_minor = match price::parse(price) {
        Ok(Price::Zero) => return Ok(Judged::Dropped(Outcome::PriceZero)),
        Ok(Price::FractionOfAPenny) => return Ok(Judged::Dropped(Outcome::FractionOfAPenny)),
        Ok(Price::Pennies(pennies)) => pennies,
        Err(why) => return Err(fault(5, price, &format!("a price: {why}"))),
    };
    let quantity = u32::try_from(quantity).map_err(|_| too_many(row))?;
    sale(row, invoice, quantity, unit_price_minor).map(Judged::Sale)
}

/// Date and price matter only when a sale can be looked for: when somebody is named and something came back.
fn taken_back<'a>(row: &'a ByteRecord, number: &'a str) -> Result<TakenBack<'a>, Fault> {
    let quantity = quantity(text(row, 3)?)?;
    let magnitude = u32::try_from(quantity.unsigned_abs()).map_err(|_| too_many(row))?;
    let pieces = if quantity < 0 { magnitude } else { 0 };
    let subject = subject(text(row, 6)?)?;
    if subject == WALK_IN || pieces == 0 {
        return Ok(TakenBack::Unclaimed { pieces });
    }
    let (sku, date, price) = (text(row, 1)?, date(text(row, 4)?)?, text(row, 5)?);
    let stated = price::parse(price).map_err(|why| fault(5, price, &format!("a price: {why}")))?;
    Ok(TakenBack::Claimed { number, date, subject, sku, pieces, stated })
}

fn too_many(row: &ByteRecord) -> Fault {
    fault(3, text(row, 3).unwrap_or(""), "a quantity: it is over 4,294,967,295")
}

fn sale<'a>(
    row: &'a ByteRecord,
    invoice: &'a str,
    quantity: u32,
    unit_price_minor: i64,
) -> Result<Sale<'a>, Fault> {
    let sku = text(row, 1)?;
    if sku.is_empty() {
        return Err(Fault { column: COLUMNS[1], sentence: "a sold line must name what was sold".into() });
    }
    // A title is only shown. One strange byte in it is no reason to refuse a year.
    let description = String::from_utf8_lossy(&row[2]);
    let (date, subject, country) = (date(text(row, 4)?)?, subject(text(row, 6)?)?, text(row, 7)?);
    Ok(Sale { invoice, sku, description, quantity, unit_price_minor, date, subject, country })
}

fn text(row: &ByteRecord, column: usize) -> Result<&str, Fault> {
    std::str::from_utf8(&row[column])
        .map_err(|_| Fault { column: COLUMNS[column], sentence: "it is not UTF-8 text".into() })
}

fn quantity(text: &str) -> Result<i64, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = if whole { text.parse().ok() } else { None };
    number.ok_or_else(|| fault(3, text, "a whole number"))
}

fn date(text: &str) -> Result<Timestamp, Fault> {
    let shaped = text.len() == "2010-12-01 08:26:00".len() && text.as_bytes().get(10) == Some(&b' ');
    let time = if shaped { Timestamp::parse(&format!("{text}Z")).ok() } else { None };
    time.ok_or_else(|| fault(4, text, "a date and time such as 2010-12-01 08:26:00"))
}

/// Spreadsheets made floats of the customers' numbers; `17850.0` is customer 17850.
fn subject(text: &str) -> Result<&str, Fault> {
    if text.is_empty() {
        return Ok(WALK_IN);
    }
    let number = text.strip_suffix(".0").unwrap_or(text);
    let whole = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    whole.then_some(number).ok_or_else(|| fault(6, text, "a customer's number such as 17850.0"))
}

fn fault(column: usize, value: &str, what: &str) -> Fault {
    let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    Fault { column: COLUMNS[column], sentence: format!("{shown:?} is not {what}") }
}

/// Passes bytes on and remembers their digest.
struct Hashed<R> {
    inner: R,
    context: ring::digest::Context,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(&buffer[..count]);
        Ok(count)
    }
}

impl<R> Hashed<R> {
    fn hex(self) -> String {
        self.context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
