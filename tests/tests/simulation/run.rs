//! One run: a shop opens, customers buy while things go wrong, everything is healed, and the books are checked.
use crate::buyers::Shop;
use crate::chance::Chance;
use crate::faults::{Marks, Nemesis, Unreliable};
use crate::journal::Journal;
use crate::machine::{Machine, peers};
use crate::time::{SimulatedClock, set_pace, tell_time};
use souk::settings::ROLES;
use souk::verify::{Facts, Rest, check};
use souk_eventstore::audit::Audit;
use souk_host::{Environment, signing_keys};
use souk_identity::Signer;
use souk_rpc::Error;
use souk_user::Role;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// For how long things go wrong, of the simulation's time.
const TROUBLE: Duration = Duration::from_secs(30);
/// How long it may take afterwards until everybody was answered.
const PATIENCE: Duration = Duration::from_secs(600);
/// What the sagas get after the last answer, to capture what was sold and to return what was not.
const AFTERMATH: Duration = Duration::from_secs(90);
/// How often is looked whether everything has come to rest.
const GLANCE: Duration = Duration::from_secs(2);
/// How many times faster the shop's time may pass than the network's.
const PACES: &[u32] = &[3, 6, 12];
const BUYERS: u64 = 4;
const ORDERS_EACH: u64 = 2;

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

/// Where the stores lie: in memory, if there is such a folder, since a crash here is no loss of power. Whoever wants to
/// look at them afterwards names a folder.
fn folder() -> tempfile::TempDir {
    if let Some(kept) = std::env::var_os("SOUK_SIM_KEEP") {
        let made = tempfile::Builder::new().prefix("souk-sim-").disable_cleanup(true).tempdir_in(kept);
        return made.expect("the folder for the stores is there");
    }
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
    journal.mark(&marks);
    let orders = journal.orders().len();
    Outcome { seed, violations, marks: marks.all(), trace: trace(data), orders }
}

fn network(seed: u64) -> turmoil::Builder {
    let chance = Chance::new(seed, "network");
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .epoch(std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
        .simulation_duration(TROUBLE + PATIENCE + AFTERMATH)
        .tick_duration(Duration::from_millis(10))
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
    set_pace(*Chance::new(seed, "pace").one_of(PACES));
    let mut sim = network(seed).build();
    for (role, _) in ROLES {
        let machine = Machine::new(role, data, seed, faults.clone());
        sim.host(*role, move || machine.clone().run());
    }
    let ending = Ending::default();
    let shop = Shop {
        peers: peers("", &faults),
        journal: journal.clone(),
        marks: marks.clone(),
        staff: staff_token(seed, &signer),
    };
    sim.client("customers", day(seed, shop, ending.clone()));
    let mut nemesis = Nemesis::new(Chance::new(seed, "nemesis"), marks.clone());
    let ended = drive(&mut sim, &mut nemesis, &faults, journal, &ending, data);
    drop(sim);
    let mut violations = ending.complaints();
    if let Err(error) = ended {
        violations.push(format!("the run did not end well: {error}"));
    }
    if !ending.answered.load(Ordering::Relaxed) {
        violations.push("some customers were never answered".to_owned());
    }
    violations
}

fn staff_token(seed: u64, signer: &Signer) -> String {
    let clock = SimulatedClock::new(Duration::ZERO);
    let environment = Environment { clock, entropy: Chance::new(seed, "staff").entropy() };
    let (clock, ids) = (environment.clock.as_ref(), environment.ids());
    souk_user::staff_token(signer, clock, &ids, Role::Admin, Duration::from_secs(24 * 3_600))
}

/// How far a run is.
#[derive(Clone, Default)]
struct Ending {
    /// Every customer has had the last answer.
    answered: Arc<AtomicBool>,
    /// Nothing is on its way any more.
    at_rest: Arc<AtomicBool>,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Ending {
    fn complain(&self, error: &Error) {
        let complaint = format!("a customer was refused: {}", error.story());
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
    }

    fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut *self.complaints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The shop opens, everybody comes, and when all is quiet everybody looks once more at what they have.
async fn day(seed: u64, shop: Shop, ending: Ending) -> turmoil::Result {
    shop.open().await?;
    let visits =
        (0..BUYERS).map(|buyer| shop.visit(buyer, ORDERS_EACH, Chance::new(seed, &format!("buyer {buyer}"))));
    let (visits, restocked) =
        futures_util::future::join(futures_util::future::join_all(visits), shop.restock()).await;
    for error in visits.into_iter().chain([restocked]).filter_map(Result::err) {
        ending.complain(&error);
    }
    ending.answered.store(true, Ordering::Relaxed);
    let patience = tokio::time::Instant::now() + AFTERMATH;
    while !ending.at_rest.load(Ordering::Relaxed) && tokio::time::Instant::now() < patience {
        tokio::time::sleep(GLANCE).await;
    }
    let orders: BTreeMap<String, String> = shop.journal.orders().into_iter().collect();
    for (order_id, token) in &orders {
        shop.look(order_id, token).await?;
    }
    for (return_id, order_id) in shop.journal.returns() {
        let token = orders.get(&order_id).map_or("", String::as_str);
        shop.look_at_return(&return_id, token).await?;
    }
    Ok(())
}

fn drive(
    sim: &mut turmoil::Sim<'_>,
    nemesis: &mut Nemesis,
    faults: &Unreliable,
    journal: &Journal,
    ending: &Ending,
    data: &Path,
) -> turmoil::Result {
    let mut trouble = true;
    let mut next_glance = Duration::ZERO;
    loop {
        if trouble && sim.elapsed() < TROUBLE {
            nemesis.act(sim, journal.orders_under_way());
        } else if trouble {
            trouble = false;
            nemesis.mend(sim, None);
            faults.heal();
        }
        if ending.answered.load(Ordering::Relaxed) && sim.elapsed() >= next_glance && !trouble {
            next_glance = sim.elapsed() + GLANCE;
            let is_quiet = Rest::look(data).is_ok_and(|rest| rest.is_quiet());
            ending.at_rest.store(is_quiet, Ordering::Relaxed);
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
    if !facts.rest.is_quiet() {
        violations.push(format!("the shop is not at rest: {:?}", facts.rest));
    }
    violations.extend(journal.judge(data, &facts));
    violations
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
