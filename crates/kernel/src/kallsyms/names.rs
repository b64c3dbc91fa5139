//! The names, as lists of tokens, and how many there are.

use crate::bytes::u32_at;
use crate::kallsyms::tokens::Tokens;

/// How few and how many symbols a kernel may have.
const FEWEST: usize = 300;
const MOST: usize = 4 << 20;
/// How many names are walked over in all, to find a place where they fit.
const STEPS: usize = 32 << 20;
/// Every such many names, a marker says where the next begins.
const GROUP: usize = 256;

/// The names of all symbols.
#[derive(Clone, Debug)]
pub(super) struct Names<'a> {
    bytes: &'a [u8],
    pub(super) count: usize,
    /// Where their number stands in the image.
    pub(super) number_at: usize,
}

impl<'a> Names<'a> {
    /// Finds the names that belong to a table of tokens, which is behind them.
    pub(super) fn find(image: &'a [u8], tokens: &Tokens<'_>, pointer: usize) -> Option<Names<'a>> {
        let mut steps = STEPS;
        let last = tokens.start.checked_sub(4)? / pointer * pointer;
        (0..=last).rev().step_by(pointer).find_map(|number_at| {
            let count = u32_at(image, number_at)? as usize;
            if !(FEWEST..=MOST).contains(&count) {
                return None;
            }
            let start = (number_at + 4).next_multiple_of(pointer);
            // 6.2 and 6.3 have the order of the names in between.
            [0, 3 * count].into_iter().find_map(|between| {
                let behind = tokens.start.checked_sub(between.next_multiple_of(pointer))?;
                let markers = behind.checked_sub((4 * count.div_ceil(GROUP)).next_multiple_of(pointer))?;
                let names = image.get(start..markers)?;
                let markers = &image[markers..behind];
                let bytes = walk(names, markers, count, pointer, &mut steps)?;
                Some(Names { bytes, count, number_at })
            })
        })
    }

    /// The tokens of each name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (name, behind) = split(rest)?;
            rest = behind;
            Some(name)
        })
        .take(self.count)
    }
}

/// The names, if their markers agree and nothing is left.
fn walk<'a>(
    names: &'a [u8],
    markers: &[u8],
    count: usize,
    pointer: usize,
    steps: &mut usize,
) -> Option<&'a [u8]> {
    // Most places are no tables, and end here.
    if u32_at(markers, 0)? != 0 || !(GROUP..names.len()).contains(&(u32_at(markers, 4)? as usize)) {
        return None;
    }
    let mut rest = names;
    for number in 0..count {
        *steps = steps.checked_sub(1)?;
        let at = names.len() - rest.len();
        if number % GROUP == 0 && u32_at(markers, number / GROUP * 4)? as usize != at {
            return None;
        }
        rest = split(rest)?.1;
    }
    let end = names.len() - rest.len();
    (end.next_multiple_of(pointer) == names.len()).then_some(&names[..end])
}

/// The first name's tokens, and what is behind them.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let first = usize::from(first);
    // From Linux 6.1 on, a length may take two bytes. Before that, none was so large.
    let (length, rest) = match rest.split_first() {
        Some((&second, rest)) if first & 0x80 != 0 => (first & 0x7f | usize::from(second) << 7, rest),
        _ => (first, rest),
    };
    rest.split_at_checked(length)
}
