//! A ready-made decider for things that are documents: they are created, replaced as a whole and retired,
//! and have no rules of their own beyond that.
use crate::{Aggregate, DecodeError, Lift, StoredEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use souk_kernel::{Code, Rejection};
use std::fmt::Debug;

/// What can be kept as a [`Record`].
pub trait Document: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static {
    /// The prefix of its events' kinds: `Product` gives `ProductCreated`, `ProductReplaced`, `ProductRetired`.
    const NAME: &'static str;
    /// The first part of its streams' names, for example `product`.
    const CATEGORY: &'static str;
    /// The number of its JSON's shape.
    const SCHEMA: u16 = 1;
    /// For each older shape its number and the function that lifts it to the next.
    const LIFTS: &'static [(u16, Lift)] = &[];
}

/// A document's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Record<T> {
    /// It was never created.
    #[default]
    Absent,
    /// It is there.
    Present {
        /// The document as it is now.
        document: T,
        /// How many events made it: 1 after the creation. This is what [`RecordCommand::Replace`] expects.
        version: u64,
    },
    /// It was retired and stays so.
    Retired {
        /// The document as it last was.
        last: T,
        /// How many events made it.
        version: u64,
    },
}

/// What happened to a document.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordEvent<T> {
    /// It came to be.
    Created(T),
    /// It was replaced as a whole.
    Replaced(T),
    /// It is no longer offered.
    Retired,
}

/// What can be wanted of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordCommand<T> {
    /// Create it. Saying the same twice is fine.
    Create(T),
    /// Replace it as a whole.
    Replace {
        /// The version that the caller saw (an ETag); `None` replaces whatever is there.
        expected: Option<u64>,
        /// The new document.
        document: T,
    },
    /// Retire it. Saying so twice is fine.
    Retire,
}

impl<T: Document> Record<T> {
    /// The document, unless it is absent or retired.
    pub fn document(&self) -> Option<&T> {
        match self {
            Record::Present { document, .. } => Some(document),
            Record::Absent | Record::Retired { .. } => None,
        }
    }

    /// How many events made it; 0 when it is absent.
    pub fn version(&self) -> u64 {
        match self {
            Record::Absent => 0,
            Record::Present { version, .. } | Record::Retired { version, .. } => *version,
        }
    }

    /// What `command` makes happen.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `NOT_FOUND`, `RETIRED` or `VERSION_MISMATCH` (the caller saw an older version).
    pub fn decide(&self, command: RecordCommand<T>) -> Result<Vec<RecordEvent<T>>, Rejection> {
        match command {
            RecordCommand::Create(document) => self.create(document),
            RecordCommand::Replace { expected, document } => self.replace(expected, document),
            RecordCommand::Retire => self.retire(),
        }
    }

    fn create(&self, wanted: T) -> Result<Vec<RecordEvent<T>>, Rejection> {
        match self {
            Record::Absent => Ok(vec![RecordEvent::Created(wanted)]),
            Record::Present { document, .. } if *document == wanted => Ok(Vec::new()),
            Record::Present { .. } => {
                let message = format!("{} exists already with other content", T::NAME);
                Err(Rejection::new("ALREADY_EXISTS", message).code(Code::AlreadyExists))
            }
            Record::Retired { .. } => Err(Self::retired()),
        }
    }

    fn replace(&self, expected: Option<u64>, wanted: T) -> Result<Vec<RecordEvent<T>>, Rejection> {
        match self {
            Record::Absent => Err(Self::not_found()),
            Record::Retired { .. } => Err(Self::retired()),
            Record::Present { version, .. } if expected.is_some_and(|e| e != *version) => {
                let message =
                    format!("{} has changed since you read it: it is at version {version}", T::NAME);
                Err(Rejection::new("VERSION_MISMATCH", message).code(Code::Aborted).with("version", version))
            }
            Record::Present { document, .. } if *document == wanted => Ok(Vec::new()),
            Record::Present { .. } => Ok(vec![RecordEvent::Replaced(wanted)]),
        }
    }

    fn retire(&self) -> Result<Vec<RecordEvent<T>>, Rejection> {
        match self {
            Record::Absent => Err(Self::not_found()),
            Record::Present { .. } => Ok(vec![RecordEvent::Retired]),
            Record::Retired { .. } => Ok(Vec::new()),
        }
    }

    fn not_found() -> Rejection {
        Rejection::new("NOT_FOUND", format!("{} was not found", T::NAME)).code(Code::NotFound)
    }

    fn retired() -> Rejection {
        Rejection::new("RETIRED", format!("{} is retired", T::NAME))
    }
}

impl<T: Document> Aggregate for Record<T> {
    type Event = RecordEvent<T>;
    const CATEGORY: &'static str = T::CATEGORY;

    fn evolve(&mut self, event: &RecordEvent<T>) {
        let version = self.version() + 1;
        *self = match (event, std::mem::take(self)) {
            (RecordEvent::Created(document) | RecordEvent::Replaced(document), _) => {
                Record::Present { document: document.clone(), version }
            }
            (RecordEvent::Retired, Record::Present { document: last, .. } | Record::Retired { last, .. }) => {
                Record::Retired { last, version }
            }
            (RecordEvent::Retired, Record::Absent) => Record::Absent,
        };
    }
}

impl<T: Document> StoredEvent for RecordEvent<T> {
    fn kind(&self) -> &'static str {
        match self {
            RecordEvent::Created(_) => Kinds::<T>::CREATED,
            RecordEvent::Replaced(_) => Kinds::<T>::REPLACED,
            RecordEvent::Retired => Kinds::<T>::RETIRED,
        }
    }

    fn schema(&self) -> u16 {
        match self {
            RecordEvent::Created(_) | RecordEvent::Replaced(_) => T::SCHEMA,
            RecordEvent::Retired => 1,
        }
    }

    fn to_json(&self) -> String {
        match self {
            RecordEvent::Created(document) | RecordEvent::Replaced(document) => {
                crate::event::encode(document)
            }
            RecordEvent::Retired => "{}".to_owned(),
        }
    }

    fn from_json(kind: &str, schema: u16, json: &str) -> Result<Self, DecodeError> {
        let document = || crate::event::decode(kind, schema, T::SCHEMA, T::LIFTS, json);
        if kind == Kinds::<T>::CREATED {
            document().map(RecordEvent::Created)
        } else if kind == Kinds::<T>::REPLACED {
            document().map(RecordEvent::Replaced)
        } else if kind == Kinds::<T>::RETIRED {
            Ok(RecordEvent::Retired)
        } else {
            Err(DecodeError::UnknownKind { kind: kind.to_owned() })
        }
    }

    fn kinds() -> &'static [(&'static str, u16)] {
        Kinds::<T>::ALL
    }
}

/// The kinds of `T`'s events, joined from its name by the compiler.
struct Kinds<T>(std::marker::PhantomData<T>);

impl<T: Document> Kinds<T> {
    const CREATED_TEXT: Joined = Joined::of(T::NAME, "Created");
    const REPLACED_TEXT: Joined = Joined::of(T::NAME, "Replaced");
    const RETIRED_TEXT: Joined = Joined::of(T::NAME, "Retired");
    const CREATED: &'static str = Self::CREATED_TEXT.text();
    const REPLACED: &'static str = Self::REPLACED_TEXT.text();
    const RETIRED: &'static str = Self::RETIRED_TEXT.text();
    const ALL: &'static [(&'static str, u16)] =
        &[(Self::CREATED, T::SCHEMA), (Self::REPLACED, T::SCHEMA), (Self::RETIRED, 1)];
}

/// The longest kind that can be joined.
const KIND_BYTES_MAX: usize = 64;

/// Two texts, one after the other, in a constant.
struct Joined {
    bytes: [u8; KIND_BYTES_MAX],
    length: usize,
}

impl Joined {
    const fn of(first: &str, second: &str) -> Self {
        let (a, b) = (first.as_bytes(), second.as_bytes());
        assert!(a.len() + b.len() <= KIND_BYTES_MAX, "the document's name is too long for an event kind");
        let mut bytes = [0u8; KIND_BYTES_MAX];
        let mut i = 0;
        while i < a.len() + b.len() {
            bytes[i] = if i < a.len() { a[i] } else { b[i - a.len()] };
            i += 1;
        }
        Self { bytes, length: a.len() + b.len() }
    }

    const fn text(&'static self) -> &'static str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(text) => text,
            Err(_) => panic!("two texts joined at their ends are a text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Given;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }
    impl Document for Note {
        const NAME: &'static str = "Note";
        const CATEGORY: &'static str = "note";
    }

    fn note(text: &str) -> Note {
        Note { text: text.into() }
    }

    fn given(
        events: Vec<RecordEvent<Note>>,
        command: RecordCommand<Note>,
    ) -> crate::testing::Outcome<Record<Note>, Rejection> {
        Given::events(events).when(|record: &Record<Note>| record.decide(command))
    }

    #[test]
    fn creating_happens_once_and_repeats_quietly() {
        let created = || vec![RecordEvent::Created(note("a"))];
        given(vec![], RecordCommand::Create(note("a"))).then(created());
        given(created(), RecordCommand::Create(note("a"))).then_nothing();
        given(created(), RecordCommand::Create(note("b"))).then_rejects("ALREADY_EXISTS");
        given(vec![RecordEvent::Created(note("a")), RecordEvent::Retired], RecordCommand::Create(note("a")))
            .then_rejects("RETIRED");
    }

    #[test]
    fn replacing_checks_the_version_that_the_caller_saw() {
        let replace = |expected, text| RecordCommand::Replace { expected, document: note(text) };
        let twice = || vec![RecordEvent::Created(note("a")), RecordEvent::Replaced(note("b"))];
        given(twice(), replace(Some(2), "c")).then(vec![RecordEvent::Replaced(note("c"))]);
        given(twice(), replace(None, "c")).then(vec![RecordEvent::Replaced(note("c"))]);
        given(twice(), replace(Some(1), "c")).then_rejects("VERSION_MISMATCH");
        given(twice(), replace(Some(2), "b")).then_nothing();
        given(vec![], replace(None, "c")).then_rejects("NOT_FOUND");
    }

    #[test]
    fn retiring_happens_once_and_repeats_quietly() {
        given(vec![RecordEvent::Created(note("a"))], RecordCommand::Retire).then(vec![RecordEvent::Retired]);
        given(vec![RecordEvent::Created(note("a")), RecordEvent::Retired], RecordCommand::Retire)
            .then_nothing();
        given(vec![], RecordCommand::Retire).then_rejects("NOT_FOUND");
    }

    #[test]
    fn kinds_carry_the_documents_name_and_survive_storage() {
        for event in [RecordEvent::Created(note("a")), RecordEvent::Replaced(note("b")), RecordEvent::Retired]
        {
            assert!(event.kind().starts_with("Note"), "{}", event.kind());
            assert_eq!(RecordEvent::from_json(event.kind(), event.schema(), &event.to_json()), Ok(event));
        }
        assert_eq!(RecordEvent::<Note>::kinds()[0], ("NoteCreated", 1));
        assert!(RecordEvent::<Note>::from_json("OtherCreated", 1, "{}").is_err());
    }
}
