//! What an order's events mean for its money and for whoever watches it.
use super::{
    Dispute, Fulfilment, Label, Order, OrderEvent, Payment, PaymentDisputed, SAGA_STUCK, Transition,
};
use crate::{cancel, fulfil, place};
use souk_saga::Event;
use std::sync::Arc;

/// What stands in the way of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Obstacles {
    pub cancel_asked: bool,
    pub is_held: bool,
    pub awaits_customer: bool,
}

impl Obstacles {
    /// What is shown of an order that is not at its end, and that would be shown as `usual`.
    pub fn before(self, usual: Label) -> Label {
        match (self.cancel_asked, self.is_held, self.awaits_customer) {
            (true, _, _) => Label::Cancelling,
            (false, true, _) => Label::OnHold,
            (false, false, true) => Label::AwaitingCustomer,
            (false, false, false) => usual,
        }
    }
}

/// What decides where the money is.
#[derive(Debug, Clone, Copy)]
pub struct MoneyFacts {
    /// Where the sagas in the order's stream put it.
    pub by_sagas: Payment,
    /// The customer must act at the provider's.
    pub awaits_payment: bool,
    /// A parcel left and its money cannot be taken.
    pub capture_refused: bool,
    /// The customer's bank has taken it back, or wants to.
    pub disputed: bool,
    /// What was taken parcel by parcel, of what is owed.
    pub captured_minor: i64,
    pub total_minor: i64,
    /// What returns gave back.
    pub refunded_minor: i64,
}

impl Payment {
    /// Where the money is, of what is known by itself.
    pub fn of(facts: MoneyFacts) -> Payment {
        let MoneyFacts { captured_minor, total_minor, refunded_minor, .. } = facts;
        match facts.by_sagas {
            Payment::None if facts.awaits_payment => Payment::Pending,
            Payment::Authorized | Payment::Captured if facts.disputed => Payment::Disputed,
            Payment::Authorized | Payment::Captured
                if refunded_minor > 0 && refunded_minor >= total_minor =>
            {
                Payment::Refunded
            }
            Payment::Authorized if facts.capture_refused => Payment::Failed,
            Payment::Authorized | Payment::Captured if refunded_minor > 0 => Payment::PartiallyRefunded,
            Payment::Authorized if captured_minor > 0 && captured_minor >= total_minor => Payment::Captured,
            Payment::Authorized if captured_minor > 0 => Payment::PartiallyCaptured,
            Payment::None
            | Payment::Pending
            | Payment::Authorized
            | Payment::PartiallyCaptured
            | Payment::Captured
            | Payment::Voided
            | Payment::PartiallyRefunded
            | Payment::Refunded
            | Payment::Failed
            | Payment::Disputed => facts.by_sagas,
        }
    }
}

/// What decides where the goods are, in pieces.
#[derive(Debug, Clone, Copy)]
pub struct GoodsFacts {
    /// What is sold, without what was called off.
    pub sold: u64,
    /// What was given to carriers, without what they lost and was given up.
    pub handed_over: u64,
    /// Whether all of it came back; `None` where nothing did.
    pub all_back: Option<bool>,
}

impl Fulfilment {
    /// Where the goods are, of what is known by itself.
    pub fn of(facts: GoodsFacts) -> Fulfilment {
        match facts.all_back {
            Some(true) => Fulfilment::Returned,
            Some(false) => Fulfilment::PartiallyReturned,
            None if facts.handed_over == 0 => Fulfilment::Unfulfilled,
            None if facts.handed_over < facts.sold => Fulfilment::Partial,
            None => Fulfilment::Fulfilled,
        }
    }
}

/// What a dispute comes to; nothing that is known already, and no end of what never began.
pub fn disputed(order: &Order, dispute_id: &Arc<str>, dispute: Dispute) -> Vec<OrderEvent> {
    let known = order.dispute(dispute_id);
    let is_news = match dispute {
        Dispute::Opened => known.is_none(),
        Dispute::Won | Dispute::Lost => known == Some(Dispute::Opened),
    };
    if order.placed().is_none() || !is_news {
        return Vec::new();
    }
    vec![OrderEvent::PaymentDisputed(PaymentDisputed { dispute_id: dispute_id.clone(), dispute })]
}

impl Order {
    /// What a watcher is told of the event; `self` is the state before it.
    pub fn transition(&self, event: &OrderEvent) -> Option<Transition> {
        Some(match event {
            OrderEvent::OrderPlaced(_) => Transition::OrderPlaced,
            OrderEvent::OrderAwaitingCustomer(_) => Transition::OrderAwaitingCustomer,
            OrderEvent::RemainderAccepted(_) => Transition::PartialAccepted,
            OrderEvent::OrderConfirmed(_) => Transition::OrderConfirmed,
            OrderEvent::OrderRejected(_) => Transition::OrderRejected,
            OrderEvent::CancelRequested(_) => Transition::CancelRequested,
            OrderEvent::CancelRefused(_) => Transition::CancelRefused,
            OrderEvent::OrderCancelled(_) => Transition::OrderCancelled,
            OrderEvent::OrderProcessingStarted(_) => Transition::OrderProcessingStarted,
            OrderEvent::ParcelShipped(shipped) if shipped.is_last => Transition::OrderShipped,
            OrderEvent::ParcelShipped(_) => Transition::OrderPartiallyShipped,
            OrderEvent::ParcelMoved(_) => Transition::ParcelMoved,
            OrderEvent::ParcelPaid(_) => Transition::PaymentCaptured,
            OrderEvent::ParcelResolved(_) => Transition::ParcelResolved,
            OrderEvent::ParcelRefunded(_) => Transition::PaymentRefunded,
            OrderEvent::ParcelResent(_) => Transition::ParcelResent,
            OrderEvent::ResendRefused(_) => Transition::NeedsAttention,
            OrderEvent::PaymentDisputed(disputed) => match disputed.dispute {
                Dispute::Opened => Transition::PaymentDisputed,
                Dispute::Won => Transition::DisputeWon,
                Dispute::Lost => Transition::DisputeLost,
            },
            OrderEvent::OrderDelivered(_) => Transition::OrderDelivered,
            OrderEvent::OrderCompleted(_) => Transition::OrderCompleted,
            OrderEvent::OrderLineCancelled(_) => Transition::OrderLineCancelled,
            OrderEvent::LinesCancelRequested(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::RestVoidRequested(_) => return None,
            OrderEvent::RestVoided(_) => Transition::PaymentVoided,
            OrderEvent::ReturnOpened(_) => Transition::ReturnOpened,
            OrderEvent::GoodsReturned(_) => Transition::GoodsReturned,
            OrderEvent::ReturnRefunded(_) => Transition::PaymentRefunded,
            OrderEvent::ReturnClosed(_) => Transition::ReturnClosed,
            OrderEvent::OrderHeld(_) => Transition::OrderHeld,
            OrderEvent::OrderReleased(_) => Transition::OrderReleased,
            // The saga's own move is the one that is told.
            OrderEvent::OrderNeedsAttention(needs) if needs.reason == SAGA_STUCK => return None,
            OrderEvent::OrderNeedsAttention(_) => Transition::NeedsAttention,
            OrderEvent::SagaMoved(Event::NeedsOperator { .. }) => Transition::NeedsAttention,
            OrderEvent::SagaMoved(_) => return self.money_transition(event),
        })
    }

    fn money_transition(&self, event: &OrderEvent) -> Option<Transition> {
        match self.payment_after(event) {
            payment if payment == self.payment => None,
            Payment::Authorized => Some(Transition::PaymentAuthorized),
            Payment::Captured => Some(Transition::PaymentCaptured),
            Payment::Voided => Some(Transition::PaymentVoided),
            Payment::Refunded => Some(Transition::PaymentRefunded),
            Payment::None
            | Payment::Pending
            | Payment::PartiallyCaptured
            | Payment::PartiallyRefunded
            | Payment::Failed
            | Payment::Disputed => None,
        }
    }

    pub(super) fn payment_after(&self, event: &OrderEvent) -> Payment {
        match money_moved(event) {
            None => self.payment,
            Some(Payment::Voided) if self.payment == Payment::None => Payment::None,
            Some(payment) => payment,
        }
    }

    pub(super) fn evolve_saga(&mut self, moved: &Event) {
        if let Event::StepRefused { detail, .. } = moved {
            self.refusal_detail.clone_from(detail);
        }
        if ends_wait(moved) {
            self.awaits = None;
        }
        if moved.saga() == place::NAME {
            self.place.evolve(moved);
        } else if moved.saga() == fulfil::NAME {
            self.fulfil.evolve(moved);
        } else {
            self.cancel.evolve(moved);
        }
    }
}

/// Whether a move of the place saga ends the wait for the customer: the payment is decided, or the sale turns
/// back.
pub fn ends_wait(moved: &Event) -> bool {
    match moved {
        Event::StepDone { step, .. } => step == place::AUTHORIZE,
        Event::UndoStarted { saga, .. } => saga == place::NAME,
        Event::Started { .. }
        | Event::StepRefused { .. }
        | Event::StepDelayed { .. }
        | Event::StepUndone { .. }
        | Event::NeedsOperator { .. }
        | Event::Completed { .. }
        | Event::Undone { .. }
        | Event::Abandoned { .. }
        | Event::Intervened { .. } => false,
    }
}

/// Where a saga's move puts the money. A void of what was never authorised is no move; that is for the
/// reader to see.
pub fn money_moved(event: &OrderEvent) -> Option<Payment> {
    let OrderEvent::SagaMoved(moved) = event else { return None };
    match moved {
        Event::StepDone { step, output, .. } => match step.as_str() {
            place::AUTHORIZE => Some(Payment::Authorized),
            place::CAPTURE => Some(Payment::Captured),
            cancel::RETURN_MONEY if *output == cancel::REFUNDED => Some(Payment::Refunded),
            cancel::RETURN_MONEY => Some(Payment::Voided),
            _ => None,
        },
        Event::StepUndone { step, .. } if step == place::AUTHORIZE => Some(Payment::Voided),
        Event::Started { .. }
        | Event::StepRefused { .. }
        | Event::StepDelayed { .. }
        | Event::StepUndone { .. }
        | Event::UndoStarted { .. }
        | Event::NeedsOperator { .. }
        | Event::Completed { .. }
        | Event::Undone { .. }
        | Event::Abandoned { .. }
        | Event::Intervened { .. } => None,
    }
}
