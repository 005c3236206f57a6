//! Who brings messages to the merchant. By itself that is one HTTP POST and its status: all that a provider needs of a
//! merchant's address. Every connection is for one message; there are few of them.
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use souk_kernel::Error;
use souk_rpc::BoxFuture;
use std::fmt;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the merchant may take.
const WITHIN: Duration = Duration::from_secs(5);

/// One message to the merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What the body is.
    pub content_type: &'static str,
    /// What is told.
    pub body: Bytes,
    /// The header `webhook-signature`.
    pub signature: String,
}

/// Brings notices to the merchant. An error means: try again later.
pub trait Messenger: Send + Sync + 'static {
    /// Delivers one notice; `Ok` only when it was taken for good.
    fn deliver(&self, notice: Notice) -> BoxFuture<'_, Result<(), Error>>;
}

/// An address to which messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an address such as http://127.0.0.1:8080/webhooks/payments/sim")
    }
}

impl std::error::Error for NotAnAddress {}

impl std::str::FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let uri: Uri = text.parse().map_err(|_| NotAnAddress)?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or(NotAnAddress)?.to_owned();
        let port = uri.port_u16().unwrap_or(80);
        Ok(Self { uri, host, port })
    }
}

impl Messenger for Address {
    fn deliver(&self, notice: Notice) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            match timeout(WITHIN, exchange(self, notice)).await.ok().flatten() {
                Some(status) if status.is_success() => Ok(()),
                Some(status) => Err(Error::unavailable(format!("the merchant answered {status}"))),
                None => Err(Error::unavailable("the merchant did not answer")),
            }
        })
    }
}

/// The status that the notice was answered with, or `None` without an answer.
async fn exchange(to: &Address, notice: Notice) -> Option<StatusCode> {
    let path = to.uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, format!("{}:{}", to.host, to.port))
        .header(header::CONTENT_TYPE, notice.content_type)
        .header("webhook-signature", notice.signature)
        .body(Full::new(notice.body))
        .ok()?;
    let stream = TcpStream::connect((to.host.trim_matches(['[', ']']), to.port)).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let sending = sender.send_request(request);
    tokio::pin!(sending);
    // A connection that ends may have brought the answer before.
    let answer = tokio::select! {
        answer = &mut sending => answer,
        _ = connection => sending.await,
    };
    answer.ok().map(|answer| answer.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_are_taken() {
        let address: Address = "http://127.0.0.1:8080/webhooks/payments/sim".parse().expect("an address");
        assert_eq!((address.host.as_str(), address.port), ("127.0.0.1", 8080));
        assert_eq!("http://shop.test/x".parse::<Address>().map(|address| address.port), Ok(80));
        for bad in ["", "shop.test", "https://shop.test/x", "/webhooks", "http://"] {
            assert_eq!(bad.parse::<Address>(), Err(NotAnAddress), "{bad}");
        }
    }
}
