//! What customers were told, and whether it is what the logs say.
use crate::faults::Marks;
use souk::verify::Facts;
use souk_contracts::order::v1::{Order, OrderStatus, Return, ReturnStatus};
use souk_decider::Aggregate;
use souk_eventstore::audit::Audit;
use souk_order::domain::order::Order as Folded;
use souk_order::proto;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the states of an order are marks of.
const STATES: &[(OrderStatus, &str)] = &[
    (OrderStatus::Confirmed, "an order was confirmed"),
    (OrderStatus::Rejected, "an order was rejected"),
    (OrderStatus::Cancelled, "an order was cancelled"),
    (OrderStatus::Shipped, "an order was shipped"),
    (OrderStatus::PartiallyShipped, "a part of an order was shipped"),
    (OrderStatus::Delivered, "an order was delivered"),
    (OrderStatus::OnHold, "an order was held"),
];
/// What the ends of a return are marks of.
const ENDS_OF_RETURNS: &[(ReturnStatus, &str)] = &[
    (ReturnStatus::Refunded, "a return was refunded"),
    (ReturnStatus::Declined, "a return was worth nothing"),
    (ReturnStatus::Rejected, "a return was rejected"),
    (ReturnStatus::Cancelled, "a return was given up"),
];

/// What all customers wrote down.
#[derive(Clone, Default)]
pub struct Journal {
    notes: Arc<Mutex<Notes>>,
    under_way: Arc<AtomicU64>,
}

#[derive(Default)]
struct Notes {
    /// Every answer about each order, in the order of hearing it.
    orders: BTreeMap<String, Vec<Order>>,
    /// The last answer about each return.
    returns: BTreeMap<String, Return>,
    /// The token of whoever placed the order, so that it can be asked for again.
    tokens: BTreeMap<String, String>,
}

impl Journal {
    /// Notes an answer about an order, if it says anything new.
    pub fn told(&self, order: &Order) {
        self.with(|notes| {
            let told = notes.orders.entry(order.order_id.clone()).or_default();
            if told.last() != Some(order) {
                told.push(order.clone());
            }
        });
    }

    /// Notes whose order it is.
    pub fn placed_by(&self, order_id: &str, token: &str) {
        self.with(|notes| notes.tokens.insert(order_id.to_owned(), token.to_owned()));
    }

    /// Notes an answer about a return.
    pub fn told_return(&self, back: &Return) {
        self.with(|notes| notes.returns.insert(back.return_id.clone(), back.clone()));
    }

    /// The orders that customers know of, each with its customer's token.
    pub fn orders(&self) -> Vec<(String, String)> {
        self.with(|notes| notes.tokens.clone().into_iter().collect())
    }

    /// The returns that customers know of, each with its order.
    pub fn returns(&self) -> Vec<(String, String)> {
        let pair = |back: &Return| (back.return_id.clone(), back.order_id.clone());
        self.with(|notes| notes.returns.values().map(pair).collect())
    }

    /// From here on an order is under way, until it is settled.
    pub fn begins(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub fn ends(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn orders_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    fn with<T>(&self, work: impl FnOnce(&mut Notes) -> T) -> T {
        work(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Marks how orders and returns ended.
    pub fn mark(&self, marks: &Marks) {
        self.with(|notes| {
            for told in notes.orders.values() {
                told.iter().flat_map(reached).for_each(|mark| marks.reached(mark));
            }
            for back in notes.returns.values() {
                let ends = ENDS_OF_RETURNS.iter().filter(|(end, _)| *end == back.status());
                ends.for_each(|(_, mark)| marks.reached(mark));
            }
        });
    }

    /// Whether everything that was said is what the logs say, and was said in their order.
    pub fn judge(&self, data: &Path, facts: &Facts) -> Vec<String> {
        let histories = match histories(data) {
            Ok(histories) => histories,
            Err(what) => return vec![what],
        };
        let mut violations = Vec::new();
        self.with(|notes| {
            for (id, told) in &notes.orders {
                let Some(history) = histories.get(id) else {
                    violations.push(format!("a customer was told of {id}, and no log knows it"));
                    continue;
                };
                violations.extend(follows(told, history).map(|what| format!("{id}: {what}")));
            }
            for (id, back) in &notes.returns {
                let known = id.parse().ok().and_then(|id| facts.returns.get(&id));
                let known = known.and_then(proto::returns::message);
                if known.as_ref() != Some(back) {
                    violations.push(format!("a customer was told {back:?}, the log says {known:?}"));
                }
            }
            // Everybody insisted until there was an answer, so nobody has an order or return that he does not know of.
            for (what, there, known) in [
                ("orders", facts.orders.len(), notes.orders.len()),
                ("returns", facts.returns.len(), notes.returns.len()),
            ] {
                if there != known {
                    violations.push(format!("{there} {what} in the log, {known} known to customers"));
                }
            }
        });
        violations
    }
}

/// Every state that each order was ever in, as customers see it.
fn histories(data: &Path) -> Result<BTreeMap<String, Vec<Order>>, String> {
    let audit = Audit::open(data.join("order.db")).map_err(|e| format!("the orders cannot be read: {e}"))?;
    let mut states = BTreeMap::<String, (Folded, Vec<Order>)>::new();
    let read = audit.for_each(|recorded| {
        let Some(event) = recorded.of::<Folded>() else { return };
        let (state, history) = states.entry(recorded.stream.id().to_owned()).or_default();
        state.evolve(&event);
        history.extend(proto::order(state));
    });
    read.map_err(|e| format!("the orders cannot be read: {e}"))?;
    Ok(states.into_iter().map(|(id, (_, history))| (id, history)).collect())
}

/// What was told, one after the other, must be states of the log, one after the other, and the last the last.
fn follows(told: &[Order], history: &[Order]) -> Option<String> {
    let mut from = 0;
    for order in told {
        match history[from..].iter().position(|state| state == order) {
            Some(found) => from += found,
            None => return Some(format!("told what the log never said, or no more: {order:?}")),
        }
    }
    let is_last = told.last() == history.last();
    (!is_last).then(|| format!("told {:?}, the log says {:?}", told.last(), history.last()))
}

/// The marks that this state of an order stands for.
fn reached(order: &Order) -> Vec<&'static str> {
    let states = STATES.iter().filter(|(state, _)| *state == order.status()).map(|(_, mark)| *mark);
    let asked = (order.status() == OrderStatus::AwaitingCustomer).then_some(match &order.remainder {
        Some(_) => "a part was offered",
        None => "the bank asked the customer",
    });
    let reason = match order.reason.as_str() {
        "INSUFFICIENT_STOCK" => Some("the shelf was empty"),
        "COUPON_EXHAUSTED" => Some("a coupon was used up while the order was placed"),
        "CUSTOMER_TOO_LATE" => Some("a customer let a deadline pass"),
        "DEADLINE_PASSED" | "RESERVATION_EXPIRED" => Some("a sale took too long"),
        _ => None,
    };
    let places = order.shipments.iter().filter_map(|shipment| match shipment.status.as_str() {
        "LOST" => Some("a parcel was lost"),
        "RETURNED_TO_SENDER" => Some("a parcel came back"),
        _ => None,
    });
    let too_late = (!order.cancel_refused.is_empty()).then_some("a parcel left before it was called off");
    states.chain(asked).chain(reason).chain(places).chain(too_late).collect()
}
