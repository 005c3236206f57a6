//! Keeps what services do by themselves going, and ends the process when that cannot be done.
use crate::Process;
use souk_kernel::{Code, Error};
use souk_telemetry::Stop;
use std::time::Duration;
use tokio::time::Instant;

/// The wait before a process that ended with an error is started again; doubled each time in a row …
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often in a row a process is started again after an error that does not pass by itself.
const RESTARTS_MAX: u32 = 5;
/// Who has run for so long starts with a clean slate.
const RUNS_WELL_AFTER: Duration = Duration::from_secs(300);

/// Runs a process until it has come to its end.
///
/// # Panics
/// When it cannot be kept running. As a vital task this ends the whole process.
pub(crate) async fn supervise(service: &'static str, first: Box<dyn Process>, stop: Stop) {
    let name = first.name();
    let mut process = first;
    let mut restarts = Restarts::default();
    loop {
        let again = process.again();
        let began = Instant::now();
        let Err(error) = process.run(stop.clone()).await else { return };
        if stop.is_requested() {
            // At a stop, stores close and peers go away: nothing worth waking anybody for.
            tracing::info!(service, process = name, error = %error.story(), "process ended at the stop");
            return;
        }
        let pause = restarts.after(&error, began.elapsed());
        let (Some(next), Some(pause)) = (again, pause) else {
            give_up(service, name, &error, restarts.in_a_row);
        };
        tracing::error!(
            service,
            process = name,
            error = %error.story(),
            restarts = restarts.in_a_row,
            "process ended with an error and is started again"
        );
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(pause) => {}
        }
        process = next;
    }
}

fn give_up(service: &'static str, name: &'static str, error: &Error, restarts: u32) -> ! {
    let story = error.story();
    tracing::error!(
        service,
        process = name,
        error = %story,
        restarts,
        "process cannot be kept running, so everything ends and can be started anew"
    );
    panic!("the {name} of {service} cannot go on: {story}");
}

/// How often a process was started again without having run well in between.
#[derive(Default)]
struct Restarts {
    in_a_row: u32,
    /// Those of them after an error that does not pass by itself.
    for_good: u32,
}

impl Restarts {
    /// How long to wait before the next start; `None` when there shall be none.
    fn after(&mut self, error: &Error, ran: Duration) -> Option<Duration> {
        if ran >= RUNS_WELL_AFTER {
            *self = Self::default();
        }
        let passes = matches!(
            error.code(),
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted
        );
        if !passes && self.for_good == RESTARTS_MAX {
            return None;
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << self.in_a_row.min(16)).min(PAUSE_MAX);
        self.for_good += u32::from(!passes);
        self.in_a_row = self.in_a_row.saturating_add(1);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_rpc::BoxFuture;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Ends with an error for the first so many times, then waits for the stop.
    #[derive(Clone)]
    struct Failing {
        starts: Arc<AtomicU32>,
        errors: u32,
        error: Error,
        runs: Duration,
        is_repeatable: bool,
    }

    impl Process for Failing {
        fn name(&self) -> &'static str {
            "test"
        }

        fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
            Box::pin(async move {
                let start = self.starts.fetch_add(1, Ordering::SeqCst);
                if start < self.errors {
                    tokio::time::sleep(self.runs).await;
                    return Err(self.error);
                }
                stop.requested().await;
                Err(Error::unavailable("the store is closed"))
            })
        }

        fn again(&self) -> Option<Box<dyn Process>> {
            self.is_repeatable.then(|| Box::new(self.clone()) as Box<dyn Process>)
        }
    }

    fn failing(errors: u32, error: Error) -> Failing {
        let starts = Arc::default();
        Failing { starts, errors, error, runs: Duration::ZERO, is_repeatable: true }
    }

    /// How often it was started, and whether the supervision survived it.
    async fn check(process: Failing, starts: u32, survives: bool) {
        let (source, stop) = Stop::new();
        let started = process.starts.clone();
        let kind = souk_telemetry::task::Kind::Background;
        let running = souk_telemetry::task::spawn(kind, "test", supervise("test", Box::new(process), stop));
        // The clock stands and moves on when everybody waits: after a day, all that can happen has happened.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(running.is_finished(), !survives);
        source.stop();
        assert_eq!(running.join().await.is_ok(), survives);
        assert_eq!(started.load(Ordering::SeqCst), starts);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_passes_is_outlived_however_often_it_comes() {
        check(failing(50, Error::unavailable("not now")), 51, true).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_does_not_pass_ends_the_process_in_the_end() {
        check(failing(RESTARTS_MAX, Error::internal("a defect")), RESTARTS_MAX + 1, true).await;
        check(failing(u32::MAX, Error::internal("a defect")), RESTARTS_MAX + 1, false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_runs_well_in_between_may_fail_more_often() {
        let process = Failing { runs: RUNS_WELL_AFTER, ..failing(20, Error::internal("a rare defect")) };
        check(process, 21, true).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_repeated_ends_the_process_at_once() {
        let process = Failing { is_repeatable: false, ..failing(1, Error::unavailable("not now")) };
        check(process, 1, false).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_waits_grow_up_to_a_limit() {
        let mut restarts = Restarts::default();
        let error = Error::unavailable("not now");
        let waits: Vec<_> = (0..7).filter_map(|_| restarts.after(&error, Duration::ZERO)).collect();
        assert_eq!(waits.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30]);
    }
}
