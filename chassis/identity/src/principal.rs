//! Who calls, once the token was checked.
use serde::{Deserialize, Serialize};
use souk_kernel::Timestamp;

/// What sort of caller it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody who has not said who they are, known only by their session.
    Guest,
    /// A registered customer.
    Customer,
    /// Somebody who works for the shop; what they may do is in their roles.
    Staff,
    /// One of our own services.
    Service,
}

/// A caller whose token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `gst_…`, `stf_…` or `svc:order`.
    pub subject: String,
    /// What sort of caller it is.
    pub kind: Kind,
    /// What a member of staff may do, for example `sales`.
    pub roles: Vec<String>,
    /// The person on whose behalf a service acts.
    pub actor_for: Option<String>,
    /// When the token expires.
    pub expires: Timestamp,
}

/// What the subject of a service begins with.
pub(crate) const SERVICE_PREFIX: &str = "svc:";

impl Principal {
    /// Whether `role` is among the roles.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// The service's name if the caller is a service.
    pub fn service(&self) -> Option<&str> {
        match self.kind {
            Kind::Service => self.subject.strip_prefix(SERVICE_PREFIX),
            Kind::Guest | Kind::Customer | Kind::Staff => None,
        }
    }

    /// Whose things the call is about: the person for whom a service acts, else the caller.
    pub fn owner(&self) -> &str {
        self.actor_for.as_deref().unwrap_or(&self.subject)
    }
}
