//! What a process has used, as the kernel tells it under `/proc`.
use crate::machine::{field, kib};
use crate::report::{NoResult, Outcome};
use std::time::Duration;

/// The kernel counts CPU for readers in hundredths of a second on every architecture that Souk runs on.
const TICK: Duration = Duration::from_millis(10);

/// One line of `/proc/<pid>/stat`.
struct Stat {
    parent: u32,
    ticks: u32,
}

/// The CPU that a process and its children that still run have used, in user and kernel mode.
pub fn cpu(id: u32) -> Outcome<Duration> {
    let own = stat(id).ok_or_else(|| NoResult::Failed(format!("process {id} has ended")))?;
    let all = std::fs::read_dir("/proc").map_err(|e| NoResult::failed("/proc cannot be read", e))?;
    let ids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = ids.filter_map(stat).filter(|stat| stat.parent == id).map(|stat| stat.ticks);
    Ok(TICK * (own.ticks + children.sum::<u32>()))
}

fn stat(id: u32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The name is in parentheses and may hold anything; what follows the last one are words.
fn parse(line: &str) -> Option<Stat> {
    let words: Vec<_> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u32>().ok();
    Some(Stat { parent: number(1)?, ticks: number(11)? + number(12)? })
}

/// The memory that a process holds at the moment, in bytes.
pub fn resident_bytes(id: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"));
    let status = status.map_err(|e| NoResult::failed("the server's memory cannot be read", e))?;
    let resident = field(&status, "VmRSS").ok_or_else(|| NoResult::Failed("no VmRSS".to_owned()))?;
    Ok(kib(&resident) * 1_024)
}

/// The bytes that the threads of this name in this process have written, as far as the kernel counts them.
pub fn written_by_threads(name: &str) -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let written = |thread: std::fs::DirEntry| {
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let matches = read("comm").trim() == name;
        matches.then(|| field(&read("io"), "wchar").map_or(0, |text| kib(&text)))
    };
    threads.flatten().filter_map(written).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let stat = parse("7 (a) 9 (b c) S 3 7 7 0 -1 4194560 1 0 0 0 250 40 0 0 20 0 1 0").expect("a line");
        assert_eq!((stat.parent, stat.ticks), (3, 290));
        assert!(parse("7 (cut").is_none());
    }

    #[test]
    fn this_process_has_used_something() {
        let id = std::process::id();
        assert!(resident_bytes(id).expect("readable") > 1 << 20);
        assert!(cpu(id).is_ok());
        assert!(cpu(u32::MAX).is_err());
    }
}
