//! A mail server, played (RFC 5321), on loopback. It takes what it is told to take, keeps it in a file, and refuses
//! or breaks off as it is told.
use souk_telemetry::task;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
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
    /// Where it listens.
    pub address: SocketAddr,
    moods: Arc<Mutex<VecDeque<Mood>>>,
    file: Arc<Mutex<PathBuf>>,
    hanging: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
}

const LOCKED: &str = "nobody panics while it is locked";

/// What stands between mails in the file.
const BETWEEN: &str = "\n-- \u{1} --\n";

impl Sink {
    /// A server that keeps mails in this file, on a port that the system chooses.
    ///
    /// # Panics
    /// When loopback has no free port.
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
                let mood = serving.moods.lock().expect(LOCKED).pop_front().unwrap_or(Mood::Takes);
                let serving = serving.clone();
                let talk = async move {
                    // A broken connection is the client's to notice.
                    let _ = serving.serve(stream, mood).await;
                };
                task::spawn(task::Kind::Background, "mail.connection", talk).detach();
            }
        };
        task::spawn(task::Kind::Background, "mail", running).detach();
        sink
    }

    /// How it takes those who call next; after them it takes all.
    pub fn will(&self, moods: &[Mood]) {
        self.moods.lock().expect(LOCKED).extend(moods);
    }

    /// Every mail that it has, as it came.
    pub fn mails(&self) -> Vec<String> {
        let file = self.file.lock().expect(LOCKED);
        mails_in(&std::fs::read_to_string(&*file).unwrap_or_default())
    }

    /// On the disk when this returns, as a mail server has it before it says so.
    fn keep(&self, mail: &str) -> std::io::Result<()> {
        let file = self.file.lock().expect(LOCKED);
        let mut file = OpenOptions::new().create(true).append(true).open(&*file)?;
        file.write_all(format!("{mail}{BETWEEN}").as_bytes())?;
        file.sync_data()
    }

    async fn serve(&self, stream: TcpStream, mood: Mood) -> std::io::Result<()> {
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
                    self.keep(&format!("{envelope}{}", content(&mut stream).await?))?;
                    if mood == Mood::Hangs {
                        self.hanging.lock().expect(LOCKED).push(stream);
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

/// The mails in the text of a server's file.
pub fn mails_in(file: &str) -> Vec<String> {
    file.split(BETWEEN).filter(|mail| !mail.is_empty()).map(str::to_owned).collect()
}

/// The value of a header; empty without it.
pub fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let start = format!("{name}: ");
    mail.lines().find_map(|line| line.strip_prefix(start.as_str())).unwrap_or_default().trim_end()
}
