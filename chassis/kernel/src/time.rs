//! An instant in UTC, in microseconds. Where it comes from is the host's business (see [`crate::Clock`]).
use std::fmt;
use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseTimeError;

impl fmt::Display for ParseTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a time like 2026-01-31T12:00:00Z (RFC 3339)")
    }
}

impl std::error::Error for ParseTimeError {}

impl Timestamp {
    /// The start of 1970, UTC.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From microseconds since the epoch.
    pub const fn from_unix_us(us: i64) -> Self {
        Self(us)
    }

    /// From milliseconds since the epoch.
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms * 1_000)
    }

    /// From whole seconds since the epoch.
    pub const fn from_unix_s(s: i64) -> Self {
        Self(s * 1_000_000)
    }

    /// Microseconds since the epoch.
    pub const fn unix_us(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn unix_ms(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn unix_s(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `d` more; saturates at the end of time.
    pub fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How much later this is than `earlier`; zero when it is not later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339: `2026-01-31T12:00:00Z`, fractions up to nine digits, `Z` or `±hh:mm`.
    pub fn parse(text: &str) -> Result<Self, ParseTimeError> {
        let b = text.as_bytes();
        let shape = b.len() >= 20
            && b[4] == b'-'
            && b[7] == b'-'
            && matches!(b[10], b'T' | b't' | b' ')
            && b[13] == b':'
            && b[16] == b':';
        if !shape {
            return Err(ParseTimeError);
        }
        let number = |from: usize, to: usize| digits(&b[from..to]);
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let in_range = (1..=12).contains(&month)
            && day >= 1
            && day <= days_in(year, month)
            && hour < 24
            && minute < 60
            && second < 60;
        if !in_range {
            return Err(ParseTimeError);
        }
        let (fraction_us, rest) = fraction(&b[19..])?;
        let offset_s = offset(rest)?;
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
        Ok(Self(seconds * 1_000_000 + fraction_us))
    }
}

fn digits(bytes: &[u8]) -> Result<i64, ParseTimeError> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return Err(ParseTimeError);
    }
    Ok(bytes.iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))
}

/// Reads an optional `.123` and returns it in microseconds with what follows it.
fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), ParseTimeError> {
    if rest.first() != Some(&b'.') {
        return Ok((0, rest));
    }
    let end = rest[1..].iter().position(|b| !b.is_ascii_digit()).ok_or(ParseTimeError)? + 1;
    if !(2..=10).contains(&end) {
        return Err(ParseTimeError);
    }
    let micros =
        rest[1..end].iter().chain(b"000000").take(6).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
    Ok((micros, &rest[end..]))
}

/// Reads `Z` or `±hh:mm` and returns it in seconds east of UTC.
fn offset(rest: &[u8]) -> Result<i64, ParseTimeError> {
    match rest {
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return Err(ParseTimeError);
            }
            let east = hours * 3_600 + minutes * 60;
            Ok(if *sign == b'-' { -east } else { east })
        }
        _ => Err(ParseTimeError),
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * mp + 2) / 5 + 1)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC: no fraction when it is zero, else three or six digits (as ProtoJSON does).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.unix_s();
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let us = self.0.rem_euclid(1_000_000);
        if us == 0 {
            write!(f, "Z")
        } else if us % 1_000 == 0 {
            write!(f, ".{:03}Z", us / 1_000)
        } else {
            write!(f, ".{us:06}Z")
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    /// Stored events hold microseconds since the epoch: exact, short and sortable.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        i64::deserialize(d).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799_000_000),
            ("2026-11-21T09:14:24.500Z", 1_795_252_464_500_000),
            ("2011-12-09T12:50:00.000001Z", 1_323_435_000_000_001),
            ("1969-12-31T23:59:59Z", -1_000_000),
        ] {
            assert_eq!(Timestamp::from_unix_us(us).to_string(), text);
            assert_eq!(Timestamp::parse(text), Ok(Timestamp::from_unix_us(us)), "{text}");
        }
        assert_eq!(Timestamp::parse("2026-01-01T02:00:00+02:00"), Timestamp::parse("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for bad in [
            "",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00.Z",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(ParseTimeError), "{bad}");
        }
    }
}
