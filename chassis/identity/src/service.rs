//! How a service says who it is when it calls another.
use crate::cache::Cache;
use crate::{Claims, Kind, Signer};
use souk_kernel::{Clock, Ids, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a service's token lasts. It is renewed at half of that.
pub const SERVICE_TOKEN_TTL: Duration = Duration::from_secs(60);

/// How many tokens are kept for reuse: one per called service and person acted for.
const KEPT_MAX: usize = 10_000;

/// Makes the tokens with which one service calls others.
pub struct ServiceIdentity {
    name: String,
    signer: Arc<Signer>,
    clock: Arc<dyn Clock>,
    ids: Ids,
    kept: Mutex<Cache<Purpose, Kept>>,
}

/// For which service, on whose behalf.
type Purpose = (Box<str>, Option<Box<str>>);

#[derive(Clone)]
struct Kept {
    token: Arc<str>,
    renew_at: Timestamp,
}

impl ServiceIdentity {
    /// The identity of the service called `name`, for example `order`.
    pub fn new(name: &str, signer: Arc<Signer>, clock: Arc<dyn Clock>, ids: Ids) -> Self {
        Self { name: name.to_owned(), signer, clock, ids, kept: Mutex::new(Cache::new(KEPT_MAX)) }
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A token for calling the service called `audience`, on behalf of the person `act` if there is one.
    pub fn token_for(&self, audience: &str, act: Option<&str>) -> Arc<str> {
        let purpose: Purpose = (audience.into(), act.map(Into::into));
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get(&purpose).filter(|kept| now < kept.renew_at) {
            return kept.token;
        }
        let ttl_s = i64::try_from(SERVICE_TOKEN_TTL.as_secs()).expect("a minute fits");
        let claims = Claims::new(format!("svc:{}", self.name), Kind::Service, audience, now, ttl_s)
            .with_id(self.ids.uuid().to_string())
            .on_behalf_of(act);
        let token: Arc<str> = self.signer.sign(&claims).into();
        kept.put(purpose, Kept { token: Arc::clone(&token), renew_at: now.plus(SERVICE_TOKEN_TTL / 2) });
        token
    }
}

impl fmt::Debug for ServiceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceIdentity({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeySet, SigningKey, TokenError, Verifier};
    use souk_kernel::{ManualClock, SeededEntropy};

    #[test]
    fn a_service_token_is_accepted_where_it_was_meant_and_renewed_at_half_life() {
        let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
        let entropy = SeededEntropy::new(1);
        let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
        let keys = KeySet::new();
        keys.add(signer.public());
        let ids = Ids::new(Arc::clone(&clock) as Arc<dyn Clock>, entropy);
        let order = ServiceIdentity::new("order", signer, Arc::clone(&clock) as Arc<dyn Clock>, ids);
        let inventory = Verifier::new(keys.clone(), "inventory", Arc::clone(&clock) as Arc<dyn Clock>);
        let payment = Verifier::new(keys, "payment", Arc::clone(&clock) as Arc<dyn Clock>);

        let token = order.token_for("inventory", Some("gst_1"));
        let principal = inventory.verify(&token).expect("meant for it");
        assert_eq!((principal.service(), principal.owner()), (Some("order"), "gst_1"));
        assert_eq!(payment.verify(&token), Err(TokenError::Audience));

        assert_eq!(order.token_for("inventory", Some("gst_1")), token, "kept");
        assert_ne!(order.token_for("inventory", Some("gst_2")), token, "another person");
        assert_ne!(order.token_for("inventory", None), token, "nobody");
        clock.advance_ms(29_999);
        assert_eq!(order.token_for("inventory", Some("gst_1")), token, "kept");
        clock.advance_ms(1);
        assert_ne!(order.token_for("inventory", Some("gst_1")), token, "renewed");
    }
}
