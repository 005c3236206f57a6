//! What a simulated machine has instead of the real one's clock, entropy and network.
use crate::chance::Chance;
use crate::faults::Unreliable;
use souk::settings::ROLES;
use souk::shop;
use souk_host::{Environment, Node, Settings};
use souk_kernel::{Clock, Timestamp};
use souk_rpc::grpc::{BoxIo, Connector, GrpcChannel, GrpcServer};
use souk_rpc::{ByteService, Peers};
use souk_telemetry::{Stop, task};
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// When every run begins.
const OPENS: Timestamp = Timestamp::from_unix_s(1_800_000_000);
const PORT: u16 = 9_000;

/// The simulation's time, on every machine a little wrong.
pub struct SimulatedClock {
    skew: Duration,
}

impl SimulatedClock {
    pub fn new(skew: Duration) -> Arc<Self> {
        Arc::new(Self { skew })
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        OPENS.plus(turmoil::sim_elapsed().unwrap_or_default() + self.skew)
    }
}

thread_local! {
    /// How many random bytes this thread asked the system for: each gets others, in every run the same. Counted by
    /// thread, because the test harness asks too, and when it does depends on the machine.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Takes the place of the system's: the standard library seeds its hash maps with it, whose order would otherwise
/// differ from run to run.
#[allow(unsafe_code, reason = "the symbol of the C library can only be replaced by one of its own form")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller gives a buffer of this length, as the system call demands.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    for byte in bytes {
        let asked = ASKED.replace(ASKED.get() + 1);
        *byte = (asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    }
    isize::try_from(length).expect("a buffer's length")
}

/// The simulation's time for code that asks the system: microseconds since the start, and whether it counts.
static ELAPSED_US: AtomicU64 = AtomicU64::new(0);
static IS_SIMULATED: AtomicBool = AtomicBool::new(false);

/// Says how far the simulation is. From the first time on, the system's clock stands where this says: the HTTP/2
/// library forgets closed streams by it, and how fast this machine is must not matter.
pub fn tell_time(elapsed: Duration) {
    ELAPSED_US.store(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    IS_SIMULATED.store(true, Ordering::Relaxed);
}

/// Takes the place of the C library's.
#[allow(unsafe_code, reason = "the symbol of the C library can only be replaced by one of its own form")]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    if !IS_SIMULATED.load(Ordering::Relaxed) {
        // SAFETY: the very call that the caller made, handed on to the system.
        let answer = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
        return libc::c_int::try_from(answer).unwrap_or(-1);
    }
    let us = ELAPSED_US.load(Ordering::Relaxed) + u64::try_from(OPENS.unix_us()).unwrap_or(0);
    let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
    let told = libc::timespec {
        tv_sec: libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::try_from(rest * 1_000).unwrap_or(0),
    };
    // SAFETY: the caller gives a place for one of these, as the system call demands.
    unsafe { time.write(told) };
    0
}

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
        let services = shop::services_named(&[self.role.to_owned()], &shop::Choices::default());
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
