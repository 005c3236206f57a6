//! Every way that a request can be faulty, one row each.
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{OrderId, QuoteId, ReturnId};
use souk_contracts::types::v1::Money;
use souk_kernel::{Invalid, TypeId, Uuid};
use souk_order::proto;

fn money(minor_units: i64, currency: &str) -> Option<Money> {
    Some(Money { minor_units, currency: currency.to_owned() })
}

fn fields(invalid: Result<impl Sized, Invalid>) -> Vec<String> {
    match invalid {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.fields().iter().map(|fault| fault.field.clone()).collect(),
    }
}

fn good_line() -> pb::AgreedLine {
    pb::AgreedLine { sku: "A".into(), quantity: 1, unit_price: money(5, "GBP") }
}

fn good_deal() -> pb::CreateAgreedQuoteRequest {
    pb::CreateAgreedQuoteRequest {
        subject: "gst_1".into(),
        lines: vec![good_line()],
        external_ref: "D-1".into(),
        market: "GB".into(),
    }
}

fn order_id() -> String {
    OrderId::from_uuid(Uuid::v7(1, [1; 10])).to_string()
}

#[test]
fn a_deal_is_read_or_every_faulty_field_is_named() {
    assert_eq!(fields(proto::deal(&good_deal())), Vec::<String>::new());
    let with = |change: fn(&mut pb::CreateAgreedQuoteRequest)| {
        let mut deal = good_deal();
        change(&mut deal);
        fields(proto::deal(&deal))
    };
    assert_eq!(with(|deal| deal.subject = String::new()), ["subject"]);
    assert_eq!(with(|deal| deal.subject = "x".repeat(65)), ["subject"]);
    assert_eq!(with(|deal| deal.subject = "é".repeat(64)), Vec::<String>::new());
    assert_eq!(with(|deal| deal.external_ref = "a\nb".into()), ["externalRef"]);
    assert_eq!(with(|deal| deal.external_ref = "x".repeat(129)), ["externalRef"]);
    assert_eq!(with(|deal| deal.market = "gb".into()), ["market"]);
    assert_eq!(with(|deal| deal.lines.clear()), ["lines"]);
    assert_eq!(with(|deal| deal.lines = vec![good_line(); 2_001]), ["lines"]);
    assert_eq!(with(|deal| deal.lines = vec![good_line(); 2_000]), Vec::<String>::new());
    assert_eq!(with(|deal| deal.lines[0].sku = String::new()), ["lines[0].sku"]);
    assert_eq!(with(|deal| deal.lines[0].quantity = 0), ["lines[0].quantity"]);
    assert_eq!(with(|deal| deal.lines[0].quantity = 1_000_001), ["lines[0].quantity"]);
    assert_eq!(with(|deal| deal.lines[0].unit_price = None), ["lines[0].unitPrice"]);
    assert_eq!(with(|deal| deal.lines[0].unit_price = money(-1, "GBP")), ["lines[0].unitPrice"]);
    assert_eq!(with(|deal| deal.lines[0].unit_price = money(1, "XXX")), ["lines[0].unitPrice"]);
    let mixed = with(|deal| {
        deal.lines.push(pb::AgreedLine { unit_price: money(1, "EUR"), ..good_line() });
    });
    assert_eq!(mixed, ["lines[1].unitPrice"]);
    let empty = fields(proto::deal(&pb::CreateAgreedQuoteRequest::default()));
    assert_eq!(empty, ["subject", "externalRef", "market", "lines"]);
    let many = fields(proto::deal(&pb::CreateAgreedQuoteRequest {
        lines: vec![pb::AgreedLine::default(); 2_000],
        ..good_deal()
    }));
    assert!((100..110).contains(&many.len()), "not thousands: {}", many.len());
}

#[test]
fn an_acceptance_is_read_or_every_faulty_field_is_named() {
    let good = pb::PlaceOrderRequest {
        quote_id: QuoteId::from_uuid(Uuid::v7(1, [1; 10])).to_string(),
        expected_total: money(5, "GBP"),
        payment_method_token: "ok".into(),
        partial_policy: 0,
    };
    assert_eq!(fields(proto::acceptance(&good)), Vec::<String>::new());
    let foreign = pb::PlaceOrderRequest { quote_id: good.quote_id.replace("qte", "ord"), ..good.clone() };
    assert_eq!(fields(proto::acceptance(&foreign)), ["quoteId"]);
    let no_token = pb::PlaceOrderRequest { payment_method_token: String::new(), ..good.clone() };
    assert_eq!(fields(proto::acceptance(&no_token)), ["paymentMethodToken"]);
    let empty = fields(proto::acceptance(&pb::PlaceOrderRequest::default()));
    assert_eq!(empty, ["quoteId", "expectedTotal", "paymentMethodToken"]);
}

#[test]
fn a_cancel_and_a_cart_are_read_or_named() {
    let order_id = OrderId::from_uuid(Uuid::v7(1, [1; 10])).to_string();
    let cancel = |order_id: &str, reason: String| {
        fields(proto::cancel(&pb::CancelOrderRequest { order_id: order_id.to_owned(), reason }))
    };
    assert_eq!(cancel(&order_id, String::new()), Vec::<String>::new());
    assert_eq!(cancel(&order_id, "x".repeat(201)), ["reason"]);
    assert_eq!(cancel("ord_1", "a\u{7}".into()), ["orderId", "reason"]);
    let find = pb::FindByExternalRefRequest::default();
    assert_eq!(fields(proto::external_ref(&find)), ["externalRef"]);
}

#[test]
fn a_wish_is_read_or_every_faulty_field_is_named() {
    let cart_id = souk_contracts::terms::CartId::from_uuid(Uuid::v7(1, [1; 10])).to_string();
    let good = pb::CreateQuoteRequest { cart_id, ..pb::CreateQuoteRequest::default() };
    let with = |change: fn(&mut pb::CreateQuoteRequest)| {
        let mut wish = good.clone();
        change(&mut wish);
        fields(proto::wish(&wish))
    };
    assert_eq!(with(|_| {}), Vec::<String>::new());
    assert_eq!(with(|wish| wish.cart_id = "x".into()), ["cartId"]);
    assert_eq!(with(|wish| wish.rate_id = "x".repeat(65)), ["rateId"]);
    assert_eq!(with(|wish| wish.coupon_codes = vec!["A".into(); 11]), ["couponCodes"]);
    assert_eq!(with(|wish| wish.coupon_codes = vec!["A".into(), String::new()]), ["couponCodes[1]"]);
    assert_eq!(with(|wish| wish.country = "gb".into()), ["country"]);
    assert_eq!(with(|wish| wish.region = "x".repeat(17)), ["region"]);
    assert_eq!(with(|wish| (wish.country, wish.region) = ("US".into(), "NY".into())), Vec::<String>::new());
    assert_eq!(with(|wish| (wish.country, wish.rate_id) = ("US".into(), "rte_1".into())), ["country"]);
    let twice = pb::CreateQuoteRequest { coupon_codes: vec!["ten".into(), "TEN".into()], ..good.clone() };
    assert_eq!(proto::wish(&twice).expect("read").coupons, vec![std::sync::Arc::from("TEN")]);
}

#[test]
fn what_comes_after_the_sale_is_read_or_every_faulty_field_is_named() {
    let order_id = OrderId::from_uuid(Uuid::v7(1, [1; 10])).to_string();
    let lines = |cancel_id: &str, lines: Vec<pb::OrderPieces>| {
        let (order_id, cancel_id) = (order_id.clone(), cancel_id.to_owned());
        fields(proto::cancel_lines(&pb::CancelLinesRequest { order_id, cancel_id, lines }))
    };
    let piece = |quantity| pb::OrderPieces { line: 1, quantity };
    assert_eq!(lines("c-1", vec![piece(1)]), Vec::<String>::new());
    assert_eq!(lines("c 1", vec![piece(1)]), ["cancelId"]);
    assert_eq!(lines("", vec![]), ["cancelId", "lines"]);
    assert_eq!(lines("c", vec![piece(1), piece(0)]), ["lines[1].quantity"]);
    assert_eq!(fields(proto::noted(&order_id, "why")), Vec::<String>::new());
    assert_eq!(fields(proto::noted("x", "")), ["orderId", "reason"]);
    assert_eq!(fields(proto::as_of(&pb::GetOrderAsOfRequest::default())), ["orderId", "time"]);
    let odd = pb::PlaceOrderRequest { partial_policy: 9, ..pb::PlaceOrderRequest::default() };
    assert!(fields(proto::acceptance(&odd)).contains(&"partialPolicy".to_owned()));
}

#[test]
fn a_request_to_return_is_read_or_every_faulty_field_is_named() {
    let line = |line, quantity, reason| pb::ReturnLine { line, quantity, reason };
    let good = || pb::RequestReturnRequest {
        order_id: order_id(),
        lines: vec![line(1, 1, 1), line(2, 1, 4)],
        wish: 0,
        replacements: Vec::new(),
    };
    assert_eq!(fields(proto::returns::request(&good())), Vec::<String>::new());
    let with = |change: fn(&mut pb::RequestReturnRequest)| {
        let mut request = good();
        change(&mut request);
        fields(proto::returns::request(&request))
    };
    assert_eq!(with(|request| request.order_id = "rtn_1".into()), ["orderId"]);
    assert_eq!(with(|request| request.lines.clear()), ["lines"]);
    assert_eq!(with(|request| request.lines[1].line = 1), ["lines[1].line"]);
    assert_eq!(with(|request| request.lines[0].quantity = 0), ["lines[0].quantity"]);
    assert_eq!(with(|request| request.lines[0].reason = 0), ["lines[0].reason"]);
    assert_eq!(with(|request| request.lines[0].reason = 9), ["lines[0].reason"]);
    let instead = |sku: &str, quantity| pb::Replacement { sku: sku.to_owned(), quantity };
    let exchange = |lines: Vec<pb::Replacement>| {
        let wish = pb::ReturnWish::Exchange.into();
        fields(proto::returns::request(&pb::RequestReturnRequest { wish, replacements: lines, ..good() }))
    };
    assert_eq!(exchange(vec![instead("A", 1), instead("B", 2)]), Vec::<String>::new());
    assert_eq!(exchange(Vec::new()), ["replacements"]);
    assert_eq!(exchange(vec![instead("A", 1); 101]), ["replacements"]);
    assert_eq!(exchange(vec![instead("A", 1); 2]), ["replacements[1].sku"]);
    assert_eq!(exchange(vec![instead("", 0)]), ["replacements[0].sku", "replacements[0].quantity"]);
    let money = pb::RequestReturnRequest { replacements: vec![instead("A", 1)], ..good() };
    assert_eq!(fields(proto::returns::request(&money)), ["replacements"]);
    assert_eq!(with(|request| request.wish = 9), ["wish"]);
    let empty = fields(proto::returns::request(&pb::RequestReturnRequest::default()));
    assert_eq!(empty, ["orderId", "lines"]);
}

#[test]
fn goods_over_the_counter_are_read_or_every_faulty_field_is_named() {
    let line = |line, quantity, grade| pb::GradedLine { line, quantity, grade };
    let good = || pb::RecordReturnRequest {
        external_ref: "R-1".into(),
        order_id: order_id(),
        lines: vec![line(1, 1, 1), line(1, 1, 3)],
        reason: 1,
    };
    assert_eq!(fields(proto::returns::record(&good())), Vec::<String>::new());
    let with = |change: fn(&mut pb::RecordReturnRequest)| {
        let mut request = good();
        change(&mut request);
        fields(proto::returns::record(&request))
    };
    assert_eq!(with(|request| request.external_ref = "x".repeat(129)), ["externalRef"]);
    assert_eq!(with(|request| request.external_ref = "a\nb".into()), ["externalRef"]);
    assert_eq!(with(|request| request.lines[0].grade = 0), ["lines[0].grade"]);
    assert_eq!(
        with(|request| request.lines[0].grade = 4),
        ["lines[0].grade"],
        "nothing that came back is missing"
    );
    assert_eq!(with(|request| request.lines[1].quantity = 1_000_001), ["lines[1].quantity"]);
    assert_eq!(with(|request| request.reason = 0), ["reason"]);
    let empty = fields(proto::returns::record(&pb::RecordReturnRequest::default()));
    assert_eq!(empty, ["orderId", "externalRef", "lines", "reason"]);
}

#[test]
fn what_staff_says_of_a_return_is_read_or_every_faulty_field_is_named() {
    let return_id = || ReturnId::from_uuid(Uuid::v7(1, [1; 10])).to_string();
    let pieces = |line, quantity| pb::OrderPieces { line, quantity };
    let receive = |return_id: String, lines| {
        fields(proto::returns::receive(&pb::ReceiveReturnRequest { return_id, lines }))
    };
    assert_eq!(receive(return_id(), Vec::new()), Vec::<String>::new(), "all of it");
    assert_eq!(receive("x".into(), vec![pieces(1, 0)]), ["returnId", "lines[0].quantity"]);
    assert_eq!(receive(return_id(), vec![pieces(1, 1), pieces(1, 1)]), ["lines[1].line"]);
    let graded = |quantity, grade| pb::GradedLine { line: 1, quantity, grade };
    let inspect = |lines, fees| {
        fields(proto::returns::inspect(&pb::InspectReturnRequest { return_id: return_id(), lines, fees }))
    };
    assert_eq!(inspect(vec![graded(1, 4)], money(0, "GBP")), Vec::<String>::new());
    assert_eq!(
        inspect(vec![graded(0, 9)], money(-1, "GBP")),
        ["lines[0].grade", "lines[0].quantity", "fees"]
    );
    assert_eq!(inspect(Vec::new(), money(1, "XXX")), ["lines", "fees"]);
    assert_eq!(fields(proto::returns::noted("x", "")), ["returnId", "reason"]);
    assert_eq!(fields(proto::returns::noted(&return_id(), &"x".repeat(201))), ["reason"]);
}

#[test]
fn a_decision_about_a_parcel_is_read_or_every_faulty_field_is_named() {
    let good = || pb::ResolveParcelRequest {
        order_id: order_id(),
        shipment_id: "shp_1".into(),
        decision: pb::ParcelDecision::Refund.into(),
        reason: "nothing was found".into(),
    };
    let with = |change: fn(&mut pb::ResolveParcelRequest)| {
        let mut request = good();
        change(&mut request);
        fields(proto::resolve_parcel(&request))
    };
    assert_eq!(with(|_| ()), Vec::<String>::new());
    assert_eq!(with(|request| request.order_id = "x".into()), ["orderId"]);
    assert_eq!(with(|request| request.shipment_id = String::new()), ["shipmentId"]);
    assert_eq!(with(|request| request.shipment_id = "x".repeat(65)), ["shipmentId"]);
    assert_eq!(with(|request| request.decision = 0), ["decision"]);
    assert_eq!(with(|request| request.decision = 99), ["decision"]);
    assert_eq!(with(|request| request.reason = String::new()), ["reason"]);
    assert_eq!(with(|request| request.reason = "x".repeat(201)), ["reason"]);
    let nothing = proto::resolve_parcel(&pb::ResolveParcelRequest::default());
    assert_eq!(fields(nothing), ["orderId", "shipmentId", "decision", "reason"]);
}
