//! What travels with a call besides its request.
use crate::{Code, Error, Result, Trace};
use souk_identity::Principal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a nested call leaves of its caller's time, so that the caller can still answer.
pub const CALL_MARGIN: Duration = Duration::from_millis(50);

/// The longest idempotency key.
pub const KEY_BYTES_MAX: usize = 255;

/// The circumstances of a call: who, until when, under which key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cx(Arc<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    deadline: Instant,
    token: Option<Arc<str>>,
    principal: Option<Arc<Principal>>,
    key: Option<Arc<str>>,
    trace: Trace,
    request_id: Arc<str>,
    wait: Option<Duration>,
}

impl Cx {
    /// A call that must be answered until `deadline`, by nobody in particular.
    pub fn new(deadline: Instant) -> Self {
        Self(Arc::new(Parts {
            deadline,
            token: None,
            principal: None,
            key: None,
            trace: Trace::none(),
            request_id: Arc::from(""),
            wait: None,
        }))
    }

    fn change(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Instant) -> Self {
        self.change(|parts| parts.deadline = deadline)
    }

    /// The same with a bearer token (or none).
    #[must_use]
    pub fn with_token(self, token: impl Into<Option<Arc<str>>>) -> Self {
        let token = token.into();
        self.change(|parts| parts.token = token)
    }

    /// The same with a checked caller. Whoever sets it vouches for it; a guard always sets it anew.
    #[must_use]
    pub fn with_principal(self, principal: impl Into<Option<Arc<Principal>>>) -> Self {
        let principal = principal.into();
        self.change(|parts| parts.principal = principal)
    }

    /// The same with an idempotency key (or none).
    #[must_use]
    pub fn with_key(self, key: impl Into<Option<Arc<str>>>) -> Self {
        let key = key.into();
        self.change(|parts| parts.key = key)
    }

    /// The same within a trace.
    #[must_use]
    pub fn with_trace(self, trace: Trace) -> Self {
        self.change(|parts| parts.trace = trace)
    }

    /// The same with the id under which the logs know the request.
    #[must_use]
    pub fn with_request_id(self, request_id: impl Into<Arc<str>>) -> Self {
        let request_id = request_id.into();
        self.change(|parts| parts.request_id = request_id)
    }

    /// The same with how long the caller is ready to wait for a settled answer.
    #[must_use]
    pub fn with_wait(self, wait: impl Into<Option<Duration>>) -> Self {
        let wait = wait.into();
        self.change(|parts| parts.wait = wait)
    }

    /// Until when the call must be answered.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// How much time is left; zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_duration_since(Instant::now())
    }

    /// The bearer token, unchecked.
    pub fn token(&self) -> Option<&Arc<str>> {
        self.0.token.as_ref()
    }

    /// The caller; UNAUTHENTICATED when nobody said who they are.
    pub fn principal(&self) -> Result<&Principal> {
        self.0.principal.as_deref().ok_or_else(unauthenticated)
    }

    /// The idempotency key as it came.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// The idempotency key; INVALID_ARGUMENT when there is none or it is not 1 to 255 visible ASCII
    /// characters.
    pub fn require_key(&self) -> Result<&str> {
        let missing = "this call needs an idempotency key of 1 to 255 visible ASCII characters";
        let key = self
            .key()
            .ok_or_else(|| Error::new(Code::InvalidArgument, "IDEMPOTENCY_KEY_REQUIRED", missing))?;
        check_key(key).map(|()| key)
    }

    /// The id under which the logs know the request; may be empty.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The trace that the call belongs to.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// How long the caller is ready to wait for a settled answer.
    pub fn wait(&self) -> Option<Duration> {
        self.0.wait
    }

    /// For a nested call that a service makes with its own `token`: the same trace and request id, a little
    /// less time, no key and no caller.
    pub fn for_call(&self, token: impl Into<Option<Arc<str>>>) -> Cx {
        let margin = CALL_MARGIN.min(self.remaining() / 10);
        let deadline = self.0.deadline.checked_sub(margin).unwrap_or(self.0.deadline);
        Cx(Arc::new(Parts {
            deadline,
            token: token.into(),
            principal: None,
            key: None,
            trace: self.0.trace.clone(),
            request_id: Arc::clone(&self.0.request_id),
            wait: None,
        }))
    }
}

pub(crate) fn unauthenticated() -> Error {
    Error::new(Code::Unauthenticated, "UNAUTHENTICATED", "a valid token is needed")
}

/// Whether an idempotency key has an acceptable form.
pub(crate) fn check_key(key: &str) -> Result<()> {
    let acceptable = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    match acceptable {
        true => Ok(()),
        false => Err(Error::new(
            Code::InvalidArgument,
            "INVALID_IDEMPOTENCY_KEY",
            "an idempotency key must be 1 to 255 visible ASCII characters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_nested_call_leaves_its_caller_time_to_answer() {
        let now = Instant::now();
        let cx = Cx::new(now + Duration::from_secs(5)).with_request_id("r1").with_key(Arc::from("k"));
        let nested = cx.for_call(Arc::from("token"));
        assert_eq!(cx.deadline() - nested.deadline(), CALL_MARGIN);
        assert_eq!((nested.request_id(), nested.key()), ("r1", None));
        let short = Cx::new(now + Duration::from_millis(20)).for_call(None);
        assert_eq!(short.remaining(), Duration::from_millis(18), "a short time is shared, not used up");
    }

    #[test]
    fn a_key_is_checked_when_it_is_required() {
        let cx = Cx::new(Instant::now());
        assert_eq!(
            cx.require_key().err().map(|e| e.reason().to_owned()),
            Some("IDEMPOTENCY_KEY_REQUIRED".into())
        );
        for (key, good) in [
            ("a", true),
            (&"k".repeat(255), true),
            (&"k".repeat(256), false),
            ("", false),
            ("a b", false),
            ("ä", false),
            ("a\n", false),
        ] {
            let cx = cx.clone().with_key(Arc::from(key));
            assert_eq!(cx.require_key().is_ok(), good, "{key:?}");
        }
        assert_eq!(cx.principal().err().map(|e| e.code()), Some(Code::Unauthenticated));
    }
}
