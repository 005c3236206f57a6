//! A connection's bytes on their way to the HTTP library, watched for what the library is lenient about.
//!
//! Some servers read a request with both `Content-Length` and `Transfer-Encoding`, two lengths, folded header
//! lines or bare line feeds differently from others, and requests are smuggled through that gap. RFC 9112
//! allows to refuse them all, which the library does not do: so the head of each request is checked here line
//! by line, and what is refused reaches the library as something it refuses itself, with a 400 and the end of
//! the connection. A request with a chunked body is the last one of its connection.
//!
//! A peer that stops reading our answers is dropped here as well.
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A header line longer than this is left to the library, which refuses it.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Stands for the rest of a refused head: no method, header name or value holds its first byte.
const REFUSAL: &[u8] = b"\0\r\n\r\n";

/// Watches the heads of HTTP/1 requests.
#[derive(Debug)]
struct Watch {
    state: State,
    /// The part of a line that came with earlier bytes.
    line: Vec<u8>,
    head: Head,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of a body follow.
    Body(u64),
    /// HTTP/2, or the last request: nothing to watch.
    Blind,
    Refused,
}

/// What the lines of the current head said.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    started: bool,
    length: Option<u64>,
    chunked: bool,
}

/// A line that no request should have.
struct Refused;

impl Watch {
    fn new() -> Self {
        Self { state: State::Head, line: Vec::new(), head: Head::default() }
    }

    /// Looks at the next bytes; `Err` with how many of them are fine.
    fn inspect(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Blind => return Ok(()),
                State::Refused => return Err(at),
                State::Body(left) => {
                    let skipped = left.min((bytes.len() - at) as u64);
                    at += skipped as usize;
                    self.state = if skipped == left { State::Head } else { State::Body(left - skipped) };
                }
                State::Head => match bytes[at..].iter().position(|b| *b == b'\n') {
                    Some(end) => {
                        let line = &bytes[at..at + end];
                        if self.end_line(line).is_err() {
                            self.state = State::Refused;
                            return Err(at);
                        }
                        at += end + 1;
                    }
                    None => {
                        self.line.extend_from_slice(&bytes[at..]);
                        if self.line.len() > LINE_BYTES_MAX {
                            self.state = State::Blind;
                        }
                        return Ok(());
                    }
                },
            }
        }
        Ok(())
    }

    /// One line without its line feed.
    fn end_line(&mut self, rest: &[u8]) -> Result<(), Refused> {
        if self.line.is_empty() {
            return self.judge(rest);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(rest);
        self.judge(&line)
    }

    fn judge(&mut self, line: &[u8]) -> Result<(), Refused> {
        let line = line.strip_suffix(b"\r").ok_or(Refused)?;
        match line {
            // Empty lines before a request are tolerated, as RFC 9112 asks.
            [] if !self.head.started => Ok(()),
            [] => self.end_head(),
            line if !self.head.started => {
                self.head.started = true;
                if line == b"PRI * HTTP/2.0" || line.starts_with(b"CONNECT ") {
                    self.state = State::Blind;
                }
                Ok(())
            }
            [b' ' | b'\t', ..] => Err(Refused),
            line => self.head.field(line),
        }
    }

    fn end_head(&mut self) -> Result<(), Refused> {
        let head = std::mem::take(&mut self.head);
        self.state = match (head.length, head.chunked) {
            (Some(_), true) => return Err(Refused),
            (None, true) => State::Blind,
            (None, false) | (Some(0), false) => State::Head,
            (Some(length), false) => State::Body(length),
        };
        Ok(())
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), Refused> {
        let colon = line.iter().position(|b| *b == b':').ok_or(Refused)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length =
                std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            if self.length.replace(length.ok_or(Refused)?).is_some() {
                return Err(Refused);
            }
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let twice = std::mem::replace(&mut self.chunked, true);
            if twice || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refused);
            }
        }
        Ok(())
    }
}

/// A connection, watched.
pub(crate) struct Watched<I> {
    io: I,
    watch: Watch,
    /// What is left to say of a refusal.
    refusal: &'static [u8],
    stall_max: Duration,
    /// Runs while the peer does not take what we write.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<I> Watched<I> {
    /// Watches `io`; a write that makes no progress for `stall_max` breaks it.
    pub(crate) fn new(io: I, stall_max: Duration) -> Self {
        Self { io, watch: Watch::new(), refusal: REFUSAL, stall_max, stall: None }
    }

    /// Lets progress through and turns too long a standstill into an error.
    fn progress<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let stall_max = self.stall_max;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.state != State::Refused {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            match this.watch.inspect(&buf.filled()[before..]) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(fine) => buf.set_filled(before + fine),
            }
        }
        // Nothing left to say is the end of the stream, as far as the library is concerned.
        let (said, left) = this.refusal.split_at(this.refusal.len().min(buf.remaining()));
        buf.put_slice(said);
        this.refusal = left;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.progress(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.progress(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.progress(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.progress(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are fine, whole and byte by byte.
    fn fine(bytes: &[u8]) -> Result<(), usize> {
        let whole = Watch::new().inspect(bytes);
        let mut single = Watch::new();
        let pieces = bytes.chunks(1).try_for_each(|piece| single.inspect(piece).map_err(|_| ()));
        assert_eq!(whole.is_ok(), pieces.is_ok(), "{}", String::from_utf8_lossy(bytes));
        whole
    }

    #[test]
    fn ordinary_requests_pass() {
        for good in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\ncGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\n a\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n",
        ] {
            assert_eq!(fine(good.as_bytes()), Ok(()), "{good}");
        }
    }

    #[test]
    fn ambiguous_requests_do_not() {
        for bad in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\n",
        ] {
            assert!(fine(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(fine(b"GET / HTTP/1.1\r\n\r\nGET /\n"), Err(18), "the first request is fine");
    }
}
