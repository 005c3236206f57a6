//! The provider with its real books: every token with every operation, doubled calls, and restarts.
use futures_util::future::join_all;
use souk_contracts::provider::v1 as pb;
use souk_contracts::provider::v1::{OperationStatus, ProviderService};
use souk_contracts::types::v1::Money;
use souk_eventstore::{EventStore, Faults, Location, Options, Position};
use souk_kernel::{Clock, Code, Error, ManualClock, Timestamp};
use souk_provider::Simulator;
use souk_provider::tokens::{SLOW, TOKENS};
use souk_provider::truth::{Books, Truth};
use souk_rpc::Cx;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Enough for every way in which a first call can fail.
const TRIES_MAX: usize = 3;

struct Provider {
    simulator: Simulator,
    store: EventStore,
    clock: Arc<ManualClock>,
}

impl Provider {
    fn at(location: Location, clock: Arc<ManualClock>) -> Self {
        let options = Options::new(souk_provider::NAME, location, Arc::clone(&clock) as Arc<dyn Clock>);
        let store = EventStore::open(options.views(souk_provider::views())).expect("the store opens");
        Self { simulator: Simulator::new(store.clone(), Arc::clone(&clock) as Arc<dyn Clock>), store, clock }
    }

    fn new() -> Self {
        Self::at(Location::Memory(Faults::none()), ManualClock::at(Timestamp::from_unix_s(1_000)))
    }

    /// A restart: only what is in the file is left.
    async fn restarted(self, file: &Path) -> Self {
        self.store.shutdown().await;
        let Provider { simulator, store, clock } = self;
        drop((simulator, store));
        Self::at(Location::Sqlite(file.to_owned()), clock)
    }

    async fn call(&self, call: &Call) -> Result<pb::Operation, Error> {
        let (cx, provider) = (impatient(), &self.simulator);
        let operation = match call.clone() {
            Call::Authorize(request) => provider.authorize(cx, request).await?.operation,
            Call::Capture(request) => provider.capture(cx, request).await?.operation,
            Call::Void(request) => provider.void(cx, request).await?.operation,
            Call::Refund(request) => provider.refund(cx, request).await?.operation,
        };
        Ok(operation.expect("an answer holds an operation"))
    }

    async fn call_until_answered(&self, call: &Call) -> pb::Operation {
        for _ in 0..TRIES_MAX {
            if let Ok(operation) = self.call(call).await {
                return operation;
            }
        }
        panic!("no answer to {call:?}")
    }

    async fn find(&self, key: &str) -> Option<pb::Operation> {
        let request = pb::FindByKeyRequest { key: key.to_owned() };
        self.simulator.find_by_key(impatient(), request).await.expect("an answer").operation
    }

    async fn truth(&self) -> Truth {
        let log = self.store.read_log(Position::START, 500).await.expect("readable");
        let books = Books::of(&log).expect("readable");
        books.truths().find(|truth| truth.authorization_key == "a").expect("it was asked for")
    }
}

/// Whoever does not wait hears only what is answered at once, so no test waits for a silence.
fn impatient() -> Cx {
    Cx::new(Instant::now())
}

#[derive(Debug, Clone)]
enum Call {
    Authorize(pb::AuthorizeRequest),
    Capture(pb::CaptureRequest),
    Void(pb::VoidRequest),
    Refund(pb::RefundRequest),
}

fn gbp(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "GBP".to_owned() })
}

fn authorize(token: &str) -> Call {
    let (key, method_token, reference) = ("a".to_owned(), token.to_owned(), "order".to_owned());
    Call::Authorize(pb::AuthorizeRequest { key, amount: gbp(1000), method_token, reference })
}

fn capture(key: &str, minor_units: i64) -> Call {
    let (key, authorization_key) = (key.to_owned(), "a".to_owned());
    Call::Capture(pb::CaptureRequest { key, authorization_key, amount: gbp(minor_units) })
}

fn void() -> Call {
    Call::Void(pb::VoidRequest { key: "v".to_owned(), authorization_key: "a".to_owned() })
}

fn refund(key: &str, minor_units: i64) -> Call {
    let (key, authorization_key) = (key.to_owned(), "a".to_owned());
    Call::Refund(pb::RefundRequest { key, authorization_key, amount: gbp(minor_units) })
}

/// What each kind of call comes to with each token when it is repeated until it is answered.
#[tokio::test]
async fn every_token_with_every_operation() {
    for (token, _) in TOKENS {
        let provider = Provider::new();
        let authorized = provider.call_until_answered(&authorize(token)).await;
        let promised = match *token {
            "decline_funds" | "decline_fraud" => OperationStatus::Declined,
            "requires_action" | "requires_action_fails" => OperationStatus::RequiresAction,
            _ => OperationStatus::Succeeded,
        };
        assert_eq!(authorized.status(), promised, "{token}");
        let captured = provider.call_until_answered(&capture("c", 600)).await;
        let takes = promised == OperationStatus::Succeeded && *token != "capture_fails";
        let expected = if takes { OperationStatus::Succeeded } else { OperationStatus::Declined };
        assert_eq!(captured.status(), expected, "{token}");
        let refunded = provider.call_until_answered(&refund("r", 200)).await;
        let returns = match (takes, *token) {
            (true, "refund_pending_then_fails" | "refund_pending_then_succeeds") => OperationStatus::Pending,
            (true, _) => OperationStatus::Succeeded,
            (false, _) => OperationStatus::Declined,
        };
        assert_eq!(refunded.status(), returns, "{token}");
        let voided = provider.call_until_answered(&void()).await;
        assert_eq!(voided.status(), OperationStatus::Succeeded, "{token}: the rest is given up");
        let truth = provider.truth().await;
        let returned = if returns == OperationStatus::Succeeded { 200 } else { 0 };
        let taken = if takes { 600 } else { 0 };
        assert_eq!((truth.captured_minor, truth.refunded_minor), (taken, returned), "{token}");
        assert!(truth.voided, "{token}");
    }
}

/// However often a call is doubled, restarted over or repeated: one effect, and always the same answer.
#[tokio::test]
async fn a_restart_between_two_calls_of_a_key_changes_nothing() {
    for (token, _) in TOKENS {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("provider.db");
        let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
        let mut provider = Provider::at(Location::Sqlite(file.clone()), clock);
        for call in [authorize(token), capture("c", 600), refund("r", 200), void()] {
            let first = provider.call(&call).await;
            provider = provider.restarted(&file).await;
            let second = provider.call(&call).await.expect("the first failure is remembered");
            if let Ok(first) = first {
                assert_eq!(first, second, "{token} {call:?}");
            }
            provider = provider.restarted(&file).await;
            assert_eq!(provider.call(&call).await.expect("answered"), second, "{token} {call:?}");
        }
        let truth = provider.truth().await;
        assert!([0, 600].contains(&truth.captured_minor), "{token}: {truth:?}");
        assert!([0, 200].contains(&truth.refunded_minor), "{token}: {truth:?}");
    }
}

#[tokio::test]
async fn doubled_calls_have_one_effect() {
    for (token, _) in TOKENS {
        let provider = Provider::new();
        for call in [authorize(token), capture("c", 600), refund("r", 200)] {
            join_all((0..6).map(|_| provider.call(&call))).await;
            let settled = provider.call_until_answered(&call).await;
            let again = join_all((0..3).map(|_| provider.call(&call))).await;
            assert!(again.iter().all(|answer| answer.as_ref().ok() == Some(&settled)), "{token} {again:?}");
        }
        let truth = provider.truth().await;
        assert!([0, 600].contains(&truth.captured_minor), "{token}: {truth:?}");
        assert!([0, 200].contains(&truth.refunded_minor), "{token}: {truth:?}");
    }
}

#[tokio::test]
async fn concurrent_captures_and_refunds_stay_within_their_bounds() {
    let provider = Provider::new();
    provider.call_until_answered(&authorize("ok")).await;
    let captures: Vec<Call> = (0..8).map(|n| capture(&format!("c{n}"), 300)).collect();
    join_all(captures.iter().map(|call| provider.call(call))).await;
    assert_eq!(provider.truth().await.captured_minor, 900);
    let refunds: Vec<Call> = (0..8).map(|n| refund(&format!("r{n}"), 400)).collect();
    join_all(refunds.iter().map(|call| provider.call(call))).await;
    assert_eq!(provider.truth().await.refunded_minor, 800);
}

#[tokio::test]
async fn a_key_names_one_operation_of_all() {
    let provider = Provider::new();
    provider.call_until_answered(&authorize("ok")).await;
    provider.call_until_answered(&capture("c", 600)).await;
    let elsewhere = pb::VoidRequest { key: "c".to_owned(), authorization_key: "other".to_owned() };
    for call in [Call::Void(elsewhere), refund("c", 600), capture("c", 599), authorize("slow_30s")] {
        let error = provider.call(&call).await.expect_err("the key is taken");
        assert_eq!((error.code(), error.reason()), (Code::AlreadyExists, "KEY_REUSED"), "{call:?}");
    }
    let error = Provider::new().call(&capture("c", 1)).await.expect_err("nothing was promised");
    assert_eq!((error.code(), error.reason()), (Code::NotFound, "UNKNOWN_AUTHORIZATION"));
}

#[tokio::test]
async fn what_became_of_a_key_can_be_asked() {
    let provider = Provider::new();
    assert_eq!(provider.find("a").await, None);
    let silent = provider.call(&authorize("timeout_before")).await.expect_err("no answer");
    assert_eq!((silent.code(), provider.find("a").await), (Code::Unavailable, None));

    let provider = Provider::new();
    provider.call(&authorize("timeout_after_effect")).await.expect_err("the answer is lost");
    let found = provider.find("a").await.expect("it had its effect");
    assert_eq!((found.status(), found.kind()), (OperationStatus::Succeeded, pb::OperationKind::Authorize));
    assert_eq!(
        found,
        provider.call(&authorize("timeout_after_effect")).await.expect("the second is answered")
    );

    let provider = Provider::new();
    let failed = provider.call(&authorize("error_500_then_ok")).await.expect_err("it fails");
    assert_eq!((failed.code(), provider.find("a").await), (Code::Internal, None));
}

#[tokio::test]
async fn a_refund_on_its_way_has_failed_once_somebody_asks() {
    let provider = Provider::new();
    provider.call_until_answered(&authorize("refund_pending_then_fails")).await;
    provider.call_until_answered(&capture("c", 600)).await;
    let pending = provider.call(&refund("r", 200)).await.expect("answered");
    assert_eq!(pending.status(), OperationStatus::Pending);
    assert_eq!(provider.call(&refund("r", 200)).await.expect("answered"), pending, "it is not asked for");
    let asked = provider.find("r").await.expect("known");
    assert_eq!((asked.status(), asked.decline_code.as_str()), (OperationStatus::Declined, "refund_failed"));
    assert_eq!(provider.call(&refund("r", 200)).await.expect("answered"), asked);
    assert_eq!(provider.truth().await.refunding_minor, 0);
}

#[tokio::test]
async fn a_promise_of_a_minute_expires_by_the_clock() {
    let provider = Provider::new();
    provider.call_until_answered(&authorize("auth_expires_1m")).await;
    provider.clock.advance_ms(59_999);
    assert_eq!(provider.call_until_answered(&capture("c", 1)).await.status(), OperationStatus::Succeeded);
    provider.clock.advance_ms(1);
    let late = provider.call_until_answered(&capture("d", 1)).await;
    assert_eq!(late.decline_code, "authorization_expired");
}

#[tokio::test]
async fn a_void_before_anything_else_is_a_tombstone() {
    let provider = Provider::new();
    let voided = provider.call_until_answered(&void()).await;
    assert_eq!((voided.status(), voided.amount), (OperationStatus::Succeeded, None));
    let late = provider.call_until_answered(&authorize("ok")).await;
    assert_eq!((late.status(), late.decline_code.as_str()), (OperationStatus::Declined, "voided"));
    assert!(provider.truth().await.voided);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_comes_late_and_a_lost_one_never() {
    let patient = || Cx::new(Instant::now() + Duration::from_secs(60));
    let request = |token| match authorize(token) {
        Call::Authorize(request) => request,
        Call::Capture(_) | Call::Void(_) | Call::Refund(_) => unreachable!("it is an authorisation"),
    };
    let provider = Provider::new();
    let begun = Instant::now();
    provider.simulator.authorize(patient(), request("slow_30s")).await.expect("it comes");
    assert!(begun.elapsed() >= SLOW);
    let begun = Instant::now();
    provider.simulator.authorize(patient(), request("slow_30s")).await.expect("at once");
    assert_eq!(begun.elapsed(), Duration::ZERO);

    let provider = Provider::new();
    let begun = Instant::now();
    let lost = provider.simulator.authorize(patient(), request("timeout_after_effect")).await;
    assert_eq!(lost.map(|_| ()).map_err(|e| e.code()), Err(Code::Unavailable));
    assert!(begun.elapsed() >= Duration::from_secs(60), "the caller waited for nothing");
}
