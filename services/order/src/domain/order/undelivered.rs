//! Parcels that did not arrive: lost by the carrier, or brought back. What becomes of one is for staff to decide, once;
//! what it is worth is counted like what customers send back, so that nothing is given back twice.
use super::{Decision, Order, OrderEvent, Parcel, ParcelResolved, Pieces, Whereabouts, Worth};
use crate::domain::not_found;
use souk_contracts::terms::OrderId;
use souk_kernel::{Money, Rejection};
use std::sync::Arc;

/// What the shop keeps of what an undeliverable parcel is worth, in percent, rounded down. For a lost one it keeps
/// nothing, and the original shipping goes back, too.
pub const UNDELIVERABLE_FEE_PERCENT: i64 = 10;
/// What called a person: a parcel that was given up is there after all.
pub const LOST_PARCEL_ARRIVED: &str = "LOST_PARCEL_ARRIVED";

/// What staff decides about a parcel.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolve {
    pub shipment_id: Arc<str>,
    pub decision: Decision,
    pub by: Arc<str>,
    pub note: String,
    /// Names the sending, where it is sent again.
    pub resend_id: OrderId,
}

impl Order {
    /// The pieces that are with the customer or on their way, or came back: without those that were lost and given up.
    pub(super) fn with_customer_or_carrier(&self) -> u64 {
        let pieces = |lines: &super::Lines| lines.values().copied().map(u64::from).sum::<u64>();
        let lost = self.returns().map_or(0, |returns| pieces(&returns.lost));
        pieces(&self.shipped()).saturating_sub(lost)
    }

    /// What a parcel is worth that did not arrive, and what is kept of it.
    fn worth_of_parcel(&self, pieces: &[Pieces], came_back: bool) -> Result<(Worth, Worth), Rejection> {
        let whole = self.worth(pieces, !came_back, 0)?;
        let percent = if came_back { UNDELIVERABLE_FEE_PERCENT } else { 0 };
        let fee = i128::from(whole.refund.minor_units()) * i128::from(percent) / 100;
        let fee = i64::try_from(fee).unwrap_or_default();
        Ok((whole, self.worth(pieces, !came_back, fee)?))
    }
}

/// Staff decides about a parcel that is lost or came back. Said again it is the same decision; another is refused.
pub fn resolve(order: &Order, asked: &Resolve) -> Result<Vec<OrderEvent>, Rejection> {
    let parcel = order.parcel(&asked.shipment_id).ok_or_else(|| not_found("the parcel"))?;
    if let Some(known) = &parcel.resolved {
        let is_same = known.decision == asked.decision;
        let resolved = Rejection::new("PARCEL_RESOLVED", "another decision about the parcel was made");
        return if is_same { Ok(Vec::new()) } else { Err(resolved) };
    }
    let came_back = came_back(parcel)?;
    let pieces = parcel.pieces();
    if asked.decision == Decision::Resend {
        return resend(order, asked, came_back, pieces);
    }
    if order.exchange().is_some() {
        let sentence = "nothing was paid under an exchange: its parcel is sent again";
        return Err(Rejection::new("NOT_OFFERED", sentence));
    }
    let (whole, kept) = order.worth_of_parcel(&pieces, came_back)?;
    Ok(vec![OrderEvent::ParcelResolved(Arc::new(ParcelResolved {
        shipment_id: parcel.shipped.shipment_id.clone(),
        decision: asked.decision,
        by: asked.by.clone(),
        note: asked.note.clone(),
        pieces,
        worth: whole.refund,
        refund: kept.refund,
        with_shipping: whole.shipping_minor > 0,
        came_back,
        is_all: whole.is_all,
        resend_id: None,
    }))])
}

/// What is lost is sent again from the stock; what came back would come back again, so only an exchange, for which no
/// money can be given back, is sent again from there, too.
fn resend(
    order: &Order,
    asked: &Resolve,
    came_back: bool,
    pieces: Arc<[Pieces]>,
) -> Result<Vec<OrderEvent>, Rejection> {
    if came_back && order.exchange().is_none() {
        let sentence = "what the carrier brought back is not sent to the same address again";
        return Err(Rejection::new("NOT_OFFERED", sentence));
    }
    let nothing = order.agreed_total().map(|total| Money::zero(total.currency()));
    let nothing = nothing.ok_or_else(|| not_found("the order"))?;
    Ok(vec![OrderEvent::ParcelResolved(Arc::new(ParcelResolved {
        shipment_id: asked.shipment_id.clone(),
        decision: Decision::Resend,
        by: asked.by.clone(),
        note: asked.note.clone(),
        pieces,
        worth: nothing,
        refund: nothing,
        with_shipping: false,
        came_back: false,
        is_all: false,
        resend_id: Some(asked.resend_id),
    }))])
}

/// Why a parcel was not sent again, with inventory's own word where it is a known one.
pub fn not_resent(reason: &str, sentence: &'static str) -> Rejection {
    let reason = match reason {
        "RESERVATION_EXPIRED" => "RESERVATION_EXPIRED",
        "UNKNOWN_SKU" => "UNKNOWN_SKU",
        _ => "INSUFFICIENT_STOCK",
    };
    Rejection::new(reason, sentence)
}

/// Whether the parcel is in the house again, rather than lost.
fn came_back(parcel: &Parcel) -> Result<bool, Rejection> {
    match parcel.at {
        Whereabouts::Lost => Ok(false),
        Whereabouts::ReturnedToSender => Ok(true),
        Whereabouts::HandedOver
        | Whereabouts::InTransit
        | Whereabouts::DeliveryFailed
        | Whereabouts::Delivered => {
            let sentence = "the parcel is neither lost nor did it come back";
            Err(Rejection::new("PARCEL_NOT_LOST", sentence))
        }
    }
}
