//! Appends per second: each its own request, its own decision and its own commit, durable when it is answered.
use crate::amount::Amount;
use crate::disk::Around;
use crate::load;
use crate::parts::Setting;
use crate::report::{Figure, Outcome};
use crate::store::{self, Meter};
use std::time::Duration;

const WARM_UP: Duration = Duration::from_millis(300);
const CLIENTS: &[u32] = &[1, 64, 256, 1_024];

/// Measures each number of clients on a store of its own, and the raw disk right after it.
pub async fn measure(setting: &Setting) -> Outcome {
    let mut figures = Vec::new();
    for clients in CLIENTS {
        figures.extend(at(setting, *clients).await?);
    }
    Ok(figures)
}

async fn at(setting: &Setting, clients: u32) -> Outcome {
    let folder = setting.folder(&format!("appends-{clients}"))?;
    let store = store::open(store::options(&folder))?;
    let warm = Meter::start(&store);
    load::run(store::appenders(&store, clients), WARM_UP).await?;
    let around = Around::begin(&folder, warm.stop().bytes_per_batch(), setting.lasting / 6).await?;
    let meter = Meter::start(&store);
    let load = load::run(store::appenders(&store, clients), setting.lasting).await?;
    let done = meter.stop();
    let bytes = done.bytes_per_batch();
    let raw = around.end(bytes).await?;
    store.shutdown().await;
    let who = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
    let commits = Amount::quotient(done.commits, done.batches);
    Ok(vec![
        Figure::new(who.clone(), load.rate(), "appends/s")
            .detail(format!("{} bytes a batch", Amount::whole(bytes)))
            .beside("raw syncs of as many bytes", raw),
        Figure::new(who, commits, "commits/batch").detail(format!("p99 {} ms", load.latency(990))),
    ])
}
