//! Every payment method token with every operation, cut off at every call to the provider before and after
//! its effect: the payment comes to the same end as without the crash, and both sides' books agree.
use crate::shop::{Call, Cut, Setting, Settled, Shop, authorize, capture, is, refund, refused};
use souk_contracts::payment::v1::PaymentStatus::{self, *};
use souk_contracts::payment::v1::RefundStatus;
use souk_eventstore::{Audit, Faults, Location};
use souk_payment::invariants::differences;
use souk_payment::views;
use souk_provider::tokens::TOKENS;
use souk_provider::truth::Books;
use std::path::Path;

/// Histories that reach every operation.
fn scripts(token: &'static str) -> [Vec<Call>; 4] {
    let ask = authorize(token, 1000);
    [
        vec![ask.clone(), capture("a", 600), refund("r", 200), capture("b", 400), refund("s", 800)],
        vec![ask.clone(), Call::Void, capture("a", 600)],
        vec![ask.clone(), capture("a", 1000), Call::Void, refund("r", 1000)],
        vec![Call::Void, ask, capture("a", 600)],
    ]
}

async fn run(setting: Setting, script: &[Call], story: &str) -> (Vec<Settled>, usize) {
    let mut shop = Shop::open(setting);
    let mut ends = Vec::new();
    for call in script {
        let (next, settled) = shop.settle_over_a_crash(call, async |shop| shop.restarted()).await;
        (shop, _) = (next, ends.push(settled));
        shop.check(story).await;
    }
    (ends, shop.provider_calls())
}

/// What the whole history comes to, by token.
fn expected(token: &str) -> Vec<Settled> {
    let nothing_promised = |code: &str| {
        vec![Settled::Is { status: Declined, captured: 0, refunded: 0, decline_code: code.into() }]
    };
    let refused_all = |code| {
        let mut ends = nothing_promised(code);
        ends.extend([
            refused("NOT_AUTHORIZED"),
            refused("REFUND_EXCEEDS_CAPTURED"),
            refused("NOT_AUTHORIZED"),
            refused("REFUND_EXCEEDS_CAPTURED"),
        ]);
        ends
    };
    match token {
        "decline_funds" => refused_all("insufficient_funds"),
        "decline_fraud" => refused_all("suspected_fraud"),
        "requires_action" | "requires_action_fails" => {
            let mut ends = refused_all("");
            ends[0] = is(RequiresAction, 0, 0);
            ends
        }
        "stolen" => refused_all("unknown_payment_method"),
        "capture_fails" => vec![
            is(Authorized, 0, 0),
            refused("CAPTURE_REFUSED"),
            refused("REFUND_EXCEEDS_CAPTURED"),
            refused("CAPTURE_REFUSED"),
            refused("REFUND_EXCEEDS_CAPTURED"),
        ],
        "refund_pending_then_fails" => vec![
            is(Authorized, 0, 0),
            is(PartiallyCaptured, 600, 0),
            refused("REFUND_REFUSED"),
            is(PaymentStatus::Captured, 1000, 0),
            refused("REFUND_REFUSED"),
        ],
        _ => vec![
            is(Authorized, 0, 0),
            is(PartiallyCaptured, 600, 0),
            is(PartiallyRefunded, 600, 200),
            is(PartiallyRefunded, 1000, 200),
            is(Refunded, 1000, 1000),
        ],
    }
}

#[tokio::test]
async fn every_token_comes_to_its_end() {
    for token in TOKENS.iter().map(|(token, _)| *token).chain(["stolen"]) {
        let (ends, _) = run(Setting::memory(), &scripts(token)[0], token).await;
        assert_eq!(ends, expected(token), "{token}");
    }
}

#[tokio::test]
async fn every_token_can_be_voided_before_a_capture_and_not_after() {
    for (token, _) in TOKENS {
        let promised = expected(token)[0] == is(Authorized, 0, 0);
        let [_, voided, captured, tombstoned] = scripts(token);
        let (ends, _) = run(Setting::memory(), &voided, token).await;
        let can_be_voided = promised || token.starts_with("requires_action");
        let lost = if can_be_voided { "PAYMENT_VOIDED" } else { "NOT_AUTHORIZED" };
        assert_eq!(ends[2], refused(lost), "{token}");
        if can_be_voided {
            assert_eq!(ends[1], is(Voided, 0, 0), "{token}");
        }
        let (ends, _) = run(Setting::memory(), &captured, token).await;
        if promised && *token != "capture_fails" {
            assert_eq!(ends[2], refused("ALREADY_CAPTURED"), "{token}");
        }
        let (ends, calls) = run(Setting::memory(), &tombstoned, token).await;
        assert_eq!(ends, [is(Voided, 0, 0), is(Voided, 0, 0), refused("PAYMENT_VOIDED")], "{token}");
        assert_eq!(calls, 0, "{token}: the provider never hears of it");
    }
}

#[tokio::test]
async fn a_crash_at_any_call_changes_nothing_about_the_end() {
    for (token, _) in TOKENS {
        for (number, script) in scripts(token).iter().enumerate() {
            let (ends, calls) = run(Setting::memory(), script, token).await;
            for cut in (0..calls).flat_map(|call| [Cut::Before(call), Cut::After(call)]) {
                let story = format!("{token}, script {number}, {cut:?}");
                let (after, _) = run(Setting::memory().cut(cut), script, &story).await;
                assert_eq!(after, ends, "{story}");
            }
        }
    }
}

/// The same with files that are closed and opened again, for the histories that have most to remember.
#[tokio::test]
async fn a_restart_from_the_disk_changes_nothing_about_the_end() {
    for token in ["ok", "timeout_after_effect", "capture_timeout_after_effect", "refund_pending_then_fails"] {
        let script = &scripts(token)[0];
        let (ends, calls) = run(Setting::memory(), script, token).await;
        for cut in (0..calls).flat_map(|call| [Cut::Before(call), Cut::After(call)]) {
            let dir = tempfile::tempdir().expect("a folder");
            let story = format!("{token}, {cut:?}");
            let mut shop = Shop::open(Setting::files(dir.path()).cut(cut));
            for (call, end) in script.iter().zip(&ends) {
                let again = async |shop: Shop| shop.reopened(Setting::files(dir.path())).await;
                let settled;
                (shop, settled) = shop.settle_over_a_crash(call, again).await;
                assert_eq!(settled, *end, "{story}");
            }
            shop.check(&story).await;
            audit(shop, dir.path(), &story).await;
        }
    }
}

/// The stopped stores, looked at from outside.
async fn audit(shop: Shop, dir: &Path, story: &str) {
    shop.payments.shutdown().await;
    shop.books.shutdown().await;
    let payments = Audit::open(dir.join("payment.db")).expect("readable");
    let books = Audit::open(dir.join("provider.db")).expect("readable");
    assert_eq!(payments.findings(&views::views(), None), Ok(Vec::new()), "{story}");
    assert_eq!(books.findings(&souk_provider::views(), None), Ok(Vec::new()), "{story}");
    let mut log = Vec::new();
    payments.for_each(|recorded| log.push(recorded.clone())).expect("readable");
    let ours = crate::shop::ours(&log, story);
    let theirs = crate::shop::theirs(&Books::of_audit(&books).expect("readable"));
    assert_eq!((ours.len(), theirs.len()), (1, 1), "{story}");
    assert_eq!(differences(&ours, &theirs), [], "{story}");
}

/// Commits that fail, commits whose answer is lost, a full disk, a view that fails: asked again, the same end.
#[tokio::test]
async fn faults_of_the_stores_change_nothing_about_the_end() {
    for seed in 0..12 {
        for token in ["ok", "timeout_before", "refund_timeout_after_effect", "void_timeout_after_effect"] {
            for (number, script) in scripts(token).iter().enumerate() {
                let (ends, _) = run(Setting::memory(), script, token).await;
                let faulty = |seed| Location::Memory(Faults::none().by_chance(150, seed));
                let (payments, books) = (faulty(seed * 2 + 1), faulty(seed * 2 + 2));
                let setting = Setting { payments, books, ..Setting::memory() };
                let story = format!("{token}, script {number}, seed {seed}");
                let (after, _) = run(setting, script, &story).await;
                assert_eq!(after, ends, "{story}");
            }
        }
    }
}

#[tokio::test]
async fn a_promise_that_expired_is_refused_for_ever() {
    let shop = Shop::open(Setting::memory());
    assert_eq!(shop.settle(&authorize("auth_expires_1m", 1000)).await, is(Authorized, 0, 0));
    shop.clock.advance_ms(60_000);
    for _ in 0..2 {
        assert_eq!(shop.settle(&capture("a", 1000)).await, refused("CAPTURE_REFUSED"));
    }
    let error = shop.call(&capture("a", 1000)).await.expect_err("refused");
    assert_eq!(error.metadata().get("decline_code").map(String::as_str), Some("authorization_expired"));
    assert_eq!(shop.settle(&Call::Void).await, is(Voided, 0, 0));
    shop.check("expired").await;
}

#[tokio::test]
async fn a_doubt_is_recorded_once_and_shown() {
    let shop = Shop::open(Setting::memory());
    let call = authorize("timeout_before", 1000);
    let error = shop.call(&call).await.expect_err("no answer");
    assert_eq!(error.reason(), "OUTCOME_UNKNOWN");
    assert!(error.retry_after().is_some());
    let kinds = |events: &[_]| events.iter().map(souk_decider::StoredEvent::kind).collect::<Vec<_>>();
    let events = shop.events().await;
    assert_eq!(kinds(&events), ["AuthorizationRequested", "AuthorizationUnknown"]);
    assert_eq!(shop.payment().await.status(), souk_payment::domain::Status::Unknown);
    shop.settle(&call).await;
    let events = shop.events().await;
    assert_eq!(kinds(&events[2..]), ["AuthorizationSucceeded"]);
}

#[tokio::test]
async fn a_refund_on_its_way_is_asked_for_by_the_next_call_and_not_before() {
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("refund_pending_then_fails", 1000)).await;
    shop.settle(&capture("a", 1000)).await;
    let before = shop.provider_calls();
    let pending = shop.call(&refund("r", 400)).await.expect("it is on its way");
    assert_eq!((pending.refunds[0].status(), shop.provider_calls() - before), (RefundStatus::Pending, 1));
    assert_eq!(shop.payment().await.refunding_minor(), 400);
    assert_eq!(shop.settle(&refund("s", 601)).await, refused("REFUND_EXCEEDS_CAPTURED"));
    assert_eq!(shop.settle(&refund("r", 400)).await, refused("REFUND_REFUSED"));
    assert_eq!(shop.provider_calls() - before, 2, "one question settles it");
    assert_eq!(shop.settle(&refund("t", 601)).await, refused("REFUND_REFUSED"), "the money is free again");
    shop.check("pending").await;
}
