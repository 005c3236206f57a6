//! Messages to rules and back. A request that cannot be read names all its faulty fields at once.
use crate::domain::{
    Adjust, Answer, Level, Receive, ReceivedLine, Reference, Shortage, StockAdjusted, WantedLine,
};
use souk_contracts::inventory::v1 as pb;
use souk_contracts::terms::{Location, OrderId, Quantity, Sku};
use souk_kernel::{Error, Invalid, PageToken, Timestamp};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The most SKUs that one question about levels may name.
pub const SKUS_MAX: usize = 500;
/// The most lines of a reservation.
pub const LINES_MAX: usize = 2_000;
/// The longest promise, in seconds.
pub const TTL_S_MAX: u32 = 86_400;
/// The most lines of a receipt.
pub const RECEIPT_LINES_MAX: usize = 5_000;
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
    if !(1..=TTL_S_MAX).contains(&request.ttl_s) {
        invalid.add("ttlS", format!("must be between 1 and {TTL_S_MAX}"));
    }
    let ttl = Duration::from_secs(request.ttl_s.into());
    let reserve = order.map(|order| Reserve { order, lines, ttl });
    invalid.finish(reserve)
}

fn wanted_lines(invalid: &mut Invalid, lines: &[pb::StockLine]) -> Arc<[WantedLine]> {
    within(invalid, "lines", lines.len(), 1..=LINES_MAX);
    let mut numbers = HashSet::with_capacity(lines.len().min(LINES_MAX));
    let mut read = Vec::with_capacity(lines.len().min(LINES_MAX));
    for (i, line) in lines.iter().take(LINES_MAX).enumerate() {
        if line.line == 0 {
            invalid.add(format!("lines[{i}].line"), "must be at least 1");
        } else if !numbers.insert(line.line) {
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
    let reason: Arc<str> = request.reason.as_str().into();
    if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        invalid
            .add("reason", format!("must be 1 to {REASON_CHARS_MAX} characters, without control characters"));
    }
    let place = sku.zip(location);
    let read = adjustment.zip(place).map(|(adjustment, (sku, location))| {
        (adjustment, Adjust { sku, location, delta: request.delta, reason })
    });
    invalid.finish(read)
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
    if request.page_size > PAGE_MAX {
        invalid.add("pageSize", format!("must be between 1 and {PAGE_MAX}, or 0 for {PAGE_DEFAULT}"));
    }
    let sku = invalid.finish(sku)?;
    let after = PageToken::resume(&request.page_token, &ledger_of(&sku), Cursor::read)?;
    let size = if request.page_size == 0 { PAGE_DEFAULT } else { request.page_size };
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
    pb::Reservation {
        reservation_id: order.to_string(),
        status: status(answer.status).into(),
        lines: answer.lines.iter().map(allocated).collect(),
        expires_at: answer.expires_at.map(souk_rpc::time::to_proto),
        refusal_reason: refusal.map(|refusal| refusal.reason.as_str().to_owned()).unwrap_or_default(),
        shortages: refusal.iter().flat_map(|refusal| refusal.shortages.iter()).map(shortage).collect(),
        ..pb::Reservation::default()
    }
}

fn status(status: crate::domain::Status) -> pb::ReservationStatus {
    use crate::domain::Status;
    match status {
        Status::Held => pb::ReservationStatus::Held,
        Status::Committed => pb::ReservationStatus::Committed,
        Status::Released => pb::ReservationStatus::Released,
        Status::Expired => pb::ReservationStatus::Expired,
        Status::Refused => pb::ReservationStatus::Refused,
    }
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

/// The level of a SKU; `None` is one that was never in stock.
pub fn level(sku: &Sku, level: Option<Level>) -> pb::Level {
    let (known, level) = (level.is_some(), level.unwrap_or_default());
    pb::Level {
        sku: sku.to_string(),
        known,
        on_hand: level.on_hand,
        reserved: level.reserved,
        available: level.available(),
        ..pb::Level::default()
    }
}

/// The answer to a correction: the level right after it.
pub fn adjusted(booked: &StockAdjusted) -> pb::AdjustStockResponse {
    pb::AdjustStockResponse { level: Some(level(&booked.sku, Some(booked.level))) }
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
    /// `RECEIVED` or `ADJUSTED`.
    pub kind: String,
    /// The receipt's or adjustment's id.
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

#[cfg(test)]
mod tests {
    use super::*;
    use souk_kernel::Code;

    const ORDER: &str = "ord_01h455vb4pex5vsknk084sn02q";

    fn faults<T: std::fmt::Debug>(read: Result<T, Invalid>) -> Vec<String> {
        let invalid = read.expect_err("the request is faulty");
        invalid.fields().iter().map(|fault| fault.field.clone()).collect()
    }

    fn line(line: u32, sku: &str, quantity: u32) -> pb::StockLine {
        pb::StockLine { line, sku: sku.into(), quantity }
    }

    #[test]
    fn a_reserve_request_is_read_or_names_each_faulty_field() {
        let request = |lines, ttl_s| pb::ReserveRequest {
            reservation_id: ORDER.into(),
            lines,
            ttl_s,
            ..Default::default()
        };
        let read = reserve(&request(vec![line(7, "a", 1), line(2, "a", 1_000_000)], 86_400)).expect("fine");
        assert_eq!(read.order.to_string(), ORDER);
        assert_eq!(
            read.lines.iter().map(|line| line.line).collect::<Vec<_>>(),
            [7, 2],
            "lines keep their order"
        );
        assert_eq!(read.ttl, Duration::from_secs(86_400));

        assert_eq!(faults(reserve(&request(vec![], 1))), ["lines"]);
        assert_eq!(faults(reserve(&request(vec![line(1, "a", 1)], 0))), ["ttlS"]);
        assert_eq!(faults(reserve(&request(vec![line(1, "a", 1)], 86_401))), ["ttlS"]);
        let lines = (1..=2_001).map(|n| line(n, "a", 1)).collect();
        assert_eq!(faults(reserve(&request(lines, 1))), ["lines"]);
        let lines = (1..=2_000).map(|n| line(n, "a", 1)).collect();
        assert!(reserve(&request(lines, 1)).is_ok());
    }

    #[test]
    fn all_faulty_fields_of_a_reserve_request_are_named_at_once() {
        let lines = vec![line(0, "", 0), line(1, "a", 1), line(1, "b\n", 1_000_001)];
        let request = pb::ReserveRequest { reservation_id: "ord_x".into(), lines, ..Default::default() };
        let expected = [
            "reservationId",
            "lines[0].line",
            "lines[0].sku",
            "lines[0].quantity",
            "lines[2].line",
            "lines[2].sku",
            "lines[2].quantity",
            "ttlS",
        ];
        assert_eq!(faults(reserve(&request)), expected);
    }

    #[test]
    fn a_receipt_is_read_or_names_each_faulty_field() {
        let good = pb::ReceiveStockRequest {
            receipt_id: "delivery 1/é".into(),
            location: "main".into(),
            lines: vec![pb::ReceiptLine { sku: "a".into(), quantity: 1_000_000_000 }],
        };
        assert!(receive(&good).is_ok());
        let line = |sku: &str, quantity| pb::ReceiptLine { sku: sku.into(), quantity };
        let bad = pb::ReceiveStockRequest {
            receipt_id: "x".repeat(65),
            location: "Main".into(),
            lines: vec![line("", 0), line("a", -1), line("a", 1_000_000_001)],
        };
        let expected = [
            "receiptId",
            "location",
            "lines[0].quantity",
            "lines[0].sku",
            "lines[1].quantity",
            "lines[2].quantity",
        ];
        assert_eq!(faults(receive(&bad)), expected);
        assert_eq!(faults(receive(&pb::ReceiveStockRequest { lines: vec![], ..good.clone() })), ["lines"]);
        let too_many = vec![line("a", 1); 5_001];
        assert_eq!(faults(receive(&pb::ReceiveStockRequest { lines: too_many, ..good })), ["lines"]);
    }

    #[test]
    fn an_adjustment_is_read_or_names_each_faulty_field() {
        let good = pb::AdjustStockRequest {
            adjustment_id: "count-7".into(),
            sku: "a".into(),
            location: "main".into(),
            delta: -3,
            reason: "broken".into(),
        };
        assert!(adjust(&good).is_ok());
        let bad = pb::AdjustStockRequest { adjustment_id: "a\nb".into(), ..Default::default() };
        assert_eq!(faults(adjust(&bad)), ["adjustmentId", "sku", "location", "delta", "reason"]);
        let long = pb::AdjustStockRequest { reason: "é".repeat(201), ..good };
        assert_eq!(faults(adjust(&long)), ["reason"]);
    }

    #[test]
    fn the_skus_of_a_question_are_counted_and_each_is_read() {
        let ask = |skus: Vec<String>| skus_of(&skus);
        fn skus_of(named: &[String]) -> Result<Vec<Sku>, Invalid> {
            skus(&pb::GetAvailabilityRequest { skus: named.to_vec() })
        }
        assert_eq!(ask(vec!["b".into(), "a".into(), "b".into()]).expect("fine").len(), 3);
        assert_eq!(faults(ask(vec![])), ["skus"]);
        assert_eq!(faults(ask(vec!["a".into(); 501])), ["skus"]);
        assert_eq!(faults(ask(vec!["a".into(), "".into(), "x".repeat(65)])), ["skus[1]", "skus[2]"]);
    }

    #[test]
    fn a_release_is_never_refused_for_its_reason() {
        assert_eq!(release_reason("declined\n"), "declined");
        assert_eq!(release_reason(&"é".repeat(300)).chars().count(), REASON_CHARS_MAX);
        assert_eq!(faults(reservation_id("qte_01h455vb4pex5vsknk084sn02q")), ["reservationId"]);
    }

    #[test]
    fn a_page_token_works_for_its_own_sku_and_undamaged_only() {
        let sku = |text: &str| Sku::try_new(text).expect("a SKU");
        let place = Cursor { position: 77, line: 3 };
        let token = place.token(&sku("a"));
        let ask = |sku: &str, token: &str| {
            movements_page(&pb::ListMovementsRequest {
                sku: sku.into(),
                page_size: 0,
                page_token: token.into(),
            })
        };
        let page = ask("a", &token).expect("its own token");
        assert_eq!((page.after, page.size), (Some(place), PAGE_DEFAULT));
        let shorter = &token[1..];
        let other_digit = token.replacen('7', "8", 1);
        let nowhere = PageToken::seal("9223372036854775808.1", &ledger_of(&sku("a")));
        for (sku, token) in
            [("b", token.as_str()), ("a", shorter), ("a", &other_digit), ("a", "%"), ("a", &nowhere)]
        {
            let error = ask(sku, token).expect_err("not a token of this list");
            assert_eq!(
                (error.code(), error.reason()),
                (Code::InvalidArgument, "INVALID_PAGE_TOKEN"),
                "{token}"
            );
        }
        let too_many =
            pb::ListMovementsRequest { sku: String::new(), page_size: 201, page_token: "%".into() };
        let error = movements_page(&too_many).expect_err("all wrong");
        let fields: Vec<_> = error.fields().iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["sku", "pageSize"]);
    }
}
