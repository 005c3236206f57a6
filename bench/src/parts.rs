//! What can be measured, in the order in which it is.
use crate::report::{NoResult, Outcome};
use crate::{appends, checkouts, gateway, log_syncs, sagas, starts};
use clap::ValueEnum;
use std::path::PathBuf;
use std::time::Duration;

/// No part may take longer.
const PART_MAX: Duration = Duration::from_secs(60);

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Syncs of the log per batch, counted one by one
    LogSyncs,
    /// Appends per second beside a raw sync of the same disk
    Appends,
    /// Sagas of five steps that do nothing, per second
    Sagas,
    /// Checkouts per second over REST, and the CPU that each takes
    Checkouts,
    /// Cold start to the first answer, and memory when idle
    Starts,
    /// The gateway's CPU per request beside nginx
    Gateway,
}

/// What every part is given.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How long each load is kept up.
    pub lasting: Duration,
    /// An empty folder on the disk that is measured.
    pub folder: PathBuf,
    /// The shop's program, or why there is none.
    pub souk: Result<PathBuf, String>,
    /// The nginx to compare with, when it is not the system's.
    pub nginx: Option<PathBuf>,
}

impl Setting {
    /// An empty folder for one measurement.
    pub fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir(&folder).map_err(|e| NoResult::failed("a folder cannot be made", e))?;
        Ok(folder)
    }
}

impl Part {
    /// All of them.
    pub const ALL: &'static [Part] =
        &[Part::LogSyncs, Part::Appends, Part::Sagas, Part::Checkouts, Part::Starts, Part::Gateway];

    /// As it stands in the report and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Part::LogSyncs => "log-syncs",
            Part::Appends => "appends",
            Part::Sagas => "sagas",
            Part::Checkouts => "checkouts",
            Part::Starts => "starts",
            Part::Gateway => "gateway",
        }
    }

    /// Whether it measures the shop's program from outside.
    pub fn needs_shop(self) -> bool {
        matches!(self, Part::Checkouts | Part::Starts | Part::Gateway)
    }

    /// Measures it.
    pub async fn measure(self, setting: &Setting) -> Outcome {
        let measuring = async {
            match self {
                Part::LogSyncs => log_syncs::measure(setting).await,
                Part::Appends => appends::measure(setting).await,
                Part::Sagas => sagas::measure(setting).await,
                Part::Checkouts => checkouts::measure(setting).await,
                Part::Starts => starts::measure(setting).await,
                Part::Gateway => gateway::measure(setting).await,
            }
        };
        let late = || NoResult::Failed(format!("it took longer than {} s", PART_MAX.as_secs()));
        tokio::time::timeout(PART_MAX, measuring).await.unwrap_or_else(|_| Err(late()))
    }
}
