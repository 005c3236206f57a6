//! The API's description in OpenAPI 3.1, from nothing but the descriptors.
use crate::route::Template;
use serde_json::{Map, Value, json};
use souk_transcode::{
    Auth, Body, Cardinality, Enum, Field, HttpRule, Idempotency, Kind, Message, MessageId, Method, Policy,
    Schema, Service, Shape,
};
use std::collections::BTreeSet;

/// How deep query variables reach into messages.
const QUERY_DEPTH_MAX: usize = 3;

/// The status of an answer that may come before the work is done.
const ACCEPTED: u16 = 202;

/// The document as JSON.
pub(crate) fn document(schema: &Schema, title: &str, version: &str) -> Vec<u8> {
    let mut writer = Writer { schema, wanted: BTreeSet::new(), enums: BTreeSet::new() };
    let mut paths: Map<String, Value> = Map::new();
    let mut tags = Vec::new();
    for service in crate::docs::services(schema) {
        tags.push(json!({ "name": service.short_name(), "description": about(schema, service) }));
        for method in schema.methods_of(service) {
            for (index, rule) in method.http.iter().enumerate() {
                let Some(template) = Template::parse(&rule.template) else { continue };
                let operation = writer.operation(service.short_name(), method, rule, &template, index);
                let path = paths.entry(template.to_openapi()).or_insert_with(|| json!({}));
                path[rule.verb.to_ascii_lowercase()] = operation;
            }
        }
    }
    let schemas = writer.components();
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version },
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "responses": { "Problem": {
                "description": "What went wrong (RFC 9457)",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
        },
    });
    document.to_string().into_bytes()
}

struct Writer<'s> {
    schema: &'s Schema,
    /// The messages that are referred to.
    wanted: BTreeSet<MessageId>,
    /// The enums that are referred to, by name.
    enums: BTreeSet<String>,
}

impl Writer<'_> {
    fn operation(
        &mut self,
        tag: &str,
        method: &Method,
        rule: &HttpRule,
        template: &Template,
        index: usize,
    ) -> Value {
        let policy = method.policy.clone().unwrap_or_default();
        let suffix = if index == 0 { String::new() } else { format!("_{}", index + 1) };
        let mut operation = json!({
            "operationId": format!("{tag}_{}{suffix}", method.name),
            "tags": [tag],
            "summary": summary(method),
            "description": description(method, &policy),
            "parameters": self.parameters(method, rule, template, &policy),
            "responses": self.responses(method, rule, &policy),
        });
        if policy.auth != Auth::Public {
            operation["security"] = json!([{ "bearer": [] }]);
        }
        if method.deprecated || method.lifecycle.as_ref().is_some_and(|l| !l.deprecated_at.is_empty()) {
            operation["deprecated"] = json!(true);
        }
        if let Some(body) = self.body(method, rule, template) {
            let required = needs_body(self.schema, method, rule, template);
            operation["requestBody"] = match method.raw_body {
                // RFC 2046: an unknown type; nothing is read of it here.
                Some(_) => {
                    json!({ "required": required, "content": { "*/*": { "schema": { "type": "string", "format": "binary" } } } })
                }
                None => {
                    json!({ "required": required, "content": { "application/json": { "schema": body } } })
                }
            };
        }
        operation
    }

    fn parameters(
        &mut self,
        method: &Method,
        rule: &HttpRule,
        template: &Template,
        policy: &Policy,
    ) -> Vec<Value> {
        let mut parameters = Vec::new();
        for name in template.variables() {
            let field = self.schema.path(method.input, name).ok().map(|path| path.field(self.schema).clone());
            let Some(field) = field else { continue };
            let schema = with_example(self.value(field.kind), &field);
            parameters.push(parameter("path", name, true, schema, &field.comment));
        }
        if rule.body != Body::Whole {
            let except: Vec<String> = bound(self.schema, method.input, rule, template);
            self.query(method.input, "", &except, 0, &mut parameters);
        }
        let passed_on = method.raw_body.iter().flat_map(|raw| &raw.headers);
        parameters.extend(passed_on.map(|name| {
            parameter("header", name, false, json!({ "type": "string" }), "Passed on as it comes.")
        }));
        parameters.extend(key_header(policy.idempotency));
        if rule.verb == "POST" && policy.success_status == ACCEPTED {
            parameters.push(prefer_header());
        }
        parameters
    }

    /// Every field that neither path nor body says.
    fn query(
        &mut self,
        id: MessageId,
        prefix: &str,
        except: &[String],
        depth: usize,
        parameters: &mut Vec<Value>,
    ) {
        let message = self.schema.get(id);
        for field in &message.fields {
            let name = format!("{prefix}{}", field.json_name);
            if except.contains(&name) || field.cardinality == Cardinality::Map {
                continue;
            }
            let inner = field.kind.message().filter(|id| self.schema.get(*id).shape == Shape::Plain);
            match inner {
                Some(inner) if !field.is_many() && depth < QUERY_DEPTH_MAX => {
                    self.query(inner, &format!("{name}."), except, depth + 1, parameters);
                }
                Some(_) => {}
                None => {
                    let schema = with_example(self.field(field), field);
                    let required = field.required && depth == 0;
                    parameters.push(parameter("query", &name, required, schema, &field.comment));
                }
            }
        }
    }

    fn body(&mut self, method: &Method, rule: &HttpRule, template: &Template) -> Option<Value> {
        match &rule.body {
            Body::None => None,
            Body::Field(name) => {
                let field = self.schema.get(method.input).field(name)?;
                Some(self.field(field))
            }
            Body::Whole => {
                let except = bound(self.schema, method.input, rule, template);
                Some(match except.is_empty() {
                    true => self.reference(method.input),
                    false => self.object(self.schema.get(method.input), &except),
                })
            }
        }
    }

    fn responses(&mut self, method: &Method, rule: &HttpRule, policy: &Policy) -> Value {
        let status = if policy.success_status == 0 { 200 } else { policy.success_status };
        let schema = match &rule.response_body {
            Some(name) => self.schema.get(method.output).field(name).map(|field| self.field(field)),
            None => Some(self.reference(method.output)),
        };
        let kind = if method.server_streaming { "application/x-ndjson" } else { "application/json" };
        let done = if status == ACCEPTED { "Accepted; the answer says how far it is" } else { "Done" };
        let mut success = json!({ "description": done });
        if status != 204 {
            success["content"] = json!({ kind: { "schema": schema.unwrap_or_else(|| json!({})) } });
        }
        let problem = json!({ "$ref": "#/components/responses/Problem" });
        let mut responses = json!({ status.to_string(): success, "default": problem });
        for status in refusals(method, rule, policy) {
            responses[status.to_string()] = problem.clone();
        }
        responses
    }

    fn reference(&mut self, id: MessageId) -> Value {
        self.wanted.insert(id);
        json!({ "$ref": format!("#/components/schemas/{}", self.schema.get(id).name) })
    }

    /// The referred messages and all that they refer to.
    fn components(&mut self) -> Map<String, Value> {
        let mut schemas = Map::new();
        let mut done = BTreeSet::new();
        while let Some(id) = self.wanted.difference(&done).next().copied() {
            done.insert(id);
            let message = self.schema.get(id);
            let object = self.object(message, &[]);
            schemas.insert(message.name.clone(), object);
        }
        let named = self.schema.enums().iter().filter(|e| self.enums.contains(&e.name));
        schemas.extend(named.map(|e| (e.name.clone(), enumeration(e))));
        schemas.insert("Problem".to_owned(), problem());
        schemas
    }

    fn object(&mut self, message: &Message, except: &[String]) -> Value {
        let mut properties = Map::new();
        for field in message.fields.iter().filter(|field| !except.contains(&field.json_name)) {
            let mut schema = with_example(self.field(field), field);
            if !field.comment.is_empty() {
                schema["description"] = json!(field.comment);
            }
            if field.deprecated {
                schema["deprecated"] = json!(true);
            }
            properties.insert(field.json_name.clone(), schema);
        }
        let mut object = json!({ "type": "object", "properties": properties });
        let required = message.fields.iter().filter(|f| f.required && !except.contains(&f.json_name));
        let required: Vec<&str> = required.map(|field| field.json_name.as_str()).collect();
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        if !message.comment.is_empty() {
            object["description"] = json!(message.comment);
        }
        object
    }

    fn field(&mut self, field: &Field) -> Value {
        match (field.cardinality, field.kind.message()) {
            (Cardinality::Map, Some(entry)) => {
                let value = self.schema.get(entry).fields.get(1).map(|field| field.kind);
                json!({ "type": "object", "additionalProperties": value.map_or(json!({}), |kind| self.value(kind)) })
            }
            (Cardinality::Repeated { .. }, _) => json!({ "type": "array", "items": self.value(field.kind) }),
            (Cardinality::Implicit | Cardinality::Explicit | Cardinality::Map, _) => self.value(field.kind),
        }
    }

    fn value(&mut self, kind: Kind) -> Value {
        match kind {
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]+$" })
            }
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Enum(id) => {
                let name = &self.schema.get_enum(id).name;
                self.enums.insert(name.clone());
                json!({ "$ref": format!("#/components/schemas/{name}") })
            }
            Kind::Message(id) => self.message(id),
        }
    }

    fn message(&mut self, id: MessageId) -> Value {
        let message = self.schema.get(id);
        match message.shape {
            Shape::Plain => self.reference(id),
            Shape::Timestamp => json!({ "type": "string", "format": "date-time" }),
            Shape::Duration => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$" }),
            Shape::FieldMask => json!({ "type": "string" }),
            Shape::Wrapper => self.value(message.fields[0].kind),
            Shape::Struct | Shape::Any => json!({ "type": "object" }),
            Shape::Value => json!({}),
            Shape::ListValue => json!({ "type": "array", "items": {} }),
        }
    }
}

/// The JSON names that path and body field bind.
fn bound(schema: &Schema, input: MessageId, rule: &HttpRule, template: &Template) -> Vec<String> {
    let body = if let Body::Field(name) = &rule.body { Some(name.as_str()) } else { None };
    let names = template.variables().chain(body);
    names.filter_map(|name| schema.path(input, name).ok()).map(|path| path.name().to_owned()).collect()
}

/// Whether a call without a body is refused. An empty body says as much as an empty object.
fn needs_body(schema: &Schema, method: &Method, rule: &HttpRule, template: &Template) -> bool {
    let input = schema.get(method.input);
    match &rule.body {
        Body::None => false,
        Body::Field(name) => input.field(name).is_some_and(|field| field.required),
        Body::Whole => {
            let except = bound(schema, method.input, rule, template);
            input.fields.iter().any(|field| field.required && !except.contains(&field.json_name))
        }
    }
}

fn key_header(idempotency: Idempotency) -> Option<Value> {
    let required = match idempotency {
        Idempotency::Required => true,
        Idempotency::Optional => false,
        Idempotency::None | Idempotency::Unspecified => return None,
    };
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
    let comment = "Names this attempt: the same key never has a second effect.";
    Some(parameter("header", "Idempotency-Key", required, schema, comment))
}

fn prefer_header() -> Value {
    let schema = json!({ "type": "string", "pattern": "^wait=[0-9]{1,9}$", "examples": ["wait=5"] });
    let comment = "`wait=N`: answer when it is settled, or after N seconds (30 at most) if it is not by then. \
                   Without it the answer comes at once.";
    parameter("header", "Prefer", false, schema, comment)
}

/// The statuses of refusals that are to be expected; all others fall under `default`.
fn refusals(method: &Method, rule: &HttpRule, policy: &Policy) -> Vec<u16> {
    let changes = rule.verb != "GET";
    let takes_key = matches!(policy.idempotency, Idempotency::Optional | Idempotency::Required);
    let has_end = method.lifecycle.as_ref().is_some_and(|l| !l.sunset_at.is_empty());
    let expected = [
        (400, true),
        (401, policy.auth != Auth::Public),
        (403, policy.auth == Auth::Staff),
        (404, true),
        (409, changes),
        (410, has_end),
        (413, method.raw_body.is_some()),
        (415, rule.body != Body::None),
        (422, changes && takes_key),
        (503, true),
        (504, true),
    ];
    expected.into_iter().filter(|(_, is_expected)| *is_expected).map(|(status, _)| status).collect()
}

fn enumeration(e: &Enum) -> Value {
    let names: Vec<&str> = e.values.iter().map(|value| value.name.as_str()).collect();
    let mut schema = json!({ "type": "string", "enum": names });
    let values = e.values.iter().filter(|value| !value.comment.is_empty());
    let values = values.map(|value| format!("- `{}`: {}", value.name, one_line(&value.comment)));
    let values = values.collect::<Vec<_>>().join("\n");
    let parts = [e.comment.as_str(), values.as_str()];
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
    if !text.is_empty() {
        schema["description"] = json!(text);
    }
    schema
}

/// The schema with the field's example, as JSON writes such a value.
fn with_example(mut schema: Value, field: &Field) -> Value {
    if !field.example.is_empty() {
        schema["examples"] = json!([crate::docs::example_of(field)]);
    }
    schema
}

/// What the service says of itself, and why it refuses.
fn about(schema: &Schema, service: &Service) -> String {
    let mut about = service.comment.clone();
    for (index, reason) in crate::docs::reasons(schema, service).into_iter().enumerate() {
        let head = if index == 0 { "\n\nReasons of refusals, with their status:\n" } else { "" };
        let colon = if reason.comment.is_empty() { "" } else { ": " };
        about.push_str(&format!("{head}\n- `{}` ({}){colon}{}", reason.name, reason.status, reason.comment));
    }
    about.trim().to_owned()
}

/// The comment's first sentence, without the full stop.
fn summary(method: &Method) -> String {
    let comment = one_line(&method.comment);
    let end = comment.find(". ").unwrap_or(comment.len());
    let sentence = comment[..end].trim_end_matches('.');
    if sentence.is_empty() { method.name.clone() } else { sentence.to_owned() }
}

/// Comments are broken where their line was full, which means nothing.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parameter(place: &str, name: &str, required: bool, schema: Value, comment: &str) -> Value {
    json!({ "in": place, "name": name, "required": required, "schema": schema, "description": comment })
}

/// The method's comment and who may call it.
fn description(method: &Method, policy: &Policy) -> String {
    let who = match policy.auth {
        Auth::Unspecified | Auth::Public => "Everybody may call it.".to_owned(),
        Auth::Token => "Needs a token.".to_owned(),
        Auth::Staff => format!("Needs a token of staff with one of the roles {}.", policy.roles.join(", ")),
        Auth::Service => "For services only.".to_owned(),
    };
    format!("{}\n\n{who}", method.comment).trim().to_owned()
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "reason"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string", "description": "The id of the request, as in X-Request-Id." },
            "reason": { "type": "string", "description": "Stable; made for programs." },
            "fields": { "type": "array", "items": {
                "type": "object",
                "properties": { "field": { "type": "string" }, "description": { "type": "string" } },
            } },
            "metadata": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    })
}
