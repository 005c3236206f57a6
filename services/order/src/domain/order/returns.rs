//! What of an order comes back: which pieces may, what they are worth, and how much was given back. The order
//! decides it, because two returns of one order must not have the same piece or the same money; how far each
//! return is stands in a stream of its own.
use super::parcels::Lines;
use super::{Decision, Order, OrderEvent, Parcel, Payment, Pieces, Status, Whereabouts};
use crate::domain::not_found;
use souk_contracts::terms::{Location, Quantity, ReturnId};
use souk_kernel::{Money, Rejection, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most returns that an order may have.
pub const RETURNS_MAX: usize = 200;

/// What is known of an order's returns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Returns {
    /// Every return, the oldest first.
    pub all: Vec<ReturnId>,
    /// The pieces of returns that are under way and have not been looked at.
    pub pending: BTreeMap<ReturnId, Arc<[Pieces]>>,
    /// The returns that are not at their end.
    pub open: BTreeSet<ReturnId>,
    /// The pieces that came back, by line.
    pub back: Lines,
    /// Those of them that are no longer promised to the order, by line.
    pub released: Lines,
    /// The pieces that carriers lost and that are refunded, by line.
    pub lost: Lines,
    /// Everything came back.
    pub is_all_back: bool,
    /// The original shipping is given back, once.
    pub is_shipping_back: bool,
    /// What returns were found to be worth, fees included.
    pub settled_minor: i64,
    /// What was given back.
    pub refunded_minor: i64,
}

/// What pieces are worth that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// What is given back, after fees; shipping's part is in it.
    pub refund: Money,
    pub shipping_minor: i64,
    pub fees_minor: i64,
    /// Everything of the order is back with them.
    pub is_all: bool,
}

impl Returns {
    pub(super) fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::ReturnOpened(opened) => {
                self.begin(opened.return_id);
                self.pending.insert(opened.return_id, opened.pieces.clone());
            }
            OrderEvent::GoodsReturned(returned) => {
                self.begin(returned.return_id);
                self.pending.remove(&returned.return_id);
                add(&mut self.back, &returned.pieces);
                add(&mut self.released, &returned.released);
                self.is_all_back |= returned.is_all;
                self.is_shipping_back |= returned.with_shipping;
                self.settled_minor = self.settled_minor.saturating_add(returned.worth.minor_units());
            }
            OrderEvent::ReturnRefunded(refunded) => {
                self.open.remove(&refunded.return_id);
                self.refunded_minor = self.refunded_minor.saturating_add(refunded.refund.minor_units());
            }
            OrderEvent::ReturnClosed(closed) => {
                self.open.remove(&closed.return_id);
                self.pending.remove(&closed.return_id);
            }
            OrderEvent::ParcelResolved(resolved) if resolved.decision == Decision::Resend => {}
            OrderEvent::ParcelResolved(resolved) => {
                let lines = if resolved.came_back { &mut self.back } else { &mut self.lost };
                add(lines, &resolved.pieces);
                self.is_all_back |= resolved.came_back && resolved.is_all;
                self.is_shipping_back |= resolved.with_shipping;
                self.settled_minor = self.settled_minor.saturating_add(resolved.worth.minor_units());
            }
            OrderEvent::ParcelRefunded(refunded) => {
                self.refunded_minor = self.refunded_minor.saturating_add(refunded.refund.minor_units());
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
            | OrderEvent::ParcelShipped(_)
            | OrderEvent::ParcelMoved(_)
            | OrderEvent::ParcelPaid(_)
            | OrderEvent::PaymentDisputed(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::LinesCancelRequested(_)
            | OrderEvent::OrderLineCancelled(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::ParcelResent(_)
            | OrderEvent::ResendRefused(_)
            | OrderEvent::RestVoidRequested(_)
            | OrderEvent::RestVoided(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::OrderReleased(_)
            | OrderEvent::OrderNeedsAttention(_) => {}
        }
    }

    /// The pieces that the customer is given their money back for, by line: they came back, or were lost.
    pub fn given_up(&self) -> Lines {
        let mut given_up = self.back.clone();
        self.lost.iter().for_each(|(line, pieces)| *given_up.entry(*line).or_insert(0) += pieces);
        given_up
    }

    fn begin(&mut self, return_id: ReturnId) {
        if !self.all.contains(&return_id) {
            self.all.push(return_id);
        }
        // One that had ended may begin anew.
        self.open.insert(return_id);
    }
}

fn add(lines: &mut Lines, pieces: &[Pieces]) {
    for piece in pieces {
        *lines.entry(piece.line).or_insert(0) += piece.quantity.get();
    }
}

impl Order {
    /// The order's returns; `None` while it never had any.
    pub fn returns(&self) -> Option<&Returns> {
        self.after
            .as_ref()
            .map(|after| &after.returns)
            .filter(|returns| !(returns.all.is_empty() && returns.back.is_empty() && returns.lost.is_empty()))
    }

    /// Whether a return of it is not at its end, or what was decided about a parcel is not done.
    pub fn has_open_return(&self) -> bool {
        let has_open_parcel =
            self.parcels().iter().any(|parcel| parcel.resolved.is_some() && !parcel.is_settled);
        has_open_parcel || self.returns().is_some_and(|returns| !returns.open.is_empty())
    }

    /// The pieces that the customer has, or had, by line. What ships nothing has arrived when it is paid.
    pub fn arrived(&self) -> Lines {
        self.arrived_or(|_| false)
    }

    /// The pieces that money may be given back for, by line: those that have arrived, and those of parcels that were
    /// given up.
    pub fn accounted(&self) -> Lines {
        self.arrived_or(|parcel| parcel.is_resolved_by(Decision::Refund))
    }

    fn arrived_or(&self, counts: impl Fn(&Parcel) -> bool) -> Lines {
        let mut arrived = Lines::new();
        if self.delivery().is_some() {
            let there = self.parcels().iter();
            let there = there.filter(|parcel| parcel.at == Whereabouts::Delivered || counts(parcel));
            for line in there.flat_map(|parcel| parcel.shipped.lines.iter()) {
                *arrived.entry(line.line).or_insert(0) += line.quantity.get();
            }
            // What turns up after it was sent again does not make more of it.
            let sold: Lines = self.sold().0.into_iter().map(|(line, sold)| (line.line, sold)).collect();
            arrived.iter_mut().for_each(|(line, pieces)| {
                *pieces = (*pieces).min(sold.get(line).copied().unwrap_or(0));
            });
        } else if self.is_handed_out() {
            arrived.extend(self.sold().0.into_iter().map(|(line, sold)| (line.line, sold)));
        }
        arrived
    }

    /// Whether an order that ships nothing is through: paid, or free, and not called off.
    fn is_handed_out(&self) -> bool {
        let is_free = self.total().is_some_and(|total| total.minor_units() == 0);
        let is_paid = self.payment == Payment::Captured || (is_free && !self.place.is_open());
        self.status == Status::Confirmed && is_paid && !self.cancel_asked()
    }

    /// Where pieces of a line lay before they left; `None` when they did not leave.
    pub fn left_from(&self, line: u32) -> Option<&Location> {
        let mut lines = self.parcels().iter().flat_map(|parcel| parcel.shipped.lines.iter());
        lines.find(|shipped| shipped.line == line).map(|shipped| &shipped.location)
    }

    /// I-RT-1, decided: these pieces have arrived and come back in no other return. What a return has asked for
    /// itself does not stand in its way.
    pub fn may_come_back(&self, pieces: &Lines, own: Option<ReturnId>) -> Result<Arc<[Pieces]>, Rejection> {
        let (arrived, accounted, taken) = (self.arrived(), self.accounted(), self.taken_back(own));
        let of = |lines: &Lines, line: u32| lines.get(&line).copied().unwrap_or(0);
        let mut named = Vec::with_capacity(pieces.len());
        for (line, wanted) in pieces {
            let arrived = of(&arrived, *line);
            let known = self.lines().iter().find(|known| known.line == *line);
            let known = known.filter(|_| *wanted <= arrived).ok_or_else(|| {
                let sentence = "so many pieces of the line have not arrived";
                Rejection::new("NOT_DELIVERED", sentence).with("line", line).with("arrived", arrived)
            })?;
            let left = of(&accounted, *line).saturating_sub(of(&taken, *line)).min(arrived);
            if *wanted > left {
                let sentence = "these pieces come back already, or did";
                let exceeds = Rejection::new("RETURN_EXCEEDS_DELIVERED", sentence);
                return Err(exceeds.with("line", line).with("left", left));
            }
            let quantity = Quantity::try_new(*wanted);
            let piece = quantity.map(|quantity| Pieces { line: *line, sku: known.sku.clone(), quantity });
            named.extend(piece);
        }
        let too_many = self.returns().is_some_and(|returns| {
            returns.all.len() >= RETURNS_MAX && own.is_none_or(|own| !returns.all.contains(&own))
        });
        if too_many {
            let sentence = "the order has had as many returns as it may";
            return Err(Rejection::new("TOO_MANY_RETURNS", sentence));
        }
        Ok(named.into())
    }

    /// The pieces that are there, and in no return.
    pub fn not_returned(&self) -> Lines {
        let taken = self.taken_back(None);
        let of = |line: u32| taken.get(&line).copied().unwrap_or(0);
        self.arrived().into_iter().map(|(line, there)| (line, there.saturating_sub(of(line)))).collect()
    }

    /// The pieces that came back or are about to.
    fn taken_back(&self, without: Option<ReturnId>) -> Lines {
        let Some(returns) = self.returns() else { return Lines::new() };
        let mut taken = returns.given_up();
        let others = returns.pending.iter().filter(|(id, _)| Some(**id) != without);
        others.for_each(|(_, pieces)| add(&mut taken, pieces));
        taken
    }

    /// What these pieces are worth, if they come back next.
    pub fn goods_worth(&self, pieces: &[Pieces]) -> i64 {
        let before = self.returns().map(Returns::given_up).unwrap_or_default();
        let mut after = before.clone();
        add(&mut after, pieces);
        self.goods_minor(&after).saturating_sub(self.goods_minor(&before))
    }

    /// What is given back for these pieces: the paid price of their lines in proportion, in such parts that all
    /// pieces of a line together give exactly what was paid for it. The original shipping goes back once, with
    /// the last piece, or when the shop is at fault. I-RT-2: never more than was taken.
    pub fn worth(&self, pieces: &[Pieces], at_fault: bool, fees_minor: i64) -> Result<Worth, Rejection> {
        let total = self.agreed_total().ok_or_else(|| not_found("the order"))?;
        let none = Returns::default();
        let returns = self.returns().unwrap_or(&none);
        let mut after = returns.given_up();
        add(&mut after, pieces);
        let goods_minor = self.goods_worth(pieces);
        let is_all = self.is_all(&after);
        let gives_shipping = !pieces.is_empty() && !returns.is_shipping_back && (is_all || at_fault);
        let shipping = self.terms().filter(|_| gives_shipping);
        let shipping_minor = shipping.map_or(0, |terms| terms.shipping_total_minor());
        let worth_minor = goods_minor.saturating_add(shipping_minor);
        if worth_minor > self.taken_minor().saturating_sub(returns.settled_minor) {
            let sentence = "what came back was not paid for so far";
            return Err(Rejection::new("RETURN_NOT_PAID", sentence));
        }
        let fees_minor = fees_minor.clamp(0, worth_minor);
        let refund = Money::new(worth_minor.saturating_sub(fees_minor), total.currency());
        Ok(Worth { refund, shipping_minor, fees_minor, is_all })
    }

    /// The money that was taken for the order, or stands for it, whatever was given back since.
    pub fn taken_minor(&self) -> i64 {
        if let Some(exchange) = self.exchange() {
            return exchange.value_minor;
        }
        if self.delivery().is_some() {
            return self.captured_minor();
        }
        let total = self.total().map_or(0, |total| total.minor_units());
        if self.payment == Payment::Captured { total } else { 0 }
    }
}

/// When the pieces of each line arrived, the last of them; the events in their order.
pub fn arrivals<'a>(events: impl Iterator<Item = (&'a OrderEvent, Timestamp)>) -> BTreeMap<u32, Timestamp> {
    let mut inside: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let (mut arrived, mut all) = (BTreeMap::new(), Vec::new());
    for (event, time) in events {
        if let OrderEvent::OrderPlaced(placed) = event {
            all.extend(placed.lines.iter().map(|line| line.line));
        }
        if let OrderEvent::ParcelShipped(shipped) = event {
            inside.insert(&shipped.shipment_id, shipped.lines.iter().map(|line| line.line).collect());
        }
        if let OrderEvent::ParcelMoved(moved) = event
            && moved.to == Whereabouts::Delivered
        {
            let lines = inside.get(&*moved.shipment_id).into_iter().flatten();
            arrived.extend(lines.map(|line| (*line, time)));
        }
        let is_through = super::money_moved(event) == Some(Payment::Captured)
            || matches!(event, OrderEvent::OrderConfirmed(_));
        if is_through {
            arrived.extend(all.iter().map(|line| (*line, time)));
        }
    }
    arrived
}
