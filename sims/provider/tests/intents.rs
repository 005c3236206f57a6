//! The provider's HTTP API as it looks on the wire: who is let in, what is refused, what is found again, and how
//! silence looks. That every token does the same here as over the contract is tested from the shop's side.
use serde_json::Value;
use souk_eventstore::{EventStore, Faults, Location, Options};
use souk_kernel::{Clock, ManualClock, Timestamp};
use souk_telemetry::{Stop, StopSource, task};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "sk_test_1";
const INTENTS: &str = "/v1/payment_intents";

/// The provider at an address of this machine, until it is dropped.
struct House {
    address: SocketAddr,
    _stop: StopSource,
}

impl House {
    async fn open() -> Self {
        let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_unix_s(1_000));
        let location = Location::Memory(Faults::none());
        let options = Options::new(souk_provider::NAME, location, Arc::clone(&clock));
        let store = EventStore::open(options.views(souk_provider::views())).expect("the store opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (source, stop) = Stop::new();
        let face = souk_provider::face(store, clock, None, KEY).patience(Duration::ZERO);
        task::spawn(task::Kind::Background, "test.provider", face.serve(listener, stop)).detach();
        Self { address, _stop: source }
    }

    /// Bytes to and fro; `None` when the connection ends without an answer.
    async fn exchange(&self, request: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Some((status, serde_json::from_str(body).expect("JSON")))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let head = format!("authorization: Bearer {KEY}\r\nhost: x\r\nconnection: close\r\n\r\n");
        self.exchange(&format!("GET {path} HTTP/1.1\r\n{head}")).await.expect("answered")
    }

    async fn post(&self, path: &str, key: &str, form: &str) -> Option<(u16, Value)> {
        let length = form.len();
        let head = format!(
            "authorization: Bearer {KEY}\r\nidempotency-key: {key}\r\nhost: x\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n"
        );
        self.exchange(&format!("POST {path} HTTP/1.1\r\n{head}{form}")).await
    }

    async fn does(&self, path: &str, key: &str, form: &str) -> Value {
        let (status, body) = self.post(path, key, form).await.expect("answered");
        assert_eq!(status, 200, "{path} {form}: {body}");
        body
    }

    async fn refuses(&self, path: &str, key: &str, form: &str) -> (u16, String) {
        let (status, body) = self.post(path, key, form).await.expect("answered");
        let text = |name: &str| body["error"][name].as_str().unwrap_or("-").to_owned();
        (status, format!("{} {} {}", text("type"), text("code"), text("decline_code")))
    }

    async fn search(&self, key: &str) -> Value {
        let (_, found) = self.get(&format!("{INTENTS}/search?query=metadata['key']:'{key}'")).await;
        found["data"][0].clone()
    }
}

fn create(key: &str, token: &str) -> String {
    format!(
        "amount=1000&currency=gbp&capture_method=manual&confirm=true&payment_method={token}&metadata[key]={key}"
    )
}

#[tokio::test]
async fn only_who_holds_the_key_is_answered_and_only_what_can_be_kept_is_taken() {
    let house = House::open().await;
    let stranger = format!("GET {INTENTS}/pi_61 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let (status, body) = house.exchange(&stranger).await.expect("answered");
    assert_eq!((status, body["error"]["type"].as_str()), (401, Some("authentication_error")));
    let invalid = (400, "invalid_request_error parameter_invalid -".to_owned());
    for (key, form) in [
        ("", create("", "ok")),
        ("a", create("b", "ok")),
        ("a", create("a", "ok").replace("gbp", "GBP")),
        ("a", create("a", "ok").replace("gbp", "xyz")),
        ("a", create("a", "ok").replace("1000", "-1")),
        ("a", create("a", "ok").replace("manual", "automatic")),
        ("a", create("a", "ok").replace("confirm=true", "confirm=maybe")),
        ("a", "%".to_owned()),
    ] {
        assert_eq!(house.refuses(INTENTS, key, &form).await, invalid, "{key} {form}");
    }
    let missing = (404, "invalid_request_error resource_missing -".to_owned());
    for path in ["/v1/tokens", "/v1/payment_intents/pi_61/capture", "/v1/payment_intents/x/cancel"] {
        assert_eq!(house.refuses(path, "a", "amount_to_capture=1").await, missing, "{path}");
    }
    assert_eq!(house.search("a").await, Value::Null, "nothing is left of it");
}

#[tokio::test]
async fn an_intent_is_taken_in_parts_and_given_back_and_all_of_it_is_found() {
    let house = House::open().await;
    let intent = house.does(INTENTS, "p:authorize", &create("p:authorize", "ok")).await;
    assert_eq!(
        (intent["status"].as_str(), intent["amount"].as_i64()),
        (Some("requires_capture"), Some(1000))
    );
    assert_eq!(house.search("p:authorize").await, intent);
    let path = format!("{INTENTS}/{}", intent["id"].as_str().expect("an id"));
    let capture = format!("{path}/capture");
    let form = "amount_to_capture=600&metadata[capture:a]=600";
    for _ in 0..2 {
        let taken = house.does(&capture, "p:capture:a", form).await;
        assert_eq!(
            (taken["amount_received"].as_i64(), taken["amount_capturable"].as_i64()),
            (Some(600), Some(400))
        );
        assert_eq!(taken["metadata"]["capture:a"], "600");
    }
    for (key, form, expected) in [
        ("p:capture:b", "amount_to_capture=1", "invalid_request_error parameter_invalid -"),
        (
            "p:capture:c",
            "amount_to_capture=401&metadata[capture:c]=401",
            "invalid_request_error amount_too_large -",
        ),
        (
            "p:capture:a",
            "amount_to_capture=599&metadata[capture:a]=599",
            "idempotency_error idempotency_key_in_use -",
        ),
    ] {
        assert_eq!(house.refuses(&capture, key, form).await, (400, expected.to_owned()), "{form}");
    }
    let form = format!("payment_intent={}&amount=100&metadata[key]=p:refund:r", &path[INTENTS.len() + 1..]);
    let refund = house.does("/v1/refunds", "p:refund:r", &form).await;
    assert_eq!((refund["status"].as_str(), refund["amount"].as_i64()), (Some("succeeded"), Some(100)));
    let (_, listed) = house.get(&format!("/v1/refunds?payment_intent={}", &path[INTENTS.len() + 1..])).await;
    assert_eq!(listed["data"][0], refund);
    let given_up = house.does(&format!("{path}/cancel"), "p:void", "").await;
    assert_eq!(given_up["cancellation_reason"], "requested_by_customer");
    let (_, report) = house.get("/v1/balance_transactions?created[gte]=0&created[lt]=86400").await;
    let moved: Vec<_> =
        report["data"].as_array().expect("a list").iter().map(|line| &line["amount"]).collect();
    assert_eq!(moved, [600, -100]);
}

#[tokio::test]
async fn a_lost_answer_is_a_connection_that_ends_and_its_effect_is_found() {
    let house = House::open().await;
    assert_eq!(house.post(INTENTS, "a", &create("a", "timeout_after_effect")).await, None);
    assert_eq!(house.search("a").await["status"], "requires_capture");
    assert_eq!(house.post(INTENTS, "b", &create("b", "timeout_before")).await, None);
    assert_eq!(house.search("b").await, Value::Null);
    assert_eq!(house.does(INTENTS, "b", &create("b", "timeout_before")).await["status"], "requires_capture");
    let failed = house.refuses(INTENTS, "c", &create("c", "error_500_then_ok")).await;
    assert_eq!(failed, (500, "api_error provider_error -".to_owned()));
    let declined = house.refuses(INTENTS, "d", &create("d", "decline_funds")).await;
    assert_eq!(declined, (402, "card_error card_declined insufficient_funds".to_owned()));
    assert_eq!(house.search("d").await["last_payment_error"]["decline_code"], "insufficient_funds");
}

#[tokio::test]
async fn a_key_can_be_taken_before_it_is_used() {
    let house = House::open().await;
    let form = "amount=100&currency=eur&capture_method=manual&confirm=false&metadata[key]=a";
    let intent = house.does(INTENTS, "a", form).await;
    assert_eq!(intent["status"], "requires_confirmation");
    let path = format!("{INTENTS}/{}/cancel", intent["id"].as_str().expect("an id"));
    assert_eq!(house.does(&path, "v", "").await["status"], "canceled");
    let late = house.refuses(INTENTS, "a", &create("a", "ok")).await;
    assert_eq!(late, (402, "card_error card_declined voided".to_owned()));
    house.does(INTENTS, "b", &create("b", "ok")).await;
    let taken = house.refuses(INTENTS, "b", &form.replace("]=a", "]=b")).await;
    assert_eq!(taken, (400, "idempotency_error idempotency_key_in_use -".to_owned()));
}
