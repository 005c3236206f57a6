//! The other services as far as the cart knows them: a catalog and an inventory that say what a test wants, and
//! an order service that only publishes.
use souk_contracts::catalog::v1 as catalog;
use souk_contracts::inventory::v1 as inventory;
use souk_contracts::types::v1::Money;
use souk_kernel::{Code, Error};
use souk_rpc::feed::{FeedEvent, FeedService, ReadRequest};
use souk_rpc::{BoxFuture, BoxStream, Cx, Result};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What is sold, by SKU, with the price in pence by market.
#[derive(Default)]
pub struct TestCatalog {
    sold: Mutex<HashMap<String, HashMap<String, i64>>>,
    pub down: AtomicBool,
    pub asked: AtomicUsize,
}

impl TestCatalog {
    pub fn sell(&self, sku: &str, market: &str, minor: i64) {
        let mut sold = self.sold.lock().expect("no test panics with it");
        sold.entry(sku.into()).or_default().insert(market.into(), minor);
    }

    pub fn stop_selling(&self, sku: &str) {
        self.sold.lock().expect("no test panics with it").remove(sku);
    }

    fn variant(&self, sku: &str, market: &str) -> Option<catalog::SoldVariant> {
        let sold = self.sold.lock().expect("no test panics with it");
        let currency = || if market == "GB" { "GBP".to_owned() } else { "EUR".to_owned() };
        let price = |minor: &i64| catalog::Price {
            market: market.into(),
            amount: Some(Money { minor_units: *minor, currency: currency() }),
            ..Default::default()
        };
        let by_market = sold.get(sku)?;
        let price = by_market.get(market).map(price);
        Some(catalog::SoldVariant {
            sku: sku.into(),
            title: format!("Thing {sku}"),
            price,
            ..Default::default()
        })
    }
}

/// Methods that the cart never calls.
macro_rules! not_called {
    ($($method:ident($request:ty) -> $response:ty;)+) => { $(
        fn $method(&self, _cx: Cx, _request: $request) -> BoxFuture<'_, Result<$response>> {
            Box::pin(async { Err(Error::new(Code::Unimplemented, "NOT_CALLED", stringify!($method))) })
        }
    )+ };
}

impl catalog::CatalogService for TestCatalog {
    fn batch_get_variants(
        &self,
        _cx: Cx,
        request: catalog::BatchGetVariantsRequest,
    ) -> BoxFuture<'_, Result<catalog::BatchGetVariantsResponse>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let result = |sku: String| {
            let variant = self.variant(&sku, &request.market);
            catalog::VariantResult { sku, variant }
        };
        let response = match self.down.load(Ordering::Relaxed) {
            true => Err(Error::unavailable("the catalog is down")),
            false => Ok(catalog::BatchGetVariantsResponse {
                results: request.skus.into_iter().map(result).collect(),
            }),
        };
        Box::pin(async { response })
    }

    not_called! {
        put_product(catalog::PutProductRequest) -> catalog::PutProductResponse;
        publish_product(catalog::PublishProductRequest) -> catalog::PublishProductResponse;
        unpublish_product(catalog::UnpublishProductRequest) -> catalog::UnpublishProductResponse;
        archive_product(catalog::ArchiveProductRequest) -> catalog::ArchiveProductResponse;
        set_price(catalog::SetPriceRequest) -> catalog::SetPriceResponse;
        get_product(catalog::GetProductRequest) -> catalog::GetProductResponse;
        list_products(catalog::ListProductsRequest) -> catalog::ListProductsResponse;
        search_products(catalog::SearchProductsRequest) -> catalog::SearchProductsResponse;
        list_categories(catalog::ListCategoriesRequest) -> catalog::ListCategoriesResponse;
        list_prices(catalog::ListPricesRequest) -> catalog::ListPricesResponse;
        price_lines(catalog::PriceLinesRequest) -> catalog::PriceLinesResponse;
        create_promotion(catalog::CreatePromotionRequest) -> catalog::CreatePromotionResponse;
        get_promotion(catalog::GetPromotionRequest) -> catalog::GetPromotionResponse;
        list_promotions(catalog::ListPromotionsRequest) -> catalog::ListPromotionsResponse;
        disable_promotion(catalog::DisablePromotionRequest) -> catalog::DisablePromotionResponse;
        validate_coupon(catalog::ValidateCouponRequest) -> catalog::ValidateCouponResponse;
        redeem_coupons(catalog::RedeemCouponsRequest) -> catalog::RedeemCouponsResponse;
        release_coupons(catalog::ReleaseCouponsRequest) -> catalog::ReleaseCouponsResponse;
        put_tax_zone(catalog::PutTaxZoneRequest) -> catalog::PutTaxZoneResponse;
        list_tax_zones(catalog::ListTaxZonesRequest) -> catalog::ListTaxZonesResponse;
    }
}

/// How many there are, by SKU.
#[derive(Default)]
pub struct TestInventory {
    pub levels: Mutex<HashMap<String, i64>>,
    pub down: AtomicBool,
    /// How much time the last caller gave.
    pub given: Mutex<Option<Duration>>,
}

impl inventory::InventoryService for TestInventory {
    fn get_availability(
        &self,
        cx: Cx,
        request: inventory::GetAvailabilityRequest,
    ) -> BoxFuture<'_, Result<inventory::GetAvailabilityResponse>> {
        Box::pin(async move {
            *self.given.lock().expect("no test panics with it") = Some(cx.remaining());
            if self.down.load(Ordering::Relaxed) {
                return Err(Error::unavailable("the inventory is down"));
            }
            let levels = self.levels.lock().expect("no test panics with it");
            let level = |sku: String| {
                let available = levels.get(&sku).copied();
                inventory::Level {
                    sku,
                    known: available.is_some(),
                    available: available.unwrap_or(0),
                    ..Default::default()
                }
            };
            Ok(inventory::GetAvailabilityResponse { levels: request.skus.into_iter().map(level).collect() })
        })
    }

    not_called! {
        reserve(inventory::ReserveRequest) -> inventory::ReserveResponse;
        commit(inventory::CommitRequest) -> inventory::CommitResponse;
        release(inventory::ReleaseRequest) -> inventory::ReleaseResponse;
        get_reservation(inventory::GetReservationRequest) -> inventory::GetReservationResponse;
        receive_stock(inventory::ReceiveStockRequest) -> inventory::ReceiveStockResponse;
        adjust_stock(inventory::AdjustStockRequest) -> inventory::AdjustStockResponse;
        bulk_adjust(inventory::BulkAdjustRequest) -> inventory::BulkAdjustResponse;
        list_movements(inventory::ListMovementsRequest) -> inventory::ListMovementsResponse;
        extend_reservation(inventory::ExtendReservationRequest) -> inventory::ExtendReservationResponse;
        ship(inventory::ShipRequest) -> inventory::ShipResponse;
        restock(inventory::RestockRequest) -> inventory::RestockResponse;
        transfer_stock(inventory::TransferStockRequest) -> inventory::TransferStockResponse;
        count_stock(inventory::CountStockRequest) -> inventory::CountStockResponse;
        list_shortfalls(inventory::ListShortfallsRequest) -> inventory::ListShortfallsResponse;
        resolve_shortfall(inventory::ResolveShortfallRequest) -> inventory::ResolveShortfallResponse;
        put_location(inventory::PutLocationRequest) -> inventory::PutLocationResponse;
        list_locations(inventory::ListLocationsRequest) -> inventory::ListLocationsResponse;
        put_stock_terms(inventory::PutStockTermsRequest) -> inventory::PutStockTermsResponse;
    }

    fn watch_stock(
        &self,
        _cx: Cx,
        _request: inventory::WatchStockRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<inventory::WatchStockResponse>>>> {
        Box::pin(async { Err(Error::new(Code::Unimplemented, "NOT_CALLED", "watch_stock")) })
    }
}

/// What order has published so far.
pub struct TestOrders {
    events: watch::Sender<Vec<FeedEvent>>,
}

impl Default for TestOrders {
    fn default() -> Self {
        Self { events: watch::Sender::new(Vec::new()) }
    }
}

impl TestOrders {
    /// Publishes an event; returns its number within its stream.
    pub fn publish(&self, stream: &str, kind: &str, data: Vec<u8>) -> u64 {
        let mut public_seq = 0;
        self.events.send_modify(|events| {
            public_seq = events.iter().filter(|event| event.stream == stream).count() as u64 + 1;
            let feed_seq = events.len() as u64 + 1;
            events.push(FeedEvent {
                feed_seq,
                source: "order".into(),
                stream: stream.into(),
                public_seq,
                kind: kind.into(),
                id: format!("order/{feed_seq}"),
                data: data.into(),
                ..Default::default()
            });
        });
        public_seq
    }
}

impl FeedService for TestOrders {
    fn read(
        &self,
        _cx: Cx,
        request: ReadRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<FeedEvent>>>> {
        let events = self.events.subscribe();
        let read = futures_util::stream::unfold((events, request.after), |(mut events, after)| async move {
            let index = usize::try_from(after).expect("small");
            let event = events.wait_for(|all| all.len() > index).await.ok()?[index].clone();
            Some((Ok(event), (events, after + 1)))
        });
        Box::pin(async { Ok(Box::pin(read) as BoxStream<'static, _>) })
    }
}
