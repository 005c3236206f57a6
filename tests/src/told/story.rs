//! A story as it stands in its file.
use super::shell::{Command, commands};
use super::tree::Tree;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// A story.
#[derive(Debug, Clone)]
pub struct Story {
    /// The file's name, for people.
    pub name: String,
    pub(super) text: String,
    pub(super) steps: Vec<Step>,
}

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// So much time passes.
    Passes(Duration),
    /// Commands of one block, and what the last is answered.
    Does { commands: Vec<Command>, patience: Patience, golden: Option<Golden> },
}

/// Whether an answer is there at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Now,
    /// It comes by itself, without the clock.
    Soon,
    /// It comes while so much time passes.
    Within(Duration),
}

/// The answer that a story shows.
#[derive(Debug, Clone)]
pub(super) struct Golden {
    /// Where it begins in the file, from 1.
    pub line: usize,
    /// The lines between its fences, from 0.
    pub lines: Range<usize>,
    pub status: u16,
    /// `None` while it is to be filled in.
    pub shown: Option<Tree>,
}

/// Why a file is no story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub file: String,
    /// From 1.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

const FENCE: &str = "```";

impl Story {
    /// Reads a story.
    pub fn parse(name: &str, text: &str) -> Result<Story, Refused> {
        let refuse = |(line, what): (usize, String)| Refused { file: name.to_owned(), line, what };
        let steps = steps(text).map_err(refuse)?;
        if !steps.iter().any(|step| matches!(step, Step::Does { golden: Some(_), .. })) {
            return Err(refuse((1, "it shows no answer".to_owned())));
        }
        Ok(Story { name: name.to_owned(), text: text.to_owned(), steps })
    }

    /// The text with these lines replaced by others.
    pub(super) fn rewritten(&self, mut answers: Vec<(Golden, u16, Tree)>) -> String {
        let mut lines: Vec<String> = self.text.lines().map(str::to_owned).collect();
        answers.sort_by_key(|(golden, _, _)| std::cmp::Reverse(golden.lines.start));
        for (golden, status, answer) in answers {
            lines[golden.line - 1] =
                if status == 200 { format!("{FENCE}json") } else { format!("{FENCE}json {status}") };
            lines.splice(golden.lines, answer.pretty().lines().map(str::to_owned));
        }
        lines.join("\n") + "\n"
    }
}

fn steps(text: &str) -> Result<Vec<Step>, (usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut steps = Vec::new();
    let mut patience = Patience::Now;
    let mut at = 0;
    while at < lines.len() {
        let (line, here) = (lines[at], at + 1);
        at += 1;
        if let Some(kind) = line.strip_prefix(FENCE) {
            let end = lines[at..].iter().position(|line| *line == FENCE);
            let end = at + end.ok_or_else(|| (here, "the block is not closed".to_owned()))?;
            match kind.split_once(' ').unwrap_or((kind, "")) {
                ("sh", "") => {
                    let commands = commands(&lines[at..end], here)?;
                    if commands.is_empty() {
                        return Err((here, "there is no command in it".to_owned()));
                    }
                    let patience = std::mem::replace(&mut patience, Patience::Now);
                    steps.push(Step::Does { commands, patience, golden: None });
                }
                ("json", status) => {
                    let shown = golden(&lines, here, at..end, status)?;
                    match steps.last_mut() {
                        Some(Step::Does { golden: golden @ None, .. }) => *golden = Some(shown),
                        Some(_) | None => return Err((here, "an answer to no command".to_owned())),
                    }
                }
                _ => return Err((here, format!("a story has blocks of sh and json, not {kind:?}"))),
            }
            at = end + 1;
        } else if let Some(said) = line.strip_prefix("> *") {
            let said = said.strip_suffix('*').unwrap_or_default();
            if patience != Patience::Now {
                return Err((here, "the line of time before is followed by no command".to_owned()));
            }
            match time(said) {
                Some(Time::Passes(time)) => steps.push(Step::Passes(time)),
                Some(Time::Waits(waits)) => patience = waits,
                None => return Err((here, format!("{line:?} is no time that a story knows"))),
            }
        }
    }
    if patience != Patience::Now {
        return Err((lines.len(), "the last line of time is followed by no command".to_owned()));
    }
    match steps.iter().find(|step| waits_for_nothing(step)) {
        Some(Step::Does { commands, .. }) => {
            Err((commands[0].line, "it is waited for, and nothing says what for".to_owned()))
        }
        Some(Step::Passes(_)) | None => Ok(steps),
    }
}

fn waits_for_nothing(step: &Step) -> bool {
    match step {
        Step::Passes(_) => false,
        Step::Does { patience, golden, commands } => {
            *patience != Patience::Now && (golden.is_none() || commands.len() > 1)
        }
    }
}

fn golden(
    lines: &[&str],
    line: usize,
    inside: Range<usize>,
    status: &str,
) -> Result<Golden, (usize, String)> {
    let refuse = |what: String| (line, what);
    let status = match status {
        "" => 200,
        status => {
            let number = status.parse().ok().filter(|status| (200..600).contains(status));
            number.ok_or_else(|| refuse(format!("{status:?} is no status")))?
        }
    };
    let text = lines[inside.clone()].join("\n");
    let shown = if text.trim().is_empty() {
        None
    } else {
        Some(Tree::parse(&text).map_err(|error| refuse(format!("the answer is not JSON: {error}")))?)
    };
    Ok(Golden { line, lines: inside, status, shown })
}

enum Time {
    Passes(Duration),
    Waits(Patience),
}

/// `soon afterwards`, `15 minutes later`, `within a minute`.
fn time(said: &str) -> Option<Time> {
    if said == "soon afterwards" {
        return Some(Time::Waits(Patience::Soon));
    }
    if let Some(span) = said.strip_prefix("within ") {
        return Some(Time::Waits(Patience::Within(duration(span)?)));
    }
    Some(Time::Passes(duration(said.strip_suffix(" later")?)?))
}

/// `a minute`, `15 minutes`.
fn duration(said: &str) -> Option<Duration> {
    let (number, unit) = said.split_once(' ')?;
    let number = match number {
        "a" | "an" => 1,
        number => number.parse::<u32>().ok().filter(|number| *number > 0)?,
    };
    let seconds = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(number) * seconds))
}
