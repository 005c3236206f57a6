//! The provider's books, read by somebody who compares them with a shop's.
use crate::domain::{Authorization, Promise};
use souk_decider::Aggregate;
use souk_eventstore::{Audit, Fault, Recorded};
use souk_kernel::Currency;
use std::collections::BTreeMap;

/// The fold of a whole log: every authorisation by its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books(BTreeMap<String, Authorization>);

/// What became of one authorisation, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The authorisation's key.
    pub authorization_key: String,
    /// Absent when nothing was ever promised.
    pub currency: Option<Currency>,
    /// What is promised, or was before it was given up.
    pub authorized_minor: i64,
    /// What was taken.
    pub captured_minor: i64,
    /// What was given back.
    pub refunded_minor: i64,
    /// What is on its way back.
    pub refunding_minor: i64,
    /// Whether the promise was given up. Also true of a tombstone.
    pub voided: bool,
}

impl Books {
    /// The books that these events, in the order of the log, amount to.
    ///
    /// # Errors
    /// When an event cannot be read.
    pub fn of<'a>(log: impl IntoIterator<Item = &'a Recorded>) -> Result<Books, Fault> {
        let mut books = Books::default();
        log.into_iter().try_for_each(|recorded| books.take(recorded))?;
        Ok(books)
    }

    /// The books as an audit of the provider's store sees them.
    ///
    /// # Errors
    /// When the store or one of its events cannot be read.
    pub fn of_audit(audit: &Audit) -> Result<Books, Fault> {
        let (mut books, mut taken) = (Books::default(), Ok(()));
        audit.for_each(|recorded| {
            if taken.is_ok() {
                taken = books.take(recorded);
            }
        })?;
        taken.map(|()| books)
    }

    /// Takes in the next event of the log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take(&mut self, recorded: &Recorded) -> Result<(), Fault> {
        if recorded.stream.category() != Authorization::CATEGORY {
            return Ok(());
        }
        let event = recorded.event::<<Authorization as Aggregate>::Event>()?;
        self.0.entry(recorded.stream.id().to_owned()).or_default().evolve(&event);
        Ok(())
    }

    /// The authorisation with this key.
    pub fn authorization(&self, key: &str) -> Option<&Authorization> {
        self.0.get(key)
    }

    /// What became of every authorisation, by key.
    pub fn truths(&self) -> impl Iterator<Item = Truth> + '_ {
        self.0.iter().map(|(key, authorization)| truth_of(key, authorization))
    }
}

fn truth_of(key: &str, authorization: &Authorization) -> Truth {
    let (amount, voided) = match authorization.promise() {
        Promise::Held { amount, .. } => (Some(amount), false),
        Promise::Voided { amount } => (amount, true),
        Promise::Unheard | Promise::Refused => (None, false),
    };
    Truth {
        authorization_key: key.to_owned(),
        currency: amount.map(|amount| amount.currency()),
        authorized_minor: amount.map_or(0, |amount| amount.minor_units()),
        captured_minor: authorization.captured_minor(),
        refunded_minor: authorization.refunded_minor(),
        refunding_minor: authorization.refunding_minor(),
        voided,
    }
}
