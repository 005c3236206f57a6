//! What operators see of the services and do about them (`souk.ops.v1`). Every process answers for its own services
//! and asks the others' processes for theirs, so that it does not matter which one is asked; the caller's token
//! travels along, and each process checks it again. A service has no code of its own for this: its sagas and
//! reactions are found among its processes.
use souk_bus::{Reaction, Redrive};
use souk_kernel::{Code, Error, Invalid};
use souk_rpc::ops::{
    GetSagaRequest, GetSagaResponse, InterveneRequest, InterveneResponse, ListParkedRequest,
    ListParkedResponse, ListSagasRequest, ListSagasResponse, OperationsService, ParkedKey, RedriveRequest,
    RedriveResponse, Redriven, Saga, SagaStatus, SagaStep,
};
use souk_rpc::{BoxFuture, Cx, Peers, Result, time};
use souk_saga::{Desk, Intervention, Operation, Phase, SagaShown, Standing, StepShown, views};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

/// The contract's full name.
pub const OPERATIONS: &str = "souk.ops.v1.OperationsService";
/// The audience of tokens that are for operations alone; those of people count here, too.
pub(crate) const AUDIENCE: &str = "ops";

const SAGAS_LISTED: u32 = 100;
const SAGAS_LISTED_MAX: u32 = 1_000;
const REASON_CHARS_MAX: usize = 500;
const OPERATION_ID_CHARS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 200;

/// The name under which the process that has a service is found among the peers.
pub fn operations_name(service: &str) -> String {
    format!("{OPERATIONS}@{service}")
}

/// What an operator can do something about.
pub enum Operable {
    /// The sagas of a service.
    Sagas(Arc<dyn Desk>),
    /// A reaction, whose parked events can be redriven.
    Reaction(Box<Reaction>),
}

/// What one service has of it.
#[derive(Default)]
pub(crate) struct Desks {
    sagas: Vec<Arc<dyn Desk>>,
    reactions: Vec<Reaction>,
}

impl Desks {
    pub(crate) fn add(&mut self, operable: Operable) {
        match operable {
            Operable::Sagas(desk) => self.sagas.push(desk),
            Operable::Reaction(reaction) => self.reactions.push(*reaction),
        }
    }
}

/// Answers operators.
pub(crate) struct Operations {
    own: BTreeMap<&'static str, Desks>,
    peers: Peers,
}

/// What the answers of several services are put together from.
struct Gathered<T> {
    answers: Vec<T>,
    services: Vec<String>,
    silent: Vec<String>,
}

impl Operations {
    pub(crate) fn new(own: BTreeMap<&'static str, Desks>, peers: Peers) -> Self {
        Self { own, peers }
    }

    /// The services that are asked: the named one or all, those of other processes only unless `here`.
    fn asked(&self, service: &str, here: bool) -> Result<BTreeSet<String>> {
        let mut known: BTreeSet<String> = self.own.keys().map(|name| (*name).to_owned()).collect();
        if !here {
            let prefix = operations_name("");
            known.extend(
                self.peers.services().iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned),
            );
        }
        if service.is_empty() {
            return Ok(known);
        }
        known.retain(|name| name == service);
        if known.is_empty() { Err(no_service(service)) } else { Ok(known) }
    }

    /// Asks each service, side by side. One that does not answer is named, unless it alone was asked.
    async fn gather<T, F: Future<Output = Result<T>>>(
        &self,
        service: &str,
        here: bool,
        ask: impl Fn(String) -> F,
    ) -> Result<Gathered<T>> {
        let names = self.asked(service, here)?;
        let answers = futures_util::future::join_all(names.iter().cloned().map(ask)).await;
        let mut gathered = Gathered { answers: Vec::new(), services: Vec::new(), silent: Vec::new() };
        for (name, answer) in names.into_iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    gathered.answers.push(answer);
                    gathered.services.push(name);
                }
                Err(error) if service.is_empty() && passes(&error) => gathered.silent.push(name),
                Err(error) => return Err(error),
            }
        }
        Ok(gathered)
    }

    /// Asks the process that has the service.
    async fn elsewhere<Q: prost::Message, A: prost::Message + Default>(
        &self,
        method: &str,
        cx: &Cx,
        service: &str,
        request: Q,
    ) -> Result<A> {
        let there = self.peers.bytes(&operations_name(service)).ok_or_else(|| no_service(service))?;
        let cx = cx.for_call(cx.token().cloned());
        let answer = there.call(method, cx, request.encode_to_vec().into()).await?.one().await?;
        A::decode(answer).map_err(Error::internal)
    }

    async fn list_of(
        &self,
        cx: &Cx,
        service: String,
        request: &ListSagasRequest,
    ) -> Result<ListSagasResponse> {
        let Some(desks) = self.own.get(service.as_str()) else {
            let request = ListSagasRequest { service: service.clone(), here: true, ..request.clone() };
            return self.elsewhere("ListSagas", cx, &service, request).await;
        };
        let mut answer = ListSagasResponse::default();
        for desk in &desks.sagas {
            let open = desk.open(request.only_stuck, limit(request.limit)).await?;
            answer.sagas.extend(open.listed.iter().map(|row| listed(&service, row)));
            answer.open += open.open;
            answer.stuck += open.stuck;
        }
        Ok(answer)
    }

    async fn list(&self, cx: Cx, request: ListSagasRequest) -> Result<ListSagasResponse> {
        let ask = |service| self.list_of(&cx, service, &request);
        let gathered = self.gather(&request.service, request.here, ask).await?;
        let (services, silent) = (gathered.services, gathered.silent);
        let mut all = ListSagasResponse { services, silent, ..ListSagasResponse::default() };
        for answer in gathered.answers {
            all.sagas.extend(answer.sagas);
            all.open += answer.open;
            all.stuck += answer.stuck;
        }
        Ok(all)
    }

    async fn show(&self, cx: Cx, request: GetSagaRequest) -> Result<GetSagaResponse> {
        let mut invalid = Invalid::new();
        named(&mut invalid, "service", &request.service);
        named(&mut invalid, "id", &request.id);
        invalid.finish(Some(()))?;
        match self.own.get(request.service.as_str()) {
            Some(desks) => {
                Ok(GetSagaResponse { sagas: shown_by(desks, &request.service, &request.id).await? })
            }
            None if request.here => Err(no_service(&request.service)),
            None => {
                let service = request.service.clone();
                self.elsewhere("GetSaga", &cx, &service, GetSagaRequest { here: true, ..request }).await
            }
        }
    }

    async fn act(
        &self,
        cx: Cx,
        operation: Operation,
        request: InterveneRequest,
    ) -> Result<InterveneResponse> {
        let intervention = intervention(&cx, operation, &request)?;
        let Some(desks) = self.own.get(request.service.as_str()) else {
            if request.here {
                return Err(no_service(&request.service));
            }
            let (method, service) = (method_of(operation), request.service.clone());
            return self.elsewhere(method, &cx, &service, InterveneRequest { here: true, ..request }).await;
        };
        let desk = desk_of(desks, &request.id).await?;
        desk.intervene(&request.id, intervention, &request.operation_id).await?;
        tracing::info!(
            event.name = "audit.saga",
            service = request.service,
            id = request.id,
            operation = %operation,
            operation_id = request.operation_id,
            "an operator moved a saga"
        );
        Ok(InterveneResponse { sagas: shown_by(desks, &request.service, &request.id).await? })
    }

    async fn parked_of(&self, cx: &Cx, service: String) -> Result<ListParkedResponse> {
        let Some(desks) = self.own.get(service.as_str()) else {
            let request = ListParkedRequest { service: service.clone(), here: true };
            return self.elsewhere("ListParked", cx, &service, request).await;
        };
        let mut answer = ListParkedResponse::default();
        for reaction in &desks.reactions {
            let keys = reaction.parked_keys().await?;
            answer.keys.extend(keys.into_iter().map(|key| parked(&service, reaction.name(), key)));
        }
        Ok(answer)
    }

    async fn parked(&self, cx: Cx, request: ListParkedRequest) -> Result<ListParkedResponse> {
        let gathered = self.gather(&request.service, request.here, |name| self.parked_of(&cx, name)).await?;
        let keys = gathered.answers.into_iter().flat_map(|answer| answer.keys).collect();
        Ok(ListParkedResponse { keys, services: gathered.services, silent: gathered.silent })
    }

    async fn redrive_key(&self, cx: Cx, request: RedriveRequest) -> Result<RedriveResponse> {
        let wish = wish(&cx, &request)?;
        let Some(desks) = self.own.get(request.service.as_str()) else {
            if request.here {
                return Err(no_service(&request.service));
            }
            let service = request.service.clone();
            return self.elsewhere("Redrive", &cx, &service, RedriveRequest { here: true, ..request }).await;
        };
        let meant = |reaction: &&Reaction| request.reaction.is_empty() || reaction.name() == request.reaction;
        let mut results = Vec::new();
        for reaction in desks.reactions.iter().filter(meant) {
            match reaction.redrive(&wish).await {
                Ok(outcome) => results.push(redriven(reaction.name(), outcome)),
                // Another reaction of the service may have parked it.
                Err(error) if error.reason() == "KEY_NOT_PARKED" => {}
                Err(error) => return Err(error),
            }
        }
        if results.is_empty() {
            let what = format!("nothing of {} is parked by {}", request.key, request.service);
            return Err(Error::new(Code::NotFound, "KEY_NOT_PARKED", what));
        }
        tracing::info!(
            event.name = "audit.redrive",
            service = request.service,
            key = request.key,
            operation_id = request.operation_id,
            "an operator redrove a key"
        );
        Ok(RedriveResponse { results })
    }
}

impl OperationsService for Operations {
    fn list_sagas(&self, cx: Cx, request: ListSagasRequest) -> BoxFuture<'_, Result<ListSagasResponse>> {
        Box::pin(self.list(cx, request))
    }

    fn get_saga(&self, cx: Cx, request: GetSagaRequest) -> BoxFuture<'_, Result<GetSagaResponse>> {
        Box::pin(self.show(cx, request))
    }

    fn retry_saga(&self, cx: Cx, request: InterveneRequest) -> BoxFuture<'_, Result<InterveneResponse>> {
        Box::pin(self.act(cx, Operation::Retry, request))
    }

    fn skip_step(&self, cx: Cx, request: InterveneRequest) -> BoxFuture<'_, Result<InterveneResponse>> {
        Box::pin(self.act(cx, Operation::Skip, request))
    }

    fn resolve_saga(&self, cx: Cx, request: InterveneRequest) -> BoxFuture<'_, Result<InterveneResponse>> {
        Box::pin(self.act(cx, Operation::Resolve, request))
    }

    fn list_parked(&self, cx: Cx, request: ListParkedRequest) -> BoxFuture<'_, Result<ListParkedResponse>> {
        Box::pin(self.parked(cx, request))
    }

    fn redrive(&self, cx: Cx, request: RedriveRequest) -> BoxFuture<'_, Result<RedriveResponse>> {
        Box::pin(self.redrive_key(cx, request))
    }
}

fn method_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Retry => "RetrySaga",
        Operation::Skip => "SkipStep",
        Operation::Resolve => "ResolveSaga",
    }
}

/// Whether somebody else may answer although this one does not.
fn passes(error: &Error) -> bool {
    matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted)
}

fn no_service(service: &str) -> Error {
    Error::new(Code::NotFound, "NOT_FOUND", format!("there is no service {service} here"))
}

fn limit(asked: u32) -> u32 {
    match asked {
        0 => SAGAS_LISTED,
        asked => asked.min(SAGAS_LISTED_MAX),
    }
}

/// Notes it when the text is empty or longer than it may be.
fn within(invalid: &mut Invalid, field: &str, text: &str, chars_max: usize) {
    if text.trim().is_empty() || text.chars().count() > chars_max {
        invalid.add(field, format!("must be 1 to {chars_max} characters"));
    }
}

fn named(invalid: &mut Invalid, field: &str, text: &str) {
    within(invalid, field, text, NAME_CHARS_MAX);
}

fn intervention(cx: &Cx, operation: Operation, request: &InterveneRequest) -> Result<Intervention> {
    let mut invalid = Invalid::new();
    named(&mut invalid, "service", &request.service);
    named(&mut invalid, "id", &request.id);
    if !request.step.is_empty() {
        named(&mut invalid, "step", &request.step);
    }
    within(&mut invalid, "reason", &request.reason, REASON_CHARS_MAX);
    within(&mut invalid, "operationId", &request.operation_id, OPERATION_ID_CHARS_MAX);
    invalid.finish(Some(()))?;
    Ok(Intervention {
        operation,
        step: Some(request.step.clone()).filter(|step| !step.is_empty()),
        by: cx.principal()?.subject.clone(),
        reason: request.reason.clone(),
    })
}

fn wish(cx: &Cx, request: &RedriveRequest) -> Result<Redrive> {
    let mut invalid = Invalid::new();
    named(&mut invalid, "service", &request.service);
    named(&mut invalid, "key", &request.key);
    within(&mut invalid, "reason", &request.reason, REASON_CHARS_MAX);
    within(&mut invalid, "operationId", &request.operation_id, OPERATION_ID_CHARS_MAX);
    invalid.finish(Some(()))?;
    Ok(Redrive {
        key: request.key.clone(),
        by: cx.principal()?.subject.clone(),
        reason: request.reason.clone(),
        operation_id: request.operation_id.clone(),
    })
}

/// The desk that knows the thing.
async fn desk_of<'a>(desks: &'a Desks, id: &str) -> Result<&'a Arc<dyn Desk>> {
    for desk in &desks.sagas {
        match desk.show(id).await {
            Ok(_) => return Ok(desk),
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::not_found("a thing with sagas and this id"))
}

async fn shown_by(desks: &Desks, service: &str, id: &str) -> Result<Vec<Saga>> {
    let shown = desk_of(desks, id).await?.show(id).await?;
    Ok(shown.into_iter().map(|saga| in_full(service, saga)).collect())
}

fn id_of(stream: &str) -> String {
    stream.split_once('/').map_or(stream, |(_, id)| id).to_owned()
}

fn listed(service: &str, row: &views::Listed) -> Saga {
    let status = if row.step.is_empty() { SagaStatus::Running } else { SagaStatus::Stuck };
    Saga {
        service: service.to_owned(),
        id: id_of(&row.stream),
        stream: row.stream.clone(),
        saga: row.saga.clone(),
        status: status.into(),
        step: row.step.clone(),
        reason: row.reason.clone(),
        since: Some(time::to_proto(row.since)),
        steps: Vec::new(),
    }
}

fn in_full(service: &str, shown: SagaShown) -> Saga {
    let SagaShown { stream, saga, phase, stuck, steps } = shown;
    let (status, reason) = match phase {
        Phase::NotStarted => (SagaStatus::Unspecified, String::new()),
        Phase::Forward => (SagaStatus::Running, String::new()),
        Phase::Undoing(reason) => (SagaStatus::Undoing, reason),
        Phase::Completed => (SagaStatus::Completed, String::new()),
        Phase::Undone(reason) => (SagaStatus::Undone, reason),
        Phase::Abandoned(reason) => (SagaStatus::Abandoned, reason),
    };
    let (status, step, reason) = match stuck {
        Some(stuck) => (SagaStatus::Stuck, stuck.step, stuck.reason),
        None => (status, String::new(), reason),
    };
    Saga {
        service: service.to_owned(),
        id: id_of(&stream),
        stream,
        saga: saga.to_owned(),
        status: status.into(),
        step,
        reason,
        since: None,
        steps: steps.iter().map(step_message).collect(),
    }
}

fn step_message(shown: &StepShown) -> SagaStep {
    let standing = match shown.standing {
        Standing::Open => "open",
        Standing::Done => "done",
        Standing::Refused => "refused",
        Standing::Undone => "undone",
        Standing::Skipped => "skipped",
    };
    let outstanding = shown.outstanding.map(|direction| direction.to_string()).unwrap_or_default();
    SagaStep { step: shown.step.to_owned(), standing: standing.to_owned(), outstanding }
}

fn parked(service: &str, reaction: &str, key: souk_eventstore::ParkedKey) -> ParkedKey {
    ParkedKey {
        service: service.to_owned(),
        reaction: reaction.to_owned(),
        source: key.source.to_string(),
        key: key.stream.to_string(),
        first: key.first,
        count: key.events,
        reason: key.reason,
        since: Some(time::to_proto(key.since)),
    }
}

fn redriven(reaction: &str, outcome: souk_bus::Redriven) -> Redriven {
    Redriven {
        reaction: reaction.to_owned(),
        applied: outcome.applied,
        left: outcome.left,
        poison: outcome.poison.unwrap_or_default(),
    }
}
