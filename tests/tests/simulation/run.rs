//! One run: a shop opens, customers buy while things go wrong, everything is healed, and the books are checked.
use crate::buyers::{Journal, Shop};
use crate::chance::Chance;
use crate::faults::{Marks, Nemesis, Unreliable};
use crate::machine::{Machine, SimulatedClock, peers, tell_time};
use souk::settings::ROLES;
use souk::verify::{Facts, check};
use souk_contracts::order::v1::OrderStatus;
use souk_contracts::terms::OrderId;
use souk_eventstore::audit::Audit;
use souk_host::{Environment, signing_keys};
use souk_order::domain::order::Label;
use souk_user::Role;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For how long things go wrong, of the simulation's time.
const TROUBLE: Duration = Duration::from_secs(25);
/// How long it may take afterwards until everybody was answered.
const PATIENCE: Duration = Duration::from_secs(600);
/// What the sagas get after the last answer, to capture what was sold and to return what was not.
const AFTERMATH: Duration = Duration::from_secs(90);
const BUYERS: u64 = 5;
const ORDERS_EACH: u64 = 3;

/// What came of a run.
pub struct Outcome {
    pub seed: u64,
    pub violations: Vec<String>,
    marks: BTreeMap<&'static str, u64>,
    /// A sum over all logs: two runs that differ anywhere differ here.
    trace: u64,
    orders: usize,
}

impl Outcome {
    /// Everything on one line, for whoever started this process.
    pub fn line(&self) -> String {
        let mut line = format!("seed {} trace {:016x} orders {}", self.seed, self.trace, self.orders);
        for (mark, count) in &self.marks {
            write!(line, "; {count} × {mark}").expect("writing to memory cannot fail");
        }
        line
    }
}

/// Adds the marks of a line that [`Outcome::line`] wrote.
pub fn add_marks(line: &str, marks: &mut BTreeMap<String, u64>) {
    for (count, mark) in line.split("; ").filter_map(|part| part.split_once(" × ")) {
        *marks.entry(mark.to_owned()).or_default() += count.parse::<u64>().unwrap_or(0);
    }
}

/// Where the stores lie: in memory, if there is such a folder, since a crash here is no loss of power.
fn folder() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    let made = shared.is_dir().then(|| tempfile::Builder::new().prefix("souk-sim-").tempdir_in(shared));
    match made {
        Some(Ok(folder)) => folder,
        Some(Err(_)) | None => tempfile::tempdir().expect("a temporary folder"),
    }
}

pub fn run(seed: u64) -> Outcome {
    let folder = folder();
    let data = folder.path();
    let marks = Marks::default();
    let journal = Journal::default();
    let mut violations = simulate(seed, data, &marks, &journal);
    if violations.is_empty() {
        violations.extend(judge(data, &journal));
    }
    let orders = journal.told().len();
    Outcome { seed, violations, marks: marks.all(), trace: trace(data), orders }
}

fn network(seed: u64) -> turmoil::Builder {
    let chance = Chance::new(seed, "network");
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .epoch(std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
        .simulation_duration(TROUBLE + PATIENCE + AFTERMATH)
        .tick_duration(Duration::from_millis(5))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(chance.between(5, 120)))
        .tcp_capacity(4_096)
        .enable_random_order();
    builder
}

/// Runs until everybody was answered and everything has come to rest; what went wrong with that.
fn simulate(seed: u64, data: &Path, marks: &Marks, journal: &Journal) -> Vec<String> {
    let entropy = Chance::new(seed, "keys").entropy();
    let (signer, _) = signing_keys(data, entropy.as_ref()).expect("a new folder takes a key");
    let faults = Unreliable::new(Chance::new(seed, "calls"), marks.clone());
    tell_time(Duration::ZERO);
    let mut sim = network(seed).build();
    for (role, _) in ROLES {
        let machine = Machine::new(role, data, seed, faults.clone());
        sim.host(*role, move || machine.clone().run());
    }
    let failed: Arc<Mutex<Vec<String>>> = Arc::default();
    let (answered, complaints) = (Arc::new(AtomicBool::new(false)), Arc::clone(&failed));
    let done = Arc::clone(&answered);
    let own = faults.clone();
    let (own_marks, own_journal) = (marks.clone(), journal.clone());
    sim.client("customers", async move {
        let clock = SimulatedClock::new(Duration::ZERO);
        let environment = Environment { clock, entropy: Chance::new(seed, "staff").entropy() };
        let (clock, ids) = (environment.clock.as_ref(), environment.ids());
        let staff = souk_user::staff_token(&signer, clock, &ids, Role::Admin, Duration::from_secs(28_800));
        let shop = Shop { peers: peers("", &own), journal: own_journal, marks: own_marks };
        shop.open(&staff).await?;
        let visits = (0..BUYERS)
            .map(|buyer| shop.visit(buyer, ORDERS_EACH, Chance::new(seed, &format!("buyer {buyer}"))));
        for visit in futures_util::future::join_all(visits).await {
            if let Err(error) = visit {
                let complaint = format!("a customer was refused: {}: {}", error.reason(), error.message());
                complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
            }
        }
        done.store(true, Ordering::Relaxed);
        tokio::time::sleep(AFTERMATH).await;
        Ok(())
    });
    let mut nemesis = Nemesis::new(Chance::new(seed, "nemesis"), marks.clone());
    let ended = drive(&mut sim, &mut nemesis, &faults, journal);
    drop(sim);
    let mut violations = std::mem::take(&mut *failed.lock().unwrap_or_else(PoisonError::into_inner));
    if let Err(error) = ended {
        violations.push(format!("the run did not end well: {error}"));
    }
    if !answered.load(Ordering::Relaxed) {
        violations.push("some customers were never answered".to_owned());
    }
    violations
}

fn drive(
    sim: &mut turmoil::Sim<'_>,
    nemesis: &mut Nemesis,
    faults: &Unreliable,
    journal: &Journal,
) -> turmoil::Result {
    let mut trouble = true;
    loop {
        if trouble && sim.elapsed() < TROUBLE {
            nemesis.act(sim, journal.orders_under_way());
        } else if trouble {
            trouble = false;
            nemesis.mend(sim, None);
            faults.heal();
        }
        tell_time(sim.elapsed());
        if sim.step()? {
            return Ok(());
        }
    }
}

/// What the books say, and whether they say what the customers were told.
fn judge(data: &Path, journal: &Journal) -> Vec<String> {
    let facts = match Facts::gather(data) {
        Ok(facts) => facts,
        Err(failure) => return vec![format!("the stores cannot be read: {failure}")],
    };
    let findings = check(&facts);
    let broken = findings.iter().filter(|finding| finding.count > 0);
    let mut violations: Vec<_> =
        broken.map(|finding| format!("{}: {}: {:?}", finding.check, finding.rule, finding.shown())).collect();
    if facts.rest.sagas_open > 0 || facts.rest.feed_behind > 0 || facts.rest.parked > 0 {
        violations.push(format!("the shop is not at rest: {:?}", facts.rest));
    }
    let told = journal.told();
    for told in &told {
        let id = told.order_id.parse::<OrderId>().ok();
        let order = id.and_then(|id| facts.orders.get(&id));
        let label = order.map(|order| order.label());
        let total = order.and_then(|order| order.placed()).map(|placed| placed.total.minor_units());
        if !agrees(told.status, label) || total != Some(told.total) {
            violations.push(format!("a customer was told otherwise: {told:?}, the log says {label:?}"));
        }
    }
    // Everybody insisted until there was an answer, so nobody has an order that he does not know of.
    if facts.orders.len() != told.len() {
        violations.push(format!(
            "{} orders in the log, {} known to customers",
            facts.orders.len(),
            told.len()
        ));
    }
    violations
}

fn agrees(told: OrderStatus, label: Option<Label>) -> bool {
    match label {
        None => false,
        Some(Label::Confirmed) => told == OrderStatus::Confirmed,
        Some(Label::Rejected) => told == OrderStatus::Rejected,
        Some(Label::Cancelled) => told == OrderStatus::Cancelled,
        Some(_) => false,
    }
}

/// A sum over all that every log says.
fn trace(data: &Path) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |text: &str| {
        for byte in text.bytes() {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (role, _) in ROLES {
        let Ok(audit) = Audit::open(data.join(role).with_extension("db")) else { continue };
        let _ = audit.for_each(|recorded| {
            add(&format!(
                "{} {} {:?} {}",
                recorded.stream.as_str(),
                recorded.version,
                recorded.time,
                recorded.data
            ));
        });
    }
    sum
}
