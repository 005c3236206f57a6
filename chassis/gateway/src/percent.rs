//! Percent-decoding of paths and queries.

/// Decodes `%2F` and the like; `None` when an escape is broken or the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    decode_bytes(text, false, false)
}

/// As [`decode`], for a name or value of a query, where a plus is a space.
pub(crate) fn decode_query(text: &str) -> Option<String> {
    decode_bytes(text, true, false)
}

/// As [`decode`], but leaves an escaped slash escaped: inside a variable of several segments it is part of a
/// segment, not a separator.
pub(crate) fn decode_keeping_slashes(text: &str) -> Option<String> {
    decode_bytes(text, false, true)
}

fn decode_bytes(text: &str, plus_is_space: bool, keep_slashes: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let plain = !bytes.iter().any(|b| *b == b'%' || (plus_is_space && *b == b'+'));
    if plain {
        return Some(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let byte = hex(digits[0])? << 4 | hex(digits[1])?;
                match byte {
                    b'/' if keep_slashes => decoded.extend_from_slice(b"%2F"),
                    byte => decoded.push(byte),
                }
                rest = after;
            }
            b'+' if plus_is_space => decoded.push(b' '),
            byte => decoded.push(*byte),
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_or_refused() {
        assert_eq!(decode("85123A").as_deref(), Some("85123A"));
        assert_eq!(decode("a%2Fb%20c+d%c3%a9").as_deref(), Some("a/b c+dé"));
        assert_eq!(decode_query("a+b%2B").as_deref(), Some("a b+"));
        assert_eq!(decode_keeping_slashes("a%2fb%20c").as_deref(), Some("a%2Fb c"));
        for bad in ["%", "%2", "%zz", "%+1", "%ff", "%c3"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
