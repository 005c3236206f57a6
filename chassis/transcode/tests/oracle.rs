//! Random messages with every kind of field, both ways, against another implementation of ProtoJSON.
mod common;

use common::{Bench, pool};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, SerializeOptions, Value,
};
use souk_transcode::fuzzing::proto_to_json_target;
use std::collections::HashMap;

/// Turns bytes into choices, so that a failing case shrinks with them. When they run out every choice is the
/// smallest.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: u8) -> u8 {
        self.byte() % n
    }

    fn word(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << 63,
            4 => u64::from(self.byte()),
            _ => (0..8).fold(0, |sum, _| sum << 8 | u64::from(self.byte())),
        }
    }

    fn float(&mut self) -> f64 {
        [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e300,
            1e-300,
            3.0e38,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            123456789.0,
        ][usize::from(self.below(12))]
    }

    fn text(&mut self) -> String {
        ["", "sku", "85123A", "a\"\\\n\u{1}", "é😀", "\u{2028}\u{7f}", "-1", "null"]
            [usize::from(self.below(8))]
        .to_owned()
    }

    fn blob(&mut self) -> Vec<u8> {
        let length = self.below(6);
        (0..length).map(|_| self.byte()).collect()
    }
}

fn scalar(kind: &Kind, c: &mut Choices<'_>, depth: usize) -> Value {
    match kind {
        Kind::Double => Value::F64(c.float()),
        Kind::Float => Value::F32(c.float() as f32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(c.word() as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(c.word() as i64),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(c.word() as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(c.word()),
        Kind::Bool => Value::Bool(c.below(2) == 1),
        Kind::String => Value::String(c.text()),
        Kind::Bytes => Value::Bytes(c.blob().into()),
        Kind::Enum(e) if e.full_name() == "google.protobuf.NullValue" => Value::EnumNumber(0),
        Kind::Enum(_) => Value::EnumNumber([0, 1, -7, 99][usize::from(c.below(4))]),
        Kind::Message(m) => Value::Message(message(m, c, depth + 1)),
    }
}

fn key(kind: &Kind, c: &mut Choices<'_>) -> MapKey {
    match scalar(kind, c, 0) {
        Value::Bool(v) => MapKey::Bool(v),
        Value::I32(v) => MapKey::I32(v),
        Value::I64(v) => MapKey::I64(v),
        Value::U32(v) => MapKey::U32(v),
        Value::U64(v) => MapKey::U64(v),
        Value::String(v) => MapKey::String(v),
        other @ (Value::F32(_) | Value::F64(_) | Value::Bytes(_) | Value::EnumNumber(_)) => {
            panic!("{other:?} is no key")
        }
        other @ (Value::Message(_) | Value::List(_) | Value::Map(_)) => panic!("{other:?} is no key"),
    }
}

fn value(field: &FieldDescriptor, c: &mut Choices<'_>, depth: usize) -> Value {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { panic!("a map has entries") };
        let (k, v) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let length = c.below(4);
        return Value::Map(
            (0..length).map(|_| (key(&k, c), scalar(&v, c, depth))).collect::<HashMap<_, _>>(),
        );
    }
    if field.is_list() {
        let length = c.below(4);
        return Value::List((0..length).map(|_| scalar(&field.kind(), c, depth)).collect());
    }
    scalar(&field.kind(), c, depth)
}

/// The well-known types allow only some values.
fn well_known(desc: &MessageDescriptor, c: &mut Choices<'_>, depth: usize) -> Option<DynamicMessage> {
    let mut m = DynamicMessage::new(desc.clone());
    match desc.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = [0, -1, 951_868_799, 253_402_300_799, -62_135_596_800][usize::from(c.below(5))];
            m.set_field_by_name("seconds", Value::I64(seconds));
            m.set_field_by_name(
                "nanos",
                Value::I32([0, 1, 1_000, 500_000_000, 999_999_999][usize::from(c.below(5))]),
            );
        }
        "google.protobuf.Duration" => {
            let (seconds, nanos) = [(0, 0), (0, -1), (-5, -500_000_000), (7, 1_000), (315_576_000_000, 0)]
                [usize::from(c.below(5))];
            m.set_field_by_name("seconds", Value::I64(seconds));
            m.set_field_by_name("nanos", Value::I32(nanos));
        }
        "google.protobuf.FieldMask" => {
            let paths = ["sku", "unit_price", "a.b_c"].map(|p| Value::String(p.to_owned()));
            m.set_field_by_name("paths", Value::List(paths[..usize::from(c.below(4))].to_vec()));
        }
        "google.protobuf.Value" => match c.below(if depth > 4 { 4 } else { 6 }) {
            0 => m.set_field_by_name("null_value", Value::EnumNumber(0)),
            1 => m.set_field_by_name("number_value", Value::F64([0.0, -2.5, 1e100][usize::from(c.below(3))])),
            2 => m.set_field_by_name("string_value", Value::String(c.text())),
            3 => m.set_field_by_name("bool_value", Value::Bool(c.below(2) == 1)),
            choice => {
                let name = if choice == 4 { "struct_value" } else { "list_value" };
                let field = desc.get_field_by_name(name).expect("a member of Value");
                m.set_field_by_name(name, scalar(&field.kind(), c, depth));
            }
        },
        "google.protobuf.Any" => {}
        _ => return None,
    }
    Some(m)
}

fn message(desc: &MessageDescriptor, c: &mut Choices<'_>, depth: usize) -> DynamicMessage {
    if let Some(known) = well_known(desc, c, depth) {
        return known;
    }
    let mut m = DynamicMessage::new(desc.clone());
    let wrapper = desc.full_name().starts_with("google.protobuf.");
    for field in desc.fields() {
        let is_any = field.name() == "any";
        let wanted = wrapper || c.below(3) != 0;
        if !is_any && wanted && depth < 6 && !c.0.is_empty() {
            m.set_field(&field, value(&field, c, depth));
            // The other side writes the infinities as null inside FloatValue and DoubleValue.
            let infinite = {
                let set = m.get_field(&field);
                let wide = set.as_f32().map(f64::from).or(set.as_f64());
                wrapper && wide.is_some_and(f64::is_infinite)
            };
            if infinite {
                m.clear_field(&field);
            }
        }
    }
    m
}

/// The other implementation's JSON, with the same choices as ours.
fn their_json(m: &DynamicMessage) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    let options = SerializeOptions::new().skip_default_fields(false);
    m.serialize_with_options(&mut serializer, &options).expect("has a JSON form");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn parsed(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("{e} in {json}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// On failure proptest prints the shrunk bytes: they are the seed that replays the case.
    #[test]
    fn both_ways_agree_with_another_implementation(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        thread_local! {
            static SETUP: (Bench, prost_reflect::DescriptorPool) = (Bench::new(), pool());
        }
        SETUP.with(|(bench, pool)| {
            let mut choices = Choices(&bytes);
            let name = ["Single", "Lists", "Maps", "Optionals", "Known", "All"][usize::from(choices.below(6))];
            let desc = pool.get_message_by_name(&format!("every.v1.{name}")).expect("defined");
            let original = message(&desc, &mut choices, 0);

            let encoded = original.encode_to_vec();
            // As it is, then out of order and twice, then broken off: however it is written, the texts agree.
            proto_to_json_target(&bench.schema, bench.id(name), &encoded);
            proto_to_json_target(&bench.schema, bench.id(name), &[&encoded[..], &encoded].concat());
            proto_to_json_target(&bench.schema, bench.id(name), &encoded[..encoded.len() / 2]);
            let ours = bench.write(name, &encoded);
            let theirs = their_json(&original);
            assert_eq!(parsed(&ours), parsed(&theirs), "{name}, to JSON");

            let proto = bench.read(name, &theirs).unwrap_or_else(|fault| panic!("{fault} in {theirs}"));
            let back = DynamicMessage::decode(desc.clone(), proto.as_slice()).expect("we write protobuf");
            assert_eq!(parsed(&their_json(&back)), parsed(&their_json(&original)), "{name}, from JSON");
            assert_eq!(back.descriptor(), original.descriptor());
        });
    }
}

#[test]
fn nan_is_written_and_read() {
    let bench = Bench::new();
    let json = bench.echo("Single", r#"{"aDouble":"NaN","aFloat":"-Infinity"}"#).expect("allowed");
    assert_eq!(
        (parsed(&json)["aDouble"].as_str(), parsed(&json)["aFloat"].as_str()),
        (Some("NaN"), Some("-Infinity"))
    );
}
