//! Protobuf input that no tidy encoder writes, and what the tables say about the contract.
mod common;

use common::{Bench, descriptors};
use souk_transcode::{Auth, Body, Idempotency, Schema, WireFault, field_to_json, proto_to_json};

#[test]
fn later_occurrences_count_and_messages_merge() {
    let bench = Bench::new();
    // inner{sku=a} inner{quantity=5} inner{sku=b}
    let proto = b"\x8a\x01\x03\x0a\x01a\x8a\x01\x02\x10\x05\x8a\x01\x03\x0a\x01b";
    assert!(bench.write("Single", proto).contains(r#""inner":{"sku":"b","quantity":"5"}"#));
    // word, inner{sku=a}, count, inner{quantity=1}: the last inner only
    let proto = b"\x2a\x01w\x3a\x03\x0a\x01a\x30\x07\x3a\x02\x10\x01";
    assert_eq!(bench.write("Optionals", proto), r#"{"inner":{"sku":"","quantity":"1"}}"#);
    // packed and loose numbers in one list, in both directions of what the contract says
    assert!(bench.write("Lists", b"\x28\x01\x2a\x02\x02\x03\x28\x04").contains(r#""int32s":[1,2,3,4]"#));
    assert!(bench.write("Lists", b"\x92\x01\x02\x01\x02\x90\x01\x03").contains(r#""loose":[1,2,3]"#));
    // out of order, with unknown fields and a wrong wire type among them
    assert_eq!(
        bench.write("Inner", b"\x10\x05\xf8\x07\x01\x0a\x01a\x0d\x00\x00\x00\x00"),
        r#"{"sku":"a","quantity":"5"}"#
    );
}

#[test]
fn map_entries_may_be_untidy() {
    let bench = Bench::new();
    // two entries with one key, one entry without key and value, one with the value first
    let proto = b"\x0a\x06\x0a\x01k\x12\x01a\x0a\x06\x0a\x01k\x12\x01b\x0a\x00\x0a\x06\x12\x01v\x0a\x01z";
    assert!(bench.write("Maps", proto).contains(r#""texts":{"":"","k":"b","z":"v"}"#));
    assert!(bench.write("Maps", b"\x12\x02\x08\x07").contains(r#""inners":{"7":{"sku":"","quantity":"0"}}"#));
}

#[test]
fn malformed_messages_are_refused() {
    let bench = Bench::new();
    let write =
        |message: &str, proto: &[u8]| proto_to_json(&bench.schema, bench.id(message), proto, &mut Vec::new());
    assert_eq!(write("Inner", b"\x0a\x05a"), Err(WireFault::Truncated));
    assert_eq!(write("Inner", b"\x0a\x01\xff"), Err(WireFault::NotUtf8));
    assert_eq!(write("Lists", b"\x2a\x01\x80"), Err(WireFault::Truncated));
    assert_eq!(write("Known", b"\x0a\x02\x10\xff"), Err(WireFault::Truncated));
    let mut late = vec![0x0a, 7, 0x08];
    late.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(write("Known", &late), Err(WireFault::NoJsonForm));
    let mut deep: Vec<u8> = Vec::new();
    for _ in 0..400 {
        let mut outer = vec![0x1a];
        let length = deep.len();
        outer.extend(if length < 128 {
            vec![length as u8]
        } else {
            vec![(length & 127) as u8 | 128, (length >> 7) as u8]
        });
        outer.extend(&deep);
        deep = outer;
    }
    assert_eq!(write("Inner", &deep), Err(WireFault::TooDeep));
}

#[test]
fn one_field_can_be_the_answer() {
    let bench = Bench::new();
    let only = |message: &str, path: &str, json: &str| {
        let proto = bench.read(message, json).expect("fits");
        let path = bench.schema.path(bench.id(message), path).expect("exists");
        let mut out = Vec::new();
        field_to_json(&bench.schema, &path, &proto, &mut out).expect("fits");
        String::from_utf8(out).expect("UTF-8")
    };
    assert_eq!(only("Lists", "texts", r#"{"texts":["a"],"int32s":[1]}"#), r#"["a"]"#);
    assert_eq!(only("Lists", "texts", "{}"), "[]");
    assert_eq!(only("Single", "inner", "{}"), "null");
    assert_eq!(only("Single", "inner.quantity", r#"{"inner":{"quantity":"3"}}"#), r#""3""#);
    assert_eq!(only("Single", "inner.quantity", "{}"), r#""0""#);
}

#[test]
fn options_and_comments_are_read() {
    let schema = Schema::from_bytes(&descriptors()).expect("compiles");
    let keep = schema.method("every.v1.Things.Keep").expect("defined");
    assert_eq!(keep.comment, "Keeps a thing.\nIn a safe place.");
    assert_eq!((keep.idempotency_level, keep.server_streaming), (2, false));
    let addresses: Vec<_> =
        keep.http.iter().map(|r| (r.verb.as_str(), r.template.as_str(), &r.body)).collect();
    assert_eq!(
        addresses,
        [
            ("POST", "/v1/things/{text}:keep", &Body::Whole),
            ("GET", "/v1/things/{text}", &Body::None),
            ("LOCK", "/v1/locks", &Body::Field("inner".into())),
        ]
    );
    assert_eq!(keep.http[1].response_body.as_deref(), Some("texts"));
    let policy = keep.policy.clone().expect("set");
    assert_eq!((policy.auth, policy.idempotency), (Auth::Staff, Idempotency::Required));
    assert_eq!((policy.timeout_ms, policy.success_status, policy.rate_class.as_str()), (1500, 202, "write"));
    assert_eq!(
        (policy.roles, policy.callers),
        (vec!["sales".to_owned(), "support".to_owned()], vec!["order".to_owned()])
    );
    assert_eq!(keep.lifecycle.as_ref().map(|l| l.successor.as_str()), Some("/v2/things"));
    let watch = schema.method("every.v1.Things.Watch").expect("defined");
    assert!(watch.server_streaming && watch.policy.is_none() && watch.http.is_empty());
    let taken = schema.reasons().find(|r| r.name == "TAKEN").expect("defined");
    assert_eq!((taken.http_status, taken.comment.as_str()), (Some(423), "Somebody else has it."));
    let single = schema.get(schema.message("every.v1.Single").expect("defined"));
    assert_eq!(single.comment, "One of each.");
    assert_eq!(single.field("text").map(|f| f.comment.as_str()), Some("Any text."));
    assert_eq!(schema.services()[0].comment, "Looks at things.");
}

#[test]
fn a_damaged_descriptor_set_is_refused_and_does_no_harm() {
    let good = descriptors();
    for cut in (0..good.len()).step_by(397) {
        souk_transcode::fuzzing::descriptor_target(&good[..cut]);
    }
    for at in (0..good.len()).step_by(331) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        souk_transcode::fuzzing::descriptor_target(&bad);
    }
    assert!(Schema::from_bytes(b"\xff").is_err());
}
