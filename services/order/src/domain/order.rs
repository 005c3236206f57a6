//! An order: the acceptance of a quote, carried out by the sagas whose events stand in the same stream, and
//! what became of its parcels. Whatever a saga's move means for the customer is decided here and recorded in
//! the same commit.
mod after;
mod commands;
mod events;
mod moves;
mod parcels;
mod returns;
mod timers;
mod undelivered;

pub use after::{Parcel, Rest};
pub use commands::{
    Cancel, Place, cancel, capture_refused, confirm_partial, customer_late, deadline_passed, hold, place,
    release, return_window_over, undo_window_over,
};
pub use events::*;
pub use moves::{GoodsFacts, MoneyFacts, Obstacles, disputed, ends_wait, money_moved};
pub use parcels::{HandedOver, Lines, NOT_ARRIVED, OrderLines, SHIPMENT_LOST, handed_over, looked_at, moved};
pub use returns::{RETURNS_MAX, Returns, Worth, arrivals};
pub use timers::{
    ARRIVAL_TIMER, CUSTOMER_TIMER, RETURNS_TIMER, Timers, UNDO_TIMER, Windows, arrival_timer, timers,
};
pub use undelivered::{LOST_PARCEL_ARRIVED, Resolve, UNDELIVERABLE_FEE_PERCENT, not_resent, resolve};

use super::{Delivery, Line, Terms};
use crate::{cancel as cancelling, fulfil, place as placing};
use after::After;
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Money, Timestamp};
use souk_saga::{Intent, Outcome, Progress};
use std::sync::Arc;

/// The reason of an order that its customer called off.
pub const CANCELLED_BY_CUSTOMER: &str = "CANCELLED_BY_CUSTOMER";
/// The reason of an order that staff called off.
pub const CANCELLED_BY_STAFF: &str = "CANCELLED_BY_STAFF";
/// The reason of an order that could not be confirmed in time.
pub const DEADLINE_PASSED: &str = "DEADLINE_PASSED";
/// The reason of an order whose customer did not act in time.
pub const CUSTOMER_TOO_LATE: &str = "CUSTOMER_TOO_LATE";
/// The reason of an order whose customer did not want a part of it.
pub const PARTIAL_REFUSED: &str = "PARTIAL_REFUSED";
/// Why a hold by staff keeps an order.
pub const HELD_BY_STAFF: &str = "HELD_BY_STAFF";
/// Why an order is kept whose payment can no longer be taken.
pub const CAPTURE_REFUSED: &str = "CAPTURE_REFUSED";
/// What a person is called for: a saga of the order cannot go on by itself. It shows as long as the saga stands.
pub const SAGA_STUCK: &str = "SAGA_STUCK";
/// What a person is called for: an errand beside the order cannot go on by itself.
pub const ERRAND_STUCK: &str = "ERRAND_STUCK";
/// What a person is called for: the parcel of a return came after that had ended.
pub const RETURN_ARRIVED_LATE: &str = "RETURN_ARRIVED_LATE";

/// What happens to an order.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderEvent {
    /// A quote was accepted.
    OrderPlaced(Arc<OrderPlaced>),
    /// One of the sagas in the order's own stream moved.
    SagaMoved(souk_saga::Event),
    /// The customer must act, or the order comes to nothing.
    OrderAwaitingCustomer(OrderAwaitingCustomer),
    /// The customer takes what there is.
    RemainderAccepted(RemainderAccepted),
    /// Stock is committed and the money is promised.
    OrderConfirmed(OrderConfirmed),
    /// It came to nothing; everything was given back.
    OrderRejected(OrderRejected),
    /// The customer, or staff for them, called it off.
    CancelRequested(CancelRequested),
    /// Shipping could no longer stop it.
    CancelRefused(CancelRefused),
    /// It was called off; everything was given back.
    OrderCancelled(OrderCancelled),
    /// It is handed to shipping.
    OrderProcessingStarted(OrderProcessingStarted),
    /// A parcel left the house.
    ParcelShipped(Arc<ParcelShipped>),
    /// A parcel is somewhere else now.
    ParcelMoved(ParcelMoved),
    /// The money of a parcel was taken.
    ParcelPaid(ParcelPaid),
    /// Staff decided what becomes of a parcel that did not arrive.
    ParcelResolved(Arc<ParcelResolved>),
    /// What was decided about a parcel is done.
    ParcelRefunded(ParcelRefunded),
    /// Shipping has the pieces of a parcel to send again.
    ParcelResent(ParcelResent),
    /// The pieces of a parcel cannot be sent again.
    ResendRefused(ResendRefused),
    /// The customer's bank took the money back, or what came of it.
    PaymentDisputed(PaymentDisputed),
    /// Every parcel has arrived.
    OrderDelivered(OrderDelivered),
    /// The time for returns is over.
    OrderCompleted(OrderCompleted),
    /// Pieces are to be called off.
    LinesCancelRequested(LinesCancelRequested),
    /// Pieces were called off.
    OrderLineCancelled(OrderLineCancelled),
    /// Pieces could no longer be called off.
    LinesCancelRefused(LinesCancelRefused),
    /// What is promised beyond what was taken is to be given up.
    RestVoidRequested(RestVoidRequested),
    /// Nothing is promised any more beyond what was taken.
    RestVoided(RestVoided),
    /// It stays in the house.
    OrderHeld(OrderHeld),
    /// Nothing keeps it in the house any more.
    OrderReleased(OrderReleased),
    /// A person must look.
    OrderNeedsAttention(OrderNeedsAttention),
    /// Pieces are to come back.
    ReturnOpened(ReturnOpened),
    /// Pieces came back, and what they are worth is decided.
    GoodsReturned(Arc<GoodsReturned>),
    /// The money of a return was given back.
    ReturnRefunded(ReturnRefunded),
    /// A return came to nothing.
    ReturnClosed(ReturnClosed),
}
stored_events!(OrderEvent {
    OrderPlaced: 1,
    SagaMoved: 1,
    OrderAwaitingCustomer: 1,
    RemainderAccepted: 1,
    OrderConfirmed: 1,
    OrderRejected: 1,
    CancelRequested: 1,
    CancelRefused: 1,
    OrderCancelled: 1,
    OrderProcessingStarted: 1,
    ParcelShipped: 1,
    ParcelMoved: 1,
    ParcelPaid: 1,
    ParcelResolved: 1,
    ParcelRefunded: 1,
    ParcelResent: 1,
    ResendRefused: 1,
    PaymentDisputed: 1,
    OrderDelivered: 1,
    OrderCompleted: 1,
    LinesCancelRequested: 1,
    OrderLineCancelled: 1,
    LinesCancelRefused: 1,
    RestVoidRequested: 1,
    RestVoided: 1,
    OrderHeld: 1,
    OrderReleased: 1,
    OrderNeedsAttention: 1,
    ReturnOpened: 1,
    GoodsReturned: 1,
    ReturnRefunded: 1,
    ReturnClosed: 1,
});

/// Where an order stands, as far as it is settled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Status {
    #[default]
    Pending,
    Confirmed,
    Processing,
    PartiallyShipped,
    Shipped,
    Delivered,
    Completed,
    Rejected {
        reason: String,
        detail: String,
    },
    Cancelled {
        reason: String,
    },
}

/// The order's own axis, as it is shown: the status, and what stands in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Pending,
    AwaitingCustomer,
    Confirmed,
    Processing,
    PartiallyShipped,
    Shipped,
    Delivered,
    Completed,
    OnHold,
    Rejected,
    Cancelling,
    Cancelled,
}

impl Label {
    /// Whether whoever placed it has their answer. Money and goods may still move.
    pub fn is_settled(self) -> bool {
        match self {
            Label::Pending | Label::Cancelling => false,
            Label::AwaitingCustomer
            | Label::Confirmed
            | Label::Processing
            | Label::PartiallyShipped
            | Label::Shipped
            | Label::Delivered
            | Label::Completed
            | Label::OnHold
            | Label::Rejected
            | Label::Cancelled => true,
        }
    }
}

/// Where the money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payment {
    #[default]
    None,
    /// The customer must act at the provider's.
    Pending,
    Authorized,
    PartiallyCaptured,
    Captured,
    Voided,
    PartiallyRefunded,
    Refunded,
    /// A parcel left and its money cannot be taken.
    Failed,
    Disputed,
}

/// Where the goods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fulfilment {
    /// Nothing was handed over.
    #[default]
    Unfulfilled,
    /// Some of it was.
    Partial,
    /// All that is sold was.
    Fulfilled,
    PartiallyReturned,
    Returned,
}

/// What a customer who watches an order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    OrderPlaced,
    OrderAwaitingCustomer,
    PartialAccepted,
    PaymentAuthorized,
    OrderConfirmed,
    PaymentCaptured,
    PaymentDisputed,
    DisputeWon,
    DisputeLost,
    CancelRequested,
    CancelRefused,
    ParcelResolved,
    ParcelResent,
    PaymentVoided,
    PaymentRefunded,
    NeedsAttention,
    OrderRejected,
    OrderCancelled,
    OrderProcessingStarted,
    OrderPartiallyShipped,
    OrderShipped,
    ParcelMoved,
    OrderDelivered,
    OrderCompleted,
    OrderLineCancelled,
    OrderHeld,
    OrderReleased,
    ReturnOpened,
    GoodsReturned,
    ReturnClosed,
}

/// The state of an order.
#[derive(Debug, Clone, Default)]
pub struct Order {
    placed: Option<Arc<OrderPlaced>>,
    status: Status,
    /// As far as the sagas in the order's stream moved the money.
    payment: Payment,
    awaits: Option<Arc<OrderAwaitingCustomer>>,
    cancel_asked: Option<CancelBy>,
    cancel_refused: Option<String>,
    /// The detail of the last refusal by a participant.
    refusal_detail: String,
    place: Progress,
    cancel: Progress,
    fulfil: Progress,
    after: Option<Arc<After>>,
    version: u64,
    sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CancelBy {
    Customer,
    Staff,
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
            OrderEvent::OrderAwaitingCustomer(asked) => self.awaits = Some(Arc::new(asked.clone())),
            OrderEvent::RemainderAccepted(accepted) => {
                self.awaits = None;
                self.after_mut().remainder = Some(accepted.remainder.clone());
            }
            OrderEvent::OrderConfirmed(_) => self.status = Status::Confirmed,
            OrderEvent::OrderRejected(rejected) => {
                let (reason, detail) = (rejected.reason.clone(), rejected.detail.clone());
                self.status = Status::Rejected { reason, detail };
            }
            OrderEvent::CancelRequested(asked) => {
                let by = if asked.by_staff { CancelBy::Staff } else { CancelBy::Customer };
                self.cancel_asked = Some(by);
                if self.after.is_some() {
                    self.after_mut().evolve(event);
                }
            }
            OrderEvent::CancelRefused(refused) => {
                self.cancel_asked = None;
                self.cancel_refused = Some(refused.reason.clone());
            }
            OrderEvent::OrderCancelled(cancelled) => {
                self.status = Status::Cancelled { reason: cancelled.reason.clone() };
            }
            OrderEvent::OrderProcessingStarted(_) => self.status = Status::Processing,
            OrderEvent::OrderDelivered(_) => self.status = Status::Delivered,
            OrderEvent::OrderCompleted(_) => self.status = Status::Completed,
            OrderEvent::ParcelShipped(shipped) => {
                // What is sent again had left before.
                if shipped.again.is_none() {
                    self.status = if shipped.is_last { Status::Shipped } else { Status::PartiallyShipped };
                }
                self.after_mut().evolve(event);
            }
            OrderEvent::ParcelMoved(_)
            | OrderEvent::ParcelPaid(_)
            | OrderEvent::PaymentDisputed(_)
            | OrderEvent::LinesCancelRequested(_)
            | OrderEvent::OrderLineCancelled(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::ParcelResent(_)
            | OrderEvent::ResendRefused(_)
            | OrderEvent::ParcelResolved(_)
            | OrderEvent::ParcelRefunded(_)
            | OrderEvent::RestVoidRequested(_)
            | OrderEvent::RestVoided(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::OrderReleased(_)
            | OrderEvent::OrderNeedsAttention(_)
            | OrderEvent::ReturnOpened(_)
            | OrderEvent::GoodsReturned(_)
            | OrderEvent::ReturnRefunded(_)
            | OrderEvent::ReturnClosed(_) => self.after_mut().evolve(event),
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

    /// The number of the last transition: the stream's version that it has.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How many events made it.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a cancel was accepted, and is not refused.
    pub fn cancel_asked(&self) -> bool {
        self.cancel_asked.is_some()
    }

    /// The reason that a cancelled order has.
    pub fn cancel_reason(&self) -> &'static str {
        match self.cancel_asked {
            Some(CancelBy::Staff) => CANCELLED_BY_STAFF,
            Some(CancelBy::Customer) | None => CANCELLED_BY_CUSTOMER,
        }
    }

    /// Why a cancel that was accepted came to nothing.
    pub fn cancel_refused(&self) -> Option<&str> {
        self.cancel_refused.as_deref()
    }

    pub fn place(&self) -> &Progress {
        &self.place
    }

    pub fn cancel(&self) -> &Progress {
        &self.cancel
    }

    pub fn fulfil(&self) -> &Progress {
        &self.fulfil
    }

    pub(crate) fn refusal_detail(&self) -> &str {
        &self.refusal_detail
    }

    /// What the customer is asked for.
    pub fn awaits(&self) -> Option<&Arc<OrderAwaitingCustomer>> {
        self.awaits.as_ref()
    }

    /// Whether the customer must say if a part will do.
    pub fn awaits_consent(&self) -> Option<&Arc<Remainder>> {
        match &self.awaits.as_ref()?.awaits {
            Awaits::Consent { remainder } => Some(remainder),
            Awaits::Payment { .. } => None,
        }
    }

    pub fn label(&self) -> Label {
        let usual = match &self.status {
            Status::Rejected { .. } => return Label::Rejected,
            Status::Cancelled { .. } => return Label::Cancelled,
            Status::Completed => return Label::Completed,
            Status::Pending => Label::Pending,
            Status::Confirmed => Label::Confirmed,
            Status::Processing => Label::Processing,
            Status::PartiallyShipped => Label::PartiallyShipped,
            Status::Shipped => Label::Shipped,
            Status::Delivered => Label::Delivered,
        };
        self.obstacles().before(usual)
    }

    pub fn obstacles(&self) -> Obstacles {
        Obstacles {
            cancel_asked: self.cancel_asked(),
            is_held: !self.holds().is_empty(),
            awaits_customer: self.awaits.is_some(),
        }
    }

    /// Whether nothing will happen any more unless somebody asks for it.
    pub fn is_over(&self) -> bool {
        let is_at_its_end = match self.status {
            Status::Rejected { .. } | Status::Cancelled { .. } | Status::Completed => true,
            Status::Confirmed => self.delivery().is_none() && !self.cancel_asked(),
            Status::Pending
            | Status::Processing
            | Status::PartiallyShipped
            | Status::Shipped
            | Status::Delivered => false,
        };
        is_at_its_end && !self.has_open_saga()
    }

    /// Whether a saga in the order's stream has something to do.
    pub fn has_open_saga(&self) -> bool {
        self.place.is_open() || self.cancel.is_open() || self.fulfil.is_open()
    }

    /// Why it was rejected or cancelled, and what that is about.
    pub fn reason(&self) -> (&str, &str) {
        match &self.status {
            Status::Pending
            | Status::Confirmed
            | Status::Processing
            | Status::PartiallyShipped
            | Status::Shipped
            | Status::Delivered
            | Status::Completed => ("", ""),
            Status::Rejected { reason, detail } => (reason, detail),
            Status::Cancelled { reason } => (reason, ""),
        }
    }

    /// A person must look: a saga cannot go on by itself, or something happened that no rule settles.
    pub fn needs_attention(&self) -> bool {
        let stuck = [&self.place, &self.cancel, &self.fulfil].into_iter().any(|saga| saga.stuck().is_some());
        stuck || !self.attention().is_empty()
    }

    /// What called a person beside the order's own sagas: what about, and why.
    pub fn attention(&self) -> &[(Arc<str>, String)] {
        self.after.as_ref().map_or(&[], |after| &after.attention)
    }

    /// The holds that keep it in the house.
    pub fn holds(&self) -> &[Arc<str>] {
        self.after.as_ref().map_or(&[], |after| &after.holds)
    }

    /// Whether money that is owed was refused at some time.
    pub fn capture_was_refused(&self) -> bool {
        self.after.as_ref().is_some_and(|after| after.capture_refused)
    }

    /// How often it was held.
    pub fn holds_ever(&self) -> u32 {
        self.after.as_ref().map_or(0, |after| after.holds_ever)
    }

    pub fn parcels(&self) -> &[Parcel] {
        self.after.as_ref().map_or(&[], |after| &after.parcels)
    }

    pub fn parcel(&self, shipment_id: &str) -> Option<&Parcel> {
        self.parcels().iter().find(|parcel| *parcel.shipped.shipment_id == *shipment_id)
    }

    /// How it is shipped; `None` when nothing is.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.terms().and_then(|terms| terms.delivery.as_ref())
    }

    /// Tax, discounts and shipping as they are now.
    pub fn terms(&self) -> Option<&Arc<Terms>> {
        match self.remainder() {
            Some(remainder) => remainder.terms.as_ref(),
            None => self.placed.as_ref().and_then(|placed| placed.terms.as_ref()),
        }
    }

    /// The lines as they were agreed: of the quote, or of the part that the customer took.
    pub fn lines(&self) -> &[Line] {
        match (self.remainder(), &self.placed) {
            (Some(remainder), _) => &remainder.lines,
            (None, Some(placed)) => &placed.lines,
            (None, None) => &[],
        }
    }

    /// What the lines cost together, before pieces were called off.
    pub fn agreed_total(&self) -> Option<Money> {
        match self.remainder() {
            Some(remainder) => Some(remainder.total),
            None => self.placed.as_ref().map(|placed| placed.total),
        }
    }

    fn remainder(&self) -> Option<&Arc<Remainder>> {
        self.after.as_ref().and_then(|after| after.remainder.as_ref())
    }

    /// What was taken parcel by parcel.
    pub fn captured_minor(&self) -> i64 {
        self.after.as_ref().map_or(0, |after| after.captured_minor)
    }

    /// The pieces of a line that were called off.
    pub fn cancelled_of(&self, line: u32) -> u32 {
        self.after.as_ref().and_then(|after| after.cancelled.get(&line).copied()).unwrap_or(0)
    }

    /// Whether pieces are being called off right now, and whether this very cancel was asked for before.
    pub fn line_cancels(&self, cancel_id: &str) -> (bool, bool) {
        let cancels = self.after.as_ref().map(|after| &after.line_cancels);
        let open = cancels.is_some_and(|cancels| cancels.values().any(|decided| !decided));
        (open, cancels.is_some_and(|cancels| cancels.contains_key(cancel_id)))
    }

    /// Where the money is: what the sagas did, and what was taken parcel by parcel.
    pub fn payment(&self) -> Payment {
        Payment::of(MoneyFacts {
            by_sagas: self.payment,
            awaits_payment: self.awaits.is_some() && self.awaits_consent().is_none(),
            capture_refused: self.capture_was_refused(),
            disputed: self.dispute_states().any(|dispute| dispute != Dispute::Won),
            captured_minor: self.captured_minor(),
            total_minor: self.total().map_or(0, |total| total.minor_units()),
            refunded_minor: self.returns().map_or(0, |returns| returns.refunded_minor),
        })
    }

    /// What is known of this dispute.
    pub fn dispute(&self, dispute_id: &str) -> Option<Dispute> {
        self.after.as_ref().and_then(|after| after.disputes.get(dispute_id).copied())
    }

    /// What stands worst of its disputes: an open one before a lost one before none.
    pub fn worst_dispute(&self) -> Option<Dispute> {
        let worst = [Dispute::Opened, Dispute::Lost];
        worst.into_iter().find(|worst| self.dispute_states().any(|dispute| dispute == *worst))
    }

    fn dispute_states(&self) -> impl Iterator<Item = Dispute> {
        self.after.iter().flat_map(|after| after.disputes.values().copied())
    }

    /// Where the goods are.
    pub fn fulfilment(&self) -> Fulfilment {
        let returns = self.returns().filter(|returns| !returns.back.is_empty());
        Fulfilment::of(GoodsFacts {
            sold: self.sold().0.iter().map(|(_, sold)| u64::from(*sold)).sum(),
            handed_over: self.with_customer_or_carrier(),
            all_back: returns.map(|returns| returns.is_all_back),
        })
    }

    fn after_mut(&mut self) -> &mut After {
        Arc::make_mut(self.after.get_or_insert_with(Arc::default))
    }
}

/// What to record about an attempt at a step of one of the sagas in the order's stream.
pub fn record(
    order: &Order,
    intent: &Intent,
    outcome: &Outcome,
    attempt: u32,
    now: Timestamp,
) -> Vec<OrderEvent> {
    let events = if intent.saga == placing::NAME {
        placing::record(order, intent, outcome, attempt, now)
    } else if intent.saga == fulfil::NAME {
        fulfil::record(order, intent, outcome, attempt)
    } else {
        cancelling::record(order, intent, outcome, attempt)
    };
    with_calls(order, events)
}

/// Others hear when a person is called to a saga.
fn with_calls(order: &Order, mut events: Vec<OrderEvent>) -> Vec<OrderEvent> {
    let Some(placed) = order.placed() else { return events };
    let called = events.iter().find_map(|event| {
        let OrderEvent::SagaMoved(souk_saga::Event::NeedsOperator { saga, step, .. }) = event else {
            return None;
        };
        Some(format!("{saga}.{step}"))
    });
    events.extend(called.map(|about| {
        OrderEvent::OrderNeedsAttention(OrderNeedsAttention {
            order_id: placed.order_id,
            subject: placed.subject.clone(),
            reason: SAGA_STUCK.to_owned(),
            about: about.into(),
        })
    }));
    events
}

/// What to record when a person has moved one of these sagas.
pub fn moved_by_hand(order: &Order, moves: Vec<souk_saga::Event>) -> Vec<OrderEvent> {
    match moves.first().map(souk_saga::Event::saga) {
        Some(placing::NAME) => placing::with_consequences(order, moves),
        Some(fulfil::NAME) => moves.into_iter().map(OrderEvent::SagaMoved).collect(),
        Some(_) => cancelling::with_consequences(order, moves),
        None => Vec::new(),
    }
}

/// Everything that these sagas still have to do. Nothing of the sale while the customer is asked whether a part
/// of it will do.
pub fn outstanding(order: &Order) -> Vec<Intent> {
    let is_asked = order.awaits_consent().is_some() && *order.place.phase() == souk_saga::Phase::Forward;
    let mut intents = if is_asked {
        Vec::new()
    } else {
        order.place.outstanding(placing::definition(order.place.version()))
    };
    intents.extend(order.fulfil.outstanding(fulfil::definition()));
    intents.extend(order.cancel.outstanding(cancelling::definition(order.cancel.version())));
    intents
}

#[cfg(test)]
mod by_hand_tests;
#[cfg(test)]
mod tests;
