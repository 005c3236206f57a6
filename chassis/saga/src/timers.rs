//! Fires durable timers. Firing is a commit of the owner's that consumes the timer's own generation; a timer
//! that was replaced, cancelled or fired meanwhile makes that commit fail, which is no error here.
use souk_eventstore::{CommitError, EventStore, Timer};
use souk_kernel::Error;
use souk_rpc::BoxFuture;
use souk_telemetry::{Stop, crash_point, sometimes};
use std::sync::Arc;
use std::time::Duration;

/// How many due timers are fetched at once.
const PAGE: usize = 128;
/// The longest wait between two looks, so that a moved clock is noticed.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// The wait after a failure.
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(500);

/// What a service does when one of its timers is due: one commit that includes `timer_fired`.
pub type OnDue = Arc<dyn Fn(Timer) -> BoxFuture<'static, Result<(), CommitError>> + Send + Sync>;

/// Watches the timers of one service.
#[derive(Clone)]
pub struct Timers {
    store: EventStore,
    on_due: OnDue,
}

impl Timers {
    /// Fires the timers of `store` by calling `on_due`.
    pub fn new(store: EventStore, on_due: OnDue) -> Self {
        Self { store, on_due }
    }

    /// Runs until `stop` is requested.
    pub async fn run(self, stop: Stop) -> Result<(), Error> {
        let mut head = self.store.head();
        loop {
            head.borrow_and_update();
            if let Err(error) = self.fire_due().await {
                tracing::error!(error = %error.story(), "timers could not be fired");
                tokio::time::sleep(PAUSE_AFTER_FAULT).await;
            }
            let wait = match self.store.next_timer_due().await? {
                Some(due) => due.since(self.store.now()).min(LOOK_AT_LEAST_EVERY),
                None => LOOK_AT_LEAST_EVERY,
            };
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
            }
        }
    }

    async fn fire_due(&self) -> Result<(), Error> {
        loop {
            let due = self.store.due_timers(PAGE).await?;
            let all = due.len() < PAGE;
            for timer in due {
                let kind = timer.kind.clone();
                crash_point!("timer.fire.before", "{kind}");
                sometimes!("a timer was due");
                match (self.on_due)(timer).await {
                    Ok(()) | Err(CommitError::TimerGone) => crash_point!("timer.fire.after", "{kind}"),
                    Err(error) => return Err(error.into()),
                }
            }
            if all {
                return Ok(());
            }
        }
    }
}
