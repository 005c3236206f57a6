//! What must always hold, as predicates over the log and over what is calculated. Used by tests and by the audit of
//! live stores.
use crate::domain::pricing::{LinePrice, Outcome, Priced};
use crate::domain::promotion::{Limits, PromotionEvent};
use crate::domain::redemption::{CouponsRedeemed, RedemptionEvent};
use crate::domain::{PriceEvent, PriceSet, Product};
use souk_contracts::terms::OrderId;
use souk_decider::RecordEvent;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// I-CA-1: one price per SKU, market and instant; versions without gaps. Takes the prices of one SKU in the
/// order of its stream.
pub fn one_price_at_a_time(events: &[PriceEvent]) -> Result<(), String> {
    let mut last: BTreeMap<&str, &PriceSet> = BTreeMap::new();
    for PriceEvent::PriceSet(set) in events {
        let (version, after) =
            last.get(set.market.as_str()).map_or((0, None), |l| (l.price_version, Some(l.valid_from)));
        if set.price_version != version + 1 {
            return Err(format!(
                "{} in {}: version {} follows {version}",
                set.sku, set.market, set.price_version
            ));
        }
        if after.is_some_and(|after| set.valid_from <= after) {
            return Err(format!("{} in {}: two prices at {}", set.sku, set.market, set.valid_from));
        }
        last.insert(set.market.as_str(), set);
    }
    Ok(())
}

/// I-CA-2: no price is negative.
pub fn no_negative_price(events: &[PriceEvent]) -> Result<(), String> {
    let negative = events.iter().find(|PriceEvent::PriceSet(set)| set.amount.minor_units() < 0);
    negative.map_or(Ok(()), |PriceEvent::PriceSet(set)| Err(format!("{} costs {}", set.sku, set.amount)))
}

/// I-CA-7: a SKU belongs to one product for ever. Takes every product event of the log, in order.
pub fn skus_are_never_reused<'a>(
    events: impl IntoIterator<Item = &'a RecordEvent<Product>>,
) -> Result<(), String> {
    let mut owners = BTreeMap::new();
    for event in events {
        let product = match event {
            RecordEvent::Created(product) | RecordEvent::Replaced(product) => product,
            RecordEvent::Retired => continue,
        };
        for variant in &product.content.variants {
            let owner = *owners.entry(variant.sku.as_str()).or_insert(product.id);
            if owner != product.id {
                return Err(format!("{} belongs to {owner} and to {}", variant.sku, product.id));
            }
        }
    }
    Ok(())
}

/// The lines of a calculation that have a price.
fn lines_of(priced: &Priced) -> impl Iterator<Item = &LinePrice> {
    priced.lines.iter().filter_map(|line| match &line.outcome {
        Outcome::Priced(price) => Some(price),
        Outcome::Unknown | Outcome::NotSold { .. } => None,
    })
}

/// I-CA-3: a calculation adds up exactly, in its lines, its promotions, its taxes and in all.
pub fn adds_up(priced: &Priced) -> Result<(), String> {
    let sum = |of: fn(&LinePrice) -> i64| lines_of(priced).map(of).sum::<i64>();
    let added = |tax: i64| if priced.tax_inclusive { 0 } else { tax };
    let shipped = priced.shipping - priced.shipping_discount;
    let promotions: i64 = priced.applied.iter().map(|applied| applied.amount).sum();
    let taxes: i64 = priced.taxes.iter().map(|group| group.tax).sum();
    let bases: i64 = priced.taxes.iter().map(|group| group.base).sum();
    let lines_total = sum(|line| line.total);
    let equal = [
        ("subtotals", sum(|line| line.subtotal), priced.subtotal),
        ("discounts", sum(|line| line.discount), priced.discount),
        ("taxes", sum(|line| line.tax) + priced.shipping_tax, priced.tax),
        ("tax groups", taxes, priced.tax),
        ("tax bases", bases, priced.subtotal - priced.discount + shipped),
        ("promotions", promotions, priced.discount + priced.shipping_discount),
        ("the total", priced.subtotal - priced.discount + shipped + added(priced.tax), priced.total),
        ("the lines' totals", lines_total + shipped + added(priced.shipping_tax), priced.total),
    ];
    for (what, parts, whole) in equal {
        if parts != whole {
            return Err(format!("{what}: {parts} instead of {whole}"));
        }
    }
    for line in lines_of(priced) {
        let parts: i64 = line.discounts.iter().map(|(_, amount)| amount).sum();
        let total = line.subtotal - line.discount + added(line.tax);
        if parts != line.discount || total != line.total {
            return Err(format!("a line of {}: {line:?}", line.sold.title));
        }
    }
    Ok(())
}

/// I-CA-4: no discount makes a line, or the shipping, negative; and nothing else is.
pub fn nothing_is_negative(priced: &Priced) -> Result<(), String> {
    let within = |part: i64, whole: i64| (0..=whole).contains(&part);
    for line in lines_of(priced) {
        let after = line.subtotal - line.discount;
        if !within(line.discount, line.subtotal) || !within(line.tax, after) || line.total < 0 {
            return Err(format!("a line of {}: {line:?}", line.sold.title));
        }
    }
    let shipped = priced.shipping - priced.shipping_discount;
    if !within(priced.shipping_discount, priced.shipping) || !within(priced.shipping_tax, shipped) {
        return Err(format!("shipping of {} with {} off", priced.shipping, priced.shipping_discount));
    }
    if priced.total < 0 { Err(format!("a total of {}", priced.total)) } else { Ok(()) }
}

/// How often coupons are used, by promotion and customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    by_promotion: BTreeMap<String, u64>,
    by_customer: BTreeMap<(String, String), u64>,
}

impl Uses {
    /// Notes how often a promotion is used, as the view has it.
    pub fn note(&mut self, promotion: &str, used: u64) {
        if used > 0 {
            self.by_promotion.insert(promotion.to_owned(), used);
        }
    }

    /// Notes how often a customer uses a promotion, as the view has it.
    pub fn note_customer(&mut self, promotion: &str, subject: &str, used: u64) {
        if used > 0 {
            self.by_customer.insert((promotion.to_owned(), subject.to_owned()), used);
        }
    }

    fn count(&mut self, redeemed: &CouponsRedeemed) {
        for coupon in redeemed.coupons.iter() {
            let (promotion, subject) = (coupon.promotion.to_string(), redeemed.subject.to_string());
            *self.by_promotion.entry(promotion.clone()).or_default() += 1;
            *self.by_customer.entry((promotion, subject)).or_default() += 1;
        }
    }
}

/// The orders that use coupons now, with what they use. Takes every redemption's events, in the order of its
/// stream.
pub fn live_redemptions<'a>(
    events: impl IntoIterator<Item = (OrderId, &'a RedemptionEvent)>,
) -> BTreeMap<OrderId, CouponsRedeemed> {
    let mut live = BTreeMap::new();
    for (order, event) in events {
        match event {
            RedemptionEvent::CouponsRedeemed(redeemed) => {
                live.insert(order, redeemed.clone());
            }
            RedemptionEvent::CouponsReleased(_) => {
                live.remove(&order);
            }
            RedemptionEvent::RedemptionRefused(_) => {}
        }
    }
    live
}

/// How often coupons are used by these orders.
pub fn uses<'a>(live: impl IntoIterator<Item = &'a CouponsRedeemed>) -> Uses {
    let mut uses = Uses::default();
    live.into_iter().for_each(|redeemed| uses.count(redeemed));
    uses
}

/// The limits of every promotion.
pub fn limits<'a>(events: impl IntoIterator<Item = &'a PromotionEvent>) -> BTreeMap<String, Limits> {
    let limits = |event: &PromotionEvent| match event {
        PromotionEvent::PromotionCreated(e) => Some((e.terms.id.to_string(), e.terms.limits)),
        PromotionEvent::PromotionDisabled(_) => None,
    };
    events.into_iter().filter_map(limits).collect()
}

/// I-CA-5: no promotion is used more often than it may be, by all or by one customer.
pub fn uses_are_within_limits(uses: &Uses, limits: &BTreeMap<String, Limits>) -> Result<(), String> {
    for (promotion, used) in &uses.by_promotion {
        let limits =
            limits.get(promotion).ok_or_else(|| format!("nobody created the promotion {promotion}"))?;
        if limits.total.is_some_and(|limit| *used > u64::from(limit.get())) {
            return Err(format!("{promotion} is used {used} times, over its limit"));
        }
    }
    for ((promotion, subject), used) in &uses.by_customer {
        let limit = limits.get(promotion).and_then(|limits| limits.per_customer);
        if limit.is_some_and(|limit| *used > u64::from(limit.get())) {
            return Err(format!("{promotion} is used {used} times by {subject}, over the customer's limit"));
        }
    }
    Ok(())
}

/// An order answers for its coupons once: no redemption follows another answer, and only what counted is released.
/// Takes the events of one redemption, in the order of its stream.
pub fn one_answer_per_order(events: &[Arc<RedemptionEvent>]) -> Result<(), String> {
    let mut before: Option<&RedemptionEvent> = None;
    for event in events {
        let fits = match (event.as_ref(), before) {
            (RedemptionEvent::CouponsRedeemed(e), None) => {
                let promotions: BTreeSet<_> = e.coupons.iter().map(|coupon| &coupon.promotion).collect();
                !e.coupons.is_empty() && promotions.len() == e.coupons.len()
            }
            (RedemptionEvent::RedemptionRefused(_), None) => true,
            (RedemptionEvent::CouponsReleased(e), None) => e.coupons.is_empty(),
            (RedemptionEvent::CouponsReleased(e), Some(RedemptionEvent::CouponsRedeemed(redeemed))) => {
                e.coupons == redeemed.coupons && e.subject == redeemed.subject
            }
            (RedemptionEvent::CouponsRedeemed(_) | RedemptionEvent::RedemptionRefused(_), Some(_)) => false,
            (
                RedemptionEvent::CouponsReleased(_),
                Some(RedemptionEvent::RedemptionRefused(_) | RedemptionEvent::CouponsReleased(_)),
            ) => false,
        };
        if !fits {
            return Err(format!("{event:?} after {before:?}"));
        }
        before = Some(event);
    }
    Ok(())
}
