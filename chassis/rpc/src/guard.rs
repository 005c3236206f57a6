//! Stands before every service and treats a call from this process like one from outside.
use crate::{BoxFuture, BoxStream, Code, Cx, Error, Idempotency, MethodPolicy, Result, cx};
use futures_util::{FutureExt, StreamExt, stream};
use prost::Message;
use souk_identity::{Kind, LEEWAY, Principal, Verifier};
use souk_telemetry::{crash_point, panics};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

/// What a call may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest encoded request or response.
    pub message_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes_max: 4 * 1024 * 1024 }
    }
}

/// Checks every call to one service: token, policy, key, deadline, size; and keeps a panic inside one call.
#[derive(Debug)]
pub struct Guard {
    verifier: Arc<Verifier>,
    limits: Limits,
}

impl Guard {
    /// A guard that believes the tokens that `verifier` accepts.
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier, limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The call with its caller, if the method's policy admits it. What the call itself claims to be its
    /// caller does not count, only its token does.
    pub fn admit(&self, policy: &MethodPolicy, cx: Cx) -> Result<Cx> {
        let principal = self.principal(&cx)?;
        policy.authorise(principal.as_deref())?;
        match policy.idempotency {
            Idempotency::None => {}
            Idempotency::Optional => cx.key().map_or(Ok(()), cx::check_key)?,
            Idempotency::Required => cx.require_key().map(|_| ())?,
        }
        if cx.remaining().is_zero() {
            return Err(late());
        }
        Ok(cx.with_principal(principal))
    }

    /// A token that does not count is refused also where none is needed: its owner should hear of it.
    fn principal(&self, cx: &Cx) -> Result<Option<Arc<Principal>>> {
        let Some(token) = cx.token() else { return Ok(None) };
        let verified = self.verifier.verify(token);
        verified.map(Some).map_err(|why| cx::unauthenticated().with_source(why))
    }

    /// Runs a call that gives one answer.
    pub async fn unary<'a, Req, Resp>(
        &'a self,
        policy: &'static MethodPolicy,
        cx: Cx,
        request: Req,
        call: impl FnOnce(Cx, Req) -> BoxFuture<'a, Result<Resp>> + Send + 'a,
    ) -> Result<Resp>
    where
        Req: Message + 'a,
        Resp: Message,
    {
        let cx = self.admit(policy, cx)?;
        self.fits(&request, Code::ResourceExhausted)?;
        // A caller that is ready to wait for a settled answer gets that time on top.
        let allowed = policy.timeout + cx.wait().unwrap_or_default();
        let deadline = cx.deadline().min(Instant::now() + allowed);
        let cx = cx.with_deadline(deadline);
        crash_point!("rpc.call.before", "{}", policy.path);
        let response = self.run(policy, &cx, deadline, call, request).await;
        crash_point!("rpc.call.after", "{}", policy.path);
        let response = response.map_err(|error| of_ours(&cx, error))?;
        self.fits(&response, Code::Internal)?;
        Ok(response)
    }

    /// Opens a stream. The policy's timeout bounds the opening; the caller's deadline, and for people the
    /// expiry of their token, bound the whole. A service's stream outlives its token: connections age.
    pub async fn stream<'a, Req, Item>(
        &'a self,
        policy: &'static MethodPolicy,
        cx: Cx,
        request: Req,
        call: impl FnOnce(Cx, Req) -> BoxFuture<'a, Result<BoxStream<'static, Result<Item>>>> + Send + 'a,
    ) -> Result<BoxStream<'static, Result<Item>>>
    where
        Req: Message + 'a,
        Item: Message + 'static,
    {
        let cx = self.admit(policy, cx)?;
        self.fits(&request, Code::ResourceExhausted)?;
        let open_until = cx.deadline().min(Instant::now() + policy.timeout);
        let items = self.run(policy, &cx, open_until, call, request).await?;
        let (end, farewell) = self.end_of_stream(&cx);
        Ok(bounded(policy, cx, items, end, farewell, self.limits))
    }

    fn end_of_stream(&self, cx: &Cx) -> (Instant, Error) {
        let Ok(principal) = cx.principal() else { return (cx.deadline(), late()) };
        match principal.kind {
            Kind::Service => (cx.deadline(), late()),
            Kind::Guest | Kind::Customer | Kind::Staff => {
                let left = principal.expires.plus(LEEWAY).since(self.verifier.clock().now());
                let expiry = Instant::now() + left;
                if expiry < cx.deadline() { (expiry, cx::unauthenticated()) } else { (cx.deadline(), late()) }
            }
        }
    }

    /// The call itself, bounded in time, in its span, its panics caught.
    async fn run<'a, Req: 'a, T>(
        &'a self,
        policy: &'static MethodPolicy,
        cx: &Cx,
        until: Instant,
        call: impl FnOnce(Cx, Req) -> BoxFuture<'a, Result<T>> + Send + 'a,
        request: Req,
    ) -> Result<T> {
        let span = tracing::info_span!(
            "call",
            rpc.method = policy.path,
            request_id = cx.request_id(),
            trace_id = cx.trace().trace_id()
        );
        let inner = cx.clone();
        let work = caught(policy.path, async move { call(inner, request).await });
        let answer = async { timeout_at(until, work).await.unwrap_or_else(|_| Err(late())).map_err(tell) };
        answer.instrument(span).await
    }

    fn fits(&self, message: &impl Message, code: Code) -> Result<()> {
        fits(message.encoded_len(), self.limits.message_bytes_max, code)
    }
}

/// Refuses a message that is too large; `code` says whose fault that is.
pub(crate) fn fits(bytes: usize, bytes_max: usize, code: Code) -> Result<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("a message of {bytes} bytes is over the limit of {bytes_max}");
    Err(Error::new(code, "MESSAGE_TOO_LARGE", message))
}

pub(crate) fn late() -> Error {
    Error::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the call took longer than it was given")
}

/// Turns a panic into an INTERNAL error.
pub(crate) async fn caught<T>(place: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|payload| {
        panics::note(place, payload.as_ref());
        Err(Error::internal("a panic"))
    })
}

/// A caller who was admitted is not told that their token does not count: it is one of ours that somebody further on
/// did not take, for example because it grew old on its way. The next attempt has another.
fn of_ours(cx: &Cx, error: Error) -> Error {
    let is_known = cx.principal().is_ok();
    if is_known && error.reason() == Code::Unauthenticated.name() {
        return Error::unavailable("a service did not know another one").with_source(error);
    }
    error
}

/// What broke inside is logged here, with its whole story, unless the guard of a service further in did so;
/// refusals are ordinary answers.
fn tell(error: Error) -> Error {
    let broke_inside = matches!(error.code(), Code::Internal | Code::Unknown | Code::DataLoss);
    if !broke_inside || error.is_told() {
        return error;
    }
    tracing::error!(error.type = error.reason(), story = error.story(), "a call broke inside");
    error.told()
}

/// Ends `items` at `end` with `farewell`, at the first error, at the first panic and at an oversized item.
fn bounded<Item: Message + 'static>(
    policy: &'static MethodPolicy,
    cx: Cx,
    items: BoxStream<'static, Result<Item>>,
    end: Instant,
    farewell: Error,
    limits: Limits,
) -> BoxStream<'static, Result<Item>> {
    let next = move |items: Option<BoxStream<'static, Result<Item>>>| {
        let farewell = farewell.clone();
        async move {
            let mut items = items?;
            let next = caught(policy.path, async { items.next().await.transpose() });
            let next = timeout_at(end, next).await.unwrap_or(Err(farewell)).map_err(tell);
            let sized = next.and_then(|item| {
                let size = item.as_ref().map_or(0, Message::encoded_len);
                fits(size, limits.message_bytes_max, Code::Internal).map(|()| item)
            });
            match sized {
                Ok(item) => item.map(|item| (Ok(item), Some(items))),
                Err(error) => Some((Err(error), None)),
            }
        }
    };
    let span = tracing::info_span!("stream", rpc.method = policy.path, request_id = cx.request_id());
    stream::unfold(Some(items), next).map(move |item| span.in_scope(|| item)).boxed()
}
