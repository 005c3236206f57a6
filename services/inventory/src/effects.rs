//! What inventory does by itself: it ends promises whose time is up, and finds out who holds a shelf. It calls
//! nobody. Besides, how a decision about stock is made: with what it reads, and with what follows from it.
use crate::domain::{MovesStock, Reservation, ReservationEvent, SkuTerms, Stock, settle, stock_not_read};
use crate::views;
use souk_contracts::terms::{Location, OrderId, Sku};
use souk_eventstore::{
    CommitError, CommitId, Decision, EventStore, Expected, Facts, Fault, Origin, Position, StreamId, Timer,
    Work,
};
use souk_kernel::{Rejection, Timestamp};
use std::collections::HashSet;

/// The kind of the timers that end promises.
pub const EXPIRY: &str = "reservation_expiry";
/// How many events one look back into the log reads.
const LOOK_BACK: u64 = 2_000;
/// How far back holders of a shelf are looked for, in such looks.
const LOOKS_MAX: usize = 200;
/// How many holders of a shelf are named at most.
const HOLDERS_MAX: usize = 100;

/// The key of the timer that ends a reservation's promise.
pub fn expiry_key(order: OrderId) -> String {
    format!("{EXPIRY}/{order}")
}

/// The timer that ends the promise at `due`. One that was made to last longer has another generation.
pub fn expiry(order: OrderId, due: Timestamp, extensions: u64) -> Timer {
    Timer {
        key: expiry_key(order).into(),
        kind: EXPIRY.into(),
        due,
        generation: extensions + 1,
        payload: order.to_string(),
    }
}

/// A timer is due: ends the promise unless it was committed or released before. The commit that is first in
/// the sequencer wins; the other finds the timer gone, or the promise ended.
pub async fn expire(store: EventStore, timer: Timer) -> Result<(), CommitError> {
    let stream = StreamId::of::<Reservation>(&timer.payload);
    let id = CommitId::derived(&["expire", &timer.key, &timer.generation.to_string()]);
    let work = Work::new(id, Origin::by("svc:inventory").causation(timer.key.clone()));
    // A reservation that has a timer was granted, and is never about other SKUs.
    let seen = store.state::<Reservation>(&stream).await.map_err(CommitError::Fault)?;
    let own = timer.payload.parse().ok();
    let (work, shelves) = with_queue(work.read::<Reservation>(&stream), seen.skus());
    let work = work.decide(move |facts, _| {
        let events = facts.state::<Reservation>(&stream).expire();
        let fired = Decision::new().timer_fired(timer.key.clone(), timer.generation);
        Ok(settled(fired, &stream, own, &mut shelves.stock(facts), events))
    });
    store.commit(work).await.map(|_| ())
}

/// A decision about a reservation that holds shelves, and what follows from it. When it was granted between the
/// look at it and the decision, its shelves were not read.
pub fn decided(
    reservation: &Reservation,
    order: OrderId,
    stock: &mut Stock,
    decide: impl FnOnce(&Reservation, &Stock) -> Result<Vec<ReservationEvent>, Rejection>,
) -> Result<Decision, Rejection> {
    if reservation.skus().any(|sku| !stock.knows(sku)) {
        return Err(stock_not_read());
    }
    let events = decide(reservation, stock)?;
    let gives_up = events.iter().any(ReservationEvent::is_release);
    let decision = settled(Decision::new(), &StreamId::of::<Reservation>(order), Some(order), stock, events);
    Ok(if gives_up { decision.cancel_timer(expiry_key(order)) } else { decision })
}

/// Adds the events to the decision, with all that follows from them in the same commit.
pub fn settled<E: MovesStock>(
    decision: Decision,
    stream: &StreamId,
    own: Option<OrderId>,
    stock: &mut Stock,
    mut events: Vec<E>,
) -> Decision {
    let aftermath = settle(stock, own, &mut events);
    let mut decision = decision.append(stream, Expected::Any, events);
    for (order, event) in aftermath.served {
        decision = decision.append(StreamId::of::<Reservation>(order), Expected::Any, vec![event]);
    }
    for (sku, event) in aftermath.low {
        decision = decision.append(StreamId::of::<SkuTerms>(sku), Expected::Any, vec![event]);
    }
    decision
}

/// The shelves that a piece of work reads: so many statements, each under its own label; and whether it reads
/// who waits, too.
#[derive(Clone, Copy)]
pub struct Shelves {
    statements: usize,
    queue: bool,
}

fn label(what: &str, statement: usize) -> String {
    format!("{what}/{statement}")
}

/// Lets the work read the shelves of these SKUs: for what only takes from them.
pub fn with_shelves<'a>(mut work: Work, skus: impl IntoIterator<Item = &'a Sku>) -> (Work, Shelves) {
    let mut statements = 0;
    for statement in views::shelves(skus) {
        work = work.rows(label("shelves", statements), statement);
        statements += 1;
    }
    (work, Shelves { statements, queue: false })
}

/// Lets the work read the shelves of these SKUs and who waits for them: for what may bring something.
pub fn with_queue<'a>(work: Work, skus: impl IntoIterator<Item = &'a Sku>) -> (Work, Shelves) {
    let skus: Vec<&Sku> = skus.into_iter().collect();
    let (mut work, shelves) = with_shelves(work, skus.iter().copied());
    for (statement, waiting) in views::waiting(skus).into_iter().enumerate() {
        work = work.rows(label("queue", statement), waiting);
    }
    (work, Shelves { queue: true, ..shelves })
}

impl Shelves {
    /// What was read.
    pub fn stock(self, facts: &Facts) -> Stock {
        let mut stock =
            views::stock((0..self.statements).flat_map(|statement| facts.rows(&label("shelves", statement))));
        if self.queue {
            let rows = (0..self.statements).flat_map(|statement| facts.rows(&label("queue", statement)));
            rows.for_each(|row| stock.put_waiting(views::waiting_row(row)));
        }
        stock
    }
}

/// Who holds pieces on this shelf, the youngest first, as many as it takes to hold so many. The log is read
/// from its end, because what is promised was promised lately; whoever was promised theirs long ago is not
/// found, and is not among the youngest.
pub async fn youngest_holders(
    store: &EventStore,
    sku: &Sku,
    location: &Location,
    pieces: i64,
) -> Result<Vec<OrderId>, Fault> {
    let (mut holders, mut seen, mut held) = (Vec::new(), HashSet::new(), 0);
    let mut before = store.head().borrow().get();
    for _ in 0..LOOKS_MAX {
        let from = before.saturating_sub(LOOK_BACK);
        let size = usize::try_from(before - from).unwrap_or(usize::MAX);
        let page = store.read_log(Position::from(from), size).await?;
        for recorded in page.iter().rev().filter(|recorded| views::promises(recorded, sku, location)) {
            let Ok(order) = recorded.stream.id().parse::<OrderId>() else { continue };
            if held >= pieces || holders.len() >= HOLDERS_MAX {
                return Ok(holders);
            }
            if seen.insert(order) {
                let holds = store.state::<Reservation>(&recorded.stream).await?.holds(sku, location);
                held += holds;
                holders.extend((holds > 0).then_some(order));
            }
        }
        before = from;
        if before == 0 {
            break;
        }
    }
    Ok(holders)
}
