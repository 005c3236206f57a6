//! Documents that are made of the code are what the code says.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const REASONS: &str = "docs/reasons.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

fn page() -> String {
    souk_gateway::reasons_page(souk_contracts::DESCRIPTORS).expect("our contracts can be read")
}

#[test]
fn the_page_of_reasons_is_what_the_contracts_say() {
    let path = root().join(REASONS);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(root().join("docs")).expect("the folder can be made");
        std::fs::write(&path, page()).expect("the page can be written");
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == page(), "{REASONS} is old: UPDATE_GOLDEN=1 cargo test -p souk-tests --test documents");
}

/// A reason that no contract lists would reach callers who cannot look it up.
#[test]
fn every_reason_that_a_service_gives_is_on_the_page() {
    let page = page();
    let mut said = BTreeSet::new();
    for folder in ["services", "sims", "chassis/decider/src", "chassis/kernel/src"] {
        collect(&root().join(folder), &mut said);
    }
    assert!(said.len() > 20, "the sources name reasons: {said:?}");
    let unlisted: Vec<_> = said.iter().filter(|reason| !page.contains(&format!("| `{reason}` |"))).collect();
    assert!(unlisted.is_empty(), "no contract's `enum Reason` lists {unlisted:?}");
}

/// The reasons in the rejections that the sources build.
fn collect(path: &Path, said: &mut BTreeSet<String>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a folder of the repository");
        entries.for_each(|entry| collect(&entry.expect("an entry").path(), said));
        return;
    }
    let is_test = path.components().any(|part| part.as_os_str().to_string_lossy().contains("tests"));
    if path.extension().is_none_or(|extension| extension != "rs") || is_test {
        return;
    }
    let text = std::fs::read_to_string(path).expect("a source file");
    // Samples in documentation and unit tests at the end of a file are nobody's answers.
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for rest in code.split("Rejection::new(").skip(1) {
        if let Some(reason) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
            said.insert(reason.to_owned());
        }
    }
}
