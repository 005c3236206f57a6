//! What the descriptors say about each address, resolved and checked at start.
use crate::date::http_date;
use crate::route::{RouteError, Routes, Template};
use http::{HeaderName, HeaderValue, StatusCode, header};
use souk_kernel::Timestamp;
use souk_transcode::{
    Auth, Body, Fault, FieldPath, HttpRule, Idempotency, Lifecycle, MessageId, Method, RawBody, Schema,
    SchemaError, takes_bytes, takes_texts_by_name,
};
use std::fmt;
use std::time::Duration;

/// How long a call may take when its policy does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The gateway's own pages.
pub(crate) const OPENAPI_PATH: &str = "/openapi.json";
pub(crate) const DOCS_PATH: &str = "/docs";

/// Why the gateway does not start. All of these are mistakes in the contract.
#[derive(Debug)]
pub enum StartError {
    /// The descriptor set cannot be read.
    Schema(SchemaError),
    /// Two addresses collide, or one is not well formed.
    Route(RouteError),
    /// The method named first has this mistake.
    Method(String, String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Schema(_) => f.write_str("the API's descriptors cannot be used"),
            StartError::Route(_) => f.write_str("the API's routes cannot be used"),
            StartError::Method(method, mistake) => write!(f, "{method}: {mistake}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Schema(source) => Some(source),
            StartError::Route(source) => Some(source),
            StartError::Method(..) => None,
        }
    }
}

/// One address of one method.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) template: String,
    pub(crate) input: MessageId,
    pub(crate) output: MessageId,
    pub(crate) variables: Vec<FieldPath>,
    pub(crate) body: BodyPart,
    /// The part of the response that is the answer, if not all of it.
    pub(crate) answer: Option<FieldPath>,
    pub(crate) needs_token: bool,
    pub(crate) idempotency: Idempotency,
    pub(crate) timeout: Duration,
    pub(crate) success: StatusCode,
    pub(crate) streaming: bool,
    pub(crate) ending: Ending,
}

/// What the body of a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyPart {
    None,
    Whole,
    Field(FieldPath),
    Raw(Raw),
}

/// A body that is passed on as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    /// Where the bytes go.
    pub(crate) bytes: FieldPath,
    /// The largest body; the gateway's limit when that is smaller.
    pub(crate) bytes_max: usize,
    /// Where the headers go.
    pub(crate) headers: Option<FieldPath>,
    /// Which ones do.
    pub(crate) names: Vec<HeaderName>,
}

/// When a method goes away, as headers.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) sunset: Option<Timestamp>,
}

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Call(usize),
    OpenApi,
    Docs,
}

/// All addresses.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) routes: Routes,
    targets: Vec<Target>,
}

impl Plan {
    pub(crate) fn new(schema: &Schema) -> Result<Self, StartError> {
        let mut plan = Plan { endpoints: Vec::new(), routes: Routes::new(), targets: Vec::new() };
        plan.add("GET", OPENAPI_PATH, Target::OpenApi)?;
        plan.add("GET", DOCS_PATH, Target::Docs)?;
        for method in schema.methods() {
            for rule in &method.http {
                let endpoint = endpoint(schema, method, rule)
                    .map_err(|mistake| StartError::Method(method.full_name.clone(), mistake))?;
                plan.add(&rule.verb, &rule.template, Target::Call(plan.endpoints.len()))?;
                plan.endpoints.push(endpoint);
            }
        }
        Ok(plan)
    }

    fn add(&mut self, verb: &str, template: &str, target: Target) -> Result<(), StartError> {
        self.routes.add(verb, template, self.targets.len()).map_err(StartError::Route)?;
        self.targets.push(target);
        Ok(())
    }

    pub(crate) fn target(&self, number: usize) -> Target {
        self.targets[number]
    }
}

fn endpoint(schema: &Schema, method: &Method, rule: &HttpRule) -> Result<Endpoint, String> {
    let policy = method.policy.as_ref().ok_or("it has an address but no policy")?;
    if policy.auth == Auth::Unspecified {
        return Err("its policy does not say who may call".to_owned());
    }
    if method.client_streaming {
        return Err("streams of requests have no form in HTTP".to_owned());
    }
    let known = ["GET", "PUT", "POST", "DELETE", "PATCH"].contains(&rule.verb.as_str());
    let template = Template::parse(&rule.template).filter(|_| known);
    let template =
        template.ok_or_else(|| format!("the address {} {} is not well formed", rule.verb, rule.template))?;
    let success = match policy.success_status {
        0 => StatusCode::OK,
        status => StatusCode::from_u16(status)
            .ok()
            .filter(StatusCode::is_success)
            .ok_or("success_status is no success")?,
    };
    let resolve = |message, path: &str| schema.path(message, path).map_err(|fault: Fault| fault.to_string());
    let variables =
        template.variables().map(|name| variable(schema, method, name)).collect::<Result<Vec<_>, _>>()?;
    let body = match &rule.body {
        Body::None => BodyPart::None,
        Body::Whole => BodyPart::Whole,
        Body::Field(name) => BodyPart::Field(resolve(method.input, name)?),
    };
    let body = match (&method.raw_body, body) {
        (None, body) => body,
        (Some(raw), BodyPart::Field(path)) => BodyPart::Raw(raw_body(schema, method, raw, path)?),
        (Some(_), BodyPart::None | BodyPart::Whole | BodyPart::Raw(_)) => {
            return Err("raw_body needs an address whose body is a field".to_owned());
        }
    };
    if let BodyPart::Field(path) | BodyPart::Raw(Raw { bytes: path, .. }) = &body
        && variables.iter().any(|variable| variable.conflicts_with(path, schema))
    {
        return Err(format!("{} is bound by the path and by the body", path.name()));
    }
    Ok(Endpoint {
        service: method.service.clone(),
        method: method.name.clone(),
        template: rule.template.clone(),
        input: method.input,
        output: method.output,
        variables,
        body,
        answer: rule.response_body.as_deref().map(|name| resolve(method.output, name)).transpose()?,
        needs_token: policy.auth != Auth::Public,
        idempotency: policy.idempotency,
        timeout: match policy.timeout_ms {
            0 => TIMEOUT_DEFAULT,
            ms => Duration::from_millis(u64::from(ms)),
        },
        success,
        streaming: method.server_streaming,
        ending: method.lifecycle.as_ref().map(ending).transpose()?.unwrap_or_default(),
    })
}

fn raw_body(schema: &Schema, method: &Method, raw: &RawBody, bytes: FieldPath) -> Result<Raw, String> {
    if !takes_bytes(schema, &bytes) {
        return Err(format!("raw_body needs a field of type bytes, and {} is none", bytes.name()));
    }
    let headers = match raw.headers_field.as_str() {
        "" => None,
        name => Some(schema.path(method.input, name).map_err(|fault| fault.to_string())?),
    };
    if headers.as_ref().is_some_and(|path| !takes_texts_by_name(schema, path)) {
        return Err(format!("raw_body: {} is no map<string, string>", raw.headers_field));
    }
    if headers.is_none() != raw.headers.is_empty() {
        return Err("raw_body: headers and headers_field belong together".to_owned());
    }
    let name = |name: &String| {
        let lower = HeaderName::from_lowercase(name.as_bytes());
        lower.map_err(|_| format!("raw_body: {name} is no header in lower case"))
    };
    let names = raw.headers.iter().map(name).collect::<Result<_, _>>()?;
    let bytes_max = match raw.bytes_max {
        0 => usize::MAX,
        bytes_max => usize::try_from(bytes_max).unwrap_or(usize::MAX),
    };
    Ok(Raw { bytes, bytes_max, headers, names })
}

fn variable(schema: &Schema, method: &Method, name: &str) -> Result<FieldPath, String> {
    let path = schema.path(method.input, name).map_err(|fault| fault.to_string())?;
    if path.field(schema).is_many() {
        return Err(format!("the path binds {name}, which is a list"));
    }
    Ok(path)
}

/// `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a link to the successor.
fn ending(lifecycle: &Lifecycle) -> Result<Ending, String> {
    let time = |text: &str| match text {
        "" => Ok(None),
        text => {
            Timestamp::parse(text).map(Some).map_err(|why| format!("its lifecycle has {text}, which {why}"))
        }
    };
    let value = |text: String| {
        HeaderValue::try_from(text).map_err(|_| "its lifecycle does not fit into a header".to_owned())
    };
    let sunset = time(&lifecycle.sunset_at)?;
    let mut headers = Vec::new();
    if let Some(deprecated) = time(&lifecycle.deprecated_at)? {
        headers.push((HeaderName::from_static("deprecation"), value(format!("@{}", deprecated.unix_s()))?));
    }
    if let Some(sunset) = sunset {
        headers.push((HeaderName::from_static("sunset"), value(http_date(sunset))?));
    }
    if !lifecycle.successor.is_empty() {
        headers.push((header::LINK, value(format!("<{}>; rel=\"successor-version\"", lifecycle.successor))?));
    }
    Ok(Ending { headers, sunset })
}
