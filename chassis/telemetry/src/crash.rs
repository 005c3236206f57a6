//! Places where a process may die, and marks that say that a test got to a dangerous state.
//!
//! A [`crash_point!`](crate::crash_point) stands wherever a process may end between two facts that outlive it:
//! before and after a commit, before and after a call to somebody else. [`sometimes!`](crate::sometimes) stands
//! where a test must have been for its success to mean something. Both do nothing in a release build; with the
//! feature `crashpoints`, and in debug builds, each costs one relaxed load until [`arm`] finds that the
//! environment asks for something:
//!
//! - `SOUK_CRASH=label:N` or `label/detail:N` aborts the process at the Nth passage of that point;
//! - `SOUK_CRASH_LOG=FOLDER` notes in a file there each point that was passed, and each mark with its count.
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Every label with what is certain at that moment. A point whose label is not here does not compile.
pub const POINTS: &[(&str, &str)] = &[
    ("store.commit.before", "decided and written, not committed: nothing of it may be there afterwards"),
    ("store.commit.after", "durable, nobody was told: all of it must be there afterwards"),
    ("rpc.call.before", "the call was admitted and nothing was done"),
    ("rpc.call.after", "the call was carried out, its answer was not sent"),
    ("saga.call.before", "the step is outstanding, its participant was not asked"),
    ("saga.call.after", "the participant has answered, the answer is not recorded"),
    ("saga.record.after", "the answer is recorded, the next step was not begun"),
    ("timer.fire.before", "the timer is due, nothing was done about it"),
    ("timer.fire.after", "the timer's work is durable"),
    ("reaction.apply.before", "an event has come, nothing was done about it"),
    ("reaction.apply.after", "the event's effects are durable, how far the reaction has got is not"),
    ("reaction.end.after", "how far the reaction has got is durable"),
    ("effect.call.before", "the intent is recorded, the outside world was not asked"),
    ("effect.call.after", "the outside world has answered, the answer is not recorded"),
    ("provider.effect.before", "the outside world was asked and has done nothing"),
    ("provider.effect.after", "the outside world has done it and has not said so"),
];

/// Every mark. One that a long run never sets says that the run proves less than it seems to.
pub const MARKS: &[&str] = &[
    "a saga was taken up by a new process",
    "a saga step had no answer",
    "a saga step was undone",
    "a saga's participant refused",
    "a commit was answered from an earlier one",
    "a batch held more than one piece of work",
    "an event was applied that had been applied before",
    "a timer was due",
    "a provider's answer was lost",
    "a provider was asked what became of a call",
    "a provider had done what nobody had heard of",
];

/// Whether this build has crash points at all.
pub const POSSIBLE: bool = cfg!(any(debug_assertions, feature = "crashpoints"));

/// At which passage of which point to abort: `label:N` or `label/detail:N`.
pub const CRASH: &str = "SOUK_CRASH";
/// The folder in which to note what was passed.
pub const LOG: &str = "SOUK_CRASH_LOG";

/// A place where the process may be made to abort. The detail, written as for `format!`, says which of several
/// things it is about; it is not made unless somebody listens.
#[macro_export]
macro_rules! crash_point {
    ($label:literal) => { $crate::crash_point!($label, "") };
    ($label:literal, $($detail:tt)+) => {{
        const { assert!($crate::crash::is_point($label), "the label must be listed in crash::POINTS") };
        if $crate::crash::is_armed() {
            $crate::crash::pass($label, &format!($($detail)+));
        }
    }};
}

/// Marks that a dangerous state was reached. The text is one of [`MARKS`](crate::crash::MARKS).
#[macro_export]
macro_rules! sometimes {
    ($what:literal) => {{
        const { assert!($crate::crash::is_mark($what), "the mark must be listed in crash::MARKS") };
        if $crate::crash::is_armed() {
            $crate::crash::mark($what);
        }
    }};
}

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: OnceLock<Plan> = OnceLock::new();

/// What the environment asked for.
struct Plan {
    target: Option<Target>,
    notes: Option<Mutex<Notes>>,
}

#[derive(Debug)]
struct Target {
    label: String,
    /// Any, when there is none.
    detail: Option<String>,
    left: AtomicU64,
}

struct Notes {
    file: File,
    passed: BTreeMap<(String, String), u64>,
    marks: BTreeMap<&'static str, u64>,
}

/// Whether points and marks are listened to.
#[inline(always)]
pub fn is_armed() -> bool {
    POSSIBLE && ARMED.load(Ordering::Relaxed)
}

/// Whether a point of this label is listed.
pub const fn is_point(label: &str) -> bool {
    let mut at = 0;
    while at < POINTS.len() {
        if equal(POINTS[at].0, label) {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether this mark is listed.
pub const fn is_mark(what: &str) -> bool {
    let mut at = 0;
    while at < MARKS.len() {
        if equal(MARKS[at], what) {
            return true;
        }
        at += 1;
    }
    false
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Does what `variable` (the environment) asks for, once per process.
///
/// # Errors
/// A sentence, when it asks for something that cannot be done: a test that believes that it crashes a process
/// and does not is worse than none.
pub fn arm(variable: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let (crash, log) = (variable(CRASH), variable(LOG));
    if crash.is_none() && log.is_none() {
        return Ok(());
    }
    if !POSSIBLE {
        return Err(format!("{CRASH} or {LOG} is set, but this program was built without crash points"));
    }
    let target = crash.as_deref().map(Target::parse).transpose()?;
    let notes = log.as_deref().map(|folder| Notes::open(Path::new(folder))).transpose()?.map(Mutex::new);
    PLAN.set(Plan { target, notes }).map_err(|_| format!("{CRASH} was read before"))?;
    ARMED.store(true, Ordering::Relaxed);
    Ok(())
}

impl Target {
    fn parse(text: &str) -> Result<Target, String> {
        let wrong =
            || format!("{CRASH} must look like store.commit.after:1 or saga.call.after/place:3: {text}");
        let (point, passage) = text.rsplit_once(':').ok_or_else(wrong)?;
        let left: u64 = passage.parse().map_err(|_| wrong())?;
        let (label, detail) = match point.split_once('/') {
            Some((label, detail)) => (label, Some(detail.to_owned())),
            None => (point, None),
        };
        if left == 0 || !is_point(label) {
            return Err(wrong());
        }
        Ok(Target { label: label.to_owned(), detail, left: AtomicU64::new(left) })
    }

    /// Whether this passage is the one.
    fn is_reached(&self, label: &str, detail: &str) -> bool {
        let is_meant = self.label == label && self.detail.as_deref().is_none_or(|wanted| wanted == detail);
        is_meant && self.left.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

impl Notes {
    fn open(folder: &Path) -> Result<Notes, String> {
        let path = folder.join(format!("{}.log", std::process::id()));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Notes { file, passed: BTreeMap::new(), marks: BTreeMap::new() })
    }

    /// One whole line at once, so that it is there also when the process ends at the next instruction. Counts
    /// are written when they double: the file stays short.
    fn write(&mut self, line: &str) {
        let _ = self.file.write_all(line.as_bytes());
    }

    fn passed(&mut self, label: &str, detail: &str) {
        let count = self.passed.entry((label.to_owned(), detail.to_owned())).or_insert(0);
        *count += 1;
        if count.is_power_of_two() {
            let line = format!("passed\t{label}\t{detail}\t{count}\n");
            self.write(&line);
        }
    }

    fn marked(&mut self, what: &'static str) {
        let count = self.marks.entry(what).or_insert(0);
        *count += 1;
        if count.is_power_of_two() {
            let line = format!("marked\t{what}\t\t{count}\n");
            self.write(&line);
        }
    }
}

/// A point is passed: notes it, and ends the process if this is the passage that was asked for.
pub fn pass(label: &str, detail: &str) {
    let Some(plan) = PLAN.get() else { return };
    with(plan, |notes| notes.passed(label, detail));
    if plan.target.as_ref().is_some_and(|target| target.is_reached(label, detail)) {
        with(plan, |notes| notes.write(&format!("crashed\t{label}\t{detail}\t1\n")));
        std::process::abort();
    }
}

/// A mark is set.
pub fn mark(what: &'static str) {
    if let Some(plan) = PLAN.get() {
        with(plan, |notes| notes.marked(what));
    }
}

fn with(plan: &Plan, note: impl FnOnce(&mut Notes)) {
    if let Some(notes) = &plan.notes {
        note(&mut notes.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn a_target_names_a_listed_point_and_a_passage() {
        let target = Target::parse("saga.call.after/place/reserve/do:2").expect("well formed");
        assert!(!target.is_reached("saga.call.after", "place/reserve/undo"));
        assert!(!target.is_reached("saga.call.after", "place/reserve/do"), "the first passage");
        assert!(target.is_reached("saga.call.after", "place/reserve/do"), "the second");
        assert!(!target.is_reached("saga.call.after", "place/reserve/do"), "and never again");
        let any = Target::parse("store.commit.after:1").expect("well formed");
        assert!(any.is_reached("store.commit.after", "whatever"));
        for wrong in
            ["store.commit.after", "store.commit.after:0", "no.such.point:1", "store.commit.after:x", ""]
        {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_listed_once() {
        for (index, (label, _)) in POINTS.iter().enumerate() {
            assert!(POINTS[..index].iter().all(|(other, _)| other != label), "{label}");
        }
        assert!(!is_point("store.commit") && is_mark(MARKS[0]) && !is_mark(""));
    }

    /// The process ends, so the test runs itself in a second process.
    #[test]
    fn the_process_ends_at_the_passage_that_was_asked_for() {
        const CHILD: &str = "SOUK_TEST_CRASH_CHILD";
        if std::env::var_os(CHILD).is_some() {
            arm(|name| std::env::var(name).ok()).expect("asked for well");
            for round in 1..=3 {
                crate::crash_point!("timer.fire.before", "round/{}", round % 2);
                crate::sometimes!("a timer was due");
            }
            std::process::exit(0);
        }
        let folder = std::env::temp_dir().join(format!("souk-crash-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let child = Command::new(std::env::current_exe().expect("the test knows its own path"))
            .args(["--exact", "crash::tests::the_process_ends_at_the_passage_that_was_asked_for"])
            .env(CHILD, "1")
            .env(CRASH, "timer.fire.before/round/1:2")
            .env(LOG, &folder)
            .output()
            .expect("the second process starts");
        assert_eq!(child.status.signal(), Some(6), "it was aborted: {child:?}");
        let notes: Vec<_> = std::fs::read_dir(&folder).expect("the folder").flatten().collect();
        let notes = std::fs::read_to_string(notes[0].path()).expect("the notes");
        std::fs::remove_dir_all(&folder).expect("removed");
        let lines: Vec<_> = notes.lines().collect();
        assert_eq!(
            lines,
            [
                "passed\ttimer.fire.before\tround/1\t1",
                "marked\ta timer was due\t\t1",
                "passed\ttimer.fire.before\tround/0\t1",
                "marked\ta timer was due\t\t2",
                "passed\ttimer.fire.before\tround/1\t2",
                "crashed\ttimer.fire.before\tround/1\t1",
            ]
        );
    }
}
