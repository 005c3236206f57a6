//! The shop as a child process that is killed and started again: for the replay with kills, and for the crash
//! laboratory.
use crate::failure::Failure;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// How often it is looked whether the child is there.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a child may take to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(30);

/// How to start the child: the same over all its lives, its address included.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    before: Vec<String>,
    data: PathBuf,
    address: String,
}

/// Whether a child got so far as to take connections.
#[derive(Debug)]
pub enum Start {
    /// It does.
    Ready,
    /// It has ended before.
    Ended(ExitStatus),
}

impl Program {
    /// This very program, on the stores under `data`.
    pub fn own(data: &Path) -> Result<Program, Failure> {
        Self::at(&std::env::current_exe().map_err(|e| Failure::io("the path of this program", e))?, data)
    }

    /// The program at `path`, on the stores under `data`.
    pub fn at(path: &Path, data: &Path) -> Result<Program, Failure> {
        let address = free_address().map_err(|e| Failure::io("a free port", e))?;
        Ok(Program { path: path.to_owned(), before: Vec::new(), data: data.to_owned(), address })
    }

    /// The same, started by another program that is given it as arguments.
    #[must_use]
    pub fn under(mut self, before: Vec<String>) -> Program {
        self.before = before;
        self
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `souk up` in a process of its own, and in a group of its own when it is started by another program;
    /// killed with this one.
    pub fn spawn(&self, environment: &[(&str, &str)]) -> Result<Child, Failure> {
        self.run(&["up"], environment)
    }

    /// `souk serve` with these roles, in a process of its own.
    pub fn serve(&self, roles: &[&str]) -> Result<Child, Failure> {
        let grpc = free_address().map_err(|e| Failure::io("a free port", e))?;
        let words: Vec<_> = ["serve"].iter().chain(roles).copied().chain(["--grpc-listen", &grpc]).collect();
        self.run(&words, &[])
    }

    fn run(&self, what: &[&str], environment: &[(&str, &str)]) -> Result<Child, Failure> {
        let mut words = self.before.iter().map(PathBuf::from).chain([self.path.clone()]);
        let mut command = Command::new(words.next().unwrap_or_else(|| self.path.clone()));
        command.args(words).args(what).arg("--data").arg(&self.data);
        command.args(["--listen", &self.address, "--admin-listen", ""]);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        #[cfg(unix)]
        if !self.before.is_empty() {
            command.process_group(0);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.data.join("server.log"));
        if let Ok(log) = log {
            command.stderr(log);
        }
        command.spawn().map_err(|e| Failure::io("the server cannot be started", e))
    }

    /// Waits until the child takes connections, or has ended.
    pub async fn ready(&self, child: &mut Child) -> Result<Start, Failure> {
        loop {
            // A connection to a port that nobody listens on may, by chance, be made with itself.
            let connected = tokio::net::TcpStream::connect(&self.address).await;
            if connected.is_ok_and(|stream| stream.local_addr().ok() != stream.peer_addr().ok()) {
                return Ok(Start::Ready);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(status) =
                child.try_wait().map_err(|e| Failure::io("the server cannot be waited for", e))?
            {
                return Ok(Start::Ended(status));
            }
        }
    }
}

/// A port that was free a moment ago.
fn free_address() -> std::io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Asks the child to stop, as an operator would, and waits for it; `None` when it does not.
pub async fn stop(child: &mut Child) -> Result<Option<ExitStatus>, Failure> {
    if let Some(id) = child.id() {
        let _ = std::process::Command::new("kill").arg(id.to_string()).status();
    }
    match tokio::time::timeout(END_WITHIN, child.wait()).await {
        Ok(ended) => ended.map(Some).map_err(|e| Failure::io("the server cannot be waited for", e)),
        Err(_) => Ok(None),
    }
}

/// Kills the child and, when it was started by another program, all of its group.
pub async fn kill(program: &Program, child: &mut Child) -> Result<(), Failure> {
    if let Some(id) = child.id().filter(|_| !program.before.is_empty()) {
        let group = format!("-{id}");
        let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
    }
    child.kill().await.map_err(|e| Failure::io("the server cannot be killed", e))
}
