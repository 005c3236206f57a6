//! Carries out what is wanted of a payment: records the intent, calls the provider, records its answer.
//!
//! There is one path for the first call, for a retry and for what a crash left behind: the state says what
//! is not settled, the provider is asked by key, and only what it has no record of is called again, with
//! the same key. A call without an answer is a doubt and never a refusal.
pub mod adapter;
mod alarms;
mod intake;
pub mod intents;
pub mod reconcile;

pub use adapter::RpcProvider;
pub use intents::IntentsProvider;

use crate::domain::notice::Notice;
use crate::domain::{
    self, Alarm, Answer, Command, Next, Payment, PaymentEvent, Promise, Source, Step, TimerChange, Void,
    Waiting, Want,
};
use crate::proto::Day;
use souk_contracts::terms::PaymentId;
use souk_eventstore::{CommitId, Decision, EventStore, Expected, Folded, Origin, StreamId, Timer, Work};
use souk_kernel::{Code, Error, Ids, Money, Rejection, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use souk_telemetry::{crash_point, sometimes};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long one call to the provider may take before its outcome counts as unknown.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// How many questions and calls one request makes at most; a void may have to settle several captures first.
pub const ROUNDS_MAX: usize = 16;

/// When a caller should try again while an outcome is not known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What may be called at a payment provider. Every operation carries its key; the same key has at most one
/// effect. An error is a call without an answer, whatever its code: only an [`Answer`] is the provider's word.
pub trait Provider: Send + Sync + 'static {
    /// Promises `amount` on the payment method; `reference` is ours.
    fn authorize(&self, cx: Cx, call: Authorize) -> BoxFuture<'_, Result<Answer, Error>>;
    /// Takes a part of what is promised under `authorization`.
    fn capture(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>>;
    /// Gives up what is promised under `authorization` and leaves a tombstone where nothing is.
    fn void(&self, cx: Cx, key: String, authorization: String) -> BoxFuture<'_, Result<Answer, Error>>;
    /// Gives back a part of what was taken under `authorization`.
    fn refund(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>>;
    /// Promises anew under `authorization`, whose promise expired.
    fn reauthorize(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>>;
    /// What came of the action that `authorization` waited for; `None` when there is no such thing.
    fn complete(&self, cx: Cx, authorization: String) -> BoxFuture<'_, Result<Option<Answer>, Error>>;
    /// Every operation whose outcome is of this day.
    fn report(&self, cx: Cx, day: Day) -> BoxFuture<'_, Result<Vec<Reported>, Error>>;
    /// Reads what was told by itself, and makes sure that it was told by the provider, and now.
    ///
    /// # Errors
    /// `BAD_SIGNATURE`, or what is wrong with the content.
    fn notice(&self, message: &Message<'_>, now: Timestamp) -> Result<Notice, Error>;
    /// Its name in addresses and books, for example `sim`.
    fn name(&self) -> &'static str;
    /// What became of the operation with this key; `None` when it has never had an effect.
    fn find(&self, cx: Cx, key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>>;
}

/// A notice as it came.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The headers that matter, by lower-case name.
    pub headers: &'a BTreeMap<String, String>,
    /// The bytes.
    pub body: &'a [u8],
}

/// One line of the provider's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The operation's key.
    pub key: String,
    /// What became of it.
    pub answer: Answer,
    /// How much; absent of a void.
    pub amount: Option<Money>,
}

/// A promise to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorize {
    /// The operation's key.
    pub key: String,
    /// How much.
    pub amount: Money,
    /// From which payment method.
    pub method_token: String,
    /// Our own name for it.
    pub reference: String,
}

/// Money to take or to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The operation's key.
    pub key: String,
    /// The key of the authorisation.
    pub authorization: String,
    /// How much.
    pub amount: Money,
}

/// Carries out commands.
#[derive(Clone)]
pub struct Cashier {
    pub(crate) store: EventStore,
    ids: Ids,
    pub(crate) provider: Arc<dyn Provider>,
}

impl Cashier {
    /// A cashier who records in `store` and calls `provider`.
    pub fn new(store: EventStore, ids: Ids, provider: Arc<dyn Provider>) -> Self {
        Self { store, ids, provider }
    }

    /// Carries out `command` as far as it can be settled now.
    ///
    /// # Errors
    /// A refusal, which is the same for ever; or UNAVAILABLE, which means that the same command must be given
    /// again until it is settled.
    pub async fn carry_out(&self, cx: &Cx, command: Command) -> Result<Folded<Payment>, Error> {
        let id = command.payment_id;
        let want = command.want.clone();
        let decide = move |payment: &Payment, now| domain::decide(payment, &command, now);
        let (mut payment, is_new) = self.commit(cx, id, decide).await?;
        let mut unheard = BTreeSet::new();
        if is_new {
            unheard.insert(want.step());
        }
        for _ in 0..ROUNDS_MAX {
            payment = match domain::next(&payment, &want, &unheard) {
                Next::Answer => return Ok(payment),
                Next::Refuse(rejection) => return Err(rejection.into()),
                Next::Wait(why) => return Err(not_yet(why)),
                Next::Find(step) => match self.find(cx, id, &step).await? {
                    Some(payment) => payment,
                    None => {
                        unheard.insert(step);
                        self.payment(id).await?
                    }
                },
                Next::Perform(step) => self.perform(cx, &payment, id, &step).await?,
            };
            // A refund on its way is an answer; what becomes of it is asked for later.
            if is_on_its_way_back(&payment, &want) {
                return Ok(payment);
            }
        }
        Err(not_yet("too much of this payment is not settled yet"))
    }

    pub(crate) fn new_id(&self) -> souk_kernel::Uuid {
        self.ids.uuid()
    }

    /// The payment as it is recorded.
    pub async fn payment(&self, id: PaymentId) -> Result<Folded<Payment>, Error> {
        Ok(self.store.state::<Payment>(&StreamId::of::<Payment>(id)).await?)
    }

    /// The customer has acted: the provider is asked what came of it, unless the time for it is over.
    ///
    /// # Errors
    /// UNAVAILABLE when the provider does not answer.
    pub async fn complete_action(&self, cx: &Cx, id: PaymentId) -> Result<Folded<Payment>, Error> {
        let payment = self.payment(id).await?;
        let is_asked = match payment.promise() {
            Promise::ActionRequired { until, .. } => self.store.now() < *until,
            Promise::None
            | Promise::Requested(_)
            | Promise::Held { .. }
            | Promise::Expired
            | Promise::Declined { .. } => false,
        };
        if !is_asked || *payment.void() != Void::None {
            return Ok(payment);
        }
        let question = self.provider.complete(attempt(cx), Step::Authorize.key(id));
        match within_attempt(question).await {
            Ok(Some(answer)) => self.record(cx, id, &Step::Authorize, answer, Source::Answer).await,
            Ok(None) => Ok(payment),
            Err(why) => Err(not_yet("the payment provider has not said what came of it").with_source(why)),
        }
    }

    /// Asks what became of `step` and records it; `None` when the provider has no record of it.
    async fn find(&self, cx: &Cx, id: PaymentId, step: &Step) -> Result<Option<Folded<Payment>>, Error> {
        crash_point!("effect.call.before", "find/{}", operation(step, id));
        sometimes!("a provider was asked what became of a call");
        let question = self.provider.find(attempt(cx), step.key(id));
        let found = within_attempt(question).await;
        crash_point!("effect.call.after", "find/{}", operation(step, id));
        match found {
            Ok(None) => Ok(None),
            Ok(Some(answer)) => {
                sometimes!("a provider had done what nobody had heard of");
                self.record(cx, id, step, answer, Source::Query).await.map(Some)
            }
            Err(why) => Err(self.doubt(cx, id, step, why).await),
        }
    }

    async fn perform(
        &self,
        cx: &Cx,
        payment: &Payment,
        id: PaymentId,
        step: &Step,
    ) -> Result<Folded<Payment>, Error> {
        crash_point!("effect.call.before", "{}", operation(step, id));
        let answered = within_attempt(self.call(attempt(cx), payment, id, step)).await;
        crash_point!("effect.call.after", "{}", operation(step, id));
        match answered {
            Ok(answer) => self.record(cx, id, step, answer, Source::Answer).await,
            Err(why) => Err(self.doubt(cx, id, step, why).await),
        }
    }

    async fn call(&self, cx: Cx, payment: &Payment, id: PaymentId, step: &Step) -> Result<Answer, Error> {
        let missing = || Error::internal("a step is carried out that was never recorded");
        let request = payment.request().ok_or_else(missing)?;
        let (key, authorization) = (step.key(id), request.key.clone());
        match step {
            Step::Authorize => {
                let (amount, method_token) = (request.amount, request.method_token.clone());
                let reference = request.order_id.to_string();
                self.provider.authorize(cx, Authorize { key, amount, method_token, reference }).await
            }
            Step::Void => self.provider.void(cx, key, authorization).await,
            Step::Capture(capture_id) => {
                let amount = payment.captures().get(capture_id).ok_or_else(missing)?.amount;
                self.provider.capture(cx, Move { key, authorization, amount }).await
            }
            Step::Refund(refund_id) => {
                let amount = payment.refunds().get(refund_id).ok_or_else(missing)?.amount;
                self.provider.refund(cx, Move { key, authorization, amount }).await
            }
            Step::Reauthorize(_) => {
                let amount = payment.amount_of(step).ok_or_else(missing)?;
                self.provider.reauthorize(cx, Move { key, authorization, amount }).await
            }
        }
    }

    async fn record(
        &self,
        cx: &Cx,
        id: PaymentId,
        step: &Step,
        answer: Answer,
        source: Source,
    ) -> Result<Folded<Payment>, Error> {
        let is_pending = answer == Answer::Pending && !matches!(step, Step::Refund(_));
        let step = step.clone();
        let decide = move |payment: &Payment, now| Ok(domain::record(payment, &step, &answer, source, now));
        let (payment, _) = self.commit(cx, id, decide).await?;
        if is_pending { Err(not_yet("the payment provider is still at it")) } else { Ok(payment) }
    }

    /// Records that a call had no answer, and says so.
    async fn doubt(&self, cx: &Cx, id: PaymentId, step: &Step, why: Error) -> Error {
        tracing::warn!(payment_id = %id, step = ?step, error.type = why.reason(), "provider outcome unknown");
        let step = step.clone();
        let decide = move |payment: &Payment, now| Ok(domain::doubt(payment, &step, now));
        match self.commit(cx, id, decide).await {
            Ok(_) => not_yet("the payment provider has not said what became of it").with_source(why),
            Err(error) => error,
        }
    }

    /// Commits what `decide` makes of the payment; tells whether that was anything.
    async fn commit(
        &self,
        cx: &Cx,
        id: PaymentId,
        decide: impl Fn(&Payment, Timestamp) -> Result<Vec<PaymentEvent>, Rejection> + Send + Sync + 'static,
    ) -> Result<(Folded<Payment>, bool), Error> {
        let stream = StreamId::of::<Payment>(id);
        let own = stream.clone();
        let work = Work::new(CommitId::new(self.ids.uuid()), origin(cx)).read::<Payment>(&stream).decide(
            move |facts, now| {
                let payment = facts.state::<Payment>(&own);
                let events = decide(&payment, now)?;
                let decision = with_timers(Decision::new(), &payment, &events, now);
                Ok(decision.append(&own, Expected::Any, events))
            },
        );
        let committed = self.store.commit(work).await?;
        let is_new = committed.first.is_some();
        let payment = committed.state(&stream);
        let lost = || Error::internal("a commit lost the state that it had read");
        Ok((payment.ok_or_else(lost)?, is_new))
    }
}

/// What kind of operation a step is: the middle of its key.
fn operation(step: &Step, id: PaymentId) -> String {
    step.key(id).split(':').nth(1).unwrap_or_default().to_owned()
}

fn is_on_its_way_back(payment: &Payment, want: &Want) -> bool {
    match want {
        Want::Refund { .. } => payment.waiting(&want.step()) == Some(Waiting::Pending),
        Want::Authorize { .. } | Want::Capture { .. } | Want::Void { .. } | Want::Reauthorize { .. } => false,
    }
}

/// The timers that `events` need or need no more, in the same commit.
pub(crate) fn with_timers(
    decision: Decision,
    payment: &Payment,
    events: &[PaymentEvent],
    now: Timestamp,
) -> Decision {
    domain::timers(payment, events).into_iter().fold(decision, |decision, change| match change {
        TimerChange::Set(alarm, due) => decision.set_timer(timer(&alarm, due, now)),
        TimerChange::Cancel(alarm) => decision.cancel_timer(alarm.to_string()),
    })
}

/// The timer of `alarm`, set `now`.
pub(crate) fn timer(alarm: &Alarm, due: Timestamp, now: Timestamp) -> Timer {
    let (key, kind, payload) = (alarm.to_string().into(), domain::time::TIMER.into(), String::new());
    let generation = u64::try_from(now.unix_us()).unwrap_or_default();
    Timer { key, kind, due, generation, payload }
}

pub(crate) fn origin(cx: &Cx) -> Origin {
    let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
    Origin::by(actor).correlation(cx.request_id()).causation(cx.request_id())
}

/// The circumstances of one attempt: it ends a little before the caller stops to wait.
pub(crate) fn attempt(cx: &Cx) -> Cx {
    let until = tokio::time::Instant::now() + ATTEMPT_TIMEOUT;
    cx.clone().with_deadline(cx.deadline().min(until))
}

pub(crate) async fn within_attempt<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late =
        |_| Err(Error::new(Code::DeadlineExceeded, "PROVIDER_SILENT", "the payment provider is silent"));
    tokio::time::timeout(ATTEMPT_TIMEOUT, call).await.unwrap_or_else(late)
}

fn not_yet(why: &str) -> Error {
    Error::new(Code::Unavailable, "OUTCOME_UNKNOWN", why).with_retry_after(RETRY_AFTER)
}
