//! A quote: the shop's promise of a total, with an end. Accepted once, by one order.
use super::{Caller, Line, Terms, naming, not_found, sum, total_overflow};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{CartId, Market, OrderId, Quantity, QuoteId, ReturnId, Sku};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Currency, Money, Rejection, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The scope of the claim that makes an external reference belong to one quote for ever.
pub const EXTERNAL_REF_SCOPE: &str = "external_ref";

/// What happens to a quote.
#[derive(Debug, Clone, PartialEq)]
pub enum QuoteEvent {
    /// The promise was made.
    QuoteCreated(Arc<QuoteCreated>),
    /// The promise, which had expired unused, was made again with a new end.
    QuoteRenewed(QuoteRenewed),
    /// An order accepted it.
    QuoteAccepted(QuoteAccepted),
}
stored_events!(QuoteEvent { QuoteCreated: 1, QuoteRenewed: 1, QuoteAccepted: 1 });

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuoteCreated {
    pub quote_id: QuoteId,
    /// Who may accept it.
    pub subject: Arc<str>,
    pub source: Source,
    pub market: Market,
    pub lines: Arc<[Line]>,
    pub total: Money,
    /// Tax, discounts and shipping; `None` when there are none, as for a deal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Arc<Terms>>,
    /// Hex SHA-256 of [`canonical`].
    pub hash: Arc<str>,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuoteRenewed {
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuoteAccepted {
    pub order_id: OrderId,
}

/// What a quote was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Source {
    /// A cart at the version that was read, priced by the catalog.
    Cart { cart_id: CartId, version: u64 },
    /// A deal at agreed prices, by a member of staff.
    Agreed { external_ref: Arc<str>, by: Arc<str> },
    /// What replaces pieces that came back.
    Exchange { return_id: ReturnId },
}

/// The state of a quote.
#[derive(Debug, Clone, Default)]
pub enum Quote {
    /// There is no such quote.
    #[default]
    Absent,
    /// It can be accepted until it expires.
    Open { offer: Arc<QuoteCreated>, expires_at: Timestamp },
    /// An order has it.
    Accepted { offer: Arc<QuoteCreated>, expires_at: Timestamp, order_id: OrderId },
}

impl Aggregate for Quote {
    type Event = QuoteEvent;
    const CATEGORY: &'static str = "quote";

    fn evolve(&mut self, event: &QuoteEvent) {
        match event {
            QuoteEvent::QuoteCreated(offer) => {
                *self = Quote::Open { offer: offer.clone(), expires_at: offer.expires_at };
            }
            QuoteEvent::QuoteRenewed(renewed) => match self {
                Quote::Open { expires_at, .. } => *expires_at = renewed.expires_at,
                Quote::Absent | Quote::Accepted { .. } => {}
            },
            QuoteEvent::QuoteAccepted(accepted) => match self {
                Quote::Open { offer, expires_at } => {
                    *self = Quote::Accepted {
                        offer: offer.clone(),
                        expires_at: *expires_at,
                        order_id: accepted.order_id,
                    };
                }
                Quote::Absent | Quote::Accepted { .. } => {}
            },
        }
    }
}

impl Quote {
    /// What was promised.
    pub fn offer(&self) -> Option<&Arc<QuoteCreated>> {
        match self {
            Quote::Absent => None,
            Quote::Open { offer, .. } | Quote::Accepted { offer, .. } => Some(offer),
        }
    }

    /// When the promise ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Quote::Absent => None,
            Quote::Open { expires_at, .. } | Quote::Accepted { expires_at, .. } => Some(*expires_at),
        }
    }

    /// The order that accepted it.
    pub fn order_id(&self) -> Option<OrderId> {
        match self {
            Quote::Absent | Quote::Open { .. } => None,
            Quote::Accepted { order_id, .. } => Some(*order_id),
        }
    }
}

impl QuoteCreated {
    /// The deal's number in the seller's books; empty for a cart's quote.
    pub fn external_ref(&self) -> &str {
        match &self.source {
            Source::Cart { .. } | Source::Exchange { .. } => "",
            Source::Agreed { external_ref, .. } => external_ref,
        }
    }

    /// The cart it was made of.
    pub fn cart_id(&self) -> Option<CartId> {
        match &self.source {
            Source::Cart { cart_id, .. } => Some(*cart_id),
            Source::Agreed { .. } | Source::Exchange { .. } => None,
        }
    }

    pub fn is_agreed(&self) -> bool {
        match self.source {
            Source::Cart { .. } | Source::Exchange { .. } => false,
            Source::Agreed { .. } => true,
        }
    }
}

/// Makes the promise. The id is new, so there is nothing to refuse; a repeat changes nothing.
pub fn create(quote: &Quote, offer: &Arc<QuoteCreated>) -> Vec<QuoteEvent> {
    match quote {
        Quote::Absent => vec![QuoteEvent::QuoteCreated(offer.clone())],
        Quote::Open { .. } | Quote::Accepted { .. } => Vec::new(),
    }
}

/// An agreed quote is asked for again under its external reference.
#[derive(Debug, Clone)]
pub struct AskAgain {
    /// The hash of what is asked for now.
    pub hash: String,
    pub market: Market,
    /// How long a renewed promise holds.
    pub ttl: Duration,
}

/// The same content is the same quote, renewed if it expired unused; other content is refused.
pub fn ask_again(quote: &Quote, ask: &AskAgain, now: Timestamp) -> Result<Vec<QuoteEvent>, Rejection> {
    let offer = quote.offer().ok_or_else(|| not_found("the quote"))?;
    if *offer.hash != *ask.hash || offer.market != ask.market {
        let taken = Rejection::new("EXTERNAL_REF_TAKEN", "this external reference belongs to another quote");
        return Err(taken.with("quote_id", offer.quote_id));
    }
    match quote {
        Quote::Open { expires_at, .. } if *expires_at <= now => {
            Ok(vec![QuoteEvent::QuoteRenewed(QuoteRenewed { expires_at: now.plus(ask.ttl) })])
        }
        Quote::Absent | Quote::Open { .. } | Quote::Accepted { .. } => Ok(Vec::new()),
    }
}

/// An order wants the quote.
#[derive(Debug, Clone)]
pub struct Accept {
    pub caller: Caller,
    /// What the caller believes to pay.
    pub expected_total: Money,
    pub order_id: OrderId,
}

/// Gives the quote to the order, once.
pub fn accept(quote: &Quote, accept: &Accept, now: Timestamp) -> Result<Vec<QuoteEvent>, Rejection> {
    let offer = quote.offer().filter(|offer| may_accept(offer, &accept.caller));
    let offer = offer.ok_or_else(|| not_found("the quote"))?;
    if let Some(order_id) = quote.order_id() {
        let used = Rejection::new("QUOTE_USED", "an order has already accepted this quote");
        return Err(used.with("order_id", order_id));
    }
    if quote.expires_at().is_none_or(|expires_at| expires_at <= now) {
        return Err(Rejection::new("QUOTE_EXPIRED", "the quote has expired; make a new one"));
    }
    if offer.total != accept.expected_total {
        let changed = Rejection::new("TOTAL_CHANGED", "the quote's total is not the expected one");
        return Err(changed.with("total", offer.total).with("expected_total", accept.expected_total));
    }
    Ok(vec![QuoteEvent::QuoteAccepted(QuoteAccepted { order_id: accept.order_id })])
}

fn may_accept(offer: &QuoteCreated, caller: &Caller) -> bool {
    *offer.subject == *caller.subject || (offer.is_agreed() && caller.sells)
}

/// A line of a cart, before it has a price.
#[derive(Debug, Clone, PartialEq)]
pub struct CartLine {
    pub line: u32,
    pub sku: Sku,
    pub quantity: Quantity,
}

/// A line of a deal: the price is agreed, the title is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct AgreedLine {
    pub sku: Sku,
    pub quantity: Quantity,
    pub unit_minor: i64,
}

/// What the catalog says of a SKU.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing {
    /// There is no such SKU, or customers cannot see it.
    Unknown,
    /// Not sold in the market.
    Unpriced { title: Arc<str> },
    /// Sold at this price, with this taken off the line, and this tax on it.
    Priced { title: Arc<str>, price: Money, price_version: u64, discount_minor: i64, tax_minor: i64 },
}

/// A coupon that does not count, in the catalog's own word.
#[derive(Debug, Clone, PartialEq)]
pub struct CouponRefusal {
    pub code: String,
    pub reason: String,
}

/// The catalog's words for a coupon that does not count, which are the order's too.
const COUPON_REASONS: [&str; 7] = [
    "COUPON_UNKNOWN",
    "COUPON_NOT_STARTED",
    "COUPON_EXPIRED",
    "COUPON_EXHAUSTED",
    "COUPON_USED_BEFORE",
    "COUPON_BELOW_MINIMUM",
    "COUPON_NOT_COMBINABLE",
];

/// Refuses a quote of which a coupon does not count: the customer meant to pay less.
pub fn refuse_coupons(refused: &[CouponRefusal]) -> Result<(), Rejection> {
    let Some(first) = refused.first() else { return Ok(()) };
    let reason = COUPON_REASONS.into_iter().find(|known| *known == first.reason);
    let refusal = Rejection::new(reason.unwrap_or("COUPON_NOT_APPLICABLE"), "a coupon does not count");
    Err(refusal.with("code", &first.code).with("count", refused.len()))
}

/// There is nothing to price.
pub fn refuse_empty(cart: &[CartLine]) -> Result<(), Rejection> {
    if cart.is_empty() {
        return Err(Rejection::new("CART_EMPTY", "the cart has no lines"));
    }
    Ok(())
}

/// The lines of a priced cart with their total, which shipping is a part of.
pub fn price_cart(
    cart: &[CartLine],
    listings: &[Listing],
    terms: Option<&Terms>,
) -> Result<(Arc<[Line]>, Money), Rejection> {
    refuse_empty(cart)?;
    refuse_unknown(cart.iter().map(|line| &line.sku), listings)?;
    let mut unpriced = BTreeSet::new();
    let mut lines = Vec::with_capacity(cart.len());
    let mut currencies = BTreeSet::new();
    for (number, (item, listing)) in (1..).zip(cart.iter().zip(listings)) {
        match listing {
            Listing::Unknown | Listing::Unpriced { .. } => {
                unpriced.insert(item.sku.as_str());
            }
            Listing::Priced { title, price, price_version, discount_minor, tax_minor } => {
                currencies.insert(price.currency());
                lines.push(Line {
                    line: number,
                    sku: item.sku.clone(),
                    title: title.clone(),
                    quantity: item.quantity,
                    unit_minor: price.minor_units(),
                    price_version: *price_version,
                    cart_line: item.line,
                    discount_minor: *discount_minor,
                    tax_minor: *tax_minor,
                });
            }
        }
    }
    let not_sold = || Rejection::new("NOT_SOLD_IN_MARKET", "some lines are not sold in this market");
    if !unpriced.is_empty() {
        return Err(naming(not_sold(), &unpriced.into_iter().collect::<Vec<_>>()));
    }
    // A market has one currency; a catalog that says otherwise cannot be sold from.
    let currency = currencies.pop_first().filter(|_| currencies.is_empty()).ok_or_else(not_sold)?;
    let total = sum(&lines, terms, currency).map_err(|_| total_overflow())?;
    Ok((lines.into(), total))
}

/// The lines of a deal with the catalog's titles, and their total.
pub fn title_deal(
    deal: &[AgreedLine],
    currency: Currency,
    listings: &[Listing],
) -> Result<(Arc<[Line]>, Money), Rejection> {
    refuse_unknown(deal.iter().map(|line| &line.sku), listings)?;
    let title_of = |listing: &Listing| match listing {
        Listing::Unknown => Arc::from(""),
        Listing::Unpriced { title } | Listing::Priced { title, .. } => title.clone(),
    };
    let line = |(number, (item, listing)): (u32, (&AgreedLine, &Listing))| Line {
        line: number,
        sku: item.sku.clone(),
        title: title_of(listing),
        quantity: item.quantity,
        unit_minor: item.unit_minor,
        price_version: 0,
        cart_line: 0,
        discount_minor: 0,
        tax_minor: 0,
    };
    let lines = (1..).zip(deal.iter().zip(listings)).map(line).collect();
    Ok((lines, deal_total(deal, currency)?))
}

/// The sum of a deal.
pub fn deal_total(deal: &[AgreedLine], currency: Currency) -> Result<Money, Rejection> {
    let add = |sum: Money, line: &AgreedLine| {
        sum.plus(Money::new(line.unit_minor, currency).times(i64::from(line.quantity.get()))?)
    };
    deal.iter().try_fold(Money::zero(currency), add).map_err(|_| total_overflow())
}

fn refuse_unknown<'a>(skus: impl Iterator<Item = &'a Sku>, listings: &[Listing]) -> Result<(), Rejection> {
    let unknown: BTreeSet<&str> = skus
        .zip(listings)
        .filter(|(_, listing)| **listing == Listing::Unknown)
        .map(|(sku, _)| sku.as_str())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let refusal = Rejection::new("UNKNOWN_SKU", "some lines name things that the shop does not have");
    Err(naming(refusal, &unknown.into_iter().collect::<Vec<_>>()))
}

/// The text whose SHA-256 is a quote's hash: owner, lines and total. Titles are not part of it, because a
/// product that was renamed is still the same deal.
pub fn canonical<'a>(
    subject: &str,
    lines: impl Iterator<Item = (&'a Sku, Quantity, i64)>,
    total: Money,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(64 * 32);
    let mut put = |part: &[u8]| {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    };
    put(subject.as_bytes());
    put(total.currency().code().as_bytes());
    put(&total.minor_units().to_be_bytes());
    for (sku, quantity, unit_minor) in lines {
        put(sku.as_str().as_bytes());
        put(&quantity.get().to_be_bytes());
        put(&unit_minor.to_be_bytes());
    }
    text
}

#[cfg(test)]
mod tests;
