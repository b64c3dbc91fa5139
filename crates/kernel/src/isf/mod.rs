//! All symbols and types of a kernel in the form that Volatility 3 reads: its Intermediate Symbol Format (ISF).

mod names;
mod read;
mod typed;

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};

use self::names::Names;
pub use self::read::IsfReadError;
pub(crate) use self::read::profile;
use crate::btf::{Composite, Id, RawMember, Type, Types};
use crate::error::KernelError;
use crate::kernel::Kernel;

/// The version of the format.
const FORMAT: &str = "6.2.0";
/// How many symbols' names are kept, in bytes. Kernels have less than 10 MiB of them.
const MAX_NAMES: usize = 64 << 20;
/// How many pointers to pointers and arrays of arrays are followed.
const DEPTH: usize = 32;

/// Why no symbols were written.
#[derive(Debug, thiserror::Error)]
pub enum IsfError {
    /// The kernel does not tell.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// They cannot be written.
    #[error("cannot write the symbols")]
    Write(#[from] serde_json::Error),
}

/// Writes all symbols and types of a kernel as Volatility 3's ISF, in JSON. `version` is that of this program.
pub fn isf(kernel: &Kernel, version: &str, out: impl Write) -> Result<(), IsfError> {
    let types = kernel.types()?;
    let (mut symbols, mut bytes) = (BTreeMap::new(), 0);
    kernel.symbols(|name, address| {
        if bytes < MAX_NAMES
            && let Ok(name) = std::str::from_utf8(name)
        {
            bytes += name.len();
            symbols.entry(name.to_owned()).or_insert(address);
        }
    })?;
    let writer = Isf { names: Names::of(&types), types: &types };
    let mut json = serde_json::Serializer::new(out);
    let mut parts = json.serialize_map(None)?;
    let producer = json!({ "name": "pandacap", "version": version });
    parts.serialize_entry("metadata", &json!({ "format": FORMAT, "producer": producer, "linux": {} }))?;
    parts.serialize_entry("base_types", &writer.base_types())?;
    parts.serialize_entry("user_types", &Each(|map: &mut dyn Entries| writer.user_types(map)))?;
    parts.serialize_entry("enums", &Each(|map: &mut dyn Entries| writer.enums(map)))?;
    let variables = writer.variables();
    let symbols = Each(|map: &mut dyn Entries| {
        for (name, address) in &symbols {
            let symbol = match &**name {
                // By this, Volatility finds out which kernel a memory is of.
                "linux_banner" => {
                    let text = format!("{}\n\0", kernel.banner());
                    let letters = json!({ "kind": "base", "name": "char" });
                    let array = json!({ "kind": "array", "count": text.len(), "subtype": letters });
                    json!({ "address": address, "type": array, "constant_data": STANDARD.encode(text) })
                }
                own => match variables.get(own).cloned().or_else(|| typed::of(own, &writer)) {
                    Some(of) => json!({ "address": address, "type": of }),
                    None => json!({ "address": address }),
                },
            };
            map.entry(name, &symbol)?;
        }
        Ok(())
    });
    parts.serialize_entry("symbols", &symbols)?;
    parts.end()?;
    Ok(())
}

struct Isf<'a> {
    types: &'a Types<'a>,
    names: Names<'a>,
}

impl Isf<'_> {
    /// The numbers, by their names.
    fn base_types(&self) -> BTreeMap<&str, Value> {
        let base = |size: u64, kind: &str, signed: bool| json!({ "size": size, "kind": kind, "signed": signed, "endian": "little" });
        let mut found = BTreeMap::from([
            ("void", base(0, "void", false)),
            ("pointer", base(self.types.pointer, "int", false)),
        ]);
        for (name, bytes, signed) in ENUM_BASES {
            found.insert(name, base(bytes.into(), "int", signed));
        }
        for id in 1..self.types.count() as Id {
            let (name, value) = match self.types.get(id) {
                Some(Type::Int { name, bytes, signed, boolean }) => {
                    let kind = match boolean {
                        true => "bool",
                        false if bytes == 1 => "char",
                        false => "int",
                    };
                    (name, base(bytes.into(), kind, signed))
                }
                Some(Type::Float { name, bytes }) => (name, base(bytes.into(), "float", true)),
                _ => continue,
            };
            found.insert(name, value);
        }
        found
    }

    /// The structures and unions.
    fn user_types(&self, map: &mut dyn Entries) -> Result<(), EntryError> {
        for id in 1..self.types.count() as Id {
            let Some(Type::Composite(composite)) = self.types.get(id) else { continue };
            let mut fields = serde_json::Map::new();
            for (number, member) in composite.members().enumerate() {
                let name = match self.types.name_of(&member) {
                    "" => format!("unnamed_field_{number}"),
                    name => name.to_owned(),
                };
                fields.insert(name, self.field(&member));
            }
            let value = json!({ "kind": kind(&composite), "size": composite.bytes, "fields": fields });
            map.entry(&self.names.of_id(id, composite.name), &value)?;
        }
        Ok(())
    }

    fn field(&self, member: &RawMember) -> Value {
        if member.bits != 0 {
            return self.bit_field(member);
        }
        let of = self.describe(member.of, DEPTH);
        let is_composite = matches!(self.types.resolve(member.of), Some((_, Type::Composite(_))));
        let offset = member.bit / 8;
        match self.types.name_of(member).is_empty() && is_composite {
            true => json!({ "type": of, "offset": offset, "anonymous": true }),
            false => json!({ "type": of, "offset": offset }),
        }
    }

    /// A bit field is in the number, of its own type's size, that begins at a multiple of that size.
    fn bit_field(&self, member: &RawMember) -> Value {
        let unit = self.types.size(member.of).unwrap_or(1).clamp(1, 8) * 8;
        let start = member.bit / unit * unit;
        let (start, of) = match self.types.resolve(member.of) {
            Some((_, Type::Int { .. } | Type::Enum { .. })) if member.bit + member.bits <= start + unit => {
                (start, self.describe(member.of, DEPTH))
            }
            _ => (member.bit / 8 * 8, json!({ "kind": "base", "name": "unsigned int" })),
        };
        let of = json!({
            "kind": "bitfield", "bit_length": member.bits, "bit_position": member.bit - start, "type": of,
        });
        json!({ "type": of, "offset": start / 8 })
    }

    fn enums(&self, map: &mut dyn Entries) -> Result<(), EntryError> {
        for id in 1..self.types.count() as Id {
            let Some(Type::Enum { name, bytes, signed, wide, values }) = self.types.get(id) else { continue };
            let constants: serde_json::Map<String, Value> = self
                .types
                .constants(values, wide, signed)
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            let base = ENUM_BASES.iter().find(|base| (base.1, base.2) == (bytes, signed));
            let base = base.map_or("unsigned int", |base| base.0);
            let value = json!({ "size": bytes, "base": base, "constants": constants });
            map.entry(&self.names.of_id(id, name), &value)?;
        }
        Ok(())
    }

    /// The types of those symbols of which BTF tells: per-processor variables, and in later kernels all.
    fn variables(&self) -> BTreeMap<&str, Value> {
        let types = (1..self.types.count() as Id).filter_map(|id| self.types.get(id));
        types
            .filter_map(|found| match found {
                Type::Variable { name, of } => Some((name, self.describe(of, DEPTH))),
                _ => None,
            })
            .collect()
    }

    /// A type as it is referred to.
    fn describe(&self, id: Id, depth: usize) -> Value {
        let void = || json!({ "kind": "base", "name": "void" });
        let Some((id, found)) = self.types.resolve(id).filter(|_| depth > 0) else { return void() };
        match found {
            Type::Pointer { to } => json!({ "kind": "pointer", "subtype": self.describe(to, depth - 1) }),
            Type::Array { of, count } => {
                json!({ "kind": "array", "count": count, "subtype": self.describe(of, depth - 1) })
            }
            Type::Int { name, .. } | Type::Float { name, .. } => json!({ "kind": "base", "name": name }),
            Type::Composite(composite) => {
                json!({ "kind": kind(&composite), "name": self.names.of_id(id, composite.name) })
            }
            Type::Enum { name, .. } => json!({ "kind": "enum", "name": self.names.of_id(id, name) }),
            Type::Forward { name, union } => {
                json!({ "kind": if union { "union" } else { "struct" }, "name": name })
            }
            Type::Function => json!({ "kind": "function" }),
            Type::Void | Type::Alias { .. } | Type::Variable { .. } | Type::Other => void(),
        }
    }
}

/// What enumerations are kept in.
const ENUM_BASES: [(&str, u32, bool); 8] = [
    ("unsigned char", 1, false),
    ("signed char", 1, true),
    ("short unsigned int", 2, false),
    ("short int", 2, true),
    ("unsigned int", 4, false),
    ("int", 4, true),
    ("long long unsigned int", 8, false),
    ("long long int", 8, true),
];

fn kind(composite: &Composite<'_>) -> &'static str {
    if composite.union { "union" } else { "struct" }
}

/// The entries of a map that is written as they come, because all of them would take hundreds of megabytes.
trait Entries {
    fn entry(&mut self, name: &str, value: &Value) -> Result<(), EntryError>;
}

/// Why an entry was not written, which only the serializer knows.
struct EntryError;

struct Each<F>(F);

impl<F: Fn(&mut dyn Entries) -> Result<(), EntryError>> serde::Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Map<M: SerializeMap>(M, Option<M::Error>);
        impl<M: SerializeMap> Entries for Map<M> {
            fn entry(&mut self, name: &str, value: &Value) -> Result<(), EntryError> {
                self.0.serialize_entry(name, value).map_err(|error| {
                    self.1 = Some(error);
                    EntryError
                })
            }
        }
        let mut map = Map(serializer.serialize_map(None)?, None);
        match ((self.0)(&mut map), map.1) {
            (Err(EntryError), Some(error)) => Err(error),
            _ => map.0.end(),
        }
    }
}

#[cfg(test)]
mod tests;
