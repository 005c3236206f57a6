//! The timers that an order's events set and end. They are rows of the same commit.
use super::{Order, OrderEvent, ends_wait};
use crate::place;
use souk_contracts::terms::OrderId;
use souk_eventstore::{Decision, Timer};
use souk_kernel::Timestamp;
use std::time::Duration;

/// The kind of the timer that ends the customer's time to act.
pub const CUSTOMER_TIMER: &str = "customer_deadline";
/// The kind of the timer that hands the order to shipping.
pub const UNDO_TIMER: &str = "undo_window";
/// The kind of the timer that ends the time for returns.
pub const RETURNS_TIMER: &str = "return_window";

/// The kind of the timers that look at once whether everything has arrived, and is paid for.
pub const ARRIVAL_TIMER: &str = "arrival_check";

/// How long things may take that are waited for, and what a return costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// How long a confirmed order can be undone at once.
    pub undo: Duration,
    /// How long what was delivered can be sent back.
    pub returns: Duration,
    /// What is kept for the restocking of what is only unwanted, in percent of its worth; at most 100.
    pub restocking_percent: u8,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            undo: Duration::from_secs(60),
            returns: Duration::from_secs(30 * 24 * 3_600),
            restocking_percent: 0,
        }
    }
}

/// What is to be done about timers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timers {
    pub set: Vec<Timer>,
    pub cancel: Vec<String>,
}

impl Timers {
    /// Adds them to the commit that they belong to.
    pub fn add_to(self, decision: Decision) -> Decision {
        let decision = self.set.into_iter().fold(decision, Decision::set_timer);
        self.cancel.into_iter().fold(decision, |decision, key| decision.cancel_timer(key))
    }
}

/// The timers that follow from `events`, which happen to `before`.
pub fn timers(before: &Order, events: &[OrderEvent], now: Timestamp, windows: &Windows) -> Timers {
    let mut timers = Timers::default();
    let Some(placed) = before.placed() else { return timers };
    let id = placed.order_id;
    let timer = |kind: &'static str, due| Timer {
        key: key(kind, id).into(),
        kind: kind.into(),
        due,
        generation: before.version(),
        payload: id.to_string(),
    };
    let ships = before.delivery().is_some();
    let cancel = |timers: &mut Timers, kind, is_set: bool| {
        timers.cancel.extend(is_set.then(|| key(kind, id)));
    };
    let asks_cancel = events.iter().any(|event| matches!(event, OrderEvent::CancelRequested(_)));
    for event in events {
        match event {
            OrderEvent::OrderAwaitingCustomer(asked) => timers.set.push(timer(CUSTOMER_TIMER, asked.until)),
            OrderEvent::RemainderAccepted(_) => cancel(&mut timers, CUSTOMER_TIMER, true),
            OrderEvent::SagaMoved(moved) if ends_wait(moved) => {
                cancel(&mut timers, CUSTOMER_TIMER, before.awaits().is_some());
            }
            OrderEvent::OrderConfirmed(_) => {
                cancel(&mut timers, place::DEADLINE_TIMER, true);
                if ships && !before.cancel_asked() {
                    timers.set.push(timer(UNDO_TIMER, now.plus(windows.undo)));
                }
            }
            OrderEvent::OrderRejected(_) => cancel(&mut timers, place::DEADLINE_TIMER, true),
            OrderEvent::OrderCancelled(_) => cancel(&mut timers, place::DEADLINE_TIMER, true),
            OrderEvent::SagaMoved(souk_saga::Event::Started { saga, .. })
                if saga == crate::cancel::NAME && asks_cancel && ships =>
            {
                cancel(&mut timers, UNDO_TIMER, *before.status() == super::Status::Confirmed);
            }
            OrderEvent::OrderDelivered(_) => {
                timers.set.push(timer(RETURNS_TIMER, now.plus(windows.returns)));
            }
            OrderEvent::OrderPlaced(_)
            | OrderEvent::SagaMoved(_)
            | OrderEvent::CancelRequested(_)
            | OrderEvent::CancelRefused(_)
            | OrderEvent::OrderProcessingStarted(_)
            | OrderEvent::ParcelShipped(_)
            | OrderEvent::ParcelMoved(_)
            | OrderEvent::ParcelPaid(_)
            | OrderEvent::PaymentDisputed(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::LinesCancelRequested(_)
            | OrderEvent::OrderLineCancelled(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::ParcelResent(_)
            | OrderEvent::ResendRefused(_)
            | OrderEvent::ParcelResolved(_)
            | OrderEvent::ParcelRefunded(_)
            | OrderEvent::RestVoidRequested(_)
            | OrderEvent::RestVoided(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::OrderReleased(_)
            | OrderEvent::OrderNeedsAttention(_)
            | OrderEvent::ReturnOpened(_)
            | OrderEvent::GoodsReturned(_)
            | OrderEvent::ReturnRefunded(_)
            | OrderEvent::ReturnClosed(_) => {}
        }
    }
    timers
}

/// Looks, right after this commit, what follows for the order from what was settled beside it. A key for each: two at
/// the same moment are two looks.
pub fn arrival_timer(order_id: OrderId, about: &str, now: Timestamp) -> Timer {
    Timer {
        key: format!("{}/{about}", key(ARRIVAL_TIMER, order_id)).into(),
        kind: ARRIVAL_TIMER.into(),
        due: now,
        generation: now.unix_us().unsigned_abs(),
        payload: order_id.to_string(),
    }
}

/// The key of an order's timer.
pub fn key(kind: &str, order_id: OrderId) -> String {
    format!("{kind}/{order_id}")
}
