//! A recording's name: what is left of the bytes that a guest sends once nothing in them can hurt.

use core::fmt;

/// The most bytes that are read for a name, the NUL at its end included (upstream's bound).
pub const NAME_MAX: usize = 128;

/// Whether a byte may stand at `position` in a plain file name.
pub fn is_plain(byte: u8, position: usize) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (matches!(byte, b'.' | b'-') && position > 0)
}

/// A plain file name of 1 to 127 letters, digits, `.`, `_` and `-`, which never begins with a dot or a dash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_MAX - 1],
    len: usize,
}

impl Name {
    /// Makes a plain name of what a guest sent: everything up to the first NUL, or [`NAME_MAX`] - 1
    /// bytes; each byte that has no place in a plain name becomes `_`. `None` when nothing is left.
    pub fn from_guest(raw: &[u8]) -> Option<Name> {
        let text = raw.split(|&byte| byte == 0).next().unwrap_or_default();
        let mut name = Name { bytes: [0; NAME_MAX - 1], len: text.len().min(NAME_MAX - 1) };
        for (i, (to, &from)) in name.bytes.iter_mut().zip(text).enumerate() {
            *to = if is_plain(from, i) { from } else { b'_' };
        }
        (name.len > 0).then_some(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever written, so this never falls back.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{path::Path, string::ToString};

    fn name(raw: &[u8]) -> Option<std::string::String> {
        Name::from_guest(raw).map(|name| name.to_string())
    }

    #[test]
    fn a_plain_name_stays_as_it_is() {
        assert_eq!(name(b"ssh_session-1.2\0rest").as_deref(), Some("ssh_session-1.2"));
    }

    #[test]
    fn a_name_that_climbs_out_is_flattened() {
        assert_eq!(name(b"../../etc/passwd\0").as_deref(), Some("_._.._etc_passwd"));
        assert_eq!(name(b".\0").as_deref(), Some("_"));
        assert_eq!(name(b"\0").as_deref(), None);
        assert_eq!(name(b"").as_deref(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 50 } else { 10_000 }))]
        #[test]
        fn whatever_a_guest_sends_one_plain_path_component_comes_out(raw: std::vec::Vec<u8>) {
            if let Some(name) = name(&raw) {
                prop_assert!(!name.is_empty() && name.len() < NAME_MAX);
                prop_assert!(!name.starts_with(['.', '-']));
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
                prop_assert_eq!(Path::new(&name).file_name().and_then(|n| n.to_str()), Some(name.as_str()));
            }
        }
    }
}
