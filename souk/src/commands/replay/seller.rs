//! Sells the invoices, each to its end, whatever happens to the server meanwhile.
use crate::failure::{Failure, exit};
use crate::rest::{Rest, RestError};
use crate::retail::{Invoice, RetailFile};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a placed order is waited for in one request.
pub(super) const WAIT_S: u32 = 10;
/// The first wait after the server did not answer; doubled up to the longest.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// So many tries in a row without an answer, and the replay gives up.
const TRIES_MAX: u32 = 600;

/// Where invoices are handed in.
pub struct Desk {
    rest: Rest,
    file_hash: String,
}

impl Desk {
    /// A desk at this address, staffed by sales.
    pub fn new(url: &str, token: String, file_hash: String) -> Self {
        Self { rest: Rest::new(url, Some(token)), file_hash }
    }

    /// What an invoice of this file is called for ever.
    pub fn external_ref(&self, invoice: &str) -> String {
        format!("{}/{invoice}", &self.file_hash[..32])
    }

    /// Posts until there is an answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.until_answered(|| self.rest.post(path, body)).await
    }

    /// Posts until there is an answer, which the server may take its time for.
    pub async fn post_waiting(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let rest = self.rest.prefer_wait(WAIT_S);
        self.until_answered(|| rest.post(path, body)).await
    }

    /// Puts until there is an answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<(), Failure> {
        self.until_answered(|| self.rest.put(path, body)).await.map(drop)
    }

    /// Repeats a call that is safe to repeat until it is answered by yes or no.
    async fn until_answered<F>(&self, call: impl Fn() -> F) -> Result<Value, Failure>
    where
        F: Future<Output = Result<crate::rest::Answer, RestError>>,
    {
        let mut pause = PAUSE_FIRST;
        for _ in 0..TRIES_MAX {
            match call().await {
                Ok(answer) => return Ok(answer.body),
                Err(error) if error.is_worth_repeating() => tokio::time::sleep(pause).await,
                Err(error) => return Err(Failure::new(exit::GENERIC, error)),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(Failure::new(exit::UNAVAILABLE, "the server does not answer any more"))
    }

    /// Sees an invoice to its end: ask by reference first, then quote, then place, then watch.
    async fn sell(&self, invoice: &Invoice) -> Result<(), Failure> {
        let external_ref = self.external_ref(&invoice.number);
        loop {
            let known = self.find(&external_ref).await?;
            let settled = match known.get("order").filter(|order| !order.is_null()) {
                Some(order) => order.clone(),
                None => self.place(invoice, &external_ref).await?,
            };
            match settled["status"].as_str() {
                Some("ORDER_STATUS_CONFIRMED") => return Ok(()),
                Some("ORDER_STATUS_PENDING") => tokio::time::sleep(PAUSE_FIRST).await,
                status => {
                    let reason = settled["reason"].as_str().unwrap_or("no reason");
                    let message = format!(
                        "invoice {} ended as {}: {reason}",
                        invoice.number,
                        status.unwrap_or("nothing")
                    );
                    return Err(Failure::new(exit::DIFFERENCES, message));
                }
            }
        }
    }

    /// The order of a reference; nothing in it when there is none.
    pub async fn find(&self, external_ref: &str) -> Result<Value, Failure> {
        let path = format!("/api/v1/orders:byExternalRef?externalRef={}", crate::rest::encode(external_ref));
        let found = self.until_answered(|| async {
            match self.rest.get(&path).await {
                Err(RestError::Problem { status: 404, .. }) => {
                    Ok(crate::rest::Answer { status: 404, body: json!({}) })
                }
                other => other,
            }
        });
        found.await
    }

    async fn place(&self, invoice: &Invoice, external_ref: &str) -> Result<Value, Failure> {
        let quote = self.post("/api/v1/quotes:agreed", &agreed(invoice, external_ref)).await?;
        let quote = &quote["quote"];
        let body = json!({
            "quoteId": quote["quoteId"],
            "expectedTotal": quote["total"],
            "paymentMethodToken": "ok",
        });
        let rest = self.rest.with_key(external_ref).prefer_wait(WAIT_S);
        let placed = self.until_answered(|| rest.post("/api/v1/orders", &body)).await?;
        Ok(placed["order"].clone())
    }
}

fn agreed(invoice: &Invoice, external_ref: &str) -> Value {
    let lines = invoice.lines.iter().map(|line| {
        json!({
            "sku": line.sku,
            "quantity": line.quantity,
            "unitPrice": {"minorUnits": line.unit_price_minor.to_string(), "currency": "GBP"},
        })
    });
    json!({
        "subject": invoice.subject,
        "externalRef": external_ref,
        "market": "GB",
        "lines": lines.collect::<Vec<_>>(),
    })
}

/// Sells every invoice, so many at once.
pub async fn sell_all(
    desk: &Desk,
    file: &RetailFile,
    concurrency: u16,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let sales = file.invoices.iter().map(|invoice| async move {
        desk.sell(invoice).await?;
        bar.inc(1);
        Ok::<_, Failure>(())
    });
    stream::iter(sales).buffer_unordered(usize::from(concurrency)).try_collect::<Vec<()>>().await.map(drop)
}
