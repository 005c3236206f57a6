//! The carrier's counter, its vans and its messengers: reads a request, lets the rules decide in the books, and
//! moves parcels and sends notices by durable timers.
use crate::domain::{Event, Label, Order, Parcel, Scanned};
use crate::proto;
use crate::scenarios::Scenario;
use souk_contracts::carrier::v1 as pb;
use souk_contracts::carrier::v1::{CarrierService, carrier_service};
use souk_decider::Aggregate;
use souk_eventstore::{
    CommitError, CommitId, Decision, EventStore, Expected, Folded, Origin, StreamId, Timer, Work,
};
use souk_identity::WebhookSecret;
use souk_kernel::{Clock, Error, Rejection, Timestamp};
use souk_rpc::{Bound, BoxFuture, Cx, Guard};
use souk_saga::timers::Timers;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep_until;

/// The kind of the timers that move parcels.
const SCAN: &str = "scan";
/// The kind of the timers that send notices.
const NOTICE: &str = "notice";
/// A notice that nobody takes is sent again after this long, doubled each time …
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// … up to this …
const AGAIN_MAX: Duration = Duration::from_secs(3_600);
/// … and so often, about a day.
const TRIES_MAX: u64 = 32;

/// One message to whoever waits for news of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// JSON: `eventId`, `trackingCode`, `status`, `time`.
    pub body: Vec<u8>,
    /// The header `webhook-signature`.
    pub signature: String,
}

/// Brings notices to whoever waits for them. An error means: try again later.
pub trait Messenger: Send + Sync + 'static {
    /// Delivers one notice; `Ok` only when it was taken for good.
    fn deliver(&self, notice: Notice) -> BoxFuture<'_, Result<(), Error>>;
}

/// What can be chosen about the carrier.
#[derive(Clone)]
pub struct Options {
    /// The time between two scans of a parcel.
    pub pace: Duration,
    /// Signs notices.
    pub secret: WebhookSecret,
    /// Who brings them; `None`: nobody hears of anything.
    pub messenger: Option<Arc<dyn Messenger>>,
}

/// Plays the carrier.
#[derive(Clone)]
pub struct Carrier {
    store: EventStore,
    clock: Arc<dyn Clock>,
    options: Options,
}

impl Carrier {
    /// A carrier with these books. `store` must have been opened with [`crate::views`].
    pub fn new(store: EventStore, clock: Arc<dyn Clock>, options: Options) -> Self {
        Self { store, clock, options }
    }

    /// Makes it ready to answer behind `guard`.
    pub fn bind(&self, guard: Arc<Guard>) -> Vec<Bound> {
        vec![carrier_service::bind(Arc::new(self.clone()), guard)]
    }

    /// What moves its parcels and sends its notices.
    pub fn timers(&self) -> Timers {
        let carrier = self.clone();
        let on_due = move |timer| {
            let carrier = carrier.clone();
            Box::pin(async move { carrier.on_due(timer).await }) as BoxFuture<'static, _>
        };
        Timers::new(self.store.clone(), Arc::new(on_due))
    }

    async fn buy(&self, cx: &Cx, order: Order) -> Result<pb::Label, Error> {
        let key = order.key.clone();
        let (parcel, is_first) = self.decide(cx, "buy", &key, move |parcel, _| parcel.buy(&order)).await?;
        let loses_answer = is_first && parcel.scenario() == Some(Scenario::TimeoutAfterEffect);
        match proto::label(&key, &parcel) {
            Some(label) if !loses_answer => Ok(label),
            Some(_) | None => Err(silence(cx).await),
        }
    }

    async fn void(&self, cx: &Cx, key: String) -> Result<pb::Label, Error> {
        let own = key.clone();
        let (parcel, _) = self.decide(cx, "void", &key, move |parcel, _| Ok(parcel.void(&own))).await?;
        proto::label(&key, &parcel).ok_or_else(gone)
    }

    async fn collect(&self, cx: &Cx, key: String) -> Result<pb::Label, Error> {
        let (parcel, _) = self.decide(cx, "collect", &key, Parcel::collect).await?;
        proto::label(&key, &parcel).ok_or_else(gone)
    }

    async fn find(&self, key: String) -> Result<Option<pb::Label>, Error> {
        let parcel = self.store.state::<Parcel>(&StreamId::of::<Parcel>(&key)).await?;
        Ok(proto::label(&key, &parcel))
    }

    /// Commits what `decide` makes of the label; tells whether that was anything. The commit's id holds everything
    /// that the decision depends on: a repeated call that saw the same books gets the same commit.
    async fn decide(
        &self,
        cx: &Cx,
        what: &str,
        key: &str,
        decide: impl Fn(&Parcel, Timestamp) -> Result<Vec<Event>, Rejection> + Send + Sync + 'static,
    ) -> Result<(Folded<Parcel>, bool), Error> {
        let stream = StreamId::of::<Parcel>(key);
        let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
        let origin = Origin::by(actor).correlation(cx.request_id());
        let before = self.store.state::<Parcel>(&stream).await?.version();
        let id = CommitId::derived(&[what, key, cx.request_id(), &before.to_string(), &self.now_text()]);
        let (own, pace) = (stream.clone(), self.options.pace);
        let work = Work::new(id, origin).read::<Parcel>(&stream).decide(move |facts, now| {
            let parcel = facts.state::<Parcel>(&own);
            let events = decide(&parcel, now)?;
            Ok(with_timers(Decision::new(), &own, &parcel, events, now, pace))
        });
        let committed = self.store.commit(work).await?;
        let is_first = committed.first.is_some() && !committed.replayed;
        let parcel = committed.state::<Parcel>(&stream).ok_or_else(gone)?;
        Ok((parcel, is_first))
    }

    fn now_text(&self) -> String {
        self.clock.now().unix_us().to_string()
    }

    /// A timer is due.
    ///
    /// # Errors
    /// When the commit that consumes it is not made.
    pub async fn on_due(&self, timer: Timer) -> Result<(), CommitError> {
        if &*timer.kind == SCAN { self.move_on(timer).await } else { self.tell(timer).await }
    }

    async fn move_on(&self, timer: Timer) -> Result<(), CommitError> {
        let stream = StreamId::of::<Parcel>(&timer.payload);
        let (own, pace) = (stream.clone(), self.options.pace);
        let work =
            Work::new(fired(&timer), Origin::by("van")).read::<Parcel>(&stream).decide(move |facts, now| {
                let parcel = facts.state::<Parcel>(&own);
                let events = parcel.move_on(now);
                // Consumed before the next is set: both have the same key.
                let fired = Decision::new().timer_fired(timer.key.clone(), timer.generation);
                Ok(with_timers(fired, &own, &parcel, events, now, pace))
            });
        self.store.commit(work).await.map(|_| ())
    }

    /// Sends one notice. Nobody took it: the same later, for about a day.
    async fn tell(&self, timer: Timer) -> Result<(), CommitError> {
        let taken = match self.notice(&timer).await? {
            Some((messenger, notice)) => messenger.deliver(notice).await,
            None => Ok(()),
        };
        let again = match taken {
            Ok(()) => None,
            Err(error) => {
                tracing::info!(error.type = error.reason(), tries = timer.generation, "notice not taken");
                (timer.generation < TRIES_MAX).then_some(timer.generation)
            }
        };
        let work = Work::new(fired(&timer), Origin::by("messenger")).decide(move |_, now| {
            let decision = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            let Some(tries) = again else { return Ok(decision) };
            let doubled = u32::try_from(tries).unwrap_or(u32::MAX).min(16);
            let wait = (AGAIN_FIRST * 2u32.pow(doubled)).min(AGAIN_MAX);
            Ok(decision.set_timer(Timer { due: now.plus(wait), generation: tries + 1, ..timer.clone() }))
        });
        self.store.commit(work).await.map(|_| ())
    }

    /// What the timer's payload stands for: `<scan's number> <key>`.
    async fn notice(&self, timer: &Timer) -> Result<Option<(Arc<dyn Messenger>, Notice)>, CommitError> {
        let Some(messenger) = &self.options.messenger else { return Ok(None) };
        let Some((number, key)) = timer.payload.split_once(' ') else { return Ok(None) };
        let parcel = self.store.state::<Parcel>(&StreamId::of::<Parcel>(key)).await?;
        let scan = number.parse::<usize>().ok().and_then(|number| parcel.scans().get(number));
        let (Some(scan), Label::Bought { tracking_code }) = (scan, parcel.label()) else { return Ok(None) };
        let body = body(tracking_code, scan);
        let signature = self.options.secret.sign(self.clock.now(), &body);
        Ok(Some((messenger.clone(), Notice { body, signature })))
    }
}

/// The events with the timers that follow from them: the next scan, and the notices of this one.
fn with_timers(
    decision: Decision,
    stream: &StreamId,
    parcel: &Parcel,
    events: Vec<Event>,
    now: Timestamp,
    pace: Duration,
) -> Decision {
    let mut after = parcel.clone();
    events.iter().for_each(|event| after.evolve(event));
    let has_scanned = after.scans().len() > parcel.scans().len();
    let is_new_return = after.is_return() && parcel.order().is_none();
    let mut decision = decision.append(stream, Expected::Any, events);
    if after.has_more() && (has_scanned || is_new_return) {
        let generation = after.scans().len() as u64 + 1;
        let (key, payload) = (format!("{SCAN}/{}", stream.id()).into(), stream.id().to_owned());
        decision =
            decision.set_timer(Timer { key, kind: SCAN.into(), due: now.plus(pace), generation, payload });
    }
    let (Some(scenario), true) = (after.scenario(), has_scanned) else { return decision };
    let number = after.scans().len() - 1;
    let due = now.plus(pace * scenario.notice_delay(&after.scans()[number].status));
    (0..scenario.notices()).fold(decision, |decision, copy| {
        let key = format!("{NOTICE}/{number}/{copy}/{}", stream.id()).into();
        let payload = format!("{number} {}", stream.id());
        decision.set_timer(Timer { key, kind: NOTICE.into(), due, generation: 1, payload })
    })
}

/// No character of it needs an escape.
fn body(tracking_code: &str, scan: &Scanned) -> Vec<u8> {
    let Scanned { event_id, status, at } = scan;
    format!(
        r#"{{"eventId":"{event_id}","trackingCode":"{tracking_code}","status":"{status}","time":"{at}"}}"#
    )
    .into_bytes()
}

fn fired(timer: &Timer) -> CommitId {
    CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()])
}

fn gone() -> Error {
    Error::internal("a commit lost the state that it had read")
}

/// No answer for as long as the caller waits.
async fn silence(cx: &Cx) -> Error {
    sleep_until(cx.deadline()).await;
    Error::unavailable("the carrier did not answer")
}

impl CarrierService for Carrier {
    fn buy_label(
        &self,
        cx: Cx,
        request: pb::BuyLabelRequest,
    ) -> BoxFuture<'_, Result<pb::BuyLabelResponse, Error>> {
        Box::pin(async move {
            let label = Some(self.buy(&cx, proto::order(request)?).await?);
            Ok(pb::BuyLabelResponse { label })
        })
    }

    fn void_label(
        &self,
        cx: Cx,
        request: pb::VoidLabelRequest,
    ) -> BoxFuture<'_, Result<pb::VoidLabelResponse, Error>> {
        Box::pin(async move {
            let label = Some(self.void(&cx, proto::key(request.key)?).await?);
            Ok(pb::VoidLabelResponse { label })
        })
    }

    fn find_label(
        &self,
        _cx: Cx,
        request: pb::FindLabelRequest,
    ) -> BoxFuture<'_, Result<pb::FindLabelResponse, Error>> {
        Box::pin(async move {
            let label = self.find(proto::key(request.key)?).await?;
            Ok(pb::FindLabelResponse { label })
        })
    }

    fn collect(
        &self,
        cx: Cx,
        request: pb::CollectRequest,
    ) -> BoxFuture<'_, Result<pb::CollectResponse, Error>> {
        Box::pin(async move {
            let label = Some(self.collect(&cx, proto::key(request.key)?).await?);
            Ok(pb::CollectResponse { label })
        })
    }
}
