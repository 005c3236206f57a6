//! Exceptions that may only become fewer. A line of the list is `rule path item size`: the thing may be that
//! large and no larger. A line that is no longer needed is a finding too, so the list shrinks by itself.
use super::Finding;

/// Where the list stands.
pub(super) const LIST: &str = "xtask/ratchet.txt";

/// Rules that a large thing can break by a little, or that the past can break for ever.
const RATCHETED: [&str; 3] = ["function", "file", "golden"];

struct Entry<'a> {
    line: u64,
    rule: &'a str,
    path: &'a str,
    item: &'a str,
    size: u64,
}

impl Entry<'_> {
    fn is_about(&self, finding: &Finding) -> bool {
        (self.rule, self.path, self.item) == (finding.rule, finding.path.as_str(), finding.item.as_str())
    }
}

/// The findings that the list does not excuse, with what is wrong with the list.
pub(super) fn apply(findings: Vec<Finding>, list: &str) -> Vec<Finding> {
    let mut complaints = Vec::new();
    let mut entries = Vec::new();
    for (index, text) in list.lines().enumerate() {
        let line = index as u64 + 1;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        match parse(line, text) {
            Some(entry) => entries.push(entry),
            None => complaints.push(complaint(line, "must be `function|file|golden path item size`")),
        }
    }
    for entry in &entries {
        if !findings.iter().any(|finding| entry.is_about(finding)) {
            complaints.push(complaint(entry.line, "is no longer needed: delete the line"));
        }
    }
    let excused =
        |finding: &Finding| entries.iter().any(|entry| entry.is_about(finding) && finding.size <= entry.size);
    complaints.extend(findings.into_iter().filter(|finding| !excused(finding)));
    complaints
}

fn parse(line: u64, text: &str) -> Option<Entry<'_>> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [rule, path, item, size] = fields[..] else { return None };
    let entry = Entry { line, rule, path, item, size: size.parse().ok()? };
    RATCHETED.contains(&rule).then_some(entry)
}

fn complaint(line: u64, what: &str) -> Finding {
    Finding::new(LIST, line, "ratchet", what)
}
