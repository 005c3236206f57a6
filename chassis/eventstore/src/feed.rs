//! The newest published events, kept in memory: a subscriber that keeps up never touches the disk.
use crate::Published;
use std::collections::VecDeque;

/// Events and bytes that are kept at most.
const EVENTS_MAX: usize = 8_192;
const BYTES_MAX: usize = 8 << 20;

/// The end of the feed.
pub(crate) struct FeedTail {
    events: VecDeque<Published>,
    bytes: usize,
    /// The last number that was given out, whether or not its event is still here.
    head: u64,
}

impl FeedTail {
    pub(crate) fn new(head: u64) -> Self {
        Self { events: VecDeque::new(), bytes: 0, head }
    }

    pub(crate) fn extend(&mut self, published: Vec<Published>) {
        for event in published {
            self.head = event.feed_seq;
            self.bytes += event.data.len();
            self.events.push_back(event);
        }
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            if let Some(event) = self.events.pop_front() {
                self.bytes -= event.data.len();
            }
        }
    }

    /// The last number that was given out.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// What follows `after`, or `None` when the answer lies in the file.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Option<Vec<Published>> {
        if after >= self.head {
            return Some(Vec::new());
        }
        let first = self.events.front()?.feed_seq;
        let skip = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }
}
