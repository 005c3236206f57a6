//! Checks tokens: strictly, once, and remembers the verdict while the token counts.
use crate::cache::Cache;
use crate::{AUDIENCE_ALL, Claims, ISSUER, KeySet, Principal};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use souk_kernel::{Clock, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How far two clocks may differ.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How many accepted tokens are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Why a token does not count. All of them are the same to the caller; the difference is for our log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// Not three parts of base64url with the JSON that belongs there.
    Malformed,
    /// The header asks for something that is not ours: an algorithm, a type, a key from elsewhere.
    Header,
    /// No key of ours has this id.
    UnknownKey,
    /// The signature is not by that key.
    Signature,
    /// Issued by somebody else.
    Issuer,
    /// For somebody else.
    Audience,
    /// Not valid any more.
    Expired,
    /// Not valid yet.
    NotYet,
    /// Subject, kind and actor contradict each other.
    Incoherent,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenError::TooLong => "the token is too long",
            TokenError::Malformed => "the token is malformed",
            TokenError::Header => "the token's header is not acceptable",
            TokenError::UnknownKey => "the token's key is not known",
            TokenError::Signature => "the token's signature is wrong",
            TokenError::Issuer => "the token has another issuer",
            TokenError::Audience => "the token is for another audience",
            TokenError::Expired => "the token has expired",
            TokenError::NotYet => "the token is not valid yet",
            TokenError::Incoherent => "the token contradicts itself",
        })
    }
}

impl std::error::Error for TokenError {}

/// The only header there is. Unknown fields (`jku`, `jwk`, `x5c`, `crit`, `b64`, …) and doubled ones make it
/// unreadable, which is the point.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// Checks tokens for one service.
pub struct Verifier {
    keys: KeySet,
    audience: String,
    clock: Arc<dyn Clock>,
    remembered: Mutex<Cache<Digest, Verdict>>,
}

type Digest = [u8; 32];

/// An accepted token: what it says, from when on it counts, and under which generation of keys.
#[derive(Clone)]
struct Verdict {
    principal: Arc<Principal>,
    not_before_s: i64,
    generation: u64,
}

impl Verifier {
    /// A verifier for the service called `audience`.
    pub fn new(keys: KeySet, audience: &str, clock: Arc<dyn Clock>) -> Self {
        let remembered = Mutex::new(Cache::new(REMEMBERED_MAX));
        Self { keys, audience: audience.to_owned(), clock, remembered }
    }

    /// The clock that judges expiry.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Who the token stands for, if it counts now and here.
    pub fn verify(&self, token: &str) -> Result<Arc<Principal>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        let digest: Digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let now = self.clock.now();
        if let Some(verdict) = self.recall(&digest) {
            return in_time(&verdict, now).inspect_err(|_| self.forget(&digest));
        }
        // Read before the check: a key removed in between makes the verdict stale, never lasting.
        let generation = self.keys.generation();
        let claims = self.check(token)?;
        let verdict = Verdict {
            not_before_s: claims.nbf.max(claims.iat),
            principal: Arc::new(claims.into_principal()),
            generation,
        };
        let principal = in_time(&verdict, now)?;
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).put(digest, verdict);
        Ok(principal)
    }

    fn recall(&self, digest: &Digest) -> Option<Verdict> {
        let verdict = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?;
        (verdict.generation == self.keys.generation()).then_some(verdict)
    }

    fn forget(&self, digest: &Digest) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// Everything about the token but the time.
    fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| TokenError::Malformed);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Header)?;
        // Every key of ours is Ed25519, so this is a property of the key; the header may only agree.
        if header.alg != "EdDSA" || header.typ != "at+jwt" {
            return Err(TokenError::Header);
        }
        let key = self.keys.get(header.kid).ok_or(TokenError::UnknownKey)?;
        if !key.verifies(signed.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
        if claims.iss != ISSUER {
            return Err(TokenError::Issuer);
        }
        if claims.aud != AUDIENCE_ALL && claims.aud != self.audience {
            return Err(TokenError::Audience);
        }
        if !claims.is_coherent() {
            return Err(TokenError::Incoherent);
        }
        Ok(claims)
    }
}

fn in_time(verdict: &Verdict, now: Timestamp) -> Result<Arc<Principal>, TokenError> {
    if now >= verdict.principal.expires.plus(LEEWAY) {
        return Err(TokenError::Expired);
    }
    if now.plus(LEEWAY).unix_s() < verdict.not_before_s {
        return Err(TokenError::NotYet);
    }
    Ok(Arc::clone(&verdict.principal))
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier(for {}, {:?})", self.audience, self.keys)
    }
}

#[cfg(test)]
mod tests;
