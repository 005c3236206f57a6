//! How a store is opened, and what it counts.
use crate::{Faults, Publish, View};
use ring::rand::SecureRandom;
use souk_kernel::{Clock, Entropy};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a store keeps its log.
#[derive(Debug, Clone)]
pub enum Location {
    /// In an SQLite file; its folder must exist.
    Sqlite(PathBuf),
    /// In memory, with faults on purpose. For tests and simulations.
    Memory(Faults),
}

pub(crate) type Exit = Arc<dyn Fn(i32) + Send + Sync>;

/// How a store is opened. [`Options::new`] gives what works on a laptop.
#[derive(Clone)]
pub struct Options {
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) views: Vec<View>,
    pub(crate) publish: Option<Publish>,
    pub(crate) readers: usize,
    pub(crate) batch_max: usize,
    pub(crate) queue_max: usize,
    pub(crate) cache_bytes_max: usize,
    pub(crate) log_bytes_max: u64,
    pub(crate) rebuild: Vec<String>,
    pub(crate) exit: Exit,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// The machine's own randomness.
struct Machine(ring::rand::SystemRandom);

impl Entropy for Machine {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("a machine without randomness keeps no secrets");
    }
}

impl Options {
    /// A store of the service `name`, without views.
    pub fn new(name: impl Into<String>, location: Location, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.into(),
            location,
            clock,
            views: Vec::new(),
            publish: None,
            readers: 2,
            batch_max: 512,
            queue_max: 8_192,
            cache_bytes_max: 32 << 20,
            log_bytes_max: 32 << 20,
            rebuild: Vec::new(),
            exit: Arc::new(|code| std::process::exit(code)),
            entropy: Arc::new(Machine(ring::rand::SystemRandom::new())),
        }
    }

    /// The read models to keep.
    #[must_use]
    pub fn views(mut self, views: Vec<View>) -> Self {
        self.views = views;
        self
    }

    /// What others learn of the log.
    #[must_use]
    pub fn publish(mut self, publish: Publish) -> Self {
        self.publish = Some(publish);
        self
    }

    /// How many connections read at the same time, 1 to 64. Default 2.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.clamp(1, 64);
        self
    }

    /// How many pieces of work one sync makes durable at most. Default 512.
    #[must_use]
    pub fn batch_max(mut self, pieces: usize) -> Self {
        self.batch_max = pieces.max(1);
        self
    }

    /// How many pieces of work may wait; beyond it commits are refused as overloaded. Default 8,192.
    #[must_use]
    pub fn queue_max(mut self, pieces: usize) -> Self {
        self.queue_max = pieces.max(1);
        self
    }

    /// How many bytes of folded states are kept, roughly. Default 32 MiB.
    #[must_use]
    pub fn cache_bytes_max(mut self, bytes: usize) -> Self {
        self.cache_bytes_max = bytes;
        self
    }

    /// From which size on the write-ahead log is moved into the file, in bytes. Default 32 MiB: the
    /// larger it is, the more often a page is changed before it must be moved.
    #[must_use]
    pub fn log_bytes_max(mut self, bytes: u64) -> Self {
        self.log_bytes_max = bytes;
        self
    }

    /// Builds these views anew although their version has not changed.
    #[must_use]
    pub fn rebuild(mut self, views: Vec<String>) -> Self {
        self.rebuild = views;
        self
    }

    /// Where keys and nonces come from. Default: the machine.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// What ends the process when a sync has failed (exit code 74) or the sequencer has a defect (70). For
    /// tests; the default ends it at once.
    #[must_use]
    pub fn on_exit(mut self, exit: impl Fn(i32) + Send + Sync + 'static) -> Self {
        self.exit = Arc::new(exit);
        self
    }
}

/// What a store has done since it was opened, and what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Durable batches. Each is exactly one sync of the log, plus one for each time that the log starts over.
    pub batches: u64,
    /// Commits that wrote something.
    pub commits: u64,
    /// Events appended.
    pub events: u64,
    /// Commits that were answered from an earlier one with the same id.
    pub replays: u64,
    /// Pieces of work that were refused by a rule, an expectation or a fault.
    pub refusals: u64,
    /// Syncs of the log that the batches should have cost: one each.
    pub log_syncs_expected: u64,
    /// Times the write-ahead log was moved into the file, by a thread of its own.
    pub checkpoints: u64,
    /// Bytes in the write-ahead log.
    pub log_bytes: u64,
    /// Pieces of work that wait.
    pub queued: u64,
    /// Bytes of folded states that are kept, roughly.
    pub cache_bytes: u64,
    /// The last position.
    pub position: u64,
}
