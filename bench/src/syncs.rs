//! Counts every sync that this process asks the kernel for, by standing between the program and libc. A store
//! could count its own, but the point is to catch it counting wrongly.
#![allow(unsafe_code, reason = "replacing two functions of libc cannot be said in safe Rust")]
use libc::{c_int, c_long};
use std::sync::atomic::{AtomicU64, Ordering};

/// Syncs by the threads that write logs.
static BY_SEQUENCERS: AtomicU64 = AtomicU64::new(0);
/// Syncs by the threads that move logs into their files.
static BY_CHECKPOINTS: AtomicU64 = AtomicU64::new(0);

/// How many syncs there have been so far.
#[derive(Debug, Clone, Copy)]
pub struct Syncs {
    /// By the threads that write logs.
    pub sequencers: u64,
    /// By the threads that move logs into their files.
    pub checkpoints: u64,
}

impl Syncs {
    /// As of now.
    pub fn so_far() -> Self {
        Self {
            sequencers: BY_SEQUENCERS.load(Ordering::SeqCst),
            checkpoints: BY_CHECKPOINTS.load(Ordering::SeqCst),
        }
    }

    /// How many there have been since then.
    pub fn since(self) -> Self {
        let now = Self::so_far();
        Self { sequencers: now.sequencers - self.sequencers, checkpoints: now.checkpoints - self.checkpoints }
    }
}

/// Counts by the thread's name. It may be called from C, on any thread and at any time, so it asks the kernel
/// instead of the standard library and touches nothing but the stack and two counters.
fn count() {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes to the address it is given, and 16 are there.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    if name.starts_with(b"sequencer-") {
        BY_SEQUENCERS.fetch_add(1, Ordering::SeqCst);
    } else if name.starts_with(b"checkpoint-") {
        BY_CHECKPOINTS.fetch_add(1, Ordering::SeqCst);
    }
}

fn answer(result: c_long) -> c_int {
    c_int::try_from(result).unwrap_or(-1)
}

/// Takes the place of libc's `fdatasync`.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(file: c_int) -> c_int {
    count();
    // SAFETY: the system call takes any number and refuses what is no open file.
    answer(unsafe { libc::syscall(libc::SYS_fdatasync, file) })
}

/// Takes the place of libc's `fsync`.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(file: c_int) -> c_int {
    count();
    // SAFETY: as above.
    answer(unsafe { libc::syscall(libc::SYS_fsync, file) })
}

/// The counters are the process's: tests that write logs take turns.
#[cfg(test)]
pub static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(test)]
mod tests {
    use super::*;

    fn sync_on(thread: &str) {
        let named = std::thread::Builder::new().name(thread.to_owned());
        let sync = || tempfile::tempfile().and_then(|file| file.sync_data().and_then(|()| file.sync_all()));
        named.spawn(sync).expect("a thread").join().expect("no panic").expect("synced");
    }

    #[test]
    fn syncs_are_counted_by_whoever_asks_for_them() {
        let before = Syncs::so_far();
        sync_on("somebody");
        sync_on("checkpoint-test");
        let between = before.since();
        assert_eq!(between.checkpoints, 2);
        assert!(
            std::fs::File::open("/dev/null").and_then(|file| file.sync_data()).is_err(),
            "errors come back"
        );
    }
}
