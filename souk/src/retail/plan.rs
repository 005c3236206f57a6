//! Which sales the file's cancellations take back.
//!
//! A cancelled line does not say which sale it undoes, only whose it was and what. It takes the customer's
//! latest sale of the code that was written before it and still has pieces, then the one before that, until
//! its pieces are found or no sale is left. What a piece is worth is what was paid for it, whatever the
//! cancellation says. The sums beside this match the same lines with code of their own.
use super::reader::{Cancellation, RetailFile, WALK_IN};
use souk_kernel::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What comes back, and how the cancelled lines fared.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each cancellation and order, by the number of the cancellation.
    pub returns: Vec<Return>,
    /// Lines whose every piece was found.
    pub matched: u64,
    /// Lines of which some pieces were found.
    pub partly: u64,
    /// Lines of which nothing was found.
    pub unmatched: u64,
    /// Lines of the first two kinds that state another price than was paid for a piece of them.
    pub price_differs: u64,
    /// Pieces for which no sale was found.
    pub pieces_unmatched: u64,
}

/// What one cancellation takes back of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The cancellation's invoice number.
    pub cancellation: Arc<str>,
    /// The invoice number of the sale.
    pub invoice: String,
    /// By line of the order, each once; never empty.
    pub lines: Vec<ReturnLine>,
}

/// Pieces of one line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnLine {
    /// The line of the order; the first is 1.
    pub line: u32,
    /// At least 1.
    pub quantity: u32,
}

impl Plan {
    /// Matches every cancellation of the file, the earliest first.
    pub fn of(file: &RetailFile) -> Plan {
        let mut plan = Plan {
            unmatched: file.unclaimed.lines,
            pieces_unmatched: file.unclaimed.pieces,
            ..Plan::default()
        };
        let mut shelves = Shelves::default();
        let mut found = Found::default();
        for entry in entries(file) {
            match entry.what {
                What::Sale(sale) => shelves.0.entry(entry.whose).or_default().push(sale),
                What::Cancellation(line) => {
                    let sales = shelves.0.get_mut(&entry.whose).map_or(&mut [][..], |sales| &mut sales[..]);
                    plan.take_back(line, sales, &mut found);
                }
            }
        }
        let one = |((cancellation, invoice), lines): ((Arc<str>, usize), BTreeMap<u32, u32>)| Return {
            cancellation,
            invoice: file.invoices[invoice].number.clone(),
            lines: lines.into_iter().map(|(line, quantity)| ReturnLine { line, quantity }).collect(),
        };
        plan.returns = found.0.into_iter().map(one).collect();
        plan
    }

    fn take_back(&mut self, cancelled: &Cancellation, sales: &mut [Sale], found: &mut Found) {
        let mut wanted = cancelled.pieces;
        let mut differs = false;
        for sale in sales.iter_mut().rev().filter(|sale| sale.left > 0) {
            if wanted == 0 {
                break;
            }
            let pieces = wanted.min(sale.left);
            (wanted, sale.left) = (wanted - pieces, sale.left - pieces);
            differs |= cancelled.stated_minor != Some(sale.paid_minor);
            let lines = found.0.entry((cancelled.number.clone(), sale.invoice)).or_default();
            *lines.entry(sale.line).or_default() += pieces;
        }
        self.price_differs += u64::from(differs);
        self.pieces_unmatched += u64::from(wanted);
        let fate = match wanted {
            0 => &mut self.matched,
            left if left < cancelled.pieces => &mut self.partly,
            _ => &mut self.unmatched,
        };
        *fate += 1;
    }
}

/// Whose sales of what.
type Whose<'a> = (&'a str, &'a str);

/// Sales by customer and code, the latest last.
#[derive(Default)]
struct Shelves<'a>(HashMap<Whose<'a>, Vec<Sale>>);

/// Pieces by line of an order, by cancellation and place of the invoice.
#[derive(Default)]
struct Found(BTreeMap<(Arc<str>, usize), BTreeMap<u32, u32>>);

/// What of one sold line is not back yet.
struct Sale {
    invoice: usize,
    line: u32,
    paid_minor: i64,
    left: u32,
}

/// A line of the file in its time.
struct Entry<'a> {
    when: (Timestamp, u64),
    whose: Whose<'a>,
    what: What<'a>,
}

enum What<'a> {
    Sale(Sale),
    Cancellation(&'a Cancellation),
}

/// Everything that was sold to somebody or came back, as it was written: by date, then by place in the file.
fn entries(file: &RetailFile) -> Vec<Entry<'_>> {
    let lines = file.invoices.iter().enumerate().flat_map(|(invoice, sold)| {
        let numbered = (1..).zip(&sold.lines);
        numbered.map(move |(number, line)| (invoice, number, line))
    });
    let known = lines.filter(|(_, _, line)| &*line.subject != WALK_IN);
    let sales = known.map(|(invoice, number, line)| Entry {
        when: (line.date, line.row),
        whose: (&line.subject, &line.sku),
        what: What::Sale(Sale {
            invoice,
            line: number,
            paid_minor: line.unit_price_minor,
            left: line.quantity,
        }),
    });
    let cancelled = file.cancellations.iter().map(|line| Entry {
        when: (line.date, line.row),
        whose: (&line.subject, &line.sku),
        what: What::Cancellation(line),
    });
    let mut entries: Vec<_> = sales.chain(cancelled).collect();
    entries.sort_by_key(|entry| entry.when);
    entries
}
