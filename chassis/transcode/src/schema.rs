//! The tables that a descriptor set is compiled to: messages with their fields, enums, services with their
//! methods and the options that say how a method is exposed.
use crate::straight::Member;
use crate::wire::WireFault;
use std::collections::HashMap;
use std::fmt;

/// Everything a face needs to know about an API.
#[derive(Debug)]
pub struct Schema {
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) services: Vec<Service>,
    pub(crate) methods: Vec<Method>,
    pub(crate) members: Vec<Box<[Member]>>,
    pub(crate) message_names: HashMap<String, MessageId>,
    pub(crate) method_names: HashMap<String, usize>,
}

/// Names one message of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(crate) u32);

/// Names one enum of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub(crate) u32);

/// Why bytes cannot be compiled to a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaError {
    /// The bytes are not protobuf.
    Malformed(WireFault),
    /// Something is named that the set does not define.
    Unresolved(String),
    /// Something is defined twice.
    Duplicate(String),
    /// Something that this reader does not support: groups, extensions ranges used as fields, editions.
    Unsupported(String),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaError::Malformed(_) => f.write_str("the descriptor set is not well formed"),
            SchemaError::Unresolved(name) => write!(f, "the descriptor set does not define {name}"),
            SchemaError::Duplicate(name) => write!(f, "the descriptor set defines {name} twice"),
            SchemaError::Unsupported(what) => {
                write!(f, "the descriptor set uses {what}, which is not supported")
            }
        }
    }
}

impl std::error::Error for SchemaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SchemaError::Malformed(fault) => Some(fault),
            SchemaError::Unresolved(_) | SchemaError::Duplicate(_) | SchemaError::Unsupported(_) => None,
        }
    }
}

/// A message type.
#[derive(Debug)]
pub struct Message {
    /// The full name, for example `souk.order.v1.PlaceOrderRequest`.
    pub name: String,
    /// The fields in the order of their numbers.
    pub fields: Vec<Field>,
    /// The names of the `oneof`s; those that only mark an optional field are not listed.
    pub oneofs: Vec<String>,
    /// Whether JSON has an own form for it.
    pub shape: Shape,
    /// Whether this is the entry type of a map field.
    pub is_map_entry: bool,
    /// What the proto file says above it.
    pub comment: String,
    /// JSON names and proto names, sorted, with the field's index.
    pub(crate) names: Vec<(Box<str>, u16)>,
    /// Field number to index plus one, for numbers below its length; 0 for none.
    pub(crate) direct: Vec<u16>,
}

/// One field of a message.
#[derive(Debug, Clone)]
pub struct Field {
    /// The proto name: `unit_price`.
    pub name: String,
    /// The JSON name: `unitPrice`.
    pub json_name: String,
    /// The number on the wire.
    pub number: u32,
    /// The type of one value.
    pub kind: Kind,
    /// How many values there may be.
    pub cardinality: Cardinality,
    /// The index in [`Message::oneofs`] of the `oneof` this belongs to.
    pub oneof: Option<u16>,
    /// Whether the proto file marks it deprecated.
    pub deprecated: bool,
    /// Whether the contract says that a request is refused without it. Documentation: nothing is checked here.
    pub required: bool,
    /// A value for examples, as the contract has it; empty for none.
    pub example: String,
    /// What the proto file says above it.
    pub comment: String,
    /// `"unitPrice":`, as it is written.
    pub(crate) json_key: Vec<u8>,
}

/// How many values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// One, and the default value means that it is absent.
    Implicit,
    /// One or none, and the two can be told apart.
    Explicit,
    /// A list.
    Repeated {
        /// Whether numbers are written packed.
        packed: bool,
    },
    /// A map; the field's kind is the entry message.
    Map,
}

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are protobuf's own")]
pub enum Kind {
    Double,
    Float,
    Int64,
    Uint64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    Message(MessageId),
    Bytes,
    Uint32,
    Enum(EnumId),
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
}

/// Whether a message is written to JSON field by field or in a form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the well-known types")]
pub enum Shape {
    /// An object with a member per field.
    Plain,
    Timestamp,
    Duration,
    FieldMask,
    /// `BoolValue`, `Int64Value` and so on: the bare value.
    Wrapper,
    Struct,
    Value,
    ListValue,
    /// Not supported in JSON: its content is not known beforehand.
    Any,
}

/// An enum type.
#[derive(Debug)]
pub struct Enum {
    /// The full name.
    pub name: String,
    /// The values in declared order.
    pub values: Vec<EnumValue>,
    /// What the proto file says above it.
    pub comment: String,
    /// Whether this is `google.protobuf.NullValue`, which JSON writes as `null`.
    pub(crate) is_null: bool,
    /// The first value's index for each number, sorted by number.
    pub(crate) by_number: Vec<(i32, u16)>,
}

/// One value of an enum.
#[derive(Debug)]
pub struct EnumValue {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: i32,
    /// The HTTP status that a reason of this name is answered with, if the option is set.
    pub http_status: Option<u16>,
    /// What the proto file says above it.
    pub comment: String,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// The full name: `souk.order.v1.OrderService`.
    pub name: String,
    /// The range of its methods, see [`Schema::methods_of`].
    pub(crate) methods: std::ops::Range<usize>,
    /// What the proto file says above it.
    pub comment: String,
}

/// A method and its public policy.
#[derive(Debug)]
pub struct Method {
    /// Its own name: `PlaceOrder`.
    pub name: String,
    /// With its service: `souk.order.v1.OrderService.PlaceOrder`.
    pub full_name: String,
    /// Its service's full name.
    pub service: String,
    /// The request.
    pub input: MessageId,
    /// The response, or one item of the response stream.
    pub output: MessageId,
    /// Whether the client sends a stream.
    pub client_streaming: bool,
    /// Whether the server answers a stream.
    pub server_streaming: bool,
    /// Its addresses, the primary one first.
    pub http: Vec<HttpRule>,
    /// Who may call it and how, if the option is set.
    pub policy: Option<Policy>,
    /// When it goes away, if the option is set.
    pub lifecycle: Option<Lifecycle>,
    /// How the body of a request is passed on as it comes, if the option is set.
    pub raw_body: Option<RawBody>,
    /// Whether the standard option says that it has no side effects (1) or may be repeated (2).
    pub idempotency_level: u32,
    /// Whether the proto file marks it deprecated.
    pub deprecated: bool,
    /// What the proto file says above it.
    pub comment: String,
}

/// One HTTP address of a method (google.api.http).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    /// `GET`, `POST` and so on, upper case.
    pub verb: String,
    /// `/api/v1/orders/{order_id}:cancel`.
    pub template: String,
    /// Which part of the request the body is.
    pub body: Body,
    /// The field of the response that is the answer's body; all of it when `None`.
    pub response_body: Option<String>,
}

/// Which part of a request message an HTTP body carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// There is no body; what the path does not say stands in the query.
    None,
    /// All fields that the path does not say.
    Whole,
    /// This field; the others stand in the query.
    Field(String),
}

/// The policy option, with protobuf's defaults where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who may call.
    pub auth: Auth,
    /// Staff roles.
    pub roles: Vec<String>,
    /// Services that may call.
    pub callers: Vec<String>,
    /// The class of rate limit.
    pub rate_class: String,
    /// Whether calls carry a key.
    pub idempotency: Idempotency,
    /// The longest a call may take; 0 for the default.
    pub timeout_ms: u32,
    /// The status of a good answer; 0 for 200.
    pub success_status: u16,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nothing is said: nobody should be admitted.
    #[default]
    Unspecified,
    /// Everybody, without a token.
    Public,
    /// Whoever has a token.
    Token,
    /// Staff.
    Staff,
    /// Services.
    Service,
}

/// Whether calls of a method carry an idempotency key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing is said.
    #[default]
    Unspecified,
    /// The method needs none.
    None,
    /// A key is honoured.
    Optional,
    /// A call without a key is refused.
    Required,
}

/// The option for bodies that are passed on as they come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawBody {
    /// The field that the headers go into; empty for none.
    pub headers_field: String,
    /// The headers that are passed on.
    pub headers: Vec<String>,
    /// The largest body; 0 for the usual limit.
    pub bytes_max: u32,
}

/// The lifecycle option. Times are RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Since when a successor should be used.
    pub deprecated_at: String,
    /// When it stops answering.
    pub sunset_at: String,
    /// The path to use instead.
    pub successor: String,
}

impl Schema {
    /// Compiles the bytes of a `google.protobuf.FileDescriptorSet`, extensions included.
    pub fn from_bytes(descriptor_set: &[u8]) -> Result<Schema, SchemaError> {
        crate::descriptor::compile(descriptor_set)
    }

    /// The services, in the order of the set.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The methods of `service`, in declared order.
    pub fn methods_of(&self, service: &Service) -> &[Method] {
        &self.methods[service.methods.clone()]
    }

    /// All methods of all services.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The method `souk.order.v1.OrderService.PlaceOrder`.
    pub fn method(&self, full_name: &str) -> Option<&Method> {
        self.method_names.get(full_name).map(|index| &self.methods[*index])
    }

    /// The message `souk.order.v1.Order`.
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.message_names.get(full_name).copied()
    }

    /// The table of a message.
    pub fn get(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    /// What is written for the fields of a message.
    pub(crate) fn members(&self, id: MessageId) -> &[Member] {
        &self.members[id.0 as usize]
    }

    /// The table of an enum.
    pub fn get_enum(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }

    /// All messages.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// All enums.
    pub fn enums(&self) -> &[Enum] {
        &self.enums
    }

    /// The values of every enum named `Reason`: what may go wrong, and the status it is answered with.
    pub fn reasons(&self) -> impl Iterator<Item = &EnumValue> {
        let reasons = self.enums.iter().filter(|e| e.name.rsplit('.').next() == Some("Reason"));
        reasons.flat_map(|e| &e.values)
    }

    /// The values of the enum `Reason` in the package of `service`: why it refuses.
    pub fn reasons_of(&self, service: &Service) -> &[EnumValue] {
        let package = service.name.strip_suffix(service.short_name()).unwrap_or_default();
        let reasons = self.enums.iter().find(|e| e.name.strip_prefix(package) == Some("Reason"));
        reasons.map_or(&[], |e| &e.values)
    }
}

impl Service {
    /// The name without its package: `OrderService`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

impl Enum {
    /// The name without its package.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

impl Message {
    /// The name without its package.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The field with this JSON name or proto name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.index_of(name).map(|index| &self.fields[usize::from(index)])
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u16> {
        let found = self.names.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(self.names[found].1)
    }

    /// The index of the field with this number on the wire.
    pub(crate) fn index_of_number(&self, number: u32) -> Option<u16> {
        match self.direct.get(number as usize) {
            Some(0) => None,
            Some(index) => Some(index - 1),
            None => self.fields.binary_search_by_key(&number, |f| f.number).ok().map(|index| index as u16),
        }
    }
}

impl Enum {
    /// The name of the value with this number.
    pub fn name_of(&self, number: i32) -> Option<&str> {
        // Most enums count from zero without gaps.
        let guess = usize::try_from(number)
            .ok()
            .filter(|at| self.by_number.get(*at).is_some_and(|(n, _)| *n == number));
        let search = || self.by_number.binary_search_by_key(&number, |(n, _)| *n).ok();
        let found = guess.or_else(search)?;
        Some(&self.values[usize::from(self.by_number[found].1)].name)
    }

    /// The number of the value with this name.
    pub fn number_of(&self, name: &str) -> Option<i32> {
        self.values.iter().find(|value| value.name == name).map(|value| value.number)
    }
}

impl Field {
    /// Whether the field is a list or a map.
    pub fn is_many(&self) -> bool {
        match self.cardinality {
            Cardinality::Repeated { .. } | Cardinality::Map => true,
            Cardinality::Implicit | Cardinality::Explicit => false,
        }
    }
}

impl Kind {
    /// The message, if this is one.
    pub fn message(self) -> Option<MessageId> {
        if let Kind::Message(id) = self { Some(id) } else { None }
    }

    /// The enum, if this is one.
    pub fn enumeration(self) -> Option<EnumId> {
        if let Kind::Enum(id) = self { Some(id) } else { None }
    }

    /// The wire type of one value.
    pub(crate) fn wire_type(self) -> u8 {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
            Kind::String | Kind::Message(_) | Kind::Bytes => 2,
            Kind::Int64
            | Kind::Uint64
            | Kind::Int32
            | Kind::Bool
            | Kind::Uint32
            | Kind::Enum(_)
            | Kind::Sint32
            | Kind::Sint64 => 0,
        }
    }
}
