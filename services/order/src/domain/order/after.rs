//! What becomes of an order that is shipped, or that was changed: parcels, pieces that were called off, holds,
//! disputes, and what a person is called for.
use super::returns::Returns;
use super::{
    CAPTURE_REFUSED, Dispute, ERRAND_STUCK, OrderEvent, ParcelShipped, Remainder, SAGA_STUCK, Whereabouts,
};
use crate::place;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One parcel that left.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    pub shipped: Arc<ParcelShipped>,
    pub at: Whereabouts,
    pub is_paid: bool,
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
            OrderEvent::ParcelShipped(shipped) => {
                let shipped = shipped.clone();
                self.parcels.push(Parcel { shipped, at: Whereabouts::HandedOver, is_paid: false });
            }
            OrderEvent::ParcelMoved(moved) => {
                self.parcel_mut(&moved.shipment_id).into_iter().for_each(|parcel| parcel.at = moved.to);
            }
            OrderEvent::ParcelPaid(paid) => {
                self.parcel_mut(&paid.shipment_id).into_iter().for_each(|parcel| parcel.is_paid = true);
                self.captured_minor = self.captured_minor.saturating_add(paid.amount.minor_units());
                self.settled(&paid.shipment_id);
            }
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
            OrderEvent::ReturnRefunded(refunded) => {
                self.returns.evolve(event);
                self.settled(&refunded.return_id.to_string());
            }
            OrderEvent::ReturnOpened(_) | OrderEvent::GoodsReturned(_) | OrderEvent::ReturnClosed(_) => {
                self.returns.evolve(event);
            }
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

    fn parcel_mut(&mut self, shipment_id: &str) -> Option<&mut Parcel> {
        self.parcels.iter_mut().find(|parcel| *parcel.shipped.shipment_id == *shipment_id)
    }

    /// Whatever stood still about this goes on.
    fn settled(&mut self, about: &str) {
        self.attention.retain(|(what, reason)| **what != *about || reason != ERRAND_STUCK);
    }
}
