//! Protobuf ↔ domain. Reading collects *all* faulty fields, each under its path in the request's JSON form.
pub mod pricing;

pub use pricing::CODES_MAX;

use crate::domain::product::Put;
use crate::domain::tax::TaxClass;
use crate::domain::{Content, CurrentPrice, Handle, Media, Product, PutProduct, Status, Variant, price};
use souk_contracts::catalog::v1 as pb;
use souk_contracts::terms::{Market, ProductId, Sku, money_from_proto};
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_decider::Record;
use souk_kernel::{Error, Invalid, Money, PageToken};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

pub const TITLE_CHARS_MAX: usize = 300;
pub const DESCRIPTION_CHARS_MAX: usize = 20_000;
pub const NAME_CHARS_MAX: usize = 100;
pub const CATEGORIES_MAX: usize = 20;
pub const OPTIONS_MAX: usize = 3;
pub const VARIANTS_MAX: usize = 250;
pub const MEDIA_MAX: usize = 50;
pub const URL_BYTES_MAX: usize = 2_000;
/// Markets per variant.
pub const PRICES_MAX: usize = 50;
pub const SKUS_PER_CALL_MAX: usize = 500;
pub const QUERY_CHARS_MAX: usize = 200;
pub const LIST_PAGE_MAX: usize = 200;
const LIST_PAGE_USUAL: usize = 50;
pub const SEARCH_PAGE_MAX: usize = 100;
const SEARCH_PAGE_USUAL: usize = 20;

/// What a `PutProductRequest` wants, before it is known which product the handle stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedProduct {
    pub handle: Handle,
    content: Arc<Content>,
    published: bool,
    expected: Option<u64>,
    prices: Vec<(Sku, Market, Money)>,
}

impl WantedProduct {
    /// The command for the product with this id.
    pub fn of(&self, id: ProductId) -> PutProduct {
        let product = Put {
            id,
            handle: self.handle.clone(),
            content: Arc::clone(&self.content),
            published: self.published,
            expected: self.expected,
        };
        PutProduct { product, prices: self.prices.clone() }
    }
}

/// Reads a request to put a product.
pub fn put_product(request: pb::PutProductRequest) -> Result<WantedProduct, Invalid> {
    let mut invalid = Invalid::new();
    let handle = invalid.take("handle", request.handle.parse::<Handle>());
    let Some(input) = request.product else {
        invalid.add("product", "must be there");
        return Err(invalid);
    };
    let published = input.published;
    let (content, prices) = content(input, &mut invalid);
    let wanted = handle.map(|handle| WantedProduct {
        handle,
        content: Arc::new(content),
        published,
        expected: request.expected_version,
        prices,
    });
    invalid.finish(wanted)
}

/// Reads the handle of a request that has nothing else.
pub fn handle(text: &str) -> Result<Handle, Invalid> {
    text.parse()
        .map_err(|error: crate::domain::product::NoHandle| Invalid::field("handle", error.to_string()))
}

type Prices = Vec<(Sku, Market, Money)>;

fn content(input: pb::ProductInput, invalid: &mut Invalid) -> (Content, Prices) {
    check_line(invalid, "product.title", &input.title, 1, TITLE_CHARS_MAX);
    check_text(invalid, "product.description", &input.description, DESCRIPTION_CHARS_MAX);
    check_line(invalid, "product.vendor", &input.vendor, 0, NAME_CHARS_MAX);
    check_names(invalid, "product.categories", &input.categories, CATEGORIES_MAX);
    check_names(invalid, "product.options", &input.options, OPTIONS_MAX);
    let media = media(input.media, invalid);
    let tax_class = tax_class(invalid, "product.taxClass", &input.tax_class);
    let (variants, prices) = variants(input.variants, input.options.len(), invalid);
    let content = Content {
        title: input.title,
        description: input.description,
        categories: input.categories,
        options: input.options,
        variants,
        media,
        vendor: input.vendor,
        tax_class,
    };
    (content.without_implied_titles(), prices)
}

/// Empty says nothing: as before.
fn tax_class(invalid: &mut Invalid, field: &str, text: &str) -> Option<TaxClass> {
    if text.is_empty() { None } else { invalid.take(field, text.parse()) }
}

fn variants(inputs: Vec<pb::VariantInput>, options: usize, invalid: &mut Invalid) -> (Vec<Variant>, Prices) {
    if !(1..=VARIANTS_MAX).contains(&inputs.len()) {
        invalid.add("product.variants", format!("must be 1 to {VARIANTS_MAX}"));
        return (Vec::new(), Vec::new());
    }
    let (mut variants, mut prices) = (Vec::with_capacity(inputs.len()), Vec::new());
    let (mut skus, mut combinations) = (HashSet::new(), HashSet::new());
    for (i, input) in inputs.into_iter().enumerate() {
        let path = format!("product.variants[{i}]");
        check_line(invalid, &format!("{path}.title"), &input.title, 0, TITLE_CHARS_MAX);
        check_option_values(invalid, &path, &input.option_values, options);
        if !combinations.insert(input.option_values.clone()) {
            invalid.add(format!("{path}.optionValues"), "must differ from those of every other variant");
        }
        let Some(sku) = invalid.take(format!("{path}.sku"), Sku::try_new(input.sku)) else { continue };
        if !skus.insert(sku.clone()) {
            invalid.add(format!("{path}.sku"), "must not stand twice in one product");
        }
        variant_prices(&path, &sku, &input.prices, &mut prices, invalid);
        let tax_class = tax_class(invalid, &format!("{path}.taxClass"), &input.tax_class);
        variants.push(Variant { sku, title: input.title, option_values: input.option_values, tax_class });
    }
    (variants, prices)
}

fn check_option_values(invalid: &mut Invalid, path: &str, values: &[String], options: usize) {
    if values.len() != options {
        invalid
            .add(format!("{path}.optionValues"), format!("must be {options}, one per option of the product"));
    }
    for (j, value) in values.iter().enumerate().take(OPTIONS_MAX) {
        check_line(invalid, &format!("{path}.optionValues[{j}]"), value, 1, NAME_CHARS_MAX);
    }
}

fn variant_prices(
    path: &str,
    sku: &Sku,
    inputs: &[pb::PriceInput],
    prices: &mut Prices,
    invalid: &mut Invalid,
) {
    if inputs.len() > PRICES_MAX {
        invalid.add(format!("{path}.prices"), format!("must be at most {PRICES_MAX}"));
        return;
    }
    let mut markets = BTreeSet::new();
    for (j, input) in inputs.iter().enumerate() {
        let path = format!("{path}.prices[{j}]");
        let market = invalid.take(format!("{path}.market"), Market::try_new(input.market.as_str()));
        let amount = amount(&format!("{path}.amount"), input.amount.as_ref(), invalid);
        let Some(market) = market else { continue };
        if !markets.insert(market.clone()) {
            invalid.add(format!("{path}.market"), "must not stand twice in one variant");
        }
        prices.extend(amount.map(|amount| (sku.clone(), market, amount)));
    }
}

fn amount(field: &str, message: Option<&MoneyMessage>, invalid: &mut Invalid) -> Option<Money> {
    let Some(message) = message else {
        invalid.add(field, "must be there");
        return None;
    };
    let money = invalid.take(field, money_from_proto(message))?;
    if !(0..=price::PRICE_MINOR_MAX).contains(&money.minor_units()) {
        invalid.add(field, format!("must be 0 to {} minor units", price::PRICE_MINOR_MAX));
        return None;
    }
    Some(money)
}

fn media(inputs: Vec<pb::Media>, invalid: &mut Invalid) -> Vec<Media> {
    if inputs.len() > MEDIA_MAX {
        invalid.add("product.media", format!("must be at most {MEDIA_MAX}"));
        return Vec::new();
    }
    for (i, input) in inputs.iter().enumerate() {
        if !is_web_address(&input.url) {
            let what = format!(
                "must be an https or http address, or a path on this site, of at most {URL_BYTES_MAX} bytes"
            );
            invalid.add(format!("product.media[{i}].url"), what);
        }
        check_line(invalid, &format!("product.media[{i}].alt"), &input.alt, 0, TITLE_CHARS_MAX);
    }
    inputs.into_iter().map(|input| Media { url: input.url, alt: input.alt }).collect()
}

/// Pages put it into `src`, so nothing that runs (`javascript:`) or points elsewhere unseen (`//host`) passes.
fn is_web_address(url: &str) -> bool {
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`'));
    let path = url.starts_with('/') && !url.starts_with("//");
    let address =
        ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    plain && url.len() <= URL_BYTES_MAX && (path || address)
}

fn check_names(invalid: &mut Invalid, field: &str, names: &[String], most: usize) {
    if names.len() > most {
        invalid.add(field, format!("must be at most {most}"));
        return;
    }
    let mut seen = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        let path = format!("{field}[{i}]");
        check_line(invalid, &path, name, 1, NAME_CHARS_MAX);
        if !seen.insert(name) {
            invalid.add(path, "must not stand twice");
        }
    }
}

/// One line of text of so many characters.
fn check_line(invalid: &mut Invalid, field: &str, text: &str, least: usize, most: usize) {
    let chars = text.chars().count();
    if chars < least || chars > most {
        invalid.add(field, format!("must be {least} to {most} characters"));
    } else if text.chars().any(char::is_control) {
        invalid.add(field, "must not contain control characters");
    } else if least > 0 && text.trim().is_empty() {
        invalid.add(field, "must not be blank");
    }
}

/// A text of several lines.
fn check_text(invalid: &mut Invalid, field: &str, text: &str, most: usize) {
    if text.chars().count() > most {
        invalid.add(field, format!("must be at most {most} characters"));
    } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        invalid.add(field, "must not contain control characters other than line breaks and tabs");
    }
}

/// Reads a request to set a price.
pub fn set_price(request: pb::SetPriceRequest) -> Result<(Sku, Market, Money), Invalid> {
    let mut invalid = Invalid::new();
    let sku = invalid.take("sku", Sku::try_new(request.sku));
    let market = invalid.take("market", Market::try_new(request.market));
    let amount = amount("amount", request.amount.as_ref(), &mut invalid);
    let all = sku.zip(market).zip(amount);
    invalid.finish(all.map(|((sku, market), amount)| (sku, market, amount)))
}

/// Reads a request for the prices of a SKU.
pub fn list_prices(request: pb::ListPricesRequest) -> Result<(Sku, Market), Invalid> {
    let mut invalid = Invalid::new();
    let sku = invalid.take("sku", Sku::try_new(request.sku));
    let market = invalid.take("market", Market::try_new(request.market));
    invalid.finish(sku.zip(market))
}

/// Reads a request for variants.
pub fn batch_get(request: pb::BatchGetVariantsRequest) -> Result<(Vec<Sku>, Market), Invalid> {
    let mut invalid = Invalid::new();
    if !(1..=SKUS_PER_CALL_MAX).contains(&request.skus.len()) {
        invalid.add("skus", format!("must be 1 to {SKUS_PER_CALL_MAX}"));
        return Err(invalid);
    }
    let market = invalid.take("market", Market::try_new(request.market));
    let read = |(i, sku): (usize, String)| invalid.take(format!("skus[{i}]"), Sku::try_new(sku));
    let skus: Vec<Sku> = request.skus.into_iter().enumerate().filter_map(read).collect();
    invalid.finish(market.map(|market| (skus, market)))
}

/// What a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    pub category: Option<String>,
    pub market: Option<Market>,
    pub vendor: Option<String>,
    /// What staff asked for; `None` means the published ones.
    pub status: Option<pb::ProductStatus>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub filters: Filters,
    pub size: usize,
    /// The last product of the page before.
    pub after: Option<ProductId>,
}

/// Reads a request for a list. A page token that is damaged or belongs to other filters is refused apart.
pub fn list(request: pb::ListProductsRequest) -> Result<Page, Error> {
    let mut invalid = Invalid::new();
    check_line(&mut invalid, "category", &request.category, 0, NAME_CHARS_MAX);
    check_line(&mut invalid, "vendor", &request.vendor, 0, NAME_CHARS_MAX);
    let market = match request.market.as_str() {
        "" => None,
        text => invalid.take("market", Market::try_new(text)),
    };
    let status = match pb::ProductStatus::try_from(request.status) {
        Ok(pb::ProductStatus::Unspecified) => None,
        Ok(status) => Some(status),
        Err(_) => {
            invalid.add("status", "must be a known status");
            None
        }
    };
    let size = page_size(request.page_size, LIST_PAGE_USUAL, LIST_PAGE_MAX, &mut invalid);
    let wanted = |text: String| (!text.is_empty()).then_some(text);
    let filters =
        Filters { category: wanted(request.category), market, vendor: wanted(request.vendor), status };
    let filters = invalid.finish(Some(filters))?;
    let after = PageToken::resume(&request.page_token, &list_of(&filters), |place| place.parse().ok())?;
    Ok(Page { filters, size, after })
}

fn page_size(asked: u32, usual: usize, most: usize, invalid: &mut Invalid) -> usize {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => usual,
        size if size <= most => size,
        _ => {
            invalid.add("pageSize", format!("must be 1 to {most}, or 0 for {usual}"));
            usual
        }
    }
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub query: String,
    pub category: Option<String>,
    pub size: usize,
}

/// Reads a request to search. Every character of the query is text.
pub fn search(request: pb::SearchProductsRequest) -> Result<Search, Invalid> {
    let mut invalid = Invalid::new();
    let chars = request.q.chars().take(QUERY_CHARS_MAX + 1).count();
    if !(1..=QUERY_CHARS_MAX).contains(&chars) {
        invalid.add("q", format!("must be 1 to {QUERY_CHARS_MAX} characters"));
    }
    check_line(&mut invalid, "category", &request.category, 0, NAME_CHARS_MAX);
    let size = page_size(request.page_size, SEARCH_PAGE_USUAL, SEARCH_PAGE_MAX, &mut invalid);
    let category = (!request.category.is_empty()).then_some(request.category);
    invalid.finish(Some(Search { query: request.q, category, size }))
}

/// The token for the page after `last` of the list with these filters.
pub fn page_token(last: &ProductId, filters: &Filters) -> String {
    PageToken::seal(&last.to_string(), &list_of(filters))
}

/// What a page token is bound to.
fn list_of(filters: &Filters) -> [&str; 5] {
    [
        "ListProducts",
        filters.category.as_deref().unwrap_or(""),
        filters.market.as_ref().map_or("", Market::as_str),
        filters.vendor.as_deref().unwrap_or(""),
        filters.status.map_or("", |status| status.as_str_name()),
    ]
}

/// Current prices by SKU, then by market.
pub type PricesBySku = BTreeMap<String, Vec<pb::Price>>;

/// A product as it is shown, or `None` when there never was one.
pub fn product(record: &Record<Product>, mut prices: PricesBySku) -> Option<pb::Product> {
    let (product, status, version) = match record {
        Record::Absent => return None,
        Record::Present { document, version } => (document, status(document.status), *version),
        Record::Retired { last, version } => (last, pb::ProductStatus::Archived, *version),
    };
    let content = &product.content;
    let variant = |variant: &Variant| pb::Variant {
        sku: variant.sku.to_string(),
        title: content.variant_title(variant),
        option_values: variant.option_values.clone(),
        prices: prices.remove(variant.sku.as_str()).unwrap_or_default(),
        tax_class: variant.tax_class.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    Some(pb::Product {
        product_id: product.id.to_string(),
        handle: product.handle.to_string(),
        title: content.title.clone(),
        description: content.description.clone(),
        categories: content.categories.clone(),
        options: content.options.clone(),
        variants: content.variants.iter().map(variant).collect(),
        media: content.media.iter().map(|m| pb::Media { url: m.url.clone(), alt: m.alt.clone() }).collect(),
        status: status.into(),
        version,
        vendor: content.vendor.clone(),
        tax_class: content.class().to_string(),
    })
}

fn status(status: Status) -> pb::ProductStatus {
    match status {
        Status::Draft => pb::ProductStatus::Draft,
        Status::Published => pb::ProductStatus::Published,
        Status::Unpublished => pb::ProductStatus::Unpublished,
    }
}

/// A price as it is shown.
pub fn price(market: &str, price: &CurrentPrice) -> pb::Price {
    pb::Price {
        market: market.to_owned(),
        amount: Some(price.amount.into()),
        valid_from: Some(souk_rpc::time::to_proto(price.valid_from)),
        price_version: price.price_version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_kernel::{Code, TypeId, Uuid};

    fn good() -> pb::PutProductRequest {
        pb::PutProductRequest {
            handle: "mug".into(),
            product: Some(pb::ProductInput {
                title: "Mug".into(),
                categories: vec!["Kitchen".into()],
                options: vec!["Size".into()],
                variants: vec![variant("M-1", "small"), variant("M-2", "large")],
                media: vec![pb::Media { url: "https://example.com/m.png".into(), alt: "a mug".into() }],
                vendor: "Acme".into(),
                ..Default::default()
            }),
            expected_version: None,
        }
    }

    fn variant(sku: &str, size: &str) -> pb::VariantInput {
        let amount = Some(MoneyMessage { minor_units: 255, currency: "GBP".into() });
        pb::VariantInput {
            sku: sku.into(),
            title: String::new(),
            option_values: vec![size.into()],
            prices: vec![pb::PriceInput { market: "GB".into(), amount }],
            tax_class: String::new(),
        }
    }

    /// The fields that are named when the good request is changed so.
    fn faults(change: impl FnOnce(&mut pb::PutProductRequest, &mut pb::ProductInput)) -> Vec<String> {
        let mut request = good();
        let mut input = request.product.take().expect("it has one");
        change(&mut request, &mut input);
        request.product = Some(input);
        match put_product(request) {
            Ok(_) => Vec::new(),
            Err(invalid) => invalid.fields().iter().map(|f| f.field.clone()).collect(),
        }
    }

    fn minor(input: &mut pb::ProductInput) -> &mut MoneyMessage {
        input.variants[0].prices[0].amount.as_mut().expect("it has one")
    }

    #[test]
    fn a_good_product_is_read() {
        let wanted = put_product(good()).expect("good");
        assert_eq!(wanted.prices.len(), 2);
        assert_eq!(wanted.content.variants[1].sku.as_str(), "M-2");
    }

    #[test]
    fn each_faulty_field_is_named() {
        type Change = fn(&mut pb::PutProductRequest, &mut pb::ProductInput);
        let cases: &[(&str, Change)] = &[
            ("handle", |r, _| r.handle = "-mug".into()),
            ("handle", |r, _| r.handle = "Mug".into()),
            ("handle", |r, _| r.handle = "m".repeat(101)),
            ("product.title", |_, p| p.title.clear()),
            ("product.title", |_, p| p.title = " \u{a0}".into()),
            ("product.title", |_, p| p.title = "é".repeat(TITLE_CHARS_MAX + 1)),
            ("product.title", |_, p| p.title = "a\u{7}".into()),
            ("product.description", |_, p| p.description = "d".repeat(DESCRIPTION_CHARS_MAX + 1)),
            ("product.description", |_, p| p.description = "\0".into()),
            ("product.vendor", |_, p| p.vendor = "v".repeat(NAME_CHARS_MAX + 1)),
            ("product.categories", |_, p| {
                p.categories = (0..=CATEGORIES_MAX).map(|i| i.to_string()).collect()
            }),
            ("product.categories[1]", |_, p| p.categories = vec!["a".into(), "a".into()]),
            ("product.options[1]", |_, p| p.options = vec!["a".into(), String::new()]),
            ("product.variants", |_, p| p.variants.clear()),
            ("product.variants", |_, p| p.variants = vec![variant("x", "y"); VARIANTS_MAX + 1]),
            ("product.variants[0].sku", |_, p| p.variants[0].sku.clear()),
            ("product.variants[1].sku", |_, p| p.variants[1].sku = "M-1".into()),
            ("product.variants[1].optionValues", |_, p| p.variants[1].option_values = vec!["small".into()]),
            ("product.variants[0].optionValues", |_, p| p.variants[0].option_values.clear()),
            ("product.variants[0].optionValues[0]", |_, p| p.variants[0].option_values = vec![String::new()]),
            ("product.variants[0].prices[0].market", |_, p| p.variants[0].prices[0].market = "gb".into()),
            ("product.variants[0].prices[0].amount", |_, p| p.variants[0].prices[0].amount = None),
            ("product.variants[0].prices[0].amount", |_, p| minor(p).minor_units = -1),
            ("product.variants[0].prices[0].amount", |_, p| {
                minor(p).minor_units = price::PRICE_MINOR_MAX + 1
            }),
            ("product.variants[0].prices[0].amount", |_, p| minor(p).currency = "XXX".into()),
            ("product.variants[0].prices[1].market", |_, p| {
                let again = p.variants[0].prices[0].clone();
                p.variants[0].prices.push(again);
            }),
            ("product.media", |_, p| p.media = vec![pb::Media::default(); MEDIA_MAX + 1]),
            ("product.media[0].url", |_, p| p.media[0].url = "javascript:alert(1)".into()),
            ("product.media[0].url", |_, p| p.media[0].url = "//evil.example".into()),
            ("product.media[0].url", |_, p| p.media[0].url = "https://a\"onerror=".into()),
        ];
        for (field, change) in cases {
            let found = faults(change);
            assert!(found.iter().any(|f| f == field), "{field} is not among {found:?}");
        }
        assert_eq!(put_product(pb::PutProductRequest::default()).expect_err("empty").fields().len(), 2);
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let found = faults(|r, p| {
            r.handle = "?".into();
            p.title.clear();
            p.variants[1].sku = "M-1".into();
            minor(p).minor_units = -5;
        });
        let expected =
            ["handle", "product.title", "product.variants[0].prices[0].amount", "product.variants[1].sku"];
        assert_eq!(found, expected);
    }

    #[test]
    fn options_are_at_most_three_and_values_one_per_option() {
        let found = faults(|_, p| p.options = ["a", "b", "c", "d"].map(str::to_owned).to_vec());
        assert!(found.contains(&"product.options".to_owned()) && found.len() == 3, "{found:?}");
    }

    #[test]
    fn a_long_query_is_refused_by_name_and_odd_characters_are_text() {
        let search = |q: &str| search(pb::SearchProductsRequest { q: q.into(), ..Default::default() });
        for bad in [String::new(), "\"'🎁%_".repeat(2_000)] {
            assert_eq!(search(&bad).expect_err("bad").fields()[0].field, "q");
        }
        assert!(search("100% \"cotton\" _ 🎁").is_ok());
        assert!(search(&"🎁".repeat(QUERY_CHARS_MAX)).is_ok());
    }

    #[test]
    fn a_page_token_fits_its_own_filters_only() {
        let id = ProductId::from_uuid(Uuid::v7(1, [7; 10]));
        let asked = |category: &str, token: &str| pb::ListProductsRequest {
            category: category.into(),
            page_token: token.into(),
            ..Default::default()
        };
        let filters = list(asked("a", "")).expect("good").filters;
        let token = page_token(&id, &filters);
        assert_eq!(list(asked("a", &token)).expect("good").after, Some(id));
        let damaged = token.replacen('0', "1", 1);
        for (category, token) in
            [("b", token.as_str()), ("", &token), ("a", "x"), ("a", &damaged), ("a", "🎁🎁🎁🎁🎁🎁🎁")]
        {
            let error = list(asked(category, token)).expect_err("refused");
            assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
        }
    }

    #[test]
    fn lists_and_batches_have_bounds() {
        let list = |request| list(request).expect_err("bad").fields()[0].field.clone();
        assert_eq!(list(pb::ListProductsRequest { page_size: 201, ..Default::default() }), "pageSize");
        assert_eq!(list(pb::ListProductsRequest { market: "x".into(), ..Default::default() }), "market");
        assert_eq!(list(pb::ListProductsRequest { status: 99, ..Default::default() }), "status");
        let batch = |skus: Vec<&str>, market: &str| {
            let skus = skus.into_iter().map(str::to_owned).collect();
            let request = pb::BatchGetVariantsRequest { skus, market: market.into() };
            batch_get(request).map_err(|i| i.fields().iter().map(|f| f.field.clone()).collect::<Vec<_>>())
        };
        assert_eq!(batch(vec![], "GB"), Err(vec!["skus".into()]));
        assert_eq!(batch(vec!["x"; SKUS_PER_CALL_MAX + 1], "GB"), Err(vec!["skus".into()]));
        assert_eq!(batch(vec!["a", ""], ""), Err(vec!["market".into(), "skus[1]".into()]));
        assert!(batch(vec!["a", "a"], "GB").is_ok(), "asking twice is fine");
    }
}
