//! A partner's HTTP server on loopback, which answers as it is told.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How the next call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With this status.
    Status(u16),
    /// By being sent elsewhere.
    Moved(u16),
    /// Not at all, while the caller waits.
    Silence,
    /// Not at all: the connection breaks off.
    BreakOff,
}

/// A call as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    head: String,
    pub body: String,
}

impl Called {
    /// The value of a header.
    pub fn header(&self, name: &str) -> &str {
        let of = |line: &'_ str| {
            line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)).is_some()
        };
        let line = self.head.lines().find(|line| of(line)).expect("the header is there");
        line.split_once(": ").expect("it was found by this").1.trim_end()
    }

    /// The first line.
    pub fn line(&self) -> &str {
        self.head.lines().next().expect("a request has a first line").trim_end()
    }
}

/// The server.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<Mutex<Vec<Called>>>,
    silent: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
}

impl Receiver {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let (answers, calls, silent) = (Arc::default(), Arc::default(), Arc::default());
        let receiver = Self { address, answers, calls, silent };
        let serving = receiver.clone();
        let running = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = serving.serve(stream).await;
            }
        };
        souk_telemetry::task::spawn(souk_telemetry::task::Kind::Background, "receiver", running).detach();
        receiver
    }

    /// Where partners' calls go.
    pub fn url(&self) -> String {
        format!("http://{}/hooks?of=souk", self.address)
    }

    /// How it answers the next calls; after them it says 200.
    pub fn will(&self, answers: &[Answer]) {
        self.answers.lock().expect("no test panics with it").extend(answers);
    }

    pub fn calls(&self) -> Vec<Called> {
        self.calls.lock().expect("no test panics with it").clone()
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8(body).expect("JSON is UTF-8");
        self.calls.lock().expect("no test panics with it").push(Called { head, body });
        let answer = self.answers.lock().expect("no test panics with it").pop_front();
        let text = match answer.unwrap_or(Answer::Status(200)) {
            Answer::Status(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"),
            Answer::Moved(status) => {
                format!("HTTP/1.1 {status} X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", self.url())
            }
            Answer::BreakOff => return Ok(()),
            Answer::Silence => {
                self.silent.lock().expect("no test panics with it").push(stream);
                return Ok(());
            }
        };
        stream.write_all(text.as_bytes()).await
    }
}
