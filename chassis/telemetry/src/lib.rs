//! What a process does besides its work: [`logs`], [`task`]s whose kind says what their failure means,
//! the [`Stop`] signal that they all honour, and the places where a [`crash`] laboratory ends it.
//!
//! Metrics and traces are not here yet; names of spans and metrics will stand in one file when they come.
//!
//! ```
//! use souk_telemetry::{Stop, task};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (source, stop) = Stop::new();
//! let worker = task::spawn(task::Kind::Background, "example", async move {
//!     stop.requested().await;
//!     "drained"
//! });
//! source.stop();
//! assert_eq!(worker.join().await.expect("it did not panic"), "drained");
//! # }
//! ```
#![warn(missing_docs)]

pub mod crash;
pub mod logs;
pub mod panics;
mod stop;
pub mod task;

pub use stop::{Stop, StopSource};
