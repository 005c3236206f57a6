//! The carry saga of each parcel: what is outstanding at the carrier follows from the parcel's state alone, and so
//! does, with `auto`, what people otherwise do in the warehouse. Nothing in it turns back by itself: a label that
//! is no longer wanted is given back, whether or not the carrier ever answered about it.
use crate::domain::shipment::{
    Back, Label, LabelBought, LabelRefused, LabelVoided, ParcelCollected, Shipment, ShipmentEvent, Status,
    StepDelayed,
};
use souk_saga::{ATTEMPTS_UNTIL_OPERATOR, DELAY_RECORDED_EVERY, Direction, Event, Intent, Outcome};
use std::sync::Arc;

/// The saga's name.
pub const SAGA: &str = "carry";
/// Puts the goods into their box; by itself only with `auto`.
pub const PACK: &str = "pack";
/// Decides to buy a label; by itself only with `auto`.
pub const ASK_LABEL: &str = "ask_label";
/// Buys the label at the carrier; undone by giving it back.
pub const LABEL: &str = "label";
/// Gives the parcel to the carrier; by itself only with `auto`.
pub const HAND_OVER: &str = "hand_over";
/// Tells the carrier that it has the parcel.
pub const COLLECT: &str = "collect";

/// Why the carrier does not take a label back: it has the parcel.
pub const COLLECTED: &str = "collected";

/// What is outstanding.
pub fn outstanding(parcel: &Shipment, auto: bool) -> Vec<Intent> {
    let intent = |step, direction| vec![Intent { saga: SAGA, step, direction }];
    let by_itself = |step| if auto { intent(step, Direction::Do) } else { Vec::new() };
    if parcel.is_void() {
        let is_good = parcel.has_label() && !parcel.is_collected();
        return if is_good { intent(LABEL, Direction::Undo) } else { Vec::new() };
    }
    let is_asked = matches!(parcel.label(), Label::Asked { .. });
    if parcel.back().is_some() {
        return if is_asked { intent(LABEL, Direction::Do) } else { Vec::new() };
    }
    match parcel.status() {
        Status::Pending if parcel.created().is_some() => by_itself(PACK),
        Status::Packed if is_asked => intent(LABEL, Direction::Do),
        Status::Packed if *parcel.label() == Label::None => by_itself(ASK_LABEL),
        Status::Labelled if !parcel.is_held() => by_itself(HAND_OVER),
        Status::Pending | Status::Packed | Status::Labelled | Status::Cancelled => Vec::new(),
        Status::HandedOver
        | Status::InTransit
        | Status::OutForDelivery
        | Status::Delivered
        | Status::DeliveryFailed
        | Status::ReturningToSender
        | Status::ReturnedToSender
        | Status::Lost
        | Status::Damaged => {
            if parcel.is_collected() {
                Vec::new()
            } else {
                intent(COLLECT, Direction::Do)
            }
        }
    }
}

/// What to record about an attempt; nothing when the parcel has moved on meanwhile.
pub fn record(
    parcel: &Shipment,
    auto: bool,
    intent: &Intent,
    outcome: &Outcome,
    attempt: u32,
) -> Vec<ShipmentEvent> {
    if !outstanding(parcel, auto).contains(intent) {
        return Vec::new();
    }
    match outcome {
        Outcome::Done(output) => done(parcel, intent, output.as_str().unwrap_or_default()),
        Outcome::Refused { reason, detail } => match (intent.step, key_of(parcel)) {
            (LABEL, Some(key)) if intent.direction == Direction::Do => {
                vec![ShipmentEvent::LabelRefused(LabelRefused { key, code: reason.as_str().into() })]
            }
            (LABEL, Some(key)) if reason == COLLECTED && parcel.back().is_some() => used(parcel, key, detail),
            (_, _) => delayed(intent, attempt, reason),
        },
        // Nothing that a parcel asks for waits for a person.
        Outcome::Waiting { .. } => Vec::new(),
        Outcome::Unknown { reason } => delayed(intent, attempt, reason),
    }
}

fn done(parcel: &Shipment, intent: &Intent, output: &str) -> Vec<ShipmentEvent> {
    let at_home = match intent.step {
        PACK => Some(parcel.pack()),
        ASK_LABEL => Some(parcel.ask_label()),
        HAND_OVER => Some(parcel.hand_over()),
        _ => None,
    };
    if let Some(decided) = at_home {
        return decided.unwrap_or_default();
    }
    let Some(key) = key_of(parcel) else { return Vec::new() };
    vec![match (intent.step, intent.direction) {
        (LABEL, Direction::Do) => {
            ShipmentEvent::LabelBought(LabelBought { key, tracking_code: output.into() })
        }
        (LABEL, Direction::Undo) => ShipmentEvent::LabelVoided(LabelVoided { key }),
        (_, _) => ShipmentEvent::ParcelCollected(ParcelCollected { key }),
    }]
}

/// The customer was faster: the label that was to be worthless has been used, and the parcel is on its way here.
fn used(parcel: &Shipment, key: Arc<str>, tracking_code: &str) -> Vec<ShipmentEvent> {
    let was_unheard = matches!(parcel.label(), Label::Asked { .. });
    let bought = LabelBought { key: key.clone(), tracking_code: tracking_code.into() };
    let bought = was_unheard.then_some(ShipmentEvent::LabelBought(bought));
    bought.into_iter().chain([ShipmentEvent::ParcelCollected(ParcelCollected { key })]).collect()
}

fn delayed(intent: &Intent, attempt: u32, reason: &str) -> Vec<ShipmentEvent> {
    let is_told = attempt == 1 || attempt.is_multiple_of(DELAY_RECORDED_EVERY);
    let step: Arc<str> = format!("{} {}", intent.direction, intent.step).into();
    let delayed = StepDelayed { step, attempts: attempt, reason: reason.into() };
    is_told.then_some(ShipmentEvent::StepDelayed(delayed)).into_iter().collect()
}

/// The key of the label that was asked for last.
pub fn key_of(parcel: &Shipment) -> Option<Arc<str>> {
    match parcel.label() {
        Label::Asked { key } | Label::Bought { key, .. } | Label::Refused { key, .. } => Some(key.clone()),
        Label::None | Label::Voided => None,
    }
}

/// What the carrier needs to know of a parcel to make a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub service: Arc<str>,
    pub country: Arc<str>,
    pub scenario: Arc<str>,
    /// Our own name for it.
    pub reference: String,
}

/// The label that a parcel needs.
pub fn wanted(parcel: &Shipment) -> Option<Wanted> {
    if let Some(created) = parcel.created() {
        return Some(Wanted {
            service: created.service.clone(),
            country: created.country.clone(),
            scenario: created.scenario.clone(),
            reference: created.of.shipment_id.to_string(),
        });
    }
    match parcel.back() {
        Some(Back::Asked(asked) | Back::Arrived(asked)) => Some(Wanted {
            service: "return".into(),
            country: asked.country.clone(),
            scenario: asked.scenario.clone(),
            reference: asked.return_id.to_string(),
        }),
        Some(Back::Refused(_)) | None => None,
    }
}

/// The move of the saga's row that an event of a parcel means. `is_return`: by its stream.
pub fn row_move(event: &ShipmentEvent, is_return: bool) -> Event {
    let saga = SAGA.to_owned();
    let goes_on =
        || Event::StepDone { saga: SAGA.to_owned(), step: String::new(), output: serde_json::Value::Null };
    let stuck = |step: &str, reason: &str| Event::NeedsOperator {
        saga: SAGA.to_owned(),
        step: step.to_owned(),
        direction: Direction::Do,
        reason: reason.to_owned(),
        refused: false,
    };
    match event {
        ShipmentEvent::ShipmentCreated(_) | ShipmentEvent::ReturnAsked(_) => {
            Event::Started { saga, version: 1 }
        }
        ShipmentEvent::ParcelCollected(_) | ShipmentEvent::LabelVoided(_) => Event::Completed { saga },
        ShipmentEvent::ShipmentCancelled(end) if !end.has_label => Event::Completed { saga },
        ShipmentEvent::ReturnVoided(end) if !end.has_label => Event::Completed { saga },
        ShipmentEvent::LabelBought(_) | ShipmentEvent::LabelRefused(_) if is_return => {
            Event::Completed { saga }
        }
        ShipmentEvent::LabelRefused(refused) => stuck(LABEL, &refused.code),
        ShipmentEvent::StepDelayed(delayed) if delayed.attempts >= ATTEMPTS_UNTIL_OPERATOR => {
            stuck(&delayed.step, &delayed.reason)
        }
        ShipmentEvent::StepDelayed(delayed) => Event::StepDelayed {
            saga,
            step: delayed.step.to_string(),
            direction: Direction::Do,
            attempts: delayed.attempts,
            reason: delayed.reason.to_string(),
        },
        ShipmentEvent::ReturnRefused(_)
        | ShipmentEvent::ReturnVoided(_)
        | ShipmentEvent::ReturnArrived(_)
        | ShipmentEvent::ShipmentHeld(_)
        | ShipmentEvent::ShipmentFreed(_)
        | ShipmentEvent::ShipmentPacked(_)
        | ShipmentEvent::LabelAsked(_)
        | ShipmentEvent::LabelBought(_)
        | ShipmentEvent::ShipmentReduced(_)
        | ShipmentEvent::ShipmentCancelled(_)
        | ShipmentEvent::ShipmentHandedOver(_) => goes_on(),
        // Scans leave the saga where it is.
        ShipmentEvent::ShipmentInTransit(_)
        | ShipmentEvent::ShipmentOutForDelivery(_)
        | ShipmentEvent::ShipmentDelivered(_)
        | ShipmentEvent::ShipmentDeliveryFailed(_)
        | ShipmentEvent::ShipmentReturning(_)
        | ShipmentEvent::ShipmentReturnedToSender(_)
        | ShipmentEvent::ShipmentLost(_)
        | ShipmentEvent::ShipmentDamaged(_)
        | ShipmentEvent::ScanNoted(_) => Event::StepDelayed {
            saga,
            step: String::new(),
            direction: Direction::Do,
            attempts: 0,
            reason: String::new(),
        },
    }
}
