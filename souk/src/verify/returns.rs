//! What must hold of returns: that no more comes back than arrived, that no more is given for it than was taken, and
//! that an exchange and its return know each other.
use super::Facts;
use super::sales::is_sold;
use souk_contracts::terms::OrderId;
use souk_order::invariants as orders;
use std::collections::BTreeSet;

/// I-RT.
pub fn fit(facts: &Facts) -> Vec<String> {
    let by_hand: BTreeSet<OrderId> = facts.settled_by_hand().collect();
    let known = facts.orders.iter().filter(|(id, _)| !by_hand.contains(id));
    let fits = known.filter(|(_, order)| !orders::returns_fit(order));
    let fits = fits.map(|(id, _)| format!("{id}: more came back, or went back for it, than had arrived"));
    let exchanges = facts.orders.iter().filter_map(|(id, order)| {
        let back = order.exchange().and_then(|exchange| facts.returns.get(&exchange.return_id));
        orders::exchange_fits(order, back).map(|what| format!("{id} {what}"))
    });
    let replaced = facts.returns.iter().filter_map(|(id, back)| {
        let order_id = orders::exchanged_for(back)?;
        let stands =
            facts.orders.get(&order_id).is_some_and(|order| order.exchange().is_some() && is_sold(order));
        (!stands).then(|| format!("{id} was exchanged for {order_id}, which does not stand"))
    });
    fits.chain(exchanges).chain(replaced).collect()
}
