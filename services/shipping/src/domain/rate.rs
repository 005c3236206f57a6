//! A rate: what it costs to ship something somewhere, promised to one subject. It holds the sealed address, so
//! that what is shipped later goes where the price was made for.
use super::Address;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Market, RateId};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Money, Sealed, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long a rate can be used in a new quote.
pub const RATE_TTL: Duration = Duration::from_secs(15 * 60);

/// The rate was promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateQuoted {
    pub rate_id: RateId,
    pub subject: Arc<str>,
    pub market: Market,
    pub service: Arc<str>,
    pub carrier: Arc<str>,
    pub price: Money,
    pub days_min: u32,
    pub days_max: u32,
    pub country: Arc<str>,
    pub region: Arc<str>,
    pub address: Sealed<Address>,
    /// How the carrier is to treat the parcels, in its own words; empty: as usual.
    pub scenario: Arc<str>,
    pub expires_at: Timestamp,
}

/// What happens to a rate.
#[derive(Debug, Clone, PartialEq)]
pub enum RateEvent {
    RateQuoted(Arc<RateQuoted>),
}
stored_events!(RateEvent { RateQuoted: 1 });

/// One rate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rate {
    quoted: Option<Arc<RateQuoted>>,
}

impl Rate {
    /// What was promised, if anything.
    pub fn quoted(&self) -> Option<&Arc<RateQuoted>> {
        self.quoted.as_ref()
    }
}

impl Aggregate for Rate {
    type Event = RateEvent;
    const CATEGORY: &'static str = "rate";

    fn evolve(&mut self, event: &RateEvent) {
        let RateEvent::RateQuoted(quoted) = event;
        self.quoted = Some(quoted.clone());
    }
}
