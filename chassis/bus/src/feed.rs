//! The outgoing side: serves the published events of the stores in this process.
use souk_eventstore::{EventStore, Published};
use souk_kernel::{Code, Error};
use souk_rpc::feed::{FeedEvent, FeedService, ReadRequest};
use souk_rpc::{BoxFuture, BoxStream, Cx};
use std::collections::HashMap;

/// How many events are read from the log at once.
const PAGE: usize = 256;

/// The audience of the tokens that readers of feeds send.
pub const AUDIENCE: &str = "feed";

/// The name under which the feed of one service is found among the peers.
pub fn feed_name(source: &str) -> String {
    format!("souk.feed.v1.FeedService@{source}")
}

/// The feeds of the services in this process.
#[derive(Default)]
pub struct Feeds {
    sources: HashMap<String, EventStore>,
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
}

impl FeedService for Feeds {
    fn read(
        &self,
        _cx: Cx,
        request: ReadRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<FeedEvent, Error>>, Error>> {
        Box::pin(async move {
            let store = self.sources.get(&request.source).cloned();
            let store = store.ok_or_else(|| {
                Error::new(
                    Code::NotFound,
                    "UNKNOWN_FEED",
                    format!("no service named {} publishes here", request.source),
                )
            })?;
            let cursor = Cursor {
                head: store.head(),
                store,
                source: request.source,
                after: request.after,
                page: Vec::new(),
            };
            let events = futures_util::stream::unfold(cursor, |mut cursor| async move {
                let next = cursor.next().await;
                next.map(|event| (event, cursor))
            });
            Ok(Box::pin(events) as BoxStream<'static, _>)
        })
    }
}

/// Where one reader stands.
struct Cursor {
    store: EventStore,
    head: tokio::sync::watch::Receiver<souk_eventstore::Position>,
    source: String,
    after: u64,
    /// Read and not yet handed out, last first.
    page: Vec<Published>,
}

impl Cursor {
    /// The next event; waits for it when all are read. Ends when the store closes.
    async fn next(&mut self) -> Option<Result<FeedEvent, Error>> {
        while self.page.is_empty() {
            self.head.borrow_and_update();
            match self.store.read_feed(self.after, PAGE).await {
                Ok(page) => self.page = page.into_iter().rev().collect(),
                Err(fault) => return Some(Err(fault.into())),
            }
            if self.page.is_empty() && self.head.changed().await.is_err() {
                return None;
            }
        }
        let published = self.page.pop()?;
        assert_eq!(published.feed_seq, self.after + 1, "a feed has no gaps");
        self.after = published.feed_seq;
        Some(Ok(to_event(&self.source, published)))
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
