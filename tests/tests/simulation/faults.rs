//! What goes wrong: on the way of calls, on the network, and with whole machines.
use crate::chance::Chance;
use crate::time;
use souk::settings::ROLES;
use souk_rpc::{BoxFuture, ByteService, Bytes, Cx, Error, Reply, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The dangerous states; a long run that misses one has proven less than it says.
pub const SOMETIMES: &[&str] = &[
    "a call was lost on its way",
    "an answer was lost after its effect",
    "a call was made twice",
    "a call was delayed",
    "a machine crashed",
    "a machine crashed with an order under way",
    "a link was cut",
    "a link was held",
    "a machine was cut off while it lived on",
    "time leapt with an order under way",
    "an order was confirmed",
    "an order was rejected",
    "an order was cancelled",
    "an order was held",
    "an order was shipped",
    "a part of an order was shipped",
    "an order was delivered",
    "the shelf was empty",
    "a part was offered",
    "the bank asked the customer",
    "a customer let a deadline pass",
    "a quote was accepted too late",
    "a coupon was used up",
    "a coupon was used up while the order was placed",
    "a cancel came too late",
    "a parcel left before it was called off",
    "a piece was called off",
    "a parcel was lost",
    "a parcel came back",
    "a return was refunded",
    "a return was worth nothing",
    "a return was rejected",
    "a return was given up",
    "a sale took too long",
];

/// Counts what was reached.
#[derive(Clone, Default)]
pub struct Marks(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Marks {
    pub fn reached(&self, mark: &'static str) {
        debug_assert!(SOMETIMES.contains(&mark), "{mark} is not listed");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(mark).or_default() += 1;
    }

    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes calls go wrong while it is on.
#[derive(Clone)]
pub struct Unreliable {
    chance: Chance,
    on: Arc<AtomicBool>,
    marks: Marks,
}

impl Unreliable {
    pub fn new(chance: Chance, marks: Marks) -> Self {
        Self { chance, on: Arc::new(AtomicBool::new(true)), marks }
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// The same service, reached by a bad way.
    pub fn around(&self, inner: Arc<dyn ByteService>) -> Arc<dyn ByteService> {
        Arc::new(BadWay { inner, faults: self.clone() })
    }

    fn draw(&self) -> Wrong {
        if !self.on.load(Ordering::Relaxed) {
            return Wrong::Nothing;
        }
        match self.chance.below(100) {
            0..3 => Wrong::LostCall,
            3..7 => Wrong::LostAnswer,
            7..12 => Wrong::Doubled,
            12..18 => Wrong::Delayed(Duration::from_millis(self.chance.between(50, 3_000))),
            _ => Wrong::Nothing,
        }
    }
}

enum Wrong {
    Nothing,
    LostCall,
    LostAnswer,
    Doubled,
    Delayed(Duration),
}

struct BadWay {
    inner: Arc<dyn ByteService>,
    faults: Unreliable,
}

fn lost() -> Error {
    Error::unavailable("the connection broke")
}

impl ByteService for BadWay {
    fn service(&self) -> &str {
        self.inner.service()
    }

    fn call(&self, method: &str, cx: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply>> {
        let (inner, method, marks) = (Arc::clone(&self.inner), method.to_owned(), self.faults.marks.clone());
        let wrong = self.faults.draw();
        Box::pin(async move {
            match wrong {
                Wrong::Nothing => inner.call(&method, cx, request).await,
                Wrong::LostCall => {
                    marks.reached("a call was lost on its way");
                    Err(lost())
                }
                Wrong::LostAnswer => {
                    inner.call(&method, cx, request).await?;
                    marks.reached("an answer was lost after its effect");
                    Err(lost())
                }
                Wrong::Doubled => {
                    marks.reached("a call was made twice");
                    let first = inner.call(&method, cx.clone(), request.clone());
                    let second = inner.call(&method, cx, request);
                    let (first, second) = futures_util::future::join(first, second).await;
                    first.or(second)
                }
                Wrong::Delayed(time) => {
                    marks.reached("a call was delayed");
                    tokio::time::sleep(time).await;
                    inner.call(&method, cx, request).await
                }
            }
        })
    }
}

/// Breaks machines and links, and mends them later.
pub struct Nemesis {
    chance: Chance,
    marks: Marks,
    next: Duration,
    /// Whether time may still leap.
    leaps: bool,
    mending: Vec<(Duration, Mend)>,
}

/// How long a machine is cut off at least: longer than its leases last.
const ZOMBIE: Duration = Duration::from_secs(3);
/// More than the longest time that a sale may take.
const LEAP: Duration = Duration::from_secs(31 * 60);

/// Everybody whom a machine talks with.
fn others(role: &'static str) -> impl Iterator<Item = &'static str> {
    ROLES.iter().map(|(other, _)| *other).filter(move |other| *other != role).chain(["customers"])
}

enum Mend {
    Restart(&'static str),
    Rejoin(&'static str),
    Repair(&'static str, &'static str),
    Release(&'static str, &'static str),
}

impl Nemesis {
    pub fn new(chance: Chance, marks: Marks) -> Self {
        let leaps = chance.percent(25);
        Self { chance, marks, next: Duration::from_secs(2), leaps, mending: Vec::new() }
    }

    /// Does what is due at this moment of the run.
    pub fn act(&mut self, sim: &mut turmoil::Sim<'_>, orders_under_way: bool) {
        let now = sim.elapsed();
        self.mend(sim, Some(now));
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(self.chance.between(100, 1_500));
        let until = now + Duration::from_millis(self.chance.between(50, 4_000));
        let role = self.role();
        match self.chance.below(20) {
            0..9 => self.crash(sim, role, until, orders_under_way),
            9..11 => self.cut_off(sim, role, until),
            11 if self.leaps => self.leap(orders_under_way),
            12..16 => {
                let other = self.role();
                if role != other {
                    self.marks.reached("a link was cut");
                    sim.partition(role, other);
                    self.mending.push((until, Mend::Repair(role, other)));
                }
            }
            _ => {
                let other = self.role();
                if role != other {
                    self.marks.reached("a link was held");
                    sim.hold(role, other);
                    self.mending.push((until, Mend::Release(role, other)));
                }
            }
        }
    }

    fn crash(
        &mut self,
        sim: &mut turmoil::Sim<'_>,
        role: &'static str,
        until: Duration,
        orders_under_way: bool,
    ) {
        if !sim.is_host_running(role) {
            return;
        }
        self.marks.reached("a machine crashed");
        if orders_under_way {
            self.marks.reached("a machine crashed with an order under way");
        }
        sim.crash(role);
        self.mending.push((until, Mend::Restart(role)));
    }

    /// A machine lives on and reaches nobody, and what it says comes late, with what it believed to hold.
    fn cut_off(&mut self, sim: &mut turmoil::Sim<'_>, role: &'static str, until: Duration) {
        self.marks.reached("a machine was cut off while it lived on");
        for other in others(role) {
            sim.hold(role, other);
        }
        self.mending.push((until + ZOMBIE, Mend::Rejoin(role)));
    }

    /// Nothing happens for a while, and then everything that was due is due at once.
    fn leap(&mut self, orders_under_way: bool) {
        self.leaps = false;
        if orders_under_way {
            self.marks.reached("time leapt with an order under way");
        }
        time::leap(LEAP);
    }

    /// Mends what is due, or everything.
    pub fn mend(&mut self, sim: &mut turmoil::Sim<'_>, due: Option<Duration>) {
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.mending)
            .into_iter()
            .partition(|(at, _)| due.is_none_or(|due| *at <= due));
        self.mending = later;
        for (_, mend) in now {
            match mend {
                Mend::Restart(role) => sim.bounce(role),
                Mend::Rejoin(role) => others(role).for_each(|other| sim.release(role, other)),
                Mend::Repair(one, other) => sim.repair(one, other),
                Mend::Release(one, other) => sim.release(one, other),
            }
        }
    }

    fn role(&self) -> &'static str {
        self.chance.one_of(ROLES).0
    }
}
