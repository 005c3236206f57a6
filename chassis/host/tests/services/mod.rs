#![allow(dead_code, reason = "each test binary uses its own part")]
//! Services that note texts and hear of each other's, for the tests of the host.
use serde::{Deserialize, Serialize};
use souk_bus::{Poison, Reaction, Reactor};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::{
    CommitId, Decision, EventStore, Expected, InboxMark, Origin, PublicEvent, Publish, Recorded, StreamId,
    View, Work,
};
use souk_host::{Environment, Node, Process, Resources, Service, Settings, StartError};
use souk_kernel::{Clock, Entropy, Error, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::feed::{FeedEvent, FeedService, ReadRequest, feed_service};
use souk_rpc::{Bound, BoxFuture, BoxStream, Cx, Peers};
use souk_telemetry::Stop;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Noted {
    text: String,
}
#[derive(Debug, Clone, PartialEq)]
enum NoteEvent {
    Noted(Noted),
}
stored_events!(NoteEvent { Noted: 1 });

#[derive(Debug, Clone, Default)]
struct Notes {
    texts: Vec<String>,
}
impl Aggregate for Notes {
    type Event = NoteEvent;
    const CATEGORY: &'static str = "notes";
    fn evolve(&mut self, event: &NoteEvent) {
        let NoteEvent::Noted(noted) = event;
        self.texts.push(noted.text.clone());
    }
}

fn stream() -> StreamId {
    StreamId::of::<Notes>("all")
}

pub fn noting(id: CommitId, text: String, mark: Option<InboxMark>) -> Work {
    Work::new(id, Origin::by("test")).decide(move |_, _| {
        let noted = vec![NoteEvent::Noted(Noted { text: text.clone() })];
        let decision = Decision::new().append(stream(), Expected::Any, noted);
        Ok(match &mark {
            Some(mark) => decision.inbox(mark.clone()),
            None => decision,
        })
    })
}

fn publish(recorded: &Recorded) -> Option<PublicEvent> {
    let NoteEvent::Noted(noted) = &*recorded.of::<Notes>()?;
    Some(PublicEvent { kind: "test.v1.Noted", data: noted.text.clone().into_bytes() })
}

/// Notes what another service has noted.
struct Copying {
    name: &'static str,
    source: &'static str,
    poisoned: Arc<AtomicBool>,
}

impl Reactor for Copying {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn wants(&self, _: &str) -> bool {
        true
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        if self.poisoned.load(Ordering::SeqCst) {
            return Err(Poison { reason: "it is not understood yet".to_owned() });
        }
        let text = String::from_utf8(event.data.to_vec()).map_err(|e| Poison { reason: e.to_string() })?;
        let id = CommitId::derived(&[self.name, &event.id]);
        Ok(noting(id, format!("{text} of {}", event.source), Some(mark)))
    }
}

/// Waits for the stop and counts that it saw it.
struct Waiting(Arc<AtomicU32>);

impl Process for Waiting {
    fn name(&self) -> &'static str {
        "waiting"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            stop.requested().await;
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
}

struct Broken;

impl Process for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn run(self: Box<Self>, _: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async { Err(Error::internal("its rules contradict each other")) })
    }
}

/// A contract that is at hand; nobody calls it.
struct Silent;

impl FeedService for Silent {
    fn read(
        &self,
        _: Cx,
        _: ReadRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<FeedEvent, Error>>, Error>> {
        Box::pin(async { Err(Error::unavailable("it says nothing")) })
    }
}

/// A service that does what its fields say.
#[derive(Default)]
pub struct TestService {
    pub name: &'static str,
    pub publishes: bool,
    /// Names of reactions and of the services that they listen to.
    pub listens_to: Vec<(&'static str, &'static str)>,
    /// Counts its processes that were stopped.
    pub ended: Option<Arc<AtomicU32>>,
    pub is_broken: bool,
    pub serves: bool,
    /// Its reactions understand nothing while this is so.
    pub poisoned: Arc<AtomicBool>,
}

impl Service for TestService {
    fn name(&self) -> &'static str {
        self.name
    }

    fn views(&self) -> Vec<View> {
        Vec::new()
    }

    fn publish(&self) -> Option<Publish> {
        self.publishes.then_some(Publish(publish))
    }

    fn serve(&self, own: &Resources) -> Vec<Bound> {
        let bound = || feed_service::bind(Arc::new(Silent), own.guard.clone());
        self.serves.then(bound).into_iter().collect()
    }

    fn processes(&self, own: &Resources) -> Vec<Box<dyn Process>> {
        let reaction = |(name, source): &(&'static str, &'static str)| -> Box<dyn Process> {
            let (store, peers, identity) = (own.store.clone(), own.peers.clone(), own.identity.clone());
            Box::new(Reaction::new(
                store,
                peers,
                identity,
                Arc::new(Copying { name, source, poisoned: self.poisoned.clone() }),
            ))
        };
        let mut processes: Vec<_> = self.listens_to.iter().map(reaction).collect();
        processes.extend(self.ended.clone().map(|ended| Box::new(Waiting(ended)) as Box<dyn Process>));
        processes.extend(self.is_broken.then(|| Box::new(Broken) as Box<dyn Process>));
        processes
    }
}

pub fn service(name: &'static str) -> TestService {
    TestService { name, publishes: true, ..TestService::default() }
}

pub async fn start(services: Vec<TestService>, settings: &Settings) -> Result<Node, StartError> {
    let clock: Arc<dyn Clock> = ManualClock::at(START);
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(1);
    let boxed = |service| Box::new(service) as Box<dyn Service>;
    let services: Vec<_> = services.into_iter().map(boxed).collect();
    Node::start(&services, &Environment { clock, entropy }, settings, Peers::new()).await
}

pub async fn refused(services: Vec<TestService>, folder: &Path) -> StartError {
    start(services, &Settings::at(folder)).await.err().expect("it must not start")
}

/// Starts, notes a text in every store, and ends.
pub async fn use_once(names: &[&'static str], folder: &Path, text: &str) {
    let services = names.iter().map(|name| service(name)).collect();
    let node = start(services, &Settings::at(folder)).await.expect("it starts");
    for (_, store) in node.stores() {
        store.commit(noting(CommitId::derived(&[text]), text.to_owned(), None)).await.expect("noted");
    }
    node.shut_down().await;
}

pub async fn texts(store: &EventStore) -> Vec<String> {
    store.state::<Notes>(&stream()).await.expect("readable").texts.clone()
}

/// Waits until `is_so`; looks again whenever the store has changed.
pub async fn until<F: Future<Output = bool>>(store: &EventStore, is_so: impl Fn() -> F) {
    let mut head = store.head();
    let waiting = async {
        while !is_so().await {
            head.changed().await.expect("the store is open");
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes true in time");
}
