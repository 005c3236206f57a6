//! Products on their way into the shop, several at once.
use crate::failure::Failure;
use crate::rest::{Rest, RestError, encode, patiently};
use crate::shopify::{Product, to_json};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;

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
    let sending = products.iter().map(|product| async move { (product, put(rest, product).await) });
    let mut sent = stream::iter(sending).buffer_unordered(concurrency);
    let mut outcomes = Outcomes::default();
    while let Some((product, outcome)) = sent.next().await {
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

fn given_up(error: RestError) -> Failure {
    let failure = Failure::from(error);
    let message = format!(
        "{}; run the import again when that is mended: what is in already is not changed",
        failure.message
    );
    Failure { message, ..failure }
}
