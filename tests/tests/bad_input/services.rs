//! What callers get wrong with stock, parcels, payments, promotions, carts and notifications: a table for each, and a
//! check that no public method is without.
use super::{Ask, Mistake, Scene, ask, get, merge, post, send};
use serde_json::{Value, json};
use souk_tests::{Caller, House, money};
use souk_user::Role;
use std::collections::BTreeSet;

/// Ids of things that never were.
const NO_SHIPMENT: &str = "shp_00000000000000000000000000";
const NO_ORDER: &str = "ord_00000000000000000000000000";
const NO_PAYMENT: &str = "pay_00000000000000000000000000";
const NO_RATE: &str = "rte_00000000000000000000000000";
const NO_ENDPOINT: &str = "whk_00000000000000000000000000";
const NO_DELIVERY: &str = "dlv_00000000000000000000000000";

/// What is there already, so that one can be wrong about it.
pub async fn prepare(house: &House) {
    let admin = house.staff(Role::Admin);
    admin.post("/api/v1/stock:adjust", &adjustment(json!({"adjustmentId": "known"}))).expect(200).await;
    admin.post("/api/v1/stock:transfer", &transfer(json!({"transferId": "known"}))).expect(200).await;
    admin.post("/api/v1/stock:count", &count(json!({"countId": "known"}))).expect(200).await;
    house.promotes("SPRING", 1_000, 5).await;
}

/// Whose every public method has a row in some table.
const SERVICES: &[&str] = &[
    "CartService",
    "CatalogService",
    "InventoryService",
    "NotificationService",
    "PaymentService",
    "ShippingService",
];

/// What is said of each public method about which nobody is wrong in any table.
pub async fn without_a_table(house: &House, tables: &[Vec<Mistake>]) -> Vec<String> {
    let asked: Vec<&str> = tables.iter().flatten().map(|mistake| mistake.ask.line.as_str()).collect();
    let document = house.nobody().get("/openapi.json").expect(200).await;
    let paths = document["paths"].as_object().expect("paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| (path.as_str(), method.to_uppercase(), operation))
    });
    let mut missing: Vec<String> = Vec::new();
    let mut found = BTreeSet::new();
    for (path, method, operation) in methods {
        let (name, service) = (operation["operationId"].as_str(), operation["tags"][0].as_str());
        let is_ours = service.is_some_and(|service| SERVICES.contains(&service));
        found.extend(service.filter(|_| is_ours));
        let is_asked = asked.iter().any(|line| is_about(line, &method, path));
        if is_ours && !is_asked {
            missing
                .push(format!("{name:?}: {method} {path} must be in a table, or have nothing to get wrong"));
        }
    }
    assert_eq!(found, SERVICES.iter().copied().collect(), "the names of the services");
    missing
}

/// Whether a request's line asks for this method of the API.
fn is_about(line: &str, method: &str, template: &str) -> bool {
    let mut words = line.split(' ');
    let (asked, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let fits = |(segment, template): (&str, &str)| match template.strip_prefix('{') {
        Some(rest) => {
            let verb = rest.split_once('}').map_or("", |(_, verb)| verb);
            segment.ends_with(verb) && (verb.is_empty() != segment.contains(':'))
        }
        None => segment == template,
    };
    asked == method
        && path.split('/').count() == template.split('/').count()
        && path.split('/').zip(template.split('/')).all(fits)
}

fn changed(mut whole: Value, change: &Value) -> Value {
    merge(&mut whole, change);
    whole
}

fn adjustment(change: Value) -> Value {
    let whole =
        json!({"adjustmentId": "bad", "sku": "LAMP", "location": "main", "delta": "1", "reason": "found"});
    changed(whole, &change)
}

fn transfer(change: Value) -> Value {
    changed(
        json!({"transferId": "bad", "sku": "LAMP", "from": "main", "to": "east", "quantity": "5"}),
        &change,
    )
}

fn count(change: Value) -> Value {
    changed(json!({"countId": "bad", "sku": "LAMP", "location": "east", "counted": "5"}), &change)
}

/// All tables.
pub fn tables(s: &Scene) -> Vec<Vec<Mistake>> {
    vec![
        receiving_and_adjusting(s),
        moving_and_counting(s),
        about_shelves(s),
        shipping(s),
        paying(s),
        presenting(s),
        promoting(s),
        pricing(s),
        merging_carts(s),
        being_told(s),
        calling_others(s),
    ]
}

fn receiving_and_adjusting(s: &Scene) -> Vec<Mistake> {
    let receive = |change: Value| {
        let lines = [json!({"sku": "LAMP", "quantity": "1"})];
        let whole = json!({"receiptId": "bad", "location": "main", "lines": lines});
        post("/api/v1/stock:receive", &changed(whole, &change)).by(&s.admin)
    };
    let adjust = |change: Value| post("/api/v1/stock:adjust", &adjustment(change)).by(&s.admin);
    let all = |changes: &[Value]| {
        let all: Vec<_> = changes.iter().map(|change| adjustment(change.clone())).collect();
        post("/api/v1/stock:bulkAdjust", &json!({"adjustments": all}))
    };
    let (one, two) = (json!({"adjustmentId": "one"}), json!({"adjustmentId": "two"}));
    let too_low = json!({"adjustmentId": "two", "sku": "VASE", "delta": "-2"});
    let too_many: Vec<_> = (0..1_001).map(|n| json!({"adjustmentId": format!("a{n}")})).collect();
    vec![
        receive(json!({"receiptId": ""})).names("a receipt without id", "receiptId"),
        receive(json!({"location": ""})).names("a receipt of nowhere", "location"),
        receive(json!({"lines": []})).names("a receipt of nothing", "lines"),
        receive(json!({"receiptId": "opening-LAMP"})).is(
            "a known receipt",
            409,
            "RECEIPT_CONFLICT",
            "receipt",
        ),
        adjust(json!({"delta": "0"})).names("no difference", "delta"),
        adjust(json!({"reason": ""})).names("no reason", "reason"),
        adjust(json!({"adjustmentId": "x".repeat(65)})).names("a long id", "adjustmentId"),
        adjust(json!({"adjustmentId": "known", "delta": "2"})).is(
            "a known adjustment",
            409,
            "ADJUSTMENT_CONFLICT",
            "adjustment",
        ),
        adjust(json!({"delta": "1000000000000"})).is("more than a shelf", 409, "STOCK_OVERFLOW", "LAMP"),
        adjust(json!({"quarantine": true, "delta": "-1"})).is(
            "what is not in quarantine",
            409,
            "INSUFFICIENT_STOCK",
            "quarantine",
        ),
        all(&[]).by(&s.admin).names("no adjustments", "adjustments"),
        all(&too_many).by(&s.admin).names("too many adjustments", "adjustments"),
        all(&[one.clone(), one.clone()]).by(&s.admin).names("the same twice", "adjustments[1].adjustmentId"),
        all(&[one.clone(), json!({"delta": "0"})])
            .by(&s.admin)
            .names("no difference", "adjustments[1].delta"),
        all(&[one.clone(), too_low]).by(&s.admin).is("one that cannot be", 409, "BELOW_RESERVED", "two"),
        all(&[one, two]).by(&s.sales).is("adjusting by sales", 403, "PERMISSION_DENIED", ""),
    ]
}

fn moving_and_counting(s: &Scene) -> Vec<Mistake> {
    let carry = |change: Value| post("/api/v1/stock:transfer", &transfer(change)).by(&s.sales);
    let counted = |change: Value| post("/api/v1/stock:count", &count(change)).by(&s.admin);
    let resolve = |id: &str, change: Value| {
        let whole = json!({"decision": "SHORTFALL_DECISION_FOUND", "reason": "there"});
        post(&format!("/api/v1/shortfalls/{id}:resolve"), &changed(whole, &change)).by(&s.admin)
    };
    vec![
        carry(json!({"to": "main"})).names("to where it is", "to"),
        carry(json!({"quantity": "0"})).names("nothing to carry", "quantity"),
        carry(json!({"quantity": "30000"})).is("more than there is", 409, "INSUFFICIENT_STOCK", "LAMP"),
        carry(json!({"sku": "NONE"})).is("what never was", 404, "UNKNOWN_SKU", "NONE"),
        carry(json!({"transferId": "known", "quantity": "6"})).is(
            "a known transfer",
            409,
            "TRANSFER_CONFLICT",
            "transfer",
        ),
        counted(json!({"counted": "-1"})).names("less than none", "counted"),
        counted(json!({"location": ""})).names("nowhere", "location"),
        counted(json!({"sku": "VASE", "location": "main", "counted": "1"})).is(
            "fewer than promised",
            409,
            "BELOW_RESERVED",
            "VASE",
        ),
        counted(json!({"countId": "known", "counted": "6"})).is(
            "a known count",
            409,
            "COUNT_CONFLICT",
            "count",
        ),
        counted(json!({"sku": "NONE"})).is("what never was", 404, "UNKNOWN_SKU", "NONE"),
        resolve("none", json!({})).is("an unknown shortfall", 404, "NOT_FOUND", "shortfall"),
        resolve("none", json!({"decision": null})).names("no decision", "decision"),
        resolve("none", json!({"decision": "LOST"})).names("an unknown decision", "decision"),
        resolve("none", json!({"reason": ""})).names("no reason", "reason"),
        get("/api/v1/shortfalls?pageSize=201").by(&s.admin).names("a page too large", "pageSize"),
        get("/api/v1/shortfalls?pageToken=zzz").by(&s.admin).is(
            "a damaged token",
            400,
            "INVALID_PAGE_TOKEN",
            "token",
        ),
    ]
}

fn about_shelves(s: &Scene) -> Vec<Mistake> {
    let put = |path: &str, body: Value| send("PUT", path, body.to_string());
    let terms = |terms: Value| put("/api/v1/stock/LAMP/terms", json!({"terms": terms})).by(&s.sales);
    let movements = |query: &str| get(&format!("/api/v1/stock/LAMP/movements?{query}")).by(&s.sales);
    vec![
        put("/api/v1/locations/main", json!({"priority": 1_000_001}))
            .by(&s.admin)
            .names("a far place", "priority"),
        put("/api/v1/locations/main", json!({"country": "gb"})).by(&s.admin).names("a country", "country"),
        put("/api/v1/locations/%07", json!({})).by(&s.admin).names("a bell for a place", "location"),
        put("/api/v1/locations/main", json!({})).by(&s.sales).is(
            "closing by sales",
            403,
            "PERMISSION_DENIED",
            "",
        ),
        get("/api/v1/locations").by(&s.customer).is(
            "a guest in the storehouse",
            403,
            "PERMISSION_DENIED",
            "",
        ),
        put("/api/v1/stock/LAMP/terms", json!({})).by(&s.sales).names("no terms", "terms"),
        terms(json!({"safety": "-1"})).names("negative safety", "terms.safety"),
        terms(json!({"lowBelow": "-1"})).names("lower than nothing", "terms.lowBelow"),
        terms(json!({"backorderLimit": "1001"})).names("too much on order", "terms.backorderLimit"),
        movements("pageSize=201").names("a page too large", "pageSize"),
        movements("pageToken=zzz").is("a damaged token", 400, "INVALID_PAGE_TOKEN", "token"),
        get("/api/v1/stock:watch").by(&s.customer).names("watching nothing", "skus"),
        get("/api/v1/stock:watch?skus=LAMP&after=zzz").by(&s.customer).is(
            "a damaged cursor",
            400,
            "INVALID_PAGE_TOKEN",
            "token",
        ),
        get("/api/v1/reservations/ord_x").by(&s.admin).names("half an id", "reservationId"),
        get(&format!("/api/v1/reservations/{NO_ORDER}")).by(&s.admin).is(
            "an unknown reservation",
            404,
            "NOT_FOUND",
            "reservation",
        ),
    ]
}

fn shipping(s: &Scene) -> Vec<Mistake> {
    let address = json!({
        "recipient": "A", "line1": "1 Road", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB",
    });
    let ask = |change: Value| {
        let whole = json!({"address": address, "items": [{"sku": "LAMP", "quantity": 1}], "market": "GB"});
        post("/api/v1/shipping/rates", &changed(whole, &change)).by(&s.customer)
    };
    let parcel =
        |id: &str, step: &str| post(&format!("/api/v1/shipments/{id}:{step}"), &json!({})).by(&s.sales);
    let unknown = |ask: Ask, what: &str, names: &str| ask.is(what, 404, "NOT_FOUND", names);
    let read = |path: String| get(&path).by(&s.customer);
    vec![
        post("/api/v1/addresses:validate", &json!({})).by(&s.customer).names("no address", "address"),
        ask(json!({"address": null})).names("no address", "address"),
        ask(json!({"items": []})).names("nothing to send", "items"),
        ask(json!({"items": [{"sku": "LAMP", "quantity": 0}]})).names("none of it", "items[0].quantity"),
        ask(json!({"items": [{"sku": "", "quantity": 1}]})).names("no SKU", "items[0].sku"),
        ask(json!({"market": "gb"})).names("a market in small letters", "market"),
        ask(json!({"market": "ZZ"})).is("a market of nobody", 409, "MARKET_NOT_SERVED", "market"),
        ask(json!({"carrierScenario": "No!"})).names("an odd scenario", "carrierScenario"),
        read("/api/v1/shipping/rates/rte_x".to_owned()).names("half an id", "rateId"),
        unknown(read(format!("/api/v1/shipping/rates/{NO_RATE}")), "an unknown rate", "rate"),
        read("/api/v1/fulfilments/ord_x".to_owned()).names("half an id", "orderId"),
        unknown(
            read(format!("/api/v1/fulfilments/{}", s.others_order)),
            "somebody else's parcels",
            "fulfilment",
        ),
        read("/api/v1/shipments?orderId=x".to_owned()).names("half an id", "orderId"),
        read("/api/v1/shipments/shp_x".to_owned()).names("half an id", "shipmentId"),
        unknown(read(format!("/api/v1/shipments/{NO_SHIPMENT}")), "an unknown parcel", "shipment"),
        unknown(read(format!("/api/v1/shipments/{NO_SHIPMENT}:track")), "tracking nothing", "shipment"),
        unknown(parcel(NO_SHIPMENT, "pack"), "packing nothing", "shipment"),
        unknown(parcel(NO_SHIPMENT, "buyLabel"), "a label for nothing", "shipment"),
        unknown(parcel(NO_SHIPMENT, "handOver"), "handing nothing over", "shipment"),
        parcel("shp_x", "pack").names("half an id", "shipmentId"),
        post("/webhooks/carriers/nobody", &json!({})).is(
            "an unknown carrier",
            401,
            "SIGNATURE_INVALID",
            "signature",
        ),
        post("/webhooks/carriers/sim", &json!({})).is("no signature", 401, "SIGNATURE_INVALID", "signature"),
    ]
}

fn paying(s: &Scene) -> Vec<Mistake> {
    let theirs = s.others_order.replace("ord_", "pay_");
    let read = |id: &str| get(&format!("/api/v1/payments/{id}")).by(&s.customer);
    let acted = |id: &str| post(&format!("/api/v1/payments/{id}:completeAction"), &json!({})).by(&s.customer);
    let compare = |date: &str| post("/api/v1/ledger:reconcile", &json!({"date": date}));
    vec![
        read("pay_x").names("half an id", "paymentId"),
        read(&theirs).is("somebody else's payment", 404, "NOT_FOUND", "payment"),
        read(NO_PAYMENT).is("an unknown payment", 404, "NOT_FOUND", "payment"),
        acted("pay_x").names("half an id", "paymentId"),
        acted(&theirs).is("acting for somebody else", 404, "NOT_FOUND", "payment"),
        compare("yesterday").by(&s.admin).names("a word for a day", "date"),
        compare("2026-02-30").by(&s.admin).names("a day that never was", "date"),
        compare("2036-01-01").by(&s.admin).names("a day to come", "date"),
        compare("2026-11-20").by(&s.sales).is("comparing by sales", 403, "PERMISSION_DENIED", ""),
        get("/api/v1/payment-issues?limit=501").by(&s.admin).names("too many issues", "limit"),
        get("/api/v1/ledger").by(&s.customer).is("a guest at the ledger", 403, "PERMISSION_DENIED", ""),
        post("/webhooks/payments/nobody", &json!({})).is(
            "an unknown provider",
            404,
            "UNKNOWN_PROVIDER",
            "name",
        ),
        post("/webhooks/payments/sim", &json!({})).is("no signature", 401, "BAD_SIGNATURE", "signed"),
    ]
}

fn presenting(s: &Scene) -> Vec<Mistake> {
    let step = |handle: &str, step: &str| {
        post(&format!("/api/v1/products/{handle}:{step}"), &json!({})).by(&s.sales)
    };
    let steps = ["publish", "unpublish", "archive"];
    let unknown = steps.map(|verb| step("none", verb).is(verb, 404, "NOT_FOUND", "product"));
    let odd = steps.map(|verb| step("No!", verb).names(verb, "handle"));
    let rest = [
        get("/api/v1/categories?x=1").names("an unknown parameter", "x"),
        get("/api/v1/variants/LAMP/prices?market=gb").names("a market in small letters", "market"),
    ];
    unknown.into_iter().chain(odd).chain(rest).collect()
}

fn promoting(s: &Scene) -> Vec<Mistake> {
    let create = |change: Value| {
        let whole = json!({
            "promotionId": "bad", "name": "Bad", "code": "BAD", "benefit": {"percentageBp": 100},
        });
        post("/api/v1/promotions", &changed(whole, &change)).by(&s.sales)
    };
    let disable = |id: &str, reason: &str| {
        post(&format!("/api/v1/promotions/{id}:disable"), &json!({"reason": reason})).by(&s.sales)
    };
    vec![
        create(json!({"promotionId": "No!"})).names("an odd id", "promotion.promotionId"),
        create(json!({"name": null})).names("no name", "promotion.name"),
        create(json!({"code": "ab"})).names("a short code", "promotion.code"),
        create(json!({"benefit": null})).names("nothing off", "promotion.benefit"),
        create(json!({"benefit": {"percentageBp": 10_001}}))
            .names("more than all", "promotion.benefit.percentageBp"),
        create(json!({"benefit": {"fixed": money(0)}})).names("nothing off", "promotion.benefit.fixed"),
        create(json!({"skus": [""]})).names("no SKU", "promotion.skus[0]"),
        create(json!({"markets": ["gb"]})).names("a market in small letters", "promotion.markets[0]"),
        create(json!({"code": null, "limitTotal": 1}))
            .names("a limit without a code", "promotion.limitTotal"),
        create(json!({"validFrom": "2026-12-02T00:00:00Z", "validTo": "2026-12-01T00:00:00Z"}))
            .names("over before it begins", "promotion.validTo"),
        create(json!({"validTo": "2020-01-01T00:00:00Z"})).is("over by now", 409, "PROMOTION_ENDED", "over"),
        create(json!({"promotionId": "spring"})).is("a known promotion", 409, "PROMOTION_CONFLICT", "spring"),
        create(json!({"code": "spring"})).is("a known code", 409, "COUPON_CODE_TAKEN", "SPRING"),
        create(json!({})).by(&s.customer).is("two headers", 401, "UNAUTHENTICATED", "Bearer"),
        disable("spring", "").names("no reason", "reason"),
        disable("none", "it leaked").is("an unknown promotion", 404, "NOT_FOUND", "promotion"),
        get("/api/v1/promotions/none").by(&s.sales).is("an unknown promotion", 404, "NOT_FOUND", "promotion"),
        get("/api/v1/promotions/No!").by(&s.sales).names("an odd id", "promotionId"),
        get("/api/v1/promotions?pageSize=201").by(&s.sales).names("a page too large", "pageSize"),
        get("/api/v1/promotions?pageToken=zzz").by(&s.sales).is(
            "a damaged token",
            400,
            "INVALID_PAGE_TOKEN",
            "token",
        ),
    ]
}

fn pricing(s: &Scene) -> Vec<Mistake> {
    let price = |change: Value| {
        let whole = json!({"lines": [{"line": 1, "sku": "LAMP", "quantity": 1}], "market": "GB"});
        post("/api/v1/prices:calculate", &changed(whole, &change)).by(&s.customer)
    };
    let look = |change: Value| {
        let whole = json!({"code": "SPRING", "subtotal": money(1_000), "market": "GB"});
        post("/api/v1/coupons:validate", &changed(whole, &change)).by(&s.customer)
    };
    let set = |change: Value| {
        let whole = json!({"sku": "LAMP", "market": "GB", "amount": money(1)});
        post("/api/v1/prices", &changed(whole, &change)).by(&s.sales)
    };
    let tax = |zone: &str, rates: Value| {
        send("PUT", &format!("/api/v1/tax-zones/{zone}"), json!({"rates": rates}).to_string()).by(&s.sales)
    };
    let rate = |millionths: u32| json!({"taxClass": "standard", "rateMillionths": millionths, "name": "VAT"});
    vec![
        price(json!({"lines": []})).names("nothing to price", "lines"),
        price(json!({"lines": [{"line": 1, "sku": "LAMP", "quantity": 0}]})).names("none of it", "lines[0].quantity"),
        price(json!({"market": null})).names("no market", "market"),
        price(json!({"country": "gb"})).names("a country in small letters", "country"),
        price(json!({"couponCodes": ["A1B", "A1C", "A1D", "A1E", "A1F", "A1G", "A1H", "A1I", "A1J", "A1K", "A1L"]}))
            .names("eleven coupons", "couponCodes"),
        price(json!({"subject": "gst_1"})).names("somebody else's coupons", "subject"),
        look(json!({"code": null})).names("no code", "code"),
        look(json!({"subtotal": null})).names("no subtotal", "subtotal"),
        look(json!({"subtotal": money(-1)})).names("less than nothing", "subtotal"),
        set(json!({"sku": "NONE"})).is("a price of nothing", 404, "UNKNOWN_SKU", "NONE"),
        set(json!({"amount": money(-1)})).names("a negative price", "amount"),
        set(json!({"market": null})).names("no market", "market"),
        tax("gb", json!([])).names("a zone in small letters", "zone"),
        tax("GB", json!([rate(1_000_001)])).names("more than all", "taxZone.rates[0].rateMillionths"),
        tax("GB", json!([rate(1), rate(2)])).names("two rates at once", "taxZone.rates[1]"),
        get("/api/v1/tax-zones").by(&s.customer).is("a guest at the taxes", 403, "PERMISSION_DENIED", ""),
    ]
}

fn merging_carts(s: &Scene) -> Vec<Mistake> {
    let merge =
        |caller: &Caller, token: &str| post("/api/v1/cart:merge", &json!({"guestToken": token})).by(caller);
    let foreign = |token: &str, what: &str| merge(&s.signed_in, token).is(what, 404, "NOT_FOUND", "guest");
    vec![
        merge(&s.signed_in, "").names("no guest", "guestToken"),
        post("/api/v1/cart/items", &json!({"sku": "LAMP", "quantity": 2, "opId": "add-LAMP-1"}))
            .by(&s.customer)
            .is("a click of before", 422, "OP_ID_REUSED", "add-LAMP-1"),
        ask("DELETE", "/api/v1/cart/items").is("clearing nobody's cart", 401, "UNAUTHENTICATED", "Bearer"),
        foreign("garbage", "a guest of nobody"),
        foreign(s.signed_in.token(), "a customer for a guest"),
        foreign(s.admin.token(), "staff for a guest"),
        merge(&s.customer, s.customer.token()).is(
            "a guest who is none",
            403,
            "PERMISSION_DENIED",
            "customer",
        ),
        merge(&s.sales, s.customer.token()).is("staff for a customer", 403, "PERMISSION_DENIED", "customer"),
    ]
}

fn being_told(s: &Scene) -> Vec<Mistake> {
    let read = |body: Value| post("/api/v1/notifications:markRead", &body).by(&s.customer);
    let prefer =
        |body: Value| send("PATCH", "/api/v1/notification-preferences", body.to_string()).by(&s.customer);
    vec![
        get("/api/v1/notifications?pageSize=201").by(&s.customer).names("a page too large", "pageSize"),
        get("/api/v1/notifications?pageToken=zzz").by(&s.customer).is(
            "a damaged token",
            400,
            "INVALID_PAGE_TOKEN",
            "token",
        ),
        get("/api/v1/notifications:subscribe?types=No!").by(&s.customer).names("an odd type", "types[0]"),
        get("/api/v1/notifications:subscribe?afterCursor=99").by(&s.customer).is(
            "a cursor of tomorrow",
            400,
            "CURSOR_AHEAD",
            "cursor",
        ),
        get("/api/v1/notifications:unreadCount?x=1").by(&s.customer).names("an unknown parameter", "x"),
        get("/api/v1/notification-preferences").is("nobody's wishes", 401, "UNAUTHENTICATED", "Bearer"),
        read(json!({})).names("nothing read", "upTo"),
        read(json!({"upTo": "1", "ids": ["ntf_00000000000000000000000000"]})).names("both", "upTo"),
        read(json!({"ids": ["ntf_x"]})).names("half an id", "ids[0]"),
        prefer(json!({"locale": "!"})).names("no language", "locale"),
        prefer(json!({"email": "nobody"})).names("no address", "email"),
        prefer(json!({"muted": {"categories": ["CATEGORY_TRANSACTIONAL"]}}))
            .names("what cannot be muted", "muted.categories[0]"),
    ]
}

fn calling_others(s: &Scene) -> Vec<Mistake> {
    let create = |change: Value| {
        let whole = json!({"name": "erp", "url": "https://partner.example/hooks"});
        post("/api/v1/webhook-endpoints", &changed(whole, &change)).by(&s.sales)
    };
    let of = |id: &str, verb: &str, body: Value| {
        post(&format!("/api/v1/webhook-endpoints/{id}:{verb}"), &body).by(&s.sales)
    };
    let unknown = |ask: Ask, what: &str, names: &str| ask.is(what, 404, "NOT_FOUND", names);
    let deliveries = |id: &str, query: &str| {
        get(&format!("/api/v1/webhook-endpoints/{id}/deliveries{query}")).by(&s.sales)
    };
    let again =
        |id: &str| post(&format!("/api/v1/webhook-deliveries/{id}:redeliver"), &json!({})).by(&s.sales);
    vec![
        create(json!({"name": "two words"})).names("two words", "name"),
        create(json!({"url": "ftp://x"})).names("no web address", "url"),
        create(json!({"url": "https://me@partner.example/"})).names("a user in the address", "url"),
        create(json!({"types": ["No!"]})).names("an odd type", "types[0]"),
        of("whk_x", "rotateSecret", json!({"generation": 1})).names("half an id", "endpointId"),
        of(NO_ENDPOINT, "rotateSecret", json!({})).names("no generation", "generation"),
        unknown(of(NO_ENDPOINT, "rotateSecret", json!({"generation": 1})), "an unknown endpoint", "endpoint"),
        unknown(of(NO_ENDPOINT, "setEnabled", json!({"enabled": true})), "an unknown endpoint", "endpoint"),
        deliveries(NO_ENDPOINT, "?pageSize=201").names("a page too large", "pageSize"),
        deliveries("whk_x", "").names("half an id", "endpointId"),
        deliveries(NO_ENDPOINT, "?pageToken=zzz").is("a damaged token", 400, "INVALID_PAGE_TOKEN", "token"),
        again("dlv_x").names("half an id", "deliveryId"),
        unknown(again(NO_DELIVERY), "an unknown delivery", "delivery"),
        get("/api/v1/webhook-endpoints").by(&s.customer).is(
            "a guest at the hooks",
            403,
            "PERMISSION_DENIED",
            "",
        ),
    ]
}
