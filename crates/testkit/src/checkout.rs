//! Paths in the checkout.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The checkout itself.
pub fn root() -> &'static Path {
    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    static ROOT_PATH: OnceLock<PathBuf> = OnceLock::new();
    ROOT_PATH.get_or_init(|| fs::canonicalize(ROOT).unwrap())
}

/// Cargo's target folder, derived from the path of this test or bench: `target/PROFILE/deps/NAME`.
pub fn target() -> PathBuf {
    profile().parent().unwrap().to_owned()
}

/// The `pandacap` that cargo built for the running test or bench; or `$PANDACAP_PROGRAM`, which runs it elsewhere.
pub fn pandacap() -> PathBuf {
    env::var_os("PANDACAP_PROGRAM").map_or_else(built, PathBuf::from)
}

/// The `pandacap` that cargo built, in any case.
pub fn built() -> PathBuf {
    profile().join("pandacap")
}

fn profile() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// Where `scripts/build` puts its output.
pub fn dist() -> PathBuf {
    target().join("dist")
}

/// The folder for the files of tests, on the same file system as the rest of `target/`.
pub fn scratch() -> PathBuf {
    let scratch = target().join("tmp");
    fs::create_dir_all(&scratch).unwrap();
    scratch
}

/// The home that the benches measure in: `$PANDACAP_HOME`, or the checkout's.
pub fn home() -> PathBuf {
    env::var_os("PANDACAP_HOME").map_or_else(|| target().join("home"), PathBuf::from)
}
