//! The options of methods and enum values, out of descriptors.
use crate::descriptor::{Done, records};
use crate::schema::{Auth, Body, HttpRule, Idempotency, Lifecycle, Method, Policy, RawBody};
use crate::wire::{Value, text};

/// The numbers of the extensions that matter.
const HTTP: u32 = 72_295_728;
const POLICY: u32 = 50_100;
const LIFECYCLE: u32 = 50_101;
const HTTP_STATUS: u32 = 50_102;
const REQUIRED: u32 = 50_103;
const EXAMPLE: u32 = 50_104;
const RAW_BODY: u32 = 50_105;

/// What the options of a field tell its readers: whether it is required, and an example of it.
pub(crate) fn field_documentation(options: &[u8]) -> Done<(bool, String)> {
    let (mut required, mut example) = (false, String::new());
    for (number, value) in records(options)? {
        match (number, value) {
            (REQUIRED, Value::Varint(n)) => required = n != 0,
            (EXAMPLE, Value::Bytes(bytes)) => example = text(bytes)?.to_owned(),
            _ => {}
        }
    }
    Ok((required, example))
}

/// The HTTP status that the options of an enum value name.
pub(crate) fn http_status(options: &[u8]) -> Done<Option<u16>> {
    let status = varint(options, HTTP_STATUS)?;
    Ok(status.and_then(|n| u16::try_from(n).ok()).filter(|s| (100..=599).contains(s)))
}

pub(crate) fn method_options(bytes: &[u8], method: &mut Method) -> Done<()> {
    // An option may be written in parts, which protobuf merges: so does concatenation.
    let (mut http, mut policy, mut lifecycle) = (Vec::new(), None::<Vec<u8>>, None::<Vec<u8>>);
    let mut raw_body = None::<Vec<u8>>;
    for (number, value) in records(bytes)? {
        match (number, value) {
            (33, Value::Varint(n)) => method.deprecated = n != 0,
            (34, Value::Varint(n)) => method.idempotency_level = u32::try_from(n).unwrap_or(0),
            (HTTP, Value::Bytes(part)) => http.extend_from_slice(part),
            (POLICY, Value::Bytes(part)) => policy.get_or_insert_default().extend_from_slice(part),
            (LIFECYCLE, Value::Bytes(part)) => lifecycle.get_or_insert_default().extend_from_slice(part),
            (RAW_BODY, Value::Bytes(part)) => raw_body.get_or_insert_default().extend_from_slice(part),
            _ => {}
        }
    }
    http_rules(&http, true, &mut method.http)?;
    method.policy = policy.as_deref().map(read_policy).transpose()?;
    method.lifecycle = lifecycle.as_deref().map(read_lifecycle).transpose()?;
    method.raw_body = raw_body.as_deref().map(read_raw_body).transpose()?;
    Ok(())
}

fn http_rules(bytes: &[u8], primary: bool, rules: &mut Vec<HttpRule>) -> Done<()> {
    let mut rule =
        HttpRule { verb: String::new(), template: String::new(), body: Body::None, response_body: None };
    let mut additional = Vec::new();
    for (number, value) in records(bytes)? {
        let Value::Bytes(bytes) = value else { continue };
        match number {
            2..=6 => {
                rule.verb = ["GET", "PUT", "POST", "DELETE", "PATCH"][number as usize - 2].to_owned();
                rule.template = text(bytes)?.to_owned();
            }
            7 => {
                rule.body = match text(bytes)? {
                    "" => Body::None,
                    "*" => Body::Whole,
                    field => Body::Field(field.to_owned()),
                }
            }
            8 => custom_verb(bytes, &mut rule)?,
            11 => additional.push(bytes),
            12 => rule.response_body = Some(text(bytes)?.to_owned()).filter(|name| !name.is_empty()),
            _ => {}
        }
    }
    if !rule.template.is_empty() {
        rules.push(rule);
    }
    for bytes in additional.into_iter().filter(|_| primary) {
        http_rules(bytes, false, rules)?;
    }
    Ok(())
}

fn custom_verb(bytes: &[u8], rule: &mut HttpRule) -> Done<()> {
    for (number, value) in records(bytes)? {
        match (number, value) {
            (1, Value::Bytes(verb)) => rule.verb = text(verb)?.to_ascii_uppercase(),
            (2, Value::Bytes(path)) => rule.template = text(path)?.to_owned(),
            _ => {}
        }
    }
    Ok(())
}

fn read_policy(bytes: &[u8]) -> Done<Policy> {
    let mut policy = Policy::default();
    for (number, value) in records(bytes)? {
        match (number, value) {
            (1, Value::Varint(n)) => {
                policy.auth = match n {
                    1 => Auth::Public,
                    2 => Auth::Token,
                    3 => Auth::Staff,
                    4 => Auth::Service,
                    _ => Auth::Unspecified,
                }
            }
            (2, Value::Bytes(role)) => policy.roles.push(text(role)?.to_owned()),
            (3, Value::Bytes(caller)) => policy.callers.push(text(caller)?.to_owned()),
            (4, Value::Bytes(class)) => policy.rate_class = text(class)?.to_owned(),
            (5, Value::Varint(n)) => {
                policy.idempotency = match n {
                    1 => Idempotency::None,
                    2 => Idempotency::Optional,
                    3 => Idempotency::Required,
                    _ => Idempotency::Unspecified,
                }
            }
            (6, Value::Varint(n)) => policy.timeout_ms = u32::try_from(n).unwrap_or(u32::MAX),
            (7, Value::Varint(n)) => policy.success_status = u16::try_from(n).unwrap_or(0),
            _ => {}
        }
    }
    Ok(policy)
}

fn read_lifecycle(bytes: &[u8]) -> Done<Lifecycle> {
    let mut lifecycle = Lifecycle::default();
    for (number, value) in records(bytes)? {
        match (number, value) {
            (1, Value::Bytes(time)) => lifecycle.deprecated_at = text(time)?.to_owned(),
            (2, Value::Bytes(time)) => lifecycle.sunset_at = text(time)?.to_owned(),
            (3, Value::Bytes(path)) => lifecycle.successor = text(path)?.to_owned(),
            _ => {}
        }
    }
    Ok(lifecycle)
}

fn read_raw_body(bytes: &[u8]) -> Done<RawBody> {
    let mut raw = RawBody::default();
    for (number, value) in records(bytes)? {
        match (number, value) {
            (1, Value::Bytes(field)) => raw.headers_field = text(field)?.to_owned(),
            (2, Value::Bytes(header)) => raw.headers.push(text(header)?.to_owned()),
            (3, Value::Varint(n)) => raw.bytes_max = u32::try_from(n).unwrap_or(u32::MAX),
            _ => {}
        }
    }
    Ok(raw)
}

/// The last varint with this number.
fn varint(bytes: &[u8], wanted: u32) -> Done<Option<u64>> {
    let last = records(bytes)?.into_iter().rev().find_map(|(number, value)| match value {
        Value::Varint(n) if number == wanted => Some(n),
        Value::Varint(_) | Value::Fixed64(_) | Value::Bytes(_) | Value::Fixed32(_) | Value::Group => None,
    });
    Ok(last)
}
