//! The service as it is called: read the request, commit or query, answer. No rule stands here.
use crate::domain::fulfilment::{CancelDecided, CancelOutcome, Create, SHIPMENTS_NOT_READ};
use crate::domain::rate::{RATE_TTL, RateQuoted};
use crate::domain::shipment::{Label, ReturnAsked, ShipmentCreated};
use crate::domain::{
    Caller, Fulfilment, FulfilmentEvent, Name, Notice, Rate, RateEvent, Shipment, ShipmentEvent, address,
    fulfilment, not_found, tariff,
};
use crate::effects::{self, handed_over};
use crate::{proto, views};
use futures_util::StreamExt;
use souk_contracts::shipping::v1::{self as pb, ShippingService};
use souk_contracts::terms::{OrderId, RateId, ShipmentId};
use souk_eventstore::{
    CommitError, CommitId, Committed, Decision, EventStore, Expected, Facts, Folded, Keys, Origin, StreamId,
    Work,
};
use souk_host::Resources;
use souk_identity::{Principal, WebhookSecret};
use souk_kernel::{Clock, Code, Error, Ids, Rejection, Timestamp};
use souk_rpc::{BoxFuture, BoxStream, Cx, Result};
use std::sync::Arc;
use std::time::Duration;

/// The roles that look after the parcels of others.
const LOOKS_AFTER: &[&str] = &["sales", "support", "admin"];
/// What a wait leaves of the caller's time, so that there is an answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);
/// When a caller should ask again while the carrier has not answered.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often a decision is made anew because a fulfilment was created just then; it is created once.
const TRIES_MAX: usize = 3;
/// The header that carries a webhook's signature.
const SIGNATURE: &str = "webhook-signature";

/// The purpose of the secret that we share with a carrier under the same house's key.
pub fn secret_purpose(carrier: &str) -> String {
    format!("carrier {carrier}")
}

/// Answers `souk.shipping.v1`.
#[derive(Clone)]
pub struct Desk {
    store: EventStore,
    keys: Keys,
    ids: Ids,
    clock: Arc<dyn Clock>,
    secret: WebhookSecret,
}

impl Desk {
    pub fn new(own: &Resources) -> Self {
        Self {
            store: own.store.clone(),
            keys: own.store.keys(),
            ids: own.ids.clone(),
            clock: own.clock.clone(),
            secret: WebhookSecret::derived(&own.signer, &secret_purpose(tariff::CARRIER)),
        }
    }

    fn work(&self, cx: &Cx) -> Result<Work> {
        Ok(Work::new(CommitId::new(self.ids.uuid()), origin(cx, cx.principal()?)))
    }

    async fn quote(&self, cx: Cx, request: pb::QuoteRatesRequest) -> Result<pb::QuoteRatesResponse> {
        let subject: Arc<str> = cx.principal()?.owner().into();
        let question = proto::question(request)?;
        let check = address::check(&question.address);
        let answer = |options| pb::QuoteRatesResponse { check: Some(proto::check(&check)), options };
        match &check {
            address::Check::Valid | address::Check::Corrected(_) => {}
            address::Check::Invalid(_) | address::Check::NotServed => return Ok(answer(Vec::new())),
        }
        // The codes as they are meant: prices and taxes hang on them, also when they were given in small letters.
        let meant = match &check {
            address::Check::Corrected(better) => better,
            address::Check::Valid | address::Check::Invalid(_) | address::Check::NotServed => {
                &question.address
            }
        };
        let offers = tariff::offers(&question.market, meant, question.pieces);
        if offers.is_empty() {
            return Err(Rejection::new("MARKET_NOT_SERVED", "nothing is shipped for this market").into());
        }
        let sealed = self.keys.seal(&subject, &question.address).await?;
        let quoted = offers.into_iter().map(|offer| RateQuoted {
            rate_id: self.ids.new_id(),
            subject: subject.clone(),
            market: question.market.clone(),
            service: offer.service.name().into(),
            carrier: tariff::CARRIER.into(),
            price: offer.price,
            days_min: offer.days_min,
            days_max: offer.days_max,
            country: meant.country.as_str().into(),
            region: meant.region.as_str().into(),
            address: sealed.clone(),
            scenario: question.scenario.clone(),
            expires_at: Timestamp::EPOCH,
        });
        let quoted = self.promise(&cx, quoted.collect()).await?;
        Ok(answer(quoted.iter().map(|quoted| proto::rate(quoted)).collect()))
    }

    /// Records the rates; their end counts from the commit.
    async fn promise(&self, cx: &Cx, quoted: Vec<RateQuoted>) -> Result<Vec<Arc<RateQuoted>>> {
        let streams: Vec<StreamId> = quoted.iter().map(|rate| StreamId::of::<Rate>(rate.rate_id)).collect();
        let work = streams.iter().fold(self.work(cx)?, |work, stream| work.read::<Rate>(stream));
        let targets = streams.clone();
        let work = work.decide(move |_, now| {
            let rates = targets.iter().zip(&quoted);
            Ok(rates.fold(Decision::new(), |decision, (stream, rate)| {
                let promised = RateQuoted { expires_at: now.plus(RATE_TTL), ..rate.clone() };
                let events = vec![RateEvent::RateQuoted(Arc::new(promised))];
                decision.append(stream, Expected::NoStream, events)
            }))
        });
        let committed = self.store.commit(work).await?;
        let promised = streams.iter().filter_map(|stream| committed.state::<Rate>(stream)?.quoted().cloned());
        Ok(promised.collect())
    }

    async fn rate(&self, cx: Cx, request: pb::GetRateRequest) -> Result<pb::Rate> {
        let caller = caller(cx.principal()?);
        let rate_id: RateId = proto::id("rateId", &request.rate_id)?;
        let rate = self.store.state::<Rate>(&StreamId::of::<Rate>(rate_id)).await?;
        let own = rate.quoted().filter(|quoted| *quoted.subject == caller.subject);
        own.map(|quoted| proto::rate(quoted)).ok_or_else(|| Error::not_found("the rate"))
    }

    async fn create(&self, cx: Cx, request: pb::CreateFulfilmentRequest) -> Result<pb::Fulfilment> {
        let subject: Arc<str> = acting_for(cx.principal()?)?.into();
        let creation = proto::creation(&request)?;
        let (order_id, rate_id) = (creation.order_id, creation.rate_id);
        let locations = fulfilment::locations(&creation.lines);
        let fresh: Vec<ShipmentId> = (0..locations).map(|_| self.ids.new_id()).collect();
        let (lines, again) = (creation.lines, creation.again);
        let wish = Create { order_id, subject: subject.clone(), rate_id, lines, again, fresh };
        let (stream, rate) = (StreamId::of::<Fulfilment>(order_id), StreamId::of::<Rate>(rate_id));
        let work = self.work(&cx)?.read::<Fulfilment>(&stream).read::<Rate>(&rate);
        let work = work.decide(move |facts, _| {
            let known = facts.state::<Fulfilment>(&stream);
            let rate = facts.state::<Rate>(&rate);
            let quoted = rate.quoted().filter(|quoted| quoted.subject == wish.subject);
            let taken = known.create(&wish, quoted.is_some())?;
            let decision = Decision::new().append(&stream, Expected::Any, taken.events);
            let decision = told_to_its_order(decision, &wish, &taken.packets);
            let Some(quoted) = quoted else { return Ok(decision) };
            Ok(taken.packets.into_iter().fold(decision, |decision, packet| {
                let shipment = StreamId::of::<Shipment>(packet.shipment_id);
                let mut events = vec![ShipmentEvent::ShipmentCreated(Arc::new(made(&wish, quoted, packet)))];
                for hold_id in known.holding() {
                    events.extend(Shipment::default().held(hold_id, true));
                }
                decision.append(&shipment, Expected::NoStream, events)
            }))
        });
        self.store.commit(work).await?;
        self.fulfilment(order_id).await
    }

    /// Decides about a fulfilment with all its shipments; `decide` sees them by number.
    async fn decide_all<F>(&self, cx: &Cx, order_id: OrderId, decide: F) -> Result<Committed>
    where
        F: Fn(&Fulfilment, &[Arc<Shipment>], Timestamp) -> Result<Changes, Rejection>,
        F: Clone + Send + Sync + 'static,
    {
        let stream = StreamId::of::<Fulfilment>(order_id);
        for _ in 0..TRIES_MAX {
            let known = self.store.state::<Fulfilment>(&stream).await?;
            let ids: Vec<ShipmentId> = known.shipment_ids().to_vec();
            let parcels: Vec<StreamId> = ids.iter().map(StreamId::of::<Shipment>).collect();
            let work = self.work(cx)?.read::<Fulfilment>(&stream);
            let work = parcels.iter().fold(work, |work, parcel| work.read::<Shipment>(parcel));
            let (own, decide) = (stream.clone(), decide.clone());
            let work = work.decide(move |facts, now| {
                let shipments: Vec<Arc<Shipment>> =
                    parcels.iter().map(|parcel| owned(facts, parcel)).collect();
                let known = facts.state::<Fulfilment>(&own);
                if known.shipment_ids().len() != shipments.len() {
                    return Err(Rejection::new(SHIPMENTS_NOT_READ, "created just now; try again"));
                }
                let Changes { events, shipments } = decide(&known, &shipments, now)?;
                let decision = Decision::new().append(&own, Expected::Any, events);
                Ok(shipments.into_iter().fold(decision, |decision, (shipment_id, events)| {
                    decision.append(StreamId::of::<Shipment>(shipment_id), Expected::Exists, events)
                }))
            });
            match self.store.commit(work).await {
                Err(CommitError::Rejected(rejection)) if rejection.reason == SHIPMENTS_NOT_READ => {}
                committed => return Ok(committed?),
            }
        }
        Err(Error::unavailable("the fulfilment changes too quickly; ask again"))
    }

    async fn cancel(
        &self,
        cx: Cx,
        request: pb::CancelFulfilmentRequest,
    ) -> Result<pb::CancelFulfilmentResponse> {
        let proto::Cancel { order_id, cancel_id, reason, parts } = proto::cancel(&request)?;
        // What it comes to is decided below.
        let outcome = CancelOutcome::TooLate;
        let cancel = CancelDecided { cancel_id: cancel_id.clone(), reason, parts, outcome };
        let decide = move |known: &Fulfilment, shipments: &[Arc<Shipment>], _: Timestamp| {
            let (events, left) = known.cancel_parts(&cancel, shipments)?;
            let reduced = left.into_iter().filter_map(|(shipment_id, left)| {
                let shipment = shipments.iter().find(|shipment| shipment.id() == Some(shipment_id))?;
                Some((shipment_id, shipment.reduce(&cancel.cancel_id, &cancel.reason, left)))
            });
            Ok(Changes { events, shipments: reduced.collect() })
        };
        let committed = self.decide_all(&cx, order_id, decide).await?;
        let known = committed.state::<Fulfilment>(&StreamId::of::<Fulfilment>(order_id)).ok_or_else(gone)?;
        let decided = known.cancel(&cancel_id).ok_or_else(gone)?;
        let outcome = proto::outcome(decided.outcome).into();
        let fulfilment = Some(self.fulfilment(order_id).await?);
        Ok(pb::CancelFulfilmentResponse { fulfilment, outcome })
    }

    async fn hold(&self, cx: Cx, order_id: OrderId, hold_id: Name, holds: bool) -> Result<pb::Fulfilment> {
        let decide = move |known: &Fulfilment, shipments: &[Arc<Shipment>], _: Timestamp| {
            let events = if holds { known.hold(&hold_id)? } else { known.release(&hold_id)? };
            let told = |shipment: &Arc<Shipment>| Some((shipment.id()?, shipment.held(&hold_id, holds)));
            let shipments =
                if events.is_empty() { Vec::new() } else { shipments.iter().filter_map(told).collect() };
            Ok(Changes { events, shipments })
        };
        self.decide_all(&cx, order_id, decide).await?;
        self.fulfilment(order_id).await
    }

    async fn fulfilment(&self, order_id: OrderId) -> Result<pb::Fulfilment> {
        let known = self.store.state::<Fulfilment>(&StreamId::of::<Fulfilment>(order_id)).await?;
        let mut shipments = Vec::with_capacity(known.shipment_ids().len());
        for shipment_id in known.all_shipment_ids() {
            let parcel = self.store.state::<Shipment>(&StreamId::of::<Shipment>(shipment_id)).await?;
            shipments.extend(proto::shipment(&parcel, parcel.version(), None));
        }
        Ok(proto::fulfilment(order_id, &known, shipments))
    }

    /// The fulfilment, if there is one and the caller may see it.
    async fn visible_fulfilment(&self, cx: &Cx, order_id: &str) -> Result<pb::Fulfilment> {
        let caller = caller(cx.principal()?);
        let order_id: OrderId = proto::id("orderId", order_id)?;
        let fulfilment = self.fulfilment(order_id).await?;
        let seen = !fulfilment.subject.is_empty() && caller.may_see(&fulfilment.subject);
        if seen { Ok(fulfilment) } else { Err(Error::not_found("the fulfilment")) }
    }

    /// The shipment, if there is one and the caller may see it.
    async fn visible(&self, cx: &Cx, shipment_id: &str) -> Result<(StreamId, Folded<Shipment>)> {
        let caller = caller(cx.principal()?);
        let shipment_id: ShipmentId = proto::id("shipmentId", shipment_id)?;
        let stream = StreamId::of::<Shipment>(shipment_id);
        let parcel = self.store.state::<Shipment>(&stream).await?;
        match parcel.created().filter(|created| caller.may_see(&created.of.subject)) {
            Some(_) => Ok((stream, parcel)),
            None => Err(Error::not_found("the shipment")),
        }
    }

    /// With its address, opened, and when it last changed.
    async fn shipment(&self, stream: &StreamId, parcel: &Folded<Shipment>) -> Result<pb::Shipment> {
        let last = self.store.read_stream(stream, parcel.version().saturating_sub(1), 1).await?;
        let updated_at = last.first().map(|recorded| recorded.time);
        let mut message = proto::shipment(parcel, parcel.version(), updated_at).ok_or_else(gone)?;
        if let Some(created) = parcel.created() {
            message.address = self.keys.open(&created.address).await?.as_ref().map(proto::plain);
        }
        Ok(message)
    }

    /// One decision of the warehouse about one shipment.
    async fn step<F>(&self, cx: &Cx, shipment_id: &str, decide: F) -> Result<(StreamId, Folded<Shipment>)>
    where
        F: Fn(&Shipment) -> Result<Vec<ShipmentEvent>, Rejection> + Send + Sync + 'static,
    {
        let shipment_id: ShipmentId = proto::id("shipmentId", shipment_id)?;
        let stream = StreamId::of::<Shipment>(shipment_id);
        let own = stream.clone();
        let work = self.work(cx)?.read::<Shipment>(&stream).decide(move |facts, now| {
            let shipment = facts.state::<Shipment>(&own);
            if shipment.created().is_none() {
                return Err(not_found("the shipment"));
            }
            let events = decide(&shipment)?;
            let timer = handed_over(&events, now);
            let decision = Decision::new().append(&own, Expected::Exists, events);
            Ok(timer.into_iter().fold(decision, Decision::set_timer))
        });
        let committed = self.store.commit(work).await?;
        let parcel = committed.state::<Shipment>(&stream).ok_or_else(gone)?;
        Ok((stream, parcel))
    }

    async fn buy_label(&self, cx: Cx, request: pb::BuyLabelRequest) -> Result<pb::Shipment> {
        let (stream, _) = self.step(&cx, &request.shipment_id, Shipment::ask_label).await?;
        let parcel = self.labelled(&cx, &stream).await?;
        match parcel.label() {
            Label::Refused { code, .. } => {
                let refused = Rejection::new("CARRIER_REFUSED", "the carrier will not carry it");
                Err(refused.with("code", code).into())
            }
            Label::None | Label::Asked { .. } | Label::Bought { .. } | Label::Voided => {
                self.shipment(&stream, &parcel).await
            }
        }
    }

    /// Waits until the saga has settled the label; it goes on when the caller has gone.
    async fn labelled(&self, cx: &Cx, stream: &StreamId) -> Result<Folded<Shipment>> {
        let until = cx.deadline().checked_sub(ANSWER_MARGIN).unwrap_or_else(|| cx.deadline());
        let mut head = self.store.head();
        loop {
            head.borrow_and_update();
            let parcel = self.store.state::<Shipment>(stream).await?;
            if !matches!(parcel.label(), Label::Asked { .. }) {
                return Ok(parcel);
            }
            match tokio::time::timeout_at(until, head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(not_yet()),
            }
        }
    }

    async fn return_label(&self, cx: Cx, request: pb::CreateReturnLabelRequest) -> Result<pb::ReturnLabel> {
        let (order_id, return_id) = proto::named(&request.order_id, "returnId", &request.return_id)?;
        let (parcel, order) = (return_stream(&return_id), StreamId::of::<Fulfilment>(order_id));
        let known = self.store.state::<Fulfilment>(&order).await?;
        let first = known.shipment_ids().first().map(StreamId::of::<Shipment>);
        let shipped = match &first {
            Some(stream) => self.store.state::<Shipment>(stream).await?.created().cloned(),
            None => None,
        };
        let subject: Arc<str> = acting_for(cx.principal()?)?.into();
        let text = |field: fn(&ShipmentCreated) -> &Arc<str>| shipped.as_deref().map(field).cloned();
        let asked = ReturnAsked {
            return_id: return_id.clone(),
            order_id,
            subject: text(|shipped| &shipped.of.subject).unwrap_or(subject),
            carrier: text(|shipped| &shipped.carrier).unwrap_or_default(),
            scenario: text(|shipped| &shipped.scenario).unwrap_or_default(),
            country: text(|shipped| &shipped.country).unwrap_or_default(),
        };
        let (own, has_shipped) = (parcel.clone(), shipped.is_some());
        let work = self.work(&cx)?.read::<Shipment>(&parcel).decide(move |facts, _| {
            let events = facts.state::<Shipment>(&own).ask_return(&asked, has_shipped)?;
            Ok(Decision::new().append(&own, Expected::Any, events))
        });
        self.store.commit(work).await?;
        let settled = self.labelled(&cx, &parcel).await?;
        proto::return_label(&return_id, &settled).ok_or_else(not_yet)
    }

    async fn void_return(&self, cx: Cx, request: pb::VoidReturnLabelRequest) -> Result<pb::ReturnLabel> {
        let return_id: Name = proto::id("returnId", &request.return_id)?;
        let parcel = return_stream(&return_id);
        let (own, name) = (parcel.clone(), return_id.clone());
        let work = self.work(&cx)?.read::<Shipment>(&parcel).decide(move |facts, _| {
            let events = facts.state::<Shipment>(&own).void_return(&name);
            Ok(Decision::new().append(&own, Expected::Any, events))
        });
        let committed = self.store.commit(work).await?;
        let after = committed.state::<Shipment>(&parcel).ok_or_else(gone)?;
        proto::return_label(&return_id, &after).ok_or_else(gone)
    }

    async fn webhook(&self, request: pb::HandleCarrierWebhookRequest) -> Result<()> {
        let refused = || {
            let message = "the signature does not belong to this body, or is too old";
            Error::new(Code::Unauthenticated, "SIGNATURE_INVALID", message)
        };
        let signature = request.headers.get(SIGNATURE).ok_or_else(refused)?;
        if request.carrier != tariff::CARRIER {
            return Err(Error::not_found("the carrier"));
        }
        self.secret.verify(signature, self.clock.now(), &request.body).map_err(|_| refused())?;
        let notice = Arc::new(proto::notice(&request.carrier, &request.body)?);
        let stream = StreamId::of::<Notice>(format!("{}:{}", notice.carrier, notice.scan.event_id));
        effects::take_in(&self.store, stream, notice, None).await?;
        Ok(())
    }
}

/// What a decision about a fulfilment changes.
struct Changes {
    events: Vec<FulfilmentEvent>,
    shipments: Vec<(ShipmentId, Vec<ShipmentEvent>)>,
}

/// The order's own fulfilment knows the parcels that carry pieces of it again.
fn told_to_its_order(decision: Decision, wish: &Create, packets: &[fulfilment::Packet]) -> Decision {
    let Some(again) = wish.again.as_ref().filter(|_| !packets.is_empty()) else { return decision };
    let sent = fulfilment::SentAgain {
        resend_id: again.resend_id,
        shipment_ids: packets.iter().map(|packet| packet.shipment_id).collect(),
    };
    let stream = StreamId::of::<Fulfilment>(again.order_id);
    decision.append(stream, Expected::Exists, vec![FulfilmentEvent::SentAgain(sent)])
}

fn made(wish: &Create, quoted: &RateQuoted, packet: fulfilment::Packet) -> ShipmentCreated {
    let order_id = wish.again.as_ref().map_or(wish.order_id, |again| again.order_id);
    let shipment_id = packet.shipment_id;
    ShipmentCreated {
        of: crate::domain::shipment::Of { order_id, shipment_id, subject: wish.subject.clone() },
        number: packet.number,
        rate_id: quoted.rate_id,
        location: packet.location,
        lines: packet.lines,
        service: quoted.service.clone(),
        carrier: quoted.carrier.clone(),
        scenario: quoted.scenario.clone(),
        country: quoted.country.clone(),
        region: quoted.region.clone(),
        address: quoted.address.clone(),
        again: wish.again.clone(),
    }
}

fn owned(facts: &Facts, parcel: &StreamId) -> Arc<Shipment> {
    Arc::new(Shipment::clone(&facts.state::<Shipment>(parcel)))
}

/// Returns have no shipment's id; their streams cannot be taken for shipments'.
fn return_stream(return_id: &Name) -> StreamId {
    StreamId::of::<Shipment>(format!("{}{return_id}", views::RETURN))
}

fn caller(principal: &Principal) -> Caller {
    let staff = LOOKS_AFTER.iter().any(|role| principal.has_role(role));
    let on_its_own = principal.service().is_some() && principal.actor_for.is_none();
    Caller { subject: principal.owner().to_owned(), looks_after: staff || on_its_own }
}

/// Whose order it is. A service that says nothing about it must not make a refusal that stands for ever.
fn acting_for(principal: &Principal) -> Result<&str> {
    let message = "the call must be made on behalf of the order's owner";
    principal.actor_for.as_deref().ok_or_else(|| Error::new(Code::PermissionDenied, "NOT_ACTING", message))
}

fn origin(cx: &Cx, principal: &Principal) -> Origin {
    Origin::by(principal.subject.as_str())
        .correlation(cx.request_id())
        .causation(cx.request_id())
        .trace(cx.trace().traceparent())
}

/// What was just recorded is not there: a defect of ours.
fn gone() -> Error {
    Error::internal("a recorded thing cannot be read")
}

fn not_yet() -> Error {
    let message = "the carrier has not said what became of it";
    Error::new(Code::Unavailable, "OUTCOME_UNKNOWN", message).with_retry_after(RETRY_AFTER)
}

/// One method of the contract: its request is answered by the expression.
macro_rules! answers {
    ($($method:ident($request:ident) -> $response:ident { $($field:ident)? } = |$desk:ident, $cx:ident, $asked:ident| $answer:expr;)*) => {
        $(fn $method(&self, $cx: Cx, $asked: pb::$request) -> BoxFuture<'_, Result<pb::$response>> {
            let $desk = self;
            Box::pin(async move {
                let _answer = $answer;
                Ok(pb::$response { $($field: Some(_answer))? })
            })
        })*
    };
}

impl ShippingService for Desk {
    answers! {
        get_rate(GetRateRequest) -> GetRateResponse { rate } = |desk, cx, asked| desk.rate(cx, asked).await?;
        create_fulfilment(CreateFulfilmentRequest) -> CreateFulfilmentResponse { fulfilment } =
            |desk, cx, asked| desk.create(cx, asked).await?;
        hold_fulfilment(HoldFulfilmentRequest) -> HoldFulfilmentResponse { fulfilment } = |desk, cx, asked| {
            let (order_id, hold_id) = proto::named(&asked.order_id, "holdId", &asked.hold_id)?;
            desk.hold(cx, order_id, hold_id, true).await?
        };
        release_hold(ReleaseHoldRequest) -> ReleaseHoldResponse { fulfilment } = |desk, cx, asked| {
            let (order_id, hold_id) = proto::named(&asked.order_id, "holdId", &asked.hold_id)?;
            desk.hold(cx, order_id, hold_id, false).await?
        };
        get_fulfilment(GetFulfilmentRequest) -> GetFulfilmentResponse { fulfilment } =
            |desk, cx, asked| desk.visible_fulfilment(&cx, &asked.order_id).await?;
        create_return_label(CreateReturnLabelRequest) -> CreateReturnLabelResponse { label } =
            |desk, cx, asked| desk.return_label(cx, asked).await?;
        void_return_label(VoidReturnLabelRequest) -> VoidReturnLabelResponse { label } =
            |desk, cx, asked| desk.void_return(cx, asked).await?;
        get_shipment(GetShipmentRequest) -> GetShipmentResponse { shipment } = |desk, cx, asked| {
            let (stream, parcel) = desk.visible(&cx, &asked.shipment_id).await?;
            desk.shipment(&stream, &parcel).await?
        };
        mark_packed(MarkPackedRequest) -> MarkPackedResponse { shipment } = |desk, cx, asked| {
            let (stream, parcel) = desk.step(&cx, &asked.shipment_id, Shipment::pack).await?;
            desk.shipment(&stream, &parcel).await?
        };
        buy_label(BuyLabelRequest) -> BuyLabelResponse { shipment } =
            |desk, cx, asked| desk.buy_label(cx, asked).await?;
        hand_over(HandOverRequest) -> HandOverResponse { shipment } = |desk, cx, asked| {
            let (stream, parcel) = desk.step(&cx, &asked.shipment_id, Shipment::hand_over).await?;
            desk.shipment(&stream, &parcel).await?
        };
    }

    fn validate_address(
        &self,
        _cx: Cx,
        request: pb::ValidateAddressRequest,
    ) -> BoxFuture<'_, Result<pb::ValidateAddressResponse>> {
        Box::pin(async move {
            let check = address::check(&proto::address(request.address)?);
            Ok(pb::ValidateAddressResponse { check: Some(proto::check(&check)) })
        })
    }

    fn quote_rates(
        &self,
        cx: Cx,
        request: pb::QuoteRatesRequest,
    ) -> BoxFuture<'_, Result<pb::QuoteRatesResponse>> {
        Box::pin(self.quote(cx, request))
    }

    fn cancel_fulfilment(
        &self,
        cx: Cx,
        request: pb::CancelFulfilmentRequest,
    ) -> BoxFuture<'_, Result<pb::CancelFulfilmentResponse>> {
        Box::pin(self.cancel(cx, request))
    }

    fn list_shipments(
        &self,
        cx: Cx,
        request: pb::ListShipmentsRequest,
    ) -> BoxFuture<'_, Result<pb::ListShipmentsResponse>> {
        Box::pin(async move {
            let shipments = self.visible_fulfilment(&cx, &request.order_id).await?.shipments;
            Ok(pb::ListShipmentsResponse { shipments })
        })
    }

    fn track(
        &self,
        cx: Cx,
        request: pb::TrackRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<pb::TrackResponse>>>> {
        Box::pin(async move {
            let (stream, _) = self.visible(&cx, &request.shipment_id).await?;
            Ok(track::steps(self.store.clone(), stream, request.after_sequence).boxed())
        })
    }

    fn handle_carrier_webhook(
        &self,
        _cx: Cx,
        request: pb::HandleCarrierWebhookRequest,
    ) -> BoxFuture<'_, Result<pb::HandleCarrierWebhookResponse>> {
        Box::pin(async move {
            self.webhook(request).await?;
            Ok(pb::HandleCarrierWebhookResponse {})
        })
    }
}

mod track {
    //! Step by step, for whoever watches a parcel. Looks at the store again whenever its head moves.
    use crate::domain::Shipment;
    use crate::proto;
    use souk_contracts::shipping::v1::TrackResponse;
    use souk_decider::Aggregate;
    use souk_eventstore::{EventStore, Position, StreamId};
    use souk_kernel::Error;
    use souk_rpc::time;
    use std::collections::VecDeque;
    use tokio::sync::watch::Receiver;

    /// How many events are read at once.
    const EVENTS_PER_READ: usize = 100;

    /// Every step after a sequence, then live until nothing more is expected of the parcel.
    pub fn steps(
        store: EventStore,
        stream: StreamId,
        after_sequence: u64,
    ) -> impl futures_util::Stream<Item = Result<TrackResponse, Error>> + Send + 'static {
        let head = store.head();
        let (parcel, ready) = (Shipment::default(), VecDeque::new());
        let watcher = Watcher { store, stream, after_sequence, head, parcel, version: 0, ready };
        futures_util::stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(Some(step)) => Some((Ok(step), Some(watcher))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    struct Watcher {
        store: EventStore,
        stream: StreamId,
        after_sequence: u64,
        head: Receiver<Position>,
        /// The state after the events that were read so far.
        parcel: Shipment,
        version: u64,
        ready: VecDeque<TrackResponse>,
    }

    impl Watcher {
        async fn next(&mut self) -> Result<Option<TrackResponse>, Error> {
            loop {
                if let Some(step) = self.ready.pop_front() {
                    return Ok(Some(step));
                }
                self.head.borrow_and_update();
                if self.store.state::<Shipment>(&self.stream).await?.version() > self.version {
                    self.read().await?;
                    continue;
                }
                if self.parcel.status().is_over() || self.head.changed().await.is_err() {
                    return Ok(None);
                }
            }
        }

        /// Folds what is new. Only what moves the parcel is a step.
        async fn read(&mut self) -> Result<(), Error> {
            let events = self.store.read_stream(&self.stream, self.version, EVENTS_PER_READ).await?;
            for recorded in &events {
                let before = self.parcel.status();
                self.parcel.evolve(&*recorded.event()?);
                self.version = recorded.version;
                let is_step = recorded.version == 1 || self.parcel.status() != before;
                if is_step && recorded.version > self.after_sequence {
                    self.ready.push_back(TrackResponse {
                        sequence: recorded.version,
                        status: proto::status(self.parcel.status()).into(),
                        what: recorded.kind.to_string(),
                        tracking_code: self.parcel.tracking_code().to_owned(),
                        time: Some(time::to_proto(recorded.time)),
                    });
                }
            }
            Ok(())
        }
    }
}
