//! The readers: a few threads, each with a connection, so that no runtime thread ever waits for the disk.
use crate::Fault;
use souk_sql::Connection;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Reads that may wait; beyond it they are refused.
const QUEUE_MAX: usize = 4_096;
/// How long one read may take. A longer one would keep the write-ahead log from starting over.
const READ_MAX: Duration = Duration::from_secs(5);

/// Where a reader reads.
pub(crate) enum Source {
    /// Its own connection to the file.
    Own(Box<Connection>),
    /// The one connection of a store in memory. The sequencer holds it for a whole batch, so that nobody sees
    /// half of one.
    Shared(Arc<Mutex<Connection>>),
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            match queue.jobs.pop_front() {
                Some(job) => return Some(job),
                None if queue.closed => return None,
                None => queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

pub(crate) struct Readers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Where reads are carried out when there are no threads.
    inline: Option<Mutex<Source>>,
}

impl Readers {
    /// Starts one thread per source.
    pub(crate) fn start(store: &str, sources: Vec<Source>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for (number, mut source) in sources.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("read-{number}-{store}"));
            threads.push(thread.spawn(move || {
                while let Some(job) = shared.next() {
                    source.run(job);
                }
            })?);
        }
        Ok(Self { shared, threads: Mutex::new(threads), inline: None })
    }

    /// Starts no threads: each read is carried out where it is asked for.
    pub(crate) fn inline(source: Source) -> Self {
        Self { shared: Arc::default(), threads: Mutex::default(), inline: Some(Mutex::new(source)) }
    }

    /// Runs `read` on one of the connections. A caller that has gone away in the meantime costs nothing.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !reply.is_closed() {
                let _ = reply.send(read(connection));
            }
        });
        {
            let mut queue = self.shared.lock();
            if queue.closed {
                return Err(Fault::Closed);
            }
            if queue.jobs.len() >= QUEUE_MAX {
                return Err(Fault::ReadersBusy);
            }
            match &self.inline {
                None => queue.jobs.push_back(job),
                Some(source) => source.lock().unwrap_or_else(PoisonError::into_inner).run(job),
            }
        }
        self.shared.filled.notify_one();
        answer.await.unwrap_or_else(|_| Err(Fault::Panicked("a read gave no answer".to_owned())))
    }

    /// Takes no more reads, finishes those that wait, and closes the connections.
    pub(crate) fn stop(&self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Source {
    fn run(&mut self, job: Job) {
        match self {
            Source::Own(connection) => run_guarded(connection, job),
            Source::Shared(connection) => {
                run_guarded(&mut connection.lock().unwrap_or_else(PoisonError::into_inner), job);
            }
        }
    }
}

fn run_guarded(connection: &mut Connection, job: Job) {
    connection.set_deadline(Some(Instant::now() + READ_MAX));
    let outcome = catch_unwind(AssertUnwindSafe(|| job(connection)));
    connection.set_deadline(None);
    if let Err(panic) = outcome {
        // The caller learns of it because its answer never comes.
        tracing::error!(panic = crate::error::panic_text(&*panic), "read panicked");
    }
    if let Err(error) = connection.rollback() {
        tracing::error!(error = %error, "read could not be ended");
    }
}
