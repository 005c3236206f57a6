//! JSON bytes to protobuf bytes and back, by tables that are compiled from a descriptor set at start.
//!
//! There is no generated code and no tree of values in between: the JSON text is scanned once and the protobuf
//! message is written as the scan proceeds. Input is strict (unknown fields, duplicate keys, wrong types and
//! numbers that do not fit are refused with the exact path), output is canonical ProtoJSON.
//!
//! Deliberately not here: HTTP, routes, statuses. A [`Method`] only says what its options say.
//!
//! ```
//! use souk_transcode::{Limits, Schema, json_to_proto, proto_to_json};
//! // A descriptor set with `package shop; message Line { string sku = 1; uint64 quantity = 2; }`, as
//! // bytes. Real ones come out of a build script.
//! let set = b"\x0a\x3f\x0a\x0ashop.proto\x12\x04shop\x22\x23\x0a\x04Line\x12\x0b\x0a\x03sku\x18\x01\x20\x01\x28\x09\
//!             \x12\x0e\x0a\x08quantity\x18\x02\x28\x04\x62\x06proto3";
//! let schema = Schema::from_bytes(set).expect("well formed");
//! let line = schema.message("shop.Line").expect("defined above");
//!
//! let mut proto = Vec::new();
//! json_to_proto(&schema, line, br#"{"sku": "85123A", "quantity": 6}"#, &mut proto, &Limits::default()).expect("fits");
//! assert_eq!(proto, b"\x0a\x0685123A\x10\x06");
//!
//! let mut json = Vec::new();
//! proto_to_json(&schema, line, &proto, &mut json).expect("just written");
//! assert_eq!(json, br#"{"sku":"85123A","quantity":"6"}"#);
//!
//! let fault = json_to_proto(&schema, line, br#"{"quantiy": 6}"#, &mut proto, &Limits::default()).expect_err("a slip");
//! assert_eq!(fault.to_string(), "quantiy is not a field of Line; did you mean \"quantity\"?");
//! ```
#![warn(missing_docs)]

mod descriptor;
mod fault;
mod from_json;
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod known;
mod options;
mod path;
mod raw;
mod scalar;
mod schema;
mod sink;
mod straight;
mod to_json;
mod wire;

pub use fault::{Fault, What};
pub use from_json::{Limits, json_to_field, json_to_proto, json_to_proto_except};
pub use json::{check_json, put_json_text};
pub use path::{FieldPath, embed, embed_field};
pub use raw::{put_entry, put_raw, takes_bytes, takes_texts_by_name};
pub use schema::{
    Auth, Body, Cardinality, Enum, EnumId, EnumValue, Field, HttpRule, Idempotency, Kind, Lifecycle, Message,
    MessageId, Method, Policy, RawBody, Schema, SchemaError, Service, Shape,
};
pub use to_json::{field_to_json, proto_to_json};
pub use wire::WireFault;
