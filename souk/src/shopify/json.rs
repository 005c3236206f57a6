//! Products in the JSON of the public API.
use super::{Media, Product, Status, Variant};
use serde_json::{Value, json};
use souk_contracts::terms::{Market, Sku};
use souk_kernel::{Currency, Money};
use std::collections::BTreeMap;
use std::fmt;

/// An answer of the shop that is not the product it should be; says where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProduct(&'static str);

impl fmt::Display for NoProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the shop answered a product whose {} cannot be read", self.0)
    }
}

impl std::error::Error for NoProduct {}

/// Whether putting `wanted` changes nothing in a shop that has `there`.
///
/// As in the shop, a title that follows from the rest is not a variant's own, prices of markets that are not
/// named stay, and what customers do not see may be a draft or not.
pub fn is_already(wanted: &Product, there: &Product) -> bool {
    fn content(product: &Product) -> Product {
        let variant = |variant: &Variant| Variant {
            title: own_title(&product.title, &variant.option_values, variant.title.clone()),
            prices: BTreeMap::new(),
            stock: None,
            ..variant.clone()
        };
        let variants = product.variants.iter().map(variant).collect();
        let status = if product.status == Status::Published { Status::Published } else { Status::Draft };
        Product { variants, status, ..product.clone() }
    }
    let has_prices = |(wanted, there): (&Variant, &Variant)| {
        wanted.prices.iter().all(|(market, amount)| there.prices.get(market) == Some(amount))
    };
    content(wanted) == content(there) && wanted.variants.iter().zip(&there.variants).all(has_prices)
}

/// The shop shows a title for every variant. One that follows from the rest is not the variant's own: empty.
fn own_title(product_title: &str, option_values: &[String], shown: String) -> String {
    let follows = if option_values.is_empty() { product_title.to_owned() } else { option_values.join(" / ") };
    if shown == follows { String::new() } else { shown }
}

/// What is sent to put the product.
pub fn to_json(product: &Product) -> Value {
    let price = |(market, amount): (&Market, &Money)| {
        let amount =
            json!({"minorUnits": amount.minor_units().to_string(), "currency": amount.currency().code()});
        json!({"market": market.as_str(), "amount": amount})
    };
    let variant = |variant: &Variant| {
        json!({
            "sku": variant.sku.as_str(),
            "title": variant.title,
            "optionValues": variant.option_values,
            "prices": variant.prices.iter().map(price).collect::<Vec<_>>(),
        })
    };
    json!({
        "title": product.title,
        "description": product.description,
        "categories": product.categories,
        "options": product.options,
        "variants": product.variants.iter().map(variant).collect::<Vec<_>>(),
        "media": product.media.iter().map(|m| json!({"url": m.url, "alt": m.alt})).collect::<Vec<_>>(),
        "vendor": product.vendor,
        "published": product.status == Status::Published,
    })
}

/// Reads a product as the shop shows it. What stock there is, it does not say.
pub fn from_json(value: &Value) -> Result<Product, NoProduct> {
    let mut product = Product {
        handle: text(value, "handle")?,
        title: text(value, "title")?,
        description: text(value, "description")?,
        vendor: text(value, "vendor")?,
        categories: texts(value, "categories")?,
        options: texts(value, "options")?,
        variants: Vec::new(),
        media: Vec::new(),
        status: status(value)?,
    };
    for media in list(value, "media")? {
        product.media.push(Media { url: text(media, "url")?, alt: text(media, "alt")? });
    }
    for value in list(value, "variants")? {
        let variant = variant(value, &product)?;
        product.variants.push(variant);
    }
    Ok(product)
}

fn variant(value: &Value, product: &Product) -> Result<Variant, NoProduct> {
    let option_values = texts(value, "optionValues")?;
    let title = own_title(&product.title, &option_values, text(value, "title")?);
    let sku = Sku::try_new(text(value, "sku")?).map_err(|_| NoProduct("sku"))?;
    let prices = list(value, "prices")?.iter().map(price).collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Variant { sku, title, option_values, prices, stock: None })
}

fn price(value: &Value) -> Result<(Market, Money), NoProduct> {
    let market = Market::try_new(text(value, "market")?).map_err(|_| NoProduct("market"))?;
    let amount = value.get("amount").ok_or(NoProduct("amount"))?;
    let currency = Currency::parse(&text(amount, "currency")?).ok_or(NoProduct("currency"))?;
    let minor_units = integer(amount, "minorUnits").ok_or(NoProduct("minorUnits"))?;
    Ok((market, Money::new(minor_units, currency)))
}

fn status(value: &Value) -> Result<Status, NoProduct> {
    match text(value, "status")?.as_str() {
        "PRODUCT_STATUS_PUBLISHED" => Ok(Status::Published),
        "PRODUCT_STATUS_UNPUBLISHED" => Ok(Status::Unpublished),
        "PRODUCT_STATUS_DRAFT" => Ok(Status::Draft),
        _ => Err(NoProduct("status")),
    }
}

/// A whole number, which JSON carries as text when it may be large.
pub fn integer(value: &Value, name: &str) -> Option<i64> {
    match value.get(name)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(value: &Value, name: &'static str) -> Result<String, NoProduct> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(NoProduct(name)),
    }
}

fn list<'a>(value: &'a Value, name: &'static str) -> Result<&'a [Value], NoProduct> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(value) => value.as_array().map(Vec::as_slice).ok_or(NoProduct(name)),
    }
}

fn texts(value: &Value, name: &'static str) -> Result<Vec<String>, NoProduct> {
    let texts = list(value, name)?.iter().map(|text| text.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or(NoProduct(name))
}
