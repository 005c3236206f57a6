//! Moves the write-ahead log into the file, on a thread and a connection of its own, when the log has grown.
//!
//! The bulk is moved while commits go on. But the log starts over only when *all* of it has been moved at one
//! moment, and under load there is always a newer commit: so the small rest is moved while the sequencer
//! pauses between two batches.
use souk_sql::Connection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Who may touch the log right now.
#[derive(Default)]
struct Turns {
    /// The sequencer is inside a batch.
    writing: bool,
    /// The checkpointer wants the sequencer to stay out.
    pause: bool,
    /// The log has grown.
    wanted: bool,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    turns: Mutex<Turns>,
    changed: Condvar,
    done: AtomicU64,
}

/// The sequencer's and the checkpointer's common gate.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Shared>);

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, turns: MutexGuard<'a, Turns>) -> MutexGuard<'a, Turns> {
        self.0.changed.wait(turns).unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a batch: waits while the rest of the log is being moved.
    pub(crate) fn enter(&self) {
        let mut turns = self.lock();
        while turns.pause && !turns.closed {
            turns = self.wait(turns);
        }
        turns.writing = true;
    }

    /// After a batch. `grown` asks for a checkpoint.
    pub(crate) fn leave(&self, grown: bool) {
        let mut turns = self.lock();
        turns.writing = false;
        let news = turns.pause || (grown && !turns.wanted);
        turns.wanted |= grown;
        drop(turns);
        if news {
            self.0.changed.notify_all();
        }
    }

    /// Waits until a checkpoint is wanted; `false` when the store ends.
    fn wanted(&self) -> bool {
        let mut turns = self.lock();
        while !turns.wanted && !turns.closed {
            turns = self.wait(turns);
        }
        !turns.closed
    }

    fn pause(&self) {
        let mut turns = self.lock();
        turns.pause = true;
        while turns.writing && !turns.closed {
            turns = self.wait(turns);
        }
    }

    fn resume(&self) {
        let mut turns = self.lock();
        turns.pause = false;
        turns.wanted = false;
        drop(turns);
        self.0.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// How often the log was moved.
    pub(crate) fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }
}

pub(crate) struct Checkpointer {
    gate: Gate,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Starts the thread. `failed` is called when the disk fails.
    pub(crate) fn start(
        store: &str,
        gate: Gate,
        mut db: Connection,
        failed: impl Fn(&souk_sql::Error) + Send + 'static,
    ) -> std::io::Result<Self> {
        let own = gate.clone();
        let thread = std::thread::Builder::new().name(format!("checkpoint-{store}")).spawn(move || {
            while own.wanted() {
                let moved = db.checkpoint().and_then(|_| {
                    own.pause();
                    db.checkpoint()
                });
                own.0.done.fetch_add(1, Ordering::Relaxed);
                own.resume();
                if let Err(error) = moved {
                    failed(&error);
                }
            }
        })?;
        Ok(Self { gate, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn stop(&self) {
        self.gate.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}
