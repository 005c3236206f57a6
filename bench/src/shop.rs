//! The real program in a process of its own, as a shop owner runs it.
use crate::parts::Setting;
use crate::report::{NoResult, Outcome};
use crate::rest::{Ask, Caller};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Until the program must have given its first answer.
const START_MAX: Duration = Duration::from_secs(10);
/// Until it must have ended after it was asked to.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Between two looks at whether it answers.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// How much of what it said is shown when it fails.
const SAID_MAX: usize = 400;

/// The shop's program as it is now, under a name of its own: whoever builds meanwhile does not change it. Without
/// a named one it is built; when nothing has changed, that costs a moment.
pub fn program(named: Option<&Path>, folder: &Path) -> Result<PathBuf, String> {
    let path = match named {
        Some(named) => named.to_owned(),
        None => build()?,
    };
    let own = folder.join("souk");
    let copied =
        std::fs::copy(&path, &own).map_err(|e| format!("the shop's program {}: {e}", path.display()));
    copied.map(|_| own)
}

fn build() -> Result<PathBuf, String> {
    crate::note("building the shop …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "souk"])
        .status()
        .map_err(|e| format!("cargo cannot be started ({e}); name the shop's program with --souk"))?;
    if !built.success() {
        return Err(format!("the shop cannot be built ({built}); name its program with --souk"));
    }
    let own = std::env::current_exe().map_err(|e| format!("the folder of this program: {e}"))?;
    Ok(own.with_file_name("souk"))
}

/// The shop's program.
pub struct Program(PathBuf);

impl Program {
    /// The one that this run measures.
    pub fn of(setting: &Setting) -> Outcome<Self> {
        setting.souk.clone().map(Self).map_err(NoResult::Failed)
    }

    /// Starts the whole shop on the stores in `data`.
    pub fn up(&self, data: &Path, demo: bool) -> Outcome<Running> {
        let mut arguments = vec!["up"];
        arguments.extend(demo.then_some("--demo"));
        self.start(data, &arguments, &[])
    }

    /// Starts the gateway alone; the catalogue answers elsewhere.
    pub fn gateway(&self, data: &Path, catalog: SocketAddr) -> Outcome<Running> {
        self.start(data, &["serve", "gateway"], &[("SOUK_PEERS__CATALOG", catalog.to_string())])
    }

    /// A token for somebody on the staff of the shop in `data`.
    pub async fn staff_token(&self, data: &Path, role: &str) -> Outcome<String> {
        let mut command = Command::new(&self.0);
        command.args(["token", "--role", role, "--data"]).arg(data).current_dir(data);
        let printed = command.output().await.map_err(|e| NoResult::failed("souk token", e))?;
        if !printed.status.success() {
            return Err(NoResult::failed("souk token", String::from_utf8_lossy(&printed.stderr)));
        }
        Ok(String::from_utf8_lossy(&printed.stdout).trim().to_owned())
    }

    fn start(&self, data: &Path, arguments: &[&str], environment: &[(&str, String)]) -> Outcome<Running> {
        let address = free_address()?;
        let said = data.join("said.txt");
        let failed = |e: std::io::Error| NoResult::failed("the shop cannot be started", e);
        let mut command = Command::new(&self.0);
        command.args(arguments).arg("--data").arg(data);
        command.args(["--listen", &address.to_string(), "--admin-listen", ""]);
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        // In a folder without a configuration file.
        command.current_dir(data).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(&said).map_err(failed)?);
        let started = Instant::now();
        let child = command.spawn().map_err(failed)?;
        Ok(Running { child, address, said, started })
    }
}

/// A port that was free a moment ago.
pub fn free_address() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|e| NoResult::failed("no port is free", e))
}

/// The program at work. It is killed when this is dropped.
pub struct Running {
    child: Child,
    address: SocketAddr,
    said: PathBuf,
    started: Instant,
}

impl Running {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn id(&self) -> Outcome<u32> {
        self.child.id().ok_or_else(|| NoResult::Failed("the shop has ended".to_owned()))
    }

    /// Waits for the first 200 to this path; how long it took since the start of the process.
    pub async fn first_answer(&mut self, path: &str) -> Outcome<Duration> {
        let mut caller = Caller::new(self.address);
        while self.started.elapsed() < START_MAX {
            if matches!(caller.ask(&Ask::get(path)).await, Ok((200, _))) {
                return Ok(self.started.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(NoResult::Failed(format!("the shop ended ({status}): {}", self.last_words())));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(NoResult::Failed(format!("the shop did not answer {path}: {}", self.last_words())))
    }

    fn last_words(&self) -> String {
        let said = std::fs::read(&self.said).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(SAID_MAX)..]).trim().to_owned()
    }

    /// Asks it to end, as an operator would, and waits until it has.
    pub async fn stop(mut self) -> Outcome<()> {
        let id = self.id()?.to_string();
        let asked = Command::new("kill").arg(&id).status().await;
        asked.map_err(|e| NoResult::failed("the shop cannot be told to stop", e))?;
        match tokio::time::timeout(STOP_MAX, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                Err(NoResult::Failed(format!("the shop did not end well ({status}): {}", self.last_words())))
            }
            Ok(Err(e)) => Err(NoResult::failed("the shop cannot be waited for", e)),
            Err(_) => Err(NoResult::Failed("the shop did not end in time".to_owned())),
        }
    }
}
