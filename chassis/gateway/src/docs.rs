//! The API's description as one page without scripts and without anything from elsewhere.
use crate::plan::OPENAPI_PATH;
use serde_json::{Map, Value, json};
use souk_transcode::{
    Auth, Body, Cardinality, EnumValue, Field, HttpRule, Idempotency, Kind, Message, MessageId, Method,
    Schema, Service, Shape,
};
use std::collections::BTreeSet;
use std::fmt::Write;

/// How deep the example bodies go.
const EXAMPLE_DEPTH_MAX: usize = 3;

/// The status of a refusal by a rule of the service, where the contract names no other.
const CONFLICT: u16 = 409;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h3{margin:1.8rem 0 .3rem;font:600 1rem ui-monospace,monospace}\
.verb{display:inline-block;min-width:4.5rem;color:#06c}.who{color:#666;font-size:.9rem}pre{background:#f5f5f5;padding:.7rem;overflow:auto}\
table{border-collapse:collapse;font-size:.9rem}td{padding:.15rem .8rem .15rem 0;vertical-align:top}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}pre{background:#242424}.verb{color:#6af}.who{color:#999}}";

/// The page.
pub(crate) fn page(schema: &Schema, title: &str, version: &str) -> String {
    let (title, version) = (escape(title), escape(version));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <h1>{title} <small>{version}</small></h1>\
         <p>For machines: <a href=\"{OPENAPI_PATH}\">OpenAPI 3.1</a>. Errors are problem documents (RFC 9457) with a \
         stable <code>reason</code>. This page is static: it calls nothing; copy the commands into a shell. Words \
         in CAPITALS, such as ORDER_ID, are to be replaced.</p>"
    );
    write_start(schema, &mut html);
    html.push_str("<ul>");
    let services = services(schema);
    for service in &services {
        put(&mut html, format_args!("<li><a href=\"#{0}\">{0}</a></li>", escape(service.short_name())));
    }
    html.push_str("</ul>");
    for service in services {
        write_service(schema, service, &mut html);
    }
    html.push_str("</body></html>\n");
    html
}

/// The services that have addresses: the one that hands out tokens first, since the others need it, then by name.
pub(crate) fn services(schema: &Schema) -> Vec<&Service> {
    let has_address = |service: &&Service| schema.methods_of(service).iter().any(|m| !m.http.is_empty());
    let mut services: Vec<&Service> = schema.services().iter().filter(has_address).collect();
    let gives_token = |service: &Service| schema.methods_of(service).iter().any(|m| gives_token(schema, m));
    services.sort_by_key(|service| (!gives_token(service), service.short_name()));
    services
}

/// Whether everybody may call it for a token.
fn gives_token(schema: &Schema, method: &Method) -> bool {
    let is_public = method.policy.as_ref().is_some_and(|policy| policy.auth == Auth::Public);
    is_public && !method.http.is_empty() && schema.get(method.output).field("token").is_some()
}

/// How to call anything at all.
fn write_start(schema: &Schema, html: &mut String) {
    let mut shell = String::from("SOUK=http://127.0.0.1:8080   # this API's address\n");
    let opening = schema.methods().iter().find(|method| gives_token(schema, method));
    if let Some((method, rule)) = opening.and_then(|method| Some((method, method.http.first()?))) {
        let command = curl(schema, method, rule).replacen("curl", "curl -s", 1);
        shell.push_str(&format!(
            "TOKEN=$({command} \\\n  | sed -E 's/.*\"token\": *\"([^\"]+)\".*/\\1/')   # yours, as a guest\n"
        ));
    }
    let roles: BTreeSet<&str> = schema.methods().iter().filter_map(staff_role).collect();
    for role in roles {
        let variable = role.to_ascii_uppercase();
        shell.push_str(&format!("{variable}=$(souk token --role {role})   # needs the shop's folder\n"));
    }
    put(html, format_args!("<h2>To begin with</h2><pre>{}</pre>", escape(&shell)));
    html.push_str("<details><summary>Reasons that any call may give, with their status</summary><table>");
    for (name, status, comment) in GENERAL_REASONS {
        write_reason(name, *status, comment, html);
    }
    html.push_str("</table></details>");
}

/// What is refused before a service is asked, or without a word of the service's own.
const GENERAL_REASONS: &[(&str, u16, &str)] = &[
    ("INVALID_ARGUMENT", 400, "fields says which fields are wrong, and how."),
    ("MALFORMED_JSON", 400, "The body is not JSON."),
    ("UNAUTHENTICATED", 401, "The token is missing, not valid, or has expired."),
    ("PERMISSION_DENIED", 403, "The token is not of somebody who may do this."),
    ("NOT_FOUND", 404, "There is no such thing, or it is somebody else's."),
    ("METHOD_NOT_ALLOWED", 405, "The header Allow says what the address takes."),
    ("PAYLOAD_TOO_LARGE", 413, "The body is too large."),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "A body has to be application/json."),
    ("INTERNAL", 500, "Something broke; tell the X-Request-Id."),
    ("UNAVAILABLE", 503, "Try again after the header Retry-After."),
    ("DEADLINE_EXCEEDED", 504, "Whether it was done is not known; repeat it with the same Idempotency-Key."),
];

/// The role of staff that a sample calls with.
fn staff_role(method: &Method) -> Option<&str> {
    let policy =
        method.policy.as_ref().filter(|policy| policy.auth == Auth::Staff && !method.http.is_empty());
    policy?.roles.first().map(String::as_str)
}

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

fn write_reasons(schema: &Schema, service: &Service, html: &mut String) {
    let reasons = reasons(schema, service);
    if reasons.is_empty() {
        return;
    }
    html.push_str("<details><summary>Reasons, with their status</summary><table>");
    for Refusal { name, status, comment } in reasons {
        write_reason(&name, status, &comment, html);
    }
    html.push_str("</table></details>");
}

fn write_reason(name: &str, status: u16, comment: &str, html: &mut String) {
    let (name, comment) = (escape(name), escape(comment));
    put(html, format_args!("<tr><td><code>{name}</code></td><td>{status}</td><td>{comment}</td></tr>"));
}

fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to memory cannot fail");
}

fn write_service(schema: &Schema, service: &Service, html: &mut String) {
    let name = escape(service.short_name());
    put(html, format_args!("<h2 id=\"{name}\">{name}</h2><p>{}</p>", escape(&service.comment)));
    write_reasons(schema, service, html);
    for method in schema.methods_of(service) {
        if let Some(rule) = method.http.first() {
            write_method(schema, method, rule, html);
        }
    }
}

fn write_method(schema: &Schema, method: &Method, primary: &HttpRule, html: &mut String) {
    for rule in &method.http {
        let (verb, template) = (escape(&rule.verb), escape(&rule.template));
        put(html, format_args!("<h3><span class=\"verb\">{verb}</span> {template}</h3>"));
    }
    put(html, format_args!("<p>{}</p><p class=\"who\">{}</p>", escape(&method.comment), who(method)));
    put(html, format_args!("<pre>{}</pre>", escape(&curl(schema, method, primary))));
    write_fields(schema, "Request", method.input, html);
    write_fields(schema, "Answer", method.output, html);
}

/// The fields of a message, and of the messages in it.
fn write_fields(schema: &Schema, label: &str, message: MessageId, html: &mut String) {
    let mut rows = String::new();
    let mut open = Vec::new();
    write_rows(schema, message, "", &mut open, &mut rows);
    if !rows.is_empty() {
        put(html, format_args!("<details><summary>{label}</summary><table>{rows}</table></details>"));
    }
}

fn write_rows(schema: &Schema, id: MessageId, prefix: &str, open: &mut Vec<MessageId>, rows: &mut String) {
    if open.len() >= EXAMPLE_DEPTH_MAX || open.contains(&id) {
        return;
    }
    open.push(id);
    for field in &schema.get(id).fields {
        let name = format!("{prefix}{}", field.json_name);
        let required = if field.required { " <b>required</b>" } else { "" };
        put(
            rows,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}{required}</td><td>{}</td></tr>",
                escape(&name),
                escape(&kind_name(schema, field)),
                escape(&field_comment(schema, field))
            ),
        );
        let inner = field.kind.message().filter(|id| schema.get(*id).shape == Shape::Plain);
        if let Some(inner) = inner.filter(|_| field.cardinality != Cardinality::Map) {
            let list = if field.is_many() { "[]" } else { "" };
            write_rows(schema, inner, &format!("{name}{list}."), open, rows);
        }
    }
    open.pop();
}

/// What is said of the field, or else of its type, and of the type's values.
fn field_comment(schema: &Schema, field: &Field) -> String {
    let message = field.kind.message().map(|id| schema.get(id));
    let of_type = message.map(|message| message.comment.as_str()).unwrap_or_default();
    let mut comment = if field.comment.is_empty() { of_type.to_owned() } else { field.comment.clone() };
    if let Some(id) = field.kind.enumeration() {
        for value in schema.get_enum(id).values.iter().filter(|value| !value.comment.is_empty()) {
            comment.push_str(&format!(" {}: {}", value.name, value.comment));
        }
    }
    comment.trim().to_owned()
}

fn who(method: &Method) -> String {
    let policy = method.policy.clone().unwrap_or_default();
    let mut who = match policy.auth {
        Auth::Unspecified | Auth::Public => "Everybody may call it.".to_owned(),
        Auth::Token => "Needs a token.".to_owned(),
        Auth::Staff => format!("Needs a token of staff: {}.", escape(&policy.roles.join(", "))),
        Auth::Service => "For services only.".to_owned(),
    };
    match policy.idempotency {
        Idempotency::Required => who.push_str(" Needs an Idempotency-Key."),
        Idempotency::Optional => who.push_str(" Takes an Idempotency-Key."),
        Idempotency::None | Idempotency::Unspecified => {}
    }
    if method.server_streaming {
        who.push_str(" Answers lines of JSON as they come.");
    }
    if policy.success_status == 202 {
        who.push_str(" Takes Prefer: wait=N, to be answered when it is settled or after N seconds.");
    }
    let status = if policy.success_status == 0 { 200 } else { policy.success_status };
    put(&mut who, format_args!(" Answers {status}."));
    who
}

/// The call as a command line.
fn curl(schema: &Schema, method: &Method, rule: &HttpRule) -> String {
    let policy = method.policy.clone().unwrap_or_default();
    let verb = if rule.verb == "GET" { String::new() } else { format!(" -X {}", rule.verb) };
    let input = schema.get(method.input);
    let except: Vec<&str> = rule.template.split(['{', '}', '=']).collect();
    let path = placeholders(schema, method.input, &rule.template);
    let query = if rule.body == Body::None { query(schema, input, &except) } else { String::new() };
    let mut command = format!("curl{verb} \"$SOUK{path}{query}\"");
    match policy.auth {
        Auth::Public => {}
        Auth::Staff => {
            let role = staff_role(method).unwrap_or("staff").to_ascii_uppercase();
            command.push_str(&format!(" \\\n  -H \"Authorization: Bearer ${role}\""));
        }
        Auth::Unspecified | Auth::Token | Auth::Service => {
            command.push_str(" \\\n  -H \"Authorization: Bearer $TOKEN\"");
        }
    }
    if policy.idempotency == Idempotency::Required {
        command.push_str(" \\\n  -H 'Idempotency-Key: NEW_FOR_EVERY_ATTEMPT'");
    }
    if let Some(raw) = &method.raw_body {
        for name in &raw.headers {
            command.push_str(&format!(" \\\n  -H '{name}: …'"));
        }
        command.push_str(" \\\n  --data-binary @body");
        return command;
    }
    let body = match &rule.body {
        Body::None => None,
        Body::Whole => Some(example(schema, method.input, &except, 0)),
        Body::Field(name) => input.field(name).map(|field| example_field(schema, field, 0)),
    };
    if let Some(body) = body {
        let body = body.to_string().replace('\'', "'\\''");
        command.push_str(&format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"));
    }
    command
}

/// The required variables, and those that have an example.
fn query(schema: &Schema, input: &Message, except: &[&str]) -> String {
    let mut query = String::new();
    let wanted = |field: &&Field| is_shown(field) && !except.contains(&field.name.as_str());
    for field in input.fields.iter().filter(wanted) {
        let value = example_value(schema, field, 0);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let separator = if query.is_empty() { '?' } else { '&' };
        query.push_str(&format!("{separator}{}={}", field.json_name, url_text(&value)));
    }
    query
}

/// Percent-encoded where an address or the shell would take it for something else.
fn url_text(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Whether a sample has the field.
fn is_shown(field: &Field) -> bool {
    field.required || !field.example.is_empty()
}

/// `/orders/{order_id}` as `/orders/ORDER_ID`: something to replace, and no syntax of the shell.
fn placeholders(schema: &Schema, input: MessageId, template: &str) -> String {
    let mut path = String::new();
    for part in template.split_inclusive('}') {
        let (literal, variable) = part.split_once('{').unwrap_or((part, ""));
        let name = variable.trim_end_matches('}').split('=').next().unwrap_or_default();
        path.push_str(literal);
        let known =
            schema.path(input, name).map(|path| path.field(schema).example.clone()).unwrap_or_default();
        path.push_str(&if known.is_empty() { name.to_ascii_uppercase() } else { url_text(&known) });
    }
    path
}

fn example(schema: &Schema, id: MessageId, except: &[&str], depth: usize) -> Value {
    let message = schema.get(id);
    let mut object = Map::new();
    let mut oneofs = Vec::new();
    let wanted = |field: &&Field| is_shown(field) && !except.contains(&field.name.as_str());
    for field in message.fields.iter().filter(wanted) {
        // Only the first member of a oneof may be set.
        if field.oneof.is_some_and(|oneof| oneofs.contains(&oneof)) {
            continue;
        }
        oneofs.extend(field.oneof);
        object.insert(field.json_name.clone(), example_field(schema, field, depth));
    }
    Value::Object(object)
}

fn example_field(schema: &Schema, field: &Field, depth: usize) -> Value {
    let one = example_value(schema, field, depth);
    match field.cardinality {
        Cardinality::Implicit | Cardinality::Explicit => one,
        Cardinality::Repeated { .. } => json!([one]),
        Cardinality::Map => json!({}),
    }
}

/// The example that the contract has for the field, as JSON writes such a value.
pub(crate) fn example_of(field: &Field) -> Value {
    let one = one_example(field);
    if field.is_many() { json!([one]) } else { one }
}

fn one_example(field: &Field) -> Value {
    let example = field.example.as_str();
    match field.kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => {
            example.parse::<i64>().map_or(json!(example), |number| json!(number))
        }
        Kind::Bool => json!(example == "true"),
        Kind::Double | Kind::Float => serde_json::from_str(example).unwrap_or_else(|_| json!(example)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => json!(example),
        Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => json!(example),
    }
}

/// One value of the field: the contract's example, or what its type suggests.
fn example_value(schema: &Schema, field: &Field, depth: usize) -> Value {
    if !field.example.is_empty() {
        return one_example(field);
    }
    match field.kind {
        Kind::Double | Kind::Float => json!(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => json!(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => json!("1"),
        Kind::Bool => json!(true),
        Kind::String => json!(field.name.to_ascii_uppercase()),
        Kind::Bytes => json!("AA=="),
        Kind::Enum(id) => json!(schema.get_enum(id).values.last().map(|value| value.name.clone())),
        Kind::Message(id) => match schema.get(id).shape {
            Shape::Plain if depth >= EXAMPLE_DEPTH_MAX => json!({}),
            Shape::Plain => example(schema, id, &[], depth + 1),
            Shape::Timestamp => json!("2026-01-31T12:00:00Z"),
            Shape::Duration => json!("1.5s"),
            Shape::FieldMask => json!(""),
            Shape::Wrapper => example_value(schema, &schema.get(id).fields[0], depth),
            Shape::Struct | Shape::Any => json!({}),
            Shape::Value => Value::Null,
            Shape::ListValue => json!([]),
        },
    }
}

fn kind_name(schema: &Schema, field: &Field) -> String {
    let names = |id| {
        schema.get_enum(id).values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(" | ")
    };
    let message = field.kind.message().map(|id| schema.get(id).short_name().to_owned());
    let one = message.or_else(|| field.kind.enumeration().map(names));
    let one = one.unwrap_or_else(|| format!("{:?}", field.kind).to_lowercase());
    match field.cardinality {
        Cardinality::Implicit | Cardinality::Explicit => one,
        Cardinality::Repeated { .. } => format!("list of {one}"),
        Cardinality::Map => "map".to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
