//! Builds what the crash laboratory needs and starts it. The laboratory itself is the crate `lab`, which knows
//! the shop; the chores do not, so that they build in a moment.
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Builds the program with crash points and the laboratory, and runs the one on the other.
pub fn run(root: &Path, release: bool, options: &[String]) -> io::Result<ExitCode> {
    let target = target_folder(root)?;
    // A debug build has crash points anyway. Another one is kept apart, so that nobody takes it for the real one.
    let (folder, profile) =
        if release { (target.join("crashlab"), "release") } else { (target.clone(), "debug") };
    let mut shop = cargo(root);
    shop.args(["build", "--quiet", "--package", "souk", "--target-dir"]).arg(&folder);
    if release {
        shop.args(["--release", "--features", "crashpoints"]);
    }
    let mut lab = cargo(root);
    lab.args(["build", "--quiet", "--package", "souk-lab"]);
    for mut build in [shop, lab] {
        if !build.status()?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    let (shop, lab) = (folder.join(profile).join("souk"), target.join("debug").join("souk-lab"));
    let ended = Command::new(lab).arg("--binary").arg(shop).args(options).status()?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// Where cargo builds, which is not always the folder `target`.
fn target_folder(root: &Path) -> io::Result<PathBuf> {
    let asked = cargo(root).args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&asked.stdout).map_err(io::Error::other)?;
    let folder = metadata["target_directory"].as_str().map(PathBuf::from);
    folder.ok_or_else(|| io::Error::other("cargo does not say where it builds"))
}
