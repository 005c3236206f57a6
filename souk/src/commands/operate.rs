//! `souk sagas`, `souk saga`, `souk parked`, `souk redrive`: what waits for a person in a running shop, and what that
//! person does about it. Each change is an event in the log of the service concerned; `souk log` shows it.
use super::reach::Place;
use crate::failure::{Failure, exit};
use crate::output;
use crate::rest::{Rest, RestError, encode, patiently};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use souk_host::Environment;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

/// List the sagas that have not ended, those that have stood still the longest first.
///
/// A saga that is stuck waits for a person: see it with `souk saga show ID`. Works on a running shop; the totals
/// of a stopped one are told by `souk verify`. Example: souk sagas --stuck
#[derive(Args)]
pub struct Sagas {
    /// Only those that wait for a person
    #[arg(long)]
    stuck: bool,
    /// Only those of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// How many of each service at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    shown: Shown,
}

/// See one saga step by step, or do something about one that waits for a person.
///
/// What is done is kept in the log for ever, with the reason: write nothing about a person into it.
/// Example: souk saga skip ord_01j… --reason "captured at the provider by hand"
#[derive(Args)]
pub struct Saga {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Show the sagas of a thing, step by step
    ///
    /// Example: souk saga show ord_01j…
    Show(Show),
    /// Try the step again at once, under the same key; a refusal that was recorded stands
    ///
    /// Example: souk saga retry ord_01j… --reason "the provider answers again"
    Retry(Intervene),
    /// Let the step count as done, because it was settled in another way; never the step that decides
    ///
    /// Example: souk saga skip ord_01j… --step capture --reason "captured at the provider by hand"
    Skip(Intervene),
    /// End the saga, because all it has left to do was settled in another way
    ///
    /// Example: souk saga resolve ord_01j… --reason "money and stock were given back by hand"
    Resolve(Intervene),
}

#[derive(Args)]
struct Show {
    /// What the saga is about: an order's id, or its stream
    #[arg(value_name = "ID")]
    id: String,
    /// The service whose saga it is; without it every service is asked
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Args)]
struct Intervene {
    #[command(flatten)]
    show: Show,
    /// Why: it is kept in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// At which step; without it, the one at which the saga waits
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Do not ask for a confirmation
    #[arg(long)]
    yes: bool,
}

/// List the keys whose events a service could not apply.
///
/// The first event of a key is the one at fault, the others wait behind it; other keys flow. Put right what is wrong,
/// then have them applied with `souk redrive`. Example: souk parked --service cart
#[derive(Args)]
pub struct Parked {
    /// Only those of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Have the parked events of a key applied, in order, by the service as it is now.
///
/// It stops at the first event that cannot be applied as ever, and says why; that one and those behind it stay
/// parked. Exit code 1: something is left. Example: souk redrive order/ord_01j… --reason "release 1.4 reads it"
#[derive(Args)]
pub struct Redrive {
    /// The key, as `souk parked` shows it
    #[arg(value_name = "KEY")]
    key: String,
    /// Why: it is kept in the log
    #[arg(long, value_name = "TEXT", default_value = "redriven by hand")]
    reason: String,
    /// Only this service; without it every service that has parked the key
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only this reaction of the service
    #[arg(long, value_name = "NAME")]
    reaction: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Where the shop is, and how to print what it says.
#[derive(Args)]
struct Shown {
    #[command(flatten)]
    place: Place,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Jsonl,
}

/// The columns of a list and the fields that fill them.
type Columns<'a> = &'a [(&'a str, &'a str)];

const SAGA_COLUMNS: Columns<'static> = &[
    ("service", "service"),
    ("id", "id"),
    ("saga", "saga"),
    ("status", "status"),
    ("step", "step"),
    ("since", "since"),
    ("reason", "reason"),
];
const STEP_COLUMNS: Columns<'static> = &[("step", "step"), ("is", "standing"), ("to do", "outstanding")];
const KEY_COLUMNS: Columns<'static> = &[
    ("service", "service"),
    ("reaction", "reaction"),
    ("key", "key"),
    ("first", "first"),
    ("events", "count"),
    ("since", "since"),
    ("reason", "reason"),
];
const REDRIVEN_COLUMNS: Columns<'static> = &[
    ("service", "service"),
    ("reaction", "reaction"),
    ("applied", "applied"),
    ("left", "left"),
    ("what is wrong with the next", "poison"),
];

impl Sagas {
    /// Prints the list.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let service = encode(self.service.as_deref().unwrap_or_default());
        let query = format!("service={service}&onlyStuck={}&limit={}", self.stuck, self.limit);
        let listed = self.shown.ask(file, async |rest| get(&rest, &format!("sagas?{query}")).await)?;
        self.shown.list(&listed, "sagas", SAGA_COLUMNS);
        tell_silent(&listed);
        let number = |name: &str| listed[name].as_str().unwrap_or("0").to_owned();
        output::note(&format!("open: {}, waiting for a person: {}", number("open"), number("stuck")));
        Ok(())
    }
}

impl Saga {
    /// Does what was asked, and prints how the saga stands then.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self.act {
            Act::Show(show) => show.run(file),
            Act::Retry(intervene) => intervene.run(file, "retry"),
            Act::Skip(intervene) => {
                intervene.confirm("The step will count as done although the saga has not done it.")?;
                intervene.run(file, "skip")
            }
            Act::Resolve(intervene) => {
                intervene.confirm("The saga ends here; nobody will do what it has left to do.")?;
                intervene.run(file, "resolve")
            }
        }
    }
}

impl Show {
    fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let found = self.shown.ask(file, async |rest| self.find(&rest).await)?;
        self.print(&found.1);
        Ok(())
    }

    /// Part of a path: a stream is named by its id alone.
    fn id(&self) -> String {
        encode(self.id.rsplit('/').next().unwrap_or(&self.id))
    }

    /// The service that has the saga, and what it says of it.
    async fn find(&self, rest: &Rest) -> Result<(String, Value), Failure> {
        let services = match &self.service {
            Some(service) => vec![service.clone()],
            None => {
                let known = get(rest, "sagas?limit=1").await?;
                tell_silent(&known);
                texts(&known["services"])
            }
        };
        for service in services {
            let path = format!("{ROOT}/{}/sagas/{}", encode(&service), self.id());
            match patiently(|| rest.get(&path)).await {
                Ok(answer) => return Ok((service, answer.body)),
                Err(RestError::Problem { status: 404, .. }) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        let what = format!("no service has a saga of {}; `souk sagas` lists those that are open", self.id);
        Err(Failure::new(exit::GENERIC, what))
    }

    fn print(&self, answer: &Value) {
        let sagas = items(answer, "sagas");
        match self.shown.output {
            Format::Json => output::line(&answer.to_string()),
            Format::Jsonl => sagas.iter().for_each(|saga| output::line(&saga.to_string())),
            Format::Table => sagas.iter().for_each(|saga| output::print(&in_full(saga))),
        }
    }
}

impl Intervene {
    fn run(self, file: Option<&Path>, verb: &str) -> Result<(), Failure> {
        let body = json!({
            "step": self.step.clone().unwrap_or_default(),
            "reason": self.reason,
            "operationId": operation_id(),
        });
        let answer = self.show.shown.ask(file, async |rest| {
            let (service, _) = self.show.find(&rest).await?;
            let path = format!("{ROOT}/{}/sagas/{}:{verb}", encode(&service), self.show.id());
            let done = patiently(|| rest.post(&path, &body)).await.map_err(failure)?;
            Ok(done.body)
        })?;
        self.show.print(&answer);
        let id = &self.show.id;
        output::note(&format!(
            "done and noted; `souk log {id}` tells of it, `souk saga show {id}` how it goes on"
        ));
        Ok(())
    }

    /// Asks a person whether this is meant; who has no terminal says so with `--yes`.
    fn confirm(&self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                exit::USAGE,
                "nobody can be asked whether this is meant; say so with --yes",
            ));
        }
        output::note(&format!("{what} Saga of {}: {}\nType yes to go on:", self.show.id, self.reason));
        let mut said = String::new();
        let read = std::io::stdin().lock().read_line(&mut said);
        read.map_err(|e| Failure::io("the terminal cannot be read", e))?;
        if said.trim() == "yes" { Ok(()) } else { Err(Failure::new(exit::GENERIC, "nothing was done")) }
    }
}

impl Parked {
    /// Prints the list.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let service = encode(self.service.as_deref().unwrap_or_default());
        let listed =
            self.shown.ask(file, async |rest| get(&rest, &format!("parked?service={service}")).await)?;
        self.shown.list(&listed, "keys", KEY_COLUMNS);
        tell_silent(&listed);
        output::note(&output::counted(items(&listed, "keys").len(), "parked key"));
        Ok(())
    }
}

impl Redrive {
    /// Redrives the key wherever it is parked, and prints what came of it.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let results = self.shown.ask(file, async |rest| self.redrive(&rest).await)?;
        self.shown.list(&results, "results", REDRIVEN_COLUMNS);
        let stays = items(&results, "results").iter().any(|result| result["left"] != "0");
        if stays {
            return Err(Failure::new(exit::GENERIC, format!("some events of {} are still parked", self.key)));
        }
        Ok(())
    }

    async fn redrive(&self, rest: &Rest) -> Result<Value, Failure> {
        let service = encode(self.service.as_deref().unwrap_or_default());
        let listed = get(rest, &format!("parked?service={service}")).await?;
        let keys = items(&listed, "keys").iter();
        let mut services =
            keys.filter(|key| key["key"] == *self.key).map(|key| key["service"].clone()).collect::<Vec<_>>();
        services.dedup();
        if services.is_empty() {
            tell_silent(&listed);
            let what = format!("nothing of {} is parked; `souk parked` lists the keys that are", self.key);
            return Err(Failure::new(exit::GENERIC, what));
        }
        let body = json!({
            "key": self.key,
            "reaction": self.reaction.clone().unwrap_or_default(),
            "reason": self.reason,
            "operationId": operation_id(),
        });
        let mut results = Vec::new();
        for service in services {
            let path = format!("{ROOT}/{}/parked:redrive", encode(service.as_str().unwrap_or_default()));
            let answer = rest.post(&path, &body).await.map_err(failure)?;
            results.extend(items(&answer.body, "results").iter().cloned().map(|mut result| {
                result["service"] = service.clone();
                result
            }));
        }
        Ok(json!({ "results": results }))
    }
}

impl Shown {
    /// Asks the running shop as one of its administrators.
    fn ask<T>(
        &self,
        file: Option<&Path>,
        ask: impl AsyncFnOnce(Rest) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        super::up::runtime()?.block_on(async { ask(self.place.administrator(file)?).await })
    }

    fn list(&self, answer: &Value, name: &str, columns: Columns<'_>) {
        let rows = items(answer, name);
        match self.output {
            Format::Json => output::line(&answer.to_string()),
            Format::Jsonl => rows.iter().for_each(|row| output::line(&row.to_string())),
            Format::Table if rows.is_empty() => {}
            Format::Table => output::print(&table(rows, columns)),
        }
    }
}

/// Where the operators' part of the API is.
const ROOT: &str = "/api/v1/ops";

async fn get(rest: &Rest, path: &str) -> Result<Value, Failure> {
    let path = format!("{ROOT}/{path}");
    let answer = patiently(|| rest.get(&path)).await.map_err(failure)?;
    Ok(answer.body)
}

/// Says what to do when there is no running shop.
fn failure(error: RestError) -> Failure {
    let is_away = matches!(error, RestError::Unreachable { .. });
    let failure = Failure::from(error);
    if !is_away {
        return failure;
    }
    let message = format!(
        "{}; this works on a running shop: start it with `souk up`, or name its address with --url. `souk verify` \
         and `souk log` read a stopped one",
        failure.message
    );
    Failure { message, ..failure }
}

fn operation_id() -> String {
    Environment::system().ids().uuid().to_base32()
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

fn texts(list: &Value) -> Vec<String> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What was not heard must not pass for nothing being there.
fn tell_silent(answer: &Value) {
    let silent = texts(&answer["silent"]);
    if !silent.is_empty() {
        output::note(&format!("no answer from {}: what waits there is not known", silent.join(", ")));
    }
}

fn table(rows: &[Value], columns: Columns<'_>) -> String {
    let header: Vec<_> = columns.iter().map(|(title, _)| *title).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|(_, field)| cell(&row[*field])).collect()).collect();
    output::table(&header, &rows)
}

/// Long reasons are cut; the other formats have all of it.
fn cell(value: &Value) -> String {
    const SHOWN_MAX: usize = 80;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = text.strip_prefix("SAGA_STATUS_").map_or_else(|| text.clone(), str::to_lowercase);
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}

/// One saga with its steps.
fn in_full(saga: &Value) -> String {
    let text = |name: &str| cell(&saga[name]);
    let mut head = format!("{} {} of {}: {}", text("service"), text("saga"), text("stream"), text("status"));
    for (what, name) in [("at", "step"), ("because of", "reason")] {
        if saga[name].as_str().is_some_and(|text| !text.is_empty()) {
            head.push_str(&format!(" {what} {}", text(name)));
        }
    }
    let steps = table(items(saga, "steps"), STEP_COLUMNS);
    let steps: String = steps.lines().map(|line| format!("  {line}\n")).collect();
    format!("{head}\n{steps}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_saga_is_shown_with_its_steps_and_why_it_waits() {
        let saga = json!({
            "service": "order", "saga": "place", "stream": "order/ord_1", "status": "SAGA_STATUS_STUCK",
            "step": "capture", "reason": "CAPTURE_REFUSED",
            "steps": [
                {"step": "commit", "standing": "done", "outstanding": ""},
                {"step": "capture", "standing": "refused", "outstanding": "do"},
            ],
        });
        let shown = "order place of order/ord_1: stuck at capture because of CAPTURE_REFUSED\n  \
                     step     is       to do\n  commit   done\n  capture  refused  do\n";
        assert_eq!(in_full(&saga), shown);
    }

    #[test]
    fn a_shop_that_is_away_is_said_to_be_so_with_what_to_do() {
        let away = RestError::Unreachable { url: "http://x".into(), detail: "refused".into() };
        let told = failure(away);
        assert_eq!(told.code, exit::UNAVAILABLE);
        assert!(told.message.contains("souk up") && told.message.contains("souk verify"), "{told}");
    }

    #[test]
    fn long_reasons_are_cut_in_tables() {
        assert_eq!(cell(&json!("x".repeat(200))).chars().count(), 81);
        assert_eq!(
            (cell(&json!("SAGA_STATUS_RUNNING")).as_str(), cell(&json!("3")).as_str()),
            ("running", "3")
        );
    }
}
