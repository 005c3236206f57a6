//! What is wrong with a file, by row and column.
use std::fmt;

/// How many problems a refusal lists; the rest are only counted.
pub const PROBLEMS_LISTED_MAX: usize = 1_000;

/// How much of a faulty value a problem shows.
const SHOWN_CHARS_MAX: usize = 40;

/// One cell that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The header is row 1; empty lines are not counted.
    pub row: u64,
    /// The column's name as the file writes it, or `row` when the row as a whole is at fault.
    pub column: String,
    /// What is wrong, for the person who has to mend the file.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, {}: {}", self.row, self.column, self.sentence)
    }
}

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// In order of rows, at most [`PROBLEMS_LISTED_MAX`].
    pub problems: Vec<Problem>,
    /// How many there are.
    pub total: usize,
}

impl Refused {
    /// All problems of a file, of which the first are listed.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        let total = problems.len();
        // Stable, so that the columns of a row stay in the order in which they were checked.
        problems.sort_by_key(|problem| problem.row);
        problems.truncate(PROBLEMS_LISTED_MAX);
        Self { problems, total }
    }
}

impl Refused {
    /// How many problems there are, without naming them.
    pub fn sentence(&self) -> String {
        let noun = if self.total == 1 { "problem" } else { "problems" };
        format!("the file has {} {noun}; nothing was written", self.total)
    }

    /// All that a program needs to show the problems where they are.
    pub fn json(&self) -> serde_json::Value {
        let problem = |problem: &Problem| serde_json::json!({"row": problem.row, "column": problem.column, "problem": problem.sentence});
        serde_json::json!({
            "total": self.total,
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
        match self.total - self.problems.len() {
            0 => Ok(()),
            unlisted => write!(f, "\n  and {unlisted} more"),
        }
    }
}

impl std::error::Error for Refused {}

/// A faulty value as a message shows it.
pub(super) fn shown(value: &str) -> String {
    let start: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if start.len() < value.len() { "…" } else { "" };
    format!("{:?}", start + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_what_it_does_not_list() {
        let problem = |row| Problem { row, column: "Handle".into(), sentence: "is bad".into() };
        let refused = Refused::new((0..PROBLEMS_LISTED_MAX as u64 + 2).rev().map(problem).collect());
        let text = refused.to_string();
        assert!(text.starts_with("the file has 1002 problems"), "{text}");
        assert!(text.ends_with("row 999, Handle: is bad\n  and 2 more"), "{text}");
        assert_eq!(shown(&"x".repeat(50)).chars().count(), SHOWN_CHARS_MAX + 3);
    }
}
