//! Takes in what the provider tells by itself. The sender is thanked only for what is kept for good; the same event
//! counts once; what fits nothing yet is tried again, and what contradicts us is put aside for a person.
use crate::domain::Payment;
use crate::domain::notice::{self, Kept, Notice, TRIES_MAX};
use crate::effects::{Cashier, Message, origin, with_timers};
use souk_eventstore::{CommitError, CommitId, Decision, Expected, Origin, StreamId, Timer, Work};
use souk_kernel::{Code, Error, Timestamp};
use souk_rpc::Cx;

/// The kind of timer that tries a notice again.
pub const NOTICE_TIMER: &str = "notice";

impl Cashier {
    /// Takes in a message that claims to be from `provider`.
    ///
    /// # Errors
    /// `UNKNOWN_PROVIDER`, `BAD_SIGNATURE`, what is wrong with the content, or that it could not be kept.
    pub async fn take_notice(&self, cx: &Cx, provider: &str, message: Message<'_>) -> Result<(), Error> {
        if provider != self.provider.name() {
            let message = "nobody of this name notifies us";
            return Err(Error::new(Code::NotFound, "UNKNOWN_PROVIDER", message));
        }
        let notice = self.provider.notice(&message, self.store.now())?;
        let id = notice.id();
        let stream = StreamId::of::<Kept>(&id);
        let about = about(&notice);
        let (own, of_payment) = (stream.clone(), about.clone());
        let mut work = Work::new(CommitId::derived(&["notice", &id]), origin(cx)).read::<Kept>(&stream);
        if let Some(about) = &about {
            work = work.read::<Payment>(about);
        }
        let work = work.decide(move |facts, now| {
            let payment = of_payment.as_ref().map(|about| facts.state::<Payment>(about));
            let payment = payment.as_deref().cloned().unwrap_or_default();
            let kept = facts.state::<Kept>(&own);
            let (events, changes) = notice::keep(&kept, &notice, &payment, now);
            let waits = events.len() == 1;
            let mut decision = with_timers(Decision::new(), &payment, &changes, now);
            if let Some(about) = &of_payment {
                decision = decision.append(about, Expected::Any, changes);
            }
            if waits {
                decision = decision.set_timer(try_again(&notice.id(), 1, now));
            }
            Ok(decision.append(&own, Expected::Any, events))
        });
        let committed = self.store.commit(work).await?;
        if committed.state::<Kept>(&stream).is_some_and(|kept| *kept.state() == Kept::Quarantined) {
            tracing::error!(notice = %id, "a payment provider's notice fits nothing and was put aside");
        }
        Ok(())
    }

    /// Tries a notice again that fitted nothing so far.
    pub(crate) async fn try_notice(&self, timer: Timer) -> Result<(), CommitError> {
        let stream = StreamId::of::<Kept>(&timer.payload);
        let kept = self.store.state::<Kept>(&stream).await?;
        let about = match kept.state() {
            Kept::Waiting(notice) => about(notice),
            Kept::Unheard | Kept::Applied | Kept::Quarantined => None,
        };
        let id = CommitId::derived(&["timer", &timer.key, &timer.generation.to_string()]);
        let mut work = Work::new(id, Origin::by("svc:payment").causation(timer.key.clone()));
        work = work.read::<Kept>(&stream);
        if let Some(about) = &about {
            work = work.read::<Payment>(about);
        }
        let work = work.decide(move |facts, now| {
            let decision = Decision::new().timer_fired(timer.key.clone(), timer.generation);
            let kept = facts.state::<Kept>(&stream);
            let (Kept::Waiting(notice), Some(about)) = (kept.state(), &about) else { return Ok(decision) };
            let payment = facts.state::<Payment>(about);
            let tries = u32::try_from(timer.generation).unwrap_or(u32::MAX);
            let (events, changes) = notice::settle(notice, &payment, tries >= TRIES_MAX, now);
            if events.is_empty() {
                return Ok(decision.set_timer(try_again(&timer.payload, tries + 1, now)));
            }
            let decision = with_timers(decision, &payment, &changes, now);
            Ok(decision.append(about, Expected::Any, changes).append(&stream, Expected::Exists, events))
        });
        self.store.commit(work).await.map(drop)
    }
}

fn about(notice: &Notice) -> Option<StreamId> {
    notice.payment_id().map(StreamId::of::<Payment>)
}

fn try_again(id: &str, tries: u32, now: Timestamp) -> Timer {
    let due = now.plus(notice::pause(tries));
    let key = format!("{NOTICE_TIMER}:{id}").into();
    Timer { key, kind: NOTICE_TIMER.into(), due, generation: u64::from(tries), payload: id.to_owned() }
}
