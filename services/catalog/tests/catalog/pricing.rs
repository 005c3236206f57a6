//! What customers pay: prices, promotions, coupons that are only looked at, and taxes.
use crate::shop::{Shop, ask, one, pence, ten_percent, variant};
use prost::Message;
use souk_catalog::published;
use souk_contracts::catalog::v1::{self as pb, PriceMiss, PromotionState, Reason, benefit::Kind as Off};
use souk_contracts::types::v1::Money;
use souk_identity::Kind;
use souk_kernel::{Clock, Code, Error};
use souk_transcode::{Schema, proto_to_json};
use std::path::Path;
use std::time::Duration;

fn is<T>(answer: Result<T, Error>, code: Code, reason: &str) {
    let error = answer.err().expect("a refusal");
    assert_eq!((error.code(), error.reason()), (code, reason), "{error:?}");
}

fn minor(money: &Option<Money>) -> i64 {
    money.as_ref().expect("an amount").minor_units
}

fn off(kind: Off) -> Option<pb::Benefit> {
    Some(pb::Benefit { kind: Some(kind) })
}

/// A shop with mugs at 2.55 and jugs at 10.00, and a book.
async fn shop() -> Shop {
    let shop = Shop::in_memory().await;
    shop.put("mug", one("Mug", "M-1", 255)).await.expect("created");
    shop.put("jug", one("Jug", "J-1", 1_000)).await.expect("created");
    let book = pb::ProductInput {
        tax_class: "reduced".into(),
        categories: vec!["Books".into()],
        ..one("Atlas", "B-1", 2_000)
    };
    shop.put("atlas", book).await.expect("created");
    shop
}

#[tokio::test]
async fn lines_come_to_their_prices_and_misses_are_told() {
    let shop = shop().await;
    shop.put("cup", pb::ProductInput { published: false, ..one("Cup", "C-1", 1) }).await.expect("a draft");
    let far = pb::ProductInput {
        variants: vec![pb::VariantInput { prices: vec![], ..variant("F-1", &[], 0) }],
        ..one("Far", "F-1", 0)
    };
    shop.put("far", far).await.expect("created");
    let lines = [("J-1", 1), ("nobody's", 1), ("M-1", 3), ("C-1", 1), ("F-1", 2), ("M-1", 1)];
    let priced = shop.priced(&lines, &[]).await;
    let misses: Vec<PriceMiss> = priced.lines.iter().map(pb::PricedLine::miss).collect();
    use PriceMiss::{NotSoldInMarket, UnknownSku};
    let none = PriceMiss::None;
    assert_eq!(misses, [none, UnknownSku, none, UnknownSku, NotSoldInMarket, none]);
    let numbers: Vec<u32> = priced.lines.iter().map(|line| line.line).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    assert_eq!((minor(&priced.subtotal), minor(&priced.total), minor(&priced.tax)), (2_020, 2_020, 0));
    let mugs = &priced.lines[2];
    assert_eq!((mugs.title.as_str(), mugs.tax_rule.as_str(), mugs.price_version), ("Mug", "none", 1));
    assert_eq!((mugs.unit_price.clone(), mugs.subtotal.clone()), (Some(pence(255)), Some(pence(765))));
    assert_eq!(priced.lines[1].total, None);
    let nothing = shop.priced(&[("nobody's", 1)], &[]).await;
    assert_eq!(nothing.total, None, "there is no currency");
}

#[tokio::test]
async fn faulty_requests_are_told_every_fault() {
    let shop = shop().await;
    let request = pb::PriceLinesRequest {
        lines: vec![pb::LineToPrice { line: 1, sku: String::new(), quantity: 0 }],
        market: "gb".into(),
        coupon_codes: vec![String::new(), "x".repeat(65)],
        country: "Germany".into(),
        region: "x".repeat(65),
        shipping: Some(pence(-1)),
        subject: "x".repeat(201),
    };
    let error = shop.price(shop.sales(), request).await.expect_err("faulty");
    let fields: Vec<&str> = error.fields().iter().map(|fault| fault.field.as_str()).collect();
    let lines = ["lines[0].sku", "lines[0].quantity"];
    let rest = ["market", "couponCodes[0]", "couponCodes[1]", "country", "region", "shipping", "subject"];
    assert_eq!(fields, [&lines[..], &rest[..]].concat());
    let mut euros = ask(&[("M-1", 1)], &[]);
    euros.shipping = Some(Money { minor_units: 1, currency: "EUR".into() });
    is(shop.price(shop.sales(), euros).await, Code::FailedPrecondition, "MIXED_CURRENCIES");
}

#[tokio::test]
async fn only_services_and_staff_ask_for_somebody_else() {
    let shop = shop().await;
    let asked = |subject: &str| pb::PriceLinesRequest { subject: subject.into(), ..ask(&[("M-1", 1)], &[]) };
    let customer = || shop.person(Kind::Customer, &[]);
    is(shop.price(shop.anybody(), asked("")).await, Code::Unauthenticated, "UNAUTHENTICATED");
    is(shop.price(customer(), asked("gst_other")).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    for (cx, subject) in [(customer(), "somebody"), (shop.sales(), "gst_other"), (shop.order(), "gst_other")]
    {
        assert!(shop.price(cx, asked(subject)).await.is_ok(), "{subject}");
    }
}

#[tokio::test]
async fn taxes_follow_the_place_and_the_class() {
    let shop = shop().await;
    shop.tax("GB", &[("standard", 200_000), ("reduced", 50_000)], true).await.expect("put");
    shop.tax("US", &[], false).await.expect("put");
    shop.tax("US-NY", &[("standard", 88_750)], false).await.expect("put");
    let lines = [("J-1", 1), ("B-1", 1)];
    let at_home = shop.priced(&lines, &[]).await;
    assert!(at_home.tax_inclusive);
    // A sixth of 10.00 and a 21st of 20.00.
    assert_eq!((minor(&at_home.total), minor(&at_home.tax)), (3_000, 167 + 95));
    assert_eq!(at_home.lines[1].tax_rule, "GB/reduced");
    let abroad = |country: &str, region: &str| pb::PriceLinesRequest {
        country: country.into(),
        region: region.into(),
        shipping: Some(pence(500)),
        ..ask(&lines, &[])
    };
    let price = async |ask| shop.price(shop.sales(), ask).await.expect("an answer");
    let york = price(abroad("US", "us-ny")).await;
    assert_eq!(york.taxes.iter().map(|group| group.rule.as_str()).collect::<Vec<_>>(), ["US-NY/standard"]);
    assert!(york.tax_inclusive, "the market says that, not the place");
    for (country, region) in [("US", "TX"), ("US", "somewhere"), ("FR", "")] {
        assert_eq!(minor(&price(abroad(country, region)).await.tax), 0, "{country} {region}");
    }
    let mut us = abroad("US", "NY");
    us.market = "US".into();
    let jug = shop.set_price("J-1", "US", 1_000).await.expect("priced");
    assert_eq!(jug.price_version, 1);
    let on_top = price(us).await;
    // 15.00 × 8.875 % is 133.125.
    assert!(!on_top.tax_inclusive);
    assert_eq!((minor(&on_top.tax), minor(&on_top.total)), (133, 1_633));
    assert_eq!(minor(&on_top.lines[0].tax) + minor(&on_top.shipping_tax), 133);
}

#[tokio::test]
async fn tax_zones_are_put_listed_and_guarded_by_their_version() {
    let shop = shop().await;
    let first = shop.tax("GB", &[("standard", 200_000)], true).await.expect("put");
    assert_eq!(first.version, 1);
    assert_eq!(shop.tax("GB", &[("standard", 200_000)], true).await.expect("same"), first);
    assert_eq!(shop.tax("GB", &[("standard", 100_000)], true).await.expect("other").version, 2);
    for zone in ["DE", "US", "US-NY"] {
        shop.tax(zone, &[], false).await.expect("put");
    }
    let page = |token: &str| pb::ListTaxZonesRequest { page_size: 3, page_token: token.into() };
    let one = shop.client.list_tax_zones(shop.sales(), page("")).await.expect("a page");
    let two = shop.client.list_tax_zones(shop.sales(), page(&one.next_page_token)).await.expect("a page");
    let names: Vec<_> = one.tax_zones.iter().chain(&two.tax_zones).map(|zone| zone.zone.as_str()).collect();
    assert_eq!((names, two.next_page_token.as_str()), (vec!["DE", "GB", "US", "US-NY"], ""));
    let old = pb::PutTaxZoneRequest {
        zone: "GB".into(),
        tax_zone: Some(pb::TaxZoneInput::default()),
        expected_version: Some(1),
    };
    is(shop.client.put_tax_zone(shop.sales(), old.clone()).await, Code::Aborted, "VERSION_MISMATCH");
    let customer = shop.person(Kind::Customer, &[]);
    is(shop.client.put_tax_zone(customer, old).await, Code::PermissionDenied, "PERMISSION_DENIED");
}

#[tokio::test]
async fn promotions_apply_by_themselves_or_by_code() {
    let shop = shop().await;
    let books = pb::PromotionInput {
        code: String::new(),
        categories: vec!["Books".into()],
        benefit: off(Off::Fixed(pence(500))),
        ..ten_percent("books")
    };
    shop.promote(books).await.expect("created");
    shop.promote(ten_percent("spring")).await.expect("created");
    let post = pb::PromotionInput { benefit: off(Off::FreeShipping(true)), ..ten_percent("post") };
    shop.promote(post).await.expect("created");
    let lines = [("M-1", 2), ("B-1", 1)];
    let plain = shop.priced(&lines, &[]).await;
    assert_eq!((minor(&plain.discount), minor(&plain.total)), (500, 2_010));
    let priced = shop.priced(&lines, &["Spring", "SPRING", "post", "what?"]).await;
    // Ten percent of 25.10 first, then 5.00 off the book.
    assert_eq!((minor(&priced.discount), minor(&priced.total)), (751, 1_759));
    let applied: Vec<_> =
        priced.promotions.iter().map(|p| (p.promotion_id.as_str(), p.code.as_str())).collect();
    assert_eq!(applied, [("spring", "SPRING"), ("books", "")]);
    let refused: Vec<_> = priced.refused.iter().map(|r| (r.code.as_str(), r.reason())).collect();
    assert_eq!(refused, [("post", Reason::CouponNotApplicable), ("what?", Reason::CouponUnknown)]);
    let parts: Vec<_> = priced.lines[1].discounts.iter().map(|part| minor(&part.amount)).collect();
    assert_eq!(parts, [200, 500]);
    let mut shipped = ask(&lines, &["post"]);
    shipped.shipping = Some(pence(499));
    let shipped = shop.price(shop.sales(), shipped).await.expect("an answer");
    assert_eq!((minor(&shipped.shipping_discount), minor(&shipped.total)), (499, 2_010));
    shop.check().await;
}

#[tokio::test]
async fn a_promotion_is_scheduled_holds_and_ends() {
    let shop = shop().await;
    let now = shop.clock.now();
    let at = |seconds| Some(souk_rpc::time::to_proto(now.plus(Duration::from_secs(seconds))));
    let spring = pb::PromotionInput { valid_from: at(60), valid_to: at(120), ..ten_percent("spring") };
    let state = async || shop.promotion("spring").await.expect("there").state();
    let refusal = async || shop.priced(&[("M-1", 2)], &["spring"]).await.refused.first().map(|r| r.reason());
    let created = shop.promote(spring.clone()).await.expect("created");
    assert_eq!((created.state(), created.used), (PromotionState::Scheduled, 0));
    assert_eq!(refusal().await, Some(Reason::CouponNotStarted));
    shop.clock.advance_ms(60_000);
    assert_eq!((state().await, refusal().await), (PromotionState::Active, None));
    shop.clock.advance_ms(60_000);
    assert_eq!((state().await, refusal().await), (PromotionState::Ended, Some(Reason::CouponExpired)));
    let again = shop.promote(spring).await.expect("the same");
    assert_eq!(again.promotion, created.promotion);
    let disabled = shop.disable("spring").await.expect("there");
    assert_eq!(disabled.state(), PromotionState::Disabled);
    assert_eq!(shop.disable("spring").await.expect("there"), disabled);
}

/// What others hear stands in the folder `published`, as their JSON: what they were told once keeps its shape.
fn is_as_written_down(kind: &str, data: &[u8]) {
    let schema = Schema::from_bytes(souk_contracts::DESCRIPTORS).expect("our own");
    let mut json = Vec::new();
    let message = schema.message(kind).expect("in the contract");
    proto_to_json(&schema, message, data, &mut json).expect("our own");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let told = format!("{json:#}\n");
    let name = kind.rsplit('.').next().unwrap_or(kind);
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog/published").join(format!("{name}.json"));
    if !path.exists() && std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(&path, &told).expect("writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, written, "{}; UPDATE_GOLDEN=1 writes one that is missing", path.display());
}

#[tokio::test]
async fn others_hear_of_promotions_that_begin_and_that_somebody_ends() {
    let shop = Shop::in_memory().await;
    let created = shop.promote(ten_percent("spring")).await.expect("created");
    shop.promote(ten_percent("spring")).await.expect("the same again is no news");
    shop.disable("spring").await.expect("disabled");
    shop.disable("spring").await.expect("twice is fine");
    let feed = shop.store().read_feed(0, 100).await.expect("the feed");
    let kinds: Vec<&str> = feed.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [published::PROMOTION_PUBLISHED, published::PROMOTION_DISABLED]);
    feed.iter().for_each(|event| is_as_written_down(event.kind, &event.data));
    let begun = pb::PromotionPublished::decode(&feed[0].data[..]).expect("readable");
    assert_eq!(begun.promotion, created.promotion, "as staff sees it");
    let ended = pb::PromotionDisabled::decode(&feed[1].data[..]).expect("readable");
    assert_eq!((ended.promotion_id.as_str(), ended.reason.as_str()), ("spring", "it leaked"));
    assert_eq!(ended.disabled_at, Some(souk_rpc::time::to_proto(shop.clock.now())));
}

#[tokio::test]
async fn promotions_are_listed_by_their_state() {
    let shop = shop().await;
    let later = Some(souk_rpc::time::to_proto(shop.clock.now().plus(Duration::from_secs(60))));
    for id in ["a", "b", "c"].map(|id| format!("{id}-ten")) {
        shop.promote(ten_percent(&id)).await.expect("created");
    }
    shop.promote(pb::PromotionInput { valid_from: later, ..ten_percent("d-ten") }).await.expect("created");
    shop.disable("b-ten").await.expect("there");
    let list = async |state: PromotionState, token: &str| {
        let request =
            pb::ListPromotionsRequest { state: state.into(), page_size: 2, page_token: token.into() };
        shop.client.list_promotions(shop.sales(), request).await
    };
    let ids = |page: &pb::ListPromotionsResponse| -> Vec<String> {
        page.promotions.iter().filter_map(|p| p.promotion.clone()).map(|p| p.promotion_id).collect()
    };
    let first = list(PromotionState::Unspecified, "").await.expect("a page");
    let rest = list(PromotionState::Unspecified, &first.next_page_token).await.expect("a page");
    assert_eq!([ids(&first), ids(&rest)].concat(), ["a-ten", "b-ten", "c-ten", "d-ten"]);
    assert_eq!(ids(&list(PromotionState::Active, "").await.expect("a page")), ["a-ten", "c-ten"]);
    assert_eq!(ids(&list(PromotionState::Scheduled, "").await.expect("a page")), ["d-ten"]);
    assert_eq!(ids(&list(PromotionState::Disabled, "").await.expect("a page")), ["b-ten"]);
    let foreign = list(PromotionState::Active, &first.next_page_token).await;
    is(foreign, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
}

#[tokio::test]
async fn a_promotion_and_its_code_are_taken_once() {
    let shop = shop().await;
    shop.promote(ten_percent("spring")).await.expect("created");
    let other = pb::PromotionInput { name: "Other".into(), ..ten_percent("spring") };
    is(shop.promote(other).await, Code::AlreadyExists, "PROMOTION_CONFLICT");
    shop.disable("spring").await.expect("there");
    let same_code = pb::PromotionInput { code: "sPrInG".into(), ..ten_percent("summer") };
    is(shop.promote(same_code).await, Code::AlreadyExists, "COUPON_CODE_TAKEN");
    is(shop.promotion("summer").await, Code::NotFound, "NOT_FOUND");
    is(shop.disable("summer").await, Code::NotFound, "NOT_FOUND");
    let over = Some(souk_rpc::time::to_proto(shop.clock.now()));
    is(
        shop.promote(pb::PromotionInput { valid_to: over, ..ten_percent("summer") }).await,
        Code::FailedPrecondition,
        "PROMOTION_ENDED",
    );
    let automatic =
        |n: usize| pb::PromotionInput { code: String::new(), ..ten_percent(&format!("auto-{n}")) };
    for n in 0..100 {
        shop.promote(automatic(n)).await.expect("created");
    }
    is(shop.promote(automatic(100)).await, Code::FailedPrecondition, "TOO_MANY_PROMOTIONS");
    shop.disable("auto-7").await.expect("there");
    shop.promote(automatic(100)).await.expect("one was disabled");
}

#[tokio::test]
async fn a_coupon_is_looked_at_without_using_it() {
    let shop = shop().await;
    let spring = pb::PromotionInput {
        minimum_subtotal: Some(pence(1_000)),
        markets: vec!["GB".into()],
        limit_per_customer: 1,
        ..ten_percent("spring")
    };
    shop.promote(spring).await.expect("created");
    let validate = async |code: &str, subtotal: i64, market: &str| {
        let request = pb::ValidateCouponRequest {
            code: code.into(),
            subtotal: Some(pence(subtotal)),
            market: market.into(),
            subject: String::new(),
        };
        shop.client.validate_coupon(shop.person(Kind::Guest, &[]), request).await.expect("an answer")
    };
    let good = validate("spring", 1_000, "GB").await;
    assert!(good.applies && !good.only_some_products);
    assert_eq!((good.promotion_id.as_str(), good.benefit), ("spring", off(Off::PercentageBp(1_000))));
    assert!(validate("SPRING", 1_000, "").await.applies);
    for (code, subtotal, market, reason) in [
        ("spring", 999, "GB", Reason::CouponBelowMinimum),
        ("spring", 1_000, "DE", Reason::CouponNotApplicable),
        ("summer", 1_000, "GB", Reason::CouponUnknown),
        ("?", 1_000, "GB", Reason::CouponUnknown),
    ] {
        let answer = validate(code, subtotal, market).await;
        assert_eq!((answer.applies, answer.reason()), (false, reason), "{code}");
        assert!(!answer.message.is_empty());
    }
    assert_eq!(shop.promotion("spring").await.expect("there").used, 0);
}

#[tokio::test]
async fn two_thousand_lines_are_read_in_a_few_queries() {
    let shop = Shop::in_memory().await;
    let mut skus = Vec::new();
    for product in 0..8 {
        let variants =
            (0..250).map(|n| variant(&format!("{product}/{n}"), &[&n.to_string()], n + 1)).collect();
        skus.extend((0..250).map(|n| format!("{product}/{n}")));
        let many = pb::ProductInput { options: vec!["Number".into()], variants, ..one("Many", "", 0) };
        shop.put(&format!("many-{product}"), many).await.expect("created");
    }
    let kitchen = pb::PromotionInput {
        code: String::new(),
        categories: vec!["Kitchen".into()],
        ..ten_percent("kitchen")
    };
    shop.promote(kitchen).await.expect("created");
    let lines: Vec<(&str, u32)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    let priced = shop.priced(&lines, &[]).await;
    assert_eq!(minor(&priced.subtotal), 8 * 250 * 251 / 2);
    assert_eq!(minor(&priced.discount), 25_100);
    let too_many = ask(&[lines, vec![("0/1", 1)]].concat(), &[]);
    is(shop.price(shop.sales(), too_many).await, Code::InvalidArgument, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_product_shows_its_tax_class_and_writing_it_back_changes_nothing() {
    let shop = shop().await;
    let book = shop.get(shop.anybody(), "atlas").await.expect("visible");
    assert_eq!((book.tax_class.as_str(), book.variants[0].tax_class.as_str()), ("reduced", ""));
    let mug = shop.get(shop.anybody(), "mug").await.expect("visible");
    assert_eq!(mug.tax_class, "standard");
    let same = pb::ProductInput { tax_class: "standard".into(), ..one("Mug", "M-1", 255) };
    assert_eq!(shop.put("mug", same).await.expect("unchanged").outcome(), pb::PutOutcome::Unchanged);
    let silent = pb::ProductInput { categories: vec!["Books".into()], ..one("Atlas", "B-1", 2_000) };
    assert_eq!(shop.put("atlas", silent).await.expect("unchanged").outcome(), pb::PutOutcome::Unchanged);
    let odd = pb::ProductInput { tax_class: "No Class".into(), ..one("Mug", "M-1", 255) };
    is(shop.put("mug", odd).await, Code::InvalidArgument, "INVALID_ARGUMENT");
}
