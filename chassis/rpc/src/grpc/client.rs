//! The client: one connection per address, opened at the first call and again after it was lost.
use super::body::RequestBody;
use super::frame::{self, Messages};
use super::{CONTENT_TYPE, HEADER_BYTES_MAX, STREAM_MARK, Tasks, metadata, status};
use crate::{BoxFuture, BoxStream, ByteService, Bytes, Code, Cx, Error, Reply, Result, guard};
use futures_util::future::{FutureExt, Shared};
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_TYPE as CONTENT_TYPE_NAME, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use souk_telemetry::task;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

/// How long opening a connection may take.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
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
type Link = Shared<BoxFuture<'static, Result<SendRequest<RequestBody>, Error>>>;

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
    async fn send(&self, path: &str, cx: &Cx, message: &Bytes) -> Result<Response<Incoming>> {
        let mut sends = 1;
        loop {
            let link = self.link();
            let mut sender = link.clone().await?;
            let failure = match sender.try_send_request(request(path, cx, message)?).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let untouched = failure.message().is_some() || is_untouched(failure.error());
            if !untouched || sends == SENDS_MAX {
                return Err(broken(failure.into_error()));
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

fn request(path: &str, cx: &Cx, message: &Bytes) -> Result<Request<RequestBody>> {
    let malformed = |why: http::Error| {
        Error::new(Code::Internal, "MALFORMED_ADDRESS", "the peer's address is malformed").with_source(why)
    };
    let mut request = Request::post(path).body(RequestBody(Some(message.clone()))).map_err(malformed)?;
    let headers = request.headers_mut();
    metadata::write(cx, Instant::now(), headers)?;
    headers.insert(CONTENT_TYPE_NAME, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("souk/", env!("CARGO_PKG_VERSION"))));
    Ok(request)
}

/// Whether the peer says that it did not look at the request: it said goodbye before, or refused the stream
/// (RFC 9113, 6.8 and 8.7). Only then may a call be repeated without knowing what it does.
fn is_untouched(failure: &hyper::Error) -> bool {
    let source = std::error::Error::source(failure).and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|h2| match h2.reason() {
        Some(h2::Reason::NO_ERROR) => h2.is_go_away() && h2.is_remote(),
        reason => reason == Some(h2::Reason::REFUSED_STREAM) && h2.is_remote(),
    })
}

fn is_usable(link: &Link) -> bool {
    match link.peek() {
        None => true,
        Some(Ok(sender)) => !sender.is_closed(),
        Some(Err(_)) => false,
    }
}

async fn open(connector: Connector, authority: String) -> Result<SendRequest<RequestBody>, Error> {
    let unreachable =
        |why: io::Error| Error::unavailable(format!("{authority} cannot be reached")).with_source(why);
    let opened = timeout(CONNECT_WITHIN, connector()).await;
    let io = opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut))).map_err(unreachable)?;
    let mut builder = http2::Builder::new(Tasks("grpc.client"));
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(broken)?;
    let connection = async move {
        if let Err(why) = connection.await {
            tracing::debug!(error = %why, "a connection ended early");
        }
    };
    task::spawn(task::Kind::Background, "grpc.client", connection).detach();
    Ok(sender)
}

fn broken(why: hyper::Error) -> Error {
    Error::unavailable("the connection broke").with_source(why)
}

async fn receive(response: Response<Incoming>, deadline: Instant) -> Result<Reply> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(status::of_http(head.status));
    }
    let is_stream = head.headers.contains_key(STREAM_MARK);
    if status::is_final(&head.headers) {
        status::read(&head.headers)?;
    }
    let messages = Messages::new(body, Code::Unavailable);
    if is_stream {
        return Ok(Reply::Many(items(messages, deadline)));
    }
    unary(messages).await.map(Reply::One)
}

/// The one message of an answer that is no stream, if its status is success.
async fn unary(mut messages: Messages) -> Result<Bytes> {
    let first = messages.next().await?;
    let second = if first.is_some() { messages.next().await? } else { None };
    status::read(&messages.into_trailers().unwrap_or_default())?;
    let malformed =
        || Error::new(Code::Internal, "MALFORMED_RESPONSE", "the answer must hold exactly one message");
    first.filter(|_| second.is_none()).ok_or_else(malformed)
}

/// The messages of a stream, then its status if that is an error.
fn items(messages: Messages, deadline: Instant) -> BoxStream<'static, Result<Bytes>> {
    let next = move |messages: Option<Messages>| async move {
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
