//! What a simulated machine has instead of the real one's clock, entropy and network.
use crate::chance::Chance;
use crate::faults::Unreliable;
use crate::time::SimulatedClock;
use souk::settings::ROLES;
use souk::shop;
use souk_host::{Environment, Node, Settings};
use souk_rpc::grpc::{BoxIo, Connector, GrpcChannel, GrpcServer};
use souk_rpc::{ByteService, Peers};
use souk_telemetry::{Stop, task};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const PORT: u16 = 9_000;

/// Everything that one host needs to run its role, again after each crash.
#[derive(Clone)]
pub struct Machine {
    pub role: &'static str,
    pub data: PathBuf,
    pub seed: u64,
    /// Counts the starts, so that no start draws the same ids as an earlier one.
    pub starts: Arc<AtomicU64>,
    /// Lets the calls of its services go wrong.
    pub faults: Unreliable,
}

impl Machine {
    pub fn new(role: &'static str, data: &Path, seed: u64, faults: Unreliable) -> Self {
        Self { role, data: data.to_owned(), seed, starts: Arc::default(), faults }
    }

    /// Serves the role until the host crashes.
    pub async fn run(self) -> turmoil::Result {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let chance = Chance::new(self.seed, &format!("machine {} {start}", self.role));
        let skew = Duration::from_millis(chance.below(400));
        let environment = Environment { clock: SimulatedClock::new(skew), entropy: chance.entropy() };
        let mut settings = Settings::at(&self.data);
        settings.one_thread = true;
        settings.cache_bytes_max = 1 << 20;
        let choices =
            shop::Choices { payment_webhook: Some(shop::PaymentWebhook::Direct), ..shop::Choices::default() };
        let services = shop::services_named(&[self.role.to_owned()], &choices);
        let node = Node::start(&services, &environment, &settings, peers(self.role, &self.faults)).await?;
        let server = GrpcServer::new(node.wires());
        let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        let (_source, stop) = Stop::new();
        loop {
            let (io, _) = listener.accept().await?;
            let (server, stop) = (server.clone(), stop.clone());
            let serving = async move { server.serve_connection(io, stop).await };
            task::spawn(task::Kind::Request, "simulated.connection", serving).detach();
        }
    }
}

/// The way from one host to all others, through the simulated network and `faults`.
pub fn peers(own: &str, faults: &Unreliable) -> Peers {
    let peers = Peers::new();
    for (role, _) in ROLES.iter().filter(|(role, _)| *role != own) {
        let feed = GrpcChannel::new("souk.feed.v1.FeedService", role, connector(role));
        for contract in shop::contracts_of(role) {
            peers.add_remote(&contract, faults.around(Arc::new(feed.for_service(&contract))));
        }
        // Feeds are read in long streams; the network itself is trouble enough for them.
        let feed: Arc<dyn ByteService> = Arc::new(feed);
        peers.add_remote(&souk_bus::feed_name(role), feed);
    }
    peers
}

fn connector(role: &'static str) -> Connector {
    Arc::new(move || {
        Box::pin(async move {
            let io = turmoil::net::TcpStream::connect((role, PORT)).await?;
            Ok(Box::new(io) as BoxIo)
        })
    })
}
