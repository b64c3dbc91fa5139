//! The 256 texts that names are made of.

use memchr::memmem;

use crate::bytes::{text_at, u16_at};

/// Every kernel has names with each digit in them, and a digit stands for itself.
const DIGITS: &[u8] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00";
/// How many runs of digits are looked at.
const TRIES: usize = 256;
/// How many tables are tried.
const TABLES: usize = 8;
/// The longest text.
const MAX_TOKEN: usize = 256;
/// The longest name, from Linux 6.1 on.
const MAX_NAME: usize = 512;

/// The 256 texts that names are made of.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    texts: Vec<&'a [u8]>,
    /// Where the table begins in the image.
    pub(super) start: usize,
    /// Where its index ends.
    pub(super) end: usize,
}

impl<'a> Tokens<'a> {
    /// Goes through what may be the table in an image.
    pub(super) fn find(image: &'a [u8], pointer: usize) -> impl Iterator<Item = Tokens<'a>> {
        let digits = memmem::find_iter(image, DIGITS).take(TRIES);
        digits.filter_map(move |digits| Tokens::around(image, digits, pointer)).take(TABLES)
    }

    /// The table that has its digits there.
    fn around(image: &'a [u8], digits: usize, pointer: usize) -> Option<Tokens<'a>> {
        let (mut ends, mut at) = (0, digits);
        // As many texts are in front of the digit 0 as its code says.
        while ends <= usize::from(b'0') && digits - at < usize::from(b'0') * MAX_TOKEN {
            at = at.checked_sub(1)?;
            ends += usize::from(image[at] == 0);
            if ends == usize::from(b'0')
                && at.is_multiple_of(4)
                && let Some(tokens) = Tokens::at(image, at, pointer)
            {
                return Some(tokens);
            }
        }
        None
    }

    /// The table that begins there, if its index says the same.
    fn at(image: &'a [u8], start: usize, pointer: usize) -> Option<Tokens<'a>> {
        let (mut texts, mut starts, mut at) = (Vec::with_capacity(256), Vec::with_capacity(256), start);
        for _ in 0..256 {
            starts.push(at - start);
            let text = text_at(image, at, MAX_TOKEN)?;
            texts.push(text);
            at += text.len() + 1;
        }
        let index = at.next_multiple_of(pointer);
        let agree = |(number, &start): (usize, &usize)| {
            u16_at(image, index + 2 * number).map(usize::from) == Some(start)
        };
        starts.iter().enumerate().all(agree).then_some(Tokens { texts, start, end: index + 512 })
    }

    /// Puts a name together; false for one that is too long.
    pub(super) fn expand(&self, tokens: &[u8], name: &mut Vec<u8>) -> bool {
        name.clear();
        for &token in tokens {
            name.extend_from_slice(self.texts[usize::from(token)]);
            if name.len() > MAX_NAME {
                return false;
            }
        }
        true
    }
}
