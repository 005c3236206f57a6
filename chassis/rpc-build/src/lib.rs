//! Turns `.proto` files into messages (by prost) and into our own service traits, clients and policies.
//!
//! There is no protoc: protox reads the files. Options are read through its descriptor pool, and the
//! descriptor set is written as the bytes that protox encodes, because re-encoding the structs would drop
//! every extension. What the generated code looks like is documented in `souk-rpc`.
//!
//! ```no_run
//! // build.rs
//! souk_rpc_build::Build::new()
//!     .include("proto")
//!     .files_under("proto")
//!     .run()
//!     .expect("the contracts are well-formed");
//! ```
#![warn(missing_docs)]

mod policy;
mod service;

use policy::Policies;
use protox::prost_reflect::DescriptorPool;
use protox::prost_reflect::prost_types::FileDescriptorSet;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// The file in `OUT_DIR` with all generated modules; the crate includes it.
pub const INCLUDE_FILE: &str = "protos.rs";

/// The file in `OUT_DIR` with the encoded descriptor set.
pub const DESCRIPTOR_FILE: &str = "descriptors.bin";

/// How deep below a folder `.proto` files are looked for.
const FOLDER_DEPTH_MAX: usize = 16;

/// Why nothing was generated. The text names the file or method at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What to generate from what.
#[derive(Debug, Clone, Default)]
pub struct Build {
    includes: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
    described: Vec<PathBuf>,
    externs: Vec<(String, String)>,
    out_dir: Option<PathBuf>,
}

impl Build {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder that imports are relative to.
    #[must_use]
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        self.includes.push(folder.into());
        self
    }

    /// One file to generate code for.
    #[must_use]
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// One file that is only described: it is in the descriptor set, and its code stands elsewhere.
    #[must_use]
    pub fn describe(mut self, file: impl Into<PathBuf>) -> Self {
        self.described.push(file.into());
        self
    }

    /// Generates code for every `.proto` file under `folder`.
    #[must_use]
    pub fn files_under(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Types of the proto package `proto` (with a leading dot) are found at `rust` instead of generated.
    #[must_use]
    pub fn external(mut self, proto: &str, rust: &str) -> Self {
        self.externs.push((proto.to_owned(), rust.to_owned()));
        self
    }

    /// Where to write; without it, `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Generates. In a build script it also tells cargo when to generate again.
    pub fn run(self) -> Result<(), Error> {
        let files = self.all_files()?;
        let mut compiler =
            protox::Compiler::new(&self.includes).map_err(|e| Error::new("include folders", e))?;
        compiler.include_imports(true).include_source_info(true);
        for file in files.iter().chain(&self.described) {
            compiler.open_file(file).map_err(|e| Error::new(file.display(), format!("{e:?}")))?;
        }
        let out_dir = self.out_folder()?;
        let pool = compiler.descriptor_pool();
        let set = compiler.file_descriptor_set();
        let own = self.own_names(&compiler);
        let path = out_dir.join(DESCRIPTOR_FILE);
        // With comments: the API's documentation is made of them.
        std::fs::write(&path, compiler.encode_file_descriptor_set())
            .map_err(|e| Error::new(path.display(), e))?;
        self.write_code(set, &own, &pool, &out_dir)?;
        self.tell_cargo();
        Ok(())
    }

    /// Messages by prost, then our service code behind them.
    fn write_code(
        &self,
        mut set: FileDescriptorSet,
        own: &BTreeSet<String>,
        pool: &DescriptorPool,
        out_dir: &Path,
    ) -> Result<(), Error> {
        let policies = Policies::read(pool, own)?;
        let mut config = prost_build::Config::new();
        config
            .btree_map(["."])
            .bytes(["."])
            .include_file(INCLUDE_FILE)
            .out_dir(out_dir)
            .service_generator(Box::new(service::Generator::new(policies)));
        for (proto, rust) in self.externs.iter().cloned().chain(self.imported_packages(&set, own)) {
            config.extern_path(proto, rust);
        }
        // Imports are needed to resolve names, but their code stands elsewhere.
        set.file.iter_mut().filter(|file| !own.contains(file.name())).for_each(|file| file.service.clear());
        config.compile_fds(set).map_err(|e| Error::new("generating", e))
    }

    /// Packages that are only imported, and only for their options: nothing refers to their types.
    fn imported_packages(&self, set: &FileDescriptorSet, own: &BTreeSet<String>) -> Vec<(String, String)> {
        let packages = |is_own: bool| {
            let files = set.file.iter().filter(move |file| own.contains(file.name()) == is_own);
            files.map(|file| format!(".{}", file.package())).collect::<BTreeSet<_>>()
        };
        let known = |package: &str| {
            package == ".google.protobuf" || self.externs.iter().any(|(proto, _)| proto == package)
        };
        let imported = packages(false)
            .difference(&packages(true))
            .filter(|package| !known(package))
            .cloned()
            .collect::<Vec<_>>();
        imported
            .into_iter()
            .map(|package| (package, "::no_code_is_generated_for_imports".to_owned()))
            .collect()
    }

    /// The names of the files that code is generated for, as imports write them.
    fn own_names(&self, compiler: &protox::Compiler) -> BTreeSet<String> {
        let is_described = |name: &str| self.described.iter().any(|path| path.ends_with(name));
        let asked_for = compiler.files().filter(|file| !file.is_import() && !is_described(file.name()));
        asked_for.map(|file| file.name().to_owned()).collect()
    }

    fn all_files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = self.files.clone();
        for folder in &self.folders {
            collect(folder, FOLDER_DEPTH_MAX, &mut files)?;
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    fn out_folder(&self) -> Result<PathBuf, Error> {
        let given = self.out_dir.clone().or_else(|| std::env::var_os("OUT_DIR").map(PathBuf::from));
        given.ok_or_else(|| Error::new("OUT_DIR", "not set, and no other folder was given"))
    }

    #[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
    fn tell_cargo(&self) {
        if self.out_dir.is_none() {
            let files = self.files.iter().chain(&self.described);
            for path in self.includes.iter().chain(&self.folders).chain(files) {
                println!("cargo:rerun-if-changed={}", path.display());
            }
        }
    }
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::new(folder.display(), "folders are nested too deeply"));
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::new(folder.display(), e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::new(folder.display(), e))?.path();
        if path.is_dir() {
            collect(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
