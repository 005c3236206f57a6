//! What must stand in clear in no store and in no log: personal data and secrets. Canaries are looked for in the
//! files as they are, byte by byte, so that nothing can hide in a table or a mark that no check knows. E-mail
//! addresses are looked for in texts (events, parked events, logs): among numbers and hashes some look so by chance.
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
            search(&path, watch, Content::Bytes, &mut leaks)?;
        }
        if rest::path(data, role).exists() && !MAY_HOLD_ADDRESSES.contains(role) {
            texts(data, role, &mut leaks)?;
        }
    }
    for path in &watch.logs {
        search(path, watch, Content::Text, &mut leaks)?;
    }
    Ok(leaks)
}

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Bytes,
    Text,
}

/// Looks for addresses in a store's events and in those that are parked there.
fn texts(data: &Path, role: &str, leaks: &mut Leaks) -> Result<(), Failure> {
    let audit = rest::open(data, role)?;
    let mut found = BTreeSet::new();
    let read = audit.for_each(|recorded| {
        if has_address(recorded.data.as_bytes()) {
            found.insert(format!("an e-mail address stands in a {} in {role}.db", recorded.kind));
        }
    });
    read.map_err(rest::unreadable)?;
    let parked = audit.parked().map_err(rest::unreadable)?;
    let parked = parked
        .iter()
        .filter(|event| has_address(event.payload.as_bytes()) || has_address(event.reason.as_bytes()));
    found.extend(parked.map(|event| {
        format!("an e-mail address stands in an event that {} parked in {role}.db", event.reaction)
    }));
    leaks.found.extend(found);
    Ok(())
}

fn search(path: &Path, watch: &Watch, content: Content, leaks: &mut Leaks) -> Result<(), Failure> {
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
        if content == Content::Text && has_address(&window) {
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
fn has_address(text: &[u8]) -> bool {
    let mut signs = text.iter().enumerate().filter(|(_, byte)| **byte == b'@');
    signs.any(|(at, _)| name_before(&text[..at]) >= 2 && is_host(host_after(&text[at + 1..])))
}

fn name_before(bytes: &[u8]) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'.' | b'_' | b'+' | b'-');
    bytes.iter().rev().take_while(is_part).count()
}

fn host_after(bytes: &[u8]) -> &[u8] {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'.' | b'-');
    &bytes[..bytes.iter().take_while(is_part).count()]
}

fn is_host(host: &[u8]) -> bool {
    let labels: Vec<&[u8]> = host.split(|byte| *byte == b'.').collect();
    let is_top = |label: &&[u8]| label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    labels.len() >= 2 && labels[0].len() >= 2 && labels.last().is_some_and(is_top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_only_looks_like_one() {
        for text in ["ada@example.com", "{\"to\":\"a.b+c@mail.example.org\"}", "<joanne@ex-ample.de>"] {
            assert!(has_address(text.as_bytes()), "{text:?}");
        }
        for text in ["cable @ home", "a@b", "two@once.", "@example.com", "1@2.3", "x@example.c"] {
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
