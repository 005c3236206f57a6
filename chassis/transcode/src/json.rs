//! A strict scanner for JSON (RFC 8259): no comments, no trailing commas, no leading zeros, no lone
//! surrogates, UTF-8 only. It hands out values one by one and builds nothing.
use crate::fault::{Fault, Read, What};
use crate::wire::{WireFault, text};
use std::borrow::Cow;

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Object,
    List,
    Text,
    Number,
    True,
    False,
    Null,
}

pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner over `bytes`, which must be UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Read<Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(e) => Err(Fault::syntax(e.valid_up_to(), "must be UTF-8")),
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn wrong(&self, sentence: &str) -> Fault {
        Fault::syntax(self.at, sentence)
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes().get(self.at) {
            self.at += 1;
        }
    }

    fn peek_byte(&mut self) -> Option<u8> {
        self.blanks();
        self.bytes().get(self.at).copied()
    }

    /// The kind of the next value.
    pub(crate) fn next(&mut self) -> Read<Next> {
        match self.peek_byte() {
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::List),
            Some(b'"') => Ok(Next::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b't') => Ok(Next::True),
            Some(b'f') => Ok(Next::False),
            Some(b'n') => Ok(Next::Null),
            Some(_) => Err(self.wrong("is not JSON: a value is wanted here")),
            None => Err(self.wrong("is not JSON: it ends too early")),
        }
    }

    /// Nothing but blanks may follow.
    pub(crate) fn end(&mut self) -> Read<()> {
        match self.peek_byte() {
            None => Ok(()),
            Some(_) => Err(self.wrong("is not JSON: something follows its end")),
        }
    }

    /// Enters an object or list whose first byte [`Scanner::next`] has seen.
    pub(crate) fn enter(&mut self) {
        self.at += 1;
    }

    /// Whether another member follows in the object or list that ends with `close`; eats the comma or the end.
    pub(crate) fn more(&mut self, close: u8, first: bool) -> Read<bool> {
        match self.peek_byte() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                let dangling = self.peek_byte() == Some(close);
                if dangling { Err(self.wrong("is not JSON: a comma has nothing after it")) } else { Ok(true) }
            }
            Some(_) => Err(self.wrong("is not JSON: a comma or the end is wanted here")),
            None => Err(self.wrong("is not JSON: it ends too early")),
        }
    }

    /// An object's key and the colon after it.
    pub(crate) fn key(&mut self) -> Read<Cow<'a, str>> {
        if self.peek_byte() != Some(b'"') {
            return Err(self.wrong("is not JSON: a key in double quotes is wanted here"));
        }
        let key = self.string()?;
        if self.peek_byte() != Some(b':') {
            return Err(self.wrong("is not JSON: a colon is wanted here"));
        }
        self.at += 1;
        Ok(key)
    }

    /// A text whose opening quote [`Scanner::next`] has seen. Borrowed unless it holds escapes.
    pub(crate) fn string(&mut self) -> Read<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.bytes().get(self.at) {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0..=0x1f) => return Err(self.wrong("is not JSON: a control character stands in a text")),
                Some(_) => self.at += 1,
                None => return Err(self.wrong("is not JSON: a text does not end")),
            }
        }
    }

    /// The rest of a text, from its first backslash on.
    fn escaped(&mut self, start: usize) -> Read<String> {
        let mut text = self.text[start..self.at].to_owned();
        loop {
            let plain = self.at;
            while !matches!(self.bytes().get(self.at), Some(b'"' | b'\\' | 0..=0x1f) | None) {
                self.at += 1;
            }
            text.push_str(&self.text[plain..self.at]);
            match self.bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.wrong("is not JSON: a control character stands in a text")),
                None => return Err(self.wrong("is not JSON: a text does not end")),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let plain = match self.bytes().get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.wrong("is not JSON: there is no such escape")),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let lone = "is not JSON: half a surrogate pair is not a character";
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                let second = if self.bytes().get(self.at) == Some(&b'\\') { self.hex()? } else { 0 };
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.wrong(lone));
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.wrong(lone))
    }

    /// The number of one `\uXXXX` that starts here.
    fn hex(&mut self) -> Read<u32> {
        let digits = match self.bytes().get(self.at..self.at + 6) {
            Some([b'\\', b'u', digits @ ..]) if digits.iter().all(u8::is_ascii_hexdigit) => digits,
            _ => return Err(self.wrong("is not JSON: \\u wants four hexadecimal digits")),
        };
        let value = digits.iter().fold(0, |sum, b| sum * 16 + char::from(*b).to_digit(16).unwrap_or(0));
        self.at += 6;
        Ok(value)
    }

    /// A number's text, whose first byte [`Scanner::next`] has seen.
    pub(crate) fn number(&mut self) -> Read<&'a str> {
        match number_length(&self.bytes()[self.at..]) {
            Ok(length) => {
                let text = &self.text[self.at..self.at + length];
                self.at += length;
                Ok(text)
            }
            Err(length) => {
                self.at += length;
                Err(self.wrong("is not JSON: a number is not well formed"))
            }
        }
    }

    /// `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &str) -> Read<()> {
        if !self.bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("is not JSON: a value is wanted here"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes over one value of any kind, checking its syntax. `depth` more levels are allowed.
    pub(crate) fn skip(&mut self, depth: usize) -> Read<()> {
        match self.next()? {
            Next::Text => self.string().map(drop),
            Next::Number => self.number().map(drop),
            Next::True => self.word("true"),
            Next::False => self.word("false"),
            Next::Null => self.word("null"),
            Next::Object => self.skip_members(b'}', depth),
            Next::List => self.skip_members(b']', depth),
        }
    }

    fn skip_members(&mut self, close: u8, depth: usize) -> Read<()> {
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        self.enter();
        let mut first = true;
        while self.more(close, first)? {
            first = false;
            if close == b'}' {
                self.key()?;
            }
            self.skip(depth)?;
        }
        Ok(())
    }
}

pub(crate) fn too_deep() -> Fault {
    Fault::new(What::TooDeep, "nests objects and lists too deep")
}

/// How long the number at the start of `bytes` is, or how much of it is fine.
fn number_length(bytes: &[u8]) -> Result<usize, usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at) {
        Some(b'0') => 1,
        Some(b'1'..=b'9') => digits(at),
        _ => return Err(at),
    };
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return Err(at + 1);
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return Err(at + 1 + sign);
        }
        at += 1 + sign + exponent;
    }
    // `01`, `1x` and `-1.5.2` end here with something that no value may be followed by.
    match bytes.get(at) {
        Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-') => Err(at),
        _ => Ok(at),
    }
}

/// Whether the whole text is one JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    number_length(text.as_bytes()) == Ok(text.len())
}

/// Whether `json` is one JSON value, and if not, why.
///
/// ```
/// assert!(souk_transcode::check_json(br#"{"sku": "85123A"}"#, 128).is_ok());
/// assert!(souk_transcode::check_json(b"[1,]", 128).is_err());
/// ```
pub fn check_json(json: &[u8], depth_max: usize) -> Result<(), Fault> {
    let mut scanner = Scanner::new(json)?;
    scanner.skip(depth_max)?;
    scanner.end()
}

/// Writes `text` as a JSON text with its quotes.
pub fn put_json_text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, more) = rest.split_at(plain_length(rest, false));
        out.extend_from_slice(plain);
        let Some((escaped, more)) = more.split_first() else { break };
        put_escape(out, *escaped);
        rest = more;
    }
    out.push(b'"');
}

/// Writes what should be a text as a JSON text with its quotes. Most texts are ASCII without anything to escape;
/// for those one look is enough.
#[inline]
pub(crate) fn put_json_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireFault> {
    if plain_length(bytes, true) < bytes.len() {
        put_json_text(out, text(bytes)?);
        return Ok(());
    }
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
    Ok(())
}

/// How many bytes stand before the first that needs an escape, or, if all should be ASCII, is not.
#[inline]
pub(crate) fn plain_length(bytes: &[u8], ascii: bool) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (word, at) in words.iter().zip((0..).step_by(8)) {
        let marks = marks(u64::from_le_bytes(*word), ascii);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
    }
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\' && !(ascii && *byte >= 0x80);
    let start = bytes.len() - rest.len();
    rest.iter().position(|byte| !plain(byte)).map_or(bytes.len(), |at| start + at)
}

/// Eight bytes at once: the top bit of each one that is not plain. Above the lowest such byte there may be bits
/// too many, because the subtraction borrows.
#[inline]
fn marks(word: u64, ascii: bool) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const TOP: u64 = EACH << 7;
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let beyond_ascii = if ascii { word } else { 0 };
    (below(word, 0x20) | is(b'"') | is(b'\\') | beyond_ascii) & TOP
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        control => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_accepted() {
        for good in [
            "0",
            "-0",
            "1e5",
            "1.5E-3",
            "\"\"",
            r#""\ud83d\ude00""#,
            "[]",
            " { } ",
            r#"[1,{"a":null}]"#,
            "\"\u{7f}\u{2028}\"",
            "true",
        ] {
            assert_eq!(check_json(good.as_bytes(), 8), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_goes_wrong() {
        for (bad, offset) in [
            ("", 0),
            (" ", 1),
            ("[1,]", 3),
            ("[,1]", 1),
            ("{\"a\":1,}", 7),
            ("01", 1),
            ("-", 1),
            ("1.", 2),
            (".5", 0),
            ("1e", 2),
            ("+1", 0),
            ("\"\\x\"", 1),
            ("\"a", 2),
            ("\"\t\"", 1),
            (r#""\ud800""#, 7),
            (r#""\ud800\u0041""#, 13),
            (r#""\udc00""#, 7),
            (r#""\u12""#, 1),
            ("tru", 0),
            ("nul", 0),
            ("[1 2]", 3),
            ("{1:2}", 1),
            ("{\"a\" 1}", 5),
            ("{\"a\":}", 5),
            ("1 1", 2),
            ("/**/1", 0),
            ("\u{feff}1", 0),
            ("'a'", 0),
            ("NaN", 0),
            ("{\"a\"", 4),
            ("[", 1),
            ("]", 0),
            ("1x", 1),
            ("\\u0031", 0),
            ("[1}", 2),
        ] {
            let fault = check_json(bad.as_bytes(), 8).expect_err(bad);
            assert_eq!(fault.what, What::Syntax { offset }, "{bad}: {fault}");
        }
        assert_eq!(check_json(b"\"\xff\"", 8).map_err(|f| f.what), Err(What::Syntax { offset: 1 }));
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check_json(nested(128).as_bytes(), 128).is_ok());
        assert_eq!(check_json(nested(129).as_bytes(), 128).map_err(|f| f.what), Err(What::TooDeep));
        assert_eq!(check_json("[".repeat(100_000).as_bytes(), 128).map_err(|f| f.what), Err(What::TooDeep));
    }

    #[test]
    fn texts_are_escaped() {
        let mut out = Vec::new();
        put_json_text(&mut out, "a\"\\\n\u{1}é😀");
        assert_eq!(String::from_utf8_lossy(&out), r#""a\"\\\n\u0001é😀""#);
    }

    #[test]
    fn each_byte_is_judged_by_itself_wherever_it_stands() {
        let plain = |byte: u8, ascii: bool| {
            byte >= 0x20 && byte != b'"' && byte != b'\\' && (byte.is_ascii() || !ascii)
        };
        for (first, second) in (0..=255u8).flat_map(|a| [0, 0x1f, 0x21, b'"', b'\\', 0xff].map(|b| (a, b))) {
            for at in 0..18 {
                let mut bytes = [b'x'; 20];
                (bytes[at], bytes[at + 1]) = (first, second);
                for ascii in [false, true] {
                    let expected = bytes.iter().position(|byte| !plain(*byte, ascii)).unwrap_or(bytes.len());
                    assert_eq!(plain_length(&bytes, ascii), expected, "{bytes:?}");
                }
            }
        }
    }
}
