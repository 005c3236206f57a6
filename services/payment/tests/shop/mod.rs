//! A payment service and a real (played) provider, each with its own store, and a wire between them that
//! can be cut at any call. The service itself is used as others use it: through its generated trait.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use futures_util::FutureExt;
use souk_contracts::payment::v1 as pb;
use souk_contracts::payment::v1::{PaymentService, PaymentStatus};
use souk_contracts::provider::v1 as provider_pb;
use souk_contracts::provider::v1::{ProviderService, ProviderServiceClient};
use souk_contracts::terms::{OrderId, PaymentId};
use souk_contracts::types::v1::Money;
use souk_decider::{Aggregate, fold};
use souk_eventstore::{EventStore, Faults, Location, Options, Position, Recorded, StreamId};
use souk_identity::{Kind, Principal, ServiceIdentity, Signer, SigningKey, WebhookSecret};
use souk_kernel::{Clock, Code, Error, Ids, ManualClock, SeededEntropy, Timestamp, TypeId, Uuid};
use souk_payment::domain::Answer;
use souk_payment::domain::notice::Notice;
use souk_payment::domain::{Payment, PaymentEvent};
use souk_payment::effects::intents::Account;
use souk_payment::effects::{
    Authorize, Cashier, IntentsProvider, Message, Move, Provider, Reported, RpcProvider,
};
use souk_payment::grpc::Counter;
use souk_payment::invariants::{self, Ours, Theirs};
use souk_payment::proto::Day;
use souk_payment::views;
use souk_provider::truth::Books;
use souk_provider::{Face, Simulator};
use souk_rpc::{BoxFuture, Cx, Peers};
use souk_telemetry::task::Running;
use souk_telemetry::{Stop, task};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often a caller repeats a command until it is settled. It does so at once, without a pause, so that a
/// rival that is still on its way can cost many tries; a defect would go on for ever.
const TRIES_MAX: usize = 20_000;

/// When the wire is cut: nothing of the call goes out, or nothing of the answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Before(usize),
    After(usize),
}

/// How the provider is reached. The provider is the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Over its contract.
    Contract,
    /// Over HTTP, at an address of this machine.
    Http,
}

/// The way to the provider. It counts calls, can be cut at one of them, and takes its time.
pub struct Wire {
    provider: Box<dyn Provider>,
    calls: AtomicUsize,
    cut: Option<Cut>,
    was_cut: Notify,
    delays: Option<Arc<SeededEntropy>>,
    server: Option<Running>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl Wire {
    fn to(provider: Box<dyn Provider>, server: Option<Running>) -> Self {
        let (calls, was_cut) = (AtomicUsize::new(0), Notify::new());
        Self { provider, calls, cut: None, was_cut, delays: None, server }
    }

    async fn carry<T>(&self, call: impl Future<Output = T>) -> T {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        self.delay().await;
        if self.cut == Some(Cut::Before(number)) {
            self.go_silent().await;
        }
        let answer = call.await;
        if self.cut == Some(Cut::After(number)) {
            self.go_silent().await;
        }
        self.delay().await;
        answer
    }

    async fn go_silent(&self) {
        self.was_cut.notify_one();
        std::future::pending::<()>().await;
    }

    async fn delay(&self) {
        let turns = self.delays.as_ref().map_or(0, |delays| delays.next_u64() % 12);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

/// Whoever does not wait hears only what is answered at once: no test waits for a silence. Over HTTP it is the
/// provider that does not wait.
fn impatient(cx: Cx) -> Cx {
    match crate::REACH {
        Reach::Contract => cx.with_deadline(Instant::now()),
        Reach::Http => cx,
    }
}

impl Provider for Wire {
    fn authorize(&self, cx: Cx, call: Authorize) -> BoxFuture<'_, Result<Answer, Error>> {
        self.carry(self.provider.authorize(impatient(cx), call)).boxed()
    }
    fn capture(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        self.carry(self.provider.capture(impatient(cx), call)).boxed()
    }
    fn void(&self, cx: Cx, key: String, authorization: String) -> BoxFuture<'_, Result<Answer, Error>> {
        self.carry(self.provider.void(impatient(cx), key, authorization)).boxed()
    }
    fn refund(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        self.carry(self.provider.refund(impatient(cx), call)).boxed()
    }
    fn reauthorize(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        self.carry(self.provider.reauthorize(impatient(cx), call)).boxed()
    }
    fn complete(&self, cx: Cx, authorization: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        self.carry(self.provider.complete(impatient(cx), authorization)).boxed()
    }
    fn report(&self, cx: Cx, day: Day) -> BoxFuture<'_, Result<Vec<Reported>, Error>> {
        self.carry(self.provider.report(impatient(cx), day)).boxed()
    }
    fn notice(&self, message: &Message<'_>, now: Timestamp) -> Result<Notice, Error> {
        self.provider.notice(message, now)
    }
    fn name(&self) -> &'static str {
        self.provider.name()
    }
    fn find(&self, cx: Cx, key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        self.carry(self.provider.find(impatient(cx), key)).boxed()
    }
}

/// What the provider knows the shop by over HTTP.
const KEY: &str = "sk_test_shop";

/// The provider behind an address of this machine, and the address; silence is a connection that ends at once.
pub fn over_http(simulator: Simulator) -> (Wire, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("it can wait");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let listener = tokio::net::TcpListener::from_std(listener).expect("usable");
    let face = Face::new(simulator, KEY).patience(Duration::ZERO);
    let server = task::spawn(task::Kind::Background, "test.provider", async move {
        let (_source, stop) = Stop::new();
        face.serve(listener, stop).await;
    });
    let account = Account::new(&url, KEY).expect("usable");
    let provider = Box::new(IntentsProvider::new(account, WebhookSecret::new(SECRET)));
    (Wire::to(provider, Some(server)), url)
}

/// What is asked of the payment service.
#[derive(Debug, Clone)]
pub enum Call {
    Authorize { token: &'static str, minor_units: i64 },
    Capture { id: String, minor_units: i64 },
    Void,
    Refund { id: String, minor_units: i64 },
    Reauthorize { id: String, minor_units: i64 },
    Complete,
}

pub fn authorize(token: &'static str, minor_units: i64) -> Call {
    Call::Authorize { token, minor_units }
}
pub fn capture(id: impl Into<String>, minor_units: i64) -> Call {
    Call::Capture { id: id.into(), minor_units }
}
pub fn refund(id: impl Into<String>, minor_units: i64) -> Call {
    Call::Refund { id: id.into(), minor_units }
}

pub fn reauthorize(id: impl Into<String>, minor_units: i64) -> Call {
    Call::Reauthorize { id: id.into(), minor_units }
}

/// What a call came to, without what may differ between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    Is { status: PaymentStatus, captured: i64, refunded: i64, decline_code: String },
    Refused(String),
}

pub fn is(status: PaymentStatus, captured: i64, refunded: i64) -> Settled {
    Settled::Is { status, captured, refunded, decline_code: String::new() }
}
pub fn refused(reason: &str) -> Settled {
    Settled::Refused(reason.to_owned())
}

/// Where the two stores are, and what happens between them.
#[derive(Clone)]
pub struct Setting {
    pub payments: Location,
    pub books: Location,
    pub cut: Option<Cut>,
    pub delays: Option<u64>,
}

impl Setting {
    pub fn memory() -> Self {
        let nowhere = || Location::Memory(Faults::none());
        Self { payments: nowhere(), books: nowhere(), cut: None, delays: None }
    }

    pub fn files(dir: &Path) -> Self {
        let file = |name: &str| Location::Sqlite(dir.join(name));
        Self { payments: file("payment.db"), books: file("provider.db"), cut: None, delays: None }
    }

    pub fn cut(mut self, cut: impl Into<Option<Cut>>) -> Self {
        self.cut = cut.into();
        self
    }
}

pub struct Shop {
    pub clock: Arc<ManualClock>,
    pub payments: EventStore,
    pub books: EventStore,
    pub wire: Arc<Wire>,
    pub counter: Counter,
    pub cashier: Cashier,
    delays: Option<u64>,
}

/// What the provider signs its notices with.
pub const SECRET: &[u8] = b"what both sides know";

/// Every start has entropy of its own, as real ones have.
static STARTS: AtomicU64 = AtomicU64::new(0);

impl Shop {
    pub fn open(setting: Setting) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let own = Options::new("payment", setting.payments, shared()).views(views::views());
        let theirs = Options::new("provider", setting.books, shared()).views(souk_provider::views());
        let payments = EventStore::open(own).expect("the payment store opens");
        let books = EventStore::open(theirs).expect("the provider's store opens");
        Self::start(clock, payments, books, setting.cut, setting.delays)
    }

    /// Starts a process on these stores; it holds nothing else.
    fn start(
        clock: Arc<ManualClock>,
        payments: EventStore,
        books: EventStore,
        cut: Option<Cut>,
        delays: Option<u64>,
    ) -> Self {
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let simulator = Simulator::new(books.clone(), shared());
        let entropy = SeededEntropy::new(1_000 + STARTS.fetch_add(1, Ordering::SeqCst) * 7_919);
        let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
        let ids = Ids::new(shared(), entropy);
        let mut wire = match crate::REACH {
            Reach::Contract => {
                let identity = Arc::new(ServiceIdentity::new("payment", signer, shared(), ids.clone()));
                let peers = Peers::new();
                peers.add_local::<ProviderServiceClient>(Arc::new(simulator) as Arc<dyn ProviderService>);
                let secret = WebhookSecret::new(SECRET);
                Wire::to(Box::new(RpcProvider::new(&peers, identity, secret)), None)
            }
            Reach::Http => over_http(simulator).0,
        };
        (wire.cut, wire.delays) = (cut, delays.map(SeededEntropy::new));
        let wire = Arc::new(wire);
        let cashier = Cashier::new(payments.clone(), ids, Arc::clone(&wire) as Arc<dyn Provider>);
        let counter = Counter::new(payments.clone(), cashier.clone());
        Self { clock, payments, books, wire, counter, cashier, delays }
    }

    /// A crash of the service: only what is in the stores is left.
    pub fn restarted(self) -> Self {
        Self::start(self.clock, self.payments, self.books, None, self.delays)
    }

    /// A crash of both, with files: everything is read from the disk again.
    pub async fn reopened(self, setting: Setting) -> Self {
        self.payments.shutdown().await;
        self.books.shutdown().await;
        drop(self);
        Self::open(setting)
    }

    pub fn provider_calls(&self) -> usize {
        self.wire.calls.load(Ordering::SeqCst)
    }

    /// One call, which may not be settled.
    pub async fn call(&self, call: &Call) -> Result<pb::Payment, Error> {
        let (cx, payment_id) = (as_order(), payment_id().to_string());
        let answered = match call.clone() {
            Call::Authorize { token, minor_units } => {
                let (order_id, payment_method_token) = (order_id().to_string(), token.to_owned());
                let amount = Some(gbp(minor_units));
                let request = pb::AuthorizeRequest { payment_id, order_id, amount, payment_method_token };
                self.counter.authorize(cx, request).await?.payment
            }
            Call::Capture { id: capture_id, minor_units } => {
                let request = pb::CaptureRequest { payment_id, capture_id, amount: Some(gbp(minor_units)) };
                self.counter.capture(cx, request).await?.payment
            }
            Call::Void => {
                let request = pb::VoidRequest { payment_id, reason: "CANCELLED".to_owned() };
                self.counter.void(cx, request).await?.payment
            }
            Call::Refund { id: refund_id, minor_units } => {
                let (amount, reason) = (Some(gbp(minor_units)), "RETURNED".to_owned());
                let request = pb::RefundRequest { payment_id, refund_id, amount, reason };
                self.counter.refund(cx, request).await?.payment
            }
            Call::Reauthorize { id: authorization_id, minor_units } => {
                let amount = Some(gbp(minor_units));
                let request = pb::ReauthorizeRequest { payment_id, authorization_id, amount };
                self.counter.reauthorize(cx, request).await?.payment
            }
            Call::Complete => {
                let request = pb::CompleteActionRequest { payment_id };
                self.counter.complete_action(as_owner(), request).await?.payment
            }
        };
        Ok(answered.expect("an answer holds a payment"))
    }

    /// Repeats a call, as a saga does, until it is settled.
    pub async fn settle(&self, call: &Call) -> Settled {
        for _ in 0..TRIES_MAX {
            if let Some(settled) = settled(call, self.call(call).await) {
                return settled;
            }
            tokio::task::yield_now().await;
        }
        panic!("{call:?} is never settled")
    }

    /// The same over the cut of the wire, which is a crash of the service.
    pub async fn settle_over_a_crash(
        self,
        call: &Call,
        again: impl AsyncFnOnce(Shop) -> Shop,
    ) -> (Shop, Settled) {
        for _ in 0..TRIES_MAX {
            let answer = tokio::select! {
                biased;
                answer = self.call(call) => Some(answer),
                () = self.wire.was_cut.notified() => None,
            };
            let Some(answer) = answer else {
                let shop = again(self).await;
                let settled = shop.settle(call).await;
                return (shop, settled);
            };
            if let Some(settled) = settled(call, answer) {
                return (self, settled);
            }
        }
        panic!("{call:?} is never settled")
    }

    /// Does what is due by now, as the timers of the running service do.
    pub async fn timers(&self) {
        loop {
            let due = self.payments.due_timers(100).await.expect("readable");
            if due.is_empty() {
                return;
            }
            for timer in due {
                self.cashier.on_due(timer).await.expect("it can be recorded");
            }
        }
    }

    /// A notice as the provider sends it.
    pub async fn tell(&self, notification: &provider_pb::Notification) -> Result<(), Error> {
        let body = self.body(notification);
        let signature = WebhookSecret::new(SECRET).sign(self.clock.now(), &body);
        self.send(&signature, body).await
    }

    /// A notice as the provider writes it.
    pub fn body(&self, notification: &provider_pb::Notification) -> Vec<u8> {
        match crate::REACH {
            Reach::Contract => prost::Message::encode_to_vec(notification),
            Reach::Http => souk_provider::intents::event(notification, self.clock.now()).expect("an event"),
        }
    }

    /// A message that claims to be a notice.
    pub async fn send(&self, signature: &str, body: Vec<u8>) -> Result<(), Error> {
        let headers = [("webhook-signature".to_owned(), signature.to_owned())].into();
        let request =
            pb::HandleWebhookRequest { provider: self.wire.name().to_owned(), headers, body: body.into() };
        let nobody = Cx::new(Instant::now() + Duration::from_secs(600));
        self.counter.handle_webhook(nobody, request).await.map(drop)
    }

    /// What a person has to look at, by kind.
    pub async fn issues(&self) -> Vec<String> {
        let issues = views::issues(&self.payments, 100).await.expect("readable");
        issues.into_iter().map(|issue| issue.kind).collect()
    }

    pub async fn payment(&self) -> Payment {
        let stream = StreamId::of::<Payment>(payment_id());
        self.payments.state::<Payment>(&stream).await.expect("readable").state().clone()
    }

    pub async fn events(&self) -> Vec<PaymentEvent> {
        let stream = StreamId::of::<Payment>(payment_id());
        let recorded = self.payments.read_stream(&stream, 0, 500).await.expect("readable");
        let event = |recorded: &Recorded| recorded.event::<PaymentEvent>().expect("readable");
        recorded.iter().map(|recorded| event(recorded).as_ref().clone()).collect()
    }

    /// All that must hold whatever has happened: our invariants, the ledger, and the provider's books.
    pub async fn check(&self, story: &str) {
        let events = self.events().await;
        let payment: Payment = fold(&events);
        assert_eq!(payment, self.payment().await, "{story}");
        assert_eq!(invariants::check(&payment, &events), Ok(()), "{story}");
        let balances = views::balances(&self.payments).await.expect("readable");
        assert_eq!(invariants::ledger_balanced(&balances), Ok(()), "{story}");
        assert_eq!(views::unbalanced(&self.payments).await, Ok(Vec::new()), "{story}");
        let of = |account: &str| -> i64 {
            balances.iter().filter(|(name, _)| name == account).map(|(_, sum)| sum.minor_units()).sum()
        };
        let (captured, refunded) = (payment.captured_minor(), payment.refunded_minor());
        let disputed = payment.disputed_minor();
        assert_eq!(of("disputes"), disputed, "{story}");
        let expected = (-captured, refunded, captured - refunded - disputed);
        assert_eq!((of("revenue"), of("refunds"), of("provider_clearing")), expected, "{story}");
        let log = self.payments.read_log(Position::START, 500).await.expect("readable");
        let ours = ours(&log, story);
        let theirs = self.theirs().await;
        assert_eq!(invariants::differences(&ours, &theirs), [], "{story}\n{events:#?}");
    }

    /// What the provider's books say, in the words of the comparison.
    pub async fn theirs(&self) -> Vec<Theirs> {
        let log = self.books.read_log(Position::START, 500).await.expect("readable");
        theirs(&Books::of(&log).expect("readable"))
    }
}

/// Our books in the words of the comparison; on the way nothing may move back.
pub fn ours(log: &[Recorded], story: &str) -> Vec<Ours> {
    let mut payment = Payment::default();
    for event in log.iter().filter_map(Recorded::of::<Payment>) {
        let before = payment.clone();
        payment.evolve(&event);
        assert_eq!(invariants::never_moves_back(&before, &payment), Ok(()), "{story}");
    }
    Ours::of(payment_id(), &payment).into_iter().collect()
}

/// The provider's books in the words of the comparison.
pub fn theirs(books: &Books) -> Vec<Theirs> {
    let theirs = books.truths().map(|truth| Theirs {
        authorization_key: truth.authorization_key,
        currency: truth.currency,
        authorized_minor: truth.authorized_minor,
        captured_minor: truth.captured_minor,
        refunded_minor: truth.refunded_minor,
        voided: truth.voided,
    });
    theirs.collect()
}

/// What an answer came to, unless it has to be asked again: also about a refund that is on its way.
fn settled(call: &Call, answer: Result<pb::Payment, Error>) -> Option<Settled> {
    let minor_units = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.minor_units);
    let is_pending = |payment: &pb::Payment| match call {
        Call::Refund { id, .. } => payment
            .refunds
            .iter()
            .any(|refund| refund.refund_id == *id && refund.status() == pb::RefundStatus::Pending),
        Call::Authorize { .. }
        | Call::Capture { .. }
        | Call::Void
        | Call::Reauthorize { .. }
        | Call::Complete => false,
    };
    match answer {
        Ok(payment) if is_pending(&payment) => None,
        Ok(payment) => Some(Settled::Is {
            status: payment.status(),
            captured: minor_units(&payment.captured),
            refunded: minor_units(&payment.refunded),
            decline_code: payment.decline_code,
        }),
        Err(error) if error.is_unknown_outcome() => None,
        Err(error) => {
            assert_eq!(error.code(), Code::FailedPrecondition, "{error:?}");
            Some(Settled::Refused(error.reason().to_owned()))
        }
    }
}

pub fn order_id() -> OrderId {
    OrderId::from_uuid(Uuid::v7(1, [1; 10]))
}

pub fn payment_id() -> PaymentId {
    PaymentId::from_uuid(order_id().uuid())
}

pub fn gbp(minor_units: i64) -> Money {
    Money { minor_units, currency: "GBP".to_owned() }
}

pub fn by(subject: &str, kind: Kind, roles: &[&str], actor_for: Option<&str>) -> Cx {
    let principal = Principal {
        subject: subject.to_owned(),
        kind,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        actor_for: actor_for.map(str::to_owned),
        expires: Timestamp::from_unix_s(2_000),
    };
    Cx::new(Instant::now() + Duration::from_secs(600)).with_principal(Arc::new(principal))
}

/// The order service, acting for a guest.
pub fn as_order() -> Cx {
    by("svc:order", Kind::Service, &[], Some("gst_1"))
}

/// The guest whose payment it is.
pub fn as_owner() -> Cx {
    by("gst_1", Kind::Guest, &[], None)
}
