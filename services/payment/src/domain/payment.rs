//! The state of one payment: the fold of its events.
use super::events::*;
use super::{OperationId, Step};
use souk_contracts::terms::PaymentId;
use souk_decider::Aggregate;
use souk_kernel::{Money, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// The whole amount of the request is promised.
    Held,
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

/// One capture or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// How much.
    pub amount: Money,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a capture or refund.
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
    /// The amount is promised.
    Authorized,
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
    captures: BTreeMap<OperationId, Movement>,
    refunds: BTreeMap<OperationId, Movement>,
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
    /// The captures by id, refused ones included.
    pub fn captures(&self) -> &BTreeMap<OperationId, Movement> {
        &self.captures
    }
    /// The refunds by id, refused ones included.
    pub fn refunds(&self) -> &BTreeMap<OperationId, Movement> {
        &self.refunds
    }
    /// When it last changed.
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }
    /// How many minor units are or were promised.
    pub fn authorized_minor(&self) -> i64 {
        match (&self.promise, &self.request) {
            (Promise::Held, Some(request)) => request.amount.minor_units(),
            (Promise::None | Promise::Requested(_) | Promise::Held | Promise::Declined { .. }, _) => 0,
        }
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
        if self.has_captures() {
            let is_whole = self.captured_minor() == self.authorized_minor();
            return if is_whole { Status::Captured } else { Status::PartiallyCaptured };
        }
        if self.void == Void::Done {
            return Status::Voided;
        }
        match &self.promise {
            Promise::None => Status::Unheard,
            Promise::Requested(Waiting::Called) => Status::Authorizing,
            Promise::Requested(Waiting::InDoubt | Waiting::Pending) => Status::Unknown,
            Promise::Held => Status::Authorized,
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
                Promise::None | Promise::Held | Promise::Declined { .. } => None,
            },
            Step::Void => match self.void {
                Void::Requested(waiting) => Some(waiting),
                Void::None | Void::Refused { .. } | Void::Done => None,
            },
            Step::Capture(id) => self.captures.get(id).and_then(|movement| movement.outcome.waiting()),
            Step::Refund(id) => self.refunds.get(id).and_then(|movement| movement.outcome.waiting()),
        }
    }

    /// Every operation whose outcome is not recorded yet.
    pub fn open_steps(&self) -> Vec<Step> {
        let fixed = [Step::Authorize, Step::Void].into_iter();
        let captures = self.captures.keys().cloned().map(Step::Capture);
        let refunds = self.refunds.keys().cloned().map(Step::Refund);
        fixed.chain(captures).chain(refunds).filter(|step| self.waiting(step).is_some()).collect()
    }

    /// The step of the provider's key, if this payment has ever meant one.
    pub fn step_of(&self, key: &str) -> Option<Step> {
        let payment_id = self.request.as_ref()?.payment_id;
        let fixed = [Step::Authorize, Step::Void].into_iter();
        let captures = self.captures.keys().cloned().map(Step::Capture);
        let refunds = self.refunds.keys().cloned().map(Step::Refund);
        fixed.chain(captures).chain(refunds).find(|step| step.key(payment_id) == key)
    }

    fn wait(&mut self, key: &str, waiting: Waiting) {
        match self.step_of(key) {
            None => {}
            Some(Step::Authorize) => self.promise = Promise::Requested(waiting),
            Some(Step::Void) => self.void = Void::Requested(waiting),
            Some(Step::Capture(id)) => settle(&mut self.captures, &id, Outcome::Requested(waiting)),
            Some(Step::Refund(id)) => settle(&mut self.refunds, &id, Outcome::Requested(waiting)),
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
            PaymentEvent::AuthorizationSucceeded(_) => self.promise = Promise::Held,
            PaymentEvent::AuthorizationDeclined(e) => {
                self.promise = Promise::Declined { code: e.code.clone() }
            }
            PaymentEvent::CaptureRequested(e) => {
                let movement = Movement { amount: e.amount, outcome: Outcome::Requested(Waiting::Called) };
                self.captures.insert(e.capture_id.clone(), movement);
            }
            PaymentEvent::CaptureSucceeded(e) => {
                settle(&mut self.captures, &e.capture_id, Outcome::Succeeded)
            }
            PaymentEvent::CaptureRefused(e) => {
                let movement = Movement { amount: e.amount, outcome: Outcome::Refused(e.refusal.clone()) };
                self.captures.insert(e.capture_id.clone(), movement);
            }
            PaymentEvent::VoidRequested(_) => self.void = Void::Requested(Waiting::Called),
            PaymentEvent::Voided(_) | PaymentEvent::PaymentTombstoned(_) => self.void = Void::Done,
            PaymentEvent::VoidRefused(e) => self.void = Void::Refused { code: e.code.clone() },
            PaymentEvent::RefundRequested(e) => {
                let movement = Movement { amount: e.amount, outcome: Outcome::Requested(Waiting::Called) };
                self.refunds.insert(e.refund_id.clone(), movement);
            }
            PaymentEvent::RefundSucceeded(e) => settle(&mut self.refunds, &e.refund_id, Outcome::Succeeded),
            PaymentEvent::RefundRefused(e) => {
                let movement = Movement { amount: e.amount, outcome: Outcome::Refused(e.refusal.clone()) };
                self.refunds.insert(e.refund_id.clone(), movement);
            }
            PaymentEvent::RefundPending(e) => self.wait(&e.key, Waiting::Pending),
            PaymentEvent::AuthorizationUnknown(e)
            | PaymentEvent::CaptureUnknown(e)
            | PaymentEvent::VoidUnknown(e)
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
            PaymentEvent::AuthorizationUnknown(e)
            | PaymentEvent::CaptureUnknown(e)
            | PaymentEvent::VoidUnknown(e)
            | PaymentEvent::RefundPending(e)
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
        }
    }
}
