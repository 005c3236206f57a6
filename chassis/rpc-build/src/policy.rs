//! Reads the options of every method, and refuses contracts that leave something open.
use crate::Error;
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor, ReflectMessage,
};
use std::collections::{BTreeMap, BTreeSet};

const POLICY: &str = "souk.api.v1.policy";
const LIFECYCLE: &str = "souk.api.v1.lifecycle";

/// What a method's options say, as far as the generated code needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The variant of `souk_rpc::Auth`.
    pub auth: &'static str,
    pub roles: Vec<String>,
    pub callers: Vec<String>,
    pub rate_class: String,
    /// The variant of `souk_rpc::Idempotency`.
    pub idempotency: &'static str,
    pub timeout_ms: u64,
    pub success_status: u32,
    pub lifecycle: Option<Lifecycle>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    pub deprecated_at: String,
    pub sunset_at: String,
    pub successor: String,
}

/// The policies of all methods, by full name (`souk.order.v1.OrderService.PlaceOrder`).
#[derive(Debug, Default)]
pub(crate) struct Policies(BTreeMap<String, Policy>);

impl Policies {
    pub(crate) fn read(pool: &DescriptorPool, own: &BTreeSet<String>) -> Result<Self, Error> {
        let mut policies = BTreeMap::new();
        for service in pool.services() {
            if !own.contains(service.parent_file().name()) {
                continue;
            }
            for method in service.methods() {
                let name = method.full_name().to_owned();
                let policy = read_method(pool, &method).map_err(|why| Error::new(&name, why))?;
                policies.insert(name, policy);
            }
        }
        Ok(Self(policies))
    }

    pub(crate) fn of(&self, method: &str) -> &Policy {
        self.0.get(method).expect("every method was read before any code is generated")
    }
}

fn read_method(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Policy, String> {
    if method.is_client_streaming() {
        return Err("streams of requests are not supported yet".to_owned());
    }
    let options = method.options();
    let message = extension(pool, &options, POLICY).ok_or("has no (souk.api.v1.policy)")?;
    let policy = Policy {
        auth: auth(number(&message, "auth")?)?,
        roles: texts(&message, "roles"),
        callers: texts(&message, "callers"),
        rate_class: text(&message, "rate_class"),
        idempotency: idempotency(number(&message, "idempotency")?)?,
        timeout_ms: u64::from(unsigned(&message, "timeout_ms")),
        success_status: match unsigned(&message, "success_status") {
            0 => 200,
            status => status,
        },
        lifecycle: extension(pool, &options, LIFECYCLE).map(|message| Lifecycle {
            deprecated_at: text(&message, "deprecated_at"),
            sunset_at: text(&message, "sunset_at"),
            successor: text(&message, "successor"),
        }),
    };
    check(&policy)?;
    Ok(policy)
}

/// What would be accepted silently and mean nothing, or the wrong thing.
fn check(policy: &Policy) -> Result<(), String> {
    let problem = if policy.timeout_ms == 0 {
        "the policy has no timeout_ms"
    } else if !(200..300).contains(&policy.success_status) {
        "success_status must be between 200 and 299"
    } else if policy.auth == "Staff" && policy.roles.is_empty() {
        "AUTH_STAFF needs roles"
    } else if policy.auth != "Staff" && !policy.roles.is_empty() {
        "roles have a meaning with AUTH_STAFF only"
    } else if policy.auth == "Service" && policy.callers.is_empty() {
        "AUTH_SERVICE needs callers"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}

fn auth(number: i32) -> Result<&'static str, String> {
    match number {
        1 => Ok("Public"),
        2 => Ok("Token"),
        3 => Ok("Staff"),
        4 => Ok("Service"),
        _ => Err("the policy does not say auth".to_owned()),
    }
}

fn idempotency(number: i32) -> Result<&'static str, String> {
    match number {
        1 => Ok("None"),
        2 => Ok("Optional"),
        3 => Ok("Required"),
        _ => Err("the policy does not say idempotency".to_owned()),
    }
}

fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension: ExtensionDescriptor = pool.get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

fn number(message: &DynamicMessage, field: &str) -> Result<i32, String> {
    let value = message.get_field_by_name(field).and_then(|value| value.as_enum_number());
    value.ok_or_else(|| format!("{} has no field {field}", message.descriptor().full_name()))
}

fn unsigned(message: &DynamicMessage, field: &str) -> u32 {
    message.get_field_by_name(field).and_then(|value| value.as_u32()).unwrap_or(0)
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    let list = message.get_field_by_name(field).and_then(|value| value.as_list().map(<[_]>::to_vec));
    list.unwrap_or_default().iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
