//! `panda-system-<target>`: runs the libpanda that lies beside it.
//!
//! `build.rs` compiles this file by itself, and `pandacap panda install` puts it into
//! `<target>-softmmu/`, where PANDA then finds its plugins and its firmware from `/proc/self/exe`.
//! It starts at C's `main`, not at Rust's, so that PANDA gets the process as the system made it: no signal
//! ignored, no handler set.
//!
//! The stand-ins for missing libraries are loaded first, so that libpanda's imports bind to them. Their
//! functions return 0 while libpanda's static initialisation runs, call [`refuse`] while PANDA runs, and
//! return 0 again while the process is torn down.

#![no_main]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

const RTLD_NOW: c_int = 2;
const RTLD_GLOBAL: c_int = 0x100;

unsafe extern "C" {
    fn dlopen(file: *const c_char, mode: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
    fn atexit(function: extern "C" fn()) -> c_int;
}

/// What PANDA's own `main` is called in libpanda; the last argument 0 means: set up, run and finish.
type MainAux = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char, c_int) -> c_int;

/// The `pandacap_on_call` of every stand-in: the function that its functions call; null while disarmed.
static ARMED: OnceLock<Vec<&'static AtomicPtr<c_void>>> = OnceLock::new();

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char) -> c_int {
    match load() {
        // SAFETY: the arguments are those that the C runtime gave to this process's main.
        Ok(main_aux) => unsafe { main_aux(argc, argv, envp, 0) },
        Err(message) => {
            say(&message);
            1
        }
    }
}

/// Loads the stand-ins and libpanda, and arms the stand-ins.
fn load() -> Result<MainAux, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot read /proc/self/exe: {error}"))?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let name = program.file_name().unwrap_or_default().as_bytes();
    let Some(target) = name.strip_prefix(b"panda-system-") else {
        return Err(format!("{} must be called panda-system-<target>", program.display()));
    };

    let mut hooks = Vec::new();
    for file in stand_ins(&folder.join("stand-ins"))? {
        let library = open(&file, 0)?;
        let hook = find(library, c"pandacap_on_call", &file)?.cast::<AtomicPtr<c_void>>();
        // SAFETY: a stand-in defines pandacap_on_call as one aligned, writable pointer, null at first, and is
        // never unloaded.
        hooks.push(unsafe { &*hook });
    }

    let mut libpanda = OsString::from("libpanda-");
    libpanda.push(std::ffi::OsStr::from_bytes(target));
    libpanda.push(".so");
    let libpanda = folder.join(libpanda);
    let library = open(&libpanda, RTLD_GLOBAL)?;
    let main_aux = find(library, c"main_aux", &libpanda)?;

    for hook in ARMED.get_or_init(|| hooks) {
        hook.store(refuse as *mut c_void, Ordering::Relaxed);
    }
    // Registered after libpanda was loaded, so it runs before the destructors of libpanda.
    // SAFETY: `disarm` is an ordinary function that lives as long as the process.
    if unsafe { atexit(disarm) } != 0 {
        return Err("cannot register an exit handler".to_owned());
    }
    // SAFETY: libpanda defines main_aux with this signature.
    Ok(unsafe { std::mem::transmute::<*mut c_void, MainAux>(main_aux) })
}

/// The stand-ins in `folder`; none when there is no such folder.
fn stand_ins(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let problem = |error| format!("cannot read {}: {error}", folder.display());
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(problem)?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(problem(error)),
    }
}

fn open(file: &Path, mode: c_int) -> Result<*mut c_void, String> {
    let path = CString::new(file.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the path is a C string; the constructors that this runs are those of PANDA's own libraries.
    let library = unsafe { dlopen(path.as_ptr(), RTLD_NOW | mode) };
    if library.is_null() {
        return Err(format!("{}\n`pandacap doctor` says what is missing", last_error()));
    }
    Ok(library)
}

fn find(library: *mut c_void, symbol: &CStr, file: &Path) -> Result<*mut c_void, String> {
    // SAFETY: the handle came from dlopen, the symbol is a C string.
    let address = unsafe { dlsym(library, symbol.as_ptr()) };
    if address.is_null() {
        return Err(format!("{} has no {}", file.display(), symbol.to_string_lossy()));
    }
    Ok(address)
}

fn last_error() -> String {
    // SAFETY: dlerror returns null or a C string that lives until the next call of a dl function.
    let error = unsafe { dlerror() };
    if error.is_null() {
        return "cannot load a library".to_owned();
    }
    // SAFETY: as above, and it is not null.
    unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned()
}

/// What an armed stand-in does instead of what its library would have done.
extern "C" fn refuse(library: *const c_char, symbol: *const c_char) -> ! {
    // SAFETY: a stand-in passes the addresses of two C strings of its own.
    let (library, symbol) = unsafe { (CStr::from_ptr(library), CStr::from_ptr(symbol)) };
    say(&format!(
        "panda stand-in: {} was called; this machine lacks its library, {}",
        symbol.to_string_lossy(),
        library.to_string_lossy(),
    ));
    std::process::abort()
}

/// Lets the stand-ins return 0 again: destructors call them, and there is nothing left to get wrong.
extern "C" fn disarm() {
    for hook in ARMED.get().into_iter().flatten() {
        hook.store(std::ptr::null_mut(), Ordering::Relaxed);
    }
}

/// One write, so that the line is whole in whatever PANDA is writing as well.
fn say(message: &str) {
    let _ = std::io::stderr().write_all(format!("{message}\n").as_bytes());
}
