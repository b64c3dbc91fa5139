//! `pandacap` as users run it, and the home that most tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::sync::OnceLock;

use assert_cmd::Command;
use panda_host::Selection;
use serde_json::Value;
use tempfile::TempDir;

use crate::checkout::{self, scratch};
use crate::run;
use crate::wheel::wheel;

/// `pandacap`, with its home in `home`, ignoring any PANDA that the machine may have.
pub fn pandacap(home: &Path) -> Command {
    Command::from_std(process(home))
}

/// The same, as a process that is left running.
pub fn process(home: &Path) -> Process {
    let mut command = Process::new(checkout::pandacap());
    command.env("PANDACAP_HOME", home).env_remove("PANDA_PATH").env_remove("PANDA_DIR");
    if let (Some(panda), true) = (selection().panda, home == shared()) {
        command.env("PANDA_PATH", panda);
    }
    command
}

/// A home for commands that need none.
pub fn nowhere() -> &'static Path {
    Path::new("/nowhere")
}

/// A home with PANDA and the tiny guest in it, made once and kept in cargo's target folder.
pub fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = shared();
        // A program that runs elsewhere has its own PANDA there; this one is for tests that start PANDA themselves.
        let mut install = Command::new(checkout::built());
        install.env("PANDACAP_HOME", &home).args(["panda", "install", "--wheel"]).arg(wheel());
        install.assert().success();
        home
    })
}

fn shared() -> PathBuf {
    scratch().join("home")
}

/// The PANDA for whole runs: `$PANDA_PATH`, or the embedded one.
pub fn selection() -> Selection {
    Selection { panda: std::env::var_os("PANDA_PATH").map(PathBuf::from), ..Selection::default() }
}

/// The document that a command printed under `--json`.
pub fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A home in `dir` with PANDA and the tiny guest, for tests that warm it: other tests boot the shared one cold.
pub fn own_home(dir: &Path) -> PathBuf {
    let own = dir.join("home");
    pandacap(home()).args(["rec", "--dry-run", "--", "true"]).assert().success();
    fs::create_dir(&own).unwrap();
    run(Process::new("cp").arg("-a").arg(home().join("panda")).arg(&own));
    fs::create_dir(own.join("guests")).unwrap();
    run(Process::new("cp").arg("-a").arg(home().join("guests/tiny")).arg(own.join("guests")));
    // If `scripts/bench runs` was run before.
    fs::remove_dir_all(own.join("guests/tiny/warm")).ok();
    own
}

/// A verified trace called `t` of a command in the tiny guest; returns the folder that contains it, and its own.
pub fn recorded(command: &[&str]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut rec = pandacap(home());
    rec.args(["rec", "--name", "t", "--out"]).arg(dir.path()).arg("--").args(command).assert().success();
    let trace = dir.path().join("t");
    (dir, trace)
}

/// The exit code of `pandacap verify`, and its reports, one for each trace.
pub fn verify(folder: &Path) -> (Option<i32>, Value) {
    let output = pandacap(home()).args(["verify", "--json"]).arg(folder).output().unwrap();
    (output.status.code(), json(&output))
}
