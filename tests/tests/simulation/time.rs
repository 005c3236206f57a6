//! The simulation's clocks and entropy, in place of the system's.
use souk_kernel::{Clock, Timestamp};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// When every run begins.
const OPENS: Timestamp = Timestamp::from_unix_s(1_800_000_000);
/// How many times faster the shop's time passes than the network's: a customer's hour need not be simulated message
/// by message.
static PACE: AtomicU32 = AtomicU32::new(1);
/// How much of the shop's time was left out so far, in microseconds.
static LEAPT_US: AtomicU64 = AtomicU64::new(0);

/// Lets the shop's time pass so many times faster than the network's.
pub fn set_pace(pace: u32) {
    PACE.store(pace, Ordering::Relaxed);
}

/// Leaves out so much of the shop's time, on all machines at once.
pub fn leap(time: Duration) {
    LEAPT_US.fetch_add(u64::try_from(time.as_micros()).unwrap_or(0), Ordering::Relaxed);
}

/// Waits for so much of the shop's time.
pub async fn wait(time: Duration) {
    tokio::time::sleep(time / PACE.load(Ordering::Relaxed)).await;
}

/// The shop's time, as it should be.
pub fn now() -> Timestamp {
    let passed = turmoil::sim_elapsed().unwrap_or_default() * PACE.load(Ordering::Relaxed);
    OPENS.plus(passed + Duration::from_micros(LEAPT_US.load(Ordering::Relaxed)))
}

/// The shop's time, on every machine a little wrong.
pub struct SimulatedClock {
    skew: Duration,
}

impl SimulatedClock {
    pub fn new(skew: Duration) -> Arc<Self> {
        Arc::new(Self { skew })
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        now().plus(self.skew)
    }
}

/// The simulation's time for code that asks the system: microseconds since the start, and whether it counts.
static ELAPSED_US: AtomicU64 = AtomicU64::new(0);
static IS_SIMULATED: AtomicBool = AtomicBool::new(false);

/// Says how far the simulation is. From the first time on, the system's clock stands where this says: the HTTP/2
/// library forgets closed streams by it, and how fast this machine is must not matter.
pub fn tell_time(elapsed: Duration) {
    ELAPSED_US.store(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    IS_SIMULATED.store(true, Ordering::Relaxed);
}

/// Takes the place of the C library's.
#[allow(unsafe_code, reason = "the symbol of the C library can only be replaced by one of its own form")]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    if !IS_SIMULATED.load(Ordering::Relaxed) {
        // SAFETY: the very call that the caller made, handed on to the system.
        let answer = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
        return libc::c_int::try_from(answer).unwrap_or(-1);
    }
    let us = ELAPSED_US.load(Ordering::Relaxed) + u64::try_from(OPENS.unix_us()).unwrap_or(0);
    let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
    let told = libc::timespec {
        tv_sec: libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::try_from(rest * 1_000).unwrap_or(0),
    };
    // SAFETY: the caller gives a place for one of these, as the system call demands.
    unsafe { time.write(told) };
    0
}

thread_local! {
    /// How many random bytes this thread asked the system for: each gets others, in every run the same. Counted by
    /// thread, because the test harness asks too, and when it does depends on the machine.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// Takes the place of the system's: the standard library seeds its hash maps with it, whose order would otherwise
/// differ from run to run.
#[allow(unsafe_code, reason = "the symbol of the C library can only be replaced by one of its own form")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller gives a buffer of this length, as the system call demands.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    for byte in bytes {
        let asked = ASKED.replace(ASKED.get() + 1);
        *byte = (asked.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    }
    isize::try_from(length).expect("a buffer's length")
}
