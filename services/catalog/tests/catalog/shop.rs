//! A shop with nothing but its catalog, and what its callers want of it.
use souk_catalog::domain::{PriceEvent, PriceList, Product};
use souk_catalog::invariants;
use souk_contracts::catalog::v1::{self as pb, CatalogServiceClient};
use souk_contracts::types::v1::Money;
use souk_decider::{Aggregate, Record, RecordEvent};
use souk_eventstore::{EventStore, Position};
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
