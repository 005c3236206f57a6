//! Errors as trailers, and back: code, sentence, reason, facts, faulty fields and the hint when to try again.
use crate::{Code, Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use souk_kernel::FieldViolation;
use std::collections::BTreeMap;
use std::time::Duration;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Who gives the reasons.
const DOMAIN: &str = "souk";

/// Trailers share the peer's bound on headers, so what does not fit is left out: first the later fields, then
/// the end of the sentence. The code and the reason always arrive.
const DETAIL_BYTES_MAX: usize = 7 * 1024;
const SENTENCE_BYTES_MAX: usize = 1024;

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// google.rpc.ErrorInfo.
#[derive(Clone, PartialEq, prost::Message)]
struct Cause {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

/// google.rpc.RetryInfo.
#[derive(Clone, PartialEq, prost::Message)]
struct Retry {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The trailers of success.
pub(super) fn ok() -> HeaderMap {
    HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))])
}

/// The trailers of an error. Its source stays here.
pub(super) fn write(error: &Error) -> HeaderMap {
    let sentence = shortened(error.message(), SENTENCE_BYTES_MAX);
    let mut headers = HeaderMap::from_iter([(STATUS, HeaderValue::from(error.code() as i32))]);
    let ascii = "percent-encoding and base64 leave visible ASCII only";
    headers.insert(MESSAGE, HeaderValue::from_str(&percent_encode(sentence)).expect(ascii));
    let details = STANDARD_NO_PAD.encode(details(error, sentence));
    headers.insert(DETAILS, HeaderValue::from_str(&details).expect(ascii));
    headers
}

fn details(error: &Error, sentence: &str) -> Vec<u8> {
    let mut metadata = error.metadata().clone();
    let info = |metadata| {
        any(ERROR_INFO, &Cause { reason: error.reason().to_owned(), domain: DOMAIN.to_owned(), metadata })
    };
    while info(metadata.clone()).encoded_len() > DETAIL_BYTES_MAX / 2 && metadata.pop_last().is_some() {}
    let mut status =
        Status { code: error.code() as i32, message: sentence.to_owned(), details: vec![info(metadata)] };
    if let Some(after) = error.retry_after() {
        let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(after.subsec_nanos()).expect("below a second");
        status
            .details
            .push(any(RETRY_INFO, &Retry { retry_delay: Some(prost_types::Duration { seconds, nanos }) }));
    }
    if !error.fields().is_empty() {
        let left = DETAIL_BYTES_MAX.saturating_sub(status.encoded_len());
        status.details.push(any(BAD_REQUEST, &violations(error.fields(), left)));
    }
    status.encode_to_vec()
}

/// As many faulty fields as fit in `bytes_max`.
fn violations(fields: &[FieldViolation], bytes_max: usize) -> BadRequest {
    const OVERHEAD: usize = 16;
    let mut left = bytes_max.saturating_sub(BAD_REQUEST.len() + OVERHEAD);
    let fitting = fields.iter().take_while(|fault| {
        let size = fault.field.len() + fault.description.len() + OVERHEAD;
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    let copy = |fault: &FieldViolation| Violation {
        field: fault.field.clone(),
        description: fault.description.clone(),
    };
    BadRequest { field_violations: fitting.map(copy).collect() }
}

fn any(type_url: &str, detail: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: type_url.to_owned(), value: detail.encode_to_vec() }
}

/// What the headers or trailers say: success, or the error that was sent. Headers without a status say that
/// whoever answered does not speak gRPC, or broke off.
pub(super) fn read(headers: &HeaderMap) -> Result<()> {
    let missing =
        || Error::unavailable("the answer has no status: the connection broke or the peer is no gRPC server");
    let number = headers.get(STATUS).ok_or_else(missing)?.to_str().unwrap_or_default();
    if number == "0" {
        return Ok(());
    }
    let code = Code::from_number(number.parse().unwrap_or(Code::Unknown as i32));
    let details = headers.get(DETAILS).and_then(decode_details);
    let sentence =
        headers.get(MESSAGE).and_then(|text| text.to_str().ok()).map(percent_decode).unwrap_or_default();
    Err(match details {
        Some(status) => with_details(code, sentence, status),
        None => Error::new(code, code.name(), sentence),
    })
}

/// Whether these headers carry the status themselves, because there is no body.
pub(super) fn is_final(headers: &HeaderMap) -> bool {
    headers.contains_key(STATUS)
}

/// What an HTTP status says when whoever answered did not speak gRPC (a proxy, usually).
pub(super) fn of_http(status: http::StatusCode) -> Error {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Error::new(code, code.name(), format!("the peer answered with HTTP status {}", status.as_u16()))
}

fn decode_details(header: &HeaderValue) -> Option<Status> {
    let text = header.as_bytes();
    let bytes = STANDARD_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
    Status::decode(bytes.as_slice()).ok()
}

fn with_details(code: Code, sentence: String, status: Status) -> Error {
    let detail =
        |url: &str| status.details.iter().find(|any| any.type_url == url).map(|any| any.value.as_slice());
    let info = detail(ERROR_INFO).and_then(|bytes| Cause::decode(bytes).ok()).unwrap_or_default();
    let reason = if info.reason.is_empty() { code.name().to_owned() } else { info.reason };
    let mut error = Error::new(code, reason, sentence);
    for (name, fact) in &info.metadata {
        error = error.with(name, fact);
    }
    if let Some(bad) = detail(BAD_REQUEST).and_then(|bytes| BadRequest::decode(bytes).ok()) {
        let fields = bad.field_violations.into_iter();
        let copy = |fault: Violation| FieldViolation { field: fault.field, description: fault.description };
        error = error.with_fields(fields.map(copy).collect());
    }
    let retry =
        detail(RETRY_INFO).and_then(|bytes| Retry::decode(bytes).ok()).and_then(|info| info.retry_delay);
    match retry.and_then(|delay| Duration::try_from(delay).ok()) {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

fn shortened(text: &str, bytes_max: usize) -> &str {
    let end = (0..=text.len().min(bytes_max)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Percent-encodes all but visible ASCII and spaces, as gRPC wants it.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            b' '..=b'~' => encoded.push(char::from(byte)),
        }
    }
    encoded
}

/// Undoes [`percent_encode`]; what is not an escape stays as it is, what is not UTF-8 is replaced.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let hex = escape
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(error: &Error) -> Error {
        read(&write(error)).expect_err("an error was sent")
    }

    #[test]
    fn an_error_arrives_as_it_was_sent() {
        let sent = Error::new(Code::FailedPrecondition, "INSUFFICIENT_STOCK", "50% sold: „ça“\n%41")
            .with("sku", "85123A")
            .with("available", 3)
            .with_fields(vec![FieldViolation {
                field: "lines[2].quantity".into(),
                description: "must be less".into(),
            }])
            .with_retry_after(Duration::from_millis(1_500))
            .with_source("a story that stays inside");
        let arrived = arrived(&sent);
        assert_eq!(
            (arrived.code(), arrived.reason(), arrived.message()),
            (sent.code(), sent.reason(), sent.message())
        );
        assert_eq!((arrived.metadata(), arrived.fields()), (sent.metadata(), sent.fields()));
        assert_eq!(arrived.retry_after(), sent.retry_after());
        assert!(!arrived.story().contains("inside"));
        assert_eq!(read(&ok()).ok(), Some(()));
    }

    #[test]
    fn a_huge_error_still_fits_in_the_trailers() {
        let field = |n: usize| FieldViolation { field: format!("lines[{n}]"), description: "ä".repeat(500) };
        let mut sent = Error::new(Code::InvalidArgument, "INVALID_ARGUMENT", "é".repeat(5_000))
            .with_fields((0..2_000).map(field).collect());
        for n in 0..1_000 {
            sent = sent.with(&format!("fact{n:04}"), "value");
        }
        let headers = write(&sent);
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        assert!(size < 15 * 1024, "{size}");
        let arrived = arrived(&sent);
        assert_eq!((arrived.code(), arrived.reason()), (Code::InvalidArgument, "INVALID_ARGUMENT"));
        assert_eq!(arrived.fields(), &sent.fields()[..arrived.fields().len()]);
        assert!(!arrived.fields().is_empty() && arrived.metadata().contains_key("fact0000"));
    }

    #[test]
    fn foreign_answers_are_read_as_well_as_they_can_be() {
        let headers = |status: &'static str, message: &'static str| {
            HeaderMap::from_iter([
                (STATUS, HeaderValue::from_static(status)),
                (MESSAGE, HeaderValue::from_static(message)),
            ])
        };
        let plain = read(&headers("5", "no%20such%2")).expect_err("an error");
        assert_eq!(
            (plain.code(), plain.reason(), plain.message()),
            (Code::NotFound, "NOT_FOUND", "no such%2")
        );
        assert_eq!(read(&headers("99", "")).expect_err("an error").code(), Code::Unknown);
        assert_eq!(read(&headers("x", "%ff")).expect_err("an error").code(), Code::Unknown);
        assert_eq!(read(&HeaderMap::new()).expect_err("an error").code(), Code::Unavailable);
        assert_eq!(of_http(http::StatusCode::BAD_GATEWAY).code(), Code::Unavailable);
    }
}
