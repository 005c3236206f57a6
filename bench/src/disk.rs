//! The yardstick of every durable write: the same bytes, written and synced with nothing around them.
use crate::amount::Amount;
use crate::report::{NoResult, Outcome};
use souk_telemetry::task;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A log is written over and over in the same place once it has reached its size, and so is this file: a sync
/// that also has to note a new length costs more.
const FILE_BYTES: u64 = 8 << 20;
const PAGE_BYTES: usize = 4_096;
/// Syncs for the machine's description.
const SAMPLES: usize = 200;
/// A probe ends after so many syncs, whatever the time.
const SYNCS_MAX: u64 = 1_000_000;

/// The raw disk right before and right after something: others may be using it too, and not evenly.
pub struct Around<'a> {
    folder: &'a Path,
    lasting: Duration,
    before: Amount,
}

impl<'a> Around<'a> {
    /// Probes before, with so many bytes a sync.
    pub async fn begin(folder: &'a Path, bytes: u64, lasting: Duration) -> Outcome<Self> {
        let before = syncs_per_second(folder, bytes, lasting).await?;
        Ok(Self { folder, lasting, before })
    }

    /// Probes after; syncs per second on average.
    pub async fn end(self, bytes: u64) -> Outcome<Amount> {
        Ok(syncs_per_second(self.folder, bytes, self.lasting).await?.mean(self.before))
    }
}

/// A file that is as long as it will ever be.
struct Probe {
    file: File,
    page: Vec<u8>,
    at: u64,
}

impl Probe {
    fn new(folder: &Path, bytes: usize) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        file.write_all_at(&vec![1; usize::try_from(FILE_BYTES).unwrap_or(PAGE_BYTES)], 0)?;
        file.sync_all()?;
        Ok(Self { file, page: vec![2; bytes.clamp(1, PAGE_BYTES * 256)], at: 0 })
    }

    fn write_and_sync(&mut self) -> io::Result<()> {
        let bytes = self.page.len() as u64;
        if self.at + bytes > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.page, self.at)?;
        self.at += bytes;
        self.file.sync_data()
    }
}

/// The median of some syncs of a page.
pub fn sync_latency(folder: &Path) -> io::Result<Duration> {
    let mut probe = Probe::new(folder, PAGE_BYTES)?;
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        probe.write_and_sync()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[SAMPLES / 2])
}

/// Raw syncs per second with so many bytes each.
async fn syncs_per_second(folder: &Path, bytes: u64, lasting: Duration) -> Outcome<Amount> {
    let folder: PathBuf = folder.to_owned();
    let probing = task::blocking("bench.probe", move || -> io::Result<Amount> {
        let mut probe = Probe::new(&folder, usize::try_from(bytes).unwrap_or(PAGE_BYTES))?;
        let started = Instant::now();
        let mut syncs = 0;
        while started.elapsed() < lasting && syncs < SYNCS_MAX {
            probe.write_and_sync()?;
            syncs += 1;
        }
        Ok(Amount::per_second(syncs, started.elapsed()))
    });
    let rate = probing.await.map_err(|e| NoResult::failed("the probe", e))?;
    rate.map_err(|e| NoResult::failed("the probe cannot write and sync", e))
}
