//! The date form of HTTP.
use souk_kernel::Timestamp;

/// `Sat, 21 Nov 2026 09:14:24 GMT` (RFC 9110, section 5.6.7).
pub(crate) fn http_date(time: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = Timestamp::from_unix_s(time.unix_s()).to_string(); // 2026-11-21T09:14:24Z
    let month = text[5..7].parse::<usize>().unwrap_or(1);
    let weekday = time.unix_s().div_euclid(86_400).rem_euclid(7);
    let weekday = DAYS[usize::try_from(weekday).unwrap_or(0)];
    format!("{weekday}, {} {} {} {} GMT", &text[8..10], MONTHS[month - 1], &text[..4], &text[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_http_writes_them() {
        for (time, date) in [
            ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("2026-11-21T09:14:24.5Z", "Sat, 21 Nov 2026 09:14:24 GMT"),
            ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(Timestamp::parse(time).expect("a time")), date);
        }
    }
}
