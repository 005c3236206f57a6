//! A personal value as rules and logs may carry it: closed.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::marker::PhantomData;

/// Bytes of a nonce.
const NONCE_BYTES: usize = 12;

/// A personal value of type `T`, encrypted with the key of the person it is about. It can be stored, copied and
/// compared, and says nothing: not in its JSON, not in `Debug`. Who may, opens it with the keys of the store
/// that closed it; once the person's key is destroyed, nobody can.
///
/// ```
/// use souk_kernel::Sealed;
/// let sealed = Sealed::<String>::from_parts("gst_1", [7; 12], vec![1, 2, 3]);
/// assert_eq!(format!("{sealed:?}"), "Sealed(3 bytes of gst_1)");
/// ```
pub struct Sealed<T> {
    person: Box<str>,
    nonce: [u8; NONCE_BYTES],
    ciphertext: Box<[u8]>,
    of: PhantomData<fn() -> T>,
}

impl<T> Sealed<T> {
    /// What somebody with the person's key has encrypted.
    pub fn from_parts(person: &str, nonce: [u8; NONCE_BYTES], ciphertext: Vec<u8>) -> Self {
        Self { person: person.into(), nonce, ciphertext: ciphertext.into(), of: PhantomData }
    }

    /// Whose key opens it: an opaque subject.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// What was used once, for this value.
    pub fn nonce(&self) -> [u8; NONCE_BYTES] {
        self.nonce
    }

    /// The encrypted bytes with their tag.
    pub fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }
}

// By hand: derived ones would demand the same of `T`, which is not in here.
impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self {
            person: self.person.clone(),
            nonce: self.nonce,
            ciphertext: self.ciphertext.clone(),
            of: PhantomData,
        }
    }
}

impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.person, self.nonce, &self.ciphertext) == (&other.person, other.nonce, &other.ciphertext)
    }
}

impl<T> Eq for Sealed<T> {}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes of {})", self.ciphertext.len(), self.person)
    }
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Stored {
    person: String,
    nonce: String,
    ciphertext: String,
}

impl<T> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (nonce, ciphertext) = (hex(&self.nonce), hex(&self.ciphertext));
        Stored { person: self.person.to_string(), nonce, ciphertext }.serialize(s)
    }
}

impl<'de, T> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(d)?;
        let nonce = unhex(&stored.nonce).and_then(|bytes| <[u8; NONCE_BYTES]>::try_from(bytes).ok());
        let nonce = nonce.ok_or_else(|| D::Error::custom("a nonce has 24 hexadecimal digits"))?;
        let ciphertext = unhex(&stored.ciphertext);
        let ciphertext =
            ciphertext.ok_or_else(|| D::Error::custom("a ciphertext is hexadecimal, two digits a byte"))?;
        Ok(Self::from_parts(&stored.person, nonce, ciphertext))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_read_back_and_damage_is_noticed() {
        let sealed = Sealed::<u32>::from_parts("cus_1", [0xab; 12], vec![0, 15, 255]);
        let Stored { person, nonce, ciphertext } = Stored {
            person: sealed.person().into(),
            nonce: hex(&sealed.nonce()),
            ciphertext: hex(&[0, 15, 255]),
        };
        assert_eq!(
            (person.as_str(), nonce.as_str(), ciphertext.as_str()),
            ("cus_1", "abababababababababababab", "000fff")
        );
        assert_eq!(unhex("000fff"), Some(vec![0, 15, 255]));
        for damaged in ["0", "0g", "é", "000"] {
            assert_eq!(unhex(damaged), None, "{damaged}");
        }
        assert_eq!(sealed.clone(), sealed);
        assert_ne!(sealed, Sealed::from_parts("cus_2", [0xab; 12], vec![0, 15, 255]));
    }
}
