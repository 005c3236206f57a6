//! `souk replay`: a year of a real retailer's invoices goes through quote, order, stock and payment, its
//! cancellations through return and refund; it is killed on the way if asked, and reconciles to the penny with
//! sums taken straight from the file.
mod opening;
mod reconcile;
mod returns;
mod seller;
mod server;
mod settle;

use crate::failure::{Failure, exit};
use crate::retail::{self, Plan, RetailFile};
use crate::verify;
use crate::{commands::up, output};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Sell a year of a retailer's invoices through the shop, take back what was cancelled, and reconcile to the penny.
///
/// FILE is CSV or CSV.gz with the columns of the "Online Retail" data set (UCI Machine Learning
/// Repository). Each invoice becomes an order: agreed quote, place, confirm, capture, each step durable.
/// Then what the cancellations (invoices that begin with C) undo comes back: each of their lines takes the
/// latest earlier sales of the same customer and stock code, and is refunded at the price that was paid,
/// whatever the line says; lines without a customer or an earlier sale are counted as unmatched. One return
/// for each cancellation and order. A run that was interrupted, however, goes on where it was when it is
/// started again. At the end the report sets lines, orders, returns, revenue, refunds, stock and ledger
/// beside the file's own sums; exit code 3 says that they differ. Example: souk replay online-retail.csv.gz --kill-every 5s
#[derive(Args)]
pub struct Replay {
    /// The file with the invoices, .csv or .csv.gz
    file: PathBuf,
    /// Where the replay keeps its shop
    #[arg(long, value_name = "DIR", default_value = "./souk-replay")]
    data: PathBuf,
    /// How many invoices or returns are on their way at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Kill the server (SIGKILL, payment provider included) after random delays around this mean
    #[arg(long, value_name = "DURATION", value_parser = mean)]
    kill_every: Option<Duration>,
    /// The seed of the random delays [default: a random one, printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How to print the report
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn mean(text: &str) -> Result<Duration, String> {
    let mean = souk_host::parse_duration(text).ok_or("must be a duration like 500ms or 5s")?;
    if mean < Duration::from_millis(100) { Err("must be at least 100ms".to_owned()) } else { Ok(mean) }
}

impl Replay {
    /// Runs the replay to its report.
    pub fn run(self) -> Result<(), Failure> {
        let begun = Instant::now();
        output::note(&format!("reading {}", self.file.display()));
        let file = retail::read(&self.file).map_err(refused)?;
        let plan = Plan::of(&file);
        let sums = retail::sum(&self.file).map_err(|e| Failure::new(exit::DATA, e))?;
        output::note(&format!(
            "{} lines read, {} invoices to sell, {} returns to take back; file {}",
            output::thousands(file.lines_read),
            output::thousands(file.invoices.len() as u64),
            output::thousands(plan.returns.len() as u64),
            &file.hash[..16]
        ));
        let read_in = begun.elapsed();
        let sold_in = up::runtime()?.block_on(self.sell(&file, &plan))?;
        let checked = Instant::now();
        let facts = verify::Facts::gather(&self.data)?;
        let report = reconcile::report(&file, &plan, &sums, &facts);
        let findings = verify::check(&facts);
        let timing = Timing { read: read_in, sell: sold_in, check: checked.elapsed(), all: begun.elapsed() };
        let done = Done { orders: file.invoices.len(), returns: plan.returns.len() };
        self.print(&report, &findings, &done, &timing);
        let differences =
            report.differences().len() + findings.iter().map(|finding| finding.count).sum::<usize>();
        match differences {
            0 => Ok(()),
            n => Err(Failure::new(
                exit::DIFFERENCES,
                format!("{n} difference(s); the data is in {}", self.data.display()),
            )),
        }
    }

    /// Sells everything, takes back what is cancelled of it, and waits until nothing is on its way. Answers how
    /// long that took.
    async fn sell(&self, file: &RetailFile, plan: &Plan) -> Result<Sold, Failure> {
        let begun = Instant::now();
        refuse_foreign(&self.data)?;
        let mut server = server::Server::start(&self.data, self.kill_every, self.seed).await?;
        let token = super::token::staff(&self.data, souk_user::Role::Sales, Duration::from_secs(7 * 86_400))?;
        let desk = seller::Desk::new(&server.url(), token, file.hash.clone());
        let bar = progress(file.invoices.len() as u64);
        let sold = async {
            bar.set_message("stocking the shelves");
            opening::stock(&desk, file, self.concurrency).await?;
            let stocked = begun.elapsed();
            bar.set_message("selling");
            bar.reset_elapsed();
            seller::sell_all(&desk, file, self.concurrency, &bar).await?;
            let sold = begun.elapsed();
            begin_returns(&bar, plan.returns.len() as u64);
            returns::take_all_back(&desk, plan, self.concurrency, &bar).await?;
            Ok::<_, Failure>((stocked, sold, begun.elapsed()))
        };
        let (stocked, sold, returned) = tokio::select! {
            sold = sold => sold?,
            died = server.watch() => return Err(died),
        };
        server.stop_killing().await?;
        bar.set_message("settling");
        settle::wait(&self.data, &mut server).await?;
        bar.finish_and_clear();
        let kills = server.kills();
        server.stop().await?;
        Ok(Sold {
            stock: stocked,
            orders: sold - stocked,
            returns: returned - sold,
            settle: begun.elapsed() - returned,
            kills,
        })
    }

    fn print(&self, report: &retail::Report, findings: &[verify::Finding], done: &Done, timing: &Timing) {
        if self.output == Format::Json {
            let document = serde_json::json!({
                "report": serde_json::from_str::<serde_json::Value>(&report.json()).unwrap_or_default(),
                "findings": findings,
                "orders": done.orders,
                "returns": done.returns,
                "kills": timing.sell.kills,
                "milliseconds": timing.json(),
            });
            return output::line(&document.to_string());
        }
        output::line(&report.to_string());
        output::print(&verify::render(findings));
        output::line(&timing.sentence(done));
    }
}

/// How much was sold and taken back.
struct Done {
    orders: usize,
    returns: usize,
}

/// Where the time of selling went.
struct Sold {
    stock: Duration,
    orders: Duration,
    returns: Duration,
    settle: Duration,
    kills: u32,
}

/// Where the time went.
struct Timing {
    read: Duration,
    sell: Sold,
    check: Duration,
    all: Duration,
}

impl Timing {
    fn sentence(&self, done: &Done) -> String {
        let seconds = |d: Duration| format!("{}.{:01} s", d.as_secs(), d.subsec_millis() / 100);
        let rate = |count: usize, took: Duration| count as u128 * 1_000 / took.as_millis().max(1);
        format!(
            "{} orders, {} a second; {} returns, {} a second; reading {}, stocking {}, selling {}, \
             taking back {}, settling {}, checking {}; {} in all; {} kills",
            output::thousands(done.orders as u64),
            rate(done.orders, self.sell.orders),
            output::thousands(done.returns as u64),
            rate(done.returns, self.sell.returns),
            seconds(self.read),
            seconds(self.sell.stock),
            seconds(self.sell.orders),
            seconds(self.sell.returns),
            seconds(self.sell.settle),
            seconds(self.check),
            seconds(self.all),
            self.sell.kills,
        )
    }

    fn json(&self) -> serde_json::Value {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        serde_json::json!({
            "read": ms(self.read), "stock": ms(self.sell.stock), "sell": ms(self.sell.orders),
            "returns": ms(self.sell.returns), "settle": ms(self.sell.settle), "check": ms(self.check), "all": ms(self.all),
        })
    }
}

/// Marks a folder that a replay made.
const MARK: &str = "replay.txt";

/// A replay fills shelves and sells: it does so in a folder of its own, never in somebody's shop.
fn refuse_foreign(data: &Path) -> Result<(), Failure> {
    let mark = data.join(MARK);
    let is_empty = std::fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
    if mark.exists() {
        return Ok(());
    }
    if !is_empty {
        let message = format!(
            "{} holds something that no replay made; name another folder with --data",
            data.display()
        );
        return Err(Failure::new(exit::DATA, message));
    }
    let made = std::fs::create_dir_all(data).and_then(|()| std::fs::write(&mark, "made by souk replay\n"));
    made.map_err(|e| Failure::io(mark.display(), e))
}

fn refused(refused: retail::Refused) -> Failure {
    let code = match &refused {
        retail::Refused::Malformed { .. } => exit::DATA,
        retail::Refused::Unreadable(_) => exit::IO,
    };
    Failure::new(code, refused)
}

fn progress(orders: u64) -> ProgressBar {
    let bar = if output::is_watched() { ProgressBar::new(orders) } else { ProgressBar::hidden() };
    let style = "{msg:<22} [{bar:40}] {human_pos}/{human_len} {prefix}, {per_sec:.0}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is valid").progress_chars("=> "));
    bar.set_prefix("orders");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The bar again, from its beginning, for what comes back.
fn begin_returns(bar: &ProgressBar, returns: u64) {
    bar.set_message("taking back");
    bar.set_prefix("returns");
    bar.set_length(returns);
    bar.set_position(0);
    bar.reset_elapsed();
    bar.reset_eta();
}
