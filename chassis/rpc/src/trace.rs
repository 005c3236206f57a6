//! W3C trace context: which trace a piece of work belongs to.
use std::fmt;
use std::sync::Arc;

/// The position in a trace, in the form of the header `traceparent`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(Option<Arc<str>>);

const LEN: usize = 55;
const TRACE_ID: std::ops::Range<usize> = 3..35;
const SPAN_ID: std::ops::Range<usize> = 36..52;

impl Trace {
    /// Part of no trace.
    pub fn none() -> Self {
        Self(None)
    }

    /// A position made of random bytes, marked as sampled.
    pub fn from_random(trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        let text =
            format!("00-{:032x}-{:016x}-01", u128::from_be_bytes(trace_id), u64::from_be_bytes(span_id));
        Self::parse(&text).unwrap_or_else(Self::none)
    }

    /// Reads a `traceparent` of version 00; `None` when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let hex = |range: std::ops::Range<usize>| {
            bytes[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let shape = bytes.len() == LEN && text.starts_with("00-") && bytes[35] == b'-' && bytes[52] == b'-';
        let readable = shape && hex(TRACE_ID) && hex(SPAN_ID) && hex(53..LEN);
        let nonzero = |range: std::ops::Range<usize>| bytes[range].iter().any(|b| *b != b'0');
        (readable && nonzero(TRACE_ID) && nonzero(SPAN_ID)).then(|| Self(Some(Arc::from(text))))
    }

    /// The same trace at another span.
    #[must_use]
    pub fn at_span(&self, span_id: [u8; 8]) -> Self {
        let Some(text) = &self.0 else { return Self::none() };
        let next =
            format!("{}{:016x}{}", &text[..SPAN_ID.start], u64::from_be_bytes(span_id), &text[SPAN_ID.end..]);
        Self::parse(&next).unwrap_or_else(|| self.clone())
    }

    /// Whether it is part of no trace.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The trace's id, 32 hex digits; empty when it is part of none.
    pub fn trace_id(&self) -> &str {
        self.0.as_deref().map_or("", |text| &text[TRACE_ID])
    }

    /// The span's id, 16 hex digits; empty when it is part of none.
    pub fn span_id(&self) -> &str {
        self.0.as_deref().map_or("", |text| &text[SPAN_ID])
    }

    /// The header's value; empty when it is part of none.
    pub fn traceparent(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.traceparent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let trace = Trace::parse(GOOD).expect("the specification's own example");
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id(), "00f067aa0ba902b7");
        assert_eq!(trace.to_string(), GOOD);
        assert_eq!(trace.at_span([0, 0, 0, 0, 0, 0, 0, 9]).span_id(), "0000000000000009");
        assert_eq!(Trace::from_random([1; 16], [2; 8]).span_id(), "0202020202020202");
        assert!(Trace::from_random([0; 16], [2; 8]).is_none());
    }

    #[test]
    fn anything_else_is_not_one() {
        for bad in [
            "",
            &GOOD.to_uppercase(),
            &GOOD[1..],
            &GOOD.replace("00-4", "ff-4"),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replacen('-', "_", 1),
            &format!("{GOOD}-more"),
            &"ä".repeat(27),
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
    }
}
