//! Carries out what is wanted of a payment: records the intent, calls the provider, records its answer.
//!
//! There is one path for the first call, for a retry and for what a crash left behind: the state says what
//! is not settled, the provider is asked by key, and only what it has no record of is called again, with
//! the same key. A call without an answer is a doubt and never a refusal.
use crate::domain::{self, Answer, Command, Next, Payment, PaymentEvent, Source, Step};
use souk_contracts::provider::v1 as pb;
use souk_contracts::provider::v1::ProviderServiceClient;
use souk_contracts::terms::{PaymentId, money_to_proto};
use souk_eventstore::{CommitId, Decision, EventStore, Expected, Folded, Origin, StreamId, Work};
use souk_identity::ServiceIdentity;
use souk_kernel::{Code, Error, Ids, Money, Rejection, Timestamp};
use souk_rpc::{BoxFuture, Cx, Peers};
use souk_telemetry::{crash_point, sometimes};
use std::collections::BTreeSet;
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
    /// What became of the operation with this key; `None` when it has never had an effect.
    fn find(&self, cx: Cx, key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>>;
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

/// The provider that answers `souk.provider.v1`.
pub struct RpcProvider {
    client: ProviderServiceClient,
    identity: Arc<ServiceIdentity>,
}

impl RpcProvider {
    /// The provider that `peers` knows, called as `identity`.
    pub fn new(peers: &Peers, identity: Arc<ServiceIdentity>) -> Self {
        Self { client: peers.get(), identity }
    }

    fn cx(&self, cx: &Cx) -> Cx {
        cx.for_call(self.identity.token_for("provider", None))
    }
}

/// What the provider's record says. A status that we do not know is no answer.
fn answer(operation: Option<pb::Operation>) -> Result<Answer, Error> {
    let unreadable = || Error::unavailable("the payment provider's answer cannot be read");
    let operation = operation.ok_or_else(unreadable)?;
    match operation.status() {
        pb::OperationStatus::Succeeded => Ok(Answer::Succeeded),
        pb::OperationStatus::Declined => Ok(Answer::Declined(operation.decline_code)),
        pb::OperationStatus::Pending => Ok(Answer::Pending),
        // Nothing is promised until the customer acts, and there is no way to let them act yet.
        pb::OperationStatus::RequiresAction => Ok(Answer::Declined("requires_action".to_owned())),
        pb::OperationStatus::Unspecified => Err(unreadable()),
    }
}

impl Provider for RpcProvider {
    fn authorize(&self, cx: Cx, call: Authorize) -> BoxFuture<'_, Result<Answer, Error>> {
        let Authorize { key, amount, method_token, reference } = call;
        let amount = Some(money_to_proto(amount));
        let request = pb::AuthorizeRequest { key, amount, method_token, reference };
        Box::pin(async move { answer(self.client.authorize(self.cx(&cx), request).await?.operation) })
    }

    fn capture(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        let Move { key, authorization: authorization_key, amount } = call;
        let request = pb::CaptureRequest { key, authorization_key, amount: Some(money_to_proto(amount)) };
        Box::pin(async move { answer(self.client.capture(self.cx(&cx), request).await?.operation) })
    }

    fn void(&self, cx: Cx, key: String, authorization_key: String) -> BoxFuture<'_, Result<Answer, Error>> {
        let request = pb::VoidRequest { key, authorization_key };
        Box::pin(async move { answer(self.client.void(self.cx(&cx), request).await?.operation) })
    }

    fn refund(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        let Move { key, authorization: authorization_key, amount } = call;
        let request = pb::RefundRequest { key, authorization_key, amount: Some(money_to_proto(amount)) };
        Box::pin(async move { answer(self.client.refund(self.cx(&cx), request).await?.operation) })
    }

    fn find(&self, cx: Cx, key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        let request = pb::FindByKeyRequest { key };
        Box::pin(async move {
            let found = self.client.find_by_key(self.cx(&cx), request).await?;
            found.operation.map(|operation| answer(Some(operation))).transpose()
        })
    }
}

/// Carries out commands.
#[derive(Clone)]
pub struct Cashier {
    store: EventStore,
    ids: Ids,
    provider: Arc<dyn Provider>,
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
        }
        Err(not_yet("too much of this payment is not settled yet"))
    }

    /// The payment as it is recorded.
    pub async fn payment(&self, id: PaymentId) -> Result<Folded<Payment>, Error> {
        Ok(self.store.state::<Payment>(&StreamId::of::<Payment>(id)).await?)
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
        let is_pending = answer == Answer::Pending;
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
                let events = decide(&facts.state::<Payment>(&own), now)?;
                Ok(Decision::new().append(&own, Expected::Any, events))
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

fn origin(cx: &Cx) -> Origin {
    let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
    Origin::by(actor).correlation(cx.request_id()).causation(cx.request_id())
}

/// The circumstances of one attempt: it ends a little before the caller stops to wait.
fn attempt(cx: &Cx) -> Cx {
    let until = tokio::time::Instant::now() + ATTEMPT_TIMEOUT;
    cx.clone().with_deadline(cx.deadline().min(until))
}

async fn within_attempt<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late =
        |_| Err(Error::new(Code::DeadlineExceeded, "PROVIDER_SILENT", "the payment provider is silent"));
    tokio::time::timeout(ATTEMPT_TIMEOUT, call).await.unwrap_or_else(late)
}

fn not_yet(why: &str) -> Error {
    Error::new(Code::Unavailable, "OUTCOME_UNKNOWN", why).with_retry_after(RETRY_AFTER)
}
