//! The port for operators and orchestrators: health and build facts, never routed to the outside.
use crate::body::AnswerBody;
use crate::server::{Server, ServerLimits};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use souk_kernel::{Clock, Timestamp};
use souk_telemetry::Stop;
use souk_transcode::put_json_text;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// A question with a cheap answer: `Err` says in a sentence what is wrong.
pub type Probe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Something that the process needs, as it was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name, for example `store.order`.
    pub name: String,
    /// Whether it answers.
    pub healthy: bool,
    /// How long its last answer took.
    pub latency: Duration,
    /// Since when it has been as it is.
    pub since: Timestamp,
}

/// Another page of the port, for example `/metrics`.
#[derive(Clone)]
pub struct Page {
    /// Its path.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Makes its text.
    pub text: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What the port tells.
#[derive(Clone)]
pub struct Probes {
    /// Whether the process itself is sound. Other processes' troubles are no reason to be restarted.
    pub live: Probe,
    /// Whether requests should be sent here now.
    pub ready: Probe,
    /// Whether the start is over.
    pub started: Probe,
    /// The version of the program.
    pub version: String,
    /// What the process needs. Looking must be cheap: whoever asks often must not load what is asked about.
    pub dependencies: Arc<dyn Fn() -> Vec<Dependency> + Send + Sync>,
    /// Further facts about the build, by name.
    pub build: Vec<(String, String)>,
    /// Tells how long the process has been up.
    pub clock: Arc<dyn Clock>,
    /// Further pages.
    pub pages: Vec<Page>,
}

impl Probes {
    /// Probes that are always content, to be replaced one by one.
    pub fn content(version: &str, clock: Arc<dyn Clock>) -> Self {
        let fine: Probe = Arc::new(|| Ok(()));
        Self {
            live: Arc::clone(&fine),
            ready: Arc::clone(&fine),
            started: fine,
            version: version.to_owned(),
            dependencies: Arc::new(Vec::new),
            build: Vec::new(),
            clock,
            pages: Vec::new(),
        }
    }
}

/// Open connections of this port: it has few clients.
const CONNECTIONS_MAX: u32 = 64;

/// Serves the probes until the stop is requested. `/readyz` stays reachable while others drain, so give this
/// port a stop of its own that comes last.
pub fn serve(listener: TcpListener, probes: Probes, stop: Stop) -> impl Future<Output = ()> + Send {
    let started = probes.clock.now();
    let probes = Arc::new(probes);
    let limits = ServerLimits { connections_max: CONNECTIONS_MAX, ..ServerLimits::default() };
    Server::new(limits, move |request: Request<_>| {
        let probes = Arc::clone(&probes);
        async move { answer(&probes, started, request.method(), request.uri().path()) }
    })
    .serve(listener, stop)
}

fn answer(probes: &Probes, started: Timestamp, method: &Method, path: &str) -> Response<AnswerBody> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".into());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/livez" | "/health/live" => probe(&probes.live),
        "/readyz" | "/health/ready" => probe(&probes.ready),
        "/startupz" => probe(&probes.started),
        "/health" => health(probes, started),
        "/buildz" => build(probes),
        path => match probes.pages.iter().find(|page| page.path == path) {
            Some(page) => respond(StatusCode::OK, page.content_type, (page.text)().into()),
            None => respond(StatusCode::NOT_FOUND, "text/plain", "no such page\n".into()),
        },
    }
}

fn probe(probe: &Probe) -> Response<AnswerBody> {
    match probe() {
        Ok(()) => respond(StatusCode::OK, "text/plain", "ok\n".into()),
        Err(why) => respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n").into()),
    }
}

fn health(probes: &Probes, started: Timestamp) -> Response<AnswerBody> {
    let (live, ready) = ((probes.live)(), (probes.ready)());
    let (code, status) = match (&live, &ready) {
        (Err(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        (Ok(()), Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "degraded"),
        (Ok(()), Ok(())) => (StatusCode::OK, "healthy"),
    };
    let uptime = probes.clock.now().since(started).as_secs();
    let why = live.err().or(ready.err()).unwrap_or_default();
    let mut json = format!("{{\"uptime\":{uptime}").into_bytes();
    for (name, text) in [("status", status), ("version", probes.version.as_str()), ("detail", why.as_str())] {
        put_member(&mut json, name, text);
    }
    json.extend_from_slice(b",\"dependencies\":{");
    for (n, dependency) in (probes.dependencies)().iter().enumerate() {
        if n > 0 {
            json.push(b',');
        }
        put_dependency(&mut json, dependency);
    }
    json.extend_from_slice(b"}}");
    respond(code, "application/json", json.into())
}

fn put_dependency(json: &mut Vec<u8>, dependency: &Dependency) {
    put_json_text(json, &dependency.name);
    let status = if dependency.healthy { "healthy" } else { "unhealthy" };
    let latency_ms = dependency.latency.as_millis();
    json.extend_from_slice(format!(":{{\"latency_ms\":{latency_ms}").as_bytes());
    put_member(json, "status", status);
    put_member(json, "since", &dependency.since.to_string());
    json.push(b'}');
}

fn build(probes: &Probes) -> Response<AnswerBody> {
    let mut json = b"{\"name\":\"souk\"".to_vec();
    put_member(&mut json, "version", &probes.version);
    for (name, text) in &probes.build {
        put_member(&mut json, name, text);
    }
    json.push(b'}');
    respond(StatusCode::OK, "application/json", json.into())
}

fn put_member(json: &mut Vec<u8>, name: &str, text: &str) {
    json.push(b',');
    put_json_text(json, name);
    json.push(b':');
    put_json_text(json, text);
}

fn respond(status: StatusCode, content_type: &'static str, text: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
