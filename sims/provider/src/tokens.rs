//! What each payment method token makes the provider do. The same token always does the same, so that a
//! story can ask for a declined card or a lost answer by name.
use crate::domain::Kind;
use std::time::Duration;

/// How late the answer of [`Token::Slow30s`] comes.
pub const SLOW: Duration = Duration::from_secs(30);

/// How long a promise is good for.
pub const PROMISE: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How long a promise of [`Token::AuthExpires1m`] is good for.
pub const SHORT_PROMISE: Duration = Duration::from_secs(60);

/// A payment method that the provider knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Everything works.
    Ok,
    /// Authorising is declined: `insufficient_funds`.
    DeclineFunds,
    /// Authorising is declined: `suspected_fraud`.
    DeclineFraud,
    /// The customer has to act first, and does it well.
    RequiresAction,
    /// The customer has to act first, and fails: `authentication_failed`.
    RequiresActionFails,
    /// The first call of each key has no effect and no answer; the next works.
    TimeoutBefore,
    /// Authorising works, and its first answer is lost.
    TimeoutAfterEffect,
    /// Capturing works, and its first answer is lost.
    CaptureTimeoutAfterEffect,
    /// Voiding works, and its first answer is lost.
    VoidTimeoutAfterEffect,
    /// Refunding works, and its first answer is lost.
    RefundTimeoutAfterEffect,
    /// Authorising works, and its first answer comes after 30 seconds.
    Slow30s,
    /// The first call of each key fails on the provider's side without an effect; the next works.
    Error500ThenOk,
    /// The promise is good for a minute; a later capture is declined: `authorization_expired`.
    AuthExpires1m,
    /// Every capture is declined: `capture_failed`.
    CaptureFails,
    /// A refund is on its way at first; whoever asks for it later hears that it was declined.
    RefundPendingThenFails,
    /// A refund is on its way at first; whoever asks for it later hears that it succeeded.
    RefundPendingThenSucceeds,
    /// Everything works, and the customer disputes the first capture.
    DisputeAfterCapture,
    /// The same, and in the end the money is the merchant's.
    DisputeWon,
    /// The same, and in the end the money is the customer's.
    DisputeLost,
    /// Everything works, and every notification is due twice.
    WebhookDuplicate,
    /// Everything works, and notifications are due in the wrong order.
    WebhookReordered,
    /// Everything works, and notifications are due before the answer.
    WebhookBeforeReply,
    /// Everything works, and notifications get lost.
    WebhookMissing,
}

/// Every token with its name.
pub const TOKENS: &[(&str, Token)] = &[
    ("ok", Token::Ok),
    ("decline_funds", Token::DeclineFunds),
    ("decline_fraud", Token::DeclineFraud),
    ("requires_action", Token::RequiresAction),
    ("requires_action_fails", Token::RequiresActionFails),
    ("timeout_before", Token::TimeoutBefore),
    ("timeout_after_effect", Token::TimeoutAfterEffect),
    ("capture_timeout_after_effect", Token::CaptureTimeoutAfterEffect),
    ("void_timeout_after_effect", Token::VoidTimeoutAfterEffect),
    ("refund_timeout_after_effect", Token::RefundTimeoutAfterEffect),
    ("slow_30s", Token::Slow30s),
    ("error_500_then_ok", Token::Error500ThenOk),
    ("auth_expires_1m", Token::AuthExpires1m),
    ("capture_fails", Token::CaptureFails),
    ("refund_pending_then_fails", Token::RefundPendingThenFails),
    ("refund_pending_then_succeeds", Token::RefundPendingThenSucceeds),
    ("dispute_after_capture", Token::DisputeAfterCapture),
    ("dispute_won", Token::DisputeWon),
    ("dispute_lost", Token::DisputeLost),
    ("webhook_duplicate", Token::WebhookDuplicate),
    ("webhook_reordered", Token::WebhookReordered),
    ("webhook_before_reply", Token::WebhookBeforeReply),
    ("webhook_missing", Token::WebhookMissing),
];

/// How the answer to a call that had an effect reaches the caller the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// At once.
    Prompt,
    /// After this long.
    Late(Duration),
    /// Never; a repeated call hears it.
    Lost,
}

/// How the first call of a key fails that has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer.
    Silence,
    /// An error on the provider's side.
    ServerError,
}

impl Token {
    /// The token of this name; `None` for a name that the provider does not know.
    pub fn parse(name: &str) -> Option<Token> {
        TOKENS.iter().find(|(known, _)| *known == name).map(|(_, token)| *token)
    }

    /// Why authorising is declined, if it is.
    pub(crate) fn authorize_decline(self) -> Option<&'static str> {
        const DECLINES: &[(Token, &str)] =
            &[(Token::DeclineFunds, "insufficient_funds"), (Token::DeclineFraud, "suspected_fraud")];
        DECLINES.iter().find(|(token, _)| *token == self).map(|(_, code)| *code)
    }

    /// Whether the customer has to act before anything is promised.
    pub(crate) fn requires_action(self) -> bool {
        matches!(self, Token::RequiresAction | Token::RequiresActionFails)
    }

    /// Why the customer's action came to nothing, if it does.
    pub(crate) fn action_decline(self) -> Option<&'static str> {
        (self == Token::RequiresActionFails).then_some("authentication_failed")
    }

    /// Whether refunds are on their way at first.
    pub(crate) fn refunds_are_pending(self) -> bool {
        matches!(self, Token::RefundPendingThenFails | Token::RefundPendingThenSucceeds)
    }

    /// Whether a refund that was on its way arrives.
    pub(crate) fn pending_succeeds(self) -> bool {
        self == Token::RefundPendingThenSucceeds
    }

    /// How the first call of each key fails, if it does.
    pub(crate) fn first_failure(self) -> Option<Failure> {
        const FAILURES: &[(Token, Failure)] =
            &[(Token::TimeoutBefore, Failure::Silence), (Token::Error500ThenOk, Failure::ServerError)];
        FAILURES.iter().find(|(token, _)| *token == self).map(|(_, failure)| *failure)
    }

    /// How the first answer to an operation of this kind is delivered.
    pub(crate) fn delivery(self, kind: Kind) -> Delivery {
        const DELIVERIES: &[(Token, Kind, Delivery)] = &[
            (Token::TimeoutAfterEffect, Kind::Authorize, Delivery::Lost),
            (Token::CaptureTimeoutAfterEffect, Kind::Capture, Delivery::Lost),
            (Token::VoidTimeoutAfterEffect, Kind::Void, Delivery::Lost),
            (Token::RefundTimeoutAfterEffect, Kind::Refund, Delivery::Lost),
            (Token::Slow30s, Kind::Authorize, Delivery::Late(SLOW)),
        ];
        let own = DELIVERIES.iter().find(|(token, of, _)| *token == self && *of == kind);
        own.map_or(Delivery::Prompt, |(_, _, delivery)| *delivery)
    }

    /// Whether the notification arrives before the answer.
    pub(crate) fn tells_before_reply(self) -> bool {
        self == Token::WebhookBeforeReply
    }

    /// Which notifications are due after an operation of this kind succeeded, in the order of their time.
    pub(crate) fn notifications(self, kind: Kind, is_first_capture: bool) -> &'static [&'static str] {
        const MANNERS: &[(Token, &[&str])] = &[
            (Token::WebhookDuplicate, &["duplicate"]),
            (Token::WebhookReordered, &["reordered"]),
            (Token::WebhookBeforeReply, &["before_reply"]),
            (Token::WebhookMissing, &["missing"]),
        ];
        const DISPUTES: &[(Token, &[&str])] = &[
            (Token::DisputeAfterCapture, &["dispute"]),
            (Token::DisputeWon, &["dispute", "dispute_won"]),
            (Token::DisputeLost, &["dispute", "dispute_lost"]),
        ];
        let disputed = kind == Kind::Capture && is_first_capture;
        let disputes = DISPUTES.iter().filter(|_| disputed);
        let own = MANNERS.iter().chain(disputes).find(|(token, _)| *token == self);
        own.map_or(&[], |(_, manners)| manners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_are_not_guessed() {
        for (index, (name, token)) in TOKENS.iter().enumerate() {
            assert_eq!(Token::parse(name), Some(*token));
            assert!(TOKENS[..index].iter().all(|(other, same)| other != name && same != token), "{name}");
        }
        assert_eq!(Token::parse("OK"), None);
        assert_eq!(Token::parse(""), None);
    }
}
