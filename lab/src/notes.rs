//! What the killed processes have noted of themselves: which points they passed, which marks they set, and
//! where they were made to abort.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// The notes of all processes that wrote into one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Each point that was passed: label and detail.
    pub passed: BTreeSet<(String, String)>,
    /// How often each mark was set, roughly: counts are noted when they double.
    pub marks: BTreeMap<String, u64>,
    /// How many processes aborted on purpose.
    pub crashes: usize,
}

impl Notes {
    /// Reads every file in the folder.
    pub fn read(folder: &Path) -> io::Result<Notes> {
        let mut notes = Notes::default();
        for file in std::fs::read_dir(folder)? {
            notes.take(&String::from_utf8_lossy(&std::fs::read(file?.path())?));
        }
        Ok(notes)
    }

    /// Reads what one process has noted.
    pub fn of_process(folder: &Path, id: u32) -> io::Result<Notes> {
        let mut notes = Notes::default();
        notes.take(&String::from_utf8_lossy(&std::fs::read(folder.join(format!("{id}.log")))?));
        Ok(notes)
    }

    fn take(&mut self, text: &str) {
        let mut marks: BTreeMap<&str, u64> = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<_> = line.split('\t').collect();
            match words.as_slice() {
                ["passed", label, detail, _] => {
                    self.passed.insert(((*label).to_owned(), (*detail).to_owned()));
                }
                ["marked", what, _, count] => {
                    marks.insert(what, count.parse().unwrap_or(0));
                }
                ["crashed", ..] => self.crashes += 1,
                // A line that the end of the process has cut off.
                _ => {}
            }
        }
        for (what, count) in marks {
            *self.marks.entry(what.to_owned()).or_default() += count;
        }
    }

    /// Adds what others have noted.
    pub fn add(&mut self, other: Notes) {
        self.passed.extend(other.passed);
        self.crashes += other.crashes;
        for (what, count) in other.marks {
            *self.marks.entry(what).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_count_of_each_process_counts() {
        let mut notes = Notes::default();
        notes.take("passed\ta.b\tx\t1\nmarked\tm\t\t1\nmarked\tm\t\t2\ncrashed\ta.b\tx\t1\n");
        notes.take("marked\tm\t\t4\npassed\ta.b\ty\t1\npass");
        assert_eq!((notes.passed.len(), notes.marks["m"], notes.crashes), (2, 6, 1));
    }
}
