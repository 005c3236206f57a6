//! Which cart is whose.
use crate::domain::{Cart, CartEvent};
use souk_contracts::terms::CartId;
use souk_eventstore::{EventStore, Recorded, Statement, Table, View};
use souk_kernel::Error;

/// The active cart of each owner.
pub const CARTS: View = View {
    name: "carts",
    version: 1,
    tables: &[Table {
        name: "active_cart",
        ddl: "CREATE TABLE {name} (owner TEXT PRIMARY KEY, cart_id TEXT NOT NULL)",
        indexes: &[],
    }],
    project,
};

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    const OPENED: &str = "INSERT INTO {active_cart} (owner, cart_id) VALUES ($1, $2) \
         ON CONFLICT (owner) DO UPDATE SET cart_id = excluded.cart_id";
    const CLOSED: &str = "DELETE FROM {active_cart} WHERE owner = $1 AND cart_id = $2";
    // Most events change nothing here; their kind says so without reading them.
    if !matches!(recorded.kind.as_ref(), "CartOpened" | "CartConverted" | "CartMerged") {
        return;
    }
    let Some(event) = recorded.of::<Cart>() else { return };
    match event.as_ref() {
        CartEvent::CartOpened(opened) => {
            out.push(Statement::new(OPENED).arg(&opened.owner).arg(opened.cart_id.to_string()));
        }
        CartEvent::CartConverted(converted) => {
            out.push(Statement::new(CLOSED).arg(&converted.owner).arg(recorded.stream.id()));
        }
        CartEvent::CartMerged(merged) => {
            out.push(Statement::new(CLOSED).arg(&merged.owner).arg(recorded.stream.id()));
        }
        CartEvent::ItemAdded(_)
        | CartEvent::QuantitySet(_)
        | CartEvent::ItemRemoved(_)
        | CartEvent::CartCleared(_)
        | CartEvent::LinesMerged(_)
        | CartEvent::MarketChanged(_) => {}
    }
}

/// The owner's active cart, if there is one.
pub async fn active_cart(store: &EventStore, owner: &str) -> Result<Option<CartId>, Error> {
    let statement = Statement::new("SELECT cart_id FROM {active_cart} WHERE owner = $1").arg(owner);
    Ok(store.query(statement).await?.first().and_then(|row| row.text(0).parse().ok()))
}
