//! What must hold between orders and their money: promised, taken, given back.
use super::Facts;
use super::sales::{errands, is_sold};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_kernel::{Currency, TypeId};
use souk_order::domain::order::{ARRIVAL_TIMER, Label, Order, Payment as Axis};
use souk_order::invariants as orders;
use souk_payment::domain::{Payment, Promise, ledger::Account};
use souk_payment::invariants as payments;
use std::collections::{BTreeMap, BTreeSet};

/// The payment of an order: its id is made of the order's.
fn payment(facts: &Facts, order: OrderId) -> Option<&Payment> {
    facts.payments.get(&PaymentId::from_uuid(order.uuid())).map(|(payment, _)| payment)
}

/// V1 for the money: the provider's books equal ours.
pub fn provider(facts: &Facts) -> Vec<String> {
    let ours: Vec<_> =
        facts.payments.iter().filter_map(|(id, (payment, _))| payments::Ours::of(*id, payment)).collect();
    payments::differences(&ours, &facts.provider).into_iter().map(|broken| broken.what).collect()
}

/// V2 for the money: what is sold is promised in full. A promise that expired is asked for anew when a parcel
/// leaves.
pub fn promised(facts: &Facts) -> Vec<String> {
    let sold = facts.orders.iter().filter(|(_, order)| is_sold(order));
    let wrong = sold.filter_map(|(id, order)| {
        let total = order.total()?.minor_units();
        let payment = payment(facts, *id);
        let expired = payment.is_some_and(|payment| *payment.promise() == Promise::Expired);
        let promised = payment.map_or(0, Payment::authorized_minor);
        let is_enough = promised >= total || expired || payment.is_some_and(|payment| payment.renewed() > 0);
        (!is_enough).then(|| format!("{id}: {promised} promised of {total}"))
    });
    wrong.collect()
}

/// What is promised or taken and not given back.
pub fn kept(payment: &Payment) -> i64 {
    payment.captured_minor() - payment.refunded_minor() + payment.left_minor()
}

/// V3 for the money.
pub fn kept_of(facts: &Facts, order: OrderId) -> i64 {
    payment(facts, order).map_or(0, kept)
}

/// V3 for what was called off: an order all of which has left and is paid for is promised nothing more. What a
/// person settled, or what is still being looked at, is left out.
pub fn rest_promised(facts: &Facts) -> Vec<String> {
    let by_hand: BTreeSet<OrderId> = facts.settled_by_hand().collect();
    let through = facts.orders.iter().filter(|(id, order)| {
        let look = format!("{ARRIVAL_TIMER}/{id}/");
        let looks = facts.order_timers.range(look.clone()..).next().is_some_and(|key| key.starts_with(&look));
        let goes_on = looks || errands(facts, **id).any(|errand| errand.saga().is_open());
        order.is_shipped_and_paid() && !goes_on && !by_hand.contains(id)
    });
    let promised = through.filter_map(|(id, _)| {
        let left = payment(facts, *id).map_or(0, Payment::left_minor);
        (left != 0).then(|| format!("{id}: all of it is paid for, and {left} minor units are still promised"))
    });
    promised.collect()
}

/// V4 for the money.
pub fn orphans(facts: &Facts) -> Vec<String> {
    let strays = facts.payments.iter().filter(|(id, (payment, _))| {
        kept(payment) != 0 && !facts.orders.contains_key(&OrderId::from_uuid(id.uuid()))
    });
    strays.map(|(id, _)| format!("{id} has no order")).collect()
}

/// V6: every payment is sound, the accounts balance and say what the payments say, and that is what the orders say.
pub fn ledger(facts: &Facts) -> Vec<String> {
    let checked = facts.payments.iter().filter_map(|(id, (payment, history))| {
        let broken = payments::check(payment, history).err()?;
        Some(format!("{id}: {} {}", broken.invariant, broken.what))
    });
    let mut broken: Vec<String> = checked.collect();
    let currencies: BTreeSet<Currency> = facts.ledger.keys().map(|(_, currency)| *currency).collect();
    broken.extend(currencies.into_iter().filter_map(|currency| accounts(facts, currency)));
    let by_hand: BTreeSet<OrderId> = facts.settled_by_hand().collect();
    let orders = facts.orders.iter().filter(|(id, _)| !by_hand.contains(id));
    broken.extend(orders.filter_map(|(id, order)| {
        let what = taken(facts, *id, order)?;
        Some(format!("{id}: {what}"))
    }));
    broken
}

/// The accounts of one currency, beside what its payments say.
fn accounts(facts: &Facts, currency: Currency) -> Option<String> {
    let balance = |account: Account| facts.ledger.get(&(account, currency)).copied().unwrap_or(0);
    let sum: i64 = Account::ALL.into_iter().map(balance).sum();
    let of_currency = || {
        let all = facts.payments.values().map(|(payment, _)| payment);
        all.filter(|payment| payment.request().is_some_and(|r| r.amount.currency() == currency))
    };
    let captured: i64 = of_currency().map(Payment::captured_minor).sum();
    let refunded: i64 = of_currency().map(Payment::refunded_minor).sum();
    let disputed: i64 = of_currency().map(Payment::disputed_minor).sum();
    let told = BTreeMap::from([
        (Account::ProviderClearing, captured - refunded - disputed),
        (Account::Revenue, -captured),
        (Account::Refunds, refunded),
        (Account::Disputes, disputed),
    ]);
    let wrong = told.iter().find(|(account, told)| balance(**account) != **told);
    let wrong =
        wrong.map(|(account, told)| format!("{account} is {}, payments say {told}", balance(*account)));
    let text = wrong.or_else(|| (sum != 0).then(|| format!("the accounts add up to {sum}")))?;
    Some(format!("{currency}: {text}"))
}

/// What is wrong with what was taken for an order and given back.
fn taken(facts: &Facts, id: OrderId, order: &Order) -> Option<String> {
    let known = orders::facts(order)?;
    let payment = payment(facts, id);
    let captured = payment.map_or(0, Payment::captured_minor);
    let returned = payment.map_or(0, |payment| payment.refunded_minor() + payment.refunding_minor());
    let total = known.total.minor_units();
    if !orders::captured_is_what_left(order) {
        return Some(format!("{} was taken, which is not what its parcels cost", known.captured_minor));
    }
    let goes_on = known.saga_open || errands(facts, id).any(|errand| errand.saga().is_open());
    let came_back = matches!(known.label, Label::Cancelled | Label::Cancelling | Label::Rejected);
    // What comes back goes back; a refund under way may be at the provider already.
    let is_right =
        if known.return_open { returned >= known.refunded_minor } else { returned == known.refunded_minor };
    if !came_back && !is_right {
        let by_returns = known.refunded_minor;
        return Some(format!("{returned} was given back, {by_returns} by returns, and nobody called it off"));
    }
    let expected = match known.payment {
        // A void gives up what is promised, and what was taken before by a capture in doubt goes back.
        Axis::None | Axis::Pending | Axis::Voided | Axis::Refunded | Axis::PartiallyRefunded => return None,
        _ if known.ships => known.captured_minor,
        Axis::Captured => total,
        Axis::Authorized | Axis::PartiallyCaptured | Axis::Failed | Axis::Disputed => return None,
    };
    // What is being taken right now may have been taken already, and nothing more.
    let open: i64 =
        order.parcels().iter().filter(|p| !p.is_paid).map(|p| p.shipped.amount.minor_units()).sum();
    let most = if goes_on { expected.saturating_add(open).max(expected) } else { expected };
    (!(expected..=most).contains(&captured))
        .then(|| format!("{captured} was taken at the provider, {expected} by the order"))
}
