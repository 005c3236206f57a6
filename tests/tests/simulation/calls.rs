//! How customers and staff call the shop: they insist.
use souk_contracts::types::v1::Money;
use souk_rpc::{Code, Cx, Error};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one attempt at a call may take.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The wait between two looks or attempts.
pub const PAUSE: Duration = Duration::from_millis(300);

pub fn gbp(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "GBP".to_owned() })
}

/// Whether asking again may help.
fn passes(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::ResourceExhausted | Code::Aborted
    )
}

/// Asks until there is an answer, or a refusal.
pub async fn insist<T, F>(token: &str, key: Option<&str>, call: impl Fn(Cx) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        let token: Option<Arc<str>> = Some(token).filter(|token| !token.is_empty()).map(Arc::from);
        let cx = Cx::new(Instant::now() + ATTEMPT).with_token(token).with_key(key.map(Arc::from));
        match call(cx).await {
            Err(error) if passes(&error) => sleep(PAUSE).await,
            settled => return settled,
        }
    }
}

/// The answer, or `None` when it was a refusal for one of these reasons.
pub fn unless<T>(answer: Result<T, Error>, reasons: &[&str]) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if reasons.contains(&error.reason()) => Ok(None),
        Err(error) => Err(error),
    }
}
