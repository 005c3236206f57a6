//! What must hold of parcels, whenever it is looked at. Tests and `souk verify` use the same predicates.
use crate::domain::Rate;
use crate::domain::fulfilment::{CancelOutcome, Fulfilment};
use crate::domain::shipment::{Label, Shipment, ShipmentEvent, Status};
use souk_contracts::terms::OrderId;
use souk_decider::Aggregate;
use std::collections::{BTreeMap, BTreeSet};

/// Something that must hold does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant, for example `I-SH-1`.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

fn broken(invariant: &'static str, what: impl Into<String>) -> Broken {
    Broken { invariant, what: what.into() }
}

/// I-SH-1: of each line, no more was handed over than was ordered and not cancelled.
pub fn shipped_within_ordered(fulfilment: &Fulfilment, shipments: &[Shipment]) -> Vec<Broken> {
    let Some(created) = fulfilment.created() else {
        let shipped = shipments.iter().any(Shipment::has_left);
        return if shipped {
            vec![broken("I-SH-1", "something was shipped that nobody took on")]
        } else {
            Vec::new()
        };
    };
    let mut allowed: BTreeMap<u32, u64> = BTreeMap::new();
    for line in created.lines.iter() {
        *allowed.entry(line.line).or_default() += u64::from(line.quantity.get());
    }
    for cancel in fulfilment.cancels().filter(|cancel| cancel.outcome == CancelOutcome::Cancelled) {
        if cancel.parts.is_empty() {
            allowed.clear();
        }
        for part in cancel.parts.iter() {
            let left = allowed.entry(part.line).or_default();
            *left = if part.quantity == 0 { 0 } else { left.saturating_sub(u64::from(part.quantity)) };
        }
    }
    let mut shipped: BTreeMap<u32, u64> = BTreeMap::new();
    for line in
        shipments.iter().filter(|shipment| shipment.has_left()).flat_map(|shipment| shipment.lines().iter())
    {
        *shipped.entry(line.line).or_default() += u64::from(line.quantity.get());
    }
    let too_many = shipped.iter().filter(|(line, pieces)| **pieces > allowed.get(line).copied().unwrap_or(0));
    let told = |(line, pieces): (&u32, &u64)| {
        broken("I-SH-1", format!("{pieces} pieces of line {line} of {} were shipped", created.order_id))
    };
    too_many.map(told).collect()
}

/// I-SH-2, I-SH-3: what a parcel went through, event by event: never two labels that are worth something, and
/// never back, except out of an exception.
pub fn is_legal<'a>(name: &str, events: impl IntoIterator<Item = &'a ShipmentEvent>) -> Vec<Broken> {
    let mut parcel = Shipment::default();
    let mut found = Vec::new();
    for event in events {
        let before = parcel.clone();
        parcel.evolve(event);
        if matches!(event, ShipmentEvent::LabelAsked(_)) && before.has_label() {
            found.push(broken("I-SH-2", format!("{name} was to have a second label")));
        }
        let (from, to) = (rank(before.status()), rank(parcel.status()));
        let is_exception = matches!(before.status(), Status::DeliveryFailed | Status::Lost);
        if to < from && !is_exception {
            found.push(broken(
                "I-SH-3",
                format!("{name} went from {:?} to {:?}", before.status(), parcel.status()),
            ));
        }
        let is_worth_nothing = matches!(parcel.label(), Label::None | Label::Voided | Label::Refused { .. });
        if matches!(event, ShipmentEvent::ShipmentHandedOver(_)) && is_worth_nothing {
            found.push(broken("I-SH-2", format!("{name} was handed over without a label")));
        }
    }
    found
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Pending => 0,
        Status::Packed => 1,
        Status::Labelled => 2,
        Status::HandedOver => 3,
        Status::InTransit => 4,
        Status::OutForDelivery => 5,
        Status::DeliveryFailed => 6,
        Status::ReturningToSender => 7,
        Status::Lost => 8,
        Status::Delivered | Status::ReturnedToSender | Status::Damaged | Status::Cancelled => 9,
    }
}

/// I-SH-4: what has left the house belongs to an order that was confirmed. `confirmed` are all that ever were.
pub fn only_confirmed_ships(shipments: &[Shipment], confirmed: &BTreeSet<OrderId>) -> Vec<Broken> {
    let left = shipments.iter().filter(|shipment| shipment.has_left());
    let strays =
        left.filter_map(Shipment::created).filter(|created| !confirmed.contains(&created.of.order_id));
    let told = |created: &std::sync::Arc<crate::domain::shipment::ShipmentCreated>| {
        broken(
            "I-SH-4",
            format!("{} left for {}, which was never confirmed", created.of.shipment_id, created.of.order_id),
        )
    };
    strays.map(told).collect()
}

/// I-SH-5: a parcel goes where its rate was made for.
pub fn goes_where_it_was_quoted(shipment: &Shipment, rate: &Rate) -> Vec<Broken> {
    let (Some(created), Some(quoted)) = (shipment.created(), rate.quoted()) else { return Vec::new() };
    let is_same = created.address == quoted.address && created.of.subject == quoted.subject;
    if is_same {
        return Vec::new();
    }
    vec![broken("I-SH-5", format!("{} has another address than {}", created.of.shipment_id, quoted.rate_id))]
}

/// What one side knows of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub tracking_code: String,
    /// It was given back, or never given.
    pub is_void: bool,
    /// The carrier has, or had, the parcel.
    pub is_collected: bool,
}

/// Our side of a parcel's label, once nothing is outstanding at the carrier.
pub fn ours(parcel: &Shipment) -> Option<(String, Side)> {
    let Label::Bought { key, tracking_code } = parcel.label() else { return None };
    // A label that was used before it could be given back is not void for the carrier.
    let (is_void, is_collected) = (parcel.is_void() && !parcel.is_collected(), parcel.is_collected());
    Some((key.to_string(), Side { tracking_code: tracking_code.to_string(), is_void, is_collected }))
}

/// Our labels against the carrier's books, by key: each of ours is one of theirs, and no parcel is with the carrier
/// that we did not hand over.
pub fn differences(ours: &BTreeMap<String, Side>, theirs: &BTreeMap<String, Side>) -> Vec<Broken> {
    let mut found = Vec::new();
    for (key, own) in ours {
        match theirs.get(key) {
            Some(other) if other == own => {}
            Some(other) => found.push(broken("V1", format!("{key}: ours {own:?}, theirs {other:?}"))),
            None => found.push(broken("V1", format!("{key}: the carrier knows no such label"))),
        }
    }
    let strays = theirs.iter().filter(|(key, side)| side.is_collected && !ours.contains_key(*key));
    found.extend(strays.map(|(key, _)| broken("V1", format!("{key}: carried, and not ours"))));
    found
}
