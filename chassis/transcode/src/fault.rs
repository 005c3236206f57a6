//! What is wrong with a request body, where, and what would be right.
use crate::schema::SchemaError;
use std::fmt;

/// The longest piece of foreign text that a fault repeats.
const QUOTED_MAX: usize = 64;

/// The first fault of a JSON text or a query variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in the request's JSON form: `lines[2].quantity`. Empty for the whole text.
    pub path: String,
    /// The kind of fault.
    pub what: What,
    /// What would be right, as the second half of a sentence: `must be a text`.
    pub sentence: String,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The value has the right type but cannot be read: a time that is no time, bytes that are no base64.
    Invalid,
    /// The message has no such field.
    UnknownField,
    /// A text where a number is wanted, a list where an object is wanted, and so on.
    WrongType,
    /// A number that does not fit, or a fraction where a whole number is wanted.
    OutOfRange,
    /// The enum has no such name.
    UnknownEnum,
    /// A key stands twice, or two members of one `oneof` are set.
    Duplicate,
    /// The field is already set by the address of the request.
    Bound,
    /// Objects and lists nest too deep.
    TooDeep,
    /// More list elements and map entries than the limit allows.
    TooMany,
    /// The text is not JSON.
    Syntax {
        /// How many bytes of the text are fine.
        offset: usize,
    },
}

/// What reading JSON gives.
pub(crate) type Read<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(what: What, sentence: impl Into<String>) -> Self {
        Self { path: String::new(), what, sentence: sentence.into() }
    }

    pub(crate) fn syntax(offset: usize, sentence: &str) -> Self {
        Self::new(What::Syntax { offset }, sentence)
    }

    pub(crate) fn wrong_type(wanted: &str) -> Self {
        Self::new(What::WrongType, format!("must be {wanted}"))
    }

    /// The same, one field further out. Paths are built while an error travels outwards, so that a good
    /// request pays nothing for them.
    pub(crate) fn within(mut self, field: &str) -> Self {
        if matches!(self.what, What::Syntax { .. }) {
            return self;
        }
        let point = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{}{point}{}", quoted(field), self.path);
        self
    }

    /// The same, inside element `index` of a list.
    pub(crate) fn at(self, index: usize) -> Self {
        self.bracketed(&index.to_string())
    }

    /// The same, inside the map entry `key`.
    pub(crate) fn under(self, key: &str) -> Self {
        self.bracketed(&format!("\"{}\"", quoted(key)))
    }

    fn bracketed(mut self, inside: &str) -> Self {
        if matches!(self.what, What::Syntax { .. }) {
            return self;
        }
        let point = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{inside}]{point}{}", self.path);
        self
    }
}

/// At most [`QUOTED_MAX`] characters of foreign text, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String =
        text.chars().take(QUOTED_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(QUOTED_MAX).is_some() {
        short.push('…');
    }
    short
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the body" } else { &self.path };
        write!(f, "{path} {}", self.sentence)
    }
}

impl std::error::Error for Fault {}

impl From<crate::WireFault> for SchemaError {
    fn from(fault: crate::WireFault) -> Self {
        SchemaError::Malformed(fault)
    }
}

/// The name in `names` nearest to `wanted`, if one is near enough to be a slip of the fingers.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.len() > QUOTED_MAX {
        return None;
    }
    let enough = 1 + wanted.len() / 4;
    let near = names.map(|name| (distance(wanted, name), name)).filter(|(d, _)| *d <= enough);
    near.min_by_key(|(d, _)| *d).map(|(_, name)| name)
}

/// The Levenshtein distance, without regard to letter case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == *y { diagonal } else { 1 + diagonal.min(above).min(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_recognised() {
        let names = ["quantity", "sku", "unitPrice"];
        assert_eq!(nearest("quantiy", names.into_iter()), Some("quantity"));
        assert_eq!(nearest("unit_price", names.into_iter()), Some("unitPrice"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }

    #[test]
    fn paths_grow_outwards() {
        let fault = Fault::wrong_type("a text")
            .within("quantity")
            .at(2)
            .within("lines")
            .under("a\nb")
            .within("byDay");
        assert_eq!(fault.path, "byDay[\"a\u{fffd}b\"].lines[2].quantity");
    }
}
