//! The way back: a profile from Volatility's ISF, which dwarf2json makes of debug packages. It is how a kernel without BTF
//! gets a profile.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel_profile::{Architecture, Profile};
use serde::Deserialize;

use crate::banner;
use crate::kernel::{Layout, Wanted, assemble};

/// How many anonymous members may be in each other.
const DEPTH: usize = 32;
/// How many members are looked at for one path.
const STEPS: usize = 200_000;

/// Why there is no profile in an ISF.
#[derive(Debug, thiserror::Error)]
pub enum IsfReadError {
    /// It is something else.
    #[error("it is not Volatility's ISF")]
    Json(#[from] serde_json::Error),
    /// It does not say for which kernel it is.
    #[error("its symbol linux_banner has no text, so it is not for a Linux kernel")]
    NoBanner,
    /// It does not say for which architecture it is.
    #[error("its types have no pointer of 4 or 8 bytes")]
    NoPointer,
}

#[derive(Deserialize)]
struct Isf {
    base_types: HashMap<String, Sized>,
    user_types: HashMap<String, UserType>,
    enums: HashMap<String, Sized>,
    symbols: HashMap<String, Symbol>,
}

#[derive(Deserialize)]
struct Sized {
    size: u64,
}

#[derive(Deserialize)]
struct UserType {
    size: u64,
    fields: HashMap<String, Field>,
}

#[derive(Deserialize)]
struct Field {
    offset: u64,
    #[serde(rename = "type")]
    of: Of,
    #[serde(default)]
    anonymous: bool,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Of {
    Pointer,
    Base { name: String },
    Array { count: u64, subtype: Box<Of> },
    Struct { name: String },
    Union { name: String },
    Class { name: String },
    Enum { name: String },
    Function,
    Bitfield { bit_length: u64, bit_position: u64 },
}

#[derive(Deserialize)]
struct Symbol {
    address: u64,
    constant_data: Option<String>,
}

/// The profile in an ISF, which need not be trusted.
pub(crate) fn profile(text: &[u8]) -> Result<Profile, IsfReadError> {
    let isf: Isf = serde_json::from_slice(text)?;
    let banner = isf.symbols.get("linux_banner").and_then(|symbol| symbol.constant_data.as_ref());
    let banner = banner.and_then(|data| STANDARD.decode(data).ok());
    let banner = banner.and_then(|banner| banner::find(&banner)).ok_or(IsfReadError::NoBanner)?;
    let target = isf.architecture().ok_or(IsfReadError::NoPointer)?;
    let mut wanted = Wanted::default();
    for (name, symbol) in &isf.symbols {
        wanted.add(name.as_bytes(), symbol.address);
    }
    Ok(assemble(target, &banner, wanted.found(), &isf))
}

impl Isf {
    fn architecture(&self) -> Option<Architecture> {
        let has = |symbol| self.symbols.contains_key(symbol);
        match (self.base_types.get("pointer")?.size, has("idt_table")) {
            (8, true) => Some(Architecture::X86_64),
            (8, false) => Some(Architecture::Aarch64),
            (4, true) => Some(Architecture::I386),
            (4, false) => Some(Architecture::Arm),
            _ => None,
        }
    }

    fn size(&self, of: &Of) -> Option<u64> {
        match of {
            Of::Pointer => Some(self.base_types.get("pointer")?.size),
            Of::Base { name } => Some(self.base_types.get(name)?.size),
            Of::Enum { name } => Some(self.enums.get(name)?.size),
            Of::Struct { name } | Of::Union { name } | Of::Class { name } => {
                Some(self.user_types.get(name)?.size)
            }
            Of::Array { count, subtype } => self.size(subtype)?.checked_mul(*count),
            Of::Function | Of::Bitfield { .. } => None,
        }
    }

    /// A field by its own name, in anonymous ones too, and how far it is from the start of the outermost.
    fn find<'a>(
        &'a self,
        of: &'a UserType,
        name: &str,
        depth: usize,
        steps: &mut usize,
    ) -> Option<(u64, &'a Of)> {
        *steps = steps.checked_sub(of.fields.len())?;
        if let Some(field) = of.fields.get(name) {
            return Some((field.offset, &field.of));
        }
        if depth == 0 {
            return None;
        }
        of.fields.values().filter(|field| field.anonymous).find_map(|field| {
            let (offset, found) = self.find(self.composite(&field.of)?, name, depth - 1, steps)?;
            Some((field.offset.checked_add(offset)?, found))
        })
    }

    fn composite(&self, of: &Of) -> Option<&UserType> {
        match of {
            Of::Struct { name } | Of::Union { name } | Of::Class { name } => self.user_types.get(name),
            _ => None,
        }
    }
}

impl Layout for Isf {
    fn size_of(&self, composite: &str) -> Option<u64> {
        Some(self.user_types.get(composite)?.size)
    }

    fn member(&self, composite: &str, path: &str) -> Option<(u64, Option<u64>)> {
        let mut steps = STEPS;
        let (mut of, mut at, mut last) = (self.user_types.get(composite), 0_u64, None);
        for name in path.split('.') {
            let (offset, found) = self.find(of?, name, DEPTH, &mut steps)?;
            at = at.checked_add(offset)?;
            of = self.composite(found);
            last = Some(found);
        }
        match last? {
            Of::Bitfield { bit_length, bit_position } => {
                let whole = bit_length % 8 == 0 && bit_position % 8 == 0;
                whole.then_some((at.checked_add(bit_position / 8)?, Some(bit_length / 8)))
            }
            of => Some((at, self.size(of))),
        }
    }
}
