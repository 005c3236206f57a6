//! The same thing twice at once, and things that exclude each other at once: one effect, one winner, and
//! both sides' books agree.
use crate::shop::{Call, Setting, Settled, Shop, authorize, capture, is, refund, refused};
use futures_util::future::{join, join_all};
use souk_contracts::payment::v1::PaymentStatus::*;
use souk_provider::tokens::TOKENS;

/// A shop whose wire to the provider takes its time, differently for each seed.
fn shop(seed: u64) -> Shop {
    Shop::open(Setting { delays: Some(seed), ..Setting::memory() })
}

#[tokio::test]
async fn doubled_calls_have_one_effect_and_one_answer() {
    for (token, _) in TOKENS {
        let alone = Shop::open(Setting::memory());
        let shop = shop(7);
        for call in [authorize(token, 1000), capture("a", 600), refund("r", 600)] {
            let expected = alone.settle(&call).await;
            let settled = join_all((0..6).map(|_| shop.settle(&call))).await;
            assert!(settled.iter().all(|one| *one == expected), "{token} {call:?}: {settled:?}");
        }
        shop.check(token).await;
    }
}

#[tokio::test]
async fn concurrent_refunds_never_exceed_what_was_captured() {
    for seed in 0..20 {
        let shop = shop(seed);
        shop.settle(&authorize("ok", 1000)).await;
        shop.settle(&capture("a", 1000)).await;
        let refunds: Vec<Call> = (0..10).map(|n| refund(format!("r{n}"), 300)).collect();
        let settled = join_all(refunds.iter().map(|call| shop.settle(call))).await;
        let exceeding = settled.iter().filter(|one| **one == refused("REFUND_EXCEEDS_CAPTURED")).count();
        assert_eq!(exceeding, 7, "seed {seed}: {settled:?}");
        assert_eq!(shop.payment().await.refunded_minor(), 900, "seed {seed}");
        shop.check("concurrent refunds").await;
    }
}

#[tokio::test]
async fn concurrent_captures_never_exceed_what_was_promised() {
    for seed in 0..20 {
        let shop = shop(seed);
        shop.settle(&authorize("ok", 1000)).await;
        let captures: Vec<Call> = (0..10).map(|n| capture(format!("c{n}"), 300)).collect();
        join_all(captures.iter().map(|call| shop.settle(call))).await;
        assert_eq!(shop.payment().await.captured_minor(), 900, "seed {seed}");
        shop.check("concurrent captures").await;
    }
}

#[tokio::test]
async fn a_void_that_races_a_capture_has_one_winner() {
    let (mut voids, mut captures) = (0, 0);
    for seed in 0..80 {
        for token in ["ok", "capture_timeout_after_effect", "void_timeout_after_effect", "timeout_before"] {
            let shop = shop(seed);
            shop.settle(&authorize(token, 1000)).await;
            let (take, give_up) = (capture("a", 1000), Call::Void);
            let (taken, given_up) = join(shop.settle(&take), shop.settle(&give_up)).await;
            let story = format!("{token}, seed {seed}: {taken:?}, {given_up:?}");
            if given_up == is(Voided, 0, 0) {
                assert_eq!(taken, refused("PAYMENT_VOIDED"), "{story}");
                voids += 1;
            } else {
                assert_eq!(
                    (taken, given_up),
                    (is(Captured, 1000, 0), refused("ALREADY_CAPTURED")),
                    "{story}"
                );
                captures += 1;
            }
            shop.check(&story).await;
        }
    }
    assert!(voids > 0 && captures > 0, "both must win sometimes: {voids} voids, {captures} captures");
}

#[tokio::test]
async fn a_void_that_races_the_authorisation_leaves_nothing_promised() {
    for seed in 0..80 {
        for token in ["ok", "timeout_after_effect", "timeout_before", "decline_funds"] {
            let shop = shop(seed);
            let ask = authorize(token, 1000);
            let (_, given_up) = join(shop.settle(&ask), shop.settle(&Call::Void)).await;
            let story = format!("{token}, seed {seed}: {given_up:?}");
            let Settled::Is { status, captured: 0, .. } = given_up else { panic!("{story}") };
            assert!(matches!(status, Voided | Declined), "{story}");
            assert!(
                shop.theirs().await.iter().all(|their| their.voided || their.authorized_minor == 0),
                "{story}"
            );
            shop.check(&story).await;
        }
    }
}
