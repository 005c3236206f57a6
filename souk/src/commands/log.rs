//! `souk log`: what is recorded about one thing, in order.
use crate::failure::{Failure, exit};
use crate::verify::rest;
use crate::{output, settings};
use clap::{Args, ValueEnum};
use souk_eventstore::{Recorded, StreamId};
use souk_kernel::Timestamp;
use std::path::{Path, PathBuf};

/// Show the events of a stream, oldest first.
///
/// A stream is named by its id (ord_01j…) or in full (order/ord_01j…). Works while the shop runs and when
/// it does not. Example: souk log ord_01j… --as-of 2026-11-21T12:00:00Z
#[derive(Args)]
pub struct Log {
    /// The stream: an id such as ord_…, or category/id
    stream: String,
    /// Only what was recorded until then (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = |text: &str| Timestamp::parse(text))]
    as_of: Option<Timestamp>,
    /// The data folder of the shop [default: ./souk-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Jsonl,
}

impl Log {
    /// Prints the events.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let flag = self.data.as_ref().map(|data| data.display().to_string());
        let data = settings::data_dir(&settings::load(file, &[("data.dir", flag)])?);
        let events = find(&data, &self.stream)?;
        let until = self.as_of.unwrap_or(Timestamp::from_unix_us(i64::MAX));
        let shown: Vec<_> = events.iter().filter(|event| event.time <= until).collect();
        if shown.is_empty() {
            let message = format!(
                "there is no stream {} in {}{}",
                self.stream,
                data.display(),
                self.as_of.map_or(String::new(), |t| format!(" as of {t}"))
            );
            return Err(Failure::new(exit::GENERIC, message));
        }
        output::note(&format!("{}: {} events", events[0].stream, shown.len()));
        match self.output {
            Format::Jsonl => shown.iter().for_each(|event| output::line(&json(event))),
            Format::Table => {
                let rows: Vec<_> = shown.iter().map(|event| row(event)).collect();
                output::print(&output::table(&["version", "time", "event", "actor", "data"], &rows));
            }
        }
        Ok(())
    }
}

/// The kinds of streams that each service keeps, the ones that people ask for first.
const CATEGORIES: &[(&str, &[&str])] = &[
    ("order", &["order", "quote", "errand", "return"]),
    ("cart", &["cart"]),
    ("catalog", &["product", "price"]),
    ("payment", &["payment"]),
    ("inventory", &["reservation", "receipt", "adjustment"]),
    ("provider", &["authorization"]),
    ("shipping", &["fulfilment", "shipment", "rate", "carrier_notice"]),
    ("carrier", &["parcel"]),
    ("notification", &["inbox", "preferences", "delivery", "endpoint"]),
];
/// The most events that are shown of one stream.
const EVENTS_MAX: usize = 100_000;

/// The events of the stream in whichever store has it. A bare id is looked for under every kind.
fn find(data: &Path, stream: &str) -> Result<Vec<Recorded>, Failure> {
    let mut opened = false;
    for (role, categories) in CATEGORIES {
        if !rest::path(data, role).exists() {
            continue;
        }
        opened = true;
        let audit = rest::open(data, role)?;
        let named = stream.contains('/').then(|| StreamId::parse(stream)).flatten();
        let candidates = match named {
            Some(name) => vec![name],
            None => categories.iter().map(|category| StreamId::new(category, stream)).collect(),
        };
        for candidate in candidates {
            let events = audit.read_stream(&candidate, 0, EVENTS_MAX).map_err(rest::unreadable)?;
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }
    if opened {
        Ok(Vec::new())
    } else {
        Err(Failure::new(exit::UNAVAILABLE, format!("{} holds no shop", data.display())))
    }
}

fn row(event: &Recorded) -> Vec<String> {
    vec![
        event.version.to_string(),
        event.time.to_string(),
        format!("{}.v{}", event.kind, event.schema),
        event.actor.to_string(),
        shortened(&event.data),
    ]
}

/// Long data is cut in the table; `--output jsonl` has all of it.
fn shortened(data: &str) -> String {
    const SHOWN_MAX: usize = 160;
    if data.chars().count() <= SHOWN_MAX {
        return data.to_owned();
    }
    data.chars().take(SHOWN_MAX).chain(['…']).collect()
}

fn json(event: &Recorded) -> String {
    let data: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
    serde_json::json!({
        "stream": event.stream.as_str(),
        "version": event.version,
        "position": event.position.get(),
        "time": event.time.to_string(),
        "event": event.kind,
        "schema": event.schema,
        "actor": event.actor,
        "correlation": event.correlation,
        "causation": event.causation,
        "data": data,
    })
    .to_string()
}
