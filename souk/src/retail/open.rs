//! Opening a retail file, plain or compressed. The only code that both readers of the file share.
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// What is read of one file after decompression at most, so that a small compressed file cannot fill the disk
/// or the memory. The real year has 45 MB.
pub(super) const BYTES_MAX: u64 = 4 << 30;

/// The file could not be opened or read to its end.
#[derive(Debug)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {}: {}", self.path.display(), self.source)
    }
}

/// Without a source: the message tells it already.
impl std::error::Error for Unreadable {}

/// The file's bytes; decompressed when the name ends in `.gz`.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, Unreadable> {
    let file = File::open(path).map_err(|source| Unreadable { path: path.into(), source })?;
    let compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let file = BufReader::with_capacity(1 << 16, file);
    if compressed {
        Ok(Box::new(Bounded::new(flate2::bufread::MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(Bounded::new(file)))
    }
}

/// Fails, instead of ending early, when there are more bytes than [`BYTES_MAX`]: a file cut in silence would
/// look like a shorter year.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Bounded<R> {
    fn new(inner: R) -> Self {
        Self { inner, left: BYTES_MAX }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(io::Error::other("the file has more than 4 GiB"));
        };
        self.left = left;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_bound_fails_instead_of_ending() {
        let mut bounded = Bounded { inner: &b"0123456789"[..], left: 9 };
        let mut all = Vec::new();
        assert!(bounded.read_to_end(&mut all).is_err());
        let mut bounded = Bounded { inner: &b"0123456789"[..], left: 10 };
        assert_eq!(bounded.read_to_end(&mut all).expect("fits"), 10);
    }
}
