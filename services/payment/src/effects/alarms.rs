//! What is done when a timer is due: promises expire, customers who did not act are given up, refunds on their way
//! are asked for, notices are tried again.
use crate::domain::time::EXPIRY_AGAIN;
use crate::domain::{
    self, ACTION_EXPIRED, Alarm, Answer, Command, OperationId, Payment, PaymentEvent, Promise, Source, Step,
    TimerChange, Void, Waiting, Want,
};
use crate::effects::intake::NOTICE_TIMER;
use crate::effects::{ATTEMPT_TIMEOUT, Cashier, timer as timer_of, within_attempt};
use souk_contracts::terms::PaymentId;
use souk_eventstore::{CommitError, CommitId, Decision, Expected, Origin, StreamId, Timer, Work};
use souk_kernel::Timestamp;
use souk_rpc::Cx;
use std::time::Duration;
use tokio::time::Instant;

/// When the end of a customer's time is seen to again, should the provider be silent.
const ACTION_AGAIN: Duration = Duration::from_secs(30);

/// The shortest and the longest pause between two questions about a refund.
const QUESTION_AGAIN: Duration = Duration::from_secs(60);
const QUESTION_AGAIN_MAX: Duration = Duration::from_secs(3_600);

/// What an alarm makes of a payment, and when it is to sound again.
type Seen = (Vec<PaymentEvent>, Option<Timestamp>);

impl Cashier {
    /// Does what `timer` is there for.
    ///
    /// # Errors
    /// When it cannot be recorded. A silent provider is no error: the timer is set anew.
    pub async fn on_due(&self, timer: Timer) -> Result<(), CommitError> {
        if &*timer.kind == NOTICE_TIMER {
            return self.try_notice(timer).await;
        }
        match timer.key.parse::<Alarm>() {
            Ok(Alarm::Expiry(id)) => self.promise_over(timer, id).await,
            Ok(Alarm::Action(id)) => self.action_over(timer, id).await,
            Ok(Alarm::Refund(id, refund_id)) => self.ask_for_refund(timer, id, refund_id).await,
            Err(_) => {
                tracing::error!(timer = %timer.key, "a timer that nobody understands was dropped");
                let fired = Decision::new;
                let work = Work::new(fired_id(&timer), Origin::by("svc:payment"));
                let work =
                    work.decide(move |_, _| Ok(fired().timer_fired(timer.key.clone(), timer.generation)));
                self.store.commit(work).await.map(drop)
            }
        }
    }

    async fn promise_over(&self, timer: Timer, id: PaymentId) -> Result<(), CommitError> {
        self.fire(timer, Alarm::Expiry(id), |payment, now| {
            let until = match payment.promise() {
                Promise::Held { until } => *until,
                Promise::None
                | Promise::Requested(_)
                | Promise::ActionRequired { .. }
                | Promise::Expired
                | Promise::Declined { .. } => None,
            };
            let events = if until.is_some_and(|until| until <= now) {
                domain::expire(payment, now)
            } else {
                Vec::new()
            };
            let is_blocked = until.is_some() && events.is_empty() && payment.capturing_minor() > 0;
            (events, is_blocked.then(|| now.plus(EXPIRY_AGAIN)))
        })
        .await
    }

    /// The end of the customer's time is a void like any other, meant before it is asked for; only its reason makes
    /// it a decline. So whatever the customer does at the last moment, nothing stays promised.
    async fn action_over(&self, timer: Timer, id: PaymentId) -> Result<(), CommitError> {
        let want = Want::Void { reason: ACTION_EXPIRED.to_owned() };
        let command = Command { payment_id: id, want };
        let meant = command.clone();
        self.fire(timer, Alarm::Action(id), move |payment, now| {
            let waits = matches!(payment.promise(), Promise::ActionRequired { .. });
            match payment.void() {
                Void::None | Void::Requested(_) if waits => {
                    let events = domain::decide(payment, &meant, now).unwrap_or_default();
                    (events, Some(now.plus(ACTION_AGAIN)))
                }
                Void::None | Void::Requested(_) | Void::Refused { .. } | Void::Done => (Vec::new(), None),
            }
        })
        .await?;
        let payment = self.store.state::<Payment>(&StreamId::of::<Payment>(id)).await?;
        if matches!(payment.void(), Void::Requested(_))
            && let Err(error) = self.carry_out(&own_cx(), command).await
        {
            tracing::warn!(payment_id = %id, error.type = error.reason(), "an action that is over is not settled yet");
        }
        Ok(())
    }

    async fn ask_for_refund(
        &self,
        timer: Timer,
        id: PaymentId,
        refund: OperationId,
    ) -> Result<(), CommitError> {
        let step = Step::Refund(refund.clone());
        let payment = self.store.state::<Payment>(&StreamId::of::<Payment>(id)).await?;
        let mut answer = Answer::Pending;
        if payment.waiting(&step) == Some(Waiting::Pending) {
            match within_attempt(self.provider.find(own_cx(), step.key(id))).await {
                Ok(found) => answer = found.unwrap_or(Answer::Pending),
                Err(why) => {
                    tracing::warn!(payment_id = %id, error.type = why.reason(), "refund not settled yet")
                }
            }
        }
        self.fire(timer, Alarm::Refund(id, refund), move |payment, now| {
            let events = domain::record(payment, &step, &answer, Source::Query, now);
            let is_open = events.is_empty() && payment.waiting(&step) == Some(Waiting::Pending);
            let age = now.since(payment.updated_at()).clamp(QUESTION_AGAIN, QUESTION_AGAIN_MAX);
            (events, is_open.then(|| now.plus(age)))
        })
        .await
    }

    /// One commit that consumes the timer, with what `see` makes of the payment.
    async fn fire(
        &self,
        timer: Timer,
        alarm: Alarm,
        see: impl Fn(&Payment, Timestamp) -> Seen + Send + Sync + 'static,
    ) -> Result<(), CommitError> {
        let stream = StreamId::of::<Payment>(alarm.payment_id());
        let origin = Origin::by("svc:payment").causation(timer.key.clone());
        let work = Work::new(fired_id(&timer), origin).read::<Payment>(&stream).decide(move |facts, now| {
            let payment = facts.state::<Payment>(&stream);
            let (events, again) = see(&payment, now);
            let mut decision = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            for change in domain::timers(&payment, &events) {
                decision = match change {
                    TimerChange::Set(other, due) => decision.set_timer(timer_of(&other, due, now)),
                    // This one is consumed already.
                    TimerChange::Cancel(other) if other == alarm => decision,
                    TimerChange::Cancel(other) => decision.cancel_timer(other.to_string()),
                };
            }
            if let Some(due) = again {
                decision = decision.set_timer(timer_of(&alarm, due, now));
            }
            Ok(decision.append(&stream, Expected::Any, events))
        });
        self.store.commit(work).await.map(drop)
    }
}

fn fired_id(timer: &Timer) -> CommitId {
    CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()])
}

/// The circumstances of what nobody outside asked for.
fn own_cx() -> Cx {
    Cx::new(Instant::now() + ATTEMPT_TIMEOUT)
}
