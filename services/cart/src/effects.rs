//! Asks the others about a cart's SKUs: the catalog what they cost, inventory how many there are.
use crate::proto::Offers;
use souk_contracts::catalog::v1::{BatchGetVariantsRequest, CatalogServiceClient};
use souk_contracts::inventory::v1::{GetAvailabilityRequest, InventoryServiceClient, Level};
use souk_contracts::terms::{Market, Sku};
use souk_host::Resources;
use souk_kernel::Error;
use souk_rpc::Cx;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long a cart waits for inventory: stock is advice, and a cart without it is better than none.
const ADVICE_WAIT_MAX: Duration = Duration::from_millis(500);

/// What is offered for these SKUs in a market. Without the catalog there is no answer; without inventory there
/// is one without stock.
pub async fn offers<'a>(
    own: &Resources,
    cx: &Cx,
    owner: &str,
    skus: impl IntoIterator<Item = &'a Sku>,
    market: &Market,
) -> Result<Offers, Error> {
    let skus: BTreeSet<&str> = skus.into_iter().map(Sku::as_str).collect();
    let skus: Vec<String> = skus.into_iter().map(str::to_owned).collect();
    if skus.is_empty() {
        return Ok(Offers { market: market.clone(), sold: HashMap::new(), available: None });
    }
    let (sold, available) =
        tokio::join!(sold(own, cx, owner, skus.clone(), market), available(own, cx, owner, skus));
    let results = sold?.into_iter().map(|result| (result.sku, result.variant));
    Ok(Offers { market: market.clone(), sold: results.collect(), available })
}

async fn sold(
    own: &Resources,
    cx: &Cx,
    owner: &str,
    skus: Vec<String>,
    market: &Market,
) -> Result<Vec<souk_contracts::catalog::v1::VariantResult>, Error> {
    let catalog: CatalogServiceClient = own.peers.get();
    let cx = cx.for_call(own.identity.token_for("catalog", Some(owner)));
    let request = BatchGetVariantsRequest { skus, market: market.to_string() };
    Ok(catalog.batch_get_variants(cx, request).await?.results)
}

async fn available(own: &Resources, cx: &Cx, owner: &str, skus: Vec<String>) -> Option<HashMap<String, i64>> {
    let inventory: InventoryServiceClient = own.peers.get();
    let cx = cx.for_call(own.identity.token_for("inventory", Some(owner)));
    let until = cx.deadline().min(Instant::now() + ADVICE_WAIT_MAX);
    let asked = inventory.get_availability(cx.with_deadline(until), GetAvailabilityRequest { skus });
    let levels = match tokio::time::timeout_at(until, asked).await {
        Ok(Ok(response)) => response.levels,
        Ok(Err(error)) => {
            tracing::debug!(error = %error.story(), "cart shown without stock");
            return None;
        }
        Err(_) => {
            tracing::debug!(error = "too late", "cart shown without stock");
            return None;
        }
    };
    let level = |level: Level| (level.sku, if level.known { level.available } else { 0 });
    Some(levels.into_iter().map(level).collect())
}
