//! The service as it is called: read the request, commit or query, answer.
mod keys;
mod life;
mod returns;
mod watch;

use crate::domain::order::{self, Cancel, Order, Place};
use crate::domain::order::{PartialPolicy, Windows};
use crate::domain::quote::{self, Accept, AskAgain, EXTERNAL_REF_SCOPE, Quote, QuoteCreated, Source};
use crate::domain::{Caller, Terms, not_found};
use crate::effects::{Destination, Effects};
use crate::proto::{self, Deal, Page, Wish};
use crate::{place, views};
use futures_util::StreamExt;
use keys::{KeyUse, key_of, key_reused, same_request};
use souk_contracts::order::v1::{self as pb, OrderService};
use souk_contracts::terms::{OrderId, Quantity, QuoteId, Sku};
use souk_eventstore::{
    CommitError, CommitId, Decision, EventStore, Expected, Folded, Origin, StreamId, Work,
};
use souk_host::Resources;
use souk_identity::Principal;
use souk_kernel::{Error, Ids, Invalid, Money, Rejection, Timestamp};
use souk_rpc::{BoxFuture, BoxStream, Cx};
use std::sync::Arc;
use std::time::Duration;

/// How long a quote holds.
pub const QUOTE_TTL: Duration = Duration::from_secs(15 * 60);
/// The roles that may sell, and those that may look after the orders of others.
const SELLS: &str = "sales";
const LOOKS_AFTER: &[&str] = &["support", "admin"];
/// The methods under which keys are remembered.
const PLACE_ORDER: &str = "PlaceOrder";
const CANCEL_ORDER: &str = "CancelOrder";

/// The order service.
#[derive(Clone)]
pub struct Orders {
    store: EventStore,
    ids: Ids,
    effects: Effects,
    quote_ttl: Duration,
    windows: Windows,
}

impl Orders {
    pub fn new(own: &Resources, quote_ttl: Duration, windows: Windows) -> Self {
        let effects = Effects::new(own, windows);
        Self { store: own.store.clone(), ids: own.ids.clone(), effects, quote_ttl, windows }
    }

    async fn create_quote(&self, cx: Cx, request: pb::CreateQuoteRequest) -> Result<pb::Quote, Error> {
        let principal = cx.principal()?;
        let owner = principal.owner();
        let wish = proto::wish(&request)?;
        let cart = self.effects.read_cart(&cx, owner, wish.cart_id).await?;
        quote::refuse_empty(&cart.lines)?;
        let to = self.destination(&cx, owner, &wish, cart.market.as_str()).await?;
        let asked = (1..).zip(&cart.lines).map(|(number, line)| (number, &line.sku, line.quantity.get()));
        let priced = self.effects.price(&cx, owner, &cart.market, asked, &wish.coupons, &to).await?;
        let (lines, total) = quote::price_cart(&cart.lines, &priced.listings, priced.terms.as_ref())?;
        quote::refuse_coupons(&priced.refused)?;
        if priced.total.is_some_and(|theirs| theirs != total) {
            return Err(Error::internal("the catalog's total is not the sum of its lines"));
        }
        let hash = hash_of(owner, lines.iter().map(|l| (&l.sku, l.quantity, l.unit_minor)), total);
        let offer = QuoteCreated {
            quote_id: self.ids.new_id(),
            subject: owner.into(),
            source: Source::Cart { cart_id: wish.cart_id, version: cart.version },
            market: cart.market,
            lines,
            total,
            terms: priced.terms.map(Arc::<Terms>::new),
            hash: hash.into(),
            expires_at: Timestamp::EPOCH,
        };
        let quote = self.record_offer(origin(&cx, principal), offer).await?;
        proto::quote(&quote).ok_or_else(gone)
    }

    /// Where it goes: to the rate's address, or where the caller says that tax is due.
    async fn destination(
        &self,
        cx: &Cx,
        owner: &str,
        wish: &Wish,
        market: &str,
    ) -> Result<Destination, Error> {
        let Some(rate_id) = &wish.rate_id else {
            let (country, region) = (wish.country.clone(), wish.region.clone());
            return Ok(Destination { country, region, ..Destination::default() });
        };
        let rate = self.effects.read_rate(cx, owner, rate_id).await?;
        if rate.market != market {
            return Err(Invalid::field("rateId", format!("is a rate of {}", rate.market)).into());
        }
        if rate.expires_at.is_some_and(|expires_at| expires_at <= self.store.now()) {
            return Err(Rejection::new("RATE_EXPIRED", "the rate has expired; ask for new ones").into());
        }
        Ok(Destination {
            country: rate.delivery.country.to_string(),
            region: rate.delivery.region.to_string(),
            shipping: Some(rate.price),
            delivery: Some(rate.delivery),
        })
    }

    /// Makes the promise; its end counts from the commit.
    async fn record_offer(&self, origin: Origin, offer: QuoteCreated) -> Result<Folded<Quote>, CommitError> {
        let stream = StreamId::of::<Quote>(offer.quote_id);
        let (target, ttl) = (stream.clone(), self.quote_ttl);
        let work = Work::new(CommitId::new(self.ids.uuid()), origin).read::<Quote>(&stream).decide(
            move |facts, now| {
                let offer = Arc::new(QuoteCreated { expires_at: now.plus(ttl), ..offer.clone() });
                let created = quote::create(&facts.state::<Quote>(&target), &offer);
                let decision = Decision::new().append(&target, Expected::NoStream, created);
                Ok(match offer.external_ref() {
                    "" => decision,
                    external_ref => {
                        decision.hold(EXTERNAL_REF_SCOPE, external_ref, offer.quote_id.to_string())
                    }
                })
            },
        );
        let committed = self.store.commit(work).await?;
        Ok(committed.state::<Quote>(&stream).expect("the work has read it"))
    }

    async fn create_agreed_quote(
        &self,
        cx: Cx,
        request: pb::CreateAgreedQuoteRequest,
    ) -> Result<pb::Quote, Error> {
        let principal = cx.principal()?;
        let deal = proto::deal(&request)?;
        let total = quote::deal_total(&deal.lines, deal.currency)?;
        let hash =
            hash_of(&deal.subject, deal.lines.iter().map(|l| (&l.sku, l.quantity, l.unit_minor)), total);
        let quote = match self.quote_of_ref(&deal.external_ref).await? {
            Some(known) => self.ask_again(origin(&cx, principal), known, &deal, hash).await?,
            None => self.first_deal(&cx, principal, deal, hash).await?,
        };
        proto::quote(&quote).ok_or_else(gone)
    }

    async fn first_deal(
        &self,
        cx: &Cx,
        principal: &Principal,
        deal: Deal,
        hash: String,
    ) -> Result<Folded<Quote>, Error> {
        let skus = deal.lines.iter().map(|line| &line.sku);
        let listings = self.effects.listings(cx, skus, &deal.market).await?;
        let (lines, total) = quote::title_deal(&deal.lines, deal.currency, &listings)?;
        let external_ref: Arc<str> = deal.external_ref.as_str().into();
        let offer = QuoteCreated {
            quote_id: self.ids.new_id(),
            subject: deal.subject.as_str().into(),
            source: Source::Agreed { external_ref, by: principal.subject.as_str().into() },
            market: deal.market.clone(),
            lines,
            total,
            terms: None,
            hash: hash.as_str().into(),
            expires_at: Timestamp::EPOCH,
        };
        match self.record_offer(origin(cx, principal), offer).await {
            // Somebody with the same reference was faster: their quote is the one.
            Err(CommitError::ClaimTaken { owner, .. }) => {
                let known = owner.parse().map_err(Error::internal)?;
                self.ask_again(origin(cx, principal), known, &deal, hash).await
            }
            made => Ok(made?),
        }
    }

    async fn ask_again(
        &self,
        origin: Origin,
        quote_id: QuoteId,
        deal: &Deal,
        hash: String,
    ) -> Result<Folded<Quote>, Error> {
        let stream = StreamId::of::<Quote>(quote_id);
        let ask = AskAgain { hash, market: deal.market.clone(), ttl: self.quote_ttl };
        let target = stream.clone();
        let work = Work::new(CommitId::new(self.ids.uuid()), origin).read::<Quote>(&stream).decide(
            move |facts, now| {
                let renewed = quote::ask_again(&facts.state::<Quote>(&target), &ask, now)?;
                Ok(Decision::new().append(&target, Expected::Exists, renewed))
            },
        );
        let committed = self.store.commit(work).await?;
        Ok(committed.state::<Quote>(&stream).expect("the work has read it"))
    }

    async fn quote_of_ref(&self, external_ref: &str) -> Result<Option<QuoteId>, Error> {
        let rows = self.store.query(views::find_ref(external_ref)).await?;
        Ok(rows.first().and_then(views::ref_row))
    }

    async fn get_quote(&self, cx: Cx, request: pb::GetQuoteRequest) -> Result<pb::Quote, Error> {
        let caller = caller(cx.principal()?);
        let quote_id: QuoteId = proto::id("quoteId", &request.quote_id)?;
        let quote = self.store.state::<Quote>(&StreamId::of::<Quote>(quote_id)).await?;
        let seen = quote.offer().is_some_and(|offer| caller.may_see(&offer.subject, offer.is_agreed()));
        let message = if seen { proto::quote(&quote) } else { None };
        message.ok_or_else(|| Error::not_found("the quote"))
    }

    async fn place_order(&self, cx: Cx, request: pb::PlaceOrderRequest) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let key = cx.require_key()?;
        let acceptance = proto::acceptance(&request)?;
        let placing = Placing {
            order_id: self.ids.new_id(),
            quote: StreamId::of::<Quote>(acceptance.quote_id),
            caller: caller(principal),
            expected_total: acceptance.expected_total,
            once: key_of(principal, PLACE_ORDER, key, &request),
            placed_by: principal.subject.as_str().into(),
            payment_method_token: acceptance.payment_method_token.as_str().into(),
            partial_policy: acceptance.partial_policy,
        };
        let (quote, placed) = (placing.quote.clone(), StreamId::of::<Order>(placing.order_id));
        let committed = self.store.commit(self.placing_work(origin(&cx, principal), placing)).await?;
        let order_id =
            committed.state::<Quote>(&quote).and_then(|quote| quote.order_id()).ok_or_else(gone)?;
        let stream = StreamId::of::<Order>(order_id);
        let order = match committed.state::<Order>(&placed).filter(|_| stream == placed) {
            Some(order) => order,
            None => self.store.state::<Order>(&stream).await?,
        };
        let order = watch::settled(&self.store, &stream, order, &cx).await?;
        proto::order(&order).ok_or_else(gone)
    }

    fn placing_work(&self, origin: Origin, placing: Placing) -> Work {
        let order = StreamId::of::<Order>(placing.order_id);
        Work::new(CommitId::new(self.ids.uuid()), origin)
            .read::<Quote>(&placing.quote)
            .read::<Order>(&order)
            .once(placing.once.principal.clone(), PLACE_ORDER, placing.once.key.clone())
            .decide(move |facts, now| {
                let once = &placing.once;
                if let Some(known) = facts.once(&once.principal, PLACE_ORDER, &once.key) {
                    return same_request(known, &once.request_hash).map(|()| Decision::new());
                }
                placing.decide(&facts.state::<Quote>(&placing.quote), &order, now)
            })
    }

    async fn get_order(&self, cx: Cx, request: pb::GetOrderRequest) -> Result<pb::Order, Error> {
        let (_, order) = self.visible(&cx, &request.order_id).await?;
        proto::order(&order).ok_or_else(gone)
    }

    /// The order, if it is there and the caller may see it.
    async fn visible(&self, cx: &Cx, order_id: &str) -> Result<(StreamId, Folded<Order>), Error> {
        let caller = caller(cx.principal()?);
        let order_id: OrderId = proto::id("orderId", order_id)?;
        let stream = StreamId::of::<Order>(order_id);
        let order = self.store.state::<Order>(&stream).await?;
        match order.placed().filter(|placed| caller.may_see(&placed.subject, placed.is_agreed())) {
            Some(_) => Ok((stream, order)),
            None => Err(Error::not_found("the order")),
        }
    }

    async fn find_by_external_ref(
        &self,
        request: pb::FindByExternalRefRequest,
    ) -> Result<pb::FindByExternalRefResponse, Error> {
        let external_ref = proto::external_ref(&request)?;
        let quote_id = self.quote_of_ref(external_ref).await?;
        let quote_id = quote_id.ok_or_else(|| Error::not_found("the external reference"))?;
        let quote = self.store.state::<Quote>(&StreamId::of::<Quote>(quote_id)).await?;
        let order = match quote.order_id() {
            Some(order_id) => {
                proto::order(&*self.store.state::<Order>(&StreamId::of::<Order>(order_id)).await?)
            }
            None => None,
        };
        Ok(pb::FindByExternalRefResponse { quote: proto::quote(&quote), order })
    }

    async fn list_orders(
        &self,
        cx: Cx,
        request: pb::ListOrdersRequest,
    ) -> Result<pb::ListOrdersResponse, Error> {
        let subject = cx.principal()?.owner();
        let Page { size, before } = proto::page(&request, subject)?;
        let rows = self.store.query(views::page(subject, before.as_ref(), size + 1)).await?;
        let size = size as usize;
        let orders: Vec<pb::Order> = rows.iter().take(size).map(views::order_row).collect();
        let last = orders.last().filter(|_| rows.len() > size).and_then(|order| order.order_id.parse().ok());
        let next_page_token = last.map(|last| proto::page_token(&last, subject)).unwrap_or_default();
        Ok(pb::ListOrdersResponse { orders, next_page_token })
    }

    async fn watch_order(
        &self,
        cx: Cx,
        request: pb::WatchOrderRequest,
    ) -> Result<BoxStream<'static, Result<pb::WatchOrderResponse, Error>>, Error> {
        let (stream, _) = self.visible(&cx, &request.order_id).await?;
        Ok(watch::transitions(self.store.clone(), stream, request.after_sequence).boxed())
    }

    async fn cancel_order(&self, cx: Cx, request: pb::CancelOrderRequest) -> Result<pb::Order, Error> {
        let principal = cx.principal()?;
        let once = key_of(principal, CANCEL_ORDER, cx.require_key()?, &request);
        let (order_id, asked) = proto::cancel(&request)?;
        let stream = StreamId::of::<Order>(order_id);
        let by: Arc<str> = principal.subject.as_str().into();
        let cancel = Cancel { caller: caller(principal), by, note: asked.note };
        let work = self.cancelling_work(origin(&cx, principal), stream.clone(), once, cancel);
        let committed = self.store.commit(work).await?;
        let order = committed.state::<Order>(&stream).ok_or_else(gone)?;
        let order = watch::settled(&self.store, &stream, order, &cx).await?;
        proto::order(&order).ok_or_else(gone)
    }

    fn cancelling_work(&self, origin: Origin, stream: StreamId, once: KeyUse, cancel: Cancel) -> Work {
        let windows = self.windows;
        Work::new(CommitId::new(self.ids.uuid()), origin)
            .read::<Order>(&stream)
            .once(once.principal.clone(), CANCEL_ORDER, once.key.clone())
            .decide(move |facts, now| {
                if let Some(known) = facts.once(&once.principal, CANCEL_ORDER, &once.key) {
                    return same_request(known, &once.request_hash).map(|()| Decision::new());
                }
                // The deadline stays: it has no meaning for a saga that turns back, and its end cancels it.
                let order = facts.state::<Order>(&stream);
                let events = order::cancel(&order, &cancel)?;
                let decision = Decision::new().record_once(once.record(stream.id(), now));
                let timers = order::timers(&order, &events, now, &windows);
                Ok(timers.add_to(decision.append(&stream, Expected::Exists, events)))
            })
    }
}

/// Everything that placing an order needs to decide.
struct Placing {
    order_id: OrderId,
    quote: StreamId,
    caller: Caller,
    expected_total: Money,
    once: KeyUse,
    placed_by: Arc<str>,
    payment_method_token: Arc<str>,
    partial_policy: PartialPolicy,
}

impl Placing {
    /// The quote's acceptance, the order, its saga, its deadline and the key: all of it or nothing.
    fn decide(&self, quote: &Quote, order: &StreamId, now: Timestamp) -> Result<Decision, Rejection> {
        let accept = Accept {
            caller: self.caller.clone(),
            expected_total: self.expected_total,
            order_id: self.order_id,
        };
        let accepted = quote::accept(quote, &accept, now)?;
        let offer = quote.offer().ok_or_else(|| not_found("the quote"))?;
        let place = Place {
            order_id: self.order_id,
            placed_by: self.placed_by.clone(),
            payment_method_token: self.payment_method_token.clone(),
            partial_policy: self.partial_policy,
        };
        let placed = order::place(&Order::default(), offer, &place, now);
        Ok(Decision::new()
            .append(&self.quote, Expected::Exists, accepted)
            .append(order, Expected::NoStream, placed)
            .set_timer(place::deadline_timer(self.order_id, now))
            .record_once(self.once.record(&self.order_id.to_string(), now)))
    }
}

fn caller(principal: &Principal) -> Caller {
    Caller {
        subject: principal.owner().to_owned(),
        sells: principal.has_role(SELLS),
        looks_after: LOOKS_AFTER.iter().any(|role| principal.has_role(role)),
    }
}

fn origin(cx: &Cx, principal: &Principal) -> Origin {
    Origin::by(principal.subject.as_str())
        .correlation(cx.request_id())
        .causation(cx.request_id())
        .trace(cx.trace().traceparent())
}

pub(crate) fn hash_of<'a>(
    subject: &str,
    lines: impl Iterator<Item = (&'a Sku, Quantity, i64)>,
    total: Money,
) -> String {
    sha256_hex(&quote::canonical(subject, lines, total))
}

fn sha256_hex(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was just recorded is not there: a defect of ours.
fn gone() -> Error {
    Error::internal("a recorded thing cannot be read")
}

impl OrderService for Orders {
    fn create_quote(
        &self,
        cx: Cx,
        request: pb::CreateQuoteRequest,
    ) -> BoxFuture<'_, Result<pb::CreateQuoteResponse, Error>> {
        Box::pin(
            async move { Ok(pb::CreateQuoteResponse { quote: Some(self.create_quote(cx, request).await?) }) },
        )
    }

    fn create_agreed_quote(
        &self,
        cx: Cx,
        request: pb::CreateAgreedQuoteRequest,
    ) -> BoxFuture<'_, Result<pb::CreateAgreedQuoteResponse, Error>> {
        Box::pin(async move {
            Ok(pb::CreateAgreedQuoteResponse { quote: Some(self.create_agreed_quote(cx, request).await?) })
        })
    }

    fn get_quote(
        &self,
        cx: Cx,
        request: pb::GetQuoteRequest,
    ) -> BoxFuture<'_, Result<pb::GetQuoteResponse, Error>> {
        Box::pin(async move { Ok(pb::GetQuoteResponse { quote: Some(self.get_quote(cx, request).await?) }) })
    }

    fn place_order(
        &self,
        cx: Cx,
        request: pb::PlaceOrderRequest,
    ) -> BoxFuture<'_, Result<pb::PlaceOrderResponse, Error>> {
        Box::pin(
            async move { Ok(pb::PlaceOrderResponse { order: Some(self.place_order(cx, request).await?) }) },
        )
    }

    fn get_order(
        &self,
        cx: Cx,
        request: pb::GetOrderRequest,
    ) -> BoxFuture<'_, Result<pb::GetOrderResponse, Error>> {
        Box::pin(async move { Ok(pb::GetOrderResponse { order: Some(self.get_order(cx, request).await?) }) })
    }

    fn find_by_external_ref(
        &self,
        _cx: Cx,
        request: pb::FindByExternalRefRequest,
    ) -> BoxFuture<'_, Result<pb::FindByExternalRefResponse, Error>> {
        Box::pin(self.find_by_external_ref(request))
    }

    fn list_orders(
        &self,
        cx: Cx,
        request: pb::ListOrdersRequest,
    ) -> BoxFuture<'_, Result<pb::ListOrdersResponse, Error>> {
        Box::pin(self.list_orders(cx, request))
    }

    fn watch_order(
        &self,
        cx: Cx,
        request: pb::WatchOrderRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<pb::WatchOrderResponse, Error>>, Error>> {
        Box::pin(self.watch_order(cx, request))
    }

    fn cancel_order(
        &self,
        cx: Cx,
        request: pb::CancelOrderRequest,
    ) -> BoxFuture<'_, Result<pb::CancelOrderResponse, Error>> {
        Box::pin(
            async move { Ok(pb::CancelOrderResponse { order: Some(self.cancel_order(cx, request).await?) }) },
        )
    }

    fn confirm_partial(
        &self,
        cx: Cx,
        request: pb::ConfirmPartialRequest,
    ) -> BoxFuture<'_, Result<pb::ConfirmPartialResponse, Error>> {
        Box::pin(async move {
            Ok(pb::ConfirmPartialResponse { order: Some(self.confirm_partial(cx, request).await?) })
        })
    }

    fn cancel_lines(
        &self,
        cx: Cx,
        request: pb::CancelLinesRequest,
    ) -> BoxFuture<'_, Result<pb::CancelLinesResponse, Error>> {
        Box::pin(
            async move { Ok(pb::CancelLinesResponse { order: Some(self.cancel_lines(cx, request).await?) }) },
        )
    }

    fn hold_order(
        &self,
        cx: Cx,
        request: pb::HoldOrderRequest,
    ) -> BoxFuture<'_, Result<pb::HoldOrderResponse, Error>> {
        Box::pin(
            async move { Ok(pb::HoldOrderResponse { order: Some(self.hold_order(cx, request).await?) }) },
        )
    }

    fn release_hold(
        &self,
        cx: Cx,
        request: pb::ReleaseHoldRequest,
    ) -> BoxFuture<'_, Result<pb::ReleaseHoldResponse, Error>> {
        Box::pin(
            async move { Ok(pb::ReleaseHoldResponse { order: Some(self.release_hold(cx, request).await?) }) },
        )
    }

    fn resolve_parcel(
        &self,
        cx: Cx,
        request: pb::ResolveParcelRequest,
    ) -> BoxFuture<'_, Result<pb::ResolveParcelResponse, Error>> {
        Box::pin(async move {
            let order = self.resolve_parcel(cx, request).await?;
            Ok(pb::ResolveParcelResponse { order: Some(order) })
        })
    }

    fn get_order_as_of(
        &self,
        _cx: Cx,
        request: pb::GetOrderAsOfRequest,
    ) -> BoxFuture<'_, Result<pb::GetOrderAsOfResponse, Error>> {
        Box::pin(
            async move { Ok(pb::GetOrderAsOfResponse { order: Some(self.get_order_as_of(request).await?) }) },
        )
    }

    fn request_return(
        &self,
        cx: Cx,
        request: pb::RequestReturnRequest,
    ) -> BoxFuture<'_, Result<pb::RequestReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::RequestReturnResponse { r#return: Some(self.request_return(cx, request).await?) })
        })
    }

    fn get_return(
        &self,
        cx: Cx,
        request: pb::GetReturnRequest,
    ) -> BoxFuture<'_, Result<pb::GetReturnResponse, Error>> {
        Box::pin(
            async move { Ok(pb::GetReturnResponse { r#return: Some(self.get_return(cx, request).await?) }) },
        )
    }

    fn cancel_return(
        &self,
        cx: Cx,
        request: pb::CancelReturnRequest,
    ) -> BoxFuture<'_, Result<pb::CancelReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::CancelReturnResponse { r#return: Some(self.cancel_return(cx, request).await?) })
        })
    }

    fn approve_return(
        &self,
        cx: Cx,
        request: pb::ApproveReturnRequest,
    ) -> BoxFuture<'_, Result<pb::ApproveReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::ApproveReturnResponse { r#return: Some(self.approve_return(cx, request).await?) })
        })
    }

    fn reject_return(
        &self,
        cx: Cx,
        request: pb::RejectReturnRequest,
    ) -> BoxFuture<'_, Result<pb::RejectReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::RejectReturnResponse { r#return: Some(self.reject_return(cx, request).await?) })
        })
    }

    fn receive_return(
        &self,
        cx: Cx,
        request: pb::ReceiveReturnRequest,
    ) -> BoxFuture<'_, Result<pb::ReceiveReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::ReceiveReturnResponse { r#return: Some(self.receive_return(cx, request).await?) })
        })
    }

    fn inspect_return(
        &self,
        cx: Cx,
        request: pb::InspectReturnRequest,
    ) -> BoxFuture<'_, Result<pb::InspectReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::InspectReturnResponse { r#return: Some(self.inspect_return(cx, request).await?) })
        })
    }

    fn record_return(
        &self,
        cx: Cx,
        request: pb::RecordReturnRequest,
    ) -> BoxFuture<'_, Result<pb::RecordReturnResponse, Error>> {
        Box::pin(async move {
            Ok(pb::RecordReturnResponse { r#return: Some(self.record_return(cx, request).await?) })
        })
    }

    fn list_return_queue(
        &self,
        _cx: Cx,
        request: pb::ListReturnQueueRequest,
    ) -> BoxFuture<'_, Result<pb::ListReturnQueueResponse, Error>> {
        Box::pin(self.list_return_queue(request))
    }

    fn get_return_options(
        &self,
        cx: Cx,
        request: pb::GetReturnOptionsRequest,
    ) -> BoxFuture<'_, Result<pb::GetReturnOptionsResponse, Error>> {
        Box::pin(self.get_return_options(cx, request))
    }

    fn list_returns(
        &self,
        cx: Cx,
        request: pb::ListReturnsRequest,
    ) -> BoxFuture<'_, Result<pb::ListReturnsResponse, Error>> {
        Box::pin(
            async move { Ok(pb::ListReturnsResponse { returns: self.list_returns(cx, request).await? }) },
        )
    }
}
