//! What the rules look at, read once: files, packages, and which golden events were touched.
use super::masked::Masked;
use super::{history, ratchet};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// Folders that hold nothing of ours; in a second work tree `.git` is a file.
const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "souk-data", "souk-replay"];

/// Larger files are no text that a person wrote.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// The workspace, as far as the rules care.
#[derive(Default)]
pub(super) struct House {
    pub(super) packages: Vec<Package>,
    pub(super) files: Vec<TextFile>,
    /// Golden events that were edited or deleted after their first commit.
    pub(super) goldens_touched: Vec<String>,
    /// The ratchet list's text.
    pub(super) ratchet: String,
}

/// A file of the tree, with its path relative to the root.
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
    /// Code and string literals apart; only for Rust.
    pub(super) masked: Option<Masked>,
}

impl TextFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let masked = path.ends_with(".rs").then(|| Masked::new(text));
        Self { path: path.to_owned(), text: text.to_owned(), masked }
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// A crate of the workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the root, such as `services/order`.
    pub(super) folder: String,
    pub(super) level: Option<u64>,
    /// File names of sagas.
    pub(super) sagas: Vec<String>,
    pub(super) dependencies: Vec<Dependency>,
}

impl Package {
    pub(super) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    pub(super) fn is_service(&self) -> bool {
        self.folder.starts_with("services/")
    }
}

/// What a crate names in its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Relative to the root, for crates of the workspace.
    pub(super) folder: Option<String>,
    pub(super) kind: Kind,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Build,
    Dev,
}

impl House {
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let mut files = Vec::new();
        collect(&root, &root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let ratchet = files
            .iter()
            .find(|file| file.path == ratchet::LIST)
            .map(|file| file.text.clone())
            .unwrap_or_default();
        Ok(Self {
            packages: packages(&root)?,
            files,
            goldens_touched: history::goldens_touched(&root),
            ratchet,
        })
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<TextFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !skipped {
            collect(root, &path, files)?;
        } else if kind.is_file()
            && !skipped
            && path.extension().is_none_or(|extension| extension != "log")
            && entry.metadata()?.len() <= FILE_BYTES_MAX
            // What is not UTF-8 is no text; what vanishes while we look was somebody's temporary file.
            && let Ok(text) = fs::read_to_string(&path)
        {
            files.push(TextFile::new(&relative(root, &path), &text));
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn packages(root: &Path) -> io::Result<Vec<Package>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()?;
    if !answer.status.success() {
        let why = String::from_utf8_lossy(&answer.stderr).into_owned();
        return Err(io::Error::other(format!("cargo metadata failed: {why}")));
    }
    let metadata: Value = serde_json::from_slice(&answer.stdout).map_err(io::Error::other)?;
    Ok(packages_of(root, &metadata))
}

/// The packages in the answer of `cargo metadata`.
pub(super) fn packages_of(root: &Path, metadata: &Value) -> Vec<Package> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().map(|package| package_of(root, package)).collect()
}

fn package_of(root: &Path, package: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let souk = &package["metadata"]["souk"];
    let manifest = text(&package["manifest_path"]);
    let folder = Path::new(&manifest).parent().map(|folder| relative(root, folder)).unwrap_or_default();
    let dependency = |dependency: &Value| Dependency {
        name: text(&dependency["name"]),
        folder: dependency["path"].as_str().map(|path| relative(root, Path::new(path))),
        kind: match dependency["kind"].as_str() {
            Some("build") => Kind::Build,
            Some("dev") => Kind::Dev,
            _ => Kind::Normal,
        },
    };
    Package {
        name: text(&package["name"]),
        folder,
        level: souk["level"].as_u64(),
        sagas: list(&souk["sagas"]).iter().map(text).map(file_name).collect(),
        dependencies: list(&package["dependencies"]).iter().map(dependency).collect(),
    }
}

/// Sagas are listed as `place` or as `place.rs`.
fn file_name(saga: String) -> String {
    if saga.ends_with(".rs") { saga } else { format!("{saga}.rs") }
}
