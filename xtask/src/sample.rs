//! A made-up retail file with every kind of dirt that the real one has, for whoever has not got the real one.
//!
//! The same order makes the same bytes on every machine. The writer counts what it means each line to be, so
//! that a reader can be checked against it. Names and prices are invented; only the format is borrowed.

mod returns;
mod shelf;

use flate2::{Compression, write::GzEncoder};
pub use returns::Back;
use returns::{RETURNERS_MAX, Returners, WAYS, Way};
use shelf::{Article, Shelf};
use souk_kernel::{SeededEntropy, Timestamp};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// The largest file that is made: some 25 million lines.
pub const INVOICES_MAX: u32 = 1_000_000;

/// How many lines the one long invoice has.
pub const LONG_INVOICE_LINES: usize = 600;

/// Lines of other invoices are at most this many: the real file's average of 26 comes from about a hundred.
const LINES_MAX: u64 = 100;

/// A line that stands apart from its invoice comes at most this many invoices later.
const SCATTER_INVOICES_MAX: u64 = 5;

/// 2010-12-01T08:26:00Z, when the real file begins.
const OPENING_S: i64 = 1_291_191_960;

const FIRST_INVOICE: u32 = 536_365;
const FIRST_CUSTOMER: u64 = 12_346;
const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

/// Mostly the first: a shop sells at home.
const COUNTRIES: [&str; 8] = [
    "United Kingdom",
    "United Kingdom",
    "United Kingdom",
    "United Kingdom",
    "Germany",
    "France",
    "EIRE",
    "Channel Islands",
];

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// How many invoices sell something; cancellations and the like come on top. At most [`INVOICES_MAX`].
    pub invoices: u32,
    /// Which of the possible files.
    pub seed: u64,
}

/// What was written, as the writer means it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines below the header.
    pub lines: u64,
    /// Lines that a shop sells.
    pub sold: u64,
    /// Lines of invoices that begin with `C`.
    pub cancellations: u64,
    /// Lines of invoices that begin with `A`.
    pub adjustments: u64,
    /// Lines with a quantity of zero or less.
    pub quantity_not_positive: u64,
    /// Lines without a price.
    pub price_zero: u64,
    /// Lines whose price has a part of a penny.
    pub fraction_of_a_penny: u64,
    /// Invoices of which something sells.
    pub orders: u64,
    /// Quantity times price over the sold lines, in pennies.
    pub revenue_minor: i64,
    /// What the cancellations take back of it.
    pub back: Back,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines: {} sold in {} orders for {}.{:02}; {} cancellations, {} adjustments, \
             {} quantities not positive, {} prices zero, {} fractions of a penny; \
             {} pieces come back in {} returns for {}.{:02}",
            self.lines,
            self.sold,
            self.orders,
            self.revenue_minor / 100,
            self.revenue_minor % 100,
            self.cancellations,
            self.adjustments,
            self.quantity_not_positive,
            self.price_zero,
            self.fraction_of_a_penny,
            self.back.pieces,
            self.back.returns,
            self.back.refunds_minor / 100,
            self.back.refunds_minor % 100,
        )
    }
}

/// Writes the file and says what is in it.
pub fn write(order: &Order, out: &mut dyn Write) -> io::Result<Tally> {
    assert!((1..=INVOICES_MAX).contains(&order.invoices), "between 1 and {INVOICES_MAX} invoices");
    let mut dice = Dice::new(order.seed);
    let shelf = Shelf::stock(order.invoices, &mut dice);
    let tape = Tape { out, tally: Tally::default() };
    let year = Year {
        dice,
        shelf,
        tape,
        customers: u64::from(order.invoices / 5 + 3),
        now_s: OPENING_S,
        next_invoice: FIRST_INVOICE,
        returners: Returners::default(),
        held: Vec::new(),
    };
    year.live(order.invoices)
}

/// The same, compressed. The stream holds no time and no name, so it too depends on the order alone.
pub fn write_compressed(order: &Order, out: impl Write) -> io::Result<Tally> {
    let mut encoder = GzEncoder::new(out, Compression::default());
    let tally = write(order, &mut encoder)?;
    encoder.finish()?.flush()?;
    Ok(tally)
}

/// Numbers that look like chance and follow from the seed.
struct Dice(Arc<SeededEntropy>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number from 0 to `bound - 1`.
    fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("half of 128 bits")
    }

    /// True `percent` times in a hundred.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len() as u64);
        &choices[usize::try_from(index).expect("an index of a slice")]
    }
}

/// What a written line is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    Sold { pennies: i64 },
    Cancellation,
    Adjustment,
    QuantityNotPositive,
    PriceZero,
    FractionOfAPenny,
}

/// What all lines of one invoice share.
#[derive(Clone)]
struct Head {
    number: String,
    date: String,
    customer: String,
    /// Whether the customer is one of those who send things back.
    returns: bool,
    country: &'static str,
}

/// One line of the file.
struct Row {
    head: Head,
    sku: String,
    description: String,
    quantity: i64,
    price: String,
    meant: Meant,
}

/// The output, with a count of what went onto it.
struct Tape<'a> {
    out: &'a mut dyn Write,
    tally: Tally,
}

impl Tape<'_> {
    fn write(&mut self, row: &Row) -> io::Result<()> {
        self.count(row);
        let (head, description) = (&row.head, quoted(&row.description));
        writeln!(
            self.out,
            "{},{},{description},{},{},{},{},{}",
            head.number, row.sku, row.quantity, head.date, row.price, head.customer, head.country
        )
    }

    fn count(&mut self, row: &Row) {
        let tally = &mut self.tally;
        tally.lines += 1;
        match row.meant {
            Meant::Sold { pennies } => {
                tally.sold += 1;
                tally.revenue_minor += pennies * row.quantity;
            }
            Meant::Cancellation => tally.cancellations += 1,
            Meant::Adjustment => tally.adjustments += 1,
            Meant::QuantityNotPositive => tally.quantity_not_positive += 1,
            Meant::PriceZero => tally.price_zero += 1,
            Meant::FractionOfAPenny => tally.fraction_of_a_penny += 1,
        }
    }
}

/// The dirt that a file has. The first invoice is followed by all of it, later ones by some.
#[derive(Clone, Copy)]
enum Dirt {
    Adjusted,
    Broken,
    Nothing,
    Gift,
    Fraction,
}

const DIRT: [Dirt; 5] = [Dirt::Adjusted, Dirt::Broken, Dirt::Nothing, Dirt::Gift, Dirt::Fraction];

/// A year of the made-up shop while it is written.
struct Year<'a> {
    dice: Dice,
    shelf: Shelf,
    tape: Tape<'a>,
    customers: u64,
    now_s: i64,
    next_invoice: u32,
    returners: Returners,
    /// Lines that stand apart from their invoice, with the index of the invoice after which they come.
    held: Vec<(u32, Row)>,
}

impl Year<'_> {
    fn live(mut self, invoices: u32) -> io::Result<Tally> {
        writeln!(self.tape.out, "{HEADER}")?;
        for index in 0..invoices {
            let head = self.buyer(index);
            let lines = self.lines(index, index == invoices / 2);
            self.sell(index, &head, lines)?;
            if index == 0 {
                DIRT.into_iter().try_for_each(|dirt| self.soil(dirt, &head))?;
                self.cancel(&head, &WAYS)?;
            } else if self.dice.chance(15) {
                let dirt = *self.dice.pick(&DIRT);
                self.soil(dirt, &head)?;
            }
            if head.returns && self.dice.chance(20) {
                let ways: Vec<Way> = (0..=self.dice.below(4)).map(|_| *self.dice.pick(&WAYS)).collect();
                self.cancel(&head, &ways)?;
            }
            self.release(index)?;
        }
        self.release(u32::MAX)?;
        self.tape.out.flush()?;
        self.tape.tally.back = self.returners.back();
        Ok(self.tape.tally)
    }

    /// The next invoice number, some minutes later, for some customer; a quarter of them unknown.
    fn head(&mut self) -> Head {
        self.now_s += 60 * i64::try_from(1 + self.dice.below(50)).expect("at most 50");
        let known = if self.dice.chance(25) { None } else { Some(self.dice.below(self.customers)) };
        let customer = known.map_or_else(String::new, name);
        let country = *self.dice.pick(&COUNTRIES);
        let number = self.next_invoice.to_string();
        self.next_invoice += 1;
        let time = Timestamp::from_unix_s(self.now_s).to_string();
        let returns = known.is_some_and(|customer| customer < RETURNERS_MAX);
        Head { number, date: time.replace('T', " ").replace('Z', ""), customer, returns, country }
    }

    /// The head of an invoice that sells. The first is for somebody who sends things back.
    fn buyer(&mut self, index: u32) -> Head {
        let head = self.head();
        if index == 0 { Head { customer: name(0), returns: true, ..head } } else { head }
    }

    /// What one invoice sells: articles with quantities and prices.
    fn lines(&mut self, index: u32, long: bool) -> Vec<(Article, i64)> {
        let some = 1 + self.dice.below(LINES_MAX);
        let count = if long {
            LONG_INVOICE_LINES as u64
        } else {
            3 * u64::from(index == 0) + 1 + self.dice.below(some)
        };
        let mut lines: Vec<(Article, i64)> = Vec::new();
        for _ in 0..count {
            let article = self.shelf.choose(&mut self.dice);
            let wholesale = self.dice.chance(5) && article.pennies < 1_000;
            let most = if wholesale { 500 } else { 12 };
            let quantity = i64::try_from(1 + self.dice.below(most)).expect("at most 500");
            lines.push((article, quantity));
        }
        let again_cheaper = lines.len() > 2 && (index == 0 || self.dice.chance(10));
        if again_cheaper {
            let mut article = lines[0].0.clone();
            article.pennies += 10;
            lines[1] = (article, 1);
        }
        lines
    }

    /// Writes an invoice, but holds some of its lines back, so that they stand among later invoices.
    fn sell(&mut self, index: u32, head: &Head, lines: Vec<(Article, i64)>) -> io::Result<()> {
        self.tape.tally.orders += 1;
        let last = lines.len() - 1;
        for (place, (article, quantity)) in lines.into_iter().enumerate() {
            self.returners.sold(head, &article.sku, quantity, article.pennies);
            let meant = Meant::Sold { pennies: article.pennies };
            let description = if self.dice.chance(2) { String::new() } else { article.title };
            let price = pounds(article.pennies);
            let row = Row { head: head.clone(), sku: article.sku, description, quantity, price, meant };
            let apart = place > 0 && (self.dice.chance(3) || index == 0 && place == last);
            if apart {
                let later = 1 + self.dice.below(SCATTER_INVOICES_MAX);
                self.held.push((index.saturating_add(u32::try_from(later).expect("at most 5")), row));
            } else {
                self.tape.write(&row)?;
            }
        }
        Ok(())
    }

    fn release(&mut self, index: u32) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let (due, kept): (Vec<_>, Vec<_>) = held.into_iter().partition(|(after, _)| *after <= index);
        self.held = kept;
        due.iter().try_for_each(|(_, row)| self.tape.write(row))
    }

    /// Writes a cancellation, some time later, for the customer of this invoice: a line for each way.
    fn cancel(&mut self, invoice: &Head, ways: &[Way]) -> io::Result<()> {
        let Head { number, date, country, .. } = self.head();
        let number = format!("C{number}");
        let head = Head { number, date, country, ..invoice.clone() };
        for way in ways {
            let row = self.returners.cancel(*way, &head, &mut self.dice);
            self.tape.write(&row)?;
        }
        Ok(())
    }

    /// Writes one line that no shop sells; `head` is the invoice before it, of which some of them are lines.
    fn soil(&mut self, dirt: Dirt, head: &Head) -> io::Result<()> {
        let article = self.shelf.choose(&mut self.dice);
        let count = i64::try_from(1 + self.dice.below(20)).expect("at most 20");
        let price = pounds(article.pennies);
        let row = match dirt {
            Dirt::Adjusted => {
                let mut head = self.head();
                head.number.insert(0, 'A');
                let price = format!("-{price}");
                row(head, "B", "Adjust bad debt", 1, price, Meant::Adjustment)
            }
            Dirt::Broken => {
                let words = *self.dice.pick(&["damaged", "?", "", "lost, \"again\""]);
                let head = Head { customer: String::new(), ..self.head() };
                row(head, &article.sku, words, -count, "0.0".into(), Meant::QuantityNotPositive)
            }
            Dirt::Nothing => {
                row(head.clone(), &article.sku, &article.title, 0, price, Meant::QuantityNotPositive)
            }
            Dirt::Gift => row(head.clone(), &article.sku, "", count, "0.0".into(), Meant::PriceZero),
            Dirt::Fraction => row(
                head.clone(),
                "PADS",
                "PADS TO FIT ALL CUSHIONS",
                1,
                "0.001".into(),
                Meant::FractionOfAPenny,
            ),
        };
        self.tape.write(&row)
    }
}

/// A customer as the file names them.
fn name(customer: u64) -> String {
    format!("{}.0", FIRST_CUSTOMER + customer)
}

fn row(head: Head, sku: &str, description: &str, quantity: i64, price: String, meant: Meant) -> Row {
    Row { head, sku: sku.to_owned(), description: description.to_owned(), quantity, price, meant }
}

/// As the real file writes it: 255 pennies are `2.55`, 210 are `2.1`, 200 are `2.0`.
fn pounds(pennies: i64) -> String {
    let exact = format!("{}.{:02}", pennies / 100, pennies % 100);
    exact.strip_suffix('0').map(str::to_owned).unwrap_or(exact)
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;
