//! `cargo xtask <chore>`.
use clap::{Parser, Subcommand};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xtask::{crashlab, sample, tidy};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the rules of the house; prints each finding as file:line: rule: what
    ///
    /// Example: cargo xtask tidy
    Tidy,
    /// Write a made-up retail file with every kind of dirt that a real one has
    ///
    /// Example: cargo xtask retail-sample --invoices 500 --seed 7 --out sample.csv.gz
    RetailSample {
        /// How many invoices sell something, 1 to 1,000,000
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(sample::INVOICES_MAX)))]
        invoices: u32,
        /// The same seed and number make the same bytes
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where to write; compressed when the name ends in .gz; without it, to standard output
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Kill the shop at every place where it may die, start it again, and check what is left
    ///
    /// Builds the program with crash points and the laboratory, then passes the options on to it; --help shows
    /// them. Debug builds have crash points anyway; --release builds another program, in target/crashlab.
    /// Exit code 3: something is wrong. Example: cargo xtask crashlab --sample
    #[command(disable_help_flag = true)]
    Crashlab {
        /// Kill an optimised program
        #[arg(long)]
        release: bool,
        /// For the laboratory
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Tidy => check_house(),
        Chore::RetailSample { invoices, seed, out } => {
            write_sample(&sample::Order { invoices, seed }, out.as_deref())
        }
        Chore::Crashlab { release, options } => crashlab::run(&tidy::workspace_root(), release, &options),
    };
    match done {
        Ok(code) => code,
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(74)
        }
    }
}

fn check_house() -> io::Result<ExitCode> {
    let findings = tidy::check(&tidy::workspace_root())?;
    let mut out = io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "the house is tidy")?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

fn write_sample(order: &sample::Order, out: Option<&Path>) -> io::Result<ExitCode> {
    let tally = match out {
        None => sample::write(order, &mut BufWriter::new(io::stdout().lock()))?,
        Some(path) => {
            let named = |fault: io::Error| {
                io::Error::new(fault.kind(), format!("cannot write {}: {fault}", path.display()))
            };
            let file = BufWriter::new(File::create(path).map_err(named)?);
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
                sample::write_compressed(order, file)?
            } else {
                sample::write(order, &mut { file })?
            }
        }
    };
    eprintln!("{tally}");
    Ok(ExitCode::SUCCESS)
}
