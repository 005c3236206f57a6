//! One message that leaves the house, tried until it arrives or a day has passed.
//!
//! `QUEUED → SENDING → DELIVERED | FAILED (tried again) → DEAD | SUPPRESSED`. An attempt is recorded before it is
//! made; one that has no recorded end is made again after a crash, under the same id, so that a receiver can drop
//! what it has seen. At least once, and recognisably so.
use super::{DeliveryId, EndpointId, Facts, NotificationId};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// For how long a delivery is tried.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// The pause after the first failure; doubled after each further one …
pub const PAUSE_FIRST: Duration = Duration::from_secs(15);
/// … up to this.
pub const PAUSE_MAX: Duration = Duration::from_secs(2 * 3_600);

/// The endpoint was turned off before the delivery was made.
pub const ENDPOINT_OFF: &str = "ENDPOINT_OFF";
/// The person's address was forgotten before the delivery was made.
pub const NO_ADDRESS: &str = "NO_ADDRESS";
/// The person turned e-mail off before the delivery was made.
pub const TURNED_OFF: &str = "TURNED_OFF";

/// Where a delivery goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Target {
    /// To a person, wherever their address is by then.
    Email {
        /// The person.
        subject: Arc<str>,
        /// What they were told.
        notification_id: NotificationId,
        /// With which template.
        template: Arc<str>,
        /// And which version of it.
        version: u16,
        /// What its placeholders stand for.
        facts: Facts,
    },
    /// To a partner's endpoint.
    Webhook {
        /// Which one.
        endpoint_id: EndpointId,
        /// The body, the same at every attempt.
        body: Arc<str>,
    },
}

/// A message shall be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryQueued {
    /// Names it; receivers see it at every attempt.
    pub delivery_id: DeliveryId,
    /// What it tells, for example `order.confirmed`.
    pub what: Arc<str>,
    /// Where it goes.
    pub target: Target,
    /// When it was asked for.
    pub at: Timestamp,
}

/// An attempt begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// Its number, from 1.
    pub attempt: u32,
}

/// An attempt came to nothing and another one follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptFailed {
    /// Its number.
    pub attempt: u32,
    /// A code, never a receiver's words: those may be about a person.
    pub result: Arc<str>,
    /// When the next one is due.
    pub next_at: Timestamp,
}

/// The receiver has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryDone {
    /// The attempt that succeeded.
    pub attempt: u32,
    /// What the receiver answered, as a code.
    pub result: Arc<str>,
}

/// It was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryDead {
    /// The last attempt.
    pub attempt: u32,
    /// What it came to, as a code.
    pub result: Arc<str>,
}

/// It is not sent, on purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliverySuppressed {
    /// Why, as a code.
    pub reason: Arc<str>,
}

/// It shall be sent once more, from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedeliveryRequested {
    /// When that was asked for.
    pub at: Timestamp,
}

/// What happens to a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEvent {
    /// It was asked for.
    DeliveryQueued(DeliveryQueued),
    /// It is being tried.
    AttemptStarted(AttemptStarted),
    /// That failed.
    AttemptFailed(AttemptFailed),
    /// It arrived.
    DeliveryDone(DeliveryDone),
    /// It never will.
    DeliveryDead(DeliveryDead),
    /// It shall not.
    DeliverySuppressed(DeliverySuppressed),
    /// It shall again.
    RedeliveryRequested(RedeliveryRequested),
}
stored_events!(DeliveryEvent {
    DeliveryQueued: 1,
    AttemptStarted: 1,
    AttemptFailed: 1,
    DeliveryDone: 1,
    DeliveryDead: 1,
    DeliverySuppressed: 1,
    RedeliveryRequested: 1,
});

/// A delivery's state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Delivery {
    /// Nobody asked for it.
    #[default]
    Absent,
    /// It was asked for.
    Known(Known),
}

/// A delivery that was asked for. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What and whereto.
    pub queued: Arc<DeliveryQueued>,
    /// When it was last asked for: a day from then it is given up.
    pub since: Timestamp,
    /// How often it was tried in all.
    pub attempts: u32,
    /// How often since it was last asked for: what the pause follows from.
    pub tries: u32,
    /// How far it is.
    pub stage: Stage,
}

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// It waits for its first attempt.
    Queued,
    /// An attempt has begun and has no recorded end.
    Sending,
    /// It waits for another attempt.
    Waiting {
        /// When that is due.
        next_at: Timestamp,
    },
    /// It arrived.
    Done,
    /// It was given up.
    Dead,
    /// It was not sent, on purpose.
    Suppressed,
}

impl Delivery {
    /// The delivery, if it was asked for.
    pub fn known(&self) -> Option<&Known> {
        match self {
            Delivery::Known(known) => Some(known),
            Delivery::Absent => None,
        }
    }
}

impl Aggregate for Delivery {
    type Event = DeliveryEvent;
    const CATEGORY: &'static str = "delivery";

    fn evolve(&mut self, event: &DeliveryEvent) {
        match self {
            Delivery::Known(known) => known.evolve(event),
            Delivery::Absent => {
                if let DeliveryEvent::DeliveryQueued(queued) = event {
                    let (since, queued) = (queued.at, Arc::new(queued.clone()));
                    let stage = Stage::Queued;
                    *self = Delivery::Known(Known { queued, since, attempts: 0, tries: 0, stage });
                }
            }
        }
    }
}

impl Known {
    fn evolve(&mut self, event: &DeliveryEvent) {
        self.stage = match event {
            DeliveryEvent::DeliveryQueued(_) => return,
            DeliveryEvent::AttemptStarted(started) => {
                self.attempts = started.attempt;
                self.tries = self.tries.saturating_add(1);
                Stage::Sending
            }
            DeliveryEvent::AttemptFailed(failed) => Stage::Waiting { next_at: failed.next_at },
            DeliveryEvent::DeliveryDone(_) => Stage::Done,
            DeliveryEvent::DeliveryDead(_) => Stage::Dead,
            DeliveryEvent::DeliverySuppressed(_) => Stage::Suppressed,
            DeliveryEvent::RedeliveryRequested(asked) => {
                (self.since, self.tries) = (asked.at, 0);
                Stage::Queued
            }
        };
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Accepted(Arc<str>),
    /// It may work later.
    Failed(Arc<str>),
    /// It will never work.
    Refused(Arc<str>),
    /// It shall not be sent.
    Suppressed(&'static str),
}

/// Begins an attempt. One whose end was never recorded is made again; one that is not due, or is over, is not.
pub fn start(delivery: &Delivery, now: Timestamp) -> Vec<DeliveryEvent> {
    let Some(known) = delivery.known() else { return Vec::new() };
    let is_due = match &known.stage {
        Stage::Queued | Stage::Sending => true,
        Stage::Waiting { next_at } => *next_at <= now,
        Stage::Done | Stage::Dead | Stage::Suppressed => false,
    };
    let attempt = known.attempts.saturating_add(1);
    is_due.then_some(DeliveryEvent::AttemptStarted(AttemptStarted { attempt })).into_iter().collect()
}

/// Records what an attempt came to. Nothing when that is not the attempt that is being made.
pub fn settle(delivery: &Delivery, attempt: u32, outcome: &Outcome, now: Timestamp) -> Vec<DeliveryEvent> {
    let Some(known) = delivery.known() else { return Vec::new() };
    if known.stage != Stage::Sending || known.attempts != attempt {
        return Vec::new();
    }
    let event = match outcome {
        Outcome::Accepted(result) => {
            DeliveryEvent::DeliveryDone(DeliveryDone { attempt, result: Arc::clone(result) })
        }
        Outcome::Suppressed(reason) => {
            DeliveryEvent::DeliverySuppressed(DeliverySuppressed { reason: (*reason).into() })
        }
        Outcome::Refused(result) => dead(attempt, result),
        Outcome::Failed(result) => {
            let next_at = now.plus(pause(known.tries));
            let is_hopeless = next_at > known.since.plus(GIVE_UP_AFTER);
            if is_hopeless {
                dead(attempt, result)
            } else {
                DeliveryEvent::AttemptFailed(AttemptFailed { attempt, result: Arc::clone(result), next_at })
            }
        }
    };
    vec![event]
}

fn dead(attempt: u32, result: &Arc<str>) -> DeliveryEvent {
    DeliveryEvent::DeliveryDead(DeliveryDead { attempt, result: Arc::clone(result) })
}

/// The pause after so many tries.
pub fn pause(tries: u32) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

/// Sends it once more. Nothing while it is on its way.
pub fn redeliver(delivery: &Delivery, now: Timestamp) -> Vec<DeliveryEvent> {
    let is_over = delivery.known().is_some_and(|known| match known.stage {
        Stage::Done | Stage::Dead | Stage::Suppressed => true,
        Stage::Queued | Stage::Sending | Stage::Waiting { .. } => false,
    });
    let again = DeliveryEvent::RedeliveryRequested(RedeliveryRequested { at: now });
    is_over.then_some(again).into_iter().collect()
}
