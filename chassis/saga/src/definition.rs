//! What a saga consists of: its steps in order, and the one pivot between those that are undone and those
//! that are retried for ever.
use std::fmt;

/// The steps of a saga. Built by [`Definition::start`]; the builder admits exactly one pivot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    name: &'static str,
    version: u16,
    steps: Vec<Step>,
}

/// One step and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Unique within the saga; a part of every idempotency key, so it never changes.
    pub name: &'static str,
    /// On which side of the pivot it stands.
    pub side: Side,
    /// Steps of one group are carried out side by side.
    group: u16,
}

/// Where a step stands relative to the pivot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Undone when the saga turns back.
    Before,
    /// Decides: refused, the saga turns back; done, it only goes forward.
    Pivot,
    /// Retried until it is done; a refusal needs a person.
    After,
}

/// A definition that has no pivot yet.
#[derive(Debug, Clone)]
pub struct Draft(Definition);

impl Definition {
    /// Starts a definition. A saga in flight finishes on the version that it started with.
    pub fn start(name: &'static str, version: u16) -> Draft {
        Draft(Definition { name, version, steps: Vec::new() })
    }

    /// Adds a step after the pivot.
    #[must_use]
    pub fn then(mut self, name: &'static str) -> Self {
        self.push(name, Side::After);
        self
    }

    /// The saga's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The definition's version.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step of this name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The step that decides.
    pub fn pivot(&self) -> &Step {
        self.steps.iter().find(|step| step.side == Side::Pivot).expect("the builder admits exactly one")
    }

    /// The steps group by group, in order.
    pub(crate) fn groups(&self) -> impl DoubleEndedIterator<Item = &[Step]> {
        self.steps.chunk_by(|a, b| a.group == b.group)
    }

    fn push(&mut self, name: &'static str, side: Side) {
        assert!(self.step(name).is_none(), "a saga has two steps named {name}");
        let group = self.steps.last().map_or(0, |last| last.group + 1);
        self.steps.push(Step { name, side, group });
    }
}

impl Draft {
    /// Adds a step that is undone when the saga turns back.
    #[must_use]
    pub fn step(mut self, name: &'static str) -> Self {
        self.0.push(name, Side::Before);
        self
    }

    /// Adds steps that are carried out side by side. Only before the pivot, and only flat.
    #[must_use]
    pub fn together(mut self, names: &[&'static str]) -> Self {
        let mut group = None;
        for name in names {
            self.0.push(name, Side::Before);
            let last = self.0.steps.last_mut().expect("just pushed");
            last.group = *group.get_or_insert(last.group);
        }
        self
    }

    /// Adds the pivot. Behind it only [`Definition::then`] is left.
    pub fn pivot(mut self, name: &'static str) -> Definition {
        self.0.push(name, Side::Pivot);
        self.0
    }
}

/// Whether a step is being carried out or undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Carry it out.
    Do,
    /// Take it back.
    Undo,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Do => "do",
            Direction::Undo => "undo",
        })
    }
}

/// One thing that a saga still has to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Intent {
    /// The saga's name; a stream may run one saga after another.
    pub saga: &'static str,
    /// The step.
    pub step: &'static str,
    /// Do it or undo it.
    pub direction: Direction,
}

impl Intent {
    /// The idempotency key of this intent for the saga instance `id`: the same for every attempt, so that
    /// a zombie's late call is harmless.
    pub fn key(&self, id: &str) -> String {
        format!("{id}:{}:{}:{}", self.saga, self.step, self.direction)
    }
}
