//! Signatures of messages that come over the public network from somebody who shares a secret with us: an HMAC of
//! the time and the bytes (`t=<seconds>,v1=<hex>`), as payment providers and carriers send them.
use crate::Signer;
use ring::{digest, hmac};
use souk_kernel::Timestamp;
use std::fmt;
use std::time::Duration;

/// How far the signature's time may be from ours, in either direction.
pub const WEBHOOK_TOLERANCE: Duration = Duration::from_secs(300);

/// How many signatures a header may carry: more than one while a secret is being replaced.
const SIGNATURES_MAX: usize = 8;

/// A secret that two sides share. Never printed.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookError {
    /// The header is not `t=<seconds>,v1=<hex>`.
    Malformed,
    /// It was not made with this secret for these bytes.
    Mismatch,
    /// It was made too long ago, or in the future.
    Stale,
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WebhookError::Malformed => "the signature is not well formed",
            WebhookError::Mismatch => "the signature does not belong to the message",
            WebhookError::Stale => "the signature is of another time",
        })
    }
}

impl std::error::Error for WebhookError {}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(***)")
    }
}

impl WebhookSecret {
    /// The secret of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A secret that follows from the house's own key, one for each `purpose`: what runs under the same key needs
    /// no agreement. Ed25519 signs the same thing the same way every time, and nobody else can.
    pub fn derived(signer: &Signer, purpose: &str) -> Self {
        let signature = signer.sign_bytes(format!("webhook secret\n{purpose}").as_bytes());
        Self::new(digest::digest(&digest::SHA256, &signature).as_ref())
    }

    /// The header for `body`, sent `now`.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> String {
        let seconds = now.unix_s();
        let tag = hmac::sign(&self.0, &signed(seconds, body));
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={seconds},v1={hex}")
    }

    /// Whether `header` is a signature of `body` that was made about `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, header: &str, now: Timestamp, body: &[u8]) -> Result<(), WebhookError> {
        let (mut seconds, mut tags) = (None, Vec::new());
        for part in header.split(',').take(SIGNATURES_MAX + 1) {
            match part.trim().split_once('=') {
                Some(("t", text)) => seconds = text.parse::<i64>().ok(),
                Some(("v1", hex)) => tags.extend(bytes_of(hex)),
                Some(_) | None => {}
            }
        }
        let seconds = seconds.filter(|_| !tags.is_empty()).ok_or(WebhookError::Malformed)?;
        let signed = signed(seconds, body);
        // Compared in constant time, and before the time is looked at: a stale one is told only to who knows.
        if !tags.iter().any(|tag| hmac::verify(&self.0, &signed, tag).is_ok()) {
            return Err(WebhookError::Mismatch);
        }
        let tolerance = i64::try_from(WEBHOOK_TOLERANCE.as_secs()).unwrap_or(i64::MAX);
        let distance = now.unix_s().saturating_sub(seconds).saturating_abs();
        if distance <= tolerance { Ok(()) } else { Err(WebhookError::Stale) }
    }
}

fn signed(seconds: i64, body: &[u8]) -> Vec<u8> {
    let mut signed = format!("{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    signed
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let is_hex = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    is_hex.then(|| (0..hex.len()).step_by(2).map(byte).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    const NOW: Timestamp = Timestamp::from_unix_s(1_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_s(1_000_000 + seconds)
    }

    #[test]
    fn what_was_signed_is_believed_for_a_while() {
        let secret = WebhookSecret::new(b"shared");
        let header = secret.sign(NOW, b"body");
        for seconds in [-300, 0, 300] {
            assert_eq!(secret.verify(&header, at(seconds), b"body"), Ok(()), "{seconds}");
        }
        for seconds in [-301, 301] {
            assert_eq!(secret.verify(&header, at(seconds), b"body"), Err(WebhookError::Stale), "{seconds}");
        }
        let replaced = WebhookSecret::new(b"old").sign(NOW, b"body");
        let (_, old) = replaced.split_once(',').expect("two parts");
        assert_eq!(secret.verify(&format!("{header},{old}"), NOW, b"body"), Ok(()), "one of several counts");
    }

    #[test]
    fn what_was_not_signed_is_not_believed() {
        let secret = WebhookSecret::new(b"shared");
        let header = secret.sign(NOW, b"body");
        assert_eq!(secret.verify(&header, NOW, b"bodY"), Err(WebhookError::Mismatch));
        assert_eq!(secret.verify(&header.replace("t=1", "t=2"), NOW, b"body"), Err(WebhookError::Mismatch));
        assert_eq!(WebhookSecret::new(b"x").verify(&header, NOW, b"body"), Err(WebhookError::Mismatch));
        for bad in ["", "t=1", "v1=00", "t=x,v1=00", &header.replace("v1", "v0"), &header[..header.len() - 1]]
        {
            assert_eq!(secret.verify(bad, NOW, b"body"), Err(WebhookError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_derived_secret_follows_from_the_key_and_the_purpose() {
        let secret = |seed, purpose| {
            let secret = WebhookSecret::derived(&Signer::new(SigningKey::from_seed([seed; 32])), purpose);
            secret.sign(NOW, b"body")
        };
        assert_eq!(secret(1, "a"), secret(1, "a"));
        assert_ne!(secret(1, "a"), secret(1, "b"));
        assert_ne!(secret(1, "a"), secret(2, "a"));
        assert_eq!(format!("{:?}", WebhookSecret::new(b"s")), "WebhookSecret(***)");
    }
}
