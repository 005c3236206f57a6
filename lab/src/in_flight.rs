//! How long a shop takes to come back with many sagas under way: all of them wait at the same step, for a
//! payment provider that is not there, and then everything is killed at once.
use crate::checks::Violation;
use crate::matrix::closed;
use crate::shop::{PLENTY, Shop, pounds};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use souk::child;
use souk::failure::{Failure, exit};
use souk::rest::{self, Rest};
use souk::verify;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many orders are placed side by side.
const SIDE_BY_SIDE: usize = 64;
/// Which roles run while the orders are placed: all but the provider.
const WITHOUT_PROVIDER: [&str; 7] = ["gateway", "user", "catalog", "cart", "order", "payment", "inventory"];
/// How often it is looked how far the shop is.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After so long it will not come back any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was measured.
pub struct Recovery {
    /// Sagas that were open when everything was killed.
    pub in_flight: u64,
    /// From the kill to the first answered request.
    pub first_answer: Duration,
    /// From the kill until no saga was open any more.
    pub last_saga: Duration,
    pub violations: Vec<Violation>,
}

/// Places so many orders, kills everything, starts it again, and waits.
pub async fn measure(binary: &Path, folder: &Path, count: usize) -> Result<Recovery, Failure> {
    let shop = Shop::open(binary, &folder.join("in-flight")).await?;
    let mut child = shop.program.serve(&WITHOUT_PROVIDER)?;
    match shop.program.ready(&mut child).await? {
        child::Start::Ready => {}
        child::Start::Ended(_) => return Err(closed()),
    }
    let sales = shop.sales();
    let orders = stream::iter(0..count).map(|number| place(&sales, &shop, number));
    let placed: Vec<Result<(), Failure>> = orders.buffer_unordered(SIDE_BY_SIDE).collect().await;
    placed.into_iter().collect::<Result<Vec<()>, _>>()?;
    let in_flight = verify::Rest::look(shop.data())?.sagas_open;
    let killed = Instant::now();
    shop.end(&mut child).await?;
    let (mut child, _) = shop.comes_up().await?;
    let first_answer = killed.elapsed();
    while verify::Rest::look(shop.data())?.sagas_open > 0 {
        if killed.elapsed() > PATIENCE {
            return Err(Failure::new(exit::DIFFERENCES, "the sagas do not come to their ends"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let last_saga = killed.elapsed();
    shop.rests().await?;
    let violations = shop.violations()?;
    shop.end(&mut child).await?;
    Ok(Recovery { in_flight, first_answer, last_saga, violations })
}

/// One agreed order, noted as customers note theirs.
async fn place(sales: &Rest, shop: &Shop, number: usize) -> Result<(), Failure> {
    let key = format!("in-flight-{number}");
    let agreed = json!({
        "subject": format!("customer-{number}"), "externalRef": key, "market": "GB",
        "lines": [{"sku": PLENTY, "quantity": 1, "unitPrice": pounds(1_250)}],
    });
    let quote = rest::patiently(|| sales.post("/api/v1/quotes:agreed", &agreed)).await?.body["quote"].clone();
    let body = json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
    });
    shop.note_place(&key, &quote)?;
    let keyed = sales.with_key(&key);
    let order: Value = rest::patiently(|| keyed.post("/api/v1/orders", &body)).await?.body["order"].clone();
    shop.note_done(&key, &order)
}
