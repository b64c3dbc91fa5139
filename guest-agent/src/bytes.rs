//! Bytes put together in place: there is no heap, and `core::fmt` alone would be larger than
//! the whole program. What is not inlined here is not, because it is used in many places.

use crate::strings::Text;
use core::ffi::CStr;

/// Up to `N` - 1 bytes, and zeros after them.
pub struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Buffer<N> {
    pub(crate) fn new() -> Buffer<N> {
        Buffer { bytes: [0; N], len: 0 }
    }

    /// Adds what fits.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        append(room(&mut self.bytes), &mut self.len, bytes);
    }

    /// Adds a text's bytes.
    pub(crate) fn push_text(&mut self, text: &'static CStr) {
        self.push(Text::new(text).bytes());
    }

    /// Adds a number's decimal digits.
    pub(crate) fn push_decimal(&mut self, number: u32) {
        append_decimal(room(&mut self.bytes), &mut self.len, number);
    }

    /// Makes it shorter.
    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(cut) = self.bytes.get_mut(len..) {
            cut.fill(0);
            self.len = self.len.min(len);
        }
    }

    /// What was added.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// What was added, to be changed.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// All `N` bytes, the zeros included.
    pub(crate) fn padded(&self) -> &[u8; N] {
        &self.bytes
    }
}

impl<'a, const N: usize> From<&'a Buffer<N>> for Text<'a> {
    /// A buffer's bytes, up to the first NUL.
    fn from(buffer: &'a Buffer<N>) -> Text<'a> {
        // SAFETY: at most N - 1 bytes are ever added, and a zero follows them.
        unsafe { Text::up_to_nul(&buffer.bytes) }
    }
}

/// All but the last byte, which stays a NUL.
fn room(bytes: &mut [u8]) -> &mut [u8] {
    match bytes {
        [room @ .., _] => room,
        [] => &mut [],
    }
}

#[inline(never)]
fn append(to: &mut [u8], len: &mut usize, bytes: &[u8]) {
    for &byte in bytes {
        let Some(slot) = to.get_mut(*len) else { break };
        *slot = byte;
        *len += 1;
    }
}

#[inline(never)]
fn append_decimal(to: &mut [u8], len: &mut usize, number: u32) {
    if number >= 10 {
        append_decimal(to, len, number / 10);
    }
    append(to, len, &[b'0' + (number % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut buffer = Buffer::<5>::new();
        buffer.push(b"abc");
        buffer.push(b"def");
        assert_eq!((buffer.bytes(), *buffer.padded()), (b"abcd".as_slice(), *b"abcd\0"));
        buffer.truncate(2);
        assert_eq!((buffer.bytes(), *buffer.padded()), (b"ab".as_slice(), *b"ab\0\0\0"));
        buffer.truncate(9);
        assert_eq!(buffer.bytes(), b"ab");
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 100, 4096, u32::MAX] {
            let mut buffer = Buffer::<16>::new();
            buffer.push_decimal(number);
            assert_eq!(buffer.bytes(), number.to_string().as_bytes());
        }
    }
}
