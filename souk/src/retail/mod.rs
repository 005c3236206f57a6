//! The retail file: a year of a real shop's invoice lines, read so that the shop can live it again.
//!
//! The file is the "Online Retail" set of the UCI repository (eight columns, one line per sold article) and it
//! is as dirty as real files are. [`read`] gives every line one [`Outcome`] and keeps what can be sold and what
//! came back; [`Plan`] finds the sales that the cancellations take back. [`Sums`] counts the same file a second
//! time with code of its own, so that a [`Report`] can put the file beside what the shop did without trusting
//! the reader or the plan. Selling the invoices and taking goods back is not here.

mod open;
mod outcome;
mod plan;
mod price;
mod reader;
mod report;
mod sums;

#[cfg(test)]
mod tests;

pub use open::Unreadable;
pub use outcome::{Outcome, Outcomes};
pub use plan::{Plan, Return, ReturnLine};
pub use reader::{
    Cancellation, Invoice, Line, Problem, Refused, RetailFile, Unclaimed, WALK_IN, read, read_from,
};
pub use report::{Report, Row, Section};
pub use sums::{Back, Sums, sum, sum_from};

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
