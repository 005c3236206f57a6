//! What must always hold, as predicates over the log. Used by tests and by the audit of live stores.
//!
//! I-CT-3 (merging a guest's cart twice is merging it once) is absent: carts are not merged yet.
use crate::domain::{Active, Cart, CartEvent, LINES_MAX, QUANTITY_MAX};
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
            CartEvent::QuantitySet(set) => drop(counted.insert(set.line, set.quantity.into())),
            CartEvent::ItemRemoved(removed) => drop(counted.remove(&removed.line)),
            CartEvent::CartCleared(_) => counted.clear(),
            CartEvent::MarketChanged(_) | CartEvent::CartConverted(_) => {}
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
