//! Why calls are refused: the reasons of the contracts with their statuses, for every kind of documentation.
use souk_transcode::{EnumValue, Schema, SchemaError, Service};
use std::fmt::Write as _;

/// The status of a refusal by a rule of the service, where the contract names no other.
const CONFLICT: u16 = 409;

/// What is refused before a service is asked, or without a word of the service's own.
pub(crate) const GENERAL: &[(&str, u16, &str)] = &[
    ("INVALID_ARGUMENT", 400, "fields says which fields are wrong, and how."),
    ("MALFORMED_JSON", 400, "The body is not JSON."),
    ("MALFORMED_REQUEST", 400, "The request is not well-formed HTTP, or its body cannot be read."),
    ("BODY_NOT_ALLOWED", 400, "The call takes no body."),
    ("INVALID_IDEMPOTENCY_KEY", 400, "The header Idempotency-Key is not of the form that detail names."),
    ("UNAUTHENTICATED", 401, "The token is missing, not valid, or has expired."),
    ("PERMISSION_DENIED", 403, "The token is not of somebody who may do this."),
    ("NOT_FOUND", 404, "There is no such thing, or it is somebody else's."),
    ("METHOD_NOT_ALLOWED", 405, "The header Allow says what the address takes."),
    ("NOT_ACCEPTABLE", 406, "The header Accept takes nothing that the call can answer."),
    ("REQUEST_TIMEOUT", 408, "The body took too long to arrive."),
    ("ALREADY_EXISTS", 409, "There is such a thing already, with other content."),
    ("VERSION_MISMATCH", 409, "It has changed since the version that the request names."),
    ("RETIRED", 409, "It was given up for ever."),
    ("GONE", 410, "The call was retired; the header Link names its successor."),
    ("PAYLOAD_TOO_LARGE", 413, "The body is too large."),
    ("URI_TOO_LONG", 414, "The query is too long."),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "A body has to be application/json."),
    ("INTERNAL", 500, "Something broke; tell the X-Request-Id."),
    ("UNAVAILABLE", 503, "Try again after the header Retry-After."),
    ("DEADLINE_EXCEEDED", 504, "Whether it was done is not known; repeat it with the same Idempotency-Key."),
];

/// One reason why a service refuses.
pub(crate) struct Refusal {
    pub(crate) name: String,
    pub(crate) status: u16,
    pub(crate) comment: String,
}

/// Why the service refuses. A status that any contract gives to a reason holds wherever the reason is said.
pub(crate) fn reasons(schema: &Schema, service: &Service) -> Vec<Refusal> {
    let status =
        |name: &str| schema.reasons().filter(|r| r.name == name).find_map(|reason| reason.http_status);
    let said = schema.reasons_of(service).iter().filter(|reason| reason.number != 0);
    let refusal = |reason: &EnumValue| Refusal {
        name: reason.name.clone(),
        status: status(&reason.name).unwrap_or(CONFLICT),
        comment: reason.comment.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    said.map(refusal).collect()
}

/// All reasons of the API in `descriptors`, as a Markdown page.
pub fn reasons_page(descriptors: &[u8]) -> Result<String, SchemaError> {
    let schema = Schema::from_bytes(descriptors)?;
    let mut page = String::from(
        "# Reasons\n\nEvery refusal carries a stable `reason`, made for programs: in problem documents (RFC 9457) as \
         the member `reason`, over gRPC in `google.rpc.ErrorInfo`. None is removed within a major version. This page is \
         made of the contracts (`UPDATE_GOLDEN=1 cargo test -p souk-tests --test documents`).\n",
    );
    write_table("Any call", GENERAL.iter().copied(), &mut page);
    for service in schema.services() {
        let reasons = reasons(&schema, service);
        let rows = reasons.iter().map(|r| (r.name.as_str(), r.status, r.comment.as_str()));
        write_table(service.short_name(), rows, &mut page);
    }
    Ok(page)
}

fn write_table<'a>(title: &str, rows: impl Iterator<Item = (&'a str, u16, &'a str)>, page: &mut String) {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let put = |page: &mut String, text: std::fmt::Arguments<'_>| {
        page.write_fmt(text).expect("writing to memory cannot fail");
    };
    put(page, format_args!("\n## {title}\n\n| Reason | Status | Meaning |\n|---|---|---|\n"));
    for (name, status, comment) in rows {
        put(page, format_args!("| `{name}` | {status} | {} |\n", comment.replace('|', "\\|")));
    }
}
