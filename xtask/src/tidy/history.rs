//! Golden events are what older releases wrote. Once committed they are never edited and never deleted, so
//! the git history has only additions of them.
use super::Finding;
use super::house::House;
use std::path::Path;
use std::process::Command;

const GOLDENS: &str = ":(glob)services/*/events/**";

pub(super) fn check(house: &House) -> Vec<Finding> {
    let alive =
        |path: &str| house.packages.iter().any(|package| path.starts_with(&format!("{}/", package.folder)));
    let touched = house.goldens_touched.iter().filter(|path| alive(path));
    let what = "a golden event was edited or deleted: restore it and add a new version beside it";
    touched.map(|path| Finding::new(path, 1, "golden", what)).collect()
}

/// Golden events that a commit, or the working tree against the last commit, modified or deleted.
pub(super) fn goldens_touched(root: &Path) -> Vec<String> {
    let names = ["--no-renames", "--diff-filter=MD", "--name-only", "--relative"];
    let committed = git(root, &[&["log", "--format="], &names[..], &["--", GOLDENS]].concat());
    let uncommitted = git(root, &[&["diff"], &names[..], &["HEAD", "--", GOLDENS]].concat());
    let (Some(committed), Some(uncommitted)) = (committed, uncommitted) else {
        eprintln!("NOT CHECKED: whether golden events were edited; there is no git history here");
        return Vec::new();
    };
    let mut paths: Vec<String> = committed.lines().chain(uncommitted.lines()).map(str::to_owned).collect();
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths.dedup();
    paths
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let answer = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
}
