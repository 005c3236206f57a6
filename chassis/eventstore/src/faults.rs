//! Faults on purpose, for a store in memory: what can happen to a commit, by number or by a seeded chance.
use souk_kernel::SeededEntropy;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What shall happen to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injected {
    /// Its batch fails before it is durable: nothing has happened.
    BeforeCommit,
    /// It becomes durable, and its answer is lost.
    AfterCommit,
    /// Its batch finds the disk full.
    StorageFull,
    /// A statement of one of its views fails.
    ViewStatement,
    /// The sync of its batch fails: the process must end.
    Sync,
}

/// A script of faults. Commits are counted from 1 in the order in which the sequencer takes them.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    scripted: BTreeMap<u64, Injected>,
    chance: Option<Chance>,
}

#[derive(Debug, Clone)]
struct Chance {
    per_mille: u64,
    entropy: Arc<SeededEntropy>,
}

impl Faults {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same, and `fault` happens to the commit with this number.
    #[must_use]
    pub fn at(mut self, number: u64, fault: Injected) -> Self {
        self.scripted.insert(number, fault);
        self
    }

    /// The same, and a fault that the process survives happens to so many of a thousand commits, the same
    /// ones for the same seed.
    #[must_use]
    pub fn by_chance(mut self, per_mille: u32, seed: u64) -> Self {
        self.chance = Some(Chance { per_mille: per_mille.into(), entropy: SeededEntropy::new(seed) });
        self
    }

    /// What happens to the commit with this number.
    pub(crate) fn of(&self, number: u64) -> Option<Injected> {
        const BY_CHANCE: [Injected; 4] =
            [Injected::BeforeCommit, Injected::AfterCommit, Injected::StorageFull, Injected::ViewStatement];
        let scripted = self.scripted.get(&number).copied();
        scripted.or_else(|| {
            let chance = self.chance.as_ref()?;
            let drawn = chance.entropy.next_u64();
            let which = usize::try_from(drawn >> 32).unwrap_or(0) % BY_CHANCE.len();
            (drawn % 1_000 < chance.per_mille).then_some(BY_CHANCE[which])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_again() {
        let drawn = |seed| {
            let faults = Faults::none().by_chance(200, seed);
            (1..200).map(|n| faults.of(n)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let hits = drawn(7).iter().flatten().count();
        assert!((10..80).contains(&hits), "{hits} of 199 at 20 %");
    }
}
