//! The carrier with its real books: labels, restarts, and notices that nobody takes at first.
use souk_carrier::truth::Books;
use souk_carrier::{Carrier, Messenger, Notice, Options};
use souk_contracts::carrier::v1 as pb;
use souk_contracts::carrier::v1::{CarrierService, LabelStatus};
use souk_eventstore::{CommitError, EventStore, Location, Position};
use souk_identity::WebhookSecret;
use souk_kernel::{Clock, Code, Error, ManualClock, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const PACE: Duration = Duration::from_secs(60);

/// Takes a notice only when it has refused so many.
#[derive(Default)]
struct Reluctant {
    refusals: Mutex<u32>,
    taken: Mutex<Vec<Notice>>,
}

impl Messenger for Reluctant {
    fn deliver(&self, notice: Notice) -> BoxFuture<'_, Result<(), Error>> {
        let mut refusals = self.refusals.lock().expect("no holder panics");
        let refused = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        if !refused {
            self.taken.lock().expect("no holder panics").push(notice);
        }
        Box::pin(async move { if refused { Err(Error::unavailable("not now")) } else { Ok(()) } })
    }
}

struct House {
    clock: Arc<ManualClock>,
    store: EventStore,
    carrier: Carrier,
    bell: Arc<Reluctant>,
}

impl House {
    fn open(folder: &Path) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_s(1_000));
        let location = Location::Sqlite(folder.join("carrier.db"));
        let options = souk_eventstore::Options::new("carrier", location, clock.clone() as Arc<dyn Clock>);
        let store = EventStore::open(options.views(souk_carrier::views())).expect("opens");
        let bell = Arc::new(Reluctant::default());
        let options =
            Options { pace: PACE, secret: WebhookSecret::new(b"shared"), messenger: Some(bell.clone()) };
        let carrier = Carrier::new(store.clone(), clock.clone(), options);
        Self { clock, store, carrier, bell }
    }

    /// Ends it and opens it again on the same books.
    async fn restarted(self, folder: &Path) -> Self {
        self.store.shutdown().await;
        drop(self);
        Self::open(folder)
    }

    async fn buy(&self, key: &str, scenario: &str) -> Result<pb::Label, Error> {
        let request = pb::BuyLabelRequest {
            key: key.to_owned(),
            service: "standard".to_owned(),
            country: "GB".to_owned(),
            scenario: scenario.to_owned(),
            reference: "shp".to_owned(),
        };
        // Whoever does not wait hears only what is answered at once, so no test waits for a silence.
        Ok(self.carrier.buy_label(Cx::new(Instant::now()), request).await?.label.expect("set"))
    }

    async fn find(&self, key: &str) -> Option<pb::Label> {
        let request = pb::FindLabelRequest { key: key.to_owned() };
        self.carrier.find_label(Cx::new(Instant::now()), request).await.expect("answered").label
    }

    async fn collect(&self, key: &str) -> Result<pb::Label, Error> {
        let request = pb::CollectRequest { key: key.to_owned() };
        Ok(self.carrier.collect(Cx::new(Instant::now()), request).await?.label.expect("set"))
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance_ms(i64::try_from(time.as_millis()).expect("it fits"));
        for timer in self.store.due_timers(100).await.expect("timers") {
            match self.carrier.on_due(timer).await {
                Ok(()) | Err(CommitError::TimerGone) => {}
                Err(error) => panic!("a timer was not fired: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_key_has_one_label_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path());
    let first = house.buy("k", "").await.expect("bought");
    let house = house.restarted(folder.path()).await;
    assert_eq!(house.buy("k", "").await.expect("the same"), first);
    assert_eq!(house.find("k").await, Some(first));
    let reused = house.buy("k", "lost").await.expect_err("other content");
    assert_eq!((reused.code(), reused.reason()), (Code::AlreadyExists, "KEY_REUSED"));
    assert_eq!(house.find("other").await, None);
    assert_eq!(house.collect("other").await.expect_err("unknown").reason(), "UNKNOWN_LABEL");
}

#[tokio::test]
async fn a_lost_answer_is_found_by_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path());
    house.buy("before", "timeout_before").await.expect_err("no answer");
    assert_eq!(house.find("before").await, None);
    let house = house.restarted(folder.path()).await;
    house.buy("before", "timeout_before").await.expect("the next works");
    house.buy("after", "timeout_after_effect").await.expect_err("no answer");
    let found = house.find("after").await.expect("it had its effect");
    assert_eq!(found.status(), LabelStatus::Bought);
    assert_eq!(house.buy("after", "timeout_after_effect").await.expect("answered"), found);
}

#[tokio::test]
async fn scans_and_notices_outlive_a_restart_and_a_receiver_that_is_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let house = House::open(folder.path());
    house.buy("k", "").await.expect("bought");
    let collected = house.collect("k").await.expect("collected");
    assert_eq!(collected.status(), LabelStatus::Collected);
    let house = house.restarted(folder.path()).await;
    *house.bell.refusals.lock().expect("no holder panics") = 3;
    for _ in 0..12 {
        house.pass(PACE).await;
    }
    let log = house.store.read_log(Position::START, 100).await.expect("readable");
    let truth = Books::of(&log).expect("readable").truths().next().expect("one label");
    assert_eq!(truth.scans, ["COLLECTED", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"]);
    let taken = house.bell.taken.lock().expect("no holder panics").clone();
    assert_eq!(taken.len(), 4, "each is taken once, however often it was refused");
    let secret = WebhookSecret::new(b"shared");
    let fits = |notice: &Notice| {
        let times = (1_000..10_000).step_by(60).map(Timestamp::from_unix_s);
        times.into_iter().any(|now| secret.verify(&notice.signature, now, &notice.body).is_ok())
    };
    assert!(taken.iter().all(fits));
    assert_eq!(house.store.open_timers().await.expect("readable"), 0);
}
