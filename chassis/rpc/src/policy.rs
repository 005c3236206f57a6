//! The public policy of a method, as generated from its contract.
use crate::{Code, Error, Result};
use souk_identity::{Kind, Principal};
use std::time::Duration;

/// What the contract says about one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodPolicy {
    /// The method's name, for example `PlaceOrder`.
    pub name: &'static str,
    /// The path of the call, for example `/souk.order.v1.OrderService/PlaceOrder`.
    pub path: &'static str,
    /// Who may call at all.
    pub auth: Auth,
    /// With [`Auth::Staff`]: one of these is needed.
    pub roles: &'static [&'static str],
    /// Services that may call; `*` for every service.
    pub callers: &'static [&'static str],
    /// The rate limit that applies; empty for the usual one.
    pub rate_class: &'static str,
    /// Whether a key may or must come along.
    pub idempotency: Idempotency,
    /// How long a call may take at most; of a stream, how long it may take to open.
    pub timeout: Duration,
    /// Whether the answer is a stream.
    pub streaming: bool,
    /// The HTTP status of success.
    pub success_status: u16,
    /// When it goes away, if it does.
    pub lifecycle: Option<Lifecycle>,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Everybody, also without a token.
    Public,
    /// Every guest, customer and member of staff, and the listed services.
    Token,
    /// Staff with one of the roles, and the listed services.
    Staff,
    /// Only the listed services.
    Service,
}

/// What an idempotency key means to a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing.
    None,
    /// It may come along.
    Optional,
    /// Without it the call is refused.
    Required,
}

/// The end of a method. Times are RFC 3339, empty when not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// Since when it is deprecated.
    pub deprecated_at: &'static str,
    /// When it stops to answer.
    pub sunset_at: &'static str,
    /// What to call instead.
    pub successor: &'static str,
}

impl MethodPolicy {
    /// Whether this caller may call the method.
    pub fn authorise(&self, principal: Option<&Principal>) -> Result<()> {
        if self.auth == Auth::Public {
            return Ok(());
        }
        let principal = principal.ok_or_else(crate::cx::unauthenticated)?;
        if self.admits(principal) {
            Ok(())
        } else {
            Err(Error::new(
                Code::PermissionDenied,
                "PERMISSION_DENIED",
                "this caller may not call this method",
            ))
        }
    }

    fn admits(&self, principal: &Principal) -> bool {
        match principal.kind {
            Kind::Service => self.admits_service(principal),
            Kind::Guest | Kind::Customer => self.auth == Auth::Token,
            Kind::Staff => match self.auth {
                Auth::Public | Auth::Token => true,
                Auth::Staff => self.roles.iter().any(|role| principal.has_role(role)),
                Auth::Service => false,
            },
        }
    }

    fn admits_service(&self, principal: &Principal) -> bool {
        principal
            .service()
            .is_some_and(|name| self.callers.iter().any(|caller| *caller == "*" || *caller == name))
    }
}
