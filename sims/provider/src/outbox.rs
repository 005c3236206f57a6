//! Notifications to the merchant. What is due stands in the books; a timer of the same commit makes sure that it is
//! sent, again and again until it is taken, also after a restart. The manner of each decides what may go wrong.
use crate::domain::{self, Authorization, Event, Kind, NotificationDue, NotificationSent, Status};
use crate::post::{Messenger, Notice};
use crate::proto;
use prost::Message;
use souk_contracts::provider::v1 as pb;
use souk_contracts::terms::money_to_proto;
use souk_eventstore::{CommitError, CommitId, Decision, EventStore, Expected, Origin, StreamId, Timer, Work};
use souk_identity::WebhookSecret;
use souk_kernel::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The kind of timer that sends a notification.
pub(crate) const NOTIFY: &str = "notify";
/// The kind of timer with which a refund that was on its way comes to its end.
pub(crate) const SETTLE: &str = "settle";

/// How late a notification comes that is overtaken by later ones, and how long a dispute takes.
const LATE: Duration = Duration::from_secs(10);
/// When a notification that should have come before the answer is tried again.
const SOON: Duration = Duration::from_secs(5);
/// How long a refund is on its way when nobody asks.
const SETTLES_AFTER: Duration = Duration::from_secs(30);
/// The first and the longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What notifications look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `souk.provider.v1.Notification` in protobuf.
    Protobuf,
    /// The events of the [HTTP API](crate::intents) in JSON.
    Events,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Format::Protobuf => "application/x-protobuf",
            Format::Events => "application/json",
        }
    }

    /// The body; `None` when there is no event for it.
    fn body(self, message: &pb::Notification, now: Timestamp) -> Option<Vec<u8>> {
        match self {
            Format::Protobuf => Some(message.encode_to_vec()),
            Format::Events => crate::intents::event(message, now),
        }
    }
}

/// Where notifications go, what they look like, and how they are signed.
#[derive(Clone)]
pub struct Merchant {
    /// Who brings them: an [`Address`](crate::Address), or another way.
    pub messenger: Arc<dyn Messenger>,
    /// What it expects to read.
    pub format: Format,
    /// What the merchant knows us by.
    pub secret: WebhookSecret,
}

/// Sends what is due.
#[derive(Clone)]
pub struct Outbox {
    store: EventStore,
    clock: Arc<dyn Clock>,
    merchant: Merchant,
}

impl Outbox {
    pub(crate) fn new(store: EventStore, clock: Arc<dyn Clock>, merchant: Merchant) -> Self {
        Self { store, clock, merchant }
    }

    /// Does what a timer is there for.
    ///
    /// # Errors
    /// When the books cannot be written.
    pub async fn on_due(&self, timer: Timer) -> Result<(), CommitError> {
        let Some((stream, key, manner)) = read_payload(&timer.payload) else {
            return self.commit(&timer, |decision| decision).await;
        };
        if &*timer.kind == SETTLE {
            return self.settle(timer, stream, key).await;
        }
        if self.send(&stream, &key, &manner).await {
            return self.commit(&timer, move |decision| sent(decision, &stream, &key, &manner)).await;
        }
        let pause = PAUSE.saturating_mul(1 << timer.generation.min(16)).min(PAUSE_MAX);
        let (due, generation) = (self.clock.now().plus(pause), timer.generation + 1);
        let again = Timer { due, generation, ..timer.clone() };
        self.commit(&timer, move |decision| decision.set_timer(again.clone())).await
    }

    /// Sends one at once, before the answer that it is about. What fails is left to its timer.
    pub(crate) async fn send_before_reply(&self, stream: &StreamId, due: &NotificationDue) {
        if !self.send(stream, &due.key, &due.manner).await {
            return;
        }
        let (stream, key, manner) = (stream.clone(), due.key.clone(), due.manner.clone());
        let id = CommitId::derived(&["sent", &key, &manner]);
        let work = Work::new(id, Origin::by("provider")).decide(move |_, _| {
            let decision = Decision::new().cancel_timer(timer_key(&key, &manner));
            Ok(sent(decision, &stream, &key, &manner))
        });
        // A lost commit only means that the timer sends it once more.
        if let Err(error) = self.store.commit(work).await {
            tracing::warn!(error = %error, "a notification was sent and not noted");
        }
    }

    /// Whether the merchant took it.
    async fn send(&self, stream: &StreamId, key: &str, manner: &str) -> bool {
        let Ok(state) = self.store.state::<Authorization>(stream).await else { return false };
        let Some(message) = notification(&state, stream.id(), key, manner) else { return true };
        let format = self.merchant.format;
        let Some(body) = format.body(&message, self.clock.now()) else { return true };
        let body = bytes::Bytes::from(body);
        let times = if manner == "duplicate" { 2 } else { 1 };
        for _ in 0..times {
            let signature = self.merchant.secret.sign(self.clock.now(), &body);
            let notice = Notice { content_type: format.content_type(), body: body.clone(), signature };
            if let Err(error) = self.merchant.messenger.deliver(notice).await {
                tracing::info!(error.type = error.reason(), "notification not taken");
                return false;
            }
        }
        true
    }

    async fn settle(&self, timer: Timer, stream: StreamId, key: String) -> Result<(), CommitError> {
        let now = self.clock.now();
        let id = CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()]);
        let work =
            Work::new(id, Origin::by("provider")).read::<Authorization>(&stream).decide(move |facts, _| {
                let events = domain::decide_asked(&facts.state::<Authorization>(&stream), stream.id(), &key);
                let decision = Decision::new().timer_fired(timer.key.clone(), timer.generation);
                Ok(with_timers(decision, &stream, &events, now).append(&stream, Expected::Exists, events))
            });
        self.store.commit(work).await.map(drop)
    }

    async fn commit(
        &self,
        timer: &Timer,
        more: impl Fn(Decision) -> Decision + Send + Sync + 'static,
    ) -> Result<(), CommitError> {
        let (key, generation) = (timer.key.clone(), timer.generation);
        let id = CommitId::derived(&["timer", &key, &generation.to_string()]);
        let work = Work::new(id, Origin::by("provider"))
            .decide(move |_, _| Ok(more(Decision::new().timer_fired(key.clone(), generation))));
        self.store.commit(work).await.map(drop)
    }
}

/// The timers without which what `events` make due would never be done.
pub(crate) fn with_timers(
    mut decision: Decision,
    stream: &StreamId,
    events: &[Event],
    now: Timestamp,
) -> Decision {
    for event in events {
        let timer = match event {
            Event::NotificationDue(e) => delay(e).map(|delay| {
                (NOTIFY, timer_key(&e.key, &e.manner), payload(stream, &e.key, &e.manner), delay)
            }),
            Event::RefundPending(e) => {
                Some((SETTLE, format!("settle:{}", e.key), payload(stream, &e.key, ""), SETTLES_AFTER))
            }
            Event::Authorized(_)
            | Event::AuthorizationDeclined(_)
            | Event::ActionRequired(_)
            | Event::Captured(_)
            | Event::CaptureDeclined(_)
            | Event::Voided(_)
            | Event::VoidDeclined(_)
            | Event::Refunded(_)
            | Event::RefundDeclined(_)
            | Event::AttemptFailed(_)
            | Event::NotificationSent(_)
            | Event::Reauthorized(_)
            | Event::ReauthorizationDeclined(_) => None,
        };
        if let Some((kind, key, payload, delay)) = timer {
            let due = now.plus(delay);
            decision =
                decision.set_timer(Timer { key: key.into(), kind: kind.into(), due, generation: 1, payload });
        }
    }
    decision
}

/// How long after the operation its notification is sent; `None` for never.
fn delay(due: &NotificationDue) -> Option<Duration> {
    match due.manner.as_str() {
        "missing" => None,
        "before_reply" => Some(SOON),
        "reordered" if due.kind == Kind::Authorize => Some(LATE),
        "dispute_won" | "dispute_lost" => Some(LATE),
        _ => Some(Duration::ZERO),
    }
}

fn sent(decision: Decision, stream: &StreamId, key: &str, manner: &str) -> Decision {
    let (key, manner) = (key.to_owned(), manner.to_owned());
    let event = NotificationSent { key, authorization_key: stream.id().to_owned(), manner };
    decision.append(stream, Expected::Exists, vec![Event::NotificationSent(event)])
}

fn timer_key(key: &str, manner: &str) -> String {
    format!("notify:{key}:{manner}")
}

/// Keys are visible ASCII, so a space ends one.
fn payload(stream: &StreamId, key: &str, manner: &str) -> String {
    format!("{} {key} {manner}", stream.id())
}

fn read_payload(payload: &str) -> Option<(StreamId, String, String)> {
    let mut parts = payload.splitn(3, ' ');
    let stream = StreamId::of::<Authorization>(parts.next()?);
    Some((stream, parts.next()?.to_owned(), parts.next()?.to_owned()))
}

/// What is said: how the operation stands by now, or what has become of the dispute.
fn notification(
    state: &Authorization,
    authorization_key: &str,
    key: &str,
    manner: &str,
) -> Option<pb::Notification> {
    let operation = state.operation(key)?;
    let dispute = |status: pb::DisputeStatus| {
        pb::notification::About::Dispute(pb::Dispute {
            dispute_id: format!("dsp_{key}").replace(':', "_"),
            authorization_key: authorization_key.to_owned(),
            amount: operation.amount.map(money_to_proto),
            status: status.into(),
            reason: "product_not_received".to_owned(),
        })
    };
    let about = match manner {
        "dispute" => dispute(pb::DisputeStatus::Open),
        "dispute_won" => dispute(pb::DisputeStatus::Won),
        "dispute_lost" => dispute(pb::DisputeStatus::Lost),
        _ => pb::notification::About::Operation(proto::operation(state, key, authorization_key, operation)),
    };
    // A pending refund is told twice under its key: when it is asked for and when it ends.
    let phase = if operation.status == Status::Pending { ":pending" } else { "" };
    Some(pb::Notification { event_id: format!("evt_{key}:{manner}{phase}"), about: Some(about) })
}
