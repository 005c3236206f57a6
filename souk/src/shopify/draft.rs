//! A product while its rows are being read, and what must hold once all of them are.
//!
//! The limits are the catalog's own. They are checked here as well, so that a file is refused as a whole and
//! before anything is written.
use super::columns::{Column, Header, OPTIONS_MAX};
use super::problem::{Problem, shown};
use super::{Media, Product, Status, Variant, body};
use csv::StringRecord;
use souk_contracts::terms::{Market, Sku};
use souk_kernel::Money;
use std::collections::{BTreeMap, HashMap};

const TITLE_CHARS_MAX: usize = 300;
const DESCRIPTION_CHARS_MAX: usize = 20_000;
const NAME_CHARS_MAX: usize = 100;
const CATEGORIES_MAX: usize = 20;
const VARIANTS_MAX: usize = 250;
const MEDIA_MAX: usize = 50;

/// What Shopify writes into the options of a product that has none.
pub(super) const NO_OPTION: (&str, &str) = ("Title", "Default Title");

/// What one row of a product can say for all of them.
const PRODUCT_COLUMNS: [Column; 11] = [
    Column::Title,
    Column::Body,
    Column::Vendor,
    Column::Category,
    Column::Type,
    Column::Tags,
    Column::Published,
    Column::OptionName(0),
    Column::OptionName(1),
    Column::OptionName(2),
    Column::Status,
];

/// A product as far as its rows have been read. They need not stand together.
pub(super) struct Draft {
    row: u64,
    handle: String,
    said: BTreeMap<Column, (u64, String)>,
    /// Rows with a variant, faulty ones included.
    pub(super) variant_rows: usize,
    pub(super) variants: Vec<DraftVariant>,
    /// Row, position, picture.
    pub(super) images: Vec<(u64, u32, Media)>,
}

/// A variant before the options of its product are known.
pub(super) struct DraftVariant {
    pub(super) row: u64,
    pub(super) sku: Sku,
    pub(super) title: String,
    pub(super) values: Vec<String>,
    pub(super) prices: BTreeMap<Market, Money>,
    pub(super) stock: Option<i64>,
}

/// Collects problems under the names that the file gives its columns.
struct Problems<'a> {
    header: &'a Header,
    list: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, row: u64, column: Column, sentence: String) {
        self.list.push(Problem { row, column: self.header.name(column), sentence });
    }

    /// One line of text of so many characters.
    fn check_line(&mut self, (row, column): (u64, Column), text: &str, most: usize) {
        if text.chars().count() > most {
            self.add(row, column, format!("{} has more than {most} characters", shown(text)));
        } else if text.chars().any(char::is_control) {
            self.add(
                row,
                column,
                format!("{} contains a line break or another control character", shown(text)),
            );
        }
    }
}

impl Draft {
    pub(super) fn new(row: u64, handle: &str) -> Self {
        Self {
            row,
            handle: handle.to_owned(),
            said: BTreeMap::new(),
            variant_rows: 0,
            variants: Vec::new(),
            images: Vec::new(),
        }
    }

    /// Takes what a row says about the product as a whole; saying it on every row is fine.
    pub(super) fn say(&mut self, row: u64, cells: &StringRecord, header: &Header) -> Vec<Problem> {
        let mut problems = Problems { header, list: Vec::new() };
        for column in PRODUCT_COLUMNS {
            let text = header.cell(cells, column);
            if text.is_empty() {
                continue;
            }
            let (first, before) = self.said.entry(column).or_insert_with(|| (row, text.to_owned()));
            let is_word = matches!(column, Column::Published | Column::Status);
            if before != text && !(is_word && before.eq_ignore_ascii_case(text)) {
                let sentence = format!("{} is not what row {first} says of the same product", shown(text));
                problems.add(row, column, sentence);
            }
        }
        problems.list
    }

    pub(super) fn is_archived(&self) -> bool {
        self.text(Column::Status).trim().eq_ignore_ascii_case("archived")
    }

    fn text(&self, column: Column) -> &str {
        self.said.get(&column).map_or("", |(_, text)| text)
    }

    /// The row that says it, else the first.
    fn row_of(&self, column: Column) -> u64 {
        self.said.get(&column).map_or(self.row, |(row, _)| *row)
    }

    /// The product, and what is wrong with it.
    pub(super) fn finish(mut self, header: &Header) -> (Product, Vec<Problem>) {
        let mut problems = Problems { header, list: Vec::new() };
        let title = self.title(&mut problems);
        let description = self.description(&mut problems);
        let categories = self.categories(&mut problems);
        let status = self.status(&mut problems);
        let vendor = self.text(Column::Vendor).to_owned();
        problems.check_line((self.row_of(Column::Vendor), Column::Vendor), &vendor, NAME_CHARS_MAX);
        let options = self.options(&mut problems);
        let variants = self.finish_variants(&options, &mut problems);
        let media = self.finish_media(&mut problems);
        let handle = self.handle;
        let product =
            Product { handle, title, description, vendor, categories, options, variants, media, status };
        (product, problems.list)
    }

    fn title(&self, problems: &mut Problems<'_>) -> String {
        let title = self.text(Column::Title).to_owned();
        if title.is_empty() {
            problems.add(
                self.row,
                Column::Title,
                format!("no row of {} says what it is called", self.handle),
            );
        }
        problems.check_line((self.row_of(Column::Title), Column::Title), &title, TITLE_CHARS_MAX);
        title
    }

    fn description(&self, problems: &mut Problems<'_>) -> String {
        let text = body::to_text(self.text(Column::Body));
        let row = self.row_of(Column::Body);
        if text.chars().count() > DESCRIPTION_CHARS_MAX {
            let sentence = format!("the text has more than {DESCRIPTION_CHARS_MAX} characters");
            problems.add(row, Column::Body, sentence);
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            problems.add(row, Column::Body, "the text contains control characters".to_owned());
        }
        text
    }

    /// The levels of the taxonomy, then the type, then the tags: what a customer might look under.
    fn categories(&self, problems: &mut Problems<'_>) -> Vec<String> {
        let levels =
            self.text(Column::Category).split('>').map(|level| (Column::Category, level.trim().to_owned()));
        let kind = std::iter::once((Column::Type, self.text(Column::Type).to_owned()));
        let tags = tags(self.text(Column::Tags)).into_iter().map(|tag| (Column::Tags, tag));
        let mut categories: Vec<String> = Vec::new();
        for (column, name) in levels.chain(kind).chain(tags) {
            if name.is_empty() || categories.contains(&name) {
                continue;
            }
            problems.check_line((self.row_of(column), column), &name, NAME_CHARS_MAX);
            categories.push(name);
        }
        if categories.len() > CATEGORIES_MAX {
            let sentence = format!(
                "category, type and tags name {} categories; the most is {CATEGORIES_MAX}",
                categories.len()
            );
            problems.add(self.row_of(Column::Tags), Column::Tags, sentence);
        }
        categories
    }

    fn status(&self, problems: &mut Problems<'_>) -> Status {
        let published = match self.text(Column::Published).trim().to_ascii_lowercase().as_str() {
            "" | "true" | "yes" | "1" => true,
            "false" | "no" | "0" => false,
            other => {
                let sentence = format!("{} is neither TRUE nor FALSE", shown(other));
                problems.add(self.row_of(Column::Published), Column::Published, sentence);
                false
            }
        };
        match self.text(Column::Status).trim().to_ascii_lowercase().as_str() {
            "" | "active" if published => Status::Published,
            "" | "active" => Status::Unpublished,
            "draft" | "archived" => Status::Draft,
            other => {
                let sentence = format!("{} is neither active nor draft nor archived", shown(other));
                problems.add(self.row_of(Column::Status), Column::Status, sentence);
                Status::Draft
            }
        }
    }

    fn options(&self, problems: &mut Problems<'_>) -> Vec<String> {
        let names: Vec<&str> = (0..OPTIONS_MAX).map(|i| self.text(Column::OptionName(i))).collect();
        if self.has_no_options(&names) {
            return Vec::new();
        }
        let used =
            |i: &usize| !names[*i].is_empty() || self.variants.iter().any(|v| !v.values[*i].is_empty());
        let count = (0..OPTIONS_MAX).filter(used).max().map_or(0, |last| last + 1);
        for (i, name) in names.iter().enumerate().take(count) {
            let (column, row) = (Column::OptionName(i), self.row_of(Column::OptionName(i)));
            problems.check_line((row, column), name, NAME_CHARS_MAX);
            if name.is_empty() {
                problems.add(row, column, "the option needs a name".to_owned());
            } else if names[..i].contains(name) {
                problems.add(row, column, format!("{} is the name of two options", shown(name)));
            }
        }
        names.into_iter().take(count).map(str::to_owned).collect()
    }

    fn has_no_options(&self, names: &[&str]) -> bool {
        let unnamed =
            (names[0].is_empty() || names[0] == NO_OPTION.0) && names[1..].iter().all(|name| name.is_empty());
        let blank = |v: &DraftVariant| {
            (v.values[0].is_empty() || v.values[0] == NO_OPTION.1)
                && v.values[1..].iter().all(String::is_empty)
        };
        unnamed && self.variants.iter().all(blank)
    }

    fn finish_variants(&mut self, options: &[String], problems: &mut Problems<'_>) -> Vec<Variant> {
        match self.variant_rows {
            0 => problems.add(
                self.row,
                Column::Sku,
                format!("{} has no variant that could be bought", self.handle),
            ),
            1..=VARIANTS_MAX => {}
            many => problems.add(
                self.row,
                Column::Sku,
                format!("{} has {many} variants; the most is {VARIANTS_MAX}", self.handle),
            ),
        }
        let mut combinations: HashMap<Vec<String>, u64> = HashMap::new();
        let mut variants = Vec::with_capacity(self.variants.len());
        for mut variant in std::mem::take(&mut self.variants) {
            let row = variant.row;
            variant.values.truncate(options.len());
            let complete = check_values(&variant, options, problems);
            problems.check_line((row, Column::VariantTitle), &variant.title, TITLE_CHARS_MAX);
            if let Some(first) = combinations.insert(variant.values.clone(), row).filter(|_| complete) {
                let sentence =
                    format!("row {first} has the same option values; nothing tells the two variants apart");
                problems.add(row, Column::OptionValue(0), sentence);
            }
            let DraftVariant { sku, title, values: option_values, prices, stock, .. } = variant;
            variants.push(Variant { sku, title, option_values, prices, stock });
        }
        variants
    }

    fn finish_media(&mut self, problems: &mut Problems<'_>) -> Vec<Media> {
        let mut images = std::mem::take(&mut self.images);
        if images.len() > MEDIA_MAX {
            let sentence = format!("{} has {} pictures; the most is {MEDIA_MAX}", self.handle, images.len());
            problems.add(self.row, Column::ImageSrc, sentence);
        }
        for (row, _, media) in &images {
            problems.check_line((*row, Column::ImageAlt), &media.alt, TITLE_CHARS_MAX);
        }
        images.sort_by_key(|(row, position, _)| (*position, *row));
        images.into_iter().map(|(.., media)| media).collect()
    }
}

fn check_values(variant: &DraftVariant, options: &[String], problems: &mut Problems<'_>) -> bool {
    let mut complete = true;
    for (i, (value, option)) in variant.values.iter().zip(options).enumerate() {
        let place = (variant.row, Column::OptionValue(i));
        problems.check_line(place, value, NAME_CHARS_MAX);
        if value.is_empty() {
            complete = false;
            problems.add(
                variant.row,
                Column::OptionValue(i),
                format!("the variant needs a value of {}", shown(option)),
            );
        }
    }
    complete
}

/// Tags are separated by commas; one that contains a comma stands in quotes.
pub(super) fn tags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (tag, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_tag(quoted),
            None => {
                let (tag, after) = rest.split_once(',').unwrap_or((rest, ""));
                (tag.trim().to_owned(), after)
            }
        };
        if !tag.is_empty() {
            tags.push(tag);
        }
        rest = after.trim_start();
    }
    tags
}

/// The tag behind an opening quote, and what stands behind the comma that ends it.
fn quoted_tag(quoted: &str) -> (String, &str) {
    let mut tag = String::new();
    let mut rest = quoted;
    while let Some((part, after)) = rest.split_once('"') {
        tag.push_str(part);
        let Some(more) = after.strip_prefix('"') else {
            return (tag, after.split_once(',').map_or("", |(_, behind)| behind));
        };
        tag.push('"');
        rest = more;
    }
    // Never closed: a lenient reader takes the rest as it stands.
    (tag + rest, "")
}

/// The inverse of [`tags`].
pub(super) fn join_tags(tags: &[String]) -> String {
    let quoted = |tag: &String| {
        let is_plain = !tag.contains(['"', ',']) && tag.trim() == tag;
        if is_plain { tag.clone() } else { format!("\"{}\"", tag.replace('"', "\"\"")) }
    };
    tags.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_separated_by_commas_and_may_be_quoted() {
        assert_eq!(
            tags(" brass, hand made ,,\"salt, pepper\", \"so \"\"called\"\"\" "),
            ["brass", "hand made", "salt, pepper", "so \"called\""]
        );
        assert_eq!(tags("\"never, closed"), ["never, closed"]);
        assert!(tags(" , ,").is_empty());
    }

    proptest! {
        #[test]
        fn tags_survive_being_joined(names in prop::collection::vec("[a \",é\u{a0}]{1,8}", 0..5)) {
            prop_assert_eq!(tags(&join_tags(&names)), names);
        }
    }
}
