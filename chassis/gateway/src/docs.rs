//! The API's description as one page without scripts and without anything from elsewhere.
use crate::plan::OPENAPI_PATH;
use serde_json::{Map, Value, json};
use souk_transcode::{
    Auth, Body, Cardinality, Field, HttpRule, Idempotency, Kind, MessageId, Method, Schema, Service, Shape,
};
use std::fmt::Write;

/// How deep the example bodies go.
const EXAMPLE_DEPTH_MAX: usize = 3;

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
         stable <code>reason</code>.</p><ul>"
    );
    let services =
        || schema.services().iter().filter(|s| schema.methods_of(s).iter().any(|m| !m.http.is_empty()));
    for service in services() {
        put(&mut html, format_args!("<li><a href=\"#{0}\">{0}</a></li>", escape(service.short_name())));
    }
    html.push_str("</ul>");
    for service in services() {
        write_service(schema, service, &mut html);
    }
    html.push_str("</body></html>\n");
    html
}

fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to memory cannot fail");
}

fn write_service(schema: &Schema, service: &Service, html: &mut String) {
    let name = escape(service.short_name());
    put(html, format_args!("<h2 id=\"{name}\">{name}</h2><p>{}</p>", escape(&service.comment)));
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
    for (label, message) in [("Request", method.input), ("Answer", method.output)] {
        let fields = &schema.get(message).fields;
        if fields.is_empty() {
            continue;
        }
        put(html, format_args!("<details><summary>{label}</summary><table>"));
        for field in fields {
            let (name, kind) = (escape(&field.json_name), escape(&kind_name(schema, field)));
            put(
                html,
                format_args!(
                    "<tr><td><code>{name}</code></td><td>{kind}</td><td>{}</td></tr>",
                    escape(&field.comment)
                ),
            );
        }
        html.push_str("</table></details>");
    }
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
    who
}

/// The call as a command line.
fn curl(schema: &Schema, method: &Method, rule: &HttpRule) -> String {
    let policy = method.policy.clone().unwrap_or_default();
    let verb = if rule.verb == "GET" { String::new() } else { format!(" -X {}", rule.verb) };
    let mut command = format!("curl{verb} \"$SOUK{}\"", placeholders(&rule.template));
    if policy.auth != Auth::Public {
        command.push_str(" \\\n  -H \"Authorization: Bearer $TOKEN\"");
    }
    if policy.idempotency == Idempotency::Required {
        command.push_str(" \\\n  -H \"Idempotency-Key: $(uuidgen)\"");
    }
    let except: Vec<&str> = rule.template.split(['{', '}', '=']).collect();
    let body = match &rule.body {
        Body::None => None,
        Body::Whole => Some(example(schema, method.input, &except, 0)),
        Body::Field(name) => {
            schema.get(method.input).field(name).map(|field| example_field(schema, field, 0))
        }
    };
    if let Some(body) = body {
        command.push_str(&format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"));
    }
    command
}

/// `/orders/{order_id}` as `/orders/ORDER_ID`: something to replace, and no syntax of the shell.
fn placeholders(template: &str) -> String {
    let mut path = String::new();
    for part in template.split_inclusive('}') {
        let (literal, variable) = part.split_once('{').unwrap_or((part, ""));
        let name = variable.trim_end_matches('}').split('=').next().unwrap_or_default();
        path.push_str(literal);
        path.push_str(&name.to_ascii_uppercase());
    }
    path
}

fn example(schema: &Schema, id: MessageId, except: &[&str], depth: usize) -> Value {
    let message = schema.get(id);
    let mut object = Map::new();
    let mut oneofs = Vec::new();
    for field in message.fields.iter().filter(|field| !except.contains(&field.name.as_str())) {
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
    let one = example_value(schema, field.kind, depth);
    match field.cardinality {
        Cardinality::Implicit | Cardinality::Explicit => one,
        Cardinality::Repeated { .. } => json!([one]),
        Cardinality::Map => json!({}),
    }
}

fn example_value(schema: &Schema, kind: Kind, depth: usize) -> Value {
    match kind {
        Kind::Double | Kind::Float => json!(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => json!(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => json!("1"),
        Kind::Bool => json!(true),
        Kind::String => json!("…"),
        Kind::Bytes => json!("AA=="),
        Kind::Enum(id) => json!(schema.get_enum(id).values.last().map(|value| value.name.clone())),
        Kind::Message(id) => match schema.get(id).shape {
            Shape::Plain if depth >= EXAMPLE_DEPTH_MAX => json!({}),
            Shape::Plain => example(schema, id, &[], depth + 1),
            Shape::Timestamp => json!("2026-01-31T12:00:00Z"),
            Shape::Duration => json!("1.5s"),
            Shape::FieldMask => json!(""),
            Shape::Wrapper => example_value(schema, schema.get(id).fields[0].kind, depth),
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
