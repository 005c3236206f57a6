//! The lists of points and marks beside what stands in the source.
use souk_telemetry::crash;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where points and marks may stand.
const FOLDERS: [&str; 4] = ["chassis", "services", "sims", "souk"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The first texts that `name!` is called with, anywhere but in the file that declares it.
fn called(name: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = Vec::new();
    FOLDERS.iter().for_each(|folder| sources(&root.join(folder), &mut files));
    files.retain(|file| !file.ends_with("telemetry/src/crash.rs"));
    let mut texts = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file");
        for call in text.split(&format!("{name}!(")).skip(1) {
            let argument = call.split('"').nth(1).expect("a point begins with its label");
            texts.insert(argument.to_owned());
        }
    }
    texts
}

#[test]
fn every_label_in_the_source_is_listed_and_every_listed_one_stands_in_the_source() {
    let listed: BTreeSet<_> = crash::POINTS.iter().map(|(label, _)| (*label).to_owned()).collect();
    assert_eq!(called("crash_point"), listed);
    let listed: BTreeSet<_> = crash::MARKS.iter().map(|mark| (*mark).to_owned()).collect();
    assert_eq!(called("sometimes"), listed);
}
