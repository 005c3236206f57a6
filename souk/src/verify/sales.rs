//! What must hold between an order and whoever took part in it: its stock, its sagas, its coupons, its quote.
use super::Facts;
use souk_catalog::domain::PriceEvent;
use souk_catalog::domain::promotion::CouponCode;
use souk_catalog::invariants as catalog;
use souk_contracts::terms::{Market, OrderId, Sku};
use souk_inventory::domain::{Phase, Reservation};
use souk_order::domain::errand::{self, Errand, Task};
use souk_order::domain::order::{
    self, CUSTOMER_TIMER, Label, Order, RETURNS_TIMER, Status, UNDO_TIMER, outstanding,
};
use souk_order::domain::quote::QuoteCreated;
use souk_order::domain::{Line, Terms};
use souk_order::invariants as orders;
use souk_saga::Phase as Progress;
use std::collections::{BTreeMap, BTreeSet};

/// Pieces of each line.
type Pieces = BTreeMap<(u32, Sku), u64>;

fn sum<'a>(lines: impl Iterator<Item = (u32, &'a Sku, u32)>) -> Pieces {
    let mut pieces = Pieces::new();
    for (line, sku, quantity) in lines.filter(|(_, _, quantity)| *quantity > 0) {
        *pieces.entry((line, sku.clone())).or_insert(0) += u64::from(quantity);
    }
    pieces
}

/// The reservation of an order.
fn reservation(facts: &Facts, order: OrderId) -> Option<&Reservation> {
    facts.reservations.get(&order.to_string()).map(|(reservation, _)| reservation)
}

/// What is promised and still in the house, or is waited for.
pub fn held(reservation: &Reservation) -> u64 {
    let open = reservation.open_lines().iter().map(|line| line.quantity.get());
    let waiting = reservation.waiting_lines().iter().map(|line| line.quantity.get());
    open.chain(waiting).map(u64::from).sum()
}

/// What was promised: it is there, it is waited for, or it has left.
fn promised(reservation: &Reservation) -> Pieces {
    let placed = reservation.open_lines().iter().chain(reservation.shipped().iter());
    let placed = placed.map(|line| (line.line, &line.sku, line.quantity.get()));
    let waiting = reservation.waiting_lines().iter();
    sum(placed.chain(waiting.map(|line| (line.line, &line.sku, line.quantity.get()))))
}

/// The errands of an order.
pub fn errands(facts: &Facts, order: OrderId) -> impl Iterator<Item = &Errand> {
    // Their ids begin with the order's.
    let from = facts.errands.range(format!("{order}.")..);
    from.take_while(move |(id, _)| id.starts_with(&order.to_string())).map(|(_, errand)| errand)
}

/// Whether the sale was made and nobody is taking it back.
pub fn is_sold(order: &Order) -> bool {
    let was_confirmed = match order.status() {
        Status::Pending | Status::Rejected { .. } | Status::Cancelled { .. } => false,
        Status::Confirmed
        | Status::Processing
        | Status::PartiallyShipped
        | Status::Shipped
        | Status::Delivered
        | Status::Completed => true,
    };
    was_confirmed && !order.cancel_asked()
}

/// V2: one committed reservation of exactly what is sold, and what left is booked out.
pub fn confirmed(facts: &Facts) -> Vec<String> {
    let sold = facts.orders.iter().filter(|(_, order)| is_sold(order));
    let problem = |(id, order): (&OrderId, &Order)| {
        let Some(reservation) = reservation(facts, *id) else {
            return Some(format!("{id} has no reservation"));
        };
        let known = orders::facts(order)?;
        // While a return is being booked, its pieces are still there or not any more.
        let is_coming_back = known.return_open;
        let is_as_it_must_be = match reservation.phase() {
            Phase::Committed(_) => true,
            // An order that came back as a whole has given back all it had.
            Phase::Released(_) => is_coming_back || known.pieces.is_empty(),
            Phase::Unknown
            | Phase::Held(_)
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Refused { .. } => false,
        };
        if !is_as_it_must_be {
            return Some(format!("{id}: its reservation is {:?}", reservation.phase()));
        }
        let open: Vec<&Errand> = errands(facts, *id).filter(|errand| errand.saga().is_open()).collect();
        let cancels = open.iter().any(|errand| matches!(task(errand), Some(Task::CancelLines { .. })));
        let wanted = order.sold().0;
        let released = |line: &Line| order.returns().and_then(|back| back.released.get(&line.line).copied());
        let left = |line: &Line, sold: u32| sold.saturating_sub(released(line).unwrap_or(0));
        let wanted = sum(wanted.iter().map(|(line, sold)| (line.line, &line.sku, left(line, *sold))));
        if !cancels && !is_coming_back && promised(reservation) != wanted {
            return Some(format!("{id}: its reservation holds other lines"));
        }
        let ships = open.iter().any(|errand| matches!(task(errand), Some(Task::Dispatch { .. })));
        let first = order.parcels().iter().filter(|parcel| parcel.shipped.again.is_none());
        let left = first.flat_map(|parcel| parcel.shipped.lines.iter());
        let left = sum(left.map(|line| (line.line, &line.sku, line.quantity.get())));
        let booked = reservation.shipped().iter();
        let booked = sum(booked.map(|line| (line.line, &line.sku, line.quantity.get())));
        let by_hand = errands(facts, *id).any(|errand| errand.saga().was_settled_by_hand());
        (!ships && !by_hand && left != booked).then(|| format!("{id}: what left is not what was booked out"))
    };
    sold.filter_map(problem).collect()
}

fn task(errand: &Errand) -> Option<&Task> {
    errand.opened().map(|opened| &opened.task)
}

/// V9: whatever is open goes on, waits for a time, or has called a person.
pub fn sagas(facts: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, order) in &facts.orders {
        let Some(known) = orders::facts(order) else { continue };
        if !orders::saga_fits_status(&known) {
            broken.push(format!("{id} is {:?}", known.label));
        }
        let stands_still = order.has_open_saga() && outstanding(order).is_empty();
        if stands_still && order.awaits_consent().is_none() && !order.needs_attention() {
            broken.push(format!("{id}: a saga is open and has nothing to do"));
        }
        if let Some(kind) = timed(order).filter(|kind| !facts.order_timers.contains(&timer(kind, *id))) {
            broken.push(format!("{id}: nothing ends its {kind}"));
        }
        broken.extend(order.parcels().iter().filter_map(|parcel| {
            let name = format!("{id}.{}", parcel.shipped.shipment_id);
            let errand = facts.errands.get(&name);
            let is_taken = errand.is_some_and(|errand| {
                let has_ended = *errand.saga().phase() == Progress::Completed;
                parcel.is_paid || !has_ended || errand.saga().was_settled_by_hand()
            });
            (!is_taken).then(|| format!("{name}: nobody takes the money of this parcel"))
        }));
        broken.extend(order.parcels().iter().filter(|parcel| parcel.resolved.is_some()).filter_map(
            |parcel| {
                let name = match parcel.resolved.as_ref().and_then(|resolved| resolved.resend_id) {
                    Some(resend_id) => format!("{id}.resend.{resend_id}"),
                    None => format!("{id}.refund.{}", parcel.shipped.shipment_id),
                };
                let errand = facts.errands.get(&name);
                let is_seen_to = errand.is_some_and(|errand| parcel.is_settled || errand.saga().is_open());
                (!is_seen_to)
                    .then(|| format!("{name}: nobody carries out what was decided about this parcel"))
            },
        ));
    }
    broken.extend(facts.errands.iter().filter_map(|(name, errand)| {
        let stands_still = errand.saga().is_open() && errand::outstanding(errand).is_empty();
        let belongs = errand.opened().is_some_and(|opened| facts.orders.contains_key(&opened.order_id));
        let is_broken = !belongs || (stands_still && errand.saga().stuck().is_none());
        is_broken.then(|| format!("{name}: an errand of nobody, or one that does not go on"))
    }));
    broken
}

/// The timer that must be there, of an order that waits for a time.
fn timed(order: &Order) -> Option<&'static str> {
    match order.status() {
        Status::Pending => order.awaits().map(|_| CUSTOMER_TIMER),
        Status::Confirmed => (order.delivery().is_some() && !order.cancel_asked()).then_some(UNDO_TIMER),
        Status::Delivered => Some(RETURNS_TIMER),
        Status::Processing
        | Status::PartiallyShipped
        | Status::Shipped
        | Status::Completed
        | Status::Rejected { .. }
        | Status::Cancelled { .. } => None,
    }
}

/// As the order service names its timers.
fn timer(kind: &str, order: OrderId) -> String {
    format!("{kind}/{order}")
}

/// V11: a coupon counts exactly while a live order uses it, within its limits.
pub fn coupons(facts: &Facts) -> Vec<String> {
    let told =
        facts.redemptions.iter().flat_map(|(id, events)| events.iter().map(|event| (*id, event.as_ref())));
    let live = catalog::live_redemptions(told);
    let limits = catalog::limits(facts.promotions.iter().map(AsRef::as_ref));
    let mut broken: Vec<String> = Vec::new();
    broken.extend(catalog::uses_are_within_limits(&catalog::uses(live.values()), &limits).err());
    broken.extend(facts.redemptions.iter().filter_map(|(id, events)| {
        catalog::one_answer_per_order(events).err().map(|what| format!("{id}: {what}"))
    }));
    let by_hand: BTreeSet<OrderId> = facts.settled_by_hand().collect();
    for (id, order) in facts.orders.iter().filter(|(id, _)| !by_hand.contains(id)) {
        let Some(placed) = order.placed() else { continue };
        let code = |text: &std::sync::Arc<str>| CouponCode::typed(text).ok();
        let wanted: BTreeSet<_> = placed.coupons().iter().filter_map(code).collect();
        let counted = live.get(id).map(|redeemed| redeemed.coupons.iter().map(|used| used.code.clone()));
        let counted: BTreeSet<_> = counted.into_iter().flatten().collect();
        let ended = matches!(order.label(), Label::Rejected | Label::Cancelled);
        let foreign = live.get(id).is_some_and(|redeemed| redeemed.subject != placed.subject);
        let is_sound = (!is_sold(order) || counted == wanted) && (!ended || counted.is_empty()) && !foreign;
        if !is_sound {
            broken.push(format!("{id}: {} coupons of {} count", counted.len(), wanted.len()));
        }
    }
    let strays = live.keys().filter(|id| !facts.orders.contains_key(id));
    broken.extend(strays.map(|id| format!("{id}: its coupons count, and there is no such order")));
    broken
}

/// V13: every key has one order, and every order one payment.
pub fn once(facts: &Facts) -> Vec<String> {
    let known: Vec<_> = facts.orders.values().filter_map(orders::facts).collect();
    let quotes =
        orders::quotes_with_two_orders(known.iter()).into_iter().map(|id| format!("{id} has two orders"));
    let mut refs: BTreeMap<&str, usize> = BTreeMap::new();
    for order in known.iter().filter(|order| !order.external_ref.is_empty()) {
        *refs.entry(&order.external_ref).or_default() += 1;
    }
    let refs = refs
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(name, count)| format!("{name} has {count} orders"));
    let accepted = facts.orders.iter().filter(|(id, order)| {
        let quote = order.placed().and_then(|placed| facts.quotes.get(&placed.quote_id));
        // That there is a quote at all is V14.
        quote.is_some_and(|quote| quote.order_id() != Some(**id))
    });
    let accepted = accepted.map(|(id, _)| format!("{id} has a quote that another order accepted"));
    let payments = facts.payments.iter().filter(|(id, (payment, _))| {
        use souk_kernel::TypeId;
        payment.request().is_some_and(|request| request.order_id.uuid() != id.uuid())
    });
    let payments = payments.map(|(id, _)| format!("{id} pays for another order"));
    quotes.chain(refs).chain(accepted).chain(payments).collect()
}

/// V14: every order sells what its quote promised, and every quote at the prices that the catalog had.
pub fn priced(facts: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, order) in &facts.orders {
        let Some(placed) = order.placed() else { continue };
        let quote = facts.quotes.get(&placed.quote_id).and_then(|quote| quote.offer());
        let is_promised = quote.is_some_and(|quote| {
            (&quote.lines, quote.total, &quote.terms) == (&placed.lines, placed.total, &placed.terms)
        });
        if !is_promised {
            broken.push(format!("{id} sells something else than its quote"));
        }
        // What is left of it when a part was not there is priced anew, by the same catalog.
        broken.extend(
            at_catalog_prices(facts, &placed.market, order.lines()).map(|what| format!("{id}: {what}")),
        );
        broken.extend(
            discounts(order.lines(), order.terms().map(AsRef::as_ref)).map(|what| format!("{id}: {what}")),
        );
    }
    let quotes = facts.quotes.values().filter_map(|quote| quote.offer());
    broken.extend(quotes.filter_map(|quote| wrong_quote(facts, quote)));
    broken
}

fn wrong_quote(facts: &Facts, quote: &QuoteCreated) -> Option<String> {
    let priced = at_catalog_prices(facts, &quote.market, &quote.lines);
    let what = priced.or_else(|| discounts(&quote.lines, quote.terms.as_deref()))?;
    Some(format!("{}: {what}", quote.quote_id))
}

/// A line with another price than the catalog's version that it names. An agreed price names none.
fn at_catalog_prices(facts: &Facts, market: &Market, lines: &[Line]) -> Option<String> {
    let wrong = lines.iter().filter(|line| line.price_version > 0).find(|line| {
        let prices = facts.prices.get(line.sku.as_str()).map_or(&[][..], Vec::as_slice);
        !prices.iter().any(|PriceEvent::PriceSet(set)| {
            set.market == *market
                && set.price_version == line.price_version
                && set.amount.minor_units() == line.unit_minor
        })
    })?;
    Some(format!("line {} sells {} at no price of the catalog", wrong.line, wrong.sku))
}

/// What is taken off must be what the promotions take off, and never more than there is.
fn discounts(lines: &[Line], terms: Option<&Terms>) -> Option<String> {
    let of_lines: i64 = lines.iter().map(|line| line.discount_minor).sum();
    let of_shipping = terms.map_or(0, |terms| terms.shipping_discount_minor);
    let promised: i64 = terms.into_iter().flat_map(|terms| &terms.promotions).map(|p| p.amount_minor).sum();
    let too_much = lines.iter().any(|line| {
        let whole = line.unit_minor.saturating_mul(i64::from(line.quantity.get()));
        line.discount_minor < 0 || line.discount_minor > whole
    });
    let off = of_lines.saturating_add(of_shipping);
    (too_much || off != promised).then(|| format!("{off} taken off, {promised} promised"))
}

/// The orders with one of these labels.
pub fn with_label<'a>(
    facts: &'a Facts,
    wanted: &'a [Label],
) -> impl Iterator<Item = (OrderId, &'a order::Order)> {
    facts.orders.iter().filter(|(_, order)| wanted.contains(&order.label())).map(|(id, order)| (*id, order))
}

/// V3 for the goods: how many pieces are still held for an order, in stock or in parcels.
pub fn still_held(facts: &Facts, order: OrderId) -> u64 {
    reservation(facts, order).map_or(0, held)
}

/// The names under which orders send parcels again: they have stock of their own.
pub fn sent_again(facts: &Facts) -> BTreeSet<OrderId> {
    let errands = facts.errands.values().filter_map(task);
    let named = errands.filter_map(|task| match task {
        Task::ResendParcel { resend_id, .. } => Some(*resend_id),
        Task::Dispatch { .. }
        | Task::Hold { .. }
        | Task::Release { .. }
        | Task::CancelLines { .. }
        | Task::VoidRest { .. }
        | Task::RefundParcel { .. } => None,
    });
    named.collect()
}
