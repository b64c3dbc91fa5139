//! Stand-ins: shared objects that take the place of libraries which PANDA links and a machine lacks.
//!
//! A stand-in has the library's soname and versions and defines what PANDA imports from it. A function
//! returns 0 while `pandacap_on_call` is null, else it calls that with the library's name and its own. Data
//! is zero. They are written byte by byte, since a machine that records needs no compiler.

use std::collections::BTreeMap;

use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, Verdef, Writer};

/// The pointer by which the launcher arms a stand-in.
pub const ON_CALL: &str = "pandacap_on_call";

/// The room that each data symbol gets, in bytes: more than any object that PANDA takes from a library.
const DATA_SIZE: u64 = 256;
const PAGE: usize = 4096;
/// The size, in bytes, of one function, and twice of the code that they share.
const STUB: usize = 16;
const SHARED: usize = 2 * STUB;

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
    elf.write(&code(text, bss as usize, strings_at, &strings.offsets));
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

/// The C strings that the code refers to: the label, then the name of each function.
struct Strings {
    bytes: Vec<u8>,
    /// Where each function's name begins.
    offsets: Vec<usize>,
}

impl Strings {
    fn new(label: &str, symbols: &[Symbol]) -> Strings {
        let mut strings = Strings { bytes: label.as_bytes().to_vec(), offsets: Vec::new() };
        for symbol in symbols.iter().filter(|symbol| !symbol.data) {
            strings.bytes.push(0);
            strings.offsets.push(strings.bytes.len());
            strings.bytes.extend_from_slice(symbol.name.as_bytes());
        }
        strings.bytes.push(0);
        strings
    }
}

/// The machine code: what all functions share, then the functions. Everything is reached relative to the
/// instruction pointer, so that nothing has to be relocated.
fn code(text: usize, hook: usize, strings: usize, names: &[usize]) -> Vec<u8> {
    let mut code = Vec::with_capacity(SHARED + names.len() * STUB);
    // mov rax, [rip + hook]
    code.extend([0x48, 0x8b, 0x05]);
    relative(&mut code, text, hook);
    // test rax, rax; jnz over the ret; ret: not armed, and rax is 0
    code.extend([0x48, 0x85, 0xc0, 0x75, 0x01, 0xc3]);
    // lea rdi, [rip + label]; mov rsi, r11; jmp rax: the hook, with the stack as the caller left it
    code.extend([0x48, 0x8d, 0x3d]);
    relative(&mut code, text, strings);
    code.extend([0x4c, 0x89, 0xde, 0xff, 0xe0]);
    code.resize(SHARED, INT3);
    for (index, name) in names.iter().enumerate() {
        // lea r11, [rip + name]; jmp to what all share
        code.extend([0x4c, 0x8d, 0x1d]);
        relative(&mut code, text, strings + name);
        code.push(0xe9);
        relative(&mut code, text, text);
        code.resize(SHARED + (index + 1) * STUB, INT3);
    }
    code
}

const INT3: u8 = 0xcc;

/// Appends the distance from the end of this operand, which ends its instruction, to `target`.
fn relative(code: &mut Vec<u8>, text: usize, target: usize) {
    let distance = target as i64 - (text + code.len() + 4) as i64;
    // A stand-in is far smaller than 2 GiB: the distance fits.
    code.extend((distance as i32).to_le_bytes());
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
mod tests {
    use std::ffi::{CStr, CString, c_char, c_void};
    use std::os::unix::ffi::OsStrExt;
    use std::sync::Mutex;

    use object::read::{Object, ObjectSymbol};

    use super::*;

    fn symbol(name: &str, version: Option<&str>, data: bool) -> Symbol {
        Symbol { name: name.to_owned(), version: version.map(str::to_owned), data }
    }

    /// Two versions of one function, a function without a version, and two data objects.
    fn sample() -> StandIn {
        let symbols = vec![
            symbol("pour", Some("TEA_2"), false),
            symbol("kettle", Some("TEA_1"), true),
            symbol("drink", None, false),
            symbol("pour", Some("TEA_1"), false),
            symbol("cup", None, true),
        ];
        StandIn { symbols, ..StandIn::of("libtea.so.1") }
    }

    #[test]
    fn a_reader_of_shared_objects_finds_the_soname_the_symbols_and_their_versions() {
        let bytes = sample().to_elf().unwrap();
        let file = object::read::elf::ElfFile64::<object::LittleEndian>::parse(&*bytes).unwrap();
        let names: Vec<&str> = file.dynamic_symbols().map(|symbol| symbol.name().unwrap()).collect();
        assert_eq!(names, [ON_CALL, "pour", "kettle", "drink", "pour", "cup"]);
        let table = file.elf_section_table().versions(object::LittleEndian, &*bytes).unwrap().unwrap();
        let version = |index| {
            let index = table.version_index(object::LittleEndian, object::SymbolIndex(index));
            table.version(index).unwrap().map(|version| version.name())
        };
        let versions: Vec<Option<&[u8]>> = (1..=6).map(version).collect();
        assert_eq!(versions, [None, Some(&b"TEA_2"[..]), Some(b"TEA_1"), None, Some(b"TEA_1"), None]);
    }

    #[test]
    fn a_library_without_anything_is_a_stand_in_too() {
        let bytes = StandIn::of("libempty.so").to_elf().unwrap();
        let library = Loaded::new(&bytes);
        assert!(!library.find(c"pandacap_on_call").is_null());
    }

    static CALLED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

    extern "C" fn note(label: *const c_char, symbol: *const c_char) -> usize {
        // SAFETY: a stand-in passes the addresses of two C strings of its own.
        let [label, symbol] = [label, symbol].map(|text| unsafe { CStr::from_ptr(text) }.to_string_lossy());
        CALLED.lock().unwrap().push((label.into_owned(), symbol.into_owned()));
        7
    }

    #[test]
    fn the_loader_takes_it_and_its_functions_return_0_until_they_are_armed() {
        let library = Loaded::new(&sample().to_elf().unwrap());
        // SAFETY: `drink` is a function of the stand-in, which takes nothing and returns what is in rax.
        let drink: extern "C" fn() -> usize = unsafe { std::mem::transmute(library.find(c"drink")) };
        // SAFETY: likewise.
        let pour: extern "C" fn() -> usize =
            unsafe { std::mem::transmute(library.find_version(c"pour", c"TEA_1")) };
        assert_eq!((drink(), pour()), (0, 0));
        let hook = library.find(c"pandacap_on_call").cast::<*const c_void>();
        // SAFETY: the hook is one writable pointer, and only this thread calls into this library.
        unsafe { hook.write(note as *const c_void) };
        assert_eq!((drink(), pour()), (7, 7));
        // SAFETY: as above.
        unsafe { hook.write(std::ptr::null()) };
        assert_eq!(drink(), 0);
        let expected = ["drink", "pour"].map(|name| ("libtea.so.1".to_owned(), name.to_owned()));
        assert_eq!(*CALLED.lock().unwrap(), expected);
    }

    #[test]
    fn each_data_symbol_has_zeroes_of_its_own() {
        let library = Loaded::new(&sample().to_elf().unwrap());
        let [cup, kettle] = [library.find(c"cup"), library.find(c"kettle")].map(|data| data.cast::<u8>());
        // SAFETY: each data symbol has DATA_SIZE bytes, which nobody else writes.
        let cup = unsafe { std::slice::from_raw_parts_mut(cup, DATA_SIZE as usize) };
        assert!(cup.iter().all(|byte| *byte == 0));
        cup.fill(1);
        // SAFETY: as above.
        let kettle = unsafe { std::slice::from_raw_parts(kettle, DATA_SIZE as usize) };
        assert!(kettle.iter().all(|byte| *byte == 0));
    }

    /// A stand-in in this process.
    struct Loaded(*mut c_void);

    impl Loaded {
        fn new(bytes: &[u8]) -> Loaded {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let path = CString::new(file.path().as_os_str().as_bytes()).unwrap();
            // SAFETY: the path is a C string, and a stand-in has no constructors.
            let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            assert!(!library.is_null(), "the dynamic loader refuses the stand-in");
            Loaded(library)
        }

        fn find(&self, symbol: &CStr) -> *mut c_void {
            // SAFETY: the handle came from dlopen, the symbol is a C string.
            unsafe { libc::dlsym(self.0, symbol.as_ptr()) }
        }

        fn find_version(&self, symbol: &CStr, version: &CStr) -> *mut c_void {
            // SAFETY: the handle came from dlopen, the others are C strings.
            unsafe { libc::dlvsym(self.0, symbol.as_ptr(), version.as_ptr()) }
        }
    }
}
