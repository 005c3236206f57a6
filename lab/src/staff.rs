//! What staff does with orders, again and again until it is done: each looks how far a thing is and does what comes
//! next, so that it does not matter what a dead process had done of it.
use crate::buyers::{Desk, Stopped, insist, minor, pause_or_leave, until_agreed};
use serde_json::{Value, json};

/// So many looks at a thing that does not move on, and the shop is broken.
const LOOKS_MAX: u32 = 4_000;

/// Holds an order, and lets it go again.
pub async fn hold(desk: &Desk, order_id: &str) -> Result<(), Stopped> {
    let (hold, release) =
        (format!("/api/v1/orders/{order_id}:hold"), format!("/api/v1/orders/{order_id}:releaseHold"));
    let why = json!({"reason": "a second look at the address"});
    until_agreed(desk, || desk.admin.post(&hold, &why)).await?;
    until_agreed(desk, || desk.admin.post(&release, &why)).await.map(drop)
}

/// Packs every parcel of an order, labels it and gives it to the carrier.
pub async fn send_off(desk: &Desk, order_id: &str) -> Result<(), Stopped> {
    let path = format!("/api/v1/shipments?orderId={order_id}");
    for _ in 0..LOOKS_MAX {
        let parcels = until_agreed(desk, || desk.sales.get(&path)).await?["shipments"].clone();
        let parcels = parcels.as_array().cloned().unwrap_or_default();
        let steps: Vec<_> = parcels.iter().filter_map(next_step).collect();
        if steps.is_empty() && !parcels.is_empty() {
            return Ok(());
        }
        for (shipment_id, step) in steps {
            let (path, nothing) = (format!("/api/v1/shipments/{shipment_id}:{step}"), json!({}));
            until_agreed(desk, || desk.sales.post(&path, &nothing)).await?;
        }
        pause_or_leave(desk).await?;
    }
    Err(Stopped::Wrong(format!("the parcels of {order_id} do not get out of the house")))
}

fn next_step(parcel: &Value) -> Option<(&str, &'static str)> {
    let step = match parcel["status"].as_str() {
        Some("SHIPMENT_STATUS_PENDING") => "pack",
        Some("SHIPMENT_STATUS_PACKED") => "buyLabel",
        Some("SHIPMENT_STATUS_LABELLED") => "handOver",
        _ => return None,
    };
    Some((parcel["shipmentId"].as_str()?, step))
}

/// Lets the return of an order come back and looks at it; what the customer is told is given back.
pub async fn take_back(desk: &Desk, order_id: &str) -> Result<i64, Stopped> {
    let path = format!("/api/v1/orders/{order_id}/returns");
    for _ in 0..LOOKS_MAX {
        let back = insist(desk, || desk.sales.get(&path)).await?["returns"][0].clone();
        let id = back["returnId"].as_str().unwrap_or_default();
        let (step, body) = match back["status"].as_str() {
            Some("RETURN_STATUS_REFUNDED") => return Ok(minor(&back["refund"])),
            Some("RETURN_STATUS_REQUESTED") => ("approve", json!({})),
            Some("RETURN_STATUS_LABEL_ISSUED" | "RETURN_STATUS_IN_TRANSIT") => ("receive", json!({})),
            Some("RETURN_STATUS_RECEIVED") => {
                ("inspect", json!({"lines": [{"line": 1, "quantity": 1, "grade": "RETURN_GRADE_A"}]}))
            }
            _ => ("", Value::Null),
        };
        if !step.is_empty() {
            let path = format!("/api/v1/returns/{id}:{step}");
            until_agreed(desk, || desk.sales.post(&path, &body)).await?;
        }
        pause_or_leave(desk).await?;
    }
    Err(Stopped::Wrong(format!("the return of {order_id} does not come to its end")))
}
