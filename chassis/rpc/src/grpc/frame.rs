//! Messages within a body: a flag, four bytes of length, the bytes.
use super::MESSAGE_BYTES_MAX;
use crate::{Bytes, Code, Error, Result, guard};
use bytes::{Buf, BufMut, BytesMut};
use http::HeaderMap;
use hyper::body::Body;
use std::error::Error as StdError;
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

/// Reads the messages of a body. The buffer grows with what has arrived, never with what was announced, and
/// is not used at all when a message arrives in one piece.
pub(super) struct Messages<B> {
    body: B,
    /// What arrived last, as it came.
    piece: Bytes,
    /// All that arrived and was not taken, if that is more than one piece; else empty.
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
    truncated: Code,
}

impl<B> Messages<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// `truncated` is what it means when the body ends within a message.
    pub(super) fn new(body: B, truncated: Code) -> Self {
        Self { body, piece: Bytes::new(), buffer: BytesMut::new(), trailers: None, truncated }
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
                Ok(data) => self.keep(data),
                Err(frame) => self.trailers = frame.into_trailers().ok().or(self.trailers.take()),
            }
        }
    }

    /// The trailers, once there are no more messages.
    pub(super) fn into_trailers(self) -> Option<HeaderMap> {
        self.trailers
    }

    fn keep(&mut self, data: Bytes) {
        if self.arrived().is_empty() {
            self.piece = data;
            return;
        }
        self.buffer.put(std::mem::take(&mut self.piece));
        self.buffer.put(data);
    }

    /// What was not taken yet.
    fn arrived(&self) -> &[u8] {
        if self.buffer.is_empty() { &self.piece } else { &self.buffer }
    }

    fn take(&mut self) -> Result<Option<Bytes>> {
        let Some((prefix, rest)) = self.arrived().split_first_chunk::<PREFIX_LEN>() else { return Ok(None) };
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
        let end = PREFIX_LEN + length;
        let mut message = match self.buffer.is_empty() {
            true => self.piece.split_to(end),
            false => self.buffer.split_to(end).freeze(),
        };
        message.advance(PREFIX_LEN);
        Ok(Some(message))
    }

    fn finish(&self) -> Result<Option<Bytes>> {
        match self.arrived().is_empty() {
            true => Ok(None),
            false => Err(Error::new(self.truncated, "TRUNCATED_MESSAGE", "the body ends within a message")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::{Context, Poll};

    /// A body that arrives in these pieces, then with trailers.
    struct Pieces(VecDeque<Bytes>, Option<HeaderMap>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let data = self.0.pop_front().map(Frame::data);
            let next = data.or_else(|| self.1.take().map(Frame::trailers));
            Poll::Ready(next.map(Ok))
        }
    }

    fn pieces(bytes: &[u8], size: usize) -> Messages<Pieces> {
        let chunks = bytes.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
        let trailers = HeaderMap::from_iter([(http::header::AGE, http::HeaderValue::from_static("1"))]);
        Messages::new(Pieces(chunks, Some(trailers)), Code::Unavailable)
    }

    #[tokio::test]
    async fn messages_are_found_however_they_are_cut() {
        let bytes = [encode(b"one"), encode(b""), encode(&[7; 300])].concat();
        for size in [1, 2, 5, 6, 8, 13, 100, bytes.len()] {
            let mut messages = pieces(&bytes, size);
            for wanted in [&b"one"[..], b"", &[7; 300]] {
                assert_eq!(
                    messages.next().await.expect("well-formed").as_deref(),
                    Some(wanted),
                    "pieces of {size}"
                );
            }
            assert_eq!(messages.next().await.expect("well-formed"), None);
            assert!(messages.into_trailers().is_some());
        }
    }

    #[tokio::test]
    async fn what_is_compressed_too_large_or_cut_off_is_refused() {
        let announced = u32::try_from(MESSAGE_BYTES_MAX + 1).expect("small").to_be_bytes();
        let too_large = [&[0][..], &announced].concat();
        for (bytes, code) in [
            (&[1, 0, 0, 0, 1, 9][..], Code::Unimplemented),
            (&[0xff, 0, 0, 0, 1, 9], Code::Unimplemented),
            (&too_large, Code::ResourceExhausted),
            (&[0, 0xff, 0xff, 0xff, 0xff], Code::ResourceExhausted),
            (&[0, 0, 0, 0, 2, 9], Code::Unavailable),
            (&[0, 0, 0], Code::Unavailable),
        ] {
            let error = pieces(bytes, 3).next().await.expect_err("refused");
            assert_eq!(error.code(), code, "{bytes:?}");
        }
    }
}
