//! The event store: the log is the only truth, one commit is the unit of atomicity, and the decision is made
//! where the commit is made.
//!
//! A [`Work`] says what a decision needs to know and holds the decision itself, a pure function. One thread,
//! the sequencer, takes all work that has queued up, decides each piece in turn on current facts (those of the
//! pieces before it included), writes everything in one transaction and makes it durable with one sync of the
//! disk. So nobody ever decides on stale facts, hot streams do not conflict, and positions have no gaps.
//!
//! Read models ([`View`]) and what others learn ([`Publish`]) are pure functions of the log that run in the
//! same commit. Claims, inbox marks, timers, leases and checkpoints are parts of a commit too.
//!
//! What is personal enters the log only closed ([`souk_kernel::Sealed`]); [`Keys`] closes and opens it.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use souk_decider::{Aggregate, stored_events};
//! use souk_eventstore::*;
//! use souk_kernel::{ManualClock, Rejection, Timestamp};
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! pub struct Taken { n: i64 }
//! #[derive(Debug, Clone, PartialEq)]
//! pub enum StockEvent { Taken(Taken) }
//! stored_events!(StockEvent { Taken: 1 });
//!
//! #[derive(Debug, Clone, Default)]
//! pub struct Stock { taken: i64 }
//! impl Aggregate for Stock {
//!     type Event = StockEvent;
//!     const CATEGORY: &'static str = "stock";
//!     fn evolve(&mut self, event: &StockEvent) {
//!         let StockEvent::Taken(taken) = event;
//!         self.taken += taken.n;
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
//! # runtime.block_on(async {
//! let clock = ManualClock::at(Timestamp::from_unix_s(1));
//! let store = EventStore::open(Options::new("inventory", Location::Memory(Faults::none()), clock)).expect("opens");
//! let stream = StreamId::of::<Stock>("sku-1");
//! let take = |request: &str| {
//!     let stream = stream.clone();
//!     Work::new(CommitId::derived(&["take", request]), Origin::by("gst_1")).read::<Stock>(&stream).decide(
//!         move |facts, _now| {
//!             if facts.state::<Stock>(&stream).taken >= 1 {
//!                 return Err(Rejection::new("OUT_OF_STOCK", "nothing is left"));
//!             }
//!             Ok(Decision::new().append(&stream, Expected::Any, vec![StockEvent::Taken(Taken { n: 1 })]))
//!         },
//!     )
//! };
//! let committed = store.commit(take("a")).await.expect("there is one");
//! assert_eq!(committed.state::<Stock>(&stream).expect("it was read").taken, 1);
//! assert!(store.commit(take("a")).await.expect("the same answer").replayed);
//! assert!(matches!(store.commit(take("b")).await, Err(CommitError::Rejected(r)) if r.reason == "OUT_OF_STOCK"));
//! # });
//! ```
#![warn(missing_docs)]

pub mod audit;
mod batch;
mod cache;
mod checkpoint;
mod decision;
mod error;
mod faults;
mod feed;
mod fold;
mod ids;
mod keys;
mod lease;
mod options;
mod piece;
mod readers;
mod record;
mod schema;
mod sequencer;
mod shared;
mod store;
mod view;
mod work;
mod write;

pub use audit::{Audit, Finding};
pub use decision::{Decision, Expected, Fence, InboxMark, Once, OnceRecord, Parked, Timer};
pub use error::{CommitError, Error, Fault};
pub use faults::{Faults, Injected};
pub use fold::Folded;
pub use ids::{CommitId, Position, StreamId};
pub use keys::{Keys, SealError};
pub use lease::Lease;
pub use options::{Location, Options, Statistics};
pub use record::{Origin, PublicEvent, Publish, Published, Recorded};
pub use souk_sql::{OpenError, Row, Statement, Value};
pub use store::{EventStore, PAGE_MAX};
pub use view::{Table, View};
pub use work::{Committed, Facts, Work};
