//! What came back, as the writer means it.
//!
//! Some customers send things back. Of these alone the writer remembers every sale, so that it knows which one a
//! cancelled line undoes: the latest that still has pieces, at the price that was paid.
use super::{Dice, Head, Meant, Row, pounds, row};
use std::collections::{BTreeMap, BTreeSet};

/// So many customers, the first ones, send things back: what is remembered stays small in the largest file.
pub(super) const RETURNERS_MAX: u64 = 200;

/// What the cancelled lines take back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Back {
    /// Lines whose pieces were all sold before.
    pub matched: u64,
    /// Lines with more pieces than were sold before.
    pub partly: u64,
    /// Lines of which nothing was sold before, or to nobody knows whom.
    pub unmatched: u64,
    /// Lines that state another price than was paid.
    pub price_differs: u64,
    /// Pieces that come back.
    pub pieces: u64,
    /// Pieces on cancelled lines that were never sold.
    pub pieces_unmatched: u64,
    /// Pairs of a cancellation and a sale that it takes something back of.
    pub returns: u64,
    /// What was paid for the pieces that come back, in pennies.
    pub refunds_minor: i64,
}

/// How a cancelled line stands to the sales before it.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Whole,
    Part,
    Across,
    TooMany,
    OtherPrice,
    NeverBought,
    Nobody,
}

/// All of them. Those that take a piece stand before those that take all: one invoice may be all there is.
pub(super) const WAYS: [Way; 7] =
    [Way::Part, Way::OtherPrice, Way::Across, Way::Whole, Way::TooMany, Way::NeverBought, Way::Nobody];

/// Pieces of one sale that have not come back.
struct Sold {
    number: String,
    open: i64,
    pennies: i64,
}

/// The sales to the customers who send things back.
#[derive(Default)]
pub(super) struct Returners {
    /// By customer and code, the latest last.
    sold: BTreeMap<(String, String), Vec<Sold>>,
    /// Sold at two prices in one invoice: which of the two stands later in the file is not known beforehand.
    unclear: BTreeSet<(String, String)>,
    returns: BTreeSet<(String, String)>,
    back: Back,
}

impl Returners {
    /// Remembers a sale.
    pub(super) fn sold(&mut self, head: &Head, sku: &str, quantity: i64, pennies: i64) {
        if !head.returns {
            return;
        }
        let key = (head.customer.clone(), sku.to_owned());
        let sold = self.sold.entry(key.clone()).or_default();
        if sold.iter().any(|other| other.number == head.number && other.pennies != pennies) {
            self.unclear.insert(key);
        }
        sold.push(Sold { number: head.number.clone(), open: quantity, pennies });
    }

    /// What all of it comes to.
    pub(super) fn back(&self) -> Back {
        Back { returns: self.returns.len() as u64, ..self.back.clone() }
    }

    /// A line of this cancellation that takes back something of its customer's in this way, or of nobody's.
    pub(super) fn cancel(&mut self, way: Way, head: &Head, dice: &mut Dice) -> Row {
        let some = 1 + i64::try_from(dice.below(5)).expect("at most 5");
        let line = |head: Head, sku: &str, pieces: i64, pennies: i64| {
            row(head, sku, "CAME BACK", -pieces, pounds(pennies), Meant::Cancellation)
        };
        let key = match way {
            Way::Nobody => {
                self.find_nothing(some);
                return line(Head { customer: String::new(), ..head.clone() }, "85123A", some, 255);
            }
            Way::NeverBought => None,
            Way::Across => self.choose(head, 2, dice),
            Way::Whole | Way::Part | Way::TooMany | Way::OtherPrice => self.choose(head, 1, dice),
        };
        let Some(key) = key else {
            self.find_nothing(some);
            return line(head.clone(), "D", some, 2_750);
        };
        let open = |sold: &&Sold| sold.open > 0;
        let sold = &self.sold[&key];
        let latest = sold.iter().rev().find(open).expect("a chosen key has an open sale");
        let (latest, paid) = (latest.open, latest.pennies);
        let pieces = match way {
            Way::Part | Way::OtherPrice => 1,
            Way::Across => latest + 1,
            Way::TooMany => sold.iter().map(|sold| sold.open).sum::<i64>() + some,
            Way::Whole | Way::NeverBought | Way::Nobody => latest,
        };
        let stated = if matches!(way, Way::OtherPrice) { paid + 1 } else { paid };
        self.take_back(&key, &head.number, pieces, stated);
        line(head.clone(), &key.1, pieces, stated)
    }

    fn find_nothing(&mut self, pieces: i64) {
        self.back.unmatched += 1;
        self.back.pieces_unmatched += pieces.unsigned_abs();
    }

    /// A code of which the customer has so many sales with pieces to give back.
    fn choose(&self, head: &Head, sales: usize, dice: &mut Dice) -> Option<(String, String)> {
        let from = (head.customer.clone(), String::new());
        let theirs = self.sold.range(from..).take_while(|((customer, _), _)| *customer == head.customer);
        let open = |sold: &[Sold]| sold.iter().filter(|sold| sold.open > 0).count() >= sales;
        let fit = theirs.filter(|(key, sold)| open(sold) && !self.unclear.contains(*key));
        let keys: Vec<_> = fit.map(|(key, _)| key).collect();
        if keys.is_empty() { None } else { Some((*dice.pick(&keys)).clone()) }
    }

    fn take_back(&mut self, key: &(String, String), cancellation: &str, pieces: i64, stated: i64) {
        let (mut wanted, mut differs) = (pieces, false);
        let sold = self.sold.get_mut(key).expect("a chosen key was sold");
        for sale in sold.iter_mut().rev().filter(|sale| sale.open > 0) {
            let taken = wanted.min(sale.open);
            if taken == 0 {
                break;
            }
            (wanted, sale.open) = (wanted - taken, sale.open - taken);
            differs |= sale.pennies != stated;
            self.back.pieces += taken.unsigned_abs();
            self.back.refunds_minor += taken * sale.pennies;
            self.returns.insert((cancellation.to_owned(), sale.number.clone()));
        }
        self.back.price_differs += u64::from(differs);
        self.back.pieces_unmatched += wanted.unsigned_abs();
        if wanted == 0 {
            self.back.matched += 1;
        } else {
            self.back.partly += 1;
        }
    }
}
