//! Bytes taken apart and compared. What is not inlined here is not, because it is used in many places.

/// What is before the first `separator`, and what is after it, if there is one.
#[inline(never)]
pub(crate) fn split_once(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|&byte| byte == separator) {
        Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..)),
        None => (bytes, None),
    }
}

/// Whether both are the same. A bare `==` with a constant would become a row of comparisons of words.
#[inline(never)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_split_at_the_first_separator_only() {
        assert_eq!(split_once(b"a:b:c", b':'), (b"a".as_slice(), Some(b"b:c".as_slice())));
        assert_eq!(split_once(b"a:", b':'), (b"a".as_slice(), Some(b"".as_slice())));
        assert_eq!(split_once(b"a", b':'), (b"a".as_slice(), None));
        assert_eq!(split_once(b"", b':'), (b"".as_slice(), None));
    }
}
