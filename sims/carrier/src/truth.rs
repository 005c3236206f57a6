//! The carrier's books, read by somebody who compares them with a shop's.
use crate::domain::{Event, Label, Parcel};
use souk_decider::Aggregate;
use souk_eventstore::{Audit, Fault, Recorded};
use std::collections::BTreeMap;

/// The fold of a whole log: every label by its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books(BTreeMap<String, Parcel>);

/// What became of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The label's key.
    pub key: String,
    /// Empty when there never was a label.
    pub tracking_code: String,
    /// It was given back, or never given.
    pub is_void: bool,
    /// The carrier has, or had, the parcel.
    pub is_collected: bool,
    /// What was scanned, in order.
    pub scans: Vec<String>,
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

    /// The books as an audit of the carrier's store sees them.
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
        if recorded.stream.category() != Parcel::CATEGORY {
            return Ok(());
        }
        let event = recorded.event::<Event>()?;
        self.0.entry(recorded.stream.id().to_owned()).or_default().evolve(&event);
        Ok(())
    }

    /// What became of every label, by key.
    pub fn truths(&self) -> impl Iterator<Item = Truth> + '_ {
        self.0.iter().map(|(key, parcel)| truth_of(key, parcel))
    }
}

fn truth_of(key: &str, parcel: &Parcel) -> Truth {
    let (tracking_code, is_void) = match parcel.label() {
        Label::Bought { tracking_code } => (tracking_code.clone(), false),
        Label::Voided(code) => (code.clone().unwrap_or_default(), true),
        Label::Unheard | Label::Failed | Label::Declined(_) => (String::new(), true),
    };
    Truth {
        key: key.to_owned(),
        tracking_code,
        is_void,
        is_collected: parcel.is_collected(),
        scans: parcel.scans().iter().map(|scan| scan.status.clone()).collect(),
    }
}
