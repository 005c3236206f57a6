//! From an HTTP request's parts to the bytes of a request message, and from the reply's bytes to lines.
use crate::headers;
use crate::percent;
use crate::plan::{BodyPart, Endpoint, Raw};
use crate::problem::Problem;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use souk_kernel::Invalid;
use souk_transcode::{
    Fault, FieldPath, Limits, Schema, What, WireFault, embed, field_to_json, json_to_field,
    json_to_proto_except, proto_to_json, put_entry, put_raw,
};

/// The most variables of a query: 500 values of one list, which contracts allow, and a few others.
const QUERY_VARIABLES_MAX: usize = 512;
/// The longest query: 20 bytes for each of 500 values. Token and other headers need their part of a head, and longer
/// addresses are refused by many a server on the way.
const QUERY_BYTES_MAX: usize = 10_000;

impl Endpoint {
    /// The request message, from what path, query and body say.
    pub(crate) fn encode(
        &self,
        schema: &Schema,
        values: &[String],
        query: Option<&str>,
        body: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        let mut message = Vec::with_capacity(body.len() + 64);
        let limits = Limits::default();
        let read = match &self.body {
            BodyPart::None if !body.is_empty() => {
                return Err(Problem::bad_request("BODY_NOT_ALLOWED", "this call takes no body"));
            }
            BodyPart::None => Ok(()),
            BodyPart::Raw(raw) => {
                put_raw(schema, &raw.bytes, body, &mut message);
                Ok(())
            }
            // No body at all says as much as an empty object.
            BodyPart::Whole | BodyPart::Field(_) if body.is_empty() => Ok(()),
            BodyPart::Whole => {
                json_to_proto_except(schema, self.input, &self.variables, body, &mut message, &limits)
            }
            BodyPart::Field(path) => json_to_field(schema, path, body, &mut message, &limits),
        };
        read.map_err(|fault| problem_of(&fault))?;
        for (path, value) in self.variables.iter().zip(values) {
            embed(schema, path, value, &mut message).map_err(|fault| problem_of(&fault))?;
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            self.embed_query(schema, query, &mut message)?;
        }
        Ok(message)
    }

    /// Appends the query's variables; all faulty ones are reported at once.
    fn embed_query(&self, schema: &Schema, query: &str, message: &mut Vec<u8>) -> Result<(), Problem> {
        if query.len() > QUERY_BYTES_MAX || query.split('&').count() > QUERY_VARIABLES_MAX {
            return Err(Problem::new(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "the query is too long"));
        }
        let mut invalid = Invalid::new();
        let mut seen: Vec<FieldPath> = self.variables.clone();
        match &self.body {
            BodyPart::Field(path) => seen.push(path.clone()),
            BodyPart::Raw(raw) => {
                seen.push(raw.bytes.clone());
                seen.extend(raw.headers.clone());
            }
            BodyPart::None | BodyPart::Whole => {}
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (percent::decode_query(name), percent::decode_query(value))
            else {
                invalid.add(name.chars().take(64).collect::<String>(), "is not well percent-encoded");
                continue;
            };
            if let Err(fault) = self.embed_variable(schema, &name, &value, &mut seen, message) {
                invalid.add(fault.path, fault.sentence);
            }
        }
        match invalid.fields() {
            [] => Ok(()),
            fields => Err(Problem::fields(fields.to_vec())),
        }
    }

    fn embed_variable(
        &self,
        schema: &Schema,
        name: &str,
        value: &str,
        seen: &mut Vec<FieldPath>,
        message: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let path = schema.path(self.input, name)?;
        let said = |sentence: &str| Fault {
            path: path.name().to_owned(),
            what: What::Bound,
            sentence: sentence.to_owned(),
        };
        if self.body == BodyPart::Whole {
            return Err(said("belongs into the body"));
        }
        if seen.iter().any(|other| other.conflicts_with(&path, schema)) {
            return Err(said("is said twice"));
        }
        embed(schema, &path, value, message)?;
        // Of the values of a list one is enough to compare with: each of them is compared with all seen.
        if !seen.contains(&path) {
            seen.push(path);
        }
        Ok(())
    }

    /// How the body is passed on as it comes, if it is.
    pub(crate) fn raw(&self) -> Option<&Raw> {
        match &self.body {
            BodyPart::Raw(raw) => Some(raw),
            BodyPart::None | BodyPart::Whole | BodyPart::Field(_) => None,
        }
    }

    /// The JSON form of a response or of one item of a stream.
    pub(crate) fn decode(&self, schema: &Schema, reply: &Bytes, out: &mut Vec<u8>) -> Result<(), WireFault> {
        match &self.answer {
            None => proto_to_json(schema, self.output, reply, out),
            Some(path) => field_to_json(schema, path, reply, out),
        }
    }
}

impl Raw {
    /// Appends the request's headers that are passed on.
    pub(crate) fn embed_headers(
        &self,
        schema: &Schema,
        headers: &HeaderMap,
        message: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let Some(path) = &self.headers else { return Ok(()) };
        for name in &self.names {
            if let Some(text) = headers::passed_on(headers, name)? {
                put_entry(schema, path, name.as_str(), text, message);
            }
        }
        Ok(())
    }
}

fn problem_of(fault: &Fault) -> Problem {
    match fault.what {
        What::Syntax { offset } => Problem::bad_request(
            "MALFORMED_JSON",
            format!("the body {} (after {offset} bytes)", fault.sentence),
        ),
        What::Invalid | What::UnknownField | What::WrongType | What::OutOfRange | What::UnknownEnum => {
            named(fault)
        }
        What::Duplicate | What::Bound | What::TooDeep | What::TooMany => named(fault),
    }
}

fn named(fault: &Fault) -> Problem {
    let path = if fault.path.is_empty() { "body" } else { fault.path.as_str() };
    Problem::field(path, fault.sentence.as_str())
}
