//! Protobuf to canonical JSON, from bytes to bytes. Fields without presence are always written, others only
//! when they are set; fields that the schema does not know are skipped.
use crate::json::{put_json_bytes, put_json_text};
use crate::known;
use crate::path::FieldPath;
use crate::scalar::{put_base64, put_number, put_signed};
use crate::schema::{Cardinality, Enum, Field, Kind, Message, MessageId, Schema, Shape};
use crate::wire::{Reader, Value, WIRE_DEPTH_MAX, WireFault, text};
use std::collections::BTreeMap;
use std::ops::Range;

/// Appends the JSON form of the `message` in `proto` to `out`.
pub fn proto_to_json(
    schema: &Schema,
    message: MessageId,
    proto: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), WireFault> {
    let start = out.len();
    if crate::straight::write(schema, message, proto, out).is_some() {
        return Ok(());
    }
    out.truncate(start);
    thoroughly(schema, message, proto, out)
}

/// [`proto_to_json`] for whatever order the fields are in.
pub(crate) fn thoroughly(
    schema: &Schema,
    message: MessageId,
    proto: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), WireFault> {
    let start = out.len();
    let result = Encoder::new(schema, out).message(message, proto, 0);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends the JSON form of one field of the message in `proto`: its default when it is absent, and `null` for
/// an absent message.
pub fn field_to_json(
    schema: &Schema,
    path: &FieldPath,
    proto: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), WireFault> {
    let start = out.len();
    let result = Encoder::new(schema, out).only(path, proto);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// One occurrence of the field with this index.
type Entry<'a> = (u16, Value<'a>);

pub(crate) struct Encoder<'s, 'a, 'o> {
    schema: &'s Schema,
    /// The occurrences of all messages being written, innermost last: one allocation for the whole tree.
    entries: Vec<Entry<'a>>,
    out: &'o mut Vec<u8>,
}

impl<'s, 'a, 'o> Encoder<'s, 'a, 'o> {
    pub(crate) fn new(schema: &'s Schema, out: &'o mut Vec<u8>) -> Self {
        Self { schema, entries: Vec::new(), out }
    }

    pub(crate) fn message(&mut self, id: MessageId, bytes: &'a [u8], depth: usize) -> Result<(), WireFault> {
        if depth > WIRE_DEPTH_MAX {
            return Err(WireFault::TooDeep);
        }
        let message = self.schema.get(id);
        match message.shape {
            Shape::Plain => self.object(message, bytes, depth),
            Shape::Timestamp => known::timestamp_to_json(self.out, bytes),
            Shape::Duration => known::duration_to_json(self.out, bytes),
            Shape::FieldMask => known::mask_to_json(self.out, bytes),
            Shape::Wrapper | Shape::Struct | Shape::ListValue => self.bare(message, bytes, depth),
            Shape::Value => self.any_value(message, bytes, depth),
            Shape::Any => Err(WireFault::NoJsonForm),
        }
    }

    fn object(&mut self, message: &'s Message, bytes: &'a [u8], depth: usize) -> Result<(), WireFault> {
        let start = self.collect(message, bytes)?;
        let (end, mut at, mut first) = (self.entries.len(), start, true);
        self.out.push(b'{');
        for (field, index) in message.fields.iter().zip(0u16..) {
            let from = at;
            while at < end && self.entries[at].0 == index {
                at += 1;
            }
            if from == at && field.cardinality == Cardinality::Explicit {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.out.extend_from_slice(&field.json_key);
            self.field(field, from..at, depth)?;
        }
        self.out.push(b'}');
        self.entries.truncate(start);
        Ok(())
    }

    /// A message that stands for its only field.
    fn bare(&mut self, message: &'s Message, bytes: &'a [u8], depth: usize) -> Result<(), WireFault> {
        let start = self.collect(message, bytes)?;
        self.field(&message.fields[0], start..self.entries.len(), depth)?;
        self.entries.truncate(start);
        Ok(())
    }

    /// A `google.protobuf.Value`: the member that is set, `null` when none is.
    fn any_value(&mut self, message: &'s Message, bytes: &'a [u8], depth: usize) -> Result<(), WireFault> {
        let start = self.collect(message, bytes)?;
        match self.entries.get(start).copied() {
            Some((index, _)) if message.fields[usize::from(index)].number != 1 => {
                let field = &message.fields[usize::from(index)];
                // JSON has no such numbers and here, unlike in a field of type double, a text would be a text.
                let finite = |bits| f64::from_bits(bits).is_finite();
                if matches!(self.entries.last(), Some((_, Value::Fixed64(bits))) if !finite(*bits)) {
                    return Err(WireFault::NoJsonForm);
                }
                self.field(field, start..self.entries.len(), depth)?;
            }
            _ => self.out.extend_from_slice(b"null"),
        }
        self.entries.truncate(start);
        Ok(())
    }

    /// Pushes the occurrences of known fields, sorted by field; returns where they start.
    fn collect(&mut self, message: &Message, bytes: &'a [u8]) -> Result<usize, WireFault> {
        let start = self.entries.len();
        let mut reader = Reader::new(bytes);
        let (mut last, mut sorted, mut members) = (0, true, 0);
        while let Some((number, value)) = reader.record()? {
            let Some(index) = message.index_of_number(number) else { continue };
            let field = &message.fields[usize::from(index)];
            if !fits(field, value) {
                continue;
            }
            members += usize::from(field.oneof.is_some());
            sorted &= index >= last;
            last = index;
            self.entries.push((index, value));
        }
        if members > 1 {
            self.keep_last_of_oneofs(message, start);
        }
        if !sorted {
            self.entries[start..].sort_by_key(|(index, _)| *index);
        }
        Ok(start)
    }

    /// Of two members of a `oneof` the later one counts, and what came before it is forgotten.
    fn keep_last_of_oneofs(&mut self, message: &Message, start: usize) {
        // For each oneof: the member that is set in the end, and whether an earlier member was met yet.
        let mut winners: Vec<(u16, u16, bool)> = Vec::new();
        let mut kept = Vec::with_capacity(self.entries.len() - start);
        for entry in self.entries.drain(start..).rev() {
            let Some(oneof) = message.fields[usize::from(entry.0)].oneof else {
                kept.push(entry);
                continue;
            };
            match winners.iter_mut().find(|(known, _, _)| *known == oneof) {
                None => {
                    winners.push((oneof, entry.0, true));
                    kept.push(entry);
                }
                Some((_, winner, true)) if *winner == entry.0 => kept.push(entry),
                Some((_, _, unbroken)) => *unbroken = false,
            }
        }
        self.entries.extend(kept.into_iter().rev());
    }

    pub(crate) fn field(
        &mut self,
        field: &Field,
        range: Range<usize>,
        depth: usize,
    ) -> Result<(), WireFault> {
        match (field.cardinality, field.kind) {
            (Cardinality::Map, Kind::Message(entry)) => self.map(self.schema.get(entry), range, depth),
            (Cardinality::Repeated { .. }, kind) => self.list(kind, range, depth),
            (_, Kind::Message(id)) if range.len() > 1 => self.merged(id, range, depth),
            (_, kind) => match self.entries[range].last().copied() {
                Some((_, value)) => self.value(kind, value, depth),
                None => self.default(kind),
            },
        }
    }

    /// The value of an absent field.
    fn default(&mut self, kind: Kind) -> Result<(), WireFault> {
        match kind.wire_type() {
            0 => self.value(kind, Value::Varint(0), 0),
            1 => self.value(kind, Value::Fixed64(0), 0),
            5 => self.value(kind, Value::Fixed32(0), 0),
            _ if matches!(kind, Kind::Message(_)) => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            _ => self.value(kind, Value::Bytes(&[]), 0),
        }
    }

    /// Protobuf merges repeated occurrences of a single message, which is what concatenation does.
    fn merged(&mut self, id: MessageId, range: Range<usize>, depth: usize) -> Result<(), WireFault> {
        let bytes = concat(&self.entries[range]);
        Encoder { schema: self.schema, entries: Vec::new(), out: self.out }.message(id, &bytes, depth + 1)
    }

    fn value(&mut self, kind: Kind, value: Value<'a>, depth: usize) -> Result<(), WireFault> {
        match (kind, value) {
            (Kind::Message(id), Value::Bytes(bytes)) => return self.message(id, bytes, depth + 1),
            (Kind::String, Value::Bytes(bytes)) => put_json_bytes(self.out, bytes)?,
            (Kind::Enum(id), Value::Varint(n)) => {
                put_enumeration(self.out, self.schema.get_enum(id), n as i32)
            }
            (kind, value) => put_scalar(self.out, kind, value),
        }
        Ok(())
    }

    fn list(&mut self, kind: Kind, range: Range<usize>, depth: usize) -> Result<(), WireFault> {
        self.out.push(b'[');
        let mut first = true;
        for index in range {
            match self.entries[index].1 {
                Value::Bytes(packed) if kind.wire_type() != 2 => {
                    let mut reader = Reader::new(packed);
                    while !reader.is_empty() {
                        let value = match kind.wire_type() {
                            0 => Value::Varint(reader.varint()?),
                            1 => Value::Fixed64(reader.fixed64()?),
                            _ => Value::Fixed32(reader.fixed32()?),
                        };
                        self.separate(&mut first);
                        self.value(kind, value, depth)?;
                    }
                }
                value @ (Value::Varint(_)
                | Value::Fixed64(_)
                | Value::Fixed32(_)
                | Value::Bytes(_)
                | Value::Group) => {
                    self.separate(&mut first);
                    self.value(kind, value, depth)?;
                }
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn separate(&mut self, first: &mut bool) {
        if !*first {
            self.out.push(b',');
        }
        *first = false;
    }

    /// A map, sorted by the text of its keys, so that equal maps have equal texts. Of equal keys the last counts.
    fn map(&mut self, entry: &Message, range: Range<usize>, depth: usize) -> Result<(), WireFault> {
        let bytes = |entry: &Entry<'a>| match entry.1 {
            Value::Bytes(bytes) => Some(bytes),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) | Value::Group => None,
        };
        let entries: Vec<&'a [u8]> = self.entries[range].iter().filter_map(bytes).collect();
        self.map_of(entry, &entries, depth)
    }

    /// A map with these entries.
    pub(crate) fn map_of(
        &mut self,
        entry: &Message,
        entries: &[&'a [u8]],
        depth: usize,
    ) -> Result<(), WireFault> {
        let mut members: BTreeMap<Vec<u8>, &'a [u8]> = BTreeMap::new();
        for bytes in entries.iter().copied() {
            members.insert(map_key(entry.fields[0].kind, bytes)?, bytes);
        }
        self.out.push(b'{');
        let mut first = true;
        for (key, bytes) in members {
            self.separate(&mut first);
            self.out.extend_from_slice(&key);
            self.out.push(b':');
            let start = self.collect(entry, bytes)?;
            let values = self.entries[start..].iter().position(|(index, _)| *index == 1);
            let from = values.map_or(self.entries.len(), |offset| start + offset);
            let range = from..self.entries.len();
            match entry.fields[1].kind.message().filter(|_| range.is_empty()) {
                // An absent value is an empty message here, never null.
                Some(id) => self.message(id, &[], depth + 1)?,
                None => self.field(&entry.fields[1], range, depth)?,
            }
            self.entries.truncate(start);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn only(&mut self, path: &FieldPath, bytes: &'a [u8]) -> Result<(), WireFault> {
        let (step, rest) = path.steps().split_first().expect("a path has at least one step");
        let message = self.schema.get(step.message);
        let start = self.collect(message, bytes)?;
        let field = &message.fields[usize::from(step.field)];
        self.entries.retain(|(index, _)| *index == step.field);
        if rest.is_empty() {
            return self.field(field, start..self.entries.len(), 0);
        }
        let inner = concat(&self.entries[start..]);
        let rest = path.after_first();
        Encoder { schema: self.schema, entries: Vec::new(), out: self.out }.only(&rest, &inner)
    }
}

/// Appends the JSON form of a number, a bool or bytes. `value` has the wire type of `kind`.
pub(crate) fn put_scalar(out: &mut Vec<u8>, kind: Kind, value: Value<'_>) {
    match (kind, value) {
        (Kind::Bytes, Value::Bytes(bytes)) => {
            out.push(b'"');
            put_base64(out, bytes);
            out.push(b'"');
        }
        (kind, value) => put_number(out, kind, value),
    }
}

/// Appends the JSON form of a value of an enum: its name if it has one.
fn put_enumeration(out: &mut Vec<u8>, of: &Enum, number: i32) {
    match of.name_of(number) {
        Some(_) if of.is_null => out.extend_from_slice(b"null"),
        Some(name) => put_json_text(out, name),
        None => put_signed(out, i64::from(number)),
    }
}

/// Whether the value has a wire type that the field can have; if not, the field counts as unknown.
fn fits(field: &Field, value: Value<'_>) -> bool {
    let wire_type = field.kind.wire_type();
    match value {
        Value::Varint(_) => wire_type == 0,
        Value::Fixed64(_) => wire_type == 1,
        Value::Bytes(_) => wire_type == 2 || matches!(field.cardinality, Cardinality::Repeated { .. }),
        Value::Fixed32(_) => wire_type == 5,
        Value::Group => false,
    }
}

fn concat(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut all = Vec::new();
    for (_, value) in entries {
        if let Value::Bytes(bytes) = value {
            all.extend_from_slice(bytes);
        }
    }
    all
}

/// The JSON key of a map entry, with its quotes.
fn map_key(kind: Kind, entry: &[u8]) -> Result<Vec<u8>, WireFault> {
    let mut key = match kind.wire_type() {
        0 => Value::Varint(0),
        1 => Value::Fixed64(0),
        2 => Value::Bytes(&[]),
        _ => Value::Fixed32(0),
    };
    let mut reader = Reader::new(entry);
    while let Some((number, value)) = reader.record()? {
        if number == 1 && std::mem::discriminant(&value) == std::mem::discriminant(&key) {
            key = value;
        }
    }
    let mut out = Vec::new();
    if let Value::Bytes(bytes) = key {
        put_json_text(&mut out, text(bytes)?);
        return Ok(out);
    }
    put_number(&mut out, kind, key);
    if out.first() != Some(&b'"') {
        out.insert(0, b'"');
        out.push(b'"');
    }
    Ok(out)
}
