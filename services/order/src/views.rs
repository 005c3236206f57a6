//! The read models: the list of orders by subject, quotes by external reference, and the sagas' table.
use crate::domain::order::{Label, Order, OrderEvent, OrderPlaced, Payment, money_moved};
use crate::domain::quote::{Quote, QuoteEvent};
use crate::invariants::Listed;
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{OrderId, QuoteId};
use souk_eventstore::{Recorded, Row, Statement, Table, View};
use souk_kernel::{Currency, Money, Timestamp};
use souk_rpc::time;

const ORDERS: &[Table] = &[Table {
    name: "orders",
    ddl: "CREATE TABLE {name} (order_id TEXT PRIMARY KEY, subject TEXT NOT NULL, quote_id TEXT NOT NULL, \
          status TEXT NOT NULL, payment TEXT NOT NULL, reason TEXT NOT NULL, cancel_asked BIGINT NOT NULL, \
          needs_attention BIGINT NOT NULL, sequence BIGINT NOT NULL, total_minor BIGINT NOT NULL, \
          currency TEXT NOT NULL, market TEXT NOT NULL, external_ref TEXT NOT NULL, placed_at BIGINT NOT NULL, \
          detail TEXT NOT NULL)",
    indexes: &["CREATE INDEX {name}_subject ON {name} (subject, order_id)"],
}];

const EXTERNAL_REFS: &[Table] = &[Table {
    name: "external_refs",
    ddl: "CREATE TABLE {name} (external_ref TEXT PRIMARY KEY, quote_id TEXT NOT NULL)",
    indexes: &[],
}];

const INSERT_ORDER: &str = "INSERT INTO {orders} (order_id, subject, quote_id, status, payment, reason, \
     cancel_asked, needs_attention, sequence, total_minor, currency, market, external_ref, placed_at, detail) \
     VALUES ($1, $2, $3, 'PENDING', 'NONE', '', 0, 0, $4, $5, $6, $7, $8, $9, '')";
const CONFIRM: &str =
    "UPDATE {orders} SET status = 'CONFIRMED', needs_attention = 0, sequence = $2 WHERE order_id = $1";
const END: &str = "UPDATE {orders} SET status = $3, reason = $4, detail = $5, needs_attention = 0, \
     sequence = $2 WHERE order_id = $1";
const ASK_CANCEL: &str = "UPDATE {orders} SET cancel_asked = 1, sequence = $2 WHERE order_id = $1";
const MOVE_MONEY: &str = "UPDATE {orders} SET payment = $3, needs_attention = 0, sequence = $2 \
     WHERE order_id = $1 AND payment <> $3";
const VOID_MONEY: &str = "UPDATE {orders} SET payment = 'VOIDED', sequence = $2 \
     WHERE order_id = $1 AND payment <> 'NONE' AND payment <> 'VOIDED'";
const CALL_A_PERSON: &str = "UPDATE {orders} SET needs_attention = 1, sequence = $2 WHERE order_id = $1";
const GO_ON: &str = "UPDATE {orders} SET needs_attention = 0 WHERE order_id = $1 AND needs_attention = 1";
const INSERT_REF: &str = "INSERT INTO {external_refs} (external_ref, quote_id) VALUES ($1, $2)";
const FIND_REF: &str = "SELECT quote_id FROM {external_refs} WHERE external_ref = $1";
const PAGE: &str = "SELECT order_id, subject, quote_id, status, payment, reason, cancel_asked, \
     needs_attention, sequence, total_minor, currency, market, external_ref, placed_at, detail \
     FROM {orders} WHERE subject = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3";

/// Greater than every order's id: where the first page begins.
const AFTER_THE_NEWEST: &str = "ord_z";

/// All read models of the service.
pub fn views() -> Vec<View> {
    vec![
        View { name: "orders", version: 1, tables: ORDERS, project: project_orders },
        View { name: "external_refs", version: 1, tables: EXTERNAL_REFS, project: project_refs },
        souk_saga::views::view(project_sagas),
    ]
}

fn project_sagas(recorded: &Recorded, out: &mut Vec<Statement>) {
    match recorded.of::<Order>().as_deref() {
        Some(OrderEvent::SagaMoved(moved)) => souk_saga::views::project(recorded, moved, out),
        Some(
            OrderEvent::OrderPlaced(_)
            | OrderEvent::OrderConfirmed(_)
            | OrderEvent::OrderRejected(_)
            | OrderEvent::CancelRequested(_)
            | OrderEvent::OrderCancelled(_),
        )
        | None => {}
    }
}

fn project_refs(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Quote>() else { return };
    match &*event {
        QuoteEvent::QuoteCreated(offer) if !offer.external_ref().is_empty() => {
            out.push(Statement::new(INSERT_REF).arg(offer.external_ref()).arg(offer.quote_id.to_string()));
        }
        QuoteEvent::QuoteCreated(_) | QuoteEvent::QuoteRenewed(_) | QuoteEvent::QuoteAccepted(_) => {}
    }
}

fn project_orders(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Order>() else { return };
    let at = |sql| Statement::new(sql).arg(recorded.stream.id()).arg(recorded.version);
    let statement = match &*event {
        OrderEvent::OrderPlaced(placed) => Some(insert(recorded, placed)),
        OrderEvent::OrderConfirmed(_) => Some(at(CONFIRM)),
        OrderEvent::OrderRejected(end) => {
            Some(at(END).arg("REJECTED").arg(end.reason.as_str()).arg(end.detail.as_str()))
        }
        OrderEvent::OrderCancelled(end) => Some(at(END).arg("CANCELLED").arg(end.reason.as_str()).arg("")),
        OrderEvent::CancelRequested(_) => Some(at(ASK_CANCEL)),
        OrderEvent::SagaMoved(moved) => match money_moved(&event) {
            Some(Payment::Voided) => {
                out.push(Statement::new(GO_ON).arg(recorded.stream.id()));
                Some(at(VOID_MONEY))
            }
            Some(payment) => Some(at(MOVE_MONEY).arg(payment_text(payment))),
            None => attention(recorded, moved),
        },
    };
    out.extend(statement);
}

/// Whether a person's work begins or ends with a saga's move.
fn attention(recorded: &Recorded, moved: &souk_saga::Event) -> Option<Statement> {
    use souk_saga::Event;
    match moved {
        Event::NeedsOperator { .. } => {
            Some(Statement::new(CALL_A_PERSON).arg(recorded.stream.id()).arg(recorded.version))
        }
        Event::StepDone { .. }
        | Event::StepRefused { .. }
        | Event::StepUndone { .. }
        | Event::UndoStarted { .. }
        | Event::Abandoned { .. }
        | Event::Intervened { .. } => Some(Statement::new(GO_ON).arg(recorded.stream.id())),
        Event::Started { .. }
        | Event::StepDelayed { .. }
        | Event::Completed { .. }
        | Event::Undone { .. } => None,
    }
}

fn insert(recorded: &Recorded, placed: &OrderPlaced) -> Statement {
    Statement::new(INSERT_ORDER)
        .arg(recorded.stream.id())
        .arg(&placed.subject)
        .arg(placed.quote_id.to_string())
        .arg(recorded.version)
        .arg(placed.total.minor_units())
        .arg(placed.total.currency().code())
        .arg(placed.market.as_str())
        .arg(&placed.external_ref)
        .arg(placed.placed_at)
}

/// The quote of an external reference.
pub fn find_ref(external_ref: &str) -> Statement {
    Statement::new(FIND_REF).arg(external_ref)
}

/// Reads a row of [`find_ref`].
pub fn ref_row(row: &Row) -> Option<QuoteId> {
    row.text(0).parse().ok()
}

/// The orders of a subject that are older than `before`, newest first.
pub fn page(subject: &str, before: Option<&OrderId>, limit: u32) -> Statement {
    let before = before.map_or_else(|| AFTER_THE_NEWEST.to_owned(), ToString::to_string);
    Statement::new(PAGE).arg(subject).arg(before).arg(limit)
}

/// A row of [`page`] as a message, without lines.
pub fn order_row(row: &Row) -> pb::Order {
    let currency = row.text(10).to_owned();
    pb::Order {
        order_id: row.text(0).to_owned(),
        subject: row.text(1).to_owned(),
        quote_id: row.text(2).to_owned(),
        status: crate::proto::status(label(row)).into(),
        payment: crate::proto::payment(payment(row)).into(),
        lines: Vec::new(),
        total: Some(souk_contracts::types::v1::Money { minor_units: row.get(9), currency }),
        market: row.text(11).to_owned(),
        reason: row.text(5).to_owned(),
        sequence: row.get::<i64>(8).unsigned_abs(),
        placed_at: Some(time::to_proto(Timestamp::from_unix_us(row.get(13)))),
        external_ref: row.text(12).to_owned(),
        needs_attention: row.get::<i64>(7) != 0,
        detail: row.text(14).to_owned(),
    }
}

/// A row of [`page`] for a comparison with the fold; `None` when it holds what no order can have.
pub fn listed(row: &Row) -> Option<Listed> {
    Some(Listed {
        order_id: row.text(0).parse().ok()?,
        subject: row.text(1).to_owned(),
        quote_id: row.text(2).parse().ok()?,
        status: label(row),
        payment: payment(row),
        reason: row.text(5).to_owned(),
        needs_attention: row.get::<i64>(7) != 0,
        sequence: row.get::<i64>(8).unsigned_abs(),
        total: Money::new(row.get(9), Currency::parse(row.text(10))?),
    })
}

fn label(row: &Row) -> Label {
    let cancel_asked = row.get::<i64>(6) != 0;
    match row.text(3) {
        "REJECTED" => Label::Rejected,
        "CANCELLED" => Label::Cancelled,
        _ if cancel_asked => Label::Cancelling,
        "CONFIRMED" => Label::Confirmed,
        _ => Label::Pending,
    }
}

fn payment(row: &Row) -> Payment {
    let all = [Payment::Authorized, Payment::Captured, Payment::Voided, Payment::Refunded];
    all.into_iter().find(|payment| payment_text(*payment) == row.text(4)).unwrap_or(Payment::None)
}

fn payment_text(payment: Payment) -> &'static str {
    match payment {
        Payment::None => "NONE",
        Payment::Authorized => "AUTHORIZED",
        Payment::Captured => "CAPTURED",
        Payment::Voided => "VOIDED",
        Payment::Refunded => "REFUNDED",
    }
}
