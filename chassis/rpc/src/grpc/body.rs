//! What goes out: one message from a client; messages and trailers from a server.
use super::{frame, status};
use crate::{BoxStream, Bytes, Error, Result};
use futures_util::StreamExt;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

type Next = Poll<Option<Result<Frame<Bytes>, Infallible>>>;

/// The body of a request.
pub(super) struct RequestBody(pub(super) Option<Bytes>);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Next {
        Poll::Ready(self.0.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
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
