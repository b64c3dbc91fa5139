//! Fakes of programs that pandacap runs.

use std::fs;
use std::path::{Path, PathBuf};

/// A fake PANDA below `prefix`: a script that prints a version, and otherwise runs `then`.
///
/// Not a link, because PANDA asks the system where its program is.
pub fn panda(prefix: &Path, version: &str, then: &str) -> PathBuf {
    let program = prefix.join("bin/panda-system-x86_64");
    fs::create_dir_all(prefix.join("bin/panda/plugins")).unwrap();
    let tell = format!("case \"$*\" in *-version*) exec echo QEMU emulator version {version} ;; esac");
    crate::files::script(&program, &format!("{tell}\n{then}"));
    program
}
