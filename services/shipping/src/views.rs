//! The table of labels, by which a carrier's notice finds its parcel, and the table of sagas.
use crate::carry;
use crate::domain::Shipment;
use crate::domain::shipment::ShipmentEvent;
use souk_eventstore::{Recorded, Row, Statement, StreamId, Table, View};

/// Streams of returns begin so; an order's shipments have ids of their own.
pub const RETURN: &str = "return:";

const LABELS: Table = Table {
    name: "labels",
    ddl: "CREATE TABLE {name} (tracking_code TEXT PRIMARY KEY, parcel TEXT NOT NULL, label_key TEXT NOT NULL, \
          is_void BIGINT NOT NULL)",
    indexes: &["CREATE UNIQUE INDEX {name}_by_key ON {name} (label_key)"],
};

const ADD: &str = "INSERT INTO {labels} (tracking_code, parcel, label_key, is_void) VALUES ($1, $2, $3, 0)";
const VOID: &str = "UPDATE {labels} SET is_void = 1 WHERE label_key = $1";
const FIND: &str = "SELECT parcel FROM {labels} WHERE tracking_code = $1";

/// The read models of this service.
pub fn views() -> Vec<View> {
    vec![
        View { name: "labels", version: 1, tables: &[LABELS], project: project_labels },
        souk_saga::views::view(project_sagas),
    ]
}

fn project_labels(recorded: &Recorded, out: &mut Vec<Statement>) {
    // Few events are about labels, and a kind is cheaper to look at than an event.
    if !matches!(&*recorded.kind, "LabelBought" | "LabelVoided") {
        return;
    }
    match recorded.of::<Shipment>().as_deref() {
        Some(ShipmentEvent::LabelBought(bought)) => {
            let (code, key) = (bought.tracking_code.as_ref(), bought.key.as_ref());
            out.push(Statement::new(ADD).arg(code).arg(recorded.stream.as_str()).arg(key));
        }
        Some(ShipmentEvent::LabelVoided(voided)) => {
            out.push(Statement::new(VOID).arg(voided.key.as_ref()));
        }
        Some(_) | None => {}
    }
}

fn project_sagas(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Shipment>() else { return };
    let is_return = recorded.stream.id().starts_with(RETURN);
    souk_saga::views::project(recorded, &carry::row_move(&event, is_return), out);
}

/// The parcel with this tracking code.
pub fn by_tracking_code(tracking_code: &str) -> Statement {
    Statement::new(FIND).arg(tracking_code)
}

/// Reads a row of [`by_tracking_code`].
pub fn parcel(row: &Row) -> Option<StreamId> {
    StreamId::parse(row.text(0))
}
