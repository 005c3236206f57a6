//! Rust source with code, comments and literals told apart, so that a rule about code is not fooled by a
//! sentence about it. This is no parser: it knows where literals and comments end, and nothing else.

/// One file twice, each of the same length and with the same lines as the source.
pub(super) struct Masked {
    /// The code; comments and literals are blanks.
    pub(super) code: String,
    /// What stands in string and character literals; the rest is blanks.
    pub(super) literals: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

impl Masked {
    pub(super) fn new(source: &str) -> Self {
        let bytes = source.as_bytes();
        let (mut code, mut literals) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
        let mut at = 0;
        while at < bytes.len() {
            let (piece, end) = next_piece(source, at);
            for byte in &bytes[at..end] {
                let kept = |kind| if piece == kind || *byte == b'\n' { *byte } else { b' ' };
                code.push(kept(Piece::Code));
                literals.push(kept(Piece::Literal));
            }
            at = end;
        }
        let text = |bytes| String::from_utf8(bytes).expect("pieces begin and end between characters");
        Self { code: text(code), literals: text(literals) }
    }
}

/// The line, from 1, on which this offset stands.
pub(super) fn line_of(text: &str, offset: usize) -> u64 {
    1 + text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Identifiers, keywords and numbers of masked code, with their offsets.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = code.as_ptr() as usize;
    code.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - start, word))
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn next_piece(source: &str, at: usize) -> (Piece, usize) {
    let rest = &source[at..];
    if rest.starts_with("//") {
        return (Piece::Comment, at + rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Piece::Comment, at + block_comment(rest));
    }
    if let Some(length) = raw_string(rest) {
        return (Piece::Literal, at + length);
    }
    if rest.starts_with('"') {
        return (Piece::Literal, at + quoted(rest, '"'));
    }
    if rest.starts_with('\'') {
        return match character(rest) {
            Some(length) => (Piece::Literal, at + length),
            None => (Piece::Code, at + 1),
        };
    }
    // A whole word at once, so that the `r` at the end of `for` never begins a raw string.
    let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(1, char::len_utf8);
    (Piece::Code, at + word.max(first))
}

/// Length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Length of `r"…"`, `br#"…"#` and the like, if one begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let unprefixed =
        rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = unprefixed.len() - unprefixed.trim_start_matches('#').len();
    let body = unprefixed[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let opened = rest.len() - body.len();
    Some(body.find(&closing).map_or(rest.len(), |end| opened + end + closing.len()))
}

/// Length of a literal that ends at the first `end` without a backslash before it.
fn quoted(rest: &str, end: char) -> usize {
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == end {
            return offset + c.len_utf8();
        }
    }
    rest.len()
}

/// Length of a character literal, if the quote is not that of a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return Some(quoted(rest, '\''));
    }
    chars.next().filter(|(_, second)| *second == '\'').map(|(offset, _)| offset + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, code: &str, literals: &str) {
        let masked = Masked::new(source);
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (squeezed(&masked.code).as_str(), squeezed(&masked.literals).as_str()),
            (code, literals),
            "{source}"
        );
        for text in [&masked.code, &masked.literals] {
            assert_eq!(text.len(), source.len());
            assert_eq!(text.lines().count(), source.lines().count());
        }
    }

    #[test]
    fn comments_and_literals_are_told_from_code() {
        check("a(); // { \"b\"\nc();", "a(); c();", "");
        check("a /* { /* nested */ \" */ b", "a b", "");
        check(r#"f("}{ // no", 'x')"#, "f( , )", r#""}{ // no" 'x'"#);
        check(r#"f("a\"}", '\'', '{', b'}')"#, "f( , , , b )", r#""a\"}" '\'' '{' '}'"#);
        check("f(r#\"a \"quoted\" { \"#, br\"}\")", "f( , )", "r#\"a \"quoted\" { \"# br\"}\"");
        check("fn f<'a>(x: &'a str) -> &'static str {}", "fn f<'a>(x: &'a str) -> &'static str {}", "");
        check("for r in \"£\".chars() { r#fn('é') }", "for r in .chars() { r#fn( ) }", "\"£\" 'é'");
        check("let s = \"two\n{ lines\";", "let s = ;", "\"two { lines\"");
        check("\"never closed {", "", "\"never closed {");
    }

    #[test]
    fn words_know_where_they_stand() {
        let found: Vec<_> = words("pub fn a_1(b: u8)").collect();
        assert_eq!(found, [(0, "pub"), (4, "fn"), (7, "a_1"), (11, "b"), (14, "u8")]);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
