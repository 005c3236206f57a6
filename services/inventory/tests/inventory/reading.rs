//! Requests that cannot be read: each faulty field is named, all at once.
use souk_contracts::inventory::v1 as pb;
use souk_contracts::terms::Sku;
use souk_inventory::proto;
use souk_kernel::{Code, Error, Invalid, PageToken};
use std::time::Duration;

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

fn line(line: u32, sku: &str, quantity: u32) -> pb::StockLine {
    pb::StockLine { line, sku: sku.into(), quantity }
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

#[test]
fn a_reserve_request_is_read_or_names_each_faulty_field() {
    let request = |lines, ttl_s| pb::ReserveRequest {
        reservation_id: ORDER.into(),
        lines,
        ttl_s,
        ..Default::default()
    };
    let read =
        proto::reserve(&request(vec![line(7, "a", 1), line(2, "a", 1_000_000)], 86_400)).expect("fine");
    assert_eq!(read.order.to_string(), ORDER);
    assert_eq!(read.lines.iter().map(|line| line.line).collect::<Vec<_>>(), [7, 2], "lines keep their order");
    assert_eq!(read.ttl, Duration::from_secs(86_400));

    assert_eq!(faults(proto::reserve(&request(vec![], 1))), ["lines"]);
    assert_eq!(faults(proto::reserve(&request(vec![line(1, "a", 1)], 0))), ["ttlS"]);
    assert_eq!(faults(proto::reserve(&request(vec![line(1, "a", 1)], 86_401))), ["ttlS"]);
    let lines = (1..=2_001).map(|n| line(n, "a", 1)).collect();
    assert_eq!(faults(proto::reserve(&request(lines, 1))), ["lines"]);
    let lines = (1..=2_000).map(|n| line(n, "a", 1)).collect();
    assert!(proto::reserve(&request(lines, 1)).is_ok());
}

#[test]
fn all_faulty_fields_of_a_reserve_request_are_named_at_once() {
    let lines = vec![line(0, "", 0), line(1, "a", 1), line(1, "b\n", 1_000_001)];
    let request = pb::ReserveRequest { reservation_id: "ord_x".into(), lines, ..Default::default() };
    let expected = [
        "reservationId",
        "lines[0].line",
        "lines[0].sku",
        "lines[0].quantity",
        "lines[2].line",
        "lines[2].sku",
        "lines[2].quantity",
        "ttlS",
    ];
    assert_eq!(faults(proto::reserve(&request)), expected);
}

#[test]
fn a_receipt_is_read_or_names_each_faulty_field() {
    let good = pb::ReceiveStockRequest {
        receipt_id: "delivery 1/é".into(),
        location: "main".into(),
        lines: vec![pb::ReceiptLine { sku: "a".into(), quantity: 1_000_000_000 }],
    };
    assert!(proto::receive(&good).is_ok());
    let line = |sku: &str, quantity| pb::ReceiptLine { sku: sku.into(), quantity };
    let bad = pb::ReceiveStockRequest {
        receipt_id: "x".repeat(65),
        location: "Main".into(),
        lines: vec![line("", 0), line("a", -1), line("a", 1_000_000_001)],
    };
    let expected = [
        "receiptId",
        "location",
        "lines[0].quantity",
        "lines[0].sku",
        "lines[1].quantity",
        "lines[2].quantity",
    ];
    assert_eq!(faults(proto::receive(&bad)), expected);
    assert_eq!(faults(proto::receive(&pb::ReceiveStockRequest { lines: vec![], ..good.clone() })), ["lines"]);
    let too_many = vec![line("a", 1); 5_001];
    assert_eq!(faults(proto::receive(&pb::ReceiveStockRequest { lines: too_many, ..good })), ["lines"]);
}

#[test]
fn an_adjustment_is_read_or_names_each_faulty_field() {
    let good = pb::AdjustStockRequest {
        adjustment_id: "count-7".into(),
        sku: "a".into(),
        location: "main".into(),
        delta: -3,
        reason: "broken".into(),
        quarantine: false,
    };
    assert!(proto::adjust(&good).is_ok());
    let bad = pb::AdjustStockRequest { adjustment_id: "a\nb".into(), ..Default::default() };
    assert_eq!(faults(proto::adjust(&bad)), ["adjustmentId", "sku", "location", "delta", "reason"]);
    let long = pb::AdjustStockRequest { reason: "é".repeat(201), ..good };
    assert_eq!(faults(proto::adjust(&long)), ["reason"]);
}

#[test]
fn many_adjustments_are_read_or_name_each_faulty_field_with_its_place() {
    let one = |id: &str| pb::AdjustStockRequest {
        adjustment_id: id.into(),
        sku: "a".into(),
        location: "main".into(),
        delta: -3,
        reason: "broken".into(),
        quarantine: false,
    };
    let read = |adjustments| proto::bulk_adjust(&pb::BulkAdjustRequest { adjustments });
    assert_eq!(read(vec![one("x"), one("y")]).map(|read| read.len()), Ok(2));
    let most: Vec<_> = (0..1_000).map(|n| one(&n.to_string())).collect();
    assert!(read(most.clone()).is_ok());
    for (adjustments, wrong) in [
        (vec![], vec!["adjustments"]),
        ([most, vec![one("y")]].concat(), vec!["adjustments"]),
        (vec![one("x"), one("y"), one("x")], vec!["adjustments[2].adjustmentId"]),
        (vec![pb::AdjustStockRequest { delta: 0, ..one("x") }], vec!["adjustments[0].delta"]),
        (
            vec![one("x"), pb::AdjustStockRequest { sku: "".into(), location: "".into(), ..one("") }],
            vec!["adjustments[1].adjustmentId", "adjustments[1].sku", "adjustments[1].location"],
        ),
        (vec![pb::AdjustStockRequest { reason: "".into(), ..one("x") }], vec!["adjustments[0].reason"]),
    ] {
        assert_eq!(faults(read(adjustments)), wrong);
    }
}

#[test]
fn the_skus_of_a_question_are_counted_and_each_is_read() {
    let ask = |skus: Vec<String>| skus_of(&skus);
    fn skus_of(named: &[String]) -> Result<Vec<Sku>, Invalid> {
        proto::skus(&pb::GetAvailabilityRequest { skus: named.to_vec() })
    }
    assert_eq!(ask(vec!["b".into(), "a".into(), "b".into()]).expect("fine").len(), 3);
    assert_eq!(faults(ask(vec![])), ["skus"]);
    assert_eq!(faults(ask(vec!["a".into(); 501])), ["skus"]);
    assert_eq!(faults(ask(vec!["a".into(), "".into(), "x".repeat(65)])), ["skus[1]", "skus[2]"]);
}

#[test]
fn a_release_is_never_refused_for_its_reason() {
    assert_eq!(proto::release_reason("declined\n"), "declined");
    assert_eq!(proto::release_reason(&"é".repeat(300)).chars().count(), proto::REASON_CHARS_MAX);
    assert_eq!(faults(proto::reservation_id("qte_01h455vb4pex5vsknk084sn02q")), ["reservationId"]);
}

#[test]
fn a_page_token_works_for_its_own_sku_and_undamaged_only() {
    let sku = |text: &str| Sku::try_new(text).expect("a SKU");
    let place = proto::Cursor { position: 77, line: 3 };
    let token = place.token(&sku("a"));
    let ask = |sku: &str, token: &str| {
        proto::movements_page(&pb::ListMovementsRequest {
            sku: sku.into(),
            page_size: 0,
            page_token: token.into(),
        })
    };
    let page = ask("a", &token).expect("its own token");
    assert_eq!((page.after, page.size), (Some(place), proto::PAGE_DEFAULT));
    let shorter = &token[1..];
    let other_digit = token.replacen('7', "8", 1);
    let nowhere = PageToken::seal("9223372036854775808.1", &["ListMovements", "a"]);
    for (sku, token) in
        [("b", token.as_str()), ("a", shorter), ("a", &other_digit), ("a", "%"), ("a", &nowhere)]
    {
        let error = ask(sku, token).expect_err("not a token of this list");
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"), "{token}");
    }
    let too_many = pb::ListMovementsRequest { sku: String::new(), page_size: 201, page_token: "%".into() };
    let error = proto::movements_page(&too_many).expect_err("all wrong");
    let fields: Vec<_> = error.fields().iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["sku", "pageSize"]);
}
