//! The server: gRPC on any connection, every limit of HTTP/2 set.
use super::body::ResponseBody;
use super::frame::Messages;
use super::{CONTENT_TYPE, HEADER_BYTES_MAX, STREAM_MARK, Tasks, metadata, status};
use crate::{BoxStream, ByteService, Bytes, Code, Cx, Error, Reply, Result, guard, listen};
use futures_util::{StreamExt, stream};
use http::header::{ALLOW, CONTENT_TYPE as CONTENT_TYPE_NAME};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use souk_telemetry::Stop;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// What a server puts up with. The values of HTTP/2 that are not here are constants: nobody should loosen
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open connections; further ones wait in the kernel's backlog.
    pub connections_max: u32,
    /// How long a connection may be silent after it was opened, before its first call.
    pub first_call_within: Duration,
    /// How long a request may take to arrive, whatever its deadline.
    pub request_within: Duration,
    /// How old a connection gets before its client is asked to open a new one, so that load moves to new
    /// servers. Each connection adds some seconds of its own, lest all come back at once.
    pub connection_age_max: Duration,
    /// How long calls may go on after their connection was asked to end.
    pub grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            first_call_within: Duration::from_secs(10),
            request_within: Duration::from_secs(10),
            connection_age_max: Duration::from_secs(300),
            grace: Duration::from_secs(20),
        }
    }
}

/// Streams that a connection may have open at once.
const STREAMS_MAX: u32 = 256;
/// Streams reset because of the peer's own errors ("MadeYouReset") before the connection is ended. Without
/// a value hyper applies no limit at all.
const ERROR_RESETS_MAX: usize = 1_024;
/// Streams reset by the peer before we saw them ("rapid reset") before the connection is ended.
const PENDING_RESETS_MAX: usize = 20;
const FRAME_BYTES_MAX: u32 = 16 * 1024;
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer waits in memory for a slow reader, per stream.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// By how many seconds the ages of connections differ at most.
const AGE_SPREAD_S: u64 = 61;

/// Serves services over gRPC. Cheap to clone.
#[derive(Clone)]
pub struct GrpcServer(Arc<Shared>);

struct Shared {
    services: HashMap<String, Arc<dyn ByteService>>,
    limits: ServerLimits,
    connections: AtomicU64,
}

impl GrpcServer {
    /// A server for these services, each of which stands behind its own guard.
    pub fn new(services: impl IntoIterator<Item = Arc<dyn ByteService>>) -> Self {
        Self::with_limits(services, ServerLimits::default())
    }

    /// The same with other limits.
    pub fn with_limits(
        services: impl IntoIterator<Item = Arc<dyn ByteService>>,
        limits: ServerLimits,
    ) -> Self {
        let services = services.into_iter().map(|service| (service.service().to_owned(), service)).collect();
        Self(Arc::new(Shared { services, limits, connections: AtomicU64::new(0) }))
    }

    /// Accepts connections until the stop is requested, then lets the calls under way come to their end.
    /// Streams end as UNAVAILABLE when nothing is ready: they may be endless, and their readers go on elsewhere.
    pub async fn serve(&self, listener: TcpListener, stop: Stop) {
        let connection = |io| {
            let (server, stop) = (self.clone(), stop.clone());
            async move { server.serve_connection(io, stop).await }
        };
        let connections_max = self.0.limits.connections_max;
        listen::serve(listener, "grpc.connection", connections_max, stop.clone(), connection).await;
    }

    /// Serves one connection until it ends or the stop is requested.
    pub async fn serve_connection(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        stop: Stop,
    ) {
        let limits = self.0.limits;
        let called = Arc::new(AtomicBool::new(false));
        let (shared, mark, ending) = (Arc::clone(&self.0), Arc::clone(&called), stop.clone());
        let service = service_fn(move |request| {
            mark.store(true, Ordering::Relaxed);
            let (shared, ending) = (Arc::clone(&shared), ending.clone());
            async move { Ok::<_, Infallible>(shared.answer(request, ending).await) }
        });
        let mut connection = pin!(builder().serve_connection(TokioIo::new(io), service));
        tokio::select! {
            ended = connection.as_mut() => return note_end(ended),
            () = silent(limits.first_call_within, called) => return,
            () = stop.requested() => {}
            () = sleep(self.next_age()) => {}
        }
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = timeout(limits.grace, connection).await {
            note_end(ended);
        }
    }

    fn next_age(&self) -> Duration {
        // Consecutive connections get ages far apart; randomness would add nothing.
        let spread_s = self.0.connections.fetch_add(1, Ordering::Relaxed).wrapping_mul(37) % AGE_SPREAD_S;
        self.0.limits.connection_age_max + Duration::from_secs(spread_s)
    }
}

fn builder() -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks("grpc.call"));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Returns if no call came in time; a connection that calls nothing only takes a place.
async fn silent(within: Duration, called: Arc<AtomicBool>) {
    sleep(within).await;
    if called.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Connections break all the time; only who debugs wants to hear of it.
fn note_end(ended: hyper::Result<()>) {
    if let Err(why) = ended {
        tracing::debug!(error = %why, "a connection ended early");
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>, stop: Stop) -> Response<ResponseBody> {
        if let Some(refusal) = refusal(&request) {
            return refusal;
        }
        match self.call(request).await {
            Ok(Reply::One(message)) => respond(ResponseBody::One(message)),
            Ok(Reply::Many(items)) => {
                let mut response = respond(ResponseBody::Many(until_stop(items, stop)));
                response.headers_mut().insert(STREAM_MARK, HeaderValue::from_static("1"));
                response
            }
            Err(error) => {
                let mut response = respond(ResponseBody::Empty);
                response.headers_mut().extend(status::write(&error));
                response
            }
        }
    }

    async fn call(&self, request: Request<Incoming>) -> Result<Reply> {
        let now = Instant::now();
        let cx = metadata::read(request.headers(), now)?;
        let (service, method) = self.route(request.uri().path())?;
        let arrive_until = cx.deadline().min(now + self.limits.request_within);
        let method = method.to_owned();
        let message = timeout_at(arrive_until, single(request.into_body()))
            .await
            .unwrap_or_else(|_| Err(guard::late()))?;
        let deadline = cx.deadline();
        let call = guard::caught("grpc.call", run(service, method, cx, message));
        timeout_at(deadline, call).await.unwrap_or_else(|_| Err(guard::late()))
    }

    fn route<'p>(&self, path: &'p str) -> Result<(Arc<dyn ByteService>, &'p str)> {
        let (name, method) =
            path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or((path, ""));
        let unknown = || {
            let name: String = name.chars().take(100).collect();
            Error::new(Code::Unimplemented, "UNKNOWN_SERVICE", format!("there is no service {name} here"))
        };
        self.services.get(name).map(|service| (Arc::clone(service), method)).ok_or_else(unknown)
    }
}

/// The stream, cut off where it waits when the stop is requested.
fn until_stop(items: BoxStream<'static, Result<Bytes>>, stop: Stop) -> BoxStream<'static, Result<Bytes>> {
    let cut = stream::unfold(Some((items, stop)), |open| async move {
        let (mut items, stop) = open?;
        tokio::select! {
            biased;
            item = items.next() => item.map(|item| (item, Some((items, stop)))),
            () = stop.requested() => Some((Err(Error::unavailable("the server is stopping; go on elsewhere")), None)),
        }
    });
    cut.boxed()
}

/// Keeps the service alive for the call, and a panic while the call is made inside the future.
async fn run(service: Arc<dyn ByteService>, method: String, cx: Cx, message: Bytes) -> Result<Reply> {
    service.call(&method, cx, message).await
}

/// The one message of a request's body.
async fn single(body: Incoming) -> Result<Bytes> {
    let one =
        || Error::new(Code::InvalidArgument, "MALFORMED_REQUEST", "a request must hold exactly one message");
    let mut messages = Messages::new(body, Code::InvalidArgument);
    let message = messages.next().await?.ok_or_else(one)?;
    match messages.next().await? {
        None => Ok(message),
        Some(_) => Err(one()),
    }
}

/// What is not a gRPC call at all gets an HTTP answer.
fn refusal(request: &Request<Incoming>) -> Option<Response<ResponseBody>> {
    let plain = |status| {
        let mut response = Response::new(ResponseBody::Empty);
        *response.status_mut() = status;
        response
    };
    if request.method() != Method::POST {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    let kind = request.headers().get(CONTENT_TYPE_NAME).map(HeaderValue::as_bytes);
    let is_grpc = matches!(kind, Some(b"application/grpc" | b"application/grpc+proto"));
    (!is_grpc).then(|| plain(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

fn respond(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE_NAME, HeaderValue::from_static(CONTENT_TYPE));
    response
}
