//! One process of the shop: some services, their stores, and the way to the others.
use crate::supervise::supervise;
use crate::{KeyError, Process, Resources, Service, keys};
use souk_bus::{Feeds, feed_name};
use souk_eventstore::{EventStore, Faults, Location, OpenError, Options};
use souk_identity::{KeySet, ServiceIdentity, Signer, Verifier};
use souk_kernel::{Clock, Entropy, Ids};
use souk_rpc::feed::FeedService;
use souk_rpc::{ByteService, Guard, Peers};
use souk_telemetry::{Stop, StopSource, task};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long processes get to end at a stop.
const GRACE: Duration = Duration::from_secs(20);

/// The two sources of nondeterminism.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl Environment {
    /// The machine's own.
    pub fn system() -> Self {
        Self { clock: Arc::new(crate::SystemClock), entropy: crate::SystemEntropy::new() }
    }

    /// New ids from these.
    pub fn ids(&self) -> Ids {
        Ids::new(self.clock.clone(), self.entropy.clone())
    }
}

/// Where a node keeps its things.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of the stores and keys; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// Lets local calls encode and decode their messages, as remote ones do. For tests.
    pub round_trip: bool,
    /// The most bytes of folded states that one service keeps in memory.
    pub cache_bytes_max: usize,
}

impl Settings {
    /// Everything under this folder.
    pub fn at(data: impl Into<PathBuf>) -> Self {
        Self { data: Some(data.into()), round_trip: false, cache_bytes_max: 32 << 20 }
    }

    /// Everything in memory, gone with the process.
    pub fn in_memory() -> Self {
        Self { data: None, ..Self::at("") }
    }
}

/// Why a node does not start.
#[derive(Debug)]
pub enum StartError {
    /// A store cannot be opened.
    Store(OpenError),
    /// The signing key cannot be used.
    Key(KeyError),
    /// The data folder cannot be used.
    Data(PathBuf, std::io::Error),
    /// The data folder had this store before, and its file is gone or empty.
    StoreMissing(PathBuf),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Store(e) => e.fmt(f),
            StartError::Key(e) => e.fmt(f),
            StartError::Data(path, e) => write!(f, "the data folder {} cannot be used: {e}", path.display()),
            StartError::StoreMissing(path) => write!(
                f,
                "the store {} is missing or empty although it was in use before; restore it from a backup, or, \
                 to begin with an empty one, remove its line from {}",
                path.display(),
                path.with_file_name(MANIFEST).display()
            ),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Store(e) => Some(e),
            StartError::Key(e) => Some(e),
            StartError::Data(_, e) => Some(e),
            StartError::StoreMissing(_) => None,
        }
    }
}

impl StartError {
    /// Whether somebody else has the data folder open: trying again later may help, as nothing else does.
    pub fn is_locked(&self) -> bool {
        matches!(self, StartError::Store(OpenError::LockHeld { .. }))
    }
}

/// Lists the stores that were ever made in a data folder.
const MANIFEST: &str = "stores.txt";

/// A running set of services.
pub struct Node {
    peers: Peers,
    signer: Arc<Signer>,
    keys: KeySet,
    stores: Vec<(&'static str, EventStore)>,
    wires: Vec<Arc<dyn ByteService>>,
    running: Vec<task::Running>,
    source: StopSource,
    stop: Stop,
}

impl Node {
    /// Opens the stores, binds the services, and starts what they do by themselves. Calls to services that
    /// are not in the list go where `peers` says.
    pub async fn start(
        services: &[Box<dyn Service>],
        environment: &Environment,
        settings: &Settings,
        peers: Peers,
    ) -> Result<Node, StartError> {
        let (signer, keys) = open_keys(environment, settings)?;
        let stores = open_stores(services, environment, settings)?;
        let (source, stop) = Stop::new();
        peers.round_trip(settings.round_trip);
        let mut node =
            Node { peers, signer, keys, stores, wires: Vec::new(), running: Vec::new(), source, stop };
        let resources: Vec<_> =
            node.stores.iter().map(|(name, store)| node.resources(name, store, environment)).collect();
        for (service, own) in services.iter().zip(&resources) {
            for bound in service.serve(own) {
                node.peers.add_bound(&bound);
                node.wires.push(bound.wire);
            }
        }
        node.serve_feeds(services, environment);
        for (service, own) in services.iter().zip(&resources) {
            for process in service.processes(own) {
                node.keep_running(service.name(), process);
            }
        }
        Ok(node)
    }

    fn resources(&self, name: &'static str, store: &EventStore, environment: &Environment) -> Resources {
        let verifier = Arc::new(Verifier::new(self.keys.clone(), name, environment.clock.clone()));
        let ids = environment.ids();
        Resources {
            store: store.clone(),
            clock: environment.clock.clone(),
            ids: ids.clone(),
            peers: self.peers.clone(),
            identity: Arc::new(ServiceIdentity::new(
                name,
                self.signer.clone(),
                environment.clock.clone(),
                ids,
            )),
            signer: self.signer.clone(),
            guard: Arc::new(Guard::new(verifier)),
        }
    }

    /// One feed service for all local stores, found under a name per source.
    fn serve_feeds(&mut self, services: &[Box<dyn Service>], environment: &Environment) {
        let publishing = services.iter().zip(&self.stores).filter(|(service, _)| service.publish().is_some());
        let feeds = publishing
            .fold(Feeds::default(), |feeds, (service, (_, store))| feeds.with(service.name(), store.clone()));
        let sources: Vec<_> = feeds.sources().map(feed_name).collect();
        let verifier =
            Arc::new(Verifier::new(self.keys.clone(), souk_bus::AUDIENCE, environment.clock.clone()));
        let api: Arc<dyn FeedService> = Arc::new(feeds);
        let bound = souk_rpc::feed::feed_service::bind(api, Arc::new(Guard::new(verifier)));
        for source in sources {
            self.peers.add_remote(&source, bound.wire.clone());
        }
        self.wires.push(bound.wire);
    }

    fn keep_running(&mut self, service: &'static str, process: Box<dyn Process>) {
        let supervised = supervise(service, process, self.stop.clone());
        self.running.push(task::spawn(task::Kind::Vital, "process", supervised));
    }

    /// Who answers what.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Signs tokens.
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// The keys whose tokens count here.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The services as the gRPC server offers them.
    pub fn wires(&self) -> Vec<Arc<dyn ByteService>> {
        self.wires.clone()
    }

    /// The stores by service name.
    pub fn stores(&self) -> &[(&'static str, EventStore)] {
        &self.stores
    }

    /// Requested when the node is shut down.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Ends the processes, then closes the stores with a checkpoint.
    pub async fn shut_down(self) {
        self.source.stop();
        let all = futures_util::future::join_all(self.running);
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("some processes did not end in time");
        }
        for (_, store) in &self.stores {
            store.shutdown().await;
        }
    }
}

fn open_keys(environment: &Environment, settings: &Settings) -> Result<(Arc<Signer>, KeySet), StartError> {
    match &settings.data {
        Some(data) => keys::load_or_create(data, environment.entropy.as_ref()).map_err(StartError::Key),
        None => {
            let signer =
                Arc::new(Signer::new(souk_identity::SigningKey::generate(environment.entropy.as_ref())));
            let keys = KeySet::new();
            keys.add(signer.public());
            Ok((signer, keys))
        }
    }
}

/// Opens every store, side by side: each costs a few syncs when it is new.
fn open_stores(
    services: &[Box<dyn Service>],
    environment: &Environment,
    settings: &Settings,
) -> Result<Vec<(&'static str, EventStore)>, StartError> {
    if let Some(data) = &settings.data {
        std::fs::create_dir_all(data).map_err(|e| StartError::Data(data.clone(), e))?;
        refuse_missing(data, services)?;
    }
    let open = |service: &dyn Service| {
        let location = match &settings.data {
            Some(data) => Location::Sqlite(data.join(service.name()).with_extension("db")),
            None => Location::Memory(Faults::default()),
        };
        let mut options = Options::new(service.name(), location, environment.clock.clone())
            .views(service.views())
            .cache_bytes_max(settings.cache_bytes_max)
            .entropy(environment.entropy.clone());
        if let Some(publish) = service.publish() {
            options = options.publish(publish);
        }
        EventStore::open(options).map(|store| (service.name(), store)).map_err(StartError::Store)
    };
    let opened: Vec<_> = std::thread::scope(|scope| {
        let opening: Vec<_> = services.iter().map(|service| scope.spawn(|| open(service.as_ref()))).collect();
        opening.into_iter().map(|one| one.join().expect("opening a store does not panic")).collect()
    });
    let stores = opened.into_iter().collect::<Result<Vec<_>, _>>()?;
    if let Some(data) = &settings.data {
        remember(data, services)?;
    }
    Ok(stores)
}

/// The stores that were ever made here. A list that cannot be read must not pass for an empty one.
fn manifest(data: &Path) -> Result<String, StartError> {
    let path = data.join(MANIFEST);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(StartError::Data(path, e)),
    }
}

/// A store that was there and is not is a disaster to look at, not one to paper over with an empty file.
fn refuse_missing(data: &Path, services: &[Box<dyn Service>]) -> Result<(), StartError> {
    let known = manifest(data)?;
    let files = services.iter().filter(|service| known.lines().any(|name| name == service.name()));
    let mut files = files.map(|service| data.join(service.name()).with_extension("db"));
    // SQLite takes an empty file for a new database, and would make one of it.
    let is_gone = |file: &PathBuf| std::fs::metadata(file).map_or(true, |found| found.len() == 0);
    files.find(is_gone).map_or(Ok(()), |file| Err(StartError::StoreMissing(file)))
}

fn remember(data: &Path, services: &[Box<dyn Service>]) -> Result<(), StartError> {
    let known = manifest(data)?;
    let is_known = |name: &str| known.lines().any(|line| line == name);
    let fresh = services.iter().map(|service| service.name()).filter(|name| !is_known(name));
    let mut lines: String = fresh.map(|name| format!("{name}\n")).collect();
    if lines.is_empty() {
        return Ok(());
    }
    // A crash may have cut the last line short; the next must not be glued to it.
    if !known.is_empty() && !known.ends_with('\n') {
        lines.insert(0, '\n');
    }
    append(&data.join(MANIFEST), &lines).map_err(|e| StartError::Data(data.to_owned(), e))
}

fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}
