//! Every option of the shop, once.
use crate::failure::Failure;
use souk_host::{Config, Key, Kind, Mistakes, Source};
use std::path::{Path, PathBuf};

/// The services in the order in which `souk up` lists them, each with its default gRPC port.
pub const ROLES: &[(&str, u16)] = &[
    ("user", 8082),
    ("catalog", 8083),
    ("cart", 8084),
    ("order", 8085),
    ("payment", 8086),
    ("inventory", 8087),
    ("provider", 8088),
    ("shipping", 8089),
    ("carrier", 8090),
    ("notification", 8091),
];

/// The role that answers the public.
pub const GATEWAY: &str = "gateway";

/// All options.
pub const KEYS: &[Key] = &[
    Key { name: "data.dir", kind: Kind::Text, default: "./souk-data", help: "folder of the stores and keys" },
    Key { name: "gateway.listen", kind: Kind::Address, default: "127.0.0.1:8080", help: "public HTTP API" },
    Key {
        name: "grpc.listen",
        kind: Kind::OptionalAddress,
        default: "",
        help: "gRPC for other processes; by default off in `up`, and each service's own port in `serve`",
    },
    Key {
        name: "admin.listen",
        kind: Kind::OptionalAddress,
        default: "127.0.0.1:9464",
        help: "health for operators (/livez, /readyz, /health); empty: off",
    },
    Key {
        name: "log.format",
        kind: Kind::OneOf(&["auto", "json", "pretty"]),
        default: "auto",
        help: "auto: pretty on a terminal, else one JSON object a line",
    },
    Key {
        name: "log.filter",
        kind: Kind::Text,
        default: "warn",
        help: "level, or target=level pairs, as RUST_LOG",
    },
    Key {
        name: "store.cache",
        kind: Kind::Size,
        default: "32MiB",
        help: "folded states kept in memory, per service",
    },
    Key {
        name: "server.drain_delay",
        kind: Kind::Duration,
        default: "0s",
        help: "how long a stopping server still takes new calls, so that balancers notice",
    },
    Key {
        name: "provider.webhook_url",
        kind: Kind::Text,
        default: "",
        help: "where the payment provider simulator sends its notifications; empty: the own gateway, off: nowhere",
    },
    Key {
        name: "provider.http_listen",
        kind: Kind::OptionalAddress,
        default: "",
        help: "HTTP API of the payment provider simulator, for whoever holds payment.intents_key; empty: off",
    },
    Key {
        name: "order.quote_ttl",
        kind: Kind::Duration,
        default: "15m",
        help: "how long a quote and its prices hold",
    },
    Key {
        name: "order.undo_window",
        kind: Kind::Duration,
        default: "60s",
        help: "how long a confirmed order waits, so that it can be called off at once, before parcels are asked for",
    },
    Key {
        name: "order.return_window",
        kind: Kind::Duration,
        default: "720h",
        help: "how long after delivery goods can be sent back; then the order is complete",
    },
    Key {
        name: "order.restocking_percent",
        kind: Kind::Integer(0, 100),
        default: "0",
        help: "what is kept of a refund for the restocking of goods that are only unwanted, in percent",
    },
    Key {
        name: "shipping.auto",
        kind: Kind::OneOf(&["false", "true"]),
        default: "false",
        help: "true: parcels are packed, labelled and handed over without staff, for demonstrations and load tests",
    },
    Key {
        name: "carrier.pace",
        kind: Kind::Duration,
        default: "10s",
        help: "the time between two scans of a parcel by the carrier simulator",
    },
    Key {
        name: "payment.provider",
        kind: Kind::OneOf(&["sim", "intents"]),
        default: "sim",
        help: "sim: the simulator over gRPC; intents: a provider's HTTP API of payment intents",
    },
    Key {
        name: "payment.intents_url",
        kind: Kind::Text,
        default: "",
        help: "where the provider of payment intents answers, http://127.0.0.1:8092; TLS is spoken by a proxy beside",
    },
    Key {
        name: "payment.intents_key",
        kind: Kind::Secret,
        default: "",
        help: "the shop's key at the provider of payment intents, sent as a bearer token",
    },
    Key {
        name: "payment.intents_webhook_secret",
        kind: Kind::Secret,
        default: "",
        help: "what the provider of payment intents signs its notices with; empty: made from the shop's own key, as the simulator does",
    },
    Key {
        name: "peers.user",
        kind: Kind::Address,
        default: "127.0.0.1:8082",
        help: "where the user service answers gRPC, when it runs elsewhere",
    },
    Key {
        name: "peers.catalog",
        kind: Kind::Address,
        default: "127.0.0.1:8083",
        help: "the same for catalog",
    },
    Key { name: "peers.cart", kind: Kind::Address, default: "127.0.0.1:8084", help: "the same for cart" },
    Key { name: "peers.order", kind: Kind::Address, default: "127.0.0.1:8085", help: "the same for order" },
    Key {
        name: "peers.payment",
        kind: Kind::Address,
        default: "127.0.0.1:8086",
        help: "the same for payment",
    },
    Key {
        name: "peers.inventory",
        kind: Kind::Address,
        default: "127.0.0.1:8087",
        help: "the same for inventory",
    },
    Key {
        name: "peers.provider",
        kind: Kind::Address,
        default: "127.0.0.1:8088",
        help: "the same for the payment provider simulator",
    },
    Key {
        name: "peers.shipping",
        kind: Kind::Address,
        default: "127.0.0.1:8089",
        help: "the same for shipping",
    },
    Key {
        name: "peers.carrier",
        kind: Kind::Address,
        default: "127.0.0.1:8090",
        help: "the same for the carrier simulator",
    },
    Key {
        name: "peers.notification",
        kind: Kind::Address,
        default: "127.0.0.1:8091",
        help: "the same for notification",
    },
    Key {
        name: "notification.smtp",
        kind: Kind::Secret,
        default: "",
        help: "relay for e-mail, smtp://host:25 or smtp://user:password@host:587?tls=required; empty: no e-mail",
    },
    Key {
        name: "notification.smtp_from",
        kind: Kind::Text,
        default: "Souk <shop@localhost>",
        help: "whom e-mail comes from",
    },
    Key {
        name: "notification.webhook_allow",
        kind: Kind::Text,
        default: "",
        help: "addresses that webhooks may have besides public ones, 127.0.0.1, 10.1.0.0/16; without TLS only these",
    },
];

/// Where a configuration file is looked for when none is named.
const FILES: &[&str] = &["./souk.toml", "/etc/souk/souk.toml"];

/// The effective configuration: flags over environment over file over defaults.
pub fn load(file: Option<&Path>, flags: &[(&str, Option<String>)]) -> Result<Config, Failure> {
    let found = FILES.iter().map(PathBuf::from).find(|path| path.exists());
    let file = file.map(Path::to_owned).or(found);
    let set = flags.iter().filter_map(|(name, value)| value.clone().map(|value| ((*name).to_owned(), value)));
    let environment =
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let loaded = Config::load(KEYS, file.as_deref(), environment, &set.collect::<Vec<_>>());
    Ok(loaded.map_err(as_typed)?)
}

/// Flags that are shorter than their option's name.
const SHORT_FLAGS: &[(&str, &str)] =
    &[("--gateway-listen", "--listen"), ("--data-dir", "--data"), ("--log-filter", "--log")];

/// Names flags as the person typed them, and puts the mistakes of a file in the order of its lines.
fn as_typed(mut mistakes: Mistakes) -> Mistakes {
    for mistake in &mut mistakes.0 {
        if let Source::Flag(flag) = &mut mistake.source
            && let Some((_, short)) = SHORT_FLAGS.iter().find(|(long, _)| long == flag)
        {
            *flag = (*short).to_owned();
        }
    }
    mistakes.0.sort_by_key(|mistake| match &mistake.source {
        Source::File(path, line) => (path.clone(), *line),
        Source::Default | Source::Environment(_) | Source::Flag(_) => (String::new(), 0),
    });
    mistakes
}

/// The folder of the stores and keys.
pub fn data_dir(config: &Config) -> PathBuf {
    PathBuf::from(config.text("data.dir"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_an_address_and_every_default_is_valid() {
        let config = Config::load(KEYS, None, [], &[]).expect("the defaults are valid");
        for (role, port) in ROLES {
            assert_eq!(config.address(&format!("peers.{role}")).port(), *port);
        }
    }
}
