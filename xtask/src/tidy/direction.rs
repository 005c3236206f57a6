//! Which crate may depend on which.
use super::Finding;
use super::house::{Dependency, House, Kind, Package};
use std::collections::BTreeMap;

/// Crates without runtime, network, database or chance, so that they can stand inside pure rules.
const PURE_CRATES: [&str; 2] = ["souk-kernel", "souk-decider"];

/// What a pure crate must not name.
const IMPURE: [&str; 18] = [
    "async-std",
    "chrono",
    "deadpool-postgres",
    "fastrand",
    "futures-util",
    "getrandom",
    "hyper",
    "hyper-util",
    "rand",
    "rdkafka",
    "reqwest",
    "rusqlite",
    "smol",
    "time",
    "tokio",
    "tokio-postgres",
    "tonic",
    "uuid",
];

/// Foreign crates that only some of ours may know, so that changing them is changing one place.
const KNOWN_BY: [(&str, &[&str]); 5] = [
    ("rdkafka", &["souk-bus"]),
    ("rusqlite", &["souk-sql", "souk-eventstore"]),
    ("tokio-postgres", &["souk-sql", "souk-eventstore"]),
    ("deadpool-postgres", &["souk-sql", "souk-eventstore"]),
    ("tonic", &["souk-rpc", "souk-contracts"]),
];

pub(super) fn check(house: &House) -> Vec<Finding> {
    let levels: BTreeMap<&str, u64> =
        house.packages.iter().filter_map(|package| Some((package.folder.as_str(), package.level?))).collect();
    house.packages.iter().flat_map(|package| check_package(package, &levels)).collect()
}

fn check_package(package: &Package, levels: &BTreeMap<&str, u64>) -> Vec<Finding> {
    let mut sentences = Vec::new();
    if package.level.is_none() {
        sentences.push("states no level: add `[package.metadata.souk] level`".to_owned());
    }
    for dependency in &package.dependencies {
        sentences.extend(check_level(package, dependency, levels));
        sentences.extend(check_folder(package, dependency));
        sentences.extend(check_foreign(package, dependency));
    }
    let manifest = package.manifest();
    let finding =
        |sentence: String| Finding::new(&manifest, 1, "direction", format!("{} {sentence}", package.name));
    sentences.into_iter().map(finding).collect()
}

/// Tests may look up: a lower crate is sometimes tried out by means of a higher one.
fn check_level(package: &Package, dependency: &Dependency, levels: &BTreeMap<&str, u64>) -> Option<String> {
    let folder = dependency.folder.as_deref().filter(|_| dependency.kind != Kind::Dev)?;
    let (own, theirs) = (package.level?, *levels.get(folder)?);
    (theirs >= own)
        .then(|| format!("(level {own}) depends on {} (level {theirs}), which is not lower", dependency.name))
}

fn check_folder(package: &Package, dependency: &Dependency) -> Option<String> {
    let folder = dependency.folder.as_deref()?;
    let is_service = folder.starts_with("services/");
    if package.is_service() && is_service {
        return Some(format!(
            "is a service and depends on the service {}: use contracts and rpc",
            dependency.name
        ));
    }
    let knows_the_shop = package.folder.starts_with("chassis/") && (is_service || folder == "contracts");
    knows_the_shop
        .then(|| format!("is chassis and depends on {}: the chassis knows no shop", dependency.name))
}

/// Tests, and the benches that measure others, may use what they like.
fn check_foreign(package: &Package, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if dependency.kind == Kind::Dev || matches!(package.folder.as_str(), "tests" | "bench") {
        return None;
    }
    if PURE_CRATES.contains(&package.name.as_str()) && IMPURE.contains(&name) {
        return Some(format!("is pure and depends on {name}"));
    }
    let (_, knowers) = KNOWN_BY.iter().find(|(foreign, _)| *foreign == name)?;
    let knows = knowers.contains(&package.name.as_str());
    (!knows).then(|| format!("depends on {name}, which only {} may know", knowers.join(" and ")))
}
