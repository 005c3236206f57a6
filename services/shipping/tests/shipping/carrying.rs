//! Parcels on their way, in every manner that the carrier plays, and over crashes.
use crate::shop::{PACE, Shop, order};
use souk_carrier::scenarios::SCENARIOS;
use souk_contracts::shipping::v1::{self as pb, ReturnLabelStatus, ShipmentStatus};
use souk_shipping::domain::shipment::{Label, SILENCE_MAX};

/// Enough for every scenario, late notices included.
const SCANS: u32 = 12;

#[tokio::test]
async fn every_scenario_comes_to_its_end() {
    for (scenario, _) in SCENARIOS.iter().filter(|(scenario, _)| *scenario != "declined") {
        let shop = Shop::open(true).await;
        shop.create(order(1), scenario).await;
        shop.until_collected(order(1)).await;
        shop.paces(SCANS).await;
        let end = match *scenario {
            "lost" => ShipmentStatus::InTransit,
            "said_lost" => ShipmentStatus::Lost,
            "failed_then_returned" => ShipmentStatus::ReturnedToSender,
            "damaged" => ShipmentStatus::Damaged,
            _ => ShipmentStatus::Delivered,
        };
        assert_eq!(shop.statuses(order(1)).await, [end; 2], "{scenario}");
        shop.check().await;
        let heard = shop.heard().await;
        let times = |kind: &str| heard.iter().filter(|heard| *heard == kind).count();
        assert_eq!(times("FulfilmentCreated"), 1, "{scenario}");
        assert_eq!((times("ShipmentPacked"), times("ShipmentHandedOver")), (2, 2), "{scenario}");
        let delivered = if end == ShipmentStatus::Delivered { 2 } else { 0 };
        assert_eq!(times("ShipmentDelivered"), delivered, "{scenario}: once each, however often it was told");
        let timers = shop.store().open_timers().await.expect("readable");
        assert_eq!(
            timers == 0,
            end != ShipmentStatus::InTransit,
            "{scenario}: silence ends with the journey"
        );
    }
}

#[tokio::test]
async fn e6_two_weeks_of_silence_are_a_loss() {
    let shop = Shop::open(true).await;
    shop.create(order(1), "lost").await;
    shop.until_collected(order(1)).await;
    shop.paces(2).await;
    shop.pass(SILENCE_MAX - PACE * 2).await;
    assert_eq!(shop.statuses(order(1)).await, [ShipmentStatus::InTransit; 2], "not yet: the scans count");
    shop.pass(PACE * 2).await;
    assert_eq!(shop.statuses(order(1)).await, [ShipmentStatus::Lost; 2]);
    assert_eq!(shop.heard().await.iter().filter(|kind| *kind == "ShipmentLost").count(), 2);
    shop.check().await;
}

#[tokio::test]
async fn e4_a_label_whose_answer_was_lost_in_a_crash_is_found_by_its_key() {
    for scenario in ["timeout_after_effect", "timeout_before", ""] {
        let mut shop = Shop::open(false).await;
        let shipment_id = shop.create(order(1), scenario).await.shipments[0].shipment_id.clone();
        let pack = pb::MarkPackedRequest { shipment_id: shipment_id.clone() };
        shop.client().mark_packed(shop.staff(), pack).await.expect("packed");
        let client = shop.client();
        let label = pb::BuyLabelRequest { shipment_id: shipment_id.clone() };
        // The caller is gone as soon as the intent is recorded.
        let impatient = shop.staff().with_deadline(tokio::time::Instant::now());
        let _ = client.buy_label(impatient, label.clone()).await;
        drop(client);
        shop.crash_and_restart().await;
        let answer = shop.client().buy_label(shop.staff(), label).await.expect("labelled");
        assert_eq!(answer.shipment.expect("set").status(), ShipmentStatus::Labelled, "{scenario}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_carrier_that_will_not_is_told_to_staff_and_can_be_asked_again() {
    let shop = Shop::open(false).await;
    let shipment_id = shop.create(order(1), "declined").await.shipments[0].shipment_id.clone();
    for _ in 0..2 {
        let refused = shop.send_off(&shipment_id).await.expect_err("the carrier will not");
        assert_eq!(refused.reason(), "CARRIER_REFUSED");
        assert_eq!(refused.metadata().get("code").map(String::as_str), Some("service_unavailable"));
    }
    let parcel = shop.until(&shipment_id, |_| true).await;
    let Label::Refused { key, .. } = parcel.label() else { panic!("{parcel:?}") };
    assert!(key.ends_with(":label:2"), "asked again under another key: {key}");
    shop.check().await;
}

#[tokio::test]
async fn a_cancel_gives_the_label_back() {
    let shop = Shop::open(false).await;
    let shipment_id = shop.create(order(1), "").await.shipments[0].shipment_id.clone();
    let pack = pb::MarkPackedRequest { shipment_id: shipment_id.clone() };
    shop.client().mark_packed(shop.staff(), pack).await.expect("packed");
    let label = pb::BuyLabelRequest { shipment_id: shipment_id.clone() };
    shop.client().buy_label(shop.staff(), label).await.expect("labelled");
    assert_eq!(shop.cancel(order(1), "c", &[]).await, pb::CancelOutcome::Cancelled);
    let parcel = shop.until(&shipment_id, |parcel| !parcel.has_label()).await;
    assert_eq!(*parcel.label(), Label::Voided);
    assert_eq!(shop.heard().await.iter().filter(|kind| *kind == "ShipmentCancelled").count(), 2);
    shop.check().await;
}

fn asked(order_id: souk_contracts::terms::OrderId, return_id: &str) -> pb::CreateReturnLabelRequest {
    pb::CreateReturnLabelRequest { return_id: return_id.to_owned(), order_id: order_id.to_string() }
}

#[tokio::test]
async fn a_return_has_a_label_and_arrives() {
    let shop = Shop::open(true).await;
    shop.create(order(1), "").await;
    shop.until_collected(order(1)).await;
    let request = asked(order(1), "ret-1");
    let mut labels = Vec::new();
    for _ in 0..2 {
        let answer = shop.client().create_return_label(shop.as_order(), request.clone()).await;
        labels.push(answer.expect("a label").label.expect("set"));
    }
    assert_eq!(labels[0], labels[1]);
    assert_eq!(labels[0].status(), ReturnLabelStatus::Bought);
    assert!(labels[0].tracking_code.starts_with("SIM"));
    shop.paces(4).await;
    assert_eq!(shop.heard().await.iter().filter(|kind| *kind == "ReturnParcelArrived").count(), 1);
    let void = pb::VoidReturnLabelRequest { return_id: "ret-1".to_owned() };
    let arrived = shop.client().void_return_label(shop.as_order(), void).await.expect("answered");
    assert_eq!(arrived.label.expect("set").status(), ReturnLabelStatus::Arrived);
}

#[tokio::test]
async fn a_return_that_is_voided_or_of_nothing_is_refused_for_ever() {
    let shop = Shop::open(true).await;
    let create = async |order_id, return_id: &str| {
        let answer = shop.client().create_return_label(shop.as_order(), asked(order_id, return_id)).await;
        let label = answer.expect("a refusal is an answer").label.expect("set");
        (label.status(), label.refusal_reason)
    };
    let refused = |reason: &str| (ReturnLabelStatus::Refused, reason.to_owned());
    assert_eq!(create(order(9), "ret-9").await, refused("UNKNOWN_FULFILMENT"));
    shop.create(order(1), "return_never").await;
    let void = |return_id: &str| pb::VoidReturnLabelRequest { return_id: return_id.to_owned() };
    shop.client().void_return_label(shop.as_order(), void("ret-1")).await.expect("a tombstone");
    assert_eq!(create(order(1), "ret-1").await, refused("RETURN_LABEL_VOIDED"));
    assert_eq!(create(order(1), "ret-2").await.0, ReturnLabelStatus::Bought);
    let voided = shop.client().void_return_label(shop.as_order(), void("ret-2")).await.expect("voided");
    assert_eq!(voided.label.expect("set").status(), ReturnLabelStatus::Voided);
    shop.until("return:ret-2", |parcel| !parcel.has_label()).await;
}
