//! The read models: what stands on each shelf, and the ledger of what came and went. Both are written in the
//! commit of the event that they follow from, so a decision that reads the shelves never reads an old one.
use crate::domain::{
    Adjustment, AdjustmentEvent, Carriage, Change, Count, CountEvent, Country, LocationPut, MovesStock,
    PLACES_MAX, Place, PlaceEvent, Rank, Receipt, ReceiptEvent, Reservation, Shelf, ShelfChange, SkuTerms,
    Stock, Terms, TransferEvent, Waiting, WantedLine,
};
use crate::invariants::{Movement, StockRow};
use crate::proto::{Cursor, LedgerLine, MovementsPage, OpenShortfall, ShortfallsPage};
use souk_contracts::terms::{Location, Quantity, Sku};
use souk_decider::Aggregate;
use souk_eventstore::{Recorded, Row, Statement, Table, Value, View};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How many SKUs one statement asks for. Few sizes, so that few texts are prepared; and the largest times
/// [`LOCATIONS_MAX`](crate::domain::LOCATIONS_MAX) rows is an answer that the store still gives.
const CHUNKS: [usize; 4] = [1, 4, 16, 64];
/// How many waiting lines one decision serves at most. The rest waits for the next piece that comes.
const SERVED_MAX: usize = 1_000;
/// How many shelves an audit reads at once.
const AUDIT_PAGE: usize = 5_000;

/// The shelves. The checks are alarms and not rules: the rules stand in the domain, and a violated check
/// fails the commit instead of keeping a wrong number. `changed` is the place in the log of the last change.
const STOCK: Table = Table {
    name: "stock",
    ddl: "CREATE TABLE {name} (
        sku TEXT NOT NULL,
        location TEXT NOT NULL,
        on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
        reserved BIGINT NOT NULL CHECK (reserved >= 0 AND reserved + quarantined <= on_hand),
        missing BIGINT NOT NULL CHECK (missing >= 0),
        quarantined BIGINT NOT NULL CHECK (quarantined >= 0),
        changed BIGINT NOT NULL,
        PRIMARY KEY (sku, location)
    )",
    indexes: &[],
};

/// How SKUs are sold, where somebody said so, and how many pieces are sold that are not there yet.
const TERMS: Table = Table {
    name: "terms",
    ddl: "CREATE TABLE {name} (
        sku TEXT NOT NULL PRIMARY KEY,
        safety BIGINT NOT NULL,
        low_below BIGINT NOT NULL,
        backorder_limit BIGINT NOT NULL,
        backordered BIGINT NOT NULL CHECK (backordered >= 0),
        changed BIGINT NOT NULL
    )",
    indexes: &[],
};

/// The lines that wait for stock.
const QUEUE: Table = Table {
    name: "queue",
    ddl: "CREATE TABLE {name} (
        sku TEXT NOT NULL,
        reservation TEXT NOT NULL,
        line BIGINT NOT NULL,
        pieces BIGINT NOT NULL CHECK (pieces >= 0),
        place BIGINT NOT NULL,
        PRIMARY KEY (sku, reservation, line)
    )",
    indexes: &["CREATE INDEX {name}_by_place ON {name} (sku, place, line)"],
};

/// The locations that somebody said something of.
const LOCATIONS: Table = Table {
    name: "locations",
    ddl: "CREATE TABLE {name} (
        location TEXT NOT NULL PRIMARY KEY,
        priority BIGINT NOT NULL,
        is_open BIGINT NOT NULL,
        country TEXT NOT NULL,
        changed BIGINT NOT NULL
    )",
    indexes: &[],
};

/// The shortfalls that wait for a person.
const SHORTFALLS: Table = Table {
    name: "shortfalls",
    ddl: "CREATE TABLE {name} (
        place BIGINT NOT NULL PRIMARY KEY,
        shortfall TEXT NOT NULL,
        sku TEXT NOT NULL,
        location TEXT NOT NULL,
        missing BIGINT NOT NULL,
        reservations TEXT NOT NULL,
        counted_at BIGINT NOT NULL
    )",
    indexes: &["CREATE INDEX {name}_by_shortfall ON {name} (shortfall)"],
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

const PUT_ON_SHELF: &str = "INSERT INTO {stock} \
     (sku, location, on_hand, quarantined, changed, reserved, missing) VALUES ($1, $2, $3, $4, $5, 0, 0) \
     ON CONFLICT (sku, location) DO UPDATE SET on_hand = {stock}.on_hand + excluded.on_hand, \
     quarantined = {stock}.quarantined + excluded.quarantined, changed = excluded.changed";
const PROMISE: &str = "UPDATE {stock} SET reserved = reserved + $3, changed = $4 \
     WHERE sku = $1 AND location = $2";
const MOVE_SHELF: &str = "UPDATE {stock} SET on_hand = on_hand + $3, reserved = reserved + $4, \
     missing = missing + $5, quarantined = quarantined + $6, changed = $7 WHERE sku = $1 AND location = $2";
const PUT_TERMS: &str = "INSERT INTO {terms} (sku, safety, low_below, backorder_limit, changed, backordered) \
     VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (sku) DO UPDATE SET safety = excluded.safety, \
     low_below = excluded.low_below, backorder_limit = excluded.backorder_limit, changed = excluded.changed";
const COUNT_QUEUE: &str = "UPDATE {terms} SET backordered = backordered + $2, changed = $3 WHERE sku = $1";
const JOIN_QUEUE: &str = "INSERT INTO {queue} (sku, reservation, line, pieces, place) \
     VALUES ($1, $2, $3, $4, $5)";
const SHORTEN_QUEUE: &str = "UPDATE {queue} SET pieces = pieces - $4 \
     WHERE sku = $1 AND reservation = $2 AND line = $3";
const LEAVE_QUEUE: &str = "DELETE FROM {queue} \
     WHERE sku = $1 AND reservation = $2 AND line = $3 AND pieces = 0";
const PUT_LOCATION: &str = "INSERT INTO {locations} (location, priority, is_open, country, changed) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (location) DO UPDATE SET priority = excluded.priority, \
     is_open = excluded.is_open, country = excluded.country, changed = excluded.changed";
const ALL_LOCATIONS: &str = "SELECT location, priority, is_open, country FROM {locations} \
     ORDER BY priority, location LIMIT $1";
const OPEN_SHORTFALL: &str = "INSERT INTO {shortfalls} \
     (place, shortfall, sku, location, missing, reservations, counted_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const CLOSE_SHORTFALL: &str = "DELETE FROM {shortfalls} WHERE shortfall = $1";
const SHORTFALLS_BEHIND: &str = "SELECT place, shortfall, sku, location, missing, reservations, counted_at \
     FROM {shortfalls} WHERE place > $1 ORDER BY place LIMIT $2";
const WRITE_MOVEMENT: &str = "INSERT INTO {movements} \
     (sku, place, line, location, delta, kind, reference, reason, booked_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FIRST_PAGE: &str = "SELECT place, line, location, delta, kind, reference, reason, booked_at \
     FROM {movements} WHERE sku = $1 ORDER BY place DESC, line DESC LIMIT $2";
const NEXT_PAGE: &str = "SELECT place, line, location, delta, kind, reference, reason, booked_at \
     FROM {movements} WHERE sku = $1 AND (place, line) < ($3, $4) ORDER BY place DESC, line DESC LIMIT $2";
const STOCK_BEHIND: &str = "SELECT sku, location, on_hand, reserved, missing, quarantined FROM {stock} \
     WHERE (sku, location) > ($1, $2) ORDER BY sku, location LIMIT $3";
const QUEUE_BEHIND: &str = "SELECT sku, reservation, line, pieces FROM {queue} \
     WHERE (sku, reservation, line) > ($1, $2, $3) ORDER BY sku, reservation, line LIMIT $4";

static SHELVES: LazyLock<[String; CHUNKS.len()]> = LazyLock::new(|| CHUNKS.map(shelves_of));
static WAITING: LazyLock<[String; CHUNKS.len()]> = LazyLock::new(|| CHUNKS.map(waiting_of));

/// Terms come as a row without a location, so that one statement tells all that there is to know.
fn shelves_of(skus: usize) -> String {
    let these = these(skus);
    format!(
        "SELECT s.sku, s.location, s.on_hand, s.reserved, s.missing, s.quarantined, s.changed, \
         COALESCE(l.priority, 0), COALESCE(l.is_open, 1), COALESCE(l.changed, 0) \
         FROM {{stock}} s LEFT JOIN {{locations}} l ON l.location = s.location WHERE s.sku IN ({these}) \
         UNION ALL SELECT sku, '', safety, low_below, backorder_limit, backordered, changed, 0, 0, 0 \
         FROM {{terms}} WHERE sku IN ({these})"
    )
}

fn waiting_of(skus: usize) -> String {
    format!(
        "SELECT sku, reservation, line, pieces FROM {{queue}} WHERE sku IN ({}) \
         ORDER BY place, line LIMIT {SERVED_MAX}",
        these(skus)
    )
}

fn these(skus: usize) -> String {
    let places: Vec<String> = (1..=skus).map(|n| format!("${n}")).collect();
    places.join(", ")
}

/// The read models of this service.
pub fn views() -> Vec<View> {
    let stock: &[Table] = &[STOCK, TERMS, QUEUE, LOCATIONS];
    vec![
        View { name: "stock", version: 2, tables: stock, project: project_stock },
        View { name: "movements", version: 2, tables: &[MOVEMENTS], project: project_movements },
        View { name: "shortfalls", version: 1, tables: &[SHORTFALLS], project: project_shortfalls },
    ]
}

fn project_stock(recorded: &Recorded, out: &mut Vec<Statement>) {
    if let Some(event) = recorded.of::<Place>() {
        let PlaceEvent::LocationPut(e) = event.as_ref();
        let put = Statement::new(PUT_LOCATION).arg(e.location.as_str()).arg(e.priority);
        return out.push(put.arg(i64::from(e.open)).arg(e.country.as_str()).arg(recorded.position.get()));
    }
    for change in changes_of(recorded) {
        match change {
            Change::Shelf(change) => out.push(shelf_statement(&change, recorded)),
            Change::Queue { line, sku, pieces } => queue_statements(line, &sku, pieces, recorded, out),
            Change::Terms { sku, terms } => out.push(
                Statement::new(PUT_TERMS)
                    .arg(sku.as_str())
                    .arg(terms.safety)
                    .arg(terms.low_below)
                    .arg(terms.backorder_limit)
                    .arg(recorded.position.get()),
            ),
        }
    }
}

/// What only promises moves one number. What only brings pieces may be the first to come there.
fn shelf_statement(change: &ShelfChange, recorded: &Recorded) -> Statement {
    let ShelfChange { sku, location, on_hand, reserved, missing, quarantined } = change;
    let (on_hand, reserved, missing, quarantined) = (*on_hand, *reserved, *missing, *quarantined);
    let on = |sql| Statement::new(sql).arg(sku.as_str()).arg(location.as_str());
    let changed = recorded.position.get();
    if (on_hand, missing, quarantined) == (0, 0, 0) && reserved != 0 {
        return on(PROMISE).arg(reserved).arg(changed);
    }
    if (reserved, missing) == (0, 0) && on_hand >= 0 {
        return on(PUT_ON_SHELF).arg(on_hand).arg(quarantined).arg(changed);
    }
    on(MOVE_SHELF).arg(on_hand).arg(reserved).arg(missing).arg(quarantined).arg(changed)
}

fn queue_statements(line: u32, sku: &Sku, pieces: i64, recorded: &Recorded, out: &mut Vec<Statement>) {
    let place = recorded.position.get();
    let of = |sql| Statement::new(sql).arg(sku.as_str()).arg(recorded.stream.id()).arg(line);
    out.push(Statement::new(COUNT_QUEUE).arg(sku.as_str()).arg(pieces).arg(place));
    if pieces > 0 {
        out.push(of(JOIN_QUEUE).arg(pieces).arg(place));
    } else {
        out.push(of(SHORTEN_QUEUE).arg(-pieces));
        out.push(of(LEAVE_QUEUE));
    }
}

/// Whether an event promises pieces of this shelf to an order.
pub fn promises(recorded: &Recorded, sku: &Sku, location: &Location) -> bool {
    let promised = |change: &Change| match change {
        Change::Shelf(change) => change.reserved > 0 && (&change.sku, &change.location) == (sku, location),
        Change::Queue { .. } | Change::Terms { .. } => false,
    };
    changes::<Reservation>(recorded).is_some_and(|changes| changes.iter().any(promised))
}

/// What an event does to stock, whosever it is.
pub fn changes_of(recorded: &Recorded) -> Vec<Change> {
    changes::<Reservation>(recorded)
        .or_else(|| changes::<Receipt>(recorded))
        .or_else(|| changes::<Adjustment>(recorded))
        .or_else(|| changes::<Carriage>(recorded))
        .or_else(|| changes::<Count>(recorded))
        .or_else(|| changes::<SkuTerms>(recorded))
        .unwrap_or_default()
}

fn changes<A: Aggregate<Event: MovesStock>>(recorded: &Recorded) -> Option<Vec<Change>> {
    recorded.of::<A>().map(|event| event.changes())
}

fn project_shortfalls(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Count>() else { return };
    match event.as_ref() {
        CountEvent::StockShortfall(e) => {
            let reservations: Vec<String> = e.reservations.iter().map(ToString::to_string).collect();
            let open = Statement::new(OPEN_SHORTFALL).arg(recorded.position.get()).arg(recorded.stream.id());
            let open = open.arg(e.sku.as_str()).arg(e.location.as_str()).arg(e.missing);
            out.push(open.arg(reservations.join(" ")).arg(recorded.time));
        }
        CountEvent::ShortfallResolved(_) => {
            out.push(Statement::new(CLOSE_SHORTFALL).arg(recorded.stream.id()));
        }
        CountEvent::StockCounted(_) => {}
    }
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
    if let Some(event) = recorded.of::<Reservation>() {
        return Movement::of_reservation(&event);
    }
    if let Some(event) = recorded.of::<Receipt>() {
        let ReceiptEvent::StockReceived(e) = event.as_ref();
        return e.lines.iter().map(|line| Movement::received(line, &e.location)).collect();
    }
    if let Some(event) = recorded.of::<Adjustment>() {
        let AdjustmentEvent::StockAdjusted(e) = event.as_ref();
        return vec![Movement::adjusted(e)];
    }
    if let Some(event) = recorded.of::<Carriage>() {
        let TransferEvent::StockTransferred(e) = event.as_ref();
        return Movement::transferred(e).into();
    }
    recorded.of::<Count>().and_then(|event| Movement::of_count(&event)).into_iter().collect()
}

/// The statements that read the shelves and the terms of these SKUs.
pub fn shelves<'a>(skus: impl IntoIterator<Item = &'a Sku>) -> Vec<Statement> {
    by_chunks(skus, &SHELVES)
}

/// The statements that read who waits for these SKUs, the oldest first.
pub fn waiting<'a>(skus: impl IntoIterator<Item = &'a Sku>) -> Vec<Statement> {
    by_chunks(skus, &WAITING)
}

fn by_chunks<'a>(
    skus: impl IntoIterator<Item = &'a Sku>,
    sql: &'static [String; CHUNKS.len()],
) -> Vec<Statement> {
    let mut skus: Vec<&str> = skus.into_iter().map(Sku::as_str).collect();
    skus.sort_unstable();
    skus.dedup();
    let largest = CHUNKS[CHUNKS.len() - 1];
    skus.chunks(largest).map(|chunk| of_chunk(chunk, sql)).collect()
}

/// A shorter list is filled up with its last SKU, which names the same rows again.
fn of_chunk(skus: &[&str], sql: &'static [String; CHUNKS.len()]) -> Statement {
    let fits =
        CHUNKS.iter().position(|size| skus.len() <= *size).expect("a chunk is not over the largest size");
    let last = skus[skus.len() - 1];
    let filled = skus.iter().copied().chain(std::iter::repeat(last)).take(CHUNKS[fits]);
    Statement::new(sql[fits].as_str()).args(filled.map(Value::from))
}

/// The shelves and terms in these rows.
pub fn stock<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Stock {
    let mut stock = Stock::default();
    for row in rows {
        if row.text(1).is_empty() {
            let terms = Terms { safety: row.get(2), low_below: row.get(3), backorder_limit: row.get(4) };
            stock.put_terms(sku_of(row), terms, row.get(5));
        } else {
            let StockRow { sku, location, on_hand, reserved, missing, quarantined } = stock_row(row);
            let rank = Rank { priority: row.get(7), open: row.get::<i64>(8) != 0 };
            stock.put(sku, Shelf { location, on_hand, reserved, missing, quarantined, rank });
        }
    }
    stock
}

/// The place in the log of the last change that these rows of shelves and terms tell of.
pub fn changed<'a>(rows: impl IntoIterator<Item = &'a Row>) -> BTreeMap<Sku, u64> {
    let mut changed = BTreeMap::new();
    for row in rows {
        let newest = row.get::<u64>(6).max(row.get(9));
        let known = changed.entry(sku_of(row)).or_insert(newest);
        *known = newest.max(*known);
    }
    changed
}

/// One who waits.
pub fn waiting_row(row: &Row) -> Waiting {
    let order = row.text(1).parse().expect(KEPT);
    let quantity = Quantity::try_new(row.get::<i64>(3)).expect(KEPT);
    Waiting { order, line: WantedLine { line: row.get(2), sku: sku_of(row), quantity } }
}

const KEPT: &str = "the view holds only what the log held";

fn sku_of(row: &Row) -> Sku {
    Sku::try_new(row.text(0)).expect(KEPT)
}

/// Reads all locations that were put, in the order in which stock is taken from them.
pub fn locations() -> Statement {
    Statement::new(ALL_LOCATIONS).arg(PLACES_MAX)
}

/// One location.
pub fn location_row(row: &Row) -> LocationPut {
    LocationPut {
        location: Location::try_new(row.text(0)).expect(KEPT),
        priority: row.get(1),
        open: row.get::<i64>(2) != 0,
        country: Country::try_new(row.text(3)).expect(KEPT),
    }
}

/// Reads a page of open shortfalls and one more, which tells whether there is another page.
pub fn shortfalls(page: &ShortfallsPage) -> Statement {
    Statement::new(SHORTFALLS_BEHIND).arg(page.after).arg(page.size + 1)
}

/// One open shortfall.
pub fn shortfall_row(row: &Row) -> OpenShortfall {
    OpenShortfall {
        place: row.get(0),
        id: row.get(1),
        sku: row.get(2),
        location: row.get(3),
        missing: row.get(4),
        reservations: row.text(5).split_whitespace().map(str::to_owned).collect(),
        time: row.get(6),
    }
}

/// Reads who waits behind this one (at first: behind none), a page of them. For audits.
pub fn queue_behind(last: Option<&Waiting>) -> Statement {
    let first = Statement::new(QUEUE_BEHIND);
    let behind = match last {
        Some(last) => first.arg(last.line.sku.as_str()).arg(last.order.to_string()).arg(last.line.line),
        None => first.arg("").arg("").arg(0),
    };
    behind.arg(AUDIT_PAGE)
}

/// Reads the shelves behind this one (at first: behind none) by SKU and location, a page of them. For
/// audits; a shop that is awake reads the shelves that it needs.
pub fn stock_behind(last: Option<&StockRow>) -> Statement {
    let (sku, location) = last.map_or(("", ""), |row| (row.sku.as_str(), row.location.as_str()));
    Statement::new(STOCK_BEHIND).arg(sku).arg(location).arg(AUDIT_PAGE)
}

/// One shelf.
pub fn stock_row(row: &Row) -> StockRow {
    StockRow {
        sku: sku_of(row),
        location: Location::try_new(row.text(1)).expect(KEPT),
        on_hand: row.get(2),
        reserved: row.get(3),
        missing: row.get(4),
        quarantined: row.get(5),
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
