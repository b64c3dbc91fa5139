//! BTF: how the kernel describes its own types.
//!
//! A reader of its own, because a type may name itself or a chain of others without end in a hostile image, and the
//! crates that read BTF follow it until the stack or the day is over. Everything here is bounded in steps.

mod lookup;
mod types;

pub(crate) use self::types::{Composite, Id, RawMember, Type, Types};

use crate::bytes::{u16_at, u32_at};
use memchr::memmem;

/// Why the types cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The header is not one.
    #[error("the header is damaged")]
    Header,
    /// A part is missing.
    #[error("type {0} is cut short")]
    Short(usize),
    /// A later version of the format.
    #[error("type {id} is of kind {kind}, which is not known")]
    Kind {
        /// Which type.
        id: usize,
        /// Its kind.
        kind: u32,
    },
    /// There are too many.
    #[error("there are too many types")]
    Many,
}

const MAGIC: [u8; 4] = [0x9f, 0xeb, 1, 0];
/// The size of the header of every version so far.
const HEADER: usize = 24;

/// The types in an image in which no section is called `.BTF`.
pub(crate) fn find(image: &[u8]) -> Option<&[u8]> {
    memmem::find_iter(image, &MAGIC).find_map(|start| {
        let bytes = &image[start..];
        let (types, strings) = parts(bytes)?;
        // The two parts are behind each other, and the first string is empty.
        (types.end == strings.start && bytes.get(strings.start) == Some(&0) && types.len() > HEADER)
            .then(|| bytes.get(..strings.end))?
    })
}

/// Where types and strings are, from the header on.
fn parts(bytes: &[u8]) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    if !bytes.starts_with(&MAGIC[..2]) || u16_at(bytes, 2)? & 0xff != 1 {
        return None;
    }
    let header = u32_at(bytes, 4)? as usize;
    let part = |offset| {
        let start = header.checked_add(u32_at(bytes, offset)? as usize)?;
        let end = start.checked_add(u32_at(bytes, offset + 4)? as usize)?;
        (end <= bytes.len()).then_some(start..end)
    };
    Some((part(8)?, part(16)?))
}

#[cfg(test)]
pub(crate) mod tests;
