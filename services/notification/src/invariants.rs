//! What must always hold, as predicates over the log. Used by tests and by the audit of live stores.
//!
//! I-NO-3 (a slow subscriber slows nobody) holds by construction: subscribers read, nothing is pushed at them.
//! I-NO-5 (nothing to the forgotten) is held by the decision; there are no suspended accounts yet.
use crate::domain::{Delivery, DeliveryEvent, InboxEvent};
use souk_decider::Aggregate;
use std::collections::BTreeSet;

/// I-NO-1: one notification per key. Takes one inbox's events in order.
pub fn told_once<'a>(events: impl IntoIterator<Item = &'a InboxEvent>) -> Result<(), String> {
    let (mut keys, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        if let InboxEvent::Notified(notified) = event
            && (!keys.insert(&notified.dedup_key) || !ids.insert(notified.notification_id))
        {
            return Err(format!("{} was told twice", notified.notification_id));
        }
    }
    Ok(())
}

/// I-NO-2: an inbox is numbered 1, 2, 3, … without gaps, and nothing counts as read that was not told. Takes
/// one inbox's events in order.
pub fn gap_free<'a>(events: impl IntoIterator<Item = &'a InboxEvent>) -> Result<(), String> {
    let mut last = 0_u64;
    for event in events {
        let (got, is_right) = match event {
            InboxEvent::Notified(notified) => {
                last = last.saturating_add(1);
                (notified.sequence, notified.sequence == last)
            }
            InboxEvent::ReadUpTo(read) => (read.sequence, (1..=last).contains(&read.sequence)),
            InboxEvent::ReadSome(read) => {
                let wrong = read.sequences.iter().copied().find(|n| !(1..=last).contains(n));
                (wrong.unwrap_or(last), wrong.is_none())
            }
        };
        if !is_right {
            return Err(format!("number {got} where {last} notifications were told"));
        }
    }
    Ok(())
}

/// A delivery begins once, each attempt is numbered, and nothing happens to one that is over unless a person
/// asked for it again. Takes one delivery's events in order.
pub fn attempts_in_order<'a>(events: impl IntoIterator<Item = &'a DeliveryEvent>) -> Result<(), String> {
    let mut state = Delivery::default();
    let mut open: Option<u32> = None;
    for event in events {
        let attempts = state.known().map_or(0, |known| known.attempts);
        let is_right = match event {
            DeliveryEvent::DeliveryQueued(_) => state.known().is_none(),
            DeliveryEvent::AttemptStarted(started) => started.attempt == attempts.saturating_add(1),
            DeliveryEvent::AttemptFailed(failed) => open == Some(failed.attempt),
            DeliveryEvent::DeliveryDone(done) => open == Some(done.attempt),
            DeliveryEvent::DeliveryDead(dead) => open == Some(dead.attempt),
            DeliveryEvent::DeliverySuppressed(_) => open.is_some(),
            DeliveryEvent::RedeliveryRequested(_) => open.is_none(),
        };
        if !is_right {
            return Err(format!("{event:?} after attempt {attempts}"));
        }
        open = match event {
            DeliveryEvent::AttemptStarted(started) => Some(started.attempt),
            DeliveryEvent::DeliveryQueued(_)
            | DeliveryEvent::AttemptFailed(_)
            | DeliveryEvent::DeliveryDone(_)
            | DeliveryEvent::DeliveryDead(_)
            | DeliveryEvent::DeliverySuppressed(_)
            | DeliveryEvent::RedeliveryRequested(_) => None,
        };
        state.evolve(event);
    }
    Ok(())
}
