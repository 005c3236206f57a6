//! Products on their way into the shop, several at once.
use crate::failure::Failure;
use crate::rest::{Rest, RestError, encode, patiently};
use crate::shopify::{Product, from_json, is_already, to_json};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use std::collections::BTreeMap;

/// What became of the products.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// The shop did not have them.
    pub created: usize,
    /// They were different.
    pub updated: usize,
    /// They were just so already.
    pub unchanged: usize,
    /// The shop refused them; by handle.
    pub failed: Vec<(String, RestError)>,
}

enum Outcome {
    Created,
    Updated,
    Unchanged,
}

/// Puts every product. One that is refused does not keep the others back; a shop that is gone ends it all.
pub async fn put_all(
    rest: &Rest,
    products: &[Product],
    concurrency: usize,
    bar: &ProgressBar,
) -> Result<Outcomes, Failure> {
    each(products, concurrency, bar, |product| put(rest, product)).await
}

/// Asks the shop for every product, and says what putting it would come to. Refusals that depend on other
/// products, such as that of an SKU which another one owns, are not foreseen.
pub async fn preview_all(
    rest: &Rest,
    products: &[Product],
    concurrency: usize,
    bar: &ProgressBar,
) -> Result<Outcomes, Failure> {
    each(products, concurrency, bar, |product| preview(rest, product)).await
}

async fn each<'a, F>(
    products: &'a [Product],
    concurrency: usize,
    bar: &ProgressBar,
    call: impl Fn(&'a Product) -> F,
) -> Result<Outcomes, Failure>
where
    F: Future<Output = Result<Outcome, RestError>>,
{
    let calls = products.iter().map(|product| {
        let answer = call(product);
        async move { (product, answer.await) }
    });
    let mut answers = stream::iter(calls).buffer_unordered(concurrency);
    let mut outcomes = Outcomes::default();
    while let Some((product, outcome)) = answers.next().await {
        bar.inc(1);
        match outcome {
            Ok(Outcome::Created) => outcomes.created += 1,
            Ok(Outcome::Updated) => outcomes.updated += 1,
            Ok(Outcome::Unchanged) => outcomes.unchanged += 1,
            Err(error) if error.is_worth_repeating() || error.is_about_the_caller() => {
                return Err(given_up(error));
            }
            Err(error) => outcomes.failed.push((product.handle.clone(), error)),
        }
    }
    // They arrive in any order; a report should not.
    outcomes.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(outcomes)
}

async fn put(rest: &Rest, product: &Product) -> Result<Outcome, RestError> {
    let path = format!("/api/v1/products/{}", encode(&product.handle));
    let body = to_json(product);
    let answer = patiently(|| rest.put(&path, &body)).await?;
    match answer.body["outcome"].as_str() {
        Some("PUT_OUTCOME_CREATED") => Ok(Outcome::Created),
        Some("PUT_OUTCOME_UPDATED") => Ok(Outcome::Updated),
        _ => Ok(Outcome::Unchanged),
    }
}

async fn preview(rest: &Rest, product: &Product) -> Result<Outcome, RestError> {
    let path = format!("/api/v1/products/{}", encode(&product.handle));
    let there = match patiently(|| rest.get(&path)).await {
        Ok(answer) => answer.body["product"].clone(),
        Err(RestError::Problem { status: 404, .. }) => return Ok(Outcome::Created),
        Err(error) => return Err(error),
    };
    if there["status"] == "PRODUCT_STATUS_ARCHIVED" {
        let detail = "the product is archived and stays so; its handle is never reused";
        return Err(refusal(409, "PRODUCT_ARCHIVED", detail.to_owned()));
    }
    let there = from_json(&there).map_err(|error| refusal(200, "", error.to_string()))?;
    Ok(if is_already(product, &there) { Outcome::Unchanged } else { Outcome::Updated })
}

fn refusal(status: u16, reason: &str, detail: String) -> RestError {
    let reason = reason.to_owned();
    RestError::Problem { status, reason, detail, fields: Vec::new(), metadata: BTreeMap::new() }
}

fn given_up(error: RestError) -> Failure {
    let failure = Failure::from(error);
    let message = format!(
        "{}; run the import again when that is mended: what is in already is not changed",
        failure.message
    );
    Failure { message, ..failure }
}
