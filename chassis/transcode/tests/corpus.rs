//! Collected inputs: the fuzz corpus, and a suite of JSON texts when the environment says where it is.
mod common;

use common::Bench;
use souk_transcode::{check_json, fuzzing};
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    files.sort();
    files
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let bench = Bench::new();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut replayed = 0;
    for (target, run) in [
        (
            "json_to_proto",
            &(|b: &[u8]| fuzzing::json_to_proto_target(&bench.schema, bench.id("All"), b)) as &dyn Fn(&[u8]),
        ),
        ("proto_to_json", &|b| fuzzing::proto_to_json_target(&bench.schema, bench.id("All"), b)),
        ("descriptor", &fuzzing::descriptor_target),
    ] {
        for file in files(&corpus.join(target)) {
            let bytes = std::fs::read(&file).expect("readable");
            // A panic inside names the assertion; this names the file.
            println!("{}", file.display());
            run(&bytes);
            replayed += 1;
        }
    }
    assert!(replayed >= 20, "the corpus is missing: {replayed} files");
}

/// `y_` must be accepted, `n_` refused, `i_` either way; none may panic.
#[test]
fn the_json_suite_is_judged_right() {
    let Some(folder) = std::env::var_os("SOUK_JSON_TEST_SUITE") else {
        eprintln!(
            "SKIPPED: set SOUK_JSON_TEST_SUITE to a folder with JSON parsing cases (y_*.json, n_*.json, i_*.json)"
        );
        return;
    };
    let bench = Bench::new();
    let (mut accepted, mut refused) = (0, 0);
    for file in files(Path::new(&folder)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).expect("readable");
        let result = check_json(&bytes, 128);
        match name.split('_').next() {
            Some("y") => accepted += usize::from(result.is_ok()),
            Some("n") => refused += usize::from(result.is_err()),
            _ => continue,
        }
        assert_eq!(result.is_ok(), name.starts_with("y_"), "{name}: {result:?}");
        let wrapped = [b"{\"value\":", &bytes[..], b"}"].concat();
        let through = souk_transcode::json_to_proto(
            &bench.schema,
            bench.id("Known"),
            &wrapped,
            &mut Vec::new(),
            &Default::default(),
        );
        let duplicate = matches!(&through, Err(fault) if fault.what == souk_transcode::What::Duplicate);
        assert!(through.is_ok() == name.starts_with("y_") || duplicate, "{name} as a Value: {through:?}");
    }
    assert_eq!((accepted, refused), (95, 188));
}
