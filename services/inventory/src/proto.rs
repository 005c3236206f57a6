//! Messages to rules and back. A request that cannot be read names all its faulty fields at once.
use crate::domain::{
    Adjust, AllocatedLine, Answer, Count, Counted, Country, Grade, Level, LocationPut, ON_HAND_MAX, Policy,
    Receive, ReceivedLine, Reference, Refusal, RefusalReason, RestockLine, Shortage, ShortfallResolved,
    Stock, StockAdjusted, StockTransferred, Terms, Transfer, Verdict, WantedLine,
};
use souk_contracts::inventory::v1 as pb;
use souk_contracts::terms::{Location, OrderId, Quantity, Sku};
use souk_kernel::{Error, Invalid, PageToken, Timestamp};
use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The most SKUs that one question about levels may name.
pub const SKUS_MAX: usize = 500;
/// The most lines of a reservation.
pub const LINES_MAX: usize = 2_000;
/// The longest promise, in seconds.
pub const TTL_S_MAX: u32 = 86_400;
/// The most lines of a shipment: those of an order, each in a few parts.
pub const SHIPPED_LINES_MAX: usize = 4_000;
/// The most pieces of a SKU that may be sold before they are there. Each may be another order's, and one
/// decision serves them all.
pub const BACKORDER_MAX: i64 = 1_000;
/// The last priority.
pub const PRIORITY_MAX: u32 = 1_000_000;
/// The most SKUs that one watcher may name.
pub const WATCHED_MAX: usize = 100;
/// The most lines of a receipt.
pub const RECEIPT_LINES_MAX: usize = 5_000;
/// The most corrections of one call.
pub const ADJUSTMENTS_MAX: usize = 1_000;
/// The most pieces that one line of a receipt may bring.
pub const RECEIVED_MAX: i64 = 1_000_000_000;
/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// How many movements a page has when nobody says.
pub const PAGE_DEFAULT: u32 = 50;
/// The most movements of one page.
pub const PAGE_MAX: u32 = 200;

/// The wish for stock, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    /// The order that the stock is for.
    pub order: OrderId,
    /// What it needs.
    pub lines: Arc<[WantedLine]>,
    /// How long the promise shall hold.
    pub ttl: Duration,
    /// What to do when there is less.
    pub policy: Policy,
}

/// The wish to give something back, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Release {
    /// All that has not shipped.
    All,
    /// Some lines, once under this id.
    Lines {
        /// The caller's id.
        release_id: Reference,
        /// Which.
        lines: Arc<[WantedLine]>,
    },
}

/// The SKUs whose levels are asked for, as often and in the order as they are named.
pub fn skus(request: &pb::GetAvailabilityRequest) -> Result<Vec<Sku>, Invalid> {
    let mut invalid = Invalid::new();
    within(&mut invalid, "skus", request.skus.len(), 1..=SKUS_MAX);
    let named = request.skus.iter().take(SKUS_MAX).enumerate();
    let skus = named.filter_map(|(i, sku)| invalid.take(format!("skus[{i}]"), Sku::try_new(sku))).collect();
    invalid.finish(Some(skus))
}

/// Reads the wish for stock.
pub fn reserve(request: &pb::ReserveRequest) -> Result<Reserve, Invalid> {
    let mut invalid = Invalid::new();
    let order = invalid.take("reservationId", request.reservation_id.parse());
    let lines = wanted_lines(&mut invalid, &request.lines);
    let ttl = ttl(&mut invalid, request.ttl_s);
    let policy = match pb::ReservePolicy::try_from(request.policy) {
        Ok(pb::ReservePolicy::Unspecified | pb::ReservePolicy::AllOrNothing) => Policy::AllOrNothing,
        Ok(pb::ReservePolicy::Partial) => Policy::Partial,
        Ok(pb::ReservePolicy::Backorder) => Policy::Backorder,
        Err(_) => {
            invalid.add("policy", UNKNOWN_VALUE);
            Policy::AllOrNothing
        }
    };
    let reserve = order.map(|order| Reserve { order, lines, ttl, policy });
    invalid.finish(reserve)
}

const UNKNOWN_VALUE: &str = "must be one of the contract's values";

fn ttl(invalid: &mut Invalid, ttl_s: u32) -> Duration {
    if !(1..=TTL_S_MAX).contains(&ttl_s) {
        invalid.add("ttlS", format!("must be between 1 and {TTL_S_MAX}"));
    }
    Duration::from_secs(ttl_s.into())
}

/// Reads the wish to keep a promise for longer.
pub fn extend(request: &pb::ExtendReservationRequest) -> Result<(OrderId, Duration), Invalid> {
    let mut invalid = Invalid::new();
    let order = invalid.take("reservationId", request.reservation_id.parse());
    let ttl = ttl(&mut invalid, request.ttl_s);
    invalid.finish(order.map(|order| (order, ttl)))
}

/// Reads what shall be given back. An id without lines means nothing, and everything is given back.
pub fn release(request: &pb::ReleaseRequest) -> Result<(OrderId, Release), Invalid> {
    let mut invalid = Invalid::new();
    let order = invalid.take("reservationId", request.reservation_id.parse());
    if request.lines.is_empty() {
        return invalid.finish(order.map(|order| (order, Release::All)));
    }
    let lines = wanted_lines(&mut invalid, &request.lines);
    let release_id = invalid.take("releaseId", Reference::try_new(&request.release_id));
    let read = order.zip(release_id);
    invalid.finish(read.map(|(order, release_id)| (order, Release::Lines { release_id, lines })))
}

/// A shipment or a return: the order, the caller's id and what is in it.
pub type Parcel<L> = (OrderId, Reference, Arc<[L]>);

/// Reads what leaves the house.
pub fn ship(request: &pb::ShipRequest) -> Result<Parcel<AllocatedLine>, Invalid> {
    let mut invalid = Invalid::new();
    let order = invalid.take("reservationId", request.reservation_id.parse());
    let shipment_id = invalid.take("shipmentId", Reference::try_new(&request.shipment_id));
    within(&mut invalid, "lines", request.lines.len(), 1..=SHIPPED_LINES_MAX);
    let mut lines = Vec::with_capacity(request.lines.len().min(SHIPPED_LINES_MAX));
    for (i, line) in request.lines.iter().take(SHIPPED_LINES_MAX).enumerate() {
        let numbered = line_number(&mut invalid, i, line.line);
        let sku = invalid.take_at(|| format!("lines[{i}].sku"), Sku::try_new(&line.sku));
        let quantity = invalid.take_at(|| format!("lines[{i}].quantity"), Quantity::try_new(line.quantity));
        let location = invalid.take_at(|| format!("lines[{i}].location"), Location::try_new(&line.location));
        if let (Some(line), Some(sku), Some(quantity), Some(location)) = (numbered, sku, quantity, location) {
            lines.push(AllocatedLine { line, sku, quantity, location });
        }
    }
    let read = order.zip(shipment_id);
    invalid.finish(read.map(|(order, shipment_id)| (order, shipment_id, lines.into())))
}

/// Reads what came back.
pub fn restock(request: &pb::RestockRequest) -> Result<Parcel<RestockLine>, Invalid> {
    let mut invalid = Invalid::new();
    let restock_id = invalid.take("restockId", Reference::try_new(&request.restock_id));
    let order = invalid.take("reservationId", request.reservation_id.parse());
    within(&mut invalid, "lines", request.lines.len(), 1..=LINES_MAX);
    let mut lines = Vec::with_capacity(request.lines.len().min(LINES_MAX));
    for (i, line) in request.lines.iter().take(LINES_MAX).enumerate() {
        let numbered = line_number(&mut invalid, i, line.line);
        let sku = invalid.take_at(|| format!("lines[{i}].sku"), Sku::try_new(&line.sku));
        let quantity = invalid.take_at(|| format!("lines[{i}].quantity"), Quantity::try_new(line.quantity));
        let location = invalid.take_at(|| format!("lines[{i}].location"), Location::try_new(&line.location));
        let grade = invalid.take_at(|| format!("lines[{i}].grade"), grade(line.grade));
        let what = numbered.zip(sku).zip(quantity);
        if let (Some(((line, sku), quantity)), Some(location), Some(grade)) = (what, location, grade) {
            lines.push(RestockLine { line, sku, quantity, location, grade });
        }
    }
    let read = order.zip(restock_id);
    invalid.finish(read.map(|(order, restock_id)| (order, restock_id, lines.into())))
}

fn line_number(invalid: &mut Invalid, i: usize, line: u32) -> Option<u32> {
    let numbered = if line == 0 { Err("must be at least 1") } else { Ok(line) };
    invalid.take_at(|| format!("lines[{i}].line"), numbered)
}

fn grade(grade: i32) -> Result<Grade, &'static str> {
    match pb::Grade::try_from(grade) {
        Ok(pb::Grade::A) => Ok(Grade::A),
        Ok(pb::Grade::B) => Ok(Grade::B),
        Ok(pb::Grade::Damaged) => Ok(Grade::Damaged),
        Ok(pb::Grade::Unspecified) | Err(_) => Err(UNKNOWN_VALUE),
    }
}

fn wanted_lines(invalid: &mut Invalid, lines: &[pb::StockLine]) -> Arc<[WantedLine]> {
    within(invalid, "lines", lines.len(), 1..=LINES_MAX);
    let mut numbers = HashSet::with_capacity(lines.len().min(LINES_MAX));
    let mut read = Vec::with_capacity(lines.len().min(LINES_MAX));
    for (i, line) in lines.iter().take(LINES_MAX).enumerate() {
        if line_number(invalid, i, line.line).is_some_and(|line| !numbers.insert(line)) {
            invalid.add(format!("lines[{i}].line"), "must not stand twice");
        }
        let sku = invalid.take_at(|| format!("lines[{i}].sku"), Sku::try_new(&line.sku));
        let quantity = invalid.take_at(|| format!("lines[{i}].quantity"), Quantity::try_new(line.quantity));
        if let (Some(sku), Some(quantity)) = (sku, quantity) {
            read.push(WantedLine { line: line.line, sku, quantity });
        }
    }
    read.into()
}

/// Reads the id of a reservation, which is its order's.
pub fn reservation_id(text: &str) -> Result<OrderId, Invalid> {
    text.parse().map_err(|e: souk_kernel::ParseIdError| Invalid::field("reservationId", e.to_string()))
}

/// Why a reservation is released. Cut off rather than refused: a release must always be possible.
pub fn release_reason(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

/// Reads a delivery.
pub fn receive(request: &pb::ReceiveStockRequest) -> Result<(Reference, Receive), Invalid> {
    let mut invalid = Invalid::new();
    let receipt = invalid.take("receiptId", Reference::try_new(&request.receipt_id));
    let location = invalid.take("location", Location::try_new(&request.location));
    within(&mut invalid, "lines", request.lines.len(), 1..=RECEIPT_LINES_MAX);
    let mut lines = Vec::with_capacity(request.lines.len().min(RECEIPT_LINES_MAX));
    for (i, line) in request.lines.iter().take(RECEIPT_LINES_MAX).enumerate() {
        if !(1..=RECEIVED_MAX).contains(&line.quantity) {
            invalid.add(format!("lines[{i}].quantity"), format!("must be between 1 and {RECEIVED_MAX}"));
        }
        if let Some(sku) = invalid.take_at(|| format!("lines[{i}].sku"), Sku::try_new(&line.sku)) {
            lines.push(ReceivedLine { sku, quantity: line.quantity });
        }
    }
    let read = receipt.zip(location);
    invalid.finish(read.map(|(receipt, location)| (receipt, Receive { location, lines: lines.into() })))
}

/// Reads a correction.
pub fn adjust(request: &pb::AdjustStockRequest) -> Result<(Reference, Adjust), Invalid> {
    let mut invalid = Invalid::new();
    let adjustment = invalid.take("adjustmentId", Reference::try_new(&request.adjustment_id));
    let sku = invalid.take("sku", Sku::try_new(&request.sku));
    let location = invalid.take("location", Location::try_new(&request.location));
    if request.delta == 0 {
        invalid.add("delta", "must not be 0");
    }
    let reason = reason(&mut invalid, &request.reason, 1);
    let place = sku.zip(location);
    let read = adjustment.zip(place).map(|(adjustment, (sku, location))| {
        (adjustment, Adjust { sku, location, delta: request.delta, reason, quarantine: request.quarantine })
    });
    invalid.finish(read)
}

/// Reads many corrections; each has an id of its own.
pub fn bulk_adjust(request: &pb::BulkAdjustRequest) -> Result<Vec<(Reference, Adjust)>, Invalid> {
    let mut invalid = Invalid::new();
    within(&mut invalid, "adjustments", request.adjustments.len(), 1..=ADJUSTMENTS_MAX);
    let mut ids = HashSet::new();
    let mut read = Vec::with_capacity(request.adjustments.len().min(ADJUSTMENTS_MAX));
    for (i, one) in request.adjustments.iter().take(ADJUSTMENTS_MAX).enumerate() {
        if !ids.insert(one.adjustment_id.as_str()) {
            invalid.add(format!("adjustments[{i}].adjustmentId"), "must not stand twice in one call");
        }
        match adjust(one) {
            Ok(adjustment) => read.push(adjustment),
            Err(faults) => faults.fields().iter().for_each(|fault| {
                invalid.add(format!("adjustments[{i}].{}", fault.field), fault.description.as_str());
            }),
        }
    }
    invalid.finish(Some(read))
}

fn reason(invalid: &mut Invalid, text: &str, least: usize) -> Arc<str> {
    let fits = (least..=REASON_CHARS_MAX).contains(&text.chars().count());
    if !fits || text.chars().any(char::is_control) {
        let bounds = format!("must be {least} to {REASON_CHARS_MAX} characters, without control characters");
        invalid.add("reason", bounds);
    }
    text.into()
}

/// Reads the wish to carry pieces from one location to another.
pub fn transfer(request: &pb::TransferStockRequest) -> Result<(Reference, Transfer), Invalid> {
    let mut invalid = Invalid::new();
    let transfer = invalid.take("transferId", Reference::try_new(&request.transfer_id));
    let sku = invalid.take("sku", Sku::try_new(&request.sku));
    let from = invalid.take("from", Location::try_new(&request.from));
    let to = invalid.take("to", Location::try_new(&request.to));
    if from.is_some() && from == to {
        invalid.add("to", "must not be where the pieces lie already");
    }
    number(&mut invalid, "quantity", request.quantity, 1..=RECEIVED_MAX);
    let (quantity, reason) = (request.quantity, reason(&mut invalid, &request.reason, 0));
    let places = from.zip(to).zip(sku);
    let read = places.map(|((from, to), sku)| Transfer { sku, from, to, quantity, reason });
    invalid.finish(transfer.zip(read))
}

/// Reads a count.
pub fn count(request: &pb::CountStockRequest) -> Result<(Reference, Counted), Invalid> {
    let mut invalid = Invalid::new();
    let count = invalid.take("countId", Reference::try_new(&request.count_id));
    let sku = invalid.take("sku", Sku::try_new(&request.sku));
    let location = invalid.take("location", Location::try_new(&request.location));
    number(&mut invalid, "counted", request.counted, 0..=RECEIVED_MAX);
    let (pieces, force) = (request.counted, request.force);
    let read = sku.zip(location).map(|(sku, location)| Counted { sku, location, pieces, force });
    invalid.finish(count.zip(read))
}

/// What a person says became of a shortfall.
pub type Resolve = (Reference, Verdict, Arc<str>);

/// Reads what became of a shortfall.
pub fn resolve(request: &pb::ResolveShortfallRequest) -> Result<Resolve, Invalid> {
    let mut invalid = Invalid::new();
    let shortfall = invalid.take("shortfallId", Reference::try_new(&request.shortfall_id));
    let verdict = match pb::ShortfallDecision::try_from(request.decision) {
        Ok(pb::ShortfallDecision::Found) => Ok(Verdict::Found),
        Ok(pb::ShortfallDecision::WrittenOff) => Ok(Verdict::WrittenOff),
        Ok(pb::ShortfallDecision::Unspecified) | Err(_) => Err(UNKNOWN_VALUE),
    };
    let verdict = invalid.take("decision", verdict);
    let reason = reason(&mut invalid, &request.reason, 1);
    let read = shortfall.zip(verdict);
    invalid.finish(read.map(|(shortfall, verdict)| (shortfall, verdict, reason)))
}

/// Reads what is said of a location.
pub fn location(request: &pb::PutLocationRequest) -> Result<LocationPut, Invalid> {
    let mut invalid = Invalid::new();
    let location = invalid.take("location", Location::try_new(&request.location));
    let priority = request.priority;
    number(&mut invalid, "priority", priority.into(), 0..=PRIORITY_MAX.into());
    let country = invalid.take("country", Country::try_new(&request.country));
    let read = location.zip(country);
    invalid.finish(read.map(|(location, country)| LocationPut {
        location,
        priority,
        open: request.open,
        country,
    }))
}

/// Reads how a SKU is sold.
pub fn terms(request: &pb::PutStockTermsRequest) -> Result<(Sku, Terms), Invalid> {
    let mut invalid = Invalid::new();
    let sku = invalid.take("sku", Sku::try_new(&request.sku));
    let Some(pb::StockTerms { safety, low_below, backorder_limit }) = request.terms else {
        invalid.add("terms", "must be there");
        return invalid.finish(None);
    };
    number(&mut invalid, "terms.safety", safety, 0..=RECEIVED_MAX);
    number(&mut invalid, "terms.lowBelow", low_below, 0..=ON_HAND_MAX);
    number(&mut invalid, "terms.backorderLimit", backorder_limit, 0..=BACKORDER_MAX);
    invalid.finish(sku.map(|sku| (sku, Terms { safety, low_below, backorder_limit })))
}

fn number(invalid: &mut Invalid, field: &str, number: i64, allowed: RangeInclusive<i64>) {
    if !allowed.contains(&number) {
        invalid.add(field, format!("must be between {} and {}", allowed.start(), allowed.end()));
    }
}

/// What somebody watches, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// These SKUs, each once.
    pub skus: Vec<Sku>,
    /// Only what changed after this place in the log.
    pub after: Option<u64>,
}

/// Reads what shall be watched. A cursor that is damaged or of other SKUs is refused.
pub fn watch(request: &pb::WatchStockRequest) -> Result<Watched, Error> {
    let mut invalid = Invalid::new();
    within(&mut invalid, "skus", request.skus.len(), 1..=WATCHED_MAX);
    let named = request.skus.iter().take(WATCHED_MAX).enumerate();
    let read = named.filter_map(|(i, sku)| invalid.take(format!("skus[{i}]"), Sku::try_new(sku)));
    let skus: BTreeSet<Sku> = read.collect();
    let skus: Vec<Sku> = invalid.finish(Some(skus))?.into_iter().collect();
    let position = |text: &str| text.parse::<u64>().ok();
    let after = PageToken::resume(&request.after, &watch_of(&skus), position)?;
    Ok(Watched { skus, after })
}

fn watch_of(skus: &[Sku]) -> Vec<&str> {
    std::iter::once("WatchStock").chain(skus.iter().map(Sku::as_str)).collect()
}

/// Levels that changed, and how far the watcher has seen the log.
pub fn watched(skus: &[Sku], levels: Vec<pb::Level>, position: u64) -> pb::WatchStockResponse {
    pb::WatchStockResponse { levels, cursor: PageToken::seal(&position.to_string(), &watch_of(skus)) }
}

/// A page of shortfalls, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortfallsPage {
    /// How many at most.
    pub size: u32,
    /// Go on behind the shortfall of this place in the log.
    pub after: u64,
}

const SHORTFALLS: [&str; 1] = ["ListShortfalls"];

/// Reads the wish for a page of shortfalls.
pub fn shortfalls_page(request: &pb::ListShortfallsRequest) -> Result<ShortfallsPage, Error> {
    let mut invalid = Invalid::new();
    let size = page_size(&mut invalid, request.page_size);
    invalid.finish(Some(()))?;
    let place = |text: &str| text.parse::<u64>().ok().filter(|place| i64::try_from(*place).is_ok());
    let after = PageToken::resume(&request.page_token, &SHORTFALLS, place)?;
    Ok(ShortfallsPage { size, after: after.unwrap_or(0) })
}

fn page_size(invalid: &mut Invalid, size: u32) -> u32 {
    if size > PAGE_MAX {
        invalid.add("pageSize", format!("must be between 1 and {PAGE_MAX}, or 0 for {PAGE_DEFAULT}"));
    }
    if size == 0 { PAGE_DEFAULT } else { size }
}

/// A shortfall that waits for a person.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct OpenShortfall {
    /// Its place in the log.
    pub place: u64,
    pub id: String,
    pub sku: String,
    pub location: String,
    pub missing: i64,
    /// The youngest first.
    pub reservations: Vec<String>,
    pub time: Timestamp,
}

/// One page of shortfalls. `more` says whether there is another behind it.
pub fn shortfalls(open: Vec<OpenShortfall>, more: bool) -> pb::ListShortfallsResponse {
    let last = open.last().filter(|_| more).map(|last| PageToken::seal(&last.place.to_string(), &SHORTFALLS));
    let shortfall = |open: OpenShortfall| pb::Shortfall {
        shortfall_id: open.id,
        sku: open.sku,
        location: open.location,
        missing: open.missing,
        reservation_ids: open.reservations,
        time: Some(souk_rpc::time::to_proto(open.time)),
    };
    let shortfalls = open.into_iter().map(shortfall).collect();
    pb::ListShortfallsResponse { shortfalls, next_page_token: last.unwrap_or_default() }
}

/// A place in a SKU's ledger: the movement that a page ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The place of the movement's event in the log.
    pub position: u64,
    /// The movement's line within its event.
    pub line: u32,
}

/// The wish for a page of a SKU's ledger, read.
#[derive(Debug, Clone, PartialEq)]
pub struct MovementsPage {
    /// Whose ledger.
    pub sku: Sku,
    /// How many movements at most.
    pub size: u32,
    /// Go on behind this movement.
    pub after: Option<Cursor>,
}

/// Reads the wish for a page. A token that is damaged or of another SKU is refused, never guessed at.
pub fn movements_page(request: &pb::ListMovementsRequest) -> Result<MovementsPage, Error> {
    let mut invalid = Invalid::new();
    let sku = invalid.take("sku", Sku::try_new(&request.sku));
    let size = page_size(&mut invalid, request.page_size);
    let sku = invalid.finish(sku)?;
    let after = PageToken::resume(&request.page_token, &ledger_of(&sku), Cursor::read)?;
    Ok(MovementsPage { sku, size, after })
}

/// What a page token is bound to.
fn ledger_of(sku: &Sku) -> [&str; 2] {
    ["ListMovements", sku.as_str()]
}

impl Cursor {
    /// The token that says this place in the ledger of `sku` and of no other.
    pub fn token(self, sku: &Sku) -> String {
        PageToken::seal(&format!("{}.{}", self.position, self.line), &ledger_of(sku))
    }

    fn read(place: &str) -> Option<Self> {
        let (position, line) = place.split_once('.')?;
        let position = position.parse().ok().filter(|position| i64::try_from(*position).is_ok())?;
        Some(Self { position, line: line.parse().ok()? })
    }
}

/// A reservation as callers see it.
pub fn reservation(order: OrderId, answer: &Answer) -> pb::Reservation {
    let refusal = answer.refusal.as_ref();
    let short = refusal.map_or(&answer.shortages, |refusal| &refusal.shortages);
    pb::Reservation {
        reservation_id: order.to_string(),
        status: status(answer.status).into(),
        lines: answer.lines.iter().map(allocated).collect(),
        expires_at: answer.expires_at.map(souk_rpc::time::to_proto),
        refusal_reason: refusal.map(|refusal| refusal.reason.as_str().to_owned()).unwrap_or_default(),
        shortages: short.iter().map(shortage).collect(),
        backordered: answer.backordered.iter().map(wanted).collect(),
        shipped: answer.shipped.iter().map(allocated).collect(),
    }
}

/// The answer to one step of a reservation: how it stands, and why this very step was refused if it was.
pub fn after_step(answer: Answer, refused: Option<RefusalReason>) -> Answer {
    let refusal = refused.map(|reason| Refusal { reason, shortages: Arc::default() });
    Answer { refusal: refusal.or(answer.refusal), ..answer }
}

fn status(status: crate::domain::Status) -> pb::ReservationStatus {
    use crate::domain::Status;
    match status {
        Status::Held => pb::ReservationStatus::Held,
        Status::Committed => pb::ReservationStatus::Committed,
        Status::PartiallyShipped => pb::ReservationStatus::PartiallyShipped,
        Status::Shipped => pb::ReservationStatus::Shipped,
        Status::Released => pb::ReservationStatus::Released,
        Status::Expired => pb::ReservationStatus::Expired,
        Status::Refused => pb::ReservationStatus::Refused,
    }
}

fn wanted(line: &WantedLine) -> pb::StockLine {
    pb::StockLine { line: line.line, sku: line.sku.to_string(), quantity: line.quantity.get() }
}

fn allocated(line: &crate::domain::AllocatedLine) -> pb::AllocatedLine {
    pb::AllocatedLine {
        line: line.line,
        sku: line.sku.to_string(),
        quantity: line.quantity.get(),
        location: line.location.to_string(),
    }
}

fn shortage(shortage: &Shortage) -> pb::Shortage {
    let Shortage { sku, wanted, available } = shortage;
    pb::Shortage { sku: sku.to_string(), wanted: *wanted, available: *available }
}

/// The level of a SKU as these shelves and terms have it.
pub fn level_in(stock: &Stock, sku: &Sku) -> pb::Level {
    pb::Level { known: stock.level(sku).is_some(), ..level(sku, stock.level_now(sku)) }
}

/// The level of a SKU that is in stock here.
pub fn level(sku: &Sku, level: Level) -> pb::Level {
    pb::Level {
        sku: sku.to_string(),
        known: true,
        on_hand: level.on_hand,
        reserved: level.reserved,
        available: level.available(),
        safety: level.safety,
        missing: level.missing,
        quarantined: level.quarantined,
        backordered: level.backordered,
    }
}

/// The answer to a correction: the level right after it.
pub fn adjusted(booked: &StockAdjusted) -> pb::AdjustStockResponse {
    pb::AdjustStockResponse { level: Some(level(&booked.sku, booked.level)) }
}

/// The answer to a transfer: the level right after it.
pub fn transferred(booked: &StockTransferred) -> pb::TransferStockResponse {
    pb::TransferStockResponse { level: Some(level(&booked.sku, booked.level)) }
}

/// The answer to a count: the level right after it, and what was missing.
pub fn counted(id: &Reference, count: &Count) -> Option<pb::CountStockResponse> {
    let booked = count.booked()?;
    let shortfall = count.shortfall().map(|short| pb::Shortfall {
        shortfall_id: id.to_string(),
        sku: short.sku.to_string(),
        location: short.location.to_string(),
        missing: short.missing,
        reservation_ids: short.reservations.iter().map(ToString::to_string).collect(),
        time: None,
    });
    Some(pb::CountStockResponse { level: Some(level(&booked.sku, booked.level)), shortfall })
}

/// The answer to what became of a shortfall: the level right after it.
pub fn resolved(resolved: &ShortfallResolved) -> pb::ResolveShortfallResponse {
    pb::ResolveShortfallResponse { level: Some(level(&resolved.sku, resolved.level)) }
}

/// A location as staff sees it.
pub fn stock_location(put: &LocationPut) -> pb::StockLocation {
    pb::StockLocation {
        location: put.location.to_string(),
        priority: put.priority,
        open: put.open,
        country: put.country.as_str().to_owned(),
    }
}

/// A line of a SKU's ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerLine {
    /// Where it stands in the ledger.
    pub place: Cursor,
    /// Where the pieces are.
    pub location: String,
    /// The difference in pieces that are there.
    pub delta: i64,
    /// `RECEIVED`, `ADJUSTED` and so on.
    pub kind: String,
    /// The id of the receipt, adjustment, transfer, count or reservation.
    pub reference: String,
    /// Why, when it is an adjustment.
    pub reason: String,
    /// When it was booked.
    pub time: Timestamp,
}

/// One page of a SKU's ledger. `more` says whether there is another behind it.
pub fn movements(sku: &Sku, lines: Vec<LedgerLine>, more: bool) -> pb::ListMovementsResponse {
    let last = lines.last().filter(|_| more).map(|line| line.place.token(sku));
    let movement = |line: LedgerLine| pb::Movement {
        sku: sku.to_string(),
        location: line.location,
        delta: line.delta,
        kind: line.kind,
        reference: line.reference,
        reason: line.reason,
        time: Some(souk_rpc::time::to_proto(line.time)),
    };
    let movements = lines.into_iter().map(movement).collect();
    pb::ListMovementsResponse { movements, next_page_token: last.unwrap_or_default() }
}

fn within(invalid: &mut Invalid, field: &str, count: usize, allowed: RangeInclusive<usize>) {
    if !allowed.contains(&count) {
        let (least, most) = (allowed.start(), allowed.end());
        invalid.add(field, format!("must have {least} to {most} entries"));
    }
}

/// Names the field only when it is faulty: requests have thousands of lines, and most are fine.
trait TakeAt {
    fn take_at<T, E: std::fmt::Display>(
        &mut self,
        field: impl FnOnce() -> String,
        read: Result<T, E>,
    ) -> Option<T>;
}

impl TakeAt for Invalid {
    fn take_at<T, E: std::fmt::Display>(
        &mut self,
        field: impl FnOnce() -> String,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|e| self.add(field(), e.to_string())).ok()
    }
}
