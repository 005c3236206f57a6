//! Keeps up a load: so many clients, each with its next request as soon as it has the answer to the last.
use crate::amount::Amount;
use crate::report::{NoResult, Outcome};
use souk_telemetry::task;
use std::future::Future;
use std::time::{Duration, Instant};

/// Latencies that one client remembers; beyond it, it only counts.
const LATENCIES_MAX: usize = 1 << 20;
/// Requests that one client makes at most, whatever the time.
const REQUESTS_MAX: u64 = 50_000_000;

/// One client.
pub trait Client: Send + 'static {
    /// Makes its `n`th request and waits for the answer.
    fn once(&mut self, n: u64) -> impl Future<Output = Outcome<()>> + Send;
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Load {
    /// Requests that were answered.
    pub done: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    latencies_us: Vec<u32>,
}

impl Load {
    /// Answers per second.
    pub fn rate(&self) -> Amount {
        Amount::per_second(self.done, self.elapsed)
    }

    /// The latency that so many of a thousand requests did not exceed, in milliseconds.
    pub fn latency(&self, per_mille: usize) -> Amount {
        let at = (self.latencies_us.len() * per_mille / 1_000).min(self.latencies_us.len().saturating_sub(1));
        let us = self.latencies_us.get(at).copied().unwrap_or(0);
        Amount::ms(Duration::from_micros(u64::from(us)))
    }
}

/// Lets the clients work for so long. The last requests are waited for: what is begun counts.
pub async fn run<C: Client>(clients: impl IntoIterator<Item = C>, lasting: Duration) -> Outcome<Load> {
    let started = Instant::now();
    let until = started + lasting;
    let working: Vec<_> = clients
        .into_iter()
        .map(|client| task::spawn(task::Kind::Request, "bench.client", work(client, until)))
        .collect();
    let mut load = Load::default();
    for client in working {
        let (done, mut latencies_us) = client.join().await.map_err(|e| NoResult::failed("a client", e))??;
        load.done += done;
        load.latencies_us.append(&mut latencies_us);
    }
    load.elapsed = started.elapsed();
    load.latencies_us.sort_unstable();
    Ok(load)
}

async fn work<C: Client>(mut client: C, until: Instant) -> Outcome<(u64, Vec<u32>)> {
    let mut latencies_us = Vec::new();
    for n in 0..REQUESTS_MAX {
        let begun = Instant::now();
        if begun >= until {
            return Ok((n, latencies_us));
        }
        client.once(n).await?;
        if latencies_us.len() < LATENCIES_MAX {
            latencies_us.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok((REQUESTS_MAX, latencies_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_sorted_latencies() {
        let load = Load { latencies_us: (1..=1_000).collect(), ..Load::default() };
        assert_eq!(load.latency(500), Amount::ms(Duration::from_micros(501)));
        assert_eq!(load.latency(1_000), Amount::ms(Duration::from_millis(1)));
        assert_eq!(Load::default().latency(990), Amount::whole(0));
    }
}
