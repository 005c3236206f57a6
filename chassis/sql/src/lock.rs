//! One process per store file: whoever holds the lock knows that every former owner is gone.
use crate::OpenError;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Holds `<file>.lock`. The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of the store at `path`.
    ///
    /// # Errors
    /// [`OpenError::LockHeld`] when another process (or another handle of this one) has it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let lock_path = Self::path_of(path);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| OpenError::from_io(&lock_path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::LockHeld { path: lock_path }),
            Err(TryLockError::Error(e)) => Err(OpenError::from_io(&lock_path, &e)),
        }
    }

    /// The lock file of the store at `path`.
    pub fn path_of(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }
}
