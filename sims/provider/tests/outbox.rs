//! Notifications as they arrive at a merchant's address: in the manner of the token, signed, and until they are taken.
use prost::Message;
use souk_contracts::provider::v1 as pb;
use souk_contracts::provider::v1::notification::About;
use souk_contracts::provider::v1::{OperationStatus, ProviderService};
use souk_contracts::types::v1::Money;
use souk_eventstore::{EventStore, Faults, Location, Options};
use souk_identity::WebhookSecret;
use souk_kernel::{Clock, ManualClock, Timestamp};
use souk_provider::{Address, Format, Merchant, Outbox, Simulator};
use souk_rpc::Cx;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// What the merchant was told, and what it answers to the next ones.
#[derive(Default)]
struct Inbox {
    told: Vec<(String, pb::Notification, Vec<u8>)>,
    refusals: VecDeque<u16>,
}

struct House {
    simulator: Simulator,
    outbox: Outbox,
    store: EventStore,
    clock: Arc<ManualClock>,
    inbox: Arc<Mutex<Inbox>>,
    merchant: tokio::task::JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.merchant.abort();
    }
}

impl House {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}/hooks", listener.local_addr().expect("bound"));
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let taken = Arc::clone(&inbox);
        #[allow(clippy::disallowed_methods, reason = "the merchant of a test ends with it")]
        let merchant = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                take(stream, &taken).await;
            }
        });
        let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let options = Options::new(souk_provider::NAME, Location::Memory(Faults::none()), shared());
        let store = EventStore::open(options.views(souk_provider::views())).expect("the store opens");
        let address: Address = address.parse().expect("an address");
        let secret = WebhookSecret::new(b"s");
        let to = Merchant { messenger: Arc::new(address), format: Format::Protobuf, secret };
        let simulator = Simulator::new(store.clone(), shared()).telling(to);
        let outbox = simulator.outbox().expect("there is somebody to tell");
        Self { simulator, outbox, store, clock, inbox, merchant }
    }

    async fn pay(&self, token: &str) {
        let cx = || Cx::new(Instant::now() + Duration::from_secs(60));
        let (key, method_token, reference) = ("a".to_owned(), token.to_owned(), "order".to_owned());
        let request = pb::AuthorizeRequest { key, amount: gbp(1000), method_token, reference };
        self.simulator.authorize(cx(), request).await.expect("answered");
        let authorization_key = "a".to_owned();
        let request = pb::CompleteActionRequest { authorization_key: authorization_key.clone() };
        self.simulator.complete_action(cx(), request).await.expect("answered");
        let key = "c".to_owned();
        let request =
            pb::CaptureRequest { key, authorization_key: authorization_key.clone(), amount: gbp(600) };
        self.simulator.capture(cx(), request).await.expect("answered");
        let key = "r".to_owned();
        let request = pb::RefundRequest { key, authorization_key, amount: gbp(100) };
        self.simulator.refund(cx(), request).await.expect("answered");
    }

    /// Does what is due by now.
    async fn timers(&self) {
        for timer in self.store.due_timers(100).await.expect("readable") {
            self.outbox.on_due(timer).await.expect("it can be recorded");
        }
    }

    /// What was told so far, in words.
    fn told(&self) -> Vec<String> {
        let inbox = self.inbox.lock().expect("no panic while held");
        let word =
            |notification: &pb::Notification| match notification.about.as_ref().expect("about something") {
                About::Operation(operation) => format!("{} {:?}", operation.key, operation.status()),
                About::Dispute(dispute) => format!("dispute {:?}", dispute.status()),
            };
        inbox.told.iter().map(|(_, notification, _)| word(notification)).collect()
    }
}

fn gbp(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "GBP".to_owned() })
}

async fn take(mut stream: TcpStream, inbox: &Mutex<Inbox>) {
    let mut request = Vec::new();
    let (head, body) = loop {
        let mut more = [0; 4096];
        let read = stream.read(&mut more).await.expect("readable");
        request.extend_from_slice(&more[..read]);
        let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(request[..end].to_vec()).expect("text").to_ascii_lowercase();
        let length = header(&head, "content-length").parse::<usize>().expect("a length");
        if request.len() >= end + 4 + length {
            break (head, request[end + 4..end + 4 + length].to_vec());
        }
    };
    let status = {
        let mut inbox = inbox.lock().expect("no panic while held");
        let status = inbox.refusals.pop_front().unwrap_or(200);
        let notification = pb::Notification::decode(&body[..]).expect("a notification");
        if status == 200 {
            inbox.told.push((header(&head, "webhook-signature").to_owned(), notification, body));
        }
        status
    };
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.expect("writable");
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default()
}

#[tokio::test]
async fn each_manner_arrives_as_its_name_says() {
    let (a, c, r) = ("a Succeeded", "c Succeeded", "r Succeeded");
    for (token, at_once, later) in [
        ("ok", &[][..], &[][..]),
        ("webhook_missing", &[], &[]),
        ("webhook_duplicate", &[a, a, c, c, r, r], &[]),
        ("webhook_reordered", &[c, r], &[a]),
        ("webhook_before_reply", &[a, c, r], &[]),
        ("requires_action", &[a], &[]),
        ("requires_action_fails", &["a Declined"], &[]),
        ("dispute_after_capture", &["dispute Open"], &[]),
        ("dispute_won", &["dispute Open"], &["dispute Won"]),
        ("dispute_lost", &["dispute Open"], &["dispute Lost"]),
        ("refund_pending_then_succeeds", &[], &["r Succeeded"]),
        ("refund_pending_then_fails", &[], &["r Declined"]),
    ] {
        let house = House::open().await;
        house.pay(token).await;
        let before = if token == "webhook_before_reply" { 3 } else { 0 };
        assert_eq!(house.told().len(), before, "{token}: nothing waits for a timer that should come before");
        house.timers().await;
        assert_eq!(house.told(), at_once, "{token}");
        for _ in 0..3 {
            house.clock.advance_ms(30_000);
            house.timers().await;
        }
        assert_eq!(house.told()[at_once.len()..], *later, "{token}");
    }
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_the_same() {
    let house = House::open().await;
    house.inbox.lock().expect("free").refusals.extend([500, 503, 404]);
    house.pay("dispute_after_capture").await;
    for told in [0, 0, 0, 1, 1] {
        house.timers().await;
        assert_eq!(house.told().len(), told);
        house.clock.advance_ms(10_000);
    }
    assert_eq!(house.store.due_timers(10).await, Ok(Vec::new()), "it is done with");
    let house = House::open().await;
    house.pay("webhook_duplicate").await;
    house.timers().await;
    let inbox = house.inbox.lock().expect("free");
    let ids: Vec<&str> = inbox.told.iter().map(|(_, told, _)| told.event_id.as_str()).collect();
    assert_eq!((ids[0], ids[2]), (ids[1], ids[3]), "the same event has the same id");
    let secret = WebhookSecret::new(b"s");
    for (signature, _, body) in &inbox.told {
        assert_eq!(secret.verify(signature, house.clock.now(), body), Ok(()));
    }
}

#[tokio::test]
async fn the_report_of_a_day_has_every_outcome_of_it() {
    let house = House::open().await;
    house.pay("ok").await;
    let report = async |date: &str| {
        let request = pb::ListOperationsRequest { date: date.to_owned(), page_token: String::new() };
        let answer =
            house.simulator.list_operations(Cx::new(Instant::now()), request).await.expect("answered");
        let line = |operation: &pb::Operation| (operation.key.clone(), operation.status());
        answer.operations.iter().map(line).collect::<Vec<_>>()
    };
    let expected = ["a", "c", "r"].map(|key| (key.to_owned(), OperationStatus::Succeeded));
    assert_eq!(report("1970-01-01").await, expected);
    assert_eq!(report("1970-01-02").await, []);
}
