//! A small mail server (RFC 5321) on loopback. It takes what it is told to take, keeps it in a file, and refuses
//! or breaks off as it is told.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with the next mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Answers this code to the recipient.
    Refuses(u16),
    /// Answers this code before anything is said.
    Unwell(u16),
    /// Takes it and breaks off before saying so.
    BreaksOff,
    /// Takes it and says nothing more.
    Hangs,
}

/// The server.
#[derive(Clone)]
pub struct Sink {
    pub address: SocketAddr,
    moods: Arc<Mutex<VecDeque<Mood>>>,
    file: Arc<Mutex<PathBuf>>,
    hanging: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
}

/// What stands between mails in the file.
const BETWEEN: &str = "\n-- \u{1} --\n";

impl Sink {
    /// A server that keeps mails in this file.
    pub async fn open(file: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let sink = Self {
            address,
            moods: Arc::default(),
            file: Arc::new(Mutex::new(file)),
            hanging: Arc::default(),
        };
        let serving = sink.clone();
        let running = async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One after the other: a test asks for one thing at a time. A broken connection is the client's.
                let _ = serving.serve(stream).await;
            }
        };
        souk_telemetry::task::spawn(souk_telemetry::task::Kind::Background, "sink", running).detach();
        sink
    }

    /// How it takes the next mails; after them it takes all.
    pub fn will(&self, moods: &[Mood]) {
        self.moods.lock().expect("no test panics with it").extend(moods);
    }

    /// Every mail that it has, as it came.
    pub fn mails(&self) -> Vec<String> {
        let file = self.file.lock().expect("no test panics with it");
        let all = std::fs::read_to_string(&*file).unwrap_or_default();
        all.split(BETWEEN).filter(|mail| !mail.is_empty()).map(str::to_owned).collect()
    }

    fn keep(&self, mail: &str) {
        let file = self.file.lock().expect("no test panics with it");
        let all = std::fs::read_to_string(&*file).unwrap_or_default();
        std::fs::write(&*file, format!("{all}{mail}{BETWEEN}")).expect("the folder is there");
    }

    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mood = self.moods.lock().expect("no test panics with it").pop_front().unwrap_or(Mood::Takes);
        let mut stream = BufReader::new(stream);
        if let Mood::Unwell(code) = mood {
            return stream.write_all(format!("{code} not now\r\n").as_bytes()).await;
        }
        stream.write_all(b"220 sink ESMTP\r\n").await?;
        let mut envelope = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let answer = match (verb.as_str(), mood) {
                ("EHLO" | "HELO", _) => "250 sink".to_owned(),
                ("RCPT", Mood::Refuses(code)) => format!("{code} someone@example.org is not here"),
                ("MAIL" | "RCPT", _) => {
                    envelope.push_str(&line);
                    "250 fine".to_owned()
                }
                ("DATA", _) => {
                    stream.write_all(b"354 go on\r\n").await?;
                    self.keep(&format!("{envelope}{}", content(&mut stream).await?));
                    if mood == Mood::Hangs {
                        self.hanging.lock().expect("no test panics with it").push(stream);
                        return Ok(());
                    }
                    if mood == Mood::BreaksOff {
                        return Ok(());
                    }
                    "250 taken".to_owned()
                }
                ("RSET" | "NOOP", _) => "250 fine".to_owned(),
                ("QUIT", _) => return stream.write_all(b"221 bye\r\n").await,
                _ => "502 no".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

/// Lines up to a lonely dot; a dot that was doubled is made one again.
async fn content(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(content);
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// The value of a header.
pub fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    mail.lines().find_map(|line| line.strip_prefix(start.as_str())).expect("the header is there").trim_end()
}
