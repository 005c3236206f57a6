//! The retail file: a year of a real shop's invoice lines, read so that the shop can live it again.
//!
//! The file is the "Online Retail" set of the UCI repository (eight columns, one line per sold article) and it
//! is as dirty as real files are. [`read`] gives every line one [`Outcome`] and keeps what can be sold.
//! [`Sums`] counts the same file a second time with code of its own, so that a [`Report`] can put the file
//! beside what the shop did without trusting the reader. Selling the invoices is not here.

mod open;
mod outcome;
mod price;
mod reader;
mod report;
mod sums;

#[cfg(test)]
mod tests;

pub use open::Unreadable;
pub use outcome::{Outcome, Outcomes};
pub use reader::{Invoice, Line, Problem, Refused, RetailFile, WALK_IN, read, read_from};
pub use report::{Report, Row, Section};
pub use sums::{Sums, sum, sum_from};

/// The columns, in the order in which they stand.
const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];
