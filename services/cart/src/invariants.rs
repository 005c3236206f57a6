//! What must always hold, as predicates over the log. Used by tests and by the audit of live stores.
use crate::domain::{Active, Cart, CartEvent, LINES_MAX, LinesMerged, QUANTITY_MAX};
use souk_contracts::terms::{CartId, Sku};
use souk_decider::fold;
use std::collections::{BTreeMap, BTreeSet};

/// I-CT-1: a line's quantity is the exact sum of what was added, since it was last set. Takes one cart's events
/// in order and the state that was folded from them; counts again by itself.
pub fn quantities_are_sums(events: &[CartEvent], state: &Cart) -> Result<(), String> {
    let mut counted: BTreeMap<u32, u64> = BTreeMap::new();
    for event in events {
        match event {
            CartEvent::CartOpened(opened) => {
                counted = opened.lines.iter().map(|line| (line.line, line.quantity.into())).collect();
            }
            CartEvent::ItemAdded(added) => {
                *counted.entry(added.line).or_default() += u64::from(added.quantity)
            }
            CartEvent::LinesMerged(merged) => {
                for line in &merged.lines {
                    *counted.entry(line.line).or_default() += u64::from(line.quantity);
                }
            }
            CartEvent::QuantitySet(set) => drop(counted.insert(set.line, set.quantity.into())),
            CartEvent::ItemRemoved(removed) => drop(counted.remove(&removed.line)),
            CartEvent::CartCleared(_) => counted.clear(),
            CartEvent::MarketChanged(_) | CartEvent::CartConverted(_) | CartEvent::CartMerged(_) => {}
        }
    }
    let Some(active) = state.active() else { return Ok(()) };
    let folded: BTreeMap<u32, u64> = active.lines.iter().map(|l| (l.line, l.quantity.into())).collect();
    if folded == counted {
        Ok(())
    } else {
        Err(format!("{}: has {folded:?}, counted {counted:?}", active.id))
    }
}

/// I-CT-2: no addition counts twice. Takes one cart's events.
pub fn no_addition_twice(events: &[CartEvent]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for event in events {
        if let CartEvent::ItemAdded(added) = event
            && !seen.insert(&added.op_id)
        {
            return Err(format!("op_id {} was added twice", added.op_id));
        }
    }
    Ok(())
}

/// I-CT-3: a guest's cart that was merged is closed, and the cart it points to took in all of it exactly once,
/// what did not fit told; nobody took in any other. Takes the events of all carts, one list per cart.
pub fn merged_once<'a>(carts: impl IntoIterator<Item = &'a [CartEvent]>) -> Result<(), String> {
    let mut gone: BTreeMap<CartId, (CartId, BTreeMap<Sku, u64>)> = BTreeMap::new();
    let mut taken: BTreeMap<CartId, (CartId, BTreeMap<Sku, u64>)> = BTreeMap::new();
    for events in carts {
        let Some(CartEvent::CartOpened(opened)) = events.first() else { continue };
        for (i, event) in events.iter().enumerate() {
            if let CartEvent::LinesMerged(merged) = event {
                let twice = taken.insert(merged.from, (opened.cart_id, brought(merged)));
                twice.map_or(Ok(()), |_| Err(format!("{} was merged twice", merged.from)))?;
            }
            let CartEvent::CartMerged(merged) = event else { continue };
            if i + 1 != events.len() {
                return Err(format!("something happened to {} after it was merged", opened.cart_id));
            }
            gone.insert(opened.cart_id, (merged.into, contents(&events[..i])));
        }
    }
    if gone == taken {
        Ok(())
    } else {
        let differs = gone.keys().chain(taken.keys()).find(|id| gone.get(*id) != taken.get(*id));
        let cart = differs.map(ToString::to_string).unwrap_or_default();
        Err(format!("{cart}: what was merged is not what the other cart took in"))
    }
}

fn brought(merged: &LinesMerged) -> BTreeMap<Sku, u64> {
    let all = |line: &crate::domain::MergedLine| u64::from(line.quantity) + u64::from(line.left_out);
    merged.lines.iter().map(|line| (line.sku.clone(), all(line))).collect()
}

fn contents(events: &[CartEvent]) -> BTreeMap<Sku, u64> {
    let cart: Cart = fold(events);
    let lines = cart.active().map(|active| active.lines.as_slice()).unwrap_or_default();
    lines.iter().map(|line| (line.sku.clone(), line.quantity.into())).collect()
}

/// I-CT-4: lines and quantities are within their bounds.
pub fn within_bounds(active: &Active) -> Result<(), String> {
    if active.lines.len() > LINES_MAX {
        return Err(format!("{}: {} lines", active.id, active.lines.len()));
    }
    let wrong = active.lines.iter().find(|line| !(1..=QUANTITY_MAX).contains(&line.quantity));
    wrong.map_or(Ok(()), |line| Err(format!("{}: {} of line {}", active.id, line.quantity, line.line)))
}

/// I-CT-6: an order converts at most one cart, a cart is converted at most once, and nothing happens to it
/// after that. Takes the events of all carts, one list per cart.
pub fn converted_once<'a>(carts: impl IntoIterator<Item = &'a [CartEvent]>) -> Result<(), String> {
    let mut orders = BTreeSet::new();
    for events in carts {
        for (i, event) in events.iter().enumerate() {
            let CartEvent::CartConverted(converted) = event else { continue };
            if i + 1 != events.len() {
                return Err(format!(
                    "something happened to a cart after {} had converted it",
                    converted.order_id
                ));
            }
            if !orders.insert(converted.order_id) {
                return Err(format!("{} converted two carts", converted.order_id));
            }
        }
    }
    Ok(())
}
