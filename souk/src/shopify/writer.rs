//! Writes products as the file that [`super::read`] reads.
//!
//! What was written and is read again is the same, with one exception that the format forces: a product whose
//! one option is called "Title" and has the value "Default Title" comes back without options.
use super::columns::{Column, OPTIONS_MAX, usual_name};
use super::draft::{NO_OPTION, join_tags};
use super::{HomeMarket, Product, Status, body, price};
use souk_contracts::terms::Market;
use souk_kernel::Currency;
use std::collections::BTreeSet;

/// A column of the file.
enum Cell {
    Said(Column),
    Price(Market, Currency),
}

/// The products as a file. Prices of the home market stand under "Variant Price".
pub fn write(products: &[Product], home: &HomeMarket) -> Vec<u8> {
    let cells = cells(products, home);
    let mut file = csv::Writer::from_writer(Vec::new());
    // Writing into memory cannot fail, and every row has as many cells as the header.
    const CANNOT_FAIL: &str = "memory takes every row";
    file.write_record(cells.iter().map(|cell| name(cell, home))).expect(CANNOT_FAIL);
    for product in products {
        for row in 0..product.variants.len().max(product.media.len()) {
            file.write_record(cells.iter().map(|cell| text(cell, product, row))).expect(CANNOT_FAIL);
        }
    }
    file.into_inner().expect(CANNOT_FAIL)
}

fn cells(products: &[Product], home: &HomeMarket) -> Vec<Cell> {
    let variants = || products.iter().flat_map(|product| &product.variants);
    let mut columns = vec![
        Column::Handle,
        Column::Title,
        Column::Body,
        Column::Vendor,
        Column::Category,
        Column::Type,
        Column::Tags,
        Column::Published,
    ];
    columns.extend((0..OPTIONS_MAX).flat_map(|i| [Column::OptionName(i), Column::OptionValue(i)]));
    columns.push(Column::Sku);
    if variants().any(|variant| !variant.title.is_empty()) {
        columns.push(Column::VariantTitle);
    }
    columns.push(Column::Quantity);
    let prices = variants().flat_map(|variant| &variant.prices);
    let mut markets: BTreeSet<_> =
        prices.map(|(market, amount)| (market.clone(), amount.currency())).collect();
    markets.remove(&(home.market.clone(), home.currency));
    let images = [Column::ImageSrc, Column::ImagePosition, Column::ImageAlt, Column::Status];
    let said = columns.into_iter().map(Cell::Said);
    let home = std::iter::once(Cell::Price(home.market.clone(), home.currency));
    let prices = markets.into_iter().map(|(market, currency)| Cell::Price(market, currency));
    said.chain(home).chain(prices).chain(images.map(Cell::Said)).collect()
}

fn name(cell: &Cell, home: &HomeMarket) -> String {
    match cell {
        Cell::Said(column) => usual_name(*column),
        Cell::Price(market, currency) if *market == home.market && *currency == home.currency => {
            "Variant Price".to_owned()
        }
        Cell::Price(market, currency) => format!("Price / {market} ({currency})"),
    }
}

/// What a product's row says in a column. The product as a whole is described in its first row only.
fn text(cell: &Cell, product: &Product, row: usize) -> String {
    let variant = product.variants.get(row);
    let media = product.media.get(row);
    let of_variant = |text: Option<&String>| text.cloned().unwrap_or_default();
    let of_product = |text: &dyn Fn() -> String| if row == 0 { text() } else { String::new() };
    let column = match cell {
        Cell::Said(column) => *column,
        Cell::Price(market, currency) => {
            let amount = variant.and_then(|variant| variant.prices.get(market));
            return amount
                .filter(|a| a.currency() == *currency)
                .map(|a| price::format(*a))
                .unwrap_or_default();
        }
    };
    match column {
        Column::Handle => product.handle.clone(),
        Column::OptionValue(i) if product.options.is_empty() => {
            if i == 0 && variant.is_some() {
                NO_OPTION.1.to_owned()
            } else {
                String::new()
            }
        }
        Column::OptionValue(i) => of_variant(variant.and_then(|variant| variant.option_values.get(i))),
        Column::Sku => variant.map(|variant| variant.sku.to_string()).unwrap_or_default(),
        Column::VariantTitle => of_variant(variant.map(|variant| &variant.title)),
        Column::Quantity => {
            variant.and_then(|variant| variant.stock).map(|n| n.to_string()).unwrap_or_default()
        }
        Column::ImageSrc => of_variant(media.map(|media| &media.url)),
        Column::ImagePosition => media.map(|_| (row + 1).to_string()).unwrap_or_default(),
        Column::ImageAlt => of_variant(media.map(|media| &media.alt)),
        Column::Title => of_product(&|| product.title.clone()),
        Column::Body => of_product(&|| body::to_html(&product.description)),
        Column::Vendor => of_product(&|| product.vendor.clone()),
        // The taxonomy is not kept apart from the other categories.
        Column::Category => String::new(),
        Column::Type => of_product(&|| product.categories.first().cloned().unwrap_or_default()),
        Column::Tags => of_product(&|| join_tags(product.categories.get(1..).unwrap_or_default())),
        Column::Published => of_product(&|| published(product.status).to_owned()),
        Column::OptionName(i) => of_product(&|| option_name(product, i)),
        Column::Status => of_product(&|| status(product.status).to_owned()),
    }
}

fn option_name(product: &Product, index: usize) -> String {
    match product.options.get(index) {
        Some(name) => name.clone(),
        None if index == 0 => NO_OPTION.0.to_owned(),
        None => String::new(),
    }
}

fn published(status: Status) -> &'static str {
    match status {
        Status::Published => "TRUE",
        Status::Unpublished | Status::Draft => "FALSE",
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Published | Status::Unpublished => "active",
        Status::Draft => "draft",
    }
}
