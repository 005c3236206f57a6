//! Forms and queries (`a=b&c[d]=e%20f`), read into pairs.
use std::collections::BTreeMap;

/// How many pairs are read; a form with more is none.
const PAIRS_MAX: usize = 64;

/// The pairs, decoded. Of a name that comes twice the last one counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// `None` when it is not well formed.
    pub(crate) fn parse(text: &[u8]) -> Option<Form> {
        let pairs: Vec<_> = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).collect();
        if pairs.len() > PAIRS_MAX {
            return None;
        }
        let read = pairs.into_iter().map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(end + 1..).unwrap_or_default();
            Some((decoded(&pair[..end])?, decoded(value)?))
        });
        read.collect::<Option<_>>().map(Form)
    }

    /// The value of this name; empty when there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The whole number of this name.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? * 16 + digit(*rest.next()?)?,
            plain => *plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What the name of an object holds: its key in the books, so that no index is needed to come back to it.
pub(crate) fn name_of(prefix: &str, key: &str) -> String {
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}_{hex}")
}

/// The key that such a name holds.
pub(crate) fn key_in(prefix: &str, name: &str) -> Option<String> {
    let hex = name.strip_prefix(prefix)?.strip_prefix('_')?.as_bytes();
    let pairs = hex.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    });
    String::from_utf8(pairs.collect::<Option<Vec<_>>>()?).ok().filter(|key| !key.is_empty())
}

/// The key that a search asks for: `metadata['key']:'…'`, with quotes and backslashes escaped.
pub(crate) fn searched(query: &str) -> Option<String> {
    let quoted = query.trim().strip_prefix("metadata['key']:'")?.strip_suffix('\'')?;
    let (mut key, mut rest) = (String::new(), quoted.chars());
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => key.push(rest.next()?),
            '\'' => return None,
            plain => key.push(plain),
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_or_refused() {
        let form = Form::parse(b"amount=1000&metadata[key]=a%3Ab&metadata%5Bx%5D=c+d&empty").expect("a form");
        assert_eq!((form.number("amount"), form.text("metadata[key]")), (Some(1000), "a:b"));
        assert_eq!((form.text("metadata[x]"), form.text("empty"), form.text("none")), ("c d", "", ""));
        for bad in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff"] {
            assert_eq!(Form::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Form::parse("a=b&".repeat(PAIRS_MAX + 1).as_bytes()), None);
    }

    #[test]
    fn names_hold_keys_and_queries_name_them() {
        let name = name_of("pi", "pay_1:authorize");
        assert_eq!(key_in("pi", &name).as_deref(), Some("pay_1:authorize"));
        for bad in ["pi_", "pi_6", "pi_zz", "re_61", "pi"] {
            assert_eq!(key_in("pi", bad), None, "{bad}");
        }
        assert_eq!(searched("metadata['key']:'a:b'").as_deref(), Some("a:b"));
        assert_eq!(searched(r"metadata['key']:'a\'b\\'").as_deref(), Some(r"a'b\"));
        for bad in ["", "metadata['key']:'a", "metadata['key']:'a' OR status:'x'", "status:'succeeded'"] {
            assert_eq!(searched(bad), None, "{bad}");
        }
    }
}
