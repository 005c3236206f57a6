//! Words of the catalog that are short plain texts, each with its own form.
use std::fmt;

/// A text that is one of a few bytes that need no escape anywhere.
macro_rules! plain_term {
    ($(#[$doc:meta])* $name:ident, $error:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::plain::NoTerm;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) { Ok(Self(text.into())) } else { Err($crate::domain::plain::NoTerm($error)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::plain::NoTerm;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(term: $name) -> Self {
                term.0.as_ref().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
pub(crate) use plain_term;

/// Why a text is not the wanted term; a sentence part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTerm(pub(crate) &'static str);

impl fmt::Display for NoTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NoTerm {}

/// Lower-case letters, digits and hyphens, at most so many and at least one.
pub(crate) fn is_slug(text: &str, bytes_max: usize) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(plain)
}
