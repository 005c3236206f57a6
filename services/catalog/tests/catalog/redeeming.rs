//! Coupons that orders use: counted once, never above their limits, given back once.
use crate::shop::{Shop, ten_percent};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::Config;
use souk_contracts::catalog::v1::RedemptionStatus::{Redeemed, Refused, Released};
use souk_contracts::catalog::v1::{self as pb, Reason};
use souk_contracts::terms::OrderId;
use souk_eventstore::audit::Audit;
use souk_host::Service;
use souk_identity::Kind;
use souk_kernel::{Clock, Code, TypeId, Uuid};
use std::collections::HashMap;

fn order(n: u8) -> OrderId {
    OrderId::from_uuid(Uuid::v7(1_800_000_000_000, [n; 10]))
}

/// A shop with a coupon of these limits.
async fn shop(id: &str, total: u32, per_customer: u32) -> Shop {
    let shop = Shop::in_memory().await;
    coupon(&shop, id, total, per_customer).await;
    shop
}

async fn coupon(shop: &Shop, id: &str, total: u32, per_customer: u32) {
    let input =
        pb::PromotionInput { limit_total: total, limit_per_customer: per_customer, ..ten_percent(id) };
    shop.promote(input).await.expect("created");
}

async fn used(shop: &Shop, id: &str) -> u64 {
    shop.promotion(id).await.expect("there").used
}

fn said(redemption: &pb::Redemption) -> (pb::RedemptionStatus, Reason, &str) {
    (redemption.status(), redemption.reason(), redemption.code.as_str())
}

#[tokio::test]
async fn an_order_redeems_once_and_gives_back_once() {
    let shop = shop("spring", 1, 0).await;
    let first = shop.redeem(order(1), "ann", &["Spring"]).await.expect("answered");
    assert_eq!(said(&first), (Redeemed, Reason::Unspecified, ""));
    assert_eq!(first.codes, ["SPRING"]);
    assert_eq!(shop.redeem(order(1), "ann", &["SPRING"]).await.expect("answered"), first);
    assert_eq!(used(&shop, "spring").await, 1);

    let refused = shop.redeem(order(2), "bob", &["spring"]).await.expect("answered");
    assert_eq!(said(&refused), (Refused, Reason::CouponExhausted, "SPRING"));
    assert_eq!(shop.release(order(1)).await.status(), Released);
    assert_eq!(shop.release(order(1)).await.status(), Released);
    assert_eq!(used(&shop, "spring").await, 0);
    assert_eq!(shop.redeem(order(2), "bob", &["spring"]).await.expect("answered"), refused, "for ever");
    assert_eq!(shop.release(order(2)).await.status(), Refused);
    let late = shop.redeem(order(1), "ann", &["spring"]).await.expect("answered");
    assert_eq!(late.status(), Released, "what was given back does not come back");
    let third = shop.redeem(order(3), "bob", &["spring"]).await.expect("answered");
    assert_eq!(third.status(), Redeemed);
    shop.check().await;
}

#[tokio::test]
async fn a_release_that_overtakes_leaves_a_tombstone() {
    let shop = shop("spring", 1, 0).await;
    let released = shop.release(order(1)).await;
    assert_eq!((released.status(), released.codes.len()), (Released, 0));
    assert_eq!(shop.redeem(order(1), "ann", &["spring"]).await.expect("answered").status(), Released);
    assert_eq!(used(&shop, "spring").await, 0);
    shop.check().await;
}

#[tokio::test]
async fn all_coupons_of_an_order_count_or_none() {
    let shop = shop("one-use", 1, 0).await;
    coupon(&shop, "any-use", 0, 0).await;
    shop.redeem(order(1), "ann", &["one-use"]).await.expect("answered");
    let refused = shop.redeem(order(2), "bob", &["any-use", "one-use"]).await.expect("answered");
    assert_eq!(said(&refused), (Refused, Reason::CouponExhausted, "ONE-USE"));
    let unknown = shop.redeem(order(3), "bob", &["any-use", "ann@example.com"]).await.expect("answered");
    assert_eq!(said(&unknown), (Refused, Reason::CouponUnknown, "?"));
    assert_eq!(used(&shop, "any-use").await, 0);
    shop.check().await;
}

#[tokio::test]
async fn a_customer_uses_a_coupon_as_often_as_one_may_and_is_told_before() {
    let shop = shop("spring", 0, 1).await;
    shop.put("mug", crate::shop::one("Mug", "M-1", 255)).await.expect("created");
    shop.redeem(order(1), "somebody", &["spring"]).await.expect("answered");
    let refusal = async || shop.priced(&[("M-1", 1)], &["spring"]).await.refused.first().map(|r| r.reason());
    assert_eq!(refusal().await, Some(Reason::CouponUsedBefore));
    let again = shop.redeem(order(2), "somebody", &["spring"]).await.expect("answered");
    assert_eq!(again.reason(), Reason::CouponUsedBefore);
    assert_eq!(shop.redeem(order(3), "bob", &["spring"]).await.expect("answered").status(), Redeemed);
    shop.release(order(1)).await;
    assert_eq!(refusal().await, None);
    assert_eq!(shop.redeem(order(4), "somebody", &["spring"]).await.expect("answered").status(), Redeemed);
    shop.check().await;
}

#[tokio::test]
async fn what_was_quoted_before_it_ended_is_honoured() {
    let shop = shop("spring", 0, 0).await;
    let quoted = shop.clock.now();
    shop.clock.advance_ms(1_000);
    shop.disable("spring").await.expect("there");
    shop.clock.advance_ms(60_000);
    let redeem = async |n, priced_at| {
        let request = pb::RedeemCouponsRequest {
            order_id: order(n).to_string(),
            subject: "ann".into(),
            codes: vec!["SPRING".into()],
            priced_at: Some(souk_rpc::time::to_proto(priced_at)),
        };
        let answer = shop.client.redeem_coupons(shop.order(), request).await.expect("answered");
        answer.redemption.expect("an answer")
    };
    assert_eq!(redeem(1, quoted).await.status(), Redeemed);
    assert_eq!(said(&redeem(2, shop.clock.now()).await), (Refused, Reason::CouponExpired, "SPRING"));
    shop.check().await;
}

#[tokio::test]
async fn only_the_order_service_redeems_and_faults_are_told() {
    let shop = shop("spring", 0, 0).await;
    let faulty = pb::RedeemCouponsRequest { order_id: "ord_1".into(), ..Default::default() };
    let error = shop.client.redeem_coupons(shop.order(), faulty.clone()).await.expect_err("faulty");
    let fields: Vec<&str> = error.fields().iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["orderId", "subject", "codes", "pricedAt"]);
    for cx in [shop.sales(), shop.person(Kind::Customer, &[])] {
        let error = shop.client.redeem_coupons(cx, faulty.clone()).await.expect_err("not theirs");
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    shop.redeem(order(1), "ann", &["spring"]).await.expect("answered");
    let other = shop.redeem(order(1), "bob", &["spring"]).await.expect_err("another customer");
    assert_eq!(other.reason(), "REDEMPTION_CONFLICT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i_ca_5_a_hundred_orders_and_ten_coupons() {
    let shop = shop("spring", 10, 2).await;
    let customer = |n: u8| format!("gst_{}", n % 20);
    let asked = (0..100).map(|n| {
        let (shop, customer) = (&shop, customer(n));
        async move { shop.redeem(order(n), &customer, &["spring"]).await.expect("answered") }
    });
    let answers = join_all(asked).await;
    let redeemed = answers.iter().filter(|answer| answer.status() == Redeemed).count();
    assert_eq!((redeemed, used(&shop, "spring").await), (10, 10));
    shop.check().await;

    let released = (0..100).map(|n| shop.release(order(n)));
    join_all(released).await;
    assert_eq!(used(&shop, "spring").await, 0);
    shop.check().await;
}

#[tokio::test]
async fn answers_and_counts_are_there_again_after_a_restart_and_the_views_are_what_the_log_makes_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::at(folder.path(), 1).await;
    coupon(&shop, "spring", 1, 1).await;
    coupon(&shop, "summer", 0, 0).await;
    shop.tax("GB", &[("standard", 200_000)], true).await.expect("put");
    let first = shop.redeem(order(1), "ann", &["spring", "summer"]).await.expect("answered");
    let refused = shop.redeem(order(2), "bob", &["spring"]).await.expect("answered");
    shop.redeem(order(3), "bob", &["summer"]).await.expect("answered");
    shop.release(order(3)).await;
    shop.disable("summer").await.expect("there");
    shop.node.shut_down().await;

    let audit = Audit::open(folder.path().join("catalog.db")).expect("readable");
    assert_eq!(audit.findings(&souk_catalog::service().views(), None), Ok(Vec::new()));
    drop(audit);
    let shop = Shop::at(folder.path(), 2).await;
    assert_eq!(shop.redeem(order(1), "ann", &["summer", "spring"]).await.expect("answered"), first);
    assert_eq!(shop.redeem(order(2), "bob", &["spring"]).await.expect("answered"), refused);
    assert_eq!((used(&shop, "spring").await, used(&shop, "summer").await), (1, 1));
    shop.check().await;
    shop.node.shut_down().await;
}

#[derive(Debug, Clone)]
enum Step {
    Redeem(u8, u8, Vec<u8>),
    RedeemAgain(u8),
    Release(u8),
}

const CODES: [&str; 3] = ["one", "two", "any"];

fn step() -> impl Strategy<Value = Step> {
    let codes = prop::collection::btree_set(0..3u8, 1..3).prop_map(|codes| codes.into_iter().collect());
    prop_oneof![
        4 => (0..8u8, 0..3u8, codes).prop_map(|(n, subject, codes)| Step::Redeem(n, subject, codes)),
        1 => (0..8u8).prop_map(Step::RedeemAgain),
        2 => (0..8u8).prop_map(Step::Release),
    ]
}

type Told = HashMap<u8, (String, Vec<&'static str>, pb::Redemption)>;

async fn redeem(shop: &Shop, told: &mut Told, n: u8, subject: String, codes: Vec<&'static str>) {
    let answer = match shop.redeem(order(n), &subject, &codes).await {
        Ok(answer) => answer,
        Err(error) => {
            assert_eq!(error.reason(), "REDEMPTION_CONFLICT");
            return;
        }
    };
    if let Some((_, _, before)) = told.get(&n) {
        let stands = answer == *before || answer.status() == Released;
        assert!(stands, "{before:?} became {answer:?}");
    } else {
        told.insert(n, (subject, codes, answer));
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    #[test]
    fn i_ca_5_holds_after_every_step(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let shop = shop("one", 1, 0).await;
            coupon(&shop, "two", 2, 1).await;
            coupon(&shop, "any", 0, 2).await;
            let mut told = Told::new();
            for step in steps {
                match step {
                    Step::Redeem(n, subject, codes) => {
                        let codes = codes.iter().map(|code| CODES[usize::from(*code)]).collect();
                        redeem(&shop, &mut told, n, format!("gst_{subject}"), codes).await;
                    }
                    Step::RedeemAgain(n) => {
                        if let Some((subject, codes, _)) = told.get(&n).cloned() {
                            redeem(&shop, &mut told, n, subject, codes).await;
                        }
                    }
                    Step::Release(n) => {
                        assert_ne!(shop.release(order(n)).await.status(), Redeemed);
                    }
                }
                shop.check().await;
            }
        });
    }
}
