//! What an event-sourced state and its stored events are.
use crate::Json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// A state that is a fold over events.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// What happens to it.
    type Event: StoredEvent;
    /// The first part of its streams' names, for example `order`.
    const CATEGORY: &'static str;
    /// Takes in what happened. Never fails and never decides.
    fn evolve(&mut self, event: &Self::Event);
}

/// A private event as it is stored: JSON under a kind and a schema number, which stand beside it and not
/// inside. Implemented by [`stored_events!`](crate::stored_events).
pub trait StoredEvent: Clone + fmt::Debug + Send + Sync + 'static {
    /// The kind, for example `OrderPlaced`.
    fn kind(&self) -> &'static str;
    /// The number of the JSON's shape, counted from 1.
    fn schema(&self) -> u16 {
        1
    }
    /// The event's fields as a JSON object.
    fn to_json(&self) -> String;
    /// Reads a stored event, lifting older shapes to today's.
    fn from_json(kind: &str, schema: u16, json: &str) -> Result<Self, DecodeError>;
    /// Every kind with its current schema number; tests use it to miss none. Empty when it is not known.
    fn kinds() -> &'static [(&'static str, u16)] {
        &[]
    }
}

/// Lifts the JSON of one schema to the next. Pure.
pub type Lift = fn(Json) -> Json;

/// Why a stored event cannot be read. Reading stops there: to skip an event is to invent a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// No event of this kind is known. A newer release may have written it.
    UnknownKind {
        /// The kind that was found.
        kind: String,
    },
    /// The kind is known, this shape of it is not.
    UnknownSchema {
        /// The kind.
        kind: String,
        /// The schema number that was found.
        schema: u16,
        /// The newest one that is known.
        newest: u16,
    },
    /// The JSON does not have the wanted shape.
    Malformed {
        /// The kind.
        kind: String,
        /// The schema number.
        schema: u16,
        /// What the JSON reader said.
        why: String,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::UnknownKind { kind } => {
                write!(f, "the stored event kind {kind} is unknown to this release")
            }
            DecodeError::UnknownSchema { kind, schema, newest } => {
                write!(f, "{kind} is stored with schema {schema}, this release reads 1 to {newest}")
            }
            DecodeError::Malformed { kind, schema, why } => {
                write!(f, "the stored {kind} (schema {schema}) cannot be read: {why}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// The state after `events`, from the beginning.
pub fn fold<'a, A: Aggregate>(events: impl IntoIterator<Item = &'a A::Event>) -> A {
    let mut state = A::default();
    for event in events {
        state.evolve(event);
    }
    state
}

/// Implements [`StoredEvent`] for an enum whose variants each hold one serde struct:
/// the kind is the variant's name, the JSON is the struct.
///
/// A variant states its current schema number and, for each older one, a pure function
/// `fn(Json) -> Json` that lifts that number's JSON to the next number's.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use souk_decider::{stored_events, Json, StoredEvent};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// pub struct Renamed { name: String, by: String }
/// #[derive(Debug, Clone, PartialEq)]
/// pub enum ThingEvent { Renamed(Renamed) }
///
/// /// Schema 1 did not say who did it.
/// fn renamed_1(mut json: Json) -> Json {
///     json["by"] = "unknown".into();
///     json
/// }
/// stored_events!(ThingEvent { Renamed: 2 => { 1 => renamed_1 } });
///
/// let old = ThingEvent::from_json("Renamed", 1, r#"{"name":"x"}"#).expect("readable");
/// assert_eq!(old, ThingEvent::Renamed(Renamed { name: "x".into(), by: "unknown".into() }));
/// assert_eq!(old.schema(), 2);
/// ```
#[macro_export]
macro_rules! stored_events {
    ($event:ident { $( $kind:ident : $schema:literal $( => { $( $from:literal => $lift:path ),+ $(,)? } )? ),+ $(,)? }) => {
        impl $crate::StoredEvent for $event {
            fn kind(&self) -> &'static str {
                match self { $( Self::$kind(_) => stringify!($kind), )+ }
            }
            fn schema(&self) -> u16 {
                match self { $( Self::$kind(_) => $schema, )+ }
            }
            fn to_json(&self) -> String {
                match self { $( Self::$kind(fields) => $crate::__macro::encode(fields), )+ }
            }
            fn from_json(kind: &str, schema: u16, json: &str) -> ::std::result::Result<Self, $crate::DecodeError> {
                match kind {
                    $( stringify!($kind) => {
                        let lifts: &[(u16, $crate::Lift)] = &[ $( $( ($from, $lift), )+ )? ];
                        $crate::__macro::decode(kind, schema, $schema, lifts, json).map(Self::$kind)
                    } )+
                    _ => Err($crate::DecodeError::UnknownKind { kind: kind.to_owned() }),
                }
            }
            fn kinds() -> &'static [(&'static str, u16)] {
                &[ $( (stringify!($kind), $schema), )+ ]
            }
        }
    };
}

/// The JSON of an event's fields. Used by the macro.
pub fn encode<T: Serialize>(fields: &T) -> String {
    serde_json::to_string(fields).expect("an event holds plain fields with text keys: its JSON cannot fail")
}

/// Reads an event's fields, lifting them step by step when the JSON is older. Used by the macro.
pub fn decode<T: DeserializeOwned>(
    kind: &str,
    schema: u16,
    newest: u16,
    lifts: &[(u16, Lift)],
    json: &str,
) -> Result<T, DecodeError> {
    let malformed =
        |e: serde_json::Error| DecodeError::Malformed { kind: kind.to_owned(), schema, why: e.to_string() };
    if schema == newest {
        return serde_json::from_str(json).map_err(malformed);
    }
    let unknown = || DecodeError::UnknownSchema { kind: kind.to_owned(), schema, newest };
    if schema == 0 || schema > newest {
        return Err(unknown());
    }
    let mut value: Json = serde_json::from_str(json).map_err(malformed)?;
    for step in schema..newest {
        let (_, lift) = lifts.iter().find(|(from, _)| *from == step).ok_or_else(unknown)?;
        value = lift(value);
    }
    serde_json::from_value(value).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Counted {
        by: i64,
        why: String,
        loud: bool,
    }
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Cleared {}

    #[derive(Debug, Clone, PartialEq)]
    pub enum CounterEvent {
        Counted(Counted),
        Cleared(Cleared),
    }
    stored_events!(CounterEvent { Counted: 3 => { 1 => counted_1, 2 => counted_2 }, Cleared: 1 });

    fn counted_1(mut json: Json) -> Json {
        json["why"] = "unknown".into();
        json
    }

    fn counted_2(mut json: Json) -> Json {
        json["loud"] = false.into();
        json
    }

    #[test]
    fn an_event_survives_its_stored_form_and_holds_only_its_fields() {
        let event = CounterEvent::Counted(Counted { by: 2, why: "test".into(), loud: true });
        assert_eq!(event.to_json(), r#"{"by":2,"why":"test","loud":true}"#);
        assert_eq!(CounterEvent::from_json(event.kind(), event.schema(), &event.to_json()), Ok(event));
        assert_eq!(CounterEvent::Cleared(Cleared {}).to_json(), "{}");
        assert_eq!(CounterEvent::kinds(), [("Counted", 3), ("Cleared", 1)]);
    }

    #[test]
    fn every_older_schema_is_lifted_step_by_step() {
        let counted = |why: &str| Ok(CounterEvent::Counted(Counted { by: 1, why: why.into(), loud: false }));
        assert_eq!(CounterEvent::from_json("Counted", 1, r#"{"by":1}"#), counted("unknown"));
        assert_eq!(CounterEvent::from_json("Counted", 2, r#"{"by":1,"why":"known"}"#), counted("known"));
    }

    #[test]
    fn what_is_not_known_is_an_error_and_never_skipped() {
        let unknown = CounterEvent::from_json("Burnt", 1, "{}");
        assert_eq!(unknown, Err(DecodeError::UnknownKind { kind: "Burnt".into() }));
        for schema in [0, 4] {
            let newer = CounterEvent::from_json("Counted", schema, "{}");
            assert_eq!(newer, Err(DecodeError::UnknownSchema { kind: "Counted".into(), schema, newest: 3 }));
        }
        let malformed = CounterEvent::from_json("Counted", 3, "{}").expect_err("a field is missing");
        assert!(malformed.to_string().contains("`by`"), "{malformed}");
    }
}
