//! Errors as RFC 9457 problem documents, and the status that each is answered with.
use crate::body::AnswerBody;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use souk_kernel::{Code, Error, FieldViolation};
use souk_transcode::{Schema, put_json_text};
use std::collections::{BTreeMap, HashMap};

/// What a refused caller waits before trying again, when the service says nothing.
const RETRY_AFTER_S: u64 = 1;

/// The outside sentence for what broke inside.
const BROKEN: &str = "something went wrong on our side";

/// The statuses that reasons ask for in the contract.
#[derive(Debug, Default)]
pub(crate) struct Statuses(HashMap<String, StatusCode>);

impl Statuses {
    pub(crate) fn new(schema: &Schema) -> Self {
        let with_status = schema.reasons().filter_map(|reason| {
            let status = StatusCode::from_u16(reason.http_status?).ok()?;
            Some((reason.name.clone(), status))
        });
        Self(with_status.collect())
    }

    fn of(&self, error: &Error) -> StatusCode {
        self.0.get(error.reason()).copied().unwrap_or_else(|| of_code(error.code()))
    }
}

/// The usual status of a code.
fn of_code(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Problem(Box<Document>);

#[derive(Debug)]
struct Document {
    status: StatusCode,
    reason: String,
    detail: String,
    fields: Vec<FieldViolation>,
    metadata: BTreeMap<String, String>,
    retry_after_s: Option<u64>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
    closes: bool,
}

impl Problem {
    /// A refusal by the gateway itself.
    pub(crate) fn new(status: StatusCode, reason: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Document {
            status,
            reason: reason.to_owned(),
            detail: detail.into(),
            fields: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after_s: None,
            headers: Vec::new(),
            closes: false,
        }))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn reason(&self) -> &str {
        &self.0.reason
    }

    pub(crate) fn bad_request(reason: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, detail)
    }

    /// Faulty fields; the first one is the sentence.
    pub(crate) fn fields(fields: Vec<FieldViolation>) -> Self {
        let detail = fields.first().map(|f| format!("{} {}", f.field, f.description)).unwrap_or_default();
        let mut problem = Self::bad_request("INVALID_ARGUMENT", detail);
        problem.0.fields = fields;
        problem
    }

    pub(crate) fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::fields(vec![FieldViolation { field: field.into(), description: description.into() }])
    }

    /// What a service answered. What broke inside stays inside: code, message and facts of such an error may
    /// come from any library.
    pub(crate) fn from_error(error: &Error, statuses: &Statuses) -> Self {
        let status = statuses.of(error);
        if of_code(error.code()) == StatusCode::INTERNAL_SERVER_ERROR {
            return Self::internal();
        }
        let fallback = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S);
        let told = error.retry_after().map(|after| after.as_secs().max(1));
        let mut problem = Self::new(status, error.reason(), error.message());
        problem.0.fields = error.fields().to_vec();
        problem.0.metadata = error.metadata().clone();
        problem.0.retry_after_s = told.or(fallback);
        problem
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", BROKEN)
    }

    /// The same with a header.
    pub(crate) fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        self.0.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// The same, and the connection ends: what follows on it cannot be trusted or is not worth reading.
    pub(crate) fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    pub(crate) fn closes(&self) -> bool {
        self.0.closes
    }

    /// The document.
    pub(crate) fn to_json(&self, request_id: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let slug = self.0.reason.to_ascii_lowercase().replace('_', "-");
        let texts = [
            ("type", format!("urn:souk:problem:{slug}")),
            ("title", title(&self.0.reason)),
            ("detail", self.0.detail.clone()),
            ("instance", request_id.to_owned()),
            ("reason", self.0.reason.clone()),
        ];
        out.extend_from_slice(format!("{{\"status\":{}", self.0.status.as_u16()).as_bytes());
        for (name, text) in &texts {
            out.push(b',');
            put_member(&mut out, name, text);
        }
        if !self.0.fields.is_empty() {
            out.extend_from_slice(b",\"fields\":[");
            for (index, violation) in self.0.fields.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
                put_member(&mut out, "field", &violation.field);
                out.push(b',');
                put_member(&mut out, "description", &violation.description);
                out.push(b'}');
            }
            out.push(b']');
        }
        if !self.0.metadata.is_empty() {
            out.extend_from_slice(b",\"metadata\":{");
            for (index, (key, value)) in self.0.metadata.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"" } else { b"," });
                put_member(&mut out, key, value);
            }
            out.push(b'}');
        }
        out.push(b'}');
        out
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::full(Bytes::from(self.to_json(request_id))));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.0.status == StatusCode::UNAUTHORIZED && self.0.headers.is_empty() {
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.extend(self.0.headers);
        response
    }
}

fn put_member(out: &mut Vec<u8>, name: &str, text: &str) {
    put_json_text(out, name);
    out.push(b':');
    put_json_text(out, text);
}

/// `INSUFFICIENT_STOCK` as `Insufficient stock`.
fn title(reason: &str) -> String {
    let words = reason.to_ascii_lowercase().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_tells_what_programs_and_people_need() {
        let error = Error::new(Code::FailedPrecondition, "INSUFFICIENT_STOCK", "only 2 are left")
            .with("sku", "85\"123A");
        let problem = Problem::from_error(&error, &Statuses::default());
        let json = String::from_utf8(problem.to_json("req_1")).expect("UTF-8");
        assert_eq!(
            json,
            "{\"status\":409,\"type\":\"urn:souk:problem:insufficient-stock\",\"title\":\"Insufficient stock\",\
             \"detail\":\"only 2 are left\",\"instance\":\"req_1\",\"reason\":\"INSUFFICIENT_STOCK\",\
             \"metadata\":{\"sku\":\"85\\\"123A\"}}"
        );
    }

    #[test]
    fn what_broke_inside_stays_inside() {
        for code in [Code::Internal, Code::Unknown, Code::DataLoss, Code::Cancelled] {
            let error = Error::new(code, "SQL_ERROR", "no such table: carts").with("file", "/var/lib/x");
            let json = Problem::from_error(&error, &Statuses::default()).to_json("r");
            let json = String::from_utf8(json).expect("UTF-8");
            assert!(
                json.contains(BROKEN)
                    && !json.contains("carts")
                    && !json.contains("SQL")
                    && !json.contains("/var"),
                "{json}"
            );
        }
    }

    #[test]
    fn every_code_has_its_status() {
        let statuses: Vec<u16> = (1..=16).map(|n| of_code(Code::from_number(n)).as_u16()).collect();
        assert_eq!(
            statuses,
            [500, 500, 400, 504, 404, 409, 403, 429, 409, 409, 400, 501, 500, 503, 500, 401]
        );
    }
}
