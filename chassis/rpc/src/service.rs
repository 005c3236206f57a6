//! A service as the wire sees it: a method's name and bytes in, bytes out.
use crate::{BoxFuture, BoxStream, Bytes, Code, Cx, Error, Result};
use futures_util::{StreamExt, stream};

/// A service that takes and gives encoded messages. Generated for local services, implemented by the gRPC
/// channel for remote ones; the gateway knows nothing else.
pub trait ByteService: Send + Sync + 'static {
    /// The full name, for example `souk.order.v1.OrderService`.
    fn service(&self) -> &str;

    /// Calls the method of this name (without the service's). An unknown one is UNIMPLEMENTED.
    fn call(&self, method: &str, cx: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply>>;
}

/// What a call gave.
pub enum Reply {
    /// One message.
    One(Bytes),
    /// A stream of messages.
    Many(BoxStream<'static, Result<Bytes>>),
}

impl Reply {
    /// The one message. A stream counts if it holds exactly one.
    pub async fn one(self) -> Result<Bytes> {
        let mut items = match self {
            Reply::One(bytes) => return Ok(bytes),
            Reply::Many(items) => items,
        };
        let first = items.next().await.ok_or_else(|| wrong("the answer holds no message"))??;
        match items.next().await {
            None => Ok(first),
            Some(Ok(_)) => Err(wrong("the answer holds more than one message")),
            Some(Err(error)) => Err(error),
        }
    }

    /// The messages as a stream, whatever their number.
    pub fn many(self) -> BoxStream<'static, Result<Bytes>> {
        match self {
            Reply::One(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Reply::Many(items) => items,
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reply::One(bytes) => write!(f, "One({} bytes)", bytes.len()),
            Reply::Many(_) => f.write_str("Many(…)"),
        }
    }
}

fn wrong(message: &str) -> Error {
    Error::new(Code::Internal, "MALFORMED_RESPONSE", message)
}
