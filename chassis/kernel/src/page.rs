//! Where a page of a list ended, as an opaque text that the request for the next page brings back.
use crate::{Code, Rejection};

/// Makes and reads page tokens.
///
/// A token holds a place in a list and a checksum over the place and the list. That finds damage and mix-ups,
/// such as a token that comes back with other filters. It is no secret and no right: anybody can make one, so
/// whoever reads a page still asks only for what its caller may see.
///
/// ```
/// use souk_kernel::PageToken;
/// let cheap_mugs = ["ListMugs", "cheap"];
/// let token = PageToken::seal("mug-7", &cheap_mugs);
/// assert_eq!(PageToken::open(&token, &cheap_mugs).as_deref(), Some("mug-7"));
/// assert_eq!(PageToken::open(&token, &["ListMugs", "dear"]), None);
/// ```
#[derive(Debug)]
pub enum PageToken {}

const SUM_BYTES: usize = size_of::<u64>();

impl PageToken {
    /// The token for what comes after `place` in the list that `bound_to` describes: the call's name, then all
    /// that decides what is in the list (its owner, its filters) but not the size of a page. It consists of
    /// characters that need no escape in an address.
    pub fn seal(place: &str, bound_to: &[&str]) -> String {
        let sum = checksum(place, bound_to).to_be_bytes();
        place.bytes().chain(sum).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The place in a token of this very list; `None` when it is damaged or another list's.
    pub fn open(token: &str, bound_to: &[&str]) -> Option<String> {
        let mut place = bytes_of(token)?;
        place.truncate(place.len().checked_sub(SUM_BYTES)?);
        let place = String::from_utf8(place).ok()?;
        (Self::seal(&place, bound_to) == token).then_some(place)
    }

    /// Where a request goes on: `None` when it has no token, which is the first page. `read` makes of the place
    /// what the list knows it as.
    ///
    /// # Errors
    /// [`PageToken::invalid`] when the token is damaged, another list's, or of a place that cannot be read.
    pub fn resume<T>(
        token: &str,
        bound_to: &[&str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Rejection> {
        if token.is_empty() {
            return Ok(None);
        }
        let place = Self::open(token, bound_to).as_deref().and_then(read);
        place.map(Some).ok_or_else(Self::invalid)
    }

    /// What a token that cannot be used is refused with.
    pub fn invalid() -> Rejection {
        let message = "the page token is damaged or belongs to another list; begin again without it";
        Rejection::new("INVALID_PAGE_TOKEN", message).code(Code::InvalidArgument)
    }
}

/// FNV-1a over the parts, each ended by a byte that text never contains.
fn checksum(place: &str, bound_to: &[&str]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let parts = std::iter::once(&place).chain(bound_to);
    let bytes = parts.flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(OFFSET, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME))
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_place_back_to_its_own_list_only() {
        let list = ["List", "a", "b"];
        for place in ["", "x", "1.2", "ord_01h455vb4pex5vsknk084sn02q", "🎁\n\0"] {
            let token = PageToken::seal(place, &list);
            assert_eq!(PageToken::open(&token, &list).as_deref(), Some(place));
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()), "{token}");
            for other in
                [&["List", "a", "c"][..], &["List", "ab", ""], &["List", "a"], &["list", "a", "b"], &[]]
            {
                assert_eq!(PageToken::open(&token, other), None, "{place} {other:?}");
            }
        }
        assert_ne!(PageToken::seal("a", &["b"]), PageToken::seal("ab", &[]));
    }

    #[test]
    fn every_damage_of_one_character_is_noticed() {
        let token = PageToken::seal("7.3", &["List"]);
        for at in 0..token.len() {
            for new in "0123456789abcdefABCDEFxyz+ é🎁".chars() {
                let damaged = format!("{}{new}{}", &token[..at], &token[at + 1..]);
                let same = damaged == token;
                assert_eq!(PageToken::open(&damaged, &["List"]).is_some(), same, "{damaged}");
            }
            assert_eq!(PageToken::open(&token[..at], &["List"]), None, "cut off after {at}");
            assert_eq!(PageToken::open(&token[at + 1..], &["List"]), None, "begun after {at}");
        }
        for longer in ["0", "00", "x"] {
            assert_eq!(PageToken::open(&format!("{token}{longer}"), &["List"]), None);
        }
        assert_eq!(PageToken::open(&token.to_uppercase(), &["List"]), None, "there is one way to write it");
    }

    #[test]
    fn a_list_goes_on_begins_or_refuses() {
        let resume = |token: &str| PageToken::resume(token, &["List"], |place| place.parse::<u32>().ok());
        assert_eq!(resume(""), Ok(None));
        assert_eq!(resume(&PageToken::seal("7", &["List"])), Ok(Some(7)));
        for bad in ["zzz", "AAAA", &PageToken::seal("seven", &["List"]), &PageToken::seal("7", &["Other"])] {
            let refused = resume(bad).expect_err("not a token of this list");
            assert_eq!(
                (refused.code, refused.reason),
                (Code::InvalidArgument, "INVALID_PAGE_TOKEN"),
                "{bad}"
            );
        }
    }
}
