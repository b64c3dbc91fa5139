//! Little-endian numbers in bytes that may end anywhere.

/// Two bytes at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let end = offset.checked_add(2)?;
    Some(u16::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// Four bytes at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let end = offset.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// Eight bytes at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let end = offset.checked_add(8)?;
    Some(u64::from_le_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// A pointer of `size` bytes at `offset`.
pub(crate) fn pointer_at(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    if size == 8 { u64_at(bytes, offset) } else { u32_at(bytes, offset).map(u64::from) }
}

/// The text at `offset` up to its NUL, if that comes within `longest` bytes.
pub(crate) fn text_at(bytes: &[u8], offset: usize, longest: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    let rest = &rest[..rest.len().min(longest + 1)];
    Some(&rest[..memchr::memchr(0, rest)?])
}
