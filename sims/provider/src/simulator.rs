//! The provider's counter: reads a request, lets the rules decide in the books, and gives the answer in the
//! manner of the payment method, which may be late or never.
use crate::domain::{self, Authorization, Command, Event, NotificationDue, Operation, Status};
use crate::outbox::{self, Merchant, Outbox};
use crate::tokens::{Delivery, Failure};
use crate::{proto, views};
use souk_contracts::provider::v1 as pb;
use souk_contracts::provider::v1::ProviderService;
use souk_eventstore::{CommitId, Committed, Decision, EventStore, Expected, Folded, Origin, StreamId, Work};
use souk_kernel::{Clock, Code, Error, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use souk_telemetry::{crash_point, sometimes};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// In this scope a key is claimed by the operation that it names, for ever.
const KEYS: &str = "operation";

/// Answers as the provider.
#[derive(Clone)]
pub struct Simulator {
    store: EventStore,
    clock: Arc<dyn Clock>,
    outbox: Option<Outbox>,
}

impl Simulator {
    /// A provider with these books. `store` must have been opened with [`crate::views`].
    pub fn new(store: EventStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, outbox: None }
    }

    /// The same, which tells this merchant by itself what happens.
    pub fn telling(mut self, merchant: Merchant) -> Self {
        self.outbox = Some(Outbox::new(self.store.clone(), Arc::clone(&self.clock), merchant));
        self
    }

    /// What sends the notifications, if there is somebody to tell.
    pub fn outbox(&self) -> Option<Outbox> {
        self.outbox.clone()
    }

    pub(crate) async fn carry_out(&self, cx: &Cx, command: Command) -> Result<pb::Operation, Error> {
        let stream = StreamId::of::<Authorization>(command.authorization_key());
        let seen = self.store.state::<Authorization>(&stream).await?;
        crash_point!("provider.effect.before", "{}", command.kind().name());
        let committed = self.decide(cx, &stream, seen.version(), command.clone()).await?;
        crash_point!("provider.effect.after", "{}", command.kind().name());
        let is_first = committed.first.is_some() && !committed.replayed;
        let state = state_of(&committed, &stream)?;
        let token = domain::token_of(&state, &command);
        let Some(operation) = state.operation(command.key()) else {
            return Err(failure(cx, token.and_then(|token| token.first_failure())).await);
        };
        let delivery = token.filter(|_| is_first).map_or(Delivery::Prompt, |t| t.delivery(command.kind()));
        let found = proto::operation(&state, command.key(), command.authorization_key(), operation);
        if is_first {
            self.tell_before_reply(&stream, &command).await;
        }
        match delivery {
            Delivery::Prompt => {}
            Delivery::Late(after) => late(cx, after).await?,
            Delivery::Lost => {
                sometimes!("a provider's answer was lost");
                return Err(silence(cx).await);
            }
        }
        Ok(found)
    }

    /// All that stands in the books about an authorisation.
    pub(crate) async fn authorization(&self, key: &str) -> Result<Folded<Authorization>, Error> {
        Ok(self.store.state::<Authorization>(&StreamId::of::<Authorization>(key)).await?)
    }

    /// What is due before the answer is sent before the answer.
    async fn tell_before_reply(&self, stream: &StreamId, command: &Command) {
        let Some(outbox) = &self.outbox else { return };
        let Ok(state) = self.store.state::<Authorization>(stream).await else { return };
        let token = domain::token_of(&state, command);
        if !token.is_some_and(|token| token.tells_before_reply()) {
            return;
        }
        let (key, authorization_key) = (command.key().to_owned(), stream.id().to_owned());
        let manner = "before_reply".to_owned();
        let due = NotificationDue { key, authorization_key, kind: command.kind(), manner };
        outbox.send_before_reply(stream, &due).await;
    }

    /// The commit's id holds everything that the decision depends on: a repeated call that saw the same books
    /// gets the same commit, a later one decides again.
    async fn decide(
        &self,
        cx: &Cx,
        stream: &StreamId,
        version: u64,
        command: Command,
    ) -> Result<Committed, Error> {
        let id = CommitId::derived(&[&format!("{command:?}"), &version.to_string()]);
        let owner = format!("{}:{}", command.kind().name(), command.authorization_key());
        let (now, own, tells) = (self.clock.now(), stream.clone(), self.outbox.is_some());
        let work = Work::new(id, origin(cx)).read::<Authorization>(stream).claim(KEYS, command.key()).decide(
            move |facts, _| {
                let key = command.key();
                if facts.claim(KEYS, key).is_some_and(|other| other != owner) {
                    return Err(domain::key_reused(key));
                }
                let events = domain::decide(&facts.state::<Authorization>(&own), &command, now)?;
                let has_outcome = events.iter().any(|event| !matches!(event, Event::AttemptFailed(_)));
                let decision = Decision::new();
                let decision =
                    if tells { outbox::with_timers(decision, &own, &events, now) } else { decision };
                let decision = decision.append(&own, Expected::Any, events);
                Ok(if has_outcome { decision.hold(KEYS, key, owner.as_str()) } else { decision })
            },
        );
        Ok(self.store.commit(work).await?)
    }

    pub(crate) async fn find(&self, cx: &Cx, key: String) -> Result<Option<pb::Operation>, Error> {
        let rows = self.store.query(views::find(&key)).await?;
        let Some(authorization_key) = rows.first().map(|row| row.text(0).to_owned()) else {
            return Ok(None);
        };
        let stream = StreamId::of::<Authorization>(&authorization_key);
        let mut state = self.store.state::<Authorization>(&stream).await?;
        let is_pending = |operation: &Operation| operation.status == Status::Pending;
        if state.operation(&key).is_some_and(is_pending) {
            state = self.asked(cx, &stream, &key).await?;
        }
        let operation = state.operation(&key);
        Ok(operation.map(|operation| proto::operation(&state, &key, &authorization_key, operation)))
    }

    /// By the time that somebody asks, what was on its way has come to its end.
    async fn asked(&self, cx: &Cx, stream: &StreamId, key: &str) -> Result<Folded<Authorization>, Error> {
        let asked = key.to_owned();
        let id = CommitId::derived(&["asked", key]);
        let decide = move |state: &Authorization, authorization_key: &str, _| {
            domain::decide_asked(state, authorization_key, &asked)
        };
        self.move_on(cx, id, stream, decide).await
    }

    /// The customer comes back.
    pub(crate) async fn completed(&self, cx: &Cx, key: String) -> Result<Option<pb::Operation>, Error> {
        let stream = StreamId::of::<Authorization>(&key);
        let version = self.store.state::<Authorization>(&stream).await?.version();
        let id = CommitId::derived(&["completed", &key, &version.to_string()]);
        let decide = |state: &Authorization, key: &str, now| domain::decide_completed(state, key, now);
        let state = self.move_on(cx, id, &stream, decide).await?;
        Ok(state.operation(&key).map(|operation| proto::operation(&state, &key, &key, operation)))
    }

    async fn move_on(
        &self,
        cx: &Cx,
        id: CommitId,
        stream: &StreamId,
        decide: impl Fn(&Authorization, &str, Timestamp) -> Vec<Event> + Send + Sync + 'static,
    ) -> Result<Folded<Authorization>, Error> {
        let (now, own, tells) = (self.clock.now(), stream.clone(), self.outbox.is_some());
        let work = Work::new(id, origin(cx)).read::<Authorization>(stream).decide(move |facts, _| {
            let events = decide(&facts.state::<Authorization>(&own), own.id(), now);
            let decision = Decision::new();
            let decision = if tells { outbox::with_timers(decision, &own, &events, now) } else { decision };
            Ok(decision.append(&own, Expected::Any, events))
        });
        state_of(&self.store.commit(work).await?, stream)
    }

    pub(crate) async fn list(&self, page: proto::Page) -> Result<pb::ListOperationsResponse, Error> {
        let (settled, key) = &page.after;
        let rows = self.store.query(views::of_time(page.from, page.to, (*settled, key))).await?;
        let mut operations = Vec::with_capacity(rows.len());
        for row in &rows {
            let (key, authorization_key) = (row.text(0), row.text(1));
            let state =
                self.store.state::<Authorization>(&StreamId::of::<Authorization>(authorization_key)).await?;
            let operation = state.operation(key);
            operations.extend(operation.map(|one| proto::operation(&state, key, authorization_key, one)));
        }
        let last = rows.last().filter(|_| rows.len() == views::PAGE);
        let next_page_token =
            last.map(|row| format!("{} {}", row.get::<i64>(2), row.text(0))).unwrap_or_default();
        Ok(pb::ListOperationsResponse { operations, next_page_token })
    }
}

fn state_of(committed: &Committed, stream: &StreamId) -> Result<Folded<Authorization>, Error> {
    committed.state(stream).ok_or_else(|| Error::internal("a commit lost the state that it had read"))
}

fn origin(cx: &Cx) -> Origin {
    let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
    Origin::by(actor).correlation(cx.request_id())
}

async fn failure(cx: &Cx, failure: Option<Failure>) -> Error {
    match failure {
        Some(Failure::Silence) => silence(cx).await,
        Some(Failure::ServerError) | None => {
            Error::new(Code::Internal, "PROVIDER_ERROR", "the payment provider had an error of its own")
        }
    }
}

/// An answer that takes its time. Whoever does not wait so long hears nothing.
async fn late(cx: &Cx, after: Duration) -> Result<(), Error> {
    let ready = Instant::now() + after;
    if cx.deadline() < ready {
        return Err(silence(cx).await);
    }
    sleep_until(ready).await;
    Ok(())
}

/// No answer for as long as the caller waits.
async fn silence(cx: &Cx) -> Error {
    sleep_until(cx.deadline()).await;
    Error::unavailable("the payment provider did not answer")
}

impl ProviderService for Simulator {
    fn authorize(
        &self,
        cx: Cx,
        request: pb::AuthorizeRequest,
    ) -> BoxFuture<'_, Result<pb::AuthorizeResponse, Error>> {
        Box::pin(async move {
            let operation = Some(self.carry_out(&cx, proto::authorize(request)?).await?);
            Ok(pb::AuthorizeResponse { operation })
        })
    }

    fn capture(
        &self,
        cx: Cx,
        request: pb::CaptureRequest,
    ) -> BoxFuture<'_, Result<pb::CaptureResponse, Error>> {
        Box::pin(async move {
            let operation = Some(self.carry_out(&cx, proto::capture(request)?).await?);
            Ok(pb::CaptureResponse { operation })
        })
    }

    fn void(&self, cx: Cx, request: pb::VoidRequest) -> BoxFuture<'_, Result<pb::VoidResponse, Error>> {
        Box::pin(async move {
            let operation = Some(self.carry_out(&cx, proto::void(request)?).await?);
            Ok(pb::VoidResponse { operation })
        })
    }

    fn refund(&self, cx: Cx, request: pb::RefundRequest) -> BoxFuture<'_, Result<pb::RefundResponse, Error>> {
        Box::pin(async move {
            let operation = Some(self.carry_out(&cx, proto::refund(request)?).await?);
            Ok(pb::RefundResponse { operation })
        })
    }

    fn reauthorize(
        &self,
        cx: Cx,
        request: pb::ReauthorizeRequest,
    ) -> BoxFuture<'_, Result<pb::ReauthorizeResponse, Error>> {
        Box::pin(async move {
            let operation = Some(self.carry_out(&cx, proto::reauthorize(request)?).await?);
            Ok(pb::ReauthorizeResponse { operation })
        })
    }

    fn complete_action(
        &self,
        cx: Cx,
        request: pb::CompleteActionRequest,
    ) -> BoxFuture<'_, Result<pb::CompleteActionResponse, Error>> {
        Box::pin(async move {
            let operation = self.completed(&cx, proto::complete_action(request)?).await?;
            Ok(pb::CompleteActionResponse { operation })
        })
    }

    fn list_operations(
        &self,
        _cx: Cx,
        request: pb::ListOperationsRequest,
    ) -> BoxFuture<'_, Result<pb::ListOperationsResponse, Error>> {
        Box::pin(async move { self.list(proto::list_operations(&request)?).await })
    }

    fn find_by_key(
        &self,
        cx: Cx,
        request: pb::FindByKeyRequest,
    ) -> BoxFuture<'_, Result<pb::FindByKeyResponse, Error>> {
        Box::pin(async move {
            let operation = self.find(&cx, proto::find(request)?).await?;
            Ok(pb::FindByKeyResponse { operation })
        })
    }
}
