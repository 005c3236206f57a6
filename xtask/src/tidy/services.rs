//! Every service has the same files, so that whoever knows one knows all; and some of them are pure.
use super::house::{House, Package, TextFile};
use super::masked::{line_of, words};
use super::{Finding, README_LINES_MAX};

/// Files of a service that may have parts, in a folder of the same name.
const FOLDERS: [&str; 4] = ["src/domain/", "src/proto/", "src/grpc/", "src/effects/"];

/// Those of them that are pure like the file they belong to.
const PURE_FOLDERS: [&str; 2] = ["domain/", "proto/"];

/// What may stand in a service's `src`, besides its sagas.
const FILES: [&str; 9] = [
    "lib.rs",
    "domain.rs",
    "proto.rs",
    "published.rs",
    "reactions.rs",
    "invariants.rs",
    "views.rs",
    "grpc.rs",
    "effects.rs",
];

/// Those of them that compute and do nothing else, besides the sagas.
const PURE_FILES: [&str; 4] = ["domain.rs", "proto.rs", "published.rs", "invariants.rs"];

/// Words that no pure file has in its code.
const IMPURE_WORDS: [&str; 10] = [
    "async",
    "await",
    "tokio",
    "rand",
    "thread_rng",
    "SystemTime",
    "Instant",
    "TcpStream",
    "TcpListener",
    "rusqlite",
];

/// Modules of the standard library that do I/O.
const IMPURE_PATHS: [&str; 6] = ["std::fs", "std::net", "std::io", "std::env", "std::process", "std::thread"];

pub(super) fn check(house: &House) -> Vec<Finding> {
    let services = house.packages.iter().filter(|package| package.is_service());
    services.flat_map(|service| check_service(house, service)).collect()
}

fn check_service(house: &House, service: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = format!("{}/", service.folder);
    let files: Vec<(&TextFile, &str)> =
        house.files.iter().filter_map(|file| Some((file, file.path.strip_prefix(&root)?))).collect();
    for (file, inside) in &files {
        if !has_its_place(service, inside) {
            let what = "a service has no such file: see the list of files that every service has";
            findings.push(Finding::new(&file.path, 1, "service-files", what));
        }
        if is_pure(service, inside) {
            findings.extend(impurities(file));
        }
    }
    for saga in &service.sagas {
        if !files.iter().any(|(_, inside)| *inside == format!("src/{saga}")) {
            let what = format!("names the saga {saga}, which is no file in src");
            findings.push(Finding::new(&service.manifest(), 1, "service-files", what));
        }
    }
    findings.extend(check_readme(service, &files));
    findings
}

fn has_its_place(service: &Package, inside: &str) -> bool {
    let beside = ["Cargo.toml", "README.md"].contains(&inside);
    let below = ["tests/", "events/"].iter().chain(&FOLDERS).any(|folder| inside.starts_with(folder));
    let source =
        inside.strip_prefix("src/").is_some_and(|name| FILES.contains(&name) || is_saga(service, name));
    beside || below || source
}

fn is_saga(service: &Package, name: &str) -> bool {
    service.sagas.iter().any(|saga| saga == name)
}

fn is_pure(service: &Package, inside: &str) -> bool {
    let Some(name) = inside.strip_prefix("src/") else { return false };
    let part_of_pure = PURE_FOLDERS.iter().any(|folder| name.starts_with(folder));
    PURE_FILES.contains(&name) || part_of_pure || is_saga(service, name)
}

fn impurities(file: &TextFile) -> Vec<Finding> {
    let Some(masked) = &file.masked else { return Vec::new() };
    let code = &masked.code;
    let named =
        words(code).filter(|(_, word)| IMPURE_WORDS.contains(word)).map(|(at, word)| (at, word.to_owned()));
    let reached =
        IMPURE_PATHS.iter().flat_map(|path| code.match_indices(path)).map(|(at, path)| (at, path.to_owned()));
    let finding = |(at, what): (usize, String)| {
        let sentence =
            format!("`{what}` in a pure file: take the value as an argument, or move this to where I/O is");
        Finding::new(&file.path, line_of(code, at), "pure", sentence)
    };
    named.chain(reached).map(finding).collect()
}

fn check_readme(service: &Package, files: &[(&TextFile, &str)]) -> Option<Finding> {
    let path = format!("{}/README.md", service.folder);
    let Some((readme, _)) = files.iter().find(|(_, inside)| *inside == "README.md") else {
        return Some(Finding::new(
            &path,
            1,
            "readme",
            "is missing: one screen on what the service owns and promises",
        ));
    };
    let lines = readme.text.lines().count() as u64;
    let what = || format!("has {lines} lines, over {README_LINES_MAX}: it is one screen");
    (lines > README_LINES_MAX).then(|| Finding::new(&path, 1, "readme", what()))
}
