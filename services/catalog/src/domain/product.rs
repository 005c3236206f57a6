//! A product and its lifecycle: DRAFT → PUBLISHED ⇄ UNPUBLISHED → ARCHIVED. A product is a ready-made record;
//! what this adds is the status, and that a product is never created twice.
use super::tax::TaxClass;
use super::{PRODUCT_ARCHIVED, VERSION_MISMATCH};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{ProductId, Sku};
use souk_decider::{Document, Record, RecordCommand, RecordEvent};
use souk_kernel::{Code, Rejection};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest handle.
pub const HANDLE_BYTES_MAX: usize = 100;

/// A product's name in URLs: lower-case letters, digits and hyphens, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle(Arc<str>);

impl Handle {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoHandle;

impl fmt::Display for NoHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "must be 1 to {HANDLE_BYTES_MAX} lower-case letters, digits and hyphens, and not begin with a hyphen"
        )
    }
}

impl std::error::Error for NoHandle {}

impl FromStr for Handle {
    type Err = NoHandle;
    fn from_str(text: &str) -> Result<Self, NoHandle> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (1..=HANDLE_BYTES_MAX).contains(&text.len());
        let begins = text.bytes().next().is_some_and(plain);
        if fits && begins && text.bytes().all(|b| plain(b) || b == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(NoHandle)
        }
    }
}

impl TryFrom<String> for Handle {
    type Error = NoHandle;
    fn try_from(text: String) -> Result<Self, NoHandle> {
        text.parse()
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0.as_ref().to_owned()
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a product that is not archived stands. Archived is the record's own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Customers have never seen it.
    Draft,
    /// Customers see it.
    Published,
    /// Customers saw it before.
    Unpublished,
}

/// What the shop sells. Cheap to clone: what staff writes about it is shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Its name in URLs; it never changes.
    pub handle: Handle,
    /// Whether customers see it.
    pub status: Status,
    /// What staff writes about it.
    pub content: Arc<Content>,
}

/// What staff writes about a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// What customers call it.
    pub title: String,
    /// A text about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The categories it stands in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// The names of the options that tell its variants apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What can be bought.
    pub variants: Vec<Variant>,
    /// Pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// Who makes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// How its variants are taxed, if not as most things. In a wish: if not as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_class: Option<TaxClass>,
}

/// One thing that can be bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Its SKU.
    pub sku: Sku,
    /// Its own title; empty when the option values say it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// One value per option of the product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub option_values: Vec<String>,
    /// How it is taxed, if not as the product says. In a wish: if not as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_class: Option<TaxClass>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// Where it is.
    pub url: String,
    /// What it shows, for those who cannot see it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alt: String,
}

impl Content {
    /// A variant's title: its own, else its option values, else the product's.
    pub fn variant_title(&self, variant: &Variant) -> String {
        if variant.title.is_empty() { self.implied_title(variant) } else { variant.title.clone() }
    }

    fn implied_title(&self, variant: &Variant) -> String {
        match variant.option_values.as_slice() {
            [] => self.title.clone(),
            values => values.join(" / "),
        }
    }

    /// The same, with a title of its own only for a variant that would have another one without. So whoever
    /// writes back what was shown changes nothing, and a title that follows from the rest goes on doing so.
    #[must_use]
    pub fn without_implied_titles(mut self) -> Self {
        let mut variants = std::mem::take(&mut self.variants);
        for variant in &mut variants {
            if variant.title == self.implied_title(variant) {
                variant.title.clear();
            }
        }
        Self { variants, ..self }
    }

    /// How a product is taxed, where its variants say nothing else.
    pub fn class(&self) -> TaxClass {
        self.tax_class.clone().unwrap_or_else(TaxClass::standard)
    }

    /// How a variant is taxed.
    pub fn class_of(&self, variant: &Variant) -> TaxClass {
        variant.tax_class.clone().unwrap_or_else(|| self.class())
    }

    /// Whether it says anything about taxes.
    fn says_class(&self) -> bool {
        self.tax_class.is_some() || self.variants.iter().any(|variant| variant.tax_class.is_some())
    }

    /// The same, with the tax classes from before where it says none: who writes a product and knows nothing of
    /// taxes, as an import does, must not change them. Classes that follow from the rest are not kept.
    #[must_use]
    pub fn with_classes_of(mut self, before: Option<&Content>) -> Self {
        let own_of = |sku: &Sku| {
            let same = before.and_then(|before| before.variants.iter().find(|variant| variant.sku == *sku));
            same.and_then(|variant| variant.tax_class.clone())
        };
        let kept = before.and_then(|before| before.tax_class.clone());
        self.tax_class = self.tax_class.or(kept).filter(|class| !class.is_standard());
        let class = self.class();
        for variant in &mut self.variants {
            let own = variant.tax_class.take().or_else(|| own_of(&variant.sku));
            variant.tax_class = own.filter(|own| *own != class);
        }
        self
    }

    /// Product and variant in one title, as carts, quotes and orders show it.
    pub fn sold_title(&self, variant: &Variant) -> String {
        let own = self.variant_title(variant);
        if own == self.title { own } else { format!("{}, {own}", self.title) }
    }
}

impl Document for Product {
    const NAME: &'static str = "Product";
    const CATEGORY: &'static str = "product";
}

/// A product's state.
pub type Products = Record<Product>;

/// The wanted state of the product that has, or is to have, this id and handle.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The product's id.
    pub id: ProductId,
    /// The product's handle.
    pub handle: Handle,
    /// What staff writes about it.
    pub content: Arc<Content>,
    /// Whether customers see it.
    pub published: bool,
    /// The version that the caller saw.
    pub expected: Option<u64>,
}

/// Creates or replaces a product; the same again changes nothing.
///
/// # Errors
/// `PRODUCT_ARCHIVED` or `VERSION_MISMATCH`.
pub fn put(record: &Products, wanted: &Put) -> Result<Vec<RecordEvent<Product>>, Rejection> {
    let before = present(record)?;
    let document = Product {
        id: wanted.id,
        handle: wanted.handle.clone(),
        status: status(before.map(|product| product.status), wanted.published),
        content: classified(&wanted.content, before.map(|product| &*product.content)),
    };
    match before {
        Some(_) => record.decide(RecordCommand::Replace { expected: wanted.expected, document }),
        None if wanted.expected.is_some_and(|expected| expected != 0) => Err(version_mismatch(0)),
        None => record.decide(RecordCommand::Create(document)),
    }
}

/// Shared with the wish where nobody says anything about taxes, which is the most.
fn classified(wanted: &Arc<Content>, before: Option<&Content>) -> Arc<Content> {
    let anything = wanted.says_class() || before.is_some_and(Content::says_class);
    if anything { Arc::new(Content::clone(wanted).with_classes_of(before)) } else { Arc::clone(wanted) }
}

/// Shows a product to customers or hides it from them. A draft is hidden already.
///
/// # Errors
/// `PRODUCT_ARCHIVED`, or `NOT_FOUND` when there is none.
pub fn show(record: &Products, published: bool) -> Result<Vec<RecordEvent<Product>>, Rejection> {
    let Some(before) = present(record)? else {
        return Err(not_found());
    };
    let document = Product { status: status(Some(before.status), published), ..before.clone() };
    record.decide(RecordCommand::Replace { expected: None, document })
}

/// Retires a product for ever; saying so twice is fine.
///
/// # Errors
/// `NOT_FOUND` when there is none.
pub fn archive(record: &Products) -> Result<Vec<RecordEvent<Product>>, Rejection> {
    match record {
        Record::Absent => Err(not_found()),
        Record::Present { .. } | Record::Retired { .. } => record.decide(RecordCommand::Retire),
    }
}

fn status(before: Option<Status>, published: bool) -> Status {
    match before {
        _ if published => Status::Published,
        None => Status::Draft,
        Some(Status::Draft) => Status::Draft,
        Some(Status::Published | Status::Unpublished) => Status::Unpublished,
    }
}

fn present(record: &Products) -> Result<Option<&Product>, Rejection> {
    match record {
        Record::Absent => Ok(None),
        Record::Present { document, .. } => Ok(Some(document)),
        Record::Retired { last, .. } => Err(Rejection::new(
            PRODUCT_ARCHIVED,
            format!("product {} is archived and stays so; its handle is never reused", last.handle),
        )
        .with("handle", &last.handle)),
    }
}

fn not_found() -> Rejection {
    Rejection::new("NOT_FOUND", "the product was not found").code(Code::NotFound)
}

fn version_mismatch(version: u64) -> Rejection {
    Rejection::new(
        VERSION_MISMATCH,
        format!("the product has changed since you read it: it is at version {version}"),
    )
    .code(Code::Aborted)
    .with("version", version)
}
