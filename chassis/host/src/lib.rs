//! Puts services together and keeps them going: opens their stores, gives them what they need, connects
//! them to each other, and runs what they do by themselves. It knows no service by name: a house is a list.
//!
//! A service is data: what it keeps, what it answers, what it does by itself. A [`Node`] opens the stores of a
//! list of them, lets them find each other, and keeps going what they do.
//!
//! ```
//! use souk_eventstore::View;
//! use souk_host::{Environment, Node, Resources, Service, Settings};
//! use souk_rpc::{Bound, Peers};
//!
//! struct Bell;
//! impl Service for Bell {
//!     fn name(&self) -> &'static str { "bell" }
//!     fn views(&self) -> Vec<View> { Vec::new() }
//!     fn serve(&self, _own: &Resources) -> Vec<Bound> { Vec::new() }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
//! # runtime.block_on(async {
//! let services: Vec<Box<dyn Service>> = vec![Box::new(Bell)];
//! let settings = Settings::in_memory();
//! let node = Node::start(&services, &Environment::system(), &settings, Peers::new()).await?;
//! assert_eq!(node.stores()[0].0, "bell");
//! node.shut_down().await;
//! # Ok::<(), souk_host::StartError>(())
//! # }).expect("it starts");
//! ```
//!
//! Options are declared once, and every mistake is told at once:
//!
//! ```
//! use souk_host::{Config, Key, Kind};
//! const KEYS: &[Key] = &[Key {
//!     name: "gateway.listen",
//!     kind: Kind::Address,
//!     default: "127.0.0.1:8080",
//!     help: "where the public API listens",
//! }];
//! let config = Config::load(KEYS, None, [("SOUK_GATEWAY__LISTEN".into(), "127.0.0.1:9000".into())], &[])?;
//! assert_eq!(config.address("gateway.listen").port(), 9000);
//! # Ok::<(), souk_host::Mistakes>(())
//! ```
#![warn(missing_docs)]

mod config;
mod keys;
mod node;
mod operations;
mod service;
mod supervise;
mod system;

pub use config::{Config, Key, Kind, Mistake, Mistakes, Source, parse_duration};
pub use keys::{KeyError, load_or_create as signing_keys};
pub use node::{Environment, Node, Settings, StartError};
pub use operations::{OPERATIONS, Operable, operations_name};
pub use service::{Process, Resources, Service};
pub use system::{SystemClock, SystemEntropy};
