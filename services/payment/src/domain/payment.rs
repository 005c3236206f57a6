//! The state of one payment: the fold of its events.
use super::events::*;
use super::{OperationId, Step};
use souk_contracts::terms::PaymentId;
use souk_decider::Aggregate;
use souk_kernel::{Money, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a promise is given up, and the code of the decline, when the customer did not act in time.
pub const ACTION_EXPIRED: &str = "action_expired";

/// An operation that we mean to carry out and whose outcome is not recorded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// The intent is stored; a call may be on its way.
    #[default]
    Called,
    /// A call had no answer.
    InDoubt,
    /// The provider is still at it.
    Pending,
}

/// What is promised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Promise {
    /// Nobody asked for it.
    #[default]
    None,
    /// It was asked for.
    Requested(Waiting),
    /// The customer must act at the provider first; nothing is promised yet.
    ActionRequired {
        /// Where.
        url: String,
        /// Until when.
        until: Timestamp,
    },
    /// The amount is promised.
    Held {
        /// Until when it can be captured, where that is known.
        until: Option<Timestamp>,
    },
    /// It was not used in time: nothing more can be taken until there is a new promise.
    Expired,
    /// Nothing is promised, for ever.
    Declined {
        /// The provider's word.
        code: String,
    },
}

/// Whether the promise is given up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Void {
    /// Nobody asked for it.
    #[default]
    None,
    /// It was asked for: nothing may be captured any more.
    Requested(Waiting),
    /// It was not possible.
    Refused {
        /// The provider's word.
        code: String,
    },
    /// It is given up, for ever.
    Done,
}

/// One dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// How much.
    pub amount: Money,
    /// Why, in the provider's word.
    pub reason: String,
    /// How far it is.
    pub stage: DisputeStage,
}

/// How far a dispute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStage {
    /// The money is away for now.
    Open,
    /// The money is ours again.
    Won,
    /// The money stays away.
    Lost,
}

/// One capture, refund or new promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// How much.
    pub amount: Money,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a capture, refund or new promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not known yet.
    Requested(Waiting),
    /// The money moved.
    Succeeded,
    /// It did not and will not.
    Refused(Refusal),
}

/// What a payment amounts to, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known of it.
    Unheard,
    /// The provider is being asked.
    Authorizing,
    /// The provider has not said what became of it.
    Unknown,
    /// The customer must act first.
    RequiresAction,
    /// The amount is promised.
    Authorized,
    /// The promise was not used in time.
    AuthExpired,
    /// Nothing is promised.
    Declined,
    /// The promise is given up.
    Voided,
    /// A part was taken.
    PartiallyCaptured,
    /// All was taken.
    Captured,
    /// A part of what was taken was given back.
    PartiallyRefunded,
    /// All that was taken was given back.
    Refunded,
}

/// One payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payment {
    request: Option<Arc<AuthorizationRequested>>,
    promise: Promise,
    void: Void,
    void_reason: String,
    captures: BTreeMap<OperationId, Movement>,
    refunds: BTreeMap<OperationId, Movement>,
    renewals: BTreeMap<OperationId, Movement>,
    disputes: BTreeMap<String, Dispute>,
    promised_minor: i64,
    updated_at: Timestamp,
}

impl Payment {
    /// What was asked for; absent when nobody asked (a tombstone, or nothing at all).
    pub fn request(&self) -> Option<&AuthorizationRequested> {
        self.request.as_deref()
    }
    /// What is promised.
    pub fn promise(&self) -> &Promise {
        &self.promise
    }
    /// Whether the promise is given up.
    pub fn void(&self) -> &Void {
        &self.void
    }
    /// Whether the promise is given up because the customer did not act in time.
    pub fn is_action_over(&self) -> bool {
        self.void_reason == ACTION_EXPIRED
    }
    /// The captures by id, refused ones included.
    pub fn captures(&self) -> &BTreeMap<OperationId, Movement> {
        &self.captures
    }
    /// The refunds by id, refused ones included.
    pub fn refunds(&self) -> &BTreeMap<OperationId, Movement> {
        &self.refunds
    }
    /// The promises asked for anew by id, refused ones included.
    pub fn renewals(&self) -> &BTreeMap<OperationId, Movement> {
        &self.renewals
    }
    /// The disputes by the provider's name for them.
    pub fn disputes(&self) -> &BTreeMap<String, Dispute> {
        &self.disputes
    }
    /// When it last changed.
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
    /// How many minor units are or were promised. Of a promise that expired only what was taken of it counts.
    pub fn authorized_minor(&self) -> i64 {
        self.promised_minor
    }
    /// How many minor units are promised and not taken, nor given up.
    pub fn left_minor(&self) -> i64 {
        if self.void == Void::Done { 0 } else { self.promised_minor - self.captured_minor() }
    }
    /// How many minor units were given up.
    pub fn voided_minor(&self) -> i64 {
        let is_void = self.void == Void::Done;
        if is_void { self.promised_minor - self.captured_minor() - self.capturing_minor() } else { 0 }
    }
    /// How many minor units a dispute keeps away, for now or for good.
    pub fn disputed_minor(&self) -> i64 {
        let away = self.disputes.values().filter(|dispute| match dispute.stage {
            DisputeStage::Open | DisputeStage::Lost => true,
            DisputeStage::Won => false,
        });
        away.fold(0, |sum, dispute| sum.saturating_add(dispute.amount.minor_units()))
    }
    /// How many minor units a dispute keeps away that may still be won.
    pub fn contested_minor(&self) -> i64 {
        let open = self.disputes.values().filter(|dispute| dispute.stage == DisputeStage::Open);
        open.fold(0, |sum, dispute| sum.saturating_add(dispute.amount.minor_units()))
    }
    /// How many new promises there were.
    pub fn renewed(&self) -> usize {
        self.renewals.values().filter(|renewal| renewal.outcome.has_succeeded()).count()
    }
    /// How many minor units were taken.
    pub fn captured_minor(&self) -> i64 {
        sum(&self.captures, Outcome::has_succeeded)
    }
    /// How many minor units may be taken at this moment.
    pub fn capturing_minor(&self) -> i64 {
        sum(&self.captures, Outcome::is_open)
    }
    /// How many minor units were given back.
    pub fn refunded_minor(&self) -> i64 {
        sum(&self.refunds, Outcome::has_succeeded)
    }
    /// How many minor units may be on their way back.
    pub fn refunding_minor(&self) -> i64 {
        sum(&self.refunds, Outcome::is_open)
    }
    /// Whether money was taken (or, for nothing to pay, would have been).
    pub fn has_captures(&self) -> bool {
        self.captures.values().any(|capture| capture.outcome.has_succeeded())
    }

    /// What it amounts to.
    pub fn status(&self) -> Status {
        let has_refunds = self.refunds.values().any(|refund| refund.outcome.has_succeeded());
        if has_refunds {
            let is_whole = self.refunded_minor() == self.captured_minor();
            return if is_whole { Status::Refunded } else { Status::PartiallyRefunded };
        }
        if self.promise == Promise::Expired && self.void != Void::Done {
            return Status::AuthExpired;
        }
        if self.has_captures() {
            let is_whole = self.captured_minor() == self.authorized_minor();
            return if is_whole { Status::Captured } else { Status::PartiallyCaptured };
        }
        if self.void == Void::Done {
            let is_late = self.is_action_over() && matches!(self.promise, Promise::Declined { .. });
            return if is_late { Status::Declined } else { Status::Voided };
        }
        match &self.promise {
            Promise::None => Status::Unheard,
            Promise::Requested(Waiting::Called) => Status::Authorizing,
            Promise::Requested(Waiting::InDoubt | Waiting::Pending) => Status::Unknown,
            Promise::ActionRequired { .. } => Status::RequiresAction,
            Promise::Held { .. } => Status::Authorized,
            Promise::Expired => Status::AuthExpired,
            Promise::Declined { .. } => Status::Declined,
        }
    }

    /// How the operation waits for its outcome; `None` when it has one or was never meant.
    pub fn waiting(&self, step: &Step) -> Option<Waiting> {
        match step {
            // Once the payment is void, nothing that the provider could still say about it matters.
            Step::Authorize if self.void == Void::Done => None,
            Step::Authorize => match self.promise {
                Promise::Requested(waiting) => Some(waiting),
                Promise::ActionRequired { .. } => Some(Waiting::Pending),
                Promise::None | Promise::Held { .. } | Promise::Expired | Promise::Declined { .. } => None,
            },
            Step::Void => match self.void {
                Void::Requested(waiting) => Some(waiting),
                Void::None | Void::Refused { .. } | Void::Done => None,
            },
            Step::Capture(id) => self.captures.get(id).and_then(|movement| movement.outcome.waiting()),
            Step::Refund(id) => self.refunds.get(id).and_then(|movement| movement.outcome.waiting()),
            Step::Reauthorize(id) => self.renewals.get(id).and_then(|renewal| renewal.outcome.waiting()),
        }
    }

    /// What is known of the amount of `step`; `None` where it has none, or was never meant.
    pub fn amount_of(&self, step: &Step) -> Option<Money> {
        match step {
            Step::Authorize => self.request.as_ref().map(|request| request.amount),
            Step::Void => None,
            Step::Capture(id) => self.captures.get(id).map(|movement| movement.amount),
            Step::Refund(id) => self.refunds.get(id).map(|movement| movement.amount),
            Step::Reauthorize(id) => self.renewals.get(id).map(|movement| movement.amount),
        }
    }

    /// Every operation that was ever meant, or could have been.
    fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let fixed = [Step::Authorize, Step::Void].into_iter();
        let captures = self.captures.keys().cloned().map(Step::Capture);
        let refunds = self.refunds.keys().cloned().map(Step::Refund);
        let renewals = self.renewals.keys().cloned().map(Step::Reauthorize);
        fixed.chain(captures).chain(refunds).chain(renewals)
    }

    /// Every operation whose outcome is not recorded yet.
    pub fn open_steps(&self) -> Vec<Step> {
        self.steps().filter(|step| self.waiting(step).is_some()).collect()
    }

    /// The step of the provider's key, if this payment has ever meant one.
    pub fn step_of(&self, key: &str) -> Option<Step> {
        let payment_id = self.request.as_ref()?.payment_id;
        self.steps().find(|step| step.key(payment_id) == key)
    }

    fn wait(&mut self, key: &str, waiting: Waiting) {
        match self.step_of(key) {
            None => {}
            Some(Step::Authorize) => self.promise = Promise::Requested(waiting),
            Some(Step::Void) => self.void = Void::Requested(waiting),
            Some(Step::Capture(id)) => settle(&mut self.captures, &id, Outcome::Requested(waiting)),
            Some(Step::Refund(id)) => settle(&mut self.refunds, &id, Outcome::Requested(waiting)),
            Some(Step::Reauthorize(id)) => settle(&mut self.renewals, &id, Outcome::Requested(waiting)),
        }
    }

    fn close_dispute(&mut self, dispute_id: &str, stage: DisputeStage) {
        if let Some(dispute) = self.disputes.get_mut(dispute_id) {
            dispute.stage = stage;
        }
    }

    fn touch(&mut self, at: Timestamp) {
        self.updated_at = self.updated_at.max(at);
    }
}

impl Outcome {
    /// Whether the money moved.
    pub fn has_succeeded(&self) -> bool {
        matches!(self, Outcome::Succeeded)
    }
    /// Whether it is not known yet.
    pub fn is_open(&self) -> bool {
        self.waiting().is_some()
    }
    fn waiting(&self) -> Option<Waiting> {
        match self {
            Outcome::Requested(waiting) => Some(*waiting),
            Outcome::Succeeded | Outcome::Refused(_) => None,
        }
    }
}

/// Saturates: `decide` keeps every sum within the promised amount, so it never does.
fn sum(movements: &BTreeMap<OperationId, Movement>, which: impl Fn(&Outcome) -> bool) -> i64 {
    let counted = movements.values().filter(|movement| which(&movement.outcome));
    counted.fold(0, |sum, movement| sum.saturating_add(movement.amount.minor_units()))
}

fn settle(movements: &mut BTreeMap<OperationId, Movement>, id: &OperationId, outcome: Outcome) {
    if let Some(movement) = movements.get_mut(id) {
        movement.outcome = outcome;
    }
}

fn meant(movements: &mut BTreeMap<OperationId, Movement>, id: &OperationId, amount: Money) {
    movements.insert(id.clone(), Movement { amount, outcome: Outcome::Requested(Waiting::Called) });
}

/// What is refused was not always meant before.
fn refused(
    movements: &mut BTreeMap<OperationId, Movement>,
    id: &OperationId,
    amount: Money,
    refusal: &Refusal,
) {
    movements.insert(id.clone(), Movement { amount, outcome: Outcome::Refused(refusal.clone()) });
}

impl Aggregate for Payment {
    type Event = PaymentEvent;
    const CATEGORY: &'static str = "payment";

    fn evolve(&mut self, event: &PaymentEvent) {
        self.touch(event.at());
        match event {
            PaymentEvent::AuthorizationRequested(e) => {
                self.request = Some(Arc::new(e.clone()));
                self.promise = Promise::Requested(Waiting::Called);
            }
            PaymentEvent::AuthorizationSucceeded(e) => {
                self.promise = Promise::Held { until: e.expires_at };
                self.promised_minor = e.amount.minor_units();
            }
            PaymentEvent::ActionRequired(e) => {
                self.promise = Promise::ActionRequired { url: e.action_url.clone(), until: e.expires_at };
            }
            PaymentEvent::AuthorizationExpired(_) => {
                self.promise = Promise::Expired;
                self.promised_minor = self.captured_minor();
            }
            PaymentEvent::ReauthorizationRequested(e) => {
                meant(&mut self.renewals, &e.authorization_id, e.amount)
            }
            PaymentEvent::ReauthorizationSucceeded(e) => {
                settle(&mut self.renewals, &e.authorization_id, Outcome::Succeeded);
                self.promise = Promise::Held { until: Some(e.expires_at) };
                self.promised_minor = self.captured_minor().saturating_add(e.amount.minor_units());
            }
            PaymentEvent::ReauthorizationRefused(e) => {
                refused(&mut self.renewals, &e.authorization_id, e.amount, &e.refusal);
            }
            PaymentEvent::DisputeOpened(e) => {
                let (amount, reason) = (e.amount, e.reason.clone());
                let dispute = Dispute { amount, reason, stage: DisputeStage::Open };
                self.disputes.insert(e.dispute_id.clone(), dispute);
            }
            PaymentEvent::DisputeWon(e) => self.close_dispute(&e.dispute_id, DisputeStage::Won),
            PaymentEvent::DisputeLost(e) => self.close_dispute(&e.dispute_id, DisputeStage::Lost),
            PaymentEvent::AuthorizationDeclined(e) => {
                self.promise = Promise::Declined { code: e.code.clone() }
            }
            PaymentEvent::CaptureRequested(e) => meant(&mut self.captures, &e.capture_id, e.amount),
            PaymentEvent::CaptureSucceeded(e) => {
                settle(&mut self.captures, &e.capture_id, Outcome::Succeeded)
            }
            PaymentEvent::CaptureRefused(e) => {
                refused(&mut self.captures, &e.capture_id, e.amount, &e.refusal);
            }
            PaymentEvent::VoidRequested(e) => {
                self.void = Void::Requested(Waiting::Called);
                self.void_reason.clone_from(&e.reason);
            }
            PaymentEvent::Voided(_) | PaymentEvent::PaymentTombstoned(_) => self.void = Void::Done,
            PaymentEvent::VoidRefused(e) => self.void = Void::Refused { code: e.code.clone() },
            PaymentEvent::RefundRequested(e) => meant(&mut self.refunds, &e.refund_id, e.amount),
            PaymentEvent::RefundSucceeded(e) => settle(&mut self.refunds, &e.refund_id, Outcome::Succeeded),
            PaymentEvent::RefundRefused(e) => {
                refused(&mut self.refunds, &e.refund_id, e.amount, &e.refusal);
            }
            PaymentEvent::RefundPending(e) => self.wait(&e.key, Waiting::Pending),
            PaymentEvent::AuthorizationUnknown(e)
            | PaymentEvent::CaptureUnknown(e)
            | PaymentEvent::VoidUnknown(e)
            | PaymentEvent::ReauthorizationUnknown(e)
            | PaymentEvent::RefundUnknown(e) => self.wait(&e.key, Waiting::InDoubt),
        }
    }
}

impl PaymentEvent {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            PaymentEvent::AuthorizationRequested(e) => e.at,
            PaymentEvent::AuthorizationSucceeded(e) => e.at,
            PaymentEvent::AuthorizationDeclined(e) => e.at,
            PaymentEvent::CaptureRequested(e) => e.at,
            PaymentEvent::CaptureSucceeded(e) => e.at,
            PaymentEvent::CaptureRefused(e) => e.at,
            PaymentEvent::VoidRequested(e) => e.at,
            PaymentEvent::Voided(e) => e.at,
            PaymentEvent::VoidRefused(e) => e.at,
            PaymentEvent::RefundRequested(e) => e.at,
            PaymentEvent::RefundSucceeded(e) => e.at,
            PaymentEvent::RefundRefused(e) => e.at,
            PaymentEvent::PaymentTombstoned(e) => e.at,
            PaymentEvent::ActionRequired(e) => e.at,
            PaymentEvent::AuthorizationExpired(e) => e.at,
            PaymentEvent::ReauthorizationRequested(e) => e.at,
            PaymentEvent::ReauthorizationSucceeded(e) => e.at,
            PaymentEvent::ReauthorizationRefused(e) => e.at,
            PaymentEvent::DisputeOpened(e) => e.at,
            PaymentEvent::DisputeWon(e) | PaymentEvent::DisputeLost(e) => e.at,
            PaymentEvent::AuthorizationUnknown(e)
            | PaymentEvent::CaptureUnknown(e)
            | PaymentEvent::VoidUnknown(e)
            | PaymentEvent::RefundPending(e)
            | PaymentEvent::ReauthorizationUnknown(e)
            | PaymentEvent::RefundUnknown(e) => e.at,
        }
    }
}

impl Step {
    /// The provider's key of this operation: the same for every attempt.
    pub fn key(&self, payment_id: PaymentId) -> String {
        match self {
            Step::Authorize => format!("{payment_id}:authorize"),
            Step::Capture(id) => format!("{payment_id}:capture:{id}"),
            Step::Void => format!("{payment_id}:void"),
            Step::Refund(id) => format!("{payment_id}:refund:{id}"),
            Step::Reauthorize(id) => format!("{payment_id}:reauthorize:{id}"),
        }
    }
}
