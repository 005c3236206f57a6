//! A reservation: stock that is promised to one order. It is keyed by the order's id, and every answer to
//! that key stands for ever, so that a saga may ask again as often as it likes.
use super::stock::{
    AllocatedLine, Portion, Refusal, RefusalReason, Shortage, Stock, WantedLine, allocate, pieces, portions,
};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Code, Rejection, Timestamp};
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
}

/// How far a reservation is.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// Promised until it expires.
    Held(Grant),
    /// Promised for good. The lines differ from the grant's when they had to be reserved again.
    Committed { grant: Grant, lines: Arc<[AllocatedLine]> },
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
}

/// Stock was promised: all lines of the order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StockReserved {
    /// The lines with their places.
    pub lines: Arc<[AllocatedLine]>,
    /// When the promise ends.
    pub expires_at: Timestamp,
}

/// Stock was not promised, and never will be under this key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationRefused {
    /// Why.
    pub reason: RefusalReason,
    /// The SKUs that are the reason.
    pub shortages: Arc<[Shortage]>,
    /// What was asked for; empty when a commit came without a request.
    pub wanted: Arc<[WantedLine]>,
}

/// The promise was made final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationCommitted {}

/// The reservation was given back, or must never be granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationReleased {
    /// Why, in the caller's words.
    pub reason: Arc<str>,
    /// What became free by it; empty when nothing was held.
    pub freed: Arc<[Portion]>,
}

/// The promise ran out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationExpired {
    /// What became free by it.
    pub freed: Arc<[Portion]>,
}

/// A promise that had run out was given again, because its commit came and the stock was still there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationReReserved {
    /// The lines with their places, which may be others than before.
    pub lines: Arc<[AllocatedLine]>,
}

/// The commit of a promise that had run out was refused, because the stock was gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommitRefused {
    /// What was short.
    pub shortages: Arc<[Shortage]>,
}

/// What happens to a reservation.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its struct")]
pub enum ReservationEvent {
    StockReserved(StockReserved),
    ReservationRefused(ReservationRefused),
    ReservationCommitted(ReservationCommitted),
    ReservationReleased(ReservationReleased),
    ReservationExpired(ReservationExpired),
    ReservationReReserved(ReservationReReserved),
    CommitRefused(CommitRefused),
}
stored_events!(ReservationEvent {
    StockReserved: 1,
    ReservationRefused: 1,
    ReservationCommitted: 1,
    ReservationReleased: 1,
    ReservationExpired: 1,
    ReservationReReserved: 1,
    CommitRefused: 1,
});

impl ReservationEvent {
    /// Whether it promises stock that nobody has made final yet.
    pub fn is_grant(&self) -> bool {
        matches!(self, ReservationEvent::StockReserved(_))
    }
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
}

/// How a reservation stands, as callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Promised until it expires.
    Held,
    /// Promised for good.
    Committed,
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
        let phase = std::mem::take(&mut self.phase);
        self.phase = match event {
            ReservationEvent::StockReserved(e) => {
                Phase::Held(Grant { lines: e.lines.clone(), expires_at: e.expires_at })
            }
            ReservationEvent::ReservationRefused(e) => Phase::Refused {
                refusal: Refusal { reason: e.reason, shortages: e.shortages.clone() },
                wanted: e.wanted.clone(),
            },
            ReservationEvent::ReservationCommitted(_) => phase.committed(),
            ReservationEvent::ReservationReleased(_) => Phase::Released(phase.into_grant()),
            ReservationEvent::ReservationExpired(_) => phase.granted(Phase::Expired),
            ReservationEvent::ReservationReReserved(e) => {
                phase.granted(|grant| Phase::Committed { grant, lines: e.lines.clone() })
            }
            ReservationEvent::CommitRefused(e) => {
                phase.granted(|grant| Phase::Lapsed { grant, shortages: e.shortages.clone() })
            }
        };
    }
}

impl Phase {
    fn grant(&self) -> Option<&Grant> {
        match self {
            Phase::Held(grant)
            | Phase::Expired(grant)
            | Phase::Committed { grant, .. }
            | Phase::Lapsed { grant, .. } => Some(grant),
            Phase::Released(grant) => grant.as_ref(),
            Phase::Unknown | Phase::Refused { .. } => None,
        }
    }

    fn into_grant(self) -> Option<Grant> {
        self.grant().cloned()
    }

    /// The next phase of something granted; a phase without a grant stays as it is.
    fn granted(self, next: impl FnOnce(Grant) -> Phase) -> Phase {
        match self.grant() {
            Some(grant) => next(grant.clone()),
            None => self,
        }
    }

    /// Re-reserved lines are committed already and must not be lost for the grant's.
    fn committed(self) -> Phase {
        match self {
            Phase::Held(grant) => Phase::Committed { lines: grant.lines.clone(), grant },
            Phase::Unknown
            | Phase::Committed { .. }
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Released(_)
            | Phase::Refused { .. } => self,
        }
    }
}

impl Reservation {
    /// How far it is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The lines that hold stock now.
    pub fn open_lines(&self) -> &[AllocatedLine] {
        match &self.phase {
            Phase::Held(grant) => &grant.lines,
            Phase::Committed { lines, .. } => lines,
            Phase::Unknown
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Released(_)
            | Phase::Refused { .. } => &[],
        }
    }

    /// What was granted, if anything ever was.
    pub fn grant(&self) -> Option<&Grant> {
        self.phase.grant()
    }

    /// `Reserve`: promises all lines or none. The first answer stands; other lines under the same key are
    /// a mistake of the caller and change nothing.
    pub fn reserve(
        &self,
        wanted: &Arc<[WantedLine]>,
        stock: &Stock,
        expires_at: Timestamp,
    ) -> Result<Vec<ReservationEvent>, Rejection> {
        match &self.phase {
            Phase::Unknown => Ok(vec![first_answer(wanted, stock, expires_at)]),
            Phase::Held(grant)
            | Phase::Expired(grant)
            | Phase::Committed { grant, .. }
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
            Phase::Expired(grant) => {
                let stock = stock.ok_or_else(|| {
                    Rejection::new(STOCK_NOT_READ, "the reservation expired just now; try again")
                        .code(Code::Aborted)
                })?;
                Ok(commit_expired(grant, stock))
            }
            Phase::Unknown => Ok(vec![ReservationEvent::ReservationRefused(ReservationRefused {
                reason: RefusalReason::ReservationUnknown,
                shortages: Arc::default(),
                wanted: Arc::default(),
            })]),
            Phase::Committed { .. } | Phase::Lapsed { .. } | Phase::Released(_) | Phase::Refused { .. } => {
                Ok(Vec::new())
            }
        }
    }

    /// `Release`: gives back what is held. Before any request it leaves a tombstone. Never refused: a saga
    /// that turns back must be able to.
    pub fn release(&self, reason: &str) -> Vec<ReservationEvent> {
        match &self.phase {
            Phase::Unknown | Phase::Held(_) | Phase::Committed { .. } | Phase::Expired(_) => {
                vec![ReservationEvent::ReservationReleased(ReservationReleased {
                    reason: reason.into(),
                    freed: portions(self.open_lines()),
                })]
            }
            // Nothing is held, and the refusal stands.
            Phase::Released(_) | Phase::Lapsed { .. } | Phase::Refused { .. } => Vec::new(),
        }
    }

    /// The promise's time is up. Whatever was decided before wins.
    pub fn expire(&self) -> Vec<ReservationEvent> {
        match &self.phase {
            Phase::Held(grant) => vec![ReservationEvent::ReservationExpired(ReservationExpired {
                freed: portions(&grant.lines),
            })],
            Phase::Unknown
            | Phase::Committed { .. }
            | Phase::Expired(_)
            | Phase::Lapsed { .. }
            | Phase::Released(_)
            | Phase::Refused { .. } => Vec::new(),
        }
    }

    /// The answer to `Reserve`. A grant is told as it was given, also when it was committed or ran out
    /// since: the commit settles that. Only a release overrules it, so that a late request is refused.
    pub fn reserve_answer(&self) -> Option<Answer> {
        match &self.phase {
            Phase::Held(grant)
            | Phase::Expired(grant)
            | Phase::Committed { grant, .. }
            | Phase::Lapsed { grant, .. } => Some(Answer::held(grant)),
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
            | Phase::Committed { .. }
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
            Phase::Held(grant) => Some(Answer::held(grant)),
            Phase::Committed { lines, .. } => Some(Answer::of(Status::Committed, lines.clone(), None)),
            Phase::Expired(grant) => Some(Answer::of(Status::Expired, grant.lines.clone(), None)),
            Phase::Lapsed { grant, shortages } => {
                Some(Answer::of(Status::Expired, grant.lines.clone(), Some(lapsed(shortages))))
            }
            Phase::Released(grant) => {
                let lines = grant.as_ref().map(|grant| grant.lines.clone()).unwrap_or_default();
                Some(Answer::of(Status::Released, lines, None))
            }
            Phase::Refused { refusal, .. } => {
                Some(Answer::of(Status::Refused, Arc::default(), Some(refusal.clone())))
            }
        }
    }
}

impl Answer {
    fn of(status: Status, lines: Arc<[AllocatedLine]>, refusal: Option<Refusal>) -> Self {
        Self { status, lines, expires_at: None, refusal }
    }

    fn held(grant: &Grant) -> Self {
        let held = Self::of(Status::Held, grant.lines.clone(), None);
        Self { expires_at: Some(grant.expires_at), ..held }
    }

    fn refused(reason: RefusalReason) -> Self {
        Self::of(Status::Refused, Arc::default(), Some(Refusal { reason, shortages: Arc::default() }))
    }
}

impl Grant {
    /// The lines as they were asked for: the parts of a split line are one again.
    pub fn wanted(&self) -> Arc<[WantedLine]> {
        let parts_of_a_line = self.lines.chunk_by(|one, next| one.line == next.line);
        let whole = |parts: &[AllocatedLine]| WantedLine {
            line: parts[0].line,
            sku: parts[0].sku.clone(),
            quantity: whole_quantity(parts),
        };
        parts_of_a_line.map(whole).collect()
    }

    fn covers(&self, wanted: &[WantedLine]) -> bool {
        *self.wanted() == *wanted
    }
}

fn whole_quantity(parts: &[AllocatedLine]) -> souk_contracts::terms::Quantity {
    let sum: i64 = parts.iter().map(|part| pieces(part.quantity)).sum();
    let sum = u32::try_from(sum).expect("the parts make the line's quantity");
    souk_contracts::terms::Quantity::try_new(sum).expect("the parts make the line's quantity")
}

fn first_answer(wanted: &Arc<[WantedLine]>, stock: &Stock, expires_at: Timestamp) -> ReservationEvent {
    match allocate(stock, wanted) {
        Ok(lines) => ReservationEvent::StockReserved(StockReserved { lines, expires_at }),
        Err(Refusal { reason, shortages }) => {
            let wanted = wanted.clone();
            ReservationEvent::ReservationRefused(ReservationRefused { reason, shortages, wanted })
        }
    }
}

fn commit_expired(grant: &Grant, stock: &Stock) -> Vec<ReservationEvent> {
    match allocate(stock, &grant.wanted()) {
        Ok(lines) => vec![
            ReservationEvent::ReservationReReserved(ReservationReReserved { lines }),
            ReservationEvent::ReservationCommitted(ReservationCommitted {}),
        ],
        Err(refusal) => {
            vec![ReservationEvent::CommitRefused(CommitRefused { shortages: refusal.shortages })]
        }
    }
}

fn same_or_conflict(same: bool) -> Result<Vec<ReservationEvent>, Rejection> {
    if same {
        return Ok(Vec::new());
    }
    Err(Rejection::new("RESERVATION_CONFLICT", "this reservation was asked for with other lines before"))
}
