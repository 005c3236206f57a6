//! Who may see what, what is answered without a provider, and what a silent provider does to a caller.
use crate::shop::{
    Call, Setting, Shop, as_order, authorize, by, capture, is, order_id, payment_id, refund, refused,
};
use souk_contracts::payment::v1 as pb;
use souk_contracts::payment::v1::PaymentService;
use souk_contracts::payment::v1::PaymentStatus::*;
use souk_eventstore::{EventStore, Faults, Location, Options};
use souk_identity::Kind;
use souk_kernel::{Clock, Code, Error, Ids, ManualClock, SeededEntropy, Timestamp};
use souk_payment::domain::notice::Notice;
use souk_payment::domain::{Answer, Command, Want};
use souk_payment::effects::{ATTEMPT_TIMEOUT, Authorize, Cashier, Message, Move, Provider, Reported};
use souk_payment::proto::Day;
use souk_payment::views;
use souk_rpc::{BoxFuture, Cx};
use std::sync::Arc;
use tokio::time::Instant;

async fn get(shop: &Shop, cx: Cx) -> Result<pb::Payment, Code> {
    let request = pb::GetPaymentRequest { payment_id: payment_id().to_string() };
    let answered = shop.counter.get_payment(cx, request).await.map_err(|error| error.code())?;
    Ok(answered.payment.expect("an answer holds a payment"))
}

#[tokio::test]
async fn a_payment_is_shown_to_its_owner_and_to_whoever_looks_after_it() {
    let shop = Shop::open(Setting::memory());
    let owner = || by("gst_1", Kind::Guest, &[], None);
    assert_eq!(get(&shop, owner()).await, Err(Code::NotFound));
    shop.settle(&authorize("ok", 1000)).await;
    let payment = get(&shop, owner()).await.expect("it is the owner's");
    assert_eq!((payment.status(), payment.order_id), (Authorized, order_id().to_string()));
    assert!(payment.updated_at.is_some_and(|at| at.seconds == 1_000));
    for (cx, sees) in [
        (by("gst_2", Kind::Guest, &[], None), false),
        (by("usr_1", Kind::Customer, &["support"], None), false),
        (by("stf_1", Kind::Staff, &["sales"], None), false),
        (by("stf_1", Kind::Staff, &["support"], None), true),
        (by("stf_1", Kind::Staff, &["admin"], None), true),
        (by("svc:order", Kind::Service, &[], None), true),
        (as_order(), true),
        (by("svc:order", Kind::Service, &[], Some("gst_2")), false),
    ] {
        let seen = get(&shop, cx.clone()).await;
        assert_eq!(seen.is_ok(), sees, "{:?}", cx.principal());
        assert!(sees || seen == Err(Code::NotFound), "not yours and not there look the same");
    }
}

#[tokio::test]
async fn a_tombstone_is_nobodys() {
    let shop = Shop::open(Setting::memory());
    assert_eq!(shop.settle(&Call::Void).await, is(Voided, 0, 0));
    assert_eq!(get(&shop, by("gst_1", Kind::Guest, &[], None)).await, Err(Code::NotFound));
    let seen = get(&shop, by("stf_1", Kind::Staff, &["support"], None)).await.expect("staff see it");
    assert_eq!((seen.status(), seen.authorized), (Voided, None));
}

#[tokio::test]
async fn nothing_to_pay_never_reaches_the_provider() {
    let shop = Shop::open(Setting::memory());
    assert_eq!(shop.settle(&authorize("decline_funds", 0)).await, is(Authorized, 0, 0));
    assert_eq!(shop.settle(&capture("full", 0)).await, is(Captured, 0, 0));
    assert_eq!(shop.settle(&Call::Void).await, refused("ALREADY_CAPTURED"));
    assert_eq!(shop.settle(&refund("cancel", 0)).await, is(Refunded, 0, 0));
    assert_eq!(shop.provider_calls(), 0);
    shop.check("free").await;
    let shop = Shop::open(Setting::memory());
    shop.settle(&authorize("ok", 0)).await;
    assert_eq!(shop.settle(&Call::Void).await, is(Voided, 0, 0));
    assert_eq!(shop.provider_calls(), 0);
}

#[tokio::test]
async fn the_ledger_shows_every_account_and_adds_up_to_zero() {
    let shop = Shop::open(Setting::memory());
    for call in [authorize("ok", 1000), capture("a", 600), capture("b", 400), refund("r", 250)] {
        shop.settle(&call).await;
    }
    let cx = by("stf_1", Kind::Staff, &["support"], None);
    let ledger = shop.counter.get_ledger(cx, pb::GetLedgerRequest {}).await.expect("answered");
    let balances: Vec<(String, i64)> = ledger
        .balances
        .into_iter()
        .map(|line| (line.account, line.balance.expect("a balance has an amount").minor_units))
        .collect();
    let expected = [("provider_clearing", 750), ("refunds", 250), ("revenue", -1000)];
    assert_eq!(balances, expected.map(|(account, sum)| (account.to_owned(), sum)));
}

#[tokio::test]
async fn other_content_under_the_same_id_is_a_conflict() {
    let shop = Shop::open(Setting::memory());
    for call in [authorize("ok", 1000), capture("a", 600), refund("r", 200)] {
        shop.settle(&call).await;
    }
    for call in [authorize("ok", 999), authorize("slow_30s", 1000), capture("a", 599), refund("r", 201)] {
        assert_eq!(shop.settle(&call).await, refused("PAYMENT_CONFLICT"), "{call:?}");
    }
    let cx = as_order();
    let amount = Some(souk_contracts::types::v1::Money { minor_units: 1, currency: "EUR".to_owned() });
    let (payment_id, capture_id) = (payment_id().to_string(), "eur".to_owned());
    let request = pb::CaptureRequest { payment_id, capture_id, amount };
    let error = shop.counter.capture(cx, request).await.expect_err("another currency");
    assert_eq!(error.reason(), "PAYMENT_CONFLICT");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_names_its_fields_and_leaves_nothing() {
    let shop = Shop::open(Setting::memory());
    let error = shop.counter.authorize(as_order(), pb::AuthorizeRequest::default()).await;
    let error = error.expect_err("nothing was said");
    assert_eq!((error.code(), error.fields().len()), (Code::InvalidArgument, 4));
    assert_eq!(shop.payments.statistics().events, 0);
}

/// A provider that takes calls and never answers.
struct Silent;

impl Provider for Silent {
    fn authorize(&self, _: Cx, _: Authorize) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(std::future::pending())
    }
    fn capture(&self, _: Cx, _: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(std::future::pending())
    }
    fn void(&self, _: Cx, _: String, _: String) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(std::future::pending())
    }
    fn refund(&self, _: Cx, _: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(std::future::pending())
    }
    fn reauthorize(&self, _: Cx, _: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(std::future::pending())
    }
    fn complete(&self, _: Cx, _: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        Box::pin(std::future::pending())
    }
    fn report(&self, _: Cx, _: Day) -> BoxFuture<'_, Result<Vec<Reported>, Error>> {
        Box::pin(std::future::pending())
    }
    fn notice(&self, _: &Message<'_>, _: Timestamp) -> Result<Notice, Error> {
        Err(Error::unavailable("it says nothing"))
    }
    fn name(&self) -> &'static str {
        "silent"
    }
    fn find(&self, _: Cx, _: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_given_up_after_its_time_and_never_taken_for_a_no() {
    let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
    let location = Location::Memory(Faults::none());
    let options = Options::new("payment", location, Arc::clone(&clock) as Arc<dyn Clock>);
    let store = EventStore::open(options.views(views::views())).expect("the store opens");
    let cashier = Cashier::new(store, Ids::new(clock, SeededEntropy::new(1)), Arc::new(Silent));
    let amount = souk_kernel::Money::new(1, souk_kernel::Currency::parse("GBP").expect("known"));
    let (owner, method_token) = ("gst_1".to_owned(), "ok".to_owned());
    let want = Want::Authorize { order_id: order_id(), owner, amount, method_token };
    for _ in 0..2 {
        let command = Command { payment_id: payment_id(), want: want.clone() };
        let begun = Instant::now();
        let error = cashier.carry_out(&as_order(), command).await.expect_err("no answer");
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, "OUTCOME_UNKNOWN"));
        assert_eq!(begun.elapsed().as_secs(), ATTEMPT_TIMEOUT.as_secs());
    }
    let payment = cashier.payment(payment_id()).await.expect("readable");
    assert_eq!(payment.version(), 2, "the request and one doubt");
}
