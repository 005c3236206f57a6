//! One pipeline for every request.
use crate::body::{self, AnswerBody, Unread};
use crate::headers::{self, MediaType};
use crate::memo::Memo;
use crate::plan::{DOCS_PATH, Endpoint, Plan, StartError, Target};
use crate::problem::{Problem, Statuses};
use crate::route::Found;
use crate::server::{Server, ServerLimits};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Body;
use souk_kernel::{Clock, Entropy, Uuid};
use souk_rpc::{BoxStream, Cx, Error, Peers, Reply, Trace};
use souk_telemetry::{Stop, panics};
use souk_transcode::Schema;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest body.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_within: Duration,
    /// How long a stream may be open; clients come back where they left off.
    pub stream_within: Duration,
    /// What the connections may cost.
    pub server: ServerLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1024 * 1024,
            body_within: Duration::from_secs(10),
            stream_within: Duration::from_secs(300),
            server: ServerLimits::default(),
        }
    }
}

/// What the gateway is told besides the API.
#[derive(Clone)]
pub struct Options {
    /// The API's name in its documentation.
    pub title: String,
    /// The API's version in its documentation.
    pub version: String,
    /// Tells whether a method's end has come.
    pub clock: Arc<dyn Clock>,
    /// Request ids and traces are made of it.
    pub entropy: Arc<dyn Entropy>,
    /// What a request may cost.
    pub limits: Limits,
}

/// Serves an API that is only known by its descriptors. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    schema: Schema,
    plan: Plan,
    statuses: Statuses,
    peers: Peers,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: Limits,
    openapi: Bytes,
    docs: Bytes,
    memo: Memo,
}

/// What is known of a request before anything is decided.
struct Envelope {
    started: Instant,
    request_id: Arc<str>,
    trace: Trace,
}

/// What the log line will say.
struct Note<'g> {
    endpoint: Option<&'g Endpoint>,
    has_token: bool,
}

impl Gateway {
    /// A gateway for the API in `descriptors` (a `FileDescriptorSet`) whose services `peers` knows. Fails when
    /// the contract cannot be served: the texts name the method at fault.
    pub fn new(descriptors: &[u8], peers: Peers, options: Options) -> Result<Self, StartError> {
        let schema = Schema::from_bytes(descriptors).map_err(StartError::Schema)?;
        let plan = Plan::new(&schema)?;
        Ok(Self(Arc::new(Inner {
            statuses: Statuses::new(&schema),
            openapi: crate::openapi::document(&schema, &options.title, &options.version).into(),
            docs: crate::docs::page(&schema, &options.title, &options.version).into(),
            clock: options.clock,
            entropy: options.entropy,
            limits: options.limits,
            memo: Memo::new(),
            schema,
            plan,
            peers,
        })))
    }

    /// Accepts connections (HTTP/1.1 and HTTP/2 without TLS) until the stop is requested, then lets the
    /// requests under way come to their end. Streams end with the problem UNAVAILABLE when nothing is ready.
    pub fn serve(&self, listener: TcpListener, stop: Stop) -> impl Future<Output = ()> + Send + use<> {
        self.server().serve(listener, stop)
    }

    /// Serves one connection, wherever it comes from.
    pub async fn serve_connection<I>(&self, io: I, stop: Stop)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        self.server().serve_connection(io, stop).await;
    }

    fn server(
        &self,
    ) -> Server<
        impl Fn(Request<hyper::body::Incoming>) -> futures_util::future::BoxFuture<'static, Response<AnswerBody>>
        + Clone
        + use<>,
    > {
        let gateway = self.clone();
        Server::new(self.0.limits.server, move |request| {
            let gateway = gateway.clone();
            async move { gateway.handle(request).await }.boxed()
        })
    }

    /// The API's OpenAPI 3.1 document.
    pub fn openapi(&self) -> &[u8] {
        &self.0.openapi
    }

    /// Answers one request; needs no socket.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let (head, body) = request.into_parts();
        let envelope = self.0.envelope(&head);
        let mut note = Note { endpoint: None, has_token: false };
        let answer = AssertUnwindSafe(self.answer(&head, body, &envelope, &mut note)).catch_unwind().await;
        let answer = answer.unwrap_or_else(|payload| {
            panics::note("gateway", payload.as_ref());
            Err(Problem::internal())
        });
        finish(&head, &envelope, &note, answer)
    }

    async fn answer<'g, B>(
        &'g self,
        head: &Parts,
        body: B,
        envelope: &Envelope,
        note: &mut Note<'g>,
    ) -> Result<Response<AnswerBody>, Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin,
    {
        let inner = &*self.0;
        check_host(head)?;
        let (number, values) = match inner.route(head)? {
            Routed::Call(number, values) => (number, values),
            Routed::Page(response) => return Ok(response),
        };
        let endpoint = &inner.plan.endpoints[number];
        note.endpoint = Some(endpoint);
        inner.check_lifetime(endpoint)?;
        let token = headers::token(&head.headers)?;
        note.has_token = token.is_some();
        if token.is_none() && endpoint.needs_token {
            return Err(headers::token_wanted());
        }
        let raw = endpoint.raw();
        let media_type = match raw {
            Some(_) => headers::uncompressed(&head.headers).map(|()| None)?,
            None => Some(headers::content_type(&head.headers)?),
        };
        let subtype = if endpoint.streaming { "x-ndjson" } else { "json" };
        if !headers::accepts(&head.headers, subtype) {
            return Err(headers::not_acceptable(&format!("application/{subtype}")));
        }
        let body = inner.read(body, raw.map_or(usize::MAX, |raw| raw.bytes_max)).await?;
        if media_type == Some(MediaType::Missing) && !body.is_empty() {
            return Err(headers::missing_content_type());
        }
        let mut message = endpoint.encode(&inner.schema, &values, head.uri.query(), &body)?;
        if let Some(raw) = raw {
            raw.embed_headers(&inner.schema, &head.headers, &mut message)?;
        }
        let key = headers::key(&head.headers, endpoint.idempotency)?;
        let wait = headers::wait(&head.headers);
        let cx = Cx::new(endpoint.deadline(envelope.started, wait, inner.limits.stream_within))
            .with_token(token)
            .with_key(key)
            .with_wait(wait)
            .with_trace(envelope.trace.clone())
            .with_request_id(Arc::clone(&envelope.request_id));
        let open_until = envelope.started + endpoint.timeout + wait.unwrap_or_default();
        let reply = inner.call(endpoint, cx, message.into(), open_until).await;
        let reply = reply.map_err(|error| inner.refused(&error, envelope))?;
        let mut response = match reply {
            Answer::One(bytes) => inner.one(number, &bytes, envelope)?,
            Answer::Many(items) => self.many(number, items, envelope),
        };
        if let Some(wait) = wait {
            let applied = HeaderValue::try_from(format!("wait={}", wait.as_secs()));
            response
                .headers_mut()
                .extend(applied.ok().map(|value| (HeaderName::from_static("preference-applied"), value)));
        }
        Ok(response)
    }

    /// A stream as lines of JSON. An error on the way is the last line.
    fn many(
        &self,
        number: usize,
        items: BoxStream<'static, Result<Bytes, Error>>,
        envelope: &Envelope,
    ) -> Response<AnswerBody> {
        let (inner, request_id) = (Arc::clone(&self.0), Arc::clone(&envelope.request_id));
        let lines = stream::unfold(Some(items), move |items| {
            let (inner, request_id) = (Arc::clone(&inner), Arc::clone(&request_id));
            async move {
                let mut items = items?;
                let (line, more) = inner.line(number, items.next().await?, &request_id);
                Some((line, more.then_some(items)))
            }
        });
        let stopping = Error::unavailable("the server is stopping; go on elsewhere");
        let (farewell, _) = self.0.line(number, Err(stopping), &envelope.request_id);
        let mut response = Response::new(AnswerBody::lines(lines.boxed(), farewell));
        *response.status_mut() = inner_status(&self.0, number);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        response
    }
}

fn inner_status(inner: &Inner, number: usize) -> StatusCode {
    inner.plan.endpoints[number].success
}

/// What a path leads to.
enum Routed {
    Call(usize, Vec<String>),
    Page(Response<AnswerBody>),
}

/// What a service gave.
enum Answer {
    One(Bytes),
    Many(BoxStream<'static, Result<Bytes, Error>>),
}

impl Endpoint {
    /// Until when the call must be answered, or the stream be over.
    fn deadline(&self, started: Instant, wait: Option<Duration>, stream_within: Duration) -> Instant {
        match self.streaming {
            true => started + stream_within,
            false => started + self.timeout + wait.unwrap_or_default(),
        }
    }
}

impl Inner {
    fn envelope(&self, head: &Parts) -> Envelope {
        // All that is needed at once: each time costs a call of the system.
        let mut random = [0u8; 34];
        self.entropy.fill(&mut random);
        let (trace_id, rest) = random.split_at(16);
        let (span_id, id) = rest.split_at(8);
        let (trace_id, span_id) =
            (trace_id.try_into().unwrap_or_default(), span_id.try_into().unwrap_or_default());
        let request_id = headers::request_id(&head.headers).map(Arc::from).unwrap_or_else(|| {
            let id = Uuid::v7(self.clock.now().unix_ms(), id.try_into().unwrap_or_default());
            Arc::from(["req_", &id.to_base32()].concat())
        });
        let trace = match headers::traceparent(&head.headers).and_then(Trace::parse) {
            Some(caller) => caller.at_span(span_id),
            None => Trace::from_random(trace_id, span_id),
        };
        Envelope { started: Instant::now(), request_id, trace }
    }

    fn route(&self, head: &Parts) -> Result<Routed, Problem> {
        match self.plan.routes.find(head.method.as_str(), head.uri.path()) {
            Found::Route { target, values } => Ok(match self.plan.target(target) {
                Target::Call(number) => Routed::Call(number, values),
                Target::OpenApi => Routed::Page(page(&self.openapi, "application/json")),
                Target::Docs => Routed::Page(page(&self.docs, "text/html; charset=utf-8")),
            }),
            Found::OtherMethods(allowed) if head.method == Method::OPTIONS => {
                let mut response = Response::new(AnswerBody::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                let allow = HeaderValue::try_from(allowed.join(", "));
                response.headers_mut().extend(allow.ok().map(|value| (header::ALLOW, value)));
                Ok(Routed::Page(response))
            }
            Found::OtherMethods(allowed) => Err(method_not_allowed(&allowed.join(", "))),
            Found::BadEncoding(variable) => Err(Problem::field(variable, "is not well percent-encoded")),
            // These never name a resource, so what they may be called on instead is not known.
            Found::Nothing if matches!(head.method, Method::CONNECT | Method::TRACE) => {
                Err(method_not_allowed("GET, HEAD, OPTIONS"))
            }
            // Who types the address alone is shown what there is.
            Found::Nothing if head.uri.path() == "/" && matches!(head.method, Method::GET | Method::HEAD) => {
                Ok(Routed::Page(see_docs()))
            }
            Found::Nothing => {
                Err(Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this address"))
            }
        }
    }

    fn check_lifetime(&self, endpoint: &Endpoint) -> Result<(), Problem> {
        match endpoint.ending.sunset {
            Some(sunset) if sunset <= self.clock.now() => {
                Err(Problem::new(StatusCode::GONE, "GONE", "this call was retired; its successor is linked"))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn read<B>(&self, body: B, own_max: usize) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let bytes_max = self.limits.body_bytes_max.min(own_max);
        let read = timeout(self.limits.body_within, body::read(body, bytes_max)).await;
        let problem = match read {
            Ok(Ok(bytes)) => return Ok(bytes),
            Ok(Err(Unread::TooLarge)) => {
                let detail = format!("a body may have at most {bytes_max} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", detail)
            }
            Ok(Err(Unread::Broken)) => Problem::bad_request("MALFORMED_REQUEST", "the body cannot be read"),
            Err(_) => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                "the body took too long to arrive",
            ),
        };
        Err(problem.closing())
    }

    /// Calls the service; answers in time even if the service does not.
    async fn call(
        &self,
        endpoint: &Endpoint,
        cx: Cx,
        message: Bytes,
        until: Instant,
    ) -> Result<Answer, Error> {
        let unavailable = || Error::unavailable(format!("nobody answers {} at the moment", endpoint.service));
        let peer = self.peers.bytes(&endpoint.service).ok_or_else(unavailable)?;
        let call = async {
            let reply: Reply = peer.call(&endpoint.method, cx, message).await?;
            match endpoint.streaming {
                true => Ok(Answer::Many(reply.many())),
                false => reply.one().await.map(Answer::One),
            }
        };
        timeout_at(until, call).await.unwrap_or_else(|_| Err(late()))
    }

    /// The problem for what a service said. Its guard has told the log what broke inside; what only shows here,
    /// such as a peer that cannot be reached, is told here.
    fn refused(&self, error: &Error, envelope: &Envelope) -> Problem {
        let problem = Problem::from_error(error, &self.statuses);
        if problem.status().is_server_error() && !error.is_told() {
            tracing::warn!(
                request_id = &*envelope.request_id,
                error.type = error.reason(),
                story = error.story(),
                "a call failed"
            );
        }
        problem
    }

    fn one(
        &self,
        number: usize,
        reply: &Bytes,
        envelope: &Envelope,
    ) -> Result<Response<AnswerBody>, Problem> {
        let endpoint = &self.plan.endpoints[number];
        let json = self.json(number, reply).map_err(|fault| {
            log_unwritable(endpoint, &envelope.request_id, fault);
            Problem::internal()
        })?;
        let has_content = endpoint.success != StatusCode::NO_CONTENT;
        let body = if has_content { AnswerBody::full(json) } else { AnswerBody::empty() };
        let mut response = Response::new(body);
        *response.status_mut() = endpoint.success;
        if has_content {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(response)
    }

    /// The reply as JSON. What everybody may ask for is asked for again, so it is remembered; what is somebody's
    /// own is not kept any longer than it takes to answer.
    fn json(&self, number: usize, reply: &Bytes) -> Result<Bytes, souk_transcode::WireFault> {
        let endpoint = &self.plan.endpoints[number];
        let place = Memo::place(reply).filter(|_| !endpoint.needs_token);
        if let Some(json) = place.as_ref().and_then(|place| self.memo.recall(place, number, reply)) {
            return Ok(json);
        }
        let mut json = Vec::new();
        endpoint.decode(&self.schema, reply, &mut json)?;
        let json = Bytes::from(json);
        if let Some(place) = &place {
            self.memo.keep(place, number, reply, &json);
        }
        Ok(json)
    }

    /// One line of a stream, and whether more may follow.
    fn line(&self, number: usize, item: Result<Bytes, Error>, request_id: &Arc<str>) -> (Bytes, bool) {
        let endpoint = &self.plan.endpoints[number];
        let mut line = Vec::new();
        let problem = match item {
            Ok(bytes) => match endpoint.decode(&self.schema, &bytes, &mut line) {
                Ok(()) => None,
                Err(fault) => {
                    log_unwritable(endpoint, request_id, fault);
                    Some(Problem::internal())
                }
            },
            Err(error) => Some(Problem::from_error(&error, &self.statuses)),
        };
        if let Some(problem) = &problem {
            line.extend_from_slice(b"{\"error\":");
            line.extend_from_slice(&problem.to_json(request_id));
            line.push(b'}');
        }
        line.push(b'\n');
        (line.into(), problem.is_none())
    }
}

fn late() -> Error {
    Error::new(
        souk_rpc::Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the call took longer than it was given",
    )
}

fn log_unwritable(endpoint: &Endpoint, request_id: &str, fault: souk_transcode::WireFault) {
    tracing::error!(request_id, route = endpoint.template, story = %fault, "a response could not be written as JSON");
}

fn method_not_allowed(allow: &str) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", format!("this address allows {allow}"))
        .with_header(header::ALLOW, allow)
}

/// RFC 9112: exactly one host in HTTP/1.1, and none of doubtful meaning in any version.
fn check_host(head: &Parts) -> Result<(), Problem> {
    let hosts = head.headers.get_all(header::HOST).iter().count();
    let missing = head.version == Version::HTTP_11 && hosts == 0;
    if missing || hosts > 1 {
        return Err(
            Problem::bad_request("MALFORMED_REQUEST", "a request needs exactly one header Host").closing()
        );
    }
    Ok(())
}

fn see_docs() -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(DOCS_PATH));
    response
}

fn page(bytes: &Bytes, kind: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::full(bytes.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if kind.starts_with("text/html") {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    response
}

/// Adds what every answer carries and writes the log line.
fn finish(
    head: &Parts,
    envelope: &Envelope,
    note: &Note<'_>,
    answer: Result<Response<AnswerBody>, Problem>,
) -> Response<AnswerBody> {
    let reason = answer.as_ref().err().map(|problem| problem.reason().to_owned());
    let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
    let closes = chunked || answer.as_ref().is_err_and(Problem::closes);
    let mut response = answer.unwrap_or_else(|problem| problem.into_response(&envelope.request_id));
    let failed = response.status().as_u16() >= 400;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if let Ok(id) = HeaderValue::from_str(&envelope.request_id) {
        headers.insert(headers::REQUEST_ID, id);
    }
    if failed || note.has_token {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if closes && head.version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(endpoint) = note.endpoint {
        headers.extend(endpoint.ending.headers.iter().cloned());
    }
    tracing::info!(
        method = log_method(&head.method),
        route = note.endpoint.map_or("-", |endpoint| endpoint.template.as_str()),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(envelope.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        request_id = &*envelope.request_id,
        trace_id = envelope.trace.trace_id(),
        error.type = reason,
        "request"
    );
    if head.method == Method::HEAD { without_body(response) } else { response }
}

/// Methods are labels: a closed set, whatever a client invents.
fn log_method(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("_OTHER")
}

fn without_body(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| AnswerBody::empty())
}
