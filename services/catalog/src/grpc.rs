//! Answers calls: parse, then commit or query, then answer. The rules are in `domain`.
mod pricing;

use crate::domain::product::{self, Products};
use crate::domain::{
    self, HANDLE_SCOPE, Handle, PriceList, PutDecided, PutProduct, SKU_SCOPE, Shelf, Status,
};
use crate::proto::{self, WantedProduct};
use crate::views::{self, SearchView};
use futures_util::{StreamExt, TryStreamExt, stream};
use souk_contracts::catalog::v1::{self as pb, CatalogService};
use souk_contracts::terms::{ProductId, Sku};
use souk_decider::{Record, RecordEvent};
use souk_eventstore::{
    CommitError, CommitId, Committed, Decision, EventStore, Expected, Facts, Folded, Origin, StreamId, Work,
};
use souk_host::Resources;
use souk_identity::Kind;
use souk_kernel::{Code, Error, Rejection};
use souk_rpc::{BoxFuture, Cx, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// How often putting a product begins again because somebody else created it in the meantime. The second time
/// it is known; a handle never changes its product.
const PUT_ATTEMPTS_MAX: usize = 3;
/// How many products are fetched side by side for one answer.
const FETCHES_MAX: usize = 8;
/// Who of the staff sees products that customers do not see.
const SEES_HIDDEN: [&str; 3] = ["sales", "support", "admin"];

/// The service's answers.
pub struct Catalog {
    pub own: Resources,
    pub search: Arc<SearchView>,
}

impl CatalogService for Catalog {
    fn put_product(
        &self,
        cx: Cx,
        request: pb::PutProductRequest,
    ) -> BoxFuture<'_, Result<pb::PutProductResponse>> {
        Box::pin(self.put(cx, request))
    }

    fn publish_product(
        &self,
        cx: Cx,
        request: pb::PublishProductRequest,
    ) -> BoxFuture<'_, Result<pb::PublishProductResponse>> {
        Box::pin(async move {
            let product = self.change(&cx, &request.handle, |record| product::show(record, true)).await?;
            Ok(pb::PublishProductResponse { product })
        })
    }

    fn unpublish_product(
        &self,
        cx: Cx,
        request: pb::UnpublishProductRequest,
    ) -> BoxFuture<'_, Result<pb::UnpublishProductResponse>> {
        Box::pin(async move {
            let product = self.change(&cx, &request.handle, |record| product::show(record, false)).await?;
            Ok(pb::UnpublishProductResponse { product })
        })
    }

    fn archive_product(
        &self,
        cx: Cx,
        request: pb::ArchiveProductRequest,
    ) -> BoxFuture<'_, Result<pb::ArchiveProductResponse>> {
        Box::pin(async move {
            let product = self.change(&cx, &request.handle, product::archive).await?;
            Ok(pb::ArchiveProductResponse { product })
        })
    }

    fn set_price(&self, cx: Cx, request: pb::SetPriceRequest) -> BoxFuture<'_, Result<pb::SetPriceResponse>> {
        Box::pin(self.price(cx, request))
    }

    fn get_product(
        &self,
        cx: Cx,
        request: pb::GetProductRequest,
    ) -> BoxFuture<'_, Result<pb::GetProductResponse>> {
        Box::pin(self.get(cx, request))
    }

    fn list_products(
        &self,
        cx: Cx,
        request: pb::ListProductsRequest,
    ) -> BoxFuture<'_, Result<pb::ListProductsResponse>> {
        Box::pin(self.list(cx, request))
    }

    fn search_products(
        &self,
        _cx: Cx,
        request: pb::SearchProductsRequest,
    ) -> BoxFuture<'_, Result<pb::SearchProductsResponse>> {
        Box::pin(self.find(request))
    }

    fn list_categories(
        &self,
        _cx: Cx,
        _request: pb::ListCategoriesRequest,
    ) -> BoxFuture<'_, Result<pb::ListCategoriesResponse>> {
        Box::pin(async move {
            let categories = views::categories(&self.own.store).await?;
            Ok(pb::ListCategoriesResponse { categories })
        })
    }

    fn batch_get_variants(
        &self,
        _cx: Cx,
        request: pb::BatchGetVariantsRequest,
    ) -> BoxFuture<'_, Result<pb::BatchGetVariantsResponse>> {
        Box::pin(self.variants(request))
    }

    fn list_prices(
        &self,
        cx: Cx,
        request: pb::ListPricesRequest,
    ) -> BoxFuture<'_, Result<pb::ListPricesResponse>> {
        Box::pin(async move {
            let (sku, market) = proto::list_prices(request)?;
            let prices = views::price_history(&self.own.store, &sku, &market, sees_hidden(&cx)).await?;
            let prices = prices.ok_or_else(|| domain::unknown_sku(&sku))?;
            Ok(pb::ListPricesResponse { prices })
        })
    }

    fn price_lines(
        &self,
        cx: Cx,
        request: pb::PriceLinesRequest,
    ) -> BoxFuture<'_, Result<pb::PriceLinesResponse>> {
        Box::pin(self.calculate(cx, request))
    }

    fn create_promotion(
        &self,
        cx: Cx,
        request: pb::CreatePromotionRequest,
    ) -> BoxFuture<'_, Result<pb::CreatePromotionResponse>> {
        Box::pin(self.create_a_promotion(cx, request))
    }

    fn get_promotion(
        &self,
        _cx: Cx,
        request: pb::GetPromotionRequest,
    ) -> BoxFuture<'_, Result<pb::GetPromotionResponse>> {
        Box::pin(async move {
            Ok(pb::GetPromotionResponse { promotion: self.promotion(&request.promotion_id).await? })
        })
    }

    fn list_promotions(
        &self,
        _cx: Cx,
        request: pb::ListPromotionsRequest,
    ) -> BoxFuture<'_, Result<pb::ListPromotionsResponse>> {
        Box::pin(self.promotions(request))
    }

    fn disable_promotion(
        &self,
        cx: Cx,
        request: pb::DisablePromotionRequest,
    ) -> BoxFuture<'_, Result<pb::DisablePromotionResponse>> {
        Box::pin(self.disable(cx, request))
    }

    fn validate_coupon(
        &self,
        cx: Cx,
        request: pb::ValidateCouponRequest,
    ) -> BoxFuture<'_, Result<pb::ValidateCouponResponse>> {
        Box::pin(self.validate(cx, request))
    }

    fn redeem_coupons(
        &self,
        cx: Cx,
        request: pb::RedeemCouponsRequest,
    ) -> BoxFuture<'_, Result<pb::RedeemCouponsResponse>> {
        Box::pin(self.redeem(cx, request))
    }

    fn release_coupons(
        &self,
        cx: Cx,
        request: pb::ReleaseCouponsRequest,
    ) -> BoxFuture<'_, Result<pb::ReleaseCouponsResponse>> {
        Box::pin(self.release(cx, request))
    }

    fn put_tax_zone(
        &self,
        cx: Cx,
        request: pb::PutTaxZoneRequest,
    ) -> BoxFuture<'_, Result<pb::PutTaxZoneResponse>> {
        Box::pin(self.put_zone(cx, request))
    }

    fn list_tax_zones(
        &self,
        _cx: Cx,
        request: pb::ListTaxZonesRequest,
    ) -> BoxFuture<'_, Result<pb::ListTaxZonesResponse>> {
        Box::pin(self.tax_zones(request))
    }
}

impl Catalog {
    async fn put(&self, cx: Cx, request: pb::PutProductRequest) -> Result<pb::PutProductResponse> {
        let wanted = proto::put_product(request)?;
        let mut known = views::product_of(&self.own.store, &wanted.handle).await?;
        for _ in 0..PUT_ATTEMPTS_MAX {
            let id = known.unwrap_or_else(|| self.own.ids.new_id());
            match self.own.store.commit(self.put_work(&cx, &wanted, id)).await {
                Ok(committed) => {
                    let outcome = match (known, committed.first) {
                        (None, _) => pb::PutOutcome::Created,
                        (Some(_), Some(_)) => pb::PutOutcome::Updated,
                        (Some(_), None) => pb::PutOutcome::Unchanged,
                    };
                    let product = self.shown(&committed, id).await?;
                    return Ok(pb::PutProductResponse { product, outcome: outcome.into() });
                }
                // Somebody created the product since we looked: it is theirs, and ours to replace.
                Err(CommitError::Rejected(rejection)) if rejection.reason == domain::HANDLE_TAKEN => {
                    known = Some(rejection.metadata["product_id"].parse().map_err(Error::internal)?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(
            Code::Aborted,
            "VERSION_MISMATCH",
            "the product is being changed by others; try again",
        ))
    }

    fn put_work(&self, cx: &Cx, wanted: &WantedProduct, id: ProductId) -> Work {
        let stream = StreamId::of::<Products>(id);
        let wanted = wanted.of(id);
        let mut work = self.work(cx).read::<Products>(&stream);
        work = work.claim(HANDLE_SCOPE, wanted.product.handle.as_str());
        for variant in &wanted.product.content.variants {
            work = work.claim(SKU_SCOPE, variant.sku.as_str());
        }
        for group in wanted.prices.chunk_by(|(a, ..), (b, ..)| a == b) {
            work = work.read::<PriceList>(price_stream(&group[0].0));
        }
        work.decide(move |facts, now| {
            let record = facts.state::<Products>(&stream);
            let decided = domain::put_product(&record, &Known(facts), &wanted, now)?;
            Ok(put_decision(&stream, &record, &wanted, decided))
        })
    }

    /// Changes the product with this handle by a rule that looks at nothing else.
    async fn change(
        &self,
        cx: &Cx,
        handle: &str,
        rule: fn(&Products) -> Result<Vec<RecordEvent<domain::Product>>, Rejection>,
    ) -> Result<Option<pb::Product>> {
        let id = self.id_of(&proto::handle(handle)?).await?;
        let stream = StreamId::of::<Products>(id);
        let work = self.work(cx).read::<Products>(&stream).decide(move |facts, _| {
            let events = rule(&facts.state::<Products>(&stream))?;
            Ok(Decision::new().append(&stream, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        self.shown(&committed, id).await
    }

    async fn price(&self, cx: Cx, request: pb::SetPriceRequest) -> Result<pb::SetPriceResponse> {
        let (sku, market, amount) = proto::set_price(request)?;
        let stream = price_stream(&sku);
        let work = self.work(&cx).read::<PriceList>(&stream).claim(SKU_SCOPE, sku.as_str());
        let (at, shown) = (stream.clone(), market.clone());
        let work = work.decide(move |facts, now| {
            let (owner, prices) = (facts.claim(SKU_SCOPE, sku.as_str()), facts.state::<PriceList>(&at));
            let events = domain::set_price(owner, &prices, (&sku, &market, amount), now)?;
            Ok(Decision::new().append(&at, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        let prices = committed.state::<PriceList>(&stream);
        let price =
            prices.and_then(|prices| prices.current(&shown).map(|price| proto::price(shown.as_str(), price)));
        Ok(pb::SetPriceResponse { price })
    }

    async fn get(&self, cx: Cx, request: pb::GetProductRequest) -> Result<pb::GetProductResponse> {
        let id = self.id_of(&proto::handle(&request.handle)?).await?;
        let record = self.own.store.state::<Products>(&StreamId::of::<Products>(id)).await?;
        if !is_published(&record) && !sees_hidden(&cx) {
            return Err(not_found());
        }
        let prices = views::prices_of(&self.own.store, &[id]).await?;
        Ok(pb::GetProductResponse { product: proto::product(&record, prices) })
    }

    async fn list(&self, cx: Cx, request: pb::ListProductsRequest) -> Result<pb::ListProductsResponse> {
        let page = proto::list(request)?;
        let hidden = page.filters.status.is_some_and(|status| status != pb::ProductStatus::Published);
        if hidden && !sees_hidden(&cx) {
            let message = "only staff lists products that customers cannot see";
            return Err(Error::new(Code::PermissionDenied, "PERMISSION_DENIED", message));
        }
        // One more than asked for tells whether there is another page.
        let mut ids = views::list(&self.own.store, &page.filters, page.after.as_ref(), page.size + 1).await?;
        let more = ids.len() > page.size;
        ids.truncate(page.size);
        let next = ids.last().filter(|_| more).map(|last| proto::page_token(last, &page.filters));
        let products = self.products(&ids).await?;
        Ok(pb::ListProductsResponse { products, next_page_token: next.unwrap_or_default() })
    }

    async fn find(&self, request: pb::SearchProductsRequest) -> Result<pb::SearchProductsResponse> {
        let hits = self.search.search(&self.own.store, &proto::search(request)?).await;
        let ids: Vec<ProductId> = hits.iter().map(|hit| hit.product).collect();
        let products = self.products(&ids).await?;
        let mut by_id: HashMap<String, pb::Product> =
            products.into_iter().map(|product| (product.product_id.clone(), product)).collect();
        let shown = |hit: domain::search::Hit| {
            // Hidden since the index was asked: then it is no hit.
            let product = by_id.remove(&hit.product.to_string())?;
            let seen = product.status() == pb::ProductStatus::Published;
            let score = i64::try_from(hit.score).unwrap_or(i64::MAX);
            seen.then_some(pb::SearchHit { product: Some(product), score, fuzzy: hit.fuzzy })
        };
        Ok(pb::SearchProductsResponse { hits: hits.into_iter().filter_map(shown).collect() })
    }

    async fn variants(&self, request: pb::BatchGetVariantsRequest) -> Result<pb::BatchGetVariantsResponse> {
        let (skus, market) = proto::batch_get(request)?;
        let sold = views::sold(&self.own.store, &skus, &market).await?;
        let sold: HashMap<&str, &pb::SoldVariant> =
            sold.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
        let result = |sku: &Sku| pb::VariantResult {
            sku: sku.to_string(),
            variant: sold.get(sku.as_str()).map(|variant| (*variant).clone()),
        };
        Ok(pb::BatchGetVariantsResponse { results: skus.iter().map(result).collect() })
    }

    /// The products with these ids, in this order.
    async fn products(&self, ids: &[ProductId]) -> Result<Vec<pb::Product>> {
        let mut prices = views::prices_of(&self.own.store, ids).await?;
        let fetches: Vec<_> = ids.iter().map(|id| fetch(self.own.store.clone(), *id)).collect();
        let records: Vec<Folded<Products>> =
            stream::iter(fetches).buffered(FETCHES_MAX).try_collect().await?;
        let shown = |record: &Folded<Products>| {
            let own = skus_of(record).filter_map(|sku| prices.remove_entry(sku.as_str())).collect();
            proto::product(record, own)
        };
        Ok(records.iter().filter_map(shown).collect())
    }

    /// The product as it is after the commit.
    async fn shown(&self, committed: &Committed, id: ProductId) -> Result<Option<pb::Product>> {
        let prices = views::prices_of(&self.own.store, &[id]).await?;
        let record = committed.state::<Products>(&StreamId::of::<Products>(id));
        Ok(record.and_then(|record| proto::product(&record, prices)))
    }

    async fn id_of(&self, handle: &Handle) -> Result<ProductId> {
        views::product_of(&self.own.store, handle).await?.ok_or_else(not_found)
    }

    fn work(&self, cx: &Cx) -> Work {
        let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
        let origin = Origin::by(actor)
            .correlation(cx.request_id())
            .causation(cx.request_id())
            .trace(cx.trace().to_string());
        Work::new(CommitId::new(self.own.ids.uuid()), origin)
    }
}

/// What the store knows, as the rules want it.
struct Known<'a>(&'a Facts);

impl Shelf for Known<'_> {
    fn has_handle(&self, handle: &Handle) -> Option<&str> {
        self.0.claim(HANDLE_SCOPE, handle.as_str())
    }

    fn owner(&self, sku: &Sku) -> Option<&str> {
        self.0.claim(SKU_SCOPE, sku.as_str())
    }

    fn prices(&self, sku: &Sku) -> PriceList {
        self.0.state::<PriceList>(&price_stream(sku)).state().clone()
    }
}

fn put_decision(stream: &StreamId, record: &Products, wanted: &PutProduct, decided: PutDecided) -> Decision {
    let id = wanted.product.id.to_string();
    let mut decision = Decision::new().append(stream, Expected::Any, decided.product);
    if matches!(record, Record::Absent) {
        decision = decision.hold(HANDLE_SCOPE, wanted.product.handle.as_str(), id.as_str());
    }
    for sku in &decided.claims {
        decision = decision.hold(SKU_SCOPE, sku.as_str(), id.as_str());
    }
    for (sku, events) in decided.prices {
        decision = decision.append(price_stream(&sku), Expected::Any, events);
    }
    decision
}

async fn fetch(store: EventStore, id: ProductId) -> Result<Folded<Products>> {
    Ok(store.state::<Products>(&StreamId::of::<Products>(id)).await?)
}

fn price_stream(sku: &Sku) -> StreamId {
    StreamId::of::<PriceList>(sku)
}

fn skus_of(record: &Products) -> impl Iterator<Item = &Sku> {
    let product = match record {
        Record::Absent => None,
        Record::Present { document, .. } => Some(document),
        Record::Retired { last, .. } => Some(last),
    };
    product.into_iter().flat_map(|product| product.content.variants.iter().map(|variant| &variant.sku))
}

fn is_published(record: &Products) -> bool {
    record.document().is_some_and(|product| product.status == Status::Published)
}

fn sees_hidden(cx: &Cx) -> bool {
    let is_staff = |kind| match kind {
        Kind::Staff => true,
        Kind::Guest | Kind::Customer | Kind::Service => false,
    };
    cx.principal().is_ok_and(|who| is_staff(who.kind) && SEES_HIDDEN.iter().any(|role| who.has_role(role)))
}

fn not_found() -> Error {
    Error::not_found("the product")
}
