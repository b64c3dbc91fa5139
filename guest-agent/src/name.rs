//! A recording's name on its way to the plugin.

use crate::bytes::Buffer;
use protocol::NAME_MAX;

/// A name of 1 to [`NAME_MAX`] - 1 bytes, as it was given: it is the plugin that makes a plain one of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    text: &'a [u8],
    suffix: &'static [u8],
}

impl<'a> Name<'a> {
    /// For calls that have to carry a name which means nothing.
    pub(crate) const UNUSED: Name<'static> = Name { text: b"recctrlu", suffix: b"" };

    /// Takes a user's word; of a longer one, the beginning.
    pub(crate) fn new(text: &'a [u8]) -> Name<'a> {
        Name { text, suffix: b"" }
    }

    /// `<user>_session`, the user cut where it would not fit.
    pub(crate) fn session_of(user: &'a [u8]) -> Name<'a> {
        let suffix: &[u8] = b"_session";
        Name { text: user.get(..NAME_MAX - 1 - suffix.len()).unwrap_or(user), suffix }
    }

    /// The name and NULs after it: upstream's plugin reads all the bytes, however short the name is.
    ///
    /// Made plain by our plugin's rule if that is asked for, for a plugin that takes names as they are:
    /// upstream's leaves its folder for `../x` and brings PANDA down for `nodir/x`.
    pub(crate) fn to_buffer(self, plain: bool) -> Buffer<NAME_MAX> {
        let mut buffer = Buffer::new();
        buffer.push(self.text);
        buffer.push(self.suffix);
        if plain {
            for (i, byte) in buffer.bytes_mut().iter_mut().enumerate() {
                if !protocol::is_plain(*byte, i) {
                    *byte = b'_';
                }
            }
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: Name<'_>, plain: bool) -> Vec<u8> {
        let buffer = name.to_buffer(plain);
        let (name, rest) = buffer.padded().split_at(buffer.bytes().len());
        assert!(!rest.is_empty() && rest.iter().all(|&byte| byte == 0), "NULs to the end");
        name.to_vec()
    }

    #[test]
    fn a_name_of_any_length_ends_in_a_nul() {
        let long = [b'x'; 500];
        assert_eq!(sent(Name::new(&long[..NAME_MAX - 1]), false), &long[..NAME_MAX - 1]);
        assert_eq!(sent(Name::new(&long), false), &long[..NAME_MAX - 1]);
    }

    #[test]
    fn a_session_is_named_after_its_user_however_long() {
        assert_eq!(sent(Name::session_of(b"ann"), false), b"ann_session");
        let long = sent(Name::session_of(&[b'x'; 500]), false);
        assert_eq!(long.len(), NAME_MAX - 1);
        assert!(long.ends_with(b"x_session"));
    }

    #[test]
    fn a_plain_name_is_what_our_plugin_would_make_of_it() {
        for raw in [b"../../etc/passwd".as_slice(), b".", b"plain-1.2_x", b"a b\xff\n/", &[b'/'; 127]] {
            let name = Name::new(raw);
            assert_eq!(sent(name, false), raw);
            let plain = protocol::Name::from_guest(raw).expect("not empty");
            assert_eq!(sent(name, true), plain.as_str().as_bytes());
        }
    }
}
