//! What the tests of the rules are made of.
use super::quote::{QuoteCreated, Source};
use super::{Caller, Line, sum};
use souk_contracts::terms::{CartId, Market, OrderId, Quantity, QuoteId, Sku};
use souk_kernel::{Currency, Money, Timestamp, TypeId, Uuid};
use std::sync::Arc;

pub fn gbp() -> Currency {
    Currency::parse("GBP").expect("known")
}

pub fn quote_id() -> QuoteId {
    QuoteId::from_uuid(Uuid::v7(1, [1; 10]))
}

pub fn order_id() -> OrderId {
    OrderId::from_uuid(Uuid::v7(2, [2; 10]))
}

pub fn cart_id() -> CartId {
    CartId::from_uuid(Uuid::v7(3, [3; 10]))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_s(second)
}

pub fn line(number: u32, sku: &str, quantity: u32, unit_minor: i64) -> Line {
    Line {
        line: number,
        sku: Sku::try_new(sku).expect("valid"),
        title: format!("The {sku}").into(),
        quantity: Quantity::try_new(quantity).expect("valid"),
        unit_minor,
        price_version: 1,
        cart_line: number,
        discount_minor: 0,
        tax_minor: 0,
    }
}

/// Two lines of the same SKU and one of another, until second 900.
pub fn offer(source: Source) -> Arc<QuoteCreated> {
    let lines: Arc<[Line]> = vec![line(1, "A", 2, 250), line(2, "B", 1, 99), line(3, "A", 1, 250)].into();
    let total = sum(&lines, None, gbp()).expect("small");
    Arc::new(QuoteCreated {
        quote_id: quote_id(),
        subject: "gst_1".into(),
        source,
        market: Market::try_new("GB").expect("valid"),
        lines,
        total,
        terms: None,
        hash: "abc".into(),
        expires_at: at(900),
    })
}

pub fn of_cart() -> Source {
    Source::Cart { cart_id: cart_id(), version: 4 }
}

pub fn agreed() -> Source {
    Source::Agreed { external_ref: "DEAL-1".into(), by: "stf_1".into() }
}

pub fn customer(subject: &str) -> Caller {
    Caller { subject: subject.into(), sells: false, looks_after: false }
}

pub fn seller() -> Caller {
    Caller { subject: "stf_1".into(), sells: true, looks_after: false }
}

pub fn support() -> Caller {
    Caller { subject: "stf_2".into(), sells: false, looks_after: true }
}

pub fn total() -> Money {
    Money::new(849, gbp())
}
