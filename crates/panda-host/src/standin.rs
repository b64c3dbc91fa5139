//! Stand-ins: shared objects that take the place of libraries which PANDA links and a machine lacks.
//!
//! A stand-in has the library's soname and versions and defines what PANDA imports from it. A function
//! returns 0 while `pandacap_on_call` is null, else it calls that with the library's name and its own. Data
//! is zero. They are written byte by byte, since a machine that records needs no compiler.

mod code;

use std::collections::BTreeMap;

use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Verdef, Writer};

use self::code::{SHARED, STUB, Strings, assemble};

/// The pointer by which the launcher arms a stand-in.
pub const ON_CALL: &str = "pandacap_on_call";

/// The room that each data symbol gets, in bytes: more than any object that PANDA takes from a library.
const DATA_SIZE: u64 = 256;
const PAGE: usize = 4096;

/// Something that a library must define.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    /// Its name, mangled.
    pub name: String,
    /// The version under which it is asked for.
    pub version: Option<String>,
    /// Data, not a function.
    pub data: bool,
}

/// What a stand-in is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The library that it takes the place of.
    pub soname: String,
    /// What it tells `pandacap_on_call` that its functions belong to.
    pub label: String,
    /// What it defines.
    pub symbols: Vec<Symbol>,
}

impl StandIn {
    /// One that defines nothing yet.
    pub fn of(soname: &str) -> StandIn {
        StandIn { soname: soname.to_owned(), label: soname.to_owned(), symbols: Vec::new() }
    }

    /// The shared object.
    pub fn to_elf(&self) -> Result<Vec<u8>, object::write::Error> {
        write(self)
    }
}

fn write(stand_in: &StandIn) -> Result<Vec<u8>, object::write::Error> {
    let StandIn { soname, label, symbols } = stand_in;
    let mut bytes = Vec::new();
    let mut elf = Writer::new(object::Endianness::Little, true, &mut bytes);
    let versions = version_indices(symbols);

    // What the dynamic loader reads, then the names that `pandacap_on_call` is given.
    elf.reserve_file_header();
    elf.reserve_program_headers(5);
    let soname_id = elf.add_dynamic_string(soname.as_bytes());
    let hook_name = elf.add_dynamic_string(ON_CALL.as_bytes());
    let names: Vec<StringId> = symbols.iter().map(|s| elf.add_dynamic_string(s.name.as_bytes())).collect();
    let version_names: Vec<(u16, StringId)> =
        versions.iter().map(|(name, index)| (*index, elf.add_dynamic_string(name.as_bytes()))).collect();
    elf.reserve_null_dynamic_symbol_index();
    for _ in 0..=symbols.len() {
        elf.reserve_dynamic_symbol_index();
    }
    let count = elf.dynamic_symbol_count();
    let hash = elf.reserve_hash(count, count);
    let dynsym = elf.reserve_dynsym();
    let dynstr = elf.reserve_dynstr();
    let versym = elf.reserve_gnu_versym();
    let verdef = elf.reserve_gnu_verdef(1 + versions.len(), 1 + versions.len());
    let strings = Strings::new(label, symbols);
    let strings_at = elf.reserve(strings.bytes.len(), 1);
    let read_only = elf.reserved_len();

    let functions = symbols.iter().filter(|symbol| !symbol.data).count();
    let text = elf.reserve(SHARED + functions * STUB, PAGE);
    let text_end = elf.reserved_len();
    elf.reserve_until(text_end.next_multiple_of(PAGE));
    let dynamic = elf.reserve_dynamic(DYNAMIC_ENTRIES);
    // Zeroes that take no room in the file: the hook, then the data symbols.
    let bss = (elf.reserved_len() as u64).next_multiple_of(16);
    let bss_size = 16 + (symbols.len() - functions) as u64 * DATA_SIZE;

    elf.reserve_null_section_index();
    elf.reserve_hash_section_index();
    elf.reserve_dynsym_section_index();
    elf.reserve_dynstr_section_index();
    elf.reserve_gnu_versym_section_index();
    elf.reserve_gnu_verdef_section_index();
    let text_name = elf.add_section_name(b".text");
    let text_section = elf.reserve_section_index();
    elf.reserve_dynamic_section_index();
    let bss_name = elf.add_section_name(b".bss");
    let bss_section = elf.reserve_section_index();
    elf.reserve_shstrtab_section_index();
    elf.reserve_shstrtab();
    elf.reserve_section_headers();

    elf.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_DYN,
        e_machine: elf::EM_X86_64,
        e_entry: 0,
        e_flags: 0,
    })?;
    elf.write_align_program_headers();
    let rw = elf::PF_R | elf::PF_W;
    let dynamic_size = bss - dynamic as u64;
    for (kind, flags, start, size, memory, align) in [
        (elf::PT_LOAD, elf::PF_R, 0, read_only as u64, read_only as u64, PAGE as u64),
        (
            elf::PT_LOAD,
            elf::PF_R | elf::PF_X,
            text,
            (text_end - text) as u64,
            (text_end - text) as u64,
            PAGE as u64,
        ),
        (elf::PT_LOAD, rw, dynamic, DYNAMIC_SIZE, dynamic_size + bss_size, PAGE as u64),
        (elf::PT_DYNAMIC, rw, dynamic, DYNAMIC_SIZE, DYNAMIC_SIZE, 8),
        (elf::PT_GNU_STACK, rw, 0, 0, 0, 16),
    ] {
        elf.write_program_header(&ProgramHeader {
            p_type: kind,
            p_flags: flags,
            p_offset: start as u64,
            p_vaddr: start as u64,
            p_paddr: start as u64,
            p_filesz: size,
            p_memsz: memory,
            p_align: align,
        });
    }

    let hash_of = |index: u32| match index {
        0 => None,
        1 => Some(elf::hash(ON_CALL.as_bytes())),
        n => symbols.get(n as usize - 2).map(|symbol| elf::hash(symbol.name.as_bytes())),
    };
    elf.write_hash(count, count, hash_of);
    elf.write_null_dynamic_symbol();
    let mut next_function = (text + SHARED) as u64;
    let mut next_data = bss + 16;
    elf.write_dynamic_symbol(&global(hook_name, elf::STT_OBJECT, bss_section, bss, 8));
    for (symbol, name) in symbols.iter().zip(&names) {
        elf.write_dynamic_symbol(&if symbol.data {
            next_data += DATA_SIZE;
            global(*name, elf::STT_OBJECT, bss_section, next_data - DATA_SIZE, DATA_SIZE)
        } else {
            next_function += STUB as u64;
            global(*name, elf::STT_FUNC, text_section, next_function - STUB as u64, STUB as u64)
        });
    }
    elf.write_dynstr();
    elf.write_null_gnu_versym();
    elf.write_gnu_versym(elf::VER_NDX_GLOBAL);
    for symbol in symbols {
        let index = symbol.version.as_ref().map_or(elf::VER_NDX_GLOBAL, |version| versions[version.as_str()]);
        elf.write_gnu_versym(index);
    }
    elf.write_align_gnu_verdef();
    let base = Verdef { version: 1, flags: elf::VER_FLG_BASE, index: 1, aux_count: 1, name: soname_id };
    elf.write_gnu_verdef(&base);
    for &(index, name) in &version_names {
        elf.write_gnu_verdef(&Verdef { version: 1, flags: 0, index, aux_count: 1, name });
    }
    elf.write(&strings.bytes);

    elf.pad_until(text);
    elf.write(&assemble(text, bss as usize, strings_at, &strings.offsets));
    elf.pad_until(dynamic);
    elf.write_dynamic_string(elf::DT_SONAME, soname_id);
    for (tag, value) in [
        (elf::DT_HASH, hash as u64),
        (elf::DT_SYMTAB, dynsym as u64),
        (elf::DT_SYMENT, 24),
        (elf::DT_STRTAB, dynstr as u64),
        (elf::DT_STRSZ, elf.dynstr_len() as u64),
        (elf::DT_VERSYM, versym as u64),
        (elf::DT_VERDEF, verdef as u64),
        (elf::DT_VERDEFNUM, 1 + versions.len() as u64),
        (elf::DT_NULL, 0),
    ] {
        elf.write_dynamic(tag, value);
    }

    elf.write_shstrtab();
    elf.write_null_section_header();
    elf.write_hash_section_header(hash as u64);
    elf.write_dynsym_section_header(dynsym as u64, 1);
    elf.write_dynstr_section_header(dynstr as u64);
    elf.write_gnu_versym_section_header(versym as u64);
    elf.write_gnu_verdef_section_header(verdef as u64);
    let exec = u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR);
    let bits = elf::SHT_PROGBITS;
    elf.write_section_header(&section(text_name, bits, exec, text as u64, (text_end - text) as u64));
    elf.write_dynamic_section_header(dynamic as u64);
    let zeroed = u64::from(elf::SHF_ALLOC | elf::SHF_WRITE);
    elf.write_section_header(&section(bss_name, elf::SHT_NOBITS, zeroed, bss, bss_size));
    elf.write_shstrtab_section_header();
    Ok(bytes)
}

const DYNAMIC_ENTRIES: usize = 10;
const DYNAMIC_SIZE: u64 = DYNAMIC_ENTRIES as u64 * 16;

/// Numbers the versions; 0 and 1 have a meaning of their own.
fn version_indices(symbols: &[Symbol]) -> BTreeMap<&str, u16> {
    let mut indices: BTreeMap<&str, u16> =
        symbols.iter().filter_map(|symbol| Some((symbol.version.as_deref()?, 0))).collect();
    for (index, slot) in (2..).zip(indices.values_mut()) {
        *slot = index;
    }
    indices
}

fn global(name: StringId, kind: u8, section: object::write::elf::SectionIndex, value: u64, size: u64) -> Sym {
    Sym {
        name: Some(name),
        section: Some(section),
        st_info: (elf::STB_GLOBAL << 4) | kind,
        st_other: elf::STV_DEFAULT,
        st_shndx: 0,
        st_value: value,
        st_size: size,
    }
}

fn section(name: StringId, kind: u32, flags: u64, start: u64, size: u64) -> SectionHeader {
    SectionHeader {
        name: Some(name),
        sh_type: kind,
        sh_flags: flags,
        sh_addr: start,
        sh_offset: start,
        sh_size: size,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: 16,
        sh_entsize: 0,
    }
}

#[cfg(test)]
mod tests;
