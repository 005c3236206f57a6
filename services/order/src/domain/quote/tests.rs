//! Per command: it does, it refuses, it stays quiet.
use super::*;
use crate::domain::samples::{agreed, at, customer, gbp, of_cart, offer, order_id, seller, total};
use souk_decider::testing::{Given, Outcome};

fn created(source: Source) -> Vec<QuoteEvent> {
    vec![QuoteEvent::QuoteCreated(offer(source))]
}

fn used(source: Source) -> Vec<QuoteEvent> {
    let mut events = created(source);
    events.push(QuoteEvent::QuoteAccepted(QuoteAccepted { order_id: order_id() }));
    events
}

fn accepting(caller: Caller, expected_total: Money) -> Accept {
    Accept { caller, expected_total, order_id: order_id() }
}

fn given(events: Vec<QuoteEvent>, command: Accept, now: i64) -> Outcome<Quote, Rejection> {
    Given::<Quote>::events(events).when(|quote| accept(quote, &command, at(now)))
}

#[test]
fn a_quote_is_created_once() {
    let promise = offer(of_cart());
    let quote = Quote::default();
    assert_eq!(create(&quote, &promise), created(of_cart()));
    let made = souk_decider::fold::<Quote>(&created(of_cart()));
    assert_eq!(create(&made, &promise), vec![]);
}

#[test]
fn its_owner_accepts_it_at_the_promised_total() {
    let accepted = vec![QuoteEvent::QuoteAccepted(QuoteAccepted { order_id: order_id() })];
    given(created(of_cart()), accepting(customer("gst_1"), total()), 899).then(accepted.clone());
    given(created(agreed()), accepting(customer("gst_1"), total()), 0).then(accepted.clone());
    given(created(agreed()), accepting(seller(), total()), 0).then(accepted);
}

#[test]
fn a_strangers_quote_is_not_there() {
    given(vec![], accepting(customer("gst_1"), total()), 0).then_rejects("NOT_FOUND");
    given(created(of_cart()), accepting(customer("gst_2"), total()), 0).then_rejects("NOT_FOUND");
    given(created(of_cart()), accepting(seller(), total()), 0).then_rejects("NOT_FOUND");
    let support = Caller { sells: false, looks_after: true, subject: "stf_2".into() };
    given(created(agreed()), accepting(support, total()), 0).then_rejects("NOT_FOUND");
    given(used(of_cart()), accepting(customer("gst_2"), total()), 0).then_rejects("NOT_FOUND");
}

#[test]
fn an_end_is_an_end_and_an_order_has_a_quote_for_itself() {
    let mine = || accepting(customer("gst_1"), total());
    given(created(of_cart()), mine(), 900).then_rejects("QUOTE_EXPIRED");
    let rejection = given(used(of_cart()), mine(), 0).then_rejects("QUOTE_USED");
    assert_eq!(rejection.metadata["order_id"], order_id().to_string());
    given(used(of_cart()), mine(), 5_000).then_rejects("QUOTE_USED");
}

#[test]
fn another_total_or_currency_is_refused_with_both() {
    let eur = Currency::parse("EUR").expect("known");
    for expected in [Money::new(848, gbp()), Money::new(849, eur), Money::new(0, gbp())] {
        let rejection = given(created(of_cart()), accepting(customer("gst_1"), expected), 0)
            .then_rejects("TOTAL_CHANGED");
        assert_eq!(rejection.metadata["total"], "8.49 GBP");
        assert_eq!(rejection.metadata["expected_total"], expected.to_string());
    }
}

fn asking(hash: &str, market: &str) -> AskAgain {
    AskAgain {
        hash: hash.into(),
        market: Market::try_new(market).expect("valid"),
        ttl: Duration::from_secs(900),
    }
}

fn asked(events: Vec<QuoteEvent>, ask: &AskAgain, now: i64) -> Outcome<Quote, Rejection> {
    Given::<Quote>::events(events).when(|quote| ask_again(quote, ask, at(now)))
}

#[test]
fn the_same_deal_is_the_same_quote_renewed_only_when_it_expired_unused() {
    let same = asking("abc", "GB");
    asked(created(agreed()), &same, 899).then_nothing();
    asked(used(agreed()), &same, 10_000).then_nothing();
    asked(created(agreed()), &same, 900)
        .then_events(|events| assert_eq!(events.len(), 1, "it ends at its end"));
    let renewed = vec![QuoteEvent::QuoteRenewed(QuoteRenewed { expires_at: at(10_900) })];
    let quote = asked(created(agreed()), &same, 10_000).then(renewed);
    assert_eq!(quote.expires_at(), Some(at(10_900)));
    assert!(accept(&quote, &accepting(seller(), total()), at(10_899)).is_ok());
}

#[test]
fn another_deal_under_the_same_reference_is_refused() {
    asked(created(agreed()), &asking("other", "GB"), 0).then_rejects("EXTERNAL_REF_TAKEN");
    asked(used(agreed()), &asking("abc", "DE"), 0).then_rejects("EXTERNAL_REF_TAKEN");
}

fn cart_line(line: u32, sku: &str, quantity: u32) -> CartLine {
    CartLine {
        line,
        sku: Sku::try_new(sku).expect("valid"),
        quantity: Quantity::try_new(quantity).expect("valid"),
    }
}

fn priced(minor: i64) -> Listing {
    Listing::Priced {
        title: "Thing".into(),
        price: Money::new(minor, gbp()),
        price_version: 3,
        discount_minor: 0,
        tax_minor: 0,
    }
}

#[test]
fn a_cart_is_priced_line_by_line_and_lines_keep_their_cart_line() {
    let cart = [cart_line(4, "A", 2), cart_line(9, "A", 1), cart_line(11, "B", 3)];
    let (lines, total) = price_cart(&cart, &[priced(250), priced(250), priced(0)], None).expect("sold");
    assert_eq!(total, Money::new(750, gbp()));
    let numbers: Vec<_> = lines.iter().map(|l| (l.line, l.cart_line, l.price_version)).collect();
    assert_eq!(numbers, [(1, 4, 3), (2, 9, 3), (3, 11, 3)]);
}

#[test]
fn what_is_wrong_with_a_cart_names_every_faulty_sku() {
    let refused = |cart: &[CartLine], listings: &[Listing]| {
        let rejection = price_cart(cart, listings, None).expect_err("faulty");
        (rejection.reason, rejection.metadata.get("skus").cloned().unwrap_or_default())
    };
    assert_eq!(refused(&[], &[]), ("CART_EMPTY", String::new()));
    let cart = [cart_line(1, "B", 1), cart_line(2, "A,1", 1), cart_line(3, "B", 1)];
    let unknown = refused(&cart, &[Listing::Unknown, Listing::Unknown, Listing::Unknown]);
    assert_eq!(unknown, ("UNKNOWN_SKU", r#"["A,1","B"]"#.to_owned()));
    let unpriced = || Listing::Unpriced { title: "x".into() };
    let unsold = refused(&cart, &[unpriced(), priced(1), unpriced()]);
    assert_eq!(unsold, ("NOT_SOLD_IN_MARKET", r#"["B"]"#.to_owned()));
    let large = [cart_line(1, "A", 1_000_000), cart_line(2, "B", 1)];
    assert_eq!(refused(&large, &[priced(i64::MAX), priced(1)]).0, "TOTAL_OVERFLOW");
    assert_eq!(refused(&large, &[priced(i64::MAX / 1_000_000), priced(i64::MAX)]).0, "TOTAL_OVERFLOW");
}

#[test]
fn a_deal_takes_its_prices_from_the_request_and_its_titles_from_the_catalog() {
    let deal: Vec<AgreedLine> = (0..30)
        .map(|n| AgreedLine {
            sku: Sku::try_new(format!("S{n:02}")).expect("valid"),
            quantity: Quantity::try_new(2u32).expect("valid"),
            unit_minor: n,
        })
        .collect();
    let unpriced = vec![Listing::Unpriced { title: "Old thing".into() }; 30];
    let (lines, total) = title_deal(&deal, gbp(), &unpriced).expect("known");
    assert_eq!((total, &*lines[29].title, lines[29].line), (Money::new(870, gbp()), "Old thing", 30));
    let rejection = title_deal(&deal, gbp(), &vec![Listing::Unknown; 30]).expect_err("unknown");
    let named: Vec<String> = serde_json::from_str(&rejection.metadata["skus"]).expect("a list");
    assert_eq!((rejection.reason, named.len(), &*rejection.metadata["count"]), ("UNKNOWN_SKU", 20, "30"));
}

#[test]
fn the_hash_covers_owner_lines_and_total_and_cannot_be_shifted() {
    let text = |subject: &str, skus: &[(&str, u32, i64)], minor: i64| {
        let lines: Vec<_> = skus
            .iter()
            .map(|(sku, n, unit)| {
                (Sku::try_new(*sku).expect("valid"), Quantity::try_new(*n).expect("valid"), *unit)
            })
            .collect();
        canonical(subject, lines.iter().map(|(sku, n, unit)| (sku, *n, *unit)), Money::new(minor, gbp()))
    };
    let all = [
        text("gst_1", &[("A", 1, 5), ("B", 1, 5)], 10),
        text("gst_2", &[("A", 1, 5), ("B", 1, 5)], 10),
        text("gst_1", &[("B", 1, 5), ("A", 1, 5)], 10),
        text("gst_1", &[("A", 1, 5)], 10),
        text("gst_1", &[("A", 2, 5), ("B", 1, 5)], 10),
        text("gst_1", &[("A", 1, 6), ("B", 1, 4)], 10),
        text("gst_1", &[("A", 1, 5), ("B", 1, 5)], 11),
    ];
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let examples = [
        QuoteEvent::QuoteCreated(offer(of_cart())),
        QuoteEvent::QuoteCreated(offer(agreed())),
        QuoteEvent::QuoteCreated(with_terms()),
        QuoteEvent::QuoteCreated(crate::domain::returns::tests::exchange_offer()),
        QuoteEvent::QuoteRenewed(QuoteRenewed { expires_at: at(1_800) }),
        QuoteEvent::QuoteAccepted(QuoteAccepted { order_id: order_id() }),
    ];
    souk_decider::golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}

fn with_terms() -> Arc<QuoteCreated> {
    let terms = Terms {
        tax_inclusive: true,
        shipping_minor: 300,
        shipping_tax_minor: 50,
        delivery: Some(crate::domain::Delivery {
            rate_id: "rte_1".into(),
            country: "GB".into(),
            region: "".into(),
        }),
        coupons: vec!["TEN".into()],
        priced_at: at(1),
        ..Terms::default()
    };
    let plain = offer(of_cart());
    let lines: Arc<[Line]> =
        plain.lines.iter().map(|line| Line { discount_minor: 1, tax_minor: 2, ..line.clone() }).collect();
    let total = sum(&lines, Some(&terms), gbp()).expect("small");
    Arc::new(QuoteCreated { lines, total, terms: Some(Arc::new(terms)), ..(*plain).clone() })
}

#[test]
fn a_coupon_that_does_not_count_is_named() {
    assert_eq!(refuse_coupons(&[]), Ok(()));
    let refused = |reason: &str| {
        let refusal = CouponRefusal { code: "TEN".into(), reason: reason.into() };
        let rejection = refuse_coupons(&[refusal]).expect_err("refused");
        (rejection.reason, rejection.metadata["code"].clone())
    };
    assert_eq!(refused("COUPON_EXPIRED"), ("COUPON_EXPIRED", "TEN".into()));
    assert_eq!(refused("A_NEW_WORD").0, "COUPON_NOT_APPLICABLE");
}
