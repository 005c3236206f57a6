//! What happens to a reservation's pieces one by one: they ship, are given back, come back, or come at last.
//! Each is asked for under an id of the caller's, and the answer to that id stands for ever, a refusal too.
use super::Reference;
use super::happened::{
    LinesReleased, ReleaseRefused, ReservationEvent, RestockLine, RestockRefused, ShipRefused,
    StockRestocked, StockShipped,
};
use super::reservation::{Phase, Reservation};
use super::stock::{AllocatedLine, Levels, RefusalReason, Stock, WantedLine, pieces};
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_kernel::Rejection;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A step that was asked for, and why it was refused if it was.
#[derive(Debug, Clone, PartialEq)]
struct Step<L> {
    lines: Arc<[L]>,
    refused: Option<RefusalReason>,
}

/// The steps of one reservation by the callers' ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Steps {
    /// All that left the house, in the order in which it did.
    shipped: Arc<[AllocatedLine]>,
    kept: Arc<Kept>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Kept {
    shipments: BTreeMap<Reference, Step<AllocatedLine>>,
    releases: BTreeMap<Reference, Step<WantedLine>>,
    /// A return may be booked line by line, so it may have several steps.
    restocks: BTreeMap<Reference, Vec<Step<RestockLine>>>,
}

impl Steps {
    pub(super) fn shipped(&self) -> &Arc<[AllocatedLine]> {
        &self.shipped
    }

    fn keep(&mut self) -> &mut Kept {
        Arc::make_mut(&mut self.kept)
    }

    fn ship(&mut self, id: &Reference, lines: &Arc<[AllocatedLine]>, refused: Option<RefusalReason>) {
        self.keep().shipments.insert(id.clone(), Step { lines: lines.clone(), refused });
    }

    fn release(&mut self, id: &Reference, lines: &Arc<[WantedLine]>, refused: Option<RefusalReason>) {
        self.keep().releases.insert(id.clone(), Step { lines: lines.clone(), refused });
    }

    fn restock(&mut self, id: &Reference, lines: &Arc<[RestockLine]>, refused: Option<RefusalReason>) {
        self.keep().restocks.entry(id.clone()).or_default().push(Step { lines: lines.clone(), refused });
    }
}

impl Reservation {
    /// Takes in what happened to its pieces.
    pub(super) fn dispatched(&mut self, event: &ReservationEvent) {
        match event {
            ReservationEvent::StockShipped(e) => {
                self.steps.ship(&e.shipment_id, &e.lines, None);
                self.steps.shipped = self.steps.shipped.iter().chain(e.lines.iter()).cloned().collect();
                self.unshipped = without(&self.unshipped, &e.lines);
            }
            ReservationEvent::LinesReleased(e) => {
                self.steps.release(&e.release_id, &e.lines, None);
                self.lines = without(&self.lines, &e.freed);
                self.unshipped = without(&self.unshipped, &e.freed);
                self.waiting = waiting_without(&self.waiting, &e.unqueued);
            }
            ReservationEvent::BackorderFilled(e) => {
                let came: Vec<WantedLine> = e.lines.iter().map(AllocatedLine::wanted).collect();
                self.lines = self.lines.iter().chain(e.lines.iter()).cloned().collect();
                self.unshipped = self.unshipped.iter().chain(e.lines.iter()).cloned().collect();
                self.waiting = waiting_without(&self.waiting, &came);
            }
            ReservationEvent::StockRestocked(e) => self.steps.restock(&e.restock_id, &e.lines, None),
            ReservationEvent::ShipRefused(e) => self.steps.ship(&e.shipment_id, &e.lines, Some(e.reason)),
            ReservationEvent::ReleaseRefused(e) => {
                self.steps.release(&e.release_id, &e.lines, Some(e.reason));
            }
            ReservationEvent::RestockRefused(e) => {
                self.steps.restock(&e.restock_id, &e.lines, Some(e.reason));
            }
            ReservationEvent::StockReserved(_)
            | ReservationEvent::ReservationRefused(_)
            | ReservationEvent::ReservationCommitted(_)
            | ReservationEvent::ReservationReleased(_)
            | ReservationEvent::ReservationExpired(_)
            | ReservationEvent::ReservationReReserved(_)
            | ReservationEvent::ReservationExtended(_)
            | ReservationEvent::CommitRefused(_) => {}
        }
    }

    /// `Ship`: pieces of a committed reservation leave the house, each from where it is promised.
    pub fn ship(
        &self,
        shipment_id: &Reference,
        lines: &Arc<[AllocatedLine]>,
    ) -> Result<Vec<ReservationEvent>, Rejection> {
        if let Some(step) = self.steps.kept.shipments.get(shipment_id) {
            return repeated(step.lines == *lines, "SHIPMENT_CONFLICT", "a shipment");
        }
        let (shipment_id, lines) = (shipment_id.clone(), lines.clone());
        Ok(vec![match self.why_not_ship(&lines) {
            None => {
                let levels = Levels::default();
                ReservationEvent::StockShipped(StockShipped { shipment_id, lines, levels })
            }
            Some(reason) => ReservationEvent::ShipRefused(ShipRefused { shipment_id, reason, lines }),
        }])
    }

    fn why_not_ship(&self, lines: &[AllocatedLine]) -> Option<RefusalReason> {
        match self.phase() {
            Phase::Committed(_) => {
                let has = counts(&self.unshipped);
                let enough = counts(lines).iter().all(|(key, n)| has.get(key).is_some_and(|has| n <= has));
                if enough { None } else { Some(RefusalReason::ExceedsReserved) }
            }
            Phase::Unknown => Some(RefusalReason::ReservationUnknown),
            Phase::Held(_) | Phase::Expired(_) | Phase::Refused { .. } => {
                Some(RefusalReason::ReservationNotCommitted)
            }
            Phase::Lapsed { .. } => Some(RefusalReason::ReservationExpired),
            Phase::Released(_) => Some(RefusalReason::ReservationReleased),
        }
    }

    /// Why this shipment was refused, if it was.
    pub fn ship_refusal(&self, shipment_id: &Reference) -> Option<RefusalReason> {
        self.steps.kept.shipments.get(shipment_id).and_then(|step| step.refused)
    }

    /// `Release` of lines: what waits goes first, then what was laid last. More than there is left is refused.
    pub fn release_lines(
        &self,
        release_id: &Reference,
        lines: &Arc<[WantedLine]>,
        reason: &str,
    ) -> Result<Vec<ReservationEvent>, Rejection> {
        if let Some(step) = self.steps.kept.releases.get(release_id) {
            return repeated(step.lines == *lines, "RELEASE_CONFLICT", "a release");
        }
        let (release_id, lines) = (release_id.clone(), lines.clone());
        Ok(vec![match self.given_up(&lines) {
            Ok((freed, unqueued)) => ReservationEvent::LinesReleased(LinesReleased {
                release_id,
                reason: reason.into(),
                lines,
                freed: freed.into(),
                unqueued: unqueued.into(),
                levels: Levels::default(),
            }),
            Err(reason) => ReservationEvent::ReleaseRefused(ReleaseRefused { release_id, reason, lines }),
        }])
    }

    fn given_up(&self, lines: &[WantedLine]) -> Result<(Vec<AllocatedLine>, Vec<WantedLine>), RefusalReason> {
        match self.phase() {
            Phase::Held(_) | Phase::Committed(_) => {}
            Phase::Unknown => return Err(RefusalReason::ReservationUnknown),
            Phase::Released(_) => return Err(RefusalReason::ReservationReleased),
            Phase::Expired(_) | Phase::Lapsed { .. } => return Err(RefusalReason::ReservationExpired),
            Phase::Refused { .. } => return Err(RefusalReason::ExceedsReserved),
        }
        let (mut freed, mut unqueued) = (Vec::new(), Vec::new());
        for line in lines {
            let mut left = pieces(line.quantity);
            let same = |other: &&WantedLine| (other.line, &other.sku) == (line.line, &line.sku);
            if let Some(waits) = self.waiting.iter().find(same) {
                let part = left.min(pieces(waits.quantity));
                left -= part;
                unqueued.extend(line.some(part));
            }
            let parts = self.unshipped.iter().rev();
            for held in parts.filter(|held| (held.line, &held.sku) == (line.line, &line.sku)) {
                let part = left.min(pieces(held.quantity));
                left -= part;
                freed.extend(held.some(part));
            }
            if left > 0 {
                return Err(RefusalReason::ExceedsReserved);
            }
        }
        Ok((freed, unqueued))
    }

    /// Why this release of lines was refused, if it was.
    pub fn release_refusal(&self, release_id: &Reference) -> Option<RefusalReason> {
        self.steps.kept.releases.get(release_id).and_then(|step| step.refused)
    }

    /// `Restock`: shipped pieces came back. Each line of a return is booked once; what is new is booked whole
    /// or refused whole.
    pub fn restock(
        &self,
        restock_id: &Reference,
        lines: &[RestockLine],
        stock: &Stock,
    ) -> Result<Vec<ReservationEvent>, Rejection> {
        let new = self.not_yet_restocked(restock_id, lines)?;
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let (restock_id, lines): (_, Arc<[RestockLine]>) = (restock_id.clone(), new.into());
        Ok(vec![match self.why_not_restock(&lines, stock) {
            None => {
                let levels = Levels::default();
                ReservationEvent::StockRestocked(StockRestocked { restock_id, lines, levels })
            }
            Some(reason) => ReservationEvent::RestockRefused(RestockRefused { restock_id, reason, lines }),
        }])
    }

    /// The lines that this return has not been asked for yet. Those that it has must be the same.
    fn not_yet_restocked(
        &self,
        restock_id: &Reference,
        lines: &[RestockLine],
    ) -> Result<Vec<RestockLine>, Rejection> {
        let steps = self.steps.kept.restocks.get(restock_id);
        let known = by_line(steps.into_iter().flatten().flat_map(|step| step.lines.iter()));
        let mut new = Vec::new();
        for (line, parts) in by_line(lines) {
            match known.get(&line) {
                None => new.extend(parts.into_iter().cloned()),
                Some(before) if *before == parts => {}
                Some(_) => repeated(false, "RESTOCK_CONFLICT", "a line of this return").map(drop)?,
            }
        }
        Ok(new)
    }

    fn why_not_restock(&self, lines: &[RestockLine], stock: &Stock) -> Option<RefusalReason> {
        if matches!(self.phase(), Phase::Unknown) {
            return Some(RefusalReason::ReservationUnknown);
        }
        let mut left: HashMap<(u32, &Sku), i64> = HashMap::new();
        for line in self.shipped().iter() {
            *left.entry((line.line, &line.sku)).or_default() += pieces(line.quantity);
        }
        let back = lines.iter().chain(self.restocked());
        back.for_each(|line| *left.entry((line.line, &line.sku)).or_default() -= pieces(line.quantity));
        if left.values().any(|left| *left < 0) {
            return Some(RefusalReason::ExceedsShipped);
        }
        let no_room = |line: &RestockLine| {
            let refused = stock.refuse_to_put(&line.sku, &line.location, pieces(line.quantity)).err()?;
            let too_many = refused.reason == RefusalReason::TooManyLocations.as_str();
            Some(if too_many { RefusalReason::TooManyLocations } else { RefusalReason::StockOverflow })
        };
        lines.iter().find_map(no_room)
    }

    /// All pieces that came back so far.
    pub fn restocked(&self) -> impl Iterator<Item = &RestockLine> {
        let steps = self.steps.kept.restocks.values().flatten();
        steps.filter(|step| step.refused.is_none()).flat_map(|step| step.lines.iter())
    }

    /// Why these lines of the return were refused, if one was.
    pub fn restock_refusal(&self, restock_id: &Reference, lines: &[RestockLine]) -> Option<RefusalReason> {
        let steps = self.steps.kept.restocks.get(restock_id)?;
        let about = |step: &&Step<RestockLine>| {
            step.lines.iter().any(|kept| lines.iter().any(|line| line.line == kept.line))
        };
        steps.iter().filter(about).find_map(|step| step.refused)
    }
}

fn repeated(same: bool, reason: &'static str, what: &str) -> Result<Vec<ReservationEvent>, Rejection> {
    if same {
        return Ok(Vec::new());
    }
    Err(Rejection::new(reason, format!("{what} with this id and other content was booked before")))
}

fn by_line<'a>(lines: impl IntoIterator<Item = &'a RestockLine>) -> BTreeMap<u32, Vec<&'a RestockLine>> {
    let mut by_line: BTreeMap<u32, Vec<&RestockLine>> = BTreeMap::new();
    for line in lines {
        by_line.entry(line.line).or_default().push(line);
    }
    by_line.values_mut().for_each(|parts| parts.sort());
    by_line
}

type Counts<'a> = HashMap<(u32, &'a Sku, &'a Location), i64>;

fn counts(lines: &[AllocatedLine]) -> Counts<'_> {
    let mut counts = Counts::new();
    for line in lines {
        *counts.entry((line.line, &line.sku, &line.location)).or_default() += pieces(line.quantity);
    }
    counts
}

/// These lines less those, the last ones first: what was laid last is given up first.
fn without(lines: &[AllocatedLine], less: &[AllocatedLine]) -> Arc<[AllocatedLine]> {
    let mut less = counts(less);
    let mut left: Vec<AllocatedLine> = Vec::with_capacity(lines.len());
    for line in lines.iter().rev() {
        let has = pieces(line.quantity);
        let part = less.get_mut(&(line.line, &line.sku, &line.location));
        let taken = part.map_or(0, |wanted| {
            let taken = has.min(*wanted);
            *wanted -= taken;
            taken
        });
        left.extend(line.some(has - taken));
    }
    left.reverse();
    left.into()
}

fn waiting_without(lines: &[WantedLine], less: &[WantedLine]) -> Arc<[WantedLine]> {
    let given_up = |line: &WantedLine| -> i64 {
        let same = less.iter().filter(|other| (other.line, &other.sku) == (line.line, &line.sku));
        same.map(|other| pieces(other.quantity)).sum()
    };
    lines.iter().filter_map(|line| line.some(pieces(line.quantity) - given_up(line))).collect()
}

impl AllocatedLine {
    fn wanted(&self) -> WantedLine {
        WantedLine { line: self.line, sku: self.sku.clone(), quantity: self.quantity }
    }

    fn some(&self, part: i64) -> Option<Self> {
        Some(Self { quantity: Quantity::try_new(part).ok()?, ..self.clone() })
    }
}

impl WantedLine {
    /// So many pieces of it; none when that is none.
    pub(super) fn some(&self, part: i64) -> Option<Self> {
        Some(Self { quantity: Quantity::try_new(part).ok()?, ..self.clone() })
    }
}
