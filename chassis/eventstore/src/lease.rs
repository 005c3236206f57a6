//! Leases: who may do a piece of background work, with an epoch that every takeover raises.
//!
//! The store's lock proves that every owner of an earlier process is gone. So only the epochs are kept in the
//! file; who holds what until when is known in memory, and renewing costs no sync.
use souk_kernel::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A lease that was acquired. What is written for it carries it as a [`Fence`](crate::Fence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: Arc<str>,
    /// How often it has changed hands.
    pub epoch: u64,
}

impl Lease {
    /// The condition that a commit must carry.
    pub fn fence(&self) -> crate::Fence {
        crate::Fence { lease: Arc::clone(&self.name), epoch: self.epoch }
    }
}

struct Held {
    owner: Arc<str>,
    epoch: u64,
    expires: Timestamp,
}

/// What this process knows of its leases.
#[derive(Default)]
pub(crate) struct Leases(HashMap<Arc<str>, Held>);

/// What a wish for a lease comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The owner has it already; it was renewed.
    Renewed(Lease),
    /// Somebody else has it.
    Held,
    /// It is free: it must be taken over in the file.
    Free,
}

impl Leases {
    pub(crate) fn wish(&mut self, name: &Arc<str>, owner: &str, now: Timestamp, ttl: Duration) -> Wish {
        match self.0.get_mut(name) {
            Some(held) if *held.owner == *owner => {
                held.expires = now.plus(ttl);
                Wish::Renewed(Lease { name: Arc::clone(name), epoch: held.epoch })
            }
            Some(held) if held.expires > now => Wish::Held,
            Some(_) | None => Wish::Free,
        }
    }

    pub(crate) fn taken(&mut self, taken: crate::batch::Taken) {
        let held = Held { owner: taken.owner, epoch: taken.epoch, expires: taken.expires };
        self.0.insert(taken.name, held);
    }

    /// Gives a lease up, if it is still the owner's.
    pub(crate) fn release(&mut self, lease: &Lease) {
        if self.0.get(&lease.name).is_some_and(|held| held.epoch == lease.epoch) {
            self.0.remove(&lease.name);
        }
    }
}
