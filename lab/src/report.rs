//! What a run has shown: one row per label, every cell as JSON, and the marks.
use crate::matrix::Outcome;
use serde_json::json;
use souk::output;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// All outcomes of a run.
pub struct Report {
    pub seed: u64,
    pub outcomes: Vec<Outcome>,
    /// Every mark with its count, zero included.
    pub marks: BTreeMap<String, u64>,
    /// What was not tried, and why.
    pub skipped: Vec<String>,
    /// Points that the survey found.
    pub points: usize,
    pub took: Duration,
}

#[derive(Default)]
struct Row {
    cells: usize,
    details: BTreeSet<String>,
    deaths: u32,
    missed: usize,
    violations: usize,
    answers_ms: Vec<u64>,
}

impl Report {
    /// How many violations there are.
    pub fn violations(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.violations.len()).sum()
    }

    /// Marks that were never set and should have been.
    pub fn unset(&self) -> Vec<&str> {
        self.marks.iter().filter(|(_, count)| **count == 0).map(|(mark, _)| mark.as_str()).collect()
    }

    fn rows(&self) -> BTreeMap<&str, Row> {
        let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
        for outcome in &self.outcomes {
            let label = outcome.cell.death.label();
            let row = rows.entry(label).or_default();
            row.cells += 1;
            row.details.insert(outcome.cell.death.detail());
            row.deaths += outcome.deaths;
            row.missed += usize::from(outcome.deaths == 0);
            row.violations += outcome.violations.len();
            row.answers_ms.push(outcome.first_answer_ms);
        }
        rows
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let headings =
            ["where it dies", "cells", "deaths", "missed", "violations", "first answer ms, p50 max"];
        let row = |(label, row): (&str, Row)| {
            let answers = format!("{} {}", percentile(&row.answers_ms, 50), percentile(&row.answers_ms, 100));
            let counts = [row.cells.to_string(), row.deaths.to_string(), row.missed.to_string()];
            [label.to_owned()]
                .into_iter()
                .chain(counts)
                .chain([row.violations.to_string(), answers])
                .collect()
        };
        let rows: Vec<Vec<String>> = self.rows().into_iter().map(row).collect();
        let mut text = output::table(&headings, &rows);
        for outcome in &self.outcomes {
            let (label, detail) = (outcome.cell.death.label(), outcome.cell.death.detail());
            for violation in &outcome.violations {
                text.push_str(&format!("  VIOLATION at {label}/{detail}: {violation}\n"));
            }
            if outcome.deaths == 0 {
                text.push_str(&format!("  missed: {label}/{detail}\n"));
            }
        }
        self.marks
            .iter()
            .for_each(|(mark, count)| text.push_str(&format!("  sometimes {count:>5}  {mark}\n")));
        self.skipped.iter().for_each(|what| text.push_str(&format!("  SKIPPED: {what}\n")));
        text.push_str(&self.sentence());
        text
    }

    fn sentence(&self) -> String {
        let answers: Vec<_> = self.outcomes.iter().map(|outcome| outcome.first_answer_ms).collect();
        let settled: Vec<_> = self.outcomes.iter().map(|outcome| outcome.settled_ms).collect();
        let deaths: u32 = self.outcomes.iter().map(|outcome| outcome.deaths).sum();
        format!(
            "{} cells of {} points, {deaths} deaths, {} violations; start to first answer p50 {} ms, p99 {} ms; from \
             there until all is settled p50 {} ms, p99 {} ms; seed {}, {} s\n",
            self.outcomes.len(),
            self.points,
            self.violations(),
            percentile(&answers, 50),
            percentile(&answers, 99),
            percentile(&settled, 50),
            percentile(&settled, 99),
            self.seed,
            self.took.as_secs(),
        )
    }

    /// Everything, for machines.
    pub fn json(&self) -> String {
        json!({
            "seed": self.seed,
            "points": self.points,
            "cells": self.outcomes,
            "violations": self.violations(),
            "sometimes": self.marks,
            "skipped": self.skipped,
            "seconds": self.took.as_secs(),
        })
        .to_string()
    }
}

/// The value below which so many of a hundred are; 0 of nothing.
pub fn percentile(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_was_never_set_is_told() {
        let mut marks: BTreeMap<String, u64> =
            souk_telemetry::crash::MARKS.iter().map(|mark| ((*mark).to_owned(), 1)).collect();
        let report = |marks| Report {
            seed: 1,
            outcomes: Vec::new(),
            marks,
            skipped: Vec::new(),
            points: 0,
            took: Duration::ZERO,
        };
        assert_eq!(report(marks.clone()).unset(), Vec::<&str>::new());
        marks.insert("a saga step was undone".to_owned(), 0);
        assert_eq!(report(marks).unset(), ["a saga step was undone"]);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        assert_eq!(percentile(&[], 50), 0);
        assert_eq!((percentile(&[3, 1, 2], 50), percentile(&[3, 1, 2], 100)), (2, 3));
    }
}
