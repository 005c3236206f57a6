//! The provider's second face: an HTTP API of payment intents in forms and JSON, over the same books, so that every
//! [token](crate::tokens) does the same on both. A lost answer is a connection that ends without one.
//!
//! The shape is one that many merchants know; nothing here talks to any provider of that kind.
mod events;
mod face;
mod form;
mod shape;

pub use events::event;

use crate::simulator::Simulator;
use bytes::Bytes;
use face::Asked;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shape::Reply;
use souk_rpc::{Cx, listen};
use souk_telemetry::Stop;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Open connections; further ones wait.
const CONNECTIONS_MAX: u32 = 256;
/// The largest form.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long the head of a request may take, and how long a connection may end.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection without an answer stays open.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Face {
    simulator: Simulator,
    authorization: Arc<str>,
    patience: Duration,
}

/// A call that is not answered: its connection ends.
#[derive(Debug)]
struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payment provider does not answer")
    }
}

impl std::error::Error for Unanswered {}

impl Face {
    /// A face of `simulator` for merchants who hold `key`.
    pub fn new(simulator: Simulator, key: &str) -> Self {
        Self { simulator, authorization: format!("Bearer {key}").into(), patience: PATIENCE }
    }

    /// The same with another time for which a connection without an answer stays open.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Answers until the stop is requested.
    pub async fn serve(self, listener: TcpListener, stop: Stop) {
        let connection = |io| {
            let (face, stop) = (self.clone(), stop.clone());
            async move { face.serve_connection(io, stop).await }
        };
        listen::serve(listener, "provider.http", CONNECTIONS_MAX, stop.clone(), connection).await;
    }

    async fn serve_connection(self, io: TcpStream, stop: Stop) {
        let service = service_fn(move |request| {
            let face = self.clone();
            async move { face.answer(request).await }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            // However it ends, there is nobody left to tell.
            _ = connection.as_mut() => return,
            () = stop.requested() => connection.as_mut().graceful_shutdown(),
        }
        drop(timeout(HEAD_WITHIN, connection).await);
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Unanswered> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| Unanswered)?.to_bytes();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        if header("authorization") != &*self.authorization {
            let reply = Reply::error(401, "authentication_error", "api_key_invalid", serde_json::json!({}));
            return response(&reply);
        }
        let cx = Cx::new(Instant::now() + self.patience);
        let asked = Asked {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or(""),
            idempotency_key: header("idempotency-key"),
            body: &body,
        };
        let reply = face::answer(&self.simulator, &cx, &asked).await.ok_or(Unanswered)?;
        response(&reply)
    }
}

fn response(reply: &Reply) -> Result<Response<Full<Bytes>>, Unanswered> {
    let body = Full::new(Bytes::from(reply.body.to_string()));
    let builder = Response::builder().status(reply.status);
    builder.header(header::CONTENT_TYPE, "application/json").body(body).map_err(|_| Unanswered)
}
