//! The calls: read the request, make one commit or query, answer. No rule stands here.
use crate::domain::{
    Adjust, Adjustment, Answer, Carriage, Count, Counted, Place, Receipt, Receive, Reference, RefusalReason,
    Reservation, ReservationEvent, STOCK_NOT_READ, SkuTerms, Stock,
};
use crate::effects::{self, Shelves, settled, with_queue, with_shelves};
use crate::proto::{self, Release, Reserve};
use crate::views;
use futures_util::StreamExt;
use souk_contracts::inventory::v1::{self as pb, InventoryService};
use souk_contracts::terms::{OrderId, Sku};
use souk_eventstore::{CommitError, CommitId, Committed, Decision, Expected, Folded, Origin, StreamId, Work};
use souk_host::Resources;
use souk_kernel::{Error, Rejection};
use souk_rpc::{BoxFuture, BoxStream, Cx, Result};
use std::sync::Arc;

/// Answers the calls of the inventory contract.
pub struct Inventory {
    own: Resources,
}

impl Inventory {
    /// Answers from these resources.
    pub fn new(own: Resources) -> Self {
        Self { own }
    }

    fn work(&self, cx: &Cx) -> Result<Work> {
        let origin = Origin::by(cx.principal()?.subject.as_str())
            .correlation(cx.request_id())
            .causation(cx.request_id())
            .trace(cx.trace().traceparent());
        Ok(Work::new(CommitId::new(self.own.ids.uuid()), origin))
    }

    async fn stock_of(&self, skus: &[Sku]) -> Result<Stock> {
        let mut rows = Vec::new();
        for statement in views::shelves(skus) {
            rows.extend(self.own.store.query(statement).await?);
        }
        Ok(views::stock(&rows))
    }

    async fn levels(&self, skus: &[Sku]) -> Result<Vec<pb::Level>> {
        let stock = self.stock_of(skus).await?;
        Ok(skus.iter().map(|sku| proto::level_in(&stock, sku)).collect())
    }

    async fn promise(&self, cx: Cx, request: pb::ReserveRequest) -> Result<pb::Reservation> {
        let Reserve { order, lines, ttl, policy } = proto::reserve(&request)?;
        let stream = StreamId::of::<Reservation>(order);
        let (work, shelves) = with_shelves(self.work(&cx)?, lines.iter().map(|line| &line.sku));
        let of = stream.clone();
        let work = work.read::<Reservation>(&stream).decide(move |facts, now| {
            let expires_at = now.plus(ttl);
            let reservation = facts.state::<Reservation>(&of);
            let mut stock = shelves.stock(facts);
            let events = reservation.reserve(&lines, policy, &stock, expires_at)?;
            let granted = events.iter().any(ReservationEvent::is_grant);
            let decision = settled(Decision::new(), &of, Some(order), &mut stock, events);
            Ok(if granted { decision.set_timer(effects::expiry(order, expires_at, 0)) } else { decision })
        });
        let after = state::<Reservation>(&self.own.store.commit(work).await?, &stream)?;
        answered(order, after.reserve_answer())
    }

    async fn make_final(&self, cx: Cx, request: pb::CommitRequest) -> Result<pb::Reservation> {
        let order = proto::reservation_id(&request.reservation_id)?;
        let stream = StreamId::of::<Reservation>(order);
        let committed = match self.own.store.commit(commit_work(self.work(&cx)?, order, &stream)).await {
            // It has expired. It is never about other SKUs, so its shelves can be named for a second try.
            Err(CommitError::Rejected(rejection)) if rejection.reason == STOCK_NOT_READ => {
                let expired = self.own.store.state::<Reservation>(&stream).await?;
                let (work, shelves) = with_shelves(self.work(&cx)?, expired.skus());
                self.own.store.commit(commit_again_work(work, order, &stream, shelves)).await?
            }
            first => first?,
        };
        answered(order, state::<Reservation>(&committed, &stream)?.commit_answer())
    }

    /// Decides something about a reservation and the shelves of its SKUs. Which these are is looked up before;
    /// if it was granted between the look and the decision, it is looked at once more.
    async fn step(&self, cx: &Cx, order: OrderId, decide: Step) -> Result<Folded<Reservation>> {
        let stream = StreamId::of::<Reservation>(order);
        let committed = match self.attempt(cx, order, &decide).await? {
            Err(CommitError::Rejected(rejection)) if rejection.reason == STOCK_NOT_READ => {
                self.attempt(cx, order, &decide).await??
            }
            first => first?,
        };
        state::<Reservation>(&committed, &stream)
    }

    async fn attempt(
        &self,
        cx: &Cx,
        order: OrderId,
        decide: &Step,
    ) -> Result<std::result::Result<Committed, CommitError>> {
        let stream = StreamId::of::<Reservation>(order);
        let seen = self.own.store.state::<Reservation>(&stream).await?;
        let (work, shelves) = with_queue(self.work(cx)?, seen.skus());
        let decide = decide.clone();
        let work = work.read::<Reservation>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            effects::decided(&facts.state::<Reservation>(&stream), order, &mut stock, &*decide)
        });
        Ok(self.own.store.commit(work).await)
    }

    async fn give_back(&self, cx: Cx, request: pb::ReleaseRequest) -> Result<pb::Reservation> {
        let (order, wish) = proto::release(&request)?;
        let reason = proto::release_reason(&request.reason);
        let (release_id, lines) = match wish {
            Release::All => {
                let decide: Step = Arc::new(move |state, _| Ok(state.release(&reason)));
                return answered(order, self.step(&cx, order, decide).await?.current());
            }
            Release::Lines { release_id, lines } => (release_id, lines),
        };
        let id = release_id.clone();
        let decide: Step = Arc::new(move |state, _| state.release_lines(&id, &lines, &reason));
        let after = self.step(&cx, order, decide).await?;
        after_step(order, &after, after.release_refusal(&release_id))
    }

    async fn send_off(&self, cx: Cx, request: pb::ShipRequest) -> Result<pb::Reservation> {
        let (order, shipment_id, lines) = proto::ship(&request)?;
        let id = shipment_id.clone();
        let decide: Step = Arc::new(move |state, _| state.ship(&id, &lines));
        let after = self.step(&cx, order, decide).await?;
        after_step(order, &after, after.ship_refusal(&shipment_id))
    }

    async fn take_back(&self, cx: Cx, request: pb::RestockRequest) -> Result<pb::Reservation> {
        let (order, restock_id, lines) = proto::restock(&request)?;
        let (id, of) = (restock_id.clone(), lines.clone());
        let decide: Step = Arc::new(move |state, stock| state.restock(&id, &of, stock));
        let after = self.step(&cx, order, decide).await?;
        after_step(order, &after, after.restock_refusal(&restock_id, &lines))
    }

    async fn prolong(&self, cx: Cx, request: pb::ExtendReservationRequest) -> Result<pb::Reservation> {
        let (order, ttl) = proto::extend(&request)?;
        let stream = StreamId::of::<Reservation>(order);
        let of = stream.clone();
        let work = self.work(&cx)?.read::<Reservation>(&stream).decide(move |facts, now| {
            let reservation = facts.state::<Reservation>(&of);
            let until = now.plus(ttl);
            let events = reservation.extend(until)?;
            let timer = effects::expiry(order, until, reservation.extensions() + 1);
            let extended = !events.is_empty();
            let decision = Decision::new().append(&of, Expected::Any, events);
            Ok(if extended { decision.set_timer(timer) } else { decision })
        });
        let after = state::<Reservation>(&self.own.store.commit(work).await?, &stream)?;
        answered(order, after.current())
    }

    async fn reservation(&self, request: pb::GetReservationRequest) -> Result<pb::Reservation> {
        let order = proto::reservation_id(&request.reservation_id)?;
        let reservation = self.own.store.state::<Reservation>(&StreamId::of::<Reservation>(order)).await?;
        let answer = reservation.current().ok_or_else(|| Error::not_found("the reservation"))?;
        Ok(proto::reservation(order, &answer))
    }

    async fn book_receipt(
        &self,
        cx: Cx,
        request: pb::ReceiveStockRequest,
    ) -> Result<pb::ReceiveStockResponse> {
        let (receipt, wish): (Reference, Receive) = proto::receive(&request)?;
        let stream = StreamId::of::<Receipt>(&receipt);
        let lines = wish.lines.len();
        let (work, shelves) = with_queue(self.work(&cx)?, wish.lines.iter().map(|line| &line.sku));
        let work = work.read::<Receipt>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            let events = facts.state::<Receipt>(&stream).receive(&wish, &stock)?;
            Ok(settled(Decision::new(), &stream, None, &mut stock, events))
        });
        let committed = self.own.store.commit(work).await?;
        let lines = u32::try_from(lines).expect("the number of lines is limited");
        Ok(pb::ReceiveStockResponse { repeated_receipt: committed.first.is_none(), lines })
    }

    async fn book_adjustment(
        &self,
        cx: Cx,
        request: pb::AdjustStockRequest,
    ) -> Result<pb::AdjustStockResponse> {
        let (adjustment, wish): (Reference, Adjust) = proto::adjust(&request)?;
        let stream = StreamId::of::<Adjustment>(&adjustment);
        let of = stream.clone();
        let (work, shelves) = with_queue(self.work(&cx)?, [&wish.sku]);
        let work = work.read::<Adjustment>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            let events = facts.state::<Adjustment>(&of).adjust(&wish, &stock)?;
            Ok(settled(Decision::new(), &of, None, &mut stock, events))
        });
        let after = state::<Adjustment>(&self.own.store.commit(work).await?, &stream)?;
        Ok(proto::adjusted(after.booked().ok_or_else(not_there)?))
    }

    /// One commit over all of them: each decides on what the ones before it leave.
    async fn book_adjustments(
        &self,
        cx: Cx,
        request: pb::BulkAdjustRequest,
    ) -> Result<pb::BulkAdjustResponse> {
        let wishes: Arc<[_]> = proto::bulk_adjust(&request)?
            .into_iter()
            .map(|(id, wish)| (StreamId::of::<Adjustment>(&id), id, wish))
            .collect();
        let (work, shelves) = with_queue(self.work(&cx)?, wishes.iter().map(|(_, _, wish)| &wish.sku));
        let work = wishes.iter().fold(work, |work, (stream, ..)| work.read::<Adjustment>(stream));
        let all = Arc::clone(&wishes);
        let work = work.decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            all.iter().try_fold(Decision::new(), |decision, (of, id, wish)| {
                let events = facts.state::<Adjustment>(of).adjust(wish, &stock);
                let events = events.map_err(|refused| refused.with("adjustment_id", id))?;
                Ok(settled(decision, of, None, &mut stock, events))
            })
        });
        let committed = self.own.store.commit(work).await?;
        let level = |(stream, ..): &(StreamId, Reference, Adjust)| {
            let after = state::<Adjustment>(&committed, stream)?;
            Ok(proto::adjusted(after.booked().ok_or_else(not_there)?).level.unwrap_or_default())
        };
        Ok(pb::BulkAdjustResponse { levels: wishes.iter().map(level).collect::<Result<_>>()? })
    }

    async fn book_transfer(
        &self,
        cx: Cx,
        request: pb::TransferStockRequest,
    ) -> Result<pb::TransferStockResponse> {
        let (transfer, wish) = proto::transfer(&request)?;
        let stream = StreamId::of::<Carriage>(&transfer);
        let of = stream.clone();
        let (work, shelves) = with_queue(self.work(&cx)?, [&wish.sku]);
        let work = work.read::<Carriage>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            let events = facts.state::<Carriage>(&of).transfer(&wish, &stock)?;
            Ok(settled(Decision::new(), &of, None, &mut stock, events))
        });
        let after = state::<Carriage>(&self.own.store.commit(work).await?, &stream)?;
        Ok(proto::transferred(after.booked().ok_or_else(not_there)?))
    }

    /// Who holds the shelf is looked up before the decision: a hint for the person who will decide.
    async fn book_count(&self, cx: Cx, request: pb::CountStockRequest) -> Result<pb::CountStockResponse> {
        let (count, wish) = proto::count(&request)?;
        let stream = StreamId::of::<Count>(&count);
        let of = stream.clone();
        let holders = if wish.force { self.holders_of_missing(&wish).await? } else { Vec::new() };
        let (work, shelves) = with_queue(self.work(&cx)?, [&wish.sku]);
        let work = work.read::<Count>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            let events = facts.state::<Count>(&of).count(&wish, &stock, &holders)?;
            Ok(settled(Decision::new(), &of, None, &mut stock, events))
        });
        let committed = self.own.store.commit(work).await?;
        let after = state::<Count>(&committed, &stream)?;
        proto::counted(&count, &after).ok_or_else(not_there)
    }

    async fn holders_of_missing(&self, wish: &Counted) -> Result<Vec<OrderId>> {
        let stock = self.stock_of(std::slice::from_ref(&wish.sku)).await?;
        let shelf = stock.shelf(&wish.sku, &wish.location);
        let missing = shelf.map_or(0, |shelf| shelf.reserved + shelf.quarantined) - wish.pieces;
        if missing <= 0 {
            return Ok(Vec::new());
        }
        Ok(effects::youngest_holders(&self.own.store, &wish.sku, &wish.location, missing).await?)
    }

    async fn settle_shortfall(
        &self,
        cx: Cx,
        request: pb::ResolveShortfallRequest,
    ) -> Result<pb::ResolveShortfallResponse> {
        let (shortfall, verdict, reason) = proto::resolve(&request)?;
        let stream = StreamId::of::<Count>(&shortfall);
        let of = stream.clone();
        // What was missing where never changes, so a look before the decision is as good as one in it.
        let seen = self.own.store.state::<Count>(&stream).await?;
        let sku = seen.shortfall().ok_or_else(|| Error::not_found("the shortfall"))?.sku.clone();
        let (work, shelves) = with_queue(self.work(&cx)?, [&sku]);
        let work = work.read::<Count>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            let events = facts.state::<Count>(&of).resolve(verdict, &reason, &stock)?;
            Ok(settled(Decision::new(), &of, None, &mut stock, events))
        });
        let after = state::<Count>(&self.own.store.commit(work).await?, &stream)?;
        Ok(proto::resolved(after.resolved().ok_or_else(not_there)?))
    }

    async fn open_shortfalls(
        &self,
        request: pb::ListShortfallsRequest,
    ) -> Result<pb::ListShortfallsResponse> {
        let page = proto::shortfalls_page(&request)?;
        let rows = self.own.store.query(views::shortfalls(&page)).await?;
        let size = page.size as usize;
        let open = rows.iter().take(size).map(views::shortfall_row).collect();
        Ok(proto::shortfalls(open, rows.len() > size))
    }

    async fn put_place(&self, cx: Cx, request: pb::PutLocationRequest) -> Result<pb::PutLocationResponse> {
        let wish = proto::location(&request)?;
        let stream = StreamId::of::<Place>(&wish.location);
        let location = Some(proto::stock_location(&wish));
        let work = self.work(&cx)?.read::<Place>(&stream).rows("locations", views::locations());
        let work = work.decide(move |facts, _| {
            let events = facts.state::<Place>(&stream).put(&wish, facts.rows("locations").len())?;
            Ok(Decision::new().append(&stream, Expected::Any, events))
        });
        self.own.store.commit(work).await?;
        Ok(pb::PutLocationResponse { location })
    }

    async fn places(&self) -> Result<pb::ListLocationsResponse> {
        let rows = self.own.store.query(views::locations()).await?;
        let locations = rows.iter().map(|row| proto::stock_location(&views::location_row(row))).collect();
        Ok(pb::ListLocationsResponse { locations })
    }

    async fn put_terms(
        &self,
        cx: Cx,
        request: pb::PutStockTermsRequest,
    ) -> Result<pb::PutStockTermsResponse> {
        let (sku, terms) = proto::terms(&request)?;
        let stream = StreamId::of::<SkuTerms>(&sku);
        let (work, shelves) = with_queue(self.work(&cx)?, [&sku]);
        let of = sku.clone();
        let work = work.read::<SkuTerms>(&stream).decide(move |facts, _| {
            let mut stock = shelves.stock(facts);
            let events = facts.state::<SkuTerms>(&stream).put(&of, terms);
            Ok(settled(Decision::new(), &stream, None, &mut stock, events))
        });
        self.own.store.commit(work).await?;
        let level = self.levels(&[sku]).await?.pop();
        Ok(pb::PutStockTermsResponse { level })
    }

    async fn ledger(&self, request: pb::ListMovementsRequest) -> Result<pb::ListMovementsResponse> {
        let page = proto::movements_page(&request)?;
        let rows = self.own.store.query(views::ledger(&page)).await?;
        let size = page.size as usize;
        let lines = rows.iter().take(size).map(views::ledger_line).collect();
        Ok(proto::movements(&page.sku, lines, rows.len() > size))
    }
}

/// What shall happen to a reservation, given the shelves of its SKUs.
type Step =
    Arc<dyn Fn(&Reservation, &Stock) -> std::result::Result<Vec<ReservationEvent>, Rejection> + Send + Sync>;

fn commit_work(work: Work, order: OrderId, stream: &StreamId) -> Work {
    let stream = stream.clone();
    work.read::<Reservation>(&stream).decide(move |facts, _| {
        let events = facts.state::<Reservation>(&stream).commit(None)?;
        let changed = !events.is_empty();
        let decision = Decision::new().append(&stream, Expected::Any, events);
        Ok(if changed { decision.cancel_timer(effects::expiry_key(order)) } else { decision })
    })
}

fn commit_again_work(work: Work, order: OrderId, stream: &StreamId, shelves: Shelves) -> Work {
    let stream = stream.clone();
    work.read::<Reservation>(&stream).decide(move |facts, _| {
        let mut stock = shelves.stock(facts);
        let events = facts.state::<Reservation>(&stream).commit(Some(&stock))?;
        let changed = !events.is_empty();
        let decision = settled(Decision::new(), &stream, Some(order), &mut stock, events);
        Ok(if changed { decision.cancel_timer(effects::expiry_key(order)) } else { decision })
    })
}

fn state<A: souk_decider::Aggregate>(committed: &Committed, stream: &StreamId) -> Result<Folded<A>> {
    committed
        .state::<A>(stream)
        .ok_or_else(|| Error::internal("a commit does not know a stream that it read"))
}

fn answered(order: OrderId, answer: Option<Answer>) -> Result<pb::Reservation> {
    let answer = answer.ok_or_else(|| Error::internal("a reservation was decided and is not there"))?;
    Ok(proto::reservation(order, &answer))
}

fn after_step(
    order: OrderId,
    after: &Reservation,
    refused: Option<RefusalReason>,
) -> Result<pb::Reservation> {
    // A refusal is recorded for a reservation that never was, too.
    let current = after.current().or_else(|| refused.map(Answer::refused));
    answered(order, current.map(|answer| proto::after_step(answer, refused)))
}

fn not_there() -> Error {
    Error::internal("something was booked and is not there")
}

impl InventoryService for Inventory {
    fn get_availability(
        &self,
        _cx: Cx,
        request: pb::GetAvailabilityRequest,
    ) -> BoxFuture<'_, Result<pb::GetAvailabilityResponse>> {
        Box::pin(async move {
            let levels = self.levels(&proto::skus(&request)?).await?;
            Ok(pb::GetAvailabilityResponse { levels })
        })
    }

    fn reserve(&self, cx: Cx, request: pb::ReserveRequest) -> BoxFuture<'_, Result<pb::ReserveResponse>> {
        Box::pin(
            async move { Ok(pb::ReserveResponse { reservation: Some(self.promise(cx, request).await?) }) },
        )
    }

    fn commit(&self, cx: Cx, request: pb::CommitRequest) -> BoxFuture<'_, Result<pb::CommitResponse>> {
        Box::pin(
            async move { Ok(pb::CommitResponse { reservation: Some(self.make_final(cx, request).await?) }) },
        )
    }

    fn release(&self, cx: Cx, request: pb::ReleaseRequest) -> BoxFuture<'_, Result<pb::ReleaseResponse>> {
        Box::pin(
            async move { Ok(pb::ReleaseResponse { reservation: Some(self.give_back(cx, request).await?) }) },
        )
    }

    fn get_reservation(
        &self,
        _cx: Cx,
        request: pb::GetReservationRequest,
    ) -> BoxFuture<'_, Result<pb::GetReservationResponse>> {
        Box::pin(async move {
            Ok(pb::GetReservationResponse { reservation: Some(self.reservation(request).await?) })
        })
    }

    fn receive_stock(
        &self,
        cx: Cx,
        request: pb::ReceiveStockRequest,
    ) -> BoxFuture<'_, Result<pb::ReceiveStockResponse>> {
        Box::pin(self.book_receipt(cx, request))
    }

    fn adjust_stock(
        &self,
        cx: Cx,
        request: pb::AdjustStockRequest,
    ) -> BoxFuture<'_, Result<pb::AdjustStockResponse>> {
        Box::pin(self.book_adjustment(cx, request))
    }

    fn bulk_adjust(
        &self,
        cx: Cx,
        request: pb::BulkAdjustRequest,
    ) -> BoxFuture<'_, Result<pb::BulkAdjustResponse>> {
        Box::pin(self.book_adjustments(cx, request))
    }

    fn list_movements(
        &self,
        _cx: Cx,
        request: pb::ListMovementsRequest,
    ) -> BoxFuture<'_, Result<pb::ListMovementsResponse>> {
        Box::pin(self.ledger(request))
    }

    fn extend_reservation(
        &self,
        cx: Cx,
        request: pb::ExtendReservationRequest,
    ) -> BoxFuture<'_, Result<pb::ExtendReservationResponse>> {
        Box::pin(async move {
            Ok(pb::ExtendReservationResponse { reservation: Some(self.prolong(cx, request).await?) })
        })
    }

    fn ship(&self, cx: Cx, request: pb::ShipRequest) -> BoxFuture<'_, Result<pb::ShipResponse>> {
        Box::pin(async move { Ok(pb::ShipResponse { reservation: Some(self.send_off(cx, request).await?) }) })
    }

    fn restock(&self, cx: Cx, request: pb::RestockRequest) -> BoxFuture<'_, Result<pb::RestockResponse>> {
        Box::pin(
            async move { Ok(pb::RestockResponse { reservation: Some(self.take_back(cx, request).await?) }) },
        )
    }

    fn transfer_stock(
        &self,
        cx: Cx,
        request: pb::TransferStockRequest,
    ) -> BoxFuture<'_, Result<pb::TransferStockResponse>> {
        Box::pin(self.book_transfer(cx, request))
    }

    fn count_stock(
        &self,
        cx: Cx,
        request: pb::CountStockRequest,
    ) -> BoxFuture<'_, Result<pb::CountStockResponse>> {
        Box::pin(self.book_count(cx, request))
    }

    fn list_shortfalls(
        &self,
        _cx: Cx,
        request: pb::ListShortfallsRequest,
    ) -> BoxFuture<'_, Result<pb::ListShortfallsResponse>> {
        Box::pin(self.open_shortfalls(request))
    }

    fn resolve_shortfall(
        &self,
        cx: Cx,
        request: pb::ResolveShortfallRequest,
    ) -> BoxFuture<'_, Result<pb::ResolveShortfallResponse>> {
        Box::pin(self.settle_shortfall(cx, request))
    }

    fn put_location(
        &self,
        cx: Cx,
        request: pb::PutLocationRequest,
    ) -> BoxFuture<'_, Result<pb::PutLocationResponse>> {
        Box::pin(self.put_place(cx, request))
    }

    fn list_locations(
        &self,
        _cx: Cx,
        _request: pb::ListLocationsRequest,
    ) -> BoxFuture<'_, Result<pb::ListLocationsResponse>> {
        Box::pin(self.places())
    }

    fn put_stock_terms(
        &self,
        cx: Cx,
        request: pb::PutStockTermsRequest,
    ) -> BoxFuture<'_, Result<pb::PutStockTermsResponse>> {
        Box::pin(self.put_terms(cx, request))
    }

    fn watch_stock(
        &self,
        _cx: Cx,
        request: pb::WatchStockRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<pb::WatchStockResponse>>>> {
        Box::pin(async move { Ok(watch::levels(self.own.store.clone(), proto::watch(&request)?).boxed()) })
    }
}

mod watch {
    //! The levels of some SKUs, as they are and then whenever they change. It looks at the shelves again
    //! whenever the store's head moves, so what changed several times in between is told once.
    use crate::proto::{self, Watched};
    use crate::views;
    use souk_contracts::inventory::v1::{Level, WatchStockResponse};
    use souk_contracts::terms::Sku;
    use souk_eventstore::{EventStore, Position};
    use souk_kernel::Error;
    use std::collections::BTreeMap;
    use tokio::sync::watch::Receiver;

    /// What changed after the watcher's place, or everything; then what changes, until the store closes.
    pub fn levels(
        store: EventStore,
        watched: Watched,
    ) -> impl futures_util::Stream<Item = Result<WatchStockResponse, Error>> + Send + 'static {
        let head = store.head();
        let Watched { skus, after } = watched;
        let watcher = Watcher { store, skus, after, head, told: BTreeMap::new(), looked: false };
        futures_util::stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(Some(levels)) => Some((Ok(levels), Some(watcher))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    struct Watcher {
        store: EventStore,
        skus: Vec<Sku>,
        after: Option<u64>,
        head: Receiver<Position>,
        /// What was told last, or was known before.
        told: BTreeMap<Sku, Level>,
        looked: bool,
    }

    impl Watcher {
        async fn next(&mut self) -> Result<Option<WatchStockResponse>, Error> {
            loop {
                if self.looked && self.head.changed().await.is_err() {
                    return Ok(None);
                }
                // What is read below is at least as new as this.
                let position = self.head.borrow_and_update().get();
                let changed = self.look().await?;
                self.looked = true;
                if !changed.is_empty() {
                    return Ok(Some(proto::watched(&self.skus, changed, position)));
                }
            }
        }

        async fn look(&mut self) -> Result<Vec<Level>, Error> {
            let mut rows = Vec::new();
            for statement in views::shelves(&self.skus) {
                rows.extend(self.store.query(statement).await?);
            }
            let (stock, moved) = (views::stock(&rows), views::changed(&rows));
            let mut changed = Vec::new();
            for sku in &self.skus {
                let level = proto::level_in(&stock, sku);
                let is_new = match self.after.filter(|_| !self.looked) {
                    Some(after) => moved.get(sku).is_some_and(|at| *at > after),
                    None => self.told.get(sku) != Some(&level),
                };
                self.told.insert(sku.clone(), level.clone());
                changed.extend(is_new.then_some(level));
            }
            Ok(changed)
        }
    }
}
