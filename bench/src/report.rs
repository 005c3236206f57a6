//! What was measured: a table for people, JSON for everybody else.
use crate::amount::Amount;
use crate::machine::Machine;
use serde_json::{Value, json};

/// Why a part has no figures.
#[derive(Debug)]
pub enum NoResult {
    /// Something that this machine lacks; the sentence says how to get it.
    Skipped(String),
    /// It did not work.
    Failed(String),
}

impl NoResult {
    /// It did not work: what was tried, and why it failed.
    pub fn failed(what: &str, why: impl std::fmt::Display) -> Self {
        NoResult::Failed(format!("{what}: {why}"))
    }
}

/// What a part came to.
pub type Outcome<T = Vec<Figure>> = Result<T, NoResult>;

/// One figure, perhaps beside a yardstick, perhaps with a bar.
#[derive(Debug)]
pub struct Figure {
    /// The same in every run, so that runs can be compared.
    what: String,
    /// What was peculiar to this run.
    detail: String,
    value: Amount,
    unit: &'static str,
    yardstick: Option<Yardstick>,
    bar: Option<Bar>,
}

#[derive(Debug)]
struct Yardstick {
    what: &'static str,
    value: Amount,
    ratio: Amount,
}

/// What the figure has to be.
#[derive(Debug)]
struct Bar {
    wanted: &'static str,
    is_met: bool,
}

impl Figure {
    /// A figure alone.
    pub fn new(what: impl Into<String>, value: Amount, unit: &'static str) -> Self {
        Self { what: what.into(), detail: String::new(), value, unit, yardstick: None, bar: None }
    }

    /// The same with what was peculiar to this run.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same beside what it is compared with, measured in the same unit and in the same run.
    #[must_use]
    pub fn beside(mut self, what: &'static str, value: Amount) -> Self {
        self.yardstick = Some(Yardstick { what, value, ratio: self.value.over(value) });
        self
    }

    /// The same with what it has to be.
    #[must_use]
    pub fn bar(mut self, wanted: &'static str, is_met: bool) -> Self {
        self.bar = Some(Bar { wanted, is_met });
        self
    }

    fn is_missed(&self) -> bool {
        self.bar.as_ref().is_some_and(|bar| !bar.is_met)
    }

    fn cells(&self) -> [String; 6] {
        let beside = self.yardstick.as_ref();
        let bar = self.bar.as_ref();
        let what = [self.what.as_str(), self.detail.as_str()];
        [
            what.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": "),
            self.value.to_string(),
            self.unit.to_owned(),
            beside.map_or_else(String::new, |beside| format!("{} × {}", beside.ratio, beside.what)),
            beside.map_or_else(String::new, |beside| beside.value.to_string()),
            bar.map_or_else(String::new, |bar| {
                format!("{} {}", if bar.is_met { "met:" } else { "MISSED:" }, bar.wanted)
            }),
        ]
    }

    fn json(&self) -> Value {
        let mut value = json!({ "what": self.what, "value": self.value.number(), "unit": self.unit });
        if !self.detail.is_empty() {
            value["detail"] = json!(self.detail);
        }
        if let Some(beside) = &self.yardstick {
            value["yardstick"] = json!({ "what": beside.what, "value": beside.value.number() });
            value["ratio"] = Value::Number(beside.ratio.number());
        }
        if let Some(bar) = &self.bar {
            value["bar"] = json!({ "wanted": bar.wanted, "met": bar.is_met });
        }
        value
    }
}

/// Everything that one run measured.
pub struct Report {
    machine: Machine,
    parts: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Nothing measured yet.
    pub fn new(machine: Machine) -> Self {
        Self { machine, parts: Vec::new() }
    }

    /// Adds what a part came to.
    pub fn add(&mut self, part: &'static str, outcome: Outcome) {
        self.parts.push((part, outcome));
    }

    /// Whether some bar was missed.
    pub fn missed(&self) -> bool {
        self.parts.iter().flat_map(|(_, outcome)| outcome.iter().flatten()).any(Figure::is_missed)
    }

    /// Whether some part could not be measured.
    pub fn failed(&self) -> bool {
        self.parts.iter().any(|(_, outcome)| matches!(outcome, Err(NoResult::Failed(_))))
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.machine.sentence());
        for (part, outcome) in &self.parts {
            text.push_str(&format!("\n{part}\n"));
            match outcome {
                Ok(figures) => text.push_str(&aligned(figures)),
                Err(NoResult::Skipped(why)) => text.push_str(&format!("  SKIPPED: {why}\n")),
                Err(NoResult::Failed(why)) => text.push_str(&format!("  FAILED: {why}\n")),
            }
        }
        text
    }

    /// The same as JSON.
    pub fn json(&self) -> String {
        let parts = self.parts.iter().map(|(part, outcome)| match outcome {
            Ok(figures) => {
                json!({ "part": part, "figures": figures.iter().map(Figure::json).collect::<Vec<_>>() })
            }
            Err(NoResult::Skipped(why)) => json!({ "part": part, "skipped": why }),
            Err(NoResult::Failed(why)) => json!({ "part": part, "failed": why }),
        });
        let report = json!({ "machine": self.machine.json(), "parts": parts.collect::<Vec<_>>() });
        format!("{report:#}\n")
    }
}

/// Numbers stand right, words left.
fn aligned(figures: &[Figure]) -> String {
    const RIGHT: [bool; 6] = [false, true, false, false, true, false];
    let rows: Vec<_> = figures.iter().map(Figure::cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            if RIGHT[column] { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let mut report = Report::new(Machine::default());
        report.add("appends", outcome);
        report
    }

    #[test]
    fn a_figure_stands_beside_its_yardstick_in_table_and_json() {
        let figure = Figure::new("1 client", Amount::whole(2_400), "appends/s")
            .detail("cold")
            .beside("raw syncs", Amount::whole(3_000))
            .bar("at least half", true);
        let report = report(Ok(vec![figure]));
        assert!(report.table().ends_with(
            "\nappends\n  1 client: cold  2,400  appends/s  0.800 × raw syncs  3,000  met: at least half\n"
        ));
        let json: Value = serde_json::from_str(&report.json()).expect("JSON");
        let figure = &json["parts"][0]["figures"][0];
        assert_eq!(figure["ratio"].to_string(), "0.8");
        assert_eq!((&figure["what"], &figure["bar"]["met"]), (&json!("1 client"), &json!(true)));
        assert!(!report.missed() && !report.failed());
    }

    #[test]
    fn missing_a_bar_and_failing_differ_from_skipping() {
        let missed = Figure::new("x", Amount::whole(1), "ms").bar("below 1", false);
        assert!(report(Ok(vec![missed])).missed());
        let skipped = report(Err(NoResult::Skipped("nginx is not installed".to_owned())));
        assert!(!skipped.missed() && !skipped.failed());
        assert!(skipped.table().contains("SKIPPED: nginx is not installed"));
        assert!(report(Err(NoResult::failed("up", "no"))).failed());
    }
}
