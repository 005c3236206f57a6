//! `souk up` and `souk serve`: the same services, in one process or in several.
use crate::failure::{Failure, exit};
use crate::health::Health;
use crate::settings::{GATEWAY, ROLES};
use crate::{output, settings, shop};
use clap::Args;
use souk_gateway::{Gateway, admin};
use souk_host::{Config, Environment, Node, Settings};
use souk_rpc::Peers;
use souk_rpc::grpc::{GrpcChannel, GrpcServer};
use souk_telemetry::{Stop, StopSource, crash, logs, task};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long servers get to finish what they have begun.
const GRACE: Duration = Duration::from_secs(20);

/// Run the whole shop in this process: every service on embedded storage, nothing else needed.
///
/// Example: souk up --demo
#[derive(Args)]
pub struct Up {
    /// Fill the shop with a demonstration catalogue and stock
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    places: Places,
}

/// Run some services in this process; the others are found at their addresses.
///
/// Several processes may share one data folder: each service's store is locked by the process that serves
/// it. Example, in three terminals:
///   souk serve user catalog cart inventory
///   souk serve order payment provider shipping carrier notification
///   souk serve gateway
#[derive(Args)]
pub struct Serve {
    /// gateway, or services: user, catalog, cart, order, payment, inventory, provider, shipping,
    /// carrier, notification
    #[arg(required = true, value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    places: Places,
}

/// Where things are; each is also an option of the configuration.
#[derive(Args, Clone, Default)]
pub struct Places {
    /// Folder of the stores and keys [default: ./souk-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Public HTTP address [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// gRPC address for other processes
    #[arg(long, value_name = "ADDR")]
    pub grpc_listen: Option<String>,
    /// Address for health checks [default: 127.0.0.1:9464]; "" turns it off
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<String>,
    /// What to log, as RUST_LOG [default: warn]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

impl Places {
    fn config(&self, file: Option<&Path>) -> Result<Config, Failure> {
        settings::load(
            file,
            &[
                ("data.dir", self.data.clone()),
                ("gateway.listen", self.listen.clone()),
                ("grpc.listen", self.grpc_listen.clone()),
                ("admin.listen", self.admin_listen.clone()),
                ("log.filter", self.log.clone()),
            ],
        )
    }
}

impl Up {
    /// Runs until Ctrl-C or SIGTERM.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let config = self.places.config(file)?;
        let roles: Vec<_> = ROLES.iter().map(|(role, _)| *role).chain([GATEWAY]).map(str::to_owned).collect();
        runtime()?.block_on(run(&config, &roles, self.demo))
    }
}

impl Serve {
    /// Runs until Ctrl-C or SIGTERM.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let known = |role: &String| role == GATEWAY || ROLES.iter().any(|(name, _)| name == role);
        if let Some(unknown) = self.roles.iter().find(|role| !known(role)) {
            let names: Vec<_> = ROLES.iter().map(|(name, _)| *name).chain([GATEWAY]).collect();
            return Err(Failure::new(
                2,
                format!("there is no role {unknown}; the roles are {}", names.join(", ")),
            ));
        }
        let config = self.places.config(file)?;
        let mut roles = self.roles;
        roles.sort();
        roles.dedup();
        runtime()?.block_on(run(&config, &roles, false))
    }
}

/// The runtime that every serving command uses.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::io("the runtime cannot start", e))
}

async fn run(config: &Config, roles: &[String], demo: bool) -> Result<(), Failure> {
    start_logs(config)?;
    crash::arm(|name| std::env::var(name).ok()).map_err(|e| Failure::new(exit::CONFIGURATION, e))?;
    let mut signals = Signals::listen();
    let shop = Running::start(config, roles).await?;
    output::note(&shop.screen(config, roles));
    tokio::select! {
        filled = fill(demo, &shop, config) => {
            filled?;
            signals.next().await;
        }
        () = signals.next() => {}
    }
    output::note("stopping; a second signal ends at once");
    task::spawn(task::Kind::Background, "second-signal", async move {
        signals.next().await;
        std::process::exit(exit::TRY_AGAIN);
    })
    .detach();
    shop.drain();
    tokio::time::sleep(config.duration("server.drain_delay")).await;
    shop.shut_down().await;
    Ok(())
}

async fn fill(demo: bool, shop: &Running, config: &Config) -> Result<(), Failure> {
    if demo {
        let loaded = crate::commands::import::load_demo(&shop.url(), &settings::data_dir(config)).await?;
        output::note(&loaded);
    }
    Ok(())
}

fn start_logs(config: &Config) -> Result<(), Failure> {
    let pretty = match config.text("log.format") {
        "pretty" => true,
        "json" => false,
        _ => output::is_watched(),
    };
    let format = if pretty { logs::Format::Pretty } else { logs::Format::Json };
    let started = logs::init(format, logs::Output::Stdout, config.text("log.filter"));
    started.map(drop).map_err(|e| Failure::new(exit::CONFIGURATION, format!("log.filter: {e}")))
}

/// Ctrl-C and SIGTERM. Listened to from the start: one that came before would end the process in the middle.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).expect("signals can be listened to");
        Self { interrupt: listen(SignalKind::interrupt()), terminate: listen(SignalKind::terminate()) }
    }

    #[cfg(not(unix))]
    fn listen() -> Self {
        Self {}
    }

    /// The next one.
    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// A process of the shop: its services and its servers.
pub struct Running {
    node: Node,
    servers: Vec<task::Running>,
    source: StopSource,
    /// Asked for first: no new calls should be sent here.
    draining: StopSource,
    /// The operators' port, which ends last: it tells that the others are ending.
    admin: Option<(StopSource, task::Running)>,
    listening: Option<SocketAddr>,
}

/// What a process is given instead of taking it from the machine. Tests give a clock that stands still, and
/// listeners on ports that the system chose.
pub struct Given {
    /// Time and randomness.
    pub environment: Environment,
    /// Lets local calls encode and decode their messages, as remote ones do.
    pub round_trip: bool,
    /// Where other processes find the services that run here; `None`: as configured.
    pub grpc: Option<TcpListener>,
}

impl Default for Given {
    fn default() -> Self {
        Self { environment: Environment::system(), round_trip: false, grpc: None }
    }
}

impl Running {
    /// Starts the roles as configured.
    pub async fn start(config: &Config, roles: &[String]) -> Result<Running, Failure> {
        Self::start_with(config, roles, Given::default()).await
    }

    /// Starts the roles as configured, with what is given.
    pub async fn start_with(config: &Config, roles: &[String], given: Given) -> Result<Running, Failure> {
        let peers = Peers::new();
        for (role, _) in ROLES.iter().filter(|(role, _)| roles.iter().all(|own| own != role)) {
            add_remote(&peers, role, config.address(&format!("peers.{role}")));
        }
        let public = match roles.iter().any(|role| role == GATEWAY) {
            true => Some(bind(config.address("gateway.listen"), "gateway.listen").await?),
            false => None,
        };
        let mut settings = Settings::at(settings::data_dir(config));
        settings.cache_bytes_max = usize::try_from(config.size("store.cache")).unwrap_or(usize::MAX);
        settings.round_trip = given.round_trip;
        let mut choices = shop::Choices::of(config)?;
        choices.payment_webhook = payment_webhook(config, choices.payment.name(), public.as_ref())?;
        let services = shop::services_named(roles, &choices);
        let node = Node::start(&services, &given.environment, &settings, peers).await?;
        let (source, stop) = Stop::new();
        let (draining, drain) = Stop::new();
        let mut running =
            Running { node, servers: Vec::new(), source, draining, admin: None, listening: None };
        match given.grpc {
            Some(listener) => running.serve_grpc_on(listener, &stop),
            None => running.serve_grpc(config, roles, &stop).await?,
        }
        running.serve_admin(admin_address(config, roles), drain).await?;
        if let Some(listener) = public {
            running.serve_public(listener, &stop)?;
        }
        Ok(running)
    }

    fn serve_public(&mut self, listener: TcpListener, stop: &Stop) -> Result<(), Failure> {
        self.listening = Some(listener.local_addr().map_err(|e| Failure::io("gateway.listen", e))?);
        let gateway = gateway(self.node.peers().clone())?;
        let serving = gateway.serve(listener, stop.clone());
        self.servers.push(task::spawn(task::Kind::Vital, "gateway", async move {
            serving.await;
        }));
        Ok(())
    }

    async fn serve_grpc(&mut self, config: &Config, roles: &[String], stop: &Stop) -> Result<(), Failure> {
        for address in grpc_addresses(config, roles) {
            let listener = bind(address, "grpc.listen").await?;
            self.serve_grpc_on(listener, stop);
        }
        Ok(())
    }

    fn serve_grpc_on(&mut self, listener: TcpListener, stop: &Stop) {
        let server = GrpcServer::new(self.node.wires());
        let stop = stop.clone();
        self.servers.push(task::spawn(task::Kind::Vital, "grpc", async move {
            server.serve(listener, stop).await;
        }));
    }

    async fn serve_admin(&mut self, address: Option<SocketAddr>, drain: Stop) -> Result<(), Failure> {
        let Some(address) = address else { return Ok(()) };
        let listener = bind(address, "admin.listen").await?;
        let (source, stop) = Stop::new();
        let clock = Environment::system().clock;
        let health = Health::of(self.node.stores(), clock.clone());
        let watching = health.clone().watch(drain.clone());
        task::spawn(task::Kind::Background, "health", watching).detach();
        // That there is an answer at all is what /livez says; what broke for good has ended the process.
        let mut probes = admin::Probes::content(env!("CARGO_PKG_VERSION"), clock);
        let stores = health.clone();
        probes.ready = Arc::new(move || match drain.is_requested() {
            true => Err("draining".to_owned()),
            false => stores.stores_answer(),
        });
        probes.dependencies = Arc::new(move || health.dependencies());
        let serving = admin::serve(listener, probes, stop);
        let serving = task::spawn(task::Kind::Vital, "admin", async move {
            serving.await;
        });
        self.admin = Some((source, serving));
        Ok(())
    }

    /// The node inside.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where the public API answers.
    pub fn url(&self) -> String {
        self.listening.map_or_else(String::new, |address| format!("http://{address}"))
    }

    /// Says at the operators' port that no new calls should be sent here. Those that come are still answered.
    pub fn drain(&self) {
        self.draining.stop();
    }

    /// Stops taking calls, finishes those that were taken, ends the processes, closes the stores.
    pub async fn shut_down(self) {
        self.drain();
        self.source.stop();
        let all = futures_util::future::join_all(self.servers);
        let _ = tokio::time::timeout(GRACE, all).await;
        self.node.shut_down().await;
        if let Some((source, serving)) = self.admin {
            source.stop();
            let _ = tokio::time::timeout(GRACE, serving).await;
        }
    }

    /// What runs where, and what to try.
    fn screen(&self, config: &Config, roles: &[String]) -> String {
        let services: Vec<_> = roles.iter().filter(|role| *role != GATEWAY).cloned().collect();
        let data = config.text("data.dir");
        let mut lines = vec![format!("Souk {} is up.", env!("CARGO_PKG_VERSION")), String::new()];
        if !services.is_empty() {
            lines.push(format!("  services   {} (data in {data})", services.join(", ")));
        }
        for address in grpc_addresses(config, roles) {
            lines.push(format!("  gRPC       {address}"));
        }
        if let Some(address) = admin_address(config, roles) {
            lines.push(format!("  health     http://{address}/health"));
        }
        if self.listening.is_some() {
            let url = self.url();
            lines.push(format!("  API        {url}   (documentation: {url}/docs)"));
        }
        let has_everything = services.len() == ROLES.len();
        if self.listening.is_some() && has_everything {
            let url = self.url();
            lines.push(String::new());
            lines.push("Try:".to_owned());
            lines.push(format!("  curl '{url}/api/v1/products?pageSize=3'"));
            lines.push(format!("  curl '{url}/api/v1/products:search?q=lantern'"));
            lines.push(format!(
                "  curl -X POST {url}/api/v1/sessions -H 'Content-Type: application/json' -d '{{}}'"
            ));
        }
        lines.push(String::new());
        lines.push("Ctrl-C stops it.".to_owned());
        lines.join("\n")
    }
}

/// The operators' address: as configured, else the default one, which on one machine can be only one process's:
/// the gateway's.
fn admin_address(config: &Config, roles: &[String]) -> Option<SocketAddr> {
    let has_gateway = roles.iter().any(|role| role == GATEWAY);
    let is_wanted = has_gateway || !config.is_default("admin.listen");
    config.optional_address("admin.listen").filter(|_| is_wanted)
}

/// The gRPC addresses: as configured, else each service's own port when only some services run here.
fn grpc_addresses(config: &Config, roles: &[String]) -> Vec<SocketAddr> {
    let own: Vec<_> = ROLES.iter().filter(|(role, _)| roles.iter().any(|own| own == role)).collect();
    match config.optional_address("grpc.listen") {
        Some(address) => vec![address],
        None if own.len() == ROLES.len() => Vec::new(),
        None => own.iter().map(|(role, _)| config.address(&format!("peers.{role}"))).collect(),
    }
}

/// Where the payment provider sends what it has to tell: as configured, else the gateway of this process, or the one
/// that is configured if its port is.
fn payment_webhook(
    config: &Config,
    provider: &str,
    public: Option<&TcpListener>,
) -> Result<Option<shop::PaymentWebhook>, Failure> {
    let configured = config.text("provider.webhook_url");
    let post = |address| Some(shop::PaymentWebhook::Post(address));
    let mistake = |e| Failure::new(exit::CONFIGURATION, format!("provider.webhook_url {e}"));
    match configured {
        "off" => Ok(None),
        "" => {
            let bound = public.and_then(|listener| listener.local_addr().ok());
            let mut gateway = bound.unwrap_or_else(|| config.address("gateway.listen"));
            if gateway.ip().is_unspecified() {
                gateway.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            if gateway.port() == 0 {
                return Ok(None);
            }
            let path = format!("/webhooks/payments/{provider}");
            format!("http://{gateway}{path}").parse().map(post).map_err(mistake)
        }
        address => address.parse().map(post).map_err(mistake),
    }
}

/// The gateway over whoever answers.
pub fn gateway(peers: Peers) -> Result<Gateway, Failure> {
    let environment = Environment::system();
    let options = souk_gateway::Options {
        title: "Souk".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: environment.clock,
        entropy: environment.entropy,
        limits: souk_gateway::Limits::default(),
    };
    Gateway::new(souk_contracts::DESCRIPTORS, peers, options).map_err(|e| Failure::new(exit::GENERIC, e))
}

/// One connection to a role carries its contract, its feed and its operators' calls.
fn add_remote(peers: &Peers, role: &str, address: SocketAddr) {
    let feed = GrpcChannel::tcp("souk.feed.v1.FeedService", &address.to_string());
    for contract in shop::contracts_of(role) {
        peers.add_remote(&contract, Arc::new(feed.for_service(&contract)));
    }
    peers.add_remote(&souk_host::operations_name(role), Arc::new(feed.for_service(souk_host::OPERATIONS)));
    peers.add_remote(&souk_bus::feed_name(role), Arc::new(feed));
}

async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::new(exit::CONFIGURATION, format!("{option}: cannot listen on {address}: {e}; is another shop running? choose another address with --{}", option.replace("gateway.", "").replace('.', "-")))
    })
}

/// A shop in this process on a free loopback port, for commands that need one.
pub struct Local(Running);

impl Local {
    /// Starts every service on the stores under `data`.
    pub async fn start(data: &Path) -> Result<Local, Failure> {
        let flags = [
            ("data.dir", Some(data.display().to_string())),
            ("gateway.listen", Some("127.0.0.1:0".to_owned())),
            ("admin.listen", Some(String::new())),
        ];
        let config = settings::load(None, &flags)?;
        let roles: Vec<_> = ROLES.iter().map(|(role, _)| *role).chain([GATEWAY]).map(str::to_owned).collect();
        Ok(Local(Running::start(&config, &roles).await?))
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Closes it.
    pub async fn stop(self) {
        self.0.shut_down().await;
    }
}
