//! An errand: something to be done with other services beside an order, by a saga in a stream of its own.
//! One per parcel that left (its stock and its money), per hold, and per cancel of lines. Whatever it comes to
//! is told to the order in the same commit.
use crate::domain::order::{
    ERRAND_STUCK, OrderEvent, OrderNeedsAttention, Pieces, ShippedLine, capture_refused,
};
use crate::{cancel_lines, dispatch, hold, refund_parcel, resend_parcel, void_rest};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::OrderId;
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Money;
use souk_saga::{Definition, Event, Intent, Outcome, Progress, Standing};
use std::sync::Arc;

/// What happens to an errand.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrandEvent {
    /// There is something to do.
    ErrandOpened(Arc<ErrandOpened>),
    /// Its saga moved.
    ErrandMoved(Event),
}
stored_events!(ErrandEvent { ErrandOpened: 1, ErrandMoved: 1 });

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrandOpened {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub task: Task,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Task {
    /// A parcel left: book it out, and take its money, which is a part of the order's total.
    Dispatch {
        shipment_id: Arc<str>,
        lines: Arc<[ShippedLine]>,
        amount: Money,
        total: Money,
        /// More was promised than the parcels of the order cost, or may have been.
        #[serde(default, skip_serializing_if = "is_false")]
        may_leave_rest: bool,
        /// Where its stock is reserved under another name than the order's: it is sent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resend_id: Option<OrderId>,
    },
    /// Shipping is to keep the order in the house.
    Hold { hold_id: Arc<str> },
    /// Shipping no longer is.
    Release { hold_id: Arc<str> },
    /// Pieces are called off; `total` is what the order then costs.
    CancelLines { cancel_id: Arc<str>, pieces: Arc<[Pieces]>, total: Money },
    /// What was promised for pieces that were called off is given up.
    VoidRest { amount: Money },
    /// A parcel did not arrive: what came back of it is booked in, and its money is given back.
    RefundParcel { shipment_id: Arc<str>, restock: Arc<[ShippedLine]>, refund: Money },
    /// The pieces of a lost parcel are sent again.
    ResendParcel { shipment_id: Arc<str>, resend_id: OrderId, pieces: Arc<[Pieces]> },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Task {
    /// The steps of its saga.
    pub fn definition(&self) -> &'static Definition {
        match self {
            Task::Dispatch { .. } => dispatch::definition(),
            Task::Hold { .. } => hold::hold(),
            Task::Release { .. } => hold::release(),
            Task::CancelLines { .. } => cancel_lines::definition(),
            Task::VoidRest { .. } => void_rest::definition(),
            Task::RefundParcel { .. } => refund_parcel::definition(),
            Task::ResendParcel { .. } => resend_parcel::definition(),
        }
    }

    /// What a person is told that it is about.
    pub fn about(&self) -> Arc<str> {
        match self {
            Task::Dispatch { shipment_id, .. }
            | Task::RefundParcel { shipment_id, .. }
            | Task::ResendParcel { shipment_id, .. } => shipment_id.clone(),
            Task::Hold { hold_id } | Task::Release { hold_id } => hold_id.clone(),
            Task::CancelLines { cancel_id, .. } => cancel_id.clone(),
            Task::VoidRest { .. } => void_rest::REST.into(),
        }
    }

    /// The errand's id: made of the order's, so that nobody's choice of words meets another's.
    pub fn id(&self, order_id: OrderId) -> String {
        match self {
            Task::Dispatch { shipment_id, .. } => format!("{order_id}.{shipment_id}"),
            Task::Hold { hold_id } => format!("{order_id}.hold.{hold_id}"),
            Task::Release { hold_id } => format!("{order_id}.release.{hold_id}"),
            Task::CancelLines { cancel_id, .. } => format!("{order_id}.cancel.{cancel_id}"),
            Task::VoidRest { .. } => format!("{order_id}.void.{}", void_rest::REST),
            Task::RefundParcel { shipment_id, .. } => format!("{order_id}.refund.{shipment_id}"),
            Task::ResendParcel { resend_id, .. } => format!("{order_id}.resend.{resend_id}"),
        }
    }
}

/// The state of an errand.
#[derive(Debug, Clone, Default)]
pub struct Errand {
    opened: Option<Arc<ErrandOpened>>,
    saga: Progress,
    /// The detail of the last refusal.
    refusal: String,
}

impl Aggregate for Errand {
    type Event = ErrandEvent;
    const CATEGORY: &'static str = "errand";

    fn evolve(&mut self, event: &ErrandEvent) {
        match event {
            ErrandEvent::ErrandOpened(opened) => self.opened = Some(opened.clone()),
            ErrandEvent::ErrandMoved(moved) => {
                if let Event::StepRefused { detail, .. } = moved {
                    self.refusal.clone_from(detail);
                }
                self.saga.evolve(moved);
            }
        }
    }
}

impl Errand {
    pub fn opened(&self) -> Option<&Arc<ErrandOpened>> {
        self.opened.as_ref()
    }

    pub fn saga(&self) -> &Progress {
        &self.saga
    }
}

/// Begins an errand with its saga.
pub fn open(order_id: OrderId, subject: &Arc<str>, task: Task) -> Vec<ErrandEvent> {
    let started = Progress::default().start(task.definition()).into_iter().map(ErrandEvent::ErrandMoved);
    let opened = Arc::new(ErrandOpened { order_id, subject: subject.clone(), task });
    std::iter::once(ErrandEvent::ErrandOpened(opened)).chain(started).collect()
}

/// Everything that it still has to do.
pub fn outstanding(errand: &Errand) -> Vec<Intent> {
    let definition = errand.opened.as_ref().map(|opened| opened.task.definition());
    definition.map(|definition| errand.saga.outstanding(definition)).unwrap_or_default()
}

/// What an answer leads to: for the errand, for the order, and perhaps another errand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    pub events: Vec<ErrandEvent>,
    pub to_order: Vec<OrderEvent>,
    pub next: Option<ErrandOpened>,
}

/// What to record about an attempt.
pub fn record(errand: &Errand, intent: &Intent, outcome: &Outcome, attempt: u32) -> Recorded {
    let Some(opened) = errand.opened.as_ref() else { return Recorded::default() };
    let outcome = match &opened.task {
        Task::Dispatch { .. } => dispatch::never_back(intent, outcome),
        Task::CancelLines { .. } => cancel_lines::never_back(intent, outcome),
        Task::VoidRest { .. } => void_rest::never_back(outcome),
        Task::RefundParcel { .. } => refund_parcel::never_back(intent, outcome),
        Task::ResendParcel { .. } => resend_parcel::never_back(intent, outcome),
        Task::Hold { .. } | Task::Release { .. } => hold::never_back(outcome),
    };
    with_consequences(errand, errand.saga.record(opened.task.definition(), intent, &outcome, attempt))
}

/// The saga's moves with what they mean for the order. A person may have made them.
pub fn with_consequences(errand: &Errand, moves: Vec<Event>) -> Recorded {
    let Some(opened) = errand.opened.as_ref() else { return Recorded::default() };
    let mut progress = errand.saga.clone();
    moves.iter().for_each(|moved| progress.evolve(moved));
    let by_hand = progress.was_settled_by_hand();
    let was_held = errand.saga.standing(dispatch::CAPTURE) == Standing::Refused;
    let mut detail = errand.refusal.clone();
    let mut recorded = Recorded::default();
    for moved in &moves {
        if let Event::StepRefused { detail: refusal, .. } = moved {
            detail.clone_from(refusal);
        }
        let (to_order, next) = consequence(opened, moved, &Told { by_hand, was_held, detail: &detail });
        recorded.to_order.extend(to_order);
        recorded.next = next.or(recorded.next);
    }
    recorded.events = moves.into_iter().map(ErrandEvent::ErrandMoved).collect();
    recorded
}

/// What a consequence may hang on, besides the move.
struct Told<'a> {
    by_hand: bool,
    was_held: bool,
    /// Of the last refusal.
    detail: &'a str,
}

fn consequence(
    opened: &ErrandOpened,
    moved: &Event,
    told: &Told<'_>,
) -> (Vec<OrderEvent>, Option<ErrandOpened>) {
    let Told { by_hand, was_held, detail } = *told;
    match moved {
        // After a retry by hand the money may be refused again; the order was held for it before.
        Event::NeedsOperator { reason, refused, .. } => stuck(opened, reason, *refused && !was_held),
        Event::Completed { .. } | Event::Undone { .. } | Event::Abandoned { .. } => {
            let told = match &opened.task {
                // Where a person settled it, nobody claims that money came.
                Task::Dispatch { .. } if by_hand => None,
                Task::Dispatch { shipment_id, amount, .. } => Some(dispatch::paid(shipment_id, *amount)),
                Task::CancelLines { cancel_id, pieces, total } => {
                    Some(cancel_lines::ended(opened, moved, cancel_id, pieces, *total))
                }
                Task::VoidRest { amount } => Some(void_rest::ended(*amount)),
                Task::RefundParcel { shipment_id, refund, .. } => {
                    let refund = if by_hand { Money::zero(refund.currency()) } else { *refund };
                    Some(refund_parcel::ended(opened, shipment_id, refund))
                }
                Task::ResendParcel { shipment_id, resend_id, .. } => {
                    Some(resend_parcel::ended(moved, shipment_id, *resend_id, detail))
                }
                Task::Hold { .. } | Task::Release { .. } => None,
            };
            (told.into_iter().collect(), None)
        }
        Event::Started { .. }
        | Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::StepDelayed { .. }
        | Event::UndoStarted { .. }
        | Event::StepUndone { .. }
        | Event::Intervened { .. } => (Vec::new(), None),
    }
}

/// A person is called. Where money can no longer be taken, nothing more of the order leaves the house.
fn stuck(opened: &ErrandOpened, reason: &str, refused: bool) -> (Vec<OrderEvent>, Option<ErrandOpened>) {
    let (order_id, subject, about) = (opened.order_id, opened.subject.clone(), opened.task.about());
    match &opened.task {
        Task::Dispatch { shipment_id, .. } if refused => {
            let hold_id: Arc<str> = format!("unpaid-{shipment_id}").into();
            let told = capture_refused(order_id, &subject, &hold_id, &about, reason).into();
            let next = ErrandOpened { order_id, subject, task: Task::Hold { hold_id } };
            (told, Some(next))
        }
        Task::Dispatch { .. }
        | Task::Hold { .. }
        | Task::Release { .. }
        | Task::CancelLines { .. }
        | Task::VoidRest { .. }
        | Task::RefundParcel { .. }
        | Task::ResendParcel { .. } => {
            let reason = ERRAND_STUCK.to_owned();
            let needs = OrderNeedsAttention { order_id, subject, reason, about };
            (vec![OrderEvent::OrderNeedsAttention(needs)], None)
        }
    }
}
