//! The provider's rules: what becomes of an authorisation and of everything done with it. One stream per
//! authorisation; every operation in it has a key, and a key has at most one effect, for ever.
//!
//! An operation that is declined is as final as one that succeeds: both are in the books, and a repeated
//! key hears the same again. What the rules cannot read or place at all is a rejection and leaves no trace.
mod events;

pub use events::*;

use crate::tokens::{Failure, PROMISE, SHORT_PROMISE, Token};
use serde::{Deserialize, Serialize};
use souk_decider::Aggregate;
use souk_kernel::{Code, Money, Rejection, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Promise an amount.
    Authorize,
    /// Take a part of it.
    Capture,
    /// Give up what is not taken.
    Void,
    /// Give back a part of what was taken.
    Refund,
    /// Promise anew after the promise expired.
    Reauthorize,
}

impl Kind {
    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Authorize => "authorize",
            Kind::Capture => "capture",
            Kind::Void => "void",
            Kind::Refund => "refund",
            Kind::Reauthorize => "reauthorize",
        }
    }
}

/// What is wanted. `key` names the operation; the authorisation's own key names its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Promise an amount.
    Authorize { key: String, amount: Money, method_token: String, reference: String },
    /// Take a part of a promise.
    Capture { key: String, authorization_key: String, amount: Money },
    /// Give up what is not taken.
    Void { key: String, authorization_key: String },
    /// Give back a part of what was taken.
    Refund { key: String, authorization_key: String, amount: Money },
    /// Promise anew.
    Reauthorize { key: String, authorization_key: String, amount: Money },
}

impl Command {
    /// The operation's key.
    pub fn key(&self) -> &str {
        match self {
            Command::Authorize { key, .. }
            | Command::Capture { key, .. }
            | Command::Void { key, .. }
            | Command::Refund { key, .. }
            | Command::Reauthorize { key, .. } => key,
        }
    }

    /// The key of the authorisation it is about.
    pub fn authorization_key(&self) -> &str {
        match self {
            Command::Authorize { key, .. } => key,
            Command::Capture { authorization_key, .. }
            | Command::Void { authorization_key, .. }
            | Command::Refund { authorization_key, .. }
            | Command::Reauthorize { authorization_key, .. } => authorization_key,
        }
    }

    /// What sort of operation it is.
    pub fn kind(&self) -> Kind {
        match self {
            Command::Authorize { .. } => Kind::Authorize,
            Command::Capture { .. } => Kind::Capture,
            Command::Void { .. } => Kind::Void,
            Command::Refund { .. } => Kind::Refund,
            Command::Reauthorize { .. } => Kind::Reauthorize,
        }
    }

    /// The amount, where there is one.
    pub fn amount(&self) -> Option<Money> {
        match self {
            Command::Authorize { amount, .. }
            | Command::Capture { amount, .. }
            | Command::Refund { amount, .. }
            | Command::Reauthorize { amount, .. } => Some(*amount),
            Command::Void { .. } => None,
        }
    }
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It had its effect.
    Succeeded,
    /// It will never have an effect; the stable code says why.
    Declined(String),
    /// A refund on its way.
    Pending,
    /// The customer must act first.
    ActionRequired,
}

/// One operation of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub kind: Kind,
    pub status: Status,
    /// Absent for a void.
    pub amount: Option<Money>,
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Promise {
    /// Nobody asked yet.
    #[default]
    Unheard,
    /// The amount can be captured until it expires.
    Held { amount: Money, expires_at: Option<Timestamp> },
    /// It was declined, or the customer did not act.
    Refused,
    /// It was given up, perhaps before it was asked for, perhaps after a part was taken. The amount is what had
    /// been promised.
    Voided { amount: Option<Money> },
}

/// One authorisation and all that was done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorization {
    promise: Promise,
    method_token: String,
    reference: String,
    operations: BTreeMap<String, Operation>,
    failed_attempts: BTreeSet<String>,
    captured_minor: i64,
    refunded_minor: i64,
    refunding_minor: i64,
}

impl Authorization {
    /// What is promised.
    pub fn promise(&self) -> Promise {
        self.promise
    }
    /// How many minor units were taken.
    pub fn captured_minor(&self) -> i64 {
        self.captured_minor
    }
    /// How many minor units were given back.
    pub fn refunded_minor(&self) -> i64 {
        self.refunded_minor
    }
    /// How many minor units are on their way back.
    pub fn refunding_minor(&self) -> i64 {
        self.refunding_minor
    }
    /// The operation with this key, if it ever had an outcome.
    pub fn operation(&self, key: &str) -> Option<&Operation> {
        self.operations.get(key)
    }
    /// All operations by key.
    pub fn operations(&self) -> &BTreeMap<String, Operation> {
        &self.operations
    }
    /// The payment method, once it is known.
    pub fn token(&self) -> Option<Token> {
        Token::parse(&self.method_token)
    }

    /// The merchant's own name for it.
    pub fn reference(&self) -> &str {
        &self.reference
    }
    /// The payment method as it was named.
    pub fn method_token(&self) -> &str {
        &self.method_token
    }

    /// Until when the promise can be captured, where it has an end.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.promise {
            Promise::Held { expires_at, .. } => expires_at,
            Promise::Unheard | Promise::Refused | Promise::Voided { .. } => None,
        }
    }

    fn note(&mut self, key: &str, kind: Kind, status: Status, amount: Option<Money>) {
        self.operations.insert(key.to_owned(), Operation { kind, status, amount });
    }

    fn opened(&mut self, key: &str, token: &str, reference: &str, status: Status, amount: Money) {
        self.method_token = token.to_owned();
        self.reference = reference.to_owned();
        self.note(key, Kind::Authorize, status, Some(amount));
    }

    fn refused(&mut self) {
        match self.promise {
            Promise::Unheard => self.promise = Promise::Refused,
            // A tombstone stays a tombstone.
            Promise::Held { .. } | Promise::Refused | Promise::Voided { .. } => {}
        }
    }

    fn voided(&mut self) {
        self.promise = match self.promise {
            Promise::Held { amount, .. } => Promise::Voided { amount: Some(amount) },
            Promise::Unheard | Promise::Refused => Promise::Voided { amount: None },
            Promise::Voided { amount } => Promise::Voided { amount },
        };
    }

    fn refund_settled(&mut self, key: &str, amount: Money) {
        let was_pending = self.operations.get(key).is_some_and(|op| op.status == Status::Pending);
        if was_pending {
            self.refunding_minor -= amount.minor_units();
        }
    }
}

impl Aggregate for Authorization {
    type Event = Event;
    const CATEGORY: &'static str = "authorization";

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Authorized(e) => {
                self.promise = Promise::Held { amount: e.amount, expires_at: e.expires_at };
                self.opened(&e.key, &e.method_token, &e.reference, Status::Succeeded, e.amount);
            }
            Event::AuthorizationDeclined(e) => {
                self.refused();
                let status = Status::Declined(e.code.clone());
                self.opened(&e.key, &e.method_token, &e.reference, status, e.amount);
            }
            Event::ActionRequired(e) => {
                self.refused();
                self.opened(&e.key, &e.method_token, &e.reference, Status::ActionRequired, e.amount);
            }
            Event::Captured(e) => {
                self.captured_minor += e.amount.minor_units();
                self.note(&e.key, Kind::Capture, Status::Succeeded, Some(e.amount));
            }
            Event::CaptureDeclined(e) => {
                self.note(&e.key, Kind::Capture, Status::Declined(e.code.clone()), Some(e.amount));
            }
            Event::Voided(e) => {
                self.voided();
                self.note(&e.key, Kind::Void, Status::Succeeded, None);
            }
            Event::VoidDeclined(e) => {
                self.note(&e.key, Kind::Void, Status::Declined(e.code.clone()), None);
            }
            Event::Refunded(e) => {
                self.refund_settled(&e.key, e.amount);
                self.refunded_minor += e.amount.minor_units();
                self.note(&e.key, Kind::Refund, Status::Succeeded, Some(e.amount));
            }
            Event::RefundPending(e) => {
                self.refunding_minor += e.amount.minor_units();
                self.note(&e.key, Kind::Refund, Status::Pending, Some(e.amount));
            }
            Event::RefundDeclined(e) => {
                self.refund_settled(&e.key, e.amount);
                self.note(&e.key, Kind::Refund, Status::Declined(e.code.clone()), Some(e.amount));
            }
            Event::AttemptFailed(e) => {
                self.failed_attempts.insert(e.key.clone());
            }
            Event::Reauthorized(e) => {
                // A void that was recorded meanwhile stays one.
                if let Promise::Held { amount, .. } = self.promise {
                    let minor_units = self.captured_minor + e.amount.minor_units();
                    let amount = Money::new(minor_units, amount.currency());
                    self.promise = Promise::Held { amount, expires_at: e.expires_at };
                }
                self.note(&e.key, Kind::Reauthorize, Status::Succeeded, Some(e.amount));
            }
            Event::ReauthorizationDeclined(e) => {
                let status = Status::Declined(e.code.clone());
                self.note(&e.key, Kind::Reauthorize, status, Some(e.amount));
            }
            Event::NotificationDue(_) | Event::NotificationSent(_) => {}
        }
    }
}

/// What `command` makes happen at `now`. Nothing, when the key has its outcome already.
///
/// # Errors
/// `KEY_REUSED` when the key has an outcome of another content, `UNKNOWN_AUTHORIZATION` when there is
/// nothing to capture from or to refund.
pub fn decide(state: &Authorization, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    if let Some(operation) = state.operation(command.key()) {
        return if is_same(state, operation, command) {
            Ok(Vec::new())
        } else {
            Err(key_reused(command.key()))
        };
    }
    if fails_first(state, command).is_some() {
        return Ok(vec![attempt_failed(command)]);
    }
    let event = match command {
        Command::Authorize { key, amount, method_token, reference } => {
            authorize(state, key, *amount, method_token, reference, now)
        }
        Command::Capture { key, authorization_key, amount } => {
            known(state, authorization_key)?;
            capture(state, Moved::new(key, authorization_key, *amount), now)
        }
        Command::Void { key, authorization_key } => void(state, key, authorization_key),
        Command::Refund { key, authorization_key, amount } => {
            known(state, authorization_key)?;
            refund(state, Moved::new(key, authorization_key, *amount))
        }
        Command::Reauthorize { key, authorization_key, amount } => {
            known(state, authorization_key)?;
            reauthorize(state, Moved::new(key, authorization_key, *amount), now)
        }
    };
    Ok(with_notification(state, command, event))
}

/// What time, or asking for the key, makes happen: a refund that was on its way comes to its end.
pub fn decide_asked(state: &Authorization, authorization_key: &str, key: &str) -> Vec<Event> {
    let pending = state.operation(key).filter(|operation| operation.status == Status::Pending);
    let Some(amount) = pending.and_then(|operation| operation.amount) else {
        return Vec::new();
    };
    let moved = Moved::new(key, authorization_key, amount);
    let event = match state.token().is_some_and(Token::pending_succeeds) {
        true => Event::Refunded(moved),
        false => Event::RefundDeclined(moved.not("refund_failed")),
    };
    vec![event, due(key, authorization_key, Kind::Refund, PLAIN)]
}

/// What the customer's coming back makes happen: the payment method decides how they fared. Nothing, when nothing
/// was asked of them.
pub fn decide_completed(state: &Authorization, key: &str, now: Timestamp) -> Vec<Event> {
    let asked = state.operation(key).filter(|operation| operation.status == Status::ActionRequired);
    let Some(amount) = asked.and_then(|operation| operation.amount) else {
        return Vec::new();
    };
    let code = match state.promise {
        Promise::Voided { .. } => Some("voided"),
        Promise::Unheard | Promise::Held { .. } | Promise::Refused => {
            state.token().and_then(Token::action_decline)
        }
    };
    let (method_token, reference) = (state.method_token.clone(), state.reference.clone());
    let key = key.to_owned();
    let notification = due(&key, &key, Kind::Authorize, PLAIN);
    let event = match code {
        Some(code) => {
            let code = code.to_owned();
            Event::AuthorizationDeclined(AuthorizationDeclined { key, amount, method_token, reference, code })
        }
        None => {
            let expires_at = Some(now.plus(promise_length(state.token())));
            Event::Authorized(Authorized { key, amount, method_token, reference, expires_at })
        }
    };
    vec![event, notification]
}

/// How this call fails without an effect, if it does: only the first of its key ever does.
pub fn fails_first(state: &Authorization, command: &Command) -> Option<Failure> {
    if state.failed_attempts.contains(command.key()) {
        return None;
    }
    token_of(state, command)?.first_failure()
}

/// The payment method that the command is about.
pub fn token_of(state: &Authorization, command: &Command) -> Option<Token> {
    match command {
        Command::Authorize { method_token, .. } => Token::parse(method_token),
        Command::Capture { .. }
        | Command::Void { .. }
        | Command::Refund { .. }
        | Command::Reauthorize { .. } => state.token(),
    }
}

/// The same key must not name two things.
pub fn key_reused(key: &str) -> Rejection {
    Rejection::new("KEY_REUSED", "this key names another operation already")
        .code(Code::AlreadyExists)
        .with("key", key)
}

fn is_same(state: &Authorization, operation: &Operation, command: &Command) -> bool {
    let same_method = match command {
        Command::Authorize { method_token, reference, .. } => {
            *method_token == state.method_token && *reference == state.reference
        }
        Command::Capture { .. }
        | Command::Void { .. }
        | Command::Refund { .. }
        | Command::Reauthorize { .. } => true,
    };
    operation.kind == command.kind() && operation.amount == command.amount() && same_method
}

fn attempt_failed(command: &Command) -> Event {
    Event::AttemptFailed(AttemptFailed {
        key: command.key().to_owned(),
        authorization_key: command.authorization_key().to_owned(),
        kind: command.kind(),
    })
}

fn known(state: &Authorization, authorization_key: &str) -> Result<(), Rejection> {
    let unheard = state.promise == Promise::Unheard;
    if unheard {
        let rejection = Rejection::new("UNKNOWN_AUTHORIZATION", "no authorisation has this key");
        return Err(rejection.code(Code::NotFound).with("authorization_key", authorization_key));
    }
    Ok(())
}

fn authorize(
    state: &Authorization,
    key: &str,
    amount: Money,
    method_token: &str,
    reference: &str,
    now: Timestamp,
) -> Event {
    let (key, method_token, reference) = (key.to_owned(), method_token.to_owned(), reference.to_owned());
    let token = Token::parse(&method_token);
    let is_voided = matches!(state.promise, Promise::Voided { .. });
    let code = match token {
        _ if is_voided => Some("voided"),
        None => Some("unknown_payment_method"),
        Some(token) => token.authorize_decline(),
    };
    if let Some(code) = code {
        let code = code.to_owned();
        return Event::AuthorizationDeclined(AuthorizationDeclined {
            key,
            amount,
            method_token,
            reference,
            code,
        });
    }
    if token.is_some_and(Token::requires_action) {
        return Event::ActionRequired(ActionRequired { key, amount, method_token, reference });
    }
    let expires_at = Some(now.plus(promise_length(token)));
    Event::Authorized(Authorized { key, amount, method_token, reference, expires_at })
}

/// How long a promise of this payment method is good for.
fn promise_length(token: Option<Token>) -> Duration {
    if token == Some(Token::AuthExpires1m) { SHORT_PROMISE } else { PROMISE }
}

fn reauthorize(state: &Authorization, wanted: Moved, now: Timestamp) -> Event {
    let code = match state.promise {
        Promise::Held { amount, .. } if amount.currency() != wanted.amount.currency() => {
            Some("currency_mismatch")
        }
        Promise::Held { expires_at: Some(expires_at), .. } if now >= expires_at => None,
        Promise::Held { .. } => Some("not_expired"),
        Promise::Voided { .. } => Some("voided"),
        Promise::Refused | Promise::Unheard => Some("not_authorized"),
    };
    if let Some(code) = code {
        return Event::ReauthorizationDeclined(wanted.not(code));
    }
    let Moved { key, authorization_key, amount } = wanted;
    let expires_at = Some(now.plus(promise_length(state.token())));
    Event::Reauthorized(Reauthorized { key, authorization_key, amount, expires_at })
}

fn capture(state: &Authorization, wanted: Moved, now: Timestamp) -> Event {
    let code = match state.promise {
        Promise::Held { amount, expires_at } => {
            capture_decline(state, amount, expires_at, wanted.amount, now)
        }
        Promise::Voided { .. } => Some("voided"),
        Promise::Refused | Promise::Unheard => Some("not_authorized"),
    };
    match code {
        Some(code) => Event::CaptureDeclined(wanted.not(code)),
        None => Event::Captured(wanted),
    }
}

fn capture_decline(
    state: &Authorization,
    promised: Money,
    expires_at: Option<Timestamp>,
    wanted: Money,
    now: Timestamp,
) -> Option<&'static str> {
    if wanted.currency() != promised.currency() {
        return Some("currency_mismatch");
    }
    if state.token() == Some(Token::CaptureFails) {
        return Some("capture_failed");
    }
    if expires_at.is_some_and(|expires_at| now >= expires_at) {
        return Some("authorization_expired");
    }
    let is_covered = wanted.minor_units() <= promised.minor_units() - state.captured_minor;
    if is_covered { None } else { Some("exceeds_authorized") }
}

fn void(state: &Authorization, key: &str, authorization_key: &str) -> Event {
    let (key, authorization_key) = (key.to_owned(), authorization_key.to_owned());
    let is_all_taken = match state.promise {
        Promise::Held { amount, .. } => {
            state.captured_minor > 0 && state.captured_minor == amount.minor_units()
        }
        Promise::Voided { .. } | Promise::Refused | Promise::Unheard => false,
    };
    if is_all_taken {
        return Event::VoidDeclined(VoidDeclined {
            key,
            authorization_key,
            code: "already_captured".to_owned(),
        });
    }
    Event::Voided(Voided { key, authorization_key })
}

fn refund(state: &Authorization, wanted: Moved) -> Event {
    let captured_currency = match state.promise {
        Promise::Held { amount, .. } => Some(amount.currency()),
        Promise::Voided { amount } => amount.map(|amount| amount.currency()),
        Promise::Refused | Promise::Unheard => None,
    };
    let left = state.captured_minor - state.refunded_minor - state.refunding_minor;
    if captured_currency.is_some_and(|currency| currency != wanted.amount.currency()) {
        return Event::RefundDeclined(wanted.not("currency_mismatch"));
    }
    if wanted.amount.minor_units() > left {
        return Event::RefundDeclined(wanted.not("exceeds_captured"));
    }
    if state.token().is_some_and(Token::refunds_are_pending) {
        return Event::RefundPending(wanted);
    }
    Event::Refunded(wanted)
}

/// The manner of a notification that simply arrives.
pub const PLAIN: &str = "plain";

fn with_notification(state: &Authorization, command: &Command, event: Event) -> Vec<Event> {
    let happened =
        matches!(event, Event::Authorized(_) | Event::Captured(_) | Event::Voided(_) | Event::Refunded(_));
    let token = token_of(state, command).filter(|_| happened);
    let is_first_capture = state.captured_minor == 0;
    let manners = token.map_or(&[][..], |token| token.notifications(command.kind(), is_first_capture));
    let (key, authorization_key, kind) = (command.key(), command.authorization_key(), command.kind());
    let mut events = vec![event];
    events.extend(manners.iter().map(|manner| due(key, authorization_key, kind, manner)));
    events
}

fn due(key: &str, authorization_key: &str, kind: Kind, manner: &str) -> Event {
    Event::NotificationDue(NotificationDue {
        key: key.to_owned(),
        authorization_key: authorization_key.to_owned(),
        kind,
        manner: manner.to_owned(),
    })
}

impl Moved {
    fn new(key: &str, authorization_key: &str, amount: Money) -> Self {
        Self { key: key.to_owned(), authorization_key: authorization_key.to_owned(), amount }
    }

    fn not(self, code: &str) -> NotMoved {
        NotMoved {
            key: self.key,
            authorization_key: self.authorization_key,
            amount: self.amount,
            code: code.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
