//! Protobuf ↔ domain. Reading collects *all* faulty fields; showing a cart puts it beside what the catalog and
//! inventory say now, with everything that is wrong.
use crate::domain::{Active, Line, Ordered, QUANTITY_MAX};
use souk_contracts::cart::v1 as pb;
use souk_contracts::catalog::v1::SoldVariant;
use souk_contracts::order::v1::OrderConfirmed;
use souk_contracts::terms::{CartId, Market, OrderId, Sku, money_from_proto};
use souk_kernel::{Invalid, Money};
use std::collections::HashMap;
use std::sync::Arc;

/// The longest op_id.
pub const OP_ID_CHARS_MAX: usize = 64;

/// What an `AddItemRequest` wants.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedItem {
    pub sku: Sku,
    pub quantity: u32,
    pub op_id: Arc<str>,
    /// `None`: wherever the cart is.
    pub market: Option<Market>,
}

/// Reads a request to add something. That a quantity is too high is a rule, not a fault of the request.
pub fn add_item(request: pb::AddItemRequest) -> Result<WantedItem, Invalid> {
    let mut invalid = Invalid::new();
    let sku = invalid.take("sku", Sku::try_new(request.sku));
    if request.quantity == 0 {
        invalid.add("quantity", "must be at least 1");
    }
    let chars = request.op_id.chars().take(OP_ID_CHARS_MAX + 1).count();
    if !(1..=OP_ID_CHARS_MAX).contains(&chars) || request.op_id.chars().any(char::is_control) {
        invalid.add("opId", format!("must be 1 to {OP_ID_CHARS_MAX} characters without control characters"));
    }
    let market = optional_market(&request.market, &mut invalid);
    let (quantity, op_id) = (request.quantity, request.op_id.into());
    invalid.finish(sku.map(|sku| WantedItem { sku, quantity, op_id, market }))
}

/// Reads the market that a cart shall be shown for.
pub fn market(text: &str) -> Result<Option<Market>, Invalid> {
    let mut invalid = Invalid::new();
    let market = optional_market(text, &mut invalid);
    invalid.finish(Some(market))
}

fn optional_market(text: &str, invalid: &mut Invalid) -> Option<Market> {
    if text.is_empty() { None } else { invalid.take("market", Market::try_new(text)) }
}

/// Reads the token of the guest whose cart shall be merged. Whether it counts is asked elsewhere.
pub fn guest_token(request: pb::MergeGuestCartRequest) -> Result<String, Invalid> {
    let mut invalid = Invalid::new();
    if request.guest_token.is_empty() {
        invalid.add("guestToken", "must be the token of the guest's session");
    }
    invalid.finish(Some(request.guest_token))
}

/// Reads the cart that another service asks for.
pub fn cart_id(text: &str) -> Result<CartId, Invalid> {
    let mut invalid = Invalid::new();
    let id = invalid.take("cartId", text.parse());
    invalid.finish(id)
}

/// What the others say about a cart's SKUs in one market.
#[derive(Debug, Clone)]
pub struct Offers {
    /// Where.
    pub market: Market,
    /// By SKU; `None` when the catalog does not sell it.
    pub sold: HashMap<String, Option<SoldVariant>>,
    /// By SKU; `None` when inventory cannot be asked.
    pub available: Option<HashMap<String, i64>>,
}

impl Offers {
    /// Whether something was asked about each of the cart's SKUs.
    pub fn cover(&self, lines: &[Line]) -> bool {
        lines.iter().all(|line| self.sold.contains_key(line.sku.as_str()))
    }

    fn variant(&self, sku: &Sku) -> Option<&SoldVariant> {
        self.sold.get(sku.as_str())?.as_ref()
    }

    /// What one costs now; `None` when it cannot be bought.
    pub fn unit_price(&self, sku: &Sku) -> Option<Money> {
        let amount = self.variant(sku)?.price.as_ref()?.amount.as_ref()?;
        money_from_proto(amount).ok()
    }

    /// Whether the catalog sells it anywhere.
    pub fn knows(&self, sku: &Sku) -> bool {
        self.variant(sku).is_some()
    }

    /// How many there are; -1 when inventory cannot be asked.
    fn available(&self, sku: &Sku) -> i64 {
        let unknown = -1;
        self.available.as_ref().map_or(unknown, |levels| levels.get(sku.as_str()).copied().unwrap_or(0))
    }
}

/// The cart of somebody who has none.
pub fn empty_cart(market: &Market) -> pb::Cart {
    pb::Cart { market: market.to_string(), ..Default::default() }
}

/// A cart as it is shown. The subtotal is in the currency of the first line that can be bought; a line in
/// another currency cannot be bought along with it.
pub fn cart(active: &Active, version: u64, offers: &Offers) -> pb::Cart {
    let mut subtotal: Option<Money> = None;
    let mut lines = Vec::with_capacity(active.lines.len());
    for own in active.lines.iter() {
        let price = offers.unit_price(&own.sku);
        let sum = price.and_then(|price| added(subtotal, price, own.quantity));
        subtotal = sum.or(subtotal);
        let buyable = price.filter(|_| sum.is_some());
        lines.push(line(own, active.left_out(own.line), price, buyable, offers));
    }
    pb::Cart {
        cart_id: active.id.to_string(),
        market: offers.market.to_string(),
        lines,
        subtotal: subtotal.map(Into::into),
        version,
    }
}

fn added(subtotal: Option<Money>, price: Money, quantity: u32) -> Option<Money> {
    let total = price.times(quantity.into()).ok()?;
    match subtotal {
        None => Some(total),
        Some(subtotal) => subtotal.plus(total).ok(),
    }
}

fn line(
    own: &Line,
    left_out: u32,
    price: Option<Money>,
    buyable: Option<Money>,
    offers: &Offers,
) -> pb::CartLine {
    let available = offers.available(&own.sku);
    pb::CartLine {
        line: own.line,
        sku: own.sku.to_string(),
        title: offers.variant(&own.sku).map(|variant| variant.title.clone()).unwrap_or_default(),
        quantity: own.quantity,
        unit_price_now: buyable.map(Into::into),
        unit_price_when_added: Some(own.unit_price.into()),
        available,
        issues: issues(own, left_out, price, buyable, available, offers),
    }
}

fn issues(
    own: &Line,
    left_out: u32,
    price: Option<Money>,
    buyable: Option<Money>,
    available: i64,
    offers: &Offers,
) -> Vec<pb::Issue> {
    let issue = |kind: pb::IssueKind, detail: String| pb::Issue { kind: kind.into(), detail };
    let mut issues = Vec::new();
    if buyable.is_none() {
        let why = match (offers.knows(&own.sku), price) {
            (false, _) => "it is no longer sold".to_owned(),
            (true, None) => format!("it is not sold in {}", offers.market),
            (true, Some(price)) => format!("its price of {price} cannot be added to the others"),
        };
        issues.push(issue(pb::IssueKind::Unavailable, why));
    }
    if let Some(now) = buyable.filter(|now| *now != own.unit_price) {
        issues
            .push(issue(pb::IssueKind::PriceChanged, format!("it was {} and is {now} now", own.unit_price)));
    }
    if left_out > 0 {
        let detail = format!(
            "a line can have at most {QUANTITY_MAX} pieces; {left_out} of the guest's cart were left out"
        );
        issues.push(issue(pb::IssueKind::QuantityCapped, detail));
    }
    if (0..i64::from(own.quantity)).contains(&available) {
        issues.push(issue(pb::IssueKind::InsufficientStock, format!("only {available} are available")));
    }
    issues
}

/// A cart's lines for a quote.
pub fn plain_lines(active: &Active, version: u64) -> pb::ReadLinesResponse {
    let plain =
        |own: &Line| pb::PlainLine { line: own.line, sku: own.sku.to_string(), quantity: own.quantity };
    pb::ReadLinesResponse {
        cart_id: active.id.to_string(),
        market: active.market.to_string(),
        lines: active.lines.iter().map(plain).collect(),
        version,
    }
}

/// What the cart learns from a confirmed order.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmed {
    pub order_id: OrderId,
    /// `None` for an agreed quote, which was made of no cart.
    pub cart_id: Option<CartId>,
    pub owner: String,
    pub ordered: Vec<Ordered>,
}

/// Reads the news of a confirmed order.
pub fn confirmed(event: OrderConfirmed) -> Result<Confirmed, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", event.order_id.parse());
    let cart_id = match event.cart_id.as_str() {
        "" => None,
        text => invalid.take("cartId", text.parse()),
    };
    let from_cart = event.lines.iter().filter(|line| line.cart_line > 0);
    let ordered = from_cart.map(|line| Ordered { line: line.cart_line, quantity: line.quantity }).collect();
    invalid.finish(order_id.map(|order_id| Confirmed { order_id, cart_id, owner: event.subject, ordered }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CartEvent, CartOpened};
    use souk_contracts::catalog::v1::Price;
    use souk_contracts::types::v1::Money as MoneyMessage;
    use souk_decider::fold;
    use souk_kernel::{Currency, TypeId, Uuid};

    fn request() -> pb::AddItemRequest {
        pb::AddItemRequest { sku: "A".into(), quantity: 1, op_id: "op".into(), market: String::new() }
    }

    #[test]
    fn each_faulty_field_of_an_addition_is_named_and_all_at_once() {
        let fields = |request| match add_item(request) {
            Ok(_) => Vec::new(),
            Err(invalid) => invalid.fields().iter().map(|f| f.field.clone()).collect::<Vec<_>>(),
        };
        assert_eq!(fields(request()), Vec::<String>::new());
        assert_eq!(fields(pb::AddItemRequest { sku: String::new(), ..request() }), ["sku"]);
        assert_eq!(fields(pb::AddItemRequest { quantity: 0, ..request() }), ["quantity"]);
        assert_eq!(fields(pb::AddItemRequest { op_id: String::new(), ..request() }), ["opId"]);
        assert_eq!(fields(pb::AddItemRequest { op_id: "é".repeat(65), ..request() }), ["opId"]);
        assert_eq!(fields(pb::AddItemRequest { op_id: "a\n".into(), ..request() }), ["opId"]);
        assert_eq!(fields(pb::AddItemRequest { market: "gb".into(), ..request() }), ["market"]);
        let all = pb::AddItemRequest { market: "?".into(), ..Default::default() };
        assert_eq!(fields(all), ["sku", "quantity", "opId", "market"]);
        assert!(
            add_item(pb::AddItemRequest { quantity: u32::MAX, ..request() }).is_ok(),
            "a rule's business"
        );
        let no_token = guest_token(pb::MergeGuestCartRequest::default()).expect_err("no token");
        assert_eq!(no_token.fields()[0].field, "guestToken");
        assert_eq!(cart_id("ord_x").expect_err("no cart").fields()[0].field, "cartId");
    }

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, Currency::parse(code).expect("known"))
    }

    fn sold(sku: &str, price: Option<Money>) -> (String, Option<SoldVariant>) {
        let amount = |price: Money| Price { amount: Some(MoneyMessage::from(price)), ..Default::default() };
        let variant = SoldVariant {
            sku: sku.into(),
            title: format!("Thing {sku}"),
            price: price.map(amount),
            ..Default::default()
        };
        (sku.into(), Some(variant))
    }

    /// A cart of 2 each of A to E, whose prices were 1.00 GBP when they were added.
    fn shown(available: Option<HashMap<String, i64>>) -> pb::Cart {
        let line = |(i, sku): (usize, &str)| Line {
            line: u32::try_from(i).expect("small") + 1,
            sku: Sku::try_new(sku).expect("valid"),
            quantity: 2,
            unit_price: money(100, "GBP"),
        };
        let market = Market::try_new("GB").expect("valid");
        let opened = CartOpened {
            cart_id: CartId::from_uuid(Uuid::v7(1, [1; 10])),
            owner: "gst_1".into(),
            market: market.clone(),
            lines: ["A", "B", "C", "D", "E"].into_iter().enumerate().map(line).collect(),
            next_line: 6,
            continues: None,
        };
        let state: crate::domain::Cart = fold(&[CartEvent::CartOpened(opened)]);
        let offered = [
            sold("A", Some(money(100, "GBP"))),
            sold("B", Some(money(120, "GBP"))),
            sold("C", None),
            ("D".to_owned(), None),
            sold("E", Some(money(90, "EUR"))),
        ];
        cart(state.active().expect("open"), 7, &Offers { market, sold: offered.into(), available })
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_and_only_what_can_be_bought_counts() {
        let levels = [("A", 2), ("B", 1), ("C", 9), ("D", 9), ("E", 9)];
        let cart = shown(Some(levels.map(|(sku, n)| (sku.to_owned(), n)).into()));
        let kinds = |i: usize| cart.lines[i].issues.iter().map(pb::Issue::kind).collect::<Vec<_>>();
        assert_eq!(kinds(0), []);
        assert_eq!(kinds(1), [pb::IssueKind::PriceChanged, pb::IssueKind::InsufficientStock]);
        assert_eq!(cart.lines[1].issues[0].detail, "it was 1.00 GBP and is 1.20 GBP now");
        assert_eq!(kinds(2), [pb::IssueKind::Unavailable]);
        assert_eq!(kinds(3), [pb::IssueKind::Unavailable]);
        assert_eq!(kinds(4), [pb::IssueKind::Unavailable], "another currency cannot be summed");
        assert_eq!(cart.lines[4].unit_price_now, None);
        assert_eq!(cart.subtotal, Some(money(440, "GBP").into()));
        assert_eq!((cart.lines[0].title.as_str(), cart.lines[0].available, cart.version), ("Thing A", 2, 7));
    }

    #[test]
    fn without_inventory_nothing_is_said_about_stock() {
        let cart = shown(None);
        assert!(cart.lines.iter().all(|line| line.available == -1));
        let short = pb::IssueKind::InsufficientStock;
        assert!(cart.lines.iter().flat_map(|line| &line.issues).all(|issue| issue.kind() != short));
    }

    #[test]
    fn news_of_an_order_are_read_whole_or_not_at_all() {
        let order_id = OrderId::from_uuid(Uuid::v7(1, [1; 10])).to_string();
        let line = |line, cart_line| souk_contracts::order::v1::ConfirmedLine {
            line,
            sku: "A".into(),
            quantity: 2,
            cart_line,
        };
        let event = OrderConfirmed { order_id, lines: vec![line(1, 4), line(2, 0)], ..Default::default() };
        let read = confirmed(event.clone()).expect("good");
        assert_eq!(read.cart_id, None);
        assert_eq!(read.ordered, [Ordered { line: 4, quantity: 2 }]);
        assert!(confirmed(OrderConfirmed { cart_id: "x".into(), ..event.clone() }).is_err());
        assert!(confirmed(OrderConfirmed { order_id: "x".into(), ..event }).is_err());
    }
}
