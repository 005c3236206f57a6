//! What the shop's services say to each other: messages, service traits, clients and policies, all generated
//! from `proto/`, and [`terms`], the words that every service shares.
//!
//! Each service's contract is `souk_contracts::<service>::v1`. The services' own rules are not here.
//!
//! ```
//! use souk_contracts::order::v1::{OrderServiceClient, order_service};
//! use souk_rpc::{Client, Idempotency};
//!
//! assert_eq!(OrderServiceClient::SERVICE, "souk.order.v1.OrderService");
//! let place = order_service::POLICIES.iter().find(|policy| policy.name == "PlaceOrder");
//! assert_eq!(place.map(|policy| policy.idempotency), Some(Idempotency::Required));
//! ```

pub mod terms;

#[allow(clippy::all, clippy::wildcard_enum_match_arm, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

pub use generated::souk::r#type as types;
pub use generated::souk::*;

/// The encoded descriptors of all contracts, options included: what the gateway works from.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
