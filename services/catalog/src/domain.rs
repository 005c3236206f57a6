//! The catalog's rules: products with their lifecycle, who owns which handle and SKU, prices that are only ever
//! added to, and what customers pay in the end: promotions, coupons and taxes. Pure: time comes in with each
//! command.
//!
//! Deliberately not here: stock (inventory's) and what a customer is promised (a quote, order's).

mod plain;
pub mod price;
pub mod pricing;
pub mod product;
pub mod promotion;
pub mod redemption;
mod rounding;
pub mod search;
pub mod tax;

pub use plain::NoTerm;

pub use price::{CurrentPrice, PriceEvent, PriceList, PriceSet};
pub use product::{Content, Handle, Media, Product, Put, Status, Variant};

use product::Products;
use souk_contracts::terms::{Market, ProductId, Sku};
use souk_decider::RecordEvent;
use souk_kernel::{Code, Money, Rejection, Timestamp};

/// The handle is another product's than the one that was meant, because somebody created that meanwhile. Who
/// puts by handle looks again and means that one.
pub const HANDLE_TAKEN: &str = "HANDLE_TAKEN";
/// A SKU belongs to another product, for ever.
pub const SKU_TAKEN: &str = "SKU_TAKEN";
/// The product was archived and stays so.
pub const PRODUCT_ARCHIVED: &str = "PRODUCT_ARCHIVED";
/// No product has this SKU, or the caller cannot see it.
pub const UNKNOWN_SKU: &str = "UNKNOWN_SKU";
/// The caller saw an older version of the product.
pub const VERSION_MISMATCH: &str = "VERSION_MISMATCH";

/// Claims handle → product, for ever.
pub const HANDLE_SCOPE: &str = "handle";
/// Claims SKU → product, for ever: also after the product was archived or gave the SKU up.
pub const SKU_SCOPE: &str = "sku";

/// A product's wanted state with the prices that come along.
#[derive(Debug, Clone, PartialEq)]
pub struct PutProduct {
    /// The product itself.
    pub product: Put,
    /// Prices as of now. One that equals the current price changes nothing; one that is left out stays.
    pub prices: Vec<(Sku, Market, Money)>,
}

/// What [`put_product`] looks at besides the product.
pub trait Shelf {
    /// Which product has the handle, if one does.
    fn has_handle(&self, handle: &Handle) -> Option<&str>;
    /// Which product owns the SKU, if one does.
    fn owner(&self, sku: &Sku) -> Option<&str>;
    /// The SKU's prices.
    fn prices(&self, sku: &Sku) -> PriceList;
}

/// What putting a product makes happen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PutDecided {
    /// Events of the product's stream.
    pub product: Vec<RecordEvent<Product>>,
    /// Events of the price streams, by SKU; no SKU stands twice and none is empty.
    pub prices: Vec<(Sku, Vec<PriceEvent>)>,
    /// SKUs to claim for the product.
    pub claims: Vec<Sku>,
}

/// Creates or replaces a product with its prices, all or nothing.
///
/// # Errors
/// `HANDLE_TAKEN`, `SKU_TAKEN`, `PRODUCT_ARCHIVED` or `VERSION_MISMATCH`.
pub fn put_product(
    record: &Products,
    shelf: &impl Shelf,
    wanted: &PutProduct,
    now: Timestamp,
) -> Result<PutDecided, Rejection> {
    check_handle(shelf, &wanted.product)?;
    let claims = unclaimed(shelf, wanted)?;
    let product = product::put(record, &wanted.product)?;
    let mut prices = Vec::new();
    // The prices of one SKU stand together, as they were read.
    for group in wanted.prices.chunk_by(|(a, ..), (b, ..)| a == b) {
        let sku = &group[0].0;
        let mut list = shelf.prices(sku);
        let mut events = Vec::new();
        for (sku, market, amount) in group {
            let set = price::set_price(&list, sku, market, *amount, now);
            set.iter().for_each(|event| souk_decider::Aggregate::evolve(&mut list, event));
            events.extend(set);
        }
        if !events.is_empty() {
            prices.push((sku.clone(), events));
        }
    }
    Ok(PutDecided { product, prices, claims })
}

/// Stands before the SKUs: those of the product that has the handle are no conflict but its own.
fn check_handle(shelf: &impl Shelf, put: &Put) -> Result<(), Rejection> {
    match shelf.has_handle(&put.handle) {
        Some(owner) if owner != put.id.to_string() => {
            let message = format!("handle {} belongs to another product ({owner})", put.handle);
            Err(Rejection::new(HANDLE_TAKEN, message).code(Code::AlreadyExists).with("product_id", owner))
        }
        Some(_) | None => Ok(()),
    }
}

/// The SKUs that are nobody's yet; another product's are refused.
fn unclaimed(shelf: &impl Shelf, wanted: &PutProduct) -> Result<Vec<Sku>, Rejection> {
    let own = wanted.product.id.to_string();
    let mut unclaimed = Vec::new();
    for variant in &wanted.product.content.variants {
        match shelf.owner(&variant.sku) {
            Some(owner) if owner == own => {}
            Some(owner) => return Err(sku_taken(&variant.sku, owner)),
            None => unclaimed.push(variant.sku.clone()),
        }
    }
    Ok(unclaimed)
}

/// The refusal of a SKU that another product owns.
pub fn sku_taken(sku: &Sku, owner: &str) -> Rejection {
    Rejection::new(SKU_TAKEN, format!("SKU {sku} belongs to another product ({owner}) and is never reused"))
        .code(Code::AlreadyExists)
        .with("sku", sku)
        .with("product_id", owner)
}

/// The refusal of a SKU that nobody has.
pub fn unknown_sku(sku: &Sku) -> Rejection {
    Rejection::new(UNKNOWN_SKU, format!("there is no SKU {sku}")).code(Code::NotFound).with("sku", sku)
}

/// A new price for a SKU that some product has or had.
///
/// # Errors
/// `UNKNOWN_SKU`.
pub fn set_price(
    owner: Option<&str>,
    prices: &PriceList,
    (sku, market, amount): (&Sku, &Market, Money),
    now: Timestamp,
) -> Result<Vec<PriceEvent>, Rejection> {
    let known = owner.and_then(|owner| owner.parse::<ProductId>().ok());
    known.ok_or_else(|| unknown_sku(sku))?;
    Ok(price::set_price(prices, sku, market, amount, now))
}

#[cfg(test)]
mod tests;
