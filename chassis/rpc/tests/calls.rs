//! A call means the same in one process, through bytes, and over gRPC.
mod house;

use futures_util::StreamExt;
use house::echo::*;
use house::{WAYS, Way, cx, house, outside, say};
use souk_identity::Kind;
use souk_rpc::{Auth, Bytes, Client, Code, Cx, Error, Idempotency, Peers, Trace};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

fn code<T>(result: Result<T, Error>) -> Option<Code> {
    result.err().map(|error| error.code())
}

#[tokio::test(start_paused = true)]
async fn the_circumstances_arrive_with_the_request() {
    let trace = Trace::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("a trace");
    for way in WAYS {
        let cx = cx()
            .with_request_id("r1")
            .with_key(Arc::from("k1"))
            .with_trace(trace.clone())
            .with_wait(Duration::from_secs(3));
        let said = house().client(way).say(cx, say("")).await.expect("it answers");
        assert_eq!(
            (said.text.as_str(), said.request_id.as_str(), said.key.as_str()),
            ("hello", "r1", "k1"),
            "{way:?}"
        );
        assert_eq!((said.traceparent.as_str(), said.wait_ms), (trace.traceparent(), 3_000), "{way:?}");
        assert_eq!(
            said.remaining_ms, 8_000,
            "the policy's timeout, with the wait on top, is shorter than the caller's ({way:?})"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn errors_arrive_as_they_were_sent_and_stories_stay_inside() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        for (how, sent) in [("reject", house::rejection()), ("invalid", house::invalid())] {
            let error = client.say(cx(), say(how)).await.expect_err("asked for");
            assert_eq!(outside(&error), outside(&sent), "{way:?}");
        }
        let fault = client.say(cx(), say("fault")).await.expect_err("asked for");
        assert_eq!(fault.code(), Code::Internal);
        assert!(!outside(&fault).contains("secret"), "{way:?}");
        assert!(way != Way::Grpc || !fault.story().contains("secret"));
        assert_eq!(fault.is_told(), way != Way::Grpc, "the log of this process has the story, or never will");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_ours_that_grew_old_is_not_the_callers_fault() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let known = cx().with_token(house.token("gst_1", Kind::Guest, &[]));
        assert_eq!(code(client.say(known, say("token")).await), Some(Code::Unavailable), "{way:?}");
        let stranger = client.say(cx(), say("token")).await;
        assert_eq!(code(stranger), Some(Code::Unauthenticated), "nobody, and told so ({way:?})");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_call_only() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        assert_eq!(code(client.say(cx(), say("panic")).await), Some(Code::Internal), "{way:?}");
        assert_eq!(code(client.say(cx(), say("")).await), None, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_by_whoever_is_sooner() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        for (caller_ms, wanted_ms) in [(100, 100), (60_000, 5_000)] {
            let start = Instant::now();
            let cx = Cx::new(start + Duration::from_millis(caller_ms));
            assert_eq!(code(client.say(cx, say("hang")).await), Some(Code::DeadlineExceeded), "{way:?}");
            let took = start.elapsed();
            let wanted = Duration::from_millis(wanted_ms);
            assert!(took >= wanted && took < wanted + Duration::from_millis(20), "{way:?} took {took:?}");
        }
        let late = client.say(Cx::new(Instant::now()), say("")).await;
        assert_eq!(
            code(late),
            Some(Code::DeadlineExceeded),
            "a call that is late already is not begun ({way:?})"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_frees_the_service() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let long = Duration::from_secs(1);
        assert!(tokio::time::timeout(long, client.say(cx(), say("hang"))).await.is_err());
        // Virtual time; the policy's own timeout would come later.
        tokio::time::sleep(long).await;
        assert_eq!(house.given_up.load(Ordering::SeqCst), 1, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_is_refused_both_ways() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let fits = SayRequest { text: "x".repeat(4 * 1024 * 1024 - 16), how: String::new() };
        let too_large = SayRequest { text: "x".repeat(4 * 1024 * 1024), how: String::new() };
        let refused = client.say(cx(), too_large).await.expect_err("too large");
        assert_eq!(
            (refused.code(), refused.reason()),
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            "{way:?}"
        );
        assert_eq!(code(client.say(cx(), say("large")).await), Some(Code::Internal), "{way:?}");
        // The answer says more than the text, so it may be over the limit where the request was not.
        let answer = client.say(cx(), fits).await;
        assert!(answer.is_ok(), "{way:?}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_call_is_decided_by_the_token_and_the_policy() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let staff = |roles: &[&str]| Some(house.token("stf_1", Kind::Staff, roles));
        let callers = [
            (None, [Some(Code::Unauthenticated); 3]),
            (Some(Arc::from("a.b.c")), [Some(Code::Unauthenticated); 3]),
            (
                Some(house.token("gst_1", Kind::Guest, &[])),
                [None, Some(Code::PermissionDenied), Some(Code::PermissionDenied)],
            ),
            (
                Some(house.token("cus_1", Kind::Customer, &["sales"])),
                [None, Some(Code::PermissionDenied), Some(Code::PermissionDenied)],
            ),
            (staff(&["sales"]), [None, None, Some(Code::PermissionDenied)]),
            (staff(&["support"]), [None, Some(Code::PermissionDenied), Some(Code::PermissionDenied)]),
            (Some(house.service_token("echo", None)), [None, Some(Code::PermissionDenied), None]),
            (
                Some(house.token("svc:payment", Kind::Service, &[])),
                [Some(Code::PermissionDenied), None, Some(Code::PermissionDenied)],
            ),
            (Some(house.service_token("payment", None)), [Some(Code::Unauthenticated); 3]),
        ];
        for (n, (token, wanted)) in callers.into_iter().enumerate() {
            let cx = cx().with_token(token);
            let seen = [
                code(client.who_am_i(cx.clone(), WhoAmIRequest {}).await),
                code(client.staff_only(cx.clone(), StaffOnlyRequest {}).await),
                code(client.service_only(cx, ServiceOnlyRequest {}).await),
            ];
            assert_eq!(seen, wanted, "caller {n}, {way:?}");
        }
        let cx = cx().with_token(house.service_token("echo", Some("gst_9")));
        let who = client.who_am_i(cx, WhoAmIRequest {}).await.expect("order may ask");
        assert_eq!((who.subject.as_str(), who.owner.as_str()), ("svc:order", "gst_9"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_cannot_vouch_for_itself() {
    let house = house();
    let token = house.token("gst_1", Kind::Guest, &[]);
    let known = house.client(Way::Local).who_am_i(cx().with_token(token), WhoAmIRequest {}).await;
    assert!(known.is_ok());
    let forged = Arc::new(souk_identity::Principal {
        subject: "stf_1".into(),
        kind: Kind::Staff,
        roles: vec!["sales".into()],
        actor_for: None,
        expires: souk_kernel::Timestamp::from_unix_s(i64::MAX / 1_000_000),
    });
    let claimed = cx().with_principal(forged);
    let refused = house.client(Way::Local).staff_only(claimed, StaffOnlyRequest {}).await;
    assert_eq!(code(refused), Some(Code::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn a_stale_token_is_refused_even_where_none_is_needed() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let cx = cx().with_token(house.token("gst_1", Kind::Guest, &[]));
        assert_eq!(code(client.say(cx.clone(), say("")).await), None, "{way:?}");
        house.clock.advance_ms(660_000);
        assert_eq!(code(client.say(cx, say("")).await), Some(Code::Unauthenticated), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_asked_for_where_the_contract_says_so() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let missing = client.pay(cx(), PayRequest {}).await.expect_err("no key");
        assert_eq!(
            (missing.code(), missing.reason()),
            (Code::InvalidArgument, "IDEMPOTENCY_KEY_REQUIRED"),
            "{way:?}"
        );
        assert!(client.pay(cx().with_key(Arc::from("k")), PayRequest {}).await.is_ok(), "{way:?}");
        for bad in ["", "a b", &"k".repeat(256)] {
            let cx = cx().with_key(Arc::from(bad));
            assert_eq!(
                code(client.pay(cx.clone(), PayRequest {}).await),
                Some(Code::InvalidArgument),
                "{way:?} {bad:?}"
            );
            assert_eq!(code(client.say(cx, say("")).await), Some(Code::InvalidArgument), "{way:?} {bad:?}");
        }
    }
}

async fn counted(client: &EchoServiceClient, cx: Cx, to: u32, then: &str) -> (Vec<u32>, Option<Error>) {
    let request = CountRequest { to, then: then.into() };
    let mut items = match client.count(cx, request).await {
        Ok(items) => items,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut numbers = Vec::new();
    while let Some(item) = items.next().await {
        match item {
            Ok(item) => numbers.push(item.number),
            Err(error) => {
                assert!(items.next().await.is_none(), "nothing follows an error");
                return (numbers, Some(error));
            }
        }
    }
    (numbers, None)
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_its_items_and_its_end() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        for to in [0, 1, 1_000] {
            let (numbers, end) = counted(&client, cx(), to, "").await;
            assert_eq!(numbers, (1..=to).collect::<Vec<_>>(), "{way:?}");
            assert!(end.is_none(), "{way:?} {end:?}");
        }
        let (numbers, end) = counted(&client, cx(), 3, "reject").await;
        assert_eq!(numbers, [1, 2, 3], "{way:?}");
        assert_eq!(end.map(|e| outside(&e)), Some(outside(&house::rejection())), "{way:?}");
        let (numbers, end) = counted(&client, cx(), 3, "refuse").await;
        assert_eq!(
            (numbers.len(), end.map(|e| outside(&e))),
            (0, Some(outside(&house::rejection()))),
            "{way:?}"
        );
        let (numbers, end) = counted(&client, cx(), 2, "panic").await;
        assert_eq!((numbers.len(), end.map(|e| e.code())), (2, Some(Code::Internal)), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_ends_with_its_deadline_or_its_token() {
    for way in WAYS {
        let house = house();
        let client = house.client(way);
        let start = Instant::now();
        let (numbers, end) = counted(&client, cx(), 2, "hang").await;
        assert_eq!((numbers.len(), end.map(|e| e.code())), (2, Some(Code::DeadlineExceeded)), "{way:?}");
        assert!(
            start.elapsed() >= Duration::from_secs(59),
            "longer than the second it may take to open ({way:?})"
        );

        let day = Cx::new(Instant::now() + Duration::from_secs(86_000));
        let start = Instant::now();
        let guest = day.with_token(house.token("gst_1", Kind::Guest, &[]));
        house.clock.advance_ms(590_000);
        let (_, end) = counted(&client, guest, 1, "hang").await;
        assert_eq!(end.map(|e| e.code()), Some(Code::Unauthenticated), "{way:?}");
        assert_eq!(start.elapsed().as_secs(), 70, "ten seconds left, and the leeway ({way:?})");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_method_or_garbage_is_refused_by_name() {
    let house = house();
    for service in [Arc::clone(&house.bound.wire), house.channel()] {
        let unknown = service.call("Nonsense", cx(), Bytes::new()).await.expect_err("no such method");
        assert_eq!((unknown.code(), unknown.reason()), (Code::Unimplemented, "UNKNOWN_METHOD"));
        let garbage = service.call("Say", cx(), Bytes::from_static(&[0xff; 9])).await.expect_err("garbage");
        assert_eq!((garbage.code(), garbage.reason()), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        let stranger =
            service.call("WhoAmI", cx(), Bytes::from_static(&[0xff; 9])).await.expect_err("no token");
        assert_eq!(stranger.code(), Code::Unauthenticated, "a stranger's bytes are not even read");
    }
}

#[tokio::test(start_paused = true)]
async fn peers_are_found_at_the_call_in_any_order_of_start() {
    let house = house();
    let peers = Peers::new();
    let client: EchoServiceClient = peers.get();
    let missing = client.say(cx(), say("")).await.expect_err("nobody there");
    assert_eq!(missing.code(), Code::Unavailable);
    assert!(missing.message().contains(EchoServiceClient::SERVICE));
    assert!(peers.bytes(SERVICE).is_none());

    peers.add_local::<EchoServiceClient>(Arc::new(house::Echo::default()));
    assert!(client.say(cx(), say("")).await.is_ok(), "a double, without a guard");
    peers.add_bound(&house.bound);
    assert_eq!(
        code(client.pay(cx(), PayRequest {}).await),
        Some(Code::InvalidArgument),
        "replaced by the guarded one"
    );
    assert_eq!(peers.bytes(SERVICE).map(|bytes| bytes.service().to_owned()), Some(SERVICE.to_owned()));
    assert_eq!(peers.services(), [SERVICE]);
}

#[test]
fn the_policies_say_what_the_contract_says() {
    let policy = |name: &str| POLICIES.iter().find(|policy| policy.name == name).expect("generated");
    let staff = policy("StaffOnly");
    assert_eq!(
        (staff.auth, staff.roles, staff.callers),
        (Auth::Staff, &["sales", "admin"][..], &["payment"][..])
    );
    let pay = policy("Pay");
    assert_eq!((pay.idempotency, pay.success_status, pay.streaming), (Idempotency::Required, 202, false));
    assert_eq!(
        pay.lifecycle.as_ref().map(|l| (l.deprecated_at, l.successor)),
        Some(("2026-01-01T00:00:00Z", "Say"))
    );
    let count = policy("Count");
    assert_eq!(
        (count.path, count.streaming, count.success_status),
        ("/souk.test.v1.EchoService/Count", true, 200)
    );
    assert_eq!(policy("Say").timeout, Duration::from_secs(5));
}
