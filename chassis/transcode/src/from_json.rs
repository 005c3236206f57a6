//! JSON to protobuf, from bytes to bytes. Strict: unknown fields, duplicate keys, wrong types and numbers that
//! do not fit are refused with the path to the fault.
use crate::fault::{Fault, Read, What};
use crate::json::{Next, Scanner, too_deep};
use crate::known;
use crate::path::{FieldPath, Step, put_member, put_tag, unknown_field};
use crate::scalar::{Scalar, base64, enum_by_name, number, quoted_number, wanted};
use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, Shape};
use crate::wire::{close, open, put_bytes};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What a JSON text may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep objects and lists may nest.
    pub depth: usize,
    /// How many list elements and map entries there may be in all. `[{},{},…]` is short in JSON and long in
    /// memory, so the size of the text alone bounds too little.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, elements: 50_000 }
    }
}

/// Reads `json` as `message` and appends its protobuf form to `out`. After a fault `out` is as before.
pub fn json_to_proto(
    schema: &Schema,
    message: MessageId,
    json: &[u8],
    out: &mut Vec<u8>,
    limits: &Limits,
) -> Result<(), Fault> {
    json_to_proto_except(schema, message, &[], json, out, limits)
}

/// As [`json_to_proto`], but refuses the fields at the paths `bound`: the address has set them already.
pub fn json_to_proto_except(
    schema: &Schema,
    message: MessageId,
    bound: &[FieldPath],
    json: &[u8],
    out: &mut Vec<u8>,
    limits: &Limits,
) -> Result<(), Fault> {
    let bound: Vec<&[Step]> = bound.iter().map(FieldPath::steps).collect();
    read_all(schema, json, out, limits, |decoder| decoder.message(message, 0, &bound))
}

/// Reads `json` as the value of the field at `path` (also a list or a map) and appends it to `out` as a
/// fragment of the message that the path starts in.
pub fn json_to_field(
    schema: &Schema,
    path: &FieldPath,
    json: &[u8],
    out: &mut Vec<u8>,
    limits: &Limits,
) -> Result<(), Fault> {
    read_all(schema, json, out, limits, |decoder| {
        decoder.fragment(path.steps()).map_err(|f| f.within(path.name()))
    })
}

fn read_all(
    schema: &Schema,
    json: &[u8],
    out: &mut Vec<u8>,
    limits: &Limits,
    read: impl FnOnce(&mut Decoder<'_, '_, '_>) -> Read<()>,
) -> Read<()> {
    let start = out.len();
    let mut decoder = Decoder { schema, scan: Scanner::new(json)?, out, limits: *limits, elements: 0 };
    let result = read(&mut decoder).and_then(|()| decoder.scan.end());
    if result.is_err() {
        out.truncate(start);
    }
    result
}

struct Decoder<'s, 'j, 'o> {
    schema: &'s Schema,
    scan: Scanner<'j>,
    out: &'o mut Vec<u8>,
    limits: Limits,
    elements: usize,
}

/// Which fields and `oneof`s of one object were seen.
#[derive(Default)]
struct Seen {
    low: u128,
    high: Vec<u16>,
    oneofs: Vec<u16>,
}

impl Seen {
    /// Notes field `index`; false if it was noted before.
    fn add(&mut self, index: u16) -> bool {
        if index < 128 {
            let bit = 1u128 << index;
            let new = self.low & bit == 0;
            self.low |= bit;
            return new;
        }
        let new = !self.high.contains(&index);
        self.high.push(index);
        new
    }

    /// Notes a member of `oneof`; false if another one was noted before.
    fn add_oneof(&mut self, oneof: u16) -> bool {
        let new = !self.oneofs.contains(&oneof);
        self.oneofs.push(oneof);
        new
    }
}

impl<'s, 'j> Decoder<'s, 'j, '_> {
    fn expect(&mut self, wanted: Next, name: &str) -> Read<()> {
        if self.scan.next()? == wanted { Ok(()) } else { Err(Fault::wrong_type(name)) }
    }

    fn deeper(&self, depth: usize) -> Read<usize> {
        if depth < self.limits.depth { Ok(depth + 1) } else { Err(too_deep()) }
    }

    fn count_element(&mut self) -> Read<()> {
        self.elements += 1;
        let fine = self.elements <= self.limits.elements;
        if fine { Ok(()) } else { Err(Fault::new(What::TooMany, "holds too many list elements in all")) }
    }

    fn text(&mut self, wanted: &str) -> Read<Cow<'j, str>> {
        self.expect(Next::Text, wanted)?;
        self.scan.string()
    }

    /// One message of any shape, without tag and length.
    fn message(&mut self, id: MessageId, depth: usize, bound: &[&[Step]]) -> Read<()> {
        let message = self.schema.get(id);
        match message.shape {
            Shape::Plain => self.object(message, depth, bound),
            Shape::Timestamp => {
                let time = self.text("a time like 2026-01-31T12:00:00Z")?;
                known::timestamp_to_proto(self.out, &time)
            }
            Shape::Duration => {
                let duration = self.text("a duration like 1.5s")?;
                known::duration_to_proto(self.out, &duration)
            }
            Shape::FieldMask => {
                let mask = self.text("field names like displayName,lines.sku")?;
                known::mask_to_proto(self.out, &mask)
            }
            Shape::Wrapper => {
                let value = self.scalar(message.fields[0].kind)?;
                put_member(self.out, &message.fields[0], &value);
                Ok(())
            }
            Shape::Struct => self.struct_members(depth),
            Shape::Value => self.any_value(depth),
            Shape::ListValue => self.any_list(depth),
            Shape::Any => Err(Fault::new(What::Invalid, "cannot be given in JSON")),
        }
    }

    fn object(&mut self, message: &'s Message, depth: usize, bound: &[&[Step]]) -> Read<()> {
        self.expect(Next::Object, "an object")?;
        let depth = self.deeper(depth)?;
        self.scan.enter();
        let (mut seen, mut first, mut likely) = (Seen::default(), true, 0u16);
        while self.scan.more(b'}', first)? {
            first = false;
            let key = self.scan.key()?;
            // Clients mostly send fields in the order of their numbers: try the next one before searching.
            let guess =
                message.fields.get(usize::from(likely)).filter(|f| f.json_name == *key).map(|_| likely);
            let index =
                guess.or_else(|| message.index_of(&key)).ok_or_else(|| unknown_field(message, &key))?;
            likely = index + 1;
            let field = &message.fields[usize::from(index)];
            let result = self.member(message, index, depth, &mut seen, bound);
            result.map_err(|fault| fault.within(&field.json_name))?;
        }
        Ok(())
    }

    fn member(
        &mut self,
        message: &'s Message,
        index: u16,
        depth: usize,
        seen: &mut Seen,
        bound: &[&[Step]],
    ) -> Read<()> {
        let field = &message.fields[usize::from(index)];
        if !seen.add(index) {
            return Err(Fault::new(What::Duplicate, "stands twice"));
        }
        // The vectors below stay empty, and so cost nothing, unless the path of the request reaches in here.
        let inner: Vec<&[Step]> =
            bound.iter().filter(|steps| steps[0].field == index).map(|steps| &steps[1..]).collect();
        if inner.iter().any(|rest| rest.is_empty()) {
            return Err(Fault::new(What::Bound, "is already given by the address"));
        }
        if self.scan.next()? == Next::Null && (field.is_many() || !self.takes_null(field.kind)) {
            return self.scan.word("null");
        }
        if field.oneof.is_some_and(|oneof| !seen.add_oneof(oneof)) {
            let name =
                field.oneof.map(|oneof| message.oneofs[usize::from(oneof)].as_str()).unwrap_or_default();
            return Err(Fault::new(
                What::Duplicate,
                format!("excludes the other member of {name} that is given"),
            ));
        }
        self.field(field, depth, &inner)
    }

    /// Whether JSON's null is a value of its own here, not an absence.
    fn takes_null(&self, kind: Kind) -> bool {
        let is_value = kind.message().is_some_and(|id| self.schema.get(id).shape == Shape::Value);
        is_value || kind.enumeration().is_some_and(|id| self.schema.get_enum(id).is_null)
    }

    /// All of one field: tag and value, or all the elements.
    fn field(&mut self, field: &'s Field, depth: usize, bound: &[&[Step]]) -> Read<()> {
        match (field.cardinality, field.kind) {
            (Cardinality::Repeated { packed }, _) => self.list(field, packed, depth),
            (Cardinality::Map, Kind::Message(entry)) => self.map(field, entry, depth),
            (_, Kind::Message(id)) => self.nested(field, |d| d.message(id, depth, bound)),
            (_, kind) => {
                let value = self.scalar(kind)?;
                put_member(self.out, field, &value);
                Ok(())
            }
        }
    }

    fn nested(&mut self, field: &Field, write: impl FnOnce(&mut Self) -> Read<()>) -> Read<()> {
        put_tag(self.out, field);
        let start = open(self.out);
        write(self)?;
        close(self.out, start);
        Ok(())
    }

    /// The value of the field at the end of `steps`, wrapped in the messages on the way.
    fn fragment(&mut self, steps: &[Step]) -> Read<()> {
        let Some((step, rest)) = steps.split_first() else { return Ok(()) };
        let field = &self.schema.get(step.message).fields[usize::from(step.field)];
        match rest.is_empty() {
            false => self.nested(field, |d| d.fragment(rest)),
            true if self.scan.next()? == Next::Null && !self.takes_null(field.kind) => self.scan.word("null"),
            true => self.field(field, 0, &[]),
        }
    }

    fn list(&mut self, field: &'s Field, packed: bool, depth: usize) -> Read<()> {
        self.expect(Next::List, "a list")?;
        let depth = self.deeper(depth)?;
        self.scan.enter();
        let before = self.out.len();
        let packed_start = packed.then(|| {
            crate::wire::put_varint(self.out, u64::from(field.number) << 3 | 2);
            open(self.out)
        });
        let mut index = 0;
        while self.scan.more(b']', index == 0)? {
            self.count_element()?;
            self.element(field, packed, depth).map_err(|fault| fault.at(index))?;
            index += 1;
        }
        match packed_start {
            Some(_) if index == 0 => self.out.truncate(before),
            Some(start) => close(self.out, start),
            None => {}
        }
        Ok(())
    }

    fn element(&mut self, field: &'s Field, packed: bool, depth: usize) -> Read<()> {
        if let Kind::Message(id) = field.kind {
            return self.nested(field, |d| d.message(id, depth, &[]));
        }
        let value = self.scalar(field.kind)?;
        if !packed {
            put_tag(self.out, field);
        }
        value.put(self.out);
        Ok(())
    }

    fn map(&mut self, field: &'s Field, entry: MessageId, depth: usize) -> Read<()> {
        self.expect(Next::Object, "an object")?;
        let depth = self.deeper(depth)?;
        self.scan.enter();
        let entry = self.schema.get(entry);
        let mut keys = BTreeSet::new();
        let mut first = true;
        while self.scan.more(b'}', first)? {
            first = false;
            self.count_element()?;
            let key = self.scan.key()?;
            self.entry(field, entry, &key, &mut keys, depth).map_err(|fault| fault.under(&key))?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        field: &'s Field,
        entry: &'s Message,
        key: &str,
        keys: &mut BTreeSet<Vec<u8>>,
        depth: usize,
    ) -> Read<()> {
        let (key_field, value_field) = (&entry.fields[0], &entry.fields[1]);
        let mut encoded = Vec::with_capacity(key.len() + 2);
        put_tag(&mut encoded, key_field);
        crate::scalar::from_text(self.schema, key_field.kind, key)?.put(&mut encoded);
        if keys.contains(&encoded) {
            return Err(Fault::new(What::Duplicate, "stands twice"));
        }
        self.nested(field, |d| {
            d.out.extend_from_slice(&encoded);
            d.element(value_field, false, depth)
        })?;
        keys.insert(encoded);
        Ok(())
    }

    fn scalar(&mut self, kind: Kind) -> Read<Scalar<'j>> {
        let next = self.scan.next()?;
        match (kind, next) {
            (Kind::Bool, Next::True) => self.scan.word("true").map(|()| Scalar::Varint(1)),
            (Kind::Bool, Next::False) => self.scan.word("false").map(|()| Scalar::Varint(0)),
            (Kind::String, Next::Text) => self.scan.string().map(Scalar::Text),
            (Kind::Bytes, Next::Text) => base64(&self.scan.string()?).map(Scalar::Bytes),
            (Kind::Enum(id), Next::Text) => enum_by_name(self.schema.get_enum(id), &self.scan.string()?),
            (Kind::Enum(id), Next::Null) if self.schema.get_enum(id).is_null => {
                self.scan.word("null").map(|()| Scalar::Varint(0))
            }
            (Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_), _) => {
                Err(Fault::wrong_type(wanted(kind)))
            }
            (_, Next::Number) => number(kind, self.scan.number()?),
            (Kind::Enum(_), _) => Err(Fault::wrong_type(wanted(kind))),
            (_, Next::Text) => quoted_number(kind, &self.scan.string()?),
            (_, Next::Object | Next::List | Next::True | Next::False | Next::Null) => {
                Err(Fault::wrong_type(wanted(kind)))
            }
        }
    }

    /// The content of a `google.protobuf.Struct`.
    fn struct_members(&mut self, depth: usize) -> Read<()> {
        self.expect(Next::Object, "an object")?;
        let depth = self.deeper(depth)?;
        self.scan.enter();
        let mut keys = BTreeSet::new();
        let mut first = true;
        while self.scan.more(b'}', first)? {
            first = false;
            self.count_element()?;
            let key = self.scan.key()?;
            if keys.contains(&key) {
                return Err(Fault::new(What::Duplicate, "stands twice").under(&key));
            }
            self.out.push(0x0a);
            let entry = open(self.out);
            self.out.push(0x0a);
            put_bytes(self.out, key.as_bytes());
            self.out.push(0x12);
            let value = open(self.out);
            self.any_value(depth).map_err(|fault| fault.under(&key))?;
            close(self.out, value);
            close(self.out, entry);
            keys.insert(key);
        }
        Ok(())
    }

    /// The content of a `google.protobuf.ListValue`.
    fn any_list(&mut self, depth: usize) -> Read<()> {
        self.expect(Next::List, "a list")?;
        let depth = self.deeper(depth)?;
        self.scan.enter();
        let mut index = 0;
        while self.scan.more(b']', index == 0)? {
            self.count_element()?;
            self.out.push(0x0a);
            let value = open(self.out);
            self.any_value(depth).map_err(|fault| fault.at(index))?;
            close(self.out, value);
            index += 1;
        }
        Ok(())
    }

    /// The content of a `google.protobuf.Value`.
    fn any_value(&mut self, depth: usize) -> Read<()> {
        match self.scan.next()? {
            Next::Null => {
                self.out.extend_from_slice(&[0x08, 0]);
                self.scan.word("null")
            }
            Next::Number => {
                let value = number(Kind::Double, self.scan.number()?)?;
                self.out.push(0x11);
                value.put(self.out);
                Ok(())
            }
            Next::Text => {
                let text = self.scan.string()?;
                self.out.push(0x1a);
                put_bytes(self.out, text.as_bytes());
                Ok(())
            }
            Next::True => {
                self.out.extend_from_slice(&[0x20, 1]);
                self.scan.word("true")
            }
            Next::False => {
                self.out.extend_from_slice(&[0x20, 0]);
                self.scan.word("false")
            }
            Next::Object => self.wrapped(0x2a, |d| d.struct_members(depth)),
            Next::List => self.wrapped(0x32, |d| d.any_list(depth)),
        }
    }

    fn wrapped(&mut self, tag: u8, write: impl FnOnce(&mut Self) -> Read<()>) -> Read<()> {
        self.out.push(tag);
        let start = open(self.out);
        write(self)?;
        close(self.out, start);
        Ok(())
    }
}
