//! The read models: what stands on each shelf, and the ledger of what came and went. Both are written in the
//! commit of the event that they follow from, so a decision that reads the shelves never reads an old one.
use crate::domain::{
    Adjustment, AdjustmentEvent, Portion, Receipt, ReceiptEvent, Reservation, ReservationEvent, Shelf, Stock,
    portions,
};
use crate::invariants::{Movement, StockRow};
use crate::proto::{Cursor, LedgerLine, MovementsPage};
use souk_contracts::terms::{Location, Sku};
use souk_eventstore::{Recorded, Row, Statement, Table, Value, View};
use std::sync::LazyLock;

/// How many SKUs one statement asks for. Few sizes, so that few texts are prepared; and the largest times
/// [`LOCATIONS_MAX`](crate::domain::LOCATIONS_MAX) rows is an answer that the store still gives.
const CHUNKS: [usize; 4] = [1, 4, 16, 64];
/// How many shelves an audit reads at once.
const AUDIT_PAGE: usize = 5_000;

/// The shelves. The checks are alarms and not rules: the rules stand in the domain, and a violated check
/// fails the commit instead of keeping a wrong number.
const STOCK: Table = Table {
    name: "stock",
    ddl: "CREATE TABLE {name} (
        sku TEXT NOT NULL,
        location TEXT NOT NULL,
        on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
        reserved BIGINT NOT NULL CHECK (reserved >= 0 AND reserved <= on_hand),
        PRIMARY KEY (sku, location)
    )",
    indexes: &[],
};

/// The ledger. Rows are only ever added.
const MOVEMENTS: Table = Table {
    name: "movements",
    ddl: "CREATE TABLE {name} (
        sku TEXT NOT NULL,
        place BIGINT NOT NULL,
        line BIGINT NOT NULL,
        location TEXT NOT NULL,
        delta BIGINT NOT NULL,
        kind TEXT NOT NULL,
        reference TEXT NOT NULL,
        reason TEXT NOT NULL,
        booked_at BIGINT NOT NULL,
        PRIMARY KEY (sku, place, line)
    )",
    indexes: &[],
};

const PUT_ON_SHELF: &str = "INSERT INTO {stock} (sku, location, on_hand, reserved) VALUES ($1, $2, $3, 0) \
     ON CONFLICT (sku, location) DO UPDATE SET on_hand = {stock}.on_hand + excluded.on_hand";
const TAKE_FROM_SHELF: &str = "UPDATE {stock} SET on_hand = on_hand - $3 WHERE sku = $1 AND location = $2";
const PROMISE: &str = "UPDATE {stock} SET reserved = reserved + $3 WHERE sku = $1 AND location = $2";
const WRITE_MOVEMENT: &str = "INSERT INTO {movements} \
     (sku, place, line, location, delta, kind, reference, reason, booked_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FIRST_PAGE: &str = "SELECT place, line, location, delta, kind, reference, reason, booked_at \
     FROM {movements} WHERE sku = $1 ORDER BY place DESC, line DESC LIMIT $2";
const NEXT_PAGE: &str = "SELECT place, line, location, delta, kind, reference, reason, booked_at \
     FROM {movements} WHERE sku = $1 AND (place, line) < ($3, $4) ORDER BY place DESC, line DESC LIMIT $2";
const STOCK_BEHIND: &str = "SELECT sku, location, on_hand, reserved FROM {stock} \
     WHERE (sku, location) > ($1, $2) ORDER BY sku, location LIMIT $3";

static SHELVES: LazyLock<[String; CHUNKS.len()]> = LazyLock::new(|| CHUNKS.map(shelves_of));

fn shelves_of(skus: usize) -> String {
    let places: Vec<String> = (1..=skus).map(|n| format!("${n}")).collect();
    format!("SELECT sku, location, on_hand, reserved FROM {{stock}} WHERE sku IN ({})", places.join(", "))
}

/// The read models of this service.
pub fn views() -> Vec<View> {
    vec![
        View { name: "stock", version: 1, tables: &[STOCK], project: project_stock },
        View { name: "movements", version: 1, tables: &[MOVEMENTS], project: project_movements },
    ]
}

fn project_stock(recorded: &Recorded, out: &mut Vec<Statement>) {
    if let Some(event) = recorded.of::<Reservation>() {
        return project_reservation(&event, out);
    }
    for movement in movements_of(recorded) {
        let (sql, pieces) = if movement.delta > 0 {
            (PUT_ON_SHELF, movement.delta)
        } else {
            (TAKE_FROM_SHELF, -movement.delta)
        };
        out.push(Statement::new(sql).arg(movement.sku.as_str()).arg(movement.location.as_str()).arg(pieces));
    }
}

fn project_reservation(event: &ReservationEvent, out: &mut Vec<Statement>) {
    match event {
        ReservationEvent::StockReserved(e) => promise(&portions(&e.lines), 1, out),
        ReservationEvent::ReservationReReserved(e) => promise(&portions(&e.lines), 1, out),
        ReservationEvent::ReservationReleased(e) => promise(&e.freed, -1, out),
        ReservationEvent::ReservationExpired(e) => promise(&e.freed, -1, out),
        ReservationEvent::ReservationRefused(_)
        | ReservationEvent::ReservationCommitted(_)
        | ReservationEvent::CommitRefused(_) => {}
    }
}

fn promise(portions: &[Portion], sign: i64, out: &mut Vec<Statement>) {
    out.extend(portions.iter().map(|portion| {
        let (sku, location) = (portion.sku.as_str(), portion.location.as_str());
        Statement::new(PROMISE).arg(sku).arg(location).arg(sign * portion.quantity)
    }));
}

fn project_movements(recorded: &Recorded, out: &mut Vec<Statement>) {
    for (line, movement) in movements_of(recorded).into_iter().enumerate() {
        out.push(
            Statement::new(WRITE_MOVEMENT)
                .arg(movement.sku.as_str())
                .arg(recorded.position.get())
                .arg(line + 1)
                .arg(movement.location.as_str())
                .arg(movement.delta)
                .arg(movement.kind)
                .arg(recorded.stream.id())
                .arg(&movement.reason)
                .arg(recorded.time),
        );
    }
}

/// What an event moved on and off the shelves, one movement per line.
pub fn movements_of(recorded: &Recorded) -> Vec<Movement> {
    let received = recorded.of::<Receipt>().map(|event| {
        let ReceiptEvent::StockReceived(e) = event.as_ref();
        e.lines.iter().map(|line| Movement::received(line, &e.location)).collect()
    });
    let adjusted = || {
        recorded.of::<Adjustment>().map(|event| {
            let AdjustmentEvent::StockAdjusted(e) = event.as_ref();
            vec![Movement::adjusted(e)]
        })
    };
    received.or_else(adjusted).unwrap_or_default()
}

/// The statements that read the shelves of these SKUs.
pub fn shelves<'a>(skus: impl IntoIterator<Item = &'a Sku>) -> Vec<Statement> {
    let mut skus: Vec<&str> = skus.into_iter().map(Sku::as_str).collect();
    skus.sort_unstable();
    skus.dedup();
    let largest = CHUNKS[CHUNKS.len() - 1];
    skus.chunks(largest).map(shelves_chunk).collect()
}

/// A shorter list is filled up with its last SKU, which names the same rows again.
fn shelves_chunk(skus: &[&str]) -> Statement {
    let fits =
        CHUNKS.iter().position(|size| skus.len() <= *size).expect("a chunk is not over the largest size");
    let sql: &'static str = &SHELVES[fits];
    let last = skus[skus.len() - 1];
    let filled = skus.iter().copied().chain(std::iter::repeat(last)).take(CHUNKS[fits]);
    Statement::new(sql).args(filled.map(Value::from))
}

/// The shelves in these rows.
pub fn stock<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Stock {
    let mut stock = Stock::default();
    for row in rows {
        let StockRow { sku, location, on_hand, reserved } = stock_row(row);
        stock.put(sku, Shelf { location, on_hand, reserved });
    }
    stock
}

/// Reads the shelves behind this one (at first: behind none) by SKU and location, a page of them. For
/// audits; a shop that is awake reads the shelves that it needs.
pub fn stock_behind(last: Option<&StockRow>) -> Statement {
    let (sku, location) = last.map_or(("", ""), |row| (row.sku.as_str(), row.location.as_str()));
    Statement::new(STOCK_BEHIND).arg(sku).arg(location).arg(AUDIT_PAGE)
}

/// One shelf.
pub fn stock_row(row: &Row) -> StockRow {
    const KEPT: &str = "the view holds only what the log held";
    StockRow {
        sku: Sku::try_new(row.text(0)).expect(KEPT),
        location: Location::try_new(row.text(1)).expect(KEPT),
        on_hand: row.get(2),
        reserved: row.get(3),
    }
}

/// Reads a page of a SKU's ledger and one movement more, which tells whether there is another page.
pub fn ledger(page: &MovementsPage) -> Statement {
    let sql = if page.after.is_some() { NEXT_PAGE } else { FIRST_PAGE };
    let first = Statement::new(sql).arg(page.sku.as_str()).arg(page.size + 1);
    match page.after {
        Some(after) => first.arg(after.position).arg(after.line),
        None => first,
    }
}

/// A line of the ledger.
pub fn ledger_line(row: &Row) -> LedgerLine {
    LedgerLine {
        place: Cursor { position: row.get(0), line: row.get(1) },
        location: row.get(2),
        delta: row.get(3),
        kind: row.get(4),
        reference: row.get(5),
        reason: row.get(6),
        time: row.get(7),
    }
}
