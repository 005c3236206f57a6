//! The API's description in OpenAPI 3.1, from nothing but the descriptors.
use crate::route::Template;
use serde_json::{Map, Value, json};
use souk_transcode::{
    Auth, Body, Cardinality, Field, HttpRule, Idempotency, Kind, Message, MessageId, Method, Policy, Schema,
    Shape,
};
use std::collections::BTreeSet;

/// How deep query variables reach into messages.
const QUERY_DEPTH_MAX: usize = 3;

/// The document as JSON.
pub(crate) fn document(schema: &Schema, title: &str, version: &str) -> Vec<u8> {
    let mut writer = Writer { schema, wanted: BTreeSet::new() };
    let mut paths: Map<String, Value> = Map::new();
    let mut tags = Vec::new();
    for service in schema.services() {
        let methods = schema.methods_of(service);
        if methods.iter().all(|method| method.http.is_empty()) {
            continue;
        }
        tags.push(json!({ "name": service.short_name(), "description": service.comment }));
        for method in methods {
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
            "summary": method.comment.lines().next().unwrap_or(&method.name),
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
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": body } } });
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
            let schema = self.value(field.kind);
            parameters.push(parameter("path", name, true, schema, &field.comment));
        }
        if rule.body != Body::Whole {
            let except: Vec<String> = bound(self.schema, method.input, rule, template);
            self.query(method.input, "", &except, 0, &mut parameters);
        }
        let key = match policy.idempotency {
            Idempotency::Required => Some(true),
            Idempotency::Optional => Some(false),
            Idempotency::None | Idempotency::Unspecified => None,
        };
        if let Some(required) = key {
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
            let comment = "Names this attempt: the same key never has a second effect.";
            parameters.push(parameter("header", "Idempotency-Key", required, schema, comment));
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
                    let schema = self.field(field);
                    parameters.push(parameter("query", &name, false, schema, &field.comment));
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
        let mut success = json!({ "description": "Done" });
        if status != 204 {
            success["content"] = json!({ kind: { "schema": schema.unwrap_or_else(|| json!({})) } });
        }
        json!({ status.to_string(): success, "default": { "$ref": "#/components/responses/Problem" } })
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
        schemas.insert("Problem".to_owned(), problem());
        schemas
    }

    fn object(&mut self, message: &Message, except: &[String]) -> Value {
        let mut properties = Map::new();
        for field in message.fields.iter().filter(|field| !except.contains(&field.json_name)) {
            let mut schema = self.field(field);
            if !field.comment.is_empty() {
                schema["description"] = json!(field.comment);
            }
            if field.deprecated {
                schema["deprecated"] = json!(true);
            }
            properties.insert(field.json_name.clone(), schema);
        }
        let mut object = json!({ "type": "object", "properties": properties });
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
                let names: Vec<&str> =
                    self.schema.get_enum(id).values.iter().map(|v| v.name.as_str()).collect();
                json!({ "type": "string", "enum": names })
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
