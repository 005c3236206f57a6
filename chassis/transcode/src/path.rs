//! Paths to fields (`line.quantity`) and the variables of an address that are written through them.
use crate::fault::{Fault, Read, What, nearest, quoted};
use crate::known;
use crate::scalar::{Scalar, from_text};
use crate::schema::{Cardinality, Field, Kind, Message, MessageId, Schema, Shape};
use crate::wire::{close, open, put_varint};

/// How many names a path may have.
const STEPS_MAX: usize = 16;

/// A resolved path to a field, through singular messages only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    steps: Vec<Step>,
    name: String,
}

/// One field of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) message: MessageId,
    pub(crate) field: u16,
}

impl FieldPath {
    /// The path in JSON names.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field at the end.
    pub fn field<'s>(&self, schema: &'s Schema) -> &'s Field {
        let last = self.steps[self.steps.len() - 1];
        &schema.get(last.message).fields[usize::from(last.field)]
    }

    /// Whether both cannot be set by one request: they are the same single field, one holds the other, or they
    /// are two members of one `oneof`.
    pub fn conflicts_with(&self, other: &FieldPath, schema: &Schema) -> bool {
        match self.steps.iter().zip(&other.steps).find(|(a, b)| a != b) {
            Some((a, b)) => {
                let message = schema.get(a.message);
                let oneof = |step: &Step| message.fields[usize::from(step.field)].oneof;
                oneof(a).is_some() && oneof(a) == oneof(b)
            }
            None => self.steps.len() != other.steps.len() || !self.field(schema).is_many(),
        }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The same path without its first name.
    pub(crate) fn after_first(&self) -> FieldPath {
        FieldPath { steps: self.steps[1..].to_vec(), name: self.name.clone() }
    }
}

impl Schema {
    /// Resolves `line.quantity` (JSON names or proto names) in `message`.
    pub fn path(&self, message: MessageId, path: &str) -> Result<FieldPath, Fault> {
        let mut resolved = FieldPath { steps: Vec::new(), name: String::new() };
        let mut at = Some(message);
        for name in path.split('.') {
            let inside = at.filter(|_| resolved.steps.len() < STEPS_MAX);
            let message = inside.ok_or_else(|| {
                Fault::new(What::UnknownField, "has no fields of its own that an address can name")
                    .within(&resolved.name)
            })?;
            let table = self.get(message);
            let prefix =
                |fault: Fault| if resolved.name.is_empty() { fault } else { fault.within(&resolved.name) };
            let index = table.index_of(name).ok_or_else(|| prefix(unknown_field(table, name)))?;
            let field = &table.fields[usize::from(index)];
            if !resolved.name.is_empty() {
                resolved.name.push('.');
            }
            resolved.name.push_str(&field.json_name);
            resolved.steps.push(Step { message, field: index });
            let inner = field.kind.message().filter(|inner| self.get(*inner).shape == Shape::Plain);
            at = inner.filter(|_| !field.is_many());
        }
        Ok(resolved)
    }
}

pub(crate) fn unknown_field(message: &Message, name: &str) -> Fault {
    let mut sentence = format!("is not a field of {}", message.short_name());
    if let Some(near) = nearest(name, message.fields.iter().map(|f| f.json_name.as_str())) {
        sentence.push_str(&format!("; did you mean \"{near}\"?"));
    }
    Fault::new(What::UnknownField, sentence).within(&quoted(name))
}

/// Appends the variable `text` of an address as a fragment of `message`. Protobuf merges fragments, so this
/// works before and after the body; a list grows by one with each call.
///
/// ```no_run
/// # fn example(schema: &souk_transcode::Schema) -> Option<()> {
/// let request = schema.message("souk.cart.v1.AddItemRequest")?;
/// let mut proto = Vec::new();
/// souk_transcode::embed_field(schema, request, "line.quantity", "3", &mut proto).ok()?;
/// # Some(()) }
/// ```
pub fn embed_field(
    schema: &Schema,
    message: MessageId,
    path: &str,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    embed(schema, &schema.path(message, path)?, text, out)
}

/// As [`embed_field`], with a path that is resolved already.
pub fn embed(schema: &Schema, path: &FieldPath, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    embed_steps(schema, path.steps(), text, out).map_err(|fault| {
        out.truncate(start);
        fault.within(path.name())
    })
}

fn embed_steps(schema: &Schema, steps: &[Step], text: &str, out: &mut Vec<u8>) -> Read<()> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    let field = &schema.get(step.message).fields[usize::from(step.field)];
    if !rest.is_empty() {
        put_tag(out, field);
        let start = open(out);
        embed_steps(schema, rest, text, out)?;
        close(out, start);
        return Ok(());
    }
    if let Kind::Message(id) = field.kind {
        return embed_message(schema, field, id, text, out);
    }
    let value = from_text(schema, field.kind, text)?;
    // A later fragment replaces an earlier one, so a default value is written as well.
    put_tag(out, field);
    value.put(out);
    Ok(())
}

/// Only messages with the JSON form of a single value can stand in an address.
fn embed_message(schema: &Schema, field: &Field, id: MessageId, text: &str, out: &mut Vec<u8>) -> Read<()> {
    put_tag(out, field);
    let start = open(out);
    let message = schema.get(id);
    match message.shape {
        _ if field.cardinality == Cardinality::Map => return Err(not_in_an_address()),
        Shape::Timestamp => known::timestamp_to_proto(out, text)?,
        Shape::Duration => known::duration_to_proto(out, text)?,
        Shape::FieldMask => known::mask_to_proto(out, text)?,
        Shape::Wrapper => {
            let value = from_text(schema, message.fields[0].kind, text)?;
            put_member(out, &message.fields[0], &value);
        }
        Shape::Plain | Shape::Struct | Shape::Value | Shape::ListValue | Shape::Any => {
            return Err(not_in_an_address());
        }
    }
    close(out, start);
    Ok(())
}

fn not_in_an_address() -> Fault {
    Fault::new(What::WrongType, "cannot stand in an address; name one of its fields")
}

/// Appends the tag of one value of `field`.
pub(crate) fn put_tag(out: &mut Vec<u8>, field: &Field) {
    put_varint(out, u64::from(field.number) << 3 | u64::from(field.kind.wire_type()));
}

pub(crate) fn put_member(out: &mut Vec<u8>, field: &Field, value: &Scalar<'_>) {
    if field.cardinality != Cardinality::Implicit || !value.is_default() {
        put_tag(out, field);
        value.put(out);
    }
}
