//! The circumstances of a call as headers, and back.
use super::DEADLINE_MAX;
use crate::{Code, Cx, Error, Result, Trace, cx, guard};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const WAIT: HeaderName = HeaderName::from_static("souk-wait-ms");

/// The longest request id that is kept.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The longest time that a caller may be ready to wait for a settled answer.
const WAIT_MS_MAX: u64 = 600_000;

/// `grpc-timeout` has at most this many digits.
const TIMEOUT_DIGITS_MAX: usize = 8;
const TIMEOUT_AMOUNT_MAX: u128 = 99_999_999;

/// Reads the circumstances of a call that arrived at `now`.
pub(super) fn read(headers: &HeaderMap, now: Instant) -> Result<Cx> {
    let timeout = one(headers, &TIMEOUT)?.map(parse_timeout).transpose()?.unwrap_or(DEADLINE_MAX);
    let trace = one(headers, &TRACEPARENT)?.and_then(Trace::parse).unwrap_or_default();
    let cx = Cx::new(now + timeout)
        .with_token(one(headers, &AUTHORIZATION)?.map(bearer).transpose()?)
        .with_key(one(headers, &KEY)?.map(Arc::from))
        .with_wait(one(headers, &WAIT)?.map(parse_wait).transpose()?)
        .with_trace(trace);
    match one(headers, &REQUEST_ID)? {
        Some(id) if id.len() > REQUEST_ID_BYTES_MAX => {
            Err(invalid("x-request-id", "must be at most 128 characters"))
        }
        Some(id) => Ok(cx.with_request_id(id)),
        None => Ok(cx),
    }
}

/// Writes the circumstances of a call that leaves at `now`.
pub(super) fn write(cx: &Cx, now: Instant, headers: &mut HeaderMap) -> Result<()> {
    let left = cx.deadline().saturating_duration_since(now).min(DEADLINE_MAX);
    if left < Duration::from_micros(1) {
        return Err(guard::late());
    }
    headers.insert(TIMEOUT, fresh(value("grpc-timeout", &format_timeout(left))?));
    if let Some(token) = cx.token() {
        headers.insert(AUTHORIZATION, fresh(value("authorization", &format!("Bearer {token}"))?));
    }
    if let Some(key) = cx.key() {
        headers.insert(KEY, fresh(value("idempotency-key", key)?));
    }
    if !cx.trace().is_none() {
        headers.insert(TRACEPARENT, fresh(value("traceparent", cx.trace().traceparent())?));
    }
    if !cx.request_id().is_empty() {
        headers.insert(REQUEST_ID, fresh(value("x-request-id", cx.request_id())?));
    }
    if let Some(wait) = cx.wait() {
        headers.insert(WAIT, value("souk-wait-ms", &wait.as_millis().to_string())?);
    }
    Ok(())
}

/// The value of a header that may stand once. A doubled one is refused: two readers could pick two of them.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(name.as_str(), "must stand only once"));
    }
    let text = value.to_str().map_err(|_| invalid(name.as_str(), "must be ASCII"))?;
    Ok(Some(text))
}

fn value(name: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| invalid(name, "must be visible ASCII"))
}

/// Keeps a value out of the connection's table of headers: a token is a secret, and the other values differ from
/// call to call, so that they would only push out those that come again.
fn fresh(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn bearer(text: &str) -> Result<Arc<str>> {
    let (scheme, token) = text.split_once(' ').ok_or_else(cx::unauthenticated)?;
    let acceptable = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.bytes().all(|b| b.is_ascii_graphic());
    if acceptable { Ok(Arc::from(token)) } else { Err(cx::unauthenticated()) }
}

fn parse_wait(text: &str) -> Result<Duration> {
    let ms = digits(text).filter(|ms| *ms <= WAIT_MS_MAX);
    ms.map(Duration::from_millis).ok_or_else(|| invalid("souk-wait-ms", "must be between 0 and 600000"))
}

fn parse_timeout(text: &str) -> Result<Duration> {
    let problem = || invalid("grpc-timeout", "must be 1 to 8 digits and one of H, M, S, m, u, n");
    let unit = text.chars().next_back().ok_or_else(problem)?;
    let amount = text.strip_suffix(unit).filter(|amount| amount.len() <= TIMEOUT_DIGITS_MAX);
    let amount = amount.and_then(digits).ok_or_else(problem)?;
    let timeout = match unit {
        'H' => Duration::from_secs(amount * 3_600),
        'M' => Duration::from_secs(amount * 60),
        'S' => Duration::from_secs(amount),
        'm' => Duration::from_millis(amount),
        'u' => Duration::from_micros(amount),
        'n' => Duration::from_nanos(amount),
        _ => return Err(problem()),
    };
    Ok(timeout.min(DEADLINE_MAX))
}

fn format_timeout(left: Duration) -> String {
    if left.as_micros() <= TIMEOUT_AMOUNT_MAX {
        format!("{}u", left.as_micros())
    } else {
        // A day has 86,400,000 milliseconds, so this has at most eight digits too.
        format!("{}m", left.as_millis())
    }
}

fn digits(text: &str) -> Option<u64> {
    let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits_only)
}

fn invalid(header: &str, problem: &str) -> Error {
    Error::new(Code::InvalidArgument, "INVALID_METADATA", format!("{header} {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, text) in pairs {
            headers.append(*name, HeaderValue::from_str(text).expect("a header value"));
        }
        headers
    }

    #[tokio::test(start_paused = true)]
    async fn circumstances_survive_their_headers() {
        let now = Instant::now();
        let trace = Trace::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("a trace");
        for left in
            [Duration::from_micros(1), Duration::from_millis(1_500), Duration::from_secs(100), DEADLINE_MAX]
        {
            let cx = Cx::new(now + left)
                .with_token(Arc::from("a.b.c"))
                .with_key(Arc::from("key-1"))
                .with_trace(trace.clone())
                .with_request_id("r1")
                .with_wait(Duration::from_secs(3));
            let mut headers = HeaderMap::new();
            write(&cx, now, &mut headers).expect("all of it can be written");
            let read = read(&headers, now).expect("just written");
            assert_eq!(format!("{read:?}"), format!("{cx:?}"));
        }
        let nothing = read(&HeaderMap::new(), now).expect("nothing is needed");
        assert_eq!(nothing.deadline(), now + DEADLINE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn garbage_is_refused_by_name() {
        let now = Instant::now();
        for timeout in
            ["", "S", "5", "-1S", "+1S", "1.5S", "123456789S", "5s", "5 S", " 5S", "1e3m", "٣S".trim()]
        {
            let Ok(value) = HeaderValue::from_str(timeout) else { continue };
            let garbage = HeaderMap::from_iter([(TIMEOUT, value)]);
            let error = read(&garbage, now).expect_err(timeout);
            assert_eq!(error.code(), Code::InvalidArgument, "{timeout:?}");
        }
        let longest = read(&headers(&[("grpc-timeout", "99999999H")]), now).expect("of the right form");
        assert_eq!(longest.deadline(), now + DEADLINE_MAX, "capped, not overflowed");
        for wait in ["", "-1", "600001", "99999999999999999999", "1s"] {
            assert!(read(&headers(&[("souk-wait-ms", wait)]), now).is_err(), "{wait:?}");
        }
        for authorization in ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer  a"] {
            let error = read(&headers(&[("authorization", authorization)]), now).expect_err(authorization);
            assert_eq!(error.code(), Code::Unauthenticated, "{authorization:?}");
        }
        assert!(
            read(&headers(&[("authorization", "bearer a"), ("authorization", "bearer b")]), now).is_err()
        );
        assert!(read(&headers(&[("x-request-id", &"r".repeat(129))]), now).is_err());
        let traceless =
            read(&headers(&[("traceparent", "garbage")]), now).expect("a broken trace is no reason");
        assert!(traceless.trace().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_a_header_is_refused_before_it_is_sent() {
        let now = Instant::now();
        let cx = Cx::new(now + Duration::from_secs(1));
        let smuggled = cx.clone().with_key(Arc::from("a\r\nauthorization: Bearer x"));
        assert!(write(&smuggled, now, &mut HeaderMap::new()).is_err());
        let late = write(&cx.with_deadline(now), now, &mut HeaderMap::new());
        assert_eq!(late.err().map(|e| e.code()), Some(Code::DeadlineExceeded));
    }
}
