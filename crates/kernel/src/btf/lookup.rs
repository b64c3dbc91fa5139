//! Members by their paths, and sizes.

use crate::btf::types::{Id, Type, Types};

/// How many names and qualifiers a type may have in front, and how deep arrays and anonymous members may lie.
const DEPTH: usize = 32;
/// How many members are looked at for one path.
const STEPS: usize = 200_000;

/// A member, found by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Where it begins in the outermost structure, in bytes.
    pub(crate) offset: u64,
    /// Its size in bytes, if it has one.
    pub(crate) size: Option<u64>,
    /// Its type.
    pub(crate) of: Id,
}

impl<'a> Types<'a> {
    /// The type behind all names and qualifiers.
    pub(crate) fn resolve(&self, mut id: Id) -> Option<(Id, Type<'a>)> {
        for _ in 0..DEPTH {
            match self.get(id)? {
                Type::Alias { to } => id = to,
                found => return Some((id, found)),
            }
        }
        None
    }

    /// The size of a type in bytes.
    pub(crate) fn size(&self, id: Id) -> Option<u64> {
        let (mut id, mut times) = (id, 1_u64);
        for _ in 0..DEPTH {
            let bytes = match self.resolve(id)?.1 {
                Type::Array { of, count } => {
                    times = times.checked_mul(count.into())?;
                    id = of;
                    continue;
                }
                Type::Pointer { .. } => self.pointer,
                Type::Int { bytes, .. } | Type::Float { bytes, .. } | Type::Enum { bytes, .. } => {
                    bytes.into()
                }
                Type::Composite(composite) => composite.bytes.into(),
                Type::Void | Type::Forward { .. } | Type::Function => return None,
                Type::Alias { .. } | Type::Variable { .. } | Type::Other => return None,
            };
            return times.checked_mul(bytes);
        }
        None
    }

    /// The member of a structure at a path like `f_path.dentry`. Bit fields that are not whole bytes are not found.
    pub(crate) fn member_of(&self, of: Id, path: &str) -> Option<Member> {
        let mut steps = STEPS;
        let (mut id, mut bit, mut bits) = (of, 0_u64, 0);
        for name in path.split('.') {
            if bits != 0 {
                return None;
            }
            let found = self.find(id, name, DEPTH, &mut steps)?;
            bit = bit.checked_add(found.bit)?;
            (id, bits) = (found.of, found.bits);
        }
        if bit % 8 != 0 || bits % 8 != 0 {
            return None;
        }
        let size = if bits == 0 { self.size(id) } else { Some(bits / 8) };
        Some(Member { offset: bit / 8, size, of: id })
    }

    /// A member by its own name, in anonymous members too.
    fn find(&self, id: Id, name: &str, depth: usize, steps: &mut usize) -> Option<Found> {
        let Type::Composite(composite) = self.resolve(id)?.1 else { return None };
        for member in composite.members() {
            *steps = steps.checked_sub(1)?;
            match self.name_of(&member) {
                "" if depth > 0 => {
                    if let Some(found) = self.find(member.of, name, depth - 1, steps) {
                        return Some(Found { bit: member.bit.checked_add(found.bit)?, ..found });
                    }
                }
                own if own == name => {
                    return Some(Found { of: member.of, bit: member.bit, bits: member.bits });
                }
                _ => {}
            }
        }
        None
    }
}

struct Found {
    of: Id,
    bit: u64,
    bits: u64,
}
