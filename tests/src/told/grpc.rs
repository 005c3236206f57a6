//! A story's commands as gRPC calls. The address says which method is meant, JSON becomes its message and the answer
//! becomes JSON again, by the same descriptors that the gateway works from; the call goes to the service itself.
use super::face::Said;
use super::tree::Tree;
use crate::House;
use http::Method as Verb;
use souk_gateway::route::{Found, Routes};
use souk_rpc::grpc::GrpcChannel;
use souk_rpc::{ByteService, Cx, Error};
use souk_transcode::{
    Body, HttpRule, Limits, Method, Schema, embed_field, json_to_field, json_to_proto, proto_to_json,
};
use std::time::Duration;
use tokio::time::Instant;

/// No call in a test takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What the contracts say about addresses.
pub struct Contracts {
    schema: Schema,
    routes: Routes,
    /// The number of the method of each route, and the route.
    rules: Vec<(usize, HttpRule)>,
}

impl Contracts {
    /// Ours.
    pub fn read() -> Self {
        let schema = Schema::from_bytes(souk_contracts::DESCRIPTORS).expect("our contracts can be read");
        let (mut routes, mut rules) = (Routes::new(), Vec::new());
        for (number, method) in schema.methods().iter().enumerate() {
            for rule in &method.http {
                routes.add(&rule.verb, &rule.template, rules.len()).expect("our routes are apart");
                rules.push((number, rule.clone()));
            }
        }
        Self { schema, routes, rules }
    }

    /// The answer to what a command asks; `None` when that is no gRPC call: what others post to the shop comes by
    /// HTTP, whatever customers speak.
    pub async fn asks(
        &self,
        house: &House,
        verb: &Verb,
        path: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> Result<Option<Said>, String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let Found::Route { target, values } = self.routes.find(verb.as_str(), path) else {
            return Err(format!("{verb} {path} is no method"));
        };
        let (number, rule) = &self.rules[target];
        let method = &self.schema.methods()[*number];
        if method.raw_body.is_some() {
            return Ok(None);
        }
        let message = self.message(method, rule, &values, query, body)?;
        let role = method.service.split('.').nth(1).unwrap_or_default();
        let address = house.grpc_of(role).ok_or(format!("{role} does not answer gRPC"))?;
        let channel = GrpcChannel::tcp(&method.service, &address.to_string());
        let reply = match channel.call(&method.name, context(headers), message.into()).await {
            Ok(reply) => reply.one().await,
            Err(error) => Err(error),
        };
        match reply {
            Ok(reply) => {
                let mut json = Vec::new();
                let read = proto_to_json(&self.schema, method.output, &reply, &mut json);
                read.map_err(|fault| format!("{fault:?}"))?;
                Ok(Some(Said::good(Tree::parse(&String::from_utf8_lossy(&json))?)))
            }
            Err(error) => Ok(Some(Said::refused(refusal(&error)))),
        }
    }

    fn message(
        &self,
        method: &Method,
        rule: &HttpRule,
        values: &[String],
        query: &str,
        body: Option<&str>,
    ) -> Result<Vec<u8>, String> {
        let (schema, input) = (&self.schema, method.input);
        let (mut message, limits) = (Vec::new(), Limits::default());
        let fault = |fault: souk_transcode::Fault| format!("{}: {}", fault.path, fault.sentence);
        match (&rule.body, body) {
            (_, None) => {}
            (Body::None, Some(_)) => return Err(format!("{} takes no body", method.name)),
            (Body::Whole, Some(json)) => {
                json_to_proto(schema, input, json.as_bytes(), &mut message, &limits).map_err(fault)?;
            }
            (Body::Field(name), Some(json)) => {
                let path = schema.path(input, name).map_err(fault)?;
                json_to_field(schema, &path, json.as_bytes(), &mut message, &limits).map_err(fault)?;
            }
        }
        let template = souk_gateway::route::Template::parse(&rule.template).expect("it is a route");
        let queried = query.split('&').filter_map(|pair| pair.split_once('='));
        let named = template.variables().zip(values.iter().map(String::as_str)).chain(queried);
        for (name, value) in named {
            embed_field(schema, input, name, value, &mut message).map_err(fault)?;
        }
        Ok(message)
    }
}

/// What travels beside the message.
fn context(headers: &[(String, String)]) -> Cx {
    let mut cx = Cx::new(Instant::now() + ANSWER_WITHIN);
    for (name, value) in headers {
        cx = match name.as_str() {
            "authorization" => cx.with_token(value.strip_prefix("Bearer ").map(Into::into)),
            "idempotency-key" => cx.with_key(Some(value.as_str().into())),
            "prefer" => {
                let seconds = value.strip_prefix("wait=").and_then(|seconds| seconds.parse().ok());
                cx.with_wait(seconds.map(Duration::from_secs))
            }
            _ => cx,
        };
    }
    cx
}

/// The part of a refusal that is the same by whatever protocol it comes.
fn refusal(error: &Error) -> Tree {
    let text = |text: &str| Tree::Text(text.to_owned());
    let mut fields =
        vec![("reason".to_owned(), text(error.reason())), ("detail".to_owned(), text(error.message()))];
    if !error.metadata().is_empty() {
        let metadata = error.metadata().iter().map(|(name, value)| (name.clone(), text(value)));
        fields.push(("metadata".to_owned(), Tree::Object(metadata.collect())));
    }
    Tree::Object(fields)
}
