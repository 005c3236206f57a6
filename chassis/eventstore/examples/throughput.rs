//! How many small commits a second: `cargo run --release -p souk-eventstore --example throughput -- [clients] [commits]
//! [log MiB]`.
//! Each commit reads a stream's state, appends one event, publishes it and writes one row of a view.
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::*;
use souk_kernel::{ManualClock, Timestamp};
use std::io::Write;
use std::time::Instant;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Moved {
    sku: String,
    by: i64,
}
#[derive(Debug, Clone, PartialEq)]
enum StockEvent {
    Moved(Moved),
}
stored_events!(StockEvent { Moved: 1 });

#[derive(Debug, Clone, Default)]
struct Stock {
    on_hand: i64,
}
impl Aggregate for Stock {
    type Event = StockEvent;
    const CATEGORY: &'static str = "stock";
    fn evolve(&mut self, event: &StockEvent) {
        let StockEvent::Moved(moved) = event;
        self.on_hand += moved.by;
    }
}

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Stock>() else { return };
    let StockEvent::Moved(moved) = &*event;
    let statement = Statement::new(
        "INSERT INTO {levels} (id, on_hand) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET on_hand = on_hand + excluded.on_hand",
    );
    out.push(statement.arg(recorded.stream.id()).arg(moved.by));
}

const LEVELS: View = View {
    name: "levels",
    version: 1,
    tables: &[Table {
        name: "levels",
        ddl: "CREATE TABLE {name} (id TEXT PRIMARY KEY, on_hand BIGINT NOT NULL)",
        indexes: &[],
    }],
    project,
};

fn publish(recorded: &Recorded) -> Option<PublicEvent> {
    Some(PublicEvent { kind: "souk.inventory.v1.Moved", data: recorded.data.as_bytes().to_vec() })
}

fn argument(place: usize, default: u64) -> u64 {
    std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn take(id: CommitId, stream: StreamId) -> Work {
    Work::new(id, Origin::by("gst_01j00000000000000000000000")).read::<Stock>(&stream).decide(
        move |facts, _| {
            let by = if facts.state::<Stock>(&stream).on_hand > 0 { -1 } else { 1_000 };
            let event = StockEvent::Moved(Moved { sku: stream.id().to_owned(), by });
            Ok(Decision::new().append(&stream, Expected::Any, vec![event]))
        },
    )
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (clients, commits) = (argument(1, 256), argument(2, 200_000));
    let folder = tempfile::tempdir_in(std::env::current_dir().expect("a folder")).expect("a folder");
    let clock = ManualClock::at(Timestamp::from_unix_s(1_800_000_000));
    let options = Options::new("bench", Location::Sqlite(folder.path().join("bench.db")), clock);
    let options = options.log_bytes_max(argument(3, 32) << 20);
    let store = EventStore::open(options.views(vec![LEVELS]).publish(Publish(publish))).expect("opens");
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0..commits / clients {
                let id = CommitId::derived(&["bench", &client.to_string(), &n.to_string()]);
                let stream = StreamId::of::<Stock>(format!("SKU-{}", (client * 7 + n) % 2_000));
                store.commit(take(id, stream)).await.expect("committed");
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let elapsed = started.elapsed();
    let statistics = store.statistics();
    let per_second = u128::from(statistics.commits) * 1_000_000 / elapsed.as_micros().max(1);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{clients} clients: {per_second} commits/s, {elapsed:?}\n{statistics:?}");
}
