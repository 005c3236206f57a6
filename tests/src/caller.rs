//! Somebody who calls the shop over HTTP, and what they are answered.
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// No call in a test takes longer, the longest wait for an order included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A customer, a member of staff, or nobody in particular. A plain HTTP client on purpose: what the shop's own
/// client and its gateway misunderstand in the same way would not be seen.
#[derive(Clone)]
pub struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    url: Arc<str>,
    token: Option<Arc<str>>,
}

impl Caller {
    /// Nobody in particular, before the shop at `url`.
    pub fn nobody(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { client, url: Arc::from(url), token: None }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(Arc::from(token)), ..self.clone() }
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.call(Method::POST, path).body(body.to_string())
    }

    pub fn put(&self, path: &str, body: &Value) -> Call<'_> {
        self.call(Method::PUT, path).body(body.to_string())
    }

    pub fn patch(&self, path: &str, body: &Value) -> Call<'_> {
        self.call(Method::PATCH, path).body(body.to_string())
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// Any method, without a body.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call { caller: self, method, path: path.to_owned(), headers: Vec::new(), body: None }
    }
}

/// A request on its way.
pub struct Call<'a> {
    caller: &'a Caller,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
}

impl Call<'_> {
    /// With this body, as JSON.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Under an idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Ready to wait so long for a settled answer.
    #[must_use]
    pub fn wait(self, seconds: u32) -> Self {
        self.header("prefer", &format!("wait={seconds}"))
    }

    /// The answer, whatever it is.
    pub async fn send(self) -> Answer {
        let (head, body) = self.open().await.into_parts();
        let body = timeout(ANSWER_WITHIN, body.collect()).await.expect("an answer in time");
        let body = body.expect("a whole answer").to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn open(self) -> Response<Incoming> {
        let mut request =
            Request::builder().method(&self.method).uri(format!("{}{}", self.caller.url, self.path));
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.caller.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request =
            request.body(Full::new(self.body.unwrap_or_default())).expect("a request that can be sent");
        let answer =
            timeout(ANSWER_WITHIN, self.caller.client.request(request)).await.expect("an answer in time");
        answer.unwrap_or_else(|error| panic!("{} {} has no answer: {error:?}", self.method, self.path))
    }

    /// The body of an answer that must have this status.
    pub async fn expect(self, status: u16) -> Value {
        let what = format!("{} {}", self.method, self.path);
        let answer = self.send().await;
        assert_eq!(answer.status, status, "{what} answered {}", answer.text());
        answer.json()
    }

    /// A refusal that must have this status; its reason.
    pub async fn refused(self, status: u16) -> String {
        self.expect(status).await["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// A stream of lines.
    pub async fn lines(self) -> Lines {
        let answer = self.open().await;
        assert_eq!(answer.status().as_u16(), 200);
        Lines { body: answer.into_body(), rest: BytesMut::new() }
    }
}

/// An answer that comes line by line.
pub struct Lines {
    body: Incoming,
    rest: BytesMut,
}

impl Lines {
    /// The next line; `None` after the last.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                return Some(serde_json::from_slice(&line).expect("each line is JSON"));
            }
            match timeout(ANSWER_WITHIN, self.body.frame()).await.expect("a line in time") {
                Some(frame) => {
                    let frame = frame.expect("the stream ends in order").into_data().unwrap_or_default();
                    self.rest.extend_from_slice(&frame);
                }
                None => {
                    assert!(self.rest.is_empty(), "the last line is whole");
                    return None;
                }
            }
        }
    }
}

/// What the shop said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body; null when it is empty.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The names of the faulty fields of a refusal.
    pub fn fields(&self) -> Vec<String> {
        let name = |field: &Value| field["field"].as_str().unwrap_or_default().to_owned();
        self.json()["fields"].as_array().map(|fields| fields.iter().map(name).collect()).unwrap_or_default()
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
