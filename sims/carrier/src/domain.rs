//! The carrier's rules: what becomes of a label and of its parcel. One stream per label; its key names it, and has
//! at most one effect, for ever.
use crate::scenarios::{COLLECTED, Scenario};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Code, Rejection, Timestamp};
use std::sync::Arc;

/// The service that carries parcels back from customers. They bring these themselves.
pub const RETURN: &str = "return";

/// A label that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub key: String,
    pub service: String,
    pub country: String,
    pub scenario: String,
    /// The merchant's own reference.
    pub reference: String,
}

/// The carrier will carry one parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelBought {
    pub order: Order,
    pub tracking_code: String,
}

/// There will never be a label under this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelDeclined {
    pub order: Order,
    pub code: String,
}

/// The label is given back. For a key that was never heard of this is the tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelVoided {
    pub key: String,
}

/// A call came and had no effect; remembered so that the next one works, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailed {
    pub key: String,
}

/// The parcel was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    pub event_id: String,
    pub status: String,
    pub at: Timestamp,
}

/// What stands in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    LabelBought(LabelBought),
    LabelDeclined(LabelDeclined),
    LabelVoided(LabelVoided),
    AttemptFailed(AttemptFailed),
    Scanned(Scanned),
}
stored_events!(Event { LabelBought: 1, LabelDeclined: 1, LabelVoided: 1, AttemptFailed: 1, Scanned: 1 });

/// How a label stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Label {
    /// Nobody asked for it.
    #[default]
    Unheard,
    /// A call failed without an effect.
    Failed,
    /// It is good for one parcel.
    Bought { tracking_code: String },
    /// There will never be one; the stable code says why.
    Declined(String),
    /// It was given back; with its code when there was one.
    Voided(Option<String>),
}

/// One label and its parcel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    order: Option<Arc<Order>>,
    label: Label,
    scans: Vec<Arc<Scanned>>,
}

impl Parcel {
    /// What was asked for, once it was.
    pub fn order(&self) -> Option<&Order> {
        self.order.as_deref()
    }
    /// How its label stands.
    pub fn label(&self) -> &Label {
        &self.label
    }
    /// What was scanned.
    pub fn scans(&self) -> &[Arc<Scanned>] {
        &self.scans
    }
    /// Whether the carrier has, or had, the parcel.
    pub fn is_collected(&self) -> bool {
        !self.scans.is_empty()
    }
    /// What is played with it.
    pub fn scenario(&self) -> Option<Scenario> {
        self.order.as_ref().and_then(|order| Scenario::parse(&order.scenario))
    }
    /// Whether the customer brings it.
    pub fn is_return(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.service == RETURN)
    }
    /// Whether something more will be scanned of it.
    pub fn has_more(&self) -> bool {
        self.next_status().is_some()
    }

    fn next_status(&self) -> Option<&'static str> {
        match self.label {
            Label::Bought { .. } => self.scenario()?.scans(self.is_return()).get(self.scans.len()).copied(),
            Label::Unheard | Label::Failed | Label::Declined(_) | Label::Voided(_) => None,
        }
    }

    /// Buys a label. The first outcome stands.
    pub fn buy(&self, order: &Order) -> Result<Vec<Event>, Rejection> {
        let is_known = |known: &Arc<Order>| **known == *order;
        let other = Rejection::new("KEY_REUSED", "this key came with other content before");
        if self.order.as_ref().is_some_and(|known| !is_known(known)) {
            return Err(other.code(Code::AlreadyExists));
        }
        let declined = |code: &str| {
            let (order, code) = (order.clone(), code.to_owned());
            Ok(vec![Event::LabelDeclined(LabelDeclined { order, code })])
        };
        let has_failed = match &self.label {
            Label::Unheard => false,
            Label::Failed => true,
            Label::Voided(None) if self.order.is_none() => return declined("voided"),
            Label::Bought { .. } | Label::Declined(_) | Label::Voided(_) => return Ok(Vec::new()),
        };
        match Scenario::parse(&order.scenario) {
            None => declined("unknown_scenario"),
            Some(Scenario::Declined) => declined("service_unavailable"),
            Some(Scenario::TimeoutBefore) if !has_failed => {
                Ok(vec![Event::AttemptFailed(AttemptFailed { key: order.key.clone() })])
            }
            Some(_) => {
                let (order, tracking_code) = (order.clone(), tracking_code(&order.key));
                Ok(vec![Event::LabelBought(LabelBought { order, tracking_code })])
            }
        }
    }

    /// Gives a label back. What has been collected is carried.
    pub fn void(&self, key: &str) -> Vec<Event> {
        let voided = || vec![Event::LabelVoided(LabelVoided { key: key.to_owned() })];
        match &self.label {
            Label::Unheard | Label::Failed => voided(),
            Label::Bought { .. } if !self.is_collected() => voided(),
            Label::Bought { .. } | Label::Declined(_) | Label::Voided(_) => Vec::new(),
        }
    }

    /// The parcel is at the carrier's door.
    pub fn collect(&self, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match &self.label {
            Label::Bought { .. } if self.is_collected() => Ok(Vec::new()),
            Label::Bought { .. } => Ok(self.scan(COLLECTED, now)),
            Label::Unheard | Label::Failed | Label::Declined(_) | Label::Voided(_) => {
                let unknown = Rejection::new("UNKNOWN_LABEL", "there is no such label");
                Err(unknown.code(Code::NotFound))
            }
        }
    }

    /// The parcel is seen again.
    pub fn move_on(&self, now: Timestamp) -> Vec<Event> {
        self.next_status().map(|status| self.scan(status, now)).unwrap_or_default()
    }

    fn scan(&self, status: &str, at: Timestamp) -> Vec<Event> {
        let Label::Bought { tracking_code } = &self.label else { return Vec::new() };
        let event_id = format!("{tracking_code}-{}", self.scans.len() + 1);
        vec![Event::Scanned(Scanned { event_id, status: status.to_owned(), at })]
    }
}

impl Aggregate for Parcel {
    type Event = Event;
    const CATEGORY: &'static str = "parcel";

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::LabelBought(bought) => {
                self.order = Some(Arc::new(bought.order.clone()));
                self.label = Label::Bought { tracking_code: bought.tracking_code.clone() };
            }
            Event::LabelDeclined(declined) => {
                self.order = Some(Arc::new(declined.order.clone()));
                self.label = Label::Declined(declined.code.clone());
            }
            Event::LabelVoided(_) => {
                self.label = match std::mem::take(&mut self.label) {
                    Label::Bought { tracking_code } => Label::Voided(Some(tracking_code)),
                    Label::Unheard | Label::Failed | Label::Declined(_) | Label::Voided(_) => {
                        Label::Voided(None)
                    }
                };
            }
            Event::AttemptFailed(_) => self.label = Label::Failed,
            Event::Scanned(scanned) => self.scans.push(Arc::new(scanned.clone())),
        }
    }
}

/// The same for the same key: FNV-1a (Fowler, Noll, Vo) over it.
fn tracking_code(key: &str) -> String {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("SIM{hash:016X}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_decider::testing::Given;

    fn order(scenario: &str) -> Order {
        let text = str::to_owned;
        let (key, service) = (text("k"), text("standard"));
        Order { key, service, country: text("GB"), scenario: text(scenario), reference: text("r") }
    }

    fn bought(scenario: &str) -> Event {
        Event::LabelBought(LabelBought { order: order(scenario), tracking_code: tracking_code("k") })
    }

    fn declined(scenario: &str, code: &str) -> Event {
        Event::LabelDeclined(LabelDeclined { order: order(scenario), code: code.to_owned() })
    }

    fn voided() -> Event {
        Event::LabelVoided(LabelVoided { key: "k".to_owned() })
    }

    const NOW: Timestamp = Timestamp::from_unix_s(5);

    #[test]
    fn a_label_is_bought_once_under_its_key() {
        Given::<Parcel>::nothing().when(|parcel| parcel.buy(&order(""))).then(vec![bought("")]);
        Given::<Parcel>::events(vec![bought("")]).when(|parcel| parcel.buy(&order(""))).then(vec![]);
        let other = Order { country: "DE".to_owned(), ..order("") };
        Given::<Parcel>::events(vec![bought("")])
            .when(|parcel| parcel.buy(&other))
            .then_rejects("KEY_REUSED");
        Given::<Parcel>::nothing()
            .when(|parcel| parcel.buy(&order("teleported")))
            .then(vec![declined("teleported", "unknown_scenario")]);
        Given::<Parcel>::nothing()
            .when(|parcel| parcel.buy(&order("declined")))
            .then(vec![declined("declined", "service_unavailable")]);
    }

    #[test]
    fn a_void_leaves_a_tombstone_and_never_takes_a_parcel_back() {
        let nothing_new = |events: Vec<Event>| Ok::<_, Rejection>(events);
        Given::<Parcel>::nothing().when(|parcel| nothing_new(parcel.void("k"))).then(vec![voided()]);
        Given::<Parcel>::events(vec![voided()])
            .when(|parcel| parcel.buy(&order("")))
            .then(vec![declined("", "voided")]);
        let collected = fold(&[bought("")]).collect(NOW).expect("it is bought");
        Given::<Parcel>::events(vec![bought("")])
            .and(collected)
            .when(|parcel| nothing_new(parcel.void("k")))
            .then(vec![]);
        Given::<Parcel>::events(vec![bought(""), voided()])
            .when(|parcel| parcel.collect(NOW))
            .then_rejects("UNKNOWN_LABEL");
    }

    fn fold(events: &[Event]) -> Parcel {
        souk_decider::fold(events)
    }

    #[test]
    fn every_scenario_comes_to_its_end() {
        for (name, scenario) in crate::scenarios::SCENARIOS {
            let mut parcel = fold(&[bought(name)]);
            for event in parcel.collect(NOW).expect("it is bought") {
                parcel.evolve(&event);
            }
            for _ in 0..20 {
                parcel.move_on(NOW).iter().for_each(|event| parcel.evolve(event));
            }
            let scans: Vec<&str> = parcel.scans().iter().map(|scan| scan.status.as_str()).collect();
            assert_eq!(scans, scenario.scans(false), "{name}");
            assert!(!parcel.has_more());
        }
    }

    #[test]
    fn golden_files_hold_every_stored_shape() {
        let scanned = Scanned { event_id: "T-1".to_owned(), status: "DELIVERED".to_owned(), at: NOW };
        souk_decider::golden::check(
            env!("CARGO_MANIFEST_DIR"),
            &[
                bought("lost"),
                declined("", "voided"),
                voided(),
                Event::AttemptFailed(AttemptFailed { key: "k".to_owned() }),
                Event::Scanned(scanned),
            ],
        );
    }
}
