//! A parcel: packed, labelled, handed over and carried, or a return on its way back. What must be done about it
//! outside (labels, the carrier's collection) follows from its state and stands in `carry.rs`.
use super::scan::{self, Scan, Seen};
use super::{Address, Line, Name, fulfilment::Again};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::{Location, OrderId, RateId, ShipmentId};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Rejection, Sealed, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A carrier that has said nothing for so long has lost the parcel.
pub const SILENCE_MAX: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Where a parcel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    #[default]
    Pending,
    Packed,
    Labelled,
    HandedOver,
    InTransit,
    OutForDelivery,
    Delivered,
    DeliveryFailed,
    ReturningToSender,
    ReturnedToSender,
    Lost,
    Damaged,
    Cancelled,
}

impl Status {
    /// Whether it can still be called off.
    pub fn is_in_house(self) -> bool {
        matches!(self, Status::Pending | Status::Packed | Status::Labelled)
    }

    /// Whether the carrier has it and has not said its last word.
    pub fn is_with_carrier(self) -> bool {
        matches!(
            self,
            Status::HandedOver
                | Status::InTransit
                | Status::OutForDelivery
                | Status::DeliveryFailed
                | Status::ReturningToSender
        )
    }

    /// Whether nothing more is expected of it. What was lost may still be found.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Status::Delivered | Status::ReturnedToSender | Status::Lost | Status::Damaged | Status::Cancelled
        )
    }
}

/// The parcel's own name, its order's and its owner's: what every event that others hear of begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Of {
    pub order_id: OrderId,
    pub shipment_id: ShipmentId,
    pub subject: Arc<str>,
}

/// A parcel is to be made of these lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentCreated {
    pub of: Of,
    pub number: u32,
    pub rate_id: RateId,
    pub location: Location,
    pub lines: Arc<[Line]>,
    pub service: Arc<str>,
    pub carrier: Arc<str>,
    pub scenario: Arc<str>,
    pub country: Arc<str>,
    pub region: Arc<str>,
    /// As the rate had it (I-SH-5).
    pub address: Sealed<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// A label for a parcel back from the customer is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnAsked {
    pub return_id: Name,
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub carrier: Arc<str>,
    pub scenario: Arc<str>,
    pub country: Arc<str>,
}

/// There will never be a label for this return.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnRefused {
    pub return_id: Name,
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub reason: Arc<str>,
}

/// The return's label is to be worthless, perhaps before there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnVoided {
    pub return_id: Name,
    /// Whether the carrier has to hear of it.
    pub has_label: bool,
}

/// The customer's parcel is back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnArrived {
    pub return_id: Name,
    pub order_id: OrderId,
    pub subject: Arc<str>,
    pub scan: Scan,
}

/// The parcel is held in the house, or no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub hold_id: Name,
}

/// The goods are in their box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentPacked {
    pub of: Of,
}

/// We mean to buy a label under this key. Recorded before the carrier hears of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelAsked {
    pub key: Arc<str>,
}

/// The label is ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelBought {
    pub key: Arc<str>,
    pub tracking_code: Arc<str>,
}

/// The carrier will not carry it under this key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelRefused {
    pub key: Arc<str>,
    pub code: Arc<str>,
}

/// The label is worth nothing any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelVoided {
    pub key: Arc<str>,
}

/// A cancel took a part out of the parcel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentReduced {
    pub cancel_id: Name,
    /// What is left.
    pub lines: Arc<[Line]>,
}

/// A cancel left nothing in the parcel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentCancelled {
    pub of: Of,
    pub cancel_id: Name,
    pub reason: Arc<str>,
    /// Whether the carrier has to hear of it.
    pub has_label: bool,
}

/// The carrier has the parcel: nothing of it can be cancelled any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentHandedOver {
    pub of: Of,
    pub lines: Arc<[Line]>,
    pub carrier: Arc<str>,
    pub tracking_code: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// The carrier knows that it has the parcel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParcelCollected {
    pub key: Arc<str>,
}

/// A scan moved the parcel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    pub of: Of,
    pub scan: Scan,
}

/// The parcel is back with us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentReturnedToSender {
    pub of: Of,
    pub lines: Arc<[Line]>,
    pub scan: Scan,
}

/// How we know that a parcel is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostBy {
    /// The carrier says so.
    Scan(Scan),
    /// The carrier has said nothing for two weeks.
    Silence,
}

/// The parcel is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentLost {
    pub of: Of,
    pub by: LostBy,
}

/// A scan was old news: it ends the silence and moves nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanNoted {
    pub scan: Scan,
}

/// The carrier has not answered for so many attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepDelayed {
    pub step: Arc<str>,
    pub attempts: u32,
    pub reason: Arc<str>,
}

/// What happens to a parcel.
#[derive(Debug, Clone, PartialEq)]
pub enum ShipmentEvent {
    ShipmentCreated(Arc<ShipmentCreated>),
    ReturnAsked(Arc<ReturnAsked>),
    ReturnRefused(ReturnRefused),
    ReturnVoided(ReturnVoided),
    ReturnArrived(ReturnArrived),
    ShipmentHeld(Hold),
    ShipmentFreed(Hold),
    ShipmentPacked(ShipmentPacked),
    LabelAsked(LabelAsked),
    LabelBought(LabelBought),
    LabelRefused(LabelRefused),
    LabelVoided(LabelVoided),
    ShipmentReduced(ShipmentReduced),
    ShipmentCancelled(ShipmentCancelled),
    ShipmentHandedOver(ShipmentHandedOver),
    ParcelCollected(ParcelCollected),
    ShipmentInTransit(Moved),
    ShipmentOutForDelivery(Moved),
    ShipmentDelivered(Moved),
    ShipmentDeliveryFailed(Moved),
    ShipmentReturning(Moved),
    ShipmentReturnedToSender(ShipmentReturnedToSender),
    ShipmentLost(ShipmentLost),
    ShipmentDamaged(Moved),
    ScanNoted(ScanNoted),
    StepDelayed(StepDelayed),
}
stored_events!(ShipmentEvent {
    ShipmentCreated: 1,
    ReturnAsked: 1,
    ReturnRefused: 1,
    ReturnVoided: 1,
    ReturnArrived: 1,
    ShipmentHeld: 1,
    ShipmentFreed: 1,
    ShipmentPacked: 1,
    LabelAsked: 1,
    LabelBought: 1,
    LabelRefused: 1,
    LabelVoided: 1,
    ShipmentReduced: 1,
    ShipmentCancelled: 1,
    ShipmentHandedOver: 1,
    ParcelCollected: 1,
    ShipmentInTransit: 1,
    ShipmentOutForDelivery: 1,
    ShipmentDelivered: 1,
    ShipmentDeliveryFailed: 1,
    ShipmentReturning: 1,
    ShipmentReturnedToSender: 1,
    ShipmentLost: 1,
    ShipmentDamaged: 1,
    ScanNoted: 1,
    StepDelayed: 1,
});

/// The label of a parcel; there is at most one that is worth something (I-SH-2).
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Label {
    #[default]
    None,
    Asked {
        key: Arc<str>,
    },
    Bought {
        key: Arc<str>,
        tracking_code: Arc<str>,
    },
    Refused {
        key: Arc<str>,
        code: Arc<str>,
    },
    Voided,
}

/// A return on its way.
#[derive(Debug, Clone, PartialEq)]
pub enum Back {
    Asked(Arc<ReturnAsked>),
    Arrived(Arc<ReturnAsked>),
    Refused(Arc<ReturnRefused>),
}

/// One parcel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shipment {
    created: Option<Arc<ShipmentCreated>>,
    back: Option<Back>,
    is_void: bool,
    lines: Arc<[Line]>,
    status: Status,
    label: Label,
    labels_asked: u32,
    is_collected: bool,
    holds: BTreeSet<Name>,
    scanned_at: Timestamp,
}

impl Shipment {
    /// What it was made as; absent for a return.
    pub fn created(&self) -> Option<&Arc<ShipmentCreated>> {
        self.created.as_ref()
    }
    /// Its id; absent for a return.
    pub fn id(&self) -> Option<ShipmentId> {
        self.created.as_ref().map(|created| created.of.shipment_id)
    }
    /// The return that it is, if it is one.
    pub fn back(&self) -> Option<&Back> {
        self.back.as_ref()
    }
    /// Whether its label is to be worthless: cancelled, or a return that was voided.
    pub fn is_void(&self) -> bool {
        self.is_void || self.status == Status::Cancelled
    }
    /// What is in it.
    pub fn lines(&self) -> &Arc<[Line]> {
        &self.lines
    }
    /// Where it is.
    pub fn status(&self) -> Status {
        self.status
    }
    /// Its label.
    pub fn label(&self) -> &Label {
        &self.label
    }
    /// Whether the carrier knows that it has it.
    pub fn is_collected(&self) -> bool {
        self.is_collected
    }
    /// Whether something keeps it in the house.
    pub fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }
    /// Whether the carrier has or had it.
    pub fn has_left(&self) -> bool {
        self.created.is_some() && !self.status.is_in_house() && self.status != Status::Cancelled
    }
    /// The label's tracking code; empty without one.
    pub fn tracking_code(&self) -> &str {
        match &self.label {
            Label::Bought { tracking_code, .. } => tracking_code,
            Label::None | Label::Asked { .. } | Label::Refused { .. } | Label::Voided => "",
        }
    }
    /// Whether there is, or may be, a label that is worth something.
    pub fn has_label(&self) -> bool {
        match self.label {
            Label::Asked { .. } | Label::Bought { .. } => true,
            Label::None | Label::Refused { .. } | Label::Voided => false,
        }
    }
    /// Whether its carrier's next notice matters.
    pub fn hears(&self) -> bool {
        match (&self.back, &self.label) {
            (Some(Back::Asked(_) | Back::Arrived(_)), Label::Bought { .. }) => true,
            (Some(_), _) => false,
            (None, _) => self.has_left(),
        }
    }

    /// The key of the next label to ask for.
    pub fn next_key(&self) -> Option<Arc<str>> {
        let number = self.labels_asked + 1;
        match (&self.created, &self.back) {
            (Some(created), _) => Some(format!("{}:label:{number}", created.of.shipment_id).into()),
            (None, Some(Back::Asked(asked))) => Some(format!("return:{}:label", asked.return_id).into()),
            (None, _) => None,
        }
    }

    fn of(&self) -> Result<Of, Rejection> {
        self.created
            .as_ref()
            .map(|created| created.of.clone())
            .ok_or_else(|| super::not_found("the shipment"))
    }

    /// The goods are in their box. Saying it again is fine.
    pub fn pack(&self) -> Result<Vec<ShipmentEvent>, Rejection> {
        let of = self.of()?;
        match self.status {
            Status::Pending => Ok(vec![ShipmentEvent::ShipmentPacked(ShipmentPacked { of })]),
            Status::Cancelled => Err(cancelled()),
            Status::Packed
            | Status::Labelled
            | Status::HandedOver
            | Status::InTransit
            | Status::OutForDelivery
            | Status::Delivered
            | Status::DeliveryFailed
            | Status::ReturningToSender
            | Status::ReturnedToSender
            | Status::Lost
            | Status::Damaged => Ok(Vec::new()),
        }
    }

    /// A label is wanted. After a refusal the carrier is asked anew, under another key.
    pub fn ask_label(&self) -> Result<Vec<ShipmentEvent>, Rejection> {
        self.of()?;
        match self.status {
            Status::Pending => return Err(self.not_ready()),
            Status::Cancelled => return Err(cancelled()),
            Status::Packed => {}
            Status::Labelled
            | Status::HandedOver
            | Status::InTransit
            | Status::OutForDelivery
            | Status::Delivered
            | Status::DeliveryFailed
            | Status::ReturningToSender
            | Status::ReturnedToSender
            | Status::Lost
            | Status::Damaged => return Ok(Vec::new()),
        }
        match (&self.label, self.next_key()) {
            (Label::None | Label::Refused { .. }, Some(key)) => {
                Ok(vec![ShipmentEvent::LabelAsked(LabelAsked { key })])
            }
            (Label::None | Label::Refused { .. } | Label::Asked { .. }, _) => Ok(Vec::new()),
            (Label::Bought { .. } | Label::Voided, _) => Ok(Vec::new()),
        }
    }

    /// The carrier has it. This and a cancel are decided one after the other: one of them wins (E7).
    pub fn hand_over(&self) -> Result<Vec<ShipmentEvent>, Rejection> {
        let of = self.of()?;
        match self.status {
            Status::Pending | Status::Packed => return Err(self.not_ready()),
            Status::Cancelled => return Err(cancelled()),
            Status::Labelled => {}
            Status::HandedOver
            | Status::InTransit
            | Status::OutForDelivery
            | Status::Delivered
            | Status::DeliveryFailed
            | Status::ReturningToSender
            | Status::ReturnedToSender
            | Status::Lost
            | Status::Damaged => return Ok(Vec::new()),
        }
        if self.is_held() {
            return Err(Rejection::new("FULFILMENT_HELD", "the order is held in the house"));
        }
        let carrier = self.created.as_ref().map(|created| created.carrier.clone()).unwrap_or_default();
        Ok(vec![ShipmentEvent::ShipmentHandedOver(ShipmentHandedOver {
            of,
            lines: self.lines.clone(),
            carrier,
            tracking_code: self.tracking_code().into(),
            again: self.created().and_then(|created| created.again.clone()),
        })])
    }

    /// What a cancel leaves in it.
    pub fn reduce(&self, cancel_id: &Name, reason: &Arc<str>, left: Vec<Line>) -> Vec<ShipmentEvent> {
        let Ok(of) = self.of() else { return Vec::new() };
        let cancel_id = cancel_id.clone();
        vec![if left.is_empty() {
            let (reason, has_label) = (reason.clone(), self.has_label());
            ShipmentEvent::ShipmentCancelled(ShipmentCancelled { of, cancel_id, reason, has_label })
        } else {
            ShipmentEvent::ShipmentReduced(ShipmentReduced { cancel_id, lines: left.into() })
        }]
    }

    /// A hold begins or ends, as far as it still matters here.
    pub fn held(&self, hold_id: &Name, holds: bool) -> Vec<ShipmentEvent> {
        if !self.status.is_in_house() || self.holds.contains(hold_id) == holds {
            return Vec::new();
        }
        let hold = Hold { hold_id: hold_id.clone() };
        vec![if holds { ShipmentEvent::ShipmentHeld(hold) } else { ShipmentEvent::ShipmentFreed(hold) }]
    }

    /// Takes in what the carrier saw. Whatever it is, it ends the carrier's silence.
    pub fn hear(&self, scan: &Scan) -> Vec<ShipmentEvent> {
        let noted = || vec![ShipmentEvent::ScanNoted(ScanNoted { scan: scan.clone() })];
        if let Some(back) = &self.back {
            let Back::Asked(asked) = back else { return noted() };
            return if scan.seen == Seen::Delivered { vec![arrived(asked, scan)] } else { noted() };
        }
        let Ok(of) = self.of() else { return Vec::new() };
        let is_newer = scan.at > self.scanned_at;
        let Some(next) = scan::moved(self.status, scan.seen, is_newer) else { return noted() };
        let moved = Moved { of, scan: scan.clone() };
        vec![match next {
            Status::InTransit => ShipmentEvent::ShipmentInTransit(moved),
            Status::OutForDelivery => ShipmentEvent::ShipmentOutForDelivery(moved),
            Status::Delivered => ShipmentEvent::ShipmentDelivered(moved),
            Status::DeliveryFailed => ShipmentEvent::ShipmentDeliveryFailed(moved),
            Status::ReturningToSender => ShipmentEvent::ShipmentReturning(moved),
            Status::Damaged => ShipmentEvent::ShipmentDamaged(moved),
            Status::ReturnedToSender => {
                let Moved { of, scan } = moved;
                let lines = self.lines.clone();
                ShipmentEvent::ShipmentReturnedToSender(ShipmentReturnedToSender { of, lines, scan })
            }
            Status::Lost => {
                let Moved { of, scan } = moved;
                ShipmentEvent::ShipmentLost(ShipmentLost { of, by: LostBy::Scan(scan) })
            }
            Status::Pending | Status::Packed | Status::Labelled | Status::HandedOver | Status::Cancelled => {
                return noted();
            }
        }]
    }

    /// The carrier has been silent for too long (E6).
    pub fn silent(&self) -> Vec<ShipmentEvent> {
        match self.of() {
            Ok(of) if self.status.is_with_carrier() => {
                vec![ShipmentEvent::ShipmentLost(ShipmentLost { of, by: LostBy::Silence })]
            }
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    /// A label for a return is wanted. `known`: what was shipped for the order, if anything.
    pub fn ask_return(
        &self,
        asked: &ReturnAsked,
        has_shipped: bool,
    ) -> Result<Vec<ShipmentEvent>, Rejection> {
        let order_id = match &self.back {
            Some(Back::Asked(known) | Back::Arrived(known)) => Some(known.order_id),
            Some(Back::Refused(known)) => Some(known.order_id),
            None => None,
        };
        if let Some(order_id) = order_id {
            let other = Rejection::new("RETURN_LABEL_CONFLICT", "this return belongs to another order");
            return if order_id == asked.order_id { Ok(Vec::new()) } else { Err(other) };
        }
        let refused = |reason: &str| {
            ShipmentEvent::ReturnRefused(ReturnRefused {
                return_id: asked.return_id.clone(),
                order_id: asked.order_id,
                subject: asked.subject.clone(),
                reason: reason.into(),
            })
        };
        Ok(if self.is_void {
            vec![refused("RETURN_LABEL_VOIDED")]
        } else if !has_shipped {
            vec![refused("UNKNOWN_FULFILMENT")]
        } else {
            let key = format!("return:{}:label", asked.return_id).into();
            vec![
                ShipmentEvent::ReturnAsked(Arc::new(asked.clone())),
                ShipmentEvent::LabelAsked(LabelAsked { key }),
            ]
        })
    }

    /// The return's label is to be worthless. What has arrived has arrived.
    pub fn void_return(&self, return_id: &Name) -> Vec<ShipmentEvent> {
        let has_arrived = matches!(self.back, Some(Back::Arrived(_)));
        if self.is_void || has_arrived {
            return Vec::new();
        }
        let (return_id, has_label) = (return_id.clone(), self.has_label());
        vec![ShipmentEvent::ReturnVoided(ReturnVoided { return_id, has_label })]
    }

    fn not_ready(&self) -> Rejection {
        Rejection::new("SHIPMENT_NOT_READY", "the shipment is not that far yet")
            .with("status", format!("{:?}", self.status))
    }

    fn scanned(&mut self, status: Status, scan: &Scan) {
        self.status = status;
        self.scanned_at = self.scanned_at.max(scan.at);
    }
}

fn arrived(asked: &ReturnAsked, scan: &Scan) -> ShipmentEvent {
    ShipmentEvent::ReturnArrived(ReturnArrived {
        return_id: asked.return_id.clone(),
        order_id: asked.order_id,
        subject: asked.subject.clone(),
        scan: scan.clone(),
    })
}

fn cancelled() -> Rejection {
    Rejection::new("SHIPMENT_CANCELLED", "the shipment was cancelled")
}

impl Aggregate for Shipment {
    type Event = ShipmentEvent;
    const CATEGORY: &'static str = "shipment";

    fn evolve(&mut self, event: &ShipmentEvent) {
        match event {
            ShipmentEvent::ShipmentCreated(created) => {
                self.lines = created.lines.clone();
                self.created = Some(created.clone());
            }
            ShipmentEvent::ReturnAsked(asked) => self.back = Some(Back::Asked(asked.clone())),
            ShipmentEvent::ReturnRefused(refused) => {
                self.back = Some(Back::Refused(Arc::new(refused.clone())))
            }
            ShipmentEvent::ReturnVoided(_) => self.is_void = true,
            ShipmentEvent::ReturnArrived(_) => {
                if let Some(Back::Asked(asked)) = &self.back {
                    self.back = Some(Back::Arrived(asked.clone()));
                }
            }
            ShipmentEvent::ShipmentHeld(hold) => drop(self.holds.insert(hold.hold_id.clone())),
            ShipmentEvent::ShipmentFreed(hold) => drop(self.holds.remove(&hold.hold_id)),
            ShipmentEvent::ShipmentPacked(_) => self.status = Status::Packed,
            ShipmentEvent::LabelAsked(asked) => {
                self.labels_asked += 1;
                self.label = Label::Asked { key: asked.key.clone() };
            }
            ShipmentEvent::LabelBought(bought) => {
                let (key, tracking_code) = (bought.key.clone(), bought.tracking_code.clone());
                self.label = Label::Bought { key, tracking_code };
                if self.status == Status::Packed {
                    self.status = Status::Labelled;
                }
            }
            ShipmentEvent::LabelRefused(refused) => {
                self.label = Label::Refused { key: refused.key.clone(), code: refused.code.clone() };
            }
            ShipmentEvent::LabelVoided(_) => self.label = Label::Voided,
            ShipmentEvent::ShipmentReduced(reduced) => self.lines = reduced.lines.clone(),
            ShipmentEvent::ShipmentCancelled(_) => {
                self.lines = Arc::default();
                self.status = Status::Cancelled;
            }
            ShipmentEvent::ShipmentHandedOver(_) => self.status = Status::HandedOver,
            ShipmentEvent::ParcelCollected(_) => self.is_collected = true,
            ShipmentEvent::ShipmentInTransit(moved) => self.scanned(Status::InTransit, &moved.scan),
            ShipmentEvent::ShipmentOutForDelivery(moved) => self.scanned(Status::OutForDelivery, &moved.scan),
            ShipmentEvent::ShipmentDelivered(moved) => self.scanned(Status::Delivered, &moved.scan),
            ShipmentEvent::ShipmentDeliveryFailed(moved) => self.scanned(Status::DeliveryFailed, &moved.scan),
            ShipmentEvent::ShipmentReturning(moved) => self.scanned(Status::ReturningToSender, &moved.scan),
            ShipmentEvent::ShipmentReturnedToSender(back) => {
                self.scanned(Status::ReturnedToSender, &back.scan)
            }
            ShipmentEvent::ShipmentDamaged(moved) => self.scanned(Status::Damaged, &moved.scan),
            ShipmentEvent::ShipmentLost(lost) => match &lost.by {
                LostBy::Scan(scan) => self.scanned(Status::Lost, scan),
                LostBy::Silence => self.status = Status::Lost,
            },
            ShipmentEvent::ScanNoted(_) | ShipmentEvent::StepDelayed(_) => {}
        }
    }
}
