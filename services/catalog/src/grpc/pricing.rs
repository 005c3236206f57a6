//! The calls about what customers pay. Gather, then let the rules decide, then answer.
use super::{Catalog, FETCHES_MAX};
use crate::domain::price::CurrentPrice;
use crate::domain::pricing::{self, Candidate, Offer, Pricing, Sold};
use crate::domain::promotion::{CODE_SCOPE, CouponReason, Promotion, PromotionId, Used};
use crate::domain::redemption::{AskedCode, Coupon, Redemption};
use crate::domain::tax::{self, TaxZone, TaxZones, ZoneName};
use crate::invariants;
use crate::proto::pricing::{self as proto, PriceAsk};
use crate::views::{self, OnOffer};
use futures_util::{StreamExt, TryStreamExt, stream};
use souk_contracts::catalog::v1 as pb;
use souk_decider::Aggregate;
use souk_eventstore::{Committed, Decision, EventStore, Expected, Folded, StreamId};
use souk_identity::Kind;
use souk_kernel::{Error, Invalid, Timestamp};
use souk_rpc::{Cx, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The label of the view rows that a decision about coupons reads.
const COUPONS: &str = "coupons";
/// The label of the view rows that tell how many promotions apply by themselves.
const AUTOMATIC: &str = "automatic";

impl Catalog {
    pub(super) async fn calculate(
        &self,
        cx: Cx,
        request: pb::PriceLinesRequest,
    ) -> Result<pb::PriceLinesResponse> {
        let ask = proto::price_lines(request)?;
        let subject = whose(&cx, ask.subject.clone())?;
        let at = self.own.clock.now();
        let automatic = self.automatic(at).await?;
        let coupons = self.coupons(&ask.codes, &subject).await?;
        let known = coupons.iter().filter_map(|(_, candidate)| candidate.as_ref());
        let wants_categories =
            automatic.iter().chain(known).any(|candidate| !candidate.terms.categories.is_empty());
        let offers = self.offers(&ask, wants_categories).await?;
        let zone = self.nearest_zone(&ask.zones).await?;
        let own = self.nearest_zone(&[ZoneName::country(&ask.market)]).await?;
        let offer = |sku: &str| offers.get(sku).cloned().unwrap_or(Offer::Unknown);
        let lines = ask.lines.into_iter().map(|line| (line.clone(), offer(line.sku.as_str()))).collect();
        let priced = pricing::price(Pricing {
            lines,
            market: ask.market,
            shipping: ask.shipping,
            automatic,
            coupons,
            zone,
            tax_inclusive: own.is_some_and(|zone| zone.prices_include_tax),
            at,
        })?;
        // Rather no answer than one that does not add up.
        invariants::adds_up(&priced).map_err(Error::internal)?;
        invariants::nothing_is_negative(&priced).map_err(Error::internal)?;
        Ok(proto::priced(&priced, at))
    }

    async fn automatic(&self, at: Timestamp) -> Result<Vec<Candidate>> {
        let ids = views::automatic(&self.own.store, at).await?;
        let promotions: Vec<Folded<Promotion>> = self.states(ids).await?;
        Ok(promotions.iter().filter_map(|promotion| candidate(promotion, Used::default())).collect())
    }

    /// What is known of these codes, for a customer.
    async fn coupons(
        &self,
        codes: &[AskedCode],
        subject: &Arc<str>,
    ) -> Result<Vec<(AskedCode, Option<Candidate>)>> {
        if codes.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.own.store.query(views::coupons(codes, subject)).await?;
        let coupons: Vec<Coupon> = rows.iter().map(views::coupon).collect();
        let ids = coupons.iter().map(|coupon| coupon.promotion.clone()).collect();
        let promotions: Vec<Folded<Promotion>> = self.states(ids).await?;
        let known: Vec<(&Coupon, Option<Candidate>)> = coupons
            .iter()
            .zip(&promotions)
            .map(|(coupon, promotion)| (coupon, candidate(promotion, coupon.used)))
            .collect();
        let find = |asked: &AskedCode| {
            let mut same = known.iter().filter(|(coupon, _)| asked.code.as_ref() == Some(&coupon.code));
            same.next().and_then(|(_, candidate)| candidate.clone())
        };
        Ok(codes.iter().map(|asked| (asked.clone(), find(asked))).collect())
    }

    /// What is known of the lines' SKUs: a query for hundreds of them, and not one each.
    async fn offers(&self, ask: &PriceAsk, wants_categories: bool) -> Result<HashMap<String, Offer>> {
        let mut seen = HashSet::new();
        let skus: Vec<_> =
            ask.lines.iter().map(|line| &line.sku).filter(|sku| seen.insert(sku.as_str())).collect();
        let on_offer = views::on_offer(&self.own.store, &skus, &ask.market).await?;
        let mut products: Vec<&str> = on_offer.iter().map(|offer| &*offer.product).collect();
        products.sort_unstable();
        products.dedup();
        let categories = match wants_categories {
            true => views::categories_of(&self.own.store, &products).await?,
            false => HashMap::new(),
        };
        let categories: HashMap<String, Arc<[String]>> =
            categories.into_iter().map(|(product, names)| (product, names.into())).collect();
        Ok(on_offer.into_iter().map(|known| offer(known, &categories)).collect())
    }

    /// The first of these zones that somebody has said something about.
    async fn nearest_zone(&self, zones: &[ZoneName]) -> Result<Option<TaxZone>> {
        for zone in zones {
            let record = self.own.store.state::<TaxZones>(&StreamId::of::<TaxZones>(zone)).await?;
            if let Some(zone) = record.document() {
                return Ok(Some(zone.clone()));
            }
        }
        Ok(None)
    }

    pub(super) async fn create_a_promotion(
        &self,
        cx: Cx,
        request: pb::CreatePromotionRequest,
    ) -> Result<pb::CreatePromotionResponse> {
        let wanted = proto::create_promotion(request)?;
        let (id, code) = (wanted.terms.id.clone(), wanted.terms.code.clone());
        let stream = StreamId::of::<Promotion>(&id);
        let open = views::automatic_open(self.own.clock.now());
        let mut work = self.work(&cx).read::<Promotion>(&stream).rows(AUTOMATIC, open);
        if let Some(code) = &code {
            work = work.claim(CODE_SCOPE, code.as_str());
        }
        let of = stream.clone();
        let work = work.decide(move |facts, now| {
            let owner = code.as_ref().and_then(|code| facts.claim(CODE_SCOPE, code.as_str()));
            let automatic = facts.rows(AUTOMATIC).len();
            let events = facts.state::<Promotion>(&of).create(&wanted, owner, automatic, now)?;
            let is_new = !events.is_empty();
            let decision = Decision::new().append(&of, Expected::Any, events);
            Ok(match code.as_ref().filter(|_| is_new) {
                Some(code) => decision.hold(CODE_SCOPE, code.as_str(), wanted.terms.id.as_str()),
                None => decision,
            })
        });
        let committed = self.own.store.commit(work).await?;
        let promotion = self.shown_promotion(&*after(&committed, &stream)?, &id).await?;
        Ok(pb::CreatePromotionResponse { promotion })
    }

    pub(super) async fn disable(
        &self,
        cx: Cx,
        request: pb::DisablePromotionRequest,
    ) -> Result<pb::DisablePromotionResponse> {
        let (id, reason) = proto::disable_promotion(&request)?;
        let stream = StreamId::of::<Promotion>(&id);
        let of = stream.clone();
        let work = self.work(&cx).read::<Promotion>(&stream).decide(move |facts, now| {
            let events = facts.state::<Promotion>(&of).disable(&reason, now)?;
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        let promotion = self.shown_promotion(&*after(&committed, &stream)?, &id).await?;
        Ok(pb::DisablePromotionResponse { promotion })
    }

    pub(super) async fn promotion(&self, text: &str) -> Result<Option<pb::Promotion>> {
        let id = proto::promotion_id(text)?;
        let promotion = self.own.store.state::<Promotion>(&StreamId::of::<Promotion>(&id)).await?;
        let shown = self.shown_promotion(&promotion, &id).await?;
        shown.map(Some).ok_or_else(|| Error::not_found("the promotion"))
    }

    async fn shown_promotion(
        &self,
        promotion: &Promotion,
        id: &PromotionId,
    ) -> Result<Option<pb::Promotion>> {
        let used = views::used(&self.own.store, id).await?;
        Ok(shown(promotion, used, self.own.clock.now()))
    }

    pub(super) async fn promotions(
        &self,
        request: pb::ListPromotionsRequest,
    ) -> Result<pb::ListPromotionsResponse> {
        let page = proto::promotions_page(&request)?;
        let now = self.own.clock.now();
        // One more than asked for tells whether there is another page.
        let mut rows =
            views::promotions(&self.own.store, page.state, &page.after, page.size + 1, now).await?;
        let more = rows.len() > page.size;
        rows.truncate(page.size);
        let last = rows.last().filter(|_| more);
        let next = last.map(|(id, _)| proto::promotions_token(id, page.state));
        let states: Vec<Folded<Promotion>> =
            self.states(rows.iter().map(|(id, _)| id.clone()).collect()).await?;
        let promotions = states.iter().zip(&rows).filter_map(|(state, (_, used))| shown(state, *used, now));
        Ok(pb::ListPromotionsResponse {
            promotions: promotions.collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    pub(super) async fn validate(
        &self,
        cx: Cx,
        request: pb::ValidateCouponRequest,
    ) -> Result<pb::ValidateCouponResponse> {
        let ask = proto::validate_coupon(&request)?;
        let subject = whose(&cx, ask.subject.clone())?;
        let known = self.coupons(std::slice::from_ref(&ask.code), &subject).await?;
        let candidate = known.first().and_then(|(_, candidate)| candidate.as_ref());
        let outcome = candidate.ok_or(CouponReason::Unknown).and_then(|candidate| {
            candidate.window.check(self.own.clock.now())?;
            candidate.terms.limits.check(candidate.used)?;
            candidate.terms.check(ask.market.as_ref(), ask.subtotal)?;
            Ok(&*candidate.terms)
        });
        Ok(proto::validated(outcome))
    }

    pub(super) async fn redeem(
        &self,
        cx: Cx,
        request: pb::RedeemCouponsRequest,
    ) -> Result<pb::RedeemCouponsResponse> {
        let (order, wanted) = proto::redeem(&request)?;
        let stream = StreamId::of::<Redemption>(order);
        let of = stream.clone();
        let rows = views::coupons(&wanted.codes, &wanted.subject);
        let work = self.work(&cx).read::<Redemption>(&stream).rows(COUPONS, rows);
        let work = work.decide(move |facts, now| {
            let coupons: Vec<Coupon> = facts.rows(COUPONS).iter().map(views::coupon).collect();
            let events = facts.state::<Redemption>(&of).redeem(&wanted, &coupons, now)?;
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        let redemption = proto::redemption(order, &*after::<Redemption>(&committed, &stream)?);
        Ok(pb::RedeemCouponsResponse { redemption })
    }

    pub(super) async fn release(
        &self,
        cx: Cx,
        request: pb::ReleaseCouponsRequest,
    ) -> Result<pb::ReleaseCouponsResponse> {
        let order = proto::order_id(&request.order_id)?;
        let reason = proto::release_reason(&request.reason);
        let stream = StreamId::of::<Redemption>(order);
        let of = stream.clone();
        let work = self.work(&cx).read::<Redemption>(&stream).decide(move |facts, _| {
            let events = facts.state::<Redemption>(&of).release(&reason);
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        let redemption = proto::redemption(order, &*after::<Redemption>(&committed, &stream)?);
        Ok(pb::ReleaseCouponsResponse { redemption })
    }

    pub(super) async fn put_zone(
        &self,
        cx: Cx,
        request: pb::PutTaxZoneRequest,
    ) -> Result<pb::PutTaxZoneResponse> {
        let (wanted, expected) = proto::put_tax_zone(request)?;
        let stream = StreamId::of::<TaxZones>(&wanted.zone);
        let of = stream.clone();
        let work = self.work(&cx).read::<TaxZones>(&stream).decide(move |facts, _| {
            let events = tax::put_zone(&facts.state::<TaxZones>(&of), &wanted, expected)?;
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        Ok(pb::PutTaxZoneResponse { tax_zone: shown_zone(&*after(&committed, &stream)?) })
    }

    pub(super) async fn tax_zones(
        &self,
        request: pb::ListTaxZonesRequest,
    ) -> Result<pb::ListTaxZonesResponse> {
        let (size, last) = proto::tax_zones_page(&request)?;
        let mut zones = views::tax_zones(&self.own.store, &last, size + 1).await?;
        let more = zones.len() > size;
        zones.truncate(size);
        let next = zones.last().filter(|_| more).map(proto::tax_zones_token);
        let records: Vec<Folded<TaxZones>> = self.states(zones).await?;
        Ok(pb::ListTaxZonesResponse {
            tax_zones: records.iter().filter_map(|record| shown_zone(record)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    /// The states of the aggregates with these ids, in this order.
    async fn states<A: Aggregate>(&self, ids: Vec<impl std::fmt::Display>) -> Result<Vec<Folded<A>>> {
        let fetches: Vec<_> =
            ids.iter().map(|id| state(self.own.store.clone(), StreamId::of::<A>(id))).collect();
        stream::iter(fetches).buffered(FETCHES_MAX).try_collect().await
    }
}

async fn state<A: Aggregate>(store: EventStore, stream: StreamId) -> Result<Folded<A>> {
    Ok(store.state::<A>(&stream).await?)
}

fn after<A: Aggregate>(committed: &Committed, stream: &StreamId) -> Result<Folded<A>> {
    let state = committed.state::<A>(stream);
    state.ok_or_else(|| Error::internal("a commit does not know a stream that it read"))
}

/// Whose coupons a call is about. Services and staff name somebody; others are asked about nobody else.
fn whose(cx: &Cx, named: Option<Arc<str>>) -> Result<Arc<str>> {
    let who = cx.principal()?;
    let own = || Arc::from(who.owner());
    match who.kind {
        Kind::Service | Kind::Staff => Ok(named.unwrap_or_else(own)),
        Kind::Guest | Kind::Customer if named.as_deref().is_none_or(|named| named == who.subject) => {
            Ok(own())
        }
        Kind::Guest | Kind::Customer => {
            Err(Invalid::field("subject", "must be empty: you ask for yourself").into())
        }
    }
}

fn candidate(promotion: &Promotion, used: Used) -> Option<Candidate> {
    let (terms, window) = promotion.terms().zip(promotion.window())?;
    Some(Candidate { terms: Arc::clone(terms), window, used })
}

fn offer(known: OnOffer, categories: &HashMap<String, Arc<[String]>>) -> (String, Offer) {
    let OnOffer { sku, title, product, tax_class, price } = known;
    let sold = |CurrentPrice { amount, price_version, .. }: CurrentPrice| {
        let categories = categories.get(&*product).cloned().unwrap_or_default();
        Sold { title: title.clone(), price: amount, price_version, tax_class, categories }
    };
    let offer = match price {
        Some(price) => Offer::Sold(Arc::new(sold(price))),
        None => Offer::NotSold { title },
    };
    (sku, offer)
}

fn shown(promotion: &Promotion, used: u64, now: Timestamp) -> Option<pb::Promotion> {
    let (terms, window) = promotion.terms().zip(promotion.window())?;
    Some(proto::promotion(terms, window.state(now), used))
}

fn shown_zone(record: &TaxZones) -> Option<pb::TaxZone> {
    record.document().map(|zone| proto::tax_zone(zone, record.version()))
}
