//! A reservation: stock that is promised to one order. It is keyed by the order's id, and every answer to
//! that key stands for ever, so that a saga may ask again as often as it likes. What happens after the commit
//! (shipping, returns, partial releases) is decided in `dispatch`.
use super::allocation::{Allocation, Policy, allocate};
use super::dispatch::Steps;
use super::happened::{
    CommitRefused, ReservationCommitted, ReservationEvent, ReservationExpired, ReservationExtended,
    ReservationReReserved, ReservationRefused, ReservationReleased, StockReserved,
};
use super::stock::{
    AllocatedLine, Levels, Refusal, RefusalReason, Shortage, Stock, WantedLine, pieces, portions,
};
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_decider::Aggregate;
use souk_kernel::{Code, Rejection, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// The internal reason of [`Reservation::commit`] when it must see the shelves and was not shown them.
pub const STOCK_NOT_READ: &str = "STOCK_NOT_READ";

/// What was promised at first. This is the answer to `Reserve`, whatever became of it since.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The lines with their places.
    pub lines: Arc<[AllocatedLine]>,
    /// When the promise ends unless it is committed before.
    pub expires_at: Timestamp,
    /// What was asked for, when that is more than the lines.
    asked: Arc<[WantedLine]>,
    /// The SKUs of which less was granted than wanted.
    pub shortages: Arc<[Shortage]>,
    /// What was sold although it was not there.
    pub backordered: Arc<[WantedLine]>,
}

/// How far a reservation is.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// Promised until it expires.
    Held(Grant),
    /// Promised for good.
    Committed(Grant),
    /// The promise ran out and the stock went back. A commit may still find it again.
    Expired(Grant),
    /// A commit came after the promise ran out and did not find the stock again. This is final.
    Lapsed { grant: Grant, shortages: Arc<[Shortage]> },
    /// Given back. Without a grant it is a tombstone: the release overtook the request.
    Released(Option<Grant>),
    /// Never promised, and never will be.
    Refused { refusal: Refusal, wanted: Arc<[WantedLine]> },
}

/// The state of one reservation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reservation {
    phase: Phase,
    /// What it has: what was granted and what came for it later, less what was given back.
    pub(super) lines: Arc<[AllocatedLine]>,
    /// Its lines that have not shipped.
    pub(super) unshipped: Arc<[AllocatedLine]>,
    /// What it waits for.
    pub(super) waiting: Arc<[WantedLine]>,
    /// When the promise ends, when it was made to last longer.
    extended: Option<Extended>,
    /// What was shipped, given back in part and brought back, by the callers' ids.
    pub(super) steps: Steps,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Extended {
    expires_at: Timestamp,
    times: u64,
}

/// What a caller is told about a reservation.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// How it stands.
    pub status: Status,
    /// The lines with their places, when stock is or was promised.
    pub lines: Arc<[AllocatedLine]>,
    /// While held: when the promise ends.
    pub expires_at: Option<Timestamp>,
    /// Why not, when the answer is no.
    pub refusal: Option<Refusal>,
    /// The SKUs of which less was granted than wanted.
    pub shortages: Arc<[Shortage]>,
    /// What is sold and not there yet.
    pub backordered: Arc<[WantedLine]>,
    /// What left the house so far.
    pub shipped: Arc<[AllocatedLine]>,
}

/// How a reservation stands, as callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Promised until it expires.
    Held,
    /// Promised for good.
    Committed,
    /// Some of it left the house.
    PartiallyShipped,
    /// All that was not given back left the house.
    Shipped,
    /// Given back.
    Released,
    /// The promise ran out.
    Expired,
    /// Not promised.
    Refused,
}

impl Aggregate for Reservation {
    type Event = ReservationEvent;
    const CATEGORY: &'static str = "reservation";

    fn evolve(&mut self, event: &ReservationEvent) {
        match event {
            ReservationEvent::StockReserved(e) => {
                self.has(&e.lines, &e.backordered);
                self.phase = Phase::Held(Grant::of(e));
            }
            ReservationEvent::ReservationRefused(e) => {
                let refusal = Refusal { reason: e.reason, shortages: e.shortages.clone() };
                self.phase = Phase::Refused { refusal, wanted: e.wanted.clone() };
            }
            ReservationEvent::ReservationCommitted(_) => self.granted(Phase::Committed),
            ReservationEvent::ReservationReleased(_) => {
                self.phase = Phase::Released(self.phase.grant().cloned());
            }
            ReservationEvent::ReservationExpired(_) => self.granted(Phase::Expired),
            ReservationEvent::ReservationReReserved(e) => {
                self.has(&e.lines, &e.backordered);
                self.granted(Phase::Committed);
            }
            ReservationEvent::CommitRefused(e) => {
                self.granted(|grant| Phase::Lapsed { grant, shortages: e.shortages.clone() });
            }
            ReservationEvent::ReservationExtended(e) => {
                let times = self.extensions() + 1;
                self.extended = Some(Extended { expires_at: e.expires_at, times });
            }
            ReservationEvent::BackorderFilled(_)
            | ReservationEvent::StockShipped(_)
            | ReservationEvent::ShipRefused(_)
            | ReservationEvent::LinesReleased(_)
            | ReservationEvent::ReleaseRefused(_)
            | ReservationEvent::StockRestocked(_)
            | ReservationEvent::RestockRefused(_) => {
                self.dispatched(event);
                if self.is_empty_handed() {
                    self.granted(|grant| Phase::Released(Some(grant)));
                }
            }
        }
    }
}

impl Phase {
    fn grant(&self) -> Option<&Grant> {
        match self {
            Phase::Held(grant)
            | Phase::Committed(grant)
            | Phase::Expired(grant)
            | Phase::Lapsed { grant, .. } => Some(grant),
            Phase::Released(grant) => grant.as_ref(),
            Phase::Unknown | Phase::Refused { .. } => None,
        }
    }
}

impl Reservation {
    /// How far it is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The next phase of something granted; a phase without a grant stays as it is.
    fn granted(&mut self, next: impl FnOnce(Grant) -> Phase) {
        if let Some(grant) = self.phase.grant() {
            self.phase = next(grant.clone());
        }
    }

    fn has(&mut self, lines: &Arc<[AllocatedLine]>, waiting: &Arc<[WantedLine]>) {
        (self.lines, self.unshipped) = (lines.clone(), lines.clone());
        self.waiting = waiting.clone();
    }

    /// Whether its stock is promised now.
    pub(super) fn is_open(&self) -> bool {
        match &self.phase {
            Phase::Held(_) | Phase::Committed(_) => true,
            Phase::Unknown
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Released(_)
            | Phase::Refused { .. } => false,
        }
    }

    /// Whether all was given back, line by line.
    fn is_empty_handed(&self) -> bool {
        self.is_open() && self.lines.is_empty() && self.waiting.is_empty()
    }

    /// Whether all that was not given back has left the house.
    fn is_shipped(&self) -> bool {
        self.unshipped.is_empty() && self.waiting.is_empty() && !self.steps.shipped().is_empty()
    }

    /// The lines that hold stock now.
    pub fn open_lines(&self) -> &[AllocatedLine] {
        if self.is_open() { &self.unshipped } else { &[] }
    }

    /// The lines that wait for stock now.
    pub fn waiting_lines(&self) -> &[WantedLine] {
        if self.is_open() { &self.waiting } else { &[] }
    }

    /// How many pieces of this shelf it holds now.
    pub fn holds(&self, sku: &Sku, location: &Location) -> i64 {
        let there = self.open_lines().iter().filter(|line| (&line.sku, &line.location) == (sku, location));
        there.map(|line| pieces(line.quantity)).sum()
    }

    /// What left the house so far.
    pub fn shipped(&self) -> &Arc<[AllocatedLine]> {
        self.steps.shipped()
    }

    /// What was granted, if anything ever was.
    pub fn grant(&self) -> Option<&Grant> {
        self.phase.grant()
    }

    /// Every SKU that it was ever about; the shelves of these are all that its decisions need.
    pub fn skus(&self) -> impl Iterator<Item = &Sku> {
        let grant = self.grant();
        let lines = grant.into_iter().flat_map(|grant| grant.lines.iter()).map(|line| &line.sku);
        lines.chain(grant.into_iter().flat_map(|grant| grant.backordered.iter()).map(|line| &line.sku))
    }

    /// How often its promise was made to last longer.
    pub fn extensions(&self) -> u64 {
        self.extended.map_or(0, |extended| extended.times)
    }

    /// When the promise ends as things are.
    fn expires_at(&self, grant: &Grant) -> Timestamp {
        self.extended.map_or(grant.expires_at, |extended| extended.expires_at)
    }

    /// `Reserve`: promises all lines or none, or what the policy allows. The first answer stands; other lines
    /// under the same key are a mistake of the caller and change nothing.
    pub fn reserve(
        &self,
        wanted: &Arc<[WantedLine]>,
        policy: Policy,
        stock: &Stock,
        expires_at: Timestamp,
    ) -> Result<Vec<ReservationEvent>, Rejection> {
        match &self.phase {
            Phase::Unknown => Ok(vec![first_answer(wanted, policy, stock, expires_at)]),
            Phase::Held(grant)
            | Phase::Expired(grant)
            | Phase::Committed(grant)
            | Phase::Lapsed { grant, .. }
            | Phase::Released(Some(grant)) => same_or_conflict(grant.covers(wanted)),
            Phase::Released(None) => Ok(Vec::new()),
            Phase::Refused { wanted: before, .. } => {
                let is_tombstone = before.is_empty();
                same_or_conflict(is_tombstone || before == wanted)
            }
        }
    }

    /// `Commit`: makes the promise final. One that ran out is promised again in the same decision if the
    /// stock is there; for that it must see the shelves, else it is rejected with [`STOCK_NOT_READ`].
    pub fn commit(&self, stock: Option<&Stock>) -> Result<Vec<ReservationEvent>, Rejection> {
        match &self.phase {
            Phase::Held(_) => Ok(vec![ReservationEvent::ReservationCommitted(ReservationCommitted {})]),
            Phase::Expired(_) => Ok(self.commit_expired(stock.ok_or_else(stock_not_read)?)),
            Phase::Unknown => Ok(vec![ReservationEvent::ReservationRefused(ReservationRefused {
                reason: RefusalReason::ReservationUnknown,
                shortages: Arc::default(),
                wanted: Arc::default(),
            })]),
            Phase::Committed(_) | Phase::Lapsed { .. } | Phase::Released(_) | Phase::Refused { .. } => {
                Ok(Vec::new())
            }
        }
    }

    /// What it had and what it waited for when it ran out is asked for again. Only one that waited may wait.
    fn commit_expired(&self, stock: &Stock) -> Vec<ReservationEvent> {
        let policy = if self.waiting.is_empty() { Policy::AllOrNothing } else { Policy::Backorder };
        match allocate(stock, &whole_lines(&self.lines, &self.waiting), policy) {
            Ok(Allocation { lines, backordered, .. }) => vec![
                ReservationEvent::ReservationReReserved(ReservationReReserved {
                    lines,
                    backordered,
                    levels: Levels::default(),
                }),
                ReservationEvent::ReservationCommitted(ReservationCommitted {}),
            ],
            Err(refusal) => {
                vec![ReservationEvent::CommitRefused(CommitRefused { shortages: refusal.shortages })]
            }
        }
    }

    /// `Release`: gives back what has not shipped. Before any request it leaves a tombstone. Never refused: a
    /// saga that turns back must be able to.
    pub fn release(&self, reason: &str) -> Vec<ReservationEvent> {
        match &self.phase {
            Phase::Committed(_) if self.is_shipped() => Vec::new(),
            Phase::Unknown | Phase::Held(_) | Phase::Committed(_) | Phase::Expired(_) => {
                vec![ReservationEvent::ReservationReleased(ReservationReleased {
                    reason: reason.into(),
                    freed: portions(self.open_lines()),
                    unqueued: self.waiting_lines().into(),
                    levels: Levels::default(),
                })]
            }
            // Nothing is held, and the refusal stands.
            Phase::Released(_) | Phase::Lapsed { .. } | Phase::Refused { .. } => Vec::new(),
        }
    }

    /// The promise's time is up. Whatever was decided before wins.
    pub fn expire(&self) -> Vec<ReservationEvent> {
        match &self.phase {
            Phase::Held(_) => vec![ReservationEvent::ReservationExpired(ReservationExpired {
                freed: portions(&self.unshipped),
                unqueued: self.waiting.clone(),
                levels: Levels::default(),
            })],
            Phase::Unknown
            | Phase::Committed(_)
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Released(_)
            | Phase::Refused { .. } => Vec::new(),
        }
    }

    /// `ExtendReservation`: a held promise lasts at least until then. It never gets shorter, and what is no
    /// longer held stays as it is: the answer tells.
    pub fn extend(&self, until: Timestamp) -> Result<Vec<ReservationEvent>, Rejection> {
        match &self.phase {
            Phase::Held(grant) if self.expires_at(grant) < until => {
                let extended = ReservationExtended { expires_at: until };
                Ok(vec![ReservationEvent::ReservationExtended(extended)])
            }
            Phase::Unknown => Err(Rejection::new("RESERVATION_UNKNOWN", "there is nothing to extend")),
            Phase::Held(_)
            | Phase::Committed(_)
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Released(_)
            | Phase::Refused { .. } => Ok(Vec::new()),
        }
    }

    /// The answer to `Reserve`. A grant is told as it was given, also when it was committed or ran out
    /// since: the commit settles that. Only a release overrules it, so that a late request is refused.
    pub fn reserve_answer(&self) -> Option<Answer> {
        match &self.phase {
            Phase::Held(grant)
            | Phase::Expired(grant)
            | Phase::Committed(grant)
            | Phase::Lapsed { grant, .. } => Some(Answer::granted(grant)),
            Phase::Released(_) => Some(Answer::refused(RefusalReason::ReservationReleased)),
            Phase::Unknown | Phase::Refused { .. } => self.current(),
        }
    }

    /// The answer to `Commit`: committed, or why it cannot be.
    pub fn commit_answer(&self) -> Option<Answer> {
        match &self.phase {
            Phase::Released(_) => Some(Answer::refused(RefusalReason::ReservationReleased)),
            Phase::Unknown
            | Phase::Held(_)
            | Phase::Committed(_)
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Refused { .. } => self.current(),
        }
    }

    /// How it stands now; `None` when there is no such reservation.
    pub fn current(&self) -> Option<Answer> {
        let lapsed = |shortages: &Arc<[Shortage]>| Refusal {
            reason: RefusalReason::ReservationExpired,
            shortages: shortages.clone(),
        };
        match &self.phase {
            Phase::Unknown => None,
            Phase::Held(grant) => {
                let expires_at = Some(self.expires_at(grant));
                Some(Answer { expires_at, ..self.answer(Status::Held, Some(grant)) })
            }
            Phase::Committed(grant) => Some(self.answer(self.progress(), Some(grant))),
            Phase::Expired(grant) => Some(Answer::of(Status::Expired, grant.lines.clone(), None)),
            Phase::Lapsed { grant, shortages } => {
                Some(Answer::of(Status::Expired, grant.lines.clone(), Some(lapsed(shortages))))
            }
            Phase::Released(grant) => {
                let lines = grant.as_ref().map(|grant| grant.lines.clone()).unwrap_or_default();
                let released = Answer::of(Status::Released, lines, None);
                Some(Answer { shipped: self.shipped().clone(), ..released })
            }
            Phase::Refused { refusal, .. } => {
                Some(Answer::of(Status::Refused, Arc::default(), Some(refusal.clone())))
            }
        }
    }

    fn progress(&self) -> Status {
        match (self.shipped().is_empty(), self.is_shipped()) {
            (true, true | false) => Status::Committed,
            (false, true) => Status::Shipped,
            (false, false) => Status::PartiallyShipped,
        }
    }

    fn answer(&self, status: Status, grant: Option<&Grant>) -> Answer {
        Answer {
            shortages: grant.map(|grant| grant.shortages.clone()).unwrap_or_default(),
            backordered: self.waiting.clone(),
            shipped: self.shipped().clone(),
            ..Answer::of(status, self.lines.clone(), None)
        }
    }
}

impl Answer {
    fn of(status: Status, lines: Arc<[AllocatedLine]>, refusal: Option<Refusal>) -> Self {
        let (shortages, backordered, shipped) = (Arc::default(), Arc::default(), Arc::default());
        Self { status, lines, expires_at: None, refusal, shortages, backordered, shipped }
    }

    fn granted(grant: &Grant) -> Self {
        Self {
            expires_at: Some(grant.expires_at),
            shortages: grant.shortages.clone(),
            backordered: grant.backordered.clone(),
            ..Self::of(Status::Held, grant.lines.clone(), None)
        }
    }

    /// No, for this reason.
    pub fn refused(reason: RefusalReason) -> Self {
        Self::of(Status::Refused, Arc::default(), Some(Refusal { reason, shortages: Arc::default() }))
    }
}

impl Grant {
    fn of(event: &StockReserved) -> Self {
        let StockReserved { lines, expires_at, wanted, shortages, backordered, .. } = event.clone();
        Self { lines, expires_at, asked: wanted, shortages, backordered }
    }

    /// The lines as they were asked for: the parts of a split line are one again.
    pub fn wanted(&self) -> Arc<[WantedLine]> {
        if self.asked.is_empty() { whole_lines(&self.lines, &[]) } else { self.asked.clone() }
    }

    fn covers(&self, wanted: &[WantedLine]) -> bool {
        *self.wanted() == *wanted
    }
}

/// The lines that these are parts of, in the order in which they are first named.
fn whole_lines(parts: &[AllocatedLine], waiting: &[WantedLine]) -> Arc<[WantedLine]> {
    let parts = parts.iter().map(|part| (part.line, &part.sku, part.quantity));
    let all = parts.chain(waiting.iter().map(|line| (line.line, &line.sku, line.quantity)));
    let mut whole: Vec<(u32, &Sku, i64)> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    for (line, sku, quantity) in all {
        let place = *places.entry(line).or_insert(whole.len());
        if place == whole.len() {
            whole.push((line, sku, 0));
        }
        whole[place].2 += pieces(quantity);
    }
    let line = |(line, sku, sum): (u32, &Sku, i64)| WantedLine {
        line,
        sku: sku.clone(),
        quantity: Quantity::try_new(sum).expect("the parts make the line's quantity"),
    };
    whole.into_iter().map(line).collect()
}

fn first_answer(
    wanted: &Arc<[WantedLine]>,
    policy: Policy,
    stock: &Stock,
    expires_at: Timestamp,
) -> ReservationEvent {
    match allocate(stock, wanted, policy) {
        Ok(Allocation { lines, shortages, backordered }) => {
            let is_all = shortages.is_empty() && backordered.is_empty();
            ReservationEvent::StockReserved(StockReserved {
                lines,
                expires_at,
                wanted: if is_all { Arc::default() } else { wanted.clone() },
                shortages,
                backordered,
                levels: Levels::default(),
            })
        }
        Err(Refusal { reason, shortages }) => {
            let wanted = wanted.clone();
            ReservationEvent::ReservationRefused(ReservationRefused { reason, shortages, wanted })
        }
    }
}

fn same_or_conflict(same: bool) -> Result<Vec<ReservationEvent>, Rejection> {
    if same {
        return Ok(Vec::new());
    }
    Err(Rejection::new("RESERVATION_CONFLICT", "this reservation was asked for with other lines before"))
}

/// The reservation moved on between the look at it and the decision: the caller looks again.
pub fn stock_not_read() -> Rejection {
    Rejection::new(STOCK_NOT_READ, "the reservation changed just now; try again").code(Code::Aborted)
}
