//! The real clock and the real entropy. Nothing else in the house asks the machine for time or randomness.
use ring::rand::SecureRandom;
use souk_kernel::{Clock, Entropy, Timestamp};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// The machine's wall clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one clock that the rule points to")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_us(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's random bytes.
#[derive(Debug)]
pub struct SystemEntropy(ring::rand::SystemRandom);

impl SystemEntropy {
    /// A handle to the source.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(ring::rand::SystemRandom::new()))
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("an operating system without random bytes cannot run a shop");
    }
}
