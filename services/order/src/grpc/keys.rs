//! The keys that make a call once, with what came with them.
use super::sha256_hex;
use prost::Message;
use souk_eventstore::{Once, OnceRecord};
use souk_identity::Principal;
use souk_kernel::{Code, Rejection, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long an idempotency key is remembered.
const KEY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// An idempotency key with the request that it came with.
pub(super) struct KeyUse {
    pub(super) principal: Arc<str>,
    method: &'static str,
    pub(super) key: Arc<str>,
    pub(super) request_hash: String,
}

impl KeyUse {
    pub(super) fn record(&self, response: &str, now: Timestamp) -> Once {
        Once {
            principal: self.principal.clone(),
            method: self.method.into(),
            key: self.key.clone(),
            request_hash: self.request_hash.clone(),
            response: response.to_owned(),
            expires: now.plus(KEY_TTL),
        }
    }
}

pub(super) fn key_of(
    principal: &Principal,
    method: &'static str,
    key: &str,
    request: &impl Message,
) -> KeyUse {
    KeyUse {
        principal: principal.subject.as_str().into(),
        method,
        key: key.into(),
        request_hash: sha256_hex(&request.encode_to_vec()),
    }
}

pub(super) fn same_request(known: &OnceRecord, request_hash: &str) -> Result<(), Rejection> {
    if known.request_hash == request_hash {
        return Ok(());
    }
    Err(key_reused())
}

pub(super) fn key_reused() -> Rejection {
    let reused = "this idempotency key came with another request before";
    Rejection::new("IDEMPOTENCY_KEY_REUSED", reused).code(Code::InvalidArgument)
}
