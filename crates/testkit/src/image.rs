//! The container image that tests run in, built from what `scripts/build` made.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::sync::OnceLock;

use crate::checkout::{dist, root, scratch};
use crate::program::home;
use crate::run;
use crate::skip::skip;

/// Its name.
pub const IMAGE: &str = "pandacap-test";
/// The Debian that it takes its libraries from; `scripts/make-base` makes it.
const BASE: &str = "pandacap-base:bookworm";

/// The container engine that works here, by its name.
pub fn engine() -> Option<&'static str> {
    static ENGINE: OnceLock<Option<&'static str>> = OnceLock::new();
    *ENGINE.get_or_init(|| {
        ["docker", "podman"].into_iter().find(|engine| works(Process::new(engine).arg("info")))
    })
}

/// The image; where containers or the image cannot be had, notes the test as skipped.
pub fn image(test: &str) -> Option<&'static str> {
    let Some(engine) = engine() else {
        skip(test, "no Docker or Podman works here");
        return None;
    };
    if !has_base(engine) {
        skip(test, "the image's base needs root and debootstrap");
        return None;
    }
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let lock = File::create(scratch().join("image.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        // The program that is meant for users: small, and without debug information.
        let mut build = Process::new(program());
        build.env("PANDACAP_HOME", home()).env_remove("PANDA_PATH");
        run(build.args(["image", "build", IMAGE, "--base", BASE]).stdout(Stdio::null()));
    });
    Some(IMAGE)
}

/// `docker` or `podman`, about to run in the image.
pub fn in_image(image: &str, options: &[&str], arguments: &[&str]) -> Process {
    let mut command = Process::new(engine().unwrap());
    command.args(["run", "--rm"]).args(options).arg(image).args(arguments);
    command
}

fn program() -> PathBuf {
    dist().join("pandacap")
}

fn has_base(engine: &str) -> bool {
    static BASE_IS_THERE: OnceLock<bool> = OnceLock::new();
    *BASE_IS_THERE.get_or_init(|| {
        let lock = File::create(scratch().join("base.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        works(Process::new(engine).args(["image", "inspect", BASE]))
            || (rustix::process::geteuid().is_root()
                && works(Process::new(root().join("scripts/make-base")).args(["bookworm", BASE])))
    })
}

fn works(command: &mut Process) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
