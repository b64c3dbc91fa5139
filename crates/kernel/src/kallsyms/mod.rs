//! kallsyms: the kernel's own table of symbols, found in its image by the shape of its parts.
//!
//! ```text
//! up to 6.3            from 6.4 on          part
//! offsets              num_syms             number of symbols
//! relative_base        names                each a length and as many tokens
//! num_syms             markers              where every 256th name begins
//! names                token_table          256 texts
//! markers              token_index          where each begins
//! seqs_of_names (6.2)  offsets              addresses, in the order of the names
//! token_table          relative_base        what they are relative to
//! token_index          seqs_of_names
//! ```
//!
//! The index repeats what follows from the token table, and the markers what follows from the names, so nothing else
//! looks like them. Then the addresses must be in order.

mod names;
mod tokens;

use self::names::Names;
use self::tokens::Tokens;
use crate::bytes::{pointer_at, u32_at, u64_at};

/// What the base is a multiple of.
const PAGE: u64 = 4096;

/// The symbols of a kernel, in the order of their addresses.
#[derive(Debug)]
pub(crate) struct Kallsyms<'a> {
    tokens: Tokens<'a>,
    names: Names<'a>,
    offsets: &'a [u8],
    base: u64,
    kind: Kind,
}

/// What an offset means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Up to 6.14 on x86_64: those of per-processor variables are small and absolute, all others negative.
    Signed,
    /// How far it is from the base.
    Unsigned,
}

impl Kind {
    fn address(self, offset: u32, base: u64, mask: u64) -> u64 {
        let address = match self {
            Kind::Signed if offset.cast_signed() >= 0 => return offset.into(),
            Kind::Signed => base.wrapping_sub(1).wrapping_sub_signed(offset.cast_signed().into()),
            Kind::Unsigned => base.wrapping_add(offset.into()),
        };
        address & mask
    }
}

impl<'a> Kallsyms<'a> {
    /// Finds the symbols in an image. A pointer has 8 or 4 bytes.
    pub(crate) fn find(image: &'a [u8], pointer: usize) -> Option<Kallsyms<'a>> {
        // A table of letters for a file system may look like tokens, but it has no names.
        Tokens::find(image, pointer).find_map(|tokens| Kallsyms::with(tokens, image, pointer))
    }

    /// The symbols whose names are made of these tokens.
    fn with(tokens: Tokens<'a>, image: &'a [u8], pointer: usize) -> Option<Kallsyms<'a>> {
        let names = Names::find(image, &tokens, pointer)?;
        let bytes = names.count * 4;
        let aligned = bytes.next_multiple_of(pointer);
        let before = names.number_at.checked_sub(pointer + aligned);
        let behind = Some(tokens.end.next_multiple_of(pointer));
        [before, behind].into_iter().flatten().find_map(|start| {
            let offsets = image.get(start..start.checked_add(bytes)?)?;
            let base = base(image, start + aligned, pointer)?;
            let kind = [Kind::Signed, Kind::Unsigned].into_iter().find(|&kind| in_order(offsets, kind))?;
            Some(Kallsyms { tokens: tokens.clone(), names: names.clone(), offsets, base, kind })
        })
    }

    /// Goes through all symbols: the name, the letter for its kind, and the address.
    pub(crate) fn each(&self, pointer: usize, mut take: impl FnMut(&[u8], u8, u64)) {
        let mask = if pointer == 8 { u64::MAX } else { u32::MAX.into() };
        let mut name = Vec::new();
        for (tokens, offset) in self.names.iter().zip(self.offsets.chunks_exact(4)) {
            let offset = u32_at(offset, 0).unwrap_or_default();
            if self.tokens.expand(tokens, &mut name)
                && let Some((&letter, name)) = name.split_first()
            {
                take(name, letter, self.kind.address(offset, self.base, mask));
            }
        }
    }
}

/// Whether the offsets are those of addresses that do not fall, and that are not all the same.
fn in_order(offsets: &[u8], kind: Kind) -> bool {
    // Far from both ends, so that nothing wraps around.
    let base = 1 << 48;
    let address = |offset: &[u8]| kind.address(u32_at(offset, 0).unwrap_or_default(), base, u64::MAX);
    let mut last = 0;
    let ordered =
        offsets.chunks_exact(4).map(address).all(|address| std::mem::replace(&mut last, address) <= address);
    let first = offsets.get(..4).map_or(0, address);
    // Where offsets are signed, most are negative.
    let middle = offsets.chunks_exact(4).nth(offsets.len() / 8).map_or(0, address);
    ordered && first < last && middle >= base
}

/// The address that all others are relative to. In a kernel that moves itself when it starts, it may be only in the list
/// of what has to be moved.
fn base(image: &[u8], at: usize, pointer: usize) -> Option<u64> {
    let base = match pointer_at(image, at, pointer)? {
        0 if pointer == 8 => moved_base(image, at as u64)?,
        base => base,
    };
    let is_kernel = if pointer == 8 { base >= 0xffff_8000_0000_0000 } else { base >= 0x4000_0000 };
    (is_kernel && base.is_multiple_of(PAGE)).then_some(base)
}

/// The base in arm64's list of what has to be moved: of its entries, the one for the place where the base is. The image
/// begins at a multiple of 2 MiB, with the base not far behind.
fn moved_base(image: &[u8], at: u64) -> Option<u64> {
    const RELATIVE: u64 = 0x403;
    const NEAR: u64 = 2 << 20;
    let entries = (0..image.len()).step_by(8).filter_map(|entry| {
        let [place, kind, base] = [0, 8, 16].map(|part| u64_at(image, entry + part));
        let (start, base) = (place?.checked_sub(at)?, base?);
        let fits = kind? == RELATIVE
            && start.is_multiple_of(NEAR)
            && base.checked_sub(start).is_some_and(|from| from < NEAR);
        fits.then_some((start, base))
    });
    entries.min().map(|(_, base)| base)
}

#[cfg(test)]
pub(crate) mod tests;
