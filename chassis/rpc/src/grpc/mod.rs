//! gRPC over HTTP/2, built by hand: a server on hyper with every limit set, and a client channel on h2 that
//! connects when it is needed and again when the connection was lost. Messages are not compressed: a bomb
//! needs a decompressor.
//!
//! What travels as metadata: `authorization` (Bearer), `grpc-timeout`, `idempotency-key`, `traceparent`,
//! `x-request-id`, `souk-wait-ms`. Errors travel as `grpc-status`, `grpc-message` and
//! `grpc-status-details-bin` with the details of google.rpc, and arrive as they were sent.
mod body;
mod client;
mod frame;
mod metadata;
mod server;
mod status;

pub use client::{BoxIo, CONNECT_WITHIN, Connector, GrpcChannel, Io};
pub use server::{GrpcServer, ServerLimits};

use std::future::Future;

/// The largest message that is sent or accepted.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest sum of header names and values.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// The longest deadline that counts; a call without one gets this one, and the method's policy shortens it.
pub const DEADLINE_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Marks a reply that is a stream. A unary reply has exactly one message, but the wire does not say which
/// kind a method is, and the channel knows no contracts.
const STREAM_MARK: &str = "souk-stream";

const CONTENT_TYPE: &str = "application/grpc";

/// Lets hyper start its tasks in the one place where tasks are started.
#[derive(Clone, Copy)]
struct Tasks(&'static str);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        souk_telemetry::task::spawn(souk_telemetry::task::Kind::Request, self.0, future).detach();
    }
}
