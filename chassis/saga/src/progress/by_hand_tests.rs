//! What a person may do at a saga, and what they may not: given, when, then; and after any sequence of answers.
use super::*;
use crate::{Intent, Outcome};
use proptest::prelude::*;

fn trip() -> Definition {
    Definition::start("trip", 1).together(&["flight", "car"]).pivot("pay").then("tickets").then("letter")
}

fn apply(progress: &Progress, events: &[Event]) -> Progress {
    let mut after = progress.clone();
    events.iter().for_each(|event| after.evolve(event));
    after
}

fn begun() -> Progress {
    apply(&Progress::default(), &Progress::default().start(&trip()))
}

fn answered(progress: &Progress, outcome: &Outcome) -> Progress {
    let intent = progress.outstanding(&trip()).remove(0);
    apply(progress, &progress.record(&trip(), &intent, outcome, 1))
}

/// So many attempts stayed without an answer that a person is called.
fn silent(progress: &Progress) -> Progress {
    let intent = progress.outstanding(&trip()).remove(0);
    let attempt = crate::ATTEMPTS_UNTIL_OPERATOR;
    apply(progress, &progress.record(&trip(), &intent, &Outcome::unknown("silence"), attempt))
}

fn paid() -> Progress {
    (0..3).fold(begun(), |progress, _| answered(&progress, &Outcome::done()))
}

/// The tickets were refused after the money was taken.
fn refused() -> Progress {
    answered(&paid(), &Outcome::refused("NO_TICKETS", ""))
}

fn act(operation: Operation) -> Intervention {
    Intervention { operation, step: None, by: "stf_1".into(), reason: "called the airline".into() }
}

fn check(progress: &Progress, operation: Operation) -> Result<Progress, &'static str> {
    let events = progress.intervene(&trip(), &act(operation)).map_err(|rejection| rejection.reason)?;
    assert!(matches!(&events[0], Event::Intervened { by, .. } if by == "stf_1"), "{events:?}");
    let after = apply(progress, &events);
    assert_eq!(after.stuck(), None);
    Ok(after)
}

fn steps(progress: &Progress) -> Vec<(&'static str, Direction)> {
    progress.outstanding(&trip()).iter().map(|intent| (intent.step, intent.direction)).collect()
}

#[test]
fn a_retry_asks_again_under_the_same_key_and_the_refusal_may_stand() {
    let retried = check(&refused(), Operation::Retry).expect("it waits for a person");
    assert_eq!(steps(&retried), [("tickets", Direction::Do)]);
    assert!(!retried.was_settled_by_hand());
    let again = answered(&retried, &Outcome::refused("NO_TICKETS", ""));
    assert_eq!(again.stuck().map(|stuck| stuck.reason.as_str()), Some("NO_TICKETS"));
    let done = answered(&retried, &Outcome::done());
    assert_eq!(steps(&done), [("letter", Direction::Do)]);
}

#[test]
fn a_skipped_step_counts_as_done_and_the_saga_goes_on_to_its_end() {
    let skipped = check(&refused(), Operation::Skip).expect("it is after the pivot");
    assert_eq!(skipped.standing("tickets"), Standing::Skipped);
    assert_eq!((skipped.is_open(), steps(&skipped)), (true, vec![("letter", Direction::Do)]));
    let ended = answered(&skipped, &Outcome::done());
    assert_eq!((ended.phase(), ended.was_settled_by_hand()), (&Phase::Completed, true));
    let letter = answered(&skipped, &Outcome::refused("NO_PAPER", ""));
    let ended = check(&letter, Operation::Skip).expect("the last step may be skipped, too");
    assert_eq!(ended.phase(), &Phase::Completed);
}

#[test]
fn a_skipped_undo_counts_as_undone() {
    let back = answered(&begun(), &Outcome::refused("FULL", ""));
    assert_eq!(steps(&back), [("flight", Direction::Undo), ("car", Direction::Undo)]);
    let stuck = silent(&back);
    let one = check(&stuck, Operation::Skip).expect("it turns back");
    assert_eq!(steps(&one), [("car", Direction::Undo)]);
    let ended = answered(&one, &Outcome::done());
    assert_eq!(ended.phase(), &Phase::Undone("FULL".into()));
}

#[test]
fn a_step_of_a_group_can_be_named() {
    let stuck = silent(&answered(&begun(), &Outcome::refused("FULL", "")));
    let car = Intervention { step: Some("car".into()), ..act(Operation::Skip) };
    let events = stuck.intervene(&trip(), &car).expect("the car is outstanding, too");
    assert_eq!(steps(&apply(&stuck, &events)), [("flight", Direction::Undo)]);
    let letter = Intervention { step: Some("letter".into()), ..act(Operation::Skip) };
    let refused = stuck.intervene(&trip(), &letter).expect_err("nobody waits for it");
    assert_eq!(refused.reason, "STEP_NOT_OUTSTANDING");
}

#[test]
fn a_saga_is_ended_by_hand_after_the_pivot_or_on_the_way_back() {
    for stuck in [refused(), silent(&answered(&begun(), &Outcome::refused("FULL", "")))] {
        let ended = check(&stuck, Operation::Resolve).expect("its end is decided");
        assert_eq!(ended.phase(), &Phase::Abandoned(RESOLVED_BY_OPERATOR.into()));
        assert!(ended.was_settled_by_hand() && ended.outstanding(&trip()).is_empty());
    }
}

#[test]
fn nobody_decides_the_pivot_but_its_participant() {
    let at_pivot = silent(&(0..2).fold(begun(), |progress, _| answered(&progress, &Outcome::done())));
    assert_eq!(check(&at_pivot, Operation::Skip).err(), Some("PIVOT_UNDECIDED"));
    assert_eq!(check(&at_pivot, Operation::Resolve).err(), Some("PIVOT_UNDECIDED"));
    assert!(check(&at_pivot, Operation::Retry).is_ok());
    assert_eq!(check(&silent(&begun()), Operation::Resolve).err(), Some("PIVOT_UNDECIDED"));
}

#[test]
fn what_goes_on_by_itself_or_has_ended_is_left_alone() {
    let ended = answered(&answered(&paid(), &Outcome::done()), &Outcome::done());
    for progress in [Progress::default(), begun(), paid(), ended] {
        for operation in [Operation::Retry, Operation::Skip, Operation::Resolve] {
            assert_eq!(check(&progress, operation).err(), Some("SAGA_NOT_STUCK"), "{progress:?}");
        }
    }
}

#[test]
fn an_act_reads_as_it_was_written() {
    let stuck = refused();
    let events = stuck.intervene(&trip(), &act(Operation::Skip)).expect("it may");
    let text = serde_json::to_string(&events[0]).expect("JSON");
    assert_eq!(
        text,
        r#"{"what":"intervened","saga":"trip","step":"tickets","direction":"do","operation":"skip","by":"stf_1","reason":"called the airline"}"#
    );
    assert_eq!(serde_json::from_str::<Event>(&text).expect("an event"), events[0]);
}

/// What happens next: an answer to one of the outstanding intents, or somebody's act.
#[derive(Debug, Clone)]
enum Next {
    Answer(usize, Outcome, u32),
    Act(Operation),
}

fn next() -> impl Strategy<Value = Next> {
    let outcome = prop_oneof![
        Just(Outcome::done()),
        Just(Outcome::refused("NO", "")),
        Just(Outcome::unknown("silence"))
    ];
    let operation = prop_oneof![Just(Operation::Retry), Just(Operation::Skip), Just(Operation::Resolve)];
    prop_oneof![
        3 => (0..3_usize, outcome, prop_oneof![Just(1), Just(crate::ATTEMPTS_UNTIL_OPERATOR)])
            .prop_map(|(which, outcome, attempt)| Next::Answer(which, outcome, attempt)),
        1 => operation.prop_map(Next::Act),
    ]
}

fn pick(progress: &Progress, which: usize) -> Option<Intent> {
    let todo = progress.outstanding(&trip());
    (!todo.is_empty()).then(|| todo[which % todo.len()].clone())
}

proptest! {
    #[test]
    fn whatever_people_do_a_saga_is_open_with_something_to_do_or_ended_and_its_pivot_is_its_own(
        steps in proptest::collection::vec(next(), 0..40)
    ) {
        let mut progress = begun();
        for step in steps {
            let events = match step {
                Next::Answer(which, outcome, attempt) => match pick(&progress, which) {
                    Some(intent) => progress.record(&trip(), &intent, &outcome, attempt),
                    None => Vec::new(),
                },
                Next::Act(operation) => progress.intervene(&trip(), &act(operation)).unwrap_or_default(),
            };
            progress = apply(&progress, &events);
            let refused = progress.stuck().is_some_and(|stuck| stuck.refused);
            let has_work = refused || !progress.outstanding(&trip()).is_empty();
            prop_assert_eq!(progress.is_open(), has_work, "{:?}", progress);
            prop_assert!(progress.standing("pay") != Standing::Skipped);
            prop_assert!(progress.is_open() || progress.stuck().is_none());
            if *progress.phase() == Phase::Completed {
                prop_assert!(trip().steps().iter().all(|step| progress.is_done(step.name)));
            }
        }
    }
}
