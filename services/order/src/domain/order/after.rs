//! What becomes of an order that is shipped, or that was changed: parcels, pieces that were called off, holds,
//! disputes, and what a person is called for.
use super::returns::Returns;
use super::{
    CAPTURE_REFUSED, Decision, Dispute, ERRAND_STUCK, NOT_ARRIVED, OrderEvent, ParcelResolved, ParcelShipped,
    Pieces, RETURN_ARRIVED_LATE, Remainder, ResendRefused, ReturnClosed, ReturnOpened, SAGA_STUCK,
    SHIPMENT_LOST, ShippedLine, Whereabouts,
};
use crate::place;
use crate::void_rest::REST;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One parcel that left.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    pub shipped: Arc<ParcelShipped>,
    pub at: Whereabouts,
    pub is_paid: bool,
    /// What staff decided about it, where it did not arrive.
    pub resolved: Option<Arc<ParcelResolved>>,
    /// Whether that is done.
    pub is_settled: bool,
    /// Why its pieces could not be sent again the last time that was wanted, and what that is about.
    pub resend_refused: Option<(String, String)>,
}

impl Parcel {
    /// Whether it was decided to do this about it.
    pub fn is_resolved_by(&self, decision: Decision) -> bool {
        self.resolved.as_ref().is_some_and(|resolved| resolved.decision == decision)
    }

    /// What was in it.
    pub fn pieces(&self) -> Arc<[Pieces]> {
        let pieces =
            |line: &ShippedLine| Pieces { line: line.line, sku: line.sku.clone(), quantity: line.quantity };
        self.shipped.lines.iter().map(pieces).collect()
    }
}

/// What becomes of money that was promised for pieces which were called off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// There is none, or it is too early to give it up.
    #[default]
    Kept,
    /// It is being given up.
    Asked,
    /// It is given up.
    Voided,
}

/// What only an order has that is shipped, or that was changed. Shared, because most states never have it.
#[derive(Debug, Clone, Default)]
pub(super) struct After {
    /// What the order is since the customer took a part of it.
    pub(super) remainder: Option<Arc<Remainder>>,
    pub(super) parcels: Vec<Parcel>,
    /// Pieces that were called off, by line.
    pub(super) cancelled: BTreeMap<u32, u32>,
    /// Pieces that are being called off, by the cancel's id; `true` when that is decided.
    pub(super) line_cancels: BTreeMap<Arc<str>, bool>,
    pub(super) captured_minor: i64,
    /// What is promised beyond that is being given up, or was.
    pub(super) rest: Rest,
    pub(super) holds: Vec<Arc<str>>,
    pub(super) holds_ever: u32,
    pub(super) capture_refused: bool,
    pub(super) disputes: BTreeMap<Arc<str>, Dispute>,
    pub(super) attention: Vec<(Arc<str>, String)>,
    pub(super) returns: Returns,
}

impl After {
    pub(super) fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::ParcelShipped(_)
            | OrderEvent::ParcelMoved(_)
            | OrderEvent::ParcelResolved(_)
            | OrderEvent::ParcelResent(_)
            | OrderEvent::ResendRefused(_)
            | OrderEvent::ParcelRefunded(_)
            | OrderEvent::ParcelPaid(_)
            | OrderEvent::RestVoidRequested(_)
            | OrderEvent::RestVoided(_) => self.evolve_parcel(event),
            OrderEvent::PaymentDisputed(disputed) => {
                self.disputes.insert(disputed.dispute_id.clone(), disputed.dispute);
            }
            OrderEvent::LinesCancelRequested(asked) => {
                self.line_cancels.insert(asked.cancel_id.clone(), false);
            }
            OrderEvent::OrderLineCancelled(cancelled) => {
                self.line_cancels.insert(cancelled.cancel_id.clone(), true);
                for pieces in cancelled.pieces.iter() {
                    *self.cancelled.entry(pieces.line).or_insert(0) += pieces.quantity.get();
                }
                self.settled(&cancelled.cancel_id);
            }
            OrderEvent::LinesCancelRefused(refused) => {
                self.line_cancels.insert(refused.cancel_id.clone(), true);
                self.settled(&refused.cancel_id);
            }
            OrderEvent::OrderHeld(held) => {
                self.capture_refused |= held.reason == CAPTURE_REFUSED;
                self.holds_ever += 1;
                self.holds.push(held.hold_id.clone());
            }
            OrderEvent::OrderReleased(released) => {
                self.capture_refused &= !released.is_by_itself();
                self.holds.clear();
                self.attention.clear();
            }
            // The saga itself says how long.
            OrderEvent::OrderNeedsAttention(needs) if needs.reason == SAGA_STUCK => {}
            OrderEvent::OrderNeedsAttention(needs) => {
                self.attention.push((needs.about.clone(), needs.reason.clone()));
            }
            OrderEvent::ReturnRefunded(_)
            | OrderEvent::ReturnOpened(_)
            | OrderEvent::GoodsReturned(_)
            | OrderEvent::ReturnClosed(_) => self.evolve_return(event),
            // The cancel takes over what the sale had left, its capture included.
            OrderEvent::CancelRequested(_) => {
                self.attention
                    .retain(|(what, reason)| **what != *place::CAPTURE || reason != CAPTURE_REFUSED);
            }
            OrderEvent::OrderPlaced(_)
            | OrderEvent::SagaMoved(_)
            | OrderEvent::OrderAwaitingCustomer(_)
            | OrderEvent::RemainderAccepted(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::CancelRefused(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderProcessingStarted(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderCompleted(_) => {}
        }
    }

    /// What comes back, and who need not see to it any more.
    fn evolve_return(&mut self, event: &OrderEvent) {
        self.returns.evolve(event);
        if let OrderEvent::ReturnRefunded(refunded) = event {
            self.settled(&refunded.return_id.to_string());
        }
        if let OrderEvent::ReturnOpened(ReturnOpened { return_id, .. })
        | OrderEvent::ReturnClosed(ReturnClosed { return_id }) = event
        {
            self.seen_to(&return_id.to_string(), RETURN_ARRIVED_LATE);
        }
    }

    /// What becomes of parcels, and of what is promised beyond them.
    fn evolve_parcel(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::ParcelShipped(shipped) => {
                let shipped = shipped.clone();
                let at = Whereabouts::HandedOver;
                let (is_paid, is_settled) = (false, false);
                let (resolved, resend_refused) = (None, None);
                self.parcels.push(Parcel { shipped, at, is_paid, resolved, is_settled, resend_refused });
            }
            OrderEvent::ParcelMoved(moved) => {
                self.parcel_mut(&moved.shipment_id).into_iter().for_each(|parcel| parcel.at = moved.to);
                if moved.to.is_found() {
                    self.found(&moved.shipment_id);
                }
            }
            OrderEvent::ParcelResolved(resolved) => {
                let parcel = self.parcel_mut(&resolved.shipment_id).into_iter();
                parcel.for_each(|parcel| parcel.resolved = Some(resolved.clone()));
                self.found(&resolved.shipment_id);
                self.returns.evolve(event);
            }
            OrderEvent::ParcelResent(resent) => {
                let parcel = self.parcel_mut(&resent.shipment_id).into_iter();
                parcel.for_each(|parcel| parcel.is_settled = true);
                self.settled(&resent.shipment_id);
            }
            OrderEvent::ResendRefused(refused) => self.not_resent(refused),
            OrderEvent::ParcelRefunded(refunded) => {
                let parcel = self.parcel_mut(&refunded.shipment_id).into_iter();
                parcel.for_each(|parcel| parcel.is_settled = true);
                self.returns.evolve(event);
                self.settled(&refunded.shipment_id);
            }
            OrderEvent::ParcelPaid(paid) => {
                self.parcel_mut(&paid.shipment_id).into_iter().for_each(|parcel| parcel.is_paid = true);
                self.captured_minor = self.captured_minor.saturating_add(paid.amount.minor_units());
                self.settled(&paid.shipment_id);
            }
            OrderEvent::RestVoidRequested(_) => self.rest = Rest::Asked,
            OrderEvent::RestVoided(_) => {
                self.rest = Rest::Voided;
                self.settled(REST);
            }
            OrderEvent::OrderPlaced(_)
            | OrderEvent::SagaMoved(_)
            | OrderEvent::OrderAwaitingCustomer(_)
            | OrderEvent::RemainderAccepted(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::CancelRequested(_)
            | OrderEvent::CancelRefused(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderProcessingStarted(_)
            | OrderEvent::PaymentDisputed(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::LinesCancelRequested(_)
            | OrderEvent::OrderLineCancelled(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::OrderReleased(_)
            | OrderEvent::OrderNeedsAttention(_)
            | OrderEvent::ReturnOpened(_)
            | OrderEvent::GoodsReturned(_)
            | OrderEvent::ReturnRefunded(_)
            | OrderEvent::ReturnClosed(_) => {}
        }
    }

    fn not_resent(&mut self, refused: &ResendRefused) {
        if let Some(parcel) = self.parcel_mut(&refused.shipment_id) {
            parcel.resolved = None;
            parcel.resend_refused = Some((refused.reason.clone(), refused.detail.clone()));
        }
        self.settled(&refused.shipment_id);
        self.attention.push((refused.shipment_id.clone(), SHIPMENT_LOST.to_owned()));
    }

    fn parcel_mut(&mut self, shipment_id: &str) -> Option<&mut Parcel> {
        self.parcels.iter_mut().find(|parcel| *parcel.shipped.shipment_id == *shipment_id)
    }

    /// Nobody has to see to where this parcel is any more.
    fn found(&mut self, shipment_id: &str) {
        let is_about = |what: &str, reason: &str| what == shipment_id && NOT_ARRIVED.contains(&reason);
        self.attention.retain(|(what, reason)| !is_about(what, reason));
    }

    /// Whatever stood still about this goes on.
    fn settled(&mut self, about: &str) {
        self.seen_to(about, ERRAND_STUCK);
    }

    fn seen_to(&mut self, about: &str, why: &str) {
        self.attention.retain(|(what, reason)| **what != *about || reason != why);
    }
}
