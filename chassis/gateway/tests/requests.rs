//! Requests through the whole pipeline, without a socket.
mod common;

use common::{Bench, descriptors, options};
use souk_gateway::{Gateway, StartError};
use souk_rpc::Peers;
use souk_transcode::Schema;
use std::time::Duration;

const JSON: (&str, &str) = ("content-type", "application/json");
const TOKEN: (&str, &str) = ("authorization", "Bearer t0k");
const KEY: (&str, &str) = ("idempotency-key", "k1");

#[tokio::test]
async fn a_call_carries_all_that_the_request_says() {
    let bench = Bench::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        JSON,
        TOKEN,
        KEY,
        ("x-request-id", "abc"),
        ("traceparent", parent),
        ("prefer", "wait=5"),
        ("x-user-id", "evil"),
    ];
    let answer = bench
        .send("POST /api/v1/orders", &headers, r#"{"orderId":"a","lines":[{"sku":"s","quantity":2}]}"#)
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["lines"][0], serde_json::json!({"sku": "s", "quantity": "2"}));
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-request-id", "abc"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("preference-applied", "wait=5"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let (method, cx) = bench.last();
    assert_eq!((method.as_str(), cx.key(), cx.request_id()), ("Place", Some("k1"), "abc"));
    assert_eq!(cx.token().map(|token| &**token), Some("t0k"));
    assert_eq!(cx.wait(), Some(Duration::from_secs(5)));
    assert_eq!(cx.trace().trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_ne!(cx.trace().span_id(), "00f067aa0ba902b7");
    assert!(cx.principal().is_err(), "only a guard says who calls");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_the_policys_and_the_wait() {
    let bench = Bench::new();
    bench.send("POST /api/v1/orders", &[JSON, TOKEN, KEY, ("prefer", "wait=5")], "{}").await;
    assert_eq!(bench.last().1.remaining(), Duration::from_secs(7));
    let started = tokio::time::Instant::now();
    let answer = bench.send("GET /api/v1/never", &[], "").await;
    assert_eq!(answer.problem(), (504, "DEADLINE_EXCEEDED".into(), String::new()));
    assert_eq!(started.elapsed(), Duration::from_millis(1500));
}

#[tokio::test]
async fn paths_and_queries_become_fields() {
    let bench = Bench::new();
    for (request, field, value) in [
        ("GET /api/v1/orders/a%2Fb%20c", "/orderId", "a/b c"),
        ("GET /api/v1/skus/85123A%2Bx", "/line/sku", "85123A+x"),
        ("GET /files/a/b%2Fc", "/orderId", "a/b%2Fc"),
        ("GET /files", "/orderId", ""),
        ("GET /api/v1/orders/x?line.sku=a+b&line.quantity=3", "/line/sku", "a b"),
        ("GET /api/v1/orders/x?line.sku=a&line.quantity=3", "/line/quantity", "3"),
        ("GET /api/v1/orders/x?tags=a&tags=b%26", "/tags/1", "b&"),
        ("GET /api/v1/orders/x?since=2026-01-01T00:00:00Z", "/since", "2026-01-01T00:00:00Z"),
        ("GET /api/v1/orders/x?&", "/orderId", "x"),
        ("GET /api/v1/orders/%F0%9F%98%80", "/orderId", "😀"),
    ] {
        let answer = bench.send(request, &[], "").await;
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
        assert_eq!(answer.json().pointer(field).and_then(|v| v.as_str()), Some(value), "{request}");
    }
    let answer = bench.send("POST /api/v1/orders/o1:cancel", &[], "").await;
    assert_eq!(
        (answer.status, answer.json()["orderId"].as_str()),
        (200, Some("o1")),
        "no body is an empty one"
    );
    let answer = bench.send("PUT /api/v1/orders/o1/lines", &[JSON], r#"[{"sku":"a"}]"#).await;
    assert_eq!(answer.body, r#"[{"sku":"a","quantity":"0"}]"#);
    let answer = bench.send("DELETE /api/v1/orders/o1", &[], "").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-type")), (204, "", ""));
}

type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, (u16, &'a str, &'a str));

/// Each request is refused with this status, reason and first faulty field.
async fn refuses(cases: &[Case<'_>]) {
    let bench = Bench::new();
    for (request, headers, body, (status, reason, field)) in cases {
        let answer = bench.send(request, headers, body).await;
        let expected = (*status, (*reason).to_owned(), (*field).to_owned());
        assert_eq!(answer.problem(), expected, "{request} {body}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(*status == 401, !answer.header("www-authenticate").is_empty(), "{request}");
        assert_eq!(*status == 405, !answer.header("allow").is_empty(), "{request}");
        assert_eq!(*status == 503, !answer.header("retry-after").is_empty(), "{request}");
    }
}

#[tokio::test]
async fn addresses_and_callers_are_refused_exactly() {
    refuses(&[
        ("GET /nowhere", &[], "", (404, "NOT_FOUND", "")),
        ("GET /api/v1/orders/", &[], "", (404, "NOT_FOUND", "")),
        ("GET /api/v1/inside", &[], "", (404, "NOT_FOUND", "")),
        ("GET /API/v1/orders/x", &[], "", (404, "NOT_FOUND", "")),
        ("DELETE /api/v1/orders", &[], "", (405, "METHOD_NOT_ALLOWED", "")),
        ("TRACE /api/v1/orders", &[], "", (405, "METHOD_NOT_ALLOWED", "")),
        ("TRACK /api/v1/orders", &[], "", (405, "METHOD_NOT_ALLOWED", "")),
        ("POST /openapi.json", &[], "", (405, "METHOD_NOT_ALLOWED", "")),
        ("POST /api/v1/orders", &[JSON, KEY], "{}", (401, "UNAUTHENTICATED", "")),
        ("POST /api/v1/orders", &[("authorization", "Basic eDp5")], "{}", (401, "UNAUTHENTICATED", "")),
        ("GET /api/v1/orders/x", &[("authorization", "Bearer")], "", (401, "UNAUTHENTICATED", "")),
        ("GET /api/v1/orders/x", &[("host", "second")], "", (400, "MALFORMED_REQUEST", "")),
        ("GET /api/v1/retired", &[], "", (410, "GONE", "")),
        ("GET /api/v1/absent", &[], "", (503, "UNAVAILABLE", "")),
    ])
    .await;
}

#[tokio::test]
async fn media_types_and_keys_are_refused_exactly() {
    const PLACE: &str = "POST /api/v1/orders";
    let media = (415, "UNSUPPORTED_MEDIA_TYPE", "");
    let bad_key = (400, "INVALID_IDEMPOTENCY_KEY", "");
    let latin = ("content-type", "application/json; charset=latin1");
    let long_key = "k".repeat(256);
    refuses(&[
        (PLACE, &[TOKEN, KEY], "{}", media),
        (PLACE, &[TOKEN, KEY, ("content-type", "text/plain")], "{}", media),
        (PLACE, &[TOKEN, KEY, latin], "{}", media),
        (PLACE, &[JSON, TOKEN, KEY, ("content-encoding", "gzip")], "{}", media),
        ("GET /api/v1/orders/x", &[("accept", "text/html")], "", (406, "NOT_ACCEPTABLE", "")),
        ("GET /api/v1/orders/x:watch", &[("accept", "application/json")], "", (406, "NOT_ACCEPTABLE", "")),
        (PLACE, &[JSON, TOKEN], "{}", (400, "IDEMPOTENCY_KEY_REQUIRED", "")),
        (PLACE, &[JSON, TOKEN, ("idempotency-key", "a b")], "{}", bad_key),
        (PLACE, &[JSON, TOKEN, ("idempotency-key", &long_key)], "{}", bad_key),
    ])
    .await;
}

#[tokio::test]
async fn bodies_are_refused_exactly() {
    const PLACE: &str = "POST /api/v1/orders";
    let all = &[JSON, TOKEN, KEY];
    let field = |name| (400, "INVALID_ARGUMENT", name);
    let deep = format!("{{\"line\":{}", "[".repeat(200));
    refuses(&[
        (PLACE, all, "{", (400, "MALFORMED_JSON", "")),
        (PLACE, all, "[]", field("body")),
        (PLACE, all, "null", field("body")),
        (PLACE, all, r#"{"orderId":1}"#, field("orderId")),
        (PLACE, all, r#"{"lines":[{},{"quantity":1.5}]}"#, field("lines[1].quantity")),
        (PLACE, all, r#"{"price":1}"#, field("price")),
        (PLACE, all, r#"{"orderId":"a","order_id":"b"}"#, field("orderId")),
        (PLACE, all, r#"{"pageSize":2147483648}"#, field("pageSize")),
        (PLACE, all, r#"{"since":"today"}"#, field("since")),
        (PLACE, all, r#"{"word":"a","number":1}"#, field("number")),
        (PLACE, all, &deep, field("line")),
        ("POST /api/v1/orders/o1:cancel", &[JSON], r#"{"orderId":"o2"}"#, field("orderId")),
        ("PUT /api/v1/orders/o1/lines", &[JSON], r#"[{"sku":1}]"#, field("lines[0].sku")),
        ("GET /api/v1/orders/x", &[JSON], "{}", (400, "BODY_NOT_ALLOWED", "")),
    ])
    .await;
}

#[tokio::test]
async fn paths_and_queries_are_refused_exactly() {
    let field = |name| (400, "INVALID_ARGUMENT", name);
    let many = format!("GET /api/v1/orders/x?{}", "tags=a&".repeat(512));
    let long = format!("GET /api/v1/orders/x?tags={}", "a".repeat(10_000));
    refuses(&[
        ("POST /api/v1/orders?orderId=a", &[JSON, TOKEN, KEY], "{}", field("orderId")),
        ("PUT /api/v1/orders/o1/lines?lines.sku=a", &[JSON], "[]", field("lines")),
        ("GET /api/v1/orders/x?colour=red", &[], "", field("colour")),
        ("GET /api/v1/orders/x?orderId=y", &[], "", field("orderId")),
        ("GET /api/v1/orders/x?order_id=y", &[], "", field("orderId")),
        ("GET /api/v1/orders/x?pageSize=1&pageSize=2", &[], "", field("pageSize")),
        ("GET /api/v1/orders/x?word=a&number=2", &[], "", field("number")),
        ("GET /api/v1/orders/x?pageSize=many", &[], "", field("pageSize")),
        ("GET /api/v1/orders/x?lines=a", &[], "", field("lines")),
        ("GET /api/v1/orders/x?tags=%zz", &[], "", field("tags")),
        ("GET /api/v1/orders/%zz", &[], "", field("order_id")),
        ("GET /api/v1/orders/%ff", &[], "", field("order_id")),
        (&many, &[], "", (414, "URI_TOO_LONG", "")),
        (&long, &[], "", (414, "URI_TOO_LONG", "")),
    ])
    .await;
}

#[tokio::test]
async fn a_query_holds_500_values_and_a_few_more() {
    let bench = Bench::new();
    let values: Vec<String> = (0..500).map(|n| format!("85123-{n:04}%2F")).collect();
    let tags: String = values.iter().map(|value| format!("&tags={value}")).collect();
    let request = format!("GET /api/v1/orders/x?pageSize=5&line.sku=a&line.quantity=2{tags}");
    let answer = bench.send(&request, &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let said: Vec<_> =
        json["tags"].as_array().expect("a list").iter().filter_map(|tag| tag.as_str()).collect();
    assert_eq!(said, values.iter().map(|value| value.replace("%2F", "/")).collect::<Vec<_>>());
    let twice = bench.send(&format!("{request}&pageSize=6"), &[], "").await;
    assert_eq!(twice.problem(), (400, "INVALID_ARGUMENT".into(), "pageSize".into()));
}

#[tokio::test]
async fn several_faulty_variables_are_reported_at_once() {
    let bench = Bench::new();
    let answer = bench.send("GET /api/v1/orders/x?colour=red&pageSize=many&tags=fine", &[], "").await;
    let json = answer.json();
    let fields: Vec<_> =
        json["fields"].as_array().expect("a list").iter().map(|f| f["field"].as_str()).collect();
    assert_eq!(fields, [Some("colour"), Some("pageSize")]);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let bench = Bench::new();
    let body = format!(r#"{{"orderId":"{}"}}"#, "x".repeat(1024 * 1024));
    let answer = bench.send("POST /api/v1/orders", &[JSON, TOKEN, KEY], &body).await;
    assert_eq!(answer.problem(), (413, "PAYLOAD_TOO_LARGE".into(), String::new()));
    assert_eq!(answer.header("connection"), "close");
}

#[tokio::test]
async fn what_a_service_says_becomes_a_problem() {
    let bench = Bench::new();
    for (code, reason, status, shown) in [
        (3, "BAD", 400, "BAD"),
        (5, "NOT_FOUND", 404, "NOT_FOUND"),
        (6, "TAKEN", 409, "TAKEN"),
        (7, "PERMISSION_DENIED", 403, "PERMISSION_DENIED"),
        (8, "RATE_LIMITED", 429, "RATE_LIMITED"),
        (9, "SOLD_OUT", 422, "SOLD_OUT"),
        (9, "OTHER", 409, "OTHER"),
        (12, "UNKNOWN_METHOD", 501, "UNKNOWN_METHOD"),
        (13, "SQL", 500, "INTERNAL"),
        (2, "X", 500, "INTERNAL"),
        (14, "UNAVAILABLE", 503, "UNAVAILABLE"),
        (16, "UNAUTHENTICATED", 401, "UNAUTHENTICATED"),
    ] {
        let request = format!("GET /api/v1/fail?code={code}&reason={reason}&message=secret&field=a.b");
        let answer = bench.send(&request, &[], "").await;
        let json = answer.json();
        assert_eq!((answer.status, json["reason"].as_str()), (status, Some(shown)), "{request}");
        let inside = status == 500;
        assert_eq!(answer.body.contains("secret"), !inside, "{request}");
        assert_eq!(json["metadata"]["fact"].as_str(), (!inside).then_some("value"));
        assert_eq!(json["fields"][0]["field"].as_str(), (!inside).then_some("a.b"));
        assert_eq!(json["type"], format!("urn:souk:problem:{}", shown.to_lowercase().replace('_', "-")));
    }
    let answer = bench.send("GET /api/v1/fail?code=8&reason=R&message=m&retryAfterS=7", &[], "").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    let answer = bench.send("GET /api/v1/fail?reason=PANIC", &[], "").await;
    assert_eq!(answer.problem(), (500, "INTERNAL".into(), String::new()));
}

#[tokio::test]
async fn a_stream_is_lines_and_ends_with_its_error() {
    let bench = Bench::new();
    let answer = bench.send("GET /api/v1/orders/o1:watch", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let lines: Vec<serde_json::Value> =
        answer.body.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["orderId"], "o1");
    assert_eq!(
        (&lines[2]["error"]["status"], &lines[2]["error"]["reason"]),
        (&404.into(), &"NOT_FOUND".into())
    );
}

#[tokio::test]
async fn methods_beside_the_routes() {
    let bench = Bench::new();
    let answer = bench.send("OPTIONS /api/v1/orders/x", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("allow"), answer.body.as_str()),
        (204, "DELETE, GET, HEAD, OPTIONS", "")
    );
    let get = bench.send("GET /api/v1/orders/x", &[], "").await;
    let head = bench.send("HEAD /api/v1/orders/x", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert_eq!(head.header("content-type"), "application/json");
    let answer = bench.send("GET /api/v1/old", &[], "").await;
    assert_eq!((answer.status, answer.header("deprecation")), (200, "@1767225600"));
    assert_eq!(answer.header("sunset"), "Fri, 01 Jan 2027 00:00:00 GMT");
    assert_eq!(answer.header("link"), "</api/v1/orders>; rel=\"successor-version\"");
}

#[tokio::test]
async fn the_api_describes_itself() {
    let bench = Bench::new();
    let answer = bench.send("GET /openapi.json", &[], "").await;
    let json = answer.json();
    assert_eq!(json["openapi"], "3.1.0");
    let place = &json["paths"]["/api/v1/orders"]["post"];
    assert_eq!(place["operationId"], "Desk_Place");
    assert_eq!(place["description"], "Places an <order>.\n\nNeeds a token.");
    assert_eq!(place["security"][0]["bearer"], serde_json::json!([]));
    assert_eq!(place["parameters"][0]["name"], "Idempotency-Key");
    assert_eq!(place["parameters"][0]["required"], true);
    assert_eq!(place["summary"], "Places an <order>");
    assert_eq!(place["parameters"][1]["name"], "Prefer");
    assert_eq!(place["requestBody"]["required"], false, "an order may be empty");
    let statuses: Vec<_> = place["responses"].as_object().expect("by status").keys().collect();
    let expected = ["202", "400", "401", "404", "409", "415", "422", "503", "504", "default"];
    assert_eq!(statuses, expected, "what this policy may answer, and nothing else");
    assert_eq!(
        place["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/desk.v1.Order"
    );
    let get = &json["paths"]["/api/v1/orders/{order_id}"]["get"];
    let names: Vec<_> =
        get["parameters"].as_array().expect("a list").iter().map(|p| p["name"].as_str()).collect();
    let expected = ["order_id", "line.sku", "line.quantity", "tags", "pageSize", "since", "word", "number"];
    assert_eq!(names, expected.map(Some));
    assert!(get.get("security").is_none());
    let line = &json["components"]["schemas"]["desk.v1.Line"];
    assert_eq!(
        (&line["required"], &line["description"]),
        (&serde_json::json!(["sku"]), &"A line of an <order>.".into())
    );
    assert_eq!(line["properties"]["quantity"]["description"], "How many.", "comments behind count too");
    assert_eq!(line["properties"]["quantity"]["examples"], serde_json::json!(["3"]));
    let fail = &json["paths"]["/api/v1/fail"]["get"]["parameters"];
    assert_eq!((&fail[0]["required"], &fail[1]["required"]), (&true.into(), &false.into()));
    assert_eq!(fail[0]["schema"]["examples"], serde_json::json!([5]));
    assert_eq!(json["tags"][0]["name"], "Absent", "tokens come first");
    let about = json["tags"][1]["description"].as_str().expect("a text");
    assert!(about.contains("- `SOLD_OUT` (422): There is none left."), "{about}");
    let cancel = &json["paths"]["/api/v1/orders/{order_id}:cancel"]["post"]["requestBody"]["content"]["application/json"]
        ["schema"];
    assert!(cancel["properties"]["line"].is_object() && cancel["properties"].get("orderId").is_none());
    assert_eq!(json["components"]["schemas"]["desk.v1.Line"]["properties"]["quantity"]["format"], "int64");
    assert_eq!(
        json["components"]["schemas"]["desk.v1.Order"]["properties"]["orderId"]["description"],
        "Its id."
    );
    assert_eq!(json["paths"]["/api/v1/old"]["get"]["deprecated"], true);
    let page = bench.send("GET /docs", &[], "").await;
    for part in [
        "This page is static",
        "TOKEN=$(curl -s -X POST &quot;$SOUK/api/v1/sessions&quot;",
        "<td><code>SOLD_OUT</code></td><td>422</td><td>There is none left.</td>",
        "&quot;$SOUK/api/v1/fail?code=5&quot;",
        "[{&quot;quantity&quot;:&quot;3&quot;,&quot;sku&quot;:&quot;it'\\''s 1&quot;}]",
        "<td><code>line.sku</code></td><td>string <b>required</b></td>",
    ] {
        assert!(page.body.contains(part), "{part} is missing in {}", page.body);
    }
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(
        page.body.contains("Places an &lt;order&gt;.")
            && page.body.contains("$SOUK/api/v1/orders/ORDER_ID:cancel")
    );
    assert!(!page.body.contains("<script") && !page.body.contains("src="), "nothing from elsewhere");
}

#[tokio::test]
async fn the_address_alone_leads_to_the_documentation() {
    let bench = Bench::new();
    for verb in ["GET", "HEAD"] {
        let answer = bench.send(&format!("{verb} /"), &[], "").await;
        assert_eq!((answer.status, answer.header("location")), (303, "/docs"), "{verb}");
    }
    assert_eq!(bench.send("POST /", &[], "").await.status, 404);
}

#[tokio::test]
async fn a_raw_body_is_passed_on_with_the_headers_that_are_named() {
    let bench = Bench::new();
    let signed = [("content-type", "text/plain"), ("x-signature", "t=1,v1=ab"), ("x-secret", "no"), TOKEN];
    for (body, base64) in [("{not json", "e25vdCBqc29u"), ("", "")] {
        let answer = bench.send("POST /hooks/acme?note=n", &signed, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let headers = serde_json::json!({ "x-signature": "t=1,v1=ab" });
        let parcel =
            serde_json::json!({ "sender": "acme", "headers": headers, "content": base64, "note": "n" });
        assert_eq!(answer.json(), parcel);
    }
    let answer = bench.send("POST /hooks/acme", &[], "0123456789abcdef").await;
    assert_eq!(
        (answer.status, &answer.json()["headers"]),
        (200, &serde_json::json!({})),
        "as large as may be"
    );
}

#[tokio::test]
async fn a_raw_body_is_refused_exactly() {
    let twice = [("x-signature", "a"), ("x-signature", "b")];
    refuses(&[
        ("POST /hooks/a", &[], "0123456789abcdefg", (413, "PAYLOAD_TOO_LARGE", "")),
        ("POST /hooks/a", &[("content-encoding", "gzip")], "x", (415, "UNSUPPORTED_MEDIA_TYPE", "")),
        ("POST /hooks/a", &twice, "x", (400, "MALFORMED_REQUEST", "")),
        ("POST /hooks/a", &[("x-sent-at", "\u{e9}")], "x", (400, "MALFORMED_REQUEST", "")),
        ("POST /hooks/a?content=eA", &[], "x", (400, "INVALID_ARGUMENT", "content")),
    ])
    .await;
}

#[tokio::test]
async fn the_documentation_says_what_a_raw_body_is() {
    let document: serde_json::Value = serde_json::from_slice(Bench::new().gateway.openapi()).expect("JSON");
    let take = &document["paths"]["/hooks/{sender}"]["post"];
    assert_eq!(take["requestBody"]["content"]["*/*"]["schema"]["format"], "binary");
    let names = take["parameters"].as_array().expect("a list").iter().map(|p| p["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["sender", "note", "x-signature", "x-sent-at"]);
}

/// Each mistake in a contract stops the start, with the method's name.
#[test]
fn a_contract_that_cannot_be_served_stops_the_start() {
    let start = |rule: &str, policy: &str| {
        let proto = format!(
            "syntax = \"proto3\"; package bad.v1; import \"google/api/annotations.proto\"; import \"souk/api/v1/policy.proto\";
             service Bad {{
               rpc Good(M) returns (M) {{ option (google.api.http) = {{ get: \"/good/{{id}}\" }}; option (souk.api.v1.policy) = {{ auth: AUTH_PUBLIC }}; }}
               rpc Call(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; {policy} }}
             }}
             message M {{ string id = 1; repeated string ids = 2; M m = 3; bytes b = 4; map<string, string> h = 5; }}"
        );
        let folder =
            std::env::temp_dir().join(format!("souk-gateway-{}-{:x}", std::process::id(), hash(&proto)));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        std::fs::write(folder.join("bad.proto"), proto).expect("writable");
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpc/proto");
        let mut compiler = protox::Compiler::new([folder.clone(), here]).expect("the folders exist");
        compiler.include_imports(true).open_file("bad.proto").expect("protobuf itself is content");
        let set = compiler.encode_file_descriptor_set();
        std::fs::remove_dir_all(folder).expect("was just made");
        Gateway::new(&set, Peers::new(), options()).map(|_| ())
    };
    let public = "option (souk.api.v1.policy) = { auth: AUTH_PUBLIC };";
    let raw = |raw: &str| format!("{public} option (souk.api.v1.raw_body) = {{ {raw} }};");
    assert!(start("get: \"/fine\"", public).is_ok());
    assert!(start("post: \"/f\" body: \"b\"", &raw("headers_field: \"h\" headers: \"a\"")).is_ok());
    for (rule, policy) in [
        ("get: \"/x\"", ""),
        ("get: \"/x\"", "option (souk.api.v1.policy) = { timeout_ms: 5 };"),
        ("get: \"/x\"", "option (souk.api.v1.policy) = { auth: AUTH_PUBLIC success_status: 404 };"),
        (
            "get: \"/x\"",
            "option (souk.api.v1.policy) = { auth: AUTH_PUBLIC }; option (souk.api.v1.lifecycle) = { sunset_at: \"soon\" };",
        ),
        ("get: \"/x/{nothing}\"", public),
        ("get: \"/x/{ids}\"", public),
        ("get: \"x\"", public),
        ("custom: { kind: \"LOCK\" path: \"/x\" }", public),
        ("post: \"/x\" body: \"nothing\"", public),
        ("post: \"/x/{m.id}\" body: \"m\"", public),
        ("get: \"/x\" response_body: \"nothing\"", public),
        ("post: \"/x\" body: \"id\"", &raw("")),
        ("post: \"/x\" body: \"*\"", &raw("")),
        ("get: \"/x\"", &raw("")),
        ("post: \"/x/{b}\" body: \"b\"", &raw("")),
        ("post: \"/x\" body: \"b\"", &raw("headers_field: \"ids\" headers: \"a\"")),
        ("post: \"/x\" body: \"b\"", &raw("headers_field: \"h\"")),
        ("post: \"/x\" body: \"b\"", &raw("headers: \"a\"")),
        ("post: \"/x\" body: \"b\"", &raw("headers_field: \"h\" headers: \"X-Sig\"")),
    ] {
        let error = start(rule, policy).expect_err(rule);
        assert!(
            matches!(&error, StartError::Method(method, _) if method == "bad.v1.Bad.Call"),
            "{rule}: {error:?}"
        );
    }
    assert!(matches!(start("get: \"/good/{m.id}\"", public), Err(StartError::Route(_))));
    assert!(matches!(start("get: \"/docs\"", public), Err(StartError::Route(_))));
    assert!(matches!(Gateway::new(b"\xff", Peers::new(), options()).map(|_| ()), Err(StartError::Schema(_))));
    assert!(Schema::from_bytes(&descriptors("desk.proto")).is_ok());
}

fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
