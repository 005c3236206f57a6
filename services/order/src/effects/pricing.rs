//! What a quote is made of: the cart's lines, the rate, and what the catalog says they come to.
use super::Effects;
use super::answers::unreadable;
use crate::domain::order::{OrderPlaced, PartialPolicy, Remainder};
use crate::domain::quote::{CartLine, CouponRefusal, Listing};
use crate::domain::{Delivery, Line, Promotion, Terms, sum};
use souk_contracts::cart::v1::ReadLinesRequest;
use souk_contracts::catalog::v1::{
    BatchGetVariantsRequest, LineToPrice, PriceLinesRequest, PriceLinesResponse, PriceMiss, PricedLine,
    VariantResult,
};
use souk_contracts::inventory::v1::Reservation;
use souk_contracts::shipping::v1::GetRateRequest;
use souk_contracts::terms::{CartId, Market, Quantity, Sku, money_from_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Error, Money, Timestamp};
use souk_rpc::{Cx, time};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How many SKUs the catalog answers at once.
const SKUS_PER_CALL: usize = 500;

/// A cart as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cart {
    pub market: Market,
    pub version: u64,
    pub lines: Vec<CartLine>,
}

/// A rate as shipping promised it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    pub delivery: Delivery,
    pub price: Money,
    pub market: String,
    pub expires_at: Option<Timestamp>,
}

/// Where it goes, and what that costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Destination {
    pub delivery: Option<Delivery>,
    pub shipping: Option<Money>,
    pub country: String,
    pub region: String,
}

/// What the catalog says that lines come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    /// One per line, in the order asked.
    pub listings: Vec<Listing>,
    /// `None` when there is nothing besides the prices.
    pub terms: Option<Terms>,
    pub refused: Vec<CouponRefusal>,
    /// Absent where no line has a price.
    pub total: Option<Money>,
}

impl Effects {
    /// The lines of the owner's cart.
    pub async fn read_cart(&self, cx: &Cx, owner: &str, cart_id: CartId) -> Result<Cart, Error> {
        let cx = cx.for_call(self.identity.token_for("cart", Some(owner)));
        let cart = self.cart.read_lines(cx, ReadLinesRequest { cart_id: cart_id.to_string() }).await?;
        let line = |line: &souk_contracts::cart::v1::PlainLine| {
            Ok(CartLine {
                line: line.line,
                sku: line.sku.parse::<Sku>().map_err(unreadable)?,
                quantity: Quantity::try_new(line.quantity).map_err(unreadable)?,
            })
        };
        Ok(Cart {
            market: cart.market.parse().map_err(unreadable)?,
            version: cart.version,
            lines: cart.lines.iter().map(line).collect::<Result<_, Error>>()?,
        })
    }

    /// A rate of the owner's.
    pub async fn read_rate(&self, cx: &Cx, owner: &str, rate_id: &str) -> Result<Rate, Error> {
        let cx = cx.for_call(self.identity.token_for("shipping", Some(owner)));
        let answer = self.shipping.get_rate(cx, GetRateRequest { rate_id: rate_id.to_owned() }).await?;
        let rate = answer.rate.ok_or_else(|| Error::not_found("the rate"))?;
        let price = rate.price.as_ref().ok_or_else(|| Error::internal("a rate without a price"))?;
        let (country, region) = (rate.country.as_str().into(), rate.region.as_str().into());
        Ok(Rate {
            delivery: Delivery { rate_id: rate_id.into(), country, region },
            price: money_from_proto(price).map_err(unreadable)?,
            market: rate.market,
            expires_at: rate.expires_at.as_ref().and_then(time::from_proto),
        })
    }

    /// What the lines come to, for a subject that brings these coupons.
    pub async fn price(
        &self,
        cx: &Cx,
        subject: &str,
        market: &Market,
        lines: impl Iterator<Item = (u32, &Sku, u32)>,
        coupons: &[Arc<str>],
        to: &Destination,
    ) -> Result<Priced, Error> {
        let lines = lines.map(|(line, sku, quantity)| LineToPrice { line, sku: sku.to_string(), quantity });
        let request = PriceLinesRequest {
            lines: lines.collect(),
            market: market.to_string(),
            coupon_codes: coupons.iter().map(ToString::to_string).collect(),
            country: to.country.clone(),
            region: to.region.clone(),
            shipping: to.shipping.map(Into::into),
            subject: subject.to_owned(),
        };
        let cx = cx.for_call(self.identity.token_for("catalog", Some(subject)));
        priced(&self.catalog.price_lines(cx, request).await?, coupons, to)
    }

    /// What there is of an order, priced anew: promotions that want a larger order no longer count. A deal keeps
    /// its prices.
    pub(super) async fn remainder(
        &self,
        cx: &Cx,
        placed: &OrderPlaced,
        granted: &BTreeMap<u32, u32>,
    ) -> Result<Remainder, Error> {
        let kept = placed.lines.iter().filter_map(|line| {
            let quantity = Quantity::try_new(granted.get(&line.line).copied().unwrap_or(0)).ok()?;
            Some(Line { quantity, ..line.clone() })
        });
        let mut lines: Vec<Line> = kept.collect();
        if placed.is_agreed() {
            let total = sum(&lines, None, placed.total.currency()).map_err(Error::internal)?;
            return Ok(Remainder { lines: lines.into(), total, terms: None });
        }
        let old = placed.terms.as_deref();
        let delivery = old.and_then(|terms| terms.delivery.clone());
        let shipping = old.filter(|terms| terms.delivery.is_some()).map(|terms| terms.shipping_minor);
        let to = Destination {
            country: delivery.as_ref().map(|to| to.country.to_string()).unwrap_or_default(),
            region: delivery.as_ref().map(|to| to.region.to_string()).unwrap_or_default(),
            shipping: shipping.map(|minor| Money::new(minor, placed.total.currency())),
            delivery,
        };
        let asked = lines.iter().map(|line| (line.line, &line.sku, line.quantity.get()));
        let priced = self.price(cx, &placed.subject, &placed.market, asked, placed.coupons(), &to).await?;
        for (line, listing) in lines.iter_mut().zip(&priced.listings) {
            let Listing::Priced { price, price_version, discount_minor, tax_minor, .. } = listing else {
                return Err(Error::unavailable("what there is of the order has no price now"));
            };
            (line.unit_minor, line.price_version) = (price.minor_units(), *price_version);
            (line.discount_minor, line.tax_minor) = (*discount_minor, *tax_minor);
        }
        let total = sum(&lines, priced.terms.as_ref(), placed.total.currency()).map_err(Error::internal)?;
        // The coupons were redeemed with the order; they stay part of it, whether they still count or not.
        let terms = priced.terms.map(|terms| Terms { coupons: placed.coupons().to_vec(), ..terms });
        Ok(Remainder { lines: lines.into(), total, terms: terms.map(Arc::new) })
    }

    /// What the catalog says of each SKU, in the order asked.
    pub async fn listings<'a>(
        &self,
        cx: &Cx,
        skus: impl Iterator<Item = &'a Sku> + Clone,
        market: &Market,
    ) -> Result<Vec<Listing>, Error> {
        let distinct: Vec<&Sku> = skus.clone().collect::<BTreeSet<_>>().into_iter().collect();
        let calls = distinct.chunks(SKUS_PER_CALL).map(|chunk| {
            let skus = chunk.iter().map(ToString::to_string).collect();
            let cx = cx.for_call(self.identity.token_for("catalog", None));
            self.catalog.batch_get_variants(cx, BatchGetVariantsRequest { skus, market: market.to_string() })
        });
        let mut known: HashMap<String, Listing> = HashMap::with_capacity(distinct.len());
        for answer in futures_util::future::try_join_all(calls).await? {
            for result in answer.results {
                let listing = listing(&result)?;
                known.insert(result.sku, listing);
            }
        }
        Ok(skus.map(|sku| known.get(sku.as_str()).cloned().unwrap_or(Listing::Unknown)).collect())
    }
}

/// The pieces of each line that were granted, where that is less than was asked for.
pub(super) fn granted_less(placed: &OrderPlaced, reservation: &Reservation) -> Option<BTreeMap<u32, u32>> {
    if placed.partial_policy != PartialPolicy::ShipAvailable {
        return None;
    }
    let mut granted = BTreeMap::new();
    for line in &reservation.lines {
        *granted.entry(line.line).or_insert(0u32) += line.quantity;
    }
    let is_less =
        placed.lines.iter().any(|line| granted.get(&line.line).copied().unwrap_or(0) < line.quantity.get());
    is_less.then_some(granted)
}

fn listing(result: &VariantResult) -> Result<Listing, Error> {
    let Some(variant) = &result.variant else { return Ok(Listing::Unknown) };
    let title: Arc<str> = variant.title.as_str().into();
    let Some(price) = &variant.price else { return Ok(Listing::Unpriced { title }) };
    let Some(amount) = &price.amount else { return Ok(Listing::Unpriced { title }) };
    Ok(Listing::Priced {
        title,
        price: money_from_proto(amount).map_err(unreadable)?,
        price_version: price.price_version,
        discount_minor: 0,
        tax_minor: 0,
    })
}

/// Reads what PriceLines answered.
fn priced(answer: &PriceLinesResponse, coupons: &[Arc<str>], to: &Destination) -> Result<Priced, Error> {
    let promotions = answer.promotions.iter().map(|promotion| {
        Ok(Promotion {
            promotion_id: promotion.promotion_id.as_str().into(),
            code: promotion.code.as_str().into(),
            name: promotion.name.as_str().into(),
            amount_minor: minor(promotion.amount.as_ref())?,
        })
    });
    let priced_at = answer.priced_at.as_ref().and_then(time::from_proto).unwrap_or(Timestamp::EPOCH);
    let terms = Terms {
        tax_inclusive: answer.tax_inclusive,
        shipping_minor: minor(answer.shipping.as_ref())?,
        shipping_discount_minor: minor(answer.shipping_discount.as_ref())?,
        shipping_tax_minor: minor(answer.shipping_tax.as_ref())?,
        delivery: to.delivery.clone(),
        coupons: coupons.to_vec(),
        promotions: promotions.collect::<Result<_, Error>>()?,
        priced_at,
        exchange: None,
    };
    let plain = Terms { tax_inclusive: terms.tax_inclusive, priced_at, ..Terms::default() };
    let is_taxed = minor(answer.tax.as_ref())? != 0;
    let refused = answer.refused.iter().map(|refused| CouponRefusal {
        code: refused.code.clone(),
        reason: refused.reason().as_str_name().to_owned(),
    });
    Ok(Priced {
        listings: answer.lines.iter().map(priced_line).collect::<Result<_, Error>>()?,
        terms: (is_taxed || terms != plain).then_some(terms),
        refused: refused.collect(),
        total: answer.total.as_ref().map(money_from_proto).transpose().map_err(unreadable)?,
    })
}

fn priced_line(line: &PricedLine) -> Result<Listing, Error> {
    let title: Arc<str> = line.title.as_str().into();
    match line.miss() {
        PriceMiss::UnknownSku => Ok(Listing::Unknown),
        PriceMiss::NotSoldInMarket => Ok(Listing::Unpriced { title }),
        PriceMiss::None | PriceMiss::Unspecified => {
            let price = line.unit_price.as_ref().ok_or_else(|| Error::internal("a line without a price"))?;
            Ok(Listing::Priced {
                title,
                price: money_from_proto(price).map_err(unreadable)?,
                price_version: line.price_version,
                discount_minor: minor(line.discount.as_ref())?,
                tax_minor: minor(line.tax.as_ref())?,
            })
        }
    }
}

fn minor(money: Option<&MoneyMessage>) -> Result<i64, Error> {
    let money = money.map(money_from_proto).transpose().map_err(unreadable)?;
    Ok(money.map_or(0, |money| money.minor_units()))
}
