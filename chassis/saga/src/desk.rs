//! The desk at which a person sees the sagas of one service and does something about those that are stuck. An
//! act is a commit like any other: the runner sees it in the log and goes on at once.
use crate::runner::{Runner, Saga};
use crate::{Definition, Direction, Intervention, Phase, Progress, Standing, Stuck, views};
use souk_decider::Aggregate;
use souk_eventstore::{CommitId, Origin, StreamId, Work};
use souk_kernel::Error;
use souk_rpc::BoxFuture;

/// The sagas of one service, for its operators.
pub trait Desk: Send + Sync + 'static {
    /// The open sagas, or only those that wait for a person, at most `limit` of them; the longest unmoved first.
    fn open(&self, only_stuck: bool, limit: u32) -> BoxFuture<'_, Result<OpenSagas, Error>>;

    /// The sagas of one thing, named by its id or its stream, with every step.
    ///
    /// # Errors
    /// NOT_FOUND when there is no such thing here.
    fn show(&self, id: &str) -> BoxFuture<'_, Result<Vec<SagaShown>, Error>>;

    /// Does something about the saga that is stuck. The same `operation_id` does it once.
    ///
    /// # Errors
    /// NOT_FOUND, and what [`Progress::intervene`] says.
    fn intervene(
        &self,
        id: &str,
        intervention: Intervention,
        operation_id: &str,
    ) -> BoxFuture<'_, Result<(), Error>>;
}

/// What is open at one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenSagas {
    /// As many as were asked for.
    pub listed: Vec<views::Listed>,
    /// How many sagas are open in all.
    pub open: u64,
    /// How many of them wait for a person.
    pub stuck: u64,
}

/// One saga and its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct SagaShown {
    /// The stream that it is about.
    pub stream: String,
    /// The saga's name.
    pub saga: &'static str,
    /// Which way it goes.
    pub phase: Phase,
    /// The person's work that it waits for.
    pub stuck: Option<Stuck>,
    /// Its steps, in order.
    pub steps: Vec<StepShown>,
}

/// One step of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepShown {
    /// Its name.
    pub step: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What is being tried, or waits for a person, if anything is.
    pub outstanding: Option<Direction>,
}

impl<S: Saga> Desk for Runner<S> {
    fn open(&self, only_stuck: bool, limit: u32) -> BoxFuture<'_, Result<OpenSagas, Error>> {
        let (store, category) = (&self.0.store, <S::State as Aggregate>::CATEGORY);
        Box::pin(async move {
            let rows = store.query(views::list(category, only_stuck, limit)).await?;
            let counts = store.query(views::count_open_of(category)).await?;
            let count = |column| counts.first().map_or(0, |row| row.get::<i64>(column).unsigned_abs());
            Ok(OpenSagas {
                listed: rows.iter().map(views::listed).collect(),
                open: count(0),
                stuck: count(1),
            })
        })
    }

    fn show(&self, id: &str) -> BoxFuture<'_, Result<Vec<SagaShown>, Error>> {
        let stream = stream_of::<S::State>(id);
        Box::pin(async move {
            let stream = stream?;
            let state = self.0.store.state::<S::State>(&stream).await?;
            let begun = self.0.saga.sagas(&state).into_iter();
            let begun = begun.filter(|(_, progress)| *progress.phase() != Phase::NotStarted);
            let shown: Vec<_> =
                begun.map(|(definition, progress)| shown(&stream, definition, progress)).collect();
            if shown.is_empty() { Err(unknown()) } else { Ok(shown) }
        })
    }

    fn intervene(
        &self,
        id: &str,
        intervention: Intervention,
        operation_id: &str,
    ) -> BoxFuture<'_, Result<(), Error>> {
        let stream = stream_of::<S::State>(id);
        let operation_id = operation_id.to_owned();
        Box::pin(async move {
            let (stream, inner) = (stream?, self.0.clone());
            if self.0.store.state::<S::State>(&stream).await?.version() == 0 {
                return Err(unknown());
            }
            let origin = Origin::by(intervention.by.as_str()).causation(operation_id.as_str());
            let id = commit_id(&operation_id, &stream, &intervention);
            let work = Work::new(id, origin).read::<S::State>(&stream).decide(move |facts, now| {
                let state = facts.state::<S::State>(&stream);
                Ok(inner.saga.intervene(&state, &intervention, now)?.decision(&stream))
            });
            self.0.store.commit(work).await?;
            Ok(())
        })
    }
}

/// The same act said twice is one, also with a new token; another under the same id is another.
fn commit_id(operation_id: &str, stream: &StreamId, intervention: &Intervention) -> CommitId {
    let Intervention { operation, step, by: _, reason } = intervention;
    let step = step.as_deref().unwrap_or_default();
    CommitId::derived(&["intervene", operation_id, stream.as_str(), &operation.to_string(), step, reason])
}

/// A bare id is one of the things that the service's sagas are about.
fn stream_of<A: Aggregate>(id: &str) -> Result<StreamId, Error> {
    let stream = match id.contains('/') {
        true => StreamId::parse(id).ok_or_else(unknown)?,
        false => StreamId::of::<A>(id),
    };
    if stream.category() == A::CATEGORY { Ok(stream) } else { Err(unknown()) }
}

fn unknown() -> Error {
    Error::not_found("a thing with sagas and this id")
}

fn shown(stream: &StreamId, definition: &Definition, progress: &Progress) -> SagaShown {
    let todo = progress.todo(definition);
    let direction =
        |step: &str| todo.iter().find(|intent| intent.step == step).map(|intent| intent.direction);
    let steps = definition.steps().iter().map(|step| StepShown {
        step: step.name,
        standing: progress.standing(step.name),
        outstanding: direction(step.name),
    });
    SagaShown {
        stream: stream.as_str().to_owned(),
        saga: definition.name(),
        phase: progress.phase().clone(),
        stuck: progress.stuck().cloned(),
        steps: steps.collect(),
    }
}
