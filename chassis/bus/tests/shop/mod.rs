//! A service that talks, one that listens, and feeds that misbehave in between.
#![allow(dead_code, reason = "each test binary uses its own part")]
mod views;

use futures_util::{FutureExt, StreamExt};
use prost::Message;
use serde::{Deserialize, Serialize};
use souk_bus::{AUDIENCE, Feeds, Poison, Reaction, Reactor, feed_name};
use souk_decider::{Aggregate, stored_events};
use souk_eventstore::*;
use souk_identity::{KeySet, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_kernel::{Clock, Error, Ids, ManualClock, Rejection, SeededEntropy, Timestamp};
use souk_rpc::feed::{FeedEvent, FeedService, ReadRequest, feed_service};
use souk_rpc::{BoxFuture, BoxStream, ByteService, Bytes, Cx, Guard, Peers, Reply};
use souk_telemetry::{Stop, StopSource, task};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
pub use views::views;

pub const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);
/// A test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const WANTED: &str = "test.v1.Wanted";
pub const OTHER: &str = "test.v1.Other";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    pub n: i64,
    pub wanted: bool,
}
#[derive(Debug, Clone, PartialEq)]
pub enum SpeakerEvent {
    Said(Said),
}
stored_events!(SpeakerEvent { Said: 1 });

#[derive(Debug, Clone, Default)]
pub struct Speaker;
impl Aggregate for Speaker {
    type Event = SpeakerEvent;
    const CATEGORY: &'static str = "speaker";
    fn evolve(&mut self, _: &SpeakerEvent) {}
}

fn publish(recorded: &Recorded) -> Option<PublicEvent> {
    let SpeakerEvent::Said(said) = &*recorded.of::<Speaker>()?;
    let kind = if said.wanted { WANTED } else { OTHER };
    Some(PublicEvent { kind, data: said.n.to_string().into_bytes() })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    pub n: i64,
}
#[derive(Debug, Clone, PartialEq)]
pub enum ListenerEvent {
    Heard(Heard),
}
stored_events!(ListenerEvent { Heard: 1 });

/// What was heard of one speaker, in order.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    pub heard: Vec<i64>,
}
impl Aggregate for Listener {
    type Event = ListenerEvent;
    const CATEGORY: &'static str = "listener";
    fn evolve(&mut self, event: &ListenerEvent) {
        let ListenerEvent::Heard(heard) = event;
        self.heard.push(heard.n);
    }
}

/// What can be wrong with an event: it cannot be read, a rule says no, the decision panics, a view refuses
/// it, the reaction itself panics.
pub const POISONS: [(i64, &str); 5] = [
    (-1, "cannot be read"),
    (-2, "TOO_LOUD"),
    (-3, "the decision does not like this"),
    (-4, "the view heard refused"),
    (-5, "the reaction does not like this"),
];

/// Hears what speakers say.
pub struct Hearing {
    name: &'static str,
    /// It wants every kind, known or not.
    pub wants_all: bool,
    /// Every event is poison while this is so.
    pub broken: AtomicBool,
    /// How many events it was asked about.
    pub asked: watch::Sender<u64>,
}

pub fn hearing() -> Arc<Hearing> {
    hearing_as("test.hearing")
}

pub fn hearing_as(name: &'static str) -> Arc<Hearing> {
    let (asked, broken) = (watch::Sender::new(0), AtomicBool::new(false));
    Arc::new(Hearing { name, wants_all: false, broken, asked })
}

impl Reactor for Hearing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        "speaker"
    }

    fn wants(&self, kind: &str) -> bool {
        self.wants_all || kind == WANTED
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        self.asked.send_modify(|asked| *asked += 1);
        let text = std::str::from_utf8(&event.data).ok().and_then(|text| text.parse().ok());
        let unreadable = || Poison { reason: "cannot be read".to_owned() };
        let n: i64 = text.filter(|n| *n != -1).ok_or_else(unreadable)?;
        if self.broken.load(Ordering::SeqCst) {
            return Err(Poison { reason: "all is broken".to_owned() });
        }
        assert_ne!(n, -5, "the reaction does not like this");
        let to = StreamId::of::<Listener>(format!("{}/{}", self.name, event.stream));
        let work = Work::new(CommitId::derived(&[self.name, &event.id]), Origin::by(self.name));
        Ok(work.decide(move |_, _| {
            assert_ne!(n, -3, "the decision does not like this");
            if n == -2 {
                return Err(Rejection::new("TOO_LOUD", "nobody can listen to this"));
            }
            let heard = vec![ListenerEvent::Heard(Heard { n })];
            Ok(Decision::new().append(&to, Expected::Any, heard).inbox(mark.clone()))
        }))
    }
}

/// The two services, their folder, and who may call whom.
pub struct Shop {
    pub peers: Peers,
    pub identity: Arc<ServiceIdentity>,
    pub clock: Arc<ManualClock>,
    keys: KeySet,
    folder: tempfile::TempDir,
}

impl Shop {
    pub fn new() -> Self {
        let clock = ManualClock::at(START);
        let entropy = SeededEntropy::new(1);
        let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
        let keys = KeySet::new();
        keys.add(signer.public());
        let ids = Ids::new(clock.clone(), entropy);
        let identity = Arc::new(ServiceIdentity::new("listener", signer, clock.clone(), ids));
        let folder = tempfile::tempdir().expect("a folder for tests");
        Self { peers: Peers::new(), identity, clock, keys, folder }
    }

    pub fn options(&self, name: &str) -> Options {
        let path = self.folder.path().join(name).with_extension("db");
        self.options_at(name, Location::Sqlite(path))
    }

    pub fn options_at(&self, name: &str, location: Location) -> Options {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Options::new(name, location, clock)
    }

    pub fn speaker(&self) -> EventStore {
        self.speaker_that(publish)
    }

    /// Another speaker.
    pub fn speaker_called(&self, name: &str) -> EventStore {
        EventStore::open(self.options(name).publish(Publish(publish))).expect("opens")
    }

    /// A speaker with other ideas of what is public.
    pub fn speaker_that(&self, publish: fn(&Recorded) -> Option<PublicEvent>) -> EventStore {
        EventStore::open(self.options("speaker").publish(Publish(publish))).expect("opens")
    }

    pub fn listener(&self) -> EventStore {
        EventStore::open(self.options("listener").views(views())).expect("opens")
    }

    /// A listener in memory, to which these things happen.
    pub fn listener_with(&self, faults: Faults) -> EventStore {
        let options = self.options_at("listener", Location::Memory(faults));
        EventStore::open(options.views(views())).expect("opens")
    }

    /// The real feed behind its guard.
    pub fn feed(&self, store: &EventStore) -> Arc<dyn ByteService> {
        self.wire(Arc::new(Feeds::default().with("speaker", store.clone())))
    }

    pub fn wire(&self, feeds: Arc<dyn FeedService>) -> Arc<dyn ByteService> {
        let verifier = Verifier::new(self.keys.clone(), AUDIENCE, self.clock.clone());
        feed_service::bind(feeds, Arc::new(Guard::new(Arc::new(verifier)))).wire
    }

    /// From now on the feed is answered by this.
    pub fn connect(&self, feed: Arc<dyn ByteService>) {
        self.peers.add_remote(&feed_name("speaker"), feed);
    }

    pub fn reaction(&self, store: &EventStore, reactor: Arc<Hearing>) -> Reaction {
        Reaction::new(store.clone(), self.peers.clone(), self.identity.clone(), reactor)
    }

    /// Starts a reaction.
    pub fn react(&self, store: &EventStore, reactor: Arc<Hearing>) -> Running {
        let (source, stop) = Stop::new();
        let reaction = self.reaction(store, reactor).run(stop);
        let task = task::spawn(task::Kind::Background, "test.reaction", async move {
            reaction.await.expect("a reaction does not give up");
        });
        Running { source, task }
    }

    pub fn cx(&self) -> Cx {
        Cx::new(Instant::now() + PATIENCE).with_token(self.identity.token_for(AUDIENCE, None))
    }
}

/// A reaction at work.
pub struct Running {
    source: StopSource,
    task: task::Running,
}

impl Running {
    /// Lets it come to its end.
    pub async fn stop(self) {
        self.source.stop();
        self.task.join().await.expect("it ends by itself");
    }

    /// Ends it wherever it is.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.join().await;
    }
}

/// Says these numbers to the key, all in one commit.
pub async fn say(store: &EventStore, key: &str, wanted: bool, numbers: impl IntoIterator<Item = i64>) {
    let to = StreamId::of::<Speaker>(key);
    let events: Vec<_> = numbers.into_iter().map(|n| SpeakerEvent::Said(Said { n, wanted })).collect();
    let before = store.head().borrow().get().to_string();
    let work = Work::new(CommitId::derived(&["say", &before]), Origin::by("test"));
    let said = work.decide(move |_, _| Ok(Decision::new().append(&to, Expected::Any, events.clone())));
    store.commit(said).await.expect("said");
}

/// Waits until `is_so`; looks again whenever the store has changed.
pub async fn until<F: Future<Output = bool>>(store: &EventStore, is_so: impl Fn() -> F) {
    let mut head = store.head();
    let waiting = async {
        loop {
            head.borrow_and_update();
            if is_so().await {
                return;
            }
            head.changed().await.expect("the store is open");
        }
    };
    timeout(PATIENCE, waiting).await.expect("it comes true in time");
}

/// Waits until the reaction is done with the whole feed.
pub async fn caught_up(listener: &EventStore, speaker: &EventStore, reaction: &str) {
    let whole = speaker.feed_head();
    until(listener, || async move { checkpoint(listener, reaction).await == whole }).await;
}

pub async fn checkpoint(listener: &EventStore, reaction: &str) -> u64 {
    let name = format!("reaction/{reaction}");
    listener.checkpoint_of(&name).await.expect("readable").map_or(0, Position::get)
}

/// What the listener has heard of a speaker.
pub async fn heard(listener: &EventStore, key: &str) -> Vec<i64> {
    heard_by(listener, "test.hearing", key).await
}

pub async fn heard_by(listener: &EventStore, reaction: &str, key: &str) -> Vec<i64> {
    let stream = StreamId::of::<Listener>(format!("{reaction}/speaker/{key}"));
    listener.state::<Listener>(&stream).await.expect("readable").heard.clone()
}

pub async fn mark(listener: &EventStore, key: &str) -> u64 {
    let stream = format!("speaker/{key}");
    listener.inbox_mark("test.hearing", "speaker", &stream).await.expect("readable")
}

/// The parked events as (key, sequence, reason).
pub async fn parked(listener: &EventStore) -> Vec<(String, u64, String)> {
    let parked = listener.parked("test.hearing", PAGE_MAX).await.expect("readable");
    let key = |stream: &str| stream.trim_start_matches("speaker/").to_owned();
    parked.into_iter().map(|event| (key(&event.stream), event.sequence, event.reason)).collect()
}

/// A feed that duplicates, delays, reorders, leaves out and breaks off, as its seed has it.
pub struct Unruly {
    pub inner: Arc<dyn ByteService>,
    pub entropy: Arc<SeededEntropy>,
    pub opened: watch::Sender<u64>,
}

impl Unruly {
    pub fn new(inner: Arc<dyn ByteService>, seed: u64) -> Arc<Self> {
        Arc::new(Self { inner, entropy: SeededEntropy::new(seed), opened: watch::Sender::new(0) })
    }
}

impl ByteService for Unruly {
    fn service(&self) -> &str {
        self.inner.service()
    }

    fn call(&self, method: &str, cx: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply, Error>> {
        self.opened.send_modify(|opened| *opened += 1);
        let (call, entropy) = (self.inner.call(method, cx, request), self.entropy.clone());
        Box::pin(async move {
            if entropy.next_u64().is_multiple_of(6) {
                return Err(Error::unavailable("not today"));
            }
            let left = 5 + entropy.next_u64() % 40;
            let inner = call.await?.many();
            let mangled = Mangled { inner, entropy, left, held: VecDeque::new() };
            let items = futures_util::stream::unfold(mangled, |mut mangled| async move {
                mangled.next().await.map(|item| (item, mangled))
            });
            Ok(Reply::Many(items.boxed()))
        })
    }
}

type Item = Result<Bytes, Error>;

struct Mangled {
    inner: BoxStream<'static, Item>,
    entropy: Arc<SeededEntropy>,
    left: u64,
    held: VecDeque<Item>,
}

impl Mangled {
    async fn next(&mut self) -> Option<Item> {
        self.left = self.left.checked_sub(1)?;
        if self.left == 0 && self.entropy.next_u64().is_multiple_of(2) {
            return Some(Err(Error::unavailable("cut off")));
        }
        if let Some(item) = self.held.pop_front() {
            return Some(item);
        }
        let item = self.inner.next().await?;
        match self.entropy.next_u64() % 10 {
            0 => self.held.push_back(item.clone()),
            1 => {
                if let Some(Some(later)) = self.inner.next().now_or_never() {
                    self.held.push_back(item);
                    return Some(later);
                }
            }
            2 => tokio::task::yield_now().await,
            // A hole, if something follows at all.
            3 => {
                if let Some(Some(later)) = self.inner.next().now_or_never() {
                    return Some(later);
                }
            }
            _ => {}
        }
        Some(item)
    }
}

/// A feed that says at each opening what its script says, the last of it for ever.
pub struct Scripted(pub Vec<Vec<FeedEvent>>, pub watch::Sender<usize>);

impl Scripted {
    pub fn new(script: Vec<Vec<FeedEvent>>) -> Arc<Self> {
        Arc::new(Self(script, watch::Sender::new(0)))
    }
}

impl FeedService for Scripted {
    fn read(
        &self,
        _: Cx,
        request: ReadRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<FeedEvent, Error>>, Error>> {
        let opening = *self.1.borrow();
        self.1.send_modify(|openings| *openings += 1);
        let events = self.0[opening.min(self.0.len() - 1)].clone();
        let later = events.into_iter().filter(move |event| event.feed_seq > request.after).map(Ok);
        Box::pin(async move { Ok(futures_util::stream::iter(later).boxed()) })
    }
}

/// What a feed says of a key: its number in the feed, the key, its number in the key, and its content.
pub fn event(feed_seq: u64, key: &str, public_seq: u64, n: i64) -> FeedEvent {
    FeedEvent {
        feed_seq,
        source: "speaker".into(),
        stream: format!("speaker/{key}"),
        public_seq,
        kind: WANTED.into(),
        id: format!("speaker/{key}/{public_seq}"),
        data: n.to_string().into_bytes().into(),
        ..FeedEvent::default()
    }
}

pub fn decoded(item: Item) -> FeedEvent {
    FeedEvent::decode(item.expect("an event")).expect("a message")
}
