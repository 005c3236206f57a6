//! The saga of a parcel that did not arrive and is refunded: what the carrier brought back is booked in (the pivot;
//! of a lost one there is nothing to book), then what it is worth is given back, once.
use crate::domain::errand::ErrandOpened;
use crate::domain::order::{OrderEvent, ParcelRefunded};
use souk_kernel::Money;
use souk_saga::{Definition, Intent, Outcome};
use std::sync::{Arc, LazyLock};

/// The pivot: books what came back.
pub const RESTOCK_PARCEL: &str = "restock_parcel";
/// Gives the money back.
pub const REFUND_PARCEL: &str = "refund_parcel";

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("refund_parcel", 1).pivot(RESTOCK_PARCEL).then(REFUND_PARCEL));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// Goods that are here do not go away because the books disagree: inventory is asked again, visibly.
pub fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } if intent.step == RESTOCK_PARCEL => {
            Outcome::unknown(format!("the stock of a parcel that came back was refused: {reason}"))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. } => {
            outcome.clone()
        }
    }
}

/// Names the parcel's refund to payment, and its restock to inventory.
pub fn name(shipment_id: &str) -> String {
    format!("parcel-{shipment_id}")
}

/// What the order hears at the end.
pub fn ended(opened: &ErrandOpened, shipment_id: &Arc<str>, refund: Money) -> OrderEvent {
    OrderEvent::ParcelRefunded(ParcelRefunded {
        order_id: opened.order_id,
        subject: opened.subject.clone(),
        shipment_id: shipment_id.clone(),
        refund,
    })
}
