//! A shop in one of its shapes.
use crate::Caller;
use serde_json::json;
use souk::commands::up::{Given, Running};
use souk::settings::{GATEWAY, KEYS, ROLES};
use souk::shop;
use souk::verify::{self, Facts, Finding, Rest};
use souk_eventstore::{EventStore, Location, Options};
use souk_host::{Config, Environment, SystemEntropy};
use souk_identity::Signer;
use souk_kernel::{ManualClock, Timestamp};
use souk_user::Role;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Longer than a sale can be undone at once, and than a carrier takes to the next place.
pub(crate) const A_WHILE: Duration = Duration::from_secs(61);
/// When every house opens.
const OPENS: &str = "2026-11-21T09:00:00Z";

/// How long callers are who they are.
const TOKEN_TTL: Duration = Duration::from_secs(8 * 3_600);

/// How the services of a house reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// All in one process, by direct calls.
    One,
    /// All in one process, each call encoded and decoded.
    RoundTrip,
    /// In three, by gRPC over loopback.
    Apart,
    /// Each by itself, by gRPC over loopback, so that any of them can be away alone.
    Scattered,
}

/// Which roles run together when they are apart.
const APART: [&[&str]; 3] = [
    &["user", "catalog", "cart", "shipping"],
    &["inventory", "payment", "provider", "carrier", "notification"],
    &["order", GATEWAY],
];

impl Shape {
    fn groups(self) -> Vec<Vec<String>> {
        let owned = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect();
        let all: Vec<_> = ROLES.iter().map(|(role, _)| *role).chain([GATEWAY]).collect();
        match self {
            Shape::One | Shape::RoundTrip => vec![owned(&all)],
            Shape::Apart => APART.iter().map(|roles| owned(roles)).collect(),
            Shape::Scattered => all.chunks(1).map(owned).collect(),
        }
    }
}

/// A running shop, and the folder with its stores, which goes when the house does.
pub struct House {
    data: TempDir,
    clock: Arc<ManualClock>,
    environment: Environment,
    shape: Shape,
    config: Config,
    parts: Vec<Part>,
    caller: Caller,
    url: String,
}

/// The services that run together.
struct Part {
    roles: Vec<String>,
    /// Where the others find it.
    grpc: Option<SocketAddr>,
    /// `None` while it is away.
    running: Option<Running>,
}

impl House {
    /// Opens an empty shop.
    pub async fn start(shape: Shape) -> House {
        let data = tempfile::tempdir().expect("a temporary folder");
        let clock = ManualClock::at(Timestamp::parse(OPENS).expect("a time"));
        let environment = Environment { clock: clock.clone(), entropy: SystemEntropy::new() };
        let mut listeners = Vec::new();
        let mut parts = Vec::new();
        for roles in shape.groups() {
            let listener = match shape {
                Shape::One | Shape::RoundTrip => None,
                Shape::Apart | Shape::Scattered => {
                    Some(TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports"))
                }
            };
            let grpc = listener.as_ref().map(|listener| listener.local_addr().expect("it is bound"));
            parts.push(Part { roles, grpc, running: None });
            listeners.push(listener);
        }
        // The part with the gateway comes first, so that the others know where the public is answered.
        let mut config = configuration(data.path(), &parts, "127.0.0.1:0");
        let has_gateway = |part: &Part| part.roles.iter().any(|role| role == GATEWAY);
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|number| !has_gateway(&parts[*number]));
        for number in order {
            let listener = listeners[number].take();
            let given = Given {
                environment: environment.clone(),
                round_trip: shape == Shape::RoundTrip,
                grpc: listener,
            };
            parts[number].start(&config, given).await;
            let url = parts[number].running.as_ref().map(Running::url).filter(|url| !url.is_empty());
            if let Some(url) = url {
                config = configuration(data.path(), &parts, url.trim_start_matches("http://"));
            }
        }
        let urls = parts.iter().filter_map(|part| part.running.as_ref()).map(Running::url);
        let url = urls.into_iter().find(|url| !url.is_empty()).expect("one part has the gateway");
        House { caller: Caller::nobody(&url), data, clock, environment, shape, config, parts, url }
    }

    /// Stops the part that serves this role. The others go on.
    pub async fn sends_away(&mut self, role: &str) {
        let part = self.part(role);
        part.running.take().expect("it is there").shut_down().await;
    }

    /// Starts that part again, where it was.
    pub async fn calls_back(&mut self, role: &str) {
        let (config, environment) = (self.config.clone(), self.environment.clone());
        let round_trip = self.shape == Shape::RoundTrip;
        let part = self.part(role);
        let grpc = match part.grpc {
            Some(address) => Some(TcpListener::bind(address).await.expect("its port is its own")),
            None => None,
        };
        part.start(&config, Given { environment, round_trip, grpc }).await;
    }

    fn part(&mut self, role: &str) -> &mut Part {
        let mut parts = self.parts.iter_mut();
        parts.find(|part| part.roles.iter().any(|own| own == role)).expect("every role is served")
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.parts.iter().filter_map(|part| part.running.as_ref())
    }

    /// Where the public API answers.
    pub fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().expect("an address")
    }

    /// A caller without a token.
    pub fn nobody(&self) -> Caller {
        self.caller.clone()
    }

    /// A new guest.
    pub async fn guest(&self) -> Caller {
        let session = self.nobody().post("/api/v1/sessions", &json!({})).expect(201).await;
        self.nobody().with_token(session["token"].as_str().expect("a token"))
    }

    /// Somebody on the staff.
    pub fn staff(&self, role: Role) -> Caller {
        let (clock, ids) = (self.environment.clock.as_ref(), self.environment.ids());
        let token = souk_user::staff_token(self.signer(), clock, &ids, role, TOKEN_TTL);
        self.nobody().with_token(&token)
    }

    /// A customer who has signed in.
    pub fn customer(&self) -> Caller {
        let (clock, ids) = (self.environment.clock.as_ref(), self.environment.ids());
        let token = souk_user::customer_token(self.signer(), clock, &ids, ids.new_id(), TOKEN_TTL);
        self.nobody().with_token(&token)
    }

    /// Signs tokens that this house believes.
    pub fn signer(&self) -> &Signer {
        self.running().next().expect("somebody is there").node().signer()
    }

    /// What time it is in this house.
    pub fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.clock.advance_ms(i64::try_from(time.as_millis()).expect("a short time"));
    }

    /// The folder of the stores.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// How far each store's log has grown.
    pub fn heads(&self) -> BTreeMap<&'static str, u64> {
        let stores = self.running().flat_map(|running| running.node().stores());
        stores.map(|(service, store)| (*service, store.head().borrow().get())).collect()
    }

    /// The store of a service that is there.
    pub fn store(&self, role: &str) -> EventStore {
        let mut stores = self.running().flat_map(|running| running.node().stores());
        stores.find(|(service, _)| *service == role).expect("it is there").1.clone()
    }

    /// The store of a service that is away, opened as its owner would.
    pub fn opened(&self, role: &str) -> EventStore {
        let service = shop::services_named(&[role.to_owned()], &shop::Choices::default()).remove(0);
        let path = self.data.path().join(role).with_extension("db");
        let options = Options::new(service.name(), Location::Sqlite(path), self.environment.clock.clone());
        EventStore::open(options.views(service.views())).expect("nobody else has it")
    }

    /// What is still on its way.
    pub fn rest(&self) -> Rest {
        Rest::look(self.data.path()).expect("the stores can be read")
    }

    /// Waits until nothing more will happen by itself.
    pub async fn at_rest(&self) {
        let mut rest = Rest::default();
        let quiet = async || {
            rest = self.rest();
            rest.is_quiet().then_some(())
        };
        if try_for_a_while(quiet).await.is_none() {
            panic!("the house does not come to rest: {rest}");
        }
    }

    /// Whether something is due that was not done yet, so that letting more time pass would be unfair.
    pub fn is_behind(&self) -> bool {
        let next = Rest::next_timer(self.data.path()).expect("the stores can be read");
        next.is_some_and(|due| due <= self.now())
    }

    /// Lets time pass until nothing more will happen by itself: sales can no longer be undone, parcels are where they
    /// will be.
    pub async fn calms_down(&self) {
        let quiet = async || {
            let rest = self.rest();
            let only_time = Rest { timers: rest.timers, ..Rest::default() };
            if rest == only_time && !rest.is_quiet() && !self.is_behind() {
                self.advance(A_WHILE);
            }
            rest.is_quiet().then_some(())
        };
        if try_for_a_while(quiet).await.is_none() {
            panic!("the house does not calm down: {}", self.rest());
        }
    }

    /// Waits until the house is at rest, closes it, and checks everything across all of its stores.
    pub async fn close(self) {
        let data = self.shut_down().await;
        let findings = findings(data.path());
        assert!(findings.iter().all(|finding| finding.count == 0), "\n{}", verify::render(&findings));
    }

    /// Waits until the house is at rest and closes it; the folder of its stores.
    pub async fn shut_down(self) -> TempDir {
        self.at_rest().await;
        for running in self.parts.into_iter().filter_map(|part| part.running) {
            running.shut_down().await;
        }
        self.data
    }
}

/// What every check says of the stores in this folder.
pub fn findings(data: &Path) -> Vec<Finding> {
    verify::check(&Facts::gather(data).expect("the stores can be read"))
}

impl Part {
    async fn start(&mut self, config: &Config, given: Given) {
        let started = Running::start_with(config, &self.roles, given).await;
        self.running =
            Some(started.unwrap_or_else(|failure| panic!("{:?} do not start: {failure}", self.roles)));
    }
}

fn configuration(data: &Path, parts: &[Part], gateway: &str) -> Config {
    let mut set = vec![
        ("data.dir".to_owned(), data.display().to_string()),
        ("gateway.listen".to_owned(), gateway.to_owned()),
        ("admin.listen".to_owned(), String::new()),
    ];
    for part in parts {
        let services = part.roles.iter().filter(|role| *role != GATEWAY);
        set.extend(services.filter_map(|role| Some((format!("peers.{role}"), part.grpc?.to_string()))));
    }
    Config::load(KEYS, None, [], &set).expect("the configuration of a test is good")
}

/// How often a condition is looked at, and what passes in between: half a minute in all.
const LOOKS_MAX: u32 = 3_000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until there is something, and panics when there is nothing for half a minute.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match try_for_a_while(look).await {
        Some(found) => found,
        None => panic!("{what}: not within half a minute"),
    }
}

/// Looks until there is something; `None` when there is nothing for half a minute.
pub async fn try_for_a_while<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = look().await {
            return Some(found);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    None
}
