//! Tools for tests of rules: given what happened, when a command comes, then that happens; and golden
//! files that keep every stored shape readable for ever.
use crate::Aggregate;
use souk_kernel::Rejection;
use std::fmt::Debug;

/// What happened before. See the crate's front page for an example.
pub struct Given<S: Aggregate> {
    state: S,
    events: Vec<S::Event>,
}

impl<S: Aggregate> Given<S> {
    /// Nothing has happened yet.
    pub fn nothing() -> Self {
        Self::events(Vec::new())
    }

    /// These events have happened, in this order.
    pub fn events(events: Vec<S::Event>) -> Self {
        Self { state: crate::fold(&events), events }
    }

    /// These events have happened too.
    #[must_use]
    pub fn and(mut self, more: Vec<S::Event>) -> Self {
        more.iter().for_each(|event| self.state.evolve(event));
        self.events.extend(more);
        self
    }

    /// Lets `decide` see the state.
    pub fn when<R>(self, decide: impl FnOnce(&S) -> Result<Vec<S::Event>, R>) -> Outcome<S, R> {
        let decided = decide(&self.state);
        Outcome { state: self.state, before: self.events, decided }
    }
}

/// What was decided; one of its `then` methods must follow.
#[must_use = "say what should have happened"]
pub struct Outcome<S: Aggregate, R> {
    state: S,
    before: Vec<S::Event>,
    decided: Result<Vec<S::Event>, R>,
}

impl<S: Aggregate, R: Debug> Outcome<S, R> {
    /// Exactly these events were decided. Returns the state after them, for further looks.
    #[track_caller]
    pub fn then(self, expected: Vec<S::Event>) -> S
    where
        S::Event: PartialEq,
    {
        match &self.decided {
            Ok(events) if *events == expected => self.after(),
            Ok(_) | Err(_) => self.fail(&format!("these events:\n{}", list(&expected))),
        }
    }

    /// Nothing was decided: the command would have changed nothing.
    #[track_caller]
    pub fn then_nothing(self) {
        match &self.decided {
            Ok(events) if events.is_empty() => {}
            Ok(_) | Err(_) => self.fail("nothing"),
        }
    }

    /// It was rejected with this stable reason. Returns the rejection, for further looks.
    #[track_caller]
    pub fn then_rejects(self, reason: &str) -> Rejection
    where
        R: Clone + Into<Rejection>,
    {
        match &self.decided {
            Err(refusal) => {
                let rejection: Rejection = refusal.clone().into();
                if rejection.reason != reason {
                    self.fail(&format!("a rejection because of {reason}"));
                }
                rejection
            }
            Ok(_) => self.fail(&format!("a rejection because of {reason}")),
        }
    }

    /// It was refused with exactly this value.
    #[track_caller]
    pub fn then_refuses(self, expected: &R)
    where
        R: PartialEq,
    {
        match &self.decided {
            Err(refusal) if refusal == expected => {}
            Ok(_) | Err(_) => self.fail(&format!("the refusal {expected:?}")),
        }
    }

    /// It was accepted, whatever the events; they must pass `check`. Returns the state after them.
    #[track_caller]
    pub fn then_events(self, check: impl FnOnce(&[S::Event])) -> S {
        match &self.decided {
            Ok(events) => check(events),
            Err(_) => self.fail("some events"),
        }
        self.after()
    }

    fn after(self) -> S {
        let mut state = self.state;
        self.decided.iter().flatten().for_each(|event| state.evolve(event));
        state
    }

    #[track_caller]
    fn fail(&self, expected: &str) -> ! {
        let found = match &self.decided {
            Ok(events) if events.is_empty() => "nothing".to_owned(),
            Ok(events) => format!("these events:\n{}", list(events)),
            Err(refusal) => format!("the refusal {refusal:?}"),
        };
        panic!("given these events:\n{}\nexpected {expected}\nfound {found}", list(&self.before))
    }
}

fn list<E: Debug>(events: &[E]) -> String {
    if events.is_empty() {
        return "  (none)".to_owned();
    }
    events.iter().map(|event| format!("  {event:?}")).collect::<Vec<_>>().join("\n")
}

pub mod golden {
    //! One file per event kind and schema, written once and never edited: proof that what any release has
    //! ever stored can still be read.
    use crate::{Json, StoredEvent};
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    /// The variable that allows [`check`] to write files that are missing.
    pub const UPDATE: &str = "UPDATE_GOLDEN";

    /// Checks `examples` against the files `<Kind>.v<schema>.json` in `dir` (a crate's folder, or its
    /// `events` folder). A second example of one kind is `<Kind>.v<schema>.2.json`, and so on.
    ///
    /// Every kind needs an example, an example's JSON must equal its file, and every file, however old,
    /// must still be readable. A missing file of the current schema is written when the environment holds
    /// `UPDATE_GOLDEN=1`; a file that exists is never overwritten.
    ///
    /// # Panics
    /// With a list of everything that is wrong and what to do about it.
    #[track_caller]
    pub fn check<E: StoredEvent>(dir: impl AsRef<Path>, examples: &[E]) {
        let update = std::env::var(UPDATE).is_ok_and(|value| value == "1");
        let problems = problems(&events_dir(dir.as_ref()), examples, update);
        assert!(problems.is_empty(), "golden files:\n{}", problems.join("\n"));
    }

    pub(crate) fn events_dir(dir: &Path) -> PathBuf {
        if dir.ends_with("events") { dir.to_owned() } else { dir.join("events") }
    }

    /// Everything that [`check`] would complain about.
    pub(crate) fn problems<E: StoredEvent>(dir: &Path, examples: &[E], update: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for (kind, _) in E::kinds() {
            if !examples.iter().any(|example| example.kind() == *kind) {
                problems.push(format!("  {kind} has no example: add one to the test"));
            }
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for example in examples {
            let number = seen.entry(example.kind()).and_modify(|n| *n += 1).or_insert(1);
            problems.extend(problem_of(dir, example, *number, update));
        }
        problems.extend(unreadable::<E>(dir));
        problems
    }

    fn problem_of<E: StoredEvent>(dir: &Path, example: &E, number: usize, update: bool) -> Option<String> {
        let suffix = if number == 1 { String::new() } else { format!(".{number}") };
        let path = dir.join(format!("{}.v{}{suffix}.json", example.kind(), example.schema()));
        let json: Json = match serde_json::from_str(&example.to_json()) {
            Ok(json) => json,
            Err(e) => return Some(format!("  {}: the example's JSON cannot be read: {e}", path.display())),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => match serde_json::from_str::<Json>(&text) {
                Ok(golden) if golden == json => None,
                Ok(golden) => Some(format!(
                    "  {}: the stored shape has changed.\n    file:    {golden}\n    example: {json}\n    \
                     Give the kind a new schema number with an upcast, and leave this file as it is.",
                    path.display()
                )),
                Err(e) => Some(format!("  {}: not JSON: {e}", path.display())),
            },
            Err(_) if update => write(dir, &path, &json).err(),
            Err(_) => Some(format!("  {} is missing: run the test once with {UPDATE}=1", path.display())),
        }
    }

    fn write(dir: &Path, path: &Path, json: &Json) -> Result<(), String> {
        let text = serde_json::to_string_pretty(json).map_err(|e| format!("  {}: {e}", path.display()))?;
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(path, text + "\n"))
            .map_err(|e| format!("  {} cannot be written: {e}", path.display()))
    }

    /// Files of this enum's kinds, of any age, that can no longer be read.
    fn unreadable<E: StoredEvent>(dir: &Path) -> Vec<String> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files.iter().filter_map(|path| unreadable_file::<E>(path)).collect()
    }

    fn unreadable_file<E: StoredEvent>(path: &Path) -> Option<String> {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let mut parts = name.split('.');
        let (kind, schema) = (parts.next()?, parts.next()?.strip_prefix('v')?.parse().ok()?);
        // A folder may hold the goldens of several enums; each test looks after its own kinds.
        if !E::kinds().is_empty() && !E::kinds().iter().any(|(known, _)| *known == kind) {
            return None;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => return Some(format!("  {}: {e}", path.display())),
        };
        match E::from_json(kind, schema, &text) {
            Ok(_) => None,
            Err(e) => Some(format!("  {}: {e}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Json, StoredEvent, stored_events};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Lit {
        watts: i64,
    }
    #[derive(Debug, Clone, PartialEq)]
    enum LampEvent {
        Lit(Lit),
    }
    fn lit_1(json: Json) -> Json {
        serde_json::json!({ "watts": json["power"] })
    }
    stored_events!(LampEvent { Lit: 2 => { 1 => lit_1 } });

    #[derive(Debug, Clone, Default, PartialEq)]
    struct Lamp(i64);
    impl Aggregate for Lamp {
        type Event = LampEvent;
        const CATEGORY: &'static str = "lamp";
        fn evolve(&mut self, event: &LampEvent) {
            let LampEvent::Lit(lit) = event;
            self.0 = lit.watts;
        }
    }

    fn lit(watts: i64) -> LampEvent {
        LampEvent::Lit(Lit { watts })
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder for tests")
    }

    #[test]
    fn the_state_after_the_events_is_returned() {
        let after = Given::<Lamp>::nothing()
            .and(vec![lit(1)])
            .when(|_| Ok::<_, Rejection>(vec![lit(5)]))
            .then(vec![lit(5)]);
        assert_eq!(after, Lamp(5));
    }

    #[test]
    #[should_panic(
        expected = "expected these events:\n  Lit(Lit { watts: 6 })\nfound these events:\n  Lit(Lit { watts: 5 })"
    )]
    fn a_failure_shows_both_sides() {
        Given::<Lamp>::nothing().when(|_| Ok::<_, Rejection>(vec![lit(5)])).then(vec![lit(6)]);
    }

    #[test]
    #[should_panic(expected = "expected a rejection because of DARK")]
    fn another_reason_is_a_failure() {
        Given::<Lamp>::nothing().when(|_| Err(Rejection::new("BROKEN", "x"))).then_rejects("DARK");
    }

    #[test]
    fn a_missing_golden_is_written_once_on_demand_and_a_changed_shape_is_refused() {
        let folder = folder();
        let dir = golden::events_dir(folder.path());
        assert!(golden::problems(&dir, &[lit(5)], false)[0].contains("is missing"));
        assert_eq!(golden::problems(&dir, &[lit(5)], true), Vec::<String>::new());
        assert_eq!(golden::problems(&dir, &[lit(5)], false), Vec::<String>::new());
        assert!(golden::problems(&dir, &[lit(6)], true)[0].contains("shape has changed"));
    }

    #[test]
    fn every_older_golden_must_stay_readable_and_every_kind_needs_an_example() {
        let folder = folder();
        let dir = golden::events_dir(folder.path());
        assert_eq!(golden::problems(&dir, &[lit(5)], true), Vec::<String>::new());
        std::fs::write(dir.join("Lit.v1.json"), r#"{"power":7}"#).expect("writable");
        assert_eq!(golden::problems(&dir, &[lit(5)], false), Vec::<String>::new());
        std::fs::write(dir.join("Lit.v3.json"), "{}").expect("writable");
        assert!(golden::problems(&dir, &[lit(5)], false)[0].contains("schema 3"));
        assert!(golden::problems::<LampEvent>(&dir, &[], false)[0].contains("has no example"));
        assert_eq!(LampEvent::kinds(), [("Lit", 2)]);
    }
}
