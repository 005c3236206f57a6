use super::*;
use crate::domain::promotion::{CouponCode, Limits};
use crate::domain::tax::TaxRate;
use crate::invariants;
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_s(second)
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, Currency::parse(code).expect("known"))
}

fn pence(minor: i64) -> Money {
    money(minor, "GBP")
}

fn class(text: &str) -> TaxClass {
    text.parse().expect("a class")
}

/// A line of so many pieces at a price, of a category and a tax class.
fn line(n: u32, pieces: u32, price: Money, category: &str, tax: &str) -> (AskedLine, Offer) {
    let asked = AskedLine {
        line: n,
        sku: Sku::try_new(format!("S-{n}")).expect("a SKU"),
        quantity: Quantity::try_new(pieces).expect("a quantity"),
    };
    let sold = Sold {
        title: format!("Thing {n}").into(),
        price,
        price_version: 1,
        tax_class: class(tax),
        categories: [category.to_owned()].into(),
    };
    (asked, Offer::Sold(Arc::new(sold)))
}

fn of(lines: Vec<(AskedLine, Offer)>) -> Pricing {
    Pricing {
        lines,
        market: Market::try_new("GB").expect("a market"),
        shipping: None,
        automatic: Vec::new(),
        coupons: Vec::new(),
        zone: None,
        tax_inclusive: false,
        at: at(100),
    }
}

/// Lines of one piece each.
fn singles(prices: &[i64]) -> Pricing {
    of(prices.iter().zip(1..).map(|(price, n)| line(n, 1, pence(*price), "Kitchen", "standard")).collect())
}

fn candidate(id: &str, benefit: Benefit, change: impl FnOnce(&mut Terms)) -> Candidate {
    let mut terms = Terms {
        id: id.parse().expect("an id"),
        name: id.into(),
        code: None,
        benefit,
        minimum_subtotal: None,
        categories: BTreeSet::new(),
        skus: BTreeSet::new(),
        markets: BTreeSet::new(),
        valid_from: at(0),
        valid_to: None,
        limits: Limits::default(),
        stackable: true,
    };
    change(&mut terms);
    let window = Window { valid_from: terms.valid_from, valid_to: terms.valid_to, disabled_at: None };
    Candidate { terms: Arc::new(terms), window, used: Used::default() }
}

fn coupon(code: &str, candidate: Candidate) -> (AskedCode, Option<Candidate>) {
    let mut terms = (*candidate.terms).clone();
    terms.code = Some(CouponCode::typed(code).expect("a code"));
    (AskedCode::typed(code), Some(Candidate { terms: Arc::new(terms), ..candidate }))
}

fn zone(rates: &[(&str, u32)]) -> Option<TaxZone> {
    let rate = |(name, rate_millionths): &(&str, u32)| TaxRate {
        class: class(name),
        rate_millionths: *rate_millionths,
        name: "VAT".into(),
        valid_from: None,
    };
    let rates = rates.iter().map(rate).collect();
    Some(TaxZone { zone: "GB".parse().expect("a zone"), rates, prices_include_tax: false })
}

/// Prices, and checks what must hold of every price.
fn priced(ask: Pricing) -> Priced {
    let priced = price(ask).expect("priced");
    assert_eq!(invariants::adds_up(&priced), Ok(()), "{priced:?}");
    assert_eq!(invariants::nothing_is_negative(&priced), Ok(()), "{priced:?}");
    priced
}

fn prices(priced: &Priced) -> Vec<&LinePrice> {
    priced
        .lines
        .iter()
        .filter_map(|line| match &line.outcome {
            Outcome::Priced(price) => Some(price),
            Outcome::Unknown | Outcome::NotSold { .. } => None,
        })
        .collect()
}

fn discounts(priced: &Priced) -> Vec<i64> {
    prices(priced).iter().map(|line| line.discount).collect()
}

fn taxes(priced: &Priced) -> Vec<i64> {
    prices(priced).iter().map(|line| line.tax).collect()
}

fn reasons(priced: &Priced) -> Vec<(&str, CouponReason)> {
    priced.refused.iter().map(|(code, reason)| (&*code.text, *reason)).collect()
}

fn applied(priced: &Priced) -> Vec<(&str, i64)> {
    priced.applied.iter().map(|applied| (applied.terms.id.as_str(), applied.amount)).collect()
}

#[test]
fn without_promotions_and_zones_it_is_the_prices() {
    let mut ask = singles(&[255, 100]);
    ask.lines[1].0.quantity = Quantity::try_new(3u32).expect("a quantity");
    ask.shipping = Some(pence(499));
    let priced = priced(ask);
    assert_eq!((priced.subtotal, priced.tax, priced.total), (555, 0, 1_054));
    assert_eq!(&*prices(&priced)[0].tax_rule, "none");
}

#[test]
fn lines_that_are_missed_have_no_price_and_count_nowhere() {
    let mut ask = singles(&[100, 1, 2]);
    ask.lines[1].1 = Offer::Unknown;
    ask.lines[2].1 = Offer::NotSold { title: "Thing".into() };
    let all_missed = of(ask.lines[1..].to_vec());
    let priced_some = priced(ask);
    assert_eq!(priced_some.total, 100);
    assert_eq!(priced_some.lines[1].outcome, Outcome::Unknown);
    assert!(matches!(&priced_some.lines[2].outcome, Outcome::NotSold { .. }));
    assert_eq!(priced(all_missed).currency, None);
}

#[test]
fn a_third_off_three_equal_lines_is_cut_to_the_penny() {
    let mut ask = singles(&[100, 100, 100]);
    ask.automatic = vec![candidate("third", Benefit::PercentageBp(3_333), |_| {})];
    let priced = priced(ask);
    assert_eq!((priced.discount, priced.total), (100, 200), "99.99 is rounded once");
    assert_eq!(discounts(&priced), [34, 33, 33]);
}

#[test]
fn an_amount_off_is_spread_by_value_and_never_more_than_there_is() {
    let with = |amount, prices: &[i64]| {
        let mut ask = singles(prices);
        ask.automatic = vec![candidate("off", Benefit::Fixed(pence(amount)), |_| {})];
        priced(ask)
    };
    assert_eq!(discounts(&with(100, &[300, 100, 0])), [75, 25, 0]);
    let all = with(1_000, &[300, 100]);
    assert_eq!((discounts(&all), all.total, applied(&all)), (vec![300, 100], 0, vec![("off", 400)]));
}

#[test]
fn stackable_promotions_take_of_what_is_left_percentages_first() {
    let mut ask = singles(&[1_000]);
    ask.shipping = Some(pence(500));
    ask.automatic = vec![
        candidate("a-amount", Benefit::Fixed(pence(100)), |_| {}),
        candidate("b-half", Benefit::PercentageBp(5_000), |_| {}),
        candidate("c-post", Benefit::FreeShipping, |_| {}),
        candidate("d-post", Benefit::FreeShipping, |_| {}),
    ];
    let priced = priced(ask);
    assert_eq!(applied(&priced), [("b-half", 500), ("a-amount", 100), ("c-post", 500)]);
    assert_eq!((priced.shipping_discount, priced.total), (500, 400));
}

#[test]
fn one_that_stands_alone_applies_when_it_saves_more() {
    let with = |alone_bp, coupon_alone: bool| {
        let mut ask = singles(&[1_000]);
        ask.automatic = vec![candidate("ten", Benefit::PercentageBp(1_000), |_| {})];
        let alone =
            candidate("alone", Benefit::PercentageBp(alone_bp), |terms| terms.stackable = !coupon_alone);
        ask.coupons = vec![coupon("ALONE", alone)];
        priced(ask)
    };
    let better = with(2_000, true);
    assert_eq!((applied(&better), reasons(&better)), (vec![("alone", 200)], vec![]));
    let worse = with(500, true);
    assert_eq!(applied(&worse), [("ten", 100)]);
    assert_eq!(reasons(&worse), [("ALONE", CouponReason::NotCombinable)]);
    assert_eq!(reasons(&with(1_000, true)), [("ALONE", CouponReason::NotCombinable)], "no better");
    assert_eq!(applied(&with(1_000, false)), [("alone", 100), ("ten", 90)]);
}

#[test]
fn a_coupon_says_why_it_does_not_apply() {
    let refused = |shipping: Option<i64>, benefit, change: fn(&mut Terms)| {
        let mut ask = singles(&[1_000]);
        ask.shipping = shipping.map(pence);
        ask.coupons = vec![coupon("CODE", candidate("code", benefit, change))];
        let priced = priced(ask);
        assert_eq!(priced.applied.len() + priced.refused.len(), 1, "{priced:?}");
        priced.refused.first().map(|(_, reason)| *reason)
    };
    let ten = Benefit::PercentageBp(1_000);
    use CouponReason::*;
    assert_eq!(refused(None, ten, |_| {}), None);
    assert_eq!(refused(None, ten, |t| t.valid_from = at(101)), Some(NotStarted));
    assert_eq!(refused(None, ten, |t| t.valid_to = Some(at(100))), Some(Expired));
    assert_eq!(refused(None, ten, |t| t.minimum_subtotal = Some(pence(1_001))), Some(BelowMinimum));
    assert_eq!(refused(None, ten, |t| t.minimum_subtotal = Some(pence(1_000))), None);
    assert_eq!(refused(None, ten, |t| t.minimum_subtotal = Some(money(1, "EUR"))), Some(NotApplicable));
    assert_eq!(refused(None, ten, |t| t.categories = ["Garden".to_owned()].into()), Some(NotApplicable));
    assert_eq!(refused(None, ten, |t| t.categories = ["Kitchen".to_owned()].into()), None);
    assert_eq!(refused(None, ten, |t| t.skus = ["S-1".parse().expect("a SKU")].into()), None);
    assert_eq!(
        refused(None, ten, |t| t.markets = ["DE".parse().expect("a market")].into()),
        Some(NotApplicable)
    );
    assert_eq!(refused(None, Benefit::Fixed(money(1, "EUR")), |_| {}), Some(NotApplicable));
    assert_eq!(refused(None, Benefit::FreeShipping, |_| {}), Some(NotApplicable), "nothing is shipped");
    assert_eq!(refused(Some(0), Benefit::FreeShipping, |_| {}), Some(NotApplicable), "it costs nothing");
    assert_eq!(refused(Some(1), Benefit::FreeShipping, |_| {}), None);
    let mut ask = singles(&[1_000]);
    ask.coupons = vec![(AskedCode::typed("nobody's"), None), (AskedCode::typed("?"), None)];
    assert_eq!(reasons(&priced(ask)), [("nobody's", Unknown), ("?", Unknown)]);
}

#[test]
fn a_coupon_that_is_used_up_does_not_apply() {
    let with = |by_all, by_customer| {
        let limits = Limits { total: NonZeroU32::new(5), per_customer: NonZeroU32::new(1) };
        let ten = candidate("ten", Benefit::PercentageBp(1_000), |terms| terms.limits = limits);
        let mut ask = singles(&[1_000]);
        ask.coupons = vec![coupon("TEN", Candidate { used: Used { by_all, by_customer }, ..ten })];
        priced(ask).refused.first().map(|(_, reason)| *reason)
    };
    assert_eq!(with(4, 0), None);
    assert_eq!(with(5, 0), Some(CouponReason::Exhausted));
    assert_eq!(with(1, 1), Some(CouponReason::UsedBefore));
}

#[test]
fn a_coupon_for_which_nothing_is_left_is_not_used_up() {
    let mut ask = singles(&[1_000]);
    ask.automatic = vec![candidate("all", Benefit::PercentageBp(10_000), |_| {})];
    ask.coupons = vec![coupon("TEN", candidate("ten", Benefit::PercentageBp(1_000), |_| {}))];
    let priced = priced(ask);
    assert_eq!((priced.total, reasons(&priced)), (0, vec![("TEN", CouponReason::NotApplicable)]));
}

#[test]
fn tax_on_top_is_rounded_once_per_rule_and_shipping_is_standard() {
    let kitchen = |n, price, tax: &str| line(n, 1, pence(price), "Kitchen", tax);
    let lines = vec![
        kitchen(1, 333, "standard"),
        kitchen(2, 333, "standard"),
        kitchen(3, 333, "food"),
        kitchen(4, 50, "zero"),
    ];
    let mut ask = of(lines);
    ask.shipping = Some(pence(333));
    ask.zone = zone(&[("standard", 200_000), ("food", 50_000)]);
    let priced = priced(ask);
    // 999 × 20 % is 199.8; 333 × 5 % is 16.65.
    let groups: Vec<_> = priced.taxes.iter().map(|group| (&*group.rule.id, group.base, group.tax)).collect();
    assert_eq!(groups, [("GB/food", 333, 17), ("GB/standard", 999, 200), ("GB/zero", 50, 0)]);
    assert_eq!((taxes(&priced), priced.shipping_tax), (vec![67, 67, 17, 0], 66));
    assert_eq!(priced.total, 1_049 + 333 + 217);
}

#[test]
fn tax_that_prices_contain_is_told_and_not_added() {
    let mut ask = singles(&[1_200, 999]);
    ask.zone = zone(&[("standard", 200_000)]);
    ask.tax_inclusive = true;
    ask.automatic = vec![candidate("off", Benefit::Fixed(pence(199)), |_| {})];
    let priced = priced(ask);
    // A sixth of the 2000 that are paid is 333.33.
    assert_eq!((priced.total, priced.tax), (2_000, 333));
    assert_eq!(taxes(&priced), [182, 151]);
}

#[test]
fn half_a_penny_of_tax_goes_to_the_even_one() {
    let tax = |price| {
        let mut ask = singles(&[price]);
        ask.zone = zone(&[("standard", 50_000)]);
        priced(ask).tax
    };
    assert_eq!((tax(10), tax(30), tax(50)), (0, 2, 2), "0.5, 1.5 and 2.5");
}

#[test]
fn currencies_keep_their_own_minor_units() {
    for (code, price, tax) in [("JPY", 105, 10), ("KWD", 12_345, 1_234), ("GBP", 1_005, 100)] {
        let mut ask = of(vec![line(1, 1, money(price, code), "Kitchen", "standard")]);
        ask.zone = zone(&[("standard", 100_000)]);
        let priced = priced(ask);
        assert_eq!((priced.tax, priced.total), (tax, price + tax), "{code}");
    }
}

#[test]
fn two_currencies_and_too_large_totals_are_refused() {
    let mut mixed = singles(&[1]);
    mixed.shipping = Some(money(1, "EUR"));
    assert_eq!(price(mixed).expect_err("two currencies").reason, MIXED_CURRENCIES);
    let two = of(vec![line(1, 1, pence(1), "", "standard"), line(2, 1, money(1, "JPY"), "", "standard")]);
    assert_eq!(price(two).expect_err("two currencies").reason, MIXED_CURRENCIES);
    let dear = |n| line(n, 1_000_000, pence(1_000_000_000_000), "", "standard");
    let refused = price(of((1..=5).map(dear).collect())).expect_err("too much");
    assert_eq!((refused.reason, refused.code), (TOTAL_OVERFLOW, Code::OutOfRange));
    let mut taxed = of((1..=4).map(dear).collect());
    taxed.zone = zone(&[("standard", MILLION)]);
    assert_eq!(priced(taxed).total, 8_000_000_000_000_000_000);
}

#[test]
fn two_thousand_lines_with_every_promotion_are_priced_alike_each_time() {
    let lines =
        (1..=2_000).map(|n| line(n, n % 7 + 1, pence(i64::from(n) * 13 % 997), "Kitchen", "standard"));
    let mut ask = of(lines.collect());
    ask.zone = zone(&[("standard", 175_000)]);
    let promotion = |n: usize| {
        let benefit =
            if n.is_multiple_of(2) { Benefit::PercentageBp(101) } else { Benefit::Fixed(pence(777)) };
        candidate(&format!("p-{n}"), benefit, |terms| terms.stackable = !n.is_multiple_of(10))
    };
    ask.automatic = (0..100).map(promotion).collect();
    assert_eq!(priced(ask.clone()), priced(ask));
}

fn any_terms() -> impl Strategy<Value = (Benefit, bool, Option<i64>, u8)> {
    let benefit = prop_oneof![
        3 => (1..=WHOLE_BP).prop_map(Benefit::PercentageBp),
        3 => (1..5_000i64).prop_map(|minor| Benefit::Fixed(pence(minor))),
        1 => Just(Benefit::FreeShipping),
    ];
    (benefit, any::<bool>(), prop::option::of(0..20_000i64), 0..4u8)
}

fn any_candidate(
    n: usize,
    (benefit, stackable, minimum, scope): (Benefit, bool, Option<i64>, u8),
) -> Candidate {
    candidate(&format!("p-{n}"), benefit, |terms| {
        terms.stackable = stackable;
        terms.minimum_subtotal = minimum.map(pence);
        match scope {
            0 => terms.categories = ["Kitchen".to_owned()].into(),
            1 => terms.skus = ["S-1", "S-2", "S-3"].map(|sku| sku.parse().expect("a SKU")).into(),
            _ => {}
        }
    })
}

prop_compose! {
    fn any_ask()(
        lines in prop::collection::vec((1..9u32, prop_oneof![Just(0i64), 1..20i64, 1..100_000i64], 0..4usize), 0..25),
        shipping in prop::option::of(0..1_000i64),
        automatic in prop::collection::vec(any_terms(), 0..4),
        coupons in prop::collection::vec(any_terms(), 0..3),
        rates in prop::option::of((0..=MILLION, 0..300_000u32)),
        tax_inclusive in any::<bool>(),
    ) -> Pricing {
        let kinds = [("Kitchen", "standard"), ("Kitchen", "food"), ("Garden", "zero"), ("Garden", "books")];
        let line = |((pieces, price, kind), n): ((u32, i64, usize), u32)| {
            line(n, pieces, pence(price), kinds[kind].0, kinds[kind].1)
        };
        let mut ask = of(lines.into_iter().zip(1..).map(line).collect());
        ask.shipping = shipping.map(pence);
        ask.automatic = automatic.into_iter().enumerate().map(|(n, terms)| any_candidate(n, terms)).collect();
        let coupon = |(n, terms)| coupon(&format!("CODE-{n}"), any_candidate(n + 10, terms));
        ask.coupons = coupons.into_iter().enumerate().map(coupon).collect();
        ask.zone = rates.and_then(|(standard, food)| zone(&[("standard", standard), ("food", food)]));
        ask.tax_inclusive = tax_inclusive;
        ask
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn i_ca_3_and_4_hold_whatever_is_bought(ask in any_ask()) {
        let first = price(ask.clone()).expect("small enough");
        prop_assert_eq!(invariants::adds_up(&first), Ok(()));
        prop_assert_eq!(invariants::nothing_is_negative(&first), Ok(()));
        let codes = first.applied.iter().filter(|applied| applied.terms.code.is_some()).count();
        prop_assert_eq!(codes + first.refused.len(), ask.coupons.len(), "each coupon applies or says why not");
        prop_assert_eq!(price(ask).expect("small enough"), first, "the same again gives the same");
    }

    #[test]
    fn nothing_that_stands_alone_would_save_more(ask in any_ask()) {
        let off = |ask| price(ask).map(|priced: Priced| priced.discount + priced.shipping_discount);
        let best = off(ask.clone()).expect("small enough");
        for one in ask.automatic.iter().filter(|one| !one.terms.stackable) {
            let alone = Pricing { automatic: vec![one.clone()], coupons: Vec::new(), ..ask.clone() };
            prop_assert!(off(alone).expect("small enough") <= best);
        }
    }
}
