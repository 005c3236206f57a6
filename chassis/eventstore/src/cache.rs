//! The committed states of streams, bounded in bytes. Whoever asks for a state that is here needs no disk.
use crate::StreamId;
use crate::fold::StreamFacts;
use std::collections::{HashMap, VecDeque};

/// How many changes back a reader's snapshot may lie and still be offered to the cache.
const RECENT_MAX: usize = 4_096;

pub(crate) struct Cache {
    entries: HashMap<StreamId, Entry>,
    /// Second chance: an entry that was used since it was last looked at goes round once more.
    round: VecDeque<StreamId>,
    bytes: usize,
    bytes_max: usize,
    /// Which streams changed lately and where the log ended then: a reader that folded an older snapshot
    /// must not overwrite them.
    recent: VecDeque<(u64, StreamId)>,
    recent_floor: u64,
}

struct Entry {
    facts: StreamFacts,
    used: bool,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize, position: u64) -> Self {
        Self {
            entries: HashMap::new(),
            round: VecDeque::new(),
            bytes: 0,
            bytes_max,
            recent: VecDeque::new(),
            recent_floor: position,
        }
    }

    pub(crate) fn get(&mut self, stream: &StreamId) -> Option<StreamFacts> {
        let entry = self.entries.get_mut(stream)?;
        entry.used = true;
        Some(entry.facts.clone())
    }

    /// Takes in what a durable batch has changed or looked up; the log ends at `position` now.
    pub(crate) fn merge(
        &mut self,
        position: u64,
        streams: impl Iterator<Item = (StreamId, StreamFacts, bool)>,
    ) {
        for (stream, facts, changed) in streams {
            if changed {
                self.recent.push_back((position, stream.clone()));
            }
            self.put(stream, facts);
        }
        while self.recent.len() > RECENT_MAX {
            if let Some((at, _)) = self.recent.pop_front() {
                self.recent_floor = at;
            }
        }
    }

    /// Takes in what a reader has folded from a snapshot in which the log ended at `position`, unless the
    /// stream may have changed since.
    pub(crate) fn offer(&mut self, position: u64, stream: StreamId, facts: StreamFacts) {
        let changed_since =
            self.recent.iter().rev().take_while(|(at, _)| *at > position).any(|(_, other)| *other == stream);
        if position >= self.recent_floor && !changed_since {
            self.put(stream, facts);
        }
    }

    fn put(&mut self, stream: StreamId, facts: StreamFacts) {
        self.bytes += facts.bytes();
        match self.entries.get_mut(&stream) {
            Some(entry) => {
                self.bytes -= entry.facts.bytes();
                entry.facts = facts;
                entry.used = true;
            }
            None => {
                self.round.push_back(stream.clone());
                self.entries.insert(stream, Entry { facts, used: false });
            }
        }
        self.evict();
    }

    fn evict(&mut self) {
        while self.bytes > self.bytes_max {
            let Some(stream) = self.round.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(&stream) else { continue };
            if entry.used {
                entry.used = false;
                self.round.push_back(stream);
            } else {
                self.bytes -= entry.facts.bytes();
                self.entries.remove(&stream);
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(n: u64) -> StreamId {
        StreamId::new("s", n)
    }

    #[test]
    fn what_is_not_used_goes_first_and_the_bound_holds() {
        let one = StreamFacts::at(1, 0).bytes();
        let mut cache = Cache::new(4 * one, 0);
        cache.merge(4, (0..4).map(|n| (stream(n), StreamFacts::at(1, 0), false)));
        assert!(cache.get(&stream(0)).is_some());
        cache.merge(5, std::iter::once((stream(9), StreamFacts::at(1, 0), false)));
        assert!(cache.bytes() <= 4 * one);
        assert!(cache.get(&stream(0)).is_some(), "it was used");
        assert!(cache.get(&stream(1)).is_none(), "it was the oldest that nobody used");
    }

    #[test]
    fn a_reader_cannot_put_an_old_state_over_a_newer_one() {
        let mut cache = Cache::new(1 << 20, 0);
        cache.merge(5, std::iter::once((stream(1), StreamFacts::at(5, 0), true)));
        cache.offer(4, stream(1), StreamFacts::at(4, 0));
        assert_eq!(cache.get(&stream(1)).map(|facts| facts.version), Some(5));
        cache.offer(4, stream(2), StreamFacts::at(2, 0));
        assert_eq!(cache.get(&stream(2)).map(|facts| facts.version), Some(2));
    }

    #[test]
    fn a_reader_that_is_too_far_behind_is_not_believed() {
        let mut cache = Cache::new(1 << 30, 0);
        let many = (1..=RECENT_MAX as u64 + 10).map(|n| (stream(n), StreamFacts::at(1, 0), true));
        cache.merge(7, many);
        cache.offer(6, stream(0), StreamFacts::at(1, 0));
        assert!(cache.get(&stream(0)).is_none());
    }
}
