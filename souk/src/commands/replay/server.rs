//! The shop that the replay sells through: in this process, or a child process that is killed now and then.
use crate::commands::up::Local;
use crate::failure::{Failure, exit};
use crate::output;
use souk_host::Environment;
use souk_kernel::SeededEntropy;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How often a child that ends by itself at its start is tried again.
const STARTS_MAX: u32 = 3;

/// Where the orders go.
pub enum Server {
    /// In this process.
    Here(Local),
    /// In a child that is killed.
    Child(Box<Killed>),
}

impl Server {
    /// Starts the shop on the stores under `data`.
    pub async fn start(
        data: &Path,
        kill_every: Option<Duration>,
        seed: Option<u64>,
    ) -> Result<Server, Failure> {
        std::fs::create_dir_all(data).map_err(|e| Failure::io(data.display(), e))?;
        match kill_every {
            None => Ok(Server::Here(Local::start(data).await?)),
            Some(mean) => Ok(Server::Child(Box::new(Killed::start(data, mean, seed).await?))),
        }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        match self {
            Server::Here(local) => local.url(),
            Server::Child(child) => child.url.clone(),
        }
    }

    /// Kills and restarts as planned. Ends only with a failure: the child no longer starts.
    pub async fn watch(&mut self) -> Failure {
        match self {
            Server::Here(_) => std::future::pending().await,
            Server::Child(child) => child.kill_and_restart().await,
        }
    }

    /// No more kills from here on; it is up when this returns.
    pub async fn stop_killing(&mut self) -> Result<(), Failure> {
        match self {
            Server::Here(_) => Ok(()),
            Server::Child(child) => child.stop_killing().await,
        }
    }

    /// How often it was killed.
    pub fn kills(&self) -> u32 {
        match self {
            Server::Here(_) => 0,
            Server::Child(child) => child.kills,
        }
    }

    /// Ends it cleanly.
    pub async fn stop(self) -> Result<(), Failure> {
        match self {
            Server::Here(local) => {
                local.stop().await;
                Ok(())
            }
            Server::Child(child) => child.stop().await,
        }
    }
}

/// A child process that is killed after random delays, and started again.
pub struct Killed {
    data: PathBuf,
    address: String,
    url: String,
    mean: Duration,
    random: Arc<SeededEntropy>,
    child: Child,
    killing: bool,
    kills: u32,
}

impl Killed {
    async fn start(data: &Path, mean: Duration, seed: Option<u64>) -> Result<Killed, Failure> {
        let seed = seed.unwrap_or_else(random_seed);
        output::note(&format!(
            "killing the server about every {mean:?}; the same delays again with --seed {seed}"
        ));
        let address = free_address().map_err(|e| Failure::io("a free port", e))?;
        let child = spawn(data, &address)?;
        let mut killed = Killed {
            data: data.to_owned(),
            url: format!("http://{address}"),
            address,
            mean,
            random: SeededEntropy::new(seed),
            child,
            killing: true,
            kills: 0,
        };
        killed.wait_until_ready().await?;
        Ok(killed)
    }

    /// Between nothing and twice the mean.
    fn next_delay(&self) -> Duration {
        let share = u32::try_from(self.random.next_u64() % 2_000).expect("below 2,000");
        self.mean * share / 1_000
    }

    async fn kill_and_restart(&mut self) -> Failure {
        loop {
            let delay = self.next_delay();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                ended = self.child.wait() => return ended_by_itself(ended),
            }
            if !self.killing {
                continue;
            }
            if let Err(e) = self.child.kill().await {
                return Failure::io("the server cannot be killed", e);
            }
            self.kills += 1;
            match spawn(&self.data, &self.address) {
                Ok(child) => self.child = child,
                Err(failure) => return failure,
            }
            if let Err(failure) = self.wait_until_ready().await {
                return failure;
            }
        }
    }

    /// The last kill may have been cut off before its restart.
    async fn stop_killing(&mut self) -> Result<(), Failure> {
        self.killing = false;
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            self.child = spawn(&self.data, &self.address)?;
        }
        self.wait_until_ready().await
    }

    /// Waits until the child accepts connections. One that ends by itself is started again a few times: the
    /// port of its predecessor may still be on its way out.
    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let mut starts = 1;
        loop {
            if tokio::net::TcpStream::connect(&self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Ok(Some(status)) = self.child.try_wait() {
                if starts == STARTS_MAX {
                    return Err(Failure::new(
                        exit::UNAVAILABLE,
                        format!("the server ended at its start: {status}"),
                    ));
                }
                starts += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.child = spawn(&self.data, &self.address)?;
            }
        }
    }

    async fn stop(mut self) -> Result<(), Failure> {
        terminate(&self.child);
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                Err(Failure::new(exit::GENERIC, format!("the server did not stop cleanly: {status}")))
            }
            Ok(Err(e)) => Err(Failure::io("the server cannot be waited for", e)),
            Err(_) => Err(Failure::new(exit::TRY_AGAIN, "the server did not stop in time")),
        }
    }
}

fn ended_by_itself(ended: std::io::Result<std::process::ExitStatus>) -> Failure {
    match ended {
        Ok(status) => Failure::new(exit::UNAVAILABLE, format!("the server ended by itself: {status}")),
        Err(e) => Failure::io("the server cannot be waited for", e),
    }
}

fn random_seed() -> u64 {
    let mut bytes = [0; 4];
    Environment::system().entropy.fill(&mut bytes);
    u64::from(u32::from_le_bytes(bytes))
}

/// A port that was free a moment ago. The child keeps it over all its lives.
fn free_address() -> std::io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// `souk up` in a process of its own, killed with this one.
fn spawn(data: &Path, address: &str) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::io("the path of this program", e))?;
    let mut command = Command::new(program);
    command.arg("up").arg("--data").arg(data).args(["--listen", address, "--admin-listen", ""]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(data.join("server.log"));
    if let Ok(log) = log {
        command.stderr(log);
    }
    command.spawn().map_err(|e| Failure::io("the server cannot be started", e))
}

/// Asks the child to stop, as an operator would.
fn terminate(child: &Child) {
    if let Some(id) = child.id() {
        let _ = std::process::Command::new("kill").arg(id.to_string()).status();
    }
}
