//! Waiting for an order to move: until it settles, for whoever placed it, and transition by transition, for
//! whoever watches it. Both look at the store again whenever its head moves.
use crate::domain::Order;
use crate::proto;
use souk_contracts::order::v1::WatchOrderResponse;
use souk_decider::Aggregate;
use souk_eventstore::{EventStore, Folded, Position, StreamId};
use souk_kernel::Error;
use souk_rpc::Cx;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

/// The longest that a caller may wait for an order to settle.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// What the wait leaves of the caller's time, so that there is an answer.
pub const ANSWER_MARGIN: Duration = Duration::from_millis(100);
/// How many events are read at once.
const EVENTS_PER_READ: usize = 100;

/// The order once it is settled, or as it is when the caller's patience ends.
pub async fn settled(
    store: &EventStore,
    stream: &StreamId,
    mut order: Folded<Order>,
    cx: &Cx,
) -> Result<Folded<Order>, Error> {
    let Some(wait) = cx.wait() else { return Ok(order) };
    let until = Instant::now() + wait.min(WAIT_MAX).min(cx.remaining().saturating_sub(ANSWER_MARGIN));
    let mut head = store.head();
    loop {
        head.borrow_and_update();
        if order.label().is_settled() {
            return Ok(order);
        }
        order = store.state::<Order>(stream).await?;
        if order.label().is_settled() {
            return Ok(order);
        }
        match tokio::time::timeout_at(until, head.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(order),
        }
    }
}

/// Every transition after a sequence, then live until nothing is left to come.
pub fn transitions(
    store: EventStore,
    stream: StreamId,
    after_sequence: u64,
) -> impl futures_util::Stream<Item = Result<WatchOrderResponse, Error>> + Send + 'static {
    let head = store.head();
    let watcher = Watcher {
        store,
        stream,
        after_sequence,
        head,
        order: Order::default(),
        version: 0,
        ready: VecDeque::new(),
    };
    futures_util::stream::unfold(Some(watcher), |watcher| async move {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(Some(transition)) => Some((Ok(transition), Some(watcher))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Watcher {
    store: EventStore,
    stream: StreamId,
    after_sequence: u64,
    head: Receiver<Position>,
    /// The state after the events that were read so far.
    order: Order,
    version: u64,
    ready: VecDeque<WatchOrderResponse>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Option<WatchOrderResponse>, Error> {
        loop {
            if let Some(transition) = self.ready.pop_front() {
                return Ok(Some(transition));
            }
            self.head.borrow_and_update();
            // The head moves with every commit of the service; the cached version tells for nothing
            // whether this order moved.
            let moved = self.store.state::<Order>(&self.stream).await?.version() > self.version;
            if moved {
                self.read().await?;
                continue;
            }
            if self.order.is_over() || self.head.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Folds what is new.
    async fn read(&mut self) -> Result<(), Error> {
        let events = self.store.read_stream(&self.stream, self.version, EVENTS_PER_READ).await?;
        for recorded in &events {
            let event = recorded.event()?;
            let what = self.order.transition(&event);
            self.order.evolve(&event);
            self.version = recorded.version;
            if let Some(what) = what.filter(|_| recorded.version > self.after_sequence) {
                self.ready.push_back(proto::transition(what, &self.order, recorded.time));
            }
        }
        Ok(())
    }
}
