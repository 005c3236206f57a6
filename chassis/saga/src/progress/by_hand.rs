//! What a person may do about a saga that cannot go on by itself. Each such act is an event of the saga: who,
//! what, and why. The pivot stays the saga's own: before it is decided nobody skips it or ends the saga, because
//! nobody knows what the others would hold then.
use super::{Event, Phase, Progress};
use crate::{Definition, Direction, Intent, Side};
use serde::{Deserialize, Serialize};
use souk_kernel::Rejection;
use std::fmt;

/// The reason under which a saga is given up that a person has ended.
pub const RESOLVED_BY_OPERATOR: &str = "RESOLVED_BY_OPERATOR";

/// What a person does about a saga that waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The step is tried again, now and under the same key. An answer that was recorded stands.
    Retry,
    /// The step counts as done, or as undone, although the saga did not do it.
    Skip,
    /// The saga is over; what it has left to do was settled in another way.
    Resolve,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Retry => "retry",
            Operation::Skip => "skip",
            Operation::Resolve => "resolve",
        })
    }
}

/// What somebody on the staff wants done about a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervention {
    /// What.
    pub operation: Operation,
    /// At which step; `None`: the one that waits.
    pub step: Option<String>,
    /// Who, an opaque subject.
    pub by: String,
    /// Why, for whoever reads the log later.
    pub reason: String,
}

/// How one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has answered yet, or it was never tried.
    Open,
    /// Carried out.
    Done,
    /// Refused by its participant.
    Refused,
    /// Taken back.
    Undone,
    /// A person settled it instead.
    Skipped,
}

/// The one saga of these that waits for a person, at the step that the person means.
///
/// # Errors
/// When none waits: it has ended, or it goes on by itself.
pub(crate) fn intervene(
    sagas: &[(&Definition, &Progress)],
    intervention: &Intervention,
) -> Result<Vec<Event>, Rejection> {
    let waits = |(definition, progress): &&(&Definition, &Progress)| {
        let wanted = intervention.step.as_deref();
        progress.is_open()
            && progress.stuck().is_some()
            && wanted.is_none_or(|step| definition.step(step).is_some())
    };
    match sagas.iter().find(waits) {
        Some((definition, progress)) => progress.intervene(definition, intervention),
        None => Err(not_stuck(sagas)),
    }
}

fn not_stuck(sagas: &[(&Definition, &Progress)]) -> Rejection {
    let open = sagas.iter().filter(|(_, progress)| progress.is_open());
    let names: Vec<_> = open.map(|(definition, _)| definition.name()).collect();
    let why = match names.as_slice() {
        [] => "its saga has ended".to_owned(),
        names => {
            format!("nothing of it waits for a person there; on its way by itself: {}", names.join(", "))
        }
    };
    Rejection::new("SAGA_NOT_STUCK", why)
}

impl Progress {
    /// What a person's act adds to the log.
    ///
    /// # Errors
    /// `SAGA_NOT_STUCK`, `STEP_NOT_OUTSTANDING`, `PIVOT_UNDECIDED`.
    pub fn intervene(
        &self,
        definition: &Definition,
        intervention: &Intervention,
    ) -> Result<Vec<Event>, Rejection> {
        let Some(stuck) = self.stuck.as_ref().filter(|_| self.is_open()) else {
            return Err(not_stuck(&[(definition, self)]));
        };
        let wanted = intervention.step.as_deref().unwrap_or(&stuck.step);
        let todo = self.todo(definition);
        let Some(intent) = todo.iter().find(|intent| intent.step == wanted) else {
            let open: Vec<_> = todo.iter().map(|intent| intent.step).collect();
            let why = format!("{wanted} is not what the saga waits for; that is {}", open.join(", "));
            return Err(Rejection::new("STEP_NOT_OUTSTANDING", why));
        };
        let acted = acted(definition, intent, intervention);
        match intervention.operation {
            Operation::Retry => Ok(vec![acted]),
            Operation::Skip => {
                self.refuse_at_the_pivot(definition, intent)?;
                Ok(self.with_end(definition, vec![acted]))
            }
            Operation::Resolve => {
                self.refuse_before_the_end_is_decided(definition)?;
                let saga = definition.name().to_owned();
                Ok(vec![acted, Event::Abandoned { saga, reason: RESOLVED_BY_OPERATOR.to_owned() }])
            }
        }
    }

    fn refuse_at_the_pivot(&self, definition: &Definition, intent: &Intent) -> Result<(), Rejection> {
        let side = definition.step(intent.step).map(|step| step.side);
        if side == Some(Side::Pivot) && intent.direction == Direction::Do {
            return Err(undecided(intent.step, "retry it until its participant answers"));
        }
        Ok(())
    }

    /// A saga that turns back, or whose pivot is done, may be ended by hand; one that could still go either way
    /// may not.
    fn refuse_before_the_end_is_decided(&self, definition: &Definition) -> Result<(), Rejection> {
        let pivot = definition.pivot().name;
        if matches!(self.phase, Phase::Forward) && !self.is_done(pivot) {
            return Err(undecided(pivot, "let the saga turn back, or retry the step"));
        }
        Ok(())
    }

    /// Whether a person settled a step of it, or ended it: then it is not the saga that knows how it stands
    /// with others, but that person.
    pub fn was_settled_by_hand(&self) -> bool {
        let was_ended = matches!(&self.phase, Phase::Abandoned(reason) if reason == RESOLVED_BY_OPERATOR);
        was_ended || !self.skipped.is_empty()
    }

    /// How a step stands.
    pub fn standing(&self, step: &str) -> Standing {
        if self.skipped.contains(step) {
            return Standing::Skipped;
        }
        match self.steps.get(step) {
            None => Standing::Open,
            Some(super::StepState::Done(_)) => Standing::Done,
            Some(super::StepState::Refused) => Standing::Refused,
            Some(super::StepState::Undone) => Standing::Undone,
        }
    }
}

fn undecided(pivot: &str, advice: &str) -> Rejection {
    Rejection::new("PIVOT_UNDECIDED", format!("{pivot} decides and is not decided yet; {advice}"))
}

fn acted(definition: &Definition, intent: &Intent, intervention: &Intervention) -> Event {
    Event::Intervened {
        saga: definition.name().to_owned(),
        step: intent.step.to_owned(),
        direction: intent.direction,
        operation: intervention.operation,
        by: intervention.by.clone(),
        reason: intervention.reason.clone(),
    }
}

#[cfg(test)]
#[path = "by_hand_tests.rs"]
mod tests;
