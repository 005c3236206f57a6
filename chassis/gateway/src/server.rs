//! The server: HTTP/1.1 and HTTP/2 on one port, every limit set.
use crate::body::AnswerBody;
use crate::framing::Watched;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use souk_rpc::listen;
use souk_telemetry::{Stop, task};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// What a server puts up with. The limits of the protocols that are not here are constants: nobody should
/// loosen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Open connections; further ones wait in the kernel's backlog.
    pub connections_max: u32,
    /// How long a connection may be open before its first request is there.
    pub first_request_within: Duration,
    /// How long the head of an HTTP/1.1 request may take; an idle connection ends after this time too.
    pub head_within: Duration,
    /// How long a peer may take no byte of an answer.
    pub write_stall_max: Duration,
    /// How old a connection gets before its client is asked to open a new one, so that load moves to new
    /// servers. Each connection adds some seconds of its own, lest all come back at once.
    pub connection_age_max: Duration,
    /// How long requests may go on after their connection was asked to end.
    pub grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            first_request_within: Duration::from_secs(10),
            head_within: Duration::from_secs(5),
            write_stall_max: Duration::from_secs(10),
            connection_age_max: Duration::from_secs(300),
            grace: Duration::from_secs(20),
        }
    }
}

/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Bytes of a request's head, and of the buffer for either direction.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Streams that an HTTP/2 connection may have open at once.
const STREAMS_MAX: u32 = 256;
/// Streams reset because of the peer's own errors ("MadeYouReset") before the connection is ended. Without
/// a value hyper applies no limit at all.
const ERROR_RESETS_MAX: usize = 1_024;
/// Streams reset by the peer before we saw them ("rapid reset") before the connection is ended.
const PENDING_RESETS_MAX: usize = 20;
const FRAME_BYTES_MAX: u32 = 16 * 1024;
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// By how many seconds the ages of connections differ at most.
const AGE_SPREAD_S: u64 = 61;

/// Serves one kind of answers.
#[derive(Clone)]
pub(crate) struct Server<F> {
    handle: F,
    limits: ServerLimits,
    connections: Arc<AtomicU64>,
}

impl<F, Fut> Server<F>
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    pub(crate) fn new(limits: ServerLimits, handle: F) -> Self {
        Self { handle, limits, connections: Arc::default() }
    }

    /// Accepts connections until the stop is requested, then lets the requests under way come to their end.
    pub(crate) async fn serve(self, listener: TcpListener, stop: Stop) {
        let connections_max = self.limits.connections_max;
        let connection = |io| {
            let (server, stop) = (self.clone(), stop.clone());
            async move { server.serve_connection(io, stop).await }
        };
        listen::serve(listener, "http.connection", connections_max, stop.clone(), connection).await;
    }

    /// Serves one connection until it ends or the stop is requested.
    pub(crate) async fn serve_connection<I>(&self, io: I, stop: Stop)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.limits;
        let asked = Arc::new(AtomicBool::new(false));
        let (handle, mark, ending) = (self.handle.clone(), Arc::clone(&asked), Arc::new(stop.clone()));
        let service = service_fn(move |request| {
            mark.store(true, Ordering::Relaxed);
            let (answer, ending) = (handle(request), Arc::clone(&ending));
            async move { Ok::<_, Infallible>(answer.await.map(|body| body.until(&ending))) }
        });
        let builder = builder(limits);
        let io = TokioIo::new(Watched::new(io, limits.write_stall_max));
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            ended = connection.as_mut() => return note_end(ended),
            () = silent(limits.first_request_within, asked) => return,
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
        let spread_s = self.connections.fetch_add(1, Ordering::Relaxed).wrapping_mul(37) % AGE_SPREAD_S;
        self.limits.connection_age_max + Duration::from_secs(spread_s)
    }
}

/// Runs what HTTP/2 needs beside the connection as tasks of our kind.
#[derive(Clone, Copy)]
pub(crate) struct Tasks(pub(crate) &'static str);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        task::spawn(task::Kind::Request, self.0, future).detach();
    }
}

/// Not set: `pipeline_flush`. It keeps answers back while bytes are left to read, for ever when the connection
/// ends at that point.
fn builder(limits: ServerLimits) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(Tasks("http.request"));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_header_list_size(BUFFER_BYTES_MAX as u32)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Returns if no request came in time. The protocol is found out by reading, which has no limit of its own.
async fn silent(within: Duration, asked: Arc<AtomicBool>) {
    sleep(within).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Connections break all the time; only who debugs wants to hear of it.
fn note_end<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(why) = ended {
        tracing::debug!(error = %why, "a connection ended early");
    }
}
