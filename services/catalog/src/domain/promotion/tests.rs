use super::*;
use souk_decider::golden;
use souk_decider::testing::Given;
use souk_kernel::Currency;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_s(second)
}

fn pence(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").expect("known"))
}

fn code(text: &str) -> Option<CouponCode> {
    Some(CouponCode::typed(text).expect("a code"))
}

fn terms() -> Terms {
    Terms {
        id: "spring".parse().expect("an id"),
        name: "Spring sale".into(),
        code: code("SPRING10"),
        benefit: Benefit::PercentageBp(1_000),
        minimum_subtotal: None,
        categories: BTreeSet::new(),
        skus: BTreeSet::new(),
        markets: BTreeSet::new(),
        valid_from: at(10),
        valid_to: Some(at(20)),
        limits: Limits { total: NonZeroU32::new(10), per_customer: NonZeroU32::new(1) },
        stackable: false,
    }
}

fn wanted() -> Create {
    Create { terms: terms(), from_now_on: false }
}

fn created(terms: Terms) -> Vec<PromotionEvent> {
    vec![PromotionEvent::PromotionCreated(PromotionCreated { terms: Arc::new(terms) })]
}

fn disabled(second: i64) -> PromotionEvent {
    PromotionEvent::PromotionDisabled(PromotionDisabled { reason: "leaked".into(), at: at(second) })
}

/// Creates it at the fifth second, when nobody has the code and no other promotion is there.
fn create(
    before: Vec<PromotionEvent>,
    wanted: Create,
) -> souk_decider::testing::Outcome<Promotion, Rejection> {
    Given::<Promotion>::events(before).when(move |promotion| promotion.create(&wanted, None, 0, at(5)))
}

#[test]
fn a_promotion_is_created_once_and_never_changes() {
    create(vec![], wanted()).then(created(terms()));
    create(created(terms()), wanted()).then_nothing();
    let dearer = Create { terms: Terms { benefit: Benefit::PercentageBp(2_000), ..terms() }, ..wanted() };
    let refused = create(created(terms()), dearer).then_rejects(PROMOTION_CONFLICT);
    assert_eq!((refused.code, refused.metadata["promotion_id"].as_str()), (Code::AlreadyExists, "spring"));
    create(vec![created(terms()).remove(0), disabled(6)], wanted()).then_nothing();
}

#[test]
fn one_from_now_on_begins_when_it_was_created_also_when_that_is_repeated() {
    let now_on = || Create { from_now_on: true, ..wanted() };
    create(vec![], now_on()).then(created(Terms { valid_from: at(5), ..terms() }));
    create(created(Terms { valid_from: at(3), ..terms() }), now_on()).then_nothing();
}

#[test]
fn a_code_that_is_taken_too_many_and_one_that_is_over_are_refused() {
    let create = |wanted: Create, owner: Option<&'static str>, automatic, now| {
        Given::<Promotion>::nothing()
            .when(move |promotion| promotion.create(&wanted, owner, automatic, at(now)))
    };
    let refused = create(wanted(), Some("summer"), 0, 5).then_rejects(COUPON_CODE_TAKEN);
    assert_eq!(refused.metadata["promotion_id"], "summer");
    let automatic =
        || Create { terms: Terms { code: None, limits: Limits::default(), ..terms() }, ..wanted() };
    create(automatic(), None, AUTOMATIC_MAX, 5).then_rejects(TOO_MANY_PROMOTIONS);
    create(automatic(), None, AUTOMATIC_MAX - 1, 5).then_events(|events| assert_eq!(events.len(), 1));
    create(wanted(), None, AUTOMATIC_MAX, 5).then_events(|events| assert_eq!(events.len(), 1));
    create(wanted(), None, 0, 20).then_rejects(PROMOTION_ENDED);
    create(Create { from_now_on: true, ..wanted() }, None, 0, 20).then_rejects(PROMOTION_ENDED);
    create(wanted(), None, 0, 19).then(created(terms()));
}

#[test]
fn disabling_is_for_good_and_twice_is_fine() {
    let disable = |before| Given::<Promotion>::events(before).when(|p| p.disable(&"leaked".into(), at(12)));
    disable(created(terms())).then(vec![disabled(12)]);
    disable(vec![created(terms()).remove(0), disabled(11)]).then_nothing();
    assert_eq!(disable(vec![]).then_rejects("NOT_FOUND").code, Code::NotFound);
}

#[test]
fn its_state_follows_from_the_moment() {
    let events = [created(terms()).remove(0), disabled(15)];
    let window = souk_decider::fold::<Promotion>(&events[..1]).window().expect("created");
    let states = [9, 10, 19, 20].map(|second| window.state(at(second)));
    assert_eq!(states, [State::Scheduled, State::Active, State::Active, State::Ended]);
    let window = souk_decider::fold::<Promotion>(&events).window().expect("created");
    assert_eq!([14, 15, 25].map(|s| window.state(at(s))), [State::Active, State::Disabled, State::Disabled]);
    assert_eq!(window.check(at(14)), Ok(()), "what was quoted before it was disabled is honoured");
    assert_eq!(window.check(at(15)), Err(CouponReason::Expired));
    assert_eq!(window.check(at(9)), Err(CouponReason::NotStarted));
    assert_eq!(Promotion::default().window(), None);
}

#[test]
fn limits_are_reached_and_not_passed() {
    let limits = terms().limits;
    let used = |by_all, by_customer| limits.check(Used { by_all, by_customer });
    assert_eq!(used(9, 0), Ok(()));
    assert_eq!(used(10, 0), Err(CouponReason::Exhausted));
    assert_eq!(used(3, 1), Err(CouponReason::UsedBefore));
    assert_eq!(Limits::default().check(Used { by_all: u64::MAX, by_customer: u64::MAX }), Ok(()));
}

#[test]
fn codes_are_the_same_in_any_case() {
    let one = CouponCode::typed("spring_10-X").expect("a code");
    assert_eq!(CouponCode::typed(" Spring_10-x "), Ok(one.clone()));
    assert_eq!(one.as_str(), "SPRING_10-X");
    for bad in ["", "ab", "a b c", "ÄÖÜ", &"x".repeat(33), "spring\n10"] {
        assert!(CouponCode::typed(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let full = Terms {
        benefit: Benefit::Fixed(pence(500)),
        minimum_subtotal: Some(pence(2_000)),
        categories: ["Kitchen".to_owned()].into(),
        skus: [Sku::try_new("M-1").expect("a SKU")].into(),
        markets: [Market::try_new("GB").expect("a market")].into(),
        valid_from: at(1_800_000_000),
        valid_to: Some(at(1_800_086_400)),
        ..terms()
    };
    let plain = Terms {
        code: None,
        benefit: Benefit::FreeShipping,
        valid_to: None,
        limits: Limits::default(),
        stackable: true,
        ..terms()
    };
    let events =
        [created(full).remove(0), created(plain).remove(0), created(terms()).remove(0), disabled(15)];
    golden::check(env!("CARGO_MANIFEST_DIR"), &events);
}
