//! What the tests share: the program, and the wheel that PANDA comes in.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::OnceLock;

use assert_cmd::Command;
use pandacap::panda::{Panda, Selection};
use pandacap::target::Target;

use crate::machine::Lab;

/// `pandacap`, with its home in `home` and without the PANDA that the machine may have.
pub fn pandacap(home: &Path) -> Command {
    Command::from_std(process(home))
}

/// The same, to be left running.
pub fn process(home: &Path) -> Process {
    let mut command = Process::new(env!("CARGO_BIN_EXE_pandacap"));
    command.env("PANDACAP_HOME", home).env_remove("PANDA_PATH").env_remove("PANDA_DIR");
    if let (Some(panda), true) = (selection().panda, home == shared()) {
        command.env("PANDA_PATH", panda);
    }
    command
}

/// The PANDA that whole runs are tried on: `$PANDA_PATH`, or the embedded one.
pub fn selection() -> Selection {
    Selection { panda: std::env::var_os("PANDA_PATH").map(PathBuf::from), ..Selection::default() }
}

fn shared() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("home")
}

/// A home with PANDA and the tiny guest in it, made once and kept in cargo's target folder.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = shared();
        pandacap(&home).args(["panda", "install", "--wheel"]).arg(wheel()).assert().success();
        home
    })
}

/// PANDA, the tiny guest and recctrl, for tests that drive them without `pandacap rec`.
pub fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    LAB.get_or_init(|| {
        let panda = Panda::find(home(), &selection(), Target::X86_64).unwrap();
        Lab::open(panda, home(), &scratch.with_file_name("dist"), scratch)
    })
}

/// Compiles a plugin in C, from its place in the checkout.
pub fn in_c(source: &str) -> tempfile::TempPath {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plugin = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let mut cc = Process::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]);
    cc.arg("-I").arg(root.join("plugin/include")).arg("-I").arg(root.join("panda-sys/include"));
    assert!(cc.arg("-o").arg(&plugin).arg(root.join(source)).status().unwrap().success(), "{source}");
    plugin
}

/// A plugin of `examples/`, built as its users do.
pub fn example(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Process::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", &format!("example-{name}"), "--target-dir"]).arg(target);
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(status.success(), "the example {name} does not build");
    target.join(format!("debug/libpanda_{name}.so"))
}

/// The folder with the wheel of PANDA, downloaded once and kept in cargo's target folder.
pub fn wheelhouse() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheelhouse");
        if !folder.join(WHEEL).is_file() {
            let mut pip = Process::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "pandare==0.1.1.5", "--dest"]);
            let status = pip.arg(&folder).status().expect("python3 is needed to download PANDA");
            assert!(status.success(), "pip could not download PANDA: {status}");
        }
        folder
    })
}

/// The wheel itself.
pub fn wheel() -> PathBuf {
    wheelhouse().join(WHEEL)
}

const WHEEL: &str = "pandare-0.1.1.5-py3-none-any.whl";
