//! The file beside the shop: what the one says happened and what the other did, row by row.
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many differing keys of one map get a row of their own; the rest are one row with their count.
pub const DIFFERENCES_LISTED_MAX: usize = 50;

/// A comparison in sections. Numbers are text, so that a table and JSON print the same figures.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they were added.
    pub sections: Vec<Section>,
}

/// Rows that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// What the rows are about.
    pub title: String,
    /// In the order in which they were added.
    pub rows: Vec<Row>,
}

/// One figure, twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What is counted.
    pub what: String,
    /// The figure according to the file.
    pub from_file: String,
    /// The figure according to the shop.
    pub from_shop: String,
    /// Whether they agree.
    pub equal: bool,
}

impl Report {
    /// A report without sections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a section; rows go into the one begun last.
    pub fn section(mut self, title: &str) -> Self {
        self.sections.push(Section { title: title.to_owned(), rows: Vec::new() });
        self
    }

    /// Compares two figures of one kind.
    pub fn row<T: PartialEq + fmt::Display>(mut self, what: &str, from_file: T, from_shop: T) -> Self {
        let equal = from_file == from_shop;
        self.push(Row {
            what: what.to_owned(),
            from_file: from_file.to_string(),
            from_shop: from_shop.to_string(),
            equal,
        });
        self
    }

    /// Compares two maps: one row for how many keys agree, and one for each of the first keys that do not.
    pub fn map<T: PartialEq + fmt::Display>(
        mut self,
        what: &str,
        from_file: &BTreeMap<String, T>,
        from_shop: &BTreeMap<String, T>,
    ) -> Self {
        let keys: BTreeSet<&String> = from_file.keys().chain(from_shop.keys()).collect();
        let differing: Vec<&String> =
            keys.into_iter().filter(|key| from_file.get(*key) != from_shop.get(*key)).collect();
        self.push(Row {
            what: format!("{what}, kinds"),
            from_file: from_file.len().to_string(),
            from_shop: from_shop.len().to_string(),
            equal: differing.is_empty(),
        });
        let text = |value: Option<&T>| value.map_or_else(|| "none".to_owned(), T::to_string);
        for key in differing.iter().take(DIFFERENCES_LISTED_MAX) {
            let (from_file, from_shop) = (text(from_file.get(*key)), text(from_shop.get(*key)));
            self.push(Row { what: format!("{what} of {key}"), from_file, from_shop, equal: false });
        }
        let unlisted = differing.len().saturating_sub(DIFFERENCES_LISTED_MAX);
        if unlisted > 0 {
            let what = format!("{what}, {unlisted} more that differ");
            self.push(Row { what, from_file: String::new(), from_shop: String::new(), equal: false });
        }
        self
    }

    /// The rows that do not agree, each with its section's title.
    pub fn differences(&self) -> Vec<(&str, &Row)> {
        let rows = self
            .sections
            .iter()
            .flat_map(|section| section.rows.iter().map(|row| (section.title.as_str(), row)));
        rows.filter(|(_, row)| !row.equal).collect()
    }

    /// The report as JSON, with the number of differences.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            differences: usize,
            sections: &'a [Section],
        }
        let document = Document { differences: self.differences().len(), sections: &self.sections };
        serde_json::to_string_pretty(&document).expect("strings, numbers and lists are always JSON")
    }

    fn push(&mut self, row: Row) {
        if self.sections.is_empty() {
            self.sections.push(Section { title: String::new(), rows: Vec::new() });
        }
        let last = self.sections.last_mut().expect("there is one since the lines above");
        last.rows.push(row);
    }
}

impl fmt::Display for Report {
    /// An aligned table; figures to the right, so that digits stand under digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || self.sections.iter().flat_map(|section| &section.rows);
        let widest = |header: &str, figure: fn(&Row) -> &str| {
            rows().map(|row| figure(row).chars().count()).chain([header.chars().count()]).max().unwrap_or(0)
        };
        let what = widest("", |row| &row.what);
        let file = widest("file", |row| &row.from_file);
        let shop = widest("shop", |row| &row.from_shop);
        for section in &self.sections {
            writeln!(f, "{}", section.title)?;
            writeln!(f, "  {:what$}  {:>file$}  {:>shop$}", "", "file", "shop")?;
            for row in &section.rows {
                let verdict = if row.equal { "equal" } else { "DIFFERS" };
                writeln!(
                    f,
                    "  {:what$}  {:>file$}  {:>shop$}  {verdict}",
                    row.what, row.from_file, row.from_shop
                )?;
            }
        }
        match self.differences().len() {
            0 => writeln!(f, "no differences"),
            1 => writeln!(f, "1 difference"),
            many => writeln!(f, "{many} differences"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(entries: &[(&str, u64)]) -> BTreeMap<String, u64> {
        entries.iter().map(|(sku, pieces)| ((*sku).to_owned(), *pieces)).collect()
    }

    #[test]
    fn equal_figures_leave_no_difference() {
        let stock = stock(&[("85123A", 6), ("85123a", 1)]);
        let report = Report::new()
            .section("orders")
            .row("orders", 2, 2)
            .section("stock")
            .map("pieces", &stock, &stock);
        assert!(report.differences().is_empty());
        assert_eq!(
            report.to_string(),
            "orders\n                 file  shop\n  orders            2     2  equal\n\
             stock\n                 file  shop\n  pieces, kinds     2     2  equal\nno differences\n"
        );
    }

    #[test]
    fn each_difference_is_a_row_with_both_figures() {
        let (file, shop) = (stock(&[("A", 6), ("B", 2)]), stock(&[("A", 5), ("C", 2)]));
        let report = Report::new().section("stock").map("pieces", &file, &shop);
        let differences: Vec<String> = report
            .differences()
            .iter()
            .map(|(section, row)| format!("{section}: {} {}/{}", row.what, row.from_file, row.from_shop))
            .collect();
        assert_eq!(
            differences,
            [
                "stock: pieces, kinds 2/2",
                "stock: pieces of A 6/5",
                "stock: pieces of B 2/none",
                "stock: pieces of C none/2"
            ]
        );
        assert!(report.to_string().ends_with("4 differences\n"));
    }

    #[test]
    fn a_flood_of_differences_is_counted_not_listed() {
        let file: BTreeMap<String, u64> = (0..60).map(|n| (format!("sku{n:02}"), 1)).collect();
        let report = Report::new().map("pieces", &file, &BTreeMap::new());
        assert_eq!(report.differences().len(), 1 + DIFFERENCES_LISTED_MAX + 1);
        assert!(report.to_string().contains("10 more that differ"));
    }

    #[test]
    fn json_has_the_same_rows() {
        let report = Report::new().section("money").row("revenue", "1.00 GBP", "1.01 GBP");
        let json: serde_json::Value = serde_json::from_str(&report.json()).expect("is JSON");
        assert_eq!(json["differences"], 1);
        assert_eq!(
            json["sections"][0]["rows"][0],
            serde_json::json!({"what": "revenue", "from_file": "1.00 GBP", "from_shop": "1.01 GBP", "equal": false})
        );
    }
}
