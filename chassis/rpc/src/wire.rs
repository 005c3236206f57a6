//! What generated code needs between messages and bytes.
use crate::{BoxFuture, BoxStream, ByteService, Bytes, Code, Cx, Error, Reply, Result};
use futures_util::StreamExt;
use prost::Message;

/// Reads a request; INVALID_ARGUMENT when the bytes are not that message.
pub fn decode<M: Message + Default>(bytes: Bytes) -> Result<M> {
    M::decode(bytes).map_err(|why| {
        let said = "the request's bytes are not the message that this method takes";
        Error::new(Code::InvalidArgument, "MALFORMED_REQUEST", said).with_source(why)
    })
}

/// One message as a reply.
pub fn one<M: Message>(message: M) -> Reply {
    Reply::One(message.encode_to_vec().into())
}

/// A stream of messages as a reply.
pub fn many<M: Message + 'static>(items: BoxStream<'static, Result<M>>) -> Reply {
    Reply::Many(items.map(|item| item.map(|message| message.encode_to_vec().into())).boxed())
}

/// The answer of a service that has no such method.
pub fn unknown_method(service: &str, method: &str) -> BoxFuture<'static, Result<Reply>> {
    let method: String = method.chars().take(100).collect();
    let error =
        Error::new(Code::Unimplemented, "UNKNOWN_METHOD", format!("{service} has no method {method}"));
    Box::pin(std::future::ready(Err(error)))
}

/// Calls a method in bytes that gives one message.
pub async fn unary<Req: Message, Resp: Message + Default>(
    service: &dyn ByteService,
    method: &str,
    cx: Cx,
    request: &Req,
) -> Result<Resp> {
    let reply = service.call(method, cx, request.encode_to_vec().into()).await?;
    read(reply.one().await?)
}

/// Calls a method in bytes that gives a stream.
pub async fn stream<Req: Message, Item: Message + Default + 'static>(
    service: &dyn ByteService,
    method: &str,
    cx: Cx,
    request: &Req,
) -> Result<BoxStream<'static, Result<Item>>> {
    let reply = service.call(method, cx, request.encode_to_vec().into()).await?;
    Ok(reply.many().map(|item| item.and_then(read)).boxed())
}

fn read<M: Message + Default>(bytes: Bytes) -> Result<M> {
    M::decode(bytes).map_err(|why| {
        let said = "the answer's bytes are not the message that was promised";
        Error::new(Code::Internal, "MALFORMED_RESPONSE", said).with_source(why)
    })
}
