//! How long functions and files are.
use super::house::House;
use super::masked::{is_word, line_of, words};
use super::{FILE_LINES_MAX, FUNCTION_LINES_MAX, Finding};

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) line: u64,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub(super) lines: u64,
}

pub(super) fn check(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &house.files {
        let Some(masked) = &file.masked else { continue };
        for function in functions(&masked.code).iter().filter(|function| function.lines > FUNCTION_LINES_MAX)
        {
            let what = format!(
                "`{}` has {} lines, over {FUNCTION_LINES_MAX}: split it",
                function.name, function.lines
            );
            let finding = Finding::new(&file.path, function.line, "function", what);
            findings.push(finding.sized(function.name, function.lines));
        }
        let lines = file.text.lines().count() as u64;
        if lines > FILE_LINES_MAX {
            let what = format!("the file has {lines} lines, over {FILE_LINES_MAX}: split it");
            findings.push(Finding::new(&file.path, 1, "file", what).sized("-", lines));
        }
    }
    findings
}

/// All functions with a body in masked code; one within another counts for both.
pub(super) fn functions(code: &str) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for (at, _) in words(code).filter(|(at, word)| *word == "fn" && !code[..*at].ends_with('#')) {
        let after = &code[at + 2..];
        let named = after.trim_start().trim_start_matches('$');
        let name = &named[..named.find(|c| !is_word(c)).unwrap_or(named.len())];
        // `fn(u8) -> u8` is a type.
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(after) {
            let (line, last) = (line_of(code, at), line_of(code, at + 2 + end));
            functions.push(Function { name, line, lines: last - line + 1 });
        }
    }
    functions
}

/// Offset of the brace that closes the body, if there is a body: a `;` outside of all brackets means none.
fn body_end(after: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (offset, byte) in after.bytes().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(offset);
                }
                if braces < 0 {
                    return None;
                }
            }
            b';' if brackets == 0 && braces == 0 => return None,
            _ => {}
        }
    }
    None
}
