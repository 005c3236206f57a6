//! The well-known types whose JSON form is a text: `Timestamp`, `Duration` and `FieldMask`.
use crate::fault::{Fault, Read, What};
use crate::json::put_json_text;
use crate::scalar::{put_unsigned, two_digits};
use crate::sink::STEP;
use crate::wire::{Reader, Value, WireFault, put_bytes, put_varint, text};
use souk_kernel::Timestamp;

const SECONDS_FIRST: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
const SECONDS_LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
const DURATION_SECONDS_MAX: i64 = 315_576_000_000; // ten thousand years
const NANOS_MAX: i64 = 999_999_999;

/// Appends the content of a `Timestamp` message.
pub(crate) fn timestamp_to_proto(out: &mut Vec<u8>, time: &str) -> Read<()> {
    let bad = || Fault::new(What::Invalid, "must be a time like 2026-01-31T12:00:00Z (RFC 3339)");
    let (seconds, nanos) = read_time(time).ok_or_else(bad)?;
    if !(SECONDS_FIRST..=SECONDS_LAST).contains(&seconds) {
        return Err(Fault::new(What::OutOfRange, "must be a time of the years 1 to 9999"));
    }
    put_pair(out, seconds, nanos);
    Ok(())
}

fn read_time(time: &str) -> Option<(i64, i64)> {
    let strict = time.is_ascii() && time.as_bytes().get(10) == Some(&b'T') && !time.ends_with('z');
    let (whole, rest) = time.split_at_checked(19).filter(|_| strict)?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            (nanos_of(&fraction[..digits])?, &fraction[digits..])
        }
        None => (0, rest),
    };
    let time = Timestamp::parse(&[whole, zone].concat()).ok()?;
    Some((time.unix_s(), nanos))
}

/// One to nine digits after the point, as nanoseconds.
fn nanos_of(digits: &str) -> Option<i64> {
    let fine = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| digits.bytes().chain(*b"00000000").take(9).fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))
}

/// Appends the content of a `Duration` message.
pub(crate) fn duration_to_proto(out: &mut Vec<u8>, duration: &str) -> Read<()> {
    let bad = || Fault::new(What::Invalid, "must be a duration in seconds like 1.5s");
    let (seconds, nanos) = read_duration(duration).ok_or_else(bad)?;
    if seconds.abs() > DURATION_SECONDS_MAX {
        return Err(Fault::new(What::OutOfRange, "must be a duration of at most 315576000000 seconds"));
    }
    put_pair(out, seconds, nanos);
    Ok(())
}

fn read_duration(duration: &str) -> Option<(i64, i64)> {
    let number = duration.strip_suffix('s')?;
    let (sign, number) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
    let (seconds, nanos) = match number.split_once('.') {
        Some((seconds, fraction)) => (seconds, nanos_of(fraction)?),
        None => (number, 0),
    };
    let digits = (1..=18).contains(&seconds.len()) && seconds.bytes().all(|b| b.is_ascii_digit());
    let seconds: i64 = seconds.parse().ok().filter(|_| digits)?;
    Some((sign * seconds, sign * nanos))
}

/// Two varint fields, 1 and 2, absent when zero.
fn put_pair(out: &mut Vec<u8>, seconds: i64, nanos: i64) {
    for (tag, value) in [(0x08, seconds), (0x10, nanos)] {
        if value != 0 {
            out.push(tag);
            put_varint(out, value as u64);
        }
    }
}

fn read_pair(bytes: &[u8]) -> Result<(i64, i64), WireFault> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    // As everybody writes them: both, in order, nothing else.
    if reader.skip_tag(0x08) {
        seconds = reader.varint()? as i64;
    }
    if reader.skip_tag(0x10) {
        nanos = i64::from(reader.varint()? as i32);
    }
    while let Some(record) = reader.record()? {
        match record {
            (1, Value::Varint(n)) => seconds = n as i64,
            (2, Value::Varint(n)) => nanos = i64::from(n as i32),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

/// Appends the JSON form of a `Timestamp` message.
pub(crate) fn timestamp_to_json(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireFault> {
    let (text, length) = timestamp_text(bytes)?;
    out.extend_from_slice(&text[..length]);
    Ok(())
}

/// The JSON form of a `Timestamp` message, with its length.
pub(crate) fn timestamp_text(bytes: &[u8]) -> Result<([u8; STEP], usize), WireFault> {
    let (seconds, nanos) = read_pair(bytes)?;
    let in_range = (SECONDS_FIRST..=SECONDS_LAST).contains(&seconds) && (0..=NANOS_MAX).contains(&nanos);
    if !in_range {
        return Err(WireFault::NoJsonForm);
    }
    let mut text = *b"\"0000-00-00T00:00:00.000000000Z\"";
    // The range was checked, so this is never negative.
    let parts = date_time((seconds - SECONDS_FIRST).unsigned_abs());
    for (at, part) in [1, 3, 6, 9, 12, 15, 18].into_iter().zip(parts) {
        text[at..at + 2].copy_from_slice(&two_digits(part));
    }
    let (fraction, length) = fraction(nanos.unsigned_abs());
    text[20..30].copy_from_slice(&fraction);
    text[20 + length..22 + length].copy_from_slice(b"Z\"");
    Ok((text, 22 + length))
}

/// Appends the JSON form of a `Duration` message.
pub(crate) fn duration_to_json(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireFault> {
    let (seconds, nanos) = read_pair(bytes)?;
    let one_sign = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    let in_range =
        seconds.unsigned_abs() <= DURATION_SECONDS_MAX as u64 && nanos.unsigned_abs() <= NANOS_MAX as u64;
    if !(one_sign && in_range) {
        return Err(WireFault::NoJsonForm);
    }
    out.push(b'"');
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    put_unsigned(out, seconds.unsigned_abs());
    let (fraction, length) = fraction(nanos.unsigned_abs());
    out.extend_from_slice(&fraction[..length]);
    out.extend_from_slice(b"s\"");
    Ok(())
}

/// A point and nine digits, of which so many bytes are to be written: none, or 3, 6 or 9 digits, as few as are exact.
fn fraction(nanos: u64) -> ([u8; 10], usize) {
    let mut digits = *b".000000000";
    let mut rest = nanos;
    for at in [8, 6, 4, 2] {
        digits[at..at + 2].copy_from_slice(&two_digits(rest % 100));
        rest /= 100;
    }
    digits[1] = b'0' + rest as u8;
    let length = if nanos == 0 {
        0
    } else if nanos.is_multiple_of(1_000_000) {
        4
    } else if nanos.is_multiple_of(1_000) {
        7
    } else {
        10
    };
    (digits, length)
}

/// Century, year of the century, month, day, hour, minute and second, so many seconds after the start of the
/// year 1. Years are counted from March to February, so that the day that comes and goes is the last one.
fn date_time(seconds: u64) -> [u64; 7] {
    const DAY_S: u64 = 86_400;
    const CYCLE_DAYS: u64 = 146_097; // 400 years
    const CENTURY_DAYS: u64 = 36_524;
    const FOUR_YEARS_DAYS: u64 = 1_461;
    const MARCH_TO_JANUARY_DAYS: u64 = 306;
    let (days, of_day) = (seconds / DAY_S + MARCH_TO_JANUARY_DAYS, seconds % DAY_S);
    let (cycle, of_cycle) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    // The last century and the last four years of a cycle are a day longer than the others.
    let century = (of_cycle / CENTURY_DAYS).min(3);
    let of_century = of_cycle - century * CENTURY_DAYS;
    let (fours, of_fours) = (of_century / FOUR_YEARS_DAYS, of_century % FOUR_YEARS_DAYS);
    let single = (of_fours / 365).min(3);
    let of_year = of_fours - single * 365;
    // 153 days in five months: 31, 30, 31, 30, 31.
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + century * 100 + fours * 4 + single + u64::from(month <= 2);
    [year / 100, year % 100, month, day, of_day / 3_600, of_day / 60 % 60, of_day % 60]
}

/// Appends the content of a `FieldMask` message: `displayName,lines.sku` names proto fields in JSON's way.
pub(crate) fn mask_to_proto(out: &mut Vec<u8>, mask: &str) -> Read<()> {
    for path in mask.split(',').filter(|_| !mask.is_empty()) {
        let fine = !path.is_empty() && path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
        if !fine {
            return Err(Fault::new(What::Invalid, "must be field names like displayName,lines.sku"));
        }
        let mut snake = Vec::with_capacity(path.len() + 4);
        for byte in path.bytes() {
            if byte.is_ascii_uppercase() {
                snake.push(b'_');
            }
            snake.push(byte.to_ascii_lowercase());
        }
        out.push(0x0a);
        put_bytes(out, &snake);
    }
    Ok(())
}

/// Appends the JSON form of a `FieldMask` message.
pub(crate) fn mask_to_json(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireFault> {
    let mut reader = Reader::new(bytes);
    let mut mask = String::new();
    while let Some(record) = reader.record()? {
        let (1, Value::Bytes(path)) = record else { continue };
        if !mask.is_empty() {
            mask.push(',');
        }
        put_camel(&mut mask, text(path)?)?;
    }
    put_json_text(out, &mask);
    Ok(())
}

/// Appends `display_name` as `displayName`; fails when the way back would lead elsewhere.
fn put_camel(mask: &mut String, path: &str) -> Result<(), WireFault> {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '_' => match chars.next() {
                Some(letter @ 'a'..='z') => mask.push(letter.to_ascii_uppercase()),
                _ => return Err(WireFault::NoJsonForm),
            },
            'A'..='Z' | ',' => return Err(WireFault::NoJsonForm),
            other => mask.push(other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(
        there: fn(&mut Vec<u8>, &str) -> Read<()>,
        back: fn(&mut Vec<u8>, &[u8]) -> Result<(), WireFault>,
        text: &str,
    ) -> Result<String, String> {
        let (mut proto, mut json) = (Vec::new(), Vec::new());
        there(&mut proto, text).map_err(|f| f.sentence)?;
        back(&mut json, &proto).map_err(|f| f.to_string())?;
        Ok(String::from_utf8_lossy(&json).trim_matches('"').to_owned())
    }

    #[test]
    fn times() {
        let check = |text: &str| there_and_back(timestamp_to_proto, timestamp_to_json, text);
        for (text, same) in [
            ("2026-11-21T09:14:24Z", "2026-11-21T09:14:24Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
            ("2026-01-01T01:00:00.000001+01:00", "2026-01-01T00:00:00.000001Z"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(same), "{text}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21T09:14:24",
            "2026-11-21t09:14:24Z",
            "2026-11-21T09:14:24z",
            "2026-11-21 09:14:24Z",
            "0000-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "2026-11-21T09:14:60Z",
            "2026-02-30T00:00:00Z",
            "2026-11-21T09:14:24.Z",
            "2026-11-21T09:14:24.0000000000Z",
            "10000-01-01T00:00:00Z",
            "2026-11-21T09:14:2éZ",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_those_of_the_kernel() {
        // A step that is no multiple of a day, a month or a year, over all years; and all days of some cycles.
        let all = (SECONDS_FIRST..=SECONDS_LAST).step_by(9_999_991);
        let days = (0..1_200 * 366).map(|day| SECONDS_FIRST + 1_500 * 31_556_952 + day * 86_400 + 86_399);
        for seconds in all.chain(days).chain([SECONDS_LAST]) {
            let (mut proto, mut json) = (Vec::new(), Vec::new());
            put_pair(&mut proto, seconds, 0);
            timestamp_to_json(&mut json, &proto).expect("in range");
            assert_eq!(json, format!("\"{}\"", Timestamp::from_unix_s(seconds)).into_bytes());
        }
    }

    #[test]
    fn durations() {
        let check = |text: &str| there_and_back(duration_to_proto, duration_to_json, text);
        for (text, same) in [
            ("0s", "0s"),
            ("1.5s", "1.500s"),
            ("-0.000000001s", "-0.000000001s"),
            ("315576000000s", "315576000000s"),
            ("-3.25s", "-3.250s"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(same), "{text}");
        }
        for bad in
            ["", "1", "s", ".5s", "1.s", "1.0000000000s", "+1s", "--1s", "315576000001s", "1e3s", " 1s"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn masks() {
        let check = |text: &str| there_and_back(mask_to_proto, mask_to_json, text);
        for text in ["", "sku", "displayName,lines.unitPrice"] {
            assert_eq!(check(text).as_deref(), Ok(text));
        }
        for bad in ["a_b", ",", "a,", "a b"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let mut out = Vec::new();
        assert_eq!(mask_to_json(&mut out, b"\x0a\x03a_1"), Err(WireFault::NoJsonForm));
    }
}
