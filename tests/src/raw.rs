//! Requests byte by byte, for what no decent client would send.
use crate::Answer;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer to such a request must come within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Sends these bytes, which should ask for the connection to be closed, and reads the answer to its end.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("the shop takes connections");
    stream.write_all(request).await.expect("the shop reads requests");
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(ANSWER_WITHIN, stream.read_to_end(&mut bytes)).await;
    read.expect("an answer in time").expect("a whole answer");
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let shown = || String::from_utf8_lossy(bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no end of headers in {:?}", shown()));
    let head = std::str::from_utf8(&bytes[..end]).expect("headers are text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.parse::<HeaderName>().ok()?, value.trim().parse::<HeaderValue>().ok()?))
    };
    let headers: HeaderMap = lines.filter_map(header).collect();
    Answer {
        status: status.unwrap_or_else(|| panic!("no status in {:?}", shown())),
        headers,
        body: Bytes::copy_from_slice(&bytes[end + 4..]),
    }
}
