//! Requests that cannot be read: each faulty field is named, all at once.
use souk_contracts::inventory::v1 as pb;
use souk_inventory::proto;
use souk_kernel::{Error, Invalid};

const ORDER: &str = "ord_01h455vb4pex5vsknk084sn02q";

#[track_caller]
fn faults<T: std::fmt::Debug>(read: Result<T, Invalid>) -> Vec<String> {
    let invalid = read.expect_err("the request is faulty");
    invalid.fields().iter().map(|fault| fault.field.clone()).collect()
}

#[track_caller]
fn named<T: std::fmt::Debug>(read: Result<T, Error>) -> Vec<String> {
    let error = read.expect_err("the request is faulty");
    error.fields().iter().map(|fault| fault.field.clone()).collect()
}

#[test]
fn a_policy_and_an_extension_are_read() {
    let lines = vec![pb::StockLine { line: 1, sku: "a".into(), quantity: 1 }];
    let request = pb::ReserveRequest { reservation_id: ORDER.into(), lines, ttl_s: 1, policy: 9 };
    assert_eq!(faults(proto::reserve(&request)), ["policy"]);
    let request = pb::ExtendReservationRequest { reservation_id: "x".into(), ttl_s: 86_401 };
    assert_eq!(faults(proto::extend(&request)), ["reservationId", "ttlS"]);
}

#[test]
fn a_release_of_lines_needs_an_id_and_one_of_everything_does_not() {
    let all = pb::ReleaseRequest { reservation_id: ORDER.into(), ..Default::default() };
    assert!(proto::release(&all).is_ok());
    let lines = vec![pb::StockLine { line: 0, sku: "".into(), quantity: 0 }];
    let bad = pb::ReleaseRequest { lines, reservation_id: "x".into(), ..all };
    let expected = ["reservationId", "lines[0].line", "lines[0].sku", "lines[0].quantity", "releaseId"];
    assert_eq!(faults(proto::release(&bad)), expected);
}

#[test]
fn a_shipment_and_a_return_name_each_faulty_field() {
    let request = pb::ShipRequest {
        reservation_id: "x".into(),
        shipment_id: "s\n".into(),
        lines: vec![pb::AllocatedLine::default()],
    };
    let of_line = ["lines[0].line", "lines[0].sku", "lines[0].quantity", "lines[0].location"];
    assert_eq!(faults(proto::ship(&request)), [&["reservationId", "shipmentId"][..], &of_line].concat());
    assert_eq!(
        faults(proto::ship(&pb::ShipRequest { lines: vec![], ..request })).last().map(String::as_str),
        Some("lines")
    );
    let request = pb::RestockRequest { lines: vec![pb::RestockLine::default()], ..Default::default() };
    let expected = [&["restockId", "reservationId"][..], &of_line, &["lines[0].grade"]].concat();
    assert_eq!(faults(proto::restock(&request)), expected);
}

#[test]
fn a_transfer_a_count_and_a_decision_name_each_faulty_field() {
    let request = pb::TransferStockRequest {
        from: "main".into(),
        to: "main".into(),
        reason: "\n".into(),
        ..Default::default()
    };
    assert_eq!(faults(proto::transfer(&request)), ["transferId", "sku", "to", "quantity", "reason"]);
    let request = pb::CountStockRequest { counted: -1, ..Default::default() };
    assert_eq!(faults(proto::count(&request)), ["countId", "sku", "location", "counted"]);
    let request = pb::ResolveShortfallRequest::default();
    assert_eq!(faults(proto::resolve(&request)), ["shortfallId", "decision", "reason"]);
}

#[test]
fn locations_and_terms_name_each_faulty_field() {
    let request = pb::PutLocationRequest { priority: 1_000_001, country: "gb".into(), ..Default::default() };
    assert_eq!(faults(proto::location(&request)), ["location", "priority", "country"]);
    assert_eq!(faults(proto::terms(&pb::PutStockTermsRequest::default())), ["sku", "terms"]);
    let terms = pb::StockTerms { safety: -1, low_below: -1, backorder_limit: 1_001 };
    let request = pb::PutStockTermsRequest { sku: "a".into(), terms: Some(terms) };
    assert_eq!(faults(proto::terms(&request)), ["terms.safety", "terms.lowBelow", "terms.backorderLimit"]);
}

#[test]
fn what_is_watched_and_pages_of_shortfalls_are_read() {
    let request = pb::WatchStockRequest { skus: vec!["a".into(); 101], after: String::new() };
    assert_eq!(named(proto::watch(&request)), ["skus"]);
    let twice =
        pb::WatchStockRequest { skus: vec!["b".into(), "a".into(), "b".into()], after: String::new() };
    assert_eq!(proto::watch(&twice).expect("fine").skus.len(), 2);
    let request = pb::ListShortfallsRequest { page_size: 201, page_token: String::new() };
    assert_eq!(named(proto::shortfalls_page(&request)), ["pageSize"]);
    let request = pb::ListShortfallsRequest { page_size: 0, page_token: "x".into() };
    assert_eq!(proto::shortfalls_page(&request).expect_err("damaged").reason(), "INVALID_PAGE_TOKEN");
}
