//! Who calls: signed tokens (JWT, Ed25519), the keys that sign and check them, and the [`Principal`] that a
//! checked token stands for. There is no network and no real clock here.
//!
//! Deliberately absent: algorithms to choose from. A token says which *key* signed it; what that key can do
//! is known from the key, never from the token.
//!
//! ```
//! use souk_identity::{Claims, Kind, KeySet, Signer, SigningKey, Verifier};
//! use souk_kernel::{ManualClock, SeededEntropy, Timestamp};
//! use std::sync::Arc;
//!
//! let key = SigningKey::generate(SeededEntropy::new(1).as_ref());
//! let keys = KeySet::new();
//! keys.add(key.public());
//! let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
//! let verifier = Verifier::new(keys, "order", clock);
//!
//! let claims = Claims::new("gst_1", Kind::Guest, "souk", Timestamp::from_unix_s(1_000), 600);
//! let token = Signer::new(key).sign(&claims);
//! assert_eq!(verifier.verify(&token).expect("just signed").subject, "gst_1");
//! ```
#![warn(missing_docs)]

mod cache;
mod claims;
mod keys;
mod principal;
mod service;
mod verifier;
mod webhook;

pub use claims::{AUDIENCE_ALL, Claims, ISSUER};
pub use keys::{KeyError, KeySet, PublicKey, Signer, SigningKey};
pub use principal::{Kind, Principal};
pub use service::{SERVICE_TOKEN_TTL, ServiceIdentity};
pub use verifier::{LEEWAY, TOKEN_BYTES_MAX, TokenError, Verifier};
pub use webhook::{WEBHOOK_TOLERANCE, WebhookError, WebhookSecret};
