//! The crash laboratory: kills the real program at every place where it may die, starts it again, and checks
//! what customers know against what the shop and the payment provider say. See `docs/proof.md`.
mod books;
mod buyers;
mod checks;
mod in_flight;
mod journal;
mod matrix;
mod notes;
#[cfg(test)]
mod points;
mod report;
mod scripts;
mod shop;
mod staff;

use clap::Parser;
use report::Report;
use souk::failure::{Failure, exit};
use souk::output;
use souk_telemetry::crash;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A sample begins no further cell after this.
const SAMPLE_TIME: Duration = Duration::from_secs(200);
/// At which syncs a sample kills …
const SYNCS_SAMPLE: [u64; 3] = [2, 5, 9];
/// … and up to which one a full run does.
const SYNCS_FULL: u64 = 40;

/// Kill the shop at every place where it may die, and check what is left.
///
/// Example: cargo xtask crashlab --sample
#[derive(Parser)]
#[command(name = "crashlab")]
struct Arguments {
    /// Some cells of the matrix, each label among them; a few minutes. The default
    #[arg(long, conflicts_with = "full")]
    sample: bool,
    /// Every point, at its first two passages, with a second death while it recovers from the first
    #[arg(long)]
    full: bool,
    /// Makes the order of the cells [default: 1]
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only points whose label, or label/detail, begins like this; `sync` for deaths at syncs
    #[arg(long, value_name = "LABEL")]
    only: Option<String>,
    /// The program to kill; it must have been built with crash points. `cargo xtask crashlab` builds one
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Where to keep the shops [default: a temporary folder, kept when something is wrong]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Instead: place so many orders while the payment provider is away, kill everything, and measure how long
    /// it takes to come back
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["full", "sample", "only"])]
    in_flight: Option<usize>,
    /// Where to write every cell as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            output::note(&format!("crashlab: {message}"));
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let temporary = tempfile::tempdir().map_err(|e| Failure::io("a temporary folder", e))?;
    let folder = arguments.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    listed(&arguments.binary)?;
    if let Some(count) = arguments.in_flight {
        return recovery(arguments, &folder, count);
    }
    let done = souk::commands::up::runtime()?.block_on(kill(arguments, &folder));
    let is_clean = done.as_ref().is_ok_and(|report| report.violations() == 0);
    if !is_clean && arguments.keep.is_none() {
        output::note(&format!("the shops are kept in {}", temporary.keep().display()));
    }
    let report = done?;
    output::print(&report.table());
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.json()).map_err(|e| Failure::io(path.display(), e))?;
    }
    verdict(&report, arguments.full && arguments.only.is_none())
}

fn recovery(arguments: &Arguments, folder: &Path, count: usize) -> Result<(), Failure> {
    let measured = in_flight::measure(&arguments.binary, folder, count);
    let recovery = souk::commands::up::runtime()?.block_on(measured)?;
    output::line(&format!(
        "{} sagas in flight; from SIGKILL to the first answer {} ms, to the last recovered saga {} ms; {} violations",
        recovery.in_flight,
        recovery.first_answer.as_millis(),
        recovery.last_saga.as_millis(),
        recovery.violations.len(),
    ));
    recovery.violations.iter().for_each(|violation| output::line(&format!("  VIOLATION: {violation}")));
    match recovery.violations.len() {
        0 => Ok(()),
        n => Err(Failure::new(exit::DIFFERENCES, format!("{n} violation(s)"))),
    }
}

fn verdict(report: &Report, is_whole: bool) -> Result<(), Failure> {
    let violations = report.violations();
    if violations > 0 {
        return Err(Failure::new(exit::DIFFERENCES, format!("{violations} violation(s)")));
    }
    let unset = report.unset();
    if is_whole && !unset.is_empty() {
        let message = format!("the run proves less than it seems to; never seen: {}", unset.join("; "));
        return Err(Failure::new(exit::DIFFERENCES, message));
    }
    Ok(())
}

/// Asks the program for its points: one without them would never die.
fn listed(binary: &Path) -> Result<(), Failure> {
    let asked = std::process::Command::new(binary).arg("__crash-points").output();
    let asked = asked.map_err(|e| Failure::io(binary.display(), e))?;
    let points: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
    match points["points"].as_array().map(Vec::len) {
        Some(count) if count == crash::POINTS.len() => Ok(()),
        Some(_) | None => {
            let message = format!(
                "{} lists other crash points than this laboratory knows, or none; build it anew",
                binary.display()
            );
            Err(Failure::new(exit::CONFIGURATION, message))
        }
    }
}

async fn kill(arguments: &Arguments, folder: &Path) -> Result<Report, Failure> {
    let begun = Instant::now();
    let mut bench = matrix::Bench::new(&arguments.binary, folder);
    let leads = bench.survey().await?;
    output::note(&format!("{} points found in {} s", leads.len(), begun.elapsed().as_secs()));
    let (passages, lives) = if arguments.full { (2, 2) } else { (1, 1) };
    let mut skipped = Vec::new();
    let mut cells = matrix::cells(&leads, passages, lives);
    match matrix::can_trace() {
        true if arguments.full => cells.extend(matrix::syncs(1..=SYNCS_FULL, 1)),
        true => cells.extend(matrix::syncs(SYNCS_SAMPLE, 1)),
        false => skipped.push("deaths at syncs: strace is not there, or may not trace".to_owned()),
    }
    let wanted = |cell: &matrix::Cell| {
        let name = format!("{}/{}", cell.death.label(), cell.death.detail());
        arguments.only.as_ref().is_none_or(|only| name.starts_with(only))
    };
    cells.retain(wanted);
    let all = cells.len();
    let mut outcomes = Vec::new();
    for cell in matrix::shuffled(cells, arguments.seed) {
        if !arguments.full && arguments.only.is_none() && begun.elapsed() > SAMPLE_TIME {
            break;
        }
        let outcome = bench.run(cell).await?;
        let (label, detail) = (outcome.cell.death.label(), outcome.cell.death.detail());
        let verdict = if outcome.violations.is_empty() { "holds" } else { "VIOLATED" };
        let (deaths, count) = (outcome.deaths, outcomes.len() + 1);
        output::note(&format!("{count}/{all} {label}/{detail}: {deaths} deaths, {verdict}"));
        outcomes.push(outcome);
    }
    let seen = bench.notes()?.marks;
    let marks = crash::MARKS.iter().map(|mark| ((*mark).to_owned(), seen.get(*mark).copied().unwrap_or(0)));
    Ok(Report {
        seed: arguments.seed,
        outcomes,
        marks: marks.collect(),
        skipped,
        points: leads.len(),
        took: begun.elapsed(),
    })
}
