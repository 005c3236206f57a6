//! Messages to commands and states to messages. Every faulty field of a request is named at once.
pub mod returns;

use crate::domain::order::{
    Awaits, CancelRequested, Decision, Fulfilment, Label, Order, Parcel, PartialPolicy, Payment, Transition,
    Whereabouts,
};
use crate::domain::quote::{AgreedLine, Quote};
use crate::domain::{LINES_MAX, Line, Terms};
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{CartId, Market, OrderId, Quantity, QuoteId, Sku, money_from_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Currency, Error, Invalid, Money, PageToken, Timestamp};
use souk_rpc::time;
use std::str::FromStr;
use std::sync::Arc;

/// The longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 64;
/// The longest external reference, in characters.
const EXTERNAL_REF_CHARS_MAX: usize = 128;
/// The longest token of a payment method, in characters.
const TOKEN_CHARS_MAX: usize = 255;
/// The longest reason of a cancel, in characters.
const NOTE_CHARS_MAX: usize = 200;
/// The most coupons of a quote, and the longest of them, in characters.
const COUPONS_MAX: usize = 10;
const COUPON_CHARS_MAX: usize = 64;
/// The longest id of a rate, and the longest name of a region.
const RATE_CHARS_MAX: usize = 64;
/// The longest name of a parcel.
const SHIPMENT_CHARS_MAX: usize = 64;
const REGION_CHARS_MAX: usize = 16;
/// The longest name of a cancel of lines.
const CANCEL_ID_CHARS_MAX: usize = 32;
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
    pub partial_policy: PartialPolicy,
}

/// What a quote is to be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    pub cart_id: CartId,
    pub rate_id: Option<String>,
    pub coupons: Vec<Arc<str>>,
    /// Where tax is due when nothing is shipped; empty for the market's own country.
    pub country: String,
    pub region: String,
}

/// Pieces to be called off.
#[derive(Debug, Clone, PartialEq)]
pub struct LinesCancel {
    pub order_id: OrderId,
    pub cancel_id: Arc<str>,
    pub pieces: Vec<(u32, Quantity)>,
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

pub fn wish(request: &pb::CreateQuoteRequest) -> Result<Wish, Invalid> {
    let mut invalid = Invalid::new();
    let cart_id = invalid.take("cartId", request.cart_id.parse::<CartId>());
    let rate_id = text(&mut invalid, "rateId", &request.rate_id, 0..=RATE_CHARS_MAX);
    let coupons = coupons(&mut invalid, &request.coupon_codes);
    let (country, region) = (&request.country, &request.region);
    let is_country = country.is_empty()
        || (country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase()));
    if !is_country {
        invalid.add("country", "must be two upper-case letters, or empty");
    }
    let region = text(&mut invalid, "region", region, 0..=REGION_CHARS_MAX);
    let names_place = !country.is_empty() || region.is_some_and(|region| !region.is_empty());
    if names_place && !request.rate_id.is_empty() {
        invalid.add("country", "must be empty with a rate, which says where it goes");
    }
    let wish = (|| {
        Some(Wish {
            cart_id: cart_id?,
            rate_id: rate_id.filter(|rate_id| !rate_id.is_empty()).map(str::to_owned),
            coupons: coupons?,
            country: country.clone(),
            region: region?.to_owned(),
        })
    })();
    invalid.finish(wish)
}

/// Said twice, a coupon counts once; upper and lower case are the same.
fn coupons(invalid: &mut Invalid, codes: &[String]) -> Option<Vec<Arc<str>>> {
    if codes.len() > COUPONS_MAX {
        invalid.add("couponCodes", format!("must have at most {COUPONS_MAX} entries"));
        return None;
    }
    let mut read: Vec<Arc<str>> = Vec::with_capacity(codes.len());
    for (index, code) in codes.iter().enumerate() {
        let field = format!("couponCodes[{index}]");
        let code: Arc<str> = text(invalid, &field, code, 1..=COUPON_CHARS_MAX)?.to_uppercase().into();
        if !read.contains(&code) {
            read.push(code);
        }
    }
    Some(read)
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
    let partial_policy = match request.partial_policy() {
        pb::PartialPolicy::Unspecified | pb::PartialPolicy::AllOrNothing => PartialPolicy::AllOrNothing,
        pb::PartialPolicy::ShipAvailable => PartialPolicy::ShipAvailable,
        pb::PartialPolicy::Backorder => PartialPolicy::Backorder,
    };
    if pb::PartialPolicy::try_from(request.partial_policy).is_err() {
        invalid.add("partialPolicy", "must be a known policy");
    }
    let acceptance = (|| {
        Some(Acceptance {
            partial_policy,
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
    let cancel = order_id.zip(note.map(|note| CancelRequested {
        by: "".into(),
        by_staff: false,
        note: note.to_owned(),
    }));
    invalid.finish(cancel)
}

pub fn cancel_lines(request: &pb::CancelLinesRequest) -> Result<LinesCancel, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let cancel_id = text(&mut invalid, "cancelId", &request.cancel_id, 1..=CANCEL_ID_CHARS_MAX);
    let is_plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if cancel_id.is_some_and(|id| !is_plain(id)) {
        invalid.add("cancelId", "must have only letters, digits and dashes");
    }
    let mut pieces = Vec::with_capacity(request.lines.len().min(LINES_MAX));
    if !(1..=LINES_MAX).contains(&request.lines.len()) {
        invalid.add("lines", format!("must have 1 to {LINES_MAX} entries"));
    }
    for (index, line) in request.lines.iter().take(LINES_MAX).enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        let quantity = invalid.take(format!("lines[{index}].quantity"), Quantity::try_new(line.quantity));
        pieces.extend(quantity.map(|quantity| (line.line, quantity)));
    }
    let cancel = (|| Some(LinesCancel { order_id: order_id?, cancel_id: cancel_id?.into(), pieces }))();
    invalid.finish(cancel)
}

/// An order's id, and why something is done to it.
pub fn noted(order_id: &str, note: &str) -> Result<(OrderId, String), Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", order_id.parse::<OrderId>());
    let note = text(&mut invalid, "reason", note, 1..=NOTE_CHARS_MAX);
    invalid.finish(order_id.zip(note.map(str::to_owned)))
}

/// What staff decides about a parcel, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ParcelDecision {
    pub order_id: OrderId,
    pub shipment_id: Arc<str>,
    pub decision: Decision,
    pub note: String,
}

pub fn resolve_parcel(request: &pb::ResolveParcelRequest) -> Result<ParcelDecision, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let shipment_id = text(&mut invalid, "shipmentId", &request.shipment_id, 1..=SHIPMENT_CHARS_MAX);
    let decision = match pb::ParcelDecision::try_from(request.decision) {
        Ok(pb::ParcelDecision::Refund) => Some(Decision::Refund),
        Ok(pb::ParcelDecision::Resend) => Some(Decision::Resend),
        Ok(pb::ParcelDecision::Unspecified) | Err(_) => {
            invalid.add("decision", "must be PARCEL_DECISION_REFUND or PARCEL_DECISION_RESEND");
            None
        }
    };
    let note = text(&mut invalid, "reason", &request.reason, 1..=NOTE_CHARS_MAX);
    let read = order_id.zip(shipment_id).zip(decision).zip(note);
    let read = read.map(|(((order_id, shipment_id), decision), note)| ParcelDecision {
        order_id,
        shipment_id: shipment_id.into(),
        decision,
        note: note.to_owned(),
    });
    invalid.finish(read)
}

pub fn as_of(request: &pb::GetOrderAsOfRequest) -> Result<(OrderId, Timestamp), Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let until = request.time.as_ref().and_then(time::from_proto);
    if until.is_none() {
        invalid.add("time", "must be set, and a time");
    }
    invalid.finish(order_id.zip(until))
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
    let (terms, currency) = (offer.terms.as_deref(), offer.total.currency());
    let sums = Sums::of(&offer.lines, terms, currency);
    Some(pb::Quote {
        quote_id: offer.quote_id.to_string(),
        lines: lines(&offer.lines, terms, currency),
        total: Some(offer.total.into()),
        market: offer.market.to_string(),
        expires_at: quote.expires_at().map(time::to_proto),
        hash: offer.hash.to_string(),
        external_ref: offer.external_ref().to_owned(),
        subject: offer.subject.to_string(),
        order_id: quote.order_id().map(|order_id| order_id.to_string()).unwrap_or_default(),
        subtotal: sums.money(sums.subtotal),
        discount: sums.money(sums.discount),
        shipping: sums.money(sums.shipping),
        shipping_discount: sums.money(sums.shipping_discount),
        tax: sums.money(sums.tax),
        tax_inclusive: sums.tax_inclusive,
        promotions: promotions(terms, currency),
        coupon_codes: coupon_codes(terms),
        rate_id: rate_id(terms),
    })
}

/// An order's message; `None` when there is no such order.
pub fn order(order: &Order) -> Option<pb::Order> {
    let placed = order.placed()?;
    let (reason, detail) = order.reason();
    let (terms, currency) = (order.terms().map(AsRef::as_ref), placed.total.currency());
    let sums = Sums::of(order.lines(), terms, currency);
    let asks = order.awaits().map(AsRef::as_ref);
    let asks_payment = asks.and_then(|asked| match &asked.awaits {
        Awaits::Payment { action_url, .. } => Some(action_url.to_string()),
        Awaits::Consent { .. } => None,
    });
    Some(pb::Order {
        order_id: placed.order_id.to_string(),
        quote_id: placed.quote_id.to_string(),
        status: status(order.label()).into(),
        payment: payment(order.payment()).into(),
        lines: lines(order.lines(), terms, currency),
        total: order.total().map(Into::into),
        market: placed.market.to_string(),
        reason: reason.to_owned(),
        sequence: order.sequence(),
        placed_at: Some(time::to_proto(placed.placed_at)),
        external_ref: placed.external_ref.to_string(),
        subject: placed.subject.to_string(),
        needs_attention: order.needs_attention(),
        detail: detail.to_owned(),
        fulfilment: fulfilment(order.fulfilment()).into(),
        label: told(order.label(), order.fulfilment(), asks_payment.is_some()).into(),
        subtotal: sums.money(sums.subtotal),
        discount: sums.money(sums.discount),
        shipping: sums.money(sums.shipping),
        shipping_discount: sums.money(sums.shipping_discount),
        tax: sums.money(sums.tax),
        tax_inclusive: sums.tax_inclusive,
        coupon_codes: coupon_codes(terms),
        rate_id: rate_id(terms),
        action_url: asks_payment.unwrap_or_default(),
        remainder: remainder(order),
        decide_by: asks.map(|asked| time::to_proto(asked.until)),
        shipments: order.parcels().iter().map(shipment).collect(),
        captured: Some(captured(order, currency).into()),
        cancel_refused: order.cancel_refused().unwrap_or_default().to_owned(),
        attention_reasons: order.attention().iter().map(|(_, reason)| reason.clone()).collect(),
        exchange_of_return_id: order.exchange().map(|of| of.return_id.to_string()).unwrap_or_default(),
        exchange_value: order.exchange().and_then(|of| sums.money(of.value_minor)),
    })
}

/// What was taken: parcel by parcel, or all of it at once.
fn captured(order: &Order, currency: Currency) -> Money {
    match order.payment() {
        Payment::Captured | Payment::PartiallyRefunded | Payment::Refunded | Payment::Disputed => {
            let by_parcel = Some(order.captured_minor()).filter(|minor| *minor > 0);
            let total = order.total().map_or(0, |total| total.minor_units());
            Money::new(by_parcel.unwrap_or(total), currency)
        }
        Payment::None
        | Payment::Pending
        | Payment::Authorized
        | Payment::PartiallyCaptured
        | Payment::Voided
        | Payment::Failed => Money::new(order.captured_minor(), currency),
    }
}

fn remainder(order: &Order) -> Option<pb::OrderRemainder> {
    let remainder = order.awaits_consent()?;
    let currency = remainder.total.currency();
    Some(pb::OrderRemainder {
        lines: lines(&remainder.lines, remainder.terms.as_deref(), currency),
        total: Some(remainder.total.into()),
    })
}

fn shipment(parcel: &Parcel) -> pb::OrderShipment {
    let pieces = parcel.shipped.lines.iter();
    let status = match parcel.at {
        Whereabouts::HandedOver => "HANDED_OVER",
        Whereabouts::InTransit => "IN_TRANSIT",
        Whereabouts::DeliveryFailed => "DELIVERY_FAILED",
        Whereabouts::Delivered => "DELIVERED",
        Whereabouts::Lost => "LOST",
        Whereabouts::ReturnedToSender => "RETURNED_TO_SENDER",
    };
    pb::OrderShipment {
        shipment_id: parcel.shipped.shipment_id.to_string(),
        carrier: parcel.shipped.carrier.to_string(),
        tracking_code: parcel.shipped.tracking_code.to_string(),
        status: status.to_owned(),
        lines: pieces
            .map(|part| pb::OrderPieces { line: part.line, quantity: part.quantity.get() })
            .collect(),
        amount: Some(parcel.shipped.amount.into()),
        paid: parcel.is_paid,
        decision: match parcel.resolved.as_ref().map(|resolved| resolved.decision) {
            Some(Decision::Refund) => pb::ParcelDecision::Refund,
            Some(Decision::Resend) => pb::ParcelDecision::Resend,
            None => pb::ParcelDecision::Unspecified,
        }
        .into(),
        refund: parcel.resolved.as_ref().map(|resolved| resolved.refund.into()),
        settled: parcel.is_settled,
        instead_of: parcel
            .shipped
            .again
            .as_ref()
            .map(|again| again.instead_of.to_string())
            .unwrap_or_default(),
    }
}

/// What lines come to, in parts.
struct Sums {
    currency: Currency,
    subtotal: i64,
    discount: i64,
    shipping: i64,
    shipping_discount: i64,
    tax: i64,
    tax_inclusive: bool,
}

impl Sums {
    /// Every part is smaller than a total that was summed with checks before.
    fn of(lines: &[Line], terms: Option<&Terms>, currency: Currency) -> Self {
        let add = |part: fn(&Line) -> i64| lines.iter().map(part).fold(0i64, i64::saturating_add);
        let subtotals = lines.iter().filter_map(|line| line.subtotal(currency).ok());
        Self {
            currency,
            subtotal: subtotals.fold(0i64, |sum, line| sum.saturating_add(line.minor_units())),
            discount: add(|line| line.discount_minor),
            shipping: terms.map_or(0, |terms| terms.shipping_minor),
            shipping_discount: terms.map_or(0, |terms| terms.shipping_discount_minor),
            tax: add(|line| line.tax_minor).saturating_add(terms.map_or(0, |terms| terms.shipping_tax_minor)),
            tax_inclusive: terms.is_some_and(|terms| terms.tax_inclusive),
        }
    }

    fn money(&self, minor: i64) -> Option<MoneyMessage> {
        Some(Money::new(minor, self.currency).into())
    }
}

fn promotions(terms: Option<&Terms>, currency: Currency) -> Vec<pb::QuotePromotion> {
    let promotions = terms.map_or(&[][..], |terms| &terms.promotions).iter();
    let message = |promotion: &crate::domain::Promotion| pb::QuotePromotion {
        promotion_id: promotion.promotion_id.to_string(),
        code: promotion.code.to_string(),
        name: promotion.name.to_string(),
        amount: Some(Money::new(promotion.amount_minor, currency).into()),
    };
    promotions.map(message).collect()
}

fn coupon_codes(terms: Option<&Terms>) -> Vec<String> {
    terms.map_or(&[][..], |terms| &terms.coupons).iter().map(ToString::to_string).collect()
}

fn rate_id(terms: Option<&Terms>) -> String {
    let delivery = terms.and_then(|terms| terms.delivery.as_ref());
    delivery.map(|delivery| delivery.rate_id.to_string()).unwrap_or_default()
}

fn lines(lines: &[Line], terms: Option<&Terms>, currency: Currency) -> Vec<pb::QuoteLine> {
    let tax_inclusive = terms.is_some_and(|terms| terms.tax_inclusive);
    let message = |line: &Line| pb::QuoteLine {
        line: line.line,
        sku: line.sku.to_string(),
        title: line.title.to_string(),
        quantity: line.quantity.get(),
        unit_price: Some(Money::new(line.unit_minor, currency).into()),
        total: line.total(currency, tax_inclusive).ok().map(Into::into),
        price_version: line.price_version,
        subtotal: line.subtotal(currency).ok().map(Into::into),
        discount: Some(Money::new(line.discount_minor, currency).into()),
        tax: Some(Money::new(line.tax_minor, currency).into()),
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
        Label::AwaitingCustomer => pb::OrderStatus::AwaitingCustomer,
        Label::Confirmed => pb::OrderStatus::Confirmed,
        Label::Processing => pb::OrderStatus::Processing,
        Label::PartiallyShipped => pb::OrderStatus::PartiallyShipped,
        Label::Shipped => pb::OrderStatus::Shipped,
        Label::Delivered => pb::OrderStatus::Delivered,
        Label::Completed => pb::OrderStatus::Completed,
        Label::OnHold => pb::OrderStatus::OnHold,
        Label::Rejected => pb::OrderStatus::Rejected,
        Label::Cancelling => pb::OrderStatus::Cancelling,
        Label::Cancelled => pb::OrderStatus::Cancelled,
    }
}

/// What the customer is told of an order that stands so.
pub fn told(label: Label, goods: Fulfilment, asks_payment: bool) -> pb::OrderLabel {
    match label {
        Label::Delivered | Label::Completed if goods == Fulfilment::Unfulfilled => {
            pb::OrderLabel::NotDelivered
        }
        Label::Delivered | Label::Completed if goods == Fulfilment::Returned => pb::OrderLabel::Returned,
        Label::Pending => pb::OrderLabel::BeingPlaced,
        Label::AwaitingCustomer if asks_payment => pb::OrderLabel::PaymentNeeded,
        Label::AwaitingCustomer => pb::OrderLabel::AnswerNeeded,
        Label::Confirmed => pb::OrderLabel::Confirmed,
        Label::Processing => pb::OrderLabel::BeingPrepared,
        Label::OnHold => pb::OrderLabel::Delayed,
        Label::PartiallyShipped => pb::OrderLabel::PartlyOnItsWay,
        Label::Shipped => pb::OrderLabel::OnItsWay,
        Label::Delivered | Label::Completed => pb::OrderLabel::Delivered,
        Label::Rejected => pb::OrderLabel::NotPossible,
        Label::Cancelling => pb::OrderLabel::BeingCancelled,
        Label::Cancelled => pb::OrderLabel::Cancelled,
    }
}

pub fn fulfilment(fulfilment: Fulfilment) -> pb::OrderFulfilment {
    match fulfilment {
        Fulfilment::Unfulfilled => pb::OrderFulfilment::Unfulfilled,
        Fulfilment::Partial => pb::OrderFulfilment::Partial,
        Fulfilment::Fulfilled => pb::OrderFulfilment::Fulfilled,
        Fulfilment::PartiallyReturned => pb::OrderFulfilment::PartiallyReturned,
        Fulfilment::Returned => pb::OrderFulfilment::Returned,
    }
}

pub fn payment(payment: Payment) -> pb::OrderPayment {
    match payment {
        Payment::None => pb::OrderPayment::None,
        Payment::Pending => pb::OrderPayment::Pending,
        Payment::Authorized => pb::OrderPayment::Authorized,
        Payment::PartiallyCaptured => pb::OrderPayment::PartiallyCaptured,
        Payment::Captured => pb::OrderPayment::Captured,
        Payment::Voided => pb::OrderPayment::Voided,
        Payment::PartiallyRefunded => pb::OrderPayment::PartiallyRefunded,
        Payment::Refunded => pb::OrderPayment::Refunded,
        Payment::Failed => pb::OrderPayment::Failed,
        Payment::Disputed => pb::OrderPayment::Disputed,
    }
}
