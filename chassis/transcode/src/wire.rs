//! The protobuf wire format: reading records out of bytes and writing the few shapes we need.
use std::fmt;

/// How deep groups and messages may nest in protobuf bytes.
pub(crate) const WIRE_DEPTH_MAX: usize = 128;

/// Why bytes are not a protobuf message of the wanted type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFault {
    /// The bytes end in the middle of a record.
    Truncated,
    /// A variable-length number has more than ten bytes.
    LongVarint,
    /// A field number is zero or larger than protobuf allows, or a wire type does not exist.
    BadTag,
    /// A group is closed that was not opened, or not closed at all.
    BadGroup,
    /// Messages nest deeper than the limit.
    TooDeep,
    /// A text field holds bytes that are not UTF-8.
    NotUtf8,
    /// A well-known type holds a value without a JSON form, for example a time in the year 20000.
    NoJsonForm,
}

impl fmt::Display for WireFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WireFault::Truncated => "the message ends in the middle of a record",
            WireFault::LongVarint => "a number has more than ten bytes",
            WireFault::BadTag => "a field number or wire type does not exist",
            WireFault::BadGroup => "a group is not balanced",
            WireFault::TooDeep => "messages nest too deep",
            WireFault::NotUtf8 => "a text is not UTF-8",
            WireFault::NoJsonForm => "a value has no JSON form",
        })
    }
}

impl std::error::Error for WireFault {}

/// The value of one record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A group was skipped: we know no fields of that shape.
    Group,
}

/// Reads records one after the other.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next record's field number and value, or `None` at the end.
    pub(crate) fn record(&mut self) -> Result<Option<(u32, Value<'a>)>, WireFault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            3 => {
                self.skip_group(number)?;
                Value::Group
            }
            4 => return Err(WireFault::BadGroup),
            other => self.value(other)?,
        };
        Ok(Some((number, value)))
    }

    /// Goes on behind a tag of one byte if it comes next.
    #[inline]
    pub(crate) fn skip_tag(&mut self, tag: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == tag => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn tag(&mut self) -> Result<(u32, u8), WireFault> {
        let tag = u32::try_from(self.varint()?).map_err(|_| WireFault::BadTag)?;
        if tag >> 3 == 0 {
            return Err(WireFault::BadTag);
        }
        Ok((tag >> 3, (tag & 7) as u8))
    }

    /// The value of a record of this wire type, which must be no group.
    pub(crate) fn value(&mut self, wire_type: u8) -> Result<Value<'a>, WireFault> {
        match wire_type {
            0 => self.varint().map(Value::Varint),
            1 => self.fixed64().map(Value::Fixed64),
            2 => self.bytes().map(Value::Bytes),
            5 => self.fixed32().map(Value::Fixed32),
            _ => Err(WireFault::BadTag),
        }
    }

    /// Skips to the end of group `number`. The numbers of open groups are kept in a list, not on the call
    /// stack, so that hostile nesting ends at a limit.
    fn skip_group(&mut self, number: u32) -> Result<(), WireFault> {
        let mut open = vec![number];
        while let Some(innermost) = open.last().copied() {
            match self.tag()? {
                (inner, 3) if open.len() < WIRE_DEPTH_MAX => open.push(inner),
                (_, 3) => return Err(WireFault::TooDeep),
                (closed, 4) if closed == innermost => drop(open.pop()),
                (_, 4) => return Err(WireFault::BadGroup),
                (_, other) => drop(self.value(other)?),
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, WireFault> {
        match self.rest {
            [byte @ 0..=0x7f, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high @ 0..=0x7f, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[cold]
    fn long_varint(&mut self) -> Result<u64, WireFault> {
        let mut value = 0u64;
        for shift in 0..10 {
            let (byte, rest) = self.rest.split_first().ok_or(WireFault::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (shift * 7);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireFault::LongVarint)
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, WireFault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireFault::Truncated)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    pub(crate) fn fixed64(&mut self) -> Result<u64, WireFault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireFault::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// A length-delimited value.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireFault> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireFault::Truncated)?;
        self.take(length)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireFault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireFault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Text out of a length-delimited value.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, WireFault> {
    std::str::from_utf8(bytes).map_err(|_| WireFault::NotUtf8)
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Starts a length-delimited value whose length is not known yet; give what this returns to [`close`].
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Ends the value opened at `start`. Short ones fit the byte that was kept free, longer ones are moved.
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, length as u64);
    out.splice(start - 1..start, prefix);
}

/// ZigZag: small negative numbers become small positive ones.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The way back from [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_way_there_and_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(Reader::new(&out).varint(), Ok(value));
            assert_eq!(zigzag(unzigzag(value)), value);
        }
    }

    #[test]
    fn long_values_get_a_long_length() {
        for length in [0, 127, 128, 20_000] {
            let mut out = vec![0x0a];
            let start = open(&mut out);
            out.resize(start + length, b'x');
            close(&mut out, start);
            let record = Reader::new(&out).record();
            assert_eq!(record, Ok(Some((1, Value::Bytes(&vec![b'x'; length])))));
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        let cases: [(&[u8], WireFault); 7] = [
            (&[0x08], WireFault::Truncated),
            (&[0x0a, 5, 1], WireFault::Truncated),
            (&[0x00, 1], WireFault::BadTag),
            (&[0x0e, 1], WireFault::BadTag),
            (&[0x0c], WireFault::BadGroup),
            (&[0x0b, 0x14], WireFault::BadGroup),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], WireFault::LongVarint),
        ];
        for (bytes, fault) in cases {
            assert_eq!(Reader::new(bytes).record(), Err(fault), "{bytes:?}");
        }
        assert_eq!(Reader::new(&[0x0b; 500]).record(), Err(WireFault::TooDeep));
        assert_eq!(Reader::new(&[0x0b, 0x10, 1, 0x0c]).record(), Ok(Some((1, Value::Group))));
    }
}
