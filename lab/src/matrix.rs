//! The matrix: which points there are, found by passing each script once, and what becomes of a shop that dies
//! at each of them.
use crate::buyers::{Buyer, Desk, Stopped};
use crate::checks::Violation;
use crate::notes::Notes;
use crate::scripts::{SCRIPTS, Script};
use crate::shop::{Life, Shop};
use serde::Serialize;
use souk::child::{self, Start};
use souk::failure::{Failure, exit};
use souk_kernel::SeededEntropy;
use souk_telemetry::task;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::sync::watch;

/// A shop serves so many cells; then a new one is opened, so that checking all of it stays quick.
pub const CELLS_PER_SHOP: usize = 30;
/// How many customers want the same last piece.
const RIVALS: usize = 3;
/// How many customers do what leads to the point.
const SAME: usize = 2;
/// How often a point is tried that is not reached.
const ATTEMPTS_MAX: usize = 4;
/// A life in which nothing crashes ends after this.
const LIFE_MAX: Duration = Duration::from_secs(90);

/// How the process dies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// It aborts at the Nth passage of a point.
    Point { label: String, detail: String, passage: u64 },
    /// It is killed as it begins its Nth sync of a file, counted thread by thread: written, not synced.
    Sync { number: u64 },
}

impl Death {
    /// The label under which it is counted.
    pub fn label(&self) -> &str {
        match self {
            Death::Point { label, .. } => label,
            Death::Sync { .. } => "sync",
        }
    }

    /// Which of several things it is about.
    pub fn detail(&self) -> String {
        match self {
            Death::Point { detail, passage, .. } => format!("{detail}:{passage}"),
            Death::Sync { number } => number.to_string(),
        }
    }
}

/// Which scripts lead to each point, which is a label and a detail.
pub type Leads = BTreeMap<(String, String), Vec<Script>>;

/// One cell of the matrix.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    pub death: Death,
    /// What leads there, the surest first.
    pub scripts: Vec<Script>,
    /// How many lives in a row die so: the second is one that recovers from the first.
    pub lives: u32,
}

/// What became of a cell.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub cell: Cell,
    /// How many lives died at the point. None: it was not reached, and the process was killed at the end.
    pub deaths: u32,
    /// From the start of the process that was not harmed to its first answer.
    pub first_answer_ms: u64,
    /// From there until everybody had what they came for and nothing was on its way.
    pub settled_ms: u64,
    pub violations: Vec<Violation>,
}

/// Runs cells, in one shop after the other.
pub struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    shop: Option<Shop>,
    served: usize,
    opened: usize,
    notes: Notes,
    customers: usize,
    /// How many of the SKUs with one piece were offered in this shop.
    lasts: usize,
}

impl Bench {
    /// A bench that works under `folder`.
    pub fn new(binary: &Path, folder: &Path) -> Bench {
        Bench {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            shop: None,
            served: 0,
            opened: 0,
            notes: Notes::default(),
            customers: 0,
            lasts: 0,
        }
    }

    /// What all processes so far have noted.
    pub fn notes(&mut self) -> Result<Notes, Failure> {
        let mut notes = self.notes.clone();
        if let Some(shop) = &self.shop {
            notes.add(shop.notes()?);
        }
        Ok(notes)
    }

    /// Lets customers come for each script in turn and finds which scripts lead to each point.
    pub async fn survey(&mut self) -> Result<Leads, Failure> {
        let mut leads = Leads::new();
        for script in SCRIPTS {
            self.shop().await?;
            let buyers = self.customers_of(script, false);
            let shop = self.shop.as_ref().ok_or_else(closed)?;
            let (mut child, _) = shop.comes_up().await?;
            let (_, wrong) = serve(shop, &mut child, buyers).await?;
            refuse(&wrong)?;
            shop.rests().await?;
            let passed = shop.notes_of(&child)?.passed;
            shop.end(&mut child).await?;
            for point in passed {
                leads.entry(point).or_default().push(script);
            }
        }
        Ok(leads)
    }

    /// Lets a shop die as the cell says, and looks at what is left. A point that was not reached, because it is
    /// a matter of luck, is tried again, with another script if there is one.
    pub async fn run(&mut self, cell: Cell) -> Result<Outcome, Failure> {
        for attempt in 0..ATTEMPTS_MAX {
            let script = cell.scripts[attempt % cell.scripts.len()];
            let outcome = self.attempt(cell.clone(), script).await?;
            let is_last = attempt + 1 == ATTEMPTS_MAX;
            if outcome.deaths > 0 || !outcome.violations.is_empty() || is_last {
                return Ok(outcome);
            }
        }
        Err(closed())
    }

    async fn attempt(&mut self, cell: Cell, script: Script) -> Result<Outcome, Failure> {
        self.shop().await?;
        let mut buyers = self.customers_of(script, true);
        let shop = self.shop.as_ref().ok_or_else(closed)?;
        let mut wrong = Vec::new();
        let mut deaths = 0;
        for _ in 0..cell.lives {
            let mut child = start(shop, &cell.death)?;
            let (died, complaints);
            (died, buyers, complaints) = live(shop, &mut child, buyers).await?;
            wrong.extend(complaints);
            deaths += u32::from(died);
            child::kill(&program(shop, &cell.death), &mut child).await?;
        }
        let (mut child, first_answer) = shop.comes_up().await?;
        let begun = Instant::now();
        let (_, complaints) = serve(shop, &mut child, buyers).await?;
        wrong.extend(complaints);
        let mut violations: Vec<_> =
            wrong.into_iter().map(|what| Violation { invariant: "I2", what }).collect();
        match shop.rests().await {
            Ok(_) => {}
            Err(failure) => violations.push(Violation { invariant: "I8", what: failure.message }),
        }
        let settled = begun.elapsed();
        violations.extend(shop.violations()?);
        shop.end(&mut child).await?;
        self.served += 1;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if !violations.is_empty() {
            // The next cell must not find what this one left behind; the folder stays for whoever looks.
            self.close()?;
        }
        let (first_answer_ms, settled_ms) = (millis(first_answer), millis(settled));
        Ok(Outcome { cell, deaths, first_answer_ms, settled_ms, violations })
    }

    async fn shop(&mut self) -> Result<(), Failure> {
        if self.served >= CELLS_PER_SHOP {
            self.close()?;
        }
        if self.shop.is_none() {
            self.opened += 1;
            let folder = self.folder.join(format!("shop-{}", self.opened));
            self.shop = Some(Shop::open(&self.binary, &folder).await?);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        if let Some(shop) = self.shop.take() {
            self.notes.add(shop.notes()?);
        }
        (self.served, self.lasts) = (0, 0);
        Ok(())
    }

    /// Those who lead to the point, and in a cell also others, so that the process dies in the middle of more
    /// than one thing.
    fn customers_of(&mut self, script: Script, with_others: bool) -> Vec<Buyer> {
        let mut scripts = vec![script; SAME];
        if with_others {
            scripts.extend([Script::Sold, Script::CancelledEarly, Script::SoldOut]);
        }
        let mut buyers = Vec::new();
        let uses_last = scripts.contains(&Script::SoldOut);
        let last = crate::shop::last(self.lasts);
        self.lasts += usize::from(uses_last);
        for script in scripts {
            let rivals = if script == Script::SoldOut { RIVALS } else { 1 };
            for _ in 0..rivals {
                self.customers += 1;
                let name = format!("c{}", self.customers);
                let sku = if script == Script::SoldOut { last.as_str() } else { crate::shop::PLENTY };
                buyers.push(Buyer::new(script, name, sku));
            }
        }
        buyers
    }
}

pub fn closed() -> Failure {
    Failure::new(exit::GENERIC, "the shop was just opened")
}

fn refuse(wrong: &[String]) -> Result<(), Failure> {
    match wrong.first() {
        None => Ok(()),
        Some(what) => Err(Failure::new(exit::DIFFERENCES, what.clone())),
    }
}

fn program(shop: &Shop, death: &Death) -> child::Program {
    match death {
        Death::Point { .. } => shop.program.clone(),
        Death::Sync { number } => shop.program.clone().under(strace(*number)),
    }
}

/// Kills the process as one of its threads enters its Nth `fsync` or `fdatasync`.
fn strace(number: u64) -> Vec<String> {
    let inject = format!("inject=fsync,fdatasync:signal=KILL:when={number}");
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject]
        .map(str::to_owned)
        .into()
}

/// Whether `strace` is there and may trace.
pub fn can_trace() -> bool {
    let tried = std::process::Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn start(shop: &Shop, death: &Death) -> Result<Child, Failure> {
    match death {
        Death::Point { label, detail, passage } => {
            let slash = if detail.is_empty() { "" } else { "/" };
            shop.start(&Life::Armed(&format!("{label}{slash}{detail}:{passage}")))
        }
        Death::Sync { number } => shop.start_under(strace(*number)),
    }
}

/// Lets customers come until the process dies or all have what they want. Whether it died as it should, who is
/// left, and what they complain about.
async fn live(
    shop: &Shop,
    child: &mut Child,
    buyers: Vec<Buyer>,
) -> Result<(bool, Vec<Buyer>, Vec<String>), Failure> {
    if let Start::Ended(status) = shop.program.ready(child).await? {
        return Ok((is_violent(status), buyers, Vec::new()));
    }
    let (left, complaints) = serve(shop, child, buyers).await?;
    let ended = child.try_wait().map_err(|e| Failure::io("the shop cannot be waited for", e))?;
    Ok((ended.is_some_and(is_violent), left, complaints))
}

/// An abort, or a kill of what `strace` runs, which ends itself in the same way.
fn is_violent(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status).is_some();
    #[cfg(not(unix))]
    return !status.success();
}

/// Lets customers come until all have what they want or the process is gone; everybody, and complaints.
async fn serve(
    shop: &Shop,
    child: &mut Child,
    buyers: Vec<Buyer>,
) -> Result<(Vec<Buyer>, Vec<String>), Failure> {
    let (gone, is_gone) = watch::channel(false);
    let (nobody, sales, admin) = (shop.nobody(), shop.sales(), shop.admin());
    let desk = Desk { nobody, sales, admin, journal: Arc::clone(&shop.journal), is_gone };
    let visits = buyers.into_iter().map(|mut buyer| {
        let desk = desk.clone();
        task::spawn(task::Kind::Background, "buyer", async move {
            let visited = buyer.go_on(&desk).await;
            (buyer, visited)
        })
    });
    let mut all = Box::pin(futures_util::future::join_all(visits.collect::<Vec<_>>()));
    let visited = tokio::select! {
        visited = &mut all => visited,
        _ = child.wait() => {
            gone.send_replace(true);
            all.await
        }
        () = tokio::time::sleep(LIFE_MAX) => {
            gone.send_replace(true);
            all.await
        }
    };
    let (mut buyers, mut complaints) = (Vec::new(), Vec::new());
    for visit in visited {
        let (buyer, visited) =
            visit.map_err(|ended| Failure::new(exit::GENERIC, format!("a buyer: {ended}")))?;
        match visited {
            Ok(()) | Err(Stopped::Gone) => {}
            Err(Stopped::Wrong(what)) => complaints.push(what),
        }
        buyers.push(buyer);
    }
    Ok((buyers, complaints))
}

/// Every cell that the survey leads to, each point at each of its first passages.
pub fn cells(leads: &Leads, passages: u64, lives: u32) -> Vec<Cell> {
    let mut cells = Vec::new();
    for ((label, detail), scripts) in leads {
        for passage in 1..=passages {
            let death = Death::Point { label: label.clone(), detail: detail.clone(), passage };
            cells.push(Cell { death, scripts: scripts.clone(), lives });
        }
    }
    cells
}

/// Deaths at syncs, spread over the scripts.
pub fn syncs(numbers: impl IntoIterator<Item = u64>, lives: u32) -> Vec<Cell> {
    let scripts = [Script::Sold, Script::CancelledLate, Script::Stocking];
    let cells = numbers.into_iter().zip(scripts.into_iter().cycle());
    cells
        .map(|(number, script)| Cell { death: Death::Sync { number }, scripts: vec![script], lives })
        .collect()
}

/// The same cells in an order that the seed makes; one of each label comes first.
pub fn shuffled(mut cells: Vec<Cell>, seed: u64) -> Vec<Cell> {
    let random = SeededEntropy::new(seed);
    for at in (1..cells.len()).rev() {
        let other = random.next_u64() % (at as u64 + 1);
        cells.swap(at, usize::try_from(other).unwrap_or(0));
    }
    let mut seen = std::collections::BTreeSet::new();
    let (first, rest): (Vec<_>, Vec<_>) =
        cells.into_iter().partition(|cell| seen.insert(cell.death.label().to_owned()));
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_comes_first_and_the_same_seed_makes_the_same_order() {
        let lead = |label: &str, detail: &str| ((label.to_owned(), detail.to_owned()), vec![Script::Sold]);
        let leads =
            BTreeMap::from([lead("a", "1"), lead("a", "2"), lead("a", "3"), lead("b", "1"), lead("c", "1")]);
        let order = |seed| -> Vec<String> {
            let cells = shuffled(cells(&leads, 1, 1), seed);
            cells.iter().map(|cell| format!("{}/{}", cell.death.label(), cell.death.detail())).collect()
        };
        assert_eq!(order(7), order(7));
        let mut first: Vec<_> = order(7).iter().take(3).map(|cell| cell[..1].to_owned()).collect();
        first.sort();
        assert_eq!((first, order(7).len()), (vec!["a".into(), "b".into(), "c".into()], 5));
    }
}
