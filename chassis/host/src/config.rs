//! Configuration: **flag > environment > file > default**. Every key is declared once with its kind, its
//! default and a sentence; all mistakes are reported together, each with where it stands.
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// One option: its dotted name (`gateway.listen`), what it takes, its default, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Dotted name; the first part is the section of the file.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value when nobody sets it.
    pub default: &'static str,
    /// What it does, with unit and limit.
    pub help: &'static str,
}

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// An address with port, `127.0.0.1:8080`.
    Address,
    /// An address with port, or nothing.
    OptionalAddress,
    /// A duration with its unit: `250ms`, `5s`, `2m`, `1h`.
    Duration,
    /// A size with its unit: `512B`, `64KiB`, `1MiB`.
    Size,
    /// A whole number within bounds, both included.
    Integer(u64, u64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text that is never printed.
    Secret,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the file.
    File(String, usize),
    /// An environment variable.
    Environment(String),
    /// A flag of the command.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path, line) => write!(f, "{path}:{line}"),
            Source::Environment(name) => write!(f, "env {name}"),
            Source::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One mistake and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub source: Source,
    /// What is wrong and what is allowed.
    pub sentence: String,
}

/// Every mistake of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} mistake(s):", self.0.len())?;
        self.0.iter().try_for_each(|mistake| writeln!(f, "  {}: {}", mistake.source, mistake.sentence))
    }
}

impl std::error::Error for Mistakes {}

/// The effective values, each with its source.
#[derive(Debug, Clone)]
pub struct Config {
    values: BTreeMap<&'static str, (Key, String, Source)>,
}

/// A value that somebody set, before it is checked.
#[derive(Debug, Clone)]
struct Setting {
    name: String,
    value: String,
    source: Source,
}

/// The prefix of every environment variable: `SOUK_GATEWAY__LISTEN` sets `gateway.listen`.
const PREFIX: &str = "SOUK_";

impl Config {
    /// Reads the file (if given), the environment and the flags, and checks all of it against `keys`.
    pub fn load(
        keys: &[Key],
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Config, Mistakes> {
        let mut mistakes = Vec::new();
        let mut settings = file.map(|path| from_file(path, &mut mistakes)).unwrap_or_default();
        settings.extend(from_environment(keys, environment, &mut mistakes));
        settings.extend(flags.iter().map(|(name, value)| Setting {
            name: name.clone(),
            value: value.clone(),
            source: Source::Flag(format!("--{}", name.replace(['.', '_'], "-"))),
        }));
        let defaults =
            keys.iter().map(|key| (key.name, (key.clone(), key.default.to_owned(), Source::Default)));
        let mut values: BTreeMap<_, _> = defaults.collect();
        for Setting { name, value, source } in settings {
            let Some(slot) =
                keys.iter().find(|key| key.name == name).and_then(|key| values.get_mut(key.name))
            else {
                mistakes.push(Mistake { sentence: unknown_key(keys, &name), source });
                continue;
            };
            match check(slot.0.kind, &value) {
                Ok(()) => (slot.1, slot.2) = (value, source),
                Err(sentence) => mistakes.push(Mistake { sentence: format!("{name} {sentence}"), source }),
            }
        }
        if mistakes.is_empty() { Ok(Config { values }) } else { Err(Mistakes(mistakes)) }
    }

    /// The text of a declared key.
    pub fn text(&self, name: &str) -> &str {
        &self.values.get(name).expect("only declared keys are asked for").1
    }

    /// Whether nobody set a declared key.
    pub fn is_default(&self, name: &str) -> bool {
        self.values.get(name).expect("only declared keys are asked for").2 == Source::Default
    }

    /// The address of a declared `Address` key.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.text(name).parse().expect("checked when it was loaded")
    }

    /// The address of a declared `OptionalAddress` key.
    pub fn optional_address(&self, name: &str) -> Option<SocketAddr> {
        self.text(name).parse().ok()
    }

    /// The duration of a declared `Duration` key.
    pub fn duration(&self, name: &str) -> Duration {
        parse_duration(self.text(name)).expect("checked when it was loaded")
    }

    /// The bytes of a declared `Size` key.
    pub fn size(&self, name: &str) -> u64 {
        parse_size(self.text(name)).expect("checked when it was loaded")
    }

    /// The number of a declared `Integer` key.
    pub fn integer(&self, name: &str) -> u64 {
        self.text(name).parse().expect("checked when it was loaded")
    }

    /// Every key with its value (secrets as `***`) and source, for `souk config`.
    pub fn rows(&self) -> Vec<(&Key, String, &Source)> {
        let show = |key: &Key, value: &str| {
            let is_hidden = key.kind == Kind::Secret && !value.is_empty();
            if is_hidden { "***".to_owned() } else { value.to_owned() }
        };
        self.values.values().map(|(key, value, source)| (key, show(key, value), source)).collect()
    }
}

/// Reads `[section]` tables of scalar values; nested tables join their names with dots.
fn from_file(path: &Path, mistakes: &mut Vec<Mistake>) -> Vec<Setting> {
    let shown = path.display().to_string();
    let mut fail = |line: usize, sentence: String| {
        mistakes.push(Mistake { source: Source::File(shown.clone(), line), sentence })
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            fail(0, format!("cannot be read: {e}"));
            return Vec::new();
        }
    };
    let table = match toml::de::DeTable::parse(&text) {
        Ok(table) => table,
        Err(e) => {
            let line = e.span().map_or(1, |span| line_of(&text, span.start));
            fail(line, format!("is not TOML: {}", e.message()));
            return Vec::new();
        }
    };
    let mut settings = Vec::new();
    flatten(&text, &shown, "", table.get_ref(), &mut settings, &mut fail);
    settings
}

fn flatten(
    text: &str,
    path: &str,
    prefix: &str,
    table: &toml::de::DeTable<'_>,
    out: &mut Vec<Setting>,
    fail: &mut impl FnMut(usize, String),
) {
    use toml::de::DeValue;
    for (key, value) in table.iter() {
        let name =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let line = line_of(text, key.span().start);
        let scalar = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(text, path, &name, inner, out, fail);
                continue;
            }
            DeValue::String(s) => s.to_string(),
            DeValue::Integer(i) => i.as_str().to_owned(),
            DeValue::Boolean(b) => b.to_string(),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
                fail(line, format!("{name} must be a text, a whole number, true or false"));
                continue;
            }
        };
        out.push(Setting { name, value: scalar, source: Source::File(path.to_owned(), line) });
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// `SOUK_A__B` sets `a.b`; `SOUK_A__B_FILE` sets it to the content of a file.
fn from_environment(
    keys: &[Key],
    environment: impl IntoIterator<Item = (String, String)>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    let ours = environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX) && name.contains("__"));
    for (variable, value) in ours {
        let name = variable[PREFIX.len()..].to_lowercase().replace("__", ".");
        let source = Source::Environment(variable);
        let from_file = name.strip_suffix("_file").filter(|_| keys.iter().all(|key| key.name != name));
        let Some(name_of_file) = from_file else {
            settings.push(Setting { name, value, source });
            continue;
        };
        match std::fs::read_to_string(&value) {
            Ok(content) => settings.push(Setting {
                name: name_of_file.to_owned(),
                value: content.trim_end().to_owned(),
                source,
            }),
            Err(e) => mistakes.push(Mistake {
                source,
                sentence: format!("names the file {value}, which cannot be read: {e}"),
            }),
        }
    }
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

fn unknown_key(keys: &[Key], name: &str) -> String {
    let nearest = keys.iter().map(|key| (distance(key.name, name), key.name)).min();
    match nearest {
        Some((far, near)) if far <= name.len() / 3 + 1 => {
            format!("there is no option {name}; did you mean {near}?")
        }
        _ => format!("there is no option {name}; `souk config` lists all"),
    }
}

/// Levenshtein distance, for did-you-mean.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn check(kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::Text | Kind::Secret => Ok(()),
        Kind::Address => address(value),
        Kind::OptionalAddress => {
            if value.is_empty() {
                Ok(())
            } else {
                address(value)
            }
        }
        Kind::Duration => parse_duration(value)
            .map(drop)
            .ok_or_else(|| format!("must be a duration like 250ms, 5s, 2m or 1h, not `{value}`")),
        Kind::Size => parse_size(value)
            .map(drop)
            .ok_or_else(|| format!("must be a size like 512B, 64KiB or 1MiB, not `{value}`")),
        Kind::Integer(low, high) => match value.parse::<u64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(()),
            _ => Err(format!("must be a whole number from {low} to {high}, not `{value}`")),
        },
        Kind::OneOf(words) => {
            if words.contains(&value) {
                Ok(())
            } else {
                Err(format!("must be one of {}, not `{value}`", words.join(", ")))
            }
        }
    }
}

fn address(value: &str) -> Result<(), String> {
    value
        .parse::<SocketAddr>()
        .map(drop)
        .map_err(|_| format!("must be an address with a port like 127.0.0.1:8080, not `{value}`"))
}

/// Reads a whole number with one of the units.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Reads `250ms`, `5s`, `2m`, `1h` or `30d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    with_unit(text, &units).map(Duration::from_millis)
}

fn parse_size(text: &str) -> Option<u64> {
    with_unit(text, &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[Key] = &[
        Key { name: "gateway.listen", kind: Kind::Address, default: "127.0.0.1:8080", help: "" },
        Key { name: "store.cache", kind: Kind::Size, default: "16MiB", help: "" },
        Key { name: "order.quote_ttl", kind: Kind::Duration, default: "15m", help: "" },
        Key { name: "log.format", kind: Kind::OneOf(&["json", "pretty"]), default: "json", help: "" },
        Key { name: "saga.running_max", kind: Kind::Integer(1, 4096), default: "256", help: "" },
        Key { name: "provider.secret", kind: Kind::Secret, default: "", help: "" },
    ];

    fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Mistakes> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("souk.toml");
        std::fs::write(&path, file).expect("written");
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::load(KEYS, Some(&path), env, &flags)
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let file = "[order]\nquote_ttl = \"1m\"\n[log]\nformat = \"pretty\"\n[store]\ncache = \"1MiB\"\n";
        let config = load(
            file,
            &[("SOUK_LOG__FORMAT", "json"), ("SOUK_STORE__CACHE", "2MiB")],
            &[("store.cache", "3MiB")],
        );
        let config = config.expect("all good");
        assert_eq!(config.duration("order.quote_ttl"), Duration::from_secs(60));
        assert_eq!(config.text("log.format"), "json");
        assert_eq!(config.size("store.cache"), 3 << 20);
        assert_eq!(config.integer("saga.running_max"), 256);
        assert_eq!(config.address("gateway.listen").port(), 8080);
        let sources: Vec<_> =
            config.rows().iter().map(|(key, _, source)| (key.name, source.to_string())).collect();
        assert!(sources.contains(&("log.format", "env SOUK_LOG__FORMAT".into())));
        assert!(sources.contains(&("store.cache", "flag --store-cache".into())));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let file = "[order]\nquote_tll = \"1m\"\n[saga]\nrunning_max = 0\n[log]\nformat = 1.5\n";
        let mistakes = load(file, &[("SOUK_STORE__CACHE", "lots")], &[("gateway.listen", "8080")])
            .expect_err("four mistakes");
        let told = mistakes.to_string();
        for part in [
            "souk.toml:2: there is no option order.quote_tll; did you mean order.quote_ttl?",
            "souk.toml:4: saga.running_max must be a whole number from 1 to 4096",
            "souk.toml:6: log.format must be",
            "env SOUK_STORE__CACHE: store.cache must be a size",
            "flag --gateway-listen: gateway.listen must be an address",
        ] {
            assert!(told.contains(part), "{part}\nnot in\n{told}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("secret");
        std::fs::write(&path, "hunter2\n").expect("written");
        let config = load("", &[("SOUK_PROVIDER__SECRET_FILE", path.to_str().expect("UTF-8"))], &[])
            .expect("all good");
        assert_eq!(config.text("provider.secret"), "hunter2");
        let shown: Vec<_> = config.rows().iter().map(|(_, value, _)| value.clone()).collect();
        assert!(shown.contains(&"***".to_owned()) && !shown.iter().any(|value| value.contains("hunter2")));
    }

    #[test]
    fn a_file_that_is_not_toml_says_the_line() {
        let mistakes = load("[order]\nquote_ttl = = 3\n", &[], &[]).expect_err("not TOML");
        assert!(mistakes.to_string().contains("souk.toml:2: is not TOML"), "{mistakes}");
    }
}
