//! What must hold of quotes and orders, whenever it is looked at. Tests and `souk verify` use the same
//! predicates.
use crate::domain::order::{Fulfilment, Label, Order, Payment};
use crate::domain::returns::{End, Phase, Return};
use crate::domain::{Line, sum};
use souk_contracts::terms::{OrderId, QuoteId, Sku};
use souk_kernel::Money;
use souk_saga::Progress;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a comparison between services needs to know of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderFacts {
    pub order_id: OrderId,
    pub quote_id: QuoteId,
    pub subject: Arc<str>,
    pub label: Label,
    pub payment: Payment,
    pub total: Money,
    /// The pieces that are still sold and promised, by SKU, summed over the lines; what was shipped of them
    /// included, and what came back and never left not.
    pub pieces: BTreeMap<Sku, u64>,
    /// Whether a saga still has something to do.
    pub saga_open: bool,
    pub needs_attention: bool,
    /// A person settled a step or ended a saga: where stock and money are is for that person's books.
    pub by_hand: bool,
    pub reason: String,
    pub external_ref: Arc<str>,
    /// Whether it is shipped, and what was taken parcel by parcel.
    pub ships: bool,
    pub captured_minor: i64,
    /// What returns were given back, and whether one is not at its end.
    pub refunded_minor: i64,
    pub return_open: bool,
}

/// The facts of an order; `None` when there is no such order.
pub fn facts(order: &Order) -> Option<OrderFacts> {
    let placed = order.placed()?;
    let mut pieces = BTreeMap::new();
    let released =
        |line: u32| order.returns().and_then(|returns| returns.released.get(&line).copied()).unwrap_or(0);
    let left = |(line, sold): (Line, u32)| {
        let left = sold.saturating_sub(released(line.line));
        (line, left)
    };
    for (line, sold) in order.sold().0.into_iter().map(left).filter(|(_, left)| *left > 0) {
        *pieces.entry(line.sku).or_insert(0) += u64::from(sold);
    }
    Some(OrderFacts {
        order_id: placed.order_id,
        quote_id: placed.quote_id,
        subject: placed.subject.clone(),
        label: order.label(),
        payment: order.payment(),
        total: order.total().unwrap_or(placed.total),
        pieces,
        saga_open: order.has_open_saga(),
        needs_attention: order.needs_attention(),
        by_hand: [order.place(), order.cancel(), order.fulfil()]
            .into_iter()
            .any(Progress::was_settled_by_hand),
        reason: order.reason().0.to_owned(),
        external_ref: placed.external_ref.clone(),
        ships: order.delivery().is_some(),
        captured_minor: order.captured_minor(),
        refunded_minor: order.returns().map_or(0, |returns| returns.refunded_minor),
        return_open: order.has_open_return(),
    })
}

/// I-OR-1: an order's total is the sum of its lines less discounts, with shipping and the tax that is not in the
/// prices; as it was placed, and as it is since the customer took a part of it.
pub fn total_is_sum_of_lines(order: &Order) -> bool {
    let Some(placed) = order.placed() else { return true };
    let currency = placed.total.currency();
    let as_placed = sum(&placed.lines, placed.terms.as_deref(), currency) == Ok(placed.total);
    let agreed = sum(order.lines(), order.terms().map(AsRef::as_ref), currency);
    as_placed && agreed.ok() == order.agreed_total()
}

/// I-OR-3: what was taken is what the parcels that are paid for owe, and never more than the order costs; once
/// all of it has left and is paid for, exactly that.
pub fn captured_is_what_left(order: &Order) -> bool {
    let paid = order.parcels().iter().filter(|parcel| parcel.is_paid);
    let owed: i64 = paid.map(|parcel| parcel.shipped.amount.minor_units()).sum();
    let all_paid = order.parcels().iter().all(|parcel| parcel.is_paid);
    let total = order.total().map_or(0, |total| total.minor_units());
    let all_left = order.parcels().iter().any(|parcel| parcel.shipped.is_last);
    owed == order.captured_minor() && owed <= total && (!(all_left && all_paid) || owed == total)
}

/// I-RT-1: no more comes back, or is to, than has arrived, line by line. I-RT-2: no more is given back than
/// returns are worth, and those no more than was taken.
pub fn returns_fit(order: &Order) -> bool {
    let Some(returns) = order.returns() else { return true };
    let arrived = order.accounted();
    let mut coming = returns.given_up();
    for piece in returns.pending.values().flat_map(|pieces| pieces.iter()) {
        *coming.entry(piece.line).or_insert(0) += piece.quantity.get();
    }
    let pieces_fit =
        coming.iter().all(|(line, pieces)| arrived.get(line).is_some_and(|there| pieces <= there));
    let money_fits =
        returns.refunded_minor <= returns.settled_minor && returns.settled_minor <= order.taken_minor();
    let all_back_is_all_money = !(returns.is_all_back && order.parcels().iter().all(|parcel| parcel.is_paid))
        || returns.settled_minor == order.value_minor();
    pieces_fit && money_fits && all_back_is_all_money
}

/// I-RT-4: an exchange names the return that it replaces, which names it, and costs no more than what came back for
/// it is worth. Answers what is wrong of the order.
pub fn exchange_fits(order: &Order, back: Option<&Return>) -> Option<&'static str> {
    let exchange = order.exchange()?;
    let settlement = back.and_then(|back| back.settlement());
    let (Some(back), Some(settlement)) = (back, settlement) else {
        return Some("replaces nothing that came back");
    };
    let goods_minor = settlement.refund.minor_units().saturating_sub(settlement.shipping_minor);
    let wanted_minor = back.replacement().map(|wanted| wanted.value.minor_units());
    if exchange.value_minor > goods_minor || wanted_minor != Some(exchange.value_minor) {
        return Some("is worth more than what came back for it");
    }
    let belongs = back.whose().is_some_and(|whose| whose.order_id == exchange.order_id);
    (!belongs).then_some("replaces pieces of another order")
}

/// The order that a return says it was exchanged for.
pub fn exchanged_for(back: &Return) -> Option<OrderId> {
    match back.phase() {
        Phase::Resolved(End::Exchanged { order_id, .. }) => Some(*order_id),
        Phase::Unknown
        | Phase::Requested
        | Phase::Approved { .. }
        | Phase::Received
        | Phase::Settling
        | Phase::Resolved(End::Refunded { .. } | End::Declined)
        | Phase::Rejected { .. }
        | Phase::Expired
        | Phase::Cancelled
        | Phase::ArrivedLate => None,
    }
}

/// I-OR-5: a quote has one order. Answers the quotes that have more.
pub fn quotes_with_two_orders<'a>(orders: impl Iterator<Item = &'a OrderFacts>) -> Vec<QuoteId> {
    let mut counts: BTreeMap<QuoteId, u32> = BTreeMap::new();
    for order in orders {
        *counts.entry(order.quote_id).or_insert(0) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(quote_id, _)| quote_id).collect()
}

/// I-OR-6: an order that is not settled has an open saga to settle it or waits for a timer or a parcel, and one
/// that came to nothing has none.
pub fn saga_fits_status(facts: &OrderFacts) -> bool {
    let is_free = facts.total.minor_units() == 0;
    match facts.label {
        Label::Pending | Label::Cancelling | Label::AwaitingCustomer => facts.saga_open,
        // An order that ships nothing is held while its money is refused.
        Label::Confirmed | Label::OnHold => {
            let is_paid = matches!(
                facts.payment,
                Payment::Captured | Payment::Disputed | Payment::PartiallyRefunded | Payment::Refunded
            );
            facts.saga_open || facts.ships || is_free || is_paid || facts.by_hand
        }
        Label::Processing
        | Label::PartiallyShipped
        | Label::Shipped
        | Label::Delivered
        | Label::Completed => facts.ships,
        Label::Rejected | Label::Cancelled => !facts.saga_open,
    }
}

/// An order that came to nothing holds no money: I-OR-4 as far as this service knows.
pub fn nothing_kept(facts: &OrderFacts) -> bool {
    match facts.label {
        Label::Pending
        | Label::AwaitingCustomer
        | Label::Confirmed
        | Label::Processing
        | Label::PartiallyShipped
        | Label::Shipped
        | Label::Delivered
        | Label::Completed
        | Label::OnHold
        | Label::Cancelling => true,
        Label::Rejected | Label::Cancelled if facts.by_hand => true,
        Label::Rejected | Label::Cancelled => match facts.payment {
            Payment::None | Payment::Voided | Payment::Refunded => true,
            Payment::Pending
            | Payment::Authorized
            | Payment::PartiallyCaptured
            | Payment::Captured
            | Payment::PartiallyRefunded
            | Payment::Failed
            | Payment::Disputed => false,
        },
    }
}

/// A row of the list of orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub order_id: OrderId,
    pub quote_id: QuoteId,
    pub subject: String,
    pub status: Label,
    pub payment: Payment,
    pub fulfilment: Fulfilment,
    pub reason: String,
    pub sequence: u64,
    pub needs_attention: bool,
    pub total: Money,
}

/// I-OR-7: the read model says what the fold of the events says.
pub fn row_is_fold(row: &Listed, order: &Order) -> bool {
    order.placed().is_some_and(|placed| {
        let folded = Listed {
            order_id: placed.order_id,
            quote_id: placed.quote_id,
            subject: placed.subject.to_string(),
            status: order.label(),
            payment: order.payment(),
            fulfilment: order.fulfilment(),
            reason: order.reason().0.to_owned(),
            sequence: order.sequence(),
            needs_attention: order.needs_attention(),
            total: order.total().unwrap_or(placed.total),
        };
        *row == folded
    })
}
