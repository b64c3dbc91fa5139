//! The tiny guest: Debian's cloud kernel, and its static busybox as an initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::apt::{self, AptError};
use crate::cpio::Archive;
use crate::draft::Draft;
use crate::error::GuestError;
use crate::guest::Guest;
use crate::manifest::{BootSign, GuestManifest, Origin, SCHEMA};
use crate::profile;
use machine::Machine;
use panda_host::Progress;
use rr_log::Target;

/// The name of its recipe, and of the guest itself for the default target.
pub const RECIPE: &str = "tiny";
/// What it writes to its console once it can take a command.
const BOOTED: &str = "pandacap: ready";
const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initramfs.cpio";

/// What its kernel is told: the console; to boot faster where nothing is lost by it; and to be at the same
/// addresses in every trace.
pub const APPEND: &str =
    "console=ttyS0 quiet panic=-1 cryptomgr.notests no_timer_check nokaslr 8250.nr_uarts=2";
/// The machine that it runs on: a console, and a terminal for the recorded command.
pub const MACHINE: Machine = Machine {
    memory_mib: 256,
    serial_ports: 2,
    disk_bytes: None,
    bootstrap_bytes: None,
    nic: None,
    vga: false,
    more: Vec::new(),
};

/// The guest's name: the target is part of it unless it is the default one.
fn name(target: Target) -> String {
    if target == Target::default() { RECIPE.to_owned() } else { format!("{RECIPE}-{target}") }
}

/// The tiny guest for `target`, if it is below `home`, or below `shipped`, the home that came with pandacap.
pub fn find(home: &Path, shipped: Option<&Path>, target: Target) -> Option<Guest> {
    let name = name(target);
    std::iter::once(home).chain(shipped).find_map(|home| Guest::open(home, &name).ok())
}

/// The tiny guest for `target`: the one below `home`, or else below `shipped`, the home that came with pandacap. If there
/// is none, or it is an older pandacap's, it is made below `home` now.
pub fn ready(
    home: &Path,
    shipped: Option<&Path>,
    target: Target,
    progress: &dyn Progress,
) -> Result<Guest, GuestError> {
    let name = name(target);
    let guest = loop {
        let made = match Guest::open(home, &name) {
            Err(GuestError::Unknown { .. }) => match shipped.map(|shipped| Guest::open(shipped, &name)) {
                Some(Ok(guest)) => break guest,
                _ => build(home, target, false, progress),
            },
            Err(GuestError::Schema { .. }) => build(home, target, true, progress),
            opened => break opened?,
        };
        match made {
            // Another process is making it, or has made it meanwhile: that one is as good.
            Err(GuestError::Busy(name)) => Draft::wait_for_other(home, &name, progress)?,
            Err(GuestError::Taken(_)) => {}
            made => break made?,
        }
    };
    guest.check()?;
    Ok(guest)
}

/// Makes the guest; one that is there stays unless it is to be replaced.
pub fn build(
    home: &Path,
    target: Target,
    replace: bool,
    progress: &dyn Progress,
) -> Result<Guest, GuestError> {
    if target != Target::X86_64 {
        return Err(GuestError::Target(target));
    }
    let draft = Draft::claim(home, &name(target))?;
    let _progress = progress.waiting("fetching the tiny guest from Debian (28 MB)");
    let files = |error| draft.files(error);
    let unpacked = tempfile::tempdir_in(draft.folder()).map_err(files)?;
    let root = unpacked.path();

    let kernel = apt::dependency("linux-image-cloud-amd64", "linux-image-")?;
    let packages = vec![apt::fetch(&kernel, root)?, apt::fetch("busybox-static", root)?];
    let version = kernel.strip_prefix("linux-image-").unwrap_or(&kernel);
    let image = root.join(format!("boot/vmlinuz-{version}"));
    if !image.is_file() {
        return Err(AptError::Strange { package: kernel, what: "kernel in /boot" }.into());
    }
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|path| root.join(path));
    let Some(busybox) = busybox.into_iter().find(|path| path.is_file()) else {
        return Err(AptError::Strange { package: "busybox-static".to_owned(), what: "busybox" }.into());
    };

    let made = draft.folder();
    files::copy(&image, &made.join(KERNEL)).map_err(files)?;
    fs::write(made.join(INITRAMFS), initramfs(&fs::read(busybox).map_err(files)?)).map_err(files)?;
    unpacked.close().map_err(files)?;
    profile::make_in(made, KERNEL).map_err(files)?;
    let manifest = GuestManifest {
        schema: SCHEMA,
        target,
        memory_mib: MACHINE.memory_mib,
        kernel: Some(KERNEL.to_owned()),
        initramfs: Some(INITRAMFS.to_owned()),
        append: APPEND.to_owned(),
        disk: None,
        nic: None,
        booted: BootSign::Console(BOOTED.to_owned()),
        login: None,
        origin: Origin::Built { recipe: RECIPE.to_owned(), packages },
        files: BTreeMap::new(),
    };
    draft.finish(manifest, replace)
}

fn initramfs(busybox: &[u8]) -> Vec<u8> {
    let folders = ["bin", "dev", "proc", "root", "sys", "tmp"];
    let archive = folders.into_iter().fold(Archive::default(), Archive::folder);
    archive.file("bin/busybox", 0o755, busybox).finish()
}
