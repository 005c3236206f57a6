//! Every way that a small saga can go, walked exhaustively: each attempt may be done, refused or unknown.
use super::*;
use crate::Definition;

fn trip() -> Definition {
    Definition::start("trip", 1).together(&["flight", "car"]).step("hotel").pivot("pay").then("tickets")
}

fn apply(progress: &Progress, events: &[Event]) -> Progress {
    let mut after = progress.clone();
    events.iter().for_each(|event| after.evolve(event));
    after
}

fn begun() -> Progress {
    let progress = Progress::default();
    apply(&progress, &progress.start(&trip()))
}

/// What the world outside looks like: which steps have an effect now.
#[derive(Clone, Default, Debug)]
struct World {
    effects: BTreeMap<&'static str, bool>,
}

/// Walks every sequence of answers up to `depth` attempts and hands each end to `check`.
fn walk(progress: &Progress, world: &World, depth: u32, check: &mut impl FnMut(&Progress, &World)) {
    let todo = progress.outstanding(&trip());
    check(progress, world);
    if depth == 0 {
        return;
    }
    for intent in todo {
        let answers = [
            (Outcome::done(), true),
            (Outcome::refused("NO", ""), false),
            (Outcome::unknown("timeout"), true), // it worked and the answer was lost
            (Outcome::unknown("timeout"), false), // it did not work
        ];
        for (outcome, works) in answers {
            let undo_refused =
                intent.direction == Direction::Undo && matches!(outcome, Outcome::Refused { .. });
            if undo_refused {
                continue;
            }
            let mut world = world.clone();
            if works {
                world.effects.insert(intent.step, intent.direction == Direction::Do);
            }
            let after = apply(progress, &progress.record(&trip(), &intent, &outcome, 1));
            walk(&after, &world, depth - 1, check);
        }
    }
}

#[test]
fn whatever_is_answered_an_ended_saga_is_wholly_done_or_wholly_undone() {
    let (mut completed, mut undone) = (0, 0);
    walk(&begun(), &World::default(), 7, &mut |progress, world| match progress.phase() {
        Phase::Completed => {
            completed += 1;
            assert!(
                trip().steps().iter().all(|step| world.effects.get(step.name) == Some(&true)),
                "{world:?}"
            );
        }
        Phase::Undone(_) => {
            undone += 1;
            assert!(world.effects.iter().all(|(step, on)| !on || *step == "pay"), "{world:?}");
            assert!(progress.outstanding(&trip()).is_empty());
        }
        Phase::Forward | Phase::Undoing(_) => {
            let waits = progress.stuck().is_some_and(|stuck| stuck.refused);
            assert!(
                waits || !progress.outstanding(&trip()).is_empty(),
                "an open saga has something to do: {progress:?}"
            );
        }
        Phase::NotStarted | Phase::Abandoned(_) => unreachable!("the walk starts it and never abandons"),
    });
    assert!(completed > 0 && undone > 0, "the walk reached both ends");
}

#[test]
fn steps_of_a_group_are_outstanding_side_by_side() {
    let steps: Vec<_> = begun().outstanding(&trip()).into_iter().map(|intent| intent.step).collect();
    assert_eq!(steps, ["flight", "car"]);
}

#[test]
fn only_what_was_ever_outstanding_is_undone() {
    let progress = begun();
    let flight = &progress.outstanding(&trip())[0];
    let after = apply(&progress, &progress.record(&trip(), flight, &Outcome::refused("FULL", ""), 1));
    let undo: Vec<_> = after.outstanding(&trip()).into_iter().map(|intent| intent.key("t")).collect();
    assert_eq!(undo, ["t:trip:flight:undo", "t:trip:car:undo"], "the hotel was never asked for");
}

#[test]
fn a_second_answer_to_the_same_step_changes_nothing() {
    let progress = begun();
    let flight = &progress.outstanding(&trip())[0];
    let after = apply(&progress, &progress.record(&trip(), flight, &Outcome::done(), 1));
    assert_eq!(after.record(&trip(), flight, &Outcome::refused("LATE", ""), 2), vec![]);
}

fn at_the_pivot() -> Progress {
    let mut progress = begun();
    for _ in 0..3 {
        let intent = progress.outstanding(&trip()).remove(0);
        progress = apply(&progress, &progress.record(&trip(), &intent, &Outcome::done(), 1));
    }
    progress
}

#[test]
fn a_pivot_in_doubt_cannot_be_turned_back() {
    let progress = at_the_pivot();
    assert_eq!(progress.outstanding(&trip())[0].step, "pay");
    assert_eq!(progress.turn_back(&trip(), "CANCELLED"), TurnBack::PivotInDoubt);
}

#[test]
fn turning_back_before_the_pivot_undoes_and_after_it_is_too_late() {
    let TurnBack::Events(events) = begun().turn_back(&trip(), "CANCELLED") else {
        panic!("it can still turn back")
    };
    let undoing = apply(&begun(), &events);
    assert_eq!(undoing.phase(), &Phase::Undoing("CANCELLED".into()));
    assert_eq!(undoing.turn_back(&trip(), "AGAIN"), TurnBack::Already);
    let pivot = at_the_pivot().outstanding(&trip()).remove(0);
    let paid = apply(&at_the_pivot(), &at_the_pivot().record(&trip(), &pivot, &Outcome::done(), 1));
    assert_eq!(paid.turn_back(&trip(), "CANCELLED"), TurnBack::TooLate);
}

#[test]
fn a_refusal_after_the_pivot_waits_for_a_person() {
    let pivot = at_the_pivot().outstanding(&trip()).remove(0);
    let paid = apply(&at_the_pivot(), &at_the_pivot().record(&trip(), &pivot, &Outcome::done(), 1));
    let tickets = paid.outstanding(&trip()).remove(0);
    let stuck = apply(&paid, &paid.record(&trip(), &tickets, &Outcome::refused("NO", ""), 1));
    assert!(stuck.is_open() && stuck.outstanding(&trip()).is_empty());
    assert_eq!(stuck.stuck().map(|stuck| stuck.step.as_str()), Some("tickets"));
}

#[test]
fn silence_is_recorded_now_and_then_and_asks_for_a_person_after_a_while_but_goes_on() {
    let mut progress = begun();
    let flight = progress.outstanding(&trip()).remove(0);
    let mut recorded = Vec::new();
    for attempt in 1..=ATTEMPTS_UNTIL_OPERATOR + 1 {
        let events = progress.record(&trip(), &flight, &Outcome::unknown("timeout"), attempt);
        recorded.push(events.len());
        progress = apply(&progress, &events);
    }
    assert_eq!(
        recorded.iter().sum::<usize>(),
        1 + 3 + 1,
        "attempts 1, 10, 20, 30, and one call for a person"
    );
    assert!(progress.stuck().is_some() && progress.outstanding(&trip()).contains(&flight));
}

#[test]
fn waiting_for_something_outside_is_no_attempt_and_records_nothing() {
    let progress = begun();
    let flight = progress.outstanding(&trip()).remove(0);
    let waiting = Outcome::Waiting { on: "the customer".into() };
    for attempt in [1, 10, ATTEMPTS_UNTIL_OPERATOR] {
        assert_eq!(progress.record(&trip(), &flight, &waiting, attempt), vec![]);
    }
    assert!(progress.outstanding(&trip()).contains(&flight));
}
