//! The rules of the house that a machine can check: direction of dependencies, where things stand, how long a
//! function may be, which words are banned.
//!
//! [`check`] reads the tree, `cargo metadata` and the git history once, into a [`House`]; the rules are plain
//! functions over it. What is not here: formatting (rustfmt) and what the compiler or clippy can see.

mod direction;
mod functions;
mod history;
mod house;
mod masked;
mod ratchet;
mod services;
mod words;

#[cfg(test)]
mod tests;

use house::House;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The longest function, from `fn` to its closing brace.
pub const FUNCTION_LINES_MAX: u64 = 70;

/// The longest Rust file.
pub const FILE_LINES_MAX: u64 = 700;

/// A service's README is one screen.
pub const README_LINES_MAX: u64 = 60;

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Relative to the root of the workspace.
    pub path: String,
    /// From 1.
    pub line: u64,
    /// The rule's name, as the ratchet list writes it.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub what: String,
    /// Which thing of the file it is about, for the ratchet list; `-` for the file as a whole.
    item: String,
    /// How large the thing is, for the ratchet list.
    size: u64,
}

impl Finding {
    fn new(path: &str, line: u64, rule: &'static str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, what: what.into(), item: "-".to_owned(), size: 1 }
    }

    fn sized(self, item: &str, size: u64) -> Self {
        Self { item: item.to_owned(), size, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

/// All findings in the workspace at `root`, by path and line.
pub fn check(root: &Path) -> io::Result<Vec<Finding>> {
    Ok(findings(&House::read(root)?))
}

/// The workspace that this crate belongs to.
pub fn workspace_root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the workspace").to_path_buf()
}

fn findings(house: &House) -> Vec<Finding> {
    let mut findings = direction::check(house);
    findings.extend(services::check(house));
    findings.extend(functions::check(house));
    findings.extend(words::check(house));
    findings.extend(history::check(house));
    let mut findings = ratchet::apply(findings, &house.ratchet);
    findings.sort();
    findings
}
