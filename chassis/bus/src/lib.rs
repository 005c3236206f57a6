//! How services hear of each other. The log is the outbox: a service's published events are read from its
//! own log as a feed, and a [`Reaction`] of another service turns each into one commit of its own.
//!
//! Delivery is at least once and in order per stream; effects happen exactly once, because the commit
//! carries an inbox mark. A poison event parks its key: it and later events of that key wait, the others
//! flow. The feed is one contract (`souk.feed.v1`), answered in process or over gRPC: the same path, the
//! same failure modes.
//!
//! ```
//! // A feed is found among the peers under a name per source.
//! assert_eq!(souk_bus::feed_name("order"), "souk.feed.v1.FeedService@order");
//! ```
#![warn(missing_docs)]

mod chunk;
mod feed;
mod reaction;

pub use feed::{AUDIENCE, Feeds, feed_name};
pub use reaction::{PARKED_EVENTS_MAX, PARKED_KEYS_MAX, Poison, Reaction, Reactor, Start};
