//! What the figures were measured on. Without it they say nothing.
use crate::amount::Amount;
use crate::disk;
use serde_json::{Value, json};
use souk_host::Environment;
use std::path::Path;
use std::process::Command;

/// The machine, the disk and the code.
#[derive(Debug)]
pub struct Machine {
    cores: usize,
    cpu: String,
    memory_mib: u64,
    kernel: String,
    file_system: String,
    sync_ms: Amount,
    /// Processes that wanted a core in the last minute: how much else was going on.
    load: String,
    commit: String,
    /// Whether the shop's program is of that commit.
    program: String,
    time: String,
}

impl Default for Machine {
    fn default() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            cores: 0,
            cpu: unknown(),
            memory_mib: 0,
            kernel: unknown(),
            file_system: unknown(),
            sync_ms: Amount::whole(0),
            load: unknown(),
            commit: unknown(),
            program: unknown(),
            time: unknown(),
        }
    }
}

/// Looks at the machine; `folder` is on the disk that is measured, `named` the shop's program when it is not
/// built from this tree. What cannot be found out is left open.
pub fn look(folder: &Path, named: Option<&Path>) -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let unknown = Machine::default();
    Machine {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or(unknown.cpu),
        memory_mib: field(&read("/proc/meminfo"), "MemTotal").map_or(0, |text| kib(&text) / 1_024),
        kernel: some(read("/proc/sys/kernel/osrelease")).unwrap_or(unknown.kernel),
        file_system: file_system(&read("/proc/mounts"), folder).unwrap_or(unknown.file_system),
        sync_ms: disk::sync_latency(folder).map_or(unknown.sync_ms, Amount::ms),
        load: read("/proc/loadavg").split(' ').next().map_or(unknown.load, str::to_owned),
        commit: commit().unwrap_or(unknown.commit),
        program: named.map_or_else(|| "built from it".to_owned(), |path| path.display().to_string()),
        time: Environment::system().clock.now().to_string(),
    }
}

impl Machine {
    /// In one line.
    pub fn sentence(&self) -> String {
        format!(
            "{} cores ({}), {} MiB, Linux {}, {}: {} ms a sync; load {}; commit {}; shop {}; {}",
            self.cores,
            self.cpu,
            self.memory_mib,
            self.kernel,
            self.file_system,
            self.sync_ms,
            self.load,
            self.commit,
            self.program,
            self.time
        )
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.cpu,
            "memoryMib": self.memory_mib,
            "kernel": self.kernel,
            "fileSystem": self.file_system,
            "syncMs": self.sync_ms.number(),
            "load": self.load,
            "commit": self.commit,
            "shop": self.program,
            "time": self.time,
        })
    }
}

/// The value of `name : value` in one of the kernel's lists.
pub fn field(text: &str, name: &str) -> Option<String> {
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values.into_iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The number before `kB`, which the kernel writes for KiB.
pub fn kib(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn some(text: String) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The type of the file system that is mounted deepest above the folder.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        folder.starts_with(place).then_some((place.len(), kind))
    });
    // Of two on the same place, the later one hides the earlier.
    above.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind.to_owned())
}

/// The commit of the code, marked when there is more than was committed.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|output| output.status.success());
        output.and_then(|output| String::from_utf8(output.stdout).ok())
    };
    let commit = some(git(&["rev-parse", "--short=12", "HEAD"])?)?;
    let changed = some(git(&["status", "--porcelain"])?).is_some();
    Some(if changed { format!("{commit} and uncommitted changes") } else { commit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        let list = "processor\t: 0\nmodel name\t: A CPU: fast\nMemTotal:       24684 kB\n";
        assert_eq!(field(list, "model name").as_deref(), Some("A CPU: fast"));
        assert_eq!(field(list, "MemTotal").map(|text| kib(&text)), Some(24_684));
        assert_eq!(field(list, "absent"), None);
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tm xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x")).as_deref(), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/home")).as_deref(), Some("ext4"));
    }
}
