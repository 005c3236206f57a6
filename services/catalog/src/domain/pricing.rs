//! What a list of lines comes to: prices, then promotions, then tax. A pure function of what is sold, of the
//! promotions and tax zones, and of a moment; the same again gives the same.
//!
//! Everything is whole minor units of one currency here, and everything adds up exactly (I-CA-3): a discount and a
//! tax is rounded once for all that it falls on, and then cut into parts (see [`rounding`](super::rounding)).
//! Nothing becomes negative (I-CA-4): a promotion takes only of what the ones before it left.
use super::promotion::{Benefit, CouponReason, PromotionId, Terms, Used, WHOLE_BP, Window};
use super::redemption::AskedCode;
use super::rounding::{allocate, half_even, share};
use super::tax::{self, MILLION, TaxClass, TaxRule, TaxZone};
use souk_contracts::terms::{Market, Quantity, Sku};
use souk_kernel::{Code, Currency, Money, Rejection, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The lines and the shipping come to more than an amount can hold with its tax.
pub const TOTAL_OVERFLOW: &str = "TOTAL_OVERFLOW";
/// The prices of the lines, or the shipping's, are not all in one currency.
pub const MIXED_CURRENCIES: &str = "MIXED_CURRENCIES";

/// No tax is above the price without it, so what is below this stays an amount with its tax.
const SUM_MAX: i128 = (i64::MAX / 2) as i128;

/// One line as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedLine {
    /// The caller's number for it.
    pub line: u32,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// What the catalog knows of a SKU in a market.
#[derive(Debug, Clone, PartialEq)]
pub enum Offer {
    /// Nobody sells it, or customers cannot see it.
    Unknown,
    /// It has no price in the market.
    NotSold {
        /// Product and variant in one title.
        title: Arc<str>,
    },
    /// It can be bought.
    Sold(Arc<Sold>),
}

/// Something that can be bought.
#[derive(Debug, Clone, PartialEq)]
pub struct Sold {
    /// Product and variant in one title.
    pub title: Arc<str>,
    /// What one piece costs.
    pub price: Money,
    /// Which price of the SKU in the market it is.
    pub price_version: u64,
    /// How it is taxed.
    pub tax_class: TaxClass,
    /// Where its product stands.
    pub categories: Arc<[String]>,
}

/// A promotion as it stands for the customer who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is.
    pub terms: Arc<Terms>,
    /// When it holds.
    pub window: Window,
    /// How often it is used.
    pub used: Used,
}

/// All that a pricing looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    /// The lines with what is known of them.
    pub lines: Vec<(AskedLine, Offer)>,
    /// Whose prices hold.
    pub market: Market,
    /// What shipping costs before discounts; `None` when nothing is shipped.
    pub shipping: Option<Money>,
    /// The promotions that apply by themselves.
    pub automatic: Vec<Candidate>,
    /// The coupons with what is known of them; no code stands twice.
    pub coupons: Vec<(AskedCode, Option<Candidate>)>,
    /// The zone of where it is shipped to.
    pub zone: Option<TaxZone>,
    /// Whether prices in the market contain the tax.
    pub tax_inclusive: bool,
    /// As of when.
    pub at: Timestamp,
}

/// What the lines come to, in minor units of the currency.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    /// `None` when nothing has a price.
    pub currency: Option<Currency>,
    /// One per line, in the order asked.
    pub lines: Vec<PricedLine>,
    /// The lines before discounts.
    pub subtotal: i64,
    /// All discounts on lines.
    pub discount: i64,
    /// Shipping before discounts.
    pub shipping: i64,
    /// What of it is not charged.
    pub shipping_discount: i64,
    /// The shipping's tax.
    pub shipping_tax: i64,
    /// All tax, the shipping's included.
    pub tax: i64,
    /// What is paid.
    pub total: i64,
    /// Whether the prices contain the tax.
    pub tax_inclusive: bool,
    /// What was discounted, in the order in which it was.
    pub applied: Vec<Applied>,
    /// The coupons that do not apply.
    pub refused: Vec<(AskedCode, CouponReason)>,
    /// The taxes, by rule.
    pub taxes: Vec<TaxGroup>,
}

/// One line with what it comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct PricedLine {
    /// As it was asked.
    pub asked: AskedLine,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nobody sells it, or customers cannot see it.
    Unknown,
    /// It has no price in the market.
    NotSold {
        /// Product and variant in one title.
        title: Arc<str>,
    },
    /// It has a price.
    Priced(LinePrice),
}

/// What a line comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct LinePrice {
    /// What it is.
    pub sold: Arc<Sold>,
    /// All pieces before discounts.
    pub subtotal: i64,
    /// Its part of the discounts.
    pub discount: i64,
    /// The same by promotion; none of them is 0.
    pub discounts: Vec<(PromotionId, i64)>,
    /// Its part of the tax.
    pub tax: i64,
    /// Which tax it is.
    pub tax_rule: Arc<str>,
    /// What it costs in the end.
    pub total: i64,
}

/// A promotion that takes something off.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Which one.
    pub terms: Arc<Terms>,
    /// How much in all; never 0.
    pub amount: i64,
}

/// One tax over everything that it falls on.
#[derive(Debug, Clone, PartialEq)]
pub struct TaxGroup {
    /// Which tax.
    pub rule: TaxRule,
    /// What it is calculated of.
    pub base: i64,
    /// How much it is.
    pub tax: i64,
}

/// What the lines come to.
///
/// # Errors
/// `MIXED_CURRENCIES` or `TOTAL_OVERFLOW`.
pub fn price(ask: Pricing) -> Result<Priced, Rejection> {
    let basket = Basket::of(&ask)?;
    let (discounts, refused) = discounted(&ask, &basket);
    let taxes = Taxes::of(&ask, &basket, &discounts);
    Ok(add_up(ask, &basket, discounts, refused, taxes))
}

/// What is bought, as promotions and taxes see it.
struct Basket {
    currency: Option<Currency>,
    /// The place of each priced line among all lines.
    places: Vec<usize>,
    /// What each priced line comes to.
    subtotals: Vec<i64>,
    shipping: i64,
}

impl Basket {
    fn of(ask: &Pricing) -> Result<Self, Rejection> {
        let mut basket = Basket { currency: None, places: Vec::new(), subtotals: Vec::new(), shipping: 0 };
        let mut sum = 0i128;
        for (place, (asked, offer)) in ask.lines.iter().enumerate() {
            let Offer::Sold(sold) = offer else { continue };
            basket.take_currency(sold.price)?;
            let subtotal = i128::from(sold.price.minor_units()) * i128::from(asked.quantity.get());
            sum += subtotal;
            basket.places.push(place);
            basket.subtotals.push(within(subtotal)?);
        }
        if let Some(shipping) = ask.shipping {
            basket.take_currency(shipping)?;
            basket.shipping = shipping.minor_units();
        }
        within(sum + i128::from(basket.shipping))?;
        Ok(basket)
    }

    fn take_currency(&mut self, money: Money) -> Result<(), Rejection> {
        match self.currency {
            Some(known) if known != money.currency() => {
                let message = format!("some prices are in {known} and some in {}", money.currency());
                Err(Rejection::new(MIXED_CURRENCIES, message))
            }
            Some(_) => Ok(()),
            None => {
                self.currency = Some(money.currency());
                Ok(())
            }
        }
    }
}

fn within(sum: i128) -> Result<i64, Rejection> {
    let fits = (sum <= SUM_MAX).then(|| i64::try_from(sum).ok()).flatten();
    fits.ok_or_else(|| {
        Rejection::new(TOTAL_OVERFLOW, "the total of the lines is too large").code(Code::OutOfRange)
    })
}

/// A promotion that may take something off these lines.
struct Fitting<'a> {
    candidate: &'a Candidate,
    /// Which coupon it is; `None` applies by itself.
    coupon: Option<usize>,
    /// The priced lines that it is for.
    lines: Vec<usize>,
}

/// What some promotions together take off.
#[derive(Debug, Clone, PartialEq)]
struct Discounts {
    /// By priced line: the parts by promotion.
    lines: Vec<Vec<(PromotionId, i64)>>,
    shipping: i64,
    applied: Vec<Applied>,
    /// The coupons among the applied.
    coupons: Vec<usize>,
}

impl Discounts {
    fn sum(&self) -> i64 {
        self.applied.iter().map(|applied| applied.amount).sum()
    }

    fn of_line(&self, line: usize) -> i64 {
        self.lines[line].iter().map(|(_, amount)| amount).sum()
    }
}

type Refused = Vec<(AskedCode, CouponReason)>;

/// The discounts that save the customer most: those of all stackable promotions together, or those of one that
/// stands alone.
fn discounted(ask: &Pricing, basket: &Basket) -> (Discounts, Refused) {
    let mut reasons: BTreeMap<usize, CouponReason> = BTreeMap::new();
    let by_itself = ask.automatic.iter().filter_map(|candidate| fit(ask, basket, candidate, None).ok());
    let mut fitting: Vec<Fitting<'_>> = by_itself.collect();
    for (i, (_, candidate)) in ask.coupons.iter().enumerate() {
        let known = candidate.as_ref().ok_or(CouponReason::Unknown);
        match known.and_then(|candidate| fit(ask, basket, candidate, Some(i))) {
            Ok(fits) => fitting.push(fits),
            Err(reason) => {
                reasons.insert(i, reason);
            }
        }
    }
    fitting.sort_by(|a, b| order(a).cmp(&order(b)));
    let (together, alone): (Vec<&Fitting<'_>>, Vec<&Fitting<'_>>) =
        fitting.iter().partition(|fits| fits.candidate.terms.stackable);
    let mut best = (apply(basket, &together), true);
    for one in alone {
        let other = apply(basket, &[one]);
        if other.sum() > best.0.sum() {
            best = (other, false);
        }
    }
    let (best, is_together) = best;
    for fits in &fitting {
        let Some(coupon) = fits.coupon.filter(|coupon| !best.coupons.contains(coupon)) else { continue };
        // It was in the best choice, and nothing was left for it; or it was not, and would cost the customer.
        let had_its_turn = is_together && fits.candidate.terms.stackable;
        let takes_nothing = had_its_turn || apply(basket, &[fits]).sum() == 0;
        let reason = if takes_nothing { CouponReason::NotApplicable } else { CouponReason::NotCombinable };
        reasons.insert(coupon, reason);
    }
    let refused =
        reasons.into_iter().map(|(coupon, reason)| (ask.coupons[coupon].0.clone(), reason)).collect();
    (best, refused)
}

/// Percentages before amounts, amounts before shipping; then by id.
fn order<'a>(fits: &'a Fitting<'_>) -> (u8, &'a PromotionId) {
    let terms = &fits.candidate.terms;
    let rank = match terms.benefit {
        Benefit::PercentageBp(_) => 0,
        Benefit::Fixed(_) => 1,
        Benefit::FreeShipping => 2,
    };
    (rank, &terms.id)
}

/// Whether a promotion may take something off, and of which lines.
fn fit<'a>(
    ask: &Pricing,
    basket: &Basket,
    candidate: &'a Candidate,
    coupon: Option<usize>,
) -> Result<Fitting<'a>, CouponReason> {
    let terms = &candidate.terms;
    candidate.window.check(ask.at)?;
    terms.limits.check(candidate.used)?;
    let is_for = |place: usize| match &ask.lines[place] {
        (asked, Offer::Sold(sold)) => terms.is_for(&asked.sku, &sold.categories),
        (_, Offer::Unknown | Offer::NotSold { .. }) => false,
    };
    let lines: Vec<usize> = (0..basket.places.len()).filter(|line| is_for(basket.places[*line])).collect();
    let currency = basket.currency.filter(|_| !lines.is_empty()).ok_or(CouponReason::NotApplicable)?;
    let subtotal = lines.iter().map(|line| basket.subtotals[*line]).sum();
    terms.check(Some(&ask.market), Money::new(subtotal, currency))?;
    Ok(Fitting { candidate, coupon, lines })
}

/// Applies promotions one after the other, each to what the ones before it left.
fn apply(basket: &Basket, promotions: &[&Fitting<'_>]) -> Discounts {
    let mut left = basket.subtotals.clone();
    let mut discounts = Discounts {
        lines: vec![Vec::new(); left.len()],
        shipping: 0,
        applied: Vec::new(),
        coupons: Vec::new(),
    };
    for fits in promotions {
        let terms = &fits.candidate.terms;
        let weights: Vec<i64> = fits.lines.iter().map(|line| left[*line]).collect();
        let sum: i64 = weights.iter().sum();
        let (off_lines, off_shipping) = match terms.benefit {
            Benefit::PercentageBp(bp) => (share(sum, bp, WHOLE_BP), 0),
            Benefit::Fixed(amount) => (amount.minor_units().min(sum), 0),
            Benefit::FreeShipping => (0, basket.shipping - discounts.shipping),
        };
        if off_lines + off_shipping == 0 {
            continue;
        }
        for (line, part) in fits.lines.iter().zip(allocate(off_lines, &weights)).filter(|(_, part)| *part > 0)
        {
            left[*line] -= part;
            discounts.lines[*line].push((terms.id.clone(), part));
        }
        discounts.shipping += off_shipping;
        discounts.applied.push(Applied { terms: Arc::clone(terms), amount: off_lines + off_shipping });
        discounts.coupons.extend(fits.coupon);
    }
    discounts
}

/// All taxes, in whole and in parts.
struct Taxes {
    groups: Vec<TaxGroup>,
    /// By priced line: its rule and its part.
    lines: Vec<(Arc<str>, i64)>,
    shipping: i64,
}

/// What one tax falls on.
struct Taxed {
    rule: TaxRule,
    /// What is left of each priced line, or of the shipping (`None`).
    bases: Vec<(Option<usize>, i64)>,
}

impl Taxes {
    /// One group per rule: rounded once over what is left of its lines, and of the shipping if it is the standard
    /// one, and then cut into parts.
    fn of(ask: &Pricing, basket: &Basket, discounts: &Discounts) -> Self {
        let mut taxes =
            Taxes { groups: Vec::new(), lines: vec![(Arc::default(), 0); basket.places.len()], shipping: 0 };
        for Taxed { rule, bases } in taxed(ask, basket, discounts) {
            let weights: Vec<i64> = bases.iter().map(|(_, base)| *base).collect();
            let base = weights.iter().sum();
            let tax = tax_of(base, rule.rate_millionths, ask.tax_inclusive);
            for ((line, _), part) in bases.iter().zip(allocate(tax, &weights)) {
                match line {
                    Some(line) => taxes.lines[*line] = (rule.id.clone(), part),
                    None => taxes.shipping = part,
                }
            }
            taxes.groups.push(TaxGroup { rule, base, tax });
        }
        taxes
    }
}

/// What each tax falls on, in the order of the rules' ids.
fn taxed(ask: &Pricing, basket: &Basket, discounts: &Discounts) -> Vec<Taxed> {
    let mut by_rule: BTreeMap<Arc<str>, Taxed> = BTreeMap::new();
    let mut join = |class: &TaxClass, line: Option<usize>, base: i64| {
        let rule = tax::rule(ask.zone.as_ref(), class, ask.at);
        let taxed = by_rule.entry(rule.id.clone()).or_insert_with(|| Taxed { rule, bases: Vec::new() });
        taxed.bases.push((line, base));
    };
    for (line, place) in basket.places.iter().enumerate() {
        let Offer::Sold(sold) = &ask.lines[*place].1 else { continue };
        join(&sold.tax_class, Some(line), basket.subtotals[line] - discounts.of_line(line));
    }
    if ask.shipping.is_some() {
        join(&TaxClass::standard(), None, basket.shipping - discounts.shipping);
    }
    by_rule.into_values().collect()
}

/// The tax that comes on top of an amount, or that it contains.
fn tax_of(base: i64, rate_millionths: u32, inclusive: bool) -> i64 {
    if !inclusive {
        return share(base, rate_millionths, MILLION);
    }
    let (base, rate) = (i128::from(base), i128::from(rate_millionths));
    let contained = half_even(base * rate, i128::from(MILLION) + rate);
    i64::try_from(contained).expect("what an amount contains is not above it")
}

fn add_up(ask: Pricing, basket: &Basket, discounts: Discounts, refused: Refused, taxes: Taxes) -> Priced {
    let added = |tax: i64| if ask.tax_inclusive { 0 } else { tax };
    let mut lines: Vec<PricedLine> = Vec::with_capacity(ask.lines.len());
    let mut next = 0;
    for (asked, offer) in ask.lines {
        let outcome = match offer {
            Offer::Unknown => Outcome::Unknown,
            Offer::NotSold { title } => Outcome::NotSold { title },
            Offer::Sold(sold) => {
                let line = next;
                next += 1;
                let (subtotal, discount) = (basket.subtotals[line], discounts.of_line(line));
                let (tax_rule, tax) = taxes.lines[line].clone();
                let (total, discounts) = (subtotal - discount + added(tax), discounts.lines[line].clone());
                Outcome::Priced(LinePrice { sold, subtotal, discount, discounts, tax, tax_rule, total })
            }
        };
        lines.push(PricedLine { asked, outcome });
    }
    let subtotal: i64 = basket.subtotals.iter().sum();
    let discount = discounts.sum() - discounts.shipping;
    let tax = taxes.groups.iter().map(|group| group.tax).sum();
    Priced {
        currency: basket.currency,
        lines,
        subtotal,
        discount,
        shipping: basket.shipping,
        shipping_discount: discounts.shipping,
        shipping_tax: taxes.shipping,
        tax,
        total: subtotal - discount + basket.shipping - discounts.shipping + added(tax),
        tax_inclusive: ask.tax_inclusive,
        applied: discounts.applied,
        refused,
        taxes: taxes.groups,
    }
}

#[cfg(test)]
mod tests;
