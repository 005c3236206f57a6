//! What becomes of one line of the file.
use std::fmt;

/// What becomes of one line: the first of these that fits, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The invoice number begins with `C`: goods that came back.
    Cancellation,
    /// The invoice number begins with another letter: bookkeeping, not trade.
    Adjustment,
    /// A count of zero or less outside a cancellation: breakage, losses, corrections of stock.
    QuantityNotPositive,
    /// Given away, or a note about stock.
    PriceZero,
    /// A price that no coin can pay. Rounding it would invent money.
    FractionOfAPenny,
    /// The shop sells it.
    Sold,
}

impl Outcome {
    /// Every outcome, in the order in which they are tried.
    pub const ALL: [Outcome; 6] = [
        Outcome::Cancellation,
        Outcome::Adjustment,
        Outcome::QuantityNotPositive,
        Outcome::PriceZero,
        Outcome::FractionOfAPenny,
        Outcome::Sold,
    ];

    /// The outcome in words, as reports print it.
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Cancellation => "cancellation",
            Outcome::Adjustment => "adjustment",
            Outcome::QuantityNotPositive => "quantity not positive",
            Outcome::PriceZero => "price zero",
            Outcome::FractionOfAPenny => "fraction of a penny",
            Outcome::Sold => "sold",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// How many lines had each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes([u64; Outcome::ALL.len()]);

impl Outcomes {
    /// How many lines had this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// All lines that have an outcome.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every outcome with its count, in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().map(|outcome| (outcome, self.of(outcome)))
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }
}
