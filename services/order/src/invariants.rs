//! What must hold of quotes and orders, whenever it is looked at. Tests and `souk verify` use the same
//! predicates.
use crate::domain::order::{Label, Order, Payment};
use crate::domain::sum;
use souk_contracts::terms::{OrderId, QuoteId, Sku};
use souk_kernel::Money;
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
    /// Pieces by SKU, summed over the lines.
    pub pieces: BTreeMap<Sku, u64>,
    /// Whether a saga still has something to do.
    pub saga_open: bool,
    pub needs_attention: bool,
    /// A person settled a step or ended a saga: where stock and money are is for that person's books.
    pub by_hand: bool,
    pub reason: String,
    pub external_ref: Arc<str>,
}

/// The facts of an order; `None` when there is no such order.
pub fn facts(order: &Order) -> Option<OrderFacts> {
    let placed = order.placed()?;
    let mut pieces = BTreeMap::new();
    for line in placed.lines.iter() {
        *pieces.entry(line.sku.clone()).or_insert(0) += u64::from(line.quantity.get());
    }
    Some(OrderFacts {
        order_id: placed.order_id,
        quote_id: placed.quote_id,
        subject: placed.subject.clone(),
        label: order.label(),
        payment: order.payment(),
        total: placed.total,
        pieces,
        saga_open: order.place().is_open() || order.cancel().is_open(),
        needs_attention: order.needs_attention(),
        by_hand: order.place().was_settled_by_hand() || order.cancel().was_settled_by_hand(),
        reason: order.reason().0.to_owned(),
        external_ref: placed.external_ref.clone(),
    })
}

/// I-OR-1: an order's total is the sum of its lines.
pub fn total_is_sum_of_lines(order: &Order) -> bool {
    order.placed().is_none_or(|placed| sum(&placed.lines, placed.total.currency()) == Ok(placed.total))
}

/// I-OR-5: a quote has one order. Answers the quotes that have more.
pub fn quotes_with_two_orders<'a>(orders: impl Iterator<Item = &'a OrderFacts>) -> Vec<QuoteId> {
    let mut counts: BTreeMap<QuoteId, u32> = BTreeMap::new();
    for order in orders {
        *counts.entry(order.quote_id).or_insert(0) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(quote_id, _)| quote_id).collect()
}

/// I-OR-6: an order that is not settled has an open saga to settle it, and one that came to nothing has none.
pub fn saga_fits_status(facts: &OrderFacts) -> bool {
    match facts.label {
        Label::Pending | Label::Cancelling => facts.saga_open,
        Label::Confirmed => facts.saga_open || facts.payment == Payment::Captured || facts.by_hand,
        Label::Rejected | Label::Cancelled => !facts.saga_open,
    }
}

/// An order that came to nothing holds no money: I-OR-4 as far as this service knows.
pub fn nothing_kept(facts: &OrderFacts) -> bool {
    match facts.label {
        Label::Pending | Label::Confirmed | Label::Cancelling => true,
        Label::Rejected | Label::Cancelled if facts.by_hand => true,
        Label::Rejected | Label::Cancelled => match facts.payment {
            Payment::None | Payment::Voided | Payment::Refunded => true,
            Payment::Authorized | Payment::Captured => false,
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
            reason: order.reason().0.to_owned(),
            sequence: order.sequence(),
            needs_attention: order.needs_attention(),
            total: placed.total,
        };
        *row == folded
    })
}
