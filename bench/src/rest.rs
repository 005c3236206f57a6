//! A client that keeps one connection alive and asks one question at a time, as a browser tab does.
use crate::report::{NoResult, Outcome};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use souk_telemetry::task;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest wait for an answer; longer than any that a service allows itself.
const ANSWER_MAX: Duration = Duration::from_secs(40);
/// How much of an unexpected answer is shown.
const SHOWN_MAX: usize = 300;

/// One client with its connection.
pub struct Caller {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    method: Method,
    path: &'a str,
    token: Option<&'a str>,
    headers: Vec<(&'static str, &'a str)>,
    body: Bytes,
}

impl<'a> Ask<'a> {
    pub fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, token: None, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn post(path: &'a str, body: &Value) -> Self {
        Self { method: Method::POST, body: body.to_string().into(), ..Self::get(path) }
    }

    pub fn put(path: &'a str, body: &Value) -> Self {
        Self { method: Method::PUT, ..Self::post(path, body) }
    }

    #[must_use]
    pub fn token(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn request(&self, address: SocketAddr) -> Outcome<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(&self.method).uri(self.path).header(HOST, address.to_string());
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(self.body.clone())).map_err(|e| NoResult::failed("a request", e))
    }
}

impl Caller {
    /// A client of this address; it connects when it has something to ask.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Asks, and takes any answer.
    pub async fn ask(&mut self, ask: &Ask<'_>) -> Outcome<(u16, Bytes)> {
        let request = ask.request(self.address)?;
        let asking = async {
            let connection = self.connection().await?;
            let answer = connection.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body))
        };
        let answer = tokio::time::timeout(ANSWER_MAX, asking).await;
        let answer = answer.map_err(|_| NoResult::Failed(format!("no answer to {}", ask.path)))?;
        answer.map_err(|e| {
            self.connection = None;
            NoResult::failed(ask.path, e)
        })
    }

    /// Asks, and takes only success for an answer.
    pub async fn success(&mut self, ask: &Ask<'_>) -> Outcome<Bytes> {
        match self.ask(ask).await? {
            (200..=299, body) => Ok(body),
            (status, body) => {
                let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN_MAX)]).into_owned();
                Err(NoResult::Failed(format!("{} {} answered {status}: {shown}", ask.method, ask.path)))
            }
        }
    }

    /// Asks, and takes only success in JSON for an answer.
    pub async fn json(&mut self, ask: &Ask<'_>) -> Outcome<Value> {
        let body = self.success(ask).await?;
        serde_json::from_slice(&body).map_err(|e| NoResult::failed(ask.path, e))
    }

    /// The connection, opened anew when the server has ended the last one.
    async fn connection(
        &mut self,
    ) -> Result<&mut SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let usable = match self.connection.take() {
            Some(mut known) => known.ready().await.is_ok().then_some(known),
            None => None,
        };
        let connection = match usable {
            Some(known) => known,
            None => open(self.address).await?,
        };
        Ok(self.connection.insert(connection))
    }
}

async fn open(
    address: SocketAddr,
) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // A broken connection is noticed by whoever asks next.
    drop(task::spawn(task::Kind::Request, "bench.connection", async { drop(connection.await) }));
    Ok(sender)
}
