//! The bodies of requests and answers.
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use souk_telemetry::Stop;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer: bytes, or lines as they come.
pub struct AnswerBody(Content);

enum Content {
    Full(Option<Bytes>),
    Lines {
        lines: BoxStream<'static, Bytes>,
        /// The last line when the server stops before the lines have ended.
        farewell: Bytes,
    },
}

impl AnswerBody {
    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        Self(Content::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self(Content::Full(None))
    }

    pub(crate) fn lines(lines: BoxStream<'static, Bytes>, farewell: Bytes) -> Self {
        Self(Content::Lines { lines, farewell })
    }

    /// Lines, cut off with their farewell where they wait when the stop is requested: they may be endless, and
    /// their readers go on elsewhere. Bytes stay as they are.
    pub(crate) fn until(self, stop: &Stop) -> Self {
        match self.0 {
            Content::Full(_) => self,
            Content::Lines { lines, farewell } => {
                Self::lines(until_stop(lines, farewell.clone(), stop.clone()), farewell)
            }
        }
    }
}

fn until_stop(lines: BoxStream<'static, Bytes>, farewell: Bytes, stop: Stop) -> BoxStream<'static, Bytes> {
    let requested = async move { stop.requested().await }.boxed();
    let cut = stream::unfold(Some((lines, requested)), move |open| {
        let farewell = farewell.clone();
        async move {
            let (mut lines, mut requested) = open?;
            tokio::select! {
                biased;
                line = lines.next() => line.map(|line| (line, Some((lines, requested)))),
                () = &mut requested => Some((farewell, None)),
            }
        }
    });
    cut.boxed()
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Content::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Lines { lines, .. } => {
                lines.as_mut().poll_next(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Lines { .. } => SizeHint::default(),
        }
    }
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLarge,
    /// The connection broke or the body's framing did.
    Broken,
}

/// Reads a body of at most `bytes_max` bytes.
pub(crate) async fn read<B>(mut body: B, bytes_max: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(Unread::TooLarge);
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are dropped: nothing here means anything in them.
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if first.len() + more.len() + data.len() > bytes_max {
            return Err(Unread::TooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}
