//! A return: pieces of an order that come back, from the request to the money. Which pieces may come back and
//! what they are worth is the order's to decide (`order/returns.rs`), in the same commit; what must be done with
//! other services follows as sagas in the return's own stream (`crate::returns`).
//!
//! Deliberately absent: the customer's words and address. Why a piece comes back is one of a few codes.
mod commands;
mod events;
mod options;

pub use commands::{
    Decided, EXCHANGE_TOO_DEAR, Inspection, Record, Request, approve, arrived, cancel, expire, inspect,
    receive, record, reject, request, restocking_fee,
};
pub use events::*;
pub use options::{LineOption, options};

use crate::domain::exchange::Replacement;
use crate::returns as saga;
use souk_contracts::terms::ReturnId;
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::Timer;
use souk_kernel::{Money, Timestamp};
use souk_saga::{Event, Progress};
use std::sync::Arc;
use std::time::Duration;

/// How long pieces may come back when the shop is at fault.
pub const FAULT_WINDOW: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How long an approved return may take to arrive.
pub const RETURN_TTL: Duration = Duration::from_secs(21 * 24 * 3_600);
/// The kind of the timer that ends it.
pub const EXPIRY_TIMER: &str = "return_expiry";
/// Claims of external references stand under this scope.
pub const EXTERNAL_REF_SCOPE: &str = "return_ref";

/// What happens to a return.
#[derive(Debug, Clone, PartialEq)]
pub enum ReturnEvent {
    /// The customer, or staff for them, wants to send pieces back.
    ReturnRequested(Arc<ReturnRequested>),
    /// Pieces came back over the counter.
    ReturnRecorded(Arc<ReturnRecorded>),
    /// The customer may send it.
    ReturnApproved(ReturnApproved),
    /// The customer may not.
    ReturnRejected(ReturnRejected),
    /// The customer keeps the pieces after all.
    ReturnCancelled(ReturnCancelled),
    /// There is a label to send it with.
    ReturnLabelIssued(ReturnLabelIssued),
    /// It arrived.
    ReturnReceived(ReturnReceived),
    /// It was looked at.
    ReturnInspected(Arc<ReturnInspected>),
    /// It is at its end.
    ReturnResolved(ReturnResolved),
    /// It did not arrive in time.
    ReturnExpired(ReturnExpired),
    /// It arrived after all.
    ReturnArrivedLate(ReturnArrivedLate),
    /// One of its sagas moved.
    ReturnMoved(Event),
}
stored_events!(ReturnEvent {
    ReturnRequested: 1,
    ReturnRecorded: 1,
    ReturnApproved: 1,
    ReturnRejected: 1,
    ReturnCancelled: 1,
    ReturnLabelIssued: 1,
    ReturnReceived: 1,
    ReturnInspected: 1,
    ReturnResolved: 1,
    ReturnExpired: 1,
    ReturnArrivedLate: 1,
    ReturnMoved: 1,
});

/// How far a return is, as far as people decide it.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Phase {
    /// There is no such return.
    #[default]
    Unknown,
    Requested,
    Approved {
        until: Timestamp,
    },
    Received,
    /// It was looked at; stock and money follow.
    Settling,
    Resolved(End),
    Rejected {
        note: String,
    },
    Expired,
    Cancelled,
    /// It had expired or was cancelled, and the parcel came.
    ArrivedLate,
}

/// How far a return is, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Requested,
    Approved,
    LabelIssued,
    Received,
    Inspected,
    Refunding,
    Refunded,
    Rejected,
    Expired,
    Cancelled,
    Declined,
    Exchanged,
    ArrivedLate,
}

impl Status {
    /// How a return ended that was looked at.
    pub fn of_end(end: End) -> Status {
        match end {
            End::Refunded { .. } => Status::Refunded,
            End::Declined => Status::Declined,
            End::Exchanged { .. } => Status::Exchanged,
        }
    }

    /// Whether something is still to be done, by somebody or by itself.
    pub fn is_open(self) -> bool {
        match self {
            Status::Requested
            | Status::Approved
            | Status::LabelIssued
            | Status::Received
            | Status::Inspected
            | Status::Refunding
            | Status::ArrivedLate => true,
            Status::Refunded
            | Status::Rejected
            | Status::Expired
            | Status::Cancelled
            | Status::Declined
            | Status::Exchanged => false,
        }
    }

    /// Whether whoever waits for the money has their answer.
    pub fn is_settled(self) -> bool {
        match self {
            Status::Inspected | Status::Refunding => false,
            Status::Requested
            | Status::Approved
            | Status::LabelIssued
            | Status::Received
            | Status::Refunded
            | Status::Rejected
            | Status::Expired
            | Status::Cancelled
            | Status::Declined
            | Status::Exchanged
            | Status::ArrivedLate => true,
        }
    }
}

/// How a return began.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    Requested(Arc<ReturnRequested>),
    Recorded(Arc<ReturnRecorded>),
}

/// The state of a return.
#[derive(Debug, Clone, Default)]
pub struct Return {
    begun: Option<Begun>,
    phase: Phase,
    label: Option<ReturnLabelIssued>,
    settlement: Option<Arc<Settlement>>,
    not_exchanged: Option<Arc<str>>,
    settle: Progress,
    labelling: Progress,
    voiding: Progress,
}

impl Aggregate for Return {
    type Event = ReturnEvent;
    const CATEGORY: &'static str = "return";

    fn evolve(&mut self, event: &ReturnEvent) {
        match event {
            ReturnEvent::ReturnRequested(requested) => {
                self.begun = Some(Begun::Requested(requested.clone()));
                self.phase = Phase::Requested;
            }
            ReturnEvent::ReturnRecorded(recorded) => {
                self.settlement = Some(Arc::new(recorded.settlement.clone()));
                self.begun = Some(Begun::Recorded(recorded.clone()));
                self.phase = Phase::Settling;
            }
            ReturnEvent::ReturnApproved(approved) => self.phase = Phase::Approved { until: approved.until },
            ReturnEvent::ReturnRejected(rejected) => {
                self.phase = Phase::Rejected { note: rejected.note.clone() };
            }
            ReturnEvent::ReturnCancelled(_) => self.phase = Phase::Cancelled,
            ReturnEvent::ReturnLabelIssued(label) => self.label = Some(label.clone()),
            ReturnEvent::ReturnReceived(_) => self.phase = Phase::Received,
            ReturnEvent::ReturnInspected(inspected) => {
                self.settlement = Some(Arc::new(inspected.settlement.clone()));
                self.phase = Phase::Settling;
            }
            ReturnEvent::ReturnResolved(resolved) => {
                self.phase = Phase::Resolved(resolved.end);
                self.not_exchanged.clone_from(&resolved.not_exchanged);
            }
            ReturnEvent::ReturnExpired(_) => self.phase = Phase::Expired,
            ReturnEvent::ReturnArrivedLate(_) => self.phase = Phase::ArrivedLate,
            ReturnEvent::ReturnMoved(moved) => match moved.saga() {
                saga::LABEL => self.labelling.evolve(moved),
                saga::VOID => self.voiding.evolve(moved),
                _ => self.settle.evolve(moved),
            },
        }
    }
}

impl Return {
    /// How it began; `None` when there is no such return.
    pub fn begun(&self) -> Option<&Begun> {
        self.begun.as_ref()
    }

    /// Whose it is and of what.
    pub fn whose(&self) -> Option<&Whose> {
        match self.begun.as_ref()? {
            Begun::Requested(requested) => Some(&requested.whose),
            Begun::Recorded(recorded) => Some(&recorded.whose),
        }
    }

    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    pub fn label(&self) -> Option<&ReturnLabelIssued> {
        self.label.as_ref()
    }

    /// What was found and what it is worth; `None` before it was looked at.
    pub fn settlement(&self) -> Option<&Arc<Settlement>> {
        self.settlement.as_ref()
    }

    /// What the customer wants instead; `None` where it is money.
    pub fn replacement(&self) -> Option<&Arc<Replacement>> {
        match self.begun.as_ref()? {
            Begun::Requested(requested) => requested.replacement.as_ref(),
            Begun::Recorded(_) => None,
        }
    }

    /// What goes back in money, as far as that is known: after the exchange, if it came to one.
    pub fn refund(&self) -> Option<Money> {
        match &self.phase {
            Phase::Resolved(End::Refunded { refund } | End::Exchanged { refund, .. }) => Some(*refund),
            Phase::Unknown
            | Phase::Requested
            | Phase::Approved { .. }
            | Phase::Received
            | Phase::Settling
            | Phase::Resolved(End::Declined)
            | Phase::Rejected { .. }
            | Phase::Expired
            | Phase::Cancelled
            | Phase::ArrivedLate => {
                let settlement = self.settlement.as_ref()?;
                Some(settlement.due(saga::swapped(&self.settle).as_ref()))
            }
        }
    }

    /// Why it was not exchanged although the customer wanted that.
    pub fn not_exchanged(&self) -> Option<&Arc<str>> {
        self.not_exchanged.as_ref()
    }

    /// The saga that books the stock and gives the money back.
    pub fn settle(&self) -> &Progress {
        &self.settle
    }

    /// The saga that gets a label.
    pub fn labelling(&self) -> &Progress {
        &self.labelling
    }

    /// The saga that makes a label worthless.
    pub fn voiding(&self) -> &Progress {
        &self.voiding
    }

    /// A person must look: a saga cannot go on by itself.
    pub fn needs_attention(&self) -> bool {
        [&self.settle, &self.labelling, &self.voiding].into_iter().any(|saga| saga.stuck().is_some())
    }

    /// Whether the shop is at fault, wholly or in part.
    pub fn is_at_fault(&self) -> bool {
        match &self.begun {
            Some(Begun::Requested(requested)) => {
                requested.lines.iter().any(|line| line.reason.is_shops_fault())
            }
            Some(Begun::Recorded(recorded)) => recorded.reason.is_shops_fault(),
            None => false,
        }
    }

    /// How far it is; `None` when there is no such return.
    pub fn status(&self) -> Option<Status> {
        Some(match &self.phase {
            Phase::Unknown => return None,
            Phase::Requested => Status::Requested,
            Phase::Approved { .. } if self.label.is_some() => Status::LabelIssued,
            Phase::Approved { .. } => Status::Approved,
            Phase::Received => Status::Received,
            Phase::Settling if self.settle.is_done(saga::RESTOCK) => Status::Refunding,
            Phase::Settling => Status::Inspected,
            Phase::Resolved(end) => Status::of_end(*end),
            Phase::Rejected { .. } => Status::Rejected,
            Phase::Expired => Status::Expired,
            Phase::Cancelled => Status::Cancelled,
            Phase::ArrivedLate => Status::ArrivedLate,
        })
    }
}

/// The timer that ends an approved return.
pub fn expiry_timer(return_id: ReturnId, until: Timestamp) -> Timer {
    Timer {
        key: expiry_key(return_id).into(),
        kind: EXPIRY_TIMER.into(),
        due: until,
        generation: 1,
        payload: return_id.to_string(),
    }
}

/// The key of that timer.
pub fn expiry_key(return_id: ReturnId) -> String {
    format!("{EXPIRY_TIMER}/{return_id}")
}

/// What a settled return told: how much went back.
pub fn nothing_of(settlement: &Settlement) -> Money {
    Money::zero(settlement.refund.currency())
}

#[cfg(test)]
pub(crate) mod tests;
