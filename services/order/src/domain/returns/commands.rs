//! What may be asked of a return. Each decision is about the return and its order at once; both are recorded in
//! one commit.
use super::{
    End, FAULT_WINDOW, Found, Grade, Phase, RETURN_TTL, Reason, Return, ReturnApproved, ReturnArrivedLate,
    ReturnCancelled, ReturnEvent, ReturnExpired, ReturnInspected, ReturnReceived, ReturnRecorded,
    ReturnRejected, ReturnRequested, ReturnResolved, Settlement, Swap, WantedBack, Whose, Wish,
};
use crate::domain::exchange::Replacement;
use crate::domain::order::{
    GoodsReturned, Lines, Order, OrderEvent, OrderNeedsAttention, Pieces, RETURN_ARRIVED_LATE, ReturnClosed,
    ReturnOpened, Worth,
};
use crate::domain::{Caller, not_found};
use crate::returns as saga;
use souk_contracts::terms::{OrderId, Quantity, ReturnId};
use souk_kernel::{Money, Rejection, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the customer wanted instead costs more than what came back for it is worth.
pub const EXCHANGE_TOO_DEAR: &str = "EXCHANGE_TOO_DEAR";

/// What a decision records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decided {
    pub events: Vec<ReturnEvent>,
    pub to_order: Vec<OrderEvent>,
    /// For the order whose payment pays it back, where that is another.
    pub to_payer: Option<(OrderId, Vec<OrderEvent>)>,
}

/// Somebody wants to send pieces back.
#[derive(Debug, Clone)]
pub struct Request {
    pub return_id: ReturnId,
    pub caller: Caller,
    pub by: Arc<str>,
    /// Each line once.
    pub lines: Vec<(u32, Quantity, Reason)>,
    pub wish: Wish,
    /// What is wanted instead, or why the shop does not sell it.
    pub replacement: Option<Result<Arc<Replacement>, Rejection>>,
    /// When the pieces of each line arrived.
    pub arrivals: BTreeMap<u32, Timestamp>,
    /// How long pieces may come back that are only unwanted.
    pub window: Duration,
    /// Who asked under which key, and what: the same again is the same return.
    pub key: Arc<str>,
    pub hash: Arc<str>,
}

/// Pieces came back over the counter.
#[derive(Debug, Clone)]
pub struct Record {
    pub return_id: ReturnId,
    pub by: Arc<str>,
    pub external_ref: Arc<str>,
    pub hash: Arc<str>,
    pub lines: Vec<(u32, Quantity, Grade)>,
    pub reason: Reason,
}

/// What was found in a parcel.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub by: Arc<str>,
    pub lines: Vec<(u32, Quantity, Grade)>,
    /// What is kept, in the order's currency; `None`: what is usual.
    pub fees: Option<Money>,
    /// What is usually kept of what is only unwanted, in percent.
    pub restocking_percent: u8,
}

/// Opens a return while the time for it lasts.
pub fn request(order: &Order, asked: &Request, now: Timestamp) -> Result<Decided, Rejection> {
    let caller = &asked.caller;
    let placed = order.placed().filter(|placed| caller.may_see(&placed.subject, placed.is_agreed()));
    let placed = placed.ok_or_else(|| not_found("the order"))?;
    refuse_unoffered(asked.wish)?;
    let wanted = asked.lines.iter().map(|(line, quantity, _)| (*line, quantity.get())).collect();
    let pieces = order.may_come_back(&wanted, None)?;
    for (line, _, reason) in &asked.lines {
        let window = if reason.is_shops_fault() { FAULT_WINDOW.max(asked.window) } else { asked.window };
        let is_late = asked.arrivals.get(line).is_some_and(|arrived| arrived.plus(window) <= now);
        if is_late {
            let over = Rejection::new("RETURN_WINDOW_OVER", "the time for returns is over");
            return Err(over.with("line", line));
        }
    }
    let replacement = wanted_instead(order, asked, &pieces)?;
    let of = |line: u32| pieces.iter().find(|piece| piece.line == line);
    let lines = asked.lines.iter().filter_map(|(line, quantity, reason)| {
        let sku = of(*line)?.sku.clone();
        Some(WantedBack { line: *line, sku, quantity: *quantity, reason: *reason })
    });
    let requested = ReturnRequested {
        whose: whose(asked.return_id, placed.order_id, &placed.subject),
        by: asked.by.clone(),
        lines: lines.collect(),
        wish: asked.wish,
        replacement,
        hash: asked.hash.clone(),
        at: now,
    };
    let opened = ReturnOpened { return_id: asked.return_id, pieces };
    Ok(Decided {
        events: vec![ReturnEvent::ReturnRequested(Arc::new(requested))],
        to_order: vec![OrderEvent::ReturnOpened(opened)],
        to_payer: None,
    })
}

fn refuse_unoffered(wish: Wish) -> Result<(), Rejection> {
    let name = match wish {
        Wish::Refund | Wish::Exchange => return Ok(()),
        Wish::Credit => "CREDIT",
    };
    let sentence = "the shop gives the money back or other goods, and no credit";
    Err(Rejection::new("NOT_OFFERED", sentence).with("wish", name))
}

/// I-RT-4: what is wanted instead costs no more than what comes back for it is worth. It is looked at again when
/// that is known.
fn wanted_instead(
    order: &Order,
    asked: &Request,
    pieces: &[Pieces],
) -> Result<Option<Arc<Replacement>>, Rejection> {
    let Some(replacement) = asked.replacement.clone().transpose()? else { return Ok(None) };
    let worth = Money::new(order.goods_worth(pieces), replacement.value.currency());
    if replacement.value.minor_units() > worth.minor_units() {
        let sentence = "what is wanted instead costs more than what comes back is worth";
        let dear = Rejection::new(EXCHANGE_TOO_DEAR, sentence);
        return Err(dear.with("costs", replacement.value).with("worth", worth));
    }
    Ok(Some(replacement))
}

/// Books what came back over the counter, all at once. Staff stands before the goods: no time is over.
pub fn record(order: &Order, asked: &Record, now: Timestamp) -> Result<Decided, Rejection> {
    let placed = order.placed().ok_or_else(|| not_found("the order"))?;
    let pieces = order.may_come_back(&accepted(&asked.lines), None)?;
    let at_fault = asked.reason.is_shops_fault();
    let (worth, settlement) = settle(order, placed.order_id, &pieces, &asked.lines, at_fault, 0)?;
    let to_payer = to_payer(asked.return_id, &settlement);
    let to_order = vec![goods_returned(order, asked.return_id, &pieces, &worth, &settlement)];
    let recorded = ReturnRecorded {
        whose: whose(asked.return_id, placed.order_id, &placed.subject),
        by: asked.by.clone(),
        external_ref: asked.external_ref.clone(),
        hash: asked.hash.clone(),
        reason: asked.reason,
        settlement,
        at: now,
    };
    let recorded = ReturnEvent::ReturnRecorded(Arc::new(recorded));
    let events = std::iter::once(recorded).chain(saga::start_settling(false)).collect();
    Ok(Decided { events, to_order, to_payer })
}

/// The customer may send it.
pub fn approve(
    order: &Order,
    back: &Return,
    by: &Arc<str>,
    free_label: bool,
    now: Timestamp,
) -> Result<Decided, Rejection> {
    let whose = back.whose().ok_or_else(|| not_found("the return"))?;
    match back.phase() {
        Phase::Requested => {}
        Phase::Approved { .. } => return Ok(Decided::default()),
        Phase::Unknown
        | Phase::Received
        | Phase::Settling
        | Phase::Resolved(_)
        | Phase::Rejected { .. }
        | Phase::Expired
        | Phase::Cancelled
        | Phase::ArrivedLate => return Err(not_open(back)),
    }
    let until = now.plus(RETURN_TTL);
    let approved = ReturnApproved { whose: whose.clone(), by: by.clone(), until };
    let wants_label = order.delivery().is_some() && (free_label || back.is_at_fault());
    let labels = if wants_label { saga::start_labelling(back) } else { Vec::new() };
    let events = std::iter::once(ReturnEvent::ReturnApproved(approved)).chain(labels).collect();
    Ok(Decided { events, ..Decided::default() })
}

/// The customer may not send it; or what arrived late is not taken back.
pub fn reject(back: &Return, by: &Arc<str>, note: &str) -> Result<Decided, Rejection> {
    let whose = back.whose().ok_or_else(|| not_found("the return"))?;
    match back.phase() {
        Phase::Requested | Phase::ArrivedLate => {}
        Phase::Rejected { .. } => return Ok(Decided::default()),
        Phase::Unknown
        | Phase::Approved { .. }
        | Phase::Received
        | Phase::Settling
        | Phase::Resolved(_)
        | Phase::Expired
        | Phase::Cancelled => return Err(not_open(back)),
    }
    let rejected = ReturnRejected { whose: whose.clone(), by: by.clone(), note: note.to_owned() };
    Ok(closing(back, ReturnEvent::ReturnRejected(rejected), whose.return_id))
}

/// The customer keeps the pieces after all.
pub fn cancel(back: &Return, by: &Arc<str>) -> Result<Decided, Rejection> {
    let whose = back.whose().ok_or_else(|| not_found("the return"))?;
    match back.phase() {
        Phase::Requested | Phase::Approved { .. } => {}
        Phase::Cancelled => return Ok(Decided::default()),
        Phase::Unknown
        | Phase::Received
        | Phase::Settling
        | Phase::Resolved(_)
        | Phase::Rejected { .. }
        | Phase::Expired
        | Phase::ArrivedLate => return Err(not_open(back)),
    }
    let cancelled = ReturnEvent::ReturnCancelled(ReturnCancelled { by: by.clone() });
    Ok(closing(back, cancelled, whose.return_id))
}

/// It did not arrive in time.
pub fn expire(back: &Return, now: Timestamp) -> Decided {
    match (back.whose(), back.phase()) {
        (Some(whose), Phase::Approved { until }) if *until <= now => {
            let expired = ReturnEvent::ReturnExpired(ReturnExpired { whose: whose.clone() });
            closing(back, expired, whose.return_id)
        }
        (Some(_) | None, _) => Decided::default(),
    }
}

/// The pieces stay with the customer; a label that was asked for must not be used any more.
fn closing(back: &Return, end: ReturnEvent, return_id: ReturnId) -> Decided {
    let events = std::iter::once(end).chain(saga::start_voiding(back)).collect();
    let to_order = vec![OrderEvent::ReturnClosed(ReturnClosed { return_id })];
    Decided { events, to_order, to_payer: None }
}

/// The parcel with the label is in the house. When the return has ended meanwhile, staff decides what becomes of it.
pub fn arrived(back: &Return, by: &Arc<str>) -> Decided {
    let Some(whose) = back.whose() else { return Decided::default() };
    match back.phase() {
        Phase::Approved { .. } => {
            Decided { events: vec![received(back, whose, by, &[])], ..Decided::default() }
        }
        Phase::Expired | Phase::Cancelled => {
            let late = ReturnArrivedLate { whose: whose.clone(), by: by.clone() };
            let needs = OrderNeedsAttention {
                order_id: whose.order_id,
                subject: whose.subject.clone(),
                reason: RETURN_ARRIVED_LATE.to_owned(),
                about: whose.return_id.to_string().into(),
            };
            Decided {
                events: vec![ReturnEvent::ReturnArrivedLate(late)],
                to_order: vec![OrderEvent::OrderNeedsAttention(needs)],
                to_payer: None,
            }
        }
        Phase::Unknown
        | Phase::Requested
        | Phase::Received
        | Phase::Settling
        | Phase::Resolved(_)
        | Phase::Rejected { .. }
        | Phase::ArrivedLate => Decided::default(),
    }
}

/// Pieces have arrived; none named: all of them. A return that had expired or was called off begins anew with it,
/// unless its pieces are in another one meanwhile.
pub fn receive(
    order: &Order,
    back: &Return,
    by: &Arc<str>,
    lines: &[(u32, Quantity)],
) -> Result<Decided, Rejection> {
    let whose = back.whose().ok_or_else(|| not_found("the return"))?;
    let to_order = match back.phase() {
        Phase::Approved { .. } => Vec::new(),
        Phase::Expired | Phase::Cancelled | Phase::ArrivedLate => vec![reopened(order, back, whose)?],
        Phase::Received => return Ok(Decided::default()),
        Phase::Unknown | Phase::Requested | Phase::Settling | Phase::Resolved(_) | Phase::Rejected { .. } => {
            return Err(not_open(back));
        }
    };
    let named: Lines = lines.iter().map(|(line, quantity)| (*line, quantity.get())).collect();
    within_request(back, &named)?;
    Ok(Decided { events: vec![received(back, whose, by, lines)], to_order, to_payer: None })
}

fn received(back: &Return, whose: &Whose, by: &Arc<str>, lines: &[(u32, Quantity)]) -> ReturnEvent {
    let pieces = lines.iter().filter_map(|(line, quantity)| {
        Some(Pieces { line: *line, sku: wanted(back, *line)?.sku.clone(), quantity: *quantity })
    });
    let (whose, by) = (whose.clone(), by.clone());
    ReturnEvent::ReturnReceived(ReturnReceived { whose, by, pieces: pieces.collect() })
}

/// All that the customer once asked for is on its way back again.
fn reopened(order: &Order, back: &Return, whose: &Whose) -> Result<OrderEvent, Rejection> {
    let asked = match back.begun() {
        Some(super::Begun::Requested(requested)) => &requested.lines[..],
        Some(super::Begun::Recorded(_)) | None => &[],
    };
    let lines = asked.iter().map(|asked| (asked.line, asked.quantity.get())).collect();
    let pieces = order.may_come_back(&lines, Some(whose.return_id))?;
    Ok(OrderEvent::ReturnOpened(ReturnOpened { return_id: whose.return_id, pieces }))
}

/// What arrived was looked at. What is not named, or not in the box, stays unpaid; where that is all, the return
/// is declined.
pub fn inspect(order: &Order, back: &Return, seen: &Inspection) -> Result<Decided, Rejection> {
    let whose = back.whose().ok_or_else(|| not_found("the return"))?;
    match back.phase() {
        Phase::Approved { .. } | Phase::Received => {}
        Phase::Unknown
        | Phase::Requested
        | Phase::Settling
        | Phase::Resolved(_)
        | Phase::Rejected { .. }
        | Phase::Expired
        | Phase::Cancelled
        | Phase::ArrivedLate => return Err(not_open(back)),
    }
    within_request(back, &sums(&seen.lines))?;
    let pieces = order.may_come_back(&accepted(&seen.lines), Some(whose.return_id))?;
    let at_fault = seen.lines.iter().any(|(line, _, grade)| {
        grade.is_accepted() && wanted(back, *line).is_some_and(|asked| asked.reason.is_shops_fault())
    });
    let fees_minor = match fees_minor(order, seen.fees)? {
        Some(fees_minor) => fees_minor,
        None if at_fault => 0,
        None => restocking_fee(order.goods_worth(&pieces), seen.restocking_percent),
    };
    let (worth, mut settlement) = settle(order, whose.order_id, &pieces, &seen.lines, at_fault, fees_minor)?;
    settlement.exchange = swap(back, &worth).filter(|_| !pieces.is_empty());
    let swaps = matches!(settlement.exchange, Some(Swap::Wanted { .. }));
    let to_payer = to_payer(whose.return_id, &settlement);
    let returned = goods_returned(order, whose.return_id, &pieces, &worth, &settlement);
    let inspected = ReturnInspected { by: seen.by.clone(), settlement };
    let inspected = ReturnEvent::ReturnInspected(Arc::new(inspected));
    if pieces.is_empty() {
        let closed = ReturnClosed { return_id: whose.return_id };
        let (whose, end) = (whose.clone(), End::Declined);
        let resolved = ReturnResolved { whose, end, not_exchanged: None };
        let events = vec![inspected, ReturnEvent::ReturnResolved(resolved)];
        return Ok(Decided { events, to_order: vec![OrderEvent::ReturnClosed(closed)], to_payer: None });
    }
    let events = std::iter::once(inspected).chain(saga::start_settling(swaps)).collect();
    Ok(Decided { events, to_order: vec![returned], to_payer })
}

/// What becomes of the wish for an exchange, now that it is known what came back: less fees, and without the
/// original shipping, it must be worth what is to replace it.
fn swap(back: &Return, worth: &Worth) -> Option<Swap> {
    let costs_minor = back.replacement()?.value.minor_units();
    let goods_minor = worth.refund.minor_units().saturating_sub(worth.shipping_minor);
    Some(if costs_minor <= goods_minor { Swap::Wanted { costs_minor } } else { Swap::TooDear })
}

/// The order whose payment pays it back knows that something is on its way.
fn to_payer(return_id: ReturnId, settlement: &Settlement) -> Option<(OrderId, Vec<OrderEvent>)> {
    let opened = OrderEvent::ReturnOpened(ReturnOpened { return_id, pieces: Arc::from([]) });
    settlement.paid_by.map(|payer| (payer, vec![opened]))
}

fn whose(return_id: ReturnId, order_id: souk_contracts::terms::OrderId, subject: &Arc<str>) -> Whose {
    Whose { return_id, order_id, subject: subject.clone() }
}

fn not_open(back: &Return) -> Rejection {
    let status = back.status().map(crate::proto::returns::status_name).unwrap_or_default();
    Rejection::new("RETURN_NOT_OPEN", "the return is not where this can be done").with("status", status)
}

/// What was asked for of a line.
fn wanted(back: &Return, line: u32) -> Option<&WantedBack> {
    match back.begun()? {
        super::Begun::Requested(requested) => requested.lines.iter().find(|asked| asked.line == line),
        super::Begun::Recorded(_) => None,
    }
}

fn within_request(back: &Return, named: &Lines) -> Result<(), Rejection> {
    let is_in =
        |line: u32, quantity: u32| wanted(back, line).is_some_and(|asked| quantity <= asked.quantity.get());
    match named.iter().find(|(line, quantity)| !is_in(**line, **quantity)) {
        Some((line, _)) => {
            let sentence = "the line is not in the return with so many pieces";
            Err(Rejection::new("NOT_IN_RETURN", sentence).with("line", line))
        }
        None => Ok(()),
    }
}

/// What is kept of so much for the restocking, rounded down.
pub fn restocking_fee(worth_minor: i64, percent: u8) -> i64 {
    let fee = i128::from(worth_minor.max(0)) * i128::from(percent.min(100)) / 100;
    i64::try_from(fee).unwrap_or(worth_minor)
}

fn fees_minor(order: &Order, fees: Option<Money>) -> Result<Option<i64>, Rejection> {
    let currency = order.agreed_total().map(|total| total.currency());
    match fees {
        Some(fees) if Some(fees.currency()) != currency => {
            let sentence = "the fees are not in the order's currency";
            Err(Rejection::new("NOT_IN_RETURN", sentence))
        }
        Some(fees) => Ok(Some(fees.minor_units())),
        None => Ok(None),
    }
}

/// All pieces by line, whatever their state.
fn sums(lines: &[(u32, Quantity, Grade)]) -> Lines {
    let mut sums = Lines::new();
    for (line, quantity, _) in lines {
        let sum = sums.entry(*line).or_insert(0u32);
        *sum = sum.saturating_add(quantity.get());
    }
    sums
}

/// The pieces that are there.
fn accepted(lines: &[(u32, Quantity, Grade)]) -> Lines {
    let there: Vec<_> = lines.iter().copied().filter(|(_, _, grade)| grade.is_accepted()).collect();
    sums(&there)
}

fn settle(
    order: &Order,
    order_id: OrderId,
    pieces: &[Pieces],
    lines: &[(u32, Quantity, Grade)],
    at_fault: bool,
    fees_minor: i64,
) -> Result<(Worth, Settlement), Rejection> {
    let worth = order.worth(pieces, at_fault, fees_minor)?;
    let sku = |line: u32| order.lines().iter().find(|known| known.line == line).map(|known| &known.sku);
    // A line in one state stands once: that is how stock is booked.
    let mut by_state: BTreeMap<(u32, Grade), u32> = BTreeMap::new();
    for (line, quantity, grade) in lines {
        *by_state.entry((*line, *grade)).or_insert(0) += quantity.get();
    }
    let found = by_state.into_iter().filter_map(|((line, grade), quantity)| {
        let location = order.left_from(line).filter(|_| grade.is_accepted()).cloned();
        let quantity = Quantity::try_new(quantity).ok()?;
        Some(Found { line, sku: sku(line)?.clone(), quantity, grade, location })
    });
    let settlement = Settlement {
        found: found.collect(),
        refund: worth.refund,
        fees_minor: worth.fees_minor,
        shipping_minor: worth.shipping_minor,
        exchange: None,
        paid_by: order.exchange().map(|_| order.paid_by(order_id)),
    };
    Ok((worth, settlement))
}

fn goods_returned(
    order: &Order,
    return_id: ReturnId,
    pieces: &Arc<[Pieces]>,
    worth: &Worth,
    settlement: &Settlement,
) -> OrderEvent {
    let released = settlement.to_release();
    let with_fees = worth.refund.minor_units().saturating_add(worth.fees_minor);
    OrderEvent::GoodsReturned(Arc::new(GoodsReturned {
        return_id,
        pieces: pieces.clone(),
        released: if order.delivery().is_some() { Arc::from([]) } else { released.into() },
        worth: Money::new(with_fees, worth.refund.currency()),
        with_shipping: worth.shipping_minor > 0,
        is_all: worth.is_all,
    }))
}

impl Settlement {
    /// What goes back in money: what it is worth, less what replaces it. While that is not known, as if it were.
    pub fn due(&self, swapped: Option<&saga::Swapped>) -> Money {
        match (&self.exchange, swapped) {
            (None | Some(Swap::TooDear), _)
            | (Some(Swap::Wanted { .. }), Some(saga::Swapped::Not { .. })) => self.refund,
            (Some(Swap::Wanted { costs_minor }), Some(saga::Swapped::For { .. }) | None) => {
                let left = self.refund.minor_units().saturating_sub(*costs_minor);
                Money::new(left, self.refund.currency())
            }
        }
    }

    /// What never left the stock's books and can be sold again. What cannot stays promised to the order, where
    /// nobody else is sold it.
    pub fn to_release(&self) -> Vec<Pieces> {
        let sellable = self.found.iter().filter(|found| found.grade == Grade::A && found.location.is_none());
        let piece =
            |found: &Found| Pieces { line: found.line, sku: found.sku.clone(), quantity: found.quantity };
        sellable.map(piece).collect()
    }

    /// What left and is in the house again.
    pub fn to_restock(&self) -> impl Iterator<Item = &Found> {
        self.found.iter().filter(|found| found.grade.is_accepted() && found.location.is_some())
    }
}
