//! What must be there before the first invoice: products, prices by agreement only, and stock.
use super::seller::Desk;
use crate::failure::Failure;
use crate::retail::RetailFile;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;

/// The one location of the replay.
const LOCATION: &str = "main";
/// Lines of one receipt.
const RECEIPT_LINES: usize = 1_000;

/// Creates every product of the file and books its opening stock. Doing it again changes nothing.
pub async fn stock(desk: &Desk, file: &RetailFile, concurrency: u16) -> Result<(), Failure> {
    let products = file.titles.iter().map(|(sku, title)| put_product(desk, sku, title));
    stream::iter(products).buffer_unordered(usize::from(concurrency)).try_collect::<Vec<()>>().await?;
    let stock: Vec<_> = file.opening_stock.iter().collect();
    for (number, chunk) in stock.chunks(RECEIPT_LINES).enumerate() {
        let lines: Vec<_> = chunk
            .iter()
            .map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity.to_string()}))
            .collect();
        let receipt = format!("opening-{}-{number}", &file.hash[..32]);
        let body = json!({"receiptId": receipt, "location": LOCATION, "lines": lines});
        desk.post("/api/v1/stock:receive", &body).await?;
    }
    Ok(())
}

async fn put_product(desk: &Desk, sku: &str, title: &str) -> Result<(), Failure> {
    let product = json!({"title": title, "variants": [{"sku": sku, "title": title}], "published": true});
    desk.put(&format!("/api/v1/products/{}", handle(sku)), &product).await
}

/// A product's handle for a stock code. Codes differ by case, handles cannot, so the bytes are spelled out.
fn handle(sku: &str) -> String {
    sku.bytes().fold("retail-".to_owned(), |handle, byte| handle + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_that_differ_by_case_have_different_handles() {
        assert_ne!(super::handle("85123A"), super::handle("85123a"));
        assert_eq!(super::handle("M"), "retail-4d");
    }
}
