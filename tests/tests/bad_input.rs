//! Everything that callers get wrong: each mistake has its exact status and a stable reason, names the field or
//! rule, and leaves no trace in any store.
use serde_json::{Value, json};
use souk_identity::{AUDIENCE_ALL, Claims, Kind, Signer, SigningKey};
use souk_kernel::Timestamp;
use souk_tests::{Answer, Caller, House, Shape, minor, money, raw};
use souk_user::Role;
use std::time::Duration;

#[path = "bad_input/services.rs"]
mod services;

/// The largest body that the shop reads.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A request, byte by byte.
#[derive(Clone)]
struct Ask {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// A mistake and what is said about it.
struct Mistake {
    what: String,
    ask: Ask,
    status: u16,
    reason: &'static str,
    /// Stands in a faulty field, in the detail, in the metadata, or in a header of the answer.
    names: String,
}

fn ask(method: &str, path: &str) -> Ask {
    Ask { line: format!("{method} {path} HTTP/1.1"), headers: Vec::new(), body: Vec::new() }
}

fn get(path: &str) -> Ask {
    ask("GET", path)
}

fn send(method: &str, path: &str, body: impl Into<Vec<u8>>) -> Ask {
    ask(method, path).header("content-type: application/json").body(body)
}

fn post(path: &str, body: &Value) -> Ask {
    send("POST", path, body.to_string())
}

impl Ask {
    fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn by(self, caller: &Caller) -> Self {
        self.bearer(caller.token())
    }

    fn bearer(self, token: &str) -> Self {
        self.header(&format!("authorization: Bearer {token}"))
    }

    fn key(self, key: &str) -> Self {
        self.header(&format!("idempotency-key: {key}"))
    }

    fn is(self, what: &str, status: u16, reason: &'static str, names: &str) -> Mistake {
        Mistake { what: what.to_owned(), ask: self, status, reason, names: names.to_owned() }
    }

    /// The request is not understood; the field is named.
    fn names(self, what: &str, field: &str) -> Mistake {
        self.is(what, 400, "INVALID_ARGUMENT", field)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{}\r\nhost: souk.test\r\nconnection: close\r\n", self.line);
        for header in &self.headers {
            head.push_str(&format!("{header}\r\n"));
        }
        if !self.body.is_empty() && !head.contains("content-length") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// Who and what there is to be wrong about.
struct Scene {
    customer: Caller,
    /// Somebody with an account.
    signed_in: Caller,
    sales: Caller,
    admin: Caller,
    cart: String,
    quote: Value,
    expired: Value,
    rejected_order: String,
    others_cart: String,
    others_quote: Value,
    others_order: String,
    empty_cart: (Caller, String),
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Scene {
    async fn set(house: &House) -> Scene {
        house.sells("LAMP", 1_000, 20_000).await;
        house.sells("VASE", 500, 3).await;
        let (customer, other) = (house.guest().await, house.guest().await);
        let expired = customer.wants("LAMP", 1).await;
        house.advance(Duration::from_secs(20 * 60));
        let quote = customer.quotes().await;
        let declined = customer.places(&quote, "decline_funds", "declined").await;
        let rejected_order = text(&declined.json()["order"]["orderId"]);
        let quote = customer.quotes().await;
        let bought = other.buys("VASE", 2, "ok").await;
        other.order_paid(&bought, "CAPTURED").await;
        house.at_rest().await;
        let others_cart = other.adds("LAMP", 1).await;
        let others_quote = other.quotes().await;
        services::prepare(house).await;
        let nobody = house.guest().await;
        let empty = nobody.adds("LAMP", 1).await;
        nobody.delete("/api/v1/cart/items").expect(200).await;
        Scene {
            sales: house.staff(Role::Sales),
            admin: house.staff(Role::Admin),
            signed_in: house.customer(),
            cart: text(&customer.cart().await["cartId"]),
            customer,
            quote,
            expired,
            rejected_order,
            others_cart: text(&others_cart["cartId"]),
            others_quote,
            others_order: text(&bought["orderId"]),
            empty_cart: (nobody, text(&empty["cartId"])),
        }
    }

    fn item(&self, changed: Value) -> Ask {
        let mut item = json!({"sku": "LAMP", "quantity": 1, "opId": "bad"});
        merge(&mut item, &changed);
        post("/api/v1/cart/items", &item).by(&self.customer)
    }

    fn place(&self, quote: &Value, changed: Value) -> Ask {
        let mut placing = json!({
            "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
        });
        merge(&mut placing, &changed);
        post("/api/v1/orders", &placing).by(&self.customer)
    }
}

/// Sets members, or takes them out where the new value is null.
fn merge(object: &mut Value, changed: &Value) {
    let members = object.as_object_mut().expect("an object");
    for (name, value) in changed.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
}

fn in_the_cart(s: &Scene) -> Vec<Mistake> {
    let items = |body: &[u8]| send("POST", "/api/v1/cart/items", body).by(&s.customer);
    let line = |n: &str, body: Value| send("PATCH", &format!("/api/v1/cart/items/{n}"), body.to_string());
    let deep = "[".repeat(200) + &"]".repeat(200);
    vec![
        items(b"{\"sku\": \"LAMP\", ").is("broken JSON", 400, "MALFORMED_JSON", "body"),
        items(b"{\"sku\": \"LAMP\",}").is("a comma too many", 400, "MALFORMED_JSON", "body"),
        items(b"{\"sku\": \"\xff\xfe\"}").is("not UTF-8", 400, "MALFORMED_JSON", "body"),
        items(b"{\"sku\": \"\\ud800\"}").is("half a character", 400, "MALFORMED_JSON", "body"),
        items(b"[1]").names("a list for an object", "body"),
        items(format!("{{\"sku\": {deep}}}").as_bytes()).names("too deep", "sku"),
        items(br#"{"sku":"LAMP","quantity":1,"quantity":2,"opId":"x"}"#).names("a field twice", "quantity"),
        s.item(json!({"quantity": "lots"})).names("a word for a number", "quantity"),
        s.item(json!({"quantity": {}})).names("an object for a number", "quantity"),
        s.item(json!({"sku": 5})).names("a number for a text", "sku"),
        s.item(json!({"quantiy": 5})).names("an unknown field", "quantiy"),
        s.item(json!({"unitPrice": money(1)})).names("a price", "unitPrice"),
        s.item(json!({"subject": "gst_1"})).names("somebody else's name", "subject"),
        s.item(json!({"quantity": 4_294_967_296_u64})).names("a number too large", "quantity"),
        s.item(json!({"quantity": 1.5})).names("a fraction", "quantity"),
        s.item(json!({"quantity": -1})).names("a negative quantity", "quantity"),
        s.item(json!({"quantity": 0})).names("no quantity", "quantity"),
        s.item(json!({"quantity": 10_001})).is("too many pieces", 409, "QUANTITY_TOO_HIGH", "LAMP"),
        s.item(json!({"sku": null})).names("no SKU", "sku"),
        s.item(json!({"sku": "LAMP\u{7}"})).names("a SKU with a bell", "sku"),
        s.item(json!({"sku": "X".repeat(65)})).names("a long SKU", "sku"),
        s.item(json!({"sku": "lamp"})).is("a SKU in other letters", 404, "UNKNOWN_SKU", "lamp"),
        s.item(json!({"opId": null})).names("no op_id", "opId"),
        s.item(json!({"market": "gb"})).names("a market in small letters", "market"),
        s.item(json!({"market": "DE"})).is("another market", 409, "NOT_SOLD_IN_MARKET", "LAMP"),
        line("99", json!({"quantity": 1})).by(&s.customer).is("no such line", 404, "NOT_FOUND", "line"),
        line("one", json!({"quantity": 1})).by(&s.customer).names("a word for a line", "line"),
        line("1", json!({"line": 1, "quantity": 1})).by(&s.customer).names("the line twice", "line"),
        line("1", json!({"quantity": 2, "expectedVersion": "999"})).by(&s.customer).is(
            "another version",
            409,
            "VERSION_MISMATCH",
            "version",
        ),
        send("DELETE", "/api/v1/cart/items/1", "{}").by(&s.customer).is(
            "a body where none belongs",
            400,
            "BODY_NOT_ALLOWED",
            "body",
        ),
    ]
}

fn about_quotes(s: &Scene) -> Vec<Mistake> {
    let quote = |id: &str| post("/api/v1/quotes", &json!({"cartId": id})).by(&s.customer);
    let others = text(&s.others_quote["quoteId"]);
    let unknown = "crt_00000000000000000000000000";
    vec![
        quote("").names("no cart", "cartId"),
        quote("crt_nonsense").names("no id", "cartId"),
        quote(&others).names("an id of another kind", "cartId"),
        quote(unknown).is("an unknown cart", 404, "NOT_FOUND", "cart"),
        quote(&s.others_cart).is("somebody else's cart", 404, "NOT_FOUND", "cart"),
        post("/api/v1/quotes", &json!({"cartId": s.empty_cart.1})).by(&s.empty_cart.0).is(
            "an empty cart",
            409,
            "CART_EMPTY",
            "lines",
        ),
        post("/api/v1/quotes", &json!({"cartId": s.cart, "total": money(1)}))
            .by(&s.customer)
            .names("a total", "total"),
        get(&format!("/api/v1/quotes/{others}")).by(&s.customer).is(
            "somebody else's quote",
            404,
            "NOT_FOUND",
            "quote",
        ),
        get("/api/v1/quotes/qte_1").by(&s.customer).names("half an id", "quoteId"),
    ]
}

fn placing_orders(s: &Scene) -> Vec<Mistake> {
    let placed = |changed: Value| s.place(&s.quote, changed).key("bad");
    let amount =
        |minor: &str, currency: &str| json!({"expectedTotal": {"minorUnits": minor, "currency": currency}});
    let dearer = money(minor(&s.quote["total"]) + 1);
    let missing = "IDEMPOTENCY_KEY_REQUIRED";
    let invalid = "INVALID_IDEMPOTENCY_KEY";
    vec![
        s.place(&s.quote, json!({})).is("no key", 400, missing, "Idempotency-Key"),
        s.place(&s.quote, json!({})).key(&"k".repeat(256)).is("a long key", 400, invalid, "Idempotency-Key"),
        s.place(&s.quote, json!({})).key("two words").is(
            "a key of two words",
            400,
            invalid,
            "Idempotency-Key",
        ),
        s.place(&s.quote, json!({})).key("a").key("b").is("two keys", 400, invalid, "Idempotency-Key"),
        s.place(&s.others_quote, json!({})).key("bad").is("somebody else's quote", 404, "NOT_FOUND", "quote"),
        s.place(&s.expired, json!({})).key("bad").is("an expired quote", 409, "QUOTE_EXPIRED", "quote"),
        placed(json!({"expectedTotal": dearer})).is("another total", 409, "TOTAL_CHANGED", "total"),
        placed(amount("1000", "EUR")).is("another currency", 409, "TOTAL_CHANGED", "total"),
        placed(json!({"expectedTotal": null})).names("no total", "expectedTotal"),
        placed(amount("1000", "gbp")).names("no currency", "expectedTotal"),
        placed(amount("10.5", "GBP")).names("half a penny", "expectedTotal.minorUnits"),
        placed(amount("9223372036854775808", "GBP")).names("too much money", "expectedTotal.minorUnits"),
        placed(json!({"status": "ORDER_STATUS_CONFIRMED"})).names("a status", "status"),
        placed(json!({"lines": []})).names("lines", "lines"),
        placed(json!({"paymentMethodToken": null})).names("no means of payment", "paymentMethodToken"),
        placed(json!({"quoteId": "crt_00000000000000000000000000"})).names("a cart for a quote", "quoteId"),
    ]
}

fn about_orders(s: &Scene) -> Vec<Mistake> {
    let cancel = |id: &str, body: Value| {
        post(&format!("/api/v1/orders/{id}:cancel"), &body).by(&s.customer).key("bad")
    };
    let others = format!("/api/v1/orders/{}", s.others_order);
    vec![
        get(&others).by(&s.customer).is("somebody else's order", 404, "NOT_FOUND", "order"),
        get(&format!("{others}:watch")).by(&s.customer).is(
            "somebody else's events",
            404,
            "NOT_FOUND",
            "order",
        ),
        cancel(&s.others_order, json!({})).is("calling somebody else's off", 404, "NOT_FOUND", "order"),
        cancel(&s.rejected_order, json!({})).is("calling off what is off", 409, "CANCEL_TOO_LATE", "order"),
        cancel(&s.rejected_order, json!({"reason": "x".repeat(201)})).names("a long reason", "reason"),
        cancel("ord_x", json!({})).names("no order id", "orderId"),
        get("/api/v1/orders/ord_%zz").by(&s.customer).names("broken percent-encoding", "order_id"),
        get("/api/v1/orders?pageSize=201").by(&s.customer).names("a page too large", "pageSize"),
        get("/api/v1/orders?pageSize=-1").by(&s.customer).names("a negative page", "pageSize"),
        get("/api/v1/orders?pageToken=zzz").by(&s.customer).is(
            "a damaged token",
            400,
            "INVALID_PAGE_TOKEN",
            "token",
        ),
        get("/api/v1/orders?subject=gst_1").by(&s.customer).names("somebody else's list", "subject"),
    ]
}

fn looking_around() -> Vec<Mistake> {
    let search = |q: &str| get(&format!("/api/v1/products:search?q={}", souk::rest::encode(q)));
    let nasty = "\"';--%_\u{1f381}\u{202e}";
    let too_long = "x".repeat(10 * 1_024);
    vec![
        get("/api/v1/products?pageSize=201").names("a page too large", "pageSize"),
        get("/api/v1/products?pageSize=-1").names("a negative page", "pageSize"),
        get("/api/v1/products?pageSize=ten").names("a word for a number", "pageSize"),
        get("/api/v1/products?pageSize=1&pageSize=2").names("a parameter twice", "pageSize"),
        get("/api/v1/products?pagesize=1").names("an unknown parameter", "pagesize"),
        get("/api/v1/products?status=SOLD").names("an unknown status", "status"),
        get("/api/v1/products?market=gb").names("a market in small letters", "market"),
        get("/api/v1/products?category=%ff").names("a category that is no text", "category"),
        get("/api/v1/products?pageToken=AAAA").is("a damaged token", 400, "INVALID_PAGE_TOKEN", "token"),
        get("/api/v1/products/nothing").is("no such product", 404, "NOT_FOUND", "product"),
        search("").names("nothing to search", "q"),
        search(&"x".repeat(201)).names("a long search", "q"),
        search(&nasty.repeat(50)).names("a long search full of quotes", "q"),
        search(&too_long).is("a search of 10 kB", 414, "URI_TOO_LONG", "query"),
        get("/api/v1/variants:batchGet?market=GB").names("no SKUs", "skus"),
        get("/api/v1/stock").names("no SKUs", "skus"),
        get("/api/v1/stock?skus=").names("an empty SKU", "skus[0]"),
    ]
}

fn in_http(s: &Scene) -> Vec<Mistake> {
    let items = |content_type: &str| {
        let body = json!({"sku": "LAMP", "quantity": 1, "opId": "bad"}).to_string();
        ask("POST", "/api/v1/cart/items").header(content_type).body(body).by(&s.customer)
    };
    let media = "UNSUPPORTED_MEDIA_TYPE";
    let too_large = ask("POST", "/api/v1/cart/items")
        .header("content-type: application/json")
        .header(&format!("content-length: {}", BODY_BYTES_MAX + 1));
    vec![
        ask("DELETE", "/api/v1/quotes").by(&s.customer).is(
            "a wrong method",
            405,
            "METHOD_NOT_ALLOWED",
            "POST",
        ),
        get("/api/v1/sessions").is("reading sessions", 405, "METHOD_NOT_ALLOWED", "POST"),
        get("/api/v1/nothing").is("no such address", 404, "NOT_FOUND", "address"),
        get("/api/v2/products").is("no such version", 404, "NOT_FOUND", "address"),
        items("content-type: text/plain").is("plain text", 415, media, "application/json"),
        items("content-type: application/x-www-form-urlencoded").is("a form", 415, media, "application/json"),
        items("content-type: application/json; charset=latin1").is("Latin-1", 415, media, "application/json"),
        items("x-none: 1").is("no media type", 415, media, "application/json"),
        items("content-type: application/json").header("content-encoding: gzip").is(
            "compressed",
            415,
            media,
            "compressed",
        ),
        get("/api/v1/cart").by(&s.customer).header("accept: text/html").is(
            "asking for HTML",
            406,
            "NOT_ACCEPTABLE",
            "json",
        ),
        too_large.by(&s.customer).is("a body over the limit", 413, "PAYLOAD_TOO_LARGE", "1048576"),
    ]
}

fn about_oneself(house: &House, s: &Scene) -> Vec<Mistake> {
    let no = |ask: Ask, what: &str| ask.is(what, 401, "UNAUTHENTICATED", "Bearer");
    let cart = || get("/api/v1/cart");
    let claims = |from: Timestamp, ttl_s: i64, audience: &str| {
        Claims::new("gst_1", Kind::Guest, audience, from, ttl_s)
    };
    let signed = |claims: &Claims| cart().bearer(&house.signer().sign(claims));
    let now = house.now();
    let foreign = Signer::new(SigningKey::from_seed([7; 32])).sign(&claims(now, 60, AUDIENCE_ALL));
    let parts: Vec<&str> = s.customer.token().split('.').collect();
    let staff: Vec<&str> = s.admin.token().split('.').collect();
    vec![
        no(cart(), "no token"),
        no(cart().header("authorization: Basic dTpw"), "another scheme"),
        no(cart().header("authorization: Bearer"), "no token after all"),
        no(cart().header("authorization: Bearer a b"), "two tokens in one"),
        no(cart().by(&s.customer).by(&s.customer), "two headers"),
        no(cart().bearer("garbage"), "garbage"),
        no(cart().bearer(&"x".repeat(9_000)), "a long token"),
        no(cart().bearer(&format!("{}.{}.{}", parts[0], staff[1], parts[2])), "another's claims"),
        no(cart().bearer(&format!("{}.{}.", parts[0], parts[1])), "no signature"),
        // {"alg":"none","typ":"JWT"}
        no(cart().bearer(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", staff[1])), "no algorithm"),
        no(cart().bearer(&foreign), "somebody else's key"),
        no(
            signed(&claims(Timestamp::from_unix_s(now.unix_s() - 7_200), 60, AUDIENCE_ALL)),
            "an expired token",
        ),
        no(
            signed(&claims(Timestamp::from_unix_s(now.unix_s() + 7_200), 60, AUDIENCE_ALL)),
            "a token of tomorrow",
        ),
        no(signed(&claims(now, 60, "elsewhere")), "another audience"),
        // A mistaken token is refused even where none is needed.
        no(get("/api/v1/products").bearer("garbage"), "garbage before open doors"),
        send("PUT", "/api/v1/products/x", "{}").by(&s.customer).is(
            "a guest at work",
            403,
            "PERMISSION_DENIED",
            "",
        ),
        send("PUT", "/api/v1/products/x", "{}")
            .by(&s.customer)
            .header("x-user-role: admin")
            .header("x-internal-subject: svc:order")
            .is("a guest in disguise", 403, "PERMISSION_DENIED", ""),
    ]
}

fn by_staff(s: &Scene) -> Vec<Mistake> {
    let put = |handle: &str, product: Value| {
        send("PUT", &format!("/api/v1/products/{handle}"), product.to_string()).by(&s.sales)
    };
    let priced = |amount: Value| json!({"title": "New", "variants": [{"sku": "NEW", "prices": [{"market": "GB", "amount": amount}]}]});
    let receive = |line: Value| {
        let lines = [json!({"sku": "LAMP", "quantity": "1"}), line];
        post("/api/v1/stock:receive", &json!({"receiptId": "bad", "location": "main", "lines": lines}))
            .by(&s.sales)
    };
    let adjust = |sku: &str, delta: &str| {
        let body =
            json!({"adjustmentId": "bad", "sku": sku, "location": "main", "delta": delta, "reason": "bad"});
        post("/api/v1/stock:adjust", &body).by(&s.admin)
    };
    let deal = |line: Value| {
        let lines = [json!({"sku": "LAMP", "quantity": 1, "unitPrice": money(1)}), line];
        let body = json!({"subject": "s", "externalRef": "bad", "market": "GB", "lines": lines});
        post("/api/v1/quotes:agreed", &body).by(&s.sales)
    };
    let euro = json!({"minorUnits": "1", "currency": "EUR"});
    vec![
        put("new", json!({"variants": [{"sku": "NEW"}]})).names("no title", "product.title"),
        put("New!", json!({"title": "New", "variants": [{"sku": "NEW"}]})).names("no handle", "handle"),
        put("new", json!({"title": "New"})).names("no variants", "product.variants"),
        put("new", priced(money(-1))).names("a negative price", "product.variants[0].prices[0].amount"),
        put("new", json!({"title": "New", "variants": [{"sku": "LAMP"}]})).is(
            "another's SKU",
            409,
            "SKU_TAKEN",
            "LAMP",
        ),
        receive(json!({"sku": "LAMP", "quantity": "0"})).names("nothing delivered", "lines[1].quantity"),
        receive(json!({"sku": "LAMP", "quantity": "-5"})).names("less than nothing", "lines[1].quantity"),
        receive(json!({"sku": "LAMP", "qty": 1})).names("an unknown field in a list", "lines[1].qty"),
        adjust("VASE", "-2").is("what is promised", 409, "BELOW_RESERVED", "promised"),
        adjust("NONE", "1").is("what never was", 404, "UNKNOWN_SKU", "NONE"),
        deal(json!({"sku": "LAMP", "quantity": 0, "unitPrice": money(1)}))
            .names("nothing agreed", "lines[1].quantity"),
        deal(json!({"sku": "LAMP", "quantity": 1, "unitPrice": euro}))
            .names("two currencies", "lines[1].unitPrice"),
        deal(json!({"sku": "NONE", "quantity": 1, "unitPrice": money(1)})).is(
            "an unknown SKU",
            404,
            "UNKNOWN_SKU",
            "NONE",
        ),
        get("/api/v1/orders:byExternalRef").by(&s.sales).names("no reference", "externalRef"),
    ]
}

/// Every mistake, all in one shop; the ones that are not answered as they should be, all at once.
async fn make_every_mistake(shape: Shape) {
    let house = House::start(shape).await;
    let scene = Scene::set(&house).await;
    house.at_rest().await;
    let mut tables = vec![
        in_the_cart(&scene),
        about_quotes(&scene),
        placing_orders(&scene),
        about_orders(&scene),
        looking_around(),
        in_http(&scene),
        about_oneself(&house, &scene),
        by_staff(&scene),
    ];
    tables.extend(services::tables(&scene));
    let mut wrong = services::without_a_table(&house, &tables).await;
    let mut heads = house.heads();
    for mistake in tables.iter().flatten() {
        let answer = raw(house.address(), &mistake.ask.bytes()).await;
        wrong.extend(mistake.misjudged(&answer));
        let after = house.heads();
        if after != heads {
            wrong.push(format!("{}: it left a trace: {heads:?}, then {after:?}", mistake.what));
            heads = after;
        }
    }
    let count: usize = tables.iter().map(Vec::len).sum();
    assert!(wrong.is_empty(), "{} of {count} mistakes:\n{}", wrong.len(), wrong.join("\n"));
    house.close().await;
}

impl Mistake {
    /// How the answer is not what it should be.
    fn misjudged(&self, answer: &Answer) -> Option<String> {
        let (status, reason) = (answer.status, answer.reason());
        let named = answer.fields().contains(&self.names)
            || (self.reason != "INVALID_ARGUMENT" && self.is_named_in(answer));
        let is_problem = answer.header("content-type") == "application/problem+json";
        let right = (status, reason.as_str()) == (self.status, self.reason) && named && is_problem;
        let expected = format!("expected {} {} naming {:?}", self.status, self.reason, self.names);
        (!right).then(|| format!("{}: {expected}, not {status} {}", self.what, answer.text()))
    }

    fn is_named_in(&self, answer: &Answer) -> bool {
        let problem = answer.json();
        let metadata = problem["metadata"].to_string();
        let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
        let headers = ["allow", "www-authenticate"].map(|name| answer.header(name).to_owned());
        [detail, metadata].iter().chain(&headers).any(|text| text.contains(&self.names))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_its_answer_and_leaves_no_trace() {
    make_every_mistake(Shape::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_answered_the_same_when_services_are_apart() {
    make_every_mistake(Shape::Apart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_not_read() {
    let house = House::start(Shape::One).await;
    // 10 kB of quotes and emoji are three times as many bytes in a URL: more than a request's head may have.
    let nasty = "\"';--%_\u{1f381}\u{202e}";
    let text = souk::rest::encode(&nasty.repeat(10 * 1_024 / nasty.len()));
    let answer = raw(house.address(), &get(&format!("/api/v1/products:search?q={text}")).bytes()).await;
    assert_eq!((answer.status, answer.body.len()), (431, 0));
    let answer = raw(house.address(), &get("/api/v1/products").header(&format!("x-y: {text}")).bytes()).await;
    assert_eq!((answer.status, answer.body.len()), (431, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_but_right_is_done() {
    let house = House::start(Shape::One).await;
    house.sells("A/B%C", 1_000, 20).await;
    let (guest, other) = (house.guest().await, house.guest().await);
    other.adds("A/B%C", 7).await;
    let token = guest.token();
    let fine = [
        get("/api/v1/products?pageSize=0"),
        get("/api/v1/products?page_size=200&market=GB"),
        get("/api/v1/products:search?q=%22%27%3B--%25_%F0%9F%8E%81"),
        get("/api/v1/variants/A%2FB%25C/prices?market=GB"),
        ask("HEAD", "/api/v1/products"),
        get("/api/v1/cart").header(&format!("authorization: bearer {token}")),
        send("POST", "/api/v1/cart/items", r#"{"sku":"A/B%C","quantity":"3","op_id":"1"}"#).by(&guest),
        send("POST", "/api/v1/cart/items", "{\"sku\":\"A\\/B%C\",\"quantity\":2e0,\"opId\":\"2\"}")
            .by(&guest),
        ask("POST", "/api/v1/cart/items")
            .header("Content-Type: application/json; charset=UTF-8")
            .body(r#"{"sku":"A/B%C","quantity":4.0,"opId":"3","market":null}"#)
            .by(&guest),
    ];
    for ask in &fine {
        let answer = raw(house.address(), &ask.bytes()).await;
        assert_eq!(answer.status, 200, "{}: {}", ask.line, answer.text());
    }
    let spoofed =
        get("/api/v1/cart").by(&guest).header("x-user-id: somebody").header("x-internal-actor: admin");
    let cart = raw(house.address(), &spoofed.bytes()).await.json();
    assert_eq!(cart["cart"]["lines"][0]["quantity"], 9, "{cart}");
    let options = raw(house.address(), &ask("OPTIONS", "/api/v1/orders").bytes()).await;
    assert_eq!((options.status, options.header("allow").contains("POST")), (204, true));
    house.close().await;
}
