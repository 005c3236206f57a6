//! Messages to commands and states to messages. Every faulty field of a request is named at once.
use crate::domain::order::{CancelRequested, Label, Order, Payment, Transition};
use crate::domain::quote::{AgreedLine, Quote};
use crate::domain::{LINES_MAX, Line};
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{CartId, Market, OrderId, Quantity, QuoteId, Sku, money_from_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Currency, Error, Invalid, Money, PageToken, Timestamp};
use souk_rpc::time;
use std::str::FromStr;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 64;
/// The longest external reference, in characters.
const EXTERNAL_REF_CHARS_MAX: usize = 128;
/// The longest token of a payment method, in characters.
const TOKEN_CHARS_MAX: usize = 255;
/// The longest reason of a cancel, in characters.
const NOTE_CHARS_MAX: usize = 200;
/// The largest page, and what 0 stands for.
const PAGE_MAX: u32 = 200;
const PAGE_USUAL: u32 = 50;
/// So many faulty fields are named; a caller who sent thousands has one mistake, not thousands.
const FAULTS_MAX: usize = 100;

/// A deal, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Deal {
    pub subject: String,
    pub lines: Vec<AgreedLine>,
    pub currency: Currency,
    pub external_ref: String,
    pub market: Market,
}

/// An acceptance, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Acceptance {
    pub quote_id: QuoteId,
    pub expected_total: Money,
    pub payment_method_token: String,
}

/// Which orders are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub size: u32,
    /// Only orders older than this one.
    pub before: Option<OrderId>,
}

/// Reads an id.
pub fn id<T: FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Invalid> {
    text.parse().map_err(|e: T::Err| Invalid::field(field, e.to_string()))
}

pub fn cart_id(request: &pb::CreateQuoteRequest) -> Result<CartId, Invalid> {
    id("cartId", &request.cart_id)
}

pub fn external_ref(request: &pb::FindByExternalRefRequest) -> Result<&str, Invalid> {
    let mut invalid = Invalid::new();
    let read = text(&mut invalid, "externalRef", &request.external_ref, 1..=EXTERNAL_REF_CHARS_MAX);
    invalid.finish(read)
}

pub fn deal(request: &pb::CreateAgreedQuoteRequest) -> Result<Deal, Invalid> {
    let mut invalid = Invalid::new();
    let subject = text(&mut invalid, "subject", &request.subject, 1..=SUBJECT_CHARS_MAX);
    let external_ref = text(&mut invalid, "externalRef", &request.external_ref, 1..=EXTERNAL_REF_CHARS_MAX);
    let market = invalid.take("market", Market::from_str(&request.market));
    let lines = deal_lines(&mut invalid, &request.lines);
    let deal = (|| {
        let (lines, currency) = lines?;
        let (subject, external_ref) = (subject?.to_owned(), external_ref?.to_owned());
        Some(Deal { subject, lines, currency, external_ref, market: market? })
    })();
    invalid.finish(deal)
}

fn deal_lines(invalid: &mut Invalid, lines: &[pb::AgreedLine]) -> Option<(Vec<AgreedLine>, Currency)> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        invalid.add("lines", format!("must have 1 to {LINES_MAX} entries"));
        return None;
    }
    let mut read = Vec::with_capacity(lines.len());
    let mut currency = None;
    for (index, line) in lines.iter().enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        let field = |name: &str| format!("lines[{index}].{name}");
        let sku = invalid.take(field("sku"), Sku::from_str(&line.sku));
        let quantity = invalid.take(field("quantity"), Quantity::try_new(line.quantity));
        let price = unit_price(invalid, &field("unitPrice"), line.unit_price.as_ref(), &mut currency);
        if let (Some(sku), Some(quantity), Some(unit_minor)) = (sku, quantity, price) {
            read.push(AgreedLine { sku, quantity, unit_minor });
        }
    }
    Some((read, currency?))
}

/// All prices of a deal are in the currency of the first.
fn unit_price(
    invalid: &mut Invalid,
    field: &str,
    price: Option<&MoneyMessage>,
    currency: &mut Option<Currency>,
) -> Option<i64> {
    let price = money(invalid, field, price)?;
    let common = *currency.get_or_insert(price.currency());
    if common != price.currency() {
        invalid.add(field, format!("must be in {common} like the first line"));
        return None;
    }
    if price.minor_units() < 0 {
        invalid.add(field, "must not be negative");
        return None;
    }
    Some(price.minor_units())
}

pub fn acceptance(request: &pb::PlaceOrderRequest) -> Result<Acceptance, Invalid> {
    let mut invalid = Invalid::new();
    let quote_id = invalid.take("quoteId", request.quote_id.parse::<QuoteId>());
    let expected_total = money(&mut invalid, "expectedTotal", request.expected_total.as_ref());
    let token = text(&mut invalid, "paymentMethodToken", &request.payment_method_token, 1..=TOKEN_CHARS_MAX);
    let acceptance = (|| {
        Some(Acceptance {
            quote_id: quote_id?,
            expected_total: expected_total?,
            payment_method_token: token?.to_owned(),
        })
    })();
    invalid.finish(acceptance)
}

pub fn cancel(request: &pb::CancelOrderRequest) -> Result<(OrderId, CancelRequested), Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let note = text(&mut invalid, "reason", &request.reason, 0..=NOTE_CHARS_MAX);
    let cancel = order_id.zip(note.map(|note| CancelRequested { by: "".into(), note: note.to_owned() }));
    invalid.finish(cancel)
}

/// Reads which of `owner`'s orders are asked for. A page token that is damaged or somebody else's is refused.
pub fn page(request: &pb::ListOrdersRequest, owner: &str) -> Result<Page, Error> {
    if request.page_size > PAGE_MAX {
        return Err(Invalid::field("pageSize", format!("must be 0 to {PAGE_MAX}")).into());
    }
    let size = if request.page_size == 0 { PAGE_USUAL } else { request.page_size };
    let before = PageToken::resume(&request.page_token, &list_of(owner), |place| place.parse().ok())?;
    Ok(Page { size, before })
}

/// The token of the page after `last` of `owner`'s orders.
pub fn page_token(last: &OrderId, owner: &str) -> String {
    PageToken::seal(&last.to_string(), &list_of(owner))
}

/// What a page token is bound to.
fn list_of(owner: &str) -> [&str; 2] {
    ["ListOrders", owner]
}

fn money(invalid: &mut Invalid, field: &str, money: Option<&MoneyMessage>) -> Option<Money> {
    match money {
        Some(money) => invalid.take(field, money_from_proto(money)),
        None => {
            invalid.add(field, "must be set");
            None
        }
    }
}

fn text<'a>(
    invalid: &mut Invalid,
    field: &str,
    text: &'a str,
    chars: std::ops::RangeInclusive<usize>,
) -> Option<&'a str> {
    if !chars.contains(&text.chars().count()) {
        invalid.add(field, format!("must have {} to {} characters", chars.start(), chars.end()));
        return None;
    }
    if text.chars().any(char::is_control) {
        invalid.add(field, "must not contain control characters");
        return None;
    }
    Some(text)
}

/// A quote's message; `None` when there is no such quote.
pub fn quote(quote: &Quote) -> Option<pb::Quote> {
    let offer = quote.offer()?;
    Some(pb::Quote {
        quote_id: offer.quote_id.to_string(),
        lines: lines(&offer.lines, offer.total.currency()),
        total: Some(offer.total.into()),
        market: offer.market.to_string(),
        expires_at: quote.expires_at().map(time::to_proto),
        hash: offer.hash.to_string(),
        external_ref: offer.external_ref().to_owned(),
        subject: offer.subject.to_string(),
        order_id: quote.order_id().map(|order_id| order_id.to_string()).unwrap_or_default(),
    })
}

/// An order's message; `None` when there is no such order.
pub fn order(order: &Order) -> Option<pb::Order> {
    let placed = order.placed()?;
    let (reason, detail) = order.reason();
    Some(pb::Order {
        order_id: placed.order_id.to_string(),
        quote_id: placed.quote_id.to_string(),
        status: status(order.label()).into(),
        payment: payment(order.payment()).into(),
        lines: lines(&placed.lines, placed.total.currency()),
        total: Some(placed.total.into()),
        market: placed.market.to_string(),
        reason: reason.to_owned(),
        sequence: order.sequence(),
        placed_at: Some(time::to_proto(placed.placed_at)),
        external_ref: placed.external_ref.to_string(),
        subject: placed.subject.to_string(),
        needs_attention: order.needs_attention(),
        detail: detail.to_owned(),
    })
}

fn lines(lines: &[Line], currency: Currency) -> Vec<pb::QuoteLine> {
    let message = |line: &Line| pb::QuoteLine {
        line: line.line,
        sku: line.sku.to_string(),
        title: line.title.to_string(),
        quantity: line.quantity.get(),
        unit_price: Some(Money::new(line.unit_minor, currency).into()),
        total: line.total(currency).ok().map(Into::into),
        price_version: line.price_version,
    };
    lines.iter().map(message).collect()
}

/// One transition for a watcher; `after` is the state after it.
pub fn transition(what: Transition, after: &Order, time: Timestamp) -> pb::WatchOrderResponse {
    pb::WatchOrderResponse {
        sequence: after.sequence(),
        status: status(after.label()).into(),
        payment: payment(after.payment()).into(),
        what: format!("{what:?}"),
        reason: after.reason().0.to_owned(),
        time: Some(time::to_proto(time)),
    }
}

pub fn status(label: Label) -> pb::OrderStatus {
    match label {
        Label::Pending => pb::OrderStatus::Pending,
        Label::Confirmed => pb::OrderStatus::Confirmed,
        Label::Rejected => pb::OrderStatus::Rejected,
        Label::Cancelling => pb::OrderStatus::Cancelling,
        Label::Cancelled => pb::OrderStatus::Cancelled,
    }
}

pub fn payment(payment: Payment) -> pb::OrderPayment {
    match payment {
        Payment::None => pb::OrderPayment::None,
        Payment::Authorized => pb::OrderPayment::Authorized,
        Payment::Captured => pb::OrderPayment::Captured,
        Payment::Voided => pb::OrderPayment::Voided,
        Payment::Refunded => pb::OrderPayment::Refunded,
    }
}
