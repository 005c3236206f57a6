//! What `straight` writes to. Nearly all it writes is short, and for a short text the call that copies it costs more
//! than the copy. So the buffer is made larger than needed beforehand, and short texts are copied in steps of one
//! fixed size, which needs no call; what a step writes too much is overwritten by the next.
use crate::json::{plain_length, put_json_text};
use crate::scalar::two_digits;
use crate::wire::{WireFault, text};

/// How much is copied at once.
pub(crate) const STEP: usize = 32;

/// How much room is made at first for each byte that is read, in halves.
const HALVES_PER_BYTE: usize = 5;
/// The least room that is made.
const ROOM_MIN: usize = 256;

/// A text that is written often.
#[derive(Debug)]
pub(crate) struct Piece {
    padded: [u8; STEP],
    whole: Box<[u8]>,
}

impl Piece {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut padded = [0; STEP];
        padded.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        Self { padded, whole: text.into() }
    }
}

/// Part of a larger text, of which the bytes behind it may be looked at too.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) all: &'a [u8],
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Span<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.all[self.start..self.end]
    }
}

/// Appends to a buffer; [`Sink::close`] cuts off the room that was not used.
pub(crate) struct Sink<'o> {
    bytes: &'o mut Vec<u8>,
    at: usize,
}

impl<'o> Sink<'o> {
    /// Appends to `bytes` what will be made of `proto_length` bytes.
    pub(crate) fn new(bytes: &'o mut Vec<u8>, proto_length: usize) -> Self {
        let at = bytes.len();
        let wanted = at + (proto_length * HALVES_PER_BYTE / 2).max(ROOM_MIN);
        bytes.resize(wanted.max(bytes.capacity()), 0);
        Self { bytes, at }
    }

    /// Ends with what was appended.
    pub(crate) fn close(self) {
        self.bytes.truncate(self.at);
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Replaces a byte that was appended; appends it if it would be the next one.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        if at == self.at {
            return self.push(byte);
        }
        self.bytes[at] = byte;
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, byte: u8) {
        if self.at == self.bytes.len() {
            self.grow(1);
        }
        self.bytes[self.at] = byte;
        self.at += 1;
    }

    #[inline(always)]
    pub(crate) fn piece(&mut self, piece: &Piece) {
        match piece.whole.len() {
            length @ ..=STEP => self.step(&piece.padded, length),
            _ => self.put(&piece.whole),
        }
    }

    /// Appends the first `length` of these bytes.
    #[inline(always)]
    pub(crate) fn step(&mut self, bytes: &[u8; STEP], length: usize) {
        if self.bytes.len() - self.at < STEP {
            self.grow(STEP);
        }
        self.bytes[self.at..self.at + STEP].copy_from_slice(bytes);
        self.at += length;
    }

    /// Appends text of any length.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if self.bytes.len() - self.at < bytes.len() {
            self.grow(bytes.len());
        }
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Appends what `write` appends to an empty buffer: for whatever is rare.
    pub(crate) fn put_with<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut rare = Vec::new();
        let result = write(&mut rare);
        self.put(&rare);
        result
    }

    /// Appends a JSON text with its quotes.
    #[inline(always)]
    pub(crate) fn text(&mut self, span: Span<'_>) -> Result<(), WireFault> {
        let bytes = span.bytes();
        if plain_length(bytes, true) < bytes.len() {
            let text = text(bytes)?;
            self.put_with(|out| put_json_text(out, text));
            return Ok(());
        }
        self.push(b'"');
        match span.all[span.start..].first_chunk() {
            Some(chunk) if bytes.len() <= STEP => self.step(chunk, bytes.len()),
            _ => self.put(bytes),
        }
        self.push(b'"');
        Ok(())
    }

    /// Appends a whole number.
    #[inline]
    pub(crate) fn unsigned(&mut self, mut value: u64) {
        let length = value.checked_ilog10().map_or(1, |power| power as usize + 1);
        let mut digits = [0; STEP];
        let mut at = length;
        while at >= 2 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&two_digits(value % 100));
            value /= 100;
        }
        if at == 1 {
            digits[0] = b'0' + value as u8;
        }
        self.step(&digits, length);
    }

    /// Appends a whole number.
    pub(crate) fn signed(&mut self, value: i64) {
        if value < 0 {
            self.push(b'-');
        }
        self.unsigned(value.unsigned_abs());
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let length = (self.bytes.len() + more.max(STEP)) * 2;
        self.bytes.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Sink<'_>)) -> String {
        let mut out = b"kept ".to_vec();
        let mut sink = Sink::new(&mut out, 0);
        write(&mut sink);
        sink.close();
        String::from_utf8(out).expect("only texts are written")
    }

    #[test]
    fn texts_of_all_lengths_are_written_whatever_stands_behind_them() {
        let all = "abcdefgh".repeat(40);
        for length in 0..all.len() {
            for behind in [0, 1, STEP] {
                let all = &all.as_bytes()[..(length + behind).min(all.len())];
                let span = Span { all, start: 0, end: length };
                let twice = written(|sink| {
                    sink.text(span).expect("ASCII");
                    sink.piece(&Piece::new(span.bytes()));
                });
                let text = String::from_utf8_lossy(span.bytes());
                assert_eq!(twice, format!("kept \"{text}\"{text}"));
            }
        }
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        let powers = (0..20).map(|n| 10u64.pow(n));
        for value in powers.flat_map(|n| [n - 1, n, n + 1]).chain([42, 100, u64::MAX, 1 << 63]) {
            assert_eq!(written(|sink| sink.unsigned(value)), format!("kept {value}"));
            assert_eq!(written(|sink| sink.signed(value as i64)), format!("kept {}", value as i64));
        }
    }
}
