//! What becomes of an order's parcels: what is owed for each, and when all have arrived. And the pieces that
//! are called off before they are packed.
use super::commands::visible;
use super::{
    Again, Decision, LOST_PARCEL_ARRIVED, LinesCancelRequested, Order, OrderCompleted, OrderDelivered,
    OrderEvent, OrderNeedsAttention, Parcel, ParcelMoved, ParcelShipped, Pieces, Rest, RestVoidRequested,
    ShippedLine, Status, Whereabouts,
};
use crate::domain::{Caller, Line};
use souk_contracts::terms::Quantity;
use souk_decider::Aggregate;
use souk_kernel::{Money, Rejection};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What called a person: a parcel did not arrive.
pub const SHIPMENT_LOST: &str = "SHIPMENT_LOST";
pub const SHIPMENT_RETURNED: &str = "SHIPMENT_RETURNED_TO_SENDER";

/// Why a person is called to a parcel until it is found or decided about.
pub const NOT_ARRIVED: [&str; 2] = [SHIPMENT_LOST, SHIPMENT_RETURNED];

/// Pieces by line number.
pub type Lines = BTreeMap<u32, u32>;

/// The lines of an order as they are now: what is still sold of each.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderLines(pub Vec<(Line, u32)>);

/// A parcel was given to the carrier, as shipping tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedOver {
    pub shipment_id: Arc<str>,
    pub carrier: Arc<str>,
    pub tracking_code: Arc<str>,
    pub lines: Arc<[ShippedLine]>,
    /// It carries pieces that are sent again.
    pub again: Option<Again>,
}

impl Order {
    /// What is still sold: the lines without the pieces that were called off.
    pub fn sold(&self) -> OrderLines {
        let left = |line: &Line| line.quantity.get().saturating_sub(self.cancelled_of(line.line));
        OrderLines(self.lines().iter().map(|line| (line.clone(), left(line))).collect())
    }

    /// What the order costs now; `None` when there is no such order.
    pub fn total(&self) -> Option<Money> {
        let agreed = self.agreed_total()?;
        let nothing_cancelled = self.after.as_ref().is_none_or(|after| after.cancelled.is_empty());
        if nothing_cancelled {
            return Some(agreed);
        }
        let left = self.sold().0.into_iter().map(|(line, left)| (line.line, left)).collect();
        Some(Money::new(self.owed_minor(&left), agreed.currency()))
    }

    /// What is owed for so many pieces of each line: the line's total in proportion, rounded down, and all the
    /// shipping with the first piece. All pieces together owe exactly the agreed total, so whatever is left
    /// falls on the last parcel. An exchange owes nothing.
    pub fn owed_minor(&self, pieces: &Lines) -> i64 {
        if self.exchange().is_some() {
            return 0;
        }
        let ships_any = pieces.values().any(|taken| *taken > 0);
        let shipping = self.terms().filter(|_| ships_any).map_or(0, |terms| terms.shipping_total_minor());
        self.goods_minor(pieces).saturating_add(shipping)
    }

    /// The lines' part of what is owed for so many pieces of each.
    pub(super) fn goods_minor(&self, pieces: &Lines) -> i64 {
        let Some(agreed) = self.agreed_total() else { return 0 };
        let tax_inclusive = self.terms().is_some_and(|terms| terms.tax_inclusive);
        let share = |line: &Line| {
            let ordered = line.quantity.get();
            let taken = pieces.get(&line.line).copied().unwrap_or(0).min(ordered);
            let total = line.total(agreed.currency(), tax_inclusive).map_or(0, |total| total.minor_units());
            let share = i128::from(total) * i128::from(taken) / i128::from(ordered);
            i64::try_from(share).unwrap_or(total)
        };
        self.lines().iter().map(share).fold(0i64, i64::saturating_add)
    }

    /// The pieces that have left, by line; those that were sent again once.
    pub fn shipped(&self) -> Lines {
        let mut shipped = Lines::new();
        let first = self.parcels().iter().filter(|parcel| parcel.shipped.again.is_none());
        for line in first.flat_map(|parcel| parcel.shipped.lines.iter()) {
            *shipped.entry(line.line).or_insert(0) += line.quantity.get();
        }
        shipped
    }

    /// Whether everything that is still sold has left, and every parcel is paid for.
    pub fn is_shipped_and_paid(&self) -> bool {
        let parcels = self.parcels();
        !parcels.is_empty() && self.is_all(&self.shipped()) && parcels.iter().all(|parcel| parcel.is_paid)
    }

    /// What becomes of money that was promised for pieces which were called off.
    pub fn rest(&self) -> Rest {
        self.after.as_ref().map_or(Rest::Kept, |after| after.rest)
    }

    /// What was promised for pieces that were called off, once nothing more will be taken; nothing when it is being
    /// given up already.
    fn rest_to_void(&self) -> Option<Money> {
        let rest = self.agreed_total()?.minus(self.total()?).ok()?;
        (self.is_shipped_and_paid() && self.rest() == Rest::Kept && rest.minor_units() > 0).then_some(rest)
    }

    /// Whether parcels that leave now may not use up what was promised: pieces are called off, or perhaps.
    pub fn may_leave_rest(&self) -> bool {
        self.after.as_ref().is_some_and(|after| {
            !after.cancelled.is_empty() || after.line_cancels.values().any(|decided| !decided)
        })
    }

    /// Whether nothing is waited for with this parcel: it has arrived, its money is back, or all of it left again.
    pub fn is_over_with(&self, parcel: &Parcel) -> bool {
        let pieces = |parcel: &Parcel| -> u64 {
            parcel.shipped.lines.iter().map(|line| u64::from(line.quantity.get())).sum()
        };
        let is_refunded = parcel.is_settled && parcel.is_resolved_by(Decision::Refund);
        let is_instead = |other: &&Parcel| {
            let again = other.shipped.again.as_ref();
            again.is_some_and(|again| again.instead_of == parcel.shipped.shipment_id)
        };
        let sent_again: u64 = self.parcels().iter().filter(is_instead).map(pieces).sum();
        let left_again = parcel.is_resolved_by(Decision::Resend) && sent_again >= pieces(parcel);
        parcel.at == Whereabouts::Delivered || is_refunded || left_again
    }

    /// Whether these pieces are all that is still sold.
    pub(super) fn is_all(&self, pieces: &Lines) -> bool {
        self.sold().0.iter().all(|(line, left)| pieces.get(&line.line).copied().unwrap_or(0) >= *left)
    }
}

/// Pieces that are sent again left: nothing more is taken for them.
fn handed_over_again(order: &Order, parcel: &HandedOver, again: &Again) -> Option<Arc<ParcelShipped>> {
    let placed = order.placed.as_ref()?;
    let lost = order.parcel(&again.instead_of)?;
    if !lost.is_resolved_by(Decision::Resend) || order.parcel(&parcel.shipment_id).is_some() {
        return None;
    }
    Some(Arc::new(ParcelShipped {
        order_id: placed.order_id,
        subject: placed.subject.clone(),
        shipment_id: parcel.shipment_id.clone(),
        carrier: parcel.carrier.clone(),
        tracking_code: parcel.tracking_code.clone(),
        lines: parcel.lines.clone(),
        amount: Money::zero(placed.total.currency()),
        is_last: false,
        again: Some(again.clone()),
    }))
}

/// A parcel left: what is taken for it, and whether it was the last. Nothing when it is known, or when the order
/// is not one that ships.
pub fn handed_over(order: &Order, parcel: &HandedOver) -> Option<Arc<ParcelShipped>> {
    if let Some(again) = &parcel.again {
        return handed_over_again(order, parcel, again);
    }
    let placed = order.placed.as_ref()?;
    let ships = match order.status {
        Status::Processing | Status::PartiallyShipped => true,
        Status::Pending
        | Status::Confirmed
        | Status::Shipped
        | Status::Delivered
        | Status::Completed
        | Status::Rejected { .. }
        | Status::Cancelled { .. } => false,
    };
    if !ships || order.parcel(&parcel.shipment_id).is_some() {
        return None;
    }
    let before = order.shipped();
    let mut after = before.clone();
    for line in parcel.lines.iter() {
        *after.entry(line.line).or_insert(0) += line.quantity.get();
    }
    let amount_minor = order.owed_minor(&after).saturating_sub(order.owed_minor(&before));
    Some(Arc::new(ParcelShipped {
        order_id: placed.order_id,
        subject: placed.subject.clone(),
        shipment_id: parcel.shipment_id.clone(),
        carrier: parcel.carrier.clone(),
        tracking_code: parcel.tracking_code.clone(),
        lines: parcel.lines.clone(),
        amount: Money::new(amount_minor, placed.total.currency()),
        is_last: order.is_all(&after),
        again: None,
    }))
}

/// A parcel is somewhere else; when it was the last to arrive, the order is delivered.
pub fn moved(order: &Order, shipment_id: &str, to: Whereabouts) -> Vec<OrderEvent> {
    let (Some(placed), Some(parcel)) = (order.placed.as_ref(), order.parcel(shipment_id)) else {
        return Vec::new();
    };
    if parcel.at == to || parcel.at == Whereabouts::Delivered {
        return Vec::new();
    }
    let shipment_id = parcel.shipped.shipment_id.clone();
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    let mut events = vec![OrderEvent::ParcelMoved(ParcelMoved { shipment_id: shipment_id.clone(), to })];
    let calls_a_person = match to {
        // What was given up turns up: nothing more is given back, and a person decides about the goods.
        _ if parcel.resolved.is_some() => to.is_found().then_some(LOST_PARCEL_ARRIVED),
        Whereabouts::Lost => Some(SHIPMENT_LOST),
        Whereabouts::ReturnedToSender => Some(SHIPMENT_RETURNED),
        Whereabouts::HandedOver
        | Whereabouts::InTransit
        | Whereabouts::DeliveryFailed
        | Whereabouts::Delivered => None,
    };
    if let Some(reason) = calls_a_person {
        let (reason, about) = (reason.to_owned(), shipment_id.clone());
        let needs = OrderNeedsAttention { order_id, subject: subject.clone(), reason, about };
        events.push(OrderEvent::OrderNeedsAttention(needs));
    }
    let mut after = order.clone();
    events.iter().for_each(|event| after.evolve(event));
    events.extend(delivered(&after));
    events
}

/// Something was settled beside the order: perhaps nothing is left to wait for, or to be paid.
pub fn looked_at(order: &Order) -> Vec<OrderEvent> {
    let rest = order.rest_to_void().map(|amount| OrderEvent::RestVoidRequested(RestVoidRequested { amount }));
    rest.into_iter().chain(delivered(order)).collect()
}

/// Nothing is waited for any more. An order of which nothing arrived, since all of it was given up, has no time for
/// returns.
fn delivered(order: &Order) -> Option<OrderEvent> {
    let placed = order.placed.as_ref()?;
    let is_under_way = matches!(order.status, Status::PartiallyShipped | Status::Shipped);
    let all_left = is_under_way && order.is_all(&order.shipped());
    if !all_left || !order.parcels().iter().all(|parcel| order.is_over_with(parcel)) {
        return None;
    }
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    let any_arrived = order.parcels().iter().any(|parcel| parcel.at == Whereabouts::Delivered);
    Some(if any_arrived {
        OrderEvent::OrderDelivered(OrderDelivered { order_id, subject })
    } else {
        OrderEvent::OrderCompleted(OrderCompleted { order_id, subject })
    })
}

impl Order {
    /// Whether these pieces can be called off: the order is being prepared, nobody else is calling off
    /// anything, and so many are sold and have not left, with something left to sell.
    pub fn cancel_lines(
        &self,
        caller: &Caller,
        by: &Arc<str>,
        cancel_id: &Arc<str>,
        pieces: &[(u32, Quantity)],
    ) -> Result<Vec<OrderEvent>, Rejection> {
        visible(self, caller)?;
        let (is_open, was_asked) = self.line_cancels(cancel_id);
        if was_asked {
            return Ok(Vec::new());
        }
        self.refuse_to_call_off_an_exchange()?;
        let refusal = || Rejection::new("LINES_NOT_CANCELLABLE", "these pieces cannot be called off now");
        let is_prepared = self.status == Status::Processing;
        if !is_prepared || is_open || self.cancel_asked() || self.fulfil.is_open() {
            return Err(refusal());
        }
        let mut left = self.left_in_house();
        let mut named = Vec::with_capacity(pieces.len());
        for (line, quantity) in pieces {
            let there = left.get_mut(line).filter(|there| **there >= quantity.get());
            let there = there.ok_or_else(|| refusal().with("line", line))?;
            *there -= quantity.get();
            let known = self.lines().iter().find(|known| known.line == *line);
            let sku = known.ok_or_else(|| refusal().with("line", line))?.sku.clone();
            named.push(Pieces { line: *line, sku, quantity: *quantity });
        }
        let sells_nothing_else = left.values().all(|there| *there == 0);
        if sells_nothing_else {
            return Err(refusal().with("instead", "CancelOrder"));
        }
        let (cancel_id, by, pieces) = (cancel_id.clone(), by.clone(), named.into());
        Ok(vec![OrderEvent::LinesCancelRequested(LinesCancelRequested { cancel_id, by, pieces })])
    }

    /// The pieces that are sold and have not left, by line.
    fn left_in_house(&self) -> Lines {
        let shipped = self.shipped();
        let left = |(line, sold): &(Line, u32)| {
            (line.line, sold.saturating_sub(shipped.get(&line.line).copied().unwrap_or(0)))
        };
        self.sold().0.iter().map(left).collect()
    }

    /// What the order costs once these pieces are called off, too.
    pub fn total_without(&self, pieces: &[Pieces]) -> Option<Money> {
        let agreed = self.agreed_total()?;
        let mut left: Lines = self.sold().0.into_iter().map(|(line, left)| (line.line, left)).collect();
        for piece in pieces {
            left.entry(piece.line).and_modify(|left| *left = left.saturating_sub(piece.quantity.get()));
        }
        Some(Money::new(self.owed_minor(&left), agreed.currency()))
    }
}
