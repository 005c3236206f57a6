//! What shipping does by itself: it carries out what a parcel's saga says is outstanding at the carrier, takes in
//! what carriers tell, and notices when they have been silent for too long.
use crate::domain::notice::{Notice, NoticeReceived};
use crate::domain::shipment::{SILENCE_MAX, Shipment, ShipmentEvent};
use crate::{carry, views};
use souk_contracts::carrier::v1::{
    self as carrier, BuyLabelRequest, CarrierServiceClient, CollectRequest, FindLabelRequest, Label,
    LabelStatus, VoidLabelRequest,
};
use souk_decider::Aggregate;
use souk_eventstore::{CommitError, CommitId, Decision, EventStore, Expected, Origin, StreamId, Timer, Work};
use souk_host::Resources;
use souk_identity::ServiceIdentity;
use souk_kernel::{Error, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use souk_saga::{Call, Definition, Direction, Event, Intent, Outcome, Progress, Recording, Saga};
use std::sync::Arc;
use std::time::Duration;

/// The kind of the timers that end a carrier's silence.
pub const SILENCE: &str = "silence";
/// The kind of the timers that try a notice again.
pub const NOTICE: &str = "notice";

/// The carrier, called as this service.
#[derive(Clone)]
pub struct Effects {
    identity: Arc<ServiceIdentity>,
    carrier: CarrierServiceClient,
    auto: bool,
}

impl Effects {
    /// `auto`: what people do in the warehouse is done by itself.
    pub fn new(own: &Resources, auto: bool) -> Self {
        Self { identity: own.identity.clone(), carrier: own.peers.get(), auto }
    }

    fn cx(&self, cx: &Cx) -> Cx {
        cx.for_call(self.identity.token_for("carrier", None))
    }

    async fn attempt(&self, call: &Call<Shipment>) -> Outcome {
        let step = (call.intent.step, call.intent.direction);
        if matches!(step, (carry::PACK | carry::ASK_LABEL | carry::HAND_OVER, Direction::Do)) {
            return Outcome::done();
        }
        let Some(key) = carry::key_of(&call.state) else { return Outcome::unknown("there is no label") };
        let (cx, key) = (&call.cx, key.to_string());
        match step {
            (carry::LABEL, Direction::Do) => self.buy(cx, &call.state, key).await,
            (carry::LABEL, Direction::Undo) => self.void(cx, key).await,
            (carry::COLLECT, Direction::Do) => self.collect(cx, key).await,
            (step, direction) => Outcome::unknown(format!("nothing is known of {direction} {step}")),
        }
    }

    /// Asks by key before it buys: an earlier attempt may have worked and never been recorded (E4).
    async fn buy(&self, cx: &Cx, parcel: &Shipment, key: String) -> Outcome {
        let Some(wanted) = carry::wanted(parcel) else {
            return Outcome::unknown("there is nothing to carry");
        };
        let found = self.carrier.find_label(self.cx(cx), FindLabelRequest { key: key.clone() }).await;
        match found {
            Ok(found) if found.label.is_some() => return bought(found.label),
            Ok(_) => {}
            Err(error) => return silent(&error),
        }
        let request = BuyLabelRequest {
            key,
            service: wanted.service.to_string(),
            country: wanted.country.to_string(),
            scenario: wanted.scenario.to_string(),
            reference: wanted.reference,
        };
        match self.carrier.buy_label(self.cx(cx), request).await {
            Ok(answer) => bought(answer.label),
            Err(error) => silent(&error),
        }
    }

    async fn void(&self, cx: &Cx, key: String) -> Outcome {
        match self.carrier.void_label(self.cx(cx), VoidLabelRequest { key }).await {
            Ok(answer) => voided(answer.label),
            Err(error) => silent(&error),
        }
    }

    async fn collect(&self, cx: &Cx, key: String) -> Outcome {
        match self.carrier.collect(self.cx(cx), CollectRequest { key }).await {
            Ok(answer) => collected(answer.label),
            Err(error) => silent(&error),
        }
    }
}

impl Saga for Effects {
    type State = Shipment;

    fn outstanding(&self, parcel: &Shipment) -> Vec<Intent> {
        carry::outstanding(parcel, self.auto)
    }

    fn perform(&self, call: Call<Shipment>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.attempt(&call).await })
    }

    fn record(
        &self,
        parcel: &Shipment,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        now: Timestamp,
    ) -> Recording<ShipmentEvent> {
        let events = carry::record(parcel, self.auto, intent, outcome, attempt);
        let set_timers = handed_over(&events, now).into_iter().collect();
        Recording { events, set_timers, ..Recording::default() }
    }

    /// None that a person could retry, skip or end: a parcel's own state says what is outstanding, so what is to be
    /// done about one that is stuck is a command of its own, such as asking for another label.
    fn sagas<'a>(&'a self, _parcel: &'a Shipment) -> Vec<(&'a Definition, &'a Progress)> {
        Vec::new()
    }

    fn moved(&self, _parcel: &Shipment, _moves: Vec<Event>, _now: Timestamp) -> Recording<ShipmentEvent> {
        Recording::default()
    }
}

/// The timer that a hand-over sets.
pub fn handed_over(events: &[ShipmentEvent], now: Timestamp) -> Option<Timer> {
    events.iter().find_map(|event| {
        let ShipmentEvent::ShipmentHandedOver(handed) = event else { return None };
        Some(silence(&StreamId::of::<Shipment>(handed.of.shipment_id), now))
    })
}

fn silent(error: &Error) -> Outcome {
    Outcome::unknown(format!("{}: {}", error.reason(), error.message()))
}

fn unexpected(status: LabelStatus) -> Outcome {
    Outcome::unknown(format!("an answer that fits no step: {status:?}"))
}

/// What the carrier's record of a label means for buying it. Only its own word is a refusal.
fn bought(label: Option<Label>) -> Outcome {
    let Some(label) = label else { return Outcome::unknown("an answer without a label") };
    match label.status() {
        LabelStatus::Bought | LabelStatus::Collected if !label.tracking_code.is_empty() => {
            Outcome::Done(label.tracking_code.into())
        }
        LabelStatus::Declined => Outcome::refused(label.decline_code, ""),
        LabelStatus::Voided => Outcome::refused("voided", ""),
        status @ (LabelStatus::Bought | LabelStatus::Collected | LabelStatus::Unspecified) => {
            unexpected(status)
        }
    }
}

fn voided(label: Option<Label>) -> Outcome {
    let Some(label) = label else { return Outcome::unknown("an answer without a label") };
    match label.status() {
        LabelStatus::Voided | LabelStatus::Declined => Outcome::done(),
        LabelStatus::Collected => Outcome::refused(carry::COLLECTED, label.tracking_code),
        status @ (LabelStatus::Bought | LabelStatus::Unspecified) => unexpected(status),
    }
}

fn collected(label: Option<Label>) -> Outcome {
    let status = label.map_or(LabelStatus::Unspecified, |label: carrier::Label| label.status());
    match status {
        LabelStatus::Collected => Outcome::done(),
        LabelStatus::Bought | LabelStatus::Declined | LabelStatus::Voided | LabelStatus::Unspecified => {
            unexpected(status)
        }
    }
}

/// A timer of ours, told apart from earlier ones of its key by when it was set.
fn timer(kind: &str, key: String, now: Timestamp, wait: Duration, payload: String) -> Timer {
    let generation = now.unix_us().unsigned_abs();
    Timer { key: key.into(), kind: kind.into(), due: now.plus(wait), generation, payload }
}

fn silence_key(parcel: &StreamId) -> String {
    format!("{SILENCE}/{}", parcel.id())
}

fn silence(parcel: &StreamId, now: Timestamp) -> Timer {
    timer(SILENCE, silence_key(parcel), now, SILENCE_MAX, parcel.id().to_owned())
}

/// Takes a carrier's notice in: the first time that it comes, or when its `timer` is due. The notice, what it
/// means for its parcel and what is to be done later are one commit.
pub async fn take_in(
    store: &EventStore,
    stream: StreamId,
    received: Arc<NoticeReceived>,
    timer: Option<Timer>,
) -> Result<(), CommitError> {
    let rows = store.query(views::by_tracking_code(&received.tracking_code)).await?;
    let parcel = rows.first().and_then(views::parcel);
    let id = match &timer {
        Some(timer) => CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()]),
        None => CommitId::derived(&["notice", stream.id()]),
    };
    let origin = Origin::by(format!("carrier:{}", received.carrier)).causation(stream.id());
    let mut work = Work::new(id, origin).read::<Notice>(&stream);
    if let Some(parcel) = &parcel {
        work = work.read::<Shipment>(parcel);
    }
    let work = work.decide(move |facts, now| {
        let known = parcel.as_ref().map(|parcel| (parcel, facts.state::<Shipment>(parcel)));
        let known = known.filter(|(_, shipment)| shipment.hears());
        let name = known.as_ref().map(|(parcel, _)| parcel.as_str());
        let handling = facts.state::<Notice>(&stream).handle(&received, name);
        let mut decision = Decision::new().append(&stream, Expected::Any, handling.events);
        if let Some(timer) = &timer {
            decision = decision.timer_fired(timer.key.clone(), timer.generation);
        }
        if let Some(wait) = handling.again {
            let key = format!("{NOTICE}/{}", stream.id());
            decision = decision.set_timer(self::timer(NOTICE, key, now, wait, stream.id().to_owned()));
        }
        Ok(match known.filter(|_| handling.applies) {
            Some((parcel, shipment)) => heard(decision, parcel, &shipment, &received, now),
            None => decision,
        })
    });
    store.commit(work).await.map(|_| ())
}

fn heard(
    decision: Decision,
    parcel: &StreamId,
    shipment: &Shipment,
    received: &NoticeReceived,
    now: Timestamp,
) -> Decision {
    let events = shipment.hear(&received.scan);
    let mut after = shipment.clone();
    events.iter().for_each(|event| after.evolve(event));
    let decision = decision.append(parcel, Expected::Exists, events);
    if after.status().is_with_carrier() {
        decision.set_timer(silence(parcel, now))
    } else {
        decision.cancel_timer(silence_key(parcel))
    }
}

/// A timer is due.
pub async fn on_due(store: EventStore, timer: Timer) -> Result<(), CommitError> {
    if &*timer.kind == NOTICE {
        let stream = StreamId::of::<Notice>(&timer.payload);
        let notice = store.state::<Notice>(&stream).await?;
        if let Some(received) = notice.received() {
            return take_in(&store, stream, received.clone(), Some(timer)).await;
        }
    }
    let parcel = StreamId::of::<Shipment>(&timer.payload);
    let id = CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()]);
    let work = Work::new(id, Origin::by("svc:shipping").causation(timer.key.clone()))
        .read::<Shipment>(&parcel)
        .decide(move |facts, _| {
            let events = facts.state::<Shipment>(&parcel).silent();
            let fired = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            Ok(fired.append(&parcel, Expected::Any, events))
        });
    store.commit(work).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(outcome: Outcome) -> String {
        match outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused { reason, .. } => reason,
            Outcome::Waiting { .. } => "waiting".to_owned(),
            Outcome::Unknown { .. } => "unknown".to_owned(),
        }
    }

    #[test]
    fn only_the_carriers_own_word_counts() {
        let label = |status: LabelStatus| {
            Some(Label {
                status: status.into(),
                tracking_code: "T1".to_owned(),
                decline_code: "no_such_service".to_owned(),
                ..Label::default()
            })
        };
        let words =
            |status| [bought(label(status)), voided(label(status)), collected(label(status))].map(word);
        assert_eq!(words(LabelStatus::Bought), ["done", "unknown", "unknown"]);
        assert_eq!(words(LabelStatus::Collected), ["done", carry::COLLECTED, "done"]);
        assert_eq!(words(LabelStatus::Declined), ["no_such_service", "done", "unknown"]);
        assert_eq!(words(LabelStatus::Voided), ["voided", "done", "unknown"]);
        assert_eq!(words(LabelStatus::Unspecified), ["unknown"; 3]);
        assert_eq!([bought(None), voided(None), collected(None)].map(word), ["unknown"; 3]);
        let nameless = Label { status: LabelStatus::Bought.into(), ..Label::default() };
        assert_eq!(word(bought(Some(nameless))), "unknown", "a label without a code is no label");
    }
}
