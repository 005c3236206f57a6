//! The CPU that our gateway takes for a request, beside nginx that only passes on the same bytes. Ours routes,
//! checks, and turns JSON into protobuf and back over gRPC; the rounds alternate, so that whatever else the
//! machine does weighs on both.
use crate::amount::Amount;
use crate::load::{self, Client};
use crate::nginx::{self, Nginx};
use crate::parts::Setting;
use crate::process;
use crate::report::{Figure, NoResult, Outcome};
use crate::rest::{Ask, Caller};
use crate::shop::Program;
use crate::upstream::{self, Answers, FRESH_PATH, LARGE_PATH, SMALL_PATH};
use souk_telemetry::Stop;
use std::net::SocketAddr;
use std::time::Duration;

const CLIENTS: u32 = 32;
const ROUNDS: u32 = 3;
const WARM_UP: Duration = Duration::from_millis(200);
/// Six loads a round have to fit into a minute.
const LOAD_MAX: Duration = Duration::from_secs(2);
const RATIO_MAX: u64 = 2;

/// A proxy that is measured.
struct Proxy {
    address: SocketAddr,
    id: u32,
    /// What one path has cost so far.
    small: Cost,
    large: Cost,
    fresh: Cost,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    requests: u64,
    cpu: Duration,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.requests += other.requests;
        self.cpu += other.cpu;
    }

    /// Per request, in microseconds.
    fn us(self) -> Amount {
        let us = u64::try_from(self.cpu.as_micros()).unwrap_or(u64::MAX);
        Amount::quotient(us, self.requests)
    }
}

/// Measures both.
pub async fn measure(setting: &Setting) -> Outcome {
    let nginx = nginx::find(setting)?;
    let (source, stop) = Stop::new();
    let catalog = upstream::serve_grpc(stop.clone()).await?;
    let mut ours = Program::of(setting)?.gateway(&setting.folder("gateway")?, catalog)?;
    ours.first_answer(SMALL_PATH).await?;
    let answers = answers(ours.address()).await?;
    let lengths = (answers.small.len(), answers.large.len());
    let plain = upstream::serve_http(answers, stop).await?;
    let nginx = Nginx::start(&nginx, &setting.folder("nginx")?, plain).await?;
    let mut both = [Proxy::new(ours.address(), ours.id()?), Proxy::new(nginx.address(), nginx.id()?)];
    let lasting = (setting.lasting / 2).min(LOAD_MAX);
    for _ in 0..ROUNDS {
        for proxy in &mut both {
            let small = proxy.load(SMALL_PATH, lengths.0, lasting).await?;
            proxy.small.add(small);
            let large = proxy.load(LARGE_PATH, lengths.1, lasting).await?;
            proxy.large.add(large);
            let fresh = proxy.load(FRESH_PATH, lengths.1, lasting).await?;
            proxy.fresh.add(fresh);
        }
    }
    ours.stop().await?;
    nginx.stop().await;
    source.stop();
    let [ours, theirs] = &both;
    let barred = |what, bytes, ours: Cost, theirs: Cost| {
        let is_met = ours.us().over(theirs.us()) <= Amount::whole(RATIO_MAX) && theirs.requests > 0;
        figure(what, bytes, ours, theirs).bar("at most twice nginx", is_met)
    };
    Ok(vec![
        barred("one product", lengths.0, ours.small, theirs.small),
        barred("a page of 50 products", lengths.1, ours.large, theirs.large),
        figure("a page of 50, each time another", lengths.1, ours.fresh, theirs.fresh),
    ])
}

fn figure(what: &'static str, bytes: usize, ours: Cost, theirs: Cost) -> Figure {
    Figure::new(what, ours.us(), "µs of CPU/request")
        .detail(format!("{bytes} bytes, {} requests", ours.requests))
        .beside("nginx", theirs.us())
}

/// The bytes that our gateway makes of the products; nginx is to pass on the same.
async fn answers(address: SocketAddr) -> Outcome<Answers> {
    let mut caller = Caller::new(address);
    let small = caller.success(&Ask::get(SMALL_PATH)).await?;
    let large = caller.success(&Ask::get(LARGE_PATH)).await?;
    Ok(Answers { small, large })
}

impl Proxy {
    fn new(address: SocketAddr, id: u32) -> Self {
        Self { address, id, small: Cost::default(), large: Cost::default(), fresh: Cost::default() }
    }

    async fn load(&self, path: &'static str, length: usize, lasting: Duration) -> Outcome<Cost> {
        let reader = |_| Reader { caller: Caller::new(self.address), path, length };
        load::run((0..CLIENTS).map(reader), WARM_UP).await?;
        let before = process::cpu(self.id)?;
        let load = load::run((0..CLIENTS).map(reader), lasting).await?;
        let cpu = process::cpu(self.id)?.saturating_sub(before);
        Ok(Cost { requests: load.done, cpu })
    }
}

/// Reads the same thing again and again.
struct Reader {
    caller: Caller,
    path: &'static str,
    length: usize,
}

impl Client for Reader {
    async fn once(&mut self, _: u64) -> Outcome<()> {
        let body = self.caller.success(&Ask::get(self.path)).await?;
        if body.len() == self.length {
            return Ok(());
        }
        Err(NoResult::Failed(format!("an answer of {} bytes instead of {}", body.len(), self.length)))
    }
}
