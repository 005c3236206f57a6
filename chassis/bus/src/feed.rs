//! The outgoing side: serves the published events of the stores in this process.
use souk_eventstore::{EventStore, Fault, Position, Published};
use souk_kernel::{Code, Error};
use souk_rpc::feed::{FeedEvent, FeedService, ReadRequest};
use souk_rpc::{BoxFuture, BoxStream, Cx};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// How many events are read from the log at once.
const PAGE: usize = 256;

/// The audience of the tokens that readers of feeds send.
pub const AUDIENCE: &str = "feed";

/// The name under which the feed of one service is found among the peers.
pub fn feed_name(source: &str) -> String {
    format!("souk.feed.v1.FeedService@{source}")
}

/// The feeds of the services in this process. A reader names the service; each reads at its own pace, and a
/// slow one costs no more than a page of memory.
#[derive(Default)]
pub struct Feeds {
    sources: BTreeMap<String, EventStore>,
}

impl Feeds {
    /// Adds the feed of one service.
    #[must_use]
    pub fn with(mut self, source: &str, store: EventStore) -> Self {
        self.sources.insert(source.to_owned(), store);
        self
    }

    /// The names of the services whose feeds are here.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    fn open(&self, request: ReadRequest) -> Result<Cursor, Error> {
        let store = self.sources.get(&request.source).cloned().ok_or_else(|| unknown(&request.source))?;
        let known = store.feed_head();
        if request.after > known {
            return Err(lost(&request, known));
        }
        let left = if request.limit == 0 { u64::MAX } else { u64::from(request.limit) };
        let head = store.head();
        Ok(Cursor { store, head, source: request.source, after: request.after, left, page: Vec::new() })
    }
}

impl FeedService for Feeds {
    fn read(
        &self,
        _cx: Cx,
        request: ReadRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<FeedEvent, Error>>, Error>> {
        let opened = self.open(request);
        Box::pin(async move {
            let events = futures_util::stream::unfold(Some(opened?), |cursor| async move {
                let mut cursor = cursor?;
                match cursor.next().await {
                    Ok(event) => event.map(|event| (Ok(event), Some(cursor))),
                    // After an error there is no telling what comes next, so nothing does.
                    Err(error) => Some((Err(error), None)),
                }
            });
            Ok(Box::pin(events) as BoxStream<'static, _>)
        })
    }
}

fn unknown(source: &str) -> Error {
    Error::new(Code::NotFound, "UNKNOWN_FEED", format!("no service named {source} publishes here"))
}

/// Waiting for the number to come up again would silently skip what takes the lost events' numbers.
fn lost(request: &ReadRequest, known: u64) -> Error {
    let ReadRequest { source, after, .. } = request;
    let message = format!(
        "the reader knows {after} events of {source}, but there are only {known}; was {source} restored \
         from an older backup than its readers?"
    );
    Error::new(Code::OutOfRange, "FEED_BEHIND_READER", message)
}

/// Where one reader stands.
struct Cursor {
    store: EventStore,
    head: watch::Receiver<Position>,
    source: String,
    after: u64,
    /// How many events it still wants.
    left: u64,
    /// Read and not yet handed out, last first.
    page: Vec<Published>,
}

impl Cursor {
    /// The next event; waits for it when all are read. `None` when the reader has what it wanted or the
    /// store closes.
    async fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        while self.page.is_empty() {
            self.head.borrow_and_update();
            let page = usize::try_from(self.left).map_or(PAGE, |left| left.min(PAGE));
            match self.store.read_feed(self.after, page).await {
                Ok(page) => self.page = page.into_iter().rev().collect(),
                Err(Fault::Closed) => return Ok(None),
                Err(fault) => return Err(fault.into()),
            }
            if self.page.is_empty() && !self.moved().await {
                return Ok(None);
            }
        }
        self.page.pop().map(|published| self.hand_out(published)).transpose()
    }

    /// Waits until the log has moved; `false` when it never will again.
    async fn moved(&mut self) -> bool {
        tokio::select! {
            moved = self.head.changed() => moved.is_ok(),
            () = self.store.closed() => false,
        }
    }

    fn hand_out(&mut self, published: Published) -> Result<FeedEvent, Error> {
        let expected = self.after + 1;
        if published.feed_seq != expected {
            let found = published.feed_seq;
            return Err(Fault::Broken(format!("the feed has {found} instead of {expected}")).into());
        }
        self.after = expected;
        self.left -= 1;
        Ok(to_event(&self.source, published))
    }
}

fn to_event(source: &str, published: Published) -> FeedEvent {
    FeedEvent {
        feed_seq: published.feed_seq,
        source: source.to_owned(),
        stream: published.stream.as_str().to_owned(),
        public_seq: published.public_seq,
        kind: published.kind.to_owned(),
        id: format!("{source}/{}", published.feed_seq),
        time: Some(souk_rpc::time::to_proto(published.time)),
        correlation_id: published.correlation.to_string(),
        causation_id: published.causation.to_string(),
        traceparent: published.trace.to_string(),
        actor: published.actor.to_string(),
        data: published.data,
    }
}
