//! The dispatch saga of a parcel that left: book it out of the stock (the pivot: it is gone, whatever the books
//! say), then take its money. A promise of money that expired is asked for anew; when that is refused, a person
//! is called and the order is held.
use crate::domain::order::{OrderEvent, ParcelPaid};
use souk_kernel::Money;
use souk_saga::{Definition, Intent, Outcome};
use std::sync::{Arc, LazyLock};

/// The pivot: books the pieces out.
pub const SHIP_STOCK: &str = "ship_stock";
/// Takes what the parcel costs.
pub const CAPTURE: &str = "capture_parcel";

static DEFINITION: LazyLock<Definition> =
    LazyLock::new(|| Definition::start("dispatch", 1).pivot(SHIP_STOCK).then(CAPTURE));

/// The saga's steps.
pub fn definition() -> &'static Definition {
    &DEFINITION
}

/// A parcel does not come back because the books disagree: inventory is asked again, visibly, until a person has
/// seen to it.
pub fn never_back(intent: &Intent, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { reason, .. } if intent.step == SHIP_STOCK => {
            Outcome::unknown(format!("the stock of a parcel that left was refused: {reason}"))
        }
        Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Waiting { .. } | Outcome::Unknown { .. } => {
            outcome.clone()
        }
    }
}

/// What the order hears at the end.
pub fn paid(shipment_id: &Arc<str>, amount: Money) -> OrderEvent {
    OrderEvent::ParcelPaid(ParcelPaid { shipment_id: shipment_id.clone(), amount })
}
