//! Stand-ins before a reader of shared objects and before this machine's dynamic loader.

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
    // SAFETY: each data symbol has DATA_SIZE bytes, which nothing else writes.
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
