//! Who is there: opens the shop to guests, and makes the tokens of staff and customers.
//!
//! Deliberately absent: state. A guest is a subject that nobody else has and a token that says so until it
//! expires; recording guests would only let a flood of visitors fill a disk.

pub mod domain;
mod grpc;

pub use domain::Role;

use souk_contracts::terms::UserId;
use souk_contracts::user::v1 as pb;
use souk_eventstore::View;
use souk_host::{Resources, Service};
use souk_identity::Signer;
use souk_kernel::{Clock, Ids};
use souk_rpc::Bound;
use std::sync::Arc;
use std::time::Duration;

/// The service, for the host's list.
pub fn service() -> impl Service {
    User
}

struct User;

impl Service for User {
    fn name(&self) -> &'static str {
        "user"
    }

    fn views(&self) -> Vec<View> {
        Vec::new()
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        vec![pb::bind(Arc::new(grpc::User { own: own.clone() }), Arc::clone(&own.guard))]
    }
}

/// A token for a new member of staff, for `souk token`. It lasts `ttl`, at most [`domain::STAFF_TTL_MAX`].
pub fn staff_token(signer: &Signer, clock: &dyn Clock, ids: &Ids, role: Role, ttl: Duration) -> String {
    signer.sign(&domain::staff(ids.new_id(), ids.uuid(), role, ttl, clock.now()))
}

/// A token for a customer, for `souk token`. It lasts `ttl`, at most [`domain::CUSTOMER_TTL_MAX`].
pub fn customer_token(signer: &Signer, clock: &dyn Clock, ids: &Ids, id: UserId, ttl: Duration) -> String {
    signer.sign(&domain::customer(id, ids.uuid(), ttl, clock.now()))
}
