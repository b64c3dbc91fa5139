//! What the tests share: the program, and a real PANDA with a guest for it.

use std::env;
use std::path::PathBuf;
use std::process::Command as Process;

use assert_cmd::Command;

/// `pandacap` itself.
pub(crate) fn pandacap() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pandacap"))
}

/// A command that starts PANDA for x86_64 with a guest that boots Linux, and that lacks only what is to be done.
pub(crate) fn panda() -> Process {
    let needed = |name: &str| {
        PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} is needed to test on a real PANDA")))
    };
    let mut panda = Process::new(needed("PANDACAP_TEST_PANDA"));
    panda.args(["-display", "none", "-no-reboot", "-m", "256", "-net", "none"]);
    panda.arg("-L").arg(needed("PANDACAP_TEST_FIRMWARE"));
    panda.arg("-kernel").arg(needed("PANDACAP_TEST_KERNEL"));
    panda.args(["-append", "console=ttyS0 panic=-1"]);
    panda
}
