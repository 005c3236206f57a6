//! The shop that the replay sells through: in this process, or a child process that is killed now and then.
use crate::child::{self, Program, Start};
use crate::commands::up::Local;
use crate::failure::{Failure, exit};
use crate::output;
use souk_host::Environment;
use souk_kernel::SeededEntropy;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Child;

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
            Server::Child(child) => child.program.url(),
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
    program: Program,
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
        let program = Program::own(data)?;
        let child = program.spawn(&[])?;
        let mut killed =
            Killed { program, mean, random: SeededEntropy::new(seed), child, killing: true, kills: 0 };
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
            if let Err(failure) = child::kill(&self.program, &mut self.child).await {
                return failure;
            }
            self.kills += 1;
            match self.program.spawn(&[]) {
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
            self.child = self.program.spawn(&[])?;
        }
        self.wait_until_ready().await
    }

    /// Waits until the child accepts connections. One that ends by itself is started again a few times: the
    /// port of its predecessor may still be on its way out.
    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        for _ in 1..STARTS_MAX {
            match self.program.ready(&mut self.child).await? {
                Start::Ready => return Ok(()),
                Start::Ended(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
            self.child = self.program.spawn(&[])?;
        }
        match self.program.ready(&mut self.child).await? {
            Start::Ready => Ok(()),
            Start::Ended(status) => {
                let message = format!("the server ended at its start: {status}");
                Err(Failure::new(exit::UNAVAILABLE, message))
            }
        }
    }

    async fn stop(mut self) -> Result<(), Failure> {
        match child::stop(&mut self.child).await? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(Failure::new(exit::GENERIC, format!("the server did not stop cleanly: {status}")))
            }
            None => Err(Failure::new(exit::TRY_AGAIN, "the server did not stop in time")),
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
