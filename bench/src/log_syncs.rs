//! One sync of the log makes a batch durable, exactly one: fewer would lose sales, more would waste the disk.
//!
//! SQLite syncs the log's header once more whenever the log starts over after a checkpoint, so the bar is read
//! on a log that does not start over, and then the surplus is held against the checkpoints.
use crate::amount::Amount;
use crate::parts::Setting;
use crate::report::{Figure, Outcome};
use crate::store::{self, Done, Meter};
use crate::{load, report};
use souk_eventstore::EventStore;
use std::time::Duration;

/// No run of this length reaches it.
const LOG_BYTES_NEVER_REACHED: u64 = 4 << 30;
const CLIENTS: &[u32] = &[1, 64];

/// Counts.
pub async fn measure(setting: &Setting) -> Outcome {
    let lasting = setting.lasting / 3;
    let folder = setting.folder("log-syncs")?;
    let endless = store::open(store::options(&folder).log_bytes_max(LOG_BYTES_NEVER_REACHED))?;
    warm_up(&endless).await?;
    let mut figures = Vec::new();
    for clients in CLIENTS {
        let done = count(&endless, *clients, lasting).await?;
        let syncs = done.syncs.sequencers;
        let who = if *clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
        let per_batch = Figure::new(who.clone(), Amount::quotient(syncs, done.batches), "syncs/batch")
            .detail(format!("{syncs} syncs, {} batches", done.batches))
            .bar("exactly one a batch", syncs == done.batches && done.batches > 0);
        let commits = Amount::quotient(done.commits, done.batches);
        figures.extend([per_batch, Figure::new(who, commits, "commits/batch")]);
    }
    endless.shutdown().await;
    let folder = setting.folder("log-syncs-moved")?;
    let usual = store::open(store::options(&folder))?;
    warm_up(&usual).await?;
    figures.extend(moved(&count(&usual, 64, lasting).await?));
    usual.shutdown().await;
    Ok(figures)
}

/// The first batch of a new log syncs its header, which belongs to the opening.
async fn warm_up(store: &EventStore) -> report::Outcome<()> {
    load::run(store::appenders(store, 1), Duration::from_millis(50)).await.map(drop)
}

async fn count(store: &EventStore, clients: u32, lasting: Duration) -> report::Outcome<Done> {
    let meter = Meter::start(store);
    load::run(store::appenders(store, clients), lasting).await?;
    Ok(meter.stop())
}

fn moved(done: &Done) -> [Figure; 2] {
    let surplus = done.syncs.sequencers.saturating_sub(done.batches);
    // The one under way may have let the log start over already.
    let explained = done.checkpoints + 1;
    [
        Figure::new("64 clients, usual log size", Amount::whole(surplus), "syncs beyond one a batch")
            .detail(format!("{} batches, {} checkpoints", done.batches, done.checkpoints))
            .bar("one a checkpoint", surplus <= explained && done.syncs.sequencers >= done.batches),
        Figure::new(
            "syncs by the checkpoints' own thread",
            Amount::whole(done.syncs.checkpoints),
            "syncs, apart",
        ),
    ]
}
