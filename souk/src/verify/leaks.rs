//! What must stand in clear in no store and in no log: personal data and secrets. Files are read as they are, byte by
//! byte, so that nothing can hide in a table, a mark or a parked event that no check knows.
//!
//! What is found is never repeated: a report about a leak must not be the next one.
use super::rest;
use crate::failure::{Failure, exit};
use crate::settings;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What is looked for besides e-mail addresses, and where besides the stores.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Texts that somebody gave to the shop as personal or secret, to see whether they turn up.
    pub canaries: Vec<String>,
    /// Logs and traces of the shop.
    pub logs: Vec<PathBuf>,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default)]
pub struct Leaks {
    /// How many files were read.
    pub files: usize,
    /// Which file has what.
    pub found: BTreeSet<String>,
}

/// The stores that may hold an e-mail address in clear: what is published in the catalog is the shop's own, and the
/// user service is where people are known.
const MAY_HOLD_ADDRESSES: &[&str] = &["catalog", "user"];
/// A store is a file, and another one while it is written.
const FILES: &[&str] = &["db", "db-wal"];
/// How much of a file is looked at at once.
const CHUNK: usize = 1 << 20;
/// How much of a chunk is looked at again with the next one: nothing that is looked for is longer.
const OVERLAP: usize = 1 << 10;

/// Looks through every store under `data` and through the logs.
pub fn look(data: &Path, watch: &Watch) -> Result<Leaks, Failure> {
    if watch.canaries.iter().any(|canary| canary.is_empty() || canary.len() > OVERLAP) {
        return Err(Failure::new(exit::USAGE, format!("a canary has 1 to {OVERLAP} bytes")));
    }
    let mut leaks = Leaks::default();
    for (role, _) in settings::ROLES {
        let stored = FILES.iter().map(|end| rest::path(data, role).with_extension(end));
        for path in stored.filter(|path| path.exists()) {
            search(&path, watch, !MAY_HOLD_ADDRESSES.contains(role), &mut leaks)?;
        }
    }
    for path in &watch.logs {
        search(path, watch, true, &mut leaks)?;
    }
    Ok(leaks)
}

fn search(path: &Path, watch: &Watch, addresses: bool, leaks: &mut Leaks) -> Result<(), Failure> {
    let unreadable = |e| Failure::new(exit::UNAVAILABLE, format!("{}: {e}", path.display()));
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let mut file = File::open(path).map_err(unreadable)?;
    let mut window = Vec::with_capacity(CHUNK + OVERLAP);
    loop {
        window.drain(..window.len().saturating_sub(OVERLAP));
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut window).map_err(unreadable)?;
        for (number, canary) in watch.canaries.iter().enumerate() {
            if has(&window, canary.as_bytes()) {
                leaks.found.insert(format!("canary {} stands in {name}", number + 1));
            }
        }
        if addresses && has_address(&window) {
            leaks.found.insert(format!("an e-mail address stands in {name}"));
        }
        if read < CHUNK {
            break;
        }
    }
    leaks.files += 1;
    Ok(())
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return false };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.map(|(at, _)| &bytes[at..]).any(|rest| rest.starts_with(wanted))
}

/// Whether something has the form of an e-mail address: a name, an at sign, and a host with a top level of letters.
/// A store has numbers and hashes as they are, some of which look so by chance: what is short must stand by itself,
/// as it does in a text.
fn has_address(bytes: &[u8]) -> bool {
    let mut signs = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@');
    signs.any(|(at, _)| {
        let (name, host) = (name_before(&bytes[..at]), host_after(&bytes[at + 1..]));
        let stands_alone = ends_text(at.checked_sub(name + 1).map(|before| bytes[before]))
            && ends_text(bytes.get(at + 1 + host).copied());
        let is_one = name >= 2 && is_host(&bytes[at + 1..at + 1 + host]);
        is_one && (stands_alone || name + host >= CHANCE_BYTES)
    })
}

/// So many letters in a row are no accident.
const CHANCE_BYTES: usize = 16;

fn name_before(bytes: &[u8]) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'.' | b'_' | b'+' | b'-');
    bytes.iter().rev().take_while(is_part).count()
}

fn host_after(bytes: &[u8]) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'.' | b'-');
    bytes.iter().take_while(is_part).count()
}

fn is_host(host: &[u8]) -> bool {
    let labels: Vec<&[u8]> = host.split(|byte| *byte == b'.').collect();
    let is_top = |label: &&[u8]| label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    labels.len() >= 2 && labels[0].len() >= 2 && labels.last().is_some_and(is_top)
}

fn ends_text(byte: Option<u8>) -> bool {
    byte.is_none_or(|byte| {
        byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b',' | b':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_only_looks_like_one() {
        for text in ["ada@example.com", "{\"to\":\"a.b+c@mail.example.org\"}", "\0\u{1}joanne@ex-ample.de\0"]
        {
            assert!(has_address(text.as_bytes()), "{text:?}");
        }
        for text in [
            "cable @ home",
            "a@b",
            "two@once.",
            "@example.com",
            "1@2.3",
            "x@example.c",
            "\0\u{1}Zk@x1.uw\u{2}",
        ] {
            assert!(!has_address(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_canary_is_found_wherever_it_stands_and_is_not_repeated() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("shop.log");
        for before in [0, CHUNK - 3, CHUNK + OVERLAP, 3 * CHUNK - 1] {
            std::fs::write(&log, [vec![b'.'; before], b"12 Mill Lane".to_vec()].concat()).expect("written");
            let canaries = vec!["nobody".to_owned(), "12 Mill Lane".to_owned()];
            let watch = Watch { canaries, logs: vec![log.clone()] };
            let leaks = look(folder.path(), &watch).expect("it can be read");
            assert_eq!(leaks.found, BTreeSet::from(["canary 2 stands in shop.log".to_owned()]), "{before}");
        }
    }
}
