//! The real services on a simulated network, clock and entropy: a seed decides everything that happens, and the
//! same seed makes it happen again.
//!
//! Every service is a host of its own with its real store, saga runners, reactions and gRPC server. The network
//! delays, cuts and holds what they say; hosts crash between any two steps; calls are lost on the way, lost on the
//! way back, doubled and delayed. Then everything is healed, and what is left must be what `souk verify` wants.
//!
//! One seed is one process: whatever a process keeps between two runs would make the second one another. The test
//! `seeds` runs itself again for each. `SOUK_SIM_SEEDS=1000` tries so many, `SOUK_SIM_FIRST=77` begins there, and
//! `SOUK_SIM_SEED=77 cargo test -p souk-tests --test simulation -- --exact one_seed --nocapture` repeats one.
//!
//! Not simulated: the public HTTP face, threads of the store (it runs inline), torn writes of the disk.
mod buyers;
mod chance;
mod faults;
mod machine;
mod run;

use std::collections::BTreeMap;
use std::process::{Command, Output};

/// How many seeds a run of the tests tries when nobody says otherwise.
const SEEDS_DEFAULT: u64 = 12;
/// From so many seeds on, a dangerous state that no seed reached is a failure: the simulation would prove nothing.
const SEEDS_TELLING: u64 = 12;
/// Marks the line with a run's outcome.
const OUTCOME: &str = "simulated: ";

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number")))
}

/// One run in this process.
#[test]
fn one_seed() {
    let Some(seed) = number("SOUK_SIM_SEED") else { return };
    let outcome = run::run(seed);
    println!("{OUTCOME}{}", outcome.line());
    assert!(outcome.violations.is_empty(), "seed {seed}:\n{}", outcome.violations.join("\n"));
}

#[test]
fn seeds() {
    let first = number("SOUK_SIM_FIRST").unwrap_or(1);
    let count = number("SOUK_SIM_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let mut marks = BTreeMap::new();
    let mut failed = Vec::new();
    let seeds: Vec<u64> = (first..first + count).collect();
    for pair in seeds.chunks(2) {
        let children: Vec<_> =
            pair.iter().map(|seed| (*seed, child(*seed).spawn().expect("it starts"))).collect();
        for (seed, child) in children {
            let output = child.wait_with_output().expect("it ends");
            match outcome_of(&output) {
                Some(line) if output.status.success() => run::add_marks(&line, &mut marks),
                _ => failed.push(format!("{}\n{}", again(seed), text(&output))),
            }
        }
    }
    println!("{count} seeds from {first}, {} failed; reached: {marks:?}", failed.len());
    assert!(failed.is_empty(), "{} of {count} seeds failed:\n{}", failed.len(), failed.join("\n\n"));
    let missed: Vec<_> = faults::SOMETIMES.iter().filter(|mark| !marks.contains_key(**mark)).collect();
    assert!(count < SEEDS_TELLING || missed.is_empty(), "no seed reached {missed:?}");
}

/// Otherwise no seed could be repeated.
#[test]
fn the_same_seed_makes_the_same_happen() {
    let seed = number("SOUK_SIM_FIRST").unwrap_or(3);
    let line = || {
        let output = child(seed).output().expect("it starts");
        outcome_of(&output).unwrap_or_else(|| panic!("{}\n{}", again(seed), text(&output)))
    };
    assert_eq!(line(), line(), "two runs of seed {seed} differ");
}

fn child(seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test knows its own path"));
    command.args(["--exact", "one_seed", "--nocapture"]).env("SOUK_SIM_SEED", seed.to_string());
    command
        .env("RUST_BACKTRACE", "0")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command
}

fn again(seed: u64) -> String {
    format!("SOUK_SIM_SEED={seed} cargo test -p souk-tests --test simulation -- --exact one_seed --nocapture")
}

fn outcome_of(output: &Output) -> Option<String> {
    let out = String::from_utf8_lossy(&output.stdout);
    out.lines().find_map(|line| line.split_once(OUTCOME)).map(|(_, outcome)| outcome.to_owned())
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
