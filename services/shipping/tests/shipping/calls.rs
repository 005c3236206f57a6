//! What callers ask for, and what they are refused.
use crate::shop::{Shop, ada, creation, order, reason};
use futures_util::StreamExt;
use souk_contracts::shipping::v1::{
    self as pb, AddressVerdict, CancelOutcome, FulfilmentStatus, ShipmentStatus,
};
use souk_kernel::{Code, Error};
use std::time::Duration;

#[tokio::test]
async fn an_address_is_checked_and_never_changed() {
    let shop = Shop::open(false).await;
    let check = async |address: pb::Address| {
        let request = pb::ValidateAddressRequest { address: Some(address) };
        shop.client().validate_address(shop.guest(), request).await.expect("checked").check.expect("set")
    };
    assert_eq!(check(ada()).await.verdict(), AddressVerdict::Valid);
    let corrected = check(pb::Address { postal_code: "sw1y4jh".to_owned(), ..ada() }).await;
    assert_eq!((corrected.verdict(), corrected.suggestion), (AddressVerdict::Corrected, Some(ada())));
    let invalid = check(pb::Address { postal_code: "1".to_owned(), city: String::new(), ..ada() }).await;
    let faults: Vec<_> = invalid.faults.iter().map(|f| (f.field.as_str(), f.reason.as_str())).collect();
    assert_eq!(faults, [("city", "MISSING"), ("postalCode", "BAD_POSTAL_CODE")]);
    let nowhere = check(pb::Address { country: "KP".to_owned(), ..ada() }).await;
    assert_eq!(nowhere.verdict(), AddressVerdict::NotServed);
}

#[tokio::test]
async fn rates_are_the_callers_own_and_the_address_is_in_no_file() {
    let shop = Shop::open(false).await;
    let rates = shop.rates(ada(), "").await;
    let services: Vec<_> = rates.iter().map(|rate| rate.service.as_str()).collect();
    assert_eq!(services, ["standard", "express"]);
    let boxed = shop.rates(pb::Address { line1: "PO Box 7".to_owned(), ..ada() }, "").await;
    assert_eq!(boxed.len(), 1, "express does not go to boxes");
    let nothing = shop.rates(pb::Address { country: "RU".to_owned(), ..ada() }, "").await;
    assert_eq!(nothing, []);
    let get = async |cx| {
        let request = pb::GetRateRequest { rate_id: rates[0].rate_id.clone() };
        shop.client().get_rate(cx, request).await.map(|answer| answer.rate.expect("set"))
    };
    assert_eq!(get(shop.guest()).await.expect("its own"), rates[0]);
    assert_eq!(get(shop.as_order()).await.expect("its own"), rates[0]);
    let other = get(shop.by("gst_2", &[])).await.expect_err("it is not theirs");
    assert_eq!(other.code(), Code::NotFound);

    shop.create(order(1), "").await;
    for file in std::fs::read_dir(shop.folder()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds("Lovelace") && !holds("St James") && !holds("SW1Y"));
    }
}

#[tokio::test]
async fn an_order_is_taken_on_once_and_a_refusal_stands() {
    let shop = Shop::open(false).await;
    let first = shop.create(order(1), "").await;
    assert_eq!((first.status(), first.shipments.len()), (FulfilmentStatus::Open, 2));
    let again = creation(order(1), &first.rate_id);
    let repeated = shop.client().create_fulfilment(shop.as_order(), again.clone()).await.expect("the same");
    assert_eq!(repeated.fulfilment, Some(first));
    let other = pb::CreateFulfilmentRequest { lines: again.lines[..1].to_vec(), ..again };
    let refused = shop.client().create_fulfilment(shop.as_order(), other).await;
    assert_eq!(reason(refused), "FULFILMENT_CONFLICT");

    let unknown = creation(order(2), "rte_01h455vb4pex5vsknk084sn02q");
    for _ in 0..2 {
        let answer = shop.client().create_fulfilment(shop.as_order(), unknown.clone()).await;
        let fulfilment = answer.expect("a refusal is an answer").fulfilment.expect("set");
        assert_eq!(fulfilment.status(), FulfilmentStatus::Refused);
        assert_eq!(fulfilment.refusal_reason, "UNKNOWN_RATE");
    }
    let nobody = shop.client().create_fulfilment(shop.guest(), unknown).await;
    assert_eq!(nobody.expect_err("only the order service may").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn only_its_owner_and_staff_see_a_parcel_and_where_it_goes() {
    let shop = Shop::open(false).await;
    let shipment_id = shop.create(order(1), "").await.shipments[0].shipment_id.clone();
    let get = async |cx| {
        let request = pb::GetShipmentRequest { shipment_id: shipment_id.clone() };
        shop.client().get_shipment(cx, request).await.map(|answer| answer.shipment.expect("set"))
    };
    assert_eq!(get(shop.guest()).await.expect("its own").address, Some(ada()));
    assert_eq!(get(shop.staff()).await.expect("staff").address, Some(ada()));
    assert_eq!(get(shop.by("gst_2", &[])).await.expect_err("not theirs").code(), Code::NotFound);
    let list = pb::ListShipmentsRequest { order_id: order(1).to_string() };
    let listed = shop.client().list_shipments(shop.guest(), list.clone()).await.expect("its own").shipments;
    assert!(listed.len() == 2 && listed.iter().all(|shipment| shipment.address.is_none()));
    let other = shop.client().list_shipments(shop.by("gst_2", &[]), list).await;
    assert_eq!(other.expect_err("not theirs").code(), Code::NotFound);
    shop.store().keys().destroy("gst_1").await.expect("erased");
    assert_eq!(get(shop.staff()).await.expect("it still travels").address, None);
}

#[tokio::test]
async fn staff_sends_a_parcel_off_step_by_step_and_customers_do_not() {
    let shop = Shop::open(false).await;
    let shipment_id = shop.create(order(1), "").await.shipments[0].shipment_id.clone();
    let label = pb::BuyLabelRequest { shipment_id: shipment_id.clone() };
    assert_eq!(reason(shop.client().buy_label(shop.staff(), label).await), "SHIPMENT_NOT_READY");
    let pack = pb::MarkPackedRequest { shipment_id: shipment_id.clone() };
    let denied = shop.client().mark_packed(shop.guest(), pack).await.expect_err("a customer");
    assert_eq!(denied.code(), Code::PermissionDenied);
    let handed = shop.send_off(&shipment_id).await.expect("sent off");
    assert_eq!(handed.status(), ShipmentStatus::HandedOver);
    assert!(handed.tracking_code.starts_with("SIM"));
    let again = shop.send_off(&shipment_id).await.expect("saying it again is fine");
    assert_eq!(again.tracking_code, handed.tracking_code);
    shop.check().await;
}

#[tokio::test]
async fn a_watcher_sees_every_step_and_goes_on_after_a_break() {
    let shop = Shop::open(true).await;
    let shipment_id = shop.create(order(1), "").await.shipments[0].shipment_id.clone();
    shop.until_collected(order(1)).await;
    let request = |after_sequence| pb::TrackRequest { shipment_id: shipment_id.clone(), after_sequence };
    let stream = shop.client().track(shop.guest(), request(0)).await.expect("its own");
    let (steps, ()) =
        tokio::join!(stream.map(|step| step.expect("a step")).collect::<Vec<_>>(), shop.paces(4));
    let whats: Vec<_> = steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(
        whats,
        [
            "ShipmentCreated",
            "ShipmentPacked",
            "LabelBought",
            "ShipmentHandedOver",
            "ShipmentInTransit",
            "ShipmentOutForDelivery",
            "ShipmentDelivered"
        ]
    );
    let after = steps[3].sequence;
    let rest = shop.client().track(shop.guest(), request(after)).await.expect("its own");
    let rest: Vec<_> = rest.map(|step| step.expect("a step")).collect().await;
    assert_eq!(rest, steps[4..]);
    let other = shop.client().track(shop.by("gst_2", &[]), request(0)).await;
    assert_eq!(other.err().map(|error| error.code()), Some(Code::NotFound));
}

#[tokio::test]
async fn a_cancel_is_all_or_nothing_and_its_answer_stands() {
    let shop = Shop::open(false).await;
    let fulfilment = shop.create(order(1), "").await;
    assert_eq!(shop.cancel(order(1), "a", &[(1, 1)]).await, CancelOutcome::Cancelled);
    assert_eq!(shop.fulfilment(order(1)).await.shipments[0].lines[0].quantity, 2);
    shop.send_off(&fulfilment.shipments[0].shipment_id).await.expect("sent off");
    assert_eq!(shop.cancel(order(1), "b", &[]).await, CancelOutcome::TooLate);
    assert_eq!(shop.cancel(order(1), "c", &[(1, 1)]).await, CancelOutcome::TooLate);
    assert_eq!(shop.cancel(order(1), "d", &[(2, 0)]).await, CancelOutcome::Cancelled);
    for (id, outcome) in [("a", CancelOutcome::Cancelled), ("b", CancelOutcome::TooLate)] {
        let lines: &[(u32, u32)] = if id == "a" { &[(1, 1)] } else { &[] };
        assert_eq!(shop.cancel(order(1), id, lines).await, outcome, "the answer stands");
    }
    let statuses = shop.statuses(order(1)).await;
    assert_eq!(statuses, [ShipmentStatus::HandedOver, ShipmentStatus::Cancelled]);
    shop.until(&fulfilment.shipments[0].shipment_id, souk_shipping::domain::Shipment::is_collected).await;
    shop.check().await;

    assert_eq!(shop.cancel(order(2), "early", &[]).await, CancelOutcome::Cancelled);
    let late = shop.create(order(2), "").await;
    assert_eq!(
        (late.status(), late.refusal_reason.as_str()),
        (FulfilmentStatus::Refused, "FULFILMENT_CANCELLED")
    );
}

#[tokio::test]
async fn e7_a_cancel_and_a_hand_over_have_one_winner() {
    for n in 0..12 {
        let shop = Shop::open(false).await;
        let shipment_id = shop.create(order(n), "").await.shipments[0].shipment_id.clone();
        let client = shop.client();
        let pack = pb::MarkPackedRequest { shipment_id: shipment_id.clone() };
        client.mark_packed(shop.staff(), pack).await.expect("packed");
        let label = pb::BuyLabelRequest { shipment_id: shipment_id.clone() };
        client.buy_label(shop.staff(), label).await.expect("labelled");
        let hand_over = pb::HandOverRequest { shipment_id: shipment_id.clone() };
        let hand_over = client.hand_over(shop.staff(), hand_over);
        let (handed, cancelled) = if n % 2 == 0 {
            tokio::join!(hand_over, shop.cancel(order(n), "c", &[]))
        } else {
            let (cancelled, handed) = tokio::join!(shop.cancel(order(n), "c", &[]), hand_over);
            (handed, cancelled)
        };
        assert_ne!(handed.is_ok(), cancelled == CancelOutcome::Cancelled, "{handed:?} {cancelled:?}");
        let is_settled =
            |parcel: &souk_shipping::domain::Shipment| parcel.is_collected() || !parcel.has_label();
        shop.until(&shipment_id, is_settled).await;
        shop.check().await;
    }
}

#[tokio::test]
async fn a_hold_keeps_the_order_in_the_house() {
    let shop = Shop::open(true).await;
    let hold = |hold_id: &str| pb::HoldFulfilmentRequest {
        order_id: order(1).to_string(),
        hold_id: hold_id.to_owned(),
    };
    shop.client().hold_fulfilment(shop.as_order(), hold("fraud")).await.expect("held before it is there");
    let fulfilment = shop.create(order(1), "").await;
    assert!(fulfilment.held);
    for shipment in &fulfilment.shipments {
        let parcel = shop.until(&shipment.shipment_id, |parcel| !parcel.tracking_code().is_empty()).await;
        assert!(parcel.status().is_in_house());
    }
    let hand_over = pb::HandOverRequest { shipment_id: fulfilment.shipments[0].shipment_id.clone() };
    assert_eq!(reason(shop.client().hand_over(shop.staff(), hand_over).await), "FULFILMENT_HELD");
    let pb::HoldFulfilmentRequest { order_id, hold_id } = hold("fraud");
    let release = pb::ReleaseHoldRequest { order_id, hold_id };
    shop.client().release_hold(shop.as_order(), release).await.expect("released");
    shop.until_collected(order(1)).await;
    shop.pass(Duration::from_secs(1)).await;
    shop.check().await;
}

/// The faulty fields of a request that cannot be read.
fn faults<T>(answer: Result<T, Error>) -> Vec<String> {
    let error = answer.err().expect("a refusal");
    assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    error.fields().iter().map(|fault| fault.field.clone()).collect()
}

#[tokio::test]
async fn what_the_order_service_gets_wrong_is_named_field_by_field() {
    let shop = Shop::open(false).await;
    let (client, cx) = (shop.client(), || shop.as_order());
    let good = creation(order(1), "rte_01h455vb4pex5vsknk084sn02q");
    let line = |change: fn(&mut pb::FulfilmentLine)| {
        let mut request = good.clone();
        change(&mut request.lines[1]);
        request
    };
    for (request, wrong) in [
        (pb::CreateFulfilmentRequest { order_id: "x".into(), ..good.clone() }, "orderId"),
        (pb::CreateFulfilmentRequest { rate_id: String::new(), ..good.clone() }, "rateId"),
        (pb::CreateFulfilmentRequest { lines: Vec::new(), ..good.clone() }, "lines"),
        (line(|line| line.line = 0), "lines[1].line"),
        (line(|line| line.sku = String::new()), "lines[1].sku"),
        (line(|line| line.quantity = 0), "lines[1].quantity"),
        (line(|line| line.location = String::new()), "lines[1].location"),
    ] {
        assert_eq!(faults(client.create_fulfilment(cx(), request).await), [wrong]);
    }
    let cancel = pb::CancelFulfilmentRequest {
        order_id: "x".into(),
        cancel_id: "two words".into(),
        reason: "x".repeat(1_000),
        lines: vec![pb::LinePart { line: 0, quantity: 1 }],
    };
    let all = ["orderId", "cancelId", "reason", "lines[0].line"];
    assert_eq!(faults(client.cancel_fulfilment(cx(), cancel).await), all);
    let hold = pb::HoldFulfilmentRequest::default();
    assert_eq!(faults(client.hold_fulfilment(cx(), hold).await), ["orderId", "holdId"]);
    let release = pb::ReleaseHoldRequest::default();
    assert_eq!(faults(client.release_hold(cx(), release).await), ["orderId", "holdId"]);
    let label = pb::CreateReturnLabelRequest::default();
    assert_eq!(faults(client.create_return_label(cx(), label).await), ["orderId", "returnId"]);
    let void = pb::VoidReturnLabelRequest::default();
    assert_eq!(faults(client.void_return_label(cx(), void).await), ["returnId"]);
    shop.check().await;
}

#[tokio::test]
async fn a_service_that_does_not_say_whose_order_it_is_makes_no_refusal_that_stands() {
    let shop = Shop::open(false).await;
    let rate = shop.rates(ada(), "").await.remove(0);
    let request = creation(order(1), &rate.rate_id);
    let refused = shop.client().create_fulfilment(shop.as_order_for_nobody(), request.clone()).await;
    let refused = refused.expect_err("on whose behalf?");
    assert_eq!((refused.code(), refused.reason()), (Code::PermissionDenied, "NOT_ACTING"));
    let taken_on = shop.client().create_fulfilment(shop.as_order(), request).await.expect("taken on");
    assert_eq!(taken_on.fulfilment.expect("set").status(), FulfilmentStatus::Open);
}

#[tokio::test]
async fn an_order_has_so_many_holds_and_no_more() {
    let shop = Shop::open(false).await;
    let hold = |n: usize| {
        let request = pb::HoldFulfilmentRequest { order_id: order(1).to_string(), hold_id: format!("h{n}") };
        let (client, cx) = (shop.client(), shop.as_order());
        async move { client.hold_fulfilment(cx, request).await }
    };
    for n in 0..200 {
        hold(n).await.expect("held");
    }
    assert_eq!(reason(hold(200).await), "TOO_MANY_OPERATIONS");
    hold(7).await.expect("a known one again");
    let request = pb::ReleaseHoldRequest { order_id: order(1).to_string(), hold_id: "h200".into() };
    let refused = shop.client().release_hold(shop.as_order(), request).await;
    assert_eq!(reason(refused), "TOO_MANY_OPERATIONS");
}
