//! The names of streams and commits, and places in the log.
use souk_decider::Aggregate;
use souk_kernel::Uuid;
use std::fmt;
use std::sync::Arc;

/// The name of a stream: a category and an id, as in `order/ord_01j…`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The stream of the `A` with this id.
    pub fn of<A: Aggregate>(id: impl fmt::Display) -> Self {
        Self::new(A::CATEGORY, id)
    }

    /// The stream with this category and id.
    ///
    /// # Panics
    /// When the category is empty or holds a `/`: it is a constant of ours.
    pub fn new(category: &str, id: impl fmt::Display) -> Self {
        assert!(!category.is_empty() && !category.contains('/'), "a category is a plain word: {category:?}");
        Self(format!("{category}/{id}").into())
    }

    /// Reads the text form; `None` without a category.
    pub fn parse(text: &str) -> Option<Self> {
        text.split_once('/').filter(|(category, _)| !category.is_empty()).map(|_| Self(text.into()))
    }

    pub(crate) fn from_stored(text: Arc<str>) -> Self {
        Self(text)
    }

    /// The part before the first `/`.
    pub fn category(&self) -> &str {
        self.0.split_once('/').map_or("", |(category, _)| category)
    }

    /// The part after the first `/`.
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, id)| id)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl From<&StreamId> for StreamId {
    fn from(stream: &StreamId) -> Self {
        stream.clone()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a commit. The same id gives the same answer, whoever asks again and however often.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(Arc<str>);

impl CommitId {
    /// A fresh id.
    pub fn new(uuid: Uuid) -> Self {
        Self(uuid.to_base32().into())
    }

    /// An id that is the same whenever the parts are: for what may be tried again by somebody else.
    pub fn derived(parts: &[&str]) -> Self {
        let escaped: Vec<String> =
            parts.iter().map(|part| part.replace('%', "%25").replace('/', "%2F")).collect();
        Self(escaped.join("/").into())
    }

    pub(crate) fn from_stored(text: Arc<str>) -> Self {
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in the log. The first event has position 1; there are no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position(pub(crate) u64);

impl Position {
    /// Before the first event.
    pub const START: Position = Position(0);

    /// The place of the `number`th event.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// How many events there are up to here.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_a_category_and_an_id_that_may_hold_slashes() {
        let stream = StreamId::new("stock", "leeds/SKU/1");
        assert_eq!((stream.category(), stream.id()), ("stock", "leeds/SKU/1"));
        assert_eq!(StreamId::parse(stream.as_str()), Some(stream));
        assert_eq!(StreamId::parse("nothing"), None);
        assert_eq!(StreamId::parse("/x"), None);
    }

    #[test]
    fn derived_ids_of_different_parts_differ() {
        assert_eq!(CommitId::derived(&["a", "b"]), CommitId::derived(&["a", "b"]));
        assert_ne!(CommitId::derived(&["a/b", "c"]), CommitId::derived(&["a", "b/c"]));
        assert_ne!(CommitId::derived(&["a%2Fb"]), CommitId::derived(&["a/b"]));
    }
}
