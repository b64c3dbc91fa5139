//! What the image is built from, in one folder: the files at their places in the image, and the script that adds the
//! libraries.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use guest::{Guest, MANIFEST, tiny};
use kernel_profile::FILE as PROFILE;
use panda_host::{ACTIVITY, Embedded, Progress, RECCTRL, RELEASE, install};
use rr_log::Target;

use super::Recipe;
use crate::error::ContainerError;

/// The firmware of the machines that pandacap makes: the BIOS, boot from a kernel, the screen, and the network cards.
const FIRMWARE: [&str; 12] = [
    "bios-256k.bin",
    "kvmvapic.bin",
    "linuxboot.bin",
    "linuxboot_dma.bin",
    "multiboot.bin",
    "vgabios-stdvga.bin",
    "efi-e1000.rom",
    "efi-rtl8139.rom",
    "efi-virtio.rom",
    "efi-pcnet.rom",
    "efi-ne2k_pci.rom",
    "efi-eepro100.rom",
];

/// Fills the folder. PANDA and the tiny guest are installed on this machine first, if they are not.
pub(super) fn fill(
    folder: &Path,
    recipe: &Recipe<'_>,
    progress: &dyn Progress,
) -> Result<(), ContainerError> {
    let lib = folder.join("usr/lib/pandacap");
    write(&folder.join("Dockerfile"), include_bytes!("Dockerfile"))?;
    write(&folder.join("assemble.sh"), include_bytes!("assemble.sh"))?;
    copy(recipe.program, &folder.join("usr/bin/pandacap"), 0o755)?;
    for &target in recipe.targets {
        let place = lib.join(target.name());
        copy(&recipe.dist.find(RECCTRL, target)?, &place.join(RECCTRL), 0o644)?;
        // It follows guests of this kind alone.
        if target == Target::X86_64 {
            copy(&recipe.dist.find(ACTIVITY, target)?, &place.join(ACTIVITY), 0o644)?;
        }
        for file in ["recctrlu", "recctrlu-setup"] {
            copy(&recipe.dist.find(file, target)?, &place.join(file), 0o755)?;
        }
    }
    let home = lib.join("home");
    panda(&home, recipe, progress)?;
    let mut components = format!("pypi/pandare {RELEASE}\n");
    if recipe.targets.contains(&Target::X86_64) {
        let guest = tiny::ready(recipe.home, None, Target::X86_64, progress)?;
        copy_guest(&guest, &home)?;
        for package in guest.packages() {
            let _ = writeln!(components, "deb/debian/{} {}", package.name, package.version);
        }
    }
    write(&folder.join("components"), components.as_bytes())?;
    let doc = folder.join("usr/share/doc/pandacap");
    fs::create_dir_all(&doc).map_err(ContainerError::files(&doc))?;
    match recipe.dist.doc() {
        Some(own) => copy_files(&own, &doc)?,
        None => log::warn!(
            "the image has no list of pandacap's crates and their licences: build it with a packaged pandacap"
        ),
    }
    Ok(())
}

/// The embedded PANDA, with the firmware that machines need here.
fn panda(home: &Path, recipe: &Recipe<'_>, progress: &dyn Progress) -> Result<(), ContainerError> {
    install(recipe.home, recipe.targets, recipe.wheel, recipe.confine, progress)?;
    let (own, place) = (Embedded::of(recipe.home), Embedded::of(home));
    for &target in recipe.targets {
        copy_tree(&own.folder(target), &place.folder(target))?;
    }
    for file in FIRMWARE {
        let from = own.firmware().join(file);
        if from.is_file() {
            copy(&from, &place.firmware().join(file), 0o644)?;
        }
    }
    Ok(())
}

/// A guest's own files, without its warm states.
fn copy_guest(guest: &Guest, home: &Path) -> Result<(), ContainerError> {
    let place = guest::guests(home).join(&guest.name);
    guest.profile()?;
    let files = guest.manifest.files.keys().map(String::as_str);
    // The profile is one of them, unless an older pandacap made the guest.
    for file in files.chain([MANIFEST, PROFILE]).collect::<BTreeSet<_>>() {
        copy(&guest.folder.join(file), &place.join(file), 0o644)?;
    }
    Ok(())
}

fn copy_files(from: &Path, into: &Path) -> Result<(), ContainerError> {
    for entry in fs::read_dir(from).map_err(ContainerError::files(from))? {
        let path = entry.map_err(ContainerError::files(from))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            copy(&path, &into.join(name), 0o644)?;
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, into: &Path) -> Result<(), ContainerError> {
    for entry in fs::read_dir(from).map_err(ContainerError::files(from))? {
        let entry = entry.map_err(ContainerError::files(from))?;
        let (path, place) = (entry.path(), into.join(entry.file_name()));
        match entry.file_type().map_err(ContainerError::files(&path))?.is_dir() {
            true => copy_tree(&path, &place)?,
            false => {
                let mode = fs::metadata(&path).map_err(ContainerError::files(&path))?.permissions().mode();
                copy(&path, &place, if mode & 0o100 != 0 { 0o755 } else { 0o644 })?;
            }
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), ContainerError> {
    make_parent(to)?;
    files::copy(from, to).map_err(ContainerError::files(from))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(ContainerError::files(to))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ContainerError> {
    make_parent(path)?;
    fs::write(path, bytes).map_err(ContainerError::files(path))
}

fn make_parent(path: &Path) -> Result<(), ContainerError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(ContainerError::files(parent))
}
