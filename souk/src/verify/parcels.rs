//! What must hold of parcels: between shipping, the carrier's books and the orders.
use super::Facts;
use souk_contracts::terms::OrderId;
use souk_shipping::carry;
use souk_shipping::domain::fulfilment::FulfilmentCreated;
use souk_shipping::domain::{Fulfilment, Shipment};
use souk_shipping::invariants::{self as shipping, Broken};
use std::collections::{BTreeMap, BTreeSet};

/// V1 for the parcels: the carrier's books equal ours. What is being asked of the carrier right now is not compared;
/// nor is it, of a parcel that a customer sends back, whether the carrier has it, which we hear when it arrives.
pub fn carrier(facts: &Facts) -> Vec<String> {
    let (mut ours, mut aside) = (BTreeMap::new(), BTreeSet::new());
    let mut theirs = facts.carrier.clone();
    for (parcel, _) in facts.shipments.values() {
        if !carry::outstanding(parcel, false).is_empty() {
            aside.extend(carry::key_of(parcel).map(|key| key.to_string()));
            continue;
        }
        let Some((key, mut side)) = shipping::ours(parcel) else { continue };
        if parcel.back().is_some() {
            side.is_collected = false;
            theirs.entry(key.clone()).and_modify(|their| their.is_collected = false);
        }
        ours.insert(key, side);
    }
    theirs.retain(|key, _| !aside.contains(key));
    shipping::differences(&ours, &theirs).into_iter().map(|broken| broken.what).collect()
}

/// I-SH: what shipping's own rules say, and that orders know of what left.
pub fn sound(facts: &Facts) -> Vec<String> {
    let mut of_order: BTreeMap<OrderId, Vec<Shipment>> = BTreeMap::new();
    for (parcel, _) in facts.shipments.values() {
        if let Some(created) = parcel.created() {
            // What is sent again has a fulfilment of its own.
            let fulfilment = created.again.as_ref().map_or(created.of.order_id, |again| again.resend_id);
            of_order.entry(fulfilment).or_default().push(parcel.clone());
        }
    }
    let nothing = Fulfilment::default();
    let mut broken: Vec<Broken> = Vec::new();
    for (order, parcels) in &of_order {
        let fulfilment = facts.fulfilments.get(order).unwrap_or(&nothing);
        broken.extend(shipping::shipped_within_ordered(fulfilment, parcels));
        broken.extend(shipping::only_confirmed_ships(parcels, &facts.confirmed));
    }
    for (name, (parcel, history)) in &facts.shipments {
        broken.extend(shipping::is_legal(name, history.iter().map(AsRef::as_ref)));
        let rate = parcel.created().and_then(|created| facts.rates.get(&created.rate_id));
        broken.extend(rate.map(|rate| shipping::goes_where_it_was_quoted(parcel, rate)).unwrap_or_default());
    }
    let told = of_order.values().flatten().filter_map(|parcel| unheard(facts, parcel));
    broken.iter().map(|broken| format!("{} {}", broken.invariant, broken.what)).chain(told).collect()
}

/// A parcel that left and that its order does not know, or knows with other contents, although the order has heard
/// everything.
fn unheard(facts: &Facts, parcel: &Shipment) -> Option<String> {
    if facts.rest.feed_behind > 0 || facts.rest.parked > 0 || !parcel.has_left() {
        return None;
    }
    let of = &parcel.created()?.of;
    let known = facts.orders.get(&of.order_id).and_then(|order| order.parcel(&of.shipment_id.to_string()));
    let known =
        known.map(|known| known.shipped.lines.iter().map(|line| (line.line, line.quantity)).collect());
    let ours: BTreeSet<_> = parcel.lines().iter().map(|line| (line.line, line.quantity)).collect();
    (known != Some(ours))
        .then(|| format!("{} left, and {} knows another parcel or none", of.shipment_id, of.order_id))
}

/// V3 for the parcels: how many of a called-off order could still leave.
pub fn still_in_house(facts: &Facts, order: OrderId) -> usize {
    let Some(fulfilment) = facts.fulfilments.get(&order) else { return 0 };
    let parcels = fulfilment.shipment_ids().iter().filter_map(|id| facts.shipments.get(&id.to_string()));
    parcels.filter(|(parcel, _)| parcel.status().is_in_house() && !parcel.is_void()).count()
}

/// V4 for the parcels.
pub fn orphans(facts: &Facts) -> Vec<String> {
    let strays = facts.fulfilments.iter().filter(|(id, fulfilment)| {
        let of = |created: &FulfilmentCreated| created.again.as_ref().map_or(**id, |again| again.order_id);
        fulfilment.created().is_some_and(|created| !facts.orders.contains_key(&of(created)))
    });
    strays.map(|(id, _)| format!("a fulfilment for {id}, and there is no such order")).collect()
}
