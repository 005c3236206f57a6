//! What each payment method token makes the provider do. The same token always does the same, so that a
//! story can ask for a declined card or a lost answer by name.
use crate::domain::Kind;
use std::time::Duration;

/// How late the answer of [`Token::Slow30s`] comes.
pub const SLOW: Duration = Duration::from_secs(30);

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
    /// The customer would have to act first; nothing is promised.
    RequiresAction,
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
    /// Everything works, and a dispute is due after the first capture.
    DisputeAfterCapture,
    /// Everything works, and every notification is due twice.
    WebhookDuplicate,
    /// Everything works, and notifications are due in the wrong order.
    WebhookReordered,
    /// Everything works, and notifications are due before the answer.
    WebhookBeforeReply,
    /// Everything works, and notifications would get lost.
    WebhookMissing,
}

/// Every token with its name.
pub const TOKENS: &[(&str, Token)] = &[
    ("ok", Token::Ok),
    ("decline_funds", Token::DeclineFunds),
    ("decline_fraud", Token::DeclineFraud),
    ("requires_action", Token::RequiresAction),
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
    ("dispute_after_capture", Token::DisputeAfterCapture),
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

    /// Which notification is due after an operation of this kind succeeded.
    pub(crate) fn notification(self, kind: Kind) -> Option<&'static str> {
        const MANNERS: &[(Token, &str)] = &[
            (Token::WebhookDuplicate, "duplicate"),
            (Token::WebhookReordered, "reordered"),
            (Token::WebhookBeforeReply, "before_reply"),
            (Token::WebhookMissing, "missing"),
        ];
        if self == Token::DisputeAfterCapture {
            return (kind == Kind::Capture).then_some("dispute");
        }
        MANNERS.iter().find(|(token, _)| *token == self).map(|(_, manner)| *manner)
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
