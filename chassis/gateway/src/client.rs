//! A small HTTP/1.1 client for JSON, with a pool of kept-alive connections to one base URL. For the command
//! line, tests and benchmarks; services call each other by `souk-rpc`.
use crate::server::Tasks;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest answer that is read into memory.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest line of a stream.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Idle connections that are kept.
const IDLE_MAX: usize = 256;
/// Servers end idle connections after five seconds; whoever is first avoids a race.
const IDLE_WITHIN: Duration = Duration::from_secs(4);
/// How long a call may take when nothing is said.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The base URL or a header cannot be used.
    Invalid(String),
    /// The server was not reached or broke off.
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
    /// The deadline passed.
    Late,
    /// The answer is larger than the limit.
    TooLarge,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Invalid(what) => write!(f, "{what} cannot be used"),
            ClientError::Unreachable(_) => f.write_str("the server was not reached or broke off"),
            ClientError::Late => f.write_str("the server took too long"),
            ClientError::TooLarge => f.write_str("the answer is too large"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Unreachable(source) => Some(source.as_ref()),
            ClientError::Invalid(_) | ClientError::Late | ClientError::TooLarge => None,
        }
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Calls one server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: String,
    headers: HeaderMap,
    deadline: Duration,
}

impl fmt::Debug for Client {
    /// Without the headers: one of them is a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `base`, for example `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        let base = base.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_| ClientError::Invalid(format!("the URL {base}")))?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(ClientError::Invalid(format!("the URL {base} (it must begin with http://)")));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let pool = Pool::builder(Tasks("http.client"))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_WITHIN)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Ok(Self { pool, base: base.to_owned(), headers: HeaderMap::new(), deadline: DEADLINE_DEFAULT })
    }

    /// The same with a header on every call.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, ClientError> {
        put(&mut self.headers, name, value)?;
        Ok(self)
    }

    /// The same with a bearer token on every call.
    pub fn with_token(self, token: &str) -> Result<Self, ClientError> {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// The same with another time that a call may take.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, json: impl Into<Bytes>) -> Result<Answer, ClientError> {
        self.send(Method::POST, path, &[], json.into()).await
    }

    /// `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, json: impl Into<Bytes>) -> Result<Answer, ClientError> {
        self.send(Method::PUT, path, &[], json.into()).await
    }

    /// `PATCH path` with a JSON body.
    pub async fn patch(&self, path: &str, json: impl Into<Bytes>) -> Result<Answer, ClientError> {
        self.send(Method::PATCH, path, &[], json.into()).await
    }

    /// Any method, with further headers. An empty body is sent without a content type.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        json: Bytes,
    ) -> Result<Answer, ClientError> {
        let until = Instant::now() + self.deadline;
        let response = self.open(method, path, headers, json, until).await?;
        let (head, body) = response.into_parts();
        let read = crate::body::read(body, ANSWER_BYTES_MAX);
        let body =
            timeout_at(until, read).await.map_err(|_| ClientError::Late)?.map_err(|unread| match unread {
                crate::body::Unread::TooLarge => ClientError::TooLarge,
                crate::body::Unread::Broken => ClientError::Unreachable("the answer broke off".into()),
            })?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Opens a stream of lines (`application/x-ndjson`). The deadline bounds the opening only.
    pub async fn lines(&self, path: &str) -> Result<Lines, ClientError> {
        let until = Instant::now() + self.deadline;
        let response = self.open(Method::GET, path, &[], Bytes::new(), until).await?;
        let (head, body) = response.into_parts();
        Ok(Lines { status: head.status.as_u16(), headers: head.headers, body, rest: BytesMut::new() })
    }

    async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        json: Bytes,
        until: Instant,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|_| ClientError::Invalid(format!("the path {path}")))?;
        let mut request = Request::new(Full::new(json.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if !json.is_empty() {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in headers {
            put(request.headers_mut(), name, value)?;
        }
        let answered = timeout_at(until, self.pool.request(request)).await;
        answered.map_err(|_| ClientError::Late)?.map_err(|why| ClientError::Unreachable(why.into()))
    }
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), ClientError> {
    let invalid = || ClientError::Invalid(format!("the header {name}"));
    let parsed = HeaderName::try_from(name).map_err(|_| invalid())?;
    headers.insert(parsed, HeaderValue::try_from(value).map_err(|_| invalid())?);
    Ok(())
}

/// The lines of a stream, as they come.
#[derive(Debug)]
pub struct Lines {
    /// The status of the answer; if it is no success, the lines are the problem document.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    body: Incoming,
    rest: BytesMut,
}

impl Lines {
    /// The next line without its end, or `None` when the stream is over.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line = self.rest.split_to(end + 1).freeze();
                return Ok(Some(line.slice(..end)));
            }
            if self.rest.len() > LINE_BYTES_MAX {
                return Err(ClientError::TooLarge);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.rest.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(why)) => return Err(ClientError::Unreachable(why.into())),
                None if self.rest.is_empty() => return Ok(None),
                None => return Ok(Some(self.rest.split().freeze())),
            }
        }
    }
}
