use super::*;
use pb::benefit::Kind as Off;

fn fields<T>(read: Result<T, Invalid>) -> Vec<String> {
    read.err().map(|invalid| invalid.fields().iter().map(|f| f.field.clone()).collect()).unwrap_or_default()
}

fn pence(minor_units: i64) -> MoneyMessage {
    MoneyMessage { minor_units, currency: "GBP".into() }
}

fn promotion_input() -> pb::PromotionInput {
    pb::PromotionInput {
        promotion_id: "spring".into(),
        name: "Spring sale".into(),
        code: "spring10".into(),
        benefit: Some(pb::Benefit { kind: Some(Off::PercentageBp(1_000)) }),
        minimum_subtotal: Some(pence(0)),
        categories: vec!["Kitchen".into()],
        skus: vec!["M-1".into()],
        markets: vec!["GB".into()],
        valid_from: Some(to_proto(Timestamp::from_unix_s(10))),
        valid_to: Some(to_proto(Timestamp::from_unix_s(20))),
        limit_total: 10,
        limit_per_customer: 1,
        stackable: true,
    }
}

#[test]
fn a_good_promotion_is_read_and_shown_as_it_was_written() {
    let read = |input| create_promotion(pb::CreatePromotionRequest { promotion: Some(input) });
    let wanted = read(promotion_input()).expect("good");
    assert!(!wanted.from_now_on);
    let shown = promotion(&wanted.terms, State::Active, 3);
    let in_upper_case = pb::PromotionInput { code: "SPRING10".into(), ..promotion_input() };
    assert_eq!((shown.promotion.as_ref(), shown.used), (Some(&in_upper_case), 3));
    assert_eq!(read(in_upper_case).expect("good"), wanted);
    let now_on = read(pb::PromotionInput { valid_from: None, ..promotion_input() }).expect("good");
    assert!(now_on.from_now_on);
}

#[test]
fn each_faulty_field_of_a_promotion_is_named() {
    type Change = fn(&mut pb::PromotionInput);
    let benefit = |kind| Some(pb::Benefit { kind: Some(kind) });
    assert_eq!(fields(create_promotion(pb::CreatePromotionRequest::default())), ["promotion"]);
    let cases: &[(&str, Change)] = &[
        ("promotionId", |p| p.promotion_id = "Spring".into()),
        ("promotionId", |p| p.promotion_id = String::new()),
        ("name", |p| p.name = " ".into()),
        ("name", |p| p.name = "x".repeat(101)),
        ("code", |p| p.code = "ab".into()),
        ("code", |p| p.code = "zwölf".into()),
        ("benefit", |p| p.benefit = None),
        ("benefit", |p| p.benefit = Some(pb::Benefit { kind: None })),
        ("minimumSubtotal", |p| p.minimum_subtotal = Some(pence(-1))),
        ("minimumSubtotal", |p| {
            p.minimum_subtotal = Some(MoneyMessage { minor_units: 1, currency: "XXX".into() });
        }),
        ("categories", |p| p.categories = vec!["x".into(); 101]),
        ("categories[0]", |p| p.categories = vec![String::new()]),
        ("skus", |p| p.skus = vec!["x".into(); 501]),
        ("skus[1]", |p| p.skus.push(String::new())),
        ("markets", |p| p.markets = vec!["GB".into(); 51]),
        ("markets[1]", |p| p.markets.push("gb".into())),
        ("validFrom", |p| p.valid_from.as_mut().expect("it has one").nanos = -1),
        ("validTo", |p| p.valid_to.as_mut().expect("it has one").seconds = i64::MAX),
        ("validTo", |p| p.valid_to = p.valid_from),
    ];
    for (field, change) in cases {
        let mut input = promotion_input();
        change(&mut input);
        let read = create_promotion(pb::CreatePromotionRequest { promotion: Some(input) });
        assert_eq!(fields(read), [format!("promotion.{field}")], "{field}");
    }
    let of_benefit = [
        ("percentageBp", Off::PercentageBp(0)),
        ("percentageBp", Off::PercentageBp(10_001)),
        ("fixed", Off::Fixed(pence(0))),
        ("freeShipping", Off::FreeShipping(false)),
    ];
    for (field, kind) in of_benefit {
        let input = pb::PromotionInput { benefit: benefit(kind.clone()), ..promotion_input() };
        let read = create_promotion(pb::CreatePromotionRequest { promotion: Some(input) });
        assert_eq!(fields(read), [format!("promotion.benefit.{field}")], "{kind:?}");
    }
    let automatic = pb::PromotionInput { code: String::new(), ..promotion_input() };
    let read = create_promotion(pb::CreatePromotionRequest { promotion: Some(automatic) });
    assert_eq!(fields(read), ["promotion.limitTotal", "promotion.limitPerCustomer"]);
}

#[test]
fn lines_are_bounded_and_codes_are_the_same_in_any_case() {
    let line = pb::LineToPrice { line: 7, sku: "M-1".into(), quantity: 2 };
    let ask = |lines: usize, codes: &[&str]| {
        price_lines(pb::PriceLinesRequest {
            lines: vec![line.clone(); lines],
            market: "GB".into(),
            coupon_codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            ..Default::default()
        })
    };
    assert_eq!(fields(ask(0, &[])), ["lines"]);
    assert_eq!(fields(ask(LINES_MAX + 1, &[])), ["lines"]);
    assert_eq!(fields(ask(1, &["abc"; CODES_MAX + 1])), ["couponCodes"]);
    let read = ask(LINES_MAX, &["Zzz", "abc", " ZZZ", "?", "?", "ABC"]).expect("good");
    let texts: Vec<&str> = read.codes.iter().map(|asked| &*asked.text).collect();
    assert_eq!(texts, ["Zzz", "abc", "?"]);
    assert_eq!((read.lines.len(), read.lines[0].line), (LINES_MAX, 7));
}

#[test]
fn the_tax_is_looked_up_in_the_region_and_then_in_the_country() {
    let zones = |country: &str, region: &str| -> Vec<String> {
        let read = price_lines(pb::PriceLinesRequest {
            lines: vec![pb::LineToPrice { line: 1, sku: "M-1".into(), quantity: 1 }],
            market: "GB".into(),
            country: country.into(),
            region: region.into(),
            ..Default::default()
        });
        read.expect("good").zones.into_iter().map(String::from).collect()
    };
    assert_eq!(zones("", ""), ["GB"]);
    assert_eq!(zones("US", "ny"), ["US-NY", "US"]);
    assert_eq!(zones("", "GB-SCT"), ["GB-SCT", "GB"]);
    assert_eq!(zones("US", "New York"), ["US"]);
}

#[test]
fn each_faulty_field_of_a_tax_zone_is_named() {
    let rate = |class: &str, rate_millionths, name: &str| pb::TaxRate {
        tax_class: class.into(),
        rate_millionths,
        name: name.into(),
        valid_from: None,
    };
    let read = |zone: &str, rates, prices_include_tax| {
        let tax_zone = Some(pb::TaxZoneInput { rates, prices_include_tax });
        fields(put_tax_zone(pb::PutTaxZoneRequest { zone: zone.into(), tax_zone, expected_version: None }))
    };
    let good = || vec![rate("standard", 200_000, "VAT"), rate("zero", 0, "VAT")];
    assert_eq!(read("GB", good(), true), Vec::<String>::new());
    assert_eq!(read("US-NY", good(), false), Vec::<String>::new());
    assert_eq!(read("us", good(), false), ["zone"]);
    assert_eq!(read("US-NY", good(), true), ["taxZone.pricesIncludeTax"]);
    assert_eq!(read("GB", vec![rate("standard", 1, "VAT"); 201], true), ["taxZone.rates"]);
    assert_eq!(read("GB", vec![rate("", 1, "VAT")], true), ["taxZone.rates[0].taxClass"]);
    assert_eq!(read("GB", vec![rate("A", 1, "VAT")], true), ["taxZone.rates[0].taxClass"]);
    assert_eq!(
        read("GB", vec![rate("a", 1_000_001, "")], true),
        ["taxZone.rates[0].name", "taxZone.rates[0].rateMillionths"]
    );
    assert_eq!(read("GB", vec![rate("a", 1, "VAT"), rate("a", 2, "VAT")], true), ["taxZone.rates[1]"]);
    let absent = pb::PutTaxZoneRequest { zone: "GB".into(), ..Default::default() };
    assert_eq!(fields(put_tax_zone(absent)), ["taxZone"]);
}

#[test]
fn redemptions_are_read_in_one_order_and_without_what_is_no_code() {
    let request = pb::RedeemCouponsRequest {
        order_id: "ord_01h455vb4pex5vsknk084sn02q".into(),
        subject: "gst_1".into(),
        codes: ["zzz", "ann@example.com", "AAA", "aaa", "bob@example.com"].map(str::to_owned).into(),
        priced_at: Some(to_proto(Timestamp::from_unix_s(1))),
    };
    let (_, wanted) = redeem(&request).expect("good");
    let mut texts: Vec<&str> = wanted.codes.iter().map(|asked| &*asked.text).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["?", "AAA", "ZZZ"]);
    let mut turned = request.clone();
    turned.codes.reverse();
    assert_eq!(redeem(&turned), redeem(&request), "the order of the codes says nothing");
    let empty = pb::RedeemCouponsRequest::default();
    assert_eq!(fields(redeem(&empty)), ["orderId", "subject", "codes", "pricedAt"]);
    assert_eq!(release_reason(&format!("too\nlate{}", "x".repeat(300))).len(), REASON_CHARS_MAX);
    assert_eq!(fields(order_id("qte_01h455vb4pex5vsknk084sn02q")), ["orderId"]);
}

#[test]
fn coupons_are_looked_at_for_an_amount() {
    let ask = |code: &str, subtotal, market: &str| {
        fields(validate_coupon(&pb::ValidateCouponRequest {
            code: code.into(),
            subtotal,
            market: market.into(),
            subject: String::new(),
        }))
    };
    assert_eq!(ask("?", Some(pence(1)), ""), Vec::<String>::new());
    assert_eq!(ask("", None, "gb"), ["code", "subtotal", "market"]);
    assert_eq!(ask(&"x".repeat(65), Some(pence(-1)), ""), ["code", "subtotal"]);
    assert_eq!(fields(disable_promotion(&pb::DisablePromotionRequest::default())), ["promotionId", "reason"]);
}
