//! What is to be shipped for one order, and what was called off or held of it. Its parcels are [`Shipment`]s
//! with streams of their own; a decision about both is one commit.
use super::{LINES_MAX, Line, Name, OPERATIONS_MAX, Part, SHIPMENTS_MAX, Shipment, too_many};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, OrderId, RateId, ShipmentId};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Rejection;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The internal reason of a decision that must see shipments which it was not shown: read them and ask again.
pub const SHIPMENTS_NOT_READ: &str = "SHIPMENTS_NOT_READ";
/// Why a fulfilment is refused, for ever.
pub const UNKNOWN_RATE: &str = "UNKNOWN_RATE";
pub const FULFILMENT_CANCELLED: &str = "FULFILMENT_CANCELLED";

/// The order's lines were taken on, one shipment for each location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FulfilmentCreated {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub rate_id: RateId,
    /// As asked for, before what was cancelled earlier.
    pub lines: Arc<[Line]>,
    pub shipment_ids: Arc<[ShipmentId]>,
    /// Where pieces are sent again: whose they are. `order_id` is then a name of its own for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// Pieces of an order that are sent again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// The order that they belong to.
    pub order_id: OrderId,
    /// The parcel that did not arrive.
    pub instead_of: ShipmentId,
    /// The name of the sending, which its fulfilment and the reserved stock have.
    pub resend_id: OrderId,
}

/// Pieces of the order are sent again, by a fulfilment of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SentAgain {
    pub resend_id: OrderId,
    pub shipment_ids: Arc<[ShipmentId]>,
}

/// Nothing will ever be shipped for this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FulfilmentRefused {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub rate_id: RateId,
    pub lines: Arc<[Line]>,
    pub reason: Arc<str>,
}

/// What a cancel came to. It stands for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelOutcome {
    Cancelled,
    TooLate,
}

/// A cancel was decided, perhaps before there was anything to cancel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CancelDecided {
    pub cancel_id: Name,
    pub reason: Arc<str>,
    /// Empty: the whole order.
    pub parts: Arc<[Part]>,
    pub outcome: CancelOutcome,
}

/// The order is held in the house.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldPlaced {
    pub hold_id: Name,
}

/// A hold has ended, perhaps before it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldReleased {
    pub hold_id: Name,
}

/// What happens to a fulfilment.
#[derive(Debug, Clone, PartialEq)]
pub enum FulfilmentEvent {
    FulfilmentCreated(Arc<FulfilmentCreated>),
    FulfilmentRefused(Arc<FulfilmentRefused>),
    CancelDecided(CancelDecided),
    HoldPlaced(HoldPlaced),
    HoldReleased(HoldReleased),
    SentAgain(SentAgain),
}
stored_events!(FulfilmentEvent {
    FulfilmentCreated: 1,
    FulfilmentRefused: 1,
    CancelDecided: 1,
    HoldPlaced: 1,
    HoldReleased: 1,
    SentAgain: 1,
});

/// Whether there is something to ship.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// Nobody has asked yet.
    #[default]
    Unheard,
    Created(Arc<FulfilmentCreated>),
    Refused(Arc<FulfilmentRefused>),
}

/// One order's fulfilment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fulfilment {
    phase: Phase,
    cancels: BTreeMap<Name, Arc<CancelDecided>>,
    /// Whether each hold still holds.
    holds: BTreeMap<Name, bool>,
    /// The parcels that carry pieces of it again.
    again: Vec<ShipmentId>,
}

/// What a cancel leaves in a shipment.
pub type Left = (ShipmentId, Vec<Line>);

/// What a creation asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub rate_id: RateId,
    pub lines: Arc<[Line]>,
    pub again: Option<Again>,
    /// Fresh ids, at least one for each location.
    pub fresh: Vec<ShipmentId>,
}

/// The pieces of a new shipment.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    pub shipment_id: ShipmentId,
    pub number: u32,
    pub location: Location,
    pub lines: Arc<[Line]>,
}

/// A new fulfilment with its shipments' content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taken {
    pub events: Vec<FulfilmentEvent>,
    pub packets: Vec<Packet>,
}

impl Fulfilment {
    /// How far it is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What was taken on, if anything was.
    pub fn created(&self) -> Option<&Arc<FulfilmentCreated>> {
        match &self.phase {
            Phase::Created(created) => Some(created),
            Phase::Unheard | Phase::Refused(_) => None,
        }
    }

    /// Whose it is.
    pub fn subject(&self) -> Option<&Arc<str>> {
        match &self.phase {
            Phase::Created(created) => Some(&created.subject),
            Phase::Refused(refused) => Some(&refused.subject),
            Phase::Unheard => None,
        }
    }

    /// Its shipments, by number.
    pub fn shipment_ids(&self) -> &[ShipmentId] {
        self.created().map_or(&[], |created| &created.shipment_ids)
    }

    /// All its parcels, those that carry pieces again last.
    pub fn all_shipment_ids(&self) -> impl Iterator<Item = &ShipmentId> {
        self.shipment_ids().iter().chain(&self.again)
    }

    /// The holds that hold.
    pub fn holding(&self) -> impl Iterator<Item = &Name> {
        self.holds.iter().filter(|(_, holds)| **holds).map(|(name, _)| name)
    }

    /// What a cancel came to, if it was decided.
    pub fn cancel(&self, cancel_id: &Name) -> Option<&CancelDecided> {
        self.cancels.get(cancel_id).map(Arc::as_ref)
    }

    /// Every cancel that was decided.
    pub fn cancels(&self) -> impl Iterator<Item = &CancelDecided> {
        self.cancels.values().map(Arc::as_ref)
    }

    /// Takes an order on. `has_rate`: there is such a rate of the same subject. The first answer stands.
    pub fn create(&self, wish: &Create, has_rate: bool) -> Result<Taken, Rejection> {
        let said = match &self.phase {
            Phase::Unheard => return Ok(self.first_answer(wish, has_rate)),
            Phase::Created(said) => (said.rate_id, &said.subject, &said.lines),
            Phase::Refused(said) => (said.rate_id, &said.subject, &said.lines),
        };
        if said == (wish.rate_id, &wish.subject, &wish.lines) {
            return Ok(Taken::default());
        }
        Err(Rejection::new("FULFILMENT_CONFLICT", "this order's fulfilment was asked for with other content"))
    }

    fn first_answer(&self, wish: &Create, has_rate: bool) -> Taken {
        let refused = |reason: &str| {
            let Create { order_id, rate_id, .. } = *wish;
            let (subject, lines) = (wish.subject.clone(), wish.lines.clone());
            let refused = FulfilmentRefused { order_id, subject, rate_id, lines, reason: reason.into() };
            let events = vec![FulfilmentEvent::FulfilmentRefused(Arc::new(refused))];
            Taken { events, packets: Vec::new() }
        };
        if !has_rate {
            return refused(UNKNOWN_RATE);
        }
        let packets = split(&self.left_of(&wish.lines), &wish.fresh);
        if packets.is_empty() {
            return refused(FULFILMENT_CANCELLED);
        }
        let created = FulfilmentCreated {
            order_id: wish.order_id,
            subject: wish.subject.clone(),
            rate_id: wish.rate_id,
            lines: wish.lines.clone(),
            shipment_ids: packets.iter().map(|packet| packet.shipment_id).collect(),
            again: wish.again.clone(),
        };
        Taken { events: vec![FulfilmentEvent::FulfilmentCreated(Arc::new(created))], packets }
    }

    /// What earlier cancels leave of the lines.
    fn left_of(&self, lines: &[Line]) -> Vec<Line> {
        let mut left = lines.to_vec();
        for cancel in self.cancels.values() {
            if cancel.parts.is_empty() {
                return Vec::new();
            }
            for part in cancel.parts.iter() {
                take_away(&mut left, *part);
            }
        }
        left
    }

    /// Calls parts (or, without parts, all) of the order off. Decided once for each `cancel_id`: all of what is
    /// asked for, or nothing. Answers the event and what is left in each shipment that changes.
    pub fn cancel_parts(
        &self,
        cancel: &CancelDecided,
        shipments: &[Arc<Shipment>],
    ) -> Result<(Vec<FulfilmentEvent>, Vec<Left>), Rejection> {
        if let Some(known) = self.cancels.get(&cancel.cancel_id) {
            let is_same = known.parts == cancel.parts;
            let reused = Rejection::new("FULFILMENT_CONFLICT", "this cancel was decided about other lines");
            return if is_same { Ok((Vec::new(), Vec::new())) } else { Err(reused) };
        }
        if self.cancels.len() >= OPERATIONS_MAX {
            return Err(too_many("cancels"));
        }
        let decided =
            |outcome| vec![FulfilmentEvent::CancelDecided(CancelDecided { outcome, ..cancel.clone() })];
        let Some(created) = self.created() else {
            return Ok((decided(CancelOutcome::Cancelled), Vec::new()));
        };
        if created.shipment_ids.len() != shipments.len() {
            return Err(Rejection::new(SHIPMENTS_NOT_READ, "the fulfilment was created just now; try again"));
        }
        let left =
            if cancel.parts.is_empty() { nothing_left(shipments) } else { reduced(shipments, &cancel.parts) };
        Ok(match left {
            Some(left) => (decided(CancelOutcome::Cancelled), left),
            None => (decided(CancelOutcome::TooLate), Vec::new()),
        })
    }

    /// Keeps the order in the house. A hold that was released before it came holds nothing.
    pub fn hold(&self, hold_id: &Name) -> Result<Vec<FulfilmentEvent>, Rejection> {
        if self.holds.contains_key(hold_id) {
            return Ok(Vec::new());
        }
        if self.holds.len() >= OPERATIONS_MAX {
            return Err(too_many("holds"));
        }
        Ok(vec![FulfilmentEvent::HoldPlaced(HoldPlaced { hold_id: hold_id.clone() })])
    }

    /// Ends a hold.
    pub fn release(&self, hold_id: &Name) -> Result<Vec<FulfilmentEvent>, Rejection> {
        match self.holds.get(hold_id) {
            Some(false) => Ok(Vec::new()),
            None if self.holds.len() >= OPERATIONS_MAX => Err(too_many("holds")),
            Some(true) | None => {
                Ok(vec![FulfilmentEvent::HoldReleased(HoldReleased { hold_id: hold_id.clone() })])
            }
        }
    }
}

impl Aggregate for Fulfilment {
    type Event = FulfilmentEvent;
    const CATEGORY: &'static str = "fulfilment";

    fn evolve(&mut self, event: &FulfilmentEvent) {
        match event {
            FulfilmentEvent::FulfilmentCreated(created) => self.phase = Phase::Created(created.clone()),
            FulfilmentEvent::FulfilmentRefused(refused) => self.phase = Phase::Refused(refused.clone()),
            FulfilmentEvent::CancelDecided(cancel) => {
                self.cancels.insert(cancel.cancel_id.clone(), Arc::new(cancel.clone()));
            }
            FulfilmentEvent::HoldPlaced(hold) => {
                self.holds.insert(hold.hold_id.clone(), true);
            }
            FulfilmentEvent::HoldReleased(hold) => {
                self.holds.insert(hold.hold_id.clone(), false);
            }
            FulfilmentEvent::SentAgain(again) => self.again.extend(again.shipment_ids.iter()),
        }
    }
}

/// How many locations the lines lie at.
pub fn locations(lines: &[Line]) -> usize {
    lines.iter().map(|line| &line.location).collect::<BTreeSet<_>>().len()
}

/// One packet for each location, by its name.
fn split(lines: &[Line], fresh: &[ShipmentId]) -> Vec<Packet> {
    debug_assert!(lines.len() <= LINES_MAX && locations(lines) <= SHIPMENTS_MAX);
    let mut by_location: BTreeMap<&Location, Vec<Line>> = BTreeMap::new();
    for line in lines {
        by_location.entry(&line.location).or_default().push(line.clone());
    }
    let numbered = by_location.into_iter().zip(fresh).zip(1..);
    numbered
        .map(|(((location, lines), shipment_id), number)| Packet {
            shipment_id: *shipment_id,
            number,
            location: location.clone(),
            lines: lines.into(),
        })
        .collect()
}

/// Every shipment empty; `None` once one of them has left the house.
fn nothing_left(shipments: &[Arc<Shipment>]) -> Option<Vec<Left>> {
    if shipments.iter().any(|shipment| shipment.has_left()) {
        return None;
    }
    let open = shipments.iter().filter(|shipment| shipment.status().is_in_house());
    Some(open.filter_map(|shipment| Some((shipment.id()?, Vec::new()))).collect())
}

/// What is left of the shipments in the house without these parts; `None` when they do not hold them all.
fn reduced(shipments: &[Arc<Shipment>], parts: &[Part]) -> Option<Vec<Left>> {
    let in_house = shipments.iter().filter(|shipment| shipment.status().is_in_house());
    let mut open: Vec<Left> =
        in_house.filter_map(|shipment| Some((shipment.id()?, shipment.lines().to_vec()))).collect();
    let before = open.clone();
    for part in parts {
        let whole = part.quantity == 0;
        // "All of the line" is too late once a piece of it has left.
        let left = |shipment: &Arc<Shipment>| {
            shipment.has_left() && shipment.lines().iter().any(|line| line.line == part.line)
        };
        if whole && shipments.iter().any(left) {
            return None;
        }
        let mut missing = part.quantity;
        for (_, lines) in &mut open {
            let wanted = Part { line: part.line, quantity: missing };
            if whole || missing > 0 {
                missing -= take_away(lines, wanted).min(missing);
            }
        }
        if missing > 0 {
            return None;
        }
    }
    let changed = open.into_iter().zip(before).filter(|(after, before)| after != before);
    Some(changed.map(|(after, _)| after).collect())
}

/// Takes a part out of the lines as far as it is there; answers how many pieces that were.
fn take_away(lines: &mut Vec<Line>, part: Part) -> u32 {
    let mut wanted = if part.quantity == 0 { u32::MAX } else { part.quantity };
    let mut taken = 0;
    lines.retain_mut(|line| {
        if line.line != part.line || wanted == 0 {
            return true;
        }
        let here = line.quantity.get().min(wanted);
        (wanted, taken) = (wanted - here, taken + here);
        let rest = souk_contracts::terms::Quantity::try_new(line.quantity.get() - here);
        rest.map(|rest| line.quantity = rest).is_ok()
    });
    taken
}
