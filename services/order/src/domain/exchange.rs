//! An exchange: an order that replaces pieces which came back, paid for by what they are worth. It is an order like
//! every other, with a quote of its own, whose terms say what stands in for the money; nothing is left to pay, so
//! nothing is promised or taken for it. Its ids are made of the return's: there is one per return, whoever asks.
//!
//! Deliberately absent: an exchange for more than the pieces are worth. Nobody pays the difference.
use super::quote::{self, Accept, QuoteCreated, QuoteEvent, Source};
use super::returns::Whose;
use super::{Caller, Line, Order, OrderEvent, Terms, order, sum};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Market, OrderId, QuoteId, ReturnId};
use souk_kernel::{Money, MoneyError, Rejection, Timestamp, TypeId};
use std::sync::Arc;
use std::time::Duration;

/// Who places an exchange.
const PLACED_BY: &str = "svc:order";
/// The quote of an exchange is accepted in the commit that makes it.
const QUOTE_TTL: Duration = Duration::from_secs(60);

/// What stands in for the money of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub return_id: ReturnId,
    /// The order whose pieces came back.
    pub order_id: OrderId,
    /// The order whose payment paid for them: the same, or the one that this was exchanged for in its turn.
    pub paid_by: OrderId,
    /// What the order would cost.
    pub value_minor: i64,
}

/// What a customer wants instead, at the prices of the day it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replacement {
    pub lines: Arc<[Line]>,
    pub terms: Terms,
    /// What all of it costs.
    pub value: Money,
}

impl Replacement {
    /// Lines as the catalog priced them, shipped as the order was, at no charge.
    pub fn new(order: &Order, lines: Arc<[Line]>, priced: Option<Terms>) -> Result<Self, Rejection> {
        let paid = order.agreed_total().map(|total| total.currency());
        let terms = Terms {
            shipping_minor: 0,
            shipping_discount_minor: 0,
            shipping_tax_minor: 0,
            delivery: order.delivery().cloned(),
            coupons: Vec::new(),
            exchange: None,
            ..priced.unwrap_or_default()
        };
        let currency = paid.ok_or_else(|| super::not_found("the order"))?;
        let value = sum(&lines, Some(&terms), currency).map_err(|_| super::total_overflow())?;
        Ok(Self { lines, terms, value })
    }
}

/// The order that replaces what came back with this return.
pub fn order_of(return_id: ReturnId) -> OrderId {
    OrderId::from_uuid(return_id.uuid())
}

/// The quote that it accepts.
pub fn quote_of(return_id: ReturnId) -> QuoteId {
    QuoteId::from_uuid(return_id.uuid())
}

/// The return that an order would replace, if it replaces one.
pub fn return_of(order_id: OrderId) -> ReturnId {
    ReturnId::from_uuid(order_id.uuid())
}

/// The quote and the order of an exchange, each to begin a stream of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    pub quote: Vec<QuoteEvent>,
    pub order: Vec<OrderEvent>,
}

/// Begins the order that replaces what came back of `old`. `hash` is the quote's.
pub fn begin(
    old: &Order,
    whose: &Whose,
    wanted: &Replacement,
    hash: &str,
    now: Timestamp,
) -> Result<Begun, Rejection> {
    let placed = old.placed().ok_or_else(|| super::not_found("the order"))?;
    let offer = offer(old, whose, wanted, &placed.market, hash, now).map_err(|_| super::total_overflow())?;
    let order_id = order_of(whose.return_id);
    let caller = Caller { subject: whose.subject.to_string(), sells: false, looks_after: false };
    let offer = Arc::new(offer);
    let mut made = quote::create(&quote::Quote::default(), &offer);
    let accept = Accept { caller, expected_total: offer.total, order_id };
    made.extend(quote::accept(&souk_decider::fold::<quote::Quote>(&made), &accept, now)?);
    let place = order::Place {
        order_id,
        placed_by: PLACED_BY.into(),
        payment_method_token: "".into(),
        partial_policy: order::PartialPolicy::AllOrNothing,
    };
    Ok(Begun { quote: made, order: order::place(&Order::default(), &offer, &place, now) })
}

fn offer(
    old: &Order,
    whose: &Whose,
    wanted: &Replacement,
    market: &Market,
    hash: &str,
    now: Timestamp,
) -> Result<QuoteCreated, MoneyError> {
    let exchange = Exchange {
        return_id: whose.return_id,
        order_id: whose.order_id,
        paid_by: old.paid_by(whose.order_id),
        value_minor: wanted.value.minor_units(),
    };
    let terms = Terms { exchange: Some(exchange), ..wanted.terms.clone() };
    Ok(QuoteCreated {
        quote_id: quote_of(whose.return_id),
        subject: whose.subject.clone(),
        source: Source::Exchange { return_id: whose.return_id },
        market: market.clone(),
        lines: wanted.lines.clone(),
        total: sum(&wanted.lines, Some(&terms), wanted.value.currency())?,
        terms: Some(Arc::new(terms)),
        hash: hash.into(),
        expires_at: now.plus(QUOTE_TTL),
    })
}

impl Order {
    /// What stands in for its money; `None` for an order that is paid for.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.terms().and_then(|terms| terms.exchange.as_ref())
    }

    /// The order whose payment paid for this one.
    pub fn paid_by(&self, own: OrderId) -> OrderId {
        self.exchange().map_or(own, |exchange| exchange.paid_by)
    }

    /// What its pieces cost, with what stands in for money.
    pub fn value_minor(&self) -> i64 {
        let total = self.total().map_or(0, |total| total.minor_units());
        self.exchange().map_or(total, |exchange| total.saturating_add(exchange.value_minor))
    }

    /// An exchange is not called off: what came back for it would be paid for by nothing. It can come back in turn.
    pub(super) fn refuse_to_call_off_an_exchange(&self) -> Result<(), Rejection> {
        let Some(exchange) = self.exchange() else { return Ok(()) };
        let sentence = "the order was exchanged for what came back; return it once it is there";
        let refusal = Rejection::new("EXCHANGE_STANDS", sentence);
        Err(refusal.with("instead", "returns").with("return_id", exchange.return_id))
    }
}
