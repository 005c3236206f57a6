//! What a service is to the host: data. The host runs a loop over a list of these; nothing is wired by hand.
use crate::Operable;
use souk_eventstore::{EventStore, Publish, View};
use souk_identity::{ServiceIdentity, Signer};
use souk_kernel::{Clock, Error, Ids};
use souk_rpc::{Bound, BoxFuture, Guard, Peers};
use souk_saga::{Runner, Saga, timers::Timers};
use souk_telemetry::Stop;
use std::sync::Arc;

/// A service: what it keeps, what it answers, and what it does by itself.
pub trait Service: Send + Sync + 'static {
    /// Role, store, feed and metric label, for example `order`.
    fn name(&self) -> &'static str;

    /// Its read models.
    fn views(&self) -> Vec<View>;

    /// Which of its events others hear of.
    fn publish(&self) -> Option<Publish> {
        None
    }

    /// What it answers.
    fn serve(&self, own: &Resources) -> Vec<Bound>;

    /// What it does by itself: sagas, reactions, timers.
    fn processes(&self, _own: &Resources) -> Vec<Box<dyn Process>> {
        Vec::new()
    }
}

/// What the host gives a service.
#[derive(Clone)]
pub struct Resources {
    /// The service's own event store.
    pub store: EventStore,
    /// The injected clock.
    pub clock: Arc<dyn Clock>,
    /// New ids from the injected clock and entropy.
    pub ids: Ids,
    /// The other services, resolved at the first call.
    pub peers: Peers,
    /// Who this service is when it calls others.
    pub identity: Arc<ServiceIdentity>,
    /// Signs tokens for guests and staff.
    pub signer: Arc<Signer>,
    /// Checks every call that reaches this service.
    pub guard: Arc<Guard>,
}

/// Something that a service does by itself for as long as the process lives.
pub trait Process: Send {
    /// For the log.
    fn name(&self) -> &'static str;

    /// Runs until `stop` is requested, or until there is nothing more to do. What can pass by itself is best
    /// waited for inside; an error here means that it cannot go on as it is.
    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>>;

    /// The same once more, for when this one ends with an error: the host starts it after a pause, again and
    /// again while the error is one that passes (nothing can be reached or taken at the moment), a few times
    /// otherwise. Without it, or when that does not help, the whole process ends with exit code 70: a shop whose
    /// orders are taken and never worked on is worse than one that is started anew.
    fn again(&self) -> Option<Box<dyn Process>> {
        None
    }

    /// What an operator can do something about, if anything.
    fn operable(&self) -> Option<Operable> {
        None
    }
}

impl<S: Saga> Process for Runner<S> {
    fn name(&self) -> &'static str {
        "sagas"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin((*self).run(stop))
    }

    fn again(&self) -> Option<Box<dyn Process>> {
        Some(Box::new(self.clone()))
    }

    fn operable(&self) -> Option<Operable> {
        Some(Operable::Sagas(Arc::new(self.clone())))
    }
}

impl Process for Timers {
    fn name(&self) -> &'static str {
        "timers"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin((*self).run(stop))
    }

    fn again(&self) -> Option<Box<dyn Process>> {
        Some(Box::new(self.clone()))
    }
}

impl Process for souk_bus::Reaction {
    fn name(&self) -> &'static str {
        "reaction"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin((*self).run(stop))
    }

    fn again(&self) -> Option<Box<dyn Process>> {
        Some(Box::new(self.clone()))
    }

    fn operable(&self) -> Option<Operable> {
        Some(Operable::Reaction(Box::new(self.clone())))
    }
}
