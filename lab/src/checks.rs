//! The checkers: pure functions over what the customers noted and what the shop and the provider say.
use crate::books::{Books, Sold, State};
use crate::journal::{Act, Entry};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Its number, for example `I4`.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Each checker with its number and what it holds the shop to.
pub const CHECKS: [(&str, &str, Check); 8] = [
    ("I1", "no more is sold than was supplied, and no shelf promises more than it has", no_oversell),
    ("I2", "every order that was accepted is there, and has come to an end", no_lost_order),
    ("I3", "every order was asked for; a refused call left none, an unanswered one at most one", no_phantom),
    ("I4", "the provider took an order's total once, or what its parcels cost, or nothing", no_double_charge),
    ("I4", "what a customer was told is given back was given back once", refunded_as_told),
    ("I5", "the ledger balances and its clearing account is what the provider took", ledger_balances),
    ("I10", "the same key has the same answer, and another body under it is refused", same_answer),
    (
        "I11",
        "who left an address is mailed of a sale at least once, and of each thing under one id",
        mailed_once,
    ),
];

/// A checker.
pub type Check = fn(&[Entry], &Books) -> Vec<String>;

/// Everything that any checker finds.
pub fn check(journal: &[Entry], books: &Books) -> Vec<Violation> {
    let found = CHECKS.iter().flat_map(|(invariant, _, check)| {
        check(journal, books).into_iter().map(move |what| Violation { invariant, what })
    });
    found.collect()
}

/// What became of each key that was sent to accept a quote.
struct Placing<'a> {
    act: &'a Act,
    /// The orders that answers named.
    answers: BTreeSet<&'a str>,
    was_refused: bool,
}

fn placings(journal: &[Entry]) -> BTreeMap<&str, Placing<'_>> {
    let mut placings: BTreeMap<&str, Placing<'_>> = BTreeMap::new();
    for entry in journal {
        match entry {
            Entry::Sent { key, act: act @ Act::Place { .. } } => {
                let new = Placing { act, answers: BTreeSet::new(), was_refused: false };
                placings.entry(key).or_insert(new);
            }
            Entry::Done { key, order_id, .. } => {
                if let Some(placing) = placings.get_mut(key.as_str()) {
                    placing.answers.insert(order_id);
                }
            }
            Entry::Failed { key, .. } => {
                if let Some(placing) = placings.get_mut(key.as_str()) {
                    placing.was_refused = true;
                }
            }
            Entry::Supplied { .. }
            | Entry::Sent { act: Act::Cancel { .. } | Act::CancelPieces { .. }, .. }
            | Entry::Unknown { .. }
            | Entry::Refunded { .. }
            | Entry::Reachable { .. }
            | Entry::OtherBody { .. } => {}
        }
    }
    placings
}

fn no_oversell(journal: &[Entry], books: &Books) -> Vec<String> {
    let (mut supplied, mut sold) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    for entry in journal {
        if let Entry::Supplied { sku, quantity } = entry {
            *supplied.entry(sku).or_default() += quantity;
        }
    }
    let holds = |order: &&Sold| matches!(order.state, State::Holds | State::Paid);
    for (sku, pieces) in books.orders.iter().filter(holds).flat_map(|order| &order.pieces) {
        *sold.entry(sku).or_default() += pieces;
    }
    let mut wrong = Vec::new();
    for (sku, sold) in sold {
        let supplied = supplied.get(sku).copied().unwrap_or(0);
        if sold > supplied {
            wrong.push(format!("{sold} of {sku} are sold and {supplied} were supplied"));
        }
    }
    for (sku, shelf) in &books.shelves {
        if shelf.reserved < 0 || shelf.on_hand < shelf.reserved {
            wrong.push(format!("{} of {sku} are promised and {} are there", shelf.reserved, shelf.on_hand));
        }
    }
    wrong
}

fn no_lost_order(journal: &[Entry], books: &Books) -> Vec<String> {
    let known: BTreeMap<&str, &Sold> =
        books.orders.iter().map(|order| (order.order_id.as_str(), order)).collect();
    let mut wrong = Vec::new();
    for (key, placing) in placings(journal) {
        for order_id in placing.answers {
            match known.get(order_id).map(|order| order.state) {
                None => wrong.push(format!("{key}: {order_id} was accepted and is gone")),
                Some(State::Open) => wrong.push(format!("{key}: {order_id} has come to no end")),
                Some(State::Holds | State::Paid | State::Nothing) => {}
            }
        }
    }
    wrong
}

fn no_phantom(journal: &[Entry], books: &Books) -> Vec<String> {
    let placings = placings(journal);
    let mut keys: BTreeMap<&str, (&str, bool)> = BTreeMap::new();
    for (key, placing) in &placings {
        if let Act::Place { quote_id, .. } = placing.act {
            keys.insert(quote_id, (key, placing.was_refused && placing.answers.is_empty()));
        }
    }
    let mut orders: BTreeMap<&str, u32> = BTreeMap::new();
    for order in &books.orders {
        *orders.entry(&order.quote_id).or_default() += 1;
    }
    let wrong = orders.into_iter().filter_map(|(quote_id, count)| match (keys.get(quote_id), count) {
        (None, _) => Some(format!("nobody accepted {quote_id}, and there is an order for it")),
        (Some((key, true)), _) => Some(format!("{key}: refused, and there is an order for {quote_id}")),
        (Some((_, false)), 0 | 1) => None,
        (Some((key, false)), n) => Some(format!("{key}: {n} orders for {quote_id}")),
    });
    wrong.collect()
}

fn no_double_charge(_journal: &[Entry], books: &Books) -> Vec<String> {
    let mut wrong = Vec::new();
    let known: BTreeSet<&str> = books.orders.iter().map(|order| order.order_id.as_str()).collect();
    for order in &books.orders {
        let taken = books.money.get(&order.order_id).copied().unwrap_or_default();
        let (id, net, total) =
            (&order.order_id, taken.captured_minor - taken.refunded_minor, order.total_minor);
        if taken.live > 1 {
            wrong.push(format!("{id}: {} authorisations are live at the provider", taken.live));
        }
        let is_right = match (order.state, order.parcels_minor) {
            (State::Paid, _) => net == total,
            (State::Nothing, _) => net == 0 && (taken.promised_minor == 0 || taken.captured_minor > 0),
            // At rest, what was taken is what the parcels that are paid for cost.
            (State::Holds, Some(parcels)) => net == parcels,
            (State::Holds, None) | (State::Open, _) => (0..=total).contains(&net),
        };
        if !is_right {
            wrong.push(format!("{id} ({:?}): {net} of {total} was kept, {taken:?}", order.state));
        }
    }
    for (id, taken) in books.money.iter().filter(|(id, _)| !known.contains(id.as_str())) {
        if taken.captured_minor != taken.refunded_minor || taken.promised_minor != 0 {
            wrong.push(format!("{id} is no order, and the provider holds {taken:?}"));
        }
    }
    wrong
}

fn refunded_as_told(journal: &[Entry], books: &Books) -> Vec<String> {
    let told: BTreeMap<&str, i64> = journal
        .iter()
        .filter_map(|entry| match entry {
            Entry::Refunded { order_id, minor } => Some((order_id.as_str(), *minor)),
            Entry::Supplied { .. }
            | Entry::Sent { .. }
            | Entry::Done { .. }
            | Entry::Failed { .. }
            | Entry::Unknown { .. }
            | Entry::Reachable { .. }
            | Entry::OtherBody { .. } => None,
        })
        .collect();
    let wrong = told.into_iter().filter_map(|(order_id, told)| {
        let given = books.money.get(order_id).map_or(0, |taken| taken.refunded_minor);
        (given != told).then(|| format!("{order_id}: {told} was to be given back, {given} was"))
    });
    wrong.collect()
}

fn mailed_once(journal: &[Entry], books: &Books) -> Vec<String> {
    let mut ids: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for mail in &books.mails {
        ids.entry((&mail.to, &mail.subject)).or_default().insert(&mail.id);
    }
    let twice = ids.iter().filter(|(_, ids)| ids.len() > 1);
    let mut wrong: Vec<_> = twice
        .map(|((to, subject), ids)| format!("{to} was mailed {subject:?} under {} ids", ids.len()))
        .collect();
    let known: BTreeMap<&str, &Sold> =
        books.orders.iter().map(|order| (order.order_id.as_str(), order)).collect();
    let placings = placings(journal);
    for entry in journal {
        let Entry::Reachable { key, email } = entry else { continue };
        let bought = placings.get(key.as_str()).is_some_and(|placing| {
            let sold = |id: &&str| known.get(*id).map(|order| order.state);
            placing.answers.iter().any(|id| matches!(sold(id), Some(State::Holds | State::Paid)))
        });
        if bought && !ids.keys().any(|(to, _)| to == email) {
            wrong.push(format!("{key}: {email} was never mailed of what was bought"));
        }
    }
    wrong
}

fn ledger_balances(_journal: &[Entry], books: &Books) -> Vec<String> {
    let net: i64 = books.money.values().map(|taken| taken.captured_minor - taken.refunded_minor).sum();
    let clearing: i64 = books.ledger.values().map(|(_, clearing)| clearing).sum();
    let mut wrong: Vec<_> = books
        .ledger
        .iter()
        .filter(|(_, (sum, _))| *sum != 0)
        .map(|(currency, (sum, _))| format!("the {currency} accounts add up to {sum}"))
        .collect();
    if net != clearing {
        wrong.push(format!("clearing says {clearing}, the provider took {net}"));
    }
    wrong
}

fn same_answer(journal: &[Entry], _books: &Books) -> Vec<String> {
    let mut first: BTreeMap<&str, (&str, &str, Option<i64>)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let changed: BTreeSet<&str> = journal
        .iter()
        .filter_map(|entry| match entry {
            Entry::Sent { act: Act::CancelPieces { order_id }, .. } => Some(order_id.as_str()),
            Entry::Supplied { .. }
            | Entry::Sent { .. }
            | Entry::Done { .. }
            | Entry::Failed { .. }
            | Entry::Unknown { .. }
            | Entry::Refunded { .. }
            | Entry::Reachable { .. }
            | Entry::OtherBody { .. } => None,
        })
        .collect();
    for entry in journal {
        match entry {
            Entry::Done { key, order_id, quote_id, total_minor } => {
                // What an order costs changes with its pieces, and with nothing else.
                let total = (!changed.contains(order_id.as_str())).then_some(*total_minor);
                let answer = (order_id.as_str(), quote_id.as_str(), total);
                let earlier = *first.entry(key).or_insert(answer);
                if earlier != answer {
                    wrong.push(format!("{key}: {earlier:?} at first, {answer:?} later"));
                }
            }
            Entry::Failed { key, status, reason } if first.contains_key(key.as_str()) => {
                wrong.push(format!("{key}: done at first, {status} {reason} later"));
            }
            Entry::OtherBody { key, status } if *status != 422 => {
                wrong.push(format!("{key}: another body under it was answered by {status}"));
            }
            Entry::Supplied { .. }
            | Entry::Sent { .. }
            | Entry::Failed { .. }
            | Entry::Unknown { .. }
            | Entry::Refunded { .. }
            | Entry::Reachable { .. }
            | Entry::OtherBody { .. } => {}
        }
    }
    wrong
}

#[cfg(test)]
mod tests;
