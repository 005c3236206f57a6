//! Notices over HTTP/1.1, as real carriers send them: one request, one connection, the status decides.
use crate::simulator::{Messenger, Notice};
use souk_kernel::Error;
use souk_rpc::BoxFuture;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// As much of the answer as holds its first line.
const STATUS_BYTES: usize = 16;

/// Sends notices to a URL of the form `http://host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    authority: String,
    path: String,
}

impl Post {
    /// To this URL; `None` when it is not of the form that is understood.
    pub fn to(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_once('/')?;
        let is_clean = url.bytes().all(|b| b.is_ascii_graphic());
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        (is_clean && has_port).then(|| Self { authority: authority.to_owned(), path: format!("/{path}") })
    }

    async fn send(&self, notice: Notice) -> std::io::Result<bool> {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Webhook-Signature: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.authority,
            notice.body.len(),
            notice.signature
        );
        let mut connection = TcpStream::connect(&self.authority).await?;
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(&notice.body).await?;
        let mut answer = [0; STATUS_BYTES];
        connection.read_exact(&mut answer).await?;
        Ok(answer.starts_with(b"HTTP/1.1 2"))
    }
}

impl Messenger for Post {
    fn deliver(&self, notice: Notice) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let sent = tokio::time::timeout(PATIENCE, self.send(notice)).await;
            match sent {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => Err(Error::unavailable("the receiver did not take the notice")),
                Ok(Err(error)) => {
                    Err(Error::unavailable("the receiver cannot be reached").with_source(error))
                }
                Err(_) => Err(Error::unavailable("the receiver takes too long")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn only_plain_urls_with_a_port_are_understood() {
        let post = Post::to("http://127.0.0.1:8080/webhooks/carriers/sim").expect("it is plain");
        assert_eq!(
            (post.authority.as_str(), post.path.as_str()),
            ("127.0.0.1:8080", "/webhooks/carriers/sim")
        );
        for url in ["", "https://a:1/x", "http://a/x", "http://a:1", "http://a:x/y", "http://a:1/x y"] {
            assert_eq!(Post::to(url), None, "{url}");
        }
    }

    #[tokio::test]
    async fn the_status_decides() {
        for (status, taken) in [("204 No Content", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
            let answering = async {
                let (mut connection, _) = listener.accept().await.expect("a caller");
                let mut request = vec![0; 1024];
                let mut length = 0;
                while !request[..length].ends_with(b"{}") {
                    length += connection.read(&mut request[length..]).await.expect("readable");
                }
                let answer = format!("HTTP/1.1 {status}\r\n\r\n");
                connection.write_all(answer.as_bytes()).await.expect("writable");
                String::from_utf8_lossy(&request[..length]).into_owned()
            };
            let notice = Notice { body: b"{}".to_vec(), signature: "t=1,v1=ab".to_owned() };
            let post = Post::to(&url).expect("plain");
            let (request, sent) = tokio::join!(answering, post.deliver(notice));
            assert_eq!(sent.is_ok(), taken, "{status}");
            assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("Webhook-Signature: t=1,v1=ab\r\n"), "{request}");
        }
    }
}
