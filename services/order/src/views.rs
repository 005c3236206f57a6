//! The read models: the list of orders by subject, quotes by external reference, and the sagas' table.
use crate::domain::errand::{Errand, ErrandEvent};
use crate::domain::exchange;
use crate::domain::order::{
    Awaits, CAPTURE_REFUSED, Decision, Dispute, ERRAND_STUCK, Fulfilment, GoodsFacts, Label, MoneyFacts,
    NOT_ARRIVED, Obstacles, Order, OrderEvent, OrderPlaced, Payment, Pieces, RETURN_ARRIVED_LATE,
    ReturnClosed, ReturnOpened, SAGA_STUCK, SHIPMENT_LOST, ends_wait, money_moved,
};
use crate::domain::quote::{Quote, QuoteEvent};
use crate::domain::returns::{Return, ReturnEvent, Status as At};
use crate::invariants::Listed;
use crate::place;
use crate::void_rest::REST;
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{OrderId, QuoteId, ReturnId};
use souk_eventstore::{Recorded, Row, Statement, StreamId, Table, View};
use souk_kernel::{Currency, Money, Timestamp};
use souk_rpc::time;

const ORDERS: &[Table] = &[
    Table {
        name: "orders",
        ddl: "CREATE TABLE {name} (order_id TEXT PRIMARY KEY, subject TEXT NOT NULL, quote_id TEXT NOT NULL, \
              status TEXT NOT NULL, payment TEXT NOT NULL, reason TEXT NOT NULL, cancel_asked BIGINT NOT NULL, \
              needs_attention BIGINT NOT NULL, sequence BIGINT NOT NULL, total_minor BIGINT NOT NULL, \
              currency TEXT NOT NULL, market TEXT NOT NULL, external_ref TEXT NOT NULL, \
              placed_at BIGINT NOT NULL, detail TEXT NOT NULL, awaits TEXT NOT NULL, holds BIGINT NOT NULL, \
              capture_refused BIGINT NOT NULL, captured_minor BIGINT NOT NULL, handed_over BIGINT NOT NULL, \
              disputes BIGINT NOT NULL, returned BIGINT NOT NULL, refunded_minor BIGINT NOT NULL, \
              sold BIGINT NOT NULL)",
        indexes: &["CREATE INDEX {name}_subject ON {name} (subject, order_id)"],
    },
    Table {
        name: "attention",
        ddl: "CREATE TABLE {name} (order_id TEXT NOT NULL, about TEXT NOT NULL, reason TEXT NOT NULL, \
              PRIMARY KEY (order_id, about, reason))",
        indexes: &[],
    },
];

const EXTERNAL_REFS: &[Table] = &[Table {
    name: "external_refs",
    ddl: "CREATE TABLE {name} (external_ref TEXT PRIMARY KEY, quote_id TEXT NOT NULL)",
    indexes: &[],
}];

const RETURNS: &[Table] = &[Table {
    name: "returns",
    ddl: "CREATE TABLE {name} (return_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, status TEXT NOT NULL, \
          is_open BIGINT NOT NULL)",
    indexes: &[
        "CREATE INDEX {name}_status ON {name} (status, return_id)",
        "CREATE INDEX {name}_open ON {name} (is_open, return_id)",
    ],
}];

const INSERT_RETURN: &str =
    "INSERT INTO {returns} (return_id, order_id, status, is_open) VALUES ($1, $2, $3, 1)";
const MOVE_RETURN: &str = "UPDATE {returns} SET status = $2, is_open = $3 WHERE return_id = $1";
const MOVE_RETURN_FROM: &str = "UPDATE {returns} SET status = $2 WHERE return_id = $1 AND status = $3";
const RETURNS_AT: &str = "SELECT return_id, status FROM {returns} WHERE status = $1 AND return_id > $2 \
     ORDER BY return_id LIMIT $3";
const RETURNS_OPEN: &str = "SELECT return_id, status FROM {returns} WHERE is_open = $1 AND return_id > $2 \
     ORDER BY return_id LIMIT $3";

const INSERT_ORDER: &str = "INSERT INTO {orders} (order_id, subject, quote_id, status, payment, reason, \
     cancel_asked, needs_attention, sequence, total_minor, currency, market, external_ref, placed_at, detail, \
     awaits, holds, capture_refused, captured_minor, handed_over, disputes, returned, refunded_minor, sold) \
     VALUES ($1, $2, $3, 'PENDING', 'NONE', '', 0, 0, $4, $5, $6, $7, $8, $9, '', '', 0, 0, 0, 0, 0, 0, 0, $10)";
const CONFIRM: &str =
    "UPDATE {orders} SET status = 'CONFIRMED', needs_attention = 0, sequence = $2 WHERE order_id = $1";
const END: &str = "UPDATE {orders} SET status = $3, reason = $4, detail = $5, needs_attention = 0, \
     sequence = $2 WHERE order_id = $1";
const ASK_CANCEL: &str = "UPDATE {orders} SET cancel_asked = 1, sequence = $2 WHERE order_id = $1";
const MOVE_MONEY: &str = "UPDATE {orders} SET payment = $3, needs_attention = 0, awaits = '', sequence = $2 \
     WHERE order_id = $1 AND payment <> $3";
const VOID_MONEY: &str = "UPDATE {orders} SET payment = 'VOIDED', sequence = $2 \
     WHERE order_id = $1 AND payment <> 'NONE' AND payment <> 'VOIDED'";
const CALL_A_PERSON: &str = "UPDATE {orders} SET needs_attention = 1, sequence = $2 WHERE order_id = $1";
const GO_ON: &str = "UPDATE {orders} SET needs_attention = 0 WHERE order_id = $1 AND needs_attention = 1";
const SET_STATUS: &str = "UPDATE {orders} SET status = $3, sequence = $2 WHERE order_id = $1";
const AWAIT: &str = "UPDATE {orders} SET awaits = $3, sequence = $2 WHERE order_id = $1";
const END_WAIT: &str = "UPDATE {orders} SET awaits = '' WHERE order_id = $1 AND awaits <> ''";
const REPRICE: &str =
    "UPDATE {orders} SET awaits = '', total_minor = $3, sold = $4, sequence = $2 WHERE order_id = $1";
const SELL_LESS: &str = "UPDATE {orders} SET awaits = '', total_minor = $3, sold = sold - $4, sequence = $2 \
     WHERE order_id = $1";
const DROP_CANCEL: &str = "UPDATE {orders} SET cancel_asked = 0, sequence = $2 WHERE order_id = $1";
const HAND_OVER: &str = "UPDATE {orders} SET status = $3, handed_over = handed_over + $4, sequence = $2 \
     WHERE order_id = $1";
const LOSE: &str = "UPDATE {orders} SET handed_over = handed_over - $3, sequence = $2 WHERE order_id = $1";
const PAY: &str =
    "UPDATE {orders} SET captured_minor = captured_minor + $3, sequence = $2 WHERE order_id = $1";
const DISPUTE: &str = "UPDATE {orders} SET disputes = disputes + $3, sequence = $2 WHERE order_id = $1";
/// `returned`: 0 nothing, 1 some of it, 2 everything.
const BACK: &str = "UPDATE {orders} SET returned = CASE WHEN returned > $3 THEN returned ELSE $3 END, \
     sequence = $2 WHERE order_id = $1";
const GIVE_BACK: &str =
    "UPDATE {orders} SET refunded_minor = refunded_minor + $3, sequence = $2 WHERE order_id = $1";
const HOLD: &str = "UPDATE {orders} SET holds = holds + 1, capture_refused = CASE WHEN $3 = 1 THEN 1 \
     ELSE capture_refused END, sequence = $2 WHERE order_id = $1";
const UNHOLD: &str = "UPDATE {orders} SET holds = 0, capture_refused = CASE WHEN $3 = 1 THEN 0 \
     ELSE capture_refused END, sequence = $2 WHERE order_id = $1";
const MOVE_ON: &str = "UPDATE {orders} SET sequence = $2 WHERE order_id = $1";
const CALL: &str = "INSERT INTO {attention} (order_id, about, reason) VALUES ($1, $2, $3) \
     ON CONFLICT (order_id, about, reason) DO NOTHING";
const CALL_NO_MORE: &str = "DELETE FROM {attention} WHERE order_id = $1 AND about = $2 AND reason = $3";
const ALL_SEEN_TO: &str = "DELETE FROM {attention} WHERE order_id = $1";
const INSERT_REF: &str = "INSERT INTO {external_refs} (external_ref, quote_id) VALUES ($1, $2)";
const FIND_REF: &str = "SELECT quote_id FROM {external_refs} WHERE external_ref = $1";
const PAGE: &str = "SELECT order_id, subject, quote_id, status, payment, reason, cancel_asked, \
     needs_attention, sequence, total_minor, currency, market, external_ref, placed_at, detail, awaits, holds, \
     capture_refused, captured_minor, handed_over, CASE WHEN EXISTS (SELECT 1 FROM {attention} \
     WHERE {attention}.order_id = {orders}.order_id) THEN 1 ELSE 0 END, disputes, returned, refunded_minor, \
     sold FROM {orders} WHERE subject = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3";

/// What stands in the column while the customer is asked for something.
const AWAITS_PAYMENT: &str = "PAYMENT";
const AWAITS_CONSENT: &str = "CONSENT";

/// Greater than every order's id: where the first page begins.
const AFTER_THE_NEWEST: &str = "ord_z";

/// All read models of the service.
pub fn views() -> Vec<View> {
    vec![
        View { name: "orders", version: 4, tables: ORDERS, project: project_orders },
        View { name: "returns", version: 1, tables: RETURNS, project: project_returns },
        View { name: "external_refs", version: 1, tables: EXTERNAL_REFS, project: project_refs },
        souk_saga::views::view(project_sagas),
    ]
}

fn project_sagas(recorded: &Recorded, out: &mut Vec<Statement>) {
    match recorded.of::<Order>().as_deref() {
        Some(OrderEvent::SagaMoved(moved)) => souk_saga::views::project(recorded, moved, out),
        Some(OrderEvent::OrderConfirmed(confirmed)) => {
            out.extend(wake_return(recorded, confirmed.order_id, Some(confirmed.quote_id)));
        }
        Some(OrderEvent::OrderRejected(rejected)) => {
            out.extend(wake_return(recorded, rejected.order_id, None))
        }
        // Nothing of the sale was outstanding while the customer was asked.
        Some(OrderEvent::RemainderAccepted(_)) => {
            out.push(souk_saga::views::wake(recorded, place::NAME));
        }
        Some(
            OrderEvent::OrderPlaced(_)
            | OrderEvent::OrderAwaitingCustomer(_)
            | OrderEvent::CancelRequested(_)
            | OrderEvent::CancelRefused(_)
            | OrderEvent::OrderCancelled(_)
            | OrderEvent::OrderProcessingStarted(_)
            | OrderEvent::ParcelShipped(_)
            | OrderEvent::ParcelMoved(_)
            | OrderEvent::ParcelPaid(_)
            | OrderEvent::PaymentDisputed(_)
            | OrderEvent::OrderDelivered(_)
            | OrderEvent::OrderCompleted(_)
            | OrderEvent::LinesCancelRequested(_)
            | OrderEvent::OrderLineCancelled(_)
            | OrderEvent::LinesCancelRefused(_)
            | OrderEvent::ParcelResent(_)
            | OrderEvent::ResendRefused(_)
            | OrderEvent::ParcelResolved(_)
            | OrderEvent::ParcelRefunded(_)
            | OrderEvent::RestVoidRequested(_)
            | OrderEvent::RestVoided(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::OrderReleased(_)
            | OrderEvent::OrderNeedsAttention(_)
            | OrderEvent::ReturnOpened(_)
            | OrderEvent::GoodsReturned(_)
            | OrderEvent::ReturnRefunded(_)
            | OrderEvent::ReturnClosed(_),
        )
        | None => {}
    }
    if let Some(ErrandEvent::ErrandMoved(moved)) = recorded.of::<Errand>().as_deref() {
        souk_saga::views::project(recorded, moved, out);
    }
    if let Some(ReturnEvent::ReturnMoved(moved)) = recorded.of::<Return>().as_deref() {
        souk_saga::views::project(recorded, moved, out);
    }
}

/// A return waits for what becomes of the order that replaces it. Of a sale that was confirmed the quote's id tells
/// whether it is one.
fn wake_return(recorded: &Recorded, order_id: OrderId, quote_id: Option<QuoteId>) -> Option<Statement> {
    let return_id = exchange::return_of(order_id);
    let may_wait = quote_id.is_none_or(|quote_id| quote_id == exchange::quote_of(return_id));
    let stream = StreamId::of::<Return>(return_id);
    may_wait.then(|| souk_saga::views::wake_other(recorded, &stream, crate::returns::SETTLE))
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

fn project_returns(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Return>() else { return };
    let id = recorded.stream.id();
    let word = crate::proto::returns::status_name;
    let begin = |order_id: OrderId, at: At| {
        Some(Statement::new(INSERT_RETURN).arg(id).arg(order_id.to_string()).arg(word(at)))
    };
    let to = |at: At| Some(Statement::new(MOVE_RETURN).arg(id).arg(word(at)).arg(i64::from(at.is_open())));
    let from =
        |before: At, at: At| Some(Statement::new(MOVE_RETURN_FROM).arg(id).arg(word(at)).arg(word(before)));
    out.extend(match &*event {
        ReturnEvent::ReturnRequested(asked) => begin(asked.whose.order_id, At::Requested),
        ReturnEvent::ReturnRecorded(told) => begin(told.whose.order_id, At::Inspected),
        ReturnEvent::ReturnApproved(_) => to(At::Approved),
        ReturnEvent::ReturnRejected(_) => to(At::Rejected),
        ReturnEvent::ReturnCancelled(_) => to(At::Cancelled),
        ReturnEvent::ReturnLabelIssued(_) => from(At::Approved, At::LabelIssued),
        ReturnEvent::ReturnReceived(_) => to(At::Received),
        ReturnEvent::ReturnInspected(_) => to(At::Inspected),
        ReturnEvent::ReturnResolved(resolved) => to(At::of_end(resolved.end)),
        ReturnEvent::ReturnExpired(_) => to(At::Expired),
        ReturnEvent::ReturnArrivedLate(_) => to(At::ArrivedLate),
        // The stock is booked, by itself or by hand.
        ReturnEvent::ReturnMoved(souk_saga::Event::StepDone { step, .. })
            if step == crate::returns::RESTOCK =>
        {
            from(At::Inspected, At::Refunding)
        }
        ReturnEvent::ReturnMoved(souk_saga::Event::Intervened { step, operation, .. })
            if step == crate::returns::RESTOCK && *operation == souk_saga::Operation::Skip =>
        {
            from(At::Inspected, At::Refunding)
        }
        ReturnEvent::ReturnMoved(_) => None,
    });
}

/// The returns behind `after` that stand there, or all that are not at their end; the oldest first.
pub fn queue(at: Option<At>, after: Option<&ReturnId>, limit: u32) -> Statement {
    let after = after.map(ToString::to_string).unwrap_or_default();
    let statement = match at {
        Some(at) => Statement::new(RETURNS_AT).arg(crate::proto::returns::status_name(at)),
        None => Statement::new(RETURNS_OPEN).arg(1i64),
    };
    statement.arg(after).arg(limit)
}

/// Reads a row of [`queue`]: which return, and where the list says that it is.
pub fn queue_row(row: &Row) -> Option<(ReturnId, String)> {
    Some((row.text(0).parse().ok()?, row.text(1).to_owned()))
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
        OrderEvent::CancelRequested(_) => {
            let id = recorded.stream.id();
            out.push(Statement::new(CALL_NO_MORE).arg(id).arg(place::CAPTURE).arg(CAPTURE_REFUSED));
            Some(at(ASK_CANCEL))
        }
        OrderEvent::CancelRefused(_) => Some(at(DROP_CANCEL)),
        OrderEvent::OrderAwaitingCustomer(asked) => Some(at(AWAIT).arg(match &asked.awaits {
            Awaits::Payment { .. } => AWAITS_PAYMENT,
            Awaits::Consent { .. } => AWAITS_CONSENT,
        })),
        OrderEvent::RemainderAccepted(accepted) => {
            let remainder = &accepted.remainder;
            let sold: i64 = remainder.lines.iter().map(|line| i64::from(line.quantity.get())).sum();
            Some(at(REPRICE).arg(remainder.total.minor_units()).arg(sold))
        }
        OrderEvent::OrderProcessingStarted(_) => Some(at(SET_STATUS).arg("PROCESSING")),
        OrderEvent::OrderDelivered(_) => Some(at(SET_STATUS).arg("DELIVERED")),
        OrderEvent::OrderCompleted(_) => Some(at(SET_STATUS).arg("COMPLETED")),
        OrderEvent::ParcelShipped(_)
        | OrderEvent::ParcelMoved(_)
        | OrderEvent::ParcelPaid(_)
        | OrderEvent::PaymentDisputed(_)
        | OrderEvent::LinesCancelRequested(_)
        | OrderEvent::OrderLineCancelled(_)
        | OrderEvent::LinesCancelRefused(_)
        | OrderEvent::ParcelResent(_)
        | OrderEvent::ResendRefused(_)
        | OrderEvent::ParcelResolved(_)
        | OrderEvent::ParcelRefunded(_)
        | OrderEvent::RestVoidRequested(_)
        | OrderEvent::RestVoided(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderNeedsAttention(_)
        | OrderEvent::ReturnOpened(_)
        | OrderEvent::GoodsReturned(_)
        | OrderEvent::ReturnRefunded(_)
        | OrderEvent::ReturnClosed(_) => {
            project_after(recorded, &event, out);
            None
        }
        OrderEvent::SagaMoved(moved) => match money_moved(&event) {
            Some(Payment::Voided) => {
                out.push(Statement::new(GO_ON).arg(recorded.stream.id()));
                Some(at(VOID_MONEY))
            }
            Some(payment) => Some(at(MOVE_MONEY).arg(payment_text(payment))),
            None => {
                let turns_back = ends_wait(moved);
                out.extend(turns_back.then(|| Statement::new(END_WAIT).arg(recorded.stream.id())));
                attention(recorded, moved)
            }
        },
    };
    out.extend(statement);
}

/// What becomes of an order that is shipped.
fn project_after(recorded: &Recorded, event: &OrderEvent, out: &mut Vec<Statement>) {
    let id = recorded.stream.id();
    let at = |sql| Statement::new(sql).arg(id).arg(recorded.version);
    let settled = |about: &str| Statement::new(CALL_NO_MORE).arg(id).arg(about).arg(ERRAND_STUCK);
    match event {
        OrderEvent::ParcelShipped(_)
        | OrderEvent::ParcelMoved(_)
        | OrderEvent::ParcelResolved(_)
        | OrderEvent::ParcelResent(_)
        | OrderEvent::ResendRefused(_)
        | OrderEvent::ParcelRefunded(_)
        | OrderEvent::ParcelPaid(_) => project_parcel(recorded, event, out),
        OrderEvent::PaymentDisputed(disputed) => out.push(at(DISPUTE).arg(match disputed.dispute {
            Dispute::Opened => 1i64,
            Dispute::Won => -1,
            Dispute::Lost => 0,
        })),
        OrderEvent::OrderLineCancelled(cancelled) => {
            let pieces: i64 = cancelled.pieces.iter().map(|part| i64::from(part.quantity.get())).sum();
            out.push(at(SELL_LESS).arg(cancelled.total.minor_units()).arg(pieces));
            out.push(settled(&cancelled.cancel_id));
        }
        OrderEvent::LinesCancelRefused(refused) => out.push(settled(&refused.cancel_id)),
        OrderEvent::RestVoided(_) => {
            out.push(at(MOVE_ON));
            out.push(settled(REST));
        }
        OrderEvent::OrderHeld(held) => out.push(at(HOLD).arg(i64::from(held.reason == CAPTURE_REFUSED))),
        OrderEvent::OrderReleased(released) => {
            out.push(at(UNHOLD).arg(i64::from(released.is_by_itself())));
            out.push(Statement::new(ALL_SEEN_TO).arg(id));
        }
        // The saga's own move says so already.
        OrderEvent::OrderNeedsAttention(needs) if needs.reason == SAGA_STUCK => {}
        OrderEvent::OrderNeedsAttention(needs) => {
            out.push(at(MOVE_ON));
            out.push(Statement::new(CALL).arg(id).arg(&needs.about).arg(needs.reason.as_str()));
        }
        OrderEvent::ReturnOpened(ReturnOpened { return_id, .. })
        | OrderEvent::ReturnClosed(ReturnClosed { return_id }) => {
            out.push(at(MOVE_ON));
            let came = Statement::new(CALL_NO_MORE).arg(id).arg(return_id.to_string());
            out.push(came.arg(RETURN_ARRIVED_LATE));
        }
        OrderEvent::GoodsReturned(returned) => {
            out.push(at(BACK).arg(if returned.is_all { 2i64 } else { 1 }));
        }
        OrderEvent::ReturnRefunded(refunded) => {
            out.push(at(GIVE_BACK).arg(refunded.refund.minor_units()));
            out.push(settled(&refunded.return_id.to_string()));
        }
        OrderEvent::OrderPlaced(_)
        | OrderEvent::SagaMoved(_)
        | OrderEvent::OrderAwaitingCustomer(_)
        | OrderEvent::RemainderAccepted(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::CancelRequested(_)
        | OrderEvent::CancelRefused(_)
        | OrderEvent::OrderCancelled(_)
        | OrderEvent::OrderProcessingStarted(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::LinesCancelRequested(_)
        | OrderEvent::RestVoidRequested(_) => {}
    }
}

/// What becomes of a parcel.
fn project_parcel(recorded: &Recorded, event: &OrderEvent, out: &mut Vec<Statement>) {
    let id = recorded.stream.id();
    let at = |sql| Statement::new(sql).arg(id).arg(recorded.version);
    let settled = |about: &str| Statement::new(CALL_NO_MORE).arg(id).arg(about).arg(ERRAND_STUCK);
    let found =
        |about: &str| NOT_ARRIVED.map(|reason| Statement::new(CALL_NO_MORE).arg(id).arg(about).arg(reason));
    match event {
        OrderEvent::ParcelShipped(shipped) => {
            let status = if shipped.is_last { "SHIPPED" } else { "PARTIALLY_SHIPPED" };
            let pieces: i64 = shipped.lines.iter().map(|line| i64::from(line.quantity.get())).sum();
            // What is sent again had left before.
            out.push(match shipped.again {
                None => at(HAND_OVER).arg(status).arg(pieces),
                Some(_) => at(MOVE_ON),
            });
        }
        OrderEvent::ParcelMoved(moved) => {
            out.push(at(MOVE_ON));
            out.extend(moved.to.is_found().then(|| found(&moved.shipment_id)).into_iter().flatten());
        }
        OrderEvent::ParcelResolved(resolved) => {
            let is_lost = !resolved.came_back && resolved.decision == Decision::Refund;
            let lost = |part: &Pieces| if !is_lost { 0 } else { i64::from(part.quantity.get()) };
            out.push(at(LOSE).arg(resolved.pieces.iter().map(lost).sum::<i64>()));
            let back = if resolved.came_back { 1i64 + i64::from(resolved.is_all) } else { 0 };
            out.push(at(BACK).arg(back));
            out.extend(found(&resolved.shipment_id));
        }
        OrderEvent::ParcelResent(resent) => out.extend([at(MOVE_ON), settled(&resent.shipment_id)]),
        OrderEvent::ResendRefused(refused) => {
            let lost = Statement::new(CALL).arg(id).arg(&refused.shipment_id).arg(SHIPMENT_LOST);
            out.extend([at(MOVE_ON), settled(&refused.shipment_id), lost]);
        }
        OrderEvent::ParcelRefunded(refunded) => {
            let give_back = at(GIVE_BACK).arg(refunded.refund.minor_units());
            out.extend([give_back, settled(&refunded.shipment_id)]);
        }
        OrderEvent::ParcelPaid(paid) => {
            out.push(at(PAY).arg(paid.amount.minor_units()));
            out.push(settled(&paid.shipment_id));
        }
        OrderEvent::OrderPlaced(_)
        | OrderEvent::SagaMoved(_)
        | OrderEvent::OrderAwaitingCustomer(_)
        | OrderEvent::RemainderAccepted(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderRejected(_)
        | OrderEvent::CancelRequested(_)
        | OrderEvent::CancelRefused(_)
        | OrderEvent::OrderCancelled(_)
        | OrderEvent::OrderProcessingStarted(_)
        | OrderEvent::PaymentDisputed(_)
        | OrderEvent::OrderDelivered(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::LinesCancelRequested(_)
        | OrderEvent::OrderLineCancelled(_)
        | OrderEvent::LinesCancelRefused(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderNeedsAttention(_)
        | OrderEvent::ReturnOpened(_)
        | OrderEvent::GoodsReturned(_)
        | OrderEvent::ReturnRefunded(_)
        | OrderEvent::ReturnClosed(_)
        | OrderEvent::RestVoidRequested(_)
        | OrderEvent::RestVoided(_) => {}
    }
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
        .arg(placed.lines.iter().map(|line| i64::from(line.quantity.get())).sum::<i64>())
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
        needs_attention: needs_attention(row),
        detail: row.text(14).to_owned(),
        fulfilment: crate::proto::fulfilment(fulfilment(row)).into(),
        label: crate::proto::told(label(row), fulfilment(row), row.text(15) == AWAITS_PAYMENT).into(),
        ..pb::Order::default()
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
        fulfilment: fulfilment(row),
        reason: row.text(5).to_owned(),
        needs_attention: needs_attention(row),
        sequence: row.get::<i64>(8).unsigned_abs(),
        total: Money::new(row.get(9), Currency::parse(row.text(10))?),
    })
}

fn needs_attention(row: &Row) -> bool {
    row.get::<i64>(7) != 0 || row.get::<i64>(20) != 0
}

fn label(row: &Row) -> Label {
    let usual = match row.text(3) {
        "REJECTED" => return Label::Rejected,
        "CANCELLED" => return Label::Cancelled,
        "COMPLETED" => return Label::Completed,
        "CONFIRMED" => Label::Confirmed,
        "PROCESSING" => Label::Processing,
        "PARTIALLY_SHIPPED" => Label::PartiallyShipped,
        "SHIPPED" => Label::Shipped,
        "DELIVERED" => Label::Delivered,
        _ => Label::Pending,
    };
    let obstacles = Obstacles {
        cancel_asked: row.get::<i64>(6) != 0,
        is_held: row.get::<i64>(16) != 0,
        awaits_customer: !row.text(15).is_empty(),
    };
    obstacles.before(usual)
}

fn payment(row: &Row) -> Payment {
    let all = [Payment::Authorized, Payment::Captured, Payment::Voided, Payment::Refunded];
    let by_sagas = all.into_iter().find(|payment| payment_text(*payment) == row.text(4));
    Payment::of(MoneyFacts {
        by_sagas: by_sagas.unwrap_or(Payment::None),
        awaits_payment: row.text(15) == AWAITS_PAYMENT,
        capture_refused: row.get::<i64>(17) != 0,
        disputed: row.get::<i64>(21) > 0,
        captured_minor: row.get(18),
        total_minor: row.get(9),
        refunded_minor: row.get(23),
    })
}

fn fulfilment(row: &Row) -> Fulfilment {
    Fulfilment::of(GoodsFacts {
        sold: row.get::<i64>(24).unsigned_abs(),
        handed_over: row.get::<i64>(19).unsigned_abs(),
        all_back: match row.get::<i64>(22) {
            0 => None,
            back => Some(back > 1),
        },
    })
}

/// What the sagas do to the money; the rest follows from other columns.
fn payment_text(payment: Payment) -> &'static str {
    match payment {
        Payment::None => "NONE",
        Payment::Pending => "PENDING",
        Payment::Authorized => "AUTHORIZED",
        Payment::PartiallyCaptured => "PARTIALLY_CAPTURED",
        Payment::Captured => "CAPTURED",
        Payment::Voided => "VOIDED",
        Payment::PartiallyRefunded => "PARTIALLY_REFUNDED",
        Payment::Refunded => "REFUNDED",
        Payment::Failed => "FAILED",
        Payment::Disputed => "DISPUTED",
    }
}
