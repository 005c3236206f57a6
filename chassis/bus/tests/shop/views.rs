//! What the listener keeps in tables.
use super::{Listener, ListenerEvent};
use souk_eventstore::{Recorded, Statement, Table, View};

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Listener>() else { return };
    let ListenerEvent::Heard(heard) = &*event;
    let statement = Statement::new("INSERT INTO {heard} (position, n) VALUES ($1, $2)");
    out.push(statement.arg(recorded.position.get()).arg(heard.n));
}

const HEARD: View = View {
    name: "heard",
    version: 1,
    tables: &[Table {
        name: "heard",
        ddl: "CREATE TABLE {name} (position BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK (n <> -4))",
        indexes: &[],
    }],
    project,
};

/// The listener's read models.
pub fn views() -> Vec<View> {
    vec![HEARD]
}
