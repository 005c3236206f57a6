//! Reads a file row by row into drafts of products, which [`super::draft`] finishes.
use super::columns::{Column, Header, OPTIONS_MAX};
use super::draft::{Draft, DraftVariant};
use super::problem::{Problem, Refused, shown};
use super::{HomeMarket, Media, Product, price};
use csv::{ByteRecord, StringRecord};
use souk_contracts::terms::{Market, Sku};
use souk_kernel::Money;
use std::collections::{BTreeMap, HashMap};

/// The longest handle, as the catalog has it.
const HANDLE_BYTES_MAX: usize = 100;

/// The largest stock of one SKU that one delivery can bring.
const STOCK_MAX: i64 = 1_000_000_000;

/// A file that was understood from its first row to its last.
#[derive(Debug)]
pub struct Catalogue {
    /// SHA-256 of the file's bytes, in hex.
    pub hash: String,
    /// In the order in which their first rows stand.
    pub products: Vec<Product>,
    /// What the reader left out on purpose.
    pub notes: Vec<String>,
}

impl Catalogue {
    /// How many things can be bought.
    pub fn variants(&self) -> usize {
        self.products.iter().map(|product| product.variants.len()).sum()
    }

    /// The SKUs of which the file says how many there are, none included, in its order.
    pub fn stock(&self) -> impl Iterator<Item = (&Sku, i64)> {
        let variants = self.products.iter().flat_map(|product| &product.variants);
        variants.filter_map(|variant| Some((&variant.sku, variant.stock?)))
    }
}

/// Reads a file. `home` is what a price column without a market means.
///
/// # Errors
/// Every problem of the file, by row and column.
pub fn read(bytes: &[u8], home: &HomeMarket) -> Result<Catalogue, Refused> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut book: Option<Book> = None;
    let mut record = ByteRecord::new();
    let mut number = 0;
    // Bytes in memory cannot fail to be read, and text is checked cell by cell.
    while rows.read_byte_record(&mut record).expect("a slice of bytes is always readable") {
        number += 1;
        match &mut book {
            None => book = Some(Book::new(&record, home)?),
            Some(book) => book.enter(number, &record),
        }
    }
    let Some(book) = book else {
        return Err(Refused::new(vec![of_row(
            1,
            "the file is empty; it must begin with a header".to_owned(),
        )]));
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    book.close(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn of_row(row: u64, sentence: String) -> Problem {
    Problem { row, column: "row".to_owned(), sentence }
}

/// The file as far as it has been read.
struct Book {
    header: Header,
    drafts: Vec<Draft>,
    places: HashMap<String, usize>,
    skus: HashMap<String, u64>,
    archived: usize,
    problems: Vec<Problem>,
}

impl Book {
    fn new(record: &ByteRecord, home: &HomeMarket) -> Result<Self, Refused> {
        let no_text = |_| Refused::new(vec![of_row(1, "the header is not UTF-8 text".to_owned())]);
        let names = StringRecord::from_byte_record(record.clone()).map_err(no_text)?;
        let header = Header::read(&names, home).map_err(Refused::new)?;
        Ok(Self {
            header,
            drafts: Vec::new(),
            places: HashMap::new(),
            skus: HashMap::new(),
            archived: 0,
            problems: Vec::new(),
        })
    }

    fn enter(&mut self, number: u64, record: &ByteRecord) {
        let Some(cells) = self.text(number, record) else { return };
        let handle = self.header.cell(&cells, Column::Handle).trim();
        if let Err(sentence) = check_handle(handle) {
            self.refuse(number, Column::Handle, sentence);
            return;
        }
        let place = match self.places.get(handle) {
            Some(place) => *place,
            None => self.begin(number, handle),
        };
        let problems = self.drafts[place].say(number, &cells, &self.header);
        self.problems.extend(problems);
        let has_variant = self.variant(place, number, &cells);
        let has_image = self.image(place, number, &cells);
        if !has_variant && !has_image {
            let sentence = "it has neither a variant (Variant SKU) nor a picture (Image Src)";
            self.problems.push(of_row(number, sentence.to_owned()));
        }
    }

    fn text(&mut self, number: u64, record: &ByteRecord) -> Option<StringRecord> {
        if record.len() > self.header.width() {
            let sentence = format!("it has {} columns, the header has {}", record.len(), self.header.width());
            self.problems.push(of_row(number, sentence));
            return None;
        }
        match StringRecord::from_byte_record(record.clone()) {
            Ok(cells) => Some(cells),
            Err(error) => {
                let column = self.header.name_at(error.utf8_error().field()).to_owned();
                let sentence = "is not UTF-8 text; save the file as CSV UTF-8".to_owned();
                self.problems.push(Problem { row: number, column, sentence });
                None
            }
        }
    }

    fn begin(&mut self, number: u64, handle: &str) -> usize {
        let place = self.drafts.len();
        self.drafts.push(Draft::new(number, handle));
        self.places.insert(handle.to_owned(), place);
        place
    }

    /// Takes the variant of a row, when it has one.
    fn variant(&mut self, place: usize, number: u64, cells: &StringRecord) -> bool {
        let cell = |column| self.header.cell(cells, column);
        let priced =
            self.header.prices.iter().any(|column| !cells.get(column.place).unwrap_or("").trim().is_empty());
        let values: Vec<String> = (0..OPTIONS_MAX).map(|i| cell(Column::OptionValue(i)).to_owned()).collect();
        let sku = cell(Column::Sku).to_owned();
        let title = cell(Column::VariantTitle).to_owned();
        if sku.is_empty() && !priced && values.iter().all(String::is_empty) && title.is_empty() {
            return false;
        }
        let stock = self.stock(number, cells);
        let prices = self.prices(number, cells);
        self.drafts[place].variant_rows += 1;
        if let Some(sku) = self.sku(number, sku) {
            self.drafts[place].variants.push(DraftVariant { row: number, sku, title, values, prices, stock });
        }
        true
    }

    fn sku(&mut self, number: u64, text: String) -> Option<Sku> {
        if text.is_empty() {
            self.refuse(
                number,
                Column::Sku,
                "a variant needs a SKU, by which it is stocked and sold".to_owned(),
            );
            return None;
        }
        if let Some(first) = self.skus.insert(text.clone(), number) {
            self.skus.insert(text.clone(), first);
            self.refuse(number, Column::Sku, format!("{} stands in row {first} already", shown(&text)));
            return None;
        }
        let sku = Sku::try_new(text.as_str());
        sku.map_err(|why| self.refuse(number, Column::Sku, format!("{} {why}", shown(&text)))).ok()
    }

    fn stock(&mut self, number: u64, cells: &StringRecord) -> Option<i64> {
        let text = self.header.cell(cells, Column::Quantity).trim();
        if text.is_empty() {
            return None;
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let sentence = match text.parse::<i64>() {
            Ok(pieces) if (0..=STOCK_MAX).contains(&pieces) && whole => return Some(pieces),
            _ if whole && text.starts_with('-') => {
                format!("{text} is below zero, which stock never is; write 0")
            }
            _ if whole => format!("{text} is over {STOCK_MAX}"),
            _ => format!("{} is not a whole number", shown(text)),
        };
        self.refuse(number, Column::Quantity, sentence);
        None
    }

    fn prices(&mut self, number: u64, cells: &StringRecord) -> BTreeMap<Market, Money> {
        let mut prices = BTreeMap::new();
        for column in &self.header.prices {
            let text = cells.get(column.place).unwrap_or("").trim();
            if text.is_empty() {
                continue;
            }
            let problem = match price::parse(text, column.currency) {
                // Files from shops with many markets say the home price twice; that is no contradiction.
                Ok(amount) => match prices.insert(column.market.clone(), amount) {
                    Some(other) if other != amount => {
                        format!("the variant has another price for {} already: {other}", column.market)
                    }
                    Some(_) | None => continue,
                },
                Err(why) => format!("{} is not a price: {why}", shown(text)),
            };
            let column = self.header.name_at(column.place).to_owned();
            self.problems.push(Problem { row: number, column, sentence: problem });
        }
        prices
    }

    /// Takes the picture of a row, when it has one.
    fn image(&mut self, place: usize, number: u64, cells: &StringRecord) -> bool {
        let url = self.header.cell(cells, Column::ImageSrc).trim().to_owned();
        if url.is_empty() {
            return false;
        }
        if let Err(sentence) = check_url(&url) {
            self.refuse(number, Column::ImageSrc, sentence);
        }
        let position = self.header.cell(cells, Column::ImagePosition).trim();
        let position = match position.parse::<u32>() {
            Ok(position) => position,
            Err(_) if position.is_empty() => u32::MAX,
            Err(_) => {
                let sentence = format!("{} is not a whole number", shown(position));
                self.refuse(number, Column::ImagePosition, sentence);
                u32::MAX
            }
        };
        let alt = self.header.cell(cells, Column::ImageAlt).to_owned();
        self.drafts[place].images.push((number, position, Media { url, alt }));
        true
    }

    fn refuse(&mut self, row: u64, column: Column, sentence: String) {
        self.problems.push(Problem { row, column: self.header.name(column), sentence });
    }

    fn close(mut self, hash: String) -> Result<Catalogue, Refused> {
        let mut products = Vec::with_capacity(self.drafts.len());
        for draft in std::mem::take(&mut self.drafts) {
            self.archived += usize::from(draft.is_archived());
            let (product, problems) = draft.finish(&self.header);
            self.problems.extend(problems);
            products.push(product);
        }
        if !self.problems.is_empty() {
            return Err(Refused::new(self.problems));
        }
        let notes = self.notes();
        Ok(Catalogue { hash, products, notes })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.header.ignored.is_empty() {
            notes.push(format!(
                "columns that say nothing to Souk were ignored: {}",
                self.header.ignored.join(", ")
            ));
        }
        if self.header.markets().is_empty() {
            notes.push("the file has no column of prices; nothing in it can be bought yet".to_owned());
        }
        if self.archived > 0 {
            notes.push(match self.archived {
                1 => "1 archived product is read as a draft".to_owned(),
                many => format!("{many} archived products are read as drafts"),
            });
        }
        notes
    }
}

fn check_handle(handle: &str) -> Result<(), String> {
    if handle.is_empty() {
        return Err("every row names its product here; this one names none".to_owned());
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let begins = handle.bytes().next().is_some_and(plain);
    if begins && handle.len() <= HANDLE_BYTES_MAX && handle.bytes().all(|b| plain(b) || b == b'-') {
        return Ok(());
    }
    let rule = "1 to 100 lower-case letters, digits and hyphens, and not begin with a hyphen";
    Err(format!("{} must be {rule}", shown(handle)))
}

/// The catalog's rule: pages put it into `src`.
fn check_url(url: &str) -> Result<(), String> {
    const BYTES_MAX: usize = 2_000;
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`'));
    let path = url.starts_with('/') && !url.starts_with("//");
    let address =
        ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if plain && url.len() <= BYTES_MAX && (path || address) {
        return Ok(());
    }
    let rule =
        "an http or https address, or a path that begins with /, of at most 2000 bytes and without spaces";
    Err(format!("{} must be {rule}", shown(url)))
}
