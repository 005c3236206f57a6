//! How services hear of each other. The log is the outbox: a service's published events are read from its
//! own log as a feed ([`Feeds`]), and a [`Reaction`] of another service turns each into one commit of its own.
//!
//! Delivery is at least once and in order per stream; effects happen exactly once, because the commit
//! carries an inbox mark: what is at or below the mark is dropped, what is beyond the next is read again. A
//! poison event parks its key: it and later events of that key wait for an operator, the others flow. The operator
//! has them applied in order by [`Reaction::redrive`] once what was wrong is put right. Trouble of the store or the network parks nothing. The feed is one contract (`souk.feed.v1`), answered in process
//! or over gRPC: the same path, the same failure modes.
//!
//! Here, `greeter` says good day to everybody whom `door` lets in:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use souk_bus::{AUDIENCE, Feeds, Poison, Reaction, Reactor, feed_name};
//! use souk_decider::{Aggregate, stored_events};
//! use souk_eventstore::*;
//! use souk_identity::{KeySet, ServiceIdentity, Signer, SigningKey, Verifier};
//! use souk_kernel::{Ids, ManualClock, SeededEntropy, Timestamp};
//! use souk_rpc::{Guard, Peers, feed::{FeedEvent, feed_service}};
//! use souk_telemetry::Stop;
//! use std::sync::Arc;
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! pub struct Noted { name: String }
//! #[derive(Debug, Clone, PartialEq)]
//! pub enum NoteEvent { Noted(Noted) }
//! stored_events!(NoteEvent { Noted: 1 });
//! #[derive(Debug, Clone, Default)]
//! pub struct Notes { names: Vec<String> }
//! impl Aggregate for Notes {
//!     type Event = NoteEvent;
//!     const CATEGORY: &'static str = "notes";
//!     fn evolve(&mut self, event: &NoteEvent) {
//!         let NoteEvent::Noted(noted) = event;
//!         self.names.push(noted.name.clone());
//!     }
//! }
//!
//! // What others learn of the door's log.
//! fn publish(recorded: &Recorded) -> Option<PublicEvent> {
//!     let NoteEvent::Noted(noted) = &*recorded.of::<Notes>()?;
//!     Some(PublicEvent { kind: "door.v1.Entered", data: noted.name.clone().into_bytes() })
//! }
//!
//! struct Greeting;
//! impl Reactor for Greeting {
//!     fn name(&self) -> &'static str { "greeter.greeting" }
//!     fn source(&self) -> &'static str { "door" }
//!     fn wants(&self, kind: &str) -> bool { kind == "door.v1.Entered" }
//!     fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
//!         let name = std::str::from_utf8(&event.data).map_err(|e| Poison { reason: e.to_string() })?;
//!         let greeted = NoteEvent::Noted(Noted { name: format!("Good day, {name}!") });
//!         let id = CommitId::derived(&[self.name(), &event.id]);
//!         Ok(Work::new(id, Origin::by(self.name()).causation(event.id.as_str())).decide(move |_, _| {
//!             let to = StreamId::of::<Notes>("greetings");
//!             Ok(Decision::new().append(to, Expected::Any, vec![greeted.clone()]).inbox(mark.clone()))
//!         }))
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
//! # runtime.block_on(async {
//! let clock = ManualClock::at(Timestamp::from_unix_s(1));
//! let open = |name| Options::new(name, Location::Memory(Faults::none()), clock.clone());
//! let door = EventStore::open(open("door").publish(Publish(publish))).expect("opens");
//! let greeter = EventStore::open(open("greeter")).expect("opens");
//!
//! // Feeds stand behind a guard like every service, and are found among the peers.
//! # let entropy = SeededEntropy::new(1);
//! # let signer = Arc::new(Signer::new(SigningKey::generate(entropy.as_ref())));
//! # let keys = KeySet::new();
//! # keys.add(signer.public());
//! # let ids = Ids::new(clock.clone(), entropy);
//! let identity = Arc::new(ServiceIdentity::new("greeter", signer, clock.clone(), ids));
//! let guard = Arc::new(Guard::new(Arc::new(Verifier::new(keys, AUDIENCE, clock.clone()))));
//! let feeds = Feeds::default().with("door", door.clone());
//! let peers = Peers::new();
//! peers.add_remote(&feed_name("door"), feed_service::bind(Arc::new(feeds), guard).wire);
//!
//! let entered = Work::new(CommitId::derived(&["ada enters"]), Origin::by("door")).decide(|_, _| {
//!     let ada = NoteEvent::Noted(Noted { name: "Ada".to_owned() });
//!     Ok(Decision::new().append(StreamId::of::<Notes>("door-1"), Expected::Any, vec![ada]))
//! });
//! door.commit(entered).await.expect("recorded");
//!
//! let (_source, stop) = Stop::new();
//! let reaction = Reaction::new(greeter.clone(), peers, identity, Arc::new(Greeting)).run(stop);
//! let mut head = greeter.head();
//! tokio::select! {
//!     _ = reaction => unreachable!("it runs until it is stopped"),
//!     greeted = head.wait_for(|position| position.get() == 1) => drop(greeted.expect("it is open")),
//! }
//! let greetings = greeter.state::<Notes>(&StreamId::of::<Notes>("greetings")).await.expect("readable");
//! assert_eq!(greetings.names, ["Good day, Ada!"]);
//! assert_eq!(greeter.inbox_mark("greeter.greeting", "door", "notes/door-1").await, Ok(1));
//! # });
//! ```
#![warn(missing_docs)]

mod chunk;
mod feed;
mod reaction;

pub use feed::{AUDIENCE, Feeds, feed_name};
pub use reaction::{
    PARKED_EVENTS_MAX, PARKED_KEYS_MAX, Poison, Reaction, Reactor, Redrive, RedriveAsked, RedriveEnded,
    RedriveEvent, Redriven, Redrives, Start,
};
