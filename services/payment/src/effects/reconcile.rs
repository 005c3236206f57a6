//! Compares a day of the provider's with ours: what it reports is looked up in our books, and what stands in our
//! ledger and not in its report is asked for by key, so that the two clocks need not agree about midnight.
use crate::domain::reconciliation::{self, Mismatch, Reconciliation};
use crate::domain::{Answer, Payment};
use crate::effects::{Cashier, attempt, origin, within_attempt};
use crate::proto::Day;
use crate::views;
use souk_contracts::terms::PaymentId;
use souk_eventstore::{CommitId, Decision, Expected, StreamId, Work};
use souk_kernel::{Error, Invalid};
use souk_rpc::Cx;
use std::collections::BTreeSet;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// How many operations of either side were looked at.
    pub compared: u32,
    /// What differs.
    pub mismatches: Vec<Mismatch>,
}

impl Cashier {
    /// Compares `day` and records what differs.
    ///
    /// # Errors
    /// When the day has not begun, the provider does not answer, or the books cannot be read or written.
    pub async fn reconcile(&self, cx: &Cx, day: Day) -> Result<Compared, Error> {
        if day.from > self.store.now() {
            return Err(Invalid::field("date", "must be today or a day that is over, in UTC").into());
        }
        let report = self.provider.report(cx.clone(), day.clone()).await?;
        let mut mismatches = Vec::new();
        let mut seen = BTreeSet::new();
        for line in report {
            let payment = self.payment_of(&line.key).await?;
            let what = match &payment {
                None => Some("the provider knows a payment that we do not".to_owned()),
                Some(payment) => reconciliation::difference(payment, &line.key, &line.answer, line.amount),
            };
            mismatches.extend(what.map(|what| Mismatch { key: line.key.clone(), what }));
            seen.insert(line.key);
        }
        for (key, amount) in views::moved_between(&self.store, day.from, day.to).await? {
            if seen.contains(&key) {
                continue;
            }
            let found = within_attempt(self.provider.find(attempt(cx), key.clone())).await?;
            let has_effect = matches!(found, Some(Answer::Succeeded | Answer::Promised(_)));
            if !has_effect {
                let what = format!(
                    "{} {} in our books, not at the provider",
                    amount.minor_units(),
                    amount.currency()
                );
                mismatches.push(Mismatch { key: key.clone(), what });
            }
            seen.insert(key);
        }
        let compared = u32::try_from(seen.len()).unwrap_or(u32::MAX);
        let compared = Compared { compared, mismatches };
        self.note_comparison(cx, &day.date, compared.clone()).await?;
        Ok(compared)
    }

    async fn payment_of(&self, key: &str) -> Result<Option<Payment>, Error> {
        let Some(id) = key.split(':').next().and_then(|id| id.parse::<PaymentId>().ok()) else {
            return Ok(None);
        };
        let payment = self.payment(id).await?;
        Ok(payment.request().is_some().then(|| payment.state().clone()))
    }

    async fn note_comparison(&self, cx: &Cx, date: &str, found: Compared) -> Result<(), Error> {
        for mismatch in &found.mismatches {
            tracing::error!(key = %mismatch.key, what = %mismatch.what, "the payment provider's books differ from ours");
        }
        let stream = StreamId::of::<Reconciliation>(date);
        let (own, date) = (stream.clone(), date.to_owned());
        let work = Work::new(CommitId::new(self.new_id()), origin(cx)).read::<Reconciliation>(&stream);
        let work = work.decide(move |facts, now| {
            let day = facts.state::<Reconciliation>(&own);
            let events = reconciliation::compared(&day, &date, found.compared, &found.mismatches, now);
            Ok(Decision::new().append(&own, Expected::Any, events))
        });
        self.store.commit(work).await?;
        Ok(())
    }
}
