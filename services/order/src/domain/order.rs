//! An order: the acceptance of a quote, carried out by the sagas whose events stand in the same stream.
//! Whatever a saga's move means for the customer is decided here and recorded in the same commit.
use super::quote::QuoteCreated;
use super::{Caller, Line, not_found};
use crate::{cancel, place};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{CartId, Market, OrderId, Quantity, QuoteId, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Money, Rejection, Timestamp};
use souk_saga::{Intent, Outcome, Progress, TurnBack};
use std::sync::Arc;

/// The reason of every cancelled order.
pub const CANCELLED_BY_CUSTOMER: &str = "CANCELLED_BY_CUSTOMER";
/// The reason of an order that could not be confirmed in time.
pub const DEADLINE_PASSED: &str = "DEADLINE_PASSED";

/// What happens to an order.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    /// A quote was accepted.
    OrderPlaced(Arc<OrderPlaced>),
    /// The place saga or the cancel saga moved.
    SagaMoved(souk_saga::Event),
    /// Stock is committed and the money is promised.
    OrderConfirmed(OrderConfirmed),
    /// It came to nothing; everything was given back.
    OrderRejected(OrderRejected),
    /// The customer, or staff for them, called it off.
    CancelRequested(CancelRequested),
    /// It was called off; everything was given back.
    OrderCancelled(OrderCancelled),
}
stored_events!(OrderEvent {
    OrderPlaced: 1,
    SagaMoved: 1,
    OrderConfirmed: 1,
    OrderRejected: 1,
    CancelRequested: 1,
    OrderCancelled: 1,
});

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order_id: OrderId,
    pub quote_id: QuoteId,
    /// Whose order it is.
    pub subject: Arc<str>,
    /// Who placed it: the same, or a member of staff.
    pub placed_by: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<CartId>,
    /// Empty for a cart's order.
    pub external_ref: Arc<str>,
    pub market: Market,
    pub lines: Arc<[Line]>,
    pub total: Money,
    /// The payment provider's token; opaque here.
    pub payment_method_token: Arc<str>,
    pub placed_at: Timestamp,
}

impl OrderPlaced {
    /// Whether its prices were agreed with sales, rather than made of a cart.
    pub fn is_agreed(&self) -> bool {
        !self.external_ref.is_empty()
    }
}

/// Complete in itself: what others hear is made of this event alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    pub order_id: OrderId,
    pub quote_id: QuoteId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<CartId>,
    pub subject: Arc<str>,
    pub total: Money,
    pub lines: Arc<[ConfirmedLine]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfirmedLine {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
    #[serde(default)]
    pub cart_line: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRejected {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    /// A stable code.
    pub reason: String,
    /// What the reason is about: the SKUs that are short, a decline code.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// The subject of whoever asked.
    pub by: Arc<str>,
    /// Why, in the words of staff. A customer's words are not kept: they may be about a person.
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    /// A stable code.
    pub reason: String,
}

/// Where an order stands, as far as it is settled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Status {
    #[default]
    Pending,
    Confirmed,
    Rejected {
        reason: String,
        detail: String,
    },
    Cancelled {
        reason: String,
    },
}

/// What the customer sees: the status, and that a cancel is being carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Pending,
    Confirmed,
    Rejected,
    Cancelling,
    Cancelled,
}

impl Label {
    /// Whether there is nothing left to wait for. Money may still move after `Confirmed`.
    pub fn is_settled(self) -> bool {
        match self {
            Label::Pending | Label::Cancelling => false,
            Label::Confirmed | Label::Rejected | Label::Cancelled => true,
        }
    }
}

/// Where the money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payment {
    #[default]
    None,
    Authorized,
    Captured,
    Voided,
    Refunded,
}

/// What a customer who watches an order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    OrderPlaced,
    PaymentAuthorized,
    OrderConfirmed,
    PaymentCaptured,
    CancelRequested,
    PaymentVoided,
    PaymentRefunded,
    NeedsAttention,
    OrderRejected,
    OrderCancelled,
}

/// The state of an order.
#[derive(Debug, Clone, Default)]
pub struct Order {
    placed: Option<Arc<OrderPlaced>>,
    status: Status,
    payment: Payment,
    cancel_asked: bool,
    /// The detail of the last refusal by a participant.
    refusal_detail: String,
    place: Progress,
    cancel: Progress,
    version: u64,
    sequence: u64,
}

impl Aggregate for Order {
    type Event = OrderEvent;
    const CATEGORY: &'static str = "order";

    fn evolve(&mut self, event: &OrderEvent) {
        self.version += 1;
        if self.transition(event).is_some() {
            self.sequence = self.version;
        }
        self.payment = self.payment_after(event);
        match event {
            OrderEvent::OrderPlaced(placed) => self.placed = Some(placed.clone()),
            OrderEvent::SagaMoved(moved) => self.evolve_saga(moved),
            OrderEvent::OrderConfirmed(_) => self.status = Status::Confirmed,
            OrderEvent::OrderRejected(rejected) => {
                let (reason, detail) = (rejected.reason.clone(), rejected.detail.clone());
                self.status = Status::Rejected { reason, detail };
            }
            OrderEvent::CancelRequested(_) => self.cancel_asked = true,
            OrderEvent::OrderCancelled(cancelled) => {
                self.status = Status::Cancelled { reason: cancelled.reason.clone() };
            }
        }
    }
}

impl Order {
    /// What was placed; `None` when there is no such order.
    pub fn placed(&self) -> Option<&Arc<OrderPlaced>> {
        self.placed.as_ref()
    }

    pub fn status(&self) -> &Status {
        &self.status
    }

    pub fn payment(&self) -> Payment {
        self.payment
    }

    /// The number of the last transition: the stream's version that it has.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether a cancel was accepted.
    pub fn cancel_asked(&self) -> bool {
        self.cancel_asked
    }

    pub fn place(&self) -> &Progress {
        &self.place
    }

    pub fn cancel(&self) -> &Progress {
        &self.cancel
    }

    pub(crate) fn refusal_detail(&self) -> &str {
        &self.refusal_detail
    }

    pub fn label(&self) -> Label {
        match (&self.status, self.cancel_asked) {
            (Status::Pending | Status::Confirmed, true) => Label::Cancelling,
            (Status::Pending, false) => Label::Pending,
            (Status::Confirmed, false) => Label::Confirmed,
            (Status::Rejected { .. }, _) => Label::Rejected,
            (Status::Cancelled { .. }, _) => Label::Cancelled,
        }
    }

    /// Whether nothing will happen any more unless somebody asks for it.
    pub fn is_over(&self) -> bool {
        self.label().is_settled() && !self.place.is_open() && !self.cancel.is_open()
    }

    /// Why it was rejected or cancelled, and what that is about.
    pub fn reason(&self) -> (&str, &str) {
        match &self.status {
            Status::Pending | Status::Confirmed => ("", ""),
            Status::Rejected { reason, detail } => (reason, detail),
            Status::Cancelled { reason } => (reason, ""),
        }
    }

    /// A person must look: a saga cannot go on by itself.
    pub fn needs_attention(&self) -> bool {
        self.place.stuck().is_some() || self.cancel.stuck().is_some()
    }

    /// What a watcher is told of the event; `self` is the state before it.
    pub fn transition(&self, event: &OrderEvent) -> Option<Transition> {
        match event {
            OrderEvent::OrderPlaced(_) => Some(Transition::OrderPlaced),
            OrderEvent::OrderConfirmed(_) => Some(Transition::OrderConfirmed),
            OrderEvent::OrderRejected(_) => Some(Transition::OrderRejected),
            OrderEvent::CancelRequested(_) => Some(Transition::CancelRequested),
            OrderEvent::OrderCancelled(_) => Some(Transition::OrderCancelled),
            OrderEvent::SagaMoved(souk_saga::Event::NeedsOperator { .. }) => Some(Transition::NeedsAttention),
            OrderEvent::SagaMoved(_) => match self.payment_after(event) {
                payment if payment == self.payment => None,
                Payment::None => None,
                Payment::Authorized => Some(Transition::PaymentAuthorized),
                Payment::Captured => Some(Transition::PaymentCaptured),
                Payment::Voided => Some(Transition::PaymentVoided),
                Payment::Refunded => Some(Transition::PaymentRefunded),
            },
        }
    }

    fn payment_after(&self, event: &OrderEvent) -> Payment {
        match money_moved(event) {
            None => self.payment,
            Some(Payment::Voided) if self.payment == Payment::None => Payment::None,
            Some(payment) => payment,
        }
    }

    fn evolve_saga(&mut self, moved: &souk_saga::Event) {
        if let souk_saga::Event::StepRefused { detail, .. } = moved {
            self.refusal_detail.clone_from(detail);
        }
        if moved.saga() == place::definition().name() {
            self.place.evolve(moved);
        } else {
            self.cancel.evolve(moved);
        }
    }
}

/// Where a saga's move puts the money. A void of what was never authorised is no move; that is for the
/// reader to see.
pub fn money_moved(event: &OrderEvent) -> Option<Payment> {
    match event {
        OrderEvent::SagaMoved(souk_saga::Event::StepDone { step, output, .. }) => match step.as_str() {
            place::AUTHORIZE => Some(Payment::Authorized),
            place::CAPTURE => Some(Payment::Captured),
            cancel::RETURN_MONEY if *output == cancel::REFUNDED => Some(Payment::Refunded),
            cancel::RETURN_MONEY => Some(Payment::Voided),
            _ => None,
        },
        OrderEvent::SagaMoved(souk_saga::Event::StepUndone { step, .. }) if step == place::AUTHORIZE => {
            Some(Payment::Voided)
        }
        OrderEvent::SagaMoved(_)
        | OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::CancelRequested(_)
        | OrderEvent::OrderCancelled(_) => None,
    }
}

/// A quote was accepted by this order.
#[derive(Debug, Clone)]
pub struct Place {
    pub order_id: OrderId,
    pub placed_by: Arc<str>,
    pub payment_method_token: Arc<str>,
}

/// Begins the order and its saga. The quote has decided that it may.
pub fn place(order: &Order, offer: &QuoteCreated, place: &Place, now: Timestamp) -> Vec<OrderEvent> {
    let placed = OrderPlaced {
        order_id: place.order_id,
        quote_id: offer.quote_id,
        subject: offer.subject.clone(),
        placed_by: place.placed_by.clone(),
        cart_id: offer.cart_id(),
        external_ref: offer.external_ref().into(),
        market: offer.market.clone(),
        lines: offer.lines.clone(),
        total: offer.total,
        payment_method_token: place.payment_method_token.clone(),
        placed_at: now,
    };
    let started = order.place.start(place::definition()).into_iter().map(OrderEvent::SagaMoved);
    std::iter::once(OrderEvent::OrderPlaced(Arc::new(placed))).chain(started).collect()
}

/// Somebody calls the order off.
#[derive(Debug, Clone)]
pub struct Cancel {
    pub caller: Caller,
    pub by: Arc<str>,
    /// Kept only when staff says it.
    pub note: String,
}

/// Turns the sale back while that is possible, and returns stock and money after that.
pub fn cancel(order: &Order, cancel: &Cancel) -> Result<Vec<OrderEvent>, Rejection> {
    let placed = order.placed.as_ref();
    let placed = placed.filter(|placed| cancel.caller.may_see(&placed.subject, placed.is_agreed()));
    placed.ok_or_else(|| not_found("the order"))?;
    let cancelled_already = matches!(order.status, Status::Cancelled { .. });
    if cancelled_already || (order.cancel_asked && !order.label().is_settled()) {
        return Ok(Vec::new());
    }
    let requested = OrderEvent::CancelRequested(CancelRequested {
        by: cancel.by.clone(),
        note: if cancel.caller.sells || cancel.caller.looks_after {
            cancel.note.clone()
        } else {
            String::new()
        },
    });
    let follows = match &order.status {
        Status::Pending => cancel_pending(order)?,
        Status::Confirmed => cancel::take_over(order.place()),
        Status::Rejected { .. } | Status::Cancelled { .. } => return Err(too_late(order)),
    };
    Ok(std::iter::once(requested).chain(follows).collect())
}

fn cancel_pending(order: &Order) -> Result<Vec<OrderEvent>, Rejection> {
    match order.place.turn_back(place::definition(), CANCELLED_BY_CUSTOMER) {
        TurnBack::Events(moves) => Ok(place::with_consequences(order, moves)),
        // The record of the pivot's answer looks at the request and goes the right way.
        TurnBack::PivotInDoubt => Ok(Vec::new()),
        // The sale is failing by itself; its own reason is the truth about it.
        TurnBack::Already | TurnBack::TooLate => Err(too_late(order)),
    }
}

fn too_late(order: &Order) -> Rejection {
    let (reason, _) = order.reason();
    Rejection::new("CANCEL_TOO_LATE", "the order came to nothing by itself").with("reason", reason)
}

/// The time to confirm is over: turns back unless the pivot is done or in doubt.
pub fn deadline_passed(order: &Order) -> Vec<OrderEvent> {
    match order.place.turn_back(place::definition(), DEADLINE_PASSED) {
        TurnBack::Events(moves) => place::with_consequences(order, moves),
        TurnBack::PivotInDoubt | TurnBack::Already | TurnBack::TooLate => Vec::new(),
    }
}

/// What to record about an attempt at a step of either saga.
pub fn record(order: &Order, intent: &Intent, outcome: &Outcome, attempt: u32) -> Vec<OrderEvent> {
    if intent.saga == place::definition().name() {
        place::record(order, intent, outcome, attempt)
    } else {
        cancel::record(order, intent, outcome, attempt)
    }
}

/// What to record when a person has moved one of the sagas.
pub fn moved(order: &Order, moves: Vec<souk_saga::Event>) -> Vec<OrderEvent> {
    let of_place = moves.first().is_some_and(|moved| moved.saga() == place::definition().name());
    if of_place { place::with_consequences(order, moves) } else { cancel::with_consequences(order, moves) }
}

/// Everything that either saga still has to do.
pub fn outstanding(order: &Order) -> Vec<Intent> {
    let mut intents = order.place.outstanding(place::definition());
    intents.extend(order.cancel.outstanding(cancel::definition()));
    intents
}

#[cfg(test)]
mod by_hand_tests;
#[cfg(test)]
mod tests;
