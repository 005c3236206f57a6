//! The one source of randomness of a run, split into streams that do not disturb each other.
use souk_kernel::SeededEntropy;
use std::sync::Arc;

/// Chooses. Clones go on with the same sequence.
#[derive(Clone)]
pub struct Chance(Arc<SeededEntropy>);

impl Chance {
    /// The sequence of `seed` for one purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed ^ 0x51ab, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
        });
        Self(SeededEntropy::new(mixed))
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    /// A number from `first` to `last`.
    pub fn between(&self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True so many times in a hundred.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(all.len() as u64)).expect("an index");
        &all[index]
    }

    /// As a source of random bytes.
    pub fn entropy(&self) -> Arc<SeededEntropy> {
        SeededEntropy::new(self.0.next_u64())
    }
}
