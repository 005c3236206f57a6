//! What came back, counted straight from the rows: the plan's stranger, as the sums are the reader's.
//!
//! Rows are gathered first and compared afterwards. Dates stay the text that they are: written largest unit
//! first, they sort as time does. For each cancelled row all earlier rows of the same customer and code are
//! searched from the latest backwards.
use super::decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the file says that came back.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Back {
    /// Cancelled rows whose pieces are all found among earlier sales.
    pub matched: u64,
    /// Cancelled rows of which only some pieces are.
    pub partly: u64,
    /// Cancelled rows of which none are.
    pub unmatched: u64,
    /// Cancelled rows that state a price that was not paid for what they take back.
    pub price_differs: u64,
    /// Pieces that no earlier sale accounts for.
    pub pieces_unmatched: u64,
    /// Pieces that came back, by stock code.
    pub pieces_by_sku: BTreeMap<String, u64>,
    /// Pennies paid for what came back, by cancellation and sale: `C536379/536365`.
    pub refund_by_return: BTreeMap<String, i64>,
}

impl Back {
    /// Pieces that came back.
    pub fn pieces(&self) -> u64 {
        self.pieces_by_sku.values().sum()
    }

    /// Pennies that were paid for them.
    pub fn refunds_minor(&self) -> i64 {
        self.refund_by_return.values().sum()
    }
}

/// The fields of a row that matter here.
pub(super) struct Fields<'a> {
    pub(super) row: u64,
    pub(super) invoice: &'a [u8],
    pub(super) sku: &'a [u8],
    pub(super) quantity: &'a [u8],
    pub(super) date: &'a [u8],
    pub(super) price: &'a [u8],
    pub(super) customer: &'a [u8],
}

/// When a row was written: its date as text, then its number.
type Written = (Vec<u8>, u64);

/// A row of a sale.
struct Sold {
    written: Written,
    invoice: Vec<u8>,
    open: i128,
    pennies: i128,
}

/// A row of a cancellation.
struct Cancelled {
    written: Written,
    invoice: Vec<u8>,
    whose: (Vec<u8>, Vec<u8>),
    pieces: i128,
    /// The digits of the price, and how many of them stand behind the point.
    price: (i128, u32),
}

/// All rows of one kind and the other, as they were read.
#[derive(Default)]
pub(super) struct Ledger {
    sold: HashMap<(Vec<u8>, Vec<u8>), Vec<Sold>>,
    cancelled: Vec<Cancelled>,
    rows_without_claim: u64,
    pieces_without_claim: u64,
}

impl Ledger {
    pub(super) fn add_sale(&mut self, fields: &Fields<'_>, open: i128, pennies: i128) {
        if fields.customer.is_empty() {
            return;
        }
        let written = (fields.date.to_vec(), fields.row);
        let sold = Sold { written, invoice: fields.invoice.to_vec(), open, pennies };
        self.sold.entry(whose(fields)).or_default().push(sold);
    }

    pub(super) fn add_cancelled(&mut self, fields: &Fields<'_>) -> Result<(), &'static str> {
        let (quantity, 0) = decimal(fields.quantity).ok_or("its quantity is no number")? else {
            return Err("its quantity is not whole");
        };
        let pieces = (-quantity).max(0);
        if fields.customer.is_empty() || pieces == 0 {
            self.rows_without_claim += 1;
            self.pieces_without_claim += u64::try_from(pieces).map_err(|_| "its quantity does not fit")?;
            return Ok(());
        }
        let price = decimal(fields.price).ok_or("its price is no number")?;
        let written = (fields.date.to_vec(), fields.row);
        let invoice = fields.invoice.to_vec();
        self.cancelled.push(Cancelled { written, invoice, whose: whose(fields), pieces, price });
        Ok(())
    }

    /// Sets every cancelled row against the sales before it, the first written first.
    pub(super) fn finish(mut self) -> Result<Back, &'static str> {
        let mut back = Back {
            unmatched: self.rows_without_claim,
            pieces_unmatched: self.pieces_without_claim,
            ..Back::default()
        };
        self.cancelled.sort_by(|a, b| a.written.cmp(&b.written));
        for row in &self.cancelled {
            let open = match self.sold.get_mut(&row.whose) {
                Some(sold) => back.set_against(row, sold)?,
                None => row.pieces,
            };
            if open == 0 {
                back.matched += 1;
            } else if open == row.pieces {
                back.unmatched += 1;
            } else {
                back.partly += 1;
            }
            back.pieces_unmatched += u64::try_from(open).map_err(|_| "its quantity does not fit")?;
        }
        Ok(back)
    }
}

impl Back {
    /// Takes what the row cancels out of the sales before it; answers for how many pieces there was none.
    fn set_against(&mut self, row: &Cancelled, sold: &mut [Sold]) -> Result<i128, &'static str> {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "a number or a stock code is not UTF-8")
        };
        let mut open = row.pieces;
        let mut prices_paid = BTreeSet::new();
        while open > 0 {
            let earlier = sold.iter_mut().filter(|sale| sale.open > 0 && sale.written < row.written);
            let Some(latest) = earlier.max_by(|a, b| a.written.cmp(&b.written)) else { break };
            let taken = open.min(latest.open);
            open -= taken;
            latest.open -= taken;
            prices_paid.insert(latest.pennies);
            let paid = i64::try_from(taken * latest.pennies).map_err(|_| "its refund does not fit")?;
            let name = format!("{}/{}", text(&row.invoice)?, text(&latest.invoice)?);
            let refund = self.refund_by_return.entry(name).or_default();
            *refund = refund.checked_add(paid).ok_or("the refunds do not fit any more")?;
            let taken = u64::try_from(taken).map_err(|_| "its quantity does not fit")?;
            *self.pieces_by_sku.entry(text(&row.whose.1)?).or_default() += taken;
        }
        // 10^decimals units are a pound, so a price of so many pennies is pennies * 10^decimals units of 1/100.
        let (units, decimals) = row.price;
        let scale = 10_i128.pow(decimals);
        let differs = prices_paid.iter().any(|pennies| pennies * scale != units * 100);
        self.price_differs += u64::from(differs);
        Ok(open)
    }
}

/// The customer, whose number spreadsheets made a float, and the code.
fn whose(fields: &Fields<'_>) -> (Vec<u8>, Vec<u8>) {
    let customer = fields.customer.strip_suffix(b".0").unwrap_or(fields.customer);
    (customer.to_vec(), fields.sku.to_vec())
}
