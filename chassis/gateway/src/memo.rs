//! Remembers the JSON form of answers. It follows from the protobuf bytes alone, so what was made once of the same
//! bytes of the same method is right for ever: nothing expires, nothing can be stale, and nobody is shown what was
//! not answered to them. A shop window asks for the same pages again and again, and writing a large page as JSON
//! costs more than everything else that the gateway does for it.
//!
//! Deliberately not here: any decision whether the service is asked. It always is.
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// Shorter answers are written faster than they are looked up.
const PROTO_BYTES_MIN: usize = 2 * 1024;
/// Longer ones are not kept: with [`SLOTS`] of them, this bounds the memory to 8 MiB.
const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// A power of two.
const SLOTS: usize = 32;

/// A few answers with their JSON forms. Each has one place, by its bytes, and gives way to the next that wants it.
pub(crate) struct Memo {
    slots: [Mutex<Option<Entry>>; SLOTS],
}

struct Entry {
    endpoint: usize,
    proto: Bytes,
    json: Bytes,
}

/// Where an answer belongs.
pub(crate) struct Place(usize);

impl Memo {
    pub(crate) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The place of this answer, if it is of a size that pays.
    pub(crate) fn place(proto: &[u8]) -> Option<Place> {
        let pays = (PROTO_BYTES_MIN..ENTRY_BYTES_MAX).contains(&proto.len());
        pays.then(|| Place(mixed(proto) as usize & (SLOTS - 1)))
    }

    /// The JSON form, if it was made of the same bytes before.
    pub(crate) fn recall(&self, place: &Place, endpoint: usize, proto: &[u8]) -> Option<Bytes> {
        let slot = self.slots[place.0].lock().unwrap_or_else(PoisonError::into_inner);
        let entry = slot.as_ref()?;
        let known = entry.endpoint == endpoint && entry.proto == proto;
        known.then(|| entry.json.clone())
    }

    /// Remembers what was made of these bytes.
    pub(crate) fn keep(&self, place: &Place, endpoint: usize, proto: &Bytes, json: &Bytes) {
        if proto.len() + json.len() > ENTRY_BYTES_MAX {
            return;
        }
        // A copy: the answer may be a small part of a large buffer, which would be kept alive.
        let entry = Entry { endpoint, proto: Bytes::copy_from_slice(proto), json: json.clone() };
        *self.slots[place.0].lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
    }
}

/// A quick sum over all bytes. It only chooses a place, so whoever makes sums collide gains nothing.
fn mixed(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(ODD);
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut lanes = [bytes.len() as u64; 4];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let sum = rest.iter().fold(0, |sum, byte| step(sum, u64::from(*byte)));
    // The upper bits of a product are the well mixed ones.
    lanes.into_iter().fold(sum, step) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(byte: u8, length: usize) -> Bytes {
        Bytes::from(vec![byte; length])
    }

    #[test]
    fn the_same_bytes_of_the_same_method_are_recalled_and_no_others() {
        let memo = Memo::new();
        let (proto, json) = (answer(1, 5_000), answer(b'x', 9_000));
        let place = Memo::place(&proto).expect("of a size that pays");
        assert_eq!(memo.recall(&place, 7, &proto), None);
        memo.keep(&place, 7, &proto, &json);
        assert_eq!(memo.recall(&place, 7, &proto), Some(json));
        assert_eq!(memo.recall(&place, 8, &proto), None, "another method");
        let mut other = proto.to_vec();
        other[4_321] = 2;
        assert_eq!(memo.recall(&place, 7, &other), None, "another answer that came to the same place");
    }

    #[test]
    fn only_what_pays_and_fits_is_kept() {
        assert!(Memo::place(&answer(1, PROTO_BYTES_MIN - 1)).is_none());
        assert!(Memo::place(&answer(1, ENTRY_BYTES_MAX)).is_none());
        let memo = Memo::new();
        let proto = answer(1, ENTRY_BYTES_MAX / 2);
        let place = Memo::place(&proto).expect("of a size that pays");
        memo.keep(&place, 0, &proto, &answer(b'x', ENTRY_BYTES_MAX));
        assert_eq!(memo.recall(&place, 0, &proto), None);
    }

    #[test]
    fn answers_that_differ_in_one_byte_spread_over_the_places() {
        let places = |change: fn(&mut [u8], u8)| {
            let place = |n| {
                let mut bytes = vec![b'a'; 4_001];
                change(&mut bytes, n);
                Memo::place(&bytes).expect("of a size that pays").0
            };
            (0..200).map(place).collect::<std::collections::BTreeSet<_>>().len()
        };
        for change in [(|b, n| b[0] = n) as fn(&mut [u8], u8), |b, n| b[2_003] = n, |b, n| b[4_000] = n] {
            assert!(places(change) > SLOTS / 2);
        }
    }
}
