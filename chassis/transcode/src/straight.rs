//! The short way from protobuf to JSON, for messages as our own services write them: fields in the order of
//! their numbers, single ones once, none that the schema does not know. Such a message is read and written in
//! one pass, along a table with the ready texts of all keys and defaults.
//!
//! Everything else, faults included, is left to the thorough way in `to_json`, which writes the same texts: this
//! way ends with `None`, and whoever called it starts over there. It is therefore tried once per answer, at the
//! top, and no nesting can multiply the work.
use crate::json::put_json_bytes;
use crate::known;
use crate::scalar::{put_base64, put_number};
use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, Shape};
use crate::to_json::{Encoder, put_enumeration};
use crate::wire::{Reader, Value, WIRE_DEPTH_MAX};

/// How many `oneof`s of a message can be watched.
const ONEOFS_MAX: u16 = 64;

/// No record has this tag: the message is over.
const END: u32 = 0;

/// What is written for a field, and when.
#[derive(Debug)]
pub(crate) struct Member {
    /// The tag of its records.
    tag: u32,
    form: Form,
    /// The bit of its `oneof`, or none.
    oneof: u64,
    /// `,"unitPrice":`
    key: Box<[u8]>,
    /// `,"unitPrice":"0"`, or nothing when an absent field is not written.
    absent: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Single(Kind),
    List(Kind),
    Packed(Kind),
    Map(MessageId),
    /// Left to the thorough way.
    Unusual,
}

/// The tables of all messages, in the order of the schema's.
pub(crate) fn tables(schema: &Schema) -> Vec<Box<[Member]>> {
    let table = |message: &Message| message.fields.iter().map(|field| member(schema, field)).collect();
    schema.messages().iter().map(table).collect()
}

fn member(schema: &Schema, field: &Field) -> Member {
    let key = [b",", field.json_key.as_slice()].concat();
    let mut absent = Vec::new();
    if field.cardinality != Cardinality::Explicit {
        absent.clone_from(&key);
        let default = Encoder::new(schema, &mut absent).field(field, 0..0, 0);
        default.expect("defaults are not read from bytes, so nothing can be malformed");
    }
    let packed = matches!(field.cardinality, Cardinality::Repeated { packed: true });
    let wire_type = if packed { 2 } else { field.kind.wire_type() };
    let form = match (field.cardinality, field.kind) {
        _ if field.oneof.is_some_and(|index| index >= ONEOFS_MAX) => Form::Unusual,
        (Cardinality::Map, Kind::Message(entry)) => Form::Map(entry),
        (Cardinality::Map, _) => Form::Unusual,
        (Cardinality::Repeated { .. }, kind) if packed => Form::Packed(kind),
        (Cardinality::Repeated { .. }, kind) => Form::List(kind),
        (Cardinality::Implicit | Cardinality::Explicit, kind) => Form::Single(kind),
    };
    Member {
        tag: field.number << 3 | u32::from(wire_type),
        form,
        oneof: field.oneof.filter(|index| *index < ONEOFS_MAX).map_or(0, |index| 1 << index),
        key: key.into(),
        absent: absent.into(),
    }
}

/// Appends the JSON form of `message`. With `None`, what was appended so far is of no use.
pub(crate) fn write(schema: &Schema, message: MessageId, proto: &[u8], out: &mut Vec<u8>) -> Option<()> {
    Writer { schema, out }.message(message, proto, 0)
}

struct Writer<'s, 'o> {
    schema: &'s Schema,
    out: &'o mut Vec<u8>,
}

impl Writer<'_, '_> {
    fn message(&mut self, id: MessageId, bytes: &[u8], depth: usize) -> Option<()> {
        if depth > WIRE_DEPTH_MAX {
            return None;
        }
        match self.schema.get(id).shape {
            Shape::Plain => self.object(id, bytes, depth),
            Shape::Timestamp => known::timestamp_to_json(self.out, bytes).ok(),
            Shape::Duration | Shape::FieldMask | Shape::Wrapper => self.thorough(id, bytes, depth),
            Shape::Struct | Shape::Value | Shape::ListValue | Shape::Any => self.thorough(id, bytes, depth),
        }
    }

    fn thorough(&mut self, id: MessageId, bytes: &[u8], depth: usize) -> Option<()> {
        Encoder::new(self.schema, self.out).message(id, bytes, depth).ok()
    }

    /// Fields and records are gone through side by side. A record that no field took when it was its turn is
    /// unknown, out of order, there twice or of another type; then the last tag is not the end.
    fn object(&mut self, id: MessageId, bytes: &[u8], depth: usize) -> Option<()> {
        let schema = self.schema;
        let start = self.out.len();
        let mut reader = Reader::new(bytes);
        let mut tag = next_tag(&mut reader)?;
        let mut oneofs = 0;
        for member in schema.members(id) {
            if tag != member.tag {
                self.out.extend_from_slice(&member.absent);
                continue;
            }
            if oneofs & member.oneof != 0 {
                return None;
            }
            oneofs |= member.oneof;
            self.out.extend_from_slice(&member.key);
            tag = self.member(member, &mut reader, depth)?;
        }
        if tag != END {
            return None;
        }
        // Every member begins with a comma; that of the first stands where the object opens.
        match self.out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
        Some(())
    }

    /// Writes the values of one field; returns the tag that comes after them.
    #[inline]
    fn member<'a>(&mut self, member: &Member, reader: &mut Reader<'a>, depth: usize) -> Option<u32> {
        match member.form {
            Form::Single(kind) => {
                self.value(kind, reader, depth)?;
                next_tag(reader)
            }
            Form::List(kind) => self.list(kind, member.tag, reader, depth),
            Form::Packed(kind) => {
                self.packed(kind, reader.bytes().ok()?, depth)?;
                next_tag(reader)
            }
            Form::Map(entry) => self.map(entry, member.tag, reader, depth),
            Form::Unusual => None,
        }
    }

    fn list(&mut self, kind: Kind, tag: u32, reader: &mut Reader<'_>, depth: usize) -> Option<u32> {
        self.out.push(b'[');
        loop {
            self.value(kind, reader, depth)?;
            let next = next_tag(reader)?;
            if next != tag {
                self.out.push(b']');
                return Some(next);
            }
            self.out.push(b',');
        }
    }

    fn packed(&mut self, kind: Kind, bytes: &[u8], depth: usize) -> Option<()> {
        let mut reader = Reader::new(bytes);
        self.out.push(b'[');
        while !reader.is_empty() {
            self.value(kind, &mut reader, depth)?;
            if !reader.is_empty() {
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        Some(())
    }

    /// Maps are written sorted, which needs all of their entries.
    fn map(&mut self, entry: MessageId, tag: u32, reader: &mut Reader<'_>, depth: usize) -> Option<u32> {
        let mut entries = vec![reader.bytes().ok()?];
        let mut next = next_tag(reader)?;
        while next == tag {
            entries.push(reader.bytes().ok()?);
            next = next_tag(reader)?;
        }
        let entry = self.schema.get(entry);
        Encoder::new(self.schema, self.out).map_of(entry, &entries, depth).ok()?;
        Some(next)
    }

    #[inline]
    fn value(&mut self, kind: Kind, reader: &mut Reader<'_>, depth: usize) -> Option<()> {
        match kind {
            Kind::String => put_json_bytes(self.out, reader.bytes().ok()?).ok()?,
            Kind::Message(id) => self.message(id, reader.bytes().ok()?, depth + 1)?,
            Kind::Bytes => {
                self.out.push(b'"');
                put_base64(self.out, reader.bytes().ok()?);
                self.out.push(b'"');
            }
            Kind::Enum(id) => {
                put_enumeration(self.out, self.schema.get_enum(id), reader.varint().ok()? as i32);
            }
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
                put_number(self.out, kind, Value::Fixed64(reader.fixed64().ok()?));
            }
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
                put_number(self.out, kind, Value::Fixed32(reader.fixed32().ok()?));
            }
            Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Bool | Kind::Uint32 => {
                put_number(self.out, kind, Value::Varint(reader.varint().ok()?));
            }
            Kind::Sint32 | Kind::Sint64 => {
                put_number(self.out, kind, Value::Varint(reader.varint().ok()?));
            }
        }
        Some(())
    }
}

/// The next record's tag, [`END`] behind the last one.
#[inline]
fn next_tag(reader: &mut Reader<'_>) -> Option<u32> {
    if reader.is_empty() {
        return Some(END);
    }
    u32::try_from(reader.varint().ok()?).ok().filter(|tag| *tag != END)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `message Line { string sku = 1; uint64 quantity = 2; }`
    fn short(proto: &[u8]) -> Option<String> {
        let set = b"\x0a\x3f\x0a\x0ashop.proto\x12\x04shop\x22\x23\x0a\x04Line\x12\x0b\x0a\x03sku\x18\x01\x20\x01\x28\x09\
                    \x12\x0e\x0a\x08quantity\x18\x02\x28\x04\x62\x06proto3";
        let schema = Schema::from_bytes(set).expect("well formed");
        let mut out = Vec::new();
        write(&schema, schema.message("shop.Line").expect("defined"), proto, &mut out)?;
        Some(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    #[test]
    fn messages_in_order_take_the_short_way() {
        assert_eq!(short(b"\x0a\x01a\x10\x06").as_deref(), Some(r#"{"sku":"a","quantity":"6"}"#));
        assert_eq!(short(b"\x10\x06").as_deref(), Some(r#"{"sku":"","quantity":"6"}"#));
        assert_eq!(short(b"").as_deref(), Some(r#"{"sku":"","quantity":"0"}"#));
    }

    #[test]
    fn all_others_are_left_to_the_thorough_way() {
        for other in [
            &b"\x10\x06\x0a\x01a"[..], // out of order
            b"\x0a\x01a\x0a\x01a",     // twice
            b"\x0a\x01a\x18\x01",      // unknown
            b"\x08\x01",               // another type
            b"\x0a\x01\xff",           // not UTF-8
            b"\x0a\x02a",              // broken off
            b"\x00\x00",               // no tag
        ] {
            assert_eq!(short(other), None, "{other:?}");
        }
    }
}
