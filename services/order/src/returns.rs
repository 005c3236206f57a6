//! The sagas of a return. **return**: once it was looked at, its stock is booked (the pivot: the pieces are in
//! the house, whatever the books say), then the money goes back; a refund that the provider refuses waits for a
//! person. Where the customer wants something else instead, that is ordered first: its order is a sale like every
//! other and may come to nothing; then all the money goes back. **return_label**: a label to send it with; where there is none, the customer sends it without.
//! **void_label**: a label must not be used any more; before its creation that leaves a tombstone.
use crate::domain::exchange;
use crate::domain::order::{ERRAND_STUCK, Order, OrderEvent, OrderNeedsAttention, ReturnRefunded, Status};
use crate::domain::returns::{
    EXCHANGE_TOO_DEAR, End, Return, ReturnEvent, ReturnLabelIssued, ReturnResolved, Settlement, Swap, Whose,
    nothing_of,
};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::OrderId;
use souk_kernel::{Rejection, Timestamp};
use souk_saga::{Definition, Event, Intent, Outcome, Progress, Standing};
use std::sync::{Arc, LazyLock};

/// The saga of stock and money, and its steps.
pub const SETTLE: &str = "return";
/// The pivot: books what came back.
pub const RESTOCK: &str = "restock";
/// Orders what the customer wants instead, and waits for what becomes of that order.
pub const EXCHANGE: &str = "exchange";
/// Gives the money back.
pub const REFUND: &str = "refund_return";
/// The saga that gets a label, and its step.
pub const LABEL: &str = "return_label";
pub const CREATE_LABEL: &str = "create_label";
/// The saga that makes it worthless, and its step.
pub const VOID: &str = "void_label";
pub const VOID_LABEL: &str = "void";

/// By version: for money, and for something else.
static SETTLING: LazyLock<[Definition; 2]> = LazyLock::new(|| {
    let start = |version| Definition::start(SETTLE, version);
    [start(1).pivot(RESTOCK).then(REFUND), start(2).pivot(RESTOCK).then(EXCHANGE).then(REFUND)]
});
static LABELLING: LazyLock<Definition> = LazyLock::new(|| Definition::start(LABEL, 1).pivot(CREATE_LABEL));
static VOIDING: LazyLock<Definition> = LazyLock::new(|| Definition::start(VOID, 1).pivot(VOID_LABEL));

/// What an answer leads to: for the return, and for its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    pub events: Vec<ReturnEvent>,
    pub to_order: Vec<OrderEvent>,
    /// For the order whose payment pays it back, where that is another.
    pub to_payer: Option<(OrderId, Vec<OrderEvent>)>,
}

/// What became of the order for something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "swapped", rename_all = "snake_case")]
pub enum Swapped {
    /// It is confirmed.
    For { order_id: OrderId },
    /// It came to nothing, for a reason of orders.
    Not { reason: Arc<str> },
}

/// What became of it, as far as the saga knows. Where a person settled it, nobody claims that it was exchanged.
pub fn swapped(settle: &Progress) -> Option<Swapped> {
    let output = settle.output(EXCHANGE)?;
    let by_hand = || Swapped::Not { reason: "SETTLED_BY_HAND".into() };
    Some(serde_json::from_value(output.clone()).unwrap_or_else(|_| by_hand()))
}

/// Stock and money follow from here, and perhaps something else instead.
pub fn start_settling(swaps: bool) -> Vec<ReturnEvent> {
    moves(Progress::default().start(settling(if swaps { 2 } else { 1 })))
}

fn settling(version: u16) -> &'static Definition {
    SETTLING.iter().find(|known| known.version() == version).unwrap_or(&SETTLING[0])
}

/// A label is asked for.
pub fn start_labelling(back: &Return) -> Vec<ReturnEvent> {
    moves(back.labelling().start(&LABELLING))
}

/// A label that was asked for is given up; nothing where none was.
pub fn start_voiding(back: &Return) -> Vec<ReturnEvent> {
    let was_asked = *back.labelling().phase() != souk_saga::Phase::NotStarted;
    if was_asked { moves(back.voiding().start(&VOIDING)) } else { Vec::new() }
}

fn moves(moved: Vec<Event>) -> Vec<ReturnEvent> {
    moved.into_iter().map(ReturnEvent::ReturnMoved).collect()
}

/// Every saga of a return.
pub fn sagas(back: &Return) -> [(&'static Definition, &Progress); 3] {
    [
        (settling(back.settle().version()), back.settle()),
        (&LABELLING, back.labelling()),
        (&VOIDING, back.voiding()),
    ]
}

/// Everything that it still has to do.
pub fn outstanding(back: &Return) -> Vec<Intent> {
    sagas(back).into_iter().flat_map(|(definition, progress)| progress.outstanding(definition)).collect()
}

/// What to record about an attempt.
pub fn record(back: &Return, intent: &Intent, outcome: &Outcome, attempt: u32) -> Recorded {
    let outcome = never_back(intent, outcome);
    let of = sagas(back).into_iter().find(|(definition, _)| definition.name() == intent.saga);
    let Some((definition, progress)) = of else { return Recorded::default() };
    with_consequences(back, progress.record(definition, intent, &outcome, attempt))
}

/// Goods that are here do not go away because the books disagree: a no is asked again, visibly. That of the refund,
/// and of what is wanted instead while the bank has the money, stands.
fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } if ![REFUND, EXCHANGE].contains(&intent.step) => {
            Outcome::unknown(format!("{} was refused: {reason}", intent.step))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. } => {
            outcome.clone()
        }
    }
}

/// The sagas' moves with what they mean. A person may have made them.
pub fn with_consequences(back: &Return, moved: Vec<Event>) -> Recorded {
    let Some(whose) = back.whose() else { return Recorded::default() };
    let mut settle = back.settle().clone();
    moved.iter().filter(|event| event.saga() == SETTLE).for_each(|event| settle.evolve(event));
    let mut recorded = Recorded::default();
    for event in &moved {
        match event {
            Event::StepDone { step, output, .. } if step == CREATE_LABEL => {
                let label = serde_json::from_value::<ReturnLabelIssued>(output.clone()).ok();
                recorded.events.extend(label.map(ReturnEvent::ReturnLabelIssued));
            }
            Event::Completed { saga } | Event::Abandoned { saga, .. } if saga == SETTLE => {
                let Some(settlement) = back.settlement() else { continue };
                recorded.settled(whose, settlement, &settle);
            }
            Event::NeedsOperator { saga, .. } if saga == SETTLE => {
                recorded.to_order.push(OrderEvent::OrderNeedsAttention(OrderNeedsAttention {
                    order_id: whose.order_id,
                    subject: whose.subject.clone(),
                    reason: ERRAND_STUCK.to_owned(),
                    about: whose.return_id.to_string().into(),
                }));
            }
            Event::Started { .. }
            | Event::StepDone { .. }
            | Event::StepRefused { .. }
            | Event::StepDelayed { .. }
            | Event::UndoStarted { .. }
            | Event::StepUndone { .. }
            | Event::NeedsOperator { .. }
            | Event::Completed { .. }
            | Event::Undone { .. }
            | Event::Abandoned { .. }
            | Event::Intervened { .. } => {}
        }
    }
    recorded.events.splice(0..0, moved.into_iter().map(ReturnEvent::ReturnMoved));
    recorded
}

impl Recorded {
    /// It is at its end, for the return, its order, and the order whose payment paid.
    fn settled(&mut self, whose: &Whose, settlement: &Settlement, settle: &Progress) {
        let swapped = swapped(settle);
        // Where a person settled it, nobody claims that money went.
        let is_paid = settle.standing(REFUND) == Standing::Done;
        let refund = if is_paid { settlement.due(swapped.as_ref()) } else { nothing_of(settlement) };
        let end = match &swapped {
            Some(Swapped::For { order_id }) => End::Exchanged { order_id: *order_id, refund },
            Some(Swapped::Not { .. }) | None => End::Refunded { refund },
        };
        let not_exchanged = match (&settlement.exchange, swapped) {
            (Some(Swap::TooDear), _) => Some(EXCHANGE_TOO_DEAR.into()),
            (Some(Swap::Wanted { .. }), Some(Swapped::Not { reason })) => Some(reason),
            (Some(Swap::Wanted { .. }), None) => Some("SETTLED_BY_HAND".into()),
            (Some(Swap::Wanted { .. }), Some(Swapped::For { .. })) | (None, _) => None,
        };
        let refunded =
            |refund| OrderEvent::ReturnRefunded(ReturnRefunded { return_id: whose.return_id, refund });
        let own = if settlement.paid_by.is_some() { nothing_of(settlement) } else { refund };
        self.to_order.push(refunded(own));
        self.to_payer = settlement.paid_by.map(|payer| (payer, vec![refunded(refund)]));
        let resolved = ReturnResolved { whose: whose.clone(), end, not_exchanged };
        self.events.push(ReturnEvent::ReturnResolved(resolved));
    }
}

/// The quote and the order of what is wanted instead, while they are outstanding.
pub fn ordered_instead(
    old: &Order,
    back: &Return,
    hash: &str,
    now: Timestamp,
) -> Result<Option<exchange::Begun>, Rejection> {
    let is_outstanding = outstanding(back).iter().any(|intent| intent.step == EXCHANGE);
    match (back.whose(), back.replacement()) {
        (Some(whose), Some(wanted)) if is_outstanding => {
            exchange::begin(old, whose, wanted, hash, now).map(Some)
        }
        (Some(_) | None, _) => Ok(None),
    }
}

/// What became of the order for something else; `None` while it is being placed.
pub fn became(order_id: OrderId, order: &Order) -> Option<Swapped> {
    match order.status() {
        Status::Pending => None,
        Status::Rejected { reason, .. } | Status::Cancelled { reason } => {
            Some(Swapped::Not { reason: reason.as_str().into() })
        }
        Status::Confirmed
        | Status::Processing
        | Status::PartiallyShipped
        | Status::Shipped
        | Status::Delivered
        | Status::Completed => Some(Swapped::For { order_id }),
    }
}
