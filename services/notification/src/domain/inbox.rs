//! One person's inbox: what they were told, in an order without gaps, and what they have read.
//!
//! The state is two numbers, and decisions do not even fold it: they read the same numbers from a view row of
//! the same commit. So an inbox of ten thousand notifications costs as little as an empty one.
use super::{Facts, NotificationId};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use std::sync::Arc;

/// The person was told something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    /// Its number in this inbox, from 1, without gaps (I-NO-2).
    pub sequence: u64,
    /// Names it.
    pub notification_id: NotificationId,
    /// Which template.
    pub template: Arc<str>,
    /// Which version of it: what was told is shown as it was told.
    pub version: u16,
    /// What its placeholders stand for.
    pub facts: Facts,
    /// The same key is told once (I-NO-1).
    pub dedup_key: Arc<str>,
}

/// Everything up to this number counts as read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadUpTo {
    /// The number.
    pub sequence: u64,
}

/// These count as read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadSome {
    /// Their numbers.
    pub sequences: Vec<u64>,
}

/// What happens to an inbox.
#[derive(Debug, Clone, PartialEq)]
pub enum InboxEvent {
    /// Something was told.
    Notified(Notified),
    /// A range was read.
    ReadUpTo(ReadUpTo),
    /// Single ones were read.
    ReadSome(ReadSome),
}
stored_events!(InboxEvent { Notified: 1, ReadUpTo: 1, ReadSome: 1 });

/// How far an inbox is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inbox {
    /// The number of the newest notification; 0 when there is none.
    pub last: u64,
    /// Up to where everything was read at once.
    pub read_up_to: u64,
}

impl Aggregate for Inbox {
    type Event = InboxEvent;
    const CATEGORY: &'static str = "inbox";

    fn evolve(&mut self, event: &InboxEvent) {
        match event {
            InboxEvent::Notified(notified) => self.last = notified.sequence,
            InboxEvent::ReadUpTo(read) => self.read_up_to = self.read_up_to.max(read.sequence),
            InboxEvent::ReadSome(_) => {}
        }
    }
}

/// Marks everything up to `sequence` as read, and not more than there is. Nothing when it was.
pub fn read_up_to(inbox: Inbox, sequence: u64) -> Vec<InboxEvent> {
    let sequence = sequence.min(inbox.last);
    let is_new = sequence > inbox.read_up_to;
    is_new.then_some(InboxEvent::ReadUpTo(ReadUpTo { sequence })).into_iter().collect()
}

/// Marks single ones as read, given those of them that are unread.
pub fn read_some(unread: Vec<u64>) -> Vec<InboxEvent> {
    let is_new = !unread.is_empty();
    is_new.then_some(InboxEvent::ReadSome(ReadSome { sequences: unread })).into_iter().collect()
}
