//! Values that are passed on as they are, without a JSON form: the bytes of a body, the text of a header.
use crate::path::{FieldPath, put_tag};
use crate::schema::{Cardinality, Field, Kind, Schema};
use crate::wire::{close, open, put_bytes};

/// Appends `bytes` as the value of the field, which [`takes_bytes`].
pub fn put_raw(schema: &Schema, path: &FieldPath, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(out, path.field(schema));
    put_bytes(out, bytes);
}

/// Appends one entry to the field, which [`takes_texts_by_name`].
pub fn put_entry(schema: &Schema, path: &FieldPath, name: &str, text: &str, out: &mut Vec<u8>) {
    put_tag(out, path.field(schema));
    let start = open(out);
    // Of every entry of a map the key has the number 1 and the value the number 2.
    for (tag, text) in [(0x0a, name), (0x12, text)] {
        out.push(tag);
        put_bytes(out, text.as_bytes());
    }
    close(out, start);
}

/// Whether the field is one value of type `bytes` and stands in the message itself.
pub fn takes_bytes(schema: &Schema, path: &FieldPath) -> bool {
    let field = path.field(schema);
    path.steps().len() == 1 && field.kind == Kind::Bytes && !field.is_many()
}

/// Whether the field is a `map<string, string>` and stands in the message itself.
pub fn takes_texts_by_name(schema: &Schema, path: &FieldPath) -> bool {
    let field = path.field(schema);
    let is_text = |field: &Field| field.kind == Kind::String;
    let is_map = path.steps().len() == 1 && field.cardinality == Cardinality::Map;
    is_map && field.kind.message().is_some_and(|entry| schema.get(entry).fields.iter().all(is_text))
}
