//! Messages within a body: a flag, four bytes of length, the bytes.
use super::MESSAGE_BYTES_MAX;
use crate::{Bytes, Code, Error, Result, guard};
use bytes::{Buf, BufMut, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Incoming};
use std::future::poll_fn;
use std::pin::Pin;

const PREFIX_LEN: usize = 5;

/// The message with its prefix.
pub(super) fn encode(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("messages are bounded far below 4 GiB");
    let mut framed = BytesMut::with_capacity(PREFIX_LEN + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    framed.freeze()
}

/// Reads the messages of a body. The buffer grows with what has arrived, never with what was announced.
pub(super) struct Messages {
    body: Incoming,
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
    truncated: Code,
}

impl Messages {
    /// `truncated` is what it means when the body ends within a message.
    pub(super) fn new(body: Incoming, truncated: Code) -> Self {
        Self { body, buffer: BytesMut::new(), trailers: None, truncated }
    }

    /// The next message, or `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let next = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            let Some(frame) = next else { return self.finish() };
            let frame = frame.map_err(|why| Error::unavailable("the connection broke").with_source(why))?;
            match frame.into_data() {
                Ok(data) => self.buffer.put(data),
                Err(frame) => self.trailers = frame.into_trailers().ok().or(self.trailers.take()),
            }
        }
    }

    /// The trailers, once there are no more messages.
    pub(super) fn into_trailers(self) -> Option<HeaderMap> {
        self.trailers
    }

    fn take(&mut self) -> Result<Option<Bytes>> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX_LEN>() else { return Ok(None) };
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(Error::new(
                Code::Unimplemented,
                "COMPRESSION_UNSUPPORTED",
                "messages must not be compressed",
            ));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        guard::fits(length, MESSAGE_BYTES_MAX, Code::ResourceExhausted)?;
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_LEN);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn finish(&self) -> Result<Option<Bytes>> {
        match self.buffer.is_empty() {
            true => Ok(None),
            false => Err(Error::new(self.truncated, "TRUNCATED_MESSAGE", "the body ends within a message")),
        }
    }
}
