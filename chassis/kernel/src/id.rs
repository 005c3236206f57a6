//! Typed ids in the TypeID form: a prefix that names the kind, an underscore, and a UUIDv7 in Crockford
//! base32 (26 characters). `ord_01j…` cannot be passed where `qte_…` is wanted.
use std::fmt;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 128 bits that name one thing (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Version 7: 48 bits of Unix milliseconds, then random bits.
    pub fn v7(unix_ms: i64, random: [u8; 10]) -> Self {
        let ms = unix_ms.max(0).to_be_bytes();
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&ms[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// A UUID made of the given bytes, for ids that are derived from others by a hash.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 26 characters of Crockford base32 (lower case), as TypeID 0.3 writes them.
    pub fn to_base32(self) -> String {
        let mut rest = u128::from_be_bytes(self.0);
        let mut text = [0u8; 26];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        text.iter().map(|b| char::from(*b)).collect()
    }

    /// Reads what [`Uuid::to_base32`] wrote; `None` for another length, a foreign character or an overflow.
    pub fn from_base32(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 26 || bytes[0] > b'7' {
            return None;
        }
        let mut value = 0u128;
        for b in bytes {
            let digit = ALPHABET.iter().position(|a| a == b)?;
            value = (value << 5) | digit as u128;
        }
        Some(Self(value.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base32())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An id of one kind. Implemented by [`typed_id!`](crate::typed_id).
pub trait TypeId: Sized {
    /// The kind's prefix, without the underscore.
    const PREFIX: &'static str;
    /// Wraps a UUID.
    fn from_uuid(uuid: Uuid) -> Self;
    /// The UUID inside.
    fn uuid(&self) -> Uuid;
}

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError {
    /// The prefix that was wanted.
    pub wanted: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be an id of the form {}_ followed by 26 base32 characters", self.wanted)
    }
}

impl std::error::Error for ParseIdError {}

/// Declares an id type: `typed_id!(/// One order. OrderId, "ord");`
#[macro_export]
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($crate::Uuid);

        impl $crate::TypeId for $name {
            const PREFIX: &'static str = $prefix;
            fn from_uuid(uuid: $crate::Uuid) -> Self {
                Self(uuid)
            }
            fn uuid(&self) -> $crate::Uuid {
                self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}_{}", $prefix, self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then($crate::Uuid::from_base32)
                    .map(Self)
                    .ok_or($crate::ParseIdError { wanted: $prefix })
            }
        }

        impl $crate::__serde::Serialize for $name {
            fn serialize<S: $crate::__serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> $crate::__serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as $crate::__serde::Deserialize>::deserialize(d)?;
                text.parse().map_err($crate::__serde::de::Error::custom)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    crate::typed_id!(
        /// For tests.
        ThingId,
        "thg"
    );

    #[test]
    fn an_id_survives_its_text_form() {
        let id = ThingId::from_uuid(Uuid::v7(1_700_000_000_000, [0xab; 10]));
        assert_eq!(id.to_string().len(), 3 + 1 + 26);
        assert_eq!(id.to_string().parse::<ThingId>(), Ok(id));
    }

    #[test]
    fn a_foreign_prefix_an_overflow_and_upper_case_are_refused() {
        let good = ThingId::from_uuid(Uuid::v7(1, [1; 10])).to_string();
        for bad in [
            good.replace("thg", "ord"),
            good.to_uppercase(),
            format!("thg_8{}", "0".repeat(25)),
            String::new(),
        ] {
            assert!(bad.parse::<ThingId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_typeid_specification_vector_holds() {
        // TypeID 0.3, valid.yml, "valid-uuidv7".
        let bytes = 0x0189_0a5d_ac96_774b_bcce_b302_099a_8057_u128.to_be_bytes();
        assert_eq!(Uuid::from_bytes(bytes).to_base32(), "01h455vb4pex5vsknk084sn02q");
    }
}
