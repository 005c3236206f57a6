//! The binary as a process: run to its end, or running until it is told or killed.
#![allow(dead_code, reason = "each test file uses its part")]
pub mod checkout;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// The binary with these arguments, in a folder without a configuration, under no settings from outside.
pub fn souk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_souk"));
    let from_outside = std::env::vars_os().map(|(name, _)| name);
    for name in from_outside.filter(|name| name.to_string_lossy().starts_with("SOUK_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(std::env::temp_dir()).stdin(Stdio::null());
    command
}

/// A command on the stores in this folder.
pub fn on(data: &Path, arguments: &[&str]) -> Command {
    let mut command = souk(arguments);
    command.arg("--data").arg(data);
    command
}

/// How often it is looked whether a process has ended, and what passes in between: half a minute in all.
const LOOKS_MAX: u32 = 1_500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Runs a command to its end, which must be this exit code; what it said on both outputs. One that does not
/// end, for example because it starts where it should refuse, is killed.
pub fn said(mut command: Command, code: i32) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let ended = (0..LOOKS_MAX).any(|_| {
        let ended = child.try_wait().expect("it can be asked").is_some();
        if !ended {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        ended
    });
    if !ended {
        child.kill().expect("it runs");
    }
    let done = child.wait_with_output().expect("its last words");
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(done.status.code(), Some(code), "{command:?} said\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// The same beside other work of a test.
pub async fn said_meanwhile(command: Command, code: i32) -> String {
    let said = souk_telemetry::task::blocking("a command", move || said(command, code)).await;
    said.expect("it says what it should")
}

/// An address that nobody listens on. For processes that must know each other's before they start.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("it is bound")
}

/// `souk up` on the stores in this folder, on a port that the system chooses.
pub fn up(data: &Path) -> Command {
    on(data, &["up", "--listen", "127.0.0.1:0", "--admin-listen", ""])
}

/// The last line that a process says when it is up.
const IS_UP: &str = "Ctrl-C stops it.";

/// A shop that runs as a process, or a part of one. It is killed when the test ends before it does.
pub struct Shop {
    child: Child,
    url: String,
    data: PathBuf,
    /// Kept open: a process whose messages nobody takes any more would be another test.
    _messages: BufReader<ChildStderr>,
}

impl Shop {
    /// Starts the whole shop and waits until it says that it is up.
    pub fn open(data: &Path) -> Shop {
        Self::start(up(data), data)
    }

    /// Starts what the command says on these stores, and waits until it says that it is up.
    pub fn start(mut command: Command, data: &Path) -> Shop {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut messages = BufReader::new(child.stderr.take().expect("piped"));
        let (mut told, mut url) = (String::new(), String::new());
        while !told.contains(IS_UP) {
            let mut line = String::new();
            let read = messages.read_line(&mut line).expect("messages are text");
            assert!(read > 0, "it ended before it was up:\n{told}");
            told.push_str(&line);
            if let Some((_, rest)) = line.split_once("  API ") {
                rest.split_whitespace().next().expect("the address stands here").clone_into(&mut url);
            }
        }
        Shop { child, url, data: data.to_owned(), _messages: messages }
    }

    /// Where its API answers; empty when it has none.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: it cannot do anything about it. Killing it again changes nothing.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM.
    pub fn ask_to_stop(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("there is kill");
        assert!(sent.success());
    }

    /// Its exit code, once it has one.
    pub fn ended(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// SIGTERM; its exit code.
    pub fn terminate(self) -> Option<i32> {
        self.ask_to_stop();
        self.ended()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
