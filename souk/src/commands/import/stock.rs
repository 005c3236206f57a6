//! First stock. What an SKU has had before is the warehouse's business, not a product file's: only SKUs that
//! were never in stock are delivered, and each delivery is booked once however often it is sent.
use super::Outcomes;
use crate::failure::{Failure, exit};
use crate::rest::{Rest, encode, patiently};
use crate::shopify::Catalogue;
use serde_json::json;
use souk_contracts::terms::{Location, Sku};
use std::collections::{HashMap, HashSet};

/// Lines of one delivery, well below what the shop takes at once.
const DELIVERY_LINES_MAX: usize = 1_000;
/// SKUs that the shop is asked about at once: as many as it answers.
const SKUS_MAX: usize = 500;
/// The longest query; servers on the way refuse longer ones, many at 8 kB for the whole first line.
const QUERY_BYTES_MAX: usize = 8_000;

/// What the shop has of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It never had any.
    Unknown,
    /// So many pieces on the shelves, promised ones included.
    OnHand(i64),
}

/// What becomes of the stock that a file states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stocked {
    /// SKUs whose first stock is booked.
    pub delivered: usize,
    /// SKUs of which the shop has another quantity; it is left alone.
    pub differing: usize,
}

/// The stated stock of those products that the shop took.
pub fn stated<'a>(catalogue: &'a Catalogue, outcomes: &Outcomes) -> Vec<(&'a Sku, i64)> {
    let refused: HashSet<&str> = outcomes.failed.iter().map(|(handle, _)| handle.as_str()).collect();
    let refused = catalogue.products.iter().filter(|product| refused.contains(product.handle.as_str()));
    let refused: HashSet<&Sku> =
        refused.flat_map(|product| &product.variants).map(|variant| &variant.sku).collect();
    catalogue.stock().filter(|(sku, _)| !refused.contains(sku)).collect()
}

/// What [`deliver`] would do.
pub async fn preview(rest: &Rest, stated: &[(&Sku, i64)]) -> Result<Stocked, Failure> {
    Ok(compare(&levels_of(rest, stated).await?, stated))
}

/// Delivers what was never in stock, and counts what is another quantity than stated.
pub async fn deliver(
    rest: &Rest,
    file_hash: &str,
    location: &Location,
    stated: &[(&Sku, i64)],
) -> Result<Stocked, Failure> {
    let levels = levels_of(rest, stated).await?;
    let some: Vec<_> = stated.iter().filter(|(_, pieces)| *pieces > 0).copied().collect();
    // Cut into deliveries before the known ones are left out: a delivery that was sent and not answered is then
    // sent again as the very same one.
    for chunk in some.chunks(DELIVERY_LINES_MAX) {
        let is_new = |(sku, _): &&(&Sku, i64)| levels.get(sku.as_str()) == Some(&Level::Unknown);
        let lines: Vec<_> = chunk.iter().filter(is_new).copied().collect();
        if !lines.is_empty() {
            receive(rest, file_hash, location, &lines).await?;
        }
    }
    Ok(compare(&levels, stated))
}

async fn levels_of(rest: &Rest, stated: &[(&Sku, i64)]) -> Result<HashMap<String, Level>, Failure> {
    let skus: Vec<&Sku> = stated.iter().map(|(sku, _)| *sku).collect();
    levels(rest, &skus).await
}

fn compare(levels: &HashMap<String, Level>, stated: &[(&Sku, i64)]) -> Stocked {
    let mut stocked = Stocked::default();
    for (sku, pieces) in stated {
        match levels.get(sku.as_str()) {
            Some(Level::OnHand(there)) => stocked.differing += usize::from(there != pieces),
            Some(Level::Unknown) => stocked.delivered += usize::from(*pieces > 0),
            None => {}
        }
    }
    stocked
}

/// Books one delivery; the same again changes nothing.
pub(super) async fn receive(
    rest: &Rest,
    file_hash: &str,
    location: &Location,
    lines: &[(&Sku, i64)],
) -> Result<(), Failure> {
    let line = |(sku, pieces): &(&Sku, i64)| json!({"sku": sku.as_str(), "quantity": pieces.to_string()});
    let body = json!({
        "receiptId": receipt_id(file_hash, location, lines),
        "location": location.as_str(),
        "lines": lines.iter().map(line).collect::<Vec<_>>(),
    });
    patiently(|| rest.post("/api/v1/stock:receive", &body)).await?;
    Ok(())
}

/// The same lines of the same file are the same delivery; any other lines are another.
fn receipt_id(file_hash: &str, location: &Location, lines: &[(&Sku, i64)]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(file_hash.as_bytes());
    context.update(location.as_str().as_bytes());
    for (sku, pieces) in lines {
        // A byte that text never contains ends each part.
        context.update(&[0xff]);
        context.update(sku.as_str().as_bytes());
        context.update(&[0xff]);
        context.update(&pieces.to_be_bytes());
    }
    let digest = context.finish();
    let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("import-{hex}")
}

/// What the shop has of these SKUs.
pub async fn levels(rest: &Rest, skus: &[&Sku]) -> Result<HashMap<String, Level>, Failure> {
    let mut levels = HashMap::with_capacity(skus.len());
    for query in queries(skus) {
        let path = format!("/api/v1/stock?{query}");
        let answer = patiently(|| rest.get(&path)).await?;
        for level in answer.body["levels"].as_array().into_iter().flatten() {
            let sku = level["sku"].as_str().unwrap_or_default().to_owned();
            let on_hand = crate::shopify::integer(level, "onHand").map(Level::OnHand);
            let is_known = level["known"].as_bool().unwrap_or(false);
            levels.insert(sku, on_hand.filter(|_| is_known).unwrap_or(Level::Unknown));
        }
    }
    // A shop that leaves one out is not the shop this was written for; a guess would deliver twice.
    if levels.len() != skus.len() {
        let message =
            format!("the shop was asked for the stock of {} SKUs and answered {}", skus.len(), levels.len());
        return Err(Failure::new(exit::GENERIC, message));
    }
    Ok(levels)
}

/// Queries that are neither too long nor ask for too many.
fn queries(skus: &[&Sku]) -> Vec<String> {
    let mut queries: Vec<(String, usize)> = Vec::new();
    for sku in skus {
        let pair = format!("skus={}", encode(sku.as_str()));
        match queries.last_mut() {
            Some((query, count)) if *count < SKUS_MAX && query.len() + pair.len() < QUERY_BYTES_MAX => {
                query.push('&');
                query.push_str(&pair);
                *count += 1;
            }
            _ => queries.push((pair, 1)),
        }
    }
    queries.into_iter().map(|(query, _)| query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sku(text: &str) -> Sku {
        Sku::try_new(text).expect("short")
    }

    #[test]
    fn queries_stay_within_their_bounds_and_lose_nothing() {
        let short: Vec<Sku> = (0..1_200).map(|i| sku(&i.to_string())).collect();
        assert_eq!(queries(&short.iter().collect::<Vec<_>>()).len(), 3, "500 at once where they fit");
        let skus: Vec<Sku> = (0..1_200).map(|i| sku(&format!("{i}é/"))).collect();
        let queries = queries(&skus.iter().collect::<Vec<_>>());
        let asked: Vec<&str> = queries.iter().flat_map(|query| query.split('&')).collect();
        assert_eq!(asked.len(), skus.len());
        assert_eq!(asked[1_199], "skus=1199%C3%A9%2F");
        assert!(
            queries
                .iter()
                .all(|query| query.len() <= QUERY_BYTES_MAX && query.matches('&').count() < SKUS_MAX)
        );
    }

    #[test]
    fn a_delivery_is_known_by_all_that_is_in_it() {
        let (a, b, ab) = (sku("a"), sku("b"), sku("ab"));
        let main = Location::try_new("main").expect("good");
        let attic = Location::try_new("attic").expect("good");
        let ids = [
            receipt_id("f", &main, &[(&a, 1), (&b, 1)]),
            receipt_id("f", &main, &[(&b, 1), (&a, 1)]),
            receipt_id("f", &main, &[(&a, 1), (&b, 2)]),
            receipt_id("f", &main, &[(&ab, 1)]),
            receipt_id("f", &attic, &[(&a, 1), (&b, 1)]),
            receipt_id("g", &main, &[(&a, 1), (&b, 1)]),
        ];
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(ids[0], receipt_id("f", &main, &[(&a, 1), (&b, 1)]));
        assert!(ids.iter().all(|id| id.len() <= 64));
    }
}
