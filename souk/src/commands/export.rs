//! `souk export`: the catalogue as a product file.
use super::import::Home;
use super::import::stock::{Level, levels};
use super::reach::Place;
use crate::failure::{Failure, exit};
use crate::output::{self, counted};
use crate::rest::{Rest, encode, patiently};
use crate::shopify::{self, Product};
use clap::Args;
use souk_contracts::terms::Sku;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Products of one page: so few that a page of the largest products is still an answer that is read.
const PAGE_SIZE: usize = 50;
/// Pages of one list; a shop that goes on after so many is going in circles.
const PAGES_MAX: usize = 100_000;

/// The products that a file can hold. Archived ones never come back, so they are left out.
const STATUSES: [&str; 3] =
    ["PRODUCT_STATUS_PUBLISHED", "PRODUCT_STATUS_UNPUBLISHED", "PRODUCT_STATUS_DRAFT"];

/// Write the catalogue as a Shopify-format CSV file.
///
/// Importing the file into the same shop changes nothing. When no shop listens, the one in the data folder is
/// started meanwhile. Example: souk export products.csv
#[derive(Args)]
pub struct Export {
    /// The file; - writes to standard output
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    home: Home,
}

impl Export {
    /// Asks the shop for all of its products and writes them.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let products = super::up::runtime()?.block_on(async {
            let reached = self.place.reach(file).await?;
            let products = catalogue(&reached.rest).await;
            reached.leave().await;
            products
        })?;
        let text = shopify::write(&products, &self.home.into());
        if self.file == Path::new("-") {
            output::print(std::str::from_utf8(&text).expect("a file made of text is text"));
        } else {
            replace(&self.file, &text)?;
        }
        let variants: usize = products.iter().map(|product| product.variants.len()).sum();
        output::note(&format!(
            "wrote {} in {}",
            counted(products.len(), "product"),
            counted(variants, "variant")
        ));
        Ok(())
    }
}

/// Writes beside the file and renames: whoever reads it sees the old one or the new one, never half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| Failure::io(format!("{} cannot be written", path.display()), error))
}

/// Every product that is not archived, by handle, with its stock.
pub async fn catalogue(rest: &Rest) -> Result<Vec<Product>, Failure> {
    // One that is published while the lists are read may stand in two of them.
    let mut products = BTreeMap::new();
    for status in STATUSES {
        for product in list(rest, status).await? {
            products.insert(product.handle.clone(), product);
        }
    }
    let mut products: Vec<Product> = products.into_values().collect();
    let levels = {
        let skus: Vec<&Sku> = products.iter().flat_map(|p| &p.variants).map(|variant| &variant.sku).collect();
        levels(rest, &skus).await?
    };
    for variant in products.iter_mut().flat_map(|product| &mut product.variants) {
        variant.stock = match levels.get(variant.sku.as_str()) {
            Some(Level::OnHand(pieces)) => Some(*pieces),
            Some(Level::Unknown) | None => None,
        };
    }
    Ok(products)
}

async fn list(rest: &Rest, status: &str) -> Result<Vec<Product>, Failure> {
    let mut products = Vec::new();
    let mut token = String::new();
    for _ in 0..PAGES_MAX {
        let path =
            format!("/api/v1/products?status={status}&pageSize={PAGE_SIZE}&pageToken={}", encode(&token));
        let page = patiently(|| rest.get(&path)).await?.body;
        for product in page["products"].as_array().into_iter().flatten() {
            products.push(shopify::from_json(product).map_err(|error| Failure::new(exit::GENERIC, error))?);
        }
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Ok(products);
        }
    }
    Err(Failure::new(exit::GENERIC, "the shop's list of products does not end"))
}
