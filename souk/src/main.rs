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

/// What each does, and an example, stands at its options: a comment here would take its place in the help.
#[derive(Subcommand)]
enum Command {
    Up(commands::up::Up),
    Serve(commands::up::Serve),
    Token(commands::token::Token),
    Import(commands::import::Import),
    Export(commands::export::Export),
    Replay(commands::replay::Replay),
    Verify(commands::verify::Verify),
    Log(commands::log::Log),
    Sagas(commands::operate::Sagas),
    Saga(commands::operate::Saga),
    Parked(commands::operate::Parked),
    Redrive(commands::operate::Redrive),
    Config(commands::config::Show),
    #[command(name = "__crash-points", hide = true)]
    CrashPoints(commands::crash_points::CrashPoints),
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
        Command::Sagas(sagas) => sagas.run(file),
        Command::Saga(saga) => saga.run(file),
        Command::Parked(parked) => parked.run(file),
        Command::Redrive(redrive) => redrive.run(file),
        Command::Config(config) => config.run(file),
        Command::CrashPoints(points) => points.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            output::note(&format!("souk: {message}"));
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
    }
}
