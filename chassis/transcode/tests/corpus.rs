//! Collected inputs: the fuzz corpus, and a suite of JSON texts when the environment says where it is.
mod common;

use common::Bench;
use souk_kernel::SeededEntropy;
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

/// Damaged copies of the corpus, by a seed that a failure prints. `SOUK_FUZZ_ROUNDS` asks for more of them.
#[test]
fn damaged_copies_of_the_corpus_do_no_harm() {
    let bench = Bench::new();
    let rounds = std::env::var("SOUK_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_500);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let read = |target: &str| -> Vec<Vec<u8>> {
        files(&corpus.join(target)).iter().map(|file| std::fs::read(file).expect("readable")).collect()
    };
    let (json, proto) = (read("json_to_proto"), read("proto_to_json"));
    for seed in 0..rounds {
        let entropy = SeededEntropy::new(seed);
        let texts = damaged(&json, &entropy);
        let message = damaged(&proto, &entropy);
        let run = std::panic::catch_unwind(|| {
            fuzzing::json_to_proto_target(&bench.schema, bench.id("All"), &texts);
            fuzzing::proto_to_json_target(&bench.schema, bench.id("All"), &message);
        });
        assert!(run.is_ok(), "seed {seed}: {} {message:?}", String::from_utf8_lossy(&texts));
    }
}

/// Two of the inputs, cut and joined, with some bytes replaced.
fn damaged(inputs: &[Vec<u8>], entropy: &SeededEntropy) -> Vec<u8> {
    let below = |n: usize| (entropy.next_u64() % (n as u64 + 1)) as usize;
    let (a, b) = (&inputs[below(inputs.len() - 1)], &inputs[below(inputs.len() - 1)]);
    let mut bytes = [&a[..below(a.len())], &b[below(b.len())..]].concat();
    for _ in 0..below(3) {
        let at = below(bytes.len().saturating_sub(1));
        if let Some(byte) = bytes.get_mut(at) {
            let alphabet = b"{}[]\",:0129-.eEnt\\u\x00\x08\x0a\x12\x1a\x22\x7f\x80\xff";
            *byte = alphabet[below(alphabet.len() - 1)];
        }
    }
    bytes
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
