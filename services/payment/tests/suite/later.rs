//! What comes after the promise: customers who act, promises that end, refunds on their way, voids of what is left,
//! and what the provider tells by itself, in whatever order.
use crate::shop::{
    Call, Reach, Setting, Shop, as_order, as_owner, authorize, by, capture, gbp, is, payment_id, reauthorize,
    refund, refused,
};
use futures_util::future::join_all;
use souk_contracts::payment::v1 as pb;
use souk_contracts::payment::v1::PaymentService;
use souk_contracts::payment::v1::PaymentStatus::*;
use souk_contracts::provider::v1 as provider_pb;
use souk_contracts::provider::v1::notification::About;
use souk_contracts::types::v1::Money;
use souk_eventstore::Position;
use souk_identity::{Kind, WebhookSecret};
use souk_kernel::Code;
use souk_provider::Simulator;

const MINUTE_MS: i64 = 60_000;

/// A notice about the operation whose key ends so.
fn about(event_id: &str, step: &str, amount: Money) -> provider_pb::Notification {
    let kind = match step {
        "authorize" => provider_pb::OperationKind::Authorize,
        _ => provider_pb::OperationKind::Capture,
    };
    let operation = provider_pb::Operation {
        key: format!("{}:{step}", payment_id()),
        kind: kind.into(),
        status: provider_pb::OperationStatus::Succeeded.into(),
        amount: Some(amount),
        authorization_key: format!("{}:authorize", payment_id()),
        ..provider_pb::Operation::default()
    };
    provider_pb::Notification { event_id: event_id.to_owned(), about: Some(About::Operation(operation)) }
}

fn dispute(event_id: &str, status: provider_pb::DisputeStatus) -> provider_pb::Notification {
    let dispute = provider_pb::Dispute {
        dispute_id: "dsp_1".to_owned(),
        authorization_key: format!("{}:authorize", payment_id()),
        amount: Some(gbp(600)),
        status: status.into(),
        reason: "product_not_received".to_owned(),
    };
    provider_pb::Notification { event_id: event_id.to_owned(), about: Some(About::Dispute(dispute)) }
}

#[tokio::test]
async fn a_void_after_partial_captures_gives_up_the_rest() {
    for token in ["ok", "void_timeout_after_effect", "timeout_before", "capture_timeout_after_effect"] {
        let shop = Shop::open(Setting::memory());
        shop.settle(&authorize(token, 1000)).await;
        shop.settle(&capture("a", 300)).await;
        shop.settle(&capture("b", 300)).await;
        for _ in 0..2 {
            assert_eq!(shop.settle(&Call::Void).await, is(PartiallyCaptured, 600, 0), "{token}");
        }
        assert_eq!(shop.payment().await.voided_minor(), 400, "{token}");
        assert_eq!(shop.settle(&capture("c", 1)).await, refused("PAYMENT_VOIDED"), "{token}");
        assert_eq!(shop.settle(&refund("r", 600)).await, is(Refunded, 600, 600), "{token}");
        shop.check(token).await;
    }
}

/// However void and captures race, what is taken and what is given up is the whole.
#[tokio::test]
async fn a_void_that_races_partial_captures_takes_what_is_left() {
    for seed in 0..60 {
        for token in ["ok", "capture_timeout_after_effect", "void_timeout_after_effect", "timeout_before"] {
            let shop = Shop::open(Setting { delays: Some(seed), ..Setting::memory() });
            shop.settle(&authorize(token, 1000)).await;
            let calls = [capture("a", 300), capture("b", 300), Call::Void, capture("c", 300)];
            join_all(calls.iter().map(|call| shop.settle(call))).await;
            shop.settle(&Call::Void).await;
            let payment = shop.payment().await;
            assert!(payment.open_steps().is_empty(), "{token}, seed {seed}: {payment:?}");
            assert_eq!(payment.captured_minor() + payment.voided_minor(), 1000, "{token}, seed {seed}");
            shop.check(&format!("{token}, seed {seed}")).await;
        }
    }
}

#[tokio::test]
async fn the_customer_acts_and_the_sale_goes_on() {
    let shop = Shop::open(Setting::memory());
    let asked = shop.call(&authorize("requires_action", 1000)).await.expect("answered");
    assert_eq!(asked.status(), RequiresAction);
    assert!(asked.action_url.starts_with("https://"), "{asked:?}");
    assert_eq!(asked.action_expires_at.as_ref().map(|at| at.seconds), Some(1_000 + 900));
    for stranger in [by("gst_2", Kind::Guest, &[], None), by("stf_1", Kind::Staff, &["admin"], None)] {
        let request = pb::CompleteActionRequest { payment_id: payment_id().to_string() };
        let error = shop.counter.complete_action(stranger, request).await.expect_err("not theirs");
        assert_eq!(error.code(), Code::NotFound);
    }
    assert_eq!(shop.settle(&Call::Complete).await, is(Authorized, 0, 0));
    assert_eq!(shop.settle(&Call::Complete).await, is(Authorized, 0, 0), "it is said twice");
    assert_eq!(shop.settle(&authorize("requires_action", 1000)).await, is(Authorized, 0, 0));
    assert_eq!(shop.settle(&capture("a", 1000)).await, is(Captured, 1000, 0));
    shop.check("acted").await;
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("requires_action_fails", 1000)).await;
    let declined = shop.call(&Call::Complete).await.expect("answered");
    assert_eq!((declined.status(), declined.decline_code.as_str()), (Declined, "authentication_failed"));
    shop.check("failed").await;
}

#[tokio::test]
async fn a_customer_who_does_not_act_is_declined_after_a_while() {
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("requires_action", 1000)).await;
    shop.clock.advance_ms(15 * MINUTE_MS - 1);
    shop.timers().await;
    assert_eq!(shop.settle(&authorize("requires_action", 1000)).await, is(RequiresAction, 0, 0));
    shop.clock.advance_ms(1);
    assert_eq!(shop.settle(&Call::Complete).await, is(RequiresAction, 0, 0), "it is too late to act");
    shop.timers().await;
    let declined = shop.call(&authorize("requires_action", 1000)).await.expect("answered");
    assert_eq!((declined.status(), declined.decline_code.as_str()), (Declined, "action_expired"));
    assert_eq!(shop.settle(&Call::Complete).await, shop.settle(&Call::Void).await);
    shop.check("over").await;
    assert!(shop.theirs().await.iter().all(|their| their.voided), "the provider gave it up too");
    shop.clock.advance_ms(60 * MINUTE_MS);
    shop.timers().await;
    assert_eq!(shop.payments.due_timers(10).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_promise_ends_and_is_asked_for_again() {
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("auth_expires_1m", 1000)).await;
    shop.settle(&capture("a", 600)).await;
    assert_eq!(shop.settle(&reauthorize("early", 400)).await, refused("REAUTHORIZATION_REFUSED"));
    shop.clock.advance_ms(MINUTE_MS);
    shop.timers().await;
    let expired = shop.call(&authorize("auth_expires_1m", 1000)).await.expect("answered");
    assert_eq!(expired.status(), AuthExpired);
    assert_eq!(shop.settle(&capture("b", 400)).await, refused("AUTHORIZATION_EXPIRED"));
    for _ in 0..2 {
        assert_eq!(shop.settle(&reauthorize("again", 400)).await, is(PartiallyCaptured, 600, 0));
    }
    assert_eq!(shop.settle(&reauthorize("early", 400)).await, refused("REAUTHORIZATION_REFUSED"), "for ever");
    shop.check("promised anew").await;
    assert_eq!(shop.settle(&capture("b", 400)).await, is(Captured, 1000, 0));
    shop.check("taken").await;
    assert_eq!(shop.settle(&reauthorize("more", 1)).await, refused("REAUTHORIZATION_REFUSED"));
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("auth_expires_1m", 1000)).await;
    shop.clock.advance_ms(MINUTE_MS);
    shop.timers().await;
    assert_eq!(shop.settle(&reauthorize("too-much", 1001)).await, refused("CAPTURE_EXCEEDS_AUTHORIZED"));
    assert_eq!(shop.settle(&Call::Void).await, is(Voided, 0, 0));
    assert_eq!(shop.settle(&reauthorize("late", 1)).await, refused("PAYMENT_VOIDED"));
    shop.check("given up").await;
}

#[tokio::test]
async fn an_ordinary_promise_ends_after_a_week() {
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("ok", 1000)).await;
    shop.clock.advance_ms(7 * 24 * 60 * MINUTE_MS - 1);
    shop.timers().await;
    assert_eq!(shop.settle(&authorize("ok", 1000)).await, is(Authorized, 0, 0));
    shop.clock.advance_ms(1);
    shop.timers().await;
    assert_eq!(shop.settle(&authorize("ok", 1000)).await, is(AuthExpired, 0, 0));
    let taken = Shop::open(Setting::memory());
    taken.settle(&authorize("ok", 1000)).await;
    taken.settle(&capture("a", 1000)).await;
    taken.clock.advance_ms(8 * 24 * 60 * MINUTE_MS);
    assert_eq!(taken.payments.due_timers(10).await, Ok(Vec::new()), "nothing is left that could end");
}

#[tokio::test]
async fn a_refund_on_its_way_is_seen_to_by_itself() {
    for (token, end) in [("refund_pending_then_succeeds", 400), ("refund_pending_then_fails", 0)] {
        let shop = Shop::open(Setting::memory());
        shop.settle(&authorize(token, 1000)).await;
        shop.settle(&capture("a", 1000)).await;
        let pending = shop.call(&refund("r", 400)).await.expect("it is on its way");
        assert_eq!(pending.pending_refunds, Some(gbp(400)), "{token}");
        assert_eq!(pending.refunds[0].status(), pb::RefundStatus::Pending);
        shop.clock.advance_ms(MINUTE_MS);
        shop.timers().await;
        let payment = shop.payment().await;
        assert_eq!((payment.refunded_minor(), payment.refunding_minor()), (end, 0), "{token}");
        let failed = if end == 0 { vec!["refund_failed"] } else { Vec::new() };
        assert_eq!(shop.issues().await, failed, "{token}");
        shop.check(token).await;
    }
}

#[tokio::test]
async fn a_notice_settles_what_had_no_answer_and_counts_once() {
    let shop = Shop::open(Setting::memory());
    // The answer is lost, so only the notice says what became of it.
    shop.call(&authorize("timeout_after_effect", 1000)).await.expect_err("no answer");
    let notice = about("evt_1", "authorize", gbp(1000));
    for _ in 0..3 {
        shop.tell(&notice).await.expect("it is kept");
    }
    assert_eq!(shop.payment().await.status(), souk_payment::domain::Status::Authorized);
    let events = shop.payments.read_log(Position::START, 100).await.expect("readable");
    let kept = events.iter().filter(|event| &*event.kind == "NoticeKept").count();
    assert_eq!((kept, shop.issues().await), (1, Vec::<String>::new()));
    shop.check("told").await;
}

#[tokio::test]
async fn notices_in_any_order_come_to_the_same_end() {
    let notices = [
        about("evt_a", "authorize", gbp(1000)),
        about("evt_c", "capture:a", gbp(600)),
        dispute("evt_o", provider_pb::DisputeStatus::Open),
        dispute("evt_w", provider_pb::DisputeStatus::Won),
    ];
    for rotation in 0..notices.len() {
        for is_reversed in [false, true] {
            let mut order = notices.to_vec();
            order.rotate_left(rotation);
            if is_reversed {
                order.reverse();
            }
            let shop = Shop::open(Setting::memory());
            shop.tell(&order[0]).await.expect("it is kept before the payment is known");
            shop.settle(&authorize("ok", 1000)).await;
            shop.settle(&capture("a", 600)).await;
            for notice in order.iter().chain(&order) {
                shop.tell(notice).await.expect("it is kept");
            }
            for _ in 0..4 {
                shop.clock.advance_ms(MINUTE_MS);
                shop.timers().await;
            }
            let story = format!("{rotation} {is_reversed}");
            assert_eq!(shop.issues().await, Vec::<String>::new(), "{story}");
            let payment = shop.payment().await;
            let stages: Vec<_> = payment.disputes().values().map(|dispute| dispute.stage).collect();
            assert_eq!(stages, [souk_payment::domain::DisputeStage::Won], "{story}");
            shop.check(&story).await;
        }
    }
}

#[tokio::test]
async fn a_notice_of_another_amount_or_of_nothing_is_put_aside_and_shown() {
    let shop = Shop::open(Setting::memory());
    shop.call(&authorize("timeout_before", 1000)).await.expect_err("no answer");
    shop.tell(&about("evt_1", "authorize", gbp(999))).await.expect("it is kept");
    let euros = Money { minor_units: 1000, currency: "EUR".to_owned() };
    shop.tell(&about("evt_2", "authorize", euros)).await.expect("it is kept");
    assert_eq!(shop.payment().await.status(), souk_payment::domain::Status::Unknown, "nothing is applied");
    assert_eq!(shop.issues().await, ["webhook_quarantined", "webhook_quarantined"]);
    let shop = Shop::open(Setting::memory());
    shop.tell(&about("evt_3", "authorize", gbp(1000))).await.expect("it is kept");
    assert_eq!(shop.issues().await, ["webhook_waiting"]);
    for _ in 0..20 {
        shop.clock.advance_ms(120 * MINUTE_MS);
        shop.timers().await;
    }
    assert_eq!(shop.issues().await, ["webhook_quarantined"]);
    let staff = by("stf_1", Kind::Staff, &["support"], None);
    let listed = shop.counter.list_payment_issues(staff, pb::ListPaymentIssuesRequest { limit: 0 }).await;
    assert_eq!(listed.expect("answered").issues[0].what, "no such payment");
}

#[tokio::test]
async fn only_what_the_provider_signed_now_is_believed() {
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("ok", 1000)).await;
    let body = shop.body(&about("evt_1", "authorize", gbp(1000)));
    let secret = WebhookSecret::new(crate::shop::SECRET);
    let good = secret.sign(souk_kernel::Clock::now(&*shop.clock), &body);
    let forged = WebhookSecret::new(b"guess").sign(souk_kernel::Clock::now(&*shop.clock), &body);
    for (signature, body) in [("", &body[..]), (&forged, &body), (&good, b"x")] {
        let error = shop.send(signature, body.to_vec()).await.expect_err("not believed");
        assert_eq!((error.code(), error.reason()), (Code::Unauthenticated, "BAD_SIGNATURE"));
        assert!(!error.story().contains("what both sides know"));
    }
    shop.clock.advance_ms(301_000);
    let error = shop.send(&good, body.clone()).await.expect_err("an old one is not believed");
    assert_eq!(error.reason(), "BAD_SIGNATURE");
    let signed = secret.sign(souk_kernel::Clock::now(&*shop.clock), b"\xff");
    let error = shop.send(&signed, b"\xff".to_vec()).await.expect_err("unreadable");
    assert_eq!(error.code(), Code::InvalidArgument);
    let request = pb::HandleWebhookRequest { provider: "acme".to_owned(), ..Default::default() };
    let error = shop.counter.handle_webhook(as_order(), request).await.expect_err("nobody of this name");
    assert_eq!((error.code(), error.reason()), (Code::NotFound, "UNKNOWN_PROVIDER"));
}

#[tokio::test]
async fn a_day_of_the_provider_is_compared_with_ours() {
    let shop = Shop::open(Setting::memory());
    for call in [authorize("ok", 1000), capture("a", 600), capture("b", 300), refund("r", 100)] {
        shop.settle(&call).await;
    }
    // Who is called over HTTP reports what moved and not what was promised.
    let told = match crate::REACH {
        Reach::Contract => 4,
        Reach::Http => 3,
    };
    let compare = async |date: &str| {
        let staff = by("stf_1", Kind::Staff, &["admin"], None);
        let request = pb::ReconcileRequest { date: date.to_owned() };
        shop.counter.reconcile(staff, request).await.expect("answered")
    };
    let day = compare("1970-01-01").await;
    assert_eq!((day.compared, day.mismatches), (told, Vec::new()));
    assert_eq!(compare("1969-12-31").await.compared, 0);
    let ahead = pb::ReconcileRequest { date: "1970-01-02".to_owned() };
    let admin = by("stf_1", Kind::Staff, &["admin"], None);
    let refused = shop.counter.reconcile(admin, ahead).await.expect_err("it has not begun");
    assert_eq!((refused.code(), refused.fields()[0].field.as_str()), (Code::InvalidArgument, "date"));
    // Somebody at the provider takes money that we never asked for.
    let odd = provider_pb::CaptureRequest {
        key: "odd".to_owned(),
        authorization_key: format!("{}:authorize", payment_id()),
        amount: Some(gbp(1)),
    };
    let simulator = Simulator::new(shop.books.clone(), shop.clock.clone());
    souk_contracts::provider::v1::ProviderService::capture(&simulator, as_order(), odd).await.expect("taken");
    let day = compare("1970-01-01").await;
    assert_eq!((day.compared, day.mismatches.len()), (told + 1, 1));
    compare("1970-01-01").await;
    assert_eq!(shop.issues().await, ["ledger_mismatch"]);
}

#[tokio::test]
async fn others_hear_of_what_happened() {
    let shop = Shop::open(Setting::memory());
    for call in [authorize("refund_pending_then_fails", 1000), capture("a", 600), refund("r", 100)] {
        shop.settle(&call).await;
    }
    shop.settle(&Call::Void).await;
    shop.tell(&dispute("evt_o", provider_pb::DisputeStatus::Open)).await.expect("kept");
    let publish = souk_payment::published::publish();
    let log = shop.payments.read_log(Position::START, 100).await.expect("readable");
    let heard: Vec<_> = log.iter().filter_map(|recorded| publish.0(recorded)).collect();
    let kinds: Vec<_> = heard.iter().map(|event| event.kind.trim_start_matches("souk.payment.v1.")).collect();
    let expected = ["PaymentAuthorized", "PaymentCaptured", "RefundFailed", "PaymentVoided", "DisputeOpened"];
    assert_eq!(kinds, expected);
    let captured = <pb::PaymentCaptured as prost::Message>::decode(&heard[1].data[..]).expect("readable");
    assert_eq!((captured.subject.as_str(), captured.capture_id.as_str()), ("gst_1", "a"));
    assert_eq!((captured.order_id, captured.amount), (crate::shop::order_id().to_string(), Some(gbp(600))));
    let failed = <pb::RefundFailed as prost::Message>::decode(&heard[2].data[..]).expect("readable");
    assert_eq!((failed.code.as_str(), failed.refund_id.as_str()), ("refund_failed", "r"));
    let owner = as_owner();
    assert_eq!(owner.principal().map(|p| p.owner().to_owned()).ok().as_deref(), Some("gst_1"));
}
