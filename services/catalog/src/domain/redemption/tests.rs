use super::*;
use crate::invariants;
use souk_decider::golden;
use souk_decider::testing::{Given, Outcome};
use std::num::NonZeroU32;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_s(second)
}

fn used_coupon(text: &str) -> UsedCoupon {
    let code = CouponCode::typed(text).expect("a code");
    UsedCoupon { promotion: code.as_str().to_lowercase().parse().expect("an id"), code }
}

/// One that holds from the 10th second to the 20th and may be used twice, once by each customer.
fn coupon(text: &str, by_all: u64, by_customer: u64) -> Coupon {
    let UsedCoupon { code, promotion } = used_coupon(text);
    Coupon {
        code,
        promotion,
        window: Window { valid_from: at(10), valid_to: Some(at(20)), disabled_at: None },
        limits: Limits { total: NonZeroU32::new(2), per_customer: NonZeroU32::new(1) },
        used: Used { by_all, by_customer },
    }
}

fn wanted(codes: &[&str], priced_at: i64) -> Redeem {
    let codes = codes.iter().map(|code| AskedCode::recorded(code)).collect();
    Redeem { subject: "ann".into(), codes, priced_at: at(priced_at) }
}

fn redeemed(codes: &[&str]) -> RedemptionEvent {
    RedemptionEvent::CouponsRedeemed(CouponsRedeemed {
        subject: "ann".into(),
        coupons: codes.iter().map(|code| used_coupon(code)).collect(),
        priced_at: at(15),
    })
}

fn refused(codes: &[&str], code: &str, reason: CouponReason) -> RedemptionEvent {
    let codes = codes.iter().map(|code| (*code).into()).collect();
    let (subject, code) = ("ann".into(), code.into());
    RedemptionEvent::RedemptionRefused(RedemptionRefused { subject, codes, code, reason })
}

fn released(subject: &str, codes: &[&str]) -> RedemptionEvent {
    RedemptionEvent::CouponsReleased(CouponsReleased {
        reason: "cancelled".into(),
        subject: subject.into(),
        coupons: codes.iter().map(|code| used_coupon(code)).collect(),
    })
}

/// Redeems at the 16th second what was priced at the 15th.
fn redeem(
    before: Vec<RedemptionEvent>,
    codes: &[&str],
    coupons: Vec<Coupon>,
) -> Outcome<Redemption, Rejection> {
    let wanted = wanted(codes, 15);
    Given::<Redemption>::events(before).when(move |redemption| redemption.redeem(&wanted, &coupons, at(16)))
}

#[test]
fn all_coupons_of_an_order_count_or_none() {
    let coupons = || vec![coupon("AAA", 0, 0), coupon("BBB", 2, 0)];
    redeem(vec![], &["aaa"], coupons()).then(vec![redeemed(&["AAA"])]);
    let refusal = |code, reason| vec![refused(&["AAA", code], code, reason)];
    redeem(vec![], &["aaa", "bbb"], coupons()).then(refusal("BBB", CouponReason::Exhausted));
    redeem(vec![], &["aaa", "ccc"], coupons()).then(refusal("CCC", CouponReason::Unknown));
    redeem(vec![], &["aaa", "ann@example.com"], coupons()).then(refusal("?", CouponReason::Unknown));
    let by_ann = || vec![coupon("AAA", 0, 0), coupon("BBB", 1, 1)];
    redeem(vec![], &["aaa", "bbb"], by_ann()).then(refusal("BBB", CouponReason::UsedBefore));
}

#[test]
fn what_held_when_the_order_was_priced_is_honoured() {
    let answer = |priced_at, now, disabled_at: Option<i64>| {
        let mut coupon = coupon("AAA", 0, 0);
        coupon.window.disabled_at = disabled_at.map(at);
        let events =
            Redemption::Unknown.redeem(&wanted(&["AAA"], priced_at), &[coupon], at(now)).expect("decided");
        match &events[..] {
            [RedemptionEvent::CouponsRedeemed(_)] => Ok(()),
            [RedemptionEvent::RedemptionRefused(e)] => Err(e.reason),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answer(19, 100, None), Ok(()), "it ended since");
    assert_eq!(answer(19, 100, Some(20)), Ok(()), "it was disabled since");
    assert_eq!(answer(19, 100, Some(19)), Err(CouponReason::Expired));
    assert_eq!(answer(20, 20, None), Err(CouponReason::Expired));
    assert_eq!(answer(9, 15, None), Err(CouponReason::NotStarted));
    assert_eq!(answer(15, 9, None), Err(CouponReason::NotStarted), "nobody prices in the future");
}

#[test]
fn the_first_answer_stands() {
    let exhausted = || vec![coupon("AAA", 2, 1)];
    redeem(vec![redeemed(&["AAA"])], &["aaa"], exhausted()).then_nothing();
    let free_again = || vec![coupon("AAA", 0, 0)];
    redeem(vec![refused(&["AAA"], "AAA", CouponReason::Exhausted)], &["AAA"], free_again()).then_nothing();
    redeem(vec![redeemed(&["AAA"])], &["AAA", "BBB"], free_again()).then_rejects(REDEMPTION_CONFLICT);
    redeem(vec![refused(&["AAA"], "AAA", CouponReason::Exhausted)], &["BBB"], free_again())
        .then_rejects(REDEMPTION_CONFLICT);
    let by_bob = Redeem { subject: "bob".into(), ..wanted(&["AAA"], 15) };
    Given::<Redemption>::events(vec![redeemed(&["AAA"])])
        .when(|redemption| redemption.redeem(&by_bob, &free_again(), at(16)))
        .then_rejects(REDEMPTION_CONFLICT);
}

#[test]
fn a_release_gives_back_once_and_before_the_request_leaves_a_tombstone() {
    let release = |before| {
        Given::<Redemption>::events(before)
            .when(|redemption| Ok::<_, Rejection>(redemption.release("cancelled")))
    };
    release(vec![redeemed(&["AAA", "BBB"])]).then(vec![released("ann", &["AAA", "BBB"])]);
    release(vec![redeemed(&["AAA"]), released("ann", &["AAA"])]).then_nothing();
    release(vec![refused(&["AAA"], "AAA", CouponReason::Expired)]).then_nothing();
    let after = release(vec![]).then(vec![released("", &[])]);
    assert!(matches!(after, Redemption::Released(_)));
    redeem(vec![released("", &[])], &["AAA"], vec![coupon("AAA", 0, 0)]).then_nothing();
    redeem(vec![redeemed(&["AAA"]), released("ann", &["AAA"])], &["BBB"], vec![]).then_nothing();
}

#[test]
fn invariants_notice_what_they_are_for() {
    let one_answer = |events: &[RedemptionEvent]| {
        let events: Vec<_> = events.iter().cloned().map(Arc::new).collect();
        invariants::one_answer_per_order(&events).is_ok()
    };
    assert!(one_answer(&[redeemed(&["AAA", "BBB"]), released("ann", &["AAA", "BBB"])]));
    assert!(one_answer(&[released("", &[])]));
    assert!(!one_answer(&[redeemed(&["AAA"]), redeemed(&["AAA"])]));
    assert!(!one_answer(&[redeemed(&["AAA", "AAA"])]));
    assert!(!one_answer(&[redeemed(&["AAA"]), released("ann", &["BBB"])]));
    assert!(!one_answer(&[released("ann", &["AAA"])]));
    assert!(!one_answer(&[refused(&["AAA"], "AAA", CouponReason::Expired), released("", &[])]));
    assert!(!one_answer(&[released("", &[]), redeemed(&["AAA"])]));

    let RedemptionEvent::CouponsRedeemed(once) = redeemed(&["AAA"]) else { panic!("it is one") };
    let limits = |total, per_customer| {
        let limits = Limits { total: NonZeroU32::new(total), per_customer: NonZeroU32::new(per_customer) };
        [("aaa".to_owned(), limits)].into()
    };
    let twice = invariants::uses([&once, &once]);
    assert!(invariants::uses_are_within_limits(&twice, &limits(2, 2)).is_ok());
    assert!(invariants::uses_are_within_limits(&twice, &limits(1, 0)).is_err());
    assert!(invariants::uses_are_within_limits(&twice, &limits(0, 1)).is_err());
    assert!(invariants::uses_are_within_limits(&twice, &[].into()).is_err());
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let events = [
        redeemed(&["AAA", "BBB"]),
        refused(&["AAA", "?"], "?", CouponReason::Unknown),
        refused(&["AAA"], "AAA", CouponReason::Exhausted),
        released("ann", &["AAA"]),
        released("", &[]),
    ];
    golden::check(env!("CARGO_MANIFEST_DIR"), &events);
}
