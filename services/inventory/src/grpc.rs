//! The calls: read the request, make one commit or query, answer. No rule stands here.
use crate::domain::{
    Adjust, Adjustment, Answer, Receipt, Receive, Reference, Reservation, STOCK_NOT_READ, Stock,
};
use crate::proto::{self, Reserve};
use crate::{effects, views};
use souk_contracts::inventory::v1::{self as pb, InventoryService};
use souk_contracts::terms::{OrderId, Sku};
use souk_eventstore::{
    CommitError, CommitId, Committed, Decision, Expected, Facts, Folded, Origin, StreamId, Work,
};
use souk_host::Resources;
use souk_kernel::{Code, Error};
use souk_rpc::{BoxFuture, BoxStream, Cx, Result};

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

    async fn levels(&self, skus: &[Sku]) -> Result<Vec<pb::Level>> {
        let mut rows = Vec::new();
        for statement in views::shelves(skus) {
            rows.extend(self.own.store.query(statement).await?);
        }
        let stock = views::stock(&rows);
        Ok(skus.iter().map(|sku| proto::level(sku, stock.level(sku))).collect())
    }

    async fn promise(&self, cx: Cx, request: pb::ReserveRequest) -> Result<pb::Reservation> {
        let Reserve { order, lines, ttl } = proto::reserve(&request)?;
        let stream = StreamId::of::<Reservation>(order);
        let (work, shelves) = with_shelves(self.work(&cx)?, lines.iter().map(|line| &line.sku));
        let of = stream.clone();
        let work = work.read::<Reservation>(&stream).decide(move |facts, now| {
            let expires_at = now.plus(ttl);
            let reservation = facts.state::<Reservation>(&of);
            let events = reservation.reserve(&lines, &shelves.stock(facts), expires_at)?;
            let granted = events.iter().any(crate::domain::ReservationEvent::is_grant);
            let decision = Decision::new().append(&of, Expected::Any, events);
            Ok(if granted { decision.set_timer(effects::expiry(order, expires_at)) } else { decision })
        });
        let after = state::<Reservation>(&self.own.store.commit(work).await?, &stream)?;
        answered(order, after.reserve_answer())
    }

    async fn make_final(&self, cx: Cx, request: pb::CommitRequest) -> Result<pb::Reservation> {
        let order = proto::reservation_id(&request.reservation_id)?;
        let stream = StreamId::of::<Reservation>(order);
        let work = commit_work(self.work(&cx)?, order, &stream, None);
        let committed = match self.own.store.commit(work).await {
            // It has expired. Its lines never change again, so its shelves can be named for a second try.
            Err(CommitError::Rejected(rejection)) if rejection.reason == STOCK_NOT_READ => {
                let expired = self.own.store.state::<Reservation>(&stream).await?;
                let (work, shelves) = with_shelves(self.work(&cx)?, granted_skus(&expired));
                self.own.store.commit(commit_work(work, order, &stream, Some(shelves))).await?
            }
            first => first?,
        };
        answered(order, state::<Reservation>(&committed, &stream)?.commit_answer())
    }

    async fn give_back(&self, cx: Cx, request: pb::ReleaseRequest) -> Result<pb::Reservation> {
        let order = proto::reservation_id(&request.reservation_id)?;
        let reason = proto::release_reason(&request.reason);
        let stream = StreamId::of::<Reservation>(order);
        let of = stream.clone();
        let work = self.work(&cx)?.read::<Reservation>(&stream).decide(move |facts, _| {
            let events = facts.state::<Reservation>(&of).release(&reason);
            let changed = !events.is_empty();
            let decision = Decision::new().append(&of, Expected::Any, events);
            Ok(if changed { decision.cancel_timer(effects::expiry_key(order)) } else { decision })
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
        let (work, shelves) = with_shelves(self.work(&cx)?, wish.lines.iter().map(|line| &line.sku));
        let work = work.read::<Receipt>(&stream).decide(move |facts, _| {
            let events = facts.state::<Receipt>(&stream).receive(&wish, &shelves.stock(facts))?;
            Ok(Decision::new().append(&stream, Expected::Any, events))
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
        let (work, shelves) = with_shelves(self.work(&cx)?, [&wish.sku]);
        let work = work.read::<Adjustment>(&stream).decide(move |facts, _| {
            let events = facts.state::<Adjustment>(&of).adjust(&wish, &shelves.stock(facts))?;
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let after = state::<Adjustment>(&self.own.store.commit(work).await?, &stream)?;
        let booked =
            after.booked().ok_or_else(|| Error::internal("an adjustment was decided and is not there"))?;
        Ok(proto::adjusted(booked))
    }

    async fn ledger(&self, request: pb::ListMovementsRequest) -> Result<pb::ListMovementsResponse> {
        let page = proto::movements_page(&request)?;
        let rows = self.own.store.query(views::ledger(&page)).await?;
        let size = page.size as usize;
        let lines = rows.iter().take(size).map(views::ledger_line).collect();
        Ok(proto::movements(&page.sku, lines, rows.len() > size))
    }
}

/// The shelves that a piece of work reads: so many statements, each under its own label.
#[derive(Clone, Copy)]
struct Shelves {
    statements: usize,
}

fn label(statement: usize) -> String {
    format!("shelves/{statement}")
}

fn with_shelves<'a>(mut work: Work, skus: impl IntoIterator<Item = &'a Sku>) -> (Work, Shelves) {
    let mut statements = 0;
    for statement in views::shelves(skus) {
        work = work.rows(label(statements), statement);
        statements += 1;
    }
    (work, Shelves { statements })
}

impl Shelves {
    fn stock(self, facts: &Facts) -> Stock {
        views::stock((0..self.statements).flat_map(|statement| facts.rows(&label(statement))))
    }
}

fn commit_work(work: Work, order: OrderId, stream: &StreamId, shelves: Option<Shelves>) -> Work {
    let stream = stream.clone();
    work.read::<Reservation>(&stream).decide(move |facts, _| {
        let stock = shelves.map(|shelves| shelves.stock(facts));
        let events = facts.state::<Reservation>(&stream).commit(stock.as_ref())?;
        let changed = !events.is_empty();
        let decision = Decision::new().append(&stream, Expected::Any, events);
        Ok(if changed { decision.cancel_timer(effects::expiry_key(order)) } else { decision })
    })
}

fn granted_skus(reservation: &Reservation) -> impl Iterator<Item = &Sku> {
    reservation.grant().into_iter().flat_map(|grant| grant.lines.iter()).map(|line| &line.sku)
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

    fn list_movements(
        &self,
        _cx: Cx,
        request: pb::ListMovementsRequest,
    ) -> BoxFuture<'_, Result<pb::ListMovementsResponse>> {
        Box::pin(self.ledger(request))
    }

    fn extend_reservation(
        &self,
        _: Cx,
        _: pb::ExtendReservationRequest,
    ) -> BoxFuture<'_, Result<pb::ExtendReservationResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn ship(&self, _: Cx, _: pb::ShipRequest) -> BoxFuture<'_, Result<pb::ShipResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn restock(&self, _: Cx, _: pb::RestockRequest) -> BoxFuture<'_, Result<pb::RestockResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn transfer_stock(
        &self,
        _: Cx,
        _: pb::TransferStockRequest,
    ) -> BoxFuture<'_, Result<pb::TransferStockResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn count_stock(&self, _: Cx, _: pb::CountStockRequest) -> BoxFuture<'_, Result<pb::CountStockResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn list_shortfalls(
        &self,
        _: Cx,
        _: pb::ListShortfallsRequest,
    ) -> BoxFuture<'_, Result<pb::ListShortfallsResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn resolve_shortfall(
        &self,
        _: Cx,
        _: pb::ResolveShortfallRequest,
    ) -> BoxFuture<'_, Result<pb::ResolveShortfallResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn put_location(
        &self,
        _: Cx,
        _: pb::PutLocationRequest,
    ) -> BoxFuture<'_, Result<pb::PutLocationResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn list_locations(
        &self,
        _: Cx,
        _: pb::ListLocationsRequest,
    ) -> BoxFuture<'_, Result<pb::ListLocationsResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn put_stock_terms(
        &self,
        _: Cx,
        _: pb::PutStockTermsRequest,
    ) -> BoxFuture<'_, Result<pb::PutStockTermsResponse>> {
        Box::pin(async { Err(not_yet()) })
    }

    fn watch_stock(
        &self,
        _: Cx,
        _: pb::WatchStockRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<pb::WatchStockResponse>>>> {
        Box::pin(async { Err(not_yet()) })
    }
}

fn not_yet() -> Error {
    Error::new(Code::Unimplemented, "UNIMPLEMENTED", "this call is answered from the next release on")
}
