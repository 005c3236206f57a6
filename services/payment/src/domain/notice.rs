//! What a provider tells by itself. A notice is kept under the provider's id for it before it is thanked for, so it
//! counts once however often it comes. It is applied at once, waits for a payment that is not known yet, or is put
//! aside for a person when it does not fit what we know.
use super::events::*;
use super::{Answer, DisputeStage, Outcome, Payment, Refusal, Source, Step, record};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Money, Timestamp};
use std::time::Duration;

/// How often a notice that fits nothing yet is tried before a person looks at it.
pub const TRIES_MAX: u32 = 12;

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who told it.
    pub provider: String,
    /// The provider's own id of it.
    pub event_id: String,
    /// About what.
    pub about: About,
    /// How much it is about, where it names that.
    pub amount: Option<Money>,
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The operation with this key came to this.
    Operation {
        /// The key.
        key: String,
        /// What became of it.
        told: Told,
    },
    /// A dispute about what was taken under this authorisation.
    Dispute {
        /// The key of the authorisation.
        authorization_key: String,
        /// The provider's name for it.
        dispute_id: String,
        /// How far it is.
        stage: Stage,
        /// Why the customer disputes, in the provider's word.
        reason: String,
    },
}

/// What became of an operation, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It had its effect.
    Succeeded,
    /// The amount is promised, until then.
    Promised(Timestamp),
    /// It will never have one.
    Declined(String),
    /// The provider is still at it, or waits for the customer.
    Pending,
}

/// How far a dispute is, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was opened.
    Open,
    /// The money is ours again.
    Won,
    /// The money stays away.
    Lost,
}

/// A notice came. Stored before the sender is thanked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeKept {
    pub notice: Notice,
    pub at: Timestamp,
}

/// What it says is known now. It may have been known before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeApplied {
    pub payment_id: PaymentId,
    pub at: Timestamp,
}

/// It does not fit what we know: nothing was applied, and a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeQuarantined {
    pub reason: String,
    pub at: Timestamp,
}

/// Everything that can happen to a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeEvent {
    NoticeKept(NoticeKept),
    NoticeApplied(NoticeApplied),
    NoticeQuarantined(NoticeQuarantined),
}

stored_events!(NoticeEvent { NoticeKept: 1, NoticeApplied: 1, NoticeQuarantined: 1 });

/// One notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kept {
    /// It never came.
    #[default]
    Unheard,
    /// It fits nothing yet.
    Waiting(Notice),
    /// It counts.
    Applied,
    /// It was put aside.
    Quarantined,
}

impl Aggregate for Kept {
    type Event = NoticeEvent;
    const CATEGORY: &'static str = "notice";

    fn evolve(&mut self, event: &NoticeEvent) {
        *self = match event {
            NoticeEvent::NoticeKept(e) => Kept::Waiting(e.notice.clone()),
            NoticeEvent::NoticeApplied(_) => Kept::Applied,
            NoticeEvent::NoticeQuarantined(_) => Kept::Quarantined,
        };
    }
}

/// What a notice means for a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This happens to the payment; nothing, when it was known already.
    Apply(Vec<PaymentEvent>),
    /// It fits nothing yet: it is tried again later.
    Wait(&'static str),
    /// It contradicts what we know: a person has to look.
    Quarantine(String),
}

impl Notice {
    /// The payment that it is about; the keys of all operations begin with its id.
    pub fn payment_id(&self) -> Option<PaymentId> {
        let key = match &self.about {
            About::Operation { key, .. } => key,
            About::Dispute { authorization_key, .. } => authorization_key,
        };
        key.split(':').next()?.parse().ok()
    }

    /// What it is called in our books.
    pub fn id(&self) -> String {
        format!("{}:{}", self.provider, self.event_id)
    }
}

/// The first decision about a notice: it is kept, and what it means happens in the same commit. Nothing when it came
/// before.
pub fn keep(
    kept: &Kept,
    notice: &Notice,
    payment: &Payment,
    now: Timestamp,
) -> (Vec<NoticeEvent>, Vec<PaymentEvent>) {
    match kept {
        Kept::Unheard => {}
        Kept::Waiting(_) | Kept::Applied | Kept::Quarantined => return (Vec::new(), Vec::new()),
    }
    let mut events = vec![NoticeEvent::NoticeKept(NoticeKept { notice: notice.clone(), at: now })];
    let (more, of_payment) = settle(notice, payment, false, now);
    events.extend(more);
    (events, of_payment)
}

/// What becomes of a notice that was kept, with the payment as it is now.
pub fn settle(
    notice: &Notice,
    payment: &Payment,
    is_last_try: bool,
    now: Timestamp,
) -> (Vec<NoticeEvent>, Vec<PaymentEvent>) {
    let quarantined = |reason: &str| {
        let reason = reason.to_owned();
        (vec![NoticeEvent::NoticeQuarantined(NoticeQuarantined { reason, at: now })], Vec::new())
    };
    let Some(payment_id) = notice.payment_id() else {
        return quarantined("it names no payment of ours");
    };
    match verdict(notice, payment, now) {
        Verdict::Apply(events) => {
            (vec![NoticeEvent::NoticeApplied(NoticeApplied { payment_id, at: now })], events)
        }
        Verdict::Quarantine(reason) => quarantined(&reason),
        Verdict::Wait(why) if is_last_try => quarantined(why),
        Verdict::Wait(_) => (Vec::new(), Vec::new()),
    }
}

/// How long to wait before the try after this one.
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(5).saturating_mul(1 << tries.min(10))
}

fn verdict(notice: &Notice, payment: &Payment, now: Timestamp) -> Verdict {
    let Some(request) = payment.request() else {
        return Verdict::Wait("no such payment");
    };
    match &notice.about {
        About::Operation { key, told } => {
            let Some(step) = payment.step_of(key) else { return Verdict::Wait("no such operation") };
            of_operation(notice, payment, &step, told, now)
        }
        About::Dispute { dispute_id, stage, reason, .. } => {
            let AuthorizationRequested { payment_id, order_id, owner, amount: whole, .. } = request.clone();
            let Some(amount) = notice.amount.filter(|amount| amount.currency() == whole.currency()) else {
                return Verdict::Quarantine("the dispute is in another currency".to_owned());
            };
            let dispute =
                Disputed { payment_id, order_id, owner, dispute_id: dispute_id.clone(), amount, at: now };
            of_dispute(payment, dispute, *stage, reason)
        }
    }
}

fn of_operation(notice: &Notice, payment: &Payment, step: &Step, told: &Told, now: Timestamp) -> Verdict {
    let expected = payment.amount_of(step);
    if notice.amount.is_some() && expected.is_some() && notice.amount != expected {
        return Verdict::Quarantine(format!("told of {:?}, known as {expected:?}", notice.amount));
    }
    let answer = match told {
        Told::Succeeded => Answer::Succeeded,
        Told::Promised(until) => Answer::Promised(*until),
        Told::Declined(code) => Answer::Declined(code.clone()),
        Told::Pending => Answer::Pending,
    };
    if contradicts(payment, step, &answer) {
        return Verdict::Quarantine(format!("told that {step:?} is {answer:?}, known otherwise"));
    }
    Verdict::Apply(record(payment, step, &answer, Source::Notice, now))
}

/// Whether money is told to have moved that we know not to have moved, or the other way round.
fn contradicts(payment: &Payment, step: &Step, answer: &Answer) -> bool {
    let movement = match step {
        Step::Capture(id) => payment.captures().get(id),
        Step::Refund(id) => payment.refunds().get(id),
        Step::Authorize | Step::Void | Step::Reauthorize(_) => None,
    };
    match (movement.map(|movement| &movement.outcome), answer) {
        (Some(Outcome::Refused(Refusal::ByProvider(_))), Answer::Succeeded) => true,
        (Some(Outcome::Succeeded), Answer::Declined(_)) => true,
        (None | Some(Outcome::Requested(_) | Outcome::Succeeded | Outcome::Refused(_)), _) => false,
    }
}

/// What every event of a dispute says.
struct Disputed {
    payment_id: PaymentId,
    order_id: OrderId,
    owner: String,
    dispute_id: String,
    amount: Money,
    at: Timestamp,
}

impl Disputed {
    fn closed(self) -> DisputeClosed {
        let Disputed { payment_id, order_id, owner, dispute_id, amount, at } = self;
        DisputeClosed { payment_id, order_id, owner, dispute_id, amount, at }
    }
}

fn of_dispute(payment: &Payment, told: Disputed, stage: Stage, reason: &str) -> Verdict {
    let Some(known) = payment.disputes().get(&told.dispute_id) else {
        return match stage {
            Stage::Open => opened(payment, told, reason),
            Stage::Won | Stage::Lost => Verdict::Wait("no such dispute"),
        };
    };
    if known.amount != told.amount {
        return Verdict::Quarantine(format!(
            "the dispute is about {:?}, told of {:?}",
            known.amount, told.amount
        ));
    }
    match (stage, known.stage) {
        (Stage::Won, DisputeStage::Open) => Verdict::Apply(vec![PaymentEvent::DisputeWon(told.closed())]),
        (Stage::Lost, DisputeStage::Open) => Verdict::Apply(vec![PaymentEvent::DisputeLost(told.closed())]),
        (Stage::Won, DisputeStage::Lost) | (Stage::Lost, DisputeStage::Won) => {
            Verdict::Quarantine("the dispute is known to have ended otherwise".to_owned())
        }
        (Stage::Open, DisputeStage::Open | DisputeStage::Won | DisputeStage::Lost)
        | (Stage::Won, DisputeStage::Won)
        | (Stage::Lost, DisputeStage::Lost) => Verdict::Apply(Vec::new()),
    }
}

fn opened(payment: &Payment, told: Disputed, reason: &str) -> Verdict {
    let amount = told.amount.minor_units();
    if amount <= 0 {
        return Verdict::Quarantine("the dispute is about nothing".to_owned());
    }
    // The capture may not be known yet.
    if payment.disputed_minor().saturating_add(amount) > payment.captured_minor() {
        return Verdict::Wait("more is disputed than was taken");
    }
    let Disputed { payment_id, order_id, owner, dispute_id, amount, at } = told;
    let reason = reason.to_owned();
    let event = DisputeOpened { payment_id, order_id, owner, dispute_id, amount, reason, at };
    Verdict::Apply(vec![PaymentEvent::DisputeOpened(event)])
}
