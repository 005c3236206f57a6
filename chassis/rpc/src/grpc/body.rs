//! What goes out of a server, messages and trailers, and what comes in at a client.
use super::{frame, status};
use crate::{BoxStream, Bytes, Error, Result};
use futures_util::StreamExt;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

type Next = Poll<Option<Result<Frame<Bytes>, Infallible>>>;

/// The body of an answer, as it arrives.
pub(super) struct Arriving(pub(super) h2::RecvStream);

impl Body for Arriving {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match ready!(self.0.poll_data(cx)) {
            Some(Ok(data)) => {
                // What was read makes room for more. Without a connection there is no room to make.
                let _ = self.0.flow_control().release_capacity(data.len());
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            // A server that has said all does not want to hear the rest of the question (RFC 9113, 8.1).
            Some(Err(why)) if why.reason() == Some(h2::Reason::NO_ERROR) && why.is_reset() => {
                Poll::Ready(None)
            }
            Some(Err(why)) => Poll::Ready(Some(Err(why))),
            None => {
                let trailers = ready!(self.0.poll_trailers(cx)).transpose();
                Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
            }
        }
    }
}

/// The body of a response.
pub(super) enum ResponseBody {
    /// Nothing: the status stands in the headers.
    Empty,
    /// One message, then the trailers of success.
    One(Bytes),
    /// Messages, then trailers.
    Many(BoxStream<'static, Result<Bytes>>),
    /// Only the trailers of success are left.
    Trailers,
}

impl ResponseBody {
    fn end(&mut self, outcome: Result<(), Error>) -> Next {
        *self = ResponseBody::Empty;
        let trailers = outcome.map_or_else(|error| status::write(&error), |()| status::ok());
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Next {
        match &mut *self {
            ResponseBody::Empty => Poll::Ready(None),
            ResponseBody::Trailers => self.end(Ok(())),
            ResponseBody::One(message) => {
                let data = frame::encode(message);
                *self = ResponseBody::Trailers;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            ResponseBody::Many(items) => match items.poll_next_unpin(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(item))) => Poll::Ready(Some(Ok(Frame::data(frame::encode(&item))))),
                Poll::Ready(Some(Err(error))) => self.end(Err(error)),
                Poll::Ready(None) => self.end(Ok(())),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, ResponseBody::Empty)
    }
}
