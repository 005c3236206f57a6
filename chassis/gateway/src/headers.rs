//! What the gateway reads out of a request's headers. Everything else, `x-user-*` and `x-internal-*` above
//! all, is never looked at and never passed on: who calls is said by the token alone.
use crate::problem::Problem;
use http::{HeaderMap, HeaderName, StatusCode, header};
use souk_transcode::Idempotency;
use std::sync::Arc;
use std::time::Duration;

/// The largest token that is looked at.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The longest idempotency key.
const KEY_BYTES_MAX: usize = 255;
/// The longest request id that is taken over.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// The longest that a caller may ask to wait for a settled answer.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The one value of a header; `Err` when there are several or it is not visible ASCII and spaces.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

/// A request id that came along and is fit to be repeated in logs and answers.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = single(headers, &REQUEST_ID).ok().flatten()?;
    let sane = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    sane.then_some(id)
}

/// The value of `traceparent`, unread.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    single(headers, &TRACEPARENT).ok().flatten()
}

/// The bearer token. A malformed header is refused even where no token is needed: its sender is mistaken.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
    let refused = || {
        let detail = "the header Authorization must be \"Bearer\", one space and a token";
        Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", detail)
            .with_header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_request\"")
    };
    let Some(value) = single(headers, &header::AUTHORIZATION).map_err(|()| refused())? else {
        return Ok(None);
    };
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => token,
        _ => return Err(refused()),
    };
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    let well_formed = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(allowed);
    if well_formed { Ok(Some(Arc::from(token))) } else { Err(refused()) }
}

/// Nobody said who they are where somebody must.
pub(crate) fn token_wanted() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "this call needs a token")
        .with_header(header::WWW_AUTHENTICATE, "Bearer")
}

/// The idempotency key, as far as the method's policy goes.
pub(crate) fn key(headers: &HeaderMap, policy: Idempotency) -> Result<Option<Arc<str>>, Problem> {
    let wanted = "must be 1 to 255 visible ASCII characters";
    let bad =
        || Problem::bad_request("INVALID_IDEMPOTENCY_KEY", format!("the header Idempotency-Key {wanted}"));
    let key = single(headers, &IDEMPOTENCY_KEY).map_err(|()| bad())?;
    match (key, policy) {
        (Some(key), _) => {
            let fine = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
            if fine { Ok(Some(Arc::from(key))) } else { Err(bad()) }
        }
        (None, Idempotency::Required) => {
            let detail = format!("this call needs a header Idempotency-Key; it {wanted}");
            Err(Problem::bad_request("IDEMPOTENCY_KEY_REQUIRED", detail))
        }
        (None, Idempotency::Unspecified | Idempotency::None | Idempotency::Optional) => Ok(None),
    }
}

/// How long the caller is ready to wait (`Prefer: wait=N`, RFC 7240). A preference that cannot be read is
/// ignored, as the RFC demands.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut parts = preferences.flat_map(|value| value.split(',')).filter_map(|part| part.split(';').next());
    let seconds = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let digits = !value.is_empty() && value.len() <= 9 && value.bytes().all(|b| b.is_ascii_digit());
        name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u64>().ok().filter(|_| digits))?
    })?;
    Some(Duration::from_secs(seconds).min(WAIT_MAX))
}

/// What a body claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Missing,
    Json,
}

/// A body that is not compressed, of whatever type.
pub(crate) fn uncompressed(headers: &HeaderMap) -> Result<(), Problem> {
    let identity = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(identity) {
        return Ok(());
    }
    let detail = "a body must not be compressed";
    let refused = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail);
    Err(refused.with_header(header::ACCEPT_ENCODING, "identity"))
}

/// JSON in UTF-8, not compressed; everything else is refused.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    uncompressed(headers)?;
    let refused =
        |detail: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail);
    let json = "a body must have the Content-Type application/json";
    let Some(value) = single(headers, &header::CONTENT_TYPE).map_err(|()| refused(json))? else {
        return Ok(MediaType::Missing);
    };
    if is_json(value) { Ok(MediaType::Json) } else { Err(refused(json)) }
}

pub(crate) fn missing_content_type() -> Problem {
    let detail = "a body must have the Content-Type application/json";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail)
}

fn is_json(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let utf8 = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    json && parts.all(utf8)
}

/// The text of a header that is passed on; a second one, or one that is no text, is refused.
pub(crate) fn passed_on<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let refused = |()| {
        let detail = format!("the header {name} must come once at most, as visible ASCII");
        Problem::bad_request("MALFORMED_REQUEST", detail)
    };
    single(headers, name).map_err(refused)
}

/// Whether the caller takes an answer of the type `application/<subtype>`.
pub(crate) fn accepts(headers: &HeaderMap, subtype: &str) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return true;
    }
    // The most specific range that fits decides, so that `*/*, application/json;q=0` refuses.
    let best = ranges
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| fit(range, subtype))
        .max_by_key(|(specific, wanted)| (*specific, *wanted));
    best.is_some_and(|(_, wanted)| wanted)
}

/// How specifically a media range fits, and whether its weight is more than nothing.
fn fit(range: &str, subtype: &str) -> Option<(u8, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let (main, sub) = parts.next()?.split_once('/')?;
    let specific = match (main, sub) {
        ("*", "*") => 0,
        (main, "*") if main.eq_ignore_ascii_case("application") => 1,
        (main, sub) if main.eq_ignore_ascii_case("application") && sub.eq_ignore_ascii_case(subtype) => 2,
        _ => return None,
    };
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let zero = weight.is_some_and(|q| !q.bytes().any(|b| (b'1'..=b'9').contains(&b)));
    Some((specific, !zero))
}

pub(crate) fn not_acceptable(wanted: &str) -> Problem {
    let detail = format!("the answer is {wanted}, which the header Accept excludes");
    Problem::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        }
        headers
    }

    #[test]
    fn tokens_are_read_strictly() {
        let token = |values: &[&str]| token(&with("authorization", values)).map_err(|p| p.status().as_u16());
        assert_eq!(token(&[]), Ok(None));
        assert_eq!(token(&["Bearer a.b-c_d"]), Ok(Some(Arc::from("a.b-c_d"))));
        assert_eq!(token(&["bearer a"]), Ok(Some(Arc::from("a"))));
        let long = format!("Bearer {}", "a".repeat(9_000));
        for bad in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer  a"],
            &["Bearer a b"],
            &["Basic a"],
            &["a"],
            &["Bearer a", "Bearer a"],
            &["Bearer ä"],
            &["Bearer a,b"],
            &[&long],
            &[""],
        ] {
            assert_eq!(token(bad), Err(401), "{bad:?}");
        }
    }

    #[test]
    fn media_types_are_read_strictly() {
        let kind =
            |values: &[&str]| content_type(&with("content-type", values)).map_err(|p| p.status().as_u16());
        assert_eq!(kind(&[]), Ok(MediaType::Missing));
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert_eq!(kind(&[good]), Ok(MediaType::Json), "{good}");
        }
        for bad in [
            &["text/plain"][..],
            &["application/json; charset=latin1"],
            &["application/jsonp"],
            &["application/json; x=1"],
            &["application/json", "application/json"],
            &[""],
            &["*/*"],
        ] {
            assert_eq!(kind(bad), Err(415), "{bad:?}");
        }
        for (encoding, fine) in [
            ("identity", true),
            ("gzip", false),
            ("gzip, gzip", false),
            ("identity, gzip", false),
            ("", false),
        ] {
            assert_eq!(content_type(&with("content-encoding", &[encoding])).is_ok(), fine, "{encoding}");
        }
    }

    #[test]
    fn the_most_specific_range_decides() {
        let json = |values: &[&str]| accepts(&with("accept", values), "json");
        for good in [
            &[][..],
            &["*/*"],
            &["application/*"],
            &["text/html, application/json;q=0.1"],
            &["text/html", "*/*;q=0.5"],
            &["application/json;q=1.0, */*;q=0"],
        ] {
            assert!(json(good), "{good:?}");
        }
        for bad in [
            &["text/html"][..],
            &["application/xml"],
            &["application/json;q=0"],
            &["*/*, application/json;q=0.000"],
            &[""],
            &["json"],
        ] {
            assert!(!json(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_wait_is_whole_seconds_and_bounded() {
        let wait = |values: &[&str]| wait(&with("prefer", values)).map(|wait| wait.as_secs());
        assert_eq!(wait(&["wait=5"]), Some(5));
        assert_eq!(wait(&["respond-async, Wait = \"7\""]), Some(7));
        assert_eq!(wait(&["return=minimal", "wait=100"]), Some(30));
        for bad in
            [&[][..], &["wait"], &["wait=-1"], &["wait=1.5"], &["wait=9999999999"], &["wait="], &["await=1"]]
        {
            assert_eq!(wait(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn keys_and_request_ids_are_checked() {
        let key = |values: &[&str], policy| {
            key(&with("idempotency-key", values), policy).map_err(|p| p.reason().to_owned())
        };
        assert_eq!(key(&[], Idempotency::Optional), Ok(None));
        assert_eq!(key(&[], Idempotency::Required), Err("IDEMPOTENCY_KEY_REQUIRED".into()));
        assert_eq!(key(&["k1"], Idempotency::Required), Ok(Some(Arc::from("k1"))));
        for bad in [&[""][..], &["a b"], &["ä"], &["a", "a"], &[&"k".repeat(256)]] {
            assert_eq!(key(bad, Idempotency::Optional), Err("INVALID_IDEMPOTENCY_KEY".into()), "{bad:?}");
        }
        let id = |values: &[&str]| request_id(&with("x-request-id", values)).map(str::to_owned);
        assert_eq!(id(&["abc-1"]).as_deref(), Some("abc-1"));
        for bad in [&[""][..], &["a b"], &["a", "b"], &[&"x".repeat(129)], &["é"]] {
            assert_eq!(id(bad), None, "{bad:?}");
        }
    }
}
