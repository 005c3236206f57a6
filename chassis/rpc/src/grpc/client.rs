//! The client: one connection per address, opened at the first call and again after it was lost. A call is two
//! steps of two tasks, the caller's and the connection's; nothing is started for it.
use super::body::Arriving;
use super::frame::{self, Messages};
use super::{CONTENT_TYPE, HEADER_BYTES_MAX, STREAM_MARK, metadata, status};
use crate::{BoxFuture, BoxStream, ByteService, Bytes, Code, Cx, Error, Reply, Result, guard};
use futures_util::future::{FutureExt, Shared};
use futures_util::{StreamExt, stream};
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong, RecvStream};
use http::header::{CONTENT_TYPE as CONTENT_TYPE_NAME, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use souk_telemetry::task;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long opening a connection may take.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer may be on its way before it is read, and of all answers of a connection. The largest
/// message takes a few rounds; one of ordinary size never waits for room.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 5 * 1024 * 1024;
/// The largest frame of an answer. We chose this peer, and fewer frames cost less.
const FRAME_BYTES_MAX: u32 = 256 * 1024;
/// A request that was not sent because its connection was about to end is sent once more on a new one.
const SENDS_MAX: u32 = 2;

/// A connection's two directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection of whatever kind.
pub type BoxIo = Box<dyn Io>;

/// Opens a connection to the one address that it knows. Injected, so that a simulation brings its own network.
pub type Connector = Arc<dyn Fn() -> BoxFuture<'static, io::Result<BoxIo>> + Send + Sync>;

/// Calls the services of one address, over one connection. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct GrpcChannel {
    service: Arc<str>,
    line: Arc<Line>,
}

struct Line {
    authority: String,
    connector: Connector,
    link: Mutex<Option<Link>>,
}

/// A connection that is being opened or was opened; everybody who needs it waits for the same one.
type Link = Shared<BoxFuture<'static, Result<Sender, Error>>>;

/// Puts requests on a connection.
#[derive(Clone)]
struct Sender {
    requests: SendRequest<Bytes>,
    ended: Arc<AtomicBool>,
}

/// Why there is no answer.
enum Failure {
    /// Nothing of the request was looked at, so that it may be sent again.
    Untouched(h2::Error),
    Broken(h2::Error),
}

impl Sender {
    async fn send(self, request: Request<()>, message: Bytes) -> Result<Response<RecvStream>, Failure> {
        // A connection that takes no more requests has not seen this one.
        let mut requests = self.requests.ready().await.map_err(Failure::Untouched)?;
        let (response, mut body) = requests.send_request(request, false).map_err(Failure::Untouched)?;
        // If the stream ended meanwhile, the response says why.
        let _ = body.send_data(message, true);
        response.await.map_err(|why| match is_untouched(&why) {
            true => Failure::Untouched(why),
            false => Failure::Broken(why),
        })
    }
}

impl GrpcChannel {
    /// A channel that calls `service` at whatever `connector` connects to. `authority` is what the peer is
    /// told it was called as, for example `order:8081`.
    pub fn new(service: &str, authority: &str, connector: Connector) -> Self {
        let line = Line { authority: authority.to_owned(), connector, link: Mutex::new(None) };
        Self { service: Arc::from(service), line: Arc::new(line) }
    }

    /// A channel that calls `service` over TCP at `address` (`host:port`, resolved at each connect).
    pub fn tcp(service: &str, address: &str) -> Self {
        let target: Arc<str> = Arc::from(address);
        let connector: Connector = Arc::new(move || Box::pin(connect_tcp(Arc::clone(&target))));
        Self::new(service, address, connector)
    }

    /// A channel for another service at the same address, over the same connection.
    #[must_use]
    pub fn for_service(&self, service: &str) -> Self {
        Self { service: Arc::from(service), line: Arc::clone(&self.line) }
    }
}

async fn connect_tcp(address: Arc<str>) -> io::Result<BoxIo> {
    let io = tokio::net::TcpStream::connect(&*address).await?;
    io.set_nodelay(true)?;
    Ok(Box::new(io))
}

impl ByteService for GrpcChannel {
    fn service(&self) -> &str {
        &self.service
    }

    fn call(&self, method: &str, cx: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply>> {
        let path = format!("http://{}/{}/{method}", self.line.authority, self.service);
        let line = Arc::clone(&self.line);
        Box::pin(async move {
            guard::fits(request.len(), super::MESSAGE_BYTES_MAX, Code::ResourceExhausted)?;
            let (deadline, framed) = (cx.deadline(), frame::encode(&request));
            let call = async { receive(line.send(&path, &cx, &framed).await?, deadline).await };
            timeout_at(deadline, call).await.unwrap_or_else(|_| Err(guard::late()))
        })
    }
}

impl Line {
    /// Sends the call, once more if the first connection ended before it looked at it.
    async fn send(&self, path: &str, cx: &Cx, message: &Bytes) -> Result<Response<RecvStream>> {
        let mut sends = 1;
        loop {
            let link = self.link();
            let sender = link.clone().await?;
            match sender.send(request(path, cx)?, message.clone()).await {
                Ok(response) => return Ok(response),
                Err(Failure::Untouched(_)) if sends < SENDS_MAX => {}
                Err(Failure::Untouched(why) | Failure::Broken(why)) => return Err(broken(why)),
            }
            self.forget(&link);
            sends += 1;
        }
    }

    fn forget(&self, ended: &Link) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.take_if(|known| known.ptr_eq(ended));
    }

    /// The open connection, or a new one when there is none. All callers of one moment share the attempt.
    fn link(&self) -> Link {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = link.as_ref().filter(|known| is_usable(known)) {
            return known.clone();
        }
        let open: BoxFuture<'static, _> = Box::pin(open(Arc::clone(&self.connector), self.authority.clone()));
        link.insert(open.shared()).clone()
    }
}

fn request(path: &str, cx: &Cx) -> Result<Request<()>> {
    let malformed = |why: http::Error| {
        Error::new(Code::Internal, "MALFORMED_ADDRESS", "the peer's address is malformed").with_source(why)
    };
    let mut request = Request::post(path).version(Version::HTTP_2).body(()).map_err(malformed)?;
    let headers = request.headers_mut();
    metadata::write(cx, Instant::now(), headers)?;
    headers.insert(CONTENT_TYPE_NAME, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("souk/", env!("CARGO_PKG_VERSION"))));
    Ok(request)
}

/// Whether the peer says that it did not look at the request: it said goodbye before, or refused the stream
/// (RFC 9113, 6.8 and 8.7). Only then may a call be repeated without knowing what it does.
fn is_untouched(failure: &h2::Error) -> bool {
    match failure.reason() {
        Some(h2::Reason::NO_ERROR) => failure.is_go_away() && failure.is_remote(),
        reason => reason == Some(h2::Reason::REFUSED_STREAM) && failure.is_remote(),
    }
}

fn is_usable(link: &Link) -> bool {
    match link.peek() {
        None => true,
        Some(Ok(sender)) => !sender.ended.load(Ordering::Acquire),
        Some(Err(_)) => false,
    }
}

async fn open(connector: Connector, authority: String) -> Result<Sender, Error> {
    let unreachable = |why: io::Error| {
        let inside = io::Error::new(why.kind(), format!("{authority}: {why}"));
        Error::unavailable("the service cannot be reached").with_source(inside)
    };
    let opened = timeout(CONNECT_WITHIN, connector()).await;
    let io = opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut))).map_err(unreachable)?;
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX);
    let (requests, connection) = builder.handshake(io).await.map_err(broken)?;
    let ended = Arc::new(AtomicBool::new(false));
    let running = run(connection, Arc::clone(&ended));
    task::spawn(task::Kind::Background, "grpc.client", running).detach();
    Ok(Sender { requests, ended })
}

/// Carries a connection's bytes until it ends or its peer no longer answers; then its calls fail.
async fn run(mut connection: Connection<BoxIo, Bytes>, ended: Arc<AtomicBool>) {
    let pings = connection.ping_pong().expect("nobody took them before");
    tokio::select! {
        end = connection => {
            if let Err(why) = end {
                tracing::debug!(error = %why, "a connection ended early");
            }
        }
        () = silent(pings) => tracing::debug!("a peer does not answer any more"),
    }
    ended.store(true, Ordering::Release);
}

/// Returns when the peer leaves a ping unanswered.
async fn silent(mut pings: PingPong) {
    loop {
        sleep(PING_EVERY).await;
        match timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn broken(why: h2::Error) -> Error {
    Error::unavailable("the connection broke").with_source(why)
}

async fn receive(response: Response<RecvStream>, deadline: Instant) -> Result<Reply> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(status::of_http(head.status));
    }
    let is_stream = head.headers.contains_key(STREAM_MARK);
    if status::is_final(&head.headers) {
        status::read(&head.headers)?;
    }
    let messages = Messages::new(Arriving(body), Code::Unavailable);
    if is_stream {
        return Ok(Reply::Many(items(messages, deadline)));
    }
    unary(messages).await.map(Reply::One)
}

/// The one message of an answer that is no stream, if its status is success.
async fn unary(mut messages: Messages<Arriving>) -> Result<Bytes> {
    let first = messages.next().await?;
    let second = if first.is_some() { messages.next().await? } else { None };
    status::read(&messages.into_trailers().unwrap_or_default())?;
    let malformed =
        || Error::new(Code::Internal, "MALFORMED_RESPONSE", "the answer must hold exactly one message");
    first.filter(|_| second.is_none()).ok_or_else(malformed)
}

/// The messages of a stream, then its status if that is an error.
fn items(messages: Messages<Arriving>, deadline: Instant) -> BoxStream<'static, Result<Bytes>> {
    let next = move |messages: Option<Messages<Arriving>>| async move {
        let mut messages = messages?;
        match timeout_at(deadline, messages.next()).await.unwrap_or_else(|_| Err(guard::late())) {
            Ok(Some(item)) => Some((Ok(item), Some(messages))),
            Ok(None) => {
                let trailers: HeaderMap = messages.into_trailers().unwrap_or_default();
                status::read(&trailers).err().map(|error| (Err(error), None))
            }
            Err(error) => Some((Err(error), None)),
        }
    };
    stream::unfold(Some(messages), next).boxed()
}
