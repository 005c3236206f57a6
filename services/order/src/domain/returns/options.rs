//! What of an order may come back, told before anybody asks: the same rules as those of a request.
use super::{FAULT_WINDOW, restocking_fee};
use crate::domain::order::{Order, Pieces};
use souk_contracts::terms::{Quantity, Sku};
use souk_kernel::{Money, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What may come back of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct LineOption {
    pub line: u32,
    pub sku: Sku,
    pub title: Arc<str>,
    /// How many pieces; why none may stands in `refusal` then.
    pub quantity: u32,
    pub refusal: &'static str,
    /// Until when they may that are only unwanted, and where the shop is at fault; `None` before they arrive.
    pub until: Option<(Timestamp, Timestamp)>,
    pub worth: Money,
    pub fee: Money,
}

/// Every line of an order. `arrivals`: when its pieces arrived; `window`: how long they may come back that are only
/// unwanted.
pub fn options(
    order: &Order,
    arrivals: &BTreeMap<u32, Timestamp>,
    window: Duration,
    restocking_percent: u8,
    now: Timestamp,
) -> Vec<LineOption> {
    let Some(currency) = order.agreed_total().map(|total| total.currency()) else { return Vec::new() };
    let (arrived, left) = (order.arrived(), order.not_returned());
    let of = |lines: &BTreeMap<u32, u32>, line: u32| lines.get(&line).copied().unwrap_or(0);
    let option = |line: &crate::domain::Line| {
        let since = arrivals.get(&line.line).filter(|_| of(&arrived, line.line) > 0);
        let until = since.map(|at| (at.plus(window), at.plus(FAULT_WINDOW.max(window))));
        let refusal = match until {
            None => "NOT_DELIVERED",
            Some(_) if of(&left, line.line) == 0 => "RETURN_EXCEEDS_DELIVERED",
            Some((_, at_fault)) if at_fault <= now => "RETURN_WINDOW_OVER",
            Some(_) => "",
        };
        let quantity = if refusal.is_empty() { of(&left, line.line) } else { 0 };
        let pieces = Quantity::try_new(quantity)
            .map(|quantity| vec![Pieces { line: line.line, sku: line.sku.clone(), quantity }]);
        let worth_minor = order.goods_worth(&pieces.unwrap_or_default());
        LineOption {
            line: line.line,
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity,
            refusal,
            until,
            worth: Money::new(worth_minor, currency),
            fee: Money::new(restocking_fee(worth_minor, restocking_percent), currency),
        }
    };
    order.lines().iter().map(option).collect()
}
