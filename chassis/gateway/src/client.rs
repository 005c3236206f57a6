//! A small HTTP/1.1 client for JSON over one base address: for the command line, tests and measurements.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long opening a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How many idle connections are kept.
const IDLE_MAX: usize = 256;

/// Calls one server over connections that it keeps. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    base: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer. Whether the call had an effect is not known.
#[derive(Debug)]
pub enum ClientError {
    /// The address, path or a header is malformed; nothing was sent.
    Malformed(String),
    /// Nobody accepts connections there; nothing was sent.
    Refused(String),
    /// The connection broke before the answer was complete.
    Broken(String),
    /// The answer was not there in time.
    Late,
    /// The answer is larger than [`ANSWER_BYTES_MAX`].
    TooLarge,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Malformed(what) => write!(f, "the request is malformed: {what}"),
            ClientError::Refused(what) => write!(f, "no connection: {what}"),
            ClientError::Broken(what) => write!(f, "the connection broke: {what}"),
            ClientError::Late => f.write_str("no answer in time"),
            ClientError::TooLarge => write!(f, "the answer is larger than {ANSWER_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// A client of the server at `base`, for example `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self { base: base.trim_end_matches('/').to_owned(), pool }
    }

    /// The address it was made with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and reads its whole answer. A body is sent as JSON. `path` is already encoded and may
    /// carry a query.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
        deadline: Instant,
    ) -> Result<Answer, ClientError> {
        let request = self.request(method, path, headers, body)?;
        let whole = async {
            let response = self.pool.request(request).await.map_err(unsent)?;
            read(response).await
        };
        timeout_at(deadline, whole).await.unwrap_or(Err(ClientError::Late))
    }

    /// Opens a stream of JSON lines. `deadline` bounds the opening only.
    pub async fn lines(&self, path: &str, headers: &[(&str, &str)], deadline: Instant) -> Result<Lines, ClientError> {
        let request = self.request(Method::GET, path, headers, None)?;
        let opened = timeout_at(deadline, self.pool.request(request)).await;
        let response = opened.map_err(|_| ClientError::Late)?.map_err(unsent)?;
        Ok(Lines { status: response.status(), body: response.into_body(), rest: Vec::new() })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let malformed = |what: &dyn fmt::Display| ClientError::Malformed(what.to_string());
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|e| malformed(&e))?;
        let mut builder = Request::builder().method(method).uri(uri);
        if body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|e| malformed(&e))?;
            let value: HeaderValue = value.parse().map_err(|e| malformed(&e))?;
            builder = builder.header(name, value);
        }
        builder.body(Full::new(body.unwrap_or_default())).map_err(|e| malformed(&e))
    }
}

fn unsent(error: hyper_util::client::legacy::Error) -> ClientError {
    let what = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_connect() { ClientError::Refused(what) } else { ClientError::Broken(what) }
}

async fn read(response: Response<Incoming>) -> Result<Answer, ClientError> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|e| {
        if e.is::<LengthLimitError>() { ClientError::TooLarge } else { ClientError::Broken(e.to_string()) }
    })?;
    Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
}

/// An answer that comes line by line.
pub struct Lines {
    status: StatusCode,
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The next line without its end; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.rest.drain(..=end).collect();
                line.pop();
                return Ok(Some(line.into()));
            }
            if self.rest.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::TooLarge);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.rest.extend(frame.into_data().unwrap_or_default()),
                Some(Err(e)) => return Err(ClientError::Broken(e.to_string())),
                None if self.rest.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.rest).into())),
            }
        }
    }
}
