//! How far a saga is: a pure fold over its events, from which the to-do list follows. First try, retry and
//! recovery after a crash are one path: look at what is outstanding and do it.
use crate::{Definition, Direction, Intent, Side, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

mod by_hand;

pub(crate) use by_hand::intervene;
pub use by_hand::{Intervention, Operation, RESOLVED_BY_OPERATOR, Standing};

/// At which attempts a delay is recorded: the first and then every so many.
pub const DELAY_RECORDED_EVERY: u32 = 10;
/// After so many attempts without an answer a person is asked to look; the attempts go on.
pub const ATTEMPTS_UNTIL_OPERATOR: u32 = 30;

/// What an attempt at a step came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done; the output is kept for later steps.
    Done(Value),
    /// It definitely has no effect and never will. Only a participant that records its refusals may say so.
    Refused {
        /// A stable code, for example `INSUFFICIENT_STOCK`.
        reason: String,
        /// Facts beside it.
        detail: String,
    },
    /// Nothing went wrong: the participant waits for something outside, such as a person. It is looked at again
    /// after a while, or when the saga moves; no attempt is counted and no operator called.
    Waiting {
        /// What it waits for, as the saga's owner wants to record it.
        on: Value,
    },
    /// Nobody knows; it is asked again under the same key.
    Unknown {
        /// What happened, for the operator.
        reason: String,
    },
}

impl Outcome {
    /// Done with nothing to keep.
    pub fn done() -> Self {
        Outcome::Done(Value::Null)
    }

    /// Refused, with a stable code.
    pub fn refused(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Outcome::Refused { reason: reason.into(), detail: detail.into() }
    }

    /// What it is, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Done(_) => "done",
            Outcome::Refused { .. } => "refused",
            Outcome::Waiting { .. } => "waiting",
            Outcome::Unknown { .. } => "unknown",
        }
    }

    /// Not known, with a sentence for the operator.
    pub fn unknown(reason: impl std::fmt::Display) -> Self {
        Outcome::Unknown { reason: reason.to_string() }
    }
}

/// What happened to a saga. A service stores these in the stream of the thing that the saga is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are named by the enclosing variant's sentence")]
pub enum Event {
    /// The saga began on this version of its definition.
    Started { saga: String, version: u16 },
    /// A step was carried out.
    StepDone { saga: String, step: String, output: Value },
    /// A participant refused a step for ever.
    StepRefused { saga: String, step: String, reason: String, detail: String },
    /// A step has had no answer for so many attempts.
    StepDelayed { saga: String, step: String, direction: Direction, attempts: u32, reason: String },
    /// The saga turned back; these are the steps that were ever outstanding, and each is undone.
    UndoStarted { saga: String, reason: String, steps: Vec<String> },
    /// A step was taken back.
    StepUndone { saga: String, step: String },
    /// The saga cannot go on by itself: a person retries, skips or resolves.
    NeedsOperator { saga: String, step: String, direction: Direction, reason: String, refused: bool },
    /// Everything is done.
    Completed { saga: String },
    /// Everything is undone.
    Undone { saga: String, reason: String },
    /// What was left to do is given up, because another saga takes over or a person has ended this one.
    Abandoned { saga: String, reason: String },
    /// A person did something about a saga that waited for one. With [`Operation::Skip`] the step counts as
    /// done, or as undone, from now on.
    Intervened {
        saga: String,
        step: String,
        direction: Direction,
        operation: Operation,
        by: String,
        reason: String,
    },
}

impl Event {
    /// The name of the saga that this happened to.
    pub fn saga(&self) -> &str {
        match self {
            Event::Started { saga, .. }
            | Event::StepDone { saga, .. }
            | Event::StepRefused { saga, .. }
            | Event::StepDelayed { saga, .. }
            | Event::UndoStarted { saga, .. }
            | Event::StepUndone { saga, .. }
            | Event::NeedsOperator { saga, .. }
            | Event::Completed { saga }
            | Event::Undone { saga, .. }
            | Event::Abandoned { saga, .. }
            | Event::Intervened { saga, .. } => saga,
        }
    }
}

/// Which way a saga is going.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phase {
    /// It has not begun.
    #[default]
    NotStarted,
    /// Carrying out its steps.
    Forward,
    /// Taking them back, because of this reason.
    Undoing(String),
    /// All steps are done.
    Completed,
    /// All steps are undone, because of this reason.
    Undone(String),
    /// Given up, because of this reason: another saga took over, or a person ended it.
    Abandoned(String),
}

/// What is known of one step.
#[derive(Debug, Clone, PartialEq)]
enum StepState {
    Done(Value),
    Refused,
    Undone,
}

/// A saga that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The step that cannot go on.
    pub step: String,
    /// Doing or undoing.
    pub direction: Direction,
    /// Why.
    pub reason: String,
    /// Whether attempts go on meanwhile: not after a refusal, which stands for ever.
    pub refused: bool,
}

/// The state of one saga: a fold over [`Event`]s.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    phase: Phase,
    version: u16,
    steps: BTreeMap<String, StepState>,
    to_undo: Vec<String>,
    stuck: Option<Stuck>,
    /// The steps that a person settled.
    skipped: BTreeSet<String>,
}

/// What asking a saga to turn back leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnBack {
    /// It turns back: record these.
    Events(Vec<Event>),
    /// The pivot may already have been decided; ask again when it is known.
    PivotInDoubt,
    /// The pivot is done: it is too late to turn back.
    TooLate,
    /// It turns back already, or has.
    Already,
}

impl Progress {
    /// Which way it is going.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The definition's version that it started with.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Whether it began and has not ended.
    pub fn is_open(&self) -> bool {
        match self.phase {
            Phase::Forward | Phase::Undoing(_) => true,
            Phase::NotStarted | Phase::Completed | Phase::Undone(_) | Phase::Abandoned(_) => false,
        }
    }

    /// The person's work that it waits for.
    pub fn stuck(&self) -> Option<&Stuck> {
        self.stuck.as_ref()
    }

    /// What a done step left behind.
    pub fn output(&self, step: &str) -> Option<&Value> {
        match self.steps.get(step) {
            Some(StepState::Done(output)) => Some(output),
            Some(StepState::Refused | StepState::Undone) | None => None,
        }
    }

    /// Whether the step is done (and not taken back).
    pub fn is_done(&self, step: &str) -> bool {
        self.output(step).is_some()
    }

    /// The to-do list. Empty when the saga has not begun, has ended, or waits for a person.
    pub fn outstanding(&self, definition: &Definition) -> Vec<Intent> {
        if self.waits_for_a_person() { Vec::new() } else { self.todo(definition) }
    }

    /// What there is to do, whether or not it waits for a person.
    pub(crate) fn todo(&self, definition: &Definition) -> Vec<Intent> {
        match &self.phase {
            Phase::Forward => self.forward(definition),
            Phase::Undoing(_) => self.backward(definition),
            Phase::NotStarted | Phase::Completed | Phase::Undone(_) | Phase::Abandoned(_) => Vec::new(),
        }
    }

    fn forward(&self, definition: &Definition) -> Vec<Intent> {
        let steps = self.open_group(definition).iter().filter(|step| !self.is_done(step.name));
        steps.map(|step| intent(definition, step.name, Direction::Do)).collect()
    }

    /// The last group that still has a step to undo.
    fn backward(&self, definition: &Definition) -> Vec<Intent> {
        let is_left =
            |step: &&Step| self.to_undo.iter().any(|name| name == step.name) && !self.is_undone(step.name);
        let group = definition.groups().rev().find(|group| group.iter().any(|step| is_left(&step)));
        let steps = group.into_iter().flatten().filter(is_left);
        steps.map(|step| intent(definition, step.name, Direction::Undo)).collect()
    }

    /// The first group that has a step that is not done.
    fn open_group<'a>(&self, definition: &'a Definition) -> &'a [Step] {
        definition.groups().find(|group| group.iter().any(|step| !self.is_done(step.name))).unwrap_or(&[])
    }

    /// A refusal stands for ever, so attempts stop; without an answer they go on.
    fn waits_for_a_person(&self) -> bool {
        self.stuck.as_ref().is_some_and(|stuck| stuck.refused)
    }

    fn is_undone(&self, step: &str) -> bool {
        matches!(self.steps.get(step), Some(StepState::Undone))
    }

    /// Begins the saga; nothing if it has begun.
    pub fn start(&self, definition: &Definition) -> Vec<Event> {
        match self.phase {
            Phase::NotStarted => {
                vec![Event::Started { saga: definition.name().into(), version: definition.version() }]
            }
            Phase::Forward
            | Phase::Undoing(_)
            | Phase::Completed
            | Phase::Undone(_)
            | Phase::Abandoned(_) => Vec::new(),
        }
    }

    /// Asks the saga to turn back.
    pub fn turn_back(&self, definition: &Definition, reason: &str) -> TurnBack {
        match &self.phase {
            Phase::Forward => {}
            Phase::Undoing(_) | Phase::Undone(_) => return TurnBack::Already,
            Phase::NotStarted | Phase::Completed | Phase::Abandoned(_) => return TurnBack::TooLate,
        }
        let pivot = definition.pivot();
        if self.is_done(pivot.name) {
            return TurnBack::TooLate;
        }
        let in_doubt = self.outstanding(definition).iter().any(|intent| intent.step == pivot.name);
        if in_doubt {
            return TurnBack::PivotInDoubt;
        }
        TurnBack::Events(self.with_end(definition, vec![self.undo_started(definition, reason)]))
    }

    /// Gives up what is left after the pivot; nothing when the saga is not open there.
    pub fn abandon(&self, definition: &Definition, reason: &str) -> Vec<Event> {
        match self.phase {
            Phase::Forward => {
                vec![Event::Abandoned { saga: definition.name().into(), reason: reason.into() }]
            }
            Phase::NotStarted
            | Phase::Undoing(_)
            | Phase::Completed
            | Phase::Undone(_)
            | Phase::Abandoned(_) => Vec::new(),
        }
    }

    /// What to record after the `attempt`-th attempt (from 1) at `intent` came to `outcome`. Nothing when
    /// the intent is no longer outstanding: somebody else's answer came first.
    pub fn record(
        &self,
        definition: &Definition,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
    ) -> Vec<Event> {
        if !self.outstanding(definition).contains(intent) {
            return Vec::new();
        }
        let (saga, step) = (definition.name().to_owned(), intent.step.to_owned());
        let events = match outcome {
            Outcome::Waiting { .. } => return Vec::new(),
            Outcome::Unknown { reason } => return self.delayed(definition, intent, attempt, reason),
            Outcome::Done(output) => match intent.direction {
                Direction::Do => vec![Event::StepDone { saga, step, output: output.clone() }],
                Direction::Undo => vec![Event::StepUndone { saga, step }],
            },
            Outcome::Refused { reason, detail } => self.refused(definition, intent, reason, detail),
        };
        self.with_end(definition, events)
    }

    fn delayed(&self, definition: &Definition, intent: &Intent, attempt: u32, reason: &str) -> Vec<Event> {
        let (saga, step, direction) =
            (definition.name().to_owned(), intent.step.to_owned(), intent.direction);
        let worth_recording = attempt == 1 || attempt.is_multiple_of(DELAY_RECORDED_EVERY);
        let mut events = Vec::new();
        if worth_recording {
            events.push(Event::StepDelayed {
                saga: saga.clone(),
                step: step.clone(),
                direction,
                attempts: attempt,
                reason: reason.into(),
            });
        }
        if attempt >= ATTEMPTS_UNTIL_OPERATOR && self.stuck.is_none() {
            events.push(Event::NeedsOperator {
                saga,
                step,
                direction,
                reason: reason.into(),
                refused: false,
            });
        }
        events
    }

    fn refused(&self, definition: &Definition, intent: &Intent, reason: &str, detail: &str) -> Vec<Event> {
        let (saga, step, direction) =
            (definition.name().to_owned(), intent.step.to_owned(), intent.direction);
        let side = definition.step(intent.step).map_or(Side::After, |step| step.side);
        let refused = Event::StepRefused {
            saga: saga.clone(),
            step: step.clone(),
            reason: reason.into(),
            detail: detail.into(),
        };
        match (direction, side) {
            (Direction::Do, Side::Before | Side::Pivot) => {
                vec![refused, self.undo_started(definition, reason)]
            }
            (Direction::Do, Side::After) | (Direction::Undo, _) => {
                vec![
                    refused,
                    Event::NeedsOperator { saga, step, direction, reason: reason.into(), refused: true },
                ]
            }
        }
    }

    /// Every step that was ever outstanding, refused ones included: a crash between call and answer is an
    /// attempt without a record.
    fn undo_started(&self, definition: &Definition, reason: &str) -> Event {
        let open = self.open_group(definition);
        let was_outstanding =
            |step: &&Step| step.side == Side::Before && (self.is_done(step.name) || open.contains(step));
        let steps = definition
            .steps()
            .iter()
            .rev()
            .filter(was_outstanding)
            .map(|step| step.name.to_owned())
            .collect();
        Event::UndoStarted { saga: definition.name().into(), reason: reason.into(), steps }
    }

    /// Adds the end when the events leave nothing to do.
    fn with_end(&self, definition: &Definition, mut events: Vec<Event>) -> Vec<Event> {
        let mut after = self.clone();
        events.iter().for_each(|event| after.evolve(event));
        if after.waits_for_a_person() || !after.outstanding(definition).is_empty() {
            return events;
        }
        let saga = definition.name().to_owned();
        match after.phase {
            Phase::Forward => events.push(Event::Completed { saga }),
            Phase::Undoing(reason) => events.push(Event::Undone { saga, reason }),
            Phase::NotStarted | Phase::Completed | Phase::Undone(_) | Phase::Abandoned(_) => {}
        }
        events
    }

    /// Folds one event of this saga in.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Started { version, .. } => {
                self.phase = Phase::Forward;
                self.version = *version;
            }
            Event::StepDone { step, output, .. } => self.settle(step, StepState::Done(output.clone())),
            Event::StepRefused { step, .. } => {
                self.steps.entry(step.clone()).or_insert(StepState::Refused);
                self.stuck = None;
            }
            Event::StepDelayed { .. } => {}
            Event::UndoStarted { reason, steps, .. } => {
                self.to_undo.clone_from(steps);
                self.phase = Phase::Undoing(reason.clone());
                self.stuck = None;
            }
            Event::StepUndone { step, .. } => self.settle(step, StepState::Undone),
            Event::NeedsOperator { step, direction, reason, refused, .. } => {
                self.stuck = Some(Stuck {
                    step: step.clone(),
                    direction: *direction,
                    reason: reason.clone(),
                    refused: *refused,
                });
            }
            Event::Completed { .. } => self.phase = Phase::Completed,
            Event::Undone { reason, .. } => self.phase = Phase::Undone(reason.clone()),
            Event::Abandoned { reason, .. } => {
                self.phase = Phase::Abandoned(reason.clone());
                self.stuck = None;
            }
            Event::Intervened { step, direction, operation, .. } => {
                self.stuck = None;
                self.evolve_by_hand(step, *direction, *operation);
            }
        }
    }

    fn evolve_by_hand(&mut self, step: &str, direction: Direction, operation: Operation) {
        match operation {
            Operation::Retry | Operation::Resolve => {}
            Operation::Skip => {
                self.skipped.insert(step.to_owned());
                match direction {
                    Direction::Do => self.settle(step, StepState::Done(Value::Null)),
                    Direction::Undo => self.settle(step, StepState::Undone),
                }
            }
        }
    }

    fn settle(&mut self, step: &str, state: StepState) {
        self.steps.insert(step.to_owned(), state);
        if self.stuck.as_ref().is_some_and(|stuck| stuck.step == step) {
            self.stuck = None;
        }
    }
}

fn intent(definition: &Definition, step: &'static str, direction: Direction) -> Intent {
    Intent { saga: definition.name(), step, direction }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
