//! What an operator does about parked keys: sees them, and has their events applied in order once whatever was
//! wrong is put right. It runs beside the reaction. What is parked is asked of the store each time, and the store
//! decides in which order the two come: a later event of a key that was freed meanwhile is not parked behind
//! nothing.
use super::{Poison, Reaction, Refusal};
use prost::Message;
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::{CommitId, Decision, Expected, Origin, PAGE_MAX, Parked, ParkedKey, StreamId, Work};
use souk_kernel::{Code, Error};
use souk_rpc::feed::FeedEvent;

/// That an operator had a key redriven, and what came of it: the audit of one reaction.
#[derive(Debug, Clone, PartialEq)]
pub enum RedriveEvent {
    /// Somebody asked for it.
    RedriveAsked(RedriveAsked),
    /// It came to an end.
    RedriveEnded(RedriveEnded),
}
stored_events!(RedriveEvent { RedriveAsked: 1, RedriveEnded: 1 });

/// Who wanted which key redriven, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct RedriveAsked {
    pub source: String,
    pub key: String,
    pub by: String,
    pub reason: String,
    pub operation_id: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveEnded {
    /// Which one.
    pub operation_id: String,
    /// How many events were applied.
    pub applied: u64,
    /// How many wait still.
    pub left: u64,
    /// What is wrong with the first of these; empty when none is left.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub poison: String,
}

/// The log of one reaction's redrives, `redrive/<reaction>`. It is read by people only.
#[derive(Debug, Clone, Default)]
pub struct Redrives;

impl Aggregate for Redrives {
    type Event = RedriveEvent;
    const CATEGORY: &'static str = "redrive";
    fn evolve(&mut self, _: &RedriveEvent) {}
}

/// What an operator wants redriven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The stream whose events are parked.
    pub key: String,
    /// Who, an opaque subject.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Names the wish. It is noted once however often it is said.
    pub operation_id: String,
}

/// What a redrive came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redriven {
    /// How many events were applied.
    pub applied: u64,
    /// How many wait still.
    pub left: u64,
    /// What is wrong with the first of those that wait.
    pub poison: Option<String>,
}

impl Reaction {
    /// The name of the reaction.
    pub fn name(&self) -> &'static str {
        self.reactor.name()
    }

    /// The service that it listens to.
    pub fn source(&self) -> &'static str {
        self.reactor.source()
    }

    /// The keys that are parked, the longest waiting first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn parked_keys(&self) -> Result<Vec<ParkedKey>, Error> {
        Ok(self.store.parked_keys(self.name(), PAGE_MAX).await?)
    }

    /// Applies the parked events of a key in order, until none is left or one cannot be applied as ever. Each is
    /// one commit, in which it also ceases to be parked, so a crash in between loses and doubles nothing.
    ///
    /// # Errors
    /// NOT_FOUND when nothing of the key is parked; and when the store is in trouble.
    pub async fn redrive(&self, wish: &Redrive) -> Result<Redriven, Error> {
        let mut waiting = self.parked_of(&wish.key).await?;
        if waiting.is_empty() {
            let what = format!("{} has parked nothing of {}", self.name(), wish.key);
            return Err(Error::new(Code::NotFound, "KEY_NOT_PARKED", what));
        }
        self.note_asked(wish).await?;
        let mut outcome = Redriven::default();
        // What comes meanwhile is parked behind the others, so it is looked again.
        while outcome.poison.is_none() && !waiting.is_empty() {
            for parked in &waiting {
                match self.redrive_one(parked, &wish.operation_id).await? {
                    None => outcome.applied += 1,
                    Some(reason) => {
                        outcome.poison = Some(reason);
                        break;
                    }
                }
            }
            waiting = self.parked_of(&wish.key).await?;
        }
        outcome.left = waiting.len() as u64;
        self.note_ended(wish, &outcome).await?;
        Ok(outcome)
    }

    async fn parked_of(&self, key: &str) -> Result<Vec<Parked>, Error> {
        let mut parked = self.store.parked(self.name(), PAGE_MAX).await?;
        parked.retain(|parked| *parked.stream == *key);
        Ok(parked)
    }

    /// Applies one event; answers why it cannot be applied.
    async fn redrive_one(&self, parked: &Parked, operation_id: &str) -> Result<Option<String>, Error> {
        let mark = self.store.inbox_mark(self.name(), &parked.source, &parked.stream).await?;
        let id = |what: &str| {
            let sequence = parked.sequence.to_string();
            CommitId::derived(&[self.name(), what, operation_id, &parked.stream, &sequence])
        };
        let work = match kept(parked) {
            _ if mark >= parked.sequence => Ok(Work::new(id("unpark"), Origin::by(self.name()))),
            Ok(event) if self.is_wanted(&event) => self.effects(&event),
            Ok(event) => Ok(self.skip(&[&event]).work(id("skip"))),
            Err(poison) => Err(poison),
        };
        let refusal = match work {
            Ok(work) => match self.store.commit(work.and(unparking(parked))).await {
                Ok(_) => return Ok(None),
                Err(error) => Refusal::of(error),
            },
            Err(poison) => Refusal::Poison(poison),
        };
        let reason = match refusal {
            Refusal::Machinery(error) | Refusal::Busy(error) => return Err(error),
            Refusal::Gap(error) => error.to_string(),
            Refusal::Poison(Poison { reason }) | Refusal::Perhaps(reason) => reason,
        };
        self.note_reason(parked, &reason, id("again")).await?;
        Ok(Some(reason))
    }

    /// The next operator sees what is wrong with it now.
    async fn note_reason(&self, parked: &Parked, reason: &str, id: CommitId) -> Result<(), Error> {
        let again = Parked { reason: reason.to_owned(), ..parked.clone() };
        let (reaction, source, stream) = (again.reaction.clone(), again.source.clone(), again.stream.clone());
        let work = Work::new(id, Origin::by(self.name()))
            .inbox(reaction.clone(), source.clone(), stream.clone())
            .decide(move |facts, _| {
                // Another operator may have got it through at the same time.
                let is_applied = facts.inbox(&reaction, &source, &stream) >= again.sequence;
                Ok(if is_applied { Decision::new() } else { Decision::new().park(again.clone()) })
            });
        self.store.commit(work).await?;
        Ok(())
    }

    async fn note_asked(&self, wish: &Redrive) -> Result<(), Error> {
        let Redrive { key, by, reason, operation_id } = wish.clone();
        let source = self.source().to_owned();
        let asked = RedriveAsked { source, key, by, reason, operation_id };
        self.audit("redrive-asked", wish, "", RedriveEvent::RedriveAsked(asked)).await
    }

    async fn note_ended(&self, wish: &Redrive, outcome: &Redriven) -> Result<(), Error> {
        let Redriven { applied, left, poison } = outcome.clone();
        let operation_id = wish.operation_id.clone();
        let what = format!("{applied}-{left}");
        let ended = RedriveEnded { operation_id, applied, left, poison: poison.unwrap_or_default() };
        self.audit("redrive-ended", wish, &what, RedriveEvent::RedriveEnded(ended)).await
    }

    async fn audit(
        &self,
        what: &str,
        wish: &Redrive,
        detail: &str,
        event: RedriveEvent,
    ) -> Result<(), Error> {
        let id = CommitId::derived(&[self.name(), what, &wish.operation_id, &wish.key, detail]);
        let stream = StreamId::of::<Redrives>(self.name());
        let origin = Origin::by(wish.by.as_str()).causation(wish.operation_id.as_str());
        let work = Work::new(id, origin)
            .decide(move |_, _| Ok(Decision::new().append(&stream, Expected::Any, vec![event.clone()])));
        self.store.commit(work).await?;
        Ok(())
    }
}

/// The event as it was parked.
fn kept(parked: &Parked) -> Result<FeedEvent, Poison> {
    let event = unhex(&parked.payload).and_then(|bytes| FeedEvent::decode(bytes.as_slice()).ok());
    event.ok_or_else(|| Poison { reason: "what was kept of the event cannot be read".to_owned() })
}

fn unparking(parked: &Parked) -> impl Fn(Decision) -> Decision + Send + Sync + 'static {
    let Parked { reaction, source, stream, sequence, .. } = parked.clone();
    move |decision| decision.unpark(reaction.clone(), source.clone(), stream.clone(), sequence)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_decider::StoredEvent;

    #[test]
    fn what_was_written_in_hex_is_read_again() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&super::super::hex(&bytes)), Some(bytes));
        assert_eq!([unhex("0"), unhex("0g"), unhex("é")], [None, None, None]);
    }

    #[test]
    fn the_audit_reads_as_it_was_written() {
        let asked = RedriveEvent::RedriveAsked(RedriveAsked {
            source: "order".into(),
            key: "order/o1".into(),
            by: "stf_1".into(),
            reason: "release 2 reads it".into(),
            operation_id: "op1".into(),
        });
        let ended = RedriveEvent::RedriveEnded(RedriveEnded {
            operation_id: "op1".into(),
            applied: 2,
            left: 0,
            poison: String::new(),
        });
        let stored = [
            r#"{"source":"order","key":"order/o1","by":"stf_1","reason":"release 2 reads it","operation_id":"op1"}"#,
            r#"{"operation_id":"op1","applied":2,"left":0}"#,
        ];
        for (event, json) in [asked, ended].into_iter().zip(stored) {
            assert_eq!(event.to_json(), json);
            assert_eq!(RedriveEvent::from_json(event.kind(), 1, json), Ok(event));
        }
    }
}
