//! Single values: from the text of a JSON number, a JSON text or a query variable to the wire, and back.
use crate::fault::{Fault, Read, What, nearest, quoted};
use crate::json::is_number;
use crate::schema::{Enum, Kind, Schema};
use crate::wire::{Value, put_bytes, put_varint, unzigzag, zigzag};
use std::borrow::Cow;
use std::io::Write;

/// A value that is no message, ready for the wire.
#[derive(Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
}

impl Scalar<'_> {
    /// Whether this is the value that an absent field means.
    pub(crate) fn is_default(&self) -> bool {
        match self {
            Scalar::Varint(n) | Scalar::Fixed64(n) => *n == 0,
            Scalar::Fixed32(n) => *n == 0,
            Scalar::Text(text) => text.is_empty(),
            Scalar::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// Appends the value without its tag.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Varint(n) => put_varint(out, *n),
            Scalar::Fixed64(n) => out.extend_from_slice(&n.to_le_bytes()),
            Scalar::Fixed32(n) => out.extend_from_slice(&n.to_le_bytes()),
            Scalar::Text(text) => put_bytes(out, text.as_bytes()),
            Scalar::Bytes(bytes) => put_bytes(out, bytes),
        }
    }
}

/// What a value of this kind is called in a sentence.
pub(crate) fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::String => "a text",
        Kind::Bytes => "a text in base64",
        Kind::Double | Kind::Float => "a number",
        Kind::Enum(_) => "one of the names of its enum",
        Kind::Message(_) => "an object",
        Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Fixed64 | Kind::Fixed32 => "a whole number",
        Kind::Uint32 | Kind::Sfixed32 | Kind::Sfixed64 | Kind::Sint32 | Kind::Sint64 => "a whole number",
    }
}

/// A number of `kind` out of the text of a JSON number.
pub(crate) fn number(kind: Kind, text: &str) -> Read<Scalar<'static>> {
    let (i32_min, i32_max) = (i128::from(i32::MIN), i128::from(i32::MAX));
    let (i64_min, i64_max) = (i128::from(i64::MIN), i128::from(i64::MAX));
    Ok(match kind {
        Kind::Int32 | Kind::Enum(_) => Scalar::Varint(whole(text, i32_min, i32_max)? as i64 as u64),
        Kind::Int64 => Scalar::Varint(whole(text, i64_min, i64_max)? as u64),
        Kind::Uint32 => Scalar::Varint(whole(text, 0, i128::from(u32::MAX))? as u64),
        Kind::Uint64 => Scalar::Varint(whole(text, 0, i128::from(u64::MAX))? as u64),
        Kind::Sint32 => Scalar::Varint(zigzag(whole(text, i32_min, i32_max)? as i64)),
        Kind::Sint64 => Scalar::Varint(zigzag(whole(text, i64_min, i64_max)? as i64)),
        Kind::Fixed32 => Scalar::Fixed32(whole(text, 0, i128::from(u32::MAX))? as u32),
        Kind::Sfixed32 => Scalar::Fixed32(whole(text, i32_min, i32_max)? as i32 as u32),
        Kind::Fixed64 => Scalar::Fixed64(whole(text, 0, i128::from(u64::MAX))? as u64),
        Kind::Sfixed64 => Scalar::Fixed64(whole(text, i64_min, i64_max)? as i64 as u64),
        Kind::Double => {
            Scalar::Fixed64(finite(text.parse::<f64>().ok().filter(|n| n.is_finite()))?.to_bits())
        }
        Kind::Float => Scalar::Fixed32(finite(text.parse::<f32>().ok().filter(|n| n.is_finite()))?.to_bits()),
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) => {
            return Err(Fault::wrong_type(wanted(kind)));
        }
    })
}

fn finite<T>(number: Option<T>) -> Read<T> {
    number.ok_or_else(|| Fault::new(What::OutOfRange, "is too large for its type"))
}

/// A number of `kind` out of a quoted number, `NaN` and the infinities included for floats.
pub(crate) fn quoted_number(kind: Kind, text: &str) -> Read<Scalar<'static>> {
    let special = match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    match (kind, special) {
        (Kind::Double, Some(n)) => Ok(Scalar::Fixed64(n.to_bits())),
        (Kind::Float, Some(n)) => Ok(Scalar::Fixed32((n as f32).to_bits())),
        _ if is_number(text) => number(kind, text),
        _ => Err(Fault::wrong_type(wanted(kind))),
    }
}

/// The exact whole number that a JSON number denotes: `1`, `1.0` and `1e2` are whole, `1.5` is not.
fn whole(text: &str, min: i128, max: i128) -> Read<i128> {
    let range = || Fault::new(What::OutOfRange, format!("must be a whole number between {min} and {max}"));
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let plain = unsigned.len() <= 20 && unsigned.bytes().all(|b| b.is_ascii_digit());
    let magnitude = match plain {
        true => unsigned.parse::<i128>().ok(),
        false => scaled(unsigned),
    };
    let value = magnitude.map(|n| if negative { -n } else { n });
    value.filter(|n| (min..=max).contains(n)).ok_or_else(range)
}

/// The value of `digits[.digits][e±digits]` if it is whole and not absurdly large.
fn scaled(unsigned: &str) -> Option<i128> {
    const DIGITS_MAX: i64 = 20;
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [before, after].concat();
    let significant = digits.trim_end_matches('0');
    let dropped = (digits.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let clamp = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
    let scale = exponent.parse::<i64>().unwrap_or(clamp).clamp(i64::MIN / 4, i64::MAX / 4)
        - after.len() as i64
        + dropped;
    if scale < 0 || scale + significant.len() as i64 > DIGITS_MAX {
        return None;
    }
    let power = 10i128.pow(u32::try_from(scale).ok()?);
    significant.parse::<i128>().ok()?.checked_mul(power)
}

/// A value of an enum by its name.
pub(crate) fn enum_by_name(of: &Enum, name: &str) -> Read<Scalar<'static>> {
    of.number_of(name)
        .map(|number| Scalar::Varint(i64::from(number) as u64))
        .ok_or_else(|| unknown_enum(of, name))
}

fn unknown_enum(of: &Enum, name: &str) -> Fault {
    const LISTED_MAX: usize = 12;
    let short = of.name.rsplit('.').next().unwrap_or_default();
    let mut sentence = format!("has no value \"{}\" in {short}", quoted(name));
    match nearest(name, of.values.iter().map(|v| v.name.as_str())) {
        Some(near) => sentence.push_str(&format!("; did you mean \"{near}\"?")),
        None => {
            let names: Vec<&str> = of.values.iter().map(|v| v.name.as_str()).take(LISTED_MAX).collect();
            sentence.push_str(&format!("; it has {}", names.join(", ")));
        }
    }
    Fault::new(What::UnknownEnum, sentence)
}

/// A value of `kind` out of bare text, as it stands in a path or query.
pub(crate) fn from_text<'a>(schema: &Schema, kind: Kind, text: &'a str) -> Read<Scalar<'a>> {
    match kind {
        Kind::String => Ok(Scalar::Text(Cow::Borrowed(text))),
        Kind::Bytes => base64(text).map(Scalar::Bytes),
        Kind::Bool => match text {
            "true" => Ok(Scalar::Varint(1)),
            "false" => Ok(Scalar::Varint(0)),
            _ => Err(Fault::wrong_type(wanted(kind))),
        },
        Kind::Enum(id) => match is_number(text) {
            true => number(kind, text),
            false => enum_by_name(schema.get_enum(id), text),
        },
        Kind::Message(_) => Err(Fault::wrong_type("a single value")),
        Kind::Double | Kind::Float | Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Fixed64 => {
            quoted_number(kind, text)
        }
        Kind::Fixed32 | Kind::Uint32 | Kind::Sfixed32 | Kind::Sfixed64 => quoted_number(kind, text),
        Kind::Sint32 | Kind::Sint64 => quoted_number(kind, text),
    }
}

/// Bytes out of base64: both alphabets, padding or none, as ProtoJSON allows.
pub(crate) fn base64(text: &str) -> Read<Vec<u8>> {
    let bad = || Fault::new(What::Invalid, "must be base64");
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let well_padded = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    if digits.len() % 4 == 1 || !well_padded {
        return Err(bad());
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut word = 0u32;
        for digit in chunk {
            word = word << 6 | base64_digit(*digit).ok_or_else(bad)?;
        }
        word <<= 6 * (4 - chunk.len());
        bytes.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Ok(bytes)
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// Appends bytes in base64, standard alphabet, padded.
pub(crate) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().zip([16, 8, 0]).fold(0u32, |sum, (byte, shift)| sum | u32::from(*byte) << shift);
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { ALPHABET[index as usize] } else { b'=' });
        }
    }
}

/// Appends the JSON form of a number or bool. `value` has the wire type of `kind`.
pub(crate) fn put_number(out: &mut Vec<u8>, kind: Kind, value: Value<'_>) {
    let (wide, narrow) = match value {
        Value::Varint(n) | Value::Fixed64(n) => (n, 0),
        Value::Fixed32(n) => (0, n),
        Value::Bytes(_) | Value::Group => (0, 0),
    };
    match kind {
        Kind::Bool => out.extend_from_slice(if wide == 0 { b"false" } else { b"true" }),
        Kind::Int32 | Kind::Enum(_) => put_signed(out, i64::from(wide as i32)),
        Kind::Sint32 => put_signed(out, i64::from(unzigzag(wide & u64::from(u32::MAX)) as i32)),
        Kind::Uint32 => put_unsigned(out, u64::from(wide as u32)),
        Kind::Fixed32 => put_unsigned(out, u64::from(narrow)),
        Kind::Sfixed32 => put_signed(out, i64::from(narrow as i32)),
        Kind::Int64 | Kind::Sfixed64 => put_quoted(out, |out| put_signed(out, wide as i64)),
        Kind::Sint64 => put_quoted(out, |out| put_signed(out, unzigzag(wide))),
        Kind::Uint64 | Kind::Fixed64 => put_quoted(out, |out| put_unsigned(out, wide)),
        Kind::Double => put_float(out, f64::from_bits(wide), f64::from_bits(wide)),
        Kind::Float => put_float(out, f32::from_bits(narrow), f64::from(f32::from_bits(narrow))),
        Kind::String | Kind::Bytes | Kind::Message(_) => {}
    }
}

fn put_quoted(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    put(out);
    out.push(b'"');
}

/// Appends a whole number.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    put_unsigned(out, value.unsigned_abs());
}

/// Appends a whole number.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    while value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&two_digits(value % 100));
        value /= 100;
    }
    if value > 0 || at == DIGITS_MAX {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// A number below a hundred, with a leading zero.
pub(crate) fn two_digits(value: u64) -> [u8; 2] {
    PAIRS[value as usize]
}

/// The digits of the largest number of 64 bits.
const DIGITS_MAX: usize = 20;

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Appends the shortest text that reads back as the same number. Debug, not Display: the latter writes
/// 1e300 with three hundred digits.
fn put_float(out: &mut Vec<u8>, value: impl std::fmt::Debug, wide: f64) {
    if wide.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if wide.is_infinite() {
        out.extend_from_slice(if wide.is_sign_positive() { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        write!(out, "{value:?}").expect("writing to memory cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("1.0", 1),
            ("1e2", 100),
            ("1.5e1", 15),
            ("100e-2", 1),
            ("-2.50e2", -250),
            ("0e999999999999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("9.223372036854775807e18", i64::MAX),
            ("0.0000e-5", 0),
        ] {
            assert_eq!(number(Kind::Int64, text), Ok(Scalar::Varint(value as u64)), "{text}");
        }
        for text in [
            "0.5",
            "1e-1",
            "9223372036854775808",
            "1e19",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "-9223372036854775809",
            "1.0000000000000000000000001",
        ] {
            assert_eq!(number(Kind::Int64, text).map_err(|f| f.what), Err(What::OutOfRange), "{text}");
        }
        assert_eq!(number(Kind::Uint64, "18446744073709551615"), Ok(Scalar::Varint(u64::MAX)));
        assert!(number(Kind::Uint32, "-1").is_err());
        assert!(number(Kind::Float, "1e39").is_err());
        assert!(number(Kind::Double, "1e400").is_err());
    }

    #[test]
    fn whole_numbers_are_written_as_the_standard_library_does() {
        let powers = (0..20).map(|n| 10u64.pow(n));
        let all = powers.flat_map(|n| [n - 1, n, n + 1]).chain([9, 42, 100, 101, 999, u64::MAX, 1 << 63]);
        for value in all {
            let (mut unsigned, mut signed) = (Vec::new(), Vec::new());
            put_unsigned(&mut unsigned, value);
            put_signed(&mut signed, value as i64);
            assert_eq!(unsigned, value.to_string().into_bytes());
            assert_eq!(signed, (value as i64).to_string().into_bytes());
        }
    }

    #[test]
    fn base64_goes_both_ways() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0xfb, 0xff, 0xfe]] {
            let mut out = Vec::new();
            put_base64(&mut out, bytes);
            let text = String::from_utf8(out).expect("ASCII");
            assert_eq!(base64(&text), Ok(bytes.to_vec()), "{text}");
            assert_eq!(base64(text.trim_end_matches('=')), Ok(bytes.to_vec()));
            assert_eq!(base64(&text.replace('+', "-").replace('/', "_")), Ok(bytes.to_vec()));
        }
        for bad in ["A", "AA=", "AA===", "A*==", "=", "AAAAA", "AAA==", "AA==AA=="] {
            assert!(base64(bad).is_err(), "{bad}");
        }
    }
}
