//! `souk import`: a product file into the shop.
mod products;
pub(super) mod stock;
#[cfg(test)]
mod tests;

use super::reach::{self, Place};
use crate::failure::{Failure, exit};
use crate::output::{self, counted};
use crate::rest::Rest;
use crate::shopify::{self, Catalogue, HomeMarket};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use products::{Outcomes, preview_all, put_all};
use souk_contracts::terms::{Location, Market};
use souk_kernel::Currency;
use std::io::Read;
use std::path::{Path, PathBuf};
use stock::Stocked;

/// The longest file that is read; it is held in memory.
const FILE_BYTES_MAX: u64 = 512 << 20;

/// How many products are on their way at once, unless said otherwise.
const CONCURRENCY: u16 = 16;

/// Read products from a Shopify-format CSV file.
///
/// The whole file is checked first; one bad row, and nothing is written. Importing a file again changes
/// nothing. Only SKUs that were never in stock are stocked: where the shop has another quantity than the
/// file, it is left alone and counted. When no shop listens, the one in the data folder is started meanwhile
/// and stopped afterwards. Example: souk import products.csv --market GB --currency GBP
#[derive(Args)]
pub struct Import {
    /// The file; - reads standard input
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    home: Home,
    /// Where delivered stock is put
    #[arg(long, value_name = "NAME", default_value = "main")]
    location: Location,
    /// Write nothing: check the file and, if the shop listens, say what would change
    #[arg(long)]
    dry_run: bool,
    /// Leave stock alone
    #[arg(long)]
    no_stock: bool,
    /// How many products are sent at once
    #[arg(long, value_name = "COUNT", default_value_t = CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

/// What the column "Variant Price" means.
#[derive(Args, Clone)]
pub struct Home {
    /// The market of the column "Variant Price"
    #[arg(long, value_name = "CODE", default_value = "GB")]
    market: Market,
    /// The currency of the column "Variant Price"
    #[arg(long, value_name = "CODE", default_value = "GBP", value_parser = currency)]
    currency: Currency,
}

impl From<Home> for HomeMarket {
    fn from(home: Home) -> Self {
        Self { market: home.market, currency: home.currency }
    }
}

fn currency(code: &str) -> Result<Currency, String> {
    Currency::parse(code).ok_or_else(|| "must be a currency that Souk knows, such as GBP".to_owned())
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

impl Import {
    /// Reads, checks, writes, and says what has changed.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let catalogue = shopify::read(&bytes(&self.file)?, &self.home.clone().into());
        let catalogue = catalogue.map_err(|refused| self.refused(&refused))?;
        for note in &catalogue.notes {
            output::note(&format!("note: {note}"));
        }
        let runtime = super::up::runtime()?;
        let summary = match self.dry_run {
            true => runtime.block_on(self.try_out(file, &catalogue))?,
            false => runtime.block_on(self.send(file, &catalogue))?,
        };
        self.print(&summary);
        summary.settle()
    }

    async fn send(&self, file: Option<&Path>, catalogue: &Catalogue) -> Result<Summary, Failure> {
        let reached = self.place.reach(file).await?;
        let bar = bar(catalogue.products.len());
        let sent = load(&reached.rest, catalogue, &self.plan(), &bar).await;
        bar.finish_and_clear();
        reached.leave().await;
        sent
    }

    async fn try_out(&self, file: Option<&Path>, catalogue: &Catalogue) -> Result<Summary, Failure> {
        let rest = match self.place.find(file).await {
            Ok(rest) => rest,
            Err(failure) if failure.code == exit::CONFIGURATION => return Err(failure),
            Err(failure) => {
                output::note(&format!("{failure}; so only the file was checked: it is good"));
                return Ok(Summary::of_file(catalogue));
            }
        };
        let bar = bar(catalogue.products.len());
        let previewed = preview(&rest, catalogue, &self.plan(), &bar).await;
        bar.finish_and_clear();
        output::note("the file is good; nothing was written");
        previewed
    }

    fn plan(&self) -> Plan<'_> {
        Plan { location: (!self.no_stock).then_some(&self.location), concurrency: self.concurrency }
    }

    /// Who asked for JSON finds the problems in the result, not in the message.
    fn refused(&self, refused: &shopify::Refused) -> Failure {
        match self.output {
            Format::Table => Failure::new(exit::DATA, refused),
            Format::Json => {
                output::line(&refused.json().to_string());
                Failure::new(exit::DATA, refused.sentence())
            }
        }
    }

    fn print(&self, summary: &Summary) {
        match self.output {
            Format::Table => output::print(&summary.table()),
            Format::Json => output::line(&summary.json().to_string()),
        }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::io(format!("{} cannot be read", path.display()), error);
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::new(exit::DATA, format!("{} has more than 512 MiB; split it", path.display())));
    }
    Ok(bytes)
}

fn bar(products: usize) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} products, {per_sec}, {eta} left");
    ProgressBar::new(products as u64).with_style(style.expect("the template is well formed"))
}

/// What is to happen besides putting the products.
pub struct Plan<'a> {
    /// Where stock is put; `None` leaves stock alone.
    pub location: Option<&'a Location>,
    /// How many products are on their way at once.
    pub concurrency: u16,
}

/// Puts a catalogue into a shop: products first, then the stock of those SKUs that never had any.
pub async fn load(
    rest: &Rest,
    catalogue: &Catalogue,
    plan: &Plan<'_>,
    bar: &ProgressBar,
) -> Result<Summary, Failure> {
    let outcomes = put_all(rest, &catalogue.products, usize::from(plan.concurrency), bar).await?;
    let mut summary = Summary { extent: Extent::Import, outcomes, ..Summary::of_file(catalogue) };
    if let Some(location) = plan.location {
        let stated = stock::stated(catalogue, &summary.outcomes);
        summary.stock = stock::deliver(rest, &catalogue.hash, location, &stated).await?;
    }
    Ok(summary)
}

/// Says what [`load`] would do, and does nothing.
pub async fn preview(
    rest: &Rest,
    catalogue: &Catalogue,
    plan: &Plan<'_>,
    bar: &ProgressBar,
) -> Result<Summary, Failure> {
    let outcomes = preview_all(rest, &catalogue.products, usize::from(plan.concurrency), bar).await?;
    let mut summary = Summary { extent: Extent::Preview, outcomes, ..Summary::of_file(catalogue) };
    if plan.location.is_some() {
        summary.stock = stock::preview(rest, &stock::stated(catalogue, &summary.outcomes)).await?;
    }
    Ok(summary)
}

/// Fills a running shop with the demonstration catalogue; says what is in it now.
pub async fn load_demo(url: &str, data: &Path) -> Result<String, Failure> {
    let home = HomeMarket {
        market: Market::try_new("GB").expect("two upper-case letters"),
        currency: Currency::parse("GBP").expect("a known currency"),
    };
    let catalogue =
        shopify::read(shopify::DEMO.as_bytes(), &home).map_err(|e| Failure::new(exit::DATA, e))?;
    let location = Location::try_new("main").expect("lower-case letters");
    let plan = Plan { location: Some(&location), concurrency: CONCURRENCY };
    let summary = load(&reach::staff(url, data)?, &catalogue, &plan, &ProgressBar::hidden()).await?;
    let (products, variants) = (summary.products, summary.variants);
    summary.settle()?;
    Ok(format!("The demonstration catalogue is on the shelves: {products} products in {variants} variants."))
}

/// How far an import went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The file was checked.
    File,
    /// The file was compared with the shop.
    Preview,
    /// The file is in the shop.
    Import,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// How far it went.
    pub extent: Extent,
    /// In the file.
    pub products: usize,
    /// In the file.
    pub variants: usize,
    /// What became of the products.
    pub outcomes: Outcomes,
    /// What became of the stock.
    pub stock: Stocked,
}

impl Summary {
    fn of_file(catalogue: &Catalogue) -> Self {
        Self {
            extent: Extent::File,
            products: catalogue.products.len(),
            variants: catalogue.variants(),
            outcomes: Outcomes::default(),
            stock: Stocked::default(),
        }
    }

    /// Names in JSON, words in the table of a preview, figures. What was not looked at is not zero: it is absent.
    fn rows(&self) -> Vec<(&'static str, &'static str, usize)> {
        let mut rows = vec![("products", "products", self.products), ("variants", "variants", self.variants)];
        if self.extent != Extent::File {
            rows.extend([
                ("created", "to create", self.outcomes.created),
                ("updated", "to update", self.outcomes.updated),
                ("unchanged", "unchanged", self.outcomes.unchanged),
                ("failed", "to refuse", self.outcomes.failed.len()),
                ("stocked", "to stock", self.stock.delivered),
            ]);
        }
        rows
    }

    fn table(&self) -> String {
        let row = |(done, to_do, count): (&str, &str, usize)| {
            let name = if self.extent == Extent::Preview { to_do } else { done };
            vec![name.to_owned(), output::thousands(count as u64)]
        };
        let rows: Vec<_> = self.rows().into_iter().map(row).collect();
        let mut text = output::table(&["what", "count"], &rows);
        if self.stock.differing > 0 {
            let was = if self.extent == Extent::Preview { "would be" } else { "was" };
            let skus = counted(self.stock.differing, "SKU");
            text.push_str(&format!("stock of {skus} differs and {was} left alone\n"));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let mut object: serde_json::Map<_, _> =
            self.rows().into_iter().map(|(name, _, count)| (name.to_owned(), count.into())).collect();
        object.insert("dryRun".to_owned(), (self.extent != Extent::Import).into());
        if self.extent != Extent::File {
            let failure = |(handle, error): &(String, crate::rest::RestError)| serde_json::json!({"handle": handle, "error": error.to_string()});
            object.insert("failures".to_owned(), self.outcomes.failed.iter().map(failure).collect());
            object.insert("stockDiffers".to_owned(), self.stock.differing.into());
        }
        object.into()
    }

    /// An import in which a product was refused has failed, though the others are in the shop.
    fn settle(&self) -> Result<(), Failure> {
        if self.outcomes.failed.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> =
            self.outcomes.failed.iter().map(|(handle, error)| format!("\n  {handle}: {error}")).collect();
        let were = match (self.extent, lines.len()) {
            (Extent::Preview, _) => "would be",
            (Extent::File | Extent::Import, 1) => "was",
            (Extent::File | Extent::Import, _) => "were",
        };
        let products = counted(lines.len(), "product");
        Err(Failure::new(exit::DATA, format!("{products} {were} refused:{}", lines.concat())))
    }
}
