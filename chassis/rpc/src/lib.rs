//! Calls between services: in one process or over gRPC, under the same rules.
//!
//! A contract in `.proto` becomes an object-safe trait, a client and the policy of every method (by
//! `souk-rpc-build`). A service implements the trait; [`Guard`] stands before it and checks token, policy,
//! key, deadline, size and panics on *every* call, local ones included; [`Peers`] knows who answers what. A
//! client from [`Peers::get`] looks that up when it calls, so services start in any order.
//!
//! Over the network the same services are reached by [`grpc::GrpcServer`] and [`grpc::GrpcChannel`], built by
//! hand on hyper with every limit set. No other crate knows what carries a call. [`listen`] accepts connections for
//! whoever serves them.
//!
//! ```
//! use souk_rpc::{Client, Cx, Error, Peers};
//! use souk_rpc::feed::{FeedServiceClient, ReadRequest};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let peers = Peers::new();
//! let feed: FeedServiceClient = peers.get();
//! let cx = Cx::new(tokio::time::Instant::now() + Duration::from_secs(1));
//! let error: Error = feed.read(cx, ReadRequest::default()).await.err().expect("nobody answers yet");
//! assert!(error.message().contains(FeedServiceClient::SERVICE));
//! # }
//! ```
#![warn(missing_docs)]

extern crate self as souk_rpc;

mod cx;
pub mod grpc;
mod guard;
pub mod listen;
mod peers;
mod policy;
mod service;
pub mod time;
mod trace;
pub mod wire;

pub use bytes::Bytes;
pub use cx::{CALL_MARGIN, Cx, KEY_BYTES_MAX};
pub use futures_util::future::BoxFuture;
pub use futures_util::stream::BoxStream;
pub use guard::{Guard, Limits};
pub use peers::{Bound, Client, Peers, Target};
pub use policy::{Auth, Idempotency, Lifecycle, MethodPolicy};
pub use service::{ByteService, Reply};
pub use souk_kernel::{Code, Error};
pub use trace::Trace;

/// The outcome of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[allow(missing_docs, clippy::all, clippy::wildcard_enum_match_arm, dead_code, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

/// How a service tells the others what it published (`souk.feed.v1`).
pub mod feed {
    pub use crate::generated::souk::feed::v1::*;
}

/// What operators see and do (`souk.ops.v1`).
pub mod ops {
    pub use crate::generated::souk::ops::v1::*;
}

/// The encoded descriptors of the chassis' own contracts.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
