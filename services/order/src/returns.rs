//! The sagas of a return. **return**: once it was looked at, its stock is booked (the pivot: the pieces are in
//! the house, whatever the books say), then the money goes back; a refund that the provider refuses waits for a
//! person. **return_label**: a label to send it with; where there is none, the customer sends it without.
//! **void_label**: a label must not be used any more; before its creation that leaves a tombstone.
use crate::domain::order::{ERRAND_STUCK, OrderEvent, OrderNeedsAttention, ReturnRefunded};
use crate::domain::returns::{End, Return, ReturnEvent, ReturnLabelIssued, ReturnResolved, nothing_of};
use souk_saga::{Definition, Event, Intent, Outcome, Progress, Standing};
use std::sync::LazyLock;

/// The saga of stock and money, and its steps.
pub const SETTLE: &str = "return";
/// The pivot: books what came back.
pub const RESTOCK: &str = "restock";
/// Gives the money back.
pub const REFUND: &str = "refund_return";
/// The saga that gets a label, and its step.
pub const LABEL: &str = "return_label";
pub const CREATE_LABEL: &str = "create_label";
/// The saga that makes it worthless, and its step.
pub const VOID: &str = "void_label";
pub const VOID_LABEL: &str = "void";

static SETTLING: LazyLock<Definition> =
    LazyLock::new(|| Definition::start(SETTLE, 1).pivot(RESTOCK).then(REFUND));
static LABELLING: LazyLock<Definition> = LazyLock::new(|| Definition::start(LABEL, 1).pivot(CREATE_LABEL));
static VOIDING: LazyLock<Definition> = LazyLock::new(|| Definition::start(VOID, 1).pivot(VOID_LABEL));

/// What an answer leads to: for the return, and for its order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    pub events: Vec<ReturnEvent>,
    pub to_order: Vec<OrderEvent>,
}

/// Stock and money follow from here.
pub fn start_settling(back: &Return) -> Vec<ReturnEvent> {
    moves(back.settle().start(&SETTLING))
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
    [(&SETTLING, back.settle()), (&LABELLING, back.labelling()), (&VOIDING, back.voiding())]
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

/// Goods that are here do not go away because the books disagree: a no is asked again, visibly. The refund's is
/// the one no that stands.
fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } if intent.step != REFUND => {
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
                // Where a person settled it, nobody claims that money went.
                let is_paid = settle.standing(REFUND) == Standing::Done;
                let refund = if is_paid { settlement.refund } else { nothing_of(settlement) };
                let (whose, end) = (whose.clone(), End::Refunded { refund });
                let refunded = ReturnRefunded { return_id: whose.return_id, refund };
                recorded.to_order.push(OrderEvent::ReturnRefunded(refunded));
                recorded.events.push(ReturnEvent::ReturnResolved(ReturnResolved { whose, end }));
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
