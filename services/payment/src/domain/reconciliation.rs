//! The provider's report of a day beside our books. Only what is certain in ours can differ from it: what is in doubt
//! is asked for by key anyway.
use super::{Answer, Movement, Outcome, Payment, Step};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Money, Timestamp};
use std::collections::BTreeSet;

/// The books differ about one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerMismatch {
    /// The day that was compared.
    pub date: String,
    /// The operation's key at the provider.
    pub key: String,
    /// In words.
    pub what: String,
    pub at: Timestamp,
}

/// A day was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCompared {
    pub date: String,
    /// How many operations of either side.
    pub compared: u32,
    /// How many of them differ.
    pub mismatches: u32,
    pub at: Timestamp,
}

/// Everything that can happen to a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayEvent {
    LedgerMismatch(LedgerMismatch),
    DayCompared(DayCompared),
}

stored_events!(DayEvent { LedgerMismatch: 1, DayCompared: 1 });

/// One day's comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    known: BTreeSet<(String, String)>,
}

impl Aggregate for Reconciliation {
    type Event = DayEvent;
    const CATEGORY: &'static str = "reconciliation";

    fn evolve(&mut self, event: &DayEvent) {
        match event {
            DayEvent::LedgerMismatch(e) => {
                self.known.insert((e.key.clone(), e.what.clone()));
            }
            DayEvent::DayCompared(_) => {}
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The operation's key.
    pub key: String,
    /// In words.
    pub what: String,
}

/// What a comparison adds to the books of its day: each difference once, and that it was made.
pub fn compared(
    day: &Reconciliation,
    date: &str,
    compared: u32,
    mismatches: &[Mismatch],
    at: Timestamp,
) -> Vec<DayEvent> {
    let is_new = |mismatch: &&Mismatch| !day.known.contains(&(mismatch.key.clone(), mismatch.what.clone()));
    let event = |Mismatch { key, what }: &Mismatch| {
        let (date, key, what) = (date.to_owned(), key.clone(), what.clone());
        DayEvent::LedgerMismatch(LedgerMismatch { date, key, what, at })
    };
    let mut events: Vec<DayEvent> = mismatches.iter().filter(is_new).map(event).collect();
    let count = u32::try_from(mismatches.len()).unwrap_or(u32::MAX);
    let date = date.to_owned();
    events.push(DayEvent::DayCompared(DayCompared { date, compared, mismatches: count, at }));
    events
}

/// How what the provider says of an operation differs from what we know of it.
pub fn difference(payment: &Payment, key: &str, answer: &Answer, amount: Option<Money>) -> Option<String> {
    let has_effect = match answer {
        Answer::Succeeded | Answer::Promised(_) => true,
        Answer::Declined(_) | Answer::Pending | Answer::ActionRequired { .. } => false,
    };
    let Some(step) = payment.step_of(key) else {
        return has_effect.then(|| "the provider carried out what we never asked for".to_owned());
    };
    if payment.waiting(&step).is_some() {
        return None;
    }
    let known = payment.amount_of(&step);
    if amount.is_some() && known.is_some() && amount != known {
        return Some(format!("{} at the provider, {} in our books", text(amount), text(known)));
    }
    let movement = match &step {
        Step::Capture(id) => payment.captures().get(id),
        Step::Refund(id) => payment.refunds().get(id),
        Step::Authorize | Step::Void | Step::Reauthorize(_) => None,
    }?;
    differs(movement, has_effect)
}

fn differs(movement: &Movement, has_effect: bool) -> Option<String> {
    match &movement.outcome {
        Outcome::Requested(_) => None,
        Outcome::Succeeded => (!has_effect).then(|| "done in our books, not at the provider".to_owned()),
        Outcome::Refused(_) => has_effect.then(|| "refused in our books, done at the provider".to_owned()),
    }
}

fn text(amount: Option<Money>) -> String {
    amount.map_or_else(
        || "nothing".to_owned(),
        |amount| format!("{} {}", amount.minor_units(), amount.currency()),
    )
}
