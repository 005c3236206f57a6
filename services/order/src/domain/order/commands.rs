//! What may be asked of an order, and what its timers do to it.
use super::{
    Awaits, BY_ITSELF, CAPTURE_REFUSED, CUSTOMER_TOO_LATE, CancelRequested, DEADLINE_PASSED, HELD_BY_STAFF,
    Order, OrderCompleted, OrderEvent, OrderHeld, OrderNeedsAttention, OrderPlaced, OrderProcessingStarted,
    OrderReleased, PARTIAL_REFUSED, PartialPolicy, RemainderAccepted, Status,
};
use crate::domain::quote::QuoteCreated;
use crate::domain::{Caller, not_found};
use crate::{cancel as cancelling, fulfil, place as placing};
use souk_contracts::terms::OrderId;
use souk_kernel::{Rejection, Timestamp};
use souk_saga::TurnBack;
use std::sync::Arc;

/// A quote was accepted by this order.
#[derive(Debug, Clone)]
pub struct Place {
    pub order_id: OrderId,
    pub placed_by: Arc<str>,
    pub payment_method_token: Arc<str>,
    pub partial_policy: PartialPolicy,
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
        terms: offer.terms.clone(),
        partial_policy: place.partial_policy,
        payment_method_token: place.payment_method_token.clone(),
        placed_at: now,
    };
    let started = order.place.start(placing::definition_of(&placed)).into_iter().map(OrderEvent::SagaMoved);
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
    visible(order, &cancel.caller)?;
    let cancelled_already = matches!(order.status, Status::Cancelled { .. });
    if cancelled_already || (order.cancel_asked() && !order.label().is_settled()) {
        return Ok(Vec::new());
    }
    order.refuse_to_call_off_an_exchange()?;
    if order.returns().is_some_and(|returns| !returns.open.is_empty() || !returns.back.is_empty()) {
        let sentence = "pieces of it come back already, or did; return the others, too";
        return Err(Rejection::new("CANCEL_TOO_LATE", sentence).with("instead", "returns"));
    }
    let by_staff = cancel.caller.sells || cancel.caller.looks_after;
    let requested = OrderEvent::CancelRequested(CancelRequested {
        by: cancel.by.clone(),
        by_staff,
        note: if by_staff { cancel.note.clone() } else { String::new() },
    });
    let mut asked = order.clone();
    souk_decider::Aggregate::evolve(&mut asked, &requested);
    let follows = match &order.status {
        Status::Pending => cancel_pending(&asked)?,
        Status::Confirmed => cancelling::take_over(&asked, &asked.place),
        Status::Processing if order.cancel_refused.is_none() => cancelling::take_over(&asked, &asked.place),
        Status::Processing
        | Status::PartiallyShipped
        | Status::Shipped
        | Status::Delivered
        | Status::Completed => return Err(has_left()),
        Status::Rejected { .. } | Status::Cancelled { .. } => return Err(too_late(order)),
    };
    Ok(std::iter::once(requested).chain(follows).collect())
}

fn cancel_pending(order: &Order) -> Result<Vec<OrderEvent>, Rejection> {
    match order.place.turn_back(placing::definition(order.place.version()), order.cancel_reason()) {
        TurnBack::Events(moves) => Ok(placing::with_consequences(order, moves)),
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

fn has_left() -> Rejection {
    let sentence = "the parcel is on its way; return it once it is there";
    Rejection::new("CANCEL_TOO_LATE", sentence).with("instead", "returns")
}

/// The order, if the caller may see it.
pub(super) fn visible<'a>(order: &'a Order, caller: &Caller) -> Result<&'a Arc<OrderPlaced>, Rejection> {
    let placed = order.placed.as_ref();
    let placed = placed.filter(|placed| caller.may_see(&placed.subject, placed.is_agreed()));
    placed.ok_or_else(|| not_found("the order"))
}

/// The customer says whether a part of the order will do.
pub fn confirm_partial(
    order: &Order,
    caller: &Caller,
    accepts: bool,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, Rejection> {
    visible(order, caller)?;
    let nothing = || Rejection::new("NOTHING_TO_CONFIRM", "the order asks nothing, or no longer");
    let accepted_before = order.after.as_ref().is_some_and(|after| after.remainder.is_some());
    if accepts && accepted_before {
        return Ok(Vec::new());
    }
    let asked = order.awaits.as_ref().filter(|asked| asked.until > now).ok_or_else(nothing)?;
    match &asked.awaits {
        Awaits::Payment { .. } => Err(nothing()),
        Awaits::Consent { remainder } if accepts => {
            let remainder = remainder.clone();
            Ok(vec![OrderEvent::RemainderAccepted(RemainderAccepted { remainder })])
        }
        Awaits::Consent { .. } => Ok(turned_back(order, PARTIAL_REFUSED)),
    }
}

/// The customer's time to act is over.
pub fn customer_late(order: &Order, now: Timestamp) -> Vec<OrderEvent> {
    match &order.awaits {
        Some(asked) if asked.until <= now => turned_back(order, CUSTOMER_TOO_LATE),
        Some(_) | None => Vec::new(),
    }
}

/// The time to confirm is over: turns back unless the pivot is done or in doubt.
pub fn deadline_passed(order: &Order) -> Vec<OrderEvent> {
    turned_back(order, DEADLINE_PASSED)
}

fn turned_back(order: &Order, reason: &str) -> Vec<OrderEvent> {
    match order.place.turn_back(placing::definition(order.place.version()), reason) {
        TurnBack::Events(moves) => placing::with_consequences(order, moves),
        TurnBack::PivotInDoubt | TurnBack::Already | TurnBack::TooLate => Vec::new(),
    }
}

/// The time in which it could be undone at once is over: shipping gets it.
pub fn undo_window_over(order: &Order) -> Vec<OrderEvent> {
    let Some(placed) = order.placed.as_ref() else { return Vec::new() };
    if order.status != Status::Confirmed || order.cancel_asked() || order.delivery().is_none() {
        return Vec::new();
    }
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    let started = order.fulfil.start(fulfil::definition()).into_iter().map(OrderEvent::SagaMoved);
    let processing = OrderEvent::OrderProcessingStarted(OrderProcessingStarted { order_id, subject });
    std::iter::once(processing).chain(started).collect()
}

/// The time for returns is over.
pub fn return_window_over(order: &Order) -> Vec<OrderEvent> {
    let Some(placed) = order.placed.as_ref() else { return Vec::new() };
    if order.status != Status::Delivered || order.has_open_return() {
        return Vec::new();
    }
    let (order_id, subject) = (placed.order_id, placed.subject.clone());
    vec![OrderEvent::OrderCompleted(OrderCompleted { order_id, subject })]
}

/// Staff keeps the order in the house. Shipping is told by an errand of its own.
pub fn hold(order: &Order, by: &Arc<str>, note: &str) -> Result<Vec<OrderEvent>, Rejection> {
    let placed = order.placed.as_ref().ok_or_else(|| not_found("the order"))?;
    let can_be_held = match order.status {
        Status::Pending | Status::Confirmed | Status::Processing | Status::PartiallyShipped => {
            order.delivery().is_some() && !order.cancel_asked()
        }
        Status::Shipped
        | Status::Delivered
        | Status::Completed
        | Status::Rejected { .. }
        | Status::Cancelled { .. } => false,
    };
    if !can_be_held {
        let sentence = "the order ships nothing, or nothing of it is in the house";
        return Err(Rejection::new("NOTHING_TO_HOLD", sentence));
    }
    if !order.holds().is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![OrderEvent::OrderHeld(OrderHeld {
        order_id: placed.order_id,
        subject: placed.subject.clone(),
        hold_id: format!("hold-{}", order.holds_ever() + 1).into(),
        reason: HELD_BY_STAFF.to_owned(),
        by: by.clone(),
        note: note.to_owned(),
    })])
}

/// The money of what was sold, or of a parcel that left, is refused: nothing more of the order leaves the house, and
/// a person is called. `about` is what staff sees it is about.
pub fn capture_refused(
    order_id: OrderId,
    subject: &Arc<str>,
    hold_id: &Arc<str>,
    about: &Arc<str>,
    note: &str,
) -> [OrderEvent; 2] {
    let held = OrderHeld {
        order_id,
        subject: subject.clone(),
        hold_id: hold_id.clone(),
        reason: CAPTURE_REFUSED.to_owned(),
        by: BY_ITSELF.into(),
        note: note.to_owned(),
    };
    let needs = OrderNeedsAttention {
        order_id,
        subject: subject.clone(),
        reason: CAPTURE_REFUSED.to_owned(),
        about: about.clone(),
    };
    [OrderEvent::OrderHeld(held), OrderEvent::OrderNeedsAttention(needs)]
}

/// Staff ends every hold, and has seen to what called a person.
pub fn release(order: &Order, by: &Arc<str>, note: &str) -> Result<Vec<OrderEvent>, Rejection> {
    let placed = order.placed.as_ref().ok_or_else(|| not_found("the order"))?;
    if order.holds().is_empty() && order.attention().is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![OrderEvent::OrderReleased(OrderReleased {
        order_id: placed.order_id,
        subject: placed.subject.clone(),
        by: by.clone(),
        note: note.to_owned(),
    })])
}
