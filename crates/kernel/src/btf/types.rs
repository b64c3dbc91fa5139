//! The types one by one.

use std::collections::HashMap;

use crate::btf::{BtfError, parts};
use crate::bytes::{text_at, u32_at};

/// The largest number of types. Kernels with all drivers built in have less than 400,000.
const MAX_TYPES: usize = 2 << 20;
/// The longest name.
const MAX_NAME: usize = 256;

/// A type's number.
pub(crate) type Id = u32;

/// The types of a kernel.
#[derive(Debug)]
pub(crate) struct Types<'a> {
    /// Where type 1 and all that follow begin.
    starts: Vec<u32>,
    types: &'a [u8],
    strings: &'a [u8],
    /// The structures and unions that have a name; the first of each.
    composites: HashMap<&'a [u8], Id>,
    /// The size of a pointer.
    pub(crate) pointer: u64,
}

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type<'a> {
    /// Nothing, as in a pointer to anything.
    Void,
    /// A number.
    Int {
        name: &'a str,
        bytes: u32,
        signed: bool,
        boolean: bool,
    },
    Float {
        name: &'a str,
        bytes: u32,
    },
    Pointer {
        to: Id,
    },
    Array {
        of: Id,
        count: u32,
    },
    /// A structure or union.
    Composite(Composite<'a>),
    /// An enumeration; a later version of the format has values of eight bytes.
    Enum {
        name: &'a str,
        bytes: u32,
        signed: bool,
        wide: bool,
        values: &'a [u8],
    },
    /// A structure or union of which only the name is known.
    Forward {
        name: &'a str,
        union: bool,
    },
    /// Another name for a type, or a qualifier of it.
    Alias {
        to: Id,
    },
    Function,
    /// A variable of the kernel.
    Variable {
        name: &'a str,
        of: Id,
    },
    /// What is no type: sections, functions, notes.
    Other,
}

/// A structure or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Composite<'a> {
    pub(crate) name: &'a str,
    pub(crate) union: bool,
    pub(crate) bytes: u32,
    /// Whether the members' offsets have the sizes of bit fields in them.
    bit_fields: bool,
    members: &'a [u8],
}

/// A member as it is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawMember {
    name: u32,
    pub(crate) of: Id,
    /// Where it begins, in bits.
    pub(crate) bit: u64,
    /// The size of a bit field, in bits; 0 for other members.
    pub(crate) bits: u64,
}

impl Composite<'_> {
    /// The members in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = RawMember> {
        let word = |bytes: &[u8], at| u32_at(bytes, at).unwrap_or_default();
        self.members.chunks_exact(12).map(move |member| {
            let (name, of, offset) = (word(member, 0), word(member, 4), word(member, 8));
            let (bit, bits) = if self.bit_fields { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
            RawMember { name, of, bit: bit.into(), bits: bits.into() }
        })
    }
}

impl<'a> Types<'a> {
    /// Reads where the types are; `bytes` begins with BTF's header.
    pub(crate) fn read(bytes: &'a [u8], pointer: usize) -> Result<Types<'a>, BtfError> {
        let (types, strings) = parts(bytes).ok_or(BtfError::Header)?;
        let (types, strings) = (&bytes[types], &bytes[strings]);
        let mut read =
            Types { starts: Vec::new(), types, strings, composites: HashMap::new(), pointer: pointer as u64 };
        let mut at = 0;
        while at < types.len() {
            let id = read.starts.len() + 1;
            if id > MAX_TYPES {
                return Err(BtfError::Many);
            }
            let info = u32_at(types, at + 4).ok_or(BtfError::Short(id))?;
            let (kind, parts) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let more = match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * parts,
                6 | 13 => 8 * parts,
                2 | 7..=12 | 16 | 18 => 0,
                kind => return Err(BtfError::Kind { id, kind }),
            };
            let end = at + 12 + more;
            if end > types.len() {
                return Err(BtfError::Short(id));
            }
            // An offset in a section that is at most as large as u32 says.
            read.starts.push(at as u32);
            if matches!(kind, 4 | 5) {
                let name = read.bytes_of(u32_at(types, at).unwrap_or_default());
                if !name.is_empty() {
                    read.composites.entry(name).or_insert(id as Id);
                }
            }
            at = end;
        }
        Ok(read)
    }

    /// How many types there are, `void` included.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() + 1
    }

    /// The structure or union of this name.
    pub(crate) fn composite(&self, name: &str) -> Option<Id> {
        self.composites.get(name.as_bytes()).copied()
    }

    /// What a type is.
    pub(crate) fn get(&self, id: Id) -> Option<Type<'a>> {
        let Some(index) = (id as usize).checked_sub(1) else { return Some(Type::Void) };
        let at = *self.starts.get(index)? as usize;
        let header = &self.types[at..];
        let [name, info, size] = [0, 4, 8].map(|at| u32_at(header, at).unwrap_or_default());
        let more = &header[12..];
        let (count, flag) = ((info & 0xffff) as usize, info >> 31 != 0);
        let (name, bytes) = (self.name(name), size);
        Some(match info >> 24 & 0x1f {
            1 => {
                let encoding = u32_at(more, 0)? >> 24 & 0xf;
                Type::Int { name, bytes, signed: encoding & 1 != 0, boolean: encoding & 4 != 0 }
            }
            2 => Type::Pointer { to: size },
            3 => Type::Array { of: u32_at(more, 0)?, count: u32_at(more, 8)? },
            kind @ (4 | 5) => {
                let members = more.get(..12 * count)?;
                Type::Composite(Composite { name, union: kind == 5, bytes, bit_fields: flag, members })
            }
            6 => Type::Enum { name, bytes, signed: flag, wide: false, values: more.get(..8 * count)? },
            19 => Type::Enum { name, bytes, signed: flag, wide: true, values: more.get(..12 * count)? },
            7 => Type::Forward { name, union: flag },
            8..=11 | 18 => Type::Alias { to: size },
            13 => Type::Function,
            14 => Type::Variable { name, of: size },
            16 => Type::Float { name, bytes },
            _ => Type::Other,
        })
    }

    /// The names and values of an enumeration's constants.
    pub(crate) fn constants(
        &self,
        values: &'a [u8],
        wide: bool,
        signed: bool,
    ) -> impl Iterator<Item = (&'a str, i64)> {
        values.chunks_exact(if wide { 12 } else { 8 }).map(move |value| {
            let [name, low, high] = [0, 4, 8].map(|at| u32_at(value, at).unwrap_or_default());
            let value = match (wide, signed) {
                (true, _) => (u64::from(high) << 32 | u64::from(low)).cast_signed(),
                (false, true) => low.cast_signed().into(),
                (false, false) => low.into(),
            };
            (self.name(name), value)
        })
    }

    /// A member's name; empty for an anonymous one.
    pub(crate) fn name_of(&self, member: &RawMember) -> &'a str {
        self.name(member.name)
    }

    /// A name; empty where there is none.
    pub(crate) fn name(&self, offset: u32) -> &'a str {
        std::str::from_utf8(self.bytes_of(offset)).unwrap_or_default()
    }

    fn bytes_of(&self, offset: u32) -> &'a [u8] {
        text_at(self.strings, offset as usize, MAX_NAME).unwrap_or_default()
    }
}
