//! The short way from protobuf to JSON, for messages as our own services write them: fields in the order of
//! their numbers, single ones once, none that the schema does not know. Such a message is read and written in
//! one pass, along a table with the ready texts of all keys and defaults.
//!
//! Everything else, faults included, is left to the thorough way in `to_json`, which writes the same texts: this
//! way ends with `None`, and whoever called it starts over there. It is therefore tried once per answer, at the
//! top, and no nesting can multiply the work.
use crate::known;
use crate::schema::{Cardinality, EnumId, Field, Kind, Message, MessageId, Schema, Shape};
use crate::sink::{Piece, Sink, Span};
use crate::to_json::{Encoder, put_scalar};
use crate::wire::{Reader, WIRE_DEPTH_MAX};

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
    key: Piece,
    /// `,"unitPrice":"0"`, or nothing when an absent field is not written.
    absent: Piece,
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
        key: Piece::new(&key),
        absent: Piece::new(&absent),
    }
}

/// Appends the JSON form of `message`. With `None`, what was appended so far is of no use.
pub(crate) fn write(schema: &Schema, message: MessageId, proto: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut writer = Writer { schema, out: Sink::new(out, proto.len()) };
    let written = writer.message(message, Span { all: proto, start: 0, end: proto.len() }, 0);
    writer.out.close();
    written
}

struct Writer<'s, 'o> {
    schema: &'s Schema,
    out: Sink<'o>,
}

impl Writer<'_, '_> {
    fn message(&mut self, id: MessageId, span: Span<'_>, depth: usize) -> Option<()> {
        if depth > WIRE_DEPTH_MAX {
            return None;
        }
        match self.schema.get(id).shape {
            Shape::Plain => self.object(id, span, depth),
            Shape::Timestamp => {
                let (text, length) = known::timestamp_text(span.bytes()).ok()?;
                self.out.step(&text, length);
                Some(())
            }
            Shape::Duration | Shape::FieldMask | Shape::Wrapper => self.thorough(id, span, depth),
            Shape::Struct | Shape::Value | Shape::ListValue | Shape::Any => self.thorough(id, span, depth),
        }
    }

    fn thorough(&mut self, id: MessageId, span: Span<'_>, depth: usize) -> Option<()> {
        let schema = self.schema;
        self.out.put_with(|out| Encoder::new(schema, out).message(id, span.bytes(), depth)).ok()
    }

    /// Fields and records are gone through side by side. A record that no field took when it was its turn is
    /// unknown, out of order, there twice or of another type; then the last tag is not the end.
    fn object(&mut self, id: MessageId, span: Span<'_>, depth: usize) -> Option<()> {
        let schema = self.schema;
        let start = self.out.at();
        let mut records = Records { all: span.all, at: span.start, end: span.end };
        let mut tag = records.tag()?;
        let mut oneofs = 0;
        for member in schema.members(id) {
            if tag != member.tag {
                self.out.piece(&member.absent);
                continue;
            }
            if oneofs & member.oneof != 0 {
                return None;
            }
            oneofs |= member.oneof;
            self.out.piece(&member.key);
            tag = self.member(member, &mut records, depth)?;
        }
        if tag != END {
            return None;
        }
        // Every member begins with a comma; that of the first stands where the object opens.
        self.out.set(start, b'{');
        self.out.push(b'}');
        Some(())
    }

    /// Writes the values of one field; returns the tag that comes after them.
    #[inline(always)]
    fn member(&mut self, member: &Member, records: &mut Records<'_>, depth: usize) -> Option<u32> {
        match member.form {
            Form::Single(kind) => {
                self.value(kind, records, depth)?;
                records.tag()
            }
            Form::List(kind) => self.list(kind, member.tag, records, depth),
            Form::Packed(kind) => {
                self.packed(kind, records.span()?, depth)?;
                records.tag()
            }
            Form::Map(entry) => self.map(entry, member.tag, records, depth),
            Form::Unusual => None,
        }
    }

    fn list(&mut self, kind: Kind, tag: u32, records: &mut Records<'_>, depth: usize) -> Option<u32> {
        self.out.push(b'[');
        loop {
            self.value(kind, records, depth)?;
            let next = records.tag()?;
            if next != tag {
                self.out.push(b']');
                return Some(next);
            }
            self.out.push(b',');
        }
    }

    fn packed(&mut self, kind: Kind, span: Span<'_>, depth: usize) -> Option<()> {
        let mut values = Records { all: span.all, at: span.start, end: span.end };
        self.out.push(b'[');
        while values.at < values.end {
            self.value(kind, &mut values, depth)?;
            if values.at < values.end {
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        Some(())
    }

    /// Maps are written sorted, which needs all of their entries.
    fn map(&mut self, entry: MessageId, tag: u32, records: &mut Records<'_>, depth: usize) -> Option<u32> {
        let mut entries = vec![records.span()?.bytes()];
        let mut next = records.tag()?;
        while next == tag {
            entries.push(records.span()?.bytes());
            next = records.tag()?;
        }
        let schema = self.schema;
        let entry = schema.get(entry);
        self.out.put_with(|out| Encoder::new(schema, out).map_of(entry, &entries, depth)).ok()?;
        Some(next)
    }

    #[inline]
    fn value(&mut self, kind: Kind, records: &mut Records<'_>, depth: usize) -> Option<()> {
        match kind {
            Kind::String => self.out.text(records.span()?).ok()?,
            Kind::Message(id) => self.message(id, records.span()?, depth + 1)?,
            Kind::Enum(id) => self.enumeration(id, records.varint()? as i32)?,
            Kind::Bool => match records.varint()? {
                0 => self.out.put(b"false"),
                _ => self.out.put(b"true"),
            },
            Kind::Int32 => self.out.signed(i64::from(records.varint()? as i32)),
            Kind::Uint32 => self.out.unsigned(u64::from(records.varint()? as u32)),
            Kind::Int64 => {
                self.out.push(b'"');
                self.out.signed(records.varint()? as i64);
                self.out.push(b'"');
            }
            Kind::Uint64 => {
                self.out.push(b'"');
                self.out.unsigned(records.varint()?);
                self.out.push(b'"');
            }
            Kind::Bytes | Kind::Double | Kind::Float | Kind::Fixed64 | Kind::Sfixed64 => {
                self.rare(kind, records)?;
            }
            Kind::Fixed32 | Kind::Sfixed32 | Kind::Sint32 | Kind::Sint64 => self.rare(kind, records)?,
        }
        Some(())
    }

    fn enumeration(&mut self, id: EnumId, number: i32) -> Option<()> {
        let of = self.schema.get_enum(id);
        match of.name_of(number).map(str::as_bytes) {
            Some(_) if of.is_null => self.out.put(b"null"),
            Some(name) => self.out.text(Span { all: name, start: 0, end: name.len() }).ok()?,
            None => self.out.signed(i64::from(number)),
        }
        Some(())
    }

    fn rare(&mut self, kind: Kind, records: &mut Records<'_>) -> Option<()> {
        let mut reader = Reader::new(&records.all[records.at..records.end]);
        let before = reader.left();
        let value = reader.value(kind.wire_type()).ok()?;
        records.at += before - reader.left();
        self.out.put_with(|out| put_scalar(out, kind, value));
        Some(())
    }
}

/// Reads records like [`Reader`], but from a place within the whole message, because short texts are copied with
/// what stands behind them.
struct Records<'a> {
    all: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Records<'a> {
    /// The next record's tag, [`END`] behind the last one.
    #[inline(always)]
    fn tag(&mut self) -> Option<u32> {
        if self.at == self.end {
            return Some(END);
        }
        u32::try_from(self.varint()?).ok().filter(|tag| *tag != END)
    }

    #[inline(always)]
    fn varint(&mut self) -> Option<u64> {
        let bytes = self.all.get(self.at..self.end)?;
        match bytes {
            [byte @ 0..=0x7f, ..] => {
                self.at += 1;
                Some(u64::from(*byte))
            }
            [low, high @ 0..=0x7f, ..] => {
                self.at += 2;
                Some(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[cold]
    fn long_varint(&mut self) -> Option<u64> {
        let mut reader = Reader::new(&self.all[self.at..self.end]);
        let before = reader.left();
        let value = reader.varint().ok()?;
        self.at += before - reader.left();
        Some(value)
    }

    /// A length-delimited value.
    #[inline(always)]
    fn span(&mut self) -> Option<Span<'a>> {
        let length = usize::try_from(self.varint()?).ok()?;
        let start = self.at;
        if length > self.end - start {
            return None;
        }
        self.at += length;
        Some(Span { all: self.all, start, end: self.at })
    }
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
