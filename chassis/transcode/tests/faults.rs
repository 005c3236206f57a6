//! Malformed input, with the exact place and kind of the fault.
mod common;

use common::Bench;
use souk_transcode::{Limits, What, embed_field, json_to_field, json_to_proto, json_to_proto_except};

#[test]
fn every_fault_names_its_place() {
    use What::{Duplicate, Invalid, OutOfRange, Syntax, UnknownEnum, UnknownField, WrongType};
    let bench = Bench::new();
    let cases: &[(&str, &str, &str, What)] = &[
        ("Single", r#"{"text":1}"#, "text", WrongType),
        ("Single", r#"{"anInt32":"x"}"#, "anInt32", WrongType),
        ("Single", r#"{"anInt32":" 1"}"#, "anInt32", WrongType),
        ("Single", r#"{"anInt32":"01"}"#, "anInt32", WrongType),
        ("Single", r#"{"anInt32":1.5}"#, "anInt32", OutOfRange),
        ("Single", r#"{"anInt32":2147483648}"#, "anInt32", OutOfRange),
        ("Single", r#"{"aUint64":-1}"#, "aUint64", OutOfRange),
        ("Single", r#"{"aUint64":"18446744073709551616"}"#, "aUint64", OutOfRange),
        ("Single", r#"{"aDouble":1e400}"#, "aDouble", OutOfRange),
        ("Single", r#"{"aFloat":1e39}"#, "aFloat", OutOfRange),
        ("Single", r#"{"aDouble":"nan"}"#, "aDouble", WrongType),
        ("Single", r#"{"anInt64":"NaN"}"#, "anInt64", WrongType),
        ("Single", r#"{"aBool":"true"}"#, "aBool", WrongType),
        ("Single", r#"{"aBool":1}"#, "aBool", WrongType),
        ("Single", r#"{"someBytes":"a"}"#, "someBytes", Invalid),
        ("Single", r#"{"colour":"COLOUR_REDD"}"#, "colour", UnknownEnum),
        ("Single", r#"{"colour":"1"}"#, "colour", UnknownEnum),
        ("Single", r#"{"colour":true}"#, "colour", WrongType),
        ("Single", r#"{"inner":[]}"#, "inner", WrongType),
        ("Single", r#"{"inner":{"next":{"skuu":""}}}"#, "inner.next.skuu", UnknownField),
        ("Single", r#"{"text":"a","text":"b"}"#, "text", Duplicate),
        ("Single", r#"{"an_int32":1,"anInt32":1}"#, "anInt32", Duplicate),
        ("Single", r#"{"text":null,"text":"a"}"#, "text", Duplicate),
        ("Single", r#"{"Text":"a"}"#, "Text", UnknownField),
        ("Single", r#"{"oddName":"a"}"#, "oddName", UnknownField),
        ("Single", "[]", "", WrongType),
        ("Single", "null", "", WrongType),
        ("Single", "", "", Syntax { offset: 0 }),
        ("Single", r#"{"text":"a"} x"#, "", Syntax { offset: 13 }),
        ("Single", r#"{"inner":{"sku":"a",}}"#, "", Syntax { offset: 20 }),
        ("Lists", r#"{"inners":[{"quantity":1},{"quantity":"many"}]}"#, "inners[1].quantity", WrongType),
        ("Lists", r#"{"texts":["a",null]}"#, "texts[1]", WrongType),
        ("Lists", r#"{"inners":[null]}"#, "inners[0]", WrongType),
        ("Lists", r#"{"int32s":5}"#, "int32s", WrongType),
        ("Lists", r#"{"int32s":[[1]]}"#, "int32s[0]", WrongType),
        ("Lists", r#"{"int32s":{"0":1}}"#, "int32s", WrongType),
        ("Maps", r#"{"texts":{"a":"b","a":"c"}}"#, r#"texts["a"]"#, Duplicate),
        ("Maps", r#"{"inners":{"1":{},"1e0":{}}}"#, r#"inners["1e0"]"#, Duplicate),
        ("Maps", r#"{"inners":{"x":{}}}"#, r#"inners["x"]"#, WrongType),
        ("Maps", r#"{"inners":{"1":{"sku":0}}}"#, r#"inners["1"].sku"#, WrongType),
        ("Maps", r#"{"inners":{"1":null}}"#, r#"inners["1"]"#, WrongType),
        ("Maps", r#"{"texts":[]}"#, "texts", WrongType),
        ("Maps", r#"{"colours":{"TRUE":"COLOUR_RED"}}"#, r#"colours["TRUE"]"#, WrongType),
        ("Maps", r#"{"uint32s":{"-1":1}}"#, r#"uint32s["-1"]"#, OutOfRange),
        ("Optionals", r#"{"word":"a","count":1}"#, "count", Duplicate),
        ("Optionals", r#"{"nothing":null,"word":"a"}"#, "word", Duplicate),
        ("Known", r#"{"time":"yesterday"}"#, "time", Invalid),
        ("Known", r#"{"time":5}"#, "time", WrongType),
        ("Known", r#"{"time":"0000-01-01T00:00:00Z"}"#, "time", OutOfRange),
        ("Known", r#"{"times":["2026-01-01T00:00:00Z","2026-01-01"]}"#, "times[1]", Invalid),
        ("Known", r#"{"duration":"5"}"#, "duration", Invalid),
        ("Known", r#"{"mask":"a_b"}"#, "mask", Invalid),
        ("Known", r#"{"struct":{"a":1,"a":2}}"#, r#"struct["a"]"#, Duplicate),
        ("Known", r#"{"struct":{"a":[1,1e999]}}"#, r#"struct["a"][1]"#, OutOfRange),
        ("Known", r#"{"anInt64":"x"}"#, "anInt64", WrongType),
        ("Known", r#"{"empty":{"a":1}}"#, "empty.a", UnknownField),
        ("Known", r#"{"any":{"@type":"x"}}"#, "any", Invalid),
    ];
    for (message, json, path, what) in cases {
        let fault = bench.read(message, json).expect_err(json);
        assert_eq!((fault.path.as_str(), fault.what), (*path, *what), "{json}: {fault}");
    }
}

#[test]
fn good_input_of_every_spelling_is_accepted() {
    let bench = Bench::new();
    let same = |message: &str, one: &str, other: &str| {
        assert_eq!(bench.echo(message, one), bench.echo(message, other), "{one} {other}");
        assert!(bench.read(message, one).is_ok(), "{one}");
    };
    same("Single", r#"{"anInt64":"100"}"#, r#"{"an_int64":1e2}"#);
    same("Single", r#"{"anInt32":100}"#, r#"{"anInt32":"100.0"}"#);
    same("Single", r#"{"colour":"COLOUR_CRIMSON"}"#, r#"{"colour":1}"#);
    same("Single", r#"{"someBytes":"+/8="}"#, r#"{"someBytes":"-_8"}"#);
    same("Single", r#"{"inner":null,"text":null,"colour":null}"#, "{}");
    same("Single", r#"{"veryOddName":"a"}"#, r#"{"odd_name":"a"}"#);
    same("Single", r#"{"text":"\u0061\/"}"#, r#"{"text":"a/"}"#);
    same("Lists", r#"{"texts":null,"int32s":[]}"#, "{}");
    same("Optionals", r#"{"word":null,"count":1}"#, r#"{"count":1}"#);
    same("Known", r#"{"time":"2026-01-01T01:00:00+01:00"}"#, r#"{"time":"2026-01-01T00:00:00.000Z"}"#);
}

#[test]
fn what_is_absent_is_told_from_what_is_zero() {
    let bench = Bench::new();
    let echo = |message, json| bench.echo(message, json).expect("accepted");
    assert_eq!(echo("Optionals", "{}"), "{}");
    assert_eq!(
        echo("Optionals", r#"{"number":0,"text":"","nothing":null}"#),
        r#"{"number":"0","text":"","nothing":null}"#
    );
    assert_eq!(echo("Optionals", r#"{"anything":null}"#), r#"{"anything":null}"#);
    assert_eq!(echo("Inner", "{}"), r#"{"sku":"","quantity":"0"}"#);
    assert_eq!(
        echo("Known", r#"{"aBool":false,"values":[null,1]}"#),
        r#"{"aBool":false,"times":[],"values":[null,1.0],"int64s":[],"nothing":null}"#
    );
}

#[test]
fn depth_and_size_end_at_their_limits() {
    let bench = Bench::new();
    let nested = |n: usize| format!("{}{{}}{}", r#"{"next":"#.repeat(n - 1), "}".repeat(n - 1));
    assert!(bench.read("Inner", &nested(128)).is_ok());
    assert_eq!(bench.read("Inner", &nested(129)).map_err(|f| f.what), Err(What::TooDeep));
    let list = format!(r#"{{"value":{}"#, "[".repeat(100_000));
    assert_eq!(bench.read("Known", &list).map_err(|f| f.what), Err(What::TooDeep));
    let many = format!(r#"{{"int32s":[{}0]}}"#, "0,".repeat(60_000));
    assert_eq!(
        bench.read("Lists", &many).map_err(|f| (f.path, f.what)),
        Err(("int32s".into(), What::TooMany))
    );
    let limits = Limits { elements: 70_000, ..Limits::default() };
    assert!(
        json_to_proto(&bench.schema, bench.id("Lists"), many.as_bytes(), &mut Vec::new(), &limits).is_ok()
    );
}

#[test]
fn what_the_address_says_the_body_may_not_say_again() {
    let bench = Bench::new();
    let single = bench.id("Single");
    let bound = ["text", "inner.sku"].map(|p| bench.schema.path(single, p).expect("exists"));
    let read = |json: &str| {
        let mut out = Vec::new();
        json_to_proto_except(&bench.schema, single, &bound, json.as_bytes(), &mut out, &Limits::default())
            .map_err(|f| (f.path, f.what))
    };
    assert_eq!(read(r#"{"text":"a"}"#), Err(("text".into(), What::Bound)));
    assert_eq!(read(r#"{"text":null}"#), Err(("text".into(), What::Bound)));
    assert_eq!(read(r#"{"inner":{"sku":"a"}}"#), Err(("inner.sku".into(), What::Bound)));
    assert_eq!(read(r#"{"inner":{"quantity":1,"next":{"sku":"fine"}}}"#), Ok(()));
}

#[test]
fn variables_of_an_address_are_fragments() {
    let bench = Bench::new();
    let embed = |message: &str, variables: &[(&str, &str)]| -> Result<String, (String, What)> {
        let mut out = Vec::new();
        for (path, text) in variables {
            embed_field(&bench.schema, bench.id(message), path, text, &mut out)
                .map_err(|f| (f.path, f.what))?;
        }
        Ok(bench.write(message, &out))
    };
    let json = embed(
        "Single",
        &[("inner.next.quantity", "7"), ("inner.sku", "a/b"), ("colour", "COLOUR_BLUE"), ("a_bool", "true")],
    );
    assert!(
        json.expect("fits")
            .contains(r#""inner":{"sku":"a/b","quantity":"0","next":{"sku":"","quantity":"7"}}"#)
    );
    assert!(
        embed("Lists", &[("int32s", "1"), ("int32s", "2")])
            .expect("a list grows")
            .contains(r#""int32s":[1,2]"#)
    );
    let known = embed(
        "Known",
        &[("time", "2026-01-01T00:00:00Z"), ("duration", "1s"), ("mask", "aB"), ("anInt64", "5")],
    );
    assert!(
        known
            .expect("fits")
            .starts_with(r#"{"time":"2026-01-01T00:00:00Z","duration":"1s","mask":"aB","anInt64":"5""#)
    );
    for (message, path, text, at, what) in [
        ("Single", "inner.quantity", "x", "inner.quantity", What::WrongType),
        ("Single", "inner.quantiy", "1", "inner.quantiy", What::UnknownField),
        ("Single", "inner", "1", "inner", What::WrongType),
        ("Single", "text.x", "1", "text", What::UnknownField),
        ("Single", "", "1", "", What::UnknownField),
        ("Single", "aBool", "1", "aBool", What::WrongType),
        ("Single", "colour", "COLOUR", "colour", What::UnknownEnum),
        ("Maps", "texts", "1", "texts", What::WrongType),
        ("Lists", "inners.sku", "1", "inners", What::UnknownField),
        ("Known", "time", "now", "time", What::Invalid),
    ] {
        assert_eq!(embed(message, &[(path, text)]), Err((at.into(), what)), "{path}={text}");
    }
}

#[test]
fn paths_that_exclude_each_other_are_known() {
    let bench = Bench::new();
    let conflict = |message: &str, a: &str, b: &str| {
        let path = |p| bench.schema.path(bench.id(message), p).expect("exists");
        path(a).conflicts_with(&path(b), &bench.schema)
    };
    assert!(conflict("Single", "text", "text"));
    assert!(conflict("Optionals", "word", "count"));
    assert!(conflict("Single", "inner", "inner.sku"));
    assert!(!conflict("Single", "text", "aBool"));
    assert!(!conflict("Lists", "texts", "texts"));
    assert!(!conflict("Optionals", "word", "yes"));
}

#[test]
fn a_body_may_be_one_field() {
    let bench = Bench::new();
    let read = |message: &str, path: &str, json: &str| -> Result<String, (String, What)> {
        let path = bench.schema.path(bench.id(message), path).expect("exists");
        let mut out = Vec::new();
        json_to_field(&bench.schema, &path, json.as_bytes(), &mut out, &Limits::default())
            .map_err(|f| (f.path, f.what))?;
        Ok(bench.write(message, &out))
    };
    assert!(read("Lists", "texts", r#"["a","b"]"#).expect("fits").contains(r#""texts":["a","b"]"#));
    assert!(read("Single", "inner", r#"{"sku":"a"}"#).expect("fits").contains(r#""sku":"a""#));
    assert_eq!(read("Single", "inner", r#"{"sku":1}"#), Err(("inner.sku".into(), What::WrongType)));
    assert_eq!(read("Lists", "texts", r#"["a",1]"#), Err(("texts[1]".into(), What::WrongType)));
}
