//! The command line of Souk: one binary that is server and tool alike.
use clap::{Parser, Subcommand};
use souk::{commands, failure::Failure, output};
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A shop made of autonomous services, in one binary.
///
/// Start with `souk up --demo`, then open http://127.0.0.1:8080/docs. Everything is kept under ./souk-data;
/// remove that folder to begin anew. Options can also be set in ./souk.toml or by environment variables
/// (SOUK_GATEWAY__LISTEN=127.0.0.1:9000); `souk config` shows all of them.
#[derive(Parser)]
#[command(name = "souk", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: ./souk.toml, then /etc/souk/souk.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole shop in this process.
    Up(commands::up::Up),
    /// Run some services in this process; the others are found at their addresses (see `souk config`).
    Serve(commands::up::Serve),
    /// Print a token for staff.
    Token(commands::token::Token),
    /// Read products from a Shopify-format CSV file.
    Import(commands::import::Import),
    /// Write the catalogue as a Shopify-format CSV file.
    Export(commands::export::Export),
    /// Sell a year of a retailer's invoices through the shop, and reconcile to the penny.
    Replay(commands::replay::Replay),
    /// Check every invariant across the services' stores, read-only, while they run or not.
    Verify(commands::verify::Verify),
    /// Show the events of a stream, or the state of the log.
    Log(commands::log::Log),
    /// Show the effective configuration and where each value comes from.
    Config(commands::config::Show),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let file = arguments.config.as_deref();
    let done = match arguments.command {
        Command::Up(up) => up.run(file),
        Command::Serve(serve) => serve.run(file),
        Command::Token(token) => token.run(file),
        Command::Import(import) => import.run(file),
        Command::Export(export) => export.run(file),
        Command::Replay(replay) => replay.run(),
        Command::Verify(verify) => verify.run(file),
        Command::Log(log) => log.run(file),
        Command::Config(config) => config.run(file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            output::note(&format!("souk: {message}"));
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
    }
}
