//! Which column says what. Names are read leniently: case, spaces and punctuation do not count, and the newer
//! names that Shopify gives the same columns are known too.
use super::problem::{Problem, shown};
use super::{HomeMarket, markets};
use csv::StringRecord;
use souk_contracts::terms::Market;
use souk_kernel::Currency;
use std::collections::{BTreeMap, BTreeSet};

/// How many options tell the variants of a product apart at most.
pub(super) const OPTIONS_MAX: usize = 3;

/// Everything that a file may say besides prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Handle,
    Title,
    Body,
    Vendor,
    Category,
    Type,
    Tags,
    Published,
    OptionName(usize),
    OptionValue(usize),
    Sku,
    VariantTitle,
    Quantity,
    ImageSrc,
    ImagePosition,
    ImageAlt,
    Status,
}

/// Without these a file says nothing that can be sold.
const REQUIRED: [(Column, &str); 3] =
    [(Column::Handle, "Handle"), (Column::Title, "Title"), (Column::Sku, "Variant SKU")];

/// A column of prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PriceColumn {
    pub(super) place: usize,
    pub(super) market: Market,
    pub(super) currency: Currency,
}

/// The first row, understood.
#[derive(Debug)]
pub(super) struct Header {
    names: Vec<String>,
    places: BTreeMap<Column, usize>,
    pub(super) prices: Vec<PriceColumn>,
    /// The names of columns that say nothing to Souk.
    pub(super) ignored: Vec<String>,
}

/// What a header's name stands for.
enum Meaning {
    One(Column),
    Price(Market, Currency),
    Nothing,
    Unclear(String),
}

impl Header {
    /// Reads the first row.
    pub(super) fn read(row: &StringRecord, home: &HomeMarket) -> Result<Self, Vec<Problem>> {
        let name = |(i, name): (usize, &str)| {
            let name = if i == 0 { name.trim_start_matches('\u{feff}') } else { name };
            name.trim().to_owned()
        };
        let names: Vec<String> = row.iter().enumerate().map(name).collect();
        let mut header = Self { names, places: BTreeMap::new(), prices: Vec::new(), ignored: Vec::new() };
        let mut problems = Vec::new();
        for place in 0..header.names.len() {
            if let Err(sentence) = header.place(place, home) {
                problems.push(Problem { row: 1, column: header.names[place].clone(), sentence });
            }
        }
        problems.extend(header.missing(row));
        if problems.is_empty() { Ok(header) } else { Err(problems) }
    }

    fn place(&mut self, place: usize, home: &HomeMarket) -> Result<(), String> {
        let name = self.names[place].clone();
        match meaning(&plain(&name), home) {
            Meaning::One(column) => {
                if let Some(first) = self.places.insert(column, place) {
                    return Err(format!(
                        "says the same as column {}, {}",
                        first + 1,
                        shown(&self.names[first])
                    ));
                }
            }
            Meaning::Price(market, currency) => {
                self.prices.push(PriceColumn { place, market, currency });
            }
            Meaning::Nothing if name.is_empty() => {}
            Meaning::Nothing => self.ignored.push(name),
            Meaning::Unclear(sentence) => return Err(sentence),
        }
        Ok(())
    }

    fn missing(&self, row: &StringRecord) -> Vec<Problem> {
        let missing = |(column, _): &&(Column, &str)| !self.places.contains_key(column);
        let semicolons = row.len() == 1 && row[0].contains(';');
        let hint =
            if semicolons { "; save the file with commas between columns, not semicolons" } else { "" };
        let problem = |(_, name): &(Column, &str)| Problem {
            row: 1,
            column: (*name).to_owned(),
            sentence: format!("there is no such column{hint}"),
        };
        REQUIRED.iter().filter(missing).map(problem).collect()
    }

    /// How many columns there are.
    pub(super) fn width(&self) -> usize {
        self.names.len()
    }

    /// The name of the column at a place, as the file writes it.
    pub(super) fn name_at(&self, place: usize) -> &str {
        self.names.get(place).map_or("row", String::as_str)
    }

    /// The name of a column as the file writes it, or as it would.
    pub(super) fn name(&self, column: Column) -> String {
        match self.places.get(&column) {
            Some(place) => self.names[*place].clone(),
            None => usual_name(column),
        }
    }

    /// What a row says in a column; nothing, when the file has no such column or the row ends before it.
    pub(super) fn cell<'a>(&self, row: &'a StringRecord, column: Column) -> &'a str {
        self.places.get(&column).and_then(|place| row.get(*place)).unwrap_or("")
    }

    /// The markets that have prices.
    pub(super) fn markets(&self) -> BTreeSet<&Market> {
        self.prices.iter().map(|column| &column.market).collect()
    }
}

/// A name without what does not count: lower case, one space between words.
fn plain(name: &str) -> String {
    let only_words: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    only_words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn meaning(name: &str, home: &HomeMarket) -> Meaning {
    let column = match name {
        "handle" | "url handle" => Column::Handle,
        "title" => Column::Title,
        "body html" | "body" | "description" => Column::Body,
        "vendor" => Column::Vendor,
        "product category" | "standard product type" => Column::Category,
        "type" | "product type" | "custom product type" => Column::Type,
        "tags" => Column::Tags,
        "published" | "published on online store" => Column::Published,
        "option1 name" => Column::OptionName(0),
        "option2 name" => Column::OptionName(1),
        "option3 name" => Column::OptionName(2),
        "option1 value" => Column::OptionValue(0),
        "option2 value" => Column::OptionValue(1),
        "option3 value" => Column::OptionValue(2),
        "variant sku" | "sku" => Column::Sku,
        "variant title" => Column::VariantTitle,
        "variant inventory qty" | "variant inventory quantity" | "inventory quantity" => Column::Quantity,
        "image src" | "product image url" => Column::ImageSrc,
        "image position" => Column::ImagePosition,
        "image alt text" => Column::ImageAlt,
        "status" => Column::Status,
        other => return price_meaning(other, home),
    };
    Meaning::One(column)
}

/// `variant price`, `variant price usd`, `price us usd`, `price united states`.
fn price_meaning(name: &str, home: &HomeMarket) -> Meaning {
    let words = name.strip_prefix("variant ").unwrap_or(name);
    let Some(words) = words.strip_prefix("price") else { return Meaning::Nothing };
    if words.is_empty() {
        return Meaning::Price(home.market.clone(), home.currency);
    }
    let Some(words) = words.strip_prefix(' ') else { return Meaning::Nothing };
    let (place, last) = words.rsplit_once(' ').unwrap_or(("", words));
    match Currency::parse(&last.to_ascii_uppercase()) {
        Some(currency) if place.is_empty() && currency == home.currency => {
            Meaning::Price(home.market.clone(), currency)
        }
        Some(currency) if place.is_empty() => match markets::market_of(currency) {
            Some(market) => Meaning::Price(market, currency),
            None => Meaning::Unclear(format!(
                "more than one market uses {currency}; name the column after one, such as \"Price / DE ({currency})\""
            )),
        },
        Some(currency) => match markets::market(place) {
            Some(market) => Meaning::Price(market, currency),
            None => Meaning::Unclear(format!(
                "{} is no country that Souk knows; use its two-letter code",
                shown(place)
            )),
        },
        None => {
            match markets::market(words).and_then(|market| Some((markets::currency_of(&market)?, market))) {
                Some((currency, market)) => Meaning::Price(market, currency),
                None => Meaning::Nothing,
            }
        }
    }
}

/// What a column is called in files that Souk writes.
pub(super) fn usual_name(column: Column) -> String {
    let name = match column {
        Column::Handle => "Handle",
        Column::Title => "Title",
        Column::Body => "Body (HTML)",
        Column::Vendor => "Vendor",
        Column::Category => "Product Category",
        Column::Type => "Type",
        Column::Tags => "Tags",
        Column::Published => "Published",
        Column::OptionName(index) => return format!("Option{} Name", index + 1),
        Column::OptionValue(index) => return format!("Option{} Value", index + 1),
        Column::Sku => "Variant SKU",
        Column::VariantTitle => "Variant Title",
        Column::Quantity => "Variant Inventory Qty",
        Column::ImageSrc => "Image Src",
        Column::ImagePosition => "Image Position",
        Column::ImageAlt => "Image Alt Text",
        Column::Status => "Status",
    };
    name.to_owned()
}
