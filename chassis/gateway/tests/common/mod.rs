//! A gateway over a service that is written by hand.
#![allow(dead_code, reason = "each test file uses its part")]
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, Full};
use souk_gateway::{Gateway, Limits, Options};
use souk_kernel::{FieldViolation, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::{BoxFuture, ByteService, Code, Cx, Error, Peers, Reply};
use souk_transcode::{Schema, proto_to_json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The bytes of the descriptor set of a contract in this folder.
pub fn descriptors(file: &str) -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler =
        protox::Compiler::new([here.join("tests"), here.join("../rpc/proto")]).expect("the folders exist");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(file).expect("the test contract is well formed");
    compiler.encode_file_descriptor_set()
}

/// Answers what it is asked, and remembers the circumstances.
pub struct Desk {
    schema: Schema,
    pub last: Mutex<Option<(String, Cx)>>,
}

impl ByteService for Desk {
    fn service(&self) -> &str {
        "desk.v1.Desk"
    }

    fn call(&self, method: &str, cx: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply, Error>> {
        *self.last.lock().expect("no panic while held") = Some((method.to_owned(), cx.clone()));
        match method {
            "Fail" => {
                let error = self.trouble(&request);
                async move { Err(error) }.boxed()
            }
            "Never" => std::future::pending().boxed(),
            "Large" => async { Ok(Reply::One(large())) }.boxed(),
            "Watch" => {
                let error = Error::new(Code::NotFound, "NOT_FOUND", "the order was not found");
                let is_endless = request.windows(7).any(|seven| seven == b"endless");
                let items = match is_endless {
                    true => stream::iter([Ok(request)]).chain(stream::pending()).boxed(),
                    false => stream::iter([Ok(request.clone()), Ok(request), Err(error)]).boxed(),
                };
                async { Ok(Reply::Many(items)) }.boxed()
            }
            _ => async move { Ok(Reply::One(request)) }.boxed(),
        }
    }
}

/// An order with an id of a megabyte.
fn large() -> Bytes {
    let mut order = vec![0x0a, 0x80, 0x80, 0x40];
    order.resize(4 + (1 << 20), b'x');
    order.into()
}

impl Desk {
    fn trouble(&self, request: &Bytes) -> Error {
        let mut json = Vec::new();
        let message = self.schema.message("desk.v1.Trouble").expect("defined");
        proto_to_json(&self.schema, message, request, &mut json).expect("has a JSON form");
        let trouble: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let text = |name: &str| trouble[name].as_str().unwrap_or_default().to_owned();
        if text("reason") == "PANIC" {
            panic!("on purpose");
        }
        let code = Code::from_number(trouble["code"].as_i64().unwrap_or_default() as i32);
        let mut error = Error::new(code, text("reason"), text("message")).with("fact", "value");
        if !text("field").is_empty() {
            error = error.with_fields(vec![FieldViolation {
                field: text("field"),
                description: "must be better".into(),
            }]);
        }
        if text("reason") == "TOLD" {
            error = error.told();
        }
        match trouble["retryAfterS"].as_i64() {
            Some(seconds @ 1..) => error.with_retry_after(Duration::from_secs(seconds as u64)),
            _ => error,
        }
    }
}

pub struct Bench {
    pub gateway: Gateway,
    pub desk: Arc<Desk>,
}

pub fn options() -> Options {
    Options {
        title: "Desk".to_owned(),
        version: "1.0".to_owned(),
        clock: ManualClock::at(Timestamp::parse("2026-11-21T00:00:00Z").expect("a time")),
        entropy: SeededEntropy::new(7),
        limits: Limits::default(),
    }
}

impl Bench {
    pub fn new() -> Self {
        let descriptors = descriptors("desk.proto");
        let schema = Schema::from_bytes(&descriptors).expect("compiles");
        let desk = Arc::new(Desk { schema, last: Mutex::default() });
        let peers = Peers::new();
        peers.add_remote("desk.v1.Desk", Arc::clone(&desk) as Arc<dyn ByteService>);
        let gateway = Gateway::new(&descriptors, peers, options()).expect("the contract can be served");
        Self { gateway, desk }
    }

    /// Sends a request that is written as `METHOD path`, with headers.
    pub async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = line.split_once(' ').expect("METHOD path");
        let mut request = http::Request::builder().method(method).uri(path).header("host", "desk.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let response = self.gateway.handle(request.body(body).expect("well formed")).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("cannot fail").to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).expect("UTF-8"),
        }
    }

    /// The circumstances of the last call.
    pub fn last(&self) -> (String, Cx) {
        self.desk.last.lock().expect("no panic while held").clone().expect("a call arrived")
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// Status, reason and first faulty field.
    pub fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        assert_eq!(json["instance"], self.header("x-request-id"));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (self.status, text(&json["reason"]), text(&json["fields"][0]["field"]))
    }
}
