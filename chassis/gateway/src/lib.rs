//! The only crate that knows HTTP and JSON, and it knows no service: an API comes as a descriptor set, and who
//! answers it as [`souk_rpc::Peers`].
//!
//! Every request goes through one pipeline: id and trace, route, token, media types, body, transcoding,
//! idempotency key, deadline, call. The gateway refuses early what it can see from outside; the service stays
//! the authority and checks token, ownership and key again.
//!
//! [`admin`] is the port for operators; [`client`] a small client for tools and tests.
//!
//! ```
//! use souk_gateway::{Gateway, Limits, Options};
//! use souk_kernel::{ManualClock, SeededEntropy, Timestamp};
//! use souk_rpc::Peers;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let options = Options {
//!     title: "Souk".to_owned(),
//!     version: "1.0".to_owned(),
//!     clock: ManualClock::at(Timestamp::EPOCH),
//!     entropy: SeededEntropy::new(1),
//!     limits: Limits::default(),
//! };
//! let gateway = Gateway::new(souk_rpc::DESCRIPTORS, Peers::new(), options).expect("the contracts can be served");
//! let request = http::Request::get("/nowhere").header("host", "localhost").body(souk_gateway::AnswerBody::empty());
//! let response = gateway.handle(request.expect("well formed")).await;
//! assert_eq!(response.status(), 404);
//! # }
//! ```
#![warn(missing_docs)]

pub mod admin;
mod body;
mod call;
pub mod client;
mod date;
mod docs;
mod framing;
mod gateway;
mod headers;
mod memo;
mod openapi;
mod percent;
mod plan;
mod problem;
mod reasons;
pub mod route;
mod server;

pub use body::AnswerBody;
pub use gateway::{Gateway, Limits, Options};
pub use plan::StartError;
pub use reasons::reasons_page;
pub use server::ServerLimits;
