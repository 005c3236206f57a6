//! The shape of a rule book: a state is a fold over events, a decision is a pure function of the state.
//!
//! Here stand the two traits that every event-sourced thing implements, the macro that stores an event
//! enum as JSON under a kind and a schema number, a ready-made decider for documents ([`Record`]), and
//! the tools to test all of it ([`testing`]). Nothing here knows a database, a clock or a network.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use souk_decider::{stored_events, Aggregate};
//! use souk_decider::testing::Given;
//! use souk_kernel::Rejection;
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! pub struct Opened {}
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! pub struct Deposited { minor: i64 }
//!
//! #[derive(Debug, Clone, PartialEq)]
//! pub enum AccountEvent { Opened(Opened), Deposited(Deposited) }
//! stored_events!(AccountEvent { Opened: 1, Deposited: 1 });
//!
//! #[derive(Debug, Clone, Default)]
//! pub struct Account { open: bool, minor: i64 }
//! impl Aggregate for Account {
//!     type Event = AccountEvent;
//!     const CATEGORY: &'static str = "account";
//!     fn evolve(&mut self, event: &AccountEvent) {
//!         match event {
//!             AccountEvent::Opened(_) => self.open = true,
//!             AccountEvent::Deposited(d) => self.minor += d.minor,
//!         }
//!     }
//! }
//!
//! fn deposit(account: &Account, minor: i64) -> Result<Vec<AccountEvent>, Rejection> {
//!     if !account.open {
//!         return Err(Rejection::new("NOT_OPEN", "the account is not open"));
//!     }
//!     Ok(vec![AccountEvent::Deposited(Deposited { minor })])
//! }
//!
//! Given::<Account>::events(vec![AccountEvent::Opened(Opened {})])
//!     .when(|account| deposit(account, 5))
//!     .then(vec![AccountEvent::Deposited(Deposited { minor: 5 })]);
//! Given::<Account>::nothing().when(|account| deposit(account, 5)).then_rejects("NOT_OPEN");
//! ```
#![warn(missing_docs)]

mod event;
mod record;
pub mod testing;

pub use event::{Aggregate, DecodeError, Lift, StoredEvent, fold};
pub use record::{Document, Record, RecordCommand, RecordEvent};
/// A piece of JSON, as upcasters see it.
pub use serde_json::Value as Json;
pub use testing::golden;

#[doc(hidden)]
pub mod __macro {
    pub use crate::event::{decode, encode};
}
