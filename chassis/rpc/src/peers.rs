//! Who answers which service.
use crate::{
    BoxFuture, ByteService, Bytes, Code, Cx, Error, Guard, MethodPolicy, Reply, Result, guard, wire,
};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A generated client.
pub trait Client: Clone + Send + Sync + 'static {
    /// The full name of the service it calls.
    const SERVICE: &'static str;
    /// The service's trait, as `dyn FooService`.
    type Api: ?Sized + Send + Sync + 'static;
    /// A client that asks `peers` at every call.
    fn of_peers(peers: Peers) -> Self;
}

/// Where a call goes.
pub enum Target<Api: ?Sized> {
    /// To an object in this process, without encoding.
    Local(Arc<Api>),
    /// To something that takes bytes.
    Wire(Arc<dyn ByteService>),
}

impl<Api: ?Sized> Clone for Target<Api> {
    fn clone(&self) -> Self {
        match self {
            Target::Local(api) => Target::Local(Arc::clone(api)),
            Target::Wire(bytes) => Target::Wire(Arc::clone(bytes)),
        }
    }
}

/// A service behind its guard, ready to be registered. Made by the generated `bind`.
#[derive(Clone)]
pub struct Bound {
    /// The full name.
    pub service: &'static str,
    /// The policy of every method.
    pub policies: &'static [MethodPolicy],
    /// Holds an `Arc<dyn FooService>`, guarded.
    pub local: Arc<dyn Any + Send + Sync>,
    /// The same service in bytes, guarded.
    pub wire: Arc<dyn ByteService>,
}

impl Bound {
    /// Puts the two forms of a guarded service together. `local` holds an `Arc<dyn FooService>`.
    pub fn new(
        service: &'static str,
        policies: &'static [MethodPolicy],
        local: Arc<dyn Any + Send + Sync>,
        wire: Arc<dyn ByteService>,
        guard: Arc<Guard>,
    ) -> Self {
        Self { service, policies, local, wire: Arc::new(Admitted { policies, wire, guard }) }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bound({})", self.service)
    }
}

/// Asks the guard before a request's bytes are decoded: a stranger's bytes are not worth our memory.
struct Admitted {
    policies: &'static [MethodPolicy],
    wire: Arc<dyn ByteService>,
    guard: Arc<Guard>,
}

impl ByteService for Admitted {
    fn service(&self) -> &str {
        self.wire.service()
    }

    fn call(&self, method: &str, cx: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply>> {
        let Some(policy) = self.policies.iter().find(|policy| policy.name == method) else {
            return wire::unknown_method(self.service(), method);
        };
        let bytes_max = self.guard.limits().message_bytes_max;
        let admitted = self.guard.admit(policy, cx);
        let fits = guard::fits(request.len(), bytes_max, Code::ResourceExhausted);
        match admitted.and_then(|cx| fits.map(|()| cx)) {
            Ok(cx) => self.wire.call(method, cx, request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// The registry of who answers which service. Clones share it; services are looked up at each call, so they
/// may be registered in any order and replaced.
#[derive(Clone, Default)]
pub struct Peers(Arc<Registry>);

#[derive(Default)]
struct Registry {
    entries: RwLock<HashMap<String, Entry>>,
    round_trip: AtomicBool,
}

#[derive(Clone, Default)]
struct Entry {
    local: Option<Arc<dyn Any + Send + Sync>>,
    wire: Option<Arc<dyn ByteService>>,
}

impl Peers {
    /// Nobody answers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a service of this process in both forms, as `bind` made it.
    pub fn add_bound(&self, bound: &Bound) {
        let entry = Entry { local: Some(Arc::clone(&bound.local)), wire: Some(Arc::clone(&bound.wire)) };
        self.put(bound.service, entry);
    }

    /// Registers an object of this process as it is, without a guard. For doubles in tests; services are
    /// registered with [`Peers::add_bound`].
    pub fn add_local<C: Client>(&self, api: Arc<C::Api>) {
        self.put(C::SERVICE, Entry { local: Some(Arc::new(api)), wire: None });
    }

    /// Registers whoever answers `service` elsewhere.
    pub fn add_remote(&self, service: &str, remote: Arc<dyn ByteService>) {
        self.put(service, Entry { local: None, wire: Some(remote) });
    }

    /// A client that looks the service up when it calls.
    pub fn get<C: Client>(&self) -> C {
        C::of_peers(self.clone())
    }

    /// Whoever answers `service` in bytes.
    pub fn bytes(&self, service: &str) -> Option<Arc<dyn ByteService>> {
        self.entry(service)?.wire
    }

    /// The full names of the services that somebody answers, sorted.
    pub fn services(&self) -> Vec<String> {
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = entries.keys().cloned().collect();
        names.sort();
        names
    }

    /// Lets local calls encode and decode their messages too, wherever bytes are offered. For tests.
    pub fn round_trip(&self, on: bool) {
        self.0.round_trip.store(on, Ordering::Relaxed);
    }

    /// Where a call of `C` goes now; UNAVAILABLE when nobody answers.
    pub fn target<C: Client>(&self) -> Result<Target<C::Api>> {
        let entry = self.entry(C::SERVICE).ok_or_else(|| nobody(C::SERVICE))?;
        let by_bytes = self.0.round_trip.load(Ordering::Relaxed) && entry.wire.is_some();
        let local = entry.local.filter(|_| !by_bytes);
        match (local.and_then(|local| local.downcast_ref::<Arc<C::Api>>().cloned()), entry.wire) {
            (Some(api), _) => Ok(Target::Local(api)),
            (None, Some(wire)) => Ok(Target::Wire(wire)),
            (None, None) => Err(nobody(C::SERVICE)),
        }
    }

    fn entry(&self, service: &str) -> Option<Entry> {
        self.0.entries.read().unwrap_or_else(PoisonError::into_inner).get(service).cloned()
    }

    fn put(&self, service: &str, entry: Entry) {
        self.0.entries.write().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned(), entry);
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peers").field(&self.services()).finish()
    }
}

fn nobody(service: &str) -> Error {
    Error::unavailable(format!("nobody answers {service} at the moment"))
}
