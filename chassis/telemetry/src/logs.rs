//! Logs: one event, one line. JSON for machines, pretty for a terminal.
//!
//! A line never breaks in two, whatever a field holds, and a closed pipe is not a panic. The panic hook that
//! [`init`] installs makes panics lines as well.
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// For people at a terminal.
    Pretty,
}

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For servers, whose only result is their log.
    Stdout,
    /// For tools, whose standard output is their result.
    Stderr,
}

impl Output {
    fn writer(self) -> Box<dyn Write> {
        match self {
            Output::Stdout => Box::new(io::stdout().lock()),
            Output::Stderr => Box::new(io::stderr().lock()),
        }
    }
}

/// Why the logs could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitError {
    /// The filter is not of the form `info,souk_order=debug`; what is wrong with it.
    Filter(String),
    /// Somebody set up the logs of this process before.
    Twice,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InitError::Filter(why) => write!(f, "the log filter must look like info,souk_order=debug: {why}"),
            InitError::Twice => f.write_str("the logs of this process were already set up"),
        }
    }
}

impl std::error::Error for InitError {}

/// The logs of this process; keeps the filter changeable.
#[derive(Clone)]
pub struct Logs(reload::Handle<EnvFilter, Registry>);

impl Logs {
    /// Replaces the filter, for example by `info,souk_order=debug`.
    pub fn set_filter(&self, filter: &str) -> Result<(), InitError> {
        let filter = parse(filter)?;
        self.0.reload(filter).map_err(|gone| InitError::Filter(gone.to_string()))
    }
}

/// Sets up the logs of this process, once.
pub fn init(format: Format, output: Output, filter: &str) -> Result<Logs, InitError> {
    init_with(format, output, filter, &[])
}

/// The same with facts that every JSON line carries, for example `service.name` and `service.version`.
pub fn init_with(
    format: Format,
    output: Output,
    filter: &str,
    facts: &[(&'static str, &str)],
) -> Result<Logs, InitError> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Json => Box::new(JsonLines { facts, sink: Arc::new(move |line| put(output, line)) }),
        Format::Pretty => {
            let pretty = tracing_subscriber::fmt::layer().with_writer(move || output.writer());
            Box::new(pretty.with_ansi(false).log_internal_errors(false))
        }
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(|_| InitError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logs(handle))
}

fn parse(filter: &str) -> Result<EnvFilter, InitError> {
    EnvFilter::builder().parse(filter).map_err(|e| InitError::Filter(e.to_string()))
}

/// Writes one whole line. A reader that went away is not our fault and not worth a panic.
fn put(output: Output, line: &[u8]) {
    let mut writer = output.writer();
    let _ = writer.write_all(line).and_then(|()| writer.flush());
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let reason = crate::panics::text(panic.payload());
    tracing::error!(event.name = "panic", location = place, reason, "a panic started");
}

/// Writes each event as one JSON object, with the fields of the spans around it.
struct JsonLines {
    facts: Map<String, Value>,
    sink: Sink,
}

/// Takes whole lines.
type Sink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The fields of one span, kept beside it.
struct SpanFields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().replace(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = ctx.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut::<SpanFields>()
        {
            known.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), Value::from(now()));
        line.insert("severity".to_owned(), Value::from(event.metadata().level().as_str()));
        line.insert("target".to_owned(), Value::from(event.metadata().target()));
        for span in ctx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(SpanFields(fields)) = span.extensions().get::<SpanFields>() {
                line.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        let mut fields = Fields(line);
        event.record(&mut fields);
        let mut line = fields.0;
        line.extend(self.facts.iter().map(|(name, value)| (name.clone(), value.clone())));
        let mut bytes = Value::Object(line).to_string().into_bytes();
        bytes.push(b'\n');
        (self.sink)(&bytes);
    }
}

/// The time of a log line. It decides nothing, so it is the one time that is not injected.
fn now() -> String {
    let mut text = String::new();
    let mut writer = tracing_subscriber::fmt::format::Writer::new(&mut text);
    match tracing_subscriber::fmt::time::SystemTime.format_time(&mut writer) {
        Ok(()) => text,
        Err(fmt::Error) => String::new(),
    }
}

/// Collects fields as JSON values; numbers and booleans stay what they are.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// The lines that `work` logs, as JSON.
    fn lines_of(work: impl FnOnce()) -> Vec<Value> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let facts = Map::from_iter([("service.name".to_owned(), Value::from("test"))]);
        let layer = JsonLines {
            facts,
            sink: Arc::new(move |line| sink.lock().expect("no panic while writing").extend_from_slice(line)),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = written.lock().expect("no panic while writing").clone();
        let text = String::from_utf8(bytes).expect("lines are UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    #[test]
    fn one_event_is_one_line_whatever_a_field_holds() {
        let evil = "a\r\nb\u{1b}[31m\"}\u{2028}{\"level\":\"ERROR\"}";
        let lines = lines_of(|| tracing::info!(said = evil, count = 3, ok = true, "constant text"));
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line["said"], evil);
        assert_eq!((line["count"].as_u64(), line["ok"].as_bool()), (Some(3), Some(true)));
        assert_eq!(
            (&line["message"], &line["severity"]),
            (&Value::from("constant text"), &Value::from("INFO"))
        );
        assert_eq!(line["service.name"], "test");
        assert_eq!(line["timestamp"].as_str().map(str::len), Some("2026-01-31T12:00:00.000000Z".len()));
    }

    #[test]
    fn an_event_carries_the_fields_of_the_spans_around_it() {
        let lines = lines_of(|| {
            let outer = tracing::info_span!("outer", request_id = "r1", late = tracing::field::Empty);
            outer.record("late", 5);
            let _outer = outer.enter();
            let inner = tracing::info_span!("inner", order.id = "ord_1");
            let _inner = inner.enter();
            tracing::warn!("inside");
        });
        assert_eq!(lines[0]["request_id"], "r1");
        assert_eq!(lines[0]["late"], 5);
        assert_eq!(lines[0]["order.id"], "ord_1");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert!(parse("info,souk_order=debug").is_ok());
        assert!(matches!(parse("souk_order=verbose"), Err(InitError::Filter(_))));
    }
}
