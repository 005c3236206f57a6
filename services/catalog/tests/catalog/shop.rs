//! A shop with nothing but its catalog, and what its callers want of it.
use souk_catalog::domain::promotion::Promotion;
use souk_catalog::domain::redemption::{Redemption, RedemptionEvent};
use souk_catalog::domain::{PriceEvent, PriceList, Product};
use souk_catalog::invariants::{self, Uses};
use souk_catalog::views;
use souk_contracts::catalog::v1::{self as pb, CatalogServiceClient};
use souk_contracts::terms::OrderId;
use souk_contracts::types::v1::Money;
use souk_decider::{Aggregate, Record, RecordEvent};
use souk_eventstore::{EventStore, Position, Recorded};
use souk_host::{Environment, Node, Service, Settings};
use souk_identity::{Claims, Kind};
use souk_kernel::{Clock, Entropy, Error, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::{Cx, Peers};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Sat, 21 November 2026.
pub const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);

pub struct Shop {
    pub node: Node,
    pub clock: Arc<ManualClock>,
    pub client: CatalogServiceClient,
}

impl Shop {
    pub async fn in_memory() -> Self {
        Self::with(&Settings { round_trip: true, ..Settings::in_memory() }, 1).await
    }

    /// One whose store is in this folder; another `seed` for each start.
    pub async fn at(folder: &Path, seed: u64) -> Self {
        Self::with(&Settings::at(folder), seed).await
    }

    async fn with(settings: &Settings, seed: u64) -> Self {
        let clock = ManualClock::at(START);
        let entropy: Arc<dyn Entropy> = SeededEntropy::new(seed);
        let environment = Environment { clock: clock.clone() as Arc<dyn Clock>, entropy };
        let services: Vec<Box<dyn Service>> = vec![Box::new(souk_catalog::service())];
        let node = Node::start(&services, &environment, settings, Peers::new()).await.expect("it starts");
        Self { client: node.peers().get(), node, clock }
    }

    pub fn store(&self) -> &EventStore {
        &self.node.stores()[0].1
    }

    /// Somebody without a token.
    pub fn anybody(&self) -> Cx {
        Cx::new(tokio::time::Instant::now() + Duration::from_secs(60)).with_request_id("test")
    }

    pub fn person(&self, kind: Kind, roles: &[&str]) -> Cx {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let claims = Claims::new("somebody", kind, "souk", START, 86_400).with_roles(roles);
        self.anybody().with_token(Arc::from(self.node.signer().sign(&claims)))
    }

    /// The order service, which acts for nobody in particular.
    pub fn order(&self) -> Cx {
        let claims = Claims::new("svc:order", Kind::Service, "catalog", self.clock.now(), 60);
        self.anybody().with_token(Arc::from(self.node.signer().sign(&claims)))
    }

    pub async fn price(
        &self,
        cx: Cx,
        request: pb::PriceLinesRequest,
    ) -> Result<pb::PriceLinesResponse, Error> {
        self.client.price_lines(cx, request).await
    }

    /// Prices so many pieces of these SKUs for somebody in GB, with these codes.
    pub async fn priced(&self, lines: &[(&str, u32)], codes: &[&str]) -> pb::PriceLinesResponse {
        self.price(self.person(Kind::Customer, &[]), ask(lines, codes)).await.expect("an answer")
    }

    pub async fn promote(&self, promotion: pb::PromotionInput) -> Result<pb::Promotion, Error> {
        let request = pb::CreatePromotionRequest { promotion: Some(promotion) };
        Ok(self.client.create_promotion(self.sales(), request).await?.promotion.expect("a promotion"))
    }

    pub async fn promotion(&self, id: &str) -> Result<pb::Promotion, Error> {
        let request = pb::GetPromotionRequest { promotion_id: id.into() };
        Ok(self.client.get_promotion(self.sales(), request).await?.promotion.expect("a promotion"))
    }

    pub async fn disable(&self, id: &str) -> Result<pb::Promotion, Error> {
        let request = pb::DisablePromotionRequest { promotion_id: id.into(), reason: "it leaked".into() };
        Ok(self.client.disable_promotion(self.sales(), request).await?.promotion.expect("a promotion"))
    }

    pub async fn tax(
        &self,
        zone: &str,
        rates: &[(&str, u32)],
        inclusive: bool,
    ) -> Result<pb::TaxZone, Error> {
        let rate = |(class, rate_millionths): &(&str, u32)| pb::TaxRate {
            tax_class: (*class).into(),
            rate_millionths: *rate_millionths,
            name: "VAT".into(),
            valid_from: None,
        };
        let rates = rates.iter().map(rate).collect();
        let tax_zone = Some(pb::TaxZoneInput { rates, prices_include_tax: inclusive });
        let request = pb::PutTaxZoneRequest { zone: zone.into(), tax_zone, expected_version: None };
        Ok(self.client.put_tax_zone(self.sales(), request).await?.tax_zone.expect("a zone"))
    }

    /// Redeems what is priced now.
    pub async fn redeem(
        &self,
        order: OrderId,
        subject: &str,
        codes: &[&str],
    ) -> Result<pb::Redemption, Error> {
        let now = self.clock.now();
        let request = pb::RedeemCouponsRequest {
            order_id: order.to_string(),
            subject: subject.into(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            priced_at: Some(souk_rpc::time::to_proto(now)),
        };
        Ok(self.client.redeem_coupons(self.order(), request).await?.redemption.expect("an answer"))
    }

    pub async fn release(&self, order: OrderId) -> pb::Redemption {
        let request = pb::ReleaseCouponsRequest { order_id: order.to_string(), reason: "cancelled".into() };
        let released = self.client.release_coupons(self.order(), request).await;
        released.expect("never refused").redemption.expect("an answer")
    }

    pub fn sales(&self) -> Cx {
        self.person(Kind::Staff, &["sales"])
    }

    pub async fn put(
        &self,
        handle: &str,
        product: pb::ProductInput,
    ) -> Result<pb::PutProductResponse, Error> {
        self.put_expecting(handle, product, None).await
    }

    pub async fn put_expecting(
        &self,
        handle: &str,
        product: pb::ProductInput,
        expected_version: Option<u64>,
    ) -> Result<pb::PutProductResponse, Error> {
        let request =
            pb::PutProductRequest { handle: handle.into(), product: Some(product), expected_version };
        self.client.put_product(self.sales(), request).await
    }

    pub async fn get(&self, cx: Cx, handle: &str) -> Result<pb::Product, Error> {
        let request = pb::GetProductRequest { handle: handle.into() };
        Ok(self.client.get_product(cx, request).await?.product.expect("a product"))
    }

    pub async fn unpublish(&self, handle: &str) -> Result<pb::Product, Error> {
        let request = pb::UnpublishProductRequest { handle: handle.into() };
        Ok(self.client.unpublish_product(self.sales(), request).await?.product.expect("a product"))
    }

    pub async fn publish(&self, handle: &str) -> Result<pb::Product, Error> {
        let request = pb::PublishProductRequest { handle: handle.into() };
        Ok(self.client.publish_product(self.sales(), request).await?.product.expect("a product"))
    }

    pub async fn archive(&self, handle: &str) -> Result<pb::Product, Error> {
        let request = pb::ArchiveProductRequest { handle: handle.into() };
        Ok(self.client.archive_product(self.sales(), request).await?.product.expect("a product"))
    }

    pub async fn set_price(&self, sku: &str, market: &str, minor: i64) -> Result<pb::Price, Error> {
        let request =
            pb::SetPriceRequest { sku: sku.into(), market: market.into(), amount: Some(pence(minor)) };
        Ok(self.client.set_price(self.sales(), request).await?.price.expect("a price"))
    }

    pub async fn prices(&self, cx: Cx, sku: &str) -> Result<Vec<pb::Price>, Error> {
        let request = pb::ListPricesRequest { sku: sku.into(), market: "GB".into() };
        Ok(self.client.list_prices(cx, request).await?.prices)
    }

    pub async fn variants(&self, cx: Cx, skus: &[&str], market: &str) -> Vec<pb::VariantResult> {
        let skus = skus.iter().map(|sku| (*sku).to_owned()).collect();
        let request = pb::BatchGetVariantsRequest { skus, market: market.into() };
        self.client.batch_get_variants(cx, request).await.expect("an answer").results
    }

    pub async fn search(&self, q: &str) -> Result<Vec<pb::SearchHit>, Error> {
        let request = pb::SearchProductsRequest { q: q.into(), ..Default::default() };
        Ok(self.client.search_products(self.anybody(), request).await?.hits)
    }

    /// The handles that a search finds, best first.
    pub async fn found(&self, q: &str) -> Vec<String> {
        let hits = self.search(q).await.expect("an answer");
        hits.into_iter().map(|hit| hit.product.expect("a product").handle).collect()
    }

    /// The invariants over the whole log.
    pub async fn check(&self) {
        let log = self.store().read_log(Position::START, 100_000).await.expect("readable");
        let products: Vec<Arc<RecordEvent<Product>>> =
            log.iter().filter_map(|recorded| recorded.of::<Record<Product>>()).collect();
        assert_eq!(invariants::skus_are_never_reused(products.iter().map(Arc::as_ref)), Ok(()));
        let mut prices: BTreeMap<String, Vec<PriceEvent>> = BTreeMap::new();
        for recorded in log.iter().filter(|recorded| recorded.stream.category() == PriceList::CATEGORY) {
            let event = recorded.of::<PriceList>().expect("a price event").as_ref().clone();
            prices.entry(recorded.stream.to_string()).or_default().push(event);
        }
        for events in prices.values() {
            assert_eq!(invariants::one_price_at_a_time(events), Ok(()));
            assert_eq!(invariants::no_negative_price(events), Ok(()));
        }
        self.check_coupons(&log).await;
    }

    /// I-CA-5, and that the view says what the log says.
    async fn check_coupons(&self, log: &[Recorded]) {
        let promotions: Vec<_> = log.iter().filter_map(|recorded| recorded.of::<Promotion>()).collect();
        let mut redemptions: Vec<(OrderId, Arc<RedemptionEvent>)> = Vec::new();
        let mut by_order: BTreeMap<OrderId, Vec<Arc<RedemptionEvent>>> = BTreeMap::new();
        for recorded in log {
            let Some(event) = recorded.of::<Redemption>() else { continue };
            let order = recorded.stream.id().parse().expect("an order");
            by_order.entry(order).or_default().push(event.clone());
            redemptions.push((order, event));
        }
        for events in by_order.values() {
            assert_eq!(invariants::one_answer_per_order(events), Ok(()));
        }
        let live = invariants::live_redemptions(redemptions.iter().map(|(order, event)| (*order, &**event)));
        let uses = invariants::uses(live.values());
        let limits = invariants::limits(promotions.iter().map(Arc::as_ref));
        assert_eq!(invariants::uses_are_within_limits(&uses, &limits), Ok(()));
        let mut viewed = Uses::default();
        for row in self.store().query(views::uses_behind("")).await.expect("readable") {
            viewed.note(row.text(0), row.get(1));
        }
        for row in self.store().query(views::customer_uses_behind("", "")).await.expect("readable") {
            viewed.note_customer(row.text(0), row.text(1), row.get(2));
        }
        assert_eq!(viewed, uses, "the view is the fold");
    }
}

/// So many pieces of these SKUs, in GB, with these codes.
pub fn ask(lines: &[(&str, u32)], codes: &[&str]) -> pb::PriceLinesRequest {
    let line = |(n, (sku, quantity)): (u32, &(&str, u32))| pb::LineToPrice {
        line: n,
        sku: (*sku).into(),
        quantity: *quantity,
    };
    pb::PriceLinesRequest {
        lines: (1..).zip(lines).map(line).collect(),
        market: "GB".into(),
        coupon_codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        ..Default::default()
    }
}

/// A coupon that takes off ten percent and goes with others; its code is its id.
pub fn ten_percent(id: &str) -> pb::PromotionInput {
    pb::PromotionInput {
        promotion_id: id.into(),
        name: format!("Ten off ({id})"),
        code: id.into(),
        benefit: Some(pb::Benefit { kind: Some(pb::benefit::Kind::PercentageBp(1_000)) }),
        stackable: true,
        ..Default::default()
    }
}

pub fn pence(minor_units: i64) -> Money {
    Money { minor_units, currency: "GBP".into() }
}

/// A published product of one variant.
pub fn one(title: &str, sku: &str, minor: i64) -> pb::ProductInput {
    pb::ProductInput {
        title: title.into(),
        categories: vec!["Kitchen".into()],
        variants: vec![variant(sku, &[], minor)],
        published: true,
        ..Default::default()
    }
}

pub fn variant(sku: &str, values: &[&str], minor: i64) -> pb::VariantInput {
    pb::VariantInput {
        sku: sku.into(),
        title: String::new(),
        option_values: values.iter().map(|value| (*value).to_owned()).collect(),
        prices: vec![pb::PriceInput { market: "GB".into(), amount: Some(pence(minor)) }],
        tax_class: String::new(),
    }
}
