//! Writes the code of one service: trait, client, guarded and byte forms, policies, `bind`.
use crate::policy::{Policies, Policy};
use prost_build::{Method, Service, ServiceGenerator};
use std::fmt::Write as _;

pub(crate) struct Generator {
    policies: Policies,
    /// Services per package seen so far: the short names exist only where they are unambiguous.
    in_package: Vec<String>,
}

impl Generator {
    pub(crate) fn new(policies: Policies) -> Self {
        Self { policies, in_package: Vec::new() }
    }
}

impl ServiceGenerator for Generator {
    fn generate(&mut self, service: Service, buf: &mut String) {
        let full = format!("{}.{}", service.package, service.proto_name);
        let code = Code { service: &service, full: &full, policies: &self.policies };
        code.api(buf);
        code.client(buf);
        code.guarded(buf);
        code.bytes(buf);
        code.module(buf);
        self.in_package.push(format!("{}/{}", service.package, module_name(&service.name)));
    }

    fn finalize_package(&mut self, package: &str, buf: &mut String) {
        let own: Vec<_> =
            self.in_package.iter().filter_map(|known| known.strip_prefix(&format!("{package}/"))).collect();
        if let [only] = own[..] {
            put(buf, format_args!("pub use {only}::{{POLICIES, SERVICE, bind}};"));
        }
    }
}

/// `OrderService` → `order_service`.
fn module_name(service: &str) -> String {
    let mut name = String::new();
    for c in service.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn put(buf: &mut String, line: std::fmt::Arguments<'_>) {
    buf.write_fmt(line).expect("writing to a String cannot fail");
    buf.push('\n');
}

struct Code<'a> {
    service: &'a Service,
    full: &'a str,
    policies: &'a Policies,
}

impl Code<'_> {
    /// The trait that the service implements.
    fn api(&self, buf: &mut String) {
        let name = &self.service.name;
        self.service.comments.append_with_indent(0, buf);
        put(buf, format_args!("pub trait {name}: Send + Sync + 'static {{"));
        for method in &self.service.methods {
            method.comments.append_with_indent(1, buf);
            put(buf, format_args!("    {};", signature(method)));
        }
        put(buf, format_args!("}}"));
    }

    /// The client: a direct call, a call in bytes, or whichever of them the peers offer when it calls.
    fn client(&self, buf: &mut String) {
        let (name, module, full) = (&self.service.name, module_name(&self.service.name), self.full);
        put(
            buf,
            format_args!(
                "/// Calls `{full}`, wherever it is answered.
#[derive(Clone)]
pub enum {name}Client {{
    /// Answered in this process.
    Local(::std::sync::Arc<dyn {name}>),
    /// Answered by something that takes bytes.
    Wire(::std::sync::Arc<dyn ::souk_rpc::ByteService>),
    /// Answered by whoever is registered at the time of the call.
    Peer(::souk_rpc::Peers),
}}
impl ::souk_rpc::Client for {name}Client {{
    const SERVICE: &'static str = {module}::SERVICE;
    type Api = dyn {name};
    fn of_peers(peers: ::souk_rpc::Peers) -> Self {{
        Self::Peer(peers)
    }}
}}
impl {name}Client {{
    fn target(&self) -> ::souk_rpc::Result<::souk_rpc::Target<dyn {name}>> {{
        match self {{
            Self::Local(service) => Ok(::souk_rpc::Target::Local(::std::sync::Arc::clone(service))),
            Self::Wire(service) => Ok(::souk_rpc::Target::Wire(::std::sync::Arc::clone(service))),
            Self::Peer(peers) => peers.target::<Self>(),
        }}
    }}"
            ),
        );
        for method in &self.service.methods {
            client_method(method, buf);
        }
        put(buf, format_args!("}}"));
    }

    /// The service behind its guard.
    fn guarded(&self, buf: &mut String) {
        let (name, module) = (&self.service.name, module_name(&self.service.name));
        put(buf, format_args!(
            "/// The service behind its guard: every call is checked, bounded in time and size, and cannot panic.
pub struct {name}Guarded {{
    /// The service itself.
    pub inner: ::std::sync::Arc<dyn {name}>,
    /// What stands before it.
    pub guard: ::std::sync::Arc<::souk_rpc::Guard>,
}}
impl {name} for {name}Guarded {{"
        ));
        for (index, method) in self.service.methods.iter().enumerate() {
            let (signature, call, rust) = (signature(method), shape(method), &method.name);
            put(
                buf,
                format_args!(
                    "    {signature} {{
        let call = move |cx, request| self.inner.{rust}(cx, request);
        ::std::boxed::Box::pin(self.guard.{call}(&{module}::POLICIES[{index}], cx, request, call))
    }}"
                ),
            );
        }
        put(buf, format_args!("}}"));
    }

    /// The service as one that takes and gives bytes.
    fn bytes(&self, buf: &mut String) {
        let (name, module) = (&self.service.name, module_name(&self.service.name));
        put(buf, format_args!(
            "/// The service as one that takes and gives encoded messages.
pub struct {name}Bytes(pub ::std::sync::Arc<dyn {name}>);
impl ::souk_rpc::ByteService for {name}Bytes {{
    fn service(&self) -> &str {{
        {module}::SERVICE
    }}
    fn call(&self, method: &str, cx: ::souk_rpc::Cx, request: ::souk_rpc::Bytes) -> ::souk_rpc::BoxFuture<'static, ::souk_rpc::Result<::souk_rpc::Reply>> {{
        let service = ::std::sync::Arc::clone(&self.0);
        match method {{"
        ));
        for method in &self.service.methods {
            let (proto, rust, reply) =
                (&method.proto_name, &method.name, if method.server_streaming { "many" } else { "one" });
            put(
                buf,
                format_args!(
                    "            {proto:?} => ::std::boxed::Box::pin(async move {{
                let request = ::souk_rpc::wire::decode(request)?;
                Ok(::souk_rpc::wire::{reply}(service.{rust}(cx, request).await?))
            }}),"
                ),
            );
        }
        put(
            buf,
            format_args!(
                "            unknown => ::souk_rpc::wire::unknown_method({module}::SERVICE, unknown),
        }}
    }}
}}"
            ),
        );
    }

    /// Name, policies and `bind`, in a module of their own: a package may have several services.
    fn module(&self, buf: &mut String) {
        let (name, module, full) = (&self.service.name, module_name(&self.service.name), self.full);
        put(
            buf,
            format_args!(
                "/// What there is to know about `{full}`.
pub mod {module} {{
    /// The full name.
    pub const SERVICE: &str = {full:?};
    /// The policy of every method, in the order of the contract.
    pub const POLICIES: &[::souk_rpc::MethodPolicy] = &["
            ),
        );
        for method in &self.service.methods {
            let policy = self.policies.of(&format!("{full}.{}", method.proto_name));
            self.policy(method, policy, buf);
        }
        put(buf, format_args!(
            "    ];
    /// Puts `service` behind `guard` and makes it ready to be registered.
    pub fn bind(service: ::std::sync::Arc<dyn super::{name}>, guard: ::std::sync::Arc<::souk_rpc::Guard>) -> ::souk_rpc::Bound {{
        let guarded = super::{name}Guarded {{ inner: service, guard: ::std::sync::Arc::clone(&guard) }};
        let local: ::std::sync::Arc<dyn super::{name}> = ::std::sync::Arc::new(guarded);
        let wire = ::std::sync::Arc::new(super::{name}Bytes(::std::sync::Arc::clone(&local)));
        ::souk_rpc::Bound::new(SERVICE, POLICIES, ::std::sync::Arc::new(local), wire, guard)
    }}
}}"
        ));
    }

    fn policy(&self, method: &Method, policy: &Policy, buf: &mut String) {
        let Policy { auth, roles, callers, rate_class, idempotency, timeout_ms, success_status, .. } = policy;
        let (name, full, streaming) = (&method.proto_name, self.full, method.server_streaming);
        let lifecycle = match &policy.lifecycle {
            None => "None".to_owned(),
            Some(l) => format!(
                "Some(::souk_rpc::Lifecycle {{ deprecated_at: {:?}, sunset_at: {:?}, successor: {:?} }})",
                l.deprecated_at, l.sunset_at, l.successor
            ),
        };
        put(
            buf,
            format_args!(
                "        ::souk_rpc::MethodPolicy {{
            name: {name:?},
            path: \"/{full}/{name}\",
            auth: ::souk_rpc::Auth::{auth},
            roles: &{roles:?},
            callers: &{callers:?},
            rate_class: {rate_class:?},
            idempotency: ::souk_rpc::Idempotency::{idempotency},
            timeout: ::std::time::Duration::from_millis({timeout_ms}),
            streaming: {streaming},
            success_status: {success_status},
            lifecycle: {lifecycle},
        }},"
            ),
        );
    }
}

fn shape(method: &Method) -> &'static str {
    if method.server_streaming { "stream" } else { "unary" }
}

fn answer(method: &Method) -> String {
    let output = &method.output_type;
    match method.server_streaming {
        true => format!("::souk_rpc::BoxStream<'static, ::souk_rpc::Result<{output}>>"),
        false => output.clone(),
    }
}

fn signature(method: &Method) -> String {
    let (name, input, answer) = (&method.name, &method.input_type, answer(method));
    format!(
        "fn {name}(&self, cx: ::souk_rpc::Cx, request: {input}) -> ::souk_rpc::BoxFuture<'_, ::souk_rpc::Result<{answer}>>"
    )
}

fn client_method(method: &Method, buf: &mut String) {
    let (name, proto, input, answer, call) =
        (&method.name, &method.proto_name, &method.input_type, answer(method), shape(method));
    method.comments.append_with_indent(1, buf);
    put(buf, format_args!(
        "    pub async fn {name}(&self, cx: ::souk_rpc::Cx, request: {input}) -> ::souk_rpc::Result<{answer}> {{
        match self.target()? {{
            ::souk_rpc::Target::Local(service) => service.{name}(cx, request).await,
            ::souk_rpc::Target::Wire(service) => ::souk_rpc::wire::{call}(service.as_ref(), {proto:?}, cx, &request).await,
        }}
    }}"
    ));
}
