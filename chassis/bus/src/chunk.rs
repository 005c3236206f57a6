//! What a chunk of events becomes: pieces of work, in the order in which they are handed to the store, and
//! one commit at its end. Nothing is committed here.
use crate::reaction::FOLLOWS;
use souk_eventstore::{CommitId, Decision, InboxMark, Origin, Parked, Work};
use souk_kernel::{Error, Rejection};
use souk_rpc::feed::FeedEvent;
use std::collections::HashMap;

/// The events that follow `last` without a hole, and what is wrong with the rest, if anything is. Those that
/// are known already are dropped, and those that only came in another order are put right.
pub(crate) fn consecutive(
    source: &str,
    last: u64,
    mut events: Vec<FeedEvent>,
) -> (Vec<FeedEvent>, Result<(), Error>) {
    let stranger = events.iter().find(|event| event.source != source).map(|event| event.source.clone());
    events.retain(|event| event.source == source && event.feed_seq > last);
    events.sort_by_key(|event| event.feed_seq);
    events.dedup_by_key(|event| event.feed_seq);
    let fitting = events.iter().zip(last + 1..).take_while(|(event, next)| event.feed_seq == *next).count();
    let beyond = events.get(fitting).map(|event| event.feed_seq);
    events.truncate(fitting);
    let fault = match (stranger, beyond) {
        (Some(other), _) => Err(format!("the feed of {source} tells of {other}")),
        (None, Some(beyond)) => {
            Err(format!("the feed of {source} went from {} to {beyond}", last + fitting as u64))
        }
        (None, None) => Ok(()),
    };
    (events, fault.map_err(Error::unavailable))
}

/// One piece of work.
pub(crate) enum Step<'a> {
    /// Nobody wants these: one commit moves all their marks.
    Skip(Vec<&'a FeedEvent>),
    /// A commit of its own.
    Apply(&'a FeedEvent),
}

impl<'a> Step<'a> {
    pub(crate) fn events(&self) -> &[&'a FeedEvent] {
        match self {
            Step::Skip(events) => events,
            Step::Apply(event) => std::slice::from_ref(event),
        }
    }
}

/// What is done with a chunk.
pub(crate) struct Plan<'a> {
    /// Handed in side by side in this order, which is the feed's order for each key.
    pub(crate) steps: Vec<Step<'a>>,
    /// Unwanted ones that nothing wanted of their key follows: they are left to the chunk's last commit.
    pub(crate) rest: Vec<&'a FeedEvent>,
}

impl<'a> Plan<'a> {
    /// Each key alternates between stages of unwanted events (even) and of wanted ones (odd). The unwanted
    /// events of one stage are one piece of work, whatever their keys.
    pub(crate) fn of(
        events: impl Iterator<Item = &'a FeedEvent>,
        is_wanted: impl Fn(&FeedEvent) -> bool,
    ) -> Self {
        let mut reached: HashMap<&str, usize> = HashMap::new();
        let mut staged: Vec<(usize, &FeedEvent)> = Vec::new();
        for event in events {
            let stage = reached.entry(&event.stream).or_default();
            let is_wanted_stage = *stage % 2 == 1;
            *stage += usize::from(is_wanted(event) != is_wanted_stage);
            staged.push((*stage, event));
        }
        let is_rest = |(stage, event): &(usize, &FeedEvent)| {
            stage % 2 == 0 && reached.get(event.stream.as_str()) == Some(stage)
        };
        let (rest, mut early): (Vec<_>, Vec<_>) = staged.into_iter().partition(is_rest);
        early.sort_by_key(|(stage, _)| *stage);
        let of_one_stage = early.chunk_by(|(one, _), (other, _)| one == other);
        let steps = of_one_stage.flat_map(|group| {
            let events = group.iter().map(|(_, event)| *event);
            let is_wanted_stage = group[0].0 % 2 == 1;
            if is_wanted_stage {
                events.map(Step::Apply).collect()
            } else {
                vec![Step::Skip(events.collect())]
            }
        });
        Self { steps: steps.collect(), rest: rest.into_iter().map(|(_, event)| event).collect() }
    }
}

/// A run of consecutive events of one key that only move its mark.
#[derive(Clone)]
struct Run {
    first: u64,
    mark: InboxMark,
}

/// A commit that moves marks, parks events and notes how far the reaction has got.
pub(crate) struct Moves {
    reaction: &'static str,
    runs: Vec<Run>,
    parked: Vec<Parked>,
    checkpoint: Option<(String, u64)>,
}

impl Moves {
    pub(crate) fn of(reaction: &'static str) -> Self {
        Self { reaction, runs: Vec::new(), parked: Vec::new(), checkpoint: None }
    }

    /// Moves the marks past these events, each key's in order. Only what follows without a hole becomes one
    /// run, so that the store notices a missing event.
    pub(crate) fn skip(mut self, events: &[&FeedEvent]) -> Self {
        let mut latest: HashMap<&str, usize> = HashMap::new();
        for event in events {
            match latest.get(event.stream.as_str()) {
                Some(&run) if self.runs[run].mark.sequence + 1 == event.public_seq => {
                    self.runs[run].mark.sequence = event.public_seq;
                }
                Some(_) | None => {
                    latest.insert(&event.stream, self.runs.len());
                    self.runs.push(Run { first: event.public_seq, mark: mark(self.reaction, event) });
                }
            }
        }
        self
    }

    pub(crate) fn park(mut self, parked: Vec<Parked>) -> Self {
        self.parked = parked;
        self
    }

    pub(crate) fn checkpoint(mut self, name: String, last: u64) -> Self {
        self.checkpoint = Some((name, last));
        self
    }

    /// What was applied before stays as it is: its mark is not moved back, and it is not parked.
    pub(crate) fn work(self, id: CommitId) -> Work {
        let Self { reaction, runs, parked, checkpoint } = self;
        let mut work = Work::new(id, Origin::by(reaction));
        let keys = runs.iter().map(|run| (&run.mark.source, &run.mark.stream));
        for (source, stream) in keys.chain(parked.iter().map(|parked| (&parked.source, &parked.stream))) {
            work = work.inbox(reaction, source.clone(), stream.clone());
        }
        work.decide(move |facts, _| {
            let is_new =
                |source: &str, stream: &str, sequence: u64| sequence > facts.inbox(reaction, source, stream);
            let mut decision = Decision::new();
            for Run { first, mark } in &runs {
                if is_new(&mark.source, &mark.stream, mark.sequence) {
                    decision = decision.inbox_range(*first, mark.clone());
                }
            }
            for event in &parked {
                let mark = facts.inbox(reaction, &event.source, &event.stream);
                if event.reason == FOLLOWS && event.sequence == mark + 1 {
                    return Err(freed(event));
                }
                if event.sequence > mark {
                    decision = decision.park(event.clone());
                }
            }
            Ok(match &checkpoint {
                Some((name, last)) => decision.checkpoint(name.as_str(), *last),
                None => decision,
            })
        })
    }
}

/// An event that waits behind nothing: an operator has freed its key since the reaction last looked. The chunk is
/// read again, and then the event is applied.
fn freed(event: &Parked) -> Rejection {
    Rejection::new("KEY_FREED", format!("nothing of {} is parked any more", event.stream))
}

/// The inbox mark that says that `reaction` has applied `event`.
pub(crate) fn mark(reaction: &str, event: &FeedEvent) -> InboxMark {
    InboxMark {
        reaction: reaction.into(),
        source: event.source.as_str().into(),
        stream: event.stream.as_str().into(),
        sequence: event.public_seq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(feed_seq: u64, stream: &str, kind: &str) -> FeedEvent {
        let (stream, kind) = (stream.to_owned(), kind.to_owned());
        FeedEvent { feed_seq, source: "shop".into(), stream, kind, ..FeedEvent::default() }
    }

    fn numbers<'a>(events: impl IntoIterator<Item = &'a FeedEvent>) -> Vec<u64> {
        events.into_iter().map(|event| event.feed_seq).collect()
    }

    /// `a:w b:-` is a wanted event of the key a and an unwanted one of b.
    fn plan(text: &str) -> String {
        let events: Vec<_> = text
            .split_whitespace()
            .zip(1..)
            .map(|(word, number)| {
                let (stream, kind) = word.split_once(':').expect("key:kind");
                event(number, stream, kind)
            })
            .collect();
        let plan = Plan::of(events.iter(), |event| event.kind == "w");
        let steps: Vec<_> = plan
            .steps
            .iter()
            .map(|step| match step {
                Step::Skip(events) => format!("skip{:?}", numbers(events.iter().copied())),
                Step::Apply(event) => format!("apply[{}]", event.feed_seq),
            })
            .collect();
        format!("{} rest{:?}", steps.join(" "), numbers(plan.rest))
    }

    #[test]
    fn unwanted_events_share_a_commit_and_each_key_keeps_its_order() {
        assert_eq!(plan("a:- b:- c:-"), " rest[1, 2, 3]");
        assert_eq!(plan("a:w b:- a:w"), "apply[1] apply[3] rest[2]");
        assert_eq!(plan("a:- b:- a:w b:w"), "skip[1, 2] apply[3] apply[4] rest[]");
        assert_eq!(plan("a:- a:w b:- b:w a:-"), "skip[1, 3] apply[2] apply[4] rest[5]");
        assert_eq!(plan("a:w a:- a:w b:w"), "apply[1] apply[4] skip[2] apply[3] rest[]");
        assert_eq!(plan(""), " rest[]");
    }

    #[test]
    fn only_what_follows_without_a_hole_is_taken() {
        let check = |last: u64, given: &[u64], taken: &[u64], is_whole: bool| {
            let given = given.iter().map(|number| event(*number, "a", "w")).collect();
            let (events, fault) = consecutive("shop", last, given);
            assert_eq!((numbers(&events), fault.is_ok()), (taken.to_vec(), is_whole));
        };
        check(0, &[1, 2, 3], &[1, 2, 3], true);
        check(2, &[1, 2, 2], &[], true);
        check(2, &[2, 4, 3, 3], &[3, 4], true);
        check(2, &[3, 5, 6], &[3], false);
        check(2, &[4], &[], false);
        check(0, &[], &[], true);
        let foreign = FeedEvent { source: "other".into(), ..event(1, "a", "w") };
        let (events, fault) = consecutive("shop", 0, vec![foreign]);
        assert!(events.is_empty() && fault.expect_err("not ours").message().contains("other"));
    }

    #[test]
    fn a_missing_number_of_a_key_begins_a_new_run() {
        let numbered = |public_seq, stream| FeedEvent { public_seq, ..event(public_seq, stream, "-") };
        let events = [numbered(1, "a"), numbered(1, "b"), numbered(2, "a"), numbered(4, "a")];
        let moves = Moves::of("test").skip(&events.iter().collect::<Vec<_>>());
        let runs: Vec<_> =
            moves.runs.iter().map(|run| (&*run.mark.stream, run.first, run.mark.sequence)).collect();
        assert_eq!(runs, [("a", 1, 2), ("b", 1, 1), ("a", 4, 4)]);
    }
}
