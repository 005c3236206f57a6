//! Compiles a `FileDescriptorSet` to a [`Schema`]. Reads the wire format itself, because the options that
//! matter are extensions, which generated descriptor types would drop.
use crate::options::{field_documentation, http_status, method_options};
use crate::schema::{
    Cardinality, Enum, EnumId, EnumValue, Field, Kind, Message, MessageId, Method, Schema, SchemaError,
    Service, Shape,
};
use crate::wire::{Reader, Value, WIRE_DEPTH_MAX, text};
use std::collections::HashMap;

/// Field numbers up to this one are looked up in a table instead of by search.
const DIRECT_NUMBER_MAX: u32 = 255;

pub(crate) type Done<T> = Result<T, SchemaError>;
/// Where a declaration stands in its file, as descriptors say it: `[4, 0, 2, 1]`.
type Place = Vec<u32>;

pub(crate) fn compile(set: &[u8]) -> Done<Schema> {
    let mut draft = Draft::default();
    for (number, value) in records(set)? {
        if let (1, Value::Bytes(file)) = (number, value) {
            draft.file(file)?;
        }
    }
    draft.finish()
}

/// All records of a message.
pub(crate) fn records(bytes: &[u8]) -> Done<Vec<(u32, Value<'_>)>> {
    let mut reader = Reader::new(bytes);
    let mut records = Vec::new();
    while let Some(record) = reader.record()? {
        records.push(record);
    }
    Ok(records)
}

/// What is known before all names are: fields and methods still name their types.
#[derive(Default)]
struct Draft {
    messages: Vec<(Message, Vec<String>)>,
    enums: Vec<Enum>,
    services: Vec<Service>,
    methods: Vec<(Method, String, String)>,
}

/// What holds for all declarations of a file.
struct File<'a> {
    proto3: bool,
    comments: HashMap<Place, &'a str>,
}

impl File<'_> {
    fn comment(&self, place: &[u32]) -> String {
        let lines = self.comments.get(place).map(|c| c.lines().map(str::trim).collect::<Vec<_>>());
        lines.map(|lines| lines.join("\n").trim().to_owned()).unwrap_or_default()
    }
}

fn place(of: &[u32], kind: u32, index: usize) -> Place {
    let mut place = of.to_vec();
    place.extend([kind, index as u32]);
    place
}

fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

impl Draft {
    fn file(&mut self, bytes: &[u8]) -> Done<()> {
        let (mut package, mut syntax) = ("", "");
        let mut file = File { proto3: false, comments: HashMap::new() };
        let (mut messages, mut enums, mut services) = (Vec::new(), Vec::new(), Vec::new());
        for (number, value) in records(bytes)? {
            let Value::Bytes(bytes) = value else { continue };
            match number {
                2 => package = text(bytes)?,
                4 => messages.push(bytes),
                5 => enums.push(bytes),
                6 => services.push(bytes),
                9 => file.comments = comments(bytes)?,
                12 => syntax = text(bytes)?,
                _ => {}
            }
        }
        file.proto3 = match syntax {
            "" | "proto2" => false,
            "proto3" => true,
            other => {
                return Err(SchemaError::Unsupported(format!("the syntax {}", crate::fault::quoted(other))));
            }
        };
        for (index, bytes) in enums.into_iter().enumerate() {
            self.enumeration(&file, package, bytes, &[5, index as u32])?;
        }
        for (index, bytes) in messages.into_iter().enumerate() {
            self.message(&file, package, bytes, &[4, index as u32])?;
        }
        for (index, bytes) in services.into_iter().enumerate() {
            self.service(&file, package, bytes, &[6, index as u32])?;
        }
        Ok(())
    }

    fn message(&mut self, file: &File<'_>, scope: &str, bytes: &[u8], at: &[u32]) -> Done<()> {
        if at.len() > WIRE_DEPTH_MAX {
            return Err(SchemaError::Malformed(crate::WireFault::TooDeep));
        }
        let (mut name, mut is_map_entry) = ("", false);
        let (mut fields, mut nested, mut enums, mut oneofs) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, value) in records(bytes)? {
            let Value::Bytes(bytes) = value else { continue };
            match number {
                1 => name = text(bytes)?,
                2 => fields.push(bytes),
                3 => nested.push(bytes),
                4 => enums.push(bytes),
                7 => is_map_entry = records(bytes)?.contains(&(7, Value::Varint(1))),
                8 => oneofs.push(oneof_name(bytes)?),
                _ => {}
            }
        }
        let name = full_name(scope, name);
        let mut drafts = Vec::new();
        for (index, bytes) in fields.into_iter().enumerate() {
            let mut field = FieldDraft::read(bytes, &name)?;
            field.comment = file.comment(&place(at, 2, index));
            drafts.push(field);
        }
        let comment = file.comment(at);
        self.messages.push(assemble(&name, drafts, oneofs, is_map_entry, comment, file.proto3)?);
        for (index, bytes) in enums.into_iter().enumerate() {
            self.enumeration(file, &name, bytes, &place(at, 4, index))?;
        }
        for (index, bytes) in nested.into_iter().enumerate() {
            self.message(file, &name, bytes, &place(at, 3, index))?;
        }
        Ok(())
    }

    fn enumeration(&mut self, file: &File<'_>, scope: &str, bytes: &[u8], at: &[u32]) -> Done<()> {
        let (mut name, mut values) = ("", Vec::new());
        for (number, value) in records(bytes)? {
            match (number, value) {
                (1, Value::Bytes(bytes)) => name = text(bytes)?,
                (2, Value::Bytes(bytes)) => {
                    let comment = file.comment(&place(at, 2, values.len()));
                    values.push(enum_value(bytes, comment)?);
                }
                _ => {}
            }
        }
        let mut by_number: Vec<(i32, u16)> =
            values.iter().zip(0u16..).map(|(v, index)| (v.number, index)).collect();
        by_number.sort();
        by_number.dedup_by_key(|(number, _)| *number);
        let name = full_name(scope, name);
        let is_null = name == "google.protobuf.NullValue";
        self.enums.push(Enum { is_null, name, values, comment: file.comment(at), by_number });
        Ok(())
    }

    fn service(&mut self, file: &File<'_>, scope: &str, bytes: &[u8], at: &[u32]) -> Done<()> {
        let (mut name, mut methods) = ("", Vec::new());
        for (number, value) in records(bytes)? {
            match (number, value) {
                (1, Value::Bytes(bytes)) => name = text(bytes)?,
                (2, Value::Bytes(bytes)) => methods.push(bytes),
                _ => {}
            }
        }
        let name = full_name(scope, name);
        let first = self.methods.len();
        for (index, bytes) in methods.into_iter().enumerate() {
            let (mut method, input, output) = method(bytes, &name)?;
            method.comment = file.comment(&place(at, 2, index));
            self.methods.push((method, input, output));
        }
        self.services.push(Service { name, methods: first..self.methods.len(), comment: file.comment(at) });
        Ok(())
    }

    /// Resolves names to numbers.
    fn finish(self) -> Done<Schema> {
        let mut message_names = HashMap::new();
        for ((message, _), id) in self.messages.iter().zip(0u32..) {
            if message_names.insert(message.name.clone(), MessageId(id)).is_some() {
                return Err(SchemaError::Duplicate(message.name.clone()));
            }
        }
        let mut enum_names = HashMap::new();
        for (e, id) in self.enums.iter().zip(0u32..) {
            if enum_names.insert(e.name.clone(), EnumId(id)).is_some() {
                return Err(SchemaError::Duplicate(e.name.clone()));
            }
        }
        let mut messages = Vec::with_capacity(self.messages.len());
        for (mut message, types) in self.messages {
            resolve(&mut message, &types, &message_names, &enum_names)?;
            messages.push(message);
        }
        let mut methods = Vec::with_capacity(self.methods.len());
        for (mut method, input, output) in self.methods {
            method.input = lookup(&message_names, &input)?;
            method.output = lookup(&message_names, &output)?;
            methods.push(method);
        }
        let method_names =
            methods.iter().enumerate().map(|(index, m)| (m.full_name.clone(), index)).collect();
        let mut schema = Schema {
            messages,
            enums: self.enums,
            services: self.services,
            methods,
            members: Vec::new(),
            message_names,
            method_names,
        };
        mark_maps(&mut schema)?;
        check_well_known(&schema)?;
        schema.members = crate::straight::tables(&schema);
        Ok(schema)
    }
}

fn lookup(names: &HashMap<String, MessageId>, name: &str) -> Done<MessageId> {
    let bare = name.trim_start_matches('.');
    names.get(bare).copied().ok_or_else(|| SchemaError::Unresolved(bare.to_owned()))
}

fn resolve(
    message: &mut Message,
    types: &[String],
    messages: &HashMap<String, MessageId>,
    enums: &HashMap<String, EnumId>,
) -> Done<()> {
    for (field, type_name) in message.fields.iter_mut().zip(types) {
        let bare = type_name.trim_start_matches('.');
        match field.kind {
            Kind::Message(_) => field.kind = Kind::Message(lookup(messages, bare)?),
            Kind::Enum(_) => {
                let found = enums.get(bare).copied();
                field.kind = Kind::Enum(found.ok_or_else(|| SchemaError::Unresolved(bare.to_owned()))?);
            }
            Kind::Double | Kind::Float | Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Fixed64 => {}
            Kind::Fixed32 | Kind::Bool | Kind::String | Kind::Bytes | Kind::Uint32 | Kind::Sfixed32 => {}
            Kind::Sfixed64 | Kind::Sint32 | Kind::Sint64 => {}
        }
    }
    Ok(())
}

/// A repeated field of entry messages is a map.
fn mark_maps(schema: &mut Schema) -> Done<()> {
    let is_entry: Vec<bool> = schema.messages.iter().map(|m| m.is_map_entry).collect();
    for message in &schema.messages {
        let key_and_value =
            message.fields.len() == 2 && message.fields[0].number == 1 && message.fields[1].number == 2;
        if message.is_map_entry && !(key_and_value && is_key(message.fields[0].kind)) {
            return Err(SchemaError::Unsupported(format!("the map entry {}", message.name)));
        }
    }
    for field in schema.messages.iter_mut().flat_map(|m| &mut m.fields) {
        let entry = field.kind.message().filter(|id| is_entry[id.0 as usize]);
        if entry.is_some() && field.is_many() {
            field.cardinality = Cardinality::Map;
        }
    }
    Ok(())
}

fn is_key(kind: Kind) -> bool {
    match kind {
        Kind::Double | Kind::Float | Kind::Bytes | Kind::Message(_) | Kind::Enum(_) => false,
        Kind::Int64
        | Kind::Uint64
        | Kind::Int32
        | Kind::Fixed64
        | Kind::Fixed32
        | Kind::Bool
        | Kind::String => true,
        Kind::Uint32 | Kind::Sfixed32 | Kind::Sfixed64 | Kind::Sint32 | Kind::Sint64 => true,
    }
}

/// Messages with a JSON form of their own are read by field number later, so their fields must be the known ones.
fn check_well_known(schema: &Schema) -> Done<()> {
    for message in &schema.messages {
        let shape: Vec<(u32, u8)> = message.fields.iter().map(|f| (f.number, f.kind.wire_type())).collect();
        let as_expected = match message.shape {
            Shape::Plain => true,
            Shape::Timestamp | Shape::Duration => shape == [(1, 0), (2, 0)],
            Shape::FieldMask => shape == [(1, 2)],
            Shape::Wrapper => {
                matches!(shape[..], [(1, _)]) && !matches!(message.fields[0].kind, Kind::Message(_))
            }
            Shape::Struct => {
                message.fields.iter().all(|f| f.cardinality == Cardinality::Map) && shape == [(1, 2)]
            }
            Shape::Value => shape == [(1, 0), (2, 1), (3, 2), (4, 0), (5, 2), (6, 2)],
            Shape::ListValue => shape == [(1, 2)],
            Shape::Any => shape == [(1, 2), (2, 2)],
        };
        if !as_expected {
            return Err(SchemaError::Unsupported(format!("its own version of {}", message.name)));
        }
    }
    Ok(())
}

fn shape_of(name: &str) -> Shape {
    match name.strip_prefix("google.protobuf.") {
        Some("Timestamp") => Shape::Timestamp,
        Some("Duration") => Shape::Duration,
        Some("FieldMask") => Shape::FieldMask,
        Some("Struct") => Shape::Struct,
        Some("Value") => Shape::Value,
        Some("ListValue") => Shape::ListValue,
        Some("Any") => Shape::Any,
        Some(
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue",
        ) => Shape::Wrapper,
        _ => Shape::Plain,
    }
}

/// A field as the descriptor has it.
#[derive(Default)]
struct FieldDraft {
    name: String,
    json_name: String,
    number: u32,
    label: u64,
    type_number: u64,
    type_name: String,
    oneof: Option<usize>,
    proto3_optional: bool,
    packed: Option<bool>,
    deprecated: bool,
    required: bool,
    example: String,
    comment: String,
}

impl FieldDraft {
    fn read(bytes: &[u8], message: &str) -> Done<Self> {
        let mut field = FieldDraft::default();
        for (number, value) in records(bytes)? {
            match (number, value) {
                (1, Value::Bytes(name)) => field.name = text(name)?.to_owned(),
                (3, Value::Varint(number)) => field.number = u32::try_from(number).unwrap_or(0),
                (4, Value::Varint(label)) => field.label = label,
                (5, Value::Varint(kind)) => field.type_number = kind,
                (6, Value::Bytes(name)) => field.type_name = text(name)?.to_owned(),
                (8, Value::Bytes(options)) => field.options(options)?,
                (9, Value::Varint(index)) => field.oneof = usize::try_from(index).ok(),
                (10, Value::Bytes(name)) => field.json_name = text(name)?.to_owned(),
                (17, Value::Varint(optional)) => field.proto3_optional = optional != 0,
                _ => {}
            }
        }
        if field.json_name.is_empty() {
            field.json_name = camel(&field.name);
        }
        if field.name.is_empty() || field.number == 0 || field.number >= 1 << 29 {
            return Err(SchemaError::Unsupported(format!("a field without name or number in {message}")));
        }
        Ok(field)
    }

    fn options(&mut self, bytes: &[u8]) -> Done<()> {
        for (number, value) in records(bytes)? {
            match (number, value) {
                (2, Value::Varint(packed)) => self.packed = Some(packed != 0),
                (3, Value::Varint(deprecated)) => self.deprecated = deprecated != 0,
                _ => {}
            }
        }
        (self.required, self.example) = field_documentation(bytes)?;
        Ok(())
    }

    fn kind(&self) -> Option<Kind> {
        Some(match self.type_number {
            1 => Kind::Double,
            2 => Kind::Float,
            3 => Kind::Int64,
            4 => Kind::Uint64,
            5 => Kind::Int32,
            6 => Kind::Fixed64,
            7 => Kind::Fixed32,
            8 => Kind::Bool,
            9 => Kind::String,
            11 => Kind::Message(MessageId(0)),
            12 => Kind::Bytes,
            13 => Kind::Uint32,
            14 => Kind::Enum(EnumId(0)),
            15 => Kind::Sfixed32,
            16 => Kind::Sfixed64,
            17 => Kind::Sint32,
            18 => Kind::Sint64,
            _ => return None,
        })
    }

    fn cardinality(&self, kind: Kind, proto3: bool) -> Cardinality {
        let is_message = matches!(kind, Kind::Message(_));
        if self.label == 3 {
            let can_pack = kind.wire_type() != 2;
            return Cardinality::Repeated { packed: can_pack && self.packed.unwrap_or(proto3) };
        }
        if !proto3 || is_message || self.oneof.is_some() {
            Cardinality::Explicit
        } else {
            Cardinality::Implicit
        }
    }
}

/// `unit_price` to `unitPrice`, as protobuf does it.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

fn assemble(
    name: &str,
    mut drafts: Vec<FieldDraft>,
    oneofs: Vec<String>,
    is_map_entry: bool,
    comment: String,
    proto3: bool,
) -> Done<(Message, Vec<String>)> {
    drafts.sort_by_key(|draft| draft.number);
    if u16::try_from(drafts.len()).is_err() {
        return Err(SchemaError::Unsupported(format!("more than 65535 fields in {name}")));
    }
    let mut fields = Vec::with_capacity(drafts.len());
    let mut types = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let kind = draft
            .kind()
            .ok_or_else(|| SchemaError::Unsupported(format!("the type of {name}.{}", draft.name)))?;
        let cardinality = draft.cardinality(kind, proto3);
        let oneof = draft.oneof.filter(|index| !draft.proto3_optional && *index < oneofs.len());
        let mut json_key = Vec::new();
        crate::json::put_json_text(&mut json_key, &draft.json_name);
        json_key.push(b':');
        fields.push(Field {
            name: draft.name,
            json_name: draft.json_name,
            number: draft.number,
            kind,
            cardinality,
            oneof: oneof.map(|index| index as u16),
            deprecated: draft.deprecated,
            required: draft.required,
            example: draft.example,
            comment: draft.comment,
            json_key,
        });
        types.push(draft.type_name);
    }
    let names = names(&fields, name)?;
    let direct = direct(&fields);
    let shape = shape_of(name);
    Ok((
        Message { name: name.to_owned(), fields, oneofs, shape, is_map_entry, comment, names, direct },
        types,
    ))
}

fn names(fields: &[Field], message: &str) -> Done<Vec<(Box<str>, u16)>> {
    let both = fields.iter().zip(0u16..).flat_map(|(f, index)| [(&f.name, index), (&f.json_name, index)]);
    let mut names: Vec<(Box<str>, u16)> = both.map(|(name, index)| (name.as_str().into(), index)).collect();
    names.sort();
    names.dedup();
    match names.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(SchemaError::Duplicate(format!("{message}.{}", pair[0].0))),
        None => Ok(names),
    }
}

fn direct(fields: &[Field]) -> Vec<u16> {
    let last = fields.iter().map(|f| f.number).filter(|n| *n <= DIRECT_NUMBER_MAX).max();
    let mut direct = vec![0; last.map_or(0, |n| n as usize + 1)];
    for (field, index) in fields.iter().zip(1u16..) {
        if let Some(slot) = direct.get_mut(field.number as usize) {
            *slot = index;
        }
    }
    direct
}

fn oneof_name(bytes: &[u8]) -> Done<String> {
    let name = records(bytes)?.into_iter().find_map(|(number, value)| match (number, value) {
        (1, Value::Bytes(name)) => Some(text(name)),
        _ => None,
    });
    Ok(name.transpose()?.unwrap_or_default().to_owned())
}

fn enum_value(bytes: &[u8], comment: String) -> Done<EnumValue> {
    let mut value = EnumValue { name: String::new(), number: 0, http_status: None, comment };
    for (number, field) in records(bytes)? {
        match (number, field) {
            (1, Value::Bytes(name)) => value.name = text(name)?.to_owned(),
            (2, Value::Varint(n)) => value.number = n as i32,
            (3, Value::Bytes(options)) => value.http_status = http_status(options)?,
            _ => {}
        }
    }
    Ok(value)
}

fn method(bytes: &[u8], service: &str) -> Done<(Method, String, String)> {
    let (mut input, mut output) = (String::new(), String::new());
    let mut method = Method {
        name: String::new(),
        full_name: String::new(),
        service: service.to_owned(),
        input: MessageId(0),
        output: MessageId(0),
        client_streaming: false,
        server_streaming: false,
        http: Vec::new(),
        policy: None,
        lifecycle: None,
        raw_body: None,
        idempotency_level: 0,
        deprecated: false,
        comment: String::new(),
    };
    for (number, value) in records(bytes)? {
        match (number, value) {
            (1, Value::Bytes(name)) => method.name = text(name)?.to_owned(),
            (2, Value::Bytes(name)) => input = text(name)?.to_owned(),
            (3, Value::Bytes(name)) => output = text(name)?.to_owned(),
            (4, Value::Bytes(options)) => method_options(options, &mut method)?,
            (5, Value::Varint(n)) => method.client_streaming = n != 0,
            (6, Value::Varint(n)) => method.server_streaming = n != 0,
            _ => {}
        }
    }
    method.full_name = full_name(service, &method.name);
    Ok((method, input, output))
}

/// The comment above each declaration, or else the one behind it.
fn comments(source_info: &[u8]) -> Done<HashMap<Place, &str>> {
    let mut comments = HashMap::new();
    for (number, value) in records(source_info)? {
        let (1, Value::Bytes(location)) = (number, value) else { continue };
        let (mut place, mut leading, mut trailing) = (Place::new(), "", "");
        for (number, value) in records(location)? {
            match (number, value) {
                (1, Value::Bytes(packed)) => {
                    let mut path = Reader::new(packed);
                    while !path.is_empty() {
                        place.push(path.varint()? as u32);
                    }
                }
                (1, Value::Varint(step)) => place.push(step as u32),
                (3, Value::Bytes(comment)) => leading = text(comment)?,
                (4, Value::Bytes(comment)) => trailing = text(comment)?,
                _ => {}
            }
        }
        let comment = if leading.is_empty() { trailing } else { leading };
        if !comment.is_empty() {
            comments.insert(place, comment);
        }
    }
    Ok(comments)
}
