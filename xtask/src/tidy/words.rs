//! Words that must not stand somewhere, or anywhere.
use super::Finding;
use super::house::{House, TextFile};
use super::masked::{Masked, line_of, words};

/// Words that say nothing about a type.
const EMPTY_WORDS: [&str; 10] =
    ["Manager", "Helper", "Util", "Utils", "Data", "Info", "Handler", "Processor", "Impl", "Base"];

/// Macros that mark unfinished work.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// How statements begin or what only they contain, as they are written here: in capitals.
const SQL: [&str; 14] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE INDEX ",
    "DROP TABLE ",
    "DROP INDEX ",
    "ALTER TABLE ",
    " ON CONFLICT",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
    " RETURNING ",
];

/// Where SQL stands, besides files named `views.rs`.
const SQL_FOLDERS: [&str; 2] = ["chassis/sql/", "chassis/eventstore/"];

/// Types and operators that one of the databases does not have, or has with another meaning.
const UNPORTABLE_WORDS: [&str; 18] = [
    "AUTOINCREMENT",
    "BIGSERIAL",
    "BLOB",
    "BOOLEAN",
    "BYTEA",
    "DATETIME",
    "DOUBLE",
    "ILIKE",
    "INT",
    "INTEGER",
    "JSON",
    "JSONB",
    "NUMERIC",
    "REAL",
    "SERIAL",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "VARCHAR",
];

/// The same for functions and operators.
const UNPORTABLE_TEXTS: [&str; 5] = ["now()", "->>", "json_extract(", "strftime(", "datetime("];

/// Folders of one person's machine. Written in halves, or this file would be a finding.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// The files that name all these words to look for them.
const OWN_FOLDER: &str = "xtask/src/tidy";

pub(super) fn check(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &house.files {
        findings.extend(machine_paths(file));
        let Some(masked) = &file.masked else { continue };
        findings.extend(type_names(file, &masked.code));
        findings.extend(unfinished(file, &masked.code));
        findings.extend(library_texts(file, &masked.code));
        findings.extend(unexplained_exceptions(file, &masked.code));
        findings.extend(sql(file, masked));
        findings.extend(unportable_sql(file, &masked.literals));
    }
    findings
}

fn machine_paths(file: &TextFile) -> Vec<Finding> {
    let found = MACHINE_PATHS.iter().flat_map(|path| file.text.match_indices(path));
    let what = |path: &str| format!("`{path}` is a folder of somebody's machine");
    found
        .map(|(at, path)| Finding::new(&file.path, line_of(&file.text, at), "machine-path", what(path)))
        .collect()
}

/// An indented `type` may be an associated one, whose name a foreign trait chose; it is left alone.
fn type_names(file: &TextFile, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut before = "";
    for (at, word) in words(code) {
        let line = code[..at].rsplit('\n').next().unwrap_or_default();
        let declared = matches!(before, "struct" | "enum" | "trait" | "union")
            || before == "type" && !line.starts_with(' ');
        if declared && let Some(empty) = camel_words(word).find(|part| EMPTY_WORDS.contains(part)) {
            let what = format!("`{word}` contains the empty word `{empty}`: say what the thing is");
            findings.push(Finding::new(&file.path, line_of(code, at), "type-name", what));
        }
        before = word;
    }
    findings
}

/// `OrderPlaced2` as `Order`, `Placed2`.
fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> =
        name.char_indices().filter(|(_, c)| c.is_uppercase()).map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([name.len()]).collect();
    starts.into_iter().zip(ends).map(move |(start, end)| &name[start..end])
}

fn unfinished(file: &TextFile, code: &str) -> Vec<Finding> {
    let called =
        |at: usize, word: &str| code[at + word.len()..].starts_with("!(") && UNFINISHED.contains(&word);
    let found = words(code).filter(|(at, word)| called(*at, word));
    let what = |word: &str| format!("`{word}!` is unfinished work");
    found.map(|(at, word)| Finding::new(&file.path, line_of(code, at), "unfinished", what(word))).collect()
}

fn library_texts(file: &TextFile, code: &str) -> Vec<Finding> {
    let what =
        "`Status::internal` hands a library's text to the outside: use the one function that maps errors";
    let found = code.match_indices("Status::internal(");
    found.map(|(at, _)| Finding::new(&file.path, line_of(code, at), "status-internal", what)).collect()
}

/// `allow` and `expect` in attributes, each with its reason.
fn unexplained_exceptions(file: &TextFile, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, word) in words(code) {
        let rest = &code[at + word.len()..];
        let exception =
            matches!(word, "allow" | "expect") && rest.starts_with('(') && is_in_attribute(&code[..at]);
        let list = &rest[..rest.find(')').unwrap_or(rest.len())];
        let explained = words(list).any(|(_, word)| word == "reason");
        if exception && !explained {
            let what = format!("`{word}` without a reason: add `reason = \"…\"`");
            findings.push(Finding::new(&file.path, line_of(code, at), "allow", what));
        }
    }
    findings
}

/// Whether the last attribute that begins before here has not ended yet.
fn is_in_attribute(before: &str) -> bool {
    let Some(opened) = before.rfind("#[").max(before.rfind("#![")) else { return false };
    let mut depth = 0_i32;
    let ended = before[opened..].bytes().any(|byte| {
        depth += i32::from(byte == b'[') - i32::from(byte == b']');
        byte == b']' && depth == 0
    });
    !ended
}

fn sql(file: &TextFile, masked: &Masked) -> Vec<Finding> {
    let at_home = SQL_FOLDERS.iter().any(|folder| file.path.starts_with(folder)) || file.name() == "views.rs";
    if at_home || file.path.starts_with(OWN_FOLDER) {
        return Vec::new();
    }
    let literals = &masked.literals;
    let mut lines: Vec<u64> = SQL
        .iter()
        .flat_map(|start| literals.match_indices(start))
        .map(|(at, _)| line_of(literals, at))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let what = "SQL outside of its places: move it to the service's views.rs, or to chassis/sql or chassis/eventstore";
    lines.into_iter().map(|line| Finding::new(&file.path, line, "sql", what)).collect()
}

/// In views; what `chassis/sql` and `chassis/eventstore` write for one database they write on purpose.
fn unportable_sql(file: &TextFile, literals: &str) -> Vec<Finding> {
    if file.name() != "views.rs" {
        return Vec::new();
    }
    let named = words(literals).filter(|(_, word)| UNPORTABLE_WORDS.contains(word));
    let called = UNPORTABLE_TEXTS.iter().flat_map(|text| literals.match_indices(text));
    let what = |text: &str| {
        format!("`{text}` is not in the portable subset: TEXT, BIGINT, $1, ON CONFLICT, RETURNING")
    };
    let finding = |(at, text): (usize, &str)| {
        Finding::new(&file.path, line_of(literals, at), "portable-sql", what(text))
    };
    named.chain(called).map(finding).collect()
}
