//! What becomes of parcels and of the money for them, in the whole shop: lines that are called off, parcels that never
//! arrive, and goods that are waited for.
use serde_json::{Value, json};
use souk_tests::{Caller, House, eventually, in_every_shape, minor, payment_of, status_of};
use souk_user::Role;
use std::time::Duration;

in_every_shape!(
    what_was_promised_for_a_line_called_off_is_given_up,
    a_lost_parcel_is_refunded_once_as_staff_decides,
    what_the_carrier_brings_back_is_in_stock_again_and_refunded_less_a_fee,
    a_lost_parcel_is_sent_again_while_the_stock_lasts,
    what_is_sold_before_it_is_there_waits_ships_and_is_paid_for,
);

fn id(order: &Value) -> &str {
    order["orderId"].as_str().expect("an order has an id")
}

/// The payment of an order, as support sees it.
async fn payment(house: &House, order: &Value) -> Value {
    let path = format!("/api/v1/payments/{}", id(order).replace("ord_", "pay_"));
    house.staff(Role::Support).get(&path).expect(200).await["payment"].clone()
}

/// A shop that sells two things, and a guest who has ordered two of one and one of the other, to be sent.
async fn shipped_order(house: &House, scenario: &str) -> (Caller, Value) {
    house.sells("LAMP", 1_000, 10).await;
    house.sells("RUG", 3_000, 10).await;
    let guest = house.guest().await;
    guest.adds("LAMP", 2).await;
    guest.adds("RUG", 1).await;
    let order = guest.orders(&guest.quotes_carried(&[], scenario).await, "ok").await;
    assert_eq!(status_of(&order), "CONFIRMED", "{order}");
    (guest, order)
}

async fn what_was_promised_for_a_line_called_off_is_given_up(house: &House) {
    let (guest, order) = shipped_order(house, "").await;
    let parcels = house.parcels(&order).await;
    let off = json!({"cancelId": "no-rug", "lines": [{"line": 2, "quantity": 1}]});
    let off = guest.post(&format!("/api/v1/orders/{}:cancelLines", id(&order)), &off);
    off.expect(202).await;
    let cheaper = async || {
        let now = guest.order(&order).await;
        (minor(&now["total"]) == minor(&order["total"]) - 3_000).then_some(now)
    };
    let cheaper = eventually("the line is called off", cheaper).await;
    for parcel in parcels {
        house.hands_over(&parcel).await;
    }
    let paid = guest.order_paid(&order, "CAPTURED").await;
    assert_eq!((minor(&paid["captured"]), payment_of(&paid)), (minor(&cheaper["total"]), "CAPTURED"));
    assert_eq!(paid["fulfilment"], "ORDER_FULFILMENT_FULFILLED", "all that is left of it was handed over");
    let voided = async || {
        house.advance(Duration::from_millis(10));
        Some(payment(house, &order).await).filter(|payment| minor(&payment["voided"]) == 3_000)
    };
    let voided = eventually("nothing more is promised", voided).await;
    assert_eq!(minor(&voided["captured"]), minor(&cheaper["total"]));
    house.comes_to(&guest, &order, "DELIVERED").await;
}

/// Hands every parcel over; the order once its only parcel has come to this.
async fn parcel_comes_to(house: &House, guest: &Caller, order: &Value, status: &str) -> Value {
    for parcel in house.parcels(order).await {
        house.hands_over(&parcel).await;
    }
    guest.order_paid(order, "CAPTURED").await;
    let look = async || {
        house.advance(Duration::from_secs(61));
        Some(guest.order(order).await).filter(|order| order["shipments"][0]["status"] == status)
    };
    eventually(&format!("the parcel is {status}"), look).await
}

fn resolve_path(order: &Value) -> String {
    let shipment = order["shipments"][0]["shipmentId"].as_str().expect("a parcel has an id");
    format!("/api/v1/orders/{}/parcels/{shipment}:resolve", id(order))
}

async fn a_lost_parcel_is_refunded_once_as_staff_decides(house: &House) {
    let (guest, order) = shipped_order(house, "said_lost").await;
    let lost = parcel_comes_to(house, &guest, &order, "LOST").await;
    assert_eq!(lost["attentionReasons"], json!(["SHIPMENT_LOST"]));
    let (path, support) = (resolve_path(&lost), house.staff(Role::Support));
    let refund = json!({"decision": "PARCEL_DECISION_REFUND", "reason": "nothing was found"});
    for (who, status) in [(house.nobody(), 401), (guest.clone(), 403), (house.staff(Role::Sales), 403)] {
        assert_eq!(who.post(&path, &refund).send().await.status, status);
    }
    for _ in 0..2 {
        let resolved = support.post(&path, &refund).expect(202).await["order"].clone();
        assert_eq!(resolved["shipments"][0]["refund"], order["total"], "{resolved}");
        assert_eq!(resolved["needsAttention"], false);
    }
    let refunded = guest.order_paid(&order, "REFUNDED").await;
    assert_eq!(refunded["fulfilment"], "ORDER_FULFILMENT_UNFULFILLED");
    house.comes_to(&guest, &order, "COMPLETED").await;
    assert_eq!(payment(house, &order).await["refunded"], order["total"]);
    assert_eq!((house.stock("LAMP").await, house.stock("RUG").await), ((8, 0), (9, 0)), "it is gone");
}

async fn what_the_carrier_brings_back_is_in_stock_again_and_refunded_less_a_fee(house: &House) {
    let (guest, order) = shipped_order(house, "failed_then_returned").await;
    let back = parcel_comes_to(house, &guest, &order, "RETURNED_TO_SENDER").await;
    assert_eq!(house.stock("LAMP").await, (8, 0), "staff has not decided");
    let refund = json!({"decision": "PARCEL_DECISION_REFUND", "reason": "nobody lives there"});
    house.staff(Role::Support).post(&resolve_path(&back), &refund).expect(202).await;
    house.comes_to(&guest, &order, "COMPLETED").await;
    let over = guest.order(&order).await;
    assert_eq!(
        (payment_of(&over), &over["fulfilment"]),
        ("PARTIALLY_REFUNDED", &json!("ORDER_FULFILMENT_RETURNED"))
    );
    let total = minor(&order["total"]);
    assert_eq!(minor(&payment(house, &order).await["refunded"]), total - total / 10);
    assert_eq!((house.stock("LAMP").await, house.stock("RUG").await), ((10, 0), (10, 0)));
}

async fn what_is_sold_before_it_is_there_waits_ships_and_is_paid_for(house: &House) {
    house.sells("LAMP", 1_000, 1).await;
    let sales = house.staff(Role::Sales);
    let terms = json!({"terms": {"backorderLimit": 5}});
    sales.put("/api/v1/stock/LAMP/terms", &terms).expect(200).await;
    let guest = house.guest().await;
    guest.adds("LAMP", 3).await;
    let quote = guest.quotes_shipped(&[]).await;
    let placing = json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
        "partialPolicy": "PARTIAL_POLICY_BACKORDER",
    });
    let placed = guest.post("/api/v1/orders", &placing).key("place").wait(25).expect(202).await;
    let order = placed["order"].clone();
    assert_eq!((status_of(&order), payment_of(&order)), ("CONFIRMED", "AUTHORIZED"), "{order}");
    house.comes_to(&guest, &order, "PROCESSING").await;
    let path = format!("/api/v1/shipments?orderId={}", id(&order));
    let parcels = sales.get(&path).send().await.json()["shipments"].clone();
    assert!(
        parcels.as_array().is_none_or(Vec::is_empty),
        "nothing is packed before all of it is there: {parcels}"
    );
    let receipt = json!({
        "receiptId": "second", "location": "main", "lines": [{"sku": "LAMP", "quantity": "4"}],
    });
    sales.post("/api/v1/stock:receive", &receipt).expect(200).await;
    for parcel in house.parcels(&order).await {
        house.hands_over(&parcel).await;
    }
    guest.order_paid(&order, "CAPTURED").await;
    house.comes_to(&guest, &order, "DELIVERED").await;
    assert_eq!(house.stock("LAMP").await, (2, 0));
}

async fn a_lost_parcel_is_sent_again_while_the_stock_lasts(house: &House) {
    let (guest, order) = shipped_order(house, "said_lost").await;
    let lost = parcel_comes_to(house, &guest, &order, "LOST").await;
    let (path, support) = (resolve_path(&lost), house.staff(Role::Support));
    let again = json!({"decision": "PARCEL_DECISION_RESEND", "reason": "the customer still wants it"});
    let resolved = support.post(&path, &again).expect(202).await["order"].clone();
    assert_eq!(resolved["shipments"][0]["settled"], true, "{resolved}");
    assert_eq!(house.stock("LAMP").await, (8, 2), "two more are promised");
    let parcels = house.parcels(&order).await;
    let second = parcels.iter().find(|parcel| parcel["shipmentId"] != lost["shipments"][0]["shipmentId"]);
    house.hands_over(second.expect("there is another parcel")).await;
    let look = async || {
        house.advance(Duration::from_secs(61));
        Some(guest.order(&order).await).filter(|order| order["shipments"][1]["status"] == "LOST")
    };
    let lost = eventually("that is lost, too", look).await;
    assert_eq!(lost["shipments"][1]["insteadOf"], lost["shipments"][0]["shipmentId"]);
    assert_eq!(payment(house, &order).await["captured"], order["total"], "for nothing");
    assert_eq!((house.stock("LAMP").await, house.stock("RUG").await), ((6, 0), (8, 0)));
    let lost_again = json!({"orderId": order["orderId"], "shipments": [lost["shipments"][1]]});
    let refund = json!({"decision": "PARCEL_DECISION_REFUND", "reason": "it is lost twice"});
    support.post(&resolve_path(&lost_again), &refund).expect(202).await;
    let refunded = guest.order_paid(&order, "REFUNDED").await;
    assert_eq!(refunded["fulfilment"], "ORDER_FULFILMENT_UNFULFILLED");
    house.comes_to(&guest, &order, "COMPLETED").await;
}
