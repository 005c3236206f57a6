//! What others hear of stock: levels that changed, SKUs that became low, and shortfalls. Each public event is
//! made of one private event alone, so it is the same whenever it is asked for. Events of releases that did not
//! write levels into them are not told.
use crate::domain::{
    Adjustment, AdjustmentEvent, Carriage, Count, CountEvent, Level, Receipt, ReceiptEvent, Reservation,
    ReservationEvent, SkuEvent, SkuTerms, StockLevel, TransferEvent,
};
use prost::Message;
use souk_contracts::inventory::v1 as pb;
use souk_contracts::terms::Sku;
use souk_eventstore::{PublicEvent, Publish, Recorded};

/// The full names of the published messages.
pub const STOCK_LEVEL_CHANGED: &str = "souk.inventory.v1.StockLevelChanged";
pub const LOW_STOCK: &str = "souk.inventory.v1.LowStock";
pub const STOCK_SHORTFALL: &str = "souk.inventory.v1.StockShortfall";

/// What the store asks in each commit.
pub fn publish() -> Publish {
    Publish(|recorded: &Recorded| {
        if let Some(event) = recorded.of::<Reservation>() {
            return of_reservation(&event);
        }
        if let Some(event) = recorded.of::<Receipt>() {
            let ReceiptEvent::StockReceived(e) = event.as_ref();
            return changed(&e.levels);
        }
        if let Some(event) = recorded.of::<Adjustment>() {
            let AdjustmentEvent::StockAdjusted(e) = event.as_ref();
            return changed(&[told(&e.sku, e.level)]);
        }
        if let Some(event) = recorded.of::<Carriage>() {
            let TransferEvent::StockTransferred(e) = event.as_ref();
            return changed(&[told(&e.sku, e.level)]);
        }
        if let Some(event) = recorded.of::<Count>() {
            return of_count(&event, recorded.stream.id());
        }
        recorded.of::<SkuTerms>().and_then(|event| of_sku(&event))
    })
}

fn of_reservation(event: &ReservationEvent) -> Option<PublicEvent> {
    match event {
        ReservationEvent::StockReserved(e) => changed(&e.levels),
        ReservationEvent::ReservationReReserved(e) => changed(&e.levels),
        ReservationEvent::ReservationReleased(e) => changed(&e.levels),
        ReservationEvent::ReservationExpired(e) => changed(&e.levels),
        ReservationEvent::LinesReleased(e) => changed(&e.levels),
        ReservationEvent::StockShipped(e) => changed(&e.levels),
        ReservationEvent::StockRestocked(e) => changed(&e.levels),
        // What it fills is told by the event that brought the stock.
        ReservationEvent::BackorderFilled(_)
        | ReservationEvent::ReservationRefused(_)
        | ReservationEvent::ReservationCommitted(_)
        | ReservationEvent::ReservationExtended(_)
        | ReservationEvent::CommitRefused(_)
        | ReservationEvent::ShipRefused(_)
        | ReservationEvent::ReleaseRefused(_)
        | ReservationEvent::RestockRefused(_) => None,
    }
}

fn of_count(event: &CountEvent, id: &str) -> Option<PublicEvent> {
    match event {
        CountEvent::StockCounted(e) => changed(&[told(&e.sku, e.level)]),
        CountEvent::ShortfallResolved(e) => changed(&[told(&e.sku, e.level)]),
        CountEvent::StockShortfall(e) => {
            let message = pb::StockShortfall {
                shortfall_id: id.to_owned(),
                sku: e.sku.to_string(),
                location: e.location.to_string(),
                missing: e.missing,
                reservation_ids: e.reservations.iter().map(ToString::to_string).collect(),
            };
            Some(PublicEvent { kind: STOCK_SHORTFALL, data: message.encode_to_vec() })
        }
    }
}

fn of_sku(event: &SkuEvent) -> Option<PublicEvent> {
    match event {
        SkuEvent::TermsPut(e) => changed(&e.levels),
        SkuEvent::LowStock(e) => {
            let (sku, available, low_below) = (e.sku.to_string(), e.available, e.low_below);
            let message = pb::LowStock { sku, available, low_below };
            Some(PublicEvent { kind: LOW_STOCK, data: message.encode_to_vec() })
        }
    }
}

fn told(sku: &Sku, level: Level) -> StockLevel {
    let (on_hand, reserved, available) = (level.on_hand, level.reserved, level.available());
    StockLevel { sku: sku.clone(), on_hand, reserved, available }
}

fn changed(levels: &[StockLevel]) -> Option<PublicEvent> {
    let level = |level: &StockLevel| pb::ChangedLevel {
        sku: level.sku.to_string(),
        on_hand: level.on_hand,
        reserved: level.reserved,
        available: level.available,
    };
    if levels.is_empty() {
        return None;
    }
    let message = pb::StockLevelChanged { levels: levels.iter().map(level).collect() };
    Some(PublicEvent { kind: STOCK_LEVEL_CHANGED, data: message.encode_to_vec() })
}
