//! The rules of telling people things: an inbox per person, their preferences, deliveries outside of the house
//! (e-mail, partners' webhooks), and the receivers that partners register. Pure.
//!
//! Deliberately not here: texts that staff can edit (templates are part of a release, so that what was told can
//! be read again), quiet hours, and broadcasts.
pub mod delivery;
pub mod endpoint;
pub mod inbox;
pub mod preferences;
pub mod reach;
pub mod templates;
#[cfg(test)]
mod tests;

pub use delivery::{Delivery, DeliveryEvent};
pub use endpoint::{Endpoint, EndpointEvent};
pub use inbox::{Inbox, InboxEvent};
pub use preferences::{Preferences, PreferencesEvent};

use serde::{Deserialize, Serialize};
use souk_kernel::{TypeId, Uuid, typed_id};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

typed_id!(
    /// One thing that one person was told.
    NotificationId,
    "ntf"
);
typed_id!(
    /// One message that leaves the house: an e-mail, or a call to a partner.
    DeliveryId,
    "dlv"
);
typed_id!(
    /// One receiver of a partner.
    EndpointId,
    "whk"
);

/// What a text's placeholders stand for. Never personal: ids, amounts, codes.
pub type Facts = BTreeMap<String, String>;

/// The claim (person, dedup key) → notification: nothing is told twice (I-NO-1).
pub const TOLD_SCOPE: &str = "told";

/// News that are older than this are shown in the inbox and not pushed any more: a reaction that starts late or
/// is redriven must not send yesterday's mail.
pub const PUSHED_WITHIN: Duration = Duration::from_secs(3_600);

/// What a message is about, which decides what can be turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Category {
    /// About a sale or money; cannot be turned off.
    Transactional,
    /// How a sale goes on.
    Progress,
    /// Everything that was not asked for.
    News,
}

impl Category {
    /// All of them.
    pub const ALL: [Category; 3] = [Category::Transactional, Category::Progress, Category::News];

    /// As tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Category::Transactional => "transactional",
            Category::Progress => "progress",
            Category::News => "news",
        }
    }
}

/// Something that happened and that somebody may be told.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Its type, for example `order.confirmed`; also the template's name, if there is one.
    pub what: &'static str,
    /// Whom it is about.
    pub subject: Arc<str>,
    /// What the text speaks of.
    pub facts: Facts,
}

/// The notification of this person under this key: the same id whenever it is told again.
pub fn notification_id(subject: &str, dedup_key: &str) -> NotificationId {
    NotificationId::from_uuid(derived(&["notification", subject, dedup_key]))
}

/// The delivery of `what` on a channel: the same id whenever it is queued again.
pub fn delivery_id(what: &str, channel: &str) -> DeliveryId {
    DeliveryId::from_uuid(derived(&["delivery", what, channel]))
}

/// The endpoint of this name.
pub fn endpoint_id(name: &str) -> EndpointId {
    EndpointId::from_uuid(derived(&["endpoint", name]))
}

/// The first half of a hash over parts, which are told apart by their lengths: no two lists give the same text.
fn derived(parts: &[&str]) -> Uuid {
    let text: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let half = digest.as_ref().first_chunk::<16>().expect("a SHA-256 has 32 bytes");
    Uuid::from_bytes(*half)
}
