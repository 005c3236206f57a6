//! Returns as they are called: a decision about the return and its order, in one commit.
use super::watch::{ANSWER_MARGIN, WAIT_MAX};
use super::{Orders, caller, gone, key_of, key_reused, origin, sha256_hex};
use crate::domain::Delivery;
use crate::domain::exchange::Replacement;
use crate::domain::order::{self, Order, OrderEvent, Windows};
use crate::domain::quote::{self, CartLine};
use crate::domain::returns::{
    self, Decided, EXTERNAL_REF_SCOPE, Inspection, Record, Request, Return, ReturnEvent,
};
use crate::effects::Destination;
use crate::{proto, views};
use prost::Message;
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{OrderId, ReturnId};
use souk_eventstore::{CommitError, CommitId, Decision, Expected, Folded, Origin, StreamId, Timer, Work};
use souk_kernel::{Error, Rejection, Timestamp};
use souk_rpc::Cx;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// The method under which keys are remembered.
const REQUEST_RETURN: &str = "RequestReturn";
/// Claims of these keys stand under this scope.
const KEY_SCOPE: &str = "return_key";
/// How many events are read at once.
const EVENTS_PER_READ: usize = 200;

impl Orders {
    pub(super) async fn request_return(
        &self,
        cx: Cx,
        request: pb::RequestReturnRequest,
    ) -> Result<pb::Return, Error> {
        let principal = cx.principal()?;
        let once = key_of(principal, REQUEST_RETURN, cx.require_key()?, &request);
        let asked = proto::returns::request(&request)?;
        let order = StreamId::of::<Order>(asked.order_id);
        let asked = Request {
            return_id: self.ids.new_id(),
            caller: caller(principal),
            by: principal.subject.as_str().into(),
            lines: asked.lines,
            wish: asked.wish,
            replacement: self.replacement(&cx, &asked.replacements, &order).await?,
            arrivals: self.arrivals(&order).await?,
            window: self.windows.returns,
            key: format!("{}/{}", once.principal, once.key).into(),
            hash: once.request_hash.as_str().into(),
        };
        let own = asked.return_id;
        let return_id = match self.store.commit(self.requesting(origin(&cx, principal), order, asked)).await {
            Ok(_) => own,
            // The key was used before.
            Err(CommitError::ClaimTaken { owner, .. }) => {
                let known = owner.parse().map_err(Error::internal)?;
                self.same_request(known, &once.request_hash).await?;
                known
            }
            Err(error) => return Err(error.into()),
        };
        proto::returns::message(&*self.read_return(return_id).await?).ok_or_else(gone)
    }

    /// What is wanted instead, priced as it is for everybody today. That it is not sold is for the decision to say,
    /// which knows whether the same was asked before.
    async fn replacement(
        &self,
        cx: &Cx,
        wanted: &[CartLine],
        order: &StreamId,
    ) -> Result<Option<Result<Arc<Replacement>, Rejection>>, Error> {
        let order = self.store.state::<Order>(order).await?;
        let Some(placed) = order.placed().filter(|_| !wanted.is_empty()) else { return Ok(None) };
        let delivery = order.delivery().cloned();
        let place = |part: fn(&Delivery) -> &Arc<str>| {
            delivery.as_ref().map(|delivery| part(delivery).to_string()).unwrap_or_default()
        };
        let to = Destination {
            country: place(|to| &to.country),
            region: place(|to| &to.region),
            shipping: None,
            delivery: delivery.clone(),
        };
        let asked = (1..).zip(wanted).map(|(number, line)| (number, &line.sku, line.quantity.get()));
        let priced = self.effects.price(cx, &placed.subject, &placed.market, asked, &[], &to).await?;
        let priced = quote::price_cart(wanted, &priced.listings, None).and_then(|(lines, total)| match order
            .agreed_total()
        {
            Some(paid) if paid.currency() == total.currency() => {
                Replacement::new(&order, lines, priced.terms)
            }
            Some(_) | None => Err(other_currency()),
        });
        Ok(Some(priced.map(Arc::new)))
    }

    /// The key is remembered as long as the return: it says which one it was.
    fn requesting(&self, origin: Origin, order: StreamId, asked: Request) -> Work {
        let stream = StreamId::of::<Return>(asked.return_id);
        Work::new(CommitId::new(self.ids.uuid()), origin)
            .read::<Order>(&order)
            .claim(KEY_SCOPE, asked.key.clone())
            .decide(move |facts, now| {
                let own = asked.return_id.to_string();
                let decision = Decision::new().hold(KEY_SCOPE, asked.key.clone(), own);
                if facts.claim(KEY_SCOPE, &asked.key).is_some() {
                    return Ok(decision);
                }
                let decided = returns::request(&facts.state::<Order>(&order), &asked, now)?;
                let decision = beside(decision, &order, decided.to_order, decided.to_payer);
                Ok(decision.append(&stream, Expected::NoStream, decided.events))
            })
    }

    async fn same_request(&self, return_id: ReturnId, hash: &str) -> Result<(), Error> {
        let back = self.read_return(return_id).await?;
        let is_same = match back.begun() {
            Some(returns::Begun::Requested(known)) => *known.hash == *hash,
            Some(returns::Begun::Recorded(_)) | None => false,
        };
        if is_same { Ok(()) } else { Err(key_reused().into()) }
    }

    /// When the pieces of each line arrived. What has arrived stays so, hence it may be read before the commit.
    async fn arrivals(&self, order: &StreamId) -> Result<BTreeMap<u32, Timestamp>, Error> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let read = self.store.read_stream(order, after, EVENTS_PER_READ).await?;
            for recorded in &read {
                events.push((recorded.event::<OrderEvent>()?, recorded.time));
                after = recorded.version;
            }
            if read.len() < EVENTS_PER_READ {
                return Ok(order::arrivals(events.iter().map(|(event, time)| (&**event, *time))));
            }
        }
    }

    async fn read_return(&self, return_id: ReturnId) -> Result<Folded<Return>, Error> {
        Ok(self.store.state::<Return>(&StreamId::of::<Return>(return_id)).await?)
    }

    /// The return, if it is there and the caller may see it. All of staff that sells or looks after orders may.
    async fn visible_return(&self, cx: &Cx, return_id: &str) -> Result<(ReturnId, Folded<Return>), Error> {
        let caller = caller(cx.principal()?);
        let return_id: ReturnId = proto::id("returnId", return_id)?;
        let back = self.read_return(return_id).await?;
        let is_visible = back.whose().is_some_and(|whose| caller.may_see(&whose.subject, true));
        if is_visible { Ok((return_id, back)) } else { Err(Error::not_found("the return")) }
    }

    /// The order, if it is there and the caller may see its returns.
    async fn returnable(&self, cx: &Cx, order_id: &str) -> Result<(StreamId, Folded<Order>), Error> {
        let caller = caller(cx.principal()?);
        let stream = StreamId::of::<Order>(proto::id::<OrderId>("orderId", order_id)?);
        let order = self.store.state::<Order>(&stream).await?;
        let is_visible = order.placed().is_some_and(|placed| caller.may_see(&placed.subject, true));
        if is_visible { Ok((stream, order)) } else { Err(Error::not_found("the order")) }
    }

    pub(super) async fn get_return(
        &self,
        cx: Cx,
        request: pb::GetReturnRequest,
    ) -> Result<pb::Return, Error> {
        let (_, back) = self.visible_return(&cx, &request.return_id).await?;
        proto::returns::message(&back).ok_or_else(gone)
    }

    pub(super) async fn list_returns(
        &self,
        cx: Cx,
        request: pb::ListReturnsRequest,
    ) -> Result<Vec<pb::Return>, Error> {
        let (_, order) = self.returnable(&cx, &request.order_id).await?;
        let mut messages = Vec::new();
        for return_id in order.returns().map_or(&[][..], |returns| &returns.all) {
            messages.extend(proto::returns::message(&*self.read_return(*return_id).await?));
        }
        Ok(messages)
    }

    pub(super) async fn list_return_queue(
        &self,
        request: pb::ListReturnQueueRequest,
    ) -> Result<pb::ListReturnQueueResponse, Error> {
        let asked = proto::returns::queue(&request)?;
        let rows = self.store.query(views::queue(asked.at, asked.after.as_ref(), asked.size + 1)).await?;
        let size = asked.size as usize;
        let page: Vec<_> = rows.iter().take(size).filter_map(views::queue_row).map(|(id, _)| id).collect();
        let last = page.last().filter(|_| rows.len() > size);
        let next_page_token =
            last.map(|last| proto::returns::queue_token(last, asked.at)).unwrap_or_default();
        let mut returns = Vec::with_capacity(page.len());
        for return_id in &page {
            returns.extend(proto::returns::message(&*self.read_return(*return_id).await?));
        }
        Ok(pb::ListReturnQueueResponse { returns, next_page_token })
    }

    pub(super) async fn get_return_options(
        &self,
        cx: Cx,
        request: pb::GetReturnOptionsRequest,
    ) -> Result<pb::GetReturnOptionsResponse, Error> {
        let (stream, order) = self.returnable(&cx, &request.order_id).await?;
        let arrivals = self.arrivals(&stream).await?;
        let Windows { returns: window, restocking_percent, .. } = self.windows;
        let options = returns::options(&order, &arrivals, window, restocking_percent, self.store.now());
        Ok(pb::GetReturnOptionsResponse {
            options: options.iter().map(proto::returns::option).collect(),
            free_label_at_fault: order.delivery().is_some(),
        })
    }

    pub(super) async fn cancel_return(
        &self,
        cx: Cx,
        request: pb::CancelReturnRequest,
    ) -> Result<pb::Return, Error> {
        let (return_id, _) = self.visible_return(&cx, &request.return_id).await?;
        self.act(&cx, return_id, |_, back, by, _| returns::cancel(back, by)).await
    }

    pub(super) async fn approve_return(
        &self,
        cx: Cx,
        request: pb::ApproveReturnRequest,
    ) -> Result<pb::Return, Error> {
        let (return_id, free_label) = (proto::id("returnId", &request.return_id)?, request.free_label);
        let decide = move |order: &Order, back: &Return, by: &Arc<str>, now| {
            returns::approve(order, back, by, free_label, now)
        };
        self.act(&cx, return_id, decide).await
    }

    pub(super) async fn reject_return(
        &self,
        cx: Cx,
        request: pb::RejectReturnRequest,
    ) -> Result<pb::Return, Error> {
        let (return_id, note) = proto::returns::noted(&request.return_id, &request.reason)?;
        self.act(&cx, return_id, move |_, back, by, _| returns::reject(back, by, &note)).await
    }

    pub(super) async fn receive_return(
        &self,
        cx: Cx,
        request: pb::ReceiveReturnRequest,
    ) -> Result<pb::Return, Error> {
        let (return_id, lines) = proto::returns::receive(&request)?;
        self.act(&cx, return_id, move |order, back, by, _| returns::receive(order, back, by, &lines)).await
    }

    pub(super) async fn inspect_return(
        &self,
        cx: Cx,
        request: pb::InspectReturnRequest,
    ) -> Result<pb::Return, Error> {
        let (return_id, lines, fees) = proto::returns::inspect(&request)?;
        let restocking_percent = self.windows.restocking_percent;
        let decide = move |order: &Order, back: &Return, by: &Arc<str>, _| {
            let (by, lines) = (by.clone(), lines.clone());
            returns::inspect(order, back, &Inspection { by, lines, fees, restocking_percent })
        };
        self.act(&cx, return_id, decide).await?;
        proto::returns::message(&*self.settled_return(return_id, &cx).await?).ok_or_else(gone)
    }

    /// One commit on one return and its order.
    async fn act(
        &self,
        cx: &Cx,
        return_id: ReturnId,
        decide: impl Fn(&Order, &Return, &Arc<str>, Timestamp) -> Result<Decided, Rejection>
        + Send
        + Sync
        + 'static,
    ) -> Result<pb::Return, Error> {
        let principal = cx.principal()?;
        let by: Arc<str> = principal.subject.as_str().into();
        let known = self.read_return(return_id).await?;
        let order_id = known.whose().map(|whose| whose.order_id);
        let order = StreamId::of::<Order>(order_id.ok_or_else(|| Error::not_found("the return"))?);
        let stream = StreamId::of::<Return>(return_id);
        let back = stream.clone();
        let work = Work::new(CommitId::new(self.ids.uuid()), origin(cx, principal))
            .read::<Order>(&order)
            .read::<Return>(&stream)
            .decide(move |facts, now| {
                let known = facts.state::<Return>(&back);
                let decided = decide(&facts.state::<Order>(&order), &known, &by, now)?;
                Ok(recorded(Decision::new(), return_id, &back, &order, decided))
            });
        let committed = self.store.commit(work).await?;
        let back = committed.state::<Return>(&stream).ok_or_else(gone)?;
        proto::returns::message(&back).ok_or_else(gone)
    }

    pub(super) async fn record_return(
        &self,
        cx: Cx,
        request: pb::RecordReturnRequest,
    ) -> Result<pb::Return, Error> {
        let principal = cx.principal()?;
        let told = proto::returns::record(&request)?;
        let order = StreamId::of::<Order>(told.order_id);
        let hash: Arc<str> = sha256_hex(&request.encode_to_vec()).into();
        let record = Record {
            return_id: self.ids.new_id(),
            by: principal.subject.as_str().into(),
            external_ref: told.external_ref.as_str().into(),
            hash: hash.clone(),
            lines: told.lines,
            reason: told.reason,
        };
        let own = record.return_id;
        let return_id = match self.store.commit(self.recording(origin(&cx, principal), order, record)).await {
            Ok(_) => own,
            // It was recorded before, or somebody with the same reference was faster.
            Err(CommitError::ClaimTaken { owner, .. }) => {
                let known = owner.parse().map_err(Error::internal)?;
                self.same_record(known, &hash).await?;
                known
            }
            Err(error) => return Err(error.into()),
        };
        proto::returns::message(&*self.settled_return(return_id, &cx).await?).ok_or_else(gone)
    }

    fn recording(&self, origin: Origin, order: StreamId, record: Record) -> Work {
        let stream = StreamId::of::<Return>(record.return_id);
        Work::new(CommitId::new(self.ids.uuid()), origin)
            .read::<Order>(&order)
            .claim(EXTERNAL_REF_SCOPE, record.external_ref.clone())
            .decide(move |facts, now| {
                let own = record.return_id.to_string();
                let decision = Decision::new().hold(EXTERNAL_REF_SCOPE, record.external_ref.clone(), own);
                // Whose it is says the refusal of the claim, whatever the order has become since.
                if facts.claim(EXTERNAL_REF_SCOPE, &record.external_ref).is_some() {
                    return Ok(decision);
                }
                let decided = returns::record(&facts.state::<Order>(&order), &record, now)?;
                let decision = beside(decision, &order, decided.to_order, decided.to_payer);
                Ok(decision.append(&stream, Expected::NoStream, decided.events))
            })
    }

    async fn same_record(&self, return_id: ReturnId, hash: &str) -> Result<(), Error> {
        let back = self.read_return(return_id).await?;
        let is_same = match back.begun() {
            Some(returns::Begun::Recorded(known)) => *known.hash == *hash,
            Some(returns::Begun::Requested(_)) | None => false,
        };
        let taken = "the external reference belongs to another return";
        if is_same { Ok(()) } else { Err(Rejection::new("EXTERNAL_REF_TAKEN", taken).into()) }
    }

    /// The return once its money has gone back, or as it is when the caller's patience ends.
    async fn settled_return(&self, return_id: ReturnId, cx: &Cx) -> Result<Folded<Return>, Error> {
        let wait = cx.wait().unwrap_or_default();
        let until = Instant::now() + wait.min(WAIT_MAX).min(cx.remaining().saturating_sub(ANSWER_MARGIN));
        let mut head = self.store.head();
        loop {
            head.borrow_and_update();
            let back = self.read_return(return_id).await?;
            let is_settled = back.status().is_none_or(returns::Status::is_settled);
            if is_settled || back.needs_attention() || wait.is_zero() {
                return Ok(back);
            }
            match tokio::time::timeout_at(until, head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(back),
            }
        }
    }

    /// An approved return has not arrived in time.
    pub(super) async fn return_due(&self, timer: Timer) -> Result<(), CommitError> {
        let Ok(return_id) = timer.payload.parse::<ReturnId>() else { return Ok(()) };
        let stream = StreamId::of::<Return>(return_id);
        let order = self
            .store
            .state::<Return>(&stream)
            .await
            .ok()
            .and_then(|back| back.whose().map(|whose| StreamId::of::<Order>(whose.order_id)));
        let id = CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()]);
        let origin = Origin::by("svc:order").causation(timer.key.clone());
        let work = Work::new(id, origin).read::<Return>(&stream).decide(move |facts, now| {
            let decision = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            let decided = returns::expire(&facts.state::<Return>(&stream), now);
            Ok(match &order {
                Some(order) => appended(decision, &stream, order, decided),
                None => decision,
            })
        });
        self.store.commit(work).await.map(|_| ())
    }
}

/// Adds what was decided to a commit, with the return's timer.
fn recorded(
    decision: Decision,
    return_id: ReturnId,
    stream: &StreamId,
    order: &StreamId,
    decided: Decided,
) -> Decision {
    let mut decision = decision;
    for event in &decided.events {
        decision = match event {
            ReturnEvent::ReturnApproved(approved) => {
                decision.set_timer(returns::expiry_timer(return_id, approved.until))
            }
            ReturnEvent::ReturnReceived(_)
            | ReturnEvent::ReturnInspected(_)
            | ReturnEvent::ReturnCancelled(_) => decision.cancel_timer(returns::expiry_key(return_id)),
            ReturnEvent::ReturnRequested(_)
            | ReturnEvent::ReturnRecorded(_)
            | ReturnEvent::ReturnRejected(_)
            | ReturnEvent::ReturnLabelIssued(_)
            | ReturnEvent::ReturnResolved(_)
            | ReturnEvent::ReturnExpired(_)
            | ReturnEvent::ReturnArrivedLate(_)
            | ReturnEvent::ReturnMoved(_) => decision,
        };
    }
    appended(decision, stream, order, decided)
}

fn appended(mut decision: Decision, stream: &StreamId, order: &StreamId, decided: Decided) -> Decision {
    if !decided.events.is_empty() {
        decision = decision.append(stream, Expected::Exists, decided.events);
    }
    beside(decision, order, decided.to_order, decided.to_payer)
}

/// What a return means for its order, and for the one whose payment pays it back.
fn beside(
    decision: Decision,
    order: &StreamId,
    to_order: Vec<OrderEvent>,
    to_payer: Option<(OrderId, Vec<OrderEvent>)>,
) -> Decision {
    let to_payer = to_payer.map(|(payer, events)| (StreamId::of::<Order>(payer), events));
    let told = [(order.clone(), to_order)].into_iter().chain(to_payer);
    told.filter(|(_, events)| !events.is_empty())
        .fold(decision, |decision, (stream, events)| decision.append(&stream, Expected::Exists, events))
}

fn other_currency() -> Rejection {
    let sentence = "the order was paid for in another currency than the market has now";
    Rejection::new("NOT_OFFERED", sentence).with("wish", "EXCHANGE")
}
