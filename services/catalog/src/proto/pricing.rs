//! Protobuf ↔ domain for what customers pay: lines to price, promotions, coupons and tax zones.
use super::{NAME_CHARS_MAX, check_line, page_size, tax_class};
use crate::domain::price::PRICE_MINOR_MAX;
use crate::domain::pricing::{AskedLine, LinePrice, Outcome, Priced, PricedLine, TaxGroup};
use crate::domain::promotion::{
    Benefit, CouponCode, CouponReason, Create, Limits, PromotionId, State, Terms, WHOLE_BP,
};
use crate::domain::redemption::{AskedCode, Redeem, Redemption};
use crate::domain::tax::{MILLION, TaxRate, TaxZone, ZoneName};
use souk_contracts::catalog::v1 as pb;
use souk_contracts::terms::{Market, OrderId, Quantity, Sku, money_from_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Currency, Error, Invalid, Money, PageToken, Timestamp};
use souk_rpc::time::{from_proto, to_proto};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

pub const LINES_MAX: usize = 2_000;
/// Coupons of one purchase.
pub const CODES_MAX: usize = 10;
/// The longest text that is believed to be a code; customers type it.
pub const TYPED_BYTES_MAX: usize = 64;
/// The longest text that is believed to be a region.
pub const REGION_BYTES_MAX: usize = 64;
pub const SUBJECT_BYTES_MAX: usize = 200;
pub const REASON_CHARS_MAX: usize = 200;
pub const PROMOTION_CATEGORIES_MAX: usize = 100;
pub const PROMOTION_SKUS_MAX: usize = 500;
pub const PROMOTION_MARKETS_MAX: usize = 50;
pub const RATES_MAX: usize = 200;
const PAGE_MAX: usize = 200;
const PAGE_USUAL: usize = 50;

/// What a `PriceLinesRequest` asks.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceAsk {
    pub lines: Vec<AskedLine>,
    pub market: Market,
    pub codes: Vec<AskedCode>,
    /// The zones where the tax may be looked up, the nearest first.
    pub zones: Vec<ZoneName>,
    pub shipping: Option<Money>,
    pub subject: Option<Arc<str>>,
}

/// Reads a request to price lines.
pub fn price_lines(request: pb::PriceLinesRequest) -> Result<PriceAsk, Invalid> {
    let mut invalid = Invalid::new();
    let lines = asked_lines(request.lines, &mut invalid);
    let market = invalid.take("market", Market::try_new(request.market));
    let codes = asked_codes("couponCodes", &request.coupon_codes, 0, AskedCode::typed, &mut invalid);
    let country = match request.country.as_str() {
        "" => market.clone(),
        country => invalid.take("country", Market::try_new(country)),
    };
    if request.region.len() > REGION_BYTES_MAX {
        invalid.add("region", format!("must be at most {REGION_BYTES_MAX} bytes"));
    }
    let shipping = request.shipping.as_ref().and_then(|money| amount("shipping", money, 0, &mut invalid));
    let subject = subject(&request.subject, &mut invalid);
    let zones_of = |country: &Market| {
        let region = ZoneName::region(country, &request.region);
        region.into_iter().chain([ZoneName::country(country)]).collect()
    };
    let zones = country.as_ref().map(zones_of).unwrap_or_default();
    invalid.finish(market.map(|market| PriceAsk { lines, market, codes, zones, shipping, subject }))
}

fn asked_lines(lines: Vec<pb::LineToPrice>, invalid: &mut Invalid) -> Vec<AskedLine> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        invalid.add("lines", format!("must be 1 to {LINES_MAX}"));
        return Vec::new();
    }
    let mut asked = Vec::with_capacity(lines.len());
    for (i, line) in lines.into_iter().enumerate() {
        let sku = invalid.take(format!("lines[{i}].sku"), Sku::try_new(line.sku));
        let quantity = invalid.take(format!("lines[{i}].quantity"), Quantity::try_new(line.quantity));
        let both = sku.zip(quantity);
        asked.extend(both.map(|(sku, quantity)| AskedLine { line: line.line, sku, quantity }));
    }
    asked
}

/// Codes in the order in which they were typed, none twice.
fn asked_codes(
    field: &str,
    texts: &[String],
    least: usize,
    read: fn(&str) -> AskedCode,
    invalid: &mut Invalid,
) -> Vec<AskedCode> {
    if !(least..=CODES_MAX).contains(&texts.len()) {
        invalid.add(field, format!("must be {least} to {CODES_MAX}"));
        return Vec::new();
    }
    let mut codes: Vec<AskedCode> = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        if !(1..=TYPED_BYTES_MAX).contains(&text.len()) {
            invalid.add(format!("{field}[{i}]"), format!("must be 1 to {TYPED_BYTES_MAX} bytes"));
            continue;
        }
        let asked = read(text);
        let is_same = |other: &AskedCode| match &asked.code {
            Some(code) => other.code.as_ref() == Some(code),
            None => other.text == asked.text,
        };
        if !codes.iter().any(is_same) {
            codes.push(asked);
        }
    }
    codes
}

/// An amount that is not below `least` minor units.
fn amount(field: &str, message: &MoneyMessage, least: i64, invalid: &mut Invalid) -> Option<Money> {
    let money = invalid.take(field, money_from_proto(message))?;
    if !(least..=PRICE_MINOR_MAX).contains(&money.minor_units()) {
        invalid.add(field, format!("must be {least} to {PRICE_MINOR_MAX} minor units"));
        return None;
    }
    Some(money)
}

fn subject(text: &str, invalid: &mut Invalid) -> Option<Arc<str>> {
    if text.len() > SUBJECT_BYTES_MAX {
        invalid.add("subject", format!("must be at most {SUBJECT_BYTES_MAX} bytes"));
    }
    (!text.is_empty()).then(|| text.into())
}

/// The answer to a request to price lines.
pub fn priced(priced: &Priced, at: Timestamp) -> pb::PriceLinesResponse {
    let money = |minor: i64| priced.currency.map(|currency| Money::new(minor, currency).into());
    let applied = |applied: &crate::domain::pricing::Applied| pb::AppliedPromotion {
        promotion_id: applied.terms.id.to_string(),
        code: applied.terms.code.as_ref().map(ToString::to_string).unwrap_or_default(),
        name: applied.terms.name.to_string(),
        amount: money(applied.amount),
    };
    let refused = |(asked, reason): &(AskedCode, CouponReason)| pb::CouponRefusal {
        code: asked.text.to_string(),
        reason: coupon_reason(*reason).into(),
        message: reason.sentence().to_owned(),
    };
    let group = |group: &TaxGroup| pb::TaxGroup {
        rule: group.rule.id.to_string(),
        name: group.rule.name.to_string(),
        rate_millionths: group.rule.rate_millionths,
        base: money(group.base),
        tax: money(group.tax),
    };
    pb::PriceLinesResponse {
        lines: priced.lines.iter().map(|line| priced_line(line, priced.currency)).collect(),
        subtotal: money(priced.subtotal),
        discount: money(priced.discount),
        shipping: money(priced.shipping),
        shipping_discount: money(priced.shipping_discount),
        tax: money(priced.tax),
        total: money(priced.total),
        tax_inclusive: priced.tax_inclusive,
        promotions: priced.applied.iter().map(applied).collect(),
        refused: priced.refused.iter().map(refused).collect(),
        shipping_tax: money(priced.shipping_tax),
        priced_at: Some(to_proto(at)),
        taxes: priced.taxes.iter().map(group).collect(),
    }
}

fn priced_line(line: &PricedLine, currency: Option<Currency>) -> pb::PricedLine {
    let shown = pb::PricedLine {
        line: line.asked.line,
        sku: line.asked.sku.to_string(),
        quantity: line.asked.quantity.get(),
        ..Default::default()
    };
    match &line.outcome {
        Outcome::Unknown => pb::PricedLine { miss: pb::PriceMiss::UnknownSku.into(), ..shown },
        Outcome::NotSold { title } => {
            pb::PricedLine { title: title.to_string(), miss: pb::PriceMiss::NotSoldInMarket.into(), ..shown }
        }
        Outcome::Priced(price) => with_price(shown, price, currency),
    }
}

fn with_price(shown: pb::PricedLine, price: &LinePrice, currency: Option<Currency>) -> pb::PricedLine {
    let money = |minor: i64| currency.map(|currency| Money::new(minor, currency).into());
    let discount = |(promotion, amount): &(PromotionId, i64)| pb::LineDiscount {
        promotion_id: promotion.to_string(),
        amount: money(*amount),
    };
    pb::PricedLine {
        title: price.sold.title.to_string(),
        unit_price: Some(price.sold.price.into()),
        subtotal: money(price.subtotal),
        discount: money(price.discount),
        tax: money(price.tax),
        total: money(price.total),
        price_version: price.sold.price_version,
        miss: pb::PriceMiss::None.into(),
        tax_rule: price.tax_rule.to_string(),
        discounts: price.discounts.iter().map(discount).collect(),
        ..shown
    }
}

/// Why a coupon does not apply, as others read it.
pub fn coupon_reason(reason: CouponReason) -> pb::Reason {
    match reason {
        CouponReason::Unknown => pb::Reason::CouponUnknown,
        CouponReason::NotStarted => pb::Reason::CouponNotStarted,
        CouponReason::Expired => pb::Reason::CouponExpired,
        CouponReason::Exhausted => pb::Reason::CouponExhausted,
        CouponReason::UsedBefore => pb::Reason::CouponUsedBefore,
        CouponReason::NotApplicable => pb::Reason::CouponNotApplicable,
        CouponReason::BelowMinimum => pb::Reason::CouponBelowMinimum,
        CouponReason::NotCombinable => pb::Reason::CouponNotCombinable,
    }
}

/// Reads a request to create a promotion.
pub fn create_promotion(request: pb::CreatePromotionRequest) -> Result<Create, Invalid> {
    let mut invalid = Invalid::new();
    let Some(input) = request.promotion else {
        invalid.add("promotion", "must be there");
        return Err(invalid);
    };
    let id = invalid.take("promotion.promotionId", input.promotion_id.parse::<PromotionId>());
    check_line(&mut invalid, "promotion.name", &input.name, 1, NAME_CHARS_MAX);
    let code = match input.code.as_str() {
        "" => None,
        text => invalid.take("promotion.code", CouponCode::typed(text)),
    };
    let benefit = benefit(input.benefit.as_ref().and_then(|benefit| benefit.kind.as_ref()), &mut invalid);
    let minimum = input.minimum_subtotal.as_ref();
    let minimum_subtotal =
        minimum.and_then(|money| amount("promotion.minimumSubtotal", money, 0, &mut invalid));
    let categories = categories(&input.categories, &mut invalid);
    let skus = set("promotion.skus", &input.skus, PROMOTION_SKUS_MAX, &mut invalid);
    let markets = set("promotion.markets", &input.markets, PROMOTION_MARKETS_MAX, &mut invalid);
    let valid_from = time("promotion.validFrom", input.valid_from.as_ref().map(from_proto), &mut invalid);
    let valid_to = time("promotion.validTo", input.valid_to.as_ref().map(from_proto), &mut invalid);
    if valid_from.zip(valid_to).is_some_and(|(from, to)| to <= from) {
        invalid.add("promotion.validTo", "must be later than validFrom");
    }
    let limits = limits(&input, &mut invalid);
    let all = id.zip(benefit).map(|(id, benefit)| Create {
        terms: Terms {
            id,
            name: input.name.as_str().into(),
            code,
            benefit,
            minimum_subtotal,
            categories,
            skus,
            markets,
            valid_from: valid_from.unwrap_or_default(),
            valid_to,
            limits,
            stackable: input.stackable,
        },
        from_now_on: valid_from.is_none(),
    });
    invalid.finish(all)
}

fn benefit(kind: Option<&pb::benefit::Kind>, invalid: &mut Invalid) -> Option<Benefit> {
    use pb::benefit::Kind;
    match kind {
        Some(Kind::PercentageBp(bp)) if (1..=WHOLE_BP).contains(bp) => Some(Benefit::PercentageBp(*bp)),
        Some(Kind::PercentageBp(_)) => {
            invalid.add("promotion.benefit.percentageBp", format!("must be 1 to {WHOLE_BP}"));
            None
        }
        Some(Kind::Fixed(money)) => amount("promotion.benefit.fixed", money, 1, invalid).map(Benefit::Fixed),
        Some(Kind::FreeShipping(true)) => Some(Benefit::FreeShipping),
        Some(Kind::FreeShipping(false)) => {
            invalid.add("promotion.benefit.freeShipping", "must be true, or another benefit must be there");
            None
        }
        None => {
            invalid.add("promotion.benefit", "must be a percentage, an amount or free shipping");
            None
        }
    }
}

fn categories(names: &[String], invalid: &mut Invalid) -> BTreeSet<String> {
    if names.len() > PROMOTION_CATEGORIES_MAX {
        invalid.add("promotion.categories", format!("must be at most {PROMOTION_CATEGORIES_MAX}"));
        return BTreeSet::new();
    }
    for (i, name) in names.iter().enumerate() {
        check_line(invalid, &format!("promotion.categories[{i}]"), name, 1, NAME_CHARS_MAX);
    }
    names.iter().cloned().collect()
}

fn set<T>(field: &str, texts: &[String], most: usize, invalid: &mut Invalid) -> BTreeSet<T>
where
    T: FromStr<Err: fmt::Display> + Ord,
{
    if texts.len() > most {
        invalid.add(field, format!("must be at most {most}"));
        return BTreeSet::new();
    }
    let read = |(i, text): (usize, &String)| invalid.take(format!("{field}[{i}]"), text.parse());
    texts.iter().enumerate().filter_map(read).collect()
}

/// A time that may be absent, as it was read: `Some(None)` is one that could not be.
fn time(field: &str, read: Option<Option<Timestamp>>, invalid: &mut Invalid) -> Option<Timestamp> {
    if read == Some(None) {
        invalid.add(field, "must be a time between the years 1 and 9999");
    }
    read.flatten()
}

/// Without a code nobody redeems it, so that nothing would count.
fn limits(input: &pb::PromotionInput, invalid: &mut Invalid) -> Limits {
    let limits = Limits {
        total: NonZeroU32::new(input.limit_total),
        per_customer: NonZeroU32::new(input.limit_per_customer),
    };
    let fields =
        [("promotion.limitTotal", limits.total), ("promotion.limitPerCustomer", limits.per_customer)];
    for (field, limit) in fields {
        if limit.is_some() && input.code.is_empty() {
            invalid.add(field, "must be 0 for a promotion without a code");
        }
    }
    limits
}

/// Reads a promotion's id.
pub fn promotion_id(text: &str) -> Result<PromotionId, Invalid> {
    let mut invalid = Invalid::new();
    let id = invalid.take("promotionId", text.parse());
    invalid.finish(id)
}

/// Reads a request to disable a promotion.
pub fn disable_promotion(request: &pb::DisablePromotionRequest) -> Result<(PromotionId, Arc<str>), Invalid> {
    let mut invalid = Invalid::new();
    let id = invalid.take("promotionId", request.promotion_id.parse());
    check_line(&mut invalid, "reason", &request.reason, 1, REASON_CHARS_MAX);
    invalid.finish(id.map(|id| (id, request.reason.as_str().into())))
}

/// What a promotion is, as it is shown.
pub fn promotion_input(terms: &Terms) -> pb::PromotionInput {
    let texts = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>();
    let limit = |limit: Option<NonZeroU32>| limit.map_or(0, NonZeroU32::get);
    pb::PromotionInput {
        promotion_id: terms.id.to_string(),
        name: terms.name.to_string(),
        code: terms.code.as_ref().map(ToString::to_string).unwrap_or_default(),
        benefit: Some(shown_benefit(terms.benefit)),
        minimum_subtotal: terms.minimum_subtotal.map(Into::into),
        categories: terms.categories.iter().cloned().collect(),
        skus: texts(&mut terms.skus.iter().map(ToString::to_string)),
        markets: texts(&mut terms.markets.iter().map(ToString::to_string)),
        valid_from: Some(to_proto(terms.valid_from)),
        valid_to: terms.valid_to.map(to_proto),
        limit_total: limit(terms.limits.total),
        limit_per_customer: limit(terms.limits.per_customer),
        stackable: terms.stackable,
    }
}

/// A promotion as it is shown.
pub fn promotion(terms: &Terms, state: State, used: u64) -> pb::Promotion {
    let input = promotion_input(terms);
    let state = match state {
        State::Scheduled => pb::PromotionState::Scheduled,
        State::Active => pb::PromotionState::Active,
        State::Ended => pb::PromotionState::Ended,
        State::Disabled => pb::PromotionState::Disabled,
    };
    pb::Promotion { promotion: Some(input), state: state.into(), used }
}

/// What a promotion takes off, as it is shown.
pub fn shown_benefit(benefit: Benefit) -> pb::Benefit {
    let kind = match benefit {
        Benefit::PercentageBp(bp) => pb::benefit::Kind::PercentageBp(bp),
        Benefit::Fixed(amount) => pb::benefit::Kind::Fixed(amount.into()),
        Benefit::FreeShipping => pb::benefit::Kind::FreeShipping(true),
    };
    pb::Benefit { kind: Some(kind) }
}

/// A page of promotions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionsPage {
    pub state: Option<State>,
    pub size: usize,
    /// The last promotion of the page before; empty on the first.
    pub after: String,
}

/// Reads a request for a page of promotions.
pub fn promotions_page(request: &pb::ListPromotionsRequest) -> Result<PromotionsPage, Error> {
    let mut invalid = Invalid::new();
    let state = match pb::PromotionState::try_from(request.state) {
        Ok(pb::PromotionState::Unspecified) => None,
        Ok(pb::PromotionState::Scheduled) => Some(State::Scheduled),
        Ok(pb::PromotionState::Active) => Some(State::Active),
        Ok(pb::PromotionState::Ended) => Some(State::Ended),
        Ok(pb::PromotionState::Disabled) => Some(State::Disabled),
        Err(_) => {
            invalid.add("state", "must be a known state");
            None
        }
    };
    let size = page_size(request.page_size, PAGE_USUAL, PAGE_MAX, &mut invalid);
    let size = invalid.finish(Some(size))?;
    let after = PageToken::resume(&request.page_token, &promotions_of(state), own_place)?;
    Ok(PromotionsPage { state, size, after: after.unwrap_or_default() })
}

fn own_place(place: &str) -> Option<String> {
    Some(place.to_owned())
}

/// The token for the page after `last` of the promotions that are so far.
pub fn promotions_token(last: &PromotionId, state: Option<State>) -> String {
    PageToken::seal(last.as_str(), &promotions_of(state))
}

fn promotions_of(state: Option<State>) -> [&'static str; 2] {
    let state = match state {
        None => "",
        Some(State::Scheduled) => "SCHEDULED",
        Some(State::Active) => "ACTIVE",
        Some(State::Ended) => "ENDED",
        Some(State::Disabled) => "DISABLED",
    };
    ["ListPromotions", state]
}

/// What a `ValidateCouponRequest` asks.
#[derive(Debug, Clone, PartialEq)]
pub struct CouponAsk {
    pub code: AskedCode,
    pub subtotal: Money,
    pub market: Option<Market>,
    pub subject: Option<Arc<str>>,
}

/// Reads a request to validate a coupon.
pub fn validate_coupon(request: &pb::ValidateCouponRequest) -> Result<CouponAsk, Invalid> {
    let mut invalid = Invalid::new();
    if !(1..=TYPED_BYTES_MAX).contains(&request.code.len()) {
        invalid.add("code", format!("must be 1 to {TYPED_BYTES_MAX} bytes"));
    }
    let subtotal = match &request.subtotal {
        Some(money) => amount("subtotal", money, 0, &mut invalid),
        None => {
            invalid.add("subtotal", "must be there");
            None
        }
    };
    let market = match request.market.as_str() {
        "" => None,
        text => invalid.take("market", Market::try_new(text)),
    };
    let subject = subject(&request.subject, &mut invalid);
    let code = AskedCode::typed(&request.code);
    invalid.finish(subtotal.map(|subtotal| CouponAsk { code, subtotal, market, subject }))
}

/// The answer about a coupon: what it is, or why it would not apply.
pub fn validated(outcome: Result<&Terms, CouponReason>) -> pb::ValidateCouponResponse {
    match outcome {
        Ok(terms) => pb::ValidateCouponResponse {
            applies: true,
            promotion_id: terms.id.to_string(),
            name: terms.name.to_string(),
            benefit: Some(shown_benefit(terms.benefit)),
            only_some_products: terms.is_for_some(),
            ..Default::default()
        },
        Err(reason) => pb::ValidateCouponResponse {
            reason: coupon_reason(reason).into(),
            message: reason.sentence().to_owned(),
            ..Default::default()
        },
    }
}

/// Reads a request to redeem.
pub fn redeem(request: &pb::RedeemCouponsRequest) -> Result<(OrderId, Redeem), Invalid> {
    let mut invalid = Invalid::new();
    let order = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let subject = subject(&request.subject, &mut invalid);
    if subject.is_none() {
        invalid.add("subject", "must be there");
    }
    let mut codes = asked_codes("codes", &request.codes, 1, AskedCode::recorded, &mut invalid);
    codes.sort();
    let priced_at = time("pricedAt", request.priced_at.as_ref().map(from_proto), &mut invalid);
    if request.priced_at.is_none() {
        invalid.add("pricedAt", "must be there");
    }
    let all = order.zip(subject).zip(priced_at);
    invalid.finish(all.map(|((order, subject), priced_at)| (order, Redeem { subject, codes, priced_at })))
}

/// Reads the order of a request that has nothing else that could be faulty.
pub fn order_id(text: &str) -> Result<OrderId, Invalid> {
    let mut invalid = Invalid::new();
    let order = invalid.take("orderId", text.parse());
    invalid.finish(order)
}

/// A release is never refused for its words.
pub fn release_reason(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

/// How an order's coupons stand; `None` when nobody has asked about them.
pub fn redemption(order: OrderId, redemption: &Redemption) -> Option<pb::Redemption> {
    let shown = |status: pb::RedemptionStatus, codes: Vec<String>| pb::Redemption {
        order_id: order.to_string(),
        status: status.into(),
        codes,
        ..Default::default()
    };
    let used = |coupons: &[crate::domain::redemption::UsedCoupon]| {
        coupons.iter().map(|coupon| coupon.code.to_string()).collect()
    };
    match redemption {
        Redemption::Unknown => None,
        Redemption::Redeemed(e) => Some(shown(pb::RedemptionStatus::Redeemed, used(&e.coupons))),
        Redemption::Released(e) => Some(shown(pb::RedemptionStatus::Released, used(&e.coupons))),
        Redemption::Refused(e) => Some(pb::Redemption {
            reason: coupon_reason(e.reason).into(),
            code: e.code.to_string(),
            ..shown(pb::RedemptionStatus::Refused, e.codes.iter().map(ToString::to_string).collect())
        }),
    }
}

/// Reads a request to put a tax zone, with the version that the caller saw.
pub fn put_tax_zone(request: pb::PutTaxZoneRequest) -> Result<(TaxZone, Option<u64>), Invalid> {
    let mut invalid = Invalid::new();
    let zone = invalid.take("zone", request.zone.parse::<ZoneName>());
    let Some(input) = request.tax_zone else {
        invalid.add("taxZone", "must be there");
        return Err(invalid);
    };
    if input.prices_include_tax && zone.as_ref().is_some_and(ZoneName::is_region) {
        invalid.add("taxZone.pricesIncludeTax", "must be false for a region: the country's market says it");
    }
    let (prices_include_tax, rates) = (input.prices_include_tax, rates(&input.rates, &mut invalid));
    let zone = zone.map(|zone| TaxZone { zone, rates: rates.into(), prices_include_tax });
    invalid.finish(zone.map(|zone| (zone, request.expected_version)))
}

fn rates(inputs: &[pb::TaxRate], invalid: &mut Invalid) -> Vec<TaxRate> {
    if inputs.len() > RATES_MAX {
        invalid.add("taxZone.rates", format!("must be at most {RATES_MAX}"));
        return Vec::new();
    }
    let (mut rates, mut begins) = (Vec::with_capacity(inputs.len()), HashSet::new());
    for (i, input) in inputs.iter().enumerate() {
        let path = format!("taxZone.rates[{i}]");
        check_line(invalid, &format!("{path}.name"), &input.name, 1, NAME_CHARS_MAX);
        if input.rate_millionths > MILLION {
            invalid.add(format!("{path}.rateMillionths"), format!("must be at most {MILLION}"));
        }
        let valid_from =
            time(&format!("{path}.validFrom"), input.valid_from.as_ref().map(from_proto), invalid);
        let class = tax_class(invalid, &format!("{path}.taxClass"), &input.tax_class);
        let Some(class) = class else {
            if input.tax_class.is_empty() {
                invalid.add(format!("{path}.taxClass"), "must be there");
            }
            continue;
        };
        if !begins.insert((class.clone(), valid_from)) {
            invalid.add(path, "must not begin when another rate of its class does");
        }
        let (rate_millionths, name) = (input.rate_millionths, input.name.as_str().into());
        rates.push(TaxRate { class, rate_millionths, name, valid_from });
    }
    rates
}

/// A tax zone as it is shown.
pub fn tax_zone(zone: &TaxZone, version: u64) -> pb::TaxZone {
    let rate = |rate: &TaxRate| pb::TaxRate {
        tax_class: rate.class.to_string(),
        rate_millionths: rate.rate_millionths,
        name: rate.name.to_string(),
        valid_from: rate.valid_from.map(to_proto),
    };
    pb::TaxZone {
        zone: zone.zone.to_string(),
        rates: zone.rates.iter().map(rate).collect(),
        prices_include_tax: zone.prices_include_tax,
        version,
    }
}

/// Reads a request for a page of tax zones: its size, and the last zone of the page before.
pub fn tax_zones_page(request: &pb::ListTaxZonesRequest) -> Result<(usize, String), Error> {
    let mut invalid = Invalid::new();
    let size = page_size(request.page_size, PAGE_USUAL, PAGE_MAX, &mut invalid);
    let size = invalid.finish(Some(size))?;
    let after = PageToken::resume(&request.page_token, &["ListTaxZones"], own_place)?;
    Ok((size, after.unwrap_or_default()))
}

/// The token for the page of tax zones after `last`.
pub fn tax_zones_token(last: &ZoneName) -> String {
    PageToken::seal(last.as_str(), &["ListTaxZones"])
}

#[cfg(test)]
mod tests;
