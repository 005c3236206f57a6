//! The only place that starts tasks. A task has a name and a kind, and the kind says what its failure means.
use crate::panics;
use futures_util::FutureExt;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use tracing::Instrument;

/// The exit code of a process whose vital part broke ("internal software error" in sysexits).
pub const EXIT_INTERNAL: i32 = 70;

/// What the failure of a task means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Works for one caller. A panic ends this task only, and is logged and counted.
    Request,
    /// Works for nobody in particular. A panic ends this task only, and is logged and counted.
    Background,
    /// The process is of no use without it. A panic ends the process with [`EXIT_INTERNAL`]: what a half-dead
    /// process answers is worse than no answer.
    Vital,
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It panicked; the panic was logged.
    Panicked,
    /// It was aborted, or the runtime went away.
    Aborted,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::Panicked => "the task panicked",
            Ended::Aborted => "the task was aborted",
        })
    }
}

impl std::error::Error for Ended {}

/// A task that was started. Awaiting it gives its result; dropping it lets the task go on.
#[derive(Debug)]
#[must_use = "call `detach` to let the task go on unobserved"]
pub struct Running<T = ()>(tokio::task::JoinHandle<Option<T>>);

impl<T> Running<T> {
    /// Lets the task go on with nobody waiting for it.
    pub fn detach(self) {}

    /// Waits for the result.
    pub async fn join(self) -> Result<T, Ended> {
        self.await
    }

    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the task has come to its end, of whatever kind.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|joined| match joined {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(Ended::Panicked),
            Err(_) => Err(Ended::Aborted),
        })
    }
}

/// Starts `future` as a task on the current runtime.
#[allow(clippy::disallowed_methods, reason = "this is the one place that the rule points to")]
pub fn spawn<F>(kind: Kind, name: &'static str, future: F) -> Running<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let guarded = async move {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(value) => Some(value),
            Err(payload) => {
                panics::note(name, payload.as_ref());
                match kind {
                    Kind::Request | Kind::Background => None,
                    Kind::Vital => std::process::exit(EXIT_INTERNAL),
                }
            }
        }
    };
    Running(match kind {
        Kind::Request => tokio::spawn(guarded.in_current_span()),
        Kind::Background | Kind::Vital => tokio::spawn(guarded),
    })
}

/// Runs `work`, which blocks its thread, where that does no harm, and waits for its result.
pub async fn blocking<T, F>(name: &'static str, work: F) -> Result<T, Ended>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let guarded = move || {
        std::panic::catch_unwind(AssertUnwindSafe(work))
            .map_err(|payload| panics::note(name, payload.as_ref()))
    };
    match tokio::task::spawn_blocking(guarded).await {
        Ok(done) => done.map_err(|()| Ended::Panicked),
        Err(_) => Err(Ended::Aborted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_task_and_is_counted() {
        let before = panics::caught();
        let request = spawn(Kind::Request, "test", async { panic!("on purpose") });
        let background: Running<()> = spawn(Kind::Background, "test", async { panic!("on purpose, {}", 2) });
        assert_eq!(request.join().await, Err::<(), _>(Ended::Panicked));
        assert_eq!(background.await, Err(Ended::Panicked));
        assert_eq!(blocking("test", || panic!("on purpose")).await, Err::<(), _>(Ended::Panicked));
        assert!(panics::caught() >= before + 3);
        assert_eq!(blocking("test", || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn an_aborted_task_says_so() {
        let endless = spawn(Kind::Background, "test", std::future::pending::<()>());
        assert!(!endless.is_finished());
        endless.abort();
        assert_eq!(endless.join().await, Err(Ended::Aborted));
    }

    /// The process ends, so the test runs itself in a second process.
    #[test]
    fn a_panic_in_a_vital_task_ends_the_process() {
        const MARK: &str = "SOUK_TEST_VITAL_PANIC";
        if std::env::var_os(MARK).is_some() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
            let _ =
                runtime.block_on(async { spawn(Kind::Vital, "test", async { panic!("on purpose") }).await });
            std::process::exit(0);
        }
        let name = "task::tests::a_panic_in_a_vital_task_ends_the_process";
        let child = std::process::Command::new(std::env::current_exe().expect("the test knows its own path"))
            .args(["--exact", name])
            .env(MARK, "1")
            .output()
            .expect("the second process starts");
        assert_eq!(child.status.code(), Some(EXIT_INTERNAL));
    }
}
