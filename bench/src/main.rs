//! Measures Souk beside its yardsticks: appends beside a raw sync of the same disk, the gateway beside nginx
//! with the same payloads, each pair in the same run. Machines differ and share their cores, so what counts is
//! the ratio; a bar that is missed ends the run with code 3.
//!
//! `cargo run --release -p souk-bench` measures everything and prints a table; the same figures stand in a
//! JSON file. Only loopback is used, and every part ends within a minute.
mod amount;
mod appends;
mod checkouts;
mod disk;
mod gateway;
mod load;
mod log_syncs;
mod machine;
mod nginx;
mod parts;
mod process;
mod report;
mod rest;
mod sagas;
mod shop;
mod starts;
mod store;
mod syncs;
mod upstream;

use clap::Parser;
use parts::{Part, Setting};
use report::Report;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bar was missed.
const EXIT_MISSED: u8 = 3;
/// A part could not be measured at all.
const EXIT_FAILED: u8 = 1;
const EXIT_IO: u8 = 74;

/// Measure Souk beside its yardsticks, each pair in the same run.
///
/// Example: cargo run --release -p souk-bench -- --only appends,sagas --seconds 5
#[derive(Parser)]
#[command(name = "souk-bench", version, max_term_width = 100)]
struct Arguments {
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// How long each load is kept up
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=8))]
    seconds: u64,
    /// Where the figures go, beside the table
    #[arg(long, default_value = "target/bench/latest.json", value_name = "FILE")]
    json: PathBuf,
    /// Where the stores lie while they are measured; choose a folder on the disk that matters
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    dir: PathBuf,
    /// The shop's program, instead of building it
    #[arg(long, value_name = "FILE")]
    souk: Option<PathBuf>,
    /// The nginx to compare with, instead of the system's
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(report) if report.failed() => ExitCode::from(EXIT_FAILED),
        Ok(report) if report.missed() => ExitCode::from(EXIT_MISSED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("souk-bench: {error}"));
            ExitCode::from(EXIT_IO)
        }
    }
}

fn measure(arguments: &Arguments) -> std::io::Result<Report> {
    std::fs::create_dir_all(&arguments.dir)?;
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(arguments.dir.canonicalize()?)?;
    let chosen = if arguments.only.is_empty() { Part::ALL.to_vec() } else { arguments.only.clone() };
    let needs_shop = chosen.iter().any(|part| part.needs_shop());
    let setting = Setting {
        lasting: Duration::from_secs(arguments.seconds),
        folder: folder.path().to_owned(),
        souk: match needs_shop {
            true => shop::program(arguments.souk.as_deref(), folder.path()),
            false => Err("no part was chosen that needs the shop".to_owned()),
        },
        nginx: arguments.nginx.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let mut report = Report::new(machine::look(folder.path(), arguments.souk.as_deref()));
        for part in chosen {
            note(&format!("measuring {} …", part.name()));
            report.add(part.name(), part.measure(&setting).await);
        }
        report
    });
    print(&report.table());
    if let Some(parent) = arguments.json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&arguments.json, report.json())?;
    note(&format!("the figures stand in {}", arguments.json.display()));
    Ok(report)
}

/// A message for the person at the terminal. It cannot fail.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The result. When nobody reads it any more, there is nothing left to do about it.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
