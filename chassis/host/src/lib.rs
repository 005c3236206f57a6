//! Puts services together and keeps them going: opens their stores, gives them what they need, connects
//! them to each other, and runs what they do by themselves. It knows no service by name: a house is a list.
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
mod service;
mod supervise;
mod system;

pub use config::{Config, Key, Kind, Mistake, Mistakes, Source, parse_duration};
pub use keys::{KeyError, load_or_create as signing_keys};
pub use node::{Environment, Node, Settings, StartError};
pub use service::{Process, Resources, Service};
pub use system::{SystemClock, SystemEntropy};
